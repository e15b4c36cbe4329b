//! What can go wrong between a URL and a connection that carries XMPP.
//! Mistakes in what the caller set up have errors of their own, beside what they speak about.

use std::net::SocketAddr;

use epode_proto::bosh;

use super::{
    peer::{CertificateProblem, IoFailure, Peer, Phase},
    proxy::ProxyError,
    tls_options::TlsError,
};

/// Why there is no connection, or no longer one. Names the place and the remedy, never a secret.
///
/// Equal errors mean equal offences, so a test can ask for the exact one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// The host name has no address.
    #[error("{peer} has no address ({reason}); check the host name, and that names resolve here")]
    Unresolved {
        /// Whose name was looked up.
        peer: Peer,
        /// What the system says.
        reason: String,
    },
    /// Each address answered, and none of them listens on that port.
    #[error(
        "{peer} refused the connection (tried {}); check the port, and that it is running",
        list(tried)
    )]
    Refused {
        /// Who refused.
        peer: Peer,
        /// The addresses, in the order tried.
        tried: Vec<SocketAddr>,
    },
    /// No address could be connected to, and not only because of refusals.
    #[error("cannot reach {peer} (tried {}): {failure}; check the network on the way", list(tried))]
    Unreachable {
        /// Who was not reached.
        peer: Peer,
        /// The addresses, in the order tried.
        tried: Vec<SocketAddr>,
        /// What happened at the last of them.
        failure: IoFailure,
    },
    /// Something took longer than [`TransportOptions`](super::TransportOptions) allow.
    #[error("{peer}: timed out {phase}; try again, or allow more time")]
    TimedOut {
        /// What was going on.
        phase: Phase,
        /// Who was waited for.
        peer: Peer,
    },

    /// The environment names a proxy that cannot be used.
    #[error(transparent)]
    ProxySetting(#[from] ProxyError),
    /// The proxy wants a login, or another one.
    #[error("{proxy} wants a valid login; put user:password@ before its host in the proxy URL")]
    ProxyLogin {
        /// The proxy.
        proxy: Peer,
    },
    /// An HTTP proxy answered CONNECT with a status outside 200 to 299.
    #[error("{proxy} answered {status} when asked for {target}; ask who runs it, or set NO_PROXY")]
    ProxyStatus {
        /// The proxy.
        proxy: Peer,
        /// Where the tunnel should have led.
        target: Peer,
        /// The HTTP status.
        status: u16,
    },
    /// A SOCKS5 proxy refused the tunnel or could not build it.
    #[error("{proxy} gave no way to {target}: {reason}; ask who runs it, or set NO_PROXY")]
    ProxyRefused {
        /// The proxy.
        proxy: Peer,
        /// Where the tunnel should have led.
        target: Peer,
        /// The reason that the proxy gave, in SOCKS terms.
        reason: String,
    },
    /// The proxy's answer is not of the protocol that its URL names.
    #[error("{proxy} does not speak {protocol}; check the scheme and port of the proxy URL")]
    ProxyGarbled {
        /// The proxy.
        proxy: Peer,
        /// `HTTP` or `SOCKS5`.
        protocol: &'static str,
    },
    /// The head of the proxy's answer does not end.
    #[error("{proxy} sent an answer longer than {limit} bytes; check the proxy URL")]
    ProxyTooLong {
        /// The proxy.
        proxy: Peer,
        /// The limit in bytes.
        limit: usize,
    },
    /// The proxy sent data before the tunnel carried any of ours, which no server behind it does.
    #[error("{proxy} put data of its own into the tunnel; it cannot be used for this")]
    ProxyIntruded {
        /// The proxy.
        proxy: Peer,
    },

    /// The TLS options make no configuration.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The server's certificate was not accepted.
    #[error("{peer}: {problem}")]
    Certificate {
        /// Whose certificate.
        peer: Peer,
        /// What is wrong with it.
        problem: CertificateProblem,
    },
    /// What answers there does not speak TLS.
    #[error("{peer} does not speak TLS; check the port and scheme of the URL, or the way to it")]
    NotTls {
        /// Who answered.
        peer: Peer,
    },
    /// The server broke TLS off and named a reason.
    #[error("{peer} ended TLS with the alert {alert}; see its log, and what it asks of clients")]
    TlsAlert {
        /// Who sent the alert.
        peer: Peer,
        /// The alert's name, as `HandshakeFailure` or `CertificateRequired`.
        alert: String,
    },
    /// The server speaks TLS 1.2 without extended master secret (RFC 7627): whoever stands between
    /// could give two connections the same keys, and relay a login that is bound to them. See
    /// [`TlsOptions::danger_allow_legacy_master_secret`](crate::TlsOptions::danger_allow_legacy_master_secret).
    #[error("{peer} has TLS 1.2 without extended master secret; update it, or allow that to it")]
    LegacyMasterSecret {
        /// Whose TLS it is.
        peer: Peer,
    },
    /// TLS failed in some other way.
    #[error("{peer}: TLS failed: {reason}; check the TLS versions and ciphers that it allows")]
    TlsFailed {
        /// With whom.
        peer: Peer,
        /// What the TLS library found.
        reason: String,
    },

    /// TLS was to begin on a connection that is no plain byte stream, or no longer one.
    #[error("the connection to {peer} cannot change to TLS; only a plain TCP one can, and once")]
    NotPlain {
        /// To whom it is.
        peer: Peer,
    },

    /// The answer to the WebSocket handshake is a redirect, which is never followed: it could lead
    /// a login to another host, or out of TLS.
    #[error("{url} redirects ({status}) to {}; use that URL if you trust it", shown(location))]
    Redirected {
        /// The URL asked for, without its query.
        url: String,
        /// The HTTP status, 300 to 399.
        status: u16,
        /// The `Location` header, made printable and cut off at 256 characters.
        location: Option<String>,
    },
    /// The answer to the WebSocket handshake has another status than 101.
    #[error("{url} answered HTTP status {status}, not with a WebSocket; {}", advice(*status))]
    HttpStatus {
        /// The URL asked for, without its query.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// What answers there does not speak HTTP, or opens a WebSocket in a wrong way.
    #[error("{url} is no WebSocket service ({reason}); check host, port and path of the URL")]
    NotWebSocket {
        /// The URL asked for, without its query.
        url: String,
        /// What was wrong with the answer.
        reason: String,
    },
    /// The server opened a WebSocket, but not one for XMPP (RFC 7395, section 3.1).
    #[error("{url} is a WebSocket service, but not for XMPP; check the path of the URL")]
    NoSubprotocol {
        /// The URL asked for, without its query.
        url: String,
    },
    /// The server chose a subprotocol that was not offered to it.
    #[error("{url} chose another subprotocol than xmpp; check the path of the URL")]
    WrongSubprotocol {
        /// The URL asked for, without its query.
        url: String,
    },

    /// What answers there does not speak HTTP.
    #[error("{url} is no BOSH service ({reason}); check host, port and path of the URL")]
    NotHttp {
        /// The URL asked for, without its query.
        url: String,
        /// What was wrong with the answer.
        reason: String,
    },
    /// The BOSH session ended, or never was.
    #[error(transparent)]
    Bosh(#[from] bosh::End),
    /// A later connection of a BOSH session shows another certificate than the first, to which the
    /// login may be bound.
    #[error("{peer} shows another certificate than before; connect again if it was renewed")]
    CertificateChanged {
        /// Who shows it.
        peer: Peer,
    },
    /// The content type that was set for BOSH cannot stand in an HTTP header.
    #[error("{found:?} is no content type; write one as text/xml; charset=utf-8")]
    ContentType {
        /// What was set.
        found: String,
    },
    /// A stanza is too large for a request of BOSH.
    #[error("it has {size} bytes, and a BOSH request may have {limit}; send less, or allow more")]
    FrameTooLarge {
        /// Its bytes.
        size: usize,
        /// How many there may be.
        limit: usize,
    },
    /// BOSH was to be spoken over one stream of the caller's.
    #[error("BOSH needs connections of its own; give the endpoint without a stream")]
    OneStream,

    /// The connection broke.
    #[error("{peer}: connection lost {phase}: {failure}; connect again")]
    Lost {
        /// To whom.
        peer: Peer,
        /// What was going on.
        phase: Phase,
        /// What the system says.
        failure: IoFailure,
    },
    /// The peer closed the connection without saying so first.
    #[error("{peer} closed the connection {phase}, without a word; see its log, or connect again")]
    Dropped {
        /// Who closed.
        peer: Peer,
        /// What was going on.
        phase: Phase,
    },
    /// A binary frame, which XMPP has no use for (RFC 7395, section 3.2).
    #[error(
        "{peer} sent a binary WebSocket frame, which XMPP does not allow; the server is at fault"
    )]
    BinaryFrame {
        /// Who sent it.
        peer: Peer,
    },
    /// A message that is longer than allowed, by its own announcement or in its parts.
    #[error(
        "{peer} sent a message of more than {limit} bytes; the server is at fault, or the limit low"
    )]
    MessageTooLarge {
        /// Who sent it.
        peer: Peer,
        /// The limit in bytes.
        limit: usize,
    },
    /// Pings and pongs without end, and nothing else.
    #[error(
        "{peer} sent more than {limit} pings and nothing else for seconds; the server is at fault"
    )]
    ControlFlood {
        /// Who sent them.
        peer: Peer,
        /// The limit.
        limit: u32,
    },
    /// A text message that is not UTF-8 (RFC 6455, section 8.1).
    #[error("{peer} sent text that is not UTF-8; the server is at fault")]
    NotUtf8 {
        /// Who sent it.
        peer: Peer,
    },
    /// The WebSocket protocol (RFC 6455) was broken in some other way.
    #[error("{peer} broke the WebSocket protocol ({reason}); the server is at fault")]
    WebSocket {
        /// Who broke it.
        peer: Peer,
        /// What was wrong.
        reason: String,
    },
    /// Something was to be sent after the connection had been closed.
    #[error("the connection to {peer} is closed; connect again")]
    Closed {
        /// To whom it was.
        peer: Peer,
    },
    /// The system gave no random bytes, which each frame needs.
    #[error("the system has no random bytes to give; nothing can be sent safely")]
    NoRandomness,
}

