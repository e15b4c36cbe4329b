//! Which mechanism is chosen, and the reason for each that is not.

mod support;

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use epode_sasl::{
    Channel, Context, Credentials, InvalidMechanismName, Mechanism, MechanismFactory,
    MechanismName, NoMechanism, Policy, Registry, Secret, SecretKind, Selection, Skip,
    mechanisms::{
        anonymous::Anonymous, external::External, oauthbearer::OAuthBearer, plain::Plain,
        xoauth2::XOAuth2,
    },
    scram::{Derivation, Hash, Scram, ScramKeys},
};

use crate::support::{Numbers, best_channel};

/// The order of the page.
const ORDER: [(MechanismName, i32); 13] = [
    (MechanismName::SCRAM_SHA_512_PLUS, 82),
    (MechanismName::SCRAM_SHA_384_PLUS, 81),
    (MechanismName::SCRAM_SHA_256_PLUS, 80),
    (MechanismName::SCRAM_SHA_1_PLUS, 75),
    (MechanismName::SCRAM_SHA_512, 72),
    (MechanismName::SCRAM_SHA_384, 71),
    (MechanismName::SCRAM_SHA_256, 70),
    (MechanismName::SCRAM_SHA_1, 60),
    (MechanismName::PLAIN, 50),
    (MechanismName::OAUTHBEARER, 40),
    (MechanismName::X_OAUTH2, 30),
    (MechanismName::ANONYMOUS, 20),
    (MechanismName::EXTERNAL, 10),
];

// The order.

#[test]
fn the_mechanisms_have_the_priorities_of_the_page() {
    let factories: [Box<dyn MechanismFactory>; 13] = [
        Box::new(Scram::plus(Hash::Sha512)),
        Box::new(Scram::plus(Hash::Sha384)),
        Box::new(Scram::plus(Hash::Sha256)),
        Box::new(Scram::plus(Hash::Sha1)),
        Box::new(Scram::new(Hash::Sha512)),
        Box::new(Scram::new(Hash::Sha384)),
        Box::new(Scram::new(Hash::Sha256)),
        Box::new(Scram::new(Hash::Sha1)),
        Box::new(Plain),
        Box::new(OAuthBearer),
        Box::new(XOAuth2),
        Box::new(Anonymous),
        Box::new(External),
    ];
    let found = factories.map(|factory| (factory.name().clone(), factory.priority()));
    assert_eq!(found, ORDER);
    assert!(Registry::default().names().eq(ORDER.iter().map(|(name, _)| name)));
}

/// With everything offered, the winner is denied again and again until nothing is left.
#[test]
fn the_highest_usable_one_wins() {
    let password = [
        MechanismName::SCRAM_SHA_512,
        MechanismName::SCRAM_SHA_384,
        MechanismName::SCRAM_SHA_256,
        MechanismName::SCRAM_SHA_1,
        MechanismName::PLAIN,
        MechanismName::EXTERNAL,
    ];
    let token = [MechanismName::OAUTHBEARER, MechanismName::X_OAUTH2, MechanismName::EXTERNAL];
    let guest_with_token = [
        MechanismName::OAUTHBEARER,
        MechanismName::X_OAUTH2,
        MechanismName::ANONYMOUS,
        MechanismName::EXTERNAL,
    ];
    let guest = [MechanismName::ANONYMOUS, MechanismName::EXTERNAL];
    let saved = [MechanismName::SCRAM_SHA_1]; // and not EXTERNAL, certificate or no certificate
    for (who, order) in [
        (Credentials::password("alice", "x"), &password[..]),
        (Credentials::ask("alice", SecretKind::Password), &password),
        (Credentials::token("alice", "x"), &token),
        (Credentials::ask("alice", SecretKind::Token), &token),
        (Credentials::guest(Secret::token("x")), &guest_with_token),
        (Credentials::guest(Secret::None), &guest),
        (Credentials::keys("alice", keys(Hash::Sha1)), &saved),
    ] {
        let mut policy = Policy::default();
        for expected in order {
            let selection = select(&policy, &who).unwrap();
            assert_eq!(selection.mechanism(), expected, "{who:?}");
            let priority = ORDER.iter().find(|(name, _)| name == expected).unwrap().1;
            assert_eq!(selection.priority(), priority);
            policy = policy.deny(expected.clone());
        }
        assert!(select(&policy, &who).is_err(), "{who:?}");
    }
}

