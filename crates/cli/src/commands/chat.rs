//! `chat`: talk with somebody, line by line, over a session that outlives its connections.
//! One conversation, and no list of contacts.

use std::time::Duration;

use epode::{
    Element, Error, Jid, Receipt, Reconnect, Session, Status, StatusEvents,
    proto::xml::namespaces::DELAY,
    services::{
        Answering,
        carbons::{self, Carbon, Copied},
        disco::{Identity, Registry},
        receipts::{self, Delivered, Incoming, Messages},
        version::{self, Version},
    },
    stanza::{self, Presence, StanzaError},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    args::ChatArgs,
    chat::{Event, Mark, OwnLines, Report, Screen, Typed, now, read_lines, send_lines, show_of},
    client,
    exit::{Exit, Failure},
    interrupt::{Stop, unless_interrupted},
    output::complain,
    secrets,
    status_lines::Seen,
};

pub(crate) async fn run(args: &ChatArgs) -> Result<Exit, Failure> {
    let builder = client::builder(&args.account, &args.client)?.reconnect(Reconnect::default());
    let given = secrets::resolve(&args.account, &args.client)?;
    let source = given.source.clone();
    let mut builder = client::entrust(builder, given);
    let mut statuses = builder.watch();
    let mut chat = Chat::new(args);
    let ended = match unless_interrupted(client::connect(builder, None, false)).await? {
        Ok(session) => chat.talk(session, &mut statuses).await?,
        Err(error) => {
            chat.rest(&mut statuses).await?;
            Err(error)
        }
    };
    ended.map_err(|error| client::failure(&error, &chat.seen, &source, &args.client))?;
    Ok(Exit::Connected)
}

/// What a conversation knows and shows.
struct Chat {
    peer: Jid,
    screen: Screen,
    own: OwnLines,
    seen: Seen,
    is_online: bool,
    is_quiet: bool,
    /// Who asks for copies, in each new session.
    tasks: JoinSet<()>,
}

impl Chat {
    fn new(args: &ChatArgs) -> Self {
        Self {
            peer: args.jid.clone(),
            screen: Screen::new(args.client.connection.json),
            own: OwnLines::default(),
            seen: Seen::default(),
            is_online: false,
            is_quiet: false,
            tasks: JoinSet::new(),
        }
    }

    /// Until the input ends, Ctrl-C comes or the session is over; says how it ended.
    async fn talk(
        &mut self,
        mut session: Session,
        statuses: &mut StatusEvents,
    ) -> Result<Result<(), Error>, Failure> {
        let mut stop = Stop::listen()?;
        let talked = self.converse(&mut session, statuses, &mut stop).await;
        let closing = async { tokio::join!(session.disconnect(), self.rest(statuses)) };
        let (ended, shown) = tokio::select! {
            closed = closing => closed,
            () = stop.wait() => return Err(Failure::interrupted()), // there is no patience left
        };
        talked.and(shown).map(|()| ended)
    }

    async fn converse(
        &mut self,
        session: &mut Session,
        statuses: &mut StatusEvents,
        stop: &mut Stop,
    ) -> Result<(), Failure> {
        let Beginning { mut messages, _answering, here } = begin(session, &self.peer).await?;
        let (mut reports, _sending) = self.send_lines(session, read_lines()?, here);
        let mut quiet = session.quiet();
        let mut closes = None;
        loop {
            tokio::select! {
                biased; // what comes without end is last
                () = stop.wait() => return Ok(()),
                () = at(closes) => return Ok(()),
                Some(status) = statuses.next() => {
                    self.status(&status)?;
                    if matches!(&status, Status::Connected(connected) if !connected.resumed) {
                        self.ask_for_copies(session);
                    }
                }
                changed = changed(&mut quiet) => self.quiet(changed)?,
                report = reports.recv() => match report {
                    Some(Report::Over) => closes = Some(Instant::now() + PATIENCE),
                    Some(report) => self.report(report)?,
                    None => return Ok(()),
                },
                incoming = messages.next() => match incoming {
                    Some(incoming) => self.incoming(incoming, &session.jid())?,
                    None => return Ok(()),
                },
                stanza = session.receive() => match stanza {
                    Some(stanza) => self.presence(&stanza)?,
                    None => return Ok(()),
                },
            }
        }
    }

