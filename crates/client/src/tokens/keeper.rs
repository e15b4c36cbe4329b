//! The tokens of one account while it is connected: which one a login begins with, and what becomes
//! of those that the server issues and refuses.

use std::sync::Arc;

use epode_proto::{FastToken, Jid, UserAgentId, sasl::MechanismName};

use super::{AccountTokens, TokenStore, TokenStoreError};
use crate::driver::unix_time;

/// The tokens of one account, while connections of it are made.
pub(crate) struct TokenKeeper {
    store: Arc<dyn TokenStore>,
    account: Jid,
    /// That of the current login.
    taken: Option<FastToken>,
    logs_out: bool,
}

impl TokenKeeper {
    /// `logs_out`: the token is to be invalidated by the login that it is used for.
    pub(crate) fn new(store: Arc<dyn TokenStore>, jid: &Jid, logs_out: bool) -> Self {
        Self { store, account: jid.bare(), taken: None, logs_out }
    }

    /// The id of this installation, and the token for the next login, if there is one. Its count is
    /// kept by now.
    pub(crate) fn take(&mut self) -> Result<(UserAgentId, Option<FastToken>), TokenStoreError> {
        let mut found = None;
        self.update(&mut |kept| found = Some((kept.user_agent(), kept.take(unix_time()))))?;
        let (user_agent, token) = found
            .ok_or_else(|| TokenStoreError::because("the store does not tell what it keeps"))?;
        self.taken = token.as_ref().map(FastToken::duplicate);
        Ok((user_agent, token))
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
