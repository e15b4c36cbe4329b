//! The WebSocket protocol with the XMPP subprotocol (RFC 6455, RFC 7395, section 3.1).
//! What the messages mean is for `epode_proto` to say.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::{SinkExt, StreamExt};
use http::{HeaderMap, Request, header};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf},
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        self, Message,
        error::{CapacityError, ProtocolError, SubProtocolError},
        handshake::client::generate_key,
        protocol::{
            CloseFrame, WebSocketConfig,
            frame::{
                FrameHeader,
                coding::{CloseCode, Data, OpCode},
            },
        },
    },
};
use zeroize::Zeroizing;

use super::{
    byte_stream::{ByteStream, Outgoing},
    dial::Deadline,
    endpoint::Endpoint,
    error::TransportError,
    options::TransportOptions,
    peer::{Peer, Phase},
    tls,
};

/// An open WebSocket.
///
/// What is sent is masked in a buffer of ours that is wiped once it is out, and never passes
/// through the WebSocket library, which would copy it and show it in its logs at the level
/// `trace`. What TLS and the system do with it afterwards is theirs. What is received passes
/// through the library and is not wiped.
pub(super) struct WebSocket {
    socket: WebSocketStream<Outbox>,
    peer: Peer,
    state: State,
    controls: ControlFrames,
    /// Masked messages that are still to go to the socket.
    queue: VecDeque<Zeroizing<Vec<u8>>>,
    is_sending: bool,
    max_message: usize,
    timeout: Duration,
}

impl WebSocket {
    /// Runs the handshake over a stream that leads to `endpoint`.
    pub(super) async fn open(
        stream: Box<dyn ByteStream>,
        endpoint: &Endpoint,
        options: &TransportOptions,
        deadline: Deadline,
    ) -> Result<Self, TransportError> {
        let peer = endpoint.peer();
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .write_buffer_size(0)
            .max_write_buffer_size(MAX_CONTROL_BUFFER)
            .max_message_size(Some(options.max_message()))
            .max_frame_size(Some(options.max_message()));
        let request = request(endpoint, options.headers());
        let outbox = Outbox::new(stream, read_allowance(options.max_message()));
        let opening = client_async_with_config(request, outbox, Some(config));
        let opened = async {
            let (socket, response) =
                opening.await.map_err(|error| handshake_error(endpoint, error))?;
            check_headers(endpoint, response.headers())?;
            Ok(socket)
        };
        let socket = deadline.bound(Phase::WebSocket, &peer, opened).await?;
        tracing::debug!(host = endpoint.host(), port = endpoint.port(), "WebSocket open");
        Ok(Self {
            socket,
            peer,
            state: State::Open,
            controls: ControlFrames::default(),
            queue: VecDeque::new(),
            is_sending: false,
            max_message: options.max_message(),
            timeout: options.timeout(),
        })
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Queues one text message; [`send_queued`](Self::send_queued) sends it.
    pub(super) fn queue(&mut self, text: &[u8]) -> Result<(), TransportError> {
        debug_assert!(str::from_utf8(text).is_ok(), "XMPP is sent as UTF-8");
        if self.state != State::Open {
            return Err(TransportError::Closed { peer: self.peer.clone() });
        }
        self.queue.push_back(text_frame(text)?);
        self.is_sending = true;
        Ok(())
    }

    /// True while something that was queued is not out.
    pub(super) fn is_sending(&self) -> bool {
        self.is_sending
    }

    /// How many bytes have gone out.
    pub(super) fn sent(&self) -> u64 {
        self.socket.get_ref().outgoing.total()
    }

    /// Sends all that was queued. May be dropped and called again: a message goes out whole.
    pub(super) async fn send_queued(&mut self) -> Result<(), TransportError> {
        loop {
            // What the library has begun to write (a pong) must be out before anything else.
            self.flush().await?;
            match self.queue.pop_front() {
                Some(message) => self.socket.get_mut().outgoing.queue(message),
                None => {
                    self.is_sending = false;
                    return Ok(());
                }
            }
        }
    }

    /// Sends one text message, in the time that the options allow.
    ///
    /// When this is dropped before it is done, the message goes out whole with what is sent next.
    #[cfg(test)]
    pub(super) async fn send(&mut self, text: &[u8]) -> Result<(), TransportError> {
        self.queue(text)?;
        let (peer, deadline) = (self.peer.clone(), Deadline::after(self.timeout));
        deadline.bound(Phase::Send, &peer, self.send_queued()).await
    }

    /// Waits for the next text message; `None` once the peer has closed the WebSocket.
    ///
    /// May be dropped and called again; no message is lost. After an error there is nothing more
    /// to receive.
    pub(super) async fn receive(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        loop {
            if self.state != State::Open {
                return Ok(None);
            }
            let message = match self.socket.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Err(self.read_error(error)),
                None => {
                    self.state = State::Closed;
                    return Ok(None);
                }
            };
            self.socket.get_mut().allowance = read_allowance(self.max_message);
            match message {
                Message::Text(text) => {
                    self.controls = ControlFrames::default();
                    return Ok(Some(text.as_bytes().to_vec()));
                }
                Message::Ping(_) | Message::Pong(_) if self.controls.are_too_many() => {
                    let peer = self.fail(CloseCode::Policy);
                    return Err(TransportError::ControlFlood { peer, limit: MAX_CONTROLS });
                }
                Message::Ping(_) | Message::Pong(_) => {}
                Message::Close(frame) => {
                    self.state = State::Closed;
                    self.acknowledge(frame).await;
                    return Ok(None);
                }
                // The library gives no raw frames to readers.
                Message::Binary(_) | Message::Frame(_) => {
                    let peer = self.fail(CloseCode::Unsupported);
                    return Err(TransportError::BinaryFrame { peer });
                }
            }
        }
    }

