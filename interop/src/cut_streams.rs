//! Two accounts send each other numbered messages through streams whose connections are cut at any
//! byte, or between any two.
//!
//! How their sessions survive that is the client's business; what must come of it, the scene's.

use std::{error::Error, time::Duration};

use epode::{Element, Session, Status, StatusEvents};
use epode_interop::CuttingProxy;
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::{figures::Figures, stream_target::StreamTarget};

/// How much is sent each way, and how often the connections of both are cut altogether.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Storm {
    pub(crate) messages: usize,
    pub(crate) blows: u32,
}

impl Storm {
    /// What CI has time for.
    pub(crate) const CUTS: Self = Self { messages: 1_000, blows: 100 };
    /// The same with processes that are killed.
    pub(crate) const KILLS: Self = Self { messages: 1_000, blows: 20 };
}

/// Lets them talk through it.
///
/// # Errors
/// When one of them cannot log in.
pub(crate) async fn exchange(
    target: &StreamTarget,
    storm: Storm,
    seed: u64,
) -> Result<Figures, Box<dyn Error>> {
    let start = Instant::now();
    let mut alice = Talker::start(target, "alice", storm, seed).await?;
    let mut bob = Talker::start(target, "bob", storm, seed.wrapping_add(1)).await?;
    let (alices, bobs) = (alice.session.jid().to_string(), bob.session.jid().to_string());
    // Connections are cut once both can be resumed.
    let (first, second) =
        tokio::join!(alice.session.send_iq(ping(target)), bob.session.send_iq(ping(target)));
    first?;
    second?;
    tokio::join!(alice.talk(&bobs), bob.talk(&alices));
    let mut figures = Figures { blows: storm.blows, ..Figures::default() };
    for talker in [alice, bob] {
        talker.end(&mut figures).await;
    }
    figures.seconds = start.elapsed().as_secs_f64();
    Ok(figures)
}

/// One side, and what it heard.
struct Talker {
    session: Session,
    proxy: CuttingProxy,
    storm: Storm,
    logins: JoinHandle<(u32, u32)>,
    sent: usize,
    heard: Vec<usize>,
    /// The highest number of those.
    highest: usize,
    trouble: Option<String>,
}

impl Talker {
    async fn start(
        target: &StreamTarget,
        user: &str,
        storm: Storm,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let proxy = CuttingProxy::start(target.port, seed).await?;
        let mut builder = target.through(proxy.port()).client(user)?;
        let logins = tokio::spawn(count_logins(builder.watch()));
        let session = builder.connect().await?;
        // What comes while a server has no session of ours waits for somebody who is there.
        session.send(Element::new("presence", CLIENT)).await?;
        let (sent, heard, highest, trouble) = (0, Vec::new(), 0, None);
        Ok(Self { session, proxy, storm, logins, sent, heard, highest, trouble })
    }

    /// Sends all messages and hears all, until its last connection was cut. It is never more than a
    /// few ahead of the other side, nor of the cuts, so that these are spread over all of it.
    async fn talk(&mut self, other: &str) {
        let Storm { messages, blows } = self.storm;
        self.proxy.sever(blows / 2, LIFE);
        let (mut last, mut spoken) = (Instant::now(), Instant::now());
        while self.trouble.is_none() && !self.is_done(last.elapsed()) {
            if self.may_send(last.max(spoken).elapsed()) {
                spoken = Instant::now();
                self.sent += 1;
                let sent = self.session.send(message(other, self.sent)).await;
                self.trouble = sent.err().map(|error| error.to_string());
                continue;
            }
            match timeout(GLANCE, self.session.receive()).await {
                Ok(Some(stanza)) => {
                    last = Instant::now();
                    match number(&stanza) {
                        Some(number) => {
                            self.heard.push(number);
                            self.highest = self.highest.max(number);
                        }
                        None if stanza.name() == "presence" => {}
                        None => self.trouble = Some(stanza.to_xml()),
                    }
                }
                Ok(None) => self.trouble = Some("the session has ended".to_owned()),
                Err(_) if last.elapsed() > PATIENCE && self.highest < messages => {
                    self.trouble = Some(format!(
                        "silence after {} sent, {} heard",
                        self.sent,
                        self.heard.len()
                    ));
                }
                Err(_) => {}
            }
        }
    }

    fn may_send(&self, silence: Duration) -> bool {
        let Storm { messages, blows } = self.storm;
        let cuts = (blows / 2).saturating_sub(self.proxy.left_to_sever()) as usize;
        let allowed = messages * (cuts + 1) / (blows as usize / 2).max(1);
        // Neither what came twice nor what was lost changes how far the other side is.
        let is_near = self.sent < self.highest + AHEAD || silence > STALL;
        self.sent < messages.min(allowed) && is_near
    }

    /// What a server has stored may come late.
    fn is_done(&self, silence: Duration) -> bool {
        let messages = self.storm.messages;
        let ends = self.sent == messages && self.highest == messages;
        let is_quiet = self.heard.len() >= messages || silence > LATE;
        ends && is_quiet && self.proxy.left_to_sever() == 0
    }

    /// Hears what comes twice at the end, closes the session and says what came of it.
    async fn end(mut self, figures: &mut Figures) {
        while let Ok(Some(stanza)) = timeout(AFTERMATH, self.session.receive()).await {
            self.heard.extend(number(&stanza));
        }
        figures.trouble.extend(self.trouble);
        if let Err(error) = self.session.disconnect().await {
            figures.trouble.push(error.to_string());
        }
        let (resumed, new) = self.logins.await.unwrap_or_default();
        figures.resumed += resumed;
        figures.new += new.saturating_sub(1);
        figures.hear(self.storm.messages, &self.heard);
    }
}

/// How many connections took up the session, and how many began a new one.
async fn count_logins(mut statuses: StatusEvents) -> (u32, u32) {
    let (mut resumed, mut new) = (0, 0);
    while let Some(status) = statuses.next().await {
        match status {
            Status::Connected(connected) if connected.resumed => resumed += 1,
            Status::Connected(_) => new += 1,
            _ => {}
        }
    }
    (resumed, new)
}

fn ping(target: &StreamTarget) -> Element {
    Element::new("iq", CLIENT)
        .with_attr("type", "get")
        .with_attr("to", target.domain())
        .with_child(Element::new("ping", "urn:xmpp:ping"))
}

/// A message that carries a number.
pub(crate) fn message(to: &str, number: usize) -> Element {
    let body = Element::new("body", CLIENT).with_text(number.to_string());
    Element::new("message", CLIENT).with_attr("to", to).with_attr("type", "chat").with_child(body)
}

/// The number of a message, unless it comes back as an error.
pub(crate) fn number(stanza: &Element) -> Option<usize> {
    let is_error = stanza.attr("type") == Some("error");
    stanza.child("body", CLIENT).filter(|_| !is_error)?.text().parse().ok()
}

pub(crate) const CLIENT: &str = "jabber:client";
pub(crate) const AHEAD: usize = 16;
/// After such a silence all that is on its way may be lost, and one more is sent.
pub(crate) const STALL: Duration = Duration::from_secs(5);
/// In bytes: a login and some dozens of messages.
const LIFE: u32 = 20_000;
/// After which time to look whether a connection was cut that nobody talks on.
const GLANCE: Duration = Duration::from_millis(10);
/// A server may keep a resumption waiting for a quarter of a minute, and be asked again meanwhile.
const PATIENCE: Duration = Duration::from_secs(60);
/// After which time nothing comes any more that was sent before the last message.
const LATE: Duration = Duration::from_secs(10);
const AFTERMATH: Duration = Duration::from_millis(300);
