//! What moves a connection: a task that carries bytes, answers and moments to the machine and
//! does what the machine wants. It waits for everything at once, so that nothing that is slow,
//! the peer, the application or a person, keeps the rest from going on.

mod inbox;
mod keeping;
mod receipts;
mod reconnect;
mod requests;
mod tokens;
mod transcript;

use std::{
    future::pending,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use epode_proto::{
    Action, ApiMisuse, Connected, Connection, Element, Explanation, Frame, Input, Jid, LoginReport,
    QuestionId, Reconnecting, SessionMark, Status, Time, Wait,
    bosh::Attachment,
    sasl::scram::ScramKeys,
    stanza::{Iq, StanzaError, StanzaErrorCondition},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use self::{
    inbox::{Advanced, HandledCount, Inbox},
    receipts::Receipts,
    reconnect::Attempts,
    requests::Pending,
    transcript::Transcript,
};
pub(crate) use self::{
    inbox::{Mark, Parcel},
    transcript::TranscriptSink,
};
pub use self::{
    receipts::{Delivery, NotDelivered, Receipt},
    reconnect::Reconnect,
    requests::RequestError,
};
use crate::{
    Direction, Error,
    answers::{Answers, Reply, ReplyFuture},
    handlers::{Handlers, Router},
    pins::{PinStoreError, Pinning},
    route::{Connector, Destination, Opened, Route, Way},
    sessions::SessionStore,
    tokens::TokenKeeper,
    transport::{Link, News, TransportError},
};

/// What the application can want of a running connection.
pub(crate) enum Command {
    Send(Element, oneshot::Sender<Result<Receipt, Error>>),
    Request(Element, Duration, requests::Owner),
    SetActive(bool),
    Bind(Milestone),
    HandOver(oneshot::Sender<Result<Attachment, Error>>),
}

/// The application's ends of a running connection. To drop all clones is to close it.
#[derive(Clone)]
pub(crate) struct Handle {
    /// Taken one at a time, while nothing waits to be sent. In boxes: a channel keeps room for
    /// many, and is empty most of the time.
    pub(crate) commands: mpsc::Sender<Box<Command>>,
    /// Taken at any time: whoever wants the end need not wait for a peer that does not read.
    pub(crate) close: Arc<Closer>,
    pub(crate) end: Arc<OnceLock<Option<epode_proto::Error>>>,
    /// Who we are, and how that came about.
    pub(crate) standing: Arc<Mutex<Standing>>,
    pub(crate) handlers: Handlers,
    /// Whether the server is silent.
    pub(crate) quiet: watch::Receiver<bool>,
}

/// To close it is to want the end, and so is to drop it.
pub(crate) struct Closer(Mutex<Option<oneshot::Sender<()>>>);

impl Closer {
    pub(crate) fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Mutex::new(Some(sender))), receiver)
    }

    pub(crate) fn close(&self) {
        drop(lock(&self.0).take());
    }
}

/// Who we are on the current connection, or were on the last.
#[derive(Default)]
pub(crate) struct Standing {
    pub(crate) jid: Option<Jid>,
    pub(crate) login: Option<Connected>,
    pub(crate) keys: Option<ScramKeys>,
    pub(crate) route: Route,
    /// Whether the server sends copies of messages (XEP-0280).
    pub(crate) has_carbons: bool,
    /// What it takes to go on with a BOSH session elsewhere, once there is one.
    pub(crate) attachment: Option<Box<Attachment>>,
}

impl Handle {
    pub(crate) fn standing(&self) -> MutexGuard<'_, Standing> {
        lock(&self.standing)
    }

    /// The error that says why nothing can be done any more.
    pub(crate) fn ended(&self) -> Error {
        match self.end.get() {
            Some(Some(reason)) => Error::Connection(reason.clone()),
            _ => Error::Ended,
        }
    }
}

