//! A login that goes along with the handshake of TLS (XEP-0484, section 3.4): what goes there, and what
//! is said again where the server did not take it.

use std::time::Duration;

use epode_proto::{
    Action, Connection, Error, Fast, FastToken, Input, SaslProfile, ServerMemory, Settings, Status,
    Time, UserAgent, UserAgentId,
    sasl::{Binding, BindingType, Channel, HashedToken, Secret, TlsVersion},
};

/// The moment, in seconds since 1970.
const NOW: u64 = 1_790_000_000;

#[test]
fn header_and_login_go_along_and_nothing_is_said_after_them() {
    let mut connection = Connection::new(settings(fast(8, "HT-SHA-256-ENDP"), &memory("true")));
    assert!(connection.may_begin_early());
    let said = opened_early(&mut connection);
    assert!(!connection.may_begin_early(), "it has begun");
    assert!(said.starts_with("<?xml version='1.0'?><stream:stream "), "{said}");
    assert!(said.contains(" from='alice@example.org'><authenticate "), "{said}");
    assert!(said.contains("mechanism='HT-SHA-256-ENDP'"), "{said}");
    assert!(said.contains("<fast xmlns='urn:xmpp:fast:0' count='8'/>"), "{said}");
    assert!(said.ends_with("</authenticate>"), "{said}");

    connection.handle(Time::ZERO, Input::SecuredEarly(channel())).expect("it has begun early");
    assert_eq!(said_by(&mut connection), "");
    let refused = "<failure xmlns='urn:xmpp:sasl:2'>\
        <not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/></failure>";
    for text in [HEADER, FEATURES, refused] {
        connection.handle(Time::ZERO, Input::Received(text.as_bytes())).expect("it may come");
    }
    let said = said_by(&mut connection);
    assert!(said.contains("mechanism='SCRAM-SHA-256-PLUS'"), "the full login comes next: {said}");
    assert!(said.starts_with("<authenticate"), "on the same stream: {said}");
}

#[test]
fn what_was_not_taken_is_not_said_again_with_the_same_count() {
    for token in [None, Some(9)] {
        let mut connection = Connection::new(settings(fast(8, "HT-SHA-256-ENDP"), &memory("true")));
        assert!(opened_early(&mut connection).contains("count='8'"));
        connection.set_token(token.map(|count| issued(count, "HT-SHA-256-ENDP")));
        connection.handle(Time::ZERO, Input::Secured(channel())).expect("the handshake is due");
        let said = said_by(&mut connection);
        assert_eq!(said.matches("<stream:stream").count(), 1, "{said}");
        assert!(!said.contains("count='8'"), "{said}");
        assert_eq!(said.contains("count='9'"), token.is_some(), "{said}");
        assert_eq!(said.contains("mechanism='SCRAM-SHA-256-PLUS'"), token.is_none(), "{said}");
    }
}

#[test]
fn nothing_goes_along_where_anything_is_missing() {
    let usable = || fast(8, "HT-SHA-256-ENDP");
    let switched_off = Fast::wanted().token(issued(8, "HT-SHA-256-ENDP"));
    let no_token = Fast::wanted().danger_early_data();
    let anothers = memory("true").to_json().replace("alice@", "bob@");
    let anothers = ServerMemory::from_json(&anothers).expect("it is right");
    for (why, fast, memory, may) in [
        ("there is no switch", switched_off, memory("true"), false),
        ("there is no token", no_token, memory("true"), false),
        ("the token is the last", usable().invalidate(), memory("true"), false),
        ("the server does not take it", usable(), memory("false"), false),
        ("it is another's memory", usable(), anothers, false),
        ("it is bound to what is not there yet", fast(8, "HT-SHA-256-EXPR"), memory("true"), true),
        ("its mechanism is not offered", fast(8, "HT-SHA-512-ENDP"), memory("true"), true),
    ] {
        let mut connection = Connection::new(settings(fast, &memory));
        assert_eq!(connection.may_begin_early(), may, "{why}");
        assert_eq!(opened_early(&mut connection), "", "{why}");
        let misuse = connection.handle(Time::ZERO, Input::SecuredEarly(channel())).unwrap_err();
        assert!(misuse.to_string().contains("encryption is not due"), "{misuse}");
        connection.handle(Time::ZERO, Input::Secured(channel())).expect("the handshake is due");
        assert!(said_by(&mut connection).contains("<stream:stream"), "{why}");
    }
    let older = settings(usable(), &memory("true")).sasl_profile(SaslProfile::Sasl1);
    assert_eq!(opened_early(&mut Connection::new(older)), "");
    let expired = settings(usable(), &memory("true")).unix_zero(2_000_000_000);
    assert_eq!(opened_early(&mut Connection::new(expired)), "");
}

