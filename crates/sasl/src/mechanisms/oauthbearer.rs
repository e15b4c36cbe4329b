//! OAUTHBEARER (RFC 7628): an OAuth 2.0 access token.
//! Getting a token is the application's business.

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{
    Answer, Context, Error, Mechanism, MechanismFactory, MechanismName, OAuthFailure, PeerFault,
    Question, Rejection, Response, ServerProof, Step,
    error::plays_tricks,
    secret::{Secret, SecretKind},
    selection::Skip,
};

/// OAUTHBEARER, priority 40: needs an access token.
#[derive(Clone, Copy, Debug, Default)]
pub struct OAuthBearer;

impl MechanismFactory for OAuthBearer {
    fn name(&self) -> &MechanismName {
        &MechanismName::OAUTHBEARER
    }

    fn priority(&self) -> i32 {
        40
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        super::test_token(cx)
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login { stage: Stage::Sent })
    }
}

#[derive(Debug)]
struct Login {
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The token is on its way.
    Sent,
    /// The server has said why it refuses, and waits to be told that we know.
    Refused(Option<OAuthFailure>),
}

impl Login {
    fn fault(fault: PeerFault) -> Error {
        Error::PeerMisbehaved { mechanism: MechanismName::OAUTHBEARER, fault }
    }
}

impl Mechanism for Login {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        match cx.credentials.secret() {
            Secret::Token(token) => message(cx, token),
            _ => Ok(Step::Ask(Question::Secret(SecretKind::Token))),
        }
    }

    /// The only challenge there is says why the token is refused; the answer is a lone SOH
    /// (RFC 7628, section 3.2.3), after which the server fails the login.
    fn challenge(&mut self, _: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        if matches!(self.stage, Stage::Refused(_)) {
            return Err(Self::fault(PeerFault::UnexpectedChallenge));
        }
        self.stage = Stage::Refused(parse_failure(challenge));
        Ok(Step::Send(Response::new([SEPARATOR])))
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
        match self.stage {
            Stage::Sent => super::unproven(&MechanismName::OAUTHBEARER, last),
            Stage::Refused(_) => Err(Self::fault(PeerFault::SuccessAfterFailure)),
        }
    }

    fn failed(&mut self, mut rejection: Rejection) -> Rejection {
        if let Stage::Refused(failure) = &mut self.stage {
            rejection.oauth = failure.take();
        }
        rejection
    }
}

const SEPARATOR: u8 = 1;

/// `n,[a=account],` SOH `auth=Bearer ` token SOH SOH
fn message(cx: &Context<'_>, token: &str) -> Result<Step, Error> {
    super::check_token(token)?;
    let account = super::account(cx);
    if account.bytes().any(|byte| byte == 0 || byte == SEPARATOR) {
        return Err(Error::Unsendable("user name"));
    }
    let header = super::gs2_header("n", Some(account));
    let mut message = Zeroizing::new(Vec::with_capacity(header.len() + token.len() + 16));
    for part in [header.as_str(), "\x01auth=Bearer ", token, "\x01\x01"] {
        message.extend_from_slice(part.as_bytes());
    }
    Ok(Step::Send(Response::from(message)))
}

#[derive(Deserialize)]
struct FailureJson {
    status: String,
    scope: Option<String>,
    #[serde(rename = "openid-configuration")]
    openid_configuration: Option<String>,
}

/// What the JSON says; nothing where it is none, since the login has failed anyway.
fn parse_failure(challenge: &[u8]) -> Option<OAuthFailure> {
    let json: FailureJson = serde_json::from_slice(challenge).ok()?;
    Some(OAuthFailure {
        status: printable(&json.status),
        scope: json.scope.as_deref().map(printable),
        openid_configuration: json.openid_configuration.as_deref().map(printable),
    })
}

/// The server's words end up on terminals and in logs.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !plays_tricks(*c)).take(FAILURE_TEXT_LIMIT).collect()
}

const FAILURE_TEXT_LIMIT: usize = 512;
