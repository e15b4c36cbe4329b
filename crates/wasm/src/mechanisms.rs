//! Mechanisms whose tests and priorities are JavaScript's, and those that are written in it.
//! The messages of the latter are asked for; they are not known here.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI32, Ordering},
};

use epode_proto::sasl::{
    Answer, Challenge, Channel, Context, Credentials, Error, Exchange, Mechanism, MechanismFactory,
    MechanismName, PeerFault, Policy, Question, Registry, ServerProof, Skip, Step, Turn,
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
use zeroize::Zeroizing;

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
    name: MechanismName,
    usable: AtomicBool,
    priority: AtomicI32,
    messages: Messages,
}

/// Where its messages come from.
#[derive(Debug)]
enum Messages {
    BuiltIn(Box<dyn MechanismFactory>),
    Own { client_first: bool, exposes_secret: bool },
}

impl Listing {
    /// None for a name that no server can offer, or that is not known here.
    pub(crate) fn known(self) -> Option<Listed> {
        let name: MechanismName = self.name.parse().ok()?;
        let messages = if self.own {
            let Self { client_first, exposes_secret, .. } = self;
            Messages::Own { client_first, exposes_secret }
        } else {
            Messages::BuiltIn(built_in(&name)?)
        };
        let (usable, priority) = (AtomicBool::new(false), AtomicI32::new(0));
        Some(Listed { name, usable, priority, messages })
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
        self.name.as_str() == name
    }

    /// Takes JavaScript's verdict, which holds until the next.
    pub(crate) fn judge(&self, usable: bool, priority: i32) {
        self.usable.store(usable, Ordering::Relaxed);
        self.priority.store(priority, Ordering::Relaxed);
    }
}

impl MechanismFactory for Listed {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        self.priority.load(Ordering::Relaxed)
    }

    fn exposes_secret(&self) -> bool {
        match &self.messages {
            Messages::BuiltIn(factory) => factory.exposes_secret(),
            Messages::Own { exposes_secret, .. } => *exposes_secret,
        }
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        if !self.usable.load(Ordering::Relaxed) {
            return Err(Skip::Other("its test says no".to_owned()));
        }
        match &self.messages {
            // Whether there is a certificate is between the browser and the server.
            Messages::BuiltIn(_) if self.name == MechanismName::EXTERNAL => Ok(()),
            Messages::BuiltIn(factory) => factory.test(cx),
            Messages::Own { .. } => Ok(()),
        }
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        match &self.messages {
            Messages::BuiltIn(factory) => factory.begin(),
            Messages::Own { client_first, .. } => Box::new(Own {
                name: self.name.clone(),
                client_first: *client_first,
                has_spoken: false,
            }),
        }
    }
}

/// A login whose messages JavaScript is asked for.
#[derive(Debug)]
struct Own {
    name: MechanismName,
    client_first: bool,
    has_spoken: bool,
}

impl Own {
    fn ask(&self, data: Option<&[u8]>) -> Step {
        let data = data.map(|data| Zeroizing::new(data.to_vec()));
        Step::Ask(Question::Respond(Challenge { mechanism: self.name.clone(), data }))
    }

    fn fault(&self, fault: PeerFault) -> Error {
        Error::PeerMisbehaved { mechanism: self.name.clone(), fault }
    }
}

impl Mechanism for Own {
    fn start(&mut self, _: &Context<'_>) -> Result<Step, Error> {
        Ok(if self.client_first { self.ask(None) } else { Step::Wait })
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

    /// A class in JavaScript has no say in this, so data that it cannot check is refused.
    fn verify(&mut self, _: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        match last {
            _ if !self.has_spoken => Err(self.fault(PeerFault::SuccessTooSoon)),
            None | Some([]) => Ok(ServerProof::NotOffered),
            Some(_) => Err(self.fault(PeerFault::UnexpectedSuccessData)),
        }
    }
}

/// The message that one of the nine opens with: for classes that derive from theirs, and send
/// something else before or instead. That of SCRAM would be of no use without what follows.
pub(crate) fn first_message(name: &str, credentials: Credentials) -> Result<Vec<u8>, String> {
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
