//! Keys that show each request to come from whoever sent the one before (XEP-0124, section 15).
//!
//! Leaves out their making, which is the client's.

use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use super::body::Body;

/// What the key of the next request has to hash to, if the client uses keys.
#[derive(Default)]
pub(super) struct KeyChain(Option<String>);

impl KeyChain {
    /// Of the request that creates the session.
    pub(super) fn begin(body: &Body) -> Self {
        Self(body.attr("newkey").map(str::to_ascii_lowercase))
    }

    /// Whether the request continues the chain.
    pub(super) fn accept(&mut self, body: &Body) -> bool {
        let Some(expected) = &self.0 else { return true };
        let Some(key) = body.attr("key") else { return false };
        let hash: String = Sha1::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        let fits = bool::from(hash.as_bytes().ct_eq(expected.as_bytes()));
        self.0 = body.attr("newkey").or(Some(key)).map(str::to_ascii_lowercase);
        fits
    }
}
