//! Frames as they may be shown to people and kept in files: without what proves an identity.

use crate::{
    framing::{Frame, tcp},
    xml::{self, Element, Node, namespaces::SASL},
};

/// A frame without its secrets: the content of SASL elements, and of every element that is called
/// `password` or `handshake`, whatever its namespace. Not even the length of a secret is shown. What is not XML
/// is shown by its length alone.
///
/// ```
/// let frame = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg==</auth>";
/// let shown = epode_proto::redacted(frame);
/// assert!(shown.ends_with(">[redacted]</auth>"), "{shown}");
/// ```
#[must_use]
pub fn redacted(frame: &[u8]) -> String {
    match xml::parse_document(frame, &xml::Limits::default()) {
        Ok(element) => redact(element).to_xml(),
        Err(_) => format!("[{} bytes that are not one XML element]", frame.len()),
    }
}

/// The frames of a byte stream (RFC 6120) as they may be shown: what was sent and what was
/// received, one text for each frame.
#[derive(Debug)]
pub struct StreamTranscript {
    decoder: tcp::Decoder,
}

impl StreamTranscript {
    /// Shows one [`Action::Transmit`](crate::Action::Transmit). After a stream header the server's
    /// side begins anew, too.
    pub fn sent(&mut self, frame: &[u8]) -> String {
        let is_header = frame.starts_with(b"<?xml");
        if is_header {
            *self = Self::default();
        }
        // No secret is in a header or in the end of a stream; neither is one XML element.
        if is_header || frame == tcp::CLOSE.as_bytes() {
            let text = String::from_utf8_lossy(frame);
            text.split_once("?>").map_or(&*text, |(_, header)| header.trim_start()).to_owned()
        } else {
            redacted(frame)
        }
    }

    /// Takes what arrived, and shows the frames that it completes.
    pub fn received(&mut self, bytes: &[u8]) -> Vec<String> {
        self.decoder.feed(bytes);
        let mut shown = Vec::new();
        loop {
            shown.push(match self.decoder.next_frame() {
                Ok(None) => return shown,
                Ok(Some(Frame::Open(header))) => {
                    let id = header.id.unwrap_or_default();
                    let from = header.from.unwrap_or_default();
                    format!("<stream:stream id='{}' from='{}'>", plain(&id), plain(&from))
                }
                Ok(Some(Frame::Close { .. })) => tcp::CLOSE.to_owned(),
                Ok(Some(Frame::Element(element))) => redact(element).to_xml(),
                Err(error) => {
                    shown.push(format!("[{} bytes: {error}]", bytes.len()));
                    return shown;
                }
            });
        }
    }
}

impl Default for StreamTranscript {
    fn default() -> Self {
        Self { decoder: tcp::Decoder::new(xml::Limits::default()) }
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '\'')).take(128).collect()
}

/// The depth is bounded by the reader's limit.
fn redact(element: Element) -> Element {
    let mut shown = Element::new(element.name(), element.namespace());
    for (namespace, name, value) in element.attributes() {
        shown.set_attr_ns(namespace.unwrap_or_default(), name, value);
    }
    let is_login = element.namespace() == SASL && !matches!(element.name(), "mechanism" | "text");
    let is_secret = is_login || matches!(element.name(), "password" | "handshake");
    for node in element.nodes() {
        match node {
            Node::Element(child) => shown.push(redact(child.clone())),
            Node::Text(_) if is_secret => shown.push(Node::Text("[redacted]".to_owned())),
            Node::Text(text) => shown.push(Node::Text(text.clone())),
        }
    }
    shown
}
