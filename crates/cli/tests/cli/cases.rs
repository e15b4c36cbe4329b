//! The command against cases that are data: see `../cmd/README.md`. Each runs in a folder of its own,
//! and whatever it does not say that it creates must not be there afterwards.

use std::{collections::BTreeMap, fs, path::Path};

use crate::support::{Folder, Peer, Run, epode};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    name: String,
    args: Vec<String>,
    exit: i32,
    #[serde(default)]
    stdin: String,
    #[serde(default)]
    env: BTreeMap<String, String>,
    #[serde(default)]
    files: BTreeMap<String, File>,
    #[serde(default)]
    creates: Vec<String>,
    stdout: Option<String>,
    stderr: Option<String>,
    #[serde(default)]
    stdout_has: Vec<String>,
    #[serde(default)]
    stderr_has: Vec<String>,
    #[serde(default)]
    never: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    text: String,
    mode: Option<u32>,
}

#[tokio::test]
async fn the_cases_turn_out_as_written() {
    let peer = Peer::start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cmd");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let file = path.file_name().unwrap().to_str().unwrap();
        let cases: Cases = toml::from_str(&fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        for case in &cases.case {
            run(case, &format!("{file}: {}", case.name), &peer).await;
            count += 1;
        }
    }
    assert!(count >= 60, "only {count} cases were found");
}

async fn run(case: &Case, name: &str, peer: &Peer) {
    let folder = Folder::new();
    for (file, contents) in &case.files {
        folder.put(file, &contents.text, contents.mode.unwrap_or(0o600));
    }
    for file in peer.folder.names() {
        folder.put(&file, &peer.folder.read(&file), 0o600);
    }
    let before = folder.names();
    let args = case.args.iter().map(|word| peer.fill(word));
    let env: Vec<_> = case.env.clone().into_iter().collect();
    let run = epode(args, &folder, &env, &case.stdin).await;
    check(case, name, &run, peer);
    let mut expected = before;
    expected.extend(case.creates.clone());
    expected.sort();
    assert_eq!(folder.names(), expected, "{name}: files");
    for (file, contents) in &case.files {
        assert_eq!(folder.read(file), contents.text, "{name}: {file} has changed");
        #[cfg(unix)]
        assert_eq!(folder.mode(file), contents.mode.unwrap_or(0o600), "{name}: mode of {file}");
    }
}

fn check(case: &Case, name: &str, run: &Run, peer: &Peer) {
    assert_eq!(run.code, Some(case.exit), "{name}: {run:?}");
    // What begins with `#` tells how long things took.
    let stdout: String =
        run.stdout.split_inclusive('\n').filter(|line| !line.starts_with('#')).collect();
    for (expected, found) in [(&case.stdout, &stdout), (&case.stderr, &run.stderr)] {
        if let Some(expected) = expected {
            assert_eq!(found, expected, "{name}");
        }
    }
    for (parts, found) in [(&case.stdout_has, &run.stdout), (&case.stderr_has, &run.stderr)] {
        for part in parts.iter().map(|part| peer.fill(part)) {
            assert!(found.contains(&part), "{name}: {part:?} should be in {found}");
        }
    }
    for secret in &case.never {
        assert!(!run.stdout.contains(secret), "{name}: {secret:?} is in {run:?}");
        assert!(!run.stderr.contains(secret), "{name}: {secret:?} is in {run:?}");
    }
    if case.exit == 0 {
        assert!(!run.stderr.contains("error: "), "{name}: {run:?}");
    } else {
        assert!(!run.stderr.is_empty(), "{name}: nobody was told");
    }
}
