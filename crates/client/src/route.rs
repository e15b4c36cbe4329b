//! From an account to an open connection: where its server is, in which order the ways into it are
//! tried, and what came of each. What is then said over the connection is not known here.

use std::{fmt, time::Duration};

use epode_proto::{Jid, bosh, sasl::Channel};
use tokio::time::Instant;

use crate::{
    Error,
    discovery::{Candidate, CandidateKind, DiscoveryOptions, Note, Order, Origin, discover},
    transport::{ByteStream, Deadline, Endpoint, Link, TransportError, TransportOptions},
};

/// How a server was reached, or was not: what was looked up, and what was tried, in this order.
/// Over a stream of the caller's there is nothing to tell.
///
/// [`Display`](fmt::Display) makes a line of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Route {
    /// What was looked up, and what came of it; nothing where an endpoint was given.
    pub notes: Vec<Note>,
    /// What was tried; after a success nothing more.
    pub attempts: Vec<Attempt>,
}

impl Route {
    /// The endpoint that was connected to, if any.
    #[must_use]
    pub fn endpoint(&self) -> Option<&Endpoint> {
        let last = self.attempts.last().filter(|attempt| attempt.failure.is_none());
        last.map(|attempt| &attempt.endpoint)
    }

    /// True when something was tried, and everything took too long.
    #[must_use]
    pub fn is_timed_out(&self) -> bool {
        let timed_out =
            |attempt: &Attempt| matches!(attempt.failure, Some(TransportError::TimedOut { .. }));
        !self.attempts.is_empty() && self.attempts.iter().all(timed_out)
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notes = self.notes.iter().map(|note| note as &dyn fmt::Display);
        let attempts = self.attempts.iter().map(|attempt| attempt as &dyn fmt::Display);
        for (index, line) in notes.chain(attempts).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{line}")?;
        }
        Ok(())
    }
}

/// One attempt to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// To what.
    pub endpoint: Endpoint,
    /// Who named it; none where it was given.
    pub origin: Option<Origin>,
    /// Why it came to nothing; none if it did not.
    pub failure: Option<TransportError>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.endpoint)?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        match &self.failure {
            Some(failure) => write!(f, ": {failure} ({} ms)", self.took.as_millis()),
            None => write!(f, ": connected ({} ms)", self.took.as_millis()),
        }
    }
}

/// Where to connect, as far as it is known beforehand.
pub(crate) enum Destination {
    /// There already; the endpoint says what is spoken over it.
    Stream { stream: Box<dyn ByteStream>, channel: Channel, endpoint: Option<Endpoint> },
    /// Given, with the BOSH session that is there already.
    Session { jid: Jid, session: Box<bosh::Session>, endpoint: Endpoint },
    /// To be reached, as many times as need be.
    Way(Way),
}

/// A way to the server that can be gone more than once.
#[derive(Clone)]
pub(crate) enum Way {
    /// Given, so that nothing is looked up.
    Endpoint(Endpoint),
    /// To be found.
    Domain(DiscoveryOptions),
}

impl Destination {
    /// How to get there again, if one can.
    pub(crate) fn way(&self) -> Option<Way> {
        match self {
            Self::Way(way) => Some(way.clone()),
            _ => None,
        }
    }
}

/// An open connection, what protects it, and how it came about.
pub(crate) struct Opened {
    pub(crate) link: Link,
    pub(crate) channel: Channel,
    pub(crate) route: Route,
}

/// Whose server it is, and how to connect.
#[derive(Clone)]
pub(crate) struct Connector {
    pub(crate) domain: String,
    pub(crate) transport: TransportOptions,
    /// Whether something can be said in early data of TLS.
    pub(crate) early: bool,
}

