//! Errors that XMPP carries: of the stream and of SASL, and what they share with those of stanzas.
//!
//! What is to be done about one is decided elsewhere; a peer's text is only for people to read.

use std::fmt::{self, Write as _};

use epode_sasl::ApplicationCondition;

use super::excerpt;
use crate::jid::is_visible;
use crate::xml::Element;
use crate::xml::namespaces::{SASL, SASL2, STREAM, STREAMS, XML};

/// A text that a peer added to an error, at most 1,024 characters of it.
///
/// `Display` is fit for a terminal and a log: it is one line, and characters that control,
/// hide or reorder others are replaced. The field is the text as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Text {
    /// The text, without whitespace around it.
    pub text: String,
    /// Its language, where the error names one.
    pub lang: Option<String>,
}

/// An error that ended the stream (RFC 6120, section 4.9).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server ended the stream: {condition}{}", Quoted(.text))]
#[non_exhaustive]
pub struct StreamError {
    /// One of the conditions of RFC 6120; any other counts as `undefined-condition`.
    pub condition: String,
    /// What the server adds for people.
    pub text: Option<Text>,
    /// Where a `see-other-host` points: a host, perhaps with a port.
    pub see_other_host: Option<String>,
}

/// A failed login (RFC 6120, section 6.5).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server refused the login: {condition}{}", Quoted(.text))]
#[non_exhaustive]
pub struct SaslFailure {
    /// The condition as the server named it. An unknown one is kept if it looks like a name;
    /// otherwise, or without any, it is `not-authorized`.
    pub condition: String,
    /// What the server adds for people.
    pub text: Option<Text>,
    /// What it adds for programs (XEP-0388, section 2.6.2): the first element of a namespace of its
    /// own, name and namespace cut to 64 characters.
    pub application: Option<ApplicationCondition>,
}

impl StreamError {
    /// Reads `<error/>` in the stream namespace; `None` for any other element.
    ///
    /// ```
    /// use epode_proto::Element;
    /// use epode_proto::stream::StreamError;
    ///
    /// let error = StreamError::parse(&Element::parse(
    ///     "<error xmlns='http://etherx.jabber.org/streams'>\
    ///      <conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></error>",
    /// ).unwrap()).unwrap();
    /// assert_eq!(error.condition, "conflict");
    /// assert_eq!(error.to_string(), "the server ended the stream: conflict");
    /// ```
    #[must_use]
    pub fn parse(element: &Element) -> Option<Self> {
        if !element.is("error", STREAM) {
            return None;
        }
        let condition = defined(element, STREAMS, &STREAM_CONDITIONS);
        let host =
            element.child("see-other-host", STREAMS).filter(|_| condition == "see-other-host");
        Some(Self {
            condition: condition.into(),
            text: text(element, STREAMS),
            see_other_host: host.and_then(host_of),
        })
    }
}

impl SaslFailure {
    /// Reads `<failure/>` in the SASL namespace, or in that of SASL2; `None` for any other element.
    ///
    /// The condition is the first child in the SASL namespace other than `<text/>`, wherever it
    /// stands. In SASL2 it is in that namespace too; servers exist that write it in their own.
    ///
    /// ```
    /// use epode_proto::Element;
    /// use epode_proto::stream::SaslFailure;
    ///
    /// let failure = SaslFailure::parse(&Element::parse(
    ///     "<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>\
    ///      <text xml:lang='en'>Locked.</text><account-disabled/></failure>",
    /// ).unwrap()).unwrap();
    /// assert_eq!(failure.condition, "account-disabled");
    /// assert_eq!(
    ///     failure.to_string(),
    ///     r#"the server refused the login: account-disabled ("Locked.")"#
    /// );
    /// ```
    #[must_use]
    pub fn parse(element: &Element) -> Option<Self> {
        let profile = element.namespace();
        if element.name() != "failure" || ![SASL, SASL2].contains(&profile) {
            return None;
        }
        let found = condition(element, SASL).or_else(|| condition(element, profile));
        let found = found.filter(|name| is_plausible(name));
        let is_foreign = |child: &&Element| ![SASL, profile].contains(&child.namespace());
        let application = element.children().find(is_foreign).filter(|_| profile == SASL2);
        Some(Self {
            condition: found.unwrap_or(NOT_AUTHORIZED).into(),
            text: text(element, profile).or_else(|| text(element, SASL)),
            application: application.map(|child| ApplicationCondition {
                name: excerpt(child.name()),
                namespace: excerpt(child.namespace()),
            }),
        })
    }

    /// The condition by the rule of RFC 6120: an unknown one counts as `not-authorized`.
    #[must_use]
    pub fn defined_condition(&self) -> &'static str {
        let known = SASL_CONDITIONS.iter().find(|known| **known == self.condition);
        known.copied().unwrap_or(NOT_AUTHORIZED)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.text.chars() {
            f.write_char(match character {
                character if character.is_whitespace() => ' ',
                character if is_visible(character) => character,
                _ => char::REPLACEMENT_CHARACTER,
            })?;
        }
        Ok(())
    }
}

