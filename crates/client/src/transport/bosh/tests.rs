//! What goes over HTTP: a server of a few lines on loopback ports answers by the script.

use std::future::poll_fn;

use rustls::DEFAULT_VERSIONS;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::Notify,
};

use super::*;
use crate::{
    ProxySettings, TlsOptions,
    transport::{
        certificates::{Authority, accept},
        fixtures::{endpoint, options, read_request},
    },
};

const OPEN: &[u8] = b"<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.org'/>";
const CREATED: &str = "<body xmlns='http://jabber.org/protocol/httpbind' sid='a1' wait='60'/>";
const MESSAGE: &str = "<body xmlns='http://jabber.org/protocol/httpbind'>\
     <message xmlns='jabber:client'/></body>";

async fn listen() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// Reads a request, and gives its head and its body.
async fn hear<S: AsyncRead + Unpin>(stream: &mut S) -> (String, String) {
    let head = read_request(stream).await;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.expect("it has a length").parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, String::from_utf8(body).unwrap())
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, headers: &str, body: &str) {
    let length = body.len();
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    stream.write_all(answer.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

async fn connect(url: &str, options: &TransportOptions) -> Result<(Bosh, Channel), TransportError> {
    let deadline = Deadline::after(options.timeout());
    Bosh::connect(&endpoint(url), options, deadline).await
}

/// The next frame or the end, whatever else happens.
async fn next(bosh: &mut Bosh) -> Result<Option<Vec<u8>>, TransportError> {
    loop {
        if let News::Received(received) = poll_fn(|cx| bosh.poll_exchange(cx, true)).await {
            return received;
        }
    }
}

#[tokio::test]
async fn requests_carry_what_was_set_and_what_the_server_set() {
    let (listener, port) = listen().await;
    let client = async {
        let options = options().with_header("Origin", "https://chat.example").unwrap();
        let options = options.with_header("Cookie", "mine=1").unwrap();
        let url = format!("http://127.0.0.1:{port}/bind?a=b");
        let (mut bosh, channel) = connect(&url, &options).await.unwrap();
        assert_eq!(channel, Channel::loopback());
        bosh.queue(OPEN).unwrap();
        assert!(next(&mut bosh).await.unwrap().unwrap().starts_with(b"<open "));
        bosh.queue(b"<presence xmlns='jabber:client'/>").unwrap();
        assert_eq!(next(&mut bosh).await, Ok(Some(b"<message xmlns='jabber:client'/>".to_vec())));
    };
    let server = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let (head, body) = hear(&mut stream).await;
        assert!(head.starts_with("POST /bind?a=b HTTP/1.1\r\n"), "{head}");
        for header in [
            format!("host: 127.0.0.1:{port}\r\n"),
            "content-type: text/xml; charset=utf-8\r\n".to_owned(),
            "origin: https://chat.example\r\n".to_owned(),
            "cookie: mine=1\r\n".to_owned(),
        ] {
            assert!(head.contains(&header), "{header} {head}");
        }
        assert!(body.starts_with("<body ") && body.contains("to='example.org'"), "{body}");
        say(&mut stream, "Set-Cookie: route=b2; Path=/\r\n", CREATED).await;
        // The same connection, since it was kept.
        let (head, body) = hear(&mut stream).await;
        assert!(head.contains("cookie: mine=1; route=b2\r\n"), "{head}");
        assert!(body.contains("sid='a1'") && body.contains("<presence"), "{body}");
        say(&mut stream, "", MESSAGE).await;
        stream
    };
    let (_stream, ()) = tokio::join!(server, client);
}

/// A connection that was closed meanwhile costs another one, and neither time nor an attempt.
#[tokio::test]
async fn a_connection_that_was_not_kept_is_made_anew() {
    let (listener, port) = listen().await;
    let client = async {
        let once = epode_proto::bosh::Options::default().attempts(1);
        let options = options().with_bosh(once);
        let (mut bosh, _) = connect(&format!("http://127.0.0.1:{port}"), &options).await.unwrap();
        bosh.queue(OPEN).unwrap();
        next(&mut bosh).await.unwrap();
        bosh.queue(b"<presence xmlns='jabber:client'/>").unwrap();
        assert!(next(&mut bosh).await.unwrap().is_some());
    };
    let server = async {
        let (mut first, _) = listener.accept().await.unwrap();
        hear(&mut first).await;
        say(&mut first, "", CREATED).await;
        drop(first);
        let (mut second, _) = listener.accept().await.unwrap();
        let (_, body) = hear(&mut second).await;
        assert!(body.contains("<presence"), "{body}");
        say(&mut second, "Connection: close\r\n", MESSAGE).await;
        second
    };
    let (_second, ()) = tokio::join!(server, client);
}

#[tokio::test]
async fn what_does_not_speak_http_is_told_at_once() {
    let (listener, port) = listen().await;
    let client = async {
        let url = format!("http://127.0.0.1:{port}/http-bind?secret");
        let (mut bosh, _) = connect(&url, &options()).await.unwrap();
        bosh.queue(OPEN).unwrap();
        let error = next(&mut bosh).await.unwrap_err();
        let TransportError::NotHttp { url, .. } = error else { panic!("{error}") };
        assert_eq!(url, format!("http://127.0.0.1:{port}/http-bind"));
    };
    let server = async {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            // A client that has seen enough may be gone.
            let _ = stream.write_all(b"220 mail.example ESMTP\r\n\r\n").await;
        }
    };
    tokio::select! {
        () = client => {}
        () = server => {}
    }
}

