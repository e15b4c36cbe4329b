//! What a driver waits for, all at once. What follows from it is done elsewhere.

use std::future::pending;

use epode_proto::{Jid, Phase, QuestionId};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use super::{
    Driver, Opening,
    handle::Command,
    inbox::{Advanced, HandledCount},
};
use crate::{
    Error,
    answers::{Reply, ReplyFuture},
    route::Opened,
    transport::{Link, News},
};

impl Driver {
    /// Waits for one thing to happen.
    pub(super) async fn event(&mut self) -> Event {
        let due = self.next_due();
        let listens = self.listens();
        let sending = self.link.as_ref().is_some_and(Link::is_sending);
        let takes = !sending && self.connection.has_room();
        tokio::select! {
            news = exchange(&mut self.link, listens) => Event::News(news),
            opened = opened(&mut self.opening) => opened,
            advanced = self.inbox.advance(&mut self.router) => Event::Advanced(advanced),
            count = handled(&mut self.handled) => Event::Handled(count),
            answer = answer(&mut self.question), if self.question.is_some() => Event::Answer(answer),
            command = command(&mut self.commands), if takes => Event::Command(command),
            () = closing(&mut self.close) => Event::Close,
            () = gone(&mut self.heir) => Event::HeirGone,
            due = come(due) => Event::Due(due),
        }
    }

    /// What is due next, and when.
    fn next_due(&self) -> Option<(Instant, Due)> {
        let wake = self.wake.filter(|_| self.begins.is_none());
        let times = [
            (self.begins, Due::Begin),
            (wake, Due::Tick),
            (self.requests.next_deadline(), Due::Requests),
            (self.stalls.as_ref().map(|stall| stall.until), Due::Stalled),
        ];
        let known = times.into_iter().filter_map(|(at, due)| Some((at?, due)));
        known.min_by_key(|(at, _)| *at)
    }

    /// Whether to read from the connection. An application that waits for the answer to a request
    /// may not be reading; the answer must be able to come, and so must a login.
    pub(super) fn listens(&self) -> bool {
        let waits = !self.requests.is_empty() || self.connection.phase() != Phase::Online;
        self.inbox.has_room() || (waits && !self.inbox.is_full())
    }
}

pub(super) enum Event {
    News(News),
    Opened(Box<Result<Opened, Error>>, Option<Jid>),
    /// The stanza that waited first has found its place.
    Advanced(Advanced),
    /// The application has handled so many more.
    Handled(u32),
    Answer((QuestionId, Reply)),
    Command(Box<Command>),
    Close,
    /// Nobody wants to hand the session over any more.
    HeirGone,
    Due(Due),
}

/// What it is time for.
#[derive(Clone, Copy)]
pub(super) enum Due {
    /// The next connection.
    Begin,
    /// What the machine wanted to be told.
    Tick,
    /// The end of requests that nobody has answered.
    Requests,
    /// To see whether the peer reads.
    Stalled,
}

async fn exchange(link: &mut Option<Link>, listens: bool) -> News {
    match link {
        Some(link) => link.exchange(listens).await,
        None => pending().await,
    }
}

async fn opened(opening: &mut Option<Opening>) -> Event {
    let Some(Opening { opened, .. }) = opening else { return pending().await };
    let opened = opened.await;
    let attached = opening.take().and_then(|opening| opening.attached);
    Event::Opened(Box::new(opened), attached)
}

async fn handled(count: &mut Option<Box<HandledCount>>) -> u32 {
    match count {
        Some(count) => count.more().await,
        None => pending().await,
    }
}

async fn come(due: Option<(Instant, Due)>) -> Due {
    let Some((at, due)) = due else { return pending().await };
    sleep_until(at).await;
    due
}

/// Takes the question away once its answer is there.
async fn answer(question: &mut Option<(QuestionId, ReplyFuture)>) -> (QuestionId, Reply) {
    let Some((id, future)) = question else { return pending().await };
    let answered = (*id, future.await);
    *question = None;
    answered
}

async fn command(commands: &mut Option<mpsc::Receiver<Box<Command>>>) -> Box<Command> {
    match commands {
        Some(receiver) => match receiver.recv().await {
            Some(command) => command,
            None => {
                *commands = None;
                pending().await
            }
        },
        None => pending().await,
    }
}

async fn gone<T>(heir: &mut Option<oneshot::Sender<T>>) {
    match heir {
        Some(heir) => heir.closed().await,
        None => pending().await,
    }
}

/// Until the application wants the end, or has let go of the connection.
pub(super) async fn closing(close: &mut Option<oneshot::Receiver<()>>) {
    let Some(receiver) = close else { return pending().await };
    let _ = receiver.await; // nothing is ever sent
    *close = None;
}
