//! A connection that several programs share, as the pages of a site do: one of them logs in, the
//! count of stanzas (XEP-0198) is kept in one place for all, and others join. What passes between
//! them is their own business.

use crate::{
    Action, ApiMisuse, Connection, Jid, SessionState, Status, StreamManagement, negotiate::State,
    session::Online,
};

impl Connection {
    /// Whether the server was asked to count stanzas (XEP-0198) and has not answered yet.
    #[must_use]
    pub fn expects_management(&self) -> bool {
        matches!(&self.state, State::Online(session) if session.expects_management())
    }

    /// Gives away the session of a connection on which both sides count, once all that has come is
    /// handled: for somebody who counts for several programs, and goes on with
    /// [`Input::TakenOver`](crate::Input::TakenOver). From then on nothing is counted here and the
    /// server is not asked for signs of life; elements of stream management are not to come here any
    /// more. Stanzas have numbers from 1 again.
    ///
    /// ```
    /// # use epode_proto::{Connection, Settings, sasl::Secret};
    /// # let settings = Settings::new("alice@example.org".parse()?, Secret::password("secret"));
    /// # let mut connection = Connection::new(settings);
    /// if let Some(session) = connection.release_session() {
    ///     println!("to whoever counts: {:?}", session.to_json());
    /// }
    /// # Ok::<(), epode_proto::JidError>(())
    /// ```
    pub fn release_session(&mut self) -> Option<SessionState> {
        let State::Online(session) = &mut self.state else { return None };
        session.release(&mut self.core)
    }

    /// Hands in the session to go on with, for a connection that is not open yet: what
    /// [`Settings::session`](crate::Settings::session) does for the first. What waits here to be sent
    /// goes out after what is in it, with other numbers; what came with a session that was handed in
    /// before is given up.
    ///
    /// # Errors
    ///
    /// [`ApiMisuse`] once the transport is open, and for a session that is not this account's
    /// ([`SessionState::check`]).
    pub fn set_session(&mut self, session: SessionState) -> Result<(), ApiMisuse> {
        if !matches!(self.state, State::Unopened(_)) {
            return Err(ApiMisuse("the transport is open already"));
        }
        if session.check(self.core.settings().jid()).is_err() {
            return Err(ApiMisuse("the session is not one of this account"));
        }
        self.core.set_session(session);
        Ok(())
    }

    /// Says anew what is wanted of stream management, for the next connection: what
    /// [`Settings::stream_management`](crate::Settings::stream_management) does for the first.
    pub fn set_stream_management(&mut self, wanted: Option<StreamManagement>) {
        self.core.set_stream_management(wanted);
    }

    /// Why the session that was handed in cannot be taken over.
    pub(crate) fn hindrance_to_take_over(&self) -> Option<&'static str> {
        if self.core.settings().stream_management.is_none() {
            return Some("to take a session over, stream management has to be wanted");
        }
        self.core.session.jid().is_none().then_some("there is no session to take over")
    }

    pub(crate) fn take_over(&mut self) -> State {
        self.report_attached();
        State::Online(Online::taken_over(&self.core))
    }

    pub(crate) fn join(&mut self, jid: Jid, is_watched: bool) -> State {
        self.core.session.jid = Some(jid);
        self.report_attached();
        State::Online(Online::joined(&mut self.core, is_watched))
    }

    fn report_attached(&mut self) {
        if let Some(jid) = self.core.session.jid().cloned() {
            self.core.push(Action::Report(Status::Attached(jid)));
        }
    }
}
