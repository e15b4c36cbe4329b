//! No secret is ever shown: everything that `Debug` and `Display` say of every public type that
//! holds a secret, or held one a step ago, is searched for it in each form that it could have.

mod support;

use std::{
    fmt::{Debug, Display},
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use base64ct::{Base64, Encoding};
use epode_sasl::{
    Answer, Binding, BindingType, Challenge, Channel, Context, Credentials, Error, Exchange,
    HashedToken, Mechanism, MechanismFactory, MechanismName, Offer, Policy, Question, Registry,
    Rejection, Response, Secret, SecretKind, Skip, Step, Turn,
    scram::{Derivation, Hash, Progress, ScramKeys},
};
use zeroize::Zeroizing;

use crate::support::{at_server_final, best_channel, published, registry_with_nonce};

const PASSWORD: &str = "correct horse battery";
const TOKEN: &str = "ya29.a-token-of-alice";
const SALT: &[u8] = b"NaCl and more";
const SERVER_FIRST: &str = "r=fyko+d2lbbFgONRv9qkxdawLxyz,s=TmFDbCBhbmQgbW9yZQ==,i=4096";

/// A search that cannot find anything proves nothing: what it would find, it does find.
#[test]
fn the_search_finds_what_leaks() {
    let json = keys().to_json();
    for leak in [
        format!("wrong password {PASSWORD:?}"),
        format!("{:?}", PASSWORD.as_bytes()),
        format!("{:#?}", TOKEN.as_bytes()),
        format!("AUTHENTICATE PLAIN {}", Base64::encode_string(TOKEN.as_bytes())),
        json.to_string(),
        format!("Keys {{ client_key: {:?} }}", member(&keys(), "ck")),
        format!("{:02X?}", member(&keys(), "sk")),
        hex(&salted_password()),
    ] {
        assert!(leaked(&leak), "{leak}");
    }
    assert!(!leaked("Password(..)"));
}

#[test]
fn credentials_show_no_secret() {
    let mut shown = Shown::default();
    for who in [
        Credentials::password("alice", PASSWORD).with_authzid("bob").with_account("alice@example"),
        Credentials::token("alice", TOKEN),
        Credentials::keys("alice", keys()),
        Credentials::keys("alice", keys()).with_password_of_keys(PASSWORD.to_owned().into()),
        Credentials::guest(Secret::token(TOKEN)),
        Credentials::hashed_token("alice", issued("HT-SHA-256-NONE")),
    ] {
        shown.debug(&who);
        shown.debug(who.secret());
    }
    shown.debug(&keys());
    shown.debug(&issued("HT-SHA-256-NONE"));
    shown.debug(&issued("HT-SHA-256-NONE").duplicate());
    shown.debug(&Secret::HashedToken(issued("HT-SHA-256-NONE")).duplicate());
    shown.debug(&Question::Secret(SecretKind::Password));
    for answer in [
        Answer::Keys(keys()),
        Answer::Secret(Secret::password(PASSWORD)),
        Answer::Secret(Secret::token(TOKEN)),
        Answer::Response(Response::new(PASSWORD)),
    ] {
        shown.debug(&answer);
    }
    shown.debug(&Step::Send(Response::new(TOKEN)));
    let data = Some(Zeroizing::new(PASSWORD.as_bytes().to_vec()));
    let challenge = Challenge { mechanism: MechanismName::PLAIN, data };
    shown.debug(&challenge);
    shown.debug(&Step::Ask(Question::Respond(challenge)));
    shown.check();
}

#[test]
fn derivations_show_no_secret() {
    let mut shown = Shown::default();
    let derivation = || Derivation::new(Hash::Sha256, PASSWORD, SALT.to_vec(), count());
    shown.debug(&derivation());
    shown.debug(&Question::Derive(derivation()));
    let half = derivation().advance(NonZeroU32::new(2048).unwrap());
    shown.debug(&half);
    let Progress::More(rest) = half else { panic!("half of it is left") };
    shown.debug(&rest);
    shown.debug(&rest.advance(count()));
    shown.check();
}

/// Every stage of a login by each of the nine, with every kind of secret, to each kind of end.
#[test]
fn logins_show_no_secret() {
    let mut shown = Shown::default();
    for name in Registry::default().names() {
        for end in [End::Success, End::Failure, End::Nonsense, End::Refusal] {
            for who in [
                Credentials::password("alice", PASSWORD),
                Credentials::token("alice", TOKEN),
                Credentials::keys("alice", keys()),
                Credentials::keys("alice", keys())
                    .with_password_of_keys(PASSWORD.to_owned().into()),
                Credentials::ask("alice", SecretKind::Password),
                Credentials::ask("alice", SecretKind::Token),
                Credentials::guest(Secret::token(TOKEN)),
            ] {
                walk(name, who, end, &mut shown);
            }
        }
    }
    let authenticated = at_server_final().success(Some(published::SERVER_FINAL.as_bytes()));
    assert!(authenticated.as_ref().unwrap().keys().is_some());
    shown.result(&authenticated);
    assert!(shown.0.len() > 500, "the walk was too short: {}", shown.0.len());
    shown.check();
}

/// The same for each mechanism that a hashed token can be for, and for those it is not for.
#[test]
fn logins_by_a_hashed_token_show_no_secret() {
    let registry = Registry::hashed_tokens().with_ht2();
    let names = || registry.names().map(MechanismName::as_str);
    let mut shown = Shown::default();
    let mut logins = 0;
    for (name, offered) in names().flat_map(|name| names().map(move |other| (name, other))) {
        for last in [None, Some(&b"wrong"[..]), Some(b"\0\0wrong")] {
            let channel = bound_channel();
            let who = Credentials::hashed_token("alice", issued(name));
            let choice = Policy::default().select(&registry, &who, &channel, Offer::new([offered]));
            let selection = match choice {
                Ok(selection) => selection,
                Err(refusal) => {
                    shown.error(&Error::NoMechanism(refusal));
                    continue;
                }
            };
            let turn = Exchange::begin(selection, who, channel);
            shown.result(&turn);
            logins += 1;
            let Ok(Turn::Server(login, _)) = turn else { panic!("{name} speaks first") };
            match last {
                None => shown.error(&login.failure(Rejection::new("no")).unwrap_err()),
                last => shown.result(&login.success(last)),
            }
        }
    }
    assert_eq!(logins, 36, "the walk was too short");
    shown.check();
}

fn issued(mechanism: &str) -> HashedToken {
    HashedToken::new(mechanism.parse().unwrap(), TOKEN)
}

fn bound_channel() -> Channel {
    BindingType::ALL
        .into_iter()
        .fold(best_channel(), |channel, kind| channel.with_binding(Binding::new(kind, "data")))
}

/// Saved keys are read from files that may be broken anywhere.
#[test]
fn broken_keys_are_not_quoted() {
    let mut shown = Shown::default();
    let json = keys().to_json();
    for at in 0..json.len() {
        for put in ["", "*", "\"", "0", ","] {
            let broken = format!("{}{put}{}", &json[..at], &json[at + 1..]);
            if let Err(error) = ScramKeys::from_json(&broken) {
                shown.debug(&error);
                shown.display(&error);
            }
        }
    }
    assert!(shown.0.len() > 1000, "too little is refused: {}", shown.0.len());
    shown.check();
}

/// A mechanism of the application's own may log what it is lent.
#[test]
fn the_context_shows_no_secret() {
    #[derive(Clone, Debug)]
    struct Spy(Arc<Mutex<Shown>>);

    impl MechanismFactory for Spy {
        fn name(&self) -> &MechanismName {
            &MechanismName::PLAIN
        }

        fn priority(&self) -> i32 {
            1
        }

        fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
            self.0.lock().unwrap().debug(cx);
            Err(Skip::Other("only looking".to_owned()))
        }

        fn begin(&self) -> Box<dyn Mechanism> {
            unreachable!("its test lets nobody in")
        }
    }

    let shown = Arc::default();
    let registry = Registry::empty().with(Arc::new(Spy(Arc::clone(&shown))));
    let who = Credentials::password("alice", PASSWORD);
    let result =
        Policy::default().select(&registry, &who, &best_channel(), &[MechanismName::PLAIN]);
    assert!(result.is_err());
    let shown = shown.lock().unwrap();
    assert_eq!(shown.0.len(), 2);
    shown.check();
}

