//! Stanzas on their way to the application: as many as there is room for, and which of them it has
//! handled.

use std::{collections::VecDeque, future::pending, sync::Arc};

use epode_proto::Element;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::handlers::Router;

/// A stanza for the application, with its share of the inbox's room. In a box: the inbox is empty
/// most of the time, and its slots are small then.
pub(crate) struct Parcel(Box<Content>);

struct Content {
    stanza: Element,
    mark: Option<Mark>,
    _room: OwnedSemaphorePermit,
}

impl Parcel {
    fn new(stanza: Element, mark: Option<Mark>, room: OwnedSemaphorePermit) -> Self {
        Self(Box::new(Content { stanza, mark, _room: room }))
    }

    /// The stanza, and what says that it is handled once it is dropped.
    pub(crate) fn open(self) -> (Element, Option<Mark>) {
        (self.0.stanza, self.0.mark)
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
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

struct Waiting {
    stanza: Element,
    mark: Option<Mark>,
    /// No handler wants it.
    is_unhandled: bool,
}

/// What has become of the stanza that waited first.
pub(super) enum Advanced {
    /// A handler or the application has it.
    Taken,
    /// It is a request that nobody handles.
    Refused(Element),
}

impl Inbox {
    pub(super) fn new(parcels: mpsc::Sender<Parcel>) -> Self {
        let room = Arc::new(Semaphore::new(ROOM));
        Self { parcels, room, waiting: VecDeque::new(), bytes: 0 }
    }

    pub(super) fn push(&mut self, stanza: Element, mark: Option<Mark>) {
        self.bytes += stanza.memory();
        self.waiting.push_back(Waiting { stanza, mark, is_unhandled: false });
    }

    /// Whether the application, once it reads, has room for all that waits. A handler may take its
    /// time meanwhile.
    pub(super) fn has_room(&self) -> bool {
        let fits = self.waiting.len() < self.parcels.capacity()
            && self.bytes < self.room.available_permits();
        self.waiting.is_empty() || fits
    }

    /// Whether so much waits that nothing more should be read.
    pub(super) fn is_full(&self) -> bool {
        self.bytes >= ROOM
    }

    /// Gives the stanza that waits first to its handlers, and if it has none to the application,
    /// once that has room; without one, it waits for ever. Timed handlers run meanwhile. To drop
    /// the future loses nothing.
    pub(super) async fn advance(&mut self, router: &mut Router) -> Advanced {
        if let Some(first) = self.waiting.front_mut().filter(|first| !first.is_unhandled) {
            let is_taken = router.dispatch(&first.stanza).await;
            first.is_unhandled = true;
            if is_taken || is_request(&first.stanza) {
                return self.remove(is_taken);
            }
        }
        tokio::select! {
            () = self.deliver() => Advanced::Taken,
            () = run_timers(router) => Advanced::Taken,
        }
    }

    fn remove(&mut self, is_taken: bool) -> Advanced {
        match self.pop() {
            Some(refused) if !is_taken => Advanced::Refused(refused.stanza),
            _ => Advanced::Taken,
        }
    }

    /// Where nobody reads any more, what arrives is dropped, and the stream goes on.
    async fn deliver(&mut self) {
        let Some(first) = self.waiting.front() else { return pending().await };
        let room = tokio::select! {
            room = Arc::clone(&self.room).acquire_many_owned(cost(&first.stanza)) => room.ok(),
            () = self.parcels.closed() => None,
        };
        let parcels = self.parcels.clone();
        let slot = parcels.reserve().await.ok();
        let first = self.pop();
        if let (Some(slot), Some(room), Some(first)) = (slot, room, first) {
            slot.send(Parcel::new(first.stanza, first.mark, room));
        }
    }

    /// What has arrived belongs to the application, as far as there is room for it.
    pub(super) fn leave(&mut self) {
        while let Some(Waiting { stanza, mark, .. }) = self.pop() {
            let room = Arc::clone(&self.room).try_acquire_many_owned(cost(&stanza));
            let Ok(room) = room else { return };
            if self.parcels.try_send(Parcel::new(stanza, mark, room)).is_err() {
                return;
            }
        }
    }

    fn pop(&mut self) -> Option<Waiting> {
        let first = self.waiting.pop_front()?;
        self.bytes -= first.stanza.memory();
        Some(first)
    }
}

async fn run_timers(router: &mut Router) {
    loop {
        router.next_timer().await;
    }
}

/// Whether somebody waits for an answer to it (RFC 6120, section 8.2.3).
fn is_request(stanza: &Element) -> bool {
    stanza.name() == "iq" && matches!(stanza.attr("type"), Some("get" | "set"))
}

/// Its share of the room; one that is larger than all of it takes all of it.
fn cost(stanza: &Element) -> u32 {
    let bytes = stanza.memory().min(ROOM);
    u32::try_from(bytes).expect("the room is small enough").max(1)
}

/// Which stanzas are handled, though not in order: a reply may be before a message that is still
/// being read.
pub(super) struct HandledCount {
    /// How many are handled, without a gap.
    base: u64,
    /// Whether those after them are.
    after: VecDeque<bool>,
    sender: mpsc::UnboundedSender<u64>,
    numbers: mpsc::UnboundedReceiver<u64>,
}

impl HandledCount {
    pub(super) fn new() -> Self {
        let (sender, numbers) = mpsc::unbounded_channel();
        Self { base: 0, after: VecDeque::new(), sender, numbers }
    }

    /// For the next stanza.
    pub(super) fn mark(&mut self) -> Mark {
        let number = self.base + self.after.len() as u64;
        self.after.push_back(false);
        Mark { number, handled: self.sender.clone() }
    }

    /// How many more of the oldest are handled, once there is news of any.
    pub(super) async fn more(&mut self) -> u32 {
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
    use std::ops::ControlFlow;

    use epode_proto::dispatch::Pattern;

    use super::*;

    fn stanza(name: &str) -> Element {
        Element::new(name, "jabber:client")
    }

    #[tokio::test]
    async fn only_what_is_handled_without_a_gap_counts() {
        let mut count = HandledCount::new();
        let [first, second, third] = [(); 3].map(|()| count.mark());
        drop(second);
        assert_eq!(count.more().await, 0);
        let (parcels, mut received) = mpsc::channel(8);
        let (mut inbox, (mut router, _handlers)) = (Inbox::new(parcels), Router::new(8));
        inbox.push(stanza("message"), Some(first));
        assert!(matches!(inbox.advance(&mut router).await, Advanced::Taken));
        let (message, mark) = received.recv().await.expect("it was delivered").open();
        assert_eq!(message.name(), "message");
        drop(mark);
        assert_eq!(count.more().await, 2);
        drop(third);
        assert_eq!(count.more().await, 1);
    }

    #[tokio::test]
    async fn what_is_lost_in_a_panic_is_not_handled() {
        let mut count = HandledCount::new();
        let (first, second) = (count.mark(), count.mark());
        let handling = tokio::spawn(async move {
            let _mark = first;
            panic!("it does not work");
        });
        assert!(handling.await.is_err());
        drop(second);
        assert_eq!(count.more().await, 0);
    }

    #[tokio::test]
    async fn what_a_handler_takes_is_not_delivered_and_a_request_is_refused_without_one() {
        let (parcels, mut received) = mpsc::channel(8);
        let (mut inbox, (mut router, handlers)) = (Inbox::new(parcels), Router::new(8));
        let taking = handlers.add(Pattern::any().name("message"), |_| ControlFlow::Continue(()));
        taking.expect("there is room");
        for name in ["message", "presence", "iq"] {
            inbox.push(stanza(name).with_attr("type", "get"), None);
        }
        assert!(matches!(inbox.advance(&mut router).await, Advanced::Taken));
        assert!(matches!(inbox.advance(&mut router).await, Advanced::Taken));
        assert!(matches!(inbox.advance(&mut router).await, Advanced::Refused(_)));
        drop(inbox);
        let left: Vec<_> = std::iter::from_fn(|| received.try_recv().ok()).collect();
        let names: Vec<_> = left.into_iter().map(|it| it.open().0.name().to_owned()).collect();
        assert_eq!(names, ["presence"]);
    }

    #[tokio::test]
    async fn what_nobody_reads_is_dropped() {
        let (parcels, received) = mpsc::channel(1);
        let (mut inbox, (mut router, _handlers)) = (Inbox::new(parcels), Router::new(8));
        drop(received);
        for _ in 0..3 {
            inbox.push(stanza("message"), None);
            assert!(matches!(inbox.advance(&mut router).await, Advanced::Taken));
        }
        assert!(inbox.waiting.is_empty());
    }

    #[tokio::test]
    async fn as_much_may_wait_as_the_application_has_room_for() {
        let (parcels, mut received) = mpsc::channel(3);
        let (mut inbox, (mut router, _handlers)) = (Inbox::new(parcels), Router::new(8));
        for is_room in [true, true, false] {
            inbox.push(stanza("message"), None);
            assert_eq!(inbox.has_room(), is_room);
        }
        for is_room in [false, false, true] {
            inbox.advance(&mut router).await;
            assert_eq!(inbox.has_room(), is_room);
        }
        inbox.push(stanza("message"), None);
        assert!(!inbox.has_room());
        assert!(received.recv().await.is_some());
        inbox.advance(&mut router).await;
        assert!(inbox.has_room());

        let large = Element::new("message", "jabber:client").with_text("x".repeat(ROOM));
        inbox.push(large, None);
        assert!(!inbox.has_room() && inbox.is_full());
    }
}
