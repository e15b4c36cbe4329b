//! Logins by SASL2 that take more than a mechanism, what is told of the offer, and misbehaviour.

use super::sasl2_login::{
    AGENT, SASL2, assert_refused, authenticate, bind2, feature, identifier, login, names,
    open_from, opened, plain, sasl2_offered, scram_response,
};
use super::*;
use crate::{Sasl2Fault, VersionClaim};

const TASK: &str = "X-ONE-TIME-CODE";
const UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
const ABORT: &str = "<abort xmlns='urn:xmpp:sasl:2'/>";

fn next(task: &str, inside: &str) -> String {
    format!("<next xmlns='urn:xmpp:sasl:2' task='{task}'>{inside}</next>")
}

fn task_data(inside: &str) -> String {
    format!("<task-data xmlns='urn:xmpp:sasl:2'>{inside}</task-data>")
}

fn code(text: &str) -> String {
    format!("<code xmlns='urn:epode:one-time-code:0'>{text}</code>")
}

#[track_caller]
fn assert_task(reply: &Element, task: &str) {
    assert!(reply.is("continue", SASL2), "{reply}");
    let tasks = reply.child("tasks", SASL2).unwrap();
    assert_eq!(tasks.children().map(Element::text).collect::<Vec<_>>(), [task]);
}

/// A session whose login has come to its first task.
fn at_task(server: &Server, rest: &str, task: &str) -> Session {
    let mut session = opened(server);
    assert_task(&ask(&mut session, &plain(rest)), task);
    session
}

fn success(session: &mut Session, frame: &str) -> Element {
    let success = parse(session.receive(frame)).remove(0);
    assert!(success.is("success", SASL2), "{success}");
    success
}

#[test]
fn a_code_is_shown_after_the_password() {
    let server = builder().one_time_code("Alice", "123456").build();
    let token = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
    let rest = format!("{AGENT}{token}{}", bind2(""));
    let mut session = at_task(&server, &rest, TASK);
    let success_at_once = success(&mut session, &next(TASK, &code("123456")));
    assert_eq!(names(&success_at_once), ["authorization-identifier", "bound", "token"]);

    let mut session = at_task(&server, &bind2(""), TASK);
    let question = ask(&mut session, &next(TASK, ""));
    let expected = "<question xmlns='urn:epode:one-time-code:0'/>";
    assert_eq!(question, Element::parse(&task_data(expected)).unwrap());
    assert!(session.jid().is_none());
    success(&mut session, &task_data(&code("123456")));
    assert!(session.jid().is_some());

    // A token stands for both.
    let token = success_at_once.child("token", "urn:xmpp:fast:0").unwrap().attr("token").unwrap();
    let hash = Hash::Sha256.hmac(token.as_bytes(), b"Initiator");
    let rest = format!("{AGENT}<fast xmlns='urn:xmpp:fast:0'/>");
    let request = authenticate("HT-SHA-256-NONE", &[b"alice\0", &hash[..]].concat(), &rest);
    success(&mut opened(&server), &request);
    let bob = authenticate("PLAIN", b"\0bob\0eraser", "");
    success(&mut server.session(bound_channel()).also_open(), &bob);
}

trait AlsoOpen {
    fn also_open(self) -> Self;
}

impl AlsoOpen for Session {
    fn also_open(mut self) -> Self {
        open(&mut self);
        self
    }
}

#[test]
fn a_wrong_code_fails_the_login() {
    let server = builder().one_time_code("alice", "123456").build();
    for (wrong, condition) in [
        (next(TASK, &code("123457")), "not-authorized"),
        (next(TASK, &code("")), "not-authorized"),
        (next("UPGR-SCRAM-SHA-256", ""), "malformed-request"),
        ("<next xmlns='urn:xmpp:sasl:2'/>".to_owned(), "malformed-request"),
        (ABORT.to_owned(), "aborted"),
    ] {
        let mut session = at_task(&server, "", TASK);
        assert_refused(&ask(&mut session, &wrong), condition);
        assert_task(&ask(&mut session, &plain("")), TASK);
    }
    let asked = || {
        let mut session = at_task(&server, "", TASK);
        ask(&mut session, &next(TASK, ""));
        session
    };
    assert_refused(&ask(&mut asked(), &task_data(&code("x"))), "not-authorized");
    assert_refused(&ask(&mut asked(), &task_data("")), "malformed-request");
    assert_refused(&ask(&mut asked(), ABORT), "aborted");
    for odd in [plain(""), next(TASK, ""), "<response xmlns='urn:xmpp:sasl:2'/>".to_owned()] {
        assert_stream_error(asked().receive(&odd), "policy-violation");
    }
    assert_stream_error(at_task(&server, "", TASK).receive(&plain("")), "policy-violation");
    let mut old = opened(&server);
    assert_failure(&auth(&mut old, "PLAIN", b"\0alice\0pencil"), "not-authorized");
}

