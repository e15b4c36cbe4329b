//! What the server's two messages must be for the login to go on.
//! Their grammar is in [`messages`](super::messages); who waits for them, in `client.rs`.

use std::num::NonZeroU32;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{
    keys::ScramKeys,
    messages::{ServerFinal, ServerFirst},
};
use crate::{Encryption, Limits, PeerFault, TlsVersion, constant_time};

pub(super) struct ExpectServerFirst {
    pub(super) nonce: String,
    /// The GS2 header, and the channel binding data if there is any (`c=`).
    pub(super) binding: Zeroizing<Vec<u8>>,
    pub(super) client_first_bare: String,
    /// What the server's lists hash to, as they reached us (XEP-0474).
    pub(super) downgrade_hash: String,
    pub(super) must_sign_lists: bool,
    /// What a server that says which TLS it sees must say (XEP-0515).
    pub(super) encryption: Encryption,
}

pub(super) struct ExpectServerFinal {
    pub(super) signature: Zeroizing<Vec<u8>>,
    pub(super) keys: ScramKeys,
}

/// What the server laid down, and the text that both sides will sign.
pub(super) struct Terms {
    pub(super) salt: Vec<u8>,
    pub(super) iterations: NonZeroU32,
    pub(super) client_final_without_proof: String,
    pub(super) auth_message: String,
}

/// Why a server's message ends the login: it is wrong, or it says `e=`.
pub(super) enum Refusal {
    Fault(PeerFault),
    ServerError(String),
}

impl From<PeerFault> for Refusal {
    fn from(fault: PeerFault) -> Self {
        Self::Fault(fault)
    }
}

impl ExpectServerFirst {
    pub(super) fn accept(self, limits: &Limits, message: &[u8]) -> Result<Terms, Refusal> {
        let message = text(message)?;
        if message.starts_with("e=") {
            return Err(server_error(message));
        }
        let first = ServerFirst::parse(message)?;
        if !first.nonce.starts_with(&self.nonce) {
            return Err(PeerFault::NonceNotOurs.into());
        }
        if first.nonce.len() == self.nonce.len() {
            return Err(PeerFault::NonceNotExtended.into());
        }
        let iterations = limits.check(&first.salt, first.iterations)?;
        match first.downgrade_hash {
            Some(hash) if hash == self.downgrade_hash => {}
            Some(_) => return Err(PeerFault::ListsChanged.into()),
            None if self.must_sign_lists => return Err(PeerFault::BindingsRemoved.into()),
            None => {}
        }
        if first.tls_version.is_some_and(|seen| !is_of(self.encryption, seen)) {
            return Err(PeerFault::TlsVersionChanged.into());
        }
        let binding = Base64::encode_string(&self.binding);
        let client_final_without_proof = format!("c={binding},r={}", first.nonce);
        let auth_message =
            format!("{},{message},{client_final_without_proof}", self.client_first_bare);
        Ok(Terms { salt: first.salt, iterations, client_final_without_proof, auth_message })
    }
}

impl ExpectServerFinal {
    pub(super) fn accept(self, message: &[u8]) -> Result<ScramKeys, Refusal> {
        match ServerFinal::parse(text(message)?)? {
            ServerFinal::Verifier(signature)
                if constant_time::equal(&signature, &self.signature) =>
            {
                Ok(self.keys)
            }
            ServerFinal::Verifier(_) => Err(PeerFault::SignatureWrong.into()),
            ServerFinal::Error(condition) => Err(Refusal::ServerError(plain_word(condition))),
        }
    }
}

fn text(message: &[u8]) -> Result<&str, PeerFault> {
    std::str::from_utf8(message).map_err(|_| PeerFault::Malformed("it is not UTF-8"))
}

/// Whether the server sees the TLS that we see (XEP-0515, section 4.2): one that sees any where we
/// have none does not. Where we cannot tell the version, as in a browser, nothing can be compared.
fn is_of(encryption: Encryption, seen: &str) -> bool {
    match encryption {
        Encryption::None => false,
        Encryption::UnknownTls => true,
        Encryption::Tls(TlsVersion::Tls12) => seen == "0303",
        Encryption::Tls(TlsVersion::Tls13) => seen == "0304",
    }
}

fn server_error(message: &str) -> Refusal {
    match ServerFinal::parse(message) {
        Ok(ServerFinal::Error(condition)) => Refusal::ServerError(plain_word(condition)),
        Ok(ServerFinal::Verifier(_)) => PeerFault::Malformed("v= where r= is due").into(),
        Err(fault) => fault.into(),
    }
}

/// RFC 5802 names the conditions and lets servers add more; they end up on terminals. One of
/// which nothing can be shown is an `other-error`, as section 7 says of unknown ones.
fn plain_word(condition: &str) -> String {
    let shown = condition.chars().filter(char::is_ascii_graphic).take(CONDITION_LIMIT);
    let word: String = shown.collect();
    if word.is_empty() { "other-error".to_owned() } else { word }
}

const CONDITION_LIMIT: usize = 64;
