//! Messages (RFC 6121, section 5), to build.
//!
//! What extensions put into a message is an element like any other: [`Message::with`].

use std::borrow::Borrow;

use super::{set_text, unguessable_id};
use crate::xml::namespaces::{CLIENT, XML};
use crate::{Element, Jid};

/// A message that is being built. Each starts with an id that nobody can foresee.
///
/// ```
/// use epode_proto::{Element, Jid, stanza::{Message, MessageType}};
///
/// let room: Jid = "den@rooms.example.org".parse()?;
/// let message: Element = Message::new(room)
///     .kind(MessageType::Groupchat)
///     .lang("en")
///     .subject("Lunch")
///     .body("Who is hungry?")
///     .with(Element::new("active", "http://jabber.org/protocol/chatstates"))
///     .into();
/// assert_eq!(MessageType::of(&message), Some(MessageType::Groupchat));
/// assert_eq!(message.attr("id").map(str::len), Some(32));
/// # Ok::<(), epode_proto::JidError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a message does nothing until it is sent"]
pub struct Message {
    element: Element,
}

impl Message {
    /// A message outside a conversation, of type `normal`. `to` is a [`Jid`] or a reference to one.
    pub fn new(to: impl Borrow<Jid>) -> Self {
        let element = Element::new("message", CLIENT)
            .with_attr("type", MessageType::Normal.as_str())
            .with_attr("to", to.borrow().as_str())
            .with_attr("id", unguessable_id());
        Self { element }
    }

    /// A message between two people, of type `chat`.
    pub fn chat(to: impl Borrow<Jid>) -> Self {
        Self::new(to).kind(MessageType::Chat)
    }

    /// Sets from whom it is: for components, which have many addresses. What a client says of that
    /// is left out when it is sent.
    pub fn from(mut self, from: impl Borrow<Jid>) -> Self {
        self.element.set_attr("from", from.borrow().as_str());
        self
    }

    /// Sets the type.
    pub fn kind(mut self, kind: MessageType) -> Self {
        self.element.set_attr("type", kind.as_str());
        self
    }

    /// Sets the id, in place of the one that nobody can foresee.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.element.set_attr("id", id);
        self
    }

    /// Sets the language of all text that does not name its own.
    pub fn lang(mut self, lang: impl Into<String>) -> Self {
        self.element.set_attr_ns(XML, "lang", lang);
        self
    }

    /// Sets the text.
    pub fn body(mut self, text: impl Into<String>) -> Self {
        set_text(&mut self.element, "body", None, text.into());
        self
    }

    /// Sets the text in another language.
    pub fn body_in(mut self, lang: &str, text: impl Into<String>) -> Self {
        set_text(&mut self.element, "body", Some(lang), text.into());
        self
    }

    /// Sets the subject.
    pub fn subject(mut self, text: impl Into<String>) -> Self {
        set_text(&mut self.element, "subject", None, text.into());
        self
    }

    /// Sets the subject in another language.
    pub fn subject_in(mut self, lang: &str, text: impl Into<String>) -> Self {
        set_text(&mut self.element, "subject", Some(lang), text.into());
        self
    }

    /// Sets the id of the conversation that the message belongs to.
    pub fn thread(mut self, id: impl Into<String>) -> Self {
        set_text(&mut self.element, "thread", None, id.into());
        self
    }

    /// Appends an element.
    pub fn with(mut self, payload: impl Into<Element>) -> Self {
        self.element.push(payload.into());
        self
    }
}

becomes_element!(Message);

/// What a message is (RFC 6121, section 5.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// One that stands alone; the default.
    Normal,
    /// A part of a conversation between two.
    Chat,
    /// A part of the conversation in a room.
    Groupchat,
    /// News, to which nobody answers.
    Headline,
    /// A message that was refused; [`StanzaError::parse`](super::StanzaError::parse) says why.
    Error,
}

impl MessageType {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Chat => "chat",
            Self::Groupchat => "groupchat",
            Self::Headline => "headline",
            Self::Error => "error",
        }
    }

    /// The type of a message, `None` if the element is none. A type that is missing or unknown
    /// counts as normal.
    #[must_use]
    pub fn of(element: &Element) -> Option<Self> {
        if !element.is("message", CLIENT) {
            return None;
        }
        let types = [Self::Chat, Self::Groupchat, Self::Headline, Self::Error];
        let found = types.into_iter().find(|kind| element.attr("type") == Some(kind.as_str()));
        Some(found.unwrap_or(Self::Normal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to() -> Jid {
        "a@b/'<&>".parse().unwrap()
    }

    #[test]
    fn text_stays_text() {
        let evil = "</body><x a='\"'>&amp;]]>";
        let message: Element = Message::chat(to())
            .id(evil)
            .lang(evil)
            .body(evil)
            .body_in(evil, evil)
            .subject(evil)
            .thread(evil)
            .into();
        assert_eq!(Element::parse(&message.to_xml()), Ok(message.clone()));
        assert_eq!(message.children().count(), 4);
        assert_eq!(message.attr("to"), Some("a@b/'<&>"));
    }

    #[test]
    fn a_text_is_set_once_for_each_language() {
        let message = Message::new(to())
            .id("1")
            .body("a")
            .body_in("de", "b")
            .subject("s")
            .body("c")
            .body_in("de", "d")
            .subject_in("fr", "t")
            .thread("x")
            .thread("y");
        assert_eq!(
            message.element.to_xml(),
            "<message xmlns='jabber:client' type='normal' to='a@b/&apos;&lt;&amp;&gt;' id='1'>\
             <body>c</body><body xml:lang='de'>d</body><subject>s</subject>\
             <subject xml:lang='fr'>t</subject><thread>y</thread></message>"
        );
    }

    #[test]
    fn each_type_is_read_back() {
        use MessageType::{Chat, Error, Groupchat, Headline, Normal};
        for kind in [Normal, Chat, Groupchat, Headline, Error] {
            let message: Element = Message::new(to()).kind(kind).into();
            assert_eq!(MessageType::of(&message), Some(kind));
        }
        for odd in ["", "Chat", "nonsense"] {
            let message = Element::new("message", CLIENT).with_attr("type", odd);
            assert_eq!(MessageType::of(&message), Some(Normal));
        }
        assert_eq!(MessageType::of(&Element::new("message", CLIENT)), Some(Normal));
        assert_eq!(MessageType::of(&Element::new("message", "urn:x")), None);
        assert_eq!(MessageType::of(&Element::new("iq", CLIENT)), None);
    }

    #[test]
    fn two_messages_have_two_ids() {
        assert_ne!(Message::chat(to()), Message::chat(to()));
        let message = Message::chat(to());
        assert_eq!(message.as_ref().attr("id").map(str::len), Some(32));
    }
}
