//! Request ids: their order, which requests wait, and the answers for those that come again.
//!
//! Leaves out what requests say, and when they are answered.

use std::collections::{BTreeMap, VecDeque};

use tokio::time::Instant;

use super::body::Body;
use super::terms::REQUESTS;

/// The requests of one session. `E` is one exchange of HTTP, by which an answer goes back.
pub(super) struct Window<E> {
    /// The request to be read next.
    next: u64,
    /// Came before those that precede them.
    early: BTreeMap<u64, (Body, E)>,
    /// Were read, and have no answer yet; the oldest first.
    held: VecDeque<Held<E>>,
    /// The last answers, by request id.
    answers: BTreeMap<u64, String>,
}

struct Held<E> {
    rid: u64,
    exchange: E,
    since: Instant,
}

/// What a request is.
pub(super) enum Arrival<E> {
    /// One to be read when it is next.
    New,
    /// One that was answered: the same answer is due again.
    Answered(E, String),
    /// One that still waits, or did not come into its turn: the exchange is that by which it came
    /// before.
    Repeated(E),
    /// One that nobody may send now.
    Outside(E),
}

impl<E> Window<E> {
    /// Of a session that begins with this request.
    pub(super) fn new(rid: u64) -> Self {
        let (early, held, answers) = Default::default();
        Self { next: rid, early, held, answers }
    }

    /// Takes a request as it comes.
    pub(super) fn handle(&mut self, body: Body, exchange: E) -> Arrival<E> {
        let rid = body.rid();
        if let Some(answer) = self.answers.get(&rid) {
            return Arrival::Answered(exchange, answer.clone());
        }
        if let Some(held) = self.held.iter_mut().find(|held| held.rid == rid) {
            return Arrival::Repeated(std::mem::replace(&mut held.exchange, exchange));
        }
        // One more may come to pause or to end the session (XEP-0124, section 11).
        let may_exceed = body.is_terminate() || body.pause().is_some();
        if !(self.next..self.next + REQUESTS + u64::from(may_exceed)).contains(&rid) {
            return Arrival::Outside(exchange);
        }
        match self.early.insert(rid, (body, exchange)) {
            Some((_, earlier)) => Arrival::Repeated(earlier),
            None => Arrival::New,
        }
    }

    /// The request that is next in order, if it is there. From now on it is held.
    pub(super) fn poll_next(&mut self, now: Instant) -> Option<Body> {
        let (body, exchange) = self.early.remove(&self.next)?;
        self.held.push_back(Held { rid: self.next, exchange, since: now });
        self.next += 1;
        Some(body)
    }

    /// How many requests are held.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Since when the oldest of them is.
    pub(super) fn held_since(&self) -> Option<Instant> {
        self.held.front().map(|held| held.since)
    }

    /// Which the oldest of them is.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.held.front().map(|held| held.rid)
    }

    /// The last request that was read.
    pub(super) fn last_read(&self) -> u64 {
        self.next - 1
    }

    /// Answers the oldest request that is held, and keeps the answer.
    pub(super) fn answer(&mut self, answer: &str) -> Option<E> {
        let Held { rid, exchange, .. } = self.held.pop_front()?;
        self.answers.insert(rid, answer.to_owned());
        // While an answer is lost, the client can send no more than this. What it acknowledges is
        // kept as well: a repetition may have been on its way.
        while self.answers.len() as u64 > REQUESTS + 1 {
            self.answers.pop_first();
        }
        Some(exchange)
    }

    /// The exchanges of requests that will never be next.
    pub(super) fn abandon(&mut self) -> impl Iterator<Item = E> {
        std::mem::take(&mut self.early).into_values().map(|(_, exchange)| exchange)
    }
}
