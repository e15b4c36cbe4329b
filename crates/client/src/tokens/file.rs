//! Tokens in a folder that only its owner can look into, a file for each account.
//! How one file is replaced so that there is always a whole one is `private_file.rs`.

use std::{
    fmt::Write as _,
    fs::{self, File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use epode_proto::{AccountTokens, Jid};
use sha2::{Digest, Sha256};

use super::{TokenStore, TokenStoreError, begun};
use crate::{
    PrivateFile,
    private_file::{Disk, SystemDisk},
};

/// Tokens in a folder, which is made if it is not there: of mode 0700, with a file of mode 0600 for
/// each account. Several processes may use it at once.
///
/// Each change is on the disk before it counts, and there is always a whole file, so that a process
/// that is killed at any moment leaves a token that is good, with a count that was never used.
///
/// ```
/// use epode::{FileTokens, TokenStore};
///
/// # let folder = std::env::temp_dir().join(format!("epode-doc-tokens-{}", std::process::id()));
/// let store = FileTokens::new(&folder);
/// store.update(&"alice@example.org".parse()?, &mut |kept| assert!(!kept.has_token()))?;
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct FileTokens {
    folder: PathBuf,
    disk: Box<dyn Disk>,
}

impl FileTokens {
    /// The folder at a path, be it there or not.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self::on(SystemDisk, folder)
    }

    pub(super) fn on(disk: impl Disk + 'static, folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), disk: Box::new(disk) }
    }

    /// Where the tokens of an account are, be they there or not.
    #[must_use]
    pub fn path(&self, account: &Jid) -> PathBuf {
        self.file(account).path().to_owned()
    }

    /// An address may be longer than a name of a file, and have other characters.
    fn file(&self, account: &Jid) -> PrivateFile {
        let mut name = String::new();
        for byte in Sha256::digest(account.bare().to_string()) {
            let _ = write!(name, "{byte:02x}"); // a string takes everything
        }
        PrivateFile::new(self.folder.join(name + ".json"))
    }

    /// Keeps other processes out until it is dropped.
    fn lock(&self) -> Result<File, TokenStoreError> {
        let path = self.folder.join(LOCK);
        let failed = |problem| {
            TokenStoreError::because(format!("cannot lock {}: {problem}", path.display()))
        };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        let begun = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(problem)) => return Err(failed(problem)),
                Err(TryLockError::WouldBlock) if begun.elapsed() >= LOCK_LIMIT => {
                    return Err(TokenStoreError::because(format!(
                        "another process has held {} for {} seconds: is it stopped?",
                        path.display(),
                        LOCK_LIMIT.as_secs()
                    )));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            }
        }
    }

    fn read(
        &self,
        file: &PrivateFile,
        account: &Jid,
    ) -> Result<Option<AccountTokens>, TokenStoreError> {
        let Some(contents) = file.read(LARGEST)? else { return Ok(None) };
        let text = std::str::from_utf8(&contents).map_err(|_| foreign(file, "it is no text"))?;
        let tokens = AccountTokens::from_json(text)
            .map_err(|problem| foreign(file, &problem.to_string()))?;
        if *tokens.account() != account.bare() {
            return Err(foreign(file, &format!("they are those of {}", tokens.account())));
        }
        Ok(Some(tokens))
    }
}

impl TokenStore for FileTokens {
    fn update(
        &self,
        account: &Jid,
        change: &mut dyn FnMut(&mut AccountTokens),
    ) -> Result<(), TokenStoreError> {
        let file = self.file(account);
        file.make_folder()?;
        check_folder(&self.folder)?;
        let _locked = self.lock()?;
        let found = self.read(&file, account)?;
        let before = found.as_ref().map(AccountTokens::to_json);
        let mut tokens = found.map_or_else(|| begun(account), Ok)?;
        change(&mut tokens);
        let after = tokens.to_json();
        if before.as_ref() == Some(&after) {
            return Ok(());
        }
        if after.len() > LARGEST {
            return Err(TokenStoreError::because(format!(
                "the server's token is longer than {LARGEST} bytes: it is not kept"
            )));
        }
        file.write_on(&*self.disk, after.as_bytes())?;
        let _ = file.remove_drafts(); // as ever, if not now then the next time
        Ok(())
    }
}

fn foreign(file: &PrivateFile, problem: &str) -> TokenStoreError {
    TokenStoreError::because(format!(
        "{} holds no tokens of this account: {problem}. Remove it, and log in with the password",
        file.path().display()
    ))
}

