//! Drives a connection as a program would, with invented time, and remembers what was shown.

use std::{
    collections::{HashMap, VecDeque},
    num::NonZeroU32,
    sync::{LazyLock, Mutex},
};

use base64ct::{Base64, Encoding};
use epode_proto::{
    Action, ApiMisuse, Connection, Element, Error, Explanation, FastToken, Input, LoginReport,
    Phase, QuestionId, ServerMemory, Settings, Status, TaskOffer, Time, redacted,
    sasl::{
        Answer, Channel, Question, Response, Secret, SecretKind,
        scram::{Derivation, Hash, ScramKeys},
    },
    xml::{
        Limits,
        namespaces::{SASL, SASL2},
        parse_document,
    },
};
use epode_testpeer::script::{Outgoing, Player};

use super::Case;

/// What the server does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Move {
    /// Sends a frame.
    Frame(Vec<u8>),
    /// Sends a frame, and the test wants to know in which phase it arrived.
    Watched(Vec<u8>),
    /// Does the handshake of TLS.
    Secure,
    /// Drops the transport.
    Drop,
}

/// Who plays the server.
pub(crate) trait ServerHalf {
    /// What it sends unasked.
    fn opened(&mut self) -> Vec<Move>;
    /// What it sends after a frame of ours, or what was wrong with the frame.
    fn receive(&mut self, frame: &[u8]) -> Result<Vec<Move>, String>;
}

impl ServerHalf for Player {
    fn opened(&mut self) -> Vec<Move> {
        Self::opened(self).into_iter().map(Move::from).collect()
    }

    fn receive(&mut self, frame: &[u8]) -> Result<Vec<Move>, String> {
        let moves = Self::receive(self, frame).map_err(|mismatch| mismatch.to_string())?;
        Ok(moves.into_iter().map(Move::from).collect())
    }
}

impl From<Outgoing> for Move {
    fn from(outgoing: Outgoing) -> Self {
        match outgoing {
            Outgoing::Frame(frame) => Self::Frame(frame),
            Outgoing::Secure => Self::Secure,
            Outgoing::Close => Self::Drop,
            other => panic!("{other:?} is the affair of the transport"),
        }
    }
}

