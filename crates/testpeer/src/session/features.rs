//! The features that the server advertises (RFC 6120, section 4.3.2).
//!
//! Leaves out which mechanisms are offered: the server's configuration decides that.

use epode_proto::xml::{Element, namespaces};

use super::sasl2::Terms;
use super::{SessionChannel, client_state, starttls, stream_management};
use crate::offer::Offer;
use crate::server::{Config, LegacySession};

/// Before the login: STARTTLS and the mechanisms.
pub(super) fn before_login(
    config: &Config,
    channel: &SessionChannel,
    offer: &Offer,
    sasl2: Option<&Terms>,
) -> Element {
    let mut features = Element::new("features", namespaces::STREAM);
    if let Some(starttls) = starttls::feature(config, channel) {
        features.push(starttls);
    }
    // RFC 6120, section 5.3.1: nothing stands beside what has to come first.
    if config.requires_starttls(channel) {
        return features;
    }
    let mut mechanisms = Element::new("mechanisms", namespaces::SASL);
    for name in offer.mechanisms() {
        mechanisms.push(Element::new("mechanism", namespaces::SASL).with_text(name.as_str()));
    }
    features.push(mechanisms);
    if let Some(terms) = sasl2 {
        features.push(terms.feature(config, channel));
    }
    if let Some(types) = offer.listed() {
        let mut list = Element::new("sasl-channel-binding", namespaces::SASL_CB);
        for kind in types {
            let binding = Element::new("channel-binding", namespaces::SASL_CB);
            list.push(binding.with_attr("type", kind.as_str()));
        }
        features.push(list);
    }
    with_extras(config, features)
}

/// After the login: binding, and what the server has of the session of RFC 3921, of stream
/// management and of client states.
pub(super) fn after_login(config: &Config, channel: &SessionChannel) -> Element {
    let mut features = Element::new("features", namespaces::STREAM)
        .with_child(Element::new("bind", namespaces::BIND));
    let session = Element::new("session", namespaces::SESSION);
    match config.legacy_session {
        LegacySession::Absent => {}
        LegacySession::Optional => {
            let optional = Element::new("optional", namespaces::SESSION);
            features.push(session.with_child(optional));
        }
        LegacySession::Required => features.push(session),
    }
    with_extras(config, with_session_features(config, features, config.manages_streams(channel)))
}

/// Once an address is bound by the login itself (XEP-0386): what is left to ask for.
pub(super) fn after_bind(config: &Config, offers_management: bool) -> Element {
    let features = Element::new("features", namespaces::STREAM);
    with_extras(config, with_session_features(config, features, offers_management))
}

fn with_session_features(
    config: &Config,
    mut features: Element,
    offers_management: bool,
) -> Element {
    let management = Element::new("sm", stream_management::NAMESPACE);
    let management = offers_management.then_some(management);
    for feature in management.into_iter().chain([Element::new("csi", client_state::NAMESPACE)]) {
        if !config.features.contains(&feature) {
            features.push(feature);
        }
    }
    features
}

fn with_extras(config: &Config, mut features: Element) -> Element {
    for extra in &config.features {
        features.push(extra.clone());
    }
    features
}
