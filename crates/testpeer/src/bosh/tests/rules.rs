//! The rules of XEP-0124, each kept and broken.

use sha1::{Digest, Sha1};

use super::*;
use crate::bosh::Condition;

#[test]
fn a_request_is_a_body_with_an_id() {
    assert_eq!(body(9_007_199_254_740_991, "sid='a'", "").sid(), Some("a"));
    for text in [
        "<body xmlns='http://jabber.org/protocol/httpbind'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='0'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='9007199254740992'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='x'/>",
        "<body rid='1'/>",
        "<html xmlns='http://jabber.org/protocol/httpbind' rid='1'/>",
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='1'>",
        "",
    ] {
        let refused = Body::parse(text.as_bytes(), 1000).err();
        assert_eq!(refused, Some(Condition::BadRequest), "{text}");
    }
    let long = format!("<body xmlns='{HTTP_BIND}' rid='1'/>");
    assert_eq!(Body::parse(long.as_bytes(), 10).err(), Some(Condition::BadRequest));
}

#[test]
fn no_more_is_granted_than_was_asked_for() {
    for (asked, granted) in [
        ("wait='10' hold='9'", "wait='10' hold='1' requests='2' polling='5' inactivity='30'"),
        ("wait='9999' hold='1'", "wait='60' hold='1' requests='2' polling='5' inactivity='30'"),
        ("", "wait='60' hold='1' requests='2' polling='5' inactivity='30'"),
        ("wait='0' hold='1'", "wait='0' hold='0' requests='2' polling='5' inactivity='60'"),
        ("wait='60' hold='0'", "wait='60' hold='0' requests='2' polling='5' inactivity='60'"),
    ] {
        let asked = format!("{asked} to='localhost'");
        let (_, answers) = Line::create(&server(), &asked);
        let granted = format!(" sid='a1' ver='1.6' {granted} maxpause='120' ack='1' ");
        assert!(answers[0].1.contains(&granted), "{answers:?}");
    }
}

#[test]
fn the_stream_header_is_in_the_first_answer() {
    let (line, answers) = Line::create(&server(), &format!("{CREATE} content='text/html'"));
    let answer = Element::parse(&answers[0].1).unwrap();
    assert_eq!(answer.attr("from"), Some("localhost"));
    assert_eq!(answer.attr_ns("urn:xmpp:xbosh", "version"), Some("1.0"));
    assert_eq!(answer.attr_ns("urn:xmpp:xbosh", "restartlogic"), Some("true"));
    assert_eq!(answer.attr("authid").map(str::len), Some(16));
    assert_eq!(answer.children().next().unwrap().name(), "features");
    assert_eq!(line.manager.content_type(), Some("text/html"));
}

#[test]
fn a_session_that_cannot_be_is_refused() {
    for (attributes, head, inside) in [
        ("", "terminate improper-addressing", ""),
        ("to=''", "terminate improper-addressing", ""),
        (&CREATE.replace("localhost", "example.org"), STREAM_ERROR, "<host-unknown "),
        ("to='localhost'", STREAM_ERROR, "<unsupported-version "),
    ] {
        let (mut line, answers) = Line::create(&server(), attributes);
        assert_heads(&answers, &[(1, head)]);
        assert!(answers[0].1.contains(inside), "{answers:?}");
        assert_heads(&line.post(2, "", ""), &[(2, "terminate item-not-found")]);
    }
}

#[test]
fn a_request_is_held_until_there_is_news() {
    let server = server();
    let (mut alice, mut bob) = (Line::online(&server), bob(&server));
    assert_eq!(alice.post(5, "", ""), []);
    for id in 1..=3 {
        bob.receive(&message("alice", id));
    }
    let answers = alice.take_routed();
    let [(5, answer)] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(answer.matches("<message ").count(), 3);

    assert_eq!(alice.post(6, "", ""), []);
    assert_eq!(alice.wait(59), []);
    assert_eq!(alice.wait(1), [(6, EMPTY.to_owned())]);
    assert!(!alice.manager.is_gone());
}

#[test]
fn news_wait_for_a_request() {
    let server = server();
    let (mut alice, mut bob) = (Line::online(&server), bob(&server));
    bob.receive(&message("alice", 1));
    assert_eq!(alice.take_routed(), []);
    assert_eq!(alice.post(5, "", ""), []);
    assert!(alice.take_routed()[0].1.contains("id='1'"));
}

#[test]
fn one_answer_is_not_much_longer_than_a_stanza_may_be() {
    let server = small_server();
    let (mut alice, mut bob) = (Line::online(&server), bob(&server));
    for id in 0..100 {
        bob.receive(&message("alice", id));
    }
    alice.post(5, "", "");
    let answers = alice.take_routed();
    assert_eq!(answers.len(), 1);
    assert!((200..2000).contains(&answers[0].1.len()), "{}", answers[0].1.len());
    alice.post(6, "", "");
    assert_eq!(alice.take_routed().len(), 1);
}

