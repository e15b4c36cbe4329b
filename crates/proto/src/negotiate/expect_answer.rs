//! Waiting for the application: keys to derive, a secret to find, a mechanism of its own.

use epode_sasl::{Answer, Pending};

use super::{
    State,
    turn::{Move, Via, namespace, refused, rejection, take_turn},
};
use crate::{Element, Error, action::QuestionId, core::Core, error::Wait, stream::SaslFailure};

pub(crate) struct ExpectAnswer {
    pub(crate) pending: Pending,
    pub(crate) id: QuestionId,
    pub(crate) how: Move,
    pub(crate) via: Via,
}

impl ExpectAnswer {
    pub(crate) fn answered(self, core: &mut Core, answer: Answer) -> Result<State, Error> {
        Ok(take_turn(core, self.pending.answer(answer)?, self.how, self.via))
    }

    /// It is our move: the server can only give up. A challenge or a success now is a fault.
    pub(crate) fn handle(self, core: &mut Core, element: &Element) -> Result<State, Error> {
        let is_of_login = element.namespace() == namespace(self.via.profile());
        match SaslFailure::parse(element).filter(|_| is_of_login) {
            Some(failure) => refused(core, self.pending.failure(rejection(failure)), self.via),
            None => Err(Error::unexpected(element, Wait::Answer)),
        }
    }
}
