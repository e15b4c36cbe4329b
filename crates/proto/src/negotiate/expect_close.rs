//! Waiting for the server to close its side of the stream (RFC 6120, section 4.4).

use super::State;
use crate::{
    Element, Error, action::Action, core::Core, error::Wait, session::Said, xml::namespaces::CLIENT,
};

pub(crate) struct ExpectClose {
    /// Why it ends; nothing if the application asked for it.
    pub(crate) reason: Option<Error>,
    delivers: bool,
}

impl ExpectClose {
    /// The application asked for the end before it was online.
    pub(crate) fn asked_for() -> Self {
        Self { reason: None, delivers: false }
    }

    /// The application asked for the end of a session: stanzas that are on their way are its own.
    pub(crate) fn of_session() -> Self {
        Self { reason: None, delivers: true }
    }

    pub(crate) fn because(reason: Error) -> Self {
        Self { reason: Some(reason), delivers: false }
    }

    pub(crate) fn handle(self, core: &mut Core, element: Element) -> State {
        match Said::parse(&element) {
            _ if !self.delivers => {}
            // It says of the last stanzas that it has them; one that is wrong ends nothing more.
            Some(Said::Answer(handled)) => {
                if let Ok(Some(last)) = core.session.outbound.acknowledge(handled) {
                    core.push(Action::Acknowledged(last));
                }
            }
            _ if element.namespace() == CLIENT => {
                core.deliver(element, Wait::Close).expect("a stanza is no part of a negotiation");
            }
            _ => {}
        }
        State::Close(self)
    }
}
