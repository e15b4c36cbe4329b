//! The commands with a server in them: `demo` and `serve`.

use crate::support::{Folder, LIMIT, Run, command, epode};
use epode_testpeer::{Server, script::Script};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout},
    time::timeout,
};

const MECHANISMS: [&str; 9] = [
    "SCRAM-SHA-512",
    "SCRAM-SHA-384",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1",
    "PLAIN",
    "OAUTHBEARER",
    "X-OAUTH2",
    "ANONYMOUS",
    "EXTERNAL",
];

const PLUS: &str = "SCRAM-SHA-256-PLUS";

async fn run(args: &str, folder: &Folder) -> Run {
    epode(args.split_whitespace().map(str::to_owned), folder, &[], "").await
}

#[tokio::test]
async fn the_demo_connects_by_all_nine_and_once_more() {
    let run = run("demo", &Folder::new()).await;
    assert_eq!(run.expect(0).stderr, "");
    assert_eq!(run.stdout.lines().filter(|line| line.starts_with("  CONNECTED 5 ")).count(), 10);
    assert_eq!(run.stdout.matches("  # channel binding: none\n").count(), 9);
    assert_eq!(run.stdout.matches("  # channel binding: tls-exporter\n").count(), 1);
    let table: Vec<_> =
        run.stdout.lines().skip_while(|line| !line.starts_with("MECHANISM ")).collect();
    for (mechanism, row) in MECHANISMS.iter().chain(&[PLUS]).zip(&table[1..]) {
        assert_eq!(row.split(' ').next(), Some(*mechanism));
        assert!(row.contains("priority ") && row.contains(" ms "), "{row}");
        let who = if *mechanism == "ANONYMOUS" { "anonymous-" } else { "alice@localhost/" };
        assert!(row.contains(&format!("  {who}")), "{row}");
    }
    assert!(run.stdout.ends_with("\n9 of 9 mechanisms CONNECTED\n"), "{run:?}");
}

#[tokio::test]
async fn the_demo_does_so_over_one_transport() {
    let in_the_clear =
        &["SCRAM-SHA-512", "SCRAM-SHA-384", "SCRAM-SHA-256", "SCRAM-SHA-1", "ANONYMOUS"];
    for (transport, names, urls, clear, binding) in [
        ("websocket", "ws wss", "ws:// wss://", &in_the_clear[..], "tls-exporter"),
        ("bosh", "https", "http:// https://", in_the_clear, "tls-server-end-point"),
        ("tcp", "xmpp", "xmpp:// xmpp://", &[], "tls-exporter"),
        ("tls", "xmpps direct-tls", "xmpps:// xmpps://", &[], "tls-exporter"),
    ] {
        for name in names.split(' ') {
            let shown = run(&format!("demo --transport {name}"), &Folder::new()).await;
            let url = urls.split(' ').next().unwrap();
            let head = format!("A server of the demo's own is at {url}127.0.0.1:");
            assert!(shown.expect(0).stdout.starts_with(&head), "{shown:?}");
            assert!(shown.stdout.ends_with("\n9 of 9 mechanisms CONNECTED\n"), "{shown:?}");
        }
        let run = run(&format!("demo --json --transport {transport}"), &Folder::new()).await;
        let objects = run.expect(0).objects();
        let connected = objects.iter().filter(|it| it["status"] == "CONNECTED");
        let (url, secure_url) = urls.split_once(' ').unwrap();
        let mut count = 0;
        for login in connected {
            let is_clear = clear.contains(&login["mechanism"].as_str().unwrap());
            let encryption = if is_clear { "none" } else { "TLS 1.3" };
            assert_eq!(login["encryption"], encryption, "{login}");
            let endpoint = login["route"]["attempts"][0]["endpoint"].as_str().unwrap();
            assert!(endpoint.starts_with(if is_clear { url } else { secure_url }), "{login}");
            let is_bound = login["mechanism"] == PLUS;
            assert_eq!(login["binding"].as_str(), is_bound.then_some(binding), "{login}");
            count += 1;
        }
        assert_eq!(count, 10, "{transport}");
    }
}

