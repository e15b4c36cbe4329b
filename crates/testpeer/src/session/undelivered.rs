//! What becomes of the stanzas that a session was to get and has not acknowledged when it ends.
//!
//! Leaves out storage for users who are away.

use epode_proto::xml::Element;

use super::bound::may_be_refused;
use super::conditions::StanzaCondition;
use super::services::carbons;
use crate::server::Server;

/// Treats a stanza as one to a resource that is gone (RFC 6121, section 8.5.3.2).
///
/// A normal or chat message goes to the user's available sessions, which may have it already if
/// it was sent to all of them. If there are none, and for a message to a group and the request of
/// an `iq`, its sender gets `service-unavailable`. All else is dropped, copies of messages included.
pub(super) fn handle(server: &Server, user: &str, stanza: &Element) {
    let is_message = stanza.name() == "message";
    let kind = stanza.attr("type");
    if is_message && kind == Some("headline") || carbons::is_copy(server, user, stanza) {
        return;
    }
    let can_go_elsewhere = is_message && matches!(kind, None | Some("normal" | "chat"));
    if can_go_elsewhere && server.hub().broadcast(user, stanza) {
        return;
    }
    let sender = stanza.attr("from").and_then(|from| from.parse().ok());
    if let Some(sender) = sender.filter(|_| may_be_refused(stanza)) {
        // Whoever has gone as well needs no answer.
        let _ = server.deliver(&sender, &StanzaCondition::ServiceUnavailable.reply_to(stanza));
    }
}
