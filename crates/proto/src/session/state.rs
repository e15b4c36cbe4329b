//! A session as it is carried from one connection to the next, and from one process to the next.
//! Where it is kept in between is the application's business.

use std::{collections::VecDeque, fmt};

use epode_sasl::json_object::{self, Unreadable};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    inbound::Inbound,
    outbound::{Kept, Outbound},
};
use crate::{
    Element, Jid, JidError,
    bosh::RestoreError,
    xml::{Limits, XmlError, parse_document},
};

/// What both sides have sent each other in a session with stream management (XEP-0198), as far as
/// it takes to go on: counts, and the stanzas that the server has not acknowledged.
///
/// A connection that is lost leaves it behind
/// ([`Connection::into_session`](crate::Connection::into_session)), the next one takes it up
/// ([`Settings::session`](crate::Settings::session)). It holds what was written to people, so it is
/// to be kept like their letters; alone it opens no session, since resuming needs a login first.
/// `Debug` shows no stanza.
///
/// ```
/// use epode_proto::SessionState;
///
/// let json = r#"{"jid":"alice@example.org/desk","id":"a7","in":12,"in_h":12,"out":3,"out_h":2,
///     "queue":[{"n":3,"at":1800000000,"xml":"<message xmlns='jabber:client' to='bob@example.org'/>"}]}"#;
/// let state = SessionState::from_json(json)?;
/// assert_eq!((state.received(), state.sent()), (12, 3));
/// assert_eq!(state.unacknowledged().count(), 1);
/// # Ok::<(), epode_proto::SessionStateError>(())
/// ```
#[derive(Clone, Default)]
pub struct SessionState {
    pub(crate) jid: Option<Jid>,
    pub(crate) stream: Option<Resumable>,
    pub(crate) outbound: Outbound,
    pub(crate) inbound: Inbound,
    pub(crate) alive: Option<u64>,
}

/// How the server finds the stream again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resumable {
    pub(crate) id: String,
    /// Where it had best be resumed: `host` or `host:port`.
    pub(crate) location: Option<String>,
    /// For how many seconds after the connection was lost.
    pub(crate) max: Option<u32>,
}

impl SessionState {
    /// The address that was bound, if one was.
    #[must_use]
    pub fn jid(&self) -> Option<&Jid> {
        self.jid.as_ref()
    }

    /// Whether the server may know the session still, so that it can be resumed.
    #[must_use]
    pub fn is_resumable(&self) -> bool {
        self.stream.is_some()
    }

