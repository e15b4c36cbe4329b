//! Waiting for the stream to be encrypted: for the server's consent (STARTTLS; RFC 6120, section 5),
//! then for the TLS handshake, along with which a login may go (XEP-0484, section 3.4).

use epode_sasl::{Channel, Credentials};

use super::{Candidate, State, sasl2};
use crate::{
    Element, Error,
    action::Action,
    core::Core,
    error::{PeerFault, Wait},
    stream::Features,
    xml::namespaces::TLS,
};

/// Asks for encryption, or says why not: an offer that is missing may have been removed on the
/// way, so it is never a reason to go on without.
pub(crate) fn secure(
    core: &mut Core,
    candidate: Candidate,
    features: &Features,
) -> Result<State, Error> {
    if !features.starttls {
        return Err(Error::PeerMisbehaved(PeerFault::StartTlsNotOffered));
    }
    core.send(&Element::new("starttls", TLS));
    Ok(State::Proceed(ExpectProceed { credentials: candidate.credentials }))
}

pub(crate) struct ExpectProceed {
    credentials: Credentials,
}

impl ExpectProceed {
    pub(crate) fn handle(self, core: &mut Core, element: &Element) -> Result<State, Error> {
        if element.is("proceed", TLS) {
            core.nothing_follows().map_err(|error| Error::PeerMisbehaved(error.into()))?;
            core.push(Action::Secure);
            return Ok(State::Secured(ExpectSecured { said: Said::Nothing(self.credentials) }));
        }
        if element.is("failure", TLS) {
            return Err(Error::PeerMisbehaved(PeerFault::StartTlsRefused));
        }
        Err(Error::unexpected(element, Wait::Proceed))
    }
}

pub(crate) struct ExpectSecured {
    said: Said,
}

/// What may count of what was said before the handshake.
enum Said {
    Nothing(Credentials),
    Login(sasl2::EarlyLogin),
}

impl ExpectSecured {
    /// Begins the login if it may go along with the handshake.
    pub(crate) fn begin_early(core: &mut Core, candidate: Box<Candidate>) -> State {
        let said = match sasl2::EarlyLogin::begin(core, candidate) {
            Ok(login) => Said::Login(login),
            Err(candidate) => Said::Nothing(candidate.credentials),
        };
        core.push(Action::Secure);
        State::Secured(Self { said })
    }

    /// Whether a login went along with the handshake.
    pub(crate) fn is_early(&self) -> bool {
        matches!(self.said, Said::Login(_))
    }

    /// The handshake is done, and the server has the login.
    pub(crate) fn secured_early(self, core: &mut Core, channel: Channel) -> Result<State, Error> {
        match self.said {
            Said::Login(login) => {
                core.forget_flights();
                Ok(login.taken(core, channel))
            }
            said => Self { said }.secured(core, channel),
        }
    }

    /// What was said before the handshake is forgotten: anyone could have said it.
    pub(crate) fn secured(self, core: &mut Core, channel: Channel) -> Result<State, Error> {
        core.set_private(channel.is_confidential());
        core.begin_stream().map_err(|error| Error::PeerMisbehaved(error.into()))?;
        let credentials = match self.said {
            Said::Nothing(credentials) => credentials,
            Said::Login(login) => {
                core.forget_flights();
                login.withdraw()
            }
        };
        let candidate = Candidate { channel, credentials, must_secure: false };
        sasl2::open(core, Box::new(candidate))
    }
}
