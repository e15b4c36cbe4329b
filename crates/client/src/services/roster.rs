//! The roster: the contacts of an account, kept by its server (RFC 6121, section 2).
//!
//! Leaves out versions of it, and subscriptions, which are made with presence
//! ([`Presence::subscribe`](epode_proto::stanza::Presence::subscribe)).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use epode_proto::{
    Element, Jid,
    dispatch::TooManyHandlers,
    stanza::{self, Iq, StanzaError, StanzaErrorCondition},
};
use tokio::sync::watch;

use super::{Answering, ServiceError, content};
use crate::{Outbox, RequestError};

/// A contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Whose it is, without a resource as a rule.
    pub jid: Jid,
    /// What we call it.
    pub name: Option<String>,
    /// Who hears of whose presence; the server's to say.
    pub subscription: Subscription,
    /// Whether we have asked to hear of its presence and wait for the answer; the server's to say.
    pub is_asked: bool,
    /// Where we put it.
    pub groups: BTreeSet<String>,
}

impl Item {
    /// A contact without a name.
    #[must_use]
    pub fn new(jid: Jid) -> Self {
        let subscription = Subscription::None;
        Self { jid, name: None, subscription, is_asked: false, groups: BTreeSet::new() }
    }

    /// Gives it a name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Puts it into a group.
    #[must_use]
    pub fn with_group(mut self, group: impl Into<String>) -> Self {
        self.groups.insert(group.into());
        self
    }

    fn parse(item: &Element) -> Option<Self> {
        let subscription = match item.attr("subscription") {
            Some("to") => Subscription::To,
            Some("from") => Subscription::From,
            Some("both") => Subscription::Both,
            _ => Subscription::None,
        };
        let groups = item.children().filter(|child| child.is("group", NAMESPACE));
        Some(Self {
            jid: item.attr("jid")?.parse().ok()?,
            name: item.attr("name").map(str::to_owned),
            subscription,
            is_asked: item.attr("ask") == Some("subscribe"),
            groups: groups.map(Element::text).collect(),
        })
    }

    /// What a client may say of it.
    fn element(&self) -> Element {
        let mut item = Element::new("item", NAMESPACE).with_attr("jid", self.jid.as_str());
        if let Some(name) = &self.name {
            item.set_attr("name", name.as_str());
        }
        let group = |name: &String| Element::new("group", NAMESPACE).with_text(name.as_str());
        self.groups.iter().map(group).fold(item, Element::with_child)
    }
}

/// Who hears of whose presence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscription {
    /// Nobody.
    None,
    /// We hear of the contact's.
    To,
    /// The contact hears of ours.
    From,
    /// Each of the other's.
    Both,
}

/// Why there is no roster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RosterError {
    /// The server gave none.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// It is larger than it may be.
    #[error("the roster has more than {limit} contacts: allow more, or remove some elsewhere")]
    TooLarge {
        /// How many it may have.
        limit: usize,
    },
    /// Changes of it could not be followed.
    #[error(transparent)]
    TooManyHandlers(#[from] TooManyHandlers),
}

impl From<RequestError> for RosterError {
    fn from(error: RequestError) -> Self {
        Self::Service(error.into())
    }
}

/// The roster, kept current by what the server tells of changes. As an [`Outbox`], it keeps the
/// session connected.
///
/// A session that is resumed goes on telling; a new one does so once it is asked: call
/// [`renew`](Self::renew) when there is one.
///
/// ```
/// use epode::{Builder, Status, services::roster::{Item, Roster}};
///
/// # async fn example(mut client: Builder) -> Result<(), Box<dyn std::error::Error>> {
/// let mut statuses = client.watch();
/// let session = client.connect().await?;
/// let roster = Roster::fetch(&session.outbox(), 1000).await?;
/// roster.set(&Item::new("bob@example.org".parse()?).with_name("Bob")).await?;
/// while let Some(status) = statuses.next().await {
///     match status {
///         Status::Connected(connected) if !connected.resumed => roster.renew().await?,
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Roster {
    outbox: Outbox,
    kept: Arc<Mutex<Kept>>,
    /// One at a time: the pushes since the last question belong to its answer.
    renewing: tokio::sync::Mutex<()>,
    changes: watch::Receiver<u64>,
    _pushes: Answering,
}

