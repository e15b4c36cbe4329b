//! The three stanzas of XMPP, to build and to read: message, presence and iq (RFC 6120, section 8).
//!
//! What is built becomes an [`Element`], which stays the noun of everything that is sent and
//! received. Whether an answer belongs to a question is decided where the question is asked.
//!
//! ```
//! use epode_proto::{Element, Jid, stanza::{self, Message}};
//!
//! let bob: Jid = "bob@example.org".parse()?;
//! let message: Element = Message::chat(&bob).id("m1").body("1 < 2").body_in("de", "1 kl. 2").into();
//! assert_eq!(
//!     message.to_string(),
//!     "<message xmlns='jabber:client' type='chat' to='bob@example.org' id='m1'>\
//!      <body>1 &lt; 2</body><body xml:lang='de'>1 kl. 2</body></message>"
//! );
//! assert_eq!(stanza::body(&message, &["de-AT"]).as_deref(), Some("1 kl. 2"));
//! assert_eq!(stanza::to(&message)?, Some(bob));
//! # Ok::<(), epode_proto::JidError>(())
//! ```
//!
//! Whatever text goes in, it stays text: the writer escapes it, and replaces what XML cannot carry
//! ([`Element::to_xml`]). To write elements as XML there is the macro [`stanza!`](crate::stanza!);
//! `use epode_proto::stanza;` brings both, the macro and this module.

/// A builder is the element that it builds.
macro_rules! becomes_element {
    ($builder:ty) => {
        impl From<$builder> for Element {
            fn from(builder: $builder) -> Self {
                builder.element
            }
        }

        impl AsRef<Element> for $builder {
            fn as_ref(&self) -> &Element {
                &self.element
            }
        }
    };
}

mod id;
mod interpolate;
mod iq;
mod message;
mod presence;

pub use id::unguessable_id;
pub use interpolate::Interpolate;
pub use iq::{Iq, IqType};
pub use message::{Message, MessageType};
pub use presence::{Presence, PresenceType, Show};

pub use crate::stream::{StanzaError, StanzaErrorCondition, StanzaErrorKind};

use crate::xml::namespaces::{CLIENT, XML};
use crate::{Element, Jid, JidError};

/// Whom a stanza is from. `None` is the server, on behalf of the account itself.
///
/// # Errors
///
/// A [`JidError`] if the sender is no address: treat the stanza as from nobody, not as without one.
pub fn from(stanza: &Element) -> Result<Option<Jid>, JidError> {
    address(stanza, "from")
}

/// Whom a stanza is for.
///
/// # Errors
///
/// A [`JidError`] if the recipient is no address.
pub fn to(stanza: &Element) -> Result<Option<Jid>, JidError> {
    address(stanza, "to")
}

/// The body of a message, in the first of the `languages` that it has; see [`text`].
#[must_use]
pub fn body(message: &Element, languages: &[&str]) -> Option<String> {
    text(message, "body", languages)
}

/// The text of a child that may be there in several languages: `body`, `subject` or `status`.
///
/// The first of `languages` that fits decides: `de` fits `de` and `de-AT`, and `de-AT` fits `de` if
/// there is no closer one (RFC 4647). If none fits, it is the text that names no language, or
/// the first there is.
///
/// ```
/// use epode_proto::{Element, stanza};
///
/// let presence = Element::parse(
///     "<presence xmlns='jabber:client' xml:lang='en'><status>away</status>\
///      <status xml:lang='fr'>absent</status></presence>",
/// ).unwrap();
/// assert_eq!(stanza::text(&presence, "status", &["fr"]).as_deref(), Some("absent"));
/// assert_eq!(stanza::text(&presence, "status", &[]).as_deref(), Some("away"));
/// assert_eq!(stanza::text(&presence, "body", &[]), None);
/// ```
#[must_use]
pub fn text(stanza: &Element, name: &str, languages: &[&str]) -> Option<String> {
    let found = || stanza.children().filter(|child| child.is(name, stanza.namespace()));
    let language = |child: &&Element| {
        let own = child.attr_ns(XML, "lang").or_else(|| stanza.attr_ns(XML, "lang"));
        own.unwrap_or_default().to_owned()
    };
    let wanted = languages.iter().find_map(|wanted| {
        let fit = |closest: fn(&str, &str) -> bool| {
            found().find(|child| closest(&language(child), wanted))
        };
        fit(|tag, wanted| tag.eq_ignore_ascii_case(wanted))
            .or_else(|| fit(is_within))
            .or_else(|| fit(|tag, wanted| !tag.is_empty() && is_within(wanted, tag)))
    });
    let plain = || found().find(|child| child.attr_ns(XML, "lang").is_none());
    wanted.or_else(plain).or_else(|| found().next()).map(Element::text)
}

