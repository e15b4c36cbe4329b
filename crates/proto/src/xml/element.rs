//! An element: a name in a namespace, attributes, and what stands inside.
//!
//! Nothing is checked when an element is built: the writer makes any element harmless, and
//! [`Element::check`] says beforehand whether something would have to change for that.

use std::fmt;
use std::mem;
use std::str::FromStr;

use zeroize::Zeroize;

use super::error::is_xml_char;
use super::namespaces::{self, Namespace};
use super::{Limits, XmlError, parse_document, writer};

/// An XML element. Prefixes do not exist here: a name is a namespace and a local name.
///
/// Two elements are equal when name, namespace, attributes (in any order) and nodes are equal.
/// `parse(to_xml())` gives an equal element back for each element that passes
/// [`check`](Self::check). Text inside elements of the SASL namespace may be a password: it is
/// wiped when the element is dropped and left out of `Debug`, but not of [`to_xml`](Self::to_xml)
/// and `Display`, which are for the wire.
///
/// ```
/// use epode_proto::xml::{Element, namespaces::CLIENT};
///
/// let iq = Element::new("iq", CLIENT)
///     .with_attr("type", "get")
///     .with_child(Element::new("ping", "urn:xmpp:ping"));
/// assert!(iq.is("iq", CLIENT));
/// assert_eq!(iq.attr("type"), Some("get"));
/// assert!(iq.child("ping", "urn:xmpp:ping").is_some());
/// assert_eq!(
///     iq.to_string(),
///     "<iq xmlns='jabber:client' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    name: Box<str>,
    namespace: Namespace,
    attributes: Attributes,
    nodes: Vec<Node>,
}

/// What stands inside an element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A child element.
    Element(Element),
    /// A run of text. Two runs are never neighbours, and none is empty.
    Text(String),
}

impl Element {
    /// An empty element. `namespace` is `""` for none.
    #[must_use]
    pub fn new(name: &str, namespace: &str) -> Self {
        Self::from_parts(name.into(), Namespace::new(namespace), Vec::new())
    }

    pub(super) fn from_parts(
        name: Box<str>,
        namespace: Namespace,
        attributes: Vec<Attribute>,
    ) -> Self {
        Self { name, namespace, attributes: Attributes(attributes), nodes: Vec::new() }
    }

    /// Reads one element, with the default [`Limits`].
    ///
    /// # Errors
    ///
    /// Whatever [`parse_document`] refuses.
    pub fn parse(xml: &str) -> Result<Self, XmlError> {
        parse_document(xml.as_bytes(), &Limits::default())
    }

