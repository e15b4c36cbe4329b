//! The counts of stream management, and the stanzas that the client has yet to acknowledge.
//!
//! Leaves out the stream: what is counted and when is its owner's to say.

use std::collections::VecDeque;

use epode_proto::xml::Element;

use super::NAMESPACE;
use crate::session::conditions::StreamCondition;

/// What was handled and what was sent since stream management was enabled.
#[derive(Debug)]
pub(in crate::session) struct Ledger {
    /// The client's stanzas that were handled.
    handled: u32,
    /// The stanzas that the client has acknowledged. It counts modulo 2^32, we do not.
    acknowledged: u64,
    waiting: VecDeque<Element>,
    limit: usize,
    /// How many of those that wait were sent after the last request.
    unasked: usize,
}

/// More stanzas wait than may.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::session) struct Full;

impl Ledger {
    pub(in crate::session) fn new(limit: usize) -> Self {
        Self { handled: 0, acknowledged: 0, waiting: VecDeque::new(), limit, unasked: 0 }
    }

    /// How many of the client's stanzas were handled, modulo 2^32.
    pub(in crate::session) fn handled(&self) -> u32 {
        self.handled
    }

    /// One more stanza of the client's was handled.
    pub(in crate::session) fn count_handled(&mut self) {
        self.handled = self.handled.wrapping_add(1);
    }

    /// Keeps a stanza that is sent, until it is acknowledged. One over the limit is kept as well,
    /// for the sake of its sender, and is the last.
    pub(in crate::session) fn keep(&mut self, stanza: &Element) -> Result<(), Full> {
        self.waiting.push_back(stanza.clone());
        self.unasked += 1;
        if self.waiting.len() > self.limit { Err(Full) } else { Ok(()) }
    }

    /// The request for an acknowledgement, when it is due.
    pub(in crate::session) fn poll_request(&mut self) -> Option<Element> {
        let patience = REQUEST_EVERY.min(self.limit).max(1);
        (self.unasked >= patience).then(|| self.request())
    }

    /// The request for an acknowledgement, due or not.
    pub(in crate::session) fn request(&mut self) -> Element {
        self.unasked = 0;
        Element::new("r", NAMESPACE)
    }

    /// What answers the client's request.
    pub(in crate::session) fn answer(&self) -> Element {
        Element::new("a", NAMESPACE).with_attr("h", self.handled.to_string())
    }

    /// The client has handled so many stanzas, modulo 2^32. What it says again changes nothing.
    pub(in crate::session) fn acknowledge(&mut self, count: u32) -> Result<(), StreamCondition> {
        let known = modulo(self.acknowledged);
        let more = count.wrapping_sub(known) as usize;
        if more <= self.waiting.len() {
            self.waiting.drain(..more);
            self.acknowledged += more as u64;
            self.unasked = self.unasked.min(self.waiting.len());
            Ok(())
        } else if u64::from(known.wrapping_sub(count)) <= self.acknowledged.min(1 << 31) {
            Ok(())
        } else {
            let sent = modulo(self.acknowledged + self.waiting.len() as u64);
            Err(StreamCondition::HandledCountTooHigh { count, sent })
        }
    }

    /// The stanzas that are not acknowledged, in the order in which they were sent.
    pub(in crate::session) fn waiting(&self) -> impl Iterator<Item = &Element> {
        self.waiting.iter()
    }

    /// Gives up on what is not acknowledged.
    pub(in crate::session) fn into_waiting(self) -> VecDeque<Element> {
        self.waiting
    }
}

/// The count as it stands in an attribute.
fn modulo(count: u64) -> u32 {
    count as u32
}

/// So many stanzas are sent without a request, if so many may wait.
const REQUEST_EVERY: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(acknowledged: u64, stanzas: usize) -> Ledger {
        let mut ledger = Ledger { acknowledged, ..Ledger::new(10) };
        for number in 0..stanzas {
            let stanza = Element::new("message", "jabber:client");
            ledger.keep(&stanza.with_attr("id", number.to_string())).unwrap();
        }
        ledger
    }

    fn ids(ledger: &Ledger) -> Vec<&str> {
        ledger.waiting().filter_map(|stanza| stanza.attr("id")).collect()
    }

    #[test]
    fn acknowledged_stanzas_are_let_go() {
        let mut ledger = ledger(0, 3);
        for (count, left) in [(0, 3), (2, 1), (1, 1), (2, 1), (3, 0)] {
            assert_eq!(ledger.acknowledge(count), Ok(()));
            assert_eq!(ids(&ledger), ["0", "1", "2"][3 - left..], "{count}");
        }
    }

    #[test]
    fn counts_go_on_from_zero_after_the_last() {
        let mut ledger = ledger(u64::from(u32::MAX) - 1, 4);
        assert_eq!(ledger.acknowledge(u32::MAX), Ok(()));
        assert_eq!(ids(&ledger), ["1", "2", "3"]);
        let error = StreamCondition::HandledCountTooHigh { count: 3, sent: 2 };
        assert_eq!(ledger.acknowledge(3), Err(error));
        assert_eq!(ledger.acknowledge(1), Ok(()));
        assert_eq!(ids(&ledger), ["3"]);
        ledger.handled = u32::MAX;
        ledger.count_handled();
        assert_eq!(ledger.answer().attr("h"), Some("0"));
    }

    #[test]
    fn nothing_can_be_acknowledged_that_was_not_sent() {
        for (sent, count) in [(0, 1), (0, u32::MAX), (3, 4)] {
            let refused = ledger(0, sent).acknowledge(count);
            let sent = sent as u32;
            assert_eq!(refused, Err(StreamCondition::HandledCountTooHigh { count, sent }));
        }
    }

    #[test]
    fn a_request_is_due_now_and_then() {
        let mut waiting = ledger(0, REQUEST_EVERY - 1);
        assert_eq!(waiting.poll_request(), None);
        waiting.acknowledge(1).unwrap();
        let stanza = Element::new("message", "jabber:client");
        waiting.keep(&stanza).unwrap();
        assert_eq!(waiting.poll_request(), None, "what is acknowledged needs no request");
        waiting.keep(&stanza).unwrap();
        assert_eq!(waiting.poll_request(), Some(Element::new("r", NAMESPACE)));
        assert_eq!(waiting.poll_request(), None);
    }

    #[test]
    fn the_limit_holds() {
        let mut ledger = ledger(0, 10);
        let stanza = Element::new("message", "jabber:client");
        assert_eq!(ledger.keep(&stanza), Err(Full));
        assert_eq!(ledger.waiting().count(), 11);
        ledger.acknowledge(2).unwrap();
        assert_eq!(ledger.keep(&stanza), Ok(()));
    }
}
