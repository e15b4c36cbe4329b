//! Certificates and TLS servers for the tests of this folder, made on the spot.
//! They need the same cryptography as the code under test.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    SignatureAlgorithm, date_time_ymd,
};
use rustls::{
    DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{Acceptor, WebPkiClientVerifier},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor, server::TlsStream};

use super::crypto_provider::default_provider;

/// A certificate authority of a test's own.
pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("test CA")
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::with_key(name, KeyPair::generate().unwrap())
    }

    /// One whose certificates have another signature algorithm.
    pub(super) fn signing_with(algorithm: &'static SignatureAlgorithm) -> Self {
        Self::with_key("test CA", KeyPair::generate_for(algorithm).unwrap())
    }

    fn with_key(name: &str, key: KeyPair) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// Issues a certificate for a host, valid from the first of January of one year to another.
    pub(crate) fn issue(&self, host: &str, years: (i32, i32)) -> Issued {
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued { certificate, key }
    }
}

pub(crate) struct Issued {
    certificate: Certificate,
    key: KeyPair,
}

impl Issued {
    pub(crate) fn certificate_pem(&self) -> String {
        self.certificate.pem()
    }

    pub(super) fn der(&self) -> &[u8] {
        self.certificate.der()
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// A TLS server with this certificate; it demands one of its clients when it knows their CA.
    pub(crate) fn acceptor(&self, clients: Option<&Authority>) -> TlsAcceptor {
        TlsAcceptor::from(self.server(clients, DEFAULT_VERSIONS))
    }

    /// The same, of certain versions of TLS, for [`accept`].
    pub(super) fn server(
        &self,
        clients: Option<&Authority>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ServerConfig> {
        let provider = default_provider().unwrap();
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                roots.add(authority.certificate.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key.serialize_der()));
        let chain = vec![self.certificate.der().clone()];
        let mut config = builder.with_single_cert(chain, key).unwrap();
        let spoken = ["h2", "http/1.1", "xmpp-server", "xmpp-client"];
        config.alpn_protocols = spoken.map(|name| name.as_bytes().to_vec()).to_vec();
        Arc::new(config)
    }
}

/// What a TLS server learned of its client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) name: Option<String>,
    /// The ALPN names in the client's hello.
    pub(super) offered: Vec<Vec<u8>>,
    pub(super) certificates: usize,
    /// What the server's end exports for channel binding.
    pub(super) exported: [u8; 32],
}

/// The server's half of a handshake; `None` if it fails.
pub(super) async fn accept<S>(config: Arc<ServerConfig>, stream: S) -> Option<(TlsStream<S>, Seen)>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let begun = LazyConfigAcceptor::new(Acceptor::default(), stream).await.ok()?;
    let hello = begun.client_hello();
    let name = hello.server_name().map(str::to_owned);
    let offered = hello.alpn().into_iter().flatten().map(<[u8]>::to_vec).collect();
    let stream = begun.into_stream(config).await.ok()?;
    let session = stream.get_ref().1;
    let label = b"EXPORTER-Channel-Binding";
    let exported = session.export_keying_material([0; 32], label, Some(b"")).unwrap();
    let certificates = session.peer_certificates().map_or(0, <[_]>::len);
    Some((stream, Seen { name, offered, certificates, exported }))
}