#[derive(Clone, Copy)]
enum End {
    Success,
    Failure,
    Nonsense,
    Refusal,
}

/// Goes through one login, and shows all that comes by.
fn walk(name: &MechanismName, who: Credentials, end: End, shown: &mut Shown) {
    let registry = registry_with_nonce(published::NONCE);
    let policy = Policy::default();
    let selection =
        match policy.select(&registry, &who, &best_channel(), std::slice::from_ref(name)) {
            Ok(selection) => selection,
            Err(refusal) => return shown.error(&Error::NoMechanism(refusal)),
        };
    shown.debug(&selection);
    let mut turn = Exchange::begin(selection, who, best_channel());
    for challenge in [SERVER_FIRST, "v=AAAA", "", "e=other-error"] {
        match settle(turn, end, shown) {
            None => return,
            Some(login) => match end {
                End::Success => {
                    shown.result(&login.success(None));
                    return;
                }
                End::Failure => {
                    return shown.error(&login.failure(Rejection::new("no")).unwrap_err());
                }
                End::Nonsense | End::Refusal => turn = login.challenge(challenge.as_bytes()),
            },
        }
    }
}

/// Answers what is asked, until the login waits for the server or is over.
fn settle(mut turn: Result<Turn, Error>, end: End, shown: &mut Shown) -> Option<Exchange> {
    loop {
        shown.result(&turn);
        let (login, question) = match turn.ok()? {
            Turn::Server(login, _) => return Some(login),
            Turn::Question(login, question) => (login, question),
        };
        shown.debug(&login);
        let answer = match (question, end) {
            (_, End::Refusal) => Answer::Refuse("not now".to_owned()),
            (Question::Derive(derivation), _) => Answer::Keys(derivation.run()),
            (Question::Secret(SecretKind::Password), _) => {
                Answer::Secret(Secret::password(PASSWORD))
            }
            (Question::Secret(SecretKind::Token), End::Nonsense) => {
                Answer::Secret(Secret::password(PASSWORD)) // of the wrong kind
            }
            (Question::Secret(SecretKind::Token), _) => Answer::Secret(Secret::token(TOKEN)),
            (other, _) => panic!("none of the nine asks {other:?}"),
        };
        turn = login.answer(answer);
    }
}

