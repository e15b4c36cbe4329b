//! A bound session as a connection holds it, until another connection takes it over.
//!
//! Leaves out what the session does, which `bound` knows, and when it may be taken over.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use epode_proto::Jid;
use epode_proto::xml::Element;

use super::bound::Bound;
use super::conditions::StreamCondition;
use super::machine::Said;
use crate::hub::Delivery;
use crate::server::Server;

/// Where a session is. Whoever is seated at it goes on with it; one at a time.
#[derive(Debug)]
pub(crate) struct Place {
    jid: Jid,
    held: Mutex<Held>,
}

/// The right to go on with a session, lost when another takes it. Dropped, it ends the session.
#[derive(Debug)]
pub(super) struct Seat {
    place: Arc<Place>,
    tenure: u32,
}

/// A session as it goes on over another connection.
pub(super) struct Continuation {
    pub(super) seat: Seat,
    /// `<resumed/>`.
    pub(super) resumed: Element,
    /// What is said after it.
    pub(super) rest: Vec<Said>,
}

#[derive(Debug)]
struct Held {
    /// `None` once it is over.
    bound: Option<Bound>,
    /// Which seat is the right one.
    tenure: u32,
    /// Wakes the task that waits for the mailbox.
    waiting: Option<Waker>,
}

impl Place {
    /// Takes the session over, whose client has handled so many stanzas. `None` if the session is over.
    pub(super) fn resume(
        self: Arc<Self>,
        count: u32,
    ) -> Option<Result<Continuation, StreamCondition>> {
        let mut held = self.lock();
        let (resumed, rest) = match held.bound.as_mut()?.resume(count)? {
            Ok(said) => said,
            Err(condition) => return Some(Err(condition)),
        };
        held.tenure = held.tenure.wrapping_add(1);
        let tenure = held.tenure;
        let former = held.waiting.take();
        drop(held);
        if let Some(former) = former {
            former.wake();
        }
        Some(Ok(Continuation { seat: Seat { place: self, tenure }, resumed, rest }))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // No code panics half way through a change, so the session is whole in any case.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub(super) fn new(bound: Bound) -> Self {
        let jid = bound.jid().clone();
        let held = Held { bound: Some(bound), tenure: 0, waiting: None };
        Self { place: Arc::new(Place { jid, held: Mutex::new(held) }), tenure: 0 }
    }

    pub(super) fn jid(&self) -> &Jid {
        &self.place.jid
    }

    /// Takes a stanza of the client's.
    pub(super) fn handle(&self, stanza: Element) -> Result<Vec<Said>, StreamCondition> {
        self.with(|bound| bound.handle(stanza))?
    }

    /// Enables stream management, with resumption within this time if it is wanted; `None` if it
    /// is enabled.
    pub(super) fn enable(&self, server: &Server, wanted: Option<Duration>) -> Option<Element> {
        let place = Arc::downgrade(&self.place);
        self.with(|bound| bound.enable(server, place, wanted)).ok()?
    }

    /// Whether stream management is enabled.
    pub(super) fn is_managed(&self) -> bool {
        self.with(|bound| bound.ledger().is_some()).unwrap_or(false)
    }

    /// Has copies of messages sent to it.
    pub(super) fn set_carbons(&self) {
        // A session that was just bound is ours; one that is not needs no copies.
        let _ = self.with(|bound| bound.registration().set_carbons(true));
    }

    /// This client holds the session; the others that it holds end.
    pub(super) fn set_client(&self, client: &str) {
        let _ = self.with(|bound| bound.registration().set_client(client));
    }

    /// What answers the client's request for an acknowledgement.
    pub(super) fn answer(&self) -> Result<Element, StreamCondition> {
        self.with(|bound| Some(bound.ledger()?.answer()))?
            .ok_or(StreamCondition::UnsupportedStanzaType)
    }

    /// The client has handled so many stanzas.
    pub(super) fn acknowledge(&self, count: u32) -> Result<(), StreamCondition> {
        self.with(|bound| match bound.ledger() {
            Some(ledger) => ledger.acknowledge(count),
            None => Err(StreamCondition::UnsupportedStanzaType),
        })?
    }

    /// The request for an acknowledgement, when it is due.
    pub(super) fn poll_request(&self) -> Option<Element> {
        self.with(|bound| bound.ledger()?.poll_request()).ok()?
    }

    /// How long the session outlives a connection that breaks.
    pub(super) fn resumable_for(&self) -> Option<Duration> {
        self.with(|bound| bound.resumable_for()).ok()?
    }

    /// Waits for the mailbox. Nothing is lost when dropped early.
    pub(super) async fn delivery(&self) -> Option<Delivery> {
        poll_fn(|cx| self.poll_mailbox(cx)).await
    }

    /// What waits in the mailbox now.
    pub(super) fn poll_delivery(&self) -> Option<Option<Delivery>> {
        match self.poll_mailbox(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(delivery) => Some(delivery),
            Poll::Pending => None,
        }
    }

    fn poll_mailbox(&self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let mut held = self.place.lock();
        let is_ours = held.tenure == self.tenure;
        let Some(bound) = held.bound.as_mut().filter(|_| is_ours) else {
            return Poll::Ready(Some(Delivery::Replaced));
        };
        let polled = bound.poll_delivery(cx);
        if polled.is_pending() {
            held.waiting = Some(cx.waker().clone());
        }
        polled
    }

    /// Does something with the session, unless another has taken it.
    fn with<R>(&self, act: impl FnOnce(&mut Bound) -> R) -> Result<R, StreamCondition> {
        let mut held = self.place.lock();
        let is_ours = held.tenure == self.tenure;
        held.bound.as_mut().filter(|_| is_ours).map(act).ok_or(StreamCondition::Conflict)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut held = self.place.lock();
        let over = if held.tenure == self.tenure { held.bound.take() } else { None };
        drop(held);
        // What it has to say at its end may concern others, so nothing is locked.
        drop(over);
    }
}
