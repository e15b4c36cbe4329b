//! The requests that are under way: answers in their order, and attempts again.
//! What an answer means is decided by the session; when a new request is due, by `pace.rs`.

use std::{collections::VecDeque, time::Duration};

use super::{
    End, Failure, Granted, Options, Request, RequestId,
    reply::{Kind, Reply},
    travel::Travel,
};
use crate::{Frame, Time};

/// The requests that are under way, by request id.
#[derive(Default)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    ids: u64,
    travel: Travel,
}

/// A request until it and all before it are answered.
pub(super) struct Entry {
    pub(super) rid: u64,
    pub(super) content: Content,
    /// What is sent, and sent again. It is wiped when the entry goes.
    body: Frame,
    /// Each attempt; the last one is the current one.
    attempts: Vec<RequestId>,
    state: State,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Create,
    Restart,
    Payload,
    Empty,
    Pause(Duration),
    Close,
}

enum State {
    /// To be sent, or sent again, at this moment; and the attempt that is to be given up for it.
    Due(Time, Option<RequestId>),
    /// Sent at this moment.
    Asked(Time),
    Answered(Reply),
}

/// Where an attempt belongs.
pub(super) struct Place {
    index: usize,
    /// No later attempt was made.
    pub(super) is_current: bool,
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// The request id up to which all is answered, if not all is.
    pub(super) fn answered_up_to(&self) -> Option<u64> {
        self.entries.front().map(|entry| entry.rid - 1)
    }

    /// A request of ours failed, and is to be sent again before any new one.
    pub(super) fn is_mending(&self) -> bool {
        self.entries.iter().any(|entry| matches!(entry.state, State::Due(..)))
    }

    /// The session is over, but for the answers to earlier requests.
    pub(super) fn is_ending(&self) -> bool {
        self.entries.iter().any(Entry::ends_the_session)
    }

    /// Adds a request, which [`ask`](Self::ask) gives out.
    pub(super) fn push(&mut self, now: Time, rid: u64, content: Content, body: Frame) {
        let state = State::Due(now, None);
        self.entries.push_back(Entry { rid, content, body, attempts: Vec::new(), state });
    }

    /// A request that is to be sent now.
    pub(super) fn ask(&mut self, now: Time) -> Option<Request> {
        // In their order: one that waits for its time keeps those after it waiting.
        let index = self.first_due()?;
        if !self.entries[index].is_due(now) || self.settled_at(index) > now {
            return None;
        }
        let entry = &mut self.entries[index];
        self.ids += 1;
        let id = RequestId(self.ids);
        entry.attempts.push(id);
        let replaces = match std::mem::replace(&mut entry.state, State::Asked(now)) {
            State::Due(_, replaces) => replaces,
            State::Asked(_) | State::Answered(_) => None,
        };
        let is_poll = entry.content == Content::Empty;
        Some(Request { id, replaces, body: entry.body.clone(), rid: entry.rid, is_poll })
    }

    fn first_due(&self) -> Option<usize> {
        self.entries.iter().position(|entry| matches!(entry.state, State::Due(..)))
    }

    /// When a new request can be posted: the others have arrived by then, or are known to be lost.
    pub(super) fn settled(&self) -> Time {
        self.settled_at(self.entries.len())
    }

    /// When those before this one have arrived, or are known to be lost. Two connections carry
    /// them, and servers differ in what they make of a request that overtakes another.
    fn settled_at(&self, index: usize) -> Time {
        let asked = self.entries.iter().take(index).filter_map(|entry| match entry.state {
            State::Asked(since) => Some(self.travel.arrival(since)),
            State::Due(..) | State::Answered(_) => None,
        });
        asked.max().unwrap_or(Time::ZERO)
    }

    /// The request that an attempt belongs to, unless it is answered.
    pub(super) fn find(&self, id: RequestId) -> Option<Place> {
        let open = |entry: &Entry| !matches!(entry.state, State::Answered(_));
        let index =
            self.entries.iter().position(|entry| open(entry) && entry.attempts.contains(&id))?;
        let entry = &self.entries[index];
        let is_current =
            entry.attempts.last() == Some(&id) && matches!(entry.state, State::Asked(_));
        Some(Place { index, is_current })
    }

    /// Whether the server may say that it no longer has the answer, which need not mean that it no
    /// longer has the session: a request that it kept waiting until its connection broke, and that
    /// comes again after a later one, is unknown to some. The next request tells.
    pub(super) fn is_repeat(&self, place: &Place) -> bool {
        let entry = &self.entries[place.index];
        let is_lasting = matches!(entry.content, Content::Empty | Content::Payload);
        is_lasting && entry.attempts.len() > 1
    }

    /// Whether the answer is our own request: some servers let a request go with it that came again
    /// while it was kept waiting, in place of an empty answer. No other answer has a `rid`, and one
    /// that says something of its own says something else.
    pub(super) fn is_echo(&self, place: &Place, reply: &Reply) -> bool {
        let entry = &self.entries[place.index];
        let is_repeat = entry.attempts.len() > 1;
        is_repeat
            && reply.attr("rid") == Some(entry.rid.to_string().as_str())
            && reply.has_content_of(entry.body.as_bytes())
    }

    pub(super) fn answer(&mut self, place: &Place, now: Time, reply: Reply) {
        if let Some(asked) = self.cause_of(place.index) {
            self.travel.note(now.since_zero().saturating_sub(asked.since_zero()));
        }
        self.entries[place.index].state = State::Answered(reply);
        if self.is_ending() {
            // Nobody would answer them any more.
            self.entries.retain(|entry| !matches!(entry.state, State::Due(..)));
        }
    }

