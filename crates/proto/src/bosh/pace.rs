//! When an empty request is due: soon enough to hear the server, never in a busy loop.
//! How many requests may be under way is in `window.rs`.

use std::time::Duration;

use super::Granted;
use crate::Time;

/// Since when it is our turn, and for how long.
#[derive(Clone, Copy, Debug)]
struct Turn(Time, Duration);

/// What an answer leaves to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Neither it nor the request, which was the last one, said anything.
    Nothing,
    /// The server waits for us before it says more.
    OurTurn,
    /// Stanzas, that the application may want to answer.
    Stanzas,
    /// Something else.
    Other,
}

/// What decides when an empty request is due, given that no other is under way.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the last empty request was sent first.
    last_empty: Option<Time>,
    /// The last request was empty, and so was its answer.
    is_quiet: bool,
    /// Until when it is our turn to speak.
    our_turn: Option<Turn>,
    /// Since when the session is paused, and for how long.
    paused: Option<(Time, Duration)>,
    /// Nothing is to be asked.
    is_resting: bool,
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

    /// An answer came.
    pub(super) fn heard(&mut self, now: Time, heard: Heard) {
        self.is_quiet = heard == Heard::Nothing;
        match heard {
            Heard::Nothing => {}
            Heard::OurTurn => self.our_turn = Some(Turn(now, OUR_TURN)),
            Heard::Stanzas => self.our_turn = Some(Turn(now, TO_ANSWER)),
            Heard::Other => self.our_turn = None,
        }
    }

    pub(super) fn pause(&mut self, now: Time, span: Duration) {
        self.paused = Some((now, span));
    }

    pub(super) fn rest(&mut self) {
        self.is_resting = true;
    }

    pub(super) fn is_resting(&self) -> bool {
        self.is_resting
    }

    pub(super) fn resume(&mut self) {
        self.paused = None;
        self.is_resting = false;
    }

    /// When an empty request is due.
    pub(super) fn due(&self, granted: &Granted) -> Time {
        if let Some((since, span)) = self.paused {
            return since + span * 3 / 4;
        }
        let turn = self.our_turn.map(|Turn(since, span)| since + granted.before_inactivity(span));
        let spaced = self.is_quiet || granted.is_polling();
        let last = self.last_empty.filter(|_| spaced).map(|last| last + granted.interval());
        turn.max(last).unwrap_or(Time::ZERO)
    }
}

/// How long we may take for our turn before we look whether the server has anything to say.
const OUR_TURN: Duration = Duration::from_secs(5);
/// How long a program may take to answer a stanza, so that the answer needs no request beside an
/// empty one.
const TO_ANSWER: Duration = Duration::from_millis(2);

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
        pace.heard(at(10), Heard::Other);
        assert_eq!(pace.due(&granted), Time::ZERO);
    }

    #[test]
    fn stanzas_may_be_answered_before_the_server_is_asked_again() {
        let (mut pace, granted) = (Pace::default(), Granted::default());
        pace.heard(at(1), Heard::Stanzas);
        assert_eq!(pace.due(&granted), at(1) + TO_ANSWER);
        pace.spoke();
        assert_eq!(pace.due(&granted), Time::ZERO);
    }

    #[test]
    fn two_empty_requests_without_news_keep_their_distance() {
        let polling = Some(Duration::from_secs(5));
        let mut granted = Granted { polling, ..Granted::default() };
        let mut pace = Pace::default();
        pace.sent(at(10), true);
        pace.heard(at(10), Heard::Nothing);
        assert_eq!(pace.due(&granted), at(15));
        pace.sent(at(11), false);
        assert_eq!(pace.due(&granted), Time::ZERO);
        granted.hold = 0;
        assert_eq!(pace.due(&granted), at(15));
    }

    #[test]
    fn who_has_to_speak_does_not_ask() {
        let (mut pace, mut granted) = (Pace::default(), Granted::default());
        pace.heard(at(1), Heard::OurTurn);
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
