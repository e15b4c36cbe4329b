//! The stanzas that a session sends: which the server has, which are on their way, which still
//! wait. How they are written, and when, is not known here.

use std::collections::VecDeque;

use crate::Element;

/// What a session sends, in order. Each stanza has a number, the first 1, that it keeps over all
/// connections of the session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbound {
    /// How many were given a number.
    pub(crate) total: u64,
    /// The server's count of the stanzas that it has handled, since the count began, modulo 2^32.
    pub(crate) handled: u32,
    /// How many of the queue are on their way on the current stream.
    sent: usize,
    /// What the server has not acknowledged, with what was not sent yet at the end.
    pub(crate) queue: VecDeque<Kept>,
    bytes: usize,
}

/// A stanza that the server has not acknowledged.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) number: u64,
    pub(crate) stanza: Element,
    /// When the application sent it, in seconds since 1970.
    pub(crate) at: u64,
}

/// A count of the server's that cannot be: above what was sent, or below what it said before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Impossible {
    pub(crate) handled: u32,
    pub(crate) sent: u32,
}

impl Outbound {
    /// What was kept of an earlier process.
    pub(crate) fn restored(total: u64, handled: u32, queue: VecDeque<Kept>) -> Self {
        let bytes = queue.iter().map(|kept| kept.stanza.memory()).sum();
        let sent = queue.len(); // as far as is known
        Self { total, handled, sent, queue, bytes }
    }

    /// Takes a stanza, and gives its number.
    pub(crate) fn push(&mut self, stanza: Element, at: u64) -> u64 {
        self.bytes += stanza.memory();
        self.total += 1;
        self.queue.push_back(Kept { number: self.total, stanza, at });
        self.total
    }

    /// The next that is not on its way, which is from now on.
    pub(crate) fn next(&mut self) -> Option<&Kept> {
        let next = self.queue.get(self.sent)?;
        self.sent += 1;
        Some(next)
    }

    /// Those that are not on their way.
    pub(crate) fn into_waiting(self) -> impl Iterator<Item = Kept> {
        self.queue.into_iter().skip(self.sent)
    }

    /// How many are kept, and how many bytes of memory they take.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.queue.len(), self.bytes)
    }

    /// The server has handled so many, modulo 2^32, since the count began. Gives the number of the
    /// last, if any of them is news.
    pub(crate) fn acknowledge(&mut self, handled: u32) -> Result<Option<u64>, Impossible> {
        let fresh = handled.wrapping_sub(self.handled) as usize;
        if fresh > self.sent {
            let sent = self.handled.wrapping_add(self.sent as u32);
            return Err(Impossible { handled, sent });
        }
        self.handled = handled;
        Ok(self.settle(fresh))
    }

    /// Nobody acknowledges what is on its way. Gives the number of the last.
    pub(crate) fn let_go(&mut self) -> Option<u64> {
        self.settle(self.sent)
    }

    /// All that the server has not handled goes out again.
    pub(crate) fn resend(&mut self) {
        self.sent = 0;
    }

    /// The stream and its count are lost. What `salvage` makes of each stanza goes out on the next
    /// one; it is told whether the stanza had been sent. Gives the numbers of the others.
    pub(crate) fn begin_anew(&mut self, salvage: impl Fn(Kept, bool) -> Option<Kept>) -> Vec<u64> {
        let sent = std::mem::take(&mut self.sent);
        let queue = std::mem::take(&mut self.queue);
        let mut dropped = Vec::new();
        for (index, kept) in queue.into_iter().enumerate() {
            let number = kept.number;
            match salvage(kept, index < sent) {
                Some(kept) => self.queue.push_back(kept),
                None => dropped.push(number),
            }
        }
        self.bytes = self.queue.iter().map(|kept| kept.stanza.memory()).sum();
        self.handled = 0;
        dropped
    }

    fn settle(&mut self, count: usize) -> Option<u64> {
        let mut last = None;
        for kept in self.queue.drain(..count) {
            self.bytes -= kept.stanza.memory();
            last = Some(kept.number);
        }
        self.sent -= count;
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::namespaces::CLIENT;

    fn message(id: &str) -> Element {
        Element::new("message", CLIENT).with_attr("id", id)
    }

    fn on_its_way(count: u64) -> Outbound {
        let mut outbound = Outbound::default();
        for number in 1..=count {
            assert_eq!(outbound.push(message(&number.to_string()), 0), number);
            assert_eq!(outbound.next().map(|kept| kept.number), Some(number));
        }
        outbound
    }

    #[test]
    fn what_is_acknowledged_leaves() {
        let mut outbound = on_its_way(3);
        assert_eq!(outbound.acknowledge(0), Ok(None));
        assert_eq!(outbound.acknowledge(2), Ok(Some(2)));
        assert_eq!(outbound.acknowledge(2), Ok(None));
        assert_eq!(outbound.size().0, 1);
        assert_eq!(outbound.acknowledge(3), Ok(Some(3)));
        assert_eq!(outbound.size(), (0, 0));
    }

    #[test]
    fn counts_that_cannot_be_are_refused_and_change_nothing() {
        let mut outbound = on_its_way(3);
        outbound.push(message("not sent"), 0);
        outbound.acknowledge(2).expect("it is right");
        for handled in [4, 1, 0, u32::MAX, 1 << 31] {
            assert_eq!(outbound.acknowledge(handled), Err(Impossible { handled, sent: 3 }));
        }
        assert_eq!(outbound.acknowledge(3), Ok(Some(3)));
    }

    #[test]
    fn counts_wrap_at_2_to_the_32() {
        let mut outbound = on_its_way(4);
        outbound.handled = u32::MAX - 1;
        assert_eq!(outbound.acknowledge(3), Err(Impossible { handled: 3, sent: 2 }));
        assert_eq!(outbound.acknowledge(u32::MAX), Ok(Some(1)));
        assert_eq!(outbound.acknowledge(0), Ok(Some(2)));
        assert_eq!(outbound.acknowledge(u32::MAX), Err(Impossible { handled: u32::MAX, sent: 2 }));
        assert_eq!(outbound.acknowledge(2), Ok(Some(4)));
    }

    #[test]
    fn a_new_count_keeps_numbers_and_drops_what_is_not_salvaged() {
        let mut outbound = on_its_way(3);
        outbound.push(message("4"), 0);
        outbound.acknowledge(1).expect("it is right");
        let dropped = outbound.begin_anew(|kept, sent| {
            assert_eq!(sent, kept.number < 4);
            Some(kept).filter(|kept| kept.number != 3)
        });
        assert_eq!(dropped, [3]);
        assert_eq!(outbound.acknowledge(1), Err(Impossible { handled: 1, sent: 0 }));
        let next: Vec<_> = std::iter::from_fn(|| outbound.next().map(|kept| kept.number)).collect();
        assert_eq!(next, [2, 4]);
        assert_eq!(outbound.acknowledge(2), Ok(Some(4)));
        assert_eq!(outbound.size(), (0, 0));
    }
}
