//! From a URL to a connection that carries XMPP frames: lookup, proxy, TLS, WebSocket.
//! What the frames say is not looked at here; that is `epode_proto`'s part.

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
pub(crate) mod certificates;
mod dial;
mod endpoint;
mod error;
#[cfg(test)]
mod fixtures;
mod happy_eyeballs;
mod options;
mod proxy;
mod tls;
mod tunnel;
mod websocket;

use std::{fmt, future::poll_fn, net::SocketAddr, pin::pin, sync::Arc, task::Poll};

use epode_sasl::Channel;
use rustls::ClientConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::client::TlsStream;

pub(crate) use self::dial::Deadline;
pub use self::{
    endpoint::{Endpoint, EndpointError},
    error::{CertificateProblem, IoFailure, Peer, Phase, TransportError},
    options::{HeaderError, TransportOptions},
    proxy::{Proxy, ProxyError, ProxySettings, ProxyUrlError},
    tls::{TlsError, TlsOptions},
};
use self::{
    proxy::ProxyKind,
    websocket::{ByteStream, WebSocket},
};

/// What an exchange with the peer has come to.
pub(crate) enum News {
    /// All that was queued is out, or cannot go out.
    Sent(Result<(), TransportError>),
    /// A frame; nothing once the peer has closed the WebSocket in good order.
    Received(Result<Option<Vec<u8>>, TransportError>),
}

/// One connection to a server, carrying XMPP frames as WebSocket messages (RFC 7395).
pub(crate) struct Link(WebSocket);

impl Link {
    /// Connects, and says what protects the way: TLS, the loopback interface, or nothing.
    ///
    /// Only a direct connection counts as loopback, and only when the address at its other end is
    /// one; a proxy at such an address leads anywhere.
    pub(crate) async fn connect(
        endpoint: &Endpoint,
        options: &TransportOptions,
    ) -> Result<(Self, Channel), TransportError> {
        let deadline = Deadline::after(options.timeout());
        let proxy = options.proxies().proxy_for(endpoint)?;
        // Before anything goes out: what is wrong with the options needs no server to be seen.
        let config = endpoint.is_secure().then(|| options.tls().client_config()).transpose()?;
        let tcp = reach(endpoint, proxy, options, deadline).await?;
        let Some(config) = config else {
            let channel = if proxy.is_none() { channel_of(&tcp) } else { Channel::plaintext() };
            return Self::finish(Box::new(tcp), channel, endpoint, options, deadline).await;
        };
        let mut channel = Channel::encrypted();
        if config.client_auth_cert_resolver.has_certs() {
            channel = channel.with_client_certificate();
        }
        let stream = secure(tcp, endpoint, config, deadline).await?;
        Self::finish(Box::new(stream), channel, endpoint, options, deadline).await
    }

    /// Opens a WebSocket over a stream of the caller's, who vouches for what protects it.
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
        Self::finish(Box::new(stream), channel, endpoint, options, deadline).await
    }

    async fn finish(
        stream: Box<dyn ByteStream>,
        channel: Channel,
        endpoint: &Endpoint,
        options: &TransportOptions,
        deadline: Deadline,
    ) -> Result<(Self, Channel), TransportError> {
        let socket = WebSocket::open(stream, endpoint, options, deadline).await?;
        Ok((Self(socket), channel))
    }

    /// Queues one frame: UTF-8 text, one element. [`exchange`](Self::exchange) sends it.
    ///
    /// # Errors
    ///
    /// [`TransportError`] if the WebSocket is closed.
    pub(crate) fn queue(&mut self, frame: &[u8]) -> Result<(), TransportError> {
        self.0.queue(frame)
    }

    /// True while something that was queued is not out.
    pub(crate) fn is_sending(&self) -> bool {
        self.0.is_sending()
    }

    /// Sends what was queued and, if told to, listens meanwhile: a peer that does both by turns,
    /// as most servers do, would otherwise wait for us as we wait for it.
    ///
    /// There is no deadline here, for a quiet server is none that is gone. May be dropped and
    /// called again: no frame is lost, and none goes out in part.
    pub(crate) async fn exchange(&mut self, listens: bool) -> News {
        poll_fn(|cx| {
            if self.0.is_sending()
                && let Poll::Ready(sent) = pin!(self.0.send_queued()).poll(cx)
            {
                return Poll::Ready(News::Sent(sent));
            }
            if !listens {
                return Poll::Pending;
            }
            pin!(self.0.receive()).poll(cx).map(News::Received)
        })
        .await
    }

    #[cfg(test)]
    async fn send(&mut self, frame: &[u8]) -> Result<(), TransportError> {
        self.0.send(frame).await
    }

    #[cfg(test)]
    async fn receive(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        self.0.receive().await
    }

    /// Closes the WebSocket and the connection under it, in five seconds at most. Frames that
    /// still arrive are dropped.
    pub(crate) async fn close(&mut self) -> Result<(), TransportError> {
        self.0.close().await
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
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
    let config = options.tls().anonymous_http_config()?;
    let tcp = reach(endpoint, proxy, options, deadline).await?;
    secure(tcp, endpoint, config, deadline).await
}

