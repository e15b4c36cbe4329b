//! BOSH over HTTP, in memory and on ports, with a client that is written out by hand.

use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding};
use epode_testpeer::{BoshFault, Limits, ListenOptions, Server, Session, SessionChannel};
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, DuplexStream,
};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};

const BIND: &str = "<iq xmlns='jabber:client' type='set' id='b'>\
                    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r</resource></bind>\
                    </iq>";
const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
const EMPTY: &str = "<body xmlns='http://jabber.org/protocol/httpbind'/>";
const NOT_FOUND: &str = "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate' \
                         condition='item-not-found'/>";

fn server() -> Server {
    Server::builder("localhost")
        .iterations(2)
        .account("alice", "pencil")
        .account("bob", "eraser")
        .build()
}

fn misbehaving(fault: BoshFault, first_request: u64) -> Server {
    let server = Server::builder("localhost").account("alice", "pencil");
    server.account("bob", "eraser").bosh_fault(fault, first_request).build()
}

fn auth(user: &str, password: &str) -> String {
    let message = Base64::encode_string(format!("\0{user}\0{password}").as_bytes());
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{message}</auth>")
}

fn message(to: &str, id: u32) -> String {
    format!("<message xmlns='jabber:client' to='{to}@localhost/r' id='{id}'/>")
}

/// Another user, who is not on HTTP.
fn bob(server: &Server) -> Session {
    let mut bob = server.session(SessionChannel::plaintext());
    for frame in [OPEN, &auth("bob", "eraser"), OPEN, BIND] {
        bob.receive(frame);
    }
    bob
}

/// One HTTP connection.
struct Http<S>(BufReader<S>);

#[derive(Debug)]
struct Response {
    status: u16,
    /// In lower case.
    head: String,
    body: String,
}

impl Http<DuplexStream> {
    fn link(server: &Server) -> Self {
        Self(BufReader::new(server.memory_link(SessionChannel::plaintext())))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Http<S> {
    async fn send(&mut self, method: &str, path: &str, body: &str) {
        let length = body.len();
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next answer; `None` when the connection was cut instead.
    async fn receive(&mut self) -> Option<Response> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await.ok()? == 0 {
                return None;
            }
        }
        head.make_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.split_once("content-length: ").map(|(_, rest)| rest);
        let length = length.map_or(0, |rest| rest.split_once('\r').unwrap().0.parse().unwrap());
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.ok()?;
        Some(Response { status, head, body: String::from_utf8(body).unwrap() })
    }

    async fn request(&mut self, method: &str, path: &str, body: &str) -> Response {
        self.send(method, path, body).await;
        self.receive().await.unwrap()
    }

    async fn post(&mut self, body: &str) -> Response {
        self.request("POST", "/http-bind", body).await
    }
}

/// What a client has to know of its session.
#[derive(Clone)]
struct Client {
    sid: String,
    rid: u64,
}

fn create(rid: u64) -> String {
    format!(
        "<body xmlns='http://jabber.org/protocol/httpbind' rid='{rid}' to='localhost' wait='60' \
         hold='1' ver='1.6' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'/>"
    )
}

impl Client {
    async fn create<S: AsyncRead + AsyncWrite + Unpin>(http: &mut Http<S>) -> Self {
        let answer = http.post(&create(7)).await;
        assert!(answer.body.contains("<mechanism>PLAIN</mechanism>"), "{answer:?}");
        let (_, rest) = answer.body.split_once("sid='").unwrap();
        Self { sid: rest.split_once('\'').unwrap().0.to_owned(), rid: 7 }
    }

    /// A session in which `alice@localhost/r` is bound.
    async fn online<S: AsyncRead + AsyncWrite + Unpin>(http: &mut Http<S>) -> Self {
        let mut client = Self::create(http).await;
        let restart = "xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true' to='localhost'";
        for (attributes, inside, answer) in [
            ("", auth("alice", "pencil").as_str(), "<success "),
            (restart, "", "<features "),
            ("", BIND, "<jid>alice@localhost/r</jid>"),
        ] {
            let response = http.post(&client.body(attributes, inside)).await;
            assert!(response.body.contains(answer), "{response:?}");
        }
        client
    }

