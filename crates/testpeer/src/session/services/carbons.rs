//! Copies of messages for the other resources of a user (XEP-0280).
//!
//! Leaves out the rules for rooms and for receipts: a message is copied for its type and body.

use epode_proto::Jid;
use epode_proto::xml::{Element, namespaces};

use crate::accounts::Accounts;
use crate::hub::Registration;
use crate::server::Server;

/// Copies a message that a session sends, for the others of its user's that will not get it.
pub(in crate::session) fn copy_sent(
    server: &Server,
    sender: &Registration,
    to: &Jid,
    stanza: &Element,
) {
    let is_own = is_account(server, sender.user(), to);
    copy(server, sender.user(), "sent", stanza, |resource| {
        resource != sender.resource() && !(is_own && to.resource() == Some(resource))
    });
}

/// Copies a message that has gone to one resource of the user's, and not to the others.
pub(crate) fn copy_received(server: &Server, user: &str, to: &Jid, stanza: &Element) {
    // The user's own messages were copied when they were sent.
    let sender = stanza.attr("from").and_then(|from| from.parse().ok());
    if !sender.is_some_and(|sender| is_account(server, user, &sender)) {
        copy(server, user, "received", stanza, |resource| to.resource() != Some(resource));
    }
}

/// Whether a stanza that a session of the user's was to get is a copy.
pub(in crate::session) fn is_copy(server: &Server, user: &str, stanza: &Element) -> bool {
    stanza.attr("from") == Some(&bare(server, user))
        && stanza.children().any(|child| child.namespace() == NAMESPACE)
}

fn copy(
    server: &Server,
    user: &str,
    direction: &str,
    stanza: &Element,
    wanted: impl Fn(&str) -> bool,
) {
    if !is_eligible(stanza) {
        return;
    }
    let account = bare(server, user);
    server.hub().deliver_each(user, |resource, traits| {
        let copy = || {
            let forwarded = Element::new("forwarded", FORWARD).with_child(stanza.clone());
            let mut copy = Element::new("message", namespaces::CLIENT)
                .with_attr("from", account.as_str())
                .with_attr("to", format!("{account}/{resource}"))
                .with_child(Element::new(direction, NAMESPACE).with_child(forwarded));
            if let Some(kind) = stanza.attr("type") {
                copy.set_attr("type", kind);
            }
            copy
        };
        (traits.carbons && wanted(resource)).then(copy)
    });
}

/// Section 6.1, as far as this server follows it.
fn is_eligible(stanza: &Element) -> bool {
    let is_private = stanza.child("private", NAMESPACE).is_some();
    let has_body = || stanza.child("body", namespaces::CLIENT).is_some();
    let is_chat = match stanza.attr("type") {
        Some("chat") => true,
        None | Some("normal") => has_body(),
        Some(_) => false,
    };
    stanza.name() == "message" && is_chat && !is_private
}

fn is_account(server: &Server, user: &str, address: &Jid) -> bool {
    address.domain().eq_ignore_ascii_case(server.domain())
        && address.local().and_then(Accounts::canonical).is_some_and(|local| local == user)
}

fn bare(server: &Server, user: &str) -> String {
    format!("{user}@{}", server.domain())
}

pub(in crate::session) const NAMESPACE: &str = "urn:xmpp:carbons:2";
const FORWARD: &str = "urn:xmpp:forward:0";
