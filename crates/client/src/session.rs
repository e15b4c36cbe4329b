//! A connected client: its address, what it receives, and ways to send.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use epode_proto::{
    Connected, Element, Jid, Status, bosh::Attachment, sasl::scram::ScramKeys,
    stanza::unguessable_id,
};
use futures_util::Stream;
use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    Error, Handlers, Receipt, RequestError, Route,
    builder::Running,
    driver::{Command, Handle, Reached, stopped},
};

/// A connected client. To drop it is to disconnect, unless an [`Outbox`] of it is left.
///
/// A session outlives its connections: when one is lost, another is made, and what was on its way
/// is sent again where that is right ([`Builder::reconnect`](crate::Builder::reconnect),
/// [`Builder::stream_management`](crate::Builder::stream_management)).
///
/// Keep receiving: while an application does not, and 256 stanzas or 8 MiB of them wait, nothing
/// more is taken from the server, so that its pings go unanswered and its end unnoticed. Only
/// [`disconnect`](Self::disconnect) and sending still work.
pub struct Session {
    running: Running,
}

impl Session {
    pub(crate) fn new(running: Running) -> Self {
        Self { running }
    }

    /// Our address, with the resource that the server bound. A new connection asks for the same
    /// resource, and may be given another.
    #[must_use]
    pub fn jid(&self) -> Jid {
        self.running.handle.address()
    }

    /// How the last login went: mechanism, proof, flights. None for a session that was taken over
    /// ([`Builder::attach`](crate::Builder::attach)), whose login was somebody else's.
    #[must_use]
    pub fn login(&self) -> Option<Connected> {
        self.running.handle.standing().login.clone()
    }

    /// How the server was found and reached, the last time.
    #[must_use]
    pub fn route(&self) -> Route {
        self.running.handle.standing().route.clone()
    }

    /// Keys for the next login, after SCRAM: see [`Builder::keys`](crate::Builder::keys). They
    /// are as secret as the password.
    #[must_use]
    pub fn scram_keys(&self) -> Option<ScramKeys> {
        self.running.handle.standing().keys.clone()
    }

    /// Sends a stanza; returns once it has been handed to the transport, or once it waits: for a
    /// connection, or for the server to say whether it counts. What becomes of it then, the [`Receipt`] tells.
    ///
    /// # Errors
    ///
    /// [`Error::NotSent`] if it cannot be sent; after the end, the reason for it.
    pub async fn send(&self, stanza: impl Into<Element>) -> Result<Receipt, Error> {
        send(&self.running.handle, stanza.into()).await
    }

    /// Sends a request, an iq of type `get` or `set`, and waits for its answer, 30 seconds at most.
    /// A request without an id is given one that nobody can guess; only who was asked can answer
    /// (RFC 6120, section 8.1.2.1).
    ///
    /// A request survives that its connection is lost, if its session can be resumed.
    ///
    /// ```no_run
    /// # async fn example(session: &epode::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use epode::Element;
    ///
    /// let ping = Element::parse(
    ///     "<iq xmlns='jabber:client' type='get' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>",
    /// )?;
    /// let pong = session.send_iq(ping).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`RequestError`]: what was answered, or why nothing was.
    pub async fn send_iq(&self, request: impl Into<Element>) -> Result<Element, RequestError> {
        self.send_iq_within(REQUEST_LIMIT, request).await
    }

    /// [`send_iq`](Self::send_iq) that waits for so long.
    ///
    /// # Errors
    ///
    /// As [`send_iq`](Self::send_iq).
    pub async fn send_iq_within(
        &self,
        limit: Duration,
        request: impl Into<Element>,
    ) -> Result<Element, RequestError> {
        send_request(&self.running.handle, limit, request.into()).await
    }

    /// Where handlers of stanzas are registered. They stay over reconnections.
    #[must_use]
    pub fn handlers(&self) -> &Handlers {
        &self.running.handle.handlers
    }

    /// Tells the server whether somebody is there to see what arrives (XEP-0352): for somebody who
    /// is not it may keep back what is not urgent. It is told again after a connection was lost.
    ///
    /// # Errors
    ///
    /// After the end, the reason for it.
    pub async fn set_active(&self, active: bool) -> Result<(), Error> {
        let command = Box::new(Command::SetActive(active));
        let asked = self.running.handle.commands.send(command).await;
        asked.map_err(|_| self.running.handle.ended())
    }

