//! What a client of XEP-0124 and XEP-0206 does when all goes well, or nearly so.

use std::time::Duration;

use epode_proto::{
    bosh::{
        AttachError, Attachment, Condition, End, Fault, Limits, Options, PauseError, SendError,
        Session,
    },
    xml::namespaces::XML,
};

use super::client::{Client, FIRST_RID, body, text};

const MESSAGE: &str = "<message xmlns='jabber:client'/>";
const FEATURES: &str = "<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>\
    </stream:features>";

#[test]
fn a_session_is_created_by_the_first_open() {
    let mut client = Client::new(Options::default());
    assert!(client.poll().is_none());
    assert_eq!(client.session.send(MESSAGE.as_bytes()), Err(SendError::NotOpened));
    client.open();
    let request = client.request();
    assert!(client.poll().is_none());
    let sent = body(&request);
    let expected = [
        ("rid", "1000"),
        ("to", "example.org"),
        ("ver", "1.6"),
        ("wait", "60"),
        ("hold", "1"),
        ("ack", "1"),
        ("content", "text/xml; charset=utf-8"),
    ];
    for (name, value) in expected {
        assert_eq!(sent.attr(name), Some(value), "{name}");
    }
    assert_eq!(sent.attr_ns(XML, "lang"), Some("en"));
    assert_eq!(sent.attr_ns("urn:xmpp:xbosh", "version"), Some("1.0"));
    assert_eq!((sent.attr("sid"), sent.children().count()), (None, 0));
    client.answer(&request, "sid='a1' authid='x' from='example.org' wait='30'", FEATURES);
    assert_eq!(client.session.granted().wait, Duration::from_secs(30));
    let [open, features] = &client.frames()[..] else { panic!("two frames") };
    assert_eq!(
        open,
        "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='x' version='1.0' \
         from='example.org'/>"
    );
    assert!(features.starts_with("<features xmlns='http://etherx.jabber.org/streams'>"));
}

#[test]
fn nobody_guesses_the_first_request_id() {
    let rid = || Session::new(Options::default()).expect("there is randomness").next_rid();
    assert_ne!(rid(), rid());
    for given in [0, 1, u64::MAX] {
        let session = Session::starting_at(Options::default(), given).expect("no keys");
        assert!((1..1 << 52).contains(&session.next_rid()));
    }
}

#[test]
fn one_request_waits_and_one_speaks() {
    let mut client = Client::usual();
    let held = client.request();
    assert_eq!(body(&held).attr("ack"), None, "all is answered");
    assert!(client.poll().is_none(), "one empty request is enough");
    client.send(MESSAGE);
    let second = client.request();
    assert_eq!(body(&second).attr("ack"), Some("1000"));
    for _ in 0..3 {
        client.send(MESSAGE);
    }
    assert!(client.poll().is_none(), "the window is full");
    client.answer(&held, "", "");
    let third = client.request();
    assert_eq!(body(&third).children().count(), 3);
    assert_eq!((third.rid(), client.session.under_way()), (FIRST_RID + 3, 2));
}

#[test]
fn a_server_may_allow_one_request_only() {
    let mut client = Client::created(Options::default(), "requests='1' polling='5'");
    let poll = client.request();
    client.send(MESSAGE);
    assert!(client.poll().is_none());
    client.answer(&poll, "", "");
    let message = client.request();
    client.answer(&message, "", "");
    assert!(client.poll().is_none(), "the last empty one was just now");
    assert_eq!(client.sleep(), 5);
    let _poll = client.request();
    client.close();
    assert_eq!(body(&client.request()).attr("type"), Some("terminate"), "one more may end it");
}

#[test]
fn a_polling_session_asks_from_time_to_time() {
    let mut client = Client::new(Options::default().polling());
    client.open();
    let request = client.request();
    assert_eq!((body(&request).attr("wait"), body(&request).attr("hold")), (Some("0"), Some("0")));
    client.answer(&request, "sid='a1' requests='1' polling='7' inactivity='60'", "");
    for _ in 0..3 {
        let request = client.request();
        client.answer(&request, "", "<a xmlns='urn:a'/>");
        assert!(client.poll().is_none());
        assert_eq!(client.sleep(), 7);
    }
}

