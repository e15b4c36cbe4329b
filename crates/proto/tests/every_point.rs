//! What may happen at any point of a login: the transport ends, somebody goes silent, a frame
//! comes that has no place there, or is damaged, or the program makes a mistake.
//! Whole conversations with one offence each are in `negotiation.rs`.

mod support;

use std::{collections::HashSet, sync::LazyLock, time::Duration};

use base64ct::{Base64, Encoding};
use epode_proto::{
    ApiMisuse, Element, Error, Input, Jid, PeerFault, Phase, Status, Time, Timeouts, Wait,
    framing::FrameError,
    sasl::{self, Answer, Channel, Response, Secret},
    stream::FeaturesError,
    xml::{
        Limits, XmlError,
        namespaces::{SASL, SASL2, STREAM},
        parse_document,
    },
};
use support::{Case, Cut, Driver, Move, Point, Tape, play_watched};

#[test]
fn a_tape_is_as_good_as_the_server() {
    for (case, tape) in all_logins() {
        let driver = tape.play(case);
        assert_eq!(driver.names().join(", "), case.demand("statuses"), "{}", case.name);
    }
}

#[test]
fn the_transport_ends() {
    everywhere_over_both(|case, tape, point| {
        let driver = tape.with(point, Move::Drop).play(case);
        let error = Error::ConnectionLost("cut off".to_owned());
        assert_told(&driver, point, told_of_loss, &error);
    });
}

#[test]
fn the_server_closes_the_stream() {
    everywhere_over_both(|case, tape, point| {
        let close = if case.is_tcp() { "</stream:stream>" } else { CLOSE };
        let driver = tape.with(point, watched(close)).play(case);
        match driver.watched_in.expect("it arrived") {
            // Nothing is read while the stream is being encrypted.
            Phase::Secured => assert!(driver.is_connected(), "{}", case.name),
            // There is no stream yet that could end.
            phase @ (Phase::LoginHeader | Phase::BindHeader) if case.is_tcp() => {
                let faults = driver.errors();
                assert!(faults.iter().all(|error| is_not_well_formed(error)), "{faults:?}");
                assert_eq!(told(&driver), [told_of_fault(Some(phase)), "DISCONNECTED"]);
            }
            // It takes the place of an answer to the refusal, which is then the reason.
            Phase::SaslReply if is_refusal(driver.errors()[0]) => {
                assert_eq!(told(&driver), ["AUTHFAIL", "DISCONNECTED"], "{}", case.name);
            }
            _ => assert_told(&driver, point, told_of_loss, &Error::ConnectionClosed),
        }
    });
}

#[test]
fn the_server_ends_the_stream_with_an_error() {
    let frame = "<stream:error xmlns:stream='http://etherx.jabber.org/streams'>\
                 <reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>";
    everywhere(|case, tape, point| {
        let driver = tape.with(point, watched(frame)).play(case);
        let error = driver.errors().first().map(|error| error.condition().to_owned());
        if !matches!(driver.watched_in, Some(Phase::Closing | Phase::Closed)) {
            assert_eq!(error.as_deref(), Some("reset"), "{} at {point:?}", case.name);
            assert!(matches!(driver.errors()[0], Error::Stream(_)));
            assert_eq!(told(&driver)[0], told_of_stream_error(driver.watched_in), "{}", case.name);
        }
    });
}

#[test]
fn the_server_goes_silent() {
    everywhere_over_both(|case, tape, point| {
        let driver = tape.until(point).play(case);
        let Some((phase, when)) = driver.first_deadline else {
            assert_eq!(driver.names().join(", "), case.demand("statuses"), "all was said");
            return;
        };
        let Some(wait) = wait_in(phase) else {
            let name = &case.name;
            if phase == Phase::BindCall {
                return assert_eq!(
                    name, "login-explicit-binding-after-talking",
                    "it waits for more"
                );
            }
            assert_eq!(
                (phase, when),
                (Phase::Closing, Time::after(Duration::from_secs(2))),
                "{name}"
            );
            return assert_eq!(told(&driver), ["DISCONNECTING", "DISCONNECTED"]);
        };
        assert_eq!(when, Time::after(Duration::from_secs(20)), "{} at {point:?}", case.name);
        assert_eq!(driver.errors(), [&Error::TimedOut(wait); 2], "{} at {point:?}", case.name);
        assert_eq!(told(&driver), ["CONNTIMEOUT", "DISCONNECTED"]);
        assert_eq!(driver.now, when, "nothing is waited for after that");
    });
}

