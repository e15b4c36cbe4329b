//! The four hashes of SCRAM, and the arithmetic of RFC 5802, section 3, over them.
//!
//! Leaves out messages and accounts. It stands on the RustCrypto crates alone and shares no code
//! with the client's derivation, so that a slip on either side shows up as a failed login.

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

/// A hash that SCRAM is defined for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha512,
    Sha384,
    Sha256,
    Sha1,
}

/// The keys that a password, a salt and a count give: whoever holds them can log in.
pub(crate) struct Keys {
    pub(crate) client_key: Zeroizing<Vec<u8>>,
    pub(crate) stored_key: Zeroizing<Vec<u8>>,
    pub(crate) server_key: Zeroizing<Vec<u8>>,
}

impl Hash {
    /// All of them, the strongest first.
    pub(crate) const ALL: [Self; 4] = [Self::Sha512, Self::Sha384, Self::Sha256, Self::Sha1];

    /// The mechanism that uses this hash without channel binding.
    pub(crate) const fn mechanism(self) -> &'static str {
        match self {
            Self::Sha512 => "SCRAM-SHA-512",
            Self::Sha384 => "SCRAM-SHA-384",
            Self::Sha256 => "SCRAM-SHA-256",
            Self::Sha1 => "SCRAM-SHA-1",
        }
    }

    /// The mechanism that uses this hash with channel binding.
    pub(crate) const fn plus_mechanism(self) -> &'static str {
        match self {
            Self::Sha512 => "SCRAM-SHA-512-PLUS",
            Self::Sha384 => "SCRAM-SHA-384-PLUS",
            Self::Sha256 => "SCRAM-SHA-256-PLUS",
            Self::Sha1 => "SCRAM-SHA-1-PLUS",
        }
    }

    /// The hash of a mechanism's name, if it is a SCRAM mechanism.
    pub(crate) fn of_mechanism(name: &str) -> Option<Self> {
        let is_named = |hash: &Self| name == hash.mechanism() || name == hash.plus_mechanism();
        Self::ALL.into_iter().find(is_named)
    }

    /// Whether the name is that of a SCRAM mechanism with channel binding.
    pub(crate) fn is_plus(name: &str) -> bool {
        Self::ALL.into_iter().any(|hash| hash.plus_mechanism() == name)
    }

    /// Its place in [`Self::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }

    /// `H` of the RFC.
    pub(crate) fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha512 => Sha512::digest(data).to_vec(),
            Self::Sha384 => Sha384::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha1 => Sha1::digest(data).to_vec(),
        }
    }

    /// `HMAC` of the RFC.
    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha512 => hmac_with::<Sha512>(key, data),
            Self::Sha384 => hmac_with::<Sha384>(key, data),
            Self::Sha256 => hmac_with::<Sha256>(key, data),
            Self::Sha1 => hmac_with::<Sha1>(key, data),
        }
    }

    /// `Hi` of the RFC, and the keys that follow from it.
    pub(crate) fn keys(self, password: &str, salt: &[u8], iterations: u32) -> Keys {
        self.keys_of(&self.salted_password(password.as_bytes(), salt, iterations))
    }

    /// The keys that follow from what `Hi` gives.
    pub(crate) fn keys_of(self, salted: &[u8]) -> Keys {
        let client_key = Zeroizing::new(self.hmac(salted, b"Client Key"));
        let stored_key = Zeroizing::new(self.digest(&client_key));
        let server_key = Zeroizing::new(self.hmac(salted, b"Server Key"));
        Keys { client_key, stored_key, server_key }
    }

    /// `Hi` of the RFC.
    pub(crate) fn salted_password(
        self,
        password: &[u8],
        salt: &[u8],
        count: u32,
    ) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(vec![0; self.length()]);
        match self {
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, count, &mut out),
            Self::Sha384 => pbkdf2::pbkdf2_hmac::<Sha384>(password, salt, count, &mut out),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, count, &mut out),
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, count, &mut out),
        }
        out
    }

    /// How long its values are.
    pub(crate) const fn length(self) -> usize {
        match self {
            Self::Sha512 => 64,
            Self::Sha384 => 48,
            Self::Sha256 => 32,
            Self::Sha1 => 20,
        }
    }
}

/// Two byte strings of one length, combined bit by bit; the shorter one bounds the result.
pub(crate) fn xor(left: &[u8], right: &[u8]) -> Vec<u8> {
    left.iter().zip(right).map(|(a, b)| a ^ b).collect()
}

fn hmac_with<D: EagerHash>(key: &[u8], data: &[u8]) -> Vec<u8>
where
    Hmac<D>: Mac + KeyInit,
{
    let mac = <Hmac<D> as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(data).finalize().into_bytes().to_vec()
}
