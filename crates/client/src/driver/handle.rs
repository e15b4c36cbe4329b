//! The application's ends of a running connection, and what they can want of it.
//! How it is done is the [`Driver`](super::Driver)'s business.

use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use epode_proto::{Connected, Element, Explanation, Jid, bosh::Attachment, sasl::scram::ScramKeys};
use tokio::sync::{mpsc, oneshot, watch};

use super::{receipts::Receipt, requests};
use crate::{Error, handlers::Handlers, route::Route};

/// What the application can want of a running connection.
pub(crate) enum Command {
    Send(Element, oneshot::Sender<Result<Receipt, Error>>),
    Request(Element, Duration, requests::Owner),
    SetActive(bool),
    Bind(Milestone),
    HandOver(oneshot::Sender<Result<Attachment, Error>>),
}

/// The application's ends of a running connection. To drop all clones is to close it.
#[derive(Clone)]
pub(crate) struct Handle {
    /// Taken one at a time, while nothing waits to be sent. In boxes: a channel keeps room for
    /// many, and is empty most of the time.
    pub(crate) commands: mpsc::Sender<Box<Command>>,
    /// Taken at any time: whoever wants the end need not wait for a peer that does not read.
    pub(crate) close: Arc<Closer>,
    pub(crate) end: Arc<OnceLock<Option<epode_proto::Error>>>,
    /// Who we are, and how that came about.
    pub(crate) standing: Arc<Mutex<Standing>>,
    pub(crate) handlers: Handlers,
}

/// To close it is to want the end, and so is to drop it.
pub(crate) struct Closer(Mutex<Option<oneshot::Sender<()>>>);

impl Closer {
    pub(crate) fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), receiver)
    }

    pub(crate) fn close(&self) {
        drop(lock(&self.0).take());
    }
}

/// Who we are on the current connection, or were on the last.
#[derive(Default)]
pub(crate) struct Standing {
    pub(crate) jid: Option<Jid>,
    pub(crate) login: Option<Connected>,
    pub(crate) keys: Option<ScramKeys>,
    pub(crate) route: Route,
    /// What it takes to go on with a BOSH session elsewhere, once there is one.
    pub(crate) attachment: Option<Box<Attachment>>,
    /// Whether the server is silent.
    is_quiet: bool,
    /// Who tells that to those who watch; none while nobody does, and none after the end.
    quiet: Option<watch::Sender<bool>>,
}

impl Standing {
    pub(crate) fn set_quiet(&mut self, is_quiet: bool) {
        self.is_quiet = is_quiet;
        if let Some(sender) = &self.quiet {
            sender.send_replace(is_quiet);
        }
    }

    /// Nobody will be told of it any more.
    pub(crate) fn forget_watchers(&mut self) {
        self.quiet = None;
    }
}

impl Handle {
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }

    /// Whether the server is silent, from now to the end.
    pub(crate) fn quiet(&self) -> watch::Receiver<bool> {
        let mut standing = self.standing();
        let is_quiet = standing.is_quiet;
        let sender = standing.quiet.get_or_insert_with(|| watch::Sender::new(is_quiet));
        let receiver = sender.subscribe();
        if self.end.get().is_some() {
            standing.forget_watchers();
        }
        receiver
    }

    /// The error that says why nothing can be done any more.
    pub(crate) fn ended(&self) -> Error {
        match self.end.get() {
            Some(Some(reason)) => Error::Connection(reason.clone()),
            Some(None) => Error::Ended,
            None => Error::Connection(stopped()),
        }
    }
}

/// Why it is over where nobody has said so: the runtime has ended, or code of the application's
/// has panicked that runs within the machine, as that of a mechanism.
pub(crate) fn stopped() -> epode_proto::Error {
    epode_proto::Error::ConnectionLost("its task was stopped".to_owned())
}

/// How far the connection came.
pub(crate) enum Reached {
    Explained(Box<Explanation>),
    BindRequired(Option<Element>),
    Online,
}

/// Who waits to hear how far it came.
pub(crate) type Milestone = oneshot::Sender<Result<Reached, Error>>;

/// No code panics half way through a change, so what it guards is whole in any case.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
