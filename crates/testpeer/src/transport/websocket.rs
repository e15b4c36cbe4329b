//! Carries a session over a WebSocket connection (RFC 7395).
//!
//! Leaves out what the frames say, which the session knows, and HTTP and TLS, which are below.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use hyper::body::Incoming;
use hyper::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, create_response_with_body};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::shutdown::Shutdown;
use crate::server::Server;
use crate::session::conditions::StreamCondition;
use crate::session::{Session, SessionChannel};

/// The answer to a handshake, or what is wrong with it.
pub(super) fn accept(request: &Request<Incoming>) -> Result<Response<()>, &'static str> {
    if !offers_xmpp(request) {
        return Err("ask for the subprotocol `xmpp`");
    }
    let mut response =
        create_response_with_body(request, || ()).map_err(|_| "this is no WebSocket handshake")?;
    response.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("xmpp"));
    Ok(response)
}

/// The WebSocket after the handshake, of whose bytes these were read already.
pub(super) async fn begin<S>(stream: S, read: Vec<u8>, largest: usize) -> WebSocketStream<S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    WebSocketStream::from_partially_read(stream, read, Role::Server, Some(config(largest))).await
}

/// Takes the conversation, to its end.
pub(super) async fn serve<S>(
    socket: WebSocketStream<S>,
    server: &Server,
    channel: SessionChannel,
    shutdown: &mut Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = *server.limits();
    let session = server.session(channel);
    let deadline = Instant::now() + limits.login;
    Connection { socket, session, deadline, write: limits.write }.run(shutdown).await;
}

struct Connection<S> {
    socket: WebSocketStream<S>,
    session: Session,
    /// When an address must be bound.
    deadline: Instant,
    write: Duration,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(mut self, shutdown: &mut Shutdown) {
        while !self.session.is_closed() {
            let bound = self.session.jid().is_some();
            let frames = tokio::select! {
                message = self.socket.next() => match message {
                    Some(Ok(Message::Text(text))) => self.session.receive(&text),
                    Some(Ok(Message::Binary(_))) => self.session.end(StreamCondition::BadFormat),
                    Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => continue,
                    Some(Ok(Message::Close(_))) | None => break,
                    Some(Err(Error::Capacity(_))) => {
                        self.session.end(StreamCondition::PolicyViolation)
                    }
                    Some(Err(_)) => return,
                },
                delivery = self.session.delivery() => self.session.deliver(delivery),
                () = sleep_until(self.deadline), if !bound => {
                    self.session.end(StreamCondition::ConnectionTimeout)
                }
                () = shutdown.wait() => self.session.end(StreamCondition::SystemShutdown),
            };
            for frame in frames {
                let sent = timeout(self.write, self.socket.send(Message::text(frame))).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return;
                }
            }
        }
        let Self { socket, session, write, .. } = self;
        drop(session);
        close(socket, write).await;
    }
}

/// Closes, and waits for the peer to do the same.
pub(super) async fn close<S>(mut socket: WebSocketStream<S>, patience: Duration)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let farewell = async {
        // This fails where the peer closed first; then reading sends our half of it.
        let _ = socket.close(None).await;
        while let Some(Ok(_)) = socket.next().await {}
        let _ = socket.get_mut().shutdown().await;
    };
    // A peer that does not answer has heard the close all the same.
    let _ = timeout(patience, farewell).await;
}

/// Frames a little above the limit reach the session, which says what is wrong with them.
pub(super) fn config(largest: usize) -> WebSocketConfig {
    let room = Some(largest.saturating_mul(2));
    WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_message_size(room)
        .max_frame_size(room)
}

fn offers_xmpp(request: &Request<Incoming>) -> bool {
    let offers = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    offers
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|protocol| protocol.trim().eq_ignore_ascii_case("xmpp")))
}

pub(super) fn refusal(status: StatusCode, text: &str) -> ErrorResponse {
    let mut refusal = ErrorResponse::new(Some(text.to_owned()));
    *refusal.status_mut() = status;
    refusal
}

/// The path at which the server speaks XMPP.
pub(super) const PATH: &str = "/xmpp-websocket";

const BUFFER: usize = 8 * 1024;
