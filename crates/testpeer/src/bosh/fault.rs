//! How a BOSH server misbehaves, when it is told to.
//!
//! Leaves out what is said inside of the bodies: a server that breaks the rules of XMPP is played
//! from a [`script`](crate::script).

/// How a BOSH server misbehaves, from a request on that
/// [`ServerBuilder::bosh_fault`](crate::ServerBuilder::bosh_fault) names.
///
/// ```
/// use epode_testpeer::{BoshFault, Server};
///
/// // With PLAIN: create, auth, restart, bind. So this is where the client is online.
/// let server = Server::builder("localhost").bosh_fault(BoshFault::NotFound, 5).build();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BoshFault {
    /// Answers are those of another session, by their `sid`. That which creates a session cannot
    /// be.
    WrongSid,
    /// An answer is the one that was given before, byte for byte, and what it should have said is
    /// lost.
    StaleAnswer,
    /// Where two requests wait, both are answered when one should be, the later one first.
    OutOfOrder,
    /// The session ends, and each request that waits or comes is told so.
    TwoTerminates,
    /// Nothing is there: HTTP status 404.
    NotFound,
    /// HTTP status 503 for so many requests, [`u64::MAX`] for ever. They are not looked at.
    Unavailable(u64),
    /// Each request is answered at once with an empty body, and not looked at.
    EmptyBodies,
    /// Each request is answered with this text, and not looked at.
    Text(String),
    /// The request is taken, and the connection is cut in place of an answer: this one, and each
    /// `every`th after it.
    Cut {
        /// How many requests there are from one to the next; 0 and 1 are all of them.
        every: u64,
    },
    /// An answer of 64 MiB, without a length in its head.
    Oversized,
}