    /// The local name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace, `""` for none.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.namespace.as_str()
    }

    /// Whether this is the element `name` of `namespace`.
    #[must_use]
    pub fn is(&self, name: &str, namespace: &str) -> bool {
        self.name() == name && self.namespace() == namespace
    }

    /// The value of an attribute without a namespace.
    #[must_use]
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.attr_ns("", name)
    }

    /// The value of an attribute in a namespace: `attr_ns(namespaces::XML, "lang")` is `xml:lang`.
    #[must_use]
    pub fn attr_ns(&self, namespace: &str, name: &str) -> Option<&str> {
        self.attributes.0.iter().find(|a| a.is(namespace, name)).map(|a| a.value.as_str())
    }

    /// About how many bytes of memory it takes, all its children included: what to count when
    /// elements are kept in a queue. On the wire it may have been twenty times smaller.
    #[must_use]
    pub fn memory(&self) -> usize {
        let attribute = |a: &Attribute| size_of::<Attribute>() + a.name.len() + a.value.len();
        let node = |node: &Node| match node {
            Node::Element(child) => size_of::<Node>() + child.memory(),
            Node::Text(text) => size_of::<Node>() + text.len(),
        };
        self.name.len()
            + self.attributes.0.iter().map(attribute).sum::<usize>()
            + self.nodes.iter().map(node).sum::<usize>()
    }

    /// Moves it and what stands inside from one namespace to another, wherever it is in the first.
    /// The depth is bounded by the reader's limit.
    pub(crate) fn move_namespace(&mut self, from: &str, to: &'static str) {
        if self.namespace() == from {
            self.namespace = Namespace::Known(to);
        }
        for node in &mut self.nodes {
            if let Node::Element(child) = node {
                child.move_namespace(from, to);
            }
        }
    }

    /// Sets an attribute without a namespace; an earlier value is replaced.
    pub fn set_attr(&mut self, name: &str, value: impl Into<String>) {
        self.set_attr_ns("", name, value);
    }

    /// Sets an attribute in a namespace; an earlier value is replaced.
    pub fn set_attr_ns(&mut self, namespace: &str, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.attributes.0.iter_mut().find(|a| a.is(namespace, name)) {
            Some(attribute) => attribute.value = value,
            None => self.attributes.0.push(Attribute {
                namespace: Namespace::new(namespace),
                name: name.into(),
                value,
            }),
        }
    }

    /// Removes an attribute without a namespace and gives its value back.
    pub fn remove_attr(&mut self, name: &str) -> Option<String> {
        let at = self.attributes.0.iter().position(|a| a.is("", name))?;
        Some(self.attributes.0.remove(at).value)
    }

    /// [`set_attr`](Self::set_attr), for chains.
    #[must_use]
    pub fn with_attr(mut self, name: &str, value: impl Into<String>) -> Self {
        self.set_attr(name, value);
        self
    }

    /// [`set_attr_ns`](Self::set_attr_ns), for chains.
    #[must_use]
    pub fn with_attr_ns(mut self, namespace: &str, name: &str, value: impl Into<String>) -> Self {
        self.set_attr_ns(namespace, name, value);
        self
    }

    /// Each attribute as (namespace, name, value), in the order they were set or read.
    pub fn attributes(&self) -> impl Iterator<Item = (Option<&str>, &str, &str)> {
        self.attributes.0.iter().map(|a| (a.namespace.name(), &*a.name, &*a.value))
    }

    /// Appends a child or text. Text joins the text before it; empty text is dropped.
    pub fn push(&mut self, node: impl Into<Node>) {
        match (self.nodes.last_mut(), node.into()) {
            (_, Node::Text(text)) if text.is_empty() => {}
            (Some(Node::Text(last)), Node::Text(text)) => last.push_str(&text),
            (_, node) => self.nodes.push(node),
        }
    }

    /// Appends a child, for chains.
    #[must_use]
    pub fn with_child(mut self, child: Self) -> Self {
        self.push(child);
        self
    }

    /// Appends text, for chains.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>) -> Self {
        self.push(Node::Text(text.into()));
        self
    }

    /// What stands inside, in order.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The child elements, in order.
    pub fn children(&self) -> impl Iterator<Item = &Self> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The child elements, in order, to change them in place.
    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.nodes.iter_mut().filter_map(|node| match node {
            Node::Element(child) => Some(child),
            Node::Text(_) => None,
        })
    }

    /// The first child of this name and namespace.
    #[must_use]
    pub fn child(&self, name: &str, namespace: &str) -> Option<&Self> {
        self.children().find(|child| child.is(name, namespace))
    }

    /// The text directly inside, joined; text inside children is not part of it.
    #[must_use]
    pub fn text(&self) -> String {
        let mut joined = String::new();
        for node in &self.nodes {
            if let Node::Text(text) = node {
                joined.push_str(text);
            }
        }
        joined
    }

    /// This element as XML that stands alone, as a WebSocket frame does.
    ///
    /// The result is always well-formed as far as text is concerned: a character that XML cannot
    /// carry becomes U+FFFD, and a name that XML does not allow gets `_` for what is wrong in it.
    /// Call [`check`](Self::check) to refuse such an element instead.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = String::with_capacity(self.size_hint());
        writer::write(self, &writer::Scope::default(), &mut xml);
        xml
    }

    /// Whether this element can be written exactly as it is.
    ///
    /// # Errors
    ///
    /// [`XmlError::InvalidName`], [`XmlError::InvalidNamespace`] or
    /// [`XmlError::ForbiddenCharacter`] for the first thing that cannot be written.
    ///
    /// ```
    /// use epode_proto::xml::{Element, XmlError, namespaces::CLIENT};
    ///
    /// let body = Element::new("body", CLIENT).with_text("a\0b");
    /// assert_eq!(body.check(), Err(XmlError::ForbiddenCharacter { code: 0 }));
    /// ```
    pub fn check(&self) -> Result<(), XmlError> {
        let mut pending = vec![self];
        while let Some(element) = pending.pop() {
            element.check_head()?;
            for node in &element.nodes {
                match node {
                    Node::Element(child) => pending.push(child),
                    Node::Text(text) => check_characters(text)?,
                }
            }
        }
        Ok(())
    }

    fn check_head(&self) -> Result<(), XmlError> {
        check_name(&self.name)?;
        check_namespace(self.namespace())?;
        for Attribute { namespace, name, value } in &self.attributes.0 {
            check_name(name)?;
            check_namespace(namespace.as_str())?;
            if &**name == "xmlns" && namespace.name().is_none() {
                return Err(XmlError::InvalidName { name: "xmlns".into() });
            }
            check_characters(value)?;
        }
        Ok(())
    }

    /// How many bytes the XML takes at most, if nothing needs an escape. Secrets are base64,
    /// which does not, so a buffer of this size is not moved and leaves no copy of them behind.
    pub(crate) fn size_hint(&self) -> usize {
        writer::size_hint(self)
    }

    /// Takes the nodes out to be dropped; text that may be secret is wiped.
    fn take_nodes(&mut self) -> Vec<Node> {
        if self.holds_secrets() {
            for node in &mut self.nodes {
                if let Node::Text(text) = node {
                    text.zeroize();
                }
            }
        }
        mem::take(&mut self.nodes)
    }

    /// Whether the text directly inside may be a password or a token, or made from one.
    pub(super) fn holds_secrets(&self) -> bool {
        self.namespace() == namespaces::SASL || self.is("handshake", namespaces::COMPONENT)
    }
}

