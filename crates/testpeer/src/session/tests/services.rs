//! What the server and the account of a user answer, and what their other sessions get of it.

use super::*;

fn request(kind: &str, to: &str, payload: &str) -> String {
    let to = if to.is_empty() { String::new() } else { format!(" to='{to}'") };
    format!("<iq xmlns='jabber:client' type='{kind}' id='7'{to}>{payload}</iq>")
}

fn roster_set(item: &str) -> String {
    request("set", "", &format!("<query xmlns='jabber:iq:roster'>{item}</query>"))
}

const ROSTER: &str = "jabber:iq:roster";
const ROSTER_GET: &str = "<query xmlns='jabber:iq:roster'/>";
const INFO: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
const ITEMS: &str = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
const CARBONS: &str = "urn:xmpp:carbons:2";

/// The addresses in a roster, or in a push.
fn addresses(iq: &Element) -> Vec<String> {
    let query = iq.child("query", ROSTER).unwrap();
    query.children().map(|item| item.attr("jid").unwrap().to_owned()).collect()
}

#[test]
fn a_roster_belongs_to_the_account() {
    let server = builder().build();
    let mut first = online(&server, "alice", "pencil", "1");
    let mut second = online(&server, "alice", "pencil", "2");
    assert!(addresses(&ask(&mut first, &request("get", "", ROSTER_GET))).is_empty());

    let item = "<item jid='bob@example.org' name='Bob'><group>Friends</group></item>";
    let result = ask(&mut second, &roster_set(item));
    assert_eq!((result.attr("type"), result.children().count()), (Some("result"), 0));
    assert!(second.take_routed().is_empty(), "it has not asked for the roster");
    let push = parse(first.take_routed()).remove(0);
    assert_eq!((push.attr("type"), push.attr("to")), (Some("set"), Some("alice@example.org/1")));
    let expected = "<query xmlns='jabber:iq:roster'><item jid='bob@example.org' \
                    subscription='none' name='Bob'><group>Friends</group></item></query>";
    let expected = Element::parse(expected).unwrap();
    assert_eq!(push.children().next(), Some(&expected));
    let own = request("get", "alice@example.org", ROSTER_GET);
    assert_eq!(ask(&mut second, &own).children().next(), Some(&expected));

    ask(&mut first, &roster_set("<item jid='bob@example.org' subscription='both'/>"));
    let result = ask(&mut first, &request("get", "", ROSTER_GET));
    let item = result.child("query", ROSTER).unwrap().children().next().unwrap();
    assert_eq!((item.attr("name"), item.attr("subscription")), (None, Some("none")));

    first.take_routed();
    second.take_routed();
    ask(&mut first, &roster_set("<item jid='bob@example.org' subscription='remove'/>"));
    for session in [&mut first, &mut second] {
        let push = parse(session.take_routed()).remove(0);
        let item = push.child("query", ROSTER).unwrap().children().next().unwrap();
        assert_eq!(item.attr("subscription"), Some("remove"));
    }
    assert!(addresses(&ask(&mut first, &request("get", "", ROSTER_GET))).is_empty());
}

