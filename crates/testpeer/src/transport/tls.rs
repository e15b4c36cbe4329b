//! TLS, the server's side: its versions, the handshake, and what a session may know afterwards.
//!
//! Leaves out how the certificates are made.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::{StoresServerSessions, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, ServerConnection, SupportedProtocolVersion,
};
use tokio_rustls::server::TlsStream;

use super::certificate_addresses::addresses;
use super::certificates::Certificates;
use super::early_stream::EarlyStream;
use super::shutdown::Shutdown;
use crate::random;
use crate::session::SessionChannel;

/// The versions of TLS that a server speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsVersions {
    /// 1.2 and 1.3.
    #[default]
    Both,
    /// 1.2 alone.
    Tls12,
    /// 1.3 alone.
    Tls13,
}

/// What a server does about early data of TLS 1.3 (RFC 8446, section 2.3) on its port of direct TLS.
/// If anything, tokens are announced with `tls-0rtt` (XEP-0484, section 3.4), and a login by token that
/// comes so is answered before the handshake is over; no other login is taken there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum EarlyData {
    /// Nothing.
    #[default]
    Absent,
    /// It is taken, once for each ticket.
    Taken,
    /// It is taken as often as somebody sends it, as by servers that do not remember their tickets:
    /// the count of the token alone tells a replay.
    Replayable,
    /// Tickets promise it, and it is refused.
    Refused,
}

/// Whoever does the handshakes of one server.
pub(super) struct Tls {
    /// For what was begun by HTTP or STARTTLS: any protocol that ALPN names will do.
    plain: TlsAcceptor,
    /// For direct TLS (XEP-0368), where ALPN names XMPP if it names anything.
    direct: Arc<ServerConfig>,
    early_data: EarlyData,
    end_point: Option<Vec<u8>>,
    patience: Duration,
}

/// How a connection came to TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entrance {
    Http,
    StartTls,
    Direct,
}

type ConfigError = Box<dyn std::error::Error + Send + Sync>;

impl Tls {
    /// Clients may show a certificate of the same authority, or none.
    pub(super) fn new(
        certificates: &Certificates,
        versions: TlsVersions,
        early_data: EarlyData,
        patience: Duration,
    ) -> io::Result<Self> {
        let plain = config(certificates, versions).map_err(io::Error::other)?;
        let mut direct = plain.clone();
        direct.alpn_protocols = vec![ALPN.to_vec()];
        if early_data != EarlyData::Absent {
            direct.max_early_data_size = MAX_EARLY_DATA;
            direct.send_half_rtt_data = true;
        }
        if early_data == EarlyData::Replayable {
            direct.session_storage = Arc::new(Lasting(Arc::clone(&direct.session_storage)));
        }
        Ok(Self {
            plain: TlsAcceptor::from(Arc::new(plain)),
            direct: Arc::new(direct),
            early_data,
            end_point: certificates.server.end_point(),
            patience,
        })
    }

    /// Does one handshake; `None` when it fails, takes too long, or the server shuts down.
    pub(super) async fn accept<S>(
        &self,
        entrance: Entrance,
        stream: S,
        shutdown: &mut Shutdown,
    ) -> Option<(TlsStream<S>, SessionChannel)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = match entrance {
            Entrance::Http | Entrance::StartTls => self.plain.clone(),
            Entrance::Direct => TlsAcceptor::from(Arc::clone(&self.direct)),
        };
        let handshake = timeout(self.patience, acceptor.accept(stream));
        let secured = tokio::select! {
            secured = handshake => secured,
            () = shutdown.wait() => return None,
        };
        let stream = secured.ok()?.ok()?;
        let channel = self.channel(stream.get_ref().1);
        Some((stream, channel))
    }

    /// Begins a handshake of direct TLS in which early data may come.
    pub(super) fn begin_early<S>(&self, stream: S) -> Option<EarlyStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let refuses = self.early_data == EarlyData::Refused;
        EarlyStream::new(Arc::clone(&self.direct), refuses, stream).ok()
    }

    /// What is known of a channel before the handshake is over: nothing of `tls-exporter` but that it
    /// will be there, so that nobody is bound to it until then.
    pub(super) fn early_channel(&self) -> SessionChannel {
        let channel = SessionChannel::encrypted().with_tls_version(TLS_1_3);
        let channel = channel.with_binding("tls-exporter", random::bytes::<32>());
        match &self.end_point {
            Some(data) => channel.with_binding("tls-server-end-point", data.as_slice()),
            None => channel,
        }
        .in_early_data()
    }

    /// What is known of it afterwards.
    pub(super) fn channel(&self, connection: &ServerConnection) -> SessionChannel {
        let certificate = connection.peer_certificates().and_then(<[_]>::first);
        let addresses = certificate.map(|der| addresses(der)).unwrap_or_default();
        let mut channel = addresses
            .into_iter()
            .fold(SessionChannel::encrypted(), SessionChannel::with_certificate);
        if let Some(version) = connection.protocol_version() {
            channel = channel.with_tls_version(u16::from(version));
        }
        // RFC 9266, section 2: an empty context, which TLS 1.2 tells from none.
        let exporter = connection.export_keying_material([0; 32], EXPORTER_LABEL, Some(&[]));
        if let Ok(data) = exporter {
            channel = channel.with_binding("tls-exporter", data);
        }
        if let Some(data) = &self.end_point {
            channel = channel.with_binding("tls-server-end-point", data.as_slice());
        }
        channel
    }
}

/// Sessions that can be taken up any number of times.
#[derive(Debug)]
struct Lasting(Arc<dyn StoresServerSessions>);

impl StoresServerSessions for Lasting {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.0.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    fn can_cache(&self) -> bool {
        self.0.can_cache()
    }
}

fn config(certificates: &Certificates, versions: TlsVersions) -> Result<ServerConfig, ConfigError> {
    // The provider is named here: the default of the process belongs to the application.
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(certificates.authority.clone())?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()?;
    let versions: &[&SupportedProtocolVersion] = match versions {
        TlsVersions::Both => &[&TLS13, &TLS12],
        TlsVersions::Tls12 => &[&TLS12],
        TlsVersions::Tls13 => &[&TLS13],
    };
    let server = &certificates.server;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![server.certificate.clone()], server.key.clone_key())?;
    // Without extended master secret, `tls-exporter` is not defined (RFC 9266, section 2).
    config.require_ems = true;
    Ok(config)
}

/// XEP-0368, section 3.
const ALPN: &[u8] = b"xmpp-client";

const MAX_EARLY_DATA: u32 = 16 * 1024;

/// RFC 8446, section 4.2.1.
const TLS_1_3: u16 = 0x0304;

const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";
