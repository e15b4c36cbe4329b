//! What a server's features say of logging in, and what is chosen of it: profile and mechanism.
//! A choice is made before anything is sent.

use epode_sasl::{self as sasl, BindingType, Channel, Credentials, NoMechanism, Offer, Selection};

use serde::{Deserialize, Serialize};

use crate::{
    Error, Profile, SaslProfile, Settings,
    stream::{ConfigVersion, FastFeatures, Features, Sasl2Features},
};

/// What a server's features say of logging in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LoginOffer {
    /// By the profile of RFC 6120.
    pub(crate) mechanisms: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) channel_bindings: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sasl2: Option<Sasl2Features>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config_version: Option<ConfigVersion>,
}

impl LoginOffer {
    pub(crate) fn of(features: &Features) -> Self {
        Self {
            mechanisms: features.mechanisms.clone(),
            channel_bindings: features.channel_bindings.clone(),
            sasl2: features.sasl2.clone(),
            config_version: features.config_version.clone(),
        }
    }

    /// What can be made of it. SASL2 is for connections that nobody else hears (XEP-0388,
    /// section 3).
    pub(crate) fn choices(
        &self,
        settings: &Settings,
        credentials: &Credentials,
        channel: &Channel,
    ) -> Choices {
        let select = |offer: Offer| {
            settings.policy.select(&settings.registry, credentials, channel, self.with_types(offer))
        };
        let may = |profile| [SaslProfile::Either, profile].contains(&settings.sasl_profile);
        let sasl2 = self.sasl2.as_ref().filter(|_| channel.is_confidential());
        let sasl2 = sasl2.filter(|_| may(SaslProfile::Sasl2));
        Choices {
            sasl1: may(SaslProfile::Sasl1).then(|| select(Offer::new(&self.mechanisms))),
            sasl2: sasl2.map(|offer| select(Offer::new(&offer.mechanisms).by_sasl2())),
            prefers_sasl2: self.mechanisms.is_empty(),
        }
    }

    /// Whether the same login follows from both. The order of the lists means nothing.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.sorted() == other.sorted()
    }

    fn sorted(&self) -> Self {
        let mut sorted = Self { config_version: None, ..self.clone() };
        sorted.mechanisms.sort_unstable();
        sorted.channel_bindings.iter_mut().for_each(|list| list.sort_unstable());
        if let Some(sasl2) = &mut sorted.sasl2 {
            sasl2.mechanisms.sort_unstable();
            sasl2.upgrades.sort_unstable();
            sasl2.bind2.iter_mut().for_each(|list| list.sort_unstable());
            sasl2.fast.iter_mut().for_each(|fast| fast.mechanisms.sort_unstable());
        }
        sorted
    }

    /// Logins by token, if they are offered.
    pub(crate) fn fast(&self) -> Option<&FastFeatures> {
        self.sasl2.as_ref()?.fast.as_ref()
    }

    /// With the types of channel binding that the server lists.
    pub(crate) fn with_types(&self, offer: Offer) -> Offer {
        match &self.channel_bindings {
            Some(types) => offer.with_channel_bindings(types),
            None => offer,
        }
    }
}

/// What each profile would do, as far as it may be used and is offered.
pub(crate) struct Choices {
    sasl1: Option<Result<Selection, NoMechanism>>,
    sasl2: Option<Result<Selection, NoMechanism>>,
    /// Nothing is offered by the other profile.
    prefers_sasl2: bool,
}

impl Choices {
    /// The better of both: SASL2, unless the login would be weaker by it.
    pub(crate) fn best(self) -> Result<(Profile, Selection), Error> {
        let (profile, choice, _) = self.ranked().ok_or(Error::Sasl2NotOffered)?;
        let selection = choice.map_err(|none| Error::Login(sasl::Error::NoMechanism(none)))?;
        Ok((profile, selection))
    }

    /// The better of both, and the other one; none where no profile can be used.
    pub(crate) fn ranked(self) -> Option<(Profile, Choice, Option<Choice>)> {
        let takes_sasl2 = match (&self.sasl1, &self.sasl2) {
            (None, None) => return None,
            (_, None) => false,
            (None, _) => true,
            (Some(Ok(sasl1)), Some(Ok(sasl2))) => strength(sasl2) >= strength(sasl1),
            (Some(Err(_)), Some(Err(_))) => self.prefers_sasl2,
            (_, Some(sasl2)) => sasl2.is_ok(),
        };
        if takes_sasl2 {
            self.sasl2.map(|choice| (Profile::Sasl2, choice, self.sasl1))
        } else {
            self.sasl1.map(|choice| (Profile::Sasl1, choice, self.sasl2))
        }
    }
}

/// What one profile would do.
pub(crate) type Choice = Result<Selection, NoMechanism>;

/// The more the stronger: the mechanism first, then what it is bound to.
fn strength(choice: &Selection) -> (i32, Option<std::cmp::Reverse<BindingType>>) {
    (choice.priority(), choice.binding().map(std::cmp::Reverse))
}
