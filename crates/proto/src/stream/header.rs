//! The header that opens a stream, in both framings (RFC 6120, section 4.7; RFC 7395, section 3.4).
//!
//! Which features follow it is not its business.

use super::excerpt;
use crate::xml::Element;
use crate::xml::namespaces::XML;

/// The attributes of a stream header, as the peer sent them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamHeader {
    /// The name the server gave the stream.
    pub id: Option<String>,
    /// Who the sender says to be; a domain, if it is a server.
    pub from: Option<String>,
    /// Whom the sender wants to reach.
    pub to: Option<String>,
    /// The XMPP version, normally `1.0`.
    pub version: Option<String>,
    /// The language of texts in the stream that name none themselves.
    pub lang: Option<String>,
}

/// Why the header of a server's stream is not acceptable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// No `version`: the server speaks XMPP 0.9, which has no SASL.
    #[error(
        "the server's stream header has no version: it speaks something older than XMPP 1.0, which has no SASL"
    )]
    MissingVersion,
    /// A `version` other than 1.x.
    #[error("the server's stream header has version {found:?}: only 1.0 is spoken here")]
    UnsupportedVersion {
        /// The version, cut to 64 characters.
        found: String,
    },
    /// No `id`, or an empty one.
    #[error("the server's stream header has no id, which RFC 6120, section 4.7.3 demands")]
    MissingId,
    /// A `from` that is not the domain that was asked for.
    #[error(
        "the stream comes from {found:?}, not from {expected:?}: does this address serve the domain?"
    )]
    ForeignDomain {
        /// The domain that was asked for.
        expected: String,
        /// Where the stream says to come from, cut to 64 characters.
        found: String,
    },
}

impl StreamHeader {
    /// Takes the attributes from the start tag of a stream, whichever framing it is of.
    #[must_use]
    pub fn from_element(element: &Element) -> Self {
        let attribute = |name: &str| element.attr(name).map(Into::into);
        Self {
            id: attribute("id"),
            from: attribute("from"),
            to: attribute("to"),
            version: attribute("version"),
            lang: element.attr_ns(XML, "lang").map(Into::into),
        }
    }

    /// Checks the answer of the server of `domain`.
    ///
    /// A missing `from` is taken: older servers leave it out (RFC 6120, section 4.7.1).
    ///
    /// # Errors
    ///
    /// The first offence, in the order of [`HeaderError`].
    ///
    /// ```
    /// use epode_proto::Element;
    /// use epode_proto::stream::{HeaderError, StreamHeader};
    ///
    /// let open = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='1' version='1.0'/>";
    /// let mut header = StreamHeader::from_element(&Element::parse(open).unwrap());
    /// assert_eq!(header.check("example.org"), Ok(()));
    /// header.version = None;
    /// assert_eq!(header.check("example.org"), Err(HeaderError::MissingVersion));
    /// ```
    pub fn check(&self, domain: &str) -> Result<(), HeaderError> {
        let version = self.version.as_deref().ok_or(HeaderError::MissingVersion)?;
        if major(version) != Some(1) {
            return Err(HeaderError::UnsupportedVersion { found: excerpt(version) });
        }
        if self.id.as_deref().unwrap_or_default().is_empty() {
            return Err(HeaderError::MissingId);
        }
        match &self.from {
            Some(from) if !is_same_domain(from, domain) => {
                Err(HeaderError::ForeignDomain { expected: domain.into(), found: excerpt(from) })
            }
            _ => Ok(()),
        }
    }
}

/// The first number of `<major>.<minor>` (RFC 6120, section 4.7.5).
fn major(version: &str) -> Option<u32> {
    let (major, minor) = version.split_once('.')?;
    let number = |digits: &str| {
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
    };
    number(minor).and_then(|_: u32| number(major))
}