#[test]
fn the_application_goes_silent() {
    let mut waits = HashSet::new();
    for (case, tape) in all_logins() {
        let mut driver = fresh(case);
        driver.is_awake = false;
        tape.play_with(&mut driver);
        let expected = match driver.first_deadline {
            Some((Phase::Answer, _)) => Wait::Answer,
            Some((Phase::Task, _)) => Wait::Task,
            Some((Phase::BindCall, _)) => Wait::BindCall,
            _ => continue, // it was not asked
        };
        waits.insert(expected);
        assert_eq!(driver.errors(), [&Error::TimedOut(expected); 2], "{}", case.name);
        assert_eq!(driver.now, Time::after(Duration::from_secs(300)), "{}", case.name);
        // Whoever wakes up too late changes nothing.
        driver.is_awake = true;
        for (id, _) in std::mem::take(&mut driver.questions) {
            let late = driver.input(Input::Answered(id, Answer::Refuse("late".to_owned())));
            assert_eq!(words(late), "wrong use of the library: nobody waits for this answer");
        }
        assert_eq!(
            words(driver.input(Input::Bind)),
            "wrong use of the library: binding is not due"
        );
    }
    assert_eq!(waits, HashSet::from([Wait::Answer, Wait::BindCall, Wait::Task]));
}

#[test]
fn all_of_it_together_has_a_deadline() {
    everywhere_over_both(|case, tape, point| {
        let timeouts = Timeouts::default().total(Duration::from_secs(7));
        let nonce = Tape::NONCE;
        let settings = case.settings_with_nonce(Some(nonce)).timeouts(timeouts);
        let mut driver = Driver::new(case, settings);
        tape.until(point).play_with(&mut driver);
        if let Some((phase, when)) = driver.first_deadline
            && let Some(wait) = wait_in(phase)
        {
            assert_eq!(when, Time::after(Duration::from_secs(7)), "{} at {point:?}", case.name);
            assert_eq!(driver.errors(), [&Error::TimedOut(wait); 2]);
        }
    });
}

/// Over TCP the pieces in which bytes arrive mean nothing.
#[test]
fn a_stream_may_be_split_at_every_byte() {
    let mut splits = 0;
    for (case, tape) in STREAMS.iter() {
        for cut in [Cut::Pieces(1), Cut::Pieces(7), Cut::Turns] {
            assert_as_whole(case, &tape.cut(cut).play(case));
        }
    }
    for (case, tape) in STREAM_SHAPES.iter().copied() {
        for (point, frame) in tape.frames() {
            for at in 1..frame.len() {
                assert_as_whole(case, &tape.cut(Cut::At(point, at)).play_quietly(case));
                splits += 1;
            }
        }
    }
    assert!(splits > 5_000, "only {splits} splits");
}

fn assert_as_whole(case: &Case, driver: &Driver<'_>) {
    assert_eq!(driver.names().join(", "), case.demand("statuses"), "{}", case.name);
}

/// The transport may end after any byte of a stream.
#[test]
fn a_stream_may_break_off_at_every_byte() {
    for (case, tape) in STREAM_SHAPES.iter().copied() {
        for (point, frame) in tape.frames() {
            for at in 1..frame.len() {
                let cut = tape.instead(point, Move::Watched(frame[..at].to_vec()));
                let driver = cut.with(point.next(), Move::Drop).until(point.next().next());
                let driver = driver.play_quietly(case);
                let faults = driver.errors();
                let error = Error::ConnectionLost("cut off".to_owned());
                let is_closing = matches!(driver.watched_in, Some(Phase::Closing | Phase::Closed));
                assert!(faults.iter().all(|found| **found == error), "{} {faults:?}", case.name);
                assert!(is_closing || !faults.is_empty(), "{} at {point:?} {at}", case.name);
            }
        }
    }
}