#[test]
fn a_restart_is_alone_and_its_header_comes_before_the_features() {
    for early in [false, true] {
        let mut client = Client::usual();
        let held = client.request();
        client.open();
        let restart = client.request();
        let sent = body(&restart);
        assert_eq!(sent.attr_ns("urn:xmpp:xbosh", "restart"), Some("true"));
        assert_eq!((sent.attr("to"), sent.attr("sid")), (Some("example.org"), Some("a1")));
        assert_eq!((sent.attr("wait"), sent.children().count()), (None, 0));
        client.answer(&held, "", if early { FEATURES } else { "" });
        client.answer(&restart, "", if early { "" } else { FEATURES });
        let names: Vec<_> = client.frames().iter().map(|frame| frame[..5].to_owned()).collect();
        assert_eq!(names, ["<open", "<feat"], "{early}");
        // It is our turn, so nothing is asked for a while.
        assert_eq!(client.poll().is_none(), !early);
    }
}

#[test]
fn an_end_takes_along_what_waits() {
    let mut client = Client::usual();
    let held = client.request();
    client.send(MESSAGE);
    let second = client.request();
    client.send("<presence xmlns='jabber:client' type='unavailable'/>");
    client.close();
    assert_eq!(client.session.send(MESSAGE.as_bytes()), Err(SendError::Over));
    assert!(client.poll().is_none(), "never more than two");
    client.answer(&held, "", "");
    let last = client.request();
    assert!(text(&last).contains("type='terminate'"));
    assert_eq!(body(&last).children().count(), 1);
    client.answer(&second, "type='terminate'", "<a xmlns='urn:a'/>");
    assert_eq!(client.end(), Some(&End::Closed));
    assert_eq!(
        client.frames(),
        ["<a xmlns='urn:a'/>", "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>"]
    );
    client.close();
    assert_eq!(client.session.send(MESSAGE.as_bytes()), Err(SendError::Over));
}

#[test]
fn an_end_is_an_end_however_it_is_answered() {
    for attributes in ["", "type='terminate'", "type='terminate' condition='item-not-found'"] {
        let mut client = Client::usual();
        client.close();
        let last = client.request();
        client.answer(&last, attributes, "");
        assert_eq!(client.end(), Some(&End::Closed), "{attributes}");
    }
    let mut client = Client::new(Options::default());
    client.open();
    client.close();
    assert_eq!((client.poll().is_none(), client.end()), (true, Some(&End::Closed)));
    let mut client = Client::new(Options::default());
    client.open();
    let create = client.request();
    client.close();
    assert!(client.poll().is_none(), "there is no sid yet");
    client.answer(&create, "sid='a1'", "");
    assert!(text(&client.request()).contains("type='terminate'"));
}

#[test]
fn a_stream_error_comes_as_a_frame() {
    let mut client = Client::usual();
    let held = client.request();
    client.answer(
        &held,
        "type='terminate' condition='remote-stream-error'",
        "<message xmlns='jabber:client'/><stream:error>\
         <reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
    );
    assert_eq!(client.end(), Some(&End::Terminated(Condition::RemoteStreamError)));
    assert_eq!(
        client.frames(),
        [
            MESSAGE,
            "<error xmlns='http://etherx.jabber.org/streams'>\
             <reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>"
        ]
    );
}

#[test]
fn what_the_server_wants_again_it_gets_with_all_before_it() {
    let mut client = Client::usual();
    let first = client.request();
    client.send(MESSAGE);
    let second = client.request();
    client.answer(&second, "type='error'", "");
    let again = [client.request(), client.request()];
    assert!(client.poll().is_none());
    assert_eq!(again[0].replaces, Some(first.id));
    assert_eq!(again[1].replaces, None);
    assert_eq!([&again[0].body, &again[1].body], [&first.body, &second.body]);
    // What the server says to the attempt that was given up changes nothing.
    client.answer(&first, "type='error'", "");
    client.fail(&first);
    client.respond(first.id, 404, b"");
    assert!(client.poll().is_none() && client.end().is_none());
    client.answer(&again[0], "", "<a xmlns='urn:a'/>");
    client.answer(&again[1], "", "<b xmlns='urn:b'/>");
    assert_eq!(client.frames(), ["<a xmlns='urn:a'/>", "<b xmlns='urn:b'/>"]);
}

#[test]
fn silence_is_asked_again() {
    let mut client = Client::usual();
    let held = client.request();
    assert_eq!(client.sleep(), 70, "what the server may wait, and ten seconds");
    let again = client.request();
    assert_eq!((again.replaces, &again.body), (Some(held.id), &held.body));
    client.send(MESSAGE);
    let _second = client.request();
    assert_eq!(client.sleep(), 10, "the server has to let go of the first one");
    assert!(client.poll().is_none());
    assert_eq!(client.sleep(), 1, "the second time it is not asked at once");
    assert_eq!(client.request().replaces, Some(again.id));
    // The answer was under way after all.
    client.answer(&again, "", "<a xmlns='urn:a'/>");
    assert_eq!(client.frames(), ["<a xmlns='urn:a'/>"]);
}

