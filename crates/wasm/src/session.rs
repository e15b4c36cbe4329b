//! A session from one connection to the next, as JavaScript keeps it and makes it anew.
//! When that is done, and what of the session goes on, is `epode_proto`'s to say.

use std::time::Duration;

use epode_proto::{Error, Input, Jid, Reconnecting, SessionState, Status, Time};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::{Machine, Tokens, news::News};

#[wasm_bindgen]
impl Machine {
    /// Why the session that was handed in is not gone on with, if it is not.
    #[must_use]
    pub fn session_problem(&mut self) -> Option<String> {
        self.session_problem.take()
    }

    /// Whether both sides count stanzas (XEP-0198).
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.connection.is_managed()
    }

    /// What both sides have sent each other, as JSON, once an address is bound.
    #[must_use]
    pub fn session(&self) -> Option<String> {
        self.connection.session().to_json().map(|json| json.to_string())
    }

    /// The same, if it has moved on since it was asked for last, and can be gone on with.
    #[must_use]
    pub fn session_to_keep(&mut self) -> Option<String> {
        let session = self.connection.session();
        let mark = Some(session.mark());
        if session.jid().is_none() || self.kept == mark {
            return None;
        }
        self.kept = mark;
        self.session()
    }

    /// The application has the stanza that was delivered.
    ///
    /// # Errors
    ///
    /// None that is known.
    pub fn handled(&mut self, now: f64) -> Result<(), String> {
        self.handle(now, Input::Handled(1))
    }

    /// Whether it is still to be known if both sides count.
    #[must_use]
    pub fn expects_management(&self) -> bool {
        self.connection.expects_management()
    }

    /// The session as JSON, for whoever counts for all pages from now on; nothing while nobody counts.
    #[must_use]
    pub fn release_session(&mut self) -> Option<String> {
        self.connection.release_session()?.to_json().map(|json| json.to_string())
    }

    /// The session that was handed in goes on here, over a connection that a page has made.
    ///
    /// # Errors
    ///
    /// A text, if there is none, or another transport already.
    pub fn take_over(&mut self, now: f64) -> Result<(), String> {
        self.handle(now, Input::TakenOver)
    }

    /// Hands in the session to go on with, before the connection is open.
    ///
    /// # Errors
    ///
    /// A text, if it is none, another account's, or too late.
    pub fn set_session(&mut self, session: &str) -> Result<(), String> {
        let session = SessionState::from_json(session).map_err(|error| error.to_string())?;
        self.connection.set_session(session).map_err(|misuse| misuse.to_string())
    }

    /// Nobody can count on the next connections.
    pub fn forgo_management(&mut self) {
        self.connection.set_stream_management(None);
    }

    /// Another page of this account has logged in for all; `is_watched`, if the worker sees whether
    /// the server is there.
    ///
    /// # Errors
    ///
    /// A text, if the JID is no address, or there was a transport already.
    pub fn joined(&mut self, now: f64, jid: &str, is_watched: bool) -> Result<(), String> {
        let jid: Jid = jid.parse().map_err(|error| format!("the JID: {error}"))?;
        self.handle(now, Input::Joined { jid, is_watched })?;
        self.was_online = true;
        self.attempts.connected(self.now, false);
        Ok(())
    }

    /// Takes over what the next login begins with, once that is kept.
    pub fn equip(&mut self, tokens: &mut Tokens) {
        let Some(beginning) = tokens.beginning() else { return };
        self.connection.set_user_agent(self.user_agent.clone().id(beginning.user_agent));
        self.connection.set_token(beginning.token);
        if !std::mem::replace(&mut self.is_equipped, true) {
            self.connection.set_memory(beginning.server); // later it knows by itself
        }
    }

    /// Whether the connection that has just ended is made anew: then the news of that, as JSON, in
    /// place of those of the end.
    #[must_use]
    pub fn again(&mut self) -> Option<String> {
        let reason = self.end.take()?;
        let (attempt, wait) = match &reason {
            Error::ServerChanged if self.is_renewable => (1, Duration::ZERO),
            reason if self.was_online => self.attempts.next(self.now, reason)?,
            _ => return None,
        };
        let status = Status::Reconnecting(Reconnecting::new(attempt, wait, reason));
        Some(News::of(&status).json())
    }

    /// Whether to go where the server says.
    #[must_use]
    pub fn may_follow(&self) -> bool {
        self.attempts.may_follow(self.now)
    }

    /// It is gone there.
    pub fn follow(&mut self) {
        self.end = None;
        self.attempts.follow(self.now);
    }

    /// Begins the next connection. The zero of time is now: so many seconds since 1970.
    ///
    /// # Errors
    ///
    /// A text, before the end of the last.
    pub fn renew(&mut self, unix_zero: f64) -> Result<(), String> {
        (self.now, self.asked) = (Time::ZERO, None);
        self.connection.renew(unix_zero as u64).map_err(|misuse| misuse.to_string())
    }
}

