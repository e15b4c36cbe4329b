//! A proxy on loopback that cuts connections at random places.
//!
//! It knows no protocol: it sees what each side says, chunk by chunk, and passes it on or does not.

use std::{
    fmt, io,
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep_until},
};

use crate::Error;

/// A proxy before a port of 127.0.0.1, on one of its own. It passes everything on until it is told
/// to cut. Dropping it closes its connections.
///
/// What is cut where follows from a seed, the order of the connections, and the chunks in which
/// both sides speak.
///
/// ```no_run
/// # async fn example() -> Result<(), epode_interop::Error> {
/// use epode_interop::{CuttingProxy, Place};
///
/// let proxy = CuttingProxy::start(5280, 42).await?;
/// println!("log in through 127.0.0.1:{}", proxy.port());
/// proxy.cut_one_in(10, &Place::ALL);
/// // …
/// println!("{} connections were cut", proxy.cuts().total());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct CuttingProxy {
    port: u16,
    terms: Arc<Terms>,
    accepting: JoinHandle<()>,
}

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What the client says does not reach the server.
    BeforeRequest,
    /// The server hears only the beginning.
    WithinRequest,
    /// The server hears all, and the client none of the answer.
    BeforeAnswer,
    /// The client hears only the beginning.
    WithinAnswer,
    /// Some milliseconds after the client spoke, whatever was said by then: as a rule it waits.
    WhileWaiting,
}

/// Who says something on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The server.
    Server,
    /// The client.
    Client,
}

/// How many connections were cut, by [`Place`]. `Display` lists them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cuts([u32; Place::ALL.len()]);

impl CuttingProxy {
    /// Begins to pass on what comes, to and from this port of 127.0.0.1.
    ///
    /// # Errors
    /// [`Error::Port`] when the system has no port for it.
    pub async fn start(server_port: u16, seed: u64) -> Result<Self, Error> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(Error::Port)?;
        let port = listener.local_addr().map_err(Error::Port)?.port();
        let (knife, cuts, axe, muted) = Default::default();
        let terms = Arc::new(Terms { server_port, knife, cuts, axe, muted });
        let accepting = tokio::spawn(accept(listener, Dice(seed), Arc::clone(&terms)));
        Ok(Self { port, terms, accepting })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on, one in so many chunks of a client's is the last of its connection, on average,
    /// which is cut at one of these places. Without places, none is.
    pub fn cut_one_in(&self, chunks: u32, places: &'static [Place]) {
        *lock(&self.terms.knife) = Knife { chunks, places };
    }

    /// From now on, so many connections end after a random number of bytes, fewer than these, to
    /// either side, or after a random time. The last bytes may be the beginning of a frame.
    pub fn sever(&self, connections: u32, within: u32) {
        *lock(&self.terms.axe) = Axe { left: connections, within };
    }

    /// From now on, what this side says goes nowhere; the connections last.
    pub fn mute(&self, side: Side) {
        self.terms.muted[side as usize].store(true, Relaxed);
    }

    /// How many of the connections of [`Self::sever`] are still to be cut.
    pub fn left_to_sever(&self) -> u32 {
        lock(&self.terms.axe).left
    }

    /// What was cut by now, without what was [severed](Self::sever).
    pub fn cuts(&self) -> Cuts {
        *lock(&self.terms.cuts)
    }
}

impl Drop for CuttingProxy {
    fn drop(&mut self) {
        self.accepting.abort(); // it owns the connections
    }
}

impl Place {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::BeforeRequest,
        Self::WithinRequest,
        Self::BeforeAnswer,
        Self::WithinAnswer,
        Self::WhileWaiting,
    ];
}

impl Place {
    /// How much still passes of what is said when the connection is cut here; nothing if it is not
    /// cut by it.
    fn share(self, is_request: bool, length: usize, dice: &mut Dice) -> Option<usize> {
        match (self, is_request) {
            (Self::BeforeRequest, true) | (Self::BeforeAnswer, false) => Some(0),
            (Self::WithinRequest, true) | (Self::WithinAnswer, false) => Some(dice.index(length)),
            _ => None,
        }
    }
}

impl Cuts {
    /// How many at this place.
    pub fn at(&self, place: Place) -> u32 {
        self.0[place as usize]
    }

