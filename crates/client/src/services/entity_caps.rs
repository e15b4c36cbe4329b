//! A short word in presence that stands for all that a client can do (XEP-0115).
//!
//! Answers are not kept here: [`Capabilities::fits`] says whether one may be. The only hash is
//! SHA-1, which all have to know; the old format without a hash is not read.

use std::collections::BTreeSet;

use base64ct::{Base64, Encoding};
use epode_proto::Element;
use sha1::{Digest, Sha1};

use super::disco::{DATA, Identity, Info};

/// What stands in presence: `<c/>`.
///
/// ```
/// use epode::{Element, services::entity_caps::Capabilities, services::disco::{Identity, Info}};
///
/// let presence = Element::parse(
///     "<presence xmlns='jabber:client'><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' \
///      node='http://code.google.com/p/exodus' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>",
/// )?;
/// let capabilities = Capabilities::of(&presence).unwrap();
/// // What `disco::info` got for the node `capabilities.disco_node()`:
/// let features = ["disco#info", "disco#items", "muc", "caps"];
/// let mut info = Info {
///     identities: vec![Identity::new("client", "pc").with_name("Exodus 0.9.1")],
///     features: features.map(|name| format!("http://jabber.org/protocol/{name}")).into(),
///     forms: vec![],
/// };
/// assert!(capabilities.fits(&info));
/// info.features.pop();
/// assert!(!capabilities.fits(&info));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    node: String,
    ver: String,
}

impl Capabilities {
    /// Those of a program with this URI.
    #[must_use]
    pub fn new(node: impl Into<String>, info: &Info) -> Self {
        Self { node: node.into(), ver: verification_string(info) }
    }

    /// Those in a presence, if they are of a kind that can be compared.
    #[must_use]
    pub fn of(presence: &Element) -> Option<Self> {
        let c = presence.child("c", NAMESPACE).filter(|c| c.attr("hash") == Some(HASH))?;
        Some(Self { node: c.attr("node")?.to_owned(), ver: c.attr("ver")?.to_owned() })
    }

    /// The URI of the program.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The verification string.
    #[must_use]
    pub fn ver(&self) -> &str {
        &self.ver
    }

    /// The node to [ask about](super::disco::info).
    #[must_use]
    pub fn disco_node(&self) -> String {
        format!("{}#{}", self.node, self.ver)
    }

    /// Whether this is what they stand for, so that it may be kept for all who show the same
    /// (section 5.4). Otherwise it holds for whom it came from alone.
    #[must_use]
    pub fn fits(&self, info: &Info) -> bool {
        is_well_formed(info) && self.ver == verification_string(info)
    }
}

impl From<Capabilities> for Element {
    fn from(capabilities: Capabilities) -> Self {
        Self::new("c", NAMESPACE)
            .with_attr("hash", HASH)
            .with_attr("node", capabilities.node)
            .with_attr("ver", capabilities.ver)
    }
}

/// Section 5.1. Sorting is by bytes, as `str` does it.
fn verification_string(info: &Info) -> String {
    let mut identities: Vec<&Identity> = info.identities.iter().collect();
    identities.sort_by_key(|it| (&it.category, &it.kind, it.lang.as_deref().unwrap_or_default()));
    let mut text = String::new();
    for Identity { category, kind, lang, name } in identities {
        let [lang, name] = [lang, name].map(|part| part.as_deref().unwrap_or_default());
        add(&mut text, &format!("{category}/{kind}/{lang}/{name}"));
    }
    let features: BTreeSet<&String> = info.features.iter().collect();
    features.iter().for_each(|feature| add(&mut text, feature));
    let mut forms: Vec<_> = info.forms.iter().filter_map(Form::read).collect();
    forms.sort_by(|a, b| a.kind.cmp(&b.kind));
    for Form { kind, mut fields } in forms {
        add(&mut text, &kind);
        fields.sort();
        for (name, values) in fields {
            add(&mut text, &name);
            values.iter().for_each(|value| add(&mut text, value));
        }
    }
    Base64::encode_string(&Sha1::digest(text.as_bytes()))
}

/// A part that has the separator in it stands as it does in XML, so that it cannot pass for two
/// (section 5.4).
fn add(text: &mut String, part: &str) {
    text.push_str(&part.replace('<', "&lt;"));
    text.push('<');
}

/// Section 5.4, 3.3 to 3.5: nothing is there twice.
fn is_well_formed(info: &Info) -> bool {
    let once = |keys: Vec<String>| keys.iter().collect::<BTreeSet<_>>().len() == keys.len();
    let identity = |it: &Identity| format!("{it:?}");
    let forms: Vec<_> = info.forms.iter().filter_map(Form::read).collect();
    once(info.identities.iter().map(identity).collect())
        && once(info.features.clone())
        && once(forms.into_iter().map(|form| form.kind).collect())
        && info.forms.iter().all(has_one_type)
}

/// A form that counts: one with a type.
struct Form {
    kind: String,
    /// Names and sorted values.
    fields: Vec<(String, Vec<String>)>,
}

