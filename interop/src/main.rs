//! Logs in to real servers, in every way that they offer, and prints what came of it.
//!
//! `cargo xtask interop` installs the servers and runs this. Words on the command line choose rows:
//! those that have all of them, as in `cargo xtask interop -- prosody-13 SCRAM-SHA-1`.

mod components;
mod cut_streams;
mod echo;
mod exchange;
mod figures;
mod handover;
mod lend;
mod login;
mod lost_sessions;
mod matrix;
mod only_binding;
mod probe;
mod quick_logins;
mod restarts;
mod rows;
mod scenes;
mod servers;
mod soak;
mod stream_target;

use std::{
    env,
    error::Error,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use epode_interop::{Error as RigError, Release, Rig, Stop, Table};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::{
    echo::Comparison,
    handover::AS_ANOTHER_PROCESS,
    matrix::{Outcome, Refusal, Row, binding_name},
    restarts::AS_A_TALKER,
    rows::rows,
    scenes::{Played, Scene, scenes},
    servers::{ALICE, Servers},
};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let outcome = match words.split_first() {
        Some((first, arguments)) if first == AS_ANOTHER_PROCESS => {
            another_process(handover::play_part(arguments)).map(|()| 0)
        }
        Some((first, arguments)) if first == AS_A_TALKER => {
            another_process(restarts::talk(arguments)).map(|()| 0)
        }
        Some((first, words)) if first == SOAK => soak(words),
        Some((first, words)) if first == ECHO => echo(words),
        Some((first, command)) if first == LEND => {
            lend::lend(command).map(|status| usize::from(!status.success()))
        }
        _ => run(&words),
    };
    match outcome {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The part of another process: see `handover.rs` and `restarts.rs`.
fn another_process(
    part: impl Future<Output = Result<(), Box<dyn Error>>>,
) -> Result<(), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let played = runtime.block_on(part);
    runtime.shutdown_background(); // it may be waiting for more input
    played
}

/// Runs the long form of some scenes and returns how many failed.
fn soak(words: &[String]) -> Result<usize, Box<dyn Error>> {
    let rows = soak::rows(words);
    if rows.is_empty() {
        return Err(format!("no row has all of these words: {}", words.join(" ")).into());
    }
    let run = Run::start()?;
    let mut failed = 0;
    println!("{}", soak::HEADLINE);
    for row in rows {
        let line = run.unless_stopped(row.play(&run.rig, &run.servers, run.seed))?;
        println!("{}", line.text);
        failed += usize::from(!line.is_perfect);
    }
    Ok(failed)
}

/// Prints what an echoed message costs over each transport.
fn echo(words: &[String]) -> Result<usize, Box<dyn Error>> {
    let transports = echo::transports(words);
    if transports.is_empty() {
        return Err(format!("no transport has all of these words: {}", words.join(" ")).into());
    }
    let run = Run::start()?;
    println!("{}", echo::HEADLINE);
    for transport in transports {
        let comparison = Comparison::make(&run.rig, &run.servers, transport);
        print!("{}", run.unless_stopped(comparison)??);
    }
    Ok(0)
}

/// Runs the rows and returns how many failed.
fn run(words: &[String]) -> Result<usize, Box<dyn Error>> {
    let chosen = |row: String| words.iter().all(|word| row.contains(word));
    let mut rows = rows();
    rows.retain(|row| chosen(columns(row).join(" ")));
    let mut scenes = scenes();
    scenes.retain(|scene| chosen(scene_columns(scene).join(" ")));
    let mut probed = Release::ALL.to_vec();
    probed.retain(|release| chosen(format!("{release} probe")));
    if rows.is_empty() && scenes.is_empty() && probed.is_empty() {
        return Err(format!("no row has all of these words: {}", words.join(" ")).into());
    }
    let mut run = Run::start()?;
    for row in &rows {
        run.log_in(row)?;
    }
    run.play(&scenes)?;
    for release in &probed {
        run.probe(release)?;
    }
    print!("{}", run.table);
    for note in &run.notes {
        println!("\n{note}");
    }
    let total = rows.len() + scenes.len() + probed.len();
    let (failed, seconds) = (run.failed, seconds(run.start));
    println!("\n{} passed, {failed} failed, in {seconds:.1} s", total - failed);
    Ok(failed)
}

/// Running servers, and what came of the rows by now.
struct Run {
    runtime: Runtime,
    // Before the rig: they need its folder.
    servers: Servers,
    rig: Rig,
    /// What is cut in the rows that cut connections.
    seed: u64,
    start: Instant,
    table: Table<{ HEADLINE.len() }>,
    notes: Vec<String>,
    failed: usize,
}

impl Run {
    fn start() -> Result<Self, Box<dyn Error>> {
        // The one worker watches for signals and moves connections; everything else happens on
        // this thread.
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let rig = match env::var_os(BACKPORTS) {
            Some(folder) => Rig::new()?.with_backports(folder),
            None => Rig::new()?,
        };
        watch_for_signals(&runtime, rig.stop())?;
        let seed = match env::var(SEED) {
            Ok(seed) => seed.parse()?,
            Err(_) => SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs(),
        };
        let start = Instant::now();
        let servers = Servers::start(&rig)?;
        println!("servers ready after {:.1} s, in {}", seconds(start), rig.folder().display());
        println!("connections are cut by {SEED}={seed}\n");
        let (table, notes) = (Table::new(HEADLINE), Vec::new());
        Ok(Self { runtime, servers, rig, seed, start: Instant::now(), table, notes, failed: 0 })
    }

    fn log_in(&mut self, row: &Row) -> Result<(), RigError> {
        let start = Instant::now();
        let login = login::login(&self.rig, &self.servers, row);
        let outcome = self.unless_stopped(async { timeout(LOGIN_WITHIN, login).await })?;
        let outcome = outcome.unwrap_or_else(|_| {
            let message = format!("nothing came of it within {} s", LOGIN_WITHIN.as_secs());
            Err(Refusal { offence: "hung".to_owned(), message })
        });
        let verdict = row.judge(&outcome);
        self.add(cells(row, &outcome, &verdict, start.elapsed()), &verdict);
        Ok(())
    }

    /// Plays them, those of each server one after the other, and all servers at once: most of the
    /// time somebody waits.
    fn play(&mut self, scenes: &[Scene]) -> Result<(), RigError> {
        let play_all = async |release: &Release| {
            let mut played = Vec::new();
            for scene in scenes.iter().filter(|scene| scene.server == release) {
                let start = Instant::now();
                let play = timeout(SCENE_WITHIN, scene.play(&self.rig, &self.servers, self.seed));
                let hung = |_| Played::new("hung", "nothing came of it in time");
                let outcome = play.await.unwrap_or_else(hung);
                played.push((scene, outcome, start.elapsed()));
            }
            played
        };
        let [first, second, third, fourth] = Release::ALL;
        let all = async {
            tokio::join!(play_all(first), play_all(second), play_all(third), play_all(fourth))
        };
        let (first, second, third, fourth) = self.unless_stopped(all)?;
        for (scene, played, time) in [first, second, third, fourth].into_iter().flatten() {
            let verdict = scene.judge(&played);
            self.add(scene_cells(scene, &played, &verdict, time), &verdict);
            let scene = format!("{} {} {}", scene.server, scene.transport, scene.act);
            self.notes.push(format!("{scene}: {}", played.note));
        }
        Ok(())
    }

    fn probe(&mut self, release: &Release) -> Result<(), Box<dyn Error>> {
        let start = Instant::now();
        let found = probe::findings(&self.rig, &self.servers, release)?;
        let expected = probe::expected(release)?;
        let verdict = if found == expected {
            Ok(())
        } else {
            Err(format!("found {found:?}, expected {expected:?}"))
        };
        self.add(probe_cells(release, &found, &verdict, start.elapsed()), &verdict);
        Ok(())
    }

    fn add(&mut self, cells: [String; HEADLINE.len()], verdict: &Result<(), String>) {
        self.failed += usize::from(verdict.is_err());
        self.table.row(cells);
    }

    /// What comes of this, or an error when the run is to end.
    fn unless_stopped<T>(&self, it: impl Future<Output = T>) -> Result<T, RigError> {
        self.runtime.block_on(async {
            tokio::select! {
                () = self.rig.stop().raised() => Err(RigError::Stopped),
                outcome = it => Ok(outcome),
            }
        })
    }
}

/// Ctrl-C and a polite kill end the run in order: servers first, then their folder.
fn watch_for_signals(runtime: &Runtime, stop: &Stop) -> Result<(), std::io::Error> {
    let _guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let stop = stop.clone();
    runtime.spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.raise();
    });
    Ok(())
}

