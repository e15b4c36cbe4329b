//! The server and the scripts over real and in-memory transports, with a client that is written
//! out by hand.

use std::sync::Arc;

use base64ct::{Base64, Encoding};
use epode_testpeer::script::{Mismatch, Script};
use epode_testpeer::{
    Limits, ListenOptions, Outcome, Running, Server, SessionChannel, listen_script,
};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
const CLOSE: &str = "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>";
const BIND: &str = "<iq xmlns='jabber:client' type='set' id='b'>\
                    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";

fn server() -> Server {
    Server::builder("localhost")
        .iterations(2)
        .account("alice", "pencil")
        .account("bob", "eraser")
        .certificate_account("alice")
        .build()
}

fn plain(user: &str, password: &str) -> String {
    let message = Base64::encode_string(format!("\0{user}\0{password}").as_bytes());
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{message}</auth>")
}

async fn connect<S>(stream: S, url: &str, protocol: Option<&str>) -> Result<Client<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut request = url.into_client_request()?;
    if let Some(protocol) = protocol {
        let value = HeaderValue::from_str(protocol).unwrap();
        request.headers_mut().insert("sec-websocket-protocol", value);
    }
    let (socket, response) = client_async(request, stream).await?;
    assert_eq!(response.headers()["sec-websocket-protocol"], "xmpp");
    Ok(Client(socket))
}

struct Client<S>(WebSocketStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    async fn over(stream: S) -> Self {
        connect(stream, "ws://localhost/xmpp-websocket", Some("xmpp")).await.unwrap()
    }

    async fn send(&mut self, frame: &str) {
        self.0.send(Message::text(frame)).await.unwrap();
    }

    async fn receive(&mut self) -> String {
        match self.0.next().await.unwrap().unwrap() {
            Message::Text(text) => text.as_str().to_owned(),
            other => panic!("no text: {other:?}"),
        }
    }

    /// The next frame, which has to hold this.
    async fn expect(&mut self, part: &str) -> String {
        let frame = self.receive().await;
        assert!(frame.contains(part), "{part:?} should be in {frame}");
        frame
    }

    async fn expect_end(&mut self) {
        assert!(matches!(self.0.next().await, Some(Ok(Message::Close(_)))));
        assert!(self.0.next().await.is_none());
    }

    async fn open(&mut self) -> String {
        self.send(OPEN).await;
        self.expect("<open ").await;
        self.expect("<features ").await
    }

    async fn log_in(&mut self, auth: &str) -> String {
        self.open().await;
        self.send(auth).await;
        self.expect("<success ").await;
        self.open().await;
        self.send(BIND).await;
        let bound = self.expect("<jid>").await;
        let (_, rest) = bound.split_once("<jid>").unwrap();
        rest.split_once("</jid>").unwrap().0.to_owned()
    }
}

#[tokio::test]
async fn two_clients_talk_in_memory() {
    let server = server();
    let mut alice = Client::over(server.memory_link(SessionChannel::plaintext())).await;
    let mut bob = Client::over(server.memory_link(SessionChannel::plaintext())).await;
    let alice_jid = alice.log_in(&plain("alice", "pencil")).await;
    let bob_jid = bob.log_in(&plain("bob", "eraser")).await;

    alice.send(&format!("<message xmlns='jabber:client' to='{bob_jid}'/>")).await;
    bob.expect(&format!("from='{alice_jid}'")).await;
    bob.send(CLOSE).await;
    bob.expect("<close ").await;
    bob.expect_end().await;
    alice.send(&format!("<message xmlns='jabber:client' to='{bob_jid}'/>")).await;
    alice.expect("service-unavailable").await;
}

