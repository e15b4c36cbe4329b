//! The TLS handshake by rustls, and what it vouches for.
//! Whom to trust and what to show is set in `tls_options`.

use std::{
    borrow::Cow,
    io::{self, Write},
    sync::Arc,
};

use epode_sasl::{BindingType, Channel, TlsVersion};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, Error, PeerIncompatible, ProtocolVersion,
    pki_types::ServerName,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{TlsConnector, client::TlsStream};
use url::Host;

use super::{
    channel_binding::{EndPoints, bindings},
    dial::Deadline,
    error::TransportError,
    peer::{CertificateProblem, IoFailure, Peer, Phase},
    tls_options::{ALPN_HTTP, ALPN_XMPP, TlsError, TlsOptions},
};

/// A handshake that has all it needs, and has sent nothing yet.
pub(super) struct Handshake {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
    inside: Inside,
    /// The addresses in the certificate that the client shows.
    addresses: Vec<String>,
    end_points: EndPoints,
}

/// A handshake that is ready to take early data along, and has sent nothing yet.
pub(super) struct EarlyHandshake<S> {
    handshake: Handshake,
    stream: TlsStream<S>,
}

/// What becomes of a handshake that may take early data along.
pub(super) enum Begun<S> {
    /// It takes none, and is done.
    Done(Box<TlsStream<S>>, Channel),
    /// It can take some; the channel is what will be there as far as that is known.
    Early(Box<EarlyHandshake<S>>, Channel),
}

/// What is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// HTTP/1.1, until it is a WebSocket.
    Http,
    /// Requests of HTTP/1.1, of which others go over other connections.
    Requests,
    /// XMPP, and TLS from the first byte.
    Xmpp,
    /// XMPP, which began outside.
    Starttls,
}

impl Handshake {
    /// The server's certificate must be for `name`, which the server also hears (SNI): the domain
    /// of the account or the host of a URL, wherever the connection leads.
    pub(super) fn new(options: &TlsOptions, name: &str, inside: Inside) -> Result<Self, TlsError> {
        let (config, addresses) = (options.client_config()?, options.addresses().to_vec());
        let end_points = options.end_points().clone();
        Ok(Self { config, name: server_name(name)?, inside, addresses, end_points })
    }

