//! External components (XEP-0114) against the small server: what they send and receive, what they
//! are refused, and how they come back. In memory, but for the reconnection, which needs a port.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex},
    time::Duration,
};

use epode::{
    Advice, Client, ComponentBuilder, Element, Error, Pattern, Reconnect, RequestError, Session,
    Status,
    proto::{self, xml::namespaces::CLIENT},
    sasl::Channel,
    services::{disco, receipts},
    stanza::{Iq, Message},
};
use epode_testpeer::{ListenOptions, Server, SessionChannel, script::Script};
use tokio::io::{DuplexStream, duplex};

const BRIDGE: &str = "bridge.localhost";
const SECRET: &str = "a secret";

fn server() -> Server {
    Server::builder("localhost").account("alice", "secret").component(BRIDGE, SECRET).build()
}

fn component() -> ComponentBuilder {
    Client::component(BRIDGE, SECRET).expect("the domain is right")
}

/// A stream to where the server awaits components.
fn link(server: &Server) -> DuplexStream {
    let (near, far) = duplex(64 * 1024);
    let server = server.clone();
    tokio::spawn(async move { server.serve_component(far).await });
    near
}

async fn connect(server: &Server) -> Session {
    let builder = component().over(link(server), Channel::loopback());
    builder.connect().await.expect("the secret is right")
}

async fn alice(server: &Server) -> Session {
    let stream = server.memory_link(SessionChannel::encrypted());
    let builder = Client::builder("alice@localhost/a").expect("the address is right");
    let builder = builder.endpoint("wss://localhost/xmpp-websocket").expect("the URL is right");
    let builder = builder.password("secret").over(stream, Channel::encrypted());
    builder.connect().await.expect("a login")
}

fn message(to: &str, text: &str) -> Element {
    let body = Element::new("body", CLIENT).with_text(text);
    Element::new("message", CLIENT).with_attr("to", to).with_child(body)
}

fn text(stanza: &Element) -> String {
    stanza.child("body", CLIENT).expect("it has a body").text()
}

fn ping() -> Element {
    Element::new("ping", "urn:xmpp:ping")
}

#[tokio::test]
async fn messages_pass_both_ways() {
    let server = server();
    let (mut bridge, mut alice) = (connect(&server).await, alice(&server).await);
    assert_eq!((bridge.jid().as_str(), bridge.login()), (BRIDGE, None));

    alice.send(message("carol@bridge.localhost", "a < b")).await.expect("it is online");
    let heard = bridge.receive().await.expect("a message");
    assert!(heard.is("message", CLIENT));
    assert_eq!(heard.attr("to"), Some("carol@bridge.localhost"));
    assert_eq!((heard.attr("from"), text(&heard)), (Some("alice@localhost/a"), "a < b".into()));

    bridge.send(message("alice@localhost/a", "from the domain")).await.expect("it is online");
    let answer = message("alice@localhost/a", "from carol");
    bridge.send(answer.with_attr("from", "carol@bridge.localhost")).await.expect("it is online");
    for (from, words) in [(BRIDGE, "from the domain"), ("carol@bridge.localhost", "from carol")] {
        let heard = alice.receive().await.expect("a message");
        assert_eq!((heard.attr("from"), text(&heard)), (Some(from), words.into()));
    }
}

#[tokio::test]
async fn requests_are_asked_and_answered() {
    let server = server();
    let (bridge, alice) = (connect(&server).await, alice(&server).await);
    // The user, the server, and the component itself are asked.
    for to in ["alice@localhost/a", "localhost", BRIDGE] {
        let request = Iq::get(ping()).to(to.parse::<epode::Jid>().expect("an address"));
        let pong = bridge.send_iq(request).await.expect("an answer");
        assert_eq!(pong.attr("from"), Some(to));
    }
    // Pings are answered from the address that was asked, and so is what nobody handles.
    let carol: epode::Jid = "carol@bridge.localhost".parse().expect("an address");
    let pong = alice.send_iq(Iq::get(ping()).to(&carol)).await.expect("an answer");
    assert_eq!(pong.attr("from"), Some(carol.as_str()));
    let unknown = Iq::get(Element::new("query", "urn:x")).to(&carol);
    let refused = alice.send_iq(unknown).await.expect_err("nobody handles it");
    let RequestError::Refused(error) = refused else { panic!("{refused:?}") };
    assert_eq!(error.condition.as_str(), "service-unavailable");
}

