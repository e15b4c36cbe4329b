//! Servers' certificates: read, judged, and let pass whatever the judgement is, for whoever sends
//! no secret can look at a server that nobody should log in to.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use epode::{
    TlsError, TlsOptions,
    rustls::{
        CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
        SupportedProtocolVersion,
        client::{
            Resumption,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
            verify_server_name,
        },
        crypto::CryptoProvider,
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
        server::ParsedCertificate,
    },
};
use rustls_platform_verifier::Verifier;
use x509_cert::{
    Certificate,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use super::facts::CertificateFacts;

/// Why no certificate can be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JudgeError {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error("this machine has no CA certificates ({0}); install them, or name some with --ca")]
    Roots(Error),
    #[error("the TLS library cannot be set up: {0}")]
    Config(Error),
}

/// Whoever says which certificates are trusted: the system, and `--ca`.
pub(super) struct Judge {
    verifier: Arc<dyn ServerCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Judge {
    pub(super) fn new(tls: &TlsOptions, ca: Option<&[u8]>) -> Result<Self, JudgeError> {
        let provider = Arc::clone(tls.client_config()?.crypto_provider());
        let roots: Vec<_> = match ca {
            // They were read before, as a part of the options.
            Some(pem) => CertificateDer::pem_slice_iter(pem).filter_map(Result::ok).collect(),
            None => Vec::new(),
        };
        let verifier = Verifier::new_with_extra_roots(roots, Arc::clone(&provider))
            .map_err(JudgeError::Roots)?;
        Ok(Self { verifier: Arc::new(verifier), provider })
    }

    /// Options for one connection with one version of TLS, and what will be seen of it.
    pub(super) fn watch(
        &self,
        version: &'static SupportedProtocolVersion,
        require_ems: bool,
    ) -> Result<(TlsOptions, Seen), JudgeError> {
        let seen = Seen::default();
        let verifier = Recorder { judge: Arc::clone(&self.verifier), seen: seen.clone() };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[version])
            .map_err(JudgeError::Config)?;
        let mut config = builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.resumption = Resumption::disabled(); // so that there is always a certificate
        config.require_ems = require_ems;
        // The name for what is spoken inside is the library's to choose.
        config.alpn_protocols = vec![b"xmpp-client".to_vec()];
        Ok((TlsOptions::from_client_config(Arc::new(config)), seen))
    }
}

/// What was seen of one handshake.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    certificate: Option<CertificateFacts>,
    is_signed: bool,
}

impl Seen {
    pub(super) fn certificate(&self) -> Option<CertificateFacts> {
        self.lock(|inner| inner.certificate.clone())
    }

    /// Whether the server has shown that the certificate is its own, by which TLS is agreed on.
    pub(super) fn is_signed(&self) -> bool {
        self.lock(|inner| inner.is_signed)
    }

    fn lock<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Keeps what the judge says, and lets everything pass.
#[derive(Debug)]
struct Recorder {
    judge: Arc<dyn ServerCertVerifier>,
    seen: Seen,
}

impl ServerCertVerifier for Recorder {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let mut facts = describe(end_entity, server_name, now);
        let verdict = |name: &ServerName<'_>, now| {
            self.judge.verify_server_cert(end_entity, intermediates, name, ocsp_response, now)
        };
        // Name and time have answers of their own; the issuer should have one, too.
        let (name, time) = flawless(&facts, server_name, now);
        if let Err(error) = verdict(&name, time) {
            facts.problem.get_or_insert_with(|| words(&error));
        } else {
            facts.is_trusted = true;
        }
        self.seen.lock(|inner| inner.certificate = Some(facts));
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = self.judge.verify_tls12_signature(message, cert, dss)?;
        self.seen.lock(|inner| inner.is_signed = true);
        Ok(valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = self.judge.verify_tls13_signature(message, cert, dss)?;
        self.seen.lock(|inner| inner.is_signed = true);
        Ok(valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

fn describe(der: &CertificateDer<'_>, name: &ServerName<'_>, now: UnixTime) -> CertificateFacts {
    let is_for_name = ParsedCertificate::try_from(der)
        .is_ok_and(|parsed| verify_server_name(&parsed, name).is_ok());
    let mut facts = CertificateFacts {
        expected: name.to_str().into_owned(),
        is_for_name,
        ..CertificateFacts::default()
    };
    match Certificate::from_der(der) {
        Ok(certificate) => read(&certificate, now, &mut facts),
        Err(error) => facts.problem = Some(format!("it cannot be read: {error}")),
    }
    facts
}

fn read(certificate: &Certificate, now: UnixTime, facts: &mut CertificateFacts) {
    let certificate = certificate.tbs_certificate();
    facts.issuer = certificate.issuer().to_string();
    let (begin, end) = (certificate.validity().not_before, certificate.validity().not_after);
    facts.not_before = begin.to_date_time().to_string();
    facts.not_after = end.to_date_time().to_string();
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    facts.is_early = now < seconds(begin.to_unix_duration());
    facts.days_left = seconds(end.to_unix_duration()).saturating_sub(now).div_euclid(DAY);
    if let Ok(Some((_, names))) = certificate.get_extension::<SubjectAltName>() {
        facts.names = names.0.iter().filter_map(shown).take(MAX_NAMES).collect();
    }
}

/// The names that count for TLS.
fn shown(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let v4 = || <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            let v6 = || <[u8; 16]>::try_from(bytes).map(IpAddr::from);
            v4().or_else(|_| v6()).ok().map(|address| address.to_string())
        }
        _ => None,
    }
}

/// A name and a time to which the certificate has nothing to object, as near as there are.
fn flawless<'a>(
    facts: &CertificateFacts,
    expected: &ServerName<'a>,
    now: UnixTime,
) -> (ServerName<'a>, UnixTime) {
    let mut names = facts.names.iter().map(|name| name.replacen('*', "any", 1));
    let mut own = || names.find_map(|name| ServerName::try_from(name).ok());
    let name = if facts.is_for_name { None } else { own() };
    let at =
        |text: &str| text.parse().ok().map(|time: x509_cert::der::DateTime| time.unix_duration());
    let time = if facts.is_early {
        at(&facts.not_before)
    } else if facts.days_left < 0 {
        at(&facts.not_after)
    } else {
        None
    };
    let time = time.map_or(now, UnixTime::since_unix_epoch);
    (name.unwrap_or_else(|| expected.clone()), time)
}

fn words(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "no trusted authority issued it".to_owned()
        }
        Error::InvalidCertificate(CertificateError::Revoked) => "it was revoked".to_owned(),
        // What a certificate that was made by hand most often is.
        other if other.to_string().contains("CaUsedAsEndEntity") => {
            "it is that of an authority, signed by itself, and none for a server".to_owned()
        }
        other => other.to_string(),
    }
}

const DAY: i64 = 24 * 3600;
/// A certificate of a host with many customers has hundreds.
const MAX_NAMES: usize = 64;
