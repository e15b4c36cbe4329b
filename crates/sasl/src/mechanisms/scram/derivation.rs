//! PBKDF2 (RFC 8018; `Hi()` in RFC 5802, section 2.2), in slices so that it can be cancelled.
//! It makes one block of output, the size of the hash, since SCRAM needs no more.

use std::{fmt, num::NonZeroU32};

use zeroize::{Zeroize, Zeroizing};

use super::{hash::Hash, keys::ScramKeys};
use crate::saslprep::{self, PreparationError};

/// The one slow step of a SCRAM login: many rounds of HMAC turn password and salt into keys.
///
/// A driver may run it in place with [`run`](Self::run), on another thread, or in slices with
/// [`advance`](Self::advance), between which it can be dropped. One whose platform derives keys
/// itself reads the inputs and builds the answer with [`ScramKeys::from_salted_password`].
///
/// ```
/// use std::num::NonZeroU32;
/// use epode_sasl::scram::{Derivation, Hash, Progress};
///
/// let iterations = NonZeroU32::new(4096).unwrap();
/// let mut derivation = Derivation::new(Hash::Sha256, "pencil", b"salt".to_vec(), iterations);
/// let keys = loop {
///     match derivation.advance(NonZeroU32::new(1000).unwrap()) {
///         Progress::More(rest) => derivation = rest, // here a driver may stop
///         Progress::Done(keys) => break keys,
///     }
/// };
/// assert_eq!(keys.iterations().get(), 4096);
/// ```
pub struct Derivation {
    hash: Hash,
    password: Zeroizing<String>,
    salt: Vec<u8>,
    iterations: NonZeroU32,
    /// Boxed, so that moving a half-done derivation leaves no copies of its state behind.
    rounds: Option<Box<Rounds>>,
}

impl Derivation {
    /// A derivation of `iterations` rounds from a password as a person types it, which is prepared
    /// (SASLprep) as for a login.
    ///
    /// # Errors
    ///
    /// [`PreparationError`] for a password that no login could use.
    ///
    /// ```
    /// use std::num::NonZeroU32;
    /// use epode_sasl::{PreparationError, scram::{Derivation, Hash}};
    ///
    /// let prepared = |password| Derivation::prepared(Hash::Sha1, password, vec![1], NonZeroU32::MIN);
    /// assert_eq!(prepared("\u{2168}")?.password(), "IX");
    /// assert_eq!(prepared("").unwrap_err(), PreparationError::Empty);
    /// # Ok::<(), PreparationError>(())
    /// ```
    pub fn prepared(
        hash: Hash,
        password: &str,
        salt: Vec<u8>,
        iterations: NonZeroU32,
    ) -> Result<Self, PreparationError> {
        let password = saslprep::prepare(password)?;
        Ok(Self { hash, password, salt, iterations, rounds: None })
    }

    /// A derivation of `iterations` rounds from a password that is prepared already.
    #[must_use]
    pub fn new(hash: Hash, password: &str, salt: Vec<u8>, iterations: NonZeroU32) -> Self {
        let password = Zeroizing::new(password.to_owned());
        Self { hash, password, salt, iterations, rounds: None }
    }

    /// The hash function.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The prepared password: for platforms that derive keys themselves.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The salt, decoded.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// How many rounds.
    #[must_use]
    pub fn iterations(&self) -> NonZeroU32 {
        self.iterations
    }

    /// Does all of it here and now.
    #[must_use]
    pub fn run(self) -> ScramKeys {
        match self.advance(NonZeroU32::MAX) {
            Progress::Done(keys) => keys,
            Progress::More(_) => unreachable!("no derivation has more than u32::MAX rounds"),
        }
    }

    /// Does at most `slice` more rounds; 4096 of them take about a millisecond or less.
    #[must_use]
    pub fn advance(mut self, slice: NonZeroU32) -> Progress {
        let rounds = self.rounds.get_or_insert_with(|| {
            let password = self.password.as_bytes();
            Box::new(Rounds::begin(self.hash, password, &self.salt, self.iterations))
        });
        if !rounds.advance(slice.get()) {
            return Progress::More(self);
        }
        let salted = rounds.salted_password(self.hash);
        let salt = std::mem::take(&mut self.salt);
        Progress::Done(ScramKeys::from_salted_password(self.hash, &salted, salt, self.iterations))
    }
}

impl fmt::Debug for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Derivation")
            .field("hash", &self.hash)
            .field("iterations", &self.iterations)
            .finish_non_exhaustive()
    }
}

/// Where a [`Derivation`] stands after a slice.
#[derive(Debug)]
pub enum Progress {
    /// Rounds are left.
    More(Derivation),
    /// All done.
    Done(ScramKeys),
}

/// The loop's state for the hash at hand; SHA-384 is SHA-512's loop with another start and length.
enum Rounds {
    Sha1(State<Sha1Blocks>),
    Sha256(State<Sha256Blocks>),
    Sha512(State<Sha512Blocks>),
}

