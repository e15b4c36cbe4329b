//! Binding (RFC 6120, section 7), and the stanzas of a session that is bound.
//!
//! Leaves out rosters and subscriptions: presence without an address goes to the user's own
//! sessions only.

use epode_proto::Jid;
use epode_proto::xml::{Element, namespaces};
use tokio::sync::mpsc::Receiver;
use tokio::sync::mpsc::error::TryRecvError;

use super::conditions::{StanzaCondition, StreamCondition};
use super::machine::{Said, State, Transition};
use crate::accounts::Accounts;
use crate::hub::{Delivery, Registration};
use crate::server::{LegacySession, Server};

/// A session with an address.
#[derive(Debug)]
pub(super) struct Bound {
    server: Server,
    registration: Registration,
    mailbox: Receiver<Delivery>,
    jid: Jid,
    /// The client has yet to establish the session of RFC 3921.
    awaits_session: bool,
}

/// Takes the request to bind; any other stanza comes too early.
pub(super) fn bind(server: &Server, user: String, request: &Element) -> Transition {
    let payload = request.child("bind", namespaces::BIND).filter(|_| is_request(request, "set"));
    let (Some(payload), Some(id)) = (payload, request.attr("id")) else {
        let error = Said::Element(StreamCondition::NotAuthorized.element());
        return (State::Closed, vec![error, Said::Close]);
    };
    let resource = payload.child("resource", namespaces::BIND).map(Element::text);
    match Bound::new(server, &user, resource.filter(|text| !text.is_empty()).as_deref()) {
        Ok(bound) => {
            let jid = Element::new("jid", namespaces::BIND).with_text(bound.jid.to_string());
            let result = Element::new("iq", namespaces::CLIENT)
                .with_attr("type", "result")
                .with_attr("id", id)
                .with_child(Element::new("bind", namespaces::BIND).with_child(jid));
            (State::Bound(bound), vec![Said::Element(result)])
        }
        Err(condition) => (State::Binding(user), vec![Said::Element(condition.reply_to(request))]),
    }
}

impl Bound {
    fn new(server: &Server, user: &str, resource: Option<&str>) -> Result<Self, StanzaCondition> {
        let config = server.config();
        let bare: Jid = format!("{user}@{}", server.domain())
            .parse()
            .map_err(|_| StanzaCondition::BadRequest)?;
        if let Some(resource) = resource {
            bare.with_resource(resource).map_err(|_| StanzaCondition::BadRequest)?;
        }
        let (registration, mailbox) = server
            .hub()
            .register(user, resource, config.conflict, config.limits.mailbox)
            .map_err(|_| StanzaCondition::Conflict)?;
        let jid = bare.with_resource(registration.resource()).expect("checked above, or ours");
        let awaits_session = config.legacy_session == LegacySession::Required;
        Ok(Self { server: server.clone(), registration, mailbox, jid, awaits_session })
    }

    pub(super) fn jid(&self) -> &Jid {
        &self.jid
    }

    pub(super) async fn delivery(&mut self) -> Option<Delivery> {
        self.mailbox.recv().await
    }

    pub(super) fn poll_delivery(&mut self) -> Option<Option<Delivery>> {
        match self.mailbox.try_recv() {
            Ok(delivery) => Some(Some(delivery)),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(None),
        }
    }

    /// Takes a stanza of the client's.
    pub(super) fn handle(mut self, server: &Server, mut stanza: Element) -> Transition {
        if stanza.attr("from").is_some_and(|from| !self.is_own_address(from)) {
            let error = Said::Element(StreamCondition::InvalidFrom.element());
            return (State::Closed, vec![error, Said::Close]);
        }
        stanza.set_attr("from", self.jid.as_str());
        let reply = match self.route(server, &stanza) {
            Ok(reply) => reply,
            Err(condition) => may_be_refused(&stanza).then(|| condition.reply_to(&stanza)),
        };
        let said = reply.map(Said::Element).into_iter().collect();
        (State::Bound(self), said)
    }