#[test]
fn among_equals_the_one_registered_first_wins() {
    let (a, b, c) = (name("X-A"), name("X-B"), name("X-C"));
    let registry = Registry::empty()
        .with(Arc::new(Custom::new(&b, 5)))
        .with(Arc::new(Custom::new(&a, 5)))
        .with(Arc::new(Custom::new(&c, 4)));
    let who = Credentials::guest(Secret::None);
    for offered in [[&a, &b, &c], [&c, &b, &a], [&b, &a, &c]] {
        let offered = offered.map(Clone::clone);
        let policy = Policy::default();
        let selection = policy.select(&registry, &who, &best_channel(), &offered).unwrap();
        assert_eq!(selection.mechanism(), &b);
        // A priority set by the policy makes equals too, and breaks ties in the same way.
        let policy = policy.priority(c.clone(), 5);
        let selection = policy.select(&registry, &who, &best_channel(), &offered).unwrap();
        assert_eq!(selection.mechanism(), &b);
        let policy = policy.priority(a.clone(), 6);
        let selection = policy.select(&registry, &who, &best_channel(), &offered).unwrap();
        assert_eq!((selection.mechanism(), selection.priority()), (&a, 6));
    }
}

#[test]
fn a_mechanism_registered_again_keeps_its_place() {
    let (a, b) = (name("X-A"), name("X-B"));
    let registry = Registry::empty()
        .with(Arc::new(Custom::new(&a, 1)))
        .with(Arc::new(Custom::new(&b, 7)))
        .with(Arc::new(Custom::new(&a, 7)));
    assert!(registry.names().eq([&a, &b]));
    let who = Credentials::guest(Secret::None);
    let selection =
        Policy::default().select(&registry, &who, &best_channel(), &[b, a.clone()]).unwrap();
    assert_eq!((selection.mechanism(), selection.priority()), (&a, 7));
}

#[test]
fn the_order_of_the_offer_changes_nothing() {
    let mut offered: Vec<_> = ORDER.into_iter().map(|(name, _)| name).collect();
    offered.extend([name("X-UNKNOWN"), name("SCRAM-SHA-1-PLUS")]);
    let who = Credentials::password("alice", "x");
    let policy = Policy::default().deny(MechanismName::SCRAM_SHA_512).minimum_priority(15);
    let reasons = |selection: &Selection| -> BTreeSet<String> {
        selection.passed_over().iter().map(ToString::to_string).collect()
    };
    let registry = Registry::default();
    let first = policy.select(&registry, &who, &best_channel(), &offered).unwrap();
    assert_eq!(first.mechanism(), &MechanismName::SCRAM_SHA_384);
    let mut numbers = Numbers(1);
    for _ in 0..500 {
        for last in (1..offered.len()).rev() {
            offered.swap(last, numbers.below(last + 1));
        }
        let selection = policy.select(&registry, &who, &best_channel(), &offered).unwrap();
        assert_eq!(selection.mechanism(), first.mechanism());
        assert_eq!(reasons(&selection), reasons(&first));
        let order = selection.passed_over().iter().map(|passed| &passed.mechanism);
        assert!(order.eq(offered.iter().filter(|name| *name != first.mechanism())));
    }
}

// The tests of the nine.

