//! One GET over HTTPS (HTTP/1.1, RFC 9112), with a limit on everything that comes back.
//! What the document says is not looked at here.

use std::{fmt, str::FromStr};

use http::{HeaderMap, Request, Response, StatusCode, header};
use hyper::body::{Body, Incoming};
use tokio::time::timeout_at;
use url::Url;

use crate::transport::{
    self, ByteStream, Deadline, Endpoint, EndpointError, HttpConnection, Payload, TransportError,
    TransportOptions,
};

/// An `https://` URL without user name, password and fragment.
///
/// ```
/// use epode::discovery::HttpsUrl;
///
/// let url: HttpsUrl = "https://example.org:5281/http-bind".parse()?;
/// assert_eq!((url.host(), url.port()), ("example.org", 5281));
/// assert_eq!(url.path_and_query(), "/http-bind");
/// assert_eq!(url.to_string(), "https://example.org:5281/http-bind");
/// # Ok::<(), epode::discovery::HttpsUrlError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct HttpsUrl(Endpoint);

impl HttpsUrl {
    /// The document of that path at a host, on a port of the caller's choice.
    pub(crate) fn well_known(host: &str, port: u16, name: &str) -> Result<Self, HttpsUrlError> {
        format!("https://{host}:{port}/.well-known/{name}").parse()
    }

    /// Where it leads to: TLS to a host.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.0
    }

    /// The host name in ASCII, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.0.host()
    }

    /// The port, 443 where the URL has none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// What is asked of the host: a path, `/` at least, and the query if there is one.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.0.path_and_query()
    }

    /// Where a `Location` header leads, which may be relative (RFC 9110, section 10.2.2).
    fn follow(&self, location: &str) -> Result<Self, FetchError> {
        let refused = |reason| FetchError::BadRedirect { location: shown(location), reason };
        let base = Url::parse(&self.to_string());
        let mut next = base
            .and_then(|base| base.join(location))
            .map_err(|error| refused(HttpsUrlError::Malformed(error.into())))?;
        next.set_fragment(None);
        next.as_str().parse().map_err(refused)
    }
}

impl FromStr for HttpsUrl {
    type Err = HttpsUrlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once("://") {
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("https") => Ok(Self(text.parse()?)),
            _ => Err(HttpsUrlError::NotHttps),
        }
    }
}

impl fmt::Display for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Without the query, which may hold a secret.
impl fmt::Debug for HttpsUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path_and_query().split('?').next().unwrap_or_default();
        write!(f, "HttpsUrl(https://{}{path})", self.0.authority())
    }
}

/// Why a text is no usable `https://` URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HttpsUrlError {
    /// The scheme is another, or there is none.
    #[error("it does not begin with https://")]
    NotHttps,
    /// What follows is not host, port and path as they should be.
    #[error("{0}")]
    Malformed(#[from] EndpointError),
}

