//! The services, between clients of a small server and with the server itself. In memory.

use std::{ops::ControlFlow, time::Duration};

use epode::{
    Client, Element, Error, Jid, Outbox, Pattern, Reconnect, RequestError, Session, Status,
    sasl::Channel,
    services::{
        ServiceError,
        carbons::{self, Carbon, CarbonError, Copied},
        disco::{self, Identity, Registry},
        entity_caps::Capabilities,
        ping,
        presence::{self, PresenceError},
        receipts::{self, Delivered, Incoming, Messages},
        roster::{Item, Roster, RosterError, Subscription},
        version::{self, Version},
    },
    stanza::{Iq, Message, Presence, StanzaErrorCondition as Condition},
};
use epode_testpeer::{ListenOptions, Server, ServerBuilder, SessionChannel};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

const CLIENT: &str = "jabber:client";

fn builder() -> ServerBuilder {
    let server = Server::builder("localhost").mechanisms(["PLAIN"]);
    ["alice", "bob", "mallory"].iter().fold(server, |server, user| server.account(user, "secret"))
}

async fn connect(server: &Server, jid: &str) -> Session {
    let client = Client::builder(jid).unwrap().password("secret");
    let client = client.endpoint("wss://localhost/xmpp-websocket").unwrap();
    let link = server.memory_link(SessionChannel::encrypted());
    client.over(link, Channel::encrypted()).connect().await.unwrap()
}

fn jid(text: &str) -> Jid {
    text.parse().unwrap()
}

/// Why a request was refused.
#[track_caller]
fn refusal<T: std::fmt::Debug>(answer: Result<T, impl Into<ServiceError>>) -> Condition {
    match answer.unwrap_err().into() {
        ServiceError::Request(RequestError::Refused(error)) => error.condition,
        other => panic!("{other:?}"),
    }
}

/// Answers each request with these elements.
fn answer_always(outbox: &Outbox, namespace: &str, content: &str) {
    let query = Element::parse(&format!("<query xmlns='{namespace}'>{content}</query>")).unwrap();
    let own = outbox.clone();
    let handler = move |request: Element| {
        let (own, query) = (own.clone(), query.clone());
        async move {
            own.send(Iq::result(&request).with(query)).await.unwrap();
            ControlFlow::Break(())
        }
    };
    outbox.handlers().add_async(Pattern::iq().kind("get"), handler).unwrap();
}

#[tokio::test]
async fn a_server_says_what_it_is() {
    let session = connect(&builder().build(), "alice@localhost").await;
    let (outbox, server) = (session.outbox(), jid("localhost"));
    let info = disco::info(&outbox, &server, None).await.unwrap();
    assert_eq!((&*info.identities[0].category, &*info.identities[0].kind), ("server", "im"));
    assert!(info.has_feature(carbons::NAMESPACE) && !info.has_feature("urn:x"), "{info:?}");
    assert_eq!(disco::items(&outbox, &server, None).await, Ok(vec![]));
    let nothing = disco::info(&outbox, &server, Some("n")).await;
    assert_eq!(refusal(nothing), Condition::ItemNotFound);
    assert_eq!(refusal(disco::items(&outbox, &server, Some("n")).await), Condition::ItemNotFound);
    session.disconnect().await.unwrap();
}

#[tokio::test]
async fn wrong_answers_are_told_apart() {
    let server = builder().build();
    let (alice, bob) =
        (connect(&server, "alice@localhost/a").await, connect(&server, "bob@localhost/b").await);
    let (outbox, to) = (alice.outbox(), bob.jid());
    for (answer, why) in [
        ("<identity type='im'/>", "an identity without category or type"),
        ("<identity category='server'/>", "an identity without category or type"),
        ("<feature/>", "a feature without a name"),
    ] {
        answer_always(&bob.outbox(), disco::INFO, answer);
        let info = disco::info(&outbox, &to, None).await;
        assert_eq!(info, Err(ServiceError::BadAnswer(why)), "{answer}");
    }
    for answer in ["<item/>", "<item jid='@'/>", "<item jid='a@b'/><item jid=''/>"] {
        answer_always(&bob.outbox(), disco::ITEMS, answer);
        let items = disco::items(&outbox, &to, None).await;
        assert_eq!(items, Err(ServiceError::BadAnswer("an item without an address")), "{answer}");
    }
    for (namespace, answer, why) in [
        (version::NAMESPACE, "<version>1</version>", "a version without a name"),
        (version::NAMESPACE, "<name>x</name>", "a name without a version"),
        (disco::INFO, "<name>x</name><version>1</version>", "it lacks what was asked for"),
    ] {
        answer_always(&bob.outbox(), namespace, answer);
        let version = version::ask(&outbox, &to).await;
        assert_eq!(version, Err(ServiceError::BadAnswer(why)), "{answer}");
    }
}

