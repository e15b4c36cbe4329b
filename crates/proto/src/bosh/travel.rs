//! How long a request takes to the server and the answer back, as far as it shows.
//! What waits for that is decided in `window.rs`.

use std::{collections::VecDeque, time::Duration};

use crate::Time;

/// The last few round trips.
#[derive(Debug, Default)]
pub(super) struct Travel {
    times: VecDeque<Duration>,
    /// Until when connections are taken to break easily.
    rough_until: Time,
}

impl Travel {
    /// An answer came this long after the request that it was an answer to, or that made the server
    /// give it.
    pub(super) fn note(&mut self, time: Duration) {
        if self.times.len() == KEPT {
            self.times.pop_front();
        }
        self.times.push_back(time.min(LONGEST));
    }

    /// A connection broke, as more may.
    pub(super) fn broke(&mut self, now: Time) {
        self.rough_until = now + ROUGH;
    }

    /// When a request of this moment has arrived, or is known to be lost: after the shortest of
    /// those times, which costs nobody who waits for an answer anything. Where connections break,
    /// after the longest.
    pub(super) fn arrival(&self, asked: Time) -> Time {
        let is_rough = asked < self.rough_until;
        let time = if is_rough { self.times.iter().max() } else { self.times.iter().min() };
        asked + time.copied().unwrap_or_default()
    }
}

/// Enough for one that took its time to be among them.
const KEPT: usize = 8;
/// For so long after a connection broke, the way is taken to be rough.
const ROUGH: Duration = Duration::from_secs(60);
/// No request is held back longer than this for those before it.
const LONGEST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Time {
        Time::ZERO + Duration::from_millis(millis)
    }

    #[test]
    fn the_last_few_count_to_a_limit() {
        let mut travel = Travel::default();
        assert_eq!(travel.arrival(at(5)), at(5));
        travel.note(Duration::from_secs(60));
        assert_eq!(travel.arrival(at(5)), at(5) + LONGEST);
        for millis in 2..=9 {
            travel.note(Duration::from_millis(millis));
        }
        assert_eq!(travel.arrival(at(5)), at(7));
    }

    #[test]
    fn more_time_is_left_where_connections_break() {
        let mut travel = Travel::default();
        travel.note(Duration::from_millis(2));
        travel.note(Duration::from_millis(9));
        travel.broke(at(100));
        assert_eq!(travel.arrival(at(100)), at(109));
        let calm = at(100) + ROUGH;
        assert_eq!(travel.arrival(calm), calm + Duration::from_millis(2));
    }
}
