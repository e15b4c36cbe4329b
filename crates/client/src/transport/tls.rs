//! TLS by rustls: what is trusted, what is shown of oneself, and the handshake.
//! Channel binding is not here yet.

use std::{
    fmt, io,
    sync::{Arc, OnceLock},
};

use rustls::{
    CertificateError, ClientConfig, Error, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::error::{CertificateProblem, IoFailure, Peer, Phase, TransportError};

/// Whom a `wss://` connection trusts, and what it shows of itself.
///
/// Without further words: the roots of the platform (feature `platform-verifier`, on by default),
/// those of Mozilla (feature `webpki-roots`), no client certificate, TLS 1.2 or 1.3. The server's
/// certificate must be valid for the host in the URL; nothing here turns that check off.
///
/// ```
/// use epode::{TlsError, TlsOptions};
///
/// let error = TlsOptions::new().with_ca_pem(b"no certificate in here").unwrap_err();
/// assert_eq!(error, TlsError::NoCaCertificate);
/// ```
#[derive(Clone, Default)]
pub struct TlsOptions {
    provider: Option<Arc<CryptoProvider>>,
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Arc<CertifiedKey>>,
    given: Option<Arc<ClientConfig>>,
    /// Made once, so that a second connection resumes the TLS session of the first.
    built: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl TlsOptions {
    /// The default: see [`TlsOptions`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a finished configuration as it is, with its roots, client certificate and ALPN names.
    #[must_use]
    pub fn from_client_config(config: Arc<ClientConfig>) -> Self {
        Self { given: Some(config), ..Self::default() }
    }

    /// Uses this cryptography instead of that of the features `ring` or, where that one is off,
    /// `aws-lc-rs`. Call it before
    /// [`with_client_certificate_pem`](Self::with_client_certificate_pem).
    #[must_use]
    pub fn with_crypto_provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self.rebuild()
    }

    /// Trusts the CA certificates in a PEM file, in addition to those trusted already.
    ///
    /// On Android, where the platform's verifier takes no further roots, they replace its own.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoCaCertificate`], [`TlsError::Pem`] or [`TlsError::BadCaCertificate`] for what
    /// is no such file, [`TlsError::FixedConfig`] after
    /// [`from_client_config`](Self::from_client_config).
    pub fn with_ca_pem(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        self.check_open()?;
        let certificates = read_certificates(pem)?;
        if certificates.is_empty() {
            return Err(TlsError::NoCaCertificate);
        }
        for (index, certificate) in certificates.iter().enumerate() {
            RootCertStore::empty().add(certificate.clone()).map_err(|error| {
                TlsError::BadCaCertificate { number: index + 1, reason: error.to_string() }
            })?;
        }
        self.roots.extend(certificates);
        Ok(self.rebuild())
    }

    /// Shows this certificate to servers that ask for one, which EXTERNAL needs: a PEM file with
    /// the client's certificate first and its issuers after it, and one with the private key
    /// (PKCS#8, SEC1 or PKCS#1, not encrypted). Both may be the same file.
    ///
    /// The key lives in the TLS library's own form from here on, for as long as a clone of these
    /// options or a connection made with them; that form is not wiped. The caller wipes `key`.
    ///
    /// # Errors
    ///
    /// [`TlsError`] with one variant for each way in which the files are no such pair.
    pub fn with_client_certificate_pem(
        mut self,
        chain: &[u8],
        key: &[u8],
    ) -> Result<Self, TlsError> {
        self.check_open()?;
        let chain = read_certificates(chain)?;
        if chain.is_empty() {
            return Err(TlsError::NoClientCertificate);
        }
        let key = read_key(key)?;
        let pair = CertifiedKey::from_der(chain, key, &*self.provider()?);
        self.identity = Some(Arc::new(pair.map_err(|error| match error {
            Error::InconsistentKeys(_) => TlsError::KeyMismatch,
            Error::InvalidCertificate(_) => TlsError::BadClientCertificate,
            _ => TlsError::BadKey,
        })?));
        Ok(self.rebuild())
    }

    /// Makes the configuration, or takes the one made before.
    ///
    /// Connecting does this by itself; calling it early shows early what is wrong.
    ///
    /// # Errors
    ///
    /// [`TlsError::NoProvider`] or [`TlsError::NoRoots`] when the crate's features leave out what
    /// is needed, [`TlsError::Roots`] when the platform has no roots to offer.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(given) = &self.given {
            return Ok(Arc::clone(given));
        }
        if let Some(built) = self.built.get() {
            return Ok(Arc::clone(built));
        }
        let config = Arc::new(self.build()?);
        Ok(Arc::clone(self.built.get_or_init(|| config)))
    }

    /// The configuration for HTTPS that is nobody's in particular: without a client certificate.
    pub(super) fn anonymous_http_config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let mut config = ClientConfig::clone(&*self.client_config()?);
        config.client_auth_cert_resolver = Arc::new(NoCertificate);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }

    fn build(&self) -> Result<ClientConfig, TlsError> {
        let provider = self.provider()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Versions { reason: error.to_string() })?;
        let builder = roots::trust(builder, provider, &self.roots)?;
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(pair) => {
                let resolver = SingleCertAndKey::from(Arc::clone(pair));
                builder.with_client_cert_resolver(Arc::new(resolver))
            }
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(config)
    }

    fn provider(&self) -> Result<Arc<CryptoProvider>, TlsError> {
        self.provider.clone().or_else(default_provider).ok_or(TlsError::NoProvider)
    }

    fn check_open(&self) -> Result<(), TlsError> {
        if self.given.is_some() { Err(TlsError::FixedConfig) } else { Ok(()) }
    }

    /// Forgets a configuration that was made before a change; clones keep theirs.
    fn rebuild(mut self) -> Self {
        self.built = Arc::default();
        self
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsOptions")
            .field("further_roots", &self.roots.len())
            .field("client_certificate", &self.identity.is_some())
            .field("given", &self.given.is_some())
            .finish_non_exhaustive()
    }
}