/// What has no place in a stream over TCP, at every point of it.
#[test]
fn what_has_no_place_in_a_stream_ends_it() {
    let stray = [
        ("<message/>", "jabber:client"),
        (
            "<features xmlns='http://etherx.jabber.org/streams'/>",
            "http://etherx.jabber.org/streams",
        ),
        ("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "urn:ietf:params:xml:ns:xmpp-tls"),
        ("<x xmlns='urn:x'/>", "urn:x"),
    ];
    for (frame, namespace) in stray {
        let name = frame[1..].split([' ', '/']).next().unwrap_or_default();
        everywhere_over_tcp(|case, tape, point| {
            let driver = tape.with(point, watched(frame)).play(case);
            let phase = driver.watched_in.expect("it arrived");
            let error = match phase {
                // Nothing is read then, or nothing comes of it.
                Phase::Secured | Phase::Closing | Phase::Closed => return,
                Phase::Bound | Phase::Session | Phase::Online | Phase::BindCall
                    if name != "features" =>
                {
                    return assert!(driver.is_connected(), "{} {frame}", case.name);
                }
                // Here it is what is due.
                Phase::Proceed if name == "proceed" => return,
                Phase::LoginFeatures
                | Phase::BindFeatures
                | Phase::BoundFeatures
                | Phase::Online
                    if name == "features" && (phase != Phase::Online || takes_features(case)) =>
                {
                    return;
                }
                Phase::LoginHeader | Phase::BindHeader => {
                    PeerFault::Frame(FrameError::NotAStream { found: name.to_owned() })
                }
                Phase::LoginFeatures | Phase::BindFeatures | Phase::BoundFeatures => {
                    let (name, namespace) = (name.to_owned(), namespace.to_owned());
                    PeerFault::Features(FeaturesError::NotFeatures { name, namespace })
                }
                phase => unexpected(name, namespace, phase),
            };
            assert_told(&driver, point, told_of_fault, &Error::PeerMisbehaved(error));
        });
    }
}

/// What keeps talking does not keep a wait from ending.
#[test]
fn stray_frames_prolong_no_wait() {
    let message = "<message xmlns='jabber:client'/>";
    let challenge = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    for (target, stray, span) in [
        (Phase::BindCall, message, 300),
        (Phase::Bound, message, 20),
        (Phase::Session, message, 20),
        (Phase::Closing, message, 2),
        (Phase::Closing, challenge, 2),
    ] {
        let mut count = 0;
        for (case, tape) in LOGINS.iter() {
            let mut driver = fresh(case);
            let outcome = play_watched(&mut driver, &mut tape.replay(), |driver| {
                if driver.phase() == target {
                    count += 1;
                    talk_for(driver, stray, span);
                }
            });
            assert_eq!(outcome, Ok(()), "{}", case.name);
        }
        assert_ne!(count, 0, "nobody comes to {target:?}");
    }
}

/// Something stray arrives each second, and the wait takes no longer than it may.
fn talk_for(driver: &mut Driver<'_>, stray: &str, span: u64) {
    let (phase, since) = (driver.phase(), driver.now);
    for second in 1..=span {
        assert_eq!(driver.phase(), phase, "it ended too soon");
        driver.receive(stray.as_bytes());
        driver.now = since + Duration::from_secs(second);
        driver.input(Input::Tick).expect("time may pass");
    }
    assert_eq!(driver.phase(), Phase::Closed, "{}: {phase:?} lasts", driver.case.name);
}

/// Each question has its own time.
#[test]
fn a_second_question_is_waited_for_anew() {
    let (case, tape) = login("login-stale-keys-and-somebody-to-ask");
    let mut driver = fresh(case);
    let outcome = play_watched(&mut driver, &mut tape.replay(), |driver| {
        if driver.phase() == Phase::Answer && !driver.questions.is_empty() {
            driver.now = driver.now + Duration::from_secs(299);
            driver.input(Input::Tick).expect("time may pass");
        }
    });
    assert_eq!(outcome, Ok(()));
    assert_eq!(driver.asked, ["password", "derive"]);
    assert!(driver.is_connected(), "{:?}", driver.statuses);
}

#[test]
fn the_application_ends_it() {
    for (case, tape) in all_logins() {
        for chosen in 0.. {
            let mut driver = fresh(case);
            let (mut step, mut has_closed) = (0, false);
            let outcome = play_watched(&mut driver, &mut tape.replay(), |driver| {
                let is_open = !matches!(driver.phase(), Phase::Closing | Phase::Closed);
                if step == chosen && is_open {
                    has_closed = true;
                    driver.input(Input::Close).expect("it may be wanted at any time");
                    driver.input(Input::Close).expect("and twice");
                }
                step += 1;
            });
            assert_eq!(outcome, Ok(()), "{}", case.name);
            if !has_closed {
                break;
            }
            assert_eq!(driver.errors(), Vec::<&Error>::new(), "{} at {chosen}", case.name);
            assert_eq!(told(&driver), ["DISCONNECTING", "DISCONNECTED"]);
        }
    }
}

#[test]
fn a_second_header_has_no_place() {
    let header = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='s' version='1.0'/>";
    everywhere(|case, tape, point| {
        let driver = tape.with(point, watched(header)).play(case);
        let phase = driver.watched_in.expect("it arrived");
        let wait = match phase {
            // Here it is the first, and the true one comes second.
            Phase::LoginHeader | Phase::BindHeader => Wait::Features,
            phase => phase.wait(),
        };
        let error = Error::PeerMisbehaved(PeerFault::UnexpectedHeader(wait));
        assert_told(&driver, point, told_of_fault, &error);
    });
}

#[test]
fn second_features_have_no_place() {
    let features = "<f:features xmlns:f='http://etherx.jabber.org/streams'/>";
    everywhere(|case, tape, point| {
        let driver = tape.with(point, watched(features)).play(case);
        let error = match driver.watched_in.expect("it arrived") {
            // Here they are the first, and offer nothing.
            Phase::LoginFeatures => {
                let error = driver.errors().first().map(|error| error.condition().to_owned());
                // Whoever did not wait for the features finds that they have changed.
                let (condition, status) = match case.header("memory") {
                    Some(_) if error.as_deref() != Some("no-auth-mech") => {
                        ("server-changed", "CONNFAIL")
                    }
                    _ => ("no-auth-mech", "AUTHFAIL"),
                };
                assert_eq!(error.as_deref(), Some(condition), "{}", case.name);
                assert_eq!(told(&driver), [status, "DISCONNECTED"]);
                return;
            }
            Phase::BindFeatures => PeerFault::BindNotOffered,
            // Here they are the first, and the true ones come second.
            Phase::BoundFeatures => {
                let second = unexpected("features", STREAM, Phase::Online);
                assert_eq!(driver.errors(), [&Error::PeerMisbehaved(second); 2], "{}", case.name);
                return;
            }
            Phase::Online if driver.errors().is_empty() => {
                assert!(takes_features(case), "{}", case.name);
                return;
            }
            phase => unexpected("features", STREAM, phase),
        };
        assert_told(&driver, point, told_of_fault, &Error::PeerMisbehaved(error));
    });
}

#[test]
fn a_stray_stanza_has_no_place_before_the_login_is_over() {
    for name in ["message", "presence", "iq"] {
        let stanza = format!("<{name} xmlns='jabber:client' id='1' type='result'/>");
        everywhere(|case, tape, point| {
            let driver = tape.with(point, watched(&stanza)).play(case);
            let error = match driver.watched_in.expect("it arrived") {
                Phase::LoginFeatures | Phase::BindFeatures | Phase::BoundFeatures => {
                    let (name, namespace) = (name.to_owned(), "jabber:client".to_owned());
                    PeerFault::Features(FeaturesError::NotFeatures { name, namespace })
                }
                // After it a stanza changes nothing, and is delivered to whoever may have it.
                Phase::BindCall | Phase::Bound | Phase::Session | Phase::Online => {
                    assert_eq!(driver.names().join(", "), case.demand("statuses"), "{}", case.name);
                    return;
                }
                phase => unexpected(name, "jabber:client", phase),
            };
            assert_told(&driver, point, told_of_fault, &Error::PeerMisbehaved(error));
        });
    }
}

#[test]
fn sasl_has_no_place_outside_the_login() {
    let names = ["challenge", "success", "failure"];
    for (name, namespace) in names.iter().flat_map(|name| [(*name, SASL), (*name, SASL2)]) {
        let frame = format!("<{name} xmlns='{namespace}'/>");
        everywhere(|case, tape, point| {
            let is_of_profile = namespace_of(case) == namespace;
            let driver = tape.with(point, watched(&frame)).play(case);
            let error = match driver.watched_in.expect("it arrived") {
                // What it means there is the mechanism's affair.
                Phase::SaslReply | Phase::TaskReply if is_of_profile => return,
                Phase::Answer | Phase::Task if name == "failure" && is_of_profile => {
                    assert_eq!(told(&driver), ["AUTHFAIL", "DISCONNECTED"], "{}", case.name);
                    assert_eq!(driver.errors()[0].condition(), "not-authorized", "{}", case.name);
                    return;
                }
                Phase::LoginFeatures | Phase::BindFeatures | Phase::BoundFeatures => {
                    let (name, namespace) = (name.to_owned(), namespace.to_owned());
                    PeerFault::Features(FeaturesError::NotFeatures { name, namespace })
                }
                phase => unexpected(name, namespace, phase),
            };
            assert_told(&driver, point, told_of_fault, &Error::PeerMisbehaved(error));
        });
    }
}

#[test]
fn what_is_no_xml_of_xmpp_ends_it() {
    let large = vec![b'x'; 256 * 1024 + 1];
    let frames: [(&[u8], XmlError); 12] = [
        (b"", XmlError::Empty),
        (b" ", XmlError::NotXml { byte: b' ' }),
        (b"<a", XmlError::Truncated),
        (b"<a/><b/>", XmlError::ContentAfterRoot),
        (b"<!DOCTYPE a><a/>", XmlError::Doctype),
        (b"<?x?><a/>", XmlError::ProcessingInstruction),
        (b"<!-- --><a/>", XmlError::Comment),
        (b"<a>&b;</a>", XmlError::UndeclaredEntity),
        (b"<a>\0</a>", XmlError::ForbiddenCharacter { code: 0 }),
        (b"<a>\xff</a>", XmlError::InvalidUtf8),
        (b"<b:a/>", XmlError::UnboundPrefix),
        (&large, XmlError::StanzaTooLarge { limit: 256 * 1024 }),
    ];
    everywhere(|case, tape, point| {
        for (frame, error) in &frames {
            let driver = tape.with(point, Move::Watched(frame.to_vec())).play_quietly(case);
            let fault = PeerFault::Frame(FrameError::Xml(error.clone()));
            assert_told(&driver, point, told_of_fault, &Error::PeerMisbehaved(fault));
        }
    });
}

#[test]
fn a_frame_that_is_cut_off_anywhere_is_refused() {
    let mut seen = HashSet::new();
    for (case, tape) in SHAPES.iter().copied() {
        for (point, frame) in tape.frames() {
            let phase = phase_at(case, tape, point);
            for length in 0..frame.len() {
                let cut = Move::Watched(frame[..length].to_vec());
                // The same bytes do the same in the same phase: once is enough.
                if !seen.insert((phase, frame[..length].to_vec())) {
                    continue;
                }
                let driver = tape.instead(point, cut).play_quietly(case);
                let is_open = phase != Phase::Closing;
                let faults = driver.errors();
                let is_refused = faults.iter().all(|error| is_of_xml(error));
                assert!(is_refused && faults.is_empty() != is_open, "{} {faults:?}", case.name);
                if is_open {
                    assert_eq!(told(&driver)[0], told_of_fault(Some(phase)), "{}", case.name);
                }
            }
        }
    }
}

#[test]
fn misuse_changes_nothing() {
    for (case, tape) in all_logins() {
        let mut driver = fresh(case);
        let early = driver.input(Input::Received(b"<a/>"));
        assert_eq!(words(early), "wrong use of the library: the transport is not open yet");
        for (input, expected) in misuses(&driver).into_iter().skip(OF_THE_OPEN) {
            assert_eq!(words(driver.input(input)), format!("wrong use of the library: {expected}"));
        }
        let mut replay = tape.replay();
        let outcome = play_watched(&mut driver, &mut replay, |driver| {
            for (input, expected) in misuses(driver) {
                let phase = driver.phase();
                let shown = format!("{input:?}");
                let refused = driver.connection.handle(driver.now, input);
                let expected = format!("wrong use of the library: {expected}");
                assert_eq!(words(refused), expected, "{shown} in {phase:?}, {}", case.name);
                assert_eq!(driver.phase(), phase);
                assert!(driver.connection.poll().is_none());
            }
        });
        assert_eq!(outcome, Ok(()), "{}", case.name);
        assert_eq!(driver.names().join(", "), case.demand("statuses"), "{}", case.name);
    }
}

/// What is not allowed now, and the words that say so. The first are wrong once it is open.
fn misuses(driver: &Driver<'_>) -> Vec<(Input<'static>, &'static str)> {
    let phase = driver.phase();
    let jid: Jid = "alice@example.org/desk".parse().expect("it is a JID");
    let mut misuses = vec![
        (Input::Opened(Channel::plaintext()), "the transport is open already"),
        (Input::OpenedTcp(Channel::plaintext()), "the transport is open already"),
        (Input::NotOpened(Error::Unreachable("no".to_owned())), "the transport is open already"),
        (Input::Attached(jid.clone()), "the transport is open already"),
        (Input::Joined { jid, is_watched: false }, "the transport is open already"),
        (Input::TakenOver, "the transport is open already"),
        (Input::NotAttached(Error::ConnectionClosed), "the transport is open already"),
    ];
    // A session that goes on takes stanzas before it is bound again.
    let goes_on = driver.connection.session().jid().is_some()
        && !matches!(phase, Phase::Closing | Phase::Closed);
    if goes_on || phase == Phase::BindCall {
        let unsendable = Element::new("message", "jabber:client").with_text("\0");
        let words = "the stanza has a character that XML cannot carry";
        misuses.push((Input::Send(unsendable), words));
    } else {
        misuses.push((Input::Send(Element::new("message", "jabber:client")), "not connected"));
    }
    if phase != Phase::Online {
        misuses.push((Input::HandedOver, "not connected"));
    }
    if phase == Phase::Secured {
        misuses.push((Input::Received(b"<a/>"), "the stream is being encrypted"));
    } else {
        misuses.push((Input::Secured(Channel::encrypted()), "encryption is not due"));
    }
    if phase != Phase::BindCall {
        misuses.push((Input::Bind, "binding is not due"));
    }
    for id in &driver.stale {
        let answer = Answer::Secret(Secret::password("of no use"));
        misuses.push((Input::Answered(*id, answer), "nobody waits for this answer"));
    }
    misuses
}

/// An answer of another kind than the question ends the login, and tells nobody anything.
#[test]
fn an_answer_of_the_wrong_kind_ends_the_login() {
    let mut asked = HashSet::new();
    for (case, tape) in all_logins() {
        let mut driver = fresh(case);
        let mut replay = tape.replay();
        let mut has_answered = false;
        let outcome = play_watched(&mut driver, &mut replay, |driver| {
            if driver.phase() == Phase::Answer
                && !has_answered
                && let Some((id, _)) = driver.questions.pop_front()
            {
                has_answered = true;
                let answer = match driver.asked.last() {
                    Some(&"respond") => Answer::Secret(Secret::token("x")),
                    Some(&"password") => Answer::Secret(Secret::token("x")),
                    Some(&"token") => Answer::Secret(Secret::password("x")),
                    _ => Answer::Response(Response::new("x")),
                };
                asked.insert(driver.asked[0]);
                driver.input(Input::Answered(id, answer)).expect("the id is right");
            }
        });
        assert_eq!(outcome, Ok(()), "{}", case.name);
        if has_answered {
            let words = match driver.asked[0] {
                "respond" => "a mechanism's own message was due", // our own mechanism's words
                _ => "the answer is not of the question's kind",
            };
            let error = Error::Login(sasl::Error::ApiMisuse(words));
            assert_eq!(driver.errors(), [&error; 2], "{}", case.name);
            assert_eq!(told(&driver), ["AUTHFAIL", "DISCONNECTED"], "{}", case.name);
        }
    }
    assert_eq!(asked, HashSet::from(["derive", "password", "token", "respond"]));
}

/// A transport that cannot be had.
#[test]
fn no_transport() {
    let (case, _) = login("login-plain");
    for (error, name) in [
        (Error::Unreachable("refused".to_owned()), "CONNFAIL"),
        (Error::TimedOut(Wait::Transport), "CONNTIMEOUT"),
    ] {
        let mut driver = Driver::new(case, case.settings());
        driver.collect();
        driver.input(Input::NotOpened(error.clone())).expect("it was not open");
        assert_eq!(driver.names(), ["CONNECTING", name, "DISCONNECTED"]);
        assert_eq!(driver.errors(), [&error; 2]);
        assert!(driver.is_over);
    }
}

/// Many damaged frames: nothing panics, nothing hangs, and nobody is believed who does not know
/// the password.
#[test]
fn damage_is_survived_and_no_proof_is_forged() {
    damage_frames(Random(0x5eed));
}

/// The same with other damage: tests run side by side.
#[test]
fn more_damage_is_survived_and_no_proof_is_forged() {
    damage_frames(Random(0x0ddba11));
}

fn damage_frames(mut random: Random) {
    let mut connected = 0;
    for round in 0..DAMAGED_FRAMES {
        let (case, tape) = &LOGINS[random.below(LOGINS.len())];
        let frames: Vec<_> = tape.frames().collect();
        let (point, frame) = frames[random.below(frames.len())];
        let damaged = random.damage(frame);
        let tape = tape.instead(point, Move::Watched(damaged.clone()));
        let driver = if round % 20 == 0 { tape.play(case) } else { tape.play_quietly(case) };
        let Some(login) = driver.statuses.iter().find_map(|status| match status {
            Status::Connected(login) => Some(login),
            _ => None,
        }) else {
            continue;
        };
        connected += 1;
        let shown = String::from_utf8_lossy(&damaged);
        let (jid, lower) = (case.jid(), |part: &str| part.to_lowercase());
        // A guest gets whatever account there is; a domain in Punycode may come back in Unicode.
        let is_account =
            jid.local().is_none_or(|_| login.jid.local().map(lower) == jid.local().map(lower))
                && (login.jid.domain().eq_ignore_ascii_case(jid.domain())
                    || jid.domain().starts_with("xn--"));
        assert!(is_account, "{}: bound {} after {shown}", case.name, login.jid);
        if case.demand("mechanism").starts_with("SCRAM-") {
            assert_eq!(login.mechanism.as_str(), case.demand("mechanism"), "{shown}");
            assert!(proves_as_much(frame, &damaged), "{}: {shown}", case.name);
        }
    }
    // Harmless damage is rare, and is there.
    assert!((10..DAMAGED_FRAMES / 2).contains(&connected), "{connected} got through");
}

/// Whether a damaged frame of a SCRAM login still says what the true one does.
fn proves_as_much(frame: &[u8], damaged: &[u8]) -> bool {
    let Some(message) = message_in(frame) else { return true };
    let Some(found) = message_in(damaged) else { return false };
    let verifier = message.split(|byte| *byte == b',').next().unwrap_or_default();
    match message.starts_with(b"v=") {
        // Whatever follows the signature is passed over.
        true => found.split(|byte| *byte == b',').next() == Some(verifier),
        // All of the first message is signed.
        false => found == message,
    }
}

/// What a challenge or a success says.
fn message_in(frame: &[u8]) -> Option<Vec<u8>> {
    let mentions = |name: &str| frame.windows(name.len()).any(|window| window == name.as_bytes());
    if !mentions(SASL) && !mentions(SASL2) {
        return None;
    }
    let element = parse_document(frame, &Limits::default()).ok()?;
    let content = match (element.name(), element.namespace()) {
        ("challenge" | "success", SASL) | ("challenge", SASL2) => element.text(),
        ("success", SASL2) => element.child("additional-data", SASL2)?.text(),
        _ => return None,
    };
    Base64::decode_vec(content.trim()).ok()
}

static LOGINS: LazyLock<Vec<(Case, Tape)>> = LazyLock::new(|| {
    let cases = Case::logins().into_iter();
    cases.map(|case| (case.clone(), Tape::record(&case))).collect()
});

/// The same over TCP.
static STREAMS: LazyLock<Vec<(Case, Tape)>> = LazyLock::new(|| {
    let cases = Case::stream_logins().into_iter();
    cases.map(|case| (case.clone(), Tape::record(&case))).collect()
});

fn all_logins() -> impl Iterator<Item = &'static (Case, Tape)> {
    LOGINS.iter().chain(STREAMS.iter())
}

