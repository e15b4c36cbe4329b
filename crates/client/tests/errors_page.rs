//! `docs/errors.md` against the code: what the page says of each condition is what the errors say.

use std::{collections::BTreeSet, num::NonZeroU32};

use epode::{
    Error, PinStoreError, RestoreError, SessionStoreError, TlsError, TokenStoreError,
    TransportError,
    discovery::DomainError,
    proto::{
        self, ApiMisuse, Connection, Element, Input, PeerFault, Settings, Time, Wait,
        bosh::{End, Failure, Fault, Options, Response, Session},
        framing::{FrameError, websocket},
        stream::{StanzaError, StreamError},
    },
    sasl::{self, Channel, Credentials, MechanismName, Policy, Registry, Rejection, Secret},
};

const PAGE: &str = include_str!("../../../docs/errors.md");

/// Condition, advice and place of each row of the table under this heading.
fn rows(heading: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let (_, section) = PAGE.split_once(heading).expect("the heading is there");
    let section = section.split("\n## ").next().unwrap_or_default();
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `"));
    cells
        .map(|row| {
            let (condition, row) = row.split_once("` | `").expect("a condition, then an advice");
            let (advice, rest) = row.split_once("` | ").expect("an advice, then words");
            (condition, advice, rest)
        })
        .collect()
}

/// One error for each condition that epode itself has words for.
fn own_errors() -> Vec<Error> {
    let login = [
        no_mechanism(),
        signature_wrong(),
        sasl::Error::StaleKeys { iterations: NonZeroU32::MIN },
        sasl::Error::UserName(sasl::PreparationError::Empty),
        sasl::Error::Password(sasl::PreparationError::Empty),
        sasl::Error::EmptyToken,
        sasl::Error::Unsendable("user name"),
        sasl::Error::Refused("nobody is there".to_owned()),
        sasl::Error::NoRandomness,
    ];
    let not_xml = Element::parse("<a").expect_err("it is cut off");
    let connection = [
        proto::Error::TimedOut(Wait::Header),
        proto::Error::TimedOut(Wait::Answer),
        proto::Error::ConnectionLost("cable cut".to_owned()),
        proto::Error::ConnectionClosed,
        proto::Error::Unencrypted,
        proto::Error::Redirected("wss://example.net/".to_owned()),
        proto::Error::PeerMisbehaved(PeerFault::Frame(FrameError::Xml(not_xml))),
        proto::Error::PeerMisbehaved(PeerFault::BindNotOffered),
        weaker(),
        proto::Error::Unreachable("no route".to_owned()),
        proto::Error::Bosh(End::GaveUp { attempts: 5, last: Failure::Broken }),
        proto::Error::Bosh(End::RidUsed),
        proto::Error::Bosh(End::RidsUsedUp),
        proto::Error::Bosh(End::Refused { status: 418, condition: None }),
        proto::Error::Bosh(End::Misbehaved(Fault::NoSid)),
    ];
    let rest = [
        Error::Domain(DomainError::TooLong { length: 300, limit: 253 }),
        no_route(),
        Error::Transport(TransportError::Tls(TlsError::NoRoots)),
        Error::Pins(PinStoreError::because("the file is damaged")),
        Error::Tokens(TokenStoreError::because("the file is damaged")),
        Error::Restore(RestoreError::Nothing),
        Error::Sessions(SessionStoreError::because("the file is damaged")),
        Error::NotBosh,
        Error::NotSent(misuse()),
        Error::Ended,
    ];
    let connection = connection.into_iter().chain(login.map(proto::Error::Login));
    connection.map(Error::Connection).chain(rest).collect()
}

/// Of a domain for which nothing is known.
fn no_route() -> Error {
    Error::NoRoute { domain: "example.org".to_owned(), route: Box::default() }
}

fn no_mechanism() -> sasl::Error {
    let (policy, registry) = (Policy::default(), Registry::default());
    let who = Credentials::guest(Secret::None);
    let none = policy.select(&registry, &who, &Channel::encrypted(), &[]);
    sasl::Error::NoMechanism(none.expect_err("nothing is offered"))
}

