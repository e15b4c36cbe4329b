//! The features that the server advertises (RFC 6120, section 4.3.2).
//!
//! Leaves out which mechanisms are offered: the server's configuration decides that.

use epode_proto::xml::{Element, namespaces};

use crate::server::{Config, LegacySession};

/// Before the login: the mechanisms.
pub(super) fn before_login(config: &Config, offered: &[String]) -> Element {
    let mut mechanisms = Element::new("mechanisms", namespaces::SASL);
    for name in offered {
        mechanisms.push(Element::new("mechanism", namespaces::SASL).with_text(name.as_str()));
    }
    with_extras(config, Element::new("features", namespaces::STREAM).with_child(mechanisms))
}

/// After the login: binding, and the session of RFC 3921 if the server has it.
pub(super) fn after_login(config: &Config) -> Element {
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
    with_extras(config, features)
}

fn with_extras(config: &Config, mut features: Element) -> Element {
    for extra in &config.features {
        features.push(extra.clone());
    }
    features
}
