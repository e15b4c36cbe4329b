//! What is more than a login: a thousand messages through connections that are cut, and sessions
//! that go from one process to another.
//!
//! Which scenes there are, and what each must come to, stands here; how they are played in
//! `exchange.rs` and `handover.rs`.

use std::{error::Error, fmt, fs, path::Path};

use epode::{Builder, Client};
use epode_interop::{Place, Release, Rig, Software, Transport};

use crate::{
    components::{self, Part},
    cut_streams::{self, Storm},
    exchange,
    figures::Figures,
    handover,
    lost_sessions::{self, Loss, SALVAGED},
    quick_logins::{self, Quick},
    restarts,
    servers::{PASSWORD, Servers},
    stream_target::StreamTarget,
};

/// A scene, and what must come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) server: &'static Release,
    pub(crate) transport: Transport,
    pub(crate) act: Act,
    expected: &'static str,
}

/// What happens in a scene.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Two accounts send each other a thousand messages.
    Exchange,
    /// The same through connections that are cut at these places.
    ExchangeWithCuts(&'static [Place]),
    /// The same over a stream, through connections that are cut at any byte.
    CutStreams(Storm),
    /// The same over a stream, from processes that are killed and started again.
    Kills(Storm),
    /// A session is taken up that the server does not know any more.
    LoseSession(Loss),
    /// One process logs in, another takes over and goes on.
    Prebind,
    /// A process that is online is killed, another goes on with its session.
    Restore,
    /// Somebody takes over a session that is not there.
    WrongSid,
    /// An external component comes to this.
    Component(Part),
    /// Logins by SASL2 and by tokens come to this.
    Quick(Quick),
    /// Somebody takes over a session with request ids that are far away from its own.
    WrongRid,
}

/// What came of a scene.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Played {
    /// In a few words, as in [`Scene`].
    pub(crate) result: String,
    /// Figures, or what went wrong, for people.
    pub(crate) note: String,
}

/// All scenes, server by server.
pub(crate) fn scenes() -> Vec<Scene> {
    Release::ALL.into_iter().flat_map(of).collect()
}

fn of(server: &'static Release) -> Vec<Scene> {
    let scene = |transport, act, expected| Scene { server, transport, act, expected };
    let mut scenes = Vec::new();
    // They take their time, and TLS is no matter of the version: one of each does.
    let is_new = [&Release::PROSODY_13, &Release::EJABBERD_24].contains(&server);
    let transports = [Transport::Bosh, Transport::SecureBosh];
    for &transport in &transports[..if is_new { 2 } else { 1 }] {
        scenes.push(scene(transport, Act::Exchange, IN_ORDER));
        scenes.push(scene(transport, Act::ExchangeWithCuts(places(server)), IN_ORDER));
    }
    for part in Part::ALL {
        let expected = part.expected(server.software);
        scenes.push(scene(Transport::Tcp, Act::Component(part), expected));
    }
    let transport = Transport::Bosh;
    scenes.push(scene(transport, Act::Prebind, "attached and online"));
    scenes.push(scene(transport, Act::Restore, "attached and online"));
    scenes.push(scene(transport, Act::WrongSid, "ATTACHFAIL item-not-found"));
    scenes.push(scene(transport, Act::WrongRid, "ATTACHFAIL item-not-found"));
    for &transport in streams(server.software) {
        let (cut, killed) = (after_cuts(server.software), after_kills(server.software));
        scenes.push(scene(transport, Act::CutStreams(Storm::CUTS), cut));
        scenes.push(scene(transport, Act::Kills(Storm::KILLS), killed));
    }
    if is_new {
        scenes.extend(quick_logins(server));
    }
    for transport in [Transport::Starttls, Transport::Wss] {
        for loss in Loss::ALL {
            scenes.push(scene(transport, Act::LoseSession(loss), SALVAGED));
        }
    }
    scenes
}

/// Logins by SASL2, and by tokens of each kind that both sides have.
fn quick_logins(server: &'static Release) -> Vec<Scene> {
    let mut scenes = Vec::new();
    // Over HTTP ejabberd offers SASL2 to nobody.
    let transports = [Transport::Starttls, Transport::Tls, Transport::Wss, Transport::SecureBosh];
    let count = if server.software == Software::Ejabberd { 2 } else { 4 };
    for &transport in &transports[..count] {
        let kinds = token_mechanisms(server, transport).iter().copied().map(Quick::By);
        let all = [Quick::Logins, Quick::Wrong, Quick::LogOut].into_iter().chain(kinds);
        // These wait; how the server is reached makes no difference to them.
        let slow = [Quick::Rotation, Quick::Expired];
        let is_prosody = server.software == Software::Prosody;
        let slow = slow.into_iter().filter(|_| transport == Transport::Tls && is_prosody);
        scenes.extend(all.chain(slow).map(|quick| Scene {
            server,
            transport,
            act: Act::Quick(quick),
            expected: quick.expected(transport),
        }));
    }
    scenes
}

