//! Logins by SASL2, with Bind 2 and stream management within them.

use super::stream_management::{assert_failed, ids, message, pass};
use super::*;

pub(super) const SASL2: &str = "urn:xmpp:sasl:2";
const BIND2: &str = "urn:xmpp:bind:0";
const SM: &str = "urn:xmpp:sm:3";
pub(super) const AGENT: &str = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>";
const OTHER_AGENT: &str = "<user-agent id='e4565fa7-4d72-4749-b3d3-740edbf87770'/>";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";

pub(super) fn open_from(session: &mut Session, from: &str) -> Element {
    let open = OPEN.replace(" to=", &format!(" from='{from}' to="));
    let mut frames = parse(session.receive(&open));
    assert_eq!(frames.len(), 2, "{frames:?}");
    frames.remove(1)
}

pub(super) fn feature(features: &Element) -> &Element {
    features.child("authentication", SASL2).unwrap()
}

pub(super) fn sasl2_offered(features: &Element) -> Vec<String> {
    let mechanisms = feature(features).children().filter(|it| it.is("mechanism", SASL2));
    mechanisms.map(Element::text).collect()
}

pub(super) fn authenticate(mechanism: &str, message: &[u8], rest: &str) -> String {
    let message = Base64::encode_string(message);
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='{mechanism}'>\
         <initial-response>{message}</initial-response>{rest}</authenticate>"
    )
}

pub(super) fn plain(rest: &str) -> String {
    authenticate("PLAIN", b"\0alice\0pencil", rest)
}

pub(super) fn bind2(inside: &str) -> String {
    format!("<bind xmlns='urn:xmpp:bind:0'>{inside}</bind>")
}

fn resume(id: &str, count: u32) -> String {
    format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='{count}'/>")
}

pub(super) fn opened(server: &Server) -> Session {
    let mut session = server.session(bound_channel());
    open_from(&mut session, "alice@example.org");
    session
}

/// The success of a fresh session's login, and what follows.
pub(super) fn login(server: &Server, rest: &str) -> (Session, Element, Vec<Element>) {
    let mut session = opened(server);
    let mut frames = parse(session.receive(&plain(rest)));
    let success = frames.remove(0);
    assert!(success.is("success", SASL2), "{success}");
    (session, success, frames)
}

pub(super) fn identifier(success: &Element) -> String {
    success.child("authorization-identifier", SASL2).unwrap().text()
}

#[track_caller]
pub(super) fn assert_refused(reply: &Element, condition: &str) {
    let expected =
        Element::new("failure", SASL2).with_child(Element::new(condition, namespaces::SASL));
    assert_eq!(*reply, expected);
}

pub(super) fn names(element: &Element) -> Vec<&str> {
    element.children().map(Element::name).collect()
}

#[test]
fn it_is_offered_where_the_channel_is_safe() {
    let (_, features) =
        bound_session(builder().mechanisms(["SCRAM-SHA-1-PLUS", "PLAIN"]).without_fast());
    let expected = "<authentication xmlns='urn:xmpp:sasl:2'>\
        <mechanism>SCRAM-SHA-1-PLUS</mechanism><mechanism>PLAIN</mechanism><inline>\
        <sm xmlns='urn:xmpp:sm:3'/><bind xmlns='urn:xmpp:bind:0'><inline>\
        <feature var='urn:xmpp:carbons:2'/><feature var='urn:xmpp:csi:0'/>\
        <feature var='urn:xmpp:sm:3'/></inline></bind></inline></authentication>";
    assert_eq!(*feature(&features), Element::parse(expected).unwrap());

    let is_offered = |builder: ServerBuilder, channel| {
        open(&mut builder.build().session(channel)).child("authentication", SASL2).is_some()
    };
    let plaintext = SessionChannel::plaintext;
    assert!(!is_offered(builder(), plaintext()));
    assert!(is_offered(builder().sasl2_unencrypted(), plaintext()));
    assert!(!is_offered(builder().without_sasl2(), bound_channel()));
    assert!(!is_offered(builder().sasl2_mechanisms([""; 0]), bound_channel()));
    let required = builder().sasl2_unencrypted().starttls(StartTls::Required);
    assert!(!is_offered(required, plaintext().with_starttls()));
}

#[test]
fn each_profile_has_a_list_of_its_own() {
    let (mut session, features) =
        bound_session(builder().mechanisms(["PLAIN"]).sasl2_mechanisms(["SCRAM-SHA-256"]));
    assert_eq!(offered(&features), ["PLAIN"]);
    assert_eq!(sasl2_offered(&features), ["SCRAM-SHA-256"]);
    assert_refused(&ask(&mut session, &plain("")), "invalid-mechanism");
    assert_failure(&auth(&mut session, "SCRAM-SHA-256", b"n,,n=alice,r=abc"), "invalid-mechanism");
    assert_success(&auth(&mut session, "PLAIN", b"\0alice\0pencil"));
}