/// Of the logins that go through the same phases one, for what is played very often.
static SHAPES: LazyLock<Vec<&(Case, Tape)>> = LazyLock::new(|| shapes_of(&LOGINS, 8));

/// The same over TCP.
static STREAM_SHAPES: LazyLock<Vec<&(Case, Tape)>> = LazyLock::new(|| shapes_of(&STREAMS, 6));

fn shapes_of(logins: &'static [(Case, Tape)], more_than: usize) -> Vec<&'static (Case, Tape)> {
    let mut seen = HashSet::new();
    let shape = |(case, tape): &(Case, Tape)| -> Vec<_> {
        tape.points().map(|point| phase_at(case, tape, point)).collect()
    };
    let shapes: Vec<_> = logins.iter().filter(|login| seen.insert(shape(login))).collect();
    assert!(shapes.len() > more_than, "only {} shapes", shapes.len());
    shapes
}

fn login(name: &str) -> &'static (Case, Tape) {
    LOGINS.iter().find(|(case, _)| case.name == name).expect("the transcript is there")
}

/// At every point of every kind of good login over a WebSocket.
fn everywhere(test: impl FnMut(&'static Case, &'static Tape, Point)) {
    everywhere_in(SHAPES.iter().copied(), test);
}

/// The same over TCP.
fn everywhere_over_tcp(test: impl FnMut(&'static Case, &'static Tape, Point)) {
    everywhere_in(STREAM_SHAPES.iter().copied(), test);
}