impl Rounds {
    fn begin(hash: Hash, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Self {
        let mut first_input = Vec::with_capacity(salt.len() + 4);
        first_input.extend_from_slice(salt);
        first_input.extend_from_slice(&1_u32.to_be_bytes()); // the number of the output block
        let first = hash.hmac(password, &first_input);
        let left = iterations.get() - 1;
        match hash {
            Hash::Sha1 => Self::Sha1(State::begin(hash, SHA1_INITIAL, password, &first, left)),
            Hash::Sha256 => {
                Self::Sha256(State::begin(hash, SHA256_INITIAL, password, &first, left))
            }
            Hash::Sha384 => {
                Self::Sha512(State::begin(hash, SHA384_INITIAL, password, &first, left))
            }
            Hash::Sha512 => {
                Self::Sha512(State::begin(hash, SHA512_INITIAL, password, &first, left))
            }
        }
    }

    /// True when no round is left.
    fn advance(&mut self, slice: u32) -> bool {
        match self {
            Self::Sha1(state) => state.advance(slice),
            Self::Sha256(state) => state.advance(slice),
            Self::Sha512(state) => state.advance(slice),
        }
    }

    fn salted_password(&self, hash: Hash) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; hash.output_length()]);
        match self {
            Self::Sha1(state) => Sha1Blocks::store(&state.sum, &mut bytes),
            Self::Sha256(state) => Sha256Blocks::store(&state.sum, &mut bytes),
            Self::Sha512(state) => Sha512Blocks::store(&state.sum, &mut bytes),
        }
        bytes
    }
}

/// A hash function as its compression of single blocks, which is what the loop is made of.
trait Blocks {
    type Words: Copy + Zeroize;
    type Block: Copy + Zeroize + AsMut<[u8]>;
    const ZERO_BLOCK: Self::Block;
    fn compress(words: &mut Self::Words, block: &Self::Block);
    /// Writes as many bytes as `out` takes.
    fn store(words: &Self::Words, out: &mut [u8]);
    fn load(bytes: &[u8], words: &mut Self::Words);
    fn xor(sum: &mut Self::Words, words: &Self::Words);
}

macro_rules! blocks {
    ($name:ident, $word:ty, $words:literal, $block:literal, $compress:path) => {
        struct $name;

        impl Blocks for $name {
            type Words = [$word; $words];
            type Block = [u8; $block];
            const ZERO_BLOCK: Self::Block = [0; $block];

            fn compress(words: &mut Self::Words, block: &Self::Block) {
                $compress(words, std::slice::from_ref(block));
            }

            fn store(words: &Self::Words, out: &mut [u8]) {
                for (bytes, word) in out.chunks_exact_mut(size_of::<$word>()).zip(words) {
                    bytes.copy_from_slice(&word.to_be_bytes());
                }
            }

            fn load(bytes: &[u8], words: &mut Self::Words) {
                for (bytes, word) in bytes.chunks_exact(size_of::<$word>()).zip(words) {
                    *word = <$word>::from_be_bytes(bytes.try_into().expect("chunks are exact"));
                }
            }

            fn xor(sum: &mut Self::Words, words: &Self::Words) {
                sum.iter_mut().zip(words).for_each(|(sum, word)| *sum ^= word);
            }
        }
    };
}

blocks!(Sha1Blocks, u32, 5, 64, sha1::block_api::compress);
blocks!(Sha256Blocks, u32, 8, 64, sha2::block_api::compress256);
blocks!(Sha512Blocks, u64, 8, 128, sha2::block_api::compress512);

/// One round is two compressions: the inner and the outer hash of HMAC each begin with a block
/// that depends on the key alone, so their states after it are computed once and kept.
struct State<B: Blocks> {
    inner: B::Words,
    outer: B::Words,
    /// The running value, already laid out as the one padded block that both hashes compress.
    block: B::Block,
    output_length: usize,
    sum: B::Words,
    left: u32,
}

impl<B: Blocks> State<B> {
    fn begin(hash: Hash, initial: B::Words, password: &[u8], first: &[u8], left: u32) -> Self {
        let mut block = B::ZERO_BLOCK;
        let output_length = hash.output_length();
        let bytes = block.as_mut();
        let bits = (bytes.len() as u64 + output_length as u64) * 8;
        let length_at = bytes.len() - 8;
        bytes[..output_length].copy_from_slice(first);
        bytes[output_length] = 0x80;
        bytes[length_at..].copy_from_slice(&bits.to_be_bytes());
        let mut sum = initial;
        B::load(first, &mut sum);
        Self {
            inner: keyed::<B>(hash, initial, password, 0x36),
            outer: keyed::<B>(hash, initial, password, 0x5c),
            block,
            output_length,
            sum,
            left,
        }
    }