    /// Where the server would have it resumed, as `host` or `host:port`, if it said so.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.stream.as_ref()?.location.as_deref()
    }

    /// How many stanzas were received in all.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.inbound.total
    }

    /// How many stanzas were sent in all, or wait to be.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.outbound.total
    }

    /// The stanzas that the server has not acknowledged, oldest first, those that were not sent yet
    /// among them.
    pub fn unacknowledged(&self) -> impl Iterator<Item = &Element> {
        self.outbound.queue.iter().map(|kept| &kept.stanza)
    }

    /// Whether this account may go on with it. A domain alone, which is a guest's account, may go
    /// on with any session there.
    ///
    /// # Errors
    ///
    /// [`RestoreError::OtherAccount`], and [`RestoreError::Nothing`] if no address was ever bound.
    pub fn check(&self, account: &Jid) -> Result<(), RestoreError> {
        let jid = self.jid.as_ref().ok_or(RestoreError::Nothing)?;
        RestoreError::check_owner(jid, account)
    }

    /// Gives up to resume it if the server has forgotten it by `now`, in seconds since 1970; what it
    /// did not acknowledge is kept. Says whether it can still be resumed.
    pub fn expire(&mut self, now: u64) -> bool {
        let expires = self
            .stream
            .as_ref()
            .and_then(|stream| Some(self.alive?.saturating_add(u64::from(stream.max?))));
        if expires.is_some_and(|expires| expires < now) {
            self.stream = None;
        }
        self.is_resumable()
    }

    /// As another process will find it: what the application has not handled was not received.
    #[must_use]
    pub fn snapshot(&self) -> Self {
        let received = self.inbound.total - self.inbound.pending() as u64;
        let inbound = Inbound::restored(received, self.inbound.handled);
        Self { inbound, ..self.clone() }
    }

    /// Where it stands: to see whether it has to be kept again.
    #[must_use]
    pub fn mark(&self) -> SessionMark {
        SessionMark {
            stream: self.stream.as_ref().map(|stream| stream.id.clone()),
            handled: (self.inbound.handled, self.inbound.total),
            sent: self.outbound.total,
            kept: self.outbound.size().0,
            minute: self.alive.map(|alive| alive / 60),
        }
    }

    /// Reads what [`to_json`](Self::to_json) wrote. Unknown members are passed over.
    ///
    /// # Errors
    ///
    /// [`SessionStateError`] says what is wrong, without quoting it.
    pub fn from_json(json: &str) -> Result<Self, SessionStateError> {
        let parsed: Json = json_object::read(json)?;
        let jid: Jid = parsed.jid.parse()?;
        if jid.resource().is_none() {
            return Err(SessionStateError::NoResource);
        }
        let mut queue = VecDeque::with_capacity(parsed.queue.len());
        let mut last = 0;
        for Stored { n: number, at, xml } in parsed.queue {
            if number <= last || number > parsed.sent {
                return Err(SessionStateError::Numbers);
            }
            last = number;
            queue.push_back(Kept { number, at, stanza: stanza(&xml)? });
        }
        let Json { location, max, alive, .. } = parsed;
        Ok(Self {
            jid: Some(jid),
            stream: parsed.id.map(|id| Resumable { id, location, max }),
            outbound: Outbound::restored(parsed.sent, parsed.sent_handled, queue),
            inbound: Inbound::restored(parsed.received, parsed.received_handled),
            alive,
        })
    }

    /// Writes it as one line of JSON, wiped on drop; nothing before an address is bound.
    #[must_use]
    pub fn to_json(&self) -> Option<Zeroizing<String>> {
        let stream = self.stream.as_ref();
        let stored =
            |kept: &Kept| Stored { n: kept.number, at: kept.at, xml: kept.stanza.to_xml() };
        let json = Json {
            jid: self.jid.as_ref()?.to_string(),
            id: stream.map(|stream| stream.id.clone()),
            location: stream.and_then(|stream| stream.location.clone()),
            max: stream.and_then(|stream| stream.max),
            alive: self.alive,
            received: self.inbound.total - self.inbound.pending() as u64,
            received_handled: self.inbound.handled,
            sent: self.outbound.total,
            sent_handled: self.outbound.handled,
            queue: self.outbound.queue.iter().map(stored).collect(),
        };
        let text = serde_json::to_string(&json).expect("strings and numbers always serialise");
        Some(Zeroizing::new(text))
    }
}

/// What we have sent is ours: the limits of what a server may send do not hold for it.
fn stanza(xml: &str) -> Result<Element, XmlError> {
    let limits = Limits::default()
        .with_depth(usize::MAX)
        .with_attributes(usize::MAX)
        .with_namespaces(usize::MAX)
        .with_token(xml.len())
        .with_stanza(xml.len());
    parse_document(xml.as_bytes(), &limits)
}

impl fmt::Debug for SessionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionState")
            .field("jid", &self.jid)
            .field("resumable", &self.is_resumable())
            .field("received", &self.received())
            .field("sent", &self.sent())
            .field("unacknowledged", &self.outbound.queue.len())
            .finish_non_exhaustive()
    }
}

/// Where a session stands ([`SessionState::mark`]). Another one means that it has moved on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionMark {
    stream: Option<String>,
    handled: (u32, u64),
    sent: u64,
    kept: usize,
    /// When it was alive, so that whoever keeps it knows when it expires.
    minute: Option<u64>,
}

