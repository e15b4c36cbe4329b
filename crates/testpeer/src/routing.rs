//! Where an address leads to.
//!
//! Leaves out what an account answers to its own user.

use epode_proto::Jid;
use epode_proto::xml::Element;

use crate::accounts::Accounts;
use crate::server::Server;
use crate::session::conditions::StanzaCondition;
use crate::session::services::{self, Addressee, carbons};

impl Server {
    /// Takes a stanza from a session or a component to where it belongs; `Ok` may hold a reply of
    /// the server's own.
    pub(crate) fn route(
        &self,
        to: &Jid,
        stanza: &Element,
    ) -> Result<Option<Element>, StanzaCondition> {
        let is_ours = to.domain().eq_ignore_ascii_case(self.domain());
        if is_ours && to.local().is_none() {
            services::answer(self, Addressee::Server, stanza).map(Some)
        } else if is_ours && stanza.name() == "iq" && to.resource().is_none() {
            Err(StanzaCondition::ServiceUnavailable)
        } else {
            self.deliver(to, stanza).map(|()| None)
        }
    }

    /// Delivers to the sessions or the component at this address.
    pub(crate) fn deliver(&self, to: &Jid, stanza: &Element) -> Result<(), StanzaCondition> {
        if self.components().is_component(to.domain()) {
            let delivered = self.components().deliver(to.domain(), stanza);
            return delivered.then_some(()).ok_or(StanzaCondition::ServiceUnavailable);
        }
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
