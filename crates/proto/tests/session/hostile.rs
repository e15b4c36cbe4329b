//! Servers that break the rules of a session: the exact fault, and our last word.

use epode_proto::{
    Error, Input, PeerFault, Phase, StreamManagement, Wait, sasl::Channel, stream::FeaturesError,
};

use crate::client::{
    CLOSE, Client, ENABLE, ENABLED, FAILED, News, REQUEST, SM, Wire, answer, delivered, message,
    over_both, resumed, settings,
};

#[test]
fn acknowledging_what_was_not_sent_ends_it() {
    over_both(|wire| {
        for handled in [3, 0, u32::MAX, (1 << 31) + 1] {
            let mut client = Client::managed(wire, settings());
            client.send("1");
            client.send("2");
            client.receive(&answer(1));
            client.sent();
            client.news();
            client.receive(&answer(handled));
            let fault = PeerFault::AcknowledgedUnsent { handled, sent: 2 };
            let error = Error::PeerMisbehaved(fault);
            assert_eq!(client.end(), Some(&error));
            assert_eq!(
                error.to_string(),
                format!(
                    "the server does not keep to the protocol: it acknowledges {handled} stanzas, \
                     and was sent 2"
                )
            );
            assert_eq!(client.sent(), [too_high(handled, 2).as_str(), CLOSE]);
            assert_eq!(client.news(), []);
            let session = client.connection.session();
            assert!(!session.is_resumable() && session.unacknowledged().count() == 1);
        }
    });
}

/// `wrong` while `phase` is due ends it, with `</stream:stream>` as the only word.
fn assert_unexpected(mut client: Client, wrong: &str, wait: Wait) {
    client.sent();
    client.receive(wrong);
    let element: epode_proto::Element = wrong.parse().expect("it is XML");
    let fault = PeerFault::Unexpected {
        name: element.name().to_owned(),
        namespace: element.namespace().to_owned(),
        wait,
    };
    assert_eq!(client.end(), Some(&Error::PeerMisbehaved(fault)), "{wrong}");
    assert_eq!(client.sent(), [CLOSE], "{wrong}");
    assert!(!client.connection.session().is_resumable());
}

#[test]
fn what_nobody_asked_for_ends_it() {
    let resumed = resumed(0);
    let stray = [ENABLED, &resumed, FAILED, "<x xmlns='urn:xmpp:sm:3'/>"];
    over_both(|wire| {
        for wrong in stray {
            assert_unexpected(Client::managed(wire, settings()), wrong, Wait::Stanza);
        }
        // Never asked for, or refused.
        for wrong in stray.into_iter().chain([REQUEST, &answer(0)]) {
            assert_unexpected(Client::bound(wire, settings(), ""), wrong, Wait::Stanza);
            let mut refused = Client::bound(wire, settings(), SM);
            refused.receive(FAILED);
            assert_unexpected(refused, wrong, Wait::Stanza);
        }
        // Asked for, and not granted yet.
        for wrong in [REQUEST, &answer(0), &resumed, "<x xmlns='urn:xmpp:sm:3'/>"] {
            assert_unexpected(Client::bound(wire, settings(), SM), wrong, Wait::Stanza);
        }
    });
}

#[test]
fn what_is_no_count_ends_it() {
    let long = "9".repeat(8000);
    over_both(|wire| {
        for h in ["", "-1", "+1", "4294967296", "x", " 1", "0x1", "1.0", &long] {
            let client = Client::managed(wire, settings());
            assert_unexpected(client, &format!("<a xmlns='urn:xmpp:sm:3' h='{h}'/>"), Wait::Stanza);
            for name in ["failed", "resumed"] {
                let wrong = format!("<{name} xmlns='urn:xmpp:sm:3' previd='s1' h='{h}'/>");
                assert_unexpected(resuming(wire), &wrong, Wait::Resumed);
            }
        }
        assert_unexpected(
            Client::managed(wire, settings()),
            "<a xmlns='urn:xmpp:sm:3'/>",
            Wait::Stanza,
        );
        for wrong in [
            "<resumed xmlns='urn:xmpp:sm:3' previd='s1'/>",
            "<resumed xmlns='urn:xmpp:sm:3' h='0'/>",
        ] {
            assert_unexpected(resuming(wire), wrong, Wait::Resumed);
        }
    });
}