#[test]
fn the_mechanism_has_its_say_before_the_first_task() {
    let server = builder().one_time_code("alice", "1").build();
    let mut session = opened(&server);
    let first = "n,,n=alice,r=abc";
    let challenge = ask(&mut session, &authenticate("SCRAM-SHA-256", first.as_bytes(), ""));
    let reply = ask(&mut session, &scram_response(Hash::Sha256, first, &challenge, b""));
    assert_task(&reply, TASK);
    assert!(data(reply.child("additional-data", SASL2).unwrap()).starts_with("v="));
    let done = success(&mut session, &next(TASK, &code("1")));
    assert_eq!(names(&done), ["authorization-identifier"]);
}

fn upgradable() -> Server {
    builder().stored_for("alice", ["SCRAM-SHA-1"]).build()
}

fn upgrade(hash: Hash) -> String {
    format!("<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-{}</upgrade>", hash.mechanism())
}

/// The salted password that the server asks for.
fn salted(session: &mut Session, hash: Hash, password: &str) -> Vec<u8> {
    let task = format!("UPGR-{}", hash.mechanism());
    let asked = ask(session, &next(&task, ""));
    let salt = asked.child("salt", "urn:xmpp:scram-upgrade:0").unwrap();
    let iterations = salt.attr("iterations").unwrap().parse().unwrap();
    let salt = Base64::decode_vec(&salt.text()).unwrap();
    hash.salted_password(password.as_bytes(), &salt, iterations).to_vec()
}

fn hash_element(bytes: &[u8]) -> String {
    let text = Base64::encode_string(bytes);
    task_data(&format!("<hash xmlns='urn:xmpp:scram-upgrade:0'>{text}</hash>"))
}

/// How a login by this hash ends.
fn scram_login(server: &Server, hash: Hash) -> Element {
    let mut session = opened(server);
    let first = "n,,n=alice,r=abc";
    let challenge = ask(&mut session, &authenticate(hash.mechanism(), first.as_bytes(), ""));
    let response = scram_response(hash, first, &challenge, b"");
    parse(session.receive(&response)).remove(0)
}

#[test]
fn what_is_offered_follows_the_account() {
    let server = upgradable();
    let listed = |from: &str| {
        let mut session = server.session(SessionChannel::encrypted());
        let features =
            if from.is_empty() { open(&mut session) } else { open_from(&mut session, from) };
        let upgrades = feature(&features).children().filter(|it| it.is("upgrade", UPGRADE));
        (sasl2_offered(&features).join(" "), upgrades.map(Element::text).collect::<Vec<_>>())
    };
    let (mechanisms, upgrades) = listed("alice@example.org");
    assert_eq!(mechanisms, "SCRAM-SHA-1 PLAIN OAUTHBEARER X-OAUTH2 ANONYMOUS");
    assert_eq!(upgrades, ["UPGR-SCRAM-SHA-512", "UPGR-SCRAM-SHA-256"]);
    for other in ["", "bob@example.org", "nobody@example.org"] {
        let (mechanisms, upgrades) = listed(other);
        assert!(mechanisms.starts_with("SCRAM-SHA-512 SCRAM-SHA-384 "), "{mechanisms}");
        assert!(upgrades.is_empty());
    }
}

#[test]
fn an_upgrade_is_kept() {
    let server = upgradable();
    assert!(scram_login(&server, Hash::Sha1).is("success", SASL2));
    let wanted = upgrade(Hash::Sha256) + &upgrade(Hash::Sha512);
    let mut session = at_task(&server, &wanted, "UPGR-SCRAM-SHA-512");
    let answer = salted(&mut session, Hash::Sha512, "pencil");
    assert_task(&ask(&mut session, &hash_element(&answer)), "UPGR-SCRAM-SHA-256");
    let answer = salted(&mut session, Hash::Sha256, "pencil");
    success(&mut session, &hash_element(&answer));
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
        assert!(scram_login(&server, hash).is("success", SASL2), "{hash:?}");
    }
    let (_, again, _) = login(&server, &wanted);
    assert!(again.is("success", SASL2), "there is nothing left to upgrade");
}

