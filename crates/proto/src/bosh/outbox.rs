//! What waits to be sent, and how much of it goes into the next body.
//! What the body looks like is in `request.rs`.

use std::collections::VecDeque;

use super::{Limits, SendError};
use crate::{Frame, stream::StreamHeader};

/// What waits to be sent, in order.
#[derive(Default)]
pub(super) struct Outbox {
    items: VecDeque<Item>,
    /// What the payloads take in memory.
    bytes: usize,
}

enum Item {
    Open(StreamHeader),
    Payload(Frame),
    Pause(u16),
    Close,
}

/// What one body carries.
pub(super) enum Batch {
    /// A stream is opened: the first one creates the session, another one is a restart.
    Open(StreamHeader),
    Payloads(Vec<Frame>),
    Pause(u16),
    /// The last payloads.
    Close(Vec<Frame>),
}

impl Outbox {
    pub(super) fn open(&mut self, header: StreamHeader) {
        self.items.push_back(Item::Open(header));
    }

    pub(super) fn pause(&mut self, seconds: u16) {
        self.items.push_back(Item::Pause(seconds));
    }

    pub(super) fn close(&mut self) {
        self.items.push_back(Item::Close);
    }

    pub(super) fn payload(&mut self, frame: &[u8], limits: &Limits) -> Result<(), SendError> {
        if frame.len() > limits.request {
            return Err(SendError::TooLarge { size: frame.len(), limit: limits.request });
        }
        let bytes = self.bytes + frame.len() + OVERHEAD;
        if bytes > limits.room() {
            return Err(SendError::Full { limit: limits.room() });
        }
        self.bytes = bytes;
        self.items.push_back(Item::Payload(Frame::new(frame)));
        Ok(())
    }

    /// How large a frame may be for [`payload`](Self::payload) to take it.
    pub(super) fn room(&self, limits: &Limits) -> usize {
        limits.room().saturating_sub(self.bytes + OVERHEAD).min(limits.request)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the next body may go beyond the window: it pauses or ends the session (XEP-0124,
    /// section 11).
    pub(super) fn is_urgent(&self, limits: &Limits) -> bool {
        let payloads = self.fitting(limits);
        match self.items.get(payloads) {
            Some(Item::Close) => true,
            Some(Item::Pause(_)) => payloads == 0,
            _ => false,
        }
    }

    /// Takes what the next body carries.
    pub(super) fn take(&mut self, limits: &Limits) -> Option<Batch> {
        let fitting = self.fitting(limits);
        let mut payloads = Vec::with_capacity(fitting);
        while payloads.len() < fitting
            && let Some(Item::Payload(frame)) = self.items.pop_front()
        {
            self.bytes -= frame.as_bytes().len() + OVERHEAD;
            payloads.push(frame);
        }
        if matches!(self.items.front(), Some(Item::Close)) {
            self.items.clear(); // nothing comes after it
            return Some(Batch::Close(payloads));
        }
        if !payloads.is_empty() {
            return Some(Batch::Payloads(payloads));
        }
        match self.items.pop_front()? {
            Item::Open(header) => Some(Batch::Open(header)),
            Item::Pause(seconds) => Some(Batch::Pause(seconds)),
            Item::Payload(frame) => Some(Batch::Payloads(vec![frame])), // not reached: one fits
            Item::Close => Some(Batch::Close(payloads)),
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// How many payloads fit into the next body; at least one, if one is next.
    fn fitting(&self, limits: &Limits) -> usize {
        let mut bytes = 0;
        let fits = |item: &&Item| match item {
            Item::Payload(frame) => {
                bytes += frame.as_bytes().len();
                bytes <= limits.request
            }
            _ => false,
        };
        self.items.iter().take_while(fits).count()
    }
}

/// What a waiting frame takes beside its bytes, roughly.
const OVERHEAD: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::default().with_request(10).with_waiting(1000)
    }

    fn sizes(batch: Option<Batch>) -> (Vec<usize>, bool) {
        let (frames, is_last) = match batch {
            Some(Batch::Payloads(frames)) => (frames, false),
            Some(Batch::Close(frames)) => (frames, true),
            _ => panic!("there are no payloads"),
        };
        (frames.iter().map(|frame| frame.as_bytes().len()).collect(), is_last)
    }

    #[test]
    fn bodies_are_filled_up_to_the_limit() {
        let mut outbox = Outbox::default();
        for size in [4, 4, 4, 10, 1] {
            assert_eq!(outbox.payload(&vec![b'x'; size], &limits()), Ok(()));
        }
        outbox.close();
        assert!(!outbox.is_urgent(&limits()));
        assert_eq!(sizes(outbox.take(&limits())), (vec![4, 4], false));
        assert_eq!(sizes(outbox.take(&limits())), (vec![4], false));
        assert_eq!(sizes(outbox.take(&limits())), (vec![10], false));
        assert!(outbox.is_urgent(&limits()));
        assert_eq!(sizes(outbox.take(&limits())), (vec![1], true));
        assert!(outbox.is_empty() && outbox.take(&limits()).is_none());
        assert_eq!(outbox.bytes, 0);
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let mut outbox = Outbox::default();
        let too_large = SendError::TooLarge { size: 11, limit: 10 };
        assert_eq!(outbox.payload(&[b'x'; 11], &limits()), Err(too_large));
        let mut taken = 0;
        while outbox.room(&limits()) >= 1 {
            assert_eq!(outbox.payload(b"x", &limits()), Ok(()));
            taken += 1;
        }
        assert_eq!(taken, 15);
        assert_eq!(outbox.payload(b"x", &limits()), Err(SendError::Full { limit: 1000 }));
    }

    #[test]
    fn a_restart_and_a_pause_are_alone() {
        let mut outbox = Outbox::default();
        outbox.payload(b"a", &limits()).expect("there is room");
        outbox.open(StreamHeader::default());
        outbox.payload(b"b", &limits()).expect("there is room");
        outbox.pause(7);
        assert_eq!(sizes(outbox.take(&limits())), (vec![1], false));
        assert!(matches!(outbox.take(&limits()), Some(Batch::Open(_))));
        assert!(!outbox.is_urgent(&limits()));
        assert_eq!(sizes(outbox.take(&limits())), (vec![1], false));
        assert!(outbox.is_urgent(&limits()));
        assert!(matches!(outbox.take(&limits()), Some(Batch::Pause(7))));
    }
}
