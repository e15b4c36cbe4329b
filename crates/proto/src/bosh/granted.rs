//! What a server granted when the session was created (XEP-0124, section 7.2).
//! What a client does with it is in `pace.rs` and `window.rs`.

use std::time::Duration;

use super::{Options, reply::Reply};

/// What a server granted when the session was created. Whoever takes a session over passes on what
/// is known of it; the default is what most servers grant.
///
/// ```
/// use epode_proto::bosh::Granted;
/// use std::time::Duration;
///
/// let mut granted = Granted::default();
/// granted.inactivity = Some(Duration::from_secs(30));
/// assert_eq!((granted.hold, granted.requests), (1, 2));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Granted {
    /// How long the server keeps a request waiting.
    pub wait: Duration,
    /// How many requests it keeps waiting.
    pub hold: u8,
    /// How many requests may be under way. We never have more than two.
    pub requests: u8,
    /// How long there may be no request under way, if that is limited.
    pub inactivity: Option<Duration>,
    /// How long to leave between two empty requests, if that is limited.
    pub polling: Option<Duration>,
    /// How long the session may be paused, if it may.
    pub max_pause: Option<Duration>,
    /// The server says that its connection to the XMPP server is encrypted (an attribute of
    /// XEP-0124 before version 1.8).
    pub secure: bool,
}

impl Granted {
    /// What the answer to the request grants; a server cannot grant more than was asked for.
    pub(super) fn by(reply: &Reply, options: &Options) -> Self {
        let number = |name| reply.attr(name).and_then(|value| value.trim().parse::<u16>().ok());
        let seconds = |name| number(name).map(|seconds| Duration::from_secs(seconds.into()));
        let small = |name| number(name).map(|number| u8::try_from(number).unwrap_or(u8::MAX));
        Self {
            wait: seconds("wait").map_or(options.wait, |wait| wait.min(options.wait)),
            hold: small("hold").map_or(options.hold, |hold| hold.min(options.hold)),
            // A server that names no limit takes any number.
            requests: small("requests").unwrap_or(MOST_REQUESTS).max(1),
            inactivity: seconds("inactivity").filter(|limit| !limit.is_zero()),
            polling: seconds("polling").filter(|interval| !interval.is_zero()),
            max_pause: seconds("maxpause").filter(|limit| !limit.is_zero()),
            secure: matches!(reply.attr("secure"), Some("true" | "1")),
        }
    }

    /// How many requests may be under way at once.
    pub(super) fn window(&self) -> usize {
        usize::from(self.requests.clamp(1, MOST_REQUESTS))
    }

    /// The server answers at once, so that we have to ask time and again (XEP-0124, section 12).
    pub(super) fn is_polling(&self) -> bool {
        self.hold == 0 || self.wait.is_zero() || self.requests <= 1
    }

    /// How long to leave between two empty requests.
    pub(super) fn interval(&self) -> Duration {
        self.before_inactivity(self.polling.unwrap_or_default().max(SHORTEST_INTERVAL))
    }

    /// A span, or less of it if the session would expire meanwhile.
    pub(super) fn before_inactivity(&self, span: Duration) -> Duration {
        self.inactivity.map_or(span, |inactivity| span.min(inactivity / 4 * 3))
    }
}

impl Default for Granted {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(60),
            hold: 1,
            requests: MOST_REQUESTS,
            inactivity: None,
            polling: None,
            max_pause: None,
            secure: false,
        }
    }
}

/// One that the server keeps waiting, one to speak with: there are two HTTP connections.
pub(super) const MOST_REQUESTS: u8 = 2;
/// A server that answers empty requests at once, and names no interval, is left this long alone.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml;

    fn granted(attributes: &str) -> Granted {
        let body = format!("<body xmlns='http://jabber.org/protocol/httpbind' {attributes}/>");
        let reply = Reply::parse(body.as_bytes(), &xml::Limits::default()).expect("it is a body");
        Granted::by(&reply, &Options::default())
    }

    #[test]
    fn what_is_granted_is_never_more_than_was_asked_for() {
        let most = granted("wait='65535' hold='255' requests='255' polling='5' secure='1'");
        assert_eq!((most.wait.as_secs(), most.hold, most.window()), (60, 1, 2));
        assert!(most.secure && !most.is_polling());
        assert_eq!(granted("").requests, 2);
    }

    #[test]
    fn what_is_no_number_is_as_if_not_said() {
        for nonsense in ["", "x", "-1", "65536", "1e9", "99999999999999999999"] {
            let granted = granted(&format!(
                "wait='{nonsense}' hold='{nonsense}' requests='{nonsense}' inactivity='{nonsense}'"
            ));
            assert_eq!(granted, Granted::default(), "{nonsense:?}");
        }
        assert_eq!(granted("requests='0'").window(), 1);
    }

    #[test]
    fn polling_comes_before_the_session_expires() {
        let hasty = granted("polling='60' inactivity='20'");
        assert_eq!(hasty.interval(), Duration::from_secs(15));
        assert_eq!(granted("polling='5' inactivity='30'").interval(), Duration::from_secs(5));
        assert_eq!(granted("").interval(), Duration::from_secs(1));
        for polling in ["hold='0'", "wait='0'", "requests='1'"] {
            assert!(granted(polling).is_polling(), "{polling}");
        }
    }
}
