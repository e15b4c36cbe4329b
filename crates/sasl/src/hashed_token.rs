//! A token that a server issued for quick logins, and the mechanism that it is good for.
//! How it is used is in [`mechanisms::ht`](crate::mechanisms::ht); when it expires, and where it
//! is kept, is the business of the protocol around.

use std::fmt;

use zeroize::Zeroizing;

use crate::MechanismName;

/// A token for the mechanism that it was issued for, and so for one kind of channel binding: it
/// is never used with another, or somebody in between could choose the weakest. As secret as a
/// password; wiped on drop, and `Debug` does not show it.
///
/// ```
/// use epode_sasl::HashedToken;
///
/// let token = HashedToken::new("HT-SHA-256-EXPR".parse()?, "a token of the server's");
/// assert_eq!(token.token(), "a token of the server's"); // for whoever stores it
/// assert_eq!(format!("{token:?}"), "HashedToken(HT-SHA-256-EXPR, ..)");
/// # Ok::<(), epode_sasl::InvalidMechanismName>(())
/// ```
pub struct HashedToken {
    mechanism: MechanismName,
    token: Zeroizing<String>,
}

impl HashedToken {
    /// The server's token, and the mechanism that it was asked for.
    #[must_use]
    pub fn new(mechanism: MechanismName, token: impl Into<String>) -> Self {
        Self { mechanism, token: Zeroizing::new(token.into()) }
    }

    /// The one mechanism that it can be used with.
    #[must_use]
    pub fn mechanism(&self) -> &MechanismName {
        &self.mechanism
    }

    /// The token itself: a secret.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Another copy, as of any other [`Secret`](crate::Secret::duplicate).
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { mechanism: self.mechanism.clone(), token: self.token.clone() }
    }
}

impl fmt::Debug for HashedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashedToken({}, ..)", self.mechanism)
    }
}
