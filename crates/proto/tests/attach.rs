//! A connection whose session was logged in elsewhere: taken over, refused, handed over.

use epode_proto::{
    Action, Connection, Element, Error, Input, Jid, Phase, Settings, Status, StatusCode, Time,
    bosh::{Condition, End, Failure},
    sasl::Secret,
};

struct Client {
    connection: Connection,
    statuses: Vec<Status>,
    sent: Vec<String>,
    delivered: Vec<Element>,
    unmanaged: Vec<u64>,
    is_over: bool,
}

impl Client {
    fn new() -> Self {
        let settings = Settings::new(jid(), Secret::None);
        let connection = Connection::new(settings);
        let (statuses, sent, delivered) = (Vec::new(), Vec::new(), Vec::new());
        Self { connection, statuses, sent, delivered, unmanaged: Vec::new(), is_over: false }
    }

    fn attached() -> Self {
        let mut client = Self::new();
        client.take(Input::Attached(jid()));
        client
    }

    fn take(&mut self, input: Input<'_>) {
        self.connection.handle(Time::ZERO, input).expect("it is allowed");
        while let Some(action) = self.connection.poll() {
            match action {
                Action::Transmit(frame) => {
                    self.sent.push(String::from_utf8(frame.as_bytes().to_vec()).unwrap());
                }
                Action::Report(status) => self.statuses.push(status),
                Action::Deliver(element) => self.delivered.push(element),
                Action::Unmanaged(number) => self.unmanaged.push(number),
                Action::WakeAt(_) | Action::Sent(_) => {}
                Action::Disconnect => self.is_over = true,
                other => panic!("not expected: {other:?}"),
            }
        }
    }

    fn codes(&self) -> Vec<StatusCode> {
        self.statuses.iter().map(Status::code).collect()
    }
}

fn jid() -> Jid {
    "alice@example.org/web".parse().unwrap()
}

#[test]
fn stanzas_pass_at_once_and_the_stream_can_be_closed() {
    use StatusCode::{Attached, Connecting, Disconnected, Disconnecting};

    let mut client = Client::attached();
    assert_eq!(client.statuses[1..], [Status::Attached(jid())]);
    assert_eq!(client.statuses[1].to_string(), "ATTACHED 8 alice@example.org/web");
    assert_eq!(client.connection.phase(), Phase::Online);
    client.take(Input::Send(Element::new("presence", "jabber:client")));
    assert_eq!((client.sent.len(), &client.unmanaged[..]), (1, &[1][..]), "nobody counts");
    client.take(Input::Received(b"<message xmlns='jabber:client'/>"));
    assert_eq!(client.delivered.len(), 1);
    client.take(Input::Close);
    client.take(Input::Received(b"<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"));
    assert_eq!(client.codes(), [Connecting, Attached, Disconnecting, Disconnected]);
    assert_eq!(client.sent.len(), 2);
    assert!(client.sent[1].starts_with("<close "));
    assert!(client.is_over);
}

#[test]
fn a_session_that_cannot_be_taken_over_is_told_with_its_reason() {
    use StatusCode::{AttachFail, Connecting, Disconnected};

    for (error, condition) in [
        (Error::Bosh(End::Terminated(Condition::ItemNotFound)), "item-not-found"),
        (Error::Bosh(End::Refused { status: 404, condition: None }), "bad-service"),
        (Error::Unreachable("nobody listens".to_owned()), "connection-failed"),
    ] {
        let mut client = Client::new();
        client.take(Input::NotAttached(error.clone()));
        assert_eq!(client.codes(), [Connecting, AttachFail, Disconnected]);
        assert_eq!(client.statuses[1].error(), Some(&error));
        assert_eq!(client.statuses[1].error().unwrap().condition(), condition);
        assert_eq!(client.statuses[2], Status::Disconnected(Some(error)));
        assert!(client.sent.is_empty() && client.is_over);
    }
}

#[test]
fn a_session_is_handed_over_without_a_word() {
    use StatusCode::{Attached, Connecting, Disconnected};

    let mut client = Client::attached();
    client.take(Input::HandedOver);
    assert_eq!(client.codes(), [Connecting, Attached, Disconnected]);
    assert_eq!(client.statuses[2], Status::Disconnected(None));
    assert!(client.sent.is_empty() && client.is_over);
}

#[test]
fn the_end_of_a_session_is_told_in_its_own_words() {
    let ends = [
        End::Terminated(Condition::SystemShutdown),
        End::GaveUp { attempts: 5, last: Failure::Broken },
    ];
    for end in ends {
        let mut client = Client::attached();
        client.take(Input::Lost(Error::Bosh(end.clone())));
        let Some(Status::Disconnected(Some(error))) = client.statuses.last() else { panic!() };
        assert_eq!(error, &Error::Bosh(end.clone()));
        assert_eq!(error.to_string(), end.to_string());
        assert!(client.sent.is_empty() && client.is_over);
    }
}
