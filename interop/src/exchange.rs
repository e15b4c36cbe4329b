//! Two accounts send each other a thousand numbered messages, through connections that may be cut.
//!
//! What must come of it is the scene's to say.

use std::{error::Error, time::Duration};

use epode::{Element, Session};
use epode_interop::{CuttingProxy, Place, Rig, Server, Transport};
use tokio::time::{Instant, timeout};

use crate::{
    scenes::{IN_ORDER, Played, client},
    servers::{ALICE, BOB},
};

/// Lets them talk over a transport, while connections are cut at these places, as the seed says.
pub(crate) async fn exchange(
    rig: &Rig,
    server: &Server,
    transport: Transport,
    (places, seed): (&'static [Place], u64),
) -> Result<Played, Box<dyn Error>> {
    let proxy = CuttingProxy::start(server.ports().of(transport), seed).await?;
    let url = server.url_through(proxy.port(), transport);
    let authority = rig.certificates().authority_file();
    let alice = client(authority, ALICE, &url)?.connect().await?;
    let bob = client(authority, BOB, &url)?.connect().await?;
    proxy.cut_one_in(CHUNKS_TO_A_CUT, places);
    let start = Instant::now();
    let (alices, bobs) = (alice.jid().to_string(), bob.jid().to_string());
    let (to_alice, to_bob) = tokio::join!(talk(alice, &bobs), talk(bob, &alices));
    let (seconds, cuts) = (start.elapsed().as_secs_f64(), proxy.cuts());
    let note = format!(
        "{} messages, {} cuts, {seconds:.1} s; cut {cuts}",
        to_alice.numbers.len() + to_bob.numbers.len(),
        cuts.total(),
    );
    let result = match (to_alice.check(), to_bob.check()) {
        (Ok(()), Ok(())) => IN_ORDER.to_owned(),
        (to_alice, to_bob) => {
            let words = |check: Result<(), String>| check.err().unwrap_or_else(|| "all".to_owned());
            format!("to alice {}; to bob {}", words(to_alice), words(to_bob))
        }
    };
    Ok(Played::new(result, note))
}

/// What one side heard, and why it stopped before its time, if it did.
struct Heard {
    numbers: Vec<usize>,
    trouble: Option<String>,
}

/// Sends all messages, hears all, and disconnects. Neither side is more than a few messages ahead
/// of the other, so that there are many requests, with few messages in each.
async fn talk(mut session: Session, other: &str) -> Heard {
    let mut heard = Heard { numbers: Vec::new(), trouble: None };
    let mut sent = 0;
    while heard.trouble.is_none() && (sent < MESSAGES || heard.numbers.len() < MESSAGES) {
        if sent < MESSAGES && sent < heard.numbers.len() + AHEAD {
            heard.trouble = session.send(message(other, sent)).await.err().map(|it| it.to_string());
            sent += 1;
            continue;
        }
        match timeout(PATIENCE, session.receive()).await {
            Ok(Some(stanza)) if stanza.attr("type") == Some("error") => {
                heard.trouble = Some(stanza.to_xml());
            }
            Ok(Some(stanza)) => heard.numbers.extend(number(&stanza)),
            Ok(None) => {
                heard.trouble = Some(format!("the end: {:?}", session.ended().await));
                return heard;
            }
            Err(_) => heard.trouble = Some("silence".to_owned()),
        }
    }
    let _ = session.disconnect().await; // what had to be said was said
    heard
}

impl Heard {
    fn check(&self) -> Result<(), String> {
        if self.trouble.is_none() && self.numbers.iter().copied().eq(0..MESSAGES) {
            return Ok(());
        }
        let end = self.numbers.iter().max().map_or(0, |last| last + 1);
        let lost = (0..end).filter(|number| !self.numbers.contains(number)).count();
        let doubled = self.numbers.len() - (end - lost);
        let is_sorted = self.numbers.is_sorted();
        let trouble = self.trouble.as_deref().unwrap_or("no trouble");
        Err(format!("{end}, {lost} lost, {doubled} doubled, sorted: {is_sorted}; {trouble}"))
    }
}

fn message(to: &str, number: usize) -> Element {
    let body = Element::new("body", CLIENT).with_text(number.to_string());
    Element::new("message", CLIENT).with_attr("to", to).with_attr("type", "chat").with_child(body)
}

fn number(stanza: &Element) -> Option<usize> {
    stanza.child("body", CLIENT)?.text().parse().ok()
}

const CLIENT: &str = "jabber:client";
const MESSAGES: usize = 1_000;
const AHEAD: usize = 8;
const CHUNKS_TO_A_CUT: u32 = 10;
/// Longer than a request may take that has failed some times in a row.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::{Heard, MESSAGES};

    #[test]
    fn all_in_order_and_nothing_else_will_do() {
        let check = |numbers: Vec<usize>| Heard { numbers, trouble: None }.check();
        assert_eq!(check((0..MESSAGES).collect()), Ok(()));
        for (numbers, words) in [
            (vec![], "0, 0 lost, 0 doubled, sorted: true; no trouble"),
            (vec![0, 1, 3], "4, 1 lost, 0 doubled, sorted: true; no trouble"),
            (vec![0, 1, 1, 2], "3, 0 lost, 1 doubled, sorted: true; no trouble"),
            (vec![0, 2, 1], "3, 0 lost, 0 doubled, sorted: false; no trouble"),
            ((0..=MESSAGES).collect(), "1001, 0 lost, 0 doubled, sorted: true; no trouble"),
        ] {
            assert_eq!(check(numbers), Err(words.to_owned()));
        }
        let numbers = (0..MESSAGES).collect();
        let heard = Heard { numbers, trouble: Some("silence".to_owned()) };
        assert_eq!(heard.check(), Err("1000, 0 lost, 0 doubled, sorted: true; silence".to_owned()));
    }
}
