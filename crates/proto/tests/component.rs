//! The stanzas of a component (XEP-0114): from whom they are, to whom they go, and what becomes of
//! them over a lost connection. How it is let in is in the transcripts.

use epode_proto::{
    Action, ApiMisuse, Connection, Element, Error, Input, Settings, Status, Time,
    sasl::Channel,
    xml::namespaces::{CLIENT, PING},
};

const SECRET: &str = "open sesame";

const HEADER: &[u8] = b"<stream:stream xmlns='jabber:component:accept' \
    xmlns:stream='http://etherx.jabber.org/streams' id='s1'>";

/// What `sha1sum` makes of `s1open sesame`.
const HANDSHAKE: &str = "<handshake>77efb95a81500a4f6852070b11c59438a09fc7a1</handshake>";

fn component() -> Connection {
    let domain = "bridge.example.org".parse().expect("it is a domain");
    Connection::new(Settings::component(domain, SECRET).renewable())
}

fn handle(connection: &mut Connection, input: Input<'_>) {
    connection.handle(Time::ZERO, input).expect("it is the time for it");
}

/// What is sent.
fn sent(connection: &mut Connection) -> Vec<String> {
    let mut frames = Vec::new();
    while let Some(action) = connection.poll() {
        if let Action::Transmit(frame) = action {
            frames.push(String::from_utf8(frame.as_bytes().to_vec()).expect("it is text"));
        }
    }
    frames
}

fn shake_hands(connection: &mut Connection) {
    handle(connection, Input::OpenedTcp(Channel::loopback()));
    handle(connection, Input::Received(HEADER));
    assert_eq!(sent(connection)[1], HANDSHAKE);
    handle(connection, Input::Received(b"<handshake/>"));
}

fn online() -> Connection {
    let mut connection = component();
    shake_hands(&mut connection);
    assert_eq!(sent(&mut connection), [""; 0]);
    connection
}

fn message() -> Element {
    Element::new("message", CLIENT).with_attr("to", "bob@example.net")
}

#[test]
fn each_stanza_says_from_whom_it_is() {
    let mut connection = online();
    let carol = message().with_attr("from", "carol@bridge.example.org");
    for stanza in [message(), carol] {
        connection.send(Time::ZERO, stanza).expect("it is online");
    }
    assert_eq!(
        sent(&mut connection),
        [
            "<message to='bob@example.net' from='bridge.example.org'/>",
            "<message to='bob@example.net' from='carol@bridge.example.org'/>",
        ]
    );
}

#[test]
fn each_stanza_says_to_whom_it_goes() {
    let mut connection = online();
    for name in ["message", "presence", "iq"] {
        let refused: ApiMisuse =
            connection.send(Time::ZERO, Element::new(name, CLIENT)).expect_err("it says no `to`");
        let words = "wrong use of the library: a stanza of a component says to whom it goes";
        assert_eq!(refused.to_string(), words);
    }
    assert_eq!(sent(&mut connection), [""; 0]);
}

#[test]
fn stanzas_are_moved_between_the_namespaces() {
    let mut connection = online();
    let forwarded = Element::new("forwarded", "urn:xmpp:forward:0").with_child(message());
    connection.send(Time::ZERO, message().with_child(forwarded)).expect("it is online");
    assert_eq!(
        sent(&mut connection),
        ["<message to='bob@example.net' from='bridge.example.org'>\
          <forwarded xmlns='urn:xmpp:forward:0'>\
          <message xmlns='jabber:client' to='bob@example.net'/></forwarded></message>"]
    );
    handle(
        &mut connection,
        Input::Received(
            b"<message><body>1</body><x xmlns='urn:x'><y/>\
              <z xmlns='jabber:component:accept'/></x></message>",
        ),
    );
    let delivered = std::iter::from_fn(|| connection.poll()).find_map(|action| match action {
        Action::Deliver(stanza) => Some(stanza),
        _ => None,
    });
    let x = Element::new("x", "urn:x")
        .with_child(Element::new("y", "urn:x"))
        .with_child(Element::new("z", CLIENT));
    let expected = Element::new("message", CLIENT)
        .with_child(Element::new("body", CLIENT).with_text("1"))
        .with_child(x);
    assert_eq!(delivered, Some(expected));
}

#[test]
fn a_ping_is_answered_by_whom_it_was_sent_to() {
    let mut connection = online();
    let ping = format!(
        "<iq type='get' id='1' from='bob@example.net/x' to='carol@bridge.example.org'>\
         <ping xmlns='{PING}'/></iq>"
    );
    handle(&mut connection, Input::Received(ping.as_bytes()));
    assert_eq!(
        sent(&mut connection),
        ["<iq type='result' to='bob@example.net/x' from='carol@bridge.example.org' id='1'/>"]
    );
}

#[test]
fn only_a_byte_stream_will_do() {
    let jid = || "bridge.example.org".parse().expect("it is a domain");
    let encrypted = Channel::encrypted;
    for input in
        [Input::Opened(encrypted()), Input::OpenedBosh(encrypted()), Input::Attached(jid())]
    {
        let refused = component().handle(Time::ZERO, input).expect_err("it is none");
        let words = "wrong use of the library: a component speaks over a TCP stream";
        assert_eq!(refused.to_string(), words);
    }
    let mut connection = component();
    handle(&mut connection, Input::OpenedTcp(encrypted()));
    let refused = connection.handle(Time::ZERO, Input::OpenedTcp(encrypted()));
    let words = "wrong use of the library: the transport is open already";
    assert_eq!(refused.expect_err("it is open").to_string(), words);
}

/// Once more with the secret that was kept, and with the senders that were written.
#[test]
fn a_lost_connection_is_made_anew() {
    let mut connection = online();
    handle(&mut connection, Input::Lost(Error::ConnectionLost("cut off".to_owned())));
    let carol = message().with_attr("from", "carol@bridge.example.org");
    connection.send(Time::ZERO, carol).expect("it waits for the next connection");
    assert_eq!(sent(&mut connection), ["</stream:stream>"; 0]);
    connection.renew(1_800_000_000).expect("it is over");
    shake_hands(&mut connection);
    let mut statuses = Vec::new();
    let mut frames = Vec::new();
    while let Some(action) = connection.poll() {
        match action {
            Action::Report(status) => statuses.push(status),
            Action::Transmit(frame) => {
                frames.push(String::from_utf8_lossy(frame.as_bytes()).into_owned());
            }
            _ => {}
        }
    }
    let domain = "bridge.example.org".parse().expect("it is a domain");
    assert_eq!(statuses, [Status::ComponentConnected(domain)]);
    assert_eq!(frames, ["<message to='bob@example.net' from='carol@bridge.example.org'/>"]);
}

#[test]
fn the_secret_is_not_shown() {
    let domain = "bridge.example.org".parse().expect("it is a domain");
    let settings = Settings::component(domain, SECRET);
    assert!(!format!("{settings:?}").contains(SECRET));
    let shown = epode_proto::redacted(HANDSHAKE.as_bytes());
    assert_eq!(shown, "<handshake>[redacted]</handshake>");
}
