//! `serve`: a small server to log in to, honest or playing a transcript, until Ctrl-C.

use std::{io, num::NonZeroU32, path::Path};

use epode::{
    PrivateFileError,
    sasl::{
        self,
        scram::{Derivation, Hash},
    },
};
use epode_testpeer::{
    EarlyData, ListenOptions, Outcome, Running, RunningScript, Server, ServerBuilder,
    listen_script,
    script::{Mismatch, Script},
};
use zeroize::Zeroizing;

use crate::{
    args::ServeArgs,
    exit::{Exit, Failure},
    interrupt::Stop,
    output::{Output, printable},
    private_folder::PrivateFolder,
    secret_file::SecretFile,
    secrets::{self, Source},
    shell_word::shell_word,
    web_page::{self, Hint},
};

pub(crate) async fn run(args: &ServeArgs) -> Result<Exit, Failure> {
    match &args.script {
        Some(path) => play(path).await,
        None => serve(args).await,
    }
}

async fn serve(args: &ServeArgs) -> Result<Exit, Failure> {
    let accounts = accounts(args)?;
    let mut stop = Stop::listen()?;
    let mut builder = Server::builder(&args.domain);
    for account in &accounts {
        builder = builder
            .account(&account.user, &account.password)
            .token(&account.user, &account.token)
            .certificate_account(&account.user);
    }
    if args.early_data {
        builder = builder.early_data(EarlyData::Taken);
    }
    let page_key = if args.web { Some(random_word()?) } else { None };
    if let Some(key) = &page_key {
        builder = with_page(builder, args, &accounts, key)?;
    }
    // The flag's range ends three below the last port.
    let port = |offset| if args.port == 0 { 0 } else { args.port + offset };
    let options = ListenOptions::default()
        .with_address(args.listen)
        .with_ports(port(2), port(0), port(1))
        .with_direct_tls_port(port(3));
    let running =
        builder.build().listen(options).await.map_err(|error| cannot_listen(args, &error))?;
    let folder = PrivateFolder::make().map_err(|error| {
        Failure::internal(format!("cannot make a folder for certificates and secrets: {error}"))
    })?;
    let notice = Notice { domain: &args.domain, running: &running, page_key };
    let output = Output::new(false);
    output.text(
        &notice.whole(&folder, &accounts).map_err(|error| Failure::internal(error.to_string()))?,
    )?;
    stop.wait().await;
    drop(folder);
    tokio::select! {
        () = running.shutdown() => Ok(Exit::Connected),
        () = stop.wait() => Err(Failure::interrupted()), // twice: there is no patience left
    }
}

/// One account, and what it can log in with.
struct Account {
    user: String,
    password: Zeroizing<String>,
    /// Where the password is from; none if it was made here.
    source: Option<Source>,
    token: Zeroizing<String>,
}

fn accounts(args: &ServeArgs) -> Result<Vec<Account>, Failure> {
    let given = secrets::password(&args.password)?;
    if let Some((password, source)) = &given {
        check(password, source)?;
    }
    let mut accounts: Vec<Account> = Vec::new();
    for user in users(args) {
        if accounts.iter().any(|account| account.user == user) {
            return Err(Failure::usage(format!("--account {user} is given twice")));
        }
        let (password, source) = match &given {
            Some((password, source)) => (password.clone(), Some(source.clone())),
            None => (random_word()?, None),
        };
        accounts.push(Account { user: user.to_owned(), password, source, token: random_word()? });
    }
    Ok(accounts)
}

/// The names of the accounts. It takes two to chat on the page.
fn users(args: &ServeArgs) -> Vec<&str> {
    match &args.accounts[..] {
        [] if args.web => vec!["alice", "bob"],
        [] => vec!["alice"],
        given => given.iter().map(String::as_str).collect(),
    }
}

/// Adds the page, which has the accounts from whoever has the key.
fn with_page(
    mut server: ServerBuilder,
    args: &ServeArgs,
    accounts: &[Account],
    key: &str,
) -> Result<ServerBuilder, Failure> {
    if args.listen.is_loopback() {
        // SASL2 is to be seen without a certificate that browsers ask about.
        server = server.sasl2_unencrypted();
    }
    web_page::add_to(server, &args.domain, &hints(args, accounts), key)
}

