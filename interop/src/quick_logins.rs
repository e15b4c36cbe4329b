//! Logins by SASL2 at a real server: all in one exchange, by a token the next time, and what becomes
//! of tokens that are rotated, expired, wrong or given back.
//!
//! Which domains issue what tokens stands in the servers' configurations.

use std::{error::Error, fmt, path::PathBuf, sync::Arc, time::Duration};

use epode::{
    AccountTokens, Builder, Connected, FastToken, Jid, MemoryTokens, Status, StatusEvents,
    TokenStore,
    sasl::{HashedToken, MechanismName, Policy, Secret, scram::Hash},
};
use epode_interop::{Rig, Server, Transport};
use serde_json::Value;
use tokio::time::sleep;

use crate::scenes::{Played, client};

/// What is done with tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quick {
    /// A first login, one by the token that it left, one by the token that waits for nothing in
    /// between, and one by the password that does not wait for the server's offer.
    Logins,
    /// The same by one mechanism for tokens.
    By(&'static str),
    /// Each login gives the token for the next.
    Rotation,
    /// The token has expired; there is a password.
    Expired,
    /// It is not the server's token; there is a password, and then there is none.
    Wrong,
    /// The token is given back.
    LogOut,
}

impl Quick {
    /// What it comes to.
    pub(crate) fn expected(self, transport: Transport) -> &'static str {
        match self {
            // Over STARTTLS a header and the request come first; a BOSH session is made by a request
            // that has to be answered.
            Self::Logins if transport == Transport::Starttls => "5, 4, 3 and 4 flights",
            Self::Logins if transport.is_bosh() => "3, 2, 2 and 3 flights",
            Self::Logins => "3, 2, 1 and 2 flights",
            Self::By(mechanism) => mechanism,
            Self::Rotation => "three tokens in three logins",
            Self::Expired => "by password on the same stream",
            Self::Wrong => "by password on the same stream, then not-authorized",
            Self::LogOut => "given back, then not-authorized",
        }
    }

    fn jid(self) -> &'static str {
        match self {
            Self::Rotation => "alice@rotating.localhost",
            Self::Expired => "alice@expiring.localhost",
            _ => "alice@sasl2.localhost",
        }
    }
}

impl fmt::Display for Quick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Logins => "SASL2, and logins by token",
            Self::By(mechanism) => return write!(f, "SASL2, and a login by {mechanism}"),
            Self::Rotation => "tokens that are rotated",
            Self::Expired => "a token that has expired",
            Self::Wrong => "a wrong token",
            Self::LogOut => "a token that is given back",
        })
    }
}

/// Plays it.
///
/// # Errors
/// When a login fails that should not.
pub(crate) async fn play(
    rig: &Rig,
    server: &Server,
    transport: Transport,
    quick: Quick,
) -> Result<Played, Box<dyn Error>> {
    let visitor = Visitor::new(rig, server, transport, quick)?;
    match quick {
        Quick::Logins => visitor.four_logins().await,
        Quick::By(mechanism) => visitor.by(mechanism).await,
        Quick::Rotation => visitor.rotation().await,
        Quick::Expired => visitor.expired().await,
        Quick::Wrong => visitor.wrong().await,
        Quick::LogOut => visitor.log_out().await,
    }
}

/// Somebody who logs in again and again, and keeps a token in between.
struct Visitor {
    jid: Jid,
    url: String,
    authority: PathBuf,
    tokens: Arc<MemoryTokens>,
    policy: Arc<Policy>,
}

/// A login, and the statuses on the way.
struct Visit {
    connected: Connected,
    statuses: StatusEvents,
}

impl Visitor {
    fn new(
        rig: &Rig,
        server: &Server,
        transport: Transport,
        quick: Quick,
    ) -> Result<Self, Box<dyn Error>> {
        Ok(Self {
            jid: quick.jid().parse()?,
            url: server.url(transport),
            authority: rig.certificates().authority_file().to_owned(),
            tokens: Arc::default(),
            policy: Arc::default(),
        })
    }

    /// With the password, or without any secret but the token.
    fn client(&self, has_password: bool) -> Result<Builder, Box<dyn Error>> {
        let builder = client(&self.authority, self.jid.as_ref(), &self.url)?
            .tokens(self.tokens.clone())
            .policy(self.policy.clone());
        Ok(if has_password { builder } else { builder.secret(Secret::None) })
    }

    async fn visit(&self, has_password: bool) -> Result<Visit, Box<dyn Error>> {
        let mut builder = self.client(has_password)?;
        let statuses = builder.watch();
        let session = builder.connect().await?;
        let connected = session.login().ok_or("it has just logged in")?;
        session.disconnect().await?;
        Ok(Visit { connected, statuses })
    }

    async fn four_logins(&self) -> Result<Played, Box<dyn Error>> {
        let first = self.visit(true).await?.connected;
        self.forget_the_server()?;
        let token = self.visit(false).await?.connected;
        let at_once = self.visit(false).await?.connected;
        self.tokens.update(&self.jid, &mut AccountTokens::forget)?;
        let known = self.visit(true).await?.connected;
        let [one, two, three, four] = [&first, &token, &at_once, &known].map(|it| it.flights);
        let note = format!(
            "{} by {}, then {} twice, then {}; bound by {:?}",
            first.mechanism, first.profile, at_once.mechanism, known.mechanism, first.bound_by
        );
        Ok(Played::new(format!("{one}, {two}, {three} and {four} flights"), note))
    }

