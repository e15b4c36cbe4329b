//! What somebody is and can do, and what there is at their place (XEP-0030).
//!
//! We have no items. Whether an answer may be kept for others too is known by
//! [`entity_caps`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use epode_proto::{
    Element, Jid,
    dispatch::TooManyHandlers,
    stanza::{Iq, StanzaError, StanzaErrorCondition},
    xml::namespaces::{PING, XML},
};

use super::{
    Answering, ServiceError, content,
    entity_caps::{self, Capabilities},
};
use crate::Outbox;

/// What somebody is: a category and a type of the registry of identities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// As `client`, `server` or `conference`.
    pub category: String,
    /// As `pc`, `phone` or `bot`.
    pub kind: String,
    /// The language of the name.
    pub lang: Option<String>,
    /// For people.
    pub name: Option<String>,
}

impl Identity {
    /// One without a name.
    #[must_use]
    pub fn new(category: impl Into<String>, kind: impl Into<String>) -> Self {
        Self { category: category.into(), kind: kind.into(), lang: None, name: None }
    }

    /// Gives it a name for people.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Says of which language the name is.
    #[must_use]
    pub fn with_lang(mut self, lang: impl Into<String>) -> Self {
        self.lang = Some(lang.into());
        self
    }

    fn parse(element: &Element) -> Result<Self, ServiceError> {
        let attr = |name| element.attr(name).map(str::to_owned);
        let (Some(category), Some(kind)) = (attr("category"), attr("type")) else {
            return Err(ServiceError::BadAnswer("an identity without category or type"));
        };
        let lang = element.attr_ns(XML, "lang").map(str::to_owned);
        Ok(Self { category, kind, lang, name: attr("name") })
    }
}

impl From<&Identity> for Element {
    fn from(identity: &Identity) -> Self {
        let mut element = Self::new("identity", INFO)
            .with_attr("category", identity.category.as_str())
            .with_attr("type", identity.kind.as_str());
        if let Some(lang) = &identity.lang {
            element.set_attr_ns(XML, "lang", lang.as_str());
        }
        if let Some(name) = &identity.name {
            element.set_attr("name", name.as_str());
        }
        element
    }
}

/// What somebody says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// What it is; a list, since it may be several things, and have a name in several languages.
    pub identities: Vec<Identity>,
    /// What it can do.
    pub features: Vec<String>,
    /// What else it says: forms, as they are (XEP-0128).
    pub forms: Vec<Element>,
}

impl Info {
    /// Whether it can do this.
    #[must_use]
    pub fn has_feature(&self, feature: &str) -> bool {
        self.features.iter().any(|known| known == feature)
    }

    /// Reads a `<query/>` that answers.
    ///
    /// # Errors
    ///
    /// [`ServiceError::BadAnswer`] if an identity or a feature is not as it should be.
    pub fn parse(query: &Element) -> Result<Self, ServiceError> {
        let mut info = Self::default();
        for child in query.children() {
            match (child.name(), child.namespace()) {
                ("identity", INFO) => info.identities.push(Identity::parse(child)?),
                ("feature", INFO) => {
                    let var = child.attr("var");
                    let var = var.ok_or(ServiceError::BadAnswer("a feature without a name"))?;
                    info.features.push(var.to_owned());
                }
                ("x", DATA) => info.forms.push(child.clone()),
                _ => {}
            }
        }
        Ok(info)
    }

    /// The `<query/>` that answers.
    fn element(&self) -> Element {
        let feature = |var: &String| Element::new("feature", INFO).with_attr("var", var.as_str());
        let identities = self.identities.iter().map(Element::from);
        let features = self.features.iter().map(feature);
        let parts = identities.chain(features).chain(self.forms.iter().cloned());
        parts.fold(Element::new("query", INFO), Element::with_child)
    }
}

/// Something at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Where to ask about it.
    pub jid: Jid,
    /// What to ask about there, if that is not the whole.
    pub node: Option<String>,
    /// For people.
    pub name: Option<String>,
}

/// Asks what somebody, or one `node` there, is and can do.
///
/// # Errors
///
/// [`ServiceError`]: as [`Info::parse`] and [`Outbox::send_iq`].
pub async fn info(outbox: &Outbox, to: &Jid, node: Option<&str>) -> Result<Info, ServiceError> {
    let answer = outbox.send_iq(Iq::get(query(INFO, node)).to(to)).await?;
    Info::parse(content(&answer, "query", INFO)?)
}

