//! A connected client: its address, what it receives, and ways to send.

use std::{
    fmt,
    pin::Pin,
    sync::PoisonError,
    task::{Context, Poll},
};

use epode_proto::{Connected, Element, Jid, Status, bosh::Attachment, sasl::scram::ScramKeys};
use futures_util::Stream;
use tokio::sync::{mpsc, oneshot};

use crate::{
    Error, Route,
    builder::Running,
    driver::{Command, Handle, Reached},
};

/// A connected client. To drop it is to disconnect, unless an [`Outbox`] of it is left.
///
/// Keep receiving: while an application does not, and 256 stanzas or 8 MiB of them wait, nothing
/// more is taken from the server, so that its pings go unanswered and its end unnoticed. Only
/// [`disconnect`](Self::disconnect) and sending still work.
pub struct Session {
    jid: Jid,
    login: Option<Connected>,
    keys: Option<ScramKeys>,
    running: Running,
}

impl Session {
    pub(crate) fn new(running: Running, login: Connected, keys: Option<ScramKeys>) -> Self {
        Self { jid: login.jid.clone(), login: Some(login), keys, running }
    }

    /// One that somebody else has logged in.
    pub(crate) fn attached(running: Running, jid: Jid) -> Self {
        Self { jid, login: None, keys: None, running }
    }

    /// Our address, with the resource that the server bound.
    #[must_use]
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// How the login went: mechanism, proof, flights. None for a session that was taken over
    /// ([`Builder::attach`](crate::Builder::attach)), whose login was somebody else's.
    #[must_use]
    pub fn login(&self) -> Option<&Connected> {
        self.login.as_ref()
    }

    /// How the server was found and reached.
    #[must_use]
    pub fn route(&self) -> Route {
        self.running.handle.route.get().cloned().unwrap_or_default()
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
    /// [`Error::NotSent`] if it cannot be sent; after the end, the reason for it.
    pub async fn send(&self, stanza: Element) -> Result<(), Error> {
        send(&self.running.handle, stanza).await
    }

    /// A way to send that can be cloned and given to other tasks.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox { handle: self.running.handle.clone() }
    }

    /// The next stanza; none once the session has ended.
    pub async fn receive(&mut self) -> Option<Element> {
        self.running.receive().await
    }

    /// What it takes to go on with a BOSH session elsewhere, at this moment: `sid` and the next
    /// `rid` among it, which each request changes. None over another transport.
    #[must_use]
    pub fn attachment(&self) -> Option<Attachment> {
        let attachment = &self.running.handle.attachment;
        attachment.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands a BOSH session over to whoever takes what is returned ([`Builder::attach`](crate::Builder::attach)
    /// in another process, or the reference library in a browser): once no request is under way,
    /// it is over here, and not closed. What arrived before can still be received.
    ///
    /// That is at once in the first seconds after the login; later it takes until the server
    /// answers the request that it keeps waiting, as it does with the next stanza, or when the time
    /// that it was allowed is over ([`Options::wait`](epode_proto::bosh::Options::wait)). Meanwhile
    /// nothing can be sent; to drop the future is to go on after all. Receive what has arrived
    /// first: an inbox that is full stops it.
    ///
    /// # Errors
    ///
    /// [`Error::NotBosh`] over another transport, and with a sequence of keys; the reason for the end, if it comes first.
    pub async fn hand_over(&self) -> Result<Attachment, Error> {
        let (heir, handed_over) = oneshot::channel();
        let asked = self.running.handle.commands.send(Command::HandOver(heir)).await;
        asked.map_err(|_| self.running.handle.ended())?;
        handed_over.await.unwrap_or_else(|_| Err(self.running.handle.ended()))
    }

    /// Closes the stream in good order and waits for its end, a few seconds at most.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`] if it had ended before for another reason.
    pub async fn disconnect(self) -> Result<(), Error> {
        self.running.disconnect().await
    }

    /// Waits for the end, dropping what is still received, and says why it came: nothing if it
    /// was asked for.
    pub async fn ended(self) -> Option<epode_proto::Error> {
        self.running.ended().await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("jid", &self.jid)
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// A way to send for any task; it keeps the session connected while it lives.
#[derive(Clone)]
pub struct Outbox {
    handle: Handle,
}

impl Outbox {
    /// Sends a stanza; returns once it has been handed to the transport.
    ///
    /// # Errors
    ///
    /// As [`Session::send`].
    pub async fn send(&self, stanza: Element) -> Result<(), Error> {
        send(&self.handle, stanza).await
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
    features: Option<Element>,
}

impl Unbound {
    pub(crate) fn new(running: Running, features: Option<Element>) -> Self {
        Self { running, features }
    }

    /// What the server offers now, after the login: `<features/>` as it came.
    #[must_use]
    pub fn features(&self) -> Option<&Element> {
        self.features.as_ref()
    }

    /// Sends an element of the stream, as one that sets up an extension.
    ///
    /// # Errors
    ///
    /// As [`Session::send`].
    pub async fn send(&self, element: Element) -> Result<(), Error> {
        send(&self.running.handle, element).await
    }

    /// The next element; none once the connection has ended.
    pub async fn receive(&mut self) -> Option<Element> {
        self.running.receive().await
    }

    /// Binds the resource.
    ///
    /// # Errors
    ///
    /// [`Error::Connection`] with [`epode_proto::Error::Bind`] if the server refuses; after the
    /// end, the reason for it.
    pub async fn bind(self) -> Result<Session, Error> {
        let (milestone, reached) = oneshot::channel();
        let asked = self.running.handle.commands.send(Command::Bind(milestone)).await;
        let reached = match asked {
            Ok(()) => reached.await,
            Err(_) => return Err(self.running.handle.ended()),
        };
        match reached {
            Ok(Ok(Reached::Connected(login, keys))) => Ok(Session::new(self.running, login, keys)),
            Ok(Err(error)) => {
                let _ = self.running.task.await; // it is closing
                Err(error)
            }
            Ok(Ok(_)) | Err(_) => Err(self.running.handle.ended()),
        }
    }

    /// Closes the stream without binding.
    ///
    /// # Errors
    ///
    /// As [`Session::disconnect`].
    pub async fn disconnect(self) -> Result<(), Error> {
        self.running.disconnect().await
    }

    /// Waits for the end, as [`Session::ended`].
    pub async fn ended(self) -> Option<epode_proto::Error> {
        self.running.ended().await
    }
}

impl fmt::Debug for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unbound").finish_non_exhaustive()
    }
}

impl Running {
    async fn receive(&mut self) -> Option<Element> {
        self.inbox.recv().await.map(|(element, _room)| element)
    }

    async fn disconnect(self) -> Result<(), Error> {
        let _ = self.handle.close.try_send(()); // it is asked for already, or over
        drop(self.inbox);
        let _ = self.task.await;
        match self.handle.end.get() {
            Some(None) => Ok(()),
            _ => Err(self.handle.ended()),
        }
    }

    async fn ended(mut self) -> Option<epode_proto::Error> {
        while self.receive().await.is_some() {}
        let _ = self.task.await;
        let stopped = || epode_proto::Error::ConnectionLost("its task was stopped".to_owned());
        self.handle.end.get().cloned().unwrap_or_else(|| Some(stopped()))
    }
}

async fn send(handle: &Handle, element: Element) -> Result<(), Error> {
    let (done, sent) = oneshot::channel();
    let asked = handle.commands.send(Command::Send(element, done)).await;
    asked.map_err(|_| handle.ended())?;
    sent.await.unwrap_or_else(|_| Err(handle.ended()))
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
