//! `chat`: a conversation with somebody who uses the library, in this process.

use std::process::Stdio;

use crate::support::{Folder, LIMIT, PASSWORD, Peer, Run, command};
use epode::{
    Client, Element, Session,
    services::{disco, receipts, version},
    stanza::{Message, Presence, Show, body},
};
use epode_testpeer::Server;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdin, ChildStdout},
    sync::watch,
    task::JoinSet,
    time::timeout,
};

async fn peer() -> Peer {
    let server = Server::builder("localhost").account("alice", PASSWORD).account("bob", PASSWORD);
    Peer::of(server.build()).await
}

async fn bob(peer: &Peer) -> Session {
    let bob = Client::builder("bob@localhost/b").unwrap().password(PASSWORD);
    bob.endpoint(peer.running.ws_url()).unwrap().connect().await.unwrap()
}

/// A chat as alice with bob.
struct Chat {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Chat {
    fn start(folder: &Folder, via: &str, flags: &str) -> Self {
        let mut command = command(folder);
        let chat = "chat --as alice@localhost/a bob@localhost --password-file alice.password";
        command.args(format!("{chat} --via {via} {flags}").split_whitespace());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { stdin: child.stdin.take(), child, stdout }
    }

    async fn type_in(&mut self, text: &str) {
        self.stdin.as_mut().unwrap().write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line, its time left out.
    async fn line(&mut self) -> String {
        let mut line = String::new();
        timeout(LIMIT, self.stdout.read_line(&mut line)).await.unwrap().unwrap();
        let is_time = |time: &str| time.len() == 9 && time.ends_with('Z');
        match line.trim_end_matches('\n').split_once(' ') {
            Some((time, rest)) if is_time(time) => rest.to_owned(),
            _ => line.trim_end_matches('\n').to_owned(),
        }
    }

    async fn expect(&mut self, lines: &[&str]) {
        for line in lines {
            assert_eq!(self.line().await, *line);
        }
    }

    /// Ends the input, and expects what still comes.
    async fn end(mut self, lines: &[&str]) {
        self.stdin = None;
        self.expect(lines).await;
        let output = timeout(LIMIT, self.child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(Run::new(&output).expect(0).stderr, "");
    }
}

/// The next message, and its receipt given.
async fn receive(session: &mut Session) -> String {
    loop {
        let stanza = timeout(LIMIT, session.receive()).await.unwrap().unwrap();
        if let Some(text) = body(&stanza, &[]) {
            session.send(receipts::due(&stanza).unwrap()).await.unwrap();
            return text;
        }
    }
}

#[tokio::test]
async fn a_conversation_is_shown_line_by_line() {
    let peer = peer().await;
    let mut bob = bob(&peer).await;
    let mut chat = Chat::start(&peer.folder, peer.running.ws_url(), "");
    chat.expect(&["* online: alice@localhost/a"]).await;
    chat.type_in("Hello, <Bob>!\n\n").await;
    assert_eq!(receive(&mut bob).await, "Hello, <Bob>!");
    chat.expect(&["me [1]: Hello, <Bob>!", "[1] sent", "[1] server has it", "[1] delivered"]).await;

    let alice = "alice@localhost/a".parse::<epode::Jid>().unwrap();
    let away = Presence::available().to(&alice).show(Show::Away).status("at\u{9b}2J lunch");
    bob.send(away).await.unwrap();
    chat.expect(&["* bob@localhost/b is away: at\\u{9b}2J lunch"]).await;
    let message = Message::chat(&alice).id("m1").body("Hi\n* offline");
    bob.send(receipts::request(message)).await.unwrap();
    chat.expect(&["bob@localhost/b: Hi", "  | * offline"]).await;
    let receipt = timeout(LIMIT, bob.receive()).await.unwrap().unwrap();
    assert_eq!(receipts::Delivered::of(&receipt).unwrap().id, "m1");
    bob.send(Presence::unavailable().to(&alice)).await.unwrap();
    chat.expect(&["* bob@localhost/b is offline"]).await;

    let outbox = bob.outbox();
    let info = disco::info(&outbox, &alice, None).await.unwrap();
    assert!(info.has_feature(receipts::NAMESPACE));
    assert_eq!(version::ask(&outbox, &alice).await.unwrap().name, "epode");
    chat.end(&["* offline", ""]).await;
}

#[tokio::test]
async fn what_is_piped_in_arrives_before_the_end() {
    let peer = peer().await;
    let mut bob = bob(&peer).await;
    let mut chat = Chat::start(&peer.folder, peer.running.ws_url(), "--json");
    chat.type_in("one\ntwo").await;
    chat.stdin = None;
    let mut texts = Vec::new();
    while texts.len() < 2 {
        let stanza = timeout(LIMIT, bob.receive()).await.unwrap().unwrap();
        texts.extend(body(&stanza, &[])); // no receipt
    }
    assert_eq!(texts, ["one", "two"]);
    let mut objects: Vec<serde_json::Value> = Vec::new();
    loop {
        match chat.line().await {
            line if line.is_empty() => break,
            line => objects.push(serde_json::from_str(&line).unwrap()),
        }
    }
    let of = |line| {
        let is_its = |object: &&serde_json::Value| object["line"] == line;
        let words = |object: &serde_json::Value| {
            let word = object["mark"].as_str().or_else(|| object["text"].as_str());
            format!("{} {}", object["event"].as_str().unwrap(), word.unwrap())
        };
        objects.iter().filter(is_its).map(words).collect::<Vec<_>>()
    };
    assert_eq!(of(1), ["own one", "mark sent", "mark taken"]);
    assert_eq!(of(2), ["own two", "mark sent", "mark taken"]);
    let online = serde_json::json!(
        {"event": "connection", "state": "online", "detail": "alice@localhost/a"}
    );
    assert_eq!(objects.first(), Some(&online));
    let offline = serde_json::json!({"event": "connection", "state": "offline", "detail": null});
    assert_eq!(objects.last(), Some(&offline));
    chat.end(&[]).await;
}

#[tokio::test]
async fn nobody_else_speaks_for_the_peer() {
    let server = Server::builder("localhost").account("alice", PASSWORD).account("bob", PASSWORD);
    let peer = Peer::of(server.account("mallory", PASSWORD).build()).await;
    let mut bob = bob(&peer).await;
    let mallory = Client::builder("mallory@localhost/m").unwrap().password(PASSWORD);
    let mallory = mallory.endpoint(peer.running.ws_url()).unwrap().connect().await.unwrap();
    let mut chat = Chat::start(&peer.folder, peer.running.ws_url(), "");
    chat.expect(&["* online: alice@localhost/a"]).await;
    chat.type_in("Hello\n").await;
    let message = timeout(LIMIT, bob.receive()).await.unwrap().unwrap();
    chat.expect(&["me [1]: Hello", "[1] sent", "[1] server has it"]).await;
    let id = message.attr("id").unwrap();

    let alice = "alice@localhost/a".parse::<epode::Jid>().unwrap();
    let received = Element::new("received", receipts::NAMESPACE).with_attr("id", id);
    let inner =
        Element::from(Message::chat(&alice).body("forged")).with_attr("from", "bob@localhost");
    let forwarded = Element::new("forwarded", "urn:xmpp:forward:0").with_child(inner);
    let carbon = Element::new("received", "urn:xmpp:carbons:2").with_child(forwarded);
    mallory.send(Message::chat(&alice).with(received.clone())).await.unwrap();
    mallory.send(Message::chat(&alice).with(carbon)).await.unwrap();
    mallory.send(Presence::available().to(&alice)).await.unwrap();
    mallory.send(receipts::request(Message::chat(&alice).body("It is me"))).await.unwrap();
    chat.expect(&["mallory@localhost/m: It is me"]).await;
    bob.send(Message::chat(&alice).with(received)).await.unwrap();
    chat.expect(&["[1] delivered"]).await;
    chat.end(&["* offline", ""]).await;
}

/// The way to a server, which can be cut; a new one opens once that is allowed.
struct Way {
    url: String,
    cut: watch::Sender<u32>,
    open: watch::Sender<bool>,
    _carrying: JoinSet<()>,
}

impl Way {
    async fn to(peer: &Peer) -> Self {
        let authority = peer.fill("{ws-authority}");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap();
        let url = peer.running.ws_url().replace(&authority, &near.to_string());
        let (cut, is_cut) = watch::channel(0);
        let (open, is_open) = watch::channel(true);
        let mut carrying = JoinSet::new();
        carrying.spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let (mut is_cut, mut is_open) = (is_cut.clone(), is_open.clone());
                is_cut.mark_unchanged();
                is_open.wait_for(|open| *open).await.unwrap();
                let mut far = TcpStream::connect(&authority).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut near, &mut far) => {}
                    _ = is_cut.changed() => {}
                }
            }
        });
        Self { url, cut, open, _carrying: carrying }
    }
}

