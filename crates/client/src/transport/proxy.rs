//! Which proxy, if any, a connection goes through: settings, and the decision.
//! The talk with the proxy itself is in `tunnel`.

use std::{env, fmt, net::IpAddr, str::FromStr};

use percent_encoding::percent_decode_str;
use url::{Host, Url};
use zeroize::Zeroizing;

use super::{
    endpoint::{Endpoint, Scheme},
    peer::Peer,
};

/// Which proxy to use for which server.
///
/// From the environment it follows what curl does: `https_proxy` or `HTTPS_PROXY` for `wss://`,
/// `http_proxy` (lower-case only: web servers set `HTTP_PROXY` from a request header) for `ws://`,
/// else, and for `xmpp://` and `xmpps://` always, `all_proxy` or `ALL_PROXY`; `no_proxy` or
/// `NO_PROXY` lists exceptions. A variable that is set but empty counts as not set. A server on
/// this machine, by address or as `localhost`, is never reached through a proxy.
///
/// An exception is a host name, which covers the names below it too, an IP address, a network such
/// as `10.0.0.0/8`, or `*` for every host; `:port` after a name or address narrows it down. They
/// are separated by commas or blanks. What is none of these matches nothing.
///
/// ```
/// use epode::{Endpoint, ProxySettings};
///
/// let settings = ProxySettings::from_lookup(|name| match name {
///     "https_proxy" => Some("http://proxy.example:3128".to_owned()),
///     "no_proxy" => Some("example.net".to_owned()),
///     _ => None,
/// });
/// let proxied: Endpoint = "wss://chat.example.org/ws".parse()?;
/// let direct: Endpoint = "wss://chat.example.net/ws".parse()?;
/// assert_eq!(settings.proxy_for(&proxied)?.unwrap().to_string(), "http://proxy.example:3128");
/// assert!(settings.proxy_for(&direct)?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProxySettings {
    secure: Setting,
    plain: Setting,
    stream: Setting,
    exceptions: Exceptions,
}

impl ProxySettings {
    /// No proxy, whatever the environment says.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The settings of this process's environment, as they are now.
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_lookup(|name| env::var(name).ok())
    }

    /// The settings that `lookup` finds under the usual names of environment variables.
    #[must_use]
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&'static str]| {
            names.iter().find_map(|name| {
                let value = Zeroizing::new(lookup(name)?);
                (!value.is_empty()).then_some((*name, value))
            })
        };
        let exceptions = first(&["no_proxy", "NO_PROXY"]);
        Self {
            secure: first(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]).into(),
            plain: first(&["http_proxy", "all_proxy", "ALL_PROXY"]).into(),
            stream: first(&["all_proxy", "ALL_PROXY"]).into(),
            exceptions: exceptions
                .map_or_else(Exceptions::default, |(_, list)| Exceptions::parse(&list)),
        }
    }

    /// One proxy for every server but those on this machine.
    #[must_use]
    pub fn through(proxy: Proxy) -> Self {
        let setting = Setting::Proxy(Box::new(proxy));
        Self {
            secure: setting.clone(),
            plain: setting.clone(),
            stream: setting,
            exceptions: Exceptions::default(),
        }
    }

    /// Replaces the exceptions by a list that is written as in `NO_PROXY`.
    #[must_use]
    pub fn with_exceptions(mut self, list: &str) -> Self {
        self.exceptions = Exceptions::parse(list);
        self
    }

    /// The proxy to use for a server, or none for a direct connection.
    ///
    /// # Errors
    ///
    /// [`ProxyError`] when the variable that counts for this server holds no proxy URL. One that
    /// is not needed is not complained about.
    pub fn proxy_for(&self, endpoint: &Endpoint) -> Result<Option<&Proxy>, ProxyError> {
        if endpoint.is_local() || self.exceptions.cover(endpoint) {
            return Ok(None);
        }
        let setting = match endpoint.scheme() {
            Scheme::Wss | Scheme::Https => &self.secure,
            Scheme::Ws | Scheme::Http => &self.plain,
            Scheme::Xmpp | Scheme::Xmpps => &self.stream,
        };
        match setting {
            Setting::Unset => Ok(None),
            Setting::Proxy(proxy) => Ok(Some(proxy)),
            Setting::Broken(error) => Err(ProxyError::clone(error)),
        }
    }
}

