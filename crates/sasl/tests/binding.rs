//! Logins that are bound to the channel: what comes of a server that refuses the binding, of lists
//! that were changed on the way (XEP-0474), and of TLS that is not the same at both ends
//! (XEP-0515). Which binding is chosen, and what is said of it where there is none, is in
//! `vectors/gs2-flags.json`.

mod support;

use epode_sasl::{
    Answer, Binding, BindingType, Channel, Credentials, Error, Exchange, MechanismName, Offer,
    PeerFault, Policy, Question, Registry, Rejection, Secret, SecretKind, Skip, TlsVersion, Turn,
    scram::Hash,
};

use crate::support::{
    derive, fault, published, refused, registry_with_nonce, server_signature, servers_move,
};

const PLUS: MechanismName = MechanismName::SCRAM_SHA_1_PLUS;
const BOTH: [BindingType; 2] = BindingType::ALL;

// The channel.

#[test]
fn a_version_of_tls_is_that_of_an_encrypted_channel() {
    let versions = [TlsVersion::Tls12, TlsVersion::Tls13];
    assert!(versions.is_sorted());
    assert_eq!(versions.map(|version| version.to_string()), ["TLS 1.2", "TLS 1.3"]);
    assert_eq!(Channel::encrypted().tls_version(), None);
    for version in versions {
        let channel = Channel::encrypted().with_tls_version(version);
        assert_eq!(channel.tls_version(), Some(version));
        assert!(channel.is_encrypted() && channel.is_confidential());
        for other in [Channel::plaintext(), Channel::loopback()] {
            assert_eq!(other.clone().with_tls_version(version), other);
        }
    }
}

#[test]
fn there_is_no_value_for_a_binding_that_tls_1_3_does_not_have() {
    for name in ["tls-unique", "tls-unique-for-telnet", "TLS-EXPORTER", ""] {
        let error = name.parse::<BindingType>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "unknown channel binding: tls-exporter and tls-server-end-point are known"
        );
    }
    for kind in BOTH {
        assert_eq!(kind.name().parse(), Ok(kind));
    }
}

#[test]
fn the_data_are_not_shown() {
    let shown = format!("{:?}", channel(&BOTH));
    assert!(shown.contains("Binding(tls-exporter, 12 bytes)"), "{shown}");
    assert!(!shown.contains("tls-exporter data"), "{shown}");
}

// A server that refuses the binding.

/// What a server says of the binding, in the words of SCRAM, of Prosody and of ejabberd.
#[test]
fn a_refused_binding_leads_to_the_next() {
    for rejection in of_the_binding() {
        let (login, first) = begin(&BOTH, &BOTH);
        assert!(first.starts_with("p=tls-exporter,,"));
        let retry = login.failure(rejection.clone()).unwrap();
        assert_eq!(retry.selection().binding(), Some(BindingType::TlsServerEndPoint));
        assert_eq!(retry.selection().refused(), [BindingType::TlsExporter]);
        assert_eq!(retry.selection().mechanism(), &PLUS);
        let (login, first) = step(retry.begin());
        assert!(first.starts_with("p=tls-server-end-point,,"), "{first}");
        let error = login.failure(rejection.clone()).unwrap_err();
        let rejection = Box::new(rejection);
        let refused = BOTH.to_vec();
        assert_eq!(error, Error::BindingRefused { refused, rejection });
    }
}

#[test]
fn the_error_says_that_the_binding_was_refused() {
    let rejection = Rejection::new("malformed-request")
        .with_text("Proposed channel binding type isn't supported.", None);
    let (login, _) = begin(&[BindingType::TlsServerEndPoint], &BOTH);
    assert_eq!(
        login.failure(rejection).unwrap_err().to_string(),
        "the server refused the login bound by tls-server-end-point, and there is nothing else to \
         bind it to: malformed-request (Proposed channel binding type isn't supported.)"
    );
    let (login, _) = begin(&BOTH, &BOTH);
    let (login, _) = step(login.failure(Rejection::new("malformed-request")).unwrap().begin());
    let error = login.failure(Rejection::new("malformed-request")).unwrap_err().to_string();
    assert!(error.contains("bound by tls-exporter and by tls-server-end-point, and"), "{error}");
}

/// Only what both sides have is tried.
#[test]
fn what_the_server_does_not_list_is_not_tried() {
    for (has, lists) in [(&BOTH[..], &BOTH[..1]), (&BOTH[..1], &BOTH[..]), (&BOTH, &BOTH[1..])] {
        let (login, _) = begin(has, lists);
        let rejection = Rejection::new("channel-binding-not-supported");
        let error = login.failure(rejection.clone()).unwrap_err();
        let Error::BindingRefused { refused, rejection: found } = error else {
            panic!("{error}");
        };
        assert_eq!((refused.len(), *found), (1, rejection));
    }
}