/// What the page knows: the secrets that were made here, where nobody reads along on the way.
fn hints<'a>(args: &ServeArgs, accounts: &'a [Account]) -> Vec<Hint<'a>> {
    let is_private = args.listen.is_loopback();
    let hint = |account: &'a Account| Hint {
        jid: format!("{}@{}", account.user, args.domain),
        password: (is_private && account.source.is_none()).then_some(&*account.password),
        token: is_private.then_some(&*account.token),
    };
    accounts.iter().map(hint).collect()
}

/// Judges a password as a login would, before the server has to.
fn check(password: &Zeroizing<String>, source: &Source) -> Result<(), Failure> {
    match Derivation::prepared(Hash::Sha1, password, b"salt".to_vec(), NonZeroU32::MIN) {
        Ok(_) => Ok(()),
        Err(reason) => Err(Failure::usage(format!("{source}: {}", sasl::Error::Password(reason)))),
    }
}

/// What is told to the person who started the server.
struct Notice<'a> {
    domain: &'a str,
    running: &'a Running,
    /// What a page needs to be told of the accounts, if there is a page.
    page_key: Option<Zeroizing<String>>,
}

impl Notice<'_> {
    fn whole(
        &self,
        folder: &PrivateFolder,
        accounts: &[Account],
    ) -> Result<String, PrivateFileError> {
        let running = self.running;
        let ca = folder.put("ca.pem", running.ca_pem())?;
        let mut lines = vec![
            "The server runs until Ctrl-C and forgets everything then.".to_owned(),
            String::new(),
        ];
        if let Some(key) = &self.page_key {
            // Behind the mark, it goes into no log of requests.
            lines.push(format!("page        {}#key={}", running.web_url(), **key));
            lines.push(format!("page, TLS   {}#key={}", running.secure_web_url(), **key));
        }
        lines.extend([
            format!("domain      {}", self.domain),
            format!("ws          {}", running.ws_url()),
            format!("wss         {}", running.wss_url()),
            format!("BOSH        {}", running.bosh_url()),
            format!("BOSH, TLS   {}", running.secure_bosh_url()),
            format!("STARTTLS    {}", self.starttls()),
            format!("direct TLS  {}", self.direct_tls()),
            format!("CA          {}", ca.display()),
        ]);
        let mut logins = Vec::new();
        for account in accounts {
            self.account(folder, &ca, account, &mut lines, &mut logins)?;
        }
        let (ws, starttls, domain) = (running.ws_url(), self.starttls(), shell_word(self.domain));
        let ca = path_word(&ca);
        logins.push(format!("epode login {domain} --via {ws}"));
        let user = &accounts[0].user;
        logins.push(format!("epode explain {user}@{domain} --via {starttls} --ca {ca}"));
        lines.extend([String::new(), "Log in to it from another terminal:".to_owned()]);
        lines.push(String::new());
        lines.extend(logins.iter().map(|login| format!("  {login}")));
        lines.push(String::new());
        Ok(lines.join("\n"))
    }

    fn starttls(&self) -> String {
        format!("xmpp://{}", self.running.starttls())
    }

    fn direct_tls(&self) -> String {
        format!("xmpps://{}", self.running.direct_tls())
    }

    fn account(
        &self,
        folder: &PrivateFolder,
        ca: &Path,
        account: &Account,
        lines: &mut Vec<String>,
        logins: &mut Vec<String>,
    ) -> Result<(), PrivateFileError> {
        let user = &account.user;
        let put = |kind: &str, contents: &str| folder.put(&format!("{user}.{kind}"), contents);
        let jid = format!("{user}@{}", self.domain);
        lines.extend([String::new(), format!("account     {jid}")]);
        let password_flag = match &account.source {
            Some(Source::PasswordFile(path)) => format!("--password-file {}", path_word(path)),
            Some(Source::Variable(name)) => format!("--password-env {}", shell_word(name)),
            _ => {
                let path = put("password", &format!("{}\n", *account.password))?;
                lines.push(format!("password    {}", *account.password));
                format!("--password-file {}", path_word(&path))
            }
        };
        let token = put("token", &format!("{}\n", *account.token))?;
        lines.push(format!("token       {}", *account.token));
        let (ws, wss) = (self.running.ws_url(), self.running.wss_url());
        let (starttls, direct_tls) = (self.starttls(), self.direct_tls());
        let (ca, word, token) = (path_word(ca), shell_word(&jid).into_owned(), path_word(&token));
        logins.push(format!("epode login {word} --via {ws} {password_flag}"));
        logins.push(format!("epode login {word} --via {starttls} --ca {ca} {password_flag}"));
        let bosh = self.running.secure_bosh_url();
        logins.push(format!("epode login {word} --via {bosh} --ca {ca} {password_flag}"));
        logins.push(format!("epode login {word} --via {wss} --ca {ca} --token-file {token}"));
        let mut certificates = self.running.client_certificates().iter();
        if let Some(certificate) = certificates.find(|it| it.user() == user) {
            let pem = format!("{}{}", certificate.certificate_pem(), certificate.key_pem());
            let path = put("pem", &Zeroizing::new(pem))?;
            lines.push(format!("certificate {}", path.display()));
            logins.push(format!(
                "epode login {word} --via {direct_tls} --ca {ca} --cert {}",
                path_word(&path)
            ));
        }
        Ok(())
    }
}

