//! What a login costs the client: CPU time beside the bare key derivation in the same run, and
//! allocations. The server runs on a thread of its own and its CPU time is left out.
//!
//! Two clients are measured: the state machine alone, without the time that its thread takes to
//! hand frames over, and the whole tokio client over an in-memory connection, with its WebSocket
//! handshake and all its waking up of threads.

use std::{
    hint::black_box,
    num::NonZeroU32,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use epode::{
    Client, Status,
    proto::{Action, Connection, Input, Settings, Time},
    sasl::{
        Answer, Channel, MechanismName, Policy, Question, Secret,
        scram::{Derivation, Hash, ScramKeys},
    },
};
use epode_testpeer::{Server, Session, SessionChannel};
use rustix::time::{ClockId, clock_gettime};

const ITERATIONS: u32 = 10_000;
const PASSWORD: &str = "correct horse battery staple";
const ROUNDS: usize = 40;
const LOGINS: u32 = 10;

fn main() {
    let server = Server::builder("localhost").account("alice", PASSWORD).iterations(ITERATIONS);
    let server = server.mechanisms(["SCRAM-SHA-1"]).build();
    let core = CorePeer::start(server.clone());
    let whole = WholePeer::start(server);
    let (keys, _) = core.login(Secret::password(PASSWORD));
    let mut least = [Duration::MAX; 5];
    for _ in 0..ROUNDS {
        let measured = [
            mean(derive),
            mean(|| core.login(Secret::password(PASSWORD)).1),
            mean(|| core.login(Secret::Keys(keys.clone())).1),
            whole.cpu(|| Secret::password(PASSWORD)),
            whole.cpu(|| Secret::Keys(keys.clone())),
        ];
        least.iter_mut().zip(measured).for_each(|(least, found)| *least = found.min(*least));
    }
    report(&least);
    for (name, secret) in
        [("password", Secret::password(PASSWORD)), ("saved keys", Secret::Keys(keys.clone()))]
    {
        let (count, bytes) = core.allocations(secret);
        println!("machine, {name:10}: {count} allocations, {bytes} bytes in all");
    }
}

fn report(least: &[Duration; 5]) {
    let names = [
        "bare derivation, SHA-1",
        "machine, password",
        "machine, saved keys",
        "tokio client, password",
        "tokio client, saved keys",
    ];
    println!("one login, {ITERATIONS} iterations; least of {ROUNDS} rounds of {LOGINS}");
    println!("{:26} {:>10} {:>16}", "", "CPU µs", "of the bare one");
    for (name, time) in names.iter().zip(least) {
        let ratio = time.as_secs_f64() / least[0].as_secs_f64();
        println!("{name:26} {:>10.1} {ratio:>16.3}", time.as_secs_f64() * 1e6);
    }
}

fn derive() -> Duration {
    let mut watch = Stopwatch::running();
    let iterations = NonZeroU32::new(ITERATIONS).expect("it is not 0");
    let derivation = Derivation::new(Hash::Sha1, black_box(PASSWORD), vec![7; 16], iterations);
    black_box(derivation.run());
    watch.pause();
    watch.total
}

/// The mean of what some runs took.
fn mean(run: impl Fn() -> Duration) -> Duration {
    (0..LOGINS).map(|_| run()).sum::<Duration>() / LOGINS
}

/// The CPU time of this thread while it runs.
struct Stopwatch {
    total: Duration,
    since: Duration,
}

impl Stopwatch {
    fn running() -> Self {
        Self { total: Duration::ZERO, since: clock(ClockId::ThreadCPUTime) }
    }

    fn pause(&mut self) {
        self.total += clock(ClockId::ThreadCPUTime) - self.since;
    }

    fn resume(&mut self) {
        self.since = clock(ClockId::ThreadCPUTime);
    }
}

fn clock(id: ClockId) -> Duration {
    let now = clock_gettime(id);
    let (seconds, nanos) = (now.tv_sec.cast_unsigned(), now.tv_nsec.cast_unsigned());
    Duration::new(seconds, u32::try_from(nanos).expect("less than a second"))
}

/// The server's conversations on a thread of their own, a frame at a time.
struct CorePeer {
    to: mpsc::Sender<Option<String>>,
    from: mpsc::Receiver<Vec<String>>,
}

impl CorePeer {
    fn start(server: Server) -> Self {
        let (to, frames) = mpsc::channel::<Option<String>>();
        let (answers, from) = mpsc::channel();
        thread::spawn(move || {
            let mut session: Option<Session> = None;
            for frame in frames {
                match frame {
                    None => session = Some(server.session(SessionChannel::encrypted())),
                    Some(frame) => {
                        let session = session.as_mut().expect("a session was begun");
                        if answers.send(session.receive(&frame)).is_err() {
                            return;
                        }
                    }
                }
            }
        });
        Self { to, from }
    }

    /// One login by the machine alone, up to CONNECTED: its keys, and the machine's CPU time.
    fn login(&self, secret: Secret) -> (ScramKeys, Duration) {
        self.to.send(None).expect("the peer listens");
        let mut watch = Stopwatch::running();
        let jid = "alice@localhost".parse().expect("it is an address");
        let mut connection = Connection::new(Settings::new(jid, secret));
        let mut keys = None;
        connection.handle(Time::ZERO, Input::Opened(Channel::encrypted())).expect("it is due");
        while let Some(action) = connection.poll() {
            match action {
                Action::Transmit(frame) => {
                    let text = String::from_utf8(frame.as_bytes().to_vec()).expect("it is XML");
                    watch.pause();
                    self.to.send(Some(text)).expect("the peer listens");
                    let answers = self.from.recv().expect("the peer answers");
                    watch.resume();
                    for answer in answers {
                        let received = Input::Received(answer.as_bytes());
                        connection.handle(Time::ZERO, received).expect("it is due");
                    }
                }
                Action::Ask(id, Question::Derive(derivation)) => {
                    let answer = Answer::Keys(derivation.run());
                    connection.handle(Time::ZERO, Input::Answered(id, answer)).expect("it is due");
                }
                Action::Keep(new) => keys = Some(new),
                Action::Report(Status::Connected(_)) => {
                    watch.pause();
                    return (keys.expect("SCRAM leaves keys"), watch.total);
                }
                Action::Report(Status::AuthFail(error)) => panic!("{error}"),
                _ => {}
            }
        }
        panic!("no login");
    }

    fn allocations(&self, secret: Secret) -> (u64, u64) {
        let info = allocation_counter::measure(|| drop(self.login(secret)));
        (info.count_total, info.bytes_total)
    }
}

/// The server's WebSocket end on a thread and runtime of its own.
struct WholePeer {
    runtime: tokio::runtime::Runtime,
    streams: tokio::sync::mpsc::UnboundedSender<tokio::io::DuplexStream>,
    clock: mpsc::Receiver<Duration>,
    ask_clock: tokio::sync::mpsc::UnboundedSender<()>,
    policy: Arc<Policy>,
}

impl WholePeer {
    fn start(server: Server) -> Self {
        let (streams, mut accepted) = tokio::sync::mpsc::unbounded_channel();
        let (ask_clock, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let (tell, clock) = mpsc::channel();
        thread::spawn(move || {
            let serving = async move {
                loop {
                    tokio::select! {
                        stream = accepted.recv() => {
                            let Some(stream) = stream else { return };
                            server.serve_websocket(stream, SessionChannel::encrypted()).await;
                        }
                        Some(()) = asked.recv() => {
                            let _ = tell.send(self::clock(ClockId::ThreadCPUTime));
                        }
                    }
                }
            };
            runtime().block_on(serving);
        });
        let policy = Policy::default().allow_only([MechanismName::SCRAM_SHA_1]);
        Self { runtime: runtime(), streams, clock, ask_clock, policy: Arc::new(policy) }
    }

    /// The mean CPU time of a login over some of them, from the handshake to the closing.
    fn cpu(&self, secret: impl Fn() -> Secret) -> Duration {
        let before = (clock(ClockId::ProcessCPUTime), self.peer_cpu());
        self.runtime.block_on(async {
            for _ in 0..LOGINS {
                self.login(secret()).await;
            }
        });
        let peer = self.peer_cpu() - before.1;
        (clock(ClockId::ProcessCPUTime) - before.0).saturating_sub(peer) / LOGINS
    }

    async fn login(&self, secret: Secret) {
        let (near, far) = tokio::io::duplex(64 * 1024);
        self.streams.send(far).expect("the peer listens");
        let client = Client::builder("alice@localhost").expect("it is an address");
        let client = client.endpoint("wss://localhost/xmpp-websocket").expect("it is a URL");
        let client = client.secret(secret).policy(Arc::clone(&self.policy));
        let session = client.over(near, Channel::encrypted()).connect().await.expect("a login");
        session.disconnect().await.expect("an orderly end");
    }

    fn peer_cpu(&self) -> Duration {
        self.ask_clock.send(()).expect("the peer listens");
        self.clock.recv().expect("the peer answers")
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
