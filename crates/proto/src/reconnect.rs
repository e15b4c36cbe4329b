//! When a lost connection is made anew: after which ends, after how long, and how often.
//! How it is made is the driver's business.

use std::time::Duration;

use crate::{Advice, Error, Time};

/// How a session whose connection is lost comes back.
///
/// The first attempt is made within a second, and each further one within twice the time of the one
/// before, at a random moment of it, so that the clients of a server that was away do not come back
/// all at once. An end that another attempt would only meet again, as a password that is wrong now,
/// an account that is disabled or a resource that another program has taken, is the end.
///
/// ```
/// use epode_proto::{Attempts, Error, Reconnect, Time};
/// use std::time::Duration;
///
/// let patient = Reconnect::default().longest(Duration::from_secs(3600));
/// let mut attempts = Attempts::new(patient);
/// attempts.connected(Time::ZERO, false);
/// let lost = Error::ConnectionLost("it broke".to_owned());
/// let (attempt, wait) = attempts.next(Time::after(Duration::from_secs(9)), &lost).unwrap();
/// assert!(attempt == 1 && wait <= Duration::from_secs(1));
/// assert_eq!(Attempts::new(Reconnect::off()).next(Time::ZERO, &lost), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    first: Duration,
    longest: Duration,
    attempts: u32,
    redirects: u32,
}

impl Reconnect {
    /// Not at all: a connection that is lost is the end of its session, and nothing is followed.
    #[must_use]
    pub fn off() -> Self {
        Self { attempts: 0, redirects: 0, ..Self::default() }
    }

    /// Within which time the first attempt is made; a second by default.
    #[must_use]
    pub fn first(mut self, span: Duration) -> Self {
        self.first = span;
        self
    }

    /// The longest that such a time becomes, a year at most; five minutes by default.
    #[must_use]
    pub fn longest(mut self, span: Duration) -> Self {
        self.longest = span;
        self
    }

    /// How many attempts are made, one after the other, until it is the end; no limit by default.
    #[must_use]
    pub fn attempts(mut self, count: u32) -> Self {
        self.attempts = count;
        self
    }

    /// How many times in a row a server may send us elsewhere (`see-other-host`), whether it has let us
    /// in or not, until a connection lasts; 3 by default.
    /// It is never followed from TLS to a connection without. Over TCP the certificate is still to be
    /// that of the account's domain; that of a WebSocket is one for the host of its URL, as ever.
    #[must_use]
    pub fn redirects(mut self, count: u32) -> Self {
        self.redirects = count;
        self
    }

    /// The time within which this attempt is made, the first being 1.
    fn span(&self, attempt: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest).min(LONGEST)
    }
}

impl Default for Reconnect {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
            attempts: u32::MAX,
            redirects: 3,
        }
    }
}

/// The attempts since the last good connection, for drivers. Moments are those of the connection
/// that they are about.
#[derive(Debug)]
pub struct Attempts {
    policy: Reconnect,
    made: u32,
    redirected: u32,
    /// Since when there is a session, and whether it was resumed then.
    connected: Option<(Time, bool)>,
}

impl Attempts {
    /// None so far.
    #[must_use]
    pub fn new(policy: Reconnect) -> Self {
        Self { policy, made: 0, redirected: 0, connected: None }
    }

    /// There is a session since now, and it is that of an earlier connection or not.
    pub fn connected(&mut self, now: Time, resumed: bool) {
        self.connected = Some((now, resumed));
    }

    /// Which attempt comes after this end, and after how long; none, if it is the end.
    pub fn next(&mut self, now: Time, reason: &Error) -> Option<(u32, Duration)> {
        let resumed = self.connected.is_some_and(|(_, resumed)| resumed);
        self.ended(now);
        if self.made >= self.policy.attempts {
            return None;
        }
        let patience = match reason.advice() {
            Advice::Retry => 0,
            Advice::Wait => PATIENCE,
            _ if resumed && is_misread(reason) => 0,
            _ => return None,
        };
        self.made += 1;
        let span = self.policy.span(self.made.saturating_add(patience));
        Some((self.made, span.mul_f64(random_share())))
    }

    /// Whether to go where the server says, at this end of a connection.
    #[must_use]
    pub fn may_follow(&self, now: Time) -> bool {
        let redirected = if self.has_lasted(now) { 0 } else { self.redirected };
        redirected < self.policy.redirects
    }

    /// It is gone there.
    pub fn follow(&mut self, now: Time) {
        self.ended(now);
        self.redirected += 1;
    }

    /// Whether the attempt that is being made is the first.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.made == 1
    }

    fn ended(&mut self, now: Time) {
        if self.has_lasted(now) {
            (self.made, self.redirected) = (0, 0);
        }
        self.connected = None;
    }

    /// Whether it was a good connection. One that ends at once each time, or leads elsewhere, would be
    /// made without pause.
    fn has_lasted(&self, now: Time) -> bool {
        let stable = self.policy.longest.min(STABLE);
        self.connected.is_some_and(|(since, _)| since + stable <= now)
    }
}

/// Whether the server could not read us, or we not what it says to that. In a session that was
/// resumed, it may have taken our first words for the rest of those in which the connection before
/// broke, and may write its error as for that connection; a new session begins with its own.
fn is_misread(reason: &Error) -> bool {
    let is_bad = matches!(reason.condition(), "not-well-formed" | "bad-format" | "invalid-xml");
    is_bad && matches!(reason, Error::Stream(_) | Error::PeerMisbehaved(_))
}

