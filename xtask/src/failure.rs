//! Why a command of ours ended early.
//!
//! What a tool found wrong stands in its own output; this names the tool and the step.

use std::{fmt, io, process::ExitStatus};

/// A failure, with the step it belongs to once that is known.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line names no step that exists.
    Usage(String),
    /// A command could not be started.
    Start { command: String, source: io::Error },
    /// A command said that something is wrong.
    Command { command: String, status: ExitStatus },
    /// The machine lacks something; the text says what, and the remedy.
    Missing(String),
    /// A step of the run failed.
    Step { step: &'static str, reason: Box<Self> },
}

impl Failure {
    /// 2 for a wrong command line, 1 for everything else.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) | Self::Missing(text) => f.write_str(text),
            Self::Start { command, source } => write!(f, "cannot start `{command}`: {source}"),
            Self::Command { command, status } => write!(f, "`{command}` failed: {status}"),
            Self::Step { step, reason } => write!(f, "xtask {step} failed: {reason}"),
        }
    }
}