/// Has no certificate to show.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

/// Why TLS options make no configuration. Repeats nothing of what the files contain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The CA file holds no certificate.
    #[error("there is no certificate in the CA file; it must hold '-----BEGIN CERTIFICATE-----'")]
    NoCaCertificate,
    /// A certificate in the CA file cannot be used.
    #[error("certificate {number} of the CA file cannot be used ({reason}); export it again")]
    BadCaCertificate {
        /// Which one, counted from 1.
        number: usize,
        /// What the TLS library found.
        reason: String,
    },
    /// The file for the client's certificate holds none.
    #[error("there is no certificate in the client certificate file; put it there as PEM")]
    NoClientCertificate,
    /// The client's certificate cannot be read.
    #[error("the client certificate cannot be read; export it again, as PEM")]
    BadClientCertificate,
    /// The key file holds no private key.
    #[error("there is no private key in the key file; put it there as PEM")]
    NoKey,
    /// The private key is encrypted.
    #[error("the private key is encrypted; decrypt it, as with 'openssl pkey -in KEY -out NEW'")]
    EncryptedKey,
    /// The private key cannot be read, or is of a kind that is not supported.
    #[error("the private key cannot be used; make it RSA (2048 bits or more), ECDSA or Ed25519")]
    BadKey,
    /// The private key belongs to another certificate.
    #[error(
        "the private key is not that of the first certificate in the file; name the right pair"
    )]
    KeyMismatch,
    /// A PEM file is damaged.
    #[error("the PEM file is damaged: {reason}; copy or export it again")]
    Pem {
        /// Where.
        reason: &'static str,
    },
    /// The options were made from a finished configuration.
    #[error(
        "the TLS configuration was given ready-made; put roots and client certificate in there"
    )]
    FixedConfig,
    /// The crate was built without cryptography, and none was given.
    #[error(
        "no cryptography for TLS; build with the feature ring or aws-lc-rs, or give a provider"
    )]
    NoProvider,
    /// The crate was built without roots, and no CA was given.
    #[error("nothing to trust; build with platform-verifier or webpki-roots, or name a CA file")]
    NoRoots,
    /// The platform's roots cannot be had.
    #[error("this machine has no CA certificates ({reason}); install them, or name a CA file")]
    Roots {
        /// What the verifier found.
        reason: String,
    },
    /// The given cryptography supports neither TLS 1.2 nor 1.3.
    #[error("the given cryptography does not fit TLS 1.2 and 1.3: {reason}; give another")]
    Versions {
        /// What the TLS library found.
        reason: String,
    },
    /// No certificate can be for such a host.
    #[error("no certificate can be for the host {host:?}; check the host in the URL")]
    HostName {
        /// The host of the URL.
        host: String,
    },
}