/// One line for each kind of login: who can use which.
#[test]
fn each_mechanism_is_for_those_who_can_use_it() {
    let yes = || Ok(());
    let password = || Err(Skip::NeedsSecret(SecretKind::Password));
    let token = || Err(Skip::NeedsSecret(SecretKind::Token));
    let other = || Err(Skip::KeysOfAnotherHash(Hash::Sha256));
    let (name, no_name) = (|| Err(Skip::NeedsUserName), || Err(Skip::HasUserName));
    let alice = |secret| Credentials::new("alice", secret);
    for (who, [scram_256, scram_others, plain, tokens, anonymous]) in [
        (alice(Secret::password("x")), [yes(), yes(), yes(), token(), no_name()]),
        (alice(Secret::Ask(SecretKind::Password)), [yes(), yes(), yes(), token(), no_name()]),
        (alice(Secret::token("x")), [password(), password(), password(), yes(), no_name()]),
        (
            alice(Secret::Ask(SecretKind::Token)),
            [password(), password(), password(), yes(), no_name()],
        ),
        (alice(Secret::Keys(keys(Hash::Sha256))), [yes(), other(), password(), token(), no_name()]),
        (alice(Secret::None), [password(), password(), password(), token(), no_name()]),
        (Credentials::guest(Secret::None), [name(), name(), name(), token(), yes()]),
        (Credentials::guest(Secret::password("x")), [name(), name(), name(), token(), yes()]),
        (Credentials::guest(Secret::token("x")), [name(), name(), name(), yes(), yes()]),
    ] {
        let has_keys = matches!(who.secret(), Secret::Keys(_));
        let (other_keys, certified) = (other(), yes());
        for (mechanism, expected) in [
            (MechanismName::SCRAM_SHA_512, &scram_others),
            (MechanismName::SCRAM_SHA_384, &scram_others),
            (MechanismName::SCRAM_SHA_256, &scram_256),
            (MechanismName::SCRAM_SHA_1, &scram_others),
            (MechanismName::PLAIN, &plain),
            (MechanismName::OAUTHBEARER, &tokens),
            (MechanismName::X_OAUTH2, &tokens),
            (MechanismName::ANONYMOUS, &anonymous),
            // The channel has a certificate; who has keys means to use those.
            (MechanismName::EXTERNAL, if has_keys { &other_keys } else { &certified }),
        ] {
            let verdict = verdict(&Policy::default(), &who, &best_channel(), &mechanism);
            assert_eq!(&verdict, expected, "{mechanism} for {who:?}");
        }
    }
}

/// Who logs in does not matter to EXTERNAL; the certificate and what carries it do.
#[test]
fn external_needs_a_certificate_that_can_be_shown() {
    for (channel, expected) in [
        (Channel::encrypted().with_client_certificate(), Ok(())),
        (Channel::encrypted(), Err(Skip::NeedsCertificate)),
        (Channel::loopback(), Err(Skip::NeedsCertificate)),
        (Channel::loopback().with_client_certificate(), Err(Skip::NeedsCertificate)),
        (Channel::plaintext().with_client_certificate(), Err(Skip::NeedsCertificate)),
    ] {
        for who in [
            Credentials::guest(Secret::None),
            Credentials::new("alice", Secret::None),
            Credentials::password("alice", "x"),
        ] {
            let verdict = verdict(&Policy::default(), &who, &channel, &MechanismName::EXTERNAL);
            assert_eq!(verdict, expected, "{channel:?}");
        }
    }
}

/// What sends the secret as it is needs a channel that nobody else can read.
#[test]
fn secrets_are_not_sent_where_others_can_read_them() {
    let password = || Credentials::password("alice", "x");
    let token = || Credentials::token("alice", "x");
    let exposed: [(MechanismName, fn() -> Credentials); 3] = [
        (MechanismName::PLAIN, password),
        (MechanismName::OAUTHBEARER, token),
        (MechanismName::X_OAUTH2, token),
    ];
    let danger = Policy::default().danger_allow_plaintext();
    for (mechanism, who) in exposed {
        let on = |policy: &Policy, channel| verdict(policy, &who(), &channel, &mechanism);
        let strict = Policy::default();
        assert_eq!(on(&strict, Channel::plaintext()), Err(Skip::NeedsEncryption));
        let certificate = Channel::plaintext().with_client_certificate();
        assert_eq!(on(&strict, certificate), Err(Skip::NeedsEncryption));
        assert_eq!(on(&strict, Channel::loopback()), Ok(()));
        assert_eq!(on(&strict, Channel::encrypted()), Ok(()));
        assert_eq!(on(&danger, Channel::plaintext()), Ok(()));
    }
    for hash in Hash::ALL {
        let verdict =
            verdict(&Policy::default(), &password(), &Channel::plaintext(), &hash.mechanism());
        assert_eq!(verdict, Ok(()));
    }
    let guest = Credentials::guest(Secret::None);
    let anonymous = MechanismName::ANONYMOUS;
    assert_eq!(verdict(&Policy::default(), &guest, &Channel::plaintext(), &anonymous), Ok(()));
}

