//! What the server and an account say of themselves (XEP-0030).
//!
//! Leaves out nodes: there are none.

use epode_proto::xml::{Element, namespaces};

use super::{Addressee, carbons, roster, version};
use crate::server::Server;
use crate::session::conditions::StanzaCondition;

/// Identity and features.
pub(super) fn info(addressee: Addressee<'_>, query: &Element) -> Result<Element, StanzaCondition> {
    without_node(query)?;
    let (category, kind, features) = match addressee {
        Addressee::Server => ("server", "im", SERVER_FEATURES),
        Addressee::Account(_) => ("account", "registered", ACCOUNT_FEATURES),
    };
    let identity = Element::new("identity", INFO)
        .with_attr("category", category)
        .with_attr("type", kind)
        .with_attr("name", env!("CARGO_PKG_NAME"));
    let mut answer = Element::new("query", INFO).with_child(identity);
    for feature in features {
        answer.push(Element::new("feature", INFO).with_attr("var", *feature));
    }
    Ok(answer)
}

/// What else there is: the components of a server.
pub(super) fn items(
    server: &Server,
    addressee: Addressee<'_>,
    query: &Element,
) -> Result<Element, StanzaCondition> {
    without_node(query)?;
    let mut answer = Element::new("query", ITEMS);
    if matches!(addressee, Addressee::Server) {
        for domain in server.components().domains() {
            answer.push(Element::new("item", ITEMS).with_attr("jid", domain));
        }
    }
    Ok(answer)
}

fn without_node(query: &Element) -> Result<(), StanzaCondition> {
    match query.attr("node") {
        None => Ok(()),
        Some(_) => Err(StanzaCondition::ItemNotFound),
    }
}

pub(super) const INFO: &str = "http://jabber.org/protocol/disco#info";
pub(super) const ITEMS: &str = "http://jabber.org/protocol/disco#items";

const SERVER_FEATURES: &[&str] =
    &[INFO, ITEMS, roster::NAMESPACE, version::NAMESPACE, carbons::NAMESPACE, namespaces::PING];

const ACCOUNT_FEATURES: &[&str] = &[INFO, ITEMS, namespaces::PING];
