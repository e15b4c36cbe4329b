//! Where the handlers of a stanza are found without looking at the others.
//!
//! Patterns that have the same criteria are kept in one table, by what they want of them. So a
//! stanza is looked up once for each combination of criteria that is in use, and not once for each
//! handler, and whatever is found matches. What stands in a stanza comes first, since there are
//! several of it.

use std::{
    borrow::{Borrow, Cow},
    collections::{BTreeSet, HashMap},
};

use super::{
    Class, HandlerId,
    pattern::{Content, Pattern, Sender, children, namespaces, sender, without_fragment},
};
use crate::{Element, Jid};

/// The patterns of a dispatcher. It refers to the handlers by their ids.
#[derive(Default)]
pub(super) struct Index {
    /// Those that want nothing in it.
    anywhere: Tables,
    /// The others; none before the first.
    by_content: Option<Box<ByContent>>,
}

/// The patterns that want something in a stanza.
#[derive(Default)]
struct ByContent {
    /// This namespace.
    exact: Contents,
    /// This namespace, whatever its fragment.
    loose: Contents,
    /// This child.
    children: Contents,
}

type Contents = HashMap<Box<str>, Tables>;

impl Index {
    /// Ids must come in ascending order.
    pub(super) fn insert(&mut self, pattern: &Pattern, id: HandlerId, class: Class) {
        let tables = match self.contents(pattern) {
            None => &mut self.anywhere,
            Some((contents, wanted)) => contents.entry(wanted.into()).or_default(),
        };
        tables.insert(pattern, id, class);
    }

    pub(super) fn remove(&mut self, pattern: &Pattern, id: HandlerId) {
        let Some((contents, wanted)) = self.contents(pattern) else {
            return self.anywhere.remove(pattern, id);
        };
        if let Some(tables) = contents.get_mut(wanted) {
            tables.remove(pattern, id);
            if tables.0.is_empty() {
                contents.remove(wanted);
            }
        }
    }

    /// The handlers of a stanza, each once, in no order.
    pub(super) fn find(&self, stanza: &Element) -> Vec<(Class, HandlerId)> {
        let facts = Facts::of(stanza);
        let mut found = Vec::new();
        self.anywhere.find(&facts, &mut found);
        if let Some(contents) = &self.by_content {
            contents.find(stanza, &facts, &mut found);
        }
        found
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.anywhere.0.is_empty() && self.by_content.as_ref().is_none_or(|it| it.is_empty())
    }

    /// Where a pattern belongs that wants something in a stanza, and what it wants.
    fn contents<'p>(&mut self, pattern: &'p Pattern) -> Option<(&mut Contents, &'p str)> {
        let content = pattern.content.as_ref()?;
        let contents = self.by_content.get_or_insert_default();
        Some(match content {
            Content::Namespace(namespace) if pattern.ignores_fragment => {
                (&mut contents.loose, namespace)
            }
            Content::Namespace(namespace) => (&mut contents.exact, namespace),
            Content::Child(name) => (&mut contents.children, name),
        })
    }
}

impl ByContent {
    fn find(&self, stanza: &Element, facts: &Facts<'_>, found: &mut Vec<(Class, HandlerId)>) {
        if !self.children.is_empty() {
            let children = children(stanza);
            let wanted = children.iter().filter_map(|child| self.children.get(child.as_str()));
            wanted.for_each(|tables| tables.find(facts, found));
        }
        if self.exact.is_empty() && self.loose.is_empty() {
            return;
        }
        let namespaces = namespaces(stanza);
        let exact = namespaces.iter().filter_map(|namespace| self.exact.get(*namespace));
        exact.for_each(|tables| tables.find(facts, found));
        if !self.loose.is_empty() {
            let namespaces: BTreeSet<&str> = namespaces.into_iter().map(without_fragment).collect();
            let loose = namespaces.iter().filter_map(|namespace| self.loose.get(*namespace));
            loose.for_each(|tables| tables.find(facts, found));
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        [&self.exact, &self.loose, &self.children].into_iter().all(HashMap::is_empty)
    }
}

/// A table for each combination of criteria that is in use: at most 24.
#[derive(Default)]
struct Tables(Vec<(Shape, Table)>);

/// Handlers in ascending order, by what their patterns want.
type Table = HashMap<OwnedKey, Vec<(HandlerId, Class)>>;

impl Tables {
    fn insert(&mut self, pattern: &Pattern, id: HandlerId, class: Class) {
        let shape = Shape::of(pattern);
        let at = self.0.iter().position(|(other, _)| *other == shape).unwrap_or_else(|| {
            self.0.push((shape, Table::new()));
            self.0.len() - 1
        });
        for key in OwnedKey::all(pattern) {
            self.0[at].1.entry(key).or_default().push((id, class));
        }
    }

