//! What moves a connection: a task that carries bytes, answers and moments to the machine and
//! does what the machine wants. It waits for everything at once, so that nothing that is slow,
//! the peer, the application or a person, keeps the rest from going on.

mod actions;
mod event;
mod handle;
mod inbox;
mod keeping;
mod progress;
mod receipts;
mod requests;
mod tokens;
mod transcript;

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use epode_proto::{
    ApiMisuse, Attempts, Connection, Element, Input, Jid, LoginReport, QuestionId, Reconnect,
    SessionMark, Status, Time, Wait, bosh::Attachment, sasl::scram::ScramKeys,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use self::{
    event::{Due, Event},
    inbox::{Advanced, HandledCount, Inbox},
    progress::{lost, reason},
    receipts::Receipts,
    requests::Pending,
    transcript::Transcript,
};
pub(crate) use self::{
    handle::{Closer, Command, Handle, Milestone, Reached, Standing, lock, stopped},
    inbox::{Mark, Parcel},
    transcript::TranscriptSink,
};
pub use self::{
    receipts::{Delivery, NotDelivered, Receipt},
    requests::RequestError,
};
use crate::{
    Direction, Error,
    answers::{Answers, Reply, ReplyFuture},
    handlers::Router,
    pins::Pinning,
    route::{Connector, Destination, Opened, Way},
    sessions::SessionStore,
    tokens::TokenKeeper,
    transport::{Link, News, TransportError},
};

pub(crate) type ReportSink = Box<dyn FnMut(&LoginReport) + Send>;

/// One session's task. What few sessions have at a time is in boxes: there may be thousands of them,
/// and each holds room for every field.
pub(crate) struct Driver {
    connection: Connection,
    zero: Instant,
    link: Option<Link>,
    /// When the next connection is begun.
    begins: Option<Instant>,
    opening: Option<Opening>,
    wake: Option<Instant>,
    /// Until when some of what waits to be sent must be out.
    stalls: Option<Stall>,
    question: Option<(QuestionId, ReplyFuture)>,
    answers: Answers,
    /// None once the application has let go of the session.
    commands: Option<mpsc::Receiver<Box<Command>>>,
    close: Option<oneshot::Receiver<()>>,
    end: Arc<OnceLock<Option<epode_proto::Error>>>,
    inbox: Inbox,
    router: Router,
    /// Which stanzas the application has handled, where that is counted.
    handled: Option<Box<HandledCount>>,
    /// Who waits for what they sent to be out.
    senders: Vec<(oneshot::Sender<Result<Receipt, Error>>, Receipt)>,
    receipts: Receipts,
    requests: Pending,
    /// What we told everybody last of being there, to say it again in a new session.
    presence: Option<Box<Element>>,
    statuses: Vec<mpsc::Sender<Status>>,
    transcript: Option<Box<Transcript>>,
    reports: Option<ReportSink>,
    connector: Connector,
    /// How to connect once more; none where that cannot be done.
    way: Option<Way>,
    /// Where the server says to connect to, once.
    elsewhere: Option<Box<Way>>,
    attempts: Attempts,
    /// The login that is under way is one in early data, or the last was, and its connection was lost.
    early: bool,
    pinning: Option<Box<Pinning>>,
    tokens: Option<Box<TokenKeeper>>,
    milestone: Option<Milestone>,
    standing: Arc<Mutex<Standing>>,
    keys: Option<Box<ScramKeys>>,
    sessions: Option<Arc<dyn SessionStore>>,
    /// What of the session is kept.
    kept: Option<Box<SessionMark>>,
    /// Who wants to hand the session over.
    heir: Option<oneshot::Sender<Result<Attachment, Error>>>,
    /// A fuller account of why it is over than the machine has.
    error: Option<Box<Error>>,
}

/// What is waited for while a peer may not read.
struct Stall {
    until: Instant,
    /// How far sending had come.
    sent: u64,
}

/// A connection that is being made, and whose session is taken over by it, if it is one (BOSH).
struct Opening {
    opened: Pin<Box<dyn Future<Output = Result<Opened, Error>> + Send>>,
    attached: Option<Jid>,
}

/// What a driver is given.
pub(crate) struct Parts {
    pub(crate) connection: Connection,
    pub(crate) answers: Answers,
    pub(crate) commands: mpsc::Receiver<Box<Command>>,
    pub(crate) close: oneshot::Receiver<()>,
    pub(crate) end: Arc<OnceLock<Option<epode_proto::Error>>>,
    pub(crate) inbox: mpsc::Sender<Parcel>,
    pub(crate) router: Router,
    pub(crate) statuses: Vec<mpsc::Sender<Status>>,
    pub(crate) transcript: Option<TranscriptSink>,
    pub(crate) reports: Option<ReportSink>,
    pub(crate) connector: Connector,
    pub(crate) reconnect: Reconnect,
    pub(crate) pinning: Option<Pinning>,
    pub(crate) tokens: Option<TokenKeeper>,
    pub(crate) standing: Arc<Mutex<Standing>>,
    pub(crate) sessions: Option<Arc<dyn SessionStore>>,
    pub(crate) milestone: Milestone,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        let counts = parts.sessions.is_some();
        Self {
            connection: parts.connection,
            zero: Instant::now(),
            link: None,
            begins: None,
            opening: None,
            wake: None,
            stalls: None,
            question: None,
            answers: parts.answers,
            commands: Some(parts.commands),
            close: Some(parts.close),
            end: parts.end,
            inbox: Inbox::new(parts.inbox),
            router: parts.router,
            handled: counts.then(|| Box::new(HandledCount::new())),
            senders: Vec::new(),
            receipts: Receipts::default(),
            requests: Pending::default(),
            presence: None,
            statuses: parts.statuses,
            transcript: parts.transcript.map(|sink| Box::new(Transcript::new(sink))),
            reports: parts.reports,
            connector: parts.connector,
            way: None,
            elsewhere: None,
            attempts: Attempts::new(parts.reconnect),
            early: false,
            pinning: parts.pinning.map(Box::new),
            tokens: parts.tokens.map(Box::new),
            milestone: Some(parts.milestone),
            standing: parts.standing,
            keys: None,
            sessions: parts.sessions,
            kept: None,
            heir: None,
            error: None,
        }
    }

    /// Connects, and goes on until the session has ended.
    ///
    /// No `async fn`, whose future would hold room for two drivers: the one that it is given, and
    /// the one that runs.
    pub(crate) fn run(mut self, destination: Destination) -> impl Future<Output = ()> + Send {
        self.way = destination.way();
        self.open(destination); // nothing of it happens before CONNECTING is reported
        async move {
            loop {
                self.act().await;
                if self.end.get().is_some() {
                    return self.inbox.leave();
                }
                self.keep_session(); // nothing has gone out yet
                self.release_senders();
                let event = self.event().await;
                self.take(event);
            }
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::News(News::Sent(Ok(()))) => {
                self.stalls = None;
                self.senders.drain(..).for_each(|(done, receipt)| drop(done.send(Ok(receipt))));
            }
            Event::News(News::Received(Ok(Some(frame)))) => {
                self.note(Direction::Received, &frame);
                self.handle(Input::Received(&frame));
            }
            Event::News(News::Received(Ok(None))) => {
                self.lose(lost("the server closed it without a word"));
            }
            Event::News(News::Moved) => self.keep_attachment(),
            Event::News(News::Quiet) => self.leave_to_heir(),
            Event::News(News::Sent(Err(error)) | News::Received(Err(error))) => {
                let reason = reason(&error);
                // TLS 1.3 tells only now that it does not like a client certificate.
                if self.milestone.is_some() && !error.is_temporary() {
                    self.error = Some(Box::new(error.into()));
                }
                self.lose(reason);
            }
            Event::Opened(opened, attached) => self.opened(*opened, attached),
            Event::Advanced(Advanced::Taken) => {}
            Event::Advanced(Advanced::Refused(request)) => self.refuse(&request),
            Event::Handled(count) => self.handle(Input::Handled(count)),
            Event::Answer((id, Reply::Answer(answer))) => self.handle(Input::Answered(id, answer)),
            Event::Answer((id, Reply::Task(answer))) => {
                self.handle(Input::AnsweredTask(id, answer));
            }
            Event::Command(command) => self.obey(*command),
            Event::HeirGone => {
                self.is_leaving(); // it is not any more
            }
            Event::Close => self.end(),
            Event::Due(Due::Begin) => self.begin(),
            Event::Due(Due::Tick) => {
                self.wake = None;
                if !self.listens() {
                    self.handle(Input::NotReading);
                }
                self.handle(Input::Tick);
            }
            Event::Due(Due::Requests) => self.requests.expire(),
            Event::Due(Due::Stalled) => self.stalled(),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            // It would keep the session from being handed over.
            Command::Send(_, done) if self.is_leaving() => drop(done.send(Err(Error::Ended))),
            Command::Send(stanza, done) => match self.send(stanza) {
                Ok(receipt) if self.link.is_some() => self.senders.push((done, receipt)),
                outcome => drop(done.send(outcome)),
            },
            Command::Request(request, span, owner) => self.request(request, span, owner),
            Command::SetActive(active) => self.handle(Input::SetActive(active)),
            Command::Bind(milestone) => match self.try_handle(Input::Bind) {
                Ok(()) => self.milestone = Some(milestone),
                Err(error) => drop(milestone.send(Err(error))),
            },
            Command::HandOver(heir) => self.hand_over(heir),
        }
    }

    /// What is not handed to the transport now waits for the server, and whoever sent it may be what
    /// keeps us from hearing it.
    fn release_senders(&mut self) {
        let waits = |(_, receipt): &mut (_, Receipt)| receipt.delivery() == Delivery::Queued;
        for (done, receipt) in self.senders.extract_if(.., waits) {
            let _ = done.send(Ok(receipt)); // whoever sent it may have gone
        }
    }

    fn send(&mut self, stanza: Element) -> Result<Receipt, Error> {
        let presence = is_own_presence(&stanza).then(|| Box::new(stanza.clone()));
        let now = self.now();
        let number = self.connection.send(now, stanza).map_err(Error::NotSent)?;
        self.presence = presence.or_else(|| self.presence.take());
        Ok(self.receipts.issue(number))
    }

    fn request(&mut self, request: Element, span: Duration, owner: requests::Owner) {
        let id = request.attr("id").unwrap_or_default().to_owned();
        if self.requests.add(&request, span, owner)
            && let Err(error) = self.send(request)
        {
            self.requests.withdraw(&id, error);
        }
    }

    /// The application has had enough.
    fn end(&mut self) {
        self.opening = None;
        if self.begins.take().is_some() {
            let _ = self.connection.renew(0); // to tell its end as ever
        }
        self.handle(Input::Close);
    }

    /// Makes the next connection.
    fn begin(&mut self) {
        self.begins = None;
        self.zero = Instant::now();
        let expired = self.connection.renew(unix_time());
        debug_assert!(expired.is_ok(), "there is none while we wait for the next");
        self.renew_token();
        if let Err(error) = self.renew_pin() {
            return self.opened(Err(error.into()), None);
        }
        let location = self.connection.session().location().and_then(|to| self.located(to));
        let way = self.elsewhere.take().map(|way| *way).or(location).or_else(|| self.way.clone());
        if let Some(way) = way {
            self.open(Destination::Way(way));
        }
    }

    fn open(&mut self, destination: Destination) {
        let attached = match &destination {
            Destination::Session { jid, .. } => Some(jid.clone()),
            _ => None,
        };
        let early = !mem::take(&mut self.early) && self.connection.may_begin_early();
        let connector = Connector { early, ..self.connector.clone() };
        let opened = Box::pin(async move { connector.open(destination).await });
        self.opening = Some(Opening { opened, attached });
    }

    fn opened(&mut self, opened: Result<Opened, Error>, attached: Option<Jid>) {
        match opened {
            Ok(Opened { link, channel, route }) => {
                lock(&self.standing).route = route;
                self.early = channel.is_early();
                let input = match attached {
                    Some(jid) => Input::Attached(jid),
                    None if self.early => Input::OpenedEarly(channel),
                    None if link.is_stream() => Input::OpenedTcp(channel),
                    None if link.is_bosh() => Input::OpenedBosh(channel),
                    None => Input::Opened(channel),
                };
                self.link = Some(link);
                self.handle(input);
            }
            Err(error) => {
                let reason = not_opened(&error);
                self.error = Some(Box::new(error));
                self.handle(match attached {
                    Some(_) => Input::NotAttached(reason),
                    None => Input::NotOpened(reason),
                });
            }
        }
    }

    fn lose(&mut self, reason: epode_proto::Error) {
        self.stalls = None;
        self.handle(Input::Lost(reason));
    }

    fn now(&self) -> Time {
        Time::after(self.zero.elapsed())
    }

    fn note(&mut self, direction: Direction, frame: &[u8]) {
        let Some(transcript) = &mut self.transcript else { return };
        let is_stream = self.link.as_ref().is_some_and(Link::is_stream);
        transcript.note(direction, frame, is_stream);
    }

    /// For inputs that the machine's rules allow at any time, or that came from the machine.
    fn handle(&mut self, input: Input<'_>) {
        if let Err(error) = self.try_handle(input) {
            tracing::debug!(%error, "too late");
        }
    }

    fn try_handle(&mut self, input: Input<'_>) -> Result<(), Error> {
        let now = self.now();
        self.connection.handle(now, input).map_err(|error: ApiMisuse| Error::NotSent(error))
    }
}

/// Why there is no connection, in the machine's terms.
fn not_opened(error: &Error) -> epode_proto::Error {
    match error {
        Error::Transport(TransportError::Bosh(end)) => epode_proto::Error::Bosh(end.clone()),
        error if error.condition() == "timeout" => epode_proto::Error::TimedOut(Wait::Transport),
        error => epode_proto::Error::Unreachable(error.to_string()),
    }
}

/// Presence that tells everybody, and not one.
fn is_own_presence(stanza: &Element) -> bool {
    stanza.name() == "presence"
        && stanza.attr("to").is_none()
        && matches!(stanza.attr("type"), None | Some("unavailable"))
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
