//! Both sides count: what is said when, and the numbers that the application hears.

use std::time::Duration;

use epode_proto::{Error, Input, Phase, SessionState, Status, StreamManagement, Timeouts, Wait};

use crate::client::{
    CLOSE, Client, ENABLE, ENABLED, FAILED, News, REQUEST, SM, Wire, answer, carried_both_ways,
    delivered, message, over_both, resume, resumed, settings, stanza,
};

#[test]
fn it_is_enabled_as_asked_for() {
    let wanted = StreamManagement::default();
    let enable = |attributes: &str| vec![format!("<enable xmlns='urn:xmpp:sm:3'{attributes}/>")];
    for (wanted, expected) in [
        (Some(wanted), enable(" resume='true'")),
        (Some(wanted.resume(false)), enable("")),
        (Some(wanted.max(Duration::from_secs(90))), enable(" resume='true' max='90'")),
        (None, vec![]),
    ] {
        over_both(|wire| {
            let settings = settings().stream_management(wanted);
            assert_eq!(Client::bound(wire, settings, SM).sent(), expected);
        });
    }
    for not_offered in ["", "<sm xmlns='urn:xmpp:sm:2'/>", "<sm/>", "<x xmlns='urn:xmpp:sm:3'/>"] {
        assert!(Client::bound(Wire::WebSocket, settings(), not_offered).sent().is_empty());
    }
}

#[test]
fn what_the_server_grants_is_known() {
    for (granted, resumable, location) in [
        (ENABLED, true, None),
        (
            "<enabled xmlns='urn:xmpp:sm:3' id='s' resume='1' location='[::1]:1'/>",
            true,
            Some("[::1]:1"),
        ),
        ("<enabled xmlns='urn:xmpp:sm:3' id='s'/>", false, None),
        ("<enabled xmlns='urn:xmpp:sm:3' resume='true'/>", false, None),
        ("<enabled xmlns='urn:xmpp:sm:3'/>", false, None),
        (FAILED, false, None),
        ("<failed xmlns='urn:xmpp:sm:3'/>", false, None),
    ] {
        let mut client = Client::bound(Wire::Tcp, settings(), SM);
        client.receive(granted);
        let session = client.connection.session();
        assert_eq!(
            (session.is_resumable(), session.location()),
            (resumable, location),
            "{granted}"
        );
        assert_eq!(client.connection.phase(), Phase::Online);
    }
}

#[test]
fn what_is_sent_waits_for_the_grant_and_all_counts_from_there() {
    over_both(|wire| {
        let mut client = Client::bound(wire, settings(), SM);
        assert_eq!((client.send("1"), client.send("2")), (1, 2));
        client.receive(&message("a"));
        assert_eq!((client.sent(), client.news()), (vec![ENABLE.into()], vec![delivered("a")]));
        client.receive(ENABLED);
        assert_eq!(client.sent(), [message("1"), message("2")]);
        client.receive(&message("b"));
        client.receive(REQUEST);
        assert_eq!(client.sent(), [answer(1)], "only b counts");
        client.receive(&answer(2));
        assert_eq!(
            client.news(),
            [News::Sent(1), News::Sent(2), delivered("b"), News::Acknowledged(2)]
        );
        let session = client.connection.session();
        assert_eq!((session.sent(), session.received()), (2, 2));
    });
}

#[test]
fn where_it_is_refused_nothing_is_counted_or_kept() {
    let mut client = Client::bound(Wire::WebSocket, settings(), SM);
    client.send("1");
    assert_eq!((client.sent(), client.news()), (vec![ENABLE.to_owned()], vec![]));
    client.receive(FAILED);
    assert_eq!(client.news(), [News::Sent(1), News::Unmanaged(1)]);
    assert_eq!(client.connection.session().unacknowledged().count(), 0);
    client.send("2");
    client.receive(&message("a"));
    client.pass(Duration::from_secs(10));
    assert_eq!(client.sent(), [message("1"), message("2")], "nobody is asked");
    assert_eq!(client.news(), [News::Sent(2), News::Unmanaged(2), delivered("a")]);
    client.input(Input::Close);
    assert_eq!(client.sent(), [CLOSE]);
    assert!(!client.connection.session().is_resumable());
}

