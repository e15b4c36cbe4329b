//! Mechanisms of an application's own: at once, later, refusing, and with the server first.

mod support;

use std::sync::{Arc, Mutex};

use epode_sasl::{
    Answer, Challenge, Context, Credentials, Error, Exchange, Mechanism, MechanismFactory,
    MechanismName, PeerFault, Pending, Policy, Question, Registry, Rejection, Response, Secret,
    SecretKind, ServerProof, Skip, Step, Turn, scram::ScramKeys,
};
use zeroize::Zeroizing;

use crate::support::{best_channel, refused, servers_move};

// The page's example.

#[test]
fn the_mechanism_of_the_page_logs_in() {
    let calls = Calls::default();
    let (login, sent) = servers_move(begin(MyMechanism::new(&calls), token()).unwrap());
    assert_eq!(sent.unwrap().as_bytes(), b"token=my-access-token");
    assert_eq!(login.mechanism().as_str(), "X-MY-MECHANISM");
    let authenticated = login.success(None).unwrap();
    assert_eq!(authenticated.mechanism().as_str(), "X-MY-MECHANISM");
    assert_eq!(authenticated.proof(), ServerProof::NotOffered);
    assert!(authenticated.keys().is_none());
    calls.assert(&["test", "begin", "start", "verify", "take_keys"]);
}

#[test]
fn the_mechanism_of_the_page_answers_every_challenge() {
    let calls = Calls::default();
    let (mut login, _) = servers_move(begin(MyMechanism::new(&calls), token()).unwrap());
    for _ in 0..2 {
        let sent;
        (login, sent) = servers_move(login.challenge(b"once more").unwrap());
        assert_eq!(sent.unwrap().as_bytes(), b"token=my-access-token");
    }
    login.success(Some(b"welcome")).unwrap();
    calls.assert(&["test", "begin", "start", "challenge", "challenge", "verify", "take_keys"]);
}

#[test]
fn the_mechanism_of_the_page_is_told_of_a_failure() {
    let calls = Calls::default();
    let (login, _) = servers_move(begin(MyMechanism::new(&calls), token()).unwrap());
    let error = login.failure(Rejection::new("not-authorized")).unwrap_err();
    let expected = Rejection::new("not-authorized").with_text("is the token still good?", None);
    assert_eq!(error, Error::Rejected(Box::new(expected)));
    calls.assert(&["test", "begin", "start", "failed"]);
}

/// Between X-OAUTH2 and ANONYMOUS, as the page has it; and only with a token.
#[test]
fn the_mechanism_of_the_page_has_its_place_among_the_nine() {
    let registry = Registry::default().with(Arc::new(MyMechanism::new(&Calls::default())));
    let mut offered: Vec<_> = registry.names().cloned().collect();
    offered.reverse();
    let who = Credentials::guest(Secret::token("x"));
    let mut policy = Policy::default();
    let mut order = Vec::new();
    while let Ok(selection) = policy.select(&registry, &who, &best_channel(), &offered) {
        order.push(selection.mechanism().to_string());
        policy = policy.deny(selection.mechanism().clone());
    }
    assert_eq!(order, ["OAUTHBEARER", "X-OAUTH2", "X-MY-MECHANISM", "ANONYMOUS", "EXTERNAL"]);

    let who = Credentials::password("alice", "x");
    let refusal =
        Policy::default().select(&registry, &who, &best_channel(), &[my_mechanism()]).unwrap_err();
    assert_eq!(refusal.passed_over[0].reason, Skip::NeedsSecret(SecretKind::Token));
}

/// The example of the page: priority 25, the client speaks first, `token=` and the secret.
#[derive(Clone, Debug)]
struct MyMechanism {
    name: MechanismName,
    calls: Calls,
}

impl MyMechanism {
    fn new(calls: &Calls) -> Self {
        Self { name: my_mechanism(), calls: calls.clone() }
    }

