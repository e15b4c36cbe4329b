//! `<authenticate/>`: the mechanism's first message, and what is asked for along with it
//! (XEP-0388, section 2.3).

use epode_sasl::MechanismName;
use zeroize::Zeroizing;

use super::{super::turn::wiped, Asked, AskedBinding, Login, Pipelined};
use crate::{
    Element,
    action::Frame,
    core::Core,
    session::enable,
    stream::ConfigVersion,
    xml::namespaces::{BIND2, CARBONS, CSI, SASL2, SM, UPGRADE},
};

impl Login {
    /// The element that opens the login, and notes what it asks for.
    pub(crate) fn authenticate(
        &mut self,
        core: &mut Core,
        mechanism: &MechanismName,
        response: Option<&Zeroizing<String>>,
    ) -> Frame {
        let start = format!("<authenticate xmlns='{SASL2}' mechanism='{mechanism}'>");
        let (before, after) = match response {
            Some(_) => ("<initial-response>", "</initial-response>"),
            None => ("", ""),
        };
        let response = response.map_or("", |response| response.as_str());
        let asks: String = self.ask(core).iter().map(Element::to_xml).collect();
        wiped(&[&start, before, response, after, &asks, "</authenticate>"])
    }

    fn ask(&mut self, core: &mut Core) -> Vec<Element> {
        let mut asks: Vec<_> = core.settings().user_agent.element().into_iter().collect();
        // Who binds a resource gives up the session that could be resumed.
        let (resumption, binding) = (self.features().resumption, self.features().bind2.is_some());
        let resumable = core.resumable();
        let resume = resumption && resumable;
        if resume {
            asks.push(core.resume_request());
        }
        let binds = binding && core.settings().binds_within_login() && resume == resumable;
        let bind = binds.then(|| self.bind(core, &mut asks));
        asks.extend(self.ask_of_tokens());
        asks.extend(
            self.upgrades
                .iter()
                .map(|task| Element::new("upgrade", UPGRADE).with_text(task.to_string())),
        );
        if self.pipelined != Pipelined::No {
            asks.extend(self.offer.config_version.as_ref().map(ConfigVersion::element));
        }
        self.asked = Asked { resume, bind };
        asks
    }

    fn bind(&self, core: &Core, asks: &mut Vec<Element>) -> AskedBinding {
        let (settings, offer) = (core.settings(), self.features());
        let mut bind = Element::new("bind", BIND2);
        if let Some(tag) = &settings.bind_tag {
            bind.push(Element::new("tag", BIND2).with_text(tag));
        }
        let management = settings.stream_management.filter(|_| core.may_manage());
        let management = management.filter(|_| offer.enables(SM));
        if let Some(wanted) = &management {
            bind.push(enable(wanted));
        }
        let carbons = settings.carbons && offer.enables(CARBONS);
        if carbons {
            bind.push(Element::new("enable", CARBONS));
        }
        let inactive = core.is_inactive() && offer.enables(CSI);
        if inactive {
            bind.push(Element::new("inactive", CSI));
        }
        asks.push(bind);
        AskedBinding { enable: management.is_some(), carbons, inactive }
    }
}
