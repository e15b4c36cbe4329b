//! A session that the server does not know any more: what of it is worth to be sent in the next.

use epode_proto::{Error, Input, PeerFault, Settings};

use crate::client::{
    CLOSE, Client, ENABLE, ENABLED, FAILED, NOW, News, SM, Wire, carried_both_ways, lost, message,
    settings, stanza, through_json,
};

const BODY: &str = "<message xmlns='jabber:client' to='bob@example.net' \
     from='alice@example.org/desk' id='1'><body>hello</body></message>";
const STAMPED: &str = "<message xmlns='jabber:client' to='bob@example.net' id='2'>\
     <delay xmlns='urn:xmpp:delay' stamp='2001-01-01T00:00:00Z'/></message>";
const IQ: &str = "<iq xmlns='jabber:client' type='get' id='3'/>";
const PRESENCE: &str = "<presence xmlns='jabber:client'/>";
const DIRECTED: &str = "<presence xmlns='jabber:client' to='bob@example.net' type='subscribe'/>";

/// `BODY` two seconds after [`NOW`].
const BODY_LATE: &str = "<message xmlns='jabber:client' to='bob@example.net' id='1'>\
     <body>hello</body><delay xmlns='urn:xmpp:delay' stamp='2027-01-15T08:00:02Z'/></message>";

/// All kinds are sent two seconds after [`NOW`]; none is acknowledged.
fn lost_with_all_kinds(wire: Wire, settings: Settings) -> Client {
    let mut client = Client::managed(wire, settings);
    client.pass(std::time::Duration::from_secs(2));
    for xml in [BODY, STAMPED, IQ, PRESENCE, DIRECTED] {
        client.try_send(stanza(xml)).expect("there is room");
    }
    client.lose();
    client
}

/// The server knows whose it is, and would refuse the address of an earlier session.
#[test]
fn what_a_client_says_of_its_sender_is_left_out() {
    let mut client = Client::managed(Wire::Tcp, settings());
    client.try_send(stanza(BODY)).expect("there is room");
    assert_eq!(client.sent(), [BODY.replace(" from='alice@example.org/desk'", "")]);
}

#[test]
fn messages_and_what_goes_to_somebody_go_out_and_the_rest_is_dropped() {
    carried_both_ways(|wire, by_json| {
        for (features, answer) in
            [(SM, Some(FAILED)), (SM, Some("<failed xmlns='urn:xmpp:sm:3' h='0'/>")), ("", None)]
        {
            let session = lost_with_all_kinds(wire, settings()).left(by_json);
            let later = settings().unix_zero(NOW + 1000).session(session);
            let mut client = Client::offered(wire, later, features);
            if let Some(answer) = answer {
                client.receive(answer);
                client.sent().remove(0);
            }
            assert_eq!(client.news(), [News::Dropped(3), News::Dropped(4)]);
            client = bound(client, wire, by_json, features);
            if !features.is_empty() {
                assert_eq!((client.sent(), client.news()), (vec![ENABLE.to_owned()], vec![]));
                client.receive(ENABLED);
            }
            assert_eq!(client.sent(), [BODY_LATE, STAMPED, DIRECTED]);
            let mut news = client.news();
            if features.is_empty() {
                let unmanaged = news.extract_if(.., |it| matches!(it, News::Unmanaged(_)));
                assert_eq!(unmanaged.collect::<Vec<_>>(), [1, 2, 5].map(News::Unmanaged));
            }
            assert_eq!(news, [1, 2, 5].map(News::Sent));
            assert_eq!(client.send("6"), 6, "numbers go on");
        }
    });
}

/// Loses the connection before it is bound, and binds in the next: nothing is stamped, dropped or
/// forgotten twice.
fn bound(mut client: Client, wire: Wire, by_json: bool, features: &str) -> Client {
    client.lose();
    let session = client.left(by_json);
    assert!(!session.is_resumable());
    Client::bound(wire, settings().unix_zero(NOW + 2000).session(session), features)
}

