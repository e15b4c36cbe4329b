//! The bound sessions of a server, and the mailboxes through which they reach each other.
//!
//! Leaves out what stanzas mean: the sessions decide what goes where.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use epode_proto::xml::Element;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::random;

/// All bound sessions, by user.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    sessions: Mutex<HashMap<String, Vec<Entry>>>,
}

/// What comes through a mailbox. A mailbox that closes has overflown.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// A stanza from another session.
    Stanza(Box<Element>),
    /// Another session took this one's resource.
    Replaced,
}

/// What a server does when a resource is asked for that is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceConflict {
    /// The newcomer gets a resource of the server's making.
    #[default]
    Rename,
    /// The newcomer is refused with `conflict`.
    Refuse,
    /// The newcomer gets the resource, and the older session ends with the stream error
    /// `conflict`.
    Replace,
}

/// A place in the hub, given up when dropped.
#[derive(Debug)]
pub(crate) struct Registration {
    hub: Arc<Hub>,
    user: String,
    resource: String,
    id: String,
}

/// The resource is taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Taken;

#[derive(Debug)]
struct Entry {
    resource: String,
    /// Tells a replaced session from the one that replaced it.
    id: String,
    /// The client that holds it, by the id that it gives itself (XEP-0388).
    client: Option<String>,
    traits: Traits,
    mailbox: Sender<Delivery>,
}

/// What a session has asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traits {
    /// It is available.
    pub(crate) available: bool,
    /// It is to be told of changes of the roster.
    pub(crate) interested: bool,
    /// It is to get copies of messages.
    pub(crate) carbons: bool,
}

impl Hub {
    /// Registers a session, under another resource if that is the rule.
    pub(crate) fn register(
        self: &Arc<Self>,
        user: &str,
        resource: Option<&str>,
        rule: ResourceConflict,
        capacity: usize,
    ) -> Result<(Registration, Receiver<Delivery>), Taken> {
        let mut sessions = self.lock();
        let entries = sessions.entry(user.to_owned()).or_default();
        let mut resource = resource.map_or_else(random::name, str::to_owned);
        if let Some(taken) = entries.iter().position(|entry| entry.resource == resource) {
            match rule {
                ResourceConflict::Rename => resource = random::name(),
                ResourceConflict::Refuse => return Err(Taken),
                ResourceConflict::Replace => {
                    entries.swap_remove(taken).replace();
                }
            }
        }
        let (mailbox, deliveries) = mpsc::channel(capacity.max(1));
        let id = random::name();
        let traits = Traits::default();
        let entry =
            Entry { resource: resource.clone(), id: id.clone(), client: None, traits, mailbox };
        entries.push(entry);
        let hub = Arc::clone(self);
        Ok((Registration { hub, user: user.to_owned(), resource, id }, deliveries))
    }

    /// Delivers to one session, or to every session of the user; whether anybody got it.
    pub(crate) fn deliver(&self, user: &str, resource: Option<&str>, stanza: &Element) -> bool {
        let is_wanted = |name: &str| resource.is_none_or(|it| it == name);
        self.deliver_each(user, |name, _| is_wanted(name).then(|| stanza.clone()))
    }

    /// Delivers to the sessions of the user that said they are available; whether anybody got it.
    pub(crate) fn broadcast(&self, user: &str, stanza: &Element) -> bool {
        self.deliver_each(user, |_, traits| traits.available.then(|| stanza.clone()))
    }

    /// Delivers to each session of the user what there is for it; whether anybody got anything.
    pub(crate) fn deliver_each(
        &self,
        user: &str,
        stanza_for: impl Fn(&str, Traits) -> Option<Element>,
    ) -> bool {
        let mut sessions = self.lock();
        let Some(entries) = sessions.get_mut(user) else { return false };
        let mut delivered = false;
        // A session that does not read loses its place: its mailbox closes with the entry.
        entries.retain(|entry| {
            let sent = stanza_for(&entry.resource, entry.traits)
                .map(|stanza| entry.mailbox.try_send(Delivery::Stanza(Box::new(stanza))).is_ok());
            delivered |= sent == Some(true);
            sent != Some(false)
        });
        delivered
    }

