//! BOSH, the server's side: a connection manager without I/O (XEP-0124, XEP-0206).
//!
//! Leaves out HTTP, and where sessions are kept and found: that is `transport`.

mod body;
mod fault;
mod keys;
mod manager;
mod terms;
mod window;

#[cfg(test)]
mod tests;

pub(crate) use body::{Body, Condition, refusal};
pub use fault::BoshFault;
pub(crate) use manager::{Manager, Request};

/// The namespace of `<body/>`.
pub(crate) const HTTP_BIND: &str = "http://jabber.org/protocol/httpbind";
/// The namespace of what XMPP adds to it.
const XBOSH: &str = "urn:xmpp:xbosh";
