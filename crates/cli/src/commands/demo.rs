//! `demo`: a server in this process, and a login to it by each of the nine mechanisms; then one
//! more, bound to its channel.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use epode::{
    Authenticating, Builder, Connected, Error, Jid, Reconnect,
    sasl::{MechanismName, Policy, Secret},
};
use epode_testpeer::{ListenOptions, Running, Server};
use serde::Serialize;
use tokio::sync::oneshot;

use crate::{
    args::{DemoArgs, MECHANISMS, Transport},
    exit::{Exit, Failure},
    interrupt::unless_interrupted,
    output::{Colour, Output, complain},
    status_lines,
};

pub(crate) async fn run(args: &DemoArgs) -> Result<Exit, Failure> {
    unless_interrupted(show_all(args.transport, Output::new(args.json))).await?
}

async fn show_all(transport: Option<Transport>, output: Output) -> Result<Exit, Failure> {
    let server = Server::builder(DOMAIN)
        .account(USER, PASSWORD)
        .token(USER, TOKEN)
        .certificate_account(USER)
        .build();
    let running = server.listen(ListenOptions::default()).await;
    let running = running.map_err(|error| {
        Failure::internal(format!("the demo's server cannot listen on this machine: {error}"))
    })?;
    output.line(&format!("A server of the demo's own is at {}", places(transport, &running)))?;
    let mut logins = Vec::with_capacity(MECHANISMS.len());
    let nine = MECHANISMS.iter().filter(|mechanism| !is_bound(mechanism));
    for mechanism in nine.chain([&MechanismName::SCRAM_SHA_256_PLUS]) {
        let login = show_login(mechanism, transport, &running, output).await?;
        output.object(&Summary::of(&login))?;
        logins.push(login);
    }
    running.shutdown().await;
    show_table(&logins, output)?;
    conclude(&logins, output)
}

/// How one login went.
struct Login {
    mechanism: MechanismName,
    choice: Option<Authenticating>,
    time: Duration,
    result: Result<Connected, Error>,
}

async fn show_login(
    mechanism: &MechanismName,
    transport: Option<Transport>,
    running: &Running,
    output: Output,
) -> Result<Login, Failure> {
    let url = url(transport, mechanism, running);
    let (builder, secret) = client(mechanism, running)?;
    let mut builder = builder.endpoint(&url).map_err(internal)?;
    let protection = match url.split("://").next() {
        Some("wss" | "https" | "xmpps") => ", over TLS",
        Some("xmpp") => ", by STARTTLS",
        _ => "",
    };
    let bound = if is_bound(mechanism) { ", bound to it" } else { "" };
    output.line(&format!("\n{mechanism}, with {secret}{protection}{bound}"))?;
    let (route, reached) = oneshot::channel();
    let statuses = status_lines::show(builder.watch(), output, "  ", reached);
    let login = async {
        let begun = Instant::now();
        let connected = builder.connect().await;
        let time = begun.elapsed();
        let result = match connected {
            Ok(session) => {
                let login = session.login().expect("it has just logged in").clone();
                let _ = route.send(session.route()); // nobody prints any more
                session.disconnect().await.map(|()| login)
            }
            Err(error) => Err(error),
        };
        (time, result)
    };
    let ((time, result), seen) = tokio::join!(login, statuses);
    Ok(Login { mechanism: mechanism.clone(), choice: seen?.choice, time, result })
}

/// Where the logins go to; without a transport, to more than one.
fn places(transport: Option<Transport>, running: &Running) -> String {
    let (ws, wss) = (running.ws_url(), running.wss_url());
    let (tcp, tls) = (running.starttls(), running.direct_tls());
    match transport {
        None => {
            format!("{ws}\nand, over TLS, at {wss}\nand, by TCP with STARTTLS, at xmpp://{tcp}")
        }
        Some(Transport::Websocket) => format!("{ws}\nand, over TLS, at {wss}"),
        Some(Transport::Bosh) => {
            format!("{}\nand, over TLS, at {}", running.bosh_url(), running.secure_bosh_url())
        }
        Some(Transport::Tcp) => format!("xmpp://{tcp}"),
        Some(Transport::Tls) => format!("xmpps://{tls}"),
    }
}

/// Where to log in by this mechanism.
fn url(transport: Option<Transport>, mechanism: &MechanismName, running: &Running) -> String {
    let needs_tls = match mechanism.as_str() {
        "EXTERNAL" => true,
        // What shows its secret shows it to this machine alone where no transport is wanted.
        "PLAIN" | "OAUTHBEARER" | "X-OAUTH2" => transport.is_some(),
        _ => is_bound(mechanism),
    };
    match transport {
        None if is_bound(mechanism) => format!("xmpp://{}", running.starttls()),
        None | Some(Transport::Websocket) if needs_tls => running.wss_url().to_owned(),
        None | Some(Transport::Websocket) => running.ws_url().to_owned(),
        Some(Transport::Bosh) if needs_tls => running.secure_bosh_url().to_owned(),
        Some(Transport::Bosh) => running.bosh_url().to_owned(),
        Some(Transport::Tcp) => format!("xmpp://{}", running.starttls()),
        Some(Transport::Tls) => format!("xmpps://{}", running.direct_tls()),
    }
}

