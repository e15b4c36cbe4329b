//! `send`: log in, or take over a session, send one message, see that the server took it, end.

use std::{
    io::{self, Read},
    path::Path,
    time::Duration,
};

use epode::{
    Element, Error, Session,
    proto::{
        stream::StanzaError,
        xml::namespaces::{CLIENT, PING},
    },
    stanza,
};
use serde::Serialize;
use tokio::time::timeout;

use crate::{
    args::SendArgs,
    client,
    exit::{Exit, Failure},
    interrupt::unless_interrupted,
    output::Output,
    secrets::{self, Given},
    session_file::STDIN,
    status_lines,
};

pub(crate) async fn run(args: &SendArgs) -> Result<Exit, Failure> {
    let (builder, session) = match &args.session.attach {
        Some(path) if path == Path::new(STDIN) && args.text == STDIN => {
            return Err(Failure::usage("text and session cannot both be the standard input"));
        }
        Some(path) => {
            let (builder, session) = client::heir(&args.account, &args.client, path)?;
            (builder, Some(session))
        }
        None => (client::builder(&args.account, &args.client)?, None),
    };
    let id = random_id()?;
    let message = message(args, &id)?;
    let given = match session {
        Some(_) => Given::none_needed(),
        None => secrets::resolve(&args.account, &args.client)?,
    };
    let source = given.source.clone();
    let mut builder = client::entrust(builder, given);
    let statuses = status_lines::watch(builder.watch());
    let limit = Duration::from_secs(args.client.connection.server.timeout);
    let sending = async {
        let mut session = client::connect(builder, session.as_ref(), false).await?;
        let from = session.jid().to_string();
        let delivery = timeout(limit, deliver(&mut session, message, &id)).await;
        let ended = session.disconnect().await;
        Ok::<_, Error>((from, delivery.unwrap_or(Delivery::Unconfirmed), ended))
    };
    let (sent, seen) = unless_interrupted(async { tokio::join!(sending, statuses) }).await?;
    let (from, delivery, ended) =
        sent.map_err(|error| client::failure(&error, &seen, &source, &args.client))?;
    delivery.check(ended)?;
    let output = Output::new(args.client.connection.json);
    output.line(&format!("sent to {}", args.jid))?;
    output.object(&Sent { sent: true, to: args.jid.to_string(), from, id })?;
    Ok(Exit::Connected)
}

/// What became of the message.
enum Delivery {
    Taken,
    Refused(String),
    Unconfirmed,
    /// The connection ended before the server's answer.
    Lost(Error),
}

impl Delivery {
    fn check(self, ended: Result<(), Error>) -> Result<(), Failure> {
        let unsure = "the message may have arrived all the same";
        match self {
            Self::Taken => Ok(()),
            Self::Refused(why) => Err(Failure::usage(format!("the message was refused: {why}"))),
            Self::Unconfirmed => {
                Err(Failure::new(Exit::TimedOut, "the server did not confirm the message")
                    .hint(unsure))
            }
            Self::Lost(error) => {
                // What ended the connection says more than that it ended.
                let why = ended.err().unwrap_or(error);
                Err(Failure::new(Exit::Connection, why.to_string()).hint(unsure))
            }
        }
    }
}

/// Sends the message, and a ping behind it: a server takes them in order, so its answer to the
/// second tells that it has the first (RFC 6120, section 10.1).
async fn deliver(session: &mut Session, message: Element, id: &str) -> Delivery {
    let ping_id = format!("{id}-ping");
    let ping = stanza!(<iq type="get" id={ping_id}><ping xmlns={PING}/></iq>);
    for stanza in [message, ping] {
        if let Err(error) = session.send(stanza).await {
            return Delivery::Lost(error);
        }
    }
    while let Some(stanza) = session.receive().await {
        let is_ours = stanza.is("message", CLIENT) && stanza.attr("id") == Some(id);
        if is_ours && let Some(error) = StanzaError::parse(&stanza) {
            return Delivery::Refused(error.condition.to_string());
        }
        if stanza.is("iq", CLIENT) && stanza.attr("id") == Some(&*ping_id) {
            return Delivery::Taken; // an error too: not every server knows pings, but all answer
        }
    }
    Delivery::Lost(Error::Ended)
}

fn message(args: &SendArgs, id: &str) -> Result<Element, Failure> {
    let text = if args.text == STDIN { read_text()? } else { args.text.clone() };
    if text.is_empty() {
        return Err(Failure::usage("there is no text to send"));
    }
    let message = Element::new("message", CLIENT)
        .with_attr("to", args.jid.to_string())
        .with_attr("type", "chat")
        .with_attr("id", id)
        .with_child(Element::new("body", CLIENT).with_text(text));
    match message.check() {
        Ok(()) => Ok(message),
        Err(error) => Err(Failure::usage(format!("the text cannot be sent: {error}"))),
    }
}

/// The standard input, without the newline at its end.
fn read_text() -> Result<String, Failure> {
    let mut text = String::new();
    let mut stdin = io::stdin().lock().take(LONGEST as u64 + 1);
    stdin
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("cannot read the text: {error}")))?;
    if text.len() > LONGEST {
        return Err(Failure::usage(format!("the text is longer than {LONGEST} bytes")));
    }
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

/// Servers take stanzas of 256 KiB or so.
const LONGEST: usize = 128 * 1024;

fn random_id() -> Result<String, Failure> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::internal(format!("no random bytes can be had: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[derive(Serialize)]
struct Sent {
    sent: bool,
    to: String,
    from: String,
    id: String,
}
