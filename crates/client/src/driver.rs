//! What moves a connection: a task that carries bytes, answers and moments to the machine and
//! does what the machine wants.

use std::{collections::VecDeque, pin::Pin, time::Duration};

use epode_proto::{
    Action, ApiMisuse, Connected, Connection, Element, Explanation, Input, QuestionId, Status, StreamTranscript, Time, Wait, redacted,
    sasl::{Answer, Channel, scram::ScramKeys},
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};

use crate::{
    Direction, Error,
    answers::Answers,
    mechanism::AnswerFuture,
    transport::{Link, TransportError, TransportOptions},
};

/// What the application can want of a running connection.
pub(crate) enum Command {
    Send(Element, oneshot::Sender<Result<(), Error>>),
    Bind(Milestone),
    Close,
}

/// How far the connection came.
pub(crate) enum Reached {
    Explained(Explanation),
    BindRequired,
    Connected(Connected, Option<ScramKeys>),
}

/// Who waits to hear how far it came.
pub(crate) type Milestone = oneshot::Sender<Result<Reached, Error>>;

pub(crate) type Dial =
    Pin<Box<dyn Future<Output = Result<(Link, Channel), TransportError>> + Send>>;

pub(crate) type TranscriptSink = Box<dyn FnMut(Direction, &str) + Send>;

/// One connection's task.
pub(crate) struct Driver {
    connection: Connection,
    zero: Instant,
    link: Option<Link>,
    wake: Option<Instant>,
    question: Option<(QuestionId, AnswerFuture)>,
    answers: Answers,
    /// None once the application has let go of the session.
    commands: Option<mpsc::Receiver<Command>>,
    inbox: mpsc::Sender<Element>,
    /// What the application has not had room for yet; nothing is read from the link meanwhile.
    deliveries: VecDeque<Element>,
    statuses: Vec<mpsc::Sender<Status>>,
    transcript: Option<TranscriptSink>,
    /// Finds the frames in a byte stream, for the transcript alone.
    heard: StreamTranscript,
    domain: String,
    transport: TransportOptions,
    milestone: Option<Milestone>,
    keys: Option<ScramKeys>,
    /// The transport's own account of why there is none.
    transport_error: Option<TransportError>,
    end: Option<Option<epode_proto::Error>>,
}

/// What a driver is given.
pub(crate) struct Parts {
    pub(crate) connection: Connection,
    pub(crate) answers: Answers,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) inbox: mpsc::Sender<Element>,
    pub(crate) statuses: Vec<mpsc::Sender<Status>>,
    pub(crate) transcript: Option<TranscriptSink>,
    pub(crate) domain: String,
    pub(crate) transport: TransportOptions,
    pub(crate) milestone: Milestone,
}

