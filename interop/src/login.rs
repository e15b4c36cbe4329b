//! One login of the matrix, by the client crate.
//!
//! It judges nothing.

use std::{error::Error, sync::Arc};

use epode::{
    Builder, Client,
    sasl::{Policy, ServerProof},
};
use epode_interop::Rig;

use crate::{
    matrix::{Credentials, Outcome, Refusal, Row, Session},
    servers::{PASSWORD, Servers},
};

/// Logs in as a row says, and disconnects again.
pub(crate) async fn login(rig: &Rig, servers: &Servers, row: &Row) -> Outcome {
    let builder = prepare(rig, servers, row).map_err(|error| Refusal {
        condition: "not-prepared".to_owned(),
        message: error.to_string(),
    })?;
    let session = builder.connect().await.map_err(refusal)?;
    let result = Session {
        jid: session.jid().to_string(),
        mechanism: session.login().mechanism.clone(),
        server_proven: session.login().proof == ServerProof::Proven,
    };
    session.disconnect().await.map_err(refusal)?;
    Ok(result)
}

fn prepare(rig: &Rig, servers: &Servers, row: &Row) -> Result<Builder, Box<dyn Error>> {
    let policy = Policy::default().allow_only([row.mechanism.clone()]);
    let builder = Client::builder(row.jid)?
        .endpoint(&servers.endpoint(row.server, row.transport))?
        .ca_pem(rig.certificates().authority_pem())?
        .policy(Arc::new(policy));
    Ok(match row.credentials {
        Credentials::Nothing => builder,
        Credentials::Password => builder.password(PASSWORD),
        Credentials::WrongPassword => builder.password("not the password"),
        Credentials::Token => builder.token(servers.token(row.server)),
        Credentials::WrongToken => builder.token("not-the-token"),
        Credentials::Certificate(jid) => {
            let certificate = rig.certificates().client(jid)?;
            builder.client_certificate(certificate.chain_pem, certificate.key_pem)?
        }
    })
}

fn refusal(error: epode::Error) -> Refusal {
    Refusal { condition: error.condition().to_owned(), message: error.to_string() }
}
