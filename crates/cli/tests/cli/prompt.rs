//! The prompt and the chat, on a terminal of their own.
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::{ffi::OsStringExt, process::ExitStatusExt},
    process::{Child, Command},
    thread,
    time::Instant,
};

use crate::support::{LIMIT, PASSWORD, Peer};
use epode::{
    Client, Session,
    services::{
        receipts::{self, Delivered},
        version,
    },
    stanza::Message,
};
use epode_testpeer::Server;
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize},
};

/// The command at a terminal, and what a person there sees.
struct Terminal {
    child: Child,
    master: File,
    /// Kept open, so that the terminal outlives the command.
    _slave: File,
    seen: thread::JoinHandle<Vec<u8>>,
}

impl Terminal {
    fn run(peer: &Peer, args: &str) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_bytes();
        let slave = std::ffi::OsString::from_vec(name);
        let slave = OpenOptions::new().read(true).write(true).open(slave).unwrap();
        // `setsid --ctty` makes the terminal that of the command, as a shell would.
        let mut command = Command::new("setsid");
        command.args(["--ctty", env!("CARGO_BIN_EXE_epode")]);
        command.args(args.split_whitespace().map(|word| peer.fill(word)));
        command.current_dir(peer.folder.path()).env("NO_COLOR", "1").env("TERM", "xterm");
        let end = || slave.try_clone().unwrap();
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let master = File::from(master);
        let mut reader = master.try_clone().unwrap();
        let seen = thread::spawn(move || {
            let mut seen = Vec::new();
            let mut buffer = [0; 1024];
            // The terminal is over with an error, once nobody has its other end.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                seen.extend_from_slice(&buffer[..length]);
            }
            seen
        });
        Self { child, master, _slave: slave, seen }
    }

    fn has_echo(&self) -> bool {
        tcgetattr(&self.master).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Types once the echo is off, as it is when a password is asked for.
    fn type_in(&mut self, keys: &str) {
        let end = Instant::now() + LIMIT;
        while self.has_echo() {
            assert!(Instant::now() < end, "nothing is asked for");
            assert!(self.child.try_wait().unwrap().is_none(), "it ended without asking");
            thread::yield_now();
        }
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// The exit code, and all that was on the screen.
    fn end(mut self) -> (Option<i32>, String) {
        let end = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < end, "it does not end");
            thread::yield_now();
        };
        assert_eq!(status.signal(), None);
        assert!(self.has_echo(), "the terminal has its echo back");
        drop(self._slave);
        (status.code(), String::from_utf8(self.seen.join().unwrap()).unwrap())
    }
}

impl Peer {
    async fn at_terminal(&self, args: &str, keys: &[&str]) -> (Option<i32>, String) {
        let mut terminal = Terminal::run(self, args);
        let keys: Vec<_> = keys.iter().map(|keys| (*keys).to_owned()).collect();
        let typed = tokio::task::spawn_blocking(move || {
            keys.iter().for_each(|keys| terminal.type_in(keys));
            terminal.end()
        });
        typed.await.unwrap()
    }
}

#[tokio::test]
async fn a_password_is_asked_for_and_not_shown() {
    let peer = Peer::start().await;
    let keys = [&*format!("{PASSWORD}\r")];
    let (code, seen) = peer.at_terminal("login alice@localhost/x --via {ws}", &keys).await;
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.starts_with("Password for alice@localhost: \r\nCONNECTING 1\r\n"), "{seen}");
    assert!(seen.contains("CONNECTED 5 alice@localhost/x\r\n"), "{seen}");
    for word in PASSWORD.split(' ') {
        assert!(!seen.contains(word), "{seen}");
    }
}

#[tokio::test]
async fn ctrl_c_ends_it_and_gives_the_terminal_back() {
    let peer = Peer::start().await;
    let (code, seen) =
        peer.at_terminal("login alice@localhost --via {ws}", &["hunter2\u{3}"]).await;
    assert_eq!(code, Some(130), "{seen}");
    assert!(!seen.contains("hunter2") && !seen.contains("CONNECTING"), "{seen}");
}

