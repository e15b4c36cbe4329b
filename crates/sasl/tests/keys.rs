//! Keys kept from one SCRAM login for the next: their JSON, and logins with them.
//! That no key is ever shown is the subject of `redaction.rs`.

mod support;

use std::num::NonZeroU32;

use base64ct::{Base64, Encoding};
use epode_sasl::{
    Answer, Credentials, Error, Exchange, MechanismName, Pending, Policy, PreparationError,
    Question, Registry, Secret, SecretKind, Skip, Turn,
    json_object::Unreadable,
    scram::{Derivation, Hash, KeysError, ScramKeys},
};

use crate::support::{
    at_server_final, at_server_first, best_channel, derive, derive_with, published, refused,
    servers_move,
};

// The JSON.

#[test]
fn the_json_has_the_shape_of_the_page() {
    for (hash, key) in
        [(Hash::Sha1, 28), (Hash::Sha256, 44), (Hash::Sha384, 64), (Hash::Sha512, 88)]
    {
        let count = NonZeroU32::new(5000).unwrap();
        let keys = ScramKeys::from_salted_password(hash, b"x", b"salt".to_vec(), count);
        let json = keys.to_json();
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        let (ck, sk) = (value["ck"].as_str().unwrap(), value["sk"].as_str().unwrap());
        assert_eq!((ck.len(), sk.len()), (key, key));
        let name = hash.name();
        let expected =
            format!(r#"{{"name":"{name}","ck":"{ck}","sk":"{sk}","iter":5000,"salt":"c2FsdA=="}}"#);
        assert_eq!(*json, expected);
        assert_eq!(*ScramKeys::from_json(&json).unwrap().to_json(), expected);
    }
}

#[test]
fn order_space_and_unknown_members_mean_nothing() {
    let json = r#" { "salt":"QSXCR+Q6sek8bf92", "later":{"a":[1]}, "iter":4096, "name":"SHA-1",
        "sk":"D+CSWLOshSulAsxiupA+qs2/fTE=", "ck":"4jTEe/bDZpbdbYUrmaqiuiZVVyg=" } "#;
    assert_eq!(*ScramKeys::from_json(json).unwrap().to_json(), published::KEYS);
}

#[test]
fn what_is_no_json_of_keys_says_where() {
    let at = |line, column| KeysError::Json(Unreadable { line, column });
    for (json, error) in [
        ("", at(1, 0)),
        ("{", at(1, 1)),
        ("{}", at(1, 2)),
        ("[]", at(1, 1)),
        ("[\"SHA-1\",\"\",\"\",4096,\"\"]", at(1, 1)),
        ("null", at(1, 4)),
        ("\"pencil\"", at(1, 8)),
        ("{\n\"name\": SHA-1", at(2, 9)),
    ] {
        assert_eq!(ScramKeys::from_json(json).unwrap_err(), error, "{json}");
    }
    let json = published::KEYS;
    for (from, to) in [
        ("\"name\"", "\"Name\""),
        ("\"ck\"", "\"c\""),
        ("\"sk\"", "\"\""),
        ("\"iter\"", "\"i\""),
        ("\"salt\"", "\"s\""),
        ("4096", "\"4096\""),
        ("4096", "-1"),
        ("4096", "4096.5"),
        ("4096", "4294967296"),
        ("\"SHA-1\"", "1"),
        ("\"SHA-1\"", "null"),
        ("\"iter\"", "\"iter\":1,\"iter\""),
        ("}", "}}"),
        ("}", "},"),
    ] {
        let broken = json.replacen(from, to, 1);
        assert_ne!(broken, json);
        let error = ScramKeys::from_json(&broken).unwrap_err();
        assert!(matches!(error, KeysError::Json(Unreadable { line: 1, .. })), "{broken}: {error}");
    }
    for end in 0..json.len() {
        let error = ScramKeys::from_json(&json[..end]).unwrap_err();
        assert_eq!(error, at(1, end), "cut off after {end} bytes");
    }
}

