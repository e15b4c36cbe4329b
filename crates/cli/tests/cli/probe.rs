//! `epode probe` against servers that are data: see `../probe/README.md`. Each file is a server with
//! what is right or wrong about it, and the findings that it must lead to, all of them.

use std::{collections::BTreeSet, fs, path::Path};

use crate::support::{Folder, Peer, epode};
use epode::Element;
use epode_testpeer::{
    BindingList, CertificateNames, CertificateSignature, CertificateValidity, ListenOptions,
    Outcome, Server, StartTls, TlsVersions, listen_script, script::Script,
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    #[serde(default)]
    server: ServerData,
    #[serde(default)]
    listen: ListenData,
    via: Vec<String>,
    #[serde(default = "yes")]
    trusted: bool,
    exit: i32,
    findings: Vec<(String, String, String)>,
    /// Parts of the text for people.
    #[serde(default)]
    text_has: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ServerData {
    mechanisms: Option<Vec<String>>,
    plaintext_mechanisms: Option<Vec<String>>,
    starttls: Option<String>,
    binding_list: Option<Vec<String>>,
    #[serde(default)]
    no_binding_list: bool,
    #[serde(default)]
    features: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ListenData {
    tls: Option<String>,
    days: Option<u16>,
    validity: Option<String>,
    #[serde(default)]
    wrong_name: bool,
    signature: Option<String>,
}

fn yes() -> bool {
    true
}

impl ServerData {
    fn build(&self) -> Server {
        let mut server = Server::builder("localhost");
        if let Some(names) = &self.mechanisms {
            server = server.mechanisms(names);
        }
        if let Some(names) = &self.plaintext_mechanisms {
            server = server.plaintext_mechanisms(names);
        }
        server = server.starttls(match self.starttls.as_deref() {
            None | Some("required") => StartTls::Required,
            Some("optional") => StartTls::Optional,
            Some("absent") => StartTls::Absent,
            Some("refused") => StartTls::Refused,
            Some(other) => panic!("starttls = {other}"),
        });
        if let Some(types) = &self.binding_list {
            server = server.binding_list(BindingList::these(types));
        }
        if self.no_binding_list {
            server = server.binding_list(BindingList::Absent);
        }
        let features = self.features.iter().map(|xml| Element::parse(xml).unwrap());
        features.fold(server, epode_testpeer::ServerBuilder::feature).build()
    }
}

impl ListenData {
    fn options(&self) -> ListenOptions {
        let mut options = ListenOptions::default();
        options = options.with_tls_versions(match self.tls.as_deref() {
            None => TlsVersions::Both,
            Some("1.2") => TlsVersions::Tls12,
            Some("1.3") => TlsVersions::Tls13,
            Some(other) => panic!("tls = {other}"),
        });
        options = options.with_validity(match (self.days, self.validity.as_deref()) {
            (None, None) => CertificateValidity::Current,
            (Some(days), None) => CertificateValidity::Days(days),
            (None, Some("expired")) => CertificateValidity::Expired,
            (None, Some("future")) => CertificateValidity::Future,
            other => panic!("{other:?}"),
        });
        if self.wrong_name {
            options = options.with_names(CertificateNames::Wrong);
        }
        match self.signature.as_deref() {
            None => options,
            Some("ed25519") => options.with_signature(CertificateSignature::Ed25519),
            Some(other) => panic!("signature = {other}"),
        }
    }
}

impl Case {
    /// What was found, as severity, code and endpoint.
    fn check(&self, name: &str, report: &Value, peer: &Peer) {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let findings = report["findings"].as_array().unwrap().iter();
        let found: Vec<_> = findings
            .map(|it| (word(&it["severity"]), word(&it["code"]), word(&it["endpoint"])))
            .collect();
        let fill = |place: &str| match place {
            "" => String::new(),
            place => peer.fill(&format!("{{{place}}}")),
        };
        let expected = self.findings.iter();
        let expected: BTreeSet<_> = expected
            .map(|(severity, code, place)| (severity.clone(), code.clone(), fill(place)))
            .collect();
        let unique: BTreeSet<_> = found.iter().cloned().collect();
        assert_eq!(unique, expected, "{name}: {report:#}");
        let worst = ["error", "warning", "note"]
            .iter()
            .find(|it| found.iter().any(|(severity, ..)| severity == *it));
        assert_eq!(report["worst"].as_str(), worst.copied(), "{name}");
    }
}

#[tokio::test]
async fn the_servers_are_found_out() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap();
        let case: Case = toml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let peer = Peer::listening(case.server.build(), case.listen.options()).await;
        let mut args = "probe localhost".to_owned();
        for kind in &case.via {
            args += &format!(" --via {{{kind}}}");
        }
        if case.trusted {
            args += " --ca ca.pem";
        }
        let run = peer.epode(&args).await;
        assert_eq!((run.code, &*run.stderr), (Some(case.exit), ""), "{name}: {run:?}");
        for part in &case.text_has {
            assert!(run.stdout.contains(&peer.fill(part)), "{name}: {part} in {}", run.stdout);
        }
        for (severity, code, _) in &case.findings {
            assert!(run.stdout.contains(&format!("\n{severity}: {code}")), "{name}: {run:?}");
        }
        let run = peer.epode(&format!("{args} --json")).await;
        assert_eq!(run.expect(case.exit).stdout.lines().count(), 1, "{name}");
        case.check(name, &run.objects()[0], &peer);
        peer.running.shutdown().await;
        count += 1;
    }
    assert!(count >= 18, "only {count} servers were found");
}

