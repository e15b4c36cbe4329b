//! The choice of profile and mechanism, and the first step of the login.

use epode_sasl::{Binding, Credentials, Encryption, Exchange, Selection};

use super::{
    Candidate, ExpectClose, State,
    offer::{Choices, LoginOffer},
    sasl2,
    turn::{Move, Via, take_turn},
};
use crate::{
    Error, Explanation, Profile, Status, action::Action, core::Core, status::Authenticating,
    stream::Features,
};

/// Logs in by what the features offer, or tells what would be done.
pub(crate) fn begin_login(
    core: &mut Core,
    candidate: Box<Candidate>,
    features: &Features,
) -> Result<State, Error> {
    let offer = LoginOffer::of(features);
    let Candidate { channel, credentials, .. } = candidate.as_ref();
    let settings = core.settings();
    let explain_only = settings.explain_only;
    if explain_only || settings.wants_report {
        let choices = offer.choices(core.settings(), credentials, channel);
        let explanation = Box::new(explain(core, &candidate, features, choices)?);
        if explain_only {
            core.push(Action::Explain(explanation));
            core.close_stream();
            return Ok(State::Close(ExpectClose::asked_for()));
        }
        core.record(|report| report.explanation = Some(explanation));
    }
    begin_by(core, candidate, offer)
}

/// Logs in by what is offered: by a token, if there is one, or in full.
pub(crate) fn begin_by(
    core: &mut Core,
    candidate: Box<Candidate>,
    offer: LoginOffer,
) -> Result<State, Error> {
    match sasl2::attempt(core, candidate, &offer) {
        Ok((login, credentials, selection)) => {
            begin(core, credentials, selection, Via::Sasl2(Box::new(login)))
        }
        Err(candidate) => begin_full(core, candidate, offer),
    }
}

/// Logs in by what the account's owner knows or has, not by a token.
pub(crate) fn begin_full(
    core: &mut Core,
    candidate: Box<Candidate>,
    offer: LoginOffer,
) -> Result<State, Error> {
    let Candidate { channel, credentials, .. } = candidate.as_ref();
    let (profile, selection) = offer.choices(core.settings(), credentials, channel).best()?;
    core.settings().check_pin(&selection, credentials)?;
    let via = match profile {
        Profile::Sasl1 => Via::Sasl1,
        Profile::Sasl2 => {
            let login = sasl2::Login::full(core, &candidate, offer, &selection);
            Via::Sasl2(Box::new(login))
        }
    };
    begin(core, candidate.credentials, selection, via)
}

fn begin(
    core: &mut Core,
    credentials: Credentials,
    selection: Selection,
    via: Via,
) -> Result<State, Error> {
    core.profile = via.profile();
    let choice = Authenticating::describe(via.profile(), &selection);
    core.push(Action::Report(Status::Authenticating(choice)));
    let channel = selection.channel().clone();
    let turn = Exchange::begin(selection, credentials, channel)?;
    Ok(take_turn(core, turn, Move::Begin, via))
}

fn explain(
    core: &Core,
    candidate: &Candidate,
    features: &Features,
    choices: Choices,
) -> Result<Explanation, Error> {
    let Candidate { channel, credentials, .. } = candidate;
    let (profile, choice, other) = choices.ranked().ok_or(Error::Sasl2NotOffered)?;
    let weaker = choice.as_ref().ok();
    let weaker = weaker.and_then(|choice| core.settings().check_pin(choice, credentials).err());
    let other_profile = match profile {
        Profile::Sasl1 => Profile::Sasl2,
        Profile::Sasl2 => Profile::Sasl1,
    };
    Ok(Explanation {
        offered: features.mechanisms.clone(),
        sasl2: features.sasl2.clone(),
        offered_bindings: features.channel_bindings.clone(),
        features: features.element.clone(),
        features_before_tls: core.features().cloned(),
        encryption: Encryption::of(channel),
        bindings: channel.bindings().iter().map(Binding::kind).collect(),
        choice: choice.map(|choice| Authenticating::describe(profile, &choice)),
        other_choice: other
            .map(|other| other.map(|choice| Authenticating::describe(other_profile, &choice))),
        is_pinned: core.settings().pin.is_some(),
        weaker,
    })
}
