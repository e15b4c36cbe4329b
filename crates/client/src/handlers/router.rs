//! The side of the handlers that the session's task drives: who runs, and when.
//!
//! No handler runs on any other task.

use std::{sync::Arc, vec};

use epode_proto::{Element, dispatch::HandlerId};
use tokio::time::{Instant, sleep_until};

use super::{
    Handlers,
    registry::{HandlerFuture, Shared, StanzaHandler},
};
use crate::caught::{caught, discard, outcome};

/// Runs the handlers. When it is dropped all is over: so are the handlers, and streams end.
pub(crate) struct Router {
    shared: Arc<Shared>,
    /// The stanza that is being handled.
    passage: Option<Passage>,
}

impl Router {
    /// For at most `limit` handlers, timed ones and streams included.
    pub(crate) fn new(limit: usize) -> (Self, Handlers) {
        let shared = Arc::new(Shared::new(limit));
        (Self { shared: Arc::clone(&shared), passage: None }, Handlers { shared })
    }

    /// Runs all handlers that match, one after the other, each to its end; says whether one of them
    /// came there without a panic. While one waits, timed handlers run when they are due.
    ///
    /// To drop the future loses nothing: the next call, for the same stanza, goes on where it was.
    pub(crate) async fn dispatch(&mut self, stanza: &Element) -> bool {
        let shared = &*self.shared;
        let passage = self.passage.get_or_insert_with(|| Passage {
            remaining: shared.matching(stanza).into_iter(),
            under_way: None,
            taken: false,
        });
        let timers = async {
            loop {
                next_timer(shared).await;
            }
        };
        tokio::select! {
            biased;
            () = passage.run(shared, stanza) => {}
            () = timers => {}
        }
        let taken = passage.taken;
        self.passage = None;
        taken
    }

    /// Waits until timed handlers are due and runs them; dropped before, it loses nothing.
    pub(crate) async fn next_timer(&mut self) {
        next_timer(&self.shared).await;
    }

    /// Timed handlers run only while it is connected; their periods begin with that.
    pub(crate) fn set_connected(&mut self, connected: bool) {
        self.shared.set_connected(connected);
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        discard(self.passage.take());
        self.shared.end();
    }
}

/// A stanza's way through its handlers.
struct Passage {
    remaining: vec::IntoIter<HandlerId>,
    under_way: Option<(HandlerId, HandlerFuture)>,
    taken: bool,
}

impl Passage {
    async fn run(&mut self, shared: &Shared, stanza: &Element) {
        loop {
            if let Some((id, future)) = &mut self.under_way {
                let (id, outcome) = (*id, outcome(future).await);
                discard(self.under_way.take());
                self.taken |= shared.settle(id, outcome);
            }
            let Some(id) = self.remaining.next() else { return };
            self.call(id, shared, stanza);
        }
    }

    /// Runs a handler; one that is asynchronous is under way after that.
    fn call(&mut self, id: HandlerId, shared: &Shared, stanza: &Element) {
        match shared.take(id) {
            None => {}
            Some(StanzaHandler::Sync(mut handler)) => {
                let outcome = caught(|| handler(stanza));
                shared.give_back(id, StanzaHandler::Sync(handler));
                self.taken |= shared.settle(id, outcome);
            }
            Some(StanzaHandler::Async(mut handler)) => {
                let future = caught(|| handler(stanza.clone()));
                shared.give_back(id, StanzaHandler::Async(handler));
                match future {
                    Some(future) => self.under_way = Some((id, future)),
                    None => self.taken |= shared.settle(id, None),
                }
            }
        }
    }
}

async fn next_timer(shared: &Shared) {
    loop {
        match shared.next_due() {
            None => shared.sooner.notified().await,
            Some(due) => tokio::select! {
                () = sleep_until(due) => break,
                () = shared.sooner.notified() => {}
            },
        }
    }
    for id in shared.due(Instant::now()) {
        let Some(mut handler) = shared.take_timed(id) else { continue };
        let outcome = caught(&mut handler);
        shared.rearm(id, handler, Instant::now());
        shared.settle(id, outcome);
    }
}
