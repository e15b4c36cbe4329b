//! Conversations of one or two sessions, with a client that is written out by hand.

mod component;
mod fast_tokens;
mod sasl2_login;
mod sasl2_tasks;
mod services;
mod stream_management;

use base64ct::{Base64, Encoding};
use epode_proto::xml::{Element, namespaces};

use super::tcp::TcpSession;
use super::{Conversation, Session, SessionChannel};
use crate::hub::ResourceConflict;
use crate::offer::{BindingList, DowngradeHash};
use crate::sasl::SaslCondition;
use crate::sasl::hash::{Hash, xor};
use crate::server::{LegacySession, Limits, Server, StartTls};
use crate::{ServerBuilder, sasl};

const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org' version='1.0'/>";

fn builder() -> ServerBuilder {
    Server::builder("example.org")
        .iterations(3)
        .account("alice", "pencil")
        .account("bob", "eraser")
        .token("alice", "token-a")
        .certificate_account("alice")
}

fn session(builder: ServerBuilder) -> Session {
    builder.build().session(SessionChannel::plaintext())
}

fn parse(frames: Vec<String>) -> Vec<Element> {
    frames.iter().map(|frame| Element::parse(frame).unwrap()).collect()
}

/// Sends one frame for which one comes back.
fn ask(session: &mut Session, frame: &str) -> Element {
    let mut frames = parse(session.receive(frame));
    assert_eq!(frames.len(), 1, "{frames:?}");
    frames.remove(0)
}

fn open(session: &mut Session) -> Element {
    let frames = parse(session.receive(OPEN));
    assert!(frames[0].is("open", namespaces::FRAMING));
    assert_eq!(frames[0].attr("from"), Some("example.org"));
    assert_eq!(frames.len(), 2);
    frames[1].clone()
}

fn offered(features: &Element) -> Vec<String> {
    let mechanisms = features.child("mechanisms", namespaces::SASL).unwrap();
    mechanisms.children().map(Element::text).collect()
}

fn sasl_frame(name: &str, mechanism: Option<&str>, message: &[u8]) -> String {
    let mechanism = mechanism.map(|name| format!(" mechanism='{name}'")).unwrap_or_default();
    let message = Base64::encode_string(message);
    let message = if message.is_empty() { "=" } else { &message };
    format!("<{name} xmlns='urn:ietf:params:xml:ns:xmpp-sasl'{mechanism}>{message}</{name}>")
}

fn auth(session: &mut Session, mechanism: &str, message: &[u8]) -> Element {
    ask(session, &sasl_frame("auth", Some(mechanism), message))
}

fn respond(session: &mut Session, message: &[u8]) -> Element {
    ask(session, &sasl_frame("response", None, message))
}

fn data(element: &Element) -> String {
    String::from_utf8(Base64::decode_vec(&element.text()).unwrap()).unwrap()
}

#[track_caller]
fn assert_failure(reply: &Element, condition: &str) {
    assert!(reply.is("failure", namespaces::SASL), "{reply}");
    let names: Vec<_> = reply.children().map(Element::name).collect();
    assert_eq!(names, [condition]);
}

#[track_caller]
fn assert_success(reply: &Element) {
    assert!(reply.is("success", namespaces::SASL), "{reply}");
}

#[track_caller]
fn assert_stream_error(frames: Vec<String>, condition: &str) {
    let frames = parse(frames);
    let [.., error, close] = frames.as_slice() else { panic!("{frames:?}") };
    assert!(error.is("error", namespaces::STREAM), "{error}");
    assert!(error.child(condition, namespaces::STREAMS).is_some(), "{error}");
    assert!(close.is("close", namespaces::FRAMING), "{close}");
}

/// The condition of a fresh session's answer to this opening message.
#[track_caller]
fn refused(mechanism: &str, message: &[u8], condition: &str) {
    let channel = SessionChannel::encrypted().with_certificate("alice@example.org");
    let mut session = builder().build().session(channel);
    open(&mut session);
    assert_failure(&auth(&mut session, mechanism, message), condition);
}

/// The address that a fresh session binds after this opening message.
#[track_caller]
fn admitted(mechanism: &str, message: &[u8]) -> String {
    let channel = SessionChannel::encrypted().with_certificate("alice@example.org");
    let mut session = builder().build().session(channel);
    open(&mut session);
    assert_success(&auth(&mut session, mechanism, message));
    bind(&mut session, None)
}

fn bind_request(resource: Option<&str>) -> String {
    let resource = resource.map(|text| format!("<resource>{text}</resource>")).unwrap_or_default();
    format!(
        "<iq xmlns='jabber:client' type='set' id='b'>\
         <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>{resource}</bind></iq>"
    )
}

fn bind(session: &mut Session, resource: Option<&str>) -> String {
    assert!(open(session).child("bind", namespaces::BIND).is_some());
    let reply = ask(session, &bind_request(resource));
    assert_eq!((reply.attr("type"), reply.attr("id")), (Some("result"), Some("b")));
    let jid = reply.child("bind", namespaces::BIND).unwrap();
    jid.child("jid", namespaces::BIND).unwrap().text()
}