/// A mechanism of the application's own is taken to send its secret, unless it says otherwise.
#[test]
fn a_custom_mechanism_needs_encryption_by_default() {
    let custom = name("X-CUSTOM");
    let registry = Registry::empty().with(Arc::new(Custom::new(&custom, 1)));
    let who = Credentials::guest(Secret::None);
    let offered = [custom];
    let policy = Policy::default();
    let refusal = policy.select(&registry, &who, &Channel::plaintext(), &offered).unwrap_err();
    assert_eq!(refusal.passed_over[0].reason, Skip::NeedsEncryption);
    assert!(policy.select(&registry, &who, &Channel::loopback(), &offered).is_ok());
}

// The policy.

#[test]
fn allow_only_and_deny() {
    let who = Credentials::password("alice", "x");
    let only = Policy::default().allow_only([MechanismName::PLAIN, MechanismName::SCRAM_SHA_1]);
    let chosen = |policy: &Policy| select(policy, &who).ok().map(|won| won.mechanism().clone());
    assert_eq!(chosen(&only), Some(MechanismName::SCRAM_SHA_1)); // not the first of the list
    assert_eq!(reason(&only, &who, &MechanismName::SCRAM_SHA_512), Skip::NotAllowed);
    assert_eq!(reason(&only, &who, &MechanismName::EXTERNAL), Skip::NotAllowed);

    let both = only.deny(MechanismName::SCRAM_SHA_1);
    assert_eq!(chosen(&both), Some(MechanismName::PLAIN));
    assert_eq!(reason(&both, &who, &MechanismName::SCRAM_SHA_1), Skip::Denied);

    assert_eq!(chosen(&both.clone().deny(MechanismName::PLAIN)), None);
    assert_eq!(chosen(&Policy::default().allow_only([])), None);
    // The last list counts, and a name that nobody knows harms nothing.
    let last = both.allow_only([name("X-UNKNOWN"), MechanismName::SCRAM_SHA_256]);
    assert_eq!(chosen(&last), Some(MechanismName::SCRAM_SHA_256));
}

#[test]
fn another_order_and_a_minimum() {
    let who = Credentials::password("alice", "x");
    let chosen = |policy: &Policy| select(policy, &who).ok().map(|won| won.mechanism().clone());
    let plain_first = Policy::default().priority(MechanismName::PLAIN, 100);
    assert_eq!(chosen(&plain_first), Some(MechanismName::PLAIN));
    let outranked = Skip::Outranked { by: MechanismName::PLAIN };
    assert_eq!(reason(&plain_first, &who, &MechanismName::SCRAM_SHA_512), outranked);
    // The last word counts.
    let again = plain_first.priority(MechanismName::PLAIN, -1);
    assert_eq!(chosen(&again), Some(MechanismName::SCRAM_SHA_512));

    for (minimum, expected) in [
        (72, Some(MechanismName::SCRAM_SHA_512)),
        (73, None),
        (i32::MAX, None),
        (i32::MIN, Some(MechanismName::SCRAM_SHA_512)),
    ] {
        let policy = Policy::default().minimum_priority(minimum);
        assert_eq!(chosen(&policy), expected, "{minimum}");
    }
    let strong = Policy::default().minimum_priority(60);
    let below = Skip::BelowMinimum { priority: 50, minimum: 60 };
    assert_eq!(reason(&strong, &who, &MechanismName::PLAIN), below);
    // The minimum looks at the priority that the policy gives.
    let raised = strong.priority(MechanismName::PLAIN, 80);
    assert_eq!(chosen(&raised), Some(MechanismName::PLAIN));
}