/// A proxy, read from a URL such as `http://proxy.example:3128` or
/// `socks5h://user:password@localhost:9050`.
///
/// | scheme | what it means |
/// |---|---|
/// | `http` or none | HTTP CONNECT (RFC 9110, section 9.3.6), port 80 unless given |
/// | `socks5` | SOCKS5 (RFC 1928), names resolved on this machine, port 1080 unless given |
/// | `socks5h` | SOCKS5, names resolved by the proxy, port 1080 unless given |
///
/// Credentials are percent-decoded, wiped when dropped, and shown by neither `Debug` nor `Display`.
/// They travel to the proxy as they are: the way to it should be a trusted one.
#[derive(Clone)]
pub struct Proxy {
    kind: ProxyKind,
    peer: Peer,
    credentials: Option<Credentials>,
}

impl Proxy {
    pub(super) fn kind(&self) -> ProxyKind {
        self.kind
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    pub(super) fn credentials(&self) -> Option<&Credentials> {
        self.credentials.as_ref()
    }
}

impl FromStr for Proxy {
    type Err = ProxyUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let with_scheme;
        let text = if text.contains("://") {
            text
        } else {
            with_scheme = Zeroizing::new(format!("http://{text}"));
            with_scheme.as_str()
        };
        let url = Url::parse(text).map_err(ProxyUrlError::from)?;
        let kind = match url.scheme() {
            "http" => ProxyKind::Http,
            "socks5" => ProxyKind::Socks5,
            "socks5h" => ProxyKind::Socks5h,
            other => {
                return Err(ProxyUrlError::Scheme { scheme: other.chars().take(32).collect() });
            }
        };
        let host = match url.host().ok_or(ProxyUrlError::NoHost)? {
            Host::Domain("") => return Err(ProxyUrlError::NoHost),
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        let port = url.port().unwrap_or_else(|| kind.default_port());
        let credentials = Credentials::of(&url)?;
        Ok(Self { kind, peer: Peer::proxy(host, port), credentials })
    }
}

/// The URL without credentials.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.kind {
            ProxyKind::Http => "http",
            ProxyKind::Socks5 => "socks5",
            ProxyKind::Socks5h => "socks5h",
        };
        write!(f, "{scheme}://{}", self.peer.authority())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyKind {
    Http,
    /// Names are resolved on this machine.
    Socks5,
    /// Names are resolved by the proxy.
    Socks5h,
}

impl ProxyKind {
    const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Socks5 | Self::Socks5h => 1080,
        }
    }
}

/// User name and password for a proxy; without `Debug`, so that nothing can show them.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) user: Zeroizing<String>,
    pub(super) password: Zeroizing<String>,
}

impl Credentials {
    /// Each at most 255 bytes, which is what SOCKS5 can carry (RFC 1929, section 2).
    const MAX_LENGTH: usize = 255;

    fn of(url: &Url) -> Result<Option<Self>, ProxyUrlError> {
        if url.username().is_empty() && url.password().is_none() {
            return Ok(None);
        }
        let decode = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            let decoded = decoded.map_err(|_| ProxyUrlError::Credentials)?;
            let too_long = decoded.len() > Self::MAX_LENGTH;
            if too_long || decoded.contains(char::is_control) {
                return Err(ProxyUrlError::Credentials);
            }
            Ok(Zeroizing::new(decoded.into_owned()))
        };
        let user = decode(url.username())?;
        let password = decode(url.password().unwrap_or_default())?;
        // In Basic credentials (RFC 7617, section 2) a colon would end the user name.
        if user.is_empty() || user.contains(':') {
            return Err(ProxyUrlError::Credentials);
        }
        Ok(Some(Self { user, password }))
    }
}

/// An environment variable that was needed holds no proxy URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {variable} {problem}")]
pub struct ProxyError {
    /// The variable's name.
    pub variable: &'static str,
    /// What is wrong with its value.
    pub problem: ProxyUrlError,
}

