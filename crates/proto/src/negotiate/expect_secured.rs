//! Waiting for the stream to be encrypted: for the server's consent, then for the TLS handshake
//! (STARTTLS; RFC 6120, section 5).

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
            return Ok(State::Secured(ExpectSecured { credentials: self.credentials }));
        }
        if element.is("failure", TLS) {
            return Err(Error::PeerMisbehaved(PeerFault::StartTlsRefused));
        }
        Err(Error::unexpected(element, Wait::Proceed))
    }
}

pub(crate) struct ExpectSecured {
    credentials: Credentials,
}

impl ExpectSecured {
    /// What was said before the handshake is forgotten: anyone could have said it.
    pub(crate) fn secured(self, core: &mut Core, channel: Channel) -> Result<State, Error> {
        core.set_private(channel.is_confidential());
        core.begin_stream().map_err(|error| Error::PeerMisbehaved(error.into()))?;
        let credentials = self.credentials;
        let candidate = Candidate { channel, credentials, must_secure: false };
        sasl2::open(core, Box::new(candidate))
    }
}
