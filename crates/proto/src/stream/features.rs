//! What a server offers at this point of the stream (RFC 6120, section 4.3.2).
//!
//! Only what the negotiation acts on is taken out; the element is kept for everything else.
//! Whether a mechanism name means something is for the SASL layer to say.

use super::{ConfigVersion, Sasl2Features, excerpt};
use crate::xml::Element;
use crate::xml::namespaces::{BIND, SASL, SASL_CB, SESSION, STREAM, TLS};

/// The features of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Features {
    /// The names of the SASL mechanisms on offer, without repetitions, in the server's order.
    /// At most 64 are kept, and of each at most 64 characters, far more than a name may have
    /// (20, RFC 4422, section 3.1): no cut name can pass for a valid one.
    pub mechanisms: Vec<String>,
    /// Whether a resource can be bound (RFC 6120, section 7).
    pub bind: bool,
    /// The session request of RFC 3921, if it is offered.
    pub session: Option<SessionFeature>,
    /// The types of channel binding that the server says it knows (XEP-0440), as it wrote them;
    /// none if it does not say. At most 64 are kept, and of each at most 64 characters.
    pub channel_bindings: Option<Vec<String>>,
    /// What is offered by the newer profile of SASL (XEP-0388), if anything.
    pub sasl2: Option<Sasl2Features>,
    /// The version of all this (XEP-0509), if the server gives one.
    pub config_version: Option<ConfigVersion>,
    /// Whether the server offers to encrypt the stream (RFC 6120, section 5).
    pub starttls: bool,
    /// All of it, as it came.
    pub element: Element,
}

/// How a server offers the session request of RFC 3921.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionFeature {
    /// Whether the server marks the request as optional, so that it need not be sent.
    pub optional: bool,
}

/// Why an element is no list of features.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FeaturesError {
    /// Another element.
    #[error("the server sent {name:?} of {namespace:?} where its stream features belong")]
    NotFeatures {
        /// Its name, cut to 64 characters.
        name: String,
        /// Its namespace, cut to 64 characters.
        namespace: String,
    },
}

impl Features {
    /// Takes the features out of `<features/>` in the stream namespace.
    ///
    /// Only direct children in the right namespace count: a mechanism that hides deeper, or in
    /// another namespace, is not offered.
    ///
    /// # Errors
    ///
    /// [`FeaturesError::NotFeatures`] for any other element.
    ///
    /// ```
    /// use epode_proto::Element;
    /// use epode_proto::stream::Features;
    ///
    /// let element = Element::parse(
    ///     "<features xmlns='http://etherx.jabber.org/streams'>\
    ///        <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    ///          <mechanism>SCRAM-SHA-256</mechanism><mechanism>PLAIN</mechanism>\
    ///        </mechanisms>\
    ///      </features>",
    /// )
    /// .unwrap();
    /// let features = Features::parse(element).unwrap();
    /// assert_eq!(features.mechanisms, ["SCRAM-SHA-256", "PLAIN"]);
    /// assert!(!features.bind);
    /// ```
    pub fn parse(element: Element) -> Result<Self, FeaturesError> {
        if !element.is("features", STREAM) {
            return Err(FeaturesError::NotFeatures {
                name: excerpt(element.name()),
                namespace: excerpt(element.namespace()),
            });
        }
        let session = element.child("session", SESSION);
        Ok(Self {
            mechanisms: names(element.children().filter(|it| it.is("mechanisms", SASL)), SASL),
            sasl2: Sasl2Features::parse(&element),
            config_version: ConfigVersion::parse(&element),
            bind: element.child("bind", BIND).is_some(),
            channel_bindings: channel_bindings(&element),
            starttls: element.child("starttls", TLS).is_some(),
            session: session.map(|session| SessionFeature {
                optional: session.child("optional", SESSION).is_some(),
            }),
            element,
        })
    }
}

/// The names in the `<mechanism/>`s of these lists.
pub(super) fn names<'a>(lists: impl Iterator<Item = &'a Element>, namespace: &str) -> Vec<String> {
    let offered = lists
        .flat_map(Element::children)
        // Text around a child would join to a name that nobody wrote.
        .filter(|child| child.is("mechanism", namespace) && child.children().next().is_none());
    distinct(offered.map(Element::text))
}

/// What is offered, trimmed and cut, without repetitions.
pub(crate) fn distinct(offered: impl Iterator<Item = impl AsRef<str>>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for text in offered {
        let name = text.as_ref().trim_matches([' ', '\t', '\r', '\n']);
        let name: String = name.chars().take(MAX_NAME).collect();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
        if names.len() == MAX_MECHANISMS {
            break;
        }
    }
    names
}

