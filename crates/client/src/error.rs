//! Why a client is not, or no longer, connected.

use epode_proto::{Advice, ApiMisuse, bosh::RestoreError, stream::Text};

use crate::{
    Attempt, PinStoreError, Route, SessionStoreError, TokenStoreError,
    discovery::{DomainError, Finding, Note, Question},
    transport::TransportError,
};

/// Why a client is not, or no longer, connected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The domain of the account cannot be that of a server.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// Of the ways into the domain's server that were found, none works; or none was found.
    #[error("{}", no_route(domain, route))]
    NoRoute {
        /// The domain.
        domain: String,
        /// What was looked up and tried.
        route: Box<Route>,
    },
    /// The endpoint could not be reached, or the connection to it not be secured.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The connection or the login failed, or ended.
    #[error(transparent)]
    Connection(#[from] epode_proto::Error),
    /// The account's pin could not be read or kept ([`Builder::pins`](crate::Builder::pins)).
    #[error("the store of pins: {0}")]
    Pins(#[from] PinStoreError),
    /// A stored session was not restored ([`Builder::restore`](crate::Builder::restore)).
    #[error("the session was not restored: {0}")]
    Restore(#[from] RestoreError),
    /// The stored session could not be read ([`Builder::sessions`](crate::Builder::sessions)).
    #[error("the store of the session: {0}")]
    Sessions(#[from] SessionStoreError),
    /// The account's tokens could not be read, or the next count of one not be kept
    /// ([`Builder::tokens`](crate::Builder::tokens)).
    #[error("the store of tokens: {0}")]
    Tokens(#[from] TokenStoreError),
    /// Only BOSH has sessions that can be taken over or handed over.
    #[error("only a BOSH session can be taken over or handed over; connect to an https:// URL")]
    NotBosh,
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
            Self::Domain(_) => "invalid-domain",
            Self::NoRoute { route, .. } if route.attempts.is_empty() => "server-not-found",
            Self::NoRoute { route, .. } if route.is_timed_out() => "timeout",
            Self::NoRoute { .. } => "connection-failed",
            Self::Transport(TransportError::TimedOut { .. }) => "timeout",
            Self::Transport(_) => "connection-failed",
            Self::Connection(error) => error.condition(),
            Self::Pins(_) => "pin-store",
            Self::Restore(_) => "not-restored",
            Self::Sessions(_) => "session-store",
            Self::Tokens(_) => "token-store",
            Self::NotBosh => "not-bosh",
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
            Self::NoRoute { route, .. } if is_temporary(route) => Advice::Retry,
            Self::Connection(error) => error.advice(),
            Self::Domain(_)
            | Self::NoRoute { .. }
            | Self::Transport(_)
            | Self::Pins(_)
            | Self::Restore(_)
            | Self::Sessions(_)
            | Self::Tokens(_)
            | Self::NotBosh
            | Self::NotSent(_)
            | Self::Ended => Advice::Stop,
        }
    }
}

fn is_temporary(route: &Route) -> bool {
    let failed = |note: &Note| matches!(note.finding, Finding::Failed { .. });
    let passes =
        |attempt: &Attempt| attempt.failure.as_ref().is_some_and(|error| error.is_temporary());
    route.attempts.iter().any(passes) || route.notes.iter().any(failed)
}

fn no_route(domain: &str, route: &Route) -> String {
    let join = |lines: Vec<String>| lines.join("; ");
    if route.attempts.is_empty() {
        let notes = join(route.notes.iter().map(ToString::to_string).collect());
        return format!("no server is known for {domain}: {notes}");
    }
    // What was tried without them may not be where the server is.
    let is_of_dns = |note: &&Note| {
        matches!(note.about, Question::SrvXmpps | Question::SrvXmpp)
            && matches!(note.finding, Finding::Failed { .. })
    };
    let unknown = route.notes.iter().filter(is_of_dns).map(ToString::to_string);
    let attempts = route.attempts.iter().map(ToString::to_string);
    let lines = join(unknown.chain(attempts).collect());
    format!("no way into the server of {domain} works: {lines}")
}