#[tokio::test]
async fn we_say_what_we_are() {
    let server = builder().build();
    let (alice, bob) =
        (connect(&server, "alice@localhost/a").await, connect(&server, "bob@localhost/b").await);
    let registry =
        Registry::new("https://example.org", Identity::new("client", "pc").with_name("Example"));
    let answering = registry.answer(&alice.outbox()).unwrap();
    let before = registry.capabilities();
    registry.add_feature(receipts::NAMESPACE);
    assert_ne!(registry.capabilities(), before);

    let (outbox, us) = (bob.outbox(), alice.jid());
    let info = disco::info(&outbox, &us, None).await.unwrap();
    assert_eq!(info, registry.info());
    assert!(info.has_feature(receipts::NAMESPACE));
    let presence = Element::from(Presence::available().with(registry.capabilities()));
    let shown = Capabilities::of(&presence).unwrap();
    let known = disco::info(&outbox, &us, Some(&shown.disco_node())).await.unwrap();
    assert!(shown.fits(&known) && !before.fits(&known));
    assert_eq!(disco::items(&outbox, &us, None).await, Ok(vec![]));
    for node in [before.disco_node(), "https://example.org".to_owned(), String::new()] {
        let refused = disco::info(&outbox, &us, Some(&node)).await;
        assert_eq!(refusal(refused), Condition::ItemNotFound, "{node}");
    }
    assert_eq!(refusal(disco::items(&outbox, &us, Some("n")).await), Condition::ItemNotFound);

    registry.remove_feature(receipts::NAMESPACE);
    assert_eq!(registry.capabilities(), before);
    drop(answering);
    assert_eq!(refusal(disco::info(&outbox, &us, None).await), Condition::ServiceUnavailable);
}

#[tokio::test]
async fn versions_are_asked_and_told() {
    let server = builder().build();
    let (alice, bob) =
        (connect(&server, "alice@localhost/a").await, connect(&server, "bob@localhost/b").await);
    let theirs = version::ask(&alice.outbox(), &jid("localhost")).await.unwrap();
    assert_eq!((theirs.name.as_str(), theirs.os), ("epode-testpeer", None));
    let ours = Version::new("Example <1>", "2").with_os("none");
    let _answering = version::answer(&alice.outbox(), ours.clone()).unwrap();
    assert_eq!(version::ask(&bob.outbox(), &alice.jid()).await, Ok(ours));
    let nobody = version::ask(&alice.outbox(), &bob.jid()).await;
    assert_eq!(refusal(nobody), Condition::ServiceUnavailable);
    // A request for something else, in which one for the version stands.
    let inner = Element::new("query", version::NAMESPACE);
    let other = Iq::get(Element::new("x", "urn:x").with_child(inner)).to(alice.jid());
    assert_eq!(refusal(bob.send_iq(other).await), Condition::ServiceUnavailable);
}

#[tokio::test]
async fn pings_are_answered() {
    let server = builder().build();
    let (alice, bob) =
        (connect(&server, "alice@localhost/a").await, connect(&server, "bob@localhost/b").await);
    for to in [jid("localhost"), jid("alice@localhost"), bob.jid()] {
        ping::ping(&alice.outbox(), &to).await.unwrap();
    }
    for (to, why) in [
        ("bob@localhost/away", Condition::ServiceUnavailable),
        ("nobody@localhost/x", Condition::ServiceUnavailable),
        ("elsewhere.example", Condition::RemoteServerNotFound),
    ] {
        let pong = ping::ping(&alice.outbox(), &jid(to)).await;
        assert_eq!(refusal(pong), why, "{to}");
    }
}

