//! Where to connect: a URL, checked once, where it enters.
//! What stands behind the host name is for the dialler to find out.

use std::{fmt, net::IpAddr, str::FromStr};

use http::uri::PathAndQuery;
use url::{Host, Url};

use super::peer::Peer;

/// Where a server is, and how it is spoken to.
///
/// | URL | what it means | port unless given |
/// |---|---|---|
/// | `wss://host/path` | WebSocket (RFC 7395) inside TLS | 443 |
/// | `ws://host/path` | WebSocket without TLS | 80 |
/// | `https://host/path` | BOSH (XEP-0124, XEP-0206) inside TLS | 443 |
/// | `http://host/path` | BOSH without TLS | 80 |
/// | `xmpps://host` | TCP, inside TLS from the first byte (XEP-0368) | 5223 |
/// | `xmpp://host` | TCP, changed to TLS by STARTTLS (RFC 6120, section 5) | 5222 |
///
/// The URLs of TCP are this library's own: they name a host, no account, and nothing follows the
/// port. Host names are kept in their ASCII form, and the scheme's own port is not shown: two URLs
/// that mean the same are equal.
///
/// ```
/// use epode::Endpoint;
///
/// let endpoint: Endpoint = "wss://chat.example.org/xmpp-websocket".parse()?;
/// assert!(endpoint.is_secure());
/// assert_eq!(endpoint.host(), "chat.example.org");
/// assert_eq!(endpoint.port(), 443);
/// assert_eq!(endpoint.path_and_query(), "/xmpp-websocket");
/// assert_eq!(endpoint.to_string(), "wss://chat.example.org/xmpp-websocket");
///
/// let endpoint: Endpoint = "xmpp://xmpp.example.org".parse()?;
/// assert!(endpoint.is_stream());
/// assert_eq!(endpoint.port(), 5222);
/// # Ok::<(), epode::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    host: Host<String>,
    /// The host as it is looked up and shown to TLS: an IPv6 address stands without brackets.
    name: String,
    port: u16,
    path_and_query: String,
}

impl Endpoint {
    /// A TCP stream to a host, a name in ASCII or an address without brackets; none if that cannot
    /// be one.
    pub(crate) fn stream(host: &str, port: u16, secure: bool) -> Option<Self> {
        let scheme = if secure { Scheme::Xmpps } else { Scheme::Xmpp };
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        format!("{}://{open}{host}{close}:{port}", scheme.name()).parse().ok()
    }

    /// True for `wss://`, `https://` and `xmpps://`: the connection is inside TLS from the first byte.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self.scheme, Scheme::Wss | Scheme::Https | Scheme::Xmpps)
    }

    /// True for `xmpp://` and `xmpps://`: the connection is a stream of bytes, no WebSocket.
    #[must_use]
    pub fn is_stream(&self) -> bool {
        self.scheme.is_stream()
    }

    /// True for `ws://` and `wss://`.
    #[must_use]
    pub fn is_web_socket(&self) -> bool {
        matches!(self.scheme, Scheme::Ws | Scheme::Wss)
    }

    /// True for `http://` and `https://`: there are requests, and no connection that lasts.
    #[must_use]
    pub fn is_bosh(&self) -> bool {
        matches!(self.scheme, Scheme::Http | Scheme::Https)
    }

    /// The host name in ASCII, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.name
    }

    /// The port, the scheme's own where the URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is asked for by HTTP: a path, `/` at least, and the query if there is one. Empty
    /// for a stream.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.path_and_query
    }

    /// True when the URL itself names this machine, by address or as `localhost` (RFC 6761, 6.3).
    pub(crate) fn is_local(&self) -> bool {
        match &self.host {
            Host::Domain(name) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name == "localhost" || name.ends_with(".localhost")
            }
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => IpAddr::V6(*address).to_canonical().is_loopback(),
        }
    }

    /// Host and port for the `Host` header: the scheme's own port is left out.
    pub(crate) fn authority(&self) -> String {
        if self.port == self.scheme.default_port() {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The URL for error messages: the query stays out, for it may hold a secret.
    pub(super) fn redacted(&self) -> String {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        format!("{}://{}{path}", self.scheme.name(), self.authority())
    }

    /// The same kind of endpoint at another place, never less protected: for a stream `host` or
    /// `host:port` (RFC 6120, section 4.9.3.19), where STARTTLS follows, for a WebSocket a URL
    /// (RFC 7395, section 3.6.1).
    pub(crate) fn moved_to(&self, place: &str) -> Option<Self> {
        if self.is_stream() {
            return format!("xmpp://{place}").parse().ok();
        }
        let other: Self = place.parse().ok()?;
        let is_alike = self.is_web_socket() && other.is_web_socket();
        (is_alike && (other.is_secure() || !self.is_secure())).then_some(other)
    }

    pub(super) fn peer(&self) -> Peer {
        Peer::server(self.name.clone(), self.port)
    }

    pub(super) fn scheme(&self) -> Scheme {
        self.scheme
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The URL parser drops and rewrites these without a word; a typing error should be seen.
        if let Some(found) =
            text.chars().find(|c| c.is_whitespace() || c.is_control() || *c == '\\')
        {
            return Err(EndpointError::Character { found });
        }
        let (scheme, rest) = Scheme::split(text)?;
        // The parser knows what a host is under the schemes of the web alone.
        let url = Url::parse(&format!("ws://{rest}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        let host = url.host().ok_or(EndpointError::NoHost)?.to_owned();
        let port = port(&url, rest)?.unwrap_or_else(|| scheme.default_port());
        if port == 0 {
            return Err(EndpointError::Port);
        }
        let path_and_query = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let path_and_query = match path_and_query {
            "/" if scheme.is_stream() => String::new(),
            _ if scheme.is_stream() => return Err(EndpointError::PathOfStream),
            given => {
                PathAndQuery::from_str(given).map_err(|_| EndpointError::Path)?.as_str().to_owned()
            }
        };
        let name = match &host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        };
        Ok(Self { scheme, host, name, port, path_and_query })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme.name(), self.authority(), self.path_and_query)
    }
}

/// Like [`Display`](fmt::Display), but without the query, which may hold a secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.redacted())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scheme {
    Ws,
    Wss,
    Http,
    Https,
    /// TCP with STARTTLS.
    Xmpp,
    /// TCP inside TLS.
    Xmpps,
}

