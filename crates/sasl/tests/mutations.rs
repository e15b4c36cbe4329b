//! Server messages with random damage: never a panic, never a login. The numbers are the same in
//! every run, so a failure can be had again.

mod support;

use epode_sasl::{
    Answer, Channel, Credentials, Error, Exchange, HashedToken, Limits, MechanismName, Offer,
    Policy, Question, Registry, Turn, scram::ScramKeys,
};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::support::{Numbers, at_server_first, begin_under, published, servers_move};

const ROUNDS: usize = 10_000;

/// Whatever is changed in the first message, the server's signature no longer fits: all of it is
/// signed. Most mutants do not come that far.
#[test]
fn a_damaged_first_message_never_leads_to_a_login() {
    let mut numbers = Numbers(5802);
    let mut signed = 0;
    for _ in 0..ROUNDS {
        let message = mutant(published::SERVER_FIRST, &mut numbers);
        if let Some(login) = answer_first(&message) {
            signed += 1;
            let error = login.success(Some(published::SERVER_FINAL.as_bytes())).unwrap_err();
            assert!(matches!(error, Error::PeerMisbehaved { .. }), "{}: {error}", shown(&message));
        }
    }
    assert!(signed > ROUNDS / 100, "too few mutants ({signed}) got past the first checks");
}

/// The one change that a final message may have is an optional extension behind the signature.
#[test]
fn a_damaged_final_message_never_leads_to_a_login() {
    let mut numbers = Numbers(7677);
    let mut extended = 0;
    for round in 0..ROUNDS {
        let message = mutant(published::SERVER_FINAL, &mut numbers);
        let login = at_final();
        let accepted = if round % 2 == 0 {
            login.success(Some(&message)).is_ok()
        } else {
            matches!(login.challenge(&message), Ok(Turn::Server(..)))
        };
        let extension = message.strip_prefix(published::SERVER_FINAL.as_bytes());
        assert!(!accepted || extension.is_some_and(is_extensions), "{}", shown(&message));
        extended += usize::from(accepted);
    }
    assert!(extended < ROUNDS / 100, "mutants are too tame: {extended} were accepted");
}

/// The mechanisms without proof have nothing to be deceived about; they must only not panic.
#[test]
fn damaged_messages_break_no_mechanism() {
    let mut numbers = Numbers(7628);
    let failure = r#"{"status":"invalid_token","scope":"a","openid-configuration":"https://b"}"#;
    for round in 0..ROUNDS {
        let (name, who) = match round % 3 {
            0 => (MechanismName::OAUTHBEARER, Credentials::token("user", "x")),
            1 => (MechanismName::PLAIN, Credentials::password("user", "x")),
            _ => (MechanismName::SCRAM_SHA_512, Credentials::password("user", "x")),
        };
        let message = mutant(failure, &mut numbers);
        let (login, _) = servers_move(begin_under(&Policy::default(), &name, who).unwrap());
        if let Ok(turn) = login.challenge(&message) {
            assert_eq!(name, MechanismName::OAUTHBEARER, "{}", shown(&message));
            assert!(servers_move(turn).0.success(None).is_err(), "{}", shown(&message));
        }
    }
}

