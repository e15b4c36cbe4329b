//! Where the examples log in: at the server that the arguments name, or at one in this process.
//! What they do there is theirs.

#![allow(dead_code, reason = "no example needs all of it")]

use std::{env, error::Error};

use epode::{Builder, Client};
use epode_testpeer::{ListenOptions, Running, Server};

/// An account, where its server is, and what else the arguments say.
pub(crate) struct Place {
    jid: String,
    url: String,
    /// Never an argument: those can be seen by every user of the machine.
    pub(crate) secret: String,
    /// The arguments after address and URL.
    pub(crate) rest: Vec<String>,
    here: Option<Running>,
}

impl Place {
    /// `JID URL …` from the arguments, and the secret from this environment variable. Without
    /// arguments, an account on a server that is started for it.
    pub(crate) async fn find(variable: &str) -> Result<Self, Box<dyn Error>> {
        let mut arguments = env::args().skip(1);
        let (jid, url) = match (arguments.next(), arguments.next()) {
            (None, _) => return Self::here().await,
            (Some(jid), Some(url)) => (jid, url),
            _ => return Err("name address and URL, or nothing at all".into()),
        };
        let secret = env::var(variable).map_err(|_| format!("set {variable} to the secret"))?;
        Ok(Self { jid, url, secret, rest: arguments.collect(), here: None })
    }

    async fn here() -> Result<Self, Box<dyn Error>> {
        let server = Server::builder("localhost")
            .account("alice", SECRET)
            .token("alice", SECRET)
            .account("bob", SECRET);
        let running = server.build().listen(ListenOptions::default()).await?;
        println!("a server of my own: {}", running.ws_url());
        Ok(Self {
            jid: "alice@localhost".to_owned(),
            url: running.ws_url().to_owned(),
            secret: SECRET.to_owned(),
            rest: Vec::new(),
            here: Some(running),
        })
    }

    /// A client of the account, without its secret.
    pub(crate) fn client(&self) -> Result<Builder, Box<dyn Error>> {
        Ok(Client::builder(&self.jid)?.endpoint(&self.url)?)
    }

    /// Another account, if the server is ours.
    pub(crate) fn visitor(&self) -> Result<Option<Builder>, Box<dyn Error>> {
        let Some(running) = &self.here else { return Ok(None) };
        let client = Client::builder("bob@localhost")?.endpoint(running.ws_url())?;
        Ok(Some(client.password(SECRET)))
    }

    /// Ends the server, if it is ours.
    pub(crate) async fn leave(self) {
        if let Some(running) = self.here {
            running.shutdown().await;
        }
    }
}

/// A password, and a token too.
const SECRET: &str = "open-sesame";
