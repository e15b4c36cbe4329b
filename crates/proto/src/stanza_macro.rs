//! The macro `stanza!`, and what its code calls.
//!
//! The XML between its parentheses is read by the crate `epode-macros`, while the program is compiled.

use std::fmt::Display;

use crate::Element;
use crate::stanza::Interpolate;

/// An [`Element`], written as the XML it is and checked while the program is compiled.
///
/// ```
/// use epode_proto::{Element, Jid, stanza};
///
/// let to: Jid = "bob@example.org".parse()?;
/// let id: Option<&str> = None;
/// let text = "1 < 2 </body>";
/// let note = Some(Element::new("note", "urn:example"));
/// let lines = ["a", "b"];
///
/// let message: Element = stanza!(
///     <message to={to} type="chat" id={?id} xml:lang="en">
///         <body>"As we know, " {text}</body>
///         <active xmlns="http://jabber.org/protocol/chatstates"/>
///         {note} // nothing, if there is none
///         <lines xmlns="urn:example" count={lines.len()}>
///             {..lines.iter().map(|line| stanza!(<line xmlns="urn:example">{line}</line>))}
///         </lines>
///     </message>
/// );
/// assert_eq!(
///     message.to_string(),
///     "<message xmlns='jabber:client' to='bob@example.org' type='chat' xml:lang='en'>\
///      <body>As we know, 1 &lt; 2 &lt;/body&gt;</body>\
///      <active xmlns='http://jabber.org/protocol/chatstates'/>\
///      <note xmlns='urn:example'/>\
///      <lines xmlns='urn:example' count='2'><line>a</line><line>b</line></lines></message>"
/// );
/// # Ok::<(), epode_proto::JidError>(())
/// ```
///
/// | written | is |
/// |---|---|
/// | `name="text"` | an attribute |
/// | `name={value}` | an attribute of anything that implements `Display` |
/// | `name={?option}` | an attribute that is left out if the `Option` is `None` |
/// | `"text"` | text; space outside the quotes is none of it |
/// | `{value}` | text, or an element, or whatever else implements [`Interpolate`] |
/// | `{..items}` | each of what an iterator gives |
///
/// * Namespaces: `xmlns="…"` or `xmlns={value}`, where the value is text. Children have that of
///   their parent. Around the rest `message`, `presence` and `iq` are of `jabber:client`; any other
///   outermost element has to name its own.
/// * Names may have `-` and `.` in them. `xml:` is the only prefix, as in `xml:lang`.
/// * What is between braces is put in as it is, and can never become markup. A character that XML
///   cannot carry is refused in a literal; in a value it is handled as [`Element::to_xml`] says.
/// * Comments are those of Rust. Ids are not made up: there is
///   [`stanza::unguessable_id`](crate::stanza::unguessable_id).
///
/// What is wrong is told where it stands:
///
/// ```compile_fail
/// # use epode_proto::stanza;
/// stanza!(<message><body>"Hello"</boddy></message>); // `</boddy>` closes `<body>`
/// ```
#[macro_export]
macro_rules! stanza {
    ($($xml:tt)*) => { $crate::__macros::stanza!($crate; $($xml)*) };
}

/// An element while its parts are added.
pub struct Open(Element);

impl Open {
    /// `<name xmlns="namespace"`
    #[must_use]
    pub fn new(name: &str, namespace: &str) -> Self {
        Self(Element::new(name, namespace))
    }

    /// `name="value"`
    #[must_use]
    pub fn attribute<T: Display + ?Sized>(
        mut self,
        namespace: &str,
        name: &str,
        value: &T,
    ) -> Self {
        self.0.set_attr_ns(namespace, name, value.to_string());
        self
    }

    /// `name={?value}`
    #[must_use]
    pub fn optional<T: Display>(self, namespace: &str, name: &str, value: &Option<T>) -> Self {
        match value {
            Some(value) => self.attribute(namespace, name, value),
            None => self,
        }
    }

    /// `{value}`
    #[must_use]
    pub fn node<T: Interpolate>(mut self, value: T) -> Self {
        value.interpolate(&mut self.0);
        self
    }

    /// `{..values}`
    #[must_use]
    pub fn nodes<T: IntoIterator<Item: Interpolate>>(mut self, values: T) -> Self {
        for value in values {
            value.interpolate(&mut self.0);
        }
        self
    }

    /// `</name>`
    #[must_use]
    pub fn close(self) -> Element {
        self.0
    }
}

/// `xmlns={value}`
pub fn namespace<T: AsRef<str> + ?Sized>(value: &T) -> &str {
    value.as_ref()
}
