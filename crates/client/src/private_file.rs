//! Files that only their owner can read, written so that there is always a whole one.
//! Links are not followed, and what was there before does not lend the new file its mode.

mod disk;

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

pub(crate) use self::disk::{Disk, SystemDisk};

/// A file that only its owner can read: for keys, sessions and whatever else must stay secret.
///
/// It is always replaced as a whole, by way of a new file in the same folder, so that nobody reads
/// half of it, whoever writes at the same time and whenever the process dies. On Unix its mode is
/// 0600; elsewhere it has what the folder gives.
///
/// ```
/// use epode::PrivateFile;
///
/// # let folder = std::env::temp_dir().join(format!("epode-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// let file = PrivateFile::new(folder.join("alice.keys"));
/// file.write(b"secret")?;
/// let contents = file.read(64 * 1024)?;
/// assert_eq!(contents.as_deref().map(Vec::as_slice), Some(&b"secret"[..]));
/// file.remove()?;
/// assert_eq!(file.read(64 * 1024)?, None);
/// # std::fs::remove_dir(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateFile {
    path: PathBuf,
}

impl PrivateFile {
    /// The file at a path, be it there or not.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sees beforehand whether it can be written, as far as that can be seen.
    ///
    /// # Errors
    ///
    /// What [`write`](Self::write) would say.
    pub fn check(&self) -> Result<(), PrivateFileError> {
        self.name()?;
        let folder = self.folder();
        if !folder.is_dir() {
            let (path, folder) = (self.path.clone(), folder.to_owned());
            return Err(PrivateFileError::NoFolder { path, folder });
        }
        self.find("write").map(drop)
    }

    /// Its contents, or none if there is no such file.
    ///
    /// # Errors
    ///
    /// [`PrivateFileError`]; [`TooLong`](PrivateFileError::TooLong) if it has more bytes than
    /// `limit`, [`Shared`](PrivateFileError::Shared) if others than its owner can read or change it.
    pub fn read(&self, limit: usize) -> Result<Option<Zeroizing<Vec<u8>>>, PrivateFileError> {
        if self.find("read")?.is_none() {
            return Ok(None);
        }
        let failed = |problem| self.failed("read", problem);
        let file = match File::open(&self.path) {
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed)?,
        };
        if let Some(mode) = shared_mode(&file.metadata().map_err(failed)?) {
            return Err(PrivateFileError::Shared { path: self.path.clone(), mode });
        }
        // All of the room at once: a vector that grows leaves copies behind.
        let most = limit.saturating_add(1);
        let mut contents = Zeroizing::new(Vec::with_capacity(most));
        file.take(most as u64).read_to_end(&mut contents).map_err(failed)?;
        if contents.len() > limit {
            return Err(PrivateFileError::TooLong { path: self.path.clone(), limit });
        }
        Ok(Some(contents))
    }

    /// Writes it, in place of the one that may be there, and waits until the disk has it.
    ///
    /// # Errors
    ///
    /// [`PrivateFileError`]; there is a whole one still, what was there before or the new one.
    pub fn write(&self, contents: &[u8]) -> Result<(), PrivateFileError> {
        self.write_on(&SystemDisk, contents)
    }

    /// As [`write`](Self::write), without waiting for the disk: for what is written often, and of
    /// no use once the machine has stopped.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_unsynced(&self, contents: &[u8]) -> Result<(), PrivateFileError> {
        self.replace(&SystemDisk, contents, false)
    }

    /// Removes it, if it is there, and what processes that died while they wrote it have left.
    ///
    /// # Errors
    ///
    /// [`PrivateFileError`].
    pub fn remove(&self) -> Result<(), PrivateFileError> {
        if self.find("remove")?.is_some() {
            unless_gone(fs::remove_file(&self.path))
                .map_err(|problem| self.failed("remove", problem))?;
        }
        self.remove_drafts().map_err(|problem| self.failed("remove", problem))
    }

    /// Makes the folder that it is in, and those above, where they are missing: for their owner
    /// alone.
    ///
    /// # Errors
    ///
    /// [`PrivateFileError::Io`] with the folder's path.
    pub fn make_folder(&self) -> Result<(), PrivateFileError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        let folder = self.folder();
        builder.create(folder).map_err(|problem| PrivateFileError::Io {
            path: folder.to_owned(),
            doing: "make the folder",
            problem,
        })
    }

    /// As [`write`](Self::write), on this disk.
    pub(crate) fn write_on(
        &self,
        disk: &dyn Disk,
        contents: &[u8],
    ) -> Result<(), PrivateFileError> {
        self.replace(disk, contents, true)
    }

    fn replace(
        &self,
        disk: &dyn Disk,
        contents: &[u8],
        syncs: bool,
    ) -> Result<(), PrivateFileError> {
        self.check()?;
        let failed = |problem| self.failed("write", problem);
        let draft = self.folder().join(draft_name(self.name()?).map_err(failed)?);
        let write = || {
            let mut file = disk.create(&draft)?;
            disk.write(&mut file, contents)?;
            if syncs {
                disk.sync(&file, &draft)?;
            }
            disk.rename(&draft, &self.path)
        };
        write().map_err(|problem| {
            let _ = disk.remove(&draft); // it may not be there
            failed(problem)
        })?;
        if syncs {
            disk.sync_folder(self.folder()).map_err(failed)?;
        }
        Ok(())
    }

    /// Removes what processes that died while they wrote it have left; nobody may be writing it.
    pub(crate) fn remove_drafts(&self) -> io::Result<()> {
        let Some(name) = self.path.file_name() else { return Ok(()) };
        let entries = match fs::read_dir(self.folder()) {
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if is_draft(&entry.file_name(), name) {
                unless_gone(fs::remove_file(entry.path()))?;
            }
        }
        Ok(())
    }

    /// What is there, if anything is.
    fn find(&self, doing: &'static str) -> Result<Option<Metadata>, PrivateFileError> {
        match fs::symlink_metadata(&self.path) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
            Ok(_) => Err(PrivateFileError::NotRegular { path: self.path.clone(), doing }),
            Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(problem) => Err(self.failed(doing, problem)),
        }
    }

    fn name(&self) -> Result<&OsStr, PrivateFileError> {
        self.path.file_name().ok_or_else(|| PrivateFileError::NoName { path: self.path.clone() })
    }

    pub(crate) fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }

    fn failed(&self, doing: &'static str, problem: io::Error) -> PrivateFileError {
        PrivateFileError::Io { path: self.path.clone(), doing, problem }
    }
}