    /// The resources of a user that are bound, in the order in which they were.
    pub(crate) fn resources(&self, user: &str) -> Vec<String> {
        let sessions = self.lock();
        let entries = sessions.get(user).into_iter().flatten();
        entries.map(|entry| entry.resource.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Entry>>> {
        // No code panics half way through a change, so the map is whole in any case.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    /// Ends the session for a newer one.
    fn replace(self) {
        // A full mailbox closes, which ends the session just the same.
        let _ = self.mailbox.try_send(Delivery::Replaced);
    }
}

impl Registration {
    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn resource(&self) -> &str {
        &self.resource
    }

    /// Notes whether the session is available; gives what was noted before.
    pub(crate) fn set_available(&self, available: bool) -> bool {
        self.change(|traits| std::mem::replace(&mut traits.available, available))
    }

    /// Notes that the session has asked for the roster.
    pub(crate) fn set_interested(&self) {
        self.change(|traits| traits.interested = true);
    }

    /// Notes whether the session wants copies of messages.
    pub(crate) fn set_carbons(&self, carbons: bool) {
        self.change(|traits| traits.carbons = carbons);
    }

    /// Notes which client holds the session, and ends the others that it holds (XEP-0386, section
    /// 3.2).
    pub(crate) fn set_client(&self, client: &str) {
        let mut sessions = self.hub.lock();
        let Some(entries) = sessions.get_mut(&self.user) else { return };
        let is_earlier = |it: &mut Entry| it.id != self.id && it.client.as_deref() == Some(client);
        entries.extract_if(.., is_earlier).for_each(Entry::replace);
        if let Some(ours) = entries.iter_mut().find(|entry| entry.id == self.id) {
            ours.client = Some(client.to_owned());
        }
    }

    fn change<R: Default>(&self, change: impl FnOnce(&mut Traits) -> R) -> R {
        let mut sessions = self.hub.lock();
        let entries = sessions.get_mut(&self.user).map(Vec::as_mut_slice).unwrap_or_default();
        let ours = entries.iter_mut().find(|entry| entry.id == self.id);
        ours.map(|entry| change(&mut entry.traits)).unwrap_or_default()
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let mut sessions = self.hub.lock();
        if let Some(entries) = sessions.get_mut(&self.user) {
            entries.retain(|entry| entry.id != self.id);
            if entries.is_empty() {
                sessions.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub() -> Arc<Hub> {
        Arc::default()
    }

    fn stanza() -> Element {
        Element::new("message", "jabber:client")
    }

    #[test]
    fn a_taken_resource_is_renamed_refused_or_replaced() {
        let hub = hub();
        let bind = |rule| hub.register("a", Some("r"), rule, 1);
        let (first, mut mailbox) = bind(ResourceConflict::Rename).unwrap();
        assert_eq!(first.resource(), "r");
        assert_eq!(bind(ResourceConflict::Refuse).unwrap_err(), Taken);
        assert_ne!(bind(ResourceConflict::Rename).unwrap().0.resource(), "r");
        let (second, _mailbox) = bind(ResourceConflict::Replace).unwrap();
        assert!(matches!(mailbox.try_recv(), Ok(Delivery::Replaced)));
        drop(first);
        assert!(hub.deliver("a", Some("r"), &stanza()), "the replaced one leaves alone");
        drop(second);
        assert!(!hub.deliver("a", None, &stanza()));
    }

    #[test]
    fn a_full_mailbox_costs_its_place() {
        let hub = hub();
        let (_registration, mut mailbox) =
            hub.register("a", None, ResourceConflict::Rename, 1).unwrap();
        assert!(hub.deliver("a", None, &stanza()));
        assert!(!hub.deliver("a", None, &stanza()));
        assert!(matches!(mailbox.try_recv(), Ok(Delivery::Stanza(_))));
        assert!(matches!(mailbox.try_recv(), Err(mpsc::error::TryRecvError::Disconnected)));
    }

    #[test]
    fn a_client_has_one_session_of_those_that_name_it() {
        let hub = hub();
        let bind = || hub.register("a", None, ResourceConflict::Rename, 1).unwrap();
        let ((first, mut earlier), (second, mut later), (_third, mut nameless)) =
            (bind(), bind(), bind());
        first.set_client("x");
        first.set_client("x");
        assert!(earlier.try_recv().is_err());
        second.set_client("x");
        assert!(matches!(earlier.try_recv(), Ok(Delivery::Replaced)));
        assert!(later.try_recv().is_err() && nameless.try_recv().is_err());
    }

    #[test]
    fn broadcasts_reach_the_available() {
        let hub = hub();
        let bind = || hub.register("a", None, ResourceConflict::Rename, 1).unwrap();
        let ((here, mut near), (_away, mut far)) = (bind(), bind());
        assert!(!here.set_available(true));
        hub.broadcast("a", &stanza());
        assert!(near.try_recv().is_ok());
        assert!(far.try_recv().is_err());
        assert!(here.set_available(false));
    }
}
