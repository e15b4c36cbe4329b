//! Where a session is kept, so that the program can go on with it when it starts again.
//! Whose session it may be, and when it has expired, is `epode_proto`'s to say.

use std::{
    fmt,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use epode_proto::{
    SessionState, SessionStateError,
    bosh::{Attachment, AttachmentError},
};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::{PrivateFile, PrivateFileError};

/// A session as it is kept from one run of a program to the next.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StoredSession {
    /// One over BOSH: its ids.
    Bosh(Attachment),
    /// One over TCP or a WebSocket, with stream management: its counts, and the stanzas that the
    /// server does not have yet.
    Managed(SessionState),
}

impl StoredSession {
    /// Writes it as one line of JSON, as secret as a password while the session lasts; wiped on
    /// drop.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        match self {
            Self::Bosh(attachment) => attachment.to_json(),
            Self::Managed(state) => state.to_json().unwrap_or_default(),
        }
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`StoredSessionError`] says what is wrong, without quoting it.
    pub fn from_json(json: &str) -> Result<Self, StoredSessionError> {
        let is_managed =
            serde_json::from_str::<Value>(json).is_ok_and(|it| it.get("in_h").is_some());
        if is_managed {
            return Ok(Self::Managed(SessionState::from_json(json)?));
        }
        Ok(Self::Bosh(Attachment::from_json(json)?))
    }
}

/// Why a text is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoredSessionError {
    /// It is none over BOSH.
    #[error(transparent)]
    Bosh(#[from] AttachmentError),
    /// It is none with stream management.
    #[error(transparent)]
    Managed(#[from] SessionStateError),
}

/// Keeps one session, from one run of a program to the next.
///
/// All methods are called on the session's own task, [`save`](Self::save) with every BOSH request,
/// and with stream management before each stanza goes out and after each that was handled: none
/// should take long. What is kept is as secret as a password while the session lasts.
///
/// [`MemorySessions`] lasts as long as the process, [`FileSessions`] as long as its file. Another
/// store is a few lines around [`StoredSession::to_json`] and [`StoredSession::from_json`].
pub trait SessionStore: Send + Sync {
    /// The session, if one is kept.
    ///
    /// # Errors
    ///
    /// [`SessionStoreError`] when that cannot be said.
    fn load(&self) -> Result<Option<StoredSession>, SessionStoreError>;

    /// Keeps a session, in place of the last one.
    ///
    /// # Errors
    ///
    /// [`SessionStoreError`] when it cannot be kept.
    fn save(&self, session: &StoredSession) -> Result<(), SessionStoreError>;

    /// Forgets the session, if one is kept: it is over.
    ///
    /// # Errors
    ///
    /// [`SessionStoreError`] when it is still there.
    fn remove(&self) -> Result<(), SessionStoreError>;
}

/// Why a store does not know, keep or forget a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct SessionStoreError {
    reason: String,
}

impl SessionStoreError {
    /// An error that says this to people: what went wrong, where, and what to do.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl From<PrivateFileError> for SessionStoreError {
    fn from(error: PrivateFileError) -> Self {
        Self::because(error.to_string())
    }
}

/// A session for as long as the process lives.
///
/// ```
/// use epode::{Attachment, MemorySessions, SessionStore, StoredSession};
///
/// let store = MemorySessions::default();
/// let session = Attachment::new("alice@example.org/web".parse()?, "a1", 1774)?;
/// store.save(&StoredSession::Bosh(session))?;
/// assert!(store.load()?.is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct MemorySessions {
    session: Mutex<Option<StoredSession>>,
}

impl SessionStore for MemorySessions {
    fn load(&self) -> Result<Option<StoredSession>, SessionStoreError> {
        Ok(self.session.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save(&self, session: &StoredSession) -> Result<(), SessionStoreError> {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.clone());
        Ok(())
    }

    fn remove(&self) -> Result<(), SessionStoreError> {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}

impl fmt::Debug for MemorySessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("MemorySessions").field("session", &*session).finish()
    }
}

/// A session in a file of its own, which only its owner can read; see [`PrivateFile`]. It is not
/// forced to the disk, as no session outlives the machine.
///
/// ```
/// use epode::{Attachment, FileSessions, SessionStore, StoredSession};
///
/// # let path = std::env::temp_dir().join(format!("epode-doc-session-{}", std::process::id()));
/// let store = FileSessions::new(path);
/// let session = Attachment::new("alice@example.org/web".parse()?, "a1", 1774)?;
/// store.save(&StoredSession::Bosh(session))?;
/// assert!(store.load()?.is_some());
/// store.remove()?;
/// assert!(store.load()?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileSessions {
    file: PrivateFile,
}

impl FileSessions {
    /// The file at a path, be it there or not; its folder is there.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { file: PrivateFile::new(path) }
    }

    fn foreign(&self, problem: &str) -> SessionStoreError {
        let path = self.file.path().display();
        SessionStoreError::because(format!(
            "{path} holds no session: {problem}. Name another file, or remove this one and \
             log in"
        ))
    }
}

