//! The tokens of one account for quick logins, changed as logins are made and lost.
//! Where their text is kept is JavaScript's business: whatever is given back is to be kept, one
//! change after the other, each made of the text that the one before has left.

use epode_proto::{AccountTokens, FastToken, Jid, ServerMemory, UserAgentId};
use wasm_bindgen::prelude::wasm_bindgen;

/// What is kept of an account, and the token that the current login has of it.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Tokens {
    account: Jid,
    taken: Option<FastToken>,
    beginning: Option<Beginning>,
}

/// What a login begins with.
#[derive(Debug)]
pub(crate) struct Beginning {
    pub(crate) user_agent: UserAgentId,
    pub(crate) token: Option<FastToken>,
    pub(crate) server: Option<ServerMemory>,
}

#[wasm_bindgen]
impl Tokens {
    /// Those of this account.
    ///
    /// # Errors
    ///
    /// A text, if the JID is none.
    #[wasm_bindgen(constructor)]
    pub fn new(jid: &str) -> Result<Self, String> {
        let account: Jid = jid.parse().map_err(|error| format!("the JID: {error}"))?;
        Ok(Self { account: account.bare(), taken: None, beginning: None })
    }

    /// Takes the token for the next login out of what is kept. It is there for the machine once what
    /// this gives back is kept.
    ///
    /// # Errors
    ///
    /// A text, if what is kept is damaged, or of another account.
    pub fn take(&mut self, kept: Option<String>, unix: f64) -> Result<String, String> {
        let mut tokens = self.read(kept)?;
        let token = tokens.take(unix as u64);
        self.taken = token.as_ref().map(FastToken::duplicate);
        let (user_agent, server) = (tokens.user_agent(), tokens.server().cloned());
        self.beginning = Some(Beginning { user_agent, token, server });
        Ok(tokens.to_json().to_string())
    }

    /// Whether the current login has a token.
    #[must_use]
    pub fn has_token(&self) -> bool {
        self.taken.is_some()
    }

    /// The server has issued this one.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn keep(&self, kept: Option<String>, token: &str) -> Result<String, String> {
        let token = FastToken::from_json(token).map_err(|error| format!("the token: {error}"))?;
        self.change(kept, |tokens| tokens.keep(token))
    }

    /// The server does not take the current one any more.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn refused(&mut self, kept: Option<String>) -> Result<String, String> {
        let refused = self.taken.take();
        self.change(kept, |tokens| {
            if let Some(token) = &refused {
                tokens.refused(token);
            }
        })
    }

    /// A login by this mechanism succeeded.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn connected(&self, kept: Option<String>, mechanism: &str) -> Result<String, String> {
        let taken = self.taken.as_ref();
        let used = taken.filter(|token| token.token().mechanism().as_str() == mechanism);
        self.change(kept, |tokens| {
            if let Some(token) = used {
                tokens.accepted(token);
            }
        })
    }

    /// The server offers this.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn remember(&self, kept: Option<String>, server: &str) -> Result<String, String> {
        let server = ServerMemory::from_json(server);
        let server = server.map_err(|error| format!("what is remembered: {error}"))?;
        self.change(kept, |tokens| tokens.remember(server))
    }
}

impl Tokens {
    pub(crate) fn beginning(&mut self) -> Option<Beginning> {
        self.beginning.take()
    }

    fn change(
        &self,
        kept: Option<String>,
        change: impl FnOnce(&mut AccountTokens),
    ) -> Result<String, String> {
        let mut tokens = self.read(kept)?;
        change(&mut tokens);
        Ok(tokens.to_json().to_string())
    }

    fn read(&self, kept: Option<String>) -> Result<AccountTokens, String> {
        let Some(kept) = kept.map(zeroize::Zeroizing::new) else {
            let begun = AccountTokens::new(&self.account);
            return begun.ok_or_else(|| "the system gives no random numbers".to_owned());
        };
        let remedy = "remove it, and log in with the password";
        let tokens = AccountTokens::from_json(&kept)
            .map_err(|error| format!("what is kept is no tokens: {error}; {remedy}"))?;
        if *tokens.account() == self.account {
            return Ok(tokens);
        }
        Err(format!("what is kept are the tokens of {}; {remedy}", tokens.account()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str =
        r#"{"version":1,"mechanism":"HT-SHA-256-NONE","token":"hunter2","expiry":2000,"count":0}"#;

    fn tokens() -> Tokens {
        Tokens::new("alice@example.com/desk").unwrap()
    }

    /// The newest and the older one, as they are kept.
    fn slots(kept: &str) -> [bool; 2] {
        let json: serde_json::Value = serde_json::from_str(kept).unwrap();
        ["newest", "older"].map(|slot| !json[slot].is_null())
    }

    #[test]
    fn each_change_is_made_of_the_text_that_the_one_before_has_left() {
        let mut tokens = tokens();
        let begun = tokens.take(None, 1000.0).unwrap();
        assert!(!tokens.has_token());
        let kept = tokens.keep(Some(begun), TOKEN).unwrap();
        let taken = tokens.take(Some(kept), 1000.0).unwrap();
        assert!(tokens.has_token() && taken.contains(r#""count":1"#), "{taken}");
        let both = tokens.keep(Some(taken), &TOKEN.replace("hunter2", "hunter3")).unwrap();
        assert_eq!(slots(&both), [true, true]);
        let other = tokens.connected(Some(both.clone()), "SCRAM-SHA-1").unwrap();
        assert_eq!(other, both, "the newest was not used");
        let next = tokens.take(Some(both), 1000.0).unwrap();
        let accepted = tokens.connected(Some(next), "HT-SHA-256-NONE").unwrap();
        assert_eq!(slots(&accepted), [true, false]);
        assert_eq!(slots(&tokens.refused(Some(accepted)).unwrap()), [false, false]);
    }

    #[test]
    fn what_is_damaged_is_said_without_its_secrets() {
        let mut alice = tokens();
        let begun = alice.take(None, 0.0).unwrap();
        let kept = alice.keep(Some(begun), TOKEN).unwrap();
        for (damaged, words) in [
            ("{".to_owned(), "what is kept is no tokens: "),
            (kept.replace(":1,", ":2,"), "`version` is 2"),
            (kept.replace("alice", "bob"), "what is kept are the tokens of bob@example.com"),
        ] {
            let error = alice.take(Some(damaged), 0.0).unwrap_err();
            assert!(
                error.contains(words) && error.ends_with("log in with the password"),
                "{error}"
            );
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(alice.keep(None, "{}").unwrap_err().starts_with("the token: "));
        assert!(alice.remember(None, "{}").unwrap_err().starts_with("what is remembered: "));
        assert!(Tokens::new("@").unwrap_err().starts_with("the JID: "));
    }
}
