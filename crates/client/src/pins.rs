//! Where the pins of accounts are kept: what a login was like at its strongest, so that the next
//! one is no weaker. What counts as weaker is `epode_sasl`'s to say.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use epode_proto::{Jid, sasl::Pin};

/// Keeps a [`Pin`] for each account, from one connection to the next.
///
/// The account is an address without a resource; a guest's is the domain. The first method is
/// called by [`Builder::connect`](crate::Builder::connect) before anything is looked up, and by the
/// session's own task before each further connection and after each login; the second by that task,
/// after a login that was stronger than the pin. A pin is no secret, but who can change it can take
/// the protection away.
///
/// [`MemoryPins`] lasts as long as the process. A store in a file is a few lines around
/// [`Pin::to_json`] and [`Pin::from_json`].
pub trait PinStore: Send + Sync {
    /// The pin of an account, if it has one.
    ///
    /// # Errors
    ///
    /// [`PinStoreError`] when that cannot be said. There is no login then, since nobody knows what
    /// to expect of the server.
    fn load(&self, account: &Jid) -> Result<Option<Pin>, PinStoreError>;

    /// Keeps a pin, in place of the account's last one.
    ///
    /// # Errors
    ///
    /// [`PinStoreError`] when it cannot be kept; the connection is closed then.
    fn save(&self, account: &Jid, pin: &Pin) -> Result<(), PinStoreError>;
}

/// The pin of one account, for each connection that is made for it.
pub(crate) struct Pinning {
    store: Arc<dyn PinStore>,
    account: Jid,
}

impl Pinning {
    pub(crate) fn new(store: Arc<dyn PinStore>, jid: &Jid) -> Self {
        Self { store, account: jid.bare() }
    }

    /// What the next login must be no weaker than.
    pub(crate) fn load(&self) -> Result<Option<Pin>, PinStoreError> {
        self.store.load(&self.account)
    }

    /// Stores the pin of a login, unless what is stored is as strong: another connection may have
    /// had a stronger login meanwhile.
    pub(crate) fn keep(&self, pin: &Pin) -> Result<(), PinStoreError> {
        let stored = self.load()?;
        let strongest =
            stored.as_ref().map_or_else(|| pin.clone(), |stored| stored.strengthened_by(pin));
        if stored.as_ref() == Some(&strongest) {
            return Ok(());
        }
        self.store.save(&self.account, &strongest)
    }
}

/// Why a store does not know, or does not keep, a pin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct PinStoreError {
    reason: String,
}

impl PinStoreError {
    /// An error that says this to people: what went wrong, where, and what to do.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

/// Pins for as long as the process lives.
///
/// ```
/// use std::sync::Arc;
///
/// use epode::{Client, MemoryPins};
///
/// let pins = Arc::new(MemoryPins::default());
/// let client = Client::builder("alice@example.org")?.pins(pins.clone());
/// # let _ = client;
/// # Ok::<(), epode::JidError>(())
/// ```
#[derive(Default)]
pub struct MemoryPins {
    pins: Mutex<HashMap<Jid, Pin>>,
}

impl PinStore for MemoryPins {
    fn load(&self, account: &Jid) -> Result<Option<Pin>, PinStoreError> {
        let pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pins.get(account).cloned())
    }

    fn save(&self, account: &Jid, pin: &Pin) -> Result<(), PinStoreError> {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.insert(account.clone(), pin.clone());
        Ok(())
    }
}

impl fmt::Debug for MemoryPins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts = self.pins.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("MemoryPins").field("accounts", &accounts).finish()
    }
}
