//! Requests that wait for their answers: which answer belongs to which request, and until when.
//! What is done with an answer is its owner's business.

use std::collections::HashMap;

use crate::{
    Element, Jid, Time,
    stanza::{IqType, StanzaError},
};

/// The requests (RFC 6120, section 8.2.3) of an account that wait for an answer, each with a `T`
/// that is given back with it.
///
/// An answer counts only if it comes from the one who was asked (section 8.1.2.1), whatever its
/// id: an id can be guessed, or seen by whoever else has it.
///
/// ```
/// use epode_proto::{Element, Requests, Time};
/// use std::time::Duration;
///
/// let mut requests = Requests::new("alice@example.org/desk".parse()?, 1000);
/// let ping = Element::parse("<iq xmlns='jabber:client' type='get' id='1' to='example.org'/>")?;
/// let deadline = Time::ZERO + Duration::from_secs(30);
/// assert!(requests.add(&ping, deadline, "ping").is_ok());
///
/// let forged = Element::parse("<iq xmlns='jabber:client' type='result' id='1' from='eve@example.net'/>")?;
/// assert!(requests.answered(&forged).is_none());
/// let pong = Element::parse("<iq xmlns='jabber:client' type='result' id='1' from='example.org'/>")?;
/// assert_eq!(requests.answered(&pong), Some(("ping", Ok(()))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Requests<T> {
    account: Jid,
    waiting: HashMap<String, Waiting<T>>,
    limit: usize,
    /// No request's time is over before.
    next: Option<Time>,
}

#[derive(Debug)]
struct Waiting<T> {
    /// Who was asked; nobody named means the account itself.
    asked: Option<Jid>,
    deadline: Time,
    owner: T,
}

/// Why a request is not taken; the owner comes back with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotARequest {
    /// It is no iq of type `get` or `set`.
    #[error("only an iq of type get or set is answered")]
    Kind,
    /// It has no id.
    #[error("the request has no id")]
    NoId,
    /// Its `to` is no address.
    #[error("the request's `to` is no address")]
    To,
    /// Another request with its id waits already.
    #[error("another request with the same id waits for its answer")]
    Twice,
    /// Too many wait already.
    #[error("too many requests wait for their answers")]
    TooMany,
}

impl<T> Requests<T> {
    /// None yet, of the account with this address; at most so many at a time.
    #[must_use]
    pub fn new(account: Jid, limit: usize) -> Self {
        Self { account, waiting: HashMap::new(), limit, next: None }
    }

    /// The account's address is another one now.
    pub fn set_account(&mut self, account: Jid) {
        self.account = account;
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Waits for the answer to this request, which is about to be sent.
    ///
    /// # Errors
    ///
    /// [`NotARequest`], with the owner.
    pub fn add(&mut self, iq: &Element, deadline: Time, owner: T) -> Result<(), (NotARequest, T)> {
        let Ok(asked) = iq.attr("to").map(str::parse).transpose() else {
            return Err((NotARequest::To, owner));
        };
        let is_request = matches!(IqType::of(iq), Some(IqType::Get | IqType::Set));
        match iq.attr("id").filter(|id| !id.is_empty()) {
            _ if !is_request => Err((NotARequest::Kind, owner)),
            None => Err((NotARequest::NoId, owner)),
            Some(id) if self.waiting.contains_key(id) => Err((NotARequest::Twice, owner)),
            Some(_) if self.waiting.len() >= self.limit => Err((NotARequest::TooMany, owner)),
            Some(id) => {
                self.waiting.insert(id.to_owned(), Waiting { asked, deadline, owner });
                self.next = Some(self.next.map_or(deadline, |next| next.min(deadline)));
                Ok(())
            }
        }
    }

    /// If the stanza answers a request: whose, and whether it was granted. A stanza that merely has
    /// the id of one changes nothing.
    pub fn answered(&mut self, stanza: &Element) -> Option<(T, Result<(), StanzaError>)> {
        let outcome = match IqType::of(stanza)? {
            IqType::Result => Ok(()),
            IqType::Error => Err(StanzaError::parse(stanza)?),
            IqType::Get | IqType::Set => return None,
        };
        let id = stanza.attr("id")?;
        let from = stanza.attr("from").map(str::parse).transpose().ok()?;
        let waiting = self.waiting.get(id)?;
        if !self.may_answer(from.as_ref(), waiting.asked.as_ref()) {
            return None;
        }
        Some((self.waiting.remove(id)?.owner, outcome))
    }

    /// The request of this id was not sent after all.
    pub fn withdraw(&mut self, id: &str) -> Option<T> {
        self.waiting.remove(id).map(|waiting| waiting.owner)
    }

    /// Those whose time is over.
    pub fn expire(&mut self, now: Time) -> Vec<T> {
        let late = self.waiting.iter().filter(|(_, waiting)| waiting.deadline <= now);
        let ids: Vec<String> = late.map(|(id, _)| id.clone()).collect();
        let late = ids.iter().filter_map(|id| self.withdraw(id)).collect();
        self.next = self.waiting.values().map(|waiting| waiting.deadline).min();
        late
    }

    /// When to look for those whose time is over; nobody's is before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        self.next
    }

