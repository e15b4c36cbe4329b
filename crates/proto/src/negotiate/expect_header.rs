//! Waiting for the transport, and then for the server's stream header.

use epode_sasl::{Channel, Credentials};

use super::{Candidate, ExpectComponentHeader, ExpectFeatures, ExpectSecured, Round, State, sasl2};
use crate::{Error, core::Core, error::PeerFault, stream::StreamHeader};

/// Nothing is sent before the transport is open.
pub(crate) struct Unopened {
    pub(crate) credentials: Credentials,
}

impl Unopened {
    pub(crate) fn opened(self, core: &mut Core, channel: Channel) -> Result<State, Error> {
        self.begin(core, channel.over_http(), false)
    }

    pub(crate) fn opened_bosh(self, core: &mut Core, channel: Channel) -> Result<State, Error> {
        core.use_bosh();
        self.opened(core, channel)
    }

    pub(crate) fn opened_tcp(self, core: &mut Core, channel: Channel) -> Result<State, Error> {
        core.use_tcp();
        if core.settings().is_component {
            return ExpectComponentHeader::begin(core, &channel, self.credentials);
        }
        let must_secure = !channel.is_encrypted();
        self.begin(core, channel, must_secure)
    }

    /// A login may go along with the handshake; in any case, that comes next.
    pub(crate) fn opened_early(self, core: &mut Core, channel: Channel) -> State {
        core.use_tcp();
        core.set_private(channel.is_confidential());
        let candidate = Candidate { channel, credentials: self.credentials, must_secure: false };
        ExpectSecured::begin_early(core, Box::new(candidate))
    }

    fn begin(self, core: &mut Core, channel: Channel, must_secure: bool) -> Result<State, Error> {
        core.set_private(channel.is_confidential() && !must_secure);
        let candidate = Candidate { channel, credentials: self.credentials, must_secure };
        sasl2::open(core, Box::new(candidate))
    }
}

pub(crate) struct ExpectHeader {
    pub(crate) round: Round,
}

impl ExpectHeader {
    pub(crate) fn handle(self, core: &mut Core, header: &StreamHeader) -> Result<State, Error> {
        let checked = header.check(core.domain());
        checked.map_err(|error| Error::PeerMisbehaved(PeerFault::Header(error)))?;
        core.set_language(header.lang.as_deref());
        Ok(State::Features(ExpectFeatures { round: self.round }))
    }
}
