//! A session goes on: with a new connection, as it is or by way of JSON.

use std::time::Duration;

use epode_proto::{
    Element, Error, Input, PeerFault, Phase, SessionState, Status, StreamManagement, Timeouts, Wait,
};

use crate::client::{
    CLOSE, Client, ENABLE, ENABLED, FAILED, JID, NOW, News, REQUEST, SM, Wire, answer,
    carried_both_ways, delivered, lost, message, over_both, resume, resumed, settings,
    through_json,
};
use crate::hostile::too_high;

/// Three stanzas are sent, one is acknowledged, two have come; then the connection is lost.
fn left(wire: Wire, by_json: bool) -> SessionState {
    let mut client = Client::managed(wire, settings());
    for id in ["1", "2", "3"] {
        client.send(id);
    }
    client.receive(&answer(1));
    client.receive(&message("a"));
    client.receive(&message("b"));
    client.lose();
    assert_eq!(client.end(), Some(&lost()));
    let sent = client.sent();
    assert!(!sent.contains(&CLOSE.to_owned()) && !sent.contains(&answer(2)), "{sent:?}");
    client.left(by_json)
}

#[test]
fn it_is_resumed_before_binding_and_what_is_missing_is_sent_again() {
    carried_both_ways(|wire, by_json| {
        for (handled, acknowledged, again) in
            [(1, None, vec!["2", "3"]), (2, Some(2), vec!["3"]), (3, Some(3), vec![])]
        {
            let session = left(wire, by_json);
            assert!(session.is_resumable());
            let mut client = Client::offered(wire, settings().session(session), SM);
            assert_eq!(client.sent(), [resume(2)]);
            assert_eq!(client.connection.phase(), Phase::Resumed);
            client.receive(&resumed(handled));
            let sent: Vec<_> = again.iter().map(|id| message(id)).collect();
            assert_eq!(client.sent(), sent, "{handled}");
            let numbers = again.iter().map(|id| News::Sent(id.parse().expect("it is a number")));
            let news: Vec<_> =
                acknowledged.map(News::Acknowledged).into_iter().chain(numbers).collect();
            assert_eq!(client.news(), news, "{handled}");
            let Some(Status::Connected(connected)) = client.statuses.last() else { panic!() };
            assert!(connected.resumed && connected.jid.as_str() == JID);
            assert_eq!(
                client.statuses.last().map(ToString::to_string).as_deref(),
                Some("CONNECTED 5 alice@example.org/desk resumed")
            );
            client.receive(&message("c"));
            client.receive(REQUEST);
            assert_eq!((client.sent(), client.send("4")), (vec![answer(3)], 4));
        }
    });
}

/// Above what was sent, below what was acknowledged already, and below by way of 2^32.
#[test]
fn a_count_that_cannot_be_ends_the_session_for_good() {
    carried_both_ways(|wire, by_json| {
        for handled in [4, 0, u32::MAX, 1 << 31] {
            let session = left(wire, by_json);
            let mut client = Client::offered(wire, settings().session(session), SM);
            client.sent();
            client.receive(&resumed(handled));
            let fault = PeerFault::AcknowledgedUnsent { handled, sent: 3 };
            assert_eq!(client.end(), Some(&Error::PeerMisbehaved(fault)));
            assert_eq!(client.sent(), [too_high(handled, 3).as_str(), CLOSE]);
            assert_eq!(client.news(), []);

            // The next connection does not fall into the same hole.
            let session = client.left(by_json);
            assert!(!session.is_resumable());
            assert_eq!(session.unacknowledged().count(), 2);
            let mut client = Client::bound(wire, settings().session(session), SM);
            assert_eq!((client.sent(), client.news()), (vec![ENABLE.to_owned()], vec![]));
            client.receive(ENABLED);
            assert_eq!(client.news(), [News::Sent(2), News::Sent(3)]);
        }
    });
}

#[test]
fn another_session_is_not_taken_for_ours() {
    over_both(|wire| {
        for previd in ["s2", "", "S1", "s1 "] {
            let session = left(wire, true);
            let mut client = Client::offered(wire, settings().session(session), SM);
            client.sent();
            client.receive(&format!("<resumed xmlns='urn:xmpp:sm:3' previd='{previd}' h='1'/>"));
            assert_eq!(client.end(), Some(&Error::PeerMisbehaved(PeerFault::ResumedAnother)));
            assert_eq!(client.sent(), [CLOSE], "no stanza went to it");
            assert!(!client.connection.session().is_resumable());
            assert_eq!(client.connection.session().unacknowledged().count(), 2);
        }
    });
}

#[test]
fn a_session_goes_on_over_many_connections() {
    carried_both_ways(|wire, by_json| {
        let mut session = left(wire, by_json);
        for round in 0..10_u32 {
            let mut client = Client::offered(wire, settings().session(session), SM);
            assert_eq!(client.sent(), [resume(2 + round)]);
            client.receive(&resumed(2 + round));
            client.receive(&message("x"));
            client.send("y");
            client.lose();
            assert_eq!(client.sent(), [message(if round == 0 { "3" } else { "y" }), message("y")]);
            session = client.left(by_json);
        }
        assert_eq!((session.received(), session.sent()), (12, 13));
    });
}

