//! What a SCRAM login leaves behind for the next one, in the JSON shape of the page.
//! Where keys are stored is the application's business.

use std::{fmt, num::NonZeroU32};

use base64ct::{Base64, Encoding};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::hash::Hash;
use crate::json_object::{self, Unreadable};

/// Keys derived from a password: with them the next login needs neither password nor PBKDF2.
///
/// They are good only while the server keeps this account's hash, salt and iteration count, and
/// they are as secret as the password on this server: whoever has them can log in. Wiped on drop;
/// `Debug` shows no key.
///
/// ```
/// use epode_sasl::scram::ScramKeys;
///
/// let json = r#"{"name":"SHA-1","ck":"4jTEe/bDZpbdbYUrmaqiuiZVVyg=","sk":"D+CSWLOshSulAsxiupA+qs2/fTE=","iter":4096,"salt":"QSXCR+Q6sek8bf92"}"#;
/// let keys = ScramKeys::from_json(json)?;
/// assert_eq!(keys.iterations().get(), 4096);
/// assert_eq!(keys.to_json().as_str(), json);
/// # Ok::<(), epode_sasl::scram::KeysError>(())
/// ```
#[derive(Clone)]
pub struct ScramKeys {
    hash: Hash,
    client_key: Zeroizing<Vec<u8>>,
    server_key: Zeroizing<Vec<u8>>,
    iterations: NonZeroU32,
    salt: Vec<u8>,
    salted_password: Option<Zeroizing<Vec<u8>>>,
}

impl ScramKeys {
    /// The keys that follow from a salted password (RFC 5802, section 3), for platforms with a
    /// PBKDF2 of their own.
    #[must_use]
    pub fn from_salted_password(
        hash: Hash,
        salted_password: &[u8],
        salt: Vec<u8>,
        iterations: NonZeroU32,
    ) -> Self {
        let client_key = hash.hmac(salted_password, b"Client Key");
        let server_key = hash.hmac(salted_password, b"Server Key");
        let salted_password = Some(Zeroizing::new(salted_password.to_vec()));
        Self { hash, client_key, server_key, iterations, salt, salted_password }
    }

    /// Reads the page's JSON object: `name`, `ck`, `sk`, `iter`, `salt`, the last and the keys
    /// in base64. Unknown members are passed over.
    ///
    /// # Errors
    ///
    /// [`KeysError`] says which member is wrong, without quoting it.
    pub fn from_json(json: &str) -> Result<Self, KeysError> {
        let parsed: Json = json_object::read(json)?;
        let hash: Hash = parsed.name.parse().map_err(|_| KeysError::UnknownHash)?;
        let client_key = decode("ck", &parsed.ck, hash)?;
        let server_key = decode("sk", &parsed.sk, hash)?;
        let iterations = NonZeroU32::new(parsed.iter).ok_or(KeysError::NoIterations)?;
        let salt = Base64::decode_vec(&parsed.salt).map_err(|_| KeysError::Base64("salt"))?;
        if salt.is_empty() {
            return Err(KeysError::NoSalt);
        }
        Ok(Self { hash, client_key, server_key, iterations, salt, salted_password: None })
    }

    /// Writes the page's JSON object. The text is a secret too, and is wiped on drop.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let json = Json {
            name: self.hash.name().to_owned(),
            ck: Base64::encode_string(&self.client_key),
            sk: Base64::encode_string(&self.server_key),
            iter: self.iterations.get(),
            salt: Base64::encode_string(&self.salt),
        };
        // Large enough never to grow, which would leave copies behind.
        let capacity = json.ck.len() + json.sk.len() + json.salt.len() + 96;
        let mut text = Zeroizing::new(Vec::with_capacity(capacity));
        serde_json::to_writer(&mut *text, &json).expect("strings and a number always serialise");
        Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).expect("JSON is UTF-8"))
    }

    /// The hash function that they were derived with.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The iteration count that they were derived with.
    #[must_use]
    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// The salt that they were derived with, decoded.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// What they follow from: what an upgrade task (XEP-0480) sends. As secret as they are. Only
    /// keys that were just derived have it; it is no part of the JSON.
    #[must_use]
    pub fn salted_password(&self) -> Option<&[u8]> {
        self.salted_password.as_ref().map(|bytes| bytes.as_slice())
    }

    pub(super) fn fit(&self, hash: Hash, salt: &[u8], iterations: NonZeroU32) -> bool {
        self.hash == hash && self.salt == salt && self.iterations == iterations
    }

    /// `ClientProof` of RFC 5802, section 3.
    pub(super) fn client_proof(&self, auth_message: &[u8]) -> Zeroizing<Vec<u8>> {
        let stored_key = self.hash.digest(&self.client_key);
        let mut proof = self.hash.hmac(&stored_key, auth_message);
        proof.iter_mut().zip(self.client_key.iter()).for_each(|(byte, key)| *byte ^= key);
        proof
    }

    /// `ServerSignature` of RFC 5802, section 3.
    pub(super) fn server_signature(&self, auth_message: &[u8]) -> Zeroizing<Vec<u8>> {
        self.hash.hmac(&self.server_key, auth_message)
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramKeys")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// Why a text is not a usable set of keys. No variant holds any part of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// Not JSON, a member is missing or of the wrong type.
    #[error("not the JSON object {{name, ck, sk, iter, salt}}: {0}")]
    Json(#[from] Unreadable),
    /// `name` is none of the four hashes.
    #[error("`name` is none of SHA-1, SHA-256, SHA-384 and SHA-512")]
    UnknownHash,
    /// The member named is not padded standard base64.
    #[error("`{0}` is not base64")]
    Base64(&'static str),
    /// The key named has not the length of the hash's output.
    #[error("`{member}` has {found} bytes where {expected} are due: is the file truncated?")]
    Length {
        /// `ck` or `sk`.
        member: &'static str,
        /// The hash's output length.
        expected: usize,
        /// What was found.
        found: usize,
    },
    /// `iter` is 0.
    #[error("`iter` is 0")]
    NoIterations,
    /// `salt` is empty.
    #[error("`salt` is empty")]
    NoSalt,
}

#[derive(Serialize, Deserialize)]
struct Json {
    name: String,
    ck: String,
    sk: String,
    iter: u32,
    salt: String,
}

impl Drop for Json {
    fn drop(&mut self) {
        self.ck.zeroize();
        self.sk.zeroize();
    }
}

fn decode(member: &'static str, base64: &str, hash: Hash) -> Result<Zeroizing<Vec<u8>>, KeysError> {
    let key = Base64::decode_vec(base64).map_err(|_| KeysError::Base64(member))?;
    let key = Zeroizing::new(key);
    let (expected, found) = (hash.output_length(), key.len());
    if expected == found { Ok(key) } else { Err(KeysError::Length { member, expected, found }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key() {
        let keys =
            ScramKeys::from_salted_password(Hash::Sha1, b"x", b"salt".to_vec(), NonZeroU32::MIN);
        assert_eq!(format!("{keys:?}"), "ScramKeys { hash: Sha1, iterations: 1, .. }");
    }
}
