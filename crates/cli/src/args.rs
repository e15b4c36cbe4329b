//! The command line: commands, flags, and what their help says.
//! No flag takes a secret: what stands on a command line can be read by everybody on the machine.

use std::{net::IpAddr, path::PathBuf};

use base64ct::{Base64, Encoding};
use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser},
    value_parser,
};
use clap_complete::Shell;
use epode::{
    Jid, SaslProfile,
    discovery::Order,
    sasl::{MechanismName, scram::Hash},
};

/// Log in to XMPP servers, see why a login fails, and try it all on a server in the box.
#[derive(Debug, Parser)]
#[command(name = "epode", version, after_help = TOP_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Serve(ServeArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Explain(ExplainArgs),
    Probe(ProbeArgs),
    Send(SendArgs),
    Chat(ChatArgs),
    Prebind(PrebindArgs),
    #[command(subcommand)]
    Keys(KeysCommand),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Start a server in this process and log in to it by each mechanism.
#[derive(Args, Debug)]
#[command(after_help = DEMO_HELP)]
pub(crate) struct DemoArgs {
    /// Make all logins over this
    #[arg(long)]
    pub(crate) transport: Option<Transport>,
    /// Print JSON: each status, a summary of each login, and one of all
    #[arg(long)]
    pub(crate) json: bool,
}

/// What carries the XMPP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Transport {
    /// WebSocket
    #[value(aliases = ["ws", "wss"])]
    Websocket,
    /// HTTP requests (XEP-0206)
    #[value(aliases = ["http", "https"])]
    Bosh,
    /// TCP with STARTTLS
    #[value(aliases = ["xmpp", "starttls"])]
    Tcp,
    /// TCP inside TLS from the first byte
    #[value(aliases = ["xmpps", "direct-tls"])]
    Tls,
}

/// Run a small server to log in to, until Ctrl-C.
#[derive(Args, Debug)]
#[command(after_help = SERVE_HELP)]
pub(crate) struct ServeArgs {
    /// The domain to serve
    #[arg(long, default_value = "localhost", value_parser = parse_domain)]
    pub(crate) domain: String,
    /// The address to listen at
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) listen: IpAddr,
    /// The port of ws and http, the first of four: wss and https, xmpp, xmpps follow; 0: free
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u16).range(..=65532))]
    pub(crate) port: u16,
    /// An account; may be given again [default: alice; with --web, bob as well]
    #[arg(long = "account", value_name = "USER", value_parser = parse_user)]
    pub(crate) accounts: Vec<String>,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Give browsers a page on which to log in, step by step, and to chat; refuse other sites' pages
    #[arg(long)]
    pub(crate) web: bool,
    /// Take logins by token in early data of TLS, for login --danger-early-data
    #[arg(long)]
    pub(crate) early_data: bool,
    /// Misbehave: play this transcript to every client instead
    #[arg(
        long, value_name = "FILE",
        conflicts_with_all = [
            "domain", "listen", "port", "accounts", "password_file", "password_env", "web",
            "early_data"
        ]
    )]
    pub(crate) script: Option<PathBuf>,
}

/// Log in, show each status, disconnect.
#[derive(Args, Debug)]
#[command(after_help = LOGIN_HELP)]
pub(crate) struct LoginArgs {
    /// The account, as alice@example.org or alice@example.org/phone; for a guest, the domain
    pub(crate) jid: Jid,
    /// Show BINDREQUIRED, and only then bind a resource
    #[arg(long, conflicts_with = "attach")]
    pub(crate) explicit_bind: bool,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(flatten)]
    pub(crate) session: AttachArgs,
    /// Save the keys that a SCRAM login leaves, readable by you alone
    #[arg(long, value_name = "FILE", help_heading = SECRET, conflicts_with = "attach")]
    pub(crate) save_keys: Option<PathBuf>,
    /// Log in by the token that the last login left, and keep the next one; a password is needed only
    /// where there is none that is good
    #[arg(long, help_heading = SECRET, conflicts_with_all = ["attach", "authcid"])]
    pub(crate) fast: bool,
    /// Log in twice, the second time in early data of TLS, which can be replayed and has no forward
    /// secrecy
    #[arg(long, help_heading = SECRET, requires = "fast")]
    pub(crate) danger_early_data: bool,
    /// Show a report of the login: offer, verdicts, checks, waits, what could be better
    #[arg(long, conflicts_with = "attach")]
    pub(crate) report: bool,
    /// Keep the report in FILE, and show what has changed since the one that is there
    #[arg(long, value_name = "FILE", conflicts_with = "attach")]
    pub(crate) report_file: Option<PathBuf>,
}