    /// Whether the server is silent, and has been asked for a sign of life
    /// ([`Builder::liveness`](crate::Builder::liveness)): a moment that an application may want to
    /// show. If none comes, the connection is lost.
    #[must_use]
    pub fn quiet(&self) -> watch::Receiver<bool> {
        self.running.handle.quiet()
    }

    /// A way to send that can be cloned and given to other tasks.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox { handle: self.running.handle.clone() }
    }

    /// The next stanza that no [handler](Self::handlers) takes and that answers no request; none
    /// once the session has ended.
    ///
    /// A request (an iq of type `get` or `set`) is for handlers alone: where none takes it, it is
    /// answered `service-unavailable` (RFC 6120, section 8.2.3). Pings are answered without them.
    pub async fn receive(&mut self) -> Option<Element> {
        self.running.receive().await
    }

    /// What it takes to go on with a BOSH session elsewhere, at this moment: `sid` and the next
    /// `rid` among it, which each request changes. None over another transport.
    #[must_use]
    pub fn attachment(&self) -> Option<Attachment> {
        self.running.handle.standing().attachment.as_deref().cloned()
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
        let command = Box::new(Command::HandOver(heir));
        let asked = self.running.handle.commands.send(command).await;
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
            .field("jid", &self.jid())
            .field("login", &self.login())
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
    pub async fn send(&self, stanza: impl Into<Element>) -> Result<Receipt, Error> {
        send(&self.handle, stanza.into()).await
    }

    /// Sends a request and waits for its answer, as [`Session::send_iq`].
    ///
    /// # Errors
    ///
    /// As [`Session::send_iq`].
    pub async fn send_iq(&self, request: impl Into<Element>) -> Result<Element, RequestError> {
        send_request(&self.handle, REQUEST_LIMIT, request.into()).await
    }

    /// Our address, as [`Session::jid`].
    #[must_use]
    pub fn jid(&self) -> Jid {
        self.handle.address()
    }

    /// Where handlers are registered, as [`Session::handlers`].
    #[must_use]
    pub fn handlers(&self) -> &Handlers {
        &self.handle.handlers
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
        send(&self.running.handle, element).await.map(drop)
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
        let command = Box::new(Command::Bind(milestone));
        let asked = self.running.handle.commands.send(command).await;
        let reached = match asked {
            Ok(()) => reached.await,
            Err(_) => return Err(self.running.handle.ended()),
        };
        match reached {
            Ok(Ok(Reached::Online)) => Ok(Session::new(self.running)),
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
        self.reading = None; // it has dealt with that
        let (stanza, mark) = self.inbox.recv().await?.open();
        self.reading = mark;
        Some(stanza)
    }

    async fn disconnect(self) -> Result<(), Error> {
        self.handle.close.close();
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
        self.handle.end.get().cloned().unwrap_or_else(|| Some(stopped()))
    }
}

impl Handle {
    fn address(&self) -> Jid {
        self.standing().jid.clone().expect("a session has an address")
    }
}

async fn send(handle: &Handle, element: Element) -> Result<Receipt, Error> {
    let (done, sent) = oneshot::channel();
    let command = Box::new(Command::Send(element, done));
    let asked = handle.commands.send(command).await;
    asked.map_err(|_| handle.ended())?;
    sent.await.unwrap_or_else(|_| Err(handle.ended()))
}

async fn send_request(
    handle: &Handle,
    limit: Duration,
    mut request: Element,
) -> Result<Element, RequestError> {
    if request.attr("id").is_none() {
        request.set_attr("id", unguessable_id());
    }
    let (owner, answer) = oneshot::channel();
    let command = Box::new(Command::Request(request, limit, owner));
    let asked = handle.commands.send(command).await;
    asked.map_err(|_| handle.ended())?;
    answer.await.unwrap_or_else(|_| Err(handle.ended().into()))
}

/// How long the answer to a request may take, where nobody says otherwise.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

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
