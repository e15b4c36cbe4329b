//! Waiting for the application: keys to derive, a secret to find, a mechanism of its own.

use epode_sasl::{Answer, Pending};

use super::{
    State,
    expect_sasl_reply::{Move, begin_anew, rejection, take_turn},
};
use crate::{Element, Error, action::QuestionId, core::Core, error::Wait, stream::SaslFailure};

pub(crate) struct ExpectAnswer {
    pub(crate) pending: Pending,
    pub(crate) id: QuestionId,
    pub(crate) how: Move,
}

impl ExpectAnswer {
    pub(crate) fn answered(self, core: &mut Core, answer: Answer) -> Result<State, Error> {
        Ok(take_turn(core, self.pending.answer(answer)?, self.how))
    }

    /// It is our move: the server can only give up. A challenge or a success now is a fault.
    pub(crate) fn handle(self, core: &mut Core, element: &Element) -> Result<State, Error> {
        match SaslFailure::parse(element) {
            Some(failure) => begin_anew(core, self.pending.failure(rejection(failure))),
            None => Err(Error::unexpected(element, Wait::Answer)),
        }
    }
}
