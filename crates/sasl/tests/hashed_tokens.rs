//! Logins by a token of an earlier one: when they may be, and servers that cannot prove that they
//! know the token. The messages themselves are in `vectors/ht.json` and `vectors/ht2.json`.

mod support;

use epode_sasl::{
    Binding, BindingType, Channel, Credentials, Encryption, Error, Exchange, HashedToken,
    MechanismName, Offer, PeerFault, Pin, Policy, Registry, Rejection, Secret, ServerProof, Skip,
    TlsVersion, Weaker,
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::support::{fault, refused, servers_move};

const TOKEN: &str = "WXZzciBwYmFmdmZnZiBqdmd1IGp2eXFhcmZm";
const DATA: &str = "what both ends know";
const EXPORTER: BindingType = BindingType::TlsExporter;
const END_POINT: BindingType = BindingType::TlsServerEndPoint;

// Whether a token may be used.

#[test]
fn they_are_in_a_registry_of_their_own() {
    let names: Vec<_> = Registry::hashed_tokens().names().map(ToString::to_string).collect();
    let expected = [
        "HT-SHA-512-EXPR",
        "HT-SHA-256-EXPR",
        "HT-SHA-512-UNIQ",
        "HT-SHA-256-UNIQ",
        "HT-SHA-512-ENDP",
        "HT-SHA-256-ENDP",
        "HT-SHA-512-NONE",
        "HT-SHA-256-NONE",
    ];
    assert_eq!(names, expected);
    assert!(!Registry::default().names().any(|name| expected.contains(&name.as_str())));
}

#[test]
fn a_token_is_used_with_its_own_mechanism_alone() {
    let everything: Vec<_> = Registry::hashed_tokens().names().cloned().collect();
    for name in &everything {
        let choice = choose(name.as_str(), &best(), Offer::from(&everything));
        if name.as_str().ends_with("UNIQ") {
            assert_eq!(choice.unwrap_err(), Skip::NothingToBindTo);
            continue;
        }
        assert_eq!(choice, Ok(name.clone()));
        let others: Vec<_> = everything.iter().filter(|other| *other != name).cloned().collect();
        assert_eq!(choose(name.as_str(), &best(), Offer::from(&others)), Err(Skip::NotOffered));
        for other in others {
            let reason = Skip::TokenOfAnother(name.clone());
            assert_eq!(reason_for(&other, issued_for(name.as_str()), &best()), reason);
        }
    }
}

#[test]
fn what_a_token_is_bound_to_must_be_there() {
    let none = Channel::encrypted();
    for (name, channel, expected) in [
        ("HT-SHA-256-EXPR", has(&[EXPORTER]), Ok(Some(EXPORTER))),
        ("HT-SHA-256-EXPR", has(&[END_POINT]), Err(Skip::NothingToBindTo)),
        ("HT-SHA-256-ENDP", has(&[END_POINT]), Ok(Some(END_POINT))),
        ("HT-SHA-256-ENDP", has(&[EXPORTER]), Err(Skip::NothingToBindTo)),
        ("HT-SHA-256-UNIQ", best(), Err(Skip::NothingToBindTo)),
        ("HT-SHA-256-NONE", best(), Ok(None)),
        ("HT-SHA-256-NONE", none.clone(), Ok(None)),
        ("HT-SHA-512-EXPR", none, Err(Skip::NothingToBindTo)),
        ("HT-SHA-256-NONE", Channel::plaintext(), Err(Skip::NeedsEncryption)),
        ("HT-SHA-256-NONE", Channel::loopback(), Err(Skip::NeedsEncryption)),
    ] {
        assert_eq!(bound_by(name, &channel, Offer::new([name])), expected, "{name} {channel:?}");
    }
    // Not even a policy for test networks sends one where others listen: it can be replayed.
    let policy = Policy::default().danger_allow_plaintext();
    let (who, offer) = (issued_for("HT-SHA-256-NONE"), Offer::new(["HT-SHA-256-NONE"]));
    let choice =
        policy.select(&Registry::hashed_tokens(), &who, &Channel::plaintext(), offer).unwrap_err();
    assert_eq!(choice.passed_over[0].reason, Skip::NeedsEncryption);
}

/// Early data can be replayed, and is there before anything of the handshake.
#[test]
fn a_token_alone_goes_in_early_data() {
    let early = best().with_client_certificate().in_early_data();
    for (name, expected) in [
        ("HT-SHA-512-ENDP", Ok(Some(END_POINT))),
        ("HT-SHA-512-NONE", Ok(None)),
        ("HT-SHA-512-EXPR", Err(Skip::NothingToBindTo)),
    ] {
        assert_eq!(bound_by(name, &early, Offer::new([name])), expected, "{name}");
    }
    let registry = Registry::default();
    let policy = Policy::default().danger_allow_plaintext();
    let offered: Vec<_> = registry.names().cloned().collect();
    for who in [
        Credentials::password("alice", "pencil"),
        Credentials::token("alice", TOKEN),
        Credentials::new("alice", Secret::None),
        Credentials::guest(Secret::None),
    ] {
        let none = policy.select(&registry, &who, &early, &offered).unwrap_err();
        assert!(none.passed_over.iter().any(|it| it.reason == Skip::EarlyData), "{none}");
    }
}

/// One that was earned by a login that is bound is bound as well.
#[test]
fn a_token_for_early_data_is_bound_to_the_certificate() {
    let (policy, plus) = (Policy::default(), "SCRAM-SHA-256-PLUS");
    let types = BindingType::ALL.map(BindingType::name);
    let login = policy.select(
        &Registry::default(),
        &Credentials::password("alice", "pencil"),
        &best(),
        Offer::new([plus]).with_channel_bindings(types),
    );
    let login = login.unwrap().in_early_data();
    let ask = |offered: &[&str]| {
        let registry = Registry::hashed_tokens();
        let name =
            policy.token_mechanism(&registry, &login, Offer::new(offered.iter().copied()), None);
        name.map(|name| name.to_string())
    };
    let all = ["HT-SHA-512-EXPR", "HT-SHA-512-ENDP", "HT-SHA-512-NONE"];
    assert_eq!(ask(&all).as_deref(), Some("HT-SHA-512-ENDP"));
    assert_eq!(ask(&[all[0], all[2]]), None);
}

/// A server may offer more mechanisms than its place behind a proxy lets it use.
#[test]
fn a_list_of_bindings_counts_where_there_is_one() {
    let offer = Offer::new(["HT-SHA-256-EXPR", "HT-SHA-256-ENDP", "HT-SHA-256-NONE"])
        .with_channel_bindings(["tls-server-end-point"]);
    for (name, expected) in [
        ("HT-SHA-256-EXPR", Err(Skip::NoCommonBinding)),
        ("HT-SHA-256-ENDP", Ok(Some(END_POINT))),
        ("HT-SHA-256-NONE", Ok(None)),
    ] {
        assert_eq!(bound_by(name, &best(), offer.clone()), expected, "{name}");
    }
}

#[test]
fn other_credentials_are_passed_over() {
    let name: MechanismName = "HT-SHA-256-EXPR".parse().unwrap();
    let secret = || Secret::HashedToken(token("HT-SHA-256-EXPR"));
    for (who, reason) in [
        (Credentials::guest(secret()), Skip::NeedsUserName),
        (Credentials::new("alice", secret()).with_authzid("bob"), Skip::HasAuthzid),
        (Credentials::password("alice", TOKEN), Skip::NeedsHashedToken),
        (Credentials::token("alice", TOKEN), Skip::NeedsHashedToken),
        (Credentials::new("alice", Secret::None), Skip::NeedsHashedToken),
    ] {
        assert_eq!(reason_for(&name, who, &best()), reason);
    }
}

/// Nor is it taken for a secret of another kind, or left aside for a login without any.
#[test]
fn a_token_opens_no_other_mechanism() {
    let policy = Policy::default();
    let registry = Registry::default();
    let offered: Vec<_> = registry.names().cloned().collect();
    for who in [
        issued_for("HT-SHA-256-EXPR"),
        Credentials::guest(Secret::HashedToken(token("HT-SHA-256-EXPR"))),
    ] {
        let channel = best().with_client_certificate();
        let choice = policy.select(&registry, &who, &channel, &offered);
        assert!(choice.is_err(), "{choice:?}");
    }
}

#[test]
fn the_policy_counts() {
    let name = || "HT-SHA-256-NONE".parse::<MechanismName>().unwrap();
    for (policy, reason) in [
        (Policy::default().deny(name()), Skip::Denied),
        (Policy::default().allow_only([MechanismName::SCRAM_SHA_1]), Skip::NotAllowed),
        (Policy::default().require_channel_binding(), Skip::NeedsChannelBinding),
        (Policy::default().minimum_priority(80), Skip::BelowMinimum { priority: 70, minimum: 80 }),
    ] {
        let who = issued_for("HT-SHA-256-NONE");
        let choice = policy.select(&Registry::hashed_tokens(), &who, &best(), &[name()]);
        assert_eq!(choice.unwrap_err().passed_over[0].reason, reason);
        let asked = ask_under(&policy, &best(), &["HT-SHA-256-NONE"], None);
        assert_eq!(asked, None, "{reason}");
    }
}

// Which mechanism to ask a token for.

#[test]
fn the_strongest_that_both_have_is_asked_for() {
    let all: Vec<_> = Registry::hashed_tokens().names().map(ToString::to_string).collect();
    let all: Vec<_> = all.iter().rev().map(String::as_str).collect();
    let plain = Channel::encrypted();
    for (channel, offered, expected) in [
        (best(), &all[..], Some("HT-SHA-512-EXPR")),
        (has(&[EXPORTER]).with_tls_version(TlsVersion::Tls12), &all, Some("HT-SHA-512-EXPR")),
        (has(&[END_POINT]), &all, Some("HT-SHA-512-ENDP")),
        (plain.clone(), &all, Some("HT-SHA-512-NONE")),
        (best(), &["HT-SHA-512-ENDP", "HT-SHA-256-EXPR"], Some("HT-SHA-256-EXPR")),
        (best(), &["HT-SHA-512-NONE", "HT-SHA-256-ENDP"], Some("HT-SHA-256-ENDP")),
        (best(), &["HT-SHA-512-UNIQ", "HT-SHA-256-NONE"], Some("HT-SHA-256-NONE")),
        (best(), &["HT-SHA-256-UNIQ", "HT-SHA3-512-EXPR", "PLAIN"], None),
        (plain, &["HT-SHA-512-EXPR", "HT-SHA-512-ENDP"], None),
        (best(), &[], None),
        (Channel::loopback(), &all, None),
        (Channel::plaintext(), &all, None),
    ] {
        let asked = ask_under(&Policy::default(), &channel, offered, None);
        assert_eq!(asked.as_deref(), expected, "{channel:?} {offered:?}");
    }
}

#[test]
fn a_token_that_is_bound_to_nothing_is_not_asked_for_by_who_is() {
    let policy = Policy::default();
    let offered = ["HT-SHA-512-NONE"];
    let bound = pin(Some("tls-exporter"));
    assert!(ask_under(&policy, &best(), &offered, None).is_some());
    assert!(ask_under(&policy, &best(), &offered, Some(&pin(None))).is_some());
    assert_eq!(ask_under(&policy, &best(), &offered, Some(&bound)), None);
    let both = ["HT-SHA-512-NONE", "HT-SHA-256-ENDP"];
    let asked = ask_under(&policy, &best(), &both, Some(&bound));
    assert_eq!(asked.as_deref(), Some("HT-SHA-256-ENDP"));
    // The login at hand is bound, and nothing is pinned yet.
    let alice = Credentials::password("alice", "secret");
    let offer = Offer::new(["SCRAM-SHA-1-PLUS"]).with_channel_bindings(["tls-exporter"]);
    let login = policy.select(&Registry::default(), &alice, &best(), offer).unwrap();
    let registry = Registry::hashed_tokens();
    assert_eq!(policy.token_mechanism(&registry, &login, Offer::new(offered), None), None);
    let asked = policy.token_mechanism(&registry, &login, Offer::new(both), None);
    assert_eq!(asked.unwrap().as_str(), "HT-SHA-256-ENDP");
}

#[test]
fn a_policys_order_is_kept() {
    let first = "HT-SHA-256-ENDP".parse().unwrap();
    let policy = Policy::default().priority(first, 90); // as much as the strongest
    let both = ["HT-SHA-256-ENDP", "HT-SHA-512-EXPR"];
    let asked = ask_under(&policy, &best(), &both, None);
    assert_eq!(asked.as_deref(), Some("HT-SHA-512-EXPR"), "of equals the one registered first");
    let policy = policy.priority("HT-SHA-256-ENDP".parse().unwrap(), 91);
    assert_eq!(ask_under(&policy, &best(), &both, None).as_deref(), Some("HT-SHA-256-ENDP"));
}

// Pins.

#[test]
fn a_login_by_a_token_leaves_no_pin() {
    let login = begun("HT-SHA-256-EXPR");
    let done = login.success(Some(&hashed("Responder", DATA))).unwrap();
    assert_eq!(done.pin(), None);
    assert!(done.keys().is_none());
    assert_eq!(done.mechanism().as_str(), "HT-SHA-256-EXPR");
    assert_eq!((done.binding(), done.proof()), (Some(EXPORTER), ServerProof::Proven));
    assert_eq!(done.encryption(), Encryption::Tls(TlsVersion::Tls13));
}

#[test]
fn a_token_must_be_bound_where_the_pin_is() {
    let bound = pin(Some("tls-exporter"));
    for (name, pinned, expected) in [
        ("HT-SHA-256-EXPR", &bound, Ok(())),
        ("HT-SHA-256-ENDP", &bound, Ok(())),
        ("HT-SHA-256-NONE", &bound, Err(Weaker::Binding { was: EXPORTER, now: None })),
        ("HT-SHA-256-NONE", &pin(None), Ok(())),
    ] {
        assert_eq!(compare(name, best(), pinned), expected, "{name}");
    }
    let older = has(&BindingType::ALL).with_tls_version(TlsVersion::Tls12);
    let (was, now) = (Encryption::Tls(TlsVersion::Tls13), Encryption::Tls(TlsVersion::Tls12));
    let weaker = Err(Weaker::Encryption { was, now });
    assert_eq!(compare("HT-SHA-256-EXPR", older, &bound), weaker);
}

fn compare(name: &str, channel: Channel, pin: &Pin) -> Result<(), Weaker> {
    let (policy, registry, who) = (Policy::default(), Registry::hashed_tokens(), issued_for(name));
    let choice = policy.select(&registry, &who, &channel, Offer::new([name])).unwrap();
    pin.check(&choice, &policy, &registry, &who)
}

// Servers.

#[test]
fn a_responder_that_is_missing() {
    for last in [None, Some(&b""[..])] {
        let login = begun("HT-SHA-256-EXPR");
        assert_eq!(refused(login.success(last), last), offence(PeerFault::SignatureMissing));
    }
}

#[test]
fn a_responder_that_is_wrong() {
    let right = hashed("Responder", DATA);
    let changed = |at: usize| {
        let mut changed = right.clone();
        changed[at] ^= 1;
        changed
    };
    for wrong in [
        changed(0),
        changed(31),
        right[1..].to_vec(),
        [&right[..], b"\0"].concat(),
        vec![0; 32],
        b"\0".to_vec(),
        hashed("Initiator", DATA), // our own, handed back
        hashed("Responder", ""),   // bound to nothing
        hashed("Responder", "what others know"),
        [b"\0\0", &right[..]].concat(), // as the later family has it
        b"\x01invalid-token".to_vec(),
    ] {
        let login = begun("HT-SHA-256-EXPR");
        let error = refused(login.success(Some(&wrong)), &wrong);
        assert_eq!(error, offence(PeerFault::SignatureWrong));
    }
    assert!(begun("HT-SHA-256-EXPR").success(Some(&right)).is_ok());
}

#[test]
fn a_challenge_has_no_place() {
    for challenge in [&b""[..], b"x", &hashed("Responder", DATA)] {
        let error = refused(begun("HT-SHA-256-EXPR").challenge(challenge), challenge);
        assert_eq!(error, offence(PeerFault::UnexpectedChallenge));
    }
}

/// A token knows one binding, so that none is left to begin anew with.
#[test]
fn a_refusal_is_the_end() {
    for condition in ["not-authorized", "credentials-expired", "temporary-auth-failure"] {
        let rejection = Rejection::new(condition);
        let error = begun("HT-SHA-256-EXPR").failure(rejection.clone()).unwrap_err();
        assert_eq!(error, Error::Rejected(Box::new(rejection)));
    }
    let rejection = Rejection::new("channel-binding-not-supported");
    let error = begun("HT-SHA-256-EXPR").failure(rejection.clone()).unwrap_err();
    let rejection = Box::new(rejection);
    assert_eq!(error, Error::BindingRefused { refused: vec![EXPORTER], rejection });
}

#[test]
fn what_cannot_be_sent() {
    let begin = |who: Credentials| {
        let registry = Registry::hashed_tokens();
        let choice =
            Policy::default().select(&registry, &who, &best(), Offer::new(["HT-SHA-256-EXPR"]));
        Exchange::begin(choice.unwrap(), who, best())
    };
    let empty = HashedToken::new("HT-SHA-256-EXPR".parse().unwrap(), "");
    let error = refused(begin(Credentials::hashed_token("user", empty)), "an empty token");
    assert_eq!(error, Error::EmptyToken);
    for name in ["", "a\0b", "\u{1f642}"] {
        let who = Credentials::hashed_token(name, token("HT-SHA-256-EXPR"));
        assert!(matches!(refused(begin(who), name), Error::UserName(_)), "{name:?}");
    }
}

// The later family.

#[test]
fn ht2_is_chosen_where_it_was_asked_for() {
    let with = Registry::hashed_tokens().with_ht2();
    let offered = ["HT-SHA-512-EXPR", "HT2-SHA-512-EXPR", "HT2-SHA-256-EXPR"];
    let asked = |registry: &Registry, offered: &[&str]| {
        ask_of(registry, &Policy::default(), &best(), offered, None).unwrap()
    };
    assert_eq!(asked(&Registry::hashed_tokens(), &offered), "HT-SHA-512-EXPR");
    assert_eq!(asked(&with, &offered), "HT2-SHA-512-EXPR");
    assert_eq!(asked(&with, &["HT-SHA-512-EXPR", "HT2-SHA-256-EXPR"]), "HT-SHA-512-EXPR");
    assert_eq!(asked(&with, &["HT-SHA-256-ENDP", "HT2-SHA-512-NONE"]), "HT-SHA-256-ENDP");
    // A token of the one is no token of the other.
    for (issued, offered) in
        [("HT-SHA-256-EXPR", "HT2-SHA-256-EXPR"), ("HT2-SHA-256-EXPR", "HT-SHA-256-EXPR")]
    {
        let who = issued_for(issued);
        let none = Policy::default().select(&with, &who, &best(), Offer::new([offered]));
        let reason = Skip::TokenOfAnother(issued.parse().unwrap());
        assert_eq!(none.unwrap_err().passed_over[0].reason, reason);
    }
}

#[test]
fn an_ht2_responder_that_is_missing_or_wrong() {
    let right = hashed("Responder", DATA);
    let missing = PeerFault::SignatureMissing;
    let endless = PeerFault::Malformed("its values do not end");
    let neither = PeerFault::Malformed("it begins with neither 0 nor 1");
    let no_pairs = PeerFault::Malformed("its values are not pairs of words");
    for (last, because) in [
        (Vec::new(), missing.clone()),
        (b"\0\0".to_vec(), missing),
        (b"\0".to_vec(), endless.clone()),
        (b"\0a=b".to_vec(), endless),
        (b"\x02\0".to_vec(), neither.clone()),
        (right.clone(), neither), // as the first family has it
        ([b"\0no pair\0", &right[..]].concat(), no_pairs),
        ([b"\0a=b\0", &right[..]].concat(), PeerFault::SignatureWrong), // values not signed
        ([b"\0\0\0", &right[..]].concat(), PeerFault::SignatureWrong),
        ([b"\0\0", &right[1..]].concat(), PeerFault::SignatureWrong),
        ([b"\0\0", &hashed("Initiator", DATA)[..]].concat(), PeerFault::SignatureWrong),
        ([b"\0\0", &hashed("Responder", "")[..]].concat(), PeerFault::SignatureWrong),
    ] {
        let error = refused(begun_ht2().success(Some(&last)), &last);
        assert_eq!(error, fault(&ht2(), because), "{last:?}");
    }
    let error = refused(begun_ht2().success(None), "nothing");
    assert_eq!(error, fault(&ht2(), PeerFault::SignatureMissing));
    let with_values = hashed("Responder", &format!("{DATA}a=b,c=d"));
    for last in [[b"\0\0", &right[..]].concat(), [b"\0a=b,c=d\0", &with_values[..]].concat()] {
        assert_eq!(begun_ht2().success(Some(&last)).unwrap().proof(), ServerProof::Proven);
    }
}

#[test]
fn an_ht2_failure_is_a_refusal_that_says_why() {
    for (challenge, why) in [
        (&b"\x01unknown-user"[..], "unknown-user"),
        (b"\x01invalid-token", "invalid-token"),
        (b"\x01other-error", "other-error"),
        (b"\x01a word of the server's own", "other-error"),
        (b"\x01", "other-error"),
    ] {
        let refusing = || {
            let (login, sent) = servers_move(begun_ht2().challenge(challenge).unwrap());
            assert_eq!(sent.unwrap().as_bytes(), b"");
            login
        };
        let error = refusing().failure(Rejection::new("not-authorized")).unwrap_err();
        let rejection = Rejection::new("not-authorized").with_text(why, None);
        assert_eq!(error, Error::Rejected(Box::new(rejection)));
        let told = Rejection::new("not-authorized").with_text("No!", Some("en".to_owned()));
        let error = refusing().failure(told.clone()).unwrap_err();
        assert_eq!(error, Error::Rejected(Box::new(told)));
        // What comes of it is a failure, and nothing else.
        let right = [b"\0\0", &hashed("Responder", DATA)[..]].concat();
        for last in [None, Some(&right[..]), Some(challenge)] {
            let error = refused(refusing().success(last), last);
            assert_eq!(error, fault(&ht2(), PeerFault::SuccessAfterFailure));
        }
        let error = refused(refusing().challenge(challenge), "a second one");
        assert_eq!(error, fault(&ht2(), PeerFault::UnexpectedChallenge));
        let error = refused(begun_ht2().success(Some(challenge)), challenge);
        assert_eq!(error, fault(&ht2(), PeerFault::SuccessAfterFailure));
    }
}

#[test]
fn an_ht2_challenge_that_is_no_failure() {
    let right = [b"\0\0", &hashed("Responder", DATA)[..]].concat();
    let neither = PeerFault::Malformed("it begins with neither 0 nor 1");
    for (challenge, because) in [
        (&right[..], PeerFault::UnexpectedChallenge),
        (b"", neither.clone()),
        (b"invalid-token", neither),
        (b"\0", PeerFault::Malformed("its values do not end")),
    ] {
        let error = refused(begun_ht2().challenge(challenge), challenge);
        assert_eq!(error, fault(&ht2(), because));
    }
}

/// A login that waits for the server's word.
fn begun(name: &str) -> Exchange {
    let (login, sent) = begin(name);
    assert_eq!(sent, [b"user\0", &hashed("Initiator", DATA)[..]].concat());
    login
}

fn begun_ht2() -> Exchange {
    let (login, sent) = begin(ht2().as_str());
    assert_eq!(sent, [b"user\0\0", &hashed("Initiator", DATA)[..]].concat());
    login
}

fn ht2() -> MechanismName {
    "HT2-SHA-256-EXPR".parse().unwrap()
}

fn begin(name: &str) -> (Exchange, Vec<u8>) {
    let (who, channel) = (issued_for(name), best());
    let registry = Registry::hashed_tokens().with_ht2();
    let choice = Policy::default().select(&registry, &who, &channel, Offer::new([name])).unwrap();
    let (login, sent) = servers_move(Exchange::begin(choice, who, channel).unwrap());
    (login, sent.unwrap().as_bytes().to_vec())
}

fn hashed(side: &str, rest: &str) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(side.as_bytes());
    mac.update(rest.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn offence(because: PeerFault) -> Error {
    fault(&"HT-SHA-256-EXPR".parse().unwrap(), because)
}

fn token(mechanism: &str) -> HashedToken {
    HashedToken::new(mechanism.parse().unwrap(), TOKEN)
}

fn issued_for(mechanism: &str) -> Credentials {
    Credentials::hashed_token("user", token(mechanism))
}

fn has(kinds: &[BindingType]) -> Channel {
    kinds
        .iter()
        .fold(Channel::encrypted(), |channel, kind| channel.with_binding(Binding::new(*kind, DATA)))
}

fn best() -> Channel {
    has(&BindingType::ALL).with_tls_version(TlsVersion::Tls13)
}

fn pin(binding: Option<&str>) -> Pin {
    let binding = binding.map_or_else(|| "null".to_owned(), |name| format!("{name:?}"));
    let json = format!(
        "{{\"version\":1,\"mechanism\":\"SCRAM-SHA-512-PLUS\",\"rank\":82,\
         \"binding\":{binding},\"encryption\":\"TLS 1.3\"}}"
    );
    Pin::from_json(&json).unwrap()
}

/// What is chosen for a token that was issued for `name`, or why that one is not.
fn choose(name: &str, channel: &Channel, offer: Offer) -> Result<MechanismName, Skip> {
    let who = issued_for(name);
    match Policy::default().select(&Registry::hashed_tokens(), &who, channel, offer) {
        Ok(selection) => Ok(selection.mechanism().clone()),
        Err(none) => {
            let found = none.passed_over.into_iter().find(|it| it.mechanism.as_str() == name);
            Err(found.unwrap().reason)
        }
    }
}

fn bound_by(name: &str, channel: &Channel, offer: Offer) -> Result<Option<BindingType>, Skip> {
    let who = issued_for(name);
    choose(name, channel, offer.clone())?;
    let choice = Policy::default().select(&Registry::hashed_tokens(), &who, channel, offer);
    Ok(choice.unwrap().binding())
}

fn reason_for(name: &MechanismName, who: Credentials, channel: &Channel) -> Skip {
    let offer = Offer::new([name.as_str()]);
    let choice = Policy::default().select(&Registry::hashed_tokens(), &who, channel, offer);
    choice.unwrap_err().passed_over.swap_remove(0).reason
}

/// What is asked for along with a login by PLAIN.
fn ask_under(
    policy: &Policy,
    channel: &Channel,
    offered: &[&str],
    pin: Option<&Pin>,
) -> Option<String> {
    ask_of(&Registry::hashed_tokens(), policy, channel, offered, pin)
}

fn ask_of(
    registry: &Registry,
    policy: &Policy,
    channel: &Channel,
    offered: &[&str],
    pin: Option<&Pin>,
) -> Option<String> {
    let alice = Credentials::password("alice", "secret");
    let everyone = Policy::default().danger_allow_plaintext();
    let login =
        everyone.select(&Registry::default(), &alice, channel, Offer::new(["PLAIN"])).unwrap();
    let offer = Offer::new(offered.iter().copied());
    let asked = policy.token_mechanism(registry, &login, offer, pin);
    asked.map(|name| name.to_string())
}
