//! What a server demands after the login and before it lets anybody in (XEP-0388, section 2.6.3), and
//! upgrades of its keys (XEP-0480), against the embedded server in memory.

use epode::{
    Builder, Client, Element, Error, SaslProfile, TaskAnswer, TaskOffer,
    proto::{self, Profile},
    sasl::{Binding, BindingType, Channel, MechanismName},
};
use epode_testpeer::{Server, ServerBuilder, SessionChannel};

const PASSWORD: &str = "correct horse";
const TASK: &str = "X-ONE-TIME-CODE";
const NAMESPACE: &str = "urn:epode:one-time-code:0";

fn server() -> ServerBuilder {
    Server::builder("example.org").account("alice", PASSWORD)
}

/// Over a channel to which a login can be bound.
fn client(server: &Server) -> Builder {
    let kind = BindingType::TlsServerEndPoint;
    let channel = Channel::encrypted().with_binding(Binding::new(kind, "the certificate"));
    let end = SessionChannel::encrypted().with_binding(kind.name(), "the certificate");
    let builder = Client::builder("alice@example.org").unwrap();
    let builder = builder.endpoint("wss://example.org/xmpp-websocket").unwrap();
    let builder = builder.password(PASSWORD).sasl_profile(SaslProfile::Sasl2);
    builder.over(server.memory_link(end), channel)
}

fn code(text: &str) -> Vec<Element> {
    vec![Element::new("code", NAMESPACE).with_text(text)]
}

#[tokio::test]
async fn a_code_is_shown_at_once_or_when_asked_for() {
    for at_once in [true, false] {
        let server = server().one_time_code("alice", "123456").build();
        let client = client(&server).tasks(move |offer| async move {
            match offer {
                TaskOffer::Choose { tasks, .. } => {
                    assert_eq!(tasks, [TASK]);
                    let content = if at_once { code("123456") } else { Vec::new() };
                    TaskAnswer::Begin { task: TASK.to_owned(), content }
                }
                TaskOffer::Data { task, .. } => {
                    assert_eq!((task.as_str(), at_once), (TASK, false));
                    TaskAnswer::Data(code("123456"))
                }
                other => panic!("{other:?}"),
            }
        });
        let session = client.connect().await.unwrap();
        assert_eq!(session.login().unwrap().profile, Profile::Sasl2);
        session.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn nobody_gets_in_without_it() {
    let server = server().one_time_code("alice", "123456").build();
    let demanded = client(&server).connect().await.unwrap_err();
    assert_eq!(demanded.condition(), "task-demanded");
    assert!(demanded.to_string().contains(TASK), "{demanded}");

    let wrong = |_| async { TaskAnswer::Begin { task: TASK.to_owned(), content: code("654321") } };
    let refused = client(&server).tasks(wrong).connect().await.unwrap_err();
    assert_eq!(refused.condition(), "not-authorized");

    let gives_up = |_| async { TaskAnswer::Refuse("the phone is lost".to_owned()) };
    let given_up = client(&server).tasks(gives_up).connect().await.unwrap_err();
    assert!(given_up.to_string().contains("the phone is lost"), "{given_up}");

    let unknown = |_| async { TaskAnswer::Begin { task: "X".to_owned(), content: Vec::new() } };
    assert!(client(&server).tasks(unknown).connect().await.is_err());
}

#[tokio::test]
async fn keys_are_upgraded_where_the_application_says_so() {
    for upgrades in [false, true] {
        let server = server().stored_for("alice", ["SCRAM-SHA-1"]).build();
        let first = client(&server).upgrades(upgrades).connect().await.unwrap();
        assert_eq!(first.login().unwrap().mechanism, MechanismName::SCRAM_SHA_1_PLUS);
        first.disconnect().await.unwrap();
        let second = client(&server).connect().await.unwrap();
        let expected = if upgrades {
            MechanismName::SCRAM_SHA_512_PLUS
        } else {
            MechanismName::SCRAM_SHA_1_PLUS
        };
        assert_eq!(second.login().unwrap().mechanism, expected);
        second.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn keys_are_not_upgraded_over_a_channel_that_binds_nothing() {
    let server = server().stored_for("alice", ["SCRAM-SHA-1"]).build();
    for _ in 0..2 {
        let link = server.memory_link(SessionChannel::encrypted());
        let builder = Client::builder("alice@example.org").unwrap().upgrades(true);
        // What it offers by the older profile is for all accounts.
        let builder = builder.sasl_profile(SaslProfile::Sasl2);
        let builder = builder.endpoint("wss://example.org/xmpp-websocket").unwrap();
        let session =
            builder.password(PASSWORD).over(link, Channel::encrypted()).connect().await.unwrap();
        assert_eq!(session.login().unwrap().mechanism, MechanismName::SCRAM_SHA_1);
        session.disconnect().await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_demands_an_upgrade_unasked_is_refused() {
    let fault = epode_testpeer::Sasl2Fault::UpgradeUnasked;
    let server = server().sasl2_fault(fault).build();
    let error = client(&server).connect().await.unwrap_err();
    let is_typed = matches!(error, Error::Connection(proto::Error::TasksDemanded { .. }));
    assert!(is_typed, "{error:?}");
}
