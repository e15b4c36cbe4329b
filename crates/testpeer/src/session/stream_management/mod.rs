//! Stream management (XEP-0198): what a client may ask for, and when.
//!
//! Leaves out what becomes of a session without a connection, which `hibernation` knows.

mod command;
mod ledger;

use epode_proto::xml::Element;

pub(super) use ledger::{Full, Ledger};

use super::conditions::{StanzaCondition, StreamCondition};
use super::machine::{Said, State, Transition};
use super::seat::{Continuation, Seat};
use crate::resumption::Found;
use crate::server::Server;
use command::{Command, Malformed};

/// What comes of a request to resume a session.
pub(super) enum Resumption {
    Resumed(Continuation),
    /// It does not, for the reason in this `<failed/>`.
    Refused(Element),
    /// The request ends the stream.
    Ended(StreamCondition),
}

/// Takes an element of the namespace; every state may hear one.
pub(super) fn handle(server: &Server, state: State, element: &Element) -> Transition {
    let command = match Command::parse(element) {
        Ok(command) => command,
        Err(Malformed::Request) => {
            return (state, vec![Said::Element(failed(StanzaCondition::BadRequest, None))]);
        }
        Err(Malformed::Acknowledgement) => return ended(StreamCondition::BadFormat),
        Err(Malformed::Unknown) => return ended(StreamCondition::UnsupportedStanzaType),
    };
    match (state, command) {
        (State::Bound(seat), Command::Enable { resumption }) => {
            match seat.enable(server, resumption) {
                Some(enabled) => (State::Bound(seat), vec![Said::Element(enabled)]),
                // The one attempt that a client has was used (section 3).
                None => {
                    let failed = failed(StanzaCondition::UnexpectedRequest, None);
                    let (state, mut said) = ended(StreamCondition::PolicyViolation);
                    said.insert(0, Said::Element(failed));
                    (state, said)
                }
            }
        }
        (State::Bound(seat), Command::Request) => match seat.answer() {
            Ok(answer) => (State::Bound(seat), vec![Said::Element(answer)]),
            Err(condition) => ended(condition),
        },
        (State::Bound(seat), Command::Acknowledge(count)) => match seat.acknowledge(count) {
            Ok(()) => (State::Bound(seat), Vec::new()),
            Err(condition) => ended(condition),
        },
        (State::Binding(user), Command::Resume { id, count }) => {
            match resume(server, &user, &id, count) {
                Resumption::Resumed(Continuation { seat, resumed, rest }) => {
                    let said = [Said::Element(resumed)].into_iter().chain(rest);
                    (State::Bound(seat), said.collect())
                }
                Resumption::Refused(failed) => (State::Binding(user), vec![Said::Element(failed)]),
                Resumption::Ended(condition) => ended(condition),
            }
        }
        (state, Command::Enable { .. } | Command::Resume { .. }) => {
            (state, vec![Said::Element(failed(StanzaCondition::UnexpectedRequest, None))])
        }
        (_, Command::Request | Command::Acknowledge(_)) => {
            ended(StreamCondition::UnsupportedStanzaType)
        }
    }
}

/// What the request of a SASL2 login to resume gives (section 9.2).
pub(super) fn resume_inline(server: &Server, user: &str, request: &Element) -> Resumption {
    match Command::parse(request) {
        Ok(Command::Resume { id, count }) => resume(server, user, &id, count),
        _ => Resumption::Refused(failed(StanzaCondition::BadRequest, None)),
    }
}

/// What the request of Bind 2 to enable it gives (section 9.1): `<enabled/>` or `<failed/>`.
pub(super) fn enable_inline(server: &Server, seat: &Seat, request: &Element) -> Element {
    let enabled = match Command::parse(request) {
        Ok(Command::Enable { resumption }) => seat.enable(server, resumption),
        _ => None,
    };
    enabled.unwrap_or_else(|| failed(StanzaCondition::BadRequest, None))
}

/// Goes on with an earlier session of the user's; if that cannot be, an address may be bound.
fn resume(server: &Server, user: &str, id: &str, count: u32) -> Resumption {
    let refused = |condition, handled| Resumption::Refused(failed(condition, handled));
    if server.config().resumption.is_zero() {
        return refused(StanzaCondition::FeatureNotImplemented, None);
    }
    let place = match server.resumption().find(id, user) {
        Found::Open(place) => place,
        Found::Ended { handled } => return refused(StanzaCondition::ItemNotFound, Some(handled)),
        Found::Nothing => return refused(StanzaCondition::ItemNotFound, None),
    };
    match place.resume(count) {
        Some(Ok(continuation)) => Resumption::Resumed(continuation),
        Some(Err(condition)) => Resumption::Ended(condition),
        None => refused(StanzaCondition::ItemNotFound, None),
    }
}

fn failed(condition: StanzaCondition, handled: Option<u32>) -> Element {
    let mut failed = Element::new("failed", NAMESPACE).with_child(condition.element());
    if let Some(handled) = handled {
        failed.set_attr("h", handled.to_string());
    }
    failed
}

fn ended(condition: StreamCondition) -> Transition {
    (State::Closed, vec![Said::Element(condition.element()), Said::Close])
}

/// The namespace of all its elements.
pub(super) const NAMESPACE: &str = "urn:xmpp:sm:3";