/// A program with one connection.
pub(crate) struct Driver<'a> {
    pub(crate) case: &'a Case,
    channel: Channel,
    pub(crate) connection: Connection,
    pub(crate) now: Time,
    wake: Option<Time>,
    pub(crate) statuses: Vec<Status>,
    pub(crate) delivered: Vec<Element>,
    pub(crate) kept: Vec<ScramKeys>,
    pub(crate) explained: Option<Explanation>,
    /// Tokens to keep for the next login.
    pub(crate) tokens: Vec<FastToken>,
    /// How often the token was to be forgotten.
    pub(crate) forgotten: usize,
    pub(crate) reports: Vec<LoginReport>,
    /// What was asked, by kind.
    pub(crate) asked: Vec<&'static str>,
    pub(crate) questions: VecDeque<(QuestionId, Question)>,
    /// What tasks ask.
    pub(crate) tasks: VecDeque<(QuestionId, TaskOffer)>,
    task_answers: usize,
    /// What is to be remembered of the server.
    pub(crate) memory: Option<ServerMemory>,
    /// Questions that were answered: their ids are stale.
    pub(crate) stale: Vec<QuestionId>,
    outbox: VecDeque<Vec<u8>>,
    /// The connection wants the handshake of TLS.
    wants_tls: bool,
    /// The last word: nothing can follow.
    pub(crate) is_over: bool,
    /// All that a program could print of it.
    pub(crate) shown: String,
    secrets: Vec<String>,
    /// The phase in which the watched frame, or the end of the transport, arrived.
    pub(crate) watched_in: Option<Phase>,
    /// The phase in which a deadline passed first, and when.
    pub(crate) first_deadline: Option<(Phase, Time)>,
    /// Prints all that it is told, to find secrets in it. It takes most of the time.
    pub(crate) is_talkative: bool,
    /// The application answers questions, and binds when it is to.
    pub(crate) is_awake: bool,
    has_sent_before_bind: bool,
    responses: usize,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(case: &'a Case, settings: Settings) -> Self {
        let mut shown = format!("{settings:?}\n");
        let connection = Connection::new(settings);
        shown.push_str(&format!("{connection:?}\n"));
        Self {
            case,
            channel: case.channel(),
            connection,
            now: Time::ZERO,
            wake: None,
            statuses: Vec::new(),
            delivered: Vec::new(),
            kept: Vec::new(),
            explained: None,
            tokens: Vec::new(),
            forgotten: 0,
            reports: Vec::new(),
            asked: Vec::new(),
            questions: VecDeque::new(),
            tasks: VecDeque::new(),
            task_answers: 0,
            memory: None,
            stale: Vec::new(),
            outbox: VecDeque::new(),
            wants_tls: false,
            is_over: false,
            shown,
            secrets: Vec::new(),
            watched_in: None,
            first_deadline: None,
            is_talkative: true,
            is_awake: true,
            has_sent_before_bind: false,
            responses: 0,
        }
    }

    /// Gives an input, and takes all actions that follow.
    pub(crate) fn input(&mut self, input: Input<'_>) -> Result<(), ApiMisuse> {
        if !matches!(input, Input::Received(_)) {
            self.show(|| format!("{input:?}"));
        }
        self.connection.handle(self.now, input)?;
        self.collect();
        Ok(())
    }

    pub(crate) fn open(&mut self) {
        let channel = self.channel.clone();
        self.collect();
        let opened =
            if self.case.is_tcp() { Input::OpenedTcp(channel) } else { Input::Opened(channel) };
        self.input(opened).expect("it was not open");
    }

    pub(crate) fn phase(&self) -> Phase {
        self.connection.phase()
    }

    /// Each status by its name.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.statuses.iter().map(|status| status.code().name()).collect()
    }

    /// How often the login began anew, with another binding.
    fn refused(&self) -> usize {
        let refused = self.statuses.iter().filter_map(|status| match status {
            Status::Authenticating(choice) => Some(choice.refused_bindings.len()),
            _ => None,
        });
        refused.max().unwrap_or_default()
    }

    /// Each error that was reported, in order.
    pub(crate) fn errors(&self) -> Vec<&Error> {
        self.statuses.iter().filter_map(Status::error).collect()
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.statuses.iter().any(|status| matches!(status, Status::Connected(_)))
    }

    /// Takes all actions there are.
    pub(crate) fn collect(&mut self) {
        while let Some(action) = self.connection.poll() {
            assert!(!self.is_over, "after the end came {action:?}");
            self.show(|| format!("{action:?}"));
            match action {
                Action::Transmit(frame) => {
                    self.show(|| redacted(frame.as_bytes()));
                    self.learn_contents(frame.as_bytes());
                    self.outbox.push_back(frame.as_bytes().to_vec());
                }
                Action::Ask(id, question) => {
                    self.asked.push(kind_of(&question));
                    self.questions.push_back((id, question));
                }
                Action::Report(status) => {
                    self.show(|| status.to_string());
                    if let Some(error) = status.error() {
                        let (advice, text) = (error.advice(), error.text());
                        self.show(|| format!("{error} {} {advice}", error.condition()));
                        self.show(|| format!("{:?}", text.map(|text| text.to_string())));
                    }
                    self.statuses.push(status);
                }
                Action::Keep(keys) => {
                    self.learn_keys(&keys);
                    self.kept.push(keys);
                }
                Action::KeepToken(token) => {
                    self.secrets.push(token.token().token().to_owned());
                    self.tokens.push(token);
                }
                Action::ForgetToken => self.forgotten += 1,
                Action::AskTask(id, offer) => {
                    self.asked.push("task");
                    self.tasks.push_back((id, offer));
                }
                Action::Remember(memory) => self.memory = Some(*memory),
                Action::Secure => self.wants_tls = true,
                Action::Deliver(element) => self.delivered.push(element),
                Action::Explain(explanation) => self.explained = Some(*explanation),
                Action::Reported(report) => {
                    let is_told = self.statuses.last().is_some_and(|status| {
                        matches!(status, Status::Connected(_) | Status::Disconnected(_))
                    });
                    assert!(!is_told, "the report comes before its status");
                    self.show(|| format!("{report}{}", report.to_json()));
                    self.reports.push(*report);
                }
                Action::WakeAt(time) => self.wake = Some(time),
                Action::Sent(_) | Action::Acknowledged(_) | Action::Unmanaged(_) => {}
                Action::Dropped(_) | Action::Quiet(_) => {}
                Action::Disconnect => self.is_over = true,
                other => panic!("{other:?} is new"),
            }
        }
    }

    /// One step: what was sent first, then what the server did, then what the application does,
    /// and time passes only when all are silent. False when nothing can happen any more.
    pub(crate) fn step(
        &mut self,
        server: &mut impl ServerHalf,
        inbox: &mut VecDeque<Move>,
    ) -> Result<bool, String> {
        while let Some(frame) = self.outbox.pop_front() {
            inbox.extend(server.receive(&frame)?);
        }
        if let Some(happened) = inbox.pop_front() {
            self.server_moves(happened);
        } else if self.is_over {
            return Ok(false);
        } else if !self.application_moves()? {
            let wake =
                self.wake.take().ok_or("it hangs: nobody moves, and there is no deadline")?;
            let phase = self.phase();
            self.first_deadline.get_or_insert((phase, wake));
            self.now = self.now.max(wake);
            self.input(Input::Tick).map_err(|misuse| misuse.to_string())?;
        }
        Ok(true)
    }

    fn server_moves(&mut self, happened: Move) {
        match happened {
            Move::Frame(frame) => self.receive(&frame),
            Move::Watched(frame) => {
                self.watched_in = Some(self.phase());
                self.receive(&frame);
            }
            Move::Secure if self.is_over => {}
            Move::Secure => {
                // A server that begins the handshake unasked is not followed.
                if std::mem::take(&mut self.wants_tls) {
                    let channel = self.case.encrypted();
                    self.input(Input::Secured(channel)).expect("it was asked for");
                }
            }
            Move::Drop => {
                self.watched_in = Some(self.phase());
                self.input(Input::Lost(Error::ConnectionLost("cut off".to_owned())))
                    .expect("it may end at any time");
            }
        }
    }

    pub(crate) fn receive(&mut self, frame: &[u8]) {
        self.show(|| redacted(frame));
        self.learn_contents(frame);
        if self.phase() == Phase::Secured {
            // The driver reads nothing then; if it did, nothing would come of it.
            let refused = self.input(Input::Received(frame)).expect_err("it is not the time");
            let words = "wrong use of the library: the stream is being encrypted";
            return assert_eq!(refused.to_string(), words);
        }
        self.input(Input::Received(frame)).expect("a frame may come at any time");
    }

    /// Answers, binds, or ends the session. False when there is nothing for it to do.
    fn application_moves(&mut self) -> Result<bool, String> {
        if let Some((id, question)) = self.questions.pop_front_if(|_| self.is_awake) {
            self.stale.push(id);
            // A login that begins anew does not wait for what was asked before.
            let is_due = matches!(self.phase(), Phase::Answer | Phase::Task);
            let was_due = is_due && self.questions.is_empty();
            let answer = self.answer(question);
            // The end may have come first; then it is refused, and nothing happens.
            let taken = self.input(Input::Answered(id, answer)).is_ok();
            return if taken == was_due { Ok(true) } else { Err("an answer went astray".into()) };
        }
        if let Some((id, _)) = self.tasks.pop_front_if(|_| self.is_awake) {
            let was_due = self.phase() == Phase::Task;
            let answer = self.case.task_answer(self.task_answers);
            self.task_answers += 1;
            let taken = self.input(Input::AnsweredTask(id, answer)).is_ok();
            return if taken == was_due { Ok(true) } else { Err("an answer went astray".into()) };
        }
        let input = match self.phase() {
            Phase::BindCall if self.is_awake => match self.case.header("send-before-bind") {
                Some(xml) if !self.has_sent_before_bind => {
                    self.has_sent_before_bind = true;
                    Input::Send(xml.parse().expect("`send-before-bind` is XML"))
                }
                Some(_) if self.delivered.is_empty() => return Ok(false),
                _ => Input::Bind,
            },
            Phase::Online => Input::Close,
            _ => return Ok(false),
        };
        self.input(input).map(|()| true).map_err(|misuse| misuse.to_string())
    }

    fn answer(&mut self, question: Question) -> Answer {
        if let Some(why) = self.case.header("refuse") {
            return Answer::Refuse(why);
        }
        match question {
            Question::Derive(derivation) => {
                let keys = derive(derivation);
                self.learn_keys(&keys);
                Answer::Keys(keys)
            }
            Question::Secret(SecretKind::Password) => {
                Answer::Secret(Secret::password(self.case.demand("password")))
            }
            Question::Secret(SecretKind::Token) => {
                Answer::Secret(Secret::token(self.case.demand("token")))
            }
            Question::Respond(_) => {
                let responses = self.case.demand("respond");
                let response = responses.split(" | ").cycle().nth(self.responses);
                self.responses += 1;
                Answer::Response(Response::new(response.unwrap_or_default()))
            }
            other => panic!("{other:?} is new"),
        }
    }

    fn show(&mut self, line: impl FnOnce() -> String) {
        if self.is_talkative {
            self.shown.push_str(&line());
            self.shown.push('\n');
        }
    }

    /// What must not be shown: what was given,
    fn learn_secrets(&mut self) {
        for key in ["password", "token", "respond", "component-secret"] {
            for secret in self.case.header(key).iter().flat_map(|value| value.split(" | ")) {
                if secret.trim().len() >= SHORTEST_SECRET {
                    self.secrets.push(secret.to_owned());
                    self.secrets.push(Base64::encode_string(secret.as_bytes()));
                }
            }
        }
        if let Some(json) = self.case.header("fast").filter(|fast| fast != "yes") {
            let token = FastToken::from_json(&json).expect("the token is right");
            self.secrets.push(token.token().token().to_owned());
        }
        if let Some(json) = self.case.header("keys") {
            self.learn_keys(&ScramKeys::from_json(&json).expect("the keys are right"));
        }
    }

    /// what is derived from it,
    fn learn_keys(&mut self, keys: &ScramKeys) {
        if !self.is_talkative {
            return;
        }
        let json = keys.to_json();
        for member in [r#""ck":""#, r#""sk":""#] {
            let (_, rest) = json.split_once(member).expect("keys have both");
            let (key, _) = rest.split_once('"').expect("it is a string");
            self.secrets.push(key.to_owned());
        }
    }

    /// and what the two sides say to each other in a login, as base64 and as it is.
    fn learn_contents(&mut self, frame: &[u8]) {
        if !self.is_talkative {
            return;
        }
        let Ok(element) = parse_document(frame, &Limits::default()) else { return };
        let is_message = matches!(element.name(), "auth" | "response" | "challenge" | "success");
        if element.namespace() == SASL2 {
            let said = ["initial-response", "additional-data"].map(|it| element.child(it, SASL2));
            let own = matches!(element.name(), "response" | "challenge").then_some(&element);
            for said in said.into_iter().flatten().chain(own) {
                let content = said.text();
                let decoded = Base64::decode_vec(&content).ok();
                let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
                let secrets = decoded.into_iter().chain([content]);
                self.secrets.extend(secrets.filter(|text| text.len() >= SHORTEST_SECRET));
            }
            return;
        }
        let content = element.text();
        if element.name() == "handshake" && content.len() >= SHORTEST_SECRET {
            self.secrets.push(content);
            return;
        }
        if element.namespace() != SASL || !is_message || content.len() < SHORTEST_SECRET {
            return;
        }
        // EXTERNAL says an address and no secret.
        let is_public = element.attr("mechanism") == Some("EXTERNAL");
        let decoded = Base64::decode_vec(&content).ok().and_then(|b| String::from_utf8(b).ok());
        let decoded = decoded.filter(|text| text.len() >= SHORTEST_SECRET && !is_public);
        self.secrets.extend(decoded);
        self.secrets.push(content);
    }

    /// A secret that was shown, if any.
    pub(crate) fn leak(&self) -> Option<&str> {
        self.secrets.iter().map(String::as_str).find(|secret| self.shown.contains(secret))
    }
}

