//! Where an address leads to.
//!
//! Leaves out what an account or the server itself answers.

use epode_proto::Jid;
use epode_proto::xml::Element;

use crate::accounts::Accounts;
use crate::server::Server;
use crate::session::conditions::StanzaCondition;
use crate::session::services::carbons;

impl Server {
    /// Delivers to the sessions at this address.
    pub(crate) fn deliver(&self, to: &Jid, stanza: &Element) -> Result<(), StanzaCondition> {
        if !to.domain().eq_ignore_ascii_case(self.domain()) {
            return Err(StanzaCondition::RemoteServerNotFound);
        }
        let local = to.local().ok_or(StanzaCondition::ServiceUnavailable)?;
        let user = Accounts::canonical(local).ok_or(StanzaCondition::JidMalformed)?;
        if !self.hub().deliver(&user, to.resource(), stanza) {
            return Err(StanzaCondition::ServiceUnavailable);
        }
        if to.resource().is_some() {
            carbons::copy_received(self, &user, to, stanza);
        }
        Ok(())
    }
}
