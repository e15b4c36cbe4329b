//! Logged in and bound: stanzas pass both ways.

use crate::{Element, Error, core::Core, error::Wait};

/// Logged in and bound.
pub(crate) struct Online;

impl Online {
    /// Everything goes to the application, except what only a negotiation has.
    pub(crate) fn handle(&mut self, core: &mut Core, element: Element) -> Result<(), Error> {
        core.deliver(element, Wait::Stanza)
    }
}
