//! Who is at the other end of a connection, and what can go wrong with it there.
//! What that means for a connection is said by [`TransportError`](crate::TransportError).

use std::{fmt, io};

/// One end of a connection, by name: the server, or the proxy on the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    host: String,
    port: u16,
    proxy: bool,
}

impl Peer {
    pub(crate) fn server(host: String, port: u16) -> Self {
        Self { host, port, proxy: false }
    }

    pub(super) fn proxy(host: String, port: u16) -> Self {
        Self { host, port, proxy: true }
    }

    /// The host name, or an IP address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// True for a proxy, false for the server itself.
    #[must_use]
    pub fn is_proxy(&self) -> bool {
        self.proxy
    }

    /// `host:port`, an IPv6 address in brackets.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.proxy { "the proxy " } else { "" };
        write!(f, "{role}{}", self.authority())
    }
}

/// What was going on when a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Looking the host name up.
    Resolve,
    /// Connecting by TCP.
    Dial,
    /// Asking a proxy for a tunnel.
    Proxy,
    /// The TLS handshake, at once or after STARTTLS.
    Tls,
    /// The WebSocket handshake.
    WebSocket,
    /// Sending a message.
    Send,
    /// Waiting for a message.
    Receive,
    /// Closing the connection.
    Close,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "while looking its name up",
            Self::Dial => "while connecting",
            Self::Proxy => "while asking for a tunnel",
            Self::Tls => "in the TLS handshake",
            Self::WebSocket => "in the WebSocket handshake",
            Self::Send => "while sending",
            Self::Receive => "while receiving",
            Self::Close => "while closing",
        })
    }
}

/// What is wrong with a server's certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateProblem {
    /// No trusted authority issued it.
    #[error("its certificate is from an unknown issuer; if you trust that CA, name its PEM file")]
    UnknownIssuer,
    /// It is for others: none of its DNS names is the one that it should have (RFC 6125).
    #[error(
        "its certificate is for {}, not for {expected}; check the address, or tell who runs it",
        names(presented)
    )]
    WrongName {
        /// The name that it should have: the domain of the account, or the host of a `wss://` URL.
        expected: String,
        /// The names in the certificate, at most 8.
        presented: Vec<String>,
    },
    /// Its time is over.
    #[error("its certificate has expired; check this machine's clock, or tell who runs the server")]
    Expired,
    /// Its time has not begun.
    #[error("its certificate is not valid yet; check this machine's clock")]
    NotYetValid,
    /// It was taken back.
    #[error("its certificate has been revoked; tell who runs the server")]
    Revoked,
    /// It is refused for another reason.
    #[error("its certificate is not acceptable: {reason}; tell who runs the server")]
    Other {
        /// What the verifier found.
        reason: String,
    },
}

/// An [`io::Error`] that can be kept, copied and compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct IoFailure {
    kind: io::ErrorKind,
    message: String,
}

impl IoFailure {
    /// The kind of failure.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.kind
    }
}

impl From<&io::Error> for IoFailure {
    fn from(error: &io::Error) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }
}

fn names(presented: &[String]) -> String {
    if presented.is_empty() { "other names".to_owned() } else { presented.join(", ") }
}
