//! Tokens for quick logins (XEP-0484), as they are handed in, given out and stored.
//! When one is used, asked for and forgotten is decided in the login.

use std::{fmt, sync::Arc};

use epode_sasl::{
    HashedToken, InvalidMechanismName, Registry,
    json_object::{self, Unreadable},
};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

/// What is wanted of tokens; nothing by default. They are used where the server offers them, over
/// an encrypted connection, and by a program that the server knows again
/// ([`UserAgent::id`](crate::UserAgent::id)).
///
/// ```
/// use epode_proto::{Fast, FastToken, Settings, sasl::Secret};
///
/// let json = r#"{"version":1,"mechanism":"HT-SHA-256-EXPR","token":"t","expiry":1800000000,"count":1}"#;
/// let fast = Fast::wanted().token(FastToken::from_json(json)?);
/// let settings = Settings::new("alice@example.org".parse()?, Secret::password("secret")).fast(fast);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Fast {
    pub(crate) wanted: bool,
    pub(crate) token: Option<FastToken>,
    pub(crate) invalidate: bool,
    pub(crate) early_data: bool,
    registry: Option<Arc<Registry>>,
}

impl Fast {
    /// Logs in by a token where there is one, and asks for one where there is none.
    #[must_use]
    pub fn wanted() -> Self {
        Self { wanted: true, ..Self::default() }
    }

    /// The token of an earlier login. Its count is sent as it is: whoever hands it in has raised it
    /// ([`FastToken::raise`]) and saved it before. It is used for one login at most.
    #[must_use]
    pub fn token(mut self, token: FastToken) -> Self {
        self.token = Some(token);
        self
    }

    /// The login is the token's last: the server is to forget it, and no other is asked for.
    #[must_use]
    pub fn invalidate(mut self) -> Self {
        self.invalidate = true;
        self
    }

    /// Lets a login by token go in the early data of TLS 1.3, where the server takes it there (XEP-0484,
    /// section 3.4) and the driver can send it ([`Input::OpenedEarly`](crate::Input::OpenedEarly)): it
    /// takes no round trip but that of TLS.
    ///
    /// Whoever comes by the key of the server's TLS tickets can read what went there: who logs in, and
    /// what is asked for along with it, but not the token. It can be replayed as well, and nothing but
    /// the token's count keeps the server from taking it twice. A token is then asked for that is bound
    /// to the server's certificate, as `tls-exporter` comes of a handshake that is not over yet.
    #[must_use]
    pub fn danger_early_data(mut self) -> Self {
        self.early_data = true;
        self
    }

    /// The mechanisms for tokens; those of [`Registry::hashed_tokens`] otherwise.
    #[must_use]
    pub fn registry(mut self, registry: Arc<Registry>) -> Self {
        self.registry = Some(registry);
        self
    }

    pub(crate) fn mechanisms(&self) -> Arc<Registry> {
        self.registry.clone().unwrap_or_else(|| Arc::new(Registry::hashed_tokens()))
    }
}

/// A token, until when it is good, and how often it was used. It is as good as a password for
/// whoever has it: keep it like one, out of backups and logs. Wiped on drop, and `Debug` does not
/// show it.
#[derive(Debug, PartialEq, Eq)]
pub struct FastToken {
    token: HashedToken,
    expiry: u64,
    count: u64,
}

impl FastToken {
    /// A token that expires at this second since 1970, and was used so many times.
    #[must_use]
    pub fn new(token: HashedToken, expiry: u64, count: u64) -> Self {
        Self { token, expiry, count }
    }

    /// The token, and the mechanism that it is for.
    #[must_use]
    pub fn token(&self) -> &HashedToken {
        &self.token
    }

    /// When it expires, in seconds since 1970.
    #[must_use]
    pub fn expiry(&self) -> u64 {
        self.expiry
    }

    /// How many logins were tried with it, this one among them if it is for one.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Whether it has expired at this moment, in seconds since 1970.
    #[must_use]
    pub fn is_expired(&self, now: u64) -> bool {
        self.expiry <= now
    }

    /// Another copy, for a store and a login. It is wiped on drop as well; the fewer there are, the
    /// better.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self { token: self.token.duplicate(), ..*self }
    }

    /// One more login is about to be tried: to be saved before the token is used, so that no count
    /// is ever sent twice (XEP-0484, section 3.4).
    pub fn raise(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    pub(crate) fn into_token(self) -> HashedToken {
        self.token
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`FastTokenError`] says what is wrong, without quoting it.
    pub fn from_json(json: &str) -> Result<Self, FastTokenError> {
        let mut parsed: Json = json_object::read(json)?;
        let token = Zeroizing::new(std::mem::take(&mut parsed.token));
        if parsed.version != VERSION {
            return Err(FastTokenError::Version { found: parsed.version });
        }
        if token.is_empty() {
            return Err(FastTokenError::Empty);
        }
        let token = HashedToken::new(parsed.mechanism.parse()?, token.as_str());
        Ok(Self { token, expiry: parsed.expiry, count: parsed.count })
    }

    /// Writes it as one line of JSON, wiped on drop.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let json = Json {
            version: VERSION,
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
}

/// Why a text is no token. No variant holds any part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FastTokenError {
    /// Not JSON, a member is missing, unknown or of the wrong type.
    #[error("not the JSON object of a token: {0}")]
    Json(#[from] Unreadable),
    /// Written by a version of this library that does more.
    #[error("`version` is {found}; this program knows version 1")]
    Version {
        /// What was found.
        found: u32,
    },
    /// `mechanism` is no mechanism name.
    #[error("`mechanism`: {0}")]
    Mechanism(#[from] InvalidMechanismName),
    /// `token` is empty.
    #[error("`token` is empty")]
    Empty,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    version: u32,
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

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Json(..)")
    }
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"version":1,"mechanism":"HT-SHA-256-EXPR","token":"hunter2","expiry":1800000000,"count":7}"#;

    #[test]
    fn what_is_written_is_read() {
        let mut token = FastToken::from_json(WHOLE).expect("it is a token");
        assert_eq!(token.to_json().as_str(), WHOLE);
        assert_eq!((token.expiry(), token.count()), (1_800_000_000, 7));
        token.raise();
        assert_eq!(token.count(), 8);
        assert!(!format!("{token:?}").contains("hunter2"));
    }

    #[test]
    fn each_damage_has_its_error() {
        let error = |json: &str| FastToken::from_json(json).expect_err("it is damaged");
        for length in 0..WHOLE.len() {
            let error = error(&WHOLE[..length]);
            assert!(matches!(error, FastTokenError::Json(_)), "{length}: {error}");
        }
        let with = |good: &str, bad: &str| error(&WHOLE.replace(good, bad));
        assert_eq!(with(":1,", ":2,"), FastTokenError::Version { found: 2 });
        assert_eq!(with("hunter2", ""), FastTokenError::Empty);
        assert!(matches!(with("HT-", "ht-"), FastTokenError::Mechanism(_)));
        assert!(matches!(with("\"count\"", "\"c\""), FastTokenError::Json(_)));
        assert_eq!(error(" []"), FastTokenError::Json(Unreadable { line: 1, column: 1 }));
    }
}
