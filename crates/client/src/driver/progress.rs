//! How far a connection is: what its statuses mean for those who wait, and what comes after its end.

use std::time::Duration;

use epode_proto::{Connected, Input, Jid, Reconnecting, Status, Wait};
use tokio::time::Instant;

use super::{
    Driver,
    handle::{Reached, lock},
};
use crate::{Error, moment::later, pins::PinStoreError, transport::TransportError};

impl Driver {
    pub(super) fn report(&mut self, status: Status) {
        if let Status::Connected(connected) = &status
            && let Err(error) = self.pin(connected)
        {
            self.error = Some(Box::new(error.into()));
            return self.handle(Input::Close);
        }
        let status = match status {
            Status::Disconnected(Some(reason)) => self.again(reason),
            // It is no failure.
            Status::ConnFail(reason) | Status::ConnTimeout(reason) | Status::Error(reason)
                if self.redirected(&reason).is_some() || self.begins_anew(&reason) =>
            {
                return;
            }
            status => status,
        };
        tracing::debug!(%status, "status");
        for watcher in &self.statuses {
            let _ = watcher.try_send(status.clone()); // a full one has stopped watching
        }
        match status {
            Status::BindRequired => {
                let features = self.connection.features().cloned();
                self.reach(Ok(Reached::BindRequired(features)));
            }
            Status::Connected(connected) => self.connected(connected),
            Status::Attached(jid) => {
                self.begin_session(jid);
                self.reach(Ok(Reached::Online));
            }
            Status::ComponentConnected(jid) => {
                self.attempts.connected(self.now(), false);
                self.begin_session(jid);
                self.requests.begin_anew();
                self.reach(Ok(Reached::Online));
            }
            // Nobody waits for an answer any more.
            Status::AuthFail(_) | Status::Disconnecting => self.question = None,
            Status::Disconnected(reason) => self.conclude(reason),
            _ => {}
        }
    }

    /// The connection is over: whether it is made anew, and when.
    fn again(&mut self, reason: epode_proto::Error) -> Status {
        let is_session = self.milestone.is_none() && self.connection.session().jid().is_some();
        if let Some((place, way)) = self.redirected(&reason) {
            self.attempts.follow(self.now());
            self.wait(Duration::ZERO);
            self.elsewhere = Some(Box::new(way));
            return Status::Redirect(place);
        }
        if self.begins_anew(&reason) {
            self.wait(Duration::ZERO);
            return Status::Reconnecting(Reconnecting::new(1, Duration::ZERO, reason));
        }
        let is_wanted = is_session && self.way.is_some() && self.commands.is_some();
        match self.attempts.next(self.now(), &reason).filter(|_| is_wanted) {
            Some((attempt, span)) => {
                self.wait(span);
                Status::Reconnecting(Reconnecting::new(attempt, span, reason))
            }
            None => Status::Disconnected(Some(reason)),
        }
    }

    fn wait(&mut self, span: Duration) {
        self.router.set_connected(false);
        self.link = None; // to close it in good order could end the session
        (self.wake, self.stalls, self.question, self.error) = (None, None, None, None);
        if let Some(transcript) = &mut self.transcript {
            transcript.begin_anew();
        }
        self.forget_attachment(None);
        self.senders.drain(..).for_each(|(done, receipt)| drop(done.send(Ok(receipt))));
        self.begins = Some(later(Instant::now(), span));
    }

    fn connected(&mut self, connected: Connected) {
        let is_new = !connected.resumed;
        self.early = false;
        self.attempts.connected(self.now(), connected.resumed);
        self.token_accepted(&connected.mechanism);
        if let Some(keys) = self.keys.take() {
            lock(&self.standing).keys = Some(*keys);
        }
        self.begin_session(connected.jid.clone());
        lock(&self.standing).login = Some(connected);
        if is_new {
            self.requests.begin_anew();
            if let Some(presence) = self.presence.as_deref().cloned()
                && let Err(error) = self.send(presence)
            {
                tracing::debug!(%error, "presence is not sent again");
            }
        }
        self.reach(Ok(Reached::Online));
    }

    fn begin_session(&mut self, jid: Jid) {
        self.router.set_connected(true);
        self.requests.set_account(&jid);
        lock(&self.standing).jid = Some(jid);
        self.keep_attachment();
    }

    /// Holds the next login to what the account has had by now.
    pub(super) fn renew_pin(&mut self) -> Result<(), PinStoreError> {
        if let Some(pinning) = &self.pinning {
            self.connection.set_pin(pinning.load()?);
        }
        Ok(())
    }

    /// Keeps what this login has proved the server to offer.
    fn pin(&self, connected: &Connected) -> Result<(), PinStoreError> {
        match (&self.pinning, &connected.pin) {
            (Some(pinning), Some(pin)) => pinning.keep(pin),
            _ => Ok(()),
        }
    }

    pub(super) fn reach(&mut self, reached: Result<Reached, Error>) {
        if let Some(milestone) = self.milestone.take() {
            let _ = milestone.send(reached); // whoever waited may have stopped
        }
    }

    /// It is over: everybody who waits is told why.
    fn conclude(&mut self, reason: Option<epode_proto::Error>) {
        let _ = self.end.set(reason.clone()); // nobody else sets it
        self.forget_attachment(reason.as_ref());
        self.forget_session(reason.as_ref());
        let error = match (reason, self.error.take()) {
            (Some(reason), None) => Error::Connection(reason),
            (Some(reason), Some(_)) if !is_of_transport(&reason) => Error::Connection(reason),
            (_, Some(error)) => *error,
            (None, None) => Error::Ended,
        };
        self.senders.drain(..).for_each(|(done, _)| drop(done.send(Err(error.clone()))));
        self.requests.end(&error);
        lock(&self.standing).forget_watchers();
        self.reach(Err(error));
    }
}

/// Why there is no connection any more, in the machine's terms.
pub(super) fn reason(error: &TransportError) -> epode_proto::Error {
    match error {
        TransportError::Bosh(end) => epode_proto::Error::Bosh(end.clone()),
        error => lost(&error.to_string()),
    }
}

pub(super) fn lost(words: &str) -> epode_proto::Error {
    epode_proto::Error::ConnectionLost(words.to_owned())
}

/// Whether the machine knows no more than that the transport failed.
fn is_of_transport(reason: &epode_proto::Error) -> bool {
    use epode_proto::Error::{ConnectionLost, TimedOut, Unreachable};

    matches!(reason, ConnectionLost(_) | TimedOut(Wait::Transport) | Unreachable(_))
}