#[test]
fn what_is_inline_follows_the_options() {
    let inline = |builder: ServerBuilder, channel: SessionChannel| {
        let features = open(&mut builder.build().session(channel));
        let inline = feature(&features).child("inline", SASL2).cloned();
        inline.map(|it| names(&it).join(" ")).unwrap_or_default()
    };
    let plain = || builder().without_fast();
    assert_eq!(inline(plain().without_bind2(), bound_channel()), "sm");
    assert_eq!(inline(plain().without_inline_stream_management(), bound_channel()), "bind");
    assert_eq!(inline(plain().without_stream_management(), bound_channel()), "bind");
    assert_eq!(inline(plain(), bound_channel().over_bosh()), "bind");
    let none = plain().without_bind2().without_stream_management();
    assert_eq!(inline(none, bound_channel()), "");
}

#[test]
fn a_login_without_bind_goes_on_without_a_restart() {
    let (mut session, success, frames) = login(&builder().build(), "");
    let expected = "<success xmlns='urn:xmpp:sasl:2'>\
        <authorization-identifier>alice@example.org</authorization-identifier></success>";
    assert_eq!(success, Element::parse(expected).unwrap());
    assert_eq!(frames.len(), 1);
    assert_eq!(names(&frames[0]), ["bind", "sm", "csi"]);
    let reply = ask(&mut session, &bind_request(Some("r")));
    assert_eq!(reply.attr("type"), Some("result"));
    assert_stream_error(session.receive(&plain("")), "unsupported-stanza-type");
}

#[test]
fn scram_goes_through_challenge_and_additional_data() {
    let server = builder().build();
    let mut session = opened(&server);
    let first = "p=tls-exporter,,n=alice,r=abc";
    let request = authenticate("SCRAM-SHA-256-PLUS", first.as_bytes(), "");
    let challenge = ask(&mut session, &request);
    assert!(challenge.is("challenge", SASL2), "{challenge}");
    let reply = scram_response(Hash::Sha256, first, &challenge, &DATA);
    let frames = parse(session.receive(&reply));
    assert_eq!(names(&frames[0]), ["additional-data", "authorization-identifier"]);
    let data = frames[0].child("additional-data", SASL2).unwrap();
    assert!(super::data(data).starts_with("v="));

    for wrong in [&CERTIFICATE_HASH[..], b""] {
        let mut session = opened(&server);
        let challenge = ask(&mut session, &request);
        let reply = scram_response(Hash::Sha256, first, &challenge, wrong);
        assert_refused(&ask(&mut session, &reply), "not-authorized");
    }
}

/// The client's final message of SCRAM, with the password of alice.
pub(super) fn scram_response(
    hash: Hash,
    first: &str,
    challenge: &Element,
    bound_to: &[u8],
) -> String {
    let message = scram_final(hash, first, "pencil", challenge, bound_to);
    format!("<response xmlns='urn:xmpp:sasl:2'>{}</response>", Base64::encode_string(&message))
}

#[test]
fn a_message_is_absent_empty_or_base64() {
    let server = builder().build();
    let refused = |request: &str, condition: &str| {
        assert_refused(&ask(&mut opened(&server), request), condition);
    };
    let request = |inside: &str| {
        format!("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>{inside}</authenticate>")
    };
    let mut session = opened(&server);
    let asked = ask(&mut session, &request(""));
    assert_eq!(asked, Element::new("challenge", SASL2));
    let response = "<response xmlns='urn:xmpp:sasl:2'>AGFsaWNlAHBlbmNpbA==</response>";
    assert!(parse(session.receive(response))[0].is("success", SASL2));

    refused(&request("<initial-response/>"), "malformed-request");
    refused(&request("<initial-response>=</initial-response>"), "incorrect-encoding");
    refused(&request("<initial-response> AAAA</initial-response>"), "incorrect-encoding");
    refused("<authenticate xmlns='urn:xmpp:sasl:2'/>", "invalid-mechanism");
    refused("<authenticate xmlns='urn:xmpp:sasl:2' mechanism='plain'/>", "invalid-mechanism");
    let agent = "<user-agent id='d4565fa7-4d72-1749-b3d3-740edbf87770'/>";
    refused(&plain(agent), "malformed-request");
    refused(&authenticate("PLAIN", b"\0alice\0pen", ""), "not-authorized");
}

