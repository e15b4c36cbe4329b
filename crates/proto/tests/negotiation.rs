//! Plays every conversation in `transcripts/` and checks what came of it, to the exact error.
//! What may happen at any point of a conversation is in `every_point.rs`.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use epode_proto::{
    Element, Settings, Status,
    sasl::{BindingType, Secret},
};
use support::{Case, Driver, error_of, play};

#[test]
fn every_transcript_ends_as_it_says() {
    let failures: Vec<String> = Case::all().iter().filter_map(failure).collect();
    assert!(failures.is_empty(), "{} failed:\n\n{}", failures.len(), failures.join("\n\n"));
}

/// Whoever keeps the keys of a login needs neither password nor derivation for the next.
#[test]
fn the_keys_of_one_login_do_for_the_next() {
    for name in
        ["login-scram-sha-1", "login-scram-sha-256", "login-scram-sha-384", "login-scram-sha-512"]
    {
        let case = Case::named(name);
        let mut first = Driver::new(&case, case.settings());
        assert_eq!(play(&mut first, &mut case.player()), Ok(()));
        assert_eq!(first.asked, ["derive"], "{name}");
        let keys = first.kept.pop().expect("keys to keep");
        let mut second = Driver::new(&case, Settings::new(case.jid(), Secret::Keys(keys)));
        assert_eq!(play(&mut second, &mut case.player()), Ok(()), "{name}");
        assert!(second.is_connected() && second.asked.is_empty(), "{name} {:?}", second.asked);
    }
}

/// Whoever logs in again by itself has the password at hand when the keys no longer fit: it is
/// derived from once more, and never sent.
#[test]
fn a_server_that_has_salted_anew_is_logged_in_to_again() {
    let case = Case::named("login-scram-sha-1");
    let mut first = Driver::new(&case, case.settings().renewable());
    assert_eq!(play(&mut first, &mut case.player()), Ok(()));
    let mut connection = first.connection;

    let text = include_str!("transcripts/login-stale-keys-and-somebody-to-ask.xml")
        .replace("<mechanism>SCRAM-SHA-1</mechanism>", "%each%")
        .replace("xmpp-bind'/></iq>", "xmpp-bind'><resource>phone</resource></bind></iq>");
    let offers = [
        ("<mechanism>SCRAM-SHA-1</mechanism>", Some("derive")),
        // Now the keys fit.
        ("<mechanism>SCRAM-SHA-1</mechanism>", None),
        ("", None),
    ];
    for (offer, question) in offers {
        connection.renew(0).expect("it is over");
        let case = Case::parse("salted-anew", &text.replace("%each%", offer));
        let case = case.expect("it is a transcript").remove(0);
        let mut again = Driver::new(&case, case.settings());
        again.connection = connection;
        let played = play(&mut again, &mut case.player());
        assert_eq!(again.asked, Vec::from_iter(question), "{:?}", again.statuses);
        if offer.is_empty() {
            let conditions: Vec<_> = again.errors().iter().map(|it| it.condition()).collect();
            assert_eq!(conditions, ["no-auth-mech"]); // though there is PLAIN
        } else {
            assert_eq!(played, Ok(()));
            assert!(again.is_connected(), "{:?}", again.statuses);
        }
        connection = again.connection;
    }
}

/// Open, auth, response, open, bind: no login by SCRAM needs more round trips.
#[test]
fn scram_takes_five_flights() {
    let mut count = 0;
    for case in Case::logins() {
        let mut driver = Driver::new(&case, case.settings());
        play(&mut driver, &mut case.player()).expect("it is a good login");
        let Some(Status::Connected(login)) =
            driver.statuses.iter().find(|status| matches!(status, Status::Connected(_)))
        else {
            panic!("{} does not connect", case.name)
        };
        // What the server demands on top takes one more.
        let demands = ["login-session-demanded", "login-verifier-in-a-challenge"];
        if login.mechanism.as_str().starts_with("SCRAM-") && !demands.contains(&case.name.as_str())
        {
            count += 1;
            assert!(login.flights <= 5, "{}: {}", case.name, login.flights);
        }
    }
    assert!(count > 10, "only {count} logins by SCRAM");
}

