//! What the answers mean for the session.
//! Their order, and what is asked for again, is the affair of `window.rs`.

use zeroize::Zeroizing;

use super::{LONGEST_SID, RequestId, Response, Session, Stage};
use crate::{
    Time,
    bosh::{
        Condition, End, Failure, Fault, Granted,
        reply::{Kind, Reply},
        window::{Content, Entry, Terms},
    },
};

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
                return Err(End::Refused { status, condition: Condition::of_status(status) });
            }
        }
        let limits = self.options.xml.with_stanza(self.options.limits.response);
        let reply = Reply::parse(response.body, &limits)?;
        match reply.kind() {
            Kind::Again if place.is_current => self.window.repeat(&place, now, terms),
            Kind::Again => Ok(()),
            Kind::Ordinary | Kind::Terminate(_) => {
                self.window.answer(&place, reply);
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
        self.is_confirmed |= is_ordinary;
        let is_new = |rid| entry.rid >= rid || reply.has_features();
        if is_ordinary && self.restart.take_if(|rid| is_new(*rid)).is_some() {
            self.push(reply.open());
        }
        for frame in reply.frames() {
            self.push(frame);
        }
        let is_quiet =
            entry.content == Content::Empty && self.window.is_empty() && reply.is_empty();
        self.pace.heard(now, is_quiet, reply.is_our_turn());
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
