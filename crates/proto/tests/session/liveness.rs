//! Whether the server is still there: when it is asked, and when it is given up; pings; whether
//! somebody is there to see what arrives (XEP-0352).

use std::time::Duration;

use epode_proto::{Error, Input, Liveness, Status, Wait};

use crate::client::{
    CLOSE, Client, ENABLE, ENABLED, FAILED, News, REQUEST, SM, Wire, answer, message, over_both,
    resumed, settings,
};

const CSI: &str = "<csi xmlns='urn:xmpp:csi:0'/>";
const ACTIVE: &str = "<active xmlns='urn:xmpp:csi:0'/>";
const INACTIVE: &str = "<inactive xmlns='urn:xmpp:csi:0'/>";

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_quiet_server_is_asked_and_a_dead_one_given_up_with_its_session_resumable() {
    over_both(|wire| {
        let mut client = Client::managed(wire, settings());
        client.pass(seconds(59));
        assert!(client.sent().is_empty());
        client.pass(seconds(1));
        assert_eq!((client.sent(), client.news()), (vec![REQUEST.into()], vec![News::Quiet(true)]));
        client.pass(seconds(19));
        client.receive(&answer(0));
        assert_eq!(client.news(), [News::Quiet(false)]);
        client.pass(seconds(59));
        assert!(client.sent().is_empty());
        client.pass(seconds(1));
        assert_eq!((client.sent(), client.news()), (vec![REQUEST.into()], vec![News::Quiet(true)]));
        client.pass(seconds(20));
        let error = Error::TimedOut(Wait::SignOfLife);
        assert_eq!(client.end(), Some(&error));
        assert_eq!(client.statuses[client.statuses.len() - 2], Status::ConnTimeout(error));
        assert_eq!(client.now.since_zero(), seconds(159));
        assert!(client.sent().is_empty(), "closed, it could not be resumed");
        assert!(client.left(true).is_resumable());
    });
}

/// Whatever it is: a stanza, or a space over TCP.
#[test]
fn anything_is_a_sign_of_life() {
    for (wire, sign) in [
        (Wire::WebSocket, message("a")),
        (Wire::Tcp, message("a")),
        (Wire::Tcp, " ".to_owned()),
        (Wire::Tcp, "<mess".to_owned()),
        (Wire::WebSocket, REQUEST.to_owned()),
    ] {
        let mut client = Client::managed(wire, settings());
        client.pass(seconds(70));
        client.news();
        client.receive(&sign);
        assert_eq!(client.news()[0], News::Quiet(false));
        client.sent();
        client.pass(seconds(59));
        assert!(client.sent().is_empty());
        client.pass(seconds(1));
        assert_eq!((client.sent(), client.news()), (vec![REQUEST.into()], vec![News::Quiet(true)]));
        client.pass(seconds(20));
        assert_eq!(client.end(), Some(&Error::TimedOut(Wait::SignOfLife)), "{sign}");
    }
}

/// The server is spoken to, and hears nothing: what is sent is no sign of its life.
#[test]
fn what_is_sent_is_no_sign_of_life() {
    let mut client = Client::managed(Wire::WebSocket, settings());
    for second in 0..79 {
        client.pass(seconds(1));
        client.send(&second.to_string());
    }
    assert!(!client.is_over);
    client.pass(seconds(1));
    assert_eq!(client.end(), Some(&Error::TimedOut(Wait::SignOfLife)));
}

fn ping_in(sent: &[String]) -> String {
    let [ping] = sent else { panic!("{sent:?}") };
    let element: epode_proto::Element = ping.parse().expect("it is XML");
    let id = element.attr("id").expect("it has an id");
    assert_eq!(
        ping,
        &format!(
            "<iq xmlns='jabber:client' type='get' to='example.org' id='{id}'>\
             <ping xmlns='urn:xmpp:ping'/></iq>"
        )
    );
    assert_eq!(id.len(), 32);
    id.to_owned()
}