/// Why a document could not be fetched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There can be no such document.
    #[error("there is no URL for it: {reason}")]
    BadUrl {
        /// What is wrong with its URL.
        reason: HttpsUrlError,
    },
    /// There is no way to the server, or no TLS with it.
    #[error(transparent)]
    Connection(#[from] TransportError),
    /// The time was over before the whole document was there.
    #[error("{host} did not send the document in time; try again, or allow more time")]
    TimedOut {
        /// The web server.
        host: String,
    },
    /// There is no such document: status 404 or 410.
    #[error("{url} is not there (HTTP status {status})")]
    Missing {
        /// The URL asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The status is neither success nor a redirect.
    #[error("{url} answered HTTP status {status}; see the web server's log")]
    Status {
        /// The URL asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// There were more redirects than allowed.
    #[error("more than {limit} redirects, the last to {url}; the web server is set up wrongly")]
    TooManyRedirects {
        /// The limit.
        limit: usize,
        /// Where the next would have led.
        url: String,
    },
    /// A redirect leads nowhere, or out of HTTPS.
    #[error("redirected to {location:?}, which is not followed: {reason}")]
    BadRedirect {
        /// The `Location` header, made printable and cut off at 256 characters.
        location: String,
        /// What is wrong with it.
        reason: HttpsUrlError,
    },
    /// The document is longer than allowed.
    #[error("{url} sent more than {limit} bytes; that is no document of this kind")]
    TooLarge {
        /// The URL asked for.
        url: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// The document is compressed, which was not asked for.
    #[error("{url} sent a document with the encoding {encoding:?}, which was not asked for")]
    Encoded {
        /// The URL asked for.
        url: String,
        /// The encoding.
        encoding: String,
    },
    /// The answer is not HTTP/1.1 as it should be, or breaks off.
    #[error("{url} did not answer with proper HTTP: {reason}")]
    Broken {
        /// The URL asked for.
        url: String,
        /// What the HTTP library found.
        reason: String,
    },
}

/// Fetches a document of at most `limit` bytes. Redirects are followed, three at most, and to
/// `https://` only.
///
/// Each server on the way must have a certificate for its host; no cookie, no login and no client
/// certificate is sent.
pub(crate) async fn get(
    url: HttpsUrl,
    accept: &'static str,
    limit: usize,
    options: &TransportOptions,
    deadline: Deadline,
) -> Result<Vec<u8>, FetchError> {
    let mut url = url;
    for _ in 0..=MAX_REDIRECTS {
        let stream = transport::connect_https(&url.0, options, deadline).await?;
        let asked = ask(Box::new(stream), &url, accept, limit);
        let asked = timeout_at(deadline.instant(), asked).await;
        match asked.map_err(|_| FetchError::TimedOut { host: url.host().to_owned() })?? {
            Answer::Document(document) => return Ok(document),
            Answer::Redirect(next) => url = next,
        }
    }
    Err(FetchError::TooManyRedirects { limit: MAX_REDIRECTS, url: shown(&url.to_string()) })
}

enum Answer {
    Document(Vec<u8>),
    Redirect(HttpsUrl),
}

/// Sends one request over a connection of its own, and reads the answer.
async fn ask(
    stream: Box<dyn ByteStream>,
    url: &HttpsUrl,
    accept: &'static str,
    limit: usize,
) -> Result<Answer, FetchError> {
    let broken = |error| broken(url, &error);
    let mut connection = HttpConnection::open(stream).await.map_err(broken)?;
    let response = connection.ask(request(url, accept)).await.map_err(broken)?;
    read(connection, response, url, limit).await
}

fn request(url: &HttpsUrl, accept: &'static str) -> Request<Payload> {
    Request::get(url.path_and_query())
        .header(header::HOST, url.0.authority())
        .header(header::ACCEPT, accept)
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close")
        .header(header::USER_AGENT, "epode")
        .body(Payload::none())
        .expect("an endpoint's host and path can stand in a request")
}

async fn read(
    connection: HttpConnection,
    response: Response<Incoming>,
    url: &HttpsUrl,
    limit: usize,
) -> Result<Answer, FetchError> {
    let status = response.status();
    let shown_url = || shown(&url.to_string());
    let headers = response.headers();
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            return Err(FetchError::Missing { url: shown_url(), status: status.as_u16() });
        }
        StatusCode::MOVED_PERMANENTLY
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT
        | StatusCode::PERMANENT_REDIRECT => {
            let location = text(headers, &header::LOCATION).unwrap_or_default();
            return url.follow(&location).map(Answer::Redirect);
        }
        _ => return Err(FetchError::Status { url: shown_url(), status: status.as_u16() }),
    }
    let encoding = text(headers, &header::CONTENT_ENCODING);
    match encoding.filter(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        Some(encoding) => Err(FetchError::Encoded { url: shown_url(), encoding: shown(&encoding) }),
        None => {
            let body = response.into_body();
            read_body(connection, body, url, limit).await.map(Answer::Document)
        }
    }
}

async fn read_body(
    mut connection: HttpConnection,
    body: Incoming,
    url: &HttpsUrl,
    limit: usize,
) -> Result<Vec<u8>, FetchError> {
    let too_large = || FetchError::TooLarge { url: shown(&url.to_string()), limit };
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large());
    }
    let document = connection.read(body, limit).await.map_err(|error| broken(url, &error))?;
    if document.len() > limit { Err(too_large()) } else { Ok(document) }
}

fn broken(url: &HttpsUrl, error: &hyper::Error) -> FetchError {
    FetchError::Broken { url: shown(&url.to_string()), reason: error.to_string() }
}

