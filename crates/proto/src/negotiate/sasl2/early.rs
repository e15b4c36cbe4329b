//! The login that goes along with the handshake of TLS 1.3, in its early data (XEP-0484, section 3.4):
//! one by token, and no other. Whether the server has taken it is known once the handshake is done.

use epode_sasl::{Channel, Credentials, Exchange, Turn};

use super::{attempt, pipelined::send};
use crate::{
    Profile,
    core::Core,
    negotiate::{Candidate, ExpectHeader, ExpectSaslReply, Round, State, turn::Via},
    status::Authenticating,
};

/// A login of which it is not known yet whether the server has it. Its token was used, and is not
/// used again with the same count.
pub(crate) struct EarlyLogin(Box<ExpectSaslReply>);

impl EarlyLogin {
    /// Opens the stream and logs in, if that may be and nothing has to be asked first.
    pub(crate) fn begin(
        core: &mut Core,
        candidate: Box<Candidate>,
    ) -> Result<Self, Box<Candidate>> {
        let Some(offer) = core.early_offer() else { return Err(candidate) };
        let (login, credentials, selection) = attempt(core, candidate, &offer)?;
        let choice = Authenticating::describe(Profile::Sasl2, &selection);
        let channel = selection.channel().clone();
        match Exchange::begin(selection, credentials, channel) {
            Ok(turn @ Turn::Server(..)) => {
                core.open_stream();
                Ok(Self(send(core, login, choice, turn)))
            }
            _ => Err(login.into_full()),
        }
    }

    /// The server has it: it goes on over this channel. What it was made by is used up, as it may be
    /// wrong.
    pub(crate) fn taken(mut self, core: &mut Core, channel: Channel) -> State {
        core.set_memory(None);
        if let Via::Sasl2(login) = &mut self.0.via {
            login.fall_back_over(channel);
        }
        State::Header(ExpectHeader { round: Round::Pipelined(self.0) })
    }

    /// The server does not have it: who logs in instead.
    pub(crate) fn withdraw(self) -> Credentials {
        match self.0.via {
            Via::Sasl2(login) => login.into_full().credentials,
            Via::Sasl1 => unreachable!("it is by SASL2"),
        }
    }
}