/// Have the server forget the token that `login --fast` keeps, and delete it.
#[derive(Args, Debug)]
#[command(after_help = LOGOUT_HELP)]
pub(crate) struct LogoutArgs {
    /// The account, as alice@example.org
    pub(crate) jid: Jid,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
}

impl LogoutArgs {
    /// As those of a client that has no secret.
    pub(crate) fn into_client(self) -> (Jid, ClientArgs) {
        let Self { jid, connection } = self;
        (jid, ClientArgs { connection, secret: SecretArgs::default() })
    }
}

/// Show what the server offers, what a login would use, and why not the rest.
#[derive(Args, Debug)]
#[command(after_help = EXPLAIN_HELP)]
pub(crate) struct ExplainArgs {
    /// The account, as alice@example.org; for a guest, the domain
    pub(crate) jid: Jid,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Audit what a server offers to everybody: records, TLS, certificates, mechanisms.
#[derive(Args, Debug)]
#[command(after_help = PROBE_HELP)]
pub(crate) struct ProbeArgs {
    /// The domain
    #[arg(value_parser = parse_domain)]
    pub(crate) domain: String,
    /// Look at this endpoint alone, and look nothing up; may be given again
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) via: Vec<String>,
    /// Print JSON, one object
    #[arg(long)]
    pub(crate) json: bool,
    /// Trust the certificates in this PEM file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Connect directly, whatever proxy the environment names
    #[arg(long)]
    pub(crate) no_proxy: bool,
    /// Give each endpoint this long; they are asked at the same time
    #[arg(
        long, value_name = "SECONDS", default_value_t = 15,
        value_parser = value_parser!(u64).range(1..=3600)
    )]
    pub(crate) timeout: u64,
}

/// Log in and send one message.
#[derive(Args, Debug)]
#[command(after_help = SEND_HELP)]
pub(crate) struct SendArgs {
    /// Whom to send to
    pub(crate) jid: Jid,
    /// What to send; `-` reads it from the standard input
    pub(crate) text: String,
    /// The account that sends
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub(crate) account: Jid,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
    #[command(flatten)]
    pub(crate) session: AttachArgs,
}

/// Log in and talk with somebody, line by line.
#[derive(Args, Debug)]
#[command(after_help = CHAT_HELP)]
pub(crate) struct ChatArgs {
    /// Whom to talk with
    pub(crate) jid: Jid,
    /// The account that talks
    #[arg(long = "as", value_name = "ACCOUNT")]
    pub(crate) account: Jid,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Log in over BOSH, and leave the session to another program.
#[derive(Args, Debug)]
#[command(after_help = PREBIND_HELP)]
pub(crate) struct PrebindArgs {
    /// The account, as alice@example.org or alice@example.org/web; for a guest, the domain
    pub(crate) jid: Jid,
    /// Save the session to this file, readable by you alone; printed otherwise
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) client: ClientArgs,
}

/// Work with SCRAM keys, which log in without the password.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Derive(DeriveArgs),
}

/// Derive the keys that a server expects, without connecting.
#[derive(Args, Debug)]
#[command(after_help = DERIVE_HELP)]
pub(crate) struct DeriveArgs {
    /// The hash
    #[arg(long, value_parser = hash_parser())]
    pub(crate) hash: Hash,
    /// The salt
    #[arg(long, value_name = "BASE64", value_parser = parse_salt)]
    pub(crate) salt: Salt,
    /// The iteration count, 4096 to 1000000
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(4096..=1_000_000))]
    pub(crate) iterations: u32,
    /// The account to note down; it is checked when the keys are used
    #[arg(long)]
    pub(crate) jid: Option<Jid>,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Save them to this file, readable by you alone; printed otherwise
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Print a completion script for a shell.
#[derive(Args, Debug)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

