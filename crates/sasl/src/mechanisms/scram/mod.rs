//! SCRAM (RFC 5802, RFC 7677): password and server both proved, neither sent.
//!
//! `messages.rs` is the grammar, `client.rs` the order of things, `derivation.rs` the slow step,
//! `keys.rs` what can be kept of it. Channel binding (`-PLUS`) is not here yet.

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
