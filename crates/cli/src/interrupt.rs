//! Ctrl-C and the signal by which a system ends its services. While a command waits
//! for the network it ends at once; at a prompt the terminal is put in order first. Blocking reads
//! of files are left to the signals' default.

use crate::exit::Failure;

/// Does the work, unless Ctrl-C comes first.
pub(crate) async fn unless_interrupted<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    tokio::select! {
        done = work => Ok(done),
        // Without a handler there is the signal's default, which ends the process.
        Ok(()) = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
    }
}

/// From here on the signal no longer kills the process by itself. A prompt needs that: it reads
/// Ctrl-C as a key, raises the signal, and only then gives the terminal its echo back.
pub(crate) fn hold() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        // The registration outlives the stream; where it fails, the default stays.
        drop(signal(SignalKind::interrupt()));
    }
}

/// The wish that a server ends.
pub(crate) struct Stop {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stop {
    /// From here on no wish is missed.
    pub(crate) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};

        let listen =
            |kind| signal(kind).map_err(|error| Failure::internal(format!("no signals: {error}")));
        let interrupt = listen(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: listen(SignalKind::terminate())? })
    }

    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Stop {
    pub(crate) fn listen() -> Result<Self, Failure> {
        Ok(Self {})
    }

    pub(crate) async fn wait(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
