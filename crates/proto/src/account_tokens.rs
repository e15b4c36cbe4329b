//! What is kept of one account: the id of this installation, and the tokens for quick logins.
//! How it is written safely is the store's business; what is safe to write is decided here.

use std::mem;

use epode_sasl::json_object::{self, Unreadable};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{
    FastToken, FastTokenError, InvalidUserAgentId, Jid, JidError, ServerMemory, ServerMemoryError,
    UserAgentId,
};

/// What is kept of one account: by what the server knows this installation again, and the tokens
/// that it issued (XEP-0484).
///
/// There is room for two tokens. A server takes the one before until the new one was used, so a new
/// one is kept beside it, and the one before goes in a later change. Whatever is lost in between,
/// one of both is good.
///
/// ```
/// use epode_proto::{AccountTokens, FastToken, sasl::HashedToken};
///
/// let mut tokens = AccountTokens::new(&"alice@example.org".parse()?).expect("there is randomness");
/// let token = HashedToken::new("HT-SHA-256-EXPR".parse()?, "of the server");
/// tokens.keep(FastToken::new(token, 1_800_000_000, 0));
/// let first = tokens.take(1_700_000_000).expect("there is one");
/// let second = tokens.take(1_700_000_000).expect("it is still there");
/// assert_eq!((first.count(), second.count()), (1, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, PartialEq, Eq)]
pub struct AccountTokens {
    account: Jid,
    user_agent: UserAgentId,
    newest: Option<FastToken>,
    /// The one before, until the newest was accepted.
    older: Option<FastToken>,
    server: Option<ServerMemory>,
}

impl AccountTokens {
    /// Without a token, and with a new id of this installation; none where the system has no
    /// randomness.
    #[must_use]
    pub fn new(account: &Jid) -> Option<Self> {
        let user_agent = UserAgentId::random()?;
        Some(Self { account: account.bare(), user_agent, newest: None, older: None, server: None })
    }

    /// Whose tokens they are.
    #[must_use]
    pub fn account(&self) -> &Jid {
        &self.account
    }

    /// By what the server knows this installation again; it stays the same.
    #[must_use]
    pub fn user_agent(&self) -> UserAgentId {
        self.user_agent
    }

    /// What is remembered of the server, so that the next login need not wait for its offer.
    #[must_use]
    pub fn server(&self) -> Option<&ServerMemory> {
        self.server.as_ref()
    }

    /// Remembers what the server offers now.
    pub fn remember(&mut self, server: ServerMemory) {
        self.server = Some(server);
    }

