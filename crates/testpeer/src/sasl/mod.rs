//! The server's side of SASL: thirteen mechanisms, each a value that one message of the client's
//! consumes.
//!
//! Leaves out XML and base64, which the session handles, and who may log in, which
//! [`Accounts`] knows. Nothing here is shared with the client's mechanisms.

mod anonymous;
mod condition;
mod external;
pub(crate) mod hash;
pub(crate) mod hashed_token;
mod oauthbearer;
mod plain;
mod scram;
mod xoauth2;

pub use condition::SaslCondition;

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::accounts::Accounts;
use crate::offer::{DowngradeHash, Offer, VersionClaim};
use hash::Hash;

/// A login in progress: what the server waits for.
#[derive(Debug)]
pub(crate) enum Exchange {
    ScramFirst(scram::ClientFirst),
    ScramFinal(scram::ClientFinal),
    ScramConfirmation(scram::Confirmation),
    Plain,
    OauthBearer,
    OauthBearerRefused,
    XOauth2,
    Anonymous,
    External,
    Custom(CustomMechanism),
    /// The login has failed, and the client answers what it was told of that.
    Refused,
}

/// What follows a message of the client's.
#[derive(Debug)]
pub(crate) enum Step {
    /// The server asks on.
    Challenge(Exchange, Vec<u8>),
    /// The client is this user.
    Success { user: String, data: Option<Vec<u8>> },
    /// The login failed.
    Failure(SaslCondition),
}

/// What the mechanisms may know.
pub(crate) struct Context<'a> {
    pub(crate) accounts: &'a Accounts,
    pub(crate) options: &'a SaslOptions,
    /// The addresses in the client's certificate.
    pub(crate) certificate: &'a [String],
    /// What the client was offered in this stream.
    pub(crate) offer: &'a Offer,
}

/// How the mechanisms behave.
#[derive(Clone, Debug, Default)]
pub(crate) struct SaslOptions {
    /// SCRAM: the server's signature goes into a challenge of its own.
    pub(crate) verifier_in_challenge: bool,
    /// SCRAM: what the first message tells of the offer.
    pub(crate) downgrade_hash: DowngradeHash,
    /// SCRAM: what it tells of the version of TLS.
    pub(crate) version_claim: VersionClaim,
    /// OAUTHBEARER: what a refusal tells the client besides `invalid_token`.
    pub(crate) scope: Option<String>,
    pub(crate) openid_configuration: Option<String>,
    pub(crate) custom: Vec<CustomMechanism>,
}

/// A mechanism of the server owner's making: one message, one verdict.
#[derive(Clone)]
pub(crate) struct CustomMechanism {
    pub(crate) name: String,
    pub(crate) verdict: Arc<Verdict>,
}

/// Gives the user who is logged in by a message, if it is a right one.
pub(crate) type Verdict = dyn Fn(&[u8]) -> Option<String> + Send + Sync;

impl Exchange {
    /// Begins a mechanism; `None` for one that is not known.
    pub(crate) fn begin(mechanism: &str, options: &SaslOptions) -> Option<Self> {
        if let Some(custom) = options.custom.iter().find(|custom| custom.name == mechanism) {
            return Some(Self::Custom(custom.clone()));
        }
        match mechanism {
            "PLAIN" => Some(Self::Plain),
            "OAUTHBEARER" => Some(Self::OauthBearer),
            "X-OAUTH2" => Some(Self::XOauth2),
            "ANONYMOUS" => Some(Self::Anonymous),
            "EXTERNAL" => Some(Self::External),
            _ => Hash::of_mechanism(mechanism).map(|hash| {
                Self::ScramFirst(scram::ClientFirst::new(hash, Hash::is_plus(mechanism)))
            }),
        }
    }

