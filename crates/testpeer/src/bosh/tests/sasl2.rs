//! Logins by SASL2 in requests: no stream restarts, and nothing can come with the first request.

use super::*;

fn authenticate(password: &str) -> String {
    let message = Base64::encode_string(format!("\0alice\0{password}").as_bytes());
    format!(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>\
         <initial-response>{message}</initial-response>\
         <bind xmlns='urn:xmpp:bind:0'><tag>web</tag></bind></authenticate>"
    )
}

fn begun() -> (Line, Element) {
    let server = Server::builder("localhost").account("alice", "pencil").sasl2_unencrypted();
    let attributes = format!("{CREATE} from='alice@localhost'");
    let (line, answers) = Line::create(&server.build(), &attributes);
    (line, Element::parse(&answers[0].1).unwrap())
}

#[test]
fn an_address_is_bound_in_the_second_request() {
    let (mut line, created) = begun();
    let features = created.children().next().unwrap();
    assert!(features.child("authentication", "urn:xmpp:sasl:2").is_some());
    let answers = line.post(2, "", &authenticate("pencil"));
    let answer = Element::parse(&answers[0].1).unwrap();
    let names: Vec<_> = answer.children().map(Element::name).collect();
    assert_eq!(names, ["success", "features"]);
    assert!(answers[0].1.contains("alice@localhost/web/"), "{answers:?}");
    let ping = "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>";
    assert!(line.post(3, "", ping)[0].1.contains("type='result'"));
}

#[test]
fn a_failed_login_and_an_early_restart_are_answered() {
    let (mut line, _) = begun();
    assert!(line.post(2, "", &authenticate("pen"))[0].1.contains("<not-authorized "));
    assert!(line.post(3, "", &authenticate("pencil"))[0].1.contains("<success "));

    let (mut line, _) = begun();
    line.post(2, "", &authenticate("pencil"));
    let restarted = line.post(3, RESTART, "");
    assert!(restarted[0].1.contains("<bad-format "), "{restarted:?}");
    let (mut line, _) = begun();
    line.post(2, "", &authenticate("pencil"));
    let again = line.post(3, "", &authenticate("pencil"));
    assert!(again[0].1.contains("<unsupported-stanza-type "), "{again:?}");
    let stranger = format!("{CREATE} from='alice@example.org'");
    let (_, answers) = Line::create(&server(), &stranger);
    assert!(answers[0].1.contains("<invalid-from "), "{answers:?}");
}