/// Why a text is no session. No variant holds any part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionStateError {
    /// Not JSON, a member is missing or of the wrong type.
    #[error("not the JSON object of a session: {0}")]
    Json(#[from] Unreadable),
    /// `jid` is no address.
    #[error("`jid`: {0}")]
    Jid(#[from] JidError),
    /// `jid` has no resource.
    #[error("`jid` has no resource")]
    NoResource,
    /// The numbers of `queue` do not rise, or rise above `out`.
    #[error("the numbers in `queue` are not those of stanzas that were sent, in their order")]
    Numbers,
    /// A stanza of `queue` is not XML.
    #[error("a stanza in `queue`: {0}")]
    Xml(#[from] XmlError),
}

#[derive(Serialize, Deserialize)]
struct Json {
    jid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alive: Option<u64>,
    #[serde(rename = "in")]
    received: u64,
    #[serde(rename = "in_h")]
    received_handled: u32,
    #[serde(rename = "out")]
    sent: u64,
    #[serde(rename = "out_h")]
    sent_handled: u32,
    queue: Vec<Stored>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    n: u64,
    at: u64,
    xml: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{"jid":"alice@example.org/desk","id":"a7","location":"[::1]:5222","max":300,"alive":1000,"in":12,"in_h":11,"out":4,"out_h":2,"queue":[{"n":3,"at":900,"xml":"<message xmlns='jabber:client' to='bob@example.org'><body>hunter2</body></message>"},{"n":4,"at":901,"xml":"<presence xmlns='jabber:client'/>"}]}"#;
    const LEAST: &str =
        r#"{"jid":"alice@example.org/desk","in":0,"in_h":0,"out":0,"out_h":0,"queue":[]}"#;

    fn read(json: &str) -> SessionState {
        SessionState::from_json(json).expect("it is a session")
    }

    #[test]
    fn what_is_written_is_read() {
        for json in [WHOLE, LEAST] {
            assert_eq!(read(json).to_json().expect("it has an address").as_str(), json);
        }
        let state = read(WHOLE);
        assert_eq!((state.received(), state.sent()), (12, 4));
        assert_eq!(state.location(), Some("[::1]:5222"));
        let names: Vec<_> = state.unacknowledged().map(Element::name).collect();
        assert_eq!(names, ["message", "presence"]);
        assert!(SessionState::default().to_json().is_none());
    }

    #[test]
    fn each_damage_has_its_error() {
        let error = |json: &str| SessionState::from_json(json).expect_err("it is damaged");
        for length in 0..WHOLE.len() {
            let error = error(&WHOLE[..length]);
            assert!(matches!(error, SessionStateError::Json(_)), "{length}: {error}");
        }
        let jid = |jid: &str| error(&LEAST.replace("alice@example.org/desk", jid));
        assert_eq!(jid("@"), SessionStateError::Jid(JidError::LocalEmpty));
        assert_eq!(jid("alice@example.org"), SessionStateError::NoResource);
        for (good, bad) in [("\"n\":3", "\"n\":4"), ("\"n\":3", "\"n\":0"), ("\"n\":4", "\"n\":5")]
        {
            assert_eq!(error(&WHOLE.replace(good, bad)), SessionStateError::Numbers);
        }
        let broken = error(&WHOLE.replace("</body>", ""));
        assert!(matches!(broken, SessionStateError::Xml(_)), "{broken}");
        assert!(!broken.to_string().contains("hunter2"), "{broken}");
        assert_eq!(error(" []"), SessionStateError::Json(Unreadable { line: 1, column: 1 }));
    }

    #[test]
    fn a_session_is_its_accounts_alone() {
        let jid = |text: &str| text.parse::<Jid>().expect("it is an address");
        for account in ["Alice@EXAMPLE.org", "alice@example.org/phone", "example.org"] {
            assert_eq!(read(WHOLE).check(&jid(account)), Ok(()), "{account}");
        }
        for other in ["bob@example.org", "alice@example.net", "example.net"] {
            let error =
                RestoreError::OtherAccount { account: jid(other), found: jid("alice@example.org") };
            assert_eq!(read(WHOLE).check(&jid(other)), Err(error));
        }
        let none = SessionState::default().check(&jid("alice@example.org"));
        assert_eq!(none, Err(RestoreError::Nothing));
    }

    #[test]
    fn a_session_that_expired_keeps_its_stanzas() {
        let mut state = read(WHOLE);
        assert!(state.expire(1300));
        assert!(!state.expire(1301));
        assert_eq!(state.unacknowledged().count(), 2);
        let unlimited = WHOLE.replace(r#""max":300,"#, "");
        assert!(read(&unlimited).expire(u64::MAX), "only the server knows");
        assert!(!read(LEAST).expire(0));
    }

    #[test]
    fn a_snapshot_is_what_another_process_would_read() {
        let mut state = read(WHOLE);
        state.inbound.deliver();
        state.inbound.handle();
        state.outbound.push(Element::new("message", "jabber:client").with_attr("id", "5"), 9);
        assert_eq!((state.received(), state.sent()), (14, 5));

        let mut snapshot = state.snapshot();
        assert_eq!((snapshot.received(), snapshot.sent()), (12, 5));
        assert_eq!(snapshot.unacknowledged().count(), 3);
        assert_eq!(snapshot.to_json(), state.to_json());
        let json = state.to_json().expect("it has an address");
        assert_eq!(snapshot.mark(), read(&json).mark());
        assert!(!snapshot.inbound.handled_by_application(), "the other process was given nothing");
        assert!(!snapshot.inbound.is_repeated());

        // What goes on meanwhile is not in it, and nothing of the session was taken by it.
        assert!(state.inbound.handled_by_application());
        assert_eq!((state.snapshot().received(), snapshot.received()), (14, 12));
        let unbound = SessionState::default().snapshot();
        assert!(unbound.to_json().is_none() && !unbound.is_resumable());
    }

    #[test]
    fn nothing_shows_what_was_written() {
        let shown = format!("{:?}", read(WHOLE));
        assert!(!shown.contains("hunter2") && !shown.contains("a7"), "{shown}");
    }
}