    /// Whether there is a token, be it expired or not.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.newest.is_some() || self.older.is_some()
    }

    /// The token for one login at `now`, in seconds since 1970: the newest that has not expired. Its
    /// count is higher than ever before; it may be used once this change is kept. An expired one
    /// stays until there is another, as it may be the clock that is wrong.
    pub fn take(&mut self, now: u64) -> Option<FastToken> {
        let slots = [&mut self.newest, &mut self.older].into_iter().flatten();
        let token = slots.into_iter().find(|token| !token.is_expired(now))?;
        token.raise();
        Some(token.duplicate())
    }

    /// Takes a token in that the server has just issued. The one before is kept too.
    pub fn keep(&mut self, token: FastToken) {
        if let Some(newest) = &mut self.newest
            && newest.token() == token.token()
        {
            if token.count() >= newest.count() {
                *newest = token;
            }
            return;
        }
        let before = self.newest.replace(token);
        // One that was never used goes with the next that the server issues.
        let is_used = before.as_ref().is_some_and(|before| before.count() > 0);
        if is_used || self.older.is_none() {
            self.older = before;
        }
    }

    /// A login with this token succeeded, so the server takes none any more that is older.
    pub fn accepted(&mut self, token: &FastToken) {
        if self.newest.as_ref().is_some_and(|newest| newest.token() == token.token()) {
            self.older = None;
        }
    }

    /// The server refused this token, so it is forgotten. It is not if it was taken once more since:
    /// a later login may have overtaken this one, which is a reason to refuse it, and its own outcome
    /// will tell.
    pub fn refused(&mut self, token: &FastToken) {
        for slot in [&mut self.newest, &mut self.older] {
            slot.take_if(|kept| kept == token);
        }
    }

    /// Forgets all tokens: the account was logged out here.
    pub fn forget(&mut self) {
        (self.newest, self.older) = (None, None);
    }

    /// Writes it as one line of JSON, wiped on drop: `version`, `account`, `user_agent`, `newest`,
    /// `older` and `server`. As secret as a password.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let json = |token: &Option<FastToken>| token.as_ref().map(FastToken::to_json);
        let (newest, older) = (json(&self.newest), json(&self.older));
        let server = self.server.as_ref().map(|server| Zeroizing::new(server.to_json()));
        let json = Json {
            version: VERSION,
            account: self.account.to_string(),
            user_agent: self.user_agent.to_string(),
            newest: raw(&newest),
            older: raw(&older),
            server: raw(&server),
        };
        let lengths = [&newest, &older, &server].into_iter().flatten().map(|text| text.len());
        // Large enough never to grow, which would leave copies behind.
        let capacity = lengths.sum::<usize>() + 6 * json.account.len() + 256;
        let mut text = Zeroizing::new(Vec::with_capacity(capacity));
        serde_json::to_writer(&mut *text, &json).expect("strings and numbers always serialise");
        Zeroizing::new(String::from_utf8(mem::take(&mut *text)).expect("JSON is UTF-8"))
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`AccountTokensError`] says what is wrong, without quoting a token. Nothing is guessed.
    pub fn from_json(json: &str) -> Result<Self, AccountTokensError> {
        let Version { version } = json_object::read(json)?;
        if version != VERSION {
            return Err(AccountTokensError::Version { found: version });
        }
        let parsed: Json<'_> = json_object::read(json)?;
        let token = |raw: Option<&RawValue>| raw.map(|raw| FastToken::from_json(raw.get()));
        Ok(Self {
            account: parsed.account.parse()?,
            user_agent: parsed.user_agent.parse()?,
            newest: token(parsed.newest).transpose()?,
            older: token(parsed.older).transpose()?,
            server: parsed.server.map(|raw| ServerMemory::from_json(raw.get())).transpose()?,
        })
    }
}