/// What a server offers for tokens over TLS 1.3, as far as the client has it.
fn token_mechanisms(server: &Release, transport: Transport) -> &'static [&'static str] {
    match (server.software, transport) {
        (_, Transport::SecureBosh) => &["HT-SHA-256-NONE"],
        (Software::Prosody, _) => &["HT-SHA-256-NONE", "HT-SHA-256-EXPR"],
        (Software::Ejabberd, _) => &["HT-SHA-256-NONE", "HT-SHA-256-ENDP", "HT-SHA-256-EXPR"],
    }
}

/// Over what streams are cut at any byte. Over the others a session may get stuck; decision 21 says
/// where, and `cargo xtask soak` shows it.
fn streams(software: Software) -> &'static [Transport] {
    match software {
        Software::Prosody => &[Transport::Starttls, Transport::Wss],
        Software::Ejabberd => &[Transport::Starttls, Transport::Tcp],
    }
}

/// What comes of messages through streams that are cut.
fn after_cuts(software: Software) -> &'static str {
    match software {
        Software::Prosody => IN_ORDER,
        // Two connections may be given the same session, if the first breaks before it has an answer.
        Software::Ejabberd => NONE_LOST,
    }
}

/// What comes of messages from processes that are killed.
fn after_kills(software: Software) -> &'static str {
    match software {
        Software::Prosody => IN_ORDER,
        // Where a session moves to its new connection while stanzas arrive, their places change.
        Software::Ejabberd => EACH_ONCE,
    }
}

/// Where connections to a server are cut: anywhere, but for where requests that overtake each other
/// could part client and server. Two connections do not prevent that, and servers differ there.
fn places(server: &Release) -> &'static [Place] {
    use Place::{BeforeAnswer, BeforeRequest, WhileWaiting, WithinAnswer, WithinRequest};

    match server.software {
        // The connection of a request that came too early must last until it is that one's turn.
        Software::Prosody => &[BeforeRequest, WithinRequest, BeforeAnswer, WithinAnswer],
        // A request must not be lost on its way while a later one is there.
        Software::Ejabberd => &[BeforeAnswer, WithinAnswer, WhileWaiting],
    }
}

impl Scene {
    /// Plays it. Connections are cut as the seed says.
    pub(crate) async fn play(&self, rig: &Rig, servers: &Servers, seed: u64) -> Played {
        let server = &servers.of(self.server).server;
        let url = server.url(self.transport);
        let played = match self.act {
            Act::Exchange => exchange::exchange(rig, server, self.transport, (&[], seed)).await,
            Act::ExchangeWithCuts(places) => {
                exchange::exchange(rig, server, self.transport, (places, seed)).await
            }
            Act::Component(part) => components::play(rig, server, part).await,
            Act::Quick(quick) => quick_logins::play(rig, server, self.transport, quick).await,
            Act::CutStreams(storm) => {
                let target = StreamTarget::of(rig, server, self.transport);
                cut_streams::exchange(&target, storm, seed)
                    .await
                    .map(|it| Played::of(&it, self.expected))
            }
            Act::Kills(storm) => {
                let target = StreamTarget::of(rig, server, self.transport);
                let folder = rig.folder().join(format!("kills-{}-{}", self.server, self.transport));
                restarts::exchange(&target, storm, (seed, &folder))
                    .await
                    .map(|it| Played::of(&it, self.expected))
            }
            Act::LoseSession(loss) => {
                let target = StreamTarget::of(rig, server, self.transport);
                lost_sessions::play(&target, loss, seed).await
            }
            Act::Prebind => handover::prebind(rig, &url).await,
            Act::Restore => handover::restore(rig, self.server, &url).await,
            Act::WrongSid => handover::wrong_sid(rig, &url).await,
            Act::WrongRid => handover::wrong_rid(rig, &url).await,
        };
        played.unwrap_or_else(|error| Played::new("failed", error.to_string()))
    }

