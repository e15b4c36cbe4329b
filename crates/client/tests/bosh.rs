//! Whole sessions over BOSH against the embedded server on loopback ports: logins, what a server
//! does wrong, sessions that are handed over and restored.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use epode::{
    Attachment, Builder, Client, Element, Error, Jid, MemorySessions, ProxySettings, Reconnect,
    RestoreError, Session, SessionStore, Status, StatusCode, StatusEvents, StoredSession,
    TransportError, TransportOptions,
    proto::{
        self,
        bosh::{Condition, End, Failure, Fault, Limits, Options},
    },
    sasl::{BindingType, MechanismName, Policy, ServerProof},
};
use epode_testpeer::{BoshFault, ListenOptions, Running, Server, ServerBuilder};

const PASSWORD: &str = "correct horse";

fn server() -> ServerBuilder {
    Server::builder("example.org").account("alice", PASSWORD).account("bob", PASSWORD)
}

async fn listen(server: ServerBuilder) -> Running {
    server.build().listen(ListenOptions::default()).await.unwrap()
}

/// Attempts that follow each other at once, so that no test waits.
fn options() -> Options {
    Options::default().back_off(Duration::from_millis(1))
}

fn transport(options: Options) -> TransportOptions {
    TransportOptions::new().with_proxies(ProxySettings::none()).with_bosh(options)
}

fn client(jid: &str, url: &str) -> Builder {
    let builder = Client::builder(jid).unwrap().endpoint(url).unwrap();
    builder.reconnect(Reconnect::off()).transport(transport(options())).password(PASSWORD)
}

async fn codes(mut events: StatusEvents) -> Vec<StatusCode> {
    let mut codes = Vec::new();
    while let Some(status) = events.next().await {
        codes.push(status.code());
    }
    codes
}

fn message(to: &Jid, body: &str) -> Element {
    let body = Element::new("body", "jabber:client").with_text(body);
    Element::new("message", "jabber:client").with_attr("to", to.to_string()).with_child(body)
}

async fn body_of_next(session: &mut Session) -> String {
    let stanza = session.receive().await.expect("the session goes on");
    stanza.child("body", "jabber:client").expect("it is a message").text()
}

/// Sends itself a message, and gets it.
async fn assert_works(session: &mut Session) {
    let me = session.jid().clone();
    session.send(message(&me, "an echo")).await.unwrap();
    assert_eq!(body_of_next(session).await, "an echo");
}

#[tokio::test]
async fn a_login_takes_five_requests_or_three_and_is_bound_to_the_end_point() {
    let running = listen(server()).await;
    let session = client("alice@example.org", running.bosh_url()).connect().await.unwrap();
    let login = session.login().unwrap();
    assert_eq!((&login.mechanism, login.binding), (&MechanismName::SCRAM_SHA_512, None));
    // One each: session and features, first message, proof, restart, binding. TLS adds its own.
    assert_eq!(login.flights, 5);
    assert!(session.attachment().unwrap().rid() > 5);
    session.disconnect().await.unwrap();

    // The server offers SASL2 where nobody else can hear: no restart, and the binding is in the login.
    let bound = Arc::new(Policy::default().require_channel_binding());
    let builder = client("alice@example.org", running.secure_bosh_url());
    let mut session =
        builder.ca_pem(running.ca_pem()).unwrap().policy(bound).connect().await.unwrap();
    let login = session.login().unwrap();
    assert_eq!(login.mechanism, MechanismName::SCRAM_SHA_512_PLUS);
    assert_eq!(login.binding, Some(BindingType::TlsServerEndPoint));
    assert_eq!((login.proof, login.flights), (ServerProof::Proven, 3));
    assert_works(&mut session).await;
    session.disconnect().await.unwrap();
    running.shutdown().await;
}

