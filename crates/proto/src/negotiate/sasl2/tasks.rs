//! Tasks between the mechanism's success and that of the login (XEP-0388, section 2.6.3). Upgrades of
//! the server's keys (XEP-0480) are done here, the application does all others.

use base64ct::{Base64, Encoding};
use epode_sasl::{self as sasl, Answer, Continued, Question, scram::UpgradeTask};
use zeroize::Zeroizing;

use super::{
    super::turn::{rejection, wiped},
    Login,
};
use crate::{
    Element, Error, TaskAnswer, TaskOffer,
    action::QuestionId,
    core::Core,
    error::{PeerFault, Wait},
    negotiate::State,
    stream::{SaslFailure, distinct, text},
    xml::namespaces::{SASL2, SCRAM_UPGRADE},
};

/// Both sides are proved, and the login goes on.
pub(crate) struct Tasks {
    continued: Continued,
    login: Box<Login>,
    steps: u8,
}

/// Waiting for the application, or for keys to be derived.
pub(crate) struct ExpectTask {
    tasks: Tasks,
    pub(crate) id: QuestionId,
    asked: Asked,
}

enum Asked {
    /// To begin one of these.
    Choose(Vec<String>),
    /// To go on with this one.
    Data(String),
    /// For the keys of an upgrade.
    Keys(UpgradeTask),
}

/// Waiting for the server.
pub(crate) struct ExpectTaskReply {
    tasks: Tasks,
    doing: Doing,
}

enum Doing {
    /// What the application began.
    Task(String),
    Upgrade(UpgradeTask),
}

impl Login {
    /// The mechanism is done, the login is not.
    pub(crate) fn goes_on(
        self: Box<Self>,
        core: &mut Core,
        continued: Continued,
        element: &Element,
    ) -> Result<State, Error> {
        Tasks { continued, login: self, steps: 0 }.offered(core, element)
    }
}

impl Tasks {
    /// Does what the server asks for, or has it done.
    fn offered(mut self, core: &mut Core, element: &Element) -> Result<State, Error> {
        self.count()?;
        let list = element.child("tasks", SASL2).into_iter().flat_map(Element::children);
        let tasks = distinct(list.filter(|it| it.is("task", SASL2)).map(Element::text));
        if tasks.is_empty() {
            return Err(Error::PeerMisbehaved(PeerFault::NoTasks));
        }
        let mut upgrades = tasks.iter().filter_map(|name| name.parse().ok());
        if let Some(task) = upgrades.find(|task| self.login.upgrades.contains(task)) {
            let next = Element::new("next", SASL2).with_attr("task", task.to_string());
            core.send(&next);
            let doing = Doing::Upgrade(task);
            return Ok(State::TaskReply(ExpectTaskReply { tasks: self, doing }));
        }
        let text = text(element, SASL2);
        if !core.settings().answers_tasks {
            return Err(Error::TasksDemanded { tasks, text });
        }
        Ok(self.ask(core, TaskOffer::Choose { tasks: tasks.clone(), text }, Asked::Choose(tasks)))
    }

    fn ask(self, core: &mut Core, offer: TaskOffer, asked: Asked) -> State {
        let id = core.ask_task(offer);
        State::Task(ExpectTask { tasks: self, id, asked })
    }

    /// A server that goes on for ever is not followed.
    fn count(&mut self) -> Result<(), Error> {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            let limit = MOST_STEPS;
            return Err(Error::PeerMisbehaved(PeerFault::TooManyTasks { limit }));
        }
        Ok(())
    }
}

impl ExpectTask {
    /// Whether it is this kind of answer that is waited for.
    pub(crate) fn wants_keys(&self) -> bool {
        matches!(self.asked, Asked::Keys(_))
    }

