//! What a handler wants of a stanza: criteria that must hold together.
//!
//! No text is looked into, and nothing is known of our own address: a stanza without `from` comes
//! from nobody.

use std::collections::BTreeSet;

use crate::{Element, Jid};

/// What a stanza must be like. All criteria must hold, and without any each stanza matches; to set
/// one again is to replace it.
///
/// ```
/// use epode_proto::{Element, dispatch::Pattern};
///
/// let pattern = Pattern::message().kind("chat").from_bare("bob@example.org".parse()?);
/// let chat = Element::parse(
///     "<message xmlns='jabber:client' type='chat' from='Bob@example.org/desk'/>",
/// )?;
/// assert!(pattern.matches(&chat));
/// assert!(!pattern.id("7").matches(&chat));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    pub(super) content: Option<Content>,
    pub(super) ignores_fragment: bool,
    pub(super) name: Option<String>,
    pub(super) kinds: Option<BTreeSet<String>>,
    pub(super) id: Option<String>,
    pub(super) from: Option<Sender>,
}

/// What must stand in a stanza.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// An element of this namespace at any depth, the stanza itself included.
    Namespace(String),
    /// A child of the stanza, by its [`expanded_name`].
    Child(String),
}

/// Whom a stanza must come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    /// From this address alone.
    Exact(Jid),
    /// From this bare address, whatever the resource.
    Bare(Jid),
}

impl Pattern {
    /// Each stanza.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// No stanza at all: for a handler that is registered with the others and called by something
    /// else, such as a timer.
    #[must_use]
    pub fn none() -> Self {
        Self::any().kinds::<&str>([])
    }

    /// Each `<message/>`.
    #[must_use]
    pub fn message() -> Self {
        Self::any().name("message")
    }

    /// Each `<presence/>`.
    #[must_use]
    pub fn presence() -> Self {
        Self::any().name("presence")
    }

    /// Each `<iq/>`.
    #[must_use]
    pub fn iq() -> Self {
        Self::any().name("iq")
    }

    /// The stanza, or an element inside it at any depth, has this namespace. So it also finds what
    /// somebody else wrote and this stanza only forwards; for what the stanza itself says, there is
    /// [`child`](Self::child). Of the two, the last one that is called counts.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.content = Some(Content::Namespace(namespace.into()));
        self
    }

    /// The stanza has a child of this local name and namespace: what it says itself, and nothing
    /// that stands deeper. It takes the place of [`namespace`](Self::namespace).
    ///
    /// ```
    /// use epode_proto::{Element, dispatch::Pattern};
    ///
    /// let request = Element::parse(
    ///     "<message xmlns='jabber:client'><request xmlns='urn:xmpp:receipts'/></message>",
    /// )?;
    /// let forwarding = Element::new("message", "jabber:client")
    ///     .with_child(Element::new("forwarded", "urn:xmpp:forward:0").with_child(request.clone()));
    /// let pattern = Pattern::message().child("request", "urn:xmpp:receipts");
    /// assert!(pattern.matches(&request) && !pattern.matches(&forwarding));
    /// assert!(Pattern::message().namespace("urn:xmpp:receipts").matches(&forwarding));
    /// # Ok::<(), epode_proto::xml::XmlError>(())
    /// ```
    #[must_use]
    pub fn child(mut self, name: &str, namespace: &str) -> Self {
        self.content = Some(Content::Child(expanded_name(name, namespace)));
        self
    }

    /// What follows a `#` in a namespace of the stanza does not count for
    /// [`namespace`](Self::namespace): `http://jabber.org/protocol/muc` then also finds
    /// `http://jabber.org/protocol/muc#user`. The pattern's own namespace is left as it is.
    #[must_use]
    pub fn ignore_namespace_fragment(mut self) -> Self {
        self.ignores_fragment = true;
        self
    }

    /// The local name of the stanza.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The attribute `type`. A stanza without one has the type `""`.
    #[must_use]
    pub fn kind(self, kind: impl Into<String>) -> Self {
        self.kinds([kind])
    }

    /// The attribute `type` is one of these: `["normal", ""]` also takes the messages that leave
    /// their type out.
    #[must_use]
    pub fn kinds<K: Into<String>>(mut self, kinds: impl IntoIterator<Item = K>) -> Self {
        self.kinds = Some(kinds.into_iter().map(Into::into).collect());
        self
    }

    /// The attribute `id`, exactly.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The sender, resource included: a bare address does not find those with a resource.
    /// Addresses are equal as [`Jid`] has it.
    #[must_use]
    pub fn from(mut self, sender: Jid) -> Self {
        self.from = Some(Sender::Exact(sender));
        self
    }

    /// The sender without its resource; one of `sender` is left out of the comparison too.
    #[must_use]
    pub fn from_bare(mut self, sender: Jid) -> Self {
        self.from = Some(Sender::Bare(sender.bare()));
        self
    }

    /// Whether this stanza is meant. A [`Dispatcher`](super::Dispatcher) finds out for all its
    /// patterns at once.
    #[must_use]
    pub fn matches(&self, stanza: &Element) -> bool {
        let kind = || stanza.attr("type").unwrap_or_default();
        self.name.as_ref().is_none_or(|name| name == stanza.name())
            && self.kinds.as_ref().is_none_or(|kinds| kinds.contains(kind()))
            && self.id.as_ref().is_none_or(|id| Some(id.as_str()) == stanza.attr("id"))
            && self.from.as_ref().is_none_or(|from| sender(stanza).is_some_and(|s| from.is(&s)))
            && self.content.as_ref().is_none_or(|content| match content {
                Content::Namespace(namespace) => {
                    let ignores = self.ignores_fragment;
                    let seen = |found| if ignores { without_fragment(found) } else { found };
                    namespaces(stanza).into_iter().any(|found| seen(found) == namespace)
                }
                Content::Child(name) => children(stanza).contains(name),
            })
    }
}