/// As when the network is there for a moment only.
/// Two stanzas were sent again, and an acknowledgement was asked for.
fn asked(wire: Wire, by_json: bool) -> Client {
    let mut client = Client::offered(wire, settings().session(left(wire, by_json)), SM);
    client.receive(&resumed(1));
    client.pass(Duration::from_secs(1));
    assert!(client.sent().contains(&REQUEST.to_owned()));
    client
}

/// It takes what we say for the rest of what broke off, and would in the next resumption as well.
#[test]
fn a_server_that_speaks_and_does_not_answer_is_given_up_with_the_session() {
    carried_both_ways(|wire, by_json| {
        let mut client = asked(wire, by_json);
        client.receive(&message("c"));
        client.pass(Duration::from_secs(19));
        client.receive(&message("d"));
        assert!(!client.is_over);
        client.pass(Duration::from_secs(1));
        assert_eq!(client.end(), Some(&Error::TimedOut(Wait::SignOfLife)));
        assert!(!client.sent().contains(&CLOSE.to_owned()));
        let left = client.left(by_json);
        assert!(!left.is_resumable());
        assert_eq!(left.unacknowledged().count(), 2);
    });
}

#[test]
fn one_that_says_nothing_may_know_the_session_still() {
    carried_both_ways(|wire, by_json| {
        let mut client = asked(wire, by_json);
        client.pass(Duration::from_secs(20));
        assert_eq!(client.end(), Some(&Error::TimedOut(Wait::SignOfLife)));
        assert!(client.left(by_json).is_resumable());
    });
}

#[test]
fn one_that_has_answered_once_understands_us() {
    carried_both_ways(|wire, by_json| {
        let mut client = asked(wire, by_json);
        client.receive(&answer(3));
        client.send("4");
        client.pass(Duration::from_secs(1));
        assert!(client.sent().contains(&REQUEST.to_owned()));
        for _ in 0..4 {
            client.receive(&message("c"));
            client.pass(Duration::from_secs(10));
        }
        assert!(!client.is_over);
    });
}

#[test]
fn a_connection_that_is_lost_before_it_resumes_changes_nothing() {
    carried_both_ways(|wire, by_json| {
        let session = left(wire, by_json);
        let before = through_json(&session);
        let mut client = Client::new(wire, settings().session(session));
        client.input(Input::NotOpened(Error::Unreachable("no network".to_owned())));
        let mut client = Client::offered(wire, settings().session(client.left(by_json)), SM);
        assert_eq!(client.connection.phase(), Phase::Resumed);
        client.lose();
        let session = client.left(by_json);
        assert_eq!(session.mark(), before.mark());
        let mut client = Client::offered(wire, settings().session(session), SM);
        assert_eq!(client.sent(), [resume(2)]);
        client.receive(&resumed(2));
        assert_eq!(client.sent(), [message("3")]);
    });
}

/// The server may have resumed it just then: closed, it would be lost.
#[test]
fn a_server_that_does_not_answer_leaves_it_resumable() {
    over_both(|wire| {
        let session = left(wire, true);
        let mut client = Client::offered(wire, settings().session(session), SM);
        assert_eq!(client.sent(), [resume(2)]);
        client.pass(Duration::from_secs(19));
        assert_eq!(client.connection.phase(), Phase::Resumed);
        client.pass(Duration::from_secs(1));
        assert_eq!(client.end(), Some(&Error::TimedOut(Wait::Resumed)));
        assert!(client.sent().is_empty());
        assert!(client.left(true).is_resumable());
    });
}

#[test]
fn what_is_written_between_connections_goes_out_after_what_is_missing() {
    carried_both_ways(|wire, by_json| {
        let mut client = Client::new(wire, settings().session(left(wire, by_json)));
        assert_eq!(client.send("4"), 4);
        client.log_in(SM);
        assert_eq!(client.send("5"), 5);
        assert_eq!(client.sent(), [resume(2)]);
        assert_eq!(client.news(), []);
        client.receive(&resumed(2));
        let ids = ["3", "4", "5"];
        assert_eq!(client.sent(), ids.map(message));
        assert_eq!(
            client.news(),
            [News::Acknowledged(2), News::Sent(3), News::Sent(4), News::Sent(5)]
        );
        client.receive(&answer(5));
        assert_eq!(client.news(), [News::Acknowledged(5)]);
    });
}

#[test]
fn before_the_first_login_there_is_no_session() {
    let mut client = Client::new(Wire::Tcp, settings());
    let error = client.try_send(message("1").parse().expect("it is XML")).expect_err("too early");
    assert_eq!(error.to_string(), "wrong use of the library: not connected");
}