#[test]
fn a_wrong_password_is_not_tried_twice() {
    let text = |condition: &str, text: &str| Rejection::new(condition).with_text(text, None);
    for rejection in [
        Rejection::new("not-authorized"),
        text("not-authorized", "Invalid username or password"),
        text("malformed-request", "Invalid username."),
        Rejection::new("invalid-proof"),
        Rejection::new("unknown-user"),
        Rejection::new("server-does-support-channel-binding"),
        Rejection::new("other-error"),
        text("account-disabled", "no channel binding for you"),
        text("temporary-auth-failure", "channel binding"),
        Rejection::new("credentials-expired"),
        Rejection::new("invalid-mechanism"),
        Rejection::new("mechanism-too-weak"),
        Rejection::new("aborted"),
    ] {
        for at_the_end in [false, true] {
            let (mut login, _) = begin(&BOTH, &BOTH);
            if at_the_end {
                login = prove(login);
            }
            let error = login.failure(rejection.clone()).unwrap_err();
            assert_eq!(error, Error::Rejected(Box::new(rejection.clone())));
        }
    }
}

/// Without a binding there is none to be refused.
#[test]
fn a_login_that_is_not_bound_is_not_tried_twice() {
    for rejection in of_the_binding() {
        let turn = support::begin(&MechanismName::SCRAM_SHA_1, alice());
        let (login, _) = servers_move(turn.unwrap());
        let error = login.failure(rejection.clone()).unwrap_err();
        assert_eq!(error, Error::Rejected(Box::new(rejection)));
    }
}

#[test]
fn the_binding_may_be_refused_at_the_end_or_while_keys_are_derived() {
    let (login, _) = begin(&BOTH, &BOTH);
    let retry = prove(login).failure(Rejection::new("malformed-request")).unwrap();
    assert_eq!(retry.selection().binding(), Some(BindingType::TlsServerEndPoint));
    let (login, _) = begin(&BOTH, &BOTH);
    let Turn::Question(pending, _) = login.challenge(published::SERVER_FIRST.as_bytes()).unwrap()
    else {
        panic!("nothing to derive");
    };
    let retry = pending.failure(Rejection::new("malformed-request")).unwrap();
    assert_eq!(retry.selection().binding(), Some(BindingType::TlsServerEndPoint));
    let (login, _) = step(retry.begin());
    let login = prove(login);
    let error = login.success(Some(b"v=AAAA")).unwrap_err();
    assert_eq!(error, fault(&PLUS, PeerFault::SignatureWrong));
}

/// `e=` in a challenge: the login comes to its regular end first, and then begins anew.
#[test]
fn the_binding_may_be_refused_in_a_challenge() {
    for condition in SCRAM_WORDS {
        for at_the_end in [false, true] {
            let refuse = || {
                let (mut login, _) = begin(&BOTH, &BOTH);
                if at_the_end {
                    login = prove(login);
                }
                let (login, first) = step(login.challenge(format!("e={condition}").as_bytes()));
                assert_eq!(first, "");
                login
            };
            let retry = refuse().failure(Rejection::new("not-authorized")).unwrap();
            assert_eq!(retry.selection().refused(), [BindingType::TlsExporter]);
            let (login, _) = step(retry.begin());
            let (login, _) = step(login.challenge(format!("e={condition}").as_bytes()));
            let error = login.failure(Rejection::new("not-authorized")).unwrap_err();
            let rejection = Box::new(Rejection::new(condition));
            assert_eq!(error, Error::BindingRefused { refused: BOTH.to_vec(), rejection });

            let error = refuse().success(None).unwrap_err();
            assert_eq!(error, fault(&PLUS, PeerFault::SuccessAfterFailure));
            let error = refused(refuse().challenge(b"v=AAAA"), "a second challenge");
            assert_eq!(error, fault(&PLUS, PeerFault::UnexpectedChallenge));
        }
    }
    let (login, _) = begin(&BOTH, &BOTH);
    let error = refused(login.challenge(b"e=invalid-proof"), "another word");
    assert_eq!(error, Error::Rejected(Box::new(Rejection::new("invalid-proof"))));
}

