//! The server's half of a good login, recorded, so that it can be cut and spoilt at any place.

use std::collections::VecDeque;

use epode_proto::xml::{Limits, parse_document};
use epode_testpeer::script::Player;

use super::{Case, Driver, Move, ServerHalf, play};

/// What the server says: unasked, after our first frame, after our second, and so on.
#[derive(Clone, Debug)]
pub(crate) struct Tape {
    turns: Vec<Vec<Move>>,
    /// The ids that our frames had when it was recorded; each run has others.
    ids: Vec<String>,
    cut: Cut,
}

/// Into which pieces a server's bytes fall on their way, over TCP.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// Each frame is a piece.
    Frames,
    /// All that the server says at once is a piece.
    Turns,
    /// Each frame is in pieces of this size.
    Pieces(usize),
    /// The frame at this point is in two pieces, the first of this size.
    At(Point, usize),
}

impl Cut {
    /// Cuts what the server says at once, in this turn.
    fn apply(self, turn: usize, mut moves: Vec<Move>) -> Vec<Move> {
        match self {
            Self::Frames => {}
            Self::Turns => moves.dedup_by(|next, first| match (first, next) {
                (Move::Frame(first), Move::Frame(next)) => {
                    first.extend_from_slice(next);
                    true
                }
                _ => false,
            }),
            Self::Pieces(size) => {
                let pieces = |happens: Move| match happens {
                    Move::Frame(frame) => {
                        frame.chunks(size).map(|piece| Move::Frame(piece.to_vec())).collect()
                    }
                    other => vec![other],
                };
                moves = moves.into_iter().flat_map(pieces).collect();
            }
            Self::At(point, size) if point.turn == turn => {
                if let Move::Frame(frame) = &mut moves[point.frame] {
                    let rest = frame.split_off(size);
                    moves.insert(point.frame + 1, Move::Frame(rest));
                }
            }
            Self::At(..) => {}
        }
        moves
    }
}

/// A place on a tape: before this frame of this turn, or at the turn's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Point {
    turn: usize,
    frame: usize,
}

impl Point {
    /// After one more frame of the same turn.
    pub(crate) fn next(self) -> Self {
        Self { frame: self.frame + 1, ..self }
    }
}

impl Tape {
    /// The nonce of the client in every run.
    pub(crate) const NONCE: &'static str = "fyko+d2lbbFgONRv9qkxdawL";

    /// Plays a good login once. The nonce is fixed, so that all but the ids is the same next time.
    pub(crate) fn record(case: &Case) -> Self {
        let mut recorder = Recorder {
            player: case.player(),
            tape: Self { turns: Vec::new(), ids: Vec::new(), cut: Cut::Frames },
        };
        let mut driver = Driver::new(case, case.settings_with_nonce(Some(Self::NONCE)));
        play(&mut driver, &mut recorder).unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert!(driver.is_connected(), "{}: {:?}", case.name, driver.statuses);
        recorder.tape
    }

