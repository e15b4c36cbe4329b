//! PLAIN (RFC 4616): user name and password as they are, for confidential channels.

use zeroize::Zeroizing;

use crate::{
    Answer, Context, Error, Mechanism, MechanismFactory, MechanismName, Question, Response,
    ServerProof, Step, saslprep,
    secret::{Secret, SecretKind},
    selection::Skip,
};

/// PLAIN, priority 50: needs a user name and a password.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl MechanismFactory for Plain {
    fn name(&self) -> &MechanismName {
        &MechanismName::PLAIN
    }

    fn priority(&self) -> i32 {
        50
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        if cx.credentials.authcid().is_none() {
            return Err(Skip::NeedsUserName);
        }
        match cx.credentials.secret() {
            Secret::Password(_) | Secret::Ask(SecretKind::Password) => Ok(()),
            _ => Err(Skip::NeedsSecret(SecretKind::Password)),
        }
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login)
    }
}

#[derive(Debug)]
struct Login;

impl Mechanism for Login {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        match cx.credentials.secret() {
            Secret::Password(password) => message(cx, password),
            _ => Ok(Step::Ask(Question::Secret(SecretKind::Password))),
        }
    }

    fn challenge(&mut self, _: &Context<'_>, _: &[u8]) -> Result<Step, Error> {
        super::no_challenge(&MechanismName::PLAIN)
    }

    fn answer(&mut self, cx: &Context<'_>, answer: Answer) -> Result<Step, Error> {
        match answer {
            Answer::Secret(Secret::Password(password)) => message(cx, &password),
            _ => Err(Error::WRONG_ANSWER),
        }
    }

    fn refused(&mut self, why: &str) -> Error {
        Error::no_answer(SecretKind::Password, why)
    }

    fn verify(&mut self, _: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        super::unproven(&MechanismName::PLAIN, last)
    }
}

/// `[authzid] NUL authcid NUL password`
fn message(cx: &Context<'_>, password: &str) -> Result<Step, Error> {
    let authzid = cx.credentials.authzid().unwrap_or_default();
    if authzid.contains('\0') {
        return Err(Error::Unsendable("authorization identity"));
    }
    let authcid = cx.credentials.authcid().unwrap_or_default();
    let authcid = saslprep::prepare(authcid).map_err(Error::UserName)?;
    let password = saslprep::prepare(password).map_err(Error::Password)?;
    let length = authzid.len() + authcid.len() + password.len() + 2;
    let mut message = Zeroizing::new(Vec::with_capacity(length)); // never grows: no copy is left
    for part in [authzid, "\0", &authcid, "\0", &password] {
        message.extend_from_slice(part.as_bytes());
    }
    Ok(Step::Send(Response::from(message)))
}
