//! A folder for files that only their owner can read, for as long as a command runs.
//! What a private file is, is the library's affair.

use std::{fs, io, path::PathBuf};

use epode::{PrivateFile, PrivateFileError};

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
    pub(crate) fn put(&self, name: &str, contents: &str) -> Result<PathBuf, PrivateFileError> {
        let path = self.0.join(name);
        PrivateFile::new(&path).write(contents.as_bytes()).map(|()| path)
    }
}

impl Drop for PrivateFolder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0); // the system clears its temporary folder too
    }
}

fn random_name() -> io::Result<String> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(all(test, unix))]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::Path};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn the_folder_and_its_files_are_their_owners_alone() {
        let folder = PrivateFolder::make().unwrap();
        let path = folder.put("a", "b").unwrap();
        assert_eq!((mode(&folder.0), mode(&path)), (0o700, 0o600));
    }

    #[test]
    fn the_folder_goes_with_its_owner() {
        let folder = PrivateFolder::make().unwrap();
        let path = folder.put("a", "b").unwrap();
        drop(folder);
        assert!(!path.exists());
    }
}
