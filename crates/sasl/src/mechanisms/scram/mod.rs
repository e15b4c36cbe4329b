//! SCRAM (RFC 5802, RFC 7677): password and server both proved, neither sent.
//!
//! `messages.rs` is the grammar, `client.rs` the order of things, `expectations.rs` what is checked,
//! `derivation.rs` the slow step, `keys.rs` what can be kept of it. What a login is bound to comes with the
//! [`Channel`](crate::Channel); nothing here computes it.

mod client;
mod derivation;
mod expectations;
mod hash;
mod keys;
mod messages;
mod upgrade;

pub use self::{
    client::Scram,
    derivation::{Derivation, Progress},
    hash::{Hash, UnknownHash},
    keys::{KeysError, ScramKeys},
    upgrade::{UpgradeRefused, UpgradeTask},
};