impl Connector {
    /// Connects: to the first of the ways into the domain's server that works, unless it is told
    /// where to; in the time that the transport's options give to all of it.
    pub(crate) async fn open(&self, destination: Destination) -> Result<Opened, Error> {
        match destination {
            Destination::Stream { stream, channel, endpoint: Some(endpoint) } => {
                let (link, channel) =
                    Link::over(stream, channel, &endpoint, &self.transport).await?;
                Ok(Opened { link, channel, route: Route::default() })
            }
            Destination::Stream { stream, channel, endpoint: None } => {
                let (link, channel) =
                    Link::over_stream(stream, channel, &self.domain, &self.transport);
                Ok(Opened { link, channel, route: Route::default() })
            }
            Destination::Session { session, endpoint, .. } => {
                let (link, channel) = Link::attach(&endpoint, *session, &self.transport).await?;
                Ok(Opened { link, channel, route: Route::default() })
            }
            Destination::Way(Way::Endpoint(endpoint)) => self.open_endpoint(&endpoint).await,
            Destination::Way(Way::Domain(options)) => self.open_domain(&options).await,
        }
    }

    async fn open_endpoint(&self, endpoint: &Endpoint) -> Result<Opened, Error> {
        let mut route = Route::default();
        match self.attempt(endpoint, None, self.transport.timeout(), &mut route).await {
            Ok((link, channel)) => Ok(Opened { link, channel, route }),
            Err(error) => Err(error.into()),
        }
    }

    async fn open_domain(&self, options: &DiscoveryOptions) -> Result<Opened, Error> {
        let end = Deadline::after(self.transport.timeout()).instant();
        let mut route = Route::default();
        let rounds = rounds(options.order());
        for (index, order) in rounds.iter().enumerate() {
            let round = share(end, rounds.len() - index);
            // Names that nobody answers for leave time to connect without them.
            let options =
                options.clone().with_order(*order).within(share(round, 2) - Instant::now());
            let found = discover(&self.domain, &self.transport, &options).await?;
            route.notes.extend(found.notes);
            let ways: Vec<_> = found.candidates.iter().filter_map(endpoint_of).collect();
            for (index, (endpoint, origin)) in ways.iter().enumerate() {
                let limit = share(round, ways.len() - index) - Instant::now();
                let tried = self.attempt(endpoint, Some(*origin), limit, &mut route).await;
                if let Ok((link, channel)) = tried {
                    return Ok(Opened { link, channel, route });
                }
            }
        }
        Err(Error::NoRoute { domain: self.domain.clone(), route: Box::new(route) })
    }

    /// Notes the attempt; one that succeeds is the last, so that room for more is of no use.
    async fn attempt(
        &self,
        endpoint: &Endpoint,
        origin: Option<Origin>,
        limit: Duration,
        route: &mut Route,
    ) -> Result<(Link, Channel), TransportError> {
        let begun = Instant::now();
        let Self { domain, transport, early } = self;
        let connected = Link::connect(endpoint, domain, transport, limit, *early).await;
        route.attempts.push(Attempt {
            endpoint: endpoint.clone(),
            origin,
            failure: connected.as_ref().err().cloned(),
            took: begun.elapsed(),
        });
        if connected.is_ok() {
            route.attempts.shrink_to_fit();
        }
        connected
    }
}

/// When the first of so many must be done, so that those after it have as much time each.
fn share(end: Instant, among: usize) -> Instant {
    let now = Instant::now();
    now + end.saturating_duration_since(now) / u32::try_from(among).unwrap_or(1).max(1)
}

/// What to look for, one after the other: the web server is asked only where TCP leads nowhere
/// (XEP-0156, section 2.2), unless it is to come first.
fn rounds(order: Order) -> &'static [Order] {
    match order {
        Order::TcpFirst => &[Order::TcpOnly, Order::WebOnly],
        Order::WebSocketFirst => &[Order::WebSocketFirst],
        Order::TcpOnly => &[Order::TcpOnly],
        Order::WebOnly => &[Order::WebOnly],
    }
}

/// The endpoint of a way in.
fn endpoint_of(candidate: &Candidate) -> Option<(Endpoint, Origin)> {
    let endpoint = match &candidate.kind {
        CandidateKind::DirectTls => Endpoint::stream(&candidate.host, candidate.port, true)?,
        CandidateKind::StartTls => Endpoint::stream(&candidate.host, candidate.port, false)?,
        CandidateKind::WebSocket(endpoint) => endpoint.clone(),
        CandidateKind::Bosh(url) => url.endpoint().clone(),
    };
    Some((endpoint, candidate.origin))
}

#[cfg(all(test, feature = "hickory", any(feature = "ring", feature = "aws-lc-rs")))]
mod tests;
