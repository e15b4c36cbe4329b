//! Files for browsers, over HTTP in memory.

use epode_testpeer::{Server, SessionChannel};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PAGE: &[u8; 11] = b"<p>Hello</p";

fn server() -> Server {
    Server::builder("localhost")
        .web_file("/", "text/html; charset=utf-8", PAGE)
        .web_file("/data/x.json", "application/json", b"{}".to_vec())
        .build()
}

/// Head, in lower case, and body of the answer.
async fn request(method: &str, path: &str) -> (String, String) {
    let mut link = server().memory_link(SessionChannel::plaintext());
    let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    link.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    link.read_to_string(&mut answer).await.unwrap();
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
