//! Sessions that outlive their connections: on loopback ports, through a proxy that cuts
//! connections when it is told to.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

use std::{
    net::Ipv4Addr,
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use epode::{
    Builder, Client, Delivery, Element, Endpoint, Error, Jid, MemoryPins, MemorySessions,
    NotDelivered, Pattern, PinStore, PinStoreError, ProxySettings, Reconnect, RequestError,
    Session, SessionState, SessionStore, Status, StatusCode, StatusEvents, StoredSession,
    StreamManagement,
    sasl::Pin,
    stanza::{Iq, Message, Presence, body},
};
use epode_testpeer::{
    ListenOptions, Running, Server, ServerBuilder, listen_script, script::Script,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

const PASSWORD: &str = "correct horse";

fn server() -> ServerBuilder {
    Server::builder("localhost").account("alice", PASSWORD).account("bob", PASSWORD)
}

/// A server, and a way to it that can be cut.
struct Peer {
    running: Running,
    line: Line,
}

/// A port that leads to another one, as long as nobody cuts it.
struct Line {
    port: u16,
    target: watch::Sender<u16>,
    cuts: watch::Sender<u32>,
}

impl Line {
    async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (target, goes_to) = watch::channel(target);
        let (cuts, cut) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (target, mut cut) = (*goes_to.borrow(), cut.clone());
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await
                    else {
                        return;
                    };
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { port, target, cuts }
    }

    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Peer {
    async fn start(server: ServerBuilder) -> Self {
        let running = server.build().listen(ListenOptions::default()).await.unwrap();
        let line = Line::to(running.starttls().port()).await;
        Self { running, line }
    }

    fn client(&self, jid: &str) -> Builder {
        let endpoint = format!("xmpp://127.0.0.1:{}", self.line.port);
        Client::builder(jid)
            .unwrap()
            .endpoint(&endpoint)
            .unwrap()
            .ca_pem(self.running.ca_pem())
            .unwrap()
            .proxies(ProxySettings::none())
            .password(PASSWORD)
            .reconnect(soon())
            .stream_management(Some(StreamManagement::default().every(1)))
    }
}

fn soon() -> Reconnect {
    Reconnect::default().first(Duration::from_millis(1)).longest(Duration::from_millis(10))
}

/// Two servers, a line to the first, and a client on it that comes back.
async fn led_to_the_first(servers: [Server; 2]) -> ([Running; 2], Line, Builder) {
    let [first, second] =
        servers.map(|server| async move { server.listen(ListenOptions::default()).await.unwrap() });
    let running = [first.await, second.await];
    let line = Line::to(ws_port(&running[0])).await;
    let url = format!("ws://127.0.0.1:{}/xmpp-websocket", line.port);
    let builder = Client::builder("alice@localhost/desk").unwrap().endpoint(&url).unwrap();
    let builder = builder.proxies(ProxySettings::none()).password(PASSWORD).reconnect(soon());
    (running, line, builder)
}

fn ws_port(running: &Running) -> u16 {
    running.ws_url().parse::<Endpoint>().unwrap().port()
}

fn note(to: &Jid, text: &str) -> Message {
    Message::chat(to).body(text)
}

async fn next_body(session: &mut Session) -> String {
    let stanza = session.receive().await.expect("the session goes on");
    body(&stanza, &[]).expect("it says something").to_owned()
}

/// Up to the next of this kind, that one included.
async fn until(events: &mut StatusEvents, code: StatusCode) -> Vec<Status> {
    let mut statuses = Vec::new();
    while let Some(status) = events.next().await {
        statuses.push(status);
        if statuses.last().map(Status::code) == Some(code) {
            return statuses;
        }
    }
    panic!("{code} never came after {statuses:?}");
}

fn codes(statuses: &[Status]) -> Vec<StatusCode> {
    statuses.iter().map(Status::code).collect()
}

fn is_resumed(statuses: &[Status]) -> bool {
    matches!(statuses.last(), Some(Status::Connected(connected)) if connected.resumed)
}

/// Which of them is resumed is known to the server once it has counted.
async fn wait_until_managed(session: &Session) {
    let me = session.jid();
    let mut receipt = session.send(note(&me, "first")).await.unwrap();
    receipt.acknowledged().await.unwrap();
}

#[tokio::test]
async fn a_session_goes_on_where_its_connection_broke() {
    use StatusCode::{Authenticating, Connected, Connecting, Reconnecting};

    let peer = Peer::start(server()).await;
    let mut builder = peer.client("alice@localhost/desk");
    let mut events = builder.watch();
    let mut session = builder.connect().await.unwrap();
    until(&mut events, Connected).await;
    wait_until_managed(&session).await;
    assert_eq!(next_body(&mut session).await, "first");
    let me = session.jid();
    for round in 0..5 {
        peer.line.cut();
        let mut receipt = session.send(note(&me, &format!("round {round}"))).await.unwrap();
        let statuses = until(&mut events, Connected).await;
        assert_eq!(codes(&statuses), [Reconnecting, Connecting, Authenticating, Connected]);
        assert!(is_resumed(&statuses), "{statuses:?}");
        receipt.acknowledged().await.unwrap();
        assert_eq!(receipt.delivery(), Delivery::Acknowledged);
        assert_eq!(next_body(&mut session).await, format!("round {round}"));
    }
    assert_eq!(session.jid(), me);
    session.disconnect().await.unwrap();
    let rest = until(&mut events, StatusCode::Disconnected).await;
    assert_eq!(codes(&rest), [StatusCode::Disconnecting, StatusCode::Disconnected]);
}

#[tokio::test]
async fn requests_survive_a_resume() {
    let peer = Peer::start(server()).await;
    let session = peer.client("alice@localhost/desk").connect().await.unwrap();
    let bob = peer.client("bob@localhost/desk").connect().await.unwrap();
    let (asked, mut arrived) = watch::channel(false);
    let outbox = bob.outbox();
    let line = peer.line.cuts.clone();
    let answering = bob.handlers().add_async(Pattern::iq().namespace("urn:x"), move |request| {
        let (outbox, asked, line) = (outbox.clone(), asked.clone(), line.clone());
        async move {
            line.send_modify(|cuts| *cuts += 1); // the answer finds no connection
            asked.send_replace(true);
            outbox.send(Iq::result(&request)).await.unwrap();
            ControlFlow::Continue(())
        }
    });
    answering.unwrap();
    wait_until_managed(&session).await;
    wait_until_managed(&bob).await;
    let request = Iq::get(Element::new("question", "urn:x")).to(bob.jid());
    let answer = session.send_iq(request).await.unwrap();
    assert_eq!(answer.attr("type"), Some("result"));
    assert!(*arrived.borrow_and_update());
}

#[tokio::test]
async fn a_server_without_stream_management_gives_a_new_session() {
    let peer = Peer::start(server().without_stream_management()).await;
    let mut builder = peer.client("alice@localhost/desk");
    let mut events = builder.watch();
    let mut session = builder.connect().await.unwrap();
    let me = session.jid();
    let mut receipt = session.send(note(&me, "sent")).await.unwrap();
    assert_eq!(receipt.acknowledged().await, Err(NotDelivered::Unknown));
    assert_eq!(next_body(&mut session).await, "sent");
    session.send(Presence::available().status("here")).await.unwrap();
    assert_eq!(session.receive().await.unwrap().name(), "presence");

    let outbox = session.outbox();
    let stays =
        session.handlers().add(Pattern::iq().namespace("urn:x"), |_| ControlFlow::Continue(()));
    stays.unwrap();
    let request = Iq::get(Element::new("nobody-answers", "urn:x")).to(me.clone());
    let waiting = tokio::spawn(async move { outbox.send_iq(request).await });
    until(&mut events, StatusCode::Connected).await;
    wait_for_the_request(&session).await;
    peer.line.cut();
    let statuses = until(&mut events, StatusCode::Connected).await;
    assert!(!is_resumed(&statuses));
    assert_eq!(waiting.await.unwrap(), Err(RequestError::SessionLost));
    let presence = session.receive().await.unwrap();
    assert_eq!(presence.child("status", "jabber:client").unwrap().text(), "here");
}

/// A message that was sent after a request arrives after it.
async fn wait_for_the_request(session: &Session) {
    let (arrived, mut arrival) = watch::channel(false);
    let pattern = Pattern::message().id("after-the-request");
    let waits = session.handlers().add(pattern, move |_| {
        arrived.send_replace(true);
        ControlFlow::Break(())
    });
    waits.unwrap();
    tokio::task::yield_now().await;
    session.send(note(&session.jid(), "now").id("after-the-request")).await.unwrap();
    arrival.wait_for(|arrived| *arrived).await.unwrap();
}

#[tokio::test]
async fn a_password_that_is_wrong_now_is_tried_once() {
    use StatusCode::{AuthFail, Authenticating, Connected, Connecting, Disconnected, Reconnecting};

    let servers = [PASSWORD, "another"]
        .map(|password| Server::builder("localhost").account("alice", password).build());
    let ([_running, other], line, mut builder) = led_to_the_first(servers).await;
    let mut events = builder.watch();
    let session = builder.connect().await.unwrap();
    until(&mut events, Connected).await;
    line.target.send_replace(ws_port(&other));
    line.cut();
    let statuses = until(&mut events, Disconnected).await;
    let expected = [Reconnecting, Connecting, Authenticating, AuthFail, Disconnected];
    assert_eq!(codes(&statuses), expected, "{statuses:?}");
    let end = session.ended().await.expect("it was not asked for");
    assert_eq!(end.condition(), "not-authorized");
}

#[tokio::test]
async fn a_server_that_has_salted_anew_has_the_session_again() {
    let servers = [4096, 5000].map(|iterations| {
        let server = Server::builder("localhost").account("alice", PASSWORD);
        server.iterations(iterations).build()
    });
    let ([running, other], line, mut builder) = led_to_the_first(servers).await;
    let mut events = builder.watch();
    let session = builder.connect().await.unwrap();
    until(&mut events, StatusCode::Connected).await;
    for there in [&other, &running] {
        line.target.send_replace(ws_port(there));
        line.cut();
        let statuses = until(&mut events, StatusCode::Connected).await;
        assert!(!is_resumed(&statuses), "{statuses:?}");
    }
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn a_session_comes_back_no_weaker_than_it_was() {
    for is_pinned in [true, false] {
        let server = server().build();
        let running = server.listen(ListenOptions::default()).await.unwrap();
        let line = Line::to(running.starttls().port()).await;
        let peer = Peer { running, line };
        let mut builder = peer.client("alice@localhost/desk");
        if is_pinned {
            builder = builder.pins(Arc::new(MemoryPins::default()));
        }
        let mut events = builder.watch();
        let session = builder.connect().await.unwrap();
        wait_until_managed(&session).await;
        until(&mut events, StatusCode::Connected).await;
        server.change_mechanisms(["SCRAM-SHA-512"]); // it was bound to its channel before
        peer.line.cut();
        if is_pinned {
            until(&mut events, StatusCode::Disconnected).await;
            let end = session.ended().await.expect("it was not asked for");
            assert_eq!(end.condition(), "weaker-than-before", "{end}");
        } else {
            assert!(is_resumed(&until(&mut events, StatusCode::Connected).await));
        }
    }
}

/// Pins that cannot be read when they are asked for this time.
struct FailsOnce {
    pins: MemoryPins,
    left: AtomicU32,
}

impl PinStore for FailsOnce {
    fn load(&self, account: &Jid) -> Result<Option<Pin>, PinStoreError> {
        match self.left.fetch_sub(1, Relaxed) {
            1 => Err(PinStoreError::because("the disk is away")),
            _ => self.pins.load(account),
        }
    }

    fn save(&self, account: &Jid, pin: &Pin) -> Result<(), PinStoreError> {
        self.pins.save(account, pin)
    }
}

#[tokio::test]
async fn without_knowing_the_pin_no_session_comes_back() {
    let peer = Peer::start(server()).await;
    // Before the first connection, after its login, and before the next.
    let pins = FailsOnce { pins: MemoryPins::default(), left: AtomicU32::new(3) };
    let mut builder = peer.client("alice@localhost/desk").pins(Arc::new(pins));
    let mut events = builder.watch();
    let session = builder.connect().await.unwrap();
    wait_until_managed(&session).await;
    until(&mut events, StatusCode::Connected).await;
    peer.line.cut();
    let statuses = until(&mut events, StatusCode::Connected).await;
    let reasons: Vec<String> = statuses
        .iter()
        .filter_map(|status| match status {
            Status::Reconnecting(again) => Some(again.reason.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons.len(), 2, "{statuses:?}");
    assert!(reasons[1].contains("the disk is away"), "{reasons:?}");
    assert!(is_resumed(&statuses));
    session.disconnect().await.unwrap();
}

/// What a server says that sends clients elsewhere, before anything else.
fn sends_to(place: &str) -> Script {
    let text = format!(
        "framing: tcp\n\
         C: <stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='*' version='1.0' \
         xml:lang='*'>\n\
         S: <stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:client' \
         id='1' from='localhost' version='1.0'>\n\
         S: <stream:error><see-other-host xmlns='urn:ietf:params:xml:ns:xmpp-streams'>{place}\
         </see-other-host></stream:error></stream:stream>\n\
         S: !close\n"
    );
    Script::parse(&text).unwrap()
}

#[tokio::test]
async fn a_server_that_sends_clients_elsewhere_is_followed_with_tls() {
    use StatusCode::{Authenticating, Connected, Connecting, Redirect};

    let peer = Peer::start(server()).await;
    let place = format!("127.0.0.1:{}", peer.line.port);
    let first = listen_script(&sends_to(&place)).await.unwrap();
    peer.line.cut(); // nobody is there yet
    let endpoint = format!("xmpp://{}", first.address());
    let mut builder = peer.client("alice@localhost").endpoint(&endpoint).unwrap();
    let mut events = builder.watch();
    let session = builder.connect().await.unwrap();
    let statuses = until(&mut events, Connected).await;
    assert_eq!(codes(&statuses), [Connecting, Redirect, Connecting, Authenticating, Connected]);
    assert_eq!(statuses[1], Status::Redirect(place));
    assert!(session.login().unwrap().binding.is_some(), "it is inside TLS");
    session.disconnect().await.unwrap();
}

/// A request that comes before the server has said whether it counts: its handler waits to answer,
/// and what it waits for must be heard.
#[tokio::test]
async fn a_handler_may_answer_before_the_server_counts() {
    let script = "C: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='*' version='1.0' xml:lang='*' from='*'/>\n\
        S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='1' version='1.0'/>\n\
        S: <s:features xmlns:s='http://etherx.jabber.org/streams'>\
        <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
        </mechanisms></s:features>\n\
        C: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>*</auth>\n\
        S: <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>\n\
        C: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='*' version='1.0' xml:lang='*' from='*'/>\n\
        S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='2' version='1.0'/>\n\
        S: <s:features xmlns:s='http://etherx.jabber.org/streams'>\
        <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/><sm xmlns='urn:xmpp:sm:3'/></s:features>\n\
        C: <iq xmlns='jabber:client' type='set' id='*'>\
        <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>\n\
        S: <iq xmlns='jabber:client' type='result' id='{id}'>\
        <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>alice@localhost/a</jid></bind></iq>\n\
        C: <enable xmlns='urn:xmpp:sm:3' resume='true'/>\n\
        S: <message xmlns='jabber:client'/>\n\
        S: <iq xmlns='jabber:client' type='get' id='7' from='bob@localhost/b'>\
        <question xmlns='urn:x'/></iq>\n\
        S: <enabled xmlns='urn:xmpp:sm:3'/>\n\
        C: <iq xmlns='jabber:client' type='result' id='7' to='bob@localhost/b'/>\n\
        S: <message xmlns='jabber:client' type='headline'/>\n";
    let running = listen_script(&Script::parse(script).unwrap()).await.unwrap();
    let client = Client::builder("alice@localhost").unwrap().endpoint(running.ws_url()).unwrap();
    let client =
        client.proxies(ProxySettings::none()).password(PASSWORD).reconnect(Reconnect::off());
    let mut session = client.connect().await.unwrap();
    let outbox = session.outbox();
    let answers = session.handlers().add_async(Pattern::iq(), move |request| {
        let outbox = outbox.clone();
        async move {
            outbox.send(Iq::result(&request)).await.unwrap();
            ControlFlow::Continue(())
        }
    });
    answers.unwrap();
    assert_eq!(session.receive().await.unwrap().attr("type"), None);
    assert_eq!(session.receive().await.unwrap().attr("type"), Some("headline"));
}

#[tokio::test]
async fn redirections_have_an_end_and_may_be_switched_off() {
    let peer = Peer::start(server()).await;
    let circle = Line::to(0).await;
    let script = sends_to(&format!("127.0.0.1:{}", circle.port));
    let running = listen_script(&script).await.unwrap();
    circle.target.send_replace(running.address().port());
    let endpoint = format!("xmpp://127.0.0.1:{}", circle.port);
    for (policy, followed) in [(soon(), 3), (soon().redirects(1), 1), (Reconnect::off(), 0)] {
        let builder = peer.client("alice@localhost").endpoint(&endpoint).unwrap();
        let mut builder = builder.reconnect(policy);
        let mut events = builder.watch();
        let error = builder.connect().await.unwrap_err();
        assert_eq!(error.condition(), "see-other-host");
        let statuses = until(&mut events, StatusCode::Disconnected).await;
        let redirects = codes(&statuses).iter().filter(|it| **it == StatusCode::Redirect).count();
        assert_eq!(redirects, followed, "{statuses:?}");
    }
}

#[tokio::test]
async fn without_reconnection_the_end_of_a_connection_is_the_end() {
    let peer = Peer::start(server()).await;
    let session =
        peer.client("alice@localhost").reconnect(Reconnect::off()).connect().await.unwrap();
    peer.line.cut();
    assert_eq!(
        session.ended().await.map(|end| end.condition().to_owned()).as_deref(),
        Some("connection-lost")
    );
}

#[tokio::test]
async fn attempts_have_an_end() {
    let peer = Peer::start(server()).await;
    let policy = soon().attempts(3);
    let mut builder = peer.client("alice@localhost").reconnect(policy);
    let mut events = builder.watch();
    let session = builder.connect().await.unwrap();
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    peer.line.target.send_replace(nobody.local_addr().unwrap().port());
    drop(nobody);
    peer.line.cut();
    let statuses = until(&mut events, StatusCode::Disconnected).await;
    let attempts: Vec<u32> = statuses
        .iter()
        .filter_map(|status| match status {
            Status::Reconnecting(again) => Some(again.attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 2, 3]);
    assert!(session.ended().await.is_some());
}

#[tokio::test]
async fn a_session_that_waits_for_a_connection_can_be_ended() {
    let peer = Peer::start(server()).await;
    let mut builder = peer.client("alice@localhost").reconnect(
        Reconnect::default().first(Duration::from_secs(3600)).longest(Duration::from_secs(36_000)),
    );
    let mut events = builder.watch();
    let session = builder.connect().await.unwrap();
    peer.line.cut();
    until(&mut events, StatusCode::Reconnecting).await;
    let receipt = session.send(note(&session.jid(), "never")).await.unwrap();
    assert_eq!(receipt.delivery(), Delivery::Queued);
    session.disconnect().await.unwrap();
    assert_eq!(receipt.clone().sent().await, Err(NotDelivered::NotSent));
    let rest = until(&mut events, StatusCode::Disconnected).await;
    assert_eq!(
        codes(&rest),
        [StatusCode::Connecting, StatusCode::Disconnecting, StatusCode::Disconnected]
    );
}

fn kept(store: &MemorySessions) -> SessionState {
    match store.load().unwrap() {
        Some(StoredSession::Managed(state)) => state,
        other => panic!("{other:?}"),
    }
}

/// A process that is killed leaves its store and the server's memory of it.
#[test]
fn a_process_that_is_started_again_goes_on() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outer = runtime();
    let peer = outer.block_on(Peer::start(server()));
    let servers = std::thread::spawn(move || {
        let (done, stop) = tokio::sync::oneshot::channel::<()>();
        (outer, done, stop)
    });
    let (outer, done, stop) = servers.join().unwrap();
    let serving = std::thread::spawn(move || outer.block_on(stop));
    let store = Arc::new(MemorySessions::default());
    let client = || peer.client("alice@localhost/desk").sessions(store.clone());

    let first = runtime();
    let me = first.block_on(async {
        let mut session = client().connect().await.unwrap();
        wait_until_managed(&session).await;
        assert_eq!(next_body(&mut session).await, "first");
        let me = session.jid();
        let mut receipt = session.send(note(&me, "second")).await.unwrap();
        receipt.acknowledged().await.unwrap();
        assert_eq!(next_body(&mut session).await, "second"); // "first" is handled by that
        while kept(&store).received() == 0 {
            tokio::task::yield_now().await;
        }
        std::mem::forget(session);
        me
    });
    drop(first); // with all its tasks, and nobody says goodbye
    let kept = kept(&store);
    assert_eq!((kept.received(), kept.sent()), (1, 2));

    runtime().block_on(async {
        let mut session = client().connect().await.unwrap();
        assert!(session.login().unwrap().resumed);
        assert_eq!(session.jid(), me);
        assert_eq!(next_body(&mut session).await, "second", "it was not handled");
        session.send(note(&me, "third")).await.unwrap();
        assert_eq!(next_body(&mut session).await, "third");
        session.disconnect().await.unwrap();
    });
    assert!(store.load().unwrap().is_none(), "it was closed");
    drop(done);
    let _ = serving.join();
}

#[tokio::test]
async fn a_request_that_nobody_handles_is_refused() {
    let peer = Peer::start(server()).await;
    let alice = peer.client("alice@localhost/desk").connect().await.unwrap();
    let bob = peer.client("bob@localhost/desk").connect().await.unwrap();
    let request = Iq::get(Element::new("question", "urn:x")).to(bob.jid());
    let Err(RequestError::Refused(error)) = alice.send_iq(request).await else { panic!() };
    assert_eq!(error.condition, "service-unavailable");
    let ping = Iq::get(Element::new("ping", "urn:xmpp:ping")).to(bob.jid());
    assert!(alice.send_iq(ping).await.is_ok());
    let nobody = Iq::get(Element::new("question", "urn:x")).to("localhost".parse::<Jid>().unwrap());
    assert!(matches!(alice.send_iq(nobody).await, Err(RequestError::Refused(_))));
    let message = alice.send_iq(note(&bob.jid(), "no request")).await;
    assert!(matches!(message, Err(RequestError::NotARequest(_))), "{message:?}");
    drop(alice.disconnect().await);
    assert_eq!(bob.outbox().send(note(&bob.jid(), "x")).await.map(drop), Ok(()));
    let outbox = bob.outbox();
    bob.disconnect().await.unwrap();
    assert_eq!(outbox.send(Presence::available()).await.map(drop), Err(Error::Ended));
}