#[test]
fn an_upgrade_is_as_good_as_what_it_brings() {
    let server = upgradable();
    let begun = || at_task(&server, &upgrade(Hash::Sha256), "UPGR-SCRAM-SHA-256");
    let (short, other) = (hash_element(&[0; 31]), task_data("<x xmlns='urn:x'/>"));
    let unreadable = task_data("<hash xmlns='urn:xmpp:scram-upgrade:0'>?</hash>");
    for (wrong, condition) in [
        (short, "malformed-request"),
        (other, "malformed-request"),
        (unreadable, "incorrect-encoding"),
    ] {
        let mut session = begun();
        salted(&mut session, Hash::Sha256, "pencil");
        assert_refused(&ask(&mut session, &wrong), condition);
    }
    let mut session = begun();
    let answer = salted(&mut session, Hash::Sha256, "another");
    success(&mut session, &hash_element(&answer));
    assert_refused(&scram_login(&server, Hash::Sha256), "not-authorized");
    for unknown in ["UPGR-SCRAM-SHA-1", "UPGR-SCRAM-SHA-384", "UPGR-X"] {
        let wanted = format!("<upgrade xmlns='urn:xmpp:sasl:upgrade:0'>{unknown}</upgrade>");
        login(&upgradable(), &wanted);
    }
}

const IAP: &str = "urn:xmpp:iap:0";

fn version(features: &Element) -> Option<String> {
    let version = features.child("config-version", IAP)?;
    assert_eq!(version.attr("scheme"), Some("opaque"));
    version.attr("value").map(str::to_owned)
}

#[test]
fn a_login_for_other_features_is_refused_without_prejudice() {
    let server = builder().config_version().build();
    let features_for = |server: &Server| open(&mut server.session(bound_channel()));
    let known = version(&features_for(&server)).unwrap();
    assert_eq!(version(&features_for(&server)).unwrap(), known);
    let with = |attributes: &str| plain(&format!("<config-version xmlns='{IAP}' {attributes}/>"));
    let right = with(&format!("value='{known}'"));
    success(&mut server.session(bound_channel()).also_open(), &right);

    let mismatch = "<failure xmlns='urn:xmpp:sasl:2'>\
        <aborted xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\
        <config-version-mismatch xmlns='urn:xmpp:iap:0'/></failure>";
    let mismatch = Element::parse(mismatch).unwrap();
    let mut session = server.session(bound_channel()).also_open();
    for wrong in ["value='x'", "", "value=''", "value='y'", "scheme='opaque'"] {
        assert_eq!(ask(&mut session, &with(wrong)), mismatch);
    }
    success(&mut session, &right);

    server.change_mechanisms(["PLAIN"]);
    let mut session = server.session(bound_channel());
    let features = open(&mut session);
    assert_eq!(
        (offered(&features), sasl2_offered(&features)),
        (vec!["PLAIN".into()], vec!["PLAIN".into()])
    );
    assert_ne!(version(&features).unwrap(), known);
    assert_eq!(ask(&mut session, &right), mismatch);

    let silent = builder().build();
    assert_eq!(version(&features_for(&silent)), None);
    success(&mut silent.session(bound_channel()).also_open(), &with("value='x'"));
    let plaintext = builder().config_version().build();
    assert_eq!(version(&open(&mut plaintext.session(SessionChannel::plaintext()))), None);
}

#[test]
fn scram_tells_of_the_offer_of_this_profile_and_of_tls() {
    let told = |builder: ServerBuilder, channel: SessionChannel, sasl2: bool| {
        let builder = builder.downgrade_hash(DowngradeHash::Right);
        let mut session = builder.build().session(channel).also_open();
        let first = b"n,,n=alice,r=abc";
        let challenge = if sasl2 {
            ask(&mut session, &authenticate("SCRAM-SHA-1", first, ""))
        } else {
            auth(&mut session, "SCRAM-SHA-1", first)
        };
        data(&challenge).split_once(",h=").unwrap().1.to_owned()
    };
    // The example of XEP-0515, section 4.3.
    let example = "G6k/rBLDqgOhRRaCuuatSDFkJ08=";
    let two = ["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"];
    let right = || builder().sasl2_mechanisms(two).version_claim(VersionClaim::Right);
    let channel = || bound_channel().with_tls_version(0x0304);
    assert_eq!(told(right(), channel(), true), format!("{example},t=0304"));
    assert!(!told(right(), channel(), false).starts_with(example));
    assert_eq!(told(right(), bound_channel(), true), example, "the version is not known");
    assert_eq!(
        told(right(), bound_channel().with_tls_version(0x0303), true),
        format!("{example},t=0303")
    );
    let wrong = || builder().sasl2_mechanisms(two).version_claim(VersionClaim::Wrong);
    assert_eq!(told(wrong(), channel(), true), format!("{example},t=0303"));
    assert!(told(wrong(), bound_channel().with_tls_version(0x0303), true).ends_with(",t=0304"));

    // One list of types stands for both profiles, whichever offers channel binding.
    let one_sided = builder().mechanisms(["SCRAM-SHA-1"]).sasl2_mechanisms(two);
    let mut session = one_sided.build().session(bound_channel());
    assert_eq!(listed(&open(&mut session)).unwrap(), [EXPORTER, END_POINT]);
    let other = builder().mechanisms(two).sasl2_mechanisms(["SCRAM-SHA-1"]);
    assert_ne!(
        told(other, bound_channel(), true),
        told(builder().mechanisms(["SCRAM-SHA-1"]), bound_channel(), true)
    );
}