    fn respond(cx: &Context<'_>) -> Result<Step, Error> {
        let Secret::Token(token) = cx.credentials.secret() else {
            return Err(Error::ApiMisuse("the test lets nobody in without a token"));
        };
        Ok(Step::Send(Response::new(format!("token={}", token.as_str()))))
    }
}

impl MechanismFactory for MyMechanism {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        25
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        self.calls.add("test");
        match cx.credentials.secret() {
            Secret::Token(_) => Ok(()),
            _ => Err(Skip::NeedsSecret(SecretKind::Token)),
        }
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        self.calls.add("begin");
        Box::new(self.clone())
    }
}

impl Mechanism for MyMechanism {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        self.calls.add("start");
        Self::respond(cx)
    }

    fn challenge(&mut self, cx: &Context<'_>, _: &[u8]) -> Result<Step, Error> {
        self.calls.add("challenge");
        Self::respond(cx)
    }

    fn verify(&mut self, _: &Context<'_>, _: Option<&[u8]>) -> Result<ServerProof, Error> {
        self.calls.add("verify");
        Ok(ServerProof::NotOffered)
    }

    fn failed(&mut self, rejection: Rejection) -> Rejection {
        self.calls.add("failed");
        rejection.with_text("is the token still good?", None)
    }

    fn take_keys(&mut self) -> Option<ScramKeys> {
        self.calls.add("take_keys");
        None
    }
}

// One that is answered later.

#[test]
fn a_response_may_come_later() {
    let login = asked(start(Later::NAME, Later).unwrap(), None);
    assert_eq!(login.mechanism().as_str(), "X-LATER");
    let (login, sent) = servers_move(login.answer(response("hello")).unwrap());
    assert_eq!(sent.unwrap().as_bytes(), b"hello");
    let login = asked(login.challenge(b"and?").unwrap(), Some(b"and?"));
    let (login, sent) = servers_move(login.answer(response("")).unwrap());
    assert_eq!(sent.unwrap().as_bytes(), b"");
    assert!(login.success(None).is_ok());
}

#[test]
fn nobody_answers() {
    let words = "the card was pulled out".to_owned();
    let login = asked(start(Later::NAME, Later).unwrap(), None);
    let error = refused(login.answer(Answer::Refuse(words.clone())), "a refusal");
    assert_eq!(error, Error::Refused(words));
}

#[test]
fn the_server_loses_patience_while_the_answer_is_awaited() {
    let login = asked(start(Later::NAME, Later).unwrap(), None);
    let error = login.failure(Rejection::new("temporary-auth-failure")).unwrap_err();
    assert_eq!(error, Error::Rejected(Box::new(Rejection::new("temporary-auth-failure"))));
}

#[test]
fn an_answer_of_another_kind() {
    for answer in [Answer::Secret(Secret::password("x")), Answer::Secret(Secret::None)] {
        let login = asked(start(Later::NAME, Later).unwrap(), None);
        let error = refused(login.answer(answer), "a secret");
        assert_eq!(error, Error::ApiMisuse("a response is due"));
    }
}

/// Leaves every response to the application.
#[derive(Clone, Copy, Debug)]
struct Later;

impl Later {
    const NAME: &str = "X-LATER";

    fn ask(challenge: Option<&[u8]>) -> Step {
        Step::Ask(Question::Respond(Challenge {
            mechanism: Self::NAME.parse().expect("the name follows the grammar"),
            data: challenge.map(|challenge| Zeroizing::new(challenge.to_vec())),
        }))
    }
}

impl Mechanism for Later {
    fn start(&mut self, _: &Context<'_>) -> Result<Step, Error> {
        Ok(Self::ask(None))
    }

    fn challenge(&mut self, _: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        Ok(Self::ask(Some(challenge)))
    }

    fn answer(&mut self, _: &Context<'_>, answer: Answer) -> Result<Step, Error> {
        match answer {
            Answer::Response(response) => Ok(Step::Send(response)),
            _ => Err(Error::ApiMisuse("a response is due")),
        }
    }

    fn verify(&mut self, _: &Context<'_>, _: Option<&[u8]>) -> Result<ServerProof, Error> {
        Ok(ServerProof::NotOffered)
    }
}