/// Print a manual page, in the format of man(7).
#[derive(Args, Debug)]
#[command(after_help = MAN_HELP)]
pub(crate) struct ManArgs {
    /// The command that it is about, as `login` or `keys derive`; epode itself otherwise
    pub(crate) command: Vec<String>,
}

/// What every command takes that connects with a secret.
#[derive(Args, Debug)]
pub(crate) struct ClientArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) secret: SecretArgs,
}

/// What every command takes that connects.
#[derive(Args, Debug)]
pub(crate) struct ConnectionArgs {
    /// Print JSON, an object on each line
    #[arg(long)]
    pub(crate) json: bool,
    /// Show each frame on the standard error, without its secrets
    #[arg(long)]
    pub(crate) transcript: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    #[command(flatten)]
    pub(crate) policy: PolicyArgs,
}

/// A session in place of a login.
#[derive(Args, Debug)]
pub(crate) struct AttachArgs {
    /// Take over the BOSH session that prebind left in this file, in place of a login; `-` reads it
    /// from the standard input
    #[arg(
        long, value_name = "FILE", help_heading = SECRET,
        conflicts_with_all = [
            "password_file", "password_env", "token_file", "keys", "authcid", "allowed", "denied",
            "require_channel_binding", "pins", "accept_weaker"
        ]
    )]
    pub(crate) attach: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Where the server is, in place of what is looked up: xmpp://host, xmpps://host, wss://… or
    /// ws://…; https://… or http://… for BOSH
    // Not parsed here: clap's message would repeat a password that stands in it.
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) via: Option<String>,
    /// What to look up, and what to try first
    #[arg(long, value_name = "ORDER", conflicts_with = "via", default_value = "tcp")]
    pub(crate) order: LookupOrder,
    /// Trust the certificates in this PEM file, too
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// Connect directly, whatever proxy the environment names
    #[arg(long)]
    pub(crate) no_proxy: bool,
    /// Give up when the login takes longer
    #[arg(
        long, value_name = "SECONDS", default_value_t = 30,
        value_parser = value_parser!(u64).range(1..=86_400)
    )]
    pub(crate) timeout: u64,
    /// Go on where the server has no TLS to offer
    #[arg(long)]
    pub(crate) danger_allow_unencrypted: bool,
    /// Take TLS 1.2 without extended master secret, too
    #[arg(long)]
    pub(crate) danger_allow_legacy_tls: bool,
}

/// The order of discovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LookupOrder {
    /// TCP; WebSocket, then BOSH, where that leads nowhere
    Tcp,
    /// WebSocket, then TCP, then BOSH
    Websocket,
    /// TCP; no web server is asked
    TcpOnly,
    /// WebSocket, then BOSH; no SRV records are asked for
    WebOnly,
}

impl From<LookupOrder> for Order {
    fn from(order: LookupOrder) -> Self {
        match order {
            LookupOrder::Tcp => Self::TcpFirst,
            LookupOrder::Websocket => Self::WebSocketFirst,
            LookupOrder::TcpOnly => Self::TcpOnly,
            LookupOrder::WebOnly => Self::WebOnly,
        }
    }
}