/// A mebibyte where a number or a place is due is not even kept.
#[test]
fn a_mebibyte_in_an_attribute_is_not_read() {
    let huge = "9".repeat(1 << 20);
    over_both(|wire| {
        let mut client = Client::managed(wire, settings());
        client.receive(&format!("<a xmlns='urn:xmpp:sm:3' h='{huge}'/>"));
        assert_eq!(client.end().map(Error::condition), Some("not-well-formed"));

        let mut client = Client::bound(wire, settings(), SM);
        client.sent();
        client.receive(&format!(
            "<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true' location='{huge}'/>"
        ));
        assert_eq!(client.end().map(Error::condition), Some("not-well-formed"));
        assert_eq!(client.sent(), [CLOSE]);
    });
}

/// Longer than any place or id: the session goes on without.
#[test]
fn what_is_too_long_to_keep_is_left_out() {
    let long = "x".repeat(5000);
    let mut client = Client::bound(Wire::Tcp, settings(), SM);
    client.receive(&format!(
        "<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true' location='{long}' max='-1'/>"
    ));
    let session = client.connection.session();
    assert!(session.is_resumable() && session.location().is_none());
    let mut client = Client::bound(Wire::Tcp, settings(), SM);
    client.receive(&format!("<enabled xmlns='urn:xmpp:sm:3' id='{long}' resume='true'/>"));
    assert!(!client.connection.session().is_resumable());
    client.send("1");
    client.receive(&answer(1));
    assert_eq!(client.news(), [News::Sent(1), News::Acknowledged(1)]);
}

fn resuming(wire: Wire) -> Client {
    let mut client = Client::managed(wire, settings());
    client.lose();
    Client::offered(wire, settings().session(client.left(true)), SM)
}

/// Neither stanzas nor counts come before the answer.
#[test]
fn nothing_comes_before_the_answer_to_the_request_to_resume() {
    over_both(|wire| {
        for wrong in [
            message("a").as_str(),
            "<iq xmlns='jabber:client' type='result' id='1'/>",
            "<told xmlns='urn:example'/>",
            ENABLED,
            REQUEST,
            &answer(0),
            "<bound xmlns='urn:xmpp:bind:0'/>",
            "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        ] {
            assert_unexpected(resuming(wire), wrong, Wait::Resumed);
        }
    });
}

#[test]
fn a_stanza_before_the_login_is_not_delivered() {
    over_both(|wire| {
        let mut session = Client::managed(wire, settings());
        session.lose();
        let mut client = Client::new(wire, settings().session(session.left(false)));
        client.input(match wire {
            Wire::WebSocket => Input::Opened(Channel::encrypted()),
            Wire::Tcp => Input::OpenedTcp(Channel::encrypted()),
        });
        if wire == Wire::Tcp {
            client.receive(
                "<stream:stream xmlns='jabber:client' version='1.0' id='1' from='example.org' \
                 xmlns:stream='http://etherx.jabber.org/streams'>",
            );
        }
        client.receive(&message("a"));
        let (name, namespace) = ("message".to_owned(), "jabber:client".to_owned());
        let fault = match wire {
            Wire::Tcp => PeerFault::Features(FeaturesError::NotFeatures { name, namespace }),
            Wire::WebSocket => PeerFault::Unexpected { name, namespace, wait: Wait::Header },
        };
        assert_eq!(client.end(), Some(&Error::PeerMisbehaved(fault)));
        assert_eq!(client.news(), []);
        let session = client.left(false);
        assert!(session.is_resumable(), "the old stream has no part in it");
        assert_eq!(session.received(), 0);
    });
}