// One that refuses, wherever it stands.

#[test]
fn a_mechanism_may_refuse_at_every_step() {
    let refusal = |step: &str| Error::Refused(format!("not at {step}"));
    let at = |step| Refuses { step };
    assert_eq!(refused(start(Refuses::NAME, at("start")), "start"), refusal("start"));

    let (login, _) = servers_move(start(Refuses::NAME, at("challenge")).unwrap());
    assert_eq!(refused(login.challenge(b""), "challenge"), refusal("challenge"));

    let (login, _) = servers_move(start(Refuses::NAME, at("answer")).unwrap());
    let Turn::Question(login, _) = login.challenge(b"").unwrap() else { panic!("it asks") };
    assert_eq!(refused(login.answer(response("x")), "answer"), refusal("answer"));

    let (login, _) = servers_move(start(Refuses::NAME, at("verify")).unwrap());
    assert_eq!(refused(login.success(None), "verify"), refusal("verify"));
}

/// Refuses at one step, and asks at every challenge.
#[derive(Clone, Copy, Debug)]
struct Refuses {
    step: &'static str,
}

impl Refuses {
    const NAME: &str = "X-REFUSES";

    fn pass(self, step: &str) -> Result<(), Error> {
        if step == self.step { Err(Error::Refused(format!("not at {step}"))) } else { Ok(()) }
    }
}

impl Mechanism for Refuses {
    fn start(&mut self, _: &Context<'_>) -> Result<Step, Error> {
        self.pass("start").map(|()| Step::Wait)
    }

    fn challenge(&mut self, _: &Context<'_>, _: &[u8]) -> Result<Step, Error> {
        self.pass("challenge").map(|()| Later::ask(None))
    }

    fn answer(&mut self, _: &Context<'_>, _: Answer) -> Result<Step, Error> {
        self.pass("answer").map(|()| Step::Wait)
    }

    fn verify(&mut self, _: &Context<'_>, _: Option<&[u8]>) -> Result<ServerProof, Error> {
        self.pass("verify").map(|()| ServerProof::NotOffered)
    }
}

// One where the server speaks first, and proves itself.

#[test]
fn the_server_may_speak_first() {
    let (login, sent) = servers_move(start(ServerFirst::NAME, ServerFirst::default()).unwrap());
    assert!(sent.is_none(), "not even an empty message");
    let (login, sent) = servers_move(login.challenge(b"Who goes there?").unwrap());
    assert_eq!(sent.unwrap().as_bytes(), b"a friend");
    let authenticated = login.success(Some(b"advance, friend")).unwrap();
    assert_eq!(authenticated.proof(), ServerProof::Proven);
}

#[test]
fn a_server_that_does_not_know_its_part() {
    let (login, _) = servers_move(start(ServerFirst::NAME, ServerFirst::default()).unwrap());
    let error = refused(login.challenge(b"Password?"), "the wrong challenge");
    assert_eq!(error, ServerFirst::fault(PeerFault::UnexpectedChallenge));
    let (login, _) = servers_move(start(ServerFirst::NAME, ServerFirst::default()).unwrap());
    let error = refused(login.success(Some(b"advance, friend")), "success before the challenge");
    assert_eq!(error, ServerFirst::fault(PeerFault::SuccessTooSoon));
    for last in [None, Some(&b"come in"[..])] {
        let (login, _) = servers_move(start(ServerFirst::NAME, ServerFirst::default()).unwrap());
        let (login, _) = servers_move(login.challenge(b"Who goes there?").unwrap());
        let error = refused(login.success(last), last);
        assert_eq!(error, ServerFirst::fault(PeerFault::SignatureMissing));
    }
}

/// A sentry's challenge, and a countersign that proves the sentry.
#[derive(Clone, Copy, Debug, Default)]
struct ServerFirst {
    challenged: bool,
}

impl ServerFirst {
    const NAME: &str = "X-SENTRY";

    fn fault(fault: PeerFault) -> Error {
        support::fault(&Self::NAME.parse().expect("the name follows the grammar"), fault)
    }
}

