//! Why a login failed, as the server says it.
//!
//! Leaves out the text that RFC 6120 allows beside it: the names say enough.

use epode_proto::xml::{Element, namespaces};

/// A condition of RFC 6120, section 6.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslCondition {
    /// The client gave up.
    Aborted,
    /// The account was disabled for now.
    AccountDisabled,
    /// The password or token was right once.
    CredentialsExpired,
    /// The mechanism needs an encrypted channel.
    EncryptionRequired,
    /// The data is not base64.
    IncorrectEncoding,
    /// The client may not act as the identity that it asks for.
    InvalidAuthzid,
    /// The mechanism is not one that was offered.
    InvalidMechanism,
    /// The data is not what the mechanism prescribes.
    MalformedRequest,
    /// The mechanism is known, and too weak for this server.
    MechanismTooWeak,
    /// The credentials are wrong, or there is no such account.
    NotAuthorized,
    /// The server cannot tell now.
    TemporaryAuthFailure,
}

impl SaslCondition {
    /// The condition as it stands in a failure, of RFC 6120 or of XEP-0388.
    pub(crate) fn element(self) -> Element {
        Element::new(self.name(), namespaces::SASL)
    }

    /// The name of the element that carries it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}
