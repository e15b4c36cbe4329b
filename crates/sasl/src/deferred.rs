//! A mechanism of an application's own whose messages are asked for, each by a question.
//! Where they come from is the driver's business; one that knows its messages at once is better
//! written as a [`Mechanism`].

use std::{fmt, sync::Arc};

use zeroize::Zeroizing;

use crate::{
    Answer, Challenge, Context, Error, Mechanism, MechanismFactory, MechanismName, PeerFault,
    Question, Rejection, ServerProof, Skip, Step,
};

/// What there is to know of a mechanism before its messages, and after them.
pub trait OwnMechanism: fmt::Debug + Send + Sync {
    /// The name that servers offer it by.
    fn name(&self) -> &MechanismName;

    /// Its place in the order, higher first.
    fn priority(&self) -> i32;

    /// Whether it sends data before the server does.
    fn client_first(&self) -> bool {
        true
    }

    /// Whether what it sends would tell a listener the secret.
    fn exposes_secret(&self) -> bool {
        true
    }

    /// The test: can it be used for this login?
    ///
    /// # Errors
    ///
    /// The reason why not, which reaches the user.
    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        let _ = cx;
        Ok(())
    }

    /// It was chosen, and a login begins.
    fn start(&self, cx: &Context<'_>) {
        let _ = cx;
    }

    /// The server claims success, perhaps with data, after we have spoken at least once. By default
    /// data is refused, since nobody has looked at it.
    ///
    /// # Errors
    ///
    /// Any reason not to believe it.
    fn success(&self, data: Option<&[u8]>) -> Result<(), Error> {
        match data {
            None | Some([]) => Ok(()),
            Some(_) => Err(fault(self.name(), PeerFault::UnexpectedSuccessData)),
        }
    }

    /// The server refused.
    fn failure(&self) {}
}

/// Makes logins of an [`OwnMechanism`]: each of its messages is a [`Question::Respond`].
///
/// ```
/// use std::sync::Arc;
///
/// use epode_sasl::{
///     Channel, Credentials, Deferred, Exchange, MechanismName, OwnMechanism, Policy, Question,
///     Registry, Secret, Turn,
/// };
///
/// #[derive(Debug)]
/// struct MyMechanism(MechanismName);
///
/// impl OwnMechanism for MyMechanism {
///     fn name(&self) -> &MechanismName {
///         &self.0
///     }
///
///     fn priority(&self) -> i32 {
///         25
///     }
/// }
///
/// let name: MechanismName = "X-MY-MECHANISM".parse()?;
/// let registry = Registry::empty().with(Arc::new(Deferred::new(Arc::new(MyMechanism(name.clone())))));
/// let (who, channel) = (Credentials::new("alice", Secret::None), Channel::encrypted());
/// let selection = Policy::default().select(&registry, &who, &channel, &[name])?;
/// let turn = Exchange::begin(selection, who, channel)?;
/// assert!(matches!(turn, Turn::Question(_, Question::Respond(challenge)) if challenge.data.is_none()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Deferred(Arc<dyn OwnMechanism>);

impl Deferred {
    /// The factory of this mechanism.
    #[must_use]
    pub fn new(mechanism: Arc<dyn OwnMechanism>) -> Self {
        Self(mechanism)
    }
}

impl MechanismFactory for Deferred {
    fn name(&self) -> &MechanismName {
        self.0.name()
    }

    fn priority(&self) -> i32 {
        self.0.priority()
    }

    fn exposes_secret(&self) -> bool {
        self.0.exposes_secret()
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        self.0.test(cx)
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login { mechanism: Arc::clone(&self.0), has_spoken: false })
    }
}

#[derive(Debug)]
struct Login {
    mechanism: Arc<dyn OwnMechanism>,
    has_spoken: bool,
}

impl Login {
    fn ask(&self, data: Option<&[u8]>) -> Step {
        let data = data.map(|data| Zeroizing::new(data.to_vec()));
        Step::Ask(Question::Respond(Challenge { mechanism: self.mechanism.name().clone(), data }))
    }
}

impl Mechanism for Login {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        self.mechanism.start(cx);
        Ok(if self.mechanism.client_first() { self.ask(None) } else { Step::Wait })
    }

    fn challenge(&mut self, _: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        Ok(self.ask(Some(challenge)))
    }

    fn answer(&mut self, _: &Context<'_>, answer: Answer) -> Result<Step, Error> {
        match answer {
            Answer::Response(response) => {
                self.has_spoken = true;
                Ok(Step::Send(response))
            }
            _ => Err(Error::ApiMisuse("a mechanism's own message was due")),
        }
    }

    fn verify(&mut self, _: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        if !self.has_spoken {
            return Err(fault(self.mechanism.name(), PeerFault::SuccessTooSoon));
        }
        self.mechanism.success(last)?;
        Ok(ServerProof::NotOffered)
    }

    fn failed(&mut self, rejection: Rejection) -> Rejection {
        self.mechanism.failure();
        rejection
    }
}

fn fault(mechanism: &MechanismName, fault: PeerFault) -> Error {
    Error::PeerMisbehaved { mechanism: mechanism.clone(), fault }
}