/// The login may be bound to the certificate of the first connection.
#[tokio::test]
async fn a_later_connection_must_show_the_same_certificate() {
    for changes in [false, true] {
        let (listener, port) = listen().await;
        let authority = Authority::new();
        let (first, other) =
            (authority.issue("localhost", YEARS), authority.issue("localhost", YEARS));
        let client = async {
            let tls = TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap();
            let url = format!("https://localhost:{port}/http-bind");
            let (mut bosh, channel) = connect(&url, &options().with_tls(tls)).await.unwrap();
            let bindings: Vec<_> = channel.bindings().iter().map(|it| it.kind()).collect();
            assert_eq!(bindings, [epode_sasl::BindingType::TlsServerEndPoint]);
            bosh.queue(OPEN).unwrap();
            next(&mut bosh).await.unwrap();
            bosh.queue(b"<presence xmlns='jabber:client'/>").unwrap();
            let peer = Peer::server("localhost".to_owned(), port);
            match next(&mut bosh).await {
                Ok(Some(_)) => assert!(!changes),
                other => {
                    assert!(changes);
                    assert_eq!(other, Err(TransportError::CertificateChanged { peer }));
                }
            }
        };
        let server = async {
            let (tcp, _) = listener.accept().await.unwrap();
            let config = first.server(None, DEFAULT_VERSIONS);
            let (mut stream, _) = accept(config, tcp).await.unwrap();
            hear(&mut stream).await;
            say(&mut stream, "Connection: close\r\n", CREATED).await;
            drop(stream);
            let (tcp, _) = listener.accept().await.unwrap();
            let second = if changes { &other } else { &first };
            let config = second.server(None, DEFAULT_VERSIONS);
            let (mut stream, _) = accept(config, tcp).await.unwrap();
            if !changes {
                hear(&mut stream).await;
                say(&mut stream, "", MESSAGE).await;
            }
            stream
        };
        let (_stream, ()) = tokio::join!(server, client);
    }
}

/// What waits for a connection waits for nothing else, and no clock is asked again and again.
#[tokio::test]
async fn nothing_is_due_while_a_connection_is_being_made() {
    let (listener, port) = listen().await;
    let authority = Authority::new();
    let issued = authority.issue("localhost", YEARS);
    let (is_held, is_connecting) = (Notify::new(), Notify::new());
    let client = async {
        let tls = TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap();
        let url = format!("https://localhost:{port}/http-bind");
        let (mut bosh, _) = connect(&url, &options().with_tls(tls)).await.unwrap();
        bosh.queue(OPEN).unwrap();
        next(&mut bosh).await.unwrap();
        for moment in [&is_held, &is_connecting] {
            tokio::select! {
                biased;
                () = moment.notified() => {}
                news = next(&mut bosh) => panic!("{news:?}"),
            }
            bosh.queue(b"<presence xmlns='jabber:client'/>").unwrap();
        }
        while poll_fn(|cx| Poll::Ready(bosh.poll_exchange(cx, true).is_ready())).await {}
        assert_eq!(bosh.due(), None);
    };
    let server = async {
        let (tcp, _) = listener.accept().await.unwrap();
        let (mut stream, _) = accept(issued.server(None, DEFAULT_VERSIONS), tcp).await.unwrap();
        hear(&mut stream).await;
        say(&mut stream, "", CREATED).await;
        hear(&mut stream).await;
        is_held.notify_one();
        let silent = listener.accept().await.unwrap();
        is_connecting.notify_one();
        std::future::pending::<()>().await;
        drop((stream, silent));
    };
    tokio::select! {
        () = client => {}
        () = server => {}
    }
}

#[tokio::test]
async fn each_connection_goes_through_the_proxy() {
    let (listener, port) = listen().await;
    let client = async {
        let proxy = format!("http://127.0.0.1:{port}").parse().unwrap();
        let options = options().with_proxies(ProxySettings::through(proxy));
        let (mut bosh, channel) = connect("http://chat.example.org/bind", &options).await.unwrap();
        assert_eq!(channel, Channel::plaintext());
        bosh.queue(OPEN).unwrap();
        next(&mut bosh).await.unwrap();
        bosh.queue(b"<presence xmlns='jabber:client'/>").unwrap();
        assert!(next(&mut bosh).await.unwrap().is_some());
    };
    let server = async {
        for answer in [CREATED, MESSAGE] {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_request(&mut stream).await;
            assert!(request.starts_with("CONNECT chat.example.org:80 HTTP/1.1\r\n"), "{request}");
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            hear(&mut stream).await;
            say(&mut stream, "Connection: close\r\n", answer).await;
        }
    };
    tokio::join!(server, client);
}

#[tokio::test]
async fn a_content_type_that_is_none_is_seen_before_anything_is_sent() {
    let odd = epode_proto::bosh::Options::default().content_type("text/xml\r\nX: y");
    let error = connect("http://example.org/", &options().with_bosh(odd)).await.map(|_| ());
    let found = "text/xml\r\nX: y".to_owned();
    assert_eq!(error, Err(TransportError::ContentType { found }));
}

const YEARS: (i32, i32) = (2020, 2100);
