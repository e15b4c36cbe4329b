//! TLS by rustls: what is trusted, and what is shown of oneself.
//! The handshake is not here.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, Error, RootCertStore, SignatureScheme,
    client::ResolvesClientCert,
    crypto::CryptoProvider,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::{CertifiedKey, SingleCertAndKey},
};

use super::{
    certified_addresses::certified_addresses, channel_binding::EndPoints,
    crypto_provider::default_provider,
};

/// Whom a connection inside TLS trusts, and what it shows of itself.
///
/// Without further words: the roots of the platform (feature `platform-verifier`, on by default),
/// those of Mozilla (feature `webpki-roots`), no client certificate, TLS 1.3, or 1.2 with extended
/// master secret. Nothing here turns off the check of the server's certificate. It must be valid
/// for the domain of the account, by one of its DNS names (RFC 7590, RFC 6125), wherever that
/// domain's server is; on `wss://` for the host in the URL.
///
/// A `wss://` connection offers the ALPN name `http/1.1`, an `xmpps://` one `xmpp-client`
/// (XEP-0368), one that changes to TLS by STARTTLS none.
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
    identity: Option<Arc<dyn ResolvesClientCert>>,
    addresses: Vec<String>,
    legacy_master_secret: bool,
    given: Option<Arc<ClientConfig>>,
    /// Made once, so that a second connection resumes the TLS session of the first.
    built: Arc<OnceLock<Arc<ClientConfig>>>,
    /// For the early data of such a session.
    end_points: EndPoints,
}

impl TlsOptions {
    /// The default: see [`TlsOptions`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a finished configuration as it is, with its roots and client certificate. Of its ALPN
    /// names it only counts whether there are any: without, none is offered.
    ///
    /// Over TLS 1.2 the login can be bound to the connection by `tls-exporter` only if the
    /// configuration has [`require_ems`](ClientConfig::require_ems).
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
        let pair = pair.map_err(|error| match error {
            Error::InconsistentKeys(_) => TlsError::KeyMismatch,
            Error::InvalidCertificate(_) => TlsError::BadClientCertificate,
            _ => TlsError::BadKey,
        })?;
        self.addresses = certified_addresses(pair.cert.first().map_or(&[], AsRef::as_ref));
        self.identity = Some(Arc::new(SingleCertAndKey::from(Arc::new(pair))));
        Ok(self.rebuild())
    }

    /// Asks `resolver` for the certificate to show to servers that want one: from a key ring, a
    /// smart card, or whichever of many suits the server. In place of the one from PEM files.
    ///
    /// EXTERNAL counts as possible where the resolver says that it
    /// [has any](ResolvesClientCert::has_certs).
    ///
    /// # Errors
    ///
    /// [`TlsError::FixedConfig`] after [`from_client_config`](Self::from_client_config).
    pub fn with_client_certificate_resolver(
        mut self,
        resolver: Arc<dyn ResolvesClientCert>,
    ) -> Result<Self, TlsError> {
        self.check_open()?;
        self.identity = Some(resolver);
        self.addresses = Vec::new();
        Ok(self.rebuild())
    }

    /// Connects also to servers with TLS 1.2 that lack extended master secret (RFC 7627).
    ///
    /// The TLS library does not tell which have it, so that no login over TLS 1.2 can be bound by
    /// `tls-exporter` then (RFC 9266, section 2). TLS 1.3 is not affected.
    ///
    /// # Errors
    ///
    /// [`TlsError::FixedConfig`] after [`from_client_config`](Self::from_client_config).
    pub fn danger_allow_legacy_master_secret(mut self) -> Result<Self, TlsError> {
        self.check_open()?;
        self.legacy_master_secret = true;
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

    /// The same for HTTPS that is nobody's in particular: without a client certificate.
    pub(super) fn anonymous(&self) -> Result<Self, TlsError> {
        let mut config = ClientConfig::clone(&*self.client_config()?);
        config.client_auth_cert_resolver = Arc::new(NoCertificate);
        config.alpn_protocols = vec![ALPN_HTTP.to_vec()];
        Ok(Self::from_client_config(Arc::new(config)))
    }

    /// The XMPP addresses in the certificate of the PEM file, if there is one.
    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// The certificates of servers, as far as logins are bound to them.
    pub(super) fn end_points(&self) -> &EndPoints {
        &self.end_points
    }

    fn build(&self) -> Result<ClientConfig, TlsError> {
        let provider = self.provider()?;
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::Versions { reason: error.to_string() })?;
        let builder = roots::trust(builder, provider, &self.roots)?;
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(resolver) => builder.with_client_cert_resolver(Arc::clone(resolver)),
        };
        // Which of them is offered is for the handshake to say.
        config.alpn_protocols = vec![ALPN_HTTP.to_vec(), ALPN_XMPP.to_vec()];
        config.require_ems = !self.legacy_master_secret;
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
        (self.built, self.end_points) = Default::default();
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
    /// No certificate can be for such a name.
    #[error("no certificate can be for {name:?}; check the address, or the host in the URL")]
    ServerName {
        /// The domain of the account, or the host of the URL.
        name: String,
    },
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

/// HTTP/1.1 (RFC 7301), which a WebSocket begins with; WebSocket over HTTP/2 is not spoken.
pub(super) const ALPN_HTTP: &[u8] = b"http/1.1";
/// XMPP from the first byte inside TLS (XEP-0368).
pub(super) const ALPN_XMPP: &[u8] = b"xmpp-client";

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests {

    use super::{super::certificates::Authority, *};

    const NOW: (i32, i32) = (2020, 2100);
    const HOST: &str = "chat.example.org";

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

    fn trusting(authority: &Authority) -> TlsOptions {
        TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap()
    }

    #[test]
    fn a_ready_made_configuration_is_taken_as_it_is() {
        let authority = Authority::new();
        let ready = trusting(&authority).client_config().unwrap();
        let options = TlsOptions::from_client_config(Arc::clone(&ready));
        assert!(Arc::ptr_eq(&options.client_config().unwrap(), &ready));

        let pem = authority.pem();
        for refused in [
            options.clone().with_ca_pem(pem.as_bytes()),
            options.clone().with_client_certificate_pem(b"", b""),
            options.clone().with_client_certificate_resolver(Arc::new(NoCertificate)),
            options.danger_allow_legacy_master_secret(),
        ] {
            assert_eq!(refused.unwrap_err(), TlsError::FixedConfig);
        }
    }

    #[test]
    fn a_resolver_takes_the_place_of_a_certificate_from_files() {
        let pem = include_str!("testdata/client-sec1.pem");
        let options = TlsOptions::new()
            .with_client_certificate_pem(pem.as_bytes(), pem.as_bytes())
            .unwrap()
            .with_client_certificate_resolver(Arc::new(NoCertificate))
            .unwrap();
        let options = options.with_ca_pem(Authority::new().pem().as_bytes()).unwrap();
        assert!(!options.client_config().unwrap().client_auth_cert_resolver.has_certs());
    }

    #[test]
    fn extended_master_secret_is_wanted_unless_allowed_otherwise() {
        let options = trusting(&Authority::new());
        assert!(options.client_config().unwrap().require_ems);
        let options = options.danger_allow_legacy_master_secret().unwrap();
        assert!(!options.client_config().unwrap().require_ems);
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