/// Who asked one address hears from no other (RFC 6120, section 8.1.2.1).
#[tokio::test]
async fn each_address_speaks_for_itself() {
    let server = server();
    let (mut bridge, mut alice) = (connect(&server).await, alice(&server).await);
    let carol: epode::Jid = "carol@bridge.localhost/x".parse().expect("an address");
    let registry = disco::Registry::new("urn:x", disco::Identity::new("gateway", "sms"));
    let _answering = registry.answer(&bridge.outbox()).expect("there is room");
    let info = disco::info(&alice.outbox(), &carol, None).await.expect("an answer");
    assert_eq!(info, registry.info());

    alice.send(receipts::request(Message::chat(&carol).id("1"))).await.expect("it is online");
    let heard = bridge.receive().await.expect("a message");
    bridge.send(receipts::due(&heard).expect("it asks for one")).await.expect("it is online");
    let receipt = alice.receive().await.expect("a receipt");
    let delivered = receipts::Delivered::of(&receipt).expect("it is one");
    assert_eq!((&delivered.from, delivered.id.as_str()), (&carol, "1"));

    let message = Message::chat(alice.jid()).from(&carol).body("hello");
    bridge.send(message).await.expect("it is online");
    let heard = alice.receive().await.expect("a message");
    assert_eq!(heard.attr("from"), Some(carol.as_str()));
}

#[tokio::test]
async fn handlers_work_as_for_clients() {
    let server = server();
    let (bridge, mut alice) = (connect(&server).await, alice(&server).await);
    let outbox = bridge.outbox();
    let echo = move |stanza: Element| {
        let outbox = outbox.clone();
        async move {
            let to = stanza.attr("from").unwrap_or_default().to_owned();
            let _ = outbox.send(message(&to, &text(&stanza))).await; // the test notices
            ControlFlow::Continue(())
        }
    };
    bridge.handlers().add_async(Pattern::message(), echo).expect("there is room");
    alice.send(message(BRIDGE, "hello")).await.expect("it is online");
    assert_eq!(text(&alice.receive().await.expect("an echo")), "hello");
}

#[tokio::test]
async fn a_stanza_to_nobody_is_not_sent() {
    let bridge = connect(&server()).await;
    for stanza in ["message", "presence", "iq"] {
        let refused = bridge.send(Element::new(stanza, CLIENT)).await.expect_err("it says no `to`");
        let words = "a stanza of a component says to whom it goes";
        assert!(matches!(&refused, Error::NotSent(_)) && refused.to_string().contains(words));
    }
    bridge.send(message("alice@localhost", "x")).await.expect("the stream is as it was");
}

#[tokio::test]
async fn a_refusal_says_why() {
    let server = server();
    let _first = connect(&server).await;
    for (domain, secret, condition, advice) in [
        (BRIDGE, "another", "not-authorized", Advice::AskAgain),
        ("other.localhost", SECRET, "host-unknown", Advice::Stop),
        (BRIDGE, SECRET, "conflict", Advice::Wait),
    ] {
        let mut builder = Client::component(domain, secret)
            .expect("the domain is right")
            .over(link(&server), Channel::loopback());
        let mut statuses = builder.watch();
        let error = builder.connect().await.expect_err("it is refused");
        assert!(
            matches!(&error, Error::Connection(proto::Error::Component(_))),
            "{domain}: {error:?}"
        );
        assert_eq!((error.condition(), error.advice()), (condition, advice));
        let mut names = Vec::new();
        while let Some(status) = statuses.next().await {
            names.push(status.code().name());
        }
        assert_eq!(names, ["CONNECTING", "AUTHFAIL", "DISCONNECTED"]);
    }
}

