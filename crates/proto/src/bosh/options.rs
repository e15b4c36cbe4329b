//! What one BOSH session is told before it begins.
//! The address, the HTTP headers and TLS are the transport's options.

use std::time::Duration;

use crate::xml;

/// What one BOSH session is told before it begins.
///
/// ```
/// use epode_proto::bosh::Options;
/// use std::time::Duration;
///
/// let options = Options::default().wait(Duration::from_secs(30)).route("xmpp:example.com:5222");
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) wait: Duration,
    pub(super) hold: u8,
    pub(super) route: Option<String>,
    pub(super) secure: bool,
    pub(super) content_type: String,
    pub(super) key_sequence: bool,
    pub(super) patience: Patience,
    pub(super) attempts: u32,
    pub(super) back_off: Duration,
    pub(super) limits: Limits,
    pub(super) xml: xml::Limits,
}

impl Options {
    /// How long the server may keep a request waiting, in whole seconds; 60 by default. A proxy
    /// on the way that ends quiet requests earlier makes a smaller value useful.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs().min(u16::MAX.into());
        self.wait = Duration::from_secs(seconds);
        self
    }

    /// How many requests the server may keep waiting: 1, or 0 for a polling session. More is of
    /// no use, as there are two requests at most.
    #[must_use]
    pub fn hold(mut self, hold: u8) -> Self {
        self.hold = hold.min(1);
        self
    }

    /// Asks for a polling session (XEP-0124, section 12): the server answers at once, and is asked
    /// every few seconds. For networks that do not let a request wait.
    #[must_use]
    pub fn polling(self) -> Self {
        self.wait(Duration::ZERO).hold(0)
    }

    /// The server behind the connection manager, as `xmpp:host:port`.
    #[must_use]
    pub fn route(mut self, route: impl Into<String>) -> Self {
        self.route = Some(route.into());
        self
    }

    /// Asks the connection manager to encrypt what it sends to the server behind it. XEP-0124 has
    /// dropped the attribute; few look at it.
    #[must_use]
    pub fn secure(mut self) -> Self {
        self.secure = true;
        self
    }

    /// The `Content-Type` of requests, which the answers are to have too; `text/xml; charset=utf-8`
    /// by default.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// Sends keys that hinder whoever reads a session over plain HTTP from joining it (XEP-0124,
    /// section 15). Of no use over https.
    #[must_use]
    pub fn key_sequence(mut self) -> Self {
        self.key_sequence = true;
        self
    }

    /// How long an answer may take beyond what the server may wait, before the request is asked
    /// for again; 10 seconds by default, a day at most. Large requests have a second more for each
    /// 8 KiB.
    #[must_use]
    pub fn patience(mut self, patience: impl Into<Patience>) -> Self {
        self.patience = patience.into();
        self
    }

    /// How often one request is sent before the session is given up; 5 times by default.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How long to wait before a request is sent a third time, 1 second by default; before each
    /// further time twice as long as before. The second time comes at once.
    #[must_use]
    pub fn back_off(mut self, first: Duration) -> Self {
        self.back_off = first;
        self
    }

    /// How large requests and answers may be, and how much may wait.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The limits on XML, as for the [`Connection`](crate::Connection); the size of an answer is
    /// limited by [`Limits::response`].
    #[must_use]
    pub fn xml_limits(mut self, limits: xml::Limits) -> Self {
        self.xml = limits;
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(60),
            hold: 1,
            route: None,
            secure: false,
            content_type: "text/xml; charset=utf-8".to_owned(),
            key_sequence: false,
            patience: Duration::from_secs(10).into(),
            attempts: 5,
            back_off: Duration::from_secs(1),
            limits: Limits::default(),
            xml: xml::Limits::default(),
        }
    }
}

/// How long an answer may take beyond what the server may wait, a day at most.
///
/// ```
/// use epode_proto::bosh::{Options, Patience};
/// use std::time::Duration;
///
/// let seconds = Duration::from_secs;
/// let options = Options::default().patience(seconds(5)); // for all answers
/// let options = Options::default().patience(Patience::new(seconds(60), seconds(5)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    held: Duration,
    due: Duration,
}

impl Patience {
    /// With a request that the server may keep waiting, and with one that it has no reason to, since
    /// it has a later one.
    #[must_use]
    pub fn new(held: Duration, due: Duration) -> Self {
        Self { held: held.min(LONGEST_PATIENCE), due: due.min(LONGEST_PATIENCE) }
    }

    pub(super) fn with(self, is_held: bool) -> Duration {
        if is_held { self.held } else { self.due }
    }
}

impl From<Duration> for Patience {
    fn from(patience: Duration) -> Self {
        Self::new(patience, patience)
    }
}

const LONGEST_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How large requests and answers may be, and how much may wait.
///
/// ```
/// use epode_proto::bosh::Limits;
///
/// let limits = Limits::default().with_waiting(64 * 1024);
/// assert_eq!((limits.request, limits.response), (256 * 1024, 1024 * 1024));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// How many bytes of payload one request may have. Default 256 KiB.
    pub request: usize,
    /// How many bytes one answer may have. Default 1 MiB.
    pub response: usize,
    /// How many bytes may wait for a request to carry them, with 64 for each frame. Default 1 MiB;
    /// what fills two requests may in any case.
    pub waiting: usize,
}

impl Limits {
    /// Sets [`request`](Self::request).
    #[must_use]
    pub fn with_request(mut self, bytes: usize) -> Self {
        self.request = bytes;
        self
    }

    /// Sets [`response`](Self::response).
    #[must_use]
    pub fn with_response(mut self, bytes: usize) -> Self {
        self.response = bytes;
        self
    }

    /// Sets [`waiting`](Self::waiting).
    #[must_use]
    pub fn with_waiting(mut self, bytes: usize) -> Self {
        self.waiting = bytes;
        self
    }
}

impl Limits {
    /// How many bytes may wait: what fills two requests at least, with 64 for each frame.
    pub(super) fn room(&self) -> usize {
        self.waiting.max(self.request.saturating_add(64).saturating_mul(2))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { request: 256 * 1024, response: 1024 * 1024, waiting: 1024 * 1024 }
    }
}
