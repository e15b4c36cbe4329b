//! Where a session goes on that its connection does not outlive: kept for the next process, handed
//! to another program, or moved to where the server says.

use epode_proto::{
    Error as Reason, Input,
    bosh::{self, Attachment},
};
use tokio::sync::oneshot;

use super::{Driver, lock, unix_time};
use crate::{
    Error,
    route::Way,
    sessions::StoredSession,
    transport::{Baton, Endpoint, Link},
};

impl Driver {
    /// Keeps the session if it has moved on since it was kept last. What is sent meanwhile goes
    /// out after that.
    pub(super) fn keep_session(&mut self) {
        let Some(store) = &self.sessions else { return };
        let session = self.connection.session();
        let mark = session.mark();
        let is_managed = session.jid().is_some() && lock(&self.standing).attachment.is_none();
        if self.kept.as_deref() == Some(&mark) || !is_managed || self.end.get().is_some() {
            return;
        }
        self.kept = Some(Box::new(mark));
        if let Err(error) = store.save(&StoredSession::Managed(session.snapshot())) {
            tracing::warn!(%error, "the session could not be kept");
            let _ = store.remove(); // what it has is of no use any more
        }
    }

    /// A session that was closed need not be kept; one that was lost may be taken up again.
    pub(super) fn forget_session(&self, reason: Option<&Reason>) {
        if let (Some(store), None, true) = (&self.sessions, reason, self.kept.is_some())
            && let Err(error) = store.remove()
        {
            tracing::warn!(%error, "the session that is over could not be removed");
        }
    }

    /// Where the server sends us, and how to get there, if that is followed.
    pub(super) fn redirected(&self, reason: &Reason) -> Option<(String, Way)> {
        let place = match reason {
            Reason::Stream(error) => error.see_other_host.as_deref()?,
            Reason::Redirected(uri) => uri,
            _ => return None,
        };
        let endpoint = self.moved_to(place).filter(|_| self.attempts.may_follow(self.now()))?;
        Some((place.to_owned(), Way::Endpoint(endpoint)))
    }

    /// Where the server would have a session resumed, the first time that it is tried.
    pub(super) fn located(&self, location: &str) -> Option<Way> {
        self.moved_to(location).filter(|_| self.attempts.is_first()).map(Way::Endpoint)
    }

    /// The current endpoint at another place. Where TLS may be missing, nobody could tell whether
    /// it was the server that said so.
    fn moved_to(&self, place: &str) -> Option<Endpoint> {
        let current = lock(&self.standing).route.endpoint().cloned()?;
        let follows = self.way.is_some() && !self.connection.may_be_unencrypted();
        current.moved_to(place).filter(|_| follows)
    }

    /// Begins to hand the session over; until nothing is under way, it goes on.
    pub(super) fn hand_over(&mut self, heir: oneshot::Sender<Result<Attachment, Error>>) {
        if self.is_leaving() {
            let _ = heir.send(Err(Error::Ended)); // it goes to the first
        } else if self.link.as_mut().is_some_and(Link::hand_over) {
            self.heir = Some(heir);
        } else {
            let _ = heir.send(Err(Error::NotBosh)); // whoever wanted it may have gone
        }
    }

    /// Whether the session is being handed over; it is not once nobody wants it any more.
    pub(super) fn is_leaving(&mut self) -> bool {
        if self.heir.take_if(|heir| heir.is_closed()).is_some() {
            self.link.as_mut().map(Link::stay);
        }
        self.heir.is_some()
    }

    /// Lets go of the session, without ending it.
    pub(super) fn leave_to_heir(&mut self) {
        if !self.is_leaving() {
            return;
        }
        self.keep_attachment();
        let attachment = lock(&self.standing).attachment.take();
        self.link = None;
        self.handle(Input::HandedOver);
        if let (Some(heir), Some(attachment)) = (self.heir.take(), attachment) {
            let _ = heir.send(Ok(*attachment)); // whoever wanted it may have gone
        }
    }

    /// Notes what it would take to go on with the session elsewhere.
    pub(super) fn keep_attachment(&mut self) {
        let baton = self.link.as_ref().and_then(Link::baton);
        let jid = lock(&self.standing).jid.clone();
        let (Some(jid), Some(Baton { sid, rid, granted })) = (jid, baton) else { return };
        let Ok(attachment) = Attachment::new(jid, &sid, rid) else { return };
        let attachment = attachment.with_granted(granted).with_saved(unix_time());
        if let Some(store) = &self.sessions
            && let Err(error) = store.save(&StoredSession::Bosh(attachment.clone()))
        {
            tracing::warn!(%error, "the session could not be kept");
            let _ = store.remove(); // what it has is of no use any more
        }
        lock(&self.standing).attachment = Some(Box::new(attachment));
    }

    /// A BOSH session that the server knows no more need not be kept; one that only we have lost may
    /// be taken up again.
    pub(super) fn forget_attachment(&self, reason: Option<&Reason>) {
        use Reason::{Bosh, ConnectionLost};

        let is_lost = matches!(reason, Some(Bosh(bosh::End::GaveUp { .. }) | ConnectionLost(_)));
        let attachment = lock(&self.standing).attachment.take();
        if let (Some(store), Some(_), false) = (&self.sessions, attachment, is_lost)
            && let Err(error) = store.remove()
        {
            tracing::warn!(%error, "the session that is over could not be removed");
        }
    }
}