#[test]
fn nothing_new_is_said_while_something_fails() {
    let mut client = Client::usual();
    let mut request = client.request();
    for _ in 0..2 {
        client.fail(&request);
        client.sleep();
        request = client.request();
    }
    client.fail(&request);
    client.send(MESSAGE);
    assert!(client.poll().is_none());
    client.sleep();
    assert_eq!(client.request().rid(), request.rid());
    assert!(text(&client.request()).contains(MESSAGE));
}

#[test]
fn a_session_can_be_paused_where_the_server_lets_it() {
    let mut client = Client::usual();
    assert_eq!(client.session.pause(Duration::from_secs(1)), Err(PauseError::NotOffered));
    let mut client = Client::created(Options::default(), "maxpause='120' inactivity='30'");
    let too_long = Err(PauseError::TooLong { limit: 120 });
    assert_eq!(client.session.pause(Duration::from_secs(121)), too_long);
    assert_eq!(client.session.pause(Duration::from_secs(100)), Ok(()));
    let held = client.request();
    assert_eq!(body(&held).attr("pause"), Some("100"));
    client.answer(&held, "", "");
    assert!(client.poll().is_none());
    assert_eq!(client.session.under_way(), 0, "it can be handed over");
    assert_eq!(client.sleep(), 75);
    let _empty = client.request();
    client.close();
    assert_eq!(client.session.pause(Duration::from_secs(1)), Err(PauseError::Over));
}

#[test]
fn a_pause_ends_at_once_when_wanted() {
    let mut client = Client::created(Options::default(), "maxpause='120'");
    client.session.pause(Duration::from_secs(100)).expect("the server lets it");
    let pause = client.request();
    client.answer(&pause, "", "");
    assert!(client.poll().is_none());
    client.session.resume();
    assert!(client.poll().is_some());
}

#[test]
fn what_cannot_be_a_session_is_not_taken_over() {
    let attach = |jid: &str, sid: &str, rid| {
        Attachment::new(jid.parse().expect("it is an address"), sid, rid).map(|_| ())
    };
    assert_eq!(attach("alice@example.org", "a1", 1), Err(AttachError::Jid));
    for sid in ["", "a\0b", "a\u{ffff}", &"x".repeat(1025)] {
        assert_eq!(attach(JID, sid, 1), Err(AttachError::Sid));
    }
    for rid in [0, 1 << 53] {
        assert_eq!(attach(JID, "a1", rid), Err(AttachError::Rid));
    }
    for sid in ["a", "\t", "<'\"&\u{1f642}", &"x".repeat(1024)] {
        assert_eq!(attach(JID, sid, (1 << 53) - 1), Ok(()));
    }
}

/// Servers differ in what they make of a request that overtakes another on the other connection.
#[test]
fn a_request_waits_until_the_one_before_it_has_arrived() {
    let mut client = Client::new(Options::default());
    client.open();
    let creation = client.request();
    client.pass(Duration::from_millis(100));
    client.answer(&creation, "sid='a1' wait='60' hold='1' requests='2'", "");
    client.frames();
    let held = client.request();
    client.send(MESSAGE);
    assert!(client.poll().is_none());
    let begun = client.now;
    client.sleep();
    let waited = client.now.since_zero() - begun.since_zero();
    assert_eq!(waited, Duration::from_millis(100), "the way there and back");
    let spoken = client.request();

    // The same when both come again.
    client.fail(&held);
    client.fail(&spoken);
    assert_eq!(client.request().rid(), held.rid());
    assert!(client.poll().is_none());
    client.sleep();
    assert_eq!(client.request().rid(), spoken.rid());
}

#[test]
fn a_session_is_taken_over_by_its_ids() {
    let mut first = Client::usual();
    let held = first.request();
    first.answer(&held, "", "");
    let sid = first.session.sid().expect("it has one").to_owned();
    let granted = *first.session.granted();
    let attachment = attachment(&sid, first.session.next_rid()).with_granted(granted);
    let session = Session::attach(Options::default(), &attachment);
    let mut second = Client { session, now: first.now };
    assert_eq!(*second.session.granted(), granted);
    assert!(!second.session.is_confirmed());
    let (request, knock) = (second.request(), second.request());
    assert_eq!((request.rid(), knock.rid()), (held.rid() + 1, held.rid() + 2));
    assert_eq!((body(&request).attr("sid"), body(&request).attr("ack")), (Some("a1"), None));
    assert!(second.poll().is_none());
    second.answer(&request, "", MESSAGE);
    assert!(!second.session.is_confirmed());
    assert_eq!(second.frames(), [MESSAGE]);
    assert!(second.poll().is_none(), "the other one waits at the server");
    second.pass(Duration::from_millis(100));
    assert!(second.session.is_confirmed());
}

