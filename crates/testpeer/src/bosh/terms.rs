//! What the server grants a session (XEP-0124, section 7.2).
//!
//! Leaves out who keeps to it.

use std::time::Duration;

use epode_proto::xml::Element;

use super::body::Body;

/// What the server grants a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    /// How long a request may be kept without an answer.
    pub(super) wait: Duration,
    /// How many may be.
    pub(super) hold: u16,
    /// How long there may be no request.
    pub(super) inactivity: Duration,
}

impl Terms {
    /// Never more than the request asks for.
    pub(super) fn granted(body: &Body) -> Self {
        let seconds = body.number("wait").unwrap_or(MOST_WAIT).min(MOST_WAIT);
        let hold = body.number("hold").unwrap_or(MOST_HOLD).min(MOST_HOLD);
        // Not to wait, and to hold nothing: both ask for a polling session.
        let hold = if seconds == 0 { 0 } else { hold };
        let inactivity = if hold == 0 { POLLING_INACTIVITY } else { INACTIVITY };
        Self { wait: Duration::from_secs(seconds.into()), hold, inactivity }
    }

    /// The client has to ask time and again.
    pub(super) fn is_polling(&self) -> bool {
        self.hold == 0
    }

    /// Tells the client.
    pub(super) fn write(&self, answer: &mut Element) {
        for (name, value) in [
            ("ver", "1.6".to_owned()),
            ("wait", self.wait.as_secs().to_string()),
            ("hold", self.hold.to_string()),
            ("requests", REQUESTS.to_string()),
            ("polling", POLLING.as_secs().to_string()),
            ("inactivity", self.inactivity.as_secs().to_string()),
            ("maxpause", MAX_PAUSE.as_secs().to_string()),
        ] {
            answer.set_attr(name, value);
        }
    }
}

/// How many requests may be without an answer.
pub(super) const REQUESTS: u64 = 2;
/// How long to leave between two empty requests.
pub(super) const POLLING: Duration = Duration::from_secs(5);
pub(super) const MAX_PAUSE: Duration = Duration::from_secs(120);

const MOST_WAIT: u16 = 60;
const MOST_HOLD: u16 = 1;
const INACTIVITY: Duration = Duration::from_secs(30);
const POLLING_INACTIVITY: Duration = Duration::from_secs(60);
