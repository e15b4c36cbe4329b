//! Waiting for the server to go on with a session whose connection was lost (XEP-0198, section 5).
//! Where it does not, a resource is bound as ever.

use epode_sasl::Authenticated;

use super::{ExpectBindCall, State, expect_bound};
use crate::{
    BoundBy, Element, Error, Status,
    action::Action,
    core::Core,
    error::{PeerFault, Wait},
    session::{self, Online, Said},
    stream::Features,
};

pub(crate) struct ExpectResumed {
    pub(crate) login: Authenticated,
    pub(crate) offered: BindOffer,
}

/// What the features after the login say of binding.
#[derive(Clone, Copy)]
pub(crate) struct BindOffer {
    bind: bool,
    /// The session request of RFC 3921 is demanded.
    session: bool,
}

impl BindOffer {
    pub(crate) fn of(features: &Features) -> Self {
        // Where the session request is optional, nobody needs it.
        let session = features.session.is_some_and(|session| !session.optional);
        Self { bind: features.bind, session }
    }
}

impl ExpectResumed {
    pub(crate) fn handle(self, core: &mut Core, element: &Element) -> Result<State, Error> {
        match Said::parse(element) {
            Some(Said::Resumed { id, handled }) => {
                let session = resumed(core, &self.login, &id, handled)?;
                Ok(State::Online(session))
            }
            Some(Said::Failed(handled)) => {
                if let Some(handled) = handled {
                    session::acknowledged(core, handled)?;
                }
                bind(core, self.login, self.offered)
            }
            _ => Err(Error::unexpected(element, Wait::Resumed)),
        }
    }
}

/// The session goes on, within the login (XEP-0198, section 9.2). No features need follow; servers
/// exist that send them.
pub(crate) fn resumed_within_login(
    core: &mut Core,
    login: &Authenticated,
    id: &str,
    handled: u32,
) -> Result<State, Error> {
    let session = resumed(core, login, id, handled)?;
    Ok(State::Online(session.with_features_to_come()))
}

fn resumed(
    core: &mut Core,
    login: &Authenticated,
    id: &str,
    handled: u32,
) -> Result<Online, Error> {
    let is_ours = core.session.stream.as_ref().is_some_and(|stream| stream.id == id);
    let jid = core.session.jid.clone().filter(|_| is_ours);
    let jid = jid.ok_or(Error::PeerMisbehaved(PeerFault::ResumedAnother))?;
    session::acknowledged(core, handled)?;
    core.touch();
    let connected = expect_bound::connected(core, login, jid, BoundBy::Resumption);
    core.push(Action::Report(Status::Connected(connected)));
    Ok(Online::resumed(core))
}

/// Binds a resource, at once or when the application calls for it.
pub(crate) fn bind(
    core: &mut Core,
    login: Authenticated,
    offered: BindOffer,
) -> Result<State, Error> {
    if !offered.bind {
        return Err(Error::PeerMisbehaved(PeerFault::BindNotOffered));
    }
    session::begin_anew(core);
    let session = offered.session;
    if core.settings().explicit_binding {
        core.push(Action::Report(Status::BindRequired));
        return Ok(State::BindCall(ExpectBindCall { login, session }));
    }
    Ok(expect_bound::bind(core, login, session))
}