/// Asks what there is at somebody's place, or at one `node` of it. How much an answer may hold,
/// [`Builder::limits`](crate::Builder::limits) says.
///
/// # Errors
///
/// [`ServiceError::BadAnswer`] if an item has no address; else as [`Outbox::send_iq`].
pub async fn items(
    outbox: &Outbox,
    to: &Jid,
    node: Option<&str>,
) -> Result<Vec<Item>, ServiceError> {
    let answer = outbox.send_iq(Iq::get(query(ITEMS, node)).to(to)).await?;
    let items = content(&answer, "query", ITEMS)?.children().filter(|it| it.is("item", ITEMS));
    let item = |item: &Element| {
        let jid = item.attr("jid").and_then(|jid| jid.parse().ok());
        let jid = jid.ok_or(ServiceError::BadAnswer("an item without an address"))?;
        let attr = |name| item.attr(name).map(str::to_owned);
        Ok(Item { jid, node: attr("node"), name: attr("name") })
    };
    items.map(item).collect()
}

/// What we say of ourselves. A clone says the same for ever.
#[derive(Clone, Debug)]
pub struct Registry {
    node: Arc<str>,
    info: Arc<Mutex<Info>>,
}

impl Registry {
    /// Begins with this identity, and with the features that each client of this crate has or that
    /// stand for the registry itself. `node` is a URI of the program, for
    /// [`capabilities`](Self::capabilities): the address of its home page.
    #[must_use]
    pub fn new(node: &str, identity: Identity) -> Self {
        let features = [entity_caps::NAMESPACE, INFO, ITEMS, PING].map(str::to_owned).into();
        let info = Info { identities: vec![identity], features, forms: Vec::new() };
        Self { node: node.into(), info: Arc::new(Mutex::new(info)) }
    }

    /// Adds an identity, in place of one that only has another name.
    pub fn add_identity(&self, identity: Identity) {
        let key = |it: &Identity| (it.category.clone(), it.kind.clone(), it.lang.clone());
        let mut info = self.lock();
        info.identities.retain(|known| key(known) != key(&identity));
        info.identities.push(identity);
    }

    /// Adds a feature: the presence is to be sent again, with its new
    /// [`capabilities`](Self::capabilities).
    pub fn add_feature(&self, feature: &str) {
        let mut info = self.lock();
        if !info.has_feature(feature) {
            info.features.push(feature.to_owned());
        }
    }

    /// Removes a feature: the presence is to be sent again.
    pub fn remove_feature(&self, feature: &str) {
        self.lock().features.retain(|known| known != feature);
    }

    /// What is said now.
    #[must_use]
    pub fn info(&self) -> Info {
        self.lock().clone()
    }

    /// What stands for all that in presence.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        Capabilities::new(&*self.node, &self.lock())
    }

    /// Answers whoever asks, also by way of our capabilities; about any other node there is
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`TooManyHandlers`] if as many handlers are registered as the session allows.
    pub fn answer(&self, outbox: &Outbox) -> Result<Answering, TooManyHandlers> {
        let registry = self.clone();
        let info = Answering::requests(outbox, "get", ("query", INFO), move |_, query| {
            let node = query.attr("node");
            if node.is_some_and(|node| node != registry.capabilities().disco_node()) {
                return Err(StanzaError::new(StanzaErrorCondition::ItemNotFound));
            }
            Ok(Some(with_node(registry.lock().element(), node)))
        })?;
        let items = Answering::requests(outbox, "get", ("query", ITEMS), |_, query| {
            match query.attr("node") {
                None => Ok(Some(Element::new("query", ITEMS))),
                Some(_) => Err(StanzaError::new(StanzaErrorCondition::ItemNotFound)),
            }
        })?;
        Ok(info.and(items))
    }

    fn lock(&self) -> MutexGuard<'_, Info> {
        // No code panics half way through a change, so it is whole in any case.
        self.info.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn query(namespace: &str, node: Option<&str>) -> Element {
    with_node(Element::new("query", namespace), node)
}

fn with_node(query: Element, node: Option<&str>) -> Element {
    match node {
        Some(node) => query.with_attr("node", node),
        None => query,
    }
}

/// The feature of who answers [`info`].
pub const INFO: &str = "http://jabber.org/protocol/disco#info";
/// The feature of who answers [`items`].
pub const ITEMS: &str = "http://jabber.org/protocol/disco#items";
/// Forms (XEP-0004).
pub(super) const DATA: &str = "jabber:x:data";
