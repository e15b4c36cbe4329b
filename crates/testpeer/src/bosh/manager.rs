//! One BOSH session: requests in, answers out, and the server's conversation behind it.
//!
//! Leaves out the clock and the exchanges of HTTP, which are its caller's.

use std::collections::VecDeque;
use std::time::Duration;

use epode_proto::xml::{Element, namespaces};
use tokio::time::Instant;

use super::XBOSH;
use super::body::{Body, Condition, answer, ended, refusal};
use super::fault::BoshFault;
use super::keys::KeyChain;
use super::terms::{MAX_PAUSE, POLLING, Terms};
use super::window::{Arrival, Window};
use crate::hub::Delivery;
use crate::random;
use crate::server::Limits;
use crate::session::conditions::StreamCondition;
use crate::session::machine::{Header, Heard, Machine, Said};

/// One BOSH session. `E` is one exchange of HTTP, by which an answer goes back.
///
/// After each call, take the answers with [`poll_answer`](Self::poll_answer).
pub(crate) struct Manager<E> {
    machine: Machine,
    limits: Limits,
    terms: Terms,
    /// The domain that the first request named.
    to: String,
    content_type: Option<String>,
    keys: KeyChain,
    window: Window<E>,
    /// What the next answer says of the session or the stream.
    head: Element,
    waiting: Vec<Element>,
    answers: VecDeque<(E, String)>,
    stage: Stage,
    /// How long there may be no request now.
    inactivity: Duration,
    /// Since when there is none.
    quiet_since: Instant,
    /// When an address must be bound.
    login: Instant,
    last: Last,
    fault: Option<BoshFault>,
}

/// A request as it comes to its session.
pub(crate) struct Request<E> {
    pub(crate) body: Body,
    pub(crate) exchange: E,
    /// How the server misbehaves from here on.
    pub(crate) fault: Option<BoshFault>,
}

#[derive(Clone, Copy)]
enum Stage {
    /// Requests pass.
    Open,
    /// It is over, and the client is still to be told.
    Ending(Option<Condition>),
    /// It is over, and its last answers are kept for a while.
    Over(Instant),
    /// It can be forgotten.
    Gone,
}

/// What is known of the last request and the last answer.
struct Last {
    read: Instant,
    /// The request was empty, and so was its answer.
    was_idle: bool,
    answer: String,
}

impl<E> Manager<E> {
    /// A session that this request creates.
    pub(crate) fn create(
        machine: Machine,
        limits: Limits,
        sid: &str,
        request: Request<E>,
        now: Instant,
    ) -> Self {
        let Request { body, exchange, fault } = request;
        let terms = Terms::granted(&body);
        let mut head = answer().with_attr("sid", sid);
        terms.write(&mut head);
        let mut manager = Self {
            machine,
            limits,
            terms,
            to: body.attr("to").unwrap_or_default().to_owned(),
            content_type: body.attr("content").map(str::to_owned),
            keys: KeyChain::begin(&body),
            window: Window::new(body.rid()),
            head: head.with_attr("ack", body.rid().to_string()),
            waiting: Vec::new(),
            answers: VecDeque::new(),
            stage: Stage::Open,
            inactivity: terms.inactivity,
            quiet_since: now,
            login: now + limits.login,
            last: Last { read: now, was_idle: false, answer: String::new() },
            fault,
        };
        let opened = if manager.to.is_empty() {
            Err(Condition::ImproperAddressing)
        } else {
            Ok(Heard::Open(body.header(&manager.to)))
        };
        manager.window.handle(body, exchange);
        manager.window.poll_next(now);
        match opened {
            Ok(opened) => manager.hear(opened),
            Err(condition) => manager.end(condition),
        }
        manager.flush(now);
        manager
    }

    /// Takes a request of this session.
    pub(crate) fn handle_request(&mut self, request: Request<E>, now: Instant) {
        let Request { body, exchange, fault } = request;
        self.fault = fault;
        match self.window.handle(body, exchange) {
            Arrival::New => {}
            Arrival::Answered(exchange, answer) => self.answers.push_back((exchange, answer)),
            Arrival::Repeated(earlier) => {
                // Recoverable, should it still be listened for (XEP-0124, section 17.3).
                let again = answer().with_attr("type", "error");
                self.answers.push_back((earlier, again.to_xml()));
            }
            Arrival::Outside(exchange) => {
                self.answers.push_back((exchange, refusal(Condition::ItemNotFound)));
                self.end(Condition::ItemNotFound);
            }
        }
        while let Some(body) = self.window.poll_next(now) {
            self.read(&body, now);
        }
        self.flush(now);
    }