#[test]
fn another_request_frees_the_one_that_is_held() {
    let server = server();
    let (mut alice, mut bob) = (Line::online(&server), bob(&server));
    assert_eq!(alice.post(5, "", ""), []);
    let answers = alice.post(6, "", &message("bob", 1));
    assert_eq!(answers, [(5, EMPTY.replace("/>", " ack='6'/>"))]);
    assert!(bob.take_routed()[0].contains("id='1'"));
}

#[test]
fn a_request_that_comes_again_gets_the_same_answer_and_does_nothing_twice() {
    let server = server();
    let (mut alice, mut bob) = (Line::online(&server), bob(&server));
    alice.post(5, "", &message("bob", 1));
    let answers = alice.post(6, "", &message("bob", 2));
    let [(5, first)] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!(bob.take_routed().len(), 2);
    assert_eq!(alice.repeat(50, 5, "", &message("bob", 1)), [(50, first.clone())]);
    // While it is held, the earlier exchange is let go.
    let again = EMPTY.replace("/>", " type='error'/>");
    assert_eq!(alice.repeat(60, 6, "", &message("bob", 2)), [(6, again)]);
    assert_eq!(bob.take_routed(), [""; 0]);

    bob.receive(&message("alice", 3));
    let answers = alice.take_routed();
    let [(60, news)] = answers.as_slice() else { panic!("{answers:?}") };
    assert!(news.contains("id='3'"));
    assert_eq!(alice.repeat(61, 6, "", ""), [(61, news.clone())]);
}

#[test]
fn requests_are_put_in_order() {
    let server = server();
    let (mut alice, mut bob) = (Line::online(&server), bob(&server));
    assert_eq!(alice.post(6, "", &message("bob", 2)), []);
    assert_eq!(bob.take_routed(), [""; 0]);
    assert_heads(&alice.repeat(60, 6, "", &message("bob", 2)), &[(6, "error")]);
    assert_heads(&alice.post(5, "", &message("bob", 1)), &[(5, "")]);
    let routed = bob.take_routed();
    assert!(routed[0].contains("id='1'") && routed[1].contains("id='2'"), "{routed:?}");
    assert_heads(&alice.wait(60), &[(60, "")]);
}

#[test]
fn a_request_outside_of_the_window_ends_the_session() {
    for rid in [1, 7, 1000, 9_007_199_254_740_991] {
        let mut alice = Line::online(&server());
        alice.post(5, "", "");
        // The answers to 2, 3 and 4 are kept, and 6 and 7 may come.
        let rid = if rid == 7 { 8 } else { rid };
        assert_heads(
            &alice.post(rid, "", &message("bob", 1)),
            &[(rid, "terminate item-not-found"), (5, "terminate item-not-found")],
        );
        assert_heads(&alice.post(6, "", ""), &[(6, "terminate item-not-found")]);
    }
}

#[test]
fn one_request_more_may_come_to_end_the_session() {
    let mut alice = Line::online(&server());
    assert_eq!(alice.post(7, "type='terminate'", ""), []);
    assert_eq!(alice.post(6, "", &message("bob", 1)), []);
    assert_heads(&alice.post(5, "", ""), &[(5, "terminate"), (6, ""), (7, "")]);
}

