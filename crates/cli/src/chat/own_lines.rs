//! Our own messages: from the line that was typed to the mark that it was delivered.
//! How marks look is left to the screen.

use std::collections::VecDeque;

use epode::{
    Delivery, Jid, NotDelivered, Outbox, Receipt,
    services::receipts,
    stanza::{Message, unguessable_id},
};
use tokio::{sync::mpsc, task::JoinSet};

use super::{Mark, Typed};

/// News of our own messages.
#[derive(Debug)]
pub(crate) enum Report {
    /// It was typed, and gets this number.
    Typed {
        line: u64,
        id: String,
        text: String,
    },
    /// It cannot be sent.
    Unusable(&'static str),
    Mark {
        line: u64,
        mark: Mark,
    },
    /// There is no more input; what is on its way is still reported.
    Over,
}

/// Sends each line, and reports what becomes of it, until the input ends and all is known that
/// will be.
pub(crate) async fn send_lines(
    outbox: Outbox,
    to: Jid,
    mut lines: mpsc::Receiver<Typed>,
    reports: mpsc::Sender<Report>,
) {
    let mut watches = JoinSet::new();
    let mut line = 0;
    while let Some(typed) = lines.recv().await {
        let text = match typed {
            Typed::Line(text) if text.trim().is_empty() => continue,
            Typed::Line(text) => text,
            Typed::Unusable(why) => {
                let _ = reports.send(Report::Unusable(why)).await;
                continue;
            }
        };
        line += 1;
        let id = unguessable_id();
        let message = receipts::request(Message::chat(&to).id(id.as_str()).body(text.as_str()));
        // Reported first, so that no receipt comes for a message that nobody knows.
        let _ = reports.send(Report::Typed { line, id, text }).await;
        match outbox.send(message).await {
            Ok(receipt) => drop(watches.spawn(watch(receipt, line, reports.clone()))),
            Err(_) => drop(reports.send(Report::Mark { line, mark: Mark::Lost }).await),
        }
        while watches.try_join_next().is_some() {}
    }
    let _ = reports.send(Report::Over).await;
    while watches.join_next().await.is_some() {}
}

async fn watch(mut receipt: Receipt, line: u64, reports: mpsc::Sender<Report>) {
    let report = |mark| reports.send(Report::Mark { line, mark });
    if receipt.delivery() == Delivery::Queued {
        let _ = report(Mark::Queued).await; // nobody listens any more; the same below
    }
    let sent = receipt.sent().await;
    if sent.is_ok() {
        let _ = report(Mark::Sent).await;
    }
    let _ = match (sent, receipt.acknowledged().await) {
        (Ok(()), Ok(())) => report(Mark::Taken).await,
        (Ok(()), Err(NotDelivered::Unknown)) => return,
        _ => report(Mark::Lost).await,
    };
}

/// The messages whose receipt may still come; of more than a few hundred, the last ones.
#[derive(Debug, Default)]
pub(crate) struct OwnLines {
    waiting: VecDeque<OwnLine>,
}

#[derive(Debug)]
struct OwnLine {
    line: u64,
    id: String,
    mark: Option<Mark>,
}

impl OwnLines {
    pub(crate) fn add(&mut self, line: u64, id: String) {
        if self.waiting.len() == MOST_WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back(OwnLine { line, id, mark: None });
    }

    /// The number of the message with this id, if it is one of ours.
    pub(crate) fn line(&self, id: &str) -> Option<u64> {
        self.waiting.iter().find(|own| own.id == id).map(|own| own.line)
    }

    /// The marks that a message gets now, in their order.
    pub(crate) fn advance(&mut self, line: u64, mark: Mark) -> Vec<Mark> {
        let Some(place) = self.waiting.iter().position(|own| own.line == line) else {
            return Vec::new();
        };
        let own = &mut self.waiting[place];
        let steps: Vec<_> = Mark::steps(own.mark, mark).collect();
        own.mark = own.mark.max(Some(mark));
        if mark >= Mark::Delivered {
            self.waiting.remove(place);
        }
        steps
    }
}

const MOST_WAITING: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_come_in_order_and_once() {
        let mut own = OwnLines::default();
        own.add(1, "a".to_owned());
        assert_eq!(own.line("a"), Some(1));
        assert_eq!(own.advance(1, Mark::Sent), [Mark::Sent]);
        assert_eq!(own.advance(1, Mark::Delivered), [Mark::Taken, Mark::Delivered]);
        assert_eq!((own.line("a"), own.advance(1, Mark::Taken)), (None, vec![]), "it is done");
        assert_eq!(own.advance(7, Mark::Delivered), []);
    }

    #[test]
    fn only_so_many_are_waited_for() {
        let mut own = OwnLines::default();
        (0..300).for_each(|line| own.add(line, line.to_string()));
        assert_eq!((own.waiting.len(), own.line("43"), own.line("44")), (256, None, Some(44)));
    }
}