fn weaker() -> proto::Error {
    let (was, now) = (sasl::Encryption::Tls(sasl::TlsVersion::Tls13), sasl::Encryption::None);
    proto::Error::Weaker(sasl::Weaker::Encryption { was, now })
}

fn signature_wrong() -> sasl::Error {
    let mechanism = MechanismName::SCRAM_SHA_1;
    sasl::Error::PeerMisbehaved { mechanism, fault: sasl::PeerFault::SignatureWrong }
}

fn misuse() -> ApiMisuse {
    let jid = "example.org".parse().expect("it is an address");
    let mut connection = Connection::new(Settings::new(jid, Secret::None));
    connection.handle(Time::ZERO, Input::Bind).expect_err("nothing is open yet")
}

#[test]
fn epodes_own_conditions_are_those_of_the_page() {
    let found: BTreeSet<_> = own_errors()
        .iter()
        .map(|error| (error.condition().to_owned(), error.advice().to_string()))
        .collect();
    let rows = rows("## Conditions of epode's own");
    let written: BTreeSet<_> = rows
        .iter()
        .map(|(condition, advice, _)| ((*condition).to_owned(), (*advice).to_owned()))
        .collect();
    assert_eq!(written.len(), rows.len(), "a row stands twice");
    assert_eq!(found, written);
}

/// The error that a server causes when it says this word there.
fn server_error(condition: &str, place: &str) -> proto::Error {
    let inside = |namespace: &str| format!("<{condition} xmlns='{namespace}'/>");
    match place {
        "login" | "SCRAM's `e=`" => {
            proto::Error::Login(sasl::Error::Rejected(Box::new(Rejection::new(condition))))
        }
        "binding" => {
            let inside = inside("urn:ietf:params:xml:ns:xmpp-stanzas");
            let xml =
                format!("<iq xmlns='jabber:client' type='error'><error>{inside}</error></iq>");
            let iq = Element::parse(&xml).expect("it is XML");
            proto::Error::Bind(StanzaError::parse(&iq).expect("it is an error"))
        }
        "stream" | "component" => {
            let inside = inside("urn:ietf:params:xml:ns:xmpp-streams");
            let xml = format!("<error xmlns='http://etherx.jabber.org/streams'>{inside}</error>");
            let error = Element::parse(&xml).expect("it is XML");
            let error = StreamError::parse(&error).expect("it is an error");
            if place == "stream" {
                proto::Error::Stream(error)
            } else {
                proto::Error::Component(error)
            }
        }
        "BOSH" => proto::Error::Bosh(bosh_end(condition)),
        other => panic!("{other:?} is no place"),
    }
}

/// How a BOSH session ends when the server says this word.
fn bosh_end(condition: &str) -> End {
    let mut session = Session::starting_at(Options::default(), 1).expect("no keys are wanted");
    let open = websocket::open("example.org", None, "en").to_xml();
    session.send(open.as_bytes()).expect("a stream can be opened");
    let id = session.poll_request(Time::ZERO).expect("the session is to be created").id;
    let namespace = "http://jabber.org/protocol/httpbind";
    let body = format!("<body xmlns='{namespace}' type='terminate' condition='{condition}'/>");
    session.handle_response(Time::ZERO, id, Response { status: 200, body: body.as_bytes() });
    session.end().expect("it is over").clone()
}

#[test]
fn the_servers_conditions_have_the_advice_of_the_page() {
    let rows = rows("## Conditions of the server's");
    assert!(rows.len() > 20, "{}", rows.len());
    for (condition, advice, rest) in rows {
        let cell = rest.trim_end_matches(" |");
        for clause in cell.split("; ") {
            let places = clause.split_once(':').map_or(clause, |(places, _)| places);
            for place in places.split(", ") {
                let error = server_error(condition, place);
                assert_eq!(error.condition(), condition, "{place}");
                assert_eq!(error.advice().to_string(), advice, "{condition}, {place}");
            }
        }
    }
}