#[tokio::test]
async fn a_wrong_password_is_told_as_over_any_transport() {
    let running = listen(server()).await;
    let mut builder = client("alice@example.org", running.bosh_url()).password("wrong");
    let events = builder.watch();
    let error = builder.connect().await.unwrap_err();
    assert_eq!(error.condition(), "not-authorized", "{error}");
    let expected = [
        StatusCode::Connecting,
        StatusCode::Authenticating,
        StatusCode::AuthFail,
        StatusCode::Disconnected,
    ];
    assert_eq!(codes(events).await, expected);
}

#[tokio::test]
async fn messages_cross_with_other_transports_in_order() {
    let running = listen(server()).await;
    let mut alice = client("alice@example.org", running.bosh_url()).connect().await.unwrap();
    let mut bob = client("bob@example.org", running.ws_url()).connect().await.unwrap();
    let (alices, bobs) = (alice.jid().clone(), bob.jid().clone());
    for number in 0..200 {
        alice.send(message(&bobs, &number.to_string())).await.unwrap();
        bob.send(message(&alices, &number.to_string())).await.unwrap();
    }
    for number in 0..200 {
        assert_eq!(body_of_next(&mut alice).await, number.to_string());
        assert_eq!(body_of_next(&mut bob).await, number.to_string());
    }
    alice.disconnect().await.unwrap();
    bob.disconnect().await.unwrap();
}

/// What the server does from one request on, and how that ends at each stage: as the session is
/// created, in the login, online.
#[tokio::test]
async fn each_misbehaviour_has_its_end() {
    let gave_up = |last| End::GaveUp { attempts: 5, last };
    let refused = End::Refused { status: 404, condition: Some(Condition::ItemNotFound) };
    let not_a_body = Fault::NotABody { found: "html".to_owned() };
    let foreign = "<body xmlns='urn:x'/>".to_owned();
    let wrong_namespace = Fault::WrongNamespace { found: "urn:x".to_owned() };
    let cases = [
        (BoshFault::NotFound, refused),
        (BoshFault::Unavailable(u64::MAX), gave_up(Failure::Status(503))),
        (BoshFault::Cut { every: 1 }, gave_up(Failure::Broken)),
        (BoshFault::Text("<html/>".to_owned()), not_a_body.into()),
        (BoshFault::Text(foreign), wrong_namespace.into()),
    ];
    for (fault, expected) in cases {
        for first in CREATION..=ONLINE {
            let mut expected = expected.clone();
            if let End::Refused { condition, .. } = &mut expected
                && first == CREATION
            {
                *condition = None; // it is the address that is wrong
            }
            assert_eq!(end_of(fault.clone(), first).await, expected, "{fault:?} from {first}");
        }
    }
}

#[tokio::test]
async fn what_is_no_xml_or_too_much_is_refused() {
    for text in ["", "no XML", "<body xmlns='http://jabber.org/protocol/httpbind'>", "<!DOCTYPE a>"]
    {
        let fault = BoshFault::Text(text.to_owned());
        for first in [CREATION, LOGIN, ONLINE] {
            let end = end_of(fault.clone(), first).await;
            assert!(matches!(end, End::Misbehaved(Fault::Xml(_))), "{text:?} {first} {end:?}");
        }
    }
    let end = end_of(BoshFault::Oversized, LOGIN).await;
    assert!(matches!(end, End::Misbehaved(Fault::Xml(_))), "{end:?}");
}

#[tokio::test]
async fn answers_of_another_session_end_this_one() {
    for first in [LOGIN, ONLINE] {
        let end = end_of(BoshFault::WrongSid, first).await;
        assert_eq!(end, End::Misbehaved(Fault::WrongSid), "from {first}");
    }
}

/// A session that the server ends twice ends once, in the middle of a login or online.
#[tokio::test]
async fn two_ends_are_one() {
    let running = listen(server().bosh_fault(BoshFault::TwoTerminates, LOGIN)).await;
    let mut builder = client("alice@example.org", running.bosh_url());
    let events = builder.watch();
    let error = builder.connect().await.unwrap_err();
    assert_eq!(error, Error::Connection(proto::Error::ConnectionClosed));
    assert_eq!(codes(events).await.last(), Some(&StatusCode::Disconnected));

    let running = listen(server().bosh_fault(BoshFault::TwoTerminates, ONLINE)).await;
    let session = client("alice@example.org", running.bosh_url()).connect().await.unwrap();
    session.send(message(&session.jid(), "to be answered")).await.unwrap();
    assert_eq!(session.ended().await, Some(proto::Error::ConnectionClosed));
}