/// Why a file cannot be read, written or removed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// The path ends in no name.
    #[error("cannot write {}: it names no file", .path.display())]
    NoName {
        /// Which.
        path: PathBuf,
    },
    /// There is no folder to write it into.
    #[error("cannot write {}: there is no folder {}; make it first", .path.display(), .folder.display())]
    NoFolder {
        /// Which file.
        path: PathBuf,
        /// Which folder.
        folder: PathBuf,
    },
    /// There is a folder, a link or a device of that name.
    #[error(
        "cannot {doing} {}: it is no regular file; name another, or remove it first",
        .path.display()
    )]
    NotRegular {
        /// Which.
        path: PathBuf,
        /// `read`, `write` or `remove`.
        doing: &'static str,
    },
    /// It has more bytes than it may have.
    #[error("{} is longer than {limit} bytes: is it the right file?", .path.display())]
    TooLong {
        /// Which.
        path: PathBuf,
        /// How many it may have.
        limit: usize,
    },
    /// Others can read or change what only its owner should.
    #[error(
        "{} can be read or changed by others (mode {mode:04o}): remove it, or give it mode 0600",
        .path.display()
    )]
    Shared {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The system says no.
    #[error("cannot {doing} {}: {problem}", .path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// `read`, `write`, `remove` or the like.
        doing: &'static str,
        /// What it says.
        #[source]
        problem: io::Error,
    },
}

/// Random, so that of two who write at once neither touches the other's.
fn draft_name(name: &OsStr) -> io::Result<String> {
    let number = getrandom::u64().map_err(io::Error::other)?;
    Ok(format!(".{}.{number:016x}{DRAFT_END}", name.to_string_lossy()))
}