fn online(server: &Server, user: &str, password: &str, resource: &str) -> Session {
    let mut session = server.session(SessionChannel::plaintext());
    open(&mut session);
    assert_success(&auth(&mut session, "PLAIN", format!("\0{user}\0{password}").as_bytes()));
    bind(&mut session, Some(resource));
    session
}

/// Logs in by SCRAM as far as the last reply.
fn scram(session: &mut Session, hash: Hash, first: &str, password: &str) -> Element {
    let challenge = auth(session, hash.mechanism(), first.as_bytes());
    finish_scram(session, hash, first, password, &challenge, b"")
}

/// The same, bound to this data.
fn scram_plus(session: &mut Session, hash: Hash, first: &str, bound_to: &[u8]) -> Element {
    let challenge = auth(session, hash.plus_mechanism(), first.as_bytes());
    finish_scram(session, hash, first, "pencil", &challenge, bound_to)
}

fn finish_scram(
    session: &mut Session,
    hash: Hash,
    first: &str,
    password: &str,
    challenge: &Element,
    bound_to: &[u8],
) -> Element {
    assert!(challenge.is("challenge", namespaces::SASL), "{challenge}");
    respond(session, &scram_final(hash, first, password, challenge, bound_to))
}

/// The client's final message, for the challenge of whichever profile.
fn scram_final(
    hash: Hash,
    first: &str,
    password: &str,
    challenge: &Element,
    bound_to: &[u8],
) -> Vec<u8> {
    let server_first = data(challenge);
    let parts: Vec<_> = server_first.split(',').map(|part| &part[2..]).collect();
    let salt = Base64::decode_vec(parts[1]).unwrap();
    let keys = hash.keys(password, &salt, parts[2].parse().unwrap());
    let (_, bare) = first.split_at(first.find(",n=").unwrap() + 1);
    let header = &first.as_bytes()[..first.len() - bare.len()];
    let channel = Base64::encode_string(&[header, bound_to].concat());
    let without_proof = format!("c={channel},r={}", parts[0]);
    let signed = format!("{bare},{server_first},{without_proof}");
    let proof = xor(&keys.client_key, &hash.hmac(&keys.stored_key, signed.as_bytes()));
    format!("{without_proof},p={}", Base64::encode_string(&proof)).into_bytes()
}

#[test]
fn offers_all_mechanisms_and_external_with_a_certificate_only() {
    let mut plain = session(builder());
    assert_eq!(offered(&open(&mut plain)), sasl::ALL[4..12]);
    let channel = SessionChannel::encrypted().with_certificate("alice@example.org");
    let mut secure = builder().build().session(channel.clone());
    assert_eq!(offered(&open(&mut secure)), sasl::ALL[4..]);
    let mut bound = builder().build().session(channel.with_binding(EXPORTER, DATA));
    assert_eq!(offered(&open(&mut bound)), sasl::ALL);
}

#[test]
fn offers_other_mechanisms_in_plaintext_if_told_to() {
    let server = builder().plaintext_mechanisms(["SCRAM-SHA-1"]).mechanisms(["PLAIN"]).build();
    let mut plain = server.session(SessionChannel::plaintext());
    assert_eq!(offered(&open(&mut plain)), ["SCRAM-SHA-1"]);
    assert_failure(&auth(&mut plain, "PLAIN", b"\0alice\0pencil"), "invalid-mechanism");
    let mut secure = server.session(SessionChannel::encrypted());
    assert_eq!(offered(&open(&mut secure)), ["PLAIN"]);
}

const EXPORTER: &str = "tls-exporter";
const END_POINT: &str = "tls-server-end-point";
const DATA: [u8; 32] = [7; 32];
const CERTIFICATE_HASH: [u8; 32] = [9; 32];

fn bound_channel() -> SessionChannel {
    SessionChannel::encrypted()
        .with_binding(EXPORTER, DATA)
        .with_binding(END_POINT, CERTIFICATE_HASH)
}

fn bound_session(builder: ServerBuilder) -> (Session, Element) {
    let mut session = builder.build().session(bound_channel());
    let features = open(&mut session);
    (session, features)
}

/// The types that the features list.
fn listed(features: &Element) -> Option<Vec<&str>> {
    let list = features.child("sasl-channel-binding", namespaces::SASL_CB)?;
    Some(list.children().map(|it| it.attr("type").unwrap()).collect())
}

#[test]
fn scram_binds_to_the_channel_with_each_hash_and_type() {
    for hash in Hash::ALL {
        for (kind, data) in [(EXPORTER, DATA), (END_POINT, CERTIFICATE_HASH)] {
            let (mut session, features) = bound_session(builder());
            assert_eq!(listed(&features).unwrap(), [EXPORTER, END_POINT]);
            let first = format!("p={kind},a=alice@example.org,n=alice,r=abc");
            assert_success(&scram_plus(&mut session, hash, &first, &data));
            assert_eq!(bind(&mut session, Some("home")), "alice@example.org/home");
        }
    }
}

