//! A BOSH session as a class of JavaScript: frames in, requests out, and the other way round.
//! HTTP is JavaScript's own.

use std::time::Duration;

use epode_proto::{
    Jid,
    bosh::{self, Attachment, End, Patience, RequestId, Response, Session},
};
use serde::Deserialize;
use wasm_bindgen::prelude::wasm_bindgen;
use zeroize::Zeroizing;

use crate::moment::{millis, time};

/// A BOSH session without I/O. After each call: `poll_frame` until there is none, `poll_request`
/// until there is none, then `is_over`, then `wake_at`.
///
/// What it refuses throws a text, and changes nothing.
#[wasm_bindgen]
pub struct Bosh {
    session: Session,
    /// Whose it is, once that is known.
    jid: Option<Jid>,
    /// The requests without an answer, under the numbers that JavaScript has for them.
    under_way: Vec<(u32, RequestId)>,
    last: u32,
    replaced: Option<u32>,
    rid: u64,
    is_poll: bool,
    body: Zeroizing<String>,
}

/// What is told as JSON.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Options {
    wait: Option<u16>,
    hold: Option<u8>,
    route: Option<String>,
    content_type: Option<String>,
    attempts: Option<u32>,
}

#[wasm_bindgen]
impl Bosh {
    /// A session that the first frame creates.
    ///
    /// # Errors
    ///
    /// A text that says which of the options is wrong, or that there is no randomness.
    #[wasm_bindgen(constructor)]
    pub fn new(options: &str) -> Result<Self, String> {
        let session = Session::new(Options::parse(options)?).map_err(|error| error.to_string())?;
        Ok(Self::with(session, None))
    }

    /// A session that somebody else has created and logged in: JSON with `jid`, `sid`, `rid`, and
    /// what else is known of it. If it is to be one of this account's, that is made sure of.
    ///
    /// # Errors
    ///
    /// A text that says what is wrong with the session, without its ids.
    pub fn attach(
        options: &str,
        session: &str,
        account: Option<String>,
        unix_millis: f64,
    ) -> Result<Self, String> {
        let attachment = Attachment::from_json(session).map_err(|error| error.to_string())?;
        if let Some(account) = account {
            let account: Jid = account.parse().map_err(|error| format!("the JID: {error}"))?;
            let checked = attachment.check(&account, unix_seconds(unix_millis));
            checked.map_err(|error| error.to_string())?;
        }
        let session = Session::attach(Options::parse(options)?, &attachment);
        Ok(Self::with(session, Some(attachment.jid().clone())))
    }

    /// A resource is bound: whose session it is.
    ///
    /// # Errors
    ///
    /// A text, if that is no address.
    pub fn bound(&mut self, jid: &str) -> Result<(), String> {
        self.jid = Some(jid.parse().map_err(|error| format!("the JID: {error}"))?);
        Ok(())
    }

    /// Whose session it is, if that is known.
    #[must_use]
    pub fn jid(&self) -> Option<String> {
        self.jid.as_ref().map(ToString::to_string)
    }

    /// Takes a frame to be sent.
    ///
    /// # Errors
    ///
    /// A text, if it is too large or too much waits, or the session is over.
    pub fn send(&mut self, frame: &str) -> Result<(), String> {
        self.session.send(frame.as_bytes()).map_err(|error| error.to_string())
    }

    /// The number of the next request to be posted, if one is due.
    pub fn poll_request(&mut self, now: f64) -> Option<u32> {
        let request = self.session.poll_request(time(now))?;
        self.replaced = request.replaces.and_then(|id| self.number_of(id));
        (self.rid, self.is_poll) = (request.rid(), request.is_poll());
        let body = String::from_utf8_lossy(request.body.as_bytes());
        self.body = Zeroizing::new(body.into_owned());
        self.last = self.last.wrapping_add(1);
        self.under_way.push((self.last, request.id));
        Some(self.last)
    }

    /// What that request says, once.
    #[must_use]
    pub fn body(&mut self) -> String {
        std::mem::take(&mut *self.body)
    }

    /// The request id of XEP-0124 of that request.
    #[must_use]
    pub fn rid(&self) -> f64 {
        self.rid as f64
    }

    /// Whether that request says nothing: the server may keep it waiting.
    #[must_use]
    pub fn is_poll(&self) -> bool {
        self.is_poll
    }

    /// The number of an earlier attempt at the same, which is to be given up.
    #[must_use]
    pub fn replaced(&self) -> Option<u32> {
        self.replaced
    }

