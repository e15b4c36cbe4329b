//! Waiting for the server's features: they lead to the login, and later to the binding.

use epode_sasl::Authenticated;

use super::{
    ExpectResumed, Round, State,
    begin_login::begin_login,
    expect_resumed::{self, BindOffer},
    expect_secured,
    offer::LoginOffer,
    turn::Via,
};
use crate::{Element, Error, core::Core, error::PeerFault, stream::Features};

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
            Round::Bound(bound) => {
                core.set_features(features.element);
                return Ok(bound.begin_session(core));
            }
            Round::Pipelined(mut reply) => {
                if let Via::Sasl2(login) = &mut reply.via {
                    login.compare(LoginOffer::of(&features))?;
                }
                Ok(State::SaslReply(*reply))
            }
            Round::Login(candidate) if candidate.must_secure => {
                let goes_on = !features.starttls && core.settings().unencrypted_allowed;
                if goes_on {
                    begin_login(core, candidate, &features)
                } else {
                    expect_secured::secure(core, *candidate, &features)
                }
            }
            Round::Login(candidate) => begin_login(core, candidate, &features),
        };
        core.set_features(features.element);
        next
    }
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
