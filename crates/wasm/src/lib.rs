//! The machine of `epode-proto` for JavaScript: events in, actions out.
//!
//! No JavaScript is called from here and no DOM passes through, only text, bytes and numbers. What
//! a person sees of it is the npm package.

mod action;
mod bosh;
mod machine;
mod mechanisms;
mod moment;
mod news;
mod options;
mod questions;
mod session;
mod stream_parser;
#[cfg(test)]
mod tests;
mod tokens;
mod transcript;

pub use crate::{
    action::Kind,
    bosh::Bosh,
    machine::Machine,
    mechanisms::first_message,
    options::{Protection, SecretKind},
    stream_parser::{StreamNews, StreamParser},
    tokens::Tokens,
    transcript::redacted,
};