impl Sender {
    pub(super) fn jid(&self) -> &Jid {
        let (Self::Exact(jid) | Self::Bare(jid)) = self;
        jid
    }

    fn is(&self, sender: &Jid) -> bool {
        match self {
            Self::Exact(jid) => jid == sender,
            Self::Bare(jid) => *jid == sender.bare(),
        }
    }
}

/// Who sent a stanza; nobody, if it says so with something that is no address.
pub(super) fn sender(stanza: &Element) -> Option<Jid> {
    stanza.attr("from")?.parse().ok()
}

/// The namespaces of an element and of all that stands inside it.
pub(super) fn namespaces(stanza: &Element) -> BTreeSet<&str> {
    let mut found = BTreeSet::new();
    let mut pending = vec![stanza];
    while let Some(element) = pending.pop() {
        found.insert(element.namespace());
        pending.extend(element.children());
    }
    found
}

/// The expanded names of a stanza's children.
pub(super) fn children(stanza: &Element) -> BTreeSet<String> {
    stanza.children().map(|child| expanded_name(child.name(), child.namespace())).collect()
}

/// A name and its namespace as one text. No name has a space.
fn expanded_name(name: &str, namespace: &str) -> String {
    format!("{name} {namespace}")
}

pub(super) fn without_fragment(namespace: &str) -> &str {
    namespace.split_once('#').map_or(namespace, |(before, _)| before)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MUC: &str = "http://jabber.org/protocol/muc";

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    /// Which of `stanzas`, given by what follows `<`, a pattern takes.
    #[track_caller]
    fn check(pattern: &Pattern, taken: &[&str], left: &[&str]) {
        for (stanzas, expected) in [(taken, true), (left, false)] {
            for stanza in stanzas {
                let element = Element::parse(&format!("<{stanza}")).unwrap();
                assert_eq!(pattern.matches(&element), expected, "{pattern:?} of {element}");
            }
        }
    }

    #[test]
    fn names_are_compared_exactly() {
        let stanzas = ["message/>", "iq/>", "presence/>", "Message/>"];
        check(&Pattern::any(), &stanzas, &[]);
        check(&Pattern::none(), &[], &stanzas);
        check(&Pattern::message(), &stanzas[..1], &stanzas[1..]);
        check(&Pattern::iq(), &["iq/>"], &["iq2/>", "IQ/>", "a><iq/></a>"]);
        check(&Pattern::presence(), &["presence/>"], &["message/>", "iq/>", "pres/>"]);
        check(&Pattern::iq().name("message"), &["message/>"], &["iq/>"]);
    }

    #[test]
    fn a_namespace_may_be_that_of_any_descendant() {
        let taken = [
            "iq xmlns='urn:a'/>",
            "iq xmlns='urn:b'><q xmlns='urn:a'/></iq>",
            "iq><q><r><s xmlns='urn:b'/><s xmlns='urn:a'/></r></q></iq>",
            "p:iq xmlns:p='urn:a'/>",
        ];
        let left = [
            "iq/>",
            "iq xmlns='urn:A'/>",
            "iq xmlns='urn:a#b'/>",
            "iq xmlns:p='urn:a'/>", // declared and used by nothing
            "iq p:x='' xmlns:p='urn:a'/>",
            "iq>urn:a</iq>",
        ];
        check(&Pattern::any().namespace("urn:a"), &taken, &left);
        check(&Pattern::any().namespace(""), &["iq/>"], &taken[..1]);
    }

    #[test]
    fn a_child_is_what_the_stanza_itself_says() {
        let taken = [
            "iq><q xmlns='urn:a'/></iq>",
            "iq><r xmlns='urn:a'/><p:q xmlns:p='urn:a'><r/></p:q></iq>",
            "message xmlns='urn:b'><q xmlns='urn:a'/><q xmlns='urn:a'/></message>",
        ];
        let left = [
            "iq/>",
            "q xmlns='urn:a'/>",
            "iq><q xmlns='urn:b'/></iq>",
            "iq><r xmlns='urn:a'/></iq>",
            "iq><q xmlns='urn:a#b'/></iq>",
            "iq><r><q xmlns='urn:a'/></r></iq>",
        ];
        let pattern = Pattern::any().child("q", "urn:a");
        check(&pattern, &taken, &left);
        check(&pattern.clone().ignore_namespace_fragment(), &taken, &left);
        check(&Pattern::any().child("q urn:a", ""), &[], &taken);
        check(&pattern.namespace("urn:b"), &left[2..3], &left[..2]); // the last one counts
    }

    #[test]
    fn fragments_are_ignored_on_the_side_of_the_stanza_only() {
        let user = format!("message><x xmlns='{MUC}#user'/></message>");
        let twice = format!("message><x xmlns='{MUC}#a#b'/></message>");
        let plain = format!("message><x xmlns='{MUC}'/></message>");
        let other = format!("message><x xmlns='{MUC}s#user'/></message>");
        let (with, without) = (format!("{MUC}#user"), MUC);
        let loose =
            |namespace: &str| Pattern::any().ignore_namespace_fragment().namespace(namespace);
        check(&loose(without), &[&user, &twice, &plain], &[&other]);
        check(&loose(&with), &[], &[&user, &twice, &plain, &other]);
        check(&Pattern::any().namespace(without), &[&plain], &[&user, &twice, &other]);
        check(&Pattern::any().namespace(with), &[&user], &[&twice, &plain, &other]);
        check(&Pattern::any().ignore_namespace_fragment(), &[&user, &other], &[]);
    }

    #[test]
    fn a_missing_type_is_the_empty_one() {
        let (chat, normal) = ("message type='chat'/>", "message type='normal'/>");
        let (missing, empty) = ("message/>", "message type=''/>");
        check(&Pattern::any().kind("chat"), &[chat], &[normal, missing, empty]);
        check(&Pattern::any().kind(""), &[missing, empty], &[chat, normal]);
        check(&Pattern::any().kinds(["normal", ""]), &[normal, missing, empty], &[chat]);
        check(&Pattern::any().kinds(["Chat", "chat "]), &[], &[chat, normal, missing, empty]);
        check(&Pattern::any().kind("chat").kind("normal"), &[normal], &[chat, missing]);
    }

    #[test]
    fn an_id_is_exact_and_must_be_there() {
        check(&Pattern::any().id("a1"), &["iq id='a1'/>"], &["iq/>", "iq id='A1'/>", "iq id=''/>"]);
        check(&Pattern::any().id(""), &["iq id=''/>"], &["iq/>", "iq id='a1'/>"]);
    }

    #[test]
    fn a_sender_is_compared_as_an_address() {
        let full = "iq from='Bob@Example.org/desk'/>";
        let bare = "iq from='bob@example.org'/>";
        let others = [
            "iq/>",
            "iq from=''/>",
            "iq from='@example.org'/>",
            "iq from='example.org'/>",
            "iq from='rob@example.org/desk'/>",
            "iq from='bob@example.org/Desk'/>",
            "iq to='bob@example.org/desk'/>",
        ];
        check(&Pattern::any().from(jid("bob@example.org/desk")), &[full], &others);
        check(&Pattern::any().from(jid("bob@example.org/desk")), &[], &[bare]);
        check(&Pattern::any().from(jid("bob@EXAMPLE.org")), &[bare], &[full, others[5]]);
        check(&Pattern::any().from_bare(jid("bob@example.org")), &[full, bare], &others[..5]);
        check(
            &Pattern::any().from_bare(jid("bob@example.org/phone")),
            &[full, bare, others[5]],
            &[],
        );
        check(&Pattern::any().from(jid("example.org")), &[others[3]], &[full, bare]);
        // An @ in a resource is none of the address.
        let room = "iq from='example.org/foo@bar'/>";
        check(&Pattern::any().from_bare(jid("example.org")), &[room], &[bare]);
    }

    #[test]
    fn all_criteria_hold_together() {
        let pattern = Pattern::iq().kind("set").namespace("urn:a").id("1").from(jid("a.org"));
        let whole = "iq type='set' id='1' from='a.org'><q xmlns='urn:a'/></iq>";
        let lacking = [
            "jq type='set' id='1' from='a.org'><q xmlns='urn:a'/></jq>",
            "iq type='get' id='1' from='a.org'><q xmlns='urn:a'/></iq>",
            "iq type='set' id='2' from='a.org'><q xmlns='urn:a'/></iq>",
            "iq type='set' id='1' from='b.org'><q xmlns='urn:a'/></iq>",
            "iq type='set' id='1' from='a.org'><q xmlns='urn:b'/></iq>",
        ];
        check(&pattern, &[whole], &lacking);
    }
}
