//! Servers that break the rules, one offence after the other: the exact error, nothing sent and
//! nothing asked. What a second success would look like does not compile; the documentation of
//! `Exchange::success` shows it, and a doctest holds it to that.

mod support;

use std::sync::Arc;

use epode_sasl::{
    Answer, Context, Credentials, Error, Limits, Mechanism, MechanismFactory, MechanismName,
    PeerFault, Policy, PreparationError, Question, Registry, Rejection, Response, Secret,
    SecretKind, ServerProof, Skip, Step, Turn,
    scram::{Hash, ScramKeys},
};

use crate::support::{
    at_server_final, at_server_first, begin, fault, published, refused, servers_move,
};

const SHA_1: MechanismName = MechanismName::SCRAM_SHA_1;

// Success that is not one.

#[test]
fn success_before_the_challenge() {
    for hash in Hash::ALL {
        for last in [None, Some(""), Some(published::SERVER_FINAL), Some("v=")] {
            let turn = begin(&hash.mechanism(), pencil()).unwrap();
            let error = refused(servers_move(turn).0.success(last.map(str::as_bytes)), last);
            assert_eq!(error, fault(&hash.mechanism(), PeerFault::SuccessTooSoon));
        }
    }
}

#[test]
fn success_without_the_signature() {
    for last in [None, Some("")] {
        let error = refused(at_server_final().success(last.map(str::as_bytes)), last);
        assert_eq!(error, fault(&SHA_1, PeerFault::SignatureMissing));
    }
    for (last, place) in [
        ("v=", "an attribute's value is empty or has a NUL"),
        ("v", "an attribute without ="),
        ("=", "an attribute's name is not one letter"),
        ("x=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "neither v= nor e= is first"),
        ("x=1,v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "neither v= nor e= is first"),
        ("V=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "neither v= nor e= is first"),
        (" v=rmF9pqV8S7suAoZWja4dJRkFsKQ=", "an attribute's name is not one letter"),
        (published::SERVER_FIRST, "neither v= nor e= is first"),
    ] {
        assert_final_refused(last, PeerFault::Malformed(place));
    }
}

#[test]
fn a_wrong_signature() {
    for last in [
        "v=smF9pqV8S7suAoZWja4dJRkFsKQ=", // the first bit
        "v=rmF9pqV8S7suAoZWja4dJRkFsKU=", // the last
        "v=AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "v=rmF9pqV8S7suAoZWja4dJRkFsA==", // too short by a byte
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQA", // too long by a byte
        "v=rg==",
        "v=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", // our own proof, handed back
        "v=D+CSWLOshSulAsxiupA+qs2/fTE=", // the server's key itself
    ] {
        assert_final_refused(last, PeerFault::SignatureWrong);
    }
    for last in [
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ",   // no padding
        "v=rmF9pqV8S7suAoZWja4dJRkFsKR=",  // bits that belong to nothing
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ==", // too much padding
        "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=\n",
        "v= rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        "v=rmF9pqV8S7suAoZWja4dJRkF*KQ=",
    ] {
        assert_final_refused(last, PeerFault::Malformed("the signature is not base64"));
    }
}

#[test]
fn a_final_message_with_attributes_that_must_not_be() {
    let right = published::SERVER_FINAL;
    let again = format!("{right},{right}");
    assert_final_refused(&again, PeerFault::DuplicateAttribute('v'));
    assert_final_refused(&format!("{right},x=1,x=1"), PeerFault::DuplicateAttribute('x'));
    assert_final_refused(&format!("{right},m=1"), PeerFault::MandatoryExtension);
    assert_final_refused(&format!("m=1,{right}"), PeerFault::MandatoryExtension);
    assert_final_refused(&format!("{right},"), PeerFault::Malformed("an attribute without ="));
    let error = refused(at_server_final().success(Some(b"v=\xff")), "not UTF-8");
    assert_eq!(error, fault(&SHA_1, PeerFault::Malformed("it is not UTF-8")));
}

#[test]
fn success_after_failure() {
    let bearer = MechanismName::OAUTHBEARER;
    for why in [r#"{"status":"invalid_token"}"#, "{}", "", "no JSON", "\u{1}"] {
        for last in [None, Some(""), Some("x")] {
            let (login, _) = servers_move(begin(&bearer, token()).unwrap());
            let (login, sent) = servers_move(login.challenge(why.as_bytes()).unwrap());
            assert_eq!(sent.unwrap().as_bytes(), b"\x01");
            let error = refused(login.success(last.map(str::as_bytes)), last);
            assert_eq!(error, fault(&bearer, PeerFault::SuccessAfterFailure));
        }
    }
}

#[test]
fn data_with_a_success_that_has_no_place_for_them() {
    for (name, who) in unproven() {
        for last in [&b"x"[..], b"\0", b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ="] {
            let (login, _) = servers_move(begin(&name, who()).unwrap());
            let error = refused(login.success(Some(last)), last);
            assert_eq!(error, fault(&name, PeerFault::UnexpectedSuccessData));
        }
        for last in [None, Some(&b""[..])] {
            let (login, _) = servers_move(begin(&name, who()).unwrap());
            assert_eq!(login.success(last).unwrap().proof(), ServerProof::NotOffered);
        }
    }
    for last in [published::SERVER_FINAL, "x", "e=other-error"] {
        let login = at_server_final().challenge(published::SERVER_FINAL.as_bytes());
        let error = refused(servers_move(login.unwrap()).0.success(Some(last.as_bytes())), last);
        assert_eq!(error, fault(&SHA_1, PeerFault::UnexpectedSuccessData));
    }
}

// Challenges out of place.

#[test]
fn a_challenge_after_the_final_message() {
    for challenge in [published::SERVER_FINAL, published::SERVER_FIRST, "", "e=other-error"] {
        let login = at_server_final().challenge(published::SERVER_FINAL.as_bytes()).unwrap();
        let (login, sent) = servers_move(login);
        assert_eq!(sent.unwrap().as_bytes(), b"");
        let error = refused(login.challenge(challenge.as_bytes()), challenge);
        assert_eq!(error, fault(&SHA_1, PeerFault::UnexpectedChallenge));
    }
    let neither = PeerFault::Malformed("neither v= nor e= is first");
    assert_final_refused(published::SERVER_FIRST, neither);
}

#[test]
fn a_challenge_where_there_is_none() {
    for (name, who) in unproven() {
        let asks_for_first = [MechanismName::ANONYMOUS, MechanismName::OAUTHBEARER];
        let challenges = ["", "x", "{}"];
        for challenge in challenges.iter().filter(|_| !asks_for_first.contains(&name)) {
            let (login, _) = servers_move(begin(&name, who()).unwrap());
            let error = refused(login.challenge(challenge.as_bytes()), challenge);
            assert_eq!(error, fault(&name, PeerFault::UnexpectedChallenge));
        }
    }
    for (name, who, first) in [
        (MechanismName::ANONYMOUS, Credentials::guest(Secret::None), ""),
        (MechanismName::OAUTHBEARER, token(), "{}"),
    ] {
        let (login, _) = servers_move(begin(&name, who).unwrap());
        let (login, _) = servers_move(login.challenge(first.as_bytes()).unwrap());
        let error = refused(login.challenge(first.as_bytes()), "a second one");
        assert_eq!(error, fault(&name, PeerFault::UnexpectedChallenge));
    }
    let (login, _) =
        servers_move(begin(&MechanismName::ANONYMOUS, Credentials::guest(Secret::None)).unwrap());
    let error = refused(login.challenge(b"who are you?"), "one that wants to know");
    assert_eq!(error, fault(&MechanismName::ANONYMOUS, PeerFault::UnexpectedChallenge));
}

#[test]
fn too_many_rounds() {
    for (limit, taken) in [(0, 0), (1, 1), (16, 16), (255, 255)] {
        let policy = Policy::default().limits(Limits::default().rounds(limit));
        let mut login = chatter(&policy);
        for _ in 0..taken {
            login = servers_move(login.challenge(b"and?").unwrap()).0;
        }
        let error = refused(login.challenge(b"and?"), limit);
        assert_eq!(error, fault(&chatty(), PeerFault::TooManyRounds { limit }));
    }
    // SCRAM's own second round counts like any other.
    let policy = Policy::default().limits(Limits::default().rounds(1));
    let login = at_server_first(&policy, pencil()).challenge(published::SERVER_FIRST.as_bytes());
    let (login, _) = servers_move(support::derive(login));
    let error = refused(login.challenge(published::SERVER_FINAL.as_bytes()), "the second");
    assert_eq!(error, fault(&SHA_1, PeerFault::TooManyRounds { limit: 1 }));
}

#[test]
fn a_message_that_is_too_long() {
    let policy = Policy::default();
    let (limit, long) = (65_536, vec![b'x'; 65_537]);
    let too_long = fault(&chatty(), PeerFault::MessageTooLong { limit, found: 65_537 });
    assert_eq!(refused(chatter(&policy).challenge(&long), "a challenge"), too_long);
    assert_eq!(refused(chatter(&policy).success(Some(&long)), "success data"), too_long);
    assert!(chatter(&policy).challenge(&long[1..]).is_ok());
    assert!(chatter(&policy).success(Some(&long[1..])).is_ok());

    let policy = Policy::default().limits(Limits::default().message(published::SERVER_FIRST.len()));
    let login = at_server_first(&policy, pencil());
    assert!(login.challenge(published::SERVER_FIRST.as_bytes()).is_ok());
    let extended = format!("{},x=1", published::SERVER_FIRST);
    let login = at_server_first(&policy, pencil());
    let error = refused(login.challenge(extended.as_bytes()), &extended);
    let (limit, found) = (published::SERVER_FIRST.len(), extended.len());
    assert_eq!(error, fault(&SHA_1, PeerFault::MessageTooLong { limit, found }));
}

// The server's first message.

#[test]
fn a_nonce_that_is_not_an_answer_to_ours() {
    let ours = published::NONCE;
    let shorter = &ours[..ours.len() - 1];
    let louder = ours.to_uppercase();
    for nonce in [shorter, "f", "3rfcNHYJY1ZVvWVs7j", &format!("x{ours}x"), &louder] {
        assert_first_refused(&first(nonce, SALT, "4096"), PeerFault::NonceNotOurs);
    }
    assert_first_refused(&first(ours, SALT, "4096"), PeerFault::NonceNotExtended);
    assert!(take_first(&first(&format!("{ours}x"), SALT, "4096")).is_ok());
}

#[test]
fn a_nonce_with_characters_that_it_cannot_have() {
    let ours = published::NONCE;
    for (nonce, place) in [
        (format!("{ours},x"), "an attribute without ="),
        (format!("{ours},"), "an attribute without ="),
        (format!("{ours},x=y"), "r= is not followed by s= and i="),
        (format!("{ours}\u{e9}"), "the nonce has a character that is not printable"),
        (format!("{ours} x"), "the nonce has a character that is not printable"),
        (format!("{ours}\u{7f}"), "the nonce has a character that is not printable"),
        (format!("{ours}\t"), "the nonce has a character that is not printable"),
        (format!("{ours}\0"), "an attribute's value is empty or has a NUL"),
    ] {
        assert_first_refused(&first(&nonce, SALT, "4096"), PeerFault::Malformed(place));
    }
}

#[test]
fn attributes_that_are_missing_twice_or_out_of_order() {
    let (r, s, i) = (NONCE_ATTRIBUTE, "s=QSXCR+Q6sek8bf92", "i=4096");
    let without_equals = PeerFault::Malformed("an attribute without =");
    let not_first = PeerFault::Malformed("r= is not first");
    let not_followed = PeerFault::Malformed("r= is not followed by s= and i=");
    let not_a_letter = PeerFault::Malformed("an attribute's name is not one letter");
    for (message, fault) in [
        (String::new(), without_equals.clone()),
        (",".to_owned(), without_equals.clone()),
        (format!("{r},{s},{i},"), without_equals.clone()),
        (format!("{r},,{s},{i}"), without_equals.clone()),
        (format!("{r};{s};{i}"), not_followed.clone()),
        (r.to_owned(), not_followed.clone()),
        (format!("{r},{s}"), not_followed.clone()),
        (format!("{r},{i}"), not_followed.clone()),
        (format!("{r},{i},{s}"), not_followed.clone()),
        (format!("{r},x=1,{s},{i}"), not_followed.clone()),
        (format!("{r},S=QSXCR+Q6sek8bf92,{i}"), not_followed),
        (format!("{s},{i}"), not_first.clone()),
        (format!("{s},{r},{i}"), not_first.clone()),
        (format!("x=1,{r},{s},{i}"), not_first.clone()),
        (format!("v=rmF9pqV8S7suAoZWja4dJRkFsKQ=,{r},{s},{i}"), not_first.clone()),
        (published::SERVER_FINAL.to_owned(), not_first),
        (format!("{r},{s},{i},{r}"), PeerFault::DuplicateAttribute('r')),
        (format!("{r},{s},{s},{i}"), PeerFault::DuplicateAttribute('s')),
        (format!("{r},{s},{i},i=5000"), PeerFault::DuplicateAttribute('i')),
        (format!("{r},{s},{i},g=1,g=1"), PeerFault::DuplicateAttribute('g')),
        (format!(" {r},{s},{i}"), not_a_letter.clone()),
        (format!("{r}, {s},{i}"), not_a_letter.clone()),
        (format!("{r},{s},{i},1=x"), not_a_letter.clone()),
        (format!("{r},{s},{i},gg=x"), not_a_letter.clone()),
        (format!("{r},{s},{i},\u{e9}=x"), not_a_letter),
    ] {
        assert_first_refused(&message, fault);
    }
    let login = at_server_first(&Policy::default(), pencil());
    let error = refused(login.challenge(b"r=\xff"), "not UTF-8");
    assert_eq!(error, fault(&SHA_1, PeerFault::Malformed("it is not UTF-8")));
}

#[test]
fn reserved_attributes_are_refused_and_unknown_ones_passed_over() {
    let right = published::SERVER_FIRST;
    for message in [format!("m=x,{right}"), format!("{right},m=x"), format!("{right},g=1,m=x")] {
        assert_first_refused(&message, PeerFault::MandatoryExtension);
    }
    let sixteen: String = "abcdefgjklnou".chars().map(|name| format!(",{name}=1")).collect();
    for extensions in [",g=later", ",t=x,d=y", &sixteen] {
        assert!(take_first(&format!("{right}{extensions}")).is_ok(), "{extensions}");
    }
    assert_first_refused(
        &format!("{right}{sixteen},p=1"),
        PeerFault::Malformed("too many attributes"),
    );
}

/// The bounds come before any work: there is no question, hence nothing to compute, whatever the
/// secret is. Saved keys that were made with such a count do not open a way round them.
#[test]
fn an_iteration_count_that_is_unsafe_or_too_dear() {
    let bounds = |found| PeerFault::IterationsOutOfRange { allowed: 4096..=1_000_000, found };
    for found in [
        0,
        1,
        4095,
        1_000_001,
        1_000_000_000,
        1 << 31,
        u64::from(u32::MAX),
        (1 << 32) + 4096, // what a 32-bit counter would take for 4096
        u64::MAX,
    ] {
        let message = first_with_count(&found.to_string());
        for who in [pencil(), Credentials::ask("user", SecretKind::Password), keys(found)] {
            let login = at_server_first(&Policy::default(), who);
            let error = refused(login.challenge(message.as_bytes()), &message);
            assert_eq!(error, fault(&SHA_1, bounds(found)));
        }
    }
    for count in ["4096", "10000", "1000000"] {
        let asked = take_first(&first_with_count(count)).unwrap();
        let Turn::Question(_, Question::Derive(derivation)) = asked else {
            panic!("{asked:?}");
        };
        assert_eq!(derivation.iterations().to_string(), count);
    }
}

#[test]
fn an_iteration_count_that_is_no_plain_number() {
    for count in ["-1", "+4096", "04096", "4096 ", "4 096", "0x1000", "4096.0", "4e3", "\u{664}"] {
        let place = "the iteration count is not a plain number";
        assert_first_refused(&first_with_count(count), PeerFault::Malformed(place));
    }
    for count in ["18446744073709551616", &"9".repeat(1000)] {
        let place = "the iteration count is not a plain number";
        assert_first_refused(&first_with_count(count), PeerFault::Malformed(place));
    }
    let empty = PeerFault::Malformed("an attribute's value is empty or has a NUL");
    assert_first_refused(&first_with_count(""), empty);
}

#[test]
fn bounds_of_the_applications_own() {
    let policy = Policy::default().limits(Limits::default().iterations(10_000..=20_000));
    for (count, accepted) in [(9_999, false), (10_000, true), (20_000, true), (20_001, false)] {
        let login = at_server_first(&policy, pencil());
        let result = login.challenge(first_with_count(&count.to_string()).as_bytes());
        if accepted {
            assert!(matches!(result, Ok(Turn::Question(_, Question::Derive(_)))), "{count}");
        } else {
            let allowed = 10_000..=20_000;
            let fault = PeerFault::IterationsOutOfRange { allowed, found: count };
            assert_eq!(refused(result, count), support::fault(&SHA_1, fault));
        }
    }
}

#[test]
fn a_salt_that_is_empty_invalid_or_huge() {
    let ours = &NONCE_ATTRIBUTE[2..];
    assert_first_refused(&first(ours, "", "4096"), PeerFault::SaltEmpty);
    for salt in ["QSXCR+Q6sek8bf9", "QSXC R+Q6", "QSXCR-Q6sek8bf92", "====", "QQ", "QR==", "\u{e9}"]
    {
        let place = PeerFault::Malformed("the salt is not base64");
        assert_first_refused(&first(ours, salt, "4096"), place);
    }
    // 1 MiB of salt is stopped as a message, and as a salt where long messages are allowed.
    let mebibyte = first(ours, &format!("{}AA==", "A".repeat(1_398_100)), "4096");
    let found = mebibyte.len();
    assert_first_refused(&mebibyte, PeerFault::MessageTooLong { limit: 65_536, found });
    let policy = Policy::default().limits(Limits::default().message(usize::MAX));
    let error = refused(at_server_first(&policy, pencil()).challenge(mebibyte.as_bytes()), "1 MiB");
    assert_eq!(error, fault(&SHA_1, PeerFault::SaltTooLong { limit: 1024, found: 1_048_576 }));
    // The limit itself is still allowed.
    assert!(take_first(&first(ours, &format!("{}AA==", "A".repeat(1364)), "4096")).is_ok());
    let longer = first(ours, &format!("{}AAA=", "A".repeat(1364)), "4096");
    assert_first_refused(&longer, PeerFault::SaltTooLong { limit: 1024, found: 1025 });
}

// The server's own errors.

#[test]
fn every_error_value_of_rfc_5802_in_every_place() {
    for condition in [
        "invalid-encoding",
        "extensions-not-supported",
        "invalid-proof",
        "channel-bindings-dont-match",
        "server-does-support-channel-binding",
        "channel-binding-not-supported",
        "unsupported-channel-binding-type",
        "unknown-user",
        "invalid-username-encoding",
        "no-resources",
        "other-error",
        "a-word-of-the-servers-own",
    ] {
        let message = format!("e={condition}");
        let rejected = Error::Rejected(Box::new(Rejection::new(condition)));
        for error in errors_from(&message) {
            assert_eq!(error, rejected);
        }
        for error in errors_from(&format!("{message},x=1")) {
            assert_eq!(error, rejected);
        }
        for error in errors_from(&format!("{message},m=1")) {
            assert_eq!(error, fault(&SHA_1, PeerFault::MandatoryExtension));
        }
        for error in errors_from(&format!("{message},{message}")) {
            assert_eq!(error, fault(&SHA_1, PeerFault::DuplicateAttribute('e')));
        }
    }
}

#[test]
fn error_values_that_are_not_fit_to_be_shown() {
    for (message, shown) in [
        ("e=\u{1b}[31mred".to_owned(), "[31mred".to_owned()),
        ("e=two words".to_owned(), "twowords".to_owned()),
        ("e=\u{202e}\u{e9}".to_owned(), "other-error".to_owned()),
        (format!("e={}", "x".repeat(1000)), "x".repeat(64)),
    ] {
        for error in errors_from(&message) {
            assert_eq!(error, Error::Rejected(Box::new(Rejection::new(shown.clone()))));
        }
    }
    for error in errors_from("e=") {
        let empty = PeerFault::Malformed("an attribute's value is empty or has a NUL");
        assert_eq!(error, fault(&SHA_1, empty));
    }
}

// Names and passwords. What is accepted is in the vectors, message by message.

#[test]
fn user_names_that_cannot_be_sent() {
    use PreparationError::{Bidirectional, Empty, Prohibited, Unassigned};
    for (name, why) in [
        ("", Empty),
        ("\u{ad}", Empty),
        ("a\0b", Prohibited),
        ("a\u{7f}", Prohibited),
        ("a\u{e000}", Prohibited),
        ("\u{627}1", Bidirectional),
        ("a\u{5d0}", Bidirectional),
        ("\u{1f642}", Unassigned),
        ("\u{221}", Unassigned),
    ] {
        for mechanism in with_a_password() {
            let who = Credentials::password(name, "pencil");
            assert_eq!(refused(begin(&mechanism, who), name), Error::UserName(why));
        }
    }
    for (name, sent) in
        [("a=b", "a=3Db"), ("a,b", "a=2Cb"), ("\u{fc}", "\u{fc}"), ("\u{5d0}", "\u{5d0}")]
    {
        let (_, message) = servers_move(begin(&SHA_1, Credentials::password(name, "x")).unwrap());
        let expected = format!("n,,n={sent},r={}", published::NONCE);
        assert_eq!(message.unwrap().as_bytes(), expected.as_bytes());
    }
}

#[test]
fn passwords_that_cannot_be_sent() {
    use PreparationError::{Bidirectional, Empty, Prohibited, Unassigned};
    for (password, why) in [
        ("", Empty),
        ("\u{ad}\u{feff}", Empty),
        ("a\0b", Prohibited),
        ("a\u{85}", Prohibited),
        ("\u{5d0}b", Bidirectional),
        ("pass\u{1f642}", Unassigned),
    ] {
        for mechanism in with_a_password() {
            let error = refused(begin(&mechanism, Credentials::password("user", password)), why);
            assert_eq!(error, Error::Password(why));
            // The same where the password comes later: before anything is derived from it.
            let who = Credentials::ask("user", SecretKind::Password);
            let mut turn = begin(&mechanism, who).unwrap();
            if let Turn::Server(login, _) = turn {
                turn = login.challenge(published::SERVER_FIRST.as_bytes()).unwrap();
            }
            let Turn::Question(login, Question::Secret(SecretKind::Password)) = turn else {
                panic!("{turn:?}");
            };
            let error = refused(login.answer(Answer::Secret(Secret::password(password))), why);
            assert_eq!(error, Error::Password(why));
        }
    }
    for (password, prepared) in [("a\u{a0}b", "a b"), ("a\u{ad}b", "ab"), ("\u{3000}", " ")] {
        let who = Credentials::password("user", password);
        let (_, sent) = servers_move(begin(&MechanismName::PLAIN, who).unwrap());
        assert_eq!(sent.unwrap().as_bytes(), format!("\0user\0{prepared}").as_bytes());
    }
}

#[test]
fn identities_that_cannot_be_sent() {
    for (mechanism, who) in [
        (SHA_1, pencil().with_authzid("a\0b")),
        (MechanismName::PLAIN, pencil().with_authzid("a\0b")),
    ] {
        let error = refused(begin(&mechanism, who), "NUL");
        assert_eq!(error, Error::Unsendable("authorization identity"));
    }
    for name in ["a\0b", "a\u{1}b"] {
        let who = token().with_account(name);
        let error = refused(begin(&MechanismName::OAUTHBEARER, who), name);
        assert_eq!(error, Error::Unsendable("user name"));
    }
    let error = refused(begin(&MechanismName::X_OAUTH2, token().with_account("a\0b")), "NUL");
    assert_eq!(error, Error::Unsendable("user name"));
}

// Answers of another kind than the question are the caller's fault, and end the login too.

#[test]
fn answers_that_do_not_fit_the_question() {
    let misuse = Error::ApiMisuse("the answer is not of the question's kind");
    let wrong: [fn() -> Answer; 4] = [
        || Answer::Secret(Secret::token("a token")),
        || Answer::Secret(Secret::None),
        || Answer::Response(Response::new("x")),
        || Answer::Keys(published_keys()),
    ];
    for answer in wrong {
        let who = Credentials::ask("user", SecretKind::Password);
        let Turn::Question(login, _) = begin(&MechanismName::PLAIN, who).unwrap() else {
            panic!("PLAIN asks for the password first");
        };
        assert_eq!(refused(login.answer(answer()), "PLAIN"), misuse);
        let login =
            at_server_first(&Policy::default(), Credentials::ask("user", SecretKind::Password));
        let turn = login.challenge(published::SERVER_FIRST.as_bytes()).unwrap();
        let Turn::Question(login, Question::Secret(_)) = turn else { panic!("{turn:?}") };
        assert_eq!(refused(login.answer(answer()), "SCRAM"), misuse);
    }
    for name in [MechanismName::OAUTHBEARER, MechanismName::X_OAUTH2] {
        let Turn::Question(login, _) =
            begin(&name, Credentials::ask("user", SecretKind::Token)).unwrap()
        else {
            panic!("a token is asked for first");
        };
        let answer = Answer::Secret(Secret::password("never sent as a token"));
        assert_eq!(refused(login.answer(answer), &name), misuse);
    }
    let Turn::Question(login, Question::Derive(_)) = take_first(published::SERVER_FIRST).unwrap()
    else {
        panic!("keys are derived");
    };
    let other = ScramKeys::from_json(&published::KEYS.replace("4096", "4097")).unwrap();
    let error = refused(login.answer(Answer::Keys(other)), "keys of another count");
    assert_eq!(error, Error::ApiMisuse("the keys are those of another derivation"));
}

/// Takes one message as success data and as a challenge: both must be refused so.
#[track_caller]
fn assert_final_refused(message: &str, because: PeerFault) {
    let expected = fault(&SHA_1, because);
    assert_eq!(refused(at_server_final().success(Some(message.as_bytes())), message), expected);
    assert_eq!(refused(at_server_final().challenge(message.as_bytes()), message), expected);
}

#[track_caller]
fn assert_first_refused(message: &str, because: PeerFault) {
    assert_eq!(refused(take_first(message), message), fault(&SHA_1, because));
}

fn take_first(message: &str) -> Result<Turn, Error> {
    at_server_first(&Policy::default(), pencil()).challenge(message.as_bytes())
}

/// What becomes of the message where the first is due, as the last challenge, and as success data.
fn errors_from(message: &str) -> [Error; 3] {
    let bytes = message.as_bytes();
    [
        refused(take_first(message), message),
        refused(at_server_final().challenge(bytes), message),
        refused(at_server_final().success(Some(bytes)), message),
    ]
}

const NONCE_ATTRIBUTE: &str = "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j";
const SALT: &str = "QSXCR+Q6sek8bf92";

fn first(nonce: &str, salt: &str, iterations: &str) -> String {
    format!("r={nonce},s={salt},i={iterations}")
}

fn first_with_count(iterations: &str) -> String {
    first(&NONCE_ATTRIBUTE[2..], SALT, iterations)
}

fn pencil() -> Credentials {
    Credentials::password("user", "pencil")
}

fn token() -> Credentials {
    Credentials::token("user", "a-token")
}

fn published_keys() -> ScramKeys {
    ScramKeys::from_json(published::KEYS).unwrap()
}

/// Keys that fit the published salt and this count, as far as a count of keys can go.
fn keys(iterations: u64) -> Credentials {
    let count = u32::try_from(iterations).unwrap_or(4096).max(1);
    let json = published::KEYS.replace("4096", &count.to_string());
    Credentials::keys("user", ScramKeys::from_json(&json).unwrap())
}

fn with_a_password() -> impl Iterator<Item = MechanismName> {
    Hash::ALL.into_iter().map(Hash::mechanism).chain([MechanismName::PLAIN])
}

/// The mechanisms in which the server proves nothing.
fn unproven() -> [(MechanismName, fn() -> Credentials); 5] {
    [
        (MechanismName::PLAIN, pencil),
        (MechanismName::OAUTHBEARER, token),
        (MechanismName::X_OAUTH2, token),
        (MechanismName::ANONYMOUS, || Credentials::guest(Secret::None)),
        (MechanismName::EXTERNAL, || Credentials::guest(Secret::None)),
    ]
}

/// A mechanism that answers every challenge and believes every success.
#[derive(Debug)]
struct Chatty(MechanismName);

impl MechanismFactory for Chatty {
    fn name(&self) -> &MechanismName {
        &self.0
    }

    fn priority(&self) -> i32 {
        1
    }

    fn test(&self, _: &Context<'_>) -> Result<(), Skip> {
        Ok(())
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Chat)
    }
}

#[derive(Debug)]
struct Chat;

impl Mechanism for Chat {
    fn start(&mut self, _: &Context<'_>) -> Result<Step, Error> {
        Ok(Step::Wait)
    }

    fn challenge(&mut self, _: &Context<'_>, _: &[u8]) -> Result<Step, Error> {
        Ok(Step::Send(Response::new("go on")))
    }

    fn verify(&mut self, _: &Context<'_>, _: Option<&[u8]>) -> Result<ServerProof, Error> {
        Ok(ServerProof::NotOffered)
    }
}

fn chatty() -> MechanismName {
    "X-CHATTY".parse().unwrap()
}

fn chatter(policy: &Policy) -> epode_sasl::Exchange {
    let registry = Registry::empty().with(Arc::new(Chatty(chatty())));
    let (who, channel) = (Credentials::guest(Secret::None), support::best_channel());
    let selection = policy.select(&registry, &who, &channel, &[chatty()]).unwrap();
    servers_move(epode_sasl::Exchange::begin(selection, who, channel).unwrap()).0
}