impl TransportError {
    /// True when the same attempt may go better later: the server was not reached, or was lost.
    /// False when it will fail again until a person changes something.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Unresolved { .. }
            | Self::Refused { .. }
            | Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::ProxyRefused { .. }
            | Self::Lost { .. }
            | Self::Dropped { .. }
            | Self::ControlFlood { .. }
            | Self::Closed { .. }
            | Self::NoRandomness => true,
            Self::ProxyStatus { status, .. } | Self::HttpStatus { status, .. } => {
                (500..=599).contains(status)
            }
            Self::Bosh(end) => matches!(end, bosh::End::GaveUp { .. }),
            _ => false,
        }
    }
}

/// The remedy for an HTTP status that is neither 101 nor a redirect.
fn advice(status: u16) -> &'static str {
    match status {
        200..=299 => "an ordinary page is there: check the path of the URL",
        401 | 403 => "it wants another permission: ask who runs the server",
        404 => "check the path of the URL",
        500..=599 => "the server or what stands before it is in trouble: try later",
        _ => "check host, port and path of the URL",
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    addresses.join(", ")
}

fn shown(location: &Option<String>) -> &str {
    location.as_deref().unwrap_or("an unnamed place")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{super::proxy::ProxyUrlError, *};

    fn all() -> Vec<TransportError> {
        let peer = || Peer::server("2001:db8::1".to_owned(), 443);
        let proxy = || Peer::proxy("proxy.example".to_owned(), 3128);
        let tried = vec!["[2001:db8::1]:443".parse().unwrap(), "192.0.2.1:443".parse().unwrap()];
        let failure = || IoFailure::from(&io::Error::from(io::ErrorKind::ConnectionReset));
        let url = || "wss://chat.example.org/ws".to_owned();
        let reason = || "for a reason".to_owned();
        let problem = CertificateProblem::WrongName {
            expected: "b.example".to_owned(),
            presented: vec!["a.example".to_owned()],
        };
        let setting = ProxyUrlError::NoHost;
        let (phase, limit) = (Phase::Receive, 100);
        vec![
            TransportError::Unresolved { peer: peer(), reason: reason() },
            TransportError::Refused { peer: peer(), tried: tried.clone() },
            TransportError::Unreachable { peer: peer(), tried, failure: failure() },
            TransportError::TimedOut { phase, peer: peer() },
            ProxyError { variable: "https_proxy", problem: setting }.into(),
            TransportError::ProxyLogin { proxy: proxy() },
            TransportError::ProxyStatus { proxy: proxy(), target: peer(), status: 403 },
            TransportError::ProxyRefused { proxy: proxy(), target: peer(), reason: reason() },
            TransportError::ProxyGarbled { proxy: proxy(), protocol: "SOCKS5" },
            TransportError::ProxyTooLong { proxy: proxy(), limit },
            TransportError::ProxyIntruded { proxy: proxy() },
            TlsError::NoCaCertificate.into(),
            TransportError::Certificate { peer: peer(), problem },
            TransportError::NotTls { peer: peer() },
            TransportError::TlsAlert { peer: peer(), alert: "HandshakeFailure".to_owned() },
            TransportError::LegacyMasterSecret { peer: peer() },
            TransportError::TlsFailed { peer: peer(), reason: reason() },
            TransportError::NotPlain { peer: peer() },
            TransportError::Redirected { url: url(), status: 302, location: None },
            TransportError::HttpStatus { url: url(), status: 404 },
            TransportError::NotWebSocket { url: url(), reason: reason() },
            TransportError::NoSubprotocol { url: url() },
            TransportError::WrongSubprotocol { url: url() },
            TransportError::Lost { peer: peer(), phase, failure: failure() },
            TransportError::Dropped { peer: peer(), phase },
            TransportError::BinaryFrame { peer: peer() },
            TransportError::MessageTooLarge { peer: peer(), limit },
            TransportError::ControlFlood { peer: peer(), limit: 100 },
            TransportError::NotUtf8 { peer: peer() },
            TransportError::WebSocket { peer: peer(), reason: reason() },
            TransportError::Closed { peer: peer() },
            TransportError::NoRandomness,
        ]
    }

    #[test]
    fn each_message_is_one_line_with_a_remedy() {
        let mut seen = Vec::new();
        for error in all() {
            let message = error.to_string();
            assert!(!message.contains('\n') && !message.ends_with('.'), "{message}");
            assert!(message.chars().next().is_some_and(|first| !first.is_uppercase()), "{message}");
            let (offence, remedy) = message.rsplit_once("; ").expect("offence; remedy");
            assert!(offence.len() > 20 && remedy.len() > 10, "{message}");
            assert!(!seen.contains(&message), "{message}");
            seen.push(message);
        }
    }

    #[test]
    fn messages_name_the_place() {
        let shown: Vec<_> = all().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown[1],
            "[2001:db8::1]:443 refused the connection (tried [2001:db8::1]:443, 192.0.2.1:443); \
             check the port, and that it is running"
        );
        assert_eq!(
            shown[5],
            "the proxy proxy.example:3128 wants a valid login; \
             put user:password@ before its host in the proxy URL"
        );
        assert_eq!(
            shown[19],
            "wss://chat.example.org/ws answered HTTP status 404, not with a WebSocket; \
             check the path of the URL"
        );
    }

    #[test]
    fn only_what_may_pass_is_temporary() {
        let temporary: Vec<_> = all().iter().map(TransportError::is_temporary).collect();
        let kinds = [0, 1, 2, 3, 7, 23, 24, 27, 30, 31];
        for (index, temporary) in temporary.into_iter().enumerate() {
            assert_eq!(temporary, kinds.contains(&index), "{}", all()[index]);
        }
        let url = || "ws://localhost/".to_owned();
        assert!(TransportError::HttpStatus { url: url(), status: 503 }.is_temporary());
    }
}
