//! Several programs share a connection: who logged in gives the session away, who counts for all takes
//! it over, others join.

use std::time::Duration;

use epode_proto::{ApiMisuse, Input, Phase, SessionState, Status, StreamManagement};

use crate::client::{
    CLOSE, Client, ENABLE, FAILED, JID, News, REQUEST, SM, Wire, answer, delivered, lost, message,
    resume, resumed, settings, through_json,
};

const WIRE: Wire = Wire::WebSocket;

/// Two stanzas are on their way, one has come.
fn busy() -> Client {
    let mut client = Client::managed(WIRE, settings());
    client.send("1");
    client.send("2");
    client.receive(&message("a"));
    client.sent();
    client.news();
    client
}

fn release(client: &mut Client) -> SessionState {
    let state = client.connection.release_session().expect("both sides count");
    through_json(&state)
}

/// Whoever counts for all, with the session of somebody else.
fn taken_over(session: SessionState) -> Client {
    let mut client = Client::new(WIRE, settings().session(session));
    client.input(Input::TakenOver);
    client
}

fn words(misuse: ApiMisuse) -> String {
    misuse.to_string().replace("wrong use of the library: ", "")
}

#[test]
fn the_count_goes_on_elsewhere() {
    let mut client = taken_over(release(&mut busy()));
    assert_eq!(client.statuses[1..], [Status::Attached(JID.parse().unwrap())]);
    assert!(client.connection.is_managed());
    assert!(client.sent().is_empty(), "nothing is said or sent again");
    client.receive(&message("b"));
    client.receive(REQUEST);
    assert_eq!(client.sent(), [answer(2)]);
    assert_eq!(client.send("3"), 3);
    client.receive(&answer(3));
    assert_eq!(client.news(), [delivered("b"), News::Sent(3), News::Acknowledged(3)]);
    client.lose();
    let mut client = Client::offered(WIRE, settings().session(client.left(true)), SM);
    assert_eq!(client.sent(), [resume(2)]);
}

/// Servers exist that send them after a resumption within the login.
#[test]
fn features_may_come_late_and_once() {
    let features = "<features xmlns='http://etherx.jabber.org/streams'/>";
    let mut client = taken_over(release(&mut busy()));
    client.receive(features);
    assert!(client.connection.is_managed() && client.sent().is_empty());
    client.receive(features);
    assert_eq!(client.sent(), [CLOSE]);
}

#[test]
fn what_is_on_its_way_is_asked_for_soon() {
    let mut client = taken_over(release(&mut busy()));
    client.pass(Duration::from_millis(500));
    assert_eq!(client.sent(), [REQUEST]);
    let mut quiet = taken_over(release(&mut Client::managed(WIRE, settings())));
    quiet.pass(Duration::from_secs(59));
    assert!(quiet.sent().is_empty());
    quiet.pass(Duration::from_secs(1));
    assert_eq!((quiet.sent(), quiet.news()), (vec![REQUEST.into()], vec![News::Quiet(true)]));
}

#[test]
fn who_gave_it_away_neither_counts_nor_watches() {
    let mut client = busy();
    release(&mut client);
    assert!(!client.connection.is_managed());
    client.pass(Duration::from_secs(600));
    assert!(client.sent().is_empty());
    assert_eq!(client.send("3"), 1);
    client.receive(&message("b"));
    assert_eq!(client.news(), [News::Sent(1), News::Unmanaged(1), delivered("b")]);
    assert!(client.connection.release_session().is_none(), "it has none any more");
    client.sent();
    client.input(Input::Close);
    assert_eq!(client.sent(), [CLOSE]);
    client.receive_close();
    assert_eq!(client.end(), None);
}

#[test]
fn what_nobody_has_is_not_given_away() {
    let mut unbound = Client::offered(WIRE, settings(), SM);
    assert!(unbound.connection.release_session().is_none());
    assert!(!unbound.connection.expects_management());
    let mut asked = Client::bound(WIRE, settings(), SM);
    assert_eq!(asked.sent(), [ENABLE]);
    assert!(asked.connection.expects_management());
    assert!(asked.connection.release_session().is_none());
    asked.receive(FAILED);
    assert!(!asked.connection.expects_management());
    assert!(asked.connection.release_session().is_none());

    let wanted = StreamManagement::default().when_handled();
    let mut handling = Client::managed(WIRE, settings().stream_management(Some(wanted)));
    handling.receive(&message("a"));
    assert!(handling.connection.release_session().is_none(), "it would come to nobody");
    handling.input(Input::Handled(1));
    assert_eq!(release(&mut handling).received(), 1);
}

