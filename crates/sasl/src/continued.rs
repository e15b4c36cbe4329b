//! A login whose mechanism is done while the login is not: the server has tasks first.
//! How tasks are named and exchanged is up to the protocol around; in XMPP that is SASL2.

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    Authenticated, Limits,
    scram::{Derivation, UpgradeRefused, UpgradeTask},
};

/// What [`Exchange::proceed`](crate::Exchange::proceed) gives: both sides are proved, and tasks
/// stand before the success. It keeps the password of a login that is bound to the channel, for
/// upgrade tasks; `Debug` does not show it.
pub struct Continued {
    authenticated: Authenticated,
    /// Only where it may be used.
    password: Option<Zeroizing<String>>,
    limits: Limits,
}

impl Continued {
    pub(crate) fn new(
        authenticated: Authenticated,
        password: Option<Zeroizing<String>>,
        limits: Limits,
    ) -> Self {
        Self { authenticated, password, limits }
    }

    /// Begins an upgrade task (XEP-0480, section 3), on the server's terms: the salt, decoded, and
    /// the count. Run the derivation as any other; what the server is to get is the
    /// [`salted_password`](crate::scram::ScramKeys::salted_password) of the keys that it gives.
    ///
    /// # Errors
    ///
    /// [`UpgradeRefused`]: the login is not bound, was without a password, or was by as good a
    /// hash; or the terms are out of the policy's bounds.
    pub fn upgrade(
        &self,
        task: UpgradeTask,
        salt: Vec<u8>,
        iterations: u64,
    ) -> Result<Derivation, UpgradeRefused> {
        task.check(self.authenticated.mechanism(), self.authenticated.binding())?;
        let password = self.password.as_ref().ok_or(UpgradeRefused::NoPassword)?;
        let iterations = self.limits.check(&salt, iterations)?;
        Ok(Derivation::prepared(task.hash(), password, salt, iterations)?)
    }

    /// The server has what it wanted, and says so. The password is wiped.
    #[must_use]
    pub fn success(self) -> Authenticated {
        self.authenticated
    }
}

impl fmt::Debug for Continued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Continued")
            .field("authenticated", &self.authenticated)
            .finish_non_exhaustive()
    }
}