#[tokio::test]
async fn the_login_may_come_with_the_header_of_the_stream() {
    let message = Base64::encode_string(b"\0alice\0pencil");
    let authenticate = format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
         <initial-response>{message}</initial-response><bind xmlns='urn:xmpp:bind:0'/>\
         </authenticate>"
    );
    let mut client = Client::over(server().memory_link(SessionChannel::encrypted())).await;
    client.send(OPEN).await;
    client.send(&authenticate).await;
    for part in ["<open ", "<authentication ", "<bound ", "<features "] {
        client.expect(part).await;
    }

    let (mut near, far) = duplex(64 * 1024);
    let server = server();
    tokio::spawn(async move { server.serve_tcp(far, SessionChannel::encrypted()).await });
    let header = "<stream:stream xmlns='jabber:client' version='1.0' to='localhost' \
                  xmlns:stream='http://etherx.jabber.org/streams' from='alice@localhost'>";
    near.write_all(format!("{header}{authenticate}").as_bytes()).await.unwrap();
    let mut said = String::new();
    while !said.contains("<bound ") {
        let mut buffer = [0; 4096];
        let length = near.read(&mut buffer).await.unwrap();
        assert!(length > 0, "{said}");
        said.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    assert_eq!(said.matches("<stream:stream ").count(), 1);
}

#[tokio::test]
async fn pings_of_websocket_are_answered() {
    let mut client = Client::over(server().memory_link(SessionChannel::plaintext())).await;
    client.0.send(Message::Ping("x".into())).await.unwrap();
    let pong = client.0.next().await.unwrap().unwrap();
    assert_eq!(pong, Message::Pong("x".into()));
    client.open().await;
}

#[tokio::test]
async fn handshakes_for_something_else_are_refused() {
    for (url, protocol, status) in [
        ("ws://localhost/", Some("xmpp"), StatusCode::NOT_FOUND),
        ("ws://localhost/xmpp-websocket", None, StatusCode::BAD_REQUEST),
        ("ws://localhost/xmpp-websocket", Some("chat"), StatusCode::BAD_REQUEST),
    ] {
        let link = server().memory_link(SessionChannel::plaintext());
        let refused = connect(link, url, protocol).await.err().unwrap();
        assert!(matches!(&refused, Error::Http(it) if it.status() == status), "{refused:?}");
    }
    let link = server().memory_link(SessionChannel::plaintext());
    connect(link, "ws://localhost/xmpp-websocket", Some("chat, xmpp")).await.unwrap();
}