    /// Whether it came to what it should; if not, why not.
    pub(crate) fn judge(&self, played: &Played) -> Result<(), String> {
        if played.result == self.expected {
            return Ok(());
        }
        Err(format!("expected {}: {}", self.expected, played.note))
    }
}

impl Played {
    pub(crate) fn new(result: impl Into<String>, note: impl Into<String>) -> Self {
        Self { result: result.into(), note: note.into() }
    }

    fn of(figures: &Figures, expected: &str) -> Self {
        let is_good = match expected {
            NONE_LOST => figures.is_all_there(),
            EACH_ONCE => figures.is_each_once(),
            _ => figures.is_perfect(),
        };
        Self::new(if is_good { expected } else { "imperfect" }, figures.to_string())
    }
}

/// A client of an account, with its password, that trusts the authority in a file.
pub(crate) fn client(authority: &Path, jid: &str, url: &str) -> Result<Builder, Box<dyn Error>> {
    let builder = Client::builder(jid)?.endpoint(url)?.ca_pem(fs::read(authority)?)?;
    Ok(builder.password(PASSWORD))
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exchange => "1000 messages each way",
            Self::ExchangeWithCuts(places) => {
                f.write_str("1000 messages each way, cut")?;
                let spared = Place::ALL.iter().filter(|place| !places.contains(place));
                return spared.enumerate().try_for_each(|(index, place)| {
                    write!(f, "{} {place}", if index == 0 { ", but not" } else { " or" })
                });
            }
            Self::Component(part) => part.name(),
            Self::Quick(quick) => return write!(f, "{quick}"),
            Self::CutStreams(Storm { messages, blows }) => {
                return write!(f, "{messages} messages each way, {blows} cuts");
            }
            Self::Kills(Storm { messages, blows }) => {
                return write!(f, "{messages} messages each way, {blows} kills");
            }
            Self::LoseSession(loss) => loss.name(),
            Self::Prebind => "prebind and attach, 2 processes",
            Self::Restore => "killed and restored, 2 processes",
            Self::WrongSid => "attach with a wrong sid",
            Self::WrongRid => "attach with a wrong rid",
        })
    }
}

/// What [`Act::Exchange`] comes to where nothing is lost.
pub(crate) const IN_ORDER: &str = "all in order, each once";
/// The same of a server that does not keep the order.
const EACH_ONCE: &str = "each once";
/// The same where what was sent in a session may be sent once more.
const NONE_LOST: &str = "none lost";
/// Over what streams sessions are resumed.
pub(crate) const STREAMS: [Transport; 4] =
    [Transport::Starttls, Transport::Tcp, Transport::Ws, Transport::Wss];

#[cfg(test)]
mod tests {
    use epode_interop::{Place, Release, Transport};

    use super::{Act, Part, Played, Scene, scenes};

    #[test]
    fn every_server_is_cut_and_every_session_taken_over() {
        let scenes = scenes();
        for server in Release::ALL {
            let acts: Vec<Act> = scenes
                .iter()
                .filter(|scene| scene.server == server && scene.transport == Transport::Bosh)
                .map(|scene| scene.act)
                .collect();
            assert!(acts.iter().any(|act| matches!(act, Act::ExchangeWithCuts(_))), "{server}");
            for act in [Act::Exchange, Act::Prebind, Act::Restore, Act::WrongSid, Act::WrongRid] {
                assert!(acts.contains(&act), "{server} {act}");
            }
            let is_component = |scene: &&Scene| matches!(scene.act, Act::Component(_));
            let of_server = scenes.iter().filter(|scene| scene.server == server);
            assert_eq!(of_server.filter(is_component).count(), Part::ALL.len(), "{server}");
        }
    }

    #[test]
    fn what_is_spared_is_told() {
        let anywhere = Act::ExchangeWithCuts(&Place::ALL).to_string();
        assert_eq!(anywhere, "1000 messages each way, cut");
        let answers = Act::ExchangeWithCuts(&Place::ALL[2..4]).to_string();
        let words = ", but not before a request or within one or while waiting";
        assert_eq!(answers, format!("{anywhere}{words}"));
    }

    #[test]
    fn only_what_is_expected_passes() {
        let scene = scenes()[0];
        assert_eq!(scene.judge(&Played::new(scene.expected, "")), Ok(()));
        let other = scene.judge(&Played::new("failed", "it broke"));
        assert_eq!(other, Err(format!("expected {}: it broke", scene.expected)));
    }
}
