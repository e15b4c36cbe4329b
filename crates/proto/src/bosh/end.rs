//! How a session ends, and what it refuses.
//! A failure that is mended by asking again is no end, and is not told.

use super::Condition;
use crate::xml::XmlError;

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// In good order, at our wish or the server's.
    #[error("the BOSH session was closed")]
    Closed,
    /// The server ended it, and said why.
    #[error("the server ended the BOSH session: {0}")]
    Terminated(Condition),
    /// An HTTP status that asking again does not mend.
    #[error("the answer to a BOSH request has HTTP status {status}: is this the address of BOSH?")]
    Refused {
        /// The status.
        status: u16,
        /// What it means by XEP-0124, section 17.1.
        condition: Option<Condition>,
    },
    /// The same request failed time after time.
    #[error("a BOSH request failed {attempts} times, at last because {last}")]
    GaveUp {
        /// How many times it was sent.
        attempts: u32,
        /// What happened last.
        last: Failure,
    },
    /// The server broke the protocol.
    #[error(transparent)]
    Misbehaved(#[from] Fault),
    /// A session was to be taken over whose next request the server has had already.
    #[error("somebody else goes on with the BOSH session, or it is over: its rid was used already")]
    RidUsed,
    /// The request ids have come to their end, as they do after some quadrillion requests.
    #[error("the request ids of the BOSH session are used up: connect anew")]
    RidsUsedUp,
}

impl End {
    /// Whether it says that the server does not know the session, or not at this request id.
    #[must_use]
    pub fn is_of_unknown(&self) -> bool {
        use Condition::ItemNotFound;

        match self {
            Self::Terminated(condition) | Self::Refused { condition: Some(condition), .. } => {
                *condition == ItemNotFound
            }
            Self::RidUsed => true,
            _ => false,
        }
    }

    /// One word for it, stable, and the server's own where the server said one.
    #[must_use]
    pub fn condition(&self) -> &str {
        match self {
            Self::Closed => "connection-closed",
            Self::Terminated(condition) | Self::Refused { condition: Some(condition), .. } => {
                condition.name()
            }
            Self::Refused { condition: None, .. } => "bad-service",
            Self::GaveUp { .. } => "giving-up",
            Self::Misbehaved(_) => "bad-format",
            Self::RidUsed => "rid-used",
            Self::RidsUsedUp => "rids-used-up",
        }
    }
}

/// Why a request was asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The HTTP exchange broke.
    #[error("the HTTP connection broke")]
    Broken,
    /// No answer came, longer than the server may wait.
    #[error("no answer came in time")]
    Silence,
    /// A status that may pass: 5xx, 408 or 429.
    #[error("it was answered with HTTP status {0}")]
    Status(u16),
    /// The server asked for it again (XEP-0124, section 17.3).
    #[error("the server asked for it again")]
    AskedAgain,
}

/// What a server did that XEP-0124 does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The answer is not XML that XMPP allows, or larger than the limit.
    #[error("the answer to a BOSH request is not one XML element: {0}")]
    Xml(#[from] XmlError),
    /// The answer is another element.
    #[error("the answer to a BOSH request is {found:?}, not a body: is this the address of BOSH?")]
    NotABody {
        /// Its name, cut to 64 characters.
        found: String,
    },
    /// The body is in another namespace.
    #[error(
        "the body of a BOSH answer is in the namespace {found:?}: is this the address of BOSH?"
    )]
    WrongNamespace {
        /// Which, cut to 64 characters.
        found: String,
    },
    /// There is text between the elements of a body.
    #[error("the body of a BOSH answer has text in it")]
    Text,
    /// What is in an answer takes many times as much memory as the answer.
    #[error("the parts of a BOSH answer take more than {limit} bytes when they stand alone")]
    Expands {
        /// How many they may take.
        limit: usize,
    },
    /// The session was created without an id.
    #[error("the server created a BOSH session without a sid")]
    NoSid,
    /// The session's id is too long to be sent back with each request.
    #[error("the sid of the BOSH session is longer than {limit} bytes")]
    LongSid {
        /// How long it may be.
        limit: usize,
    },
    /// The answer is one of another session.
    #[error("the server answered for another BOSH session")]
    WrongSid,
}

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// It is not an element that stands alone.
    #[error("the frame is not one XML element")]
    NotAnElement,
    /// A session begins with `<open/>`.
    #[error("the frame comes before the stream was opened")]
    NotOpened,
    /// It is larger than a request may be.
    #[error("the frame has {size} bytes, and a BOSH request may have {limit}")]
    TooLarge {
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// Too much waits to be sent: wait for requests to be answered.
    #[error("{limit} bytes are waiting to be sent over BOSH already")]
    Full {
        /// How much may wait.
        limit: usize,
    },
    /// The session is closing, or over.
    #[error("the BOSH session is over")]
    Over,
}

/// Why a session was not paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PauseError {
    /// The server does not offer it.
    #[error("the server offers no pause of BOSH sessions")]
    NotOffered,
    /// The server does not let sessions be paused so long.
    #[error("the server allows pauses of {limit} seconds")]
    TooLong {
        /// How many seconds it allows.
        limit: u64,
    },
    /// The session is closing, or over.
    #[error("the BOSH session is over")]
    Over,
}

/// Why a session cannot be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The address has no resource, so it is not that of a session.
    #[error("the address of a session has a resource: write it as user@example.org/resource")]
    Jid,
    /// The `sid` is empty, or longer than any server's, or has characters that XML does not.
    #[error("this is no sid of a BOSH session")]
    Sid,
    /// The `rid` is 0 or beyond 2⁵³ − 1.
    #[error("the rid of a BOSH session is between 1 and {limit}", limit = super::MAX_RID)]
    Rid,
}

/// The system gives no random numbers, and a session whose ids can be guessed can be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers, without which a BOSH session is not safe")]
pub struct NoRandomness;
