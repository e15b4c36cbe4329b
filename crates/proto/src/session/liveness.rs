//! Whether the server is still there: when to ask it for a sign of life, and when to give it up.
//! What is asked is said in `session`.

use std::time::Duration;

use crate::Time;

/// How long a session may be quiet.
///
/// After a while without anything from the server it is asked for a sign of life: by stream
/// management where that is on, by a ping (XEP-0199) elsewhere. If nothing comes then either, the
/// connection counts as lost.
///
/// ```
/// use epode_proto::Liveness;
/// use std::time::Duration;
///
/// let mobile = Liveness::default().quiet(Duration::from_secs(600));
/// let never = Liveness::off();
/// # assert_ne!(mobile, never);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    quiet: Option<Duration>,
    grace: Duration,
    whitespace: Option<Duration>,
}

impl Liveness {
    /// Never asks for a sign of life: only the transport tells that the server is gone.
    #[must_use]
    pub fn off() -> Self {
        Self { quiet: None, ..Self::default() }
    }

    /// After how long a silence the server is asked for a sign of life; a minute by default.
    #[must_use]
    pub fn quiet(mut self, span: Duration) -> Self {
        self.quiet = Some(span);
        self
    }

    /// How long the server may take to give one; 20 seconds by default.
    #[must_use]
    pub fn grace(mut self, span: Duration) -> Self {
        self.grace = span;
        self
    }

    /// Sends a space where nothing was sent for so long, over TCP alone (RFC 6120, section
    /// 4.6.1): for networks that forget connections sooner than that. At least a second; not done by
    /// default.
    #[must_use]
    pub fn whitespace(mut self, span: Duration) -> Self {
        self.whitespace = Some(span.max(Duration::from_secs(1)));
        self
    }
}

impl Default for Liveness {
    fn default() -> Self {
        Self {
            quiet: Some(Duration::from_secs(60)),
            grace: Duration::from_secs(20),
            whitespace: None,
        }
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Ask for a sign of life.
    Probe,
    /// Give it up.
    Death,
    /// Send a space.
    Whitespace,
}

/// When the server was heard and spoken to last.
#[derive(Debug)]
pub(super) struct Pulse {
    limits: Liveness,
    heard: Time,
    spoken: Time,
    probed: Option<Time>,
}

impl Pulse {
    pub(super) fn new(limits: Liveness, now: Time) -> Self {
        Self { limits, heard: now, spoken: now, probed: None }
    }

    /// The server said something. Says whether it had been asked for it.
    pub(super) fn hear(&mut self, now: Time) -> bool {
        self.heard = now;
        self.probed.take().is_some()
    }

    /// Nobody listened until now.
    pub(super) fn excuse(&mut self, now: Time) {
        self.heard = now;
        self.probed = self.probed.map(|_| now);
    }

    /// Something was said to the server.
    pub(super) fn speak(&mut self, now: Time) {
        self.spoken = now;
    }

    /// Whether something was heard after this.
    pub(super) fn heard_after(&self, moment: Time) -> bool {
        self.heard > moment
    }

    /// Whether a question of this moment has waited for its answer too long, whatever else is said.
    pub(super) fn is_ignored(&self, asked: Time, now: Time) -> bool {
        self.ignored_by(asked).is_some_and(|at| at <= now)
    }

    /// When that is so; never for who does not watch the server.
    pub(super) fn ignored_by(&self, asked: Time) -> Option<Time> {
        self.limits.quiet.map(|_| asked + self.limits.grace)
    }

    /// What is due by now; it counts as done.
    pub(super) fn due(&mut self, now: Time) -> Option<Due> {
        if self.death().is_some_and(|at| at <= now) {
            return Some(Due::Death);
        }
        if self.probe().is_some_and(|at| at <= now) {
            self.probed = Some(now);
            return Some(Due::Probe);
        }
        if self.space().is_some_and(|at| at <= now) {
            self.spoken = now;
            return Some(Due::Whitespace);
        }
        None
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Option<Time> {
        [self.death(), self.probe(), self.space()].into_iter().flatten().min()
    }

    fn death(&self) -> Option<Time> {
        Some(self.probed? + self.limits.grace)
    }

    fn probe(&self) -> Option<Time> {
        let quiet = self.limits.quiet.filter(|_| self.probed.is_none())?;
        Some(self.heard + quiet)
    }

    fn space(&self) -> Option<Time> {
        Some(self.spoken + self.limits.whitespace?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::after(Duration::from_secs(seconds))
    }

    #[test]
    fn a_silent_server_is_asked_and_then_given_up() {
        let mut pulse = Pulse::new(Liveness::default(), at(0));
        assert_eq!((pulse.due(at(59)), pulse.next()), (None, Some(at(60))));
        assert_eq!((pulse.due(at(60)), pulse.next()), (Some(Due::Probe), Some(at(80))));
        assert_eq!(pulse.due(at(79)), None);
        assert_eq!(pulse.due(at(80)), Some(Due::Death));
    }

    #[test]
    fn a_sign_of_life_begins_it_anew() {
        let mut pulse = Pulse::new(Liveness::default(), at(0));
        assert!(!pulse.hear(at(30)));
        assert_eq!(pulse.due(at(60)), None);
        assert_eq!(pulse.due(at(90)), Some(Due::Probe));
        assert!(pulse.hear(at(95)));
        assert_eq!((pulse.due(at(120)), pulse.next()), (None, Some(at(155))));
    }

    #[test]
    fn who_does_not_listen_cannot_tell() {
        let mut pulse = Pulse::new(Liveness::default(), at(0));
        pulse.excuse(at(50));
        assert_eq!((pulse.due(at(60)), pulse.next()), (None, Some(at(110))));
        assert_eq!(pulse.due(at(110)), Some(Due::Probe));
        pulse.excuse(at(125));
        assert_eq!((pulse.due(at(130)), pulse.next()), (None, Some(at(145))));
        assert_eq!(pulse.due(at(145)), Some(Due::Death));
    }

    #[test]
    fn spaces_keep_a_connection_from_being_forgotten() {
        let limits = Liveness::off().whitespace(Duration::from_secs(30));
        let mut pulse = Pulse::new(limits, at(0));
        assert_eq!(pulse.due(at(30)), Some(Due::Whitespace));
        pulse.speak(at(40));
        assert_eq!((pulse.due(at(60)), pulse.next()), (None, Some(at(70))));
        assert_eq!(Pulse::new(Liveness::off(), at(0)).next(), None);
    }
}
