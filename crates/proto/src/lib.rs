//! An XMPP client connection as a pure state machine.
//!
//! Bytes, answers and moments go in; frames, questions and news come out. There is no socket, no
//! clock and no executor here: the `epode` crate drives this machine with tokio, a browser may
//! drive it with its own event loop, and tests drive it with invented time.
//!
//! * [`Connection`] is the machine, [`Input`] and [`Action`] are its two sides,
//!   [`Settings`] what it is told before.
//! * [`Status`] is what an application hears, with the names and numbers of Strophe.js;
//!   [`Error`] says why, and [`Error::advice`] what to do.
//! * [`dispatch`] finds the handlers that a stanza is for.
//! * [`Element`], [`xml`] and [`Jid`] are the nouns; [`stream`] and [`framing`] the grammar.
//! * [`mod@stanza`] builds and reads messages, presence and iqs; the macro [`stanza!`] writes any
//!   element as XML that the compiler checks.
//! * [`sasl`] is the `epode-sasl` crate, which does the login.

mod account_tokens;
mod action;
pub mod bosh;
mod connection;
mod core;
pub mod dispatch;
mod error;
mod fast;
pub mod framing;
pub mod jid;
mod negotiate;
mod phase;
mod reconnect;
pub mod report;
mod server_memory;
mod session;
mod settings;
mod shared;
pub mod stanza;
mod stanza_macro;
mod status;
pub mod stream;
mod task;
mod time;
mod transcript;
mod user_agent;
pub mod xml;

pub use epode_sasl as sasl;

pub use crate::{
    account_tokens::{AccountTokens, AccountTokensError},
    action::{Action, Frame, Input, QuestionId},
    connection::Connection,
    error::{Advice, ApiMisuse, Error, PeerFault, Wait},
    fast::{Fast, FastToken, FastTokenError},
    jid::{Jid, JidError},
    phase::Phase,
    reconnect::{Attempts, Reconnect},
    report::LoginReport,
    server_memory::{ServerMemory, ServerMemoryError},
    session::{
        Liveness, SessionMark, SessionState, SessionStateError, StreamManagement,
        requests::{NotARequest, Requests},
    },
    settings::{SaslProfile, Settings, Timeouts},
    status::{
        Authenticating, BoundBy, Connected, Explanation, Profile, Reconnecting, Status, StatusCode,
    },
    task::{TaskAnswer, TaskOffer},
    time::Time,
    transcript::{StreamTranscript, redacted},
    user_agent::{InvalidUserAgentId, UserAgent, UserAgentId},
    xml::Element,
};

/// What the code of [`stanza!`] calls; not for people.
#[doc(hidden)]
pub mod __macros {
    pub use epode_macros::stanza;

    pub use crate::stanza_macro::{Open, namespace};
}
