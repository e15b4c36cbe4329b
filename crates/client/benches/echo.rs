//! What a message costs over a WebSocket, with stream management and without, and over BOSH: a client
//! sends itself messages through the embedded server on loopback ports. The server runs on a thread of its own and its CPU time is
//! left out.
//!
//! *One at a time* waits for each message before the next is sent, so it shows the round trip; in
//! *bursts* fifty are under way, so it shows what a transport can put together.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use epode::{Client, Element, ProxySettings, Session, StreamManagement};
use epode_testpeer::{ListenOptions, Server};
use rustix::time::{ClockId, clock_gettime};

const PASSWORD: &str = "correct horse battery staple";
const MESSAGES: u32 = 1000;
const BURST: u32 = 50;
const ROUNDS: usize = 7;

fn main() {
    let peer = Peer::start();
    let runtime = runtime();
    let [socket, bosh] = &peer.urls;
    let mut sessions = [
        runtime.block_on(connect(socket, Some(StreamManagement::default()))),
        runtime.block_on(connect(socket, None)),
        runtime.block_on(connect(bosh, None)),
    ];
    println!("{MESSAGES} echoed messages; least of {ROUNDS} rounds");
    println!("{:44} {:>12} {:>14}", "", "messages/s", "CPU µs each");
    for (name, burst) in [("one at a time", 1), ("in bursts of 50", BURST)] {
        let mut least = [Cost::MAX; 3];
        for _ in 0..ROUNDS {
            for (session, least) in sessions.iter_mut().zip(&mut least) {
                *least = least.min(peer.cost(&runtime, session, burst));
            }
        }
        let [managed, plain, bosh] = least;
        managed.print(&format!("WebSocket, {name}"));
        plain.print(&format!("the same without XEP-0198, {name}"));
        bosh.print(&format!("BOSH, {name}"));
        managed.print_ratio("  stream management takes", plain);
        bosh.print_ratio("  BOSH takes, of the WebSocket", plain);
    }
}

/// What it takes to echo all messages.
#[derive(Clone, Copy)]
struct Cost {
    time: Duration,
    cpu: Duration,
}

impl Cost {
    const MAX: Self = Self { time: Duration::MAX, cpu: Duration::MAX };

    fn min(self, other: Self) -> Self {
        Self { time: self.time.min(other.time), cpu: self.cpu.min(other.cpu) }
    }

    fn print(&self, name: &str) {
        let rate = f64::from(MESSAGES) / self.time.as_secs_f64();
        let each = self.cpu.as_secs_f64() * 1e6 / f64::from(MESSAGES);
        println!("{name:44} {rate:>12.0} {each:>14.1}");
    }

    fn print_ratio(self, name: &str, of: Self) {
        let (time, cpu) = (ratio(self.time, of.time), ratio(self.cpu, of.cpu));
        println!("{name:44} {time:>11.2}× {cpu:>13.2}×");
    }
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

async fn connect(url: &str, management: Option<StreamManagement>) -> Session {
    let client = Client::builder("alice@localhost").expect("it is an address");
    let client = client.endpoint(url).expect("it is a URL").proxies(ProxySettings::none());
    let client = client.password(PASSWORD).stream_management(management);
    client.connect().await.expect("a login")
}

async fn echo(session: &mut Session, burst: u32) {
    let body = Element::new("body", "jabber:client").with_text("Hello, me!");
    let message = Element::new("message", "jabber:client")
        .with_attr("to", session.jid().to_string())
        .with_child(body);
    for _ in 0..MESSAGES / burst {
        for _ in 0..burst {
            session.send(message.clone()).await.expect("it is online");
        }
        for _ in 0..burst {
            session.receive().await.expect("it comes back");
        }
    }
}

/// The server, on a thread and runtime of its own.
struct Peer {
    /// Of the WebSocket, then of BOSH.
    urls: [String; 2],
    ask_clock: tokio::sync::mpsc::UnboundedSender<()>,
    clock: mpsc::Receiver<Duration>,
}

impl Peer {
    fn start() -> Self {
        let (ask_clock, mut asked) = tokio::sync::mpsc::unbounded_channel();
        let (tell, clock) = mpsc::channel();
        let (tell_urls, urls) = mpsc::channel();
        thread::spawn(move || {
            runtime().block_on(async move {
                let server = Server::builder("localhost").account("alice", PASSWORD).build();
                let running = server.listen(ListenOptions::default()).await.expect("free ports");
                let urls = [running.ws_url(), running.bosh_url()].map(str::to_owned);
                tell_urls.send(urls).expect("somebody asked");
                while asked.recv().await.is_some() {
                    let _ = tell.send(self::clock(ClockId::ThreadCPUTime));
                }
            });
        });
        Self { urls: urls.recv().expect("the server listens"), ask_clock, clock }
    }

    /// One round: the time, and the CPU time of everything but the server.
    fn cost(&self, runtime: &tokio::runtime::Runtime, session: &mut Session, burst: u32) -> Cost {
        let before = (Instant::now(), clock(ClockId::ProcessCPUTime), self.cpu());
        runtime.block_on(echo(session, burst));
        let time = before.0.elapsed();
        let served = self.cpu() - before.2;
        Cost { time, cpu: (clock(ClockId::ProcessCPUTime) - before.1).saturating_sub(served) }
    }

    fn cpu(&self) -> Duration {
        self.ask_clock.send(()).expect("the server runs");
        self.clock.recv().expect("the server answers")
    }
}

fn clock(id: ClockId) -> Duration {
    let now = clock_gettime(id);
    let (seconds, nanos) = (now.tv_sec.cast_unsigned(), now.tv_nsec.cast_unsigned());
    Duration::new(seconds, u32::try_from(nanos).expect("less than a second"))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}