/// It could be an answer to a request of an earlier process: the application decides.
#[test]
fn an_answer_that_nobody_waits_for_is_delivered_and_changes_nothing() {
    over_both(|wire| {
        let mut client = Client::managed(wire, settings());
        client.send("1");
        client.sent();
        client.news();
        for kind in ["result", "error"] {
            client.receive(&format!("<iq xmlns='jabber:client' type='{kind}' id='1'/>"));
        }
        assert_eq!(client.news(), [delivered("1"), delivered("1")]);
        assert!(client.sent().is_empty());
        assert_eq!(client.connection.session().unacknowledged().count(), 1);
        assert_eq!(client.connection.phase(), Phase::Online);
    });
}

/// Each is answered, and each answer waits for the server's acknowledgement: not without end.
#[test]
fn a_flood_of_pings_fills_no_memory() {
    let few = StreamManagement::default().queue(10, usize::MAX);
    let mut client = Client::managed(Wire::WebSocket, settings().stream_management(Some(few)));
    for id in 0..1000 {
        client.receive(&format!(
            "<iq xmlns='jabber:client' type='get' id='{id}'><ping xmlns='urn:xmpp:ping'/></iq>"
        ));
    }
    assert_eq!(client.connection.session().unacknowledged().count(), 10);
    let pongs = client.sent().iter().filter(|sent| sent.contains("'result'")).count();
    assert_eq!(pongs, 10);
    assert_eq!(client.connection.session().received(), 1000);
    client.receive(&answer(10));
    client
        .receive("<iq xmlns='jabber:client' type='get' id='x'><ping xmlns='urn:xmpp:ping'/></iq>");
    assert_eq!(client.sent(), ["<iq xmlns='jabber:client' type='result' id='x'/>"]);
    assert!(client.delivered.is_empty());
}

/// What cannot be read would come again with the resumed stream, and again.
#[test]
fn a_stream_that_cannot_be_read_is_not_resumed() {
    over_both(|wire| {
        let mut client = Client::managed(wire, settings());
        client.sent();
        client.receive("<message xmlns='jabber:client'><!-- --></message>");
        assert_eq!(client.end().map(Error::condition), Some("not-well-formed"));
        assert_eq!(client.sent(), [CLOSE]);
        assert!(!client.connection.session().is_resumable());
    });
}

/// A server that ends the stream may still keep the session, as before it restarts.
#[test]
fn the_servers_own_end_leaves_it_resumable() {
    over_both(|wire| {
        for (word, condition) in [
            ("system-shutdown", "system-shutdown"),
            ("conflict", "conflict"),
            ("", "connection-closed"),
        ] {
            let mut client = Client::managed(wire, settings());
            client.sent();
            if word.is_empty() {
                client.receive_close();
            } else {
                client.receive(&format!(
                    "<error xmlns='http://etherx.jabber.org/streams'>\
                     <{word} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>"
                ));
            }
            assert_eq!(client.end().map(Error::condition), Some(condition));
            assert_eq!(client.sent(), [CLOSE], "no acknowledgement: nobody counts any more");
            assert!(client.connection.session().is_resumable());
        }
    });
}

#[test]
fn enabled_again_after_a_resume_ends_it() {
    over_both(|wire| {
        let mut client = resuming(wire);
        client.receive(&resumed(0));
        assert_unexpected(client, ENABLED, Wait::Stanza);
        let mut client = resuming(wire);
        client.receive(&resumed(0));
        assert_unexpected(client, &resumed(0), Wait::Stanza);
        let mut client = Client::bound(wire, settings(), SM);
        assert_eq!(client.sent(), [ENABLE]);
        client.receive(ENABLED);
        assert_unexpected(client, ENABLED, Wait::Stanza);
    });
}

/// What is said to a server that acknowledges what cannot be.
pub(crate) fn too_high(handled: u32, sent: u32) -> String {
    format!(
        "<error xmlns='http://etherx.jabber.org/streams'>\
         <undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <handled-count-too-high xmlns='urn:xmpp:sm:3' h='{handled}' send-count='{sent}'/></error>"
    )
}