    /// Plays a login against this tape.
    pub(crate) fn play<'a>(&self, case: &'a Case) -> Driver<'a> {
        let mut driver = Driver::new(case, case.settings_with_nonce(Some(Self::NONCE)));
        self.play_with(&mut driver);
        driver
    }

    /// The same without looking for secrets in what is shown, for tests that play very often.
    pub(crate) fn play_quietly<'a>(&self, case: &'a Case) -> Driver<'a> {
        let mut driver = Driver::new(case, case.settings_with_nonce(Some(Self::NONCE)));
        driver.is_talkative = false;
        self.play_with(&mut driver);
        driver
    }

    /// The same with a driver that was made before.
    pub(crate) fn play_with(&self, driver: &mut Driver<'_>) {
        let mut replay = self.replay();
        if let Err(error) = play(driver, &mut replay) {
            panic!("{}: {error}", driver.case.name);
        }
    }

    pub(crate) fn replay(&self) -> Replay {
        Replay {
            turns: self.turns.iter().cloned().enumerate().collect(),
            cut: self.cut,
            old: self.ids.clone().into(),
            new: Vec::new(),
        }
    }

    /// Every place where something may be put in between.
    pub(crate) fn points(&self) -> impl Iterator<Item = Point> + '_ {
        self.turns
            .iter()
            .enumerate()
            .flat_map(|(turn, frames)| (0..=frames.len()).map(move |frame| Point { turn, frame }))
    }

    /// Every frame, and where it stands.
    pub(crate) fn frames(&self) -> impl Iterator<Item = (Point, &[u8])> + '_ {
        self.turns.iter().enumerate().flat_map(|(turn, frames)| {
            frames.iter().enumerate().filter_map(move |(frame, what)| match what {
                Move::Frame(bytes) => Some((Point { turn, frame }, bytes.as_slice())),
                _ => None,
            })
        })
    }

    /// With something more at this point.
    pub(crate) fn with(&self, point: Point, happens: Move) -> Self {
        let mut changed = self.clone();
        changed.turns[point.turn].insert(point.frame, happens);
        changed
    }

    /// With something else in place of the frame at this point.
    pub(crate) fn instead(&self, point: Point, happens: Move) -> Self {
        let mut changed = self.clone();
        changed.turns[point.turn][point.frame] = happens;
        changed
    }

    /// The same, in other pieces.
    pub(crate) fn cut(&self, cut: Cut) -> Self {
        Self { cut, ..self.clone() }
    }

    /// With nothing from this point on.
    pub(crate) fn until(&self, point: Point) -> Self {
        let mut changed = self.clone();
        changed.turns.truncate(point.turn + 1);
        changed.turns[point.turn].truncate(point.frame);
        changed
    }
}

struct Recorder {
    player: Player,
    tape: Tape,
}

impl ServerHalf for Recorder {
    fn opened(&mut self) -> Vec<Move> {
        let moves = ServerHalf::opened(&mut self.player);
        self.tape.turns.push(moves.clone());
        moves
    }

    fn receive(&mut self, frame: &[u8]) -> Result<Vec<Move>, String> {
        let moves = ServerHalf::receive(&mut self.player, frame)?;
        self.tape.ids.extend(id_of(frame));
        self.tape.turns.push(moves.clone());
        Ok(moves)
    }
}

/// A server that says what is on the tape, whatever it hears.
pub(crate) struct Replay {
    turns: VecDeque<(usize, Vec<Move>)>,
    cut: Cut,
    old: VecDeque<String>,
    new: Vec<(String, String)>,
}

impl Replay {
    fn next_turn(&mut self) -> Vec<Move> {
        let Some((turn, mut moves)) = self.turns.pop_front() else { return Vec::new() };
        for one in &mut moves {
            if let Move::Frame(frame) | Move::Watched(frame) = one {
                for (old, new) in &self.new {
                    put_in_place(frame, old.as_bytes(), new.as_bytes());
                }
            }
        }
        self.cut.apply(turn, moves)
    }
}

impl ServerHalf for Replay {
    fn opened(&mut self) -> Vec<Move> {
        self.next_turn()
    }

    fn receive(&mut self, frame: &[u8]) -> Result<Vec<Move>, String> {
        if let Some(id) = id_of(frame)
            && let Some(old) = self.old.pop_front()
        {
            self.new.push((old, id));
        }
        Ok(self.next_turn())
    }
}

fn id_of(frame: &[u8]) -> Option<String> {
    if !frame.starts_with(b"<iq ") {
        return None;
    }
    let element = parse_document(frame, &Limits::default()).ok()?;
    element.attr("id").map(Into::into)
}

fn put_in_place(frame: &mut [u8], old: &[u8], new: &[u8]) {
    let found = frame.windows(old.len()).position(|window| window == old);
    if let Some(at) = found.filter(|_| old.len() == new.len()) {
        frame[at..at + new.len()].copy_from_slice(new);
    }
}