    /// Shows the end.
    async fn rest(&mut self, statuses: &mut StatusEvents) -> Result<(), Failure> {
        while let Some(status) = statuses.next().await {
            self.status(&status)?;
        }
        Ok(())
    }

    /// A task sends what is typed, so that nothing else waits for it.
    fn send_lines(
        &self,
        session: &Session,
        lines: mpsc::Receiver<Typed>,
        here: Option<Receipt>,
    ) -> (mpsc::Receiver<Report>, JoinSet<()>) {
        let (sender, reports) = mpsc::channel(16);
        let mut sending = JoinSet::new();
        let (outbox, peer) = (session.outbox(), self.peer.clone());
        sending.spawn(async move {
            if let Some(mut here) = here {
                let _ = here.sent().await; // whether it ever is, the statuses tell
            }
            send_lines(outbox, peer, lines, sender).await;
        });
        (reports, sending)
    }

    fn ask_for_copies(&mut self, session: &Session) {
        let outbox = session.outbox();
        // A server that has none refuses, and the chat goes on without them.
        self.tasks.spawn(async move { drop(carbons::enable(&outbox).await) });
        while self.tasks.try_join_next().is_some() {}
    }

    fn status(&mut self, status: &Status) -> Result<(), Failure> {
        self.seen.note(status);
        let was_online = self.is_online;
        self.is_online = matches!(status, Status::Connected(_));
        let (state, wait, detail) = match status {
            Status::Connected(connected) if connected.resumed => ("resumed", None, None),
            Status::Connected(connected) => ("online", None, Some(connected.jid.to_string())),
            Status::Reconnecting(again) => {
                self.is_quiet = false;
                ("reconnecting", Some(again.wait.as_secs_f64()), Some(again.reason.to_string()))
            }
            Status::Redirect(place) => ("sent elsewhere", None, Some(place.clone())),
            Status::Disconnecting if was_online => ("offline", None, None),
            Status::Disconnected(Some(reason)) if was_online => {
                ("offline", None, Some(reason.to_string()))
            }
            _ => return Ok(()),
        };
        self.screen.show(&Event::Connection { state, wait, detail })
    }

    fn quiet(&mut self, is_quiet: bool) -> Result<(), Failure> {
        if std::mem::replace(&mut self.is_quiet, is_quiet) == is_quiet {
            return Ok(());
        }
        let state = if is_quiet { "quiet" } else { "heard again" };
        self.screen.show(&Event::Connection { state, wait: None, detail: None })
    }

    fn incoming(&mut self, incoming: Incoming, account: &Jid) -> Result<(), Failure> {
        match incoming {
            Incoming::Delivered(Delivered { from, id, .. }) => {
                self.settle(Some(from), &id, Mark::Delivered)
            }
            Incoming::Message(message) => match Carbon::unwrap(&message, account) {
                Ok(None) => self.message(&message),
                Ok(Some(carbon)) => self.copy(&carbon),
                Err(_) => Ok(()), // forged: nothing of it is shown
            },
        }
    }

    fn message(&mut self, message: &Element) -> Result<(), Failure> {
        let from = stanza::from(message).ok().flatten();
        if StanzaError::parse(message).is_some() {
            return self.settle(from, message.attr("id").unwrap_or_default(), Mark::Refused);
        }
        let (Some(from), Some(text)) = (from, stanza::body(message, &[])) else { return Ok(()) };
        let sent = message.child("delay", DELAY).and_then(|delay| delay.attr("stamp"));
        let sent = sent.map(str::to_owned);
        self.screen.show(&Event::Message { time: now(), from: from.to_string(), sent, text })
    }

