//! The whole negotiation as one table: debug builds check every step against it, and
//! `docs/state-machine.md` is made from it.

use crate::{
    Element, Phase,
    xml::namespaces::{CLIENT, COMPONENT, SASL, SASL2, SM, STREAM, TLS},
};

/// What moved it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stimulus {
    Opened,
    Attached,
    Secured,
    Header,
    Features,
    Handshake,
    Proceed,
    Challenge,
    Success,
    Failure,
    Answered,
    Continue,
    TaskData,
    TaskAnswered,
    Iq,
    Element,
    BindCalled,
    Resumed,
    NotResumed,
    Sent,
    CloseCalled,
    PeerClosed,
    Lost,
    Deadline,
}

impl Stimulus {
    pub(crate) fn of(element: &Element) -> Self {
        match (element.name(), element.namespace()) {
            ("features", STREAM) => Self::Features,
            ("handshake", COMPONENT) => Self::Handshake,
            ("proceed", TLS) => Self::Proceed,
            ("challenge", SASL | SASL2) => Self::Challenge,
            ("success", SASL | SASL2) => Self::Success,
            ("failure", SASL | SASL2) => Self::Failure,
            ("continue", SASL2) => Self::Continue,
            ("task-data", SASL2) => Self::TaskData,
            ("resumed", SM) => Self::Resumed,
            ("failed", SM) => Self::NotResumed,
            ("iq", CLIENT) => Self::Iq,
            _ => Self::Element,
        }
    }
}

/// Whether the table has this step. What ends the connection may come at any time; what changes
/// nothing may too, since [`ApiMisuse`](crate::ApiMisuse) and stray stanzas leave no trace.
pub(crate) fn is_allowed(before: Phase, stimulus: Stimulus, after: Phase) -> bool {
    let is_end = matches!(after, Phase::Closing | Phase::Closed);
    let moves = matches!(stimulus, Stimulus::Challenge | Stimulus::Answered | Stimulus::Failure);
    let is_stay = before == after && !moves;
    let has_row = |row: &(Phase, Stimulus, &[Phase], &str)| {
        row.0 == before && row.1 == stimulus && row.2.contains(&after)
    };
    is_end || is_stay || TABLE.iter().any(has_row)
}