impl Machine {
    /// Notes what a status means for the next connection. What is no failure is not told.
    pub(crate) fn news(&mut self, status: &Status) -> Option<News> {
        match status {
            Status::ConnFail(Error::ServerChanged) if self.is_renewable => return None,
            Status::Connected(login) => {
                self.was_online = true;
                self.attempts.connected(self.now, login.resumed);
            }
            Status::ComponentConnected(_) => {
                self.was_online = true;
                self.attempts.connected(self.now, false);
            }
            Status::Disconnected(reason) => self.end = reason.clone(),
            _ => {}
        }
        Some(News::of(status))
    }
}

/// The session of an earlier connection, if this account can go on with it.
pub(crate) fn read(text: &str, account: &Jid, unix: u64) -> Result<SessionState, String> {
    let mut session = SessionState::from_json(text).map_err(|error| error.to_string())?;
    session.check(account).map_err(|error| error.to_string())?;
    session.expire(unix);
    Ok(session)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretKind;

    const KEPT: &str =
        r#"{"jid":"alice@localhost/desk","id":"a7","in":2,"in_h":2,"out":1,"out_h":1,"queue":[]}"#;

    fn machine(options: &str, session: Option<&str>) -> Machine {
        let options = format!(r#"{{"jid":"alice@localhost","mechanisms":[]{options}}}"#);
        let session = session.map(str::to_owned);
        Machine::new(&options, SecretKind::None, String::new(), session).unwrap()
    }

    #[test]
    fn a_session_is_gone_on_with_if_it_is_ours() {
        let mut ours = machine("", Some(KEPT));
        assert_eq!((ours.session_problem(), ours.session().as_deref()), (None, Some(KEPT)));
        assert_eq!(ours.session_to_keep().as_deref(), Some(KEPT));
        assert_eq!(ours.session_to_keep(), None, "it has not moved on");
        for (session, words) in [
            (KEPT.replace("alice", "bob"), "bob@localhost"),
            (KEPT.replace("/desk", ""), "`jid` has no resource"),
            ("{".to_owned(), "not the JSON object of a session"),
        ] {
            let mut machine = machine("", Some(&session));
            assert!(machine.session_problem().unwrap().contains(words));
            assert_eq!(machine.session(), None);
        }
    }

    #[test]
    fn a_session_is_taken_over_or_handed_in_if_it_is_ours() {
        let managed = r#","streamManagement":{}"#;
        let mut counts = machine(managed, Some(KEPT));
        counts.take_over(0.0).unwrap();
        assert!(counts.is_managed() && !counts.expects_management());
        assert!(counts.take_over(1.0).unwrap_err().contains("open already"));
        assert_eq!(counts.release_session().as_deref(), Some(KEPT));
        assert_eq!(counts.release_session(), None);
        assert!(machine("", Some(KEPT)).take_over(0.0).unwrap_err().contains("has to be wanted"));
        assert!(machine(managed, None).take_over(0.0).unwrap_err().contains("no session"));

        let mut page = machine(managed, None);
        for (session, words) in [
            (KEPT.replace("alice", "bob"), "not one of this account"),
            (KEPT.replace("/desk", ""), "`jid` has no resource"),
            ("{".to_owned(), "not the JSON object of a session"),
        ] {
            assert!(page.set_session(&session).unwrap_err().contains(words));
        }
        page.set_session(KEPT).unwrap();
        assert_eq!(page.session().as_deref(), Some(KEPT));
    }

    #[test]
    fn who_has_joined_comes_back() {
        let mut page = machine(r#","reconnect":{}"#, None);
        assert!(page.joined(0.0, "@", true).unwrap_err().starts_with("the JID: "));
        page.joined(0.0, "alice@localhost/desk", true).unwrap();
        page.lost(1.0, "cut".to_owned()).unwrap();
        while page.poll().is_some() {}
        assert!(page.again().unwrap().starts_with(r#"{"code":13,"#));
        let message = "<message xmlns='jabber:client'/>";
        page.send(2.0, message).unwrap();
        let mut guest = machine("", None);
        guest.joined(0.0, "alice@localhost/desk", false).unwrap();
        guest.lost(1.0, "cut".to_owned()).unwrap();
        while guest.poll().is_some() {}
        assert_eq!(guest.again(), None);
        assert!(guest.send(2.0, message).unwrap_err().contains("not connected"));
    }

    #[test]
    fn who_was_never_there_does_not_come_back() {
        let mut machine = machine(r#","reconnect":{}"#, None);
        assert!(machine.renew(0.0).unwrap_err().contains("the connection is not over"));
        machine.not_opened(1.0, "refused".to_owned()).unwrap();
        while machine.poll().is_some() {}
        assert_eq!(machine.again(), None);
        machine.renew(0.0).unwrap();
        assert!(machine.may_follow());
    }

    #[test]
    fn options_out_of_bounds_are_words() {
        let refused = |more: &str| {
            let options = format!(r#"{{"jid":"alice@localhost","mechanisms":[]{more}}}"#);
            let machine = Machine::new(&options, SecretKind::None, String::new(), None);
            machine.err().expect("it is refused")
        };
        for more in [
            r#","reconnect":{"first":-1}"#,
            r#","streamManagement":{"max":4294967296}"#,
            r#","tokens":"else""#,
        ] {
            assert!(refused(more).starts_with("the options: "), "{more}");
        }
        let id = refused(r#","sasl2":{"userAgent":{"id":"1"}}"#);
        assert!(id.starts_with("the user agent's id: not a UUID"), "{id}");
    }
}