/// People are told which binding was refused, and which was taken.
#[test]
fn the_statuses_tell_of_the_bindings() {
    let case = Case::named("tcp-login-next-binding-at-the-end");
    let mut driver = Driver::new(&case, case.settings());
    play(&mut driver, &mut case.player()).expect("it is a good login");
    let lines: Vec<_> = driver.statuses.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines[1..3],
        [
            "AUTHENTICATING 3 SCRAM-SHA-256-PLUS by tls-exporter",
            "AUTHENTICATING 3 SCRAM-SHA-256-PLUS by tls-server-end-point, tls-exporter was refused",
        ]
    );
}

#[test]
fn a_header_that_nobody_reads_is_refused() {
    let parse = |text| Case::parse("x", text).map(|cases| cases.len());
    assert_eq!(parse("title: a\nC: *\n"), Ok(1));
    assert_eq!(parse("title: a\neach: 1 | 2 | 3\nC: *\n"), Ok(3));
    assert_eq!(parse("unread: a\nC: *\n"), Err("unknown header `unread`".to_owned()));
}

#[test]
fn a_deviation_is_noticed() {
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/transcripts/login-scram-sha-1.xml"
    ));
    let text = text.expect("the transcript is there");
    for (from, to) in [
        ("flights: 5", "flights: 4"),
        ("bound: alice", "bound: mallory"),
        ("mechanism: SCRAM-SHA-1", "mechanism: PLAIN"),
        ("AUTHENTICATING, CONNECTED", "CONNECTED"),
        ("p={proof}", "p={verifier}"),
        ("to='example.org'", "to='example.com'"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from} is in the transcript");
        let case = Case::parse("changed", &changed).expect("it is well-formed").remove(0);
        assert!(failure(&case).is_some(), "nobody noticed {to}");
    }
}

/// What is wrong with a case, in words, with its name.
fn failure(case: &Case) -> Option<String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| check(case))).unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        let words = words.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("it panicked: {}", words.unwrap_or("?")))
    });
    outcome.err().map(|error| format!("{}: {error}", case.name))
}

fn check(case: &Case) -> Result<(), String> {
    case.demand("title");
    let mut driver = Driver::new(case, case.settings().report());
    let mut player = case.player();
    play(&mut driver, &mut player).map_err(|error| {
        format!("{error}\n  after {:?} {:?}", driver.names(), driver.errors().first())
    })?;
    if !player.finished() {
        return Err(format!("the client did not say all; it reported {:?}", driver.names()));
    }
    expect("statuses", &case.demand("statuses"), &driver.names().join(", "))?;
    check_error(case, &driver)?;
    check_login(case, &driver)?;
    let tokens = driver.tokens.iter().map(|token| token.to_json().to_string());
    let tokens: Vec<_> = tokens.collect();
    expect("token-kept", &case.header("token-kept").unwrap_or_default(), &tokens.join(", "))?;
    let forgotten = usize::from(case.says_yes("token-forgotten"));
    expect("token-forgotten", &forgotten.to_string(), &driver.forgotten.to_string())?;
    if let Some(expected) = case.header("questions") {
        expect("questions", &expected, &driver.asked.join(", "))?;
    }
    expect("explained", &case.header("explained").unwrap_or_default(), &explained(&driver))?;
    let longest = driver.statuses.iter().map(|status| format!("{status:?}").len()).max();
    if longest.is_none_or(|length| length > LONGEST_STATUS) {
        return Err("a status holds more than it needs".to_owned());
    }
    let delivered: String = driver.delivered.iter().map(without_our_id).collect();
    expect("delivered", &case.header("delivered").unwrap_or_default(), &delivered)
}

/// Our ids are random: in what comes back they are written as `{id}`.
fn without_our_id(element: &Element) -> String {
    let xml = element.to_string();
    match element.attr("id") {
        Some(id) if id.len() == 32 => xml.replace(id, "{id}"),
        _ => xml,
    }
}