/// True when a server is reached through a proxy that looks its name up: then nobody on this
/// machine's network should hear the name.
pub(crate) fn is_resolved_by_proxy(endpoint: &Endpoint, options: &TransportOptions) -> bool {
    let proxy = options.proxies().proxy_for(endpoint);
    matches!(proxy, Ok(Some(proxy)) if proxy.kind() == ProxyKind::Socks5h)
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
    tunnel::open(tcp, proxy, &target, options.resolver(), deadline).await
}

async fn secure(
    tcp: TcpStream,
    endpoint: &Endpoint,
    config: Arc<ClientConfig>,
    deadline: Deadline,
) -> Result<TlsStream<TcpStream>, TransportError> {
    let target = endpoint.peer();
    let handshake = tls::handshake(tcp, &target, config);
    let stream = deadline.bound(Phase::Tls, &target, handshake).await?;
    let version = stream.get_ref().1.protocol_version();
    tracing::debug!(host = endpoint.host(), ?version, "TLS handshake done");
    Ok(stream)
}

fn channel_of(tcp: &TcpStream) -> Channel {
    let is_loopback = |address: SocketAddr| address.ip().to_canonical().is_loopback();
    if tcp.peer_addr().is_ok_and(is_loopback) { Channel::loopback() } else { Channel::plaintext() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::{SinkExt, StreamExt};
    use http::header;
    use tokio::{
        io::{AsyncWriteExt, duplex},
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
            let (link, channel) = Link::connect(&endpoint, &options()).await.unwrap();
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
            let (link, channel) = Link::connect(&endpoint, &options).await.unwrap();
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
            let (link, channel) = Link::connect(&endpoint, &options).await.unwrap();
            assert_eq!(channel, Channel::encrypted().with_client_certificate());
            talk(link).await;
        };
        let server = async {
            let mut stream = listener.accept().await.unwrap().0;
            let mut heard = [0; 3 + 4 + 17 + 2];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut heard[..3]).await.unwrap();
            stream.write_all(b"\x05\x00").await.unwrap();
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut heard[3..]).await.unwrap();
            assert_eq!(&heard[8..24], b"chat.example.org");
            stream.write_all(b"\x05\x00\x00\x01\0\0\0\0\0\0").await.unwrap();
            echo(acceptor.accept(stream).await.unwrap()).await;
        };
        tokio::join!(client, server);
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
    }

    #[tokio::test]
    async fn a_refusal_names_host_and_port() {
        let (listener, port) = listen().await;
        let tried = vec![listener.local_addr().unwrap()];
        drop(listener);
        let url = format!("ws://127.0.0.1:{port}/ws");
        let error = Link::connect(&endpoint(&url), &options()).await.unwrap_err();
        let peer = Peer::server("127.0.0.1".to_owned(), port);
        assert_eq!(error, TransportError::Refused { peer, tried });

        let proxy = format!("http://u:hunter2@127.0.0.1:{port}").parse().unwrap();
        let options = options().with_proxies(ProxySettings::through(proxy));
        let url = "ws://chat.example.org/ws";
        let error = Link::connect(&endpoint(url), &options).await.unwrap_err();
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
        let error = Link::connect(&endpoint(url), &options).await.unwrap_err();
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
        is_send(&Link::connect(&endpoint, &options));
        fn link_is_send(link: &mut Link) {
            is_send(&link.exchange(true));
            is_send(&link.close());
        }
        let _ = link_is_send;
    }
}
