//! Stream management, and sessions that outlive their connections.

use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::advance;

use super::*;

const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const PRESENCE: &str = "<presence xmlns='jabber:client'/>";
const SM: &str = "urn:xmpp:sm:3";

/// A session of alice's that can be resumed, and its id.
fn resumable(server: &Server, resource: &str) -> (Session, String) {
    let mut session = online(server, "alice", "pencil", resource);
    let enabled = ask(&mut session, ENABLE);
    assert!(enabled.is("enabled", SM), "{enabled}");
    assert_eq!(enabled.attr("resume"), Some("true"));
    let id = enabled.attr("id").unwrap().to_owned();
    (session, id)
}

/// A session of alice's that has yet to bind.
fn logged_in(server: &Server, user: &str, password: &str) -> Session {
    let mut session = server.session(SessionChannel::plaintext());
    open(&mut session);
    assert_success(&auth(&mut session, "PLAIN", format!("\0{user}\0{password}").as_bytes()));
    let features = open(&mut session);
    assert!(features.child("sm", SM).is_some());
    session
}

fn resume(server: &Server, id: &str, count: u32) -> (Session, Vec<Element>) {
    let mut session = logged_in(server, "alice", "pencil");
    let frames = session.receive(&resume_frame(id, count));
    (session, parse(frames))
}

fn resume_frame(id: &str, count: u32) -> String {
    format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{count}'/>")
}

fn acknowledge(count: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{count}'/>")
}

pub(super) fn message(to: &str, id: &str) -> String {
    format!("<message xmlns='jabber:client' to='{to}' id='{id}' type='chat'/>")
}

pub(super) fn ids(stanzas: &[Element]) -> Vec<&str> {
    stanzas.iter().filter_map(|stanza| stanza.attr("id")).collect()
}

#[track_caller]
pub(super) fn assert_failed(reply: &Element, condition: &str, handled: Option<&str>) {
    assert!(reply.is("failed", SM), "{reply}");
    assert!(reply.child(condition, namespaces::STANZAS).is_some(), "{reply}");
    assert_eq!(reply.attr("h"), handled);
}

/// Lets the tasks run that time has woken.
pub(super) async fn pass(time: Duration) {
    yield_now().await;
    advance(time).await;
    yield_now().await;
}

const TIME: Duration = Duration::from_secs(5 * 60);

#[test]
fn it_is_offered_after_the_login_unless_left_out() {
    let mut session = session(builder());
    assert!(open(&mut session).child("sm", SM).is_none());
    logged_in(&builder().build(), "alice", "pencil");

    let server = builder().without_stream_management().build();
    let mut session = online(&server, "alice", "pencil", "a");
    assert_stream_error(session.receive(ENABLE), "unsupported-stanza-type");

    let over_bosh = SessionChannel::plaintext().over_bosh();
    let mut session = builder().build().session(over_bosh);
    open(&mut session);
    auth(&mut session, "PLAIN", b"\0alice\0pencil");
    assert!(open(&mut session).child("sm", SM).is_none());
    assert_stream_error(session.receive(ENABLE), "unsupported-stanza-type");
}

#[test]
fn enabled_says_what_is_granted() {
    let enabled = |builder: ServerBuilder, enable: &str| {
        ask(&mut online(&builder.build(), "alice", "pencil", "a"), enable)
    };
    let granted = enabled(builder().resumption_location("[::1]:5222"), ENABLE);
    assert_eq!((granted.attr("max"), granted.attr("location")), (Some("300"), Some("[::1]:5222")));
    let shorter = "<enable xmlns='urn:xmpp:sm:3' resume='1' max='60'/>";
    assert_eq!(enabled(builder(), shorter).attr("max"), Some("60"));
    let longer = "<enable xmlns='urn:xmpp:sm:3' resume='1' max='600'/>";
    assert_eq!(enabled(builder(), longer).attr("max"), Some("300"));

    let bare = Element::new("enabled", SM);
    assert_eq!(enabled(builder(), "<enable xmlns='urn:xmpp:sm:3'/>"), bare);
    assert_eq!(enabled(builder().resumption(Duration::ZERO), ENABLE), bare);
}

