//! What one login by SASL2 leaves for the next, and what the application says meanwhile.
//! Whole conversations are in `transcripts/`, which `negotiation.rs` plays.

mod support;

use std::time::Duration;

use epode_proto::{
    Action, BoundBy, Connection, Error, Fast, FastToken, Input, Jid, Profile, ServerMemory,
    Settings, Status, Time, redacted,
    sasl::{Channel, HashedToken, Secret},
};
use support::{Case, Driver, play};

/// What is remembered of a server does for the next login, and is the same after it.
#[test]
fn the_memory_of_one_login_shortens_the_next() {
    let case = Case::named("login-sasl2-bind2");
    let mut first = Driver::new(&case, case.settings());
    assert_eq!(play(&mut first, &mut case.player()), Ok(()));
    let memory = first.memory.take().expect("there is something to remember");
    let memory = ServerMemory::from_json(&memory.to_json()).expect("it is read back");

    let case = Case::named("login-pipelined");
    let mut second = Driver::new(&case, case.settings().memory(memory.clone()));
    assert_eq!(play(&mut second, &mut case.player()), Ok(()));
    assert_eq!(connected(&second.statuses).flights, 2);
    assert_eq!(second.memory, Some(memory));
}

/// A login by the older profile leaves nothing to remember.
#[test]
fn nothing_is_remembered_of_an_older_server() {
    let case = Case::named("login-scram-sha-1");
    let mut driver = Driver::new(&case, case.settings());
    assert_eq!(play(&mut driver, &mut case.player()), Ok(()));
    assert_eq!((driver.memory, connected(&driver.statuses).profile), (None, Profile::Sasl1));
}

/// That nobody is there is said within the login, once.
#[test]
fn nobody_is_there_from_the_beginning() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts/login-sasl2-bind2.xml");
    let text = std::fs::read_to_string(path).expect("the transcript is there");
    let offers =
        "<bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:csi:0'/></inline></bind>";
    let asks = "<bind xmlns='urn:xmpp:bind:0'><inactive xmlns='urn:xmpp:csi:0'/></bind>";
    let csi = "streams'><csi xmlns='urn:xmpp:csi:0'/></stream:features>";
    let text = text.replacen("<bind xmlns='urn:xmpp:bind:0'/>", offers, 1);
    let text = text.replacen("<bind xmlns='urn:xmpp:bind:0'/>", asks, 1);
    let text = text.replacen("streams'/>", csi, 1);
    let case = Case::parse("inactive", &text).expect("it is a transcript").remove(0);
    let mut driver = Driver::new(&case, case.settings());
    driver.input(Input::SetActive(false)).expect("it may be said at any time");
    assert_eq!(play(&mut driver, &mut case.player()), Ok(()));
    assert!(driver.is_connected(), "{:?}", driver.statuses);
}

/// The resource of a session that is lost is nobody's choice: a new one comes with the login.
#[test]
fn a_session_that_is_lost_is_resumed_or_replaced_within_the_login() {
    let jid: Jid = "alice@example.org".parse().expect("it is an address");
    let settings = Settings::new(jid, Secret::password("pencil")).renewable();
    let mut connection = Connection::new(settings);
    log_in(
        &mut connection,
        "<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' \
        id='r1' resume='true'/></bound>",
    );
    let lost = Input::Lost(Error::ConnectionLost("cut off".to_owned()));
    connection.handle(Time::after(Duration::from_secs(1)), lost).expect("it may end");
    while connection.poll().is_some() {}

    connection.renew(0).expect("it is over");
    let asked = log_in(
        &mut connection,
        "<failed xmlns='urn:xmpp:sm:3' h='0'/>\
        <bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' id='r2' resume='true'/></bound>",
    );
    let resume = "<resume xmlns='urn:xmpp:sm:3' h='0' previd='r1'/>";
    let bind = "<bind xmlns='urn:xmpp:bind:0'><enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>";
    assert!(asked.ends_with(&format!("{resume}{bind}</authenticate>")), "{asked}");
    assert!(connection.session().is_resumable());
}

