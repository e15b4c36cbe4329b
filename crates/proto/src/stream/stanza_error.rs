//! The error that answers a stanza (RFC 6120, section 8.3), to read and to write.
//!
//! Which stanza it is in, and to whom that goes, is decided elsewhere.

use std::fmt;

use super::error::{Quoted, Text, condition, text};
use super::is_language;
use crate::xml::Element;
use crate::xml::namespaces::{CLIENT, STANZAS, XML};

/// An error that answers a stanza (RFC 6120, section 8.3).
///
/// ```
/// use epode_proto::Element;
/// use epode_proto::stream::{StanzaError, StanzaErrorCondition, StanzaErrorKind};
///
/// let error = StanzaError::new(StanzaErrorCondition::NotAcceptable)
///     .with_text("too long", Some("en"))
///     .with_application(Element::new("too-long", "urn:example:errors"));
/// assert_eq!(error.kind, Some(StanzaErrorKind::Modify));
/// assert_eq!(error.to_string(), r#"the stanza was refused: not-acceptable ("too long")"#);
/// assert_eq!(
///     Element::from(error).to_string(),
///     "<error xmlns='jabber:client' type='modify'>\
///      <not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>\
///      <text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>too long</text>\
///      <too-long xmlns='urn:example:errors'/></error>"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the stanza was refused: {condition}{}", Quoted(.text))]
#[non_exhaustive]
pub struct StanzaError {
    /// What may help. `None` if it is missing or unknown.
    pub kind: Option<StanzaErrorKind>,
    /// What is wrong; any word that RFC 6120 does not have counts as `undefined-condition`.
    pub condition: StanzaErrorCondition,
    /// What the peer adds for people.
    pub text: Option<Text>,
    /// Where a `gone` or `redirect` points: a URI, as the peer wrote it.
    pub address: Option<String>,
    /// What the application defines: the first element of a namespace of its own.
    pub application: Option<Box<Element>>,
}

impl StanzaError {
    /// An error with the kind that RFC 6120 recommends for the condition.
    #[must_use]
    pub fn new(condition: StanzaErrorCondition) -> Self {
        let kind = Some(condition.usual_kind());
        Self { kind, condition, text: None, address: None, application: None }
    }

    /// Another kind than the usual one.
    #[must_use]
    pub fn with_kind(mut self, kind: StanzaErrorKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// A text for people, and its language.
    #[must_use]
    pub fn with_text(mut self, text: impl Into<String>, lang: Option<&str>) -> Self {
        self.text = Some(Text { text: text.into(), lang: lang.map(Into::into) });
        self
    }

    /// Where a `gone` or `redirect` points; nothing else has an address, and it is not written.
    #[must_use]
    pub fn with_address(mut self, uri: impl Into<String>) -> Self {
        self.address = Some(uri.into());
        self
    }

    /// An element of the application's own namespace that says more (RFC 6120, section 8.3.4).
    #[must_use]
    pub fn with_application(mut self, condition: impl Into<Element>) -> Self {
        self.application = Some(Box::new(condition.into()));
        self
    }

    /// Reads the error in a stanza; `None` if the stanza is not of type `error`.
    ///
    /// A stanza of that type without an `<error/>` is an `undefined-condition`.
    ///
    /// ```
    /// use epode_proto::Element;
    /// use epode_proto::stream::{StanzaError, StanzaErrorCondition, StanzaErrorKind};
    ///
    /// let error = StanzaError::parse(&Element::parse(
    ///     "<iq xmlns='jabber:client' type='error' id='1'><error type='modify'>\
    ///      <bad-request xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
    /// ).unwrap()).unwrap();
    /// assert_eq!(error.condition, StanzaErrorCondition::BadRequest);
    /// assert_eq!(error.condition, "bad-request");
    /// assert_eq!(error.kind, Some(StanzaErrorKind::Modify));
    /// ```
    #[must_use]
    pub fn parse(stanza: &Element) -> Option<Self> {
        if stanza.attr("type") != Some("error") {
            return None;
        }
        let Some(error) = stanza.child("error", stanza.namespace()) else {
            let condition = StanzaErrorCondition::UndefinedCondition;
            return Some(Self { kind: None, ..Self::new(condition) });
        };
        let condition = StanzaErrorCondition::parse(condition(error, STANZAS).unwrap_or_default());
        let own = |child: &&Element| ![STANZAS, stanza.namespace()].contains(&child.namespace());
        Some(Self {
            kind: error.attr("type").and_then(StanzaErrorKind::parse),
            condition,
            text: text(error, STANZAS),
            address: address(error, condition),
            application: error.children().find(own).cloned().map(Box::new),
        })
    }
}

impl From<StanzaError> for Element {
    /// `<error/>` in the namespace `jabber:client`.
    fn from(error: StanzaError) -> Self {
        let mut condition = Self::new(error.condition.as_str(), STANZAS);
        if let Some(address) = error.address.filter(|_| error.condition.has_address()) {
            condition.push(address);
        }
        // The type is not optional; what was read without one is written with the usual one.
        let kind = error.kind.unwrap_or_else(|| error.condition.usual_kind());
        let mut element =
            Self::new("error", CLIENT).with_attr("type", kind.as_str()).with_child(condition);
        if let Some(Text { text, lang }) = error.text {
            let mut child = Self::new("text", STANZAS).with_text(text);
            if let Some(lang) = lang.filter(|lang| is_language(lang)) {
                child.set_attr_ns(XML, "lang", lang);
            }
            element.push(child);
        }
        if let Some(application) = error.application {
            element.push(*application);
        }
        element
    }
}

/// What may help after a stanza error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StanzaErrorKind {
    /// Try again with credentials.
    Auth,
    /// Nothing: do not try again.
    Cancel,
    /// Go on; it was a warning.
    Continue,
    /// Change what was sent, and try again.
    Modify,
    /// Wait, and try again.
    Wait,
}

