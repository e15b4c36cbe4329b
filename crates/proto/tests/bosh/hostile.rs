//! Servers that misbehave, each to its exact end: line 53 of the catalogue, and more.

use std::time::Duration;

use epode_proto::{
    bosh::{Condition, End, Failure, Fault, Limits, Options},
    xml::XmlError,
};

use super::{
    client::{Client, FIRST_RID},
    network::Dice,
};

const NS: &str = "xmlns='http://jabber.org/protocol/httpbind'";
const MESSAGE: &str = "<message xmlns='jabber:client'/>";

/// What a server answers to an ordinary request, and how that ends.
fn ends() -> Vec<(u16, String, End)> {
    let terminated = |condition: Condition| End::Terminated(condition);
    let body = |attributes: &str| format!("<body {NS} {attributes}/>");
    let refused = |status, condition| End::Refused { status, condition };
    vec![
        (200, body("sid='b2'"), Fault::WrongSid.into()),
        (200, body("sid=''"), Fault::WrongSid.into()),
        (200, body("sid='b2' type='terminate'"), Fault::WrongSid.into()),
        (400, String::new(), refused(400, Some(Condition::BadRequest))),
        (403, String::new(), refused(403, Some(Condition::PolicyViolation))),
        (404, String::new(), refused(404, Some(Condition::ItemNotFound))),
        (401, String::new(), refused(401, None)),
        (301, String::new(), refused(301, None)),
        (204, String::new(), refused(204, None)),
        (0, String::new(), refused(0, None)),
        (200, String::new(), Fault::Xml(XmlError::Empty).into()),
        (200, format!("<body {NS}>"), Fault::Xml(XmlError::Truncated).into()),
        (200, format!("<body {NS}/><body {NS}/>"), Fault::Xml(XmlError::ContentAfterRoot).into()),
        (200, format!("<body {NS}>x</body>"), Fault::Text.into()),
        (200, "<html/>".into(), Fault::NotABody { found: "html".into() }.into()),
        (200, "<body/>".into(), Fault::WrongNamespace { found: String::new() }.into()),
        (200, format!("<x {NS}/>"), Fault::NotABody { found: "x".into() }.into()),
        (
            200,
            format!("<body {NS}><a>{}</a></body>", "x".repeat(2000)),
            Fault::Xml(XmlError::StanzaTooLarge { limit: 1000 }).into(),
        ),
        (200, body("type='terminate'"), End::Closed),
        (
            200,
            body("type='terminate' condition='item-not-found'"),
            terminated(Condition::ItemNotFound),
        ),
        (
            200,
            body("type='terminate' condition='see-other-uri'"),
            terminated(Condition::SeeOtherUri(None)),
        ),
        (
            200,
            body("type='terminate' condition='tea-time'"),
            terminated(Condition::Other("tea-time".into())),
        ),
    ]
}

#[test]
fn each_answer_has_its_end() {
    for (status, answer, end) in ends() {
        let options = Options::default().limits(Limits::default().with_response(1000));
        let mut client = Client::created(options, "requests='2'");
        let request = client.request();
        client.respond(request.id, status, answer.as_bytes());
        assert_eq!(client.end(), Some(&end), "{status} {answer}");
        assert_eq!(client.poll().map(|request| request.id), None);
        assert_eq!(client.session.poll_timeout(), None);
        assert_eq!(client.frames().len(), usize::from(end == End::Closed));
    }
}

#[test]
fn a_session_without_a_usable_id_is_none() {
    let long = format!("sid='{}'", "x".repeat(1025));
    let cases = [
        ("", Fault::NoSid),
        ("sid=''", Fault::NoSid),
        (long.as_str(), Fault::LongSid { limit: 1024 }),
    ];
    for (attributes, fault) in cases {
        let mut client = Client::new(Options::default());
        client.open();
        let request = client.request();
        client.answer(&request, attributes, "");
        assert_eq!(client.end(), Some(&End::Misbehaved(fault)));
        assert!(client.frames().is_empty());
    }
}

#[test]
fn a_refused_session_says_why() {
    let mut client = Client::new(Options::default());
    client.open();
    let request = client.request();
    client.answer(
        &request,
        "type='terminate' condition='see-other-uri'",
        "<uri>https://b.example/</uri>",
    );
    let elsewhere = Condition::SeeOtherUri(Some("https://b.example/".into()));
    assert_eq!(client.end(), Some(&End::Terminated(elsewhere)));
    assert!(client.frames().is_empty() && !client.session.is_confirmed());
    assert_eq!(client.session.sid(), None);
}

