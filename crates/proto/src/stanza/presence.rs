//! Presence (RFC 6121, sections 3 and 4), to build and to read.
//!
//! Who is subscribed to whom is kept by the server and its roster, not here.

use std::borrow::Borrow;

use super::set_text;
use crate::xml::namespaces::{CLIENT, XML};
use crate::{Element, Jid};

/// A presence that is being built.
///
/// ```
/// use epode_proto::{Element, stanza::{Presence, PresenceType, Show}};
///
/// let presence: Element =
///     Presence::available().show(Show::Away).status("at lunch").priority(-1).into();
/// assert_eq!(
///     presence.to_string(),
///     "<presence xmlns='jabber:client'><show>away</show><status>at lunch</status>\
///      <priority>-1</priority></presence>"
/// );
/// assert_eq!(PresenceType::of(&presence), Some(PresenceType::Available));
/// assert_eq!(Show::of(&presence), Some(Show::Away));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a presence does nothing until it is sent"]
pub struct Presence {
    element: Element,
}

impl Presence {
    /// The account is there, to everybody who is subscribed, or only to [`to`](Self::to).
    pub fn available() -> Self {
        Self { element: Element::new("presence", CLIENT) }
    }

    /// The account is no longer there.
    pub fn unavailable() -> Self {
        Self::of_type(PresenceType::Unavailable)
    }

    /// Asks to hear of the presence of `to`.
    pub fn subscribe(to: impl Borrow<Jid>) -> Self {
        Self::of_type(PresenceType::Subscribe).to(to.borrow().bare())
    }

    /// Allows `to` to hear of one's own presence.
    pub fn subscribed(to: impl Borrow<Jid>) -> Self {
        Self::of_type(PresenceType::Subscribed).to(to.borrow().bare())
    }

    /// Asks to hear no more of the presence of `to`.
    pub fn unsubscribe(to: impl Borrow<Jid>) -> Self {
        Self::of_type(PresenceType::Unsubscribe).to(to.borrow().bare())
    }

    /// Denies `to` to hear of one's own presence, or no longer allows it.
    pub fn unsubscribed(to: impl Borrow<Jid>) -> Self {
        Self::of_type(PresenceType::Unsubscribed).to(to.borrow().bare())
    }

    fn of_type(kind: PresenceType) -> Self {
        let mut presence = Self::available();
        if let Some(name) = kind.as_str() {
            presence.element.set_attr("type", name);
        }
        presence
    }

    /// Sets from whom it is: for components, which have many addresses. What a client says of that
    /// is left out when it is sent.
    pub fn from(mut self, from: impl Borrow<Jid>) -> Self {
        self.element.set_attr("from", from.borrow().as_str());
        self
    }

    /// Sets whom it is for: a room, a person who is not subscribed, a server.
    pub fn to(mut self, to: impl Borrow<Jid>) -> Self {
        self.element.set_attr("to", to.borrow().as_str());
        self
    }

    /// Sets an id, which presence does not need.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.element.set_attr("id", id);
        self
    }

    /// Sets the language of all text that does not name its own.
    pub fn lang(mut self, lang: impl Into<String>) -> Self {
        self.element.set_attr_ns(XML, "lang", lang);
        self
    }

    /// Says more of being there.
    pub fn show(mut self, show: Show) -> Self {
        set_text(&mut self.element, "show", None, show.as_str().into());
        self
    }

    /// Sets the text for people.
    pub fn status(mut self, text: impl Into<String>) -> Self {
        set_text(&mut self.element, "status", None, text.into());
        self
    }

    /// Sets the text for people in another language.
    pub fn status_in(mut self, lang: &str, text: impl Into<String>) -> Self {
        set_text(&mut self.element, "status", Some(lang), text.into());
        self
    }

    /// Sets how much this session wants the messages of the account; one below zero gets none
    /// that are for the account as a whole.
    pub fn priority(mut self, priority: i8) -> Self {
        set_text(&mut self.element, "priority", None, priority.to_string());
        self
    }

    /// Appends an element.
    pub fn with(mut self, payload: impl Into<Element>) -> Self {
        self.element.push(payload.into());
        self
    }
}

becomes_element!(Presence);

/// What a presence is (RFC 6121, section 4.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PresenceType {
    /// Somebody is there; the type is not written.
    Available,
    /// Somebody is no longer there.
    Unavailable,
    /// Somebody asks to hear of one's presence.
    Subscribe,
    /// Somebody allows to hear of theirs.
    Subscribed,
    /// Somebody wants to hear no more.
    Unsubscribe,
    /// Somebody denies to hear of theirs.
    Unsubscribed,
    /// A server asks for a presence; clients never do.
    Probe,
    /// A presence was refused; [`StanzaError::parse`](super::StanzaError::parse) says why.
    Error,
}

