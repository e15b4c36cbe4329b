//! A session with a clock, for tests that say what the server answers word for word.

use std::time::Duration;

use epode_proto::{
    Element, Time,
    bosh::{End, Options, Request, RequestId, Response, Session},
    framing::websocket,
};

pub(crate) struct Client {
    pub(crate) session: Session,
    pub(crate) now: Time,
}

impl Client {
    pub(crate) fn new(options: Options) -> Self {
        let session = Session::starting_at(options, FIRST_RID).expect("there is randomness");
        Self { session, now: Time::ZERO }
    }

    /// A session that was created with these attributes; all frames are taken.
    pub(crate) fn created(options: Options, attributes: &str) -> Self {
        let mut client = Self::new(options);
        client.open();
        let request = client.request();
        client.answer(&request, &format!("sid='a1' {attributes}"), "");
        assert_eq!(client.frames().len(), 1, "the header of the stream");
        client
    }

    /// A created session, as most servers grant it.
    pub(crate) fn usual() -> Self {
        Self::created(Options::default(), "wait='60' hold='1' requests='2' inactivity='30'")
    }

    pub(crate) fn open(&mut self) {
        let open = websocket::open("example.org", None, "en").to_xml();
        self.session.send(open.as_bytes()).expect("a stream can be opened");
    }

    pub(crate) fn send(&mut self, frame: &str) {
        self.session.send(frame.as_bytes()).expect("the frame is taken");
    }

    pub(crate) fn close(&mut self) {
        self.send(&websocket::close().to_xml());
    }

    /// The request that is due, once the time is over in which stanzas may be answered.
    pub(crate) fn request(&mut self) -> Request {
        self.poll().unwrap_or_else(|| {
            self.pass(Duration::from_millis(5));
            self.poll().expect("a request is due")
        })
    }

    pub(crate) fn poll(&mut self) -> Option<Request> {
        self.session.poll_request(self.now)
    }

    pub(crate) fn answer(&mut self, request: &Request, attributes: &str, inside: &str) {
        self.answer_id(request.id, attributes, inside);
    }

    pub(crate) fn answer_id(&mut self, id: RequestId, attributes: &str, inside: &str) {
        let body = format!(
            "<body xmlns='http://jabber.org/protocol/httpbind' \
             xmlns:stream='http://etherx.jabber.org/streams' {attributes}>{inside}</body>"
        );
        self.respond(id, 200, body.as_bytes());
    }

    pub(crate) fn respond(&mut self, id: RequestId, status: u16, body: &[u8]) {
        self.session.handle_response(self.now, id, Response { status, body });
    }

    pub(crate) fn fail(&mut self, request: &Request) {
        self.session.handle_failure(self.now, request.id);
    }

    pub(crate) fn frames(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_frame())
            .map(|frame| String::from_utf8(frame.as_bytes().to_vec()).expect("it is UTF-8"))
            .collect()
    }

    /// Lets the time pass until something is to be done, and how many seconds that took.
    pub(crate) fn sleep(&mut self) -> u64 {
        let next = self.session.poll_timeout().expect("something is to be done");
        let span = next.since_zero().saturating_sub(self.now.since_zero());
        self.pass(span);
        span.as_secs()
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        self.now = self.now + span;
        self.session.handle_timeout(self.now);
    }

    pub(crate) fn end(&self) -> Option<&End> {
        self.session.end()
    }
}

pub(crate) fn text(request: &Request) -> &str {
    std::str::from_utf8(request.body.as_bytes()).expect("it is UTF-8")
}

pub(crate) fn body(request: &Request) -> Element {
    Element::parse(text(request)).expect("a body is XML")
}

pub(crate) const FIRST_RID: u64 = 1000;
