//! Logs in to real servers, in every way that they offer, and prints what came of it.
//!
//! `cargo xtask interop` installs the servers and runs this. Words on the command line choose rows:
//! those that have all of them, as in `cargo xtask interop -- prosody-13 SCRAM-SHA-1`.

mod login;
mod matrix;
mod only_binding;
mod probe;
mod rows;
mod servers;

use std::{
    env,
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use epode_interop::{Error as RigError, Release, Rig, Stop, Table};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

use crate::{
    matrix::{Outcome, Refusal, Row, binding_name},
    rows::rows,
    servers::Servers,
};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match run(&words) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the rows and returns how many failed.
fn run(words: &[String]) -> Result<usize, Box<dyn Error>> {
    let mut rows = rows();
    rows.retain(|row| has_all(&columns(row).join(" "), words));
    let mut probed = Release::ALL.to_vec();
    probed.retain(|release| has_all(&format!("{release} probe"), words));
    if rows.is_empty() && probed.is_empty() {
        return Err(format!("no row has all of these words: {}", words.join(" ")).into());
    }
    // The one worker watches for signals; everything else happens on this thread.
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let rig = match env::var_os(BACKPORTS) {
        Some(folder) => Rig::new()?.with_backports(folder),
        None => Rig::new()?,
    };
    watch_for_signals(&runtime, rig.stop())?;

    let start = Instant::now();
    let servers = Servers::start(&rig)?;
    println!("servers ready after {:.1} s, in {}\n", seconds(start), rig.folder().display());

    let start = Instant::now();
    let mut table = Table::new(HEADLINE);
    let mut failed = 0;
    for row in &rows {
        let start = Instant::now();
        let outcome = runtime.block_on(attempt(&rig, &servers, row))?;
        let verdict = row.judge(&outcome);
        failed += usize::from(verdict.is_err());
        table.row(cells(row, &outcome, &verdict, start.elapsed()));
    }
    for release in &probed {
        let start = Instant::now();
        let (found, expected) =
            (probe::findings(&rig, &servers, release)?, probe::expected(release)?);
        let verdict = if found == expected {
            Ok(())
        } else {
            Err(format!("found {found:?}, expected {expected:?}"))
        };
        failed += usize::from(verdict.is_err());
        table.row(probe_cells(release, &found, &verdict, start.elapsed()));
    }
    print!("{table}");
    let total = rows.len() + probed.len();
    println!("\n{} passed, {failed} failed, in {:.1} s", total - failed, seconds(start));
    Ok(failed)
}

/// One login within its time, or an error when the run is to end.
async fn attempt(rig: &Rig, servers: &Servers, row: &Row) -> Result<Outcome, RigError> {
    tokio::select! {
        () = rig.stop().raised() => Err(RigError::Stopped),
        outcome = timeout(LOGIN_WITHIN, login::login(rig, servers, row)) => {
            Ok(outcome.unwrap_or_else(|_| {
                let message = format!("nothing came of it within {} s", LOGIN_WITHIN.as_secs());
                Err(Refusal { offence: "hung".to_owned(), message })
            }))
        }
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

fn has_all(text: &str, words: &[String]) -> bool {
    words.iter().all(|word| text.contains(word))
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
    let (tls, mechanism) = (dash.clone(), dash.clone());
    [release.to_string(), all, tls, mechanism, account, with, result, dash, time, verdict]
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
    let (result, binding) = match outcome {
        Ok(session) => ("online".to_owned(), binding_name(session.binding)),
        Err(refusal) => (refusal.offence.clone(), "-"),
    };
    let (time, verdict) = (milliseconds(time), words(verdict));
    [server, via, tls, mechanism, account, with, result, binding.to_owned(), time, verdict]
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

const HEADLINE: [&str; 10] = [
    "server",
    "via",
    "TLS",
    "mechanism",
    "account",
    "with",
    "result",
    "binding",
    "time",
    "verdict",
];

/// Names the folder in which `cargo xtask interop` unpacks the newer servers.
const BACKPORTS: &str = "EPODE_INTEROP_BACKPORTS";

/// A login takes a fraction of a second; the client's own deadlines are shorter than this.
const LOGIN_WITHIN: Duration = Duration::from_secs(60);