    /// All of them: nobody will answer any more.
    pub fn clear(&mut self) -> impl Iterator<Item = T> + use<'_, T> {
        self.next = None;
        self.waiting.drain().map(|(_, waiting)| waiting.owner)
    }

    /// What the server says for the account has no sender, or the account itself; servers use their
    /// own address there too.
    fn may_answer(&self, from: Option<&Jid>, asked: Option<&Jid>) -> bool {
        let is_account = |jid: &Jid| *jid == self.account || *jid == self.account.bare();
        let is_server = |jid: &Jid| {
            jid.local().is_none()
                && jid.resource().is_none()
                && jid.domain().eq_ignore_ascii_case(self.account.domain())
        };
        match (from, asked) {
            (Some(from), Some(asked)) if from == asked => true,
            (None, asked) => asked.is_none_or(|asked| is_account(asked) || is_server(asked)),
            (Some(from), None) => is_account(from) || is_server(from),
            (Some(from), Some(asked)) => is_account(from) && is_account(asked),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::xml::namespaces::CLIENT;

    fn iq(kind: &str, id: &str, address: (&str, &str)) -> Element {
        let iq = Element::new("iq", CLIENT).with_attr("type", kind).with_attr("id", id);
        if address.1.is_empty() { iq } else { iq.with_attr(address.0, address.1) }
    }

    fn requests() -> Requests<&'static str> {
        Requests::new("alice@example.org/desk".parse().expect("it is an address"), 3)
    }

    fn at(seconds: u64) -> Time {
        Time::after(Duration::from_secs(seconds))
    }

    #[test]
    fn an_answer_comes_from_who_was_asked() {
        let account = ["", "alice@example.org", "alice@example.org/desk", "example.org"];
        let rows: [(&str, &[&str], &[&str]); 4] = [
            ("", &account, &["bob@example.org", "alice@example.org/phone", "example.net"]),
            (
                "alice@example.org",
                &["", "alice@example.org", "Alice@Example.org", "alice@example.org/desk"],
                &["example.org", "alice@example.org/phone", "eve@example.net"],
            ),
            (
                "example.org",
                &["", "example.org", "EXAMPLE.org"],
                &["alice@example.org", "example.org/x", "a.example.org", "eve@example.org"],
            ),
            (
                "bob@example.net/x",
                &["bob@example.net/x", "BOB@example.net/x"],
                &["", "bob@example.net", "bob@example.net/X", "example.net", "example.org", "@"],
            ),
        ];
        for (asked, good, bad) in rows {
            for (from, is_good) in
                good.iter().map(|it| (it, true)).chain(bad.iter().map(|it| (it, false)))
            {
                let mut requests = requests();
                requests.add(&iq("get", "1", ("to", asked)), at(9), "it").expect("it is one");
                let answered = requests.answered(&iq("result", "1", ("from", from)));
                let expected = is_good.then_some(("it", Ok(())));
                assert_eq!(answered, expected, "asked {asked:?}, answered by {from:?}");
                assert_eq!(requests.len(), usize::from(!is_good));
            }
        }
    }

    /// A component asks anybody, in the name of anybody at its domain.
    #[test]
    fn a_components_answer_comes_from_who_was_asked() {
        let component: Jid = "bridge.example.org".parse().expect("it is an address");
        for (asked, good, bad) in [
            ("bob@example.net/x", "bob@example.net/x", "bob@example.net"),
            ("example.org", "example.org", "bridge.example.org"),
            ("bridge.example.org", "bridge.example.org", "example.org"),
            ("carol@bridge.example.org", "carol@bridge.example.org", "bridge.example.org"),
        ] {
            let mut requests = Requests::new(component.clone(), 1);
            let request =
                iq("get", "1", ("to", asked)).with_attr("from", "dave@bridge.example.org");
            requests.add(&request, at(9), "it").expect("it is one");
            assert_eq!(requests.answered(&iq("result", "1", ("from", bad))), None, "{bad}");
            let answer = iq("result", "1", ("from", good));
            assert_eq!(requests.answered(&answer), Some(("it", Ok(()))), "{good}");
        }
    }

    #[test]
    fn what_nobody_asked_for_is_no_answer() {
        let mut requests = requests();
        requests.add(&iq("get", "1", ("to", "")), at(9), "it").expect("it is one");
        for stanza in [
            iq("result", "2", ("from", "")),
            iq("get", "1", ("from", "")),
            iq("results", "1", ("from", "")),
            Element::new("message", CLIENT).with_attr("type", "error").with_attr("id", "1"),
            Element::new("iq", "jabber:server").with_attr("type", "result").with_attr("id", "1"),
            Element::new("iq", CLIENT).with_attr("type", "result"),
        ] {
            assert_eq!(requests.answered(&stanza), None, "{stanza}");
        }
        assert!(requests.answered(&iq("result", "1", ("from", ""))).is_some());
        assert_eq!(requests.answered(&iq("result", "1", ("from", ""))), None, "only once");
    }

    #[test]
    fn a_refusal_is_typed() {
        let mut requests = requests();
        requests.add(&iq("set", "1", ("to", "")), at(9), "it").expect("it is one");
        let (owner, outcome) =
            requests.answered(&iq("error", "1", ("from", ""))).expect("it is the answer");
        let error = outcome.expect_err("it was refused");
        assert_eq!((owner, error.condition.as_str()), ("it", "undefined-condition"));
    }

    #[test]
    fn what_is_no_request_is_not_taken() {
        let mut requests = requests();
        let add = |requests: &mut Requests<_>, stanza: &Element| {
            requests.add(stanza, at(9), "it").map_err(|(why, _)| why)
        };
        for kind in ["result", "error", "", "Get"] {
            assert_eq!(add(&mut requests, &iq(kind, "1", ("to", ""))), Err(NotARequest::Kind));
        }
        let presence = Element::new("presence", CLIENT).with_attr("type", "get");
        assert_eq!(add(&mut requests, &presence), Err(NotARequest::Kind));
        assert_eq!(add(&mut requests, &iq("get", "", ("to", ""))), Err(NotARequest::NoId));
        assert_eq!(add(&mut requests, &iq("get", "1", ("to", "@"))), Err(NotARequest::To));
        for id in ["1", "2", "3"] {
            assert_eq!(add(&mut requests, &iq("get", id, ("to", ""))), Ok(()));
        }
        assert_eq!(add(&mut requests, &iq("get", "1", ("to", ""))), Err(NotARequest::Twice));
        assert_eq!(add(&mut requests, &iq("get", "4", ("to", ""))), Err(NotARequest::TooMany));
    }

    #[test]
    fn who_is_not_answered_in_time_is_told() {
        let mut requests = requests();
        for (id, deadline) in [("1", 10), ("2", 20), ("3", 30)] {
            requests.add(&iq("get", id, ("to", "")), at(deadline), id).expect("it is one");
        }
        assert_eq!((requests.next_deadline(), requests.expire(at(9))), (Some(at(10)), vec![]));
        assert_eq!((requests.expire(at(10)), requests.next_deadline()), (vec!["1"], Some(at(20))));
        assert_eq!(requests.answered(&iq("result", "1", ("from", ""))), None, "too late");
        let mut rest: Vec<_> = requests.clear().collect();
        rest.sort_unstable();
        assert_eq!((rest, requests.is_empty()), (vec!["2", "3"], true));
    }
}
