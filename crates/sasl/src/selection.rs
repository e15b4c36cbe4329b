//! The outcome of a choice: what was chosen, or why nothing could be, with a reason for every
//! mechanism that was passed over.

use std::{fmt, sync::Arc};

use crate::{
    BindingType, Channel, Context, Credentials, Limits, MechanismFactory, MechanismName, Offer,
    scram::Hash, secret::SecretKind,
};

/// What [`Policy::select`](crate::Policy::select) chose.
#[derive(Clone, Debug)]
pub struct Selection {
    pub(crate) chosen: Arc<dyn MechanismFactory>,
    /// Its priority before the policy had its say: what it is worth.
    pub(crate) rank: i32,
    pub(crate) priority: i32,
    pub(crate) passed_over: Vec<PassedOver>,
    pub(crate) offer: Offer,
    pub(crate) binding: Option<BindingType>,
    /// What the server has refused to be bound to, in this order.
    pub(crate) refused: Vec<BindingType>,
    pub(crate) channel: Channel,
    pub(crate) limits: Limits,
}

impl Selection {
    /// The mechanism to use.
    #[must_use]
    pub fn mechanism(&self) -> &MechanismName {
        self.chosen.name()
    }

    /// The priority that won.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.priority
    }

    /// What the login will be bound to, if it will.
    #[must_use]
    pub fn binding(&self) -> Option<BindingType> {
        self.binding
    }

    /// The channel that the choice was made for.
    #[must_use]
    pub fn channel(&self) -> &Channel {
        &self.channel
    }

    /// Whether what the mechanism sends would tell a listener the secret.
    #[must_use]
    pub fn exposes_secret(&self) -> bool {
        self.chosen.exposes_secret()
    }

    /// What the server has refused to bind this login to before.
    #[must_use]
    pub fn refused(&self) -> &[BindingType] {
        &self.refused
    }

    /// Every other mechanism that the server offers or the program knows, and why it was not
    /// chosen: the offered ones first, in the server's order.
    #[must_use]
    pub fn passed_over(&self) -> &[PassedOver] {
        &self.passed_over
    }

    /// The same choice as a connection would see it that is not there yet
    /// ([`Channel::in_early_data`]): for who asks by
    /// [`Policy::token_mechanism`](crate::Policy::token_mechanism) for a token to be used there.
    #[must_use]
    pub fn in_early_data(mut self) -> Self {
        self.channel = self.channel.in_early_data();
        self
    }

    pub(crate) fn context<'a>(&'a self, credentials: &'a Credentials) -> Context<'a> {
        let Self { channel, offer, refused, limits, .. } = self;
        Context { credentials, channel, offer, refused, limits }
    }

    /// The server has refused the binding: takes the next one that both sides know, if there is
    /// one. None comes twice, whatever the mechanism says.
    pub(crate) fn bind_otherwise(&mut self, credentials: &Credentials) {
        self.refused.extend(self.binding);
        let next = self.chosen.binding(&self.context(credentials));
        self.binding = next.filter(|kind| !self.refused.contains(kind));
    }
}

/// A mechanism that was not chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOver {
    /// Its name.
    pub mechanism: MechanismName,
    /// Whether the server offers it.
    pub offered: bool,
    /// Why it was not chosen.
    pub reason: Skip,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.mechanism, self.reason)
    }
}

/// Nothing that the server offers can and may be used; the reasons are all here.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoMechanism {
    /// Every mechanism that the server offers or the program knows, and why it was not chosen.
    pub passed_over: Vec<PassedOver>,
}

impl NoMechanism {
    /// True when a mechanism was offered that this program's policy, not the lack of anything,
    /// kept from being used.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        self.passed_over.iter().any(|passed| passed.offered && passed.reason.is_policy())
    }
}

impl std::error::Error for NoMechanism {}

impl fmt::Display for NoMechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut offered = self.passed_over.iter().filter(|passed| passed.offered).peekable();
        if offered.peek().is_none() {
            return f.write_str("the server offers none");
        }
        f.write_str("the server offers ")?;
        for (position, passed) in offered.enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{} ({})", passed.mechanism, passed.reason)?;
        }
        Ok(())
    }
}

/// Why a mechanism was passed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Skip {
    /// The server does not offer it.
    #[error("not offered by the server")]
    NotOffered,
    /// The server offers it; this program does not know it.
    #[error("not known to this program")]
    Unknown,
    /// The policy allows others only.
    #[error("not among the allowed ones")]
    NotAllowed,
    /// The policy denies it.
    #[error("denied")]
    Denied,
    /// Its priority is lower than the policy's minimum.
    #[error("its priority {priority} is below the minimum of {minimum}")]
    BelowMinimum {
        /// Its priority.
        priority: i32,
        /// The policy's minimum.
        minimum: i32,
    },
    /// One with a higher priority was usable too.
    #[error("{by} comes first")]
    Outranked {
        /// The one that was chosen.
        by: MechanismName,
    },
    /// It would send the secret over a channel that others can read.
    #[error("it needs an encrypted connection")]
    NeedsEncryption,
    /// It needs a secret of another kind than what was given.
    #[error("it needs a {0}")]
    NeedsSecret(SecretKind),
    /// It needs a user name.
    #[error("it needs a user name")]
    NeedsUserName,
    /// It is for logins without a user name.
    #[error("it is for logins without a user name")]
    HasUserName,
    /// It needs a client certificate on an encrypted connection.
    #[error("it needs a client certificate")]
    NeedsCertificate,
    /// The keys given were derived with another hash.
    #[error("the saved keys are for {0}")]
    KeysOfAnotherHash(Hash),
    /// It needs a token that the server issued in an earlier login.
    #[error("it needs a token of an earlier login")]
    NeedsHashedToken,
    /// The token given was issued for another mechanism, and is used with no other.
    #[error("the saved token is for {0}")]
    TokenOfAnother(MechanismName),
    /// It would be said in early data, which can be replayed, and only a token stands that.
    #[error("only a token goes in early data, which can be replayed")]
    EarlyData,
    /// It is for logins as oneself.
    #[error("it cannot carry another identity to act as")]
    HasAuthzid,
    /// The policy wants the login bound to the channel, which it is not.
    #[error("it is not bound to the channel")]
    NeedsChannelBinding,
    /// The connection has nothing that a login could be bound to.
    #[error("the connection has nothing to bind it to")]
    NothingToBindTo,
    /// The server does not say which types of channel binding it knows (XEP-0440).
    #[error("the server does not say what it can be bound to")]
    BindingsNotListed,
    /// The server knows other types of channel binding than this program.
    #[error("the server can be bound to nothing that is known here")]
    NoCommonBinding,
    /// The server lists types of channel binding, and no mechanism that could use them (XEP-0440,
    /// rule 5), or with SASL2 the reverse (rule 4): somebody may have removed those.
    #[error("the server's lists contradict each other: somebody may have changed them on the way")]
    OfferContradicts,
    /// The reason of a mechanism of the application's own.
    #[error("{0}")]
    Other(String),
}

impl Skip {
    /// True for what a [`Policy`](crate::Policy) decided.
    #[must_use]
    pub fn is_policy(&self) -> bool {
        matches!(
            self,
            Self::NotAllowed
                | Self::Denied
                | Self::BelowMinimum { .. }
                | Self::NeedsEncryption
                | Self::EarlyData
                | Self::NeedsChannelBinding
        )
    }
}
