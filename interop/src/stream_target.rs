//! A server whose streams outlive their connections, as the scenes see it: the real ones, and the
//! project's own small server on ports.
//!
//! Whatever is sent there is the scenes' to say.

use std::{
    env,
    error::Error,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process,
    sync::Arc,
    time::{Duration, SystemTime},
};

use epode::{Builder, Client, Direction, Reconnect};
use epode_interop::{Rig, Server, Transport};
use epode_testpeer::{ListenOptions, Running, StartTls};

use crate::servers::PASSWORD;

/// Where two accounts talk: `alice` and `bob` of a domain.
#[derive(Clone)]
pub(crate) struct StreamTarget {
    pub(crate) port: u16,
    url: String,
    authority: PathBuf,
    domain: &'static str,
    is_clear: bool,
    /// The small server runs while somebody knows of it.
    _running: Option<Arc<Running>>,
}

impl StreamTarget {
    /// A real server.
    pub(crate) fn of(rig: &Rig, server: &Server, transport: Transport) -> Self {
        Self {
            port: server.ports().of(transport),
            url: server.url(transport),
            authority: rig.certificates().authority_file().to_owned(),
            domain: domain(transport),
            is_clear: transport == Transport::Tcp,
            _running: None,
        }
    }

    /// The small server, which it starts.
    ///
    /// # Errors
    /// When it has no ports, or no file for its certificate.
    pub(crate) async fn testpeer(rig: &Rig, transport: Transport) -> Result<Self, Box<dyn Error>> {
        let domain = domain(transport);
        let is_clear = transport == Transport::Tcp;
        let server = epode_testpeer::Server::builder(domain)
            .account("alice", PASSWORD)
            .account("bob", PASSWORD)
            .starttls(if is_clear { StartTls::Absent } else { StartTls::Required })
            .build();
        let running = server.listen(ListenOptions::default()).await?;
        let (tcp, tls) = (running.tcp(), running.direct_tls());
        let url = match transport {
            Transport::Tcp | Transport::Starttls => format!("xmpp://{tcp}"),
            Transport::Tls => format!("xmpps://{tls}"),
            Transport::Ws => running.ws_url().to_owned(),
            Transport::Wss => running.wss_url().to_owned(),
            Transport::Bosh | Transport::SecureBosh => return Err("BOSH has no streams".into()),
        };
        let authority = rig.folder().join(format!("testpeer-{}.pem", tcp.port()));
        fs::write(&authority, running.ca_pem())?;
        let port = url.parse::<epode::Endpoint>()?.port();
        Ok(Self { port, url, authority, domain, is_clear, _running: Some(Arc::new(running)) })
    }

    /// The same, reached through another port.
    pub(crate) fn through(&self, port: u16) -> Self {
        let url = self.url.replace(&format!(":{}", self.port), &format!(":{port}"));
        Self { url, port, ..self.clone() }
    }

    /// The same with accounts of another domain.
    pub(crate) fn at(self, domain: &'static str) -> Self {
        Self { domain, ..self }
    }

    /// The domain of both accounts.
    pub(crate) fn domain(&self) -> &'static str {
        self.domain
    }

    /// The address that a user's program asks for.
    pub(crate) fn jid(&self, user: &str) -> String {
        format!("{user}@{}/soak", self.domain)
    }

    /// A client of an account, which comes back without delay.
    ///
    /// # Errors
    /// When the authority's file cannot be read.
    pub(crate) fn client(&self, user: &str) -> Result<Builder, Box<dyn Error>> {
        let arguments = self.arguments(user);
        client(&arguments)
    }

    /// What another process needs for [`client`].
    pub(crate) fn arguments(&self, user: &str) -> [String; 4] {
        let security = if self.is_clear { CLEAR } else { "as-offered" };
        let authority = self.authority.display().to_string();
        [self.jid(user), self.url.clone(), authority, security.to_owned()]
    }
}

/// A client by what [`StreamTarget::arguments`] says.
///
/// # Errors
/// When the arguments are none of those, or the authority's file cannot be read.
pub(crate) fn client(arguments: &[String]) -> Result<Builder, Box<dyn Error>> {
    let [jid, url, authority, security] = arguments else {
        return Err("an address, a URL, a file and a word are wanted".into());
    };
    let reconnect =
        Reconnect::default().first(Duration::from_millis(20)).longest(Duration::from_millis(200));
    let builder = Client::builder(jid)?
        .endpoint(url)?
        .ca_pem(fs::read(authority)?)?
        .password(PASSWORD)
        .reconnect(reconnect);
    let builder = match env::var_os(TRANSCRIPTS) {
        Some(folder) => builder.transcript(transcript(Path::new(&folder), jid)?),
        None => builder,
    };
    Ok(if security == CLEAR { builder.danger_allow_unencrypted_stream() } else { builder })
}

/// Adds what a client says and hears to a file of its account, with the time and its process.
fn transcript(
    folder: &Path,
    jid: &str,
) -> Result<impl FnMut(Direction, &str) + Send + 'static, Box<dyn Error>> {
    let name = format!("{}.txt", jid.replace('/', "-"));
    let mut file = fs::File::options().create(true).append(true).open(folder.join(name))?;
    let process = process::id();
    Ok(move |direction, frame: &str| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let arrow = if direction == Direction::Sent { '>' } else { '<' };
        // In one piece: the process may be killed. A transcript that fails changes no result.
        let line = format!("{:.3} {process} {arrow} {frame}\n", now.as_secs_f64());
        let _ = file.write_all(line.as_bytes());
    })
}

/// Where TCP is to stay without TLS, the server must not offer it.
fn domain(transport: Transport) -> &'static str {
    if transport == Transport::Tcp { "clear.localhost" } else { "localhost" }
}

const CLEAR: &str = "clear";
/// Names a folder for what clients say and hear in the rows that cut and kill.
const TRANSCRIPTS: &str = "EPODE_INTEROP_TRANSCRIPTS";