#[test]
fn each_key_is_checked() {
    let keys = |seed: &str, count: usize| {
        let next = |key: &String| {
            let hash = Sha1::digest(key.as_bytes());
            Some(hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        let mut keys: Vec<_> =
            std::iter::successors(Some(seed.to_owned()), next).take(count + 1).collect();
        keys.reverse();
        keys
    };
    let (first, second) = (keys("x", 3), keys("y", 2));
    // In which case the letters are does not matter where keys are compared.
    let new = first[0].to_uppercase();
    let start = || Line::create(&server(), &format!("{CREATE} newkey='{new}'")).0;
    let challenge = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>";

    let mut line = start();
    line.post(2, &format!("key='{}'", first[1]), challenge);
    let change = format!("key='{}' newkey='{}'", first[2], second[0]);
    assert_heads(
        &line.post(3, &change, "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
        &[(3, "")],
    );
    assert_heads(&line.post(4, &format!("key='{}'", second[1]), challenge), &[(4, "")]);

    for key in [
        String::new(),
        format!("key='{}'", first[0]),
        format!("key='{}'", first[2]),
        format!("key='{}'", first[1].to_uppercase()),
    ] {
        let answers = start().post(2, &key, challenge);
        assert_heads(&answers, &[(2, "terminate item-not-found")]);
    }
}

/// Who takes a session over makes sure of it by two of them at once.
#[test]
fn an_empty_request_lets_the_one_before_it_go() {
    let mut alice = Line::online(&server());
    alice.post(5, "", "");
    assert_heads(&alice.post(6, "", ""), &[(5, "")]);
    assert_heads(&alice.post(7, "", ""), &[(6, "")]);
}

#[test]
fn a_polling_session_is_answered_at_once() {
    let mut line = Line::create(&server(), &CREATE.replace("hold='1'", "hold='0'")).0;
    for rid in 2..5 {
        assert_heads(&line.post(rid, "", ""), &[(rid, "")]);
        line.wait(5);
    }
    assert_heads(&line.post(5, "", ""), &[(5, "")]);
    line.wait(4);
    assert_heads(&line.post(6, "", ""), &[(6, "terminate policy-violation")]);
}

#[test]
fn a_session_without_requests_is_forgotten() {
    let server = server();
    let (mut alice, mut bob) = (Line::online(&server), bob(&server));
    alice.wait(29);
    assert!(!alice.manager.is_gone());
    alice.wait(1);
    assert!(alice.manager.is_gone());
    assert!(bob.receive(&message("alice", 1))[0].contains("service-unavailable"));
}

#[test]
fn a_pause_lets_all_requests_go() {
    let server = server();
    let (mut alice, mut bob) = (Line::online(&server), bob(&server));
    alice.post(5, "", "");
    bob.receive(&message("alice", 1));
    let empty = |rid, ack: &str| (rid, EMPTY.replace("/>", &format!("{ack}/>")));
    assert_eq!(alice.post(6, "pause='100'", ""), [empty(5, " ack='6'"), empty(6, "")]);
    alice.wait(99);
    assert!(!alice.manager.is_gone());
    alice.post(7, "", "");
    assert!(alice.take_routed()[0].1.contains("id='1'"));
    alice.wait(30);
    assert!(alice.manager.is_gone(), "the pause is over");

    let mut gone = Line::online(&server);
    assert_heads(&gone.post(5, "pause='100' type='terminate'", ""), &[(5, "terminate")]);
    let mut late = Line::online(&server);
    late.post(5, "pause='100'", "");
    late.wait(100);
    assert!(late.manager.is_gone());
    let mut greedy = Line::online(&server);
    assert_heads(&greedy.post(5, "pause='121'", ""), &[(5, "terminate policy-violation")]);
}

#[test]
fn a_client_can_end_the_session() {
    let server = server();
    let (mut alice, mut bob) = (Line::online(&server), bob(&server));
    alice.post(5, "", "");
    let answers = alice.post(6, "type='terminate'", &message("bob", 1));
    assert_heads(&answers, &[(5, "terminate"), (6, "")]);
    assert!(bob.take_routed()[0].contains("id='1'"));
    assert!(bob.receive(&message("alice", 1))[0].contains("service-unavailable"));
    // The answers are kept for a while, and no longer.
    assert_eq!(alice.repeat(50, 5, "", ""), [(50, answers[0].1.clone())]);
    assert_heads(&alice.post(7, "", ""), &[(7, "terminate item-not-found")]);
    alice.wait(30);
    assert!(alice.manager.is_gone());
}

#[test]
fn what_ends_the_stream_is_told_when_there_is_a_request() {
    let mut alice = Line::online(&server());
    // It has not read what came for it.
    alice.manager.handle_delivery(None, alice.now);
    assert_eq!(alice.answers(), []);
    let answers = alice.post(5, "", &message("bob", 1));
    assert_heads(&answers, &[(5, STREAM_ERROR)]);
    assert!(answers[0].1.contains("<resource-constraint "));

    let mut alice = Line::online(&server());
    alice.post(5, "", "");
    alice.manager.handle_shutdown(alice.now);
    let answers = alice.answers();
    assert_heads(&answers, &[(5, STREAM_ERROR)]);
    assert!(answers[0].1.contains("<system-shutdown ") && alice.manager.is_gone());

    let mut line = Line::create(&server(), CREATE).0;
    let login = line.post(2, "", "");
    assert_eq!(login, []);
    let answers = line.wait(60);
    assert_heads(&answers, &[(2, STREAM_ERROR)]);
    assert!(answers[0].1.contains("<connection-timeout "));
}

#[test]
fn stanzas_keep_to_their_limit() {
    let server = small_server();
    let mut alice = Line::online(&server);
    let long = "x".repeat(500);
    let message =
        |text| format!("<message xmlns='jabber:client' to='bob@localhost'>{text}</message>");
    let two = message(&long).repeat(2);
    assert_heads(&alice.post(5, "", &two), &[(5, "")]);
    let answers = alice.post(6, "", &message(&long.repeat(2)));
    assert_heads(&answers, &[(6, STREAM_ERROR)]);
    assert!(answers[0].1.contains("<policy-violation "));
}

const STREAM_ERROR: &str = "terminate remote-stream-error";
