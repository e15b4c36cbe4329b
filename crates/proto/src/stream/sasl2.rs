//! What a server offers by the extensible profile of SASL (XEP-0388), and what else can be had
//! within a login.
//!
//! What of it is used is decided where the login begins.

use serde::{Deserialize, Serialize};

use super::features::{distinct, names};
use crate::xml::Element;
use crate::xml::namespaces::{BIND2, FAST, IAP, SASL2, SM, UPGRADE};

/// The offer of `<authentication/>` in the features of a stream. Of each list at most 64 names are
/// kept, and of each at most 64 characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Sasl2Features {
    /// The names of the mechanisms, without repetitions, in the server's order.
    pub mechanisms: Vec<String>,
    /// Whether a resource can be bound within the login (XEP-0386), and which features can be
    /// enabled along with it: their names, as `urn:xmpp:carbons:2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bind2: Option<Vec<String>>,
    /// Whether a session can be resumed within the login (XEP-0198, section 9.2).
    #[serde(default)]
    pub resumption: bool,
    /// Quick logins by token (XEP-0484), if they are offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast: Option<FastFeatures>,
    /// The upgrades that the server would have (XEP-0480), as `UPGR-SCRAM-SHA-256`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upgrades: Vec<String>,
}

/// How logins by token are offered (XEP-0484).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FastFeatures {
    /// The mechanisms for tokens.
    pub mechanisms: Vec<String>,
    /// Whether the login may be in the early data of TLS.
    #[serde(default)]
    pub tls_0rtt: bool,
}

/// The version of what a server offers, for a login that does not wait for the offer (XEP-0509).
/// It means nothing but itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ConfigVersion {
    /// How the value is made, as the server wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<String>,
    /// The value.
    pub value: String,
}

impl Sasl2Features {
    /// Reads the offer in `<features/>`; none where there is none with a mechanism in it.
    pub(super) fn parse(features: &Element) -> Option<Self> {
        let offer = features.child("authentication", SASL2)?;
        let inline = offer.child("inline", SASL2);
        let inline = |name, namespace| inline.and_then(|inline| inline.child(name, namespace));
        let upgrades = offer.children().filter(|child| child.is("upgrade", UPGRADE));
        let mechanisms = names(std::iter::once(offer), SASL2);
        (!mechanisms.is_empty()).then(|| Self {
            mechanisms,
            bind2: inline("bind", BIND2).map(|bind| distinct(variables(bind))),
            resumption: inline("sm", SM).is_some(),
            fast: inline("fast", FAST).map(FastFeatures::parse),
            upgrades: distinct(upgrades.map(Element::text)),
        })
    }

    /// Whether this can be enabled along with a resource.
    #[must_use]
    pub fn enables(&self, feature: &str) -> bool {
        self.bind2.iter().flatten().any(|listed| listed == feature)
    }
}

impl FastFeatures {
    fn parse(fast: &Element) -> Self {
        Self {
            mechanisms: names(std::iter::once(fast), FAST),
            tls_0rtt: matches!(fast.attr("tls-0rtt"), Some("true" | "1")),
        }
    }
}

impl ConfigVersion {
    /// A value that would take more room than the rest of the offer is not worth it.
    pub(super) fn parse(features: &Element) -> Option<Self> {
        let version = features.child("config-version", IAP)?;
        let value = version.attr("value").filter(|it| !it.is_empty() && it.len() <= LONGEST)?;
        let scheme = version.attr("scheme").filter(|scheme| scheme.len() <= LONGEST);
        Some(Self { scheme: scheme.map(Into::into), value: value.to_owned() })
    }

    /// As it is said back to the server.
    pub(crate) fn element(&self) -> Element {
        let mut element = Element::new("config-version", IAP);
        if let Some(scheme) = &self.scheme {
            element.set_attr("scheme", scheme.as_str());
        }
        element.with_attr("value", self.value.as_str())
    }
}

/// Whether an offer to bind lists this feature.
pub(crate) fn lists(bind: &Element, feature: &str) -> bool {
    variables(bind).any(|listed| listed == feature)
}

