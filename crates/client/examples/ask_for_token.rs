//! Gets an access token when the login needs one, and not before.
//!
//! `cargo run -p epode --example ask_for_token`; or with a server:
//! `EPODE_TOKEN=… cargo run -p epode --example ask_for_token -- \
//!  alice@example.org wss://example.org/xmpp-websocket`

mod place;

use std::error::Error;

use epode::{
    GivenUp,
    sasl::{Secret, SecretKind},
};
use place::Place;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let place = Place::find("EPODE_TOKEN").await?;
    assert!(place.rest.is_empty(), "there is nothing to say after address and URL");
    let token = place.secret.clone();
    let session = place
        .client()?
        .secret(Secret::Ask(SecretKind::Token))
        .ask(move |kind| fetch(kind, token.clone()))
        .connect()
        .await?;
    if let Some(login) = session.login() {
        println!("connected as {} by {}", login.jid, login.mechanism);
    }
    session.disconnect().await?;
    place.leave().await;
    Ok(())
}

/// A request to a token endpoint would stand here. It may take its time: the login waits.
async fn fetch(kind: SecretKind, token: String) -> Result<Secret, GivenUp> {
    println!("the login asks for a {kind}");
    match kind {
        SecretKind::Token => Ok(Secret::token(token)),
        SecretKind::Password => Err(GivenUp::because("there is no password")),
    }
}