/// What of a row is known before the login.
fn columns(row: &Row) -> [String; 6] {
    [
        row.server.to_string(),
        row.way.transport.to_string(),
        row.way.tls.map_or_else(|| "-".to_owned(), |version| version.to_string()),
        row.mechanism.to_string(),
        row.jid.to_owned(),
        row.terms(),
    ]
}

/// The same of a scene.
fn scene_columns(scene: &Scene) -> [String; 6] {
    let [tls, mechanism] = [(); 2].map(|()| "-".to_owned());
    let account = ALICE.to_owned();
    let (server, via) = (scene.server.to_string(), scene.transport.to_string());
    [server, via, tls, mechanism, account, scene.act.to_string()]
}

fn scene_cells(
    scene: &Scene,
    played: &Played,
    verdict: &Result<(), String>,
    time: Duration,
) -> [String; HEADLINE.len()] {
    let [server, via, tls, mechanism, account, with] = scene_columns(scene);
    let [binding, flights] = [(); 2].map(|()| "-".to_owned());
    let (result, time, verdict) = (played.result.clone(), milliseconds(time), words(verdict));
    [server, via, tls, mechanism, account, with, result, binding, flights, time, verdict]
}

fn probe_cells(
    release: &Release,
    found: &[String],
    verdict: &Result<(), String>,
    time: Duration,
) -> [String; HEADLINE.len()] {
    let result = format!("{} findings", found.len());
    let [dash, account] = ["-", release.domains[0]].map(str::to_owned);
    let (all, with) = ("starttls, tls, wss".to_owned(), "epode probe".to_owned());
    let (time, verdict) = (milliseconds(time), words(verdict));
    let [tls, mechanism, binding, flights] = [(); 4].map(|()| dash.clone());
    [
        release.to_string(),
        all,
        tls,
        mechanism,
        account,
        with,
        result,
        binding,
        flights,
        time,
        verdict,
    ]
}

