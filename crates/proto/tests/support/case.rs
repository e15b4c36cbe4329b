//! A conversation as a file: whose login it is, what the server says, and what must come of it.
//!
//! The format is that of `epode_testpeer::script`. In addition `\u{…}` is a character in the whole
//! file, and a header `each: a | b` makes one case of each value, put in place of `%each%`; with
//! `each: a => x | b => y` the value after the arrow takes the place of `%gives%`. `(none)` is
//! the empty value. In `bindings`, the data of a type are `what TYPE gives`.

use std::{fs, path::Path, sync::Arc};

use epode_proto::{
    Fast, FastToken, Jid, SaslProfile, ServerMemory, SessionState, Settings, TaskAnswer, UserAgent,
    sasl::{
        Binding, Channel, MechanismName, Pin, Policy, Registry, Secret, TlsVersion,
        scram::{Hash, Scram, ScramKeys},
    },
};
use epode_testpeer::script::{Framing, Player, Script};

use super::custom::custom;

/// One conversation to be had.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    /// The file's name, and which of its values.
    pub(crate) name: String,
    script: Script,
}

impl Case {
    /// Every case of every file.
    pub(crate) fn all() -> Vec<Self> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
        let entries = fs::read_dir(&folder).expect("the folder with the transcripts is there");
        let mut paths: Vec<_> =
            entries.map(|entry| entry.expect("it is readable").path()).collect();
        paths.sort();
        let cases: Vec<_> = paths.iter().flat_map(|path| Self::read(path)).collect();
        assert!(!cases.is_empty(), "no transcript in {}", folder.display());
        cases
    }

    /// Those in which everybody keeps to the protocol.
    pub(crate) fn logins() -> Vec<Self> {
        Self::beginning_with("login-", 20)
    }

    /// The same over TCP.
    pub(crate) fn stream_logins() -> Vec<Self> {
        Self::beginning_with("tcp-login-", 5)
    }

    fn beginning_with(prefix: &str, more_than: usize) -> Vec<Self> {
        let all = Self::all().into_iter();
        let found: Vec<_> = all.filter(|case| case.name.starts_with(prefix)).collect();
        assert!(found.len() > more_than, "only {} are called {prefix}", found.len());
        found
    }

    /// The one of this name.
    pub(crate) fn named(name: &str) -> Self {
        let found = Self::all().into_iter().find(|case| case.name == name);
        found.unwrap_or_else(|| panic!("no transcript {name}.xml"))
    }

    fn read(path: &Path) -> Vec<Self> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_xml = path.extension().is_some_and(|extension| extension == "xml");
        assert!(is_xml, "{} is no transcript: name it *.xml", path.display());
        let text = fs::read_to_string(path).expect("a transcript is UTF-8");
        Self::parse(&name, &text).unwrap_or_else(|error| panic!("{name}.xml: {error}"))
    }

    /// The cases of one file, or what is wrong with it.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Vec<Self>, String> {
        let text = unescape(text)?;
        let script = Script::parse(&text).map_err(|error| error.to_string())?;
        if let Some((key, _)) = script.headers().find(|(key, _)| !HEADERS.contains(key)) {
            return Err(format!("unknown header `{key}`"));
        }
        let Some(values) = script.header("each") else {
            return Ok(vec![Self { name: name.to_owned(), script }]);
        };
        let one = |value: &str| {
            let (value, gives) = value.split_once(" => ").unwrap_or((value, ""));
            let plain = |text: &str| text.trim().replace("(none)", "");
            let text = text.replace("%each%", &plain(value)).replace("%gives%", &plain(gives));
            let script = Script::parse(&text).map_err(|error| format!("{value}: {error}"))?;
            Ok(Self { name: format!("{name} [{}]", value.trim()), script })
        };
        values.split(" | ").map(one).collect()
    }

    /// A header's value; `{fill:N}` in it is `x`, N times, and `(none)` is nothing.
    pub(crate) fn header(&self, key: &str) -> Option<String> {
        assert!(HEADERS.contains(&key), "no header is called {key}");
        let mut value = self.script.header(key)?.replace("(none)", "");
        while let Some((before, rest)) = value.split_once("{fill:") {
            let (count, after) = rest.split_once('}').expect("a fill is closed");
            let filling = "x".repeat(count.parse().expect("a fill has a count"));
            value = format!("{before}{filling}{after}");
        }
        Some(value)
    }

    pub(crate) fn demand(&self, key: &str) -> String {
        self.header(key).unwrap_or_else(|| panic!("{}: the header `{key}` is missing", self.name))
    }

    pub(crate) fn says_yes(&self, key: &str) -> bool {
        self.header(key).is_some_and(|value| {
            assert_eq!(value, "yes", "{}: `{key}` is either `yes` or left out", self.name);
            true
        })
    }

    /// The server's half of it.
    pub(crate) fn player(&self) -> Player {
        self.script.player()
    }

    pub(crate) fn settings(&self) -> Settings {
        self.settings_with_nonce(self.header("nonce").as_deref())
    }

    /// The same with a nonce that is known beforehand, so that each run is like the other.
    pub(crate) fn settings_with_nonce(&self, nonce: Option<&str>) -> Settings {
        let settings = match self.header("component-secret") {
            Some(secret) => Settings::component(self.jid(), secret),
            None => Settings::new(self.jid(), self.secret()),
        };
        let mut settings = settings
            .policy(Arc::new(self.policy()))
            .registry(Arc::new(self.registry(nonce)))
            .explicit_binding(self.says_yes("explicit-bind"));
        if let Some(json) = self.header("pin") {
            settings = settings.pin(Pin::from_json(&json).expect("the pin is right"));
        }
        if let Some(json) = self.header("session") {
            settings =
                settings.session(SessionState::from_json(&json).expect("the session is right"));
        }
        if self.says_yes("danger-unencrypted") {
            settings = settings.danger_allow_unencrypted_stream();
        }
        if let Some(authcid) = self.header("authcid") {
            settings = settings.authcid(authcid);
        }
        settings = settings.carbons(self.says_yes("carbons"));
        if let Some(profile) = self.header("profile") {
            settings = settings.sasl_profile(match profile.as_str() {
                "sasl1" => SaslProfile::Sasl1,
                "sasl2" => SaslProfile::Sasl2,
                other => panic!("{}: no profile is called {other}", self.name),
            });
        }
        if let Some(fast) = self.fast() {
            settings = settings.fast(fast);
        }
        if let Some(json) = self.header("memory") {
            settings = settings.memory(ServerMemory::from_json(&json).expect("it is right"));
        }
        if self.header("task-answers").is_some() {
            settings = settings.answers_tasks();
        }
        settings = settings.upgrades(self.says_yes("upgrades"));
        if let Some(unix) = self.header("unix") {
            settings = settings.unix_zero(unix.parse().expect("a number of seconds"));
        }
        if let Some(tag) = self.header("tag") {
            settings = settings.bind_tag(tag);
        }
        if let Some(id) = self.header("agent") {
            let agent = UserAgent::default().id(id.parse().expect("a UUID")).software("Epode");
            settings = settings.user_agent(agent);
        }
        if self.says_yes("explain") {
            settings = settings.explain_only();
        }
        if self.says_yes("someone-to-ask") { settings.someone_to_ask() } else { settings }
    }

    /// Tokens are wanted; one may be there.
    pub(crate) fn fast(&self) -> Option<Fast> {
        let fast = match self.header("fast")?.as_str() {
            "yes" => Fast::wanted(),
            json => Fast::wanted().token(FastToken::from_json(json).expect("the token is right")),
        };
        Some(if self.says_yes("invalidate") { fast.invalidate() } else { fast })
    }

    /// The application's answers to what tasks ask, in their order: a task's name and what is in
    /// `<next/>`, or what is in `<task-data/>`, or why not.
    pub(crate) fn task_answer(&self, number: usize) -> TaskAnswer {
        let answers = self.demand("task-answers");
        let answer = answers.split(" || ").nth(number).expect("an answer for each question").trim();
        let (name, xml) = answer.find('<').map_or((answer, ""), |at| answer.split_at(at));
        let content = (!xml.is_empty()).then(|| xml.parse().expect("it is XML"));
        let content: Vec<_> = content.into_iter().collect();
        match name.trim() {
            "" => TaskAnswer::Data(content),
            name => match name.strip_prefix('!') {
                Some(why) => TaskAnswer::Refuse(why.to_owned()),
                None => TaskAnswer::Begin { task: name.to_owned(), content },
            },
        }
    }

    pub(crate) fn jid(&self) -> Jid {
        self.demand("jid").parse().unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    fn secret(&self) -> Secret {
        if let Some(kind) = self.header("ask") {
            return Secret::Ask(match kind.as_str() {
                "password" => epode_proto::sasl::SecretKind::Password,
                "token" => epode_proto::sasl::SecretKind::Token,
                other => panic!("{}: `ask: {other}` is neither password nor token", self.name),
            });
        }
        if let Some(json) = self.header("keys") {
            return Secret::Keys(ScramKeys::from_json(&json).expect("the keys are right"));
        }
        if let Some(token) = self.header("token") {
            return Secret::token(token);
        }
        self.header("password").map_or(Secret::None, Secret::password)
    }

    fn policy(&self) -> Policy {
        let names = |key| -> Option<Vec<MechanismName>> {
            let list = self.header(key)?;
            Some(list.split(", ").map(|name| name.parse().expect("a mechanism's name")).collect())
        };
        let mut policy = Policy::default();
        if let Some(allowed) = names("mechanisms") {
            policy = policy.allow_only(allowed);
        }
        for denied in names("without").unwrap_or_default() {
            policy = policy.deny(denied);
        }
        if self.says_yes("require-binding") {
            policy = policy.require_channel_binding();
        }
        if self.says_yes("danger-allow-plaintext") {
            policy.danger_allow_plaintext()
        } else {
            policy
        }
    }

    fn registry(&self, nonce: Option<&str>) -> Registry {
        let mut registry = Registry::default();
        for hash in nonce.map_or(&[][..], |_| &Hash::ALL) {
            for scram in [Scram::new(*hash), Scram::plus(*hash)] {
                let scram = scram.danger_with_fixed_nonce(nonce.unwrap_or_default());
                registry = registry.with(Arc::new(scram));
            }
        }
        match self.header("custom") {
            Some(order) => registry.with(Arc::new(custom(&order))),
            None => registry,
        }
    }

    /// Whether it is a conversation of RFC 6120.
    pub(crate) fn is_tcp(&self) -> bool {
        self.script.framing() == Framing::Tcp
    }

    /// What the transport vouches for when it is opened.
    pub(crate) fn channel(&self) -> Channel {
        match self.demand("channel").as_str() {
            "encrypted" => self.encrypted(),
            "loopback" => Channel::loopback(),
            "plaintext" => Channel::plaintext(),
            "certificate" => self.encrypted().with_client_certificate(),
            other => panic!("{}: no channel is called {other}", self.name),
        }
    }

    /// What it vouches for once it is encrypted.
    pub(crate) fn encrypted(&self) -> Channel {
        let mut channel = Channel::encrypted();
        if let Some(version) = self.header("tls") {
            channel = channel.with_tls_version(match version.as_str() {
                "1.2" => TlsVersion::Tls12,
                "1.3" => TlsVersion::Tls13,
                other => panic!("{}: `tls: {other}` is neither 1.2 nor 1.3", self.name),
            });
        }
        for kind in self.header("bindings").iter().flat_map(|list| list.split(", ")) {
            let data = format!("what {kind} gives");
            channel = channel.with_binding(Binding::new(kind.parse().expect("a type"), data));
        }
        match self.header("certificate") {
            Some(addresses) if addresses.is_empty() => channel.with_client_certificate(),
            Some(addresses) => channel.with_client_certificate_of(addresses.split(", ")),
            None => channel,
        }
    }
}

