//! Mechanisms of the application's own that may take their time: a token endpoint, a prompt.
//! One that knows its answers at once is better written as an [`epode_sasl::Mechanism`].

use std::{fmt, pin::Pin, sync::Arc};

use epode_sasl::{
    Answer, Challenge, Context, Error, Mechanism, MechanismFactory, MechanismName, PeerFault,
    Question, Rejection, Response, ServerProof, Skip, Step,
};
use zeroize::Zeroizing;

/// A SASL mechanism of the application's own, with asynchronous answers; the life cycle is that
/// of Strophe.js. Register one with [`Builder::mechanism`](crate::Builder::mechanism).
///
/// ```
/// use epode::{AsyncMechanism, GivenUp, sasl::MechanismName};
///
/// /// Gets its token from somewhere slow.
/// struct MyMechanism;
///
/// impl AsyncMechanism for MyMechanism {
///     fn name(&self) -> MechanismName {
///         "X-MY-MECHANISM".parse().expect("it is a mechanism name")
///     }
///
///     fn priority(&self) -> i32 {
///         25 // between ANONYMOUS (20) and X-OAUTH2 (30)
///     }
///
///     async fn respond(&self, challenge: Option<&[u8]>) -> Result<Vec<u8>, GivenUp> {
///         match challenge {
///             None => Ok(format!("token={}", fetch_token().await?).into_bytes()),
///             Some(_) => Err(GivenUp::because("the server asks more than I know")),
///         }
///     }
/// }
///
/// async fn fetch_token() -> Result<String, GivenUp> {
///     Ok("…".to_owned())
/// }
///
/// let client = epode::Client::builder("alice@example.org")?.mechanism(MyMechanism);
/// # Ok::<(), epode::JidError>(())
/// ```
pub trait AsyncMechanism: Send + Sync + 'static {
    /// The name that servers offer it by.
    fn name(&self) -> MechanismName;

    /// Its place in the order, higher first.
    fn priority(&self) -> i32;

    /// Whether it sends data before the server does.
    fn client_first(&self) -> bool {
        true
    }

    /// Whether what it sends would tell a listener the secret. If so, and that is the default,
    /// it is used over a confidential channel only.
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

    /// It was chosen, and a login begins. What it needs of the credentials it can take from `cx`.
    fn start(&self, cx: &Context<'_>) {
        let _ = cx;
    }

    /// What to send: for the first message `challenge` is none, after that it is the server's.
    /// Dropped if the connection ends before it is done.
    ///
    /// # Errors
    ///
    /// [`GivenUp`] ends the login: `<abort/>` is sent, and `AUTHFAIL` reported.
    fn respond(
        &self,
        challenge: Option<&[u8]>,
    ) -> impl Future<Output = Result<Vec<u8>, GivenUp>> + Send;

    /// The server claims success, perhaps with data, after we have spoken at least once. By default
    /// data is refused. A mechanism of several steps should refuse a success that comes too soon.
    ///
    /// # Errors
    ///
    /// [`GivenUp`] if the claim is not to be believed.
    fn success(&self, data: Option<&[u8]>) -> Result<(), GivenUp> {
        match data {
            None | Some([]) => Ok(()),
            Some(_) => Err(GivenUp::because("the server sent data with its success")),
        }
    }

    /// The server refused.
    fn failure(&self) {}
}

/// A login given up by the application, and why; the words reach the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct GivenUp(String);

impl GivenUp {
    /// Gives up, for this reason.
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    pub(crate) fn into_reason(self) -> String {
        self.0
    }
}

/// An [`AsyncMechanism`] behind a pointer.
pub(crate) trait Responder: Send + Sync {
    fn mechanism(&self) -> MechanismName;
    fn priority(&self) -> i32;
    fn client_first(&self) -> bool;
    fn exposes_secret(&self) -> bool;
    fn test(&self, cx: &Context<'_>) -> Result<(), Skip>;
    fn start(&self, cx: &Context<'_>);
    fn respond(self: Arc<Self>, data: Option<Zeroizing<Vec<u8>>>) -> AnswerFuture;
    fn success(&self, data: Option<&[u8]>) -> Result<(), GivenUp>;
    fn failure(&self);
}

/// An answer that may take its time; to drop it is to stop looking for it.
pub(crate) type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

impl<M: AsyncMechanism> Responder for M {
    fn mechanism(&self) -> MechanismName {
        AsyncMechanism::name(self)
    }

    fn priority(&self) -> i32 {
        AsyncMechanism::priority(self)
    }

    fn client_first(&self) -> bool {
        AsyncMechanism::client_first(self)
    }

    fn exposes_secret(&self) -> bool {
        AsyncMechanism::exposes_secret(self)
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        AsyncMechanism::test(self, cx)
    }

    fn start(&self, cx: &Context<'_>) {
        AsyncMechanism::start(self, cx);
    }

    fn respond(self: Arc<Self>, data: Option<Zeroizing<Vec<u8>>>) -> AnswerFuture {
        Box::pin(async move {
            let challenge = data.as_ref().map(|data| data.as_slice());
            match AsyncMechanism::respond(self.as_ref(), challenge).await {
                Ok(response) => Answer::Response(Response::new(response)),
                Err(given_up) => Answer::Refuse(given_up.into_reason()),
            }
        })
    }

    fn success(&self, data: Option<&[u8]>) -> Result<(), GivenUp> {
        AsyncMechanism::success(self, data)
    }

    fn failure(&self) {
        AsyncMechanism::failure(self);
    }
}

/// How the SASL layer sees an [`AsyncMechanism`]: one that asks for each of its messages.
pub(crate) struct Deferred {
    name: MechanismName,
    responder: Arc<dyn Responder>,
}

impl Deferred {
    pub(crate) fn new(responder: Arc<dyn Responder>) -> Self {
        Self { name: responder.mechanism(), responder }
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Deferred").field(&self.name).finish()
    }
}

impl MechanismFactory for Deferred {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        self.responder.priority()
    }

    fn exposes_secret(&self) -> bool {
        self.responder.exposes_secret()
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        self.responder.test(cx)
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        let deferred = Self { name: self.name.clone(), responder: Arc::clone(&self.responder) };
        Box::new(DeferredLogin { deferred, has_spoken: false })
    }
}

#[derive(Debug)]
struct DeferredLogin {
    deferred: Deferred,
    has_spoken: bool,
}

impl DeferredLogin {
    fn ask(&self, data: Option<&[u8]>) -> Step {
        let data = data.map(|data| Zeroizing::new(data.to_vec()));
        let mechanism = self.deferred.name.clone();
        Step::Ask(Question::Respond(Challenge { mechanism, data }))
    }
}

impl Mechanism for DeferredLogin {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        self.deferred.responder.start(cx);
        let first = self.deferred.responder.client_first();
        Ok(if first { self.ask(None) } else { Step::Wait })
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
            let mechanism = self.deferred.name.clone();
            return Err(Error::PeerMisbehaved { mechanism, fault: PeerFault::SuccessTooSoon });
        }
        match self.deferred.responder.success(last) {
            Ok(()) => Ok(ServerProof::NotOffered),
            Err(given_up) => Err(Error::Refused(given_up.into_reason())),
        }
    }

    fn failed(&mut self, rejection: Rejection) -> Rejection {
        self.deferred.responder.failure();
        rejection
    }
}
