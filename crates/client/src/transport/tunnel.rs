//! The talk with a proxy until it is a tunnel: HTTP CONNECT and SOCKS5.
//! Which proxy is used, and whether one is, has been decided in `proxy`.

use std::{io, net::IpAddr};

use base64ct::{Base64, Encoding};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_socks::{TargetAddr, tcp::Socks5Stream};
use zeroize::Zeroizing;

use super::{
    dial::{self, Deadline},
    error::TransportError,
    peer::{IoFailure, Peer, Phase},
    proxy::{Credentials, Proxy, ProxyKind},
};
use crate::resolver::Resolver;

/// Asks `proxy`, to which `stream` leads, for a tunnel to `target`.
pub(super) async fn open<S>(
    stream: S,
    proxy: &Proxy,
    target: &Peer,
    resolver: &dyn Resolver,
    deadline: Deadline,
) -> Result<S, TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let address = match proxy.kind() {
        ProxyKind::Http => {
            let asked = connect(stream, proxy, target);
            return deadline.bound(Phase::Proxy, proxy.peer(), asked).await;
        }
        ProxyKind::Socks5 => TargetAddr::Ip(dial::resolve(target, resolver, deadline).await?[0]),
        ProxyKind::Socks5h => match target.host().parse::<IpAddr>() {
            Ok(ip) => TargetAddr::Ip((ip, target.port()).into()),
            Err(_) => TargetAddr::Domain(target.host().into(), target.port()),
        },
    };
    let asked = socks5(stream, proxy, target, address);
    deadline.bound(Phase::Proxy, proxy.peer(), asked).await
}

/// HTTP CONNECT (RFC 9110, section 9.3.6).
async fn connect<S>(mut stream: S, proxy: &Proxy, target: &Peer) -> Result<S, TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let broken = |error: io::Error| lost(proxy, &error);
    stream.write_all(&connect_request(target, proxy.credentials())).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let head = read_head(&mut stream, proxy).await?;
    match status(&head) {
        Some(200..=299) => Ok(stream),
        Some(407) => Err(TransportError::ProxyLogin { proxy: proxy.peer().clone() }),
        Some(status) => Err(TransportError::ProxyStatus {
            proxy: proxy.peer().clone(),
            target: target.clone(),
            status,
        }),
        None => Err(garbled(proxy)),
    }
}

fn connect_request(target: &Peer, credentials: Option<&Credentials>) -> Zeroizing<Vec<u8>> {
    let authority = target.authority();
    let login = credentials.map(|Credentials { user, password }| {
        let mut pair = Zeroizing::new(Vec::with_capacity(user.len() + 1 + password.len()));
        pair.extend_from_slice(user.as_bytes());
        pair.push(b':');
        pair.extend_from_slice(password.as_bytes());
        Zeroizing::new(Base64::encode_string(&pair))
    });
    let login = login.as_ref().map_or("", |login| login.as_str());
    // With room for everything, so that growing leaves no copy of the login behind.
    let room = 2 * authority.len() + login.len() + 128;
    let mut request = Zeroizing::new(Vec::with_capacity(room));
    for part in ["CONNECT ", &authority, " HTTP/1.1\r\nHost: ", &authority, "\r\n"] {
        request.extend_from_slice(part.as_bytes());
    }
    if !login.is_empty() {
        for part in ["Proxy-Authorization: Basic ", login, "\r\n"] {
            request.extend_from_slice(part.as_bytes());
        }
    }
    request.extend_from_slice(b"\r\n");
    request
}

