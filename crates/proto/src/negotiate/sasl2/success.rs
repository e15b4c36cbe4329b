//! Success, and the answers to what was asked for along with the login (XEP-0388, section 2.6.1;
//! XEP-0386, section 3.2; XEP-0198, section 9). No answer to what was not asked is taken.

use super::{super::expect_bound::is_address_of, AskedBinding, Login, Proven};
use crate::{
    BoundBy, Element, Error, Jid, Status,
    action::Action,
    core::Core,
    error::{PeerFault, Wait},
    negotiate::{ExpectFeatures, Round, State, expect_bound::connected, expect_resumed},
    session::{self, Online, Said},
    xml::namespaces::{BIND2, SASL2, SM},
};

impl Login {
    /// The mechanism is satisfied; what else does the server say?
    pub(crate) fn succeeded(
        self: Box<Self>,
        core: &mut Core,
        proven: Proven,
        success: &Element,
    ) -> Result<State, Error> {
        let jid = authorized(core.settings().jid(), success).map_err(Error::PeerMisbehaved)?;
        self.settle_tokens(core, success);
        core.remember(self.offer.clone());
        let fault = |fault| Err(Error::PeerMisbehaved(fault));
        match (success.child("resumed", SM), success.child("bound", BIND2), self.asked.bind) {
            (Some(_), Some(_), _) => fault(PeerFault::BoundAndResumed),
            (Some(_), ..) if !self.asked.resume => fault(PeerFault::NotAsked("resumed")),
            (Some(resumed), ..) => match Said::parse(resumed) {
                Some(Said::Resumed { id, handled }) => {
                    expect_resumed::resumed_within_login(core, &proven, &id, handled)
                }
                _ => Err(Error::unexpected(resumed, Wait::Resumed)),
            },
            (None, Some(_), None) => fault(PeerFault::NotAsked("bound")),
            (None, None, Some(_)) => fault(PeerFault::NotBound),
            (None, bound, asked) => {
                self.not_resumed(core, success)?;
                let round = match (bound, asked) {
                    (Some(bound), Some(asked)) => {
                        Round::Bound(Box::new(Bound::begin(core, proven, jid, bound, asked)?))
                    }
                    _ => Round::Bind(proven),
                };
                Ok(State::Features(ExpectFeatures { round }))
            }
        }
    }

    /// The session that could have been resumed is over; perhaps the server says how far it came.
    fn not_resumed(&self, core: &mut Core, success: &Element) -> Result<(), Error> {
        match success.child("failed", SM).map(|failed| (failed, Said::parse(failed))) {
            _ if !self.asked.resume => return Ok(()),
            Some((_, Some(Said::Failed(Some(handled))))) => session::acknowledged(core, handled)?,
            Some((failed, None)) => return Err(Error::unexpected(failed, Wait::Resumed)),
            _ => {}
        }
        core.session.stream = None;
        Ok(())
    }
}

/// A resource was bound within the login. The features that follow say what else there is.
pub(crate) struct Bound {
    login: Proven,
    jid: Jid,
    asked: AskedBinding,
    /// Whether the server counts, if it was asked.
    counts: Option<bool>,
}

impl Bound {
    /// The count begins here, where the server enables it (XEP-0198, section 9.1).
    fn begin(
        core: &mut Core,
        login: Proven,
        jid: Jid,
        bound: &Element,
        asked: AskedBinding,
    ) -> Result<Self, Error> {
        if jid.resource().is_none() {
            return Err(Error::PeerMisbehaved(PeerFault::BoundWithoutResource));
        }
        let said = enabled(bound, asked)?;
        session::begin_anew(core);
        core.session.inbound.begin_count();
        core.session.jid = Some(jid.clone());
        let counts = said.map(|said| match said {
            Said::Enabled(stream) => {
                core.session.stream = stream;
                core.touch();
                true
            }
            _ => false,
        });
        Ok(Self { login, jid, asked, counts })
    }

    pub(crate) fn begin_session(self, core: &mut Core) -> State {
        let Self { login, jid, asked, counts } = self;
        let connected = connected(core, &login, jid, BoundBy::Login);
        let connected = crate::Connected { carbons: asked.carbons, ..connected };
        core.push(Action::Report(Status::Connected(connected)));
        State::Online(Online::bound(core, counts, asked.inactive))
    }
}

/// What the server says of the stream management that was asked for.
fn enabled(bound: &Element, asked: AskedBinding) -> Result<Option<Said>, Error> {
    let mut answers = bound.children().filter(|child| child.namespace() == SM);
    match (answers.next(), asked.enable) {
        (None, false) => Ok(None),
        (None, true) => Err(Error::PeerMisbehaved(PeerFault::EnableUnanswered)),
        (Some(_), false) => Err(Error::PeerMisbehaved(PeerFault::NotAsked("enabled"))),
        (Some(answer), true) => match Said::parse(answer) {
            Some(said @ (Said::Enabled(_) | Said::Failed(_))) => Ok(Some(said)),
            _ => Err(Error::unexpected(answer, Wait::Enabled)),
        },
    }
}

/// As whom the server has logged us in: it must be the account, or for a guest somebody of the
/// domain.
fn authorized(account: &Jid, success: &Element) -> Result<Jid, PeerFault> {
    let text = success.child("authorization-identifier", SASL2).map(Element::text);
    let text = text.unwrap_or_default();
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    if text.is_empty() {
        return Err(PeerFault::SuccessWithoutJid);
    }
    let jid: Jid = text.parse().map_err(PeerFault::SuccessJidInvalid)?;
    if !is_address_of(account, &jid) {
        let account = account.bare().to_string();
        return Err(PeerFault::SuccessAsAnother { found: jid.to_string(), account });
    }
    Ok(jid)
}