#[test]
fn what_the_server_had_handled_is_not_sent_again() {
    carried_both_ways(|wire, by_json| {
        for (handled, acknowledged, dropped, sent) in [
            (1, vec![1], vec![3, 4], vec![2, 5]),
            (3, vec![3], vec![4], vec![5]),
            (5, vec![5], vec![], vec![]),
        ] {
            let session = lost_with_all_kinds(wire, settings()).left(by_json);
            let mut client = Client::offered(wire, settings().session(session), SM);
            client.sent();
            client.receive(&format!("<failed xmlns='urn:xmpp:sm:3' h='{handled}'/>"));
            client.bind();
            client.receive(ENABLED);
            let news: Vec<_> = acknowledged
                .into_iter()
                .map(News::Acknowledged)
                .chain(dropped.into_iter().map(News::Dropped))
                .chain(sent.into_iter().map(News::Sent))
                .collect();
            assert_eq!(client.news(), news, "{handled}");
        }
    });
}

#[test]
fn a_refusal_with_a_count_that_cannot_be_is_not_met_twice() {
    carried_both_ways(|wire, by_json| {
        for handled in [6, u32::MAX] {
            let session = lost_with_all_kinds(wire, settings()).left(by_json);
            let mut client = Client::offered(wire, settings().session(session), SM);
            client.sent();
            client.receive(&format!("<failed xmlns='urn:xmpp:sm:3' h='{handled}'/>"));
            let fault = PeerFault::AcknowledgedUnsent { handled, sent: 5 };
            assert_eq!(client.end(), Some(&Error::PeerMisbehaved(fault)));
            assert_eq!(client.sent(), [crate::hostile::too_high(handled, 5).as_str(), CLOSE]);
            let mut client = Client::bound(wire, settings().session(client.left(by_json)), SM);
            assert_eq!(client.sent(), [ENABLE]);
            client.receive(ENABLED);
            assert_eq!(client.sent(), [BODY_LATE, STAMPED, DIRECTED]);
        }
    });
}

/// Nobody has asked in vain yet: what was never sent is sent, whatever it is.
#[test]
fn what_was_never_sent_is_not_dropped() {
    let mut client = Client::managed(Wire::WebSocket, settings());
    client.lose();
    let mut client = Client::new(Wire::WebSocket, settings().session(client.left(false)));
    for xml in [IQ, PRESENCE] {
        client.try_send(stanza(xml)).expect("a session takes them");
    }
    client.log_in(SM);
    client.receive(FAILED);
    client.sent().remove(0);
    client.lose();
    let mut client = Client::bound(Wire::WebSocket, settings().session(client.left(false)), SM);
    assert_eq!((client.sent(), client.news()), (vec![ENABLE.to_owned()], vec![]));
    client.receive(ENABLED);
    assert_eq!(client.sent(), [IQ, PRESENCE]);
    assert_eq!(client.news(), [News::Sent(1), News::Sent(2)]);
}

#[test]
fn without_a_calendar_nothing_is_stamped() {
    let session = lost_with_all_kinds(Wire::Tcp, settings().unix_zero(0)).left(true);
    let mut client = Client::bound(Wire::Tcp, settings().session(session), "");
    let plain = BODY.replace(" from='alice@example.org/desk'", "");
    assert_eq!(client.sent(), [plain.as_str(), STAMPED, DIRECTED]);
}

/// A session without stream management keeps what it could not send.
#[test]
fn a_session_may_go_on_without_stream_management() {
    let mut client = Client::bound(Wire::Tcp, settings(), "");
    assert_eq!(client.send("1"), 1);
    client.lose();
    let session = through_json(&client.left(false));
    assert!(!session.is_resumable());
    let mut client = Client::new(Wire::Tcp, settings().session(session));
    assert_eq!(client.send("2"), 2);
    client.log_in("");
    client.bind();
    let late = message("2")
        .replace("/>", "><delay xmlns='urn:xmpp:delay' stamp='2027-01-15T08:00:00Z'/></message>");
    assert_eq!(client.sent(), [late]);
    client.input(Input::Lost(lost()));
}

/// The new count begins at nothing, whatever the old one was.
#[test]
fn the_new_session_counts_anew() {
    let session = lost_with_all_kinds(Wire::Tcp, settings()).left(true);
    let mut client = Client::offered(Wire::Tcp, settings().session(session), SM);
    client.receive(FAILED);
    client.sent().remove(0);
    client.lose();
    let mut client = Client::bound(Wire::Tcp, settings().session(client.left(true)), SM);
    client.receive(ENABLED);
    client.news();
    client.receive("<a xmlns='urn:xmpp:sm:3' h='2'/>");
    assert_eq!(client.news(), [News::Acknowledged(2)]);
    client.receive("<a xmlns='urn:xmpp:sm:3' h='3'/>");
    assert_eq!(client.news(), [News::Acknowledged(5)]);
}
