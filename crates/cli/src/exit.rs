//! How the command ends: the exit codes, and what is said when it fails.
//! Which error of the library means what to a person at a terminal is in `client`.

use std::process::ExitCode;

use crate::output;

/// The exit codes, a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Connected = 0,
    Internal = 1,
    Usage = 2,
    Authentication = 3,
    Connection = 4,
    TimedOut = 5,
    /// A mechanism was offered that only the policy kept from being used, and none was left; or
    /// the login would be weaker than an earlier one.
    Policy = 6,
    /// `probe`: the worst that was found is a warning.
    Warning = 7,
    /// `probe`: the worst that was found is an error.
    Error = 8,
    /// Ctrl-C, by the custom of shells: 128 and the number of the signal.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command failed: the code, what happened, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// A flag, a file or an address that cannot be used; nothing was done.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, message)
    }

    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted")
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// Tells it on the standard error.
    pub(crate) fn report(&self) {
        output::complain("error", &self.message);
        if let Some(hint) = &self.hint {
            output::complain("hint", hint);
        }
    }
}
