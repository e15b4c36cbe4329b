//! What a client is told of logins by SASL2 (XEP-0388) and of what goes along with them.
//! What is possible, the server says; which login is no weaker, `epode_proto`.

use std::{pin::Pin, sync::Arc};

use epode_proto::{
    AccountTokens, Fast, SaslProfile, TaskAnswer, TaskOffer, UserAgent, sasl::Secret,
};

use super::Builder;
use crate::{
    Error, Reconnect,
    tokens::{Beginning, TokenKeeper, TokenStore},
};

impl Builder {
    /// Which profile of SASL may be used; SASL2 (XEP-0388) where that is no weaker, and else that of
    /// RFC 6120, without it.
    #[must_use]
    pub fn sasl_profile(mut self, profile: SaslProfile) -> Self {
        self.settings = self.settings.sasl_profile(profile);
        self
    }

    /// What the server learns of this program and its device, to show it to the account's owner.
    /// With [`tokens`](Self::tokens), the id is that which is kept there.
    ///
    /// ```
    /// use epode::{Client, UserAgent};
    ///
    /// let agent = UserAgent::default().software("Reader").device("the one on the desk");
    /// let client = Client::builder("alice@example.org")?.user_agent(agent);
    /// # Ok::<(), epode::JidError>(())
    /// ```
    #[must_use]
    pub fn user_agent(mut self, user_agent: UserAgent) -> Self {
        self.user_agent = user_agent;
        self
    }

    /// With what the resource should begin that the server makes up where it binds within the login
    /// (XEP-0386), such as the program's name. Everybody who sees the address sees it.
    #[must_use]
    pub fn bind_tag(mut self, tag: impl Into<String>) -> Self {
        self.settings = self.settings.bind_tag(tag);
        self
    }

    /// Asks within the login for copies of what other clients of the account send and receive
    /// (XEP-0280), where the server offers that. [`services::carbons`](crate::services::carbons) asks
    /// for them where it does not.
    #[must_use]
    pub fn carbons(mut self, wanted: bool) -> Self {
        self.settings = self.settings.carbons(wanted);
        self
    }

    /// Does what the server demands after the login by SASL2 and before it lets anybody in: a second
    /// factor, a new password (XEP-0388, section 2.6.3). What a task means, and what it says, is for
    /// `source` to know. Without it, such a login ends, and names what was demanded.
    ///
    /// ```
    /// use epode::{Client, Element, TaskAnswer, TaskOffer};
    ///
    /// let client = Client::builder("alice@example.org")?.tasks(async |offer| match offer {
    ///     TaskOffer::Choose { tasks, .. } if tasks.iter().any(|task| task == "TOTP-EXAMPLE") => {
    ///         let code = Element::new("totp", "urn:totp:example").with_text("from a prompt");
    ///         TaskAnswer::Begin { task: "TOTP-EXAMPLE".to_owned(), content: vec![code] }
    ///     }
    ///     _ => TaskAnswer::Refuse("this needs another program".to_owned()),
    /// });
    /// # let _ = client;
    /// # Ok::<(), epode::JidError>(())
    /// ```
    #[must_use]
    pub fn tasks<F, R>(mut self, source: F) -> Self
    where
        F: Fn(TaskOffer) -> R + Send + Sync + 'static,
        R: Future<Output = TaskAnswer> + Send + 'static,
    {
        self.answers.tasks = Some(Arc::new(move |offer| Box::pin(source(offer)) as Pin<Box<_>>));
        self.settings = self.settings.answers_tasks();
        self
    }

    /// Gives the server keys of the password by a better hash, where it asks for them and the login
    /// is bound to the channel (XEP-0480); no by default. They are as good as the password for
    /// whoever has the server's store.
    #[must_use]
    pub fn upgrades(mut self, upgrades: bool) -> Self {
        self.settings = self.settings.upgrades(upgrades);
        self
    }

