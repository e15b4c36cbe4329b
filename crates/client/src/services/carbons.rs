//! Copies of what the other clients of an account send and receive (XEP-0280).
//!
//! The state is that of a session: in a new one, enable them again.

use epode_proto::{
    Element, Jid,
    stanza::{self, Iq},
    xml::namespaces::CLIENT,
};

use crate::{Outbox, RequestError};

/// Asks for copies, as the server has them. There is no need to where the login did
/// ([`Builder::carbons`](crate::Builder::carbons), [`Connected::carbons`](crate::Connected::carbons)),
/// and no harm.
///
/// # Errors
///
/// As [`Outbox::send_iq`].
pub async fn enable(outbox: &Outbox) -> Result<(), RequestError> {
    outbox.send_iq(Iq::set(Element::new("enable", NAMESPACE))).await.map(drop)
}

/// Asks for no more of them.
///
/// # Errors
///
/// As [`Outbox::send_iq`].
pub async fn disable(outbox: &Outbox) -> Result<(), RequestError> {
    outbox.send_iq(Iq::set(Element::new("disable", NAMESPACE))).await.map(drop)
}

/// A copy of a message.
///
/// ```
/// use epode::{Element, services::carbons::{Carbon, CarbonError, Copied}};
///
/// let account = "alice@example.org".parse()?;
/// let copy = |from: &str| Element::parse(&format!(
///     "<message xmlns='jabber:client' from='{from}'><sent xmlns='urn:xmpp:carbons:2'>\
///      <forwarded xmlns='urn:xmpp:forward:0'>\
///      <message xmlns='jabber:client' to='bob@example.org'><body>Hello</body></message>\
///      </forwarded></sent></message>",
/// ));
/// let carbon = Carbon::unwrap(&copy("alice@example.org")?, &account)?.unwrap();
/// assert_eq!((carbon.copied, carbon.message.attr("to")), (Copied::Sent, Some("bob@example.org")));
/// assert_eq!(Carbon::unwrap(&copy("mallory@example.org")?, &account), Err(CarbonError::Forged));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carbon {
    /// Whether another client of ours sent or received it.
    pub copied: Copied,
    /// The message itself, as it was sent or received.
    pub message: Element,
}

/// Which way a message went that is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied {
    /// From another client of ours.
    Sent,
    /// To another client of ours.
    Received,
}

/// Why what looks like a copy is to be ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CarbonError {
    /// It does not come from our own account: somebody puts words into the mouths of others.
    #[error("a copy of a message that our own account did not send: somebody forged it")]
    Forged,
    /// There is not one message in it.
    #[error("a copy without exactly one message in it; the server is at fault")]
    Malformed,
}

impl Carbon {
    /// The copy in a message, if it is one. `account` is our own ([`Outbox::jid`]), with a
    /// resource or without.
    ///
    /// # Errors
    ///
    /// [`CarbonError`]: the message is to be ignored.
    pub fn unwrap(message: &Element, account: &Jid) -> Result<Option<Self>, CarbonError> {
        let wrapper =
            message.children().find_map(|child| match (child.name(), child.namespace()) {
                ("sent", NAMESPACE) => Some((Copied::Sent, child)),
                ("received", NAMESPACE) => Some((Copied::Received, child)),
                _ => None,
            });
        let Some((copied, wrapper)) = wrapper.filter(|_| message.is("message", CLIENT)) else {
            return Ok(None);
        };
        if stanza::from(message) != Ok(Some(account.bare())) {
            return Err(CarbonError::Forged);
        }
        let forwarded = wrapper.child("forwarded", FORWARD).ok_or(CarbonError::Malformed)?;
        let mut messages = forwarded.children().filter(|child| child.is("message", CLIENT));
        match (messages.next(), messages.next()) {
            (Some(message), None) => Ok(Some(Self { copied, message: message.clone() })),
            _ => Err(CarbonError::Malformed),
        }
    }
}

/// The feature of a server that has them.
pub const NAMESPACE: &str = "urn:xmpp:carbons:2";
const FORWARD: &str = "urn:xmpp:forward:0";