#[test]
fn without_stream_management_it_is_a_ping() {
    over_both(|wire| {
        let mut ids = Vec::new();
        for (kind, from) in [
            ("result", ""),
            ("error", ""),
            ("result", " from='example.org'"),
            ("error", " from='EXAMPLE.org'"),
        ] {
            let mut client = Client::bound(wire, settings(), "");
            client.pass(seconds(60));
            let id = ping_in(&client.sent());
            assert!(client.news().contains(&News::Quiet(true)));
            client.receive(&format!("<iq xmlns='jabber:client' type='{kind}' id='{id}'{from}/>"));
            assert_eq!(client.news(), [News::Quiet(false)], "it is ours");
            // A second answer to it is nobody's.
            client.receive(&format!("<iq xmlns='jabber:client' type='{kind}' id='{id}'{from}/>"));
            assert_eq!(client.news(), [News::Delivered(id.clone())]);
            client.pass(seconds(80));
            assert_eq!(client.end(), Some(&Error::TimedOut(Wait::SignOfLife)));
            ids.push(id);
        }
        ids.dedup();
        assert_eq!(ids.len(), 4);
    });
}

/// Somebody who has the id is not the server; that anything came at all is a sign of life.
#[test]
fn a_pong_comes_from_who_was_asked() {
    for from in [
        "eve@example.net",
        "alice@example.org/phone",
        "alice@example.org",
        "example.org/x",
        "@",
        "",
    ] {
        let mut client = Client::bound(Wire::Tcp, settings(), "");
        client.pass(seconds(60));
        let id = ping_in(&client.sent());
        client.news();
        client
            .receive(&format!("<iq xmlns='jabber:client' type='result' id='{id}' from='{from}'/>"));
        assert_eq!(client.news(), [News::Quiet(false), News::Delivered(id.clone())], "{from}");
        for no_answer in ["get", "set", "x"] {
            client.receive(&format!("<iq xmlns='jabber:client' type='{no_answer}' id='{id}'/>"));
            assert_eq!(client.news(), [News::Delivered(id.clone())]);
        }
        client.receive(&format!("<iq xmlns='jabber:client' type='result' id='{id}'/>"));
        assert_eq!(client.news(), [], "this one is it");
    }
}

/// It has been asked for something already, and what it says to that is a sign of life.
#[test]
fn a_server_that_has_not_said_whether_it_counts_is_not_pinged() {
    let limits = Liveness::default().quiet(seconds(5)).grace(seconds(4));
    over_both(|wire| {
        for answer in [ENABLED, FAILED] {
            let mut client = Client::bound(wire, settings().liveness(limits), SM);
            client.pass(seconds(8));
            assert_eq!(
                (client.sent(), client.news()),
                (vec![ENABLE.into()], vec![News::Quiet(true)])
            );
            client.receive(answer);
            assert_eq!((client.sent(), client.news()), (vec![], vec![News::Quiet(false)]));
        }
        let mut client = Client::bound(wire, settings().liveness(limits), SM);
        client.pass(seconds(9));
        assert_eq!(client.end(), Some(&Error::TimedOut(Wait::SignOfLife)));
        let session = client.left(false);
        assert_eq!(session.sent(), 0, "no ping is left for the next session");
    });
}

/// A pong is a stanza, and waits like all of them.
#[test]
fn a_ping_before_the_server_counts_is_answered_after() {
    let mut client = Client::bound(Wire::WebSocket, settings(), SM);
    client.send("1");
    client
        .receive("<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>");
    client.send("2");
    assert_eq!((client.sent(), client.news()), (vec![ENABLE.into()], vec![]));
    client.receive(ENABLED);
    let pong = "<iq xmlns='jabber:client' type='result' id='p'/>";
    assert_eq!(client.sent(), [&message("1"), pong, &message("2")]);
    client.news();
    client.receive(REQUEST);
    client.receive(&answer(3));
    assert_eq!(client.sent(), [answer(0)], "the ping came before the count");
    assert_eq!(client.news(), [News::Acknowledged(3)]);
}

#[test]
fn a_server_that_never_counts_is_not_waited_for_by_asking() {
    let mut client = Client::bound(Wire::WebSocket, settings(), SM);
    client.send("1");
    client.pass(seconds(19));
    assert_eq!(client.sent(), [ENABLE]);
    assert!(client.wakes < 10, "{}", client.wakes);
    assert_eq!(client.wake(), Some(seconds(20)));
    client.pass(seconds(1));
    assert_eq!(client.end(), Some(&Error::TimedOut(Wait::Enabled)));
}

