//! From the first stream header to a bound resource: a state for each thing that is waited for.
//!
//! A state is a struct that holds only what matters while it lasts; `handle` consumes it and
//! returns the next one, or the error that ends the connection. What can happen in any state,
//! such as the end of the stream, is in [`connection`](crate::Connection).
//! [`transitions`] has the whole machine as a table.

mod begin_login;
mod expect_answer;
mod expect_bound;
mod expect_close;
mod expect_features;
mod expect_handshake;
mod expect_header;
mod expect_resumed;
mod expect_sasl_reply;
mod expect_secured;
pub(crate) mod offer;
mod sasl2;
pub(crate) mod transitions;
mod turn;

use epode_sasl::{Authenticated, Channel, Credentials};

pub(crate) use self::{
    expect_answer::ExpectAnswer,
    expect_bound::{ExpectBindCall, ExpectBound, ExpectSession},
    expect_close::ExpectClose,
    expect_features::ExpectFeatures,
    expect_handshake::{ExpectComponentHeader, ExpectHandshake},
    expect_header::{ExpectHeader, Unopened},
    expect_resumed::ExpectResumed,
    expect_sasl_reply::ExpectSaslReply,
    expect_secured::{ExpectProceed, ExpectSecured},
    turn::namespace,
};
use crate::{Phase, session::Online};

/// What the connection waits for.
pub(crate) enum State {
    Unopened(Unopened),
    Header(ExpectHeader),
    Features(ExpectFeatures),
    ComponentHeader(ExpectComponentHeader),
    Handshake(ExpectHandshake),
    Proceed(ExpectProceed),
    Secured(ExpectSecured),
    SaslReply(ExpectSaslReply),
    Answer(ExpectAnswer),
    Task(sasl2::ExpectTask),
    TaskReply(sasl2::ExpectTaskReply),
    Resumed(ExpectResumed),
    BindCall(ExpectBindCall),
    Bound(ExpectBound),
    Session(ExpectSession),
    Online(Online),
    Close(ExpectClose),
    Closed,
}

/// The two rounds of a negotiation (RFC 6120, section 4.3.3): features offer the login first, and
/// then what follows it. In RFC 6120 the stream is opened again in between, in SASL2 it is not.
pub(crate) enum Round {
    /// The login is still to come.
    Login(Box<Candidate>),
    /// It has begun, by what is remembered of the server.
    Pipelined(Box<ExpectSaslReply>),
    /// Carries its evidence: nothing can be bound without a login.
    Bind(Authenticated),
    /// A resource was bound along with the login.
    Bound(Box<sasl2::Bound>),
}

/// Who wants to log in, and over what.
pub(crate) struct Candidate {
    pub(crate) channel: Channel,
    pub(crate) credentials: Credentials,
    /// The stream is to be encrypted before anything else is said.
    pub(crate) must_secure: bool,
}

impl State {
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::Unopened(_) => Phase::Unopened,
            Self::Header(ExpectHeader { round: Round::Login(_) | Round::Pipelined(_) }) => {
                Phase::LoginHeader
            }
            Self::Header(ExpectHeader { .. }) => Phase::BindHeader,
            Self::Features(ExpectFeatures { round: Round::Login(_) | Round::Pipelined(_) }) => {
                Phase::LoginFeatures
            }
            Self::Features(ExpectFeatures { round: Round::Bind(_) }) => Phase::BindFeatures,
            Self::Features(ExpectFeatures { round: Round::Bound(_) }) => Phase::BoundFeatures,
            Self::ComponentHeader(_) => Phase::ComponentHeader,
            Self::Handshake(_) => Phase::Handshake,
            Self::Proceed(_) => Phase::Proceed,
            Self::Secured(_) => Phase::Secured,
            Self::SaslReply(_) => Phase::SaslReply,
            Self::Answer(_) => Phase::Answer,
            Self::Task(_) => Phase::Task,
            Self::TaskReply(_) => Phase::TaskReply,
            Self::Resumed(_) => Phase::Resumed,
            Self::BindCall(_) => Phase::BindCall,
            Self::Bound(_) => Phase::Bound,
            Self::Session(_) => Phase::Session,
            Self::Online(_) => Phase::Online,
            Self::Close(_) => Phase::Closing,
            Self::Closed => Phase::Closed,
        }
    }
}
