//! Certificates that are made when a server begins to listen, and die with it.
//!
//! Leaves out everything that could outlive a test: no files, no store.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, OtherNameValue, SanType,
};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use zeroize::Zeroizing;

/// A certificate with which an account can log in by EXTERNAL.
#[derive(Clone)]
pub struct ClientCertificate {
    user: String,
    certificate: String,
    key: Zeroizing<String>,
}

/// A certificate authority, and what it has signed.
pub(super) struct Certificates {
    pub(super) ca_pem: String,
    pub(super) clients: Vec<ClientCertificate>,
    pub(super) acceptor: TlsAcceptor,
}

impl ClientCertificate {
    /// The account.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The certificate in PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// Its private key in PEM.
    #[must_use]
    pub fn key_pem(&self) -> &str {
        &self.key
    }
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientCertificate").field("user", &self.user).finish_non_exhaustive()
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

impl Certificates {
    /// Makes them for a server of this domain at this address, and these users.
    pub(super) fn make<'a>(
        domain: &str,
        address: IpAddr,
        users: impl Iterator<Item = &'a str>,
    ) -> io::Result<Self> {
        let authority = authority().map_err(io::Error::other)?;
        let (chain, key) = server(&authority, domain, address).map_err(io::Error::other)?;
        let clients = users.map(|user| client(&authority, user, domain));
        let clients = clients.collect::<Result<_, _>>().map_err(io::Error::other)?;
        let acceptor = acceptor(authority.der(), chain, key).map_err(io::Error::other)?;
        Ok(Self { ca_pem: authority.pem(), clients, acceptor })
    }
}

fn authority() -> Result<Authority, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "epode test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn server(
    authority: &Authority,
    domain: &str,
    address: IpAddr,
) -> Result<(CertificateDer<'static>, KeyPair), rcgen::Error> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    for name in [domain.to_owned(), address.to_string()] {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, domain);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    Ok((params.signed_by(&key, authority)?.der().clone(), key))
}

fn client(
    authority: &Authority,
    user: &str,
    domain: &str,
) -> Result<ClientCertificate, rcgen::Error> {
    let address = OtherNameValue::Utf8String(format!("{user}@{domain}"));
    let mut params = CertificateParams::default();
    params.subject_alt_names.push(SanType::OtherName((XMPP_ADDR.to_vec(), address)));
    params.distinguished_name.push(DnType::CommonName, user);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?.pem();
    Ok(ClientCertificate {
        user: user.to_owned(),
        certificate,
        key: Zeroizing::new(key.serialize_pem()),
    })
}

/// Clients may show a certificate of this authority, or none.
fn acceptor(
    authority: &CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: KeyPair,
) -> Result<TlsAcceptor, Box<dyn std::error::Error + Send + Sync>> {
    // The provider is named here: the default of the process belongs to the application.
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// `id-on-xmppAddr` (RFC 6120, section 13.7.1.4).
pub(super) const XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];
