//! Logs in, sends one message, logs out.
//!
//! `cargo run -p epode --example send_one_message`, which sends it to itself; or with a server:
//! `EPODE_PASSWORD=… cargo run -p epode --example send_one_message -- \
//!  alice@example.org wss://example.org/xmpp-websocket bob@example.org "Hello!"`

mod place;

use std::error::Error;

use epode::{Element, proto::xml::namespaces::CLIENT};
use place::Place;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = Place::find("EPODE_PASSWORD").await?;
    let mut session = place.client()?.password(&*place.secret).connect().await?;
    if let Some(login) = session.login() {
        println!("connected as {} by {}", login.jid, login.mechanism);
    }

    let to_myself = place.rest.is_empty();
    let to = place.rest.first().cloned().unwrap_or_else(|| session.jid().to_string());
    let text = place.rest.get(1).map_or("Hello!", String::as_str);
    let message = Element::new("message", CLIENT)
        .with_attr("to", to)
        .with_attr("type", "chat")
        .with_child(Element::new("body", CLIENT).with_text(text));
    session.send(message).await?;

    if to_myself && let Some(stanza) = session.receive().await {
        println!("received {stanza}");
    }
    session.disconnect().await?;
    place.leave().await;
    Ok(())
}
