//! Files that only their owner can read, written so that there is always a whole one.
//! Links are not followed, and what was there before does not lend the new file its mode.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Why a file cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WriteError {
    #[error("cannot write {}: it names no file", .path.display())]
    NoName { path: PathBuf },
    #[error("cannot write {}: there is no folder {}; make it first", .path.display(), .folder.display())]
    NoFolder { path: PathBuf, folder: PathBuf },
    #[error("cannot write {}: it is no regular file; name another, or remove it first", .path.display())]
    NotRegular { path: PathBuf },
    #[error("cannot write {}: {problem}", .path.display())]
    Io { path: PathBuf, problem: io::Error },
}

/// Sees beforehand whether a file can be written there, as far as that can be seen.
pub(crate) fn check(path: &Path) -> Result<(), WriteError> {
    let path = path.to_owned();
    let folder = folder_of(&path);
    if path.file_name().is_none() {
        return Err(WriteError::NoName { path });
    }
    if !folder.is_dir() {
        return Err(WriteError::NoFolder { folder: folder.to_owned(), path });
    }
    match fs::symlink_metadata(&path) {
        Ok(metadata) if !metadata.is_file() => Err(WriteError::NotRegular { path }),
        Err(problem) if problem.kind() != io::ErrorKind::NotFound => {
            Err(WriteError::Io { path, problem })
        }
        _ => Ok(()),
    }
}

/// Writes a file of mode 0600, in place of the one that may be there. Nobody sees half of it.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<(), WriteError> {
    check(path)?;
    let failed = |problem| WriteError::Io { path: path.to_owned(), problem };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder_of(path).join(format!(".{name}.{}.new", random_name().map_err(failed)?));
    let written = create(&draft, contents).and_then(|()| fs::rename(&draft, path));
    written.map_err(|problem| {
        let _ = fs::remove_file(&draft); // it may not be there
        failed(problem)
    })
}

/// A folder of mode 0700 among the system's temporary ones, removed with all that is in it when
/// dropped.
#[derive(Debug)]
pub(crate) struct PrivateFolder(PathBuf);

impl PrivateFolder {
    pub(crate) fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("epode-{}", random_name()?));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?; // fails if it is there already
        Ok(Self(path))
    }

    /// Writes a file of mode 0600 into it.
    pub(crate) fn put(&self, name: &str, contents: &str) -> Result<PathBuf, WriteError> {
        let path = self.0.join(name);
        write(&path, contents.as_bytes()).map(|()| path)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // the system clears its temporary folder too
    }
}

fn create(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file: File = options.open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn folder() -> PrivateFolder {
        PrivateFolder::make().unwrap()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_file_is_its_owners_alone_whatever_was_there() {
        let folder = folder();
        assert_eq!(mode(&folder.0), 0o700);
        let path = folder.0.join("keys");
        fs::write(&path, "old and much longer").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(&folder.0).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn links_and_folders_are_left_alone() {
        let folder = folder();
        let target = folder.put("target", "mine").unwrap();
        let link = folder.0.join("link");
        symlink(&target, &link).unwrap();
        for path in [&link, &folder.0] {
            assert!(matches!(write(path, b"x"), Err(WriteError::NotRegular { .. })));
        }
        assert_eq!(fs::read(&target).unwrap(), b"mine");
        assert!(matches!(write(&target.join("x"), b"x"), Err(WriteError::NoFolder { .. })));
        assert!(matches!(write(Path::new("/"), b"x"), Err(WriteError::NoName { .. })));
        assert!(matches!(write(&folder.0.join(".."), b"x"), Err(WriteError::NoName { .. })));
    }

    #[test]
    fn the_folder_goes_with_its_owner() {
        let folder = folder();
        let path = folder.put("a", "b").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
