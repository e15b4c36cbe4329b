//! Runs every vector in `vectors/` through the public API. What a row may hold is the types below;
//! a file that is not listed, has no rows, or has a row of another shape fails.

mod support;

use std::{collections::BTreeMap, fs, num::NonZeroU32, path::PathBuf};

use epode_sasl::{
    Answer, Authenticated, Binding, BindingType, Channel, Credentials, Error, Exchange,
    HashedToken, MechanismName, NoMechanism, Offer, PeerFault, Pending, Policy, PreparationError,
    Question, Registry, Rejection, Secret, SecretKind, Selection, ServerProof, Turn,
    scram::{Derivation, Hash, Progress, ScramKeys},
};
use serde::Deserialize;
use serde_json::Value;

use crate::support::{best_channel, registry_with_nonce, servers_move};

/// Every file, and how many rows it has: a row that gets lost is noticed.
const FILES: [(&str, usize); 14] = [
    ("anonymous.json", 7),
    ("derivation.json", 27),
    ("external.json", 14),
    ("gs2-flags.json", 30),
    ("ht.json", 10),
    ("ht2.json", 6),
    ("oauthbearer.json", 21),
    ("plain.json", 17),
    ("rfc5802.json", 6),
    ("rfc7677.json", 6),
    ("saslprep.json", 49),
    ("scram-plus.json", 24),
    ("scram.json", 44),
    ("xoauth2.json", 11),
];

#[test]
fn every_vector_holds() {
    let mut found = Vec::new();
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let file: File = serde_json::from_str(&text).unwrap_or_else(|no| panic!("{name}: {no}"));
        let rows = match file {
            File::Exchanges { rows, .. } => run(&name, &rows, |row| &row.name, play),
            File::Preparations { rows, .. } => run(&name, &rows, |row| &row.name, prepare),
            File::Derivations { rows, .. } => run(&name, &rows, |row| &row.name, derive),
            File::Flags { rows, .. } => run(&name, &rows, |row| &row.name, choose),
        };
        found.push((name, rows));
    }
    found.sort();
    let found: Vec<_> = found.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
    assert_eq!(found, FILES);
}

