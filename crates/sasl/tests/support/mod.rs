//! What the tests share: short ways into a login, and the published messages of RFC 5802.
//! No server lives here: what a server says is written out where it matters.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{fmt::Debug, sync::Arc};

use base64ct::{Base64, Encoding};
use epode_sasl::{
    Answer, Channel, Credentials, Error, Exchange, MechanismName, PeerFault, Policy, Question,
    Registry, Response, Turn,
    scram::{Derivation, Hash, Scram},
};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// The conversation of RFC 5802, section 5: user `user`, password `pencil`.
pub(crate) mod published {
    pub(crate) const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";
    pub(crate) const CLIENT_FIRST: &str = "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL";
    pub(crate) const SERVER_FIRST: &str =
        "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096";
    pub(crate) const CLIENT_FINAL: &str = "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,\
        p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=";
    pub(crate) const SERVER_FINAL: &str = "v=rmF9pqV8S7suAoZWja4dJRkFsKQ=";
    pub(crate) const KEYS: &str = r#"{"name":"SHA-1","ck":"4jTEe/bDZpbdbYUrmaqiuiZVVyg=","sk":"D+CSWLOshSulAsxiupA+qs2/fTE=","iter":4096,"salt":"QSXCR+Q6sek8bf92"}"#;
}

/// The default mechanisms, those of SCRAM with this nonce instead of a random one.
pub(crate) fn registry_with_nonce(nonce: &str) -> Registry {
    Hash::ALL.into_iter().fold(Registry::default(), |registry, hash| {
        [Scram::new(hash), Scram::plus(hash)].into_iter().fold(registry, |registry, scram| {
            registry.with(Arc::new(scram.danger_with_fixed_nonce(nonce)))
        })
    })
}

/// A channel that every mechanism may be used on.
pub(crate) fn best_channel() -> Channel {
    Channel::encrypted().with_client_certificate()
}

/// Begins a login by this mechanism, under the default policy.
pub(crate) fn begin(name: &MechanismName, who: Credentials) -> Result<Turn, Error> {
    begin_under(&Policy::default(), name, who)
}

/// Begins a login by this mechanism, under a policy that permits it.
pub(crate) fn begin_under(
    policy: &Policy,
    name: &MechanismName,
    who: Credentials,
) -> Result<Turn, Error> {
    let registry = registry_with_nonce(published::NONCE);
    let offered = [name.clone()];
    let selection = policy.select(&registry, &who, &best_channel(), &offered);
    Exchange::begin(selection.expect("the test's mechanism is usable"), who, best_channel())
}

/// A login of the published conversation that waits for the server's first message.
pub(crate) fn at_server_first(policy: &Policy, who: Credentials) -> Exchange {
    let turn = begin_under(policy, &MechanismName::SCRAM_SHA_1, who).unwrap();
    let (login, sent) = servers_move(turn);
    assert_eq!(sent.unwrap().as_bytes(), published::CLIENT_FIRST.as_bytes());
    login
}

/// A login of the published conversation that waits for the server's signature.
pub(crate) fn at_server_final() -> Exchange {
    let login = at_server_first(&Policy::default(), Credentials::password("user", "pencil"));
    let (login, sent) = servers_move(derive(login.challenge(published::SERVER_FIRST.as_bytes())));
    assert_eq!(sent.unwrap().as_bytes(), published::CLIENT_FINAL.as_bytes());
    login
}

/// What the true server of the published conversation would say to this last message, whatever
/// it is bound to.
pub(crate) fn server_signature(client_final: &str) -> String {
    let keys: serde_json::Value = serde_json::from_str(published::KEYS).unwrap();
    let server_key = Base64::decode_vec(keys["sk"].as_str().unwrap()).unwrap();
    let (without_proof, _) = client_final.rsplit_once(",p=").unwrap();
    let bare = published::CLIENT_FIRST.trim_start_matches("n,,");
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(&server_key).unwrap();
    mac.update(format!("{bare},{},{without_proof}", published::SERVER_FIRST).as_bytes());
    format!("v={}", Base64::encode_string(&mac.finalize().into_bytes()))
}

/// The turn must be the server's.
pub(crate) fn servers_move(turn: Turn) -> (Exchange, Option<Response>) {
    match turn {
        Turn::Server(login, sent) => (login, sent),
        Turn::Question(_, question) => panic!("asked {question:?}"),
    }
}

/// The turn must be a derivation, which is run.
pub(crate) fn derive(turn: Result<Turn, Error>) -> Turn {
    derive_with(turn, Derivation::run)
}

/// The turn must be a derivation, which is answered with what `run` makes of it.
pub(crate) fn derive_with(
    turn: Result<Turn, Error>,
    run: impl FnOnce(Derivation) -> epode_sasl::scram::ScramKeys,
) -> Turn {
    match turn.unwrap() {
        Turn::Question(pending, Question::Derive(derivation)) => {
            pending.answer(Answer::Keys(run(derivation))).unwrap()
        }
        other => panic!("no derivation but {other:?}"),
    }
}

/// The step must have been refused: nothing was sent and nothing asked.
pub(crate) fn refused<T: Debug>(result: Result<T, Error>, what: impl Debug) -> Error {
    match result {
        Ok(turn) => panic!("{what:?} was taken, and led to {turn:?}"),
        Err(error) => error,
    }
}

/// The error for a server that broke the rules of this mechanism.
pub(crate) fn fault(mechanism: &MechanismName, fault: PeerFault) -> Error {
    Error::PeerMisbehaved { mechanism: mechanism.clone(), fault }
}

/// A small generator (Knuth's MMIX constants): the same numbers in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let high = usize::try_from(self.0 >> 33).expect("31 bits fit");
        high % limit
    }
}
