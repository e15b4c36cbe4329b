//! Whole discoveries, against name servers and web servers of the tests' own.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::*;
use crate::ProxySettings;

const DOMAIN: &str = "example.org";
const XMPPS: &str = "_xmpps-client._tcp.example.org";
const XMPP: &str = "_xmpp-client._tcp.example.org";

/// Knows some SRV records, and finds every host on this machine, if it answers at all.
#[derive(Debug, Default)]
struct Names {
    srv: HashMap<&'static str, Vec<SrvRecord>>,
    silent: Vec<&'static str>,
    asked: AtomicUsize,
}

impl Names {
    fn new(srv: &[(&'static str, &[SrvRecord])]) -> Self {
        let srv = srv.iter().map(|(name, records)| (*name, records.to_vec())).collect();
        Self { srv, ..Self::default() }
    }

    async fn answer<T>(
        &self,
        name: &str,
        answer: Result<T, LookupError>,
    ) -> Result<T, LookupError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.silent.contains(&name) {
            return std::future::pending().await;
        }
        answer
    }
}

impl Resolver for Names {
    fn srv<'a>(&'a self, name: &'a str) -> Lookup<'a, Vec<SrvRecord>> {
        let found = self.srv.get(name).cloned().ok_or(LookupError::NoRecords);
        Box::pin(self.answer(name, found))
    }

