//! A mechanism of your own, `X-MY-MECHANISM`: the client speaks first and sends `token=` with its
//! token; the priority is 25, between ANONYMOUS (20) and X-OAUTH2 (30).
//!
//! ```sh
//! cargo run -p epode-sasl --example custom_mechanism
//! ```

use std::{error::Error, sync::Arc};

use epode_sasl::{
    Authenticated, Channel, Context, Credentials, Exchange, Mechanism, MechanismFactory,
    MechanismName, Policy, Registry, Rejection, Response, Secret, SecretKind, ServerProof, Skip,
    Step, Turn,
};
use zeroize::Zeroizing;

fn main() -> Result<(), Box<dyn Error>> {
    let authenticated = login(Credentials::token("alice", "my-access-token"))?;
    println!("logged in by {}\n", authenticated.mechanism());
    if let Err(error) = login(Credentials::token("alice", "an-old-token")) {
        println!("not logged in: {error}");
    }
    Ok(())
}

/// A login to a server that offers three mechanisms and knows one token.
fn login(who: Credentials) -> Result<Authenticated, Box<dyn Error>> {
    let name: MechanismName = "X-MY-MECHANISM".parse()?;
    let offered = [MechanismName::PLAIN, MechanismName::ANONYMOUS, name.clone()];
    let registry = Registry::default().with(Arc::new(MyMechanism { name }));
    let channel = Channel::encrypted();
    let selection = Policy::default().select(&registry, &who, &channel, &offered)?;
    println!("S: {offered:?}");
    println!("   {} is chosen, at priority {}", selection.mechanism(), selection.priority());
    for passed in selection.passed_over().iter().filter(|passed| passed.offered) {
        println!("   not {passed}");
    }
    let Turn::Server(login, Some(first)) = Exchange::begin(selection, who, channel)? else {
        unreachable!("it speaks first and asks nothing");
    };
    println!("C: {first:?}"); // how long it is, not what it says
    if first.as_bytes() == b"token=my-access-token" {
        println!("S: success");
        Ok(login.success(None)?)
    } else {
        println!("S: failure");
        let error = login.failure(Rejection::new("not-authorized")).expect_err("nothing was bound");
        Err(error.into())
    }
}

/// What the program knows about the mechanism before any login.
#[derive(Debug)]
struct MyMechanism {
    name: MechanismName,
}

impl MechanismFactory for MyMechanism {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        25
    }

    /// Only with a token. Whether the channel is good enough for one is asked elsewhere, since
    /// `exposes_secret` is true unless a mechanism says otherwise.
    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        match cx.credentials.secret() {
            Secret::Token(_) => Ok(()),
            _ => Err(Skip::NeedsSecret(SecretKind::Token)),
        }
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login)
    }
}

/// One login by it. This one has nothing to remember between its steps.
#[derive(Debug)]
struct Login;

impl Mechanism for Login {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, epode_sasl::Error> {
        let Secret::Token(token) = cx.credentials.secret() else {
            return Err(epode_sasl::Error::ApiMisuse("begun without the token of its selection"));
        };
        let mut message = Zeroizing::new(Vec::with_capacity(6 + token.len())); // leaves no copies
        message.extend_from_slice(b"token=");
        message.extend_from_slice(token.as_bytes());
        Ok(Step::Send(Response::from(message)))
    }

    /// A challenge is answered like the beginning, whatever it says.
    fn challenge(&mut self, cx: &Context<'_>, _: &[u8]) -> Result<Step, epode_sasl::Error> {
        self.start(cx)
    }

    /// The server proves nothing, so there is nothing to verify.
    fn verify(
        &mut self,
        _: &Context<'_>,
        _: Option<&[u8]>,
    ) -> Result<ServerProof, epode_sasl::Error> {
        Ok(ServerProof::NotOffered)
    }

    fn failed(&mut self, rejection: Rejection) -> Rejection {
        rejection.with_text("get a new token and try again", Some("en".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_token_logs_in() {
        let authenticated = login(Credentials::token("alice", "my-access-token")).unwrap();
        assert_eq!(authenticated.mechanism().as_str(), "X-MY-MECHANISM");
    }

    #[test]
    fn a_wrong_token_is_refused_with_our_own_words() {
        let error = login(Credentials::token("alice", "an-old-token")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server refused the login: not-authorized (get a new token and try again)"
        );
    }

    #[test]
    fn without_a_token_there_is_nothing_to_use() {
        let error = login(Credentials::new("alice", Secret::None)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the server offers PLAIN (it needs a password), \
             ANONYMOUS (it is for logins without a user name), X-MY-MECHANISM (it needs a token)"
        );
    }
}