impl PresenceType {
    /// The word on the wire; being available has none.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        match self {
            Self::Available => None,
            Self::Unavailable => Some("unavailable"),
            Self::Subscribe => Some("subscribe"),
            Self::Subscribed => Some("subscribed"),
            Self::Unsubscribe => Some("unsubscribe"),
            Self::Unsubscribed => Some("unsubscribed"),
            Self::Probe => Some("probe"),
            Self::Error => Some("error"),
        }
    }

    /// The type of a presence, `None` if the element is none or its type unknown.
    #[must_use]
    pub fn of(element: &Element) -> Option<Self> {
        let types = [
            Self::Available,
            Self::Unavailable,
            Self::Subscribe,
            Self::Subscribed,
            Self::Unsubscribe,
            Self::Unsubscribed,
            Self::Probe,
            Self::Error,
        ];
        let is_presence = element.is("presence", CLIENT);
        types.into_iter().find(|kind| is_presence && element.attr("type") == kind.as_str())
    }
}

/// What an available account is like (RFC 6121, section 4.7.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Show {
    /// Away for a while.
    Away,
    /// Eager to talk.
    Chat,
    /// Busy: do not disturb.
    Dnd,
    /// Away for a long time.
    Xa,
}

impl Show {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::Chat => "chat",
            Self::Dnd => "dnd",
            Self::Xa => "xa",
        }
    }

    /// What a presence shows, `None` for nothing or a word that is unknown: simply there.
    #[must_use]
    pub fn of(presence: &Element) -> Option<Self> {
        let text = presence.child("show", CLIENT)?.text();
        let all = [Self::Away, Self::Chat, Self::Dnd, Self::Xa];
        all.into_iter().find(|show| show.as_str() == text.trim_ascii())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_maker_has_its_type() {
        let jid = || "a@b/c".parse::<Jid>().unwrap();
        for (presence, kind) in [
            (Presence::available(), PresenceType::Available),
            (Presence::unavailable(), PresenceType::Unavailable),
            (Presence::subscribe(jid()), PresenceType::Subscribe),
            (Presence::subscribed(jid()), PresenceType::Subscribed),
            (Presence::unsubscribe(jid()), PresenceType::Unsubscribe),
            (Presence::unsubscribed(jid()), PresenceType::Unsubscribed),
        ] {
            let element = Element::from(presence);
            assert_eq!(PresenceType::of(&element), Some(kind));
            assert_eq!(element.attr("type"), kind.as_str());
        }
        for none in ["", "Unavailable", "available"] {
            let presence = Element::new("presence", CLIENT).with_attr("type", none);
            assert_eq!(PresenceType::of(&presence), None);
        }
        assert_eq!(PresenceType::of(&Element::new("presence", "")), None);
    }

    #[test]
    fn subscriptions_are_of_accounts() {
        let presence = Presence::subscribe("a@b/c".parse::<Jid>().unwrap());
        assert_eq!(presence.as_ref().attr("to"), Some("a@b"));
        let directed = Presence::unavailable().to("a@b/c".parse::<Jid>().unwrap());
        assert_eq!(directed.as_ref().attr("to"), Some("a@b/c"));
    }

    #[test]
    fn each_part_is_set_once() {
        let presence = Presence::available()
            .priority(i8::MIN)
            .show(Show::Chat)
            .status("<x>")
            .status_in("de", "y")
            .lang("en")
            .id("i")
            .show(Show::Xa)
            .priority(127)
            .with(Element::new("c", "urn:x"));
        assert_eq!(
            presence.element.to_xml(),
            "<presence xmlns='jabber:client' xml:lang='en' id='i'><priority>127</priority>\
             <show>xa</show><status>&lt;x&gt;</status><status xml:lang='de'>y</status>\
             <c xmlns='urn:x'/></presence>"
        );
    }

    #[test]
    fn each_show_is_read_back() {
        for show in [Show::Away, Show::Chat, Show::Dnd, Show::Xa] {
            assert_eq!(Show::of(Presence::available().show(show).as_ref()), Some(show));
        }
        let shown = |text: &str| {
            let show = Element::new("show", CLIENT).with_text(text);
            Show::of(&Element::new("presence", CLIENT).with_child(show))
        };
        assert_eq!(shown("\n dnd "), Some(Show::Dnd));
        assert_eq!((shown(""), shown("DND"), shown("online")), (None, None, None));
    }
}