#[test]
fn scram_refuses_another_channel() {
    let first = "p=tls-exporter,,n=alice,r=abc";
    for hash in Hash::ALL {
        for data in [&CERTIFICATE_HASH[..], &DATA[1..], b""] {
            let (mut session, _) = bound_session(builder());
            assert_failure(&scram_plus(&mut session, hash, first, data), "not-authorized");
        }
        let (mut session, _) = bound_session(builder().mismatched_binding(EXPORTER));
        assert_failure(&scram_plus(&mut session, hash, first, &DATA), "not-authorized");
        let first = "p=tls-server-end-point,,n=alice,r=abc";
        assert_success(&scram_plus(&mut session, hash, first, &CERTIFICATE_HASH));
    }
}

#[test]
fn each_flag_of_gs2_is_judged() {
    for hash in Hash::ALL {
        let (plain, plus) = (hash.mechanism(), hash.plus_mechanism());
        let refused = |builder: ServerBuilder, mechanism: &str, first: &str, condition: &str| {
            let (mut session, _) = bound_session(builder);
            assert_failure(&auth(&mut session, mechanism, first.as_bytes()), condition);
        };
        // `n` is right where the client knows of no channel binding, and wrong with -PLUS.
        let (mut session, _) = bound_session(builder());
        assert_success(&scram(&mut session, hash, "n,,n=alice,r=abc", "pencil"));
        for flag in ["n", "N", ""] {
            refused(builder(), plus, &format!("{flag},,n=alice,r=abc"), "malformed-request");
        }
        // `y` is right where no -PLUS was offered, and wrong elsewhere.
        let (mut session, _) = bound_session(builder().mechanisms([plain]));
        assert_success(&scram(&mut session, hash, "y,,n=alice,r=abc", "pencil"));
        refused(builder(), plain, "y,,n=alice,r=abc", "not-authorized");
        refused(builder().mechanisms([plain, plus]), plain, "y,,n=alice,r=abc", "not-authorized");
        refused(builder(), plus, "y,,n=alice,r=abc", "malformed-request");
        // `p` is right with -PLUS and a type that is known.
        for kind in ["tls-unique", "TLS-EXPORTER", ""] {
            let first = format!("p={kind},,n=alice,r=abc");
            refused(builder(), plus, &first, "malformed-request");
        }
        refused(builder(), plain, "p=tls-exporter,,n=alice,r=abc", "malformed-request");
    }
}

#[test]
fn plus_is_not_known_without_anything_to_bind_to() {
    for channel in [SessionChannel::plaintext(), SessionChannel::encrypted()] {
        let mut session = builder().build().session(channel);
        assert_eq!(listed(&open(&mut session)), None);
        let first = b"p=tls-exporter,,n=alice,r=abc";
        assert_failure(&auth(&mut session, "SCRAM-SHA-1-PLUS", first), "invalid-mechanism");
        assert_success(&scram(&mut session, Hash::Sha1, "y,,n=alice,r=abc", "pencil"));
    }
}

#[test]
fn the_list_of_types_follows_its_rule() {
    let first = "p=tls-exporter,,n=alice,r=abc";
    let (mut session, features) = bound_session(builder().binding_list(BindingList::Absent));
    assert_eq!(listed(&features), None);
    assert_success(&scram_plus(&mut session, Hash::Sha1, first, &DATA));

    let unique = builder().binding_list(BindingList::these(["tls-unique"]));
    let (mut session, features) = bound_session(unique);
    assert_eq!(listed(&features).unwrap(), ["tls-unique"]);
    assert!(offered(&features).contains(&"SCRAM-SHA-1-PLUS".to_owned()));
    for kind in [EXPORTER, "tls-unique"] {
        let first = format!("p={kind},,n=alice,r=abc");
        let reply = auth(&mut session, "SCRAM-SHA-1-PLUS", first.as_bytes());
        assert_failure(&reply, "malformed-request");
    }

    let no_plus = builder().mechanisms(["SCRAM-SHA-1", "PLAIN"]);
    let (_, features) = bound_session(no_plus);
    assert_eq!(listed(&features), None);
    let no_plus =
        builder().mechanisms(["SCRAM-SHA-1"]).binding_list(BindingList::these([EXPORTER]));
    let (_, features) = bound_session(no_plus);
    assert_eq!(listed(&features).unwrap(), [EXPORTER]);
    assert_eq!(offered(&features), ["SCRAM-SHA-1"]);
}