#[test]
fn five_failures_of_the_server_are_enough() {
    for (status, failure) in [
        (Some(503), Failure::Status(503)),
        (Some(429), Failure::Status(429)),
        (None, Failure::Broken),
    ] {
        let mut client = Client::usual();
        let mut waits = Vec::new();
        let first = client.request();
        let mut request = client.session.poll_request(client.now).unwrap_or(first);
        let bytes = request.body.clone();
        for attempt in 1.. {
            match status {
                Some(status) => client.respond(request.id, status, b"<html/>"),
                None => client.fail(&request),
            }
            if client.end().is_some() {
                assert_eq!(attempt, 5);
                break;
            }
            waits.push(client.sleep());
            let again = client.request();
            assert_eq!((&again.body, again.rid()), (&bytes, request.rid()));
            assert_ne!(again.id, request.id);
            request = again;
        }
        assert_eq!(waits, [0, 1, 2, 4]);
        assert_eq!(client.end(), Some(&End::GaveUp { attempts: 5, last: failure }));
    }
}

#[test]
fn an_answer_makes_up_for_four_failures() {
    let mut client = Client::usual();
    for round in 0..3 {
        client.send("<presence xmlns='jabber:client'/>");
        for _ in 0..4 {
            let request = client.request();
            client.respond(request.id, 502, b"");
            client.sleep();
        }
        let request = client.request();
        client.answer(&request, "", "<a xmlns='urn:a'/>");
        assert_eq!(client.frames().len(), 1, "{round}");
        assert_eq!(client.end(), None);
    }
}

#[test]
fn who_answers_with_nothing_for_ever_is_not_asked_all_the_time() {
    for (attributes, most) in [("polling='5'", 13), ("", 62), ("polling='5' hold='0'", 13)] {
        let mut client = Client::created(Options::default(), attributes);
        let mut requests = 0;
        while client.now.since_zero() < Duration::from_secs(60) {
            match client.poll() {
                Some(request) => {
                    requests += 1;
                    assert!(requests <= most, "{attributes}: it is asked all the time");
                    client.answer(&request, "", "");
                }
                None => assert!(client.sleep() > 0, "it does not spin"),
            }
        }
        assert!(requests >= most / 2, "{attributes}: {requests}");
    }
}

#[test]
fn who_wants_the_same_again_for_ever_is_given_up() {
    let mut client = Client::usual();
    let mut count = 0;
    while client.end().is_none() {
        match client.poll() {
            Some(request) => {
                count += 1;
                client.answer(&request, "type='error'", "");
            }
            None => _ = client.sleep(),
        }
    }
    assert_eq!(count, 5);
    assert_eq!(client.end(), Some(&End::GaveUp { attempts: 5, last: Failure::AskedAgain }));
}

#[test]
fn the_second_answer_and_that_of_nobody_are_dropped() {
    let mut client = Client::usual();
    let request = client.request();
    for _ in 0..2 {
        client.answer(&request, "", "<a xmlns='urn:a'/>");
    }
    let other = Client::usual().request();
    client.answer(&other, "", "<b xmlns='urn:b'/>");
    assert_eq!(client.frames(), ["<a xmlns='urn:a'/>"]);
    assert_eq!(client.session.next_rid(), FIRST_RID + 2);
}

#[test]
fn the_second_end_changes_nothing() {
    let mut client = Client::usual();
    let held = client.request();
    client.send("<presence xmlns='jabber:client'/>");
    let second = client.request();
    client.answer(&held, "type='terminate' condition='system-shutdown'", "");
    client.answer(&second, "type='terminate' condition='other-request'", "<a xmlns='urn:a'/>");
    assert_eq!(client.end(), Some(&End::Terminated(Condition::SystemShutdown)));
    assert!(client.frames().is_empty());
}

#[test]
fn answers_out_of_order_are_put_in_order() {
    let mut client = Client::usual();
    let first = client.request();
    client.send("<presence xmlns='jabber:client'/>");
    let second = client.request();
    client.answer(&second, "", "<b xmlns='urn:b'/>");
    assert!(client.frames().is_empty());
    assert!(client.poll().is_none(), "the first one may still say anything");
    client.answer(&first, "", "<a xmlns='urn:a'/>");
    assert_eq!(client.frames(), ["<a xmlns='urn:a'/>", "<b xmlns='urn:b'/>"]);
}

#[test]
fn an_end_that_comes_early_waits_for_what_came_before() {
    for is_lost in [false, true] {
        let mut client = Client::usual();
        let first = client.request();
        client.send("<presence xmlns='jabber:client'/>");
        let second = client.request();
        client.answer(&second, "type='terminate' condition='host-gone'", "");
        assert_eq!(client.end(), None);
        if is_lost {
            client.respond(first.id, 404, b"");
        } else {
            client.answer(&first, "", "<a xmlns='urn:a'/>");
        }
        assert_eq!(client.end(), Some(&End::Terminated(Condition::HostGone)));
        assert_eq!(client.frames().len(), usize::from(!is_lost));
    }
}

#[test]
fn an_early_end_does_not_wait_for_ever() {
    let mut client = Client::usual();
    let _first = client.request();
    client.send("<presence xmlns='jabber:client'/>");
    let second = client.request();
    client.answer(&second, "type='terminate'", "");
    assert_eq!(client.sleep(), 10);
    assert_eq!(client.end(), Some(&End::Closed));
}

