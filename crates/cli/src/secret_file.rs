//! Files that hold a secret or a certificate: bounded, and looked at for who else can read them.
//! What stands in them is for others to understand.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {}: {problem}", .path.display())]
    Unreadable { path: PathBuf, problem: io::Error },
    #[error("cannot read {}: it is a folder, name a file in it", .path.display())]
    Folder { path: PathBuf },
    #[error("{} is longer than {LARGEST} bytes: is it the right file?", .path.display())]
    TooLong { path: PathBuf },
    #[error("{} is not UTF-8 text: is it the right file?", .path.display())]
    NotText { path: PathBuf },
    #[error("{} is empty", .path.display())]
    Empty { path: PathBuf },
}

impl FileError {
    /// There is no such file.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Unreadable { problem, .. } if problem.kind() == io::ErrorKind::NotFound)
    }
}

/// A file that was read.
pub(crate) struct SecretFile {
    contents: Zeroizing<Vec<u8>>,
    mode: Option<u32>,
    path: PathBuf,
}

impl SecretFile {
    /// Reads a file of at most 64 KiB. It may be a pipe, as from a shell's `<(command)`.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let unreadable = |problem| FileError::Unreadable { path: path.to_owned(), problem };
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(FileError::Folder { path: path.to_owned() });
        }
        let mode = if metadata.is_file() { mode(&metadata) } else { None };
        Ok(Self { mode, ..Self::take(file, path)? })
    }

    /// Reads as much from the standard input.
    pub(crate) fn read_stdin() -> Result<Self, FileError> {
        Self::take(io::stdin().lock(), Path::new("the standard input"))
    }

    fn take(mut file: impl Read, path: &Path) -> Result<Self, FileError> {
        let unreadable = |problem| FileError::Unreadable { path: path.to_owned(), problem };
        // All of the room at once: a vector that grows leaves copies behind.
        let mut contents = Zeroizing::new(vec![0; LARGEST + 1]);
        let mut length = 0;
        while length <= LARGEST {
            match file.read(&mut contents[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        if length > LARGEST {
            return Err(FileError::TooLong { path: path.to_owned() });
        }
        contents.truncate(length);
        Ok(Self { contents, mode: None, path: path.to_owned() })
    }

    /// Where it is, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.contents
    }

    pub(crate) fn text(&self) -> Result<&str, FileError> {
        let not_text = |_| FileError::NotText { path: self.path.clone() };
        std::str::from_utf8(&self.contents).map_err(not_text)
    }

    /// The text without the newline at its end, of which there is at most one.
    pub(crate) fn line(&self) -> Result<Zeroizing<String>, FileError> {
        let text = self.text()?;
        let line =
            text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        if line.is_empty() {
            return Err(FileError::Empty { path: self.path.clone() });
        }
        Ok(Zeroizing::new(line.to_owned()))
    }

    /// The mode of a file that others than its owner can read or write.
    pub(crate) fn lax_mode(&self) -> Option<u32> {
        self.mode.filter(|mode| mode & 0o077 != 0)
    }
}

/// A password takes a few bytes, a chain of certificates a few thousand.
pub(crate) const LARGEST: usize = 64 * 1024;

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "other systems have no such mode")]
fn mode(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;

    Some(metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn mode(_: &std::fs::Metadata) -> Option<u32> {
    None
}
