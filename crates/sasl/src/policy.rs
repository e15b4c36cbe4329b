//! What a program permits, and the choice that follows from it.

use std::{num::NonZeroU32, ops::RangeInclusive, sync::Arc};

use crate::{
    Binding, BindingType, Channel, Context, Credentials, HashedToken, MechanismFactory,
    MechanismName, Offer, PeerFault, Pin, Registry,
    scram::Hash,
    secret::Secret,
    selection::{NoMechanism, PassedOver, Selection, Skip},
};

/// What a program permits. Build one, share it in an [`Arc`] among all connections, and give a
/// connection another where it should differ: nothing here is global.
///
/// ```
/// use epode_sasl::{Channel, Credentials, MechanismName, Policy, Registry, Skip};
///
/// let policy = Policy::default().deny(MechanismName::PLAIN);
/// let alice = Credentials::password("alice", "secret");
/// let offered = [MechanismName::PLAIN, MechanismName::SCRAM_SHA_1];
/// let selection =
///     policy.select(&Registry::default(), &alice, &Channel::encrypted(), &offered).unwrap();
/// assert_eq!(selection.mechanism(), &MechanismName::SCRAM_SHA_1);
/// assert_eq!(selection.passed_over()[0].reason, Skip::Denied);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Policy {
    allowed: Option<Vec<MechanismName>>,
    denied: Vec<MechanismName>,
    priorities: Vec<(MechanismName, i32)>,
    minimum_priority: Option<i32>,
    limits: Limits,
    plaintext_allowed: bool,
    binding_required: bool,
}

impl Policy {
    /// Allows these and no others. Their order means nothing: priorities decide.
    #[must_use]
    pub fn allow_only(mut self, names: impl IntoIterator<Item = MechanismName>) -> Self {
        self.allowed = Some(names.into_iter().collect());
        self
    }

    /// Never uses this one.
    #[must_use]
    pub fn deny(mut self, name: MechanismName) -> Self {
        self.denied.push(name);
        self
    }

    /// Gives a mechanism another place in the order; higher comes first.
    #[must_use]
    pub fn priority(mut self, name: MechanismName, priority: i32) -> Self {
        self.priorities.retain(|(known, _)| *known != name);
        self.priorities.push((name, priority));
        self
    }

    /// Uses nothing whose priority is lower. There is no minimum by default.
    #[must_use]
    pub fn minimum_priority(mut self, minimum: i32) -> Self {
        self.minimum_priority = Some(minimum);
        self
    }

    /// Replaces the bounds on what a server may demand.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Lets PLAIN, OAUTHBEARER, X-OAUTH2 and the like send their secret over a connection that
    /// anybody on the way can read. For test networks only.
    #[must_use]
    pub fn danger_allow_plaintext(mut self) -> Self {
        self.plaintext_allowed = true;
        self
    }

    /// Uses only mechanisms that bind the login to the encrypted channel, so that nobody can stand
    /// in between, not even with a certificate that is trusted.
    #[must_use]
    pub fn require_channel_binding(mut self) -> Self {
        self.binding_required = true;
        self
    }

    /// Chooses: of all mechanisms that the server offers, the program knows, the policy permits
    /// and whose test passes, the one of the highest priority; among equals the one registered
    /// first. A pure function: same arguments, same answer.
    ///
    /// # Errors
    ///
    /// [`NoMechanism`], with the reason for each, when none is left.
    pub fn select(
        &self,
        registry: &Registry,
        credentials: &Credentials,
        channel: &Channel,
        offer: impl Into<Offer>,
    ) -> Result<Selection, NoMechanism> {
        let offer = offer.into();
        let limits = &self.limits;
        let cx = Context { credentials, channel, offer: &offer, refused: &[], limits };
        // Asked once each: a test that changes its mind must not bring the reasons out of step.
        let verdicts: Vec<_> =
            registry.factories().iter().map(|known| self.verdict(known.as_ref(), &cx)).collect();
        let mut chosen: Option<(&Arc<dyn MechanismFactory>, i32)> = None;
        for (factory, verdict) in registry.factories().iter().zip(&verdicts) {
            let priority = self.priority_of(factory.as_ref());
            if verdict.is_ok() && chosen.is_none_or(|(_, best)| priority > best) {
                chosen = Some((factory, priority));
            }
        }
        let winner = chosen.map(|(factory, _)| factory.name());
        let passed_over = passed_over(registry, offer.mechanisms(), &verdicts, winner);
        match chosen {
            Some((factory, priority)) => Ok(Selection {
                chosen: Arc::clone(factory),
                rank: factory.priority(),
                priority,
                passed_over,
                channel: channel.clone(),
                binding: factory.binding(&cx),
                refused: Vec::new(),
                offer,
                limits: self.limits.clone(),
            }),
            None => Err(NoMechanism { passed_over }),
        }
    }

