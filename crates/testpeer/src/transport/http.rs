//! One HTTP connection: the WebSocket at `/xmpp-websocket`, BOSH at `/http-bind`, and files.
//!
//! Leaves out what is said over either.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ALLOW, CONTENT_TYPE, HeaderValue,
};
use hyper::server::conn::http1::{self, Connection, Parts};
use hyper::service::{HttpService, service_fn};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until, timeout};

use super::own_pages::OwnPages;
use super::shutdown::Shutdown;
use super::{bosh, tcp, websocket};
use crate::bosh::{BoshFault, HTTP_BIND};
use crate::server::Server;
use crate::session::SessionChannel;

/// Serves one HTTP connection, to its end or that of the WebSocket that it becomes. The client has
/// reached it at this address, if at any.
pub(super) async fn serve<S>(
    stream: S,
    server: &Server,
    channel: SessionChannel,
    address: Option<IpAddr>,
    shutdown: &mut Shutdown,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = *server.limits();
    let visit = Visit::new(server, channel, address, shutdown.clone());
    let service = service_fn(|request| Box::pin(visit.answer(request)));
    let mut connection = http1::Builder::new()
        .max_buf_size(BUFFER)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let served = tokio::select! {
        served = run(&mut connection, &visit) => served,
        () = shutdown.wait() => {
            Pin::new(&mut connection).graceful_shutdown();
            let farewell = run(&mut connection, &visit);
            timeout(limits.write, farewell).await.unwrap_or(Served::Lost)
        }
    };
    if matches!(served, Served::Lost) {
        return;
    }
    let Parts { io, read_buf, .. } = connection.into_parts();
    if matches!(visit.phase(), Phase::Upgrading(_)) {
        let socket = websocket::begin(io.into_inner(), read_buf.to_vec(), limits.stanza).await;
        websocket::serve(socket, server, visit.channel, shutdown).await;
    } else {
        tcp::close(io.into_inner(), limits.write).await;
    }
}

/// What a connection's requests share.
struct Visit<'a> {
    server: &'a Server,
    channel: SessionChannel,
    /// Those whose requests are taken alone, where the server has any.
    pages: Option<OwnPages>,
    shutdown: Shutdown,
    phase: Mutex<Phase>,
}

/// What a connection is at, and when that must be over.
#[derive(Clone, Copy)]
enum Phase {
    /// The next request is to come, after the last answer has gone out.
    Waiting(Instant),
    /// A request is looked at.
    Answering,
    /// The answer goes out with which the WebSocket begins.
    Upgrading(Instant),
}

/// How the HTTP of a connection ends.
enum Served {
    Done,
    Lost,
}

impl<'a> Visit<'a> {
    fn new(
        server: &'a Server,
        channel: SessionChannel,
        address: Option<IpAddr>,
        shutdown: Shutdown,
    ) -> Self {
        let phase = Mutex::new(Phase::Waiting(Instant::now() + server.limits().handshake));
        let pages = OwnPages { is_encrypted: channel.is_encrypted(), address };
        let pages = (!server.config().web_files.is_empty()).then_some(pages);
        Self { server, channel, pages, shutdown, phase }
    }

    fn phase(&self) -> Phase {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, phase: Phase) {
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    async fn answer(&self, request: Request<Incoming>) -> io::Result<Response<Content>> {
        let limits = self.server.limits();
        self.enter(Phase::Answering);
        let refused = self.pages.as_ref().and_then(|pages| pages.admit(&request).err());
        let response = match (refused, request.uri().path()) {
            (Some((status, reason)), _) => text(status, reason),
            (None, websocket::PATH) => upgrade(&request),
            (None, PATH) => self.bosh(request).await?,
            (None, _) => match self.server.config().web_files.answer(&request) {
                Some(response) => response.map(Content::Whole),
                None => text(StatusCode::NOT_FOUND, WHAT_IS_HERE),
            },
        };
        self.enter(match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => Phase::Upgrading(Instant::now() + limits.write),
            _ => Phase::Waiting(Instant::now() + IDLE),
        });
        Ok(response)
    }