#[test]
fn an_acknowledgement_is_asked_for_after_five_stanzas_or_half_a_second() {
    over_both(|wire| {
        let mut client = Client::managed(wire, settings());
        for id in ["1", "2", "3", "4"] {
            client.send(id);
        }
        assert!(!client.sent().contains(&REQUEST.to_owned()));
        client.send("5");
        assert_eq!(client.sent(), [&message("5"), REQUEST]);
        client.pass(Duration::from_millis(600));
        assert!(client.sent().is_empty(), "all of them were asked for");
        client.send("6");
        client.pass(Duration::from_millis(300));
        client.send("7");
        client.pass(Duration::from_millis(199));
        assert_eq!(client.sent(), [message("6"), message("7")]);
        client.pass(Duration::from_millis(1));
        assert_eq!(client.sent(), [REQUEST], "half a second after the first");
        client.pass(Duration::from_secs(10));
        assert!(client.sent().is_empty());
    });
}

#[test]
fn how_often_it_is_asked_can_be_set() {
    let every = StreamManagement::default().every(2).after(Duration::from_secs(3));
    let mut client = Client::managed(Wire::Tcp, settings().stream_management(Some(every)));
    client.send("1");
    client.send("2");
    client.send("3");
    client.pass(Duration::from_millis(2999));
    assert_eq!(client.sent(), [&message("1"), &message("2"), REQUEST, &message("3")]);
    client.pass(Duration::from_millis(1));
    assert_eq!(client.sent(), [REQUEST]);
}

/// Before that the server has nothing to acknowledge, and nothing to do it by; and it is not waited
/// for by calling again and again.
#[test]
fn nothing_is_asked_before_the_server_counts() {
    for after in [Duration::ZERO, Duration::from_millis(500)] {
        let wanted = StreamManagement::default().every(2).after(after);
        let mut client =
            Client::bound(Wire::WebSocket, settings().stream_management(Some(wanted)), SM);
        for id in ["1", "2", "3"] {
            client.send(id);
        }
        client.pass(Duration::from_secs(5));
        assert_eq!(client.sent(), [ENABLE]);
        assert!(client.wakes < 10, "{}", client.wakes);
        client.receive(ENABLED);
        assert_eq!(client.sent(), [&message("1"), &message("2"), REQUEST, &message("3")]);
        client.pass(after);
        assert_eq!(client.sent(), [REQUEST]);
    }
}

/// As long as the wait for any other answer: what waits is sent in the next session.
#[test]
fn a_server_that_does_not_say_whether_it_counts_is_given_up() {
    over_both(|wire| {
        let settings = || settings().timeouts(Timeouts::default().reply(Duration::from_secs(7)));
        let mut client = Client::bound(wire, settings(), SM);
        client.send("1");
        client.pass(Duration::from_secs(5));
        client.receive(&message("a")); // prolongs nothing
        client.pass(Duration::from_millis(1999));
        assert_eq!((client.sent(), client.is_over), (vec![ENABLE.to_owned()], false));
        client.pass(Duration::from_millis(1));
        let error = Error::TimedOut(Wait::Enabled);
        assert_eq!(client.end(), Some(&error));
        assert_eq!(client.statuses[client.statuses.len() - 2], Status::ConnTimeout(error));
        assert_eq!((client.sent(), client.news()), (vec![CLOSE.to_owned()], vec![delivered("a")]));
        let session = client.left(false);
        assert!(!session.is_resumable());

        let mut client = Client::bound(wire, settings().session(session), SM);
        client.receive(ENABLED);
        assert_eq!(client.news(), [News::Sent(1)]);
        client.pass(Duration::from_secs(8));
        assert!(!client.is_over, "it has answered");
    });
}

/// There are no other deadlines: whoever was refused, or never asked, waits for nothing.
#[test]
fn the_wait_ends_with_any_answer() {
    for (features, answer) in [(SM, ENABLED), (SM, FAILED), ("", "<x xmlns='urn:example'/>")] {
        let mut client = Client::bound(Wire::WebSocket, settings(), features);
        client.receive(answer);
        client.pass(Duration::from_secs(59));
        assert!(!client.is_over, "{answer}");
    }
}

/// The next session has what waited, in its order, and the lost one has had none of it.
#[test]
fn a_connection_lost_before_the_grant_doubles_nothing() {
    carried_both_ways(|wire, by_json| {
        let mut client = Client::bound(wire, settings(), SM);
        client.send("1");
        client.send("2");
        client.lose();
        assert_eq!((client.sent(), client.news()), (vec![ENABLE.to_owned()], vec![]));
        let mut client = Client::bound(wire, settings().session(client.left(by_json)), SM);
        assert_eq!(client.send("3"), 3);
        assert_eq!(client.sent(), [ENABLE]);
        client.receive(ENABLED);
        client.receive(&answer(3));
        let sent = [1, 2, 3].map(News::Sent);
        assert_eq!(client.news(), [&sent[..], &[News::Acknowledged(3)]].concat());
    });
}

