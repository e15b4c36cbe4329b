//! Waiting for the server's features: the choice of a mechanism, and later the binding.

use epode_sasl::{self as sasl, Authenticated, Binding, Encryption, Exchange, Offer};

use super::{
    Candidate, ExpectClose, ExpectResumed, Round, State,
    expect_resumed::{self, BindOffer},
    expect_sasl_reply, expect_secured,
};
use crate::{
    Element, Error, Explanation, Status, action::Action, core::Core, error::PeerFault,
    status::Authenticating, stream::Features,
};

pub(crate) struct ExpectFeatures {
    pub(crate) round: Round,
}

impl ExpectFeatures {
    pub(crate) fn handle(self, core: &mut Core, element: Element) -> Result<State, Error> {
        let features = Features::parse(element)
            .map_err(|error| Error::PeerMisbehaved(PeerFault::Features(error)))?;
        let next = match self.round {
            Round::Bind(login) => {
                let offered = BindOffer::of(&features);
                core.set_features(features.element);
                return begin_session(core, login, offered);
            }
            Round::Login(candidate) if candidate.must_secure => {
                let goes_on = !features.starttls && core.settings().unencrypted_allowed;
                if goes_on {
                    begin_login(core, *candidate, &features)
                } else {
                    expect_secured::secure(core, *candidate, &features)
                }
            }
            Round::Login(candidate) => begin_login(core, *candidate, &features),
        };
        core.set_features(features.element);
        next
    }
}

fn begin_login(core: &mut Core, candidate: Candidate, features: &Features) -> Result<State, Error> {
    let Candidate { channel, credentials, .. } = candidate;
    let mut offer = Offer::new(&features.mechanisms);
    if let Some(types) = &features.channel_bindings {
        offer = offer.with_channel_bindings(types);
    }
    let settings = core.settings();
    let selected = settings.policy.select(&settings.registry, &credentials, &channel, offer);
    if settings.explain_only {
        let weaker = selected.as_ref().ok();
        let weaker = weaker.and_then(|choice| settings.check_pin(choice, &credentials).err());
        let explanation = Explanation {
            offered: features.mechanisms.clone(),
            offered_bindings: features.channel_bindings.clone(),
            features: features.element.clone(),
            features_before_tls: core.features().cloned(),
            encryption: Encryption::of(&channel),
            bindings: channel.bindings().iter().map(Binding::kind).collect(),
            choice: selected.map(|selection| Authenticating::describe(&selection)),
            weaker,
        };
        core.push(Action::Explain(Box::new(explanation)));
        core.close_stream();
        return Ok(State::Close(ExpectClose::asked_for()));
    }
    let selection = selected.map_err(|none| Error::Login(sasl::Error::NoMechanism(none)))?;
    settings.check_pin(&selection, &credentials)?;
    core.push(Action::Report(Status::Authenticating(Authenticating::describe(&selection))));
    let turn = Exchange::begin(selection, credentials, channel)?;
    Ok(expect_sasl_reply::take_turn(core, turn, expect_sasl_reply::Move::Auth))
}

/// Logged in: goes on with an earlier session, if there is one and the server offers to, or binds a
/// resource.
fn begin_session(
    core: &mut Core,
    login: Authenticated,
    offered: BindOffer,
) -> Result<State, Error> {
    if core.resume() {
        return Ok(State::Resumed(ExpectResumed { login, offered }));
    }
    expect_resumed::bind(core, login, offered)
}
