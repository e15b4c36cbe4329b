//! What moves a connection: a task that carries bytes, answers and moments to the machine and
//! does what the machine wants. It waits for everything at once, so that nothing that is slow,
//! the peer, the application or a person, keeps the rest from going on.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use epode_proto::{
    Action, ApiMisuse, Connected, Connection, Element, Explanation, Frame, Input, Jid, QuestionId,
    Status, StreamTranscript, Time, Wait,
    bosh::{self, Attachment},
    redacted,
    sasl::{Answer, scram::ScramKeys},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until},
};

use crate::{
    Direction, Error,
    answers::Answers,
    mechanism::AnswerFuture,
    pins::{PinStoreError, Pinning},
    route::{Connector, Destination, Opened, Route},
    sessions::SessionStore,
    transport::{Baton, Link, News, TransportError},
};

/// What the application can want of a running connection.
pub(crate) enum Command {
    Send(Element, oneshot::Sender<Result<(), Error>>),
    Bind(Milestone),
    HandOver(oneshot::Sender<Result<Attachment, Error>>),
}

/// The application's ends of a running connection. To drop all clones is to close it.
#[derive(Clone)]
pub(crate) struct Handle {
    /// Taken one at a time, while nothing waits to be sent.
    pub(crate) commands: mpsc::Sender<Command>,
    /// Taken at any time: whoever wants the end need not wait for a peer that does not read.
    pub(crate) close: mpsc::Sender<()>,
    pub(crate) end: Arc<OnceLock<Option<epode_proto::Error>>>,
    /// How the server was reached, once it is.
    pub(crate) route: Arc<OnceLock<Route>>,
    /// What it takes to go on with a BOSH session elsewhere, once there is one.
    pub(crate) attachment: Arc<Mutex<Option<Attachment>>>,
}

impl Handle {
    /// The error that says why nothing can be done any more.
    pub(crate) fn ended(&self) -> Error {
        match self.end.get() {
            Some(Some(reason)) => Error::Connection(reason.clone()),
            _ => Error::Ended,
        }
    }
}

/// What the application receives, with its share of the inbox's room.
pub(crate) type Delivery = (Element, OwnedSemaphorePermit);

/// How far the connection came.
pub(crate) enum Reached {
    Explained(Box<Explanation>),
    BindRequired(Option<Element>),
    Connected(Connected, Option<ScramKeys>),
    Attached(Jid),
}

/// Who waits to hear how far it came.
pub(crate) type Milestone = oneshot::Sender<Result<Reached, Error>>;

pub(crate) type TranscriptSink = Box<dyn FnMut(Direction, &str) + Send>;

/// One connection's task.
pub(crate) struct Driver {
    connection: Connection,
    zero: Instant,
    link: Option<Link>,
    wake: Option<Instant>,
    /// Until when what waits to be sent must be out.
    stalls: Option<Instant>,
    question: Option<(QuestionId, AnswerFuture)>,
    answers: Answers,
    /// None once the application has let go of the connection.
    commands: Option<mpsc::Receiver<Command>>,
    close: Option<mpsc::Receiver<()>>,
    end: Arc<OnceLock<Option<epode_proto::Error>>>,
    inbox: mpsc::Sender<Delivery>,
    room: Arc<Semaphore>,
    /// What the application has not had room for yet; nothing is read from the link meanwhile.
    deliveries: VecDeque<Element>,
    /// Who waits for what they sent to be out.
    senders: Vec<oneshot::Sender<Result<(), Error>>>,
    statuses: Vec<mpsc::Sender<Status>>,
    transcript: Option<TranscriptSink>,
    /// Finds the frames in a byte stream, for the transcript alone.
    stream: StreamTranscript,
    connector: Connector,
    route: Arc<OnceLock<Route>>,
    pinning: Option<Pinning>,
    milestone: Option<Milestone>,
    keys: Option<ScramKeys>,
    /// Our address, once there is a session.
    jid: Option<Jid>,
    attachment: Arc<Mutex<Option<Attachment>>>,
    sessions: Option<Arc<dyn SessionStore>>,
    /// Who wants to hand the session over.
    heir: Option<oneshot::Sender<Result<Attachment, Error>>>,
    /// A fuller account of why it is over than the machine has.
    error: Option<Error>,
}

