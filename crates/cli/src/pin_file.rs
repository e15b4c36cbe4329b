//! The file with the pins: for each account, the strongest login that it has had, so that a weaker
//! offer is seen. Of two commands that save at once, the second may undo the first; the file is
//! whole all the same, and the next login brings the pin back.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
};

use epode::{
    Jid, JidError, PinStore, PinStoreError, PrivateFile, PrivateFileError,
    sasl::{
        Pin, PinError,
        json_object::{self, Unreadable},
    },
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    secret_file::{FileError, LARGEST, SecretFile},
    shell_word::shell_word,
};

/// A file of pins, made when there is a first pin.
#[derive(Debug)]
pub(crate) struct PinFile {
    path: PathBuf,
    /// Whatever the pin says, it is replaced by that of the next login.
    accept_weaker: bool,
}

/// Why a file of pins cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PinFileError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "{} can be written by others (mode {mode:04o}), who could take pins out: chmod 600 {}",
        .path.display(), shell_word(&.path.display().to_string())
    )]
    Writable { path: PathBuf, mode: u32 },
    #[error("{} is no file of pins: {problem}. {REMEDY}", .path.display())]
    NotPins { path: PathBuf, problem: Unreadable },
    #[error("{} is of version {found}, and this program knows version 1: use a newer one", .path.display())]
    Version { path: PathBuf, found: u32 },
    #[error("{} names an account that is none: {problem}. {REMEDY}", .path.display())]
    Account { path: PathBuf, problem: JidError },
    #[error("{} has a damaged pin of {account}: {problem}. {REMEDY}", .path.display())]
    Pin { path: PathBuf, account: Jid, problem: PinError },
    #[error("{} has no room for one more account: take out those that are no longer used", .path.display())]
    Full { path: PathBuf },
    #[error(transparent)]
    Write(#[from] PrivateFileError),
}

impl PinFile {
    pub(crate) fn new(path: PathBuf, accept_weaker: bool) -> Self {
        Self { path, accept_weaker }
    }

    /// Where the pins are unless a flag says otherwise; none where the system names no place. Who
    /// wants BOSH has pins apart: a login can be bound less firmly there, and that is no alarm.
    pub(crate) fn default_path(for_bosh: bool) -> Option<PathBuf> {
        let name = if for_bosh { "bosh-pins.json" } else { "pins.json" };
        state_folder().map(|folder| folder.join(name))
    }

    fn find(&self, account: &Jid) -> Result<Option<Pin>, PinFileError> {
        let found = self.read()?.into_iter().find(|(known, _)| known == account);
        Ok(found.map(|(_, pin)| pin).filter(|_| !self.accept_weaker))
    }

    fn put(&self, account: &Jid, pin: &Pin) -> Result<(), PinFileError> {
        let mut pins = self.read()?;
        pins.retain(|(known, _)| known != account);
        pins.push((account.clone(), pin.clone()));
        let contents = write(&pins);
        if contents.len() > LARGEST {
            return Err(PinFileError::Full { path: self.path.clone() });
        }
        let file = PrivateFile::new(&self.path);
        file.make_folder()?;
        Ok(file.write(contents.as_bytes())?)
    }

    /// All pins; none if there is no file yet. Whatever is wrong with any of them is an error: who
    /// could damage the file could otherwise take the protection away.
    fn read(&self) -> Result<Vec<(Jid, Pin)>, PinFileError> {
        let path = self.path.clone();
        let file = match SecretFile::read(&path) {
            Err(error) if error.is_absence() => return Ok(Vec::new()),
            file => file?,
        };
        match file.lax_mode() {
            Some(mode) if mode & 0o022 != 0 => Err(PinFileError::Writable { path, mode }),
            _ => parse(file.text()?, &path),
        }
    }
}

impl PinStore for PinFile {
    fn load(&self, account: &Jid) -> Result<Option<Pin>, PinStoreError> {
        self.find(account).map_err(|error| PinStoreError::because(error.to_string()))
    }