/// Why a text is no [`AccountTokens`]. No variant holds any part of a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccountTokensError {
    /// Not JSON, a member too many or too few, or one of the wrong type.
    #[error("not the JSON object {{version, account, user_agent, newest, older, server}}: {0}")]
    Json(#[from] Unreadable),
    /// Written by a version of this library that does more.
    #[error("`version` is {found}; this program knows version 1")]
    Version {
        /// What was found.
        found: u32,
    },
    /// `account` is no address.
    #[error("`account`: {0}")]
    Account(#[from] JidError),
    /// `user_agent` is no id of an installation.
    #[error("`user_agent`: {0}")]
    UserAgent(#[from] InvalidUserAgentId),
    /// `newest` or `older` is no token.
    #[error("a token: {0}")]
    Token(#[from] FastTokenError),
    /// `server` is nothing that could be remembered of one.
    #[error("`server`: {0}")]
    Server(#[from] ServerMemoryError),
}

fn raw(text: &Option<Zeroizing<String>>) -> Option<&RawValue> {
    text.as_ref().map(|text| serde_json::from_str(text).expect("tokens are written as JSON"))
}

/// What all versions of the JSON share.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json<'a> {
    version: u32,
    account: String,
    user_agent: String,
    #[serde(borrow)]
    newest: Option<&'a RawValue>,
    #[serde(borrow)]
    older: Option<&'a RawValue>,
    #[serde(borrow)]
    server: Option<&'a RawValue>,
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use epode_sasl::HashedToken;

    use super::*;

    fn token(text: &str) -> FastToken {
        let mechanism = "HT-SHA-256-EXPR".parse().expect("it is a name");
        FastToken::new(HashedToken::new(mechanism, text), 1000, 0)
    }

    fn tokens<const N: usize>(kept: [&str; N]) -> AccountTokens {
        let account = "alice@example.org/desk".parse().expect("it is an address");
        let mut tokens = AccountTokens::new(&account).expect("there is randomness");
        kept.into_iter().for_each(|text| tokens.keep(token(text)));
        tokens
    }

    fn taken(tokens: &mut AccountTokens) -> Option<(String, u64)> {
        tokens.take(999).map(|token| (token.token().token().to_owned(), token.count()))
    }

    fn some(text: &str, count: u64) -> Option<(String, u64)> {
        Some((text.to_owned(), count))
    }

    #[test]
    fn a_new_token_goes_first_and_the_one_before_until_it_was_accepted() {
        let mut tokens = tokens(["a"]);
        assert_eq!(taken(&mut tokens), some("a", 1));
        tokens.keep(token("b"));
        let b = tokens.take(0).expect("it is the newest");
        assert_eq!((b.token().token(), b.count()), ("b", 1));
        tokens.refused(&b);
        assert_eq!(taken(&mut tokens), some("a", 2), "the server may have lost the new one");
        tokens.keep(token("b"));
        let b = tokens.take(0).expect("it is the newest");
        tokens.accepted(&b);
        tokens.refused(&b);
        assert_eq!(taken(&mut tokens), None, "the one before is good no more");
    }

    #[test]
    fn of_three_the_one_that_was_never_used_goes() {
        let mut tokens = tokens(["a"]);
        assert_eq!(taken(&mut tokens), some("a", 1));
        tokens.keep(token("b"));
        tokens.keep(token("c"));
        let c = tokens.take(0).expect("it is the newest");
        tokens.refused(&c);
        assert_eq!(taken(&mut tokens), some("a", 2));
    }

    #[test]
    fn the_same_token_keeps_its_count() {
        let mut tokens = tokens(["a"]);
        assert_eq!(taken(&mut tokens), some("a", 1));
        tokens.keep(token("a"));
        assert_eq!(taken(&mut tokens), some("a", 2));
    }

    #[test]
    fn a_login_that_was_overtaken_forgets_nothing() {
        let mut tokens = tokens(["a"]);
        let (first, second) = (tokens.take(0), tokens.take(0));
        tokens.refused(&first.expect("there is one"));
        assert!(tokens.has_token());
        tokens.refused(&second.expect("there is one"));
        assert!(!tokens.has_token());
    }

    #[test]
    fn an_expired_token_is_not_used() {
        let mut tokens = tokens(["a"]);
        assert_eq!(tokens.take(1000), None);
        assert_eq!(taken(&mut tokens), some("a", 1), "the clock was wrong");
        tokens.forget();
        assert_eq!((taken(&mut tokens), tokens.has_token()), (None, false));
    }

    #[test]
    fn what_is_written_is_read() {
        for tokens in [tokens([]), tokens(["a"]), tokens(["hunter2", "b"])] {
            let json = tokens.to_json();
            assert!(!format!("{tokens:?}").contains("hunter2"));
            assert_eq!(AccountTokens::from_json(&json), Ok(tokens), "{}", *json);
        }
    }

    #[test]
    fn each_damage_has_its_error() {
        let good = tokens(["a"]).to_json();
        let with = |from: &str, to: &str| {
            assert!(good.contains(from));
            AccountTokens::from_json(&good.replace(from, to)).expect_err("it is damaged")
        };
        for json in ["", "[]", "{}", "null", &good[..good.len() - 1], r#"{"version":1}"#] {
            let error = AccountTokens::from_json(json).expect_err("it is damaged");
            assert!(matches!(error, AccountTokensError::Json(_)), "{json}");
        }
        let more = with("\"older\"", "\"more\":1,\"older\"");
        assert!(matches!(more, AccountTokensError::Json(Unreadable { line: 1, .. })));
        assert_eq!(with(":1,", ":2,"), AccountTokensError::Version { found: 2 });
        assert!(matches!(with("alice@example.org", "@"), AccountTokensError::Account(_)));
        let id = tokens(["a"]).user_agent().to_string();
        assert!(!good.contains(&id), "each is another");
        let error = with("\"user_agent\":\"", "\"user_agent\":\"0");
        assert_eq!(error, AccountTokensError::UserAgent(InvalidUserAgentId));
        let error = with("\"token\":\"a\"", "\"token\":\"\"");
        assert_eq!(error, AccountTokensError::Token(FastTokenError::Empty));
    }
}
