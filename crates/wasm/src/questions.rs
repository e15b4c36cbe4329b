//! What the machine asks during a login, and what JavaScript answers. One question waits at a time.
//! Which mechanisms ask is not known here.

use std::num::NonZeroU32;

use epode_proto::{
    Input, QuestionId,
    sasl::{
        Answer, Question, Response,
        scram::{Derivation, Progress, ScramKeys},
    },
};
use wasm_bindgen::prelude::wasm_bindgen;
use zeroize::Zeroizing;

use crate::{
    Machine,
    action::{Kind, Payload},
};

/// A question that waits for JavaScript's answer.
pub(crate) enum Asked {
    Derive(QuestionId, Derivation),
    Respond(QuestionId),
}

#[wasm_bindgen]
impl Machine {
    /// The mechanism's message.
    ///
    /// # Errors
    ///
    /// A text, if it is not due.
    pub fn respond(&mut self, now: f64, message: Vec<u8>) -> Result<(), String> {
        let answer = Answer::Response(Response::new(message));
        match self.asked.take() {
            Some(Asked::Respond(id)) => self.handle(now, Input::Answered(id, answer)),
            other => self.not_due(other),
        }
    }

    /// The salted password, where the platform derived it.
    ///
    /// # Errors
    ///
    /// A text, if it is not due.
    pub fn derived(&mut self, now: f64, salted_password: Vec<u8>) -> Result<(), String> {
        let salted_password = Zeroizing::new(salted_password);
        match self.asked.take() {
            Some(Asked::Derive(id, derivation)) => {
                let (hash, count) = (derivation.hash(), derivation.iterations());
                let salt = derivation.salt().to_vec();
                let keys = ScramKeys::from_salted_password(hash, &salted_password, salt, count);
                self.handle(now, Input::Answered(id, Answer::Keys(keys)))
            }
            other => self.not_due(other),
        }
    }

    /// Derives for some milliseconds here. True when it is done.
    ///
    /// # Errors
    ///
    /// A text, if it is not due.
    pub fn derive(&mut self, now: f64) -> Result<bool, String> {
        match self.asked.take() {
            Some(Asked::Derive(id, derivation)) => match derivation.advance(SLICE) {
                Progress::More(rest) => {
                    self.asked = Some(Asked::Derive(id, rest));
                    Ok(false)
                }
                Progress::Done(keys) => {
                    self.handle(now, Input::Answered(id, Answer::Keys(keys))).map(|()| true)
                }
            },
            other => self.not_due(other).map(|()| true),
        }
    }

    /// There is no answer to the question; the words reach the application.
    ///
    /// # Errors
    ///
    /// A text, if none was asked.
    pub fn refuse(&mut self, now: f64, why: String) -> Result<(), String> {
        match self.asked.take() {
            Some(Asked::Derive(id, _) | Asked::Respond(id)) => {
                self.handle(now, Input::Answered(id, Answer::Refuse(why)))
            }
            None => self.not_due(None),
        }
    }
}

impl Machine {
    /// What JavaScript is asked; nothing where it is no question of its own.
    pub(crate) fn ask(&mut self, id: QuestionId, question: Question) -> Option<(Kind, Payload)> {
        match question {
            Question::Derive(derivation) => {
                let payload = Payload {
                    subject: derivation.hash().name().to_owned(),
                    bytes: Some(Zeroizing::new(derivation.salt().to_vec())),
                    number: derivation.iterations().get().into(),
                    ..Payload::text(derivation.password())
                };
                self.asked = Some(Asked::Derive(id, derivation));
                Some((Kind::Derive, payload))
            }
            Question::Respond(challenge) => {
                self.asked = Some(Asked::Respond(id));
                let subject = challenge.mechanism.to_string();
                let payload = Payload { subject, bytes: challenge.data, ..Payload::default() };
                Some((Kind::Respond, payload))
            }
            // Nobody was said to be there to ask, so no other question comes; if one did, its
            // deadline would end the login.
            _ => None,
        }
    }

    fn not_due(&mut self, asked: Option<Asked>) -> Result<(), String> {
        self.asked = asked;
        Err("nobody waits for this answer".to_owned())
    }
}

/// A few milliseconds of work.
const SLICE: NonZeroU32 = NonZeroU32::new(16_384).expect("it is not 0");
