//! Stanzas on their way to the application: as many as there is room for, and which of them it has
//! handled.

use std::{collections::VecDeque, future::pending, sync::Arc};

use epode_proto::Element;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// A stanza for the application, with its share of the inbox's room.
pub(crate) struct Parcel {
    stanza: Element,
    _room: OwnedSemaphorePermit,
    mark: Option<Mark>,
}

impl Parcel {
    /// The stanza, and what says that it is handled once it is dropped.
    pub(crate) fn open(self) -> (Element, Option<Mark>) {
        (self.stanza, self.mark)
    }
}

/// Says by its end that the stanza of this number was handled.
pub(crate) struct Mark {
    number: u64,
    handled: mpsc::UnboundedSender<u64>,
}

impl Drop for Mark {
    fn drop(&mut self) {
        // Whoever panics over a stanza has not handled it.
        if !std::thread::panicking() {
            let _ = self.handled.send(self.number); // the session may be over
        }
    }
}

/// What waits for the application, in order.
pub(super) struct Inbox {
    parcels: mpsc::Sender<Parcel>,
    room: Arc<Semaphore>,
    waiting: VecDeque<(Element, Option<Mark>)>,
    bytes: usize,
    handled: Option<HandledCount>,
}

impl Inbox {
    /// With `counts`, it is told when a stanza has been handled, not only received.
    pub(super) fn new(parcels: mpsc::Sender<Parcel>, counts: bool) -> Self {
        Self {
            parcels,
            room: Arc::new(Semaphore::new(ROOM)),
            waiting: VecDeque::new(),
            bytes: 0,
            handled: counts.then(HandledCount::new),
        }
    }

    /// A mark for the next stanza, where they are counted.
    pub(super) fn mark(&mut self) -> Option<Mark> {
        self.handled.as_mut().map(HandledCount::mark)
    }

    pub(super) fn push(&mut self, stanza: Element, mark: Option<Mark>) {
        self.bytes += stanza.memory();
        self.waiting.push_back((stanza, mark));
    }

    /// The next that waits.
    pub(super) fn pop(&mut self) -> Option<(Element, Option<Mark>)> {
        let next = self.waiting.pop_front()?;
        self.bytes -= next.0.memory();
        Some(next)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether so much waits that nothing more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= ROOM
    }

    /// Gives a stanza to the application, once it has room. Where nobody reads any more, what
    /// arrives is dropped, and the stream goes on.
    pub(super) fn deliver(
        &self,
        stanza: Element,
        mark: Option<Mark>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (room, parcels) = (Arc::clone(&self.room), self.parcels.clone());
        async move {
            let room = tokio::select! {
                room = room.acquire_many_owned(cost(&stanza)) => room,
                () = parcels.closed() => return,
            };
            if let Ok(room) = room {
                let _ = parcels.send(Parcel { stanza, _room: room, mark }).await;
            }
        }
    }

    /// What has arrived belongs to the application, as far as there is room for it.
    pub(super) fn leave(&mut self) {
        while let Some((stanza, mark)) = self.pop() {
            let room = Arc::clone(&self.room).try_acquire_many_owned(cost(&stanza));
            let Ok(room) = room else { return };
            if self.parcels.try_send(Parcel { stanza, _room: room, mark }).is_err() {
                return;
            }
        }
    }

    /// How many more of the oldest stanzas are handled, once there is news of it.
    pub(super) async fn handled(&mut self) -> u32 {
        match &mut self.handled {
            Some(count) => count.more().await,
            None => pending().await,
        }
    }
}

/// Its share of the room; one that is larger than all of it takes all of it.
fn cost(stanza: &Element) -> u32 {
    let bytes = stanza.memory().min(ROOM);
    u32::try_from(bytes).expect("the room is small enough").max(1)
}

/// Which stanzas are handled, though not in order: a reply may be before a message that is still
/// being read.
struct HandledCount {
    /// How many are handled, without a gap.
    base: u64,
    /// Whether those after them are.
    after: VecDeque<bool>,
    sender: mpsc::UnboundedSender<u64>,
    numbers: mpsc::UnboundedReceiver<u64>,
}

impl HandledCount {
    fn new() -> Self {
        let (sender, numbers) = mpsc::unbounded_channel();
        Self { base: 0, after: VecDeque::new(), sender, numbers }
    }

    fn mark(&mut self) -> Mark {
        let number = self.base + self.after.len() as u64;
        self.after.push_back(false);
        Mark { number, handled: self.sender.clone() }
    }

    async fn more(&mut self) -> u32 {
        let mut numbers = Vec::new();
        self.numbers.recv_many(&mut numbers, MOST_MARKS).await;
        for number in numbers {
            let place = usize::try_from(number - self.base).ok();
            if let Some(is_handled) = place.and_then(|place| self.after.get_mut(place)) {
                *is_handled = true;
            }
        }
        let mut more = 0;
        while self.after.front() == Some(&true) {
            self.after.pop_front();
            self.base += 1;
            more += 1;
        }
        more
    }
}

/// How many bytes of stanzas wait for an application that does not read them.
const ROOM: usize = 8 * 1024 * 1024;
/// How much news is taken at once.
const MOST_MARKS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_what_is_handled_without_a_gap_counts() {
        let (parcels, mut received) = mpsc::channel(8);
        let mut inbox = Inbox::new(parcels, true);
        let [first, second, third] = [(); 3].map(|()| inbox.mark());
        drop(second);
        assert_eq!(inbox.handled().await, 0);
        inbox.deliver(Element::new("a", ""), first).await;
        let (stanza, mark) = received.recv().await.expect("it was delivered").open();
        assert_eq!(stanza.name(), "a");
        drop(mark);
        assert_eq!(inbox.handled().await, 2);
        drop(third);
        assert_eq!(inbox.handled().await, 1);
    }

    #[tokio::test]
    async fn what_is_lost_in_a_panic_is_not_handled() {
        let (parcels, _received) = mpsc::channel(8);
        let mut inbox = Inbox::new(parcels, true);
        let (first, second) = (inbox.mark(), inbox.mark());
        let handling = tokio::spawn(async move {
            let _mark = first;
            panic!("it does not work");
        });
        assert!(handling.await.is_err());
        drop(second);
        assert_eq!(inbox.handled().await, 0);
    }

    #[tokio::test]
    async fn what_nobody_reads_is_dropped() {
        let (parcels, received) = mpsc::channel(1);
        let inbox = Inbox::new(parcels, false);
        drop(received);
        inbox.deliver(Element::new("a", ""), None).await;
    }
}