/// Plays a conversation to its end. Errs if our half departs from the transcript, or hangs.
pub(crate) fn play(driver: &mut Driver<'_>, server: &mut impl ServerHalf) -> Result<(), String> {
    play_watched(driver, server, |_| {})
}

/// The same, with something done before each step.
pub(crate) fn play_watched(
    driver: &mut Driver<'_>,
    server: &mut impl ServerHalf,
    mut before_step: impl FnMut(&mut Driver<'_>),
) -> Result<(), String> {
    let mut inbox: VecDeque<Move> = server.opened().into();
    driver.open();
    for _ in 0..STEP_LIMIT {
        before_step(driver);
        if !driver.step(server, &mut inbox)? {
            return check_end(driver);
        }
    }
    Err(format!("it has not ended after {STEP_LIMIT} steps"))
}

/// What holds however a connection ends.
fn check_end(driver: &mut Driver<'_>) -> Result<(), String> {
    let names = driver.names();
    let count = |name| names.iter().filter(|found| **found == name).count();
    let at = |name| names.iter().position(|found| *found == name);
    let begins_twice = ["fast", "memory"].iter().any(|key| driver.case.header(key).is_some());
    let again = usize::from(begins_twice);
    let demands = [
        (driver.phase() == Phase::Closed, "it ends closed"),
        (names.first() == Some(&"CONNECTING"), "CONNECTING is first"),
        (names.last() == Some(&"DISCONNECTED"), "DISCONNECTED is last"),
        (count("DISCONNECTED") == 1, "DISCONNECTED comes once"),
        (count("AUTHENTICATING") <= 1 + driver.refused() + again, "AUTHENTICATING comes once"),
        (at("CONNECTED") <= at("DISCONNECTED"), "nothing is connected after the end"),
        (at("CONNECTED").is_none() || at("AUTHENTICATING") < at("CONNECTED"), "first the login"),
        (count("AUTHFAIL") + count("CONNECTED") <= 1, "AUTHFAIL and CONNECTED exclude each other"),
        (driver.errors().windows(2).all(|pair| pair[0] == pair[1]), "there is one reason"),
        (driver.kept.len() <= 1, "keys are given once"),
    ];
    if let Some((_, demand)) = demands.iter().find(|(holds, _)| !holds) {
        return Err(format!("{demand}; the statuses were {names:?}"));
    }
    if driver.is_talkative {
        driver.learn_secrets();
    }
    driver.leak().map_or(Ok(()), |secret| Err(format!("{secret:?} was shown")))
}

/// The error as its `Debug` says it, which is exact; of the mechanisms passed over only those
/// that were offered, since the list is long.
pub(crate) fn error_of(error: &Error) -> String {
    use epode_proto::sasl::Error as Sasl;
    let Error::Login(Sasl::NoMechanism(none)) = error else { return format!("{error:?}") };
    let offered = none.passed_over.iter().filter(|passed| passed.offered);
    let offered: Vec<_> =
        offered.map(|passed| format!("{}: {:?}", passed.mechanism, passed.reason)).collect();
    format!("Login(NoMechanism({}))", offered.join(", "))
}

fn kind_of(question: &Question) -> &'static str {
    match question {
        Question::Derive(_) => "derive",
        Question::Secret(SecretKind::Password) => "password",
        Question::Secret(SecretKind::Token) => "token",
        Question::Respond(_) => "respond",
        _ => "something new",
    }
}

/// Each derivation is run once for all tests; where a damaged message asks for much work, the
/// keys are of a password that nobody has.
fn derive(derivation: Derivation) -> ScramKeys {
    type Inputs = (Hash, String, Vec<u8>, NonZeroU32);
    static KNOWN: LazyLock<Mutex<HashMap<Inputs, ScramKeys>>> = LazyLock::new(Mutex::default);
    let (hash, salt) = (derivation.hash(), derivation.salt().to_vec());
    let iterations = derivation.iterations();
    if iterations.get() > MOST_ITERATIONS {
        return ScramKeys::from_salted_password(hash, b"nobody's", salt, iterations);
    }
    let inputs = (hash, derivation.password().to_owned(), salt, iterations);
    let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    known.entry(inputs).or_insert_with(|| derivation.run()).clone()
}

const SHORTEST_SECRET: usize = 4;
const STEP_LIMIT: usize = 10_000;
const MOST_ITERATIONS: u32 = 10_000;
