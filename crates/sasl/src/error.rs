//! What can go wrong in a login, sorted by who must act: the server's maker, the server's owner,
//! the user, or our caller. No error holds a secret.

use std::{fmt, num::NonZeroU32, ops::RangeInclusive};

pub use crate::saslprep::PreparationError;
use crate::{BindingType, MechanismName, secret::SecretKind, selection::NoMechanism};

/// Why a login did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server broke the rules of the mechanism, or could not prove who it is.
    #[error("the server did not keep to {mechanism}: {fault}")]
    PeerMisbehaved {
        /// The mechanism in use.
        mechanism: MechanismName,
        /// What it did.
        fault: PeerFault,
    },
    /// The server said no.
    #[error("the server refused the login: {0}")]
    Rejected(Box<Rejection>),
    /// The server said no to the binding to the channel, and no other is left that both sides
    /// know. The login is not tried again without one.
    #[error(
        "the server refused the login bound by {}, and there is nothing else to bind it to: \
         {rejection}", all_of(.refused)
    )]
    BindingRefused {
        /// What the login was bound to, one after the other.
        refused: Vec<BindingType>,
        /// What the server said last.
        rejection: Box<Rejection>,
    },
    /// Nothing that the server offers can and may be used.
    #[error("no usable mechanism: {0}")]
    NoMechanism(NoMechanism),
    /// The user name cannot be used in a login.
    #[error("the user name cannot be used: {0}")]
    UserName(PreparationError),
    /// The password cannot be used in a login.
    #[error("the password cannot be used: {0}")]
    Password(PreparationError),
    /// The token is empty.
    #[error("the token is empty")]
    EmptyToken,
    /// A name or a secret has a byte that the mechanism uses as its own separator.
    #[error("the {0} has a character that the mechanism cannot carry")]
    Unsendable(&'static str),
    /// The saved keys no longer fit what the server has: log in with the password once more.
    #[error(
        "the saved keys no longer fit: the server changed salt or iteration count \
         (now {iterations}); log in with the password once and save the new keys"
    )]
    StaleKeys {
        /// The server's iteration count.
        iterations: NonZeroU32,
    },
    /// The application refused to answer a question, or its own mechanism gave up.
    #[error("the login was given up: {0}")]
    Refused(String),
    /// The operating system or browser gives no random bytes, without which no login is safe.
    #[error("no random bytes can be had from the system")]
    NoRandomness,
    /// A mechanism or a driver was used in a way that its contract does not allow.
    #[error("wrong use of the library: {0}")]
    ApiMisuse(&'static str),
}

/// How the server broke the rules. One variant for each offence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// A challenge longer than any mechanism needs.
    #[error("a message of {found} bytes, longer than the {limit} allowed")]
    MessageTooLong {
        /// The limit in force.
        limit: usize,
        /// Its length.
        found: usize,
    },
    /// A challenge that does not parse; the words say where.
    #[error("a message that does not parse: {0}")]
    Malformed(&'static str),
    /// A mandatory SCRAM extension, which by definition nobody may pass over.
    #[error("a mandatory extension (m=) that is not known here")]
    MandatoryExtension,
    /// The same attribute twice.
    #[error("the attribute {0}= appears twice")]
    DuplicateAttribute(char),
    /// The nonce does not begin with ours: an answer to somebody else's login.
    #[error("its nonce does not begin with ours")]
    NonceNotOurs,
    /// The nonce is ours with nothing added.
    #[error("its nonce adds nothing to ours")]
    NonceNotExtended,
    /// The server signs other lists of mechanisms and channel bindings than those that reached
    /// us: somebody has changed them on the way (XEP-0474).
    #[error("the lists that it signs are not those that it sent: somebody changed them on the way")]
    ListsChanged,
    /// The server lists no channel binding that is known here, not even the one that every server
    /// must have, and does not sign its lists: somebody may have changed them on the way
    /// (XEP-0440, rule 6).
    #[error(
        "it lists no channel binding known here, not even tls-server-end-point, and does not \
         sign its lists: somebody may have changed them on the way"
    )]
    BindingsRemoved,
    /// The server signs another version of TLS than this connection has: somebody stands in
    /// between (XEP-0515).
    #[error("the version of TLS that it signs is not this connection's: somebody is in between")]
    TlsVersionChanged,
    /// The salt is empty.
    #[error("an empty salt")]
    SaltEmpty,
    /// The salt is too long.
    #[error("a salt of {found} bytes, longer than the {limit} allowed")]
    SaltTooLong {
        /// The limit in force.
        limit: usize,
        /// Its length.
        found: usize,
    },
    /// An iteration count that is unsafe, or would cost us too much. Nothing was computed.
    #[error("an iteration count of {found}, outside {} to {}", .allowed.start(), .allowed.end())]
    IterationsOutOfRange {
        /// The bounds in force.
        allowed: RangeInclusive<u32>,
        /// The server's count.
        found: u64,
    },
    /// The server does not know the keys that it should know: it may be an impostor.
    #[error("its signature is wrong: it may not be the server that you think")]
    SignatureWrong,
    /// Success without the signature that proves the server.
    #[error("it claims success without the signature that would prove it")]
    SignatureMissing,
    /// Success before the exchange was over.
    #[error("it claims success too soon")]
    SuccessTooSoon,
    /// Success after it had said that the login fails.
    #[error("it claims success after it refused")]
    SuccessAfterFailure,
    /// Data along with a success that has no place for it.
    #[error("it sent data with its success where none belongs")]
    UnexpectedSuccessData,
    /// A challenge where the mechanism has none, or none left.
    #[error("a challenge that has no place in the exchange")]
    UnexpectedChallenge,
    /// More rounds than a mechanism may take.
    #[error("more than {limit} rounds")]
    TooManyRounds {
        /// The limit in force.
        limit: u8,
    },
}

