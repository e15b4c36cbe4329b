//! Upgrade tasks (XEP-0480): what is computed, and when nothing is.

mod support;

use std::num::NonZeroU32;

use epode_sasl::{
    Answer, Binding, BindingType, Channel, Continued, Credentials, Exchange, HashedToken,
    MechanismName, Offer, PeerFault, Policy, Question, Registry, Secret, SecretKind, Selection,
    Turn,
    scram::{Hash, ScramKeys, UpgradeRefused, UpgradeTask},
};

use crate::support::{
    derive, fault, published, refused, registry_with_nonce, server_signature, servers_move,
};

const PLUS: MechanismName = MechanismName::SCRAM_SHA_1_PLUS;
const SALT: &[u8] = b"A_SXCRXQ6sek8bf_Z";

/// By the hashlib of Python.
const SALTED: [(&str, &str); 3] = [
    ("UPGR-SCRAM-SHA-256", "43c69b2b75885f9d34039fbef330da9976d95a9a1781633075728ef5e14a93cc"),
    (
        "UPGR-SCRAM-SHA-384",
        "675e0e3ac33ecc8f12f81747ea11c175de9f6d856f687603086000207136408a342f72b0f7853fe5c68704835cd902e5",
    ),
    (
        "UPGR-SCRAM-SHA-512",
        "fe7ffac11c006697e583be8ccc58c5b6d653de28ef3a67b29951e1a7074b746b02d9c42927a67b6310e8efc49793393dd84ceba7907f293ebbc053a9289e10eb",
    ),
];

// What is computed.

#[test]
fn the_salted_password_is_computed_for_each_hash() {
    let login = continued(pencil());
    for (name, salted) in SALTED {
        let task: UpgradeTask = name.parse().unwrap();
        let derivation = login.upgrade(task, SALT.to_vec(), 4096).unwrap();
        assert_eq!((derivation.hash(), derivation.iterations().get()), (task.hash(), 4096));
        let keys = derivation.run();
        assert_eq!(hex(keys.salted_password().unwrap()), salted, "{name}");
    }
    let done = login.success();
    assert_eq!((done.mechanism(), done.binding()), (&PLUS, Some(BindingType::TlsExporter)));
    assert!(done.keys().is_some());
    assert_eq!(done.pin().unwrap().mechanism(), &PLUS);
}

#[test]
fn a_password_that_was_asked_for_will_do() {
    let who = Credentials::ask("user", SecretKind::Password);
    let login = continued(who);
    assert!(login.upgrade(sha_256(), SALT.to_vec(), 4096).is_ok());
}

#[test]
fn only_keys_that_were_just_derived_have_the_salted_password() {
    let salted = [7; 20];
    let keys = ScramKeys::from_salted_password(Hash::Sha1, &salted, SALT.to_vec(), NonZeroU32::MIN);
    assert_eq!(keys.salted_password(), Some(&salted[..]));
    let read = ScramKeys::from_json(&keys.to_json()).unwrap();
    assert_eq!(read.salted_password(), None);
    assert_eq!(read.to_json(), keys.to_json());
}

// When nothing is.

#[test]
fn a_login_that_is_not_bound_upgrades_nothing() {
    let login = login(pencil(), &MechanismName::SCRAM_SHA_1);
    let (login, last) = servers_move(derive(login.challenge(published::SERVER_FIRST.as_bytes())));
    let last = String::from_utf8(last.unwrap().as_bytes().to_vec()).unwrap();
    let login = login.proceed(Some(server_signature(&last).as_bytes())).unwrap();
    let refusal = login.upgrade(sha_256(), SALT.to_vec(), 4096).unwrap_err();
    assert_eq!(refusal, UpgradeRefused::NotBound);
}

#[test]
fn keys_and_tokens_are_no_password() {
    let keys = ScramKeys::from_json(published::KEYS).unwrap();
    let login = continued(Credentials::keys("user", keys));
    let refusal = login.upgrade(sha_256(), SALT.to_vec(), 4096).unwrap_err();
    assert_eq!(refusal, UpgradeRefused::NoPassword);
}

#[test]
fn an_upgrade_leads_upwards() {
    let login = continued(pencil());
    let down: UpgradeTask = "UPGR-SCRAM-SHA-1".parse().unwrap();
    let refusal = login.upgrade(down, SALT.to_vec(), 4096).unwrap_err();
    assert_eq!(refusal, UpgradeRefused::NotStronger { has: Hash::Sha1, wants: Hash::Sha1 });
}

#[test]
fn terms_out_of_bounds_are_refused_before_any_work() {
    let login = continued(pencil());
    let count = |found| PeerFault::IterationsOutOfRange { allowed: 4096..=1_000_000, found };
    for (salt, iterations, because) in [
        (vec![], 4096, PeerFault::SaltEmpty),
        (vec![0; 1025], 4096, PeerFault::SaltTooLong { limit: 1024, found: 1025 }),
        (SALT.to_vec(), 0, count(0)),
        (SALT.to_vec(), 4095, count(4095)),
        (SALT.to_vec(), 1_000_001, count(1_000_001)),
        (SALT.to_vec(), (1 << 32) + 4096, count((1 << 32) + 4096)),
    ] {
        let refusal = login.upgrade(sha_256(), salt, iterations).unwrap_err();
        assert_eq!(refusal, UpgradeRefused::Terms(because));
    }
}

