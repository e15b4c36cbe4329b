//! Files with a BOSH session to take over, as `prebind` makes them. What stands in one is the
//! library's affair.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use epode::{Attachment, AttachmentError, Jid, RestoreError};

use crate::{
    exit::{Exit, Failure},
    secret_file::{FileError, SecretFile},
    shell_word::shell_word,
};

/// Why there is no session to take over. No variant holds any part of its ids.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionFileError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "{} can be read by others (mode {mode:04o}), and whoever has the session can use it: chmod 600 {}",
        .path.display(), shell_word(&.path.display().to_string())
    )]
    Readable { path: PathBuf, mode: u32 },
    #[error("{} holds no session: {problem}", .path.display())]
    NoSession { path: PathBuf, problem: AttachmentError },
    #[error("the session in {} is one of {found}, not of {wanted}", .path.display())]
    OtherAccount { path: PathBuf, found: Jid, wanted: Jid },
    #[error("{}: {problem}", .path.display())]
    Over { path: PathBuf, problem: RestoreError },
}

impl From<SessionFileError> for Failure {
    fn from(error: SessionFileError) -> Self {
        let exit = match error {
            // As where only the server knows that it is over.
            SessionFileError::Over { .. } => Exit::Connection,
            _ => Exit::Usage,
        };
        let failure = Self::new(exit, error.to_string());
        match error {
            SessionFileError::NoSession { .. } | SessionFileError::Over { .. } => {
                failure.hint(NEW_SESSION)
            }
            _ => failure,
        }
    }
}

/// Reads the session of this account; `-` is the standard input.
pub(crate) fn read(path: &Path, account: &Jid) -> Result<Attachment, SessionFileError> {
    let is_stdin = path == Path::new(STDIN);
    let file = if is_stdin { SecretFile::read_stdin()? } else { SecretFile::read(path)? };
    let path = || file.path().to_owned();
    if let Some(mode) = file.lax_mode() {
        return Err(SessionFileError::Readable { path: path(), mode });
    }
    let attachment = Attachment::from_json(file.line()?.trim_end())
        .map_err(|problem| SessionFileError::NoSession { path: path(), problem })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match attachment.check(account, now) {
        Ok(()) => Ok(attachment),
        Err(RestoreError::OtherAccount { account: wanted, found }) => {
            Err(SessionFileError::OtherAccount { path: path(), found, wanted })
        }
        Err(problem) => Err(SessionFileError::Over { path: path(), problem }),
    }
}

/// In place of a file.
pub(crate) const STDIN: &str = "-";
/// What to do when a session cannot be taken over.
pub(crate) const NEW_SESSION: &str = "'epode prebind' makes a new one";
