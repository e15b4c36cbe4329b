//! Logins by token (XEP-0484): given, used, rotated, ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::sasl2_login::{
    AGENT, SASL2, assert_refused, authenticate, feature, identifier, open_from,
};
use super::*;
use crate::{EarlyData, Sasl2Fault};

const FAST: &str = "urn:xmpp:fast:0";
const EXPR: &str = "HT-SHA-256-EXPR";
const NONE: &str = "HT-SHA-256-NONE";
const ALICE: &str = "alice@example.org";
const UNIQUE: &str = "tls-unique";
/// 2026-01-01.
const START: u64 = 1_767_225_600;
const DAY: u64 = 24 * 60 * 60;

/// A server whose clock the test sets.
struct Place {
    server: Server,
    seconds: Arc<AtomicU64>,
}

impl Place {
    fn new(builder: ServerBuilder) -> Self {
        let seconds = Arc::new(AtomicU64::new(START));
        let now = Arc::clone(&seconds);
        let clock =
            move || SystemTime::UNIX_EPOCH + Duration::from_secs(now.load(Ordering::Relaxed));
        Self { server: builder.clock(clock).build(), seconds }
    }

    fn pass(&self, seconds: u64) {
        self.seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// What a fresh session's login is answered with first.
    fn reply(&self, request: &str) -> Element {
        let mut session = self.server.session(channel());
        open_from(&mut session, ALICE);
        parse(session.receive(request)).remove(0)
    }

    /// A first token, by password.
    fn token(&self, mechanism: &str) -> String {
        let rest = format!("{AGENT}{}", request_token(mechanism));
        token_in(&self.reply(&authenticate("PLAIN", b"\0alice\0pencil", &rest))).unwrap()
    }

    /// A login with a token and nothing else.
    fn spend(&self, mechanism: &str, token: &str, attributes: &str) -> Element {
        self.reply(&by_token(mechanism, token, attributes, ""))
    }
}

fn channel() -> SessionChannel {
    bound_channel().with_binding(UNIQUE, [5; 12])
}

fn request_token(mechanism: &str) -> String {
    format!("<request-token xmlns='urn:xmpp:fast:0' mechanism='{mechanism}'/>")
}

/// What the mechanism binds to on the test's channel.
fn data(mechanism: &str) -> &'static [u8] {
    match mechanism.rsplit_once('-').unwrap().1 {
        "EXPR" => &DATA,
        "ENDP" => &CERTIFICATE_HASH,
        "UNIQ" => &[5; 12],
        _ => b"",
    }
}

fn hash(mechanism: &str) -> Hash {
    if mechanism.contains("512") { Hash::Sha512 } else { Hash::Sha256 }
}

fn by_token(mechanism: &str, token: &str, attributes: &str, rest: &str) -> String {
    let hash = hash(mechanism).hmac(token.as_bytes(), &[b"Initiator", data(mechanism)].concat());
    let fast = format!("<fast xmlns='urn:xmpp:fast:0' {attributes}/>{AGENT}{rest}");
    authenticate(mechanism, &[b"alice\0", &hash[..]].concat(), &fast)
}

fn token_in(success: &Element) -> Option<String> {
    assert!(success.is("success", SASL2), "{success}");
    success.child("token", FAST)?.attr("token").map(str::to_owned)
}

#[track_caller]
fn assert_in(success: &Element) {
    assert!(success.is("success", SASL2), "{success}");
}

#[test]
fn mechanisms_are_offered_by_the_channel() {
    let listed = |builder: ServerBuilder, channel: SessionChannel| {
        let features = open(&mut builder.build().session(channel));
        let inline = feature(&features).child("inline", SASL2).unwrap().clone();
        let fast = inline.child("fast", FAST)?;
        assert_eq!(fast.attr("tls-0rtt"), None);
        Some(fast.children().map(Element::text).collect::<Vec<_>>().join(" "))
    };
    let plain = SessionChannel::encrypted;
    let all = listed(builder(), channel()).unwrap();
    assert_eq!(all, sasl::hashed_token::ALL.join(" "));
    assert_eq!(listed(builder(), plain()).unwrap(), "HT-SHA-512-NONE HT-SHA-256-NONE");
    let chosen = builder().fast_mechanisms([NONE, EXPR]);
    assert_eq!(listed(chosen, channel()).unwrap(), "HT-SHA-256-NONE HT-SHA-256-EXPR");
    assert_eq!(listed(builder().without_fast(), channel()), None);
    assert_eq!(listed(builder().fast_mechanisms([EXPR]), plain()), None);
}