#[test]
fn pings_of_the_server_are_answered_and_counted() {
    over_both(|wire| {
        let mut client = Client::managed(wire, settings());
        for (from, to) in [
            ("", ""),
            (" from='example.org'", " to='example.org'"),
            (" from='bob@example.net/a&apos;b'", " to='bob@example.net/a&apos;b'"),
        ] {
            client.receive(&format!(
                "<iq xmlns='jabber:client' type='get' id='p'{from}>\
                 <ping xmlns='urn:xmpp:ping'/></iq>"
            ));
            let pong = format!("<iq xmlns='jabber:client' type='result'{to} id='p'/>");
            assert_eq!(client.sent(), [pong]);
        }
        assert!(client.delivered.is_empty(), "the application has nothing to do with it");
        client.receive(REQUEST);
        assert_eq!(client.sent(), [answer(3)], "they were received");
        client.news();
        client.receive(&answer(3));
        assert_eq!(client.news(), [News::Acknowledged(3)], "and answered");
    });
}

#[test]
fn what_is_no_ping_is_the_applications() {
    let mut client = Client::managed(Wire::Tcp, settings());
    for xml in [
        "<iq xmlns='jabber:client' type='set' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq xmlns='jabber:client' type='get'><ping xmlns='urn:xmpp:ping'/></iq>",
        "<iq xmlns='jabber:client' type='get' id='1'><ping xmlns='urn:example'/></iq>",
        "<message xmlns='jabber:client' type='get' id='1'><ping xmlns='urn:xmpp:ping'/></message>",
    ] {
        client.receive(xml);
    }
    assert_eq!((client.delivered.len(), client.sent()), (4, vec![]));
}

/// The pong that was lost goes out again; the ping that comes again is not answered twice.
#[test]
fn a_ping_is_answered_once_over_two_connections() {
    let ping = "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
    let pong = "<iq xmlns='jabber:client' type='result' id='p'/>";
    let handled = epode_proto::StreamManagement::default().when_handled();
    let settings = || settings().stream_management(Some(handled));
    let mut client = Client::managed(Wire::Tcp, settings());
    client.receive(&message("a"));
    client.receive(ping);
    assert_eq!(client.sent(), [pong]);
    client.lose();
    let mut client = Client::offered(Wire::Tcp, settings().session(client.left(false)), SM);
    client.sent();
    client.receive(&resumed(0));
    client.receive(&message("a"));
    client.receive(ping);
    assert_eq!(client.sent(), [pong]);
    client.input(Input::Handled(1));
    client.receive(REQUEST);
    assert_eq!(client.sent(), [answer(2)]);
}

#[test]
fn a_space_is_sent_over_tcp_alone() {
    let limits = Liveness::off().whitespace(seconds(30));
    let mut client = Client::managed(Wire::Tcp, settings().liveness(limits));
    client.pass(seconds(29));
    assert!(client.sent().is_empty());
    client.pass(seconds(1));
    assert_eq!(client.sent(), [" "]);
    client.pass(seconds(20));
    client.send("1");
    client.receive(&answer(1));
    client.pass(seconds(29));
    assert_eq!(client.sent(), [&message("1"), REQUEST]);
    client.pass(seconds(61));
    assert_eq!(client.sent(), [" ", " ", " "].map(str::to_owned));
    client.receive(REQUEST);
    assert_eq!(client.sent(), [answer(0)], "it is not counted");

    let mut client = Client::managed(Wire::WebSocket, settings().liveness(limits));
    client.pass(seconds(100));
    assert!(client.sent().is_empty());

    let limits = Liveness::off().whitespace(Duration::ZERO);
    let mut client = Client::managed(Wire::Tcp, settings().liveness(limits));
    client.pass(seconds(10));
    assert_eq!(client.sent().len(), 10, "a second at least");
}

#[test]
fn nothing_is_done_where_nothing_is_wanted() {
    let mut client = Client::managed(Wire::Tcp, settings().liveness(Liveness::off()));
    client.pass(seconds(1_000_000));
    assert!(client.sent().is_empty() && !client.is_over);
}

#[test]
fn spans_can_be_set() {
    let limits = Liveness::default().quiet(seconds(5)).grace(seconds(2));
    let mut client = Client::managed(Wire::Tcp, settings().liveness(limits));
    client.pass(seconds(6));
    assert_eq!(client.sent(), [REQUEST]);
    client.pass(seconds(1));
    assert_eq!(client.end(), Some(&Error::TimedOut(Wait::SignOfLife)));
}

