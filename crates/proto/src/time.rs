//! Time as the machine sees it: a span since a zero that the driver chose.

use std::{ops::Add, time::Duration};

/// A moment, as the time since a zero that the driver chose. The machine never reads a clock, so
/// tests invent their own time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(Duration);

impl Time {
    /// The driver's zero.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment `since_zero` after zero.
    #[must_use]
    pub fn after(since_zero: Duration) -> Self {
        Self(since_zero)
    }

    /// How long after zero it is.
    #[must_use]
    pub fn since_zero(self) -> Duration {
        self.0
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(span))
    }
}
