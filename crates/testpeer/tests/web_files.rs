//! Files for browsers, over HTTP in memory.

use epode_testpeer::{ListenOptions, Server, SessionChannel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PAGE: &[u8; 11] = b"<p>Hello</p";

const KEY: &str = "9f3c";

fn server() -> Server {
    Server::builder("localhost")
        .web_file("/", "text/html; charset=utf-8", PAGE)
        .web_file("/data/x.json", "application/json", b"{}".to_vec())
        .guarded_web_file("/secret", "text/plain", b"for some", KEY)
        .build()
}

/// Head, in lower case, and body of the answer to a browser at this machine.
async fn request(method: &str, path: &str) -> (String, String) {
    ask(&server(), SessionChannel::plaintext(), &format!("{method} {path}"), "Host: localhost")
        .await
}

/// The same for a request with other headers, to another server.
async fn ask(
    server: &Server,
    channel: SessionChannel,
    what: &str,
    headers: &str,
) -> (String, String) {
    let mut link = server.memory_link(channel);
    let headers = headers.replace(" | ", "\r\n");
    let text = format!("{what} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
    link.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    if what.contains("websocket") {
        // Nobody closes what has become a WebSocket.
        let mut head = [0; 1024];
        let length = link.read(&mut head).await.unwrap();
        answer.push_str(std::str::from_utf8(&head[..length]).unwrap());
    } else {
        link.read_to_string(&mut answer).await.unwrap();
    }
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn files_are_given_with_what_keeps_pages_in_bounds() {
    for (method, path, content_type, length, content) in [
        ("GET", "/", "text/html; charset=utf-8", 11, "<p>Hello</p"),
        ("GET", "/?a=b", "text/html; charset=utf-8", 11, "<p>Hello</p"),
        ("HEAD", "/", "text/html; charset=utf-8", 11, ""),
        ("GET", "/data/x.json", "application/json", 2, "{}"),
    ] {
        let (head, body) = request(method, path).await;
        assert_eq!(body, content, "{method} {path}");
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        for header in [
            &*format!("content-type: {content_type}"),
            &*format!("content-length: {length}"),
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(head.lines().any(|line| line == header), "{header} should be in {head}");
        }
        let (_, policy) = head.split_once("content-security-policy: ").unwrap();
        let policy = policy.lines().next().unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(policy.contains("; script-src 'self' 'wasm-unsafe-eval'; "), "{policy}");
        assert!(
            !policy.contains("unsafe-inline") && !policy.contains(" 'unsafe-eval'"),
            "{policy}"
        );
        assert!(!head.contains("access-control-"), "{head}");
    }
}

#[tokio::test]
async fn what_is_no_file_is_not_found_and_no_file_is_written() {
    for (method, path, status) in [
        ("GET", "/index.html", "404"),
        ("GET", "/data", "404"),
        ("GET", "/data/../", "404"),
        ("GET", "//", "404"),
        ("HEAD", "/x", "404"),
        ("POST", "/x", "404"),
        ("POST", "/", "405"),
        ("PUT", "/", "405"),
        ("OPTIONS", "/data/x.json", "405"),
    ] {
        let (head, body) = request(method, path).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{method} {path}: {head}");
        assert_eq!(head.contains("\r\nallow: get, head"), status == "405", "{head}");
        assert!(!body.contains("Hello"), "{body}");
    }
}

#[tokio::test]
async fn a_guarded_file_is_for_those_who_have_its_key() {
    for (authorization, status, content) in [
        ("Authorization: Bearer 9f3c", "200", "for some"),
        ("Authorization: bearer 9f3c", "200", "for some"),
        ("Accept: */*", "401", NO_KEY),
        ("Authorization: Bearer 9f3", "401", NO_KEY),
        ("Authorization: Bearer 9f3cc", "401", NO_KEY),
        ("Authorization: Bearer 9F3C", "401", NO_KEY),
        ("Authorization: Basic 9f3c", "401", NO_KEY),
        ("Authorization: 9f3c", "401", NO_KEY),
    ] {
        let headers = format!("Host: localhost | {authorization}");
        let (head, body) =
            ask(&server(), SessionChannel::plaintext(), "GET /secret", &headers).await;
        assert!(head.starts_with(&format!("http/1.1 {status} ")), "{authorization}: {head}");
        assert_eq!(head.contains("\r\nwww-authenticate: bearer"), status == "401", "{head}");
        assert_eq!(body, content, "{authorization}");
    }
    let said = format!("{:?}", server());
    assert!(!said.contains(KEY) && !said.contains("for some"), "{said}");
}

#[tokio::test]
async fn the_server_has_the_names_of_this_machine_alone() {
    for (what, headers, is_taken) in [
        ("GET /", "Host: localhost", true),
        ("GET /", "Host: LOCALHOST:5280", true),
        ("GET /", "Host: 127.0.0.1:5280", true),
        ("GET /", "Host: 127.9.9.9", true),
        ("GET /", "Host: [::1]:5280", true),
        ("GET /", "Host: [::ffff:127.0.0.1]", true),
        ("GET /", "Host: 0.0.0.0:5280", true),
        ("GET http://localhost/", "Host: other.example", true),
        ("GET /", "Host: other.example", false),
        ("GET /", "Host: localhost.other.example:5280", false),
        ("GET /", "Host: 192.0.2.1", false),
        ("GET /", "Host: [2001:db8::1]", false),
        ("GET /", "Host: ", false),
        ("GET /", "Accept: */*", false),
        ("GET /", "Host: localhost | Host: localhost", false),
        ("GET http://other.example/", "Host: localhost", false),
        ("GET /secret", "Host: other.example | Authorization: Bearer 9f3c", false),
        ("GET /xmpp-websocket", "Host: other.example", false),
        ("POST /http-bind", "Host: other.example", false),
    ] {
        let (head, body) = ask(&server(), SessionChannel::plaintext(), what, headers).await;
        if is_taken {
            assert!(head.starts_with("http/1.1 200 "), "{headers}: {head}");
        } else {
            assert!(head.starts_with("http/1.1 421 "), "{what}, {headers}: {head}");
            assert_eq!(body, WRONG_HOST);
        }
    }
}

#[tokio::test]
async fn a_server_that_listens_has_that_address_as_well() {
    let running = server().listen(ListenOptions::default()).await.unwrap();
    let address = running.web_url().strip_prefix("http://").unwrap().trim_end_matches('/');
    for (host, status) in [(address, "200"), ("127.0.0.1", "200"), ("192.0.2.1", "421")] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
    }
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let plaintext = SessionChannel::plaintext;
    for (what, headers) in [
        ("GET /xmpp-websocket", HANDSHAKE),
        ("POST /http-bind", "Content-Length: 0"),
        ("OPTIONS /http-bind", "Access-Control-Request-Method: POST"),
        ("GET /data/x.json", "Accept: */*"),
    ] {
        for (origin, channel, is_own) in [
            ("http://localhost:5280", plaintext(), true),
            ("https://localhost:5280", SessionChannel::encrypted(), true),
            ("https://localhost:5280", plaintext(), false),
            ("http://localhost:5280", SessionChannel::encrypted(), false),
            ("http://localhost", plaintext(), false),
            ("http://127.0.0.1:5280", plaintext(), false),
            ("http://other.example", plaintext(), false),
            ("null", plaintext(), false),
            ("", plaintext(), false),
        ] {
            let headers = format!("Host: localhost:5280 | Origin: {origin} | {headers}");
            let (head, body) = ask(&server(), channel, what, &headers).await;
            assert_eq!(head.starts_with("http/1.1 403 "), !is_own, "{what}, {headers}: {head}");
            assert_eq!(body == WRONG_ORIGIN, !is_own, "{what}, {headers}: {body}");
            assert!(!head.contains("access-control-"), "{head}");
        }
    }
}

#[tokio::test]
async fn a_server_without_files_is_for_any_page() {
    let server = Server::builder("localhost").build();
    let headers = "Host: chat.example | Origin: https://other.example";
    let (head, _) = ask(&server, SessionChannel::plaintext(), "OPTIONS /http-bind", headers).await;
    assert!(head.starts_with("http/1.1 204 "), "{head}");
    assert!(head.contains("access-control-allow-origin: *"), "{head}");
    let headers = format!("{headers} | {HANDSHAKE}");
    let (head, _) =
        ask(&server, SessionChannel::plaintext(), "GET /xmpp-websocket", &headers).await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
}

#[tokio::test]
async fn xmpp_is_where_it_was() {
    let (head, body) = request("GET", "/http-bind").await;
    assert!(head.starts_with("http/1.1 200 ") && body.starts_with("This is BOSH"), "{head}");
    let (head, _) = request("GET", "/xmpp-websocket").await;
    assert!(head.starts_with("http/1.1 400 "), "{head}");
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    for (path, content_type, words) in [
        ("x", "text/html", "should be the path of a URL"),
        ("/a b", "text/html", "should be the path of a URL"),
        ("/?x", "text/html", "should be the path of a URL"),
        ("/http-bind", "text/html", "should not be where the server speaks XMPP"),
        ("/xmpp-websocket", "text/html", "should not be where the server speaks XMPP"),
        ("/", "text/html\r\nx: y", "should be a header's value"),
    ] {
        let build = || Server::builder("localhost").web_file(path, content_type, PAGE);
        let panic = std::panic::catch_unwind(build).unwrap_err();
        let said = panic.downcast_ref::<String>().map_or("", String::as_str);
        assert!(said.contains(words), "{path}: {said}");
    }
}

const HANDSHAKE: &str = "Upgrade: websocket | Connection: Upgrade | Sec-WebSocket-Version: 13 | \
                         Sec-WebSocket-Protocol: xmpp | Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
const NO_KEY: &str = "this file is for those who have its key: send `Authorization: Bearer KEY`\n";
const WRONG_HOST: &str = "this server is not known by that name: ask for it by localhost, or by \
                          the address that it listens at\n";
const WRONG_ORIGIN: &str = "this server has a page, and takes requests of no other site's pages: \
                            use a server without one\n";
