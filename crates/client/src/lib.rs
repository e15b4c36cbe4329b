//! An XMPP client connection library with SASL at its heart.
//!
//! Connecting does the login by itself: of the mechanisms that the server offers, the strongest
//! that works for the given secret is used, and with SCRAM the server must prove itself too.
//!
//! ```no_run
//! use epode::{Client, Element};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut session = Client::builder("alice@example.org")?
//!     .password("secret")
//!     .connect()
//!     .await?;
//!
//! let hello = Element::new("message", "jabber:client")
//!     .with_attr("to", "bob@example.org")
//!     .with_child(Element::new("body", "jabber:client").with_text("Hello!"));
//! session.send(hello).await?;
//! if let Some(stanza) = session.receive().await {
//!     println!("{stanza}");
//! }
//! session.disconnect().await?;
//! # Ok(())
//! # }
//! ```
//!
//! * [`Client::builder`] is where to begin; [`Session`] is what it leads to.
//! * [`stanza!`] writes an element as XML that the compiler checks; [`mod@stanza`] has messages,
//!   presence and iqs to build.
//! * [`sasl::Policy`] restricts, denies and re-ranks mechanisms; [`AsyncMechanism`] adds one.
//! * [`Builder::watch`] tells the status flow, [`Builder::transcript`] shows every frame without
//!   its secrets, and each [`Error`] has a [`condition`](Error::condition) and an
//!   [`advice`](Error::advice).
//!
//! The state machine without I/O is [`epode_proto`]; the SASL core is [`epode_sasl`].
//!
//! # Features
//!
//! * `ring` (default) or `aws-lc-rs`: the cryptography under TLS. A program of its own may also
//!   bring a `rustls` configuration.
//! * `platform-verifier` (default) or `webpki-roots`: where trust in certificates comes from.
//! * `hickory` (default): looks up the SRV records of a domain, for [`discovery`].

mod answers;
mod builder;
mod caught;
mod component;
pub mod discovery;
mod driver;
mod error;
#[cfg(doctest)]
mod guide;
mod handlers;
mod https;
mod mechanism;
mod moment;
mod pins;
mod private_file;
mod resolver;
mod route;
pub mod services;
mod session;
mod sessions;
mod tokens;
mod transport;

/// The TLS library, in the version that [`TlsOptions`] takes configurations of.
pub use rustls;

pub use epode_proto::{
    self as proto, AccountTokens, AccountTokensError, Advice, Authenticating, Connected, Element,
    Explanation, FastToken, FastTokenError, InvalidUserAgentId, Jid, JidError, Liveness,
    LoginReport, NotARequest, Reconnect, Reconnecting, SaslProfile, ServerMemory,
    ServerMemoryError, SessionState, SessionStateError, Status, StatusCode, StreamManagement,
    TaskAnswer, TaskOffer, UserAgent, UserAgentId,
    bosh::{Attachment, AttachmentError, RestoreError},
    dispatch::{HandlerId, Pattern, TooManyHandlers},
    sasl, stanza,
};

pub use crate::{
    builder::{Builder, Client},
    component::ComponentBuilder,
    driver::{Delivery, NotDelivered, Receipt, RequestError},
    error::Error,
    handlers::{Handlers, StanzaStream},
    mechanism::{AsyncMechanism, GivenUp},
    pins::{MemoryPins, PinStore, PinStoreError},
    private_file::{PrivateFile, PrivateFileError},
    route::{Attempt, Route},
    session::{Outbox, Session, StatusEvents, Unbound},
    sessions::{
        FileSessions, MemorySessions, SessionStore, SessionStoreError, StoredSession,
        StoredSessionError,
    },
    tokens::{FileTokens, MemoryTokens, TokenStore, TokenStoreError},
    transport::{
        CertificateProblem, Endpoint, EndpointError, HeaderError, IoFailure, Peer, Phase, Proxy,
        ProxyError, ProxySettings, ProxyUrlError, TlsError, TlsOptions, TransportError,
        TransportOptions,
    },
};

/// What [`Builder::explain`] tells.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// How the server was found and reached.
    pub route: Route,
    /// What it offers, and what of that would be used.
    pub explanation: Explanation,
}

/// Which way a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From us to the server.
    Sent,
    /// From the server to us.
    Received,
}
