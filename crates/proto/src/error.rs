//! Why a connection did not come about or ended, sorted so that an application knows what to do.

use std::fmt;

use epode_sasl as sasl;

use crate::{
    bosh,
    framing::FrameError,
    jid::JidError,
    stream::{
        FeaturesError, HeaderError, StanzaError, StanzaErrorKind, StreamError, Text, excerpt,
    },
    xml::Element,
};

/// Why a connection did not come about, or ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The login failed.
    #[error(transparent)]
    Login(#[from] sasl::Error),
    /// The login would be weaker than one before; it was not begun. Whoever wants it so leaves
    /// [`Settings::pin`](crate::Settings::pin) away.
    #[error(transparent)]
    Weaker(#[from] sasl::Weaker),
    /// Only SASL2 was to be used ([`SaslProfile::Sasl2`](crate::SaslProfile::Sasl2)), and the server
    /// does not offer it over this connection.
    #[error("the server does not offer SASL2 over this connection: allow the older profile, too")]
    Sasl2NotOffered,
    /// The login was begun by what is remembered of the server, which offers something else now:
    /// connect anew, without that ([`Settings::memory`](crate::Settings::memory)).
    #[error("the server offers another login than is remembered of it: connect anew without that")]
    ServerChanged,
    /// The server demands more before it lets anybody in, and nobody here can do it
    /// ([`Settings::answers_tasks`](crate::Settings::answers_tasks)).
    #[error("the server demands one of these tasks before it lets anybody in: {}", .tasks.join(", "))]
    TasksDemanded {
        /// Their names.
        tasks: Vec<String>,
        /// What the server adds for people.
        text: Option<Text>,
    },
    /// The server asks for keys of the password in a way that is not safe.
    #[error("the server's keys are not upgraded: {0}")]
    Upgrade(#[from] sasl::scram::UpgradeRefused),
    /// The server refused to bind a resource.
    #[error("the server refused to bind the resource: {0}")]
    Bind(StanzaError),
    /// The server refused the session that it demands (RFC 3921).
    #[error("the server refused the session that it demands: {0}")]
    Session(StanzaError),
    /// The server does not take the component, or not now (XEP-0114).
    #[error("the component is not let in: {0}")]
    Component(StreamError),
    /// The component's connection is neither encrypted nor within this machine; nothing was said
    /// over it. Whoever wants it so says
    /// [`Settings::danger_allow_unencrypted_stream`](crate::Settings::danger_allow_unencrypted_stream).
    #[error(
        "the connection to the server of the component is not encrypted: connect to a loopback address or inside TLS"
    )]
    Unencrypted,
    /// The server ended the stream with an error.
    #[error("{0}")]
    Stream(StreamError),
    /// The server sends clients elsewhere, and it is not followed.
    #[error("the server says to connect to {0:?} instead, which is not followed")]
    Redirected(String),
    /// The server does not keep to the protocol.
    #[error("the server does not keep to the protocol: {0}")]
    PeerMisbehaved(PeerFault),
    /// Nothing came in time.
    #[error("timed out while waiting for {0}")]
    TimedOut(Wait),
    /// No transport could be had; the driver's words say why.
    #[error("{0}")]
    Unreachable(String),
    /// The transport broke; the driver's words say how.
    #[error("the connection was lost: {0}")]
    ConnectionLost(String),
    /// The BOSH session ended, other than by being closed.
    #[error(transparent)]
    Bosh(#[from] bosh::End),
    /// The server closed the stream.
    #[error("the server closed the connection")]
    ConnectionClosed,
}

impl Error {
    /// The fault of an element that has no place while `wait` was due.
    pub(crate) fn unexpected(element: &Element, wait: Wait) -> Self {
        Self::PeerMisbehaved(PeerFault::Unexpected {
            name: excerpt(element.name()),
            namespace: excerpt(element.namespace()),
            wait,
        })
    }

    /// The language of a text that names none is that of the stream (RFC 6120, section 4.7.4).
    pub(crate) fn in_language(mut self, language: Option<&str>) -> Self {
        let unnamed = match &mut self {
            Self::Login(
                sasl::Error::Rejected(rejection) | sasl::Error::BindingRefused { rejection, .. },
            ) if rejection.text.is_some() => Some(&mut rejection.language),
            Self::Bind(error) | Self::Session(error) => error.text.as_mut().map(|it| &mut it.lang),
            Self::Stream(error) | Self::Component(error) => {
                error.text.as_mut().map(|it| &mut it.lang)
            }
            Self::TasksDemanded { text, .. } => text.as_mut().map(|it| &mut it.lang),
            _ => None,
        };
        if let (Some(unnamed @ None), Some(language)) = (unnamed, language) {
            *unnamed = Some(language.to_owned());
        }
        self
    }

    /// One word for it, stable, and the server's own where the server said one: as
    /// `not-authorized`, `no-auth-mech`, `conflict`, `timeout`.
    #[must_use]
    pub fn condition(&self) -> &str {
        match self {
            Self::Login(error) => login_condition(error),
            Self::Weaker(_) => "weaker-than-before",
            Self::Bind(error) | Self::Session(error) => error.condition.as_str(),
            Self::Stream(error) | Self::Component(error) => &error.condition,
            Self::Unencrypted => "encryption-required",
            Self::Sasl2NotOffered => "no-auth-mech",
            Self::ServerChanged => "server-changed",
            Self::TasksDemanded { .. } => "task-demanded",
            Self::Upgrade(_) => "upgrade-refused",
            Self::Redirected(_) => "see-other-uri",
            Self::PeerMisbehaved(PeerFault::Frame(FrameError::Xml(_))) => "not-well-formed",
            Self::PeerMisbehaved(PeerFault::StartTlsNotOffered | PeerFault::StartTlsRefused) => {
                "encryption-required"
            }
            Self::PeerMisbehaved(_) => "protocol-violation",
            Self::TimedOut(_) => "timeout",
            Self::Unreachable(_) => "connection-failed",
            Self::ConnectionLost(_) => "connection-lost",
            Self::Bosh(end) => end.condition(),
            Self::ConnectionClosed => "connection-closed",
        }
    }

    /// What the server added for people, if anything.
    #[must_use]
    pub fn text(&self) -> Option<Text> {
        match self {
            Self::Login(
                sasl::Error::Rejected(rejection) | sasl::Error::BindingRefused { rejection, .. },
            ) => {
                let (text, lang) = (rejection.text.clone()?, rejection.language.clone());
                Some(Text { text, lang })
            }
            Self::Bind(error) | Self::Session(error) => error.text.clone(),
            Self::Stream(error) | Self::Component(error) => error.text.clone(),
            Self::TasksDemanded { text, .. } => text.clone(),
            _ => None,
        }
    }

    /// What an application had best do next.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            // The same person would be asked again.
            Self::TimedOut(Wait::Answer | Wait::Task | Wait::BindCall) => Advice::AskAgain,
            Self::Bind(error) | Self::Session(error)
                if error.kind == Some(StanzaErrorKind::Wait) =>
            {
                Advice::Wait
            }
            Self::TimedOut(_)
            | Self::Unreachable(_)
            | Self::ConnectionLost(_)
            | Self::ConnectionClosed
            | Self::ServerChanged => Advice::Retry,
            Self::Login(
                sasl::Error::StaleKeys { .. }
                | sasl::Error::EmptyToken
                | sasl::Error::Unsendable(_)
                | sasl::Error::Password(_)
                | sasl::Error::UserName(_),
            ) => Advice::AskAgain,
            // Neither another password nor time makes a binding right.
            Self::Login(sasl::Error::BindingRefused { .. }) => Advice::Stop,
            _ => match self.condition() {
                "not-authorized" | "credentials-expired" | "unknown-user" | "invalid-proof" => {
                    Advice::AskAgain
                }
                "temporary-auth-failure"
                | "resource-constraint"
                | "system-shutdown"
                | "policy-violation"
                | "internal-server-error"
                | "connection-timeout"
                | "reset" => Advice::Wait,
                // The server has not noticed yet that the connection before this one is lost.
                "conflict" if matches!(self, Self::Component(_)) => Advice::Wait,
                // A session that is lost; the next is a new one.
                "item-not-found"
                | "other-request"
                | "remote-connection-failed"
                | "giving-up"
                | "rids-used-up"
                | "undefined-condition"
                    if matches!(self, Self::Bosh(_)) =>
                {
                    Advice::Retry
                }
                _ => Advice::Stop,
            },
        }
    }
}

