//! Random values: nonces, salts and names.
//!
//! All come from the system; there is no generator with a state of its own.

use base64ct::{Base64, Encoding};

/// So many random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes
}

/// A nonce of 18 bytes in base64, which has no comma.
pub(crate) fn nonce() -> String {
    Base64::encode_string(&bytes::<18>())
}

/// A name of 16 characters that fits any part of an address.
pub(crate) fn name() -> String {
    bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect()
}