/// Reads up to the empty line. Nothing may follow it: no server behind the tunnel speaks first.
async fn read_head<S>(stream: &mut S, proxy: &Proxy) -> Result<Vec<u8>, TransportError>
where
    S: AsyncRead + Unpin,
{
    let mut head = Vec::with_capacity(512);
    while head.len() < MAX_HEAD {
        let room = (MAX_HEAD - head.len()) as u64;
        let mut part = (&mut *stream).take(room);
        match part.read_buf(&mut head).await {
            Ok(0) => return Err(dropped(proxy)),
            Ok(_) => {}
            Err(error) => return Err(lost(proxy, &error)),
        }
        if !b"HTTP/1.".starts_with(&head[..head.len().min(7)]) {
            return Err(garbled(proxy));
        }
        let Some(end) = head.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        // A refusal may have a body; what follows an agreement is the tunnel's.
        if end + 4 < head.len() && matches!(status(&head), Some(200..=299)) {
            return Err(TransportError::ProxyIntruded { proxy: proxy.peer().clone() });
        }
        return Ok(head);
    }
    Err(TransportError::ProxyTooLong { proxy: proxy.peer().clone(), limit: MAX_HEAD })
}

/// The status in `HTTP/1.1 200 Connection established`.
fn status(head: &[u8]) -> Option<u16> {
    let rest = head.strip_prefix(b"HTTP/1.1 ").or_else(|| head.strip_prefix(b"HTTP/1.0 "))?;
    let (digits, rest) = rest.split_first_chunk::<3>()?;
    let ended = matches!(rest.first(), Some(b' ' | b'\r'));
    let digits = str::from_utf8(digits).ok().filter(|_| ended)?;
    digits.parse().ok().filter(|status| (100..=599).contains(status))
}

/// SOCKS5 (RFC 1928), with a user name and password (RFC 1929) if the proxy's URL has them.
async fn socks5<S>(
    stream: S,
    proxy: &Proxy,
    target: &Peer,
    address: TargetAddr<'_>,
) -> Result<S, TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let tunnel = match proxy.credentials() {
        None => Socks5Stream::connect_with_socket(stream, address).await,
        Some(Credentials { user, password }) => {
            Socks5Stream::connect_with_password_and_socket(stream, address, user, password).await
        }
    };
    match tunnel {
        Ok(tunnel) => Ok(tunnel.into_inner()),
        Err(error) => Err(socks5_error(proxy, target, error)),
    }
}

fn socks5_error(proxy: &Proxy, target: &Peer, error: tokio_socks::Error) -> TransportError {
    use tokio_socks::Error;

    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => dropped(proxy),
        Error::Io(error) => lost(proxy, &error),
        Error::NoAcceptableAuthMethods
        | Error::AuthorizationRequired
        | Error::InvalidAuthValues(_)
        | Error::PasswordAuthFailure(_) => {
            TransportError::ProxyLogin { proxy: proxy.peer().clone() }
        }
        Error::InvalidResponseVersion
        | Error::UnknownAuthMethod
        | Error::InvalidReservedByte
        | Error::UnknownAddressType => garbled(proxy),
        other => TransportError::ProxyRefused {
            proxy: proxy.peer().clone(),
            target: target.clone(),
            reason: other.to_string(),
        },
    }
}

fn garbled(proxy: &Proxy) -> TransportError {
    let protocol = match proxy.kind() {
        ProxyKind::Http => "HTTP",
        ProxyKind::Socks5 | ProxyKind::Socks5h => "SOCKS5",
    };
    TransportError::ProxyGarbled { proxy: proxy.peer().clone(), protocol }
}

fn dropped(proxy: &Proxy) -> TransportError {
    TransportError::Dropped { peer: proxy.peer().clone(), phase: Phase::Proxy }
}

fn lost(proxy: &Proxy, error: &io::Error) -> TransportError {
    let failure = IoFailure::from(error);
    TransportError::Lost { peer: proxy.peer().clone(), phase: Phase::Proxy, failure }
}

