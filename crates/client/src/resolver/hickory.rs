//! SRV records by hickory, over plain DNS: UDP, and TCP where an answer is too long for it.
//! No DNSSEC, no DNS over HTTPS: what a server's certificate says is what counts.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::OnceLock,
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{
        ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
        ResolverOpts,
    },
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, rdata::SRV},
    },
};
use tokio::time::timeout;

use super::{Lookup, LookupError, MAX_RECORDS, Resolver, SrvRecord, SystemResolver};

/// Asks name servers for SRV records, by itself.
///
/// ```
/// use std::sync::Arc;
///
/// use epode::{TransportOptions, discovery::HickoryResolver};
///
/// let resolver = HickoryResolver::with_name_server("192.0.2.53:53".parse()?);
/// let options = TransportOptions::new().with_resolver(Arc::new(resolver));
/// # let _ = options;
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub struct HickoryResolver {
    source: Source,
    /// Made when it is first needed: it reads files.
    inner: OnceLock<Result<Box<TokioResolver>, LookupError>>,
}

impl HickoryResolver {
    /// SRV records come from the name servers that the system is set up for, addresses from the
    /// system itself, as they do for every other program here.
    ///
    /// Where the system names no server, [`srv`](Resolver::srv) says
    /// [`LookupError::NoNameServer`].
    #[must_use]
    pub fn system() -> Self {
        Self { source: Source::System, inner: OnceLock::new() }
    }

    /// Everything comes from one name server, over UDP and TCP; neither `/etc/hosts` nor search
    /// domains are looked at.
    #[must_use]
    pub fn with_name_server(address: SocketAddr) -> Self {
        Self { source: Source::NameServer(address), inner: OnceLock::new() }
    }

    fn inner(&self) -> Result<&TokioResolver, LookupError> {
        let inner = self.inner.get_or_init(|| self.source.resolver().map(Box::new));
        inner.as_deref().map_err(Clone::clone)
    }

    async fn look_srv_up(&self, name: &str) -> Result<Vec<SrvRecord>, LookupError> {
        let name = full_name(name)?;
        let found = self.inner()?.srv_lookup(name).await.map_err(lookup_error)?;
        let records = found.answers().iter().filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(record_of(srv)),
            _ => None,
        });
        some(records.take(MAX_RECORDS).collect())
    }

    async fn look_addresses_up(&self, host: &str) -> Result<Vec<IpAddr>, LookupError> {
        let name = full_name(host)?;
        let found = self.inner()?.lookup_ip(name).await.map_err(lookup_error)?;
        // Answers arrive in any order; nothing here knows which family works better.
        let (mut best, v4): (Vec<_>, Vec<_>) =
            found.iter().take(MAX_RECORDS).partition(IpAddr::is_ipv6);
        best.extend(v4);
        some(best)
    }
}

impl Resolver for HickoryResolver {
    fn srv<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<SrvRecord>> {
        Box::pin(bounded(self.look_srv_up(name)))
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
        match self.source {
            Source::System => SystemResolver.addresses(host),
            Source::NameServer(_) => Box::pin(bounded(self.look_addresses_up(host))),
        }
    }
}

impl Default for HickoryResolver {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for HickoryResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HickoryResolver").field(&self.source).finish()
    }
}

#[derive(Clone, Copy, Debug)]
enum Source {
    System,
    NameServer(SocketAddr),
}

impl Source {
    fn resolver(self) -> Result<TokioResolver, LookupError> {
        let unknown = |error: NetError| LookupError::NoNameServer { reason: error.to_string() };
        let mut builder = match self {
            Self::System => TokioResolver::builder_tokio().map_err(unknown)?,
            Self::NameServer(address) => {
                let provider = TokioRuntimeProvider::default();
                TokioResolver::builder_with_config(only(address), provider)
            }
        };
        limit(builder.options_mut());
        builder.build().map_err(unknown)
    }
}