#[test]
fn scram_tells_of_the_offer_if_told_to() {
    let hashed = |rule| {
        let mechanisms = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"];
        let (mut session, features) =
            bound_session(builder().mechanisms(mechanisms).downgrade_hash(rule));
        assert_eq!(offered(&features), mechanisms);
        let first = "p=tls-exporter,,n=alice,r=abc";
        let challenge = auth(&mut session, "SCRAM-SHA-1-PLUS", first.as_bytes());
        let finished = finish_scram(&mut session, Hash::Sha1, first, "pencil", &challenge, &DATA);
        assert_success(&finished);
        data(&challenge).split_once(",h=").map(|(_, hash)| hash.to_owned())
    };
    assert_eq!(hashed(DowngradeHash::Absent), None);
    // Computed with Python's hashlib over the two lists of XEP-0474's example.
    assert_eq!(hashed(DowngradeHash::Right).unwrap(), "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    let wrong = hashed(DowngradeHash::Wrong).unwrap();
    assert_ne!(wrong, "G6k/rBLDqgOhRRaCuuatSDFkJ08=");
    assert_eq!(Base64::decode_vec(&wrong).unwrap().len(), 20);
}

#[test]
fn scram_tells_of_the_offer_without_channel_binding_too() {
    let mut session = session(builder().downgrade_hash(DowngradeHash::Right));
    let mut names = offered(&open(&mut session));
    names.sort();
    let expected = Base64::encode_string(&Hash::Sha256.digest(names.join("\x1e").as_bytes()));
    let challenge = auth(&mut session, "SCRAM-SHA-256", b"n,,n=alice,r=abc");
    assert!(data(&challenge).ends_with(&format!(",h={expected}")));
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' \
                      xmlns:stream='http://etherx.jabber.org/streams' to='example.org' \
                      version='1.0'>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const TLS_FAILURE: &str = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";

fn tcp_session(builder: ServerBuilder) -> (TcpSession, Element) {
    let mut session = builder.build().tcp_session(SessionChannel::plaintext().with_starttls());
    let features = tcp_features(&mut session);
    (session, features)
}

fn tcp_features(session: &mut TcpSession) -> Element {
    let text = session.receive(HEADER.as_bytes());
    Element::parse(&text[text.find("<features").unwrap()..]).unwrap()
}

fn tcp_auth(session: &mut TcpSession, mechanism: &str) -> String {
    session.receive(sasl_frame("auth", Some(mechanism), b"\0alice\0pencil").as_bytes())
}

#[test]
fn starttls_begins_everything_anew() {
    let (mut session, features) = tcp_session(builder());
    let starttls = features.child("starttls", namespaces::TLS).unwrap();
    assert_eq!(starttls.children().count(), 0);
    assert_eq!(offered(&features), sasl::ALL[4..12]);
    assert_eq!(session.receive(STARTTLS.as_bytes()), PROCEED);
    assert!(session.is_securing());

    session.secured(bound_channel());
    assert!(!session.is_securing());
    let features = tcp_features(&mut session);
    assert_eq!(offered(&features), sasl::ALL[..12]);
    assert!(features.child("starttls", namespaces::TLS).is_none());
    assert_eq!(session.receive(STARTTLS.as_bytes()), TLS_FAILURE, "once is enough");
    assert!(session.is_closed());
}

#[test]
fn starttls_can_be_required() {
    let (mut session, features) = tcp_session(builder().starttls(StartTls::Required));
    let starttls = features.child("starttls", namespaces::TLS).unwrap();
    assert!(starttls.child("required", namespaces::TLS).is_some());
    assert_eq!(features.children().count(), 1);
    for mechanism in ["PLAIN", "SCRAM-SHA-1"] {
        assert!(tcp_auth(&mut session, mechanism).contains("<encryption-required/>"));
    }
    assert_eq!(session.receive(STARTTLS.as_bytes()), PROCEED);
    session.secured(SessionChannel::encrypted());
    tcp_features(&mut session);
    assert!(tcp_auth(&mut session, "PLAIN").starts_with("<success "));
}

#[test]
fn starttls_can_be_refused() {
    for (rule, advertised) in [(StartTls::Refused, true), (StartTls::Absent, false)] {
        let (mut session, features) = tcp_session(builder().starttls(rule));
        assert_eq!(features.child("starttls", namespaces::TLS).is_some(), advertised);
        assert!(!offered(&features).is_empty());
        assert_eq!(session.receive(STARTTLS.as_bytes()), TLS_FAILURE);
        assert!(session.is_closed());
    }
}

#[test]
fn starttls_has_its_time() {
    // In the middle of a login, after it, and where there is no TLS to begin.
    let (mut session, _) = tcp_session(builder());
    let first = sasl_frame("auth", Some("SCRAM-SHA-1"), b"n,,n=alice,r=abc");
    assert!(session.receive(first.as_bytes()).starts_with("<challenge "));
    assert_eq!(session.receive(STARTTLS.as_bytes()), TLS_FAILURE);

    let (mut session, _) = tcp_session(builder());
    tcp_auth(&mut session, "PLAIN");
    assert!(tcp_features(&mut session).child("starttls", namespaces::TLS).is_none());
    assert_eq!(session.receive(STARTTLS.as_bytes()), TLS_FAILURE);

    let mut session = builder().build().tcp_session(SessionChannel::plaintext());
    assert!(tcp_features(&mut session).child("starttls", namespaces::TLS).is_none());
    assert_eq!(session.receive(STARTTLS.as_bytes()), TLS_FAILURE);

    let mut session = self::session(builder());
    assert!(open(&mut session).child("starttls", namespaces::TLS).is_none());
    assert!(session.receive(STARTTLS)[0].starts_with("<failure "));
    assert!(session.is_closed());
}

#[test]
fn nothing_may_follow_the_command() {
    let auth = sasl_frame("auth", Some("PLAIN"), b"\0alice\0pencil");
    for more in [HEADER, &auth, "\n"] {
        let (mut session, _) = tcp_session(builder());
        let said = session.receive(format!("{STARTTLS}{more}").as_bytes());
        assert!(said.contains("<policy-violation "), "{said}");
        assert!(session.is_closed());
    }
}

#[test]
fn offers_what_it_is_told_to() {
    let mut session = session(builder().mechanisms(["PLAIN", "X-UNKNOWN"]));
    assert_eq!(offered(&open(&mut session)), ["PLAIN", "X-UNKNOWN"]);
    assert_failure(&auth(&mut session, "X-UNKNOWN", b""), "invalid-mechanism");
    assert_failure(&auth(&mut session, "SCRAM-SHA-1", b""), "invalid-mechanism");
}

#[test]
fn scram_logs_in_with_each_hash() {
    for hash in Hash::ALL {
        let mut session = session(builder());
        open(&mut session);
        let first = "n,a=alice@example.org,n=Alice,r=abc";
        let success = scram(&mut session, hash, first, "pencil");
        assert_success(&success);
        assert!(data(&success).starts_with("v="));
        assert_eq!(bind(&mut session, Some("home")), "alice@example.org/home");
    }
}

#[test]
fn scram_refuses() {
    for hash in Hash::ALL {
        let outcome = |first: &str, password: &str| {
            let mut session = session(builder());
            open(&mut session);
            scram(&mut session, hash, first, password)
        };
        assert_failure(&outcome("n,,n=alice,r=abc", "pen"), "not-authorized");
        assert_failure(&outcome("n,,n=nobody,r=abc", "pencil"), "not-authorized");
        assert_failure(&outcome("n,a=bob@example.org,n=alice,r=abc", "pencil"), "invalid-authzid");
        refused(hash.mechanism(), b"n,,n=alice", "malformed-request");
        refused(hash.mechanism(), b"n,,n=\xff,r=abc", "malformed-request");
    }
}

#[test]
fn scram_can_sign_in_a_challenge() {
    let mut session = session(builder().verifier_in_challenge());
    open(&mut session);
    let challenge = scram(&mut session, Hash::Sha256, "n,,n=alice,r=abc", "pencil");
    assert!(challenge.is("challenge", namespaces::SASL));
    assert!(data(&challenge).starts_with("v="));
    let success = respond(&mut session, b"");
    assert_success(&success);
    assert_eq!(success.text(), "");
}

#[test]
fn plain_logs_in_and_refuses() {
    assert!(admitted("PLAIN", b"\0alice\0pencil").starts_with("alice@example.org/"));
    admitted("PLAIN", b"alice@example.org\0alice\0pencil");
    refused("PLAIN", b"\0alice\0pen", "not-authorized");
    refused("PLAIN", b"\0nobody\0pencil", "not-authorized");
    refused("PLAIN", b"bob@example.org\0alice\0pencil", "invalid-authzid");
    refused("PLAIN", b"\0alice\0", "malformed-request");
    refused("PLAIN", b"\0\0pencil", "malformed-request");
    refused("PLAIN", b"alice\0pencil", "malformed-request");
    refused("PLAIN", b"\0a\0b\0c", "malformed-request");
    refused("PLAIN", b"\0alice\0\xff", "malformed-request");
}

#[test]
fn oauthbearer_logs_in() {
    let jid = admitted("OAUTHBEARER", b"n,a=alice@example.org,\x01auth=Bearer token-a\x01\x01");
    assert!(jid.starts_with("alice@example.org/"));
    admitted("OAUTHBEARER", b"n,,\x01auth=Bearer token-a\x01\x01");
}

#[test]
fn oauthbearer_refuses() {
    let wrong = b"n,a=bob@example.org,\x01auth=Bearer token-a\x01\x01";
    refused("OAUTHBEARER", wrong, "invalid-authzid");
    refused("OAUTHBEARER", b"n,,\x01auth=Bearer token-a\x01", "malformed-request");
    refused("OAUTHBEARER", b"\x01", "malformed-request");
    for (answer, condition) in [
        (&b"\x01"[..], "not-authorized"),
        (b"", "malformed-request"),
        (b"\x01\x01", "malformed-request"),
    ] {
        let mut session = session(builder().oauth_scope("chat").openid_configuration("https://id"));
        open(&mut session);
        let challenge = auth(&mut session, "OAUTHBEARER", b"n,,\x01auth=Bearer token-b\x01\x01");
        let json =
            r#"{"status":"invalid_token","scope":"chat","openid-configuration":"https://id"}"#;
        assert_eq!(data(&challenge), json);
        assert_failure(&respond(&mut session, answer), condition);
    }
}

#[test]
fn xoauth2_logs_in_and_refuses() {
    for message in [&b"\0alice\0token-a"[..], b"\0alice@example.org\0token-a", b"\0\0token-a"] {
        assert!(admitted("X-OAUTH2", message).starts_with("alice@example.org/"));
    }
    refused("X-OAUTH2", b"\0bob\0token-a", "not-authorized");
    refused("X-OAUTH2", b"\0alice\0pencil", "not-authorized");
    refused("X-OAUTH2", b"\0alice\0", "malformed-request");
    refused("X-OAUTH2", b"alice@example.org\0alice\0token-a", "malformed-request");
}

#[test]
fn anonymous_logs_in_and_refuses() {
    let jids = [admitted("ANONYMOUS", b""), admitted("ANONYMOUS", "tr\u{e4}ce".as_bytes())];
    assert!(jids.iter().all(|jid| jid.starts_with("anonymous-")));
    assert_ne!(jids[0], jids[1]);
    refused("ANONYMOUS", "x".repeat(256).as_bytes(), "malformed-request");
    refused("ANONYMOUS", b"a\nb", "malformed-request");
    refused("ANONYMOUS", b"\xff", "malformed-request");
}

#[test]
fn external_logs_in_and_refuses() {
    assert!(admitted("EXTERNAL", b"").starts_with("alice@example.org/"));
    admitted("EXTERNAL", b"alice@example.org");
    refused("EXTERNAL", b"bob@example.org", "invalid-authzid");
    refused("EXTERNAL", b"example.org", "invalid-authzid");
    refused("EXTERNAL", b"\xff", "malformed-request");
    let refused_for = |builder: ServerBuilder, addresses: &[&str], condition| {
        let channel = addresses.iter().fold(SessionChannel::encrypted(), |channel, address| {
            channel.with_certificate(*address)
        });
        let mut session = builder.build().session(channel);
        open(&mut session);
        assert_failure(&auth(&mut session, "EXTERNAL", b""), condition);
    };
    refused_for(builder(), &["alice@example.com"], "not-authorized");
    refused_for(builder(), &["bob@example.org"], "not-authorized");
    let both = ["alice@example.org", "bob@example.org"];
    refused_for(builder().certificate_account("bob"), &both, "invalid-authzid");
    let mut session = session(builder());
    open(&mut session);
    assert_failure(&auth(&mut session, "EXTERNAL", b""), "invalid-mechanism");
}

#[test]
fn a_custom_mechanism_logs_in_and_refuses() {
    let verdict = |message: &[u8]| (message == b"token=right").then(|| "alice".to_owned());
    let mut session = session(builder().custom_mechanism("X-MY-MECHANISM", verdict));
    assert_eq!(offered(&open(&mut session)).last().unwrap(), "X-MY-MECHANISM");
    assert_failure(&auth(&mut session, "X-MY-MECHANISM", b"token=wrong"), "not-authorized");
    assert_success(&auth(&mut session, "X-MY-MECHANISM", b"token=right"));
}

#[test]
fn a_message_may_come_after_the_mechanism() {
    let mut session = session(builder());
    open(&mut session);
    let challenge =
        ask(&mut session, "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'/>");
    assert!(challenge.is("challenge", namespaces::SASL));
    assert_eq!(challenge.text(), "");
    assert_success(&respond(&mut session, b"\0alice\0pencil"));
}

#[test]
fn the_login_has_its_conditions() {
    let first = |builder: ServerBuilder, frame: &str| {
        let mut session = session(builder);
        open(&mut session);
        ask(&mut session, frame)
    };
    let sasl = |rest: &str| {
        format!("<{rest}").replace("XMLNS", "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'")
    };
    assert_failure(&first(builder(), &sasl("abort XMLNS/>")), "aborted");
    assert_failure(&first(builder(), &sasl("auth XMLNS/>")), "invalid-mechanism");
    assert_failure(&first(builder(), &sasl("response XMLNS/>")), "malformed-request");
    let encoding = sasl("auth XMLNS mechanism='PLAIN'>AGE</auth>");
    assert_failure(&first(builder(), &encoding), "incorrect-encoding");
    let plain = sasl_frame("auth", Some("PLAIN"), b"\0alice\0pencil");
    assert_failure(&first(builder().too_weak("PLAIN"), &plain), "mechanism-too-weak");
    assert_failure(&first(builder().require_encryption(), &plain), "encryption-required");
    for condition in [SaslCondition::AccountDisabled, SaslCondition::TemporaryAuthFailure] {
        assert_failure(&first(builder().refuse("alice", condition), &plain), condition.name());
    }
}

#[test]
fn abort_ends_the_exchange() {
    let mut session = session(builder());
    open(&mut session);
    auth(&mut session, "SCRAM-SHA-1", b"n,,n=alice,r=abc");
    let abort = "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>";
    assert_failure(&ask(&mut session, abort), "aborted");
    assert_failure(&respond(&mut session, b"x"), "malformed-request");
    assert!(!session.is_closed());
}

#[test]
fn the_third_failure_ends_the_stream() {
    let mut session = session(builder());
    open(&mut session);
    for _ in 0..2 {
        assert_failure(&auth(&mut session, "PLAIN", b"\0alice\0pen"), "not-authorized");
    }
    let frames = session.receive(&sasl_frame("auth", Some("PLAIN"), b"\0alice\0pen"));
    assert_failure(&Element::parse(&frames[0]).unwrap(), "not-authorized");
    assert_stream_error(frames, "policy-violation");
    assert!(session.is_closed());
    assert!(session.receive(OPEN).is_empty());
}

#[test]
fn headers_are_checked() {
    let error = |frame: &str, condition| {
        let mut session = session(builder());
        let frames = session.receive(frame);
        assert!(frames[0].starts_with("<open "), "an error needs a stream");
        assert_stream_error(frames, condition);
        assert!(session.is_closed());
    };
    error(&OPEN.replace("example.org", "example.com"), "host-unknown");
    error(&OPEN.replace(" to='example.org'", ""), "host-unknown");
    error(&OPEN.replace("1.0", "0.9"), "unsupported-version");
    error("<message xmlns='jabber:client'/>", "bad-format");
    error("<open", "not-well-formed");
    error("<!-- x --><a/>", "restricted-xml");
}

#[test]
fn nothing_passes_before_the_login_or_the_binding() {
    let message = "<message xmlns='jabber:client' to='bob@example.org'/>";
    let mut session = session(builder());
    open(&mut session);
    assert_stream_error(session.receive(message), "not-authorized");

    let mut session = self::session(builder());
    open(&mut session);
    auth(&mut session, "PLAIN", b"\0alice\0pencil");
    open(&mut session);
    assert_stream_error(session.receive(message), "not-authorized");
}

#[test]
fn a_header_in_the_middle_ends_the_stream() {
    let mut session = session(builder());
    open(&mut session);
    assert_stream_error(session.receive(OPEN), "bad-format");
}

#[test]
fn a_close_is_answered() {
    let close = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
    let mut session = session(builder());
    open(&mut session);
    assert!(ask(&mut session, close).is("close", namespaces::FRAMING));
    assert!(session.is_closed());
}

#[test]
fn stream_elements_may_have_a_fixed_answer() {
    let failed = Element::new("failed", "urn:xmpp:sm:3");
    let builder = builder().without_stream_management();
    let mut session = session(builder.answer("enable", "urn:xmpp:sm:3", failed.clone()));
    open(&mut session);
    auth(&mut session, "PLAIN", b"\0alice\0pencil");
    open(&mut session);
    assert_eq!(ask(&mut session, "<enable xmlns='urn:xmpp:sm:3'/>"), failed);
    let frames = session.receive("<resume xmlns='urn:xmpp:sm:3'/>");
    assert_stream_error(frames, "unsupported-stanza-type");
}

#[test]
fn features_can_be_added() {
    let extra = Element::new("sm", "urn:xmpp:sm:3");
    let mut session =
        session(builder().feature(extra.clone()).legacy_session(LegacySession::Optional));
    assert!(open(&mut session).children().any(|child| *child == extra));
    auth(&mut session, "PLAIN", b"\0alice\0pencil");
    let features = open(&mut session);
    assert!(features.children().any(|child| *child == extra));
    let legacy = features.child("session", namespaces::SESSION).unwrap();
    assert!(legacy.child("optional", namespaces::SESSION).is_some());
}

#[test]
fn a_required_session_comes_first() {
    let server = builder().legacy_session(LegacySession::Required).build();
    let mut session = online(&server, "alice", "pencil", "x");
    let ping = "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert_error(&ask(&mut session, ping), "not-allowed");
    let establish = "<iq xmlns='jabber:client' type='set' id='s'>\
                     <session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
    assert_eq!(ask(&mut session, establish).attr("type"), Some("result"));
    assert_eq!(ask(&mut session, ping).attr("type"), Some("result"));
}

#[test]
fn binding_follows_the_rule_for_conflicts() {
    let server = builder().build();
    let _first = online(&server, "alice", "pencil", "home");
    let second = online(&server, "alice", "pencil", "home");
    assert_ne!(second.jid().unwrap().to_string(), "alice@example.org/home");

    let server = builder().resource_conflict(ResourceConflict::Refuse).build();
    let _first = online(&server, "alice", "pencil", "home");
    let mut second = server.session(SessionChannel::plaintext());
    open(&mut second);
    auth(&mut second, "PLAIN", b"\0alice\0pencil");
    open(&mut second);
    assert_error(&ask(&mut second, &bind_request(Some("home"))), "conflict");
    assert_error(&ask(&mut second, &bind_request(Some(&"x".repeat(1024)))), "bad-request");
    assert_eq!(ask(&mut second, &bind_request(Some("work"))).attr("type"), Some("result"));

    let server = builder().resource_conflict(ResourceConflict::Replace).build();
    let mut first = online(&server, "alice", "pencil", "home");
    let second = online(&server, "alice", "pencil", "home");
    assert_eq!(second.jid().unwrap().to_string(), "alice@example.org/home");
    assert_stream_error(first.take_routed(), "conflict");
    assert!(first.is_closed());
}

#[track_caller]
fn assert_error(reply: &Element, condition: &str) {
    assert_eq!(reply.attr("type"), Some("error"), "{reply}");
    let error = reply.child("error", namespaces::CLIENT).unwrap();
    assert!(error.child(condition, namespaces::STANZAS).is_some(), "{reply}");
}

#[test]
fn messages_go_where_they_belong() {
    let server = builder().build();
    let mut alice = online(&server, "alice", "pencil", "a");
    let (mut work, mut home) =
        (online(&server, "bob", "eraser", "work"), online(&server, "bob", "eraser", "home"));

    let message =
        |to: &str| format!("<message xmlns='jabber:client' to='{to}'><body>hi</body></message>");
    assert!(alice.receive(&message("BOB@example.org")).is_empty());
    for session in [&mut work, &mut home] {
        let received = parse(session.take_routed());
        assert_eq!(received.len(), 1);
        assert_eq!(received[0].attr("from"), Some("alice@example.org/a"));
        assert_eq!(received[0].child("body", namespaces::CLIENT).unwrap().text(), "hi");
    }
    assert!(alice.receive(&message("bob@example.org/home")).is_empty());
    assert!(work.take_routed().is_empty());
    assert_eq!(home.take_routed().len(), 1);

    for (to, condition) in [
        ("bob@example.org/nowhere", "service-unavailable"),
        ("nobody@example.org", "service-unavailable"),
        ("example.org", "service-unavailable"),
        ("bob@example.com", "remote-server-not-found"),
        ("@example.org", "jid-malformed"),
    ] {
        let reply = ask(&mut alice, &message(to));
        assert_error(&reply, condition);
        assert_eq!(reply.attr("from"), Some(to));
    }
    let silent = message("nobody@example.org").replace("<message", "<message type='error'");
    assert!(alice.receive(&silent).is_empty());
}

#[test]
fn requests_are_answered() {
    let server = builder().build();
    let mut alice = online(&server, "alice", "pencil", "a");
    let mut bob = online(&server, "bob", "eraser", "b");
    let request = |kind: &str, to: &str, child: &str| {
        format!("<iq xmlns='jabber:client' type='{kind}' id='7' to='{to}'>{child}</iq>")
    };
    let ping = "<ping xmlns='urn:xmpp:ping'/>";
    for to in ["example.org", "alice@example.org"] {
        let pong = ask(&mut alice, &request("get", to, ping));
        assert_eq!((pong.attr("type"), pong.attr("id")), (Some("result"), Some("7")));
        assert_eq!((pong.attr("from"), pong.attr("to")), (Some(to), Some("alice@example.org/a")));
    }
    let unknown = "<query xmlns='urn:example'/>";
    assert_error(&ask(&mut alice, &request("set", "example.org", unknown)), "service-unavailable");
    assert_error(&ask(&mut alice, &request("get", "bob@example.org", ping)), "service-unavailable");
    assert_error(&ask(&mut alice, &request("get", "example.org", "")), "bad-request");
    assert!(alice.receive(&request("result", "example.org", "")).is_empty());

    assert!(alice.receive(&request("get", "bob@example.org/b", ping)).is_empty());
    assert_eq!(parse(bob.take_routed())[0].attr("from"), Some("alice@example.org/a"));
    assert!(bob.receive(&request("result", "alice@example.org/a", "")).is_empty());
    assert_eq!(parse(alice.take_routed())[0].attr("type"), Some("result"));
}

#[test]
fn presence_reaches_the_available_sessions_of_the_account() {
    let server = builder().build();
    let mut first = online(&server, "alice", "pencil", "1");
    let mut second = online(&server, "alice", "pencil", "2");
    assert!(first.receive("<presence xmlns='jabber:client'/>").is_empty());
    assert_eq!(first.take_routed().len(), 1);
    assert!(second.take_routed().is_empty());
    second.receive("<presence xmlns='jabber:client'/>");
    assert_eq!(second.take_routed().len(), 1);
    drop(second);
    let heard = parse(first.take_routed());
    assert_eq!(heard[0].attr("type"), None);
    assert_eq!(heard[1].attr("type"), Some("unavailable"));
    assert_eq!(heard[1].attr("from"), Some("alice@example.org/2"));
}

#[test]
fn nobody_speaks_for_another() {
    let server = builder().build();
    let mut alice = online(&server, "alice", "pencil", "a");
    for own in ["alice@example.org", "alice@example.org/a"] {
        let presence = format!("<presence xmlns='jabber:client' from='{own}'/>");
        assert!(alice.receive(&presence).is_empty());
    }
    let frames = alice.receive("<presence xmlns='jabber:client' from='bob@example.org'/>");
    assert_stream_error(frames, "invalid-from");
}

#[test]
fn limits_hold() {
    let mut limits = Limits::default();
    (limits.stanza, limits.sessions, limits.mailbox) = (1000, 2, 1);
    let server = builder().limits(limits).build();
    let mut alice = online(&server, "alice", "pencil", "a");
    let mut bob = online(&server, "bob", "eraser", "b");
    let mut third = server.session(SessionChannel::plaintext());
    assert_stream_error(third.receive(OPEN), "resource-constraint");

    let message = "<message xmlns='jabber:client' to='bob@example.org'/>";
    assert!(alice.receive(message).is_empty());
    assert_error(&ask(&mut alice, message), "service-unavailable");
    let frames = bob.take_routed();
    assert_eq!(frames.len(), 3, "one message, then the end");
    assert_stream_error(frames, "resource-constraint");
    assert!(bob.is_closed());

    let long = format!("<message xmlns='jabber:client'>{}</message>", "x".repeat(1000));
    assert_stream_error(alice.receive(&long), "policy-violation");
    drop((alice, bob));
    open(&mut server.session(SessionChannel::plaintext()));
}