fn everywhere_over_both(test: impl FnMut(&'static Case, &'static Tape, Point)) {
    everywhere_in(SHAPES.iter().chain(STREAM_SHAPES.iter()).copied(), test);
}

fn everywhere_in(
    logins: impl Iterator<Item = &'static (Case, Tape)>,
    mut test: impl FnMut(&'static Case, &'static Tape, Point),
) {
    for (case, tape) in logins {
        for point in tape.points() {
            test(case, tape, point);
        }
    }
}

/// By which profile of SASL the login is made.
fn namespace_of(case: &Case) -> &'static str {
    if case.header("used").as_deref() == Some("SASL2") { SASL2 } else { SASL }
}

/// After a session is resumed within the login, servers may send their features or not.
fn takes_features(case: &Case) -> bool {
    namespace_of(case) == SASL2 && case.header("bound-by").as_deref() == Some("Resumption")
}

fn fresh(case: &Case) -> Driver<'_> {
    Driver::new(case, case.settings_with_nonce(Some(Tape::NONCE)))
}

fn watched(frame: &str) -> Move {
    Move::Watched(frame.as_bytes().to_vec())
}

/// In which phase the frame at a point arrives.
fn phase_at(case: &Case, tape: &Tape, point: Point) -> Phase {
    let driver = tape.with(point, watched("<a/>")).play_quietly(case);
    driver.watched_in.expect("it arrives")
}

