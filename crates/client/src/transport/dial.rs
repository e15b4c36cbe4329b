//! From a host name to a TCP connection: lookup, and a race over the addresses.
//! Whether that host is the server or a proxy is decided elsewhere.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use super::{
    error::TransportError,
    happy_eyeballs::{Failures, interleave, race},
    options::TransportOptions,
    peer::{IoFailure, Peer, Phase},
};
use crate::{
    moment::later,
    resolver::{LookupError, Resolver},
};

/// The moment by which a connection must stand, whatever it still has to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    pub(crate) fn after(timeout: Duration) -> Self {
        Self(later(Instant::now(), timeout))
    }

    /// Runs one phase, and says which it was when the time is over.
    pub(crate) async fn bound<T>(
        self,
        phase: Phase,
        peer: &Peer,
        work: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, TransportError> {
        match timeout_at(self.0, work).await {
            Ok(result) => result,
            Err(_) => Err(TransportError::TimedOut { phase, peer: peer.clone() }),
        }
    }

    pub(crate) fn instant(self) -> Instant {
        self.0
    }
}

/// The addresses of a host, in the order to try them.
pub(super) async fn resolve(
    peer: &Peer,
    resolver: &dyn Resolver,
    deadline: Deadline,
) -> Result<Vec<SocketAddr>, TransportError> {
    let unresolved = |error: LookupError| match error {
        LookupError::TimedOut => {
            TransportError::TimedOut { phase: Phase::Resolve, peer: peer.clone() }
        }
        other => TransportError::Unresolved { peer: peer.clone(), reason: other.to_string() },
    };
    let lookup = async {
        match peer.host().parse() {
            Ok(address) => Ok(vec![address]),
            Err(_) => resolver.addresses(peer.host()).await.map_err(unresolved),
        }
    };
    let found: Vec<IpAddr> = deadline.bound(Phase::Resolve, peer, lookup).await?;
    if found.is_empty() {
        return Err(unresolved(LookupError::NoRecords));
    }
    let addresses = found.into_iter().map(|address| (address, peer.port()).into());
    let addresses = interleave(addresses.collect());
    tracing::debug!(host = peer.host(), addresses = addresses.len(), "name resolved");
    Ok(addresses)
}

/// Connects to the first of a host's addresses that answers.
pub(super) async fn dial(
    peer: &Peer,
    options: &TransportOptions,
    deadline: Deadline,
) -> Result<TcpStream, TransportError> {
    let addresses = resolve(peer, options.resolver(), deadline).await?;
    let connect = |address| async move {
        let connected = TcpStream::connect(address).await;
        tracing::debug!(%address, failure = ?connected.as_ref().err(), "tried");
        connected
    };
    match race(&addresses, options.attempt_delay(), deadline.instant(), connect).await {
        Ok((address, stream)) => {
            tracing::debug!(host = peer.host(), port = peer.port(), %address, "connected");
            // Small messages go back and forth; a system that cannot send them at once still
            // sends them.
            let _ = stream.set_nodelay(true);
            Ok(stream)
        }
        Err(failures) => Err(unreachable(peer.clone(), failures)),
    }
}

