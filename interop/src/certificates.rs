//! The certificate authorities of a run, and what they signed.
//!
//! No revocation and no intermediate authority.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use sha2::{Digest, Sha256};

use crate::{Error, release, rig};

/// The authority that servers and clients of a run trust, one that nobody does, and the servers'
/// certificates with their files.
#[derive(Debug)]
pub struct Certificates {
    authority: Authority,
    stranger: Authority,
    authority_file: PathBuf,
    server: ServerFiles,
    expired: ServerFiles,
    end_point: String,
}

/// A certificate of a server, where it reads it from. PEM all.
#[derive(Debug)]
pub(crate) struct ServerFiles {
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
    /// Chain and key in one, as ejabberd wants them.
    pub(crate) bundle: PathBuf,
}

/// A client's certificate for EXTERNAL, with its key. PEM both.
pub struct ClientCertificate {
    /// The certificate. Its authority signs directly, so the chain is this one certificate.
    pub chain_pem: String,
    /// The private key, PKCS #8.
    pub key_pem: String,
}

impl Certificates {
    /// Makes the authorities and the servers' certificates, and writes what servers read.
    pub(crate) fn create(folder: &Path) -> Result<Self, Error> {
        let authority = Authority::new("epode interop authority")?;
        let authority_file = folder.join("authority.pem");
        rig::write(&authority_file, &authority.pem())?;

        // wss is verified for the host in the URL, which is an address.
        let addresses = ["127.0.0.1", "::1"].map(str::to_owned);
        let names = release::listed_domains().map(str::to_owned).chain(addresses).collect();
        let now = SystemTime::now();
        let (certificate, key) = authority.server(names, now - DAY, now + 30 * DAY)?;
        let server = ServerFiles::write(folder, "server", &certificate, &key)?;
        let end_point = hex(&Sha256::digest(certificate.der()));

        let names = vec![release::EXPIRED.to_owned()];
        let (certificate, key) = authority.server(names, now - 60 * DAY, now - 30 * DAY)?;
        let expired = ServerFiles::write(folder, "expired", &certificate, &key)?;
        let stranger = Authority::new("an authority that nobody trusts")?;
        Ok(Self { authority, stranger, authority_file, server, expired, end_point })
    }

    /// The authority of the servers' certificates, which servers trust with clients' as well.
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The file with the certificate of [`Self::authority`].
    pub fn authority_file(&self) -> &Path {
        &self.authority_file
    }

    /// An authority that no server knows, and that signed none of them.
    pub fn stranger(&self) -> &Authority {
        &self.stranger
    }

    /// For every domain but two: see [`crate::Release`].
    pub(crate) fn server(&self) -> &ServerFiles {
        &self.server
    }

    /// For the domain whose certificate has expired.
    pub(crate) fn expired(&self) -> &ServerFiles {
        &self.expired
    }

    /// SHA-256 of [`Self::server`], its own signature's hash, in hexadecimal (RFC 5929, section 4).
    pub(crate) fn end_point(&self) -> &str {
        &self.end_point
    }
}

impl ServerFiles {
    fn write(
        folder: &Path,
        name: &str,
        certificate: &Certificate,
        key: &KeyPair,
    ) -> Result<Self, Error> {
        let file = |ending: &str| folder.join(format!("{name}{ending}"));
        let (chain, key_pem) = (certificate.pem(), key.serialize_pem());
        let this = Self { chain: file(".pem"), key: file(".key"), bundle: file("-with-key.pem") };
        rig::write(&this.chain, &chain)?;
        rig::write(&this.key, &key_pem)?;
        rig::write(&this.bundle, &format!("{chain}{key_pem}"))?;
        Ok(this)
    }
}

/// Signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Result<Self, Error> {
        let now = SystemTime::now();
        let mut params = params(name, Vec::new(), now - DAY, now + 30 * DAY)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, PEM: what is trusted by those who trust it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Signs a certificate that speaks for a bare JID: the JID stands in a subjectAltName of type
    /// id-on-xmppAddr (RFC 6120, section 13.7.1.4).
    ///
    /// # Errors
    /// [`Error::Certificate`] when it cannot be made.
    pub fn client(&self, jid: &str) -> Result<ClientCertificate, Error> {
        let now = SystemTime::now();
        let mut params = params(jid, Vec::new(), now - DAY, now + 30 * DAY)?;
        params.subject_alt_names = vec![SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), jid.into()))];
        let (certificate, key) = self.sign(params, ExtendedKeyUsagePurpose::ClientAuth)?;
        Ok(ClientCertificate { chain_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    fn server(
        &self,
        names: Vec<String>,
        from: SystemTime,
        until: SystemTime,
    ) -> Result<(Certificate, KeyPair), Error> {
        let params = params("epode interop server", names, from, until)?;
        self.sign(params, ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn sign(
        &self,
        mut params: CertificateParams,
        purpose: ExtendedKeyUsagePurpose,
    ) -> Result<(Certificate, KeyPair), Error> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![purpose];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.0)?, key))
    }
}

