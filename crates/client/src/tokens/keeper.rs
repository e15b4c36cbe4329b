//! The tokens of one account while it is connected: which one a login begins with, and what becomes
//! of those that the server issues and refuses.

use std::sync::Arc;

use epode_proto::{AccountTokens, FastToken, Jid, ServerMemory, UserAgentId, sasl::MechanismName};

use super::{TokenStore, TokenStoreError};
use crate::driver::unix_time;

/// The tokens of one account, while connections of it are made.
pub(crate) struct TokenKeeper {
    store: Arc<dyn TokenStore>,
    account: Jid,
    /// That of the current login.
    taken: Option<FastToken>,
    logs_out: bool,
}

/// What a login begins with.
pub(crate) struct Beginning {
    /// The id of this installation.
    pub(crate) user_agent: UserAgentId,
    pub(crate) token: Option<FastToken>,
    /// What is remembered of the server.
    pub(crate) server: Option<ServerMemory>,
}

impl TokenKeeper {
    /// `logs_out`: the token is to be invalidated by the login that it is used for.
    pub(crate) fn new(store: Arc<dyn TokenStore>, jid: &Jid, logs_out: bool) -> Self {
        Self { store, account: jid.bare(), taken: None, logs_out }
    }

    /// What the next login begins with. The token's count is kept by now.
    pub(crate) fn take(&mut self) -> Result<Beginning, TokenStoreError> {
        let mut found = None;
        self.update(&mut |kept| {
            let (user_agent, server) = (kept.user_agent(), kept.server().cloned());
            found = Some(Beginning { user_agent, token: kept.take(unix_time()), server });
        })?;
        let found = found
            .ok_or_else(|| TokenStoreError::because("the store does not tell what it keeps"))?;
        self.taken = found.token.as_ref().map(FastToken::duplicate);
        Ok(found)
    }

    /// The server offers this.
    pub(crate) fn remember(&self, server: &ServerMemory) -> Result<(), TokenStoreError> {
        self.update(&mut |kept| kept.remember(server.clone()))
    }

    /// The server has issued this one.
    pub(crate) fn keep(&self, token: &FastToken) -> Result<(), TokenStoreError> {
        self.update(&mut |kept| kept.keep(token.duplicate()))
    }

    /// The server does not take the current one any more: it refused it, or was told not to.
    pub(crate) fn forget(&mut self) -> Result<(), TokenStoreError> {
        let Some(token) = self.taken.take() else { return Ok(()) };
        let logs_out = self.logs_out;
        self.update(&mut |kept| if logs_out { kept.forget() } else { kept.refused(&token) })
    }

    /// A login by this mechanism succeeded.
    pub(crate) fn connected(&self, mechanism: &MechanismName) -> Result<(), TokenStoreError> {
        let used = self.taken.as_ref().filter(|token| token.token().mechanism() == mechanism);
        used.map_or(Ok(()), |token| self.update(&mut |kept| kept.accepted(token)))
    }

    fn update(&self, change: &mut dyn FnMut(&mut AccountTokens)) -> Result<(), TokenStoreError> {
        self.store.update(&self.account, change)
    }
}