/// What waits is sent before the end, and nobody will say what became of it, not even a server
/// that says something then.
#[test]
fn whoever_closes_while_it_waits_has_all_sent() {
    over_both(|wire| {
        for late in [ENABLED, FAILED, &answer(2), REQUEST] {
            let mut client = Client::bound(wire, settings(), SM);
            client.send("1");
            client.send("2");
            assert_eq!(client.sent(), [ENABLE]);
            client.input(Input::Close);
            assert_eq!(client.sent(), [&message("1"), &message("2"), CLOSE]);
            let each = |number| [News::Sent(number), News::Unmanaged(number)];
            assert_eq!(client.news(), [each(1), each(2)].concat());
            client.receive(late);
            client.receive(&message("a"));
            client.receive_close();
            assert_eq!(client.end(), None, "{late}");
            assert_eq!((client.sent(), client.news()), (vec![], vec![delivered("a")]), "{late}");
            let session = client.left(false);
            assert!(!session.is_resumable() && session.unacknowledged().count() == 0);
        }
    });
    let mut client = Client::bound(Wire::Tcp, settings(), SM);
    client.input(Input::Close);
    assert_eq!((client.sent(), client.news()), (vec![ENABLE.into(), CLOSE.into()], vec![]));
}

/// What waits for the grant fills the queue; a refusal empties it.
#[test]
fn what_waits_for_the_grant_takes_room() {
    let few = StreamManagement::default().queue(2, usize::MAX);
    for (answer, has_room) in [(ENABLED, false), (FAILED, true)] {
        let settings = settings().stream_management(Some(few));
        let mut client = Client::bound(Wire::WebSocket, settings, SM);
        client.send("1");
        assert!(client.connection.has_room());
        client.send("2");
        assert!(!client.connection.has_room());
        client.try_send(stanza(&message("3"))).expect_err("it is full");
        client.receive(answer);
        assert_eq!(client.connection.has_room(), has_room, "{answer}");
        assert_eq!(client.sent(), [ENABLE, &message("1"), &message("2")]);
    }
}

#[test]
fn the_server_learns_what_arrived_when_it_asks_and_at_the_end() {
    over_both(|wire| {
        let mut client = Client::managed(wire, settings());
        client.receive(REQUEST);
        client.receive(&message("a"));
        client.receive(&message("b"));
        client.receive("<what xmlns='urn:example'/>");
        client.receive("<what xmlns='jabber:client'/>");
        assert_eq!(client.sent(), [answer(0)]);
        client.receive(REQUEST);
        assert_eq!(client.sent(), [answer(2)], "what is no stanza is not counted");
        client.receive("<presence xmlns='jabber:client' id='c'/>");
        client.input(Input::Close);
        assert_eq!(client.sent(), [&answer(3), CLOSE]);
        assert!(!client.connection.session().is_resumable(), "it was ended");
        client.receive_close();
        assert_eq!(client.end(), None);
    });
}

/// The answer to the last question may come after we have closed.
#[test]
fn the_last_word_of_the_server_counts() {
    over_both(|wire| {
        for (last, news) in [
            (answer(2), vec![News::Acknowledged(2)]),
            (answer(0), vec![]),
            (answer(9), vec![]),
            (answer(u32::MAX), vec![]),
        ] {
            let mut client = Client::managed(wire, settings());
            client.send("1");
            client.send("2");
            client.input(Input::Close);
            client.news();
            client.receive(&last);
            assert_eq!(
                (client.news(), client.connection.phase()),
                (news, Phase::Closing),
                "{last}"
            );
            client.receive_close();
            assert_eq!(client.end(), None);
        }
    });
}

#[test]
fn acknowledgements_are_told_by_number() {
    let mut client = Client::managed(Wire::WebSocket, settings());
    for id in ["1", "2", "3"] {
        client.send(id);
    }
    client.news();
    for (handled, news) in [
        (0, vec![]),
        (1, vec![News::Acknowledged(1)]),
        (1, vec![]),
        (3, vec![News::Acknowledged(3)]),
        (3, vec![]),
    ] {
        client.receive(&answer(handled));
        assert_eq!(client.news(), news, "{handled}");
    }
    assert_eq!(client.send("4"), 4);
}

