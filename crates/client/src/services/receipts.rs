//! Receipts: the recipient's client says that a message has come (XEP-0184).
//!
//! That the server has it is another matter: [`Receipt`](crate::Receipt). What was requested and
//! has not come yet is kept by the application.

use std::{fmt, pin::Pin};

use epode_proto::{
    Element, Jid,
    dispatch::{Pattern, TooManyHandlers},
    stanza::{self, Message, MessageType},
    xml::namespaces::CLIENT,
};

use crate::{Outbox, StanzaStream};

/// Requests a receipt for a message.
///
/// ```
/// use epode::{Element, services::receipts, stanza::Message};
///
/// let to: epode::Jid = "bob@example.org/desk".parse()?;
/// let sent: Element = receipts::request(Message::chat(&to).id("m1").body("Hello")).into();
///
/// // At the other side:
/// let arrived = sent.with_attr("from", "alice@example.org/phone");
/// let receipt = receipts::due(&arrived).unwrap();
///
/// // And back:
/// let delivered = receipts::Delivered::of(&receipt.with_attr("from", to.as_str())).unwrap();
/// assert_eq!((delivered.id.as_str(), delivered.from), ("m1", to));
/// # Ok::<(), epode::JidError>(())
/// ```
pub fn request(message: Message) -> Message {
    message.with(Element::new("request", NAMESPACE))
}

/// The receipt that a message requests. None is due for one that is itself a receipt, an error or
/// said in a room, nor if sender or id are missing.
///
/// A receipt tells that we are there: send it to those who may know.
#[must_use]
pub fn due(message: &Element) -> Option<Element> {
    let is_asking = message.child("request", NAMESPACE).is_some()
        && message.child("received", NAMESPACE).is_none();
    let kind = MessageType::of(message)
        .filter(|kind| is_asking && !matches!(kind, MessageType::Error | MessageType::Groupchat))?;
    let from = stanza::from(message).ok()??;
    let received = Element::new("received", NAMESPACE).with_attr("id", message.attr("id")?);
    let receipt = Message::new(from).kind(kind).with(received);
    Some(match stanza::to(message) {
        Ok(Some(to)) => receipt.from(to).into(), // it may be one address of many
        _ => receipt.into(),
    })
}

/// A message of ours has come to its recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Delivered {
    /// Whose client says so. Believe it only of who the message was sent to.
    pub from: Jid,
    /// The id of the message.
    pub id: String,
}

impl Delivered {
    /// What a receipt says.
    #[must_use]
    pub fn of(message: &Element) -> Option<Self> {
        let is_message = message.is("message", CLIENT) && message.attr("type") != Some("error");
        let received = message.child("received", NAMESPACE).filter(|_| is_message)?;
        let from = stanza::from(message).ok()??;
        Some(Self { from, id: received.attr("id")?.to_owned() })
    }
}

/// What comes in [`Messages`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A message, whose receipt is sent if it requested one.
    Message(Element),
    /// A receipt.
    Delivered(Delivered),
}

/// The messages of a session: each that requests a receipt is answered when it is taken.
///
/// It takes them all, so that they are in no [`Session::receive`](crate::Session::receive); its
/// room is that of [`Handlers::stanzas`](crate::Handlers::stanzas).
pub struct Messages {
    stanzas: StanzaStream,
    outbox: Outbox,
    may_know: Box<dyn Fn(&Jid) -> bool + Send>,
    /// A message whose receipt is being sent.
    answering: Option<(Element, Sending)>,
}

impl Messages {
    /// From now on. Receipts are sent to those who `may_know` that we are there.
    ///
    /// # Errors
    ///
    /// [`TooManyHandlers`] if as many handlers are registered as the session allows.
    pub fn receive(
        outbox: &Outbox,
        may_know: impl Fn(&Jid) -> bool + Send + 'static,
    ) -> Result<Self, TooManyHandlers> {
        let stanzas = outbox.handlers().stanzas(Pattern::message())?;
        let outbox = outbox.clone();
        Ok(Self { stanzas, outbox, may_know: Box::new(may_know), answering: None })
    }

    /// The next; none once the session is over. To drop the future loses nothing.
    pub async fn next(&mut self) -> Option<Incoming> {
        if self.answering.is_none() {
            let message = self.stanzas.next().await?;
            if let Some(delivered) = Delivered::of(&message) {
                return Some(Incoming::Delivered(delivered));
            }
            let sender = stanza::from(&message).ok().flatten();
            let receipt = due(&message).filter(|_| sender.is_some_and(|it| (self.may_know)(&it)));
            self.answering = Some((message, Box::pin(send(self.outbox.clone(), receipt))));
        }
        if let Some((_, sending)) = &mut self.answering {
            sending.await;
        }
        self.answering.take().map(|(message, _)| Incoming::Message(message))
    }
}

impl fmt::Debug for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

type Sending = Pin<Box<dyn Future<Output = ()> + Send>>;

async fn send(outbox: Outbox, receipt: Option<Element>) {
    if let Some(receipt) = receipt
        && let Err(error) = outbox.send(receipt).await
    {
        tracing::debug!(%error, "a receipt is not sent");
    }
}

/// The feature to announce.
pub const NAMESPACE: &str = "urn:xmpp:receipts";