#[tokio::test]
async fn binary_and_oversized_frames_end_the_stream() {
    let mut limits = Limits::default();
    limits.stanza = 1000;
    let server = Server::builder("localhost").limits(limits).build();
    let messages = [
        (Message::binary("<a/>"), "bad-format"),
        (Message::text("x".repeat(1500)), "policy-violation"),
        (Message::text("x".repeat(5000)), "policy-violation"),
    ];
    for (message, condition) in messages {
        let mut client = Client::over(server.memory_link(SessionChannel::plaintext())).await;
        client.open().await;
        client.0.send(message).await.unwrap();
        client.expect(condition).await;
        client.expect("<close ").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_log_in_is_let_go() {
    let mut client = Client::over(server().memory_link(SessionChannel::plaintext())).await;
    client.open().await;
    client.expect("connection-timeout").await;
    client.expect("<close ").await;
    client.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_given_up() {
    let mut link = server().memory_link(SessionChannel::plaintext());
    assert_eq!(link.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn websocket_on_a_port() {
    let running = server().listen(ListenOptions::default()).await.unwrap();
    let stream = TcpStream::connect(address_of(running.ws_url())).await.unwrap();
    let mut client = connect(stream, running.ws_url(), Some("xmpp")).await.unwrap();
    let jid = client.log_in(&plain("alice", "pencil")).await;
    assert!(jid.starts_with("alice@localhost/"));
    let shutdown = tokio::spawn(running.shutdown());
    client.expect("system-shutdown").await;
    client.expect("<close ").await;
    client.expect_end().await;
    shutdown.await.unwrap();
}

#[tokio::test]
async fn external_over_tls() {
    let running = server().listen(ListenOptions::default()).await.unwrap();
    for (with_certificate, name) in [(true, "127.0.0.1"), (false, "localhost"), (false, "::1")] {
        let stream = TcpStream::connect(address_of(running.wss_url())).await.unwrap();
        let tls = TlsConnector::from(Arc::new(client_config(&running, with_certificate)));
        let name = ServerName::try_from(name).unwrap();
        let stream = tls.connect(name, stream).await.unwrap();
        let mut client = connect(stream, running.wss_url(), Some("xmpp")).await.unwrap();
        if with_certificate {
            let external =
                "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
            let jid = client.log_in(external).await;
            assert!(jid.starts_with("alice@localhost/"));
        } else {
            assert!(!client.open().await.contains("EXTERNAL"));
        }
        client.send(CLOSE).await;
        client.expect("<close ").await;
        client.expect_end().await;
    }
    assert_eq!(running.client_certificates()[0].user(), "alice");
    running.shutdown().await;
}

fn client_config(running: &Running, with_certificate: bool) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(running.ca_pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    if !with_certificate {
        return config.with_no_client_auth();
    }
    let chain = running.client_certificate_pem().unwrap().as_bytes();
    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(running.client_key_pem().unwrap().as_bytes());
    config.with_client_auth_cert(chain, key.unwrap()).unwrap()
}

fn address_of(url: &str) -> &str {
    let (_, rest) = url.split_once("://").unwrap();
    rest.split_once('/').unwrap().0
}

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='localhost' \
                      xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

/// Reads until the text has come, and gives everything up to it.
async fn read_until<S: AsyncRead + Unpin>(stream: &mut S, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let byte = stream.read_u8().await.unwrap_or_else(|error| {
            panic!("{error} after {}", String::from_utf8_lossy(&text));
        });
        text.push(byte);
    }
    String::from_utf8(text).unwrap()
}

/// A whole visit over TCP, written in pieces of this size.
async fn visit_over_tcp<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, piece: usize) {
    for (text, end) in [
        (HEADER.to_owned(), "</features>"),
        (plain("alice", "pencil"), "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"),
        (HEADER.to_owned(), "</features>"),
        (BIND.to_owned(), "</iq>"),
        ("</stream:stream>".to_owned(), "</stream:stream>"),
    ] {
        for piece in text.as_bytes().chunks(piece) {
            stream.write_all(piece).await.unwrap();
        }
        read_until(&mut stream, end).await;
    }
    drop(stream.shutdown().await);
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn tcp_on_a_port() {
    let running = server().listen(ListenOptions::default()).await.unwrap();
    visit_over_tcp(TcpStream::connect(running.tcp()).await.unwrap(), usize::MAX).await;
    running.shutdown().await;
}

#[tokio::test]
async fn tcp_takes_any_pieces() {
    for piece in [1, 7] {
        let server = server();
        let (near, far) = duplex(1024);
        tokio::spawn(async move { server.serve_tcp(far, SessionChannel::plaintext()).await });
        visit_over_tcp(near, piece).await;
    }
}

#[tokio::test]
async fn tcp_takes_a_restart_that_came_early() {
    let server = server();
    let (mut near, far) = duplex(4096);
    tokio::spawn(async move { server.serve_tcp(far, SessionChannel::plaintext()).await });
    let all = format!("{HEADER}{}{HEADER}{BIND}", plain("alice", "pencil"));
    near.write_all(all.as_bytes()).await.unwrap();
    read_until(&mut near, "alice@localhost/").await;
}

#[tokio::test]
async fn tcp_says_what_is_wrong() {
    for (text, condition) in [
        ("<stream:stream", "not-well-formed"),
        ("<a xmlns='b'>", "bad-format"),
        ("<!DOCTYPE a>", "restricted-xml"),
    ] {
        let server = server();
        let (mut near, far) = duplex(4096);
        let serving = async { server.serve_tcp(far, SessionChannel::plaintext()).await };
        let visit = async {
            near.write_all(text.as_bytes()).await.unwrap();
            near.write_all(b" <").await.unwrap();
            let reply = read_until(&mut near, "</stream:stream>").await;
            assert!(reply.contains(condition), "{text}: {reply}");
            near.shutdown().await.unwrap();
        };
        tokio::join!(serving, visit);
    }
}

#[tokio::test]
async fn a_script_is_served_to_each_connection_anew() {
    let script =
        Script::parse(&format!("C: {OPEN}\nS: {OPEN}\nS: !ping\nS: {{fill:3}}\nS: !close"));
    let running = listen_script(&script.unwrap()).await.unwrap();
    for frame in [OPEN, "<open/>"] {
        let stream = TcpStream::connect(address_of(running.ws_url())).await.unwrap();
        let mut client = connect(stream, running.ws_url(), Some("xmpp")).await.unwrap();
        client.send(frame).await;
        if frame == OPEN {
            assert_eq!(client.receive().await, OPEN);
            assert_eq!(client.0.next().await.unwrap().unwrap(), Message::Ping("".into()));
            assert_eq!(client.receive().await, "xxx");
        }
        // No closing handshake: the connection is just gone.
        assert!(matches!(client.0.next().await, Some(Err(_)) | None));
    }
    let outcomes = running.shutdown().await;
    assert_eq!(outcomes[0], Outcome::Finished);
    let Outcome::Departed(Mismatch::OtherElement { line: 1, .. }) = outcomes[1] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(outcomes.len(), 2);
}

#[tokio::test]
async fn a_script_can_send_what_is_no_text() {
    let script = Script::parse("S: !binary ab\nS: !hex ff\nC: *").unwrap();
    let (near, far) = duplex(4096);
    let visit = async {
        let mut client = Client::over(near).await;
        assert_eq!(client.0.next().await.unwrap().unwrap(), Message::binary("ab"));
        assert!(matches!(client.0.next().await, Some(Err(Error::Utf8(_)))));
    };
    let (outcome, ()) = tokio::join!(script.serve(far), visit);
    assert_eq!(outcome.unwrap(), Outcome::Unfinished);
}

#[tokio::test]
async fn a_script_can_answer_the_handshake_otherwise() {
    let redirect = Script::parse("http: 302 /elsewhere\nC: *").unwrap();
    let (near, far) = duplex(4096);
    let (outcome, refused) = tokio::join!(
        redirect.serve(far),
        connect(near, "ws://localhost/xmpp-websocket", Some("xmpp"))
    );
    assert_eq!(outcome.unwrap(), Outcome::NoHandshake);
    let Err(Error::Http(response)) = refused else { panic!("a redirect") };
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.headers()["location"], "/elsewhere");

    let other = Script::parse("subprotocol: chat\nC: *").unwrap();
    let (near, far) = duplex(4096);
    let mut request = "ws://localhost/".into_client_request().unwrap();
    let value = HeaderValue::from_static("xmpp");
    request.headers_mut().insert("sec-websocket-protocol", value);
    let (_, refused) = tokio::join!(other.serve(far), client_async(request, near));
    assert!(matches!(refused, Err(Error::Protocol(_))));

    for header in ["http: 200", "http: soon", "http: 302 \u{7}", "subprotocol: \u{7}"] {
        let script = Script::parse(&format!("{header}\nC: *")).unwrap();
        let error = listen_script(&script).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{header:?}");
    }
}

#[tokio::test]
async fn a_component_on_a_port() {
    let plain = server().listen(ListenOptions::default()).await.unwrap();
    assert_eq!(plain.component_url(), None);

    let builder = Server::builder("localhost").component("bridge.localhost", "secret");
    let running = builder.build().listen(ListenOptions::default()).await.unwrap();
    let address = running.component_url().unwrap().strip_prefix("tcp://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let wrong = "<stream:stream xmlns='jabber:component:accept' to='bridge.localhost' \
                 xmlns:stream='http://etherx.jabber.org/streams'><handshake>no</handshake>";
    stream.write_all(wrong.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.contains("from='bridge.localhost'"), "{reply}");
    assert!(reply.contains("<not-authorized ") && reply.ends_with("</stream:stream>"), "{reply}");
}
