//! What a login can be bound to on a TLS connection (RFC 9266, RFC 5929).
//! Whether one is, and to which of them, is decided where the login is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use epode_sasl::{Binding, BindingType};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, pki_types::ServerName};

use super::server_end_point::server_end_point;

/// Everything that a login over this connection can be bound to. The handshake must be over.
pub(super) fn bindings(connection: &ClientConnection, config: &ClientConfig) -> Vec<Binding> {
    let certificates = connection.peer_certificates().unwrap_or_default();
    // On a resumed session this is the certificate of the handshake that began it.
    let end_point = certificates.first().and_then(|first| match server_end_point(first) {
        Ok(hash) => Some(Binding::new(BindingType::TlsServerEndPoint, hash)),
        Err(reason) => {
            tracing::debug!(%reason, "no tls-server-end-point");
            None
        }
    });
    exporter(connection, config).into_iter().chain(end_point).collect()
}

/// The `tls-server-end-point` data of servers, from their last handshakes: for early data, where it is
/// not known yet. Such data is sent in the session of a handshake that has proved the certificate.
#[derive(Clone, Default)]
pub(super) struct EndPoints(Arc<Mutex<HashMap<ServerName<'static>, Binding>>>);

impl EndPoints {
    /// Notes what a handshake has shown, for as many servers as the TLS library remembers.
    pub(super) fn note(&self, name: &ServerName<'static>, bindings: &[Binding]) {
        let found = bindings.iter().find(|it| it.kind() == BindingType::TlsServerEndPoint);
        let mut known = self.lock();
        match found {
            Some(binding) if known.len() < MAX_SERVERS || known.contains_key(name) => {
                known.insert(name.clone(), binding.clone());
            }
            _ => drop(known.remove(name)),
        }
    }

    pub(super) fn of(&self, name: &ServerName<'static>) -> Option<Binding> {
        self.lock().get(name).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ServerName<'static>, Binding>> {
        // It is whole between any two steps.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `tls-exporter`, which is defined where the master secret is unique (RFC 9266, section 2).
fn exporter(connection: &ClientConnection, config: &ClientConfig) -> Option<Binding> {
    let is_unique = match connection.protocol_version()? {
        ProtocolVersion::TLSv1_3 => true,
        // Only with extended master secret (RFC 7627). The library does not tell whether it was
        // used, but where it is required, it was.
        ProtocolVersion::TLSv1_2 => config.require_ems,
        _ => false,
    };
    if !is_unique {
        return None;
    }
    // An empty context and no context are different things before TLS 1.3 (RFC 5705, section 4).
    let data = connection.export_keying_material([0; LENGTH], LABEL, Some(&[])).ok()?;
    Some(Binding::new(BindingType::TlsExporter, data))
}

const LABEL: &[u8] = b"EXPORTER-Channel-Binding";
const LENGTH: usize = 32;
const MAX_SERVERS: usize = 256;

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests {
    use std::{sync::Arc, time::Duration};

    use epode_sasl::Channel;
    use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm};
    use rustls::{
        SupportedProtocolVersion,
        version::{TLS12, TLS13},
    };
    use sha2::{Digest, Sha256, Sha384};
    use tokio::io::duplex;

    use super::{
        super::{
            certificates::{Authority, Issued, accept},
            dial::Deadline,
            peer::Peer,
            tls::{Handshake, Inside},
            tls_options::TlsOptions,
        },
        *,
    };

    const NOW: (i32, i32) = (2020, 2100);
    const DOMAIN: &str = "example.org";

    fn signed_with(algorithm: &'static SignatureAlgorithm) -> (TlsOptions, Issued) {
        let authority = Authority::signing_with(algorithm);
        let options = TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap();
        (options, authority.issue(DOMAIN, NOW))
    }

    /// The channel at the client's end, and what the server exports at its own.
    async fn shake(
        options: &TlsOptions,
        issued: &Issued,
        version: &'static SupportedProtocolVersion,
    ) -> (Channel, Vec<u8>) {
        let (ours, theirs) = duplex(64 * 1024);
        let handshake = Handshake::new(options, DOMAIN, Inside::Starttls).unwrap();
        let peer = Peer::server(DOMAIN.to_owned(), 5222);
        let deadline = Deadline::after(Duration::from_secs(60));
        let client = handshake.run(ours, &peer, deadline);
        let server = accept(issued.server(None, &[version]), theirs);
        let (client, server) = tokio::join!(client, server);
        (client.unwrap().1, server.unwrap().1.exported.to_vec())
    }

    fn data(channel: &Channel, kind: BindingType) -> Option<Vec<u8>> {
        let found = channel.bindings().iter().find(|binding| binding.kind() == kind);
        found.map(|binding| binding.data().to_vec())
    }

    #[tokio::test]
    async fn both_ends_have_the_same() {
        for version in [&TLS13, &TLS12] {
            let (options, issued) = signed_with(&PKCS_ECDSA_P256_SHA256);
            let (channel, exported) = shake(&options, &issued, version).await;
            assert_eq!(data(&channel, BindingType::TlsExporter), Some(exported), "{version:?}");
            let end_point = Sha256::digest(issued.der()).to_vec();
            assert_eq!(data(&channel, BindingType::TlsServerEndPoint), Some(end_point));
        }
    }

    #[tokio::test]
    async fn each_connection_has_an_exporter_of_its_own() {
        for version in [&TLS13, &TLS12] {
            let (options, issued) = signed_with(&PKCS_ECDSA_P256_SHA256);
            let (first, _) = shake(&options, &issued, version).await;
            let (second, _) = shake(&options, &issued, version).await;
            let exporter = BindingType::TlsExporter;
            assert_ne!(data(&first, exporter), data(&second, exporter), "{version:?}");
        }
    }

    #[tokio::test]
    async fn the_end_point_follows_the_signature_of_the_certificate() {
        let (options, issued) = signed_with(&PKCS_ECDSA_P384_SHA384);
        let (channel, _) = shake(&options, &issued, &TLS13).await;
        let end_point = Sha384::digest(issued.der()).to_vec();
        assert_eq!(data(&channel, BindingType::TlsServerEndPoint), Some(end_point));

        let (options, issued) = signed_with(&PKCS_ED25519);
        let (channel, exported) = shake(&options, &issued, &TLS13).await;
        assert_eq!(data(&channel, BindingType::TlsServerEndPoint), None);
        assert_eq!(data(&channel, BindingType::TlsExporter), Some(exported));
    }

    #[tokio::test]
    async fn tls_1_2_has_an_exporter_only_where_its_master_secret_is_known_to_be_unique() {
        let (options, issued) = signed_with(&PKCS_ECDSA_P256_SHA256);
        let lenient = options.clone().danger_allow_legacy_master_secret().unwrap();
        let mut ready = ClientConfig::clone(&options.client_config().unwrap());
        ready.require_ems = false;
        let ready = TlsOptions::from_client_config(Arc::new(ready));
        for options in [lenient, ready] {
            let (channel, _) = shake(&options, &issued, &TLS12).await;
            assert_eq!(data(&channel, BindingType::TlsExporter), None);
            assert!(data(&channel, BindingType::TlsServerEndPoint).is_some());
            let (channel, exported) = shake(&options, &issued, &TLS13).await;
            assert_eq!(data(&channel, BindingType::TlsExporter), Some(exported));
        }
    }

    #[tokio::test]
    async fn a_resumed_session_is_bound_too() {
        for version in [&TLS13, &TLS12] {
            let (options, issued) = signed_with(&PKCS_ECDSA_P256_SHA256);
            let server = issued.server(None, &[version]);
            let end_point = Sha256::digest(issued.der()).to_vec();
            let mut kinds = Vec::new();
            for _ in 0..2 {
                let (ours, theirs) = duplex(64 * 1024);
                let handshake = Handshake::new(&options, DOMAIN, Inside::Xmpp).unwrap();
                let peer = Peer::server(DOMAIN.to_owned(), 5223);
                let deadline = Deadline::after(Duration::from_secs(60));
                let client = handshake.run(ours, &peer, deadline);
                let (client, served) = tokio::join!(client, accept(Arc::clone(&server), theirs));
                let ((mut stream, channel), (mut served, seen)) =
                    (client.unwrap(), served.unwrap());
                let exported = Some(seen.exported.to_vec());
                assert_eq!(data(&channel, BindingType::TlsExporter), exported);
                let found = data(&channel, BindingType::TlsServerEndPoint);
                assert_eq!(found.as_ref(), Some(&end_point));
                // TLS 1.3 sends its tickets with the first bytes.
                tokio::io::AsyncWriteExt::write_all(&mut served, b"!").await.unwrap();
                tokio::io::AsyncWriteExt::flush(&mut served).await.unwrap();
                tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap();
                kinds.push(stream.get_ref().1.handshake_kind());
            }
            assert_eq!(kinds[1], Some(rustls::HandshakeKind::Resumed), "{version:?}");
        }
    }
}