#[test]
fn rows_of_another_shape_are_noticed() {
    for (shape, complaint) in [
        (r#"{"kind":"songs","source":"","rows":[]}"#, "unknown variant `songs`"),
        (r#"{"kind":"exchanges","source":""}"#, "missing field `rows`"),
        (r#"{"kind":"exchanges","source":"","rows":[{"name":"x"}]}"#, "missing field `mechanism`"),
        (
            r#"{"kind":"preparations","source":"","rows":[{"name":"x","input":"x","outptu":"x"}]}"#,
            "unknown field `outptu`",
        ),
        (
            r#"{"kind":"exchanges","source":"","rows":[{"name":"x","mechanism":"PLAIN","who":{},"steps":[{"sing":"x"}]}]}"#,
            "unknown variant `sing`",
        ),
    ] {
        let error = serde_json::from_str::<File>(shape).err().expect(shape);
        assert!(error.to_string().contains(complaint), "{error}");
    }
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum File {
    /// Whole logins.
    Exchanges {
        #[serde(rename = "source")]
        _source: String,
        rows: Vec<Login>,
    },
    /// What SASLprep makes of a text.
    Preparations {
        #[serde(rename = "source")]
        _source: String,
        rows: Vec<Preparation>,
    },
    /// What PBKDF2 makes of a password.
    Derivations {
        #[serde(rename = "source")]
        _source: String,
        rows: Vec<Derived>,
    },
    /// Whether a login is bound to the channel, and what it says of that.
    Flags {
        #[serde(rename = "source")]
        _source: String,
        rows: Vec<Flags>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    name: String,
    mechanism: String,
    who: Who,
    nonce: Option<String>,
    channel: Option<String>,
    /// The addresses that the client certificate names.
    certificate: Option<Vec<String>>,
    /// What the channel has, and the server lists, and nothing else.
    binding: Option<RowBinding>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowBinding {
    kind: String,
    data: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Who {
    authcid: Option<String>,
    authzid: Option<String>,
    account: Option<String>,
    password: Option<String>,
    token: Option<String>,
    /// Issued for the row's mechanism.
    hashed_token: Option<String>,
    keys: Option<Value>,
    ask: Option<String>,
    someone_to_ask: bool,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// We send this; `null`: nothing.
    Client(Option<String>),
    /// We send this, in hexadecimal.
    ClientBytes(String),
    /// The server sends this challenge.
    Server(String),
    /// We want keys derived, with this count, and get them.
    Derive(u32),
    /// We want a secret of this kind.
    Ask(String),
    /// We are given it.
    Answer(String),
    /// We are not, for this reason.
    Refuse(String),
    /// The server claims success, with these data.
    Success(Option<String>),
    /// The same, in hexadecimal.
    SuccessBytes(String),
    /// The server refuses, with this condition.
    Failure(String),
    /// The login ends with this error.
    Error(String),
    /// The login succeeded, with this proof.
    Proof(String),
    /// It was bound to the channel by this.
    Bound(String),
    /// The login leaves these keys; `null`: none.
    Keys(Option<Value>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preparation {
    name: String,
    input: String,
    output: Option<String>,
    error: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Derived {
    name: String,
    hash: String,
    password: String,
    salt: String,
    iterations: u32,
    salted_password: String,
    client_key: String,
    server_key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flags {
    name: String,
    /// The types of channel binding that the connection has.
    has: Vec<String>,
    /// It began with HTTP.
    #[serde(default)]
    over_http: bool,
    /// The mechanisms that the server offers.
    offers: Vec<String>,
    /// The types that it lists; `null`: it knows nothing of XEP-0440.
    lists: Option<Vec<String>>,
    /// `require`, or `deny` and a mechanism.
    policy: Option<String>,
    /// What is chosen; nothing: the login is refused.
    mechanism: Option<String>,
    /// The flag of its GS2 header.
    flag: Option<String>,
    /// Why others are not: exactly.
    #[serde(default)]
    skips: BTreeMap<String, String>,
    /// The fault of a server that then does not sign its lists (XEP-0474).
    without_h: Option<String>,
}

/// Where a login stands between two steps of its row.
#[derive(Debug)]
enum State {
    Turned(Turn),
    Waiting(Exchange),
    Asked(Pending, SecretKind),
    Succeeded(Authenticated),
    Failed(Error),
    /// Nothing can follow.
    Checked,
}

/// Plays one login. A row must end with what came of it: an error, or keys or their lack.
fn play(row: &Login) {
    let mut state = match begin(row) {
        Ok(turn) => State::Turned(turn),
        Err(error) => State::Failed(error),
    };
    for step in &row.steps {
        state = advance(state, step);
    }
    assert!(matches!(state, State::Checked), "the row ends too soon, at {state:?}");
}

fn begin(row: &Login) -> Result<Turn, Error> {
    let name: MechanismName = row.mechanism.parse().unwrap();
    let nonce = row.nonce.as_deref().unwrap_or("a row of SCRAM brings its own");
    let channel = match row.channel.as_deref() {
        None => Channel::encrypted(),
        Some("plaintext") => Channel::plaintext(),
        Some("loopback") => Channel::loopback(),
        Some("certificate") => best_channel(),
        Some(other) => panic!("unknown channel {other}"),
    };
    let who = credentials(&row.who, &name);
    let registry = match who.secret() {
        Secret::HashedToken(_) => Registry::hashed_tokens().with_ht2(),
        _ => registry_with_nonce(nonce),
    };
    let (mut channel, mut offer) = (channel, Offer::from(&[name]));
    if let Some(addresses) = &row.certificate {
        channel = channel.with_client_certificate_of(addresses);
    }
    if let Some(RowBinding { kind, data }) = &row.binding {
        channel = channel.with_binding(Binding::new(kind.parse().unwrap(), bytes(data)));
        offer = offer.with_channel_bindings([kind]);
    }
    let selection = Policy::default().select(&registry, &who, &channel, offer).unwrap();
    Exchange::begin(selection, who, channel)
}

/// Chooses, and if there is a choice looks at the flag of its first message, and at what comes of
/// a server that does not sign its lists, or does.
fn choose(row: &Flags) {
    let (choice, who, channel, offer) = choice(row);
    let (chosen, passed_over) = match &choice {
        Ok(selection) => (Some(selection.mechanism().to_string()), selection.passed_over()),
        Err(none) => (None, none.passed_over.as_slice()),
    };
    assert_eq!(chosen, row.mechanism);
    for (mechanism, reason) in &row.skips {
        let passed = passed_over.iter().find(|it| it.mechanism.as_str() == mechanism).unwrap();
        assert_eq!(&format!("{:?}", passed.reason), reason, "{mechanism}");
    }
    let Ok(selection) = choice else { return };
    let Some(flag) = row.flag.as_deref() else { return assert!(selection.binding().is_none()) };
    assert_eq!(selection.binding().map(BindingType::name), flag.strip_prefix("p="));
    let mechanism = selection.mechanism().clone();
    let (login, sent) = servers_move(Exchange::begin(selection, who, channel).unwrap());
    let sent = String::from_utf8(sent.unwrap().as_bytes().to_vec()).unwrap();
    assert_eq!(sent, format!("{flag},,n=user,r={NONCE}"));
    let h = offer.downgrade_hash(Hash::Sha256);
    let (login_without, _) = servers_move(choice_again(row));
    let found = login_without.challenge(SERVER_FIRST.as_bytes()).err();
    let expected = row.without_h.as_deref().map(|fault| {
        assert_eq!(fault, "BindingsRemoved");
        Error::PeerMisbehaved { mechanism, fault: PeerFault::BindingsRemoved }
    });
    assert_eq!(found, expected);
    login.challenge(format!("{SERVER_FIRST},h={h}").as_bytes()).unwrap();
}

fn choice(row: &Flags) -> (Result<Selection, NoMechanism>, Credentials, Channel, Offer) {
    let channel = row.has.iter().fold(Channel::encrypted(), |channel, kind| {
        channel.with_binding(Binding::new(kind.parse().unwrap(), "data"))
    });
    let channel = if row.over_http { channel.over_http() } else { channel };
    let mut offer = Offer::new(&row.offers);
    if let Some(types) = &row.lists {
        offer = offer.with_channel_bindings(types);
    }
    let policy = match row.policy.as_deref() {
        None => Policy::default(),
        Some("require") => Policy::default().require_channel_binding(),
        Some(deny) => Policy::default().deny(deny.strip_prefix("deny ").unwrap().parse().unwrap()),
    };
    let who = Credentials::password("user", "pencil");
    let choice = policy.select(&registry_with_nonce(NONCE), &who, &channel, offer.clone());
    (choice, who, channel, offer)
}

fn choice_again(row: &Flags) -> Turn {
    let (choice, who, channel, _) = choice(row);
    Exchange::begin(choice.unwrap(), who, channel).unwrap()
}

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str = "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

fn credentials(who: &Who, mechanism: &MechanismName) -> Credentials {
    let keys = who.keys.as_ref().map(|keys| ScramKeys::from_json(&keys.to_string()).unwrap());
    let issued = who.hashed_token.as_ref().map(|it| HashedToken::new(mechanism.clone(), it));
    let secrets = [
        who.password.as_ref().map(Secret::password),
        who.token.as_ref().map(Secret::token),
        issued.map(Secret::HashedToken),
        keys.map(Secret::Keys),
        who.ask.as_ref().map(|kind| Secret::Ask(secret_kind(kind))),
    ];
    let mut given = secrets.into_iter().flatten();
    let secret = given.next().unwrap_or(Secret::None);
    assert!(given.next().is_none(), "more than one secret");
    let mut credentials = match &who.authcid {
        Some(authcid) => Credentials::new(authcid, secret),
        None => Credentials::guest(secret),
    };
    if let Some(authzid) = &who.authzid {
        credentials = credentials.with_authzid(authzid);
    }
    if let Some(account) = &who.account {
        credentials = credentials.with_account(account);
    }
    if who.someone_to_ask { credentials.with_someone_to_ask() } else { credentials }
}

fn secret_kind(kind: &str) -> SecretKind {
    match kind {
        "password" => SecretKind::Password,
        "token" => SecretKind::Token,
        other => panic!("unknown kind of secret {other}"),
    }
}

fn advance(state: State, step: &Step) -> State {
    let turned = |result: Result<_, _>| result.map_or_else(State::Failed, State::Turned);
    let succeeded = |result: Result<_, _>| result.map_or_else(State::Failed, State::Succeeded);
    match (state, step) {
        (State::Turned(Turn::Server(login, sent)), Step::Client(expected)) => {
            let sent = sent.map(|sent| String::from_utf8(sent.as_bytes().to_vec()).unwrap());
            assert_eq!(&sent, expected);
            State::Waiting(login)
        }
        (State::Turned(Turn::Server(login, sent)), Step::ClientBytes(expected)) => {
            assert_eq!(sent.unwrap().as_bytes(), bytes(expected));
            State::Waiting(login)
        }
        (
            State::Turned(Turn::Question(login, Question::Derive(derivation))),
            Step::Derive(count),
        ) => {
            assert_eq!(derivation.iterations().get(), *count);
            turned(login.answer(Answer::Keys(derivation.run())))
        }
        (State::Turned(Turn::Question(login, Question::Secret(kind))), Step::Ask(expected)) => {
            assert_eq!(kind, secret_kind(expected));
            State::Asked(login, kind)
        }
        (State::Asked(login, SecretKind::Password), Step::Answer(password)) => {
            turned(login.answer(Answer::Secret(Secret::password(password))))
        }
        (State::Asked(login, SecretKind::Token), Step::Answer(token)) => {
            turned(login.answer(Answer::Secret(Secret::token(token))))
        }
        (State::Asked(login, _), Step::Refuse(why)) => {
            turned(login.answer(Answer::Refuse(why.clone())))
        }
        (State::Waiting(login), Step::Server(challenge)) => {
            turned(login.challenge(challenge.as_bytes()))
        }
        (State::Waiting(login), Step::Failure(condition)) => {
            State::Failed(login.failure(Rejection::new(condition)).unwrap_err())
        }
        (State::Waiting(login), Step::Success(last)) => {
            succeeded(login.success(last.as_ref().map(String::as_bytes)))
        }
        (State::Waiting(login), Step::SuccessBytes(last)) => {
            succeeded(login.success(Some(&bytes(last))))
        }
        (State::Failed(error), Step::Error(expected)) => {
            assert_eq!(&format!("{error:?}"), expected);
            State::Checked
        }
        (State::Succeeded(authenticated), Step::Proof(expected)) => {
            let proof = match authenticated.proof() {
                ServerProof::Proven => "proven",
                ServerProof::NotOffered => "not offered",
            };
            assert_eq!(proof, expected);
            State::Succeeded(authenticated)
        }
        (State::Succeeded(authenticated), Step::Bound(expected)) => {
            assert_eq!(authenticated.binding().map(BindingType::name), Some(expected.as_str()));
            State::Succeeded(authenticated)
        }
        (State::Succeeded(authenticated), Step::Keys(expected)) => {
            let keys = authenticated.keys().map(ScramKeys::to_json);
            let keys = keys.map(|keys| serde_json::from_str::<Value>(&keys).unwrap());
            assert_eq!(&keys, expected);
            State::Checked
        }
        (state, step) => panic!("{step:?} is due, but this came: {state:?}"),
    }
}

/// PLAIN sends user name and password as prepared; SCRAM derives from the same password.
fn prepare(row: &Preparation) {
    let as_password = plain("user", &row.input);
    let as_user_name = plain(&row.input, "password");
    match (&row.output, &row.error) {
        (Some(output), None) => {
            assert_eq!(as_password.unwrap(), format!("\0user\0{output}"));
            assert_eq!(as_user_name.unwrap(), format!("\0{output}\0password"));
            assert_eq!(derived_from(&row.input).unwrap(), *output);
        }
        (None, Some(error)) => {
            let error = preparation_error(error);
            assert_eq!(as_password, Err(Error::Password(error)));
            assert_eq!(as_user_name, Err(Error::UserName(error)));
            assert_eq!(derived_from(&row.input), Err(Error::Password(error)));
        }
        _ => panic!("either output or error"),
    }
}

fn preparation_error(name: &str) -> PreparationError {
    use PreparationError::{Bidirectional, Empty, Prohibited, Unassigned};
    let known = [Bidirectional, Empty, Prohibited, Unassigned];
    known.into_iter().find(|error| format!("{error:?}") == name).expect(name)
}

fn plain(user: &str, password: &str) -> Result<String, Error> {
    let turn = support::begin(&MechanismName::PLAIN, Credentials::password(user, password))?;
    let (_, sent) = servers_move(turn);
    Ok(String::from_utf8(sent.unwrap().as_bytes().to_vec()).unwrap())
}

fn derived_from(password: &str) -> Result<String, Error> {
    let who = Credentials::password("user", password);
    let (login, _) = servers_move(support::begin(&MechanismName::SCRAM_SHA_1, who)?);
    match login.challenge(support::published::SERVER_FIRST.as_bytes())? {
        Turn::Question(_, Question::Derive(derivation)) => Ok(derivation.password().to_owned()),
        other => panic!("no derivation but {other:?}"),
    }
}

/// In one go, in slices, and from the salted password of a platform's own PBKDF2: one result.
fn derive(row: &Derived) {
    let hash: Hash = row.hash.parse().unwrap();
    let salt = bytes(&row.salt);
    let iterations = NonZeroU32::new(row.iterations).unwrap();
    let keys = || Derivation::new(hash, &row.password, salt.clone(), iterations);
    let salted = bytes(&row.salted_password);
    for keys in [
        keys().run(),
        in_slices(keys(), row.iterations / 3 + 1),
        ScramKeys::from_salted_password(hash, &salted, salt.clone(), iterations),
    ] {
        let json: Value = serde_json::from_str(&keys.to_json()).unwrap();
        assert_eq!(json["ck"], base64(&bytes(&row.client_key)));
        assert_eq!(json["sk"], base64(&bytes(&row.server_key)));
        assert_eq!((keys.hash(), keys.salt(), keys.iterations()), (hash, &salt[..], iterations));
    }
}

fn in_slices(mut derivation: Derivation, slice: u32) -> ScramKeys {
    loop {
        match derivation.advance(NonZeroU32::new(slice).unwrap()) {
            Progress::More(rest) => derivation = rest,
            Progress::Done(keys) => return keys,
        }
    }
}

/// Runs all rows; a failure names the row.
fn run<T>(file: &str, rows: &[T], name: fn(&T) -> &str, test: fn(&T)) -> usize {
    assert!(!rows.is_empty(), "{file} has no rows");
    for row in rows {
        println!("{file}: {}", name(row)); // shown when the row fails
        test(row);
    }
    rows.len()
}

fn files() -> Vec<PathBuf> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn bytes(hex: &str) -> Vec<u8> {
    assert!(hex.len().is_multiple_of(2));
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn base64(bytes: &[u8]) -> String {
    use base64ct::{Base64, Encoding};
    Base64::encode_string(bytes)
}
