//! The signal by which a running server tells its connections to end.
//!
//! Leaves out the waiting for them, which whoever started them does.

use tokio::sync::watch;

/// Waits for the signal; clones wait for the same one.
#[derive(Clone, Debug)]
pub(super) struct Shutdown(Option<watch::Receiver<bool>>);

/// Gives the signal, at the latest when dropped.
#[derive(Debug)]
pub(super) struct Trigger(watch::Sender<bool>);

impl Shutdown {
    pub(super) fn channel() -> (Trigger, Self) {
        let (sender, receiver) = watch::channel(false);
        (Trigger(sender), Self(Some(receiver)))
    }

    /// A signal that nobody will give.
    pub(super) fn never() -> Self {
        Self(None)
    }

    /// Waits for the signal. Nothing is lost when dropped early.
    pub(super) async fn wait(&mut self) {
        match &mut self.0 {
            // An error means that the trigger is gone, which is a signal as well.
            Some(receiver) => drop(receiver.wait_for(|stop| *stop).await),
            None => std::future::pending().await,
        }
    }
}

impl Trigger {
    pub(super) fn pull(&self) {
        self.0.send_replace(true);
    }
}