#[test]
fn a_queue_that_is_full_takes_nothing() {
    const FULL: &str = "wrong use of the library: too many stanzas wait for the server";
    let refused = |client: &mut Client| {
        assert!(!client.connection.has_room());
        let error = client.try_send(stanza(&message("x"))).expect_err("it is full");
        assert_eq!(error.to_string(), FULL);
        assert_eq!(client.news(), []);
    };
    let few = StreamManagement::default().queue(3, usize::MAX);
    let mut client = Client::managed(Wire::WebSocket, settings().stream_management(Some(few)));
    for id in ["1", "2", "3"] {
        client.send(id);
    }
    client.news();
    refused(&mut client);
    client.receive(&answer(1));
    client.news();
    assert_eq!(client.send("4"), 4);
    client.news();
    refused(&mut client);

    let bytes = 2 * stanza(&message("1")).memory();
    let small = StreamManagement::default().queue(1000, bytes);
    let mut client = Client::managed(Wire::WebSocket, settings().stream_management(Some(small)));
    client.send("1");
    client.send("2");
    client.news();
    refused(&mut client);
    client.receive(&answer(2));
    assert!(client.connection.has_room());
    client.send("3");
}

/// A server would count neither; the counts of both sides would part for ever.
#[test]
fn what_is_no_stanza_is_not_sent() {
    let mut client = Client::managed(Wire::WebSocket, settings());
    for xml in [
        "<active xmlns='urn:xmpp:csi:0'/>",
        REQUEST,
        "<message xmlns='urn:example'/>",
        "<x xmlns='jabber:client'/>",
    ] {
        let error = client.try_send(xml.parse().expect("it is XML")).expect_err("it is none");
        let words = "wrong use of the library: only message, presence and iq are sent in a session";
        assert_eq!(error.to_string(), words, "{xml}");
    }
    assert!(client.sent().is_empty());
    assert_eq!(client.send("1"), 1);
}

/// Counts begin where an earlier process left them.
#[test]
fn counts_wrap_at_2_to_the_32() {
    let json = r#"{"jid":"alice@example.org/desk","id":"s1","in":7,"in_h":4294967295,"out":2,
        "out_h":4294967294,"queue":[
        {"n":1,"at":1,"xml":"<message xmlns='jabber:client' to='bob@example.net' id='1'/>"},
        {"n":2,"at":1,"xml":"<message xmlns='jabber:client' to='bob@example.net' id='2'/>"}]}"#;
    over_both(|wire| {
        let session = SessionState::from_json(json).expect("it is a session");
        let mut client = Client::offered(wire, settings().session(session), SM);
        assert_eq!(client.sent(), [resume(u32::MAX)]);
        client.receive(&resumed(u32::MAX));
        assert_eq!(client.sent(), [message("2")]);
        assert_eq!(client.news(), [News::Acknowledged(1), News::Sent(2)]);
        client.receive(&message("a"));
        client.receive(REQUEST);
        assert_eq!(client.sent(), [answer(0)]);
        assert_eq!((client.send("3"), client.send("4")), (3, 4));
        client.receive(&answer(1));
        client.receive(&message("b"));
        client.lose();
        client.news();
        let session = client.left(true);
        assert_eq!((session.received(), session.sent()), (9, 4));
        let mut client = Client::offered(wire, settings().session(session), SM);
        assert_eq!(client.sent(), [resume(1)]);
        client.receive(&resumed(1));
        assert_eq!(client.sent(), [message("4")]);
        assert_eq!(client.news(), [News::Sent(4)]);
    });
}

