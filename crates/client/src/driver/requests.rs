//! Requests of the application, and whoever waits for their answers.

use std::time::Duration;

use epode_proto::{Element, Jid, NotARequest, Requests, Time, stream::StanzaError};
use tokio::{sync::oneshot, time::Instant};

use crate::{Error, moment::later};

/// Who waits for an answer.
pub(crate) type Owner = oneshot::Sender<Result<Element, RequestError>>;

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// Whoever was asked refuses.
    #[error(transparent)]
    Refused(#[from] StanzaError),
    /// Nobody answered in time.
    #[error("nobody answered in time")]
    TimedOut,
    /// The connection was lost, and the session could not be resumed: whether the request was
    /// heard is not known.
    #[error("the session was lost before the answer came")]
    SessionLost,
    /// It is no request.
    #[error("not sent: {0}")]
    NotARequest(#[from] NotARequest),
    /// It was not sent, or the session ended before the answer came.
    #[error(transparent)]
    Session(#[from] Error),
}

/// The requests that wait.
pub(super) struct Pending {
    zero: Instant,
    waiting: Option<Requests<Owner>>,
}

impl Default for Pending {
    fn default() -> Self {
        Self { zero: Instant::now(), waiting: None }
    }
}

impl Pending {
    /// Whose the requests are.
    pub(super) fn set_account(&mut self, account: &Jid) {
        match &mut self.waiting {
            Some(waiting) => waiting.set_account(account.clone()),
            None => self.waiting = Some(Requests::new(account.clone(), LIMIT)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.as_ref().is_none_or(Requests::is_empty)
    }

    /// Waits for the answer to this request, or tells its owner why not. Says which.
    pub(super) fn add(&mut self, request: &Element, span: Duration, owner: Owner) -> bool {
        let deadline = self.now() + span;
        let Some(waiting) = &mut self.waiting else {
            let _ = owner.send(Err(RequestError::SessionLost));
            return false;
        };
        match waiting.add(request, deadline, owner) {
            Ok(()) => true,
            Err((why, owner)) => {
                let _ = owner.send(Err(why.into())); // it may have gone
                false
            }
        }
    }

    /// The request of this id could not be sent.
    pub(super) fn withdraw(&mut self, id: &str, error: Error) {
        let owner = self.waiting.as_mut().and_then(|waiting| waiting.withdraw(id));
        owner.map(|owner| owner.send(Err(error.into())));
    }

    /// Gives the stanza to who asked for it, or back.
    pub(super) fn answer(&mut self, stanza: Element) -> Option<Element> {
        let answered = self.waiting.as_mut().and_then(|waiting| waiting.answered(&stanza));
        let Some((owner, outcome)) = answered else { return Some(stanza) };
        let _ = owner.send(outcome.map(|()| stanza).map_err(Into::into));
        None
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let deadline = self.waiting.as_ref()?.next_deadline()?;
        Some(later(self.zero, deadline.since_zero()))
    }

    pub(super) fn expire(&mut self) {
        let now = self.now();
        let late = self.waiting.as_mut().map(|waiting| waiting.expire(now));
        for owner in late.into_iter().flatten() {
            let _ = owner.send(Err(RequestError::TimedOut));
        }
    }

    /// The session is another one: nobody will answer what was asked in the last.
    pub(super) fn begin_anew(&mut self) {
        self.tell_all(&RequestError::SessionLost);
    }

    /// It is over.
    pub(super) fn end(&mut self, error: &Error) {
        self.tell_all(&RequestError::Session(error.clone()));
    }

    fn tell_all(&mut self, error: &RequestError) {
        for owner in self.waiting.iter_mut().flat_map(Requests::clear) {
            let _ = owner.send(Err(error.clone()));
        }
    }

    fn now(&self) -> Time {
        Time::after(self.zero.elapsed())
    }
}

/// How many requests may wait at a time.
const LIMIT: usize = 10_000;