    fn body(&mut self, attributes: &str, inside: &str) -> String {
        self.rid += 1;
        let Self { sid, rid } = self;
        format!(
            "<body xmlns='http://jabber.org/protocol/httpbind' sid='{sid}' rid='{rid}' \
             {attributes}>{inside}</body>"
        )
    }
}

/// Until nobody has anything to do.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_is_reached_over_any_connection() {
    let server = server();
    let (mut first, mut second) = (Http::link(&server), Http::link(&server));
    let mut bob = bob(&server);
    let mut alice = Client::online(&mut first).await;

    first.send("POST", "/http-bind", &alice.body("", "")).await;
    settle().await;
    second.send("POST", "/http-bind", &alice.body("", &message("bob", 1))).await;
    assert!(first.receive().await.unwrap().body.contains("ack='12'"));
    assert!(bob.take_routed()[0].contains("from='alice@localhost/r'"));
    bob.receive(&message("alice", 2));
    let answer = second.receive().await.unwrap();
    assert!(answer.body.contains("from='bob@localhost/r'"), "{answer:?}");

    let mut third = Http::link(&server);
    let answer = third.post(&alice.body("type='terminate'", "")).await;
    assert_eq!(answer.body, EMPTY.replace("/>", " type='terminate'/>"));
    assert_eq!(third.post(&alice.body("", "")).await.body, NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_lost_is_given_again() {
    let server = server();
    let (mut first, mut second) = (Http::link(&server), Http::link(&server));
    let mut bob = bob(&server);
    let mut alice = Client::online(&mut first).await;
    let request = alice.body("", &message("bob", 1));
    first.send("POST", "/http-bind", &request).await;
    settle().await;
    drop(first);
    bob.receive(&message("alice", 2));
    settle().await;
    let answer = second.post(&request).await;
    assert!(answer.body.contains("id='2'"), "{answer:?}");
    assert_eq!(second.post(&request).await.body, answer.body);
    assert_eq!(bob.take_routed().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn requests_wait_and_sessions_expire() {
    let server = server();
    let mut http = Http::link(&server);
    let mut alice = Client::online(&mut http).await;
    let begin = Instant::now();
    assert_eq!(http.post(&alice.body("", "")).await.body, EMPTY);
    assert_eq!(begin.elapsed().as_secs(), 60);
    sleep(Duration::from_secs(31)).await;
    assert_eq!(http.post(&alice.body("", "")).await.body, NOT_FOUND);
}

#[tokio::test]
async fn other_requests_are_told_what_is_here() {
    let server = server();
    for (method, path, status, text) in [
        ("GET", "/http-bind", 200, "This is BOSH"),
        ("OPTIONS", "/http-bind", 204, ""),
        ("PUT", "/http-bind", 405, "This is BOSH"),
        ("POST", "/", 404, "BOSH at /http-bind"),
        ("GET", "/http-bind/", 404, "BOSH at /http-bind"),
        ("POST", "/xmpp-websocket", 400, "subprotocol"),
    ] {
        let response = Http::link(&server).request(method, path, "").await;
        assert_eq!(response.status, status, "{method} {path}");
        assert!(response.body.contains(text), "{response:?}");
        let is_open = response.head.contains("access-control-allow-origin: *\r\n")
            && response.head.contains("access-control-allow-headers: content-type\r\n");
        assert_eq!(is_open, path == "/http-bind", "{response:?}");
    }
}

#[tokio::test]
async fn the_content_type_is_the_clients_choice() {
    let server = server();
    let mut http = Http::link(&server);
    for (content, answer) in [
        ("", "content-type: text/xml; charset=utf-8\r\n"),
        (" content='text/html'", "content-type: text/html\r\n"),
        (" content='&#10;'", "content-type: text/xml; charset=utf-8\r\n"),
    ] {
        let response = http.post(&create(1).replace("/>", &format!("{content}/>"))).await;
        assert!(response.head.contains(answer), "{response:?}");
    }
}

#[tokio::test]
async fn requests_for_no_session_are_refused() {
    let server = server();
    let mut http = Http::link(&server);
    let bad_request = NOT_FOUND.replace("item-not-found", "bad-request");
    for text in ["", "<body/>", "<!DOCTYPE a><a/>", "\u{0}"] {
        assert_eq!(http.post(text).await.body, bad_request, "{text:?}");
    }
    let mut nobody = Client { sid: "a1".to_owned(), rid: 1 };
    assert_eq!(http.post(&nobody.body("", "")).await.body, NOT_FOUND);

    // Not even over TLS, where another had begun without.
    let mut alice = Client::create(&mut http).await;
    let link = server.memory_link(SessionChannel::encrypted());
    let mut encrypted = Http(BufReader::new(link));
    assert_eq!(encrypted.post(&alice.clone().body("", "")).await.body, NOT_FOUND);
    assert!(http.post(&alice.body("", &auth("alice", "pencil"))).await.body.contains("<success"));
}

#[tokio::test(start_paused = true)]
async fn bodies_have_a_limit_and_a_deadline() {
    let mut limits = Limits::default();
    limits.stanza = 1000;
    let server = Server::builder("localhost").limits(limits).build();
    let response = Http::link(&server).post(&"x".repeat(2001)).await;
    assert_eq!(response.status, 413);

    let head = "POST /http-bind HTTP/1.1\r\nHost: localhost\r\n";
    let chunks = format!("{head}Transfer-Encoding: chunked\r\n\r\n7d1\r\n{}", "x".repeat(2001));
    let mut chunked = Http::link(&server);
    chunked.0.write_all(chunks.as_bytes()).await.unwrap();
    assert_eq!(chunked.receive().await.unwrap().status, 413);

    let mut slow = Http::link(&server);
    slow.0.write_all(format!("{head}Content-Length: 10\r\n\r\n<body").as_bytes()).await.unwrap();
    assert_eq!(slow.receive().await.unwrap().status, 408);
    assert!(slow.receive().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let server = server();
    let mut http = Http::link(&server);
    http.request("GET", "/http-bind", "").await;
    let begin = Instant::now();
    assert!(http.receive().await.is_none());
    assert_eq!(begin.elapsed().as_secs(), 180);
}

#[tokio::test]
async fn there_are_as_many_sessions_as_there_may_be() {
    let mut limits = Limits::default();
    limits.sessions = 1;
    let server = Server::builder("localhost").limits(limits).build();
    let mut http = Http::link(&server);
    let mut first = Client::create(&mut http).await;
    let full = http.post(&create(1)).await;
    assert!(full.body.contains("<resource-constraint "), "{full:?}");
    // Those that are over are still known, should somebody ask again.
    assert_eq!(http.post(&create(1)).await.status, 503);
    http.post(&first.body("type='terminate'", "")).await;
    assert_eq!(http.post(&create(1)).await.status, 503);
}

#[tokio::test]
async fn a_session_that_is_over_gives_up_its_place() {
    let mut limits = Limits::default();
    limits.sessions = 1;
    let server = Server::builder("localhost").limits(limits).build();
    let mut http = Http::link(&server);
    let mut first = Client::create(&mut http).await;
    http.post(&first.body("type='terminate'", "")).await;
    assert!(http.post(&create(1)).await.body.contains("<features "));
}

#[tokio::test]
async fn a_server_may_refuse_by_http() {
    for (fault, statuses) in [
        (BoshFault::NotFound, [200, 404, 404, 404]),
        (BoshFault::Unavailable(2), [200, 503, 503, 200]),
        (BoshFault::Unavailable(u64::MAX), [200, 503, 503, 503]),
    ] {
        let server = misbehaving(fault, 2);
        let mut http = Http::link(&server);
        for status in statuses {
            assert_eq!(http.post(&create(1)).await.status, status);
        }
    }
}

#[tokio::test]
async fn a_server_may_answer_something_else() {
    for (fault, answer) in [
        (BoshFault::EmptyBodies, EMPTY),
        (BoshFault::Text("<html>".to_owned()), "<html>"),
        (BoshFault::Text(String::new()), ""),
    ] {
        let server = misbehaving(fault, 2);
        let mut http = Http::link(&server);
        Client::create(&mut http).await;
        for _ in 0..3 {
            let response = http.post(&create(1)).await;
            assert_eq!((response.status, response.body.as_str()), (200, answer));
        }
    }
}

#[tokio::test]
async fn a_server_may_cut_the_connection() {
    let server = misbehaving(BoshFault::Cut { every: 3 }, 2);
    let mut bob = bob(&server);
    let mut http = Http::link(&server);
    let mut alice = Client::create(&mut http).await;
    let request = alice.body("", &auth("alice", "pencil"));
    http.send("POST", "/http-bind", &request).await;
    assert!(http.receive().await.is_none());
    // It was taken all the same.
    let mut http = Http::link(&server);
    assert!(http.post(&request).await.body.contains("<success "));
    let restart = "xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true'";
    http.post(&alice.body(restart, "")).await;
    let request = alice.body("", BIND);
    http.send("POST", "/http-bind", &request).await;
    assert!(http.receive().await.is_none());
    assert!(Http::link(&server).post(&request).await.body.contains("alice@localhost/r"));
    assert_eq!(bob.receive(&message("alice", 1)), [""; 0]);
}

#[tokio::test]
async fn a_server_may_send_more_than_anybody_takes() {
    let server = misbehaving(BoshFault::Oversized, 1);
    let mut http = Http::link(&server);
    let response = http.post(&create(1)).await;
    assert!(response.head.contains("transfer-encoding: chunked"), "{response:?}");
    let mut length = 0;
    while length < 2 * 1024 * 1024 {
        let read = http.0.fill_buf().await.unwrap().len();
        assert_ne!(read, 0);
        http.0.consume(read);
        length += read;
    }
}

#[tokio::test]
async fn bosh_on_the_ports_of_websocket() {
    let server = server();
    let running = server.listen(ListenOptions::default()).await.unwrap();
    let port = |url: &str| url.split(['/', ':']).find_map(|part| part.parse::<u16>().ok()).unwrap();
    assert_eq!(
        running.bosh_url(),
        running.ws_url().replace("ws://", "http://").replace("/xmpp-websocket", "/http-bind")
    );
    assert!(running.secure_bosh_url().starts_with("https://127.0.0.1:"));

    let stream = TcpStream::connect(("127.0.0.1", port(running.bosh_url()))).await.unwrap();
    let mut http = Http(BufReader::new(stream));
    let mut alice = Client::online(&mut http).await;
    http.send("POST", "/http-bind", &alice.body("", "")).await;

    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(running.ca_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let address = ("127.0.0.1", port(running.secure_bosh_url()));
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
    // What is bound to one connection of TLS is of no use over several.
    let offer = Http(BufReader::new(stream)).post(&create(1)).await.body;
    assert!(offer.contains("SCRAM-SHA-256-PLUS") && offer.contains("tls-server-end-point"));
    assert!(!offer.contains("tls-exporter"), "{offer}");

    let shutdown = tokio::spawn(running.shutdown());
    let last_words = http.receive().await.unwrap().body;
    assert!(last_words.contains("<system-shutdown "), "{last_words}");
    drop(http);
    shutdown.await.unwrap();
}
