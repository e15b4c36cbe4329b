//! The login of XEP-0388, in which an address may be bound, or a session resumed, at once.
//!
//! Leaves out the mechanisms, which are those of RFC 6120 and know nothing of the profile.

mod completion;
mod fast;
mod fault;
mod request;
mod tasks;
mod terms;

use base64ct::{Base64, Encoding};
use epode_proto::xml::Element;

use super::SessionChannel;
use super::authenticating::{Authenticating, begin, decoded, ended, proceed};
use super::conditions::StreamCondition;
use super::machine::{Said, State, Transition};
use crate::sasl::{Exchange, SaslCondition, Step};
use crate::server::{Config, Server};
pub use fault::Sasl2Fault;
use request::{Request, initial_response};
use tasks::{Turn, Work};
pub(crate) use terms::{Code, Sasl2Options, Terms};

/// A login that waits for the client's next message.
#[derive(Debug)]
pub(super) struct Login {
    visit: Visit,
    awaited: Awaited,
}

/// What the client has to send.
#[derive(Debug)]
enum Awaited {
    /// The mechanism's next message.
    Response(Exchange),
    /// The choice of the task that was named.
    Choice(Work),
    /// The next message about the task.
    TaskData(Work),
}

/// What a login has to know to its end.
#[derive(Debug)]
struct Visit {
    /// What there is to go back to when it fails.
    idle: Box<Authenticating>,
    request: Request,
}

impl Login {
    /// Takes an element of the namespace while no login is in progress.
    pub(super) fn begin(
        idle: Box<Authenticating>,
        server: &Server,
        channel: &SessionChannel,
        element: &Element,
    ) -> Transition {
        let terms = offered(&idle);
        if element.name() == "authenticate" && terms.is_outdated(element) {
            // The client is not to blame, so nothing is counted (XEP-0509, section 2.2).
            let mismatch = Element::new("config-version-mismatch", CONFIG_VERSION);
            let said = failure(SaslCondition::Aborted).with_child(mismatch);
            return (State::Authenticating(idle), vec![Said::Element(said)]);
        }
        let condition = match element.name() {
            "authenticate" => match Request::parse(element, terms) {
                Ok(request) if channel.is_early() && !request.is_counted() => {
                    SaslCondition::NotAuthorized
                }
                Ok(request) => {
                    return Visit { idle, request }.authenticate(server, channel, element);
                }
                Err(condition) => condition,
            },
            "abort" => SaslCondition::Aborted,
            "response" | "next" | "task-data" => SaslCondition::MalformedRequest,
            _ => return ended(StreamCondition::UnsupportedStanzaType, Vec::new()),
        };
        idle.refuse(server.config(), failure(condition))
    }

    /// What it can be bound to is that of this channel.
    pub(super) fn rebind(&mut self, channel: &SessionChannel) {
        self.visit.idle.rebind(channel);
    }

    /// Takes an element of whatever namespace; nothing but the login may go on (section 2.4).
    pub(super) fn handle(
        self,
        server: &Server,
        channel: &SessionChannel,
        element: &Element,
    ) -> Transition {
        let Self { visit, awaited } = self;
        let config = server.config();
        if element.is("abort", NAMESPACE) {
            return visit.idle.refuse(config, failure(SaslCondition::Aborted));
        }
        let name = if element.namespace() == NAMESPACE { element.name() } else { "" };
        match (awaited, name) {
            (Awaited::Response(exchange), "response") => {
                let step = visit.proceed(config, channel, exchange, &element.text());
                visit.follow(server, channel, step)
            }
            (Awaited::Choice(mut work), "next") => {
                let turn = work.choose(config, element);
                visit.go_on(server, channel, work, turn)
            }
            (Awaited::TaskData(mut work), "task-data") => {
                let turn = work.proceed(config, element);
                visit.go_on(server, channel, work, turn)
            }
            _ => ended(StreamCondition::PolicyViolation, Vec::new()),
        }
    }
}

