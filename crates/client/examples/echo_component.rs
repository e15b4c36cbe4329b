//! A component that sends each message back to where it came from, from the address it was sent to.
//!
//! `cargo run -p epode --example echo_component`, where somebody says one thing to it; or with a
//! server: `EPODE_SECRET=… cargo run -p epode --example echo_component -- \
//!  echo.example.org tcp://localhost:5347`

use std::{env, error::Error};

use epode::{
    Client, Element, Jid, Session,
    stanza::{self, Message, MessageType},
};
use epode_testpeer::{ListenOptions, Server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    if let (Some(domain), Some(url)) = (arguments.next(), arguments.next()) {
        let secret = env::var("EPODE_SECRET").map_err(|_| "set EPODE_SECRET to the secret")?;
        let component = Client::component(&domain, secret)?.endpoint(&url)?.connect().await?;
        return Ok(echo(component).await?);
    }
    let server = Server::builder("localhost")
        .account("bob", "open-sesame")
        .component("echo.localhost", "a secret");
    let running = server.build().listen(ListenOptions::default()).await?;
    let url = running.component_url().ok_or("the server has a component")?;
    let component = Client::component("echo.localhost", "a secret")?.endpoint(url)?;
    let component = component.connect().await?;
    println!("{} echoes", component.jid());
    tokio::select! {
        echoed = echo(component) => echoed?,
        visited = visit(running.ws_url()) => visited?,
    }
    running.shutdown().await;
    Ok(())
}

/// Answers until the session ends.
async fn echo(mut component: Session) -> Result<(), epode::Error> {
    while let Some(stanza) = component.receive().await {
        if let Some(echo) = echo_of(&stanza) {
            component.send(echo).await?;
        }
    }
    component.ended().await.map_or(Ok(()), |reason| Err(reason.into()))
}

/// The echo of a message. Errors are never answered.
fn echo_of(stanza: &Element) -> Option<Message> {
    let kind = MessageType::of(stanza).filter(|kind| *kind != MessageType::Error)?;
    let (from, to) = (stanza::from(stanza).ok()??, stanza::to(stanza).ok()??);
    Some(Message::new(from).from(to).kind(kind).body(stanza::body(stanza, &[])?))
}

/// Says something to an address of the component, and waits for the echo.
async fn visit(url: &str) -> Result<(), Box<dyn Error>> {
    let visitor = Client::builder("bob@localhost")?.endpoint(url)?.password("open-sesame");
    let mut session = visitor.connect().await?;
    let valley: Jid = "valley@echo.localhost".parse()?;
    session.send(Message::chat(valley).body("Is anybody there?")).await?;
    let echo = session.receive().await.ok_or("the connection has ended")?;
    println!("{} heard {echo}", session.jid());
    session.disconnect().await?;
    Ok(())
}
