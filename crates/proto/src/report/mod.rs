//! One attempt to log in, for people and programs who ask why it went as it did.
//!
//! Nothing of a secret is in it. How it is written is in `text` and `json`, what two of them differ
//! in is in `difference`.

mod difference;
mod findings;
mod json;
mod text;

use std::time::Duration;

pub use self::{
    difference::{Difference, ReportError, differences},
    findings::{Check, Finding},
    text::Verdict,
};
use crate::{Authenticating, Connected, Error, Explanation, Phase, Status, Time};

/// One attempt to log in: what the server offered, what was chosen and why, what was checked, how
/// long each step took, and what came of it. [`Settings::report`](crate::Settings::report) asks for
/// it, [`Action::Reported`](crate::Action::Reported) brings it.
///
/// `Display` writes it for people, [`to_json`](Self::to_json) for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoginReport {
    /// The server's offer and what was made of it; none where it never came to one, and where the
    /// login began along with the stream, by what is remembered of the server.
    pub explanation: Option<Box<Explanation>>,
    /// Each time that a login was begun, in order: once, unless the server refused a binding or a
    /// token.
    pub attempts: Vec<Authenticating>,
    /// When each phase began.
    pub stages: Vec<Stage>,
    /// How many times we spoke before it was done: each is a wait of one round trip.
    pub flights: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// The beginning of a phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stage {
    /// What was waited for from then on.
    pub phase: Phase,
    /// How long after the driver's zero of time.
    pub at: Duration,
}

/// What came of an attempt to log in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// It was closed before anything came of it, or was only to be explained.
    #[default]
    Closed,
    /// Logged in and bound.
    Connected(Box<Connected>),
    /// It failed, and why.
    Failed(Error),
}

impl LoginReport {
    /// Of an offer alone, when nothing was tried.
    #[must_use]
    pub fn of(explanation: Explanation) -> Self {
        Self { explanation: Some(Box::new(explanation)), ..Self::default() }
    }

    pub(crate) fn enter(&mut self, phase: Phase, now: Time) {
        if self.stages.len() < MAX_STAGES {
            self.stages.push(Stage { phase, at: now.since_zero() });
        }
    }

    pub(crate) fn note(&mut self, status: &Status) {
        match status {
            Status::Authenticating(choice) => self.attempts.push(choice.clone()),
            Status::Connected(connected) => {
                self.outcome = Outcome::Connected(Box::new(connected.clone()));
            }
            other => {
                // The first says what went wrong; what follows says that it is over.
                if let (Some(error), Outcome::Closed) = (other.error(), &self.outcome) {
                    self.outcome = Outcome::Failed(error.clone());
                }
            }
        }
    }

    /// Why it failed, if it did.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match &self.outcome {
            Outcome::Failed(error) => Some(error),
            _ => None,
        }
    }

    /// How it succeeded, if it did.
    #[must_use]
    pub fn connected(&self) -> Option<&Connected> {
        match &self.outcome {
            Outcome::Connected(connected) => Some(connected),
            _ => None,
        }
    }
}

/// No login goes through so many: it would be the server that goes round in circles.
const MAX_STAGES: usize = 64;
