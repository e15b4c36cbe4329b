//! What the task behind a connection must stand: peers that do not read, applications that do not
//! read, ends that come at odd moments. In memory, in invented time.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use epode::{
    Advice, Builder, Client, Element, Error, Liveness, Pattern, Session, StatusCode,
    sasl::{Channel, Context, Mechanism, MechanismFactory, MechanismName, Policy, Skip},
    stanza::Iq,
};
use epode_testpeer::{Server, SessionChannel, script::Script};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    sync::watch,
    time::{Instant, sleep},
};

const CLIENT: &str = "jabber:client";

fn server() -> Server {
    Server::builder("localhost").account("alice", "secret").mechanisms(["PLAIN"]).build()
}

fn client() -> Builder {
    nobody().password("secret")
}

/// A client without a secret.
fn nobody() -> Builder {
    let builder = Client::builder("alice@localhost/a").expect("the address is right");
    builder.endpoint("wss://localhost/xmpp-websocket").expect("the URL is right")
}

fn serve(stream: DuplexStream) {
    let server = server();
    tokio::spawn(async move { server.serve_websocket(stream, SessionChannel::encrypted()).await });
}

/// Logs in over a pipe that holds this many bytes each way.
async fn connect_by_pipe(size: usize) -> Session {
    let (near, far) = duplex(size);
    serve(far);
    client().over(near, Channel::encrypted()).connect().await.expect("a login")
}

fn message(to: &str, length: usize) -> Element {
    let body = Element::new("body", CLIENT).with_text("x".repeat(length));
    Element::new("message", CLIENT).with_attr("to", to).with_child(body)
}

