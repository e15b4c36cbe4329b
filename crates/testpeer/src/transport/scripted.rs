//! A transcript served over WebSocket or TCP, on a port or over any byte stream.
//!
//! Leaves out what a transcript says: its steps are in [`script`](crate::script).

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{LOCATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

use super::certificates::{CertificateStyle, Certificates};
use super::shutdown::{Shutdown, Trigger};
use super::tls::{EarlyData, Tls, TlsVersions};
use super::websocket::{PATH, config, refusal};
use super::{scripted_stream, tcp};
use crate::script::{Framing, Mismatch, Outgoing, Player, Script};

/// A transcript that is served to every connection anew, on a port of 127.0.0.1.
#[derive(Debug)]
pub struct RunningScript {
    address: SocketAddr,
    ws_url: String,
    ca_pem: Option<String>,
    trigger: Trigger,
    listener: JoinSet<Vec<Outcome>>,
}

/// How one connection went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every step was played.
    Finished,
    /// The client left, or was left, before the end of the transcript.
    Unfinished,
    /// The client departed from the transcript.
    Departed(Mismatch),
    /// There was no conversation: the handshake of WebSocket failed, or the transcript refuses it.
    NoHandshake,
}

/// Serves a transcript over `ws`, or over TCP if it has `framing: tcp`, to at most 1024
/// connections, several at a time if they come so.
///
/// These headers of the transcript matter to a WebSocket: `subprotocol` is what the handshake
/// answers in place of `xmpp`, or `none`; `http`, as in `http: 302 ws://elsewhere/`, refuses the
/// handshake with this status and location. For a transcript with `S: !secure` a certificate is
/// made, whose names are those of this machine and the header `domain`.
///
/// # Errors
///
/// If no port can be had, or one of those headers cannot be used.
pub async fn listen_script(script: &Script) -> io::Result<RunningScript> {
    let (way, ca_pem) = Way::of(script)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (trigger, shutdown) = Shutdown::channel();
    let mut tasks = JoinSet::new();
    tasks.spawn(accept_all(listener, script.clone(), way, shutdown));
    let ws_url = format!("ws://{address}{PATH}");
    Ok(RunningScript { address, ws_url, ca_pem, trigger, listener: tasks })
}

impl Script {
    /// Plays the transcript to one connection over this byte stream, from the handshake of
    /// WebSocket if there is one, until the client leaves or departs from it.
    ///
    /// # Errors
    ///
    /// If one of the headers that [`listen_script`] names cannot be used, or the transcript has
    /// `S: !secure`, since nobody could know the certificate.
    pub async fn serve<S>(&self, stream: S) -> io::Result<Outcome>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (way, ca_pem) = Way::of(self)?;
        if ca_pem.is_some() {
            let text = "serve a transcript with `!secure` by `listen_script`";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(serve(stream, self.player(), way, Shutdown::never()).await)
    }
}

impl RunningScript {
    /// The URL to connect to by WebSocket.
    #[must_use]
    pub fn ws_url(&self) -> &str {
        &self.ws_url
    }

    /// The address to connect to by TCP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the authority that signed the server's, in PEM, if the transcript has
    /// `S: !secure`.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca_pem.as_deref()
    }

    /// Takes no more connections, and tells how each went, in the order in which they ended. A
    /// client that is still there may go on for two seconds.
    pub async fn shutdown(mut self) -> Vec<Outcome> {
        self.trigger.pull();
        self.listener.join_next().await.and_then(Result::ok).unwrap_or_default()
    }
}

/// What carries the transcript.
#[derive(Clone)]
enum Way {
    WebSocket(Reply),
    Tcp(Option<Arc<Tls>>),
}

impl Way {
    /// With the authority's certificate, if there is one.
    fn of(script: &Script) -> io::Result<(Self, Option<String>)> {
        match script.framing() {
            Framing::WebSocket => Ok((Self::WebSocket(Reply::of(script)?), None)),
            Framing::Tcp if script.is_secured() => {
                let domain = script.header("domain").unwrap_or("localhost");
                let style = CertificateStyle::default();
                let address = Ipv4Addr::LOCALHOST.into();
                let nobody = std::iter::empty();
                let certificates = Certificates::make(domain, address, nobody, style)?;
                let tls = Tls::new(
                    &certificates,
                    TlsVersions::default(),
                    EarlyData::default(),
                    PATIENCE,
                )?;
                Ok((Self::Tcp(Some(Arc::new(tls))), Some(certificates.ca_pem)))
            }
            Framing::Tcp => Ok((Self::Tcp(None), None)),
        }
    }
}

/// How the handshake of WebSocket is answered.
#[derive(Clone, Debug)]
enum Reply {
    Accept(Option<HeaderValue>),
    Refuse(StatusCode, Option<HeaderValue>),
}

