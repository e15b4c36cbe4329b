//! The command as a child process, with a folder of its own and a server to log in to.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use epode_testpeer::{ListenOptions, Running, Server};
use tokio::{io::AsyncWriteExt, process::Command, time::timeout};

/// What `alice` of the test server logs in with; none of them may ever be printed.
pub(crate) const PASSWORD: &str = "wonder land 4711";
pub(crate) const TOKEN: &str = "token-that-nobody-may-see";
pub(crate) const SECRETS: [&str; 5] = [
    PASSWORD,
    TOKEN,
    // As PLAIN, X-OAUTH2 and OAUTHBEARER have them on the wire, or the part that does not vary.
    "AGFsaWNlAHdvbmRlciBsYW5kIDQ3MTE=",
    "d29uZGVyIGxhbmQgNDcx",
    "BEGIN PRIVATE KEY",
];

/// A server in this process, and a folder with all that is needed to log in to it.
pub(crate) struct Peer {
    pub(crate) running: Running,
    pub(crate) folder: Folder,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        Self::of(alice()).await
    }

    pub(crate) async fn of(server: Server) -> Self {
        Self::listening(server, ListenOptions::default()).await
    }

    pub(crate) async fn listening(server: Server, options: ListenOptions) -> Self {
        let running = server.listen(options).await.unwrap();
        let folder = Folder::new();
        folder.put("ca.pem", running.ca_pem(), 0o644);
        folder.put("alice.password", &format!("{PASSWORD}\n"), 0o600);
        folder.put("alice.token", &format!("{TOKEN}\n"), 0o600);
        if let (Some(certificate), Some(key)) =
            (running.client_certificate_pem(), running.client_key_pem())
        {
            folder.put("alice.crt", certificate, 0o644);
            folder.put("alice.key", key, 0o600);
        }
        Self { running, folder }
    }

    /// Runs the command to its end; [`fill`](Self::fill) says what stands for the server.
    pub(crate) async fn epode(&self, args: &str) -> Run {
        let words = args.split_whitespace().map(|word| self.fill(word));
        epode(words, &self.folder, &[], "").await
    }

    /// Puts the server's URLs in place of `{ws}`, `{wss}`, `{http}`, `{https}`, `{xmpp}` and `{xmpps}`,
    /// and host and port alone in place of `{ws-authority}` and `{wss-authority}`.
    pub(crate) fn fill(&self, word: &str) -> String {
        let authority = |url: &str| url.split('/').nth(2).unwrap().to_owned();
        let (ws, wss) = (self.running.ws_url(), self.running.wss_url());
        word.replace("{ws}", ws)
            .replace("{wss}", wss)
            .replace("{http}", self.running.bosh_url())
            .replace("{https}", self.running.secure_bosh_url())
            .replace("{xmpp}", &format!("xmpp://{}", self.running.starttls()))
            .replace("{xmpps}", &format!("xmpps://{}", self.running.direct_tls()))
            .replace("{not-tls}", &format!("xmpps://{}", self.running.starttls()))
            .replace("{nobody}", "xmpp://127.0.0.1:1")
            .replace("{no-bosh}", &format!("{}/elsewhere", self.running.secure_bosh_url()))
            .replace("{elsewhere}", &format!("{}/elsewhere", wss.trim_end_matches('/')))
            .replace("{ws-authority}", &authority(ws))
            .replace("{wss-authority}", &authority(wss))
    }
}

/// A server with one account, in which everything works.
pub(crate) fn alice() -> Server {
    Server::builder("localhost")
        .account("alice", PASSWORD)
        .token("alice", TOKEN)
        .certificate_account("alice")
        .build()
}

/// What became of the command.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn new(output: &Output) -> Self {
        let run = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout.clone()).unwrap(),
            stderr: String::from_utf8(output.stderr.clone()).unwrap(),
        };
        for secret in SECRETS {
            assert!(!run.stdout.contains(secret), "{secret} is in {run:?}");
            assert!(!run.stderr.contains(secret), "{secret} is in {run:?}");
        }
        run
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// The first word of each line.
    pub(crate) fn statuses(&self) -> Vec<&str> {
        self.stdout.lines().filter_map(|line| line.split(' ').next()).collect()
    }

    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Runs the command to its end, with nothing of this process's environment but the path.
pub(crate) async fn epode(
    args: impl IntoIterator<Item = String>,
    folder: &Folder,
    env: &[(String, String)],
    stdin: &str,
) -> Run {
    let mut command = command(folder);
    let variables = env.iter().map(|(name, value)| (name, value));
    command.args(args).envs(variables).stdin(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let finished = async {
        let _ = input.write_all(stdin.as_bytes()).await; // it need not read it
        drop(input);
        child.wait_with_output().await.unwrap()
    };
    Run::new(&timeout(LIMIT, finished).await.expect("the command ends"))
}

/// The command, not started yet; its outputs are pipes.
pub(crate) fn command(folder: &Folder) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_epode"));
    command.current_dir(folder.path()).env_clear().env("TMPDIR", folder.path());
    command.env("XDG_STATE_HOME", folder.state());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Nothing here takes as long; a test that hangs should end all the same.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// A folder that is removed with all that is in it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where the command keeps its pins: not in the folder itself, and not at home.
    pub(crate) fn state(&self) -> PathBuf {
        self.0.with_extension("state")
    }

    pub(crate) fn put(&self, name: &str, contents: &str, mode: u32) {
        let path = self.0.join(name);
        fs::write(&path, contents).unwrap();
        set_mode(&path, mode);
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[cfg(unix)]
    pub(crate) fn mode(&self, name: &str) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        fs::metadata(self.0.join(name)).unwrap().permissions().mode() & 0o7777
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
        let _ = fs::remove_dir_all(self.state());
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}
