//! Upgrade tasks (XEP-0480): a server that has an account's password hashed in one way gets it
//! hashed in a better one, without learning the password. When a task may be done is said here;
//! how it is asked for and answered is up to the protocol around.

use std::{fmt, str::FromStr};

use super::hash::Hash;
use crate::{
    BindingType, Credentials, MechanismName, PeerFault, PreparationError, Selection,
    secret::{Secret, SecretKind},
};

/// A task by its name, as `UPGR-SCRAM-SHA-256`: the server wants what SCRAM with this hash needs.
///
/// ```
/// use epode_sasl::scram::{Hash, UpgradeTask};
///
/// let task: UpgradeTask = "UPGR-SCRAM-SHA-512".parse()?;
/// assert_eq!(task.hash(), Hash::Sha512);
/// assert_eq!(task.to_string(), "UPGR-SCRAM-SHA-512");
/// assert!("UPGR-SCRAM-SHA-512-PLUS".parse::<UpgradeTask>().is_err()); // no task has a binding
/// # Ok::<(), epode_sasl::scram::UpgradeRefused>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpgradeTask(Hash);

impl UpgradeTask {
    /// The hash to upgrade to.
    #[must_use]
    pub fn hash(self) -> Hash {
        self.0
    }

    /// Those of the server's tasks to ask for along with the login that `login` is the choice for,
    /// strongest first: known ones, to a hash that is stronger than the login's. None unless the
    /// login is bound to the channel and has a password, given or to be asked for.
    ///
    /// ```
    /// # use epode_sasl::{Binding, BindingType, Channel, Credentials, Offer, Policy, Registry};
    /// use epode_sasl::scram::UpgradeTask;
    ///
    /// # let alice = Credentials::password("alice", "secret");
    /// # let channel = Channel::encrypted();
    /// # let channel = channel.with_binding(Binding::new(BindingType::TlsExporter, "data"));
    /// # let offer = Offer::new(["SCRAM-SHA-1-PLUS"]).with_channel_bindings(["tls-exporter"]);
    /// let login = Policy::default().select(&Registry::default(), &alice, &channel, offer)?;
    /// let tasks = ["UPGR-SCRAM-SHA-1", "UPGR-SCRAM-SHA-256", "UPGR-SCRAM-SHA-512", "UPGR-OPAQUE"];
    /// let wanted = UpgradeTask::wanted(&login, &alice, tasks);
    /// let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
    /// assert_eq!(wanted, ["UPGR-SCRAM-SHA-512", "UPGR-SCRAM-SHA-256"]);
    /// # Ok::<(), epode_sasl::NoMechanism>(())
    /// ```
    #[must_use]
    pub fn wanted<'a>(
        login: &Selection,
        credentials: &Credentials,
        offered: impl IntoIterator<Item = &'a str>,
    ) -> Vec<Self> {
        let secret = credentials.secret();
        if !matches!(secret, Secret::Password(_) | Secret::Ask(SecretKind::Password)) {
            return Vec::new();
        }
        let offered: Vec<Self> = offered.into_iter().filter_map(|name| name.parse().ok()).collect();
        let may = |task: &Self| task.check(login.mechanism(), login.binding()).is_ok();
        Hash::ALL.into_iter().map(Self).filter(|task| offered.contains(task) && may(task)).collect()
    }

    /// Whether a login by this mechanism, bound to this, may do it.
    pub(crate) fn check(
        self,
        mechanism: &MechanismName,
        binding: Option<BindingType>,
    ) -> Result<(), UpgradeRefused> {
        if binding.is_none() {
            return Err(UpgradeRefused::NotBound);
        }
        match Hash::of(mechanism) {
            Some(has) if self.0.output_length() <= has.output_length() => {
                Err(UpgradeRefused::NotStronger { has, wants: self.0 })
            }
            _ => Ok(()),
        }
    }
}

impl FromStr for UpgradeTask {
    type Err = UpgradeRefused;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let known = Hash::ALL.into_iter().map(Self).find(|task| task.to_string() == name);
        known.ok_or(UpgradeRefused::UnknownTask)
    }
}

impl fmt::Display for UpgradeTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UPGR-{}", self.0.mechanism())
    }
}

/// Why an upgrade task is not done. What a task sends is enough to log in as the account, wherever
/// the same password has the same salt and count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UpgradeRefused {
    /// No task of this name is known here.
    #[error("the task is none of UPGR-SCRAM-SHA-1, -256, -384 and -512")]
    UnknownTask,
    /// Somebody in between could take what the task sends, and log in with it.
    #[error("the login is not bound to the channel: somebody in between could take the password")]
    NotBound,
    /// The login was by keys or a token.
    #[error("the login needed no password, so that there is none to hash anew")]
    NoPassword,
    /// An upgrade to what is no better.
    #[error("the account has {has} already, and {wants} is no better")]
    NotStronger {
        /// The hash of the login.
        has: Hash,
        /// The hash of the task.
        wants: Hash,
    },
    /// Salt or iteration count are out of bounds. Nothing was computed.
    #[error("the server asks for {0}")]
    Terms(#[from] PeerFault),
    /// The password cannot be prepared.
    #[error("the password cannot be used: {0}")]
    Password(#[from] PreparationError),
}