    /// Takes a message of the client's.
    pub(crate) fn respond(self, cx: &Context<'_>, message: &[u8]) -> Step {
        let step = match self {
            Self::ScramFirst(state) => state.respond(cx, message),
            Self::ScramFinal(state) => state.respond(cx, message),
            Self::ScramConfirmation(state) => state.respond(message),
            Self::Plain => plain::respond(cx, message),
            Self::OauthBearer => oauthbearer::respond(cx, message),
            Self::OauthBearerRefused => oauthbearer::respond_to_refusal(message),
            Self::XOauth2 => xoauth2::respond(cx, message),
            Self::Anonymous => anonymous::respond(message),
            Self::External => external::respond(cx, message),
            Self::Custom(custom) => custom.respond(cx, message),
            Self::Refused => Err(SaslCondition::NotAuthorized),
        };
        step.unwrap_or_else(Step::Failure)
    }
}

impl Step {
    /// Success without further data.
    fn success(user: String) -> Self {
        Self::Success { user, data: None }
    }
}

impl CustomMechanism {
    fn respond(self, cx: &Context<'_>, message: &[u8]) -> Result<Step, SaslCondition> {
        let user = (self.verdict)(message).ok_or(SaslCondition::NotAuthorized)?;
        cx.accounts.admit(&user, None).map(Step::success)
    }
}

impl fmt::Debug for CustomMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomMechanism").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The mechanisms that a server offers unless it is told otherwise, the strongest first.
pub(crate) const ALL: [&str; 13] = [
    "SCRAM-SHA-512-PLUS",
    "SCRAM-SHA-384-PLUS",
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-512",
    "SCRAM-SHA-384",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "PLAIN",
    "OAUTHBEARER",
    "X-OAUTH2",
    "ANONYMOUS",
    "EXTERNAL",
];

/// The mechanisms that show a secret to whoever reads the channel.
pub(crate) const NEED_ENCRYPTION: [&str; 3] = ["PLAIN", "OAUTHBEARER", "X-OAUTH2"];

/// A user name or password as SASLprep (RFC 4013) leaves it; `None` when it prohibits the text
/// or nothing is left of it.
pub(crate) fn prepared(text: &str) -> Option<Zeroizing<String>> {
    let prepared = stringprep::saslprep(text).ok()?;
    (!prepared.is_empty()).then(|| Zeroizing::new(prepared.into_owned()))
}

/// The authorization identity in a GS2 header (RFC 5801, section 4), if it has one.
fn gs2_authzid(authzid: &str) -> Result<Option<String>, SaslCondition> {
    match authzid {
        "" => Ok(None),
        _ => authzid.strip_prefix("a=").and_then(unescaped).map(Some).ok_or(MALFORMED),
    }
}

/// A `saslname` without its escapes; `None` when it is empty or a `=` stands alone.
fn unescaped(name: &str) -> Option<String> {
    let mut parts = name.split('=');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        out.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        out.push_str(rest);
    }
    (!out.is_empty() && !out.contains('\0')).then_some(out)
}

fn utf8(message: &[u8]) -> Result<&str, SaslCondition> {
    std::str::from_utf8(message).map_err(|_| MALFORMED)
}

const MALFORMED: SaslCondition = SaslCondition::MalformedRequest;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_names_are_undone_and_checked() {
        assert_eq!(unescaped("a=2Cb=3Dc").as_deref(), Some("a,b=c"));
        assert_eq!(unescaped("a=3D2C").as_deref(), Some("a=2C"));
        for wrong in ["", "a=", "a=2", "a=2c", "a=41", "a\0", "=é"] {
            assert_eq!(unescaped(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_header_names_another_or_nobody() {
        assert_eq!(gs2_authzid(""), Ok(None));
        assert_eq!(gs2_authzid("a=x=2Cy"), Ok(Some("x,y".to_owned())));
        assert_eq!(gs2_authzid("a="), Err(MALFORMED));
        assert_eq!(gs2_authzid("b=x"), Err(MALFORMED));
        assert_eq!(gs2_authzid("x"), Err(MALFORMED));
    }

    #[test]
    fn an_unknown_mechanism_does_not_begin() {
        let options = SaslOptions::default();
        assert!(Exchange::begin("SCRAM-SHA-224-PLUS", &options).is_none());
        assert!(Exchange::begin("PLAIN-PLUS", &options).is_none());
        assert!(Exchange::begin("plain", &options).is_none());
        assert!(ALL.into_iter().all(|name| Exchange::begin(name, &options).is_some()));
    }
}