impl Form {
    fn read(form: &Element) -> Option<Self> {
        let (mut kind, mut fields) = (None, Vec::new());
        for field in form.children().filter(|child| child.is("field", DATA)) {
            let name = field.attr("var").unwrap_or_default();
            if name != FORM_TYPE {
                fields.push((name.to_owned(), values(field)));
            } else if field.attr("type") == Some("hidden") {
                kind = values(field).into_iter().next();
            }
        }
        Some(Self { kind: kind?, fields })
    }
}

fn has_one_type(form: &Element) -> bool {
    let fields = form.children().filter(|it| it.attr("var") == Some(FORM_TYPE));
    fields.flat_map(values).collect::<BTreeSet<_>>().len() <= 1
}

fn values(field: &Element) -> Vec<String> {
    let values = field.children().filter(|child| child.is("value", DATA));
    let mut values: Vec<_> = values.map(Element::text).collect();
    values.sort();
    values
}

/// The feature of who shows its capabilities.
pub const NAMESPACE: &str = "http://jabber.org/protocol/caps";

const HASH: &str = "sha-1";
const FORM_TYPE: &str = "FORM_TYPE";

#[cfg(test)]
mod tests {
    use super::*;

    fn info(xml: &str) -> Info {
        let query = format!("<query xmlns='http://jabber.org/protocol/disco#info'>{xml}</query>");
        Info::parse(&Element::parse(&query).unwrap()).unwrap()
    }

    /// Section 5.3.
    const PSI: &str = "\
        <identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>\
        <identity xml:lang='el' category='client' name='\u{3a8} 0.11' type='pc'/>\
        <feature var='http://jabber.org/protocol/muc'/>\
        <feature var='http://jabber.org/protocol/caps'/>\
        <feature var='http://jabber.org/protocol/disco#items'/>\
        <feature var='http://jabber.org/protocol/disco#info'/>";
    const FORM: &str = "\
        <x xmlns='jabber:x:data' type='result'>\
        <field var='FORM_TYPE' type='hidden'><value>urn:xmpp:dataforms:softwareinfo</value></field>\
        <field var='software_version'><value>0.11</value></field>\
        <field var='ip_version' type='text-multi'><value>ipv6</value><value>ipv4</value></field>\
        <field var='os'><value>Mac</value></field><field var='os_version'><value>10.5.1</value></field>\
        <field var='software'><value>Psi</value></field></x>";

    fn psi() -> Capabilities {
        Capabilities {
            node: "http://psi-im.org".into(),
            ver: "q07IKJEyjvHSyhy//CH0CxmKi8w=".into(),
        }
    }

    #[test]
    fn the_example_of_the_specification_with_forms_fits() {
        let whole = info(&format!("{PSI}{FORM}"));
        assert_eq!(Capabilities::new("http://psi-im.org", &whole), psi());
        assert!(psi().fits(&whole));
        assert_eq!(psi().disco_node(), "http://psi-im.org#q07IKJEyjvHSyhy//CH0CxmKi8w=");
        let untyped = "<x xmlns='jabber:x:data'><field var='a'><value>b</value></field></x>";
        assert!(psi().fits(&info(&format!("{PSI}{FORM}{untyped}"))), "a form without type");
    }

    #[test]
    fn what_is_there_twice_fits_nothing() {
        let feature = "<feature var='http://jabber.org/protocol/muc'/>";
        let identity = "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>";
        let typed = FORM.replace("softwareinfo</value>", "softwareinfo</value><value>z</value>");
        for xml in [
            format!("{PSI}{feature}{FORM}"),
            format!("{PSI}{identity}{FORM}"),
            format!("{PSI}{FORM}{FORM}"),
            format!("{PSI}{typed}"),
        ] {
            let info = info(&xml);
            assert!(!Capabilities::new("http://psi-im.org", &info).fits(&info), "{xml}");
        }
    }

    #[test]
    fn no_name_passes_for_a_feature() {
        let forged = info("<identity category='client' type='pc' name='x&lt;urn:f'/>");
        let honest = info("<identity category='client' type='pc' name='x'/><feature var='urn:f'/>");
        assert_ne!(Capabilities::new("n", &forged).ver(), Capabilities::new("n", &honest).ver());
    }

    #[test]
    fn only_what_can_be_compared_is_read() {
        let read = |attributes: &str| {
            let xml = format!(
                "<presence xmlns='jabber:client'><c xmlns='{NAMESPACE}' {attributes}/></presence>"
            );
            Capabilities::of(&Element::parse(&xml).unwrap())
        };
        let good = "hash='sha-1' node='http://psi-im.org' ver='q07IKJEyjvHSyhy//CH0CxmKi8w='";
        assert_eq!(read(good), Some(psi()));
        for bad in ["node='n' ver='v'", "hash='sha-256' node='n' ver='v'", "hash='sha-1' node='n'"]
        {
            assert_eq!(read(bad), None, "{bad}");
        }
        let presence = Element::new("presence", "jabber:client").with_child(psi().into());
        assert_eq!(Capabilities::of(&presence), Some(psi()));
    }
}
