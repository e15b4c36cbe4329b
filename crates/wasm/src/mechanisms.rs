//! Mechanisms whose tests and priorities are JavaScript's, and those that are written in it.
//! The messages of the latter are asked for; they are not known here.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicI32, Ordering},
};

use epode_proto::sasl::{
    Channel, Context, Credentials, Deferred, Error, Exchange, Mechanism, MechanismFactory,
    MechanismName, OwnMechanism, PeerFault, Policy, Registry, Skip, Turn,
    mechanisms::{
        anonymous::Anonymous,
        external::External,
        oauthbearer::OAuthBearer,
        plain::Plain,
        scram::{Hash, Scram},
        xoauth2::XOAuth2,
    },
};
use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::options::{Options, SecretKind};

/// A mechanism as JavaScript describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Listing {
    name: String,
    /// Its messages are JavaScript's.
    own: bool,
    client_first: bool,
    exposes_secret: bool,
}

/// A mechanism that JavaScript judges before it is chosen.
#[derive(Debug)]
pub(crate) struct Listed {
    factory: Box<dyn MechanismFactory>,
    usable: AtomicBool,
    priority: AtomicI32,
    own: Option<Arc<Own>>,
}

/// A mechanism whose messages are JavaScript's.
#[derive(Debug)]
struct Own {
    name: MechanismName,
    client_first: bool,
    exposes_secret: bool,
    /// What JavaScript says of the success that the server claims, if it says anything.
    success: Mutex<Option<Result<(), String>>>,
}

impl Listing {
    /// None for a name that no server can offer, or that is not known here.
    pub(crate) fn known(self) -> Option<Listed> {
        let name: MechanismName = self.name.parse().ok()?;
        let Self { own, client_first, exposes_secret, .. } = self;
        let success = Mutex::default();
        let own = own
            .then(|| Arc::new(Own { name: name.clone(), client_first, exposes_secret, success }));
        let factory: Box<dyn MechanismFactory> = match &own {
            Some(own) => Box::new(Deferred::new(Arc::<Own>::clone(own))),
            None => built_in(&name)?,
        };
        let (usable, priority) = (AtomicBool::new(false), AtomicI32::new(0));
        Some(Listed { factory, usable, priority, own })
    }
}

impl Listed {
    pub(crate) fn registry(listed: &[Arc<Self>]) -> Registry {
        listed.iter().fold(Registry::empty(), |registry, listed| {
            let factory: Arc<dyn MechanismFactory> = Arc::<Self>::clone(listed);
            registry.with(factory)
        })
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name().as_str() == name
    }

    /// Takes JavaScript's verdict, which holds until the next.
    pub(crate) fn judge(&self, usable: bool, priority: i32) {
        self.usable.store(usable, Ordering::Relaxed);
        self.priority.store(priority, Ordering::Relaxed);
    }

    /// Takes JavaScript's verdict on the success that the next frame claims: why it is none, if so.
    pub(crate) fn judge_success(&self, refusal: Option<String>) {
        if let Some(own) = &self.own {
            *own.verdict() = Some(refusal.map_or(Ok(()), Err));
        }
    }
}

impl MechanismFactory for Listed {
    fn name(&self) -> &MechanismName {
        self.factory.name()
    }

    fn priority(&self) -> i32 {
        self.priority.load(Ordering::Relaxed)
    }

    fn exposes_secret(&self) -> bool {
        self.factory.exposes_secret()
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        if !self.usable.load(Ordering::Relaxed) {
            return Err(Skip::Other("its test says no".to_owned()));
        }
        // Whether there is a certificate is between the browser and the server.
        if *self.name() == MechanismName::EXTERNAL { Ok(()) } else { self.factory.test(cx) }
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        self.factory.begin()
    }
}

impl Own {
    fn verdict(&self) -> MutexGuard<'_, Option<Result<(), String>>> {
        self.success.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The name and the messages are all that counts: its place and its test are those of [`Listed`].
impl OwnMechanism for Own {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        0
    }

    fn client_first(&self) -> bool {
        self.client_first
    }

    fn exposes_secret(&self) -> bool {
        self.exposes_secret
    }

    /// Where JavaScript has not looked at the data, there may be none.
    fn success(&self, data: Option<&[u8]>) -> Result<(), Error> {
        match (self.verdict().take(), data) {
            (Some(verdict), _) => verdict.map_err(Error::Refused),
            (None, None | Some([])) => Ok(()),
            (None, Some(_)) => Err(Error::PeerMisbehaved {
                mechanism: self.name.clone(),
                fault: PeerFault::UnexpectedSuccessData,
            }),
        }
    }
}

/// The message that one of the nine mechanisms opens with, but for SCRAM: for classes that derive
/// from theirs. The options are those of a [`Machine`](crate::Machine).
///
/// # Errors
///
/// A text that says what is missing.
#[wasm_bindgen]
pub fn first_message(
    options: &str,
    mechanism: &str,
    kind: SecretKind,
    secret: String,
) -> Result<Vec<u8>, String> {
    let credentials = Options::parse(options)?.credentials(kind.secret(secret)?)?;
    opening_of(mechanism, credentials)
}

/// That of SCRAM would be of no use without what follows.
fn opening_of(name: &str, credentials: Credentials) -> Result<Vec<u8>, String> {
    let known = name.parse().ok().filter(|name| !is_scram(name));
    let factory = known.and_then(|name| built_in(&name));
    let factory = factory.ok_or_else(|| format!("the messages of {name} are the core's alone"))?;
    let name = factory.name().clone();
    // Whether the secret may go over this connection was decided when the class was chosen.
    let channel = Channel::encrypted().with_client_certificate();
    let registry = Registry::empty().with(Arc::from(factory));
    let selection = Policy::default().select(&registry, &credentials, &channel, &[name]);
    let selection = selection.map_err(|none| none.to_string())?;
    match Exchange::begin(selection, credentials, channel).map_err(|error| error.to_string())? {
        Turn::Server(_, first) => {
            Ok(first.map_or_else(Vec::new, |first| first.as_bytes().to_vec()))
        }
        Turn::Question(..) => Err("it has nothing to send without an answer".to_owned()),
    }
}

fn is_scram(name: &MechanismName) -> bool {
    Hash::ALL.into_iter().any(|hash| hash.mechanism() == *name)
}

/// The nine of the page. Those with channel binding are none of JavaScript's, which does not see
/// the channel.
fn built_in(name: &MechanismName) -> Option<Box<dyn MechanismFactory>> {
    if let Some(hash) = Hash::ALL.into_iter().find(|hash| hash.mechanism() == *name) {
        return Some(Box::new(Scram::new(hash)));
    }
    let others: [Box<dyn MechanismFactory>; 5] = [
        Box::new(Plain),
        Box::new(OAuthBearer),
        Box::new(XOAuth2),
        Box::new(Anonymous),
        Box::new(External),
    ];
    others.into_iter().find(|factory| factory.name() == name)
}
