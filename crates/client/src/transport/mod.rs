//! From a URL to a connection that carries XMPP: lookup, proxy, TCP, TLS, WebSocket.
//! What is said over it is not looked at here; that is `epode_proto`'s part.

mod bosh;
mod byte_stream;
#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
pub(crate) mod certificates;
mod certified_addresses;
mod channel_binding;
mod crypto_provider;
mod der;
mod dial;
mod endpoint;
mod error;
#[cfg(test)]
mod fixtures;
mod happy_eyeballs;
mod http_connection;
mod options;
mod peer;
mod proxy;
mod server_end_point;
mod tcp;
mod tls;
mod tls_options;
mod tunnel;
mod websocket;

use std::{
    fmt,
    future::{pending, poll_fn},
    net::SocketAddr,
    pin::pin,
    task::Poll,
    time::Duration,
};

use epode_proto::bosh::Session;
use epode_sasl::Channel;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

#[cfg(test)]
pub(crate) use self::http_connection::{MAX_BUFFER, MAX_HEADERS};
pub(crate) use self::{
    bosh::Baton,
    byte_stream::ByteStream,
    dial::Deadline,
    http_connection::{HttpConnection, Payload},
};
use self::{
    bosh::Bosh,
    endpoint::Scheme,
    proxy::ProxyKind,
    tcp::Tcp,
    tls::{Begun, Handshake, Inside},
    websocket::WebSocket,
};
pub use self::{
    endpoint::{Endpoint, EndpointError},
    error::TransportError,
    options::{HeaderError, TransportOptions},
    peer::{CertificateProblem, IoFailure, Peer, Phase},
    proxy::{Proxy, ProxyError, ProxySettings, ProxyUrlError},
    tls_options::{TlsError, TlsOptions},
};

/// What an exchange with the peer has come to.
pub(crate) enum News {
    /// All that was queued is out, or cannot go out.
    Sent(Result<(), TransportError>),
    /// A frame, or bytes of a stream, at most 8 KiB; nothing once the peer has closed it in good
    /// order.
    Received(Result<Option<Vec<u8>>, TransportError>),
    /// A BOSH session has another [`Baton`] than before.
    Moved,
    /// Nothing is under way: a BOSH session can be handed over, as it was asked to.
    Quiet,
}

/// A connection that has changed to TLS.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Secured {
    pub(crate) channel: Channel,
    /// The server has what was queued before the handshake.
    pub(crate) is_early: bool,
}

/// One connection to a server: frames in a WebSocket (RFC 7395), the same frames in requests of
/// BOSH, or a byte stream over TCP (RFC 6120), which may change to TLS on its way.
pub(crate) struct Link(Kind);

enum Kind {
    WebSocket(Box<WebSocket>),
    Tcp(Tcp),
    Bosh(Box<Bosh>),
}

impl Link {
    /// Connects, and says what protects the way: TLS, the loopback interface, or nothing.
    ///
    /// `domain` is that of the account. Inside TLS, the certificate of an `xmpps://` server must be
    /// for this domain, that of a `wss://` server for the host of its URL. An `xmpp://` connection
    /// is not inside TLS until [`secure`](Self::secure) is done.
    ///
    /// With `early`, an `xmpps://` connection may be given before the handshake, over a channel that
    /// [says so](Channel::is_early): what is queued then goes along with it, and
    /// [`secure`](Self::secure) comes next.
    ///
    /// Only a direct connection counts as loopback, and only when the address at its other end is
    /// one; a proxy at such an address leads anywhere.
    pub(crate) async fn connect(
        endpoint: &Endpoint,
        domain: &str,
        options: &TransportOptions,
        limit: Duration,
        early: bool,
    ) -> Result<(Self, Channel), TransportError> {
        let deadline = Deadline::after(limit);
        let inside = match endpoint.scheme() {
            Scheme::Http | Scheme::Https => {
                let connecting = Box::pin(Bosh::connect(endpoint, options, deadline));
                let (bosh, channel) = connecting.await?;
                return Ok((Self(Kind::Bosh(Box::new(bosh))), channel));
            }
            Scheme::Xmpps if early => {
                return Box::pin(Self::connect_early(endpoint, domain, options, deadline)).await;
            }
            Scheme::Ws | Scheme::Xmpp => None,
            Scheme::Wss => Some((endpoint.host(), Inside::Http)),
            Scheme::Xmpps => Some((domain, Inside::Xmpp)),
        };
        let (stream, channel) = reach_inside(endpoint, inside, options, deadline).await?;
        Self::open(stream, channel, endpoint, options, deadline).await
    }

