//! Logged in and bound: stanzas pass both ways.

use crate::{
    Element, Error,
    action::Action,
    connection::Core,
    error::Wait,
    negotiate::{State, unexpected},
    xml::namespaces::{SASL, STREAM},
};

/// Logged in and bound.
pub(crate) struct Online;

impl Online {
    /// Everything goes to the application, except what only a negotiation has.
    pub(crate) fn handle(self, core: &mut Core, element: Element) -> Result<State, Error> {
        if matches!(element.namespace(), STREAM | SASL) {
            return Err(unexpected(&element, Wait::Stanza));
        }
        core.push(Action::Deliver(element));
        Ok(State::Online(self))
    }
}