/// All of it is signed, the values of the later family too.
#[test]
fn a_damaged_responder_never_leads_to_a_login() {
    let mut numbers = Numbers(484);
    let hashed = |text: &str| {
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(b"a token").unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let with_values = [b"\0a=b,c=d\0", &hashed("Respondera=b,c=d")[..]].concat();
    for (name, right) in
        [("HT-SHA-256-NONE", hashed("Responder")), ("HT2-SHA-256-NONE", with_values)]
    {
        assert!(by_token(name).success(Some(&right)).is_ok());
        for _ in 0..ROUNDS {
            let message = mutant(&right, &mut numbers);
            let error = by_token(name).success(Some(&message)).unwrap_err();
            assert!(matches!(error, Error::PeerMisbehaved { .. }), "{}: {error}", shown(&message));
        }
    }
}

fn by_token(name: &str) -> Exchange {
    let who = Credentials::hashed_token("user", HashedToken::new(name.parse().unwrap(), "a token"));
    let (registry, channel) = (Registry::hashed_tokens().with_ht2(), Channel::encrypted());
    let choice = Policy::default().select(&registry, &who, &channel, Offer::new([name])).unwrap();
    servers_move(Exchange::begin(choice, who, channel).unwrap()).0
}

/// Gives the login this first message; back comes a login that has sent its proof. Saved keys that
/// fit the message stand in for derivations, which would take most of the time.
fn answer_first(message: &[u8]) -> Option<Exchange> {
    let cheap = Policy::default().limits(Limits::default().iterations(1..=1_000_000));
    let login = at_server_first(&cheap, Credentials::password("user", "pencil"));
    let Turn::Question(login, Question::Derive(derivation)) = login.challenge(message).ok()? else {
        panic!("{} led neither to an error nor to a derivation", shown(message));
    };
    let (salt, count) = (derivation.salt().to_vec(), derivation.iterations());
    let keys = ScramKeys::from_salted_password(derivation.hash(), SALTED, salt, count);
    Some(servers_move(login.answer(Answer::Keys(keys)).unwrap()).0)
}

/// A login that waits for the published signature, by saved keys.
fn at_final() -> Exchange {
    let keys = ScramKeys::from_json(published::KEYS).unwrap();
    let login = at_server_first(&Policy::default(), Credentials::keys("user", keys));
    servers_move(login.challenge(published::SERVER_FIRST.as_bytes()).unwrap()).0
}

/// What PBKDF2 makes of the published password, salt and count.
const SALTED: &[u8] = &[
    0x1d, 0x96, 0xee, 0x3a, 0x52, 0x9b, 0x5a, 0x5f, 0x9e, 0x47, 0xc0, 0x1f, 0x22, 0x9a, 0x2c, 0xb8,
    0xa6, 0xe1, 0x5f, 0x7d,
];

/// A copy with one to four changes, which is not the original.
fn mutant(original: impl AsRef<[u8]>, numbers: &mut Numbers) -> Vec<u8> {
    let original = original.as_ref();
    loop {
        let mut message = original.to_vec();
        for _ in 0..=numbers.below(4) {
            damage(&mut message, numbers);
        }
        if message != original {
            return message;
        }
    }
}

/// One change: of a bit or a byte, something gone, something doubled, something from the grammar.
fn damage(message: &mut Vec<u8>, numbers: &mut Numbers) {
    let at = numbers.below(message.len() + 1);
    let to = at + numbers.below(message.len() - at + 1).min(8);
    match numbers.below(7) {
        0 if at < message.len() => message[at] ^= 1 << numbers.below(8),
        1 if at < message.len() => {
            message[at] = [0, 9, b'0', b'A', b'/', 0x7f, 0x80, 0xff][numbers.below(8)]
        }
        2 => message.truncate(at),
        3 => drop(message.drain(at..to)),
        4 => message.extend_from_within(at..to),
        5 => {
            let pieces = [",x=1", ",m=1", ",", "=", "r=", "e=", "v=", "i=1", "\0", "\u{2028}", "9"];
            let piece = pieces[numbers.below(pieces.len())];
            drop(message.splice(at..at, piece.bytes()));
        }
        _ => {
            let half = message.split_off(at);
            message.splice(0..0, half);
        }
    }
}

/// `,a=value` any number of times: what a final message may have behind its signature.
fn is_extensions(rest: &[u8]) -> bool {
    let mut parts = rest.split(|byte| *byte == b',');
    let nothing_before = parts.next().is_some_and(<[u8]>::is_empty);
    nothing_before
        && parts.all(|part| {
            matches!(part, [name, b'=', _, ..] if name.is_ascii_alphabetic() && *name != b'm')
        })
}

fn shown(message: &[u8]) -> String {
    message.escape_ascii().to_string()
}
