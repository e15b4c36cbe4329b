//! SCRAM that is bound to one type of channel binding and to no other.
//!
//! The client takes the best that both sides have; here each is to be tried. It is a mechanism of
//! the application's own, and leaves all but the choice to the client's.

use epode::sasl::{
    Answer, BindingType, Context, Error, Mechanism, MechanismFactory, MechanismName, Rejection,
    ServerProof, Skip, Step,
    scram::{Hash, Scram, ScramKeys},
};

/// A `-PLUS` form that knows of one binding.
#[derive(Clone, Debug)]
pub(crate) struct OnlyBinding {
    scram: Scram,
    others: Vec<BindingType>,
}

impl OnlyBinding {
    /// The `-PLUS` form with this hash, bound to this.
    pub(crate) fn new(hash: Hash, kind: BindingType) -> Self {
        let others = BindingType::ALL.into_iter().filter(|other| *other != kind).collect();
        Self { scram: Scram::plus(hash), others }
    }
}

/// As if the server had refused the others before.
fn without<'a>(others: &'a [BindingType], cx: &Context<'a>) -> Context<'a> {
    let mut cx = *cx;
    cx.refused = others;
    cx
}

impl MechanismFactory for OnlyBinding {
    fn name(&self) -> &MechanismName {
        self.scram.name()
    }

    fn priority(&self) -> i32 {
        self.scram.priority()
    }

    fn exposes_secret(&self) -> bool {
        self.scram.exposes_secret()
    }

    fn binding(&self, cx: &Context<'_>) -> Option<BindingType> {
        self.scram.binding(&without(&self.others, cx))
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        self.scram.test(&without(&self.others, cx))
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login { scram: self.scram.begin(), others: self.others.clone() })
    }
}

#[derive(Debug)]
struct Login {
    scram: Box<dyn Mechanism>,
    others: Vec<BindingType>,
}

impl Mechanism for Login {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        self.scram.start(&without(&self.others, cx))
    }

    fn challenge(&mut self, cx: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        self.scram.challenge(&without(&self.others, cx), challenge)
    }

    fn answer(&mut self, cx: &Context<'_>, answer: Answer) -> Result<Step, Error> {
        self.scram.answer(&without(&self.others, cx), answer)
    }

    fn refused(&mut self, why: &str) -> Error {
        self.scram.refused(why)
    }

    fn verify(&mut self, cx: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        self.scram.verify(&without(&self.others, cx), last)
    }

    fn failed(&mut self, rejection: Rejection) -> Rejection {
        self.scram.failed(rejection)
    }

    fn take_keys(&mut self) -> Option<ScramKeys> {
        self.scram.take_keys()
    }
}