/// Carries bytes between two streams until it is told to stop; then it holds them open.
fn carry(from: DuplexStream, to: DuplexStream, runs: &watch::Receiver<bool>) {
    let ((from_read, from_write), (to_read, to_write)) = (split(from), split(to));
    for (mut read, mut write) in [(from_read, to_write), (to_read, from_write)] {
        let mut runs = runs.clone();
        tokio::spawn(async move {
            let mut bytes = [0; 512];
            while let Ok(count @ 1..) = read.read(&mut bytes).await {
                if runs.wait_for(|runs| *runs).await.is_err() {
                    return;
                }
                if write.write_all(&bytes[..count]).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Logs in to a peer that can be made to read no more, by sending `false`.
async fn connect_to_one_that_stops() -> (Session, watch::Sender<bool>) {
    let (near, middle) = duplex(1024);
    let (other_middle, far) = duplex(1024);
    let (switch, runs) = watch::channel(true);
    carry(middle, other_middle, &runs);
    serve(far);
    let session = client().over(near, Channel::encrypted()).connect().await.expect("a login");
    (session, switch)
}

#[tokio::test]
async fn both_sides_may_write_at_once() {
    let mut session = connect_by_pipe(1024).await;
    let (outbox, to) = (session.outbox(), session.jid().to_string());
    let sending = tokio::spawn(async move {
        for _ in 0..100 {
            outbox.send(message(&to, 2000)).await?;
        }
        Ok::<_, Error>(())
    });
    for number in 0..100 {
        assert!(session.receive().await.is_some(), "only {number} came back");
    }
    sending.await.unwrap().unwrap();
    session.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_no_more_does_not_hold_up_the_end() {
    let (session, switch) = connect_to_one_that_stops().await;
    switch.send(false).unwrap();
    let outbox = session.outbox();
    let stuck = tokio::spawn(async move { outbox.send(message("bob@localhost", 100_000)).await });
    tokio::task::yield_now().await;
    let begun = Instant::now();
    session.disconnect().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(stuck.await.unwrap().map(drop), Err(Error::Ended));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_given_up() {
    let (session, switch) = connect_to_one_that_stops().await;
    switch.send(false).unwrap();
    let begun = Instant::now();
    let error = session.send(message("bob@localhost", 100_000)).await.unwrap_err();
    assert_eq!(error.condition(), "connection-lost");
    assert!(begun.elapsed() < Duration::from_secs(70), "{:?}", begun.elapsed());
    assert_eq!(
        session.ended().await.map(|end| end.condition().to_owned()).as_deref(),
        Some("connection-lost")
    );
}

#[tokio::test(start_paused = true)]
async fn whether_the_server_is_silent_can_be_watched() {
    let (session, switch) = connect_to_one_that_stops().await;
    let mut quiet = session.quiet();
    assert!(!*quiet.borrow());
    switch.send(false).unwrap();
    quiet.changed().await.unwrap();
    assert!(*quiet.borrow());
    assert!(*session.quiet().borrow(), "who asks later is told as well");
    assert!(quiet.changed().await.is_err(), "the session is over");
    assert!(session.quiet().changed().await.is_err(), "nobody tells any more");
}

#[tokio::test]
async fn an_application_that_does_not_read_can_still_send_and_end() {
    let session = connect_by_pipe(4096).await;
    let to = session.jid().to_string();
    for _ in 0..300 {
        session.send(message(&to, 10)).await.unwrap();
    }
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn dropping_everything_disconnects() {
    let (near, far) = duplex(4096);
    let server = server();
    let serving = tokio::spawn(async move {
        server.serve_websocket(far, SessionChannel::encrypted()).await;
    });
    let mut client = client();
    let mut events = client.watch();
    let session = client.over(near, Channel::encrypted()).connect().await.unwrap();
    let outbox = session.outbox();
    drop(session);
    outbox.send(message("bob@localhost", 1)).await.unwrap();
    drop(outbox);
    serving.await.unwrap();
    let mut last = None;
    while let Some(status) = events.next().await {
        last = Some(status.code());
    }
    assert_eq!(last, Some(StatusCode::Disconnected));
}

#[tokio::test]
async fn giving_up_while_connecting_tells_the_end() {
    let (near, _far) = duplex(4096); // nobody answers
    let mut client = client();
    let mut events = client.watch();
    let connecting = tokio::spawn(client.over(near, Channel::encrypted()).connect());
    assert_eq!(events.next().await.unwrap().code(), StatusCode::Connecting);
    connecting.abort();
    assert_eq!(events.next().await.unwrap().code(), StatusCode::Disconnecting);
    assert_eq!(events.next().await.unwrap().code(), StatusCode::Disconnected);
    assert_eq!(events.next().await, None);
}

const KICKED_BEFORE_BINDING: &str = "\
C: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0' xml:lang='en' from='*'/>
S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' id='1' version='1.0'/>
S: <features xmlns='http://etherx.jabber.org/streams'><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms></features>
C: <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>*</auth>
S: <success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>
C: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0' xml:lang='en' from='*'/>
S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' id='2' version='1.0'/>
S: <features xmlns='http://etherx.jabber.org/streams'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></features>
S: <error xmlns='http://etherx.jabber.org/streams'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>
C: *
";

#[tokio::test]
async fn an_end_before_binding_keeps_its_reason() {
    let script = Script::parse(KICKED_BEFORE_BINDING).unwrap();
    let (near, far) = duplex(4096);
    tokio::spawn(async move { script.serve(far).await });
    let policy = Policy::default().allow_only([MechanismName::PLAIN]);
    let client = client().policy(Arc::new(policy));
    let unbound = client.over(near, Channel::encrypted()).connect_unbound().await.unwrap();
    assert!(unbound.features().is_some());
    let error = unbound.bind().await.unwrap_err();
    assert_eq!((error.condition(), error.advice()), ("conflict", Advice::Stop));
}

#[tokio::test]
async fn what_a_stanza_costs_is_what_it_takes_in_memory() {
    let many = "<a/>".repeat(60_000);
    let stanza = Element::parse(&format!("<message xmlns='{CLIENT}'>{many}</message>")).unwrap();
    assert!(stanza.memory() > 10 * many.len(), "{}", stanza.memory());
    assert!(message("bob@localhost", 100_000).memory() < 110_000);
}

#[tokio::test(start_paused = true)]
async fn spans_that_no_clock_can_hold_are_very_long_ones() {
    let (near, far) = duplex(4096);
    serve(far);
    let liveness = Liveness::default().quiet(Duration::MAX).grace(Duration::MAX);
    let client = client().timeout(Duration::MAX).liveness(liveness);
    let session = client.over(near, Channel::encrypted()).connect().await.expect("a login");
    let ping = Iq::get(Element::new("ping", "urn:xmpp:ping"));
    let pong = session.send_iq_within(Duration::MAX, ping).await.expect("an answer");
    assert_eq!(pong.attr("type"), Some("result"));
    session.disconnect().await.expect("it is online");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_not_given_up() {
    let (near, far) = duplex(1024);
    let (middle, other_middle) = duplex(1024);
    serve(other_middle);
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (split(far), split(middle));
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    let (pace, is_slow) = watch::channel(false);
    tokio::spawn(async move {
        let mut bytes = [0; 1024];
        while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
            let wait = Duration::from_secs(if *is_slow.borrow() { 1 } else { 0 });
            sleep(wait).await;
            if to_server.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    });
    let session = client().over(near, Channel::encrypted()).connect().await.expect("a login");
    pace.send(true).expect("it is watched");
    let begun = Instant::now();
    session.send(message("bob@localhost", 60_000)).await.expect("all of it goes out");
    assert!(begun.elapsed() > Duration::from_secs(50), "{:?}", begun.elapsed());
    pace.send(false).expect("it is watched");
    session.disconnect().await.expect("it is online still");
}

/// What the server says meanwhile is heard, and its silence is not taken for its end.
#[tokio::test(start_paused = true)]
async fn a_handler_may_take_longer_than_the_server_may_be_silent() {
    let mut session = connect_by_pipe(4096).await;
    let slow = async |_| {
        sleep(Duration::from_secs(300)).await;
        ControlFlow::Break(())
    };
    session.handlers().add_async(Pattern::message(), slow).expect("there is room");
    let to = session.jid().to_string();
    for _ in 0..2 {
        session.send(message(&to, 10)).await.expect("it is online");
    }
    assert!(session.receive().await.is_some(), "the handler has had enough");
    session.disconnect().await.expect("it is online still");
}

/// Whoever does not read cannot tell whether the server is silent.
#[tokio::test(start_paused = true)]
async fn an_application_that_does_not_read_for_long_loses_nothing() {
    let mut session = connect_by_pipe(256 * 1024).await; // the server goes on writing
    let to = session.jid().to_string();
    for _ in 0..400 {
        session.send(message(&to, 10)).await.expect("it is online");
    }
    sleep(Duration::from_secs(1000)).await;
    for number in 0..400 {
        assert!(session.receive().await.is_some(), "only {number} came");
    }
    session.disconnect().await.expect("it is online still");
}

#[tokio::test]
async fn an_answer_that_panics_ends_the_login_with_words() {
    let (near, far) = duplex(4096);
    serve(far);
    let client = nobody().ask(async |_| panic!("there is no key ring"));
    let error = client.over(near, Channel::encrypted()).connect().await.expect_err("no secret");
    assert_eq!((error.condition(), error.advice()), ("given-up", Advice::Stop));
    assert!(error.to_string().contains("panicked"), "{error}");
}

/// A mechanism that knows its answers at once runs within the machine.
#[tokio::test]
async fn a_mechanism_that_panics_is_not_taken_for_an_end_that_was_asked_for() {
    #[derive(Debug)]
    struct Panicking;

    impl MechanismFactory for Panicking {
        fn name(&self) -> &MechanismName {
            &MechanismName::PLAIN
        }

        fn priority(&self) -> i32 {
            50
        }

        fn test(&self, _: &Context<'_>) -> Result<(), Skip> {
            panic!("it was never tried")
        }

        fn begin(&self) -> Box<dyn Mechanism> {
            unreachable!("its test does not come to an end")
        }
    }

    let (near, far) = duplex(4096);
    serve(far);
    let client = nobody().mechanism_factory(Arc::new(Panicking));
    let error = client.over(near, Channel::encrypted()).connect().await.expect_err("a panic");
    assert_eq!(error.condition(), "connection-lost");
    assert!(error.to_string().contains("its task was stopped"), "{error}");
}
