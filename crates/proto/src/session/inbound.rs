//! The stanzas that a session receives: how many, and how many of them are dealt with.
//! What they say is not looked at here.

use std::collections::VecDeque;

/// What a session receives, in order, over all its connections.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inbound {
    /// How many were received in all.
    pub(crate) total: u64,
    /// Our count of the stanzas that were handled, since the count began, modulo 2^32.
    pub(crate) handled: u32,
    /// What was received and is not handled, oldest first: whether somebody else deals with it.
    pending: VecDeque<Whose>,
    /// How many the server will send again that we have already.
    again: usize,
    /// How many the application still has of an earlier count, which nobody counts any more.
    stale: usize,
}

/// Who deals with a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whose {
    Application,
    Own,
}

impl Inbound {
    pub(crate) fn restored(total: u64, handled: u32) -> Self {
        Self { total, handled, ..Self::default() }
    }

    /// Whether the stanza that has come is one that was received before the stream broke.
    pub(crate) fn is_repeated(&mut self) -> bool {
        let repeated = self.again > 0;
        self.again -= usize::from(repeated);
        repeated
    }

    /// A stanza was received and is handled by that.
    pub(crate) fn handle(&mut self) {
        self.total += 1;
        self.pending.push_back(Whose::Own);
        self.advance();
    }

    /// A stanza was received, and given to an application that will say when it has handled it.
    pub(crate) fn deliver(&mut self) {
        self.total += 1;
        self.pending.push_back(Whose::Application);
    }

    /// A stanza was received that the server does not count.
    pub(crate) fn handle_uncounted(&mut self) {
        self.total += 1;
    }

    /// The same, given to an application that will say when it has handled it.
    pub(crate) fn deliver_uncounted(&mut self) {
        self.total += 1;
        self.stale += 1;
    }

    /// The application has handled the oldest that it was given. Says whether there was one.
    pub(crate) fn handled_by_application(&mut self) -> bool {
        if self.stale > 0 {
            self.stale -= 1;
            return true;
        }
        let was_given = self.pending.pop_front().is_some();
        self.handled = self.handled.wrapping_add(u32::from(was_given));
        self.advance();
        was_given
    }

    /// The server is asked to resume the stream: what we have not called handled by now comes again.
    pub(crate) fn resume(&mut self) {
        self.again = self.pending.len();
    }

    /// The count begins anew; what is still with the application is not of the new stream.
    pub(crate) fn begin_count(&mut self) {
        self.handled = 0;
        self.stale += self.pending.iter().filter(|whose| **whose == Whose::Application).count();
        self.pending.clear();
        self.again = 0;
    }

    /// How many are received and not handled.
    pub(crate) fn pending(&self) -> usize {
        self.pending.len()
    }

    fn advance(&mut self) {
        while self.pending.front() == Some(&Whose::Own) {
            self.pending.pop_front();
            self.handled = self.handled.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_application_has_not_handled_holds_up_the_count() {
        let mut inbound = Inbound::default();
        inbound.handle();
        assert_eq!(inbound.handled, 1);
        inbound.deliver();
        inbound.handle();
        inbound.deliver();
        assert_eq!((inbound.handled, inbound.pending(), inbound.total), (1, 3, 4));
        assert!(inbound.handled_by_application());
        assert_eq!((inbound.handled, inbound.pending()), (3, 1));
        assert!(inbound.handled_by_application());
        assert_eq!((inbound.handled, inbound.pending()), (4, 0));
        assert!(!inbound.handled_by_application());
        assert_eq!(inbound.handled, 4);
    }

    #[test]
    fn what_comes_again_is_told_from_what_is_new() {
        let mut inbound = Inbound::default();
        inbound.deliver();
        inbound.handle();
        inbound.resume();
        assert_eq!([(); 3].map(|()| inbound.is_repeated()), [true, true, false]);
        inbound.begin_count();
        assert!(!inbound.is_repeated());
        assert_eq!((inbound.handled, inbound.total), (0, 2));
        assert!(inbound.handled_by_application(), "it still has one, which counts no more");
        assert_eq!(inbound.handled, 0);
        assert!(!inbound.handled_by_application());
    }

    #[test]
    fn the_count_wraps_at_2_to_the_32() {
        let mut inbound = Inbound { handled: u32::MAX, ..Inbound::default() };
        inbound.handle();
        assert_eq!(inbound.handled, 0);
    }
}