impl StanzaErrorKind {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Cancel => "cancel",
            Self::Continue => "continue",
            Self::Modify => "modify",
            Self::Wait => "wait",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Auth, Self::Cancel, Self::Continue, Self::Modify, Self::Wait]
            .into_iter()
            .find(|kind| kind.as_str() == name)
    }
}

/// The conditions as a table: what each is for, its name here and on the wire, its usual kind.
macro_rules! conditions {
    ($($(#[$doc:meta])+ $name:ident $wire:literal $kind:ident,)+) => {
        /// What is wrong with a stanza (RFC 6120, section 8.3.3).
        ///
        /// It compares with the words of the wire too: `error.condition == "item-not-found"`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum StanzaErrorCondition {
            $($(#[$doc])+ $name,)+
        }

        impl StanzaErrorCondition {
            const ALL: &[Self] = &[$(Self::$name),+];

            /// The word on the wire.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $wire,)+
                }
            }

            /// The kind that RFC 6120 recommends, the first where it names two.
            #[must_use]
            pub fn usual_kind(self) -> StanzaErrorKind {
                match self {
                    $(Self::$name => StanzaErrorKind::$kind,)+
                }
            }
        }
    };
}

conditions! {
    /// The stanza, or what is in it, is not as its specification says.
    BadRequest "bad-request" Modify,
    /// Something of that name or address is there already.
    Conflict "conflict" Cancel,
    /// The recipient does not know the feature.
    FeatureNotImplemented "feature-not-implemented" Cancel,
    /// The sender lacks the permission.
    Forbidden "forbidden" Auth,
    /// The recipient has left this address; see [`StanzaError::address`].
    Gone "gone" Cancel,
    /// The server is at fault.
    InternalServerError "internal-server-error" Cancel,
    /// What was addressed or asked for is not there.
    ItemNotFound "item-not-found" Cancel,
    /// An address is not one.
    JidMalformed "jid-malformed" Modify,
    /// It is understood, and does not meet the criteria of the recipient.
    NotAcceptable "not-acceptable" Modify,
    /// Nobody may do that.
    NotAllowed "not-allowed" Cancel,
    /// The sender has to log in first.
    NotAuthorized "not-authorized" Auth,
    /// It breaks a rule of the service.
    PolicyViolation "policy-violation" Modify,
    /// The recipient is away for now.
    RecipientUnavailable "recipient-unavailable" Wait,
    /// Ask elsewhere; see [`StanzaError::address`].
    Redirect "redirect" Modify,
    /// The sender has to register first.
    RegistrationRequired "registration-required" Auth,
    /// The server of the address does not exist.
    RemoteServerNotFound "remote-server-not-found" Cancel,
    /// The server of the address could not be reached in time.
    RemoteServerTimeout "remote-server-timeout" Wait,
    /// The service is too busy.
    ResourceConstraint "resource-constraint" Wait,
    /// The recipient does not offer that.
    ServiceUnavailable "service-unavailable" Cancel,
    /// The sender has to subscribe first.
    SubscriptionRequired "subscription-required" Auth,
    /// None of the others; the application's element may say more.
    UndefinedCondition "undefined-condition" Cancel,
    /// It is right, and came at the wrong moment.
    UnexpectedRequest "unexpected-request" Wait,
}

impl StanzaErrorCondition {
    fn parse(name: &str) -> Self {
        let known = Self::ALL.iter().find(|condition| condition.as_str() == name);
        known.copied().unwrap_or(Self::UndefinedCondition)
    }

    fn has_address(self) -> bool {
        matches!(self, Self::Gone | Self::Redirect)
    }
}

impl fmt::Display for StanzaErrorCondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq<str> for StanzaErrorCondition {
    fn eq(&self, name: &str) -> bool {
        self.as_str() == name
    }
}

impl PartialEq<&str> for StanzaErrorCondition {
    fn eq(&self, name: &&str) -> bool {
        self.as_str() == *name
    }
}

/// The URI in a condition that has one.
fn address(error: &Element, condition: StanzaErrorCondition) -> Option<String> {
    let found = error.child(condition.as_str(), STANZAS).filter(|_| condition.has_address())?;
    let text = found.text();
    let uri = text.trim_ascii();
    (1..=MAX_ADDRESS).contains(&uri.len()).then(|| uri.into())
}

/// The longest address there can be, each byte of it with an escape, and what stands around it.
const MAX_ADDRESS: usize = 3 * 3071 + 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(inside: &str) -> StanzaError {
        let xml = format!("<iq xmlns='jabber:client' type='error'>{inside}</iq>");
        StanzaError::parse(&Element::parse(&xml).unwrap()).unwrap()
    }

    /// Writes an error and reads it back.
    fn there_and_back(error: StanzaError) -> StanzaError {
        read(&Element::from(error).to_xml())
    }

    #[test]
    fn each_condition_comes_back() {
        assert_eq!(StanzaErrorCondition::ALL.len(), 22);
        for condition in StanzaErrorCondition::ALL {
            let name = condition.as_str();
            assert_eq!(
                read(&format!("<error><{name} xmlns='{STANZAS}'/></error>")).condition,
                name
            );
            let error = StanzaError::new(*condition);
            assert_eq!(there_and_back(error.clone()), error);
        }
    }

    #[test]
    fn unknown_conditions_are_undefined() {
        for odd in [
            "",
            "<error/>",
            "<error><conflict/></error>",
            "<error><no-such-thing xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
            "<conflict/>",
            "<error xmlns='urn:x'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>",
        ] {
            assert_eq!(read(odd).condition, StanzaErrorCondition::UndefinedCondition, "{odd}");
        }
    }

    #[test]
    fn kinds_are_read_and_written() {
        let kind = |name: &str| read(&format!("<error type='{name}'/>")).kind;
        for kinds in ["auth", "cancel", "continue", "modify", "wait"] {
            let found = kind(kinds).expect("it is known");
            let error = StanzaError::new(StanzaErrorCondition::Conflict).with_kind(found);
            assert_eq!((found.as_str(), there_and_back(error).kind), (kinds, Some(found)));
        }
        assert_eq!((kind(""), kind("Cancel"), read("").kind), (None, None, None));
    }

    #[test]
    fn the_application_part_is_the_first_of_a_foreign_namespace() {
        let own = Element::new("too-many", "urn:x").with_attr("limit", "<9>").with_text("'x'");
        let error = StanzaError::new(StanzaErrorCondition::PolicyViolation)
            .with_text("&", None)
            .with_application(own.clone());
        assert_eq!(there_and_back(error.clone()), error);
        let found = read(&format!(
            "<error><b/><x xmlns='{STANZAS}'/>{own}<too-late xmlns='urn:y'/></error>"
        ));
        assert_eq!(found.application, Some(Box::new(own)));
        assert_eq!(read("<error><b/></error>").application, None);
    }

    #[test]
    fn only_gone_and_redirect_have_an_address() {
        let uri = "xmpp:romeo@example.net?message;body=%26";
        for condition in [StanzaErrorCondition::Gone, StanzaErrorCondition::Redirect] {
            let error = StanzaError::new(condition).with_address(uri);
            assert_eq!(there_and_back(error.clone()), error);
        }
        let error = StanzaError::new(StanzaErrorCondition::Forbidden).with_address(uri);
        assert_eq!(there_and_back(error).address, None);
        let long = "x".repeat(MAX_ADDRESS + 1);
        for none in ["", " \n ", &long] {
            let gone = read(&format!("<error><gone xmlns='{STANZAS}'>{none}</gone></error>"));
            assert_eq!(gone.address, None);
        }
    }

    #[test]
    fn a_language_that_is_none_is_left_out() {
        let error = StanzaError::new(StanzaErrorCondition::Gone).with_text("x", Some("e n"));
        assert_eq!(there_and_back(error).text, Some(Text { text: "x".into(), lang: None }));
    }

    #[test]
    fn other_stanzas_are_no_errors() {
        let result = Element::new("iq", CLIENT).with_attr("type", "result");
        assert_eq!(StanzaError::parse(&result), None);
        assert_eq!(StanzaError::parse(&Element::new("iq", CLIENT)), None);
        let error = Element::new("iq", CLIENT).with_child(Element::new("error", CLIENT));
        assert_eq!(StanzaError::parse(&error), None);
    }
}