#[tokio::test]
async fn nothing_typed_is_no_password() {
    let peer = Peer::start().await;
    for keys in ["\r", "\u{4}"] {
        let (code, seen) = peer.at_terminal("login alice@localhost --via {ws}", &[keys]).await;
        assert_eq!(code, Some(2), "{seen}");
        assert!(seen.contains("error: ") && !seen.contains("CONNECTING"), "{seen}");
    }
}

#[tokio::test]
async fn keys_that_no_longer_fit_lead_to_one_question() {
    let peer = Peer::start().await;
    let derive = "keys derive --hash SHA-256 --salt QSXCR+Q6sek8bf92 --iterations 4096";
    let rest = "--password-file alice.password --jid alice@localhost --out old.keys";
    peer.epode(&format!("{derive} {rest}")).await.expect(0);
    let keys = [&*format!("{PASSWORD}\r")];
    let (code, seen) =
        peer.at_terminal("login alice@localhost --via {ws} --keys old.keys", &keys).await;
    assert_eq!(code, Some(0), "{seen}");
    assert!(seen.contains("AUTHFAIL 4 stale-keys: "), "{seen}");
    assert!(
        seen.contains("The saved keys no longer fit. Password for alice@localhost: "),
        "{seen}"
    );
    assert!(seen.contains("CONNECTED 5 alice@localhost/"), "{seen}");
}

#[tokio::test]
async fn bad_input_is_seen_before_anything_is_asked() {
    let peer = Peer::start().await;
    for (args, error) in [
        ("login alice@localhost --via localhost", "--via: the URL has no scheme"),
        ("login alice@localhost --via {wss} --ca nowhere.pem", "cannot read nowhere.pem"),
        ("login alice@localhost --via {ws} --save-keys no/where", "there is no folder no"),
        ("send --as alice@localhost --via x:// bob@localhost hi", "--via: "),
    ] {
        let (code, seen) = peer.at_terminal(args, &[]).await;
        assert_eq!(code, Some(2), "{seen}");
        assert!(seen.contains(error) && !seen.contains("Password"), "{seen}");
    }
}

/// What there is in the next stanza that has it.
async fn next<T>(session: &mut Session, find: impl Fn(&epode::Element) -> Option<T>) -> T {
    loop {
        let stanza = tokio::time::timeout(LIMIT, session.receive()).await.unwrap().unwrap();
        if let Some(found) = find(&stanza) {
            return found;
        }
    }
}

#[tokio::test]
async fn marks_of_a_chat_change_where_they_stand() {
    let server = Server::builder("localhost").account("alice", PASSWORD).account("bob", PASSWORD);
    let peer = Peer::of(server.build()).await;
    let bob = Client::builder("bob@localhost/b").unwrap().password(PASSWORD);
    let mut bob = bob.endpoint(peer.running.ws_url()).unwrap().connect().await.unwrap();
    let chat =
        "chat --as alice@localhost/a bob@localhost --password-file alice.password --via {ws}";
    let mut terminal = Terminal::run(&peer, chat);
    let alice = "alice@localhost/a".parse().unwrap();
    while version::ask(&bob.outbox(), &alice).await.is_err() {
        assert!(terminal.child.try_wait().unwrap().is_none(), "it ended");
        tokio::task::yield_now().await;
    }
    terminal.master.write_all(b"Hello\r").unwrap();
    let receipt = next(&mut bob, receipts::due).await;
    bob.send(receipt).await.unwrap();
    // Once this one is there, so is the receipt before it.
    bob.send(receipts::request(Message::chat(&alice).body("Bye"))).await.unwrap();
    next(&mut bob, Delivered::of).await;
    terminal.master.write_all(b"\x04").unwrap();
    let (code, seen) = tokio::task::spawn_blocking(move || terminal.end()).await.unwrap();
    assert_eq!(code, Some(0), "{seen}");
    let own = "Z               me [1]: Hello\r\n";
    for shown in
        ["* online: alice@localhost/a\r\n", "\x1b[1A\r\x1b[J", own, "Z bob@localhost/b: Bye\r\n"]
    {
        assert!(seen.contains(shown), "{seen:?}");
    }
    for mark in ["\x1b7\x1b[1A\x1b[11G", "delivered    \x1b8"] {
        assert!(seen.contains(mark), "{seen:?}");
    }
    assert!(!seen.contains("[1] "), "{seen:?}");
}