    /// The next login waits for what the server offers.
    fn forget_the_server(&self) -> Result<(), Box<dyn Error>> {
        let mut edited = Ok(());
        self.tokens.update(&self.jid, &mut |kept: &mut AccountTokens| {
            edited = without_server(kept).map(|without| *kept = without);
        })?;
        edited
    }

    /// Where only a login that is not bound may leave the token, that is what is made.
    async fn by(mut self, mechanism: &'static str) -> Result<Played, Box<dyn Error>> {
        let mut allowed: Vec<MechanismName> = vec![mechanism.parse()?, Hash::Sha256.mechanism()];
        if !mechanism.ends_with("-NONE") {
            allowed.push(Hash::Sha256.plus_mechanism());
        }
        self.policy = Arc::new(Policy::default().allow_only(allowed));
        let first = self.visit(true).await?.connected;
        let second = self.visit(false).await?.connected;
        Ok(Played::new(second.mechanism.to_string(), format!("after {}", first.mechanism)))
    }

    async fn rotation(&self) -> Result<Played, Box<dyn Error>> {
        let mut seen = Vec::new();
        for visit in 0..3 {
            self.visit(visit == 0).await?;
            seen.push(self.kept()?.ok_or("no token is kept")?.token().token().to_owned());
            sleep(OLD_ENOUGH).await; // whole seconds count
        }
        seen.dedup();
        let word = if seen.len() == 3 { "three" } else { "fewer" };
        Ok(Played::new(format!("{word} tokens in three logins"), format!("{} of them", seen.len())))
    }

    async fn expired(&self) -> Result<Played, Box<dyn Error>> {
        self.visit(true).await?;
        let token = self.kept()?.ok_or("no token is kept")?;
        sleep(EXPIRED).await;
        // As if our clock were behind: the token would not be tried otherwise.
        let again = HashedToken::new(token.token().mechanism().clone(), token.token().token());
        self.replace(FastToken::new(again, u64::MAX, token.count()))?;
        self.visit_in_vain().await
    }

    /// A login that begins with a token which is refused.
    async fn visit_in_vain(&self) -> Result<Played, Box<dyn Error>> {
        let visit = self.visit(true).await?;
        let (mechanism, note) = (visit.connected.mechanism.clone(), visit.course().await);
        let is_one_stream = note == format!("HT-, {mechanism}");
        let result = if is_one_stream { "by password on the same stream" } else { "otherwise" };
        Ok(Played::new(result, note))
    }

    async fn wrong(&self) -> Result<Played, Box<dyn Error>> {
        self.visit(true).await?;
        self.make_wrong()?;
        let Played { result, note } = self.visit_in_vain().await?;
        self.make_wrong()?;
        Ok(Played::new(format!("{result}, then {}", self.refusal().await?), note))
    }

    async fn log_out(&self) -> Result<Played, Box<dyn Error>> {
        self.visit(true).await?;
        let token = self.kept()?.ok_or("no token is kept")?;
        let given = if self.client(false)?.log_out().await? { "given back" } else { "kept" };
        let is_forgotten = self.kept()?.is_none();
        self.replace(token)?;
        let note = format!("forgotten here: {is_forgotten}");
        Ok(Played::new(format!("{given}, then {}", self.refusal().await?), note))
    }

    /// What a login comes to for which there is nothing but the token.
    async fn refusal(&self) -> Result<String, Box<dyn Error>> {
        Ok(match self.client(false)?.connect().await {
            Ok(_) => "connected".to_owned(),
            Err(error) => error.condition().to_owned(),
        })
    }

    fn make_wrong(&self) -> Result<(), Box<dyn Error>> {
        let token = self.kept()?.ok_or("no token is kept")?;
        let wrong = HashedToken::new(token.token().mechanism().clone(), "not the server's");
        self.replace(FastToken::new(wrong, token.expiry(), token.count()))
    }

    fn kept(&self) -> Result<Option<FastToken>, Box<dyn Error>> {
        let mut found = None;
        self.tokens.update(&self.jid, &mut |kept: &mut AccountTokens| {
            found = kept.take(0);
        })?;
        Ok(found)
    }

    fn replace(&self, token: FastToken) -> Result<(), Box<dyn Error>> {
        self.tokens.update(&self.jid, &mut |kept: &mut AccountTokens| {
            kept.forget();
            kept.keep(token.duplicate());
        })?;
        Ok(())
    }
}

impl Visit {
    /// What was tried, in order, on each connection. Which mechanism for tokens it was does not
    /// matter.
    async fn course(mut self) -> String {
        let mut tried = Vec::new();
        let mut connections = 0;
        while let Some(status) = self.statuses.next().await {
            match status {
                Status::Connecting => connections += 1,
                Status::Authenticating(choice) => {
                    let name = choice.mechanism.to_string();
                    tried.push(if name.starts_with("HT-") { "HT-".to_owned() } else { name });
                }
                _ => {}
            }
        }
        let tried = tried.join(", ");
        if connections == 1 { tried } else { format!("{tried} on {connections} connections") }
    }
}

fn without_server(kept: &AccountTokens) -> Result<AccountTokens, Box<dyn Error>> {
    let mut json: Value = serde_json::from_str(&kept.to_json())?;
    json["server"] = Value::Null;
    Ok(AccountTokens::from_json(&json.to_string())?)
}

/// Longer than a token lasts at `expiring.localhost`.
const EXPIRED: Duration = Duration::from_millis(3200);

/// After so long a token is rotated at `rotating.localhost`.
const OLD_ENOUGH: Duration = Duration::from_millis(2100);