/// What was said of things that hold secrets.
#[derive(Debug, Default)]
struct Shown(Vec<String>);

impl Shown {
    fn debug(&mut self, thing: &impl Debug) {
        self.0.push(format!("{thing:?}"));
        self.0.push(format!("{thing:#?}"));
    }

    fn display(&mut self, thing: &impl Display) {
        self.0.push(thing.to_string());
    }

    fn error(&mut self, error: &Error) {
        self.debug(error);
        self.display(error);
    }

    fn result<T: Debug>(&mut self, result: &Result<T, Error>) {
        match result {
            Ok(thing) => self.debug(thing),
            Err(error) => self.error(error),
        }
    }

    fn check(&self) {
        for text in &self.0 {
            assert!(!leaked(text), "a secret is shown: {text}");
        }
    }
}

fn leaked(text: &str) -> bool {
    thread_local! {
        static FORMS: Vec<String> = secrets().iter().flat_map(|secret| forms(secret)).collect();
    }
    let text = flat(text);
    FORMS.with(|forms| forms.iter().any(|form| text.contains(form)))
}

/// All that must not be seen.
fn secrets() -> Vec<Vec<u8>> {
    let plain = format!("\0alice\0{PASSWORD}");
    let texts = [PASSWORD, TOKEN, &plain].map(|text| text.as_bytes().to_vec());
    let published = ScramKeys::from_json(published::KEYS).unwrap();
    let keys = [&keys(), &published].map(|keys| [member(keys, "ck"), member(keys, "sk")]);
    texts.into_iter().chain(keys.into_iter().flatten()).chain([salted_password()]).collect()
}

/// As text, in base64, in hexadecimal, and as `Debug` has bytes.
fn forms(secret: &[u8]) -> Vec<String> {
    let list = |text: String| flat(text.trim_matches(['[', ']']));
    vec![
        flat(&String::from_utf8_lossy(secret)),
        Base64::encode_string(secret),
        hex(secret),
        hex(secret).to_uppercase(),
        list(format!("{secret:?}")),
        list(format!("{secret:02x?}")),
        list(format!("{secret:02X?}")),
    ]
}

/// Without white space, so that line breaks hide nothing.
fn flat(text: &str) -> String {
    text.split_whitespace().collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn count() -> NonZeroU32 {
    NonZeroU32::new(4096).unwrap()
}

/// The keys that belong to `PASSWORD`, `SALT` and the count of `SERVER_FIRST`.
fn keys() -> ScramKeys {
    ScramKeys::from_salted_password(Hash::Sha256, &salted_password(), SALT.to_vec(), count())
}

fn salted_password() -> Vec<u8> {
    let mut salted = vec![0; 32];
    pbkdf2::pbkdf2_hmac::<sha2::Sha256>(PASSWORD.as_bytes(), SALT, count().get(), &mut salted);
    salted
}

fn member(keys: &ScramKeys, name: &str) -> Vec<u8> {
    let json: serde_json::Value = serde_json::from_str(&keys.to_json()).unwrap();
    Base64::decode_vec(json[name].as_str().unwrap()).unwrap()
}
