//! Elements to text, exactly: what was written reads back as the same element.
//!
//! Nothing is pretty-printed or normalised. Written by hand on a stack of its own, so that deep
//! elements cost memory and not call depth.

use std::borrow::Cow;
use std::slice;

use super::error::is_xml_char;
use super::namespaces::{CLIENT, STREAM, XML};
use super::{Element, Node};

/// What the surroundings of an element have declared already, so that it is not said again.
///
/// The default is nothing: the XML then stands alone, as a WebSocket frame must
/// (RFC 7395, section 3.3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scope<'a> {
    /// The default namespace in force, `""` for none.
    pub default: &'a str,
    /// A prefix in force and its namespace.
    pub prefix: Option<(&'a str, &'a str)>,
}

impl Scope<'static> {
    /// Inside the stream header that a client sends over TCP: `jabber:client` is the default
    /// namespace and the prefix `stream` is declared (RFC 6120, section 4.8).
    pub const CLIENT_STREAM: Self = Self { default: CLIENT, prefix: Some(("stream", STREAM)) };
}

/// Appends an element to `out`, as XML inside `scope`. For XML that stands alone there is
/// [`Element::to_xml`], which also says how what XML cannot carry is treated.
///
/// ```
/// use epode_proto::xml::{Element, Scope, namespaces::CLIENT, write};
///
/// let mut out = String::new();
/// write(&Element::new("presence", CLIENT), &Scope::CLIENT_STREAM, &mut out);
/// assert_eq!(out, "<presence/>");
/// ```
pub fn write(element: &Element, scope: &Scope<'_>, out: &mut String) {
    Writer { scope, redact: false, out }.element(element);
}

/// Appends an attribute to a start tag that is being written by hand; `name` goes as it is.
pub(crate) fn append_attribute(name: &str, value: &str, out: &mut String) {
    out.push(' ');
    out.push_str(name);
    out.push_str("='");
    escape(value, Place::Attribute, out);
    out.push('\'');
}

/// The XML of an element for people, without the text of elements that may hold secrets.
pub(super) fn redacted(element: &Element) -> String {
    let mut out = String::new();
    Writer { scope: &Scope::default(), redact: true, out: &mut out }.element(element);
    out
}

/// See [`Element::size_hint`].
pub(super) fn size_hint(element: &Element) -> usize {
    let mut size = 0;
    let mut pending = vec![element];
    while let Some(element) = pending.pop() {
        size += 2 * element.name().len() + element.namespace().len() + TAG_OVERHEAD;
        for (namespace, name, value) in element.attributes() {
            let namespace = namespace.map_or(0, |namespace| namespace.len() + TAG_OVERHEAD);
            size += namespace + name.len() + value.len() + ATTRIBUTE_OVERHEAD;
        }
        for node in element.nodes() {
            match node {
                Node::Element(child) => pending.push(child),
                Node::Text(text) => size += text.len(),
            }
        }
    }
    size
}

struct Writer<'a> {
    scope: &'a Scope<'a>,
    redact: bool,
    out: &'a mut String,
}

/// An element whose end tag is not written yet.
struct Open<'a> {
    element: &'a Element,
    rest: slice::Iter<'a, Node>,
    /// The default namespace inside the element.
    default: &'a str,
}

impl<'a> Writer<'a> {
    fn element(&mut self, root: &'a Element) {
        let mut open = Vec::new();
        open.extend(self.start(root, self.scope.default));
        while let Some(innermost) = open.last_mut() {
            match innermost.rest.next() {
                Some(Node::Text(text)) if self.redact && innermost.element.holds_secrets() => {
                    self.out.push_str(&format!("[{} bytes]", text.len()));
                }
                Some(Node::Text(text)) => escape(text, Place::Text, self.out),
                Some(Node::Element(child)) => {
                    let default = innermost.default;
                    open.extend(self.start(child, default));
                }
                None => {
                    self.out.push_str("</");
                    self.element_name(innermost.element);
                    self.out.push('>');
                    open.pop();
                }
            }
        }
    }