/// The reason of a server that closes the stream along with its refusal.
#[test]
fn the_refusal_is_remembered_until_the_server_speaks_again() {
    let rejection = Rejection::new("malformed-request");
    let (login, _) = begin(&BOTH, &BOTH);
    assert_eq!(login.earlier_refusal(), None);
    let (login, _) = step(login.failure(rejection.clone()).unwrap().begin());
    let refused = vec![BindingType::TlsExporter];
    let expected = Error::BindingRefused { refused, rejection: Box::new(rejection) };
    assert_eq!(login.earlier_refusal(), Some(expected));
    assert_eq!(prove(login).earlier_refusal(), None);
}

/// Nobody is asked for a password twice.
#[test]
fn the_password_that_was_asked_for_is_used_again() {
    let who = Credentials::ask("user", SecretKind::Password);
    let (login, _) = begin_as(who, &BOTH, &BOTH);
    let Turn::Question(pending, Question::Secret(SecretKind::Password)) =
        login.challenge(published::SERVER_FIRST.as_bytes()).unwrap()
    else {
        panic!("nobody is asked");
    };
    let turn = pending.answer(Answer::Secret(Secret::password("pencil")));
    let (login, _) = servers_move(derive(turn));
    let retry = login.failure(Rejection::new("malformed-request")).unwrap();
    assert!(!format!("{retry:?}").contains("pencil"));
    let (login, _) = step(retry.begin());
    prove(login); // derives, and asks nothing else
}

#[test]
fn a_login_says_what_it_was_bound_to_in_the_end() {
    let (login, _) = begin(&BOTH, &BOTH);
    let (login, _) = step(login.failure(Rejection::new("malformed-request")).unwrap().begin());
    let (login, proof) = servers_move(derive(login.challenge(published::SERVER_FIRST.as_bytes())));
    let last = String::from_utf8(proof.unwrap().as_bytes().to_vec()).unwrap();
    let authenticated = login.success(Some(server_signature(&last).as_bytes())).unwrap();
    assert_eq!(authenticated.binding(), Some(BindingType::TlsServerEndPoint));
    assert_eq!(authenticated.refused(), [BindingType::TlsExporter]);
}

// Lists that are signed (XEP-0474).

#[test]
fn lists_that_are_signed_right_are_believed() {
    for (name, offer) in offers() {
        for hash in [offer.downgrade_hash(Hash::Sha1), String::new()] {
            let attribute = if hash.is_empty() { hash } else { format!(",h={hash}") };
            let turn = first(&name, &offer, &attribute);
            assert!(matches!(turn, Ok(Turn::Question(..))), "{name} {attribute} {turn:?}");
        }
    }
}

#[test]
fn lists_that_are_signed_wrong_end_the_login() {
    for (name, offer) in offers() {
        let right = offer.downgrade_hash(Hash::Sha1);
        for wrong in [
            offer.downgrade_hash(Hash::Sha256),
            offer.clone().with_channel_bindings(["tls-unique"]).downgrade_hash(Hash::Sha1),
            Offer::new(["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS", "PLAIN"]).downgrade_hash(Hash::Sha1),
            right.trim_end_matches('=').to_owned(),
            right.to_lowercase(),
            "YWJj".to_owned(),
            "x".repeat(10_000),
        ] {
            let error = refused(first(&name, &offer, &format!(",h={wrong}")), &wrong);
            assert_eq!(error, fault(&name, PeerFault::ListsChanged));
        }
    }
}

#[test]
fn a_signature_of_the_lists_that_is_empty_or_comes_twice_is_malformed() {
    let (name, offer) = offers().remove(0);
    let right = offer.downgrade_hash(Hash::Sha1);
    let error = refused(first(&name, &offer, ",h="), "h=");
    let malformed = PeerFault::Malformed("an attribute's value is empty or has a NUL");
    assert_eq!(error, fault(&name, malformed));
    let error = refused(first(&name, &offer, &format!(",h={right},h={right}")), "twice");
    assert_eq!(error, fault(&name, PeerFault::DuplicateAttribute('h')));
}

/// An older draft's attribute means nothing.
#[test]
fn the_older_drafts_attribute_is_passed_over() {
    let (name, offer) = offers().remove(0);
    assert!(first(&name, &offer, ",d=YWJj").is_ok());
}

