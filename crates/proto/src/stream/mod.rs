//! What an XMPP stream says about itself: its header, its features, its errors.
//!
//! Elements in, plain values out; in which order they may come is not decided here.

mod error;
mod features;
mod header;
mod sasl2;
mod stanza_error;

pub use error::{SaslFailure, StreamError, Text};
pub(crate) use error::{is_language, text};
pub(crate) use features::distinct;
pub use features::{Features, FeaturesError, SessionFeature};
pub(crate) use header::is_same_domain;
pub use header::{HeaderError, StreamHeader};
pub(crate) use sasl2::lists;
pub use sasl2::{ConfigVersion, FastFeatures, Sasl2Features};
pub use stanza_error::{StanzaError, StanzaErrorCondition, StanzaErrorKind};

/// The beginning of a peer's text, for an error of ours that quotes it.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(MAX_EXCERPT).collect()
}

const MAX_EXCERPT: usize = 64;
