//! Carries a session over a WebSocket connection (RFC 7395).
//!
//! Leaves out what the frames say, which the session knows, and TLS, which is below.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::shutdown::Shutdown;
use crate::server::Server;
use crate::session::conditions::StreamCondition;
use crate::session::{Session, SessionChannel};

/// Takes the handshake and the conversation, to its end.
pub(super) async fn serve<S>(
    stream: S,
    server: &Server,
    channel: SessionChannel,
    shutdown: &mut Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = *server.limits();
    let accepted = tokio::select! {
        accepted = timeout(limits.handshake, accept(stream, limits.stanza)) => accepted,
        () = shutdown.wait() => return,
    };
    let Ok(Ok(socket)) = accepted else { return };
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
        close(self.socket, self.write).await;
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

async fn accept<S>(stream: S, largest: usize) -> Result<WebSocketStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    accept_hdr_async_with_config(stream, check_request, Some(config(largest))).await
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

// The signature is the library's.
#[allow(clippy::result_large_err)]
fn check_request(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    if request.uri().path() != PATH {
        return Err(refusal(StatusCode::NOT_FOUND, "XMPP is at /xmpp-websocket"));
    }
    if !offers_xmpp(request) {
        return Err(refusal(StatusCode::BAD_REQUEST, "ask for the subprotocol `xmpp`"));
    }
    let headers = response.headers_mut();
    headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static("xmpp"));
    Ok(response)
}

fn offers_xmpp(request: &Request) -> bool {
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