#[tokio::test]
async fn the_demo_does_so_for_programs() {
    let run = run("demo --json", &Folder::new()).await;
    let objects = run.expect(0).objects();
    let logins: Vec<_> = objects.iter().filter(|it| it["summary"] == "login").collect();
    let ten = [&MECHANISMS[..], &[PLUS]].concat();
    assert_eq!(logins.iter().map(|it| it["mechanism"].as_str().unwrap()).collect::<Vec<_>>(), ten);
    for login in logins {
        assert_eq!(login["connected"], true);
        let is_bound = login["mechanism"] == PLUS;
        assert_eq!(login["binding"].as_str(), is_bound.then_some("tls-exporter"));
        let most = if is_bound { 7 } else { 5 }; // two more before TLS
        assert!(login["flights"].as_u64().unwrap() <= most, "{login}");
        assert!(login["milliseconds"].as_f64().unwrap() > 0.0, "{login}");
        assert!(login["jid"].as_str().unwrap().contains("@localhost/"), "{login}");
        assert!(login["why"].as_str().unwrap().contains("not allowed"), "{login}");
    }
    let connected: Vec<_> = objects.iter().filter(|it| it["status"] == "CONNECTED").collect();
    assert_eq!(
        connected.iter().map(|it| it["mechanism"].as_str().unwrap()).collect::<Vec<_>>(),
        ten
    );
    let last = serde_json::json!({"summary": "demo", "connected": 9, "of": 9});
    assert_eq!(objects.last(), Some(&last));
}

/// A `serve` that has said all that it says at first.
struct Serving {
    child: Child,
    stdout: BufReader<ChildStdout>,
    notice: Vec<String>,
}