#[test]
fn each_mechanism_logs_in_and_proves_the_server() {
    let place = Place::new(builder());
    for mechanism in sasl::hashed_token::ALL {
        let token = place.token(mechanism);
        let bind = "<bind xmlns='urn:xmpp:bind:0'/>";
        let success = place.reply(&by_token(mechanism, &token, "count='1'", bind));
        assert_in(&success);
        let responder = [b"Responder", data(mechanism)].concat();
        let expected = hash(mechanism).hmac(token.as_bytes(), &responder);
        let said = success.child("additional-data", SASL2).unwrap().text();
        assert_eq!(Base64::decode_vec(&said).unwrap(), expected, "{mechanism}");
        assert!(identifier(&success).starts_with("alice@example.org/"));
        assert_eq!(token_in(&success), None);
    }
}

#[test]
fn early_data_takes_a_token_that_counts_and_nothing_else() {
    const ENDP: &str = "HT-SHA-256-ENDP";
    let place = Place::new(builder().early_data(EarlyData::Taken));
    let token = place.token(ENDP);
    let early = |request: &str| {
        let unknown = channel().with_binding(EXPORTER, [9; 32]).in_early_data();
        let mut session = place.server.session(unknown);
        let features = open_from(&mut session, ALICE);
        let inline = feature(&features).child("inline", SASL2).unwrap();
        assert_eq!(inline.child("fast", FAST).unwrap().attr("tls-0rtt"), Some("true"));
        parse(session.receive(request)).remove(0)
    };
    let by_count = |count: &str| early(&by_token(ENDP, &token, count, ""));
    assert_refused(&by_count(""), "not-authorized");
    assert_in(&by_count("count='3'"));
    for replayed in ["count='3'", "count='2'", "count='1'", ""] {
        assert_refused(&by_count(replayed), "not-authorized");
    }
    assert_in(&by_count("count='4'"));
    assert_refused(&early(&authenticate("PLAIN", b"\0alice\0pencil", "")), "not-authorized");
    let old = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>\
               AGFsaWNlAHBlbmNpbA==</auth>";
    assert!(early(old).child("not-authorized", namespaces::SASL).is_some());
    let bound = place.token(EXPR);
    assert_refused(&early(&by_token(EXPR, &bound, "count='1'", "")), "not-authorized");
}

#[test]
fn a_token_comes_with_the_moment_of_its_end() {
    let place = Place::new(builder().token_life(Duration::from_secs(DAY)));
    let rest = format!("{AGENT}{}", request_token(NONE));
    let success = place.reply(&authenticate("PLAIN", b"\0alice\0pencil", &rest));
    let token = success.child("token", FAST).unwrap();
    assert_eq!(token.attr("expiry"), Some("2026-01-02T00:00:00Z"));
    assert_eq!(token.attr("token").unwrap().len(), 44);

    let by = |agent: &str, mechanism: &str| {
        let rest = format!("{agent}{}", request_token(mechanism));
        place.reply(&authenticate("PLAIN", b"\0alice\0pencil", &rest))
    };
    assert_refused(&by("", NONE), "malformed-request");
    assert_refused(&by("<user-agent/>", NONE), "malformed-request");
    assert_refused(&by(AGENT, "SCRAM-SHA-1"), "malformed-request");
    assert_refused(&by(AGENT, "HT-SHA-1-NONE"), "malformed-request");
    let wrong = authenticate("PLAIN", b"\0alice\0pen", &rest);
    assert_refused(&place.reply(&wrong), "not-authorized");

    let without = Place::new(builder().without_fast());
    let success = without.reply(&authenticate("PLAIN", b"\0alice\0pencil", &rest));
    assert_eq!(token_in(&success), None);
}