    fn save(&self, account: &Jid, pin: &Pin) -> Result<(), PinStoreError> {
        self.put(account, pin).map_err(|error| PinStoreError::because(error.to_string()))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents<'a> {
    version: u32,
    #[serde(borrow)]
    pins: BTreeMap<String, &'a RawValue>,
}

/// What all versions of the file share.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

fn parse(text: &str, path: &Path) -> Result<Vec<(Jid, Pin)>, PinFileError> {
    let path = || path.to_owned();
    let not_pins = |problem: Unreadable| PinFileError::NotPins { path: path(), problem };
    let Version { version } = json_object::read(text).map_err(not_pins)?;
    if version != VERSION {
        return Err(PinFileError::Version { path: path(), found: version });
    }
    let contents: Contents<'_> = json_object::read(text).map_err(not_pins)?;
    let pins = contents.pins.into_iter().map(|(account, pin)| {
        let account: Jid =
            account.parse().map_err(|problem| PinFileError::Account { path: path(), problem })?;
        match Pin::from_json(pin.get()) {
            Ok(pin) => Ok((account, pin)),
            Err(problem) => Err(PinFileError::Pin { path: path(), account, problem }),
        }
    });
    pins.collect()
}

fn write(pins: &[(Jid, Pin)]) -> String {
    let raw = |pin: &Pin| RawValue::from_string(pin.to_json()).expect("pins are written as JSON");
    let pins: Vec<_> = pins.iter().map(|(account, pin)| (account.to_string(), raw(pin))).collect();
    let pins = pins.iter().map(|(account, pin)| (account.clone(), &**pin)).collect();
    let json = serde_json::to_string_pretty(&Contents { version: VERSION, pins });
    json.expect("strings and numbers always serialise") + "\n"
}

/// Where this program keeps what it remembers; none where the system names no place.
pub(crate) fn state_folder() -> Option<PathBuf> {
    // A relative path would be another place in each folder, and is to be ignored
    // (XDG Base Directory Specification).
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = if cfg!(windows) {
        absolute("LOCALAPPDATA")
    } else {
        let home = || absolute("HOME").map(|home| home.join(".local/state"));
        absolute("XDG_STATE_HOME").or_else(home)
    };
    folder.map(|folder| folder.join("epode"))
}

const VERSION: u32 = 1;

const REMEDY: &str = "Put back an older copy, or remove it: the next login then begins a new one, \
                      and takes whatever the server offers";

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = r#"{"version":1,"mechanism":"SCRAM-SHA-256-PLUS","rank":80,"binding":"tls-exporter","encryption":"TLS 1.3"}"#;

    fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    fn parse(text: &str) -> Result<Vec<(Jid, Pin)>, PinFileError> {
        super::parse(text, Path::new("FILE"))
    }

    #[test]
    fn what_is_written_is_read() {
        let pin = Pin::from_json(PIN).unwrap();
        let pins = vec![(jid("alice@example.org"), pin.clone()), (jid("example.org"), pin)];
        let text = write(&pins);
        assert!(
            text.starts_with("{\n  \"version\": 1,\n  \"pins\": {\n    \"alice@example.org\": {")
        );
        assert_eq!(parse(&text).unwrap(), pins);
        assert_eq!(parse(&write(&[])).unwrap(), []);
    }

    #[test]
    fn each_damage_has_its_error() {
        let with = |account: &str, pin: &str| {
            parse(&format!("{{\"version\":1,\"pins\":{{\"{account}\":{pin}}}}}")).unwrap_err()
        };
        for text in [
            "",
            "{",
            "[]",
            "{}",
            "null",
            "[1,{}]",
            r#"{"version":1}"#,
            r#"{"version":1,"pins":[]}"#,
        ] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, PinFileError::NotPins { .. }), "{text}: {error}");
        }
        let more = r#"{"version":1,"pins":{},"more":1}"#;
        assert!(matches!(parse(more), Err(PinFileError::NotPins { .. })));
        let newer = parse(r#"{"version":2,"pins":7}"#).unwrap_err();
        assert!(matches!(newer, PinFileError::Version { found: 2, .. }));
        assert!(matches!(with("@", PIN), PinFileError::Account { .. }));
        let error = with("alice@example.org", "{}");
        assert!(matches!(error, PinFileError::Pin { .. }));
        assert!(error.to_string().starts_with("FILE has a damaged pin of alice@example.org: "));
        assert!(error.to_string().contains("Put back an older copy, or remove it"));
    }
}