#[test]
fn what_comes_out_of_turn_is_refused_and_ends_a_login() {
    let server = builder().build();
    for (early, condition) in [
        ("<response xmlns='urn:xmpp:sasl:2'/>", "malformed-request"),
        ("<next xmlns='urn:xmpp:sasl:2' task='X'/>", "malformed-request"),
        ("<abort xmlns='urn:xmpp:sasl:2'/>", "aborted"),
    ] {
        assert_refused(&ask(&mut opened(&server), early), condition);
    }
    let odd = "<success xmlns='urn:xmpp:sasl:2'/>";
    assert_stream_error(opened(&server).receive(odd), "unsupported-stanza-type");

    let begun = || {
        let mut session = opened(&server);
        let request = authenticate("SCRAM-SHA-1", b"n,,n=alice,r=abc", "");
        assert!(ask(&mut session, &request).is("challenge", SASL2));
        session
    };
    let abort = "<abort xmlns='urn:xmpp:sasl:2'><text>enough</text></abort>";
    let mut session = begun();
    assert_refused(&ask(&mut session, abort), "aborted");
    assert!(parse(session.receive(&plain("")))[0].is("success", SASL2), "it can begin anew");
    for other in [
        plain(""),
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>".to_owned(),
        "<presence xmlns='jabber:client'/>".to_owned(),
        "<r xmlns='urn:xmpp:sm:3'/>".to_owned(),
    ] {
        assert_stream_error(begun().receive(&other), "policy-violation");
    }
    let mut session = opened(&server);
    let wrong = authenticate("PLAIN", b"\0alice\0pen", "");
    assert_refused(&ask(&mut session, &wrong), "not-authorized");
    assert_failure(&auth(&mut session, "PLAIN", b"\0alice\0pen"), "not-authorized");
    assert_stream_error(session.receive(&wrong), "policy-violation");
}

#[test]
fn the_stream_is_of_the_user_that_logs_in() {
    let server = builder().build();
    let reply = |from: &str, message: &[u8]| {
        let mut session = server.session(bound_channel());
        open_from(&mut session, from);
        parse(session.receive(&authenticate("PLAIN", message, ""))).remove(0)
    };
    for from in ["alice@example.org", "ALICE@example.org/home", "example.org", ""] {
        assert!(reply(from, b"\0alice\0pencil").is("success", SASL2), "{from}");
    }
    assert_refused(&reply("alice@example.org", b"\0bob\0eraser"), "invalid-authzid");
    let other = b"bob@example.org\0alice\0pencil";
    assert_refused(&reply("alice@example.org", other), "invalid-authzid");
    for from in ["alice@example.com", "@", "example.com"] {
        let open = OPEN.replace(" to=", &format!(" from='{from}' to="));
        let frames = server.session(bound_channel()).receive(&open);
        assert_stream_error(frames, "invalid-from");
    }
}

#[test]
fn bind_gives_an_address_with_the_success() {
    let server = builder().build();
    let bound = |inside: &str| login(&server, &(AGENT.to_owned() + &bind2(inside)));
    let (mut session, success, frames) = bound("<tag>Epode</tag>");
    assert_eq!(names(&success), ["authorization-identifier", "bound"]);
    assert_eq!(success.child("bound", BIND2), Some(&Element::new("bound", BIND2)));
    let jid = identifier(&success);
    assert!(jid.starts_with("alice@example.org/Epode/") && jid.len() > 24, "{jid}");
    assert_eq!(session.jid().unwrap().as_str(), jid);
    assert_eq!(names(&frames[0]), ["sm", "csi"]);
    assert!(ask(&mut session, ENABLE).is("enabled", SM));

    for odd in ["", "<tag/>", &format!("<tag>{}</tag>", "x".repeat(1023)), "<tag>a\u{301}</tag>"] {
        let (_session, success, _) = bound(odd);
        assert!(identifier(&success).starts_with("alice@example.org/"), "{odd}");
    }
    let unbound = builder().without_bind2().build();
    let (_, success, _) = login(&unbound, &bind2(""));
    assert_eq!(names(&success), ["authorization-identifier"]);
}

#[test]
fn a_bind_enables_what_it_names() {
    let server = builder().build();
    let (mut session, success, frames) = login(
        &server,
        &bind2(&format!(
            "{ENABLE}<enable xmlns='urn:xmpp:carbons:2'/><inactive xmlns='urn:xmpp:csi:0'/>"
        )),
    );
    let bound = success.child("bound", BIND2).unwrap();
    let enabled = bound.child("enabled", SM).unwrap();
    assert_eq!((enabled.attr("resume"), enabled.attr("max")), (Some("true"), Some("300")));
    assert_eq!(names(&frames[0]), ["csi"], "stream management is on");
    let (mut other, _, _) = login(&server, &bind2(""));
    other.receive(&message("bob@example.org", "copied"));
    let copies = parse(session.take_routed());
    assert_eq!(copies.len(), 1, "carbons are on");
    assert!(ask(&mut session, "<r xmlns='urn:xmpp:sm:3'/>").is("a", SM));

    for wrong in ["resume='maybe'", "resume='true' max='0'"] {
        let enable = format!("<enable xmlns='urn:xmpp:sm:3' {wrong}/>");
        let (_session, success, frames) = login(&server, &bind2(&enable));
        let failed = success.child("bound", BIND2).unwrap().child("failed", SM).unwrap();
        assert_failed(failed, "bad-request", None);
        assert_eq!(names(&frames[0]), ["sm", "csi"]);
    }
    let without = builder().without_inline_stream_management().build();
    let (_session, success, frames) = login(&without, &bind2(ENABLE));
    assert_eq!(success.child("bound", BIND2), Some(&Element::new("bound", BIND2)));
    assert_eq!(names(&frames[0]), ["sm", "csi"]);
}