impl Serving {
    async fn start(folder: &Folder, args: &str) -> Self {
        let mut command = command(folder);
        command.arg("serve").args(args.split_whitespace());
        let mut child = command.spawn().unwrap();
        let mut serving = Self {
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
            notice: Vec::new(),
        };
        let is_last =
            |line: &str| line.starts_with("  epode explain ") || line.ends_with(" --transcript");
        while !serving.notice.last().is_some_and(|line| is_last(line)) {
            let line = serving.line().await.expect("the notice is not done");
            serving.notice.push(line);
        }
        serving
    }

    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        timeout(LIMIT, self.stdout.read_line(&mut line)).await.unwrap().unwrap();
        line.pop().map(|_| line)
    }

    fn find(&self, name: &str) -> &str {
        let found = self.notice.iter().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("{name} should be in {:?}", self.notice)).trim()
    }

    #[cfg(unix)]
    async fn stop(mut self, signal: rustix::process::Signal) -> Vec<String> {
        use rustix::process::{Pid, kill_process};

        let id = i32::try_from(self.child.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(id).unwrap(), signal).unwrap();
        let mut rest = Vec::new();
        while let Some(line) = self.line().await {
            rest.push(line);
        }
        let run = timeout(LIMIT, self.child.wait_with_output()).await.unwrap().unwrap();
        assert_eq!(Run::new(&run).expect(0).stderr, "");
        rest
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_commands_that_it_prints_work_and_nothing_is_left() {
    let folder = Folder::new();
    let serving =
        Serving::start(&folder, "--domain example.org --account Alice --account bob").await;
    assert!(serving.find("account ").ends_with("alice@example.org"));
    assert_eq!(serving.find("password ").len(), 32);
    let port = |name| serving.find(name).split([':', '/']).nth(4).unwrap().to_owned();
    assert_eq!((port("BOSH  "), port("BOSH, TLS ")), (port("ws "), port("wss ")));
    let made = folder.names();
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(folder.mode(&made[0]), 0o700);
    for name in ["ca.pem", "alice.password", "alice.token", "alice.pem", "bob.password"] {
        assert_eq!(folder.mode(&format!("{}/{name}", made[0])), 0o600, "{name}");
    }

    let commands = serving.notice.iter().filter_map(|line| line.strip_prefix("  epode "));
    let mut used = Vec::new();
    for command in commands {
        let run = run(command, &folder).await;
        run.expect(0);
        let status = run.stdout.lines().find_map(|line| line.strip_prefix("AUTHENTICATING 3 "));
        used.extend(status.map(str::to_owned));
    }
    let each = [
        "SCRAM-SHA-512",
        "SCRAM-SHA-512-PLUS by tls-exporter",
        "SCRAM-SHA-512-PLUS by tls-server-end-point",
        "OAUTHBEARER",
        "EXTERNAL",
    ];
    assert_eq!(used, [&each[..], &each[..], &["ANONYMOUS"]].concat());

    serving.stop(rustix::process::Signal::INT).await;
    assert!(folder.names().is_empty(), "{:?}", folder.names());
}

#[cfg(unix)]
#[tokio::test]
async fn a_password_of_ones_own_is_neither_shown_nor_copied() {
    let folder = Folder::new();
    folder.put("pw", "hunter2\n", 0o600);
    let serving = Serving::start(&folder, "--password-file pw").await;
    let notice = serving.notice.join("\n");
    assert!(!notice.contains("hunter2"));
    assert!(notice.contains("--password-file pw"), "{notice}");
    let via = serving.find("ws ");
    run(&format!("login alice@localhost --via {via} --password-file pw"), &folder).await.expect(0);
    let made = folder.names().into_iter().find(|name| name != "pw").unwrap();
    assert!(!folder.path().join(made).join("alice.password").exists());
    serving.stop(rustix::process::Signal::TERM).await;
    assert_eq!(folder.names(), ["pw"]);
}

#[cfg(unix)]
#[tokio::test]
async fn early_data_is_taken_where_that_is_asked_for() {
    for (flag, is_taken) in [("--early-data", true), ("", false)] {
        let folder = Folder::new();
        folder.put("pw", "hunter2\n", 0o600);
        let serving = Serving::start(&folder, &format!("--password-file pw {flag}")).await;
        let (via, ca) = (serving.find("direct TLS "), serving.find("CA "));
        let login = format!("login alice@localhost --via {via} --ca {ca} --password-file pw");
        let run = run(&format!("{login} --fast --danger-early-data"), &folder).await;
        let early = "# in early data of TLS: without a round trip of its own";
        assert_eq!(run.expect(0).stdout.contains(early), is_taken, "{run:?}");
        serving.stop(rustix::process::Signal::TERM).await;
    }
}

#[cfg(not(feature = "web"))]
#[tokio::test]
async fn a_binary_without_the_page_says_how_to_get_one_with_it() {
    let run = run("serve --web", &Folder::new()).await;
    assert!(run.expect(2).stderr.starts_with("error: --web needs a page, "), "{run:?}");
    assert!(run.stderr.contains("hint: `cargo xtask web` builds one that has it"), "{run:?}");
    assert_eq!(run.stdout, "");
}

#[cfg(unix)]
#[tokio::test]
async fn a_port_that_is_taken_is_said_so() {
    let folder = Folder::new();
    let server = Server::builder("localhost").build();
    let taken = server.listen(epode_testpeer::ListenOptions::default()).await.unwrap();
    let port = taken.tcp().port().clamp(3, 65532); // so that it is one of the four asked for
    let run = run(&format!("serve --port {port}"), &folder).await;
    assert!(run.expect(2).stderr.starts_with("error: cannot listen at 127.0.0.1: "), "{run:?}");
    assert!(run.stderr.contains("hint: the ports"), "{run:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_transcript_is_played_and_its_end_told() {
    let text = "C: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'\n\
         \u{20}  xml:lang='*' from='*'/>\n\
         S: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>\nC: *\n";
    assert!(Script::parse(text).is_ok());
    let folder = Folder::new();
    folder.put("gives-up.txt", text, 0o644);
    let serving = Serving::start(&folder, "--script gives-up.txt").await;
    let via = serving.find("ws ");
    folder.put("pw", "hunter2\n", 0o600);
    let login = format!("login alice@localhost --via {via} --password-file pw");
    let run = run(&login, &folder).await;
    assert!(run.expect(4).stdout.contains("CONNFAIL 2 connection-closed: "), "{run:?}");
    let rest = serving.stop(rustix::process::Signal::INT).await;
    assert_eq!(rest, ["", "connection 1: the whole transcript was played"]);
}
