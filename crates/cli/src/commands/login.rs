//! `login`: log in, or take over a session, show each status, disconnect. Nothing is sent or
//! received in between.

use epode::{
    Attachment, Builder, Error, PrivateFile, UserAgent, proto,
    sasl::{self, Secret, scram::ScramKeys},
};

use tokio::sync::oneshot;

use crate::{
    args::LoginArgs,
    client,
    exit::{Exit, Failure},
    interrupt::unless_interrupted,
    key_file,
    output::{Output, complain},
    report_lines::{self, Reported},
    secrets::{self, Given, LOGIN_FLAGS, Source},
    status_lines::{self, Seen},
};

pub(crate) async fn run(args: &LoginArgs) -> Result<Exit, Failure> {
    if let Some(path) = &args.save_keys {
        PrivateFile::new(path).check().map_err(|error| Failure::usage(error.to_string()))?;
    }
    let Attempt { result, seen, source } = match &args.session.attach {
        Some(path) => {
            let (builder, session) = client::heir(&args.jid, &args.client, path)?;
            attempt(args, builder, Given::none_needed(), Some(&session)).await?
        }
        None => log_in(args).await?,
    };
    let keys = result.map_err(|error| client::failure(&error, &seen, &source, &args.client))?;
    save(args, keys, &seen)?;
    Ok(Exit::Connected)
}

/// Logs in, and once more where saved keys no longer fit.
async fn log_in(args: &LoginArgs) -> Result<Attempt, Failure> {
    if args.fast {
        return log_in_by_token(args).await;
    }
    let builder = client::builder(&args.jid, &args.client)?;
    let given = secrets::resolve(&args.jid, &args.client)?;
    let has_keys_alone = given.password.is_none() && matches!(given.source, Source::Keys(_));
    let first = attempt(args, builder, given, None).await?;
    if first.is_stale() && has_keys_alone && secrets::can_ask() {
        let prompt = format!("The saved keys no longer fit. Password for {}: ", args.jid.bare());
        let password = secrets::ask_for_password(&prompt, LOGIN_FLAGS)?;
        let builder = client::builder(&args.jid, &args.client)?;
        let given = Given::new(Secret::Password(password), Source::Prompt);
        return attempt(args, builder, given, None).await;
    }
    Ok(first)
}

/// Logs in by the token that is kept, or with a secret where none is kept; and once more where the
/// server does not take it any more and nobody was asked, or for early data.
async fn log_in_by_token(args: &LoginArgs) -> Result<Attempt, Failure> {
    let tokens = client::tokens()?;
    let tls = client::tls(&args.client)?; // one for all, as its sessions are in there
    let builder = || {
        let agent = UserAgent::default().software("epode");
        let builder = client::builder(&args.jid, &args.client)?;
        let builder = builder.tls(tls.clone()).tokens(tokens.clone()).user_agent(agent);
        Ok::<_, Failure>(builder.danger_early_data(args.danger_early_data))
    };
    let first = builder()?;
    let given = if client::has_token(&tokens, &args.jid)? {
        secrets::beside_token(&args.jid, &args.client)?
    } else {
        secrets::resolve(&args.jid, &args.client)?
    };
    let is_alone = given.source == Source::KeptToken;
    let mut attempted = attempt(args, first, given, None).await?;
    let has_token = || client::has_token(&tokens, &args.jid);
    if is_alone && attempted.result.is_err() && !has_token()? && secrets::can_ask() {
        let jid = args.jid.bare();
        let prompt = format!("The server takes the kept token no more. Password for {jid}: ");
        let password = secrets::ask_for_password(&prompt, LOGIN_FLAGS)?;
        let given = Given::new(Secret::Password(password), Source::Prompt);
        attempted = attempt(args, builder()?, given, None).await?;
    }
    if attempted.result.is_ok() && !has_token()? {
        let warning = "the server gave no token: the next login needs the password again";
        complain("warning", warning);
    } else if attempted.result.is_ok() && args.danger_early_data {
        let given = secrets::beside_token(&args.jid, &args.client)?;
        attempted = attempt(args, builder()?, given, None).await?;
        if attempted.seen.choice.as_ref().is_some_and(|choice| !choice.early_data) {
            let warning = "the second login did not go in early data: the server does not take it, \
                           the connection begins without TLS, or the token is bound to a connection";
            complain("warning", warning);
        }
    }
    Ok(attempted)
}

/// One connection, from the first status to the last.
struct Attempt {
    /// The keys for the next login, if there are any.
    result: Result<Option<ScramKeys>, Error>,
    seen: Seen,
    source: Source,
}

impl Attempt {
    fn is_stale(&self) -> bool {
        let stale = |error: &Error| {
            matches!(error, Error::Connection(proto::Error::Login(sasl::Error::StaleKeys { .. })))
        };
        self.result.as_ref().is_err_and(stale)
    }
}

async fn attempt(
    args: &LoginArgs,
    builder: Builder,
    given: Given,
    session: Option<&Attachment>,
) -> Result<Attempt, Failure> {
    let source = given.source.clone();
    let mut builder = client::entrust(builder, given);
    let reported = Reported::default();
    if args.report || args.report_file.is_some() {
        builder = reported.ask(builder);
    }
    let output = Output::new(args.client.connection.json);
    let (route, reached) = oneshot::channel();
    let statuses = status_lines::show(builder.watch(), output, "", reached);
    let work = async {
        let session = client::connect(builder, session, args.explicit_bind).await?;
        let _ = route.send(session.route()); // nobody prints any more
        let keys = session.scram_keys();
        if let Err(error) = session.disconnect().await {
            complain("warning", &format!("connected, but the connection ended badly: {error}"));
        }
        Ok(keys)
    };
    let (result, seen) = unless_interrupted(async { tokio::join!(work, statuses) }).await?;
    let seen = seen?;
    if let Some(report) = reported.take() {
        let (jid, file) = (args.jid.bare().to_string(), args.report_file.as_deref());
        report_lines::show(&jid, seen.route.as_ref(), &report, file, output)?;
    }
    Ok(Attempt { result, seen, source })
}

fn save(args: &LoginArgs, keys: Option<ScramKeys>, seen: &Seen) -> Result<(), Failure> {
    let Some(path) = &args.save_keys else { return Ok(()) };
    let Some(keys) = keys else {
        let used = seen.choice.as_ref().map_or("the login", |choice| choice.mechanism.as_str());
        let path = path.display();
        complain("warning", &format!("{path} was not written: SCRAM leaves keys, {used} does not"));
        return Ok(());
    };
    let contents = key_file::contents(Some(&args.jid), &keys);
    PrivateFile::new(path)
        .write(contents.as_bytes())
        .map_err(|error| Failure::usage(format!("logged in, but the keys are not saved: {error}")))
}