/// `(phase, stimulus, next phases, what is done on the way)`
const TABLE: &[(Phase, Stimulus, &[Phase], &str)] = {
    use Phase::*;
    use Stimulus as On;
    &[
        (Unopened, On::Opened, &[LoginHeader], "send the stream header"),
        (Unopened, On::Opened, &[Secured], "early data: send header and login with the handshake"),
        (Unopened, On::Attached, &[Online], "take over a session, or join those that have it"),
        (Unopened, On::Opened, &[ComponentHeader], "a component: send its stream header"),
        (ComponentHeader, On::Header, &[Handshake], "send the hash of id and secret"),
        (Handshake, On::Handshake, &[Online], "connected"),
        (LoginHeader, On::Header, &[LoginFeatures], "check id, version and sender"),
        (LoginFeatures, On::Features, &[Proceed], "not encrypted yet: ask for STARTTLS"),
        (Proceed, On::Proceed, &[Secured], "begin the TLS handshake"),
        (
            Secured,
            On::Secured,
            &[LoginHeader],
            "send a new stream header, unless early data was taken",
        ),
        (LoginFeatures, On::Features, &[SaslReply, Answer], "choose a mechanism, begin the login"),
        (SaslReply, On::Challenge, &[SaslReply, Answer], "respond, or ask"),
        (Answer, On::Answered, &[SaslReply, Answer], "send the response, or ask again"),
        (SaslReply, On::Failure, &[SaslReply, Answer], "binding refused: begin anew by the next"),
        (Answer, On::Failure, &[SaslReply, Answer], "binding refused: begin anew by the next"),
        (SaslReply, On::Success, &[BindHeader], "verify the server, send a new stream header"),
        (SaslReply, On::Success, &[BindFeatures], "SASL2: verify the server"),
        (SaslReply, On::Success, &[BoundFeatures], "SASL2: the same, and check the bound address"),
        (SaslReply, On::Success, &[Online], "SASL2: the same, and go on with an earlier session"),
        (SaslReply, On::Continue, &[Task, TaskReply], "verify the server, ask what to do"),
        (Task, On::TaskAnswered, &[TaskReply], "send the application's part"),
        (Task, On::Answered, &[TaskReply], "an upgrade: send the keys"),
        (TaskReply, On::TaskData, &[Task], "ask the application, or for keys"),
        (TaskReply, On::Continue, &[Task, TaskReply], "the next task"),
        (TaskReply, On::Success, &[BindFeatures, BoundFeatures, Online], "as without tasks"),
        (BoundFeatures, On::Features, &[Online], "connected"),
        (BindHeader, On::Header, &[BindFeatures], "check id, version and sender"),
        (BindFeatures, On::Features, &[Bound], "ask for a resource"),
        (BindFeatures, On::Features, &[BindCall], "explicit binding: tell the application"),
        (BindFeatures, On::Features, &[Resumed], "an earlier session: ask to go on with it"),
        (Resumed, On::Resumed, &[Online], "check whose it is, send again what is missing"),
        (Resumed, On::NotResumed, &[Bound], "ask for a resource"),
        (Resumed, On::NotResumed, &[BindCall], "explicit binding: tell the application"),
        (BindCall, On::BindCalled, &[Bound], "ask for a resource"),
        (Bound, On::Iq, &[Online], "check the bound address"),
        (Bound, On::Iq, &[Session], "the server demands a session: ask for it"),
        (Session, On::Iq, &[Online], "connected"),
    ]
};

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

    use super::*;

    fn drawing() -> String {
        let mut page = String::from(HEAD);
        for (before, stimulus, next, _) in TABLE {
            for after in *next {
                writeln!(page, "    {before:?} --> {after:?}: {stimulus:?}").unwrap();
            }
        }
        page.push_str("    Online --> Closing: CloseCalled\n    Closing --> Closed: PeerClosed\n");
        page.push_str("    Closed --> [*]\n```\n\n| phase | on | next | meanwhile |\n");
        page.push_str("|---|---|---|---|\n");
        for (before, stimulus, next, what) in TABLE {
            let next: Vec<_> = next.iter().map(|phase| format!("{phase:?}")).collect();
            writeln!(page, "| {before:?} | {stimulus:?} | {} | {what} |", next.join(", ")).unwrap();
        }
        page.push_str(TAIL);
        page
    }

    const HEAD: &str = "# The negotiation as a state machine\n\n\
        Made from the table in `crates/proto/src/negotiate/transitions.rs` by its test; to renew \
        it, run\n`EPODE_UPDATE=1 cargo test -p epode-proto drawing`.\n\n\
        ```mermaid\nstateDiagram-v2\n    [*] --> Unopened\n";

    const TAIL: &str = "\nNot drawn, because it holds in every phase:\n\n\
        * a fault of the server, a stream error, a lost connection, a deadline and a refused login \
        lead to\n  Closing, or straight to Closed where there is nobody to wait for;\n\
        * `CloseCalled` leads to Closing, and `PeerClosed`, `Lost` or `Deadline` from there to \
        Closed;\n\
        * in BindCall, Bound, Session and Online other stanzas change nothing.\n";

    #[test]
    fn the_drawing_in_docs_is_up_to_date() {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/state-machine.md");
        if std::env::var_os("EPODE_UPDATE").is_some() {
            fs::write(&path, drawing()).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(found, drawing(), "renew it with EPODE_UPDATE=1");
    }

    #[test]
    fn every_phase_can_be_reached_and_left() {
        let reached: BTreeSet<_> =
            TABLE.iter().flat_map(|row| row.2).map(|phase| format!("{phase:?}")).collect();
        for (before, ..) in TABLE.iter().filter(|row| row.0 != Phase::Unopened) {
            assert!(reached.contains(&format!("{before:?}")), "{before:?} is never reached");
        }
        assert!(reached.contains("Online"));
    }

    #[test]
    fn nothing_can_be_bound_without_a_login() {
        let skips = |before| {
            [Phase::BindHeader, Phase::BindFeatures, Phase::Bound, Phase::Session, Phase::Online]
                .into_iter()
                .any(|after| {
                    let stimuli =
                        [Stimulus::Features, Stimulus::Header, Stimulus::Handshake, Stimulus::Iq];
                    stimuli.into_iter().any(|stimulus| is_allowed(before, stimulus, after))
                })
        };
        for before in [
            Phase::LoginHeader,
            Phase::LoginFeatures,
            Phase::SaslReply,
            Phase::Answer,
            Phase::ComponentHeader,
        ] {
            assert!(!skips(before), "{before:?}");
        }
    }
}
