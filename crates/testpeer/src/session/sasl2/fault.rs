//! How a login by SASL2 misbehaves, when it is told to.
//!
//! Leaves out what needs no server around it: that is played from a [`script`](crate::script).

use crate::sasl::SaslCondition;

/// How a server misbehaves in logins by SASL2, when
/// [`ServerBuilder::sasl2_fault`](crate::ServerBuilder::sasl2_fault) says so. All else is right:
/// proofs, tokens and ids.
///
/// ```
/// use epode_testpeer::{Sasl2Fault, Server};
///
/// let server = Server::builder("localhost").sasl2_fault(Sasl2Fault::NoResponder).build();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sasl2Fault {
    /// The success names this address, whoever has logged in.
    Identifier(String),
    /// The success names no address.
    NoIdentifier,
    /// The success says that an address was bound, and that a session was resumed.
    BoundAndResumed,
    /// The success of RFC 6120 holds a token.
    TokenInSasl1,
    /// A login by token is refused with this condition, and the token stays as it is.
    TokenRefused(SaslCondition),
    /// A login by token brings no proof that the server has it.
    NoResponder,
    /// A login by token brings a proof by another token.
    WrongResponder,
    /// A login by token is answered with the failure message of HT2, with this description, in a
    /// challenge.
    Ht2Failure(String),
    /// The server wants more, and lists no task.
    NoTasks,
    /// The server wants a task that nobody knows, `X-UNKNOWN`.
    UnknownTask,
    /// The server wants a one-time code, takes any, and wants another.
    EndlessTask,
    /// The server wants an upgrade of SCRAM-SHA-512 (XEP-0480) that it did not offer and nobody
    /// asked for, on any channel. What it gets is not stored.
    UpgradeUnasked,
    /// A token ends when the next one is given, before that has been used.
    OldTokenEnds,
}
