//! What is remembered of a login, and when the next one is called weaker.

mod support;

use epode_sasl::{
    Binding, BindingType, Channel, Credentials, Encryption, Exchange, MechanismName, Offer, Pin,
    PinError, Policy, Registry, Secret, Skip, TlsVersion, Weaker,
    scram::{Hash, ScramKeys},
};

use crate::support::servers_move;

const X: MechanismName = MechanismName::SCRAM_SHA_256;
const PLUS: MechanismName = MechanismName::SCRAM_SHA_256_PLUS;
const EXPORTER: BindingType = BindingType::TlsExporter;
const END_POINT: BindingType = BindingType::TlsServerEndPoint;
const TLS_1_2: Encryption = Encryption::Tls(TlsVersion::Tls12);
const TLS_1_3: Encryption = Encryption::Tls(TlsVersion::Tls13);

/// A login over the best channel, bound by the exporter.
fn best() -> Pin {
    pin("SCRAM-SHA-256-PLUS", 80, Some("tls-exporter"), "TLS 1.3")
}

fn pin(mechanism: &str, rank: i32, binding: Option<&str>, encryption: &str) -> Pin {
    let binding = binding.map_or_else(|| "null".to_owned(), |name| format!("{name:?}"));
    let json = format!(
        "{{\"version\":1,\"mechanism\":{mechanism:?},\"rank\":{rank},\"binding\":{binding},\
         \"encryption\":{encryption:?}}}"
    );
    let pin = Pin::from_json(&json).unwrap();
    assert_eq!(pin.to_json(), json);
    pin
}

/// What one has and the other offers.
struct Next {
    policy: Policy,
    who: Credentials,
    channel: Channel,
    offer: Offer,
}

