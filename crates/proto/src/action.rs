//! What can happen to a connection, and what a connection can want.

use std::fmt;

use epode_sasl::{Answer, Channel, Question, scram::ScramKeys};
use zeroize::Zeroizing;

use crate::{
    Element, Error, Explanation, FastToken, Jid, LoginReport, ServerMemory, Status, TaskAnswer,
    TaskOffer, Time,
};

/// All that can happen to a connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Input<'a> {
    /// A WebSocket is open, and vouches for this.
    Opened(Channel),
    /// A BOSH session can be begun, and its connections vouch for this. It carries the frames of a
    /// WebSocket.
    OpenedBosh(Channel),
    /// A byte stream is open, and vouches for this. One that is not encrypted will be, by
    /// STARTTLS, before anything else is said.
    OpenedTcp(Channel),
    /// A byte stream is there whose handshake of TLS 1.3 is still to begin, and can take early data: this
    /// is what it will vouch for as far as that is known
    /// ([`Channel::in_early_data`](epode_sasl::Channel::in_early_data)). What is transmitted before
    /// [`Action::Secure`] goes there, all of it or nothing; where
    /// [`Connection::may_begin_early`](crate::Connection::may_begin_early) is false, nothing is.
    OpenedEarly(Channel),
    /// What [`Action::Secure`] asked for is done; the stream vouches for this now. Nobody has heard what
    /// was said before. Where it was said in early data, hand in a token with another count before
    /// ([`Connection::set_token`](crate::Connection::set_token)): the last one was used.
    Secured(Channel),
    /// The same after [`Input::OpenedEarly`], and the server has taken the early data.
    SecuredEarly(Channel),
    /// A session that is logged in was taken over, and it is this one's (BOSH).
    Attached(Jid),
    /// Several programs share the connection, and another of them has logged in: it is bound to this
    /// address.
    Joined {
        /// The address.
        jid: Jid,
        /// Somebody else sees whether the server is there still.
        is_watched: bool,
    },
    /// The session that was handed in ([`Settings::session`](crate::Settings::session)) goes on over a
    /// connection that another program has made
    /// ([`Connection::release_session`](crate::Connection::release_session)). Its count goes on here:
    /// nothing is said or sent again for that.
    TakenOver,
    /// A session could not be taken over.
    NotAttached(Error),
    /// The server sent this: one frame of a WebSocket, or any bytes of a stream.
    Received(&'a [u8]),
    /// No transport could be had, or not in time: [`Error::Unreachable`] or [`Error::TimedOut`].
    NotOpened(Error),
    /// The transport has ended, and nothing more can be sent or received:
    /// [`Error::ConnectionLost`] or [`Error::Bosh`].
    Lost(Error),
    /// Somebody else goes on with the session (BOSH): it is over for us, and not closed.
    HandedOver,
    /// A moment has come that [`Action::WakeAt`] named.
    Tick,
    /// Nothing is read at present, as the application has no room for more: that the server is not
    /// heard says nothing of the server.
    NotReading,
    /// The application's answer to a question.
    Answered(QuestionId, Answer),
    /// The application's answer to what a task asks.
    AnsweredTask(QuestionId, TaskAnswer),
    /// The application wants this sent; see [`Connection::send`](crate::Connection::send).
    Send(Element),
    /// The application has handled so many more of the stanzas that were
    /// [delivered](Action::Deliver), in their order; for
    /// [`StreamManagement::when_handled`](crate::StreamManagement::when_handled).
    Handled(u32),
    /// Somebody is there to see what arrives, or nobody is (XEP-0352).
    SetActive(bool),
    /// The application wants its resource bound, after [`Status::BindRequired`].
    Bind,
    /// The application wants the connection closed in good order.
    Close,
}

/// All that a connection can want.
#[derive(Debug)]
#[non_exhaustive]
pub enum Action {
    /// Send this: one frame, where the transport has frames.
    Transmit(Frame),
    /// Do the TLS handshake on this connection, and say [`Input::Secured`], or [`Input::SecuredEarly`].
    /// Nothing is to be read from it before.
    Secure,
    /// Find the answer, and bring it as [`Input::Answered`] with the same id.
    Ask(QuestionId, Question),
    /// The server wants something done before the login is over: ask the application, and bring the
    /// answer as [`Input::AnsweredTask`] with the same id.
    AskTask(QuestionId, TaskOffer),
    /// Tell the application.
    Report(Status),
    /// Give this to the application, which asked for it with
    /// [`Settings::explain_only`](crate::Settings::explain_only).
    Explain(Box<Explanation>),
    /// Give this to the application, which asked for it with
    /// [`Settings::report`](crate::Settings::report). It comes once for each connection, when the
    /// login is done or over, before the status that tells it.
    Reported(Box<LoginReport>),
    /// Give these to the application, once, if it wants to log in with them next time.
    Keep(ScramKeys),
    /// Save this token, for the next login ([`Settings::fast`](crate::Settings::fast)). The one
    /// before it, if there is one, is good until this one is used, so it is dropped after that.
    KeepToken(FastToken),
    /// The token that was handed in is good for nothing any more.
    ForgetToken,
    /// Save this, in place of what was saved before, for the next connection
    /// ([`Settings::memory`](crate::Settings::memory)).
    Remember(Box<ServerMemory>),
    /// Give this to the application.
    Deliver(Element),
    /// The stanza of this number ([`Connection::send`](crate::Connection::send)) was handed to the
    /// transport.
    Sent(u64),
    /// The server has taken the stanzas up to this number.
    Acknowledged(u64),
    /// The server does not acknowledge stanzas: nothing more becomes known of those up to this
    /// number.
    Unmanaged(u64),
    /// The stanza of this number was lost with its session, and is not sent again.
    Dropped(u64),
    /// The server has not been heard for so long that it was asked for a sign of life; or, with
    /// `false`, it gave one.
    Quiet(bool),
    /// Call with [`Input::Tick`] at this moment. A later one replaces it.
    WakeAt(Time),
    /// Close the transport. No action follows.
    Disconnect,
}

/// Ties an answer to its question, so that a late one cannot land in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuestionId(pub(crate) u64);

/// Bytes to send. They may hold a password, so they are wiped on drop and `Debug` shows only how
/// many there are; drivers should not keep copies.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Zeroizing<Vec<u8>>);

impl Frame {
    pub(crate) fn new(xml: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(xml.into()))
    }

    /// The bytes, UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Zeroizing<Vec<u8>>> for Frame {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.0.len())
    }
}