#[test]
fn a_token_is_for_its_mechanism_channel_user_and_client() {
    let place = Place::new(builder().token("bob", "x"));
    let token = place.token(EXPR);
    for other in [NONE, "HT-SHA-512-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-UNIQ"] {
        assert_refused(&place.spend(other, &token, ""), "not-authorized");
    }
    assert_refused(&place.spend(EXPR, "another", ""), "not-authorized");
    let right = by_token(EXPR, &token, "", "");
    let other_client = right.replace("id='d", "id='e");
    assert_refused(&place.reply(&other_client), "not-authorized");
    let other_user =
        right.replace(&Base64::encode_string(b"alice\0"), &Base64::encode_string(b"bobby\0"));
    assert_refused(&place.reply(&other_user), "not-authorized");

    let mut session = place.server.session(channel().with_binding(EXPORTER, [8; 32]));
    open_from(&mut session, ALICE);
    assert_refused(&ask(&mut session, &right), "not-authorized");
    // The full login goes on over the same stream.
    assert_in(&parse(session.receive(&authenticate("PLAIN", b"\0alice\0pencil", "")))[0]);
    assert_in(&place.reply(&right));

    let behind = Place::new(builder().mismatched_binding(EXPORTER));
    let token = behind.token(EXPR);
    assert_refused(&behind.spend(EXPR, &token, ""), "not-authorized");
}

#[test]
fn what_a_token_needs_beside_it() {
    let place = Place::new(builder());
    let token = place.token(NONE);
    let right = by_token(NONE, &token, "", "");
    let refused = |request: &str, condition| assert_refused(&place.reply(request), condition);
    refused(&right.replace("<fast xmlns='urn:xmpp:fast:0' />", ""), "invalid-mechanism");
    refused(&right.replace(AGENT, ""), "malformed-request");
    refused(&right.replace("HT-SHA-256-NONE", "PLAIN"), "invalid-mechanism");
    refused(&right.replace("HT-SHA-256-NONE", "HT2-SHA-256-NONE"), "invalid-mechanism");
    let (head, rest) = right.split_once("<initial-response>").unwrap();
    let (_, rest) = rest.split_once("</initial-response>").unwrap();
    refused(&format!("{head}{rest}"), "malformed-request");
    refused(&authenticate(NONE, b"alice", "<fast xmlns='urn:xmpp:fast:0'/>"), "malformed-request");
    for attributes in ["count='0'", "count='-1'", "count='+1'", "count=''", "invalidate='yes'"] {
        refused(&by_token(NONE, &token, attributes, ""), "malformed-request");
    }
    let mut nameless = place.server.session(channel());
    open(&mut nameless);
    assert_refused(&ask(&mut nameless, &right), "malformed-request");
    assert_in(&place.reply(&right));
}

#[test]
fn counts_rise() {
    let place = Place::new(builder());
    let token = place.token(NONE);
    let count = |count: &str| place.spend(NONE, &token, count);
    assert_in(&count("count='5'"));
    for replayed in ["count='5'", "count='4'", "count='1'", ""] {
        assert_refused(&count(replayed), "not-authorized");
    }
    // A wrong token does not raise it.
    assert_refused(&place.spend(NONE, "another", "count='9'"), "not-authorized");
    assert_in(&count("count='6'"));
    assert_in(&count("count='18446744073709551615'"));
    assert_refused(&count("count='18446744073709551616'"), "malformed-request");
    // Another token begins anew.
    let token = place.token(NONE);
    assert_in(&place.spend(NONE, &token, "count='1'"));
    // Whoever does not count need not begin.
    let token = place.token(NONE);
    assert_in(&place.spend(NONE, &token, ""));
    assert_in(&place.spend(NONE, &token, ""));
}

#[test]
fn tokens_expire() {
    let place = Place::new(builder().token_life(Duration::from_secs(DAY)).token_rotation(101));
    let token = place.token(NONE);
    place.pass(DAY - 1);
    let success = place.spend(NONE, &token, "");
    assert_eq!(token_in(&success), None, "there is no rotation");
    place.pass(1);
    for _ in 0..2 {
        assert_refused(&place.spend(NONE, &token, ""), "credentials-expired");
    }
    assert_refused(&place.spend(NONE, "another", ""), "not-authorized");
    let at_once = Place::new(builder().token_life(Duration::ZERO));
    let token = at_once.token(NONE);
    assert_refused(&at_once.spend(NONE, &token, ""), "credentials-expired");
}

