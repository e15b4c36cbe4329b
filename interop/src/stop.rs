//! A request to end the run, seen by every wait.
//!
//! It does not listen for signals: who owns the process does, and calls [`Stop::raise`].

use tokio::sync::watch;

/// A flag that goes up once. Clones share it.
#[derive(Clone, Debug)]
pub struct Stop(watch::Sender<bool>);

impl Stop {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(false))
    }

    /// Asks every wait to end. Calling it again changes nothing.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }

    /// Whether somebody asked.
    pub fn is_raised(&self) -> bool {
        *self.0.borrow()
    }

    /// Resolves once somebody asks, at once when somebody has.
    pub async fn raised(&self) {
        // It fails only when every sender is gone, and `self` is one.
        let _ = self.0.subscribe().wait_for(|raised| *raised).await;
    }
}

#[cfg(test)]
mod tests {
    use super::Stop;

    #[tokio::test]
    async fn clones_see_it() {
        let stop = Stop::new();
        let other = stop.clone();
        assert!(!other.is_raised());
        stop.raise();
        stop.raise();
        assert!(other.is_raised());
        other.raised().await;
    }
}