    /// Closes the WebSocket and the connection. Messages that still arrive are dropped.
    pub(super) async fn close(&mut self) -> Result<(), TransportError> {
        let peer = self.peer.clone();
        let code = match self.state {
            State::Closed => None,
            State::Failed(code) => Some(code),
            State::Open => Some(CloseCode::Normal),
        };
        self.state = State::Closed;
        let deadline = Deadline::after(self.timeout.min(CLOSE_WAIT));
        let closing = async {
            if let Some(code) = code {
                if code == CloseCode::Normal {
                    self.send_queued().await?;
                }
                let frame = CloseFrame { code, reason: "".into() };
                let sent = self.socket.close(Some(frame)).await;
                sent.map_err(|error| self.write_error(error, Phase::Close))?;
                if code == CloseCode::Normal {
                    while let Some(Ok(message)) = self.socket.next().await {
                        if message.is_close() {
                            break;
                        }
                    }
                }
            }
            // Whoever closes first finds the other end gone; that is no failure.
            let _ = self.socket.get_mut().shutdown().await;
            Ok(())
        };
        deadline.bound(Phase::Close, &peer, closing).await
    }

    async fn flush(&mut self) -> Result<(), TransportError> {
        let flushed = self.socket.flush().await;
        flushed.map_err(|error| self.write_error(error, Phase::Send))
    }

    /// Lets the library's answer to a close frame out, which needs no more than trying.
    async fn acknowledge(&mut self, frame: Option<CloseFrame>) {
        let code = frame.as_ref().map(|frame| u16::from(frame.code));
        tracing::debug!(host = self.peer.host(), code, "closed by the server");
        let peer = self.peer.clone();
        let deadline = Deadline::after(self.timeout.min(CLOSE_WAIT));
        let _ = deadline.bound(Phase::Close, &peer, self.flush()).await;
    }

    fn fail(&mut self, code: CloseCode) -> Peer {
        self.state = State::Failed(code);
        self.peer.clone()
    }

    fn read_error(&mut self, error: tungstenite::Error) -> TransportError {
        use tungstenite::Error;

        let limit = self.max_message;
        match error {
            Error::Io(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
                TransportError::MessageTooLarge { peer: self.fail(CloseCode::Size), limit }
            }
            Error::Io(error) => {
                self.state = State::Closed;
                tls::broken(&self.peer, Phase::Receive, &error)
            }
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                self.state = State::Closed;
                TransportError::Dropped { peer: self.peer.clone(), phase: Phase::Receive }
            }
            Error::Capacity(_) => {
                TransportError::MessageTooLarge { peer: self.fail(CloseCode::Size), limit }
            }
            Error::Utf8(_) => TransportError::NotUtf8 { peer: self.fail(CloseCode::Invalid) },
            error => {
                // Their texts hold nothing that was received.
                let reason = match error {
                    Error::Protocol(error) => error.to_string(),
                    error => error.to_string(),
                };
                TransportError::WebSocket { peer: self.fail(CloseCode::Protocol), reason }
            }
        }
    }

    fn write_error(&self, error: tungstenite::Error, phase: Phase) -> TransportError {
        match error {
            tungstenite::Error::Io(error) => tls::broken(&self.peer, phase, &error),
            tungstenite::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                TransportError::Dropped { peer: self.peer.clone(), phase }
            }
            _ => TransportError::Closed { peer: self.peer.clone() },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The peer broke a rule; this is what `close` tells it.
    Failed(CloseCode),
    Closed,
}

