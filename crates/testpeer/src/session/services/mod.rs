//! What the server itself and the account of a user answer to requests.
//!
//! Leaves out what goes to sessions.

pub(crate) mod carbons;
mod discovery;
mod roster;
mod version;

use epode_proto::xml::{Element, namespaces};

use super::conditions::StanzaCondition;
use crate::hub::Registration;
use crate::server::{LegacySession, Server};

pub(crate) use roster::Rosters;

/// Whose answer is asked for.
#[derive(Clone, Copy)]
pub(crate) enum Addressee<'a> {
    Server,
    /// The account of the user who asks, by this session.
    Account(&'a Registration),
}

/// Answers a request; what is none finds nobody.
pub(crate) fn answer(
    server: &Server,
    addressee: Addressee<'_>,
    stanza: &Element,
) -> Result<Element, StanzaCondition> {
    use Addressee::{Account, Server as Itself};
    let payload = stanza.children().next().filter(|_| stanza.name() == "iq");
    let (Some(kind), Some(payload)) = (stanza.attr("type"), payload) else {
        return Err(StanzaCondition::ServiceUnavailable);
    };
    let has_sessions = server.config().legacy_session != LegacySession::Absent;
    let content = match (kind, payload.name(), payload.namespace(), addressee) {
        ("get", "ping", namespaces::PING, _) => None,
        ("set", "session", namespaces::SESSION, _) if has_sessions => None,
        ("get", "query", discovery::INFO, _) => Some(discovery::info(addressee, payload)?),
        ("get", "query", discovery::ITEMS, _) => {
            Some(discovery::items(server, addressee, payload)?)
        }
        ("get", "query", version::NAMESPACE, Itself) => Some(version::version()),
        ("get", "query", roster::NAMESPACE, Account(session)) => {
            session.set_interested();
            Some(server.rosters().query(session.user()))
        }
        ("set", "query", roster::NAMESPACE, Account(session)) => {
            roster::change(server, session.user(), payload)?;
            None
        }
        ("set", "enable" | "disable", carbons::NAMESPACE, Account(session)) => {
            session.set_carbons(payload.name() == "enable");
            None
        }
        _ => return Err(StanzaCondition::ServiceUnavailable),
    };
    Ok(content.into_iter().fold(result(stanza), Element::with_child))
}

/// The result of a request, without content.
pub(super) fn result(request: &Element) -> Element {
    let mut result = Element::new("iq", namespaces::CLIENT).with_attr("type", "result");
    for (ours, theirs) in [("id", "id"), ("to", "from"), ("from", "to")] {
        if let Some(value) = request.attr(theirs) {
            result.set_attr(ours, value);
        }
    }
    result
}