#[tokio::test]
async fn the_roster_follows_what_other_clients_change() {
    let server = builder().build();
    let (here, there) =
        (connect(&server, "alice@localhost/a").await, connect(&server, "alice@localhost/b").await);
    let ours = Roster::fetch(&here.outbox(), 2).await.unwrap();
    let theirs = Roster::fetch(&there.outbox(), 2).await.unwrap();
    assert_eq!(ours.items(), []);
    let bob = Item::new(jid("bob@localhost")).with_name("<Bob>").with_group("friends");
    let mut changes = ours.changes();
    changes.mark_unchanged();
    theirs.set(&bob).await.unwrap();
    changes.changed().await.unwrap();
    assert_eq!(ours.item(&jid("BOB@localhost")), Some(bob.clone()));
    assert_eq!(bob.subscription, Subscription::None);
    theirs.remove(&bob.jid).await.unwrap();
    changes.changed().await.unwrap();
    assert_eq!(ours.items(), []);
    assert_eq!(refusal(theirs.remove(&bob.jid).await), Condition::ItemNotFound);

    drop(ours); // it hears of nothing any more, and asks again
    for name in ["a@b", "c@b", "d@b"] {
        theirs.set(&Item::new(jid(name))).await.unwrap();
    }
    let too_large = Roster::fetch(&here.outbox(), 2).await.map(|roster| roster.items());
    assert_eq!(too_large, Err(RosterError::TooLarge { limit: 2 }));
    let roster = Roster::fetch(&here.outbox(), 3).await.unwrap();
    assert_eq!(roster.items().len(), 3);
    roster.renew().await.unwrap();
    assert_eq!(roster.items().len(), 3);
}

/// Carries connections to a server, and cuts the first one when it is told to.
async fn way_to(far: std::net::SocketAddr) -> (std::net::SocketAddr, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, is_cut) = oneshot::channel();
    tokio::spawn(async move {
        let carry = async || {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(far).await.unwrap();
            copy_bidirectional(&mut near, &mut far).await
        };
        tokio::select! {
            _ = carry() => {}
            _ = is_cut => {}
        }
        let _ = carry().await;
    });
    (address, cut)
}

#[tokio::test]
async fn a_new_session_asks_for_the_roster_again() {
    let server = builder().resumption(Duration::ZERO).build();
    let running = server.listen(ListenOptions::default()).await.unwrap();
    let (address, cut) = way_to(running.starttls()).await;
    let mut client = Client::builder("alice@localhost/a").unwrap().password("secret");
    let mut statuses = client.watch();
    let client = client.endpoint(&format!("xmpp://{address}")).unwrap();
    let client = client.ca_pem(running.ca_pem()).unwrap();
    let session = client.reconnect(Reconnect::default().first(Duration::ZERO)).connect().await;
    let (session, other) = (session.unwrap(), connect(&server, "alice@localhost/b").await);
    let ours = Roster::fetch(&session.outbox(), 10).await.unwrap();
    let theirs = Roster::fetch(&other.outbox(), 10).await.unwrap();
    let mut changes = ours.changes();
    let mut connected = async || loop {
        if let Some(Status::Connected(connected)) = statuses.next().await {
            return connected.resumed;
        }
    };
    assert!(!connected().await);

    cut.send(()).unwrap();
    assert!(!connected().await, "it is not to be resumed");
    theirs.set(&Item::new(jid("bob@localhost"))).await.unwrap();
    assert_eq!(ours.items(), [], "nobody has asked yet");
    ours.renew().await.unwrap();
    assert_eq!(ours.items().len(), 1);
    changes.mark_unchanged();
    theirs.remove(&jid("bob@localhost")).await.unwrap();
    changes.changed().await.unwrap();
    assert_eq!(ours.items(), []);
}

#[tokio::test]
async fn nobody_else_changes_our_roster() {
    let server = builder().build();
    let (alice, other) =
        (connect(&server, "alice@localhost/a").await, connect(&server, "alice@localhost/b").await);
    let mallory = connect(&server, "mallory@localhost/m").await;
    let roster = Roster::fetch(&alice.outbox(), 10).await.unwrap();
    let item = Element::new("item", "jabber:iq:roster").with_attr("jid", "mallory@localhost");
    let push = Element::new("query", "jabber:iq:roster").with_child(item);
    for sender in [mallory.outbox(), other.outbox(), alice.outbox()] {
        let pushed = sender.send_iq(Iq::set(push.clone()).to(alice.jid())).await;
        assert_eq!(refusal(pushed), Condition::ServiceUnavailable, "{}", sender.jid());
    }
    assert_eq!(roster.items(), []);
}