impl Drop for Element {
    /// Wipes what may be secret, and frees deep trees without recursion.
    fn drop(&mut self) {
        let mut pending = self.take_nodes();
        while let Some(node) = pending.pop() {
            if let Node::Element(mut child) = node {
                pending.append(&mut child.take_nodes());
            }
        }
    }
}

impl fmt::Debug for Element {
    /// The XML, without the text of SASL elements.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&writer::redacted(self))
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_xml())
    }
}

impl FromStr for Element {
    type Err = XmlError;

    fn from_str(xml: &str) -> Result<Self, XmlError> {
        Self::parse(xml)
    }
}

impl From<Element> for Node {
    fn from(element: Element) -> Self {
        Self::Element(element)
    }
}

impl From<String> for Node {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Node {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) namespace: Namespace,
    pub(super) name: Box<str>,
    pub(super) value: String,
}

impl Attribute {
    pub(super) fn is(&self, namespace: &str, name: &str) -> bool {
        &*self.name == name && self.namespace.as_str() == namespace
    }
}

/// Attributes in the order they were set, which is kept but means nothing. Names are unique.
#[derive(Clone, Debug)]
struct Attributes(Vec<Attribute>);

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().all(|a| other.0.contains(a))
    }
}

impl Eq for Attributes {}

fn check_name(name: &str) -> Result<(), XmlError> {
    rxml::strings::validate_ncname(name).map_err(|_| XmlError::InvalidName { name: name.into() })
}

fn check_namespace(namespace: &str) -> Result<(), XmlError> {
    if namespace == namespaces::XMLNS {
        return Err(XmlError::InvalidNamespace { namespace: namespace.into() });
    }
    check_characters(namespace)
}

