//! The BOSH sessions of a server: where a request finds its session, and the task that each is.
//!
//! Leaves out HTTP, and what a session does with its requests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use super::shutdown::Shutdown;
use crate::bosh::{Body, BoshFault, Condition, Manager, Request, refusal};
use crate::random;
use crate::server::Server;
use crate::session::SessionChannel;

/// The sessions of one server, by `sid`, whatever connections their requests come over.
#[derive(Default)]
pub(crate) struct BoshSessions {
    entries: Mutex<HashMap<String, Entry>>,
    /// How many requests have come.
    requests: AtomicU64,
}

struct Entry {
    /// As it was when the session was created. Nobody goes on with it over another kind.
    channel: SessionChannel,
    inbox: Sender<Post>,
}

type Post = Request<oneshot::Sender<Answer>>;

/// The answer to a request.
pub(super) struct Answer {
    pub(super) body: String,
    /// If the client wants another than the usual one.
    pub(super) content_type: Option<String>,
}

/// There are as many sessions as there may be, or as many requests for one.
pub(super) struct Busy;

impl BoshSessions {
    /// One more request has come; which it is, counted from 1.
    pub(super) fn count_request(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        // No code panics half way through a change, so the map is whole in any case.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives a request to its session, and waits for the answer. The first of a session begins a task.
pub(super) async fn ask(
    server: &Server,
    channel: SessionChannel,
    shutdown: &Shutdown,
    bytes: &[u8],
    fault: Option<BoshFault>,
) -> Result<Answer, Busy> {
    // Over several connections of TLS, nothing that belongs to one is of use.
    let channel = channel.without_binding("tls-exporter").over_bosh();
    let body = match Body::parse(bytes, bytes.len()) {
        Ok(body) => body,
        Err(condition) => return Ok(refused(condition)),
    };
    let (exchange, answer) = oneshot::channel();
    let inbox = match body.sid() {
        None => Some(begin(server, channel, shutdown.clone())?),
        Some(sid) => {
            let sessions = server.bosh_sessions().lock();
            let entry = sessions.get(sid).filter(|entry| entry.channel == channel);
            entry.map(|entry| entry.inbox.clone())
        }
    };
    let Some(inbox) = inbox else { return Ok(refused(Condition::ItemNotFound)) };
    match inbox.try_send(Request { body, exchange, fault }) {
        Ok(()) => Ok(answer.await.unwrap_or_else(|_| refused(Condition::ItemNotFound))),
        Err(mpsc::error::TrySendError::Full(_)) => Err(Busy),
        Err(mpsc::error::TrySendError::Closed(_)) => Ok(refused(Condition::ItemNotFound)),
    }
}

/// Begins the task of a session, which waits for its first request.
fn begin(
    server: &Server,
    channel: SessionChannel,
    shutdown: Shutdown,
) -> Result<Sender<Post>, Busy> {
    let (inbox, posts) = mpsc::channel(INBOX);
    // Whoever knows it has the session, so it is longer than other names.
    let sid = format!("{}{}", random::name(), random::name());
    {
        let mut sessions = server.bosh_sessions().lock();
        // Those that are over stay a while, for the sake of lost answers.
        if sessions.len() >= server.limits().sessions.saturating_mul(2) {
            return Err(Busy);
        }
        let entry = Entry { channel: channel.clone(), inbox: inbox.clone() };
        sessions.insert(sid.clone(), entry);
    }
    let place = Place { sessions: Arc::clone(server.bosh_sessions()), sid };
    tokio::spawn(run(server.clone(), channel, place, posts, shutdown));
    Ok(inbox)
}

/// A session's place among the others, given up when dropped.
struct Place {
    sessions: Arc<BoshSessions>,
    sid: String,
}

async fn run(
    server: Server,
    channel: SessionChannel,
    place: Place,
    mut posts: Receiver<Post>,
    mut shutdown: Shutdown,
) {
    let Some(first) = posts.recv().await else { return };
    let machine = server.machine(channel);
    let (limits, now) = (*server.limits(), Instant::now());
    let mut manager = Manager::create(machine, limits, &place.sid, first, now);
    loop {
        let content_type = manager.content_type().map(str::to_owned);
        while let Some((exchange, body)) = manager.poll_answer() {
            // Whoever has gone can ask again.
            let _ = exchange.send(Answer { body, content_type: content_type.clone() });
        }
        if manager.is_gone() {
            return;
        }
        let due = manager.poll_timeout();
        tokio::select! {
            post = posts.recv() => {
                let Some(request) = post else { return };
                manager.handle_request(request, Instant::now());
            }
            delivery = manager.delivery() => manager.handle_delivery(delivery, Instant::now()),
            () = sleep_until(due) => manager.handle_timeout(Instant::now()),
            () = shutdown.wait() => manager.handle_shutdown(Instant::now()),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.lock().remove(&self.sid);
    }
}

impl std::fmt::Debug for BoshSessions {
    /// Without the ids.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoshSessions").field("count", &self.lock().len()).finish_non_exhaustive()
    }
}

fn refused(condition: Condition) -> Answer {
    Answer { body: refusal(condition), content_type: None }
}

/// More requests than any client may have under way.
const INBOX: usize = 8;
