//! What the answers mean for the session.
//! Their order, and what is asked for again, is the affair of `window.rs`.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{RequestId, Response, Session, Stage};
use crate::{
    Time,
    bosh::{
        Condition, End, Failure, Fault, Granted, LONGEST_SID,
        pace::Heard,
        reply::{Kind, Reply},
        window::{Content, Entry, Terms},
    },
};

/// Each element of an answer is written out on its own, with the namespaces it inherits; that takes
/// a little more, and never so many times as much.
const MOST_EXPANSION: usize = 4;
/// How many answers in a row may be gone: two requests are under way at the most.
const MOST_GONE: u32 = 3;
/// How soon an old answer would be here.
const KNOCK: Duration = Duration::from_millis(100);

impl Session {
    pub(super) fn answered(
        &mut self,
        now: Time,
        id: RequestId,
        response: Response<'_>,
    ) -> Result<(), End> {
        let Some(place) = self.window.find(id) else { return Ok(()) };
        let terms = Terms { options: &self.options, granted: &self.granted };
        match response.status {
            200 => {}
            // There is a newer attempt, which will say more.
            _ if !place.is_current => return Ok(()),
            status @ (408 | 429 | 500..=599) => {
                return self.window.fail(&place, now, Failure::Status(status), terms);
            }
            // It need not be answered, only be out of the way of the end.
            status if self.window.is_ending() => {
                return self.window.fail(&place, now, Failure::Status(status), terms);
            }
            status => {
                // Where there is no session yet, it says something of the address.
                let condition = Condition::of_status(status).filter(|_| self.sid.is_some());
                return Err(End::Refused { status, condition });
            }
        }
        let limits = self.options.xml.with_stanza(self.options.limits.response);
        let reply = Reply::parse(response.body, &limits)?;
        match reply.kind() {
            Kind::Again if place.is_current => self.window.repeat(&place, now, terms),
            Kind::Again => Ok(()),
            Kind::Terminate(Some(Condition::ItemNotFound)) if self.window.is_repeat(&place) => {
                self.window.answer(&place, now, Reply::gone());
                Ok(())
            }
            Kind::Ordinary if self.window.is_echo(&place, &reply) => {
                self.window.answer(&place, now, Reply::gone());
                Ok(())
            }
            Kind::Ordinary | Kind::Terminate(_) => {
                self.window.answer(&place, now, reply);
                Ok(())
            }
        }
    }

    /// Takes all answers that are next in order.
    pub(super) fn settle(&mut self, now: Time, mut outcome: Result<(), End>) {
        while outcome.is_ok()
            && let Some((entry, reply)) = self.window.take_answered()
        {
            outcome = self.take(now, &entry, &reply);
        }
        if let Err(end) = outcome {
            self.finish(end);
        }
    }

    fn take(&mut self, now: Time, entry: &Entry, reply: &Reply) -> Result<(), End> {
        let kind = reply.kind();
        let is_ordinary = kind == Kind::Ordinary;
        match (&self.sid, reply.attr("sid")) {
            (None, sid) if is_ordinary => self.created(sid, reply)?,
            (Some(ours), Some(sid)) if ours.as_str() != sid => return Err(Fault::WrongSid.into()),
            _ => {}
        }
        self.note_life(now, entry, reply)?;
        let is_new = |rid| entry.rid >= rid || reply.has_features();
        if is_ordinary && self.restart.take_if(|rid| is_new(*rid)).is_some() {
            self.push(reply.open());
        }
        let limit = self.options.limits.response.saturating_mul(MOST_EXPANSION);
        for frame in reply.frames() {
            self.push(frame);
            if self.frame_bytes > limit {
                return Err(Fault::Expands { limit }.into());
            }
        }
        let is_quiet =
            entry.content == Content::Empty && self.window.is_empty() && reply.is_empty();
        let is_quiet = is_quiet && !reply.is_gone();
        let heard = if is_quiet {
            Heard::Nothing
        } else if reply.is_our_turn() {
            Heard::OurTurn
        } else if reply.is_empty() {
            Heard::Other
        } else {
            Heard::Stanzas
        };
        self.pace.heard(now, heard);
        match (kind, entry.content) {
            // A session that is not there is closed.
            (Kind::Terminate(Some(Condition::ItemNotFound)), Content::Close) => Err(End::Closed),
            (Kind::Terminate(Some(condition)), _) => Err(End::Terminated(condition)),
            (Kind::Terminate(None), _) | (_, Content::Close) => Err(End::Closed),
            (_, Content::Pause(span)) => {
                self.pace.pause(now, span);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Sees whether the session is there. One that was taken over is, once the first of the two
    /// empty requests is answered and the second is kept waiting, or brings something: a server
    /// that has had both already would give its old answers again, at once.
    fn note_life(&mut self, now: Time, entry: &Entry, reply: &Reply) -> Result<(), End> {
        if reply.is_gone() {
            self.gone += 1;
            let is_over = self.gone >= MOST_GONE;
            return if is_over { Err(End::Terminated(Condition::ItemNotFound)) } else { Ok(()) };
        }
        self.gone = 0;
        if reply.kind() != Kind::Ordinary || self.is_confirmed {
            return Ok(());
        }
        let is_taken_over = entry.content == Content::Empty && !self.granted.is_polling();
        match self.confirms_at {
            None if is_taken_over => self.confirms_at = Some(now + KNOCK),
            Some(_) if reply.is_empty() => return Err(End::RidUsed),
            _ => self.is_confirmed = true,
        }
        Ok(())
    }

    /// The session is created.
    fn created(&mut self, sid: Option<&str>, reply: &Reply) -> Result<(), Fault> {
        let sid = sid.filter(|sid| !sid.is_empty()).ok_or(Fault::NoSid)?;
        if sid.len() > LONGEST_SID {
            return Err(Fault::LongSid { limit: LONGEST_SID });
        }
        self.sid = Some(Zeroizing::new(sid.to_owned()));
        self.granted = Granted::by(reply, &self.options);
        if matches!(self.stage, Stage::Creating) {
            self.stage = Stage::Open;
        }
        self.push(reply.open());
        Ok(())
    }
}
