//! The dispatcher against the matcher that looks at each pattern, order, and changes under way.

use super::*;
use crate::Jid;

fn element(xml: &str) -> Element {
    Element::parse(xml).unwrap()
}

fn add(dispatcher: &mut Dispatcher<u32>, pattern: Pattern, handler: u32) -> HandlerId {
    dispatcher.add(Class::User, pattern, handler).unwrap()
}

/// The handlers that a stanza is for.
fn found(dispatcher: &mut Dispatcher<u32>, xml: &str) -> Vec<u32> {
    let ids = dispatcher.matching(&element(xml));
    ids.into_iter().map(|id| *dispatcher.get_mut(id).unwrap()).collect()
}

#[test]
fn handlers_run_in_the_order_of_their_registration() {
    let mut dispatcher = Dispatcher::new(10);
    let from = || "a@b.org".parse().unwrap();
    add(&mut dispatcher, Pattern::any().from_bare(from()), 1);
    add(&mut dispatcher, Pattern::any(), 2);
    add(&mut dispatcher, Pattern::iq().id("7"), 3);
    add(&mut dispatcher, Pattern::any().namespace("urn:x"), 4);
    add(&mut dispatcher, Pattern::any(), 5);
    let stanza = "<iq id='7' from='a@b.org/c'><q xmlns='urn:x'/></iq>";
    assert_eq!(found(&mut dispatcher, stanza), [1, 2, 3, 4, 5]);
    assert_eq!(found(&mut dispatcher, "<iq id='7'/>"), [2, 3, 5]);
}

#[test]
fn the_system_comes_first() {
    let mut dispatcher = Dispatcher::new(10);
    for (class, handler) in
        [(Class::User, 1), (Class::System, 2), (Class::User, 3), (Class::System, 4)]
    {
        dispatcher.add(class, Pattern::iq(), handler).unwrap();
    }
    assert_eq!(found(&mut dispatcher, "<iq/>"), [2, 4, 1, 3]);
}

#[test]
fn one_class_is_cleared_and_the_other_kept() {
    let mut dispatcher = Dispatcher::new(3);
    dispatcher.add(Class::User, Pattern::iq(), 1).unwrap();
    dispatcher.add(Class::System, Pattern::iq(), 2).unwrap();
    let last = dispatcher.add(Class::User, Pattern::any().namespace("urn:x"), 3).unwrap();
    assert_eq!(dispatcher.clear(Class::User), [1, 3]);
    assert_eq!(dispatcher.clear(Class::User), [0; 0]);
    assert_eq!(found(&mut dispatcher, "<iq xmlns='urn:x'/>"), [2]);
    assert_eq!((dispatcher.len(), dispatcher.remove(last)), (1, None));
    assert_eq!(dispatcher.clear(Class::System), [2]);
    assert!(dispatcher.is_empty());
}

#[test]
fn a_stanza_that_matches_twice_over_is_handled_once() {
    let mut dispatcher = Dispatcher::new(10);
    add(&mut dispatcher, Pattern::any().namespace("urn:x").ignore_namespace_fragment(), 1);
    add(&mut dispatcher, Pattern::any().namespace("urn:x"), 2);
    add(&mut dispatcher, Pattern::any().kinds(["a", "b", "a"]), 3);
    let stanza = "<iq type='a' xmlns='urn:x'><q xmlns='urn:x#a'/><q xmlns='urn:x#b'/>\
                  <q xmlns='urn:y'><q xmlns='urn:x'/></q></iq>";
    assert_eq!(found(&mut dispatcher, stanza), [1, 2, 3]);
}

#[test]
fn the_limit_counts_those_that_are_there() {
    let mut dispatcher = Dispatcher::new(2);
    let first = add(&mut dispatcher, Pattern::iq(), 1);
    dispatcher.add(Class::System, Pattern::iq(), 2).unwrap();
    for class in [Class::User, Class::System, Class::User] {
        let refused = dispatcher.add(class, Pattern::iq(), 3);
        assert_eq!(refused, Err(TooManyHandlers { limit: 2 }));
    }
    assert_eq!(dispatcher.remove(first), Some(1));
    let third = add(&mut dispatcher, Pattern::iq(), 3);
    assert!(third > first, "an id is never given twice");
    assert_eq!(found(&mut dispatcher, "<iq/>"), [2, 3]);
    let refused = Dispatcher::new(0).add(Class::User, Pattern::any(), 1).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "0 handlers are registered, as many as are allowed: remove those that are done"
    );
}

#[test]
fn a_handler_that_is_removed_under_way_does_not_run() {
    let mut dispatcher = Dispatcher::new(10);
    let first = add(&mut dispatcher, Pattern::iq(), 1);
    let second = add(&mut dispatcher, Pattern::iq(), 2);
    let mut ran = Vec::new();
    for id in dispatcher.matching(&element("<iq/>")) {
        let Some(handler) = dispatcher.get_mut(id) else { continue };
        ran.push(*handler);
        if id == first {
            dispatcher.remove(first);
            dispatcher.remove(second);
        }
    }
    assert_eq!(ran, [1]);
    assert!(dispatcher.matching(&element("<iq/>")).is_empty());
}

