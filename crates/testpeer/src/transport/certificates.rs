//! Certificates that are made when a server begins to listen, and die with it.
//!
//! Leaves out everything that could outlive a test: no files, no store.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, OtherNameValue, SanType, SignatureAlgorithm,
};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::sasl::hash::Hash;

/// How the authority signs the server's certificate.
///
/// It decides the hash of `tls-server-end-point` (RFC 5929, section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateSignature {
    /// ECDSA on P-256 with SHA-256.
    #[default]
    EcdsaSha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaSha384,
    /// Ed25519, for which `tls-server-end-point` is not defined.
    Ed25519,
}

/// When the server's certificate is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateValidity {
    /// Now, and for longer than any test.
    #[default]
    Current,
    /// Now, and for this many days and one hour.
    Days(u16),
    /// No longer: it ended a day ago.
    Expired,
    /// Not yet: it begins in a day.
    Future,
}

/// Whom the server's certificate is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum CertificateNames {
    /// The server's domain and its addresses.
    #[default]
    Right,
    /// `other.example` alone.
    Wrong,
}

/// How the server's certificate is made.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CertificateStyle {
    pub(super) signature: CertificateSignature,
    pub(super) validity: CertificateValidity,
    pub(super) names: CertificateNames,
}

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
    pub(super) authority: CertificateDer<'static>,
    pub(super) server: ServerCertificate,
}

/// The server's own certificate, and its key.
pub(super) struct ServerCertificate {
    pub(super) certificate: CertificateDer<'static>,
    pub(super) key: PrivateKeyDer<'static>,
    signature: CertificateSignature,
}

impl ServerCertificate {
    /// The data of `tls-server-end-point` (RFC 5929, section 4), where it is defined.
    pub(super) fn end_point(&self) -> Option<Vec<u8>> {
        let hash = match self.signature {
            CertificateSignature::EcdsaSha256 => Hash::Sha256,
            CertificateSignature::EcdsaSha384 => Hash::Sha384,
            CertificateSignature::Ed25519 => return None,
        };
        Some(hash.digest(&self.certificate))
    }
}

impl CertificateSignature {
    fn algorithm(self) -> &'static SignatureAlgorithm {
        match self {
            Self::EcdsaSha256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Self::EcdsaSha384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            Self::Ed25519 => &rcgen::PKCS_ED25519,
        }
    }
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
        style: CertificateStyle,
    ) -> io::Result<Self> {
        let authority = authority(style.signature).map_err(io::Error::other)?;
        let server = server(&authority, domain, address, style).map_err(io::Error::other)?;
        let clients = users.map(|user| client(&authority, user, domain));
        let clients = clients.collect::<Result<_, _>>().map_err(io::Error::other)?;
        Ok(Self { ca_pem: authority.pem(), clients, authority: authority.der().clone(), server })
    }
}

fn authority(signature: CertificateSignature) -> Result<Authority, rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "epode test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate_for(signature.algorithm())?)
}

fn server(
    authority: &Authority,
    domain: &str,
    address: IpAddr,
    style: CertificateStyle,
) -> Result<ServerCertificate, rcgen::Error> {
    let mut names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    for name in [domain.to_owned(), address.to_string()] {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if style.names == CertificateNames::Wrong {
        names = vec![OTHER.to_owned()];
    }
    let mut params = CertificateParams::new(names)?;
    limit(&mut params, style.validity);
    params.distinguished_name.push(DnType::CommonName, domain);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, authority)?.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok(ServerCertificate { certificate, key, signature: style.signature })
}

fn limit(params: &mut CertificateParams, validity: CertificateValidity) {
    let now = SystemTime::now();
    match validity {
        CertificateValidity::Current => {}
        CertificateValidity::Days(days) => {
            params.not_after = (now + DAY * u32::from(days) + HOUR).into();
        }
        CertificateValidity::Expired => params.not_after = (now - DAY).into(),
        CertificateValidity::Future => params.not_before = (now + DAY).into(),
    }
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

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Somebody else's domain (RFC 2606).
const OTHER: &str = "other.example";

/// `id-on-xmppAddr` (RFC 6120, section 13.7.1.4).
pub(super) const XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];
