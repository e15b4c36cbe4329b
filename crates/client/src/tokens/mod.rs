//! Where tokens for quick logins are kept, with the id by which a server knows this installation.
//! What a token is good for is `epode_proto`'s to say.

#[cfg(test)]
mod crash_tests;
mod file;
mod keeper;

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use epode_proto::{AccountTokens, Jid};

pub use self::file::FileTokens;
pub(crate) use self::keeper::{Beginning, TokenKeeper};
use crate::PrivateFileError;

/// Keeps the [`AccountTokens`] of accounts, from one login to the next.
///
/// [`update`](Self::update) is called on the session's own task, a few times in each login: it
/// should not take long. What is kept is as secret as a password.
///
/// [`MemoryTokens`] lasts as long as the process, [`FileTokens`] as long as its folder. Another store
/// is a few lines around [`AccountTokens::to_json`] and [`AccountTokens::from_json`], in a
/// transaction.
pub trait TokenStore: Send + Sync {
    /// Changes what is kept of an account; what `change` gets is new if nothing was. Nobody else
    /// changes it meanwhile, and the change is safe once this returns: a token may not be used
    /// before its count is on the disk. Where that takes several tries, `change` is called for each,
    /// and the last is what counts.
    ///
    /// # Errors
    ///
    /// [`TokenStoreError`] when it is not known what is kept, or the change may not be safe.
    fn update(
        &self,
        account: &Jid,
        change: &mut dyn FnMut(&mut AccountTokens),
    ) -> Result<(), TokenStoreError>;
}

/// Why a store does not know, or does not keep, tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct TokenStoreError {
    reason: String,
}

impl TokenStoreError {
    /// An error that says this to people: what went wrong, where, and what to do.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl From<PrivateFileError> for TokenStoreError {
    fn from(error: PrivateFileError) -> Self {
        Self::because(error.to_string())
    }
}

/// Tokens for as long as the process lives.
///
/// ```
/// use epode::{MemoryTokens, TokenStore};
///
/// let store = MemoryTokens::default();
/// let mut ids = Vec::new();
/// for _ in 0..2 {
///     store.update(&"alice@example.org".parse()?, &mut |kept| ids.push(kept.user_agent()))?;
/// }
/// assert_eq!(ids[0], ids[1]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct MemoryTokens {
    accounts: Mutex<HashMap<Jid, AccountTokens>>,
}

impl TokenStore for MemoryTokens {
    fn update(
        &self,
        account: &Jid,
        change: &mut dyn FnMut(&mut AccountTokens),
    ) -> Result<(), TokenStoreError> {
        let account = account.bare();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if !accounts.contains_key(&account) {
            accounts.insert(account.clone(), begun(&account)?);
        }
        accounts.get_mut(&account).map(change);
        Ok(())
    }
}

/// What is kept of an account of which nothing was.
fn begun(account: &Jid) -> Result<AccountTokens, TokenStoreError> {
    AccountTokens::new(account)
        .ok_or_else(|| TokenStoreError::because("the system gives no random numbers"))
}

impl fmt::Debug for MemoryTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("MemoryTokens").field("accounts", &accounts).finish()
    }
}