/// What a driver is given.
pub(crate) struct Parts {
    pub(crate) connection: Connection,
    pub(crate) answers: Answers,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) close: mpsc::Receiver<()>,
    pub(crate) end: Arc<OnceLock<Option<epode_proto::Error>>>,
    pub(crate) inbox: mpsc::Sender<Delivery>,
    pub(crate) statuses: Vec<mpsc::Sender<Status>>,
    pub(crate) transcript: Option<TranscriptSink>,
    pub(crate) connector: Connector,
    pub(crate) route: Arc<OnceLock<Route>>,
    pub(crate) pinning: Option<Pinning>,
    pub(crate) attachment: Arc<Mutex<Option<Attachment>>>,
    pub(crate) sessions: Option<Arc<dyn SessionStore>>,
    pub(crate) milestone: Milestone,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            connection: parts.connection,
            zero: Instant::now(),
            link: None,
            wake: None,
            stalls: None,
            question: None,
            answers: parts.answers,
            commands: Some(parts.commands),
            close: Some(parts.close),
            end: parts.end,
            inbox: parts.inbox,
            room: Arc::new(Semaphore::new(INBOX_ROOM)),
            deliveries: VecDeque::new(),
            senders: Vec::new(),
            statuses: parts.statuses,
            transcript: parts.transcript,
            stream: StreamTranscript::default(),
            connector: parts.connector,
            route: parts.route,
            pinning: parts.pinning,
            milestone: Some(parts.milestone),
            keys: None,
            jid: None,
            attachment: parts.attachment,
            sessions: parts.sessions,
            heir: None,
            error: None,
        }
    }

    /// Connects, and goes on until the connection has ended.
    pub(crate) async fn run(mut self, destination: Destination) {
        self.act().await; // reports CONNECTING
        self.open(destination).await;
        loop {
            self.act().await;
            if self.end.get().is_some() {
                return self.leave_deliveries();
            }
            let event = self.event().await;
            self.take(event);
        }
    }

    async fn open(&mut self, destination: Destination) {
        let attached = match &destination {
            Destination::Session { jid, .. } => Some(jid.clone()),
            _ => None,
        };
        let opened = tokio::select! {
            opened = self.connector.open(destination) => opened,
            () = closing(&mut self.close) => return self.handle(Input::Close),
        };
        match opened {
            Ok(Opened { link, channel, route }) => {
                let _ = self.route.set(route); // nobody else sets it
                let is_stream = link.is_stream();
                self.link = Some(link);
                self.handle(match attached {
                    Some(jid) => Input::Attached(jid),
                    None if is_stream => Input::OpenedTcp(channel),
                    None => Input::Opened(channel),
                });
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
        let listens = self.deliveries.is_empty();
        let sending = self.link.as_ref().is_some_and(Link::is_sending);
        let (wake, stalls) = (self.wake.unwrap_or(self.zero), self.stalls.unwrap_or(self.zero));
        tokio::select! {
            news = exchange(&mut self.link, listens) => Event::News(news),
            () = deliver(&self.inbox, &self.room, &mut self.deliveries), if !listens => {
                Event::Delivered
            }
            answer = answer(&mut self.question), if self.question.is_some() => Event::Answer(answer),
            command = command(&mut self.commands), if !sending => Event::Command(command),
            () = closing(&mut self.close) => Event::Close,
            () = gone(&mut self.heir) => Event::HeirGone,
            () = sleep_until(wake), if self.wake.is_some() => Event::Tick,
            () = sleep_until(stalls), if self.stalls.is_some() => Event::Stalled,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::News(News::Sent(Ok(()))) => {
                self.stalls = None;
                self.senders.drain(..).for_each(|done| drop(done.send(Ok(()))));
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
            Event::Delivered => {}
            Event::Answer((id, answer)) => self.handle(Input::Answered(id, answer)),
            // It would keep the session from being handed over.
            Event::Command(Command::Send(_, done)) if self.is_leaving() => {
                drop(done.send(Err(Error::Ended)));
            }
            Event::Command(Command::Send(element, done)) => {
                match self.try_handle(Input::Send(element)) {
                    Ok(()) => self.senders.push(done),
                    Err(error) => drop(done.send(Err(error))),
                }
            }
            Event::Command(Command::Bind(milestone)) => match self.try_handle(Input::Bind) {
                Ok(()) => self.milestone = Some(milestone),
                Err(error) => drop(milestone.send(Err(error))),
            },
            Event::Command(Command::HandOver(heir)) => self.hand_over(heir),
            Event::HeirGone => {
                self.is_leaving(); // it is not any more
            }
            Event::Close => self.handle(Input::Close),
            Event::Tick => {
                self.wake = None;
                self.handle(Input::Tick);
            }
            Event::Stalled => self.lose(lost("the server takes nothing any more")),
        }
    }

    /// Does all that the machine wants.
    async fn act(&mut self) {
        loop {
            let mut secures = false;
            while let Some(action) = self.connection.poll() {
                secures |= matches!(action, Action::Secure);
                self.perform(action).await;
            }
            if !secures {
                return;
            }
            self.secure().await; // by now its deadline is known
        }
    }

    async fn perform(&mut self, action: Action) {
        match action {
            Action::Transmit(frame) => self.transmit(&frame),
            Action::Ask(id, question) => {
                self.question = Some((id, self.answers.find(question)));
            }
            Action::Report(status) => self.report(status),
            Action::Explain(explanation) => self.reach(Ok(Reached::Explained(explanation))),
            Action::Keep(keys) => self.keys = Some(keys),
            Action::Deliver(element) => self.deliveries.push_back(element),
            Action::WakeAt(time) => self.wake = Some(self.zero + time.since_zero()),
            Action::Disconnect => self.disconnect().await,
            _ => {}
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
                refused.map(|done| done.send(Err(error.into())));
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

    /// Begins to hand the session over; until nothing is under way, it goes on.
    fn hand_over(&mut self, heir: oneshot::Sender<Result<Attachment, Error>>) {
        if self.is_leaving() {
            let _ = heir.send(Err(Error::Ended)); // it goes to the first
        } else if self.link.as_mut().is_some_and(Link::hand_over) {
            self.heir = Some(heir);
        } else {
            let _ = heir.send(Err(Error::NotBosh)); // whoever wanted it may have gone
        }
    }

    /// Whether the session is being handed over; it is not once nobody wants it any more.
    fn is_leaving(&mut self) -> bool {
        if self.heir.take_if(|heir| heir.is_closed()).is_some() {
            self.link.as_mut().map(Link::stay);
        }
        self.heir.is_some()
    }

    /// Lets go of the session, without ending it.
    fn leave_to_heir(&mut self) {
        if !self.is_leaving() {
            return;
        }
        self.keep_attachment();
        let attachment = self.attachment.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.link = None;
        self.handle(Input::HandedOver);
        if let (Some(heir), Some(attachment)) = (self.heir.take(), attachment) {
            let _ = heir.send(Ok(attachment)); // whoever wanted it may have gone
        }
    }

    /// Notes what it would take to go on with the session elsewhere.
    fn keep_attachment(&mut self) {
        let baton = self.link.as_ref().and_then(Link::baton);
        let (Some(jid), Some(Baton { sid, rid, granted })) = (&self.jid, baton) else { return };
        let Ok(attachment) = Attachment::new(jid.clone(), &sid, rid) else { return };
        let attachment = attachment.with_granted(granted).with_saved(unix_time());
        if let Some(store) = &self.sessions
            && let Err(error) = store.save(&attachment)
        {
            tracing::warn!(%error, "the session could not be kept");
            let _ = store.remove(); // what it has is of no use any more
        }
        *self.attachment.lock().unwrap_or_else(PoisonError::into_inner) = Some(attachment);
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
        tracing::debug!(%status, "status");
        for watcher in &self.statuses {
            let _ = watcher.try_send(status.clone()); // a full one has stopped watching
        }
        match status {
            Status::BindRequired => {
                let features = self.connection.features().cloned();
                self.reach(Ok(Reached::BindRequired(features)));
            }
            Status::Connected(connected) => {
                let keys = self.keys.take();
                self.begin_session(connected.jid.clone());
                self.reach(Ok(Reached::Connected(connected, keys)));
            }
            Status::Attached(jid) => {
                self.begin_session(jid.clone());
                self.reach(Ok(Reached::Attached(jid)));
            }
            // Nobody waits for an answer any more.
            Status::AuthFail(_) | Status::Disconnecting => self.question = None,
            Status::Disconnected(reason) => self.conclude(reason),
            _ => {}
        }
    }

    fn begin_session(&mut self, jid: Jid) {
        self.jid = Some(jid);
        self.keep_attachment();
    }

    /// Keeps what this login has proved the server to offer.
    fn pin(&self, connected: &Connected) -> Result<(), PinStoreError> {
        self.pinning.as_ref().map_or(Ok(()), |pinning| pinning.keep(&connected.pin))
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
        let error = match (reason, self.error.take()) {
            (Some(reason), None) => Error::Connection(reason),
            (Some(reason), Some(_)) if !is_of_transport(&reason) => Error::Connection(reason),
            (_, Some(error)) => error,
            (None, None) => Error::Ended,
        };
        self.senders.drain(..).for_each(|done| drop(done.send(Err(error.clone()))));
        self.reach(Err(error));
    }

    /// A session that the server knows no more need not be kept; one that only we have lost may
    /// be taken up again.
    fn forget_attachment(&self, reason: Option<&epode_proto::Error>) {
        use epode_proto::Error::{Bosh, ConnectionLost};

        let is_lost = matches!(reason, Some(Bosh(bosh::End::GaveUp { .. }) | ConnectionLost(_)));
        let attachment = self.attachment.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(store), Some(_), false) = (&self.sessions, attachment, is_lost)
            && let Err(error) = store.remove()
        {
            tracing::warn!(%error, "the session that is over could not be removed");
        }
    }

    /// What has arrived belongs to the application, as far as there is room for it.
    fn leave_deliveries(self) {
        for element in self.deliveries {
            let room = Arc::clone(&self.room).try_acquire_many_owned(cost(&element));
            let Ok(room) = room else { return };
            if self.inbox.try_send((element, room)).is_err() {
                return;
            }
        }
    }

    fn lose(&mut self, reason: epode_proto::Error) {
        self.stalls = None;
        self.handle(Input::Lost(reason));
    }

    fn note(&mut self, direction: Direction, frame: &[u8]) {
        let Some(transcript) = &mut self.transcript else { return };
        let is_stream = self.link.as_ref().is_some_and(Link::is_stream);
        match direction {
            Direction::Sent if is_stream => transcript(direction, &self.stream.sent(frame)),
            Direction::Received if is_stream => {
                self.stream.received(frame).iter().for_each(|shown| transcript(direction, shown));
            }
            _ => transcript(direction, &redacted(frame)),
        }
    }

    /// For inputs that the machine's rules allow at any time, or that came from the machine.
    fn handle(&mut self, input: Input<'_>) {
        if let Err(error) = self.try_handle(input) {
            tracing::debug!(%error, "too late");
        }
    }

    fn try_handle(&mut self, input: Input<'_>) -> Result<(), Error> {
        let now = Time::after(self.zero.elapsed());
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
    Delivered,
    Answer((QuestionId, Answer)),
    Command(Command),
    Close,
    /// Nobody wants to hand the session over any more.
    HeirGone,
    Tick,
    Stalled,
}

async fn exchange(link: &mut Option<Link>, listens: bool) -> News {
    match link {
        Some(link) => link.exchange(listens).await,
        None => pending().await,
    }
}

/// Gives the next stanza to the application, once it has room. Where nobody reads any more, what
/// arrives is dropped, and the stream goes on.
async fn deliver(
    inbox: &mpsc::Sender<Delivery>,
    room: &Arc<Semaphore>,
    deliveries: &mut VecDeque<Element>,
) {
    let Some(next) = deliveries.front() else { return pending().await };
    let room = tokio::select! {
        room = Arc::clone(room).acquire_many_owned(cost(next)) => room.ok(),
        () = inbox.closed() => None,
    };
    let slot = inbox.reserve().await.ok();
    let element = deliveries.pop_front();
    if let (Some(slot), Some(room), Some(element)) = (slot, room, element) {
        slot.send((element, room));
    }
}

/// Its share of the inbox's room; one that is larger than all of it takes all of it.
fn cost(element: &Element) -> u32 {
    let bytes = element.memory().min(INBOX_ROOM);
    u32::try_from(bytes).expect("the room is small enough").max(1)
}

/// Takes the question away once its answer is there.
async fn answer(question: &mut Option<(QuestionId, AnswerFuture)>) -> (QuestionId, Answer) {
    let Some((id, future)) = question else { return pending().await };
    let answered = (*id, future.await);
    *question = None;
    answered
}

async fn command(commands: &mut Option<mpsc::Receiver<Command>>) -> Command {
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
async fn closing(close: &mut Option<mpsc::Receiver<()>>) {
    let Some(receiver) = close else { return pending().await };
    receiver.recv().await;
    *close = None;
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How long a peer may take to read what we send.
const STALL_LIMIT: Duration = Duration::from_secs(30);
/// How many bytes of stanzas wait for an application that does not read them.
const INBOX_ROOM: usize = 8 * 1024 * 1024;