/// The driver keeps only the moment that it was told last, and each thing is done when it is due.
#[test]
fn every_moment_is_reached_however_deadlines_move() {
    let limits = Liveness::default().whitespace(seconds(7));
    let mut client = Client::managed(Wire::Tcp, settings().liveness(limits));
    client.pass(seconds(50));
    client.receive(&message("a")); // the question moves to 110
    client.pass(Duration::from_millis(59_800));
    client.sent();
    client.send("1"); // an acknowledgement is due before it
    client.pass(Duration::from_millis(200));
    assert_eq!(client.sent(), [&message("1"), REQUEST], "110: quiet");
    client.pass(Duration::from_millis(300));
    assert!(client.sent().is_empty(), "the question after half a second was asked with it");
    client.receive(&answer(1));
    client.send("2");
    client.pass(Duration::from_millis(500));
    assert_eq!(client.sent(), [&message("2"), REQUEST]);
    client.pass(seconds(7));
    assert_eq!(client.sent(), [" "]);
    client.pass(seconds(100));
    assert_eq!(client.end(), Some(&Error::TimedOut(Wait::SignOfLife)));
}

/// A timer is not armed anew with each stanza.
#[test]
fn traffic_does_not_wake_anybody() {
    over_both(|wire| {
        let mut client = Client::managed(wire, settings());
        client.wakes = 0;
        for _ in 0..1000 {
            client.receive(&message("a"));
            client.pass(Duration::from_millis(30));
        }
        assert!(client.wakes <= 1, "{} for 1000 stanzas", client.wakes);
        for _ in 0..1000 {
            client.pass(Duration::from_millis(30));
            client.receive(&message("a"));
        }
        assert!(client.wakes <= 4, "{} for 2000 stanzas in a minute", client.wakes);
        client.pass(seconds(60));
        assert_eq!(client.news().last(), Some(&News::Quiet(true)));
    });
}

/// The deadline of the bind request is none of the session's.
#[test]
fn the_deadlines_of_the_login_end_with_it() {
    let mut client = Client::new(Wire::WebSocket, settings());
    client.log_in("");
    client.pass(seconds(19));
    client.bind();
    client.pass(seconds(59));
    assert!(client.news().is_empty() && !client.is_over);
    assert_eq!(client.wake(), Some(seconds(79)));
    client.pass(seconds(1));
    assert_eq!(client.news(), [News::Quiet(true), News::Sent(1), News::Unmanaged(1)]);
}

#[test]
fn whether_somebody_is_there_is_told_where_it_matters() {
    over_both(|wire| {
        let features = format!("{SM}{CSI}");
        let mut client = Client::new(wire, settings());
        client.input(Input::SetActive(true));
        client.log_in(&features);
        client.bind();
        assert_eq!(client.sent(), [ENABLE], "active is what everybody is at first");
        client.receive(ENABLED);
        client.input(Input::SetActive(false));
        client.input(Input::SetActive(false));
        client.input(Input::SetActive(true));
        client.input(Input::SetActive(false));
        assert_eq!(client.sent(), [INACTIVE, ACTIVE, INACTIVE]);
        client.receive(REQUEST);
        client.lose();

        // It is no stanza: it need not wait until the server counts.
        let mut client = Client::new(wire, settings());
        client.input(Input::SetActive(false));
        client.log_in(&features);
        client.bind();
        client.send("1");
        client.input(Input::SetActive(true));
        assert_eq!(client.sent(), [ENABLE, INACTIVE, ACTIVE]);
        client.receive(ENABLED);
        assert_eq!(client.sent(), [message("1")]);

        // The application says it of each connection; then it is said before stanzas go out.
        for (features, expected) in [(features.as_str(), vec![INACTIVE]), (SM, vec![])] {
            let mut lost = Client::managed(wire, settings());
            lost.lose();
            let mut client = Client::new(wire, settings().session(lost.left(true)));
            client.input(Input::SetActive(false));
            client.log_in(features);
            client.sent();
            client.receive(&resumed(0));
            assert_eq!(client.sent(), expected);
            client.send("1");
            client.receive(&answer(1));
            client.input(Input::SetActive(true));
            let last = client.sent().pop();
            assert_eq!(last.as_deref() == Some(ACTIVE), !expected.is_empty());
        }
    });
}

#[test]
fn nobody_is_told_where_it_is_not_offered() {
    for features in ["", SM, "<csi xmlns='urn:xmpp:csi:1'/>", "<csi/>"] {
        let mut client = Client::bound(Wire::Tcp, settings(), features);
        if features == SM {
            client.receive(FAILED);
        }
        client.sent();
        client.input(Input::SetActive(false));
        client.input(Input::SetActive(true));
        assert!(client.sent().is_empty(), "{features}");
        client.input(Input::Close);
        assert_eq!(client.sent(), [CLOSE]);
    }
}
