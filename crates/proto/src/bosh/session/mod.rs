//! One BOSH session: frames in, requests out, and the other way round.
//! The parts are elsewhere: what waits, what is under way, and when to ask.

mod answers;
mod bodies;

use std::{collections::VecDeque, fmt, time::Duration};

use zeroize::Zeroizing;

use super::{
    Attachment, End, Failure, Granted, MAX_RID, NoRandomness, Options, Patience, PauseError,
    Request, RequestId, SendError,
    keys::KeySequence,
    outbox::Outbox,
    pace::Pace,
    reply,
    window::{Content, Terms, Window},
};
use crate::{
    Frame, Time,
    framing::{self, websocket},
    xml,
};

/// One BOSH session, without I/O. See the [module](super) for where it stands.
///
/// After each call: take the frames with [`poll_frame`](Self::poll_frame) and give them to the
/// connection, [`send`](Self::send) what it wants to send, then take the requests with
/// [`poll_request`](Self::poll_request), and look at [`end`](Self::end). In this order an answer
/// and what follows from it do not cross, and the fewest requests are made.
pub struct Session {
    options: Options,
    stage: Stage,
    granted: Granted,
    /// Whoever knows it, and the request id, has the session.
    sid: Option<Zeroizing<String>>,
    next_rid: u64,
    keys: Option<KeySequence>,
    outbox: Outbox,
    window: Window,
    pace: Pace,
    frames: VecDeque<Frame>,
    /// What the frames take.
    frame_bytes: usize,
    /// The request that asked for a new stream, whose header is still to be made.
    restart: Option<u64>,
    /// The server has answered for this session.
    is_confirmed: bool,
    /// When it has, if the second request of one that was taken over is still waiting then.
    confirms_at: Option<Time>,
    /// How many answers in a row the server no longer had.
    gone: u32,
    /// When a request was last asked for.
    last_poll: Time,
}

enum Stage {
    /// The stream is not to be opened yet.
    Unopened,
    /// The session is to be created.
    Creating,
    /// Requests pass.
    Open,
    /// The last frame was given.
    Closing,
    Over(End),
}

/// The answer to a request, as HTTP brought it.
#[derive(Clone, Copy, Debug)]
pub struct Response<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The body; only that of status 200 is looked at. Drivers should not read more of it than
    /// [`Limits::response`](super::Limits::response) and one byte.
    pub body: &'a [u8],
}

impl Session {
    /// A session that the first `<open/>` creates. Its request ids begin anywhere below 2⁵², so
    /// that nobody can guess them and there are enough.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`] if the system gives none.
    pub fn new(options: Options) -> Result<Self, NoRandomness> {
        let mut bytes = [0; 8];
        getrandom::fill(&mut bytes).map_err(|_| NoRandomness)?;
        Self::starting_at(options, u64::from_be_bytes(bytes))
    }

    /// As [`new`](Self::new), with a request id of the caller's, which is brought below 2⁵²; for
    /// tests, and where randomness comes from elsewhere.
    ///
    /// # Errors
    ///
    /// [`NoRandomness`], which only keys need ([`Options::key_sequence`]).
    pub fn starting_at(options: Options, rid: u64) -> Result<Self, NoRandomness> {
        let keys = options.key_sequence.then(KeySequence::new).transpose()?;
        let rid = (rid & (MAX_RID >> 1)).max(1);
        let mut granted = Granted::default();
        (granted.wait, granted.hold) = (options.wait, options.hold);
        Ok(Self::with(options, Stage::Unopened, granted, None, rid, keys))
    }

    /// A session that somebody else has created and logged in. It begins with two empty requests,
    /// so that the server answers the first at once, and [`is_confirmed`](Self::is_confirmed) says
    /// that it did. A sequence of keys cannot be taken over.
    #[must_use]
    pub fn attach(options: Options, attachment: &Attachment) -> Self {
        let sid = Some(Zeroizing::new(attachment.sid().to_owned()));
        Self::with(options, Stage::Open, *attachment.granted(), sid, attachment.rid(), None)
    }

    fn with(
        options: Options,
        stage: Stage,
        granted: Granted,
        sid: Option<Zeroizing<String>>,
        next_rid: u64,
        keys: Option<KeySequence>,
    ) -> Self {
        Self {
            options,
            stage,
            granted,
            sid,
            next_rid,
            keys,
            outbox: Outbox::default(),
            window: Window::default(),
            pace: Pace::default(),
            frames: VecDeque::new(),
            frame_bytes: 0,
            restart: None,
            is_confirmed: false,
            confirms_at: None,
            gone: 0,
            last_poll: Time::ZERO,
        }
    }

