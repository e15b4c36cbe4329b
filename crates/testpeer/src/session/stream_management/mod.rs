//! Stream management (XEP-0198): what a client may ask for, and when.
//!
//! Leaves out what becomes of a session without a connection, which `hibernation` knows.

mod command;
mod ledger;

use epode_proto::xml::Element;

pub(super) use ledger::{Full, Ledger};

use super::conditions::{StanzaCondition, StreamCondition};
use super::machine::{Said, State, Transition};
use crate::resumption::Found;
use crate::server::Server;
use command::{Command, Malformed};

/// Takes an element of the namespace; every state may hear one.
pub(super) fn handle(server: &Server, state: State, element: &Element) -> Transition {
    let command = match Command::parse(element) {
        Ok(command) => command,
        Err(Malformed::Request) => {
            return (state, vec![failed(StanzaCondition::BadRequest, None)]);
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
                    said.insert(0, failed);
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
        (State::Binding(user), Command::Resume { id, count }) => resume(server, user, &id, count),
        (state, Command::Enable { .. } | Command::Resume { .. }) => {
            (state, vec![failed(StanzaCondition::UnexpectedRequest, None)])
        }
        (_, Command::Request | Command::Acknowledge(_)) => {
            ended(StreamCondition::UnsupportedStanzaType)
        }
    }
}

/// Goes on with an earlier session of the user's; if that cannot be, an address may be bound.
fn resume(server: &Server, user: String, id: &str, count: u32) -> Transition {
    let refused =
        |condition, handled, user| (State::Binding(user), vec![failed(condition, handled)]);
    if server.config().resumption.is_zero() {
        return refused(StanzaCondition::FeatureNotImplemented, None, user);
    }
    let place = match server.resumption().find(id, &user) {
        Found::Open(place) => place,
        Found::Ended { handled } => {
            return refused(StanzaCondition::ItemNotFound, Some(handled), user);
        }
        Found::Nothing => return refused(StanzaCondition::ItemNotFound, None, user),
    };
    match place.resume(count) {
        Some(Ok((seat, said))) => (State::Bound(seat), said),
        Some(Err(condition)) => ended(condition),
        None => refused(StanzaCondition::ItemNotFound, None, user),
    }
}

fn failed(condition: StanzaCondition, handled: Option<u32>) -> Said {
    let mut failed = Element::new("failed", NAMESPACE).with_child(condition.element());
    if let Some(handled) = handled {
        failed.set_attr("h", handled.to_string());
    }
    Said::Element(failed)
}

fn ended(condition: StreamCondition) -> Transition {
    (State::Closed, vec![Said::Element(condition.element()), Said::Close])
}

/// The namespace of all its elements.
pub(super) const NAMESPACE: &str = "urn:xmpp:sm:3";