/// Runs the client's half of a TLS handshake; the certificate must be valid for `peer`'s host.
pub(super) async fn handshake<S>(
    stream: S,
    peer: &Peer,
    config: Arc<ClientConfig>,
) -> Result<TlsStream<S>, TransportError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(peer.host().to_owned())
        .map_err(|_| TlsError::HostName { host: peer.host().to_owned() })?;
    let connected = TlsConnector::from(config).connect(name, stream).await;
    connected.map_err(|error| broken(peer, Phase::Tls, &error))
}

/// Names what broke a connection: what TLS found where it was TLS, else what the system says.
pub(super) fn broken(peer: &Peer, phase: Phase, error: &io::Error) -> TransportError {
    let peer = peer.clone();
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return refused(peer, error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => TransportError::Dropped { peer, phase },
        _ => TransportError::Lost { peer, phase, failure: IoFailure::from(error) },
    }
}

fn refused(peer: Peer, error: &Error) -> TransportError {
    match error {
        Error::InvalidCertificate(error) => {
            TransportError::Certificate { peer, problem: problem(error) }
        }
        Error::InvalidMessage(_) => TransportError::NotTls { peer },
        Error::AlertReceived(alert) => {
            TransportError::TlsAlert { peer, alert: format!("{alert:?}") }
        }
        other => TransportError::TlsFailed { peer, reason: other.to_string() },
    }
}

fn problem(error: &CertificateError) -> CertificateProblem {
    match error {
        // A CA that was made anew under its old name ends in the second: it is not the one trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            CertificateProblem::UnknownIssuer
        }
        CertificateError::NotValidForName => {
            CertificateProblem::WrongName { presented: Vec::new() }
        }
        CertificateError::NotValidForNameContext { presented, .. } => {
            let presented = presented.iter().take(MAX_NAMES_SHOWN).cloned().collect();
            CertificateProblem::WrongName { presented }
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CertificateProblem::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateProblem::NotYetValid
        }
        CertificateError::Revoked => CertificateProblem::Revoked,
        other => CertificateProblem::Other { reason: other.to_string() },
    }
}

fn read_certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(damaged)
}

fn read_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(pem) => TlsError::EncryptedKey,
        pem::Error::NoItemsFound => TlsError::NoKey,
        other => damaged(other),
    })
}

/// The error of the PEM reader repeats lines of the file, which may be those of a key.
fn damaged(error: pem::Error) -> TlsError {
    let reason = match error {
        pem::Error::MissingSectionEnd { .. } => "an END line is missing",
        pem::Error::IllegalSectionStart { .. } => "a BEGIN line is not complete",
        pem::Error::Base64Decode(_) => "what stands between BEGIN and END is not Base64",
        _ => "it cannot be read",
    };
    TlsError::Pem { reason }
}

fn is_encrypted(pem: &[u8]) -> bool {
    const LABEL: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    pem.windows(LABEL.len()).any(|window| window == LABEL)
}

#[cfg(feature = "ring")]
pub(super) fn default_provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
pub(super) fn default_provider() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
pub(super) fn default_provider() -> Option<Arc<CryptoProvider>> {
    None
}

/// Where trust comes from, by feature.
mod roots {
    use std::sync::Arc;

    use rustls::{
        ClientConfig, ConfigBuilder, WantsVerifier, client::WantsClientCert,
        crypto::CryptoProvider, pki_types::CertificateDer,
    };

    use super::TlsError;

    type Trusting = ConfigBuilder<ClientConfig, WantsClientCert>;