/// The server's own words when it refuses a login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The condition, as `not-authorized`; for SCRAM's `e=` values as `unknown-user`.
    pub condition: String,
    /// What the server adds for people.
    pub text: Option<String>,
    /// The language of `text` (BCP 47), if the server names it.
    pub language: Option<String>,
    /// What OAUTHBEARER adds (RFC 7628, section 3.2.2).
    pub oauth: Option<OAuthFailure>,
    /// What the server adds for programs (XEP-0388, section 2.6.2).
    pub application: Option<ApplicationCondition>,
}

/// A condition that another specification defines, as an element's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApplicationCondition {
    /// The name.
    pub name: String,
    /// The namespace that defines it.
    pub namespace: String,
}

impl Rejection {
    /// A rejection with a condition alone.
    #[must_use]
    pub fn new(condition: impl Into<String>) -> Self {
        Self { condition: condition.into(), ..Self::default() }
    }

    /// Adds the server's words and their language.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>, language: Option<String>) -> Self {
        self.text = Some(text.into());
        self.language = language;
        self
    }

    /// Adds a condition for programs.
    #[must_use]
    pub fn with_application(mut self, condition: ApplicationCondition) -> Self {
        self.application = Some(condition);
        self
    }

    /// Whether it is the channel binding that was refused. SCRAM has words for it; servers say
    /// `malformed-request` (Prosody) or `not-authorized` (ejabberd) instead, and what they mean
    /// in the text. Where the text does not speak of it, `not-authorized` means the password.
    pub(crate) fn is_of_binding(&self) -> bool {
        let words = self.text.as_ref().map(|text| text.to_ascii_lowercase().replace('-', " "));
        let says_so = words.as_ref().map(|words| words.contains("channel binding"));
        match self.condition.as_str() {
            "malformed-request" => says_so != Some(false),
            "not-authorized" => says_so == Some(true),
            condition => is_of_binding(condition),
        }
    }
}

/// Whether a condition of SCRAM's `e=` means the channel binding (RFC 5802, section 7).
pub(crate) fn is_of_binding(condition: &str) -> bool {
    matches!(
        condition,
        "channel-bindings-dont-match"
            | "channel-binding-not-supported"
            | "unsupported-channel-binding-type"
    )
}

fn all_of(refused: &[BindingType]) -> String {
    let names: Vec<_> = refused.iter().map(|kind| kind.name()).collect();
    names.join(" and by ")
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.condition)?;
        if let Some(text) = &self.text {
            let text = text.replace(plays_tricks, " "); // it may be printed on a terminal
            write!(f, " ({text})")?;
        }
        if let Some(oauth) = &self.oauth {
            write!(f, "; the token's status is {}", oauth.status)?;
            if let Some(scope) = &oauth.scope {
                write!(f, ", the scope asked for is \"{scope}\"")?;
            }
            if let Some(url) = &oauth.openid_configuration {
                write!(f, ", tokens are described at {url}")?;
            }
        }
        Ok(())
    }
}

/// Whether a character controls a terminal, or hides or reorders the characters around it.
pub(crate) fn plays_tricks(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffc}' | '\u{e0000}'..='\u{e0fff}')
}

/// Why a server refuses an access token (RFC 7628, section 3.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OAuthFailure {
    /// `status`, as `invalid_token`.
    pub status: String,
    /// `scope`: what a token would have to cover.
    pub scope: Option<String>,
    /// `openid-configuration`: where to learn how to get a token.
    pub openid_configuration: Option<String>,
}

impl Error {
    /// The question was answered with a thing of another kind.
    pub(crate) const WRONG_ANSWER: Self =
        Self::ApiMisuse("the answer is not of the question's kind");

    /// The kind of secret asked for was refused.
    pub(crate) fn no_answer(kind: SecretKind, why: &str) -> Self {
        Self::Refused(format!("no {kind}: {why}"))
    }
}