/// What would be chosen, of what.
fn explained(driver: &Driver<'_>) -> String {
    driver.explained.as_ref().map_or_else(String::new, |explanation| {
        let choice = match &explanation.choice {
            Ok(choice) => choice.mechanism.to_string(),
            Err(none) => format!("none: {none}"),
        };
        let mut text = format!("{choice} of {}", explanation.offered.join(", "));
        if let Some(sasl2) = &explanation.sasl2 {
            text += &format!("; SASL2: {}", sasl2.mechanisms.join(", "));
        }
        text + if explanation.lists_differ() { "; the lists differ" } else { "" }
    })
}

/// A case that ends with an error says exactly which one; one without says none.
fn check_error(case: &Case, driver: &Driver<'_>) -> Result<(), String> {
    let error = driver.errors().first().copied();
    let found = error.map(error_of).unwrap_or_default();
    expect("error", &case.header("error").unwrap_or_default(), &found)?;
    let condition = error.map(|error| error.condition()).unwrap_or_default();
    expect("condition", &case.header("condition").unwrap_or_default(), condition)?;
    if let Some(expected) = case.header("advice") {
        expect(
            "advice",
            &expected,
            &error.map(|error| error.advice().to_string()).unwrap_or_default(),
        )?;
    }
    match (case.header("says"), error) {
        (Some(expected), Some(error)) => expect("says", &expected, &error.to_string()),
        (Some(_), None) => Err("it says an error, and there is none".to_owned()),
        (None, _) => Ok(()),
    }
}

/// A case that connects says as whom and how.
fn check_login(case: &Case, driver: &Driver<'_>) -> Result<(), String> {
    let used = driver.statuses.iter().rev().find_map(|status| match status {
        Status::Authenticating(choice) => Some(choice.mechanism.to_string()),
        _ => None,
    });
    if let Some(expected) = case.header("mechanism") {
        expect("mechanism", &expected, &used.unwrap_or_default())?;
    }
    let refused = driver.statuses.iter().rev().find_map(|status| match status {
        Status::Authenticating(choice) => Some(names(&choice.refused_bindings)),
        _ => None,
    });
    expect("refused", &case.header("refused").unwrap_or_default(), &refused.unwrap_or_default())?;
    let connected = driver.statuses.iter().find_map(|status| match status {
        Status::Connected(connected) => Some(connected),
        _ => None,
    });
    let Some(connected) = connected else { return Ok(()) };
    expect(
        "refused",
        &case.header("refused").unwrap_or_default(),
        &names(&connected.refused_bindings),
    )?;
    expect("by", &case.header("by").unwrap_or_default(), &names(connected.binding.as_slice()))?;
    if let Some(profile) = case.header("used") {
        expect("used", &profile, &connected.profile.to_string())?;
        expect("bound-by", &case.demand("bound-by"), &format!("{:?}", connected.bound_by))?;
        expect("carbons", &case.says_yes("carbons").to_string(), &connected.carbons.to_string())?;
    }
    if let Some(pinned) = case.header("pinned") {
        expect("pinned", &pinned, &connected.pin.as_ref().unwrap().to_json())?;
    }
    expect("mechanism", &case.demand("mechanism"), connected.mechanism.as_str())?;
    expect("bound", &case.demand("bound"), connected.jid.as_str())?;
    expect("flights", &case.demand("flights"), &connected.flights.to_string())?;
    let is_scram = connected.mechanism.as_str().starts_with("SCRAM-");
    let is_by_token = connected.mechanism.as_str().starts_with("HT-");
    let proof = if is_scram || is_by_token { "Proven" } else { "NotOffered" };
    expect("proof", proof, &format!("{:?}", connected.proof))?;
    expect(
        "number of keys kept",
        &usize::from(is_scram).to_string(),
        &driver.kept.len().to_string(),
    )
}

fn names(kinds: &[BindingType]) -> String {
    let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
    names.join(", ")
}

fn expect(what: &str, expected: &str, found: &str) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("{what}\n  expected: {expected}\n  found:    {found}"))
}

const LONGEST_STATUS: usize = 16 * 1024;
