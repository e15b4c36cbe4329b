//! What the next request carries, and whether there is to be one.
//! How it is written is in `request.rs`, and when an empty one is due in `pace.rs`.

use std::time::Duration;

use super::{Session, Stage};
use crate::{
    Frame, Time,
    bosh::{outbox::Batch, request::Head, window::Content},
};

impl Session {
    /// Whether an empty request would be sent, were it due.
    pub(super) fn may_poll(&self) -> bool {
        matches!(self.stage, Stage::Open)
            && !self.pace.is_resting()
            && self.outbox.is_empty()
            && self.window.is_empty()
            && !self.is_flooded()
    }

    /// A session that was taken over is made sure of: the second empty request lets the server
    /// answer the first, which it might keep waiting otherwise.
    fn knocks_twice(&self) -> bool {
        let is_attached = matches!(self.stage, Stage::Open) && !self.is_confirmed;
        is_attached
            && self.confirms_at.is_none()
            && self.window.len() == 1
            && !self.granted.is_polling()
    }

    /// Nobody takes the frames.
    fn is_flooded(&self) -> bool {
        self.frame_bytes > self.options.limits.response
    }

    /// What the next body is to carry, nothing for an empty one; `None` if there is to be no body.
    pub(super) fn next_batch(&mut self, now: Time) -> Option<Option<Batch>> {
        let limits = &self.options.limits;
        if self.sid.is_none() {
            // All else needs the id.
            return self.window.is_empty().then(|| self.outbox.take(limits)).flatten().map(Some);
        }
        if self.outbox.is_empty() {
            let is_due = self.may_poll() && self.pace.due(&self.granted) <= now;
            return (is_due || self.knocks_twice()).then_some(None);
        }
        let is_urgent = self.outbox.is_urgent(limits);
        let window = self.granted.window();
        let has_room = self.window.len() < window
            || (is_urgent && self.window.len() < window + 1 && self.window.len() < 2);
        let may_go = has_room && (is_urgent || !self.is_flooded());
        let may_go = may_go && self.window.settled() <= now;
        may_go.then(|| self.outbox.take(limits)).flatten().map(Some)
    }

    /// The body of the next request.
    pub(super) fn body(&mut self, batch: Option<Batch>) -> (Content, Frame) {
        let mut head = Head::new(self.next_rid);
        let Some(sid) = &self.sid else {
            if let Some(Batch::Open(header)) = &batch {
                head.create(header, &self.options);
            }
            if let Some(keys) = &mut self.keys {
                head.attribute("newkey", &keys.first());
            }
            return (Content::Create, head.with(&[]));
        };
        head.attribute("sid", sid);
        if let Some(rid) = self.window.answered_up_to() {
            head.attribute("ack", &rid.to_string());
        }
        if let Some(keys) = &mut self.keys {
            let (key, new) = keys.next();
            head.attribute("key", &key);
            if let Some(new) = new {
                head.attribute("newkey", &new);
            }
        }
        match batch {
            None => (Content::Empty, head.with(&[])),
            Some(Batch::Payloads(payloads)) => (Content::Payload, head.with(&payloads)),
            Some(Batch::Open(header)) => {
                head.restart(&header);
                self.restart = Some(self.next_rid);
                (Content::Restart, head.with(&[]))
            }
            Some(Batch::Pause(seconds)) => {
                head.attribute("pause", &seconds.to_string());
                (Content::Pause(Duration::from_secs(seconds.into())), head.with(&[]))
            }
            Some(Batch::Close(payloads)) => {
                head.attribute("type", "terminate");
                (Content::Close, head.with(&payloads))
            }
        }
    }
}
