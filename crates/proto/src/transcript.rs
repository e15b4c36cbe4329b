//! Frames as they may be shown to people and kept in files: without what proves an identity.

use crate::{
    framing::{Frame, tcp},
    xml::{
        self, Element, Node,
        namespaces::{BIND2, CARBONS, FAST, SASL, SASL2, SM},
    },
};

/// A frame without its secrets: the content of SASL elements, in SASL2 also of all in them, tokens
/// (XEP-0484), and the content of every element that is called `password` or `handshake`, whatever
/// its namespace. Not even the length of a secret is shown. What is not XML
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
        Ok(element) => redact(element, false).to_xml(),
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
                Ok(Some(Frame::Element(element))) => redact(element, false).to_xml(),
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

/// Whether it is one of those that may stand in a success without being a task's.
fn is_known(namespace: &str) -> bool {
    matches!(namespace, SASL | SASL2 | BIND2 | SM | FAST | MAM | CARBONS)
}

const REDACTED: &str = "[redacted]";

/// The archive's state, in `<bound/>` (XEP-0386).
const MAM: &str = "urn:xmpp:mam:2";

fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '\'')).take(128).collect()
}

/// The depth is bounded by the reader's limit. What a task says (XEP-0388, section 2.6.3) nobody
/// knows here, so none of it is shown.
fn redact(element: Element, is_of_task: bool) -> Element {
    let (name, namespace) = (element.name(), element.namespace());
    let begins_task = namespace == SASL2 && matches!(name, "next" | "task-data" | "success");
    let is_token = namespace == FAST && name == "token";
    let mut shown = Element::new(name, namespace);
    for (of, attribute, value) in element.attributes() {
        let is_secret = is_token && attribute == "token" || is_of_task && !is_known(namespace);
        let value = if is_secret { REDACTED } else { value };
        shown.set_attr_ns(of.unwrap_or_default(), attribute, value);
    }
    let is_public = matches!(
        name,
        "mechanism" | "text" | "authorization-identifier" | "software" | "device" | "task"
    );
    let is_login = matches!(namespace, SASL | SASL2) && !is_public;
    let is_secret = is_login || matches!(name, "password" | "handshake");
    let is_secret = is_secret || is_of_task && !is_known(namespace);
    for node in element.nodes() {
        match node {
            Node::Element(child) => shown.push(redact(child.clone(), is_of_task || begins_task)),
            Node::Text(_) if is_secret => shown.push(Node::Text(REDACTED.to_owned())),
            Node::Text(text) => shown.push(Node::Text(text.clone())),
        }
    }
    shown
}
