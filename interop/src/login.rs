//! One login of the matrix, by the client crate.
//!
//! It judges nothing.

use std::{error::Error, sync::Arc};

use epode::{
    Builder, CertificateProblem, Client, TlsOptions, TransportError,
    sasl::{self, MechanismName, Policy, ServerProof, scram::Hash},
};
use epode_interop::Rig;
use rustls::crypto::{CryptoProvider, ring};

use crate::{
    matrix::{Credentials, Demand, Outcome, Refusal, Row, Session, Tls},
    only_binding::OnlyBinding,
    servers::{PASSWORD, Servers},
};

/// Logs in as a row says, and disconnects again.
pub(crate) async fn login(rig: &Rig, servers: &Servers, row: &Row) -> Outcome {
    let builder = prepare(rig, servers, row).map_err(|error| Refusal {
        offence: "not prepared".to_owned(),
        message: error.to_string(),
    })?;
    let refused = |error| refusal(row, &error);
    let session = builder.connect().await.map_err(refused)?;
    let login = session.login().expect("it has just logged in");
    let result = Session {
        jid: session.jid().to_string(),
        mechanism: login.mechanism.clone(),
        binding: login.binding,
        server_proven: login.proof == ServerProof::Proven,
        flights: login.flights,
    };
    session.disconnect().await.map_err(refused)?;
    Ok(result)
}

fn prepare(rig: &Rig, servers: &Servers, row: &Row) -> Result<Builder, Box<dyn Error>> {
    let running = servers.of(row.server);
    let mut policy = Policy::default().allow_only(allowed(row));
    if row.demand == Demand::PlusRequired {
        policy = policy.require_channel_binding();
    }
    let builder = Client::builder(row.jid)?
        .endpoint(&running.server.url(row.way.transport))?
        .tls(tls(rig, row)?)
        .policy(Arc::new(policy));
    let builder = match row.demand {
        Demand::Binding(kind) => {
            builder.mechanism_factory(Arc::new(OnlyBinding::new(hash(&row.mechanism)?, kind)))
        }
        Demand::DangerUnencrypted => builder.danger_allow_unencrypted_stream(),
        _ => builder,
    };
    Ok(match row.credentials {
        Credentials::Password => builder.password(PASSWORD),
        Credentials::WrongPassword => builder.password("not the password"),
        Credentials::Token => builder.token(&*running.token),
        Credentials::WrongToken => builder.token("not-the-token"),
        Credentials::Nothing | Credentials::Certificate(_) | Credentials::StrangeCertificate(_) => {
            builder
        }
    })
}

/// The row's mechanism and, where the row is about the choice between the two, its other form.
fn allowed(row: &Row) -> Vec<MechanismName> {
    let mut names = vec![row.mechanism.clone()];
    if matches!(row.demand, Demand::PlusWelcome | Demand::PlusRequired) {
        let of_this = |hash: &Hash| [hash.mechanism(), hash.plus_mechanism()];
        let forms = Hash::ALL.iter().map(of_this);
        names.extend(forms.filter(|forms| forms.contains(&row.mechanism)).flatten());
    }
    names
}

fn hash(plus: &MechanismName) -> Result<Hash, String> {
    let found = Hash::ALL.into_iter().find(|hash| hash.plus_mechanism() == *plus);
    found.ok_or_else(|| format!("{plus} has nothing to bind"))
}

/// Whom the client trusts, what it shows of itself, and the one version of TLS that it speaks.
fn tls(rig: &Rig, row: &Row) -> Result<TlsOptions, Box<dyn Error>> {
    let certificates = rig.certificates();
    let (ours, stranger) = (certificates.authority(), certificates.stranger());
    let trusted = if row.demand == Demand::OtherAuthority { stranger } else { ours };
    let tls = TlsOptions::new()
        .with_crypto_provider(Arc::new(speaking(row.way.tls)))
        .with_ca_pem(trusted.pem().as_bytes())?;
    let shown = match row.credentials {
        Credentials::Certificate(jid) => ours.client(jid)?,
        Credentials::StrangeCertificate(jid) => stranger.client(jid)?,
        _ => return Ok(tls),
    };
    Ok(tls.with_client_certificate_pem(shown.chain_pem.as_bytes(), shown.key_pem.as_bytes())?)
}

/// A version without ciphers is not offered.
fn speaking(version: Option<Tls>) -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| match version {
        Some(Tls::V1_2) => suite.tls13().is_none(),
        Some(Tls::V1_3) => suite.tls13().is_some(),
        None => true,
    });
    provider
}

fn refusal(row: &Row, error: &epode::Error) -> Refusal {
    Refusal { offence: offence(row, error), message: error.to_string() }
}

/// A few words for the exact error: its condition, and more where that is not enough.
fn offence(row: &Row, error: &epode::Error) -> String {
    match error {
        epode::Error::Transport(TransportError::Certificate { problem, .. }) => match problem {
            CertificateProblem::UnknownIssuer => "certificate of an unknown issuer".to_owned(),
            CertificateProblem::WrongName { .. } => "certificate for other names".to_owned(),
            CertificateProblem::Expired => "certificate expired".to_owned(),
            other => other.to_string(),
        },
        epode::Error::Connection(epode::proto::Error::Login(sasl::Error::NoMechanism(none))) => {
            let of_row = none.passed_over.iter().find(|it| it.mechanism == row.mechanism);
            let reason = of_row.map(|it| format!(", {:?}", it.reason)).unwrap_or_default();
            format!("{}{reason}", error.condition())
        }
        other => other.condition().to_owned(),
    }
}
