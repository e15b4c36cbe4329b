//! The login that begins along with the stream, by what is remembered of the server (XEP-0509).
//! Where the server offers something else now, nothing comes of it.

use epode_sasl::{Credentials, Exchange, Selection, Turn};

use super::{Login, Pipelined, attempt, fast::give_back};
use crate::{
    Error, Profile, Status,
    action::Action,
    core::Core,
    negotiate::{
        Candidate, ExpectHeader, ExpectSaslReply, Round, State,
        begin_login::begin_by,
        offer::LoginOffer,
        turn::{Move, Via, take_turn},
    },
    status::Authenticating,
    stream::SaslFailure,
    xml::namespaces::IAP,
};

/// Opens the stream, and the login with it if that may be.
pub(crate) fn open(core: &mut Core, candidate: Box<Candidate>) -> Result<State, Error> {
    core.open_stream();
    let may = candidate.channel.is_encrypted() && !candidate.must_secure;
    let prepared = match may.then(|| core.take_memory()).flatten() {
        Some(memory) => prepare(core, candidate, memory.into_offer()),
        None => Err(candidate),
    };
    let candidate = match prepared {
        Ok((login, credentials, selection)) => match begin(core, login, credentials, selection)? {
            Ok(reply) => {
                return Ok(State::Header(ExpectHeader { round: Round::Pipelined(reply) }));
            }
            Err(candidate) => candidate,
        },
        Err(candidate) => candidate,
    };
    Ok(State::Header(ExpectHeader { round: Round::Login(candidate) }))
}

/// The login that would be made: by SASL2, and by nothing that shows the secret to a server that
/// has said nothing yet.
fn prepare(
    core: &mut Core,
    candidate: Box<Candidate>,
    offer: LoginOffer,
) -> Result<(Login, Credentials, Selection), Box<Candidate>> {
    let candidate = match attempt(core, candidate, &offer) {
        Ok(by_token) => return Ok(by_token),
        Err(candidate) => candidate,
    };
    let (settings, credentials) = (core.settings(), &candidate.credentials);
    let best = offer.choices(settings, credentials, &candidate.channel).best();
    let usable = best.ok().filter(|(profile, selection)| {
        *profile == Profile::Sasl2
            && !selection.exposes_secret()
            && settings.check_pin(selection, credentials).is_ok()
    });
    let Some((_, selection)) = usable else { return Err(candidate) };
    let login = Login::full(core, &candidate, offer, &selection);
    Ok((login, candidate.credentials, selection))
}

/// Sends what the mechanism says first. One that has a question first waits for the server.
fn begin(
    core: &mut Core,
    login: Login,
    credentials: Credentials,
    selection: Selection,
) -> Result<Result<Box<ExpectSaslReply>, Box<Candidate>>, Error> {
    let choice = Authenticating::describe(Profile::Sasl2, &selection);
    let channel = selection.channel().clone();
    let turn = match Exchange::begin(selection, credentials, channel)? {
        Turn::Question(pending, _) => {
            let (credentials, channel) = pending.abandon();
            return Ok(Err(Box::new(Candidate { channel, credentials, must_secure: false })));
        }
        turn @ Turn::Server(..) => turn,
    };
    Ok(Ok(send(core, login, choice, turn)))
}

/// Begins a login that is made by what is remembered of the server.
pub(super) fn send(
    core: &mut Core,
    mut login: Login,
    choice: Authenticating,
    turn: Turn,
) -> Box<ExpectSaslReply> {
    core.profile = Profile::Sasl2;
    core.push(Action::Report(Status::Authenticating(choice)));
    login.pipelined = Pipelined::Yes;
    match take_turn(core, turn, Move::Begin, Via::Sasl2(Box::new(login))) {
        State::SaslReply(reply) => reply,
        _ => unreachable!("it is the server's turn"),
    }
}

impl Login {
    /// The server says what it offers. What differs from what is remembered ends the login, unless
    /// the server was told what it was made by, and can refuse it without prejudice.
    pub(crate) fn compare(&mut self, found: LoginOffer) -> Result<(), Error> {
        if self.offer.is_same(&found) {
            self.offer = found;
            return Ok(());
        }
        let (was, is) = (&self.offer.config_version, &found.config_version);
        if was.is_none() || is.is_none() || was == is {
            return Err(Error::ServerChanged);
        }
        self.pipelined = Pipelined::Superseded(Box::new(found));
        Ok(())
    }

    pub(crate) fn is_superseded(&self) -> bool {
        matches!(self.pipelined, Pipelined::Superseded(_))
    }

    /// Whether the server refuses what is remembered of it, and not the login.
    pub(crate) fn is_mismatch(&self, failure: &SaslFailure) -> bool {
        let condition = failure.application.as_ref();
        self.pipelined != Pipelined::No
            && condition
                .is_some_and(|it| it.name == "config-version-mismatch" && it.namespace == IAP)
    }

    /// Begins anew on the same stream, by what the server offers. A token was not looked at, so that
    /// it is sent once more as it was (XEP-0509, section 3.3); but not one that went in early data, which
    /// somebody may still deliver to a server of the same domain that has not changed.
    pub(crate) fn begin_anew(
        self: Box<Self>,
        core: &mut Core,
        exchange: Exchange,
    ) -> Result<State, Error> {
        let offer = match self.pipelined {
            Pipelined::Superseded(offer) => *offer,
            _ => self.offer,
        };
        let (credentials, channel) = exchange.abandon();
        if channel.is_early() {
            return Err(Error::ServerChanged);
        }
        let candidate = match self.attempt {
            Some(attempt) => {
                give_back(core, &credentials, attempt.expiry, attempt.count);
                attempt.full
            }
            None => Box::new(Candidate { channel, credentials, must_secure: false }),
        };
        begin_by(core, candidate, offer)
    }
}