#[tokio::test]
async fn nothing_is_said_but_that_it_leaves() {
    let text = "C: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' to='localhost' version='1.0'\n\
        \u{20}  xml:lang='*' from='*'/>\n\
        S: <open xmlns='urn:ietf:params:xml:ns:xmpp-framing' from='localhost' id='x' version='1.0'/>\n\
        S: <features xmlns='http://etherx.jabber.org/streams'>\
        <mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>\
        <mechanism>ANONYMOUS</mechanism><mechanism>EXTERNAL</mechanism></mechanisms></features>\n\
        C: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>\n\
        S: <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>\n";
    let running = listen_script(&Script::parse(text).unwrap()).await.unwrap();
    let args = format!("probe localhost --via {}", running.ws_url());
    let run = epode(args.split(' ').map(str::to_owned), &Folder::new(), &[], "").await;
    assert!(run.expect(8).stdout.contains("\nerror: no-tls at "), "{run:?}");
    assert!(run.stdout.contains("\nerror: plain-before-tls at "), "{run:?}");
    let outcomes = running.shutdown().await;
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Finished)), "{outcomes:?}");
    assert_eq!(outcomes.len(), 1);
}

#[tokio::test]
async fn bad_input_is_2() {
    for (args, error) in [
        ("probe alice@localhost", "write a domain alone"),
        ("probe localhost --via localhost", "error: --via: the URL has no scheme"),
        ("probe localhost --ca nowhere.pem", "error: cannot read nowhere.pem"),
        ("probe localhost --password-file x", "unexpected argument '--password-file'"),
        ("probe 1.2.3.4.5", "is no domain ("),
    ] {
        let run = epode(args.split(' ').map(str::to_owned), &Folder::new(), &[], "").await;
        assert!(run.expect(2).stderr.contains(error), "{run:?}");
        assert_eq!(run.stdout, "");
    }
}

#[tokio::test]
async fn where_nobody_answers_it_ends_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let via = silent.local_addr().unwrap();
    let web = format!("--via https://{via}/bosh --via http://{via}/bosh --via ws://{via}");
    let tcp = format!("--via xmpps://{via} --via xmpp://{via}");
    let args = format!("probe localhost --timeout 1 {tcp} {web} --json");
    let run = epode(args.split(' ').map(str::to_owned), &Folder::new(), &[], "").await;
    let report = &run.expect(8).objects()[0];
    let findings = report["findings"].as_array().unwrap().iter();
    let codes: BTreeSet<_> = findings
        .map(|it| {
            let scheme = it["endpoint"].as_str().unwrap().split(':').next().unwrap();
            (scheme, it["code"].as_str().unwrap())
        })
        .collect();
    let expected = [
        ("http", "stream-failed"),
        ("https", "tls-failed"),
        ("ws", "stream-failed"),
        ("xmpp", "stream-failed"),
        ("xmpps", "tls-failed"),
    ];
    assert_eq!(codes, expected.into(), "{report:#}");
}