    fn remove(&mut self, pattern: &Pattern, id: HandlerId) {
        let shape = Shape::of(pattern);
        let Some(at) = self.0.iter().position(|(other, _)| *other == shape) else { return };
        let table = &mut self.0[at].1;
        for key in OwnedKey::all(pattern) {
            let Some(handlers) = table.get_mut(&key) else { continue };
            if let Ok(at) = handlers.binary_search_by_key(&id, |(id, _)| *id) {
                handlers.remove(at);
            }
            if handlers.is_empty() {
                table.remove(&key);
            }
        }
        if table.is_empty() {
            self.0.swap_remove(at);
        }
    }

    fn find(&self, facts: &Facts<'_>, found: &mut Vec<(Class, HandlerId)>) {
        for (shape, table) in &self.0 {
            let handlers = shape.key(facts).and_then(|key| table.get(&key));
            found.extend(handlers.into_iter().flatten().map(|(id, class)| (*class, *id)));
        }
    }
}

/// Which criteria a pattern has, those apart that say what stands in the stanza.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Shape {
    name: bool,
    kind: bool,
    id: bool,
    from: Reach,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Anybody,
    Bare,
    Exact,
}

impl Shape {
    fn of(pattern: &Pattern) -> Self {
        Self {
            name: pattern.name.is_some(),
            kind: pattern.kinds.is_some(),
            id: pattern.id.is_some(),
            from: match pattern.from {
                None => Reach::Anybody,
                Some(Sender::Bare(_)) => Reach::Bare,
                Some(Sender::Exact(_)) => Reach::Exact,
            },
        }
    }

    /// What patterns of this shape must want for a stanza to match; none if it lacks something.
    fn key<'a>(self, facts: &'a Facts<'a>) -> Option<Key<'a>> {
        Some(Key {
            name: self.name.then_some(Cow::Borrowed(facts.name)),
            kind: self.kind.then_some(Cow::Borrowed(facts.kind)),
            id: if self.id { Some(Cow::Borrowed(facts.id?)) } else { None },
            from: match self.from {
                Reach::Anybody => None,
                Reach::Bare => Some(Cow::Borrowed(facts.bare.as_ref()?)),
                Reach::Exact => Some(Cow::Borrowed(facts.from.as_ref()?)),
            },
        })
    }
}

/// What a stanza shows of itself.
struct Facts<'a> {
    name: &'a str,
    kind: &'a str,
    id: Option<&'a str>,
    from: Option<Jid>,
    bare: Option<Jid>,
}

impl<'a> Facts<'a> {
    fn of(stanza: &'a Element) -> Self {
        let from = sender(stanza);
        Self {
            name: stanza.name(),
            kind: stanza.attr("type").unwrap_or_default(),
            id: stanza.attr("id"),
            bare: from.as_ref().map(Jid::bare),
            from,
        }
    }
}

/// What patterns of one shape want. The fields that the shape lacks are none.
#[derive(PartialEq, Eq, Hash)]
struct Key<'a> {
    name: Option<Cow<'a, str>>,
    kind: Option<Cow<'a, str>>,
    id: Option<Cow<'a, str>>,
    from: Option<Cow<'a, Jid>>,
}

/// A key to be kept, which one of a stanza can look up.
#[derive(PartialEq, Eq, Hash)]
struct OwnedKey(Key<'static>);

impl<'a> Borrow<Key<'a>> for OwnedKey {
    fn borrow(&self) -> &Key<'a> {
        &self.0
    }
}

impl OwnedKey {
    /// A key for each type that the pattern takes, or one if it takes all.
    fn all(pattern: &Pattern) -> impl Iterator<Item = Self> {
        let owned = |text: &Option<String>| text.clone().map(Cow::Owned);
        let kinds = match &pattern.kinds {
            None => vec![None],
            Some(kinds) => kinds.iter().map(|kind| Some(kind.clone())).collect(),
        };
        kinds.into_iter().map(move |kind| {
            Self(Key {
                name: owned(&pattern.name),
                kind: owned(&kind),
                id: owned(&pattern.id),
                from: pattern.from.as_ref().map(|from| Cow::Owned(from.jid().clone())),
            })
        })
    }
}