/// Pings and pongs since the last message, in a window of time: a server that only ever pings, once
/// a minute, is a quiet one; one that does nothing else as fast as it can is not.
#[derive(Default)]
struct ControlFrames {
    count: u32,
    since: Option<Instant>,
}

impl ControlFrames {
    fn are_too_many(&mut self) -> bool {
        let now = Instant::now();
        match self.since {
            Some(since) if now.duration_since(since) < CONTROL_WINDOW => self.count += 1,
            _ => *self = Self { count: 1, since: Some(now) },
        }
        self.count > MAX_CONTROLS
    }
}

/// The stream under the WebSocket library, with a message of ours that goes out before what the
/// library writes next, and a limit on what may come in without making a message.
struct Outbox {
    stream: Box<dyn ByteStream>,
    outgoing: Outgoing,
    /// How many bytes may still be read: the library counts neither frames nor empty parts.
    allowance: usize,
}

impl Outbox {
    fn new(stream: Box<dyn ByteStream>, allowance: usize) -> Self {
        Self { stream, outgoing: Outgoing::default(), allowance }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.poll_write(&mut self.stream, cx)
    }
}

impl AsyncRead for Outbox {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.allowance == 0 {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = buffer.filled().len() - before;
        self.allowance = self.allowance.saturating_sub(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Outbox {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_message(cx))?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_message(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_message(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// What may be read for one message: twice its limit, and some more, for headers of its parts.
fn read_allowance(max_message: usize) -> usize {
    max_message.saturating_mul(2).saturating_add(READ_MARGIN)
}

/// A whole text message in one masked frame (RFC 6455, section 5.2).
fn text_frame(text: &[u8]) -> Result<Zeroizing<Vec<u8>>, TransportError> {
    let mut mask = [0; 4];
    getrandom::fill(&mut mask).map_err(|_| TransportError::NoRandomness)?;
    let header = FrameHeader {
        is_final: true,
        opcode: OpCode::Data(Data::Text),
        mask: Some(mask),
        ..FrameHeader::default()
    };
    // With room for everything, so that growing leaves no copy behind.
    let mut frame = Zeroizing::new(Vec::with_capacity(MAX_FRAME_HEADER + text.len()));
    header.format(text.len() as u64, &mut *frame).expect("a vector takes all that is written");
    frame.extend(text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    Ok(frame)
}

fn request(endpoint: &Endpoint, headers: &HeaderMap) -> Request<()> {
    let mut request = Request::builder()
        .uri(endpoint.to_string())
        .header(header::HOST, endpoint.authority())
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, generate_key())
        .header(header::SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL)
        .body(())
        .expect("an endpoint's parts were checked when it was made");
    request.headers_mut().extend(headers.clone());
    request
}

/// What the library leaves unchecked: one subprotocol, and no extension, for none was offered.
fn check_headers(endpoint: &Endpoint, headers: &HeaderMap) -> Result<(), TransportError> {
    let url = endpoint.redacted();
    let mut subprotocols = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    match (subprotocols.next(), subprotocols.next()) {
        (None, _) => return Err(TransportError::NoSubprotocol { url }),
        (Some(chosen), None) if chosen == SUBPROTOCOL => {}
        _ => return Err(TransportError::WrongSubprotocol { url }),
    }
    if headers.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
        let reason = "it uses a WebSocket extension that was not offered".to_owned();
        return Err(TransportError::NotWebSocket { url, reason });
    }
    Ok(())
}

fn handshake_error(endpoint: &Endpoint, error: tungstenite::Error) -> TransportError {
    use tungstenite::Error;

    let url = endpoint.redacted();
    match error {
        Error::Io(error) => tls::broken(&endpoint.peer(), Phase::WebSocket, &error),
        Error::Http(response) => {
            let status = response.status().as_u16();
            let location = response.headers().get(header::LOCATION);
            let location = location.map(|location| printable(location.as_bytes()));
            match status {
                300..=399 => TransportError::Redirected { url, status, location },
                _ => TransportError::HttpStatus { url, status },
            }
        }
        Error::Protocol(ProtocolError::SecWebSocketSubProtocolError(error)) => match error {
            SubProtocolError::NoSubProtocol => TransportError::NoSubprotocol { url },
            _ => TransportError::WrongSubprotocol { url },
        },
        Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            TransportError::Dropped { peer: endpoint.peer(), phase: Phase::WebSocket }
        }
        Error::Protocol(ProtocolError::HttparseError(_)) => {
            TransportError::NotWebSocket { url, reason: "it does not speak HTTP".to_owned() }
        }
        Error::AttackAttempt | Error::Capacity(CapacityError::TooManyHeaders) => {
            TransportError::NotWebSocket { url, reason: "its answer does not end".to_owned() }
        }
        Error::Protocol(error) => TransportError::NotWebSocket { url, reason: error.to_string() },
        other => {
            let reason = printable(other.to_string().as_bytes());
            TransportError::NotWebSocket { url, reason }
        }
    }
}

/// What a peer wrote, made fit to be shown: control characters escaped, cut off at 256 characters.
fn printable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(MAX_SHOWN).flat_map(char::escape_debug).collect()
}

/// RFC 7395, section 3.1.
const SUBPROTOCOL: &str = "xmpp";

/// How many bytes are read at once.
const READ_BUFFER: usize = 8 * 1024;
/// What may be read in excess of twice the longest message, in bytes; more than the library takes
/// for the head of the opening answer.
const READ_MARGIN: usize = 128 * 1024;
/// Pongs and close frames that may wait for a peer that does not read, in bytes.
const MAX_CONTROL_BUFFER: usize = 1024;
/// The longest header of a frame, mask included (RFC 6455, section 5.2).
const MAX_FRAME_HEADER: usize = 14;

/// So many pings and pongs may come in [`CONTROL_WINDOW`] without a message among them.
const MAX_CONTROLS: u32 = 100;
const CONTROL_WINDOW: Duration = Duration::from_secs(10);

/// How long a closing handshake may take, unless the time-out is shorter.
const CLOSE_WAIT: Duration = Duration::from_secs(5);

const MAX_SHOWN: usize = 256;

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use tokio::io::{AsyncReadExt, DuplexStream, duplex};
    use tokio_tungstenite::{
        accept_hdr_async,
        tungstenite::handshake::{
            derive_accept_key,
            server::{Request as ServerRequest, Response as ServerResponse},
        },
    };

