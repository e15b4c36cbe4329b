//! Whole ways from a domain to a login: a name server, a web server and the embedded server, all
//! on loopback.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use epode_proto::sasl::BindingType;
use epode_testpeer::{ListenOptions, Running, Server};
use tokio::net::TcpListener;

use super::*;
use crate::{
    Builder, CertificateProblem, Client, Phase, ProxySettings,
    discovery::{HickoryResolver, tests::by_web::WebServer},
    resolver::name_server::{NameServer, Reply, srv},
};

const XMPPS: &str = "_xmpps-client._tcp.example.org";
const XMPP: &str = "_xmpp-client._tcp.example.org";
const HOST: &str = "xmpp.example.net";

async fn server(domain: &str) -> Running {
    let server = Server::builder(domain).account("alice", "secret").build();
    server.listen(ListenOptions::default()).await.unwrap()
}

/// Knows these records, and that both hosts are this machine.
async fn names(records: &[(&str, Reply)]) -> NameServer {
    let here: IpAddr = Ipv4Addr::LOCALHOST.into();
    let hosts = [HOST, "example.org"].map(|host| (host, Reply::addresses(&[here])));
    NameServer::start(&[records, &hosts].concat()).await
}

fn client(names: &NameServer, running: &Running) -> Builder {
    let resolver = HickoryResolver::with_name_server(names.address());
    let transport = TransportOptions::new()
        .with_proxies(ProxySettings::none())
        .with_resolver(Arc::new(resolver));
    let builder = Client::builder("alice@example.org").unwrap().transport(transport);
    let builder = builder.discovery(DiscoveryOptions::new().with_order(Order::TcpOnly));
    builder.ca_pem(running.ca_pem()).unwrap().password("secret")
}

/// A port of this machine where nobody listens.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

fn url(scheme: &str, address: SocketAddr) -> String {
    format!("{scheme}://{HOST}:{}", address.port())
}

fn tried(route: &Route) -> Vec<String> {
    route.attempts.iter().map(|attempt| attempt.endpoint.to_string()).collect()
}