/// How far the connection came.
pub(crate) enum Reached {
    Explained(Box<Explanation>),
    BindRequired(Option<Element>),
    Online,
}

/// Who waits to hear how far it came.
pub(crate) type Milestone = oneshot::Sender<Result<Reached, Error>>;

pub(crate) type ReportSink = Box<dyn FnMut(&LoginReport) + Send>;

/// One session's task.
pub(crate) struct Driver {
    connection: Connection,
    zero: Instant,
    link: Option<Link>,
    /// When the next connection is begun.
    begins: Option<Instant>,
    opening: Option<Opening>,
    wake: Option<Instant>,
    /// Until when what waits to be sent must be out.
    stalls: Option<Instant>,
    question: Option<(QuestionId, ReplyFuture)>,
    answers: Answers,
    /// None once the application has let go of the session.
    commands: Option<mpsc::Receiver<Box<Command>>>,
    close: Option<oneshot::Receiver<()>>,
    end: Arc<OnceLock<Option<epode_proto::Error>>>,
    inbox: Inbox,
    router: Router,
    /// Which stanzas the application has handled, where that is counted.
    handled: Option<HandledCount>,
    /// Who waits for what they sent to be out.
    senders: Vec<(oneshot::Sender<Result<Receipt, Error>>, Receipt)>,
    receipts: Receipts,
    requests: Pending,
    /// What we told everybody last of being there, to say it again in a new session.
    presence: Option<Element>,
    quiet: watch::Sender<bool>,
    statuses: Vec<mpsc::Sender<Status>>,
    transcript: Option<Box<Transcript>>,
    reports: Option<ReportSink>,
    connector: Connector,
    /// How to connect once more; none where that cannot be done.
    way: Option<Way>,
    /// Where the server says to connect to, once.
    elsewhere: Option<Way>,
    attempts: Attempts,
    pinning: Option<Pinning>,
    tokens: Option<TokenKeeper>,
    milestone: Option<Milestone>,
    standing: Arc<Mutex<Standing>>,
    keys: Option<ScramKeys>,
    sessions: Option<Arc<dyn SessionStore>>,
    /// What of the session is kept.
    kept: Option<SessionMark>,
    /// Who wants to hand the session over.
    heir: Option<oneshot::Sender<Result<Attachment, Error>>>,
    /// A fuller account of why it is over than the machine has.
    error: Option<Error>,
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
    pub(crate) quiet: watch::Sender<bool>,
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
            handled: counts.then(HandledCount::new),
            senders: Vec::new(),
            receipts: Receipts::default(),
            requests: Pending::default(),
            presence: None,
            quiet: parts.quiet,
            statuses: parts.statuses,
            transcript: parts.transcript.map(|sink| Box::new(Transcript::new(sink))),
            reports: parts.reports,
            connector: parts.connector,
            way: None,
            elsewhere: None,
            attempts: Attempts::new(parts.reconnect),
            pinning: parts.pinning,
            tokens: parts.tokens,
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

    fn open(&mut self, destination: Destination) {
        let attached = match &destination {
            Destination::Session { jid, .. } => Some(jid.clone()),
            _ => None,
        };
        let connector = self.connector.clone();
        let opened = Box::pin(async move { connector.open(destination).await });
        self.opening = Some(Opening { opened, attached });
    }

    fn opened(&mut self, opened: Result<Opened, Error>, attached: Option<Jid>) {
        match opened {
            Ok(Opened { link, channel, route }) => {
                lock(&self.standing).route = route;
                let input = match attached {
                    Some(jid) => Input::Attached(jid),
                    None if link.is_stream() => Input::OpenedTcp(channel),
                    None if link.is_bosh() => Input::OpenedBosh(channel),
                    None => Input::Opened(channel),
                };
                self.link = Some(link);
                self.handle(input);
            }
            Err(error) => {
                let reason = not_opened(&error);
                self.error = Some(error);
                self.handle(match attached {
                    Some(_) => Input::NotAttached(reason),
                    None => Input::NotOpened(reason),
                });
            }
        }
    }

