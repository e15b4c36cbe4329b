//! What the machine wants, done.

use std::time::Duration;

use epode_proto::{
    Action, Element, Frame, Input,
    stanza::{Iq, StanzaError, StanzaErrorCondition},
};
use tokio::time::{Instant, sleep_until};

use super::{
    Driver, Stall,
    event::closing,
    handle::lock,
    not_opened,
    progress::{lost, reason},
};
use crate::{
    Direction,
    driver::handle::Reached,
    moment::later,
    transport::{Link, Secured, TransportError},
};

impl Driver {
    /// Does all that the machine wants.
    pub(super) async fn act(&mut self) {
        while self.begins.is_none() {
            let mut secures = false;
            while let Some(action) = self.connection.poll() {
                secures |= matches!(action, Action::Secure);
                self.perform(action).await;
                if self.begins.is_some() {
                    return;
                }
            }
            if !secures {
                return;
            }
            // In a box of its own: the task of an idle session should not hold room for a handshake.
            Box::pin(self.secure()).await; // by now its deadline is known
        }
    }

    async fn perform(&mut self, action: Action) {
        match action {
            Action::Transmit(frame) => self.transmit(&frame),
            Action::Ask(id, question) => {
                self.question = Some((id, self.answers.reply(question)));
            }
            Action::AskTask(id, offer) => self.question = Some((id, self.answers.do_task(offer))),
            Action::Report(status) => self.report(status),
            Action::Explain(explanation) => self.reach(Ok(Reached::Explained(explanation))),
            Action::Reported(report) => {
                if let Some(sink) = &mut self.reports {
                    sink(&report);
                }
            }
            Action::Keep(keys) => self.keys = Some(Box::new(keys)),
            Action::KeepToken(token) => self.keep_token(&token),
            Action::ForgetToken => self.forget_token(),
            Action::Remember(server) => self.remember(&server),
            Action::Deliver(element) => self.take_in(element),
            Action::Sent(number) => self.receipts.sent(number),
            Action::Acknowledged(number) => self.receipts.acknowledged(number),
            Action::Unmanaged(number) => self.receipts.unmanaged(number),
            Action::Dropped(number) => self.receipts.dropped(number),
            Action::Quiet(quiet) => lock(&self.standing).set_quiet(quiet),
            Action::WakeAt(time) => self.wake = Some(later(self.zero, time.since_zero())),
            Action::Disconnect => Box::pin(self.disconnect()).await,
            _ => {}
        }
    }

    /// An answer goes to who asked, everything else to the application.
    fn take_in(&mut self, stanza: Element) {
        let mark = self.handled.as_mut().map(|count| count.mark());
        if let Some(stanza) = self.requests.answer(stanza) {
            self.inbox.push(stanza, mark);
        }
    }

    /// Nobody handles this request, so somebody else must not wait for the answer.
    pub(super) fn refuse(&mut self, request: &Element) {
        let error = StanzaError::new(StanzaErrorCondition::ServiceUnavailable);
        if let Err(error) = self.send(Iq::error(request, error).into()) {
            tracing::debug!(%error, "a request is not refused");
        }
    }

    fn transmit(&mut self, frame: &Frame) {
        self.note(Direction::Sent, frame.as_bytes());
        let Some(link) = &mut self.link else { return };
        self.stalls.get_or_insert_with(|| Stall::of(link));
        match link.queue(frame.as_bytes()) {
            Ok(()) => {}
            // Nothing is lost but this one.
            Err(error @ TransportError::FrameTooLarge { .. }) if !self.senders.is_empty() => {
                let refused = self.senders.pop();
                refused.map(|(done, _)| done.send(Err(error.into())));
            }
            Err(error) => self.lose(reason(&error)),
        }
    }

    /// Whoever reads slowly is there; whoever reads nothing is not.
    pub(super) fn stalled(&mut self) {
        let before = self.stalls.take().map(|stall| stall.sent);
        self.stalls = self.link.as_ref().map(Stall::of).filter(|now| Some(now.sent) > before);
        if self.stalls.is_none() {
            self.lose(lost("the server takes nothing any more"));
        }
    }

    /// Changes the connection to TLS; meanwhile nothing else is said or heard.
    async fn secure(&mut self) {
        let wake = self.wake.unwrap_or(self.zero);
        let Some(link) = &mut self.link else { return };
        let secured = tokio::select! {
            secured = link.secure(&self.connector.domain, &self.connector.transport) => secured,
            () = closing(&mut self.close) => return self.handle(Input::Close),
            () = sleep_until(wake), if self.wake.is_some() => {
                self.wake = None;
                return self.handle(Input::Tick);
            }
        };
        self.stalls = None;
        match secured {
            Ok(Secured { channel, is_early: true }) => self.handle(Input::SecuredEarly(channel)),
            Ok(Secured { channel, is_early: false }) => {
                if self.early {
                    self.renew_token(); // its count may have been heard
                }
                self.handle(Input::Secured(channel));
            }
            Err(error) => {
                let error = error.into();
                let reason = not_opened(&error);
                self.error = Some(Box::new(error));
                self.lose(reason);
            }
        }
    }

    async fn disconnect(&mut self) {
        self.question = None;
        self.wake = None;
        if let Some(mut link) = self.link.take() {
            // The stream is over; what the transport still has to say changes nothing.
            let _ = tokio::time::timeout(CLOSE_LIMIT, link.close()).await;
        }
    }
}

impl Stall {
    fn of(link: &Link) -> Self {
        Self { until: Instant::now() + STALL_LIMIT, sent: link.sent() }
    }
}

const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// How long a peer may read nothing of what we send; it is seen within twice that.
const STALL_LIMIT: Duration = Duration::from_secs(30);