/// Why a text is no URL of a proxy. The text itself is never repeated, for it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProxyUrlError {
    /// The scheme is not one of those understood.
    #[error("has the scheme {scheme:?}; proxies can be http://, socks5:// or socks5h://")]
    Scheme {
        /// The scheme, cut off after 32 characters.
        scheme: String,
    },
    /// There is no host in it.
    #[error("names no host; write it as in http://proxy.example:3128")]
    NoHost,
    /// Host or port are not valid.
    #[error("is no proxy URL ({reason}); write it as in http://proxy.example:3128")]
    Malformed {
        /// What the URL parser found.
        reason: String,
    },
    /// User name or password cannot be sent to a proxy.
    #[error(
        "has a user name or password that cannot be sent: at most 255 bytes of UTF-8 each, \
         percent-encoded, no control characters, a user name without ':'"
    )]
    Credentials,
}

impl From<url::ParseError> for ProxyUrlError {
    fn from(error: url::ParseError) -> Self {
        match error {
            url::ParseError::EmptyHost => Self::NoHost,
            other => Self::Malformed { reason: other.to_string() },
        }
    }
}

#[derive(Clone, Debug, Default)]
enum Setting {
    #[default]
    Unset,
    Proxy(Box<Proxy>),
    Broken(Box<ProxyError>),
}