/// What was reported beside the milestones of a good login.
fn told(driver: &Driver<'_>) -> Vec<&'static str> {
    let good = ["CONNECTING", "AUTHENTICATING", "BINDREQUIRED", "CONNECTED"];
    driver.names().into_iter().filter(|name| !good.contains(name)).collect()
}

/// The frame, or the end, was told by the status that belongs to its phase, with this error. Once
/// we have closed, nothing is told of it any more.
fn assert_told(
    driver: &Driver<'_>,
    point: Point,
    status: fn(Option<Phase>) -> &'static str,
    error: &Error,
) {
    let place = format!("{} at {point:?}: {:?}", driver.case.name, driver.statuses);
    if matches!(driver.watched_in, Some(Phase::Closing | Phase::Closed)) {
        assert_eq!(told(driver), ["DISCONNECTING", "DISCONNECTED"], "{place}");
        assert!(driver.errors().is_empty(), "{place}");
        return;
    }
    let name = status(driver.watched_in);
    let expected = if name == "DISCONNECTED" { vec![name] } else { vec![name, "DISCONNECTED"] };
    assert_eq!(told(driver), expected, "{place}");
    assert!(driver.errors().iter().all(|found| *found == error), "{place}");
}

/// The end of a session is told by DISCONNECTED alone.
fn told_of_loss(phase: Option<Phase>) -> &'static str {
    if phase == Some(Phase::Online) { "DISCONNECTED" } else { "CONNFAIL" }
}