fn only(address: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    let server = NameServerConfig::new(address.ip(), true, connections.to_vec());
    ResolverConfig::from_parts(None, Vec::new(), vec![server])
}

fn limit(options: &mut ResolverOpts) {
    options.timeout = options.timeout.clamp(Duration::from_secs(1), ATTEMPT_WAIT);
    options.attempts = options.attempts.clamp(1, MAX_ATTEMPTS);
    options.cache_size = MAX_CACHED;
    options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    options.use_hosts_file = ResolveHosts::Never;
}

/// The name as it stands: search domains are for what people type, not for what JIDs say.
fn full_name(name: &str) -> Result<Name, LookupError> {
    check_name(name)?;
    let mut name = Name::from_ascii(name).map_err(|_| LookupError::BadName)?;
    name.set_fqdn(true);
    Ok(name)
}

/// Checks what DNS asks of every name (RFC 1035, section 2.3.4): 253 characters of ASCII at most,
/// in labels of 1 to 63.
fn check_name(name: &str) -> Result<(), LookupError> {
    let name = name.strip_suffix('.').unwrap_or(name);
    let is_label = |label: &str| (1..=MAX_LABEL).contains(&label.len()) && label.is_ascii();
    if name.len() <= MAX_NAME && name.split('.').all(is_label) {
        Ok(())
    } else {
        Err(LookupError::BadName)
    }
}

fn record_of(srv: &SRV) -> SrvRecord {
    SrvRecord::new(srv.priority, srv.weight, srv.port, &srv.target.to_ascii())
}

fn some<T>(found: Vec<T>) -> Result<Vec<T>, LookupError> {
    if found.is_empty() { Err(LookupError::NoRecords) } else { Ok(found) }
}

async fn bounded<T>(
    lookup: impl Future<Output = Result<T, LookupError>>,
) -> Result<T, LookupError> {
    timeout(LOOKUP_WAIT, lookup).await.unwrap_or(Err(LookupError::TimedOut))
}

fn lookup_error(error: NetError) -> LookupError {
    match error {
        NetError::Timeout => LookupError::TimedOut,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NoError | ResponseCode::NXDomain => LookupError::NoRecords,
            code => LookupError::ServerFailed { code: code.to_string() },
        },
        NetError::Dns(DnsError::ResponseCode(code)) => {
            LookupError::ServerFailed { code: code.to_string() }
        }
        other => LookupError::Failed { reason: other.to_string() },
    }
}