fn next() -> Next {
    Next {
        policy: Policy::default(),
        who: Credentials::password("alice", "secret"),
        channel: tls(TlsVersion::Tls13, &BindingType::ALL),
        offer: Offer::new(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN"])
            .with_channel_bindings(["tls-exporter", "tls-server-end-point"]),
    }
}

fn tls(version: TlsVersion, has: &[BindingType]) -> Channel {
    has.iter().fold(Channel::encrypted().with_tls_version(version), |channel, kind| {
        channel.with_binding(Binding::new(*kind, "data"))
    })
}

impl Next {
    fn offers(mut self, names: &[&str]) -> Self {
        self.offer = Offer::new(names.iter().copied());
        self
    }

    fn lists(mut self, types: &[&str]) -> Self {
        self.offer = self.offer.with_channel_bindings(types.iter().copied());
        self
    }

    fn over(mut self, channel: Channel) -> Self {
        self.channel = channel;
        self
    }

    fn under(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    fn with_who(mut self, who: Credentials) -> Self {
        self.who = who;
        self
    }

    fn compared_with(self, pin: &Pin) -> Result<(), Weaker> {
        let Self { policy, who, channel, offer } = self;
        let registry = Registry::default();
        let choice = policy.select(&registry, &who, &channel, offer).expect("there is a choice");
        pin.check(&choice, &policy, &registry, &who)
    }
}

fn weaker_mechanism(now: MechanismName, why: Skip) -> Result<(), Weaker> {
    Err(Weaker::Mechanism { was: PLUS, now, why })
}

#[test]
fn the_same_and_the_stronger_are_no_alarm() {
    assert_eq!(next().compared_with(&best()), Ok(()));
    for weaker in [
        pin("PLAIN", 50, None, "none"),
        pin("SCRAM-SHA-256", 70, None, "TLS"),
        pin("SCRAM-SHA-1-PLUS", 75, Some("tls-server-end-point"), "TLS 1.2"),
        pin("SCRAM-SHA-1-PLUS", 75, Some("tls-server-end-point"), "TLS 1.3"),
    ] {
        assert_eq!(next().compared_with(&weaker), Ok(()), "{weaker:?}");
    }
    let stronger = next().offers(&["SCRAM-SHA-512-PLUS", "SCRAM-SHA-512"]).lists(&["tls-exporter"]);
    assert_eq!(stronger.compared_with(&best()), Ok(()));
}

/// The lists shrink between two connections.
#[test]
fn what_the_server_offers_no_longer_is_an_alarm() {
    let cases = [
        (next().offers(&["SCRAM-SHA-256", "PLAIN"]), X, Skip::NotOffered),
        (next().offers(&["PLAIN"]), MechanismName::PLAIN, Skip::NotOffered),
        (
            next().offers(&["SCRAM-SHA-1-PLUS"]).lists(&["tls-exporter"]),
            MechanismName::SCRAM_SHA_1_PLUS,
            Skip::NotOffered,
        ),
        (next().offers(&["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]), X, Skip::BindingsNotListed),
        (next().lists(&["tls-unique"]), X, Skip::NoCommonBinding),
        (next().lists(&[]), X, Skip::NoCommonBinding),
        (next().over(tls(TlsVersion::Tls13, &[])), X, Skip::NothingToBindTo),
    ];
    for (next, now, why) in cases {
        assert_eq!(next.compared_with(&best()), weaker_mechanism(now, why));
    }
}

#[test]
fn a_weaker_binding_is_an_alarm() {
    let weaker = |now| Err(Weaker::Binding { was: EXPORTER, now });
    for next in [
        next().lists(&["tls-server-end-point"]),
        next().over(tls(TlsVersion::Tls13, &[END_POINT])),
        next().offers(&["SCRAM-SHA-512-PLUS", "SCRAM-SHA-512"]).lists(&["tls-server-end-point"]),
    ] {
        assert_eq!(next.compared_with(&best()), weaker(Some(END_POINT)));
    }
    // A mechanism that is worth more, and is not bound.
    let next_512 = next().offers(&["SCRAM-SHA-512"]);
    let old = pin("SCRAM-SHA-1-PLUS", 75, Some("tls-exporter"), "TLS 1.3");
    let low = old.strengthened_by(&pin("X-OWN", 71, None, "none"));
    let result = next_512.compared_with(&low);
    let now = MechanismName::SCRAM_SHA_512;
    let why = Skip::NotOffered;
    assert_eq!(result, Err(Weaker::Binding { was: EXPORTER, now: None }), "{now} {why:?}");
    // The end point alone was enough before, and still is.
    let pin = pin("SCRAM-SHA-256-PLUS", 80, Some("tls-server-end-point"), "TLS 1.3");
    assert_eq!(next().lists(&["tls-server-end-point"]).compared_with(&pin), Ok(()));
}

#[test]
fn weaker_encryption_is_an_alarm() {
    let all = [
        (Channel::plaintext(), Encryption::None),
        (Channel::loopback(), Encryption::None),
        (Channel::encrypted(), Encryption::UnknownTls),
        (tls(TlsVersion::Tls12, &[]), TLS_1_2),
        (tls(TlsVersion::Tls13, &[]), TLS_1_3),
    ];
    for (was, was_name) in [
        (Encryption::None, "none"),
        (Encryption::UnknownTls, "TLS"),
        (TLS_1_2, "TLS 1.2"),
        (TLS_1_3, "TLS 1.3"),
    ] {
        for (channel, now) in &all {
            assert_eq!(Encryption::of(channel), *now);
            let pin = pin("SCRAM-SHA-256", 70, None, was_name);
            let found = next().over(channel.clone()).compared_with(&pin);
            // A driver that does not tell the version is not the server's doing.
            let is_weaker = *now < was && *now != Encryption::UnknownTls;
            let expected =
                if is_weaker { Err(Weaker::Encryption { was, now: *now }) } else { Ok(()) };
            assert_eq!(found, expected, "{was} {now}");
        }
    }
}

/// Not the server, but this program, has changed.
#[test]
fn what_this_program_wants_is_no_alarm() {
    let policy = Policy::default;
    let keys = |hash| {
        let count = std::num::NonZeroU32::new(4096).unwrap();
        Credentials::keys("alice", ScramKeys::from_salted_password(hash, b"x", vec![1], count))
    };
    for next in [
        next().under(policy().deny(PLUS)),
        next().under(policy().allow_only([X])),
        next().under(policy().deny(PLUS)).offers(&["SCRAM-SHA-256"]),
        next().under(policy().priority(MechanismName::PLAIN, 100)),
        next().under(policy().priority(MechanismName::PLAIN, 100)).offers(&["PLAIN"]),
        next()
            .under(policy().priority(PLUS, 1).minimum_priority(2))
            .offers(&["SCRAM-SHA-256", "PLAIN"]),
        next().with_who(Credentials::token("alice", "x")).offers(&["OAUTHBEARER"]),
        next().with_who(Credentials::guest(Secret::None)).offers(&["ANONYMOUS"]),
        next()
            .with_who(Credentials::guest(Secret::None))
            .over(tls(TlsVersion::Tls13, &[EXPORTER]).with_client_certificate())
            .offers(&["EXTERNAL"]),
        next()
            .with_who(keys(Hash::Sha1))
            .offers(&["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"])
            .lists(&["tls-exporter"]),
    ] {
        let shown = format!("{:?} {:?}", next.policy, next.offer);
        assert_eq!(next.compared_with(&best()), Ok(()), "{shown}");
    }
    // Keys of another hash are this program's; that nothing is bound any more is not.
    let next = next().with_who(keys(Hash::Sha1)).offers(&["SCRAM-SHA-1"]);
    let weaker = Weaker::Binding { was: EXPORTER, now: None };
    assert_eq!(next.compared_with(&best()), Err(weaker));
}

/// The server refuses the pinned binding, and the login would begin anew by a weaker one.
#[test]
fn the_next_binding_is_compared_too() {
    let Next { policy, who, channel, offer } = next();
    let registry = Registry::default();
    let choice = policy.select(&registry, &who, &channel, offer).unwrap();
    let (login, _) = servers_move(Exchange::begin(choice, who, channel).unwrap());
    let rejection = epode_sasl::Rejection::new("malformed-request");
    let retry = login.failure(rejection).unwrap();
    let found = best().check(retry.selection(), &policy, &registry, retry.credentials());
    assert_eq!(found, Err(Weaker::Binding { was: EXPORTER, now: Some(END_POINT) }));
}

#[test]
fn each_alarm_says_what_changed_and_how_to_accept_it() {
    let words = |weaker: Weaker| weaker.to_string();
    assert_eq!(
        words(Weaker::Encryption { was: TLS_1_3, now: Encryption::None }),
        "the connection is weaker than before: it had TLS 1.3, and now has no encryption; \
         if this is meant to be, forget the pin of this account"
    );
    assert_eq!(
        words(Weaker::Mechanism { was: PLUS, now: X, why: Skip::NotOffered }),
        "the server offers a weaker login than before: it was SCRAM-SHA-256-PLUS, and now would be \
         SCRAM-SHA-256 (SCRAM-SHA-256-PLUS: not offered by the server); if this is meant to be, \
         forget the pin of this account"
    );
    assert_eq!(
        words(Weaker::Binding { was: EXPORTER, now: None }),
        "the login would be bound to the channel less firmly than before: it was by tls-exporter, \
         and now would be by nothing; if this is meant to be, forget the pin of this account"
    );
}

#[test]
fn a_pin_only_gets_stronger() {
    let plain = pin("PLAIN", 50, None, "TLS 1.3");
    let bound = pin("SCRAM-SHA-1-PLUS", 75, Some("tls-server-end-point"), "TLS 1.2");
    let both = pin("SCRAM-SHA-1-PLUS", 75, Some("tls-server-end-point"), "TLS 1.3");
    assert_eq!(plain.strengthened_by(&bound), both);
    assert_eq!(bound.strengthened_by(&plain), both);
    assert_eq!(both.strengthened_by(&plain), both);
    assert_eq!(both.strengthened_by(&best()), best());
    assert_eq!(best().strengthened_by(&both), best());
    // Of equals the one that was there stays.
    let (a, b) = (pin("X-A", 5, None, "TLS"), pin("X-B", 5, None, "TLS"));
    assert_eq!(a.strengthened_by(&b), a);
}

#[test]
fn a_login_leaves_a_pin() {
    let plain = Policy::default().allow_only([MechanismName::PLAIN]);
    let Next { who, channel, offer, .. } = next();
    // Whatever a policy makes of it, it is worth what it is worth.
    let policy = plain.priority(MechanismName::PLAIN, 1000);
    let choice = policy.select(&Registry::default(), &who, &channel, offer).unwrap();
    let (login, _) = servers_move(Exchange::begin(choice, who, channel).unwrap());
    let found = login.success(None).unwrap().pin().unwrap().clone();
    assert_eq!(found, pin("PLAIN", 50, None, "TLS 1.3"));
    assert_eq!((found.mechanism(), found.rank()), (&MechanismName::PLAIN, 50));
    assert_eq!((found.binding(), found.encryption()), (None, TLS_1_3));
}

#[test]
fn what_is_no_pin_is_refused_with_its_reason() {
    let right = best().to_json();
    assert_eq!(Pin::from_json(&format!(" {right}\n")), Ok(best()));
    let with = |from: &str, to: &str| {
        let changed = right.replace(from, to);
        assert_ne!(changed, right, "{from}");
        Pin::from_json(&changed).unwrap_err()
    };
    assert_eq!(with("\"version\":1", "\"version\":2"), PinError::Version { found: 2 });
    assert_eq!(with("\"version\":1", "\"version\":2,\"new\":0"), PinError::Version { found: 2 });
    assert!(matches!(with("SCRAM-SHA-256-PLUS", "plain"), PinError::Mechanism(_)));
    assert!(matches!(with("tls-exporter", "tls-unique"), PinError::Binding(_)));
    assert_eq!(with("TLS 1.3", "TLS 1.1"), PinError::Encryption);
    assert_eq!(with("TLS 1.3", "tls 1.3"), PinError::Encryption);
    for (from, to) in [
        ("\"version\":1,", ""),
        ("\"version\":1", "\"version\":1,\"version\":1"),
        ("\"version\":1", "\"version\":\"1\""),
        ("\"version\":1", "\"version\":1.0"),
        ("\"version\":1", "\"version\":-1"),
        ("\"mechanism\"", "\"Mechanism\""),
        ("\"rank\":80,", ""),
        ("\"rank\":80", "\"rank\":80,\"rank\":81"),
        ("\"rank\":80", "\"rank\":3000000000"),
        ("\"rank\":80", "\"rank\":null"),
        ("\"binding\":\"tls-exporter\",", ""),
        ("\"binding\":\"tls-exporter\"", "\"binding\":1"),
        ("\"encryption\":\"TLS 1.3\"", "\"encryption\":null"),
        ("}", ",\"new\":0}"),
        ("}", ""),
        ("}", "}}"),
        ("{", "[{"),
    ] {
        let error = with(from, to);
        assert!(matches!(error, PinError::Json(_)), "{from} {to} {error:?}");
    }
    for text in ["", "null", "1", "[1,\"PLAIN\",50,null,\"TLS\"]", "[]", "\"\"", "{}", "\0"] {
        let error = Pin::from_json(text).unwrap_err();
        assert!(matches!(error, PinError::Json(_)), "{text:?} {error:?}");
    }
    assert_eq!(
        PinError::Version { found: 2 }.to_string(),
        "`version` is 2; this program knows version 1"
    );
}
