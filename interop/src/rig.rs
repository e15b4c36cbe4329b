//! The temporary folder and the certificates that all servers of a run share.
//!
//! It starts nothing.

use std::{
    env, fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process,
    sync::Arc,
};

use crate::{Certificates, Error, Stop};

/// What the servers of one run have in common. The folder is removed when the rig and all its
/// servers are gone.
#[derive(Debug)]
pub struct Rig {
    folder: Arc<Folder>,
    certificates: Certificates,
    backports: Option<PathBuf>,
    stop: Stop,
}

impl Rig {
    /// Makes a folder that only this user can read, and the certificates in it.
    ///
    /// # Errors
    /// [`Error::File`] when the system's temporary folder cannot be used, [`Error::Certificate`]
    /// when no certificate can be made.
    pub fn new() -> Result<Self, Error> {
        let folder = Folder::create()?;
        let certificates = Certificates::create(&folder.subfolder("certificates")?)?;
        Ok(Self { folder: Arc::new(folder), certificates, backports: None, stop: Stop::new() })
    }

    /// Says where the packages of the newer servers are unpacked.
    #[must_use]
    pub fn with_backports(mut self, folder: impl Into<PathBuf>) -> Self {
        self.backports = Some(folder.into());
        self
    }

    /// Where the servers keep their files, logs included.
    pub fn folder(&self) -> &Path {
        &self.folder.0
    }

    /// The authority of this run and what it signed.
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// The handle that ends every wait early.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// The folder of [`Self::with_backports`].
    ///
    /// # Errors
    /// [`Error::NoBackports`] without one.
    pub(crate) fn backports(&self) -> Result<&Path, Error> {
        self.backports.as_deref().ok_or(Error::NoBackports)
    }

    pub(crate) fn shared_folder(&self) -> &Arc<Folder> {
        &self.folder
    }
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    fn create() -> Result<Self, Error> {
        let parent = env::temp_dir();
        for attempt in 0..ATTEMPTS {
            let path = parent.join(format!("epode-interop-{}-{attempt}", process::id()));
            // Creation fails when the name exists, so nobody can lay out a folder for us.
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::File { action: "create", path, source }),
            }
        }
        let source = io::Error::new(io::ErrorKind::AlreadyExists, "every name is taken");
        Err(Error::File { action: "create a folder in", path: parent, source })
    }

    /// Makes a folder inside.
    ///
    /// # Errors
    /// [`Error::File`] when it exists or cannot be made.
    pub(crate) fn subfolder(&self, name: &str) -> Result<PathBuf, Error> {
        let path = self.0.join(name);
        match fs::create_dir(&path) {
            Ok(()) => Ok(path),
            Err(source) => Err(Error::File { action: "create", path, source }),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Best effort: a leftover in the temporary folder must not hide why a run ended.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes a file of the rig.
///
/// # Errors
/// [`Error::File`] when the system refuses.
pub(crate) fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|source| Error::File {
        action: "write",
        path: path.to_owned(),
        source,
    })
}

/// Reads a text file.
///
/// # Errors
/// [`Error::File`] when the system refuses.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|source| Error::File {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

/// More rigs than one process makes.
const ATTEMPTS: u32 = 1_000;

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::{Folder, Rig};
    use crate::Error;

    #[test]
    fn the_folder_is_private_and_goes_with_the_rig() {
        let rig = Rig::new().unwrap();
        let path = rig.folder().to_owned();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(rig);
        assert!(!path.exists());
    }

    #[test]
    fn two_folders_differ_and_a_name_is_taken_once() {
        let (first, second) = (Folder::create().unwrap(), Folder::create().unwrap());
        assert_ne!(first.0, second.0);
        first.subfolder("a").unwrap();
        assert!(matches!(first.subfolder("a"), Err(Error::File { action: "create", .. })));
    }
}
