//! What becomes of each stanza that was sent, as far as it is known.

use std::{collections::VecDeque, fmt};

use tokio::sync::watch;

/// What has become of a stanza that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// It waits for a connection.
    Queued,
    /// It was handed to the connection.
    Sent,
    /// The server has it (XEP-0198).
    Acknowledged,
    /// It was lost with its session, and is not sent again.
    Failed,
}

/// Tells what becomes of one stanza ([`Session::send`](crate::Session::send)). To drop it changes
/// nothing.
///
/// ```no_run
/// # async fn example(session: &epode::Session, stanza: epode::Element) -> Result<(), epode::Error> {
/// let mut receipt = session.send(stanza).await?;
/// match receipt.acknowledged().await {
///     Ok(()) => println!("the server has it"),
///     Err(why) => println!("{why}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Receipt {
    delivery: watch::Receiver<Delivery>,
}

/// Why it will not be known that the server has a stanza.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotDelivered {
    /// It was lost with its session.
    #[error("the stanza was lost with its session, and is not sent again")]
    Lost,
    /// The server acknowledges nothing, or the session ended before it did.
    #[error("the stanza was sent, and nobody says that the server has it")]
    Unknown,
    /// The session ended before it could be sent.
    #[error("the session ended before the stanza was sent")]
    NotSent,
}

impl Receipt {
    /// What is known by now.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        *self.delivery.borrow()
    }

    /// Waits until the stanza was handed to a connection.
    ///
    /// # Errors
    ///
    /// [`NotDelivered`] if it never will be.
    pub async fn sent(&mut self) -> Result<(), NotDelivered> {
        self.reach(Delivery::Sent).await
    }

    /// Waits until the server has acknowledged the stanza.
    ///
    /// # Errors
    ///
    /// [`NotDelivered`] if it never will, or if it does not do such things.
    pub async fn acknowledged(&mut self) -> Result<(), NotDelivered> {
        self.reach(Delivery::Acknowledged).await
    }

    async fn reach(&mut self, wanted: Delivery) -> Result<(), NotDelivered> {
        let reached = self.delivery.wait_for(|delivery| *delivery >= wanted).await;
        let last = reached.map(|delivery| *delivery).ok();
        match last.unwrap_or_else(|| self.delivery()) {
            Delivery::Failed => Err(NotDelivered::Lost),
            reached if reached >= wanted => Ok(()),
            Delivery::Queued => Err(NotDelivered::NotSent),
            _ => Err(NotDelivered::Unknown),
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receipt").field(&self.delivery()).finish()
    }
}

/// The receipts of what is not settled yet, by number.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    open: VecDeque<(u64, watch::Sender<Delivery>)>,
}

impl Receipts {
    /// One for the stanza of this number, which is higher than those before.
    pub(super) fn issue(&mut self, number: u64) -> Receipt {
        let (sender, delivery) = watch::channel(Delivery::Queued);
        self.open.push_back((number, sender));
        Receipt { delivery }
    }

    pub(super) fn sent(&mut self, number: u64) {
        if let Ok(index) = self.find(number) {
            self.open[index].1.send_replace(Delivery::Sent);
        }
    }

    /// The server has all up to this one.
    pub(super) fn acknowledged(&mut self, last: u64) {
        for (_, sender) in self.take(last) {
            sender.send_replace(Delivery::Acknowledged);
        }
    }

    /// Nothing more becomes known of all up to this one.
    pub(super) fn unmanaged(&mut self, last: u64) {
        drop(self.take(last));
    }

    pub(super) fn dropped(&mut self, number: u64) {
        if let Ok(index) = self.find(number)
            && let Some((_, sender)) = self.open.remove(index)
        {
            sender.send_replace(Delivery::Failed);
        }
    }

    fn take(&mut self, last: u64) -> impl Iterator<Item = (u64, watch::Sender<Delivery>)> {
        let count = self.find(last).map_or_else(|index| index, |index| index + 1);
        self.open.drain(..count)
    }

    fn find(&self, number: u64) -> Result<usize, usize> {
        self.open.binary_search_by_key(&number, |(number, _)| *number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_receipt_tells_each_stage() {
        let mut receipts = Receipts::default();
        let mut first = receipts.issue(1);
        let [second, third, mut fourth] = [2, 3, 5].map(|number| receipts.issue(number));
        assert_eq!(first.delivery(), Delivery::Queued);
        receipts.sent(1);
        assert_eq!((first.sent().await, first.delivery()), (Ok(()), Delivery::Sent));
        receipts.acknowledged(2);
        assert_eq!(first.acknowledged().await, Ok(()));
        assert_eq!(
            (second.delivery(), third.delivery()),
            (Delivery::Acknowledged, Delivery::Queued)
        );
        receipts.dropped(3);
        assert_eq!(third.clone().sent().await, Err(NotDelivered::Lost));
        receipts.sent(5);
        receipts.unmanaged(9);
        assert_eq!(fourth.sent().await, Ok(()));
        assert_eq!(fourth.acknowledged().await, Err(NotDelivered::Unknown));
        let mut last = receipts.issue(10);
        drop(receipts);
        assert_eq!(last.sent().await, Err(NotDelivered::NotSent));
    }

    #[test]
    fn what_is_not_known_changes_nothing() {
        let mut receipts = Receipts::default();
        let receipt = receipts.issue(7);
        for number in [1, 6, 8] {
            receipts.sent(number);
            receipts.dropped(number);
        }
        receipts.acknowledged(6);
        assert_eq!(receipt.delivery(), Delivery::Queued);
    }
}