impl Mechanism for ServerFirst {
    fn start(&mut self, _: &Context<'_>) -> Result<Step, Error> {
        Ok(Step::Wait)
    }

    fn challenge(&mut self, _: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        if challenge != b"Who goes there?" {
            return Err(Self::fault(PeerFault::UnexpectedChallenge));
        }
        self.challenged = true;
        Ok(Step::Send(Response::new("a friend")))
    }

    fn verify(&mut self, _: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        match last {
            _ if !self.challenged => Err(Self::fault(PeerFault::SuccessTooSoon)),
            Some(b"advance, friend") => Ok(ServerProof::Proven),
            _ => Err(Self::fault(PeerFault::SignatureMissing)),
        }
    }
}

// One that forgets a part of its contract.

#[test]
fn a_mechanism_that_asks_must_take_answers() {
    #[derive(Clone, Copy, Debug)]
    struct Forgetful;

    impl Mechanism for Forgetful {
        fn start(&mut self, _: &Context<'_>) -> Result<Step, Error> {
            Ok(Step::Ask(Question::Secret(SecretKind::Password)))
        }

        fn challenge(&mut self, _: &Context<'_>, _: &[u8]) -> Result<Step, Error> {
            Ok(Step::Wait)
        }

        fn verify(&mut self, _: &Context<'_>, _: Option<&[u8]>) -> Result<ServerProof, Error> {
            Ok(ServerProof::NotOffered)
        }
    }

    let Turn::Question(login, _) = start("X-FORGETFUL", Forgetful).unwrap() else {
        panic!("it asks");
    };
    let error = refused(login.answer(Answer::Secret(Secret::password("x"))), "an answer");
    assert_eq!(error, Error::ApiMisuse("this mechanism asked nothing"));
}

/// Begins a login by a mechanism that everybody can use.
fn start(name: &str, mechanism: impl Mechanism + Copy + Sync + 'static) -> Result<Turn, Error> {
    begin(Always { name: name.parse().unwrap(), mechanism }, Credentials::guest(Secret::None))
}

/// Begins a login by a mechanism that is the only one known and offered.
fn begin(factory: impl MechanismFactory + 'static, who: Credentials) -> Result<Turn, Error> {
    let offered = [factory.name().clone()];
    let registry = Registry::empty().with(Arc::new(factory));
    let selection = Policy::default().select(&registry, &who, &best_channel(), &offered).unwrap();
    Exchange::begin(selection, who, best_channel())
}

/// The turn must be the application's, and the question what to respond to this.
fn asked(turn: Turn, challenge: Option<&[u8]>) -> Pending {
    match turn {
        Turn::Question(login, Question::Respond(asked)) => {
            assert_eq!(&asked.mechanism, login.mechanism());
            assert_eq!(asked.data.as_ref().map(|data| data.as_slice()), challenge);
            login
        }
        other => panic!("a response is to be asked for, but {other:?}"),
    }
}

fn response(text: &str) -> Answer {
    Answer::Response(Response::new(text))
}

fn token() -> Credentials {
    Credentials::token("alice", "my-access-token")
}

fn my_mechanism() -> MechanismName {
    "X-MY-MECHANISM".parse().unwrap()
}

/// The factory of a mechanism that everybody can use.
#[derive(Debug)]
struct Always<M> {
    name: MechanismName,
    mechanism: M,
}

impl<M: Mechanism + Copy + Sync + 'static> MechanismFactory for Always<M> {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        1
    }

    fn test(&self, _: &Context<'_>) -> Result<(), Skip> {
        Ok(())
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(self.mechanism)
    }
}

/// What was called, in order.
#[derive(Clone, Debug, Default)]
struct Calls(Arc<Mutex<Vec<&'static str>>>);

impl Calls {
    fn add(&self, call: &'static str) {
        self.0.lock().unwrap().push(call);
    }

    #[track_caller]
    fn assert(&self, expected: &[&str]) {
        assert_eq!(*self.0.lock().unwrap(), expected);
    }
}