    /// Which mechanism to ask a [`HashedToken`] for, along with the login that `login` is the
    /// choice for: of those in the registry that the server offers for tokens and that a token
    /// could be used with here and now, the one of the highest priority. None if there is none; a
    /// token that is bound to nothing is never asked for where the login or the pin is bound.
    ///
    /// ```
    /// # use epode_sasl::{Channel, Credentials, Offer, Policy, Registry};
    /// # let policy = Policy::default();
    /// # let alice = Credentials::password("alice", "secret");
    /// # let channel = Channel::encrypted();
    /// let login = policy.select(&Registry::default(), &alice, &channel, Offer::new(["PLAIN"]))?;
    /// let offer = Offer::new(["HT-SHA-256-NONE", "HT-SHA-512-NONE", "HT-SHA-512-EXPR"]);
    /// let name = policy.token_mechanism(&Registry::hashed_tokens(), &login, offer, None);
    /// assert_eq!(name.unwrap().as_str(), "HT-SHA-512-NONE"); // there is nothing to bind it to
    /// # Ok::<(), epode_sasl::NoMechanism>(())
    /// ```
    #[must_use]
    pub fn token_mechanism(
        &self,
        registry: &Registry,
        login: &Selection,
        offer: impl Into<Offer>,
        pin: Option<&Pin>,
    ) -> Option<MechanismName> {
        let offer = offer.into();
        let must_bind = login.binding.is_some() || pin.is_some_and(|pin| pin.binding().is_some());
        let usable = |name: &MechanismName| {
            let token = HashedToken::new(name.clone(), "the one to be asked for");
            let owner = Credentials::hashed_token("its owner", token);
            let choice = self.select(registry, &owner, &login.channel, offer.clone()).ok()?;
            (choice.binding.is_some() || !must_bind).then_some(choice)
        };
        let choices = registry.names().filter_map(usable);
        let best = choices.reduce(|a, b| if b.priority > a.priority { b } else { a })?;
        Some(best.mechanism().clone())
    }

    fn priority_of(&self, factory: &dyn MechanismFactory) -> i32 {
        let set = self.priorities.iter().find(|(name, _)| name == factory.name());
        set.map_or_else(|| factory.priority(), |(_, priority)| *priority)
    }

    fn verdict(&self, factory: &dyn MechanismFactory, cx: &Context<'_>) -> Result<(), Skip> {
        let name = factory.name();
        if !cx.offer.mechanisms().contains(name) {
            return Err(Skip::NotOffered);
        }
        if self.allowed.as_ref().is_some_and(|allowed| !allowed.contains(name)) {
            return Err(Skip::NotAllowed);
        }
        if self.denied.contains(name) {
            return Err(Skip::Denied);
        }
        let priority = self.priority_of(factory);
        if let Some(minimum) = self.minimum_priority.filter(|minimum| priority < *minimum) {
            return Err(Skip::BelowMinimum { priority, minimum });
        }
        factory.test(cx)?;
        // Who has keys or a token means to log in with them: nothing that does without a secret
        // comes instead.
        match cx.credentials.secret() {
            Secret::Keys(keys)
                if Hash::of(name).is_none_or(|hash| !cx.credentials.keys_serve(keys, hash)) =>
            {
                return Err(Skip::KeysOfAnotherHash(keys.hash()));
            }
            Secret::HashedToken(token) if token.mechanism() != name => {
                return Err(Skip::TokenOfAnother(token.mechanism().clone()));
            }
            Secret::HashedToken(_) => {}
            _ if cx.channel.is_early() => return Err(Skip::EarlyData),
            _ => {}
        }
        if !cx.channel.bindings().is_empty() && cx.offer.contradicts_itself() {
            return Err(Skip::OfferContradicts);
        }
        if self.binding_required && factory.binding(cx).is_none() {
            return Err(Skip::NeedsChannelBinding);
        }
        if factory.exposes_secret() && is_stripped(cx) {
            return Err(Skip::OfferContradicts);
        }
        let readable = factory.exposes_secret() && !cx.channel.is_confidential();
        if readable && !self.plaintext_allowed {
            return Err(Skip::NeedsEncryption);
        }
        Ok(())
    }
}