impl Visit {
    fn authenticate(
        self,
        server: &Server,
        channel: &SessionChannel,
        authenticate: &Element,
    ) -> Transition {
        let (config, offer) = (server.config(), &self.terms().offer);
        if let Some(fast) = self.request.fast {
            let step = fast::judge(server, self.terms(), &self.request, fast, authenticate);
            return self.follow(server, channel, step.unwrap_or_else(Step::Failure));
        }
        let step = begin(config, channel, offer, authenticate).map(|exchange| {
            match initial_response(authenticate) {
                // Every mechanism here has the client speak first, so it is asked to.
                None => Step::Challenge(exchange, Vec::new()),
                Some(text) => self.proceed(config, channel, exchange, &text),
            }
        });
        self.follow(server, channel, step.unwrap_or_else(Step::Failure))
    }

    fn proceed(
        &self,
        config: &Config,
        channel: &SessionChannel,
        exchange: Exchange,
        text: &str,
    ) -> Step {
        match decoded(text) {
            Ok(message) => proceed(config, channel, &self.terms().offer, exchange, &message),
            Err(condition) => Step::Failure(condition),
        }
    }

    fn follow(self, server: &Server, channel: &SessionChannel, step: Step) -> Transition {
        match step {
            Step::Challenge(exchange, data) => {
                let challenge = Element::new("challenge", NAMESPACE);
                let said = challenge.with_text(Base64::encode_string(&data));
                self.wait(Awaited::Response(exchange), said)
            }
            // Section 4.4: the stream is another's.
            Step::Success { user, .. }
                if self.terms().from.as_ref().is_some_and(|from| *from != user) =>
            {
                self.idle.refuse(server.config(), failure(SaslCondition::InvalidAuthzid))
            }
            Step::Success { user, data } => {
                let work = Work::of(server.config(), self.terms(), &self.request, user);
                self.announce(server, channel, work, data.as_deref())
            }
            Step::Failure(condition) => self.idle.refuse(server.config(), failure(condition)),
        }
    }

    /// Follows a message about a task.
    fn go_on(
        self,
        server: &Server,
        channel: &SessionChannel,
        work: Work,
        turn: Turn,
    ) -> Transition {
        match turn {
            Turn::Ask(question) => {
                let said = Element::new("task-data", NAMESPACE).with_child(question);
                self.wait(Awaited::TaskData(work), said)
            }
            Turn::Done => self.announce(server, channel, work, None),
            Turn::Failed(condition) => self.idle.refuse(server.config(), failure(condition)),
        }
    }

    /// Names the next task, or completes the login if there is none.
    fn announce(
        self,
        server: &Server,
        channel: &SessionChannel,
        work: Work,
        data: Option<&[u8]>,
    ) -> Transition {
        if work.is_over() {
            return completion::complete(server, channel, &self.request, work.user, data);
        }
        let said = work.announcement(data);
        self.wait(Awaited::Choice(work), said)
    }

    fn wait(self, awaited: Awaited, said: Element) -> Transition {
        let login = Login { visit: self, awaited };
        (State::LoggingIn(Box::new(login)), vec![Said::Element(said)])
    }

    fn terms(&self) -> &Terms {
        offered(&self.idle)
    }
}

fn offered(idle: &Authenticating) -> &Terms {
    idle.sasl2().expect("a login by SASL2 begins where it is offered")
}

/// What a mechanism has to say with the success, or before the first task.
fn additional_data(data: &[u8]) -> Element {
    Element::new("additional-data", NAMESPACE).with_text(Base64::encode_string(data))
}

fn failure(condition: SaslCondition) -> Element {
    Element::new("failure", NAMESPACE).with_child(condition.element())
}

pub(crate) const NAMESPACE: &str = "urn:xmpp:sasl:2";
/// Bind 2 (XEP-0386).
const BIND: &str = "urn:xmpp:bind:0";
/// Tokens for the next login (XEP-0484).
pub(super) const FAST: &str = "urn:xmpp:fast:0";
/// Which state of the configuration a client has seen (XEP-0509).
const CONFIG_VERSION: &str = "urn:xmpp:iap:0";
/// Keys for another hash (XEP-0480).
const UPGRADE: &str = "urn:xmpp:sasl:upgrade:0";
