//! The frames of XMPP over WebSocket (RFC 7395), the server's side.
//!
//! Leaves out the WebSocket protocol itself.

use epode_proto::xml::{Element, Limits, XmlError, namespaces, parse_document};

use super::conditions::StreamCondition;
use super::machine::{Heard, Said};

/// What a text frame says.
pub(crate) fn decode(frame: &[u8], limits: &Limits) -> Heard {
    match parse_document(frame, limits) {
        Ok(element) if element.is("open", namespaces::FRAMING) => Heard::Open(element),
        Ok(element) if element.is("close", namespaces::FRAMING) => Heard::Close,
        Ok(element) => Heard::Element(element),
        Err(error) => Heard::Broken(condition_of(&error)),
    }
}

/// The frame that says it.
pub(crate) fn encode(said: &Said) -> String {
    match said {
        Said::Open(header) => {
            let mut open = Element::new("open", namespaces::FRAMING)
                .with_attr("from", header.from.as_str())
                .with_attr("id", header.id.as_str())
                .with_attr("version", "1.0")
                .with_attr_ns(namespaces::XML, "lang", "en");
            if let Some(to) = &header.to {
                open.set_attr("to", to.as_str());
            }
            open.to_xml()
        }
        Said::Element(element) => element.to_xml(),
        Said::Close => Element::new("close", namespaces::FRAMING).to_xml(),
    }
}

/// The stream error for XML that cannot be read.
pub(super) fn condition_of(error: &XmlError) -> StreamCondition {
    match error {
        XmlError::Doctype
        | XmlError::ProcessingInstruction
        | XmlError::Comment
        | XmlError::UndeclaredEntity => StreamCondition::RestrictedXml,
        XmlError::TooDeep { .. }
        | XmlError::TooManyAttributes { .. }
        | XmlError::TooManyNamespaces { .. }
        | XmlError::TokenTooLong { .. }
        | XmlError::StanzaTooLarge { .. }
        | XmlError::Backlog { .. } => StreamCondition::PolicyViolation,
        _ => StreamCondition::NotWellFormed,
    }
}