    /// Takes a frame of the connection's: one XML element that stands alone.
    ///
    /// # Errors
    ///
    /// [`SendError`]; nothing has changed then. A `<close/>` is always taken.
    pub fn send(&mut self, frame: &[u8]) -> Result<(), SendError> {
        let is_element = frame.first() == Some(&b'<')
            && frame.get(1).is_some_and(|byte| byte.is_ascii_alphabetic() || b"_:".contains(byte))
            && frame.last() == Some(&b'>');
        if !is_element {
            return Err(SendError::NotAnElement);
        }
        match framing_frame(frame, &self.options.xml) {
            Some(framing::Frame::Close { .. }) => {
                self.close();
                return Ok(());
            }
            _ if matches!(self.stage, Stage::Closing | Stage::Over(_)) => {
                return Err(SendError::Over);
            }
            Some(framing::Frame::Open(header)) => {
                if matches!(self.stage, Stage::Unopened) {
                    self.stage = Stage::Creating;
                }
                self.outbox.open(header);
            }
            _ if matches!(self.stage, Stage::Unopened) => return Err(SendError::NotOpened),
            _ => self.outbox.payload(frame, &self.options.limits)?,
        }
        self.pace.spoke();
        Ok(())
    }

    /// How many bytes the next frame may have for [`send`](Self::send) to take it.
    #[must_use]
    pub fn room(&self) -> usize {
        self.outbox.room(&self.options.limits)
    }