/// In SASL2 mechanisms that bind and no types are a contradiction too (XEP-0440, rule 4); in the
/// SASL of RFC 6120 old servers are like that.
#[test]
fn sasl2_offers_must_say_what_they_can_be_bound_to() {
    let names = ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"];
    let choose = |offer: Offer, channel: &Channel| {
        let choice = Policy::default().select(&Registry::default(), &alice(), channel, offer);
        choice.map(|choice| choice.mechanism().clone())
    };
    let unlisted = || Offer::new(names);
    assert_eq!(choose(unlisted(), &channel(&BOTH)), Ok(MechanismName::SCRAM_SHA_1));
    let refused = choose(unlisted().by_sasl2(), &channel(&BOTH)).unwrap_err();
    let offered = refused.passed_over.iter().filter(|it| it.offered);
    let reasons: Vec<_> = offered.map(|it| it.reason.clone()).collect();
    assert_eq!(reasons, [Skip::BindingsNotListed, Skip::OfferContradicts, Skip::OfferContradicts]);
    // Who has nothing to bind to looks at neither list.
    assert_eq!(choose(unlisted().by_sasl2(), &channel(&[])), Ok(MechanismName::SCRAM_SHA_1));
    let listed = unlisted().with_channel_bindings(["tls-exporter"]).by_sasl2();
    assert_eq!(choose(listed, &channel(&BOTH)), Ok(PLUS));
    let none = Offer::new(["SCRAM-SHA-1", "PLAIN"]).by_sasl2();
    assert_eq!(choose(none, &channel(&BOTH)), Ok(MechanismName::SCRAM_SHA_1));
    assert_eq!(
        unlisted().by_sasl2().downgrade_hash(Hash::Sha1),
        unlisted().downgrade_hash(Hash::Sha1)
    );
}

// The version of TLS is signed (XEP-0515).

#[test]
fn the_version_of_tls_must_be_ours() {
    let encrypted = Channel::encrypted;
    let versions = [(TlsVersion::Tls12, "0303", "0304"), (TlsVersion::Tls13, "0304", "0303")];
    for (version, right, other) in versions {
        let channel = encrypted().with_tls_version(version);
        for attribute in [String::new(), format!(",t={right}")] {
            assert!(first_over(channel.clone(), &attribute).is_ok(), "{version} {attribute}");
        }
        let padded = format!("{right} ");
        let others = [other, "0302", "0301", "0305", "fefd", "304", "0x0304", "00304", "x"];
        for wrong in others.into_iter().chain([padded.as_str()]) {
            let error = refused(first_over(channel.clone(), &format!(",t={wrong}")), wrong);
            let fault = fault(&MechanismName::SCRAM_SHA_1, PeerFault::TlsVersionChanged);
            assert_eq!(error, fault, "{version} {wrong}");
        }
    }
}

#[test]
fn a_version_where_we_have_none_or_cannot_tell() {
    for attribute in ["", ",t=0303", ",t=0304"] {
        assert!(first_over(Channel::encrypted(), attribute).is_ok(), "{attribute}");
    }
    for channel in [Channel::plaintext(), Channel::loopback()] {
        assert!(first_over(channel.clone(), "").is_ok());
        let error = refused(first_over(channel, ",t=0304"), "TLS on one side");
        assert_eq!(error, fault(&MechanismName::SCRAM_SHA_1, PeerFault::TlsVersionChanged));
    }
}

#[test]
fn a_version_that_is_empty_or_comes_twice_is_malformed() {
    let channel = || Channel::encrypted().with_tls_version(TlsVersion::Tls13);
    let scram = MechanismName::SCRAM_SHA_1;
    let malformed = PeerFault::Malformed("an attribute's value is empty or has a NUL");
    assert_eq!(refused(first_over(channel(), ",t="), "t="), fault(&scram, malformed));
    let twice = refused(first_over(channel(), ",t=0304,t=0303"), "twice");
    assert_eq!(twice, fault(&scram, PeerFault::DuplicateAttribute('t')));
}

/// The conversation of XEP-0515, section 4.3, in which lists and version are signed.
#[test]
fn the_published_messages_of_a_signed_version() {
    let nonce = "12C4CD5C-E38E-4A98-8F6D-15C38F51CCC6";
    let channel = Channel::encrypted()
        .with_tls_version(TlsVersion::Tls13)
        .with_binding(Binding::new(BindingType::TlsExporter, "THIS IS FAKE CB DATA"));
    let offer = Offer::new(["SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"])
        .with_channel_bindings(["tls-server-end-point", "tls-exporter"])
        .by_sasl2();
    let registry = registry_with_nonce(nonce);
    let choice = Policy::default().select(&registry, &alice(), &channel, offer).unwrap();
    let (login, sent) = step(Exchange::begin(choice, alice(), channel));
    assert_eq!(sent, format!("p=tls-exporter,,n=user,r={nonce}"));
    let rest = "a09117a6-ac50-4f2f-93f1-93799c2bddf6";
    let lists = "h=G6k/rBLDqgOhRRaCuuatSDFkJ08=";
    let challenge = format!("r={nonce}{rest},s=QSXCR+Q6sek8bf92,i=4096,{lists},t=0304");
    let (login, sent) = step(Ok(derive(login.challenge(challenge.as_bytes()))));
    let binding = "cD10bHMtZXhwb3J0ZXIsLFRISVMgSVMgRkFLRSBDQiBEQVRB";
    assert_eq!(sent, format!("c={binding},r={nonce}{rest},p=KHUfN8dSy1K95crT4D5y1ItLJfs="));
    assert!(login.success(Some(b"v=3w34ZIMVRkx2f2Ozb3/ecRPVdv4=")).is_ok());
}