#[tokio::test]
async fn copies_of_messages_come_to_those_who_want_them() {
    let server = builder().build();
    let (here, mut there) =
        (connect(&server, "alice@localhost/a").await, connect(&server, "alice@localhost/b").await);
    let bob = connect(&server, "bob@localhost/b").await;
    carbons::enable(&there.outbox()).await.unwrap();
    here.send(Message::chat(bob.jid()).body("to Bob")).await.unwrap();
    bob.send(Message::chat(here.jid()).body("to Alice")).await.unwrap();
    let account = there.jid();
    for (copied, text) in [(Copied::Sent, "to Bob"), (Copied::Received, "to Alice")] {
        let copy = there.receive().await.unwrap();
        let carbon = Carbon::unwrap(&copy, &account).unwrap().unwrap();
        let body = epode::stanza::body(&carbon.message, &[]);
        assert_eq!((carbon.copied, body.as_deref()), (copied, Some(text)));
    }
    carbons::disable(&there.outbox()).await.unwrap();
    here.send(Message::chat(bob.jid()).body("alone")).await.unwrap();

    // Whoever is not our account is not believed.
    let inner = Element::from(Message::chat(jid("bob@localhost")).body("I owe you"));
    let forwarded = Element::new("forwarded", "urn:xmpp:forward:0").with_child(inner);
    let sent = Element::new("sent", carbons::NAMESPACE).with_child(forwarded);
    for forger in [&bob, &here] {
        forger.send(Message::chat(&account).with(sent.clone())).await.unwrap();
        let forged = there.receive().await.unwrap();
        assert_eq!(Carbon::unwrap(&forged, &account), Err(CarbonError::Forged));
    }
}

#[test]
fn only_whole_copies_are_unwrapped() {
    let account = jid("alice@localhost/a");
    let unwrap = |start: &str, content: &str| {
        let xml = format!("<{start}>{content}</{}>", start.split(' ').next().unwrap());
        Carbon::unwrap(&Element::parse(&xml).unwrap(), &account)
    };
    let ours = "message xmlns='jabber:client' from='alice@localhost'";
    let (message, forward) = ("<message xmlns='jabber:client'/>", "xmlns='urn:xmpp:forward:0'");
    let sent = |inner: &str| format!("<sent xmlns='urn:xmpp:carbons:2'>{inner}</sent>");
    let whole = sent(&format!("<forwarded {forward}>{message}</forwarded>"));
    assert!(unwrap(ours, &whole).unwrap().is_some());
    for bad in [
        sent(""),
        sent(message),
        sent(&format!("<forwarded {forward}/>")),
        sent(&format!("<forwarded {forward}>{message}{message}</forwarded>")),
    ] {
        assert_eq!(unwrap(ours, &bad), Err(CarbonError::Malformed), "{bad}");
    }
    for forger in ["", "from=''", "from='localhost'", "from='alice@localhost/a'"] {
        let start = format!("message xmlns='jabber:client' {forger}");
        assert_eq!(unwrap(&start, &whole), Err(CarbonError::Forged), "{forger}");
    }
    for (start, content) in [(ours, ""), (ours, message), ("iq xmlns='jabber:client'", &whole)] {
        assert_eq!(unwrap(start, content), Ok(None), "{start} {content}");
    }
}

#[tokio::test]
async fn receipts_are_given_to_those_who_may_know() {
    let server = builder().build();
    let alice = connect(&server, "alice@localhost/a").await;
    let (bob, mallory) =
        (connect(&server, "bob@localhost/b").await, connect(&server, "mallory@localhost/m").await);
    let friend = bob.jid().bare();
    let mut received =
        Messages::receive(&alice.outbox(), move |sender| sender.bare() == friend).unwrap();
    let mut returned = Messages::receive(&bob.outbox(), |_| true).unwrap();
    let mut withheld = Messages::receive(&mallory.outbox(), |_| true).unwrap();
    for sender in [&mallory, &bob] {
        let message = Message::chat(alice.jid()).id("m1").body("Are you there?");
        sender.send(receipts::request(message)).await.unwrap();
        let Some(Incoming::Message(message)) = received.next().await else { panic!() };
        assert_eq!(message.attr("from"), Some(sender.jid().as_str()));
    }
    let Some(Incoming::Delivered(delivered)) = returned.next().await else { panic!() };
    assert_eq!((delivered.id.as_str(), &delivered.from), ("m1", &alice.jid()));

    // Nothing has come to her when the next message does.
    alice.send(Message::chat(mallory.jid()).id("m2").body("No")).await.unwrap();
    let Some(Incoming::Message(message)) = withheld.next().await else { panic!() };
    assert_eq!(message.attr("id"), Some("m2"));
}

