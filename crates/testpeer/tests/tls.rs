//! The server over TLS: STARTTLS, direct TLS and `wss`, with rustls as the client's end and the
//! rest of the client written out by hand.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use base64ct::{Base64, Encoding};
use epode_testpeer::script::{Mismatch, Script};
use epode_testpeer::{
    BindingList, CertificateSignature, ListenOptions, Outcome, Running, Server, ServerBuilder,
    StartTls, TlsVersions, listen_script,
};
use futures_util::{SinkExt, StreamExt};
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, ProtocolVersion, RootCertStore, SupportedProtocolVersion, crypto::ring, version,
};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='localhost' \
                      xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
const OPEN: &str =
    "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'/>";
const STARTTLS: &str = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const PROCEED: &str = "<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
const BIND: &str = "<iq xmlns='jabber:client' type='set' id='b'>\
                    <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
const EXTERNAL: &str =
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
const END_POINT: &str = "tls-server-end-point";

fn builder() -> ServerBuilder {
    Server::builder("localhost")
        .iterations(2)
        .account("alice", "pencil")
        .certificate_account("alice")
}

async fn listen(builder: ServerBuilder, options: ListenOptions) -> Running {
    builder.build().listen(options).await.unwrap()
}

type Versions = &'static [&'static SupportedProtocolVersion];

static BOTH: Versions = &[&version::TLS13, &version::TLS12];
static OLD: Versions = &[&version::TLS12];
static NEW: Versions = &[&version::TLS13];

/// How a client comes to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    StartTls,
    Direct,
    Wss,
}

const WAYS: [Way; 3] = [Way::StartTls, Way::Direct, Way::Wss];

/// The client's end of TLS.
struct Tls {
    roots: RootCertStore,
    versions: Versions,
    alpn: Vec<Vec<u8>>,
    identity: Option<(String, String)>,
}

impl Tls {
    fn of(running: &Running) -> Self {
        Self::trusting(running.ca_pem())
    }

    fn trusting(ca_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
        Self { roots, versions: BOTH, alpn: Vec::new(), identity: None }
    }

    fn with_certificate(mut self, running: &Running) -> Self {
        let pem = |pem: Option<&str>| pem.unwrap().to_owned();
        self.identity =
            Some((pem(running.client_certificate_pem()), pem(running.client_key_pem())));
        self
    }

    fn with_alpn(mut self, protocol: &str) -> Self {
        self.alpn.push(protocol.as_bytes().to_vec());
        self
    }

