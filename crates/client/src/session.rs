//! A connected client: its address, what it receives, and ways to send.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
};

use epode_proto::{Connected, Element, Jid, Status, sasl::scram::ScramKeys};
use futures_util::Stream;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    Error,
    builder::Running,
    driver::{Command, Reached},
};

/// A connected client. To drop it is to disconnect, unless an [`Outbox`] of it is left.
pub struct Session {
    login: Connected,
    keys: Option<ScramKeys>,
    outbox: Outbox,
    inbox: mpsc::Receiver<Element>,
    task: JoinHandle<Option<epode_proto::Error>>,
}

impl Session {
    pub(crate) fn new(running: Running, login: Connected, keys: Option<ScramKeys>) -> Self {
        let outbox = Outbox { commands: running.commands };
        Self { login, keys, outbox, inbox: running.inbox, task: running.task }
    }

    /// Our address, with the resource that the server bound.
    #[must_use]
    pub fn jid(&self) -> &Jid {
        &self.login.jid
    }

    /// How the login went: mechanism, proof, flights.
    #[must_use]
    pub fn login(&self) -> &Connected {
        &self.login
    }

    /// Keys for the next login, after SCRAM: see [`Builder::keys`](crate::Builder::keys). They
    /// are as secret as the password.
    #[must_use]
    pub fn scram_keys(&self) -> Option<&ScramKeys> {
        self.keys.as_ref()
    }

    /// Sends a stanza; returns once it has been handed to the transport.
    ///
    /// # Errors
    ///
    /// [`Error::NotSent`] if it cannot be sent, [`Error::Ended`] after the end.
    pub async fn send(&self, stanza: Element) -> Result<(), Error> {
        self.outbox.send(stanza).await
    }

    /// A way to send that can be cloned and given to other tasks.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// The next stanza; none once the session has ended. While nobody reads, nothing more than
    /// 256 stanzas is taken from the server.
    pub async fn receive(&mut self) -> Option<Element> {
        self.inbox.recv().await
    }

    /// Closes the stream in good order and waits for its end.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`] if it had ended before for another reason.
    pub async fn disconnect(self) -> Result<(), Error> {
        let _ = self.outbox.commands.send(Command::Close).await; // fails only after the end
        drop(self.inbox);
        end(self.task).await.map_or(Ok(()), |error| Err(Error::Connection(error)))
    }

    /// Waits for the end, dropping what is still received, and says why it came: nothing if it
    /// was asked for.
    pub async fn ended(mut self) -> Option<epode_proto::Error> {
        while self.inbox.recv().await.is_some() {}
        end(self.task).await
    }
}

async fn end(task: JoinHandle<Option<epode_proto::Error>>) -> Option<epode_proto::Error> {
    match task.await {
        Ok(reason) => reason,
        Err(_) => Some(epode_proto::Error::ConnectionLost("its task was stopped".to_owned())),
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("login", &self.login).finish_non_exhaustive()
    }
}

/// A way to send for any task; it keeps the session connected while it lives.
#[derive(Clone)]
pub struct Outbox {
    commands: mpsc::Sender<Command>,
}

impl Outbox {
    /// Sends a stanza; returns once it has been handed to the transport.
    ///
    /// # Errors
    ///
    /// As [`Session::send`].
    pub async fn send(&self, stanza: Element) -> Result<(), Error> {
        let (done, sent) = oneshot::channel();
        let sending = self.commands.send(Command::Send(stanza, done)).await;
        sending.map_err(|_| Error::Ended)?;
        sent.await.unwrap_or(Err(Error::Ended))
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").finish_non_exhaustive()
    }
}

/// A client that is logged in and has no resource yet
/// ([`Builder::connect_unbound`](crate::Builder::connect_unbound)).
pub struct Unbound {
    running: Running,
}

impl Unbound {
    pub(crate) fn new(running: Running) -> Self {
        Self { running }
    }

    /// Sends an element of the stream, as one that sets up an extension.
    ///
    /// # Errors
    ///
    /// As [`Session::send`].
    pub async fn send(&self, element: Element) -> Result<(), Error> {
        Outbox { commands: self.running.commands.clone() }.send(element).await
    }

    /// The next element; none once the connection has ended.
    pub async fn receive(&mut self) -> Option<Element> {
        self.running.inbox.recv().await
    }

    /// Binds the resource.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`] with [`epode_proto::Error::Bind`] if the server refuses.
    pub async fn bind(self) -> Result<Session, Error> {
        let (milestone, reached) = oneshot::channel();
        let asked = self.running.commands.send(Command::Bind(milestone)).await;
        asked.map_err(|_| Error::Ended)?;
        match reached.await {
            Ok(Ok(Reached::Connected(login, keys))) => Ok(Session::new(self.running, login, keys)),
            Ok(Err(error)) => {
                let _ = self.running.task.await; // it is closing
                Err(error)
            }
            Ok(Ok(_)) | Err(_) => Err(Error::Ended),
        }
    }
}

impl fmt::Debug for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unbound").finish_non_exhaustive()
    }
}

/// The statuses of a connection, as they come ([`Builder::watch`](crate::Builder::watch)).
#[derive(Debug)]
pub struct StatusEvents {
    statuses: mpsc::Receiver<Status>,
}

impl StatusEvents {
    pub(crate) fn new(statuses: mpsc::Receiver<Status>) -> Self {
        Self { statuses }
    }

    /// The next status; none after `DISCONNECTED`.
    pub async fn next(&mut self) -> Option<Status> {
        self.statuses.recv().await
    }
}

impl Stream for StatusEvents {
    type Item = Status;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Status>> {
        self.statuses.poll_recv(cx)
    }
}