#[test]
fn not_every_message_is_due_a_receipt() {
    let message = |start: &str, content: &str| {
        let xml = format!("<message xmlns='{CLIENT}' {start}>{content}</message>");
        Element::parse(&xml).unwrap()
    };
    let (request, received) =
        ("<request xmlns='urn:xmpp:receipts'/>", "<received xmlns='urn:xmpp:receipts' id='1'/>");
    let good = message("from='a@b/c' id='1' type='chat'", request);
    assert_eq!(
        receipts::due(&good).unwrap().child("received", receipts::NAMESPACE).unwrap().attr("id"),
        Some("1")
    );
    for (start, content) in [
        ("from='a@b/c' id='1'", ""),
        ("from='a@b/c'", request),
        ("id='1'", request),
        ("from='@' id='1'", request),
        ("from='a@b/c' id='1' type='error'", request),
        ("from='a@b/c' id='1' type='groupchat'", request),
        ("from='a@b/c' id='1'", &format!("{request}{received}")),
    ] {
        assert_eq!(receipts::due(&message(start, content)), None, "{start} {content}");
    }
    assert!(Delivered::of(&message("from='a@b/c'", received)).is_some());
    for (start, content) in [
        ("from='a@b/c'", request),
        ("", received),
        ("from='a@b/c' type='error'", received),
        ("from='a@b/c'", "<received xmlns='urn:xmpp:receipts'/>"),
    ] {
        assert_eq!(Delivered::of(&message(start, content)), None, "{start} {content}");
    }
}

/// Answers presence as a room does.
fn answer_presence(outbox: &Outbox, answer: fn(&Element) -> Element) {
    let own = outbox.clone();
    let handler = move |presence: Element| {
        let own = own.clone();
        let mut answer = answer(&presence);
        answer.set_attr("to", presence.attr("from").unwrap());
        async move {
            own.send(answer).await.unwrap();
            ControlFlow::Continue(())
        }
    };
    outbox.handlers().add_async(Pattern::presence(), handler).unwrap();
}

#[tokio::test(start_paused = true)]
async fn directed_presence_is_answered() {
    let server = builder().build();
    let (alice, bob) =
        (connect(&server, "alice@localhost/a").await, connect(&server, "bob@localhost/b").await);
    let mallory = connect(&server, "mallory@localhost/m").await;
    let limit = Duration::from_secs(10);
    let outbox = alice.outbox();
    let enter = |to: &Session| presence::send(&outbox, Presence::available().to(to.jid()), limit);
    answer_presence(&bob.outbox(), |presence| {
        Presence::available().id(presence.attr("id").unwrap()).into()
    });
    let own = enter(&bob).await.unwrap();
    assert_eq!(own.attr("from"), Some("bob@localhost/b"));

    // Another id is no answer, and nor is another sender.
    answer_presence(&mallory.outbox(), |_| Presence::available().id("guessed").into());
    assert_eq!(enter(&mallory).await, Err(PresenceError::TimedOut));
    let away = Presence::available().to(jid("bob@localhost/away"));
    assert_eq!(presence::send(&alice.outbox(), away, limit).await, Err(PresenceError::TimedOut));
    let to_all = presence::send(&alice.outbox(), Presence::available(), limit).await;
    assert_eq!(to_all, Err(PresenceError::NotDirected));
}

#[tokio::test(start_paused = true)]
async fn directed_presence_is_refused() {
    let server = builder().build();
    let (alice, bob) =
        (connect(&server, "alice@localhost/a").await, connect(&server, "bob@localhost/b").await);
    answer_presence(&bob.outbox(), |presence| {
        Element::parse(&format!(
            "<presence xmlns='jabber:client' type='error' id='{}'><error type='cancel'>\
             <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>",
            presence.attr("id").unwrap()
        ))
        .unwrap()
    });
    let limit = Duration::from_secs(10);
    let outbox = alice.outbox();
    let enter = || presence::send(&outbox, Presence::available().to(bob.jid()), limit);
    match enter().await {
        Err(PresenceError::Refused(error)) => assert_eq!(error.condition, Condition::Conflict),
        other => panic!("{other:?}"),
    }
    alice.disconnect().await.unwrap();
    assert_eq!(enter().await, Err(PresenceError::Session(Error::Ended)));
}
