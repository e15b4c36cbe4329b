//! Sessions that a client finds again and the server does not: a new one has to do, and what the
//! server had not acknowledged goes out in it, with a stamp that says when it was sent.
//!
//! What was meant for such a session is the server's to keep.

use std::{error::Error, sync::Arc, time::Duration};

use epode::{Element, MemorySessions, Session, SessionStore, StoredSession, StreamManagement};
use epode_interop::{BRIEF, CuttingProxy, Side};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    cut_streams::{message, number},
    restarts::resumed,
    scenes::Played,
    stream_target::StreamTarget,
};

/// Why the server does not know the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// There never was one of this id.
    WrongId,
    /// It has waited for too long, which the client does not know.
    TimedOut,
}

impl Loss {
    pub(crate) const ALL: [Self; 2] = [Self::WrongId, Self::TimedOut];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::WrongId => "resumed with a wrong id",
            Self::TimedOut => "resumed after the server's timeout",
        }
    }
}

/// Alice is heard, unheard and cut off; what is kept of her session goes on later.
///
/// # Errors
/// When one of them cannot log in, or is not heard.
pub(crate) async fn play(
    target: &StreamTarget,
    loss: Loss,
    seed: u64,
) -> Result<Played, Box<dyn Error>> {
    let target = match loss {
        Loss::WrongId => target.clone(),
        Loss::TimedOut => target.clone().at(BRIEF),
    };
    let mut ear = Ear { bob: target.client("bob")?.connect().await?, heard: Vec::new() };
    let (kept, last) = talk_until_cut_off(&target, loss, seed, &mut ear).await?;
    if loss == Loss::TimedOut {
        sleep(FORGOTTEN).await;
    }
    let store = Arc::new(MemorySessions::default());
    store.save(&forged(&kept, loss)?)?;
    let mut builder = target.client("alice")?.sessions(store);
    let statuses = builder.watch();
    let alice = builder.connect().await?;
    ear.listen(last).await?;
    ear.listen_on().await;
    alice.disconnect().await?;
    let word = if resumed(statuses).await { "resumed" } else { "new" };
    let played = ear.heard_in(word, last);
    ear.bob.disconnect().await?;
    Ok(played)
}

/// What is kept of alice's session, and the number of her last message. The server has the first,
/// and she knows it; of the next she does not know; the last did not arrive. One that has never
/// heard of the session cannot say what it has, so then there are none of which she does not know.
async fn talk_until_cut_off(
    target: &StreamTarget,
    loss: Loss,
    seed: u64,
    ear: &mut Ear,
) -> Result<(StoredSession, usize), Box<dyn Error>> {
    let proxy = CuttingProxy::start(target.port, seed).await?;
    let store = Arc::new(MemorySessions::default());
    let brief = StreamManagement::default().max(Duration::from_secs(1)).every(1);
    let builder = target.through(proxy.port()).client("alice")?.stream_management(Some(brief));
    let alice = builder.sessions(store.clone()).connect().await?;
    let bob = ear.bob.jid().to_string();
    let mut numbers = 1..;
    for number in numbers.by_ref().take(SOME) {
        alice.send(message(&bob, number)).await?.acknowledged().await?;
    }
    proxy.mute(Side::Server);
    if loss == Loss::TimedOut {
        for number in numbers.by_ref().take(SOME) {
            alice.send(message(&bob, number)).await?;
        }
    }
    ear.listen(numbers.start - 1).await?;
    proxy.mute(Side::Client);
    for number in numbers.by_ref().take(SOME) {
        alice.send(message(&bob, number)).await?.sent().await?;
    }
    let kept = store.load()?.ok_or("no session is kept")?;
    Ok((kept, numbers.start - 1))
}

/// The session with an id that is none, or as if it lasted longer than the server said.
fn forged(session: &StoredSession, loss: Loss) -> Result<StoredSession, Box<dyn Error>> {
    let mut kept: Value = serde_json::from_str(&session.to_json())?;
    match loss {
        Loss::WrongId => kept["id"] = json!("no-such-session"),
        Loss::TimedOut => kept["max"] = json!(300),
    }
    Ok(StoredSession::from_json(&kept.to_string())?)
}

/// Bob, and which messages he has heard: their numbers, and whether they have a stamp.
struct Ear {
    bob: Session,
    heard: Vec<(usize, bool)>,
}

impl Ear {
    /// Until the message of this number has come.
    async fn listen(&mut self, last: usize) -> Result<(), Box<dyn Error>> {
        while self.heard.iter().all(|(number, _)| *number != last) {
            let stanza = timeout(PATIENCE, self.bob.receive()).await;
            let stanza = stanza.map_err(|_| format!("{last} is not heard"))?;
            self.note(&stanza.ok_or("bob's session has ended")?);
        }
        Ok(())
    }

    /// What comes twice.
    async fn listen_on(&mut self) {
        while let Ok(Some(stanza)) = timeout(AFTERMATH, self.bob.receive()).await {
            self.note(&stanza);
        }
    }

    fn note(&mut self, stanza: &Element) {
        let delay = stanza.child("delay", "urn:xmpp:delay");
        let is_stamped = delay.is_some_and(|delay| delay.attr("stamp").is_some());
        self.heard.extend(number(stanza).map(|number| (number, is_stamped)));
    }

    fn heard_in(&self, session: &str, last: usize) -> Played {
        let count = |wanted| self.heard.iter().filter(|(number, _)| *number == wanted).count();
        let lost = (1..=last).filter(|number| count(*number) == 0).count();
        let doubled = self.heard.len() - (last - lost);
        let are_those = self.heard.iter().all(|(number, stamp)| *stamp == (*number > last - SOME));
        let stamps = if are_those { "the last" } else { "others than the last" };
        let result = format!("{session} session, {stamps} stamped, {lost} lost, {doubled} doubled");
        Played::new(result, format!("heard, and whether stamped: {:?}", self.heard))
    }
}

/// What [`play`] comes to.
pub(crate) const SALVAGED: &str = "new session, the last stamped, 0 lost, 0 doubled";
/// Messages of each kind.
const SOME: usize = 3;
/// The server keeps the session for a second.
const FORGOTTEN: Duration = Duration::from_millis(2500);
const PATIENCE: Duration = Duration::from_secs(20);
const AFTERMATH: Duration = Duration::from_millis(300);
