//! A mechanism of an application's own, whose every message is a question.

use epode_proto::sasl::{
    Answer, Challenge, Context, Error, Mechanism, MechanismFactory, MechanismName, Question,
    ServerProof, Skip, Step,
};
use zeroize::Zeroizing;

/// X-MY-MECHANISM, priority 25.
#[derive(Debug)]
pub(crate) struct Custom {
    name: MechanismName,
    client_first: bool,
}

impl Custom {
    /// `order` says who speaks first.
    pub(crate) fn new(order: &str) -> Self {
        let client_first = match order {
            "client-first" => true,
            "server-first" => false,
            _ => panic!("`custom: {order}` is neither client-first nor server-first"),
        };
        Self { name: "X-MY-MECHANISM".parse().expect("it is a name"), client_first }
    }
}

impl MechanismFactory for Custom {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        25
    }

    fn test(&self, _: &Context<'_>) -> Result<(), Skip> {
        Ok(())
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login { name: self.name.clone(), client_first: self.client_first })
    }
}

#[derive(Debug)]
struct Login {
    name: MechanismName,
    client_first: bool,
}

impl Login {
    fn ask(&self, data: Option<&[u8]>) -> Step {
        let data = data.map(|data| Zeroizing::new(data.to_vec()));
        Step::Ask(Question::Respond(Challenge { mechanism: self.name.clone(), data }))
    }
}

impl Mechanism for Login {
    fn start(&mut self, _: &Context<'_>) -> Result<Step, Error> {
        Ok(if self.client_first { self.ask(None) } else { Step::Wait })
    }

    fn challenge(&mut self, _: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        Ok(self.ask(Some(challenge)))
    }

    fn answer(&mut self, _: &Context<'_>, answer: Answer) -> Result<Step, Error> {
        match answer {
            Answer::Response(response) => Ok(Step::Send(response)),
            _ => Err(Error::ApiMisuse("a response was due")),
        }
    }

    fn verify(&mut self, _: &Context<'_>, _: Option<&[u8]>) -> Result<ServerProof, Error> {
        Ok(ServerProof::NotOffered)
    }
}
