//! What a server wants done after the mechanism is satisfied and before the login is: a second
//! factor, a new password (XEP-0388, section 2.6.3). What a task means is the application's to know.

use std::fmt;

use crate::{Element, stream::Text};

/// What the application is asked ([`Action::AskTask`](crate::Action::AskTask)). The server has proved
/// itself by then, as far as the mechanism can.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskOffer {
    /// One of these is to be done; the answer is [`TaskAnswer::Begin`].
    Choose {
        /// The names, as the server wrote them; at most 64, and of each at most 64 characters.
        tasks: Vec<String>,
        /// What the server adds for people.
        text: Option<Text>,
    },
    /// The server says this in the task that was begun; the answer is [`TaskAnswer::Data`].
    Data {
        /// The name of the task.
        task: String,
        /// What is in `<task-data/>`.
        content: Vec<Element>,
    },
}

/// The application's answer to a [`TaskOffer`].
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskAnswer {
    /// Begins a task, with what `<next/>` is to contain.
    Begin {
        /// The name, as it was offered.
        task: String,
        /// The content, as the task's specification has it.
        content: Vec<Element>,
    },
    /// Goes on with it, with what `<task-data/>` is to contain.
    Data(Vec<Element>),
    /// Gives up, and why; the words reach the user.
    Refuse(String),
}

impl fmt::Debug for TaskOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Choose { tasks, .. } => write!(f, "Choose({tasks:?})"),
            Self::Data { task, .. } => write!(f, "Data({task:?}, ..)"),
        }
    }
}

impl fmt::Debug for TaskAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begin { task, .. } => write!(f, "Begin({task:?}, ..)"),
            Self::Data(_) => f.write_str("Data(..)"),
            Self::Refuse(why) => write!(f, "Refuse({why:?})"),
        }
    }
}
