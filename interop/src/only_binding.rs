//! SCRAM that is bound to one type of channel binding and to no other.
//!
//! The client takes the best that both sides have; here each is to be tried. It is a mechanism of
//! the application's own, and leaves all but the choice to the client's.

use epode::sasl::{
    Answer, BindingType, Channel, Context, Error, Mechanism, MechanismFactory, MechanismName,
    ServerProof, Skip, Step,
    scram::{Hash, Scram, ScramKeys},
};

/// A `-PLUS` form that knows of one binding.
#[derive(Clone, Debug)]
pub(crate) struct OnlyBinding {
    scram: Scram,
    kind: BindingType,
}

impl OnlyBinding {
    /// The `-PLUS` form with this hash, bound to this.
    pub(crate) fn new(hash: Hash, kind: BindingType) -> Self {
        Self { scram: Scram::plus(hash), kind }
    }
}

/// Calls with a context in which the channel has no other binding.
fn narrowed<T>(kind: BindingType, cx: &Context<'_>, call: impl FnOnce(&Context<'_>) -> T) -> T {
    let binding = cx.channel.bindings().iter().find(|binding| binding.kind() == kind);
    let channel = Channel::encrypted();
    let channel = match binding {
        Some(binding) => channel.with_binding(binding.clone()),
        None => channel,
    };
    call(&Context { channel: &channel, ..*cx })
}

impl MechanismFactory for OnlyBinding {
    fn name(&self) -> &MechanismName {
        self.scram.name()
    }

    fn priority(&self) -> i32 {
        self.scram.priority()
    }

    fn binding(&self, cx: &Context<'_>) -> Option<BindingType> {
        narrowed(self.kind, cx, |cx| self.scram.binding(cx))
    }

    fn exposes_secret(&self) -> bool {
        self.scram.exposes_secret()
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        narrowed(self.kind, cx, |cx| self.scram.test(cx))
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login { scram: self.scram.begin(), kind: self.kind })
    }
}

#[derive(Debug)]
struct Login {
    scram: Box<dyn Mechanism>,
    kind: BindingType,
}

impl Mechanism for Login {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        narrowed(self.kind, cx, |cx| self.scram.start(cx))
    }

    fn challenge(&mut self, cx: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        narrowed(self.kind, cx, |cx| self.scram.challenge(cx, challenge))
    }

    fn answer(&mut self, cx: &Context<'_>, answer: Answer) -> Result<Step, Error> {
        narrowed(self.kind, cx, |cx| self.scram.answer(cx, answer))
    }

    fn verify(&mut self, cx: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        narrowed(self.kind, cx, |cx| self.scram.verify(cx, last))
    }
}