fn login_condition(error: &sasl::Error) -> &str {
    match error {
        sasl::Error::Rejected(rejection) | sasl::Error::BindingRefused { rejection, .. } => {
            &rejection.condition
        }
        sasl::Error::NoMechanism(_) => "no-auth-mech",
        sasl::Error::PeerMisbehaved { fault, .. } => match fault {
            sasl::PeerFault::SignatureWrong | sasl::PeerFault::SignatureMissing => {
                "server-not-proven"
            }
            _ => "protocol-violation",
        },
        sasl::Error::UserName(_) => "bad-user-name",
        sasl::Error::Password(_) => "bad-password",
        sasl::Error::Unsendable(_) | sasl::Error::EmptyToken => "bad-credentials",
        sasl::Error::StaleKeys { .. } => "stale-keys",
        sasl::Error::Refused(_) => "given-up",
        _ => "internal-error",
    }
}

/// What an application had best do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Try again, with a pause that grows.
    Retry,
    /// Ask for password or token again: trying the same once more would fail too.
    AskAgain,
    /// Try again, but later: the server has asked for time.
    Wait,
    /// Stop: only a change of settings, program or server helps.
    Stop,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Retry => "retry",
            Self::AskAgain => "ask-again",
            Self::Wait => "wait",
            Self::Stop => "stop",
        })
    }
}