    /// Writes a start tag, or the whole element if it is empty.
    fn start(&mut self, element: &'a Element, default: &'a str) -> Option<Open<'a>> {
        self.out.push('<');
        self.element_name(element);
        let inside = match self.prefix_of(element.namespace()) {
            Some(_) => default,
            None => element.namespace(),
        };
        if inside != default {
            self.attribute("xmlns", inside);
        }
        self.attributes(element);
        if element.nodes().is_empty() {
            self.out.push_str("/>");
            return None;
        }
        self.out.push('>');
        Some(Open { element, rest: element.nodes().iter(), default: inside })
    }

    fn element_name(&mut self, element: &Element) {
        if let Some(prefix) = self.prefix_of(element.namespace()) {
            self.out.push_str(prefix);
            self.out.push(':');
        }
        self.out.push_str(&writable_name(element.name()));
    }

    fn attributes(&mut self, element: &'a Element) {
        let mut declared: Vec<&str> = Vec::new();
        for (namespace, name, value) in element.attributes() {
            let name = writable_name(name);
            match namespace {
                // Written as it is, it would be a declaration.
                None if name == "xmlns" => self.attribute("_xmlns", value),
                None => self.attribute(&name, value),
                Some(namespace) => {
                    if let Some(prefix) = self.prefix_of(namespace) {
                        self.attribute(&format!("{prefix}:{name}"), value);
                        continue;
                    }
                    let known = declared.iter().position(|known| *known == namespace);
                    let number = known.unwrap_or(declared.len());
                    if known.is_none() {
                        declared.push(namespace);
                        self.attribute(&format!("xmlns:ns{number}"), namespace);
                    }
                    self.attribute(&format!("ns{number}:{name}"), value);
                }
            }
        }
    }

    fn attribute(&mut self, name: &str, value: &str) {
        append_attribute(name, value, self.out);
    }

    /// The prefix for a namespace, if one is in force everywhere.
    fn prefix_of(&self, namespace: &str) -> Option<&'a str> {
        if namespace == XML {
            return Some("xml");
        }
        let (prefix, declared) = self.scope.prefix?;
        (declared == namespace).then_some(prefix)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Text,
    Attribute,
}

/// Appends text so that a parser gives exactly it back; what XML cannot carry becomes U+FFFD.
fn escape(text: &str, place: Place, out: &mut String) {
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            // In text this keeps `]]>` out, wherever its halves come from.
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\'' if place == Place::Attribute => out.push_str("&apos;"),
            '"' if place == Place::Attribute => out.push_str("&quot;"),
            // A parser turns these into a space in attributes, and a CR into an LF in text.
            '\t' if place == Place::Attribute => out.push_str("&#9;"),
            '\n' if place == Place::Attribute => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            character if is_xml_char(character) => out.push(character),
            _ => out.push(char::REPLACEMENT_CHARACTER),
        }
    }
}

/// A name as it is if XML allows it, else one that cannot be taken for anything but a name.
fn writable_name(name: &str) -> Cow<'_, str> {
    if rxml::strings::validate_ncname(name).is_ok() {
        return Cow::Borrowed(name);
    }
    let clean = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    Cow::Owned(format!("_{}", name.chars().map(clean).collect::<String>()))
}

