//! What a mechanism is to the rest: a thing that is tested, begun, challenged, and told the end.
//! How it is chosen is in [`policy`](crate::Policy), who drives it in [`exchange`](crate::Exchange).

use std::fmt;

use zeroize::Zeroizing;

use crate::{
    BindingType, Channel, Credentials, Error, Limits, MechanismName, Offer, Rejection,
    scram::{Derivation, ScramKeys},
    secret::{Secret, SecretKind},
    selection::Skip,
};

/// How a mechanism is found and begun. Register one with [`Registry::with`](crate::Registry::with).
pub trait MechanismFactory: fmt::Debug + Send + Sync {
    /// The name that servers offer it by.
    fn name(&self) -> &MechanismName;

    /// Its place in the order, higher first; [`Policy::priority`](crate::Policy::priority)
    /// overrides it.
    fn priority(&self) -> i32;

    /// Whether what it sends would tell a listener the secret. If so, and that is the default,
    /// it is used over a confidential channel only.
    fn exposes_secret(&self) -> bool {
        true
    }

    /// What it would bind this login to: never to what is in [`Context::refused`]. None, and that
    /// is the default, for mechanisms without channel binding.
    fn binding(&self, cx: &Context<'_>) -> Option<BindingType> {
        let _ = cx;
        None
    }

    /// The test: can it be used for this login?
    ///
    /// # Errors
    ///
    /// The reason why not, which reaches the user.
    fn test(&self, cx: &Context<'_>) -> Result<(), Skip>;

    /// A new login by it.
    fn begin(&self) -> Box<dyn Mechanism>;
}

/// One login by one mechanism, written as steps. It never blocks: what must wait is a
/// [`Question`].
///
/// The steps follow the life cycle of a mechanism class in Strophe.js: `start` is its
/// `clientChallenge`, `challenge` its `onChallenge`, `verify` its `onSuccess` and `failed` its
/// `onFailure`. An error from any step ends the login.
pub trait Mechanism: fmt::Debug + Send {
    /// Opens the login: with a first message, or with [`Step::Wait`] where the server speaks first.
    ///
    /// # Errors
    ///
    /// Any reason not to begin.
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error>;

    /// Takes one decoded challenge. An empty slice is a challenge too.
    ///
    /// # Errors
    ///
    /// Any reason not to go on.
    fn challenge(&mut self, cx: &Context<'_>, challenge: &[u8]) -> Result<Step, Error>;

    /// Takes the reply to the [`Question`] that it asked last. Refusals do not come here: they
    /// have ended the login, unless [`refused`](Self::refused) knows a better error.
    ///
    /// # Errors
    ///
    /// Any reason not to go on.
    fn answer(&mut self, cx: &Context<'_>, answer: Answer) -> Result<Step, Error> {
        let _ = (cx, answer);
        Err(Error::ApiMisuse("this mechanism asked nothing"))
    }

    /// The error for a question that was refused with these words.
    fn refused(&mut self, why: &str) -> Error {
        Error::Refused(why.to_owned())
    }

    /// The server claims success: may we believe it? `last` is data that came with the claim.
    ///
    /// # Errors
    ///
    /// [`Error::PeerMisbehaved`] where the claim is not to be believed.
    fn verify(&mut self, cx: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error>;

    /// The server refused. What the mechanism learnt on the way may be added to the reason.
    fn failed(&mut self, rejection: Rejection) -> Rejection {
        rejection
    }

    /// Keys worth keeping, asked for after `verify`.
    fn take_keys(&mut self) -> Option<ScramKeys> {
        None
    }
}

/// What a mechanism wants next.
#[derive(Debug)]
pub enum Step {
    /// Send this.
    Send(Response),
    /// Send nothing; wait for the server.
    Wait,
    /// Ask the application.
    Ask(Question),
}

/// What a mechanism cannot know, or should not do itself. Whoever drives it takes as long as it
/// likes: another thread, a token endpoint, a person at a prompt.
#[derive(Debug)]
#[non_exhaustive]
pub enum Question {
    /// Run this derivation, answer with [`Answer::Keys`].
    Derive(Derivation),
    /// Get a secret of this kind, answer with [`Answer::Secret`].
    Secret(SecretKind),
    /// What does the mechanism of this name say now? Answer with [`Answer::Response`].
    Respond(Challenge),
}

/// What an application's own mechanism has to respond to.
pub struct Challenge {
    /// The mechanism.
    pub mechanism: MechanismName,
    /// The server's challenge; none when the client speaks first.
    pub data: Option<Zeroizing<Vec<u8>>>,
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.data.as_ref().map(|data| data.len());
        f.debug_struct("Challenge")
            .field("mechanism", &self.mechanism)
            .field("length", &length)
            .finish()
    }
}

/// The reply to a [`Question`], of the same kind, or a refusal, which ends the login.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// The keys that a derivation gave.
    Keys(ScramKeys),
    /// A secret: [`Secret::Password`] or [`Secret::Token`], as asked.
    Secret(Secret),
    /// What to send to the server.
    Response(Response),
    /// No answer, and why; the words reach the user.
    Refuse(String),
}

/// Bytes for the server. Wiped on drop; `Debug` shows only how many.
#[derive(Clone, PartialEq, Eq)]
pub struct Response(Zeroizing<Vec<u8>>);

impl Response {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes, before any base64.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Zeroizing<Vec<u8>>> for Response {
    fn from(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({} bytes)", self.0.len())
    }
}

/// What a step may look at. Lent for one call, so that nothing in it can be kept.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Context<'a> {
    /// Who logs in, and the secret.
    pub credentials: &'a Credentials,
    /// What the transport vouches for.
    pub channel: &'a Channel,
    /// What the server offers.
    pub offer: &'a Offer,
    /// What the server has refused to bind this login to. It begins anew, bound to something
    /// else.
    pub refused: &'a [BindingType],
    /// The bounds in force.
    pub limits: &'a Limits,
}

/// Whether the server proved that it knows the account too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerProof {
    /// It did, as with SCRAM: login was mutual.
    Proven,
    /// The mechanism has no such proof; trust rests on TLS.
    NotOffered,
}
