//! Logged in and bound: stanzas pass both ways.

use crate::{
    Element, Error,
    action::Action,
    core::Core,
    error::Wait,
    xml::namespaces::{SASL, STREAM},
};

/// Logged in and bound.
pub(crate) struct Online;

impl Online {
    /// Everything goes to the application, except what only a negotiation has.
    pub(crate) fn handle(&mut self, core: &mut Core, element: Element) -> Result<(), Error> {
        if matches!(element.namespace(), STREAM | SASL) {
            return Err(Error::unexpected(&element, Wait::Stanza));
        }
        core.push(Action::Deliver(element));
        Ok(())
    }
}