#[test]
fn each_member_is_checked() {
    let short_key = |member, found| KeysError::Length { member, expected: 20, found };
    let (ck, sk, salt) =
        ("4jTEe/bDZpbdbYUrmaqiuiZVVyg=", "D+CSWLOshSulAsxiupA+qs2/fTE=", "QSXCR+Q6sek8bf92");
    for (from, to, error) in [
        ("SHA-1", "SHA-2", KeysError::UnknownHash),
        ("SHA-1", "sha-1", KeysError::UnknownHash),
        ("SHA-1", "SCRAM-SHA-1", KeysError::UnknownHash),
        ("SHA-1", "", KeysError::UnknownHash),
        ("SHA-1", "SHA-256", KeysError::Length { member: "ck", expected: 32, found: 20 }),
        (ck, "4jTEe/bDZpbdbYUrmaqiuiZVVyg", KeysError::Base64("ck")),
        (ck, "4jTEe/bDZpbdbYUrmaqiuiZVVyh=", KeysError::Base64("ck")),
        (ck, "e234c47bf6c36696dd6d852b99aaa2ba26555728", short_key("ck", 30)), // in hex
        (ck, "", short_key("ck", 0)),
        (ck, "4jTEe/bDZpbdbYUrmaqiug==", short_key("ck", 16)),
        (sk, "*", KeysError::Base64("sk")),
        (sk, "D+CSWLOshSulAsxiupA+qg==", short_key("sk", 16)),
        ("4096", "0", KeysError::NoIterations),
        (salt, "", KeysError::NoSalt),
        (salt, "QSXCR+Q6sek8bf9", KeysError::Base64("salt")),
        (salt, "QSXCR-Q6sek8bf92", KeysError::Base64("salt")),
    ] {
        let broken = published::KEYS.replacen(from, to, 1);
        assert_ne!(broken, published::KEYS);
        assert_eq!(ScramKeys::from_json(&broken).unwrap_err(), error, "{broken}");
    }
}

// Logins.

#[test]
fn a_login_leaves_keys_and_the_next_one_derives_nothing() {
    let authenticated = at_server_final().success(Some(published::SERVER_FINAL.as_bytes()));
    let authenticated = authenticated.unwrap();
    assert_eq!(*authenticated.keys().unwrap().to_json(), published::KEYS);
    let keys = authenticated.into_keys().unwrap();

    let login = at_server_first(&Policy::default(), Credentials::keys("user", keys));
    let (login, sent) = servers_move(login.challenge(published::SERVER_FIRST.as_bytes()).unwrap());
    assert_eq!(sent.unwrap().as_bytes(), published::CLIENT_FINAL.as_bytes());
    let authenticated = login.success(Some(published::SERVER_FINAL.as_bytes())).unwrap();
    assert_eq!(*authenticated.keys().unwrap().to_json(), published::KEYS);
}