    /// Waits for one thing to happen.
    async fn event(&mut self) -> Event {
        let due = self.next_due();
        let listens = self.listens();
        let sending = self.link.as_ref().is_some_and(Link::is_sending);
        let takes = !sending && self.connection.has_room();
        tokio::select! {
            news = exchange(&mut self.link, listens) => Event::News(news),
            opened = opened(&mut self.opening) => opened,
            advanced = self.inbox.advance(&mut self.router) => Event::Advanced(advanced),
            count = handled(&mut self.handled) => Event::Handled(count),
            answer = answer(&mut self.question), if self.question.is_some() => Event::Answer(answer),
            command = command(&mut self.commands), if takes => Event::Command(command),
            () = closing(&mut self.close) => Event::Close,
            () = gone(&mut self.heir) => Event::HeirGone,
            due = come(due) => Event::Due(due),
        }
    }

    /// What is due next, and when.
    fn next_due(&self) -> Option<(Instant, Due)> {
        let wake = self.wake.filter(|_| self.begins.is_none());
        let times = [
            (self.begins, Due::Begin),
            (wake, Due::Tick),
            (self.requests.next_deadline(), Due::Requests),
            (self.stalls, Due::Stalled),
        ];
        let known = times.into_iter().filter_map(|(at, due)| Some((at?, due)));
        known.min_by_key(|(at, _)| *at)
    }

