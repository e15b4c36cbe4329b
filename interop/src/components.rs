//! An external component at a real server (XEP-0114): let in, refused, and talking with a user.
//!
//! The port and the secret stand in the servers' configurations.

use std::{error::Error, time::Duration};

use epode::{Client, ComponentBuilder, Element, Session};
use epode_interop::{Rig, Server, Software, Transport};
use tokio::time::timeout;

use crate::{
    scenes::{IN_ORDER, Played, client},
    servers::ALICE,
};

/// What a component does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// It connects, and pings its server.
    LogIn,
    /// It has another secret.
    WrongSecret,
    /// It has a domain that the server does not know.
    WrongDomain,
    /// It sends back what a user says.
    Echo,
}

impl Part {
    pub(crate) const ALL: [Self; 4] =
        [Self::LogIn, Self::WrongSecret, Self::WrongDomain, Self::Echo];

    /// What it comes to.
    pub(crate) fn expected(self, software: Software) -> &'static str {
        match (self, software) {
            (Self::LogIn, _) => "online",
            (Self::WrongDomain, Software::Prosody) => "AUTHFAIL host-unknown",
            // ejabberd does not tell which it is.
            (Self::WrongSecret | Self::WrongDomain, _) => "AUTHFAIL not-authorized",
            (Self::Echo, _) => IN_ORDER,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LogIn => "component",
            Self::WrongSecret => "component with a wrong secret",
            Self::WrongDomain => "component with a wrong domain",
            Self::Echo => "component that echoes 100 messages",
        }
    }
}

/// Plays it.
pub(crate) async fn play(rig: &Rig, server: &Server, part: Part) -> Result<Played, Box<dyn Error>> {
    match part {
        Part::LogIn => log_in(server).await,
        Part::WrongSecret => refused(component(server, DOMAIN, "another")?).await,
        Part::WrongDomain => refused(component(server, "absent.localhost", SECRET)?).await,
        Part::Echo => echo(rig, server).await,
    }
}

fn component(
    server: &Server,
    domain: &str,
    secret: &str,
) -> Result<ComponentBuilder, Box<dyn Error>> {
    let url = format!("tcp://127.0.0.1:{}", server.ports().component);
    Ok(Client::component(domain, secret)?.endpoint(&url)?)
}

async fn log_in(server: &Server) -> Result<Played, Box<dyn Error>> {
    let session = component(server, DOMAIN, SECRET)?.connect().await?;
    let ping = Element::new("iq", CLIENT)
        .with_attr("type", "get")
        .with_attr("to", "localhost")
        .with_child(Element::new("ping", "urn:xmpp:ping"));
    let pong = session.send_iq(ping).await?;
    session.disconnect().await?;
    Ok(Played::new("online", format!("{DOMAIN} was answered by {:?}", pong.attr("from"))))
}

async fn refused(mut builder: ComponentBuilder) -> Result<Played, Box<dyn Error>> {
    let mut statuses = builder.watch();
    let error = match builder.connect().await {
        Ok(session) => return Ok(Played::new("online", session.jid().to_string())),
        Err(error) => error,
    };
    let mut told = "no error";
    while let Some(status) = statuses.next().await {
        if status.error().is_some() && status.code().name() != "DISCONNECTED" {
            told = status.code().name();
        }
    }
    Ok(Played::new(format!("{told} {}", error.condition()), error.to_string()))
}

async fn echo(rig: &Rig, server: &Server) -> Result<Played, Box<dyn Error>> {
    let component = component(server, DOMAIN, SECRET)?.connect().await?;
    let url = server.url(Transport::Starttls);
    let alice = client(rig.certificates().authority_file(), ALICE, &url)?.connect().await?;
    let played = tokio::select! {
        echoed = send_back(component) => Err(echoed.err().unwrap_or_else(|| "it ended".into())),
        heard = converse(alice) => heard,
    }?;
    let in_order = played.iter().copied().eq(0..MESSAGES);
    let result = if in_order { IN_ORDER } else { "not in order" };
    Ok(Played::new(result, format!("{} messages came back", played.len())))
}

/// Each message, from the address that it was sent to.
async fn send_back(mut component: Session) -> Result<(), Box<dyn Error>> {
    while let Some(stanza) = component.receive().await {
        let (Some(from), Some(to)) = (stanza.attr("from"), stanza.attr("to")) else { continue };
        if let Some(body) = stanza.child("body", CLIENT) {
            let echo = Element::new("message", CLIENT).with_attr("from", to).with_attr("to", from);
            component.send(echo.with_child(body.clone())).await?;
        }
    }
    Ok(())
}

/// Says numbers, each to an address of its own, and gives those that come back from there.
async fn converse(mut alice: Session) -> Result<Vec<usize>, Box<dyn Error>> {
    let outbox = alice.outbox();
    let saying = async move {
        for number in 0..MESSAGES {
            let body = Element::new("body", CLIENT).with_text(number.to_string());
            let message = Element::new("message", CLIENT).with_attr("to", address(number));
            outbox.send(message.with_child(body)).await?;
        }
        Ok::<_, epode::Error>(())
    };
    let hearing = async {
        let mut numbers = Vec::new();
        while numbers.len() < MESSAGES {
            let Ok(Some(echo)) = timeout(PATIENCE, alice.receive()).await else { break };
            let body = echo.child("body", CLIENT).map(Element::text);
            let number = body.and_then(|text| text.parse().ok());
            let is_right = |number: &usize| echo.attr("from") == Some(&*address(*number));
            numbers.extend(number.filter(is_right));
        }
        numbers
    };
    let (said, numbers) = tokio::join!(saying, hearing);
    said?;
    alice.disconnect().await?;
    Ok(numbers)
}

fn address(number: usize) -> String {
    format!("user{number}@{DOMAIN}")
}

const DOMAIN: &str = "bridge.localhost";
/// It is no markup: a hash is all that is sent of it.
const SECRET: &str = "pass & word";
const MESSAGES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(20);
const CLIENT: &str = "jabber:client";
