//! What SASL2 offers in one stream, remembered, because the login is checked against it.
//!
//! Leaves out the login itself.

use epode_proto::xml::Element;

use super::{BIND, FAST, NAMESPACE};
use crate::fast::FastOptions;
use crate::offer::Offer;
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
}

impl Sasl2Options {
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
        }
    }
}

impl Terms {
    pub(crate) fn new(offer: Offer, fast: Option<Offer>, from: Option<String>) -> Self {
        Self { offer, fast, from }
    }

    /// The feature that says it (XEP-0388, section 2.1).
    pub(in crate::session) fn feature(&self, config: &Config, channel: &SessionChannel) -> Element {
        let named = |name: &String| Element::new("mechanism", NAMESPACE).with_text(name.as_str());
        let mechanisms = self.offer.mechanisms().iter().map(named);
        let feature =
            mechanisms.fold(Element::new("authentication", NAMESPACE), Element::with_child);
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
            inline.push(mechanisms.fold(Element::new("fast", FAST), Element::with_child));
        }
        inline
    }
}
