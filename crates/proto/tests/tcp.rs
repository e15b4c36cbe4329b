//! Streams over TCP: framing, STARTTLS, and what may not happen between the two.

use std::time::Duration;

use epode_proto::{
    Action, Connection, Error, Input, PeerFault, Phase, Settings, Status, StatusCode, Time, Wait,
    framing::FrameError,
    sasl::{Channel, Secret},
};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
    xmlns:stream='http://etherx.jabber.org/streams' id='1' from='localhost' version='1.0'>";
const STARTTLS: &str = "<stream:features>\
    <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
    <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>\
    </stream:features>";
const PLAIN: &str = "<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    <mechanism>PLAIN</mechanism></mechanisms></stream:features>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const SUCCESS: &str = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
const BIND: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
    </stream:features>";

/// A connection, and what it has wanted since it was last asked.
struct Client {
    connection: Connection,
    sent: String,
    statuses: Vec<Status>,
    secures: bool,
    wakes: Option<Time>,
}

impl Client {
    fn new() -> Self {
        Self::with(Settings::new("alice@localhost".parse().unwrap(), Secret::password("secret")))
    }

    fn with(settings: Settings) -> Self {
        let connection = Connection::new(settings);
        let (sent, statuses) = (String::new(), Vec::new());
        Self { connection, sent, statuses, secures: false, wakes: None }
    }

    fn take(&mut self, input: Input<'_>) {
        self.at(Time::ZERO, input);
    }

