//! Waiting for the resource to be bound (RFC 6120, section 7), and for the call that asks for it.

use epode_sasl::Authenticated;

use super::State;
use crate::{
    BoundBy, Element, Error, Jid, Status,
    action::Action,
    core::{Core, refuse_negotiation},
    error::{PeerFault, Wait},
    session::Online,
    stanza::unguessable_id,
    status::Connected,
    stream::{StanzaError, is_same_domain},
    xml::namespaces::{BIND, CLIENT, SESSION},
};

/// Logged in; the application decides when to bind, and may talk to the server before.
pub(crate) struct ExpectBindCall {
    pub(crate) login: Authenticated,
    pub(crate) session: bool,
}

impl ExpectBindCall {
    pub(crate) fn bind(self, core: &mut Core) -> State {
        bind(core, self.login, self.session)
    }

    pub(crate) fn handle(self, core: &mut Core, element: Element) -> Result<State, Error> {
        core.deliver(element, Wait::BindCall)?;
        Ok(State::BindCall(self))
    }
}

pub(crate) struct ExpectBound {
    login: Authenticated,
    session: bool,
    id: String,
}

impl ExpectBound {
    pub(crate) fn handle(self, core: &mut Core, element: Element) -> Result<State, Error> {
        let Some(reply) = reply(core, &element, &self.id, core.settings().jid()) else {
            pass_on(core, element)?;
            return Ok(State::Bound(self));
        };
        let result = reply.map_err(Error::Bind)?;
        let jid = bound_jid(core.settings().jid(), result).map_err(Error::PeerMisbehaved)?;
        if self.session {
            let id = unguessable_id();
            let session = Element::new("session", SESSION);
            core.send(&request(&id).with_child(session));
            return Ok(State::Session(ExpectSession { login: self.login, jid, id }));
        }
        Ok(begin_session(core, &self.login, jid))
    }
}

/// Some servers of RFC 3921's time want one request more.
pub(crate) struct ExpectSession {
    login: Authenticated,
    jid: Jid,
    id: String,
}

impl ExpectSession {
    pub(crate) fn handle(self, core: &mut Core, element: Element) -> Result<State, Error> {
        let Some(reply) = reply(core, &element, &self.id, &self.jid) else {
            core.deliver(element, Wait::Session)?; // it is bound: what comes is the application's
            return Ok(State::Session(self));
        };
        reply.map_err(Error::Session)?;
        Ok(begin_session(core, &self.login, self.jid))
    }
}

/// Asks for the JID's resource, or for one of the server's choice.
pub(crate) fn bind(core: &mut Core, login: Authenticated, session: bool) -> State {
    let mut bind = Element::new("bind", BIND);
    if let Some(resource) = core.settings().jid().resource() {
        bind = bind.with_child(Element::new("resource", BIND).with_text(resource));
    }
    let id = unguessable_id();
    core.send(&request(&id).with_child(bind));
    State::Bound(ExpectBound { login, session, id })
}

fn begin_session(core: &mut Core, login: &Authenticated, jid: Jid) -> State {
    core.session.jid = Some(jid.clone());
    let connected = connected(core, login, jid, BoundBy::Request);
    core.push(Action::Report(Status::Connected(connected)));
    State::Online(Online::begin(core))
}

/// What the application hears of the login.
pub(crate) fn connected(
    core: &Core,
    login: &Authenticated,
    jid: Jid,
    bound_by: BoundBy,
) -> Connected {
    let pin = match (core.settings().pin.as_ref(), login.pin()) {
        (Some(known), Some(new)) => Some(known.strengthened_by(new)),
        (known, new) => known.or(new).cloned(),
    };
    Connected {
        jid,
        profile: core.profile,
        mechanism: login.mechanism().clone(),
        proof: login.proof(),
        encryption: login.encryption(),
        early_data: login.is_early(),
        binding: login.binding(),
        refused_bindings: login.refused().to_vec(),
        pin,
        bound_by,
        carbons: false,
        flights: core.flights(),
        resumed: bound_by == BoundBy::Resumption,
    }
}

fn request(id: &str) -> Element {
    Element::new("iq", CLIENT).with_attr("type", "set").with_attr("id", id)
}

/// The answer to our request, if it is one: an iq with its id, from the server or from ourselves
/// (RFC 6120, section 8.1.2.1). Anybody can send an iq that merely has the id.
fn reply<'a>(
    core: &Core,
    element: &'a Element,
    id: &str,
    account: &Jid,
) -> Option<Result<&'a Element, StanzaError>> {
    if !element.is("iq", CLIENT) || element.attr("id") != Some(id) {
        return None;
    }
    if let Some(from) = element.attr("from") {
        let from: Jid = from.parse().ok()?;
        let is_account = from.bare() == account.bare();
        let is_server = from.bare() == core.domain_jid();
        if !is_account && !is_server {
            return None;
        }
    }
    match element.attr("type") {
        Some("result") => Some(Ok(element)),
        _ => StanzaError::parse(element).map(Err),
    }
}

/// What is not the answer belongs to an application that talks to the server before it binds; to
/// any other it would come too early.
fn pass_on(core: &mut Core, element: Element) -> Result<(), Error> {
    if core.settings().explicit_binding {
        core.deliver(element, Wait::Bound)
    } else {
        refuse_negotiation(&element, Wait::Bound)
    }
}

/// Whether an address that the server names is one of the account, or for a guest of the domain.
pub(crate) fn is_address_of(account: &Jid, jid: &Jid) -> bool {
    let is_ours = match account.local() {
        Some(local) => {
            let bound = jid.local().unwrap_or_default();
            bound.to_lowercase() == local.to_lowercase() // servers fold case (RFC 7622)
        }
        None => true,
    };
    is_ours && is_same_domain(jid.domain(), account.domain())
}

/// The JID that was bound. It is ours to be believed only if it is an address of the account, or
/// for a guest of the domain.
fn bound_jid(account: &Jid, result: &Element) -> Result<Jid, PeerFault> {
    let jid = result.child("bind", BIND).and_then(|bind| bind.child("jid", BIND));
    let text = jid.map(Element::text).filter(|text| !text.is_empty());
    let text = text.ok_or(PeerFault::BoundWithoutJid)?;
    let jid: Jid = text.parse().map_err(PeerFault::BoundJidInvalid)?;
    if !is_address_of(account, &jid) {
        let account = account.bare().to_string();
        return Err(PeerFault::BoundToAnother { bound: jid.to_string(), account });
    }
    if jid.resource().is_none() {
        return Err(PeerFault::BoundWithoutResource);
    }
    Ok(jid)
}