#[test]
fn a_client_that_binds_ends_its_earlier_session() {
    let server = builder().build();
    let bind = |agent: &str| login(&server, &(agent.to_owned() + &bind2(""))).0;
    let (mut first, mut other, mut nameless) = (bind(AGENT), bind(OTHER_AGENT), bind(""));
    let _second = bind(&AGENT.to_uppercase().replace("USER-AGENT ID", "user-agent id"));
    assert_stream_error(first.take_routed(), "conflict");
    assert!(other.take_routed().is_empty() && nameless.take_routed().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_resumed_within_the_login() {
    let server = builder().build();
    let (session, success, _) = login(&server, &(AGENT.to_owned() + &bind2(ENABLE)));
    let jid = identifier(&success);
    let enabled = success.child("bound", BIND2).unwrap().child("enabled", SM).unwrap();
    let id = enabled.attr("id").unwrap().to_owned();
    drop(session);
    let mut bob = online(&server, "bob", "eraser", "b");
    bob.receive(&message(&jid, "missed"));
    pass(std::time::Duration::ZERO).await;

    let rest = format!("{AGENT}{}{}", resume(&id, 0), bind2(ENABLE));
    let (session, success, frames) = login(&server, &rest);
    assert_eq!(names(&success), ["authorization-identifier", "resumed"]);
    assert_eq!(identifier(&success), jid);
    let resumed = success.child("resumed", SM).unwrap();
    assert_eq!((resumed.attr("previd"), resumed.attr("h")), (Some(&*id), Some("0")));
    assert_eq!(ids(&frames), ["missed"], "there are no features");
    assert!(frames.last().unwrap().is("r", SM));
    assert_eq!(session.jid().unwrap().as_str(), jid);
    drop(session);

    let mut session = opened(&server);
    assert_stream_error(session.receive(&plain(&resume(&id, 9))), "undefined-condition");
    pass(std::time::Duration::from_secs(300)).await;
    let (_session, success, frames) = login(&server, &format!("{}{}", resume(&id, 1), bind2("")));
    assert_eq!(names(&success), ["authorization-identifier", "failed", "bound"]);
    assert_failed(success.child("failed", SM).unwrap(), "item-not-found", Some("0"));
    assert_ne!(identifier(&success), jid);
    assert_eq!(names(&frames[0]), ["sm", "csi"]);
}

#[test]
fn a_resumption_that_fails_leaves_the_rest() {
    let server = builder().build();
    for (wrong, condition) in [
        (resume("unknown", 0), "item-not-found"),
        ("<resume xmlns='urn:xmpp:sm:3' previd='x'/>".to_owned(), "bad-request"),
        ("<resume xmlns='urn:xmpp:sm:3' h='1'/>".to_owned(), "bad-request"),
    ] {
        let (_, success, frames) = login(&server, &wrong);
        assert_failed(success.child("failed", SM).unwrap(), condition, None);
        assert_eq!(names(&frames[0]), ["bind", "sm", "csi"]);
    }
    let without = builder().without_inline_stream_management().build();
    let (_, success, _) = login(&without, &resume("unknown", 0));
    assert_eq!(names(&success), ["authorization-identifier"]);
}

#[test]
fn the_login_may_come_with_the_header() {
    let server = builder().build();
    let mut session = server.tcp_session(bound_channel());
    let header = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' \
        xmlns:stream='http://etherx.jabber.org/streams' to='example.org' from='alice@example.org'>";
    let presence = "<presence/>";
    let said = session.receive(format!("{header}{}{presence}", plain(&bind2(""))).as_bytes());
    let (head, rest) = said.split_once("<success ").unwrap();
    assert!(head.starts_with("<?xml ") && head.ends_with("</features>"), "{head}");
    assert!(rest.contains("<bound "), "{rest}");
    assert!(session.is_established());

    let mut session = server.tcp_session(bound_channel());
    let wrong = authenticate("PLAIN", b"\0alice\0pen", "");
    let said = session.receive(format!("{header}{wrong}{}", plain("")).as_bytes());
    assert!(said.contains("<failure ") && said.contains("<success "), "{said}");
    assert_eq!(said.matches("<?xml").count(), 1, "no stream restarts");
}
