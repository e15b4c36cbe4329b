//! BOSH (XEP-0124) over HTTP: what `epode_proto`'s session wants posted is posted, and what is
//! answered is given to it. The rules of the session are known there.

mod cookies;
mod poster;

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use epode_proto::{
    Time,
    bosh::{End, Granted, RequestId, Response, SendError, Session},
    framing::websocket,
};
use epode_sasl::Channel;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use zeroize::Zeroizing;

use self::poster::{Answer, Poster, Posting};
use super::{
    News,
    dial::Deadline,
    endpoint::Endpoint,
    error::TransportError,
    options::TransportOptions,
    peer::{Peer, Phase},
};

/// A BOSH session that carries frames as a WebSocket does.
pub(super) struct Bosh {
    session: Session,
    poster: Poster,
    exchanges: Vec<Exchange>,
    options: TransportOptions,
    zero: Instant,
    alarm: Pin<Box<Sleep>>,
    /// Something was queued, and whether there is room for more was not told yet.
    is_sending: bool,
    /// The next request id that the driver knows of.
    told_rid: u64,
    /// The session is to be left to somebody else.
    is_handing_over: bool,
    /// What cannot be mended by asking again.
    failure: Option<TransportError>,
}

/// One request over HTTP.
struct Exchange {
    id: RequestId,
    posting: Posting,
    /// The session knows that it has gone out.
    is_told: bool,
}

/// What another program needs to go on with a session.
pub(crate) struct Baton {
    pub(crate) sid: Zeroizing<String>,
    pub(crate) rid: u64,
    pub(crate) granted: Granted,
}

impl Bosh {
    /// Connects to the server; the session begins with the first frame.
    pub(super) async fn connect(
        endpoint: &Endpoint,
        options: &TransportOptions,
        deadline: Deadline,
    ) -> Result<(Self, Channel), TransportError> {
        let session =
            Session::new(options.bosh().clone()).map_err(|_| TransportError::NoRandomness)?;
        Self::with(session, endpoint, options, deadline).await
    }

    /// Takes over a session, and makes sure of it.
    pub(super) async fn attach(
        endpoint: &Endpoint,
        session: Session,
        options: &TransportOptions,
        deadline: Deadline,
    ) -> Result<(Self, Channel), TransportError> {
        let (mut bosh, channel) = Self::with(session, endpoint, options, deadline).await?;
        let confirmed = poll_fn(|cx| bosh.poll_confirmed(cx));
        deadline.bound(Phase::Receive, &endpoint.peer(), confirmed).await?;
        Ok((bosh, channel))
    }

    async fn with(
        session: Session,
        endpoint: &Endpoint,
        options: &TransportOptions,
        deadline: Deadline,
    ) -> Result<(Self, Channel), TransportError> {
        let form = (session.content_type(), session.response_limit());
        let (poster, channel) = Poster::connect(endpoint, options, form, deadline).await?;
        let told_rid = session.next_rid();
        let zero = Instant::now();
        let bosh = Self {
            session,
            poster,
            exchanges: Vec::new(),
            options: options.clone(),
            zero,
            alarm: Box::pin(sleep_until(zero)),
            is_sending: false,
            told_rid,
            is_handing_over: false,
            failure: None,
        };
        Ok((bosh, channel))
    }

    /// Queues a frame. More than one may leave in one request.
    pub(super) fn queue(&mut self, frame: &[u8]) -> Result<(), TransportError> {
        match self.session.send(frame) {
            Ok(()) => {
                self.is_sending = true;
                Ok(())
            }
            Err(SendError::TooLarge { size, limit }) => {
                Err(TransportError::FrameTooLarge { size, limit })
            }
            // How it ended comes after what was said before.
            Err(SendError::Over) if self.over().is_some() => Ok(()),
            Err(error) => {
                tracing::debug!(%error, "not taken");
                Err(TransportError::Closed { peer: self.peer() })
            }
        }
    }

    pub(super) fn peer(&self) -> Peer {
        self.poster.endpoint().peer()
    }

    /// True while what is queued leaves no room for another request.
    pub(super) fn is_sending(&self) -> bool {
        self.is_sending
    }

    /// How many requests have gone out, or more; it never gets less.
    pub(super) fn sent(&self) -> u64 {
        self.session.next_rid()
    }

    /// Where the session stands, once it is there.
    pub(super) fn baton(&self) -> Option<Baton> {
        let sid = Zeroizing::new(self.session.sid()?.to_owned());
        self.session.can_be_handed_over().then(|| Baton {
            sid,
            rid: self.session.next_rid(),
            granted: *self.session.granted(),
        })
    }

    /// Brings the session to where nothing is under way, so that somebody else can take it over.
    /// A pause would be sooner, but some servers never answer that request.
    pub(super) fn hand_over(&mut self) -> bool {
        self.is_handing_over = self.session.can_be_handed_over();
        if self.is_handing_over {
            self.session.rest();
        }
        self.is_handing_over
    }

    /// Goes on after all.
    pub(super) fn stay(&mut self) {
        self.is_handing_over = false;
        self.session.resume();
    }