    /// How many altogether.
    pub fn total(&self) -> u32 {
        self.0.iter().sum()
    }
}

impl fmt::Display for Cuts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, place) in Place::ALL.into_iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {place}", self.at(place))?;
        }
        Ok(())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BeforeRequest => "before a request",
            Self::WithinRequest => "within one",
            Self::BeforeAnswer => "before an answer",
            Self::WithinAnswer => "within one",
            Self::WhileWaiting => "while waiting",
        })
    }
}

/// What all connections of a proxy share.
#[derive(Debug)]
struct Terms {
    server_port: u16,
    knife: Mutex<Knife>,
    cuts: Mutex<Cuts>,
    axe: Mutex<Axe>,
    /// By [`Side`].
    muted: [AtomicBool; 2],
}

/// How many more connections end at any byte, and within how many.
#[derive(Clone, Copy, Debug, Default)]
struct Axe {
    left: u32,
    within: u32,
}

/// How often and where connections are cut.
#[derive(Clone, Copy, Debug, Default)]
struct Knife {
    chunks: u32,
    places: &'static [Place],
}

impl Terms {
    /// Whether and where the connection is to end, now that the client has spoken.
    fn draw(&self, dice: &mut Dice) -> Option<Place> {
        let Knife { chunks, places } = *lock(&self.knife);
        let is_last = !places.is_empty() && dice.below(chunks) == 0;
        is_last.then(|| places[dice.index(places.len())])
    }

    /// After how many bytes the connection is to end, if it is.
    fn draw_bytes(&self, dice: &mut Dice) -> Option<usize> {
        let Axe { left, within } = *lock(&self.axe);
        let bytes = (left > 0).then(|| dice.below(within))?;
        usize::try_from(bytes).ok()
    }

    fn count_severed(&self) {
        let mut axe = lock(&self.axe);
        axe.left = axe.left.saturating_sub(1);
    }

    fn count(&self, place: Place) {
        lock(&self.cuts).0[place as usize] += 1;
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, mut dice: Dice, terms: Arc<Terms>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let (terms, dice) = (Arc::clone(&terms), Dice(dice.next()));
                connections.spawn(async move {
                    // Who closes or resets ends the other side too.
                    match pass_on(client, dice, &terms).await {
                        Ok(Some(End::At(place))) => terms.count(place),
                        Ok(Some(End::Severed)) => terms.count_severed(),
                        Ok(None) | Err(_) => {}
                    }
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// How a connection ended that was cut.
#[derive(Clone, Copy)]
enum End {
    At(Place),
    Severed,
}

/// Passes on what both sides say, until one closes or the connection is cut.
async fn pass_on(mut client: TcpStream, mut dice: Dice, terms: &Terms) -> io::Result<Option<End>> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, terms.server_port)).await?;
    // What is said leaves at once, as it would without a proxy.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut request, mut answer) = ([0; CHUNK], [0; CHUNK]);
    let (mut last, mut alarm) = (None, Instant::now());
    let mut rest = None;
    loop {
        if rest.is_none()
            && let Some(bytes) = terms.draw_bytes(&mut dice)
        {
            rest = Some(bytes);
            alarm = Instant::now() + LONGEST_LIFE.mul_f64(dice.fraction());
        }
        let (said, is_request) = tokio::select! {
            size = client.read(&mut request) => (&request[..size?], true),
            size = server.read(&mut answer) => (&answer[..size?], false),
            () = sleep_until(alarm), if last == Some(Place::WhileWaiting) => {
                return Ok(last.map(End::At));
            }
            () = sleep_until(alarm), if rest.is_some() => return Ok(Some(End::Severed)),
        };
        if said.is_empty() {
            return Ok(None);
        }
        if terms.muted[usize::from(is_request)].load(Relaxed) {
            continue;
        }
        if is_request && last.is_none() && rest.is_none() {
            last = terms.draw(&mut dice);
            alarm = Instant::now() + LONGEST_WAIT.mul_f64(dice.fraction());
        }
        let hearer = if is_request { &mut server } else { &mut client };
        let (passes, end) = match (last, rest.as_mut()) {
            (_, Some(rest)) if *rest <= said.len() => (*rest, Some(End::Severed)),
            (_, Some(rest)) => {
                *rest -= said.len();
                (said.len(), None)
            }
            (Some(place), None) => match place.share(is_request, said.len(), &mut dice) {
                Some(share) => (share, Some(End::At(place))),
                None => (said.len(), None),
            },
            (None, None) => (said.len(), None),
        };
        hearer.write_all(&said[..passes]).await?;
        if end.is_some() {
            return Ok(end);
        }
    }
}

/// Numbers that look random and can be had again: `SplitMix64`.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as this seed says.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From 0 to below 1.
    pub fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).unwrap_or_default())
            / (f64::from(u32::MAX) + 1.0)
    }

    /// A number below this one, or 0.
    pub fn below(&mut self, end: u32) -> u32 {
        u32::try_from(self.next() % u64::from(end.max(1))).unwrap_or_default()
    }

    /// A place in a list of this length.
    fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.next()).unwrap_or_default() % length.max(1)
    }
}

