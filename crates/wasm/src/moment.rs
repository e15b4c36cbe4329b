//! Moments as JavaScript has them: milliseconds since a zero that it chose.

use std::time::Duration;

use epode_proto::Time;

/// What is no moment is zero: the conversion saturates.
pub(crate) fn time(millis: f64) -> Time {
    Time::after(Duration::from_millis(millis as u64))
}

pub(crate) fn millis(time: Time) -> f64 {
    time.since_zero().as_secs_f64() * 1000.0
}