    /// An answer came. Only that of status 200 has a body to look at.
    pub fn answered(&mut self, now: f64, number: u32, status: u16, body: &[u8]) {
        if let Some(id) = self.take(number) {
            self.session.handle_response(time(now), id, Response { status, body });
        }
    }

    /// There will be no answer.
    pub fn failed(&mut self, now: f64, number: u32) {
        if let Some(id) = self.take(number) {
            self.session.handle_failure(time(now), id);
        }
    }

    /// The next frame of the server's, if any.
    pub fn poll_frame(&mut self) -> Option<String> {
        let frame = self.session.poll_frame()?;
        Some(String::from_utf8_lossy(frame.as_bytes()).into_owned())
    }

    /// When to call `tick`, if nothing happens before.
    #[must_use]
    pub fn wake_at(&self) -> Option<f64> {
        self.session.poll_timeout().map(millis)
    }

    /// The moment has come that `wake_at` named.
    pub fn tick(&mut self, now: f64) {
        self.session.handle_timeout(time(now));
    }

    /// How long answers may take from now on, in whole seconds: so many times what the server may
    /// wait; and so many times that where it has no reason to wait. A few seconds are always
    /// granted beyond what it may wait.
    pub fn set_timeouts(&mut self, primary: f64, secondary: f64) {
        let wait = self.session.granted().wait.as_secs_f64();
        let known = |seconds: f64| Duration::try_from_secs_f64(seconds).unwrap_or_default();
        let span = |seconds: f64| known(seconds).max(LEAST_PATIENCE);
        let held = span((primary * wait).floor() - wait);
        self.session.set_patience(Patience::new(held, span((secondary * wait).floor())));
    }

    /// Whether the server has answered for a session that was taken over.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.session.is_confirmed()
    }

    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.session.end().is_some()
    }

    /// Whether it ended because the server could not be reached: it may still be there.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        matches!(self.session.end(), Some(End::GaveUp { .. }))
    }

    /// What it takes to go on with the session elsewhere, as JSON and as secret as a password; it
    /// is there once a resource is bound, until the session ends.
    #[must_use]
    pub fn attachment(&self, unix_millis: f64) -> Option<String> {
        if !self.session.can_be_handed_over() {
            return None;
        }
        let (jid, sid) = (self.jid.clone()?, self.session.sid()?);
        let attachment = Attachment::new(jid, sid, self.session.next_rid()).ok()?;
        let attachment = attachment.with_granted(*self.session.granted());
        let mut json = attachment.with_saved(unix_seconds(unix_millis)).to_json();
        Some(std::mem::take(&mut *json))
    }

    /// The session's id, which is as secret as a password.
    #[must_use]
    pub fn sid(&self) -> Option<String> {
        self.session.sid().map(str::to_owned)
    }

    /// The request id of the next new request.
    #[must_use]
    pub fn next_rid(&self) -> f64 {
        self.session.next_rid() as f64
    }

    /// The `Content-Type` of requests.
    #[must_use]
    pub fn content_type(&self) -> String {
        self.session.content_type().to_owned()
    }

    /// How many bytes of an answer are looked at; one byte more is enough to refuse it.
    #[must_use]
    pub fn response_limit(&self) -> u32 {
        u32::try_from(self.session.response_limit()).unwrap_or(u32::MAX)
    }
}

impl Bosh {
    /// How it ended, if it did.
    pub(crate) fn end(&self) -> Option<&End> {
        self.session.end()
    }

    fn with(session: Session, jid: Option<Jid>) -> Self {
        Self {
            session,
            jid,
            under_way: Vec::new(),
            last: 0,
            replaced: None,
            rid: 0,
            is_poll: false,
            body: Zeroizing::default(),
        }
    }

    fn take(&mut self, number: u32) -> Option<RequestId> {
        let place = self.under_way.iter().position(|(known, _)| *known == number)?;
        Some(self.under_way.swap_remove(place).1)
    }

    /// The number of a request, which is not waited for any more.
    fn number_of(&mut self, id: RequestId) -> Option<u32> {
        let place = self.under_way.iter().position(|(_, known)| *known == id)?;
        Some(self.under_way.swap_remove(place).0)
    }
}

