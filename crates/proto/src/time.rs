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

/// A moment in seconds since 1970 as a date and time of XEP-0082, as `2026-11-28T04:30:00Z`.
pub(crate) fn timestamp(unix: u64) -> String {
    let (days, second) = (unix / 86_400, unix % 86_400);
    // Eras of 400 years, which begin on the first of March, so that leap days are the last.
    let day = days + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let day = day - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = 400 * era + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::timestamp;

    #[test]
    fn moments_are_dates() {
        for (unix, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(timestamp(unix), expected);
        }
    }
}
