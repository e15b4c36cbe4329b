//! The client's side of a SCRAM login, as states that hand over to each other.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use super::{
    derivation::Derivation,
    expectations::{ExpectServerFinal, ExpectServerFirst, Refusal, Terms},
    hash::Hash,
    keys::ScramKeys,
};
use crate::{
    Answer, Binding, BindingType, Context, Encryption, Error, Mechanism, MechanismFactory,
    MechanismName, PeerFault, Question, Rejection, Response, ServerProof, Step,
    error::is_of_binding,
    mechanisms::{escape, gs2_header, untested},
    saslprep,
    secret::{Secret, SecretKind},
    selection::Skip,
};

/// SCRAM with one of the four hashes, bound to the channel or not: needs a user name and a
/// password, or keys of the same hash.
#[derive(Clone, Debug)]
pub struct Scram {
    hash: Hash,
    name: MechanismName,
    plus: bool,
    nonce: Option<String>,
}

impl Scram {
    /// SCRAM with this hash, not bound to the channel; priorities 72, 71, 70 and 60.
    #[must_use]
    pub fn new(hash: Hash) -> Self {
        Self { hash, name: hash.mechanism(), plus: false, nonce: None }
    }

    /// SCRAM with this hash, bound to the channel (`-PLUS`); priorities 82, 81, 80 and 75.
    #[must_use]
    pub fn plus(hash: Hash) -> Self {
        Self { hash, name: hash.plus_mechanism(), plus: true, nonce: None }
    }

    /// Replaces the random nonce, for tests against published messages. Real logins with a nonce
    /// that an attacker can foresee are open to replay.
    #[must_use]
    pub fn danger_with_fixed_nonce(mut self, nonce: impl Into<String>) -> Self {
        self.nonce = Some(nonce.into());
        self
    }
}

impl MechanismFactory for Scram {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        match (self.plus, self.hash) {
            (true, Hash::Sha512) => 82,
            (true, Hash::Sha384) => 81,
            (true, Hash::Sha256) => 80,
            (true, Hash::Sha1) => 75,
            (false, Hash::Sha512) => 72,
            (false, Hash::Sha384) => 71,
            (false, Hash::Sha256) => 70,
            (false, Hash::Sha1) => 60,
        }
    }

    fn binding(&self, cx: &Context<'_>) -> Option<BindingType> {
        self.plus.then(|| binding(cx).ok().map(Binding::kind))?
    }

    fn exposes_secret(&self) -> bool {
        false
    }

    fn test(&self, cx: &Context<'_>) -> Result<(), Skip> {
        if cx.credentials.authcid().is_none() {
            return Err(Skip::NeedsUserName);
        }
        if self.plus {
            binding(cx)?;
        }
        match cx.credentials.secret() {
            Secret::Password(_) | Secret::Ask(SecretKind::Password) => Ok(()),
            Secret::Keys(keys) if cx.credentials.keys_serve(keys, self.hash) => Ok(()),
            Secret::Keys(keys) => Err(Skip::KeysOfAnotherHash(keys.hash())),
            _ => Err(Skip::NeedsSecret(SecretKind::Password)),
        }
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        Box::new(Login { scram: self.clone(), state: State::Unstarted })
    }
}

#[derive(Debug)]
struct Login {
    scram: Scram,
    state: State,
}

/// What the login waits for. A step takes the state out and puts the next one in, so that an
/// error leaves `Over` behind.
enum State {
    Unstarted,
    ServerFirst(ExpectServerFirst),
    Password(ExpectPassword),
    Keys(ExpectKeys),
    ServerFinal(ExpectServerFinal),
    /// The server's signature came in a challenge and was right.
    Success(ScramKeys),
    /// The server refused the channel binding, in a challenge; what is left to come is its
    /// failure, after which the login may begin anew.
    BindingRefused(String),
    Authenticated(ScramKeys),
    Over,
}

struct ExpectPassword {
    terms: Terms,
    because_keys_are_stale: bool,
}

struct ExpectKeys {
    terms: Terms,
}

