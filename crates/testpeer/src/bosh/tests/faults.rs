//! Each kind of misbehaviour that is the session's.

use super::*;

fn misbehaving(fault: BoshFault) -> (Server, Line) {
    let server = server();
    let mut alice = Line::online(&server);
    alice.fault = Some(fault);
    (server, alice)
}

#[test]
fn answers_of_another_session() {
    let (_, mut alice) = misbehaving(BoshFault::WrongSid);
    alice.post(5, "", "");
    let answer = Element::parse(&alice.wait(60)[0].1).unwrap();
    assert!(answer.attr("sid").is_some_and(|sid| sid != "a1"));
}

#[test]
fn answers_that_were_given_before() {
    let server = server();
    let mut alice = Line::create(&server, CREATE).0;
    let success = alice.post(2, "", &auth("alice", "pencil"))[0].1.clone();
    alice.fault = Some(BoshFault::StaleAnswer);
    assert_eq!(alice.post(3, RESTART, ""), [(3, success.clone())]);
    assert_eq!(alice.post(4, "", BIND), [(4, success)]);
}

#[test]
fn answers_out_of_order() {
    let (_, mut alice) = misbehaving(BoshFault::OutOfOrder);
    alice.post(5, "", "");
    assert_heads(&alice.post(6, "", &message("bob", 1)), &[(6, ""), (5, "")]);
}

#[test]
fn two_ends() {
    let (_, mut alice) = misbehaving(BoshFault::TwoTerminates);
    alice.fault = None;
    alice.post(5, "", "");
    alice.fault = Some(BoshFault::TwoTerminates);
    let twice = [(5, "terminate"), (6, "terminate")];
    assert_heads(&alice.post(6, "", &message("bob", 1)), &twice);
}