impl Roster {
    /// Asks for the roster, and for news of its changes. It may have as many as `limit` contacts.
    ///
    /// # Errors
    ///
    /// [`RosterError`].
    pub async fn fetch(outbox: &Outbox, limit: usize) -> Result<Self, RosterError> {
        let (changed, changes) = watch::channel(0);
        let kept = Kept { items: BTreeMap::new(), pushed: None, limit, changed };
        let kept = Arc::new(Mutex::new(kept));
        let (shared, account) = (Arc::clone(&kept), outbox.jid().bare());
        let pushes =
            Answering::requests(outbox, "set", ("query", NAMESPACE), move |push, query| {
                let sender = stanza::from(push);
                if !sender.is_ok_and(|sender| sender.is_none_or(|sender| sender == account)) {
                    // As if there were no roster, so that nobody learns of one (section 2.1.6).
                    return Err(StanzaError::new(StanzaErrorCondition::ServiceUnavailable));
                }
                lock(&shared).push(Change::parse(query)?).map(|()| None)
            })?;
        let renewing = tokio::sync::Mutex::default();
        let roster = Self { outbox: outbox.clone(), kept, renewing, changes, _pushes: pushes };
        roster.renew().await?;
        Ok(roster)
    }

    /// Asks for the whole of it again, as is right in a new session.
    ///
    /// # Errors
    ///
    /// [`RosterError`]: it stays as it was.
    pub async fn renew(&self) -> Result<(), RosterError> {
        let _one = self.renewing.lock().await;
        lock(&self.kept).pushed = Some(BTreeMap::new());
        let answer = self.outbox.send_iq(Iq::get(Element::new("query", NAMESPACE))).await;
        let mut kept = lock(&self.kept);
        let pushed = kept.pushed.take().unwrap_or_default();
        kept.replace(content(&answer?, "query", NAMESPACE)?, pushed)
    }

    /// All contacts, in the order of their addresses. One whose address is none is left out.
    #[must_use]
    pub fn items(&self) -> Vec<Item> {
        lock(&self.kept).items.values().cloned().collect()
    }

    /// One contact.
    #[must_use]
    pub fn item(&self, jid: &Jid) -> Option<Item> {
        lock(&self.kept).items.get(jid).cloned()
    }

    /// Counts the changes: await the next one there.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Adds a contact, or changes its name and groups. It is seen here once the server has told
    /// all clients of the account.
    ///
    /// # Errors
    ///
    /// As [`Outbox::send_iq`].
    pub async fn set(&self, item: &Item) -> Result<(), RequestError> {
        self.change(item.element()).await
    }

    /// Removes a contact, and with it all subscriptions.
    ///
    /// # Errors
    ///
    /// As [`Outbox::send_iq`]: `item-not-found`, where there is none.
    pub async fn remove(&self, jid: &Jid) -> Result<(), RequestError> {
        let item = Element::new("item", NAMESPACE).with_attr("jid", jid.as_str());
        self.change(item.with_attr("subscription", "remove")).await
    }

    async fn change(&self, item: Element) -> Result<(), RequestError> {
        let query = Element::new("query", NAMESPACE).with_child(item);
        self.outbox.send_iq(Iq::set(query)).await.map(drop)
    }
}

/// What is known, shared with the handler of pushes.
#[derive(Debug)]
struct Kept {
    items: BTreeMap<Jid, Item>,
    /// The last change of each contact since the roster was asked for, while it has not come.
    pushed: Option<BTreeMap<Jid, Change>>,
    limit: usize,
    changed: watch::Sender<u64>,
}

impl Kept {
    /// Takes the answer of the server. What was told meanwhile may be newer, and is never older.
    fn replace(
        &mut self,
        query: &Element,
        pushed: BTreeMap<Jid, Change>,
    ) -> Result<(), RosterError> {
        let items = query.children().filter(|it| it.is("item", NAMESPACE));
        let items = items.filter_map(Item::parse);
        let mut items = items.map(|item| (item.jid.clone(), item)).collect();
        pushed.into_values().for_each(|change| change.apply(&mut items));
        if items.len() > self.limit {
            return Err(RosterError::TooLarge { limit: self.limit });
        }
        self.items = items;
        self.changed.send_modify(|count| *count += 1);
        Ok(())
    }

    fn push(&mut self, change: Change) -> Result<(), StanzaError> {
        let is_full = |len: usize| len >= self.limit;
        let is_new = matches!(&change, Change::Set(it) if !self.items.contains_key(&it.jid));
        if is_new && is_full(self.items.len())
            || self.pushed.as_ref().is_some_and(|pushed| is_full(pushed.len()))
        {
            return Err(StanzaError::new(StanzaErrorCondition::ResourceConstraint));
        }
        if let Some(pushed) = &mut self.pushed {
            pushed.insert(change.jid().clone(), change.clone());
        }
        change.apply(&mut self.items);
        self.changed.send_modify(|count| *count += 1);
        Ok(())
    }
}

/// What a push tells.
#[derive(Clone, Debug)]
enum Change {
    Set(Item),
    Remove(Jid),
}