#[test]
fn what_comes_too_early_or_twice_is_refused() {
    let server = builder().build();
    let mut session = server.session(SessionChannel::plaintext());
    open(&mut session);
    for early in [ENABLE, &resume_frame("x", 0)] {
        assert_failed(&ask(&mut session, early), "unexpected-request", None);
    }
    auth(&mut session, "PLAIN", b"\0alice\0pencil");
    open(&mut session);
    assert_failed(&ask(&mut session, ENABLE), "unexpected-request", None);
    let no_count = "<resume xmlns='urn:xmpp:sm:3' previd='x'/>";
    assert_failed(&ask(&mut session, no_count), "bad-request", None);
    ask(&mut session, &bind_request(None));
    let unclear = "<enable xmlns='urn:xmpp:sm:3' resume='maybe'/>";
    assert_failed(&ask(&mut session, unclear), "bad-request", None);
    assert!(ask(&mut session, ENABLE).is("enabled", SM));
    assert_failed(&ask(&mut session, &resume_frame("x", 0)), "unexpected-request", None);

    let frames = session.receive(ENABLE);
    assert_failed(&Element::parse(&frames[0]).unwrap(), "unexpected-request", None);
    assert_stream_error(frames, "policy-violation");

    for early in [REQUEST, &acknowledge(0)] {
        let mut session = online(&server, "alice", "pencil", "b");
        assert_stream_error(session.receive(early), "unsupported-stanza-type");
    }
}

#[test]
fn both_sides_count() {
    let server = builder().build();
    let mut alice = online(&server, "alice", "pencil", "a");
    alice.receive(PRESENCE);
    ask(&mut alice, ENABLE);
    assert_eq!(ask(&mut alice, REQUEST).attr("h"), Some("0"), "what came before does not count");
    alice.receive(&message("bob@example.org", "refused"));
    alice.receive(&message("alice@example.org", "delivered"));
    assert_eq!(ask(&mut alice, REQUEST).attr("h"), Some("2"));
    alice.take_routed();
    assert!(alice.receive(&acknowledge(2)).is_empty());
    assert!(alice.receive(&acknowledge(1)).is_empty(), "it is no news");

    let frames = alice.receive(&acknowledge(5));
    let error = Element::parse(&frames[0]).unwrap();
    let detail = error.child("handled-count-too-high", SM).unwrap();
    assert_eq!((detail.attr("h"), detail.attr("send-count")), (Some("5"), Some("3")));
    assert_stream_error(frames, "undefined-condition");

    for malformed in ["<a xmlns='urn:xmpp:sm:3'/>", "<a xmlns='urn:xmpp:sm:3' h='many'/>"] {
        let (mut alice, _) = resumable(&server, "b");
        assert_stream_error(alice.receive(malformed), "bad-format");
    }
}

