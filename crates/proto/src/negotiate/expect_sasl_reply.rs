//! Waiting for the server's next step in the login (RFC 6120, section 6.4; XEP-0388, sections 2.5
//! and 2.6).

use epode_sasl::{Authenticated, Exchange};

use super::{
    ExpectHeader, Round, State, sasl2,
    turn::{Move, Via, decode, namespace, refused, rejection, take_turn},
};
use crate::{Element, Error, Profile, core::Core, error::Wait, stream::SaslFailure};

pub(crate) struct ExpectSaslReply {
    pub(crate) exchange: Exchange,
    pub(crate) via: Via,
}

impl ExpectSaslReply {
    pub(crate) fn handle(self, core: &mut Core, element: Element) -> Result<State, Error> {
        let Self { exchange, via } = self;
        let profile = via.profile();
        if element.namespace() != namespace(profile) {
            return Err(Error::unexpected(&element, Wait::SaslReply));
        }
        if matches!(&via, Via::Sasl2(login) if login.is_superseded())
            && !SaslFailure::parse(&element).is_some_and(|it| via.is_mismatch(&it))
        {
            return Err(Error::ServerChanged);
        }
        match (element.name(), via) {
            ("challenge", via) => {
                let challenge = decode(&element, "challenge", profile)?.unwrap_or_default();
                let turn = exchange.challenge(&challenge)?;
                Ok(take_turn(core, turn, Move::Response, via))
            }
            ("success", Via::Sasl1) => {
                let last = decode(&element, "success", Profile::Sasl1)?;
                let login = prove(core, exchange, last.as_ref().map(|last| last.as_slice()))?;
                core.restart_stream().map_err(|error| Error::PeerMisbehaved(error.into()))?;
                Ok(State::Header(ExpectHeader { round: Round::Bind(login) }))
            }
            ("success", Via::Sasl2(login)) => {
                let last = sasl2::additional_data(&element)?;
                let proven = prove(core, exchange, last.as_ref().map(|last| last.as_slice()))?;
                login.succeeded(core, proven, &element)
            }
            ("continue", Via::Sasl2(login)) => {
                let last = sasl2::additional_data(&element)?;
                let continued = exchange.proceed(last.as_ref().map(|last| last.as_slice()))?;
                login.goes_on(core, continued, &element)
            }
            (_, via) => match SaslFailure::parse(&element) {
                Some(failure) => match via {
                    Via::Sasl2(login) if login.is_mismatch(&failure) => {
                        login.begin_anew(core, exchange)
                    }
                    via => refused(core, exchange.failure(rejection(failure)), via),
                },
                None => Err(Error::unexpected(&element, Wait::SaslReply)),
            },
        }
    }
}

/// Believes the server's claim if the mechanism does.
fn prove(core: &mut Core, exchange: Exchange, last: Option<&[u8]>) -> Result<Authenticated, Error> {
    let login = exchange.success(last)?;
    if let Some(keys) = login.keys() {
        core.keep_keys(keys);
    }
    Ok(login)
}