#[test]
fn items_of_a_roster_are_checked() {
    let limits = Limits { roster: 1, ..Limits::default() };
    let server = builder().limits(limits).build();
    let mut alice = online(&server, "alice", "pencil", "a");
    let long = "x".repeat(1024);
    for (item, condition) in [
        ("", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='@'/>", "bad-request"),
        ("<thing jid='b@example.org'/>", "bad-request"),
        ("<item jid='b@example.org'/><item jid='c@example.org'/>", "bad-request"),
        ("<item jid='b@example.org'><group>g</group><group>g</group></item>", "bad-request"),
        ("<item jid='b@example.org'><group/></item>", "not-acceptable"),
        (&format!("<item jid='b@example.org'><group>{long}</group></item>"), "not-acceptable"),
        (&format!("<item jid='b@example.org' name='{long}'/>"), "not-acceptable"),
        ("<item jid='b@example.org' subscription='remove'/>", "item-not-found"),
    ] {
        assert_error(&ask(&mut alice, &roster_set(item)), condition);
    }
    let item = |name: &str| roster_set(&format!("<item jid='{name}@example.org'/>"));
    assert_eq!(ask(&mut alice, &item("b")).attr("type"), Some("result"));
    assert_error(&ask(&mut alice, &item("c")), "resource-constraint");
    assert_eq!(ask(&mut alice, &item("b")).attr("type"), Some("result"));

    for to in ["bob@example.org", "example.org"] {
        let foreign = request("get", to, ROSTER_GET);
        assert_error(&ask(&mut alice, &foreign), "service-unavailable");
    }
}

#[test]
fn the_server_says_what_it_is() {
    let server = builder().build();
    let mut alice = online(&server, "alice", "pencil", "a");
    let version = "<query xmlns='jabber:iq:version'/>";
    let answer = ask(&mut alice, &request("get", "example.org", version));
    let query = answer.child("query", "jabber:iq:version").unwrap();
    assert_eq!(query.child("name", query.namespace()).unwrap().text(), "epode-testpeer");
    assert_error(&ask(&mut alice, &request("get", "", version)), "service-unavailable");
    assert_error(&ask(&mut alice, &request("set", "example.org", version)), "service-unavailable");

    let mut info = |to: &str| {
        let answer = ask(&mut alice, &request("get", to, INFO));
        let query = answer.children().next().unwrap();
        let identity = query.child("identity", query.namespace()).unwrap();
        let identity = ["category", "type"].map(|name| identity.attr(name).unwrap().to_owned());
        let features: Vec<_> =
            query.children().filter_map(|it| it.attr("var").map(str::to_owned)).collect();
        (identity.join("/"), features)
    };
    let (identity, features) = info("example.org");
    assert_eq!(identity, "server/im");
    for feature in ["urn:xmpp:ping", "jabber:iq:version", CARBONS, ROSTER] {
        assert!(features.iter().any(|it| it == feature), "{feature}");
    }
    assert_eq!(info("alice@example.org").0, "account/registered");

    let items = ask(&mut alice, &request("get", "example.org", ITEMS));
    assert_eq!(items.children().next().unwrap().children().count(), 0);
    for query in [INFO, ITEMS] {
        let with_node = query.replace("/>", " node='x'/>");
        let refused = ask(&mut alice, &request("get", "example.org", &with_node));
        assert_error(&refused, "item-not-found");
    }
}

/// The message inside a copy, and what kind of copy it is.
#[track_caller]
fn copied(frames: Vec<String>, to: &str) -> (String, String) {
    let copy = parse(frames).remove(0);
    assert_eq!((copy.attr("from"), copy.attr("to")), (Some("alice@example.org"), Some(to)));
    let direction = copy.children().next().unwrap();
    assert_eq!(direction.namespace(), CARBONS);
    let message = direction.children().next().unwrap().children().next().unwrap();
    (direction.name().to_owned(), message.attr("id").unwrap().to_owned())
}

fn message(to: &str, id: &str) -> String {
    format!(
        "<message xmlns='jabber:client' to='{to}' id='{id}' type='chat'><body>hi</body></message>"
    )
}

#[test]
fn messages_are_copied_for_those_who_want_it() {
    let server = builder().build();
    let mut first = online(&server, "alice", "pencil", "1");
    let mut second = online(&server, "alice", "pencil", "2");
    let mut third = online(&server, "alice", "pencil", "3");
    let mut bob = online(&server, "bob", "eraser", "b");
    let toggle = |name: &str| request("set", "", &format!("<{name} xmlns='{CARBONS}'/>"));
    for session in [&mut first, &mut second] {
        assert_eq!(ask(session, &toggle("enable")).attr("type"), Some("result"));
    }

    first.receive(&message("bob@example.org/b", "sent"));
    assert_eq!(parse(bob.take_routed())[0].attr("id"), Some("sent"));
    let copy = copied(second.take_routed(), "alice@example.org/2");
    assert_eq!(copy, ("sent".to_owned(), "sent".to_owned()));
    bob.receive(&message("alice@example.org/2", "received"));
    assert_eq!(parse(second.take_routed())[0].attr("from"), Some("bob@example.org/b"));
    let copy = copied(first.take_routed(), "alice@example.org/1");
    assert_eq!(copy, ("received".to_owned(), "received".to_owned()));

    // Within the account there is one of each; what goes to all needs no copies.
    third.receive(&message("alice@example.org/1", "own"));
    assert_eq!(first.take_routed().len(), 1);
    assert_eq!(copied(second.take_routed(), "alice@example.org/2").0, "sent");
    bob.receive(&message("alice@example.org", "all"));
    for session in [&mut first, &mut second, &mut third] {
        assert_eq!(session.take_routed().len(), 1);
    }

    let private = format!("<private xmlns='{CARBONS}'/></message>");
    for uncopied in [
        message("alice@example.org/2", "p").replace("</message>", &private),
        message("alice@example.org/2", "g").replace("'chat'", "'groupchat'"),
        message("alice@example.org/2", "h").replace("'chat'", "'headline'"),
        message("alice@example.org/2", "n").replace("'chat'", "'normal'").replace("body", "x"),
    ] {
        bob.receive(&uncopied);
        assert_eq!((second.take_routed().len(), first.take_routed().len()), (1, 0), "{uncopied}");
    }
    ask(&mut second, &toggle("disable"));
    first.receive(&message("bob@example.org/b", "sent"));
    assert!(second.take_routed().is_empty());
    assert!(third.take_routed().is_empty());
    let elsewhere = request("set", "example.org", &format!("<enable xmlns='{CARBONS}'/>"));
    assert_error(&ask(&mut first, &elsewhere), "service-unavailable");
}

#[test]
fn client_states_are_taken_and_ignored() {
    let server = builder().build();
    let mut session = server.session(SessionChannel::plaintext());
    open(&mut session);
    auth(&mut session, "PLAIN", b"\0alice\0pencil");
    assert!(open(&mut session).child("csi", "urn:xmpp:csi:0").is_some());
    let state = |name: &str| format!("<{name} xmlns='urn:xmpp:csi:0'/>");
    assert_stream_error(session.receive(&state("active")), "unsupported-stanza-type");

    let mut session = online(&server, "alice", "pencil", "a");
    assert!(session.receive(&state("inactive")).is_empty());
    assert!(session.receive(&state("active")).is_empty());
    assert_stream_error(session.receive(&state("asleep")), "unsupported-stanza-type");
}
