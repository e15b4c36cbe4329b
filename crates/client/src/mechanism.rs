//! Mechanisms of the application's own that may take their time: a token endpoint, a prompt.
//! One that knows its answers at once is better written as an [`epode_sasl::Mechanism`].

use std::{fmt, pin::Pin, sync::Arc};

use epode_sasl::{Answer, Context, Error, MechanismName, OwnMechanism, Response, Skip};
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

/// An [`AsyncMechanism`] as the SASL layer sees it, and whoever looks for its messages.
pub(crate) trait Responder: OwnMechanism {
    fn respond(self: Arc<Self>, data: Option<Zeroizing<Vec<u8>>>) -> AnswerFuture;
}

/// An answer that may take its time; to drop it is to stop looking for it.
pub(crate) type AnswerFuture = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// An [`AsyncMechanism`] by its name.
pub(crate) struct Named<M> {
    name: MechanismName,
    mechanism: M,
}

impl<M: AsyncMechanism> Named<M> {
    pub(crate) fn new(mechanism: M) -> Self {
        Self { name: mechanism.name(), mechanism }
    }
}

impl<M> fmt::Debug for Named<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Named").field(&self.name).finish()
    }
}

impl<M: AsyncMechanism> OwnMechanism for Named<M> {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        self.mechanism.priority()
    }

    fn client_first(&self) -> bool {
        self.mechanism.client_first()
    }

    fn exposes_secret(&self) -> bool {
        self.mechanism.exposes_secret()
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        self.mechanism.test(cx)
    }

    fn start(&self, cx: &Context<'_>) {
        self.mechanism.start(cx);
    }

    fn success(&self, data: Option<&[u8]>) -> Result<(), Error> {
        let believed = self.mechanism.success(data);
        believed.map_err(|given_up| Error::Refused(given_up.into_reason()))
    }

    fn failure(&self) {
        self.mechanism.failure();
    }
}

impl<M: AsyncMechanism> Responder for Named<M> {
    fn respond(self: Arc<Self>, data: Option<Zeroizing<Vec<u8>>>) -> AnswerFuture {
        Box::pin(async move {
            let challenge = data.as_ref().map(|data| data.as_slice());
            match self.mechanism.respond(challenge).await {
                Ok(response) => Answer::Response(Response::new(response)),
                Err(given_up) => Answer::Refuse(given_up.into_reason()),
            }
        })
    }
}