/// What the server does not offer is said first, then what the policy decides, then the test.
#[test]
fn the_reason_is_the_first_that_applies() {
    let who = Credentials::guest(Secret::None);
    let reason_of = |policy: &Policy, offered: &[MechanismName], mechanism: &MechanismName| {
        let refusal =
            policy.select(&Registry::default(), &who, &Channel::plaintext(), offered).unwrap_err();
        let passed = refusal.passed_over.into_iter().find(|passed| passed.mechanism == *mechanism);
        let passed = passed.unwrap();
        assert_eq!(passed.offered, offered.contains(mechanism));
        passed.reason
    };
    let plain = MechanismName::PLAIN;
    let offered = [plain.clone(), name("X-UNKNOWN")];
    let everything = Policy::default()
        .allow_only([MechanismName::EXTERNAL])
        .deny(plain.clone())
        .minimum_priority(60);
    assert_eq!(reason_of(&everything, &[], &plain), Skip::NotOffered);
    assert_eq!(reason_of(&everything, &offered, &name("X-UNKNOWN")), Skip::Unknown);
    assert_eq!(reason_of(&everything, &offered, &plain), Skip::NotAllowed);
    let denied = Policy::default().deny(plain.clone()).minimum_priority(60);
    assert_eq!(reason_of(&denied, &offered, &plain), Skip::Denied);
    let below = Skip::BelowMinimum { priority: 50, minimum: 60 };
    assert_eq!(reason_of(&Policy::default().minimum_priority(60), &offered, &plain), below);
    assert_eq!(reason_of(&Policy::default(), &offered, &plain), Skip::NeedsUserName);
}

/// Every mechanism but the winner has its reason: the offered ones first, then the known ones.
#[test]
fn nothing_is_passed_over_in_silence() {
    let offered = [
        name("X-UNKNOWN"),
        MechanismName::PLAIN,
        MechanismName::EXTERNAL,
        MechanismName::SCRAM_SHA_1,
    ];
    let who = Credentials::password("alice", "x");
    let policy = Policy::default();
    let selection = policy.select(&Registry::default(), &who, &Channel::plaintext(), &offered);
    let selection = selection.unwrap();
    assert_eq!(selection.mechanism(), &MechanismName::SCRAM_SHA_1);
    let shown: Vec<_> = selection.passed_over().iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "X-UNKNOWN: not known to this program",
            "PLAIN: it needs an encrypted connection",
            "EXTERNAL: it needs a client certificate",
            "SCRAM-SHA-512-PLUS: not offered by the server",
            "SCRAM-SHA-384-PLUS: not offered by the server",
            "SCRAM-SHA-256-PLUS: not offered by the server",
            "SCRAM-SHA-1-PLUS: not offered by the server",
            "SCRAM-SHA-512: not offered by the server",
            "SCRAM-SHA-384: not offered by the server",
            "SCRAM-SHA-256: not offered by the server",
            "OAUTHBEARER: not offered by the server",
            "X-OAUTH2: not offered by the server",
            "ANONYMOUS: not offered by the server",
        ]
    );
}

#[test]
fn whether_the_policy_is_to_blame() {
    let alice = || Credentials::password("alice", "x");
    let plain = || vec![MechanismName::PLAIN];
    let default = Policy::default;
    for (policy, who, offered, expected) in [
        (default().deny(MechanismName::PLAIN), alice(), plain(), true),
        (default().allow_only([MechanismName::SCRAM_SHA_1]), alice(), plain(), true),
        (default().minimum_priority(60), alice(), plain(), true),
        (default(), alice(), plain(), true), // the channel is plaintext
        (default(), alice(), vec![name("X-UNKNOWN"), MechanismName::PLAIN], true),
        (default(), alice(), vec![name("X-UNKNOWN")], false),
        (default(), alice(), vec![MechanismName::ANONYMOUS, MechanismName::OAUTHBEARER], false),
        (default(), Credentials::guest(Secret::None), plain(), false),
        (default(), alice(), vec![], false),
        // What was denied but not offered kept nobody out.
        (default().deny(MechanismName::PLAIN), alice(), vec![MechanismName::EXTERNAL], false),
    ] {
        let refusal =
            policy.select(&Registry::default(), &who, &Channel::plaintext(), &offered).unwrap_err();
        assert_eq!(refusal.is_policy(), expected, "{refusal}");
    }
}