fn path_word(path: &Path) -> String {
    shell_word(&path.display().to_string()).into_owned()
}

/// Plays a transcript to whoever connects.
async fn play(path: &Path) -> Result<Exit, Failure> {
    let place = path.display();
    let file = SecretFile::read(path).map_err(|error| Failure::usage(error.to_string()))?;
    let text = file.text().map_err(|error| Failure::usage(error.to_string()))?;
    let script =
        Script::parse(text).map_err(|error| Failure::usage(format!("{place}: {error}")))?;
    let mut stop = Stop::listen()?;
    let running = listen_script(&script).await;
    let running = running.map_err(|error| Failure::usage(format!("{place}: {error}")))?;
    let output = Output::new(false);
    let url = running.ws_url();
    output.text(&format!(
        "The transcript {place} is played to every client, until Ctrl-C.\n\n\
         ws          {url}\n\n\
         Log in to it from another terminal:\n\n\
         \x20 epode login alice@localhost --via {url} --transcript\n"
    ))?;
    stop.wait().await;
    report(running, stop, output).await
}

/// How each connection went.
async fn report(running: RunningScript, mut stop: Stop, output: Output) -> Result<Exit, Failure> {
    let outcomes = tokio::select! {
        outcomes = running.shutdown() => outcomes,
        () = stop.wait() => return Err(Failure::interrupted()),
    };
    output.line("")?;
    for (index, outcome) in outcomes.iter().enumerate() {
        let words = match outcome {
            Outcome::Finished => "the whole transcript was played".to_owned(),
            Outcome::Unfinished => "the client left before the end".to_owned(),
            Outcome::Departed(Mismatch::AfterEnd { .. }) => {
                "the whole transcript was played, and the client went on".to_owned()
            }
            Outcome::Departed(mismatch) => format!("the client departed from it: {mismatch}"),
            Outcome::NoHandshake => "there was no WebSocket handshake".to_owned(),
        };
        output.line(&printable(&format!("connection {}: {words}", index + 1)))?;
    }
    Ok(Exit::Connected)
}

fn cannot_listen(args: &ServeArgs, error: &io::Error) -> Failure {
    let failure = Failure::usage(format!("cannot listen at {}: {error}", args.listen));
    if error.kind() != io::ErrorKind::AddrInUse {
        return failure;
    }
    let (first, last) = (args.port, args.port + 3);
    failure.hint(format!("the ports {first} to {last} must be free: choose another --port"))
}

/// 128 bits, in letters that can be read out.
fn random_word() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 16]);
    getrandom::fill(&mut *bytes)
        .map_err(|error| Failure::internal(format!("no random bytes can be had: {error}")))?;
    Ok(Zeroizing::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
}