/// Whether two domains are the same as far as can be told without Unicode tables: a label in
/// Punycode is taken to be the same as any label that is not ASCII.
pub(crate) fn is_same_domain(a: &str, b: &str) -> bool {
    fn labels(domain: &str) -> impl Iterator<Item = &str> {
        domain.strip_suffix('.').unwrap_or(domain).split('.')
    }
    let is_encoded =
        |label: &str| label.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("xn--"));
    let same_label = |a: &str, b: &str| {
        a.eq_ignore_ascii_case(b)
            || (is_encoded(a) && !b.is_ascii())
            || (is_encoded(b) && !a.is_ascii())
            || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
    };
    labels(a).count() == labels(b).count()
        && labels(a).zip(labels(b)).all(|(a, b)| same_label(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::namespaces::FRAMING;

    fn good() -> StreamHeader {
        let element = Element::new("open", FRAMING)
            .with_attr("id", "s1")
            .with_attr("from", "example.org")
            .with_attr("to", "alice@example.org")
            .with_attr("version", "1.0")
            .with_attr("lang", "not this one")
            .with_attr_ns(XML, "lang", "en");
        StreamHeader::from_element(&element)
    }

    #[test]
    fn attributes_are_taken_as_they_are() {
        let some = |text: &str| Some(text.to_owned());
        let expected = StreamHeader {
            id: some("s1"),
            from: some("example.org"),
            to: some("alice@example.org"),
            version: some("1.0"),
            lang: some("en"),
        };
        assert_eq!(good(), expected);
        assert_eq!(good().check("example.org"), Ok(()));
        assert_eq!(StreamHeader::from_element(&Element::new("x", "")), StreamHeader::default());
    }

    #[test]
    fn versions_compare_as_numbers() {
        let check = |version: &str| {
            StreamHeader { version: Some(version.into()), ..good() }.check("example.org")
        };
        for taken in ["1.0", "1.13", "01.00"] {
            assert_eq!(check(taken), Ok(()), "{taken}");
        }
        for refused in ["", "1", "1.", ".0", "0.9", "2.0", "10.0", "+1.0", "1.0.0", "1.x", " 1.0"] {
            let error = HeaderError::UnsupportedVersion { found: refused.into() };
            assert_eq!(check(refused), Err(error), "{refused}");
        }
        let missing = StreamHeader { version: None, ..good() };
        assert_eq!(missing.check("example.org"), Err(HeaderError::MissingVersion));
        let long = HeaderError::UnsupportedVersion { found: "9".repeat(64) };
        assert_eq!(check(&"9".repeat(5000)), Err(long));
    }

    #[test]
    fn an_id_is_demanded() {
        for id in [None, Some(String::new())] {
            let header = StreamHeader { id, ..good() };
            assert_eq!(header.check("example.org"), Err(HeaderError::MissingId));
        }
    }

    #[test]
    fn from_must_be_the_domain_if_it_is_there() {
        let check = |from: &str, domain: &str| {
            StreamHeader { from: Some(from.into()), ..good() }.check(domain)
        };
        assert_eq!(StreamHeader { from: None, ..good() }.check("example.org"), Ok(()));
        for (from, domain) in [
            ("EXAMPLE.org", "example.org"),
            ("example.org.", "example.org"),
            ("m\u{fc}nchen.example", "xn--mnchen-3ya.example"),
            ("XN--mnchen-3ya.example", "m\u{fc}nchen.example"),
            ("M\u{dc}NCHEN.example", "m\u{fc}nchen.example"),
        ] {
            assert_eq!(check(from, domain), Ok(()), "{from}");
        }
        for (from, domain) in [
            ("", "example.org"),
            ("example.com", "example.org"),
            ("sub.example.org", "example.org"),
            ("alice@example.org", "example.org"),
            ("m\u{fc}nchen.example", "munchen.example"),
            ("xn--mnchen-3ya.example", "m\u{fc}nchen.example.org"),
        ] {
            let error = HeaderError::ForeignDomain { expected: domain.into(), found: from.into() };
            assert_eq!(check(from, domain), Err(error), "{from}");
        }
    }
}
