//! Secrets: wiped on drop, and never shown.

use std::fmt;

use zeroize::Zeroizing;

use crate::{HashedToken, scram::ScramKeys};

/// How a login is proved. Each kind is used as what it is: a password is never sent as a token, a
/// token never as a password, keys never as either.
#[derive(Default)]
#[non_exhaustive]
pub enum Secret {
    /// A password: for SCRAM and PLAIN.
    Password(Zeroizing<String>),
    /// An OAuth 2.0 access token: for OAUTHBEARER and X-OAUTH2.
    Token(Zeroizing<String>),
    /// Keys of an earlier login: for SCRAM with the same hash.
    Keys(ScramKeys),
    /// A token that the server issued in an earlier login: for the one mechanism that it was
    /// issued for.
    HashedToken(HashedToken),
    /// One that the application supplies when asked with [`Question::Secret`](crate::Question).
    Ask(SecretKind),
    /// None: for ANONYMOUS, EXTERNAL and mechanisms that bring their own.
    #[default]
    None,
}

impl Secret {
    /// A password.
    #[must_use]
    pub fn password(password: impl Into<String>) -> Self {
        Self::Password(Zeroizing::new(password.into()))
    }

    /// Another copy, for whoever logs in again by itself when a connection is lost. It is wiped on
    /// drop as well; the fewer there are, the better.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        match self {
            Self::Password(password) => Self::Password(password.clone()),
            Self::Token(token) => Self::Token(token.clone()),
            Self::Keys(keys) => Self::Keys(keys.clone()),
            Self::HashedToken(token) => Self::HashedToken(token.duplicate()),
            Self::Ask(kind) => Self::Ask(*kind),
            Self::None => Self::None,
        }
    }

    /// An access token.
    #[must_use]
    pub fn token(token: impl Into<String>) -> Self {
        Self::Token(Zeroizing::new(token.into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password(_) => "Password(..)",
            Self::Token(_) => "Token(..)",
            Self::Keys(_) => "Keys(..)",
            Self::HashedToken(_) => "HashedToken(..)",
            Self::Ask(SecretKind::Password) => "Ask(Password)",
            Self::Ask(SecretKind::Token) => "Ask(Token)",
            Self::None => "None",
        })
    }
}

/// The kinds of secret that a person or a token endpoint can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// A password.
    Password,
    /// An OAuth 2.0 access token.
    Token,
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password => "password",
            Self::Token => "token",
        })
    }
}