    /// Sends the stanza to where it belongs; `Ok` may hold a reply of the server's own.
    fn route(
        &mut self,
        server: &Server,
        stanza: &Element,
    ) -> Result<Option<Element>, StanzaCondition> {
        if stanza.name() == "iq" && !is_well_formed_iq(stanza) {
            return Err(StanzaCondition::BadRequest);
        }
        let to = match stanza.attr("to").map(str::parse::<Jid>) {
            None => None,
            Some(Ok(to)) => Some(to),
            Some(Err(_)) => return Err(StanzaCondition::JidMalformed),
        };
        if self.awaits_session {
            return self.establish_session(stanza);
        }
        let Some(to) = to else { return self.route_to_own_account(server, stanza) };
        if !to.domain().eq_ignore_ascii_case(server.domain()) {
            return Err(StanzaCondition::RemoteServerNotFound);
        }
        let Some(local) = to.local() else { return answer(server, stanza) };
        let user = Accounts::canonical(local).ok_or(StanzaCondition::JidMalformed)?;
        if user == self.registration.user() && to.resource().is_none() {
            return self.route_to_own_account(server, stanza);
        }
        if stanza.name() == "iq" && to.resource().is_none() {
            return Err(StanzaCondition::ServiceUnavailable);
        }
        if server.hub().deliver(&user, to.resource(), stanza) {
            Ok(None)
        } else {
            Err(StanzaCondition::ServiceUnavailable)
        }
    }

    /// What has no address, or the user's own, is for the account (RFC 6120, section 10.3).
    fn route_to_own_account(
        &self,
        server: &Server,
        stanza: &Element,
    ) -> Result<Option<Element>, StanzaCondition> {
        let user = self.registration.user();
        match stanza.name() {
            "iq" => answer(server, stanza),
            "presence" => {
                match stanza.attr("type") {
                    None => drop(self.registration.set_available(true)),
                    Some("unavailable") => drop(self.registration.set_available(false)),
                    Some(_) => return Ok(None),
                }
                server.hub().broadcast(user, stanza);
                Ok(None)
            }
            _ => {
                server.hub().deliver(user, None, stanza);
                Ok(None)
            }
        }
    }

    /// RFC 3921, section 3: nothing but the session request is taken before it.
    fn establish_session(&mut self, stanza: &Element) -> Result<Option<Element>, StanzaCondition> {
        if !is_session_request(stanza) {
            return Err(StanzaCondition::NotAllowed);
        }
        self.awaits_session = false;
        Ok(Some(result(stanza)))
    }

    fn is_own_address(&self, address: &str) -> bool {
        address.parse::<Jid>().is_ok_and(|jid| jid == self.jid || jid == self.jid.bare())
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if self.registration.set_available(false) {
            let gone = Element::new("presence", namespaces::CLIENT)
                .with_attr("from", self.jid.as_str())
                .with_attr("type", "unavailable");
            self.server.hub().broadcast(self.registration.user(), &gone);
        }
    }
}

/// The server's answer to what is addressed to itself or to an account: to a ping (XEP-0199) and
/// to the old session request.
fn answer(server: &Server, stanza: &Element) -> Result<Option<Element>, StanzaCondition> {
    let pinged = is_request(stanza, "get") && stanza.child("ping", namespaces::PING).is_some();
    let has_sessions = server.config().legacy_session != LegacySession::Absent;
    if pinged || (has_sessions && is_session_request(stanza)) {
        Ok(Some(result(stanza)))
    } else {
        Err(StanzaCondition::ServiceUnavailable)
    }
}

fn result(request: &Element) -> Element {
    let mut result = Element::new("iq", namespaces::CLIENT).with_attr("type", "result");
    for (ours, theirs) in [("id", "id"), ("to", "from"), ("from", "to")] {
        if let Some(value) = request.attr(theirs) {
            result.set_attr(ours, value);
        }
    }
    result
}

fn is_request(stanza: &Element, kind: &str) -> bool {
    stanza.name() == "iq" && stanza.attr("type") == Some(kind)
}

fn is_session_request(stanza: &Element) -> bool {
    is_request(stanza, "set") && stanza.child("session", namespaces::SESSION).is_some()
}

/// RFC 6120, section 8.2.3.
fn is_well_formed_iq(iq: &Element) -> bool {
    let children = iq.children().count();
    let fits = match iq.attr("type") {
        Some("get" | "set") => children == 1,
        Some("result") => children <= 1,
        Some("error") => true,
        _ => false,
    };
    fits && iq.attr("id").is_some()
}

/// Errors and results are never answered with an error, and presence says nothing to answer.
fn may_be_refused(stanza: &Element) -> bool {
    let kind = stanza.attr("type");
    match stanza.name() {
        "presence" => false,
        "iq" => !matches!(kind, Some("result" | "error")),
        _ => kind != Some("error"),
    }
}