#[tokio::test]
async fn a_domain_is_enough_and_its_certificate_counts() {
    let running = server("example.org").await;
    let direct = running.direct_tls();
    let names = names(&[(XMPPS, Reply::srv(&[srv(0, 0, direct.port(), HOST)]))]).await;
    let session = client(&names, &running).connect().await.unwrap();
    assert_eq!(session.login().unwrap().binding, Some(BindingType::TlsExporter));
    let route = session.route();
    assert_eq!(route.endpoint().unwrap().to_string(), url("xmpps", direct));
    assert_eq!(route.attempts[0].origin, Some(Origin::SrvXmpps { priority: 0, weight: 0 }));
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn ways_that_fail_are_told_and_the_next_is_tried() {
    let running = server("example.org").await;
    let (closed, starttls) = (closed_port().await, running.starttls());
    let names = names(&[
        (XMPPS, Reply::srv(&[srv(0, 0, closed, HOST), srv(2, 0, starttls.port(), HOST)])),
        (XMPP, Reply::srv(&[srv(3, 0, starttls.port(), HOST)])),
    ])
    .await;
    let session = client(&names, &running).connect().await.unwrap();
    let route = session.route();
    let refused: SocketAddr = ([127, 0, 0, 1], closed).into();
    let expected = [url("xmpps", refused), url("xmpps", starttls), url("xmpp", starttls)];
    assert_eq!(tried(&route), expected);
    assert!(matches!(route.attempts[0].failure, Some(TransportError::Refused { .. })));
    // STARTTLS is offered there, TLS from the first byte is not.
    assert!(matches!(route.attempts[1].failure, Some(TransportError::NotTls { .. })));
    assert_eq!(route.attempts[2].failure, None);
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn the_certificate_of_the_srv_target_is_not_enough() {
    let running = server(HOST).await;
    let port = running.direct_tls().port();
    let names = names(&[(XMPPS, Reply::srv(&[srv(0, 0, port, HOST)]))]).await;
    let error = client(&names, &running).connect().await.unwrap_err();
    assert_eq!(error.condition(), "connection-failed");
    let Error::NoRoute { domain, route } = error else { panic!("{error}") };
    assert_eq!(domain, "example.org");
    let Some(TransportError::Certificate { problem, .. }) = &route.attempts[0].failure else {
        panic!("{route}")
    };
    let CertificateProblem::WrongName { expected, presented } = problem else {
        panic!("{problem}")
    };
    assert_eq!(expected, "example.org");
    assert!(presented.contains(&HOST.to_owned()), "{presented:?}");
}

#[tokio::test]
async fn a_domain_without_a_server_says_so() {
    let running = server("example.org").await;
    let nowhere = Reply::srv(&[srv(0, 0, 0, ".")]);
    let names = names(&[(XMPPS, nowhere.clone()), (XMPP, nowhere)]).await;
    let error = client(&names, &running).connect().await.unwrap_err();
    assert_eq!(error.condition(), "server-not-found");
    let told = error.to_string();
    assert!(told.starts_with("no server is known for example.org: SRV _xmpps-client"), "{told}");
    assert!(told.contains("the domain says that it has no such service"), "{told}");
}

/// The domain itself may not be where the server is.
#[tokio::test]
async fn records_that_could_not_be_looked_up_are_told_of() {
    let running = server("example.org").await;
    for (reply, is_told) in [(Reply::Code(2), true), (Reply::Code(3), false)] {
        // The name has no address either.
        let names = NameServer::start(&[(XMPPS, reply.clone()), (XMPP, reply)]).await;
        let told = client(&names, &running).connect().await.unwrap_err().to_string();
        assert!(told.contains("xmpp://example.org (the domain itself"), "{told}");
        for service in ["SRV _xmpps-client._tcp: failed", "SRV _xmpp-client._tcp: failed"] {
            assert_eq!(told.contains(service), is_told, "{told}");
        }
    }
}

#[tokio::test]
async fn an_endpoint_wins_and_nothing_is_looked_up() {
    let running = server("example.org").await;
    let names = names(&[]).await;
    let endpoint = format!("xmpp://{}", running.starttls());
    let client = client(&names, &running).endpoint(&endpoint).unwrap();
    let session = client.connect().await.unwrap();
    assert_eq!(session.route().notes, []);
    assert_eq!(tried(&session.route()), [endpoint]);
    assert_eq!(names.asked(), 0);
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn the_web_server_is_asked_where_tcp_leads_nowhere() {
    let running = server("example.org").await;
    let web = host_meta(running.wss_url()).await;
    let closed = closed_port().await;
    let names = names(&[(XMPP, Reply::srv(&[srv(0, 0, closed, HOST)]))]).await;
    let client = client(&names, &running)
        .ca_pem(web.authority().pem())
        .unwrap()
        .discovery(web.options().with_order(Order::TcpFirst));
    let session = client.connect().await.unwrap();
    let route = session.route();
    let refused: SocketAddr = ([127, 0, 0, 1], closed).into();
    assert_eq!(tried(&route), [url("xmpp", refused), running.wss_url().to_owned()]);
    assert_eq!(route.attempts[1].origin, Some(Origin::HostMeta));
    session.disconnect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn one_deadline_ends_the_whole_search() {
    let running = server("example.org").await;
    let silence = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silence.local_addr().unwrap().port();
    let names =
        names(&[(XMPPS, Reply::srv(&[srv(0, 0, port, HOST), srv(1, 0, port, HOST)]))]).await;
    let begun = Instant::now();
    let limit = Duration::from_secs(7);
    let client = client(&names, &running).timeout(limit);
    let error = client.connect().await.unwrap_err();
    assert!(begun.elapsed() <= limit, "{:?}", begun.elapsed());
    assert!(matches!(error, Error::NoRoute { .. }), "{error}");
}

#[tokio::test]
async fn ways_that_stay_silent_leave_time_for_the_web() {
    let running = server("example.org").await;
    let web = host_meta(running.wss_url()).await;
    let silence = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silence.local_addr().unwrap().port();
    let names = names(&[(XMPPS, Reply::srv(&[srv(0, 0, port, HOST)]))]).await;
    let client = client(&names, &running)
        .ca_pem(web.authority().pem())
        .unwrap()
        .discovery(web.options().with_order(Order::TcpFirst))
        .timeout(Duration::from_secs(12));
    let session = client.connect().await.unwrap();
    let route = session.route();
    assert!(matches!(route.attempts[0].failure, Some(TransportError::TimedOut { .. })), "{route}");
    assert_eq!(route.endpoint().unwrap().to_string(), running.wss_url());
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn names_that_nobody_answers_for_leave_time_for_the_domain_itself() {
    let running = server("example.org").await;
    // An address that is nobody's (RFC 5737).
    let nowhere: IpAddr = [192, 0, 2, 1].into();
    let names = NameServer::start(&[
        (XMPPS, Reply::Silence),
        (XMPP, Reply::Silence),
        ("example.org", Reply::addresses(&[nowhere])),
    ])
    .await;
    let client = client(&names, &running).timeout(Duration::from_secs(6));
    let Error::NoRoute { route, .. } = client.connect().await.unwrap_err() else { panic!() };
    assert_eq!(tried(&route), ["xmpp://example.org"]);
    let failure = route.attempts[0].failure.as_ref().unwrap();
    let is_looked_up = matches!(failure, TransportError::TimedOut { phase: Phase::Resolve, .. });
    assert!(!is_looked_up, "{failure:?}");
}

/// What stands on the way lets requests through, and no WebSocket.
#[tokio::test]
async fn bosh_is_the_way_where_a_websocket_is_blocked() {
    let running = server("example.org").await;
    let blocked = "wss://example.org:{port}/blocked";
    let links = [("xbosh", running.secure_bosh_url()), ("websocket", blocked)];
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_owned();
    let web = WebServer::start(&[page(&links), ("/blocked", refusal)]).await;
    let names = names(&[]).await;
    let client = client(&names, &running)
        .ca_pem(web.authority().pem())
        .unwrap()
        .discovery(web.options().with_order(Order::WebOnly));
    let session = client.connect().await.unwrap();
    assert_eq!(session.login().unwrap().binding, Some(BindingType::TlsServerEndPoint));
    let route = session.route();
    assert_eq!(route.attempts.len(), 2, "{route}");
    let failure = route.attempts[0].failure.as_ref().unwrap();
    assert!(matches!(failure, TransportError::HttpStatus { status: 403, .. }), "{failure}");
    assert_eq!(route.endpoint().unwrap().to_string(), running.secure_bosh_url());
    assert!(route.to_string().contains("HTTP status 403"), "{route}");
    session.disconnect().await.unwrap();
}

/// A web server of the domain that names this WebSocket.
async fn host_meta(url: &str) -> WebServer {
    WebServer::start(&[page(&[("websocket", url)])]).await
}

/// Where a web server names these ways in, and how.
fn page(links: &[(&str, &str)]) -> (&'static str, String) {
    let link = |(kind, url): &(&str, &str)| {
        format!("<Link rel='urn:xmpp:alt-connections:{kind}' href='{url}'/>")
    };
    let links: String = links.iter().map(link).collect();
    let page = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/xrd+xml\r\n\r\n\
         <XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>{links}</XRD>"
    );
    ("/.well-known/host-meta", page)
}
