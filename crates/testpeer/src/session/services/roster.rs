//! The roster of each account, in memory (RFC 6121, section 2).
//!
//! Leaves out subscriptions, so each item has none, and versions.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use epode_proto::Jid;
use epode_proto::xml::{Element, namespaces};

use crate::random;
use crate::server::Server;
use crate::session::conditions::StanzaCondition;

/// The rosters of one server, by user.
#[derive(Debug, Default)]
pub(crate) struct Rosters(Mutex<HashMap<String, Vec<Item>>>);

#[derive(Debug)]
struct Item {
    jid: Jid,
    name: Option<String>,
    groups: Vec<String>,
}

/// What a client wants.
enum Change {
    Set(Item),
    Remove(Jid),
}

impl Rosters {
    /// The whole roster of a user.
    pub(super) fn query(&self, user: &str) -> Element {
        let rosters = self.lock();
        let items = rosters.get(user).map(Vec::as_slice).unwrap_or_default();
        items.iter().map(Item::element).fold(Element::new("query", NAMESPACE), Element::with_child)
    }

    /// Does it, and gives the item as others are told of it.
    fn apply(&self, user: &str, change: Change, limit: usize) -> Result<Element, StanzaCondition> {
        let mut rosters = self.lock();
        let items = rosters.entry(user.to_owned()).or_default();
        let place = |jid: &Jid| items.iter().position(|item| item.jid == *jid);
        match change {
            Change::Remove(jid) => {
                let place = place(&jid).ok_or(StanzaCondition::ItemNotFound)?;
                Ok(items.remove(place).element().with_attr("subscription", "remove"))
            }
            Change::Set(item) => {
                let element = item.element();
                match place(&item.jid) {
                    Some(place) => items[place] = item,
                    None if items.len() < limit => items.push(item),
                    None => return Err(StanzaCondition::ResourceConstraint),
                }
                Ok(element)
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Item>>> {
        // No code panics half way through a change, so the map is whole in any case.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Changes one item of a user's roster, and tells the sessions that have asked for the roster.
pub(super) fn change(server: &Server, user: &str, query: &Element) -> Result<(), StanzaCondition> {
    let change = Change::parse(query)?;
    let item = server.rosters().apply(user, change, server.limits().roster)?;
    let query = Element::new("query", NAMESPACE).with_child(item);
    server.hub().deliver_each(user, |resource, traits| {
        let push = || {
            Element::new("iq", namespaces::CLIENT)
                .with_attr("type", "set")
                .with_attr("id", random::name())
                .with_attr("to", format!("{user}@{}/{resource}", server.domain()))
                .with_child(query.clone())
        };
        traits.interested.then(push)
    });
    Ok(())
}

impl Change {
    /// Reads the one item of a request (RFC 6121, sections 2.3.3 and 2.5.3).
    fn parse(query: &Element) -> Result<Self, StanzaCondition> {
        let mut children = query.children();
        let (Some(item), None) = (children.next(), children.next()) else {
            return Err(StanzaCondition::BadRequest);
        };
        let jid = item.attr("jid").filter(|_| item.is("item", NAMESPACE));
        let jid: Jid = jid.and_then(|it| it.parse().ok()).ok_or(StanzaCondition::BadRequest)?;
        if item.attr("subscription") == Some("remove") {
            return Ok(Self::Remove(jid));
        }
        let name = item.attr("name").map(str::to_owned);
        let mut groups: Vec<String> = Vec::new();
        for group in item.children().filter(|child| child.is("group", NAMESPACE)) {
            let group = group.text();
            if group.is_empty() || group.len() > MAX_NAME || groups.len() == MAX_GROUPS {
                return Err(StanzaCondition::NotAcceptable);
            }
            if groups.contains(&group) {
                return Err(StanzaCondition::BadRequest);
            }
            groups.push(group);
        }
        if name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return Err(StanzaCondition::NotAcceptable);
        }
        Ok(Self::Set(Item { jid, name, groups }))
    }
}

impl Item {
    fn element(&self) -> Element {
        let mut element = Element::new("item", NAMESPACE)
            .with_attr("jid", self.jid.as_str())
            .with_attr("subscription", "none");
        if let Some(name) = &self.name {
            element.set_attr("name", name.as_str());
        }
        for group in &self.groups {
            element.push(Element::new("group", NAMESPACE).with_text(group.as_str()));
        }
        element
    }
}

pub(super) const NAMESPACE: &str = "jabber:iq:roster";

/// The bytes of a name, as RFC 7622 has it for the parts of an address.
const MAX_NAME: usize = 1023;
const MAX_GROUPS: usize = 32;
