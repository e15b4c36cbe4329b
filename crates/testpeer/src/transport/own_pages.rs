//! Keeps a server with a page to itself: requests by another name, and those of other sites' pages.
//!
//! Leaves out programs that are no browser: they send no `Origin`, and log in as anybody does.

use std::net::IpAddr;

use hyper::header::{HOST, ORIGIN};
use hyper::http::uri::Authority;
use hyper::{Request, StatusCode};

/// Whose requests a connection's server takes.
pub(super) struct OwnPages {
    pub(super) is_encrypted: bool,
    /// The address that the client has connected to, if it has one.
    pub(super) address: Option<IpAddr>,
}

impl OwnPages {
    /// Whether a request may be answered; the answer to it otherwise.
    pub(super) fn admit<B>(&self, request: &Request<B>) -> Result<(), (StatusCode, &'static str)> {
        let Some(host) = host(request).filter(|host| self.is_ours(host)) else {
            return Err((StatusCode::MISDIRECTED_REQUEST, WRONG_HOST));
        };
        let scheme = if self.is_encrypted { "https" } else { "http" };
        let own = format!("{scheme}://{host}");
        let is_own = |origin: &[u8]| origin.eq_ignore_ascii_case(own.as_bytes());
        if request.headers().get_all(ORIGIN).iter().all(|origin| is_own(origin.as_bytes())) {
            return Ok(());
        }
        Err((StatusCode::FORBIDDEN, WRONG_ORIGIN))
    }

    /// Any other name may be one that somebody else has had lead to this machine.
    fn is_ours(&self, host: &Authority) -> bool {
        let name = host.host();
        let literal = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
        let is_ours = |address: IpAddr| {
            let address = address.to_canonical();
            let is_local = address.is_loopback() || address.is_unspecified();
            is_local || self.address.is_some_and(|own| own.to_canonical() == address)
        };
        name.eq_ignore_ascii_case("localhost") || literal.unwrap_or(name).parse().is_ok_and(is_ours)
    }
}

/// The one name by which a request asks for the server (RFC 9112, section 3.2).
fn host<B>(request: &Request<B>) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let (host, None) = (hosts.next()?, hosts.next()) else { return None };
    host.to_str().ok()?.parse().ok()
}

const WRONG_HOST: &str = "this server is not known by that name: ask for it by localhost, or by \
                          the address that it listens at\n";
const WRONG_ORIGIN: &str = "this server has a page, and takes requests of no other site's pages: \
                            use a server without one\n";