/// Whoever else may write into it could put tokens of another account there.
#[cfg(unix)]
fn check_folder(folder: &Path) -> Result<(), TokenStoreError> {
    use std::os::unix::fs::PermissionsExt;

    let failed = |problem| {
        TokenStoreError::because(format!("cannot look at {}: {problem}", folder.display()))
    };
    let mode = fs::metadata(folder).map_err(failed)?.permissions().mode() & 0o7777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(TokenStoreError::because(format!(
        "the folder {} can be used by others (mode {mode:04o}): give it mode 0700, or name another",
        folder.display()
    )))
}

#[cfg(not(unix))]
fn check_folder(_: &Path) -> Result<(), TokenStoreError> {
    Ok(()) // other systems have no such mode
}

/// A token is some hundred bytes at most of the servers.
const LARGEST: usize = 256 * 1024;
const LOCK: &str = ".lock";
/// Nobody holds the lock for longer than it takes to write a file.
const LOCK_LIMIT: Duration = Duration::from_secs(5);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use epode_proto::{FastToken, sasl::HashedToken};

    use super::*;
    use crate::private_file::TestFolder;

    fn alice() -> Jid {
        "alice@example.org".parse().expect("it is an address")
    }

    fn token(text: &str) -> FastToken {
        let mechanism = "HT-SHA-256-EXPR".parse().expect("it is a name");
        FastToken::new(HashedToken::new(mechanism, text), u64::MAX, 0)
    }

    fn count(store: &FileTokens) -> u64 {
        let mut taken = None;
        store.update(&alice(), &mut |kept| taken = kept.take(0)).expect("it can be kept");
        taken.expect("there is a token").count()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
    }

    fn error(store: &FileTokens) -> String {
        let untouched = store.update(&alice(), &mut |_| panic!("nothing is known"));
        untouched.expect_err("it is damaged").to_string()
    }

    #[test]
    fn the_next_process_goes_on_counting() {
        let folder = TestFolder::make();
        let path = folder.path("epode/tokens");
        let store = FileTokens::new(&path);
        store.update(&alice(), &mut |kept| kept.keep(token("a"))).expect("it can be kept");
        let counts = [(); 3].map(|()| count(&FileTokens::new(&path)));
        assert_eq!(counts, [1, 2, 3]);
        assert_eq!((mode(&path), mode(&store.path(&alice()))), (0o700, 0o600));
        let mut is_empty = false;
        let bob = "bob@example.org".parse().expect("it is an address");
        store.update(&bob, &mut |kept| is_empty = !kept.has_token()).expect("it can be kept");
        assert!(is_empty, "each account has its own");
    }

    #[test]
    fn of_several_at_once_each_has_a_count_of_its_own() {
        let folder = TestFolder::make();
        let path = folder.path("tokens");
        let store = FileTokens::new(&path);
        store.update(&alice(), &mut |kept| kept.keep(token("a"))).expect("it can be kept");
        let mut counts: Vec<u64> = thread::scope(|scope| {
            let takes = || {
                let store = FileTokens::new(&path);
                (0..8).map(|_| count(&store)).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(takes)).collect();
            threads.into_iter().flat_map(|it| it.join().expect("it does not panic")).collect()
        });
        counts.sort_unstable();
        assert_eq!(counts, (1..=32).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_no_file_of_tokens_is_an_error_that_names_it() {
        let folder = TestFolder::make();
        let store = FileTokens::new(folder.path("tokens"));
        store.update(&alice(), &mut |kept| kept.keep(token("a"))).expect("it can be kept");
        let path = store.path(&alice());
        let whole = fs::read_to_string(&path).expect("it is there");
        let remedy = "Remove it, and log in with the password";
        for (contents, problem) in [
            (String::new(), "not the JSON object"),
            (whole[..whole.len() / 2].to_owned(), "not the JSON object"),
            (whole.replace("alice", "mallory"), "they are those of mallory@example.org"),
            (whole.replace("HT-SHA", "ht"), "`mechanism`: "),
        ] {
            PrivateFile::new(&path).write(contents.as_bytes()).expect("it can be written");
            let words = error(&store);
            let begin = format!("{} holds no tokens of this account: ", path.display());
            assert!(words.starts_with(&begin) && words.ends_with(remedy), "{words}");
            assert!(words.contains(problem), "{words}");
            assert_eq!(fs::read_to_string(&path).expect("it is there"), contents);
        }
        PrivateFile::new(&path).write(whole.as_bytes()).expect("it can be written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("it is ours");
        assert!(error(&store).contains("mode 0644"));
        fs::set_permissions(folder.path("tokens"), fs::Permissions::from_mode(0o755))
            .expect("it is ours");
        assert!(error(&store).ends_with("give it mode 0700, or name another"));
    }
}