    use super::{
        super::fixtures::{endpoint, options, read_request},
        *,
    };

    const URL: &str = "ws://chat.example.org/ws?token=hunter2";
    const SHOWN: &str = "ws://chat.example.org/ws";

    fn peer() -> Peer {
        Peer::server("chat.example.org".to_owned(), 80)
    }

    fn url() -> String {
        SHOWN.to_owned()
    }

    async fn open(stream: DuplexStream) -> Result<WebSocket, TransportError> {
        let deadline = Deadline::after(options().timeout());
        WebSocket::open(Box::new(stream), &endpoint(URL), &options(), deadline).await
    }

    /// A server that follows the protocol, as far as the library under both ends knows it.
    async fn honest(stream: DuplexStream) -> WebSocketStream<DuplexStream> {
        #[expect(clippy::result_large_err, reason = "the library asks for this type")]
        let answer = |request: &ServerRequest, mut response: ServerResponse| {
            assert_eq!(request.headers()[header::SEC_WEBSOCKET_PROTOCOL], SUBPROTOCOL);
            let chosen = SUBPROTOCOL.parse().unwrap();
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
            Ok(response)
        };
        accept_hdr_async(stream, answer).await.unwrap()
    }

    async fn pair() -> (WebSocket, WebSocketStream<DuplexStream>) {
        let (ours, theirs) = duplex(1024 * 1024);
        let (client, server) = tokio::join!(open(ours), honest(theirs));
        (client.unwrap(), server)
    }

    /// An open WebSocket, and the bare stream of a server that may send what it likes.
    async fn raw_pair() -> (WebSocket, DuplexStream) {
        let (client, server) = pair().await;
        (client, server.into_inner())
    }

    /// Opens a WebSocket where the request is answered by these bytes and the end of the stream.
    async fn answered(answer: impl AsRef<[u8]>) -> TransportError {
        let (ours, mut theirs) = duplex(1024 * 1024);
        let server = async {
            read_request(&mut theirs).await;
            // A client that has seen enough does not read on.
            let _ = theirs.write_all(answer.as_ref()).await;
            let _ = theirs.shutdown().await;
        };
        let (opened, ()) = tokio::join!(open(ours), server);
        opened.err().expect("no such answer opens a WebSocket")
    }

    /// Answers with 101 and the right key, and with these further header lines.
    async fn upgraded(headers: &str) -> TransportError {
        let (ours, mut theirs) = duplex(64 * 1024);
        let server = async {
            let request = read_request(&mut theirs).await;
            let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
            let accept = derive_accept_key(key.unwrap().as_bytes());
            let answer = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n{headers}\r\n"
            );
            theirs.write_all(answer.as_bytes()).await.unwrap();
        };
        let (opened, ()) = tokio::join!(open(ours), server);
        opened.err().expect("such headers open no WebSocket")
    }

