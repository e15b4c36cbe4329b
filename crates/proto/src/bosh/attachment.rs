//! What it takes to take a session over: its ids, whose it is, and what the server granted.
//! Where that is kept is the application's business.

use std::{fmt, time::Duration};

use epode_sasl::json_object::{self, Unreadable};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{AttachError, Granted, LONGEST_SID, MAX_RID};
use crate::{Jid, JidError, xml};

/// A session that was created and logged in, as it is handed from one program to another or kept
/// over a restart.
///
/// Whoever has it has the session, so it is as secret as a password for as long as the session
/// lasts. The `sid` is wiped on drop; `Debug` shows no id.
///
/// ```
/// use epode_proto::bosh::{Attachment, Options, Session};
///
/// let json = r#"{"jid":"alice@example.org/web","rid":1774,"sid":"a1"}"#;
/// let attachment = Attachment::from_json(json)?;
/// attachment.check(&"alice@example.org".parse()?, 1_800_000_000)?;
/// let session = Session::attach(Options::default(), &attachment);
/// assert_eq!((session.sid(), session.next_rid()), (Some("a1"), 1774));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Attachment {
    jid: Jid,
    sid: Zeroizing<String>,
    rid: u64,
    granted: Granted,
    saved: Option<u64>,
}

impl Attachment {
    /// The session of this address, which has a resource; `rid` is that of the next request. The
    /// server is taken to have granted what most do.
    ///
    /// # Errors
    ///
    /// [`AttachError`] for what cannot be one of a session.
    pub fn new(jid: Jid, sid: &str, rid: u64) -> Result<Self, AttachError> {
        if jid.resource().is_none() {
            return Err(AttachError::Jid);
        }
        if sid.is_empty() || sid.len() > LONGEST_SID || !sid.chars().all(xml::is_xml_char) {
            return Err(AttachError::Sid);
        }
        if !(1..=MAX_RID).contains(&rid) {
            return Err(AttachError::Rid);
        }
        let sid = Zeroizing::new(sid.to_owned());
        Ok(Self { jid, sid, rid, granted: Granted::default(), saved: None })
    }

    /// With what the server granted.
    #[must_use]
    pub fn with_granted(mut self, granted: Granted) -> Self {
        self.granted = granted;
        self
    }

    /// With the moment of the last request, in seconds since 1970.
    #[must_use]
    pub fn with_saved(mut self, seconds: u64) -> Self {
        self.saved = Some(seconds);
        self
    }

    /// The address that was bound, with its resource.
    #[must_use]
    pub fn jid(&self) -> &Jid {
        &self.jid
    }

    /// The session's id.
    #[must_use]
    pub fn sid(&self) -> &str {
        &self.sid
    }

    /// The id of the next request.
    #[must_use]
    pub fn rid(&self) -> u64 {
        self.rid
    }

    /// What the server granted.
    #[must_use]
    pub fn granted(&self) -> &Granted {
        &self.granted
    }

    /// The moment of the last request, in seconds since 1970, if it is known.
    #[must_use]
    pub fn saved(&self) -> Option<u64> {
        self.saved
    }

    /// Whether this account may go on with it at this moment, in seconds since 1970. A domain
    /// alone, which is a guest's account, may go on with any session there. Without
    /// [`saved`](Self::saved), or a limit on inactivity, only the server knows whether it expired.
    ///
    /// # Errors
    ///
    /// [`RestoreError::OtherAccount`] and [`RestoreError::Expired`].
    pub fn check(&self, account: &Jid, now: u64) -> Result<(), RestoreError> {
        RestoreError::check_owner(&self.jid, account)?;
        match self.last_moment().map(|last| now.saturating_sub(last)) {
            None | Some(0) => Ok(()),
            Some(seconds) => Err(RestoreError::Expired { seconds }),
        }
    }

    /// The server may keep the last request for as long as `wait`; inactivity begins then.
    fn last_moment(&self) -> Option<u64> {
        let idle = self.granted.wait.saturating_add(self.granted.inactivity?);
        Some(self.saved?.saturating_add(idle.as_secs()))
    }

