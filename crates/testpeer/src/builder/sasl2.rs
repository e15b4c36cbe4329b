//! What a server is told about the login of XEP-0388 and its companions.
//!
//! Leaves out the mechanisms themselves.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::ServerBuilder;
use crate::fast::Clock;

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
}