impl Mechanism for Login {
    fn start(&mut self, cx: &Context<'_>) -> Result<Step, Error> {
        let authcid = cx.credentials.authcid().unwrap_or_default();
        let user_name = saslprep::prepare(authcid).map_err(Error::UserName)?;
        if let Secret::Password(password) = cx.credentials.secret() {
            saslprep::prepare(password).map_err(Error::Password)?; // before anything is sent
        }
        if cx.credentials.authzid().is_some_and(|authzid| authzid.contains('\0')) {
            return Err(Error::Unsendable("authorization identity"));
        }
        let nonce = self.scram.nonce.clone().map_or_else(random_nonce, Ok)?;
        let bound_to = if self.scram.plus { Some(binding(cx).map_err(untested)?) } else { None };
        let flag = bound_to.map_or_else(|| Flag::unbound(cx), |it| Flag::Bound(it.kind()));
        let data = bound_to.map_or(&[][..], Binding::data);
        let gs2_header = gs2_header(&flag.to_string(), cx.credentials.authzid());
        let client_first_bare = format!("n={},r={nonce}", escape(&user_name));
        let message = format!("{gs2_header}{client_first_bare}");
        let mut binding = Zeroizing::new(Vec::with_capacity(gs2_header.len() + data.len()));
        binding.extend_from_slice(gs2_header.as_bytes());
        binding.extend_from_slice(data);
        self.state = State::ServerFirst(ExpectServerFirst {
            nonce,
            binding,
            client_first_bare,
            downgrade_hash: cx.offer.downgrade_hash(self.scram.hash),
            must_sign_lists: flag == Flag::NoneInCommon,
            encryption: Encryption::of(cx.channel),
        });
        Ok(Step::Send(Response::new(message)))
    }

    fn challenge(&mut self, cx: &Context<'_>, challenge: &[u8]) -> Result<Step, Error> {
        match self.take_state() {
            State::ServerFirst(state) => match state.accept(cx.limits, challenge) {
                Ok(terms) => self.find_keys(cx, terms),
                Err(refusal) => self.refused_in_challenge(refusal),
            },
            State::ServerFinal(state) => match state.accept(challenge) {
                Ok(keys) => {
                    self.state = State::Success(keys);
                    Ok(Step::Send(Response::new([])))
                }
                Err(refusal) => self.refused_in_challenge(refusal),
            },
            _ => Err(self.fault(PeerFault::UnexpectedChallenge)),
        }
    }

    fn answer(&mut self, _: &Context<'_>, answer: Answer) -> Result<Step, Error> {
        match (self.take_state(), answer) {
            (State::Password(state), Answer::Secret(Secret::Password(password))) => {
                self.derive(&password, state.terms)
            }
            (State::Keys(state), Answer::Keys(keys)) => {
                if !keys.fit(self.scram.hash, &state.terms.salt, state.terms.iterations) {
                    return Err(Error::ApiMisuse("the keys are those of another derivation"));
                }
                Ok(self.prove(&state.terms, keys))
            }
            _ => Err(Error::WRONG_ANSWER),
        }
    }

    fn refused(&mut self, why: &str) -> Error {
        match self.take_state() {
            State::Password(ExpectPassword { terms, because_keys_are_stale: true }) => {
                Error::StaleKeys { iterations: terms.iterations }
            }
            State::Password(_) => Error::no_answer(SecretKind::Password, why),
            _ => Error::Refused(why.to_owned()),
        }
    }

    fn verify(&mut self, _: &Context<'_>, last: Option<&[u8]>) -> Result<ServerProof, Error> {
        let keys = match (self.take_state(), last) {
            (State::ServerFinal(_), None | Some([])) => {
                return Err(self.fault(PeerFault::SignatureMissing));
            }
            (State::ServerFinal(state), Some(last)) => {
                state.accept(last).map_err(|no| self.error(no))?
            }
            (State::Success(keys), None | Some([])) => keys,
            (State::Success(_), Some(_)) => {
                return Err(self.fault(PeerFault::UnexpectedSuccessData));
            }
            (State::BindingRefused(_), _) => {
                return Err(self.fault(PeerFault::SuccessAfterFailure));
            }
            _ => return Err(self.fault(PeerFault::SuccessTooSoon)),
        };
        self.state = State::Authenticated(keys);
        Ok(ServerProof::Proven)
    }

    /// What the challenge said is more exact than the failure that follows it.
    fn failed(&mut self, mut rejection: Rejection) -> Rejection {
        if let State::BindingRefused(condition) = self.take_state() {
            rejection.condition = condition;
        }
        rejection
    }

    fn take_keys(&mut self) -> Option<ScramKeys> {
        match self.take_state() {
            State::Authenticated(keys) => Some(keys),
            _ => None,
        }
    }
}