/// How long one name server is waited for, whatever the system is set to.
const ATTEMPT_WAIT: Duration = Duration::from_secs(5);
const MAX_ATTEMPTS: usize = 3;
/// How long a lookup may take with all its attempts.
const LOOKUP_WAIT: Duration = Duration::from_secs(15);
const MAX_CACHED: u64 = 64;
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::{
        super::name_server::{NameServer, Reply, srv},
        *,
    };

    const NAME: &str = "_xmpp-client._tcp.example.org";

    async fn ask(replies: &[(&str, Reply)]) -> Result<Vec<SrvRecord>, LookupError> {
        let server = NameServer::start(replies).await;
        HickoryResolver::with_name_server(server.address()).srv(NAME).await
    }

    #[tokio::test]
    async fn records_are_found() {
        let expected = [srv(5, 10, 5222, "a.example.org"), srv(0, 0, 443, "b.example.org")];
        let mut found = ask(&[(NAME, Reply::srv(&expected))]).await.unwrap();
        found.sort_by_key(|record| std::cmp::Reverse(record.priority));
        assert_eq!(found, expected);
        let refusal = ask(&[(NAME, Reply::srv(&[srv(0, 0, 0, ".")]))]).await.unwrap();
        assert!(refusal[0].is_refusal());
    }

    #[tokio::test]
    async fn no_records_and_no_answer_are_two_things() {
        assert_eq!(ask(&[(NAME, Reply::Code(3))]).await, Err(LookupError::NoRecords));
        assert_eq!(ask(&[(NAME, Reply::Code(0))]).await, Err(LookupError::NoRecords));
        let failed = |code: &str| Err(LookupError::ServerFailed { code: code.to_owned() });
        assert_eq!(ask(&[(NAME, Reply::Code(2))]).await, failed("Server Failure"));
        assert_eq!(ask(&[(NAME, Reply::Code(5))]).await, failed("Query Refused"));
    }

    #[tokio::test]
    async fn an_answer_too_long_for_udp_comes_by_tcp() {
        let long = "x".repeat(63);
        let host = |n: u16| format!("{long}.{long}.{long}.host-{n}.example.org");
        let many: Vec<_> = (0..40).map(|n| srv(n, 0, 5222, &host(n))).collect();
        let server = NameServer::start(&[(NAME, Reply::srv(&many))]).await;
        let resolver = HickoryResolver::with_name_server(server.address());
        let mut found = resolver.srv(NAME).await.unwrap();
        found.sort_by_key(|record| record.priority);
        assert_eq!(found, many);
        assert_eq!(server.asked_by_tcp(), 1);
    }

    #[tokio::test]
    async fn only_so_many_records_are_taken() {
        let many: Vec<_> = (0..200).map(|n| srv(n, 0, 5222, "a.example.org")).collect();
        let found = ask(&[(NAME, Reply::srv(&many))]).await.unwrap();
        assert_eq!(found.len(), MAX_RECORDS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_not_waited_for_for_ever() {
        let begun = tokio::time::Instant::now();
        assert_eq!(ask(&[(NAME, Reply::Silence)]).await, Err(LookupError::TimedOut));
        assert!(begun.elapsed() <= LOOKUP_WAIT, "{:?}", begun.elapsed());
    }

    // The library waits for a better answer by TCP; the clock need not.
    #[tokio::test(start_paused = true)]
    async fn garbage_is_no_answer() {
        let error = ask(&[(NAME, Reply::Garbage)]).await.unwrap_err();
        assert!(matches!(error, LookupError::Failed { .. }), "{error:?}");
    }

    #[test]
    fn names_have_the_form_of_dns() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        for name in ["a", "a.example", "a.example.", "_xmpp-client._tcp.a_b.example", &longest] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        let (long_label, long_name) = (format!("{label}a.example"), format!("{longest}a"));
        for name in ["", ".", "a..b", ".a", "bücher.example", &long_label, &long_name] {
            assert_eq!(check_name(name), Err(LookupError::BadName), "{name}");
        }
    }

    #[tokio::test]
    async fn names_that_dns_cannot_hold_are_not_asked_for() {
        let server = NameServer::start(&[]).await;
        let resolver = HickoryResolver::with_name_server(server.address());
        let long = format!("_xmpp-client._tcp.{}", "a.".repeat(127));
        for name in ["", "a..example", "bücher.example", &long] {
            assert_eq!(resolver.srv(name).await, Err(LookupError::BadName), "{name}");
            assert_eq!(resolver.addresses(name).await, Err(LookupError::BadName), "{name}");
        }
        assert_eq!(server.asked(), 0);
    }

    #[tokio::test]
    async fn addresses_of_both_families_come_from_a_server_that_was_named() {
        let host = "xmpp.example.org";
        let addresses: [IpAddr; 2] =
            [Ipv4Addr::new(192, 0, 2, 1).into(), "2001:db8::1".parse().unwrap()];
        let server = NameServer::start(&[(host, Reply::addresses(&addresses))]).await;
        let resolver = HickoryResolver::with_name_server(server.address());
        let found = resolver.addresses(host).await;
        assert_eq!(found, Ok(vec![addresses[1], addresses[0]]));
        assert_eq!(resolver.addresses("b.example.org").await, Err(LookupError::NoRecords));
    }

    #[tokio::test]
    async fn the_systems_own_addresses_are_used_with_its_name_servers() {
        let found = HickoryResolver::system().addresses("127.0.0.1").await;
        assert_eq!(found, Ok(vec![Ipv4Addr::LOCALHOST.into()]));
    }
}