    /// Takes what came through the mailbox, and with it as much of what else is there as may go
    /// into one answer.
    pub(crate) fn handle_delivery(&mut self, delivery: Option<Delivery>, now: Instant) {
        let mut next = Some(delivery);
        while let Some(delivery) = next {
            let said = self.machine.deliver(delivery);
            self.say(said);
            let size: usize = self.waiting.iter().map(Element::memory).sum();
            let has_room = size < self.limits.stanza;
            next = has_room.then(|| self.machine.poll_delivery()).flatten();
        }
        self.flush(now);
    }

    /// The server is going down, and will not be asked again.
    pub(crate) fn handle_shutdown(&mut self, now: Instant) {
        self.hear(Heard::Broken(StreamCondition::SystemShutdown));
        self.flush(now);
        self.stage = Stage::Gone;
    }

    /// A moment has come that [`poll_timeout`](Self::poll_timeout) named.
    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if self.login_due().is_some_and(|due| due <= now) {
            self.hear(Heard::Broken(StreamCondition::ConnectionTimeout));
        }
        let is_quiet = self.window.held() == 0;
        match self.stage {
            Stage::Open if self.held_due().is_some_and(|due| due <= now) => {
                self.answer_oldest(answer(), now);
            }
            Stage::Open | Stage::Ending(_)
                if is_quiet && self.quiet_since + self.inactivity <= now =>
            {
                // Nobody is told (XEP-0124, section 10).
                self.machine.handle(Heard::Close);
                self.stage = Stage::Gone;
            }
            Stage::Over(since) if since + self.terms.inactivity <= now => self.stage = Stage::Gone,
            _ => {}
        }
        self.flush(now);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), if nothing happens before.
    pub(crate) fn poll_timeout(&self) -> Instant {
        let due = match self.stage {
            Stage::Over(since) => since + self.terms.inactivity,
            _ => self.held_due().unwrap_or(self.quiet_since + self.inactivity),
        };
        self.login_due().map_or(due, |login| login.min(due))
    }

    /// The next answer, and the exchange by which it goes back.
    pub(crate) fn poll_answer(&mut self) -> Option<(E, String)> {
        self.answers.pop_front()
    }

    /// Waits for the mailbox: for ever while there is no request to carry what is in it, as the
    /// mailbox has a limit and this session would not. Nothing is lost when dropped early.
    pub(crate) async fn delivery(&mut self) -> Option<Delivery> {
        if self.window.held() == 0 {
            return std::future::pending().await;
        }
        self.machine.delivery().await
    }

    /// The `Content-Type` that answers are to have, if the client wants another one.
    pub(crate) fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// Nobody will hear of it again.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone)
    }

    /// Reads a request whose turn it is.
    fn read(&mut self, body: &Body, now: Instant) {
        if !matches!(self.stage, Stage::Open) {
            return;
        }
        self.inactivity = self.terms.inactivity;
        if !self.keys.accept(body) {
            return self.end(Condition::ItemNotFound);
        }
        if self.is_too_frequent(body, now) {
            return self.end(Condition::PolicyViolation);
        }
        self.last.read = now;
        self.last.was_idle = body.is_empty();
        if body.is_restart() {
            return self.hear(Heard::Open(body.header(body.attr("to").unwrap_or(&self.to))));
        }
        for payload in body.payloads() {
            let fits = payload.to_xml().len() <= self.limits.stanza;
            let too_large = Heard::Broken(StreamCondition::PolicyViolation);
            self.hear(if fits { Heard::Element(payload.clone()) } else { too_large });
        }
        if body.is_terminate() || self.fault == Some(BoshFault::TwoTerminates) {
            self.hear(Heard::Close);
        }
        if let Some(span) = body.pause().filter(|_| matches!(self.stage, Stage::Open)) {
            self.pause(span, now);
        }
    }

    /// An empty request that follows an empty answer (XEP-0124, section 12).
    fn is_too_frequent(&self, body: &Body, now: Instant) -> bool {
        let is_idle_again = self.last.was_idle && self.terms.is_polling();
        is_idle_again && body.is_empty() && now < self.last.read + POLLING
    }

    fn pause(&mut self, span: Duration, now: Instant) {
        if span > MAX_PAUSE {
            return self.end(Condition::PolicyViolation);
        }
        self.inactivity = span;
        // The answer to the request itself has nothing in it (XEP-0124, section 10).
        if self.window.held() > 1 {
            let news = self.news();
            self.answer_oldest(news, now);
        }
        self.release(&answer(), now);
    }

    fn hear(&mut self, heard: Heard) {
        let said = self.machine.handle(heard);
        self.say(said);
    }

    fn say(&mut self, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Open(header) => self.tell_header(&header),
                Said::Element(element) => self.waiting.push(element),
                Said::Close => {
                    let is_error = |it: &Element| it.is("error", namespaces::STREAM);
                    let failed = self.waiting.last().is_some_and(is_error);
                    let condition = failed.then_some(Condition::RemoteStreamError);
                    self.stage = Stage::Ending(condition);
                }
            }
        }
    }

    fn tell_header(&mut self, header: &Header) {
        self.head.set_attr("from", header.from.as_str());
        self.head.set_attr("authid", header.id.as_str());
        self.head.set_attr_ns(namespaces::XML, "lang", "en");
        self.head.set_attr_ns(XBOSH, "version", "1.0");
        self.head.set_attr_ns(XBOSH, "restartlogic", "true");
    }

    /// Ends the session for breaking the rules of BOSH.
    fn end(&mut self, condition: Condition) {
        if matches!(self.stage, Stage::Open) {
            self.machine.handle(Heard::Close);
            self.stage = Stage::Ending(Some(condition));
        }
    }

    /// Answers what is to be answered now.
    fn flush(&mut self, now: Instant) {
        match self.stage {
            Stage::Open => {
                let hold = usize::from(self.terms.hold);
                while self.window.held() > 0 && (self.has_news() || self.window.held() > hold) {
                    self.answer_in_turn(now);
                }
            }
            Stage::Ending(condition) if self.window.held() > 0 => {
                let last_words = ended(self.news(), condition);
                self.answer_oldest(last_words, now);
                // The others are let go (XEP-0124, section 13).
                let is_told_twice = self.fault == Some(BoshFault::TwoTerminates);
                let rest = if is_told_twice { ended(answer(), condition) } else { answer() };
                self.release(&rest, now);
                self.stage = Stage::Over(now);
            }
            Stage::Over(_) => self.release(&ended(answer(), Some(Condition::ItemNotFound)), now),
            Stage::Ending(_) | Stage::Gone => {}
        }
        if matches!(self.stage, Stage::Over(_) | Stage::Gone) {
            let refusal = refusal(Condition::ItemNotFound);
            self.answers.extend(self.window.abandon().map(|exchange| (exchange, refusal.clone())));
        }
    }

    fn has_news(&self) -> bool {
        !self.waiting.is_empty() || self.head.attributes().next().is_some()
    }

    /// An answer with all that there is to say.
    fn news(&mut self) -> Element {
        let head = std::mem::replace(&mut self.head, answer());
        std::mem::take(&mut self.waiting).into_iter().fold(head, Element::with_child)
    }

    /// Says all that there is to say.
    fn answer_in_turn(&mut self, now: Instant) {
        let news = self.news();
        self.answer_oldest(news, now);
        if self.fault == Some(BoshFault::OutOfOrder) && self.window.held() > 0 {
            self.answer_oldest(answer(), now);
            self.answers.rotate_right(1);
        }
    }

    /// Answers all that is held with this.
    fn release(&mut self, body: &Element, now: Instant) {
        while self.window.held() > 0 {
            self.answer_oldest(body.clone(), now);
        }
    }

    fn answer_oldest(&mut self, mut body: Element, now: Instant) {
        let Some(rid) = self.window.oldest() else { return };
        if rid < self.window.last_read() {
            body.set_attr("ack", self.window.last_read().to_string());
        }
        if self.fault == Some(BoshFault::WrongSid) && body.attr("sid").is_none() {
            body.set_attr("sid", random::name());
        }
        self.last.was_idle &= body.children().next().is_none();
        if self.fault != Some(BoshFault::StaleAnswer) || self.last.answer.is_empty() {
            self.last.answer = body.to_xml();
        }
        let exchange = self.window.answer(&self.last.answer);
        self.answers.extend(exchange.map(|exchange| (exchange, self.last.answer.clone())));
        self.quiet_since = now;
    }

    fn held_due(&self) -> Option<Instant> {
        self.window.held_since().map(|since| since + self.terms.wait)
    }

    fn login_due(&self) -> Option<Instant> {
        let is_bound = self.machine.jid().is_some();
        (!is_bound && !self.machine.is_closed()).then_some(self.login)
    }
}
