//! SCRAM (RFC 5802, RFC 7677): password and server both proved, neither sent.
//!
//! [`messages`] is the grammar, [`client`] the order of things, [`derivation`] the slow step,
//! [`keys`] what can be kept of it. Channel binding (`-PLUS`) is not here yet.

mod client;
mod derivation;
mod hash;
mod keys;
mod messages;

pub use self::{
    client::Scram,
    derivation::{Derivation, Progress},
    hash::{Hash, UnknownHash},
    keys::{KeysError, ScramKeys},
};
