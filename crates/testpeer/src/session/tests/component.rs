//! External components: handshakes, and stanzas in both directions.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::session::component::ComponentSession;

fn with_component() -> Server {
    builder().component("bridge.example.org", "s3cret").build()
}

fn header(to: &str) -> String {
    format!(
        "<stream:stream xmlns='jabber:component:accept' to='{to}' \
         xmlns:stream='http://etherx.jabber.org/streams'>"
    )
}

/// Opens a stream; gives its id.
fn opened(server: &Server) -> (ComponentSession, String) {
    let mut session = server.component_session();
    let reply = session.receive(header("bridge.example.org").as_bytes());
    assert!(reply.contains("xmlns='jabber:component:accept'"), "{reply}");
    assert!(reply.contains("from='bridge.example.org'"), "{reply}");
    let (_, rest) = reply.split_once("id='").unwrap();
    let id = rest.split_once('\'').unwrap().0.to_owned();
    (session, id)
}

fn handshake(id: &str, secret: &str) -> String {
    let digest = Hash::Sha1.digest(format!("{id}{secret}").as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<handshake>{digest}</handshake>")
}

fn connected(server: &Server) -> ComponentSession {
    let (mut session, id) = opened(server);
    let reply = session.receive(handshake(&id, "s3cret").as_bytes());
    assert_eq!(reply, "<handshake xmlns='jabber:component:accept'/>");
    assert!(session.is_established());
    session
}

#[track_caller]
fn assert_ended(session: &ComponentSession, reply: &str, condition: &str) {
    assert!(reply.contains(&format!("<{condition} xmlns='{}'/>", namespaces::STREAMS)), "{reply}");
    assert!(reply.ends_with("</stream:stream>"), "{reply}");
    assert!(session.is_closed());
}

/// What is sent to a component next, if there is anything now.
fn delivered(session: &mut ComponentSession) -> Option<String> {
    let polled = pin!(session.delivery()).poll(&mut Context::from_waker(Waker::noop()));
    match polled {
        Poll::Ready(delivery) => Some(session.deliver(delivery)),
        Poll::Pending => None,
    }
}

#[test]
fn a_component_shows_that_it_knows_the_secret() {
    let server = with_component();
    connected(&server);
    let (_, id) = opened(&server);
    for (handshake, condition) in [
        (handshake(&id, "s3cret"), "not-authorized"),
        (handshake("", "s3cret"), "not-authorized"),
        ("<handshake/>".to_owned(), "not-authorized"),
        ("<message from='bridge.example.org' to='example.org'/>".to_owned(), "not-authorized"),
        ("<handshake xmlns='jabber:client'/>".to_owned(), "invalid-namespace"),
    ] {
        let (mut session, _) = opened(&server);
        let reply = session.receive(handshake.as_bytes());
        assert_ended(&session, &reply, condition);
    }
    let (mut session, id) = opened(&server);
    let upper = handshake(&id, "s3cret").to_uppercase().replace("HANDSHAKE", "handshake");
    let reply = session.receive(upper.as_bytes());
    assert_ended(&session, &reply, "not-authorized");
}

#[test]
fn nobody_else_is_served() {
    let server = with_component();
    for to in ["example.org", "other.example.org", ""] {
        let mut session = server.component_session();
        let reply = session.receive(header(to).as_bytes());
        assert!(reply.starts_with("<?xml"), "an error needs a stream");
        assert_ended(&session, &reply, "host-unknown");
    }
    for (bytes, condition) in
        [("<a/>", "bad-format"), ("< ", "not-well-formed"), ("<!--", "restricted-xml")]
    {
        let mut session = server.component_session();
        let reply = session.receive(bytes.as_bytes());
        assert!(reply.starts_with("<?xml"), "an error needs a stream");
        assert_ended(&session, &reply, condition);
    }
    let first = connected(&server);
    let (mut second, id) = opened(&server);
    let reply = second.receive(handshake(&id, "s3cret").as_bytes());
    assert_ended(&second, &reply, "conflict");
    drop(first);
    connected(&server);
}

#[test]
fn stanzas_go_both_ways() {
    let server = with_component();
    let mut alice = online(&server, "alice", "pencil", "a");
    let message = "<message xmlns='jabber:client' to='room@bridge.example.org/x' id='1'>\
                   <body>hi</body><x xmlns='urn:example' a='b'/></message>";
    assert_error(&ask(&mut alice, message), "service-unavailable");
    let elsewhere = message.replace("bridge", "other");
    assert_error(&ask(&mut alice, &elsewhere), "remote-server-not-found");

    let mut bridge = connected(&server);
    assert!(alice.receive(message).is_empty());
    let received = Element::parse(&delivered(&mut bridge).unwrap()).unwrap();
    let expected = "<message xmlns='jabber:component:accept' to='room@bridge.example.org/x' \
                    id='1' from='alice@example.org/a'>\
                    <body>hi</body><x xmlns='urn:example' a='b'/></message>";
    assert_eq!(received, Element::parse(expected).unwrap());
    assert_eq!(delivered(&mut bridge), None);

    let reply = "<message from='room@bridge.example.org/x' to='alice@example.org/a'>\
                 <body>hello</body></message>";
    assert_eq!(bridge.receive(reply.as_bytes()), "");
    let received = parse(alice.take_routed());
    assert!(received[0].is("message", namespaces::CLIENT));
    assert_eq!(received[0].child("body", namespaces::CLIENT).unwrap().text(), "hello");

    let ping = "<iq type='get' id='p' from='bridge.example.org' to='example.org'>\
                <ping xmlns='urn:xmpp:ping'/></iq>";
    let pong = Element::parse(&bridge.receive(ping.as_bytes())).unwrap();
    assert!(pong.is("iq", "jabber:component:accept"), "{pong}");
    assert_eq!((pong.attr("type"), pong.attr("to")), (Some("result"), Some("bridge.example.org")));

    let items = "<iq xmlns='jabber:client' type='get' id='d' to='example.org'>\
                 <query xmlns='http://jabber.org/protocol/disco#items'/></iq>";
    let items = ask(&mut alice, items);
    let item = items.children().next().unwrap().children().next().unwrap();
    assert_eq!(item.attr("jid"), Some("bridge.example.org"));
}

#[test]
fn a_component_keeps_to_its_domain_and_to_stanzas() {
    let server = with_component();
    for (element, condition) in [
        ("<message from='alice@example.org' to='bob@example.org'/>", "invalid-from"),
        ("<message from='x@sub.bridge.example.org' to='bob@example.org'/>", "invalid-from"),
        ("<message from='@' to='bob@example.org'/>", "invalid-from"),
        ("<message to='bob@example.org'/>", "improper-addressing"),
        ("<message from='bridge.example.org'/>", "improper-addressing"),
        ("<handshake/>", "unsupported-stanza-type"),
        (
            "<message xmlns='jabber:client' from='bridge.example.org' to='bob@example.org'/>",
            "unsupported-stanza-type",
        ),
        ("</message>", "not-well-formed"),
    ] {
        let mut bridge = connected(&server);
        let reply = bridge.receive(element.as_bytes());
        assert_ended(&bridge, &reply, condition);
    }
    let mut bridge = connected(&server);
    for (to, condition) in [
        ("bob@example.org", "service-unavailable"),
        ("x@other.example.org", "remote-server-not-found"),
        ("@example.org", "jid-malformed"),
    ] {
        let message = format!("<message from='x@bridge.example.org' to='{to}'/>");
        let reply = bridge.receive(message.as_bytes());
        assert!(reply.starts_with("<message xmlns='jabber:component:accept'"), "{reply}");
        assert!(reply.contains(&format!("<{condition} xmlns=")), "{reply}");
        assert!(!reply.contains("jabber:client"), "{reply}");
    }
    let empty = "<iq type='get' id='1' from='bridge.example.org' to='example.org'/>";
    assert!(bridge.receive(empty.as_bytes()).contains("<bad-request "));
    assert_eq!(bridge.receive(b"</stream:stream>"), "</stream:stream>");
}

#[test]
fn a_component_that_does_not_read_loses_its_place() {
    let limits = Limits { mailbox: 1, ..Limits::default() };
    let server = builder().limits(limits).component("bridge.example.org", "s3cret").build();
    let mut alice = online(&server, "alice", "pencil", "a");
    let mut bridge = connected(&server);
    let message = "<message xmlns='jabber:client' to='bridge.example.org'/>";
    assert!(alice.receive(message).is_empty());
    assert_error(&ask(&mut alice, message), "service-unavailable");
    let next = connected(&server);
    assert!(delivered(&mut bridge).unwrap().starts_with("<message "));
    let end = delivered(&mut bridge).unwrap();
    assert_ended(&bridge, &end, "resource-constraint");
    drop(bridge);
    assert!(alice.receive(message).is_empty(), "the next one is still there");
    drop(next);
    assert_error(&ask(&mut alice, message), "service-unavailable");
}

#[test]
#[should_panic(expected = "should be a domain of its own")]
fn a_component_has_a_domain_of_its_own() {
    let _ = builder().component("Example.org", "s3cret");
}

#[test]
fn secrets_of_components_are_not_shown() {
    assert!(!format!("{:?}", with_component()).contains("s3cret"));
    assert!(!format!("{:?}", builder().component("a.example.org", "s3cret")).contains("s3cret"));
}
