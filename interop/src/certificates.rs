//! A certificate authority that lives as long as the run, and what it signs.
//!
//! No revocation and no intermediate authority.

use std::{
    fmt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

use crate::{Error, ejabberd, prosody, rig};

/// The authority, and the servers' certificate with its files.
pub struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// A client's certificate for EXTERNAL, with its key. PEM both.
pub struct ClientCertificate {
    /// The certificate. Its authority signs directly, so the chain is this one certificate.
    pub chain_pem: String,
    /// The private key, PKCS #8.
    pub key_pem: String,
}

impl Certificates {
    /// Makes the authority and one certificate for all servers, and writes their files.
    pub(crate) fn create(folder: &Path) -> Result<Self, Error> {
        let mut params = params("epode interop authority", Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let this = Self { authority, folder: folder.to_owned() };
        let (certificate, key) = this.server_certificate()?;
        rig::write(&this.authority_file(), &this.authority_pem())?;
        rig::write(&this.server_chain_file(), &certificate)?;
        rig::write(&this.server_key_file(), &key)?;
        rig::write(&this.server_bundle_file(), &format!("{certificate}{key}"))?;
        Ok(this)
    }

    /// The authority's certificate: what a client must trust.
    pub fn authority_pem(&self) -> String {
        self.authority.pem()
    }

    /// The file with [`Self::authority_pem`].
    pub fn authority_file(&self) -> PathBuf {
        self.folder.join("authority.pem")
    }

    /// The file with the servers' certificate.
    pub fn server_chain_file(&self) -> PathBuf {
        self.folder.join("server.pem")
    }

    /// The file with the servers' key.
    pub fn server_key_file(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    /// The file with both, as ejabberd wants them.
    pub fn server_bundle_file(&self) -> PathBuf {
        self.folder.join("server-with-key.pem")
    }

    /// Signs a certificate that speaks for a bare JID: the JID stands in a subjectAltName of type
    /// id-on-xmppAddr (RFC 6120, section 13.7.1.4).
    ///
    /// # Errors
    /// [`Error::Certificate`] when it cannot be made.
    pub fn client(&self, jid: &str) -> Result<ClientCertificate, Error> {
        let mut params = params(jid, Vec::new())?;
        params.subject_alt_names = vec![SanType::OtherName((ID_ON_XMPP_ADDR.to_vec(), jid.into()))];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.authority)?;
        Ok(ClientCertificate { chain_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// A client verifies wss for the host in the URL, direct TLS for the JID's domain: the
    /// certificate lists every domain, and the loopback addresses.
    fn server_certificate(&self) -> Result<(String, String), Error> {
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(
            prosody::DOMAINS
                .into_iter()
                .chain(ejabberd::DOMAINS)
                .filter(|domain| *domain != "localhost")
                .map(str::to_owned),
        );
        names.sort();
        names.dedup();
        let mut params = params("epode interop server", names)?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, &self.authority)?.pem(), key.serialize_pem()))
    }
}

/// Shows where the files are; never a key.
impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").field("folder", &self.folder).finish_non_exhaustive()
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

fn params(common_name: &str, names: Vec<String>) -> Result<CertificateParams, Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.push(DnType::CommonName, common_name);
    let now = SystemTime::now();
    params.not_before = (now - DAY).into();
    params.not_after = (now + 30 * DAY).into();
    Ok(params)
}

/// ejabberd sets a timer for the day on which a certificate ends, and fails on a distant one.
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

    use super::Certificates;
    use crate::{Rig, ejabberd, prosody, token_validator};

    #[test]
    fn the_servers_certificate_is_good_for_every_name() {
        let rig = Rig::new().unwrap();
        let names = ["127.0.0.1", "::1"];
        for name in names.into_iter().chain(prosody::DOMAINS).chain(ejabberd::DOMAINS) {
            assert_eq!(handshake(rig.certificates(), name), Ok(()), "{name}");
        }
        for name in ["elsewhere.example", "x.localhost", "127.0.0.2"] {
            let refused = handshake(rig.certificates(), name);
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
    fn a_clients_certificate_has_the_jid_as_an_other_name() {
        let rig = Rig::new().unwrap();
        let client = rig.certificates().client("a@b.example").unwrap();
        let der = CertificateDer::from_pem_slice(client.chain_pem.as_bytes()).unwrap();
        // The object identifier, an explicit tag 0, and in it a UTF8String of 11 bytes.
        let name = b"\x06\x08\x2b\x06\x01\x05\x05\x07\x08\x05\xa0\x0d\x0c\x0ba@b.example";
        assert!(der.windows(name.len()).any(|window| window == name));
        assert!(!format!("{client:?}").contains("PRIVATE"));
    }

    /// A TLS handshake in memory, as far as the client's verdict on the certificate.
    fn handshake(certificates: &Certificates, name: &str) -> Result<(), Error> {
        let mut roots = RootCertStore::empty();
        let authority = certificates.authority_pem();
        roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = name.to_owned().try_into().unwrap();
        let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
        let config = token_validator::server_config(certificates).unwrap();
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