    async fn connect_early(
        endpoint: &Endpoint,
        domain: &str,
        options: &TransportOptions,
        deadline: Deadline,
    ) -> Result<(Self, Channel), TransportError> {
        let proxy = options.proxies().proxy_for(endpoint)?;
        let handshake = Handshake::new(options.tls(), domain, Inside::Xmpp)?;
        let tcp = reach(endpoint, proxy, options, deadline).await?;
        match Box::pin(handshake.begin_early(tcp, &endpoint.peer(), deadline)).await? {
            Begun::Done(stream, channel) => {
                Self::open(stream, channel, endpoint, options, deadline).await
            }
            Begun::Early(handshake, channel) => {
                let tcp = Tcp::early(handshake, endpoint.peer(), options.timeout());
                Ok((Self(Kind::Tcp(tcp)), channel))
            }
        }
    }

    /// Takes over a BOSH session, once the server has answered for it.
    pub(crate) async fn attach(
        endpoint: &Endpoint,
        session: Session,
        options: &TransportOptions,
    ) -> Result<(Self, Channel), TransportError> {
        let deadline = Deadline::after(options.timeout());
        let attaching = Box::pin(Bosh::attach(endpoint, session, options, deadline));
        let (bosh, channel) = attaching.await?;
        Ok((Self(Kind::Bosh(Box::new(bosh))), channel))
    }