    /// Runs the client's half.
    pub(super) async fn run<S>(
        self,
        stream: S,
        peer: &Peer,
        deadline: Deadline,
    ) -> Result<(TlsStream<S>, Channel), TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let stream = self.connect(connector, stream, peer, deadline).await?;
        let channel = self.finished(stream.get_ref().1, peer);
        Ok((stream, channel))
    }

    /// The same where early data may go along (RFC 8446, section 2.3): where there is a session to
    /// resume whose server takes it, nothing is sent before it is known what that is.
    pub(super) async fn begin_early<S>(
        mut self,
        stream: S,
        peer: &Peer,
        deadline: Deadline,
    ) -> Result<Begun<S>, TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = ClientConfig::clone(&self.config); // with the same sessions
        config.enable_early_data = true;
        self.config = Arc::new(config);
        let connector = TlsConnector::from(Arc::clone(&self.config)).early_data(true);
        let stream = self.connect(connector, stream, peer, deadline).await?;
        if !stream.get_ref().1.is_handshaking() {
            let channel = self.finished(stream.get_ref().1, peer);
            return Ok(Begun::Done(Box::new(stream), channel));
        }
        let channel = Channel::encrypted().with_tls_version(TlsVersion::Tls13);
        let known = self.end_points.of(&self.name);
        let channel = known.into_iter().fold(channel, Channel::with_binding).in_early_data();
        Ok(Begun::Early(Box::new(EarlyHandshake { handshake: self, stream }), channel))
    }

    async fn connect<S>(
        &self,
        connector: TlsConnector,
        stream: S,
        peer: &Peer,
        deadline: Deadline,
    ) -> Result<TlsStream<S>, TransportError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let connecting = connector.with_alpn(self.offered()).connect(self.name.clone(), stream);
        let connected = async { connecting.await.map_err(|error| self.explain(peer, &error)) };
        deadline.bound(Phase::Tls, peer, connected).await
    }

    fn explain(&self, peer: &Peer, error: &io::Error) -> TransportError {
        explain(peer, &self.name.to_str(), Phase::Tls, error)
    }

    /// What the connection vouches for once the handshake is done.
    fn finished(&self, session: &ClientConnection, peer: &Peer) -> Channel {
        let mut channel = Channel::encrypted();
        channel = match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => channel.with_tls_version(TlsVersion::Tls12),
            Some(ProtocolVersion::TLSv1_3) => channel.with_tls_version(TlsVersion::Tls13),
            _ => channel,
        };
        for binding in bindings(session, &self.config) {
            // What comes of one handshake says nothing of the other connections.
            let is_common = binding.kind() == BindingType::TlsServerEndPoint;
            if self.inside != Inside::Requests || is_common {
                channel = channel.with_binding(binding);
            }
        }
        if self.config.client_auth_cert_resolver.has_certs() {
            channel = channel.with_client_certificate_of(&self.addresses);
        }
        if self.inside == Inside::Xmpp {
            self.end_points.note(&self.name, channel.bindings());
        }
        let (version, bindings) = (session.protocol_version(), channel.bindings());
        tracing::debug!(host = peer.host(), ?version, ?bindings, "TLS handshake done");
        channel
    }

    /// The ALPN names; a configuration without any wants none.
    fn offered(&self) -> Vec<Vec<u8>> {
        if self.config.alpn_protocols.is_empty() {
            return Vec::new();
        }
        match self.inside {
            Inside::Http | Inside::Requests => vec![ALPN_HTTP.to_vec()],
            Inside::Xmpp => vec![ALPN_XMPP.to_vec()],
            Inside::Starttls => Vec::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> EarlyHandshake<S> {
    /// Runs the client's half, and takes these bytes along if there is room for all of them. Says
    /// whether the server has them; where it does not, nothing is sent again.
    pub(super) async fn finish(
        mut self,
        bytes: &[u8],
        peer: &Peer,
        deadline: Deadline,
    ) -> Result<(TlsStream<S>, Channel, bool), TransportError> {
        let mut goes_along = false;
        if let Some(mut early) = self.stream.get_mut().1.early_data()
            && (1..=early.bytes_left()).contains(&bytes.len())
        {
            let written = early.write_all(bytes);
            written.map_err(|error| self.handshake.explain(peer, &error))?;
            goes_along = true;
        }
        let finishing = async {
            let flushed = self.stream.flush().await;
            flushed.map_err(|error| self.handshake.explain(peer, &error))
        };
        deadline.bound(Phase::Tls, peer, finishing).await?;
        let session = self.stream.get_ref().1;
        let is_taken = goes_along && session.is_early_data_accepted();
        tracing::debug!(host = peer.host(), goes_along, is_taken, "early data");
        let channel = self.handshake.finished(session, peer);
        Ok((self.stream, channel, is_taken))
    }
}

/// Names what broke a connection: what TLS found where it was TLS, else what the system says.
pub(super) fn broken(peer: &Peer, phase: Phase, error: &io::Error) -> TransportError {
    explain(peer, peer.host(), phase, error)
}

fn explain(peer: &Peer, expected: &str, phase: Phase, error: &io::Error) -> TransportError {
    let peer = peer.clone();
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
        return refused(peer, expected, error);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => TransportError::Dropped { peer, phase },
        _ => TransportError::Lost { peer, phase, failure: IoFailure::from(error) },
    }
}

fn refused(peer: Peer, expected: &str, error: &Error) -> TransportError {
    match error {
        Error::InvalidCertificate(error) => {
            TransportError::Certificate { peer, problem: problem(expected, error) }
        }
        Error::InvalidMessage(_) => TransportError::NotTls { peer },
        Error::AlertReceived(alert) => {
            TransportError::TlsAlert { peer, alert: format!("{alert:?}") }
        }
        Error::PeerIncompatible(PeerIncompatible::ExtendedMasterSecretExtensionRequired) => {
            TransportError::LegacyMasterSecret { peer }
        }
        other => TransportError::TlsFailed { peer, reason: other.to_string() },
    }
}

fn problem(expected: &str, error: &CertificateError) -> CertificateProblem {
    let wrong_name = |presented: &[String]| {
        let presented = presented.iter().take(MAX_NAMES_SHOWN).map(|name| plain_name(name));
        CertificateProblem::WrongName {
            expected: expected.to_owned(),
            presented: presented.collect(),
        }
    };
    match error {
        // A CA that was made anew under its old name ends in the second: it is not the one trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            CertificateProblem::UnknownIssuer
        }
        CertificateError::NotValidForName => wrong_name(&[]),
        CertificateError::NotValidForNameContext { presented, .. } => wrong_name(presented),
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

/// `example.org` out of the verifier's `DnsName("example.org")`; what looks otherwise stays.
fn plain_name(name: &str) -> String {
    let inner = name.strip_prefix("DnsName(\"").and_then(|rest| rest.strip_suffix("\")"));
    inner.unwrap_or(name).chars().flat_map(char::escape_debug).collect()
}

/// A domain or host as certificates have it: in ASCII, an IPv6 address without brackets.
fn server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    let refused = || TlsError::ServerName { name: name.to_owned() };
    let ascii = if name.is_ascii() {
        Cow::Borrowed(name.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(name))
    } else if name.contains('%') {
        // What follows would decode it.
        return Err(refused());
    } else {
        match Host::parse(name) {
            Ok(Host::Domain(ascii)) => Cow::Owned(ascii),
            _ => return Err(refused()),
        }
    };
    ServerName::try_from(ascii.into_owned()).map_err(|_| refused())
}

const MAX_NAMES_SHOWN: usize = 8;

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests {
    use std::{io::Read as _, time::Duration};

    use rustls::{DEFAULT_VERSIONS, ServerConfig, client::ResolvesClientCert, sign};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::{
        super::{
            certificates::{Authority, Issued, Seen, accept},
            tls_options::TlsOptions,
        },
        *,
    };

    const NOW: (i32, i32) = (2020, 2100);
    const DOMAIN: &str = "example.org";

    /// Not at the domain itself.
    fn peer() -> Peer {
        Peer::server("xmpp.example.net".to_owned(), 5223)
    }

    fn minute() -> Deadline {
        Deadline::after(Duration::from_secs(60))
    }

    fn trusting(authority: &Authority) -> TlsOptions {
        TlsOptions::new().with_ca_pem(authority.pem().as_bytes()).unwrap()
    }

    fn serving(issued: &Issued) -> Arc<ServerConfig> {
        issued.server(None, DEFAULT_VERSIONS)
    }

    fn handshake(options: &TlsOptions, name: &str, inside: Inside) -> Handshake {
        Handshake::new(options, name, inside).unwrap()
    }

    /// One handshake in memory, then a byte from the server, which shows refusals after TLS 1.3's
    /// early end on the client's side.
    async fn shake(
        server: Arc<ServerConfig>,
        handshake: Handshake,
    ) -> (Result<Channel, TransportError>, Option<Seen>) {
        let (ours, theirs) = duplex(64 * 1024);
        let server = async {
            let (mut stream, seen) = accept(server, theirs).await?;
            stream.write_u8(b'!').await.unwrap();
            stream.flush().await.unwrap();
            Some(seen)
        };
        tokio::join!(client(ours, handshake), server)
    }

    async fn client(stream: DuplexStream, handshake: Handshake) -> Result<Channel, TransportError> {
        let (mut stream, channel) = handshake.run(stream, &peer(), minute()).await?;
        let read = stream.read_u8().await;
        read.map_err(|error| broken(&peer(), Phase::Receive, &error))?;
        Ok(channel)
    }

    fn certificate(problem: CertificateProblem) -> TransportError {
        TransportError::Certificate { peer: peer(), problem }
    }

    #[tokio::test]
    async fn early_data_goes_as_a_whole_or_not_at_all() {
        let authority = Authority::new();
        let mut config = ServerConfig::clone(&serving(&authority.issue(DOMAIN, NOW)));
        config.max_early_data_size = 16;
        let (config, options) = (Arc::new(config), trusting(&authority));
        let xmpp = || handshake(&options, DOMAIN, Inside::Xmpp);
        let (known, _) = shake(Arc::clone(&config), xmpp()).await;
        let end_point = known.unwrap().bindings()[1].clone();
        for (bytes, expected) in [(&[b'x'; 16][..], true), (&[b'x'; 17], false), (&[], false)] {
            let (ours, theirs) = duplex(64 * 1024);
            let client = async {
                let begun = xmpp().begin_early(ours, &peer(), minute()).await.unwrap();
                let Begun::Early(early, channel) = begun else { panic!("it can resume a session") };
                assert!(channel.is_early());
                assert_eq!(channel.bindings(), std::slice::from_ref(&end_point));
                let finished = early.finish(bytes, &peer(), minute()).await;
                let (mut stream, channel, is_taken) = finished.unwrap();
                assert!(!channel.is_early());
                assert_eq!(channel.bindings()[0].kind(), BindingType::TlsExporter);
                assert_eq!(stream.read_u8().await.unwrap(), b'!', "nothing else is heard");
                is_taken
            };
            let server = async {
                let (mut stream, _) = accept(Arc::clone(&config), theirs).await.unwrap();
                let mut heard = Vec::new();
                if let Some(mut early) = stream.get_mut().1.early_data() {
                    early.read_to_end(&mut heard).unwrap();
                }
                stream.write_u8(b'!').await.unwrap();
                stream.flush().await.unwrap();
                heard
            };
            let (is_taken, heard) = tokio::join!(client, server);
            assert_eq!(is_taken, expected, "{}", bytes.len());
            assert_eq!(heard, if expected { bytes } else { &[] });
        }
    }

    #[tokio::test]
    async fn where_there_is_no_session_to_resume_nothing_goes_early() {
        let authority = Authority::new();
        let server = serving(&authority.issue(DOMAIN, NOW));
        let options = trusting(&authority);
        let xmpp = || handshake(&options, DOMAIN, Inside::Xmpp);
        for is_known in [false, true] {
            if is_known {
                // There is a session then, whose server takes none.
                shake(Arc::clone(&server), xmpp()).await.0.unwrap();
            }
            let (ours, theirs) = duplex(64 * 1024);
            let (peer, minute) = (peer(), minute());
            let client = xmpp().begin_early(ours, &peer, minute);
            let (begun, _served) = tokio::join!(client, accept(Arc::clone(&server), theirs));
            let Ok(Begun::Done(_, channel)) = begun else { panic!("it is done") };
            assert!(!channel.is_early());
        }
    }

    #[tokio::test]
    async fn the_server_hears_the_domain_and_what_is_spoken() {
        let authority = Authority::new();
        let issued = authority.issue(DOMAIN, NOW);
        for (inside, names) in [
            (Inside::Http, &["http/1.1"][..]),
            (Inside::Xmpp, &["xmpp-client"]),
            (Inside::Starttls, &[]),
        ] {
            let handshake = handshake(&trusting(&authority), DOMAIN, inside);
            let (result, seen) = shake(serving(&issued), handshake).await;
            assert!(result.unwrap().is_encrypted());
            let seen = seen.unwrap();
            assert_eq!(seen.name.as_deref(), Some(DOMAIN));
            let names: Vec<_> = names.iter().map(|name| name.as_bytes().to_vec()).collect();
            assert_eq!(seen.offered, names, "{inside:?}");
            assert_eq!(seen.certificates, 0);
        }
    }

    #[tokio::test]
    async fn a_server_of_another_protocol_is_refused_by_itself() {
        let authority = Authority::new();
        let issued = authority.issue(DOMAIN, NOW);
        let mut server = ServerConfig::clone(&serving(&issued));
        server.alpn_protocols = vec![b"http/1.1".to_vec()];
        let handshake = handshake(&trusting(&authority), DOMAIN, Inside::Xmpp);
        let (result, _) = shake(Arc::new(server), handshake).await;
        let alert = "NoApplicationProtocol".to_owned();
        assert_eq!(result, Err(TransportError::TlsAlert { peer: peer(), alert }));
    }

    #[tokio::test]
    async fn a_server_that_knows_no_protocol_names_is_taken() {
        let authority = Authority::new();
        let issued = authority.issue(DOMAIN, NOW);
        let mut server = ServerConfig::clone(&serving(&issued));
        server.alpn_protocols.clear();
        let handshake = handshake(&trusting(&authority), DOMAIN, Inside::Xmpp);
        let (result, _) = shake(Arc::new(server), handshake).await;
        assert!(result.is_ok());
    }

    #[tokio::test]
    async fn a_configuration_without_protocol_names_offers_none() {
        let authority = Authority::new();
        let ready = trusting(&authority).client_config().unwrap();
        let issued = authority.issue(DOMAIN, NOW);
        let mut nameless = ClientConfig::clone(&ready);
        nameless.alpn_protocols.clear();
        for (config, names) in
            [(ready, vec![b"xmpp-client".to_vec()]), (Arc::new(nameless), Vec::new())]
        {
            let options = TlsOptions::from_client_config(config);
            let handshake = handshake(&options, DOMAIN, Inside::Xmpp);
            let (result, seen) = shake(serving(&issued), handshake).await;
            assert!(result.is_ok());
            assert_eq!(seen.unwrap().offered, names);
        }
    }

    #[tokio::test]
    async fn an_unknown_issuer_is_refused_also_under_a_trusted_name() {
        for name in ["another CA", "test CA"] {
            let server = serving(&Authority::named(name).issue(DOMAIN, NOW));
            let options = trusting(&Authority::named("test CA"));
            let (result, seen) = shake(server, handshake(&options, DOMAIN, Inside::Xmpp)).await;
            assert_eq!(result, Err(certificate(CertificateProblem::UnknownIssuer)), "{name}");
            assert_eq!(seen, None);
        }
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_refused() {
        let authority = Authority::new();
        // Also for where the connection leads (RFC 7590, RFC 6125): only the domain counts.
        for (host, expected) in [
            ("mail.example.org", DOMAIN),
            ("xmpp.example.net", DOMAIN),
            ("*.example.org", DOMAIN),
            ("example.org", "a.example.org"),
            ("example.org", "192.0.2.1"),
            ("192.0.2.1", "192.0.2.2"),
        ] {
            let server = serving(&authority.issue(host, NOW));
            let handshake = handshake(&trusting(&authority), expected, Inside::Starttls);
            let (result, _) = shake(server, handshake).await;
            let error = result.unwrap_err();
            let TransportError::Certificate { problem, .. } = &error else { panic!("{error}") };
            let CertificateProblem::WrongName { expected: wanted, presented } = problem else {
                panic!("{error}")
            };
            assert_eq!(wanted, expected, "{host}");
            assert!(presented.len() == 1 && presented[0].contains(host), "{presented:?}");
        }
    }

    #[tokio::test]
    async fn the_error_names_both_names() {
        let authority = Authority::new();
        let server = serving(&authority.issue("mail.example.org", NOW));
        let handshake = handshake(&trusting(&authority), DOMAIN, Inside::Starttls);
        let (result, _) = shake(server, handshake).await;
        assert_eq!(
            result.unwrap_err().to_string(),
            "xmpp.example.net:5223: its certificate is for mail.example.org, not for example.org; \
             check the address, or tell who runs it"
        );
    }

    #[tokio::test]
    async fn names_are_compared_as_certificates_have_them() {
        let authority = Authority::new();
        for (host, domain, heard) in [
            ("example.org", "EXAMPLE.org", Some("example.org")),
            ("example.org", "example.org.", Some("example.org")),
            ("*.example.org", "a.example.org", Some("a.example.org")),
            ("xn--bcher-kva.example", "bücher.example", Some("xn--bcher-kva.example")),
            ("192.0.2.1", "192.0.2.1", None),
            ("2001:db8::1", "[2001:db8::1]", None),
            ("2001:db8::1", "2001:db8::1", None),
        ] {
            let server = serving(&authority.issue(host, NOW));
            let handshake = handshake(&trusting(&authority), domain, Inside::Xmpp);
            let (result, seen) = shake(server, handshake).await;
            assert!(result.is_ok(), "{domain}: {result:?}");
            assert_eq!(seen.unwrap().name.as_deref(), heard, "{domain}");
        }
    }

    #[test]
    fn a_name_that_no_certificate_can_have_is_refused() {
        let options = trusting(&Authority::new());
        for name in ["", "a..b", "a b", "bü%63her.example", "ü..example", "[example.org]x"] {
            let made = Handshake::new(&options, name, Inside::Xmpp);
            let expected = TlsError::ServerName { name: name.to_owned() };
            assert_eq!(made.err(), Some(expected), "{name}");
        }
    }

    #[tokio::test]
    async fn a_certificate_out_of_its_time_is_refused() {
        let authority = Authority::new();
        for (years, problem) in [
            ((2000, 2001), CertificateProblem::Expired),
            ((2200, 2201), CertificateProblem::NotYetValid),
        ] {
            let server = serving(&authority.issue(DOMAIN, years));
            let handshake = handshake(&trusting(&authority), DOMAIN, Inside::Xmpp);
            let (result, _) = shake(server, handshake).await;
            assert_eq!(result, Err(certificate(problem)));
        }
    }

    #[tokio::test]
    async fn a_client_certificate_is_shown_to_a_server_that_asks() {
        let authority = Authority::new();
        let server = authority.issue(DOMAIN, NOW).server(Some(&authority), DEFAULT_VERSIONS);
        let issued = authority.issue("client.example", NOW);
        let (certificate, key) = (issued.certificate_pem(), issued.key_pem());
        let both = format!("{key}{certificate}");
        for (chain, key) in [(&certificate, &key), (&both, &both)] {
            let options = trusting(&authority)
                .with_client_certificate_pem(chain.as_bytes(), key.as_bytes())
                .unwrap();
            let handshake = handshake(&options, DOMAIN, Inside::Starttls);
            let (result, seen) = shake(Arc::clone(&server), handshake).await;
            assert!(result.unwrap().has_client_certificate());
            assert_eq!(seen.map(|seen| seen.certificates), Some(1));
        }

        let without = handshake(&trusting(&authority), DOMAIN, Inside::Starttls);
        let (result, _) = shake(server, without).await;
        let alert = "CertificateRequired".to_owned();
        assert_eq!(result, Err(TransportError::TlsAlert { peer: peer(), alert }));
    }

    /// A key ring with one certificate, or none.
    #[derive(Debug)]
    struct KeyRing(Option<Arc<sign::CertifiedKey>>);

    impl ResolvesClientCert for KeyRing {
        fn resolve(
            &self,
            _: &[&[u8]],
            _: &[rustls::SignatureScheme],
        ) -> Option<Arc<sign::CertifiedKey>> {
            self.0.clone()
        }

        fn has_certs(&self) -> bool {
            self.0.is_some()
        }
    }

    #[tokio::test]
    async fn a_resolver_of_the_callers_is_asked() {
        let authority = Authority::new();
        let issued = authority.issue("client.example", NOW);
        let pem = issued.certificate_pem() + &issued.key_pem();
        let from_files =
            trusting(&authority).with_client_certificate_pem(pem.as_bytes(), pem.as_bytes());
        let resolver = &from_files.unwrap().client_config().unwrap().client_auth_cert_resolver;
        let schemes = [rustls::SignatureScheme::ECDSA_NISTP256_SHA256];
        let pair = resolver.resolve(&[], &schemes).unwrap();
        for (ring, certificates) in [(KeyRing(Some(pair)), 1), (KeyRing(None), 0)] {
            let options = trusting(&authority);
            let options = options.with_client_certificate_resolver(Arc::new(ring)).unwrap();
            let clients = (certificates == 1).then_some(&authority);
            let server = authority.issue(DOMAIN, NOW).server(clients, DEFAULT_VERSIONS);
            let (result, seen) = shake(server, handshake(&options, DOMAIN, Inside::Xmpp)).await;
            assert_eq!(result.unwrap().has_client_certificate(), certificates == 1);
            assert_eq!(seen.map(|seen| seen.certificates), Some(certificates));
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_is_named() {
        let options = trusting(&Authority::new());
        for (answer, expected) in [
            (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], TransportError::NotTls { peer: peer() }),
            (b"<?xml version='1.0'?><stream:stream>", TransportError::NotTls { peer: peer() }),
            (b"", TransportError::Dropped { peer: peer(), phase: Phase::Tls }),
        ] {
            let (ours, mut theirs) = duplex(64 * 1024);
            theirs.write_all(answer).await.unwrap();
            theirs.shutdown().await.unwrap();
            let handshake = handshake(&options, DOMAIN, Inside::Xmpp);
            assert_eq!(client(ours, handshake).await, Err(expected));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_not_waited_for_for_ever() {
        let (ours, _theirs) = duplex(64 * 1024);
        let handshake = handshake(&trusting(&Authority::new()), DOMAIN, Inside::Xmpp);
        let expected = TransportError::TimedOut { phase: Phase::Tls, peer: peer() };
        assert_eq!(client(ours, handshake).await, Err(expected));
    }

    /// Answers a hello as TLS 1.2 did before RFC 7627: without extended master secret.
    const LEGACY_HELLO: &[u8] = b"\x16\x03\x03\x00\x2a\x02\x00\x00\x26\x03\x03\
        0123456789abcdef0123456789abcdef\x00\xc0\x2f\x00";

    #[tokio::test]
    async fn tls_1_2_without_extended_master_secret_is_refused_unless_allowed() {
        let strict = trusting(&Authority::new());
        let lenient = strict.clone().danger_allow_legacy_master_secret().unwrap();
        for (options, expected) in [
            (strict, TransportError::LegacyMasterSecret { peer: peer() }),
            // The hello is taken, and the rest of the handshake waited for.
            (lenient, TransportError::Dropped { peer: peer(), phase: Phase::Tls }),
        ] {
            let (ours, mut theirs) = duplex(64 * 1024);
            theirs.write_all(LEGACY_HELLO).await.unwrap();
            theirs.shutdown().await.unwrap();
            let handshake = handshake(&options, DOMAIN, Inside::Xmpp);
            assert_eq!(client(ours, handshake).await, Err(expected));
        }
    }
}
