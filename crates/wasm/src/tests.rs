//! Logins as JavaScript drives them, without it.

use crate::{Kind, Machine, Protection, SecretKind, first_message};

const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' id='1' version='1.0'/>";

fn options(mechanisms: &str) -> String {
    format!(r#"{{"jid":"alice@localhost","authcid":"alice","mechanisms":[{mechanisms}]}}"#)
}

fn listing(name: &str, own: bool) -> String {
    format!(r#"{{"name":"{name}","own":{own},"clientFirst":true,"exposesSecret":true}}"#)
}

fn features(name: &str) -> String {
    format!(
        "<features xmlns='http://etherx.jabber.org/streams'>\
         <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
         <mechanism>{name}</mechanism></mechanisms></features>"
    )
}

/// What is to be done, with its text; moments left out.
fn actions(machine: &mut Machine) -> Vec<(Kind, String)> {
    let mut actions = Vec::new();
    while let Some(kind) = machine.poll() {
        if kind != Kind::WakeAt {
            actions.push((kind, machine.text()));
        }
    }
    actions
}

fn offered(name: &str, own: bool, protection: Protection) -> Machine {
    let options = options(&listing(name, own));
    let mut machine =
        Machine::new(&options, SecretKind::Password, "secret".to_owned(), None).unwrap();
    machine.opened(0.0, protection).unwrap();
    machine.received(1.0, OPEN).unwrap();
    assert!(machine.is_choosing());
    machine.judge(name, true, 50);
    actions(&mut machine);
    machine.received(2.0, &features(name)).unwrap();
    machine
}

#[test]
fn plain_goes_out_over_loopback() {
    let mut machine = offered("PLAIN", false, Protection::Loopback);
    let actions = actions(&mut machine);
    let kinds: Vec<Kind> = actions.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [Kind::Report, Kind::Transmit]);
    assert!(actions[0].1.starts_with(r#"{"code":3,"mechanism":"PLAIN""#), "{}", actions[0].1);
    assert!(actions[1].1.contains(">AGFsaWNlAHNlY3JldA==<"), "{}", actions[1].1);
}

#[test]
fn plain_does_not_go_out_in_the_clear() {
    let mut machine = offered("PLAIN", false, Protection::Plaintext);
    let actions = actions(&mut machine);
    assert!(actions[0].1.starts_with(r#"{"code":4,"condition":"no-auth-mech""#), "{actions:?}");
    assert!(actions[0].1.contains("it needs an encrypted connection"), "{actions:?}");
}

#[test]
fn a_mechanism_that_was_not_judged_is_not_used() {
    let options = options(&listing("PLAIN", false));
    let mut machine =
        Machine::new(&options, SecretKind::Password, "secret".to_owned(), None).unwrap();
    machine.opened(0.0, Protection::Encrypted).unwrap();
    machine.received(1.0, OPEN).unwrap();
    actions(&mut machine);
    machine.received(2.0, &features("PLAIN")).unwrap();
    assert!(actions(&mut machine)[0].1.contains("its test says no"));
}

#[test]
fn an_own_mechanism_is_asked_for_its_messages() {
    let mut machine = offered("X-MY-MECHANISM", true, Protection::Encrypted);
    assert_eq!(machine.poll(), Some(Kind::Report));
    let kind = std::iter::from_fn(|| machine.poll()).find(|kind| *kind != Kind::WakeAt);
    assert_eq!(kind, Some(Kind::Respond));
    assert_eq!(machine.subject(), "X-MY-MECHANISM");
    assert_eq!(machine.bytes(), None);
    machine.respond(3.0, b"token=1".to_vec()).unwrap();
    let actions = actions(&mut machine);
    assert!(actions[0].1.contains(">dG9rZW49MQ==<"), "{actions:?}");
    let again = machine.respond(4.0, Vec::new());
    assert_eq!(again.unwrap_err(), "nobody waits for this answer");
}

#[test]
fn an_own_mechanism_that_refuses_aborts_the_login() {
    let mut machine = offered("X-MY-MECHANISM", true, Protection::Encrypted);
    actions(&mut machine);
    machine.refuse(3.0, "no token today".to_owned()).unwrap();
    let actions = actions(&mut machine);
    assert!(actions[0].1.contains(r#""code":4,"condition":"given-up""#), "{actions:?}");
    assert!(actions[0].1.contains("no token today"), "{actions:?}");
    assert!(actions[1].1.starts_with("<abort "), "{actions:?}");
}

#[test]
fn inputs_out_of_place_are_words_and_no_panics() {
    let options = options(&listing("PLAIN", false));
    let mut machine = Machine::new(&options, SecretKind::None, String::new(), None).unwrap();
    let misuse = |words| format!("wrong use of the library: {words}");
    let message = "<message xmlns='jabber:client'/>";
    assert_eq!(
        machine.received(f64::NAN, OPEN).unwrap_err(),
        misuse("the transport is not open yet")
    );
    assert_eq!(machine.bind(-1.0).unwrap_err(), misuse("binding is not due"));
    assert_eq!(machine.send(f64::INFINITY, message).unwrap_err(), misuse("not connected"));
    assert_eq!(machine.derived(0.0, Vec::new()).unwrap_err(), "nobody waits for this answer");
    assert_eq!(machine.derive(0.0).unwrap_err(), "nobody waits for this answer");
    assert_eq!(machine.refuse(0.0, String::new()).unwrap_err(), "nobody waits for this answer");
    machine.opened(0.0, Protection::Encrypted).unwrap();
    machine.opened(0.0, Protection::Encrypted).unwrap_err();
    machine.received(1.0, "<!DOCTYPE x><x/>").unwrap();
    let actions = actions(&mut machine);
    assert!(actions.iter().any(|(_, text)| text.contains("not-well-formed")), "{actions:?}");
}

#[test]
fn wrong_options_say_what_is_wrong() {
    let refused = |options: &str, kind, secret: &str| {
        let machine = Machine::new(options, kind, secret.to_owned(), None);
        machine.err().expect("it is refused")
    };
    assert!(refused("{", SecretKind::None, "").starts_with("the options: "));
    let jid = r#"{"jid":"@","mechanisms":[]}"#;
    assert!(refused(jid, SecretKind::None, "").starts_with("the JID: "));
    assert!(refused(&options(""), SecretKind::Keys, "{}").starts_with("the keys: "));
}

#[test]
fn derived_classes_can_have_the_first_message() {
    let first =
        |mechanism: &str, kind| first_message(&options(""), mechanism, kind, "x".to_owned());
    assert_eq!(first("PLAIN", SecretKind::Password).unwrap(), b"\0alice\0x");
    assert_eq!(first("X-OAUTH2", SecretKind::Token).unwrap(), b"\0alice@localhost\0x");
    assert_eq!(first("EXTERNAL", SecretKind::Password).unwrap(), b"");
    let no_password = first("PLAIN", SecretKind::Token).unwrap_err();
    assert!(no_password.contains("it needs a password"), "{no_password}");
    for name in ["SCRAM-SHA-1", "X-MY-MECHANISM", "", "ß"] {
        let refused = first(name, SecretKind::Password).unwrap_err();
        assert_eq!(refused, format!("the messages of {name} are the core's alone"));
    }
}

/// A panic would end the module for good: whatever comes, in any state, is an action or a text.
#[test]
fn damaged_frames_are_no_panics() {
    let challenge = "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>cj14</challenge>";
    let success = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>dj14</success>";
    let login = [OPEN, &features("SCRAM-SHA-1"), challenge, success];
    let options = options(&listing("SCRAM-SHA-1", false));
    for (index, frame) in login.iter().enumerate() {
        for (position, damage) in (0..frame.len()).flat_map(|at| [(at, b'<'), (at, 0), (at, b'&')])
        {
            let mut damaged = frame.as_bytes().to_vec();
            damaged[position] = damage;
            let damaged = String::from_utf8_lossy(&damaged);
            let secret = "secret".to_owned();
            let mut machine = Machine::new(&options, SecretKind::Password, secret, None).unwrap();
            machine.opened(0.0, Protection::Encrypted).unwrap();
            machine.judge("SCRAM-SHA-1", true, 60);
            for frame in login[..index].iter().copied().chain([&*damaged, login[index]]) {
                let _ = machine.received(1.0, frame);
                actions(&mut machine);
            }
            machine.close(2.0).unwrap();
            machine.lost(3.0, String::new()).unwrap();
            actions(&mut machine);
            assert!(!machine.takes_stanzas() && !machine.is_authenticated(), "{damaged}");
        }
    }
}

#[test]
fn a_component_speaks_over_a_stream() {
    let options = r#"{"jid":"bridge.example.com","mechanisms":[],"component":true}"#;
    let component = || {
        Machine::new(options, SecretKind::Password, "s3cr3t".to_owned(), None)
            .expect("it is a component")
    };
    let mut machine = component();
    machine.opened_tcp(0.0, Protection::Loopback).unwrap();
    let header = "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
                  xmlns='jabber:component:accept' id='s1' from='bridge.example.com'>";
    machine.received_bytes(1.0, header.as_bytes()).unwrap();
    let kinds = actions(&mut machine);
    assert!(kinds.iter().any(|(_, text)| text.starts_with("<handshake")), "{kinds:?}");
    machine
        .received_bytes(2.0, b"<handshake/><message from='a@b' to='x@bridge.example.com'>")
        .unwrap();
    let connected = actions(&mut machine);
    assert_eq!(connected[0].1, r#"{"code":5,"jid":"bridge.example.com"}"#);
    machine.received_bytes(3.0, b"<body>\xc3").unwrap();
    machine.received_bytes(4.0, b"\xa9</body></message> ").unwrap();
    let delivered = actions(&mut machine);
    assert_eq!(delivered[0].0, Kind::Deliver);
    assert!(delivered[0].1.contains("<body>é</body>"), "{delivered:?}");

    let mut machine = component();
    machine.opened_tcp(0.0, Protection::Plaintext).unwrap();
    let refused = actions(&mut machine);
    assert!(refused[1].1.contains(r#""condition":"encryption-required""#), "{refused:?}");
    component().opened(0.0, Protection::Encrypted).unwrap_err();
}