    /// Takes a stream of the caller's, who vouches for what protects it, and opens a WebSocket over
    /// it unless the endpoint is a stream itself.
    pub(crate) async fn over<S>(
        stream: S,
        channel: Channel,
        endpoint: &Endpoint,
        options: &TransportOptions,
    ) -> Result<(Self, Channel), TransportError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let deadline = Deadline::after(options.timeout());
        Self::open(Box::new(stream), channel, endpoint, options, deadline).await
    }

    /// Takes a stream of the caller's, who vouches for what protects it, as it is. `domain` stands
    /// for the server in errors.
    pub(crate) fn over_stream<S>(
        stream: S,
        channel: Channel,
        domain: &str,
        options: &TransportOptions,
    ) -> (Self, Channel)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let peer = Peer::server(domain.to_owned(), Scheme::Xmpp.default_port());
        let tcp = Tcp::new(Box::new(stream), &channel, peer, options.timeout());
        (Self(Kind::Tcp(tcp)), channel)
    }

    async fn open(
        stream: Box<dyn ByteStream>,
        channel: Channel,
        endpoint: &Endpoint,
        options: &TransportOptions,
        deadline: Deadline,
    ) -> Result<(Self, Channel), TransportError> {
        if endpoint.is_bosh() {
            return Err(TransportError::OneStream);
        }
        let kind = if endpoint.is_stream() {
            Kind::Tcp(Tcp::new(stream, &channel, endpoint.peer(), options.timeout()))
        } else {
            let opening = Box::pin(WebSocket::open(stream, endpoint, options, deadline));
            Kind::WebSocket(Box::new(opening.await?))
        };
        Ok((Self(kind), channel))
    }

    /// True for a byte stream, false where there are frames.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self.0, Kind::Tcp(_))
    }

    /// True for a BOSH session.
    pub(crate) fn is_bosh(&self) -> bool {
        matches!(self.0, Kind::Bosh(_))
    }

    /// Changes a byte stream to TLS, in the time that the options give to connecting; the
    /// certificate must be for `domain`, that of the account. What was queued before a handshake
    /// that takes early data goes along.
    ///
    /// Whatever the server said since the last [`receive`](Self::receive) is taken for TLS. If
    /// this fails, or is dropped before it is done, the connection is closed: nothing goes out in
    /// the clear any more.
    ///
    /// # Errors
    ///
    /// [`TransportError`]; [`TransportError::NotPlain`] where there are frames, and inside TLS.
    pub(crate) async fn secure(
        &mut self,
        domain: &str,
        options: &TransportOptions,
    ) -> Result<Secured, TransportError> {
        let deadline = Deadline::after(options.timeout());
        match &mut self.0 {
            Kind::WebSocket(socket) => {
                Err(TransportError::NotPlain { peer: socket.peer().clone() })
            }
            Kind::Bosh(bosh) => Err(TransportError::NotPlain { peer: bosh.peer() }),
            Kind::Tcp(tcp) if tcp.is_early() => tcp.finish(deadline).await,
            Kind::Tcp(tcp) => {
                let handshake = Handshake::new(options.tls(), domain, Inside::Starttls)?;
                let channel = tcp.secure(handshake, deadline).await?;
                Ok(Secured { channel, is_early: false })
            }
        }
    }

    /// Queues bytes; where there are frames, one of them: UTF-8 text, one element.
    /// [`exchange`](Self::exchange) sends them.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if the connection is closed.
    pub(crate) fn queue(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        match &mut self.0 {
            Kind::WebSocket(socket) => socket.queue(bytes),
            Kind::Tcp(tcp) => tcp.queue(bytes),
            Kind::Bosh(bosh) => bosh.queue(bytes),
        }
    }

    /// True while something that was queued is not out; over BOSH, while no more should be queued.
    pub(crate) fn is_sending(&self) -> bool {
        match &self.0 {
            Kind::WebSocket(socket) => socket.is_sending(),
            Kind::Tcp(tcp) => tcp.is_sending(),
            Kind::Bosh(bosh) => bosh.is_sending(),
        }
    }

    /// How far sending has come: it is more whenever the peer has taken something.
    pub(crate) fn sent(&self) -> u64 {
        match &self.0 {
            Kind::WebSocket(socket) => socket.sent(),
            Kind::Tcp(tcp) => tcp.sent(),
            Kind::Bosh(bosh) => bosh.sent(),
        }
    }

    /// Sends what was queued and, if told to, listens meanwhile: a peer that does both by turns,
    /// as most servers do, would otherwise wait for us as we wait for it.
    ///
    /// There is no deadline here, for a quiet server is none that is gone. May be dropped and
    /// called again: nothing is lost, and no frame goes out in part.
    pub(crate) async fn exchange(&mut self, listens: bool) -> News {
        poll_fn(|cx| {
            if let Kind::Bosh(bosh) = &mut self.0 {
                return bosh.poll_exchange(cx, listens);
            }
            if self.is_sending()
                && let Poll::Ready(sent) = pin!(self.send_queued()).poll(cx)
            {
                return Poll::Ready(News::Sent(sent));
            }
            if !listens {
                return Poll::Pending;
            }
            pin!(self.receive()).poll(cx).map(News::Received)
        })
        .await
    }

    async fn send_queued(&mut self) -> Result<(), TransportError> {
        match &mut self.0 {
            Kind::WebSocket(socket) => socket.send_queued().await,
            Kind::Tcp(tcp) => tcp.send_queued().await,
            Kind::Bosh(_) => pending().await, // it does both in one
        }
    }

    async fn receive(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        match &mut self.0 {
            Kind::WebSocket(socket) => socket.receive().await,
            Kind::Tcp(tcp) => tcp.receive().await,
            Kind::Bosh(_) => pending().await,
        }
    }

    /// What it takes to go on with the session elsewhere; none but of a BOSH session.
    pub(crate) fn baton(&self) -> Option<Baton> {
        match &self.0 {
            Kind::Bosh(bosh) => bosh.baton(),
            _ => None,
        }
    }

    /// Comes to rest, which [`News::Quiet`] tells. False where there is nothing to hand over.
    pub(crate) fn hand_over(&mut self) -> bool {
        match &mut self.0 {
            Kind::Bosh(bosh) => bosh.hand_over(),
            _ => false,
        }
    }

    /// Goes on, and is not handed over after all.
    pub(crate) fn stay(&mut self) {
        if let Kind::Bosh(bosh) = &mut self.0 {
            bosh.stay();
        }
    }

    #[cfg(test)]
    async fn send(&mut self, bytes: &[u8]) -> Result<(), TransportError> {
        match &mut self.0 {
            Kind::WebSocket(socket) => socket.send(bytes).await,
            Kind::Tcp(tcp) => tcp.send(bytes).await,
            Kind::Bosh(bosh) => bosh.queue(bytes),
        }
    }

    /// Closes the WebSocket, TLS or the BOSH session and what is under it, in five seconds at most. What still
    /// arrives is dropped.
    pub(crate) async fn close(&mut self) -> Result<(), TransportError> {
        match &mut self.0 {
            Kind::WebSocket(socket) => socket.close().await,
            Kind::Tcp(tcp) => tcp.close().await,
            Kind::Bosh(bosh) => bosh.close().await,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("is_stream", &self.is_stream()).finish_non_exhaustive()
    }
}