/// How the server broke the rules of the stream. One variant for each offence; those of a SASL
/// mechanism are in [`sasl::PeerFault`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerFault {
    /// What it sent is not the XML that XMPP allows.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// Its stream header is wrong. Perhaps it speaks something else than XMPP.
    #[error("{0}")]
    Header(#[from] HeaderError),
    /// Its features are wrong.
    #[error("{0}")]
    Features(#[from] FeaturesError),
    /// An element that has no place at this point.
    #[error("<{name}/> of the namespace {namespace:?} while {wait} was due")]
    Unexpected {
        /// The element's name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// What was due.
        wait: Wait,
    },
    /// A stream header that has no place at this point.
    #[error("a new stream header while {0} was due")]
    UnexpectedHeader(Wait),
    /// The server does not offer to encrypt the stream; somebody may have removed the offer.
    #[error("it does not offer encryption (STARTTLS): somebody may have removed the offer")]
    StartTlsNotOffered,
    /// The server offers to encrypt the stream, and then refuses.
    #[error("it refuses the encryption (STARTTLS) that it offers")]
    StartTlsRefused,
    /// A challenge or success whose content is not base64.
    #[error("<{0}/> whose content is not base64")]
    Base64(&'static str),
    /// The features after the login do not offer resource binding.
    #[error("it offers no resource binding after the login")]
    BindNotOffered,
    /// The answer to the bind request names no JID.
    #[error("it bound a resource without saying which")]
    BoundWithoutJid,
    /// The answer to the bind request names a JID that is none.
    #[error("it bound a JID that is none: {0}")]
    BoundJidInvalid(JidError),
    /// The answer to the bind request names a JID without a resource.
    #[error("it bound a JID without a resource")]
    BoundWithoutResource,
    /// The server acknowledges stanzas that it was not sent, or takes an acknowledgement back
    /// (XEP-0198, section 6).
    #[error("it acknowledges {handled} stanzas, and was sent {sent}")]
    AcknowledgedUnsent {
        /// What it acknowledges, modulo 2^32.
        handled: u32,
        /// What it was sent, modulo 2^32.
        sent: u32,
    },
    /// The server resumes another session than the one that it was asked for.
    #[error("it resumed another session than the one that it was asked for")]
    ResumedAnother,
    /// Success without saying as whom (XEP-0388, section 2.6.1).
    #[error("it claims success without saying as whom")]
    SuccessWithoutJid,
    /// Success as somebody whose address is none.
    #[error("it logged in an address that is none: {0}")]
    SuccessJidInvalid(JidError),
    /// Success as somebody else.
    #[error("it logged in {found}, which is not an address of {account}")]
    SuccessAsAnother {
        /// As whom.
        found: String,
        /// Who was to be logged in.
        account: String,
    },
    /// A session is resumed, and another one begun, at once (XEP-0386, section 3.2).
    #[error("it both resumed a session and bound a new one")]
    BoundAndResumed,
    /// The login asked for a resource, and success comes without one (XEP-0386, section 3.2).
    #[error("it claims success without the resource that was asked for along with it")]
    NotBound,
    /// Success with an answer to what was not asked.
    #[error("it answers with <{0}/> to what it was not asked")]
    NotAsked(&'static str),
    /// The login asked for stream management along with the resource, and the server does not say
    /// whether it counts (XEP-0386, section 3.2).
    #[error("it does not say whether it counts stanzas, which it was asked for")]
    EnableUnanswered,
    /// The login is to go on with a task, and none is named (XEP-0388, section 2.6.3).
    #[error("it wants a task done and names none")]
    NoTasks,
    /// One task after the other, without end.
    #[error("more than {limit} steps of tasks")]
    TooManyTasks {
        /// The limit in force.
        limit: u8,
    },
    /// An upgrade without salt or count (XEP-0480, section 3).
    #[error("it asks for an upgrade without saying by what salt and count")]
    UpgradeTerms,
    /// The answer to the bind request names somebody else.
    #[error("it bound {bound}, which is not an address of {account}")]
    BoundToAnother {
        /// What it bound.
        bound: String,
        /// What was due.
        account: String,
    },
}

/// What the machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// The transport.
    Transport,
    /// The server's stream header.
    Header,
    /// The server's features.
    Features,
    /// The server's consent to encrypt the stream.
    Proceed,
    /// The TLS handshake.
    Secured,
    /// The server's word on a component's handshake.
    Handshake,
    /// The server's next step in the login.
    SaslReply,
    /// The application's answer to a question.
    Answer,
    /// The application's part in a task.
    Task,
    /// The server's part in a task.
    TaskReply,
    /// The application's call to bind.
    BindCall,
    /// The server's answer to the bind request.
    Bound,
    /// The server's answer to the session request.
    Session,
    /// The server's answer to the request to resume a session.
    Resumed,
    /// The server's answer to the request for stream management.
    Enabled,
    /// Stanzas.
    Stanza,
    /// A sign of life.
    SignOfLife,
    /// The server's closing of the stream.
    Close,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transport => "the connection",
            Self::Header => "the server's stream header",
            Self::Features => "the server's features",
            Self::Proceed => "the server's consent to encrypt",
            Self::Secured => "the TLS handshake",
            Self::Handshake => "the server's answer to the handshake",
            Self::SaslReply => "the server's next step in the login",
            Self::Answer => "the application's answer",
            Self::Task => "the application's part in a task",
            Self::TaskReply => "the server's part in a task",
            Self::BindCall => "the application's call to bind",
            Self::Bound => "the server's answer to the bind request",
            Self::Session => "the server's answer to the session request",
            Self::Resumed => "the server's answer to the request to resume the session",
            Self::Enabled => "the server's answer to the request for stream management",
            Self::Stanza => "a stanza",
            Self::SignOfLife => "a sign of life from the server",
            Self::Close => "the end of the stream",
        })
    }
}

/// The caller broke the rules of this crate's interface. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("wrong use of the library: {0}")]
pub struct ApiMisuse(pub(crate) &'static str);
