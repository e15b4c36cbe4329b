//! A program with a session, and by hand its server: what each side says, as text.
//! The server decides nothing here; the tests are the server.

use std::time::Duration;

use epode_proto::{
    Action, ApiMisuse, Connection, Element, Error, Input, Phase, SessionState, Settings, Status,
    Time,
    framing::{self, tcp, websocket},
    sasl::{Channel, Secret},
    xml::{Limits, namespaces::CLIENT},
};

/// How frames lie on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    WebSocket,
    Tcp,
}

/// What a program hears of its session, but for statuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    Sent(u64),
    Acknowledged(u64),
    Unmanaged(u64),
    Dropped(u64),
    Quiet(bool),
    /// A stanza of this id.
    Delivered(String),
}

/// A program with one connection.
pub(crate) struct Client {
    pub(crate) connection: Connection,
    pub(crate) now: Time,
    wire: Wire,
    decoder: tcp::Decoder,
    wake: Option<Time>,
    /// How often it was asked to call.
    pub(crate) wakes: usize,
    pub(crate) statuses: Vec<Status>,
    sent: Vec<String>,
    news: Vec<News>,
    pub(crate) delivered: Vec<Element>,
    pub(crate) is_over: bool,
}

impl Client {
    pub(crate) fn new(wire: Wire, settings: Settings) -> Self {
        let mut client = Self {
            connection: Connection::new(settings),
            now: Time::ZERO,
            wire,
            decoder: tcp::Decoder::new(Limits::default()),
            wake: None,
            wakes: 0,
            statuses: Vec::new(),
            sent: Vec::new(),
            news: Vec::new(),
            delivered: Vec::new(),
            is_over: false,
        };
        client.collect();
        client
    }

    /// Logged in, with the features after the login just received, which offer binding and this.
    pub(crate) fn offered(wire: Wire, settings: Settings, features: &str) -> Self {
        let mut client = Self::new(wire, settings);
        client.log_in(features);
        client
    }

    /// Bound, with `<enable/>` just sent if `features` offer stream management.
    pub(crate) fn bound(wire: Wire, settings: Settings, features: &str) -> Self {
        let mut client = Self::offered(wire, settings, features);
        client.bind();
        client
    }

    /// Both sides count, and nothing was counted yet.
    pub(crate) fn managed(wire: Wire, settings: Settings) -> Self {
        let mut client = Self::bound(wire, settings, SM);
        assert_eq!(client.sent(), [ENABLE]);
        client.receive(ENABLED);
        client
    }

    pub(crate) fn log_in(&mut self, features: &str) {
        let channel = Channel::encrypted();
        self.input(match self.wire {
            Wire::WebSocket => Input::Opened(channel),
            Wire::Tcp => Input::OpenedTcp(channel),
        });
        for offered in [
            "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
             </mechanisms>",
            &format!("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>{features}"),
        ] {
            if self.statuses.len() > 1 {
                self.receive("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
            }
            self.sent.clear();
            self.receive(self.header());
            let features =
                format!("<features xmlns='http://etherx.jabber.org/streams'>{offered}</features>");
            self.receive(&features);
        }
    }

    fn header(&self) -> &'static str {
        match self.wire {
            Wire::WebSocket => {
                "<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='example.org' id='1' \
                 version='1.0'/>"
            }
            Wire::Tcp => {
                "<stream:stream xmlns='jabber:client' version='1.0' id='1' from='example.org' \
                 xmlns:stream='http://etherx.jabber.org/streams'>"
            }
        }
    }

    /// Grants the bind request that was sent.
    pub(crate) fn bind(&mut self) {
        let request: Element = self.sent.remove(0).parse().expect("it is XML");
        assert!(request.child("bind", "urn:ietf:params:xml:ns:xmpp-bind").is_some(), "{request}");
        self.receive(&format!(
            "<iq xmlns='jabber:client' type='result' id='{}'>\
             <bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>{JID}</jid></bind></iq>",
            request.attr("id").expect("a request has an id")
        ));
    }

    /// The server says this.
    pub(crate) fn receive(&mut self, xml: &str) {
        self.input(Input::Received(xml.as_bytes()));
    }

    /// The server closes its side.
    pub(crate) fn receive_close(&mut self) {
        self.receive(match self.wire {
            Wire::WebSocket => "<close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>",
            Wire::Tcp => tcp::CLOSE,
        });
    }

    /// The application sends a message of this id.
    pub(crate) fn send(&mut self, id: &str) -> u64 {
        self.try_send(message(id).parse().expect("it is XML")).expect("there is room")
    }

