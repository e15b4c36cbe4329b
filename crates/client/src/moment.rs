//! Moments to come. What happens then is not known here.

use std::time::Duration;

use tokio::time::Instant;

/// The moment after so long; in a very long time, where no clock can hold that one.
pub(crate) fn later(from: Instant, span: Duration) -> Instant {
    from.checked_add(span).unwrap_or(from + A_LONG_TIME)
}

const A_LONG_TIME: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