    fn advance(&mut self, slice: u32) -> bool {
        let rounds = self.left.min(slice);
        for _ in 0..rounds {
            let mut words = self.inner;
            B::compress(&mut words, &self.block);
            B::store(&words, &mut self.block.as_mut()[..self.output_length]);
            words = self.outer;
            B::compress(&mut words, &self.block);
            B::store(&words, &mut self.block.as_mut()[..self.output_length]);
            B::xor(&mut self.sum, &words);
        }
        self.left -= rounds;
        self.left == 0
    }
}

impl<B: Blocks> Drop for State<B> {
    fn drop(&mut self) {
        self.inner.zeroize();
        self.outer.zeroize();
        self.block.zeroize();
        self.sum.zeroize();
    }
}

/// The hash's state after the block that is the key, padded with zeros, xor `pad`.
fn keyed<B: Blocks>(hash: Hash, initial: B::Words, key: &[u8], pad: u8) -> B::Words {
    let mut block = B::ZERO_BLOCK;
    let bytes = block.as_mut();
    if key.len() > bytes.len() {
        let digest = hash.digest(key);
        bytes[..digest.len()].copy_from_slice(&digest);
    } else {
        bytes[..key.len()].copy_from_slice(key);
    }
    bytes.iter_mut().for_each(|byte| *byte ^= pad);
    let mut words = initial;
    B::compress(&mut words, &block);
    block.zeroize();
    words
}

// The initial values of FIPS 180-4, section 5.3.
const SHA1_INITIAL: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
const SHA256_INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];
const SHA384_INITIAL: [u64; 8] = [
    0xcbbb_9d5d_c105_9ed8,
    0x629a_292a_367c_d507,
    0x9159_015a_3070_dd17,
    0x152f_ecd8_f70e_5939,
    0x6733_2667_ffc0_0b31,
    0x8eb4_4a87_6858_1511,
    0xdb0c_2e0d_64f9_8fa7,
    0x47b5_481d_befa_4fa4,
];
const SHA512_INITIAL: [u64; 8] = [
    0x6a09_e667_f3bc_c908,
    0xbb67_ae85_84ca_a73b,
    0x3c6e_f372_fe94_f82b,
    0xa54f_f53a_5f1d_36f1,
    0x510e_527f_ade6_82d1,
    0x9b05_688c_2b3e_6c1f,
    0x1f83_d9ab_fb41_bd6b,
    0x5be0_cd19_137e_2179,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn salted(hash: Hash, password: &str, salt: &[u8], iterations: u32, slice: u32) -> Vec<u8> {
        let iterations = NonZeroU32::new(iterations).unwrap();
        let mut rounds = Rounds::begin(hash, password.as_bytes(), salt, iterations);
        while !rounds.advance(slice) {}
        rounds.salted_password(hash).to_vec()
    }

    fn oracle(hash: Hash, password: &str, salt: &[u8], iterations: u32) -> Vec<u8> {
        let mut out = vec![0; hash.output_length()];
        let derive = match hash {
            Hash::Sha1 => pbkdf2::pbkdf2_hmac::<sha1::Sha1>,
            Hash::Sha256 => pbkdf2::pbkdf2_hmac::<sha2::Sha256>,
            Hash::Sha384 => pbkdf2::pbkdf2_hmac::<sha2::Sha384>,
            Hash::Sha512 => pbkdf2::pbkdf2_hmac::<sha2::Sha512>,
        };
        derive(password.as_bytes(), salt, iterations, &mut out);
        out
    }

    #[test]
    fn agrees_with_an_independent_implementation() {
        let passwords = ["", "p", "pencil", &"x".repeat(64), &"x".repeat(65), &"ÿ".repeat(129)];
        for hash in Hash::ALL {
            for password in passwords {
                for (salt, iterations) in [(&b"salt"[..], 1), (&[0; 300], 2), (b"NaCl", 77)] {
                    let expected = oracle(hash, password, salt, iterations);
                    assert_eq!(salted(hash, password, salt, iterations, u32::MAX), expected);
                }
            }
        }
    }

    #[test]
    fn the_slice_does_not_change_the_result() {
        for slice in [1, 2, 7, 99, 100, 101] {
            let whole = oracle(Hash::Sha512, "pencil", b"salt", 100);
            assert_eq!(salted(Hash::Sha512, "pencil", b"salt", 100, slice), whole, "{slice}");
        }
    }

    #[test]
    fn the_vectors_of_rfc_6070() {
        for (password, salt, iterations, expected) in [
            ("password", "salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
            ("password", "salt", 2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
            ("password", "salt", 4096, "4b007901b765489abead49d926f721d065a429c1"),
        ] {
            let found = salted(Hash::Sha1, password, salt.as_bytes(), iterations, 1000);
            let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn debug_shows_neither_password_nor_salt() {
        let one = NonZeroU32::MIN;
        let shown = format!("{:?}", Derivation::new(Hash::Sha1, "pencil", b"salt".to_vec(), one));
        assert_eq!(shown, "Derivation { hash: Sha1, iterations: 1, .. }");
    }
}