#[tokio::test]
async fn a_chat_outlives_its_connection() {
    let peer = peer().await;
    let mut bob = bob(&peer).await;
    let way = Way::to(&peer).await;
    let mut chat = Chat::start(&peer.folder, &way.url, "");
    chat.expect(&["* online: alice@localhost/a"]).await;
    chat.type_in("before\n").await;
    assert_eq!(receive(&mut bob).await, "before");
    chat.expect(&["me [1]: before", "[1] sent", "[1] server has it", "[1] delivered"]).await;
    way.open.send_replace(false);
    way.cut.send_modify(|count| *count += 1);
    let line = chat.line().await;
    let waits = ["* reconnecting in 0.", "* reconnecting in 1.0 s"]; // up to a second, rounded
    assert!(waits.iter().any(|wait| line.starts_with(wait)), "{line}");
    chat.type_in("while away\n").await;
    chat.expect(&["me [2]: while away", "[2] queued"]).await;
    way.open.send_replace(true);
    chat.expect(&["* resumed", "[2] sent", "[2] server has it"]).await;
    assert_eq!(receive(&mut bob).await, "while away");
    chat.expect(&["[2] delivered"]).await;
    chat.end(&["* offline", ""]).await;
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_ends_it_in_good_order() {
    use rustix::process::{Pid, Signal, kill_process};

    let peer = peer().await;
    let mut chat = Chat::start(&peer.folder, peer.running.ws_url(), "--transcript");
    chat.expect(&["* online: alice@localhost/a"]).await;
    let id = i32::try_from(chat.child.id().unwrap()).unwrap();
    kill_process(Pid::from_raw(id).unwrap(), Signal::INT).unwrap();
    chat.expect(&["* offline", ""]).await;
    let output = timeout(LIMIT, chat.child.wait_with_output()).await.unwrap().unwrap();
    let run = Run::new(&output);
    assert!(run.expect(0).stderr.contains("C: <close "), "{run:?}");
}

#[tokio::test]
async fn a_login_that_fails_is_told_as_elsewhere() {
    let peer = peer().await;
    peer.folder.put("alice.password", "wrong\n", 0o600);
    let chat = Chat::start(&peer.folder, peer.running.ws_url(), "");
    let output = timeout(LIMIT, chat.child.wait_with_output()).await.unwrap().unwrap();
    let run = Run::new(&output);
    assert!(run.expect(3).stderr.contains("hint: check the account"), "{run:?}");
}
