//! How the machine's questions are answered: keys are derived on a thread of their own, secrets
//! come from the application, and so do the messages of its own mechanisms.

use std::{
    num::NonZeroU32,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use epode_proto::{TaskAnswer, TaskOffer};
use epode_sasl::{
    Answer, Challenge, Question, Secret, SecretKind,
    scram::{Derivation, Progress},
};

use crate::{
    caught::{caught, discard, outcome},
    mechanism::{AnswerFuture, GivenUp, Responder},
};

/// Where secrets come from that were not given beforehand.
pub(crate) type SecretSource = Arc<
    dyn Fn(SecretKind) -> Pin<Box<dyn Future<Output = Result<Secret, GivenUp>> + Send>>
        + Send
        + Sync,
>;

/// Who does what a server demands besides the login.
pub(crate) type TaskSource =
    Arc<dyn Fn(TaskOffer) -> Pin<Box<dyn Future<Output = TaskAnswer> + Send>> + Send + Sync>;

/// What the machine asked for.
pub(crate) enum Reply {
    Answer(Answer),
    Task(TaskAnswer),
}

/// A reply to come.
pub(crate) type ReplyFuture = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Whoever can answer.
#[derive(Clone, Default)]
pub(crate) struct Answers {
    pub(crate) secrets: Option<SecretSource>,
    pub(crate) tasks: Option<TaskSource>,
    pub(crate) responders: Vec<Arc<dyn Responder>>,
}

impl Answers {
    /// Finds the answer to a question of the login.
    pub(crate) fn reply(&self, question: Question) -> ReplyFuture {
        let answer = caught(|| self.find(question));
        Box::pin(async {
            let answer = unless_it_panics(answer).await;
            Reply::Answer(answer.unwrap_or_else(|| Answer::Refuse(PANICKED.to_owned())))
        })
    }

    /// Finds the answer to a task.
    pub(crate) fn do_task(&self, offer: TaskOffer) -> ReplyFuture {
        let Some(source) = &self.tasks else {
            return Box::pin(async { Reply::Task(TaskAnswer::Refuse(NOBODY.to_owned())) });
        };
        let answer = caught(|| source(offer));
        Box::pin(async {
            let answer = unless_it_panics(answer).await;
            Reply::Task(answer.unwrap_or_else(|| TaskAnswer::Refuse(PANICKED.to_owned())))
        })
    }

    fn find(&self, question: Question) -> AnswerFuture {
        match question {
            Question::Derive(derivation) => Box::pin(derive(derivation)),
            Question::Secret(kind) => match &self.secrets {
                Some(source) => {
                    let secret = source(kind);
                    Box::pin(async move {
                        secret
                            .await
                            .map_or_else(|no| Answer::Refuse(no.into_reason()), Answer::Secret)
                    })
                }
                None => refuse(NOBODY),
            },
            Question::Respond(Challenge { mechanism, data }) => {
                match self.responders.iter().find(|known| *known.name() == mechanism) {
                    Some(responder) => Arc::clone(responder).respond(data),
                    None => refuse("the mechanism's owner is gone"),
                }
            }
            _ => refuse("this question is not known here"),
        }
    }
}

/// What the application finds; nothing if it panics over that.
async fn unless_it_panics<T>(found: Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> Option<T> {
    let mut found = found?;
    let outcome = outcome(&mut found).await;
    discard(found);
    outcome
}

const NOBODY: &str = "nobody is there to ask";
const PANICKED: &str = "the application's code panicked over the question";

fn refuse(why: &'static str) -> AnswerFuture {
    Box::pin(std::future::ready(Answer::Refuse(why.to_owned())))
}

/// Derives keys on a thread of their own, which stops soon after this future is dropped.
async fn derive(mut derivation: Derivation) -> Answer {
    let stop = StopOnDrop(Arc::new(AtomicBool::new(false)));
    let stopped = Arc::clone(&stop.0);
    let work = tokio::task::spawn_blocking(move || {
        while !stopped.load(Ordering::Relaxed) {
            match derivation.advance(SLICE) {
                Progress::More(rest) => derivation = rest,
                Progress::Done(keys) => return Answer::Keys(keys),
            }
        }
        Answer::Refuse("the connection ended while keys were derived".to_owned())
    });
    let answer = work.await;
    drop(stop);
    answer.unwrap_or_else(|_| Answer::Refuse("the thread that derives keys failed".to_owned()))
}

/// A few milliseconds of work.
const SLICE: NonZeroU32 = NonZeroU32::new(16_384).expect("it is not 0");

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