#[test]
fn the_old_token_lives_until_the_new_one_is_used() {
    let place = Place::new(builder().token_life(Duration::from_secs(10 * DAY)));
    let first = place.token(EXPR);
    let use_it = |token: &str| token_in(&place.spend(EXPR, token, ""));
    assert_eq!(use_it(&first), None);
    place.pass(5 * DAY);
    let lost = use_it(&first).unwrap();
    let second = use_it(&first).unwrap();
    assert_refused(&place.spend(EXPR, &lost, ""), "not-authorized");
    assert_eq!(use_it(&second), None, "it is young");
    assert_refused(&place.spend(EXPR, &first, ""), "not-authorized");
    place.pass(5 * DAY);
    let third = use_it(&second).unwrap();
    // A token that the client asks for takes the place of one that it has not used.
    let rest = request_token(EXPR);
    let fourth = token_in(&place.reply(&by_token(EXPR, &second, "", &rest))).unwrap();
    assert_refused(&place.spend(EXPR, &third, ""), "not-authorized");
    assert_eq!(use_it(&fourth), None);
}

#[test]
fn a_client_ends_its_tokens() {
    let place = Place::new(builder().token_rotation(0));
    let token = place.token(NONE);
    let next = token_in(&place.spend(NONE, &token, "")).unwrap();
    assert_refused(&place.spend(NONE, "another", "invalidate='true'"), "not-authorized");
    let success = place.spend(NONE, &token, "invalidate='1'");
    assert_eq!(token_in(&success), None, "due, and not wanted");
    for gone in [&token, &next] {
        assert_refused(&place.spend(NONE, gone, ""), "not-authorized");
    }
    let token = place.token(NONE);
    let request = by_token(NONE, &token, "invalidate='true'", &request_token(EXPR));
    let next = token_in(&place.reply(&request)).unwrap();
    assert_refused(&place.spend(NONE, &token, ""), "not-authorized");
    assert_in(&place.spend(EXPR, &next, "invalidate='false'"));
}

#[test]
fn a_login_by_token_can_be_refused_for_any_reason() {
    for condition in [SaslCondition::TemporaryAuthFailure, SaslCondition::CredentialsExpired] {
        let place = Place::new(builder().sasl2_fault(Sasl2Fault::TokenRefused(condition)));
        let token = place.token(NONE);
        let mut session = place.server.session(channel());
        open_from(&mut session, ALICE);
        let request = by_token(NONE, &token, "count='1'", "");
        assert_refused(&ask(&mut session, &request), condition.name());
        assert_in(&parse(session.receive(&authenticate("PLAIN", b"\0alice\0pencil", "")))[0]);
    }
    let place = Place::new(builder().refuse("alice", SaslCondition::AccountDisabled));
    let request =
        authenticate("PLAIN", b"\0alice\0pencil", &(AGENT.to_owned() + &request_token(NONE)));
    assert_refused(&place.reply(&request), "account-disabled");
}

#[test]
fn the_successor_is_known_and_not_offered_unasked() {
    let mechanism = "HT2-SHA-512-EXPR";
    let place = Place::new(builder().fast_mechanisms([mechanism]));
    let token = place.token(mechanism);
    let login = |extra: &[u8], signed: &[u8]| {
        let message = [b"Initiator", &DATA[..], signed].concat();
        let hash = Hash::Sha512.hmac(token.as_bytes(), &message);
        let message = [b"alice\0", extra, b"\0", &hash].concat();
        let rest = format!("<fast xmlns='urn:xmpp:fast:0'/>{AGENT}");
        place.reply(&authenticate(mechanism, &message, &rest))
    };
    let success = login(b"a=1", b"a=1");
    let said = Base64::decode_vec(&success.child("additional-data", SASL2).unwrap().text());
    let responder = [b"Responder", &DATA[..]].concat();
    let expected = Hash::Sha512.hmac(token.as_bytes(), &responder);
    assert_eq!(said.unwrap(), [&[0, 0], &expected[..]].concat());
    for (extra, signed) in [(&b"a=2"[..], &b"a=1"[..]), (b"", b"a=1"), (b"a=1", b"")] {
        assert_refused(&login(extra, signed), "not-authorized");
    }
}