#[test]
fn the_refusal_says_what_was_offered_and_why_not() {
    let who = Credentials::password("alice", "x");
    let refusal = |offered: &[MechanismName]| {
        Policy::default()
            .deny(MechanismName::SCRAM_SHA_1)
            .select(&Registry::default(), &who, &Channel::plaintext(), offered)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(refusal(&[]), "the server offers none");
    assert_eq!(
        refusal(&[MechanismName::SCRAM_SHA_1, MechanismName::PLAIN, MechanismName::X_OAUTH2]),
        "the server offers SCRAM-SHA-1 (denied), PLAIN (it needs an encrypted connection), \
         X-OAUTH2 (it needs a token)"
    );
}

// What never gets that far.

#[test]
fn names_outside_the_grammar_never_get_that_far() {
    let long = "A".repeat(300);
    for text in [
        "constructor",
        "__proto__",
        "toString",
        "plain",
        "Plain",
        "",
        " PLAIN",
        "PLAIN ",
        "PLAIN\0",
        "PL\u{c4}IN",
        &long,
    ] {
        assert_eq!(text.parse::<MechanismName>(), Err(InvalidMechanismName), "{text:?}");
    }
    let who = Credentials::password("alice", "x");
    for unknown in ["CONSTRUCTOR", "SCRAM-SHA-224-PLUS", "PLAINER", "PLAI"] {
        let verdict = verdict(&Policy::default(), &who, &best_channel(), &name(unknown));
        assert_eq!(verdict, Err(Skip::Unknown));
    }
}

/// A test that changes its mind is asked once, so that choice and reasons agree.
#[test]
fn a_test_that_changes_its_mind_does_no_harm() {
    for first in [false, true] {
        let fickle =
            Custom { fickle: Some(AtomicBool::new(first)), ..Custom::new(&name("X-A"), 1) };
        let registry = Registry::empty().with(Arc::new(fickle));
        let who = Credentials::guest(Secret::None);
        let result = Policy::default().select(&registry, &who, &best_channel(), &[name("X-A")]);
        assert_eq!(result.is_ok(), first);
        if let Err(refusal) = result {
            assert_eq!(refusal.passed_over[0].reason, Skip::Other("not now".to_owned()));
        }
    }
}

/// With all nine offered, on the best of channels.
fn select(policy: &Policy, who: &Credentials) -> Result<Selection, NoMechanism> {
    let offered = ORDER.map(|(name, _)| name);
    policy.select(&Registry::default(), who, &best_channel(), &offered)
}

/// Why this one was not chosen there.
fn reason(policy: &Policy, who: &Credentials, mechanism: &MechanismName) -> Skip {
    let passed_over = match select(policy, who) {
        Ok(selection) => selection.passed_over().to_vec(),
        Err(refusal) => refusal.passed_over,
    };
    let passed = passed_over.into_iter().find(|passed| passed.mechanism == *mechanism);
    passed.expect("it was passed over").reason
}

/// With only this one offered: usable, or why not.
fn verdict(
    policy: &Policy,
    who: &Credentials,
    channel: &Channel,
    mechanism: &MechanismName,
) -> Result<(), Skip> {
    let offered = [mechanism.clone()];
    match policy.select(&Registry::default(), who, channel, &offered) {
        Ok(selection) => {
            assert_eq!(selection.mechanism(), mechanism);
            Ok(())
        }
        Err(refusal) => {
            assert_eq!(&refusal.passed_over[0].mechanism, mechanism);
            Err(refusal.passed_over[0].reason.clone())
        }
    }
}

fn name(text: &str) -> MechanismName {
    text.parse().unwrap()
}

fn keys(hash: Hash) -> ScramKeys {
    Derivation::new(hash, "x", b"salt".to_vec(), NonZeroU32::MIN).run()
}

/// A mechanism that everybody can use, unless it is fickle: then every other time.
#[derive(Debug)]
struct Custom {
    name: MechanismName,
    priority: i32,
    fickle: Option<AtomicBool>,
}

impl Custom {
    fn new(name: &MechanismName, priority: i32) -> Self {
        Self { name: name.clone(), priority, fickle: None }
    }
}

impl MechanismFactory for Custom {
    fn name(&self) -> &MechanismName {
        &self.name
    }

    fn priority(&self) -> i32 {
        self.priority
    }

    fn test(&self, _: &Context<'_>) -> Result<(), Skip> {
        match &self.fickle {
            Some(usable) if !usable.fetch_not(Ordering::Relaxed) => {
                Err(Skip::Other("not now".to_owned()))
            }
            _ => Ok(()),
        }
    }

    fn begin(&self) -> Box<dyn Mechanism> {
        unreachable!("these tests only choose")
    }
}