    #[tokio::test]
    async fn messages_go_both_ways() {
        let (mut client, mut server) = pair().await;
        for length in [0, 125, 126, 65535, 65536, 200_000] {
            let text = "ä".repeat(length / 2);
            client.send(text.as_bytes()).await.unwrap();
            assert_eq!(server.next().await.unwrap().unwrap(), Message::text(text.clone()));
            server.send(Message::text(text.clone())).await.unwrap();
            assert_eq!(client.receive().await, Ok(Some(text.into_bytes())));
        }
    }

    #[tokio::test]
    async fn the_request_is_that_of_rfc_7395() {
        let (ours, mut theirs) = duplex(64 * 1024);
        let options = options().with_header("Origin", "https://example.org").unwrap();
        let endpoint = endpoint("ws://[::1]:5280/ws?a=b");
        let deadline = Deadline::after(options.timeout());
        let opening = WebSocket::open(Box::new(ours), &endpoint, &options, deadline);
        let server = async {
            let request = read_request(&mut theirs).await;
            drop(theirs);
            request
        };
        let (_, request) = tokio::join!(opening, server);
        let lines: Vec<_> = request.lines().collect();
        assert_eq!(lines[0], "GET /ws?a=b HTTP/1.1");
        for line in [
            "Host: [::1]:5280",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Protocol: xmpp",
            "Origin: https://example.org",
        ] {
            assert!(lines.contains(&line), "{line} in {request}");
        }
    }

    #[tokio::test]
    async fn only_the_subprotocol_xmpp_is_accepted() {
        let none = TransportError::NoSubprotocol { url: url() };
        let wrong = TransportError::WrongSubprotocol { url: url() };
        assert_eq!(upgraded("").await, none);
        assert_eq!(upgraded("Sec-WebSocket-Protocol: mqtt\r\n").await, wrong);
        assert_eq!(upgraded("Sec-WebSocket-Protocol: XMPP\r\n").await, wrong);
        assert_eq!(upgraded("Sec-WebSocket-Protocol: xmpp, mqtt\r\n").await, wrong);
        let twice = "Sec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Protocol: mqtt\r\n";
        assert_eq!(upgraded(twice).await, wrong);
    }

    #[tokio::test]
    async fn an_extension_that_was_not_offered_is_refused() {
        let headers =
            "Sec-WebSocket-Protocol: xmpp\r\nSec-WebSocket-Extensions: permessage-deflate\r\n";
        let reason = "it uses a WebSocket extension that was not offered".to_owned();
        assert_eq!(upgraded(headers).await, TransportError::NotWebSocket { url: url(), reason });
    }

    #[tokio::test]
    async fn redirects_are_refused_and_named() {
        for (answer, status, location) in [
            (
                "HTTP/1.1 302 Found\r\nLocation: ws://evil.example/\r\n\r\n",
                302,
                Some("ws://evil.example/"),
            ),
            ("HTTP/1.1 301 Moved\r\nLocation: /other\r\n\r\n", 301, Some("/other")),
            ("HTTP/1.1 308 Moved\r\nLocation: a\tb\r\n\r\n", 308, Some("a\\tb")),
            ("HTTP/1.1 304 Not Modified\r\n\r\n", 304, None),
        ] {
            let location = location.map(str::to_owned);
            let expected = TransportError::Redirected { url: url(), status, location };
            assert_eq!(answered(answer).await, expected);
        }
        let long = format!("HTTP/1.1 302 Found\r\nLocation: /{}\r\n\r\n", "x".repeat(1000));
        let location = Some(format!("/{}", "x".repeat(MAX_SHOWN - 1)));
        let expected = TransportError::Redirected { url: url(), status: 302, location };
        assert_eq!(answered(long).await, expected);
    }

    #[tokio::test]
    async fn a_hundred_redirects_are_one() {
        // Each would lead to the next; the first ends it, and nothing more is asked for.
        let (ours, mut theirs) = duplex(64 * 1024);
        let server = async {
            let mut requests = 0;
            for _ in 0..100 {
                read_request(&mut theirs).await;
                requests += 1;
                let answer = b"HTTP/1.1 307 Again\r\nLocation: ws://chat.example.org/2\r\n\r\n";
                theirs.write_all(answer).await.unwrap();
                if theirs.read_u8().await.is_err() {
                    break;
                }
            }
            requests
        };
        let (opened, requests) = tokio::join!(open(ours), server);
        assert!(matches!(opened.err(), Some(TransportError::Redirected { status: 307, .. })));
        assert_eq!(requests, 1);
    }