#[test]
fn a_server_that_did_not_prove_itself_gets_nothing() {
    for (last, because) in [
        (None, PeerFault::SignatureMissing),
        (Some(&b""[..]), PeerFault::SignatureMissing),
        (Some(b"v=AAAA"), PeerFault::SignatureWrong),
    ] {
        let error = refused(at_final(pencil()).0.proceed(last), last);
        assert_eq!(error, fault(&PLUS, because));
    }
    let error = refused(login(pencil(), &PLUS).proceed(None), "before the challenge");
    assert_eq!(error, fault(&PLUS, PeerFault::SuccessTooSoon));
}

// Names, and which to ask for.

#[test]
fn names_of_tasks() {
    for hash in Hash::ALL {
        let name = format!("UPGR-SCRAM-{hash}");
        let task: UpgradeTask = name.parse().unwrap();
        assert_eq!((task.hash(), task.to_string()), (hash, name));
    }
    for name in ["", "UPGR-", "SCRAM-SHA-256", "UPGR-SCRAM-SHA-256-PLUS", "upgr-scram-sha-256"] {
        assert_eq!(name.parse::<UpgradeTask>(), Err(UpgradeRefused::UnknownTask));
    }
}

#[test]
fn what_is_asked_for() {
    let tasks = ["UPGR-SCRAM-SHA-1", "UPGR-SCRAM-SHA-256", "UPGR-SCRAM-SHA-512", "UPGR-X"];
    let both = ["UPGR-SCRAM-SHA-512", "UPGR-SCRAM-SHA-256"];
    let ask = || Credentials::ask("user", SecretKind::Password);
    let keys = || Credentials::keys("user", ScramKeys::from_json(published::KEYS).unwrap());
    let unbound = MechanismName::SCRAM_SHA_1;
    for (who, name, expected) in [
        (pencil(), &PLUS, &both[..]),
        (ask(), &PLUS, &both),
        (pencil(), &MechanismName::SCRAM_SHA_256_PLUS, &both[..1]),
        (pencil(), &MechanismName::SCRAM_SHA_512_PLUS, &[]),
        (pencil(), &unbound, &[]),
        (pencil(), &MechanismName::PLAIN, &[]),
        (keys(), &PLUS, &[]),
    ] {
        let choice = select(&who, name);
        let wanted = UpgradeTask::wanted(&choice, &who, tasks);
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        assert_eq!(wanted, expected, "{name}");
    }
    let token = HashedToken::new("HT-SHA-256-EXPR".parse().unwrap(), "a token");
    let who = Credentials::hashed_token("user", token);
    let choice = Policy::default()
        .select(&Registry::hashed_tokens(), &who, &channel(), Offer::new(["HT-SHA-256-EXPR"]))
        .unwrap();
    assert_eq!(choice.binding(), Some(BindingType::TlsExporter));
    assert_eq!(UpgradeTask::wanted(&choice, &who, tasks), []);
}

#[test]
fn the_password_is_not_shown() {
    let login = continued(pencil());
    assert!(!format!("{login:?}").contains("pencil"));
}

/// A login over the published conversation, bound to the channel, after the server's signature.
fn continued(who: Credentials) -> Continued {
    let (login, last) = at_final(who);
    login.proceed(Some(server_signature(&last).as_bytes())).unwrap()
}

fn at_final(who: Credentials) -> (Exchange, String) {
    let turn = login(who, &PLUS).challenge(published::SERVER_FIRST.as_bytes()).unwrap();
    let turn = match turn {
        Turn::Question(pending, Question::Secret(SecretKind::Password)) => {
            derive(pending.answer(Answer::Secret(Secret::password("pencil"))))
        }
        Turn::Question(..) => derive(Ok(turn)),
        turn @ Turn::Server(..) => turn, // by saved keys
    };
    let (login, last) = servers_move(turn);
    (login, String::from_utf8(last.unwrap().as_bytes().to_vec()).unwrap())
}

fn login(who: Credentials, name: &MechanismName) -> Exchange {
    servers_move(Exchange::begin(select(&who, name), who, channel()).unwrap()).0
}

fn select(who: &Credentials, name: &MechanismName) -> Selection {
    let mut offer = Offer::new([name.as_str()]);
    if offer.has_plus() {
        offer = offer.with_channel_bindings(["tls-exporter"]);
    }
    Policy::default()
        .select(&registry_with_nonce(published::NONCE), who, &channel(), offer)
        .unwrap()
}

fn channel() -> Channel {
    Channel::encrypted().with_binding(Binding::new(BindingType::TlsExporter, "data"))
}

fn pencil() -> Credentials {
    Credentials::password("user", "pencil")
}

fn sha_256() -> UpgradeTask {
    "UPGR-SCRAM-SHA-256".parse().unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
