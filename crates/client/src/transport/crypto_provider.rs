//! The cryptography under TLS, by feature.
//! That of the process is neither read nor set.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

#[cfg(feature = "ring")]
pub(super) fn default_provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
pub(super) fn default_provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
pub(super) fn default_provider() -> Option<Arc<CryptoProvider>> {
    None
}