#[tokio::test]
async fn what_passes_is_mended_without_a_word() {
    let faults = [
        BoshFault::Unavailable(4),
        BoshFault::Cut { every: 2 },
        BoshFault::Cut { every: 3 },
        BoshFault::OutOfOrder,
    ];
    for fault in faults {
        for first in [CREATION + 1, LOGIN, ONLINE] {
            let running = listen(server().bosh_fault(fault.clone(), first)).await;
            let builder = client("alice@example.org", running.bosh_url());
            let mut session = builder.connect().await.unwrap();
            let me = session.jid().clone();
            for number in 0..50 {
                session.send(message(&me, &number.to_string())).await.unwrap();
            }
            for number in 0..50 {
                let body = body_of_next(&mut session).await;
                assert_eq!(body, number.to_string(), "{fault:?} from {first}");
            }
            session.disconnect().await.unwrap();
        }
    }
}

/// It is asked again now and then, never all the time; the login's own limit ends it.
#[tokio::test]
async fn who_answers_with_nothing_is_not_waited_for_for_ever() {
    let running = listen(server().bosh_fault(BoshFault::EmptyBodies, LOGIN)).await;
    let builder = client("alice@example.org", running.bosh_url());
    let error = builder.timeout(Duration::from_millis(300)).connect().await.unwrap_err();
    assert_eq!(error.condition(), "timeout", "{error}");
}