    #[tokio::test]
    async fn other_statuses_are_named() {
        for status in [200, 400, 401, 403, 404, 426, 500, 503] {
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 3\r\n\r\nabc");
            let expected = TransportError::HttpStatus { url: url(), status };
            assert_eq!(answered(answer).await, expected);
        }
    }

    #[tokio::test]
    async fn what_is_no_websocket_service_is_named() {
        let not =
            |reason: &str| TransportError::NotWebSocket { url: url(), reason: reason.to_owned() };
        for answer in [
            &b"220 mail.example ESMTP\r\n"[..],
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:client'>",
            b"\x15\x03\x01\x00\x02\x02\x46",
            b"SSH-2.0-x\r\n",
        ] {
            assert_eq!(answered(answer).await, not("it does not speak HTTP"), "{answer:?}");
        }
        let endless = format!("HTTP/1.1 101 X\r\nX: {}", "x".repeat(100_000));
        assert_eq!(answered(endless).await, not("its answer does not end"));
        let many = format!("HTTP/1.1 101 X\r\n{}\r\n", "X: x\r\n".repeat(1000));
        assert_eq!(answered(many).await, not("its answer does not end"));
        let stale = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        let mismatch = "Key mismatch in \"Sec-WebSocket-Accept\" header";
        assert_eq!(answered(stale).await, not(mismatch));

        let dropped = TransportError::Dropped { peer: peer(), phase: Phase::WebSocket };
        assert_eq!(answered("").await, dropped);
        assert_eq!(answered("HTTP/1.1 101 Switching").await, dropped);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_not_waited_for_for_ever() {
        let (ours, _theirs) = duplex(64 * 1024);
        let expected = TransportError::TimedOut { phase: Phase::WebSocket, peer: peer() };
        assert_eq!(open(ours).await.err(), Some(expected));
    }

    #[tokio::test]
    async fn a_binary_frame_is_refused_and_the_server_told() {
        let (mut client, mut server) = pair().await;
        server.send(Message::binary(b"<open/>".to_vec())).await.unwrap();
        assert_eq!(client.receive().await, Err(TransportError::BinaryFrame { peer: peer() }));
        let closed = Err(TransportError::Closed { peer: peer() });
        assert_eq!(client.send(b"<close/>").await, closed);
        let told = async { server.next().await.unwrap().unwrap() };
        let (result, told) = tokio::join!(client.close(), told);
        assert_eq!(result, Ok(()));
        let frame = CloseFrame { code: CloseCode::Unsupported, reason: "".into() };
        assert_eq!(told, Message::Close(Some(frame)));
    }

    #[tokio::test]
    async fn pings_are_answered_and_a_flood_of_them_refused() {
        let (mut client, mut server) = pair().await;
        for _ in 0..MAX_CONTROLS {
            server.send(Message::Ping("x".into())).await.unwrap();
        }
        server.send(Message::text("<a/>")).await.unwrap();
        assert_eq!(client.receive().await, Ok(Some(b"<a/>".to_vec())));
        assert_eq!(server.next().await.unwrap().unwrap(), Message::Pong("x".into()));

        for _ in 0..=MAX_CONTROLS {
            server.send(Message::Pong("x".into())).await.unwrap();
        }
        let expected = TransportError::ControlFlood { peer: peer(), limit: MAX_CONTROLS };
        assert_eq!(client.receive().await, Err(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn pings_without_haste_are_no_flood() {
        let (mut client, mut server) = pair().await;
        let pinging = async {
            for _ in 0..5 * MAX_CONTROLS {
                server.send(Message::Ping("x".into())).await.unwrap();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            server.send(Message::text("<a/>")).await.unwrap();
        };
        let (received, ()) = tokio::join!(client.receive(), pinging);
        assert_eq!(received, Ok(Some(b"<a/>".to_vec())));
    }

    #[tokio::test]
    async fn a_server_that_pings_and_never_reads_fills_no_buffer() {
        let (ours, theirs) = duplex(4096);
        let (client, server) = tokio::join!(open(ours), honest(theirs));
        let (mut client, mut server) = (client.unwrap(), server.into_inner());
        // 90 pings of 125 bytes: the pongs do not fit into the pipe, and nobody takes them out.
        let mut ping = vec![0x89, 125];
        ping.resize(127, b'x');
        let pinging = async {
            for _ in 0..90 {
                server.write_all(&ping).await.unwrap();
            }
            server.write_all(b"\x81\x04<a/>").await.unwrap();
        };
        let (received, ()) = tokio::join!(client.receive(), pinging);
        assert_eq!(received, Ok(Some(b"<a/>".to_vec())));
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_refused_by_its_announcement() {
        let limit = TransportOptions::DEFAULT_MAX_MESSAGE;
        let expected = TransportError::MessageTooLarge { peer: peer(), limit };

        let (mut client, mut server) = raw_pair().await;
        // One frame that claims to be 2^62 bytes long, and has none.
        server.write_all(b"\x81\x7f\x40\0\0\0\0\0\0\0").await.unwrap();
        assert_eq!(client.receive().await, Err(expected.clone()));

        let (mut client, mut server) = raw_pair().await;
        // Parts that are small enough, and too many.
        let mut part = b"\x01\x7f\0\0\0\0\0\x01\0\0".to_vec();
        part.resize(part.len() + 0x10000, b'x');
        for _ in 0..5 {
            server.write_all(&part).await.unwrap();
            part[0] = 0;
        }
        assert_eq!(client.receive().await, Err(expected));
    }

    #[tokio::test]
    async fn a_message_in_endless_empty_parts_is_refused() {
        let (mut client, mut server) = raw_pair().await;
        let flooding = async {
            server.write_all(b"\x01\x01<").await.unwrap();
            // Until the client has hung up.
            while server.write_all(&[0; 4096]).await.is_ok() {}
        };
        let receiving = async {
            let received = client.receive().await;
            drop(client);
            received
        };
        let (received, ()) = tokio::join!(receiving, flooding);
        let limit = TransportOptions::DEFAULT_MAX_MESSAGE;
        assert_eq!(received, Err(TransportError::MessageTooLarge { peer: peer(), limit }));
    }

    #[tokio::test]
    async fn a_message_as_long_as_the_limit_is_taken() {
        let (mut client, mut server) = pair().await;
        let text = "x".repeat(TransportOptions::DEFAULT_MAX_MESSAGE);
        server.send(Message::text(text.clone())).await.unwrap();
        assert_eq!(client.receive().await, Ok(Some(text.into_bytes())));
    }

    #[tokio::test]
    async fn each_broken_rule_has_its_error() {
        let broken =
            |reason: &str| TransportError::WebSocket { peer: peer(), reason: reason.to_owned() };
        for (bytes, error) in [
            (&b"\x81\x02\xc3\x28"[..], TransportError::NotUtf8 { peer: peer() }),
            (b"\x01\x01\xc3\x80\x01\x28", TransportError::NotUtf8 { peer: peer() }),
            (b"\x81\x81\0\0\0\0x", broken("Received a masked frame from server")),
            (b"\xc1\x01x", broken("Reserved bits are non-zero")),
            (b"\x83\x01x", broken("Encountered invalid opcode: 3")),
            (b"\x80\x01x", broken("Continue frame but nothing to continue")),
            (b"\x09\x01x", broken("Fragmented control frame")),
        ] {
            let (mut client, mut server) = raw_pair().await;
            server.write_all(bytes).await.unwrap();
            assert_eq!(client.receive().await, Err(error), "{bytes:?}");
        }
    }

    #[tokio::test]
    async fn text_in_parts_is_put_together() {
        let (mut client, mut server) = raw_pair().await;
        // "ä" cut in two, a ping between the parts.
        server.write_all(b"\x01\x02<\xc3\x89\0\x80\x03\xa4/>").await.unwrap();
        assert_eq!(client.receive().await, Ok(Some("<ä/>".into())));
    }

    #[tokio::test]
    async fn a_close_frame_ends_it_in_good_order() {
        let (mut client, mut server) = pair().await;
        server.send(Message::text("<close/>")).await.unwrap();
        let frame = CloseFrame { code: CloseCode::Away, reason: "".into() };
        server.close(Some(frame.clone())).await.unwrap();
        assert_eq!(client.receive().await, Ok(Some(b"<close/>".to_vec())));
        assert_eq!(client.receive().await, Ok(None));
        assert_eq!(client.receive().await, Ok(None));
        assert_eq!(server.next().await.unwrap().unwrap(), Message::Close(Some(frame)));
        let closed = Err(TransportError::Closed { peer: peer() });
        assert_eq!(client.send(b"<a/>").await, closed);
        assert_eq!(client.close().await, Ok(()));
    }

    #[tokio::test]
    async fn closing_waits_for_the_servers_word() {
        let (mut client, mut server) = pair().await;
        let served = async {
            server.send(Message::text("<late/>")).await.unwrap();
            let mut heard = Vec::new();
            while let Some(Ok(message)) = server.next().await {
                heard.push(message);
            }
            heard
        };
        let (closed, heard) = tokio::join!(client.close(), served);
        assert_eq!(closed, Ok(()));
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        assert_eq!(heard, [Message::Close(Some(frame))]);
        assert_eq!(client.close().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn closing_does_not_wait_for_ever() {
        let (mut client, _server) = raw_pair().await;
        let expected = TransportError::TimedOut { phase: Phase::Close, peer: peer() };
        assert_eq!(client.close().await, Err(expected));
    }

    #[tokio::test]
    async fn a_connection_that_ends_without_a_word_is_an_error() {
        let expected = Err(TransportError::Dropped { peer: peer(), phase: Phase::Receive });
        for bytes in [&b""[..], b"\x81", b"\x81\x04<a", b"\x01\x01x"] {
            let (mut client, mut server) = raw_pair().await;
            server.write_all(bytes).await.unwrap();
            drop(server);
            assert_eq!(client.receive().await, expected, "{bytes:?}");
            assert_eq!(client.receive().await, Ok(None));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_read_ends_sending() {
        let (ours, theirs) = duplex(4096);
        let (client, _server) = tokio::join!(open(ours), honest(theirs));
        let mut client = client.unwrap();
        let error = client.send(&[b'x'; 10_000]).await;
        assert_eq!(error, Err(TransportError::TimedOut { phase: Phase::Send, peer: peer() }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_given_up_half_way_stays_whole() {
        let (ours, theirs) = duplex(4096);
        let (client, server) = tokio::join!(open(ours), honest(theirs));
        let (mut client, mut server) = (client.unwrap(), server);
        let first = "1".repeat(10_000);
        // A ping waits to be answered in the middle of it all.
        server.send(Message::Ping("p".into())).await.unwrap();
        let patience = Duration::from_secs(1);
        tokio::time::timeout(patience, client.send(first.as_bytes())).await.unwrap_err();
        tokio::time::timeout(patience, client.receive()).await.unwrap_err();

        let heard = async {
            let mut heard = Vec::new();
            while heard.len() < 3 {
                heard.push(server.next().await.unwrap().unwrap());
            }
            heard
        };
        let (sent, heard) = tokio::join!(client.send(b"2"), heard);
        assert_eq!(sent, Ok(()));
        assert_eq!(heard, [Message::text(first), Message::Pong("p".into()), Message::text("2")]);
    }

    #[tokio::test]
    async fn receiving_may_be_given_up_without_loss() {
        let (mut client, mut server) = raw_pair().await;
        for byte in b"\x81\x04<a/>" {
            let patience = tokio::time::timeout(Duration::ZERO, client.receive()).await;
            assert!(patience.is_err());
            server.write_all(&[*byte]).await.unwrap();
        }
        assert_eq!(client.receive().await, Ok(Some(b"<a/>".to_vec())));
    }

    #[test]
    fn frames_are_masked_with_fresh_bytes() {
        let (one, two) = (text_frame(b"<auth/>").unwrap(), text_frame(b"<auth/>").unwrap());
        assert_eq!(one[..2], [0x81, 0x80 | 7]);
        assert_ne!(one[2..6], two[2..6]);
        let unmasked: Vec<u8> =
            one[6..].iter().zip(one[2..6].iter().cycle()).map(|(a, b)| a ^ b).collect();
        assert_eq!(unmasked, b"<auth/>");
    }

    thread_local! {
        static LOGGED: RefCell<Option<String>> = const { RefCell::new(None) };
    }

    /// Keeps all that any library logs on a thread that asked for it, as a program does that has
    /// its log level at `trace`.
    struct Log;

    impl log::Log for Log {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            LOGGED.with_borrow(Option::is_some)
        }

        fn log(&self, record: &log::Record<'_>) {
            LOGGED.with_borrow_mut(|logged| {
                if let Some(logged) = logged {
                    logged.push_str(&format!("{}\n", record.args()));
                }
            });
        }

        fn flush(&self) {}
    }

    #[tokio::test(start_paused = true)]
    async fn no_log_shows_what_is_sent() {
        log::set_logger(&Log).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        LOGGED.set(Some(String::new()));

        let (mut client, server) = raw_pair().await;
        let secret = "<auth>cGFzc3dvcmQ-never-logged</auth>";
        client.send(secret.as_bytes()).await.unwrap();
        client.close().await.unwrap_err();
        drop(server);

        let logged = LOGGED.take().unwrap();
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        // The library does log frames: the close frame, which is its own, is there.
        assert!(logged.contains("writing frame"), "{logged}");
        for shown in [secret, "never-logged", &hex] {
            assert!(!logged.contains(shown));
        }
    }
}
