//! What a private file does to the disk, one step at a time, so that a test can make any of them the
//! last. In what order they are taken is the file's business.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

/// The steps, as they are outside of tests.
pub(crate) trait Disk: fmt::Debug + Send + Sync {
    /// Makes a file that is not there yet, for its owner alone.
    fn create(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)
    }

    /// Writes into a file that was made.
    fn write(&self, file: &mut File, contents: &[u8]) -> io::Result<()> {
        file.write_all(contents)
    }

    /// Waits until the disk has what was written.
    fn sync(&self, file: &File, _path: &Path) -> io::Result<()> {
        file.sync_all()
    }

    /// Puts a file in the place of another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Waits until the disk has what was made, renamed or removed in a folder.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        #[cfg(unix)]
        File::open(folder)?.sync_all()?;
        #[cfg(not(unix))]
        let _ = folder; // cannot be opened there
        Ok(())
    }

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}

/// The disk that there is.
#[derive(Debug)]
pub(crate) struct SystemDisk;

impl Disk for SystemDisk {}
