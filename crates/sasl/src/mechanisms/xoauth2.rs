//! X-OAUTH2: an access token in the form of PLAIN, as some servers have it. Not standardised;
//! OAUTHBEARER comes first where both are offered.

use zeroize::Zeroizing;

use crate::{
    Answer, Context, Error, Mechanism, MechanismFactory, MechanismName, Question, Response,
    ServerProof, Step,
    secret::{Secret, SecretKind},
    selection::Skip,
};

/// X-OAUTH2, priority 30: needs an access token.
#[derive(Clone, Copy, Debug, Default)]
pub struct XOAuth2;

impl MechanismFactory for XOAuth2 {
    fn name(&self) -> &MechanismName {
        &MechanismName::X_OAUTH2
    }

    fn priority(&self) -> i32 {
        30
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        super::test_token(cx)
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
            Secret::Token(token) => message(cx, token),
            _ => Ok(Step::Ask(Question::Secret(SecretKind::Token))),
        }
    }

    fn challenge(&mut self, _: &Context<'_>, _: &[u8]) -> Result<Step, Error> {
        super::no_challenge(&MechanismName::X_OAUTH2)
    }

    fn answer(&mut self, cx: &Context<'_>, answer: Answer) -> Result<Step, Error> {
        match answer {
            Answer::Secret(Secret::Token(token)) => message(cx, &token),
            _ => Err(Error::WRONG_ANSWER),
        }
    }

    fn refused(&mut self, why: &str) -> Error {
        Error::no_answer(SecretKind::Token, why)
    }

    fn verify(&mut self, _: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        super::unproven(&MechanismName::X_OAUTH2, last)
    }
}

/// `NUL account NUL token`
fn message(cx: &Context<'_>, token: &str) -> Result<Step, Error> {
    super::check_token(token)?;
    let account = super::account(cx);
    if account.contains('\0') {
        return Err(Error::Unsendable("user name"));
    }
    let mut message = Zeroizing::new(Vec::with_capacity(account.len() + token.len() + 2));
    for part in ["\0", account, "\0", token] {
        message.extend_from_slice(part.as_bytes());
    }
    Ok(Step::Send(Response::from(message)))
}
