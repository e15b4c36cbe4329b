//! What the transport vouches for.
//! Channel binding data will live here too; no transport supplies any yet.

/// How the bytes travel, as far as a mechanism must know.
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
    client_certificate: bool,
}

impl Channel {
    /// Anyone on the way can read and change it.
    #[must_use]
    pub fn plaintext() -> Self {
        Self { protection: Protection::Plaintext, client_certificate: false }
    }

    /// A direct connection whose peer address is a loopback address.
    #[must_use]
    pub fn loopback() -> Self {
        Self { protection: Protection::Loopback, client_certificate: false }
    }

    /// Encrypted by TLS, the server's certificate verified.
    #[must_use]
    pub fn encrypted() -> Self {
        Self { protection: Protection::Encrypted, client_certificate: false }
    }

    /// A client certificate was configured, which EXTERNAL needs.
    #[must_use]
    pub fn with_client_certificate(mut self) -> Self {
        self.client_certificate = true;
        self
    }

    /// True when a secret sent as it is reaches the peer alone.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.protection != Protection::Plaintext
    }

    /// True when TLS encrypts it; loopback alone does not count here.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.protection == Protection::Encrypted
    }

    /// True when there is a client certificate to show.
    #[must_use]
    pub fn has_client_certificate(&self) -> bool {
        self.client_certificate
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protection {
    Plaintext,
    Loopback,
    Encrypted,
}