impl Login {
    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Over)
    }

    fn find_keys(&mut self, cx: &Context<'_>, terms: Terms) -> Result<Step, Error> {
        let because_keys_are_stale =
            match (cx.credentials.secret(), cx.credentials.password_of_keys()) {
                (Secret::Password(password), _) => return self.derive(password, terms),
                (Secret::Keys(keys), _)
                    if keys.fit(self.scram.hash, &terms.salt, terms.iterations) =>
                {
                    return Ok(self.prove(&terms, keys.clone()));
                }
                (Secret::Keys(_), Some(password)) => return self.derive(password, terms),
                (Secret::Keys(_), None) if !cx.credentials.may_ask() => {
                    return Err(Error::StaleKeys { iterations: terms.iterations });
                }
                (Secret::Keys(_), None) => true,
                _ => false,
            };
        self.state = State::Password(ExpectPassword { terms, because_keys_are_stale });
        Ok(Step::Ask(Question::Secret(SecretKind::Password)))
    }

    fn derive(&mut self, password: &str, terms: Terms) -> Result<Step, Error> {
        let (salt, iterations) = (terms.salt.clone(), terms.iterations);
        let derivation = Derivation::prepared(self.scram.hash, password, salt, iterations);
        let derivation = derivation.map_err(Error::Password)?;
        self.state = State::Keys(ExpectKeys { terms });
        Ok(Step::Ask(Question::Derive(derivation)))
    }

    fn prove(&mut self, terms: &Terms, keys: ScramKeys) -> Step {
        let auth_message = terms.auth_message.as_bytes();
        let proof = Base64::encode_string(&keys.client_proof(auth_message));
        let signature = keys.server_signature(auth_message);
        self.state = State::ServerFinal(ExpectServerFinal { signature, keys });
        Step::Send(Response::new(format!("{},p={proof}", terms.client_final_without_proof)))
    }

    /// `e=` in a challenge. Where it means the channel binding, the login is let come to its
    /// regular end, so that another can follow on the same stream.
    fn refused_in_challenge(&mut self, refusal: Refusal) -> Result<Step, Error> {
        match refusal {
            Refusal::ServerError(condition) if self.scram.plus && is_of_binding(&condition) => {
                self.state = State::BindingRefused(condition);
                Ok(Step::Send(Response::new([])))
            }
            refusal => Err(self.error(refusal)),
        }
    }

    fn fault(&self, fault: PeerFault) -> Error {
        Error::PeerMisbehaved { mechanism: self.scram.name.clone(), fault }
    }

    fn error(&self, refusal: Refusal) -> Error {
        match refusal {
            Refusal::Fault(fault) => self.fault(fault),
            Refusal::ServerError(condition) => Error::Rejected(Box::new(Rejection::new(condition))),
        }
    }
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unstarted => "Unstarted",
            Self::ServerFirst(_) => "ServerFirst",
            Self::Password(_) => "Password",
            Self::Keys(_) => "Keys",
            Self::ServerFinal(_) => "ServerFinal",
            Self::Success(_) => "Success",
            Self::BindingRefused(_) => "BindingRefused",
            Self::Authenticated(_) => "Authenticated",
            Self::Over => "Over",
        })
    }
}

/// What we say of channel binding in the GS2 header (RFC 5802, section 6; XEP-0440, section 3).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    /// `p`: bound.
    Bound(BindingType),
    /// `y`: we could, and as far as we see the server cannot. One that can will refuse.
    ServerCannot,
    /// `n`: we cannot, or the server does not say how it could, or cannot where it stands.
    Unable,
    /// `n`: the server lists other types than ours only. One that every server must have is
    /// missing from the list, which is suspicious unless the server signs its lists.
    NoneInCommon,
}

impl Flag {
    fn unbound(cx: &Context<'_>) -> Self {
        if cx.channel.bindings().is_empty() {
            return Self::Unable;
        }
        match (cx.offer.has_plus(), cx.offer.channel_bindings()) {
            (false, None) if !cx.channel.is_over_http() => Self::ServerCannot,
            (true, Some(_))
                if binding(cx).is_err() && !cx.offer.lists(BindingType::TlsServerEndPoint) =>
            {
                Self::NoneInCommon
            }
            _ => Self::Unable,
        }
    }
}

impl std::fmt::Display for Flag {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bound(kind) => write!(f, "p={kind}"),
            Self::ServerCannot => f.write_str("y"),
            Self::Unable | Self::NoneInCommon => f.write_str("n"),
        }
    }
}

/// The strongest binding that the channel has, the server lists, and has not refused. A server
/// that lists none is not guessed at: `docs/decisions/0013-which-binding-is-tried.md`.
fn binding<'a>(cx: &Context<'a>) -> Result<&'a Binding, Skip> {
    let bindings = cx.channel.bindings();
    if bindings.is_empty() {
        return Err(Skip::NothingToBindTo);
    }
    if cx.offer.channel_bindings().is_none() {
        return Err(Skip::BindingsNotListed);
    }
    let is_open = |kind| cx.offer.lists(kind) && !cx.refused.contains(&kind);
    let usable = bindings.iter().find(|binding| is_open(binding.kind()));
    usable.ok_or(Skip::NoCommonBinding)
}

/// 24 random bytes, as 32 characters of base64, which has no comma.
fn random_nonce() -> Result<String, Error> {
    let mut bytes = [0; 24];
    getrandom::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(Base64::encode_string(&bytes))
}