/// From 0 to 1.
fn random_share() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness it comes in the middle, which is as good for one client.
    getrandom::fill(&mut bytes)
        .map_or(0.5, |()| f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX))
}

/// No clock need hold more.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);
/// A connection that lasted for so long was a good one.
const STABLE: Duration = Duration::from_secs(60);
/// A server that asked for time has as much as after so many attempts more.
const PATIENCE: u32 = 3;

#[cfg(test)]
mod tests {
    use epode_sasl as sasl;

    use super::*;
    use crate::{Element, PeerFault, stream::StreamError};

    fn lost() -> Error {
        Error::ConnectionLost("it broke".to_owned())
    }

    #[test]
    fn the_time_doubles_up_to_a_limit() {
        let policy = Reconnect::default();
        let spans: Vec<u64> = (1..=10).map(|attempt| policy.span(attempt).as_secs()).collect();
        assert_eq!(spans, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        assert_eq!(policy.span(u32::MAX), Duration::from_secs(300));
        let endless = Reconnect::default().first(Duration::MAX).longest(Duration::MAX);
        assert_eq!(endless.span(1), LONGEST);
    }

    #[test]
    fn attempts_are_counted_until_a_connection_lasts() {
        let mut attempts = Attempts::new(Reconnect::default().attempts(3));
        let number = |attempts: &mut Attempts, now| Some(attempts.next(now, &lost())?.0);
        assert_eq!(number(&mut attempts, Time::ZERO), Some(1));
        attempts.connected(Time::ZERO, false);
        assert_eq!(number(&mut attempts, Time::ZERO), Some(2), "it did not last");
        attempts.connected(Time::ZERO, false);
        let later = Time::ZERO + STABLE;
        let numbers = [(); 4].map(|()| number(&mut attempts, later));
        assert_eq!(numbers, [Some(1), Some(2), Some(3), None]);
    }

    #[test]
    fn each_wait_is_within_its_time() {
        let mut attempts = Attempts::new(Reconnect::default());
        for _ in 0..100 {
            let (number, wait) = attempts.next(Time::ZERO, &lost()).expect("there is no limit");
            assert!(wait <= Reconnect::default().span(number), "{number}: {wait:?}");
        }
    }

    #[test]
    fn what_would_fail_again_is_the_end() {
        let rejected = |condition: &str| {
            Error::Login(sasl::Error::Rejected(Box::new(sasl::Rejection::new(
                condition.to_owned(),
            ))))
        };
        for reason in [
            rejected("not-authorized"),
            rejected("account-disabled"),
            rejected("credentials-expired"),
        ] {
            assert_eq!(
                Attempts::new(Reconnect::default()).next(Time::ZERO, &reason),
                None,
                "{reason}"
            );
        }
        let wait = rejected("temporary-auth-failure");
        assert!(Attempts::new(Reconnect::default()).next(Time::ZERO, &wait).is_some());
        assert_eq!(Attempts::new(Reconnect::off()).next(Time::ZERO, &lost()), None);
    }

    #[test]
    fn a_server_that_misreads_a_resumed_session_has_a_new_one() {
        let broken = |condition: &str| {
            let xml = format!(
                "<error xmlns='http://etherx.jabber.org/streams'>\
                 <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>"
            );
            let error = Element::parse(&xml).expect("it is XML");
            Error::Stream(StreamError::parse(&error).expect("it is an error"))
        };
        let after = |resumed, reason: &Error| {
            let mut attempts = Attempts::new(Reconnect::default());
            attempts.connected(Time::ZERO, resumed);
            attempts.next(Time::ZERO, reason).is_some()
        };
        for condition in ["not-well-formed", "bad-format", "invalid-xml"] {
            assert!(after(true, &broken(condition)), "{condition}");
            assert!(!after(false, &broken(condition)), "it is our mistake: {condition}");
        }
        assert!(!after(true, &broken("conflict")));
        let unreadable = Element::parse("<stream:error/>").expect_err("no prefix is declared");
        let unreadable = Error::PeerMisbehaved(PeerFault::Frame(unreadable.into()));
        assert!(after(true, &unreadable));
        assert!(!after(false, &unreadable), "it is its mistake");
        assert!(!after(true, &Error::PeerMisbehaved(PeerFault::ResumedAnother)));
        let mut attempts = Attempts::new(Reconnect::default());
        attempts.connected(Time::ZERO, true);
        assert!(attempts.next(Time::ZERO, &broken("not-well-formed")).is_some());
        assert_eq!(
            attempts.next(Time::ZERO, &broken("not-well-formed")),
            None,
            "there is no session yet"
        );
    }

    #[test]
    fn redirects_are_limited() {
        let mut attempts = Attempts::new(Reconnect::default());
        for is_let_in in [false, true, true] {
            if is_let_in {
                attempts.connected(Time::ZERO, false);
            }
            assert!(attempts.may_follow(Time::ZERO));
            attempts.follow(Time::ZERO);
        }
        assert!(!attempts.may_follow(Time::ZERO));
        attempts.connected(Time::ZERO, false);
        assert!(!attempts.may_follow(Time::ZERO), "it did not last");
        let later = Time::ZERO + STABLE;
        assert!(attempts.may_follow(later));
        attempts.follow(later);
        assert!(attempts.may_follow(Time::ZERO));
        assert!(!Attempts::new(Reconnect::off()).may_follow(later));
    }
}