fn faulty(fault: Sasl2Fault) -> Server {
    builder().sasl2_fault(fault).build()
}

#[test]
fn a_success_can_say_what_is_not_so() {
    let said = |fault| login(&faulty(fault), &bind2("")).1;
    let other = said(Sasl2Fault::Identifier("alice@example.com/x".to_owned()));
    assert_eq!(identifier(&other), "alice@example.com/x");
    assert_eq!(names(&said(Sasl2Fault::NoIdentifier)), ["bound"]);
    let both = said(Sasl2Fault::BoundAndResumed);
    assert_eq!(names(&both), ["authorization-identifier", "bound", "resumed"]);

    let mut session = opened(&faulty(Sasl2Fault::TokenInSasl1));
    let reply = auth(&mut session, "PLAIN", b"\0alice\0pencil");
    assert_success(&reply);
    assert!(reply.child("token", "urn:xmpp:fast:0").unwrap().attr("token").is_some());
}

#[test]
fn a_server_can_lack_the_token() {
    let reply = |fault| {
        let server = faulty(fault);
        let token = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
        let (_, given, _) = login(&server, &format!("{AGENT}{token}"));
        let token = given.child("token", "urn:xmpp:fast:0").unwrap().attr("token").unwrap();
        let hash = Hash::Sha256.hmac(token.as_bytes(), b"Initiator");
        let rest = format!("{AGENT}<fast xmlns='urn:xmpp:fast:0'/>");
        let message = [b"alice\0", &hash[..]].concat();
        let mut session = opened(&server);
        let reply = parse(session.receive(&authenticate("HT-SHA-256-NONE", &message, &rest)));
        let right = Hash::Sha256.hmac(token.as_bytes(), b"Responder");
        (session, reply[0].clone(), right)
    };
    assert_eq!(names(&reply(Sasl2Fault::NoResponder).1), ["authorization-identifier"]);
    let (_, wrong, right) = reply(Sasl2Fault::WrongResponder);
    let said = Base64::decode_vec(&wrong.child("additional-data", SASL2).unwrap().text()).unwrap();
    assert_eq!(said.len(), right.len());
    assert_ne!(said, right);

    let (mut session, challenge, _) = reply(Sasl2Fault::Ht2Failure("unknown-user".to_owned()));
    assert!(challenge.is("challenge", SASL2));
    assert_eq!(data(&challenge), "\u{1}unknown-user");
    let response = "<response xmlns='urn:xmpp:sasl:2'/>";
    assert_refused(&ask(&mut session, response), "not-authorized");
}

#[test]
fn a_token_can_end_too_early() {
    let server = builder().token_rotation(0).sasl2_fault(Sasl2Fault::OldTokenEnds).build();
    let token = "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>";
    let (_, given, _) = login(&server, &format!("{AGENT}{token}"));
    let token = given.child("token", "urn:xmpp:fast:0").unwrap().attr("token").unwrap();
    let hash = Hash::Sha256.hmac(token.as_bytes(), b"Initiator");
    let rest = format!("{AGENT}<fast xmlns='urn:xmpp:fast:0'/>");
    let request = authenticate("HT-SHA-256-NONE", &[b"alice\0", &hash[..]].concat(), &rest);
    let first = success(&mut opened(&server), &request);
    assert!(first.child("token", "urn:xmpp:fast:0").is_some());
    assert_refused(&ask(&mut opened(&server), &request), "not-authorized");
}

#[test]
fn tasks_can_be_none_unknown_endless_or_unasked() {
    let mut session = opened(&faulty(Sasl2Fault::NoTasks));
    let reply = ask(&mut session, &plain(""));
    assert_eq!(reply.child("tasks", SASL2), Some(&Element::new("tasks", SASL2)));
    assert_refused(&ask(&mut session, &next("X", "")), "malformed-request");

    let mut session = at_task(&faulty(Sasl2Fault::UnknownTask), "", "X-UNKNOWN");
    assert_refused(&ask(&mut session, &next("X-UNKNOWN", "")), "malformed-request");

    let mut session = at_task(&faulty(Sasl2Fault::EndlessTask), "", TASK);
    for any in 0..5 {
        assert_task(&ask(&mut session, &next(TASK, &code(&any.to_string()))), TASK);
    }
    let server = faulty(Sasl2Fault::UpgradeUnasked);
    let mut session = at_task(&server, "", "UPGR-SCRAM-SHA-512");
    let answer = salted(&mut session, Hash::Sha512, "another");
    success(&mut session, &hash_element(&answer));
    // Nothing was stored: the right password is right.
    assert_task(&scram_login(&server, Hash::Sha512), "UPGR-SCRAM-SHA-512");
}
