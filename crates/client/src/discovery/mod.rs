//! From a domain to the ways into its server: SRV records (RFC 6120, section 3.2; XEP-0368) and
//! host-meta files (XEP-0156). Connecting, and what the server then says, is not done here.

mod host_meta;
mod note;
mod srv;
#[cfg(test)]
pub(crate) mod tests;

use std::{fmt, time::Duration};

use tokio::time::{Instant, timeout_at};
use url::Host;

pub use self::{
    host_meta::HostMetaError,
    note::{Finding, NotAsked, Note, Problem, Question, Unfit},
};
use self::{host_meta::Link, srv::Services};
#[cfg(feature = "hickory")]
pub use crate::resolver::HickoryResolver;
use crate::{
    https,
    transport::{Deadline, Endpoint, TransportOptions, is_resolved_by_proxy},
};
pub use crate::{
    https::{FetchError, HttpsUrl, HttpsUrlError},
    resolver::{Lookup, LookupError, Resolver, SrvRecord, SystemResolver},
};

/// Finds the ways into the server of a domain, in the order to try them.
///
/// DNS and web server are asked at the same time, with the resolver, the TLS settings and the
/// proxies of `transport`, and within the time of `options`. A source that fails, or is late, is
/// noted, and the others count without it. Nothing is connected to but the web server.
///
/// The domain itself, on port 5222 with STARTTLS, is among the ways only when no SRV record was
/// found; a record with the target `.` counts as found. The certificate that a server then shows
/// must be one for the domain of the JID, never for the host of an SRV record (RFC 6120, section
/// 13.7.2.1); for a WebSocket from a host-meta file it is one for the host in its URL.
///
/// ```no_run
/// use epode::{TransportOptions, discovery::{DiscoveryOptions, discover}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), epode::discovery::DomainError> {
/// let transport = TransportOptions::new();
/// let found = discover("example.org", &transport, &DiscoveryOptions::new()).await?;
/// for candidate in &found.candidates {
///     println!("{candidate}");
/// }
/// for note in &found.notes {
///     eprintln!("{note}");
/// }
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`DomainError`] when the domain cannot be that of a server. That nothing was found is no error:
/// then there are no candidates.
pub async fn discover(
    domain: &str,
    transport: &TransportOptions,
    options: &DiscoveryOptions,
) -> Result<Discovery, DomainError> {
    let search = Search {
        domain: Domain::parse(domain)?,
        transport,
        deadline: Deadline::after(options.timeout),
        port: options.host_meta_port,
    };
    let ((by_tcp, mut notes), (by_web, web_notes)) =
        tokio::join!(search.by_tcp(options.order), Box::pin(search.by_web(options.order)));
    notes.extend(web_notes);
    let is_web_socket = |candidate: &_| {
        let Candidate { kind, .. } = candidate;
        matches!(kind, CandidateKind::WebSocket(_))
    };
    let (web_sockets, bosh): (Vec<_>, Vec<_>) = by_web.into_iter().partition(is_web_socket);
    let parts = match options.order {
        Order::WebSocketFirst => [web_sockets, by_tcp, bosh],
        Order::TcpFirst | Order::TcpOnly | Order::WebOnly => [by_tcp, web_sockets, bosh],
    };
    let found = Discovery { candidates: parts.concat(), notes };
    for note in &found.notes {
        tracing::debug!(domain, "{note}");
    }
    Ok(found)
}

/// What [`discover`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Discovery {
    /// The ways in, in the order to try them; 16 at most.
    pub candidates: Vec<Candidate>,
    /// What was asked, and what came of it.
    pub notes: Vec<Note>,
}

/// One way into a server.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// How to connect.
    pub kind: CandidateKind,
    /// The host to connect to, in ASCII: a name, or an IP address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Who said so.
    pub origin: Origin,
}

impl Candidate {
    /// True when trying both would be trying one twice.
    fn is_same_place(&self, other: &Self) -> bool {
        self.kind == other.kind && self.host == other.host && self.port == other.port
    }

