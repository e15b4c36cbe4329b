//! Sends each chat message back to where it came from, until it is stopped.
//!
//! `cargo run -p epode --example echo_bot`, where somebody says one thing to it; or with a server:
//! `EPODE_PASSWORD=… cargo run -p epode --example echo_bot -- \
//!  bot@example.org wss://example.org/xmpp-websocket`

mod place;

use std::error::Error;

use epode::{Builder, Element, Jid, proto::xml::namespaces::CLIENT};
use place::Place;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = Place::find("EPODE_PASSWORD").await?;
    let mut session = place.client()?.password(&*place.secret).connect().await?;
    println!("{} echoes", session.jid());
    session.send(Element::new("presence", CLIENT)).await?; // here I am

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

/// The echo of a chat message; and for a request that nobody here understands, the error that the
/// protocol demands (RFC 6120, section 8.2.3). Errors are never answered.
fn reply_to(stanza: &Element) -> Option<Element> {
    let from = stanza.attr("from")?;
    match (stanza.name(), stanza.attr("type").unwrap_or_default()) {
        ("message", "chat" | "normal" | "") => {
            let body = stanza.child("body", CLIENT)?;
            let echo = Element::new("message", CLIENT).with_attr("to", from);
            Some(echo.with_attr("type", "chat").with_child(body.clone()))
        }
        ("iq", "get" | "set") => {
            let unavailable =
                Element::new("service-unavailable", "urn:ietf:params:xml:ns:xmpp-stanzas");
            let error = Element::new("error", CLIENT).with_attr("type", "cancel");
            let reply = Element::new("iq", CLIENT).with_attr("to", from).with_attr("type", "error");
            let reply = reply.with_attr("id", stanza.attr("id").unwrap_or_default());
            Some(reply.with_child(error.with_child(unavailable)))
        }
        _ => None,
    }
}

/// Says something to the bot, and waits for the echo.
async fn visit(client: Builder, bot: &Jid) -> Result<(), Box<dyn Error>> {
    let mut session = client.connect().await?;
    let body = Element::new("body", CLIENT).with_text("Is anybody there?");
    let message = Element::new("message", CLIENT).with_attr("to", bot.to_string());
    session.send(message.with_attr("type", "chat").with_child(body)).await?;
    let echo = session.receive().await.ok_or("the connection has ended")?;
    println!("{} heard {echo}", session.jid());
    session.disconnect().await?;
    Ok(())
}
