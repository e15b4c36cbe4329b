//! From a host name to a TCP connection: lookup, and the addresses in turn.
//! Whether that host is the server or a proxy is decided elsewhere.

use std::{collections::VecDeque, future::Future, io, net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpStream, lookup_host},
    time::{Instant, timeout_at},
};

use super::{
    error::TransportError,
    peer::{IoFailure, Peer, Phase},
};

/// The moment by which a connection must stand, whatever it still has to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(timeout: Duration) -> Self {
        let now = Instant::now();
        Self(now.checked_add(timeout).unwrap_or(now + A_LONG_TIME))
    }

    /// Runs one phase, and says which it was when the time is over.
    pub(super) async fn bound<T>(
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

    /// An equal part of what is left, for one of `parts` attempts.
    fn share(self, parts: usize) -> Instant {
        let now = Instant::now();
        let parts = u32::try_from(parts).unwrap_or(u32::MAX).max(1);
        now + self.0.saturating_duration_since(now) / parts
    }
}

/// The addresses of a host, in the order to try them.
///
/// A lookup that is given up goes on in the background until the system ends it.
pub(super) async fn resolve(
    peer: &Peer,
    deadline: Deadline,
) -> Result<Vec<SocketAddr>, TransportError> {
    let unresolved = |reason: String| TransportError::Unresolved { peer: peer.clone(), reason };
    let lookup = async {
        let found = lookup_host((peer.host(), peer.port())).await;
        found.map(Iterator::collect::<Vec<_>>).map_err(|error| unresolved(error.to_string()))
    };
    let addresses = interleave(deadline.bound(Phase::Resolve, peer, lookup).await?);
    if addresses.is_empty() {
        return Err(unresolved("the lookup found nothing".to_owned()));
    }
    tracing::debug!(host = peer.host(), addresses = addresses.len(), "name resolved");
    Ok(addresses)
}

/// Connects to the first of a host's addresses that answers.
pub(super) async fn dial(peer: &Peer, deadline: Deadline) -> Result<TcpStream, TransportError> {
    let addresses = resolve(peer, deadline).await?;
    let mut failures = Vec::with_capacity(addresses.len());
    for (index, address) in addresses.iter().enumerate() {
        let until = deadline.share(addresses.len() - index);
        let failure = match timeout_at(until, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                tracing::debug!(host = peer.host(), port = peer.port(), %address, "connected");
                // Small messages go back and forth; a system that cannot send them at once still
                // sends them.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        tracing::debug!(host = peer.host(), %address, ?failure, "no connection");
        failures.push(failure);
    }
    Err(unreachable(peer.clone(), addresses, &failures))
}

/// Sums the attempts up; `None` stands for an address that did not answer in its time.
fn unreachable(
    peer: Peer,
    tried: Vec<SocketAddr>,
    failures: &[Option<io::Error>],
) -> TransportError {
    let refused = |failure: &Option<io::Error>| {
        failure.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    };
    if failures.iter().all(refused) {
        return TransportError::Refused { peer, tried };
    }
    match failures.iter().flatten().last() {
        Some(error) => TransportError::Unreachable { peer, tried, failure: IoFailure::from(error) },
        None => TransportError::TimedOut { phase: Phase::Dial, peer },
    }
}

/// Takes the two address families in turn, beginning with the one that the system put first
/// (RFC 8305, section 4), each address once.
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (mut turn, mut other): (VecDeque<_>, VecDeque<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let mut ordered = Vec::new();
    while let Some(address) = turn.pop_front().or_else(|| other.pop_front()) {
        if ordered.len() == MAX_ADDRESSES {
            break;
        }
        if !ordered.contains(&address) {
            ordered.push(address);
        }
        if !other.is_empty() {
            std::mem::swap(&mut turn, &mut other);
        }
    }
    ordered
}

/// More addresses than this are not tried.
const MAX_ADDRESSES: usize = 16;

/// Stands for a time-out too long to be added to the clock.
const A_LONG_TIME: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn minute() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    #[test]
    fn the_families_take_turns() {
        let ordered = |list: &[&str]| interleave(addresses(list));
        assert_eq!(
            ordered(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]),
            addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"])
        );
        assert_eq!(
            ordered(&["1.1.1.1:1", "[::1]:1", "1.1.1.1:1"]),
            addresses(&["1.1.1.1:1", "[::1]:1"])
        );
        assert_eq!(ordered(&["1.1.1.1:1"]), addresses(&["1.1.1.1:1"]));
        assert_eq!(ordered(&[]), []);
    }

    #[test]
    fn only_so_many_addresses_are_tried() {
        let many = (0..100).map(|port| SocketAddr::from(([127, 0, 0, 1], port))).collect();
        assert_eq!(interleave(many).len(), MAX_ADDRESSES);
    }

    #[test]
    fn what_happened_at_all_addresses_is_summed_up() {
        let peer = || Peer::server("a.example".to_owned(), 1);
        let tried = || addresses(&["[::1]:1", "127.0.0.1:1"]);
        let refused = || Some(io::Error::from(io::ErrorKind::ConnectionRefused));
        let unroutable = || Some(io::Error::from(io::ErrorKind::NetworkUnreachable));
        let sum = |failures: &[Option<io::Error>]| unreachable(peer(), tried(), failures);
        let failure = IoFailure::from(&unroutable().unwrap());

        assert_eq!(
            sum(&[refused(), refused()]),
            TransportError::Refused { peer: peer(), tried: tried() }
        );
        assert_eq!(
            sum(&[None, None]),
            TransportError::TimedOut { phase: Phase::Dial, peer: peer() }
        );
        for failures in [[refused(), unroutable()], [unroutable(), None]] {
            let expected = TransportError::Unreachable {
                peer: peer(),
                tried: tried(),
                failure: failure.clone(),
            };
            assert_eq!(sum(&failures), expected);
        }
    }

    #[tokio::test]
    async fn a_port_without_a_listener_refuses() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = Peer::server("127.0.0.1".to_owned(), address.port());
        assert_eq!(dial(&peer, minute()).await.unwrap().peer_addr().unwrap(), address);
        drop(listener);
        let error = dial(&peer, minute()).await.unwrap_err();
        assert_eq!(error, TransportError::Refused { peer, tried: vec![address] });
    }

    #[tokio::test]
    async fn a_name_that_cannot_be_one_does_not_resolve() {
        // Longer than a label may be (RFC 1035, section 2.3.4): no name service is asked.
        let peer = Peer::server(format!("{}.example", "a".repeat(64)), 1);
        let error = dial(&peer, minute()).await.unwrap_err();
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