#[test]
fn no_answer_makes_it_panic() {
    let pieces: [&[u8]; 12] = [
        b"<body xmlns='http://jabber.org/protocol/httpbind'",
        b" sid='a1'",
        b" type='terminate'",
        b" type='error'",
        b" condition='see-other-uri'",
        b">",
        b"/>",
        b"<a xmlns='b'/>",
        b"<uri>x</uri>",
        b"</body>",
        b"\xff\x00",
        b"<features xmlns='http://etherx.jabber.org/streams'/>",
    ];
    let mut dice = Dice(0x1234_5678_9abc_def1);
    let mut ended = 0;
    for _ in 0..300 {
        let mut client = Client::new(Options::default());
        client.open();
        for _ in 0..20 {
            while let Some(request) = client.poll() {
                let count = dice.below(8);
                let mut answer: Vec<u8> =
                    (0..count).flat_map(|_| pieces[dice.below(12)].to_vec()).collect();
                if dice.below(3) > 0 {
                    let whole = format!("<body {NS} sid='a1'><a xmlns='b'/></body>");
                    answer = whole.into_bytes();
                    if dice.below(2) == 0 {
                        let at = dice.below(answer.len());
                        answer[at] = u8::try_from(dice.below(256)).expect("it is a byte");
                    }
                }
                let status = [200, 200, 200, 200, 500, 0, 404][dice.below(7)];
                client.respond(request.id, status, &answer);
            }
            client.frames();
            if client.end().is_some() {
                ended += 1;
                break;
            }
            client.sleep();
        }
    }
    assert!(ended > 200, "{ended}");
}

/// A request that was kept waiting until its connection broke, and that comes again after a later
/// one, is unknown to some servers, though the session goes on.
#[test]
fn an_answer_that_is_gone_is_not_the_end() {
    let gone = "type='terminate' condition='item-not-found'";
    let mut client = Client::usual();
    let held = client.request();
    client.send(MESSAGE);
    let spoken = client.request();
    client.fail(&held);
    let repeated = client.request();
    assert_eq!(repeated.rid(), held.rid());
    client.answer(&repeated, gone, "");
    assert_eq!(client.end(), None);
    client.answer(&spoken, "", MESSAGE);
    assert_eq!(client.frames(), [MESSAGE]);

    // If the session is not there either, the next request says so.
    let next = client.request();
    client.fail(&next);
    let repeated = client.request();
    client.answer(&repeated, gone, "");
    assert_eq!(client.end(), None);
    let next = client.request();
    client.answer(&next, gone, "");
    assert_eq!(client.end(), Some(&End::Terminated(Condition::ItemNotFound)));
}

/// Some servers give a request back, attributes and all, if it came again while it was kept
/// waiting.
#[test]
fn what_we_have_said_ourselves_is_not_heard() {
    let mut client = Client::usual();
    let presence = "<presence xmlns='jabber:client'/>";
    // Other content is the server's, and so is the same without that attribute, or at once.
    for (is_repeat, rid, content, heard) in [
        (true, "rid='1001' sid='a1'", MESSAGE, None),
        (true, "rid='1002' sid='a1'", presence, Some(presence)),
        (true, "", MESSAGE, Some(MESSAGE)),
        (false, "rid='1004'", MESSAGE, Some(MESSAGE)),
    ] {
        client.send(MESSAGE);
        let mut request = client.request();
        if is_repeat {
            client.fail(&request);
            request = client.request();
        }
        client.answer(&request, rid, content);
        assert_eq!(client.frames(), Vec::from_iter(heard), "{rid}");
    }
}

#[test]
fn answers_that_are_gone_time_after_time_are_the_end() {
    let gone = "type='terminate' condition='item-not-found'";
    let mut client = Client::usual();
    for time in 1..=3 {
        assert_eq!(client.end(), None, "{time}");
        let request = client.request();
        client.fail(&request);
        let repeated = client.request();
        client.answer(&repeated, gone, "");
    }
    assert_eq!(client.end(), Some(&End::Terminated(Condition::ItemNotFound)));
}

#[test]
fn a_repeat_does_not_overtake_another() {
    let mut client = Client::usual();
    let held = client.request();
    client.send(MESSAGE);
    let spoken = client.request();
    client.fail(&held);
    let again = client.request();
    client.fail(&again);
    client.fail(&spoken);
    assert!(client.poll().is_none(), "the first one has to wait, and so has the other");
    client.sleep();
    assert_eq!(client.request().rid(), held.rid());
    assert_eq!(client.request().rid(), spoken.rid());
}

/// Each part stands alone, with the namespaces that it inherits.
#[test]
fn an_answer_that_takes_many_times_its_size_is_refused() {
    let limits = Limits::default().with_response(100_000);
    let mut client = Client::created(Options::default().limits(limits), "");
    let request = client.request();
    let declared = format!("xmlns:p='{}'", "x".repeat(1000));
    client.answer(&request, &declared, &"<p:a/>".repeat(10_000));
    assert_eq!(client.end(), Some(&End::Misbehaved(Fault::Expands { limit: 400_000 })));
}