#[test]
fn a_handler_that_is_added_under_way_runs_from_the_next_stanza_on() {
    let mut dispatcher = Dispatcher::new(10);
    add(&mut dispatcher, Pattern::iq(), 1);
    add(&mut dispatcher, Pattern::iq(), 2);
    let mut ran = Vec::new();
    for id in dispatcher.matching(&element("<iq/>")) {
        ran.push(*dispatcher.get_mut(id).unwrap());
        add(&mut dispatcher, Pattern::iq(), 3);
    }
    assert_eq!(ran, [1, 2]);
    assert_eq!(found(&mut dispatcher, "<iq/>"), [1, 2, 3, 3]);
}

#[test]
fn nothing_is_left_of_handlers_that_are_gone() {
    let mut random = Random(7);
    let mut dispatcher = Dispatcher::new(500);
    let ids: Vec<_> = (0..500).map(|n| add(&mut dispatcher, random.pattern(), n)).collect();
    assert!(!dispatcher.index.is_empty());
    ids.into_iter().for_each(|id| assert!(dispatcher.remove(id).is_some()));
    assert!(dispatcher.index.is_empty());
}

#[test]
fn random_patterns_match_as_they_do_one_by_one() {
    let (mut matches, mut misses) = (0, 0);
    for seed in 1..=20 {
        let mut random = Random(seed);
        let mut dispatcher = Dispatcher::new(usize::MAX);
        let mut naive: Vec<(Class, HandlerId, Pattern)> = Vec::new();
        for round in 0..200 {
            for _ in 0..random.below(4) {
                let (class, pattern) =
                    (random.one(&[Class::System, Class::User]), random.pattern());
                let id = dispatcher.add(class, pattern.clone(), round).unwrap();
                naive.push((class, id, pattern));
            }
            if !naive.is_empty() && random.below(2) == 0 {
                let (_, id, _) = naive.swap_remove(random.below(naive.len()));
                assert!(dispatcher.remove(id).is_some());
            }
            let stanza = random.stanza(3);
            let mut expected: Vec<_> = naive.iter().filter(|(.., p)| p.matches(&stanza)).collect();
            expected.sort_by_key(|(class, id, _)| (*class, *id));
            let expected: Vec<_> = expected.into_iter().map(|(_, id, _)| *id).collect();
            assert_eq!(dispatcher.matching(&stanza), expected, "seed {seed}: {stanza}");
            matches += expected.len();
            misses += naive.len() - expected.len();
        }
    }
    assert!(matches > 20_000 && misses > 20_000, "{matches} matches, {misses} misses");
}

/// Patterns and stanzas from few values, so that they meet; from a seed, by xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn one<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    fn pattern(&mut self) -> Pattern {
        let mut pattern = Pattern::any();
        match self.below(6) {
            0 | 1 => pattern = pattern.namespace(self.one(&NAMESPACES)),
            2 => pattern = pattern.child(self.one(&NAMES), self.one(&NAMESPACES)),
            _ => {}
        }
        if self.below(2) == 0 {
            pattern = pattern.ignore_namespace_fragment();
        }
        if self.below(3) == 0 {
            pattern = pattern.name(self.one(&NAMES));
        }
        if self.below(3) == 0 {
            pattern =
                pattern.kinds((0..self.below(4)).map(|_| self.one(&KINDS)).collect::<Vec<_>>());
        }
        if self.below(4) == 0 {
            pattern = pattern.id(self.one(&IDS));
        }
        let from = || -> Jid { "a@b.org/c".parse().unwrap() };
        match self.below(8) {
            0 => pattern.from(from()),
            1 => pattern.from(from().bare()),
            2 => pattern.from_bare(from()),
            _ => pattern,
        }
    }

    fn stanza(&mut self, depth: usize) -> Element {
        let mut element = Element::new(self.one(&NAMES), self.one(&NAMESPACES));
        for (name, values) in [("type", &KINDS[..]), ("id", &IDS[..]), ("from", &SENDERS[..])] {
            if self.below(3) > 0 {
                element.set_attr(name, self.one(values));
            }
        }
        let children = if depth > 0 { self.below(3) } else { 0 };
        (0..children).fold(element, |element, _| element.with_child(self.stanza(depth - 1)))
    }
}

const NAMESPACES: [&str; 7] = ["", "urn:a", "urn:a#b", "urn:a#c", "urn:b#c", "urn:b", "urn:c#d#e"];
const NAMES: [&str; 3] = ["message", "iq", "presence"];
const KINDS: [&str; 4] = ["", "chat", "get", "result"];
const IDS: [&str; 3] = ["", "1", "2"];
const SENDERS: [&str; 5] = ["a@b.org/c", "A@B.org", "a@b.org/C", "", "b.org"];
