//! Where to connect: a `ws://` or `wss://` URL, checked once, where it enters.
//! What stands behind the host name is for the dialler to find out.

use std::{fmt, net::IpAddr, str::FromStr};

use http::uri::PathAndQuery;
use url::{Host, Url};

use super::error::Peer;

/// The address of a server's WebSocket service (RFC 7395, section 3.1).
///
/// Host names are kept in their ASCII form, and the scheme's own port is not shown: two URLs that
/// mean the same are equal.
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
/// # Ok::<(), epode::EndpointError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    secure: bool,
    host: Host<String>,
    /// The host as it is looked up and shown to TLS: an IPv6 address stands without brackets.
    name: String,
    port: u16,
    path_and_query: String,
}

impl Endpoint {
    /// True for `wss://`: the connection runs through TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host name in ASCII, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.name
    }

    /// The port, the scheme's own (443 or 80) where the URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What is asked of the host: a path, `/` at least, and the query if there is one.
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
        if self.port == default_port(self.secure) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// The URL for error messages: the query stays out, for it may hold a secret.
    pub(super) fn redacted(&self) -> String {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        format!("{}://{}{path}", self.scheme(), self.authority())
    }

    pub(super) fn peer(&self) -> Peer {
        Peer::server(self.name.clone(), self.port)
    }

    fn scheme(&self) -> &'static str {
        if self.secure { "wss" } else { "ws" }
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
        let secure = secure_scheme(text)?;
        let url = Url::parse(text)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        let host = url.host().ok_or(EndpointError::NoHost)?.to_owned();
        let port = url.port().unwrap_or_else(|| default_port(secure));
        if port == 0 {
            return Err(EndpointError::Port);
        }
        let path_and_query = &url[url::Position::BeforePath..url::Position::AfterQuery];
        let path_and_query = PathAndQuery::from_str(path_and_query)
            .map_err(|_| EndpointError::Path)?
            .as_str()
            .to_owned();
        let name = match &host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        };
        Ok(Self { secure, host, name, port, path_and_query })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority(), self.path_and_query)
    }
}

/// Like [`Display`](fmt::Display), but without the query, which may hold a secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({})", self.redacted())
    }
}

/// Why a text is no address of a WebSocket service. The text itself is never repeated, for it may
/// hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// There is no scheme, as in `example.org/ws`.
    #[error("the URL has no scheme; begin it with wss:// (or ws:// for a server on this machine)")]
    MissingScheme,
    /// The scheme is `http` or `https`, which means BOSH.
    #[error("{scheme}:// URLs mean BOSH, which is not there yet; use the server's wss:// URL")]
    Bosh {
        /// `http` or `https`.
        scheme: String,
    },
    /// The scheme is some other.
    #[error("the URL's scheme is {scheme:?}; only wss:// and ws:// are understood")]
    Scheme {
        /// The scheme, cut off after 32 characters.
        scheme: String,
    },
    /// A blank, a control character or a backslash stands in it.
    #[error("the URL contains {found:?}; remove it, or write it percent-encoded")]
    Character {
        /// The first such character.
        found: char,
    },
    /// Nothing stands between the scheme and the path.
    #[error("the URL names no host; write one after ://, as in wss://example.org/xmpp-websocket")]
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

/// Reads the scheme; `://` must follow it, so that `example.org:5280/ws` is not taken for one.
fn secure_scheme(text: &str) -> Result<bool, EndpointError> {
    let (scheme, rest) = text.split_once("://").ok_or(EndpointError::MissingScheme)?;
    if scheme.contains(['/', '?', '#', '@', ':']) || scheme.is_empty() {
        return Err(EndpointError::MissingScheme);
    }
    match scheme.to_ascii_lowercase().as_str() {
        // The URL parser would skip further slashes and take the path for the host.
        "wss" | "ws" if rest.starts_with('/') => Err(EndpointError::NoHost),
        "wss" => Ok(true),
        "ws" => Ok(false),
        scheme @ ("http" | "https") => Err(EndpointError::Bosh { scheme: scheme.to_owned() }),
        other => Err(EndpointError::Scheme { scheme: other.chars().take(32).collect() }),
    }
}

const fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let table = [
            ("ws://localhost:5280/ws", (false, "localhost", 5280, "/ws")),
            ("wss://example.org", (true, "example.org", 443, "/")),
            ("ws://example.org", (false, "example.org", 80, "/")),
            ("WSS://EXAMPLE.org:443/a/b?x=1", (true, "example.org", 443, "/a/b?x=1")),
            ("ws://127.0.0.1:80/", (false, "127.0.0.1", 80, "/")),
            ("wss://[::1]:5281/ws", (true, "::1", 5281, "/ws")),
            ("wss://bücher.example/", (true, "xn--bcher-kva.example", 443, "/")),
            ("wss://example.org?x", (true, "example.org", 443, "/?x")),
            ("wss://example.org/%C3%A4", (true, "example.org", 443, "/%C3%A4")),
        ];
        for (text, (secure, host, port, path)) in table {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!(endpoint.is_secure(), secure, "{text}");
            assert_eq!(endpoint.host(), host, "{text}");
            assert_eq!(endpoint.port(), port, "{text}");
            assert_eq!(endpoint.path_and_query(), path, "{text}");
            assert_eq!(endpoint.to_string().parse(), Ok(endpoint), "{text}");
        }
    }

    #[test]
    fn each_offence_has_its_error() {
        let bosh = |scheme: &str| EndpointError::Bosh { scheme: scheme.to_owned() };
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
            ("http://example.org/http-bind", bosh("http")),
            ("HTTPS://example.org/http-bind", bosh("https")),
            ("xmpp://example.org", other("xmpp")),
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