impl Options {
    fn parse(json: &str) -> Result<bosh::Options, String> {
        let told: Self =
            serde_json::from_str(json).map_err(|error| format!("the options of BOSH: {error}"))?;
        // A page hands over what it has to send at once, and cannot be told to wait.
        let limits =
            bosh::Limits::default().with_request(LARGEST_REQUEST).with_waiting(MOST_WAITING);
        let mut options = bosh::Options::default().limits(limits);
        if let Some(wait) = told.wait {
            options = options.wait(Duration::from_secs(wait.into()));
        }
        if let Some(hold) = told.hold {
            options = options.hold(hold);
        }
        if let Some(route) = told.route {
            options = options.route(route);
        }
        if let Some(content_type) = told.content_type {
            options = options.content_type(content_type);
        }
        if let Some(attempts) = told.attempts {
            options = options.attempts(attempts);
        }
        Ok(options)
    }
}

fn unix_seconds(unix_millis: f64) -> u64 {
    (unix_millis / 1000.0) as u64
}

/// What a phone may need to find its network.
const LEAST_PATIENCE: Duration = Duration::from_secs(5);
const LARGEST_REQUEST: usize = 1024 * 1024;
const MOST_WAITING: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Kind, Machine, Protection, SecretKind};

    const OPTIONS: &str = r#"{"wait":30,"hold":1,"route":"xmpp:a:1","contentType":"text/xml"}"#;
    const SESSION: &str = r#"{"jid":"alice@example.com/web","rid":1774,"sid":"hunter2"}"#;
    const OPEN: &str = "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='example.com'/>";
    const CREATED: &str =
        "<body xmlns='http://jabber.org/protocol/httpbind' sid='a1' wait='30' requests='2'/>";

    fn opened() -> (Bosh, u32) {
        let mut bosh = Bosh::new(OPTIONS).expect("the options are good");
        bosh.send(OPEN).expect("it opens the stream");
        let number = bosh.poll_request(0.0).expect("the session is to be created");
        (bosh, number)
    }

    fn attached() -> Bosh {
        Bosh::attach("{}", SESSION, None, 0.0).expect("it is a session")
    }

    /// What a connection reports when this session ends, before it was open or after.
    fn reports(bosh: &Bosh, is_open: bool) -> Vec<String> {
        let options = r#"{"jid":"alice@example.com","mechanisms":[]}"#;
        let mut machine = Machine::new(options, SecretKind::None, String::new(), None).unwrap();
        if is_open {
            machine.opened_bosh(0.0, Protection::Encrypted).unwrap();
        }
        machine.bosh_ended(1.0, bosh).unwrap();
        let mut reports = Vec::new();
        while let Some(kind) = machine.poll() {
            if kind == Kind::Report {
                reports.push(machine.text());
            }
        }
        reports
    }

    #[test]
    fn a_session_is_created_and_can_be_taken_over_once_a_resource_is_bound() {
        let (mut bosh, number) = opened();
        let body = bosh.body();
        for part in ["wait='30'", "hold='1'", "route='xmpp:a:1'", "content='text/xml'"] {
            assert!(body.contains(part), "{part} in {body}");
        }
        assert_eq!((bosh.body().as_str(), bosh.rid() + 1.0), ("", bosh.next_rid()));
        bosh.answered(1.0, number, 200, CREATED.as_bytes());
        assert!(bosh.poll_frame().unwrap().starts_with("<open "));
        assert_eq!((bosh.sid().as_deref(), bosh.attachment(0.0)), (Some("a1"), None));
        bosh.bound("nonsense@").unwrap_err();
        bosh.bound("alice@example.com/web").unwrap();
        let json = bosh.attachment(1_000_000.0).unwrap();
        let rid = bosh.next_rid();
        let start = format!(r#"{{"jid":"alice@example.com/web","rid":{rid},"sid":"a1","wait":30"#);
        assert!(json.starts_with(&start) && json.ends_with(r#""saved":1000}"#), "{json}");
        let heir = Bosh::attach("{}", &json, Some("alice@example.com".to_owned()), 1_001_000.0);
        assert_eq!(heir.unwrap().next_rid(), rid);
    }

    #[test]
    fn options_and_sessions_that_are_none_are_refused() {
        let refused = |options: &str| Bosh::new(options).err().expect("it is refused");
        for options in ["", "[]", r#"{"wait":-1}"#, r#"{"hold":256}"#, r#"{"other":1}"#] {
            assert!(refused(options).starts_with("the options of BOSH: "), "{options}");
        }
        let attach = |session: &str, account: Option<&str>| {
            let account = account.map(str::to_owned);
            Bosh::attach("{}", session, account, 0.0).err().expect("it is refused")
        };
        assert!(attach("{}", None).starts_with("not the JSON object {jid, rid, sid}"));
        assert!(attach(SESSION, Some("@")).starts_with("the JID: "));
        let other = attach(SESSION, Some("bob@example.com"));
        assert!(other.contains("one of alice@example.com, not of bob@example.com"), "{other}");
        assert!(!other.contains("hunter2"), "{other}");
        let (mut bosh, _) = opened();
        assert_eq!(bosh.send("text").unwrap_err(), "the frame is not one XML element");
    }

    #[test]
    fn an_attempt_that_is_given_up_is_forgotten() {
        let (mut bosh, first) = opened();
        let body = bosh.body();
        bosh.failed(1.0, first);
        let second = bosh.poll_request(2.0).expect("it is asked again");
        assert_eq!((bosh.body(), bosh.replaced()), (body, None));
        let silence = bosh.wake_at().expect("an answer is waited for");
        bosh.tick(silence);
        let at = bosh.wake_at().unwrap_or(silence).max(silence);
        bosh.tick(at);
        let third = bosh.poll_request(at).expect("it is asked again");
        assert_eq!(bosh.replaced(), Some(second));
        assert_eq!(bosh.under_way.len(), 1);
        bosh.answered(at, second, 200, CREATED.as_bytes());
        assert_eq!(bosh.poll_frame(), None, "nobody waits for that answer");
        bosh.answered(at, third, 200, CREATED.as_bytes());
        assert!(bosh.poll_frame().is_some());
    }

    #[test]
    fn patience_is_a_part_of_what_the_server_may_wait() {
        // The session was created with 30 seconds.
        for (primary, secondary, expected) in [
            (1.1, 0.1, [35.0, 35.0]), // 3 seconds would be too little
            (1.5, 0.2, [45.0, 36.0]),
            (2.0, 0.39, [60.0, 41.0]),
            (0.0, 0.0, [35.0, 35.0]),
            (f64::NAN, f64::NEG_INFINITY, [35.0, 35.0]),
        ] {
            let (mut bosh, first) = opened();
            bosh.set_timeouts(primary, secondary);
            assert_eq!(bosh.wake_at(), Some(expected[0] * 1000.0), "{primary}");
            bosh.answered(0.0, first, 200, CREATED.as_bytes());
            while bosh.poll_frame().is_some() {}
            bosh.poll_request(5000.0).expect("the server is asked");
            assert!(bosh.is_poll());
            bosh.send("<presence xmlns='jabber:client'/>").unwrap();
            bosh.poll_request(30_000.0).expect("it is sent");
            assert!(!bosh.is_poll());
            let due = expected[1] * 1000.0; // the first is not kept waiting beside the second
            assert_eq!(bosh.wake_at().map(|at| at.min(due)), Some(due), "{secondary}");
        }
    }

    #[test]
    fn an_end_is_told_to_the_connection() {
        let (mut bosh, number) = opened();
        let machine =
            Machine::new(r#"{"jid":"a@b","mechanisms":[]}"#, SecretKind::None, String::new(), None);
        let early = machine.unwrap().bosh_ended(0.0, &bosh);
        assert_eq!(early.unwrap_err(), "the BOSH session is not over");
        bosh.answered(1.0, number, 404, b"");
        assert!(bosh.is_over() && !bosh.is_given_up());
        let told = reports(&bosh, true);
        assert!(told[1].starts_with(r#"{"code":2,"condition":"bad-service""#), "{told:?}");

        let mut bosh = attached();
        assert_eq!(bosh.jid().as_deref(), Some("alice@example.com/web"));
        let number = bosh.poll_request(0.0).expect("the server is asked");
        let gone = "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate' condition='item-not-found'/>";
        bosh.answered(1.0, number, 200, gone.as_bytes());
        let told = reports(&bosh, false);
        assert!(told[1].starts_with(r#"{"code":12,"condition":"item-not-found""#), "{told:?}");
    }

    /// A panic would end the module for good: whatever is answered, it is none.
    #[test]
    fn damaged_answers_are_no_panics() {
        let answer = format!(
            "{}<features xmlns='http://etherx.jabber.org/streams'/></body>",
            CREATED.replace("/>", ">")
        );
        for (at, damage) in (0..answer.len()).flat_map(|at| [(at, b'<'), (at, 0), (at, 0xff)]) {
            let mut damaged = answer.clone().into_bytes();
            damaged[at] = damage;
            let (mut bosh, number) = opened();
            bosh.answered(1.0, number, 200, &damaged);
            while bosh.poll_frame().is_some() {}
            let _ = (bosh.poll_request(2.0), bosh.wake_at(), bosh.attachment(f64::NAN));
            bosh.answered(f64::INFINITY, number, 500, &damaged);
            bosh.tick(f64::NAN);
        }
    }
}
