//! Whether somebody looks at the client (XEP-0352): it may say so, and nothing comes of it.
//!
//! Leaves out what a server could save while nobody does.

use epode_proto::xml::Element;

/// Whether an element says so.
pub(super) fn is_indication(element: &Element) -> bool {
    element.namespace() == NAMESPACE && matches!(element.name(), "active" | "inactive")
}

pub(super) const NAMESPACE: &str = "urn:xmpp:csi:0";