fn told_of_stream_error(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::LoginHeader | Phase::LoginFeatures) => "CONNFAIL",
        _ => "ERROR",
    }
}

fn told_of_fault(phase: Option<Phase>) -> &'static str {
    match phase {
        Some(Phase::LoginHeader | Phase::LoginFeatures | Phase::Proceed) => "CONNFAIL",
        Some(Phase::Online) => "ERROR",
        _ => "AUTHFAIL",
    }
}

/// What silence of the server is called; nothing where nobody waits for it.
fn wait_in(phase: Phase) -> Option<Wait> {
    match phase {
        Phase::LoginHeader | Phase::BindHeader => Some(Wait::Header),
        Phase::LoginFeatures | Phase::BindFeatures | Phase::BoundFeatures => Some(Wait::Features),
        Phase::Proceed => Some(Wait::Proceed),
        Phase::Secured => Some(Wait::Secured),
        Phase::TaskReply => Some(Wait::TaskReply),
        Phase::SaslReply => Some(Wait::SaslReply),
        Phase::Bound => Some(Wait::Bound),
        Phase::Session => Some(Wait::Session),
        Phase::Resumed => Some(Wait::Resumed),
        _ => None,
    }
}

fn unexpected(name: &str, namespace: &str, phase: Phase) -> PeerFault {
    let (name, namespace) = (name.to_owned(), namespace.to_owned());
    PeerFault::Unexpected { name, namespace, wait: phase.wait() }
}