    fn at(&mut self, now: Time, input: Input<'_>) {
        self.connection.handle(now, input).expect("the input is due");
        while let Some(action) = self.connection.poll() {
            match action {
                Action::Transmit(frame) => {
                    self.sent.push_str(std::str::from_utf8(frame.as_bytes()).unwrap());
                }
                Action::Report(status) => self.statuses.push(status),
                Action::Secure => self.secures = true,
                Action::WakeAt(time) => self.wakes = Some(time),
                Action::Disconnect => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn hear(&mut self, text: &str) {
        self.take(Input::Received(text.as_bytes()));
    }

    fn sent(&mut self) -> String {
        std::mem::take(&mut self.sent)
    }

    fn ends_with(&self, code: StatusCode, fault: PeerFault) {
        let error = Error::PeerMisbehaved(fault);
        let [.., news, end] = self.statuses.as_slice() else { panic!("{:?}", self.statuses) };
        assert_eq!((news.code(), news.error()), (code, Some(&error)));
        assert_eq!(end, &Status::Disconnected(Some(error)));
        assert_eq!(self.connection.phase(), Phase::Closed);
    }
}

#[test]
fn a_stream_is_encrypted_before_anything_else_is_said() {
    let mut client = Client::new();
    client.take(Input::OpenedTcp(Channel::plaintext()));
    assert!(client.sent().starts_with("<?xml version='1.0'?><stream:stream "));
    client.hear(HEADER);
    client.hear(STARTTLS);
    assert_eq!(client.sent(), "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    client.hear(PROCEED);
    assert!(client.secures);
    assert_eq!(client.connection.phase(), Phase::Secured);
    client.take(Input::Secured(Channel::encrypted()));
    assert!(client.sent().contains("<stream:stream "));
    client.hear(&format!("{HEADER}{PLAIN}"));
    assert!(client.sent().contains("mechanism='PLAIN'"));
    client.hear(SUCCESS);
    client.hear(&format!("{HEADER}{BIND}"));
    let request = client.sent();
    let id = request.split("id='").nth(1).unwrap().split('\'').next().unwrap();
    client.hear(&format!(
        "<iq type='result' id='{id}'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
         <jid>alice@localhost/1</jid></bind></iq>"
    ));
    let Some(Status::Connected(connected)) = client.statuses.last() else { panic!("not yet") };
    assert_eq!(connected.jid.to_string(), "alice@localhost/1");
    assert_eq!(connected.flights, 6);
    client.take(Input::Close);
    assert_eq!(client.sent(), "</stream:stream>");
    client.hear("</stream:stream>");
    assert_eq!(client.statuses.last(), Some(&Status::Disconnected(None)));
}

#[test]
fn bytes_may_arrive_one_at_a_time() {
    let mut client = Client::new();
    client.take(Input::OpenedTcp(Channel::encrypted()));
    for byte in format!("{HEADER}{PLAIN}").bytes() {
        client.take(Input::Received(&[byte]));
    }
    assert_eq!(client.connection.phase(), Phase::SaslReply);
}

#[test]
fn an_offer_that_was_taken_away_is_no_reason_to_go_on_in_the_clear() {
    for channel in [Channel::plaintext(), Channel::loopback()] {
        let mut client = Client::new();
        client.take(Input::OpenedTcp(channel));
        client.hear(&format!("{HEADER}{PLAIN}"));
        client.ends_with(StatusCode::ConnFail, PeerFault::StartTlsNotOffered);
        assert!(!client.sent().contains("PLAIN"));
    }
}

#[test]
fn danger_goes_on_in_the_clear_but_takes_encryption_where_it_is_offered() {
    let settings = || {
        let settings =
            Settings::new("alice@localhost".parse().unwrap(), Secret::password("secret"));
        settings.danger_allow_unencrypted_stream()
    };
    let mut client = Client::with(settings());
    client.take(Input::OpenedTcp(Channel::loopback()));
    client.hear(&format!("{HEADER}{PLAIN}"));
    assert_eq!(client.connection.phase(), Phase::SaslReply);
    let mut client = Client::with(settings());
    client.take(Input::OpenedTcp(Channel::loopback()));
    client.hear(&format!("{HEADER}{STARTTLS}"));
    assert_eq!(client.connection.phase(), Phase::Proceed);
}

#[test]
fn nothing_said_before_the_handshake_is_carried_over() {
    for injected in [PLAIN, "<iq type='result' id='1'/>", "<", "x", "</stream:stream>"] {
        let mut client = Client::new();
        client.take(Input::OpenedTcp(Channel::plaintext()));
        client.hear(&format!("{HEADER}{STARTTLS}"));
        client.sent();
        client.hear(&format!("{PROCEED}{injected}"));
        let fault = PeerFault::Frame(FrameError::BytesBeforeRestart);
        client.ends_with(StatusCode::ConnFail, fault);
        assert!(!client.secures, "{injected}");
        assert_eq!(client.sent(), "</stream:stream>", "{injected}");
    }
}

#[test]
fn what_is_not_consent_is_refused() {
    let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    let foreign = "<proceed xmlns='urn:example'/>";
    let early = SUCCESS;
    let unexpected = |name: &str, namespace: &str| PeerFault::Unexpected {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        wait: Wait::Proceed,
    };
    for (reply, fault) in [
        (failure, PeerFault::StartTlsRefused),
        (foreign, unexpected("proceed", "urn:example")),
        (early, unexpected("success", "urn:ietf:params:xml:ns:xmpp-sasl")),
    ] {
        let mut client = Client::new();
        client.take(Input::OpenedTcp(Channel::plaintext()));
        client.hear(&format!("{HEADER}{STARTTLS}{reply}"));
        client.ends_with(StatusCode::ConnFail, fault);
        assert!(!client.secures);
    }
}

#[test]
fn a_stream_that_breaks_off_while_it_is_closing_ends() {
    let mut client = Client::new();
    client.take(Input::OpenedTcp(Channel::encrypted()));
    client.hear(&format!("{HEADER}{PLAIN}"));
    client.hear("<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure><<");
    assert_eq!(client.connection.phase(), Phase::Closed);
}

#[test]
fn the_handshake_has_a_deadline() {
    let mut client = Client::new();
    client.take(Input::OpenedTcp(Channel::plaintext()));
    client.hear(&format!("{HEADER}{STARTTLS}{PROCEED}"));
    let due = client.wakes.unwrap();
    client.at(due + Duration::from_millis(1), Input::Tick);
    let error = Error::TimedOut(Wait::Secured);
    assert_eq!(client.statuses.last(), Some(&Status::Disconnected(Some(error))));
}