    fn fallback(domain: &Domain) -> Self {
        let host = domain.host.clone();
        Self { kind: CandidateKind::StartTls, host, port: CLIENT_PORT, origin: Origin::Fallback }
    }

    fn web_socket(endpoint: Endpoint) -> Self {
        let (host, port) = (endpoint.host().to_owned(), endpoint.port());
        let kind = CandidateKind::WebSocket(endpoint);
        Self { kind, host, port, origin: Origin::HostMeta }
    }

    fn bosh(url: HttpsUrl) -> Self {
        let (host, port) = (url.host().to_owned(), url.port());
        Self { kind: CandidateKind::Bosh(url), host, port, origin: Origin::HostMeta }
    }
}

/// As in `direct TLS to xmpp.example.org:5223 (SRV _xmpps-client._tcp, priority 5, weight 0)`.
impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, host, port, origin } = self;
        let (open, close) = if host.contains(':') { ("[", "]") } else { ("", "") };
        match kind {
            CandidateKind::DirectTls => write!(f, "direct TLS to {open}{host}{close}:{port}"),
            CandidateKind::StartTls => write!(f, "STARTTLS to {open}{host}{close}:{port}"),
            CandidateKind::WebSocket(endpoint) => write!(f, "WebSocket at {endpoint}"),
            CandidateKind::Bosh(url) => write!(f, "BOSH at {url}"),
        }?;
        write!(f, " ({origin})")
    }
}

/// How to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CandidateKind {
    /// TCP with TLS from its first byte (XEP-0368).
    DirectTls,
    /// TCP, and TLS once the server has agreed to it (RFC 6120, section 5).
    StartTls,
    /// A WebSocket (RFC 7395), over TLS.
    WebSocket(Endpoint),
    /// BOSH (XEP-0206), over TLS.
    Bosh(HttpsUrl),
}

/// Who named a way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// An SRV record of `_xmpps-client._tcp`.
    SrvXmpps {
        /// Its priority.
        priority: u16,
        /// Its weight.
        weight: u16,
    },
    /// An SRV record of `_xmpp-client._tcp`.
    SrvXmpp {
        /// Its priority.
        priority: u16,
        /// Its weight.
        weight: u16,
    },
    /// A host-meta file.
    HostMeta,
    /// Nobody: it is the domain itself.
    Fallback,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SrvXmpps { priority, weight } => {
                write!(f, "{}, priority {priority}, weight {weight}", Question::SrvXmpps)
            }
            Self::SrvXmpp { priority, weight } => {
                write!(f, "{}, priority {priority}, weight {weight}", Question::SrvXmpp)
            }
            Self::HostMeta => f.write_str("host-meta"),
            Self::Fallback => f.write_str("the domain itself, for want of SRV records"),
        }
    }
}

/// How to look for a server.
///
/// ```
/// use std::time::Duration;
///
/// use epode::discovery::{DiscoveryOptions, Order};
///
/// let options =
///     DiscoveryOptions::new().with_order(Order::TcpOnly).with_timeout(Duration::from_secs(5));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveryOptions {
    order: Order,
    timeout: Duration,
    host_meta_port: u16,
}

impl DiscoveryOptions {
    /// The time for all lookups together, unless another is set.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

    /// Everything is looked for, and TCP comes first.
    #[must_use]
    pub fn new() -> Self {
        Self { order: Order::TcpFirst, timeout: Self::DEFAULT_TIMEOUT, host_meta_port: HTTPS_PORT }
    }

    /// Sets what is looked for, and what comes first.
    #[must_use]
    pub fn with_order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Sets the time for all lookups together. What is not there by then is left out.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn order(&self) -> Order {
        self.order
    }

    /// The same, in this much time at most.
    pub(crate) fn within(self, limit: Duration) -> Self {
        let timeout = self.timeout.min(limit);
        self.with_timeout(timeout)
    }

    /// Sets the port of the domain's web server, 443 unless another is set: for tests, for no
    /// domain can tell. Its certificate must be one for the domain all the same.
    #[must_use]
    pub fn with_host_meta_port(mut self, port: u16) -> Self {
        self.host_meta_port = port;
        self
    }
}

