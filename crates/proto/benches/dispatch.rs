//! What it costs a stanza to find its handler among ten, a hundred and ten thousand, and what it
//! would cost to ask each of ten thousand: nanoseconds per stanza, the least of many runs taken in
//! turn. Each stanza has one handler. Ratios count; the machine may be noisy.

use std::{hint::black_box, time::Instant};

use epode_proto::{
    Element, Jid,
    dispatch::{Class, Dispatcher, Pattern},
    xml::namespaces::CLIENT,
};

const RUNS: usize = 200;
/// Fewer, since each stanza is shown to every pattern.
const LINEAR_RUNS: usize = 5;
const STANZAS: usize = 512;
const HANDLERS: [usize; 3] = [10, 100, 10_000];

fn main() {
    let [few, some, many] = HANDLERS;
    println!(
        "{:32} {few:>7} {some:>7} {many:>7} {:>10} {:>12}",
        "ns per stanza, handlers", "last/first", "one by one"
    );
    for (name, pattern, stanza) in MIXES {
        let cases = HANDLERS.map(|handlers| Case::new(handlers, pattern, stanza));
        let (mut least, mut linear) = ([f64::MAX; 3], f64::MAX);
        for run in 0..RUNS {
            for (case, least) in cases.iter().zip(&mut least) {
                *least = least.min(time(&case.stanzas, |stanza| case.indexed(stanza)));
            }
            if run < LINEAR_RUNS {
                let [.., many] = &cases;
                let stanzas = &many.stanzas[..STANZAS / 16];
                linear = linear.min(time(stanzas, |stanza| many.linear(stanza)));
            }
        }
        let [few, some, many] = least;
        let ratio = many / few;
        println!("{name:32} {few:>7.0} {some:>7.0} {many:>7.0} {ratio:>10.2} {linear:>12.0}");
    }
}

/// Nanoseconds per stanza of one run, in which each finds one handler.
fn time(stanzas: &[Element], find: impl Fn(&Element) -> usize) -> f64 {
    let start = Instant::now();
    let found: usize = stanzas.iter().map(|stanza| find(black_box(stanza))).sum();
    let nanoseconds = start.elapsed().as_secs_f64() * 1e9;
    assert_eq!(found, stanzas.len(), "each stanza has one handler");
    nanoseconds / stanzas.len() as f64
}

/// Handlers, and stanzas for some of them, from all over.
struct Case {
    dispatcher: Dispatcher<()>,
    patterns: Vec<Pattern>,
    stanzas: Vec<Element>,
}

impl Case {
    fn new(handlers: usize, pattern: fn(usize) -> Pattern, stanza: fn(usize) -> Element) -> Self {
        let patterns: Vec<Pattern> = (0..handlers).map(pattern).collect();
        let mut dispatcher = Dispatcher::new(handlers);
        for pattern in &patterns {
            dispatcher.add(Class::User, pattern.clone(), ()).expect("there is room");
        }
        let stanzas = (0..STANZAS).map(|n| stanza(n * 7919 % handlers)).collect();
        Self { dispatcher, patterns, stanzas }
    }

    fn indexed(&self, stanza: &Element) -> usize {
        self.dispatcher.matching(stanza).len()
    }

    fn linear(&self, stanza: &Element) -> usize {
        self.patterns.iter().filter(|pattern| pattern.matches(stanza)).count()
    }
}

type Mix = (&'static str, fn(usize) -> Pattern, fn(usize) -> Element);

const MIXES: [Mix; 6] = [
    ("by id", |n| Pattern::iq().id(format!("id-{n}")), stanza),
    ("by bare sender", |n| Pattern::iq().from_bare(user(n)), stanza),
    ("by namespace", |n| Pattern::iq().namespace(own(n)), stanza),
    ("by one of the three", one_of_three, stanza),
    ("the same in a crowded stanza", one_of_three, crowded),
    ("by all combinations of criteria", combination, stanza),
];

fn one_of_three(n: usize) -> Pattern {
    match n % 3 {
        0 => Pattern::iq().id(format!("id-{n}")),
        1 => Pattern::iq().from_bare(user(n)),
        _ => Pattern::iq().namespace(own(n)),
    }
}

/// The worst there is: each of the 66 combinations by which handlers can be told apart without a
/// namespace of their own is looked up for each stanza. Ten handlers have ten of them, a hundred
/// have all.
fn combination(n: usize) -> Pattern {
    let (combination, rest) = (1 + n % 11, n / 11);
    let pattern = match combination % 3 {
        0 => Pattern::any(),
        1 => Pattern::any().from_bare(user(n)),
        _ => Pattern::any().from(user(n)),
    };
    let pattern = match combination / 3 {
        0 => pattern,
        1 => pattern.id(format!("id-{n}")),
        2 => pattern.kind(format!("type-{n}")),
        _ => pattern.id(format!("id-{n}")).kind(format!("type-{n}")),
    };
    let pattern = if rest % 2 == 0 { pattern } else { pattern.name("iq") };
    match rest / 2 % 3 {
        0 => pattern,
        1 => pattern.namespace(SHARED),
        _ => pattern.namespace(SHARED).ignore_namespace_fragment(),
    }
}

/// It fulfils every criterion of handler `n`, and none of another's own.
fn stanza(n: usize) -> Element {
    Element::new("iq", CLIENT)
        .with_attr("type", format!("type-{n}"))
        .with_attr("id", format!("id-{n}"))
        .with_attr("from", user(n).as_str())
        .with_child(Element::new("query", &own(n)).with_child(Element::new("item", SHARED)))
}

/// The same with a hundred more namespaces.
fn crowded(n: usize) -> Element {
    let other = |n| Element::new("x", &format!("urn:example:other:{n}"));
    (0..100).map(other).fold(stanza(n), Element::with_child)
}

fn user(n: usize) -> Jid {
    format!("user-{n}@example.org/desk").parse().expect("it is an address")
}

fn own(n: usize) -> String {
    format!("urn:example:{n}")
}

const SHARED: &str = "urn:example:shared";
