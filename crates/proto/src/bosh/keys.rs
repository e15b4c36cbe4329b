//! Keys that show each request to come from whoever sent the one before (XEP-0124, section 15).
//!
//! They are for sessions over plain HTTP, against somebody who can read requests but not change
//! them. Against anybody else TLS is what helps.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use super::NoRandomness;

/// A sequence of keys, and those after it when it is used up.
pub(super) struct KeySequence {
    /// What all seeds are made from.
    secret: Zeroizing<[u8; 32]>,
    /// How many sequences were begun.
    begun: u64,
    /// K(1) to K(n), of which the last is used first.
    keys: Zeroizing<Vec<[u8; 20]>>,
}

impl KeySequence {
    pub(super) fn new() -> Result<Self, NoRandomness> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *secret).map_err(|_| NoRandomness)?;
        let mut sequence = Self { secret, begun: 0, keys: Zeroizing::default() };
        sequence.begin();
        Ok(sequence)
    }

    /// The `newkey` of the request that creates the session: K(n).
    pub(super) fn first(&mut self) -> Zeroizing<String> {
        self.take()
    }

    /// The `key` of a later request, and its `newkey` if that was the last of a sequence.
    pub(super) fn next(&mut self) -> (Zeroizing<String>, Option<Zeroizing<String>>) {
        let key = self.take();
        let new = self.keys.is_empty().then(|| {
            self.begin();
            self.take()
        });
        (key, new)
    }

    fn take(&mut self) -> Zeroizing<String> {
        hex(&self.keys.pop().unwrap_or_default())
    }

    fn begin(&mut self) {
        self.begun += 1;
        let mut hash = Sha1::new();
        hash.update(*self.secret);
        hash.update(self.begun.to_be_bytes());
        let seed: Zeroizing<[u8; 20]> = Zeroizing::new(hash.finalize().into());
        // K(n) is public; that n cannot be foreseen costs nothing.
        let length = SHORTEST + usize::from(seed[0]);
        let mut keys = Zeroizing::new(Vec::with_capacity(length));
        let mut key: [u8; 20] = Sha1::digest(hex(&seed).as_bytes()).into();
        for _ in 0..length {
            keys.push(key);
            key = Sha1::digest(hex(&key).as_bytes()).into();
        }
        self.keys = keys;
    }
}

fn hex(bytes: &[u8; 20]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(40));
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a string takes anything
    }
    text
}

/// How many requests a sequence lasts at least.
const SHORTEST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(key: &str) -> String {
        hex(&Sha1::digest(key).into()).to_string()
    }

    #[test]
    fn each_key_hashes_to_the_one_before() {
        let mut keys = KeySequence::new().expect("there is randomness");
        let mut expected = keys.first().to_string();
        let mut sequences = 1;
        for _ in 0..2000 {
            let (key, new) = keys.next();
            assert_eq!(hash(&key), expected);
            sequences += usize::from(new.is_some());
            expected = new.map_or_else(|| key.to_string(), |new| new.to_string());
        }
        assert!((3..=8).contains(&sequences), "{sequences}");
    }

    #[test]
    fn no_two_sessions_have_the_same_keys() {
        let first = || KeySequence::new().expect("there is randomness").first().to_string();
        assert_ne!(first(), first());
    }
}