/// The most that a proxy's answer to CONNECT may take, in bytes.
const MAX_HEAD: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::duplex;

    use super::*;
    use crate::resolver::SystemResolver;

    fn target() -> Peer {
        Peer::server("chat.example.org".to_owned(), 443)
    }

    /// Opens a tunnel through a proxy that answers the first words with `answer`; gives the result
    /// and what the proxy heard in all.
    async fn ask(url: &str, answers: &[&[u8]]) -> (Result<(), TransportError>, Vec<u8>) {
        ask_for(url, &target(), answers).await
    }

    async fn ask_for(
        url: &str,
        target: &Peer,
        answers: &[&[u8]],
    ) -> (Result<(), TransportError>, Vec<u8>) {
        let proxy: Proxy = url.parse().unwrap();
        let (ours, mut theirs) = duplex(64 * 1024);
        let deadline = Deadline::after(Duration::from_secs(60));
        let play = async move {
            let mut heard = Vec::new();
            for answer in answers {
                theirs.read_buf(&mut heard).await.unwrap();
                theirs.write_all(answer).await.unwrap();
            }
            theirs.shutdown().await.unwrap();
            theirs.read_to_end(&mut heard).await.unwrap();
            heard
        };
        let opened =
            async { open(ours, &proxy, target, &SystemResolver, deadline).await.map(drop) };
        tokio::join!(opened, play)
    }

    fn proxy() -> Peer {
        Peer::proxy("p".to_owned(), 3128)
    }

    #[tokio::test]
    async fn connect_asks_for_the_target_and_is_granted() {
        let (result, heard) = ask("http://p:3128", &[b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"]).await;
        assert_eq!(result, Ok(()));
        assert_eq!(
            String::from_utf8(heard).unwrap(),
            "CONNECT chat.example.org:443 HTTP/1.1\r\nHost: chat.example.org:443\r\n\r\n"
        );
        let v6 = Peer::server("2001:db8::1".to_owned(), 5281);
        let (result, heard) = ask_for("http://p:3128", &v6, &[b"HTTP/1.0 204\r\n\r\n"]).await;
        assert_eq!(result, Ok(()));
        assert!(heard.starts_with(b"CONNECT [2001:db8::1]:5281 HTTP/1.1\r\n"));
    }

    #[tokio::test]
    async fn connect_logs_in_with_basic_credentials() {
        let (result, heard) =
            ask("http://us%20er:p%3Aw@p:3128", &[b"HTTP/1.1 200 OK\r\n\r\n"]).await;
        assert_eq!(result, Ok(()));
        let heard = String::from_utf8(heard).unwrap();
        // "us er:p:w"
        assert!(heard.ends_with("\r\nProxy-Authorization: Basic dXMgZXI6cDp3\r\n\r\n"), "{heard}");
    }

    #[tokio::test]
    async fn connect_refusals_are_named() {
        let error = |answer: &'static [u8]| async move {
            ask("http://u:hunter2@p:3128", &[answer]).await.0.unwrap_err()
        };
        let login = error(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\nbody").await;
        assert_eq!(login, TransportError::ProxyLogin { proxy: proxy() });
        assert!(!format!("{login} {login:?}").contains("hunter2"));
        for (answer, status) in [
            (&b"HTTP/1.1 403 Forbidden\r\n\r\n<html>"[..], 403),
            (b"HTTP/1.1 502 Bad Gateway\r\nA: b\r\n\r\n", 502),
            (b"HTTP/1.1 302 Found\r\nLocation: http://x\r\n\r\n", 302),
            (b"HTTP/1.1 100 Continue\r\n\r\n", 100),
        ] {
            let expected = TransportError::ProxyStatus { proxy: proxy(), target: target(), status };
            assert_eq!(error(answer).await, expected);
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_not_http_is_refused() {
        let garbled = TransportError::ProxyGarbled { proxy: proxy(), protocol: "HTTP" };
        for answer in [
            &b"\x05\x00"[..],
            b"220 mail.example ESMTP\r\n",
            b"HTTP/2 200\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\n\r\n",
            b"HTTP/1.1 abc\r\n\r\n",
            b"HTTP/1.1 099 x\r\n\r\n",
            b"HTTP/1.1 \r\n\r\n",
        ] {
            let (result, _) = ask("http://p:3128", &[answer]).await;
            assert_eq!(result, Err(garbled.clone()), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn an_answer_without_end_is_refused() {
        let mut endless = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        endless.resize(MAX_HEAD + 1, b'x');
        let (result, _) = ask("http://p:3128", &[&endless]).await;
        let expected = TransportError::ProxyTooLong { proxy: proxy(), limit: MAX_HEAD };
        assert_eq!(result, Err(expected));

        let (result, _) = ask("http://p:3128", &[b"HTTP/1.1 200 OK\r\n"]).await;
        let expected = TransportError::Dropped { peer: proxy(), phase: Phase::Proxy };
        assert_eq!(result, Err(expected));
    }

    #[tokio::test]
    async fn a_proxy_may_not_speak_into_the_tunnel() {
        let (result, _) = ask("http://p:3128", &[b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 "]).await;
        assert_eq!(result, Err(TransportError::ProxyIntruded { proxy: proxy() }));
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_proxy_is_not_waited_for_for_ever() {
        for url in ["http://p:3128", "socks5h://p:3128"] {
            let (ours, _theirs) = duplex(1024);
            let deadline = Deadline::after(Duration::from_secs(5));
            let proxy = url.parse().unwrap();
            let result = open(ours, &proxy, &target(), &SystemResolver, deadline).await;
            let peer = Peer::proxy("p".to_owned(), 3128);
            let expected = TransportError::TimedOut { phase: Phase::Proxy, peer };
            assert_eq!(result.err(), Some(expected), "{url}");
        }
    }

    #[tokio::test]
    async fn socks5h_passes_the_name_on() {
        let granted: [&[u8]; 2] = [b"\x05\x00", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x01\xbb"];
        let (result, heard) = ask("socks5h://p:3128", &granted).await;
        assert_eq!(result, Ok(()));
        assert_eq!(heard, b"\x05\x01\x00\x05\x01\x00\x03\x10chat.example.org\x01\xbb");
    }

    #[tokio::test]
    async fn socks5_passes_an_address_on() {
        let granted: [&[u8]; 2] = [b"\x05\x00", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x01\xbb"];
        for url in ["socks5://p:3128", "socks5h://p:3128"] {
            let target = Peer::server("10.1.2.3".to_owned(), 443);
            let (result, heard) = ask_for(url, &target, &granted).await;
            assert_eq!(result, Ok(()));
            assert_eq!(heard, b"\x05\x01\x00\x05\x01\x00\x01\x0a\x01\x02\x03\x01\xbb", "{url}");
        }
    }

    #[tokio::test]
    async fn socks5_logs_in_when_it_has_credentials() {
        let granted: [&[u8]; 3] =
            [b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x01\xbb"];
        let (result, heard) = ask("socks5h://user:pass@p:3128", &granted).await;
        assert_eq!(result, Ok(()));
        let login = b"\x01\x04user\x04pass";
        assert!(heard.windows(login.len()).any(|window| window == login));

        let denied: [&[u8]; 2] = [b"\x05\x02", b"\x01\x01"];
        let login = Err(TransportError::ProxyLogin { proxy: proxy() });
        assert_eq!(ask("socks5h://user:hunter2@p:3128", &denied).await.0, login);
        assert_eq!(ask("socks5h://p:3128", &[b"\x05\xff"]).await.0, login);
    }

    #[tokio::test]
    async fn socks5_refusals_are_named() {
        let refused: [&[u8]; 2] = [b"\x05\x00", b"\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"];
        let expected = TransportError::ProxyRefused {
            proxy: proxy(),
            target: target(),
            reason: "Connection refused".to_owned(),
        };
        assert_eq!(ask("socks5h://p:3128", &refused).await.0, Err(expected));

        let garbled = TransportError::ProxyGarbled { proxy: proxy(), protocol: "SOCKS5" };
        let (result, _) = ask("socks5h://p:3128", &[b"HTTP/1.1 400 Bad Request\r\n\r\n"]).await;
        assert_eq!(result, Err(garbled));

        let dropped = TransportError::Dropped { peer: proxy(), phase: Phase::Proxy };
        assert_eq!(ask("socks5h://p:3128", &[b"\x05"]).await.0, Err(dropped));
    }
}