impl Driver {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            connection: parts.connection,
            zero: Instant::now(),
            link: None,
            wake: None,
            question: None,
            answers: parts.answers,
            commands: Some(parts.commands),
            inbox: parts.inbox,
            deliveries: VecDeque::new(),
            statuses: parts.statuses,
            transcript: parts.transcript,
            heard: StreamTranscript::default(),
            domain: parts.domain,
            transport: parts.transport,
            milestone: Some(parts.milestone),
            keys: None,
            transport_error: None,
            end: None,
        }
    }

    /// Dials, and goes on until the connection has ended. Returns why it did.
    pub(crate) async fn run(mut self, dial: Dial) -> Option<epode_proto::Error> {
        self.act().await; // reports CONNECTING
        self.dial(dial).await;
        while self.end.is_none() {
            self.act().await;
            if self.end.is_none() {
                self.wait().await;
            }
        }
        self.end.flatten()
    }

    async fn dial(&mut self, dial: Dial) {
        let dialled = tokio::select! {
            dialled = dial => dialled,
            () = closed(&mut self.commands) => return self.handle(Input::Close),
        };
        match dialled {
            Ok((link, channel)) => {
                let is_stream = link.is_stream();
                self.link = Some(link);
                self.handle(match is_stream {
                    true => Input::OpenedTcp(channel),
                    false => Input::Opened(channel),
                });
            }
            Err(error) => {
                let reason = match &error {
                    TransportError::TimedOut { .. } => {
                        epode_proto::Error::TimedOut(Wait::Transport)
                    }
                    error => epode_proto::Error::Unreachable(error.to_string()),
                };
                self.transport_error = Some(error);
                self.handle(Input::NotOpened(reason));
            }
        }
    }

    /// Waits for one thing to happen, and tells the machine.
    async fn wait(&mut self) {
        let reads = self.link.is_some() && self.deliveries.is_empty();
        let wake = self.wake.unwrap_or(self.zero);
        let event = tokio::select! {
            received = receive(&mut self.link), if reads => Event::Received(received),
            permit = self.inbox.reserve(), if !self.deliveries.is_empty() => {
                let delivery = self.deliveries.pop_front();
                // Nobody reads any more: what arrives is dropped, and the stream goes on.
                if let (Ok(permit), Some(element)) = (permit, delivery) {
                    permit.send(element);
                }
                return;
            }
            answer = answer(&mut self.question), if self.question.is_some() => Event::Answer(answer),
            command = next_command(&mut self.commands) => Event::Command(command),
            () = sleep_until(wake), if self.wake.is_some() => Event::Tick,
        };
        match event {
            Event::Received(Ok(Some(frame))) => {
                self.note(Direction::Received, &frame);
                self.handle(Input::Received(&frame));
            }
            Event::Received(Ok(None)) => {
                self.lose("the server closed it without a word".to_owned());
            }
            Event::Received(Err(error)) => self.lose(error.to_string()),
            Event::Answer((id, answer)) => self.handle(Input::Answered(id, answer)),
            Event::Command(command) => self.obey(command).await,
            Event::Tick => {
                self.wake = None;
                self.handle(Input::Tick);
            }
        }
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Send(element, done) => {
                let sent = self.try_handle(Input::Send(element));
                self.act().await;
                let sent = if self.end.is_some() { Err(Error::Ended) } else { sent };
                let _ = done.send(sent); // whoever asked may have stopped waiting
            }
            Command::Bind(milestone) => match self.try_handle(Input::Bind) {
                Ok(()) => self.milestone = Some(milestone),
                Err(error) => {
                    let _ = milestone.send(Err(error));
                }
            },
            Command::Close => self.handle(Input::Close),
        }
    }

    /// Does all that the machine wants.
    async fn act(&mut self) {
        while let Some(action) = self.connection.poll() {
            match action {
                Action::Transmit(frame) => {
                    self.note(Direction::Sent, frame.as_bytes());
                    let Some(link) = &mut self.link else { continue };
                    if let Err(error) = link.send(frame.as_bytes()).await {
                        self.lose(error.to_string());
                    }
                }
                Action::Ask(id, question) => {
                    self.question = Some((id, self.answers.find(question)));
                }
                Action::Secure => self.secure().await,
                Action::Report(status) => self.report(status),
                Action::Explain(explanation) => self.reach(Ok(Reached::Explained(explanation))),
                Action::Keep(keys) => self.keys = Some(keys),
                Action::Deliver(element) => self.deliveries.push_back(element),
                Action::WakeAt(time) => self.wake = Some(self.zero + time.since_zero()),
                Action::Disconnect => self.disconnect().await,
                _ => {}
            }
        }
    }

    async fn secure(&mut self) {
        let Some(link) = &mut self.link else { return };
        match link.secure(&self.domain, &self.transport).await {
            Ok(channel) => self.handle(Input::Secured(channel)),
            Err(error) => {
                let words = error.to_string();
                self.transport_error = Some(error);
                self.lose(words);
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
        tracing::debug!(%status, "status");
        if matches!(status, Status::AuthFail(_) | Status::Disconnected(_)) {
            self.question = None;
        }
        let reached = match &status {
            Status::BindRequired => Some(Ok(Reached::BindRequired)),
            Status::Connected(connected) => {
                Some(Ok(Reached::Connected(connected.clone(), self.keys.take())))
            }
            Status::Disconnected(reason) => {
                self.end = Some(reason.clone());
                Some(Err(self.failure(reason.clone())))
            }
            _ => None,
        };
        for watcher in &self.statuses {
            let _ = watcher.try_send(status.clone()); // a full one has stopped watching
        }
        if let Some(reached) = reached {
            self.reach(reached);
        }
    }

    fn reach(&mut self, reached: Result<Reached, Error>) {
        if let Some(milestone) = self.milestone.take() {
            let _ = milestone.send(reached); // whoever waited may have stopped
        }
    }

    fn failure(&mut self, reason: Option<epode_proto::Error>) -> Error {
        match (self.transport_error.take(), reason) {
            (Some(error), _) => Error::Transport(error),
            (None, Some(error)) => Error::Connection(error),
            (None, None) => Error::Ended,
        }
    }

    fn lose(&mut self, why: String) {
        self.link = None;
        self.handle(Input::Lost(why));
    }

    fn note(&mut self, direction: Direction, frame: &[u8]) {
        let Some(transcript) = &mut self.transcript else { return };
        let is_stream = self.link.as_ref().is_some_and(Link::is_stream);
        if is_stream && direction == Direction::Received {
            self.heard.feed(frame).iter().for_each(|shown| transcript(direction, shown));
        } else {
            transcript(direction, &redacted(frame));
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

const CLOSE_LIMIT: Duration = Duration::from_secs(2);

enum Event {
    Received(Result<Option<Vec<u8>>, TransportError>),
    Answer((QuestionId, Answer)),
    Command(Command),
    Tick,
}

async fn receive(link: &mut Option<Link>) -> Result<Option<Vec<u8>>, TransportError> {
    match link {
        Some(link) => link.receive().await,
        None => std::future::pending().await,
    }
}

/// Takes the question away once its answer is there.
async fn answer(question: &mut Option<(QuestionId, AnswerFuture)>) -> (QuestionId, Answer) {
    let Some((id, future)) = question else { return std::future::pending().await };
    let answered = (*id, future.await);
    *question = None;
    answered
}

/// To let go of a session is to close it; after that there are no more commands.
async fn next_command(commands: &mut Option<mpsc::Receiver<Command>>) -> Command {
    let Some(receiver) = commands else { return std::future::pending().await };
    let command = receiver.recv().await;
    command.unwrap_or_else(|| {
        *commands = None;
        Command::Close
    })
}

/// Until the application wants the connection no more.
async fn closed(commands: &mut Option<mpsc::Receiver<Command>>) {
    while !matches!(next_command(commands).await, Command::Close) {}
}