    /// Reads a JSON object with the members `jid`, `rid` and `sid`, and those of
    /// [`to_json`](Self::to_json) that are there. Unknown members are passed over.
    ///
    /// # Errors
    ///
    /// [`AttachmentError`] says what is wrong, without quoting the ids.
    pub fn from_json(json: &str) -> Result<Self, AttachmentError> {
        let parsed: Json = json_object::read(json)?;
        let attachment = Self::new(parsed.jid.parse()?, &parsed.sid, parsed.rid)?;
        Ok(Self { granted: parsed.granted(), saved: parsed.saved, ..attachment })
    }

    /// Writes it as one line of JSON: `jid`, `rid` and `sid`, then what is known of `wait`, `hold`,
    /// `requests`, `inactivity`, `polling` and `maxpause`, named as in XEP-0124 and in its units,
    /// and `saved`. The text is a secret too, and is wiped on drop.
    #[must_use]
    pub fn to_json(&self) -> Zeroizing<String> {
        let json = Json::of(self);
        // Large enough never to grow, which would leave copies behind: an escape takes two bytes,
        // as there are no control characters but tab and newlines.
        let capacity = 2 * (json.jid.len() + json.sid.len()) + 256;
        let mut text = Zeroizing::new(Vec::with_capacity(capacity));
        serde_json::to_writer(&mut *text, &json).expect("strings and numbers always serialise");
        Zeroizing::new(String::from_utf8(std::mem::take(&mut *text)).expect("JSON is UTF-8"))
    }
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("jid", &self.jid)
            .field("granted", &self.granted)
            .field("saved", &self.saved)
            .finish_non_exhaustive()
    }
}

