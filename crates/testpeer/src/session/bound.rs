//! Binding (RFC 6120, section 7), and the stanzas of a session that is bound.
//!
//! Leaves out subscriptions: presence without an address goes to the user's own
//! sessions only.

use std::sync::Weak;
use std::task::{Context, Poll};
use std::time::Duration;

use epode_proto::Jid;
use epode_proto::xml::{Element, namespaces};
use tokio::sync::mpsc::Receiver;

use super::conditions::{StanzaCondition, StreamCondition};
use super::machine::{Said, State, Transition};
use super::seat::{Place, Seat};
use super::services::{self, Addressee, carbons};
use super::stream_management::{self, Full, Ledger};
use super::undelivered;
use crate::accounts::Accounts;
use crate::hub::{Delivery, Registration};
use crate::random;
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
    /// `None` before stream management is enabled.
    management: Option<Box<Management>>,
}

/// A session's part in stream management.
#[derive(Debug)]
struct Management {
    ledger: Ledger,
    resumption: Option<Granted>,
}

/// The client may resume the session.
#[derive(Debug)]
struct Granted {
    id: String,
    time: Duration,
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
            (State::Bound(Seat::new(bound)), vec![Said::Element(result)])
        }
        Err(condition) => (State::Binding(user), vec![Said::Element(condition.reply_to(request))]),
    }
}

