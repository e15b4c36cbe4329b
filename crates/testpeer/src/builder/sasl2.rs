//! What a server is told about the login of XEP-0388 and its companions.
//!
//! Leaves out the mechanisms themselves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::ServerBuilder;
use crate::accounts::Accounts;
use crate::fast::Clock;
use crate::offer::VersionClaim;
use crate::sasl::hash::Hash;
use crate::session::sasl2::{Code, Sasl2Fault};
use crate::transport::EarlyData;

impl ServerBuilder {
    /// Leaves SASL2 (XEP-0388) out, and with it all that goes into such a login.
    pub fn without_sasl2(mut self) -> Self {
        self.0.sasl2.enabled = false;
        self
    }

    /// Offers SASL2 on channels that are not encrypted, too, as a server may on the same machine.
    pub fn sasl2_unencrypted(mut self) -> Self {
        self.0.sasl2.unencrypted = true;
        self
    }

    /// The mechanisms that SASL2 offers, in this order. Default those of RFC 6120's profile.
    pub fn sasl2_mechanisms<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.0.sasl2.mechanisms = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Leaves Bind 2 (XEP-0386) out: after a login by SASL2, an address is bound as RFC 6120 does.
    pub fn without_bind2(mut self) -> Self {
        self.0.sasl2.bind = false;
        self
    }

    /// Has stream management enabled and resumed after the login alone, not within it (XEP-0198,
    /// section 9).
    pub fn without_inline_stream_management(mut self) -> Self {
        self.0.sasl2.inline_management = false;
        self
    }

    /// Gives no tokens (XEP-0484).
    pub fn without_fast(self) -> Self {
        self.fast_mechanisms([""; 0])
    }

    /// The mechanisms for tokens, in this order. Default HT-SHA-512 and HT-SHA-256, each with every
    /// type of channel binding and without.
    ///
    /// Those with channel binding are offered only on a channel with the data for it. HT2, as
    /// `HT2-SHA-256-NONE`, is known and not offered by default. A name that the server does not know
    /// is offered as well, and answered with `invalid-mechanism`.
    pub fn fast_mechanisms<I>(mut self, names: I) -> Self
    where
        I: IntoIterator<Item: Into<String>>,
    {
        self.0.sasl2.fast.mechanisms = names.into_iter().map(Into::into).collect();
        self
    }

    /// How long a token can be used. Default 14 days.
    pub fn token_life(mut self, life: Duration) -> Self {
        self.0.sasl2.fast.life = life;
        self
    }

    /// After how many hundredths of its life a login by a token brings the next one. Default 50;
    /// with 0 each login does, with more than 100 none.
    pub fn token_rotation(mut self, percent: u32) -> Self {
        self.0.sasl2.fast.rotation = percent;
        self
    }

    /// Where the time of day comes from, by which tokens expire. Default the system's clock.
    ///
    /// ```
    /// # use epode_testpeer::Server;
    /// use std::sync::Arc;
    /// use std::sync::atomic::{AtomicU64, Ordering};
    /// use std::time::{Duration, SystemTime};
    ///
    /// let seconds = Arc::new(AtomicU64::new(0));
    /// let now = Arc::clone(&seconds);
    /// let server = Server::builder("localhost")
    ///     .clock(move || {
    ///         SystemTime::UNIX_EPOCH + Duration::from_secs(now.load(Ordering::Relaxed))
    ///     })
    ///     .build();
    /// seconds.store(60, Ordering::Relaxed);
    /// ```
    pub fn clock<F>(mut self, now: F) -> Self
    where
        F: Fn() -> SystemTime + Send + Sync + 'static,
    {
        self.0.sasl2.fast.clock = Clock(Arc::new(now));
        self
    }

    /// What it does about early data of TLS, where it [listens](crate::Server::listen). Default
    /// nothing.
    pub fn early_data(mut self, early_data: EarlyData) -> Self {
        self.0.early_data = early_data;
        self
    }

    /// Tells of the version of the features (XEP-0509), and refuses logins that were meant for
    /// another one. Default not.
    pub fn config_version(mut self) -> Self {
        self.0.sasl2.config_version = true;
        self
    }

    /// What SCRAM tells of the version of TLS (XEP-0515). Default nothing.
    pub fn version_claim(mut self, claim: VersionClaim) -> Self {
        self.0.sasl.version_claim = claim;
        self
    }

    /// Has the password of an account stored for these mechanisms of SCRAM alone: in a stream from
    /// it, SASL2 offers no others, and upgrades (XEP-0480) to SCRAM-SHA-256 and SCRAM-SHA-512 where
    /// those are missing.
    ///
    /// ```
    /// # use epode_testpeer::Server;
    /// let server = Server::builder("localhost")
    ///     .account("alice", "secret")
    ///     .stored_for("alice", ["SCRAM-SHA-1"])
    ///     .build();
    /// ```
    ///
    /// # Panics
    ///
    /// If the account has no password, or a name is not one of SCRAM without channel binding.
    pub fn stored_for<'a, I>(mut self, user: &str, mechanisms: I) -> Self
    where
        I: IntoIterator<Item = &'a str>,
    {
        let hash = |name: &str| Hash::ALL.into_iter().find(|hash| hash.mechanism() == name);
        let hashes = mechanisms.into_iter().map(|name| {
            hash(name).unwrap_or_else(|| panic!("{name:?} should be a mechanism of SCRAM"))
        });
        self.0.accounts.set_stored(user, hashes.collect());
        self
    }

    /// Has a user show this code after each login by SASL2 that is not by token, in the task
    /// `X-ONE-TIME-CODE`; other profiles cannot, and are refused with `not-authorized`.
    ///
    /// The task is no standard: `<code xmlns='urn:epode:one-time-code:0'>` stands in `<next/>`, or
    /// in `<task-data/>` as the answer to a `<question/>` of the same namespace.
    ///
    /// # Panics
    ///
    /// If SASLprep prohibits the name.
    pub fn one_time_code(mut self, user: &str, code: &str) -> Self {
        let user = Accounts::canonical(user).expect("SASLprep accepts the name of the account");
        self.0.sasl2.codes.push(Code { user, code: Zeroizing::new(code.to_owned()) });
        self
    }

    /// Misbehaves in each login, in this way. Default never.
    pub fn sasl2_fault(mut self, fault: Sasl2Fault) -> Self {
        self.0.sasl2.fast.drops_old = fault == Sasl2Fault::OldTokenEnds;
        self.0.sasl2.fault = Some(fault);
        self
    }
}
