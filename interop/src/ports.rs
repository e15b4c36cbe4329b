//! Free loopback ports, and the wait until a server answers on one.
//!
//! A port that was free may be taken before the server binds it. The wait then fails and shows
//! the server's log, which says so.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use crate::{Error, Stop};

/// Ports on 127.0.0.1 that nobody listens on now, all different.
///
/// # Errors
/// [`Error::Port`] when the system has none.
pub(crate) fn free<const N: usize>() -> Result<[u16; N], Error> {
    // All are held until the last one is known: that makes them differ.
    let mut held = Vec::with_capacity(N);
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(loopback(0)).map_err(Error::Port)?;
        *port = listener.local_addr().map_err(Error::Port)?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Why a port did not open.
#[derive(Debug)]
pub(crate) enum Unready<E> {
    /// Time ran out.
    TimedOut,
    /// The caller's check failed, so that waiting has no point.
    GaveUp(E),
}

/// Waits until something accepts connections on a port of 127.0.0.1.
///
/// # Errors
/// [`Unready::TimedOut`] after `limit`, or what `still_worth_it` says, which is asked before each
/// try.
pub(crate) fn wait_until_open<E>(
    port: u16,
    limit: Duration,
    mut still_worth_it: impl FnMut() -> Result<(), E>,
) -> Result<(), Unready<E>> {
    let deadline = Instant::now() + limit;
    loop {
        still_worth_it().map_err(Unready::GaveUp)?;
        if connect(port).is_ok() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Unready::TimedOut);
        }
        thread::sleep(PAUSE);
    }
}

/// Connects to a port of 127.0.0.1.
///
/// # Errors
/// What the system says, at the latest after a second.
pub(crate) fn connect(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect_timeout(&loopback(port), Duration::from_secs(1))
}

/// A check for [`wait_until_open`]: nobody asked the run to end.
///
/// # Errors
/// [`Error::Stopped`] when somebody did.
pub(crate) fn unless_stopped(stop: &Stop) -> Result<(), Error> {
    if stop.is_raised() { Err(Error::Stopped) } else { Ok(()) }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Between two tries: short beside a server's start, long beside a try.
const PAUSE: Duration = Duration::from_millis(25);

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, net::TcpListener, time::Duration};

    use super::{Unready, free, loopback, unless_stopped, wait_until_open};
    use crate::{Error, Stop};

    #[test]
    fn ports_differ_and_are_free() {
        let ports = free::<8>().unwrap();
        for (index, port) in ports.iter().enumerate() {
            assert_ne!(*port, 0);
            assert!(!ports[..index].contains(port));
            TcpListener::bind(loopback(*port)).unwrap();
        }
    }

    #[test]
    fn a_port_that_opens_ends_the_wait() {
        let [port] = free().unwrap();
        let mut listener = None;
        let mut tries = 0;
        wait_until_open(port, Duration::from_secs(60), || {
            tries += 1;
            if tries == 2 {
                listener = Some(TcpListener::bind(loopback(port)).unwrap());
            }
            Ok::<_, Infallible>(())
        })
        .unwrap();
        assert_eq!(tries, 2);
    }

    #[test]
    fn a_silent_port_times_out() {
        let [port] = free().unwrap();
        let waited = wait_until_open(port, Duration::ZERO, || Ok::<_, Infallible>(()));
        assert!(matches!(waited, Err(Unready::TimedOut)));
    }

    #[test]
    fn a_stop_ends_the_wait() {
        let [port] = free().unwrap();
        let stop = Stop::new();
        stop.raise();
        let waited = wait_until_open(port, Duration::from_secs(60), || unless_stopped(&stop));
        assert!(matches!(waited, Err(Unready::GaveUp(Error::Stopped))));
    }
}