/// Why a text is no session to take over. No variant holds any part of its ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachmentError {
    /// Not JSON, a member is missing or of the wrong type.
    #[error("not the JSON object {{jid, rid, sid}}: {0}")]
    Json(#[from] Unreadable),
    /// `jid` is no address.
    #[error("`jid`: {0}")]
    Jid(#[from] JidError),
    /// The members cannot be those of a session.
    #[error(transparent)]
    Attach(#[from] AttachError),
}

/// Why a session that was kept is not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The server does not know it any more, or somebody else goes on with it.
    #[error("the server does not know the session any more, or somebody else goes on with it")]
    Forgotten,
    /// None is kept.
    #[error("no session is stored: log in")]
    Nothing,
    /// It is one of another account.
    #[error("the stored session is one of {found}, not of {account}: log in as {account}")]
    OtherAccount {
        /// Who wants to go on with it.
        account: Jid,
        /// Whose it is.
        found: Jid,
    },
    /// The server has forgotten it by now.
    #[error("the stored session expired {seconds} seconds ago: log in again")]
    Expired {
        /// How many seconds ago.
        seconds: u64,
    },
}

impl RestoreError {
    /// Refuses a session that is not this account's; a domain alone may have any session there.
    pub(crate) fn check_owner(session: &Jid, account: &Jid) -> Result<(), Self> {
        let is_theirs = match account.local() {
            Some(_) => session.bare() == account.bare(),
            None => session.domain().eq_ignore_ascii_case(account.domain()),
        };
        if is_theirs {
            return Ok(());
        }
        Err(Self::OtherAccount { account: account.bare(), found: session.bare() })
    }
}

#[derive(Serialize, Deserialize)]
struct Json {
    jid: String,
    rid: u64,
    sid: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inactivity: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    polling: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    maxpause: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<u64>,
}

impl Json {
    fn of(attachment: &Attachment) -> Self {
        let seconds = |span: Duration| u16::try_from(span.as_secs()).unwrap_or(u16::MAX);
        let granted = &attachment.granted;
        Self {
            jid: attachment.jid.to_string(),
            rid: attachment.rid,
            sid: attachment.sid.to_string(),
            wait: Some(seconds(granted.wait)),
            hold: Some(granted.hold),
            requests: Some(granted.requests),
            inactivity: granted.inactivity.map(seconds),
            polling: granted.polling.map(seconds),
            maxpause: granted.max_pause.map(seconds),
            saved: attachment.saved,
        }
    }

    fn granted(&self) -> Granted {
        let usual = Granted::default();
        let seconds = |seconds: u16| Duration::from_secs(seconds.into());
        // As with a server's own words, 0 is no limit.
        let limit = |limit: Option<u16>| limit.filter(|limit| *limit > 0).map(seconds);
        Granted {
            wait: self.wait.map_or(usual.wait, seconds),
            hold: self.hold.unwrap_or(usual.hold),
            requests: self.requests.unwrap_or(usual.requests),
            inactivity: limit(self.inactivity),
            polling: limit(self.polling),
            max_pause: limit(self.maxpause),
            ..usual
        }
    }
}

impl Drop for Json {
    fn drop(&mut self) {
        self.sid.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: &str = r#"{"jid":"alice@example.org/web","rid":1774,"sid":"hunter2"}"#;
    const LONG: &str = r#"{"jid":"alice@example.org/web","rid":1774,"sid":"hunter2","wait":30,"hold":0,"requests":1,"inactivity":20,"polling":5,"maxpause":120,"saved":1000}"#;

    fn jid(text: &str) -> Jid {
        text.parse().expect("it is an address")
    }

    fn read(json: &str) -> Attachment {
        Attachment::from_json(json).expect("it is a session")
    }

    fn error(json: &str) -> AttachmentError {
        Attachment::from_json(json).expect_err("it is no session")
    }

    #[test]
    fn what_is_written_is_read() {
        let attachment = read(LONG);
        assert_eq!(attachment.to_json().as_str(), LONG);
        let granted = *attachment.granted();
        assert_eq!((granted.wait, granted.hold, granted.requests), (Duration::from_secs(30), 0, 1));
        assert_eq!(granted.inactivity, Some(Duration::from_secs(20)));
        assert_eq!(granted.polling, Some(Duration::from_secs(5)));
        assert_eq!(granted.max_pause, Some(Duration::from_secs(120)));
        let same = Attachment::new(jid("alice@example.org/web"), "hunter2", 1774)
            .expect("they are good")
            .with_granted(granted)
            .with_saved(1000);
        assert_eq!(same.to_json().as_str(), LONG);
    }

    #[test]
    fn what_is_not_said_is_what_most_servers_grant() {
        let with = |more: &str| SHORT.replace('}', &format!(",{more}}}"));
        let unsaid =
            [SHORT, &with(r#""wait":null,"inactivity":0,"polling":0,"maxpause":0,"other":[{}]"#)];
        for json in unsaid {
            let attachment = read(json);
            assert_eq!(*attachment.granted(), Granted::default(), "{json}");
            assert_eq!(attachment.saved(), None);
            assert_eq!((attachment.sid(), attachment.rid()), ("hunter2", 1774));
        }
        let usual = SHORT.replace('}', r#","wait":60,"hold":1,"requests":2}"#);
        assert_eq!(read(SHORT).to_json().as_str(), usual);
    }

    #[test]
    fn the_longest_is_written_without_growing() {
        let resource = "\"".repeat(1000);
        let all = Granted {
            wait: Duration::MAX,
            hold: u8::MAX,
            requests: u8::MAX,
            inactivity: Some(Duration::MAX),
            polling: Some(Duration::MAX),
            max_pause: Some(Duration::MAX),
            secure: true,
        };
        let sid = "\t".repeat(LONGEST_SID);
        let longest = Attachment::new(jid(&format!("example.org/{resource}")), &sid, MAX_RID)
            .expect("they are good")
            .with_granted(all)
            .with_saved(u64::MAX);
        let json = longest.to_json();
        let capacity = 2 * (longest.jid.as_str().len() + sid.len()) + 256;
        assert_eq!(json.capacity(), capacity);
        assert_eq!(read(&json).to_json(), json);
        assert_eq!(longest.check(&jid("example.org"), u64::MAX), Ok(()));
    }

    #[test]
    fn each_damage_has_its_error() {
        for length in 0..SHORT.len() {
            assert!(matches!(error(&SHORT[..length]), AttachmentError::Json(_)), "{length}");
        }
        let damages = [
            ("1774", r#""1774""#),
            ("1774", "-1"),
            ("1774", "1.5"),
            ("1774", "18446744073709551616"),
            (r#""hunter2""#, "2"),
            (r#""hunter2""#, "null"),
            (r#""sid""#, r#""SID""#),
            ("}", r#","sid":"hunter2"}"#),
            ("}", r#","wait":65536}"#),
            ("}", r#","hold":256}"#),
            ("}", r#","saved":"1000"}"#),
            ("}", "}}"),
        ];
        for (good, bad) in damages {
            let json = SHORT.replace(good, bad);
            let error = error(&json);
            assert!(
                matches!(error, AttachmentError::Json(Unreadable { line: 1, .. })),
                "{json}: {error}"
            );
        }
        let list = r#" ["alice@example.org/web",1774,"hunter2"]"#;
        assert_eq!(error(list), AttachmentError::Json(Unreadable { line: 1, column: 1 }));
        let account = |account: &str| error(&SHORT.replace("alice@example.org/web", account));
        assert_eq!(account("@"), AttachmentError::Jid(JidError::LocalEmpty));
        assert_eq!(account("alice@example.org"), AttachError::Jid.into());
        assert_eq!(error(&SHORT.replace("hunter2", "")), AttachError::Sid.into());
        assert_eq!(error(&SHORT.replace("hunter2", r"hunter2\u0000")), AttachError::Sid.into());
        assert_eq!(error(&SHORT.replace("1774", "0")), AttachError::Rid.into());
        assert_eq!(error(&SHORT.replace("1774", "9007199254740992")), AttachError::Rid.into());
    }

    #[test]
    fn a_session_is_its_accounts_alone() {
        let attachment = read(SHORT);
        for account in
            ["Alice@EXAMPLE.org", "alice@example.org/phone", "example.ORG", "example.org."]
        {
            assert_eq!(attachment.check(&jid(account), 0), Ok(()), "{account}");
        }
        for other in ["bob@example.org", "alice@example.net", "example.net"] {
            let error =
                RestoreError::OtherAccount { account: jid(other), found: jid("alice@example.org") };
            assert_eq!(attachment.check(&jid(other), 0), Err(error));
        }
        let guest = read(&SHORT.replace("alice@", ""));
        assert_eq!(guest.check(&jid("example.org"), 0), Ok(()));
        let error = guest.check(&jid("alice@example.org"), 0).expect_err("it is a guest's");
        assert_eq!(
            error.to_string(),
            "the stored session is one of example.org, not of alice@example.org: \
             log in as alice@example.org"
        );
    }

    #[test]
    fn a_session_expires_when_the_server_forgets_it() {
        let alice = jid("alice@example.org");
        let check = |json: &str, now| read(json).check(&alice, now);
        for now in [0, 1000, 1050] {
            assert_eq!(check(LONG, now), Ok(()), "{now}");
        }
        for (now, seconds) in [(1051, 1), (1170, 120), (u64::MAX, u64::MAX - 1050)] {
            assert_eq!(check(LONG, now), Err(RestoreError::Expired { seconds }));
        }
        for unknown in [r#","saved":1000"#, r#","inactivity":20"#] {
            assert_eq!(check(&LONG.replace(unknown, ""), u64::MAX), Ok(()), "{unknown}");
        }
        let other = read(LONG).check(&jid("bob@example.org"), u64::MAX);
        assert!(matches!(other, Err(RestoreError::OtherAccount { .. })), "the worse of both");
    }

    #[test]
    fn nothing_shows_the_ids() {
        let shown = format!("{:?}", read(LONG));
        assert!(!shown.contains("hunter2") && !shown.contains("1774"), "{shown}");
        assert!(shown.starts_with("Attachment { jid: Jid(\"alice@example.org/web\"), "), "{shown}");
        let errors = [
            error(&SHORT.replace("hunter2", &"hunter2".repeat(200))),
            error(&SHORT.replace(r#""hunter2""#, "hunter2")),
            error(&SHORT.replace("1774", "17740000000000000000")),
        ];
        for error in errors {
            let words = format!("{error} {error:?}");
            assert!(!words.contains("hunter2") && !words.contains("1774"), "{words}");
        }
    }
}