/// Never shows a key.
impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// Shows the certificate; never the key.
impl fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientCertificate")
            .field("chain_pem", &self.chain_pem)
            .finish_non_exhaustive()
    }
}

fn params(
    common_name: &str,
    names: Vec<String>,
    from: SystemTime,
    until: SystemTime,
) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    params.not_before = from.into();
    params.not_after = until.into();
    Ok(params)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Certificates last weeks: ejabberd sets a timer for the day on which one ends, and fails on a
/// distant one.
const DAY: Duration = Duration::from_hours(24);

/// id-on-xmppAddr, 1.3.6.1.5.5.7.8.5.
const ID_ON_XMPP_ADDR: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 8, 5];

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::{
        CertificateError, ClientConfig, ClientConnection, Error, RootCertStore, ServerConnection,
        crypto::ring,
        pki_types::{CertificateDer, pem::PemObject},
    };
    use sha2::{Digest, Sha256};

    use super::{Authority, ServerFiles, hex};
    use crate::{
        Rig,
        release::{EXPIRED, UNLISTED, listed_domains},
        token_validator,
    };

    #[test]
    fn the_servers_certificate_is_good_for_every_listed_name() {
        let rig = Rig::new().unwrap();
        let ours = rig.certificates();
        for name in listed_domains().chain(["127.0.0.1", "::1"]) {
            assert_eq!(handshake(ours.authority(), ours.server(), name), Ok(()), "{name}");
        }
        for name in [UNLISTED, EXPIRED, "elsewhere.example", "x.localhost", "127.0.0.2"] {
            let refused = handshake(ours.authority(), ours.server(), name);
            assert!(
                matches!(
                    refused,
                    Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. }))
                ),
                "{name}: {refused:?}"
            );
        }
    }

    #[test]
    fn the_expired_one_has_no_other_fault() {
        let rig = Rig::new().unwrap();
        let ours = rig.certificates();
        let refused = handshake(ours.authority(), ours.expired(), EXPIRED);
        assert!(
            matches!(
                refused,
                Err(Error::InvalidCertificate(CertificateError::ExpiredContext { .. }))
            ),
            "{refused:?}"
        );
    }

    #[test]
    fn the_stranger_vouches_for_nobody() {
        let rig = Rig::new().unwrap();
        let ours = rig.certificates();
        assert_eq!(
            handshake(ours.stranger(), ours.server(), "localhost"),
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
        );
    }

    #[test]
    fn the_end_point_is_the_hash_of_the_file() {
        let rig = Rig::new().unwrap();
        let der = CertificateDer::from_pem_file(&rig.certificates().server().chain).unwrap();
        assert_eq!(rig.certificates().end_point(), hex(&Sha256::digest(&der)));
    }

    #[test]
    fn a_clients_certificate_has_the_jid_as_an_other_name() {
        let rig = Rig::new().unwrap();
        let client = rig.certificates().authority().client("a@b.example").unwrap();
        let der = CertificateDer::from_pem_slice(client.chain_pem.as_bytes()).unwrap();
        // The object identifier, an explicit tag 0, and in it a UTF8String of 11 bytes.
        let name = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x05\xa0\x0d\x0c\x0ba@b.example";
        assert!(der.windows(name.len()).any(|window| window == name));
        assert!(!format!("{client:?}").contains("PRIVATE"));
    }

    /// A TLS handshake in memory, as far as the client's verdict on the certificate.
    fn handshake(trusted: &Authority, server: &ServerFiles, name: &str) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusted.pem().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = name.to_owned().try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let config = token_validator::server_config(server).unwrap();
        let mut server = ServerConnection::new(Arc::new(config)).unwrap();
        while client.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &*wire).unwrap();
            server.process_new_packets().unwrap();
            let mut wire = Vec::new();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &*wire).unwrap();
            client.process_new_packets()?;
        }
        Ok(())
    }
}