/// The peer's text at the end of a message of ours, if there is one.
pub(super) struct Quoted<'a>(pub(super) &'a Option<Text>);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |text| write!(f, " (\"{text}\")"))
    }
}

/// The name of the first child in the namespace that is not `<text/>`.
pub(super) fn condition<'a>(error: &'a Element, namespace: &str) -> Option<&'a str> {
    let mut conditions =
        error.children().filter(|child| child.namespace() == namespace && child.name() != "text");
    conditions.next().map(Element::name)
}

/// The condition if it is one of the `known`, else the one that stands for all others.
fn defined(error: &Element, namespace: &str, known: &[&'static str]) -> &'static str {
    let found = condition(error, namespace);
    known.iter().find(|known| Some(**known) == found).copied().unwrap_or(UNDEFINED)
}

/// The first text with something in it.
pub(crate) fn text(error: &Element, namespace: &str) -> Option<Text> {
    error.children().filter(|child| child.is("text", namespace)).find_map(|child| {
        let text = child.text();
        let text: String = text.trim_matches(XML_SPACE).chars().take(MAX_TEXT).collect();
        // `xml:lang` holds for everything inside the element that has it.
        let lang = child.attr_ns(XML, "lang").or_else(|| error.attr_ns(XML, "lang"));
        let lang = lang.filter(|lang| is_language(lang)).map(Into::into);
        (!text.is_empty()).then_some(Text { text, lang })
    })
}

fn host_of(see_other_host: &Element) -> Option<String> {
    let host = see_other_host.text();
    let host = host.trim_matches(XML_SPACE);
    let fits = (1..=MAX_HOST).contains(&host.len());
    (fits && host.chars().all(|c| !c.is_whitespace() && is_visible(c))).then(|| host.into())
}

/// Whether an unknown condition looks like those that are known.
fn is_plausible(condition: &str) -> bool {
    condition.len() <= MAX_CONDITION
        && condition.starts_with(|c: char| c.is_ascii_lowercase())
        && condition.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Whether it looks like a language tag (RFC 5646).
pub(crate) fn is_language(lang: &str) -> bool {
    (1..=MAX_LANG).contains(&lang.len())
        && lang.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

const XML_SPACE: [char; 4] = [' ', '\t', '\r', '\n'];
const MAX_TEXT: usize = 1024;
const MAX_CONDITION: usize = 64;
const MAX_LANG: usize = 64;
/// A domain of the greatest length, `:` and a port.
const MAX_HOST: usize = 1023 + ":65535".len();

const UNDEFINED: &str = "undefined-condition";
const NOT_AUTHORIZED: &str = "not-authorized";

const STREAM_CONDITIONS: [&str; 25] = [
    "bad-format",
    "bad-namespace-prefix",
    "conflict",
    "connection-timeout",
    "host-gone",
    "host-unknown",
    "improper-addressing",
    "internal-server-error",
    "invalid-from",
    "invalid-namespace",
    "invalid-xml",
    "not-authorized",
    "not-well-formed",
    "policy-violation",
    "remote-connection-failed",
    "reset",
    "resource-constraint",
    "restricted-xml",
    "see-other-host",
    "system-shutdown",
    "undefined-condition",
    "unsupported-encoding",
    "unsupported-feature",
    "unsupported-stanza-type",
    "unsupported-version",
];

const SASL_CONDITIONS: [&str; 11] = [
    "aborted",
    "account-disabled",
    "credentials-expired",
    "encryption-required",
    "incorrect-encoding",
    "invalid-authzid",
    "invalid-mechanism",
    "malformed-request",
    "mechanism-too-weak",
    "not-authorized",
    "temporary-auth-failure",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(inside: &str) -> SaslFailure {
        let xml = format!("<failure xmlns='{SASL}'>{inside}</failure>");
        SaslFailure::parse(&Element::parse(&xml).unwrap()).unwrap()
    }

    fn stream_error(inside: &str) -> StreamError {
        let xml = format!("<s:error xmlns:s='{STREAM}' xmlns='{STREAMS}'>{inside}</s:error>");
        StreamError::parse(&Element::parse(&xml).unwrap()).unwrap()
    }

    fn some_text(text: &str, lang: Option<&str>) -> Option<Text> {
        Some(Text { text: text.into(), lang: lang.map(Into::into) })
    }

    #[test]
    fn each_known_condition_is_kept() {
        for name in STREAM_CONDITIONS {
            assert_eq!(stream_error(&format!("<{name}/>")).condition, name);
        }
        for name in SASL_CONDITIONS {
            let failure = failure(&format!("<{name}/>"));
            assert_eq!((failure.condition.as_str(), failure.defined_condition()), (name, name));
        }
    }

    #[test]
    fn unknown_conditions_follow_the_rule_of_the_rfc() {
        for odd in
            ["", "<no-such-thing/>", "<Conflict/>", "<conflict xmlns='urn:x'/>", "<x><reset/></x>"]
        {
            assert_eq!(stream_error(odd).condition, "undefined-condition", "{odd}");
        }
    }

    #[test]
    fn an_unknown_sasl_condition_is_kept_if_it_looks_like_one() {
        let longest = "x".repeat(64);
        for name in ["bad-auth", "x-2", &longest] {
            let failure = failure(&format!("<{name}/>"));
            assert_eq!(failure.condition, name);
            assert_eq!(failure.defined_condition(), "not-authorized");
        }
        let too_long = format!("<{}/>", "x".repeat(65));
        for odd in ["", "<Bad-Auth/>", "<a_b/>", "<\u{e9}/>", "<aborted xmlns='urn:x'/>", &too_long]
        {
            assert_eq!(failure(odd).condition, "not-authorized", "{odd}");
        }
    }

    #[test]
    fn the_first_condition_counts_wherever_the_text_stands() {
        assert_eq!(failure("<text>x</text><aborted/><not-authorized/>").condition, "aborted");
        assert_eq!(
            failure("<x xmlns='urn:x'/><credentials-expired/>").condition,
            "credentials-expired"
        );
        assert_eq!(stream_error("<text>x</text><reset/><conflict/>").condition, "reset");
        assert_eq!(failure("<text>x</text>").condition, "not-authorized");
    }

    #[test]
    fn a_failure_of_sasl2_has_its_parts_in_any_order() {
        let parse = |inside: &str| {
            let xml = format!("<failure xmlns='{SASL2}'>{inside}</failure>");
            SaslFailure::parse(&Element::parse(&xml).unwrap()).unwrap()
        };
        let parts = [
            "<text xml:lang='en'>x</text>",
            "<config-version-mismatch xmlns='urn:xmpp:iap:0'/>",
            "<aborted xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
        ];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let failure = parse(&order.map(|part| parts[part]).concat());
            assert_eq!(failure.condition, "aborted");
            assert_eq!(failure.text, some_text("x", Some("en")));
            let application = failure.application.expect("there is one");
            assert_eq!(application.name, "config-version-mismatch");
            assert_eq!(application.namespace, "urn:xmpp:iap:0");
        }
        assert_eq!(parse("<credentials-expired/>").condition, "credentials-expired");
        assert_eq!(parse("<x xmlns='urn:x'/><text>y</text>").condition, "not-authorized");
        let long = parse(&format!("<x{} xmlns='urn:{}'/>", "y".repeat(99), "z".repeat(99)));
        let long = long.application.expect("there is one");
        assert_eq!((long.name.len(), long.namespace.len()), (64, 64));
    }

    #[test]
    fn the_first_text_is_kept_with_its_language() {
        let two =
            failure("<text xml:lang='en'>\n one </text><text xml:lang='de'>zwei</text><aborted/>");
        assert_eq!(two.text, some_text("one", Some("en")));
        assert_eq!(failure("<text/><text>two</text>").text, some_text("two", None));
        for wrong in ["", "en us", "\u{e9}", &"x".repeat(65)] {
            let failure = failure(&format!("<text xml:lang='{wrong}'>x</text>"));
            assert_eq!(failure.text, some_text("x", None), "{wrong}");
        }
        assert_eq!(failure("<text xmlns='urn:x'>x</text>").text, None);
        let inherited = format!("<failure xmlns='{SASL}' xml:lang='fr'><text>x</text></failure>");
        let inherited = SaslFailure::parse(&Element::parse(&inherited).unwrap()).unwrap();
        assert_eq!(inherited.text, some_text("x", Some("fr")));
    }

    #[test]
    fn a_long_text_is_cut() {
        let failure = failure(&format!("<aborted/><text>{}</text>", "\u{e9}".repeat(100_000)));
        assert_eq!(failure.text, some_text(&"\u{e9}".repeat(1024), None));
    }

    #[test]
    fn a_text_cannot_play_with_a_terminal() {
        let failure = failure("<aborted/><text>a\r\nb\tc\u{9b}31m\u{202e}d</text>");
        assert_eq!(failure.text, some_text("a\nb\tc\u{9b}31m\u{202e}d", None));
        assert_eq!(
            failure.to_string(),
            "the server refused the login: aborted (\"a b c\u{fffd}31m\u{fffd}d\")"
        );
    }

    #[test]
    fn another_host_is_given_where_it_can_be_one() {
        let host = |inside: &str| {
            stream_error(&format!("<see-other-host>{inside}</see-other-host>")).see_other_host
        };
        assert_eq!(host("\n [2001:db8::1]:9222 \n"), Some("[2001:db8::1]:9222".into()));
        let too_long = "x".repeat(1030);
        for wrong in ["", " ", "two words", "a\u{202e}b", &too_long] {
            assert_eq!(host(wrong), None, "{wrong}");
        }
        let later = stream_error("<conflict/><see-other-host>example.org</see-other-host>");
        assert_eq!((later.condition.as_str(), later.see_other_host), ("conflict", None));
    }

    #[test]
    fn other_elements_are_no_errors() {
        assert_eq!(StreamError::parse(&Element::new("error", "jabber:client")), None);
        assert_eq!(StreamError::parse(&Element::new("features", STREAM)), None);
        assert_eq!(SaslFailure::parse(&Element::new("failure", "urn:x")), None);
        assert_eq!(SaslFailure::parse(&Element::new("success", SASL)), None);
    }
}