    #[cfg(all(feature = "platform-verifier", not(target_os = "android")))]
    pub(super) fn trust(
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
        provider: Arc<CryptoProvider>,
        further: &[CertificateDer<'static>],
    ) -> Result<Trusting, TlsError> {
        use rustls_platform_verifier::Verifier;

        let verifier = Verifier::new_with_extra_roots(further.iter().cloned(), provider)
            .map_err(|error| TlsError::Roots { reason: error.to_string() })?;
        // `dangerous` is rustls' word for a verifier that is not its own; the platform's is meant.
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
    }

    #[cfg(all(feature = "platform-verifier", target_os = "android"))]
    pub(super) fn trust(
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
        provider: Arc<CryptoProvider>,
        further: &[CertificateDer<'static>],
    ) -> Result<Trusting, TlsError> {
        use rustls_platform_verifier::Verifier;

        if !further.is_empty() {
            return Ok(builder.with_root_certificates(store(further)));
        }
        let verifier = Verifier::new(provider)
            .map_err(|error| TlsError::Roots { reason: error.to_string() })?;
        Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
    }

    #[cfg(not(feature = "platform-verifier"))]
    pub(super) fn trust(
        builder: ConfigBuilder<ClientConfig, WantsVerifier>,
        _provider: Arc<CryptoProvider>,
        further: &[CertificateDer<'static>],
    ) -> Result<Trusting, TlsError> {
        let store = store(further);
        if store.is_empty() {
            return Err(TlsError::NoRoots);
        }
        Ok(builder.with_root_certificates(store))
    }

    #[cfg(any(not(feature = "platform-verifier"), target_os = "android"))]
    fn store(further: &[CertificateDer<'static>]) -> rustls::RootCertStore {
        let mut store = rustls::RootCertStore::empty();
        #[cfg(feature = "webpki-roots")]
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        // Each was tried when it was added to the options.
        store.add_parsable_certificates(further.iter().cloned());
        store
    }
}

/// The handshake that follows is HTTP/1.1's (RFC 7301); WebSocket over HTTP/2 is not spoken.
const ALPN: &[u8] = b"http/1.1";
const MAX_NAMES_SHOWN: usize = 8;

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_rustls::TlsAcceptor;

    use super::{super::certificates::Authority, *};

    const NOW: (i32, i32) = (2020, 2100);
    const HOST: &str = "chat.example.org";

    fn peer() -> Peer {
        Peer::server(HOST.to_owned(), 443)
    }

    fn trusting(authority: &Authority) -> TlsOptions {
        TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap()
    }

    /// What the server saw of the client: the protocol chosen and how many certificates.
    type Seen = (Option<Vec<u8>>, usize);

    /// One handshake in memory, then a byte from the server, which shows refusals after TLS 1.3's
    /// early end on the client's side.
    async fn shake(
        acceptor: TlsAcceptor,
        options: &TlsOptions,
    ) -> (Result<(), TransportError>, Option<Seen>) {
        let (ours, theirs) = duplex(64 * 1024);
        let config = options.client_config().unwrap();
        tokio::join!(client(ours, config), server(acceptor, theirs))
    }

    async fn client(stream: DuplexStream, config: Arc<ClientConfig>) -> Result<(), TransportError> {
        let mut stream = handshake(stream, &peer(), config).await?;
        let read = stream.read_u8().await;
        read.map(drop).map_err(|error| broken(&peer(), Phase::Receive, &error))
    }

    async fn server(acceptor: TlsAcceptor, stream: DuplexStream) -> Option<Seen> {
        let mut stream = acceptor.accept(stream).await.ok()?;
        stream.write_u8(b'!').await.unwrap();
        stream.flush().await.unwrap();
        let session = stream.get_ref().1;
        let certificates = session.peer_certificates().map_or(0, <[_]>::len);
        Some((session.alpn_protocol().map(<[_]>::to_vec), certificates))
    }

    fn certificate(problem: CertificateProblem) -> TransportError {
        TransportError::Certificate { peer: peer(), problem }
    }

    #[tokio::test]
    async fn a_ca_file_makes_its_servers_trusted() {
        let authority = Authority::new();
        let acceptor = authority.issue(HOST, NOW).acceptor(None);
        let (result, seen) = shake(acceptor, &trusting(&authority)).await;
        assert_eq!(result, Ok(()));
        assert_eq!(seen, Some((Some(ALPN.to_vec()), 0)));
    }

    #[tokio::test]
    async fn an_unknown_issuer_is_refused_also_under_a_trusted_name() {
        for name in ["another CA", "test CA"] {
            let acceptor = Authority::named(name).issue(HOST, NOW).acceptor(None);
            let (result, seen) = shake(acceptor, &trusting(&Authority::named("test CA"))).await;
            assert_eq!(result, Err(certificate(CertificateProblem::UnknownIssuer)), "{name}");
            assert_eq!(seen, None);
        }
    }

    #[tokio::test]
    async fn another_hosts_certificate_is_refused() {
        let authority = Authority::new();
        let acceptor = authority.issue("mail.example.org", NOW).acceptor(None);
        let (result, _) = shake(acceptor, &trusting(&authority)).await;
        let presented = vec!["DnsName(\"mail.example.org\")".to_owned()];
        assert_eq!(result, Err(certificate(CertificateProblem::WrongName { presented })));
    }

    #[tokio::test]
    async fn a_certificate_out_of_its_time_is_refused() {
        let authority = Authority::new();
        for (years, problem) in [
            ((2000, 2001), CertificateProblem::Expired),
            ((2200, 2201), CertificateProblem::NotYetValid),
        ] {
            let acceptor = authority.issue(HOST, years).acceptor(None);
            let (result, _) = shake(acceptor, &trusting(&authority)).await;
            assert_eq!(result, Err(certificate(problem)));
        }
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown_to_a_server_that_asks() {
        let authority = Authority::new();
        let acceptor = || authority.issue(HOST, NOW).acceptor(Some(&authority));
        let issued = authority.issue("client.example", NOW);
        let (certificate, key) = (issued.certificate_pem(), issued.key_pem());
        let both = format!("{key}{certificate}");
        for (chain, key) in [(&certificate, &key), (&both, &both)] {
            let options = trusting(&authority)
                .with_client_certificate_pem(chain.as_bytes(), key.as_bytes())
                .unwrap();
            let (result, seen) = shake(acceptor(), &options).await;
            assert_eq!(result, Ok(()));
            assert_eq!(seen.map(|(_, certificates)| certificates), Some(1));
        }

        let (result, _) = shake(acceptor(), &trusting(&authority)).await;
        let alert = "CertificateRequired".to_owned();
        assert_eq!(result, Err(TransportError::TlsAlert { peer: peer(), alert }));
    }

    #[tokio::test]
    async fn a_ready_made_configuration_is_taken_as_it_is() {
        let authority = Authority::new();
        let ready = trusting(&authority).client_config().unwrap();
        let options = TlsOptions::from_client_config(Arc::clone(&ready));
        assert!(Arc::ptr_eq(&options.client_config().unwrap(), &ready));
        let (result, _) = shake(authority.issue(HOST, NOW).acceptor(None), &options).await;
        assert_eq!(result, Ok(()));

        let pem = authority.pem();
        let refused = options.clone().with_ca_pem(pem.as_bytes()).unwrap_err();
        assert_eq!(refused, TlsError::FixedConfig);
        let refused = options.with_client_certificate_pem(b"", b"").unwrap_err();
        assert_eq!(refused, TlsError::FixedConfig);
    }

    #[tokio::test]
    async fn a_server_without_tls_is_named() {
        let config = trusting(&Authority::new()).client_config().unwrap();
        for (answer, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], TransportError::NotTls { peer: peer() }),
            (b"<?xml version='1.0'?><stream:stream>", TransportError::NotTls { peer: peer() }),
            (b"", TransportError::Dropped { peer: peer(), phase: Phase::Tls }),
        ] {
            let (ours, mut theirs) = duplex(64 * 1024);
            theirs.write_all(answer).await.unwrap();
            theirs.shutdown().await.unwrap();
            assert_eq!(client(ours, Arc::clone(&config)).await, Err(expected));
        }
    }

    #[tokio::test]
    async fn a_host_that_no_certificate_can_be_for_is_named() {
        let (ours, _theirs) = duplex(1024);
        let config = trusting(&Authority::new()).client_config().unwrap();
        let host = "a..b".to_owned();
        let error = handshake(ours, &Peer::server(host.clone(), 443), config).await.unwrap_err();
        assert_eq!(error, TransportError::Tls(TlsError::HostName { host }));
    }

    #[test]
    fn a_configuration_is_made_once_and_again_after_a_change() {
        let options = trusting(&Authority::new());
        let first = options.client_config().unwrap();
        assert!(Arc::ptr_eq(&first, &options.clone().client_config().unwrap()));
        let changed = options.with_ca_pem(Authority::new().pem().as_bytes()).unwrap();
        assert!(!Arc::ptr_eq(&first, &changed.client_config().unwrap()));
    }

    #[test]
    fn each_kind_of_key_is_read() {
        let authority = Authority::new();
        let pkcs8 = authority.issue("client.example", NOW);
        let pkcs8 = pkcs8.certificate_pem() + &pkcs8.key_pem();
        let pkcs1 = include_str!("testdata/client-pkcs1.pem");
        let sec1 = include_str!("testdata/client-sec1.pem");
        for pem in [&pkcs8, pkcs1, sec1] {
            let options = trusting(&authority)
                .with_client_certificate_pem(pem.as_bytes(), pem.as_bytes())
                .unwrap();
            assert!(options.client_config().unwrap().client_auth_cert_resolver.has_certs());
        }
    }

    #[test]
    fn each_offence_of_a_file_has_its_error() {
        const BAD_BODY: &str = "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        const NO_END: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n";
        const NO_DER: &str = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        const ENCRYPTED: &str =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        const NO_KEY_DER: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let damaged = |reason| TlsError::Pem { reason };
        let authority = Authority::new();

        let ca = |pem: &str| TlsOptions::new().with_ca_pem(pem.as_bytes()).unwrap_err();
        assert_eq!(ca(""), TlsError::NoCaCertificate);
        assert_eq!(ca(&authority.issue(HOST, NOW).key_pem()), TlsError::NoCaCertificate);
        assert_eq!(ca(NO_END), damaged("an END line is missing"));
        assert_eq!(ca(BAD_BODY), damaged("what stands between BEGIN and END is not Base64"));
        let second = ca(&(authority.pem() + NO_DER));
        assert!(matches!(second, TlsError::BadCaCertificate { number: 2, .. }), "{second:?}");

        let (one, other) = (authority.issue("a", NOW), authority.issue("b", NOW));
        let client = |chain: &str, key: &str| {
            let options = TlsOptions::new();
            options.with_client_certificate_pem(chain.as_bytes(), key.as_bytes()).unwrap_err()
        };
        let (chain, key) = (one.certificate_pem(), one.key_pem());
        assert_eq!(client("", &key), TlsError::NoClientCertificate);
        assert_eq!(client(&key, &key), TlsError::NoClientCertificate);
        assert_eq!(client(NO_DER, &key), TlsError::BadClientCertificate);
        assert_eq!(client(&chain, ""), TlsError::NoKey);
        assert_eq!(client(&chain, &chain), TlsError::NoKey);
        assert_eq!(client(&chain, ENCRYPTED), TlsError::EncryptedKey);
        assert_eq!(client(&chain, NO_KEY_DER), TlsError::BadKey);
        assert_eq!(client(&chain, &other.key_pem()), TlsError::KeyMismatch);
        let cut = key.lines().take(2).collect::<Vec<_>>().join("\n");
        let error = client(&chain, &cut);
        assert_eq!(error, damaged("an END line is missing"));
    }

    #[test]
    fn nothing_shows_a_key() {
        let pem = include_str!("testdata/client-sec1.pem");
        let options = TlsOptions::new().with_client_certificate_pem(pem.as_bytes(), pem.as_bytes());
        let shown = format!("{options:?}");
        let key = pem.split_once("BEGIN EC PRIVATE KEY-----").unwrap().1;
        for line in key.lines().filter(|line| line.len() > 16 && !line.starts_with('-')) {
            assert!(!shown.contains(line));
        }
        assert!(shown.contains("client_certificate: true"), "{shown}");

        let damaged = pem.replace("-----END EC", "-----NED EC");
        let error = TlsOptions::new()
            .with_client_certificate_pem(pem.as_bytes(), damaged.as_bytes())
            .unwrap_err();
        assert_eq!(format!("{error:?}"), "Pem { reason: \"an END line is missing\" }");
    }
}

#[cfg(test)]
mod feature_tests {
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    #[test]
    fn without_cryptography_there_is_an_error_that_says_so() {
        let error = super::TlsOptions::new().client_config().unwrap_err();
        assert_eq!(error, super::TlsError::NoProvider);
    }

    #[cfg(all(
        any(feature = "ring", feature = "aws-lc-rs"),
        not(any(feature = "platform-verifier", feature = "webpki-roots"))
    ))]
    #[test]
    fn without_roots_there_is_an_error_that_says_so() {
        let error = super::TlsOptions::new().client_config().unwrap_err();
        assert_eq!(error, super::TlsError::NoRoots);
    }
}