impl Change {
    /// There is exactly one item in a push.
    fn parse(query: &Element) -> Result<Self, StanzaError> {
        let bad = || StanzaError::new(StanzaErrorCondition::BadRequest);
        let mut items = query.children().filter(|child| child.is("item", NAMESPACE));
        let (Some(element), None) = (items.next(), items.next()) else { return Err(bad()) };
        let item = Item::parse(element).ok_or_else(bad)?;
        match element.attr("subscription") {
            Some("remove") => Ok(Self::Remove(item.jid)),
            _ => Ok(Self::Set(item)),
        }
    }

    fn jid(&self) -> &Jid {
        match self {
            Self::Set(item) => &item.jid,
            Self::Remove(jid) => jid,
        }
    }

    fn apply(self, items: &mut BTreeMap<Jid, Item>) {
        match self {
            Self::Set(item) => drop(items.insert(item.jid.clone(), item)),
            Self::Remove(jid) => drop(items.remove(&jid)),
        }
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    // No code panics half way through a change, so it is whole in any case.
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a push and a request are about.
pub const NAMESPACE: &str = "jabber:iq:roster";

#[cfg(test)]
mod tests {
    use super::*;

    fn query(items: &str) -> Element {
        Element::parse(&format!("<query xmlns='{NAMESPACE}'>{items}</query>")).unwrap()
    }

    fn condition(refused: Result<impl std::fmt::Debug, StanzaError>) -> StanzaErrorCondition {
        refused.unwrap_err().condition
    }

    #[test]
    fn a_push_has_exactly_one_item_with_an_address() {
        let bob: Jid = "bob@b".parse().unwrap();
        let set = Change::parse(&query(
            "<item jid='bob@b' name='B' subscription='to' ask='subscribe'><group>g</group></item>",
        ));
        let Ok(Change::Set(item)) = set else { panic!("{set:?}") };
        let expected = Item::new(bob.clone()).with_name("B").with_group("g");
        let expected = Item { subscription: Subscription::To, is_asked: true, ..expected };
        assert_eq!(item, expected);
        let removed = Change::parse(&query("<item jid='bob@b' subscription='remove'/>"));
        assert!(matches!(removed, Ok(Change::Remove(jid)) if jid == bob));
        for bad in ["", "<item/>", "<item jid='@b'/>", "<item jid='a@b'/><item jid='c@b'/>"] {
            let refused = Change::parse(&query(bad));
            assert_eq!(condition(refused), StanzaErrorCondition::BadRequest, "{bad}");
        }
    }

    #[test]
    fn no_more_contacts_are_kept_than_are_allowed() {
        let (changed, changes) = watch::channel(0);
        let mut kept = Kept { items: BTreeMap::new(), pushed: None, limit: 2, changed };
        let set = |name: &str| Change::Set(Item::new(name.parse().unwrap()));
        for name in ["a@b", "c@b", "a@b"] {
            kept.push(set(name)).unwrap();
        }
        assert_eq!(condition(kept.push(set("d@b"))), StanzaErrorCondition::ResourceConstraint);
        kept.push(Change::Remove("a@b".parse().unwrap())).unwrap();
        kept.push(set("d@b")).unwrap();
        assert_eq!((kept.items.len(), *changes.borrow()), (2, 5));

        kept.pushed = Some(BTreeMap::new());
        for name in ["x@b", "y@b"] {
            kept.push(Change::Remove(name.parse().unwrap())).unwrap();
        }
        let third = kept.push(Change::Remove("z@b".parse().unwrap()));
        assert_eq!(condition(third), StanzaErrorCondition::ResourceConstraint);
    }

    #[test]
    fn what_was_told_meanwhile_holds() {
        let (changed, _) = watch::channel(0);
        let pushed = Some(BTreeMap::new());
        let mut kept = Kept { items: BTreeMap::new(), pushed, limit: 3, changed };
        kept.push(Change::Remove("a@b".parse().unwrap())).unwrap();
        kept.push(Change::Set(Item::new("c@b".parse().unwrap()).with_name("new"))).unwrap();
        let pushed = kept.pushed.take().unwrap();
        let answer = query("<item jid='a@b'/><item jid='b@b'/><item jid='@'/><item jid='c@b'/>");
        kept.replace(&answer, pushed).unwrap();
        let names: Vec<_> =
            kept.items.values().map(|it| (it.jid.as_str(), it.name.as_deref())).collect();
        assert_eq!(names, [("b@b", None), ("c@b", Some("new"))]);
        let four = query("<item jid='a@b'/><item jid='b@b'/><item jid='c@b'/><item jid='d@b'/>");
        let refused = kept.replace(&four, BTreeMap::new());
        assert_eq!(refused, Err(RosterError::TooLarge { limit: 3 }));
        assert_eq!(kept.items.len(), 2, "it stays as it was");
    }
}
