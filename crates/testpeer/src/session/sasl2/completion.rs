//! The success of a login, and what is done with it: a session resumed, or an address bound.
//!
//! Leaves out who has logged in, and how.

use epode_proto::xml::Element;

use super::fast;
use super::fault::Sasl2Fault;
use super::request::{BindRequest, Request};
use super::terms::Sasl2Options;
use super::{BIND, NAMESPACE, additional_data};
use crate::random;
use crate::server::Server;
use crate::session::authenticating::ended;
use crate::session::machine::{Said, State, Transition};
use crate::session::seat::{Continuation, Seat};
use crate::session::stream_management::{Resumption, enable_inline, resume_inline};
use crate::session::{SessionChannel, bound, features, stream_management};

/// Completes the login of this user.
pub(super) fn complete(
    server: &Server,
    channel: &SessionChannel,
    request: &Request,
    user: String,
    data: Option<&[u8]>,
) -> Transition {
    let manages = Sasl2Options::manages_inline(server.config(), channel);
    let token = fast::renew(server, request, &user);
    let mut success = Success { data: data.map(additional_data), results: Vec::new(), token };
    // XEP-0198, section 9.2: this comes first, and may make the rest needless.
    if let Some(resume) = request.resume.as_ref().filter(|_| manages) {
        match resume_inline(server, &user, resume) {
            Resumption::Resumed(continuation) => return success.resumed(server, continuation),
            Resumption::Refused(failed) => success.results.push(failed),
            Resumption::Ended(condition) => return ended(condition, Vec::new()),
        }
    }
    let bind = request.bind.as_ref().filter(|_| server.config().sasl2.bind);
    match bind.and_then(|it| bound::bind_inline(server, &user, it.tag.as_deref()).zip(bind)) {
        Some((seat, bind)) => {
            if let Some(client) = &request.client {
                seat.set_client(client);
            }
            success.bound(server, channel, seat, bind)
        }
        None => {
            let identifier = format!("{user}@{}", server.domain());
            let features = features::after_login(server.config(), channel);
            let said = [success.element(server, &identifier), features];
            (State::Binding(user), said.map(Said::Element).into())
        }
    }
}

/// The parts of a success that are known so far.
struct Success {
    data: Option<Element>,
    results: Vec<Element>,
    token: Option<Element>,
}

impl Success {
    /// The stream goes on as if it had never been away: without features.
    fn resumed(mut self, server: &Server, continuation: Continuation) -> Transition {
        let Continuation { seat, resumed, rest } = continuation;
        self.results.push(resumed);
        let success = Said::Element(self.element(server, seat.jid().as_str()));
        (State::Bound(seat), [success].into_iter().chain(rest).collect())
    }

    fn bound(
        mut self,
        server: &Server,
        channel: &SessionChannel,
        seat: Seat,
        bind: &BindRequest,
    ) -> Transition {
        let config = server.config();
        let mut bound = Element::new("bound", BIND);
        let manages = Sasl2Options::manages_inline(config, channel);
        if let Some(enable) = bind.enable.as_ref().filter(|_| manages) {
            bound.push(enable_inline(server, &seat, enable));
        }
        if bind.carbons {
            seat.set_carbons();
        }
        self.results.push(bound);
        let offers_management = config.manages_streams(channel) && !seat.is_managed();
        let features = features::after_bind(config, offers_management);
        let said = [self.element(server, seat.jid().as_str()), features];
        (State::Bound(seat), said.map(Said::Element).into())
    }

    fn element(mut self, server: &Server, identifier: &str) -> Element {
        let named =
            |text: &str| Some(Element::new("authorization-identifier", NAMESPACE).with_text(text));
        let identifier = match &server.config().sasl2.fault {
            Some(Sasl2Fault::Identifier(other)) => named(other),
            Some(Sasl2Fault::NoIdentifier) => None,
            Some(Sasl2Fault::BoundAndResumed) => {
                self.add_the_other();
                named(identifier)
            }
            _ => named(identifier),
        };
        let parts = self.data.into_iter().chain(identifier).chain(self.results).chain(self.token);
        parts.fold(Element::new("success", NAMESPACE), Element::with_child)
    }

    /// Says both that an address was bound and that a session was resumed.
    fn add_the_other(&mut self) {
        let resumed = Element::new("resumed", stream_management::NAMESPACE)
            .with_attr("previd", random::name())
            .with_attr("h", "0");
        for result in [Element::new("bound", BIND), resumed] {
            if !self.results.iter().any(|it| it.is(result.name(), result.namespace())) {
                self.results.push(result);
            }
        }
    }
}
