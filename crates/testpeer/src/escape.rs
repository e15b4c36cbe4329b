//! Text as it stands in an attribute of XML that is put together by hand.
//!
//! Leaves out elements, which the XML writer of `epode-proto` writes.

/// The text with everything replaced that would end an attribute or begin something else.
pub(crate) fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('\'', "&apos;").replace('"', "&quot;")
}