/// What the server has had already, it answers as before, and at once.
#[test]
fn a_session_that_somebody_else_goes_on_with_cannot_be_taken_over() {
    for (news, outcome) in [("", Some(&End::RidUsed)), (MESSAGE, None)] {
        let mut client = Client { session: attached("a1", 5), ..Client::usual() };
        let (first, second) = (client.request(), client.request());
        client.answer(&first, "", "");
        client.answer(&second, "", news);
        assert_eq!(client.end(), outcome);
        assert_eq!(client.session.is_confirmed(), outcome.is_none());
    }
}

#[test]
fn a_session_with_keys_cannot_be_handed_over() {
    let client = Client::created(Options::default().key_sequence(), "");
    assert!(!client.session.can_be_handed_over());
    assert!(Client::usual().session.can_be_handed_over());
}

/// An application may fill what it is allowed to.
#[test]
fn a_request_that_is_as_large_as_it_may_be_has_room() {
    let limits = Limits::default().with_request(2 << 20);
    let mut client = Client::created(Options::default().limits(limits), "");
    let large = format!("<a>{}</a>", "x".repeat((2 << 20) - 7));
    assert!(client.session.has_room());
    client.send(&large);
    client.send(&large);
    assert!(!client.session.has_room());
}

#[test]
fn a_session_that_expired_cannot_be_taken_over() {
    let mut client = Client { session: attached("a1", 5), ..Client::usual() };
    let request = client.request();
    client.answer(&request, "type='terminate' condition='item-not-found'", "");
    assert_eq!(client.end(), Some(&End::Terminated(Condition::ItemNotFound)));
    assert!(!client.session.is_confirmed());
}

#[test]
fn request_ids_end_where_numbers_end() {
    let mut client = Client { session: attached("a1", (1 << 53) - 1), ..Client::usual() };
    let request = client.request();
    assert_eq!(body(&request).attr("rid"), Some("9007199254740991"));
    assert!(client.poll().is_none());
    assert_eq!(client.end(), Some(&End::RidsUsedUp));
}

#[test]
fn what_cannot_be_sent_is_refused() {
    let limits = Limits::default().with_request(100).with_waiting(400);
    let mut client = Client::created(Options::default().limits(limits), "");
    for frame in ["", " ", "x", "<", "</a>", "<?xml version='1.0'?><a/>", "<a/> ", "<!--a-->"] {
        assert_eq!(client.session.send(frame.as_bytes()), Err(SendError::NotAnElement), "{frame}");
    }
    let long = format!("<a>{}</a>", "x".repeat(100));
    let too_large = SendError::TooLarge { size: 107, limit: 100 };
    assert_eq!(client.session.send(long.as_bytes()), Err(too_large));
    let count = std::iter::from_fn(|| client.session.send(MESSAGE.as_bytes()).ok()).count();
    assert_eq!(count, 4);
    assert_eq!(client.session.send(MESSAGE.as_bytes()), Err(SendError::Full { limit: 400 }));
    let _request = client.request();
    assert_eq!(client.session.send(MESSAGE.as_bytes()), Ok(()));
}

#[test]
fn who_takes_no_frames_gets_no_more() {
    let limits = Limits::default().with_response(1000);
    let mut client = Client::created(Options::default().limits(limits), "");
    let stanza = format!("<a xmlns='urn:a'>{}</a>", "x".repeat(700));
    for _ in 0..2 {
        let request = client.request();
        client.answer(&request, "", &stanza);
    }
    client.send(MESSAGE);
    assert!(client.poll().is_none());
    assert_eq!(client.frames().len(), 2);
    assert!(client.poll().is_some());
}

#[test]
fn ends_have_a_word_and_a_sentence() {
    let ends = [
        (End::Closed, "connection-closed"),
        (End::Terminated(Condition::HostUnknown), "host-unknown"),
        (End::Refused { status: 404, condition: Some(Condition::ItemNotFound) }, "item-not-found"),
        (End::Refused { status: 301, condition: None }, "bad-service"),
        (Fault::WrongSid.into(), "bad-format"),
        (End::RidsUsedUp, "rids-used-up"),
    ];
    for (end, word) in ends {
        assert_eq!(end.condition(), word);
        assert!(end.to_string().len() > word.len());
    }
}

fn attached(sid: &str, rid: u64) -> Session {
    Session::attach(Options::default(), &attachment(sid, rid))
}

fn attachment(sid: &str, rid: u64) -> Attachment {
    Attachment::new(JID.parse().expect("it is an address"), sid, rid).expect("they are good")
}

const JID: &str = "alice@example.org/web";
