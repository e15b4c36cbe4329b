//! The name of a SASL mechanism, checked once, where it enters.
//! What the names stand for is in [`mechanisms`](crate::mechanisms).

use std::{borrow::Cow, fmt, str::FromStr};

/// A mechanism's name: 1 to 20 of `A`–`Z`, `0`–`9`, `-` and `_` (RFC 4422, section 3.1).
///
/// ```
/// use epode_sasl::MechanismName;
///
/// let name: MechanismName = "X-MY-MECHANISM".parse()?;
/// assert_eq!(name.as_str(), "X-MY-MECHANISM");
/// assert!("constructor".parse::<MechanismName>().is_err());
/// # Ok::<(), epode_sasl::InvalidMechanismName>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MechanismName(Cow<'static, str>);

macro_rules! known_names {
    ($($constant:ident = $name:literal),* $(,)?) => {
        impl MechanismName {
            $(
                #[doc = concat!("`", $name, "`")]
                pub const $constant: Self = Self(Cow::Borrowed($name));
            )*
        }
    };
}

known_names! {
    SCRAM_SHA_512_PLUS = "SCRAM-SHA-512-PLUS",
    SCRAM_SHA_384_PLUS = "SCRAM-SHA-384-PLUS",
    SCRAM_SHA_256_PLUS = "SCRAM-SHA-256-PLUS",
    SCRAM_SHA_1_PLUS = "SCRAM-SHA-1-PLUS",
    SCRAM_SHA_512 = "SCRAM-SHA-512",
    SCRAM_SHA_384 = "SCRAM-SHA-384",
    SCRAM_SHA_256 = "SCRAM-SHA-256",
    SCRAM_SHA_1 = "SCRAM-SHA-1",
    PLAIN = "PLAIN",
    OAUTHBEARER = "OAUTHBEARER",
    X_OAUTH2 = "X-OAUTH2",
    ANONYMOUS = "ANONYMOUS",
    EXTERNAL = "EXTERNAL",
}

impl MechanismName {
    /// The longest name there can be, in bytes.
    pub const MAX_LENGTH: usize = 20;

    /// The name as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MechanismName {
    type Err = InvalidMechanismName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| matches!(byte, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_');
        if (1..=Self::MAX_LENGTH).contains(&name.len()) && name.bytes().all(allowed) {
            Ok(Self(Cow::Owned(name.to_owned())))
        } else {
            Err(InvalidMechanismName)
        }
    }
}

impl fmt::Display for MechanismName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for MechanismName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no mechanism name (RFC 4422, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a mechanism name is 1 to 20 capital letters, digits, '-' and '_'")]
pub struct InvalidMechanismName;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_grammar_of_rfc_4422_passes() {
        for good in ["PLAIN", "SCRAM-SHA-512-PLUS", "X_1", "A", "ABCDEFGHIJKLMNOPQRST"] {
            assert_eq!(good.parse::<MechanismName>().unwrap().as_str(), good);
        }
        for bad in ["", "plain", "constructor", "A B", "Ä", "ABCDEFGHIJKLMNOPQRSTU", "A\0"] {
            assert_eq!(bad.parse::<MechanismName>(), Err(InvalidMechanismName), "{bad:?}");
        }
    }
}