#[derive(Args, Debug, Default)]
#[command(next_help_heading = SECRET)]
pub(crate) struct SecretArgs {
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
    /// Read an OAuth 2.0 access token from a file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["password_file", "password_env", "keys"])]
    pub(crate) token_file: Option<PathBuf>,
    /// Log in with the SCRAM keys in a file; a password is the fallback
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// Whose secret it is, if not the account's own
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) authcid: Option<String>,
    /// Show the client certificate in this PEM file
    #[arg(long, value_name = "FILE")]
    pub(crate) cert: Option<PathBuf>,
    /// Its private key, if that is in a file of its own
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct PasswordArgs {
    /// Read the password from a file, without the newline at its end
    #[arg(long, value_name = "FILE", conflicts_with = "password_env")]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the password from this environment variable
    #[arg(long, value_name = "VARIABLE")]
    pub(crate) password_env: Option<String>,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Policy")]
pub(crate) struct PolicyArgs {
    /// Allow only this mechanism; may be given again to allow more
    #[arg(long = "mechanism", value_name = "NAME", hide_possible_values = true, value_parser = mechanism_parser())]
    pub(crate) allowed: Vec<MechanismName>,
    /// Never use this mechanism; may be given again
    #[arg(long = "without", value_name = "NAME", hide_possible_values = true, value_parser = mechanism_parser())]
    pub(crate) denied: Vec<MechanismName>,
    /// Use this profile of SASL alone: 1 as in RFC 6120, or 2, of fewer round trips (XEP-0388)
    #[arg(long, value_name = "1|2")]
    pub(crate) sasl: Option<Sasl>,
    /// Use only mechanisms that bind the login to TLS, so SCRAM's -PLUS
    #[arg(long)]
    pub(crate) require_channel_binding: bool,
    /// Keep what each account's login was like in this file, not in the usual one
    #[arg(long, value_name = "FILE", conflicts_with = "no_pins")]
    pub(crate) pins: Option<PathBuf>,
    /// Neither compare with earlier logins nor remember this one
    #[arg(long)]
    pub(crate) no_pins: bool,
    /// Log in although the server offers less than before, and remember what it offers now
    #[arg(long, conflicts_with = "no_pins")]
    pub(crate) accept_weaker: bool,
    /// Let passwords and tokens travel for anybody to read
    #[arg(long)]
    pub(crate) danger_allow_plaintext: bool,
}

/// A profile of SASL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sasl {
    /// That of RFC 6120
    #[value(name = "1")]
    One,
    /// That of XEP-0388
    #[value(name = "2")]
    Two,
}

impl From<Sasl> for SaslProfile {
    fn from(profile: Sasl) -> Self {
        match profile {
            Sasl::One => Self::Sasl1,
            Sasl::Two => Self::Sasl2,
        }
    }
}

/// A SCRAM salt, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Salt(pub(crate) Vec<u8>);

/// The mechanisms that the library knows, in its order.
pub(crate) static MECHANISMS: [MechanismName; 13] = [
    MechanismName::SCRAM_SHA_512_PLUS,
    MechanismName::SCRAM_SHA_384_PLUS,
    MechanismName::SCRAM_SHA_256_PLUS,
    MechanismName::SCRAM_SHA_1_PLUS,
    MechanismName::SCRAM_SHA_512,
    MechanismName::SCRAM_SHA_384,
    MechanismName::SCRAM_SHA_256,
    MechanismName::SCRAM_SHA_1,
    MechanismName::PLAIN,
    MechanismName::OAUTHBEARER,
    MechanismName::X_OAUTH2,
    MechanismName::ANONYMOUS,
    MechanismName::EXTERNAL,
];

fn mechanism_parser() -> impl TypedValueParser<Value = MechanismName> {
    let names = MECHANISMS.iter().map(MechanismName::as_str);
    PossibleValuesParser::new(names).try_map(|name| name.parse())
}

fn hash_parser() -> impl TypedValueParser<Value = Hash> {
    PossibleValuesParser::new(Hash::ALL.map(Hash::name)).try_map(|name| name.parse())
}

fn parse_salt(text: &str) -> Result<Salt, String> {
    match Base64::decode_vec(text) {
        Ok(salt) if salt.is_empty() => Err("it is empty".to_owned()),
        Ok(salt) if salt.len() > 1024 => Err("it has more than 1024 bytes".to_owned()),
        Ok(salt) => Ok(Salt(salt)),
        Err(_) => Err("it is not base64 with its padding, as QSXCR+Q6sek8bf92".to_owned()),
    }
}