fn check_characters(text: &str) -> Result<(), XmlError> {
    match text.chars().find(|c| !is_xml_char(*c)) {
        Some(character) => Err(XmlError::ForbiddenCharacter { code: character.into() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::namespaces::{CLIENT, SASL, XML, XMLNS};

    #[test]
    fn attributes_are_found_by_name_and_namespace() {
        let element = Element::new("a", CLIENT)
            .with_attr("lang", "plain")
            .with_attr_ns(XML, "lang", "en")
            .with_attr("lang", "replaced");
        assert_eq!(element.attr("lang"), Some("replaced"));
        assert_eq!(element.attr_ns(XML, "lang"), Some("en"));
        assert_eq!(element.attr_ns(CLIENT, "lang"), None);
        assert_eq!(element.attr("Lang"), None);
        let all: Vec<_> = element.attributes().collect();
        assert_eq!(all, [(None, "lang", "replaced"), (Some(XML), "lang", "en")]);
    }

    #[test]
    fn a_removed_attribute_is_gone() {
        let mut element = Element::new("a", "").with_attr("from", "x").with_attr("to", "y");
        assert_eq!(element.remove_attr("from"), Some("x".into()));
        assert_eq!(element.remove_attr("from"), None);
        assert_eq!(element, Element::new("a", "").with_attr("to", "y"));
    }

    #[test]
    fn equality_ignores_the_order_of_attributes_only() {
        let ab = Element::new("e", "").with_attr("a", "1").with_attr("b", "2");
        let ba = Element::new("e", "").with_attr("b", "2").with_attr("a", "1");
        assert_eq!(ab, ba);
        assert_ne!(ab, ba.clone().with_attr("a", "2"));
        assert_ne!(ab, ba.clone().with_attr("c", "3"));
        assert_ne!(ab, ba.with_text("x"));
    }

    #[test]
    fn text_is_kept_in_normal_form() {
        let element = Element::new("e", "").with_text("").with_text("a").with_text("b");
        assert_eq!(element.nodes(), [Node::Text("ab".into())]);
        let element = element.with_child(Element::new("c", "").with_text("inner")).with_text("d");
        assert_eq!(element.nodes().len(), 3);
        assert_eq!(element.text(), "abd");
    }

    #[test]
    fn child_needs_both_name_and_namespace() {
        let element = Element::new("e", "").with_child(Element::new("jid", "urn:x"));
        assert!(element.child("jid", "urn:x").is_some());
        assert!(element.child("jid", "").is_none());
        assert!(element.child("JID", "urn:x").is_none());
        assert_eq!(element.children().count(), 1);
    }

    #[test]
    fn check_names_what_cannot_be_written() {
        assert_eq!(Element::new("ok", CLIENT).with_text("\t\r\n\u{85}\u{1f642}").check(), Ok(()));
        let name = |name: &str| Err(XmlError::InvalidName { name: name.into() });
        for bad in ["", "a b", "a:b", "1a", "a><b", "-a"] {
            assert_eq!(Element::new(bad, CLIENT).check(), name(bad));
            assert_eq!(Element::new("a", CLIENT).with_attr(bad, "").check(), name(bad));
        }
        assert_eq!(Element::new("a", "").with_attr("xmlns", CLIENT).check(), name("xmlns"));
        assert_eq!(
            Element::new("a", XMLNS).check(),
            Err(XmlError::InvalidNamespace { namespace: XMLNS.into() })
        );
        let forbidden = |code| Err(XmlError::ForbiddenCharacter { code });
        assert_eq!(Element::new("a", "").with_text("\u{b}").check(), forbidden(0xb));
        assert_eq!(Element::new("a", "").with_attr("b", "\u{ffff}").check(), forbidden(0xffff));
        assert_eq!(Element::new("a", "urn:\u{1}").check(), forbidden(1));
        let deep = Element::new("a", "").with_child(Element::new("b", "").with_text("\0"));
        assert_eq!(deep.check(), forbidden(0));
    }

    #[test]
    fn debug_shows_no_secret() {
        let auth = Element::new("auth", SASL).with_attr("mechanism", "PLAIN").with_text("c2VjcmV0");
        let shown = format!("{:?}", Element::new("a", "").with_child(auth.clone()));
        assert_eq!(
            shown,
            "<a><auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>[8 bytes]</auth></a>"
        );
        assert!(auth.to_xml().contains("c2VjcmV0"));
        assert_eq!(format!("{:?}", Element::new("a", "").with_text("hello")), "<a>hello</a>");
    }

    #[test]
    fn depth_costs_no_stack() {
        for namespace in [CLIENT, SASL] {
            let mut element = Element::new("a", namespace).with_text("x");
            for _ in 0..200_000 {
                element = Element::new("a", namespace).with_text("x").with_child(element);
            }
            assert_eq!(element.check(), Ok(()));
            assert!(element.to_xml().len() > 200_000);
            drop(element);
        }
    }
}
