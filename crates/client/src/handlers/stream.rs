//! A handler as a stream: what matches waits in a queue for whoever wants it.
//!
//! The queue has a limit in stanzas and in bytes; what happens at the limit is that one waits.

use std::{
    fmt,
    ops::ControlFlow,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use epode_proto::{
    Element,
    dispatch::{HandlerId, Pattern, TooManyHandlers},
};
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::Handlers;

/// The stanzas that match a pattern, as they come: [`Handlers::stanzas`]. It ends with the session.
pub struct StanzaStream {
    stanzas: mpsc::Receiver<Queued>,
    room: Arc<Semaphore>,
    handlers: Handlers,
    id: HandlerId,
}

/// A stanza, with its share of the room.
type Queued = (Element, OwnedSemaphorePermit);

impl StanzaStream {
    pub(super) fn register(handlers: &Handlers, pattern: Pattern) -> Result<Self, TooManyHandlers> {
        let (sender, stanzas) = mpsc::channel(STREAM_STANZAS);
        let room = Arc::new(Semaphore::new(STREAM_ROOM));
        let shared_room = Arc::clone(&room);
        let id = handlers.add_async(pattern, move |stanza| {
            put(stanza, sender.clone(), Arc::clone(&shared_room))
        })?;
        Ok(Self { stanzas, room, handlers: handlers.clone(), id })
    }

    /// The next stanza; none once the session is over.
    pub async fn next(&mut self) -> Option<Element> {
        self.stanzas.recv().await.map(|(stanza, _room)| stanza)
    }
}

impl Stream for StanzaStream {
    type Item = Element;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Element>> {
        self.stanzas.poll_recv(cx).map(|queued| queued.map(|(stanza, _room)| stanza))
    }
}

impl Drop for StanzaStream {
    /// Whoever waits for room in it need not any more.
    fn drop(&mut self) {
        self.room.close();
        self.handlers.remove(self.id);
    }
}

impl fmt::Debug for StanzaStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StanzaStream").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Waits for room; without a stream there is none.
async fn put(
    stanza: Element,
    stream: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
) -> ControlFlow<()> {
    // One that is larger than all the room takes all of it.
    let bytes = stanza.memory().clamp(1, STREAM_ROOM);
    let bytes = u32::try_from(bytes).expect("the room is small enough");
    let Ok(share) = room.acquire_many_owned(bytes).await else { return ControlFlow::Break(()) };
    match stream.send((stanza, share)).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// How many stanzas wait in a stream, and how many bytes of memory they take.
pub(super) const STREAM_STANZAS: usize = 64;
pub(super) const STREAM_ROOM: usize = 8 * 1024 * 1024;
