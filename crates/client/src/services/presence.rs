//! Presence that is for one address and is answered, as that which enters a room.
//!
//! Presence for everybody has no answer: send it as any other stanza. What an answer means is left
//! to the caller.

use std::{ops::ControlFlow, time::Duration};

use epode_proto::{
    Element,
    dispatch::{HandlerId, Pattern, TooManyHandlers},
    stanza::{self, StanzaError, unguessable_id},
};
use tokio::{sync::oneshot, time::timeout};

use crate::{Error, Outbox};

/// Why a presence has no good answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PresenceError {
    /// It has no address of anybody who could answer.
    #[error("presence without an address is not answered: set `to`")]
    NotDirected,
    /// Who it was for refuses.
    #[error(transparent)]
    Refused(#[from] StanzaError),
    /// Nobody answered in time.
    #[error("nobody answered the presence in time")]
    TimedOut,
    /// The answer could not be waited for.
    #[error(transparent)]
    TooManyHandlers(#[from] TooManyHandlers),
    /// It was not sent, or the session ended before the answer came.
    #[error(transparent)]
    Session(#[from] Error),
}

/// Sends presence to one address, and waits for the presence of the same id that comes from there,
/// whatever its resource, for as long as `limit` allows. A presence without an id is given one
/// that nobody can guess.
///
/// ```no_run
/// use epode::{Element, Outbox, services::presence, stanza::Presence};
///
/// # async fn example(outbox: &Outbox) -> Result<(), Box<dyn std::error::Error>> {
/// let nick = "den@rooms.example.org/alice".parse::<epode::Jid>()?;
/// let enter = Presence::available()
///     .to(nick)
///     .with(Element::new("x", "http://jabber.org/protocol/muc"));
/// let own = presence::send(outbox, enter, std::time::Duration::from_secs(30)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`PresenceError`].
pub async fn send(
    outbox: &Outbox,
    presence: impl Into<Element>,
    limit: Duration,
) -> Result<Element, PresenceError> {
    let mut presence = presence.into();
    let to = stanza::to(&presence).ok().flatten().ok_or(PresenceError::NotDirected)?;
    let id = presence.attr("id").map_or_else(unguessable_id, str::to_owned);
    presence.set_attr("id", id.as_str());
    let (sender, answer) = oneshot::channel();
    let mut sender = Some(sender);
    let pattern = Pattern::presence().id(id).from_bare(to);
    let handlers = outbox.handlers();
    let handler = handlers.add(pattern, move |answer| {
        sender.take().map(|sender| sender.send(answer.clone()));
        ControlFlow::Break(())
    })?;
    let _removed = Removed { outbox, handler };
    outbox.send(presence).await?;
    let answer = timeout(limit, answer).await.map_err(|_| PresenceError::TimedOut)?;
    let answer = answer.map_err(|_| Error::Ended)?;
    match StanzaError::parse(&answer) {
        Some(error) => Err(error.into()),
        None => Ok(answer),
    }
}

/// Nobody waits any more: the handler goes, also where the future is dropped.
struct Removed<'a> {
    outbox: &'a Outbox,
    handler: HandlerId,
}

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        self.outbox.handlers().remove(self.handler);
    }
}