    /// Keeps tokens for quick logins (XEP-0484) in `tokens`, where the server issues them: the next
    /// login takes one round trip and no password. What the server offers is kept beside them, so that the
    /// next login does not wait for it; where it has changed, that costs one more connection, and the
    /// login is as it would be without. A token that the server refuses is forgotten, and
    /// the login goes on with the secret, if there is one.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::sync::Arc;
    ///
    /// use epode::{Client, FileTokens};
    ///
    /// let tokens = Arc::new(FileTokens::new("/home/alice/.local/state/reader/tokens"));
    /// let client = Client::builder("alice@example.org")?.tokens(tokens);
    /// let session = client.password("needed the first time").connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tokens(mut self, tokens: Arc<dyn TokenStore>) -> Self {
        self.tokens = Some(tokens);
        self
    }

    /// Lets a login by a token ([`tokens`](Self::tokens)) go in the early data of TLS 1.3, where the
    /// server takes it there (XEP-0484, section 3.4); no by default. Such a login is done when the
    /// handshake is.
    ///
    /// It needs an earlier connection by the same [`TlsOptions`](crate::TlsOptions) in this process,
    /// inside TLS from the first byte (`xmpps://`): sessions of TLS are kept in memory alone. In all other
    /// cases, and where the server does not take it, the login goes as it would without.
    ///
    /// What goes there is weaker than the rest of TLS. It has no forward secrecy: whoever comes by the
    /// key of the server's tickets can read it. It can be replayed: it is the token's count, which is
    /// raised and saved before it is sent, that a server tells a replay by, so this is for servers that
    /// are known to look at it. Only the stream's header and the login by token go there, which tell who
    /// logs in, and what is bound or resumed; never a password, and no stanza. Tokens are then asked for
    /// that are bound to the server's certificate, and no longer to the connection.
    #[must_use]
    pub fn danger_early_data(mut self, allowed: bool) -> Self {
        self.early_data = allowed;
        self
    }

    /// Logs out: has the server forget the token that is kept ([`tokens`](Self::tokens)), by a last
    /// login with it, and forgets it here. Says whether the server did.
    ///
    /// It did not where no token is kept, or the server does not take it any more.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), where the server was not reached. The token is there still.
    pub async fn log_out(mut self) -> Result<bool, Error> {
        let Some(store) = self.tokens.clone() else { return Ok(false) };
        let account = self.settings.jid().bare();
        let mut is_kept = false;
        store.update(&account, &mut |kept| is_kept = kept.has_token())?;
        if !is_kept {
            return Ok(false);
        }
        self.sessions = None;
        self.logs_out = true;
        let client = self.reconnect(Reconnect::off()).secret(Secret::None);
        let session = match client.connect().await {
            Ok(session) => session,
            Err(Error::Connection(epode_proto::Error::Login(error))) => {
                tracing::debug!(%error, "the server does not take the token");
                store.update(&account, &mut AccountTokens::forget)?;
                return Ok(false);
            }
            Err(error) => return Err(error),
        };
        let mut is_forgotten = false;
        store.update(&account, &mut |kept| is_forgotten = !kept.has_token())?;
        session.disconnect().await?;
        Ok(is_forgotten)
    }

    /// What a login begins with that may be one by token.
    pub(super) fn with_tokens(mut self) -> Result<(Self, Option<TokenKeeper>), Error> {
        let Some(store) = self.tokens.take() else {
            self.settings = self.settings.user_agent(std::mem::take(&mut self.user_agent));
            return Ok((self, None));
        };
        let mut tokens = TokenKeeper::new(store, self.settings.jid(), self.logs_out);
        let Beginning { user_agent: id, token, server } = tokens.take()?;
        let mut fast = Fast::wanted();
        if let Some(token) = token {
            fast = fast.token(token);
        }
        if self.logs_out {
            fast = fast.invalidate();
        }
        if self.early_data {
            fast = fast.danger_early_data();
        }
        let user_agent = std::mem::take(&mut self.user_agent).id(id);
        self.settings = self.settings.user_agent(user_agent).fast(fast);
        // It may have changed, which takes one more connection.
        if let Some(server) = server.filter(|_| self.stream.is_none()) {
            self.settings = self.settings.memory(server).renewable();
        }
        Ok((self, Some(tokens)))
    }
}