    async fn bosh(&self, request: Request<Incoming>) -> io::Result<Response<Content>> {
        let mut response = match *request.method() {
            Method::POST => self.post(request.into_body()).await?,
            Method::OPTIONS => text(StatusCode::NO_CONTENT, ""),
            Method::GET | Method::HEAD => text(StatusCode::OK, WHAT_IS_BOSH),
            _ => text(StatusCode::METHOD_NOT_ALLOWED, WHAT_IS_BOSH),
        };
        let headers = response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(METHODS));
        if self.pages.is_some() {
            return Ok(response);
        }
        // Any page may use it: what it gives is had with a password, not with a cookie.
        for (name, value) in [
            (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
            (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
            (ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type"),
            (ACCESS_CONTROL_MAX_AGE, "86400"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        Ok(response)
    }

    /// An error cuts the connection.
    async fn post(&self, body: Incoming) -> io::Result<Response<Content>> {
        let limits = self.server.limits();
        // Several stanzas may come together.
        let largest = limits.stanza.saturating_mul(2);
        let bytes = match timeout(limits.handshake, read(body, largest)).await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(status)) => return Ok(text(status, "the body cannot be read")),
            Err(_) => return Ok(text(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
        };
        let request = self.server.bosh_sessions().count_request();
        let fault = self.server.config().bosh_fault(request);
        if let Some(response) = fault.and_then(|(fault, nth)| instead(fault, nth)) {
            return Ok(response);
        }
        let (channel, of_session) = (self.channel.clone(), fault.map(|(fault, _)| fault.clone()));
        let answer = bosh::ask(self.server, channel, &self.shutdown, &bytes, of_session).await;
        if fault.is_some_and(|(fault, nth)| cuts(fault, nth)) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        let Ok(answer) = answer else {
            return Ok(text(StatusCode::SERVICE_UNAVAILABLE, "too much is under way"));
        };
        let mut response = xml(answer.body);
        let content_type = answer.content_type.and_then(|it| HeaderValue::try_from(it).ok());
        if let Some(content_type) = content_type {
            response.headers_mut().insert(CONTENT_TYPE, content_type);
        }
        Ok(response)
    }
}

fn upgrade(request: &Request<Incoming>) -> Response<Content> {
    match websocket::accept(request) {
        Ok(response) => response.map(|()| Content::from(String::new())),
        Err(reason) => text(StatusCode::BAD_REQUEST, reason),
    }
}

/// Runs a connection, until it is done or a deadline has passed.
async fn run<S, V>(connection: &mut Connection<TokioIo<S>, V>, visit: &Visit<'_>) -> Served
where
    S: AsyncRead + AsyncWrite + Unpin,
    V: HttpService<Incoming, ResBody = Content, Error = io::Error> + Unpin,
    V::Future: Unpin,
{
    let mut alarm = pin!(sleep_until(Instant::now()));
    poll_fn(|cx| {
        if let Poll::Ready(done) = connection.poll_without_shutdown(cx) {
            return Poll::Ready(done.map_or(Served::Lost, |()| Served::Done));
        }
        let (Phase::Waiting(deadline) | Phase::Upgrading(deadline)) = visit.phase() else {
            return Poll::Pending;
        };
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        ready!(alarm.as_mut().poll(cx));
        Poll::Ready(Served::Lost)
    })
    .await
}

/// What is answered in place of the session's answer; the `nth` request that meets the fault.
fn instead(fault: &BoshFault, nth: u64) -> Option<Response<Content>> {
    match fault {
        BoshFault::NotFound => Some(text(StatusCode::NOT_FOUND, "")),
        BoshFault::Unavailable(times) if nth <= *times => {
            Some(text(StatusCode::SERVICE_UNAVAILABLE, ""))
        }
        BoshFault::EmptyBodies => Some(xml(format!("<body xmlns='{HTTP_BIND}'/>"))),
        BoshFault::Text(text) => Some(xml(text.clone())),
        BoshFault::Oversized => {
            Some(xml(String::new()).map(|_| Content::Spaces { left: OVERSIZE }))
        }
        _ => None,
    }
}

fn cuts(fault: &BoshFault, nth: u64) -> bool {
    matches!(fault, BoshFault::Cut { every } if (nth - 1).is_multiple_of((*every).max(1)))
}

/// Reads a whole body.
async fn read(mut body: Incoming, largest: usize) -> Result<Vec<u8>, StatusCode> {
    let mut bytes = Vec::new();
    if body.size_hint().lower() > largest as u64 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(data) = frame.map_err(|_| StatusCode::BAD_REQUEST)?.into_data() else { continue };
        if bytes.len() + data.len() > largest {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

fn xml(body: String) -> Response<Content> {
    with_type(StatusCode::OK, "text/xml; charset=utf-8", body)
}

fn text(status: StatusCode, text: &str) -> Response<Content> {
    with_type(status, "text/plain; charset=utf-8", text.to_owned())
}

fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Response<Content> {
    let mut response = Response::new(Content::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// The content of a response.
enum Content {
    Whole(Bytes),
    /// So many spaces, made as they are read.
    Spaces {
        left: usize,
    },
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self::Whole(text.into())
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(bytes) => std::mem::take(bytes),
            Self::Spaces { left } => {
                let length = CHUNK.len().min(*left);
                *left -= length;
                Bytes::from_static(&CHUNK[..length])
            }
        };
        Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Spaces { .. } => SizeHint::default(),
        }
    }
}

/// The path at which the server speaks BOSH.
pub(super) const PATH: &str = "/http-bind";

const METHODS: &str = "GET, HEAD, OPTIONS, POST";
const WHAT_IS_HERE: &str = "XMPP is at /xmpp-websocket, and BOSH at /http-bind\n";
const WHAT_IS_BOSH: &str = "This is BOSH (XEP-0124): XMPP over HTTP, for requests with POST\n";

const BUFFER: usize = 64 * 1024;
/// How long a connection may be without a request. Longer than any session is.
const IDLE: Duration = Duration::from_secs(180);

const OVERSIZE: usize = 64 * 1024 * 1024;
static CHUNK: [u8; 16 * 1024] = [b' '; 16 * 1024];
