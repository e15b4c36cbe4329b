//! A token for quick logins (XEP-0484), with what the server said of it and how often it was used.
//! How one is asked for and used is in `negotiate`; where it is kept is the application's business.

use epode_sasl::{HashedToken, InvalidMechanismName};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// A token that the server issued in an earlier login, as it is kept from one login to the next.
///
/// Each login with it has a higher count than all before, also those that failed or of which
/// nothing was heard: whoever hands a token to [`Settings`](crate::Settings) has raised the count
/// ([`raised`](Self::raised)) and kept it by then. As secret as a password; wiped on drop, and
/// `Debug` does not show it.
///
/// ```
/// use epode_proto::{FastToken, sasl::HashedToken};
///
/// let token = HashedToken::new("HT-SHA-256-EXPR".parse()?, "of the server");
/// let token = FastToken::new(token, 1_800_000_000).raised();
/// assert_eq!((token.count(), token.is_expired(1_800_000_000)), (1, true));
/// let kept = FastToken::from_json(&token.to_json())?;
/// assert_eq!(kept, token);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct FastToken {
    token: HashedToken,
    expiry: u64,
    count: u64,
}

impl FastToken {
    /// One that was never used, until this moment in seconds since 1970.
    #[must_use]
    pub fn new(token: HashedToken, expiry: u64) -> Self {
        Self { token, expiry, count: 0 }
    }

    /// The token, with the mechanism that it was issued for.
    #[must_use]
    pub fn token(&self) -> &HashedToken {
        &self.token
    }

    /// From when on the server does not take it any more, in seconds since 1970.
    #[must_use]
    pub fn expiry(&self) -> u64 {
        self.expiry
    }

    /// Whether it has expired at this moment, in seconds since 1970.
    #[must_use]
    pub fn is_expired(&self, now: u64) -> bool {
        self.expiry <= now
    }

    /// The number of the login that it is for; 0 for one that was never used.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// A copy for the next login.
    #[must_use]
    pub fn raised(&self) -> Self {
        Self { count: self.count.saturating_add(1), ..self.duplicate() }
    }

    /// Another copy. It is wiped on drop as well; the fewer there are, the better.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { token: self.token.duplicate(), ..*self }
    }

    /// Writes it as one line of JSON, wiped on drop: `mechanism`, `token`, `expiry` and `count`.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let json = Json {
            mechanism: self.token.mechanism().to_string(),
            token: self.token.token().to_owned(),
            expiry: self.expiry,
            count: self.count,
        };
        // Large enough never to grow, which would leave copies behind: an escape takes six bytes.
        let mut text = Zeroizing::new(Vec::with_capacity(6 * json.token.len() + 256));
        serde_json::to_writer(&mut *text, &json).expect("strings and numbers always serialise");
        Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).expect("JSON is UTF-8"))
    }

    /// Reads what [`to_json`](Self::to_json) wrote. Unknown members are passed over.
    ///
    /// # Errors
    ///
    /// [`FastTokenError`] says what is wrong, without quoting the token.
    pub fn from_json(json: &str) -> Result<Self, FastTokenError> {
        // The parser would take a list for an object.
        if json.trim_ascii_start().starts_with('[') {
            return Err(FastTokenError::Json { line: 1, column: 1 });
        }
        let parsed: Json = serde_json::from_str(json)
            .map_err(|error| FastTokenError::Json { line: error.line(), column: error.column() })?;
        if parsed.token.is_empty() {
            return Err(FastTokenError::Empty);
        }
        let token = HashedToken::new(parsed.mechanism.parse()?, parsed.token.as_str());
        Ok(Self { token, expiry: parsed.expiry, count: parsed.count })
    }
}

/// Why a text is no token of [`FastToken::to_json`]. No variant holds any part of the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FastTokenError {
    /// Not JSON, a member is missing or of the wrong type.
    #[error(
        "not the JSON object {{mechanism, token, expiry, count}}: wrong at line {line}, \
         column {column}"
    )]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// `mechanism` is no name of a mechanism.
    #[error("`mechanism`: {0}")]
    Mechanism(#[from] InvalidMechanismName),
    /// There is no token in `token`.
    #[error("`token` is empty")]
    Empty,
}

#[derive(Serialize, Deserialize)]
struct Json {
    mechanism: String,
    token: String,
    expiry: u64,
    count: u64,
}

impl Drop for Json {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> FastToken {
        let mechanism = "HT-SHA-512-EXPR".parse().expect("it is a name");
        FastToken::new(HashedToken::new(mechanism, "hunter2\"\u{1}é"), 1_800_000_000)
    }

    #[test]
    fn what_is_written_is_read() {
        for token in [token(), token().raised()] {
            assert_eq!(FastToken::from_json(&token.to_json()), Ok(token));
        }
        assert_eq!((token().raised().raised().count(), token().count()), (2, 0));
        assert!(!format!("{:?}", token()).contains("hunter2"));
        assert_eq!(
            (token().is_expired(1_799_999_999), token().is_expired(1_800_000_000)),
            (false, true)
        );
    }

    #[test]
    fn each_damage_has_its_error() {
        let with = |mechanism: &str, token: &str, count: &str| {
            let json = format!(
                r#"{{"mechanism":"{mechanism}","token":"{token}","expiry":1,"count":{count}}}"#
            );
            FastToken::from_json(&json).expect_err("it is damaged")
        };
        for json in ["", "[]", "{}", "hunter2", r#"["HT-SHA-256-NONE","x",1,1]"#] {
            let error = FastToken::from_json(json).expect_err("it is no object");
            assert!(matches!(error, FastTokenError::Json { .. }), "{json}: {error}");
        }
        for count in ["-1", "\"hunter2\"", "1.5"] {
            let error = with("HT-SHA-256-NONE", "x", count);
            assert!(matches!(error, FastTokenError::Json { line: 1, .. }), "{count}: {error}");
            assert!(!error.to_string().contains("hunter2"));
        }
        assert!(matches!(with("ht", "x", "1"), FastTokenError::Mechanism(_)));
        assert_eq!(with("HT-SHA-256-NONE", "", "1"), FastTokenError::Empty);
    }
}