impl Scheme {
    /// Reads the scheme, and gives what follows `://`, which must be there, so that
    /// `example.org:5280/ws` is not taken for one.
    fn split(text: &str) -> Result<(Self, &str), EndpointError> {
        let (scheme, rest) = text.split_once("://").ok_or(EndpointError::MissingScheme)?;
        if scheme.contains(['/', '?', '#', '@', ':']) || scheme.is_empty() {
            return Err(EndpointError::MissingScheme);
        }
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "ws" => Self::Ws,
            "wss" => Self::Wss,
            "xmpp" => Self::Xmpp,
            "xmpps" => Self::Xmpps,
            "http" => Self::Http,
            "https" => Self::Https,
            other => {
                return Err(EndpointError::Scheme { scheme: other.chars().take(32).collect() });
            }
        };
        // The URL parser would skip further slashes and take the path for the host.
        if rest.starts_with('/') { Err(EndpointError::NoHost) } else { Ok((scheme, rest)) }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ws => "ws",
            Self::Wss => "wss",
            Self::Http => "http",
            Self::Https => "https",
            Self::Xmpp => "xmpp",
            Self::Xmpps => "xmpps",
        }
    }

    pub(super) const fn default_port(self) -> u16 {
        match self {
            Self::Ws | Self::Http => 80,
            Self::Wss | Self::Https => 443,
            Self::Xmpp => 5222,
            Self::Xmpps => 5223,
        }
    }

    const fn is_stream(self) -> bool {
        matches!(self, Self::Xmpp | Self::Xmpps)
    }
}

/// Why a text is no address of a server. The text itself is never repeated, for it may
/// hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no scheme, as in `example.org/ws`.
    #[error("the URL has no scheme; begin it with wss://, or with xmpps:// or xmpp:// for TCP")]
    MissingScheme,
    /// The scheme is some other.
    #[error("the URL's scheme is {scheme:?}; wss, ws, https, http, xmpps and xmpp are understood")]
    Scheme {
        /// The scheme, cut off after 32 characters.
        scheme: String,
    },
    /// It is no URL of a server's port for components.
    #[error("the URL is none of components; begin it with tcp://, or with xmpps:// inside TLS")]
    NotOfComponents,
    /// A blank, a control character or a backslash stands in it.
    #[error("the URL contains {found:?}; remove it, or write it percent-encoded")]
    Character {
        /// The first such character.
        found: char,
    },
    /// Nothing stands between the scheme and the path.
    #[error("the URL names no host; write one after the ://, as in xmpps://example.org")]
    NoHost,
    /// The host is neither a name nor an address.
    #[error("the URL's host is not valid ({reason}); write a name, an IPv4 address or [IPv6]")]
    Host {
        /// What the URL parser found.
        reason: String,
    },
    /// The port is no number from 1 to 65535.
    #[error("the URL's port is not valid; write a number from 1 to 65535 after the host")]
    Port,
    /// User name or password stand before the host.
    #[error("the URL carries a user name or password; remove it, the account is given separately")]
    UserInfo,
    /// There is a `#` with what follows.
    #[error("the URL ends in a fragment; remove the '#' and what follows it")]
    Fragment,
    /// Path or query cannot stand in an HTTP request.
    #[error("the URL's path or query cannot be sent; write unusual characters percent-encoded")]
    Path,
    /// A path or query follows the host of a TCP connection.
    #[error("an xmpp:// or xmpps:// URL ends with the host and port; remove what follows them")]
    PathOfStream,
}