fn text(headers: &HeaderMap, name: &header::HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// A text of the server's, made fit to be shown: printable, and not too long.
pub(crate) fn shown(text: &str) -> String {
    let is_odd = |c: char| c.is_control() || c == '\u{fffd}';
    text.chars().map(|c| if is_odd(c) { '?' } else { c }).take(MAX_SHOWN).collect()
}

const MAX_REDIRECTS: usize = 3;
const MAX_SHOWN: usize = 256;

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::transport::{MAX_BUFFER, MAX_HEADERS};

    const LIMIT: usize = 100;

    fn url(text: &str) -> HttpsUrl {
        text.parse().unwrap()
    }

    fn here() -> HttpsUrl {
        url("https://example.org/a?b")
    }

    /// Asks a server that answers with these bytes and then closes; gives what it heard, too.
    async fn answered(bytes: &[u8]) -> (Result<Answer, FetchError>, String) {
        let (ours, mut theirs) = duplex(64 * 1024);
        let server = async move {
            let mut heard = Vec::new();
            while !heard.ends_with(b"\r\n\r\n") {
                heard.push(theirs.read_u8().await.unwrap());
            }
            // A client that has seen enough may be gone.
            let _ = theirs.write_all(bytes).await;
            let _ = theirs.shutdown().await;
            String::from_utf8(heard).unwrap()
        };
        let here = here();
        tokio::join!(ask(Box::new(ours), &here, "text/plain", LIMIT), server)
    }

    async fn error(bytes: &[u8]) -> FetchError {
        answered(bytes).await.0.err().unwrap()
    }

    #[tokio::test]
    async fn a_document_is_asked_for_and_read() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n";
        let to_the_end = b"HTTP/1.0 200 OK\r\nContent-Encoding: identity\r\n\r\nhello";
        for bytes in [&whole[..], chunked, to_the_end] {
            let (answer, heard) = answered(bytes).await;
            assert!(matches!(answer, Ok(Answer::Document(document)) if document == b"hello"));
            assert!(heard.starts_with("GET /a?b HTTP/1.1\r\nhost: example.org\r\n"), "{heard}");
            assert!(heard.contains("accept: text/plain\r\n"), "{heard}");
        }
    }

    #[tokio::test]
    async fn each_other_status_has_its_error() {
        let url = || "https://example.org/a?b".to_owned();
        for status in [404, 410] {
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            let expected = FetchError::Missing { url: url(), status };
            assert_eq!(error(answer.as_bytes()).await, expected);
        }
        for status in [204, 206, 300, 304, 401, 500] {
            let answer = format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n");
            let expected = FetchError::Status { url: url(), status };
            assert_eq!(error(answer.as_bytes()).await, expected);
        }
    }

    #[tokio::test]
    async fn what_is_too_large_is_not_read() {
        let too_large =
            FetchError::TooLarge { url: "https://example.org/a?b".to_owned(), limit: LIMIT };
        let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n";
        assert_eq!(error(announced).await, too_large);
        let mut endless = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        endless.resize(1000, b'x');
        assert_eq!(error(&endless).await, too_large);
        let mut just_right = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
        just_right.resize(just_right.len() + LIMIT, b'x');
        assert!(matches!(answered(&just_right).await.0, Ok(Answer::Document(_))));
    }

    #[tokio::test]
    async fn what_is_not_http_is_refused() {
        let mut endless_head = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        endless_head.resize(MAX_BUFFER * 2, b'x');
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(MAX_HEADERS + 1));
        for bytes in [
            &b"220 mail.example ESMTP\r\n\r\n"[..],
            b"",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
            &endless_head,
            many.as_bytes(),
        ] {
            let error = error(bytes).await;
            assert!(matches!(error, FetchError::Broken { .. }), "{error:?}");
        }
        let zipped = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b";
        let expected = FetchError::Encoded {
            url: "https://example.org/a?b".to_owned(),
            encoding: "gzip".to_owned(),
        };
        assert_eq!(error(zipped).await, expected);
    }

    #[tokio::test]
    async fn redirects_lead_to_https_or_nowhere() {
        for (location, target) in [
            ("https://www.example.org/c", "https://www.example.org/c"),
            ("HTTPS://www.example.org", "https://www.example.org/"),
            ("//www.example.org/c#top", "https://www.example.org/c"),
            ("/c", "https://example.org/c"),
            ("c", "https://example.org/c"),
        ] {
            let answer = format!("HTTP/1.1 308 x\r\nLocation: {location}\r\n\r\n");
            match answered(answer.as_bytes()).await.0 {
                Ok(Answer::Redirect(next)) => assert_eq!(next, url(target)),
                _ => panic!("{location}"),
            }
        }
        for (location, reason) in [
            ("http://example.org/c", HttpsUrlError::NotHttps),
            ("ftp://example.org/c", HttpsUrlError::NotHttps),
            ("javascript:0", HttpsUrlError::NotHttps),
            ("https://u:p@example.org/", EndpointError::UserInfo.into()),
            ("https://", EndpointError::NoHost.into()),
        ] {
            let answer = format!("HTTP/1.1 301 x\r\nLocation: {location}\r\n\r\n");
            let expected = FetchError::BadRedirect { location: location.to_owned(), reason };
            assert_eq!(error(answer.as_bytes()).await, expected);
        }
    }

    #[test]
    fn each_offence_of_a_url_has_its_error() {
        for (text, error) in [
            ("", HttpsUrlError::NotHttps),
            ("example.org", HttpsUrlError::NotHttps),
            ("http://example.org", HttpsUrlError::NotHttps),
            ("wss://example.org", HttpsUrlError::NotHttps),
            ("https://", EndpointError::NoHost.into()),
            ("https:///a", EndpointError::NoHost.into()),
            ("https://example.org:0", EndpointError::Port.into()),
            ("https://u@example.org", EndpointError::UserInfo.into()),
            ("https://example.org/#a", EndpointError::Fragment.into()),
            ("https://example.org/ b", EndpointError::Character { found: ' ' }.into()),
        ] {
            assert_eq!(text.parse::<HttpsUrl>(), Err(error), "{text}");
        }
    }

    #[test]
    fn what_servers_say_is_made_printable() {
        assert_eq!(shown("a\r\n\u{1b}[31mb"), "a???[31mb");
        assert_eq!(shown(&"x".repeat(1000)).len(), MAX_SHOWN);
        assert_eq!(
            format!("{:?}", url("https://a.example/b?secret")),
            "HttpsUrl(https://a.example/b)"
        );
    }
}
