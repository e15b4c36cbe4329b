//! How elements are put on the wire and taken off it: over WebSocket and over TCP.
//!
//! Bytes in, frames out, without I/O; a transport only carries the bytes.

pub mod tcp;
pub mod websocket;

use crate::stream::StreamHeader;
use crate::xml::{Element, XmlError};

/// One thing that a peer sent, the same for both framings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The stream is opened. Nothing in the header is checked yet.
    Open(StreamHeader),
    /// The stream is closed.
    Close {
        /// Where the server wants the client to go instead (RFC 7395, section 3.6.1).
        see_other_uri: Option<String>,
    },
    /// Anything else: features, SASL, stanzas, errors.
    Element(Element),
}

/// Why what a peer sent is no frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// It is not XML that XMPP allows.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A stream header in the wrong namespace; the answer is `invalid-namespace`.
    #[error(
        "the stream header {name:?} is in the namespace {found:?}, not in {expected:?}: does this address speak XMPP?"
    )]
    WrongNamespace {
        /// Which header.
        name: &'static str,
        /// The namespace it should have.
        expected: &'static str,
        /// The namespace it has, cut to 64 characters.
        found: String,
    },
    /// The XML begins with another element than a stream header.
    #[error(
        "the XML begins with {found:?}, not with a stream header: does this address speak XMPP?"
    )]
    NotAStream {
        /// The name of the element, cut to 64 characters.
        found: String,
    },
    /// The peer sent more before the stream was restarted. Whoever could write into the
    /// connection earlier might have sent it, so it is never carried over.
    #[error("the server sent something between the end of the negotiation step and the new stream")]
    BytesBeforeRestart,
}