/// The application keeps what it has not handled; the server is told only of what it has.
#[test]
fn stanzas_count_when_they_are_handled() {
    carried_both_ways(|wire, by_json| {
        let settings =
            || settings().stream_management(Some(StreamManagement::default().when_handled()));
        let mut client = Client::managed(wire, settings());
        for id in ["a", "b", "c"] {
            client.receive(&message(id));
        }
        client.receive(REQUEST);
        assert_eq!(client.sent(), [answer(0)]);
        client.input(Input::Handled(1));
        assert!(client.sent().is_empty());
        client.receive(REQUEST);
        assert_eq!(client.sent(), [answer(1)]);
        client.input(Input::Handled(2));
        assert_eq!(client.sent(), [answer(3)], "it was asked, and now all is handled");
        client.receive(&message("d"));
        client.receive(&message("e"));
        client.input(Input::Handled(1));
        assert!(client.sent().is_empty(), "nobody asked");
        client.lose();
        client.news();

        let mut client = Client::offered(wire, settings().session(client.left(by_json)), SM);
        assert_eq!(client.sent(), [resume(4)]);
        client.receive(&resumed(0));
        client.receive(&message("e"));
        client.receive(&message("f"));
        // A new process has nothing of what the old one had.
        let news =
            if by_json { vec![delivered("e"), delivered("f")] } else { vec![delivered("f")] };
        assert_eq!(client.news(), news);
        assert_eq!(client.connection.session().received(), 6);
        client.input(Input::Handled(2));
        client.receive(REQUEST);
        assert_eq!(client.sent(), [answer(6)]);
    });
}

/// The server sends again what was not handled when it was asked to resume, whatever is handled
/// before it says that it does.
#[test]
fn what_is_handled_while_resuming_is_still_known_when_it_comes_again() {
    over_both(|wire| {
        let settings =
            || settings().stream_management(Some(StreamManagement::default().when_handled()));
        let mut client = Client::managed(wire, settings());
        for id in ["a", "b", "c"] {
            client.receive(&message(id));
        }
        client.lose();
        client.input(Input::Handled(1));
        let mut client = Client::new(wire, settings().session(client.left(false)));
        client.log_in(SM);
        assert_eq!(client.sent(), [resume(1)]);
        client.input(Input::Handled(1));
        client.receive(&resumed(0));
        for id in ["b", "c", "d"] {
            client.receive(&message(id));
        }
        assert_eq!(client.news(), [delivered("d")]);
        client.receive(REQUEST);
        client.input(Input::Handled(2));
        assert_eq!(client.sent(), [answer(2), answer(4)]);
    });
}

/// What the application still holds of an earlier count is not counted in the new one, and what
/// came uncounted never is.
#[test]
fn a_new_count_does_not_count_what_is_held_of_the_old_one() {
    let settings =
        || settings().stream_management(Some(StreamManagement::default().when_handled()));
    over_both(|wire| {
        let mut client = Client::managed(wire, settings());
        client.receive(&message("a"));
        client.receive(&message("b"));
        client.lose();
        let settings = settings().session(client.left(false)).explicit_binding(true);
        let mut client = Client::offered(wire, settings, SM);
        client.receive(FAILED);
        client.receive("<told xmlns='urn:example' id='before binding'/>");
        client.sent();
        client.input(Input::Bind);
        client.bind();
        client.receive(&message("before it counts"));
        client.receive(ENABLED);
        client.receive(&message("c"));
        client.sent();
        for held in ["a", "b", "before binding", "before it counts"] {
            client.input(Input::Handled(1));
            client.receive(REQUEST);
            assert_eq!(client.sent(), [answer(0)], "{held}");
        }
        client.input(Input::Handled(1));
        client.receive(REQUEST);
        assert_eq!(client.sent(), [answer(1), answer(1)]);
    });
}

/// What comes after we have closed is delivered too, and is of no count.
#[test]
fn what_comes_after_the_end_is_of_no_count() {
    let settings =
        || settings().stream_management(Some(StreamManagement::default().when_handled()));
    let mut client = Client::managed(Wire::Tcp, settings());
    client.receive(&message("a"));
    client.input(Input::Close);
    client.receive(&message("b"));
    client.receive_close();
    assert_eq!(client.news(), [delivered("a"), delivered("b")]);
    let mut client = Client::bound(Wire::Tcp, settings().session(client.left(false)), SM);
    client.receive(ENABLED);
    client.receive(&message("c"));
    client.sent();
    client.input(Input::Handled(2));
    client.receive(REQUEST);
    assert_eq!(client.sent(), [answer(0)]);
}

#[test]
fn handling_more_than_was_given_changes_nothing() {
    let handled = StreamManagement::default().when_handled();
    let mut client = Client::managed(Wire::Tcp, settings().stream_management(Some(handled)));
    client.receive(&message("a"));
    client.input(Input::Handled(u32::MAX));
    client.receive(REQUEST);
    assert_eq!(client.sent(), [answer(1)]);
    client.receive(&message("b"));
    client.receive(REQUEST);
    assert_eq!(client.sent(), [answer(1)]);
}