    /// Moves everything, up to the next piece of news.
    pub(super) fn poll_exchange(&mut self, cx: &mut Context<'_>, listens: bool) -> Poll<News> {
        loop {
            while self.poll_answers(cx).is_ready() {}
            // What was said is heard, and answered, before anything is asked.
            if listens && let Some(frame) = self.session.poll_frame() {
                return Poll::Ready(News::Received(Ok(Some(frame.as_bytes().to_vec()))));
            }
            if listens && let Some(over) = self.over() {
                return Poll::Ready(News::Received(over));
            }
            self.begin();
            if self.told_rid != self.session.next_rid() {
                self.told_rid = self.session.next_rid();
                return Poll::Ready(News::Moved);
            }
            if self.is_sending && self.session.has_room() && self.over().is_none() {
                self.is_sending = false;
                return Poll::Ready(News::Sent(Ok(())));
            }
            if self.is_handing_over && listens && self.session.is_quiet() {
                return Poll::Ready(News::Quiet);
            }
            ready!(self.poll_moved(cx));
        }
    }

    /// Ends the session, if it has not ended.
    pub(super) async fn close(&mut self) -> Result<(), TransportError> {
        let _ = self.session.send(websocket::close().to_xml().as_bytes()); // always taken
        let peer = self.peer();
        let closed = timeout(CLOSE_LIMIT, poll_fn(|cx| self.poll_closed(cx))).await;
        closed.map_err(|_| TransportError::TimedOut { phase: Phase::Close, peer })
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            while self.session.poll_frame().is_some() {}
            if self.over().is_some() {
                return Poll::Ready(());
            }
            self.begin();
            ready!(self.poll_moved(cx));
        }
    }

    fn poll_confirmed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        loop {
            if self.session.is_confirmed() {
                return Poll::Ready(Ok(()));
            }
            match self.over() {
                Some(Err(error)) => return Poll::Ready(Err(error)),
                Some(Ok(_)) => return Poll::Ready(Err(TransportError::Bosh(End::Closed))),
                None => self.begin(),
            }
            ready!(self.poll_moved(cx));
        }
    }

    /// How it ended, once it has.
    fn over(&self) -> Option<Result<Option<Vec<u8>>, TransportError>> {
        match (&self.failure, self.session.end()) {
            (Some(failure), _) => Some(Err(failure.clone())),
            (None, Some(End::Closed)) => Some(Ok(None)),
            (None, Some(end)) => Some(Err(TransportError::Bosh(end.clone()))),
            (None, None) => None,
        }
    }

    /// Posts what is due, and sets the alarm.
    fn begin(&mut self) {
        // What is still connecting could be overtaken.
        while self.exchanges.iter().all(|exchange| exchange.is_told)
            && let Some(request) = self.session.poll_request(self.now())
        {
            self.exchanges.retain(|exchange| Some(exchange.id) != request.replaces);
            let posting = self.poster.post(request.body);
            self.exchanges.push(Exchange { id: request.id, posting, is_told: false });
        }
        if let Some(due) = self.due()
            && self.alarm.deadline() != due
        {
            self.alarm.as_mut().reset(due);
        }
    }

    /// When the session is to be looked at, if nothing happens before. Nothing is due while a
    /// connection is being made, which has a deadline of its own.
    fn due(&self) -> Option<Instant> {
        let is_connecting = self.exchanges.iter().any(|exchange| !exchange.is_told);
        let due = self.session.poll_timeout().filter(|_| !is_connecting)?;
        self.zero.checked_add(due.since_zero())
    }

    /// An answer came, a request went out, or a moment is there.
    fn poll_moved(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.poll_answers(cx).is_ready() || self.tell_sent() {
            return Poll::Ready(());
        }
        self.poll_alarm(cx)
    }

    /// Tells the session what has gone out, if anything has.
    fn tell_sent(&mut self) -> bool {
        let now = self.now();
        let is_new = |exchange: &&mut Exchange| !exchange.is_told && exchange.posting.is_sent();
        let Some(exchange) = self.exchanges.iter_mut().find(is_new) else { return false };
        exchange.is_told = true;
        self.session.handle_sent(now, exchange.id);
        true
    }

    /// Takes one answer.
    fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let arrived = self.exchanges.iter_mut().enumerate().find_map(|(index, exchange)| {
            match exchange.posting.poll(cx) {
                Poll::Ready(result) => Some((index, result)),
                Poll::Pending => None,
            }
        });
        let Some((index, result)) = arrived else { return Poll::Pending };
        let id = self.exchanges.remove(index).id;
        match result {
            Ok(answer) => self.take(id, answer),
            Err(error) => {
                tracing::debug!(%error, "a request failed");
                if error.is_temporary() {
                    self.session.handle_failure(self.now(), id);
                } else {
                    self.failure = Some(error);
                }
            }
        }
        Poll::Ready(())
    }

    fn take(&mut self, id: RequestId, answer: Answer) {
        let status = answer.status.as_u16();
        self.options.report_status(status);
        let response = Response { status, body: &answer.body };
        self.session.handle_response(self.now(), id, response);
        self.poster.keep(answer);
    }

    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.due().is_none() {
            return Poll::Pending;
        }
        let alarm = self.alarm.as_mut().poll(cx);
        alarm.map(|()| self.session.handle_timeout(self.now()))
    }

    fn now(&self) -> Time {
        Time::after(self.zero.elapsed())
    }
}

/// The server need not hear it: a session without requests expires.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

#[cfg(all(test, any(feature = "ring", feature = "aws-lc-rs")))]
mod tests;