/// Binds a resource of the server's making, which begins with the client's tag if that can be
/// (XEP-0386, section 3.2.1). `None` if the user has no address.
pub(super) fn bind_inline(server: &Server, user: &str, tag: Option<&str>) -> Option<Seat> {
    let tagged = tag.map(|tag| format!("{tag}/{}", random::name()));
    let mut bound = Bound::new(server, user, tagged.as_deref())
        .or_else(|_| Bound::new(server, user, None))
        .ok()?;
    bound.awaits_session = false;
    Some(Seat::new(bound))
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
        let server = server.clone();
        Ok(Self { server, registration, mailbox, jid, awaits_session, management: None })
    }

    pub(super) fn jid(&self) -> &Jid {
        &self.jid
    }

    /// Takes from the mailbox what is to be sent, and keeps it if it has to be acknowledged; `None`
    /// when the mailbox has overflown, or more would be kept than may be.
    pub(super) fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        self.mailbox.poll_recv(cx).map(|delivery| match &delivery {
            Some(Delivery::Stanza(stanza)) => self.keep(stanza).ok().and(delivery),
            _ => delivery,
        })
    }

    /// Takes a stanza of the client's.
    pub(super) fn handle(&mut self, mut stanza: Element) -> Result<Vec<Said>, StreamCondition> {
        if stanza.attr("from").is_some_and(|from| !self.is_own_address(from)) {
            return Err(StreamCondition::InvalidFrom);
        }
        stanza.set_attr("from", self.jid.as_str());
        let reply = match self.route(&stanza) {
            Ok(reply) => reply,
            Err(condition) => may_be_refused(&stanza).then(|| condition.reply_to(&stanza)),
        };
        if let Some(ledger) = self.ledger() {
            ledger.count_handled();
        }
        let Some(reply) = reply else { return Ok(Vec::new()) };
        self.keep(&reply)?;
        let request = self.ledger().and_then(Ledger::poll_request);
        Ok([reply].into_iter().chain(request).map(Said::Element).collect())
    }

    /// Begins stream management, with resumption within this time if it is wanted; the answer, or
    /// `None` if it has begun.
    pub(super) fn enable(
        &mut self,
        server: &Server,
        place: Weak<Place>,
        wanted: Option<Duration>,
    ) -> Option<Element> {
        if self.management.is_some() {
            return None;
        }
        let (config, limit) = (server.config(), server.limits().sessions.saturating_mul(2));
        let time = wanted.map(|time| time.min(config.resumption)).filter(|it| !it.is_zero());
        let granted = time.and_then(|time| {
            let id = server.resumption().enter(self.registration.user(), place, limit)?;
            Some(Granted { id, time })
        });
        let mut enabled = Element::new("enabled", stream_management::NAMESPACE);
        if let Some(Granted { id, time }) = &granted {
            enabled.set_attr("id", id.as_str());
            enabled.set_attr("resume", "true");
            enabled.set_attr("max", time.as_secs().max(1).to_string());
            if let Some(location) = &config.resumption_location {
                enabled.set_attr("location", location.as_str());
            }
        }
        let ledger = Ledger::new(server.limits().unacknowledged);
        self.management = Some(Box::new(Management { ledger, resumption: granted }));
        Some(enabled)
    }

    /// Goes on over another connection, whose client has handled so many stanzas: `<resumed/>`, and
    /// what is said after it. `None` if the session cannot be resumed.
    pub(super) fn resume(
        &mut self,
        count: u32,
    ) -> Option<Result<(Element, Vec<Said>), StreamCondition>> {
        let management = self.management.as_mut()?;
        let id = &management.resumption.as_ref()?.id;
        let ledger = &mut management.ledger;
        if let Err(condition) = ledger.acknowledge(count) {
            return Some(Err(condition));
        }
        let resumed = Element::new("resumed", stream_management::NAMESPACE)
            .with_attr("previd", id.as_str())
            .with_attr("h", ledger.handled().to_string());
        let mut rest: Vec<_> = ledger.waiting().cloned().map(Said::Element).collect();
        if !rest.is_empty() {
            rest.push(Said::Element(ledger.request()));
        }
        Some(Ok((resumed, rest)))
    }

    pub(super) fn registration(&self) -> &Registration {
        &self.registration
    }

    pub(super) fn resumable_for(&self) -> Option<Duration> {
        Some(self.management.as_ref()?.resumption.as_ref()?.time)
    }

    pub(super) fn ledger(&mut self) -> Option<&mut Ledger> {
        self.management.as_mut().map(|it| &mut it.ledger)
    }

    /// Keeps what goes out, if it has to be acknowledged.
    fn keep(&mut self, stanza: &Element) -> Result<(), StreamCondition> {
        match self.ledger() {
            Some(ledger) => ledger.keep(stanza).map_err(|Full| StreamCondition::ResourceConstraint),
            None => Ok(()),
        }
    }

    /// Sends the stanza to where it belongs; `Ok` may hold a reply of the server's own.
    fn route(&mut self, stanza: &Element) -> Result<Option<Element>, StanzaCondition> {
        let server = &self.server;
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
        let Some(to) = to.filter(|to| !self.is_own_account(to)) else {
            return self.route_to_own_account(stanza);
        };
        carbons::copy_sent(server, &self.registration, &to, stanza);
        server.route(&to, stanza)
    }

    /// What has no address, or the user's own, is for the account (RFC 6120, section 10.3).
    fn route_to_own_account(&self, stanza: &Element) -> Result<Option<Element>, StanzaCondition> {
        let user = self.registration.user();
        match stanza.name() {
            "iq" => {
                let account = Addressee::Account(&self.registration);
                services::answer(&self.server, account, stanza).map(Some)
            }
            "presence" => {
                match stanza.attr("type") {
                    None => drop(self.registration.set_available(true)),
                    Some("unavailable") => drop(self.registration.set_available(false)),
                    Some(_) => return Ok(None),
                }
                self.server.hub().broadcast(user, stanza);
                Ok(None)
            }
            _ => {
                self.server.hub().deliver(user, None, stanza);
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
        Ok(Some(services::result(stanza)))
    }

    fn is_own_account(&self, to: &Jid) -> bool {
        to.resource().is_none()
            && to.domain().eq_ignore_ascii_case(self.server.domain())
            && to.local().and_then(Accounts::canonical).as_deref() == Some(self.registration.user())
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
        let Some(management) = self.management.take() else { return };
        let Management { ledger, resumption } = *management;
        if let Some(Granted { id, .. }) = resumption {
            let limit = self.server.limits().sessions;
            self.server.resumption().end(&id, ledger.handled(), limit);
        }
        self.mailbox.close();
        let user = self.registration.user();
        for stanza in ledger.into_waiting() {
            undelivered::handle(&self.server, user, &stanza);
        }
        while let Ok(Delivery::Stanza(stanza)) = self.mailbox.try_recv() {
            undelivered::handle(&self.server, user, &stanza);
        }
    }
}

fn is_request(stanza: &Element, kind: &str) -> bool {
    stanza.name() == "iq" && stanza.attr("type") == Some(kind)
}

fn is_session_request(stanza: &Element) -> bool {
    is_request(stanza, "set") && stanza.child("session", namespaces::SESSION).is_some()
}

/// RFC 6120, section 8.2.3.
pub(super) fn is_well_formed_iq(iq: &Element) -> bool {
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
pub(super) fn may_be_refused(stanza: &Element) -> bool {
    let kind = stanza.attr("type");
    match stanza.name() {
        "presence" => false,
        "iq" => !matches!(kind, Some("result" | "error")),
        _ => kind != Some("error"),
    }
}
