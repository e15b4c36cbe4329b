//! Bodies to one URL, and the answers to them: HTTP/1.1 over connections that are kept.
//! What the bodies say, and when one is posted again, is `epode_proto`'s to say.

use std::{
    error::Error as _,
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use epode_proto::Frame;
use epode_sasl::Channel;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use hyper::body::Bytes;

use super::cookies::Cookies;
use crate::transport::{
    byte_stream::ByteStream,
    dial::Deadline,
    endpoint::Endpoint,
    error::TransportError,
    http_connection::{HttpConnection, Payload},
    options::TransportOptions,
    peer::Phase,
    reach_inside,
    tls::{self, Inside},
};

/// Posts to one URL.
pub(super) struct Poster {
    target: Arc<Target>,
    kept: Vec<HttpConnection>,
    cookies: Cookies,
}

/// Where to post, and how.
struct Target {
    endpoint: Endpoint,
    options: TransportOptions,
    content_type: HeaderValue,
    /// How many bytes of an answer are read.
    limit: usize,
    /// What the first connection vouched for.
    channel: Channel,
}

/// An answer, and the connection that it came by.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Of status 200, cut off one byte behind the limit.
    pub(super) body: Vec<u8>,
    headers: HeaderMap,
    connection: HttpConnection,
}

/// A request that is under way.
pub(super) struct Posting {
    answer: Pin<Box<dyn Future<Output = Result<Answer, TransportError>> + Send>>,
    is_sent: Arc<AtomicBool>,
}

impl Posting {
    /// Whether it goes out, and no connection has to be made for it any more.
    pub(super) fn is_sent(&self) -> bool {
        self.is_sent.load(Ordering::Relaxed)
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Answer, TransportError>> {
        self.answer.as_mut().poll(cx)
    }
}

impl Poster {
    /// Makes the first connection, which says what protects all of them.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        options: &TransportOptions,
        (content_type, limit): (&str, usize),
        deadline: Deadline,
    ) -> Result<(Self, Channel), TransportError> {
        let content_type = HeaderValue::from_str(content_type)
            .map_err(|_| TransportError::ContentType { found: content_type.to_owned() })?;
        let (stream, channel) = reach_inside(endpoint, inside(endpoint), options, deadline).await?;
        let (endpoint, options) = (endpoint.clone(), options.clone());
        let target = Target { endpoint, options, content_type, limit, channel: channel.clone() };
        let kept = vec![target.speak_http(stream).await?];
        Ok((Self { target: Arc::new(target), kept, cookies: Cookies::default() }, channel))
    }

    /// Begins to post a body; it moves while its future is polled.
    pub(super) fn post(&mut self, body: Frame) -> Posting {
        let target = Arc::clone(&self.target);
        let kept = self.kept.pop();
        let cookie = self.cookies.header(self.target.options.headers());
        let body = Bytes::from_owner(Body(body));
        let is_sent = Arc::new(AtomicBool::new(false));
        let goes_out = Arc::clone(&is_sent);
        let answer = async move {
            if let Some(mut connection) = kept
                && connection.is_ready().await
            {
                goes_out.store(true, Ordering::Relaxed);
                match target.ask(&mut connection, &body, cookie.as_ref()).await {
                    Ok((head, body)) => return target.read(connection, head, body).await,
                    // It was closed meanwhile, and nothing was asked.
                    Err(error) if error.is_canceled() => {}
                    Err(error) => return Err(target.broken(&error)),
                }
            }
            let mut connection = target.connect().await?;
            goes_out.store(true, Ordering::Relaxed);
            let asked = target.ask(&mut connection, &body, cookie.as_ref()).await;
            let (head, body) = asked.map_err(|error| target.broken(&error))?;
            target.read(connection, head, body).await
        };
        Posting { answer: Box::pin(answer), is_sent }
    }

    /// Keeps what an answer leaves for the next request.
    pub(super) fn keep(&mut self, answer: Answer) {
        self.cookies.take(&answer.headers);
        if answer.connection.is_open() && self.kept.len() < MAX_KEPT {
            self.kept.push(answer.connection);
        }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.target.endpoint
    }
}

impl Target {
    /// Makes another connection, protected as the first one, by the same certificate as far as a
    /// login can be bound to it.
    async fn connect(&self) -> Result<HttpConnection, TransportError> {
        let deadline = Deadline::after(self.options.timeout());
        let inside = inside(&self.endpoint);
        let (stream, channel) =
            reach_inside(&self.endpoint, inside, &self.options, deadline).await?;
        if channel != self.channel {
            return Err(TransportError::CertificateChanged { peer: self.endpoint.peer() });
        }
        self.speak_http(stream).await
    }

    async fn speak_http(
        &self,
        stream: Box<dyn ByteStream>,
    ) -> Result<HttpConnection, TransportError> {
        HttpConnection::open(stream).await.map_err(|error| self.broken(&error))
    }

    async fn ask(
        &self,
        connection: &mut HttpConnection,
        body: &Bytes,
        cookie: Option<&HeaderValue>,
    ) -> hyper::Result<(http::response::Parts, hyper::body::Incoming)> {
        let mut request = Request::post(self.endpoint.path_and_query())
            .body(Payload::from(body.clone()))
            .expect("an endpoint's path can stand in a request");
        let headers = request.headers_mut();
        headers.clone_from(self.options.headers());
        let host = HeaderValue::from_str(&self.endpoint.authority());
        headers.insert(header::HOST, host.expect("an endpoint's host can stand in a header"));
        headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(cookie) = cookie {
            headers.insert(header::COOKIE, cookie.clone());
        }
        connection.ask(request).await.map(http::Response::into_parts)
    }

    async fn read(
        &self,
        mut connection: HttpConnection,
        head: http::response::Parts,
        body: hyper::body::Incoming,
    ) -> Result<Answer, TransportError> {
        let read = connection.read(body, self.limit).await;
        let body = read.map_err(|error| self.broken(&error))?;
        Ok(Answer { status: head.status, body, headers: head.headers, connection })
    }

    /// Names what broke an exchange.
    fn broken(&self, error: &hyper::Error) -> TransportError {
        let peer = self.endpoint.peer();
        if let Some(cause) = error.source().and_then(|cause| cause.downcast_ref::<io::Error>()) {
            return tls::broken(&peer, Phase::Receive, cause);
        }
        if error.is_parse() {
            let (url, reason) = (self.endpoint.redacted(), error.to_string());
            return TransportError::NotHttp { url, reason };
        }
        TransportError::Dropped { peer, phase: Phase::Receive }
    }
}

/// What is inside TLS, if there is any.
fn inside(endpoint: &Endpoint) -> Option<(&str, Inside)> {
    endpoint.is_secure().then(|| (endpoint.host(), Inside::Requests))
}

/// Wiped once nobody needs it any more.
struct Body(Frame);

impl AsRef<[u8]> for Body {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// One request waits at the server, and one speaks.
const MAX_KEPT: usize = 2;