fn address(stanza: &Element, name: &str) -> Result<Option<Jid>, JidError> {
    stanza.attr(name).map(str::parse).transpose()
}

/// Whether a language is a part of another one, as `de-AT` is of `de`.
fn is_within(tag: &str, range: &str) -> bool {
    let Some((head, rest)) = tag.split_at_checked(range.len()) else { return false };
    head.eq_ignore_ascii_case(range) && rest.starts_with('-')
}

/// Sets the text of a child in a language, in place of an earlier one.
fn set_text(stanza: &mut Element, name: &str, lang: Option<&str>, text: String) {
    let mut child = Element::new(name, CLIENT).with_text(text);
    if let Some(lang) = lang {
        child.set_attr_ns(XML, "lang", lang);
    }
    let same = |old: &&mut Element| old.is(name, CLIENT) && old.attr_ns(XML, "lang") == lang;
    if let Some(old) = stanza.children_mut().find(same) {
        *old = child;
        return;
    }
    stanza.push(child);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_matched_from_close_to_far() {
        let of = |tags: &[&str], wanted: &[&str]| {
            let mut message = Element::new("message", CLIENT);
            for tag in tags {
                let lang = Some(*tag).filter(|tag| !tag.is_empty());
                set_text(&mut message, "body", lang, format!("<{tag}>"));
            }
            body(&message, wanted)
        };
        for (tags, wanted, found) in [
            (&["de-AT", "de"][..], &["de"][..], "<de>"),
            (&["de-AT", "de-CH"], &["DE-ch"], "<de-CH>"),
            (&["fr", "de-AT"], &["de"], "<de-AT>"),
            (&["fr", "de"], &["de-AT"], "<de>"),
            (&["fr", "de"], &["it", "de"], "<de>"),
            (&["deu", "", "d"], &["de"], "<>"),
            (&["fr", "de"], &["it"], "<fr>"),
            (&["", "de"], &["it"], "<>"),
            (&["de", ""], &[], "<>"),
        ] {
            assert_eq!(of(tags, wanted).as_deref(), Some(found), "{tags:?} {wanted:?}");
        }
        assert_eq!(of(&[], &["de"]), None);
    }

    #[test]
    fn the_language_of_the_stanza_holds_inside() {
        let message = Element::new("message", CLIENT)
            .with_attr_ns(XML, "lang", "de")
            .with_child(Element::new("body", CLIENT).with_attr_ns(XML, "lang", "fr").with_text("f"))
            .with_child(Element::new("body", CLIENT).with_text("d"));
        assert_eq!(body(&message, &["de"]).as_deref(), Some("d"));
        assert_eq!(body(&message, &["fr"]).as_deref(), Some("f"));
    }

    #[test]
    fn an_address_that_is_none_is_not_taken_for_nobody() {
        let message = |from: &str| Element::new("message", CLIENT).with_attr("from", from);
        assert_eq!(from(&message("a@b/c")), Ok(Some("a@b/c".parse().unwrap())));
        assert_eq!(from(&message("")), Err(JidError::Empty));
        assert_eq!(from(&message("@b")), Err(JidError::LocalEmpty));
        assert_eq!(from(&message("a@b/")), Err(JidError::ResourceEmpty));
        assert_eq!(from(&Element::new("message", CLIENT)), Ok(None));
        assert_eq!(to(&message("a@b/c")), Ok(None));
    }
}
