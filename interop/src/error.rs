//! What can go wrong with the rig itself, each with its remedy.
//!
//! A login that fails is no error here: it is a result in the matrix.

use std::{path::PathBuf, process::ExitStatus};

/// Why the rig, or a server in it, cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A program that the rig starts is not on this machine.
    #[error(
        "{program} is not installed: run `cargo xtask interop`, which installs it, \
         or `apt-get install {package}`"
    )]
    NotInstalled {
        /// The program that was looked for.
        program: String,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// Nobody said where the packages of the newer servers are.
    #[error("the servers of Debian's backports are not here: run `cargo xtask interop`")]
    NoBackports,
    /// A server is there, but not the version that the rows are about.
    #[error(
        "{server} should be version {expected} but is {found:?}: the rows are about the packages \
         of Debian 12 and its backports"
    )]
    WrongVersion {
        /// The server.
        server: &'static str,
        /// How its version should begin.
        expected: &'static str,
        /// Its version; empty without the package.
        found: String,
    },
    /// A file or folder of the rig could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No free loopback port could be taken.
    #[error("cannot take a free port on 127.0.0.1: {0}")]
    Port(#[source] std::io::Error),
    /// A certificate could not be made.
    #[error("cannot make a certificate: {0}")]
    Certificate(#[from] rcgen::Error),
    /// The token validator cannot use the certificate that was made for it.
    #[error("the token validator cannot use its certificate: {0}")]
    Tls(#[from] rustls::Error),
    /// A template names a placeholder that nobody fills, or does not close one.
    #[error("{template}, line {line}: the placeholder @{name}@ has no value")]
    Placeholder {
        /// The template's file name.
        template: &'static str,
        /// The line, from one.
        line: usize,
        /// The name between the at-signs.
        name: String,
    },
    /// A process could not be started.
    #[error("cannot start {name}: {source}")]
    Start {
        /// The server or tool.
        name: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// A server ended before it was ready.
    #[error("{server} ended while it was starting ({status}); the end of its log:\n{log}")]
    Ended {
        /// The server.
        server: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// The last lines that it wrote.
        log: String,
    },
    /// A server runs, but a port that it should serve does not answer.
    #[error(
        "{server} did not answer on port {port} within {seconds} s; the end of its log:\n{log}"
    )]
    NotReady {
        /// The server.
        server: &'static str,
        /// The port that was tried.
        port: u16,
        /// How long it was tried.
        seconds: u64,
        /// The last lines that it wrote.
        log: String,
    },
    /// A command that manages a server failed.
    #[error("{command} failed ({status}):\n{output}")]
    Command {
        /// The command, without its secrets.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed.
        output: String,
    },
    /// A server's management interface gave an answer that is of no use.
    #[error("{server} refused {request}: {answer}")]
    Management {
        /// The server.
        server: &'static str,
        /// What was asked.
        request: &'static str,
        /// What it said, or why there was no answer.
        answer: String,
    },
    /// Somebody asked the run to end.
    #[error("stopped on request")]
    Stopped,
}