    pub(crate) fn try_send(&mut self, stanza: Element) -> Result<u64, ApiMisuse> {
        let number = self.connection.send(self.now, stanza);
        self.collect();
        number
    }

    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.connection.handle(self.now, input).expect("it is allowed");
        self.collect();
    }

    /// The transport breaks.
    pub(crate) fn lose(&mut self) {
        self.input(Input::Lost(lost()));
    }

    /// Begins the next connection.
    pub(crate) fn renew(&mut self) {
        self.connection.renew(NOW).expect("it is over");
        (self.now, self.wake, self.is_over) = (Time::ZERO, None, false);
        self.statuses.clear();
        self.sent.clear();
        self.collect();
    }

    /// Time passes, and the driver calls only at the moment that it was told last.
    pub(crate) fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut calls = 0;
        while let Some(wake) = self.wake.take_if(|wake| *wake <= end) {
            self.now = self.now.max(wake);
            self.input(Input::Tick);
            calls += 1;
            assert!(calls < 1000, "it calls and calls");
        }
        self.now = end;
    }

    /// When it wants to be called.
    pub(crate) fn wake(&self) -> Option<Duration> {
        self.wake.map(Time::since_zero)
    }

    /// What was sent since the last time, each as an element that stands alone.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        std::mem::take(&mut self.sent)
    }

    /// What was heard since the last time.
    pub(crate) fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// Why it is over.
    pub(crate) fn end(&self) -> Option<&Error> {
        assert!(self.is_over && self.connection.phase() == Phase::Closed, "it goes on");
        let Some(Status::Disconnected(error)) = self.statuses.last() else { panic!("not told") };
        error.as_ref()
    }

    /// What the connection leaves behind, as it is or by way of JSON.
    pub(crate) fn left(self, by_json: bool) -> SessionState {
        let state = self.connection.into_session();
        if by_json { through_json(&state) } else { state }
    }

    fn collect(&mut self) {
        while let Some(action) = self.connection.poll() {
            assert!(!self.is_over, "after the end came {action:?}");
            match action {
                Action::Transmit(frame) => self.note(frame.as_bytes()),
                Action::Report(status) => self.statuses.push(status),
                Action::Deliver(element) => {
                    let id = element.attr("id").unwrap_or_default().to_owned();
                    self.news.push(News::Delivered(id));
                    self.delivered.push(element);
                }
                Action::Sent(number) => self.news.push(News::Sent(number)),
                Action::Acknowledged(number) => self.news.push(News::Acknowledged(number)),
                Action::Unmanaged(number) => self.news.push(News::Unmanaged(number)),
                Action::Dropped(number) => self.news.push(News::Dropped(number)),
                Action::Quiet(quiet) => self.news.push(News::Quiet(quiet)),
                Action::WakeAt(time) => {
                    self.wakes += 1;
                    self.wake = Some(time);
                }
                Action::Disconnect => self.is_over = true,
                other => panic!("not expected: {other:?}"),
            }
        }
    }

    fn note(&mut self, frame: &[u8]) {
        let decoded = match self.wire {
            Wire::WebSocket => Some(websocket::decode(frame, &Limits::default())),
            Wire::Tcp if frame == b" " => return self.sent.push(" ".to_owned()),
            Wire::Tcp => {
                if frame.starts_with(b"<?xml") {
                    self.decoder = tcp::Decoder::new(Limits::default());
                }
                self.decoder.feed(frame);
                self.decoder.next_frame().transpose()
            }
        };
        self.sent.push(match decoded.expect("it is whole").expect("it is right") {
            framing::Frame::Open(_) => OPEN.to_owned(),
            framing::Frame::Close { .. } => CLOSE.to_owned(),
            framing::Frame::Element(element) => element.to_xml(),
        });
    }
}

/// The same test over both framings.
pub(crate) fn over_both(test: impl Fn(Wire)) {
    test(Wire::WebSocket);
    test(Wire::Tcp);
}

/// The same test with a session that is carried as it is, and by way of JSON.
pub(crate) fn carried_both_ways(test: impl Fn(Wire, bool)) {
    over_both(|wire| {
        test(wire, false);
        test(wire, true);
    });
}

pub(crate) fn through_json(state: &SessionState) -> SessionState {
    let json = state.to_json().expect("an address is bound");
    SessionState::from_json(&json).expect("it was written a moment ago")
}

pub(crate) fn settings() -> Settings {
    let jid = "alice@example.org".parse().expect("it is an address");
    Settings::new(jid, Secret::password("pencil")).unix_zero(NOW)
}

pub(crate) fn lost() -> Error {
    Error::ConnectionLost("cut off".to_owned())
}

pub(crate) fn message(id: &str) -> String {
    format!("<message xmlns='jabber:client' to='bob@example.net' id='{id}'/>")
}

pub(crate) fn stanza(xml: &str) -> Element {
    let element: Element = xml.parse().expect("it is XML");
    assert_eq!(element.namespace(), CLIENT);
    element
}

pub(crate) fn answer(handled: u32) -> String {
    format!("<a xmlns='urn:xmpp:sm:3' h='{handled}'/>")
}

pub(crate) fn resume(handled: u32) -> String {
    format!("<resume xmlns='urn:xmpp:sm:3' h='{handled}' previd='s1'/>")
}

pub(crate) fn resumed(handled: u32) -> String {
    format!("<resumed xmlns='urn:xmpp:sm:3' previd='s1' h='{handled}'/>")
}

pub(crate) fn delivered(id: &str) -> News {
    News::Delivered(id.to_owned())
}

pub(crate) const SM: &str = "<sm xmlns='urn:xmpp:sm:3'/>";
pub(crate) const ENABLE: &str = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";
pub(crate) const ENABLED: &str = "<enabled xmlns='urn:xmpp:sm:3' id='s1' resume='true' max='300'/>";
pub(crate) const FAILED: &str = "<failed xmlns='urn:xmpp:sm:3'>\
     <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>";
pub(crate) const REQUEST: &str = "<r xmlns='urn:xmpp:sm:3'/>";
pub(crate) const JID: &str = "alice@example.org/desk";
pub(crate) const OPEN: &str = "(header)";
pub(crate) const CLOSE: &str = "(close)";
/// 2027-01-15T08:00:00Z
pub(crate) const NOW: u64 = 1_800_000_000;