/// A client that may use this one mechanism, and a word on what it logs in with.
fn client(
    mechanism: &MechanismName,
    running: &Running,
) -> Result<(Builder, &'static str), Failure> {
    let policy = Policy::default().allow_only([mechanism.clone()]);
    let client = |local| {
        let jid = Jid::new(local, DOMAIN, None).map_err(internal)?;
        let builder = Builder::new(jid).policy(Arc::new(policy)).timeout(TIMEOUT);
        let builder = builder.reconnect(Reconnect::off());
        builder.ca_pem(running.ca_pem()).map_err(internal)
    };
    let alice = Some(USER);
    Ok(match mechanism.as_str() {
        "EXTERNAL" => {
            let (Some(certificate), Some(key)) =
                (running.client_certificate_pem(), running.client_key_pem())
            else {
                return Err(Failure::internal("the demo's server made no client certificate"));
            };
            let showing = client(alice)?.client_certificate(certificate, key).map_err(internal)?;
            (showing, "a client certificate")
        }
        "ANONYMOUS" => (client(None)?, "the domain alone"),
        "OAUTHBEARER" | "X-OAUTH2" => {
            (client(alice)?.secret(Secret::token(TOKEN)), "an access token")
        }
        _ => (client(alice)?.password(PASSWORD), "a password"),
    })
}

/// Whether it is one of SCRAM's forms with channel binding.
fn is_bound(mechanism: &MechanismName) -> bool {
    mechanism.as_str().ends_with("-PLUS")
}

fn show_table(logins: &[Login], output: Output) -> Result<(), Failure> {
    let row = |mechanism: &str, why: &str, flights: &str, time: &str, jid: &str| {
        format!("{mechanism:<18}  {why:<47}  {flights:>7}  {time:>9}  {jid}")
    };
    let head = row("MECHANISM", "CHOSEN BECAUSE", "FLIGHTS", "TIME", "RESULTING JID");
    output.line("")?;
    output.line(&output.paint(Colour::Grey, &head))?;
    for login in logins {
        let (flights, jid) = match &login.result {
            Ok(connected) => (connected.flights.to_string(), connected.jid.to_string()),
            Err(error) => ("-".to_owned(), format!("none: {}", error.condition())),
        };
        let time = format!("{:.1} ms", login.time.as_secs_f64() * 1000.0);
        output.line(&row(login.mechanism.as_str(), &login.why(), &flights, &time, &jid))?;
    }
    Ok(())
}

fn conclude(logins: &[Login], output: Output) -> Result<Exit, Failure> {
    // The forms with channel binding are no mechanisms of their own.
    let nine = || logins.iter().filter(|login| !is_bound(&login.mechanism));
    let (of, connected) = (nine().count(), nine().filter(|login| login.result.is_ok()).count());
    output.object(&Total { summary: "demo", connected, of })?;
    let all = logins.iter().all(|login| login.result.is_ok());
    let colour = if all { Colour::Green } else { Colour::Red };
    output.line("")?;
    output.line(&output.paint(colour, &format!("{connected} of {of} mechanisms CONNECTED")))?;
    for login in logins {
        if let Err(error) = &login.result {
            complain("error", &format!("{}: {error}", login.mechanism));
        }
    }
    Ok(if all { Exit::Connected } else { Exit::Authentication })
}

impl Login {
    /// Why this mechanism and no other.
    fn why(&self) -> String {
        let Some(choice) = &self.choice else { return "it was not chosen".to_owned() };
        let others =
            |offered| choice.passed_over.iter().filter(|passed| passed.offered == offered).count();
        let not_offered = match others(false) {
            0 => String::new(),
            count => format!(", {count} not offered"),
        };
        let (priority, not_allowed) = (choice.priority, others(true));
        format!("priority {priority}; {not_allowed} others not allowed{not_offered}")
    }
}

#[derive(Serialize)]
struct Summary<'a> {
    summary: &'static str,
    mechanism: &'a str,
    connected: bool,
    why: String,
    flights: Option<u32>,
    milliseconds: f64,
    binding: Option<&'static str>,
    jid: Option<String>,
    condition: Option<&'a str>,
}

impl<'a> Summary<'a> {
    fn of(login: &'a Login) -> Self {
        let connected = login.result.as_ref().ok();
        Self {
            summary: "login",
            mechanism: login.mechanism.as_str(),
            connected: connected.is_some(),
            why: login.why(),
            flights: connected.map(|connected| connected.flights),
            milliseconds: status_lines::milliseconds(login.time),
            binding: connected.and_then(|connected| connected.binding).map(|kind| kind.name()),
            jid: connected.map(|connected| connected.jid.to_string()),
            condition: login.result.as_ref().err().map(Error::condition),
        }
    }
}

#[derive(Serialize)]
struct Total {
    summary: &'static str,
    connected: usize,
    of: usize,
}

fn internal(error: impl std::fmt::Display) -> Failure {
    Failure::internal(error.to_string())
}

const DOMAIN: &str = "localhost";
const USER: &str = "alice";
// No secrets: the server lives for this demo only, and they go to no other.
const PASSWORD: &str = "wonderland";
const TOKEN: &str = "a-token-of-the-demo";
const TIMEOUT: Duration = Duration::from_secs(30);
