//! The login by SASL2 (XEP-0388): what is asked for along with it, and what comes of that.
//! The messages of the mechanism are in [`turn`](super::turn), which both profiles share.

mod authenticate;
mod early;
mod fast;
mod pipelined;
mod success;
mod tasks;

use epode_sasl::{Authenticated, MechanismName, Selection, scram::UpgradeTask};
use zeroize::Zeroizing;

use self::fast::token_to_ask_for;
pub(crate) use self::{
    early::EarlyLogin,
    fast::attempt,
    pipelined::open,
    success::Bound,
    tasks::{ExpectTask, ExpectTaskReply},
};
use super::{Candidate, offer::LoginOffer, turn::decode};
use crate::{Element, Error, Profile, core::Core, stream::Sasl2Features, xml::namespaces::SASL2};

/// A login by SASL2 that has begun.
pub(crate) struct Login {
    offer: LoginOffer,
    asked: Asked,
    /// It is one by token.
    attempt: Option<fast::Attempt>,
    /// The mechanism that a token is asked for.
    wanted_token: Option<MechanismName>,
    /// The upgrades of the server's keys that were asked for (XEP-0480).
    upgrades: Vec<UpgradeTask>,
    /// Whether it began before the server said what it offers.
    pipelined: Pipelined,
}

/// How a login stands to what the server offers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pipelined {
    /// It was made by what the server offers.
    No,
    /// It was made by what is remembered of the server.
    Yes,
    /// The same, and the server offers something else.
    Superseded(Box<LoginOffer>),
}

/// What was asked for along with the login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Asked {
    /// To go on with an earlier session (XEP-0198, section 9.2).
    resume: bool,
    /// A resource (XEP-0386).
    bind: Option<AskedBinding>,
}

/// What was asked for along with a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct AskedBinding {
    /// Stream management (XEP-0198, section 9.1).
    enable: bool,
    carbons: bool,
    /// The server was told that nobody is there (XEP-0352).
    inactive: bool,
}

impl Login {
    pub(crate) fn new(offer: LoginOffer) -> Self {
        Self {
            offer,
            asked: Asked::default(),
            attempt: None,
            wanted_token: None,
            upgrades: Vec::new(),
            pipelined: Pipelined::No,
        }
    }

    /// A full login, which asks for a token for the next one, and for upgrades.
    pub(crate) fn full(
        core: &Core,
        candidate: &Candidate,
        offer: LoginOffer,
        selection: &Selection,
    ) -> Self {
        let wanted_token = token_to_ask_for(core, candidate, &offer, selection);
        let offered = offer.sasl2.iter().flat_map(|it| &it.upgrades).map(String::as_str);
        let offered = offered.filter(|_| core.settings().upgrades);
        let upgrades = UpgradeTask::wanted(selection, &candidate.credentials, offered);
        Self { wanted_token, upgrades, ..Self::new(offer) }
    }

    fn features(&self) -> &Sasl2Features {
        self.offer.sasl2.as_ref().expect("the login was chosen of this offer")
    }
}

/// What the mechanism says along with success or another end of its part.
pub(crate) fn additional_data(element: &Element) -> Result<Option<Zeroizing<Vec<u8>>>, Error> {
    match element.child("additional-data", SASL2) {
        Some(data) => decode(data, "additional-data", Profile::Sasl2),
        None => Ok(None),
    }
}

/// The proof of a login: nothing is bound or resumed without one.
type Proven = Authenticated;