/// A token goes out once for each time that it is handed in: no count is sent twice.
#[test]
fn a_token_is_used_once() {
    let case = Case::named("login-fast");
    let mut driver = Driver::new(&case, case.settings().renewable());
    assert_eq!(play(&mut driver, &mut case.player()), Ok(()));
    assert_eq!(connected(&driver.statuses).mechanism.as_str(), "HT-SHA-256-NONE");
    let mut connection = driver.connection;
    for (token, expected) in [(false, "PLAIN"), (true, "HT-SHA-256-NONE")] {
        connection.renew(1_790_000_000).expect("it is over");
        let fast = case.fast().expect("it has a token");
        connection.set_memory(None); // it would begin before the offer comes
        connection.set_token(token.then(|| handed_in(fast)));
        connection.handle(Time::ZERO, Input::Opened(Channel::encrypted())).expect("it may open");
        let offer = OFFER.replace("<sm xmlns='urn:xmpp:sm:3'/>", TOKENS);
        for frame in [OPEN, &offer] {
            connection.handle(Time::ZERO, Input::Received(frame.as_bytes())).expect("it may come");
        }
        let asked = sent(&mut connection);
        let start = format!("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{expected}'>");
        assert!(asked.contains(&start), "{asked}");
        let lost = Input::Lost(Error::ConnectionLost("cut off".to_owned()));
        connection.handle(Time::ZERO, lost).expect("it may end");
        sent(&mut connection);
    }
}

/// Of a task nothing is shown but that there is one.
#[test]
fn tasks_and_tokens_are_not_shown() {
    for frame in [
        "<next xmlns='urn:xmpp:sasl:2' task='TOTP'><code xmlns='urn:x' value='hunter2'/></next>",
        "<task-data xmlns='urn:xmpp:sasl:2'><a xmlns='urn:x'><b>hunter2</b></a></task-data>",
        "<success xmlns='urn:xmpp:sasl:2'><token xmlns='urn:xmpp:fast:0' token='hunter2'/></success>",
        "<success xmlns='urn:xmpp:sasl:2'><totp xmlns='urn:x'>hunter2</totp></success>",
        "<continue xmlns='urn:xmpp:sasl:2'><additional-data>hunter2</additional-data></continue>",
        "<authenticate xmlns='urn:xmpp:sasl:2'><initial-response>hunter2</initial-response>\
         </authenticate>",
    ] {
        let shown = redacted(frame.as_bytes());
        assert!(shown.contains("[redacted]") && !shown.contains("hunter2"), "{shown}");
    }
    let success = "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>a@b/c\
        </authorization-identifier><bound xmlns='urn:xmpp:bind:0'/></success>";
    assert_eq!(redacted(success.as_bytes()), success);
}

fn handed_in(fast: Fast) -> FastToken {
    let json = format!("{fast:?}");
    assert!(!json.contains("secret-token"), "{json}");
    let mut token = FastToken::new(
        HashedToken::new("HT-SHA-256-NONE".parse().expect("it is a name"), "secret-token"),
        1_800_000_000,
        7,
    );
    token.raise();
    token
}

/// All that goes out.
fn sent(connection: &mut Connection) -> String {
    let mut text = String::new();
    while let Some(action) = connection.poll() {
        if let Action::Transmit(frame) = action {
            text += &String::from_utf8_lossy(frame.as_bytes());
        }
    }
    text
}

/// Logs in by PLAIN, and gives what was asked for.
fn log_in(connection: &mut Connection, answers: &str) -> String {
    let now = Time::ZERO;
    connection.handle(now, Input::Opened(Channel::encrypted())).expect("it was not open");
    let mut asked = String::new();
    let success = format!(
        "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>alice@example.org/x\
         </authorization-identifier>{answers}</success>"
    );
    let features = "<features xmlns='http://etherx.jabber.org/streams'/>";
    for frame in [OPEN, OFFER, success.as_str(), features] {
        connection.handle(now, Input::Received(frame.as_bytes())).expect("it may come");
        while let Some(action) = connection.poll() {
            match action {
                Action::Transmit(frame) if frame.as_bytes().starts_with(b"<authenticate") => {
                    asked = String::from_utf8_lossy(frame.as_bytes()).into_owned();
                }
                Action::Report(Status::Connected(connected)) => {
                    assert_eq!((connected.bound_by, connected.flights), (BoundBy::Login, 2));
                }
                _ => {}
            }
        }
    }
    asked
}

fn connected(statuses: &[Status]) -> &epode_proto::Connected {
    let found = statuses.iter().find_map(|status| match status {
        Status::Connected(connected) => Some(connected),
        _ => None,
    });
    found.expect("it connects")
}

const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.org' id='s' \
    version='1.0'/>";

const TOKENS: &str = "<fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism></fast>";

const OFFER: &str = "<features xmlns='http://etherx.jabber.org/streams'>\
    <authentication xmlns='urn:xmpp:sasl:2'><mechanism>PLAIN</mechanism><inline>\
    <sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline>\
    <feature var='urn:xmpp:sm:3'/></inline></bind></inline></authentication></features>";