    fn addresses<'a>(&'a self, host: &'a str) -> Lookup<'a, Vec<IpAddr>> {
        Box::pin(self.answer(host, Ok(vec![Ipv4Addr::LOCALHOST.into()])))
    }
}

fn record(priority: u16, port: u16, target: &str) -> SrvRecord {
    SrvRecord::new(priority, 0, port, target)
}

fn transport(names: Names) -> TransportOptions {
    TransportOptions::new().with_proxies(ProxySettings::none()).with_resolver(Arc::new(names))
}

fn tcp_only() -> DiscoveryOptions {
    DiscoveryOptions::new().with_order(Order::TcpOnly)
}

fn lines(found: &Discovery) -> Vec<String> {
    found.candidates.iter().map(ToString::to_string).collect()
}

/// The notes without how long things took.
fn notes(found: &Discovery) -> Vec<Note> {
    let mut notes = found.notes.clone();
    for note in &mut notes {
        if let Finding::Found { took, .. }
        | Finding::Nothing { took }
        | Finding::Failed { took, .. } = &mut note.finding
        {
            *took = Duration::ZERO;
        }
    }
    notes
}

fn found(about: Question, count: usize) -> Note {
    Note::new(about, Finding::Found { count, took: Duration::ZERO })
}

fn nothing(about: Question) -> Note {
    Note::new(about, Finding::Nothing { took: Duration::ZERO })
}

fn failed(about: Question, problem: impl Into<Problem>) -> Note {
    let problem = problem.into();
    Note::new(about, Finding::Failed { problem, took: Duration::ZERO })
}

fn not_asked(about: Question, why: NotAsked) -> Note {
    Note::new(about, Finding::NotAsked { why })
}

#[tokio::test]
async fn both_kinds_of_srv_records_make_one_list() {
    let names = Names::new(&[
        (XMPPS, &[record(5, 443, "tls.example.org"), record(20, 5223, "late.example.org")]),
        (XMPP, &[record(10, 5222, "b.example.org.")]),
    ]);
    let discovery = discover(DOMAIN, &transport(names), &tcp_only()).await.unwrap();
    assert_eq!(
        lines(&discovery),
        [
            "direct TLS to tls.example.org:443 (SRV _xmpps-client._tcp, priority 5, weight 0)",
            "STARTTLS to b.example.org:5222 (SRV _xmpp-client._tcp, priority 10, weight 0)",
            "direct TLS to late.example.org:5223 (SRV _xmpps-client._tcp, priority 20, weight 0)",
        ]
    );
    assert_eq!(
        notes(&discovery),
        [
            found(Question::SrvXmpps, 2),
            found(Question::SrvXmpp, 1),
            not_asked(Question::HostMetaXml, NotAsked::NotWanted),
            not_asked(Question::HostMetaJson, NotAsked::NotWanted),
        ]
    );
}

#[tokio::test]
async fn without_srv_records_the_domain_itself_is_tried() {
    let discovery = discover("Example.ORG.", &transport(Names::new(&[])), &tcp_only()).await;
    let discovery = discovery.unwrap();
    assert_eq!(
        lines(&discovery),
        ["STARTTLS to example.org:5222 (the domain itself, for want of SRV records)"]
    );
    assert_eq!(notes(&discovery)[..2], [nothing(Question::SrvXmpps), nothing(Question::SrvXmpp)]);

    let names = Names::new(&[(XMPPS, &[record(0, 0, ".")])]);
    let discovery = discover(DOMAIN, &transport(names), &tcp_only()).await.unwrap();
    assert_eq!(discovery.candidates, []);
}

#[tokio::test]
async fn a_resolver_that_knows_addresses_only_leaves_the_domain() {
    let transport = TransportOptions::new().with_resolver(Arc::new(SystemResolver));
    let discovery = discover(DOMAIN, &transport, &tcp_only()).await.unwrap();
    assert_eq!(discovery.candidates.len(), 1);
    assert_eq!(discovery.candidates[0].origin, Origin::Fallback);
    let unsupported = |about| failed(about, LookupError::Unsupported);
    assert_eq!(
        notes(&discovery)[..2],
        [unsupported(Question::SrvXmpps), unsupported(Question::SrvXmpp)]
    );
}

#[tokio::test]
async fn what_is_not_in_dns_is_not_asked_for() {
    for (domain, candidate) in [
        ("localhost", "STARTTLS to localhost:5222"),
        ("xmpp.localhost", "STARTTLS to xmpp.localhost:5222"),
        ("abc.onion", "STARTTLS to abc.onion:5222"),
        ("192.0.2.1", "STARTTLS to 192.0.2.1:5222"),
        ("[2001:db8::1]", "STARTTLS to [2001:db8::1]:5222"),
    ] {
        let names = Arc::new(Names::new(&[]));
        let asked = Arc::clone(&names);
        let transport = TransportOptions::new().with_resolver(names);
        let discovery = discover(domain, &transport, &DiscoveryOptions::new()).await.unwrap();
        let expected = format!("{candidate} (the domain itself, for want of SRV records)");
        assert_eq!(lines(&discovery), [expected]);
        let all =
            [Question::SrvXmpps, Question::SrvXmpp, Question::HostMetaXml, Question::HostMetaJson];
        assert_eq!(discovery.notes, all.map(|about| not_asked(about, NotAsked::NotInDns)));
        assert_eq!(asked.asked.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn a_proxy_that_looks_names_up_keeps_them_to_itself() {
    let names = Arc::new(Names::new(&[(XMPP, &[record(0, 5222, "a.example.org")])]));
    for (proxy, asked, candidates) in [
        ("socks5h://proxy.example", 0, ["example.org"]),
        ("socks5://proxy.example", 2, ["a.example.org"]),
        ("http://proxy.example", 4, ["a.example.org"]),
    ] {
        let transport = TransportOptions::new()
            .with_proxies(ProxySettings::through(proxy.parse().unwrap()))
            .with_resolver(Arc::clone(&names) as _);
        let discovery = discover(DOMAIN, &transport, &tcp_only()).await.unwrap();
        let hosts: Vec<_> = discovery.candidates.iter().map(|c| c.host.as_str()).collect();
        assert_eq!(hosts, candidates, "{proxy}");
        assert_eq!(names.asked.load(Ordering::SeqCst), asked, "{proxy}");
    }
}

#[tokio::test]
async fn domains_that_are_none_are_refused() {
    let options = transport(Names::new(&[]));
    for domain in ["", ".", "a b", "a/b", "user@example.org", "exa%6dple.org", "[::1", "a:5222"] {
        let error = discover(domain, &options, &tcp_only()).await.unwrap_err();
        let expected = domain.to_owned();
        assert!(
            matches!(&error, DomainError::Malformed { domain, .. } if *domain == expected),
            "{domain}: {error:?}"
        );
    }
    let long = format!("{}example.org", "a.".repeat(122));
    let error = discover(&long, &options, &tcp_only()).await.unwrap_err();
    assert_eq!(error, DomainError::TooLong { length: 255, limit: MAX_DOMAIN });
    let discovery = discover("bücher.example", &options, &tcp_only()).await.unwrap();
    assert_eq!(discovery.candidates[0].host, "xn--bcher-kva.example");
}

#[cfg(feature = "hickory")]
mod by_dns {
    use super::*;
    use crate::resolver::name_server::{NameServer, Reply, srv};

    async fn ask(replies: &[(&str, Reply)]) -> Discovery {
        let server = NameServer::start(replies).await;
        let resolver = HickoryResolver::with_name_server(server.address());
        let transport = TransportOptions::new().with_resolver(Arc::new(resolver));
        discover(DOMAIN, &transport, &tcp_only()).await.unwrap()
    }

    #[tokio::test]
    async fn records_come_from_a_name_server() {
        let found = ask(&[
            (XMPPS, Reply::srv(&[srv(0, 0, 443, "tls.example.org")])),
            (XMPP, Reply::srv(&[srv(1, 7, 5222, "a.example.org")])),
        ])
        .await;
        assert_eq!(
            lines(&found),
            [
                "direct TLS to tls.example.org:443 (SRV _xmpps-client._tcp, priority 0, weight 0)",
                "STARTTLS to a.example.org:5222 (SRV _xmpp-client._tcp, priority 1, weight 7)",
            ]
        );
    }

    #[tokio::test]
    async fn a_failure_of_one_lookup_leaves_the_other() {
        let discovery = ask(&[
            (XMPPS, Reply::Code(2)),
            (XMPP, Reply::srv(&[srv(1, 7, 5222, "a.example.org")])),
        ])
        .await;
        assert_eq!(discovery.candidates.len(), 1);
        let problem = LookupError::ServerFailed { code: "Server Failure".to_owned() };
        assert_eq!(
            notes(&discovery)[..2],
            [failed(Question::SrvXmpps, problem), found(Question::SrvXmpp, 1)]
        );
    }

    #[tokio::test]
    async fn a_failure_of_both_leaves_the_domain() {
        let discovery = ask(&[(XMPPS, Reply::Code(2)), (XMPP, Reply::Code(3))]).await;
        assert_eq!(discovery.candidates.len(), 1);
        assert_eq!(discovery.candidates[0].origin, Origin::Fallback);
        assert!(discovery.notes[0].is_problem());
        assert_eq!(notes(&discovery)[1], nothing(Question::SrvXmpp));
    }
}

#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
pub(crate) mod by_web {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        task::JoinSet,
    };

    use super::*;
    use crate::{
        CertificateProblem, TlsOptions, TransportError,
        transport::certificates::{Authority, Issued},
    };

    const XML: &str = "/.well-known/host-meta";
    const JSON: &str = "/.well-known/host-meta.json";
    const NOW: (i32, i32) = (2020, 2100);

    /// A web server that runs until it is dropped.
    pub(crate) struct WebServer {
        authority: Authority,
        port: u16,
        _task: JoinSet<()>,
    }

    impl WebServer {
        pub(crate) async fn start(pages: &[(&str, String)]) -> Self {
            let authority = Authority::new();
            let issued = authority.issue(DOMAIN, NOW);
            Self::with_certificate(authority, &issued, false, pages).await
        }

        async fn with_certificate(
            authority: Authority,
            issued: &Issued,
            asks_for_another: bool,
            pages: &[(&str, String)],
        ) -> Self {
            let acceptor = issued.acceptor(asks_for_another.then_some(&authority));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let pages: HashMap<String, String> =
                pages.iter().map(|(path, page)| ((*path).to_owned(), page.clone())).collect();
            let mut task = JoinSet::new();
            task.spawn(async move {
                let mut connections = JoinSet::new();
                while let Ok((tcp, _)) = listener.accept().await {
                    let (acceptor, pages) = (acceptor.clone(), pages.clone());
                    connections.spawn(async move {
                        let Ok(mut stream) = acceptor.accept(tcp).await else { return };
                        let Some(path) = requested(&mut stream).await else { return };
                        let page = pages.get(&path).map_or(NOT_FOUND, String::as_str);
                        let page = page.replace("{port}", &port.to_string());
                        // A client that has seen enough may be gone.
                        let _ = stream.write_all(page.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    });
                }
            });
            Self { authority, port, _task: task }
        }

        fn transport(&self, names: Names) -> TransportOptions {
            trusting(self.authority(), names)
        }

        pub(crate) fn authority(&self) -> &Authority {
            &self.authority
        }

        pub(crate) fn options(&self) -> DiscoveryOptions {
            DiscoveryOptions::new().with_host_meta_port(self.port)
        }

        async fn discover(&self, names: Names, order: Order) -> Discovery {
            let options = self.options().with_order(order);
            discover(DOMAIN, &self.transport(names), &options).await.unwrap()
        }
    }

    fn trusting(authority: &Authority, names: Names) -> TransportOptions {
        let tls = TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap();
        transport(names).with_tls(tls)
    }

    const NOT_FOUND: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";

    async fn requested(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> Option<String> {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.ok()?);
        }
        let request = String::from_utf8(request).ok()?;
        request.strip_prefix("GET ")?.split_once(' ').map(|(path, _)| path.to_owned())
    }

    fn page(content: &str) -> String {
        // Whatever it says to be: the content counts.
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        )
    }

    fn redirect(location: &str) -> String {
        format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
    }

    fn xml(web_socket: &str, bosh: &str) -> String {
        page(&format!(
            "<?xml version='1.0'?><XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\
             <Link rel='urn:xmpp:alt-connections:xbosh' href='{bosh}'/>\
             <Link rel='urn:xmpp:alt-connections:websocket' href='{web_socket}'/></XRD>"
        ))
    }

    fn json(web_socket: &str, bosh: &str) -> String {
        page(&format!(
            "{{\"links\":[{{\"rel\":\"urn:xmpp:alt-connections:websocket\",\
             \"href\":\"{web_socket}\"}},{{\"rel\":\"urn:xmpp:alt-connections:xbosh\",\
             \"href\":\"{bosh}\"}}]}}"
        ))
    }

    const WSS: &str = "wss://web.example.org/ws";
    const BOSH: &str = "https://web.example.org/bosh";
    const WSS_LINE: &str = "WebSocket at wss://web.example.org/ws (host-meta)";
    const BOSH_LINE: &str = "BOSH at https://web.example.org/bosh (host-meta)";

    #[tokio::test]
    async fn both_files_are_read_and_the_order_is_the_callers() {
        let server = WebServer::start(&[(XML, xml(WSS, BOSH)), (JSON, json(WSS, BOSH))]).await;
        let tcp = "STARTTLS to a.example.org:5222 (SRV _xmpp-client._tcp, priority 0, weight 0)";
        for (order, expected) in [
            (Order::TcpFirst, &[tcp, WSS_LINE, BOSH_LINE][..]),
            (Order::WebSocketFirst, &[WSS_LINE, tcp, BOSH_LINE]),
            (Order::TcpOnly, &[tcp]),
            (Order::WebOnly, &[WSS_LINE, BOSH_LINE]),
        ] {
            let names = Names::new(&[(XMPP, &[record(0, 5222, "a.example.org")])]);
            assert_eq!(lines(&server.discover(names, order).await), expected);
        }
        let discovery = server.discover(Names::new(&[]), Order::WebOnly).await;
        assert_eq!(
            notes(&discovery),
            [
                not_asked(Question::SrvXmpps, NotAsked::NotWanted),
                not_asked(Question::SrvXmpp, NotAsked::NotWanted),
                found(Question::HostMetaXml, 2),
                found(Question::HostMetaJson, 2),
            ]
        );
    }

    #[tokio::test]
    async fn one_file_is_enough() {
        let expected = [WSS_LINE, BOSH_LINE];
        let server = WebServer::start(&[(XML, xml(WSS, BOSH))]).await;
        let discovery = server.discover(Names::new(&[]), Order::WebOnly).await;
        assert_eq!(lines(&discovery), expected);
        assert_eq!(notes(&discovery)[3], nothing(Question::HostMetaJson));

        let server = WebServer::start(&[(JSON, json(WSS, BOSH))]).await;
        let discovery = server.discover(Names::new(&[]), Order::WebOnly).await;
        assert_eq!(lines(&discovery), expected);
        assert_eq!(notes(&discovery)[2], nothing(Question::HostMetaXml));
    }

    #[tokio::test]
    async fn files_that_disagree_are_noted() {
        let other = "wss://other.example.org/ws";
        let server = WebServer::start(&[(XML, xml(WSS, BOSH)), (JSON, json(other, BOSH))]).await;
        let discovery = server.discover(Names::new(&[]), Order::WebOnly).await;
        let other_line = "WebSocket at wss://other.example.org/ws (host-meta)";
        assert_eq!(lines(&discovery), [WSS_LINE, other_line, BOSH_LINE]);
        let differs =
            Finding::Differs { only_xml: vec![WSS.to_owned()], only_json: vec![other.to_owned()] };
        assert_eq!(notes(&discovery)[4..], [Note::new(Question::HostMetaJson, differs)]);
    }

    #[tokio::test]
    async fn links_without_tls_are_left_out() {
        let (ws, http) = ("ws://web.example.org/ws", "http://web.example.org/bosh");
        let server = WebServer::start(&[(XML, xml(ws, http))]).await;
        let discovery = server.discover(Names::new(&[]), Order::WebOnly).await;
        assert_eq!(discovery.candidates, []);
        let dropped = |what: &str, why| {
            let what = what.to_owned();
            Note::new(Question::HostMetaXml, Finding::Dropped { what, why })
        };
        assert_eq!(
            notes(&discovery)[4..],
            [dropped(http, Unfit::BoshUrl(HttpsUrlError::NotHttps)), dropped(ws, Unfit::NotWss)]
        );
    }

    /// The error of fetching the XML file, where the JSON file is as it should be.
    async fn error(pages: &[(&str, String)]) -> HostMetaError {
        let pages = [pages, &[(JSON, json(WSS, BOSH))]].concat();
        let server = WebServer::start(&pages).await;
        let discovery = server.discover(Names::new(&[]), Order::WebOnly).await;
        assert_eq!(lines(&discovery), [WSS_LINE, BOSH_LINE]);
        match &discovery.notes[2].finding {
            Finding::Failed { problem: Problem::HostMeta(error), .. } => error.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn hostile_files_are_refused_and_the_other_counts() {
        let doctype = "<!DOCTYPE XRD [<!ENTITY a 'ha'>]><XRD>&a;</XRD>";
        let expected = HostMetaError::Xml(epode_proto::xml::XmlError::Doctype);
        assert_eq!(error(&[(XML, page(doctype))]).await, expected);

        let limit = host_meta::MAX_DOCUMENT;
        let huge = format!("HTTP/1.1 200 OK\r\n\r\n<XRD>{}", " ".repeat(2 * limit));
        match error(&[(XML, huge)]).await {
            HostMetaError::Fetch(FetchError::TooLarge { limit: given, .. }) => {
                assert_eq!(given, limit);
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(error(&[(XML, page("<html/>"))]).await, HostMetaError::NotXrd);
    }

    #[tokio::test]
    async fn redirects_are_followed_but_not_for_ever_and_never_out_of_https() {
        let elsewhere = redirect("https://example.org:{port}/elsewhere");
        let server = WebServer::start(&[
            (XML, redirect("/somewhere")),
            ("/somewhere", redirect("somewhere-else")),
            ("/somewhere-else", elsewhere),
            ("/elsewhere", xml(WSS, BOSH)),
        ])
        .await;
        let discovery = server.discover(Names::new(&[]), Order::WebOnly).await;
        assert_eq!(lines(&discovery), [WSS_LINE, BOSH_LINE]);

        let in_circles = error(&[(XML, redirect("/a")), ("/a", redirect(XML))]).await;
        assert!(
            matches!(
                in_circles,
                HostMetaError::Fetch(FetchError::TooManyRedirects { limit: 3, .. })
            ),
            "{in_circles:?}"
        );
        let location = "http://example.org/host-meta".to_owned();
        let reason = HttpsUrlError::NotHttps;
        assert_eq!(
            error(&[(XML, redirect(&location))]).await,
            HostMetaError::Fetch(FetchError::BadRedirect { location, reason })
        );
        // Another host must have a certificate of its own.
        let other = redirect("https://other.example:{port}/");
        match error(&[(XML, other)]).await {
            HostMetaError::Fetch(FetchError::Connection(TransportError::Certificate {
                peer,
                problem,
            })) => {
                assert_eq!(peer.host(), "other.example");
                assert!(matches!(problem, CertificateProblem::WrongName { .. }), "{problem}");
            }
            other => panic!("{other:?}"),
        }
    }

    async fn certificate_problem(host: &str, years: (i32, i32)) -> CertificateProblem {
        let authority = Authority::new();
        let issued = authority.issue(host, years);
        let pages = [(XML, xml(WSS, BOSH)), (JSON, json(WSS, BOSH))];
        let server = WebServer::with_certificate(authority, &issued, false, &pages).await;
        let names = Names::new(&[(XMPP, &[record(0, 5222, "a.example.org")])]);
        let discovery = server.discover(names, Order::TcpFirst).await;
        assert_eq!(discovery.candidates.len(), 1);
        match &discovery.notes[2].finding {
            Finding::Failed {
                problem:
                    Problem::HostMeta(HostMetaError::Fetch(FetchError::Connection(
                        TransportError::Certificate { problem, .. },
                    ))),
                ..
            } => problem.clone(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_web_servers_certificate_must_be_the_domains() {
        let problem = certificate_problem("web.example.org", NOW).await;
        assert!(matches!(problem, CertificateProblem::WrongName { .. }), "{problem}");
        let problem = certificate_problem(DOMAIN, (2010, 2011)).await;
        assert_eq!(problem, CertificateProblem::Expired);
    }

    #[tokio::test]
    async fn a_web_server_is_not_told_who_asks() {
        let authority = Authority::new();
        let issued = authority.issue(DOMAIN, NOW);
        let alice = authority.issue("alice@example.org", NOW);
        let ca = authority.pem();
        // It lets nobody in without a certificate.
        let pages = [(XML, xml(WSS, BOSH)), (JSON, json(WSS, BOSH))];
        let server = WebServer::with_certificate(authority, &issued, true, &pages).await;
        let tls = TlsOptions::new()
            .with_ca_pem(ca.as_bytes())
            .unwrap()
            .with_client_certificate_pem(
                alice.certificate_pem().as_bytes(),
                alice.key_pem().as_bytes(),
            )
            .unwrap();
        let transport = server.transport(Names::new(&[])).with_tls(tls);
        let options = server.options().with_order(Order::WebOnly);
        let discovery = discover(DOMAIN, &transport, &options).await.unwrap();
        assert_eq!(discovery.candidates, []);
        assert!(discovery.notes[2].is_problem() && discovery.notes[3].is_problem());
    }

    #[tokio::test(start_paused = true)]
    async fn one_deadline_ends_everything_and_what_is_there_counts() {
        let mut names = Names::new(&[(XMPP, &[record(0, 5222, "a.example.org")])]);
        names.silent = vec![XMPPS, DOMAIN];
        let begun = Instant::now();
        let options = DiscoveryOptions::new().with_timeout(Duration::from_secs(7));
        let discovery =
            discover(DOMAIN, &trusting(&Authority::new(), names), &options).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 7);
        assert_eq!(
            lines(&discovery),
            ["STARTTLS to a.example.org:5222 (SRV _xmpp-client._tcp, priority 0, weight 0)"]
        );
        let took = |note: &Note| match note.finding {
            Finding::Failed { took, .. } | Finding::Found { took, .. } => took.as_secs(),
            _ => panic!("{note}"),
        };
        assert_eq!(discovery.notes.iter().map(took).collect::<Vec<_>>(), [7, 0, 7, 7]);
        assert_eq!(notes(&discovery)[0], failed(Question::SrvXmpps, LookupError::TimedOut));
    }
}
