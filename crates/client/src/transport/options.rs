//! How to connect: what a caller may set between a URL and an open connection.
//! The account and what is said over the connection are set elsewhere.

use std::{fmt, sync::Arc, time::Duration};

use epode_proto::bosh;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{happy_eyeballs, proxy::ProxySettings, tls_options::TlsOptions};
use crate::resolver::{Resolver, default_resolver};

/// How to connect to an [`Endpoint`](super::Endpoint): time, names, TLS, proxies, headers, limits.
///
/// ```
/// use std::time::Duration;
///
/// use epode::{ProxySettings, TransportOptions};
///
/// let options = TransportOptions::new()
///     .with_timeout(Duration::from_secs(10))
///     .with_proxies(ProxySettings::none())
///     .with_header("Origin", "https://chat.example.org")?;
/// assert_eq!(options.timeout(), Duration::from_secs(10));
/// # Ok::<(), epode::HeaderError>(())
/// ```
#[derive(Clone)]
pub struct TransportOptions {
    timeout: Duration,
    resolver: Arc<dyn Resolver>,
    attempt_delay: Duration,
    tls: TlsOptions,
    proxies: ProxySettings,
    headers: HeaderMap,
    max_message: usize,
    bosh: bosh::Options,
    status_handlers: Vec<(u16, StatusHandler)>,
}

type StatusHandler = Arc<dyn Fn(u16) + Send + Sync>;

impl TransportOptions {
    /// The time in which a connection must stand, unless another is set.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

    /// The longest message taken from a server, unless another length is set: what a stanza may
    /// take at most in `epode_proto`, and a little more, so that the more exact error is seen.
    pub const DEFAULT_MAX_MESSAGE: usize = 257 * 1024;

    /// The defaults, with the proxies that the environment names at this moment.
    #[must_use]
    pub fn new() -> Self {
        Self {
            timeout: Self::DEFAULT_TIMEOUT,
            resolver: default_resolver(),
            attempt_delay: happy_eyeballs::DEFAULT_DELAY,
            tls: TlsOptions::new(),
            proxies: ProxySettings::from_env(),
            headers: HeaderMap::new(),
            max_message: Self::DEFAULT_MAX_MESSAGE,
            bosh: bosh::Options::default(),
            status_handlers: Vec::new(),
        }
    }