#[test]
fn the_server_asks_now_and_then() {
    let server = builder().build();
    let (mut alice, _) = resumable(&server, "a");
    let mut bob = online(&server, "bob", "eraser", "b");
    for round in 1..=2 {
        for _ in 0..8 {
            bob.receive(&message("alice@example.org/a", "m"));
        }
        let frames = alice.take_routed();
        assert_eq!((frames.len(), frames.last().unwrap().as_str()), (9, REQUEST));
        assert!(alice.receive(&acknowledge(round * 8)).is_empty());
    }
    let mut plain = online(&server, "bob", "eraser", "c");
    for _ in 0..20 {
        bob.receive(&message("bob@example.org/c", "m"));
    }
    assert_eq!(plain.take_routed().len(), 20, "nobody else is asked");
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_on_over_another_connection() {
    let server = builder().build();
    let mut bob = online(&server, "bob", "eraser", "b");
    let (mut alice, id) = resumable(&server, "a");
    alice.receive(PRESENCE);
    bob.receive(&message("alice@example.org", "1"));
    bob.receive(&message("alice@example.org", "2"));
    assert_eq!(alice.take_routed().len(), 3);
    drop(alice);
    pass(Duration::from_secs(100)).await;
    assert!(bob.receive(&message("alice@example.org/a", "3")).is_empty());
    pass(Duration::from_secs(100)).await;
    assert!(bob.receive(&message("alice@example.org/a", "4")).is_empty());

    let (mut alice, frames) = resume(&server, &id, 2);
    let [resumed, stanzas @ .., request] = frames.as_slice() else { panic!("{frames:?}") };
    assert!(resumed.is("resumed", SM), "{resumed}");
    assert_eq!((resumed.attr("previd"), resumed.attr("h")), (Some(id.as_str()), Some("1")));
    assert_eq!(ids(stanzas), ["2", "3"]);
    assert!(request.is("r", SM));
    assert_eq!(ids(&parse(alice.take_routed())), ["4"]);
    assert_eq!(alice.jid().unwrap().as_str(), "alice@example.org/a");
    assert!(alice.receive(&acknowledge(5)).is_empty());

    // It is as good as the first, and available.
    pass(2 * TIME).await;
    alice.receive(&message("bob@example.org", "5"));
    assert_eq!(parse(bob.take_routed())[0].attr("from"), Some("alice@example.org/a"));
    assert_eq!(ask(&mut alice, REQUEST).attr("h"), Some("2"));
    drop(alice);
    pass(TIME / 2).await;
    let (_alice, frames) = resume(&server, &id, 5);
    assert_eq!(frames.len(), 1, "{frames:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_there_is_replaced() {
    let server = builder().build();
    let (mut old, id) = resumable(&server, "a");
    let mut bob = online(&server, "bob", "eraser", "b");
    bob.receive(&message("alice@example.org/a", "1"));
    old.take_routed();
    let (mut new, frames) = resume(&server, &id, 0);
    assert_eq!(ids(&frames), ["1"]);
    assert_stream_error(old.take_routed(), "conflict");
    drop(old);
    bob.receive(&message("alice@example.org/a", "2"));
    assert_eq!(ids(&parse(new.take_routed())), ["2"]);

    let (_newest, frames) = resume(&server, &id, 2);
    assert_eq!(frames.len(), 1);
    let ping = "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert_stream_error(new.receive(ping), "conflict");
}

#[tokio::test(start_paused = true)]
async fn a_waiting_connection_hears_that_it_is_replaced() {
    let server = builder().build();
    let (mut old, id) = resumable(&server, "a");
    let waiting = tokio::spawn(async move {
        let delivery = old.delivery().await;
        old.deliver(delivery)
    });
    yield_now().await;
    let (_new, frames) = resume(&server, &id, 0);
    assert_eq!(frames.len(), 1);
    assert_stream_error(waiting.await.unwrap(), "conflict");
}

#[tokio::test(start_paused = true)]
async fn not_everything_can_be_resumed() {
    let server = builder().build();
    let (mut alice, id) = resumable(&server, "a");
    alice.receive(PRESENCE);
    drop(alice);
    yield_now().await;

    let mut bob = logged_in(&server, "bob", "eraser");
    assert_failed(&ask(&mut bob, &resume_frame(&id, 0)), "item-not-found", None);
    let (_, frames) = resume(&server, "unknown", 0);
    assert_failed(&frames[0], "item-not-found", None);
    let mut wrong = logged_in(&server, "alice", "pencil");
    let frames = wrong.receive(&resume_frame(&id, 2));
    assert!(frames[0].contains("<handled-count-too-high xmlns='urn:xmpp:sm:3' h='2'"));
    assert_stream_error(frames, "undefined-condition");

    pass(TIME).await;
    let (mut late, frames) = resume(&server, &id, 0);
    assert_eq!(frames.len(), 1);
    assert_failed(&frames[0], "item-not-found", Some("1"));
    assert_failed(&ask(&mut bob, &resume_frame(&id, 0)), "item-not-found", None);
    assert_eq!(ask(&mut late, &bind_request(Some("a"))).attr("type"), Some("result"));

    let (mut closed, id) = resumable(&server, "b");
    closed.receive(CLOSE);
    drop(closed);
    assert_failed(&resume(&server, &id, 0).1[0], "item-not-found", Some("0"));

    let server = builder().resumption(Duration::ZERO).build();
    assert_failed(&resume(&server, &id, 0).1[0], "feature-not-implemented", None);
}

#[tokio::test(start_paused = true)]
async fn the_client_may_ask_for_less_time() {
    let server = builder().build();
    let mut alice = online(&server, "alice", "pencil", "a");
    let enable = "<enable xmlns='urn:xmpp:sm:3' resume='true' max='10'/>";
    let id = ask(&mut alice, enable).attr("id").unwrap().to_owned();
    drop(alice);
    pass(Duration::from_secs(9)).await;
    let (alice, frames) = resume(&server, &id, 0);
    assert!(frames[0].is("resumed", SM));
    drop(alice);
    pass(Duration::from_secs(10)).await;
    assert_failed(&resume(&server, &id, 0).1[0], "item-not-found", Some("0"));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_acknowledged_in_time_goes_elsewhere_or_back() {
    let server = builder().build();
    let mut bob = online(&server, "bob", "eraser", "b");
    let mut work = online(&server, "alice", "pencil", "work");
    work.receive(PRESENCE);
    let ping = "<iq xmlns='jabber:client' type='get' id='p' to='alice@example.org/a'>\
                <ping xmlns='urn:xmpp:ping'/></iq>";
    let send_all = |bob: &mut Session| {
        bob.receive(&message("alice@example.org/a", "chat"));
        bob.receive(ping);
        for kind in ["groupchat", "headline", "error"] {
            let other = message("alice@example.org/a", kind);
            bob.receive(&other.replace("'chat'", &format!("'{kind}'")));
        }
    };

    let (mut alice, _) = resumable(&server, "a");
    alice.receive(PRESENCE);
    work.take_routed();
    send_all(&mut bob);
    assert_eq!(alice.take_routed().len(), 6, "with a presence");
    drop(alice);
    pass(TIME).await;
    let there = parse(work.take_routed());
    assert_eq!(there[0].attr("type"), Some("unavailable"));
    assert_eq!(ids(&there), ["chat"]);
    let back = parse(bob.take_routed());
    assert_eq!(ids(&back), ["p", "groupchat"]);
    back.iter().for_each(|error| assert_error(error, "service-unavailable"));

    // Nobody else is there, and nothing was sent yet.
    drop(work);
    let (alice, _) = resumable(&server, "a");
    send_all(&mut bob);
    drop(alice);
    pass(TIME).await;
    let back = parse(bob.take_routed());
    assert_eq!(ids(&back), ["chat", "p", "groupchat"]);
    back.iter().for_each(|error| assert_error(error, "service-unavailable"));
    assert_error(&ask(&mut bob, &message("alice@example.org/a", "late")), "service-unavailable");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_kept_than_may_be() {
    let limits = Limits { unacknowledged: 2, ..Limits::default() };
    let server = builder().limits(limits).build();
    let mut bob = online(&server, "bob", "eraser", "b");
    let (mut alice, id) = resumable(&server, "a");
    let send = |bob: &mut Session, id: &str| bob.receive(&message("alice@example.org/a", id));

    assert!(send(&mut bob, "1").is_empty());
    drop(std::mem::replace(&mut alice, logged_in(&server, "alice", "pencil")));
    assert!(send(&mut bob, "2").is_empty());
    yield_now().await;
    assert_eq!(ids(&parse(alice.receive(&resume_frame(&id, 0)))), ["1", "2"]);
    assert!(send(&mut bob, "3").is_empty());
    assert_stream_error(alice.take_routed(), "resource-constraint");
    assert_eq!(ids(&parse(bob.take_routed())), ["1", "2", "3"]);

    let (alice, id) = resumable(&server, "a");
    drop(alice);
    for id in ["1", "2", "3"] {
        assert!(send(&mut bob, id).is_empty());
    }
    yield_now().await;
    assert_failed(&resume(&server, &id, 0).1[0], "item-not-found", Some("0"));
    let back = parse(bob.take_routed());
    assert_eq!(ids(&back), ["1", "2", "3"]);
    back.iter().for_each(|error| assert_error(error, "service-unavailable"));

    let (mut alice, _) = resumable(&server, "a");
    let ping = "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
    alice.receive(ping);
    alice.receive(ping);
    assert_stream_error(alice.receive(ping), "resource-constraint");
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_the_address_ends_the_session() {
    let server = builder().resource_conflict(ResourceConflict::Replace).build();
    let mut bob = online(&server, "bob", "eraser", "b");
    let (alice, id) = resumable(&server, "a");
    drop(alice);
    bob.receive(&message("alice@example.org/a", "1"));
    yield_now().await;
    let mut newcomer = online(&server, "alice", "pencil", "a");
    yield_now().await;
    assert_failed(&resume(&server, &id, 0).1[0], "item-not-found", Some("0"));
    assert!(newcomer.take_routed().is_empty(), "it is not available yet");
    assert_error(&parse(bob.take_routed())[0], "service-unavailable");
}

#[test]
fn without_a_runtime_a_session_ends_at_once() {
    let server = builder().build();
    let (alice, id) = resumable(&server, "a");
    drop(alice);
    assert_failed(&resume(&server, &id, 0).1[0], "item-not-found", Some("0"));
}