impl Reply {
    fn of(script: &Script) -> io::Result<Self> {
        let invalid = |_| io::Error::new(io::ErrorKind::InvalidInput, "the header cannot be sent");
        let value = |text: &str| HeaderValue::from_str(text).map_err(invalid);
        if let Some(http) = script.header("http") {
            let (status, location) = http.split_once(' ').unwrap_or((http, ""));
            let status = status.parse().ok().filter(|status: &StatusCode| !status.is_success());
            let status = status.ok_or_else(|| {
                let text = "the header `http` begins with a status that is no success";
                io::Error::new(io::ErrorKind::InvalidInput, text)
            })?;
            let location = Some(location).filter(|it| !it.is_empty()).map(value).transpose()?;
            return Ok(Self::Refuse(status, location));
        }
        match script.header("subprotocol") {
            None => Ok(Self::Accept(Some(HeaderValue::from_static("xmpp")))),
            Some("none") => Ok(Self::Accept(None)),
            Some(other) => Ok(Self::Accept(Some(value(other)?))),
        }
    }

    // The signature is the library's.
    #[allow(clippy::result_large_err)]
    fn apply(self, mut response: Response) -> Result<Response, ErrorResponse> {
        match self {
            Self::Accept(protocol) => {
                response.headers_mut().extend(protocol.map(|it| (SEC_WEBSOCKET_PROTOCOL, it)));
                Ok(response)
            }
            Self::Refuse(status, location) => {
                let mut refusal = refusal(status, "refused by the transcript");
                refusal.headers_mut().extend(location.map(|it| (LOCATION, it)));
                Err(refusal)
            }
        }
    }
}

async fn accept_all(
    listener: TcpListener,
    script: Script,
    way: Way,
    mut shutdown: Shutdown,
) -> Vec<Outcome> {
    let mut connections = JoinSet::new();
    let mut outcomes = Vec::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept(), if connections.len() + outcomes.len() < MOST_CONNECTIONS => {
                let player = script.player();
                connections.spawn(serve(stream, player, way.clone(), shutdown.clone()));
            }
            Some(outcome) = connections.join_next() => outcomes.extend(outcome.ok()),
            () = shutdown.wait() => break,
        }
    }
    outcomes.extend(connections.join_all().await);
    outcomes
}

async fn serve<S>(stream: S, mut player: Player, way: Way, mut shutdown: Shutdown) -> Outcome
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let played = match way {
        Way::Tcp(tls) => {
            let run = scripted_stream::play(stream, &mut player, tls.as_deref());
            or_give_up(run, &mut shutdown).await
        }
        Way::WebSocket(reply) => {
            let Some(mut socket) = accept(stream, reply, &mut shutdown).await else {
                return Outcome::NoHandshake;
            };
            or_give_up(play(&mut socket, &mut player), &mut shutdown).await
        }
    };
    match played {
        Err(mismatch) => Outcome::Departed(mismatch),
        Ok(()) if player.finished() => Outcome::Finished,
        Ok(()) => Outcome::Unfinished,
    }
}

/// Lets a run go on for a while once the script is shut down.
async fn or_give_up(
    run: impl Future<Output = Result<(), Mismatch>>,
    shutdown: &mut Shutdown,
) -> Result<(), Mismatch> {
    let patience = async {
        shutdown.wait().await;
        // What the client has sent by now may not have arrived here yet.
        sleep(GRACE).await;
    };
    tokio::select! {
        played = run => played,
        () = patience => Ok(()),
    }
}

async fn accept<S>(stream: S, reply: Reply, shutdown: &mut Shutdown) -> Option<WebSocketStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    #[allow(clippy::result_large_err)]
    let callback = |_: &Request, response: Response| reply.apply(response);
    let handshake = accept_hdr_async_with_config(stream, callback, Some(config(LARGEST_FRAME)));
    tokio::select! {
        accepted = handshake => accepted.ok(),
        () = shutdown.wait() => None,
    }
}

/// Plays until the client leaves, or to the step that drops the transport.
async fn play<S>(socket: &mut WebSocketStream<S>, player: &mut Player) -> Result<(), Mismatch>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut outgoing = player.opened();
    loop {
        for step in outgoing {
            let message = match step {
                Outgoing::Frame(bytes) => frame(bytes, Data::Text),
                Outgoing::Binary(bytes) => frame(bytes, Data::Binary),
                Outgoing::Ping => Message::Ping(Bytes::new()),
                Outgoing::Close | Outgoing::Secure => {
                    tcp::close(socket.get_mut(), PATIENCE).await;
                    return Ok(());
                }
            };
            if socket.send(message).await.is_err() {
                return Ok(());
            }
        }
        outgoing = match socket.next().await {
            Some(Ok(Message::Text(text))) => player.receive(text.as_bytes())?,
            Some(Ok(Message::Binary(bytes))) => player.receive(&bytes)?,
            Some(Ok(_)) => Vec::new(),
            Some(Err(_)) | None => return Ok(()),
        };
    }
}

/// A frame of any bytes: a text frame of the library's would have to be UTF-8.
fn frame(bytes: Vec<u8>, kind: Data) -> Message {
    Message::Frame(Frame::message(bytes, OpCode::Data(kind), true))
}

/// A client under test sends nothing near as large.
const LARGEST_FRAME: usize = 1024 * 1024;

const MOST_CONNECTIONS: usize = 1024;

/// How long a client may go on once the script is shut down.
const GRACE: Duration = Duration::from_secs(2);

pub(super) const PATIENCE: Duration = Duration::from_secs(10);