/// As much as a WebSocket or BOSH client says at once, and more.
const CHUNK: usize = 16 * 1_024;

/// A connection that is to be severed and on which little is said.
const LONGEST_LIFE: Duration = Duration::from_millis(400);

/// A server answers within less, unless it waits for something to say.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::{TcpListener, TcpStream},
    };

    use super::{Cuts, CuttingProxy, Dice, Place};

    #[tokio::test]
    async fn until_it_is_told_to_cut_everything_passes() {
        let proxy = CuttingProxy::start(parrot().await, 1).await.unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        for _ in 0..100 {
            assert_eq!(ask(&mut client).await.unwrap(), *QUESTION);
        }
        assert_eq!(proxy.cuts(), Cuts::default());
    }

    #[tokio::test]
    async fn it_cuts_at_each_place() {
        let proxy = CuttingProxy::start(parrot().await, 7).await.unwrap();
        proxy.cut_one_in(2, &Place::ALL);
        cut_all(&proxy, 100).await;
        assert_eq!(proxy.cuts().total(), 100);
        for place in Place::ALL {
            assert!(proxy.cuts().at(place) > 10, "{}", proxy.cuts());
        }
    }

    #[tokio::test]
    async fn it_cuts_where_it_is_told_to() {
        let proxy = CuttingProxy::start(parrot().await, 7).await.unwrap();
        proxy.cut_one_in(1, &[Place::WithinAnswer]);
        cut_all(&proxy, 10).await;
        assert_eq!(proxy.cuts().at(Place::WithinAnswer), 10);
        assert_eq!(proxy.cuts().total(), 10);
        proxy.cut_one_in(1, &[]);
        let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
        assert_eq!(ask(&mut client).await.unwrap(), *QUESTION);
    }

    /// Makes so many connections, and asks over each until it is cut.
    async fn cut_all(proxy: &CuttingProxy, connections: u32) {
        for _ in 0..connections {
            let mut client = TcpStream::connect(("127.0.0.1", proxy.port())).await.unwrap();
            while ask(&mut client).await.is_ok() {}
        }
        // A cut is counted when the connection is closed.
        while proxy.cuts().total() < connections {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn dice_fall_the_same_way_again() {
        let falls = |mut dice: Dice| [(); 8].map(|()| dice.below(6));
        assert_eq!(falls(Dice(1)), falls(Dice(1)));
        assert_ne!(falls(Dice(1)), falls(Dice(2)));
        let mut dice = Dice(1);
        let mut counts = [0; 6];
        for _ in 0..6_000 {
            counts[dice.index(6)] += 1;
            assert!((0.0..1.0).contains(&dice.fraction()));
        }
        assert!(counts.iter().all(|count| (900..1_100).contains(count)), "{counts:?}");
    }

    /// Says everything back, on a port of its own.
    async fn parrot() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut reader, mut writer) = socket.split();
                    let _ = tokio::io::copy(&mut reader, &mut writer).await;
                });
            }
        });
        port
    }

    async fn ask(client: &mut TcpStream) -> io::Result<[u8; QUESTION.len()]> {
        let mut answer = [0; QUESTION.len()];
        client.write_all(QUESTION).await?;
        client.read_exact(&mut answer).await?;
        Ok(answer)
    }

    const QUESTION: &[u8; 11] = b"who is it?\n";
}
