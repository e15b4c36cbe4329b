//! A mechanism of an application's own, whose every message is a question.

use std::sync::Arc;

use epode_proto::sasl::{Deferred, Error, MechanismName, OwnMechanism};

/// X-MY-MECHANISM, priority 25.
#[derive(Debug)]
struct Custom {
    name: MechanismName,
    client_first: bool,
}

/// `order` says who speaks first.
pub(crate) fn custom(order: &str) -> Deferred {
    let client_first = match order {
        "client-first" => true,
        "server-first" => false,
        _ => panic!("`custom: {order}` is neither client-first nor server-first"),
    };
    let name = "X-MY-MECHANISM".parse().expect("it is a name");
    Deferred::new(Arc::new(Custom { name, client_first }))
}

impl OwnMechanism for Custom {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        25
    }

    fn client_first(&self) -> bool {
        self.client_first
    }

    fn success(&self, _: Option<&[u8]>) -> Result<(), Error> {
        Ok(())
    }
}