#[test]
fn a_login_that_fails_leaves_none() {
    let login = at_server_final();
    assert!(login.success(Some(b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=")).is_err());
    for name in [MechanismName::PLAIN, MechanismName::EXTERNAL] {
        let who = Credentials::password("user", "pencil");
        let (login, _) = servers_move(support::begin(&name, who).unwrap());
        assert!(login.success(None).unwrap().into_keys().is_none(), "{name}");
    }
}

#[test]
fn stale_keys_with_nobody_to_ask() {
    for stale in stale() {
        let who = Credentials::keys("user", stale);
        let login = at_server_first(&Policy::default(), who);
        let error = refused(login.challenge(published::SERVER_FIRST.as_bytes()), "stale keys");
        assert_eq!(error, stale_keys());
    }
}

/// One question, and the login goes on with the password, to new keys.
#[test]
fn stale_keys_with_somebody_to_ask() {
    for stale in stale() {
        let login = ask_because_of(stale);
        let turn = login.answer(Answer::Secret(Secret::password("pencil")));
        let (login, sent) = servers_move(derive(turn));
        assert_eq!(sent.unwrap().as_bytes(), published::CLIENT_FINAL.as_bytes());
        let authenticated = login.success(Some(published::SERVER_FINAL.as_bytes())).unwrap();
        assert_eq!(*authenticated.keys().unwrap().to_json(), published::KEYS);
    }
}

#[test]
fn stale_keys_and_a_refusal() {
    for stale in stale() {
        let error = ask_because_of(stale).answer(Answer::Refuse("not now".to_owned()));
        assert_eq!(refused(error, "a refusal"), stale_keys());
    }
}

/// Nobody is asked where the password is at hand, and the server has to prove itself as ever.
#[test]
fn stale_keys_of_a_password_that_is_known() {
    for stale in stale() {
        let begin = || {
            let who = Credentials::keys("user", stale.clone())
                .with_password_of_keys("pencil".to_owned().into())
                .with_someone_to_ask();
            let login = at_server_first(&Policy::default(), who);
            let turn = login.challenge(published::SERVER_FIRST.as_bytes());
            servers_move(derive(turn))
        };
        let (login, sent) = begin();
        assert_eq!(sent.unwrap().as_bytes(), published::CLIENT_FINAL.as_bytes());
        let authenticated = login.success(Some(published::SERVER_FINAL.as_bytes())).unwrap();
        assert_eq!(*authenticated.keys().unwrap().to_json(), published::KEYS);
        assert!(begin().0.success(None).is_err());
        assert!(begin().0.success(Some(b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=")).is_err());
    }
}

/// The password is there for no weaker login than one by the keys.
#[test]
fn a_password_of_keys_is_for_their_hash_and_longer_ones() {
    let select = |hash, offered: MechanismName| {
        let count = NonZeroU32::new(4096).unwrap();
        let keys = ScramKeys::from_salted_password(hash, b"x", b"salt".to_vec(), count);
        let who = Credentials::keys("user", keys).with_password_of_keys("pencil".to_owned().into());
        let offered = [offered];
        Policy::default().select(&Registry::default(), &who, &best_channel(), &offered)
    };
    for hash in Hash::ALL {
        let refusal = select(hash, MechanismName::PLAIN).unwrap_err();
        assert_eq!(refusal.passed_over[0].reason, Skip::NeedsSecret(SecretKind::Password));
        for offered in Hash::ALL {
            match select(hash, offered.mechanism()) {
                Ok(_) => assert!(offered.output_length() >= hash.output_length()),
                Err(refusal) => {
                    assert!(offered.output_length() < hash.output_length());
                    assert_eq!(refusal.passed_over[0].reason, Skip::KeysOfAnotherHash(hash));
                }
            }
        }
    }
}

/// Keys of another hash are for another mechanism, even where a person could be asked, and PLAIN
/// never has a use for keys.
#[test]
fn keys_of_another_hash_are_not_used() {
    for who in [keys(), keys().with_someone_to_ask()] {
        let offered = [
            MechanismName::PLAIN,
            MechanismName::OAUTHBEARER,
            MechanismName::SCRAM_SHA_256,
            MechanismName::SCRAM_SHA_512,
        ];
        let policy = Policy::default();
        let refusal = policy.select(&Registry::default(), &who, &best_channel(), &offered);
        let refusal = refusal.unwrap_err();
        let reasons: Vec<_> =
            refusal.passed_over[..4].iter().map(|passed| passed.reason.clone()).collect();
        assert_eq!(
            reasons,
            [
                Skip::NeedsSecret(SecretKind::Password),
                Skip::NeedsSecret(SecretKind::Token),
                Skip::KeysOfAnotherHash(Hash::Sha1),
                Skip::KeysOfAnotherHash(Hash::Sha1),
            ]
        );
        assert!(!refusal.is_policy());
    }
}

/// Credentials that were not those of the selection cannot smuggle keys past the hash either.
#[test]
fn keys_that_come_after_the_selection_do_not_fit() {
    let offered = [MechanismName::SCRAM_SHA_256];
    let password = Credentials::password("user", "pencil");
    let registry = support::registry_with_nonce(published::NONCE);
    let selection =
        Policy::default().select(&registry, &password, &best_channel(), &offered).unwrap();
    let turn = Exchange::begin(selection, keys(), best_channel()).unwrap();
    let error = refused(
        servers_move(turn).0.challenge(published::SERVER_FIRST.as_bytes()),
        "keys for SHA-1",
    );
    assert_eq!(error, stale_keys());
}

/// What a platform with a PBKDF2 of its own answers with is as good.
#[test]
fn keys_from_a_salted_password() {
    let salted = [
        0x1d, 0x96, 0xee, 0x3a, 0x52, 0x9b, 0x5a, 0x5f, 0x9e, 0x47, 0xc0, 0x1f, 0x22, 0x9a, 0x2c,
        0xb8, 0xa6, 0xe1, 0x5f, 0x7d,
    ];
    let login = at_server_first(&Policy::default(), Credentials::password("user", "pencil"));
    let turn = derive_with(login.challenge(published::SERVER_FIRST.as_bytes()), |derivation| {
        assert_eq!((derivation.hash(), derivation.password()), (Hash::Sha1, "pencil"));
        let (salt, count) = (derivation.salt().to_vec(), derivation.iterations());
        ScramKeys::from_salted_password(derivation.hash(), &salted, salt, count)
    });
    let (login, sent) = servers_move(turn);
    assert_eq!(sent.unwrap().as_bytes(), published::CLIENT_FINAL.as_bytes());
    assert!(login.success(Some(published::SERVER_FINAL.as_bytes())).is_ok());
}

fn keys() -> Credentials {
    Credentials::keys("user", ScramKeys::from_json(published::KEYS).unwrap())
}

/// The published keys, as they would be for another salt, another count, and both.
fn stale() -> [ScramKeys; 3] {
    let (salt, other_salt) = ("QSXCR+Q6sek8bf92", "QSXCR+Q6sek8bf93");
    [
        published::KEYS.replace(salt, other_salt),
        published::KEYS.replace("4096", "10000"),
        published::KEYS.replace(salt, other_salt).replace("4096", "10000"),
    ]
    .map(|json| ScramKeys::from_json(&json).unwrap())
}

fn stale_keys() -> Error {
    Error::StaleKeys { iterations: NonZeroU32::new(4096).unwrap() }
}

/// A login that asks for the password, since these keys do not fit.
fn ask_because_of(stale: ScramKeys) -> Pending {
    let who = Credentials::keys("user", stale).with_someone_to_ask();
    let login = at_server_first(&Policy::default(), who);
    match login.challenge(published::SERVER_FIRST.as_bytes()).unwrap() {
        Turn::Question(login, Question::Secret(SecretKind::Password)) => login,
        other => panic!("the password is to be asked for, but {other:?}"),
    }
}

// Keys without a login.

/// The example of RFC 5802, section 5.
#[test]
fn the_keys_are_those_of_a_login() {
    let salt = Base64::decode_vec("QSXCR+Q6sek8bf92").unwrap();
    let count = NonZeroU32::new(4096).unwrap();
    let keys = Derivation::prepared(Hash::Sha1, "pencil", salt, count).unwrap().run();
    assert_eq!(
        *keys.to_json(),
        r#"{"name":"SHA-1","ck":"4jTEe/bDZpbdbYUrmaqiuiZVVyg=","sk":"D+CSWLOshSulAsxiupA+qs2/fTE=","iter":4096,"salt":"QSXCR+Q6sek8bf92"}"#
    );
}

#[test]
fn passwords_are_prepared_as_for_a_login() {
    let prepared =
        |text: &str| Derivation::prepared(Hash::Sha256, text, b"salt".to_vec(), NonZeroU32::MIN);
    let derive = |text: &str| prepared(text).unwrap().run();
    let (roman, letters) = (derive("\u{2168}"), derive("IX"));
    assert_eq!(*roman.to_json(), *letters.to_json());
    let refused = |text: &str| prepared(text).unwrap_err();
    assert_eq!(refused(""), PreparationError::Empty);
    assert_eq!(refused("a\tb"), PreparationError::Prohibited);
    assert_eq!(refused("\u{1f600}"), PreparationError::Unassigned);
}
