//! The mechanisms that a program knows.

use std::sync::{Arc, LazyLock};

use crate::{
    MechanismFactory, MechanismName,
    mechanisms::{
        self,
        ht::{Ht, Ht2},
    },
};

/// The mechanisms that a program knows: by default the nine of the page, four of which come with
/// channel binding (`-PLUS`) too, and what it adds of its own.
///
/// ```
/// use epode_sasl::Registry;
///
/// let names: Vec<_> = Registry::default().names().map(|name| name.to_string()).collect();
/// let scram = ["SCRAM-SHA-512", "SCRAM-SHA-384", "SCRAM-SHA-256", "SCRAM-SHA-1"];
/// assert!(names[..4].iter().zip(scram).all(|(name, scram)| *name == format!("{scram}-PLUS")));
/// assert_eq!(names[4..8], scram);
/// assert_eq!(names[8..], ["PLAIN", "OAUTHBEARER", "X-OAUTH2", "ANONYMOUS", "EXTERNAL"]);
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    /// Shared with the registries that it was cloned from, until something is added.
    known: Arc<Vec<Arc<dyn MechanismFactory>>>,
}

impl Registry {
    /// No mechanisms at all. Those never named are not linked into the program.
    #[must_use]
    pub fn empty() -> Self {
        Self { known: Arc::default() }
    }

    /// The mechanisms for a [`HashedToken`](crate::HashedToken), strongest first. They are in no
    /// other registry: a login by such a token is chosen for apart, from what the server offers
    /// for it alone.
    ///
    /// ```
    /// use epode_sasl::{Channel, Credentials, HashedToken, Offer, Policy, Registry};
    ///
    /// let token = HashedToken::new("HT-SHA-256-NONE".parse()?, "issued in an earlier login");
    /// let (alice, channel) = (Credentials::hashed_token("alice", token), Channel::encrypted());
    /// let offer = Offer::new(["HT-SHA-256-EXPR", "HT-SHA-256-NONE"]);
    /// let selection =
    ///     Policy::default().select(&Registry::hashed_tokens(), &alice, &channel, offer)?;
    /// assert_eq!(selection.mechanism().as_str(), "HT-SHA-256-NONE");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn hashed_tokens() -> Self {
        Ht::all().map(shared).fold(Self::empty(), Self::with)
    }

    /// Adds the `HT2-…` mechanisms, for which a token must be asked for as well: what is known of
    /// them is second-hand, and the draft may come to differ.
    ///
    /// ```
    /// use epode_sasl::Registry;
    ///
    /// let is_ht2 = |registry: &Registry| {
    ///     registry.names().filter(|name| name.as_str().starts_with("HT2-")).count()
    /// };
    /// assert_eq!(is_ht2(&Registry::hashed_tokens()), 0);
    /// assert_eq!(is_ht2(&Registry::hashed_tokens().with_ht2()), 8);
    /// ```
    #[must_use]
    pub fn with_ht2(self) -> Self {
        Ht2::all().map(shared).fold(self, Self::with)
    }

    /// Adds a mechanism, in place of one of the same name.
    #[must_use]
    pub fn with(mut self, factory: Arc<dyn MechanismFactory>) -> Self {
        let known = Arc::make_mut(&mut self.known);
        match known.iter_mut().find(|known| known.name() == factory.name()) {
            Some(known) => *known = factory,
            None => known.push(factory),
        }
        self
    }

    /// The names, in the order in which they were added.
    pub fn names(&self) -> impl Iterator<Item = &MechanismName> {
        self.known.iter().map(|factory| factory.name())
    }

    pub(crate) fn factories(&self) -> &[Arc<dyn MechanismFactory>] {
        &self.known
    }
}

impl Default for Registry {
    /// The nine mechanisms of the page, and the four with channel binding.
    fn default() -> Self {
        static ALL: LazyLock<Registry> =
            LazyLock::new(|| mechanisms::all().into_iter().fold(Registry::empty(), Registry::with));
        ALL.clone()
    }
}

fn shared(factory: impl MechanismFactory + 'static) -> Arc<dyn MechanismFactory> {
    Arc::new(factory)
}
