//! Waiting for the server to close its side of the stream (RFC 6120, section 4.4).

use super::State;
use crate::{Element, Error, action::Action, connection::Core, xml::namespaces::CLIENT};

pub(crate) struct ExpectClose {
    /// Why it ends; nothing if the application asked for it.
    pub(crate) reason: Option<Error>,
}

impl ExpectClose {
    /// Until then stanzas may be on their way, and belong to whoever closed in good order.
    pub(crate) fn handle(self, core: &mut Core, element: Element) -> State {
        if self.reason.is_none() && core.was_online() && element.namespace() == CLIENT {
            core.push(Action::Deliver(element));
        }
        State::Close(self)
    }
}