fn is_not_well_formed(error: &Error) -> bool {
    error.condition() == "not-well-formed"
}

fn is_refusal(error: &Error) -> bool {
    matches!(error, Error::Login(sasl::Error::BindingRefused { .. }))
}

fn is_of_xml(error: &Error) -> bool {
    use XmlError::{Empty, InvalidUtf8, Truncated};
    matches!(
        error,
        Error::PeerMisbehaved(PeerFault::Frame(FrameError::Xml(Empty | InvalidUtf8 | Truncated)))
    )
}

fn words(refused: Result<(), ApiMisuse>) -> String {
    refused.expect_err("it is refused").to_string()
}

/// The same numbers each time (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    /// Damages a frame, or what a frame of the login says inside its base64.
    fn damage(&mut self, frame: &[u8]) -> Vec<u8> {
        if self.below(2) == 0
            && let Some(message) = message_in(frame)
        {
            let (before, after) = (Base64::encode_string(&message), self.damage_bytes(&message));
            let text = String::from_utf8_lossy(frame);
            return text.replace(&before, &Base64::encode_string(&after)).into_bytes();
        }
        self.damage_bytes(frame)
    }

    fn damage_bytes(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let (at, end) = (self.below(damaged.len() + 1), self.below(damaged.len() + 1));
            let range = at.min(end)..at.max(end).min(at.min(end) + 24);
            match self.below(8) {
                0 => drop(damaged.drain(range)),
                1 => {
                    let copy = damaged[range].to_vec();
                    damaged.splice(end..end, copy);
                }
                2 => damaged[range].reverse(),
                3 => drop(damaged.splice(at..at, TOKENS[self.below(TOKENS.len())].bytes())),
                4 => damaged[range].make_ascii_uppercase(),
                5 if at < damaged.len() => damaged[at] ^= 1 << self.below(8),
                6 if at < damaged.len() => drop(damaged.remove(at)),
                _ => damaged.insert(at, u8::try_from(self.below(256)).unwrap_or_default()),
            }
        }
        damaged
    }
}

/// What a frame may be damaged with, beside noise.
const TOKENS: [&str; 24] = [
    "<",
    ">",
    "/>",
    "'",
    "\"",
    "&amp;",
    "&#0;",
    "]]>",
    " ",
    "=",
    ",",
    "0",
    "9999",
    "<a/>",
    "<!--",
    "<?x?>",
    " xmlns=''",
    " xmlns='urn:ietf:params:xml:ns:xmpp-sasl'",
    ",x=1",
    ",m=1",
    "v=",
    "r=",
    "e=",
    "\u{202e}",
];
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const DAMAGED_FRAMES: u32 = 10_000;

/// How many of [`misuses`] are none before the transport is open.
const OF_THE_OPEN: usize = 7;