fn parse_domain(text: &str) -> Result<String, String> {
    let jid: Jid = text.parse().map_err(|error: epode::JidError| error.to_string())?;
    if jid.local().is_some() || jid.resource().is_some() {
        return Err("write a domain alone, as example.org".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_user(text: &str) -> Result<String, String> {
    // SASLprep and the address rules have nothing to say about these.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.is_empty() || text.len() > 64 || !text.chars().all(is_plain) {
        return Err("write 1 to 64 ASCII letters, digits, '.', '_' or '-'".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

const SECRET: &str = "Secret";

const TOP_HELP: &str = "\
Examples:
  epode demo
  epode login alice@example.org
  epode explain alice@example.org
  epode probe example.org

Exit codes:
  0  connected; done
  1  internal error
  2  usage or bad input
  3  authentication failed
  4  connection failed
  5  timed out
  6  the policy passed over a mechanism that was offered, and none was left; or the server offers
     less than at an earlier login
  7  probe: the worst that was found is a warning
  8  probe: the worst that was found is an error";

const DEMO_HELP: &str = "\
Each login is restricted to one of the nine mechanisms, over a WebSocket on this machine.
EXTERNAL shows a client certificate over TLS, ANONYMOUS gives the domain alone. One more login is
by TCP with STARTTLS, and bound to it: SCRAM-SHA-256-PLUS.
With --transport, all ten are over that one; whatever shows its secret or needs TLS has it.
The exit code is 0 only if all are CONNECTED.

Examples:
  epode demo
  epode demo --transport bosh";

const SERVE_HELP: &str = "\
It prints its addresses and accounts, and commands that log in to it. Certificates, tokens and
passwords are made anew at each start, and their files are removed at the end. It is for trying
things out, not for people: whoever reaches its port can try to log in.

With --web it also has a page for browsers, where one sees a login happen: a binary that was built by
'cargo xtask web' has it. The page's address is printed with a key in it. Whoever opens that gets the
passwords and tokens that were made here, unless --listen leads beyond this machine; on the page
without the key they have to be typed. The page over TLS is for logins by token, which need TLS; the
browser asks whether to trust its certificate.

A server with a page answers to localhost and to the address that it listens at, and to pages of its
own: to try a page of your own, or another name, leave --web out.

Examples:
  epode serve
  epode serve --port 5280 --account alice --account bob
  epode serve --web --port 5280
  epode serve --early-data
  epode serve --script hostile.txt";

const LOGIN_HELP: &str = "\
The server is found by the domain: SRV records, then host-meta, then the domain itself; or at --via.

Each status is a line: name, number, detail, as in CONNECTED 5 alice@example.org/abc
Lines that begin with # tell how the server was reached, and what the login is bound to.
Without a flag that names a secret, the password is asked for at the terminal.

With --fast, the server is asked for a token, which is kept in the folder epode/tokens of
XDG_STATE_HOME, readable by you alone; the next login with --fast is by that token, in one round trip
and without a password. 'epode logout' ends that.

With --danger-early-data, that login goes along with the handshake of TLS where the server takes it
there, over a connection that is inside TLS from the first byte. Whoever comes by the key of the
server's TLS tickets can read who logs in, and the server must count to tell a replay. It takes a
session of TLS, which is kept in memory alone: the first of the two logins brings it. A token that an
earlier 'login --fast' has left may be bound to its connection; 'epode logout' makes room for another.

The strongest login of an account is remembered (--pins), that with an https:// URL apart; one that
would be weaker is refused, unless --via is a ws:// or http:// URL, or --accept-weaker is given.

Mechanisms: SCRAM-SHA-512-PLUS, SCRAM-SHA-384-PLUS, SCRAM-SHA-256-PLUS, SCRAM-SHA-1-PLUS,
SCRAM-SHA-512, SCRAM-SHA-384, SCRAM-SHA-256, SCRAM-SHA-1, PLAIN, OAUTHBEARER, X-OAUTH2, ANONYMOUS,
EXTERNAL.

Examples:
  epode login alice@example.org
  epode login alice@example.org/desk --password-file alice.password
  epode login alice@example.org --fast
  epode login alice@example.org --via xmpps://192.0.2.7 --fast --danger-early-data
  epode login alice@example.org --via xmpps://192.0.2.7 --require-channel-binding
  epode login alice@example.org --via wss://example.org/xmpp-websocket
  epode login alice@example.org --via https://example.org/http-bind
  epode login alice@example.org --via https://example.org/http-bind --attach alice.session
  epode login alice@example.org --save-keys alice.keys
  epode login alice@example.org --keys alice.keys
  epode login alice@example.org --cert alice.pem
  epode login example.org --mechanism ANONYMOUS";

const LOGOUT_HELP: &str = "\
A token is kept by 'epode login --fast'. One last login by it has the server forget it; where the
server does not take it any more, it is deleted all the same. Where the server cannot be reached it
stays, so that you can try again.

Examples:
  epode logout alice@example.org
  epode logout alice@example.org --via wss://xmpp.example.org/ws";

const EXPLAIN_HELP: &str = "\
Takes the flags of login, but logs in to nothing, sends no secret and asks for none. Without a
flag that names a secret, a password is assumed.

Examples:
  epode explain alice@example.org
  epode explain alice@example.org --without PLAIN --order websocket
  epode explain example.org --via wss://example.org/xmpp-websocket";

const PROBE_HELP: &str = "\
It logs in to nothing and knows no credentials: it asks what a server offers, with TLS 1.3 and with
TLS 1.2, and leaves. What is found has a word, a severity and a remedy.

Exit codes: 0 nothing but notes, 7 a warning, 8 an error.

Examples:
  epode probe example.org
  epode probe example.org --json
  epode probe example.org --via xmpp://192.0.2.7 --via wss://example.org/xmpp-websocket";

const SEND_HELP: &str = "\
Waits until the server has taken the message, and tells if the server refuses it.
Without a flag that names a secret, the password is asked for at the terminal.

Examples:
  epode send --as alice@example.org bob@example.org 'Hello!'
  uptime | epode send --as alice@example.org --password-file alice.password bob@example.org -";

const CHAT_HELP: &str = "\
Each line of the standard input is a message; its end, by Ctrl-D, or Ctrl-C ends the chat. Lines
that are typed while there is no connection are sent with the next one: a connection that is lost
is made anew, and its session resumed where the server allows.

What is shown, times being those of UTC:
  12:00:00Z bob@example.org/desk: Hi      a message; further lines of it begin with a bar
  12:00:05Z me [1]: Hello                 one of ours, with its number
  [1] sent                                what became of it: queued, sent, server has it,
                                          delivered (XEP-0184), lost, refused
  * bob@example.org/desk is away: lunch   presence, if it is ours to see
  * reconnecting in 0.4 s: ...            the connection: online, quiet, heard again,
                                          reconnecting, resumed, offline
On a terminal, what became of a message stands beside it, and changes there.
Without a flag that names a secret, the password is asked for at the terminal.

Examples:
  epode chat --as alice@example.org bob@example.org
  epode chat --as alice@example.org/pipe --password-file alice.password bob@example.org < lines.txt";

const PREBIND_HELP: &str = "\
The session is one line of JSON: jid, sid and rid, and what the server granted. Whoever has it has
the session, so it is as secret as a password. Whoever takes it over, 'epode login --attach' or a
script in a browser, does so at the same --via, once, and within the `inactivity` that the JSON
names in seconds.
Without a flag that names a secret, the password is asked for at the terminal.

Examples:
  epode prebind alice@example.org --via https://example.org/http-bind --out alice.session
  epode login alice@example.org --via https://example.org/http-bind --attach alice.session";

const DERIVE_HELP: &str = "\
Hash, salt and iteration count are the server's, for this account. The keys are as secret as the
password: whoever has them can log in there.
Without a flag that names the password, it is asked for at the terminal.

Example:
  epode keys derive --hash SHA-256 --salt W22ZaJ0SNY7soEsUEjb6gQ== --iterations 4096 \\
    --jid alice@example.org --out alice.keys";

const COMPLETIONS_HELP: &str = "\
Examples:
  epode completions bash > ~/.local/share/bash-completion/completions/epode
  epode completions zsh > ~/.zfunc/_epode
  epode completions fish > ~/.config/fish/completions/epode.fish";

const MAN_HELP: &str = "\
Examples:
  epode man > ~/.local/share/man/man1/epode.1
  epode man login | man -l -";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use epode::sasl::Registry;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_mechanisms_are_those_of_the_library() {
        assert!(Registry::default().names().eq(MECHANISMS.iter()));
        for name in &MECHANISMS {
            assert!(
                LOGIN_HELP.contains(&format!("{name},"))
                    || LOGIN_HELP.contains(&format!("{name}."))
            );
            let args = ["epode", "explain", "a@b", "--mechanism", name.as_str()];
            assert!(Cli::try_parse_from(args).is_ok(), "{name}");
        }
    }
}
