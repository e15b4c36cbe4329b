//! ANONYMOUS (RFC 4505): a guest. No trace information is sent (XEP-0175).

use crate::{
    Context, Error, Mechanism, MechanismFactory, MechanismName, PeerFault, Response, ServerProof,
    Step, selection::Skip,
};

/// ANONYMOUS, priority 20: for logins without a user name.
#[derive(Clone, Copy, Debug, Default)]
pub struct Anonymous;

impl MechanismFactory for Anonymous {
    fn name(&self) -> &MechanismName {
        &MechanismName::ANONYMOUS
    }

    fn priority(&self) -> i32 {
        20
    }

    fn exposes_secret(&self) -> bool {
        false
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        cx.credentials.authcid().map_or(Ok(()), |_| Err(Skip::HasUserName))
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login { answered: false })
    }
}

#[derive(Debug)]
struct Login {
    answered: bool,
}

impl Mechanism for Login {
    fn start(&mut self, _: &Context<'_>) -> Result<Step, Error> {
        Ok(Step::Wait)
    }

    /// A server that insists on a first message asks with an empty challenge, once.
    fn challenge(&mut self, _: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        if !challenge.is_empty() || std::mem::replace(&mut self.answered, true) {
            let mechanism = MechanismName::ANONYMOUS;
            return Err(Error::PeerMisbehaved { mechanism, fault: PeerFault::UnexpectedChallenge });
        }
        Ok(Step::Send(Response::new([])))
    }

    fn verify(&mut self, _: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        super::unproven(&MechanismName::ANONYMOUS, last)
    }
}
