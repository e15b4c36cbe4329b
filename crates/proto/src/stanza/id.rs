//! Ids of stanzas that nobody else can foresee.
//!
//! Whether an answer comes from whom it should is checked where the answer is expected.

use std::sync::atomic::{AtomicU64, Ordering};

/// A fresh id, which nobody else can foresee: 128 random bits in hexadecimal digits.
///
/// Where the system has no randomness at all, ids only differ from each other. A login does not
/// begin there.
#[must_use]
pub fn unguessable_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 16];
    if getrandom::fill(&mut bytes).is_err() {
        let next = LAST.fetch_add(1, Ordering::Relaxed);
        bytes[..8].copy_from_slice(&next.to_be_bytes());
    }
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_long_and_all_different() {
        let ids: HashSet<_> = (0..1000).map(|_| unguessable_id()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        }
    }
}