    /// What another client of ours received or sent.
    fn copy(&mut self, carbon: &Carbon) -> Result<(), Failure> {
        let to = stanza::to(&carbon.message).ok().flatten();
        match (carbon.copied, stanza::body(&carbon.message, &[])) {
            (Copied::Received, _) => self.message(&carbon.message),
            (Copied::Sent, Some(text)) if to.is_some_and(|to| self.is_peer(&to)) => {
                self.screen.show(&Event::Own { time: now(), line: None, text })
            }
            _ => Ok(()),
        }
    }

    fn presence(&mut self, stanza: &Element) -> Result<(), Failure> {
        let from = stanza::from(stanza).ok().flatten().filter(|from| self.is_peer(from));
        let (Some(from), Some(show)) = (from, show_of(stanza)) else { return Ok(()) };
        let text = stanza::text(stanza, "status", &[]).filter(|text| !text.is_empty());
        self.screen.show(&Event::Presence { from: from.to_string(), show, text })
    }

    /// Only who a message was sent to, or the server, decides what has become of it.
    fn settle(&mut self, from: Option<Jid>, id: &str, mark: Mark) -> Result<(), Failure> {
        match self.own.line(id) {
            Some(line) if from.is_none_or(|from| self.is_peer(&from)) => self.mark(line, mark),
            _ => Ok(()),
        }
    }

    fn report(&mut self, report: Report) -> Result<(), Failure> {
        match report {
            Report::Typed { line, id, text } => {
                self.own.add(line, id);
                self.screen.show(&Event::Own { time: now(), line: Some(line), text })
            }
            Report::Mark { line, mark } => self.mark(line, mark),
            Report::Unusable(why) => {
                complain("warning", &format!("a line is not sent: {why}"));
                Ok(())
            }
            Report::Over => Ok(()),
        }
    }

    fn mark(&mut self, line: u64, mark: Mark) -> Result<(), Failure> {
        let marks = self.own.advance(line, mark);
        self.screen.mark(line, &marks)
    }

    fn is_peer(&self, jid: &Jid) -> bool {
        jid.bare() == self.peer.bare()
    }
}

/// Says that we are there, and answers who asks what we are.
async fn begin(session: &Session, peer: &Jid) -> Result<Beginning, Failure> {
    let outbox = session.outbox();
    let identity = Identity::new("client", "console").with_name(env!("CARGO_BIN_NAME"));
    let registry = Registry::new(env!("CARGO_PKG_REPOSITORY"), identity);
    for feature in [version::NAMESPACE, receipts::NAMESPACE, carbons::NAMESPACE] {
        registry.add_feature(feature);
    }
    let friend = peer.bare();
    let full = |error: epode::TooManyHandlers| Failure::internal(error.to_string());
    let messages = Messages::receive(&outbox, move |from| from.bare() == friend).map_err(full)?;
    let version = Version::new(env!("CARGO_BIN_NAME"), env!("CARGO_PKG_VERSION"));
    let answering =
        [registry.answer(&outbox).map_err(full)?, version::answer(&outbox, version).map_err(full)?];
    // If the session is over by now, that is seen at once.
    let here = session.send(Presence::available().with(registry.capabilities())).await.ok();
    Ok(Beginning { messages, _answering: answering, here })
}

/// What a chat begins with.
struct Beginning {
    messages: Messages,
    _answering: [Answering; 2],
    /// Tells when our presence is out, and what is typed can follow at once.
    here: Option<Receipt>,
}

/// Whether the server is quiet, once that changes.
async fn changed(quiet: &mut watch::Receiver<bool>) -> bool {
    match quiet.changed().await {
        Ok(()) => *quiet.borrow_and_update(),
        Err(_) => std::future::pending().await, // the end comes by other ways
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// How long what was typed last may take to reach the server, once the input has ended.
const PATIENCE: Duration = Duration::from_secs(10);
