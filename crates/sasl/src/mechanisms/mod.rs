//! The nine mechanisms of the page, a file each; SCRAM's four with channel binding and without.
//! Apart from them, [`ht`]: logins by a token of an earlier one.

pub mod anonymous;
pub mod external;
pub mod ht;
pub mod oauthbearer;
pub mod plain;
pub mod scram;
pub mod xoauth2;

use std::sync::Arc;

use crate::{
    Context, Error, MechanismFactory, MechanismName, PeerFault, ServerProof,
    secret::{Secret, SecretKind},
    selection::Skip,
};

/// The nine, strongest first.
pub(crate) fn all() -> Vec<Arc<dyn MechanismFactory>> {
    let hashes = scram::Hash::ALL.into_iter();
    let bound = hashes.clone().map(scram::Scram::plus);
    let scram = bound.chain(hashes.map(scram::Scram::new));
    let scram = scram.map(|scram| -> Arc<dyn MechanismFactory> { Arc::new(scram) });
    let others: [Arc<dyn MechanismFactory>; 5] = [
        Arc::new(plain::Plain),
        Arc::new(oauthbearer::OAuthBearer),
        Arc::new(xoauth2::XOAuth2),
        Arc::new(anonymous::Anonymous),
        Arc::new(external::External),
    ];
    scram.chain(others).collect()
}

/// The test that the mechanisms with an access token share.
fn test_token(cx: &Context<'_>) -> Result<(), Skip> {
    match cx.credentials.secret() {
        Secret::Token(_) | Secret::Ask(SecretKind::Token) => Ok(()),
        _ => Err(Skip::NeedsSecret(SecretKind::Token)),
    }
}

/// A token that can stand in a message whose separators are control characters.
fn check_token(token: &str) -> Result<(), Error> {
    if token.is_empty() {
        return Err(Error::EmptyToken);
    }
    if token.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
        Ok(())
    } else {
        Err(Error::Unsendable("access token"))
    }
}

/// The test has passed, so that nothing is missing.
fn untested(_: Skip) -> Error {
    Error::ApiMisuse("the login began without the test of its mechanism")
}

/// For mechanisms that have no challenges.
fn no_challenge<T>(name: &MechanismName) -> Result<T, Error> {
    Err(Error::PeerMisbehaved { mechanism: name.clone(), fault: PeerFault::UnexpectedChallenge })
}

/// For mechanisms in which the server proves nothing: success has no data.
fn unproven(name: &MechanismName, last: Option<&[u8]>) -> Result<ServerProof, Error> {
    match last {
        None | Some([]) => Ok(ServerProof::NotOffered),
        Some(_) => Err(Error::PeerMisbehaved {
            mechanism: name.clone(),
            fault: PeerFault::UnexpectedSuccessData,
        }),
    }
}

/// The whole name of the account, or the user name where it is all there is.
fn account<'a>(cx: &Context<'a>) -> &'a str {
    let credentials = cx.credentials;
    let name = credentials.authzid().or_else(|| credentials.account());
    name.or_else(|| credentials.authcid()).unwrap_or_default()
}

/// The GS2 header: `flag,[a=authzid],` (RFC 5801, section 4). An empty `a=` is no `saslname`;
/// PLAIN too says nobody by an empty name.
fn gs2_header(flag: &str, authzid: Option<&str>) -> String {
    match authzid.filter(|authzid| !authzid.is_empty()) {
        Some(authzid) => format!("{flag},a={},", escape(authzid)),
        None => format!("{flag},,"),
    }
}

/// A `saslname`: `,` and `=` are written as `=2C` and `=3D` (RFC 5802, section 5.1).
fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}