/// Every header that a transcript may have; in the second half what must come of it.
#[rustfmt::skip]
const HEADERS: [&str; 57] = [
    "component-secret", "framing", "bindings", "tls", "certificate", "pin", "danger-unencrypted", "require-binding",
    "title", "each", "jid", "authcid", "password", "token", "keys", "ask", "someone-to-ask",
    "refuse", "custom", "respond", "channel", "mechanisms", "without", "danger-allow-plaintext",
    "nonce", "session", "explicit-bind", "send-before-bind", "explain",
    "statuses", "mechanism", "bound", "flights", "questions", "delivered", "error", "says",
    "condition", "advice", "explained", "by", "refused", "pinned",
    "profile", "tag", "agent", "carbons", "used", "bound-by",
    "fast", "invalidate", "unix", "token-kept", "token-forgotten", "memory",
    "task-answers", "upgrades",
];

/// Replaces `\u{…}`.
fn unescape(text: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(r"\u{") {
        let (code, after) = after.split_once('}').ok_or(r"an unclosed \u{")?;
        let code = u32::from_str_radix(code, 16).map_err(|error| error.to_string())?;
        plain.push_str(before);
        plain.push(char::from_u32(code).ok_or("no character")?);
        rest = after;
    }
    Ok(plain + rest)
}