impl From<Option<(&'static str, Zeroizing<String>)>> for Setting {
    fn from(variable: Option<(&'static str, Zeroizing<String>)>) -> Self {
        match variable.map(|(variable, value)| (variable, value.parse())) {
            None => Self::Unset,
            Some((_, Ok(proxy))) => Self::Proxy(Box::new(proxy)),
            Some((variable, Err(problem))) => {
                Self::Broken(Box::new(ProxyError { variable, problem }))
            }
        }
    }
}

/// The rules of `NO_PROXY`.
#[derive(Clone, Debug, Default)]
struct Exceptions(Vec<Exception>);

impl Exceptions {
    fn parse(list: &str) -> Self {
        let entries = list.split(|c: char| c == ',' || c.is_whitespace());
        Self(entries.filter_map(Exception::parse).collect())
    }

    fn cover(&self, endpoint: &Endpoint) -> bool {
        let address = endpoint.host().parse().ok();
        self.0.iter().any(|exception| exception.covers(endpoint, address))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Exception {
    hosts: Hosts,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Hosts {
    All,
    /// This name and those below it; in ASCII, lower-case, without dots at its ends.
    Domain(String),
    Network {
        address: IpAddr,
        prefix: u8,
    },
}

impl Exception {
    /// Reads `*`, `name`, `.name`, `*.name`, an address or `address/prefix`; `:port` may follow.
    fn parse(entry: &str) -> Option<Self> {
        if let Some(hosts) = Hosts::parse_address(entry) {
            return Some(Self { hosts, port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        let hosts = Hosts::parse_address(host).or_else(|| Hosts::parse_name(host))?;
        Some(Self { hosts, port })
    }

    fn covers(&self, endpoint: &Endpoint, address: Option<IpAddr>) -> bool {
        let here = match (&self.hosts, address) {
            (Hosts::All, _) => true,
            (Hosts::Domain(domain), None) => is_below(endpoint.host(), domain),
            (Hosts::Network { address: network, prefix }, Some(address)) => {
                same_network(*network, address, *prefix)
            }
            _ => false,
        };
        here && self.port.is_none_or(|port| port == endpoint.port())
    }
}

impl Hosts {
    fn parse_address(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix.parse().ok()?)),
            None => (text, None),
        };
        let address =
            address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
        let address: IpAddr = address.parse().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = prefix.unwrap_or(longest);
        (prefix <= longest).then_some(Self::Network { address, prefix })
    }

    fn parse_name(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        let name = text.strip_prefix('*').unwrap_or(text).trim_matches('.');
        match Host::parse(name).ok()? {
            Host::Domain(name) => Some(Self::Domain(name)),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        }
    }
}

fn is_below(name: &str, domain: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn same_network(network: IpAddr, address: IpAddr, prefix: u8) -> bool {
    let (network, address, length) = match (network.to_canonical(), address.to_canonical()) {
        (IpAddr::V4(n), IpAddr::V4(a)) => (n.to_bits().into(), a.to_bits().into(), 32),
        (IpAddr::V6(n), IpAddr::V6(a)) => (n.to_bits(), a.to_bits(), 128_u32),
        _ => return false,
    };
    let difference: u128 = network ^ address;
    difference.checked_shr(length.saturating_sub(prefix.into())).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn settings(variables: Variables<'_>) -> ProxySettings {
        ProxySettings::from_lookup(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn chosen(variables: Variables<'_>, url: &str) -> Option<String> {
        let endpoint = url.parse().unwrap();
        settings(variables).proxy_for(&endpoint).unwrap().map(ToString::to_string)
    }

    #[test]
    fn each_scheme_has_its_variables() {
        let table: [(Variables<'_>, &str, Option<&str>); 15] = [
            (&[], "wss://a.example", None),
            (&[("https_proxy", "http://p:1")], "wss://a.example", Some("http://p:1")),
            (&[("HTTPS_PROXY", "http://p:1")], "wss://a.example", Some("http://p:1")),
            (
                &[("https_proxy", "p:1"), ("HTTPS_PROXY", "q:1")],
                "wss://a.example",
                Some("http://p:1"),
            ),
            (&[("https_proxy", "http://p:1")], "ws://a.example", None),
            (&[("http_proxy", "http://p")], "ws://a.example", Some("http://p:80")),
            (&[("http_proxy", "http://p:1")], "wss://a.example", None),
            // Set by web servers from a request header: never taken.
            (&[("HTTP_PROXY", "http://p:1")], "ws://a.example", None),
            (&[("all_proxy", "socks5://p")], "ws://a.example", Some("socks5://p:1080")),
            (&[("ALL_PROXY", "socks5h://p")], "wss://a.example", Some("socks5h://p:1080")),
            (&[("all_proxy", "socks5://p")], "xmpp://a.example", Some("socks5://p:1080")),
            (&[("https_proxy", "http://p:1")], "xmpps://a.example", None),
            (&[("http_proxy", "http://p:1")], "xmpp://a.example", None),
            (&[("https_proxy", ""), ("all_proxy", "p:2")], "wss://a.example", Some("http://p:2")),
            (
                &[("https_proxy", "http://[::1]:8080/")],
                "wss://a.example",
                Some("http://[::1]:8080"),
            ),
        ];
        for (variables, url, proxy) in table {
            assert_eq!(chosen(variables, url).as_deref(), proxy, "{variables:?} {url}");
        }
    }

    #[test]
    fn this_machine_is_never_reached_through_a_proxy() {
        let all = [("all_proxy", "http://p:1"), ("https_proxy", "http://p:1")];
        for url in ["wss://localhost", "ws://127.0.0.1:5280", "wss://[::1]/", "ws://a.localhost"] {
            assert_eq!(chosen(&all, url), None, "{url}");
        }
        assert_eq!(chosen(&all, "wss://10.0.0.1").as_deref(), Some("http://p:1"));
    }

    #[test]
    fn exceptions_follow_the_usual_rules() {
        let covered = |list: &str, url: &str| {
            let settings = ProxySettings::through("http://p:1".parse().unwrap());
            let endpoint = url.parse().unwrap();
            settings.with_exceptions(list).proxy_for(&endpoint).unwrap().is_none()
        };
        for (list, url) in [
            ("*", "wss://a.example"),
            ("example.org", "wss://example.org"),
            ("example.org", "wss://chat.example.org"),
            (".example.org", "wss://example.org"),
            ("*.example.org", "wss://chat.example.org"),
            ("example.org.", "wss://EXAMPLE.org."),
            ("a.example,b.example", "wss://b.example"),
            ("a.example  b.example", "wss://b.example"),
            (" , ,b.example,", "wss://b.example"),
            ("bücher.example", "wss://xn--bcher-kva.example"),
            ("a.example:5281", "wss://a.example:5281"),
            ("a.example:443", "wss://a.example"),
            ("10.0.0.1", "wss://10.0.0.1"),
            ("10.0.0.1:443", "wss://10.0.0.1"),
            ("10.0.0.0/8", "wss://10.200.3.4"),
            ("0.0.0.0/0", "wss://10.200.3.4"),
            ("2001:db8::1", "wss://[2001:db8::1]"),
            ("[2001:db8::1]:443", "wss://[2001:db8::1]"),
            ("2001:db8::/32", "wss://[2001:db8:1::1]"),
            ("10.0.0.0/8", "wss://[::ffff:10.1.2.3]"),
        ] {
            assert!(covered(list, url), "{list} should cover {url}");
        }
        for (list, url) in [
            ("", "wss://a.example"),
            ("example.org", "wss://notexample.org"),
            ("chat.example.org", "wss://example.org"),
            ("a.example:5281", "wss://a.example"),
            ("a.example:x", "wss://a.example"),
            ("10.0.0.0/8", "wss://11.0.0.1"),
            ("10.0.0.0/33", "wss://10.0.0.1"),
            ("10.0.0.1", "wss://10.0.0.2"),
            ("2001:db8::/32", "wss://[2001:db9::1]"),
            ("2001:db8::/32", "wss://32.1.13.184"),
            ("0.0.0.1", "wss://a.0.0.0.example"),
            ("org", "wss://example.com"),
        ] {
            assert!(!covered(list, url), "{list} should not cover {url}");
        }
    }

    #[test]
    fn each_offence_of_a_proxy_url_has_its_error() {
        let scheme = |scheme: &str| ProxyUrlError::Scheme { scheme: scheme.to_owned() };
        for (url, error) in [
            ("https://p:1", scheme("https")),
            ("socks4://p:1", scheme("socks4")),
            ("http://", ProxyUrlError::NoHost),
            ("socks5://", ProxyUrlError::NoHost),
            ("socks5://:hunter2@:1", ProxyUrlError::NoHost),
            ("http://u:%ff@p:1", ProxyUrlError::Credentials),
            ("http://u:a%0d%0ab@p:1", ProxyUrlError::Credentials),
            ("http://:hunter2@p:1", ProxyUrlError::Credentials),
            ("http://a%3Ab:c@p:1", ProxyUrlError::Credentials),
        ] {
            assert_eq!(url.parse::<Proxy>().unwrap_err(), error, "{url}");
        }
        let long = format!("http://u:{}@p:1", "x".repeat(256));
        assert_eq!(long.parse::<Proxy>().unwrap_err(), ProxyUrlError::Credentials);
        for url in ["http://p:port", "http://p:70000", "http://[::1", "http://a b"] {
            let error = url.parse::<Proxy>().unwrap_err();
            assert!(matches!(error, ProxyUrlError::Malformed { .. }), "{url}: {error:?}");
        }
    }

    #[test]
    fn a_broken_variable_is_named_when_it_counts_and_only_then() {
        let settings = settings(&[("HTTPS_PROXY", "ftp://u:hunter2@p"), ("no_proxy", "b.example")]);
        let error = settings.proxy_for(&"wss://a.example".parse().unwrap()).unwrap_err();
        let problem = ProxyUrlError::Scheme { scheme: "ftp".to_owned() };
        assert_eq!(error, ProxyError { variable: "HTTPS_PROXY", problem });
        assert!(settings.proxy_for(&"wss://b.example".parse().unwrap()).unwrap().is_none());
        assert!(settings.proxy_for(&"ws://a.example".parse().unwrap()).unwrap().is_none());
        assert!(!format!("{error} {error:?} {settings:?}").contains("hunter2"));
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let proxy: Proxy = "socks5h://us%40er:hun%2Fter2@p".parse().unwrap();
        let credentials = proxy.credentials().unwrap();
        assert_eq!(credentials.user.as_str(), "us@er");
        assert_eq!(credentials.password.as_str(), "hun/ter2");
        let shown = format!("{proxy} {proxy:?} {:?}", ProxySettings::through(proxy.clone()));
        assert!(!shown.contains("hun") && !shown.contains("us@er"), "{shown}");
        let user_only: Proxy = "http://user@p".parse().unwrap();
        assert_eq!(user_only.credentials().unwrap().password.as_str(), "");
    }
}
