//! The handlers that are registered, and when the timed ones are due.
//!
//! Nothing of the application's is called or dropped while the lock is held, so that whatever it
//! does then, it can register and remove handlers.

use std::{
    collections::BTreeSet,
    mem,
    ops::ControlFlow,
    pin::Pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use epode_proto::{
    Element,
    dispatch::{Class, Dispatcher, HandlerId, Pattern, TooManyHandlers},
};
use tokio::{sync::Notify, time::Instant};

use crate::caught::discard;

/// What the router and the application's [`Handlers`](super::Handlers) have in common.
pub(super) struct Shared {
    registry: Mutex<Registry>,
    /// A timed handler may be due sooner than it seemed.
    pub(super) sooner: Notify,
}

pub(super) struct Registry {
    pub(super) dispatcher: Dispatcher<Slot>,
    /// The timed handlers, by when they are due.
    due: BTreeSet<(Instant, HandlerId)>,
    connected: bool,
    ended: bool,
}

/// A handler's place. The handler is away while it runs.
pub(super) enum Slot {
    Stanza(Option<StanzaHandler>),
    Timed { period: Duration, due: Instant, handler: Option<TimedHandler> },
}

pub(super) enum StanzaHandler {
    Sync(SyncHandler),
    Async(AsyncHandler),
}

type SyncHandler = Box<dyn FnMut(&Element) -> ControlFlow<()> + Send>;
type AsyncHandler = Box<dyn FnMut(Element) -> HandlerFuture + Send>;
pub(super) type HandlerFuture = Pin<Box<dyn Future<Output = ControlFlow<()>> + Send>>;
pub(super) type TimedHandler = Box<dyn FnMut() -> ControlFlow<()> + Send>;

impl Shared {
    pub(super) fn new(limit: usize) -> Self {
        let dispatcher = Dispatcher::new(limit);
        let registry =
            Registry { dispatcher, due: BTreeSet::new(), connected: false, ended: false };
        Self { registry: Mutex::new(registry), sooner: Notify::new() }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(
        &self,
        pattern: Pattern,
        handler: StanzaHandler,
    ) -> Result<HandlerId, TooManyHandlers> {
        let mut registry = self.lock(); // dropped before `handler` is
        let id = registry.add(pattern, Slot::Stanza(None))?;
        if let Some(Slot::Stanza(place)) = registry.dispatcher.get_mut(id) {
            *place = Some(handler);
        }
        Ok(id)
    }

    pub(super) fn add_timed(
        &self,
        period: Duration,
        handler: TimedHandler,
    ) -> Result<HandlerId, TooManyHandlers> {
        let period = period.clamp(SHORTEST_PERIOD, LONGEST_PERIOD);
        let mut registry = self.lock(); // dropped before `handler` is
        let due = Instant::now() + period;
        let id = registry.add(Pattern::none(), Slot::Timed { period, due, handler: None })?;
        if let Some(Slot::Timed { handler: place, .. }) = registry.dispatcher.get_mut(id) {
            *place = Some(handler);
            registry.due.insert((due, id));
            self.sooner.notify_one();
        }
        Ok(id)
    }

    /// The handlers that a stanza is for.
    pub(super) fn matching(&self, stanza: &Element) -> Vec<HandlerId> {
        self.lock().dispatcher.matching(stanza)
    }

    /// Takes a handler to run it, if it is still there.
    pub(super) fn take(&self, id: HandlerId) -> Option<StanzaHandler> {
        match self.lock().dispatcher.get_mut(id)? {
            Slot::Stanza(handler) => handler.take(),
            Slot::Timed { .. } => None,
        }
    }

    /// Puts a handler back in its place, if that is still there.
    pub(super) fn give_back(&self, id: HandlerId, handler: StanzaHandler) {
        let mut registry = self.lock();
        if let Some(Slot::Stanza(place)) = registry.dispatcher.get_mut(id) {
            *place = Some(handler);
            return;
        }
        drop(registry);
        discard(handler);
    }

    /// When the next timed handler is due; never while the session is not connected.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let registry = self.lock();
        registry.due.first().filter(|_| registry.connected).map(|(due, _)| *due)
    }

    /// The timed handlers that are due, the longest due first.
    pub(super) fn due(&self, now: Instant) -> Vec<HandlerId> {
        self.lock().due.iter().take_while(|(due, _)| *due <= now).map(|(_, id)| *id).collect()
    }

    /// Takes a timed handler to run it, if it is still there.
    pub(super) fn take_timed(&self, id: HandlerId) -> Option<TimedHandler> {
        match self.lock().dispatcher.get_mut(id)? {
            Slot::Timed { handler, .. } => handler.take(),
            Slot::Stanza(_) => None,
        }
    }

    /// Puts a timed handler back until it is due again, if its place is still there.
    pub(super) fn rearm(&self, id: HandlerId, handler: TimedHandler, now: Instant) {
        let mut registry = self.lock();
        let Registry { dispatcher, due, .. } = &mut *registry;
        if let Some(Slot::Timed { period, due: at, handler: place }) = dispatcher.get_mut(id) {
            due.remove(&(*at, id));
            let next = *at + *period;
            *at = if next > now { next } else { now + *period };
            due.insert((*at, id));
            *place = Some(handler);
            return;
        }
        drop(registry);
        discard(handler);
    }

    /// What follows from how a handler ended: by a panic, if there is no outcome. Says whether it
    /// came to its end.
    pub(super) fn settle(&self, id: HandlerId, outcome: Option<ControlFlow<()>>) -> bool {
        if outcome.is_none() {
            tracing::error!(?id, "a handler panicked and was removed");
        }
        if outcome != Some(ControlFlow::Continue(())) {
            let removed = self.lock().remove(id);
            discard(removed);
        }
        outcome.is_some()
    }

    pub(super) fn set_connected(&self, connected: bool) {
        self.lock().set_connected(connected, Instant::now());
        self.sooner.notify_one();
    }

    /// Drops all handlers, and from now on each new one.
    pub(super) fn end(&self) {
        let mut registry = self.lock();
        registry.ended = true;
        registry.due.clear();
        let [system, user] = [Class::System, Class::User].map(|c| registry.dispatcher.clear(c));
        drop(registry);
        system.into_iter().chain(user).for_each(discard);
    }
}

impl Registry {
    /// A place for a handler, which is gone at once when all is over.
    fn add(&mut self, pattern: Pattern, slot: Slot) -> Result<HandlerId, TooManyHandlers> {
        let id = self.dispatcher.add(Class::User, pattern, slot)?;
        if self.ended {
            self.dispatcher.remove(id);
        }
        Ok(id)
    }

    /// The caller drops what is removed without the lock.
    #[must_use]
    pub(super) fn remove(&mut self, id: HandlerId) -> Option<Slot> {
        let slot = self.dispatcher.remove(id)?;
        if let Slot::Timed { due, .. } = slot {
            self.due.remove(&(due, id));
        }
        Some(slot)
    }

    fn set_connected(&mut self, connected: bool, now: Instant) {
        let begins = connected && !self.connected;
        self.connected = connected;
        if !begins {
            return;
        }
        for (_, id) in mem::take(&mut self.due) {
            if let Some(Slot::Timed { period, due, .. }) = self.dispatcher.get_mut(id) {
                *due = now + *period;
                self.due.insert((*due, id));
            }
        }
    }
}

const SHORTEST_PERIOD: Duration = Duration::from_millis(1);
const LONGEST_PERIOD: Duration = Duration::from_secs(365 * 24 * 60 * 60);