fn channel_bindings(features: &Element) -> Option<Vec<String>> {
    let list = features.child("sasl-channel-binding", SASL_CB)?;
    let types = list.children().filter(|child| child.is("channel-binding", SASL_CB));
    let names = types.filter_map(|binding| binding.attr("type"));
    Some(names.take(MAX_MECHANISMS).map(|name| name.chars().take(MAX_NAME).collect()).collect())
}

const MAX_MECHANISMS: usize = 64;
const MAX_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(inside: &str) -> Features {
        let xml = format!("<s:features xmlns:s='{STREAM}'>{inside}</s:features>");
        Features::parse(Element::parse(&xml).unwrap()).unwrap()
    }

    fn offered(inside: &str) -> Vec<String> {
        parse(&format!("<mechanisms xmlns='{SASL}'>{inside}</mechanisms>")).mechanisms
    }

    #[test]
    fn features_may_be_empty() {
        let features = parse("");
        assert!(features.mechanisms.is_empty() && !features.bind && features.session.is_none());
        assert!(features.element.is("features", STREAM));
    }

    #[test]
    fn bind_and_session() {
        let features = parse(&format!("<bind xmlns='{BIND}'/><session xmlns='{SESSION}'/>"));
        assert!(features.bind);
        assert_eq!(features.session, Some(SessionFeature { optional: false }));
        let optional = parse(&format!("<session xmlns='{SESSION}'><optional/></session>"));
        assert_eq!(optional.session, Some(SessionFeature { optional: true }));
        let foreign = parse(&format!(
            "<bind xmlns='urn:x'/><x><bind xmlns='{BIND}'/></x>\
             <session xmlns='{SESSION}'><optional xmlns='urn:x'/></session>"
        ));
        assert!(!foreign.bind);
        assert_eq!(foreign.session, Some(SessionFeature { optional: false }));
    }

    #[test]
    fn names_are_trimmed_and_not_repeated() {
        let names = offered(
            "<mechanism>PLAIN</mechanism>\n <mechanism>\n\tX-A </mechanism><mechanism>PLAIN</mechanism>\
             <mechanism/><mechanism> </mechanism><mechanism>constructor</mechanism>",
        );
        assert_eq!(names, ["PLAIN", "X-A", "constructor"]);
    }

    #[test]
    fn mechanisms_elsewhere_are_not_offered() {
        for hidden in [
            format!("<mechanism xmlns='{SASL}'>PLAIN</mechanism>"),
            "<mechanisms xmlns='urn:x'><mechanism>PLAIN</mechanism></mechanisms>".into(),
            format!(
                "<mechanisms xmlns='{SASL}'><mechanism xmlns='urn:x'>PLAIN</mechanism></mechanisms>"
            ),
            format!("<mechanisms xmlns='{SASL}'><x><mechanism>PLAIN</mechanism></x></mechanisms>"),
            format!("<x><mechanisms xmlns='{SASL}'><mechanism>PLAIN</mechanism></mechanisms></x>"),
            format!("<mechanisms xmlns='{SASL}'><mechanism>PL<x/>AIN</mechanism></mechanisms>"),
            format!("<mechanisms xmlns='{SASL}'><mechanism><x>PLAIN</x></mechanism></mechanisms>"),
            format!("<mechanisms xmlns='{SASL}'>PLAIN</mechanisms>"),
        ] {
            assert_eq!(parse(&hidden).mechanisms, [""; 0], "{hidden}");
        }
    }

    #[test]
    fn two_lists_count_as_one() {
        let list =
            |name| format!("<mechanisms xmlns='{SASL}'><mechanism>{name}</mechanism></mechanisms>");
        let names = parse(&(list("A") + &list("B") + &list("A"))).mechanisms;
        assert_eq!(names, ["A", "B"]);
    }

    #[test]
    fn count_and_length_are_limited() {
        let many: String = (0..1000).map(|n| format!("<mechanism>M-{n}</mechanism>")).collect();
        let names = offered(&many);
        assert_eq!((names.len(), names[63].as_str()), (64, "M-63"));
        let long = offered(&format!("<mechanism>{}</mechanism>", "X".repeat(300)));
        assert_eq!(long, ["X".repeat(64)]);
    }

    #[test]
    fn another_element_is_refused() {
        for (name, namespace) in [
            ("features", "jabber:client"),
            ("error", STREAM),
            ("Features", STREAM),
            ("features", ""),
        ] {
            let error =
                FeaturesError::NotFeatures { name: name.into(), namespace: namespace.into() };
            assert_eq!(Features::parse(Element::new(name, namespace)), Err(error));
        }
    }
}