impl Default for DiscoveryOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// What is looked for, and what comes first.
///
/// To wait for the web server only when nothing else works (XEP-0156, section 2.2, has host-meta
/// for that case), look with [`TcpOnly`](Self::TcpOnly) first, and with
/// [`WebOnly`](Self::WebOnly) when none of its candidates could be connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// Direct TLS and STARTTLS as DNS ranks them, then WebSocket, then BOSH.
    #[default]
    TcpFirst,
    /// WebSocket, then direct TLS and STARTTLS, then BOSH.
    WebSocketFirst,
    /// Direct TLS and STARTTLS; no web server is asked.
    TcpOnly,
    /// WebSocket, then BOSH; DNS is asked for no SRV records.
    WebOnly,
}

impl Order {
    fn has_tcp(self) -> bool {
        self != Self::WebOnly
    }

    fn has_web(self) -> bool {
        self != Self::TcpOnly
    }
}

/// Why a domain cannot be that of a server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// It is neither a name nor an address.
    #[error("{domain:?} is no domain ({reason}); write it as in user@example.org")]
    Malformed {
        /// The domain, made printable and cut off at 256 characters.
        domain: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is longer than DNS allows.
    #[error("the domain has {length} bytes; DNS allows no more than {limit}")]
    TooLong {
        /// Its length in ASCII.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

/// A domain in ASCII.
#[derive(Debug)]
struct Domain {
    /// Without a dot at its end; an IPv6 address without brackets.
    host: String,
    is_in_dns: bool,
}

impl Domain {
    fn parse(text: &str) -> Result<Self, DomainError> {
        let malformed =
            |reason: String| DomainError::Malformed { domain: https::shown(text), reason };
        // The parser takes it for an escape, as in a URL.
        if text.contains('%') {
            return Err(malformed("it contains '%'".to_owned()));
        }
        let text = text.strip_suffix('.').unwrap_or(text);
        let host = match Host::parse(text).map_err(|error| malformed(error.to_string()))? {
            Host::Domain(name) => name,
            Host::Ipv4(address) => {
                return Ok(Self { host: address.to_string(), is_in_dns: false });
            }
            Host::Ipv6(address) => {
                return Ok(Self { host: address.to_string(), is_in_dns: false });
            }
        };
        if host.len() > MAX_DOMAIN {
            return Err(DomainError::TooLong { length: host.len(), limit: MAX_DOMAIN });
        }
        let last = host.rsplit('.').next().unwrap_or_default();
        let is_in_dns = !matches!(last, "localhost" | "onion");
        Ok(Self { host, is_in_dns })
    }
}

struct Search<'a> {
    domain: Domain,
    transport: &'a TransportOptions,
    deadline: Deadline,
    port: u16,
}

impl Search<'_> {
    async fn by_tcp(&self, order: Order) -> (Vec<Candidate>, Vec<Note>) {
        let not_asked = |why| {
            let note = |about| Note::new(about, Finding::NotAsked { why });
            vec![note(Question::SrvXmpps), note(Question::SrvXmpp)]
        };
        if !order.has_tcp() {
            return (Vec::new(), not_asked(NotAsked::NotWanted));
        }
        let fallback = || vec![Candidate::fallback(&self.domain)];
        if !self.domain.is_in_dns {
            return (fallback(), not_asked(NotAsked::NotInDns));
        }
        if self.is_resolved_by_proxy() {
            return (fallback(), not_asked(NotAsked::ProxyResolves));
        }
        let ((direct, direct_note), (start_tls, start_tls_note)) = tokio::join!(
            self.look_srv_up(Question::SrvXmpps, "_xmpps-client._tcp"),
            self.look_srv_up(Question::SrvXmpp, "_xmpp-client._tcp")
        );
        let mut notes = vec![direct_note, start_tls_note];
        let services = Services::new(direct, start_tls, &mut uniform, &mut notes);
        if services.may_fall_back { (fallback(), notes) } else { (services.candidates, notes) }
    }

    fn is_resolved_by_proxy(&self) -> bool {
        let url = HttpsUrl::well_known(&self.domain.host, self.port, "");
        url.is_ok_and(|url| is_resolved_by_proxy(url.endpoint(), self.transport))
    }

    async fn look_srv_up(
        &self,
        about: Question,
        service: &str,
    ) -> (Result<Vec<SrvRecord>, LookupError>, Note) {
        let begun = Instant::now();
        let name = format!("{service}.{}", self.domain.host);
        let lookup = timeout_at(self.deadline.instant(), self.transport.resolver().srv(&name));
        let answer = lookup.await.unwrap_or(Err(LookupError::TimedOut));
        let took = begun.elapsed();
        let finding = match &answer {
            Ok(records) if !records.is_empty() => Finding::Found { count: records.len(), took },
            Ok(_) | Err(LookupError::NoRecords) => Finding::Nothing { took },
            Err(error) => Finding::Failed { problem: error.clone().into(), took },
        };
        (answer, Note::new(about, finding))
    }

    async fn by_web(&self, order: Order) -> (Vec<Candidate>, Vec<Note>) {
        let why = match (order.has_web(), self.domain.is_in_dns) {
            (true, true) => None,
            (true, false) => Some(NotAsked::NotInDns),
            (false, _) => Some(NotAsked::NotWanted),
        };
        if let Some(why) = why {
            let note = |about| Note::new(about, Finding::NotAsked { why });
            return (Vec::new(), vec![note(Question::HostMetaXml), note(Question::HostMetaJson)]);
        }
        let ((xml, xml_note), (json, json_note)) = tokio::join!(
            self.read_host_meta(Question::HostMetaXml),
            self.read_host_meta(Question::HostMetaJson)
        );
        let mut notes = vec![xml_note, json_note];
        let candidates = host_meta::candidates(xml, json, &mut notes);
        (candidates, notes)
    }

    async fn read_host_meta(&self, about: Question) -> (Option<Vec<Link>>, Note) {
        let begun = Instant::now();
        let result = self.fetch_host_meta(about).await;
        let took = begun.elapsed();
        let (links, finding) = match result {
            Ok(links) if links.is_empty() => (Some(links), Finding::Nothing { took }),
            Ok(links) => {
                let count = links.len();
                (Some(links), Finding::Found { count, took })
            }
            Err(HostMetaError::Fetch(FetchError::Missing { .. })) => {
                (None, Finding::Nothing { took })
            }
            Err(error) => (None, Finding::Failed { problem: error.into(), took }),
        };
        (links, Note::new(about, finding))
    }

    async fn fetch_host_meta(&self, about: Question) -> Result<Vec<Link>, HostMetaError> {
        let (name, accept) = match about {
            Question::HostMetaJson => ("host-meta.json", "application/jrd+json, application/json"),
            _ => ("host-meta", "application/xrd+xml, application/xml, text/xml"),
        };
        let url = HttpsUrl::well_known(&self.domain.host, self.port, name)
            .map_err(|error| FetchError::BadUrl { reason: error })?;
        let (limit, deadline) = (host_meta::MAX_DOCUMENT, self.deadline);
        let document = https::get(url, accept, limit, self.transport, deadline).await?;
        match about {
            Question::HostMetaJson => host_meta::read_json(&document),
            _ => host_meta::read_xml(&document),
        }
    }
}

/// A number from 0 to `max`, each as likely as any other: `max` is so small beside 64 bits that
/// the remainder makes no difference. Without randomness there is no choice, but still an order.
fn uniform(max: u64) -> u64 {
    getrandom::u64().unwrap_or(0) % max.saturating_add(1)
}

/// The port registered for clients (RFC 6120, section 14.7).
const CLIENT_PORT: u16 = 5222;
const HTTPS_PORT: u16 = 443;
const MAX_DOMAIN: usize = 253;

const _: () = assert!(srv::MAX_CANDIDATES + 2 * host_meta::MAX_OF_A_KIND == 16, "as documented");