fn is_draft(found: &OsStr, name: &OsStr) -> bool {
    let number = found.to_str().and_then(|found| {
        found
            .strip_prefix('.')?
            .strip_prefix(&*name.to_string_lossy())?
            .strip_prefix('.')?
            .strip_suffix(DRAFT_END)
    });
    number.is_some_and(|number| {
        number.len() == 16 && number.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

fn unless_gone(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The mode of a file that others than its owner can read or write.
#[cfg(unix)]
fn shared_mode(metadata: &Metadata) -> Option<u32> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    Some(mode).filter(|mode| mode & 0o077 != 0)
}

#[cfg(not(unix))]
fn shared_mode(_: &Metadata) -> Option<u32> {
    None // other systems have no such mode
}

const DRAFT_END: &str = ".new";

/// A folder for the files of one test.
#[cfg(test)]
pub(crate) struct TestFolder(PathBuf);

#[cfg(test)]
impl TestFolder {
    pub(crate) fn make() -> Self {
        let number = getrandom::u64().expect("there is randomness");
        let path = std::env::temp_dir().join(format!("epode-test-{number:016x}"));
        fs::create_dir(&path).expect("it is new");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// How many files are in it.
    pub(crate) fn count(&self) -> usize {
        fs::read_dir(&self.0).expect("it is there").count()
    }
}

#[cfg(test)]
impl Drop for TestFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // the system clears its temporary folder too
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::{
        os::unix::fs::{PermissionsExt, symlink},
        thread,
    };

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_file_is_its_owners_alone_whatever_was_there() {
        for write in [PrivateFile::write, PrivateFile::write_unsynced] {
            let folder = TestFolder::make();
            let path = folder.path("keys");
            fs::write(&path, "old and much longer").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
            write(&PrivateFile::new(&path), b"new").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new");
            assert_eq!(mode(&path), 0o600);
            assert_eq!(folder.count(), 1, "no draft is left");
        }
    }

    #[test]
    fn links_and_folders_are_left_alone() {
        let folder = TestFolder::make();
        let target = folder.path("target");
        PrivateFile::new(&target).write(b"mine").unwrap();
        let link = folder.path("link");
        symlink(&target, &link).unwrap();
        for path in [&link, &folder.0] {
            let file = PrivateFile::new(path);
            let not_regular = |result: Result<(), PrivateFileError>, what: &str| matches!(result, Err(PrivateFileError::NotRegular { doing, .. }) if doing == what);
            assert!(not_regular(file.check(), "write"));
            assert!(not_regular(file.write(b"x"), "write"));
            assert!(not_regular(file.read(9).map(drop), "read"));
            assert!(not_regular(file.remove(), "remove"));
        }
        assert_eq!(fs::read(&target).unwrap(), b"mine");
        let write = |path: &Path| PrivateFile::new(path).write(b"x");
        assert!(matches!(write(&target.join("x")), Err(PrivateFileError::NoFolder { .. })));
        for path in [Path::new("/"), &folder.path("..")] {
            assert!(matches!(write(path), Err(PrivateFileError::NoName { .. })));
        }
    }

    #[test]
    fn what_is_read_is_bounded_and_its_owners() {
        let folder = TestFolder::make();
        let file = PrivateFile::new(folder.path("keys"));
        assert_eq!(file.read(9).unwrap(), None);
        assert_eq!(PrivateFile::new(folder.path("no/keys")).read(9).unwrap(), None);
        file.write(b"mine").unwrap();
        let contents = file.read(4).unwrap().unwrap();
        assert_eq!((contents.as_slice(), contents.capacity()), (&b"mine"[..], 5));
        assert!(matches!(file.read(3), Err(PrivateFileError::TooLong { limit: 3, .. })));
        for (lax, is_shared) in [(0o600, false), (0o400, false), (0o640, true), (0o602, true)] {
            fs::set_permissions(file.path(), fs::Permissions::from_mode(lax)).unwrap();
            let shared = matches!(
                file.read(9),
                Err(PrivateFileError::Shared { mode, .. }) if mode == lax
            );
            assert_eq!(shared, is_shared, "{lax:o}");
        }
    }

    #[test]
    fn what_is_removed_leaves_nothing() {
        let folder = TestFolder::make();
        let file = PrivateFile::new(folder.path("keys"));
        file.remove().unwrap();
        PrivateFile::new(folder.path("no/keys")).remove().unwrap();
        file.write(b"mine").unwrap();
        // As a process leaves it that dies while it writes.
        SystemDisk.create(&folder.path(&draft_name(file.name().unwrap()).unwrap())).unwrap();
        let others = ["keys2", ".keys.new", ".keys.0123.new", ".keys2.0123456789abcdef.new"];
        for other in others {
            fs::write(folder.path(other), "").unwrap();
        }
        file.remove().unwrap();
        assert_eq!(file.read(9).unwrap(), None);
        assert_eq!(folder.count(), others.len());
        assert!(others.iter().all(|other| folder.path(other).exists()));
    }

    #[test]
    fn whoever_writes_at_once_there_is_a_whole_one() {
        let folder = TestFolder::make();
        let file = PrivateFile::new(folder.path("keys"));
        file.write(&[0; 4096]).unwrap();
        thread::scope(|scope| {
            for byte in 1..=3 {
                let file = &file;
                scope.spawn(move || {
                    (0..50).for_each(|_| file.write_unsynced(&[byte; 4096]).unwrap())
                });
            }
            for _ in 0..200 {
                let contents = file.read(4096).unwrap().unwrap();
                assert_eq!(*contents, [contents[0]; 4096]);
            }
        });
        assert_eq!(folder.count(), 1);
    }

    #[test]
    fn what_goes_wrong_is_said() {
        let folder = TestFolder::make();
        let file = PrivateFile::new(folder.path("keys/x"));
        fs::write(folder.path("keys"), "").unwrap();
        let words = file.read(9).unwrap_err().to_string();
        assert!(words.starts_with("cannot read ") && words.contains("keys/x: "), "{words}");
        let file = PrivateFile::new(folder.path(&"x".repeat(250)));
        let error = file.write(b"x").unwrap_err();
        assert!(matches!(error, PrivateFileError::Io { doing: "write", .. }), "{error}");
        assert_eq!(folder.count(), 1, "no draft is left");
    }
}
