//! A race over the addresses of one host (RFC 8305): each gets a head start over the next.
//! Where the addresses come from, and that they were looked up at all, is for others.

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, sleep_until};

/// What became of each address that was tried, in the order in which they were; `None` stands for
/// one that had not answered when the time was over.
pub(super) type Failures = Vec<(SocketAddr, Option<io::Error>)>;

/// Connects to the first address that answers, and gives up the others.
///
/// An attempt begins `delay` after the one before it, or as soon as an attempt has failed; never
/// less than 10 milliseconds after the one before it (RFC 8305, section 5).
pub(super) async fn race<S, F>(
    addresses: &[SocketAddr],
    delay: Duration,
    deadline: Instant,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<(SocketAddr, S), Failures>
where
    F: Future<Output = io::Result<S>>,
{
    let mut waiting = addresses.iter().copied();
    let mut failures = Failures::new();
    let mut running = FuturesUnordered::new();
    let (mut next, mut last) = (waiting.next(), None);
    let mut due = Instant::now();
    loop {
        if next.is_none() && running.is_empty() {
            return Err(failures);
        }
        tokio::select! {
            biased;
            Some((index, result)) = running.next() => match result {
                Ok(stream) => return Ok((addresses[index], stream)),
                Err(error) => {
                    let failed: &mut (_, Option<io::Error>) = &mut failures[index];
                    failed.1 = Some(error);
                    due = last.map_or(due, |last| last + MIN_DELAY).max(Instant::now());
                }
            },
            () = sleep_until(deadline) => return Err(failures),
            () = sleep_until(due), if next.is_some() => if let Some(address) = next {
                let index = failures.len();
                failures.push((address, None));
                let attempt = connect(address);
                running.push(async move { (index, attempt.await) });
                next = waiting.next();
                let now = Instant::now();
                (last, due) = (Some(now), now + delay.clamp(MIN_DELAY, MAX_DELAY));
            },
        }
    }
}

/// Takes the two address families in turn, beginning with the one that came first (RFC 8305,
/// section 4), each address once, and not too many.
pub(super) fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
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

/// The head start of an address over the next, unless another is set.
pub(super) const DEFAULT_DELAY: Duration = Duration::from_millis(250);
pub(super) const MIN_DELAY: Duration = Duration::from_millis(10);
pub(super) const MAX_DELAY: Duration = Duration::from_secs(2);

/// More addresses than this are not tried.
const MAX_ADDRESSES: usize = 16;

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::HashMap};

    use tokio::time::sleep;

    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|address| address.parse().unwrap()).collect()
    }

    const V6: &str = "[2001:db8::1]:5222";
    const V4: &str = "192.0.2.1:5222";
    const V4_TOO: &str = "192.0.2.2:5222";

    /// A network where each address answers, with success or not, after some milliseconds, or
    /// never. Tells at which millisecond each was tried, and which attempts were given up.
    #[derive(Default)]
    struct Network {
        answers: HashMap<SocketAddr, (u64, io::Result<()>)>,
        tried: RefCell<Vec<(u128, SocketAddr)>>,
        given_up: RefCell<Vec<SocketAddr>>,
    }

    impl Network {
        fn new(answers: Vec<(&str, u64, Option<io::ErrorKind>)>) -> Self {
            let answers = answers.into_iter().map(|(address, after, error)| {
                let result = error.map_or(Ok(()), |kind| Err(kind.into()));
                (address.parse().unwrap(), (after, result))
            });
            Self { answers: answers.collect(), ..Self::default() }
        }

        async fn race(
            &self,
            list: &[&str],
            delay: u64,
        ) -> (Option<SocketAddr>, Vec<Option<io::ErrorKind>>, u128) {
            let begun = Instant::now();
            let deadline = begun + Duration::from_secs(10);
            let connect = |address| {
                self.tried.borrow_mut().push((begun.elapsed().as_millis(), address));
                self.connect(address)
            };
            let delay = Duration::from_millis(delay);
            let result = race(&addresses(list), delay, deadline, connect).await;
            let took = begun.elapsed().as_millis();
            match result {
                Ok((address, ())) => (Some(address), Vec::new(), took),
                Err(failures) => {
                    let kinds =
                        failures.iter().map(|(_, error)| error.as_ref().map(io::Error::kind));
                    (None, kinds.collect(), took)
                }
            }
        }

        async fn connect(&self, address: SocketAddr) -> io::Result<()> {
            struct OnDrop<'a>(&'a Network, SocketAddr, bool);
            impl Drop for OnDrop<'_> {
                fn drop(&mut self) {
                    if !self.2 {
                        self.0.given_up.borrow_mut().push(self.1);
                    }
                }
            }
            let mut watch = OnDrop(self, address, false);
            let Some((after, result)) = self.answers.get(&address) else {
                return std::future::pending().await;
            };
            sleep(Duration::from_millis(*after)).await;
            watch.2 = true;
            result.as_ref().copied().map_err(|error| error.kind().into())
        }

        fn tried(&self) -> Vec<(u128, SocketAddr)> {
            self.tried.take()
        }
    }

    fn tried(list: &[(u128, &str)]) -> Vec<(u128, SocketAddr)> {
        list.iter().map(|(at, address)| (*at, address.parse().unwrap())).collect()
    }

    const REFUSED: Option<io::ErrorKind> = Some(io::ErrorKind::ConnectionRefused);
    const UNREACHABLE: Option<io::ErrorKind> = Some(io::ErrorKind::NetworkUnreachable);

    #[tokio::test(start_paused = true)]
    async fn the_first_address_has_a_head_start() {
        let network = Network::new(vec![(V6, 200, None), (V4, 1, None)]);
        let (winner, _, took) = network.race(&[V6, V4], 250).await;
        assert_eq!((winner, took), (Some(V6.parse().unwrap()), 200));
        assert_eq!(network.tried(), tried(&[(0, V6)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_address_costs_its_head_start_only() {
        let network = Network::new(vec![(V4, 30, None)]);
        let (winner, _, took) = network.race(&[V6, V4, V4_TOO], 250).await;
        assert_eq!((winner, took), (Some(V4.parse().unwrap()), 280));
        assert_eq!(network.tried(), tried(&[(0, V6), (250, V4)]));
        assert_eq!(network.given_up.take(), addresses(&[V6]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_address_may_still_win() {
        let network = Network::new(vec![(V6, 600, None), (V4, 400, None), (V4_TOO, 400, REFUSED)]);
        let (winner, _, took) = network.race(&[V6, V4, V4_TOO], 250).await;
        assert_eq!((winner, took), (Some(V6.parse().unwrap()), 600));
        assert_eq!(network.tried(), tried(&[(0, V6), (250, V4), (500, V4_TOO)]));
        let mut given_up = network.given_up.take();
        given_up.sort();
        assert_eq!(given_up, addresses(&[V4, V4_TOO]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_lets_the_next_begin() {
        let network =
            Network::new(vec![(V6, 40, REFUSED), (V4, 0, UNREACHABLE), (V4_TOO, 5, None)]);
        let (winner, _, took) = network.race(&[V6, V4, V4_TOO], 250).await;
        assert_eq!((winner, took), (Some(V4_TOO.parse().unwrap()), 55));
        // The second fails at once; the third waits for the 10 milliseconds of the RFC.
        assert_eq!(network.tried(), tried(&[(0, V6), (40, V4), (50, V4_TOO)]));
    }

    #[tokio::test(start_paused = true)]
    async fn all_failures_are_told() {
        let network = Network::new(vec![(V6, 300, UNREACHABLE), (V4, 10, REFUSED)]);
        let (winner, failures, took) = network.race(&[V6, V4], 250).await;
        assert_eq!((winner, took), (None, 300));
        assert_eq!(failures, [UNREACHABLE, REFUSED]);
        assert_eq!(network.race(&[], 250).await, (None, vec![], 0));
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_ends_the_race() {
        let network = Network::new(vec![(V4, 10, REFUSED)]);
        let (winner, failures, took) = network.race(&[V6, V4], 250).await;
        assert_eq!((winner, took), (None, 10_000));
        assert_eq!(failures, [None, REFUSED]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_head_start_has_bounds() {
        for (delay, second) in [(0, 10), (10, 10), (700, 700), (60_000, 2000)] {
            let network = Network::new(vec![(V4, 0, None)]);
            network.race(&[V6, V4], delay).await;
            assert_eq!(network.tried(), tried(&[(0, V6), (second, V4)]));
        }
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
}