/// The names of what can be enabled along with a resource: in `<inline/>` (XEP-0386), or without it
/// (as in the examples of XEP-0198).
fn variables(bind: &Element) -> impl Iterator<Item = &str> {
    let inline = bind.child("inline", BIND2).unwrap_or(bind);
    let features = inline.children().filter(|child| child.is("feature", BIND2));
    features.filter_map(|feature| feature.attr("var"))
}

const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::Features;
    use crate::xml::namespaces::{CARBONS, CSI, STREAM};

    fn parse(inside: &str) -> Features {
        let xml = format!("<features xmlns='{STREAM}'>{inside}</features>");
        Features::parse(Element::parse(&xml).expect("it is XML")).expect("they are features")
    }

    fn offered(inside: &str) -> Option<Sasl2Features> {
        parse(&format!("<authentication xmlns='{SASL2}'>{inside}</authentication>")).sasl2
    }

    #[test]
    fn all_of_an_offer_is_read() {
        let offer = offered(
            "<mechanism> SCRAM-SHA-1 </mechanism><mechanism>PLAIN</mechanism>\
             <mechanism>PLAIN</mechanism><inline><sm xmlns='urn:xmpp:sm:3'/>\
             <bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:carbons:2'/>\
             <feature var='urn:xmpp:sm:3'/><feature/></inline></bind>\
             <fast xmlns='urn:xmpp:fast:0' tls-0rtt='true'><mechanism>HT-SHA-256-NONE</mechanism>\
             </fast></inline>\
             <upgrade xmlns='urn:xmpp:sasl:upgrade:0'>UPGR-SCRAM-SHA-256</upgrade>",
        );
        let offer = offer.expect("it is an offer");
        assert_eq!(offer.mechanisms, ["SCRAM-SHA-1", "PLAIN"]);
        assert!(offer.resumption && offer.enables(CARBONS) && offer.enables(SM));
        assert!(!offer.enables(CSI));
        let fast = offer.fast.expect("tokens are offered");
        assert!(fast.tls_0rtt);
        assert_eq!(fast.mechanisms, ["HT-SHA-256-NONE"]);
        assert_eq!(offer.upgrades, ["UPGR-SCRAM-SHA-256"]);
    }

    #[test]
    fn what_stands_elsewhere_is_not_offered() {
        for hidden in [
            "",
            "<mechanism xmlns='urn:x'>PLAIN</mechanism>",
            "<mechanism><x/>PLAIN</mechanism>",
            "<inline><mechanism>PLAIN</mechanism></inline>",
            "PLAIN",
        ] {
            assert_eq!(offered(hidden), None, "{hidden}");
        }
        let bare = offered(
            "<mechanism>PLAIN</mechanism><sm xmlns='urn:xmpp:sm:3'/>\
             <bind xmlns='urn:xmpp:bind:0'/><inline xmlns='urn:x'><fast xmlns='urn:xmpp:fast:0'/>\
             </inline>",
        );
        let expected = Sasl2Features { mechanisms: vec!["PLAIN".into()], ..Default::default() };
        assert_eq!(bare, Some(expected));
        let older =
            parse("<mechanisms xmlns='urn:xmpp:sasl:2'><mechanism>X</mechanism></mechanisms>");
        assert!(older.sasl2.is_none() && older.mechanisms.is_empty());
    }

    #[test]
    fn the_features_of_a_binding_may_lack_their_list() {
        let offer = offered(
            "<mechanism>PLAIN</mechanism><inline><bind xmlns='urn:xmpp:bind:0'>\
             <feature var='urn:xmpp:sm:3'/></bind></inline>",
        );
        assert!(offer.expect("it is an offer").enables(SM));
    }

    #[test]
    fn count_and_length_are_limited() {
        let many: String = (0..1000).map(|n| format!("<mechanism>M-{n}</mechanism>")).collect();
        let many = offered(&many).expect("it is an offer");
        assert_eq!(many.mechanisms.len(), 64);
        let version = |value: &str| {
            parse(&format!("<config-version xmlns='urn:xmpp:iap:0' value='{value}'/>"))
                .config_version
                .map(|version| version.value.len())
        };
        assert_eq!(version(&"x".repeat(1024)), Some(1024));
        assert_eq!([version(""), version(&"x".repeat(1025))], [None; 2]);
    }
}
