//! Questions and answers (RFC 6120, section 8.2.3), to build.
//!
//! Sending one and waiting for its answer is left to whoever has a connection.

use std::borrow::Borrow;

use super::{StanzaError, unguessable_id};
use crate::xml::namespaces::CLIENT;
use crate::{Element, Jid};

/// An iq that is being built. Each question starts with an id that nobody can foresee.
///
/// ```
/// use epode_proto::{Element, stanza::{Iq, IqType, StanzaError, StanzaErrorCondition}};
///
/// let ping = Element::new("ping", "urn:xmpp:ping");
/// let request: Element = Iq::get(ping).to("example.org".parse::<epode_proto::Jid>()?).into();
/// assert_eq!(IqType::of(&request), Some(IqType::Get));
///
/// let request = request.with_attr("from", "alice@example.org/x").with_attr("id", "p1");
/// assert_eq!(
///     Element::from(Iq::result(&request)).to_string(),
///     "<iq xmlns='jabber:client' type='result' to='alice@example.org/x' from='example.org' id='p1'/>"
/// );
/// let refusal = Iq::error(&request, StanzaError::new(StanzaErrorCondition::ServiceUnavailable));
/// assert_eq!(
///     Element::from(refusal).to_string(),
///     "<iq xmlns='jabber:client' type='error' to='alice@example.org/x' from='example.org' id='p1'>\
///      <error type='cancel'>\
///      <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
/// );
/// # Ok::<(), epode_proto::JidError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "an iq does nothing until it is sent"]
pub struct Iq {
    element: Element,
}

impl Iq {
    /// Asks for something. Without [`to`](Self::to) the server answers, for the account.
    pub fn get(payload: impl Into<Element>) -> Self {
        Self::of_type(IqType::Get).id(unguessable_id()).with(payload)
    }

    /// Asks that something be done. Without [`to`](Self::to) the server answers, for the account.
    pub fn set(payload: impl Into<Element>) -> Self {
        Self::of_type(IqType::Set).id(unguessable_id()).with(payload)
    }

    /// The answer to a request of type `get` or `set`: it has the id of the request, goes to its
    /// sender, and is from whoever was asked, which matters where that may be several
    /// (XEP-0114). Nothing else may be answered (RFC 6120, section 8.2.3).
    pub fn result(request: &Element) -> Self {
        Self::answer(IqType::Result, request)
    }

    /// The answer that refuses a request of type `get` or `set`, addressed as
    /// [`result`](Self::result) is.
    pub fn error(request: &Element, error: StanzaError) -> Self {
        Self::answer(IqType::Error, request).with(error)
    }

    fn answer(kind: IqType, request: &Element) -> Self {
        let mut answer = Self::of_type(kind);
        for (name, asked) in [("to", "from"), ("from", "to"), ("id", "id")] {
            if let Some(value) = request.attr(asked) {
                answer.element.set_attr(name, value);
            }
        }
        answer
    }

    fn of_type(kind: IqType) -> Self {
        Self { element: Element::new("iq", CLIENT).with_attr("type", kind.as_str()) }
    }

    /// Sets from whom it is: for components, which have many addresses. What a client says of that
    /// is left out when it is sent. An answer has that already.
    pub fn from(mut self, from: impl Borrow<Jid>) -> Self {
        self.element.set_attr("from", from.borrow().as_str());
        self
    }

    /// Sets whom it is for. An answer has that already.
    pub fn to(mut self, to: impl Borrow<Jid>) -> Self {
        self.element.set_attr("to", to.borrow().as_str());
        self
    }

    /// Sets the id, in place of the one that nobody can foresee. An answer has its own already.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.element.set_attr("id", id);
        self
    }

    /// Appends an element. A question has exactly one, a result at most one.
    pub fn with(mut self, payload: impl Into<Element>) -> Self {
        self.element.push(payload.into());
        self
    }
}

becomes_element!(Iq);

/// What an iq is (RFC 6120, section 8.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IqType {
    /// A question.
    Get,
    /// Something to be done.
    Set,
    /// The answer.
    Result,
    /// A refusal; [`StanzaError::parse`] says why.
    Error,
}

impl IqType {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Result => "result",
            Self::Error => "error",
        }
    }

    /// The type of an iq, `None` if the element is none or its type unknown.
    #[must_use]
    pub fn of(element: &Element) -> Option<Self> {
        let is_iq = element.is("iq", CLIENT);
        [Self::Get, Self::Set, Self::Result, Self::Error]
            .into_iter()
            .find(|kind| is_iq && element.attr("type") == Some(kind.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stanza::StanzaErrorCondition;

    fn ping() -> Element {
        Element::new("ping", "urn:xmpp:ping")
    }

    #[test]
    fn questions_have_a_type_an_id_and_a_payload() {
        for (iq, kind) in [(Iq::get(ping()), IqType::Get), (Iq::set(ping()), IqType::Set)] {
            let element = Element::from(iq);
            assert_eq!(IqType::of(&element), Some(kind));
            assert_eq!(element.attr("id").map(str::len), Some(32));
            assert_eq!(element.attr("to"), None);
            assert_eq!(element.children().collect::<Vec<_>>(), [&ping()]);
        }
        assert_ne!(Iq::get(ping()), Iq::get(ping()));
    }

    #[test]
    fn an_answer_goes_back_to_where_the_question_came_from() {
        let request = Element::from(Iq::set(ping()).id("<1>"))
            .with_attr("from", "juliet@a/'x'")
            .with_attr("to", "me@b/c");
        let error = StanzaError::new(StanzaErrorCondition::Forbidden);
        for (answer, kind) in
            [(Iq::result(&request), IqType::Result), (Iq::error(&request, error), IqType::Error)]
        {
            let element = Element::from(answer);
            assert_eq!(IqType::of(&element), Some(kind));
            let attributes: Vec<_> = element.attributes().map(|(_, name, _)| name).collect();
            assert_eq!(attributes, ["type", "to", "from", "id"]);
            assert_eq!(element.attr("to"), Some("juliet@a/'x'"));
            assert_eq!((element.attr("from"), element.attr("id")), (Some("me@b/c"), Some("<1>")));
        }
    }

    #[test]
    fn the_server_itself_is_answered_without_an_address() {
        let request = Element::from(Iq::get(ping()).id("1"));
        let answer = Element::from(Iq::result(&request).with(ping()));
        assert_eq!(
            answer.to_xml(),
            "<iq xmlns='jabber:client' type='result' id='1'><ping xmlns='urn:xmpp:ping'/></iq>"
        );
    }

    #[test]
    fn an_error_is_read_back() {
        let error = StanzaError::new(StanzaErrorCondition::ItemNotFound).with_text("no", None);
        let iq = Element::from(Iq::error(&Element::from(Iq::get(ping())), error.clone()));
        assert_eq!(StanzaError::parse(&iq), Some(error));
    }

    #[test]
    fn other_elements_have_no_type() {
        for none in ["", "GET", "query"] {
            let iq = Element::new("iq", CLIENT).with_attr("type", none);
            assert_eq!(IqType::of(&iq), None);
        }
        assert_eq!(IqType::of(&Element::new("iq", CLIENT)), None);
        assert_eq!(IqType::of(&Element::new("iq", "urn:x").with_attr("type", "get")), None);
    }
}
