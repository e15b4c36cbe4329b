//! STARTTLS (RFC 6120, section 5): the feature, and the answer to the command.
//!
//! Leaves out the handshake, which the transport does.

use epode_proto::xml::{Element, namespaces};

use super::SessionChannel;
use super::machine::{Said, State, Transition};
use crate::server::{Config, StartTls};

/// The feature, where it is advertised.
pub(super) fn feature(config: &Config, channel: &SessionChannel) -> Option<Element> {
    let feature = Element::new("starttls", namespaces::TLS);
    match &config.starttls {
        _ if !channel.can_secure() => None,
        StartTls::Absent => None,
        StartTls::Required => Some(feature.with_child(Element::new("required", namespaces::TLS))),
        StartTls::Optional | StartTls::Refused | StartTls::Injecting(_) => Some(feature),
    }
}

/// Whether an element is the command.
pub(super) fn is_command(element: &Element) -> bool {
    element.is("starttls", namespaces::TLS)
}

/// Takes the command; a refusal ends the stream.
pub(super) fn answer(config: &Config, channel: &SessionChannel, state: &State) -> Transition {
    let is_its_time = matches!(state, State::Authenticating(state) if state.is_idle());
    let refused = matches!(config.starttls, StartTls::Absent | StartTls::Refused);
    if channel.can_secure() && is_its_time && !refused {
        (State::Securing, vec![Said::Element(Element::new("proceed", namespaces::TLS))])
    } else {
        let failure = Element::new("failure", namespaces::TLS);
        (State::Closed, vec![Said::Element(failure), Said::Close])
    }
}
