//! What a login has to do after its mechanism: show a code, or bring keys for another hash.
//!
//! Leaves out what follows the last task.

use std::collections::VecDeque;

use base64ct::{Base64, Encoding};
use epode_proto::xml::Element;

use super::fault::Sasl2Fault;
use super::request::Request;
use super::terms::Terms;
use super::{NAMESPACE, additional_data};
use crate::sasl::SaslCondition;
use crate::sasl::hash::Hash;
use crate::server::Config;
use crate::session::authenticating::decoded;

/// A task (XEP-0388, section 2.6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Task {
    /// A code of this server's making: in `<next/>`, or after a question.
    OneTimeCode,
    /// Keys of a password for this hash (XEP-0480).
    Upgrade(Hash),
    /// One that no client knows.
    Unknown,
}

/// What is left to do for a user who has shown the right credentials.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) user: String,
    tasks: VecDeque<Task>,
    /// There is a task to do, which is none.
    is_pointless: bool,
}

/// What follows a message about a task.
#[derive(Debug)]
pub(super) enum Turn {
    /// The server asks on.
    Ask(Element),
    Done,
    Failed(SaslCondition),
}

impl Work {
    /// The tasks of a login that is not by token: those come without (XEP-0484, section 4.2).
    pub(super) fn of(config: &Config, terms: &Terms, request: &Request, user: String) -> Self {
        let mut tasks = VecDeque::new();
        if request.fast.is_none() {
            tasks.extend(config.sasl2.code_of(&user).map(|_| Task::OneTimeCode));
            let wanted = terms.upgrades.iter().filter(|hash| request.upgrades.contains(hash));
            tasks.extend(wanted.copied().map(Task::Upgrade));
        }
        match config.sasl2.fault {
            Some(Sasl2Fault::UnknownTask) => tasks.push_back(Task::Unknown),
            Some(Sasl2Fault::EndlessTask) => tasks.push_back(Task::OneTimeCode),
            Some(Sasl2Fault::UpgradeUnasked) => tasks.push_back(Task::Upgrade(Hash::Sha512)),
            _ => {}
        }
        let is_pointless = config.sasl2.fault == Some(Sasl2Fault::NoTasks);
        Self { user, tasks, is_pointless }
    }

    pub(super) fn is_over(&self) -> bool {
        self.tasks.is_empty() && !self.is_pointless
    }

    /// Names the next task; with it goes what the mechanism has to say.
    pub(super) fn announcement(&self, data: Option<&[u8]>) -> Element {
        let task = self.tasks.front().map(|task| {
            let name = task.name();
            Element::new("task", NAMESPACE).with_text(name)
        });
        let tasks = task.into_iter().fold(Element::new("tasks", NAMESPACE), Element::with_child);
        let parts = data.map(additional_data).into_iter().chain([tasks]);
        parts.fold(Element::new("continue", NAMESPACE), Element::with_child)
    }

    /// Takes `<next/>`.
    pub(super) fn choose(&mut self, config: &Config, next: &Element) -> Turn {
        let chosen = next.attr("task").unwrap_or_default();
        match self.tasks.front().copied().filter(|task| task.name() == chosen) {
            None | Some(Task::Unknown) => Turn::Failed(MALFORMED),
            Some(Task::OneTimeCode) if next.child("code", CODE).is_some() => {
                self.judge_code(config, next)
            }
            Some(Task::OneTimeCode) => Turn::Ask(Element::new("question", CODE)),
            Some(Task::Upgrade(_)) => {
                let (salt, iterations) = config.accounts.salt_and_iterations(&self.user);
                let salt = Element::new("salt", SCRAM_UPGRADE)
                    .with_attr("iterations", iterations.to_string())
                    .with_text(Base64::encode_string(&salt));
                Turn::Ask(salt)
            }
        }
    }

    /// Takes `<task-data/>`.
    pub(super) fn proceed(&mut self, config: &Config, data: &Element) -> Turn {
        match self.tasks.front().copied() {
            None | Some(Task::Unknown) => Turn::Failed(MALFORMED),
            Some(Task::OneTimeCode) => self.judge_code(config, data),
            Some(Task::Upgrade(hash)) => self.store(config, hash, data),
        }
    }

    fn judge_code(&mut self, config: &Config, carrier: &Element) -> Turn {
        let Some(code) = carrier.child("code", CODE) else { return Turn::Failed(MALFORMED) };
        if config.sasl2.fault == Some(Sasl2Fault::EndlessTask) {
            return Turn::Done;
        }
        let is_right = config.sasl2.code_of(&self.user).is_some_and(|it| it.is(&code.text()));
        if !is_right {
            return Turn::Failed(SaslCondition::NotAuthorized);
        }
        self.tasks.pop_front();
        Turn::Done
    }

    fn store(&mut self, config: &Config, hash: Hash, data: &Element) -> Turn {
        let Some(text) = data.child("hash", SCRAM_UPGRADE).map(Element::text) else {
            return Turn::Failed(MALFORMED);
        };
        let salted = match decoded(&text) {
            Ok(salted) if salted.len() == hash.length() => salted,
            Ok(_) => return Turn::Failed(MALFORMED),
            Err(condition) => return Turn::Failed(condition),
        };
        if config.sasl2.fault != Some(Sasl2Fault::UpgradeUnasked) {
            config.accounts.upgrade(&self.user, hash, &salted);
        }
        self.tasks.pop_front();
        Turn::Done
    }
}

impl Task {
    fn name(self) -> String {
        match self {
            Self::OneTimeCode => "X-ONE-TIME-CODE".to_owned(),
            Self::Upgrade(hash) => upgrade_name(hash),
            Self::Unknown => "X-UNKNOWN".to_owned(),
        }
    }
}

/// The task that brings keys for this hash.
pub(super) fn upgrade_name(hash: Hash) -> String {
    format!("UPGR-{}", hash.mechanism())
}

const MALFORMED: SaslCondition = SaslCondition::MalformedRequest;
/// The namespace of the one-time code, which is no standard.
const CODE: &str = "urn:epode:one-time-code:0";
/// XEP-0480, section 3.
const SCRAM_UPGRADE: &str = "urn:xmpp:scram-upgrade:0";
