//! When an empty request is due: soon enough to hear the server, never in a busy loop.
//! How many requests may be under way is in `window.rs`.

use std::time::Duration;

use super::Granted;
use crate::Time;

/// What decides when an empty request is due, given that no other is under way.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last empty request was sent first.
    last_empty: Option<Time>,
    /// The last request was empty, and so was its answer.
    is_quiet: bool,
    /// Since when it is our turn to speak: until then the server has nothing to say.
    our_turn: Option<Time>,
    /// Since when the session is paused, and for how long.
    paused: Option<(Time, Duration)>,
}

impl Pace {
    /// A new request is sent.
    pub(super) fn sent(&mut self, now: Time, is_empty: bool) {
        self.is_quiet = false;
        self.paused = None;
        if is_empty {
            self.last_empty = Some(now);
        }
    }

    /// We have something to say.
    pub(super) fn spoke(&mut self) {
        self.our_turn = None;
    }

    /// An answer came. `is_quiet`: neither it nor the request, which was the last one, said
    /// anything. `is_our_turn`: the server is waiting for us now.
    pub(super) fn heard(&mut self, now: Time, is_quiet: bool, is_our_turn: bool) {
        self.is_quiet = is_quiet;
        if is_our_turn {
            self.our_turn = Some(now);
        } else if !is_quiet {
            self.our_turn = None;
        }
    }

    pub(super) fn pause(&mut self, now: Time, span: Duration) {
        self.paused = Some((now, span));
    }

    pub(super) fn resume(&mut self) {
        self.paused = None;
    }

    /// When an empty request is due.
    pub(super) fn due(&self, granted: &Granted) -> Time {
        if let Some((since, span)) = self.paused {
            return since + span * 3 / 4;
        }
        let turn = self.our_turn.map(|since| since + granted.before_inactivity(OUR_TURN));
        let spaced = self.is_quiet || granted.is_polling();
        let last = self.last_empty.filter(|_| spaced).map(|last| last + granted.interval());
        turn.max(last).unwrap_or(Time::ZERO)
    }
}

/// How long we may take for our turn before we look whether the server has anything to say.
const OUR_TURN: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_server_that_holds_requests_is_asked_at_once() {
        let (mut pace, granted) = (Pace::default(), Granted::default());
        assert_eq!(pace.due(&granted), Time::ZERO);
        pace.sent(at(10), true);
        pace.heard(at(10), false, false);
        assert_eq!(pace.due(&granted), Time::ZERO);
    }

    #[test]
    fn two_empty_requests_without_news_keep_their_distance() {
        let mut granted = Granted::default();
        granted.polling = Some(Duration::from_secs(5));
        let mut pace = Pace::default();
        pace.sent(at(10), true);
        pace.heard(at(10), true, false);
        assert_eq!(pace.due(&granted), at(15));
        pace.sent(at(11), false);
        assert_eq!(pace.due(&granted), Time::ZERO);
        granted.hold = 0;
        assert_eq!(pace.due(&granted), at(15));
    }

    #[test]
    fn who_has_to_speak_does_not_ask() {
        let (mut pace, mut granted) = (Pace::default(), Granted::default());
        pace.heard(at(1), false, true);
        assert_eq!(pace.due(&granted), at(6));
        granted.inactivity = Some(Duration::from_secs(4));
        assert_eq!(pace.due(&granted), at(4));
        pace.spoke();
        assert_eq!(pace.due(&granted), Time::ZERO);
    }

    #[test]
    fn a_pause_lasts_until_shortly_before_its_end() {
        let (mut pace, granted) = (Pace::default(), Granted::default());
        pace.pause(at(10), Duration::from_secs(120));
        assert_eq!(pace.due(&granted), at(100));
        pace.resume();
        assert_eq!(pace.due(&granted), Time::ZERO);
    }
}
