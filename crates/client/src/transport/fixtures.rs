//! What the tests of this folder share: plain options, and bits of servers.
//! Certificates are in `certificates`.

use tokio::io::{AsyncRead, AsyncReadExt};

use super::{endpoint::Endpoint, options::TransportOptions, proxy::ProxySettings};

/// Options that hear nothing of the environment.
pub(super) fn options() -> TransportOptions {
    TransportOptions::new().with_proxies(ProxySettings::none())
}

pub(super) fn endpoint(url: &str) -> Endpoint {
    url.parse().unwrap()
}

/// Reads an HTTP request up to its empty line.
pub(super) async fn read_request<S: AsyncRead + Unpin>(stream: &mut S) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(request).unwrap()
}
