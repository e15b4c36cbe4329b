//! Why a client is not, or no longer, connected.

use epode_proto::{Advice, ApiMisuse, stream::Text};

use crate::transport::TransportError;

/// Why a client is not, or no longer, connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No endpoint was given, and servers are not looked up yet.
    #[error(
        "no endpoint: name the server's WebSocket with Builder::endpoint, \
         as wss://example.org/xmpp-websocket"
    )]
    NoEndpoint,
    /// The server could not be reached.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The connection or the login failed, or ended.
    #[error(transparent)]
    Connection(#[from] epode_proto::Error),
    /// What was to be sent cannot be, or not now.
    #[error("not sent: {0}")]
    NotSent(ApiMisuse),
    /// The session has ended, as it was asked to.
    #[error("the session has ended")]
    Ended,
}

impl Error {
    /// One word for it, stable, and the server's own where the server said one; see
    /// [`epode_proto::Error::condition`].
    #[must_use]
    pub fn condition(&self) -> &str {
        match self {
            Self::NoEndpoint => "no-endpoint",
            Self::Transport(TransportError::TimedOut { .. }) => "timeout",
            Self::Transport(_) => "connection-failed",
            Self::Connection(error) => error.condition(),
            Self::NotSent(_) => "not-sent",
            Self::Ended => "ended",
        }
    }

    /// What the server added for people, if anything.
    #[must_use]
    pub fn text(&self) -> Option<Text> {
        match self {
            Self::Connection(error) => error.text(),
            _ => None,
        }
    }

    /// What an application had best do next.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Transport(error) if error.is_temporary() => Advice::Retry,
            Self::Connection(error) => error.advice(),
            Self::Transport(_) | Self::NoEndpoint | Self::NotSent(_) | Self::Ended => Advice::Stop,
        }
    }
}