impl SessionStore for FileSessions {
    fn load(&self) -> Result<Option<StoredSession>, SessionStoreError> {
        let Some(contents) = self.file.read(LARGEST)? else { return Ok(None) };
        let text = std::str::from_utf8(&contents).map_err(|_| self.foreign("it is no text"))?;
        let session = StoredSession::from_json(text);
        session.map(Some).map_err(|problem| self.foreign(&problem.to_string()))
    }

    fn save(&self, session: &StoredSession) -> Result<(), SessionStoreError> {
        Ok(self.file.write_unsynced(session.to_json().as_bytes())?)
    }

    fn remove(&self) -> Result<(), SessionStoreError> {
        Ok(self.file.remove()?)
    }
}

/// The stanzas that a session keeps by default take less than half of it.
const LARGEST: usize = 32 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::private_file::TestFolder;

    fn session(rid: u64) -> StoredSession {
        let jid = "alice@example.org/web".parse().expect("it is an address");
        let attachment = Attachment::new(jid, "hunter2", rid).expect("they are good");
        StoredSession::Bosh(attachment.with_saved(1000))
    }

    fn loaded(store: &dyn SessionStore) -> Option<String> {
        store.load().expect("it can be read").map(|session| session.to_json().to_string())
    }

    fn keeps_one_session(store: &dyn SessionStore) {
        assert_eq!(loaded(store), None);
        assert_eq!(store.remove(), Ok(()), "there is none, and that is right");
        for rid in [1000, 1001] {
            assert_eq!(store.save(&session(rid)), Ok(()));
            assert_eq!(loaded(store), Some(session(rid).to_json().to_string()));
        }
        assert_eq!(store.remove(), Ok(()));
        assert_eq!(loaded(store), None);
    }

    #[test]
    fn memory_keeps_one_session() {
        let store = MemorySessions::default();
        keeps_one_session(&store);
        store.save(&session(1000)).expect("there is memory");
        let shown = format!("{store:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_file_keeps_one_session() {
        let folder = TestFolder::make();
        let path = folder.path("session");
        keeps_one_session(&FileSessions::new(&path));
        assert_eq!(folder.count(), 0);
        FileSessions::new(&path).save(&session(1000)).expect("it can be written");
        assert!(loaded(&FileSessions::new(&path)).is_some(), "the next process reads it");
        assert_eq!(folder.count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o7777, 0o600);
        }
    }

    #[test]
    fn the_longest_session_fits() {
        let folder = TestFolder::make();
        let store = FileSessions::new(folder.path("session"));
        let part = "x".repeat(1023);
        let jid = format!("{part}@{part}/{}", "\"".repeat(1023)).parse().expect("it is an address");
        let longest = Attachment::new(jid, &"\t".repeat(1024), 1).expect("they are good");
        store.save(&StoredSession::Bosh(longest)).expect("it can be written");
        assert!(loaded(&store).is_some_and(|json| json.len() < LARGEST / 2));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_no_session_is_an_error() {
        let folder = TestFolder::make();
        let path = folder.path("session");
        let error = |contents: &[u8]| {
            PrivateFile::new(&path).write(contents).expect("it can be written");
            FileSessions::new(&path).load().expect_err("it is no session").to_string()
        };
        let foreign = |problem: &str| {
            format!(
                "{} holds no session: {problem}. Name another file, or remove this one and \
                 log in",
                path.display()
            )
        };
        let json = |column| {
            foreign(&format!(
                "not the JSON object {{jid, rid, sid}}: wrong at line 1, column {column}"
            ))
        };
        assert_eq!(error(b""), json(0));
        assert_eq!(error(b"hunter2"), json(1));
        assert_eq!(error(b"\xff"), foreign("it is no text"));
        assert_eq!(
            error(br#"{"jid":"alice@example.org/web","rid":0,"sid":"hunter2"}"#),
            foreign("the rid of a BOSH session is between 1 and 9007199254740991")
        );
        let long =
            format!("{} is longer than 33554432 bytes: is it the right file?", path.display());
        assert_eq!(error(&vec![b' '; LARGEST + 1]), long);
    }

    #[test]
    fn a_file_that_cannot_be_written_is_an_error() {
        let folder = TestFolder::make();
        let store = FileSessions::new(folder.path("no/session"));
        assert_eq!(loaded(&store), None);
        let (path, missing) = (folder.path("no/session"), folder.path("no"));
        let expected = format!(
            "cannot write {}: there is no folder {}; make it first",
            path.display(),
            missing.display()
        );
        let error = store.save(&session(1)).expect_err("there is no folder");
        assert_eq!(error, SessionStoreError::because(expected));
        let error = FileSessions::new(Path::new("..")).save(&session(1)).expect_err("no file");
        assert_eq!(error, SessionStoreError::because("cannot write ..: it names no file"));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_an_error() {
        use std::os::unix::fs::PermissionsExt;

        let folder = TestFolder::make();
        let path = folder.path("session");
        let store = FileSessions::new(&path);
        store.save(&session(1)).expect("it can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
        let expected = format!(
            "{} can be read or changed by others (mode 0644): remove it, or give it mode 0600",
            path.display()
        );
        assert_eq!(store.load().map(drop), Err(SessionStoreError::because(expected)));
    }
}