/// Connects to an HTTPS server, whose certificate must be valid for its host. A client certificate
/// is never shown: whoever publishes where a service is need not know who asks.
pub(crate) async fn connect_https(
    endpoint: &Endpoint,
    options: &TransportOptions,
    deadline: Deadline,
) -> Result<TlsStream<TcpStream>, TransportError> {
    let proxy = options.proxies().proxy_for(endpoint)?;
    let handshake = Handshake::new(&options.tls().anonymous()?, endpoint.host(), Inside::Http)?;
    let tcp = reach(endpoint, proxy, options, deadline).await?;
    let (stream, _channel) = handshake.run(tcp, &endpoint.peer(), deadline).await?;
    Ok(stream)
}

/// True when a server is reached through a proxy that looks its name up: then nobody on this
/// machine's network should hear the name.
pub(crate) fn is_resolved_by_proxy(endpoint: &Endpoint, options: &TransportOptions) -> bool {
    let proxy = options.proxies().proxy_for(endpoint);
    matches!(proxy, Ok(Some(proxy)) if proxy.kind() == ProxyKind::Socks5h)
}

/// Connects, and makes TLS where something is to be inside it. What takes most room has a box of its
/// own, here and above: of many connections that are being made, few need all of it at once.
async fn reach_inside(
    endpoint: &Endpoint,
    inside: Option<(&str, Inside)>,
    options: &TransportOptions,
    deadline: Deadline,
) -> Result<(Box<dyn ByteStream>, Channel), TransportError> {
    let proxy = options.proxies().proxy_for(endpoint)?;
    // Before anything goes out: what is wrong with the options needs no server to be seen.
    let handshake = inside.map(|(name, inside)| Handshake::new(options.tls(), name, inside));
    let handshake = handshake.transpose()?;
    let tcp = reach(endpoint, proxy, options, deadline).await?;
    let Some(handshake) = handshake else {
        let channel = if proxy.is_none() { channel_of(&tcp) } else { Channel::plaintext() };
        return Ok((Box::new(tcp), channel));
    };
    let (stream, channel) = Box::pin(handshake.run(tcp, &endpoint.peer(), deadline)).await?;
    Ok((Box::new(stream), channel))
}

/// Connects by TCP: directly, or through a proxy.
async fn reach(
    endpoint: &Endpoint,
    proxy: Option<&Proxy>,
    options: &TransportOptions,
    deadline: Deadline,
) -> Result<TcpStream, TransportError> {
    let target = endpoint.peer();
    let Some(proxy) = proxy else { return dial::dial(&target, options, deadline).await };
    tracing::debug!(%proxy, host = endpoint.host(), "through a proxy");
    let tcp = dial::dial(proxy.peer(), options, deadline).await?;
    Box::pin(tunnel::open(tcp, proxy, &target, options.resolver(), deadline)).await
}