    async fn handshake<S>(self, stream: S) -> std::io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(self.roots);
        let mut config = match self.identity {
            None => config.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = CertificateDer::pem_slice_iter(chain.as_bytes());
                let chain = chain.collect::<Result<_, _>>().unwrap();
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
                config.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = self.alpn;
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

/// A client behind the handshake.
enum Client {
    Stream(Box<TlsStream<TcpStream>>),
    Socket(Box<WebSocketStream<TlsStream<TcpStream>>>),
}

impl Client {
    fn over(stream: TlsStream<TcpStream>) -> Self {
        Self::Stream(Box::new(stream))
    }

    async fn connect(running: &Running, way: Way, tls: Tls) -> Self {
        match way {
            Way::StartTls => Self::over(starttls(running.starttls(), tls).await),
            Way::Direct => {
                let stream = TcpStream::connect(running.direct_tls()).await.unwrap();
                Self::over(tls.handshake(stream).await.unwrap())
            }
            Way::Wss => {
                let address = running.wss_url().split('/').nth(2).unwrap();
                let stream = TcpStream::connect(address).await.unwrap();
                let stream = tls.handshake(stream).await.unwrap();
                let mut request = running.wss_url().into_client_request().unwrap();
                let protocol = HeaderValue::from_static("xmpp");
                request.headers_mut().insert("sec-websocket-protocol", protocol);
                Self::Socket(Box::new(client_async(request, stream).await.unwrap().0))
            }
        }
    }

    fn tls(&self) -> &tokio_rustls::rustls::ClientConnection {
        match self {
            Self::Stream(stream) => stream.get_ref().1,
            Self::Socket(socket) => socket.get_ref().get_ref().1,
        }
    }

    /// Our end's data of a type of channel binding.
    fn binding<D: Digest>(&self, kind: &str) -> Vec<u8> {
        if kind == END_POINT {
            return D::digest(&self.tls().peer_certificates().unwrap()[0]).to_vec();
        }
        let label = b"EXPORTER-Channel-Binding";
        self.tls().export_keying_material(vec![0; 32], label, Some(b"")).unwrap()
    }

    /// Opens a stream, and gives the features.
    async fn open(&mut self) -> String {
        match self {
            Self::Stream(_) => self.ask(HEADER, &["</features>"]).await,
            Self::Socket(socket) => {
                socket.send(Message::text(OPEN)).await.unwrap();
                self.receive(&[]).await;
                self.receive(&[]).await
            }
        }
    }

    async fn ask(&mut self, text: &str, ends: &[&str]) -> String {
        match self {
            Self::Stream(stream) => stream.write_all(text.as_bytes()).await.unwrap(),
            Self::Socket(socket) => socket.send(Message::text(text)).await.unwrap(),
        }
        self.receive(ends).await
    }

    async fn receive(&mut self, ends: &[&str]) -> String {
        match self {
            Self::Stream(stream) => read_until(stream, ends).await,
            Self::Socket(socket) => {
                socket.next().await.unwrap().unwrap().to_text().unwrap().to_owned()
            }
        }
    }

    async fn sasl(&mut self, name: &str, mechanism: &str, message: &str) -> String {
        let message = Base64::encode_string(message.as_bytes());
        let xmlns = "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'";
        let frame = format!("<{name} {xmlns}{mechanism}>{message}</{name}>");
        self.ask(&frame, &["</challenge>", "</success>", "</failure>"]).await
    }

    /// Logs in with this, after the stream was opened, as far as the last reply.
    async fn scram<D>(&mut self, hash: &str, kind: &str, bound_to: &[u8]) -> String
    where
        D: EagerHash + Digest,
        Hmac<D>: Mac + KeyInit,
    {
        let mechanism = format!(" mechanism='SCRAM-{hash}-PLUS'");
        let header = format!("p={kind},,");
        let bare = "n=alice,r=abc";
        let challenge = self.sasl("auth", &mechanism, &format!("{header}{bare}")).await;
        let (_, rest) = challenge.split_once('>').unwrap();
        let server_first = Base64::decode_vec(rest.split_once('<').unwrap().0).unwrap();
        let server_first = String::from_utf8(server_first).unwrap();
        let parts: Vec<_> = server_first.split(',').map(|part| &part[2..]).collect();
        let channel = Base64::encode_string(&[header.as_bytes(), bound_to].concat());
        let without_proof = format!("c={channel},r={}", parts[0]);
        let salt = Base64::decode_vec(parts[1]).unwrap();
        let client_key = client_key::<D>(&salt, parts[2].parse().unwrap());
        let signed = format!("{bare},{server_first},{without_proof}");
        let signature = mac::<D>(&D::digest(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let proof = Base64::encode_string(&proof);
        self.sasl("response", "", &format!("{without_proof},p={proof}")).await
    }
}

fn mac<D: EagerHash>(key: &[u8], data: &[u8]) -> Vec<u8>
where
    Hmac<D>: Mac + KeyInit,
{
    let mac = <Hmac<D> as KeyInit>::new_from_slice(key).unwrap();
    mac.chain_update(data).finalize().into_bytes().to_vec()
}

/// The server of these tests asks for two iterations.
fn client_key<D: EagerHash>(salt: &[u8], iterations: u32) -> Vec<u8>
where
    Hmac<D>: Mac + KeyInit,
{
    assert_eq!(iterations, 2);
    let first = mac::<D>(b"pencil", &[salt, &[0, 0, 0, 1]].concat());
    let second = mac::<D>(b"pencil", &first);
    let salted: Vec<u8> = first.iter().zip(&second).map(|(a, b)| a ^ b).collect();
    mac::<D>(&salted, b"Client Key")
}

/// Reads until one of these texts has come, and gives everything up to it.
async fn read_until<S: AsyncRead + Unpin>(stream: &mut S, ends: &[&str]) -> String {
    let mut text = Vec::new();
    while !ends.iter().any(|end| text.ends_with(end.as_bytes())) {
        let byte = stream.read_u8().await.unwrap_or_else(|error| {
            panic!("{error} after {}", String::from_utf8_lossy(&text));
        });
        text.push(byte);
    }
    String::from_utf8(text).unwrap()
}

/// Opens a stream, and has the server proceed to the handshake.
async fn proceed(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(HEADER.as_bytes()).await.unwrap();
    let features = read_until(&mut stream, &["</features>"]).await;
    assert!(features.contains(STARTTLS), "{features}");
    stream.write_all(STARTTLS.as_bytes()).await.unwrap();
    read_until(&mut stream, &[PROCEED]).await;
    stream
}

async fn starttls(address: SocketAddr, tls: Tls) -> TlsStream<TcpStream> {
    tls.handshake(proceed(address).await).await.unwrap()
}

async fn log_in_with_each_hash(running: &Running, way: Way, kind: &str) {
    async fn log_in<D>(running: &Running, way: Way, kind: &str, hash: &str)
    where
        D: EagerHash + Digest,
        Hmac<D>: Mac + KeyInit,
    {
        let mut client = Client::connect(running, way, Tls::of(running)).await;
        let features = client.open().await;
        assert!(features.contains(&format!("<mechanism>SCRAM-{hash}-PLUS</mechanism>")));
        assert!(features.contains("<channel-binding type='tls-exporter'/>"), "{features}");
        assert!(features.contains("<channel-binding type='tls-server-end-point'/>"), "{features}");
        assert!(!features.contains("<starttls "), "{features}");
        let data = client.binding::<Sha256>(kind);
        let reply = client.scram::<D>(hash, kind, &data).await;
        assert!(reply.starts_with("<success "), "{way:?} {kind} {hash}: {reply}");
        client.open().await;
        let bound = client.ask(BIND, &["</iq>"]).await;
        assert!(bound.contains("<jid>alice@localhost/"), "{bound}");
    }
    log_in::<Sha1>(running, way, kind, "SHA-1").await;
    log_in::<Sha256>(running, way, kind, "SHA-256").await;
    log_in::<Sha384>(running, way, kind, "SHA-384").await;
    log_in::<Sha512>(running, way, kind, "SHA-512").await;
}

#[tokio::test]
async fn logins_are_bound_to_the_channel_everywhere() {
    for versions in [TlsVersions::Tls12, TlsVersions::Tls13] {
        let options = ListenOptions::default().with_tls_versions(versions);
        let running = listen(builder(), options).await;
        for way in WAYS {
            for kind in ["tls-exporter", END_POINT] {
                log_in_with_each_hash(&running, way, kind).await;
            }
        }
        running.shutdown().await;
    }
}

#[tokio::test]
async fn a_login_that_is_bound_to_something_else_is_refused() {
    let running = listen(builder(), ListenOptions::default()).await;
    let elsewhere = Client::connect(&running, Way::Direct, Tls::of(&running)).await;
    for way in WAYS {
        let other_connection = elsewhere.binding::<Sha256>("tls-exporter");
        let other_hash = elsewhere.binding::<Sha384>(END_POINT);
        let mut client = Client::connect(&running, way, Tls::of(&running)).await;
        client.open().await;
        for (kind, data) in [("tls-exporter", other_connection), (END_POINT, other_hash)] {
            let reply = client.scram::<Sha256>("SHA-256", kind, &data).await;
            assert!(reply.contains("<not-authorized/>"), "{reply}");
        }
        let reply = client.sasl("auth", " mechanism='SCRAM-SHA-1-PLUS'", "p=tls-unique,,n=a,r=b");
        assert!(reply.await.contains("<malformed-request/>"));
    }
}

#[tokio::test]
async fn the_end_point_follows_the_signature_of_the_certificate() {
    let options = ListenOptions::default();
    let longer = options.with_signature(CertificateSignature::EcdsaSha384);
    let running = listen(builder(), longer).await;
    let mut client = Client::connect(&running, Way::Direct, Tls::of(&running)).await;
    client.open().await;
    let data = client.binding::<Sha256>(END_POINT);
    let reply = client.scram::<Sha1>("SHA-1", END_POINT, &data).await;
    assert!(reply.contains("<not-authorized/>"));
    let data = client.binding::<Sha384>(END_POINT);
    let reply = client.scram::<Sha1>("SHA-1", END_POINT, &data).await;
    assert!(reply.starts_with("<success "));

    let undefined = options.with_signature(CertificateSignature::Ed25519);
    let running = listen(builder(), undefined).await;
    let mut client = Client::connect(&running, Way::Direct, Tls::of(&running)).await;
    let features = client.open().await;
    assert!(features.contains("<channel-binding type='tls-exporter'/></sasl-channel-binding>"));
    let reply =
        client.sasl("auth", " mechanism='SCRAM-SHA-1-PLUS'", "p=tls-server-end-point,,n=a,r=b");
    assert!(reply.await.contains("<malformed-request/>"));
}

#[tokio::test]
async fn external_takes_the_certificate_everywhere() {
    let running = listen(builder(), ListenOptions::default()).await;
    for way in WAYS {
        let tls = Tls::of(&running).with_certificate(&running);
        let mut client = Client::connect(&running, way, tls).await;
        assert!(client.open().await.contains("<mechanism>EXTERNAL</mechanism>"));
        let success = client.ask(EXTERNAL, &["xmpp-sasl'/>", "</failure>"]).await;
        assert!(success.starts_with("<success "), "{success}");

        let mut client = Client::connect(&running, way, Tls::of(&running)).await;
        assert!(!client.open().await.contains("EXTERNAL"));
        let refusal = client.ask(EXTERNAL, &["</failure>"]).await;
        assert!(refusal.contains("<invalid-mechanism/>"));
    }
}

#[tokio::test]
async fn direct_tls_judges_alpn() {
    let running = listen(builder(), ListenOptions::default()).await;
    let connect = async |tls: Tls| {
        tls.handshake(TcpStream::connect(running.direct_tls()).await.unwrap()).await
    };
    let named = connect(Tls::of(&running).with_alpn("xmpp-client")).await.unwrap();
    assert_eq!(named.get_ref().1.alpn_protocol(), Some(&b"xmpp-client"[..]));
    let unnamed = connect(Tls::of(&running)).await.unwrap();
    assert_eq!(unnamed.get_ref().1.alpn_protocol(), None);
    for other in ["xmpp-server", "http/1.1", "XMPP-CLIENT"] {
        let error = connect(Tls::of(&running).with_alpn(other)).await.unwrap_err();
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    }
    // STARTTLS is XMPP in any case.
    starttls(running.starttls(), Tls::of(&running).with_alpn("xmpp-client")).await;
}

#[tokio::test]
async fn versions_are_those_that_were_asked_for() {
    let spoken = |options: TlsVersions, theirs: Versions| async move {
        let options = ListenOptions::default().with_tls_versions(options);
        let running = listen(builder(), options).await;
        let tls = Tls { versions: theirs, ..Tls::of(&running) };
        let stream = TcpStream::connect(running.direct_tls()).await.unwrap();
        let stream = tls.handshake(stream).await;
        stream.map(|stream| stream.get_ref().1.protocol_version().unwrap())
    };
    assert_eq!(spoken(TlsVersions::Both, OLD).await.unwrap(), ProtocolVersion::TLSv1_2);
    assert_eq!(spoken(TlsVersions::Both, NEW).await.unwrap(), ProtocolVersion::TLSv1_3);
    assert_eq!(spoken(TlsVersions::Tls12, OLD).await.unwrap(), ProtocolVersion::TLSv1_2);
    assert_eq!(spoken(TlsVersions::Tls13, NEW).await.unwrap(), ProtocolVersion::TLSv1_3);
    for (ours, theirs) in [(TlsVersions::Tls12, NEW), (TlsVersions::Tls13, OLD)] {
        let error = spoken(ours, theirs).await.unwrap_err();
        assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    }
}

#[tokio::test]
async fn text_can_be_injected_before_the_handshake() {
    let injected = "<features xmlns='http://etherx.jabber.org/streams'/>";
    let rule = StartTls::Injecting(injected.to_owned());
    let running = listen(builder().starttls(rule), ListenOptions::default()).await;
    let mut stream = proceed(running.tcp()).await;
    let mut found = vec![0; injected.len()];
    stream.read_exact(&mut found).await.unwrap();
    assert_eq!(found, injected.as_bytes());
    // For a client that threw it away, the handshake would follow.
    let stream = Tls::of(&running).handshake(stream).await.unwrap();
    assert!(Client::over(stream).open().await.contains("SCRAM-SHA-1-PLUS"));
    // One that takes it for TLS is lost.
    let stream = proceed(running.tcp()).await;
    assert!(Tls::of(&running).handshake(stream).await.is_err());
}

#[tokio::test]
async fn features_can_change_with_starttls() {
    let changing = builder()
        .plaintext_mechanisms(["SCRAM-SHA-1"])
        .mechanisms(["SCRAM-SHA-256-PLUS"])
        .binding_list(BindingList::these(["tls-unique"]));
    let running = listen(changing, ListenOptions::default()).await;
    let mut stream = TcpStream::connect(running.tcp()).await.unwrap();
    stream.write_all(HEADER.as_bytes()).await.unwrap();
    let before = read_until(&mut stream, &["</features>"]).await;
    assert!(before.contains("<mechanism>SCRAM-SHA-1</mechanism></mechanisms></features>"));
    stream.write_all(STARTTLS.as_bytes()).await.unwrap();
    read_until(&mut stream, &[PROCEED]).await;
    let after = Client::over(Tls::of(&running).handshake(stream).await.unwrap()).open().await;
    assert!(after.contains("'><mechanism>SCRAM-SHA-256-PLUS</mechanism></mechanisms>"), "{after}");
    assert!(after.contains("'><channel-binding type='tls-unique'/></sasl-channel-binding>"));
}

#[tokio::test]
async fn a_refused_starttls_ends_the_connection() {
    let running = listen(builder().starttls(StartTls::Refused), ListenOptions::default()).await;
    let mut stream = TcpStream::connect(running.tcp()).await.unwrap();
    stream.write_all(format!("{HEADER}{STARTTLS}").as_bytes()).await.unwrap();
    let failure = "<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:stream>";
    read_until(&mut stream, &[failure]).await;
    assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_no_handshake_ends_the_connection() {
    let running = listen(builder(), ListenOptions::default()).await;
    let mut upgraded = proceed(running.tcp()).await;
    let mut direct = TcpStream::connect(running.direct_tls()).await.unwrap();
    for stream in [&mut upgraded, &mut direct] {
        stream.write_all(HEADER.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        // Reset or closed in order: gone.
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!rest.contains(&b'<'), "no XML where TLS has failed");
    }
}

#[tokio::test]
async fn a_shutdown_is_told_over_tls_and_ends_a_handshake() {
    let running = listen(builder(), ListenOptions::default()).await;
    let mut client = Client::connect(&running, Way::StartTls, Tls::of(&running)).await;
    client.open().await;
    let mut unfinished = proceed(running.tcp()).await;
    let shutdown = tokio::spawn(running.shutdown());
    let end = client.receive(&["</stream:stream>"]).await;
    assert!(end.contains("system-shutdown"), "{end}");
    assert_eq!(unfinished.read(&mut [0; 1]).await.unwrap(), 0);
    drop(client);
    shutdown.await.unwrap();
}

/// Up to a `!secure`, and one exchange after it.
const SCRIPT: &str = "framing: tcp
domain: example.org
C: <?xml version='1.0'?><stream:stream xmlns='jabber:client' to='localhost'
  xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>
S: <stream:stream xmlns:stream='http://etherx.jabber.org/streams' id='1'><features>
S: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
S: </features>
C: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
S: <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>
S: !secure
C: <stream:stream xmlns='jabber:client' to='*'
  xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>
S: <features>none</features>
C: </stream:stream>
S: </stream:stream>
S: !close
";

#[tokio::test]
async fn a_script_does_starttls() {
    let running = listen_script(&Script::parse(SCRIPT).unwrap()).await.unwrap();
    let tls = Tls::trusting(running.ca_pem().unwrap());
    let mut client = Client::over(starttls(running.address(), tls).await);
    assert_eq!(client.open().await, "<features>none</features>");
    client.ask("</stream:stream>", &["</stream:stream>"]).await;
    drop(client);

    let tls = Tls::trusting(running.ca_pem().unwrap());
    let mut other = Client::over(starttls(running.address(), tls).await);
    let Client::Stream(stream) = &mut other else { unreachable!("it is one") };
    stream.write_all(b"<open xmlns='x'/>").await.unwrap();
    let _ = stream.read_to_end(&mut Vec::new()).await;

    let outcomes = running.shutdown().await;
    assert_eq!(outcomes.len(), 2);
    assert!(outcomes.contains(&Outcome::Finished), "{outcomes:?}");
    let departed =
        |it: &Outcome| matches!(it, Outcome::Departed(Mismatch::OtherElement { line: 11, .. }));
    assert!(outcomes.iter().any(departed), "{outcomes:?}");
}

#[tokio::test]
async fn a_script_can_begin_with_tls() {
    let script = "framing: tcp\nS: !secure\nC: <s xmlns='u'>\nS: hello\nS: !close\n";
    let running = listen_script(&Script::parse(script).unwrap()).await.unwrap();
    let stream = TcpStream::connect(running.address()).await.unwrap();
    let tls = Tls::trusting(running.ca_pem().unwrap());
    let mut stream = tls.handshake(stream).await.unwrap();
    stream.write_all(b"<s xmlns='u'>").await.unwrap();
    read_until(&mut stream, &["hello"]).await;
    drop(stream);
    assert_eq!(running.shutdown().await, [Outcome::Finished]);
}

#[tokio::test]
async fn a_script_is_played_over_any_stream_unless_it_needs_a_certificate() {
    let script = "framing: tcp\nS: !hex 3c\nC: <s xmlns='u'>\nS: hello\nS: !close\n";
    let script = Script::parse(script).unwrap();
    let (mut near, far) = duplex(64);
    let visit = async {
        read_until(&mut near, &["<"]).await;
        for piece in b"<s xmlns='u'>".chunks(3) {
            near.write_all(piece).await.unwrap();
        }
        read_until(&mut near, &["hello"]).await;
        drop(near);
    };
    let (outcome, ()) = tokio::join!(script.serve(far), visit);
    assert_eq!(outcome.unwrap(), Outcome::Finished);

    let secured = Script::parse(SCRIPT).unwrap();
    let error = secured.serve(duplex(64).0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let running = listen_script(&script).await.unwrap();
    assert_eq!(running.ca_pem(), None);
}