/// Sums the attempts up.
fn unreachable(peer: Peer, failures: Failures) -> TransportError {
    let (tried, failures): (Vec<_>, Vec<_>) = failures.into_iter().unzip();
    let refused = |failure: &Option<io::Error>| {
        failure.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if !tried.is_empty() && failures.iter().all(refused) {
        return TransportError::Refused { peer, tried };
    }
    match failures.iter().flatten().last() {
        Some(error) => TransportError::Unreachable { peer, tried, failure: IoFailure::from(error) },
        None => TransportError::TimedOut { phase: Phase::Dial, peer },
    }
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, sync::Arc};

    use tokio::net::TcpListener;

    use super::{super::fixtures::options, *};
    use crate::resolver::{Lookup, SrvRecord};

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn minute() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    #[test]
    fn what_happened_at_all_addresses_is_summed_up() {
        let peer = || Peer::server("a.example".to_owned(), 1);
        let tried = || addresses(&["[::1]:1", "127.0.0.1:1"]);
        let refused = || Some(io::Error::from(io::ErrorKind::ConnectionRefused));
        let unroutable = || Some(io::Error::from(io::ErrorKind::NetworkUnreachable));
        let sum = |failures: [Option<io::Error>; 2]| {
            unreachable(peer(), tried().into_iter().zip(failures).collect())
        };
        let failure = IoFailure::from(&unroutable().unwrap());

        assert_eq!(
            sum([refused(), refused()]),
            TransportError::Refused { peer: peer(), tried: tried() }
        );
        assert_eq!(
            sum([None, None]),
            TransportError::TimedOut { phase: Phase::Dial, peer: peer() }
        );
        for failures in [[refused(), unroutable()], [unroutable(), None]] {
            let expected = TransportError::Unreachable {
                peer: peer(),
                tried: tried(),
                failure: failure.clone(),
            };
            assert_eq!(sum(failures), expected);
        }
    }

    #[tokio::test]
    async fn a_port_without_a_listener_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = Peer::server("127.0.0.1".to_owned(), address.port());
        assert_eq!(dial(&peer, &options(), minute()).await.unwrap().peer_addr().unwrap(), address);
        drop(listener);
        let error = dial(&peer, &options(), minute()).await.unwrap_err();
        assert_eq!(error, TransportError::Refused { peer, tried: vec![address] });
    }

    /// Finds the same for every host.
    #[derive(Debug)]
    struct Always(Result<Vec<IpAddr>, LookupError>);

    impl Resolver for Always {
        fn srv<'a>(&'a self, _name: &'a str) -> Lookup<'a, Vec<SrvRecord>> {
            Box::pin(std::future::ready(Err(LookupError::Unsupported)))
        }

        fn addresses<'a>(&'a self, _host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
            Box::pin(std::future::ready(self.0.clone()))
        }
    }

    #[tokio::test]
    async fn the_resolver_of_the_options_is_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = Peer::server("a.example".to_owned(), address.port());
        let ask = async |found| {
            let options = options().with_resolver(Arc::new(Always(found)));
            dial(&peer, &options, minute()).await
        };

        // Nobody listens at the first.
        let found = vec![Ipv4Addr::new(127, 0, 0, 2).into(), Ipv4Addr::LOCALHOST.into()];
        assert_eq!(ask(Ok(found)).await.unwrap().peer_addr().unwrap(), address);

        let unresolved = |error: LookupError| TransportError::Unresolved {
            peer: peer.clone(),
            reason: error.to_string(),
        };
        let none = LookupError::NoRecords;
        assert_eq!(ask(Ok(Vec::new())).await.unwrap_err(), unresolved(none.clone()));
        assert_eq!(ask(Err(none.clone())).await.unwrap_err(), unresolved(none));
        let timed_out = TransportError::TimedOut { phase: Phase::Resolve, peer: peer.clone() };
        assert_eq!(ask(Err(LookupError::TimedOut)).await.unwrap_err(), timed_out);
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_one_does_not_resolve() {
        // Longer than a label may be (RFC 1035, section 2.3.4): no name service is asked.
        let peer = Peer::server(format!("{}.example", "a".repeat(64)), 1);
        let error = dial(&peer, &options(), minute()).await.unwrap_err();
        assert!(matches!(error, TransportError::Unresolved { peer: p, .. } if p == peer));
    }

    #[tokio::test(start_paused = true)]
    async fn a_phase_that_never_ends_is_named() {
        let peer = Peer::server("a.example".to_owned(), 1);
        for timeout in [Duration::from_secs(60), Duration::ZERO] {
            let never = std::future::pending::<Result<(), TransportError>>();
            let error = Deadline::after(timeout).bound(Phase::Tls, &peer, never).await.unwrap_err();
            assert_eq!(error, TransportError::TimedOut { phase: Phase::Tls, peer: peer.clone() });
        }
        let done = Deadline::after(Duration::MAX).bound(Phase::Tls, &peer, async { Ok(1) }).await;
        assert_eq!(done, Ok(1));
    }
}
