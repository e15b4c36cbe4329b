//! Handlers: what an application does with the stanzas it wants, and from time to time.
//!
//! Which stanzas those are is said by [`epode_proto::dispatch`]; nothing here knows of connections.

mod registry;
mod router;
mod stream;

use std::{fmt, ops::ControlFlow, sync::Arc, time::Duration};

use epode_proto::{
    Element,
    dispatch::{HandlerId, Pattern, TooManyHandlers},
};

use self::registry::{Shared, StanzaHandler};
pub(crate) use self::router::Router;
pub use self::stream::StanzaStream;

/// Registers handlers. It can be cloned and given to other tasks, and to handlers themselves.
///
/// The handlers of a stanza run one after the other, in the order of their registration, on the
/// task of the session: one that takes its time delays the stanzas that come later, though not what
/// is sent and not the timed handlers. One that is removed does not run any more, not even for the
/// stanza that is being handled; one that is added runs from the next stanza on. They stay over
/// reconnections, until the session is over; one that is registered later is dropped at once.
///
/// A handler that panics is removed, and the rest goes on, unless the program is built to abort.
///
/// ```
/// use std::{ops::ControlFlow, time::Duration};
///
/// use epode::{Handlers, Pattern, TooManyHandlers};
///
/// fn register(handlers: &Handlers) -> Result<(), TooManyHandlers> {
///     handlers.add(Pattern::message().kind("chat"), |message| {
///         println!("{message}");
///         ControlFlow::Continue(()) // and the next one too
///     })?;
///     handlers.add_async(Pattern::iq().id("roster-1"), async |roster| {
///         println!("{roster}");
///         ControlFlow::Break(()) // that was the answer
///     })?;
///     handlers.every(Duration::from_secs(60), || {
///         println!("still here");
///         ControlFlow::Continue(())
///     })?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Handlers {
    shared: Arc<Shared>,
}

impl Handlers {
    /// Registers a handler that is done at once. After [`Continue`](ControlFlow::Continue) it
    /// stays, after [`Break`](ControlFlow::Break) it is removed.
    ///
    /// # Errors
    ///
    /// [`TooManyHandlers`] if as many are registered as the session allows.
    pub fn add<F>(&self, pattern: Pattern, handler: F) -> Result<HandlerId, TooManyHandlers>
    where
        F: FnMut(&Element) -> ControlFlow<()> + Send + 'static,
    {
        self.shared.add(pattern, StanzaHandler::Sync(Box::new(handler)))
    }

    /// Registers a handler that may wait for something. Later handlers wait for it, and so do later
    /// stanzas: to wait for one of those in it is to wait for ever.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_async<F, R>(
        &self,
        pattern: Pattern,
        mut handler: F,
    ) -> Result<HandlerId, TooManyHandlers>
    where
        F: FnMut(Element) -> R + Send + 'static,
        R: Future<Output = ControlFlow<()>> + Send + 'static,
    {
        let handler = StanzaHandler::Async(Box::new(move |stanza| Box::pin(handler(stanza))));
        self.shared.add(pattern, handler)
    }

    /// Registers a timed handler, which runs once in each `period` while the session is connected,
    /// first when one is over. A new connection begins a new period. Runs that were missed are not
    /// made up for. A period is held between a millisecond and a year.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn every<F>(&self, period: Duration, handler: F) -> Result<HandlerId, TooManyHandlers>
    where
        F: FnMut() -> ControlFlow<()> + Send + 'static,
    {
        self.shared.add_timed(period, Box::new(handler))
    }

    /// A stream of what matches, which has its turn as a handler has. To drop it is to remove it.
    ///
    /// While 64 stanzas or 8 MiB of them wait in it, the next one waits for room, and all others
    /// behind it: no stanza is lost, and in the end nothing more is taken from the server. Keep
    /// receiving, or drop it.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn stanzas(&self, pattern: Pattern) -> Result<StanzaStream, TooManyHandlers> {
        StanzaStream::register(self, pattern)
    }

    /// Removes a handler of either kind; says whether it was there. One that is running comes to
    /// its end.
    pub fn remove(&self, id: HandlerId) -> bool {
        let removed = self.shared.lock().remove(id);
        removed.is_some()
    }
}

impl fmt::Debug for Handlers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handlers").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