/// The published first message with an attribute more, over this channel.
fn first_over(channel: Channel, attribute: &str) -> Result<Turn, Error> {
    let (registry, offer) = (registry_with_nonce(published::NONCE), Offer::new(["SCRAM-SHA-1"]));
    let choice = Policy::default().select(&registry, &alice(), &channel, offer).unwrap();
    let (login, _) = servers_move(Exchange::begin(choice, alice(), channel).unwrap());
    login.challenge(format!("{}{attribute}", published::SERVER_FIRST).as_bytes())
}

/// With binding and without, with a list of types and without.
fn offers() -> Vec<(MechanismName, Offer)> {
    let bound = Offer::new(["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "not a name"])
        .with_channel_bindings(["tls-server-end-point", "tls-unique", "tls-exporter"]);
    let unbound = Offer::new(["SCRAM-SHA-1"]);
    vec![(PLUS, bound), (MechanismName::SCRAM_SHA_1, unbound)]
}

/// A login that has got the server's first message, with an attribute more.
fn first(name: &MechanismName, offer: &Offer, attribute: &str) -> Result<Turn, Error> {
    let registry = registry_with_nonce(published::NONCE);
    let channel = channel(&BOTH);
    let choice = Policy::default().select(&registry, &alice(), &channel, offer.clone()).unwrap();
    assert_eq!(choice.mechanism(), name);
    let (login, _) = servers_move(Exchange::begin(choice, alice(), channel).unwrap());
    login.challenge(format!("{}{attribute}", published::SERVER_FIRST).as_bytes())
}

const SCRAM_WORDS: [&str; 3] = [
    "channel-bindings-dont-match",
    "channel-binding-not-supported",
    "unsupported-channel-binding-type",
];

fn of_the_binding() -> Vec<Rejection> {
    let mut all = SCRAM_WORDS.map(Rejection::new).to_vec();
    all.push(Rejection::new("malformed-request"));
    for (condition, text) in [
        ("malformed-request", "Proposed channel binding type isn't supported."),
        ("malformed-request", "Invalid channel binding value."),
        ("not-authorized", "Invalid channel binding"),
        ("not-authorized", "Channel-Binding data mismatch"),
    ] {
        all.push(Rejection::new(condition).with_text(text, Some("en".to_owned())));
    }
    all
}

fn alice() -> Credentials {
    Credentials::password("user", "pencil")
}

fn channel(has: &[BindingType]) -> Channel {
    has.iter().fold(Channel::encrypted(), |channel, kind| {
        let data = if *kind == BindingType::TlsExporter { "exporter 123" } else { "end point 12" };
        channel.with_binding(Binding::new(*kind, data))
    })
}

fn begin(has: &[BindingType], lists: &[BindingType]) -> (Exchange, String) {
    begin_as(alice(), has, lists)
}

fn begin_as(who: Credentials, has: &[BindingType], lists: &[BindingType]) -> (Exchange, String) {
    let offer = Offer::new(["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"])
        .with_channel_bindings(lists.iter().map(|kind| kind.name()));
    let registry = registry_with_nonce(published::NONCE);
    let choice = Policy::default().select(&registry, &who, &channel(has), offer).unwrap();
    step(Exchange::begin(choice, who, channel(has)))
}

fn step(turn: Result<Turn, Error>) -> (Exchange, String) {
    let (login, sent) = servers_move(turn.unwrap());
    (login, String::from_utf8(sent.unwrap().as_bytes().to_vec()).unwrap())
}

/// Goes on to where the server's signature is due.
fn prove(login: Exchange) -> Exchange {
    servers_move(derive(login.challenge(published::SERVER_FIRST.as_bytes()))).0
}