    /// Sets the time for name lookup, TCP, proxy, TLS and WebSocket handshake together. It also
    /// bounds each sending of a message.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets who looks names up, in place of the system and, with the feature `hickory`, its name
    /// servers.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sets the head start that each address of a host has over the next (RFC 8305, section 5):
    /// 250 milliseconds unless another is set, from 10 milliseconds to 2 seconds.
    #[must_use]
    pub fn with_attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay = delay.clamp(happy_eyeballs::MIN_DELAY, happy_eyeballs::MAX_DELAY);
        self
    }

    /// Sets whom `wss://` connections trust and what they show of themselves.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsOptions) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the proxies, in place of those that the environment names.
    #[must_use]
    pub fn with_proxies(mut self, proxies: ProxySettings) -> Self {
        self.proxies = proxies;
        self
    }

    /// Adds a header to the HTTP request that opens a WebSocket and to each request of BOSH, such
    /// as `Origin` or `Cookie`.
    ///
    /// `Debug` shows its name only; the WebSocket library shows all headers in its logs at the
    /// level `trace`.
    ///
    /// # Errors
    ///
    /// [`HeaderError`] when it is no HTTP header, or one that is set already.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, HeaderError> {
        let name: HeaderName = name.parse().map_err(|_| HeaderError::Name)?;
        let is_handshake = name.as_str().starts_with("sec-websocket-");
        if is_handshake || RESERVED.contains(&name) {
            return Err(HeaderError::Reserved { name: name.as_str().to_owned() });
        }
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| HeaderError::Value { name: name.as_str().to_owned() })?;
        value.set_sensitive(true);
        self.headers
            .try_append(name, value)
            .map_err(|_| HeaderError::TooMany { limit: self.headers.len() })?;
        Ok(self)
    }

    /// Sets the longest message taken from a server, in bytes.
    #[must_use]
    pub fn with_max_message(mut self, bytes: usize) -> Self {
        self.max_message = bytes;
        self
    }

    /// Sets what a BOSH session asks for: how long the server keeps requests waiting, limits, and
    /// more. The limits on XML are those of the connection.
    #[must_use]
    pub fn with_bosh(mut self, options: bosh::Options) -> Self {
        self.bosh = options;
        self
    }

    /// Calls `handler` each time that a BOSH request is answered with this HTTP status, as to tell
    /// people that a proxy wants something of them. What becomes of the session is decided without
    /// it.
    ///
    /// ```
    /// let options = epode::TransportOptions::new()
    ///     .on_http_status(502, |status| eprintln!("the web server has lost XMPP: {status}"));
    /// # let _ = options;
    /// ```
    #[must_use]
    pub fn on_http_status(
        mut self,
        status: u16,
        handler: impl Fn(u16) + Send + Sync + 'static,
    ) -> Self {
        self.status_handlers.push((status, Arc::new(handler)));
        self
    }

    /// The time in which a connection must stand.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(crate) fn resolver(&self) -> &dyn Resolver {
        &*self.resolver
    }

    pub(super) fn attempt_delay(&self) -> Duration {
        self.attempt_delay
    }

    pub(super) fn tls(&self) -> &TlsOptions {
        &self.tls
    }

    pub(super) fn proxies(&self) -> &ProxySettings {
        &self.proxies
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn max_message(&self) -> usize {
        self.max_message
    }

    pub(crate) fn bosh(&self) -> &bosh::Options {
        &self.bosh
    }

    /// A request was answered with this status.
    pub(super) fn report_status(&self, status: u16) {
        let handlers = self.status_handlers.iter().filter(|(code, _)| *code == status);
        handlers.for_each(|(_, handler)| handler(status));
    }
}

impl Default for TransportOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TransportOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportOptions")
            .field("timeout", &self.timeout)
            .field("resolver", &self.resolver)
            .field("attempt_delay", &self.attempt_delay)
            .field("tls", &self.tls)
            .field("proxies", &self.proxies)
            .field("headers", &self.headers)
            .field("max_message", &self.max_message)
            .field("bosh", &self.bosh)
            .finish_non_exhaustive()
    }
}

/// Why a header cannot be added to the opening request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is none.
    #[error("this is no name of an HTTP header; use letters, digits and '-'")]
    Name,
    /// The value cannot be sent.
    #[error("the value for the header {name} has characters that cannot be sent; remove them")]
    Value {
        /// The header.
        name: String,
    },
    /// It is set already.
    #[error("the header {name} belongs to the transport; leave it out")]
    Reserved {
        /// The header.
        name: String,
    },
    /// There are too many.
    #[error("there are already {limit} headers; leave some out")]
    TooMany {
        /// How many there are.
        limit: usize,
    },
}

const RESERVED: [HeaderName; 6] = [
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::TRANSFER_ENCODING,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_checked_and_their_values_not_shown() {
        let options = TransportOptions::new().with_proxies(ProxySettings::none());
        let options = options.with_header("Cookie", "session=hunter2").unwrap();
        assert!(!format!("{options:?}").contains("hunter2"));
        assert!(format!("{options:?}").contains("cookie"));

        let add = |name: &str, value: &str| options.clone().with_header(name, value).unwrap_err();
        let name = || "x-a".to_owned();
        assert_eq!(add("", "x"), HeaderError::Name);
        assert_eq!(add("a b", "x"), HeaderError::Name);
        assert_eq!(add("X-A", "a\r\nb"), HeaderError::Value { name: name() });
        assert_eq!(add("X-A", "\0"), HeaderError::Value { name: name() });
        for reserved in ["Host", "connection", "Upgrade", "Sec-WebSocket-Protocol"] {
            let name = reserved.to_ascii_lowercase();
            assert_eq!(add(reserved, "x"), HeaderError::Reserved { name });
        }
    }
}