#[test]
fn a_handshake_that_fails_ends_it() {
    let mut connection = Connection::new(settings(fast(8, "HT-SHA-256-ENDP"), &memory("true")));
    opened_early(&mut connection);
    let lost = Input::Lost(Error::ConnectionLost("cut off".to_owned()));
    connection.handle(Time::after(Duration::from_secs(1)), lost).expect("it may end");
    assert_eq!(said_by(&mut connection), "", "there is nobody to say goodbye to");
}

#[test]
fn it_is_told_that_the_login_went_early() {
    let mut connection = Connection::new(settings(fast(8, "HT-SHA-256-ENDP"), &memory("true")));
    connection.handle(Time::ZERO, Input::OpenedEarly(early())).expect("it may open");
    let mut told = Vec::new();
    while let Some(action) = connection.poll() {
        if let Action::Report(status) = action {
            told.push(status.to_string());
        }
    }
    let expected = "AUTHENTICATING 3 HT-SHA-256-ENDP by tls-server-end-point in early data";
    assert_eq!(told, ["CONNECTING 1", expected]);
}

/// Opens it before the handshake; what is said then. The handshake is due next.
fn opened_early(connection: &mut Connection) -> String {
    connection.handle(Time::ZERO, Input::OpenedEarly(early())).expect("it may open");
    let (mut said, mut is_due) = (String::new(), false);
    while let Some(action) = connection.poll() {
        match action {
            Action::Transmit(frame) => {
                assert!(!is_due, "it would not go along");
                said += &String::from_utf8_lossy(frame.as_bytes());
            }
            Action::Secure => is_due = true,
            Action::Report(Status::Connecting | Status::Authenticating(_))
            | Action::WakeAt(_)
            | Action::ForgetToken => {}
            other => panic!("not yet: {other:?}"),
        }
    }
    assert!(is_due);
    assert!(!said.contains("pencil") && !said.contains("SCRAM"), "{said}");
    said
}

fn said_by(connection: &mut Connection) -> String {
    let mut said = String::new();
    while let Some(action) = connection.poll() {
        if let Action::Transmit(frame) = action {
            said += &String::from_utf8_lossy(frame.as_bytes());
        }
    }
    said
}

fn settings(fast: Fast, memory: &ServerMemory) -> Settings {
    let id: UserAgentId = "d4565fa7-4d72-4749-b3d3-740edbf87770".parse().expect("it is an id");
    Settings::new(
        "alice@example.org".parse().expect("it is an address"),
        Secret::password("pencil"),
    )
    .user_agent(UserAgent::default().id(id))
    .unix_zero(NOW)
    .memory(memory.clone())
    .fast(fast)
}

fn fast(count: u64, mechanism: &str) -> Fast {
    Fast::wanted().token(issued(count, mechanism)).danger_early_data()
}

fn issued(count: u64, mechanism: &str) -> FastToken {
    let mechanism = mechanism.parse().expect("it is a name");
    FastToken::new(HashedToken::new(mechanism, "of the server"), NOW + 1000, count)
}

fn memory(early: &str) -> ServerMemory {
    let json = format!(
        r#"{{"version":1,"account":"alice@example.org","offer":{{"mechanisms":[],
        "channel_bindings":["tls-exporter","tls-server-end-point"],"sasl2":
        {{"mechanisms":["SCRAM-SHA-256-PLUS"],"bind2":[],"fast":
        {{"mechanisms":["HT-SHA-256-EXPR","HT-SHA-256-ENDP"],"tls_0rtt":{early}}}}}}}}}"#
    );
    ServerMemory::from_json(&json).expect("it is right")
}

fn channel() -> Channel {
    let channel = Channel::encrypted().with_tls_version(TlsVersion::Tls13);
    BindingType::ALL.into_iter().fold(channel, |channel, kind| {
        channel.with_binding(Binding::new(kind, "what both ends know"))
    })
}

fn early() -> Channel {
    channel().in_early_data()
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' from='example.org' id='s' version='1.0'>";

const FEATURES: &str = "<stream:features><authentication xmlns='urn:xmpp:sasl:2'>\
    <mechanism>SCRAM-SHA-256-PLUS</mechanism><inline>\
    <bind xmlns='urn:xmpp:bind:0'><inline/></bind>\
    <fast xmlns='urn:xmpp:fast:0' tls-0rtt='true'><mechanism>HT-SHA-256-EXPR</mechanism>\
    <mechanism>HT-SHA-256-ENDP</mechanism></fast></inline></authentication>\
    <sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'><channel-binding type='tls-exporter'/>\
    <channel-binding type='tls-server-end-point'/></sasl-channel-binding></stream:features>";