fn channel_of(tcp: &TcpStream) -> Channel {
    let is_loopback = |address: SocketAddr| address.ip().to_canonical().is_loopback();
    if tcp.peer_addr().is_ok_and(is_loopback) { Channel::loopback() } else { Channel::plaintext() }
}

#[cfg(test)]
mod tests {
    #[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
    use epode_sasl::{Binding, BindingType};
    use futures_util::{SinkExt, StreamExt};
    use http::header;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, duplex},
        net::TcpListener,
    };
    use tokio_tungstenite::{
        accept_hdr_async,
        tungstenite::{
            Message,
            handshake::server::{Request, Response},
        },
    };

    use super::{
        fixtures::{endpoint, options},
        *,
    };

    const DOMAIN: &str = "example.org";

    async fn connect(
        endpoint: &Endpoint,
        options: &TransportOptions,
    ) -> Result<(Link, Channel), TransportError> {
        Link::connect(endpoint, DOMAIN, options, options.timeout(), false).await
    }

    async fn listen() -> (TcpListener, u16) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, port)
    }

    /// An XMPP WebSocket server that sends back the one message it gets, then waits for the close.
    async fn echo<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
        #[expect(clippy::result_large_err, reason = "the library asks for this type")]
        let answer = |_: &Request, mut response: Response| {
            let chosen = "xmpp".parse().unwrap();
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
            Ok(response)
        };
        let mut socket = accept_hdr_async(stream, answer).await.unwrap();
        let message = socket.next().await.unwrap().unwrap();
        socket.send(message).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            assert!(matches!(message, Message::Close(_)));
        }
    }

    async fn talk(mut link: Link) {
        link.send(b"<open/>").await.unwrap();
        assert_eq!(link.receive().await, Ok(Some(b"<open/>".to_vec())));
        link.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_direct_connection_to_this_machine_is_loopback() {
        let (listener, port) = listen().await;
        let client = async {
            let endpoint = endpoint(&format!("ws://127.0.0.1:{port}/ws"));
            let (link, channel) = connect(&endpoint, &options()).await.unwrap();
            assert_eq!(channel, Channel::loopback());
            talk(link).await;
        };
        let server = async { echo(listener.accept().await.unwrap().0).await };
        tokio::join!(client, server);
    }

    #[tokio::test]
    async fn a_connection_through_a_proxy_on_this_machine_is_not_loopback() {
        let (listener, port) = listen().await;
        let client = async {
            let proxy = format!("http://127.0.0.1:{port}").parse().unwrap();
            let options = options().with_proxies(ProxySettings::through(proxy));
            let endpoint = endpoint("ws://chat.example.org/ws");
            let (link, channel) = connect(&endpoint, &options).await.unwrap();
            assert_eq!(channel, Channel::plaintext());
            talk(link).await;
        };
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let request = fixtures::read_request(&mut stream).await;
            assert!(request.starts_with("CONNECT chat.example.org:80 HTTP/1.1\r\n"));
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            echo(stream).await;
        };
        tokio::join!(client, server);
    }

    #[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
    #[tokio::test]
    async fn tls_runs_inside_the_tunnel_of_a_proxy() {
        let (listener, port) = listen().await;
        let authority = certificates::Authority::new();
        let acceptor = authority.issue("chat.example.org", (2020, 2100)).acceptor(Some(&authority));
        let client = async {
            let proxy = format!("socks5h://127.0.0.1:{port}").parse().unwrap();
            let issued = authority.issue("client.example", (2020, 2100));
            let tls = TlsOptions::new()
                .with_ca_pem(authority.pem().as_bytes())
                .unwrap()
                .with_client_certificate_pem(
                    issued.certificate_pem().as_bytes(),
                    issued.key_pem().as_bytes(),
                )
                .unwrap();
            let options = options().with_proxies(ProxySettings::through(proxy)).with_tls(tls);
            let endpoint = endpoint("wss://chat.example.org/ws");
            let (link, channel) = connect(&endpoint, &options).await.unwrap();
            assert!(channel.is_encrypted() && channel.has_client_certificate());
            let kinds: Vec<_> = channel.bindings().iter().map(Binding::kind).collect();
            assert_eq!(kinds, BindingType::ALL);
            talk(link).await;
        };
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let mut heard = [0; 3 + 4 + 17 + 2];
            stream.read_exact(&mut heard[..3]).await.unwrap();
            stream.write_all(b"\x05\x00").await.unwrap();
            stream.read_exact(&mut heard[3..]).await.unwrap();
            assert_eq!(&heard[8..24], b"chat.example.org");
            stream.write_all(b"\x05\x00\x00\x01\0\0\0\0\0\0").await.unwrap();
            echo(acceptor.accept(stream).await.unwrap()).await;
        };
        tokio::join!(client, server);
    }

    #[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
    #[tokio::test]
    async fn direct_tls_is_for_the_domain_wherever_it_leads() {
        let authority = certificates::Authority::new();
        let tls = TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap();
        let options = options().with_tls(tls);
        for (host, accepted) in [(DOMAIN, true), ("localhost", false), ("127.0.0.1", false)] {
            let (listener, port) = listen().await;
            let issued = authority.issue(host, (2020, 2100));
            let client = async {
                let endpoint = endpoint(&format!("xmpps://localhost:{port}"));
                connect(&endpoint, &options).await
            };
            let server = async {
                let stream = listener.accept().await.unwrap().0;
                let config = issued.server(None, rustls::DEFAULT_VERSIONS);
                certificates::accept(config, stream).await
            };
            let (connected, served) = tokio::join!(client, server);
            if accepted {
                let (mut link, channel) = connected.unwrap();
                let (mut server, seen) = served.unwrap();
                assert!(link.is_stream() && channel.is_encrypted());
                assert_eq!(seen.name.as_deref(), Some(DOMAIN));
                assert_eq!(seen.offered, [b"xmpp-client".to_vec()]);
                assert_eq!(channel.bindings()[0].data(), seen.exported);
                server.write_all(b"<a>").await.unwrap();
                server.flush().await.unwrap();
                assert_eq!(link.receive().await, Ok(Some(b"<a>".to_vec())));
            } else {
                let peer = Peer::server("localhost".to_owned(), port);
                let error = connected.unwrap_err();
                let TransportError::Certificate { peer: whose, problem } = error else { panic!() };
                assert_eq!(whose, peer);
                assert!(matches!(problem, CertificateProblem::WrongName { .. }), "{problem}");
            }
        }
    }

    #[tokio::test]
    async fn tcp_is_plain_until_it_is_secured() {
        let (listener, port) = listen().await;
        let endpoint = endpoint(&format!("xmpp://127.0.0.1:{port}"));
        let options = options();
        let connecting = connect(&endpoint, &options);
        let (connected, accepted) = tokio::join!(connecting, listener.accept());
        let ((mut link, channel), (mut server, _)) = (connected.unwrap(), accepted.unwrap());
        assert!(link.is_stream());
        assert_eq!(channel, Channel::loopback());
        link.send(b"<starttls/>").await.unwrap();
        let mut heard = [0; 11];
        server.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"<starttls/>");
        drop(server);
        assert_eq!(link.receive().await, Ok(None));
        assert_eq!(link.close().await, Ok(()));
    }

    #[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
    #[tokio::test]
    async fn a_stream_of_the_callers_can_be_secured_and_a_websocket_not() {
        let authority = certificates::Authority::new();
        let tls = TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap();
        let options = options().with_tls(tls);
        let (ours, theirs) = duplex(64 * 1024);
        let (mut link, channel) = Link::over_stream(ours, Channel::plaintext(), DOMAIN, &options);
        assert!(link.is_stream());
        assert_eq!(channel, Channel::plaintext());
        let config = authority.issue(DOMAIN, (2020, 2100)).server(None, rustls::DEFAULT_VERSIONS);
        let securing = link.secure(DOMAIN, &options);
        let (secured, served) = tokio::join!(securing, certificates::accept(config, theirs));
        assert_eq!(secured.unwrap().channel.bindings()[0].data(), served.unwrap().1.exported);

        let (ours, theirs) = duplex(64 * 1024);
        let client = async {
            let endpoint = endpoint("ws://chat.example.org/ws");
            let channel = Channel::plaintext();
            let (mut link, _) = Link::over(ours, channel, &endpoint, &options).await.unwrap();
            assert!(!link.is_stream());
            let refused = link.secure(DOMAIN, &options).await;
            let peer = Peer::server("chat.example.org".to_owned(), 80);
            assert_eq!(refused, Err(TransportError::NotPlain { peer }));
            talk(link).await;
        };
        tokio::join!(client, echo(theirs));
    }

    #[tokio::test]
    async fn a_stream_of_the_callers_is_used_as_it_is() {
        let (ours, theirs) = duplex(64 * 1024);
        let client = async {
            let endpoint = endpoint("wss://chat.example.org/ws");
            let channel = Channel::encrypted();
            let (link, channel) = Link::over(ours, channel, &endpoint, &options()).await.unwrap();
            assert_eq!(channel, Channel::encrypted());
            talk(link).await;
        };
        tokio::join!(client, echo(theirs));

        let (ours, mut theirs) = duplex(64 * 1024);
        let (endpoint, options) = (endpoint("xmpps://example.org"), options());
        let channel = Channel::encrypted();
        let (mut link, _) = Link::over(ours, channel, &endpoint, &options).await.unwrap();
        assert!(link.is_stream());
        link.send(b"<a").await.unwrap();
        let mut heard = [0; 2];
        theirs.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"<a");
    }

    #[tokio::test]
    async fn a_refusal_names_host_and_port() {
        let (listener, port) = listen().await;
        let tried = vec![listener.local_addr().unwrap()];
        drop(listener);
        let url = format!("ws://127.0.0.1:{port}/ws");
        let error = connect(&endpoint(&url), &options()).await.unwrap_err();
        let peer = Peer::server("127.0.0.1".to_owned(), port);
        assert_eq!(error, TransportError::Refused { peer, tried });

        let proxy = format!("http://u:hunter2@127.0.0.1:{port}").parse().unwrap();
        let options = options().with_proxies(ProxySettings::through(proxy));
        let url = "ws://chat.example.org/ws";
        let error = connect(&endpoint(url), &options).await.unwrap_err();
        assert!(matches!(&error, TransportError::Refused { peer, .. } if peer.is_proxy()));
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn bad_settings_are_seen_before_anything_is_sent() {
        let settings = ProxySettings::from_lookup(|name| {
            (name == "https_proxy").then(|| "gopher://127.0.0.1".to_owned())
        });
        let options = options().with_proxies(settings);
        let url = "wss://chat.example.org/ws";
        let error = connect(&endpoint(url), &options).await.unwrap_err();
        let problem = ProxyUrlError::Scheme { scheme: "gopher".to_owned() };
        let expected = ProxyError { variable: "https_proxy", problem };
        assert_eq!(error, TransportError::ProxySetting(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn all_phases_share_one_deadline() {
        let (ours, _theirs) = duplex(64 * 1024);
        let options = options().with_timeout(Duration::from_secs(7));
        let begun = tokio::time::Instant::now();
        let endpoint = endpoint("wss://chat.example.org/ws");
        let error = Link::over(ours, Channel::encrypted(), &endpoint, &options).await.unwrap_err();
        let peer = Peer::server("chat.example.org".to_owned(), 443);
        assert_eq!(error, TransportError::TimedOut { phase: Phase::WebSocket, peer });
        assert_eq!(begun.elapsed().as_secs(), 7);
    }

    #[test]
    fn a_connection_can_be_made_on_any_thread() {
        fn is_send<T: Send>(_: &T) {}
        let (endpoint, options) = (endpoint("ws://localhost"), options());
        is_send(&connect(&endpoint, &options));
        fn link_is_send(link: &mut Link, options: &TransportOptions) {
            is_send(&link.secure(DOMAIN, options));
            is_send(&link.exchange(true));
            is_send(&link.close());
        }
        let _ = link_is_send;
    }
}
