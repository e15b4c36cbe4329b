//! Sessions that outlive their connections, over TCP and WebSocket, with a client that is written
//! out by hand.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use epode_testpeer::{Server, SessionChannel};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

const BIND: &str = "<iq xmlns='jabber:client' type='set' id='b'>\
                    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>\
                    <resource>home</resource></bind></iq>";
const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
const TO_ALICE: &str = "<message xmlns='jabber:client' to='alice@localhost/home' id='m'/>";

fn server() -> Server {
    Server::builder("localhost").iterations(2).account("alice", "pencil").build()
}

fn auth() -> String {
    let message = Base64::encode_string(b"\0alice\0pencil");
    format!("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{message}</auth>")
}

fn resume(id: &str) -> String {
    format!("<resume xmlns='urn:xmpp:sm:3' previd='{id}' h='0'/>")
}

fn id_of(enabled: &str) -> String {
    let (_, rest) = enabled.split_once(" id='").unwrap();
    rest.split_once('\'').unwrap().0.to_owned()
}

/// Alice's other session, which writes to the first without a transport.
fn writer(server: &Server) -> epode_testpeer::Session {
    let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
    let mut session = server.session(SessionChannel::plaintext());
    let bind = BIND.replace("home", "work");
    for frame in [open, &auth(), open, &bind] {
        session.receive(frame);
    }
    assert!(session.jid().is_some());
    session
}

struct Tcp(DuplexStream, String);

impl Tcp {
    async fn log_in(server: &Server) -> Self {
        let (near, far) = duplex(1024);
        let server = server.clone();
        tokio::spawn(async move { server.serve_tcp(far, SessionChannel::plaintext()).await });
        let mut client = Self(near, String::new());
        client.open().await;
        client.ask(&auth(), "<success ").await;
        client.open().await;
        client
    }

    async fn open(&mut self) {
        let open = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='localhost' \
                    xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
        self.ask(open, "features>").await;
    }

    /// Sends this, and reads up to something that holds this.
    async fn ask(&mut self, text: &str, expected: &str) -> String {
        self.0.write_all(text.as_bytes()).await.unwrap();
        self.expect(expected).await
    }

    async fn expect(&mut self, expected: &str) -> String {
        let mut buffer = [0; 1024];
        while !self.1.contains(expected) {
            let length = self.0.read(&mut buffer).await.unwrap();
            assert!(length > 0, "{expected:?} should be in {}", self.1);
            self.1.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        std::mem::take(&mut self.1)
    }
}

struct Web(WebSocketStream<DuplexStream>);

impl Web {
    async fn log_in(server: &Server) -> Self {
        let mut request = "ws://localhost/xmpp-websocket".into_client_request().unwrap();
        let protocol = HeaderValue::from_static("xmpp");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let link = server.memory_link(SessionChannel::plaintext());
        let mut client = Self(client_async(request, link).await.unwrap().0);
        let open =
            "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
        client.ask(open, "<open ").await;
        client.expect("features ").await;
        client.ask(&auth(), "<success ").await;
        client.ask(open, "<open ").await;
        client.expect("features ").await;
        client
    }

    async fn ask(&mut self, text: &str, expected: &str) -> String {
        self.0.send(Message::text(text)).await.unwrap();
        self.expect(expected).await
    }

    async fn expect(&mut self, expected: &str) -> String {
        let frame = self.0.next().await.unwrap().unwrap().into_text().unwrap();
        assert!(frame.contains(expected), "{expected:?} should be in {frame}");
        frame.as_str().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_goes_from_tcp_to_websocket_and_back() {
    let server = server();
    let mut tcp = Tcp::log_in(&server).await;
    tcp.ask(BIND, "<jid>alice@localhost/home</jid>").await;
    let id = id_of(&tcp.ask(ENABLE, "<enabled ").await);
    drop(tcp);

    let mut writer = writer(&server);
    assert!(writer.receive(TO_ALICE).is_empty());
    let mut web = Web::log_in(&server).await;
    web.ask(&resume(&id), "<resumed ").await;
    web.expect("id='m'").await;
    // A close of WebSocket alone is no end of the session (RFC 7395, section 3.6.1).
    web.0.close(None).await.unwrap();
    while let Some(Ok(_)) = web.0.next().await {}

    let mut tcp = Tcp::log_in(&server).await;
    let text = tcp.ask(&resume(&id), "<r ").await;
    assert!(text.contains("<resumed ") && text.contains("id='m'"), "{text}");
    // The connection is there, and another takes its place.
    let mut other = Tcp::log_in(&server).await;
    other.ask(&resume(&id), "<r ").await;
    let end = tcp.expect("</stream:stream>").await;
    assert!(end.contains("<conflict "), "{end}");
    // This is an end.
    other.ask("</stream:stream>", "</stream:stream>").await;
    let mut late = Web::log_in(&server).await;
    let failed = late.ask(&resume(&id), "<failed ").await;
    assert!(failed.contains("<item-not-found "), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn time_runs_out_for_a_connection_that_broke() {
    let server = server();
    let mut tcp = Tcp::log_in(&server).await;
    tcp.ask(BIND, "<jid>").await;
    let id = id_of(&tcp.ask(ENABLE, "<enabled ").await);
    drop(tcp);
    tokio::time::sleep(Duration::from_secs(301)).await;
    let mut late = Tcp::log_in(&server).await;
    let failed = late.ask(&resume(&id), "</failed>").await;
    assert!(failed.contains("h='0'") && failed.contains("<item-not-found "), "{failed}");
    late.ask(BIND, "<jid>alice@localhost/home</jid>").await;
}
