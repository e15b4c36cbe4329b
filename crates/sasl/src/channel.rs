//! What the transport vouches for, and what a login can be bound to.

use std::{fmt, str::FromStr};

use zeroize::Zeroizing;

/// How the bytes travel, as far as a mechanism must know.
///
/// The version of TLS is told for the record only: whether a login can be bound to the channel
/// never follows from it. Whoever has the TLS connection says so with
/// [`with_binding`](Self::with_binding), and there is no way to say it of a type that a version
/// cannot have: neither of the two in [`BindingType`] depends on the version, and `tls-unique`,
/// which TLS 1.3 does not have, is not among them.
///
/// ```
/// use epode_sasl::Channel;
///
/// assert!(Channel::encrypted().is_confidential());
/// assert!(Channel::loopback().is_confidential()); // nobody else hears this machine's loopback
/// assert!(!Channel::plaintext().is_confidential());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    protection: Protection,
    /// There is a client certificate, which names these addresses.
    client_certificate: Option<Vec<String>>,
    bindings: Vec<Binding>,
    over_http: bool,
    early: bool,
}

impl Channel {
    /// Anyone on the way can read and change it.
    #[must_use]
    pub fn plaintext() -> Self {
        Self::new(Protection::Plaintext)
    }

    /// A direct connection whose peer address is a loopback address.
    #[must_use]
    pub fn loopback() -> Self {
        Self::new(Protection::Loopback)
    }

    /// Encrypted by TLS, the server's certificate verified.
    #[must_use]
    pub fn encrypted() -> Self {
        Self::new(Protection::Encrypted(None))
    }

    fn new(protection: Protection) -> Self {
        Self {
            protection,
            client_certificate: None,
            bindings: Vec::new(),
            over_http: false,
            early: false,
        }
    }

    /// The version of TLS that encrypts it. Said of a channel without TLS, it means nothing.
    #[must_use]
    pub fn with_tls_version(mut self, version: TlsVersion) -> Self {
        if let Protection::Encrypted(known) = &mut self.protection {
            *known = Some(version);
        }
        self
    }

    /// A client certificate was configured, which EXTERNAL needs.
    #[must_use]
    pub fn with_client_certificate(mut self) -> Self {
        self.client_certificate.get_or_insert_default();
        self
    }

    /// The same, and the certificate names these addresses (`xmppAddr`; RFC 6120, section
    /// 13.7.1.4): EXTERNAL must say which of them is meant (XEP-0178, section 2).
    #[must_use]
    pub fn with_client_certificate_of(
        mut self,
        addresses: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        self.client_certificate = Some(addresses.into_iter().map(Into::into).collect());
        self
    }

    /// The login can be bound to this; in place of data of the same type.
    #[must_use]
    pub fn with_binding(mut self, binding: Binding) -> Self {
        self.bindings.retain(|known| known.kind != binding.kind);
        self.bindings.push(binding);
        self.bindings.sort_by_key(|binding| binding.kind);
        self
    }

    /// It began with HTTP, as a WebSocket does: TLS often ends at a proxy in front of the server,
    /// which can then bind nothing to it. That such a server offers no channel binding is no sign
    /// that somebody took the offer away, and SCRAM does not say so (flag `n` instead of `y`).
    #[must_use]
    pub fn over_http(mut self) -> Self {
        self.over_http = true;
        self
    }

    /// True after [`over_http`](Self::over_http).
    #[must_use]
    pub fn is_over_http(&self) -> bool {
        self.over_http
    }

    /// What of it is there in early data (RFC 8446, section 2.3), before the handshake is done:
    /// nothing that comes of the handshake, as `tls-exporter` does. What is said there can be
    /// replayed by whoever has recorded it, so that no login is made over such a channel but one
    /// by a [`HashedToken`](crate::HashedToken), whose server counts.
    ///
    /// ```
    /// use epode_sasl::{Binding, BindingType, Channel};
    ///
    /// let channel = BindingType::ALL.into_iter().fold(Channel::encrypted(), |channel, kind| {
    ///     channel.with_binding(Binding::new(kind, "what the TLS library says"))
    /// });
    /// let early = channel.in_early_data();
    /// assert!(early.is_early());
    /// assert_eq!(early.bindings()[0].kind(), BindingType::TlsServerEndPoint);
    /// ```
    #[must_use]
    pub fn in_early_data(mut self) -> Self {
        self.bindings.retain(|binding| binding.kind != BindingType::TlsExporter);
        self.early = true;
        self
    }

    /// True after [`in_early_data`](Self::in_early_data).
    #[must_use]
    pub fn is_early(&self) -> bool {
        self.early
    }

    /// True when a secret sent as it is reaches the peer alone.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.protection != Protection::Plaintext
    }

    /// True when TLS encrypts it; loopback alone does not count here.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        matches!(self.protection, Protection::Encrypted(_))
    }

    /// The version of TLS, where it is encrypted and the driver can tell: a browser does not.
    #[must_use]
    pub fn tls_version(&self) -> Option<TlsVersion> {
        match self.protection {
            Protection::Encrypted(version) => version,
            Protection::Plaintext | Protection::Loopback => None,
        }
    }

    /// True when there is a client certificate to show.
    #[must_use]
    pub fn has_client_certificate(&self) -> bool {
        self.client_certificate.is_some()
    }

    /// The addresses that the client certificate names, as far as they were told.
    #[must_use]
    pub fn certified_addresses(&self) -> &[String] {
        self.client_certificate.as_deref().unwrap_or_default()
    }

    /// What the login can be bound to, strongest first.
    #[must_use]
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    Plaintext,
    Loopback,
    Encrypted(Option<TlsVersion>),
}

/// A version of TLS, older first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}

/// Channel binding data: what only the two ends of one TLS connection know of it (RFC 5056).
#[derive(Clone, PartialEq, Eq)]
pub struct Binding {
    kind: BindingType,
    data: Zeroizing<Vec<u8>>,
}

impl Binding {
    /// Data of a type.
    #[must_use]
    pub fn new(kind: BindingType, data: impl Into<Vec<u8>>) -> Self {
        Self { kind, data: Zeroizing::new(data.into()) }
    }

    /// Its type.
    #[must_use]
    pub fn kind(&self) -> BindingType {
        self.kind
    }

    /// The data.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Binding({}, {} bytes)", self.kind, self.data.len())
    }
}

/// The types of channel binding that can be used here, strongest first. TLS 1.2 and TLS 1.3 have
/// both; with TLS 1.2, `tls-exporter` needs an extended master secret (RFC 9266, section 4.2), so
/// that a connection without one brings no [`Binding`] of it.
///
/// `tls-unique` (RFC 5929) is not among them: it is undefined for TLS 1.3 and broken below it
/// without extended master secret. A login cannot be bound to what a version does not have,
/// since there is no value for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum BindingType {
    /// `tls-exporter` (RFC 9266): this very connection.
    TlsExporter,
    /// `tls-server-end-point` (RFC 5929): the server's certificate.
    TlsServerEndPoint,
}

impl BindingType {
    /// All of them, strongest first.
    pub const ALL: [Self; 2] = [Self::TlsExporter, Self::TlsServerEndPoint];

    /// The name, as IANA registers it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TlsExporter => "tls-exporter",
            Self::TlsServerEndPoint => "tls-server-end-point",
        }
    }
}

impl fmt::Display for BindingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for BindingType {
    type Err = UnknownBindingType;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownBindingType)
    }
}

/// The name is of no type of channel binding that can be used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown channel binding: tls-exporter and tls-server-end-point are known")]
pub struct UnknownBindingType;
