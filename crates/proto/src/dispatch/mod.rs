//! Which handlers a stanza is for, in which order.
//!
//! What a handler is, who runs it and what follows from its return is the caller's.

mod index;
mod pattern;

pub use pattern::Pattern;

use std::{collections::BTreeMap, fmt};

use index::Index;

use crate::Element;

/// Handlers of any type, each with a [`Pattern`], in the order of their registration.
///
/// [`matching`](Self::matching) says which ones a stanza is for. Whoever runs them asks for each in
/// its turn: a handler that was removed meanwhile is not there any more, and one that was added is
/// not among them.
///
/// What a stanza costs depends on how many combinations of criteria the patterns have, which are 96
/// at most, and not on how many handlers there are, save for those that it is for.
///
/// ```
/// use epode_proto::{Element, dispatch::{Class, Dispatcher, Pattern}};
///
/// let mut dispatcher = Dispatcher::new(100);
/// let pong = dispatcher.add(Class::User, Pattern::iq().id("ping-1"), "pong")?;
/// dispatcher.add(Class::User, Pattern::message(), "message")?;
///
/// let stanza = Element::parse("<iq xmlns='jabber:client' type='result' id='ping-1'/>")?;
/// for id in dispatcher.matching(&stanza) {
///     assert_eq!(dispatcher.get_mut(id), Some(&mut "pong"));
/// }
/// assert_eq!(dispatcher.remove(pong), Some("pong"));
/// assert!(dispatcher.matching(&stanza).is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Dispatcher<H> {
    limit: usize,
    last: u64,
    handlers: BTreeMap<HandlerId, Registered<H>>,
    index: Index,
}

/// Which handler; it is never given to another one of the same dispatcher. To another dispatcher
/// it means nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandlerId(u64);

/// Whose a handler is. Those of the system come first, whenever they were registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// The library's own.
    System,
    /// The application's.
    User,
}

/// There is no room for another handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{limit} handlers are registered, as many as are allowed: remove those that are done")]
pub struct TooManyHandlers {
    /// How many are allowed.
    pub limit: usize,
}

struct Registered<H> {
    class: Class,
    pattern: Pattern,
    handler: H,
}

impl<H> Dispatcher<H> {
    /// A dispatcher for at most `limit` handlers, both classes taken together.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { limit, last: 0, handlers: BTreeMap::new(), index: Index::default() }
    }

    /// Registers a handler, after all others of its class.
    ///
    /// # Errors
    ///
    /// [`TooManyHandlers`] once the limit is reached; `handler` is dropped then.
    pub fn add(
        &mut self,
        class: Class,
        pattern: Pattern,
        handler: H,
    ) -> Result<HandlerId, TooManyHandlers> {
        if self.handlers.len() >= self.limit {
            return Err(TooManyHandlers { limit: self.limit });
        }
        self.last += 1;
        let id = HandlerId(self.last);
        self.index.insert(&pattern, id, class);
        self.handlers.insert(id, Registered { class, pattern, handler });
        Ok(id)
    }

    /// Removes a handler and gives it back; none if it is not there any more.
    pub fn remove(&mut self, id: HandlerId) -> Option<H> {
        let Registered { pattern, handler, .. } = self.handlers.remove(&id)?;
        self.index.remove(&pattern, id);
        Some(handler)
    }

    /// Removes all handlers of a class and gives them back, in the order of their registration.
    pub fn clear(&mut self, class: Class) -> Vec<H> {
        let of_class = self.handlers.iter().filter(|(_, registered)| registered.class == class);
        let ids: Vec<HandlerId> = of_class.map(|(id, _)| *id).collect();
        ids.into_iter().filter_map(|id| self.remove(id)).collect()
    }

    /// The handlers that a stanza is for: those of the system, then those of the user, each in the
    /// order of their registration.
    #[must_use]
    pub fn matching(&self, stanza: &Element) -> Vec<HandlerId> {
        let mut found = self.index.find(stanza);
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    /// A handler, if it is still there.
    pub fn get_mut(&mut self, id: HandlerId) -> Option<&mut H> {
        self.handlers.get_mut(&id).map(|registered| &mut registered.handler)
    }

    /// How many handlers are registered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.handlers.len()
    }

    /// Whether no handler is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.handlers.is_empty()
    }
}

impl<H> fmt::Debug for Dispatcher<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("limit", &self.limit)
            .field("handlers", &self.handlers.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