    /// Whether to read from the connection. An application that waits for the answer to a request
    /// may not be reading; the answer must be able to come.
    fn listens(&self) -> bool {
        self.inbox.is_empty() || (!self.requests.is_empty() && !self.inbox.is_full())
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
                    self.error = Some(error.into());
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
                self.handle(Input::Tick);
            }
            Event::Due(Due::Requests) => self.requests.expire(),
            Event::Due(Due::Stalled) => self.lose(lost("the server takes nothing any more")),
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
        let presence = is_own_presence(&stanza).then(|| stanza.clone());
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
        let location = self.connection.session().location().and_then(|to| self.located(to));
        let way = self.elsewhere.take().or(location).or_else(|| self.way.clone());
        if let Some(way) = way {
            self.open(Destination::Way(way));
        }
    }

    /// Does all that the machine wants.
    async fn act(&mut self) {
        while self.begins.is_none() {
            let mut secures = false;
            while let Some(action) = self.connection.poll() {
                secures |= matches!(action, Action::Secure);
                self.perform(action).await;
                if self.begins.is_some() {
                    return;
                }
            }
            if !secures {
                return;
            }
            // In a box of its own: the task of an idle session should not hold room for a handshake.
            Box::pin(self.secure()).await; // by now its deadline is known
        }
    }

    async fn perform(&mut self, action: Action) {
        match action {
            Action::Transmit(frame) => self.transmit(&frame),
            Action::Ask(id, question) => {
                self.question = Some((id, self.answers.reply(question)));
            }
            Action::AskTask(id, offer) => self.question = Some((id, self.answers.do_task(offer))),
            Action::Report(status) => self.report(status),
            Action::Explain(explanation) => self.reach(Ok(Reached::Explained(explanation))),
            Action::Reported(report) => {
                if let Some(sink) = &mut self.reports {
                    sink(&report);
                }
            }
            Action::Keep(keys) => self.keys = Some(keys),
            Action::KeepToken(token) => self.keep_token(&token),
            Action::ForgetToken => self.forget_token(),
            Action::Remember(server) => self.remember(&server),
            Action::Deliver(element) => self.take_in(element),
            Action::Sent(number) => self.receipts.sent(number),
            Action::Acknowledged(number) => self.receipts.acknowledged(number),
            Action::Unmanaged(number) => self.receipts.unmanaged(number),
            Action::Dropped(number) => self.receipts.dropped(number),
            Action::Quiet(quiet) => drop(self.quiet.send_replace(quiet)),
            Action::WakeAt(time) => self.wake = Some(self.zero + time.since_zero()),
            Action::Disconnect => Box::pin(self.disconnect()).await,
            _ => {}
        }
    }

    /// An answer goes to who asked, everything else to the application.
    fn take_in(&mut self, stanza: Element) {
        let mark = self.handled.as_mut().map(HandledCount::mark);
        if let Some(stanza) = self.requests.answer(stanza) {
            self.inbox.push(stanza, mark);
        }
    }

    /// Nobody handles this request, so somebody else must not wait for the answer.
    fn refuse(&mut self, request: &Element) {
        let error = StanzaError::new(StanzaErrorCondition::ServiceUnavailable);
        let mut refusal = Element::from(Iq::error(request, error));
        let has_one_address =
            lock(&self.standing).jid.as_ref().is_some_and(|jid| jid.resource().is_some());
        // A component has many, and who asked one of them hears from no other.
        if let Some(asked) = request.attr("to").filter(|_| !has_one_address) {
            refusal.set_attr("from", asked);
        }
        if let Err(error) = self.send(refusal) {
            tracing::debug!(%error, "a request is not refused");
        }
    }

    fn transmit(&mut self, frame: &Frame) {
        self.note(Direction::Sent, frame.as_bytes());
        let Some(link) = &mut self.link else { return };
        self.stalls.get_or_insert_with(|| Instant::now() + STALL_LIMIT);
        match link.queue(frame.as_bytes()) {
            Ok(()) => {}
            // Nothing is lost but this one.
            Err(error @ TransportError::FrameTooLarge { .. }) if !self.senders.is_empty() => {
                let refused = self.senders.pop();
                refused.map(|(done, _)| done.send(Err(error.into())));
            }
            Err(error) => self.lose(reason(&error)),
        }
    }

    /// Changes the connection to TLS; meanwhile nothing else is said or heard.
    async fn secure(&mut self) {
        let wake = self.wake.unwrap_or(self.zero);
        let Some(link) = &mut self.link else { return };
        let secured = tokio::select! {
            secured = link.secure(&self.connector.domain, &self.connector.transport) => secured,
            () = closing(&mut self.close) => return self.handle(Input::Close),
            () = sleep_until(wake), if self.wake.is_some() => {
                self.wake = None;
                return self.handle(Input::Tick);
            }
        };
        self.stalls = None;
        match secured {
            Ok(channel) => self.handle(Input::Secured(channel)),
            Err(error) => {
                let reason = reason(&error);
                self.error = Some(error.into());
                self.lose(reason);
            }
        }
    }

    async fn disconnect(&mut self) {
        self.question = None;
        self.wake = None;
        if let Some(mut link) = self.link.take() {
            // The stream is over; what the transport still has to say changes nothing.
            let _ = tokio::time::timeout(CLOSE_LIMIT, link.close()).await;
        }
    }

    fn report(&mut self, status: Status) {
        if let Status::Connected(connected) = &status
            && let Err(error) = self.pin(connected)
        {
            self.error = Some(error.into());
            return self.handle(Input::Close);
        }
        let status = match status {
            Status::Disconnected(Some(reason)) => self.again(reason),
            // It is no failure.
            Status::ConnFail(reason) | Status::Error(reason)
                if self.redirected(&reason).is_some() || self.begins_anew(&reason) =>
            {
                return;
            }
            status => status,
        };
        tracing::debug!(%status, "status");
        for watcher in &self.statuses {
            let _ = watcher.try_send(status.clone()); // a full one has stopped watching
        }
        match status {
            Status::BindRequired => {
                let features = self.connection.features().cloned();
                self.reach(Ok(Reached::BindRequired(features)));
            }
            Status::Connected(connected) => self.connected(connected),
            Status::Attached(jid) => {
                self.begin_session(jid);
                self.reach(Ok(Reached::Online));
            }
            Status::ComponentConnected(jid) => {
                self.attempts.connected(false);
                self.begin_session(jid);
                self.requests.begin_anew();
                self.reach(Ok(Reached::Online));
            }
            // Nobody waits for an answer any more.
            Status::AuthFail(_) | Status::Disconnecting => self.question = None,
            Status::Disconnected(reason) => self.conclude(reason),
            _ => {}
        }
    }

    /// The connection is over: whether it is made anew, and when.
    fn again(&mut self, reason: epode_proto::Error) -> Status {
        let is_session = self.milestone.is_none() && self.connection.session().jid().is_some();
        if let Some((place, way)) = self.redirected(&reason) {
            self.attempts.follow();
            self.wait(Duration::ZERO);
            self.elsewhere = Some(way);
            return Status::Redirect(place);
        }
        if self.begins_anew(&reason) {
            self.wait(Duration::ZERO);
            return Status::Reconnecting(Reconnecting::new(1, Duration::ZERO, reason));
        }
        let is_wanted = is_session && self.way.is_some() && self.commands.is_some();
        match self.attempts.next(&reason).filter(|_| is_wanted) {
            Some((attempt, span)) => {
                self.wait(span);
                Status::Reconnecting(Reconnecting::new(attempt, span, reason))
            }
            None => Status::Disconnected(Some(reason)),
        }
    }

    fn wait(&mut self, span: Duration) {
        self.router.set_connected(false);
        self.link = None; // to close it in good order could end the session
        (self.wake, self.stalls, self.question, self.error) = (None, None, None, None);
        if let Some(transcript) = &mut self.transcript {
            transcript.begin_anew();
        }
        self.forget_attachment(None);
        self.senders.drain(..).for_each(|(done, receipt)| drop(done.send(Ok(receipt))));
        self.begins = Some(Instant::now() + span);
    }

    fn connected(&mut self, connected: Connected) {
        let is_new = !connected.resumed;
        self.attempts.connected(connected.resumed);
        self.token_accepted(&connected.mechanism);
        if let Some(keys) = self.keys.take() {
            lock(&self.standing).keys = Some(keys);
        }
        self.begin_session(connected.jid.clone());
        let mut standing = lock(&self.standing);
        // A session that was resumed is as it was.
        standing.has_carbons = connected.carbons || (connected.resumed && standing.has_carbons);
        standing.login = Some(connected);
        drop(standing);
        if is_new {
            self.requests.begin_anew();
            if let Some(presence) = self.presence.clone()
                && let Err(error) = self.send(presence)
            {
                tracing::debug!(%error, "presence is not sent again");
            }
        }
        self.reach(Ok(Reached::Online));
    }

    fn begin_session(&mut self, jid: Jid) {
        self.router.set_connected(true);
        self.requests.set_account(&jid);
        lock(&self.standing).jid = Some(jid);
        self.keep_attachment();
    }

    /// Keeps what this login has proved the server to offer.
    fn pin(&self, connected: &Connected) -> Result<(), PinStoreError> {
        match (&self.pinning, &connected.pin) {
            (Some(pinning), Some(pin)) => pinning.keep(pin),
            _ => Ok(()),
        }
    }

    fn reach(&mut self, reached: Result<Reached, Error>) {
        if let Some(milestone) = self.milestone.take() {
            let _ = milestone.send(reached); // whoever waited may have stopped
        }
    }

    /// It is over: everybody who waits is told why.
    fn conclude(&mut self, reason: Option<epode_proto::Error>) {
        let _ = self.end.set(reason.clone()); // nobody else sets it
        self.forget_attachment(reason.as_ref());
        self.forget_session(reason.as_ref());
        let error = match (reason, self.error.take()) {
            (Some(reason), None) => Error::Connection(reason),
            (Some(reason), Some(_)) if !is_of_transport(&reason) => Error::Connection(reason),
            (_, Some(error)) => error,
            (None, None) => Error::Ended,
        };
        self.senders.drain(..).for_each(|(done, _)| drop(done.send(Err(error.clone()))));
        self.requests.end(&error);
        self.reach(Err(error));
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

/// Why there is no connection any more, in the machine's terms.
fn reason(error: &TransportError) -> epode_proto::Error {
    match error {
        TransportError::Bosh(end) => epode_proto::Error::Bosh(end.clone()),
        error => lost(&error.to_string()),
    }
}

fn lost(words: &str) -> epode_proto::Error {
    epode_proto::Error::ConnectionLost(words.to_owned())
}

/// Whether the machine knows no more than that the transport failed.
fn is_of_transport(reason: &epode_proto::Error) -> bool {
    use epode_proto::Error::{ConnectionLost, TimedOut, Unreachable};

    matches!(reason, ConnectionLost(_) | TimedOut(Wait::Transport) | Unreachable(_))
}

enum Event {
    News(News),
    Opened(Box<Result<Opened, Error>>, Option<Jid>),
    /// The stanza that waited first has found its place.
    Advanced(Advanced),
    /// The application has handled so many more.
    Handled(u32),
    Answer((QuestionId, Reply)),
    Command(Box<Command>),
    Close,
    /// Nobody wants to hand the session over any more.
    HeirGone,
    Due(Due),
}

/// What it is time for.
#[derive(Clone, Copy)]
enum Due {
    /// The next connection.
    Begin,
    /// What the machine wanted to be told.
    Tick,
    /// The end of requests that nobody has answered.
    Requests,
    /// The end of a connection whose peer does not read.
    Stalled,
}

async fn exchange(link: &mut Option<Link>, listens: bool) -> News {
    match link {
        Some(link) => link.exchange(listens).await,
        None => pending().await,
    }
}

async fn opened(opening: &mut Option<Opening>) -> Event {
    let Some(Opening { opened, .. }) = opening else { return pending().await };
    let opened = opened.await;
    let attached = opening.take().and_then(|opening| opening.attached);
    Event::Opened(Box::new(opened), attached)
}

async fn handled(count: &mut Option<HandledCount>) -> u32 {
    match count {
        Some(count) => count.more().await,
        None => pending().await,
    }
}

async fn come(due: Option<(Instant, Due)>) -> Due {
    let Some((at, due)) = due else { return pending().await };
    sleep_until(at).await;
    due
}

/// Takes the question away once its answer is there.
async fn answer(question: &mut Option<(QuestionId, ReplyFuture)>) -> (QuestionId, Reply) {
    let Some((id, future)) = question else { return pending().await };
    let answered = (*id, future.await);
    *question = None;
    answered
}

async fn command(commands: &mut Option<mpsc::Receiver<Box<Command>>>) -> Box<Command> {
    match commands {
        Some(receiver) => match receiver.recv().await {
            Some(command) => command,
            None => {
                *commands = None;
                pending().await
            }
        },
        None => pending().await,
    }
}

async fn gone<T>(heir: &mut Option<oneshot::Sender<T>>) {
    match heir {
        Some(heir) => heir.closed().await,
        None => pending().await,
    }
}

/// Until the application wants the end, or has let go of the connection.
async fn closing(close: &mut Option<oneshot::Receiver<()>>) {
    let Some(receiver) = close else { return pending().await };
    let _ = receiver.await; // nothing is ever sent
    *close = None;
}

/// Presence that tells everybody, and not one.
fn is_own_presence(stanza: &Element) -> bool {
    stanza.name() == "presence"
        && stanza.attr("to").is_none()
        && matches!(stanza.attr("type"), None | Some("unavailable"))
}

/// No code panics half way through a change, so what it guards is whole in any case.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How long a peer may take to read what we send.
const STALL_LIMIT: Duration = Duration::from_secs(30);
