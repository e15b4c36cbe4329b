//! Where a connection stands. How it gets from one phase to the next is in
//! `negotiate/transitions.rs`.

use crate::error::Wait;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// The transport is not open yet.
    Unopened,
    /// The server's first stream header is due.
    LoginHeader,
    /// The features that list the mechanisms are due.
    LoginFeatures,
    /// The server's consent to encrypt the stream is due.
    Proceed,
    /// The TLS handshake is under way.
    Secured,
    /// The server's stream header to a component is due.
    ComponentHeader,
    /// The server's word on a component's handshake is due.
    Handshake,
    /// The server's next step in the login is due.
    SaslReply,
    /// The application's answer is due.
    Answer,
    /// The application's part in a task is due.
    Task,
    /// The server's part in a task is due.
    TaskReply,
    /// The stream header after the login is due.
    BindHeader,
    /// The features that offer binding are due.
    BindFeatures,
    /// A resource was bound within the login; the features that follow are due.
    BoundFeatures,
    /// The answer to the request to resume a session is due.
    Resumed,
    /// The application's call to bind is due.
    BindCall,
    /// The answer to the bind request is due.
    Bound,
    /// The answer to the session request is due.
    Session,
    /// Stanzas pass.
    Online,
    /// We have closed our side; the server's is due.
    Closing,
    /// Over.
    Closed,
}

impl Phase {
    /// What is waited for.
    #[must_use]
    pub fn wait(self) -> Wait {
        match self {
            Self::Unopened => Wait::Transport,
            Self::LoginHeader | Self::BindHeader | Self::ComponentHeader => Wait::Header,
            Self::Handshake => Wait::Handshake,
            Self::LoginFeatures | Self::BindFeatures | Self::BoundFeatures => Wait::Features,
            Self::Proceed => Wait::Proceed,
            Self::Secured => Wait::Secured,
            Self::SaslReply => Wait::SaslReply,
            Self::Answer => Wait::Answer,
            Self::Task => Wait::Task,
            Self::TaskReply => Wait::TaskReply,
            Self::Resumed => Wait::Resumed,
            Self::BindCall => Wait::BindCall,
            Self::Bound => Wait::Bound,
            Self::Session => Wait::Session,
            Self::Online => Wait::Stanza,
            Self::Closing | Self::Closed => Wait::Close,
        }
    }
}