impl From<url::ParseError> for EndpointError {
    fn from(error: url::ParseError) -> Self {
        match error {
            url::ParseError::EmptyHost => Self::NoHost,
            url::ParseError::InvalidPort => Self::Port,
            url::ParseError::RelativeUrlWithoutBase => Self::MissingScheme,
            other => Self::Host { reason: other.to_string() },
        }
    }
}

/// The port if there is one. The parser does not tell the scheme's own from none, so that it is
/// asked a second time under another scheme.
fn port(as_ws: &Url, rest: &str) -> Result<Option<u16>, EndpointError> {
    match as_ws.port() {
        Some(port) => Ok(Some(port)),
        None => Ok(Url::parse(&format!("wss://{rest}"))?.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_send_clients_to_a_place_that_is_protected_as_well() {
        let moved = |from: &str, to: &str| {
            let from: Endpoint = from.parse().expect("it is an endpoint");
            from.moved_to(to).map(|endpoint| endpoint.to_string())
        };
        let rows = [
            ("xmpp://a.example", "b.example", Some("xmpp://b.example")),
            ("xmpps://a.example", "b.example:5333", Some("xmpp://b.example:5333")),
            ("xmpp://a.example", "[2001:db8::1]:1", Some("xmpp://[2001:db8::1]:1")),
            ("xmpp://a.example", "b.example/x", None),
            ("xmpp://a.example", "user@b.example", None),
            ("xmpp://a.example", "ws://b.example/", None),
            ("xmpp://a.example", "b.example:0", None),
            ("xmpp://a.example", "", None),
            ("wss://a.example/ws", "wss://b.example/ws", Some("wss://b.example/ws")),
            ("wss://a.example/ws", "ws://b.example/ws", None),
            ("wss://a.example/ws", "https://b.example/", None),
            ("wss://a.example/ws", "b.example", None),
            ("ws://a.example/ws", "ws://b.example/ws", Some("ws://b.example/ws")),
            ("ws://a.example/ws", "wss://b.example/ws", Some("wss://b.example/ws")),
            ("https://a.example/bosh", "https://b.example/bosh", None),
        ];
        for (from, to, expected) in rows {
            assert_eq!(moved(from, to).as_deref(), expected, "from {from} to {to}");
        }
    }

    #[test]
    fn urls_are_read() {
        let table = [
            ("ws://localhost:5280/ws", (false, "localhost", 5280, "/ws")),
            ("xmpp://example.org", (false, "example.org", 5222, "")),
            ("xmpp://example.org:5223/", (false, "example.org", 5223, "")),
            ("xmpps://example.org", (true, "example.org", 5223, "")),
            ("XMPPS://EXAMPLE.org:443", (true, "example.org", 443, "")),
            ("xmpps://example.org:80", (true, "example.org", 80, "")),
            ("xmpps://[2001:db8::1]:5223", (true, "2001:db8::1", 5223, "")),
            ("xmpp://192.0.2.1", (false, "192.0.2.1", 5222, "")),
            ("xmpp://bücher.example", (false, "xn--bcher-kva.example", 5222, "")),
            ("ws://example.org:443/", (false, "example.org", 443, "/")),
            ("wss://example.org:80/", (true, "example.org", 80, "/")),
            ("wss://example.org", (true, "example.org", 443, "/")),
            ("ws://example.org", (false, "example.org", 80, "/")),
            ("WSS://EXAMPLE.org:443/a/b?x=1", (true, "example.org", 443, "/a/b?x=1")),
            ("ws://127.0.0.1:80/", (false, "127.0.0.1", 80, "/")),
            ("wss://[::1]:5281/ws", (true, "::1", 5281, "/ws")),
            ("wss://bücher.example/", (true, "xn--bcher-kva.example", 443, "/")),
            ("http://localhost:5280/http-bind", (false, "localhost", 5280, "/http-bind")),
            ("HTTPS://example.org", (true, "example.org", 443, "/")),
            ("https://example.org:80/http-bind?a", (true, "example.org", 80, "/http-bind?a")),
            ("wss://example.org?x", (true, "example.org", 443, "/?x")),
            ("wss://example.org/%C3%A4", (true, "example.org", 443, "/%C3%A4")),
        ];
        for (text, (secure, host, port, path)) in table {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.is_secure(), secure, "{text}");
            assert_eq!(endpoint.is_stream(), path.is_empty(), "{text}");
            assert_eq!(endpoint.is_bosh(), text.to_lowercase().starts_with("http"), "{text}");
            assert_eq!(endpoint.host(), host, "{text}");
            assert_eq!(endpoint.port(), port, "{text}");
            assert_eq!(endpoint.path_and_query(), path, "{text}");
            assert_eq!(endpoint.to_string().parse(), Ok(endpoint), "{text}");
        }
    }

    #[test]
    fn each_offence_has_its_error() {
        let other = |scheme: &str| EndpointError::Scheme { scheme: scheme.to_owned() };
        let table = [
            ("", EndpointError::MissingScheme),
            ("example.org", EndpointError::MissingScheme),
            ("example.org/ws", EndpointError::MissingScheme),
            ("example.org:5280/ws", EndpointError::MissingScheme),
            ("ws:example.org", EndpointError::MissingScheme),
            ("//example.org", EndpointError::MissingScheme),
            ("://example.org", EndpointError::MissingScheme),
            ("example.org/?u=ws://a", EndpointError::MissingScheme),
            ("xmpp:alice@example.org", EndpointError::MissingScheme),
            ("xmpp:example.org", EndpointError::MissingScheme),
            ("xmpp://alice@example.org", EndpointError::UserInfo),
            ("xmpp://example.org/chat", EndpointError::PathOfStream),
            ("xmpps://example.org?message", EndpointError::PathOfStream),
            ("xmpps://example.org/#", EndpointError::Fragment),
            ("xmpps:///example.org", EndpointError::NoHost),
            ("xmpps://", EndpointError::NoHost),
            ("xmpps://:5223", EndpointError::NoHost),
            ("xmpps://example.org:0", EndpointError::Port),
            ("xmpps://example.org:65536", EndpointError::Port),
            ("jabber://example.org", other("jabber")),
            ("ftp://example.org", other("ftp")),
            (" wss://example.org", EndpointError::Character { found: ' ' }),
            ("wss://exam ple.org", EndpointError::Character { found: ' ' }),
            ("wss://example.org/\n", EndpointError::Character { found: '\n' }),
            ("wss://example.org\\@evil", EndpointError::Character { found: '\\' }),
            ("wss://", EndpointError::NoHost),
            ("wss:///ws", EndpointError::NoHost),
            ("wss://:443/ws", EndpointError::NoHost),
            ("wss://example.org:x/", EndpointError::Port),
            ("wss://example.org:65536/", EndpointError::Port),
            ("wss://example.org:0/", EndpointError::Port),
            ("wss://u@example.org/", EndpointError::UserInfo),
            ("wss://u:hunter2@example.org/", EndpointError::UserInfo),
            ("wss://example.org/#", EndpointError::Fragment),
            ("wss://example.org/ws#top", EndpointError::Fragment),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text:?}");
        }
        for text in ["wss://[::1/", "wss://[::g]/", "wss://exa<mple.org/", "wss://256.0.0.1/"] {
            assert!(matches!(text.parse::<Endpoint>(), Err(EndpointError::Host { .. })), "{text}");
        }
    }

    #[test]
    fn errors_and_debug_repeat_no_secret() {
        let error = "wss://u:hunter2@example.org/".parse::<Endpoint>().unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        let endpoint: Endpoint = "wss://example.org/ws?token=hunter2".parse().unwrap();
        assert_eq!(format!("{endpoint:?}"), "Endpoint(wss://example.org/ws)");
        assert_eq!(endpoint.redacted(), "wss://example.org/ws");
    }

    #[test]
    fn the_host_header_leaves_the_schemes_own_port_out() {
        let authority = |text: &str| text.parse::<Endpoint>().unwrap().authority();
        assert_eq!(authority("ws://example.org:80/"), "example.org");
        assert_eq!(authority("ws://example.org:443/"), "example.org:443");
        assert_eq!(authority("wss://example.org:80/"), "example.org:80");
        assert_eq!(authority("wss://[2001:db8::1]/"), "[2001:db8::1]");
        assert_eq!(authority("wss://[2001:db8::1]:5281/"), "[2001:db8::1]:5281");
    }

    #[test]
    fn names_and_addresses_of_this_machine_are_known() {
        let local = |text: &str| text.parse::<Endpoint>().unwrap().is_local();
        for url in [
            "ws://localhost",
            "ws://LOCALHOST.",
            "ws://xmpp.localhost",
            "ws://127.8.9.1",
            "ws://[::1]",
            "ws://[::ffff:127.0.0.1]",
        ] {
            assert!(local(url), "{url}");
        }
        for url in ["ws://notlocalhost", "ws://localhost.example", "ws://10.0.0.1", "ws://[::2]"] {
            assert!(!local(url), "{url}");
        }
    }
}
