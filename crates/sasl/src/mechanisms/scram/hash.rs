//! The four hash functions of SCRAM and the HMAC over them.
//! The loop that derives keys is in [`derivation`](super::derivation).

use std::{fmt, str::FromStr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use zeroize::Zeroizing;

use crate::MechanismName;

/// A hash function that SCRAM can be built on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1, as in RFC 5802.
    Sha1,
    /// SHA-256, as in RFC 7677.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// All of them, strongest first.
    pub const ALL: [Self; 4] = [Self::Sha512, Self::Sha384, Self::Sha256, Self::Sha1];

    /// The name as the keys' JSON has it: `SHA-1`, `SHA-256`, `SHA-384` or `SHA-512`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    /// The mechanism that is SCRAM with this hash.
    #[must_use]
    pub fn mechanism(self) -> MechanismName {
        match self {
            Self::Sha1 => MechanismName::SCRAM_SHA_1,
            Self::Sha256 => MechanismName::SCRAM_SHA_256,
            Self::Sha384 => MechanismName::SCRAM_SHA_384,
            Self::Sha512 => MechanismName::SCRAM_SHA_512,
        }
    }

    /// The mechanism that is SCRAM with this hash and channel binding.
    #[must_use]
    pub fn plus_mechanism(self) -> MechanismName {
        match self {
            Self::Sha1 => MechanismName::SCRAM_SHA_1_PLUS,
            Self::Sha256 => MechanismName::SCRAM_SHA_256_PLUS,
            Self::Sha384 => MechanismName::SCRAM_SHA_384_PLUS,
            Self::Sha512 => MechanismName::SCRAM_SHA_512_PLUS,
        }
    }

    /// That of a SCRAM mechanism, with channel binding or without.
    pub(crate) fn of(mechanism: &MechanismName) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|hash| [hash.mechanism(), hash.plus_mechanism()].contains(mechanism))
    }

    /// The length of its output, in bytes.
    #[must_use]
    pub fn output_length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    pub(crate) fn digest(self, data: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha384 => Sha384::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        })
    }

    pub(crate) fn hmac(self, key: &[u8], data: &[u8]) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            Self::Sha1 => mac::<Hmac<Sha1>>(key, data),
            Self::Sha256 => mac::<Hmac<Sha256>>(key, data),
            Self::Sha384 => mac::<Hmac<Sha384>>(key, data),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, data),
        })
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Hash {
    type Err = UnknownHash;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|hash| hash.name() == name).ok_or(UnknownHash)
    }
}

/// The name is none of the four hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown hash: SHA-1, SHA-256, SHA-384 and SHA-512 are known")]
pub struct UnknownHash;

fn mac<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac =
        <M as KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length (RFC 2104)");
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}