const TAG_OVERHEAD: usize = "<></> xmlns:ns00=''".len();
const ATTRIBUTE_OVERHEAD: usize = " ns00:=''".len();

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::namespaces::{FRAMING, SASL};

    fn in_stream(element: &Element) -> String {
        let mut out = String::new();
        write(element, &Scope::CLIENT_STREAM, &mut out);
        out
    }

    #[test]
    fn namespaces_are_declared_where_they_change() {
        let element = Element::new("a", "urn:a")
            .with_child(Element::new("b", "urn:a").with_child(Element::new("c", "urn:c")))
            .with_child(Element::new("d", "").with_child(Element::new("e", "urn:a")))
            .with_child(Element::new("f", "urn:a"));
        assert_eq!(
            element.to_xml(),
            "<a xmlns='urn:a'><b><c xmlns='urn:c'/></b><d xmlns=''><e xmlns='urn:a'/></d><f/></a>"
        );
    }

    #[test]
    fn attributes_in_namespaces_get_prefixes() {
        let element = Element::new("a", "")
            .with_attr_ns(XML, "lang", "en")
            .with_attr_ns("urn:x", "one", "1")
            .with_attr_ns("urn:y", "one", "2")
            .with_attr_ns("urn:x", "two", "3");
        let xml = element.to_xml();
        assert_eq!(
            xml,
            "<a xml:lang='en' xmlns:ns0='urn:x' ns0:one='1' xmlns:ns1='urn:y' ns1:one='2' ns0:two='3'/>"
        );
        assert_eq!(Element::parse(&xml), Ok(element));
    }

    #[test]
    fn an_element_of_the_xml_namespace_gets_its_prefix() {
        let element = Element::new("a", XML).with_child(Element::new("b", ""));
        assert_eq!(element.to_xml(), "<xml:a><b/></xml:a>");
        assert_eq!(Element::parse(&element.to_xml()), Ok(element));
    }

    #[test]
    fn a_stream_is_not_told_its_namespaces_again() {
        let message = Element::new("message", CLIENT)
            .with_child(Element::new("body", CLIENT))
            .with_child(Element::new("x", "urn:x").with_child(Element::new("y", CLIENT)));
        assert_eq!(
            in_stream(&message),
            "<message><body/><x xmlns='urn:x'><y xmlns='jabber:client'/></x></message>"
        );
        let error = Element::new("error", STREAM).with_attr_ns(STREAM, "by", "me").with_text("x");
        assert_eq!(in_stream(&error), "<stream:error stream:by='me'>x</stream:error>");
        let none = Element::new("a", "");
        assert_eq!(in_stream(&none), "<a xmlns=''/>");
    }

    #[test]
    fn everything_special_is_escaped() {
        let all = "<>&'\"\t\n\r]]>\u{1f642}";
        let element = Element::new("a", "").with_attr("b", all).with_text(all);
        assert_eq!(
            element.to_xml(),
            "<a b='&lt;&gt;&amp;&apos;&quot;&#9;&#10;&#13;]]&gt;\u{1f642}'>\
             &lt;&gt;&amp;'\"\t\n&#13;]]&gt;\u{1f642}</a>"
        );
        assert_eq!(Element::parse(&element.to_xml()), Ok(element));
    }

    #[test]
    fn what_xml_cannot_carry_is_replaced() {
        let element = Element::new("a", "").with_attr("b", "\0x").with_text("\u{1b}[0m\u{fffe}");
        assert_eq!(element.to_xml(), "<a b='\u{fffd}x'>\u{fffd}[0m\u{fffd}</a>");
    }

    #[test]
    fn names_cannot_inject() {
        let element = Element::new("a><b", "")
            .with_attr("x='' y", "1")
            .with_attr("xmlns", "urn:evil")
            .with_attr("", "2")
            .with_attr_ns("urn:'>", "xmlns:z", "3");
        let xml = element.to_xml();
        assert_eq!(
            xml,
            "<_a__b _x____y='1' _xmlns='urn:evil' _='2' xmlns:ns0='urn:&apos;&gt;' ns0:_xmlns_z='3'/>"
        );
        assert!(Element::parse(&xml).is_ok());
    }

    #[test]
    fn round_trips_are_exact() {
        let tricky = ["", " ", "\n", "a\r\nb", "\r", "\t x \t", "&amp;", "]]>", "\u{fffd}", "é"];
        for text in tricky {
            for namespace in ["", CLIENT, STREAM, FRAMING, XML, "urn:other"] {
                let element = Element::new("a", namespace)
                    .with_attr("plain", text)
                    .with_attr_ns("urn:other", "spaced", text)
                    .with_text(text)
                    .with_child(Element::new("b", "urn:other").with_text(text))
                    .with_text(text)
                    .with_child(Element::new("c", namespace));
                assert_eq!(element.check(), Ok(()));
                assert_eq!(Element::parse(&element.to_xml()), Ok(element));
            }
        }
    }

    #[test]
    fn a_secret_is_written_without_moving_the_buffer() {
        let auth = Element::new("auth", SASL)
            .with_attr("mechanism", "PLAIN")
            .with_attr_ns("urn:x", "y", "z")
            .with_text("AGFsaWNlAHNlY3JldA==");
        assert!(auth.to_xml().len() <= size_hint(&auth));
    }
}