fn milliseconds(time: Duration) -> String {
    format!("{:>6.1} ms", time.as_secs_f64() * 1_000.0)
}

fn words(verdict: &Result<(), String>) -> String {
    match verdict {
        Ok(()) => "passed".to_owned(),
        Err(why) => format!("FAILED: {why}"),
    }
}

fn cells(
    row: &Row,
    outcome: &Outcome,
    verdict: &Result<(), String>,
    time: Duration,
) -> [String; HEADLINE.len()] {
    let [server, via, tls, mechanism, account, with] = columns(row);
    let (result, binding, flights) = match outcome {
        Ok(session) => {
            ("online".to_owned(), binding_name(session.binding), session.flights.to_string())
        }
        Err(refusal) => (refusal.offence.clone(), "-", "-".to_owned()),
    };
    let binding = binding.to_owned();
    let (time, verdict) = (milliseconds(time), words(verdict));
    [server, via, tls, mechanism, account, with, result, binding, flights, time, verdict]
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

const HEADLINE: [&str; 11] = [
    "server",
    "via",
    "TLS",
    "mechanism",
    "account",
    "with",
    "result",
    "binding",
    "flights",
    "time",
    "verdict",
];

/// Names the folder in which `cargo xtask interop` unpacks the newer servers.
const BACKPORTS: &str = "EPODE_INTEROP_BACKPORTS";

/// The first argument of a run of the long form.
const SOAK: &str = "soak";

/// The first argument of a run that measures.
const ECHO: &str = "echo";

/// The first argument of a run that only starts the servers, for a command.
const LEND: &str = "lend";

/// The seed of an earlier run, to have the same cuts again.
const SEED: &str = "EPODE_INTEROP_SEED";

/// Some seconds are the rule.
const SCENE_WITHIN: Duration = Duration::from_secs(120);

/// A login takes a fraction of a second; the client's own deadlines are shorter than this.
const LOGIN_WITHIN: Duration = Duration::from_secs(60);
