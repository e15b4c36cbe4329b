//! Files with SCRAM keys: the page's object, wrapped with the account that it belongs to.
//! A bare object is read too, and no account is checked then.

use std::path::{Path, PathBuf};

use epode::{
    Jid, JidError,
    sasl::scram::{KeysError, ScramKeys},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{
    secret_file::{FileError, SecretFile},
    shell_word::shell_word,
};

/// Why a key file cannot be used. No variant holds any part of it but the account.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyFileError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "{} can be read by others (mode {mode:04o}), and whoever has the keys can log in: chmod 600 {}",
        .path.display(), shell_word(&.path.display().to_string())
    )]
    Readable { path: PathBuf, mode: u32 },
    #[error("{} ends too early: is it truncated? {AGAIN}", .path.display())]
    Truncated { path: PathBuf },
    #[error("{} is not a key file: no JSON at line {line}, column {column}. {AGAIN}", .path.display())]
    NotJson { path: PathBuf, line: usize, column: usize },
    #[error("{} has `keys` without the `jid` that they belong to. {AGAIN}", .path.display())]
    NoAccount { path: PathBuf },
    #[error("the `jid` in {} is no address: {problem}. {AGAIN}", .path.display())]
    BadAccount { path: PathBuf, problem: JidError },
    #[error("the keys in {} belong to {found}, not to {wanted}: name {wanted}'s own key file", .path.display())]
    OtherAccount { path: PathBuf, found: Jid, wanted: Jid },
    #[error("the keys in {} are no good: {problem}. {AGAIN}", .path.display())]
    Keys { path: PathBuf, problem: KeysError },
}

/// Reads the keys of this account.
pub(crate) fn read(path: &Path, account: &Jid) -> Result<ScramKeys, KeyFileError> {
    let file = SecretFile::read(path)?;
    let path = path.to_owned();
    if let Some(mode) = file.lax_mode() {
        return Err(KeyFileError::Readable { path, mode });
    }
    parse(file.text()?, path, &account.bare())
}

/// The contents of a key file: with its account, or bare where none is known.
pub(crate) fn contents(account: Option<&Jid>, keys: &ScramKeys) -> Zeroizing<String> {
    let keys = keys.to_json();
    let Some(account) = account else { return Zeroizing::new(format!("{}\n", *keys)) };
    let account = account.bare().to_string();
    let keys: &RawValue = serde_json::from_str(&keys).expect("keys are written as JSON");
    let wrapper = Wrapper { jid: Some(account), keys: Some(keys) };
    let json = serde_json::to_string(&wrapper).expect("strings always serialise");
    Zeroizing::new(json + "\n")
}

#[derive(Serialize, Deserialize)]
struct Wrapper<'a> {
    jid: Option<String>,
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
}

fn parse(text: &str, path: PathBuf, account: &Jid) -> Result<ScramKeys, KeyFileError> {
    let wrapper: Wrapper<'_> = match serde_json::from_str(text) {
        Ok(wrapper) => wrapper,
        Err(error) if error.is_eof() => return Err(KeyFileError::Truncated { path }),
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            return Err(KeyFileError::NotJson { path, line, column });
        }
    };
    let keys = match (wrapper.jid, wrapper.keys) {
        (_, None) => text,
        (None, Some(_)) => return Err(KeyFileError::NoAccount { path }),
        (Some(jid), Some(keys)) => {
            let found: Jid = match jid.parse() {
                Ok(found) => found,
                Err(problem) => return Err(KeyFileError::BadAccount { path, problem }),
            };
            if found.bare() != *account {
                let wanted = account.clone();
                return Err(KeyFileError::OtherAccount { path, found, wanted });
            }
            keys.get()
        }
    };
    ScramKeys::from_json(keys).map_err(|problem| KeyFileError::Keys { path, problem })
}

const AGAIN: &str = "Log in with the password and --save-keys to get a new one";

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &str = r#"{"name":"SHA-1","ck":"4jTEe/bDZpbdbYUrmaqiuiZVVyg=","sk":"D+CSWLOshSulAsxiupA+qs2/fTE=","iter":4096,"salt":"QSXCR+Q6sek8bf92"}"#;

    fn alice() -> Jid {
        "alice@example.org".parse().unwrap()
    }

    fn parse(text: &str) -> Result<ScramKeys, KeyFileError> {
        super::parse(text, PathBuf::from("FILE"), &alice())
    }

    #[test]
    fn what_is_written_is_read() {
        let keys = parse(BARE).unwrap();
        let wrapped = contents(Some(&"alice@example.org/phone".parse().unwrap()), &keys);
        assert_eq!(*wrapped, format!("{{\"jid\":\"alice@example.org\",\"keys\":{BARE}}}\n"));
        assert_eq!(*parse(&wrapped).unwrap().to_json(), BARE);
        assert_eq!(*contents(None, &keys), format!("{BARE}\n"));
    }

    #[test]
    fn each_offence_has_its_error() {
        let wrap = |jid: &str| format!(r#"{{"jid":{jid},"keys":{BARE}}}"#);
        assert!(parse(&wrap(r#""ALICE@example.org""#)).is_ok());
        for length in 0..BARE.len() {
            let error = parse(&BARE[..length]).unwrap_err();
            assert!(matches!(error, KeyFileError::Truncated { .. }), "{length}: {error}");
        }
        let error = parse(&wrap(r#""bob@example.org""#)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the keys in FILE belong to bob@example.org, not to alice@example.org: \
             name alice@example.org's own key file"
        );
        assert!(matches!(error, KeyFileError::OtherAccount { .. }));
        assert!(matches!(parse(&wrap("null")), Err(KeyFileError::NoAccount { .. })));
        assert!(matches!(parse(&wrap(r#""@""#)), Err(KeyFileError::BadAccount { .. })));
        assert!(matches!(parse("hunter2"), Err(KeyFileError::NotJson { line: 1, column: 1, .. })));
        assert!(matches!(parse("{}"), Err(KeyFileError::Keys { .. })));
        assert!(matches!(
            parse(r#"{"jid":"a@b","keys":{}}"#),
            Err(KeyFileError::OtherAccount { .. })
        ));
        let cut = BARE.replace("4jTEe/bDZpbdbYUrmaqiuiZVVyg=", "4jTE");
        let problem = KeysError::Length { member: "ck", expected: 20, found: 3 };
        assert!(matches!(parse(&cut), Err(KeyFileError::Keys { problem: p, .. }) if p == problem));
    }
}