#[tokio::test]
async fn nothing_is_said_in_the_clear() {
    let server = server();
    let open = || component().over(link(&server), Channel::plaintext());
    let error = open().connect().await.expect_err("anybody could hear it");
    assert!(matches!(&error, Error::Connection(proto::Error::Unencrypted)), "{error:?}");
    open().danger_allow_unencrypted_stream().connect().await.expect("it was said to be fine");
}

#[tokio::test]
async fn a_web_socket_is_none_of_components() {
    let url = component().endpoint("wss://localhost/xmpp-websocket").map(|_| ());
    let words = "the URL is none of components; begin it with tcp://, or with xmpps:// inside TLS";
    assert_eq!(url.expect_err("it is refused").to_string(), words);
}

#[tokio::test]
async fn the_transcript_shows_no_handshake() {
    let server = server();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&lines);
    let builder = component().over(link(&server), Channel::loopback());
    let builder = builder.transcript(move |_, line| {
        seen.lock().expect("nobody panics").push(line.to_owned());
    });
    builder.connect().await.expect("the secret is right").disconnect().await.expect("it is online");
    let lines = lines.lock().expect("nobody panics");
    assert!(lines.contains(&"<handshake>[redacted]</handshake>".to_owned()), "{lines:?}");
}

/// Stanzas of a peer that says `jabber:client` inside come out as any others.
#[tokio::test]
async fn forwarded_stanzas_are_read_in_either_namespace() {
    let script = Script::parse(
        "framing: tcp\n\
         C: <stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' to='bridge.localhost'>\n\
         S: <stream:stream xmlns='jabber:component:accept' \
         xmlns:stream='http://etherx.jabber.org/streams' id='1'>\n\
         C: <handshake xmlns='jabber:component:accept'>*</handshake>\n\
         S: <handshake/>\n\
         S: <message><forwarded xmlns='urn:xmpp:forward:0'>\
         <message xmlns='jabber:component:accept'><body>1</body></message></forwarded></message>\n\
         S: <message><forwarded xmlns='urn:xmpp:forward:0'>\
         <message xmlns='jabber:client'><body>1</body></message></forwarded></message>\n",
    );
    let script = script.expect("it is one");
    let (near, far) = duplex(1024);
    tokio::spawn(async move { script.serve(far).await });
    let builder = component().over(near, Channel::loopback());
    let mut session = builder.connect().await.expect("it is taken");
    for _ in 0..2 {
        let carrier = session.receive().await.expect("a message");
        let inner = carrier.child("forwarded", "urn:xmpp:forward:0").expect("it carries one");
        assert_eq!(text(inner.child("message", CLIENT).expect("it is a stanza")), "1");
    }
}

/// The secret is kept for that.
#[tokio::test]
async fn a_lost_component_comes_back() {
    let running = server().listen(ListenOptions::default()).await.expect("there are ports");
    let url = running.component_url().expect("there is a component").to_owned();
    let port = url.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).expect("a port");
    let mut builder = component().endpoint(&url).expect("the URL is right");
    let mut statuses = builder.watch();
    let policy = Reconnect::default().first(Duration::ZERO);
    let bridge = builder.reconnect(policy).connect().await.expect("the secret is right");
    let until = async |name: &str, statuses: &mut epode::StatusEvents| {
        while let Some(status) = statuses.next().await {
            if status.code().name() == name {
                return status;
            }
        }
        panic!("{name} never came");
    };
    let first = until("CONNECTED", &mut statuses).await;
    assert_eq!(first, Status::ComponentConnected(bridge.jid()));
    running.shutdown().await;
    until("RECONNECTING", &mut statuses).await;
    let options = ListenOptions::default().with_component_port(port);
    let running = server().listen(options).await.expect("the port is free again");
    until("CONNECTED", &mut statuses).await;
    let request = Iq::get(ping()).to("localhost".parse::<epode::Jid>().expect("an address"));
    bridge.send_iq(request).await.expect("an answer");
    bridge.disconnect().await.expect("it is online");
    running.shutdown().await;
}
