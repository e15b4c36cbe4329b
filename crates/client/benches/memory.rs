//! What an idle session takes of memory: many sessions in one process, over TCP without TLS on
//! loopback, to the embedded server in a process of its own.
//!
//! What is counted is the growth of the resident set, so what the system keeps for sockets is left
//! out. What logins leave behind that were under way at the same time is counted, and shared by all:
//! so the more sessions, the less for each.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use epode::{Builder, Client, Liveness, Session, sasl::scram::ScramKeys};
use epode_testpeer::{Limits, ListenOptions, Server, StartTls};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::task::JoinSet;

const PASSWORD: &str = "correct horse battery staple";
const SIZES: [usize; 2] = [1_000, 10_000];
/// In KiB.
const GOAL: f64 = 12.0;
/// Logins at one time.
const AT_ONCE: usize = 50;
/// The first argument of the process that is the server.
const SERVE: &str = "serve";

fn main() {
    raise_file_limit();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    if std::env::args().nth(1).as_deref() == Some(SERVE) {
        return runtime.block_on(serve());
    }
    let peer = Peer::start();
    runtime.block_on(measure(&peer.url));
}

async fn measure(url: &str) {
    let first = client(url, 0).password(PASSWORD).connect().await.expect("a login");
    let keys = first.scram_keys().expect("a login with SCRAM");
    let mut sessions = vec![first];
    let empty = resident();
    println!("goal: less than {GOAL} KiB each");
    println!("{:>10} {:>10} {:>7} {:>10}", "sessions", "KiB each", "goal", "logins/s");
    for size in SIZES {
        let (start, before) = (Instant::now(), sessions.len());
        fill(&mut sessions, size, url, &keys).await;
        let rate = (size - before) as f64 / start.elapsed().as_secs_f64();
        tokio::time::sleep(Duration::from_secs(1)).await; // for what is still on its way
        let each = (resident() - empty) as f64 / (size - 1) as f64;
        let verdict = if each < GOAL { "reached" } else { "missed" };
        println!("{size:>10} {each:>10.1} {verdict:>7} {rate:>10.0}");
    }
}

async fn fill(sessions: &mut Vec<Session>, size: usize, url: &str, keys: &ScramKeys) {
    while sessions.len() < size {
        let mut logins = JoinSet::new();
        for number in sessions.len()..size.min(sessions.len() + AT_ONCE) {
            logins.spawn(client(url, number).keys(keys.clone()).connect());
        }
        for login in logins.join_all().await {
            sessions.push(login.expect("a login"));
        }
    }
}

fn client(url: &str, number: usize) -> Builder {
    let client = Client::builder(&format!("alice@localhost/{number}")).expect("it is an address");
    let client = client.endpoint(url).expect("it is a URL").liveness(Liveness::off());
    client.danger_allow_unencrypted_stream()
}

/// In KiB.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is there");
    line.trim().trim_end_matches(" kB").parse().expect("it is a number")
}

fn raise_file_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("everybody may have what is allowed");
}

/// The server's process, which ends with this one.
struct Peer {
    process: Child,
    url: String,
}

impl Peer {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .arg(SERVE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program runs");
        let mut url = String::new();
        let output = process.stdout.take().expect("a pipe");
        BufReader::new(output).read_line(&mut url).expect("it says where it listens");
        Self { process, url: url.trim().to_owned() }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.process.kill(); // it has no more to do
        let _ = self.process.wait();
    }
}

async fn serve() {
    let sessions = SIZES.into_iter().max().unwrap_or_default() + 1;
    let mut limits = Limits::default();
    limits.sessions = sessions;
    let server = Server::builder("localhost")
        .account("alice", PASSWORD)
        .starttls(StartTls::Absent)
        .limits(limits)
        .build();
    let running = server.listen(ListenOptions::default()).await.expect("free ports");
    println!("xmpp://{}", running.tcp());
    let input = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    let _ = input.await; // until the one that started it is gone
}