#[test]
fn what_cannot_be_taken_over() {
    let session = || release(&mut busy());
    let unwanted = settings().session(session()).stream_management(None);
    for (settings, expected) in [
        (unwanted, "to take a session over, stream management has to be wanted"),
        (settings(), "there is no session to take over"),
    ] {
        let mut client = Client::new(WIRE, settings);
        let refused = client.connection.handle(client.now, Input::TakenOver);
        assert_eq!(words(refused.unwrap_err()), expected);
        assert_eq!(client.connection.phase(), Phase::Unopened);
    }
    let mut client = taken_over(session());
    let again = client.connection.handle(client.now, Input::TakenOver);
    assert_eq!(words(again.unwrap_err()), "the transport is open already");
}

#[test]
fn a_session_that_is_handed_in_late_goes_on() {
    let mut counting = taken_over(release(&mut busy()));
    counting.lose();
    let mut client = Client::new(WIRE, settings().renewable());
    client.connection.set_session(counting.left(true)).unwrap();
    client.log_in(SM);
    assert_eq!(client.sent(), [resume(1)]);
    client.receive(&resumed(1));
    assert_eq!(client.sent(), [message("2")]);
    let left = release(&mut client);
    assert_eq!((left.sent(), left.unacknowledged().count()), (2, 1));
}

/// It may be handed in for each attempt; what waits here is there once, and comes last.
#[test]
fn what_waits_goes_out_after_what_is_handed_in() {
    let mut counting = taken_over(release(&mut busy()));
    counting.lose();
    let kept = counting.left(true);
    let mut client = Client::managed(WIRE, settings().renewable());
    release(&mut client);
    client.lose();
    assert_eq!(client.send("3"), 1, "between two connections");
    for failed in [FAILED, ""] {
        client.renew();
        client.connection.set_session(through_json(&kept)).unwrap();
        client.log_in(SM);
        assert_eq!(client.sent(), [resume(1)]);
        if !failed.is_empty() {
            client.receive(failed);
            client.lose();
        }
    }
    client.receive(&resumed(1));
    let [missing, own] = client.sent().try_into().expect("each goes out once");
    assert_eq!(missing, message("2"));
    assert!(own.contains(" id='3'>"), "{own}");
}

#[test]
fn sessions_that_are_not_handed_in() {
    let session = |jid: &str| {
        let json = format!(r#"{{"jid":"{jid}","in":0,"in_h":0,"out":0,"out_h":0,"queue":[]}}"#);
        SessionState::from_json(&json).unwrap()
    };
    let mut client = Client::new(WIRE, settings());
    let others = "the session is not one of this account";
    for wrong in [session("bob@example.org/desk"), SessionState::default()] {
        assert_eq!(words(client.connection.set_session(wrong).unwrap_err()), others);
    }
    client.log_in(SM);
    let late = client.connection.set_session(session(JID)).unwrap_err();
    assert_eq!(words(late), "the transport is open already");
}

#[test]
fn others_join_and_only_some_of_them_watch() {
    for is_watched in [true, false] {
        let mut client = Client::new(WIRE, settings());
        client.input(Input::Joined { jid: JID.parse().unwrap(), is_watched });
        assert_eq!(client.statuses[1..], [Status::Attached(JID.parse().unwrap())]);
        client.receive(&message("a"));
        client.send("1");
        assert_eq!(client.news(), [delivered("a"), News::Sent(1), News::Unmanaged(1)]);
        client.sent();
        client.pass(Duration::from_secs(60));
        assert_eq!(client.sent().len(), usize::from(!is_watched), "a ping");
        let again = Input::Joined { jid: JID.parse().unwrap(), is_watched };
        let refused = client.connection.handle(client.now, again);
        assert_eq!(words(refused.unwrap_err()), "the transport is open already");
    }
}

#[test]
fn who_forgoes_it_asks_for_nothing() {
    let mut client = Client::new(WIRE, settings());
    client.connection.set_stream_management(None);
    client.log_in(SM);
    client.bind();
    assert!(client.sent().is_empty());
    assert!(!client.connection.expects_management());
    client.lose();
    assert_eq!(client.end(), Some(&lost()));
}