    /// When the request was asked that made the server answer this one: a later one, if there is
    /// any. Else it is this one, unless the server kept it waiting.
    fn cause_of(&self, index: usize) -> Option<Time> {
        let asked = |entry: &Entry| match entry.state {
            State::Asked(since) => Some(since),
            State::Due(..) | State::Answered(_) => None,
        };
        let later = self.entries.iter().skip(index + 1).filter_map(asked).max();
        let is_prompt = matches!(self.entries[index].content, Content::Create | Content::Restart);
        later.or_else(|| asked(&self.entries[index]).filter(|_| is_prompt))
    }

    /// The request has gone out.
    pub(super) fn sent(&mut self, id: RequestId, now: Time) {
        let current = |entry: &&mut Entry| entry.attempts.last() == Some(&id);
        if let Some(entry) = self.entries.iter_mut().find(current)
            && let State::Asked(_) = entry.state
        {
            entry.state = State::Asked(now);
        }
    }

    /// The next answer in order.
    pub(super) fn take_answered(&mut self) -> Option<(Entry, Reply)> {
        let front = self.entries.pop_front()?;
        match front {
            Entry { state: State::Answered(reply), rid, content, body, attempts } => {
                let state = State::Due(Time::ZERO, None);
                Some((Entry { rid, content, body, attempts, state }, reply))
            }
            other => {
                self.entries.push_front(other);
                None
            }
        }
    }

    /// The server wants this request again, and those before it that it has not answered
    /// (XEP-0124, section 17.3).
    pub(super) fn repeat(&mut self, place: &Place, now: Time, terms: Terms<'_>) -> Result<(), End> {
        self.fail(place, now, Failure::AskedAgain, terms)?;
        let at = match self.entries.get(place.index).map(|entry| &entry.state) {
            Some(State::Due(at, _)) => *at,
            _ => return Ok(()), // the session is ending
        };
        for entry in self.entries.iter_mut().take(place.index) {
            if let State::Asked(_) = entry.state {
                entry.state = State::Due(at, entry.attempts.last().copied());
            }
        }
        Ok(())
    }

    /// An attempt has failed: another one is due, later and later.
    pub(super) fn fail(
        &mut self,
        place: &Place,
        now: Time,
        failure: Failure,
        terms: Terms<'_>,
    ) -> Result<(), End> {
        if self.is_ending() {
            self.entries.remove(place.index);
            return Ok(());
        }
        self.travel.broke(now);
        let entry = &mut self.entries[place.index];
        let attempts = u32::try_from(entry.attempts.len()).unwrap_or(u32::MAX);
        if attempts >= terms.options.attempts {
            return Err(End::GaveUp { attempts, last: failure });
        }
        let abandoned = entry.attempts.last().copied().filter(|_| failure == Failure::Silence);
        let delay = terms.granted.before_inactivity(back_off(terms.options.back_off, attempts));
        entry.state = State::Due(now + delay, abandoned);
        Ok(())
    }

    /// A request that should have been answered by now.
    pub(super) fn overdue(&self, now: Time, terms: Terms<'_>) -> Option<Place> {
        let index = (0..self.entries.len())
            .find(|index| self.deadline(*index, terms).is_some_and(|at| at <= now))?;
        Some(Place { index, is_current: true })
    }

    /// When something is to be done, if nothing happens before.
    pub(super) fn next_time(&self, terms: Terms<'_>) -> Option<Time> {
        let first = self.first_due();
        let time = |(index, entry): (usize, &Entry)| match entry.state {
            State::Due(at, _) if first == Some(index) => Some(at.max(self.settled_at(index))),
            State::Due(..) => None,
            State::Asked(_) => self.deadline(index, terms),
            State::Answered(_) => None,
        };
        self.entries.iter().enumerate().filter_map(time).min()
    }

    /// When the current attempt has taken too long. The server may hold as many requests as it
    /// was granted, and has to answer one that came before these at once.
    fn deadline(&self, index: usize, Terms { options, granted }: Terms<'_>) -> Option<Time> {
        let State::Asked(since) = self.entries[index].state else { return None };
        let later = self.entries.iter().skip(index + 1);
        let asked = later.filter_map(|entry| match entry.state {
            State::Asked(at) => Some(at),
            State::Answered(_) => Some(since),
            State::Due(..) => None,
        });
        let (mut held, mut last) = (1, since);
        for at in asked {
            held += 1;
            last = last.max(at);
        }
        let is_held = held <= usize::from(granted.hold);
        let wait = if is_held { granted.wait } else { Duration::ZERO };
        let size = self.entries[index].body.as_bytes().len();
        let patience = options.patience.with(is_held);
        Some(last + wait + patience + Duration::from_secs(size as u64 / SLOWEST))
    }
}

/// What a request may expect.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) options: &'a Options,
    pub(super) granted: &'a Granted,
}

impl Entry {
    fn is_due(&self, now: Time) -> bool {
        matches!(self.state, State::Due(at, _) if at <= now)
    }

    fn ends_the_session(&self) -> bool {
        match &self.state {
            State::Answered(reply) => matches!(reply.kind(), Kind::Terminate(_)),
            State::Due(..) | State::Asked(_) => false,
        }
    }
}

/// Bytes a second that a way may take at the least.
const SLOWEST: u64 = 8 * 1024;

/// How long to wait after so many attempts: nothing, then `first`, and twice as long each time, to
/// 32 times as long. A connection that was kept alive too long is the
/// common reason for the first one to fail, and another connection mends it.
fn back_off(first: Duration, attempts: u32) -> Duration {
    match attempts {
        0 | 1 => Duration::ZERO,
        more => first.saturating_mul(1 << (more - 2).min(5)),
    }
}