/// Bounds on what a server may demand of a login.
///
/// ```
/// use epode_sasl::{Limits, Policy};
///
/// let patient = Policy::default().limits(Limits::default().iterations(4096..=5_000_000));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) iterations: RangeInclusive<u32>,
    pub(crate) rounds: u8,
    pub(crate) message: usize,
    pub(crate) salt: usize,
}

impl Limits {
    /// The SCRAM iteration counts to accept; 4,096 to 1,000,000 by default, which is at most a
    /// second or so of work. RFC 7677 demands at least 4,096.
    #[must_use]
    pub fn iterations(mut self, iterations: RangeInclusive<u32>) -> Self {
        self.iterations = iterations;
        self
    }

    /// How many challenges one login may have; 16 by default.
    #[must_use]
    pub fn rounds(mut self, rounds: u8) -> Self {
        self.rounds = rounds;
        self
    }

    /// The longest server message to accept, in bytes before base64; 65,536 by default.
    #[must_use]
    pub fn message(mut self, bytes: usize) -> Self {
        self.message = bytes;
        self
    }

    /// The longest salt to accept, in bytes; 1,024 by default.
    #[must_use]
    pub fn salt(mut self, bytes: usize) -> Self {
        self.salt = bytes;
        self
    }
}

impl Limits {
    /// Whether a key may be derived on these terms. Before any work is done: the count decides how
    /// much there would be.
    pub(crate) fn check(&self, salt: &[u8], iterations: u64) -> Result<NonZeroU32, PeerFault> {
        if salt.is_empty() {
            return Err(PeerFault::SaltEmpty);
        }
        let (limit, found) = (self.salt, salt.len());
        if found > limit {
            return Err(PeerFault::SaltTooLong { limit, found });
        }
        let (allowed, found) = (self.iterations.clone(), iterations);
        let within = u32::try_from(found).ok().filter(|count| allowed.contains(count));
        within.and_then(NonZeroU32::new).ok_or(PeerFault::IterationsOutOfRange { allowed, found })
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { iterations: 4096..=1_000_000, rounds: 16, message: 65_536, salt: 1024 }
    }
}

/// No type of channel binding that is known here, not even the one that every server must have
/// (XEP-0440, rule 6): no secret goes out then. SCRAM goes on where the server signs its lists.
fn is_stripped(cx: &Context<'_>) -> bool {
    let bindings = cx.channel.bindings();
    let is_listed = |binding: &Binding| cx.offer.lists(binding.kind());
    !bindings.is_empty()
        && cx.offer.has_plus()
        && cx.offer.channel_bindings().is_some()
        && !cx.offer.lists(BindingType::TlsServerEndPoint)
        && !bindings.iter().any(is_listed)
}

/// The reason for each mechanism but the winner: the offered ones first, in the server's order.
fn passed_over(
    registry: &Registry,
    offered: &[MechanismName],
    verdicts: &[Result<(), Skip>],
    winner: Option<&MechanismName>,
) -> Vec<PassedOver> {
    let verdict_on = |name: &MechanismName| {
        let position = registry.names().position(|known| known == name);
        position.map_or(Err(Skip::Unknown), |position| verdicts[position].clone())
    };
    let others = registry.names().filter(|name| !offered.contains(name));
    let losers = offered.iter().chain(others).filter(|name| Some(*name) != winner);
    losers
        .map(|name| {
            let reason = match (verdict_on(name), winner) {
                (Err(reason), _) => reason,
                (Ok(()), Some(winner)) => Skip::Outranked { by: winner.clone() },
                (Ok(()), None) => unreachable!("a usable mechanism means a winner"),
            };
            PassedOver { mechanism: name.clone(), offered: offered.contains(name), reason }
        })
        .collect()
}
