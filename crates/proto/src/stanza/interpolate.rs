//! What can stand between the braces of the macro `stanza!`.
//!
//! Text goes in as text and is never read as XML.

use std::borrow::Cow;

use super::{Iq, Message, Presence, StanzaError};
use crate::xml::Node;
use crate::{Element, Jid};

/// What can stand between braces inside an element of [`stanza!`](crate::stanza!): `{value}`.
///
/// Text, numbers and addresses become text. Elements and stanzas become children. An `Option` that
/// is `None` leaves nothing, and of a `Vec` each item stands. A reference does what a clone of the
/// value would.
///
/// ```
/// use epode_proto::{Element, stanza, stanza::Interpolate};
///
/// struct Degrees(f32);
///
/// impl Interpolate for Degrees {
///     fn interpolate(self, parent: &mut Element) {
///         parent.push(format!("{:.1}", self.0));
///     }
/// }
///
/// let element = stanza!(<temperature xmlns="urn:example">{Degrees(36.64)}</temperature>);
/// assert_eq!(element.text(), "36.6");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand between braces in `stanza!`",
    label = "neither text nor an element",
    note = "many items stand as `{{..items}}`, anything that implements `Display` as `{{value.to_string()}}`"
)]
pub trait Interpolate {
    /// Appends it to what stands inside `parent`.
    fn interpolate(self, parent: &mut Element);
}

impl<T: Interpolate + Clone> Interpolate for &T {
    fn interpolate(self, parent: &mut Element) {
        self.clone().interpolate(parent);
    }
}

impl<T: Interpolate> Interpolate for Option<T> {
    fn interpolate(self, parent: &mut Element) {
        if let Some(value) = self {
            value.interpolate(parent);
        }
    }
}

impl<T: Interpolate> Interpolate for Vec<T> {
    fn interpolate(self, parent: &mut Element) {
        for value in self {
            value.interpolate(parent);
        }
    }
}

impl Interpolate for &str {
    fn interpolate(self, parent: &mut Element) {
        parent.push(self);
    }
}

impl Interpolate for Cow<'_, str> {
    fn interpolate(self, parent: &mut Element) {
        parent.push(self.into_owned());
    }
}

/// What an element can be made of as it is.
macro_rules! nodes {
    ($($name:ty),+) => {
        $(impl Interpolate for $name {
            fn interpolate(self, parent: &mut Element) {
                parent.push(self);
            }
        })+
    };
}

/// What becomes a child.
macro_rules! children {
    ($($name:ty),+) => {
        $(impl Interpolate for $name {
            fn interpolate(self, parent: &mut Element) {
                parent.push(Element::from(self));
            }
        })+
    };
}

/// What becomes text.
macro_rules! texts {
    ($($name:ty),+) => {
        $(impl Interpolate for $name {
            fn interpolate(self, parent: &mut Element) {
                parent.push(self.to_string());
            }
        })+
    };
}

nodes!(Element, Node, String);
children!(Message, Presence, Iq, StanzaError);
texts!(Jid, bool, char, u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