    /// The application has done its part of a task.
    pub(crate) fn task_answered(self, core: &mut Core, answer: TaskAnswer) -> Result<State, Error> {
        let (name, content, task) = match (answer, self.asked) {
            (TaskAnswer::Refuse(why), _) => return Err(sasl::Error::Refused(why).into()),
            (TaskAnswer::Begin { task, content }, Asked::Choose(tasks))
                if tasks.contains(&task) =>
            {
                ("next", content, task)
            }
            (TaskAnswer::Data(content), Asked::Data(task)) => ("task-data", content, task),
            _ => return Err(sasl::Error::ApiMisuse("the answer is not to this task").into()),
        };
        let mut element = Element::new(name, SASL2);
        if name == "next" {
            element.set_attr("task", task.as_str());
        }
        content.into_iter().for_each(|child| element.push(child));
        core.send(&element);
        Ok(State::TaskReply(ExpectTaskReply { tasks: self.tasks, doing: Doing::Task(task) }))
    }

    /// The keys of an upgrade are there.
    pub(crate) fn answered(self, core: &mut Core, answer: Answer) -> Result<State, Error> {
        let (task, keys) = match (self.asked, answer) {
            (Asked::Keys(task), Answer::Keys(keys)) if keys.hash() == task.hash() => (task, keys),
            (_, Answer::Refuse(why)) => return Err(sasl::Error::Refused(why).into()),
            _ => return Err(sasl::Error::ApiMisuse("the keys of an upgrade were due").into()),
        };
        let salted = keys.salted_password().map(Base64::encode_string).map(Zeroizing::new);
        let salted = salted.ok_or(sasl::Error::ApiMisuse("the keys were not derived"))?;
        let start = format!("<task-data xmlns='{SASL2}'><hash xmlns='{SCRAM_UPGRADE}'>");
        core.transmit(wiped(&[&start, &salted, "</hash></task-data>"]));
        let doing = Doing::Upgrade(task);
        Ok(State::TaskReply(ExpectTaskReply { tasks: self.tasks, doing }))
    }

    /// It is our move: the server can only give up.
    pub(crate) fn handle(self, element: &Element) -> Result<State, Error> {
        Err(failure(element).unwrap_or_else(|| Error::unexpected(element, Wait::Task)))
    }
}

impl ExpectTaskReply {
    pub(crate) fn handle(self, core: &mut Core, element: &Element) -> Result<State, Error> {
        let Self { mut tasks, doing } = self;
        match (element.name(), doing) {
            _ if element.namespace() != SASL2 => Err(Error::unexpected(element, Wait::TaskReply)),
            ("success", _) => {
                let proven = tasks.continued.success();
                if let Some(keys) = proven.keys() {
                    core.keep_keys(keys);
                }
                tasks.login.succeeded(core, proven, element)
            }
            ("continue", _) => tasks.offered(core, element),
            ("task-data", Doing::Task(task)) => {
                tasks.count()?;
                let content = element.children().cloned().collect();
                let offer = TaskOffer::Data { task: task.clone(), content };
                Ok(tasks.ask(core, offer, Asked::Data(task)))
            }
            ("task-data", Doing::Upgrade(task)) => {
                tasks.count()?;
                let (salt, iterations) = terms(element)?;
                let derivation = tasks.continued.upgrade(task, salt, iterations)?;
                let id = core.ask(Question::Derive(derivation));
                Ok(State::Task(ExpectTask { tasks, id, asked: Asked::Keys(task) }))
            }
            _ => {
                Err(failure(element).unwrap_or_else(|| Error::unexpected(element, Wait::TaskReply)))
            }
        }
    }
}

/// What the server hashes with (XEP-0480, section 3).
fn terms(data: &Element) -> Result<(Vec<u8>, u64), Error> {
    let fault = || Error::PeerMisbehaved(PeerFault::UpgradeTerms);
    let salt = data.child("salt", SCRAM_UPGRADE).ok_or_else(fault)?;
    let iterations = salt.attr("iterations").and_then(|count| count.parse().ok());
    let iterations = iterations.ok_or_else(fault)?;
    let salt = Base64::decode_vec(salt.text().trim()).map_err(|_| fault())?;
    Ok((salt, iterations))
}

fn failure(element: &Element) -> Option<Error> {
    let failure = SaslFailure::parse(element).filter(|_| element.namespace() == SASL2)?;
    Some(sasl::Error::Rejected(Box::new(rejection(failure))).into())
}

const MOST_STEPS: u8 = 16;