/// Resumed, it is bound already; a new one waits for the call.
#[test]
fn explicit_binding_is_called_for_only_where_something_is_to_be_bound() {
    carried_both_ways(|wire, by_json| {
        let settings = || settings().session(left(wire, by_json)).explicit_binding(true);
        let mut client = Client::offered(wire, settings(), SM);
        client.receive(&resumed(3));
        assert_eq!(client.connection.phase(), Phase::Online);
        assert!(!client.statuses.contains(&Status::BindRequired));

        for features in [SM, ""] {
            let mut client = Client::offered(wire, settings(), features);
            if features == SM {
                client.receive(FAILED);
            }
            assert_eq!(client.statuses.last(), Some(&Status::BindRequired));
            client.sent();
            client.input(Input::Bind);
            client.bind();
            let expected = if features == SM {
                client.receive(ENABLED);
                vec![News::Sent(2), News::Sent(3)]
            } else {
                vec![News::Sent(2), News::Unmanaged(2), News::Sent(3), News::Unmanaged(3)]
            };
            client.receive(&message("c"));
            assert_eq!(client.news(), [expected, vec![delivered("c")]].concat());
        }
    });
}

#[test]
fn nothing_is_resumed_where_nothing_of_it_is_wanted() {
    let session = left(Wire::Tcp, true);
    let settings = settings().session(session).stream_management(None);
    let mut client = Client::bound(Wire::Tcp, settings, SM);
    assert_eq!(client.connection.phase(), Phase::Online);
    let sent = client.sent();
    assert!(sent.len() == 2 && !sent.concat().contains("urn:xmpp:sm:3"), "{sent:?}");
    assert_eq!(client.connection.session().unacknowledged().count(), 0);
}

#[test]
fn the_session_asks_for_its_resource_again() {
    let mut client = Client::offered(Wire::Tcp, settings().session(left(Wire::Tcp, true)), SM);
    client.receive(FAILED);
    assert!(client.sent()[1].contains("<resource>desk</resource>"));
}

#[test]
fn an_application_that_ends_the_attempt_keeps_its_stanzas() {
    let mut client = Client::offered(Wire::Tcp, settings().session(left(Wire::Tcp, true)), SM);
    client.input(Input::Close);
    client.receive(&resumed(1)); // too late
    client.receive_close();
    assert_eq!(client.sent(), [&resume(2), CLOSE]);
    assert_eq!(client.end(), None);
    assert_eq!(client.news(), []);
    assert_eq!(client.left(true).unacknowledged().count(), 2);
}

/// It is not for ever that a server keeps it.
#[test]
fn it_expires_as_the_server_said() {
    let mut session = left(Wire::Tcp, true);
    assert!(session.expire(NOW + 300));
    assert!(!session.expire(NOW + 301));
    let client = Client::bound(Wire::Tcp, settings().session(session), SM);
    assert_eq!(client.connection.phase(), Phase::Online);
}

/// Stanzas are not bounded by what a server may send us.
#[test]
fn a_large_stanza_survives_a_new_process() {
    let client = Client::managed(Wire::WebSocket, settings());
    let large = format!(
        "<message xmlns='jabber:client' id='1' about='{}'><body/></message>",
        "x".repeat(1000)
    );
    let mut large: Element = large.parse().expect("it is XML");
    large.set_attr("more", "y".repeat(100_000));
    large.push("z".repeat(1_000_000));
    for depth in 0..100 {
        large = Element::new("message", "jabber:client")
            .with_attr("depth", depth.to_string())
            .with_child(large);
    }
    // The test's own decoder has the limits of a server; only what is kept matters here.
    let mut connection = client.connection;
    connection.send(client.now, large.clone()).expect("there is room");
    let session = through_json(connection.session());
    assert_eq!(session.unacknowledged().collect::<Vec<_>>(), [&large]);
}

#[test]
fn a_bind_request_that_is_not_answered_ends_the_old_session_alone() {
    let timeouts = Timeouts::default().reply(Duration::from_secs(5));
    let wanted = StreamManagement::default();
    let settings = settings()
        .session(left(Wire::Tcp, true))
        .timeouts(timeouts)
        .stream_management(Some(wanted));
    let mut client = Client::offered(Wire::Tcp, settings, SM);
    client.receive(FAILED);
    client.sent();
    client.pass(Duration::from_secs(5));
    assert_eq!(client.end(), Some(&Error::TimedOut(Wait::Bound)));
    assert_eq!(client.sent(), [CLOSE]);
    // The old count is gone, so the old stream is, too.
    let session = client.left(false);
    assert!(!session.is_resumable());
    let mut client = Client::bound(Wire::Tcp, self::settings().session(session), SM);
    client.receive(ENABLED);
    client.receive(&answer(2));
    assert_eq!(client.news(), [News::Sent(2), News::Sent(3), News::Acknowledged(3)]);
}
