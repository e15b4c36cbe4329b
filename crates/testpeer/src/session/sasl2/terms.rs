//! What SASL2 offers in one stream, remembered, because the login is checked against it.
//!
//! Leaves out the login itself.

use base64ct::{Base64, Encoding};
use epode_proto::xml::Element;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::fault::Sasl2Fault;
use super::tasks::upgrade_name;
use super::{BIND, CONFIG_VERSION, FAST, NAMESPACE, UPGRADE};
use crate::EarlyData;
use crate::fast::FastOptions;
use crate::offer::Offer;
use crate::sasl::hash::Hash;
use crate::server::Config;
use crate::session::{SessionChannel, client_state, services::carbons, stream_management};

/// How the server speaks SASL2, as its builder was told.
#[derive(Debug)]
pub(crate) struct Sasl2Options {
    pub(crate) enabled: bool,
    /// It is offered on channels that are not encrypted, too.
    pub(crate) unencrypted: bool,
    /// In place of the mechanisms of RFC 6120.
    pub(crate) mechanisms: Option<Vec<String>>,
    pub(crate) bind: bool,
    /// Stream management can be enabled and resumed within the login.
    pub(crate) inline_management: bool,
    pub(crate) fast: FastOptions,
    /// The features come with their version (XEP-0509).
    pub(crate) config_version: bool,
    /// What users have to show after their passwords.
    pub(crate) codes: Vec<Code>,
    pub(crate) fault: Option<Sasl2Fault>,
}

/// A code that a user has to show after the password.
pub(crate) struct Code {
    pub(crate) user: String,
    pub(crate) code: Zeroizing<String>,
}

/// The terms of a login in one stream.
#[derive(Debug)]
pub(crate) struct Terms {
    /// The mechanisms, and what they can be bound to.
    pub(super) offer: Offer,
    /// The mechanisms for tokens, if there are any.
    pub(super) fast: Option<Offer>,
    /// The user whom the stream header names.
    pub(super) from: Option<String>,
    /// The hashes that this user has no keys for.
    pub(super) upgrades: Vec<Hash>,
    /// What the features are known by.
    version: Option<String>,
}

impl Sasl2Options {
    /// What this user has to show after the password.
    pub(crate) fn code_of(&self, user: &str) -> Option<&Code> {
        self.codes.iter().find(|code| code.user == user)
    }

    /// Whether stream management is a part of the login on this channel.
    pub(super) fn manages_inline(config: &Config, channel: &SessionChannel) -> bool {
        config.sasl2.inline_management && config.manages_streams(channel)
    }
}

impl Default for Sasl2Options {
    fn default() -> Self {
        Self {
            enabled: true,
            unencrypted: false,
            mechanisms: None,
            bind: true,
            inline_management: true,
            fast: FastOptions::default(),
            config_version: false,
            codes: Vec::new(),
            fault: None,
        }
    }
}

impl Terms {
    pub(crate) fn new(
        offer: Offer,
        fast: Option<Offer>,
        from: Option<String>,
        upgrades: Vec<Hash>,
    ) -> Self {
        Self { offer, fast, from, upgrades, version: None }
    }

    /// There is one list of types of channel binding for both profiles.
    pub(in crate::session) fn share_list(&mut self, other: &mut Offer) {
        self.offer.share_list(other);
    }

    /// What can be bound is bound to this channel.
    pub(in crate::session) fn rebind(&mut self, channel: &SessionChannel) {
        self.offer.rebind(channel);
        if let Some(fast) = &mut self.fast {
            fast.rebind(channel);
        }
    }

    /// Adds the version of the features to them (XEP-0509, section 2.1).
    pub(in crate::session) fn add_version(&mut self, features: &mut Element) {
        let hash = Hash::Sha256.digest(features.to_xml().as_bytes());
        let version = Base64::encode_string(&hash);
        features.push(
            Element::new("config-version", CONFIG_VERSION)
                .with_attr("scheme", "opaque")
                .with_attr("value", version.as_str()),
        );
        self.version = Some(version);
    }

    /// Whether a request is made for other features than these.
    pub(super) fn is_outdated(&self, authenticate: &Element) -> bool {
        let known = authenticate.child("config-version", CONFIG_VERSION);
        let Some((known, version)) = known.zip(self.version.as_deref()) else { return false };
        known.attr("value") != Some(version)
    }

    /// The feature that says it (XEP-0388, section 2.1).
    pub(in crate::session) fn feature(&self, config: &Config, channel: &SessionChannel) -> Element {
        let named = |name: &String| Element::new("mechanism", NAMESPACE).with_text(name.as_str());
        let mechanisms = self.offer.mechanisms().iter().map(named);
        let feature =
            mechanisms.fold(Element::new("authentication", NAMESPACE), Element::with_child);
        let upgrade = |hash: &Hash| Element::new("upgrade", UPGRADE).with_text(upgrade_name(*hash));
        let feature = self.upgrades.iter().map(upgrade).fold(feature, Element::with_child);
        let inline = self.inline(config, channel);
        if inline.nodes().is_empty() { feature } else { feature.with_child(inline) }
    }

    fn inline(&self, config: &Config, channel: &SessionChannel) -> Element {
        let mut inline = Element::new("inline", NAMESPACE);
        let management = Sasl2Options::manages_inline(config, channel);
        if management {
            inline.push(Element::new("sm", stream_management::NAMESPACE));
        }
        if config.sasl2.bind {
            let features = [carbons::NAMESPACE, client_state::NAMESPACE];
            let features =
                features.into_iter().chain(management.then_some(stream_management::NAMESPACE));
            let listed = features.map(|name| Element::new("feature", BIND).with_attr("var", name));
            let listed = listed.fold(Element::new("inline", BIND), Element::with_child);
            inline.push(Element::new("bind", BIND).with_child(listed));
        }
        if let Some(offer) = &self.fast {
            let named = |name: &String| Element::new("mechanism", FAST).with_text(name.as_str());
            let mechanisms = offer.mechanisms().iter().map(named);
            let mut fast = mechanisms.fold(Element::new("fast", FAST), Element::with_child);
            if config.early_data != EarlyData::Absent {
                fast.set_attr("tls-0rtt", "true");
            }
            inline.push(fast);
        }
        inline
    }
}

impl Code {
    /// Whether this is it.
    pub(super) fn is(&self, text: &str) -> bool {
        self.code.as_bytes().ct_eq(text.as_bytes()).into()
    }
}

impl std::fmt::Debug for Code {
    /// Without the code.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Code").field("user", &self.user).finish_non_exhaustive()
    }
}
