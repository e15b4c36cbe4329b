//! The name and version of the software (XEP-0092).
//!
//! Leaves out the operating system, which is nobody's business.

use epode_proto::xml::Element;

/// What the server is.
pub(super) fn version() -> Element {
    let part = |name, text| Element::new(name, NAMESPACE).with_text(text);
    Element::new("query", NAMESPACE)
        .with_child(part("name", env!("CARGO_PKG_NAME")))
        .with_child(part("version", env!("CARGO_PKG_VERSION")))
}

pub(super) const NAMESPACE: &str = "jabber:iq:version";
