//! Sends each chat message back to where it came from, until it is stopped.
//!
//! `cargo run -p epode --example echo_bot`, where somebody says one thing to it; or with a server:
//! `EPODE_PASSWORD=… cargo run -p epode --example echo_bot -- \
//!  bot@example.org wss://example.org/xmpp-websocket`

mod place;

use std::error::Error;

use epode::{
    Builder, Element, Jid,
    stanza::{self, Message, MessageType, Presence},
};
use place::Place;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = Place::find("EPODE_PASSWORD").await?;
    let mut session = place.client()?.password(&*place.secret).connect().await?;
    println!("{} echoes", session.jid());
    session.send(Presence::available()).await?;

    let visitor = place.visitor()?;
    let outbox = session.outbox();
    let bot = session.jid().clone();
    let echoing = async move {
        while let Some(stanza) = session.receive().await {
            if let Some(reply) = reply_to(&stanza) {
                outbox.send(reply).await?;
            }
        }
        Ok::<_, epode::Error>(session.ended().await)
    };
    match visitor {
        None => {
            if let Some(reason) = echoing.await? {
                return Err(reason.into());
            }
        }
        Some(visitor) => tokio::select! {
            ended = echoing => println!("ended: {:?}", ended?),
            visited = visit(visitor, &bot) => visited?,
        },
    }
    place.leave().await;
    Ok(())
}

/// The echo of a chat message. Errors are never answered.
fn reply_to(stanza: &Element) -> Option<Message> {
    let is_chat = matches!(MessageType::of(stanza), Some(MessageType::Chat | MessageType::Normal));
    let from = stanza::from(stanza).ok()??;
    let said = stanza::body(stanza, &[]).filter(|_| is_chat)?;
    Some(Message::chat(from).body(said))
}

/// Says something to the bot, and waits for the echo.
async fn visit(client: Builder, bot: &Jid) -> Result<(), Box<dyn Error>> {
    let mut session = client.connect().await?;
    session.send(Message::chat(bot).body("Is anybody there?")).await?;
    let echo = session.receive().await.ok_or("the connection has ended")?;
    println!("{} heard {echo}", session.jid());
    session.disconnect().await?;
    Ok(())
}
