//! Which sessions can be resumed, by their ids, whoever holds them now.
//!
//! Leaves out the sessions themselves: this remembers where they are.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::random;
use crate::session::Place;

/// The sessions of one server that outlive their connections.
#[derive(Default)]
pub(crate) struct Resumption(Mutex<Known>);

/// What is known of an id.
#[derive(Debug)]
pub(crate) enum Found {
    /// The session is open, with a connection or without one.
    Open(Arc<Place>),
    /// It has ended after so many stanzas of the client's.
    Ended { handled: u32 },
    /// No such session, or not of this user.
    Nothing,
}

#[derive(Default)]
struct Known {
    open: HashMap<String, Entry>,
    /// The last ones that ended, so that their clients learn what was handled.
    ended: VecDeque<Ended>,
}

struct Entry {
    user: String,
    place: Weak<Place>,
}

struct Ended {
    id: String,
    user: String,
    handled: u32,
}

impl Resumption {
    /// Gives the session an id, unless there are so many already.
    pub(crate) fn enter(&self, user: &str, place: Weak<Place>, limit: usize) -> Option<String> {
        let mut known = self.lock();
        (known.open.len() < limit).then(|| {
            let id = format!("{}{}", random::name(), random::name());
            known.open.insert(id.clone(), Entry { user: user.to_owned(), place });
            id
        })
    }

    /// What is known of an id, to this user.
    pub(crate) fn find(&self, id: &str, user: &str) -> Found {
        let known = self.lock();
        let entry = known.open.get(id).filter(|entry| entry.user == user);
        if let Some(place) = entry.and_then(|entry| entry.place.upgrade()) {
            return Found::Open(place);
        }
        let ended = known.ended.iter().find(|it| it.id == id && it.user == user);
        ended.map_or(Found::Nothing, |it| Found::Ended { handled: it.handled })
    }

    /// The session has ended; as many are remembered as may be open.
    pub(crate) fn end(&self, id: &str, handled: u32, limit: usize) {
        let mut known = self.lock();
        let Some(Entry { user, .. }) = known.open.remove(id) else { return };
        if known.ended.len() >= limit {
            known.ended.pop_front();
        }
        known.ended.push_back(Ended { id: id.to_owned(), user, handled });
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // No code panics half way through a change, so the whole is sound in any case.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Resumption {
    /// Without the ids.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resumption").field("open", &self.lock().open.len()).finish_non_exhaustive()
    }
}