    /// Whether as much as one request may hold can be sent at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.room() >= self.options.limits.request
    }

    /// The next request to be posted, if one is due. There are never more than two without an
    /// answer.
    #[must_use]
    pub fn poll_request(&mut self, now: Time) -> Option<Request> {
        if self.is_over() || self.window.is_ending() {
            return None;
        }
        self.last_poll = now;
        if !self.window.is_mending() {
            let batch = self.next_batch(now)?;
            if self.next_rid > MAX_RID {
                self.finish(End::RidsUsedUp);
                return None;
            }
            let (content, body) = self.body(batch);
            self.pace.sent(now, content == Content::Empty);
            self.window.push(now, self.next_rid, content, body);
            self.next_rid += 1;
        }
        self.window.ask(now)
    }

    /// The request has gone out by now. Drivers that have to connect first say so, and take no
    /// other request before: what follows is held back until it has had time to arrive, since it
    /// must not overtake. Those that cannot tell leave it.
    pub fn handle_sent(&mut self, now: Time, id: RequestId) {
        self.window.sent(id, now);
    }

    /// Takes the answer to a request. One that nobody waits for is dropped: the second of two, or
    /// one that came after the end.
    pub fn handle_response(&mut self, now: Time, id: RequestId, response: Response<'_>) {
        let taken = self.answered(now, id, response);
        self.settle(now, taken);
    }

    /// The HTTP exchange broke, or could not be begun: the same will be asked again.
    pub fn handle_failure(&mut self, now: Time, id: RequestId) {
        if let Some(place) = self.window.find(id).filter(|place| place.is_current) {
            let terms = Terms { options: &self.options, granted: &self.granted };
            let taken = self.window.fail(&place, now, Failure::Broken, terms);
            self.settle(now, taken);
        }
    }

    /// The next frame for the connection, in the order in which the server sent them. New
    /// requests wait while more than [`Limits::response`](super::Limits::response) bytes of frames
    /// are not taken.
    #[must_use]
    pub fn poll_frame(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.frame_bytes -= frame.as_bytes().len();
        Some(frame)
    }

    /// When to call [`handle_timeout`](Self::handle_timeout), and then
    /// [`poll_request`](Self::poll_request), if nothing happens before.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Time> {
        if self.is_over() {
            return None;
        }
        let terms = Terms { options: &self.options, granted: &self.granted };
        let poll = self.may_poll().then(|| self.pace.due(&self.granted));
        let settled = (!self.outbox.is_empty()).then(|| self.window.settled());
        // What is due already waits for an answer, not for a moment.
        let settled = settled.filter(|at| *at > self.last_poll);
        self.window
            .next_time(terms)
            .into_iter()
            .chain(poll)
            .chain(settled)
            .chain(self.confirms_at)
            .min()
    }

    /// A moment has come that [`poll_timeout`](Self::poll_timeout) named.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.confirms_at.take_if(|at| *at <= now).is_some() {
            self.is_confirmed = true;
        }
        loop {
            let terms = Terms { options: &self.options, granted: &self.granted };
            let Some(place) = self.window.overdue(now, terms) else { return };
            let taken = self.window.fail(&place, now, Failure::Silence, terms);
            self.settle(now, taken);
        }
    }

    /// How it ended, if it did. Frames may still be there to be taken.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        match &self.stage {
            Stage::Over(end) => Some(end),
            _ => None,
        }
    }

    /// Asks the server to let the session be without requests for longer than it otherwise would,
    /// as while another program takes it over. The next frame that is sent ends the pause; so does
    /// an empty request shortly before its end.
    ///
    /// # Errors
    ///
    /// [`PauseError`]; nothing has changed then.
    pub fn pause(&mut self, span: Duration) -> Result<(), PauseError> {
        if !matches!(self.stage, Stage::Open) {
            return Err(PauseError::Over);
        }
        let limit = self.granted.max_pause.ok_or(PauseError::NotOffered)?;
        if span > limit {
            return Err(PauseError::TooLong { limit: limit.as_secs() });
        }
        let seconds = u16::try_from(span.as_secs().max(1)).unwrap_or(u16::MAX);
        self.outbox.pause(seconds);
        Ok(())
    }

    /// How long answers may take from now on, in place of [`Options::patience`]: for whoever knows
    /// better once it is known what the server [granted](Self::granted).
    pub fn set_patience(&mut self, patience: Patience) {
        self.options.patience = patience;
    }

    /// Makes no more empty requests, so that none is under way soon; for a session that is to be
    /// handed over and cannot be paused. The server may end it when its time without requests is
    /// over.
    pub fn rest(&mut self) {
        self.pace.rest();
    }

    /// Ends a pause or a rest at once; to send a frame ends a pause too.
    pub fn resume(&mut self) {
        self.pace.resume();
    }

    /// The session's id. Whoever has it and the next request id can take the session over.
    #[must_use]
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_ref().map(|sid| sid.as_str())
    }

    /// The request id of the next new request.
    #[must_use]
    pub fn next_rid(&self) -> u64 {
        self.next_rid
    }

    /// How many requests are not answered yet, those that are to be sent again included.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.window.len()
    }

    /// What the server granted; before it did, what is asked for.
    #[must_use]
    pub fn granted(&self) -> &Granted {
        &self.granted
    }

    /// Whether the server has answered for this session, and not to end it.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.is_confirmed
    }

    /// Whether nothing is to be sent, answered or taken: the session is fit to be handed over.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.window.is_empty() && self.outbox.is_empty() && self.frames.is_empty()
    }

    /// Whether another program can go on with it, which has no keys of a sequence.
    #[must_use]
    pub fn can_be_handed_over(&self) -> bool {
        self.keys.is_none() && matches!(self.stage, Stage::Open)
    }

    /// The `Content-Type` of requests.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.options.content_type
    }

    /// How many bytes of an answer are looked at; one that has more is refused.
    #[must_use]
    pub fn response_limit(&self) -> usize {
        self.options.limits.response
    }

    fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over(_))
    }

    fn close(&mut self) {
        match self.stage {
            Stage::Closing | Stage::Over(_) => {}
            // The server knows of nothing.
            Stage::Unopened | Stage::Creating if self.sid.is_none() && self.window.is_empty() => {
                self.finish(End::Closed);
            }
            _ => {
                self.stage = Stage::Closing;
                self.outbox.close();
            }
        }
    }

    fn push(&mut self, frame: Frame) {
        self.frame_bytes += frame.as_bytes().len();
        self.frames.push_back(frame);
    }

    /// It is over: what was not answered is wiped.
    fn finish(&mut self, end: End) {
        if end == End::Closed {
            self.push(reply::close());
        }
        self.stage = Stage::Over(end);
        self.outbox.clear();
        self.window.clear();
        self.keys = None;
    }
}

impl fmt::Debug for Session {
    /// Without ids and frames: whoever has the former has the session.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("granted", &self.granted)
            .field("under_way", &self.window.len())
            .field("end", &self.end())
            .finish_non_exhaustive()
    }
}

/// The `<open/>` or `<close/>` that a frame is, if it is one.
fn framing_frame(frame: &[u8], limits: &xml::Limits) -> Option<framing::Frame> {
    let name = frame[1..].split(|byte| b" \t\r\n/>".contains(byte)).next()?;
    if !matches!(name, b"open" | b"close") {
        return None; // most are, and are not read here
    }
    websocket::decode(frame, limits).ok()
}