#[tokio::test]
async fn statuses_of_http_are_told_to_who_wants_to_know() {
    let seen = Arc::new(AtomicUsize::new(0));
    let running = listen(server().bosh_fault(BoshFault::Unavailable(3), LOGIN)).await;
    let counted = Arc::clone(&seen);
    let transport = transport(options())
        .on_http_status(503, move |status| {
            assert_eq!(status, 503);
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .on_http_status(404, |_| panic!("there is none"));
    let builder = client("alice@example.org", running.bosh_url()).transport(transport);
    builder.connect().await.unwrap().disconnect().await.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn a_stanza_that_is_too_large_is_refused_and_nothing_else_is_lost() {
    let running = listen(server()).await;
    let limits = Limits::default().with_request(2000);
    let transport = transport(options().limits(limits));
    let builder = client("alice@example.org", running.bosh_url()).transport(transport);
    let mut session = builder.connect().await.unwrap();
    let me = session.jid().clone();
    let error = session.send(message(&me, &"x".repeat(2000))).await.unwrap_err();
    let Error::Transport(TransportError::FrameTooLarge { size, limit }) = error else {
        panic!("{error}")
    };
    assert!(size > 2000 && limit == 2000);
    assert_works(&mut session).await;
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn one_stream_is_not_enough_for_bosh() {
    let (ours, _theirs) = tokio::io::duplex(1024);
    let builder = client("alice@example.org", "http://example.org/http-bind");
    let error = builder.over(ours, epode::sasl::Channel::plaintext()).connect().await.unwrap_err();
    assert_eq!(error, Error::Transport(TransportError::OneStream));
}

#[tokio::test]
async fn a_session_is_handed_over_and_taken_over() {
    let running = listen(server()).await;
    let mut first = client("alice@example.org", running.bosh_url());
    let events = first.watch();
    let session = first.connect().await.unwrap();
    let jid = session.jid().clone();
    let attachment = session.hand_over().await.unwrap();
    assert_eq!(session.ended().await, None);
    let expected = [
        StatusCode::Connecting,
        StatusCode::Authenticating,
        StatusCode::Connected,
        StatusCode::Disconnected,
    ];
    assert_eq!(codes(events).await, expected);

    // As another program would: from JSON, and without the password.
    let attachment = Attachment::from_json(&attachment.to_json()).unwrap();
    let builder = Client::builder("alice@example.org").unwrap();
    let builder = builder.endpoint(running.bosh_url()).unwrap().transport(transport(options()));
    let mut second = builder;
    let mut events = second.watch();
    let mut session = second.attach(&attachment).await.unwrap();
    assert_eq!((session.jid(), session.login()), (jid.clone(), None));
    assert_eq!(events.next().await, Some(Status::Connecting));
    assert_eq!(events.next().await, Some(Status::Attached(jid)));
    assert_works(&mut session).await;
    session.disconnect().await.unwrap();
}

/// The request that the server keeps waiting is answered with the next stanza, which is not lost.
#[tokio::test]
async fn a_session_with_a_request_under_way_is_handed_over_when_it_is_answered() {
    let running = listen(server()).await;
    let builder = client("alice@example.org", running.bosh_url());
    let mut session = builder.connect().await.unwrap();
    assert_works(&mut session).await;
    let bob = client("bob@example.org", running.ws_url()).connect().await.unwrap();
    let note = message(&session.jid(), "the last one");
    let (attachment, sent) = tokio::join!(session.hand_over(), bob.send(note));
    sent.unwrap();
    let attachment = attachment.unwrap();
    assert_eq!(body_of_next(&mut session).await, "the last one");
    assert_eq!(session.receive().await, None);
    let builder = client("alice@example.org", running.bosh_url());
    let mut session = builder.attach(&attachment).await.unwrap();
    assert_works(&mut session).await;
    session.disconnect().await.unwrap();
}

/// To give it up is to go on; meanwhile nothing is sent, and nobody else can have it.
#[tokio::test]
async fn a_session_that_is_not_handed_over_after_all_goes_on() {
    let running = listen(server()).await;
    let builder = client("alice@example.org", running.bosh_url());
    let mut session = builder.connect().await.unwrap();
    assert_works(&mut session).await;
    let rid = session.attachment().unwrap().rid();
    while session.attachment().unwrap().rid() == rid {
        tokio::task::yield_now().await; // until a request waits at the server
    }
    let outbox = session.outbox();
    let me = session.jid().clone();
    {
        let mut leaving = std::pin::pin!(session.hand_over());
        let meanwhile = async {
            let refused = outbox.send(message(&me, "too late")).await;
            assert_eq!(refused.map(drop), Err(Error::Ended));
            assert_eq!(session.hand_over().await.map(|_| ()), Err(Error::Ended));
        };
        tokio::select! {
            biased;
            left = &mut leaving => panic!("{left:?}"),
            () = meanwhile => {}
        }
    }
    assert_works(&mut session).await;
    session.disconnect().await.unwrap();
}

/// One attachment is for one program: once that has gone on, the server knows the request ids.
#[tokio::test]
async fn a_session_cannot_be_taken_over_twice() {
    let running = listen(server()).await;
    let session = client("alice@example.org", running.bosh_url()).connect().await.unwrap();
    let attachment = session.hand_over().await.unwrap();
    let again = || client("alice@example.org", running.bosh_url());
    let mut first = again().attach(&attachment).await.unwrap();
    assert_works(&mut first).await;
    let error = again().attach(&attachment).await.unwrap_err();
    let Error::Connection(proto::Error::Bosh(end)) = error else { panic!("{error}") };
    assert!(end.is_of_unknown(), "{end}");

    let store = Arc::new(MemorySessions::default());
    store.save(&StoredSession::Bosh(attachment)).unwrap();
    let error = again().sessions(store.clone()).restore().await.unwrap_err();
    assert_eq!(error, Error::Restore(RestoreError::Forgotten));
    assert!(store.load().unwrap().is_none(), "it is of no use any more");
    drop(first);
}

#[tokio::test]
async fn a_sequence_of_keys_is_not_handed_over() {
    let running = listen(server()).await;
    let transport = transport(options().key_sequence());
    let builder = client("alice@example.org", running.bosh_url()).transport(transport);
    let mut session = builder.connect().await.unwrap();
    assert!(session.attachment().is_none());
    assert_eq!(session.hand_over().await.map(|_| ()), Err(Error::NotBosh));
    assert_works(&mut session).await;
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_taken_over_says_why() {
    let running = listen(server()).await;
    let session = client("alice@example.org", running.bosh_url()).connect().await.unwrap();
    let good = session.attachment().unwrap();

    let unknown = Attachment::new(good.jid().clone(), "unknown", good.rid()).unwrap();
    let mut builder = client("alice@example.org", running.bosh_url());
    let events = builder.watch();
    let error = builder.attach(&unknown).await.unwrap_err();
    let gone = End::Terminated(Condition::ItemNotFound);
    assert_eq!(error, Error::Connection(proto::Error::Bosh(gone)));
    let expected = [StatusCode::Connecting, StatusCode::AttachFail, StatusCode::Disconnected];
    assert_eq!(codes(events).await, expected);

    let error = client("bob@example.org", running.bosh_url()).attach(&good).await.unwrap_err();
    let (account, found) = ("bob@example.org".parse().unwrap(), good.jid().bare());
    assert_eq!(error, Error::Restore(RestoreError::OtherAccount { account, found }));

    for url in [running.ws_url(), "xmpp://127.0.0.1"] {
        let error = client("alice@example.org", url).attach(&good).await.unwrap_err();
        assert_eq!(error, Error::NotBosh, "{url}");
    }
    let socket = client("alice@example.org", running.ws_url()).connect().await.unwrap();
    assert_eq!(socket.attachment().map(|_| ()), None);
    assert_eq!(socket.hand_over().await.map(|_| ()), Err(Error::NotBosh));
    socket.disconnect().await.unwrap();
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn a_stored_session_is_restored_until_it_ends() {
    let running = listen(server()).await;
    let store = Arc::new(MemorySessions::default());
    let client = || client("alice@example.org", running.bosh_url()).sessions(store.clone());
    let error = client().restore().await.unwrap_err();
    assert_eq!(error, Error::Restore(RestoreError::Nothing));

    let session = client().connect().await.unwrap();
    let jid = session.jid().clone();
    let kept = stored(&store);
    assert_eq!((kept.jid(), kept.rid()), (&jid, session.attachment().unwrap().rid()));
    session.hand_over().await.unwrap();
    let mut session = client().restore().await.unwrap();
    assert_eq!(session.jid(), jid);
    assert_works(&mut session).await;
    let later = stored(&store);
    assert!(later.rid() > kept.rid());
    session.disconnect().await.unwrap();
    assert!(store.load().unwrap().is_none(), "it has ended");

    store.save(&StoredSession::Bosh(kept.with_saved(1))).unwrap();
    let error = client().restore().await.unwrap_err();
    assert!(matches!(error, Error::Restore(RestoreError::Expired { .. })), "{error}");
}

fn stored(store: &MemorySessions) -> Attachment {
    match store.load().unwrap() {
        Some(StoredSession::Bosh(attachment)) => attachment,
        other => panic!("{other:?}"),
    }
}

/// How a session ends whose server misbehaves from a request on.
async fn end_of(fault: BoshFault, first: u64) -> End {
    let running = listen(server().bosh_fault(fault, first)).await;
    match client("alice@example.org", running.bosh_url()).connect().await {
        Err(Error::Connection(proto::Error::Bosh(end))) => end,
        Err(error) => panic!("{error}"),
        Ok(session) => {
            assert!(first >= ONLINE);
            let me = session.jid().clone();
            let _ = session.send(message(&me, "to be answered")).await; // it may be over already
            match session.ended().await {
                Some(proto::Error::Bosh(end)) => end,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// The requests of a login by SCRAM: creation, first message, proof, restart, binding.
const CREATION: u64 = 1;
const LOGIN: u64 = 3;
const ONLINE: u64 = 6;
