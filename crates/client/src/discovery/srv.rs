//! SRV records in the order to try them (RFC 2782, XEP-0368): STARTTLS and direct TLS in one list.
//! The lookups themselves are made elsewhere.

use std::collections::BTreeMap;

use super::{
    Candidate, CandidateKind, Origin,
    note::{Finding, Note, Question, Unfit},
};
use crate::{
    https::shown,
    resolver::{LookupError, SrvRecord},
};

/// What the two lookups found out about the ways in by TCP.
pub(super) struct Services {
    /// In the order to try them.
    pub(super) candidates: Vec<Candidate>,
    /// True when no SRV record of either kind was seen, not even a refusal: the domain itself may
    /// be tried (RFC 6120, section 3.2.2; XEP-0368, section 5).
    pub(super) may_fall_back: bool,
}

impl Services {
    /// Puts both answers in one order; what is left out is noted.
    ///
    /// `random` gives a number from 0 to the one it is given.
    pub(super) fn new(
        direct: Result<Vec<SrvRecord>, LookupError>,
        start_tls: Result<Vec<SrvRecord>, LookupError>,
        random: &mut impl FnMut(u64) -> u64,
        notes: &mut Vec<Note>,
    ) -> Self {
        let mut usable = Vec::new();
        let mut may_fall_back = true;
        for (service, answer) in [(Service::Direct, direct), (Service::StartTls, start_tls)] {
            let records = answer.unwrap_or_default();
            may_fall_back &= records.is_empty();
            for record in records {
                match record.unfit() {
                    None => usable.push(Entry { service, record }),
                    Some(why) => notes.push(service.note(Finding::Dropped {
                        what: shown(&format!("{}:{}", record.target, record.port)),
                        why,
                    })),
                }
            }
        }
        let mut candidates: Vec<Candidate> = Vec::new();
        for candidate in order(usable, random).into_iter().map(Entry::into_candidate) {
            if !candidates.iter().any(|known| known.is_same_place(&candidate)) {
                candidates.push(candidate);
            }
        }
        if candidates.len() > MAX_CANDIDATES {
            let (kept, of) = (MAX_CANDIDATES, candidates.len());
            notes.push(Note::new(Question::SrvXmpps, Finding::Cut { kept, of }));
            candidates.truncate(MAX_CANDIDATES);
        }
        Self { candidates, may_fall_back }
    }
}

/// The two kinds of records, the one to prefer first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Service {
    Direct,
    StartTls,
}

impl Service {
    fn note(self, finding: Finding) -> Note {
        let about = match self {
            Self::Direct => Question::SrvXmpps,
            Self::StartTls => Question::SrvXmpp,
        };
        Note::new(about, finding)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    service: Service,
    record: SrvRecord,
}

impl Entry {
    fn into_candidate(self) -> Candidate {
        let SrvRecord { priority, weight, port, target } = self.record;
        let (kind, origin) = match self.service {
            Service::Direct => (CandidateKind::DirectTls, Origin::SrvXmpps { priority, weight }),
            Service::StartTls => (CandidateKind::StartTls, Origin::SrvXmpp { priority, weight }),
        };
        Candidate { kind, host: target.to_ascii_lowercase(), port, origin }
    }
}

impl SrvRecord {
    /// What makes it useless, if anything.
    fn unfit(&self) -> Option<Unfit> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(allowed);
        // A name that ends in a number is an address, or nothing (RFC 1123, section 2.1).
        let ends_in_number = || {
            let last = self.target.rsplit('.').next().unwrap_or_default();
            last.chars().all(|c| c.is_ascii_digit())
        };
        if self.is_refusal() {
            Some(Unfit::Refusal)
        } else if self.target.len() > 253
            || !self.target.split('.').all(is_label)
            || ends_in_number()
        {
            Some(Unfit::NoHost)
        } else if self.port == 0 {
            Some(Unfit::NoPort)
        } else {
            None
        }
    }
}

/// Orders by priority, then by weight and chance; among records of equal priority and weight,
/// direct TLS comes first.
fn order(entries: Vec<Entry>, random: &mut impl FnMut(u64) -> u64) -> Vec<Entry> {
    let mut levels: BTreeMap<u16, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        levels.entry(entry.record.priority).or_default().push(entry);
    }
    levels.into_values().flat_map(|level| direct_first(by_weight(level, random))).collect()
}

/// The algorithm of RFC 2782: each next record is drawn with a chance in proportion to its weight.
fn by_weight(mut level: Vec<Entry>, random: &mut impl FnMut(u64) -> u64) -> Vec<Entry> {
    let weight = |entry: &Entry| u64::from(entry.record.weight);
    // The order in which records are drawn from may be any, but those of weight 0 come first.
    shuffle(&mut level, random);
    level.sort_by_key(|entry| weight(entry) != 0);
    let mut ordered = Vec::with_capacity(level.len());
    while !level.is_empty() {
        let mark = random(level.iter().map(weight).sum());
        let mut sum = 0;
        let drawn = level.iter().position(|entry| {
            sum += weight(entry);
            sum >= mark
        });
        ordered.push(level.remove(drawn.unwrap_or(0)));
    }
    ordered
}

fn shuffle(entries: &mut [Entry], random: &mut impl FnMut(u64) -> u64) {
    for last in (1..entries.len()).rev() {
        let chosen = usize::try_from(random(last as u64)).unwrap_or(0).min(last);
        entries.swap(last, chosen);
    }
}

/// Leaves the places of each weight to that weight, and gives the first of them to direct TLS.
fn direct_first(ordered: Vec<Entry>) -> Vec<Entry> {
    let places: Vec<u16> = ordered.iter().map(|entry| entry.record.weight).collect();
    let mut left = ordered;
    left.sort_by_key(|entry| entry.service);
    let next = |weight| {
        let index = left.iter().position(|entry: &Entry| entry.record.weight == weight)?;
        Some(left.remove(index))
    };
    places.into_iter().filter_map(next).collect()
}

/// Records beyond these are not tried.
pub(super) const MAX_CANDIDATES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn record(priority: u16, weight: u16, port: u16, target: &str) -> SrvRecord {
        SrvRecord::new(priority, weight, port, target)
    }

    /// Numbers that look random and are the same each time (splitmix64).
    fn seeded(mut state: u64) -> impl FnMut(u64) -> u64 {
        move |max| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z ^ (z >> 31)) % (max + 1)
        }
    }

    type Answer = Result<Vec<SrvRecord>, LookupError>;

    /// The candidates as `kind host:port`, whether the domain may be tried, and the notes.
    fn services(direct: Answer, start_tls: Answer) -> (Vec<String>, bool, Vec<Note>) {
        let mut notes = Vec::new();
        let services = Services::new(direct, start_tls, &mut seeded(1), &mut notes);
        let shown = services.candidates.iter().map(|candidate| {
            let kind = if candidate.kind == CandidateKind::DirectTls { "tls" } else { "starttls" };
            format!("{kind} {}:{}", candidate.host, candidate.port)
        });
        (shown.collect(), services.may_fall_back, notes)
    }

    #[test]
    fn priorities_of_both_kinds_are_mixed() {
        let direct = vec![record(20, 0, 443, "late.example"), record(5, 0, 5223, "a.example")];
        let start_tls = vec![record(10, 9, 5222, "b.example"), record(0, 1, 5222, "first.example")];
        let (order, may_fall_back, notes) = services(Ok(direct), Ok(start_tls));
        assert_eq!(
            order,
            [
                "starttls first.example:5222",
                "tls a.example:5223",
                "starttls b.example:5222",
                "tls late.example:443"
            ]
        );
        assert!(!may_fall_back);
        assert_eq!(notes, []);
    }

    #[test]
    fn on_equal_footing_direct_tls_is_first() {
        for seed in 0..100 {
            for weight in [0, 1, 5] {
                let records = |ports: [u16; 2]| {
                    ports.map(|port| record(0, weight, port, "a.example")).to_vec()
                };
                let services = Services::new(
                    Ok(records([443, 5223])),
                    Ok(records([80, 5222])),
                    &mut seeded(seed),
                    &mut Vec::new(),
                );
                let kinds: Vec<_> = services.candidates.iter().map(|c| &c.kind).collect();
                use CandidateKind::{DirectTls, StartTls};
                assert_eq!(kinds, [&DirectTls, &DirectTls, &StartTls, &StartTls]);
            }
        }
    }

    /// How often each of three records comes first, in 10,000 draws.
    fn firsts(weights: [u16; 3]) -> [u32; 3] {
        let mut random = seeded(7);
        let mut counts = [0; 3];
        for _ in 0..10_000 {
            let entries = weights.iter().zip(0..).map(|(weight, port)| Entry {
                service: Service::StartTls,
                record: record(0, *weight, port, "a.example"),
            });
            let ordered = order(entries.collect(), &mut random);
            assert_eq!(ordered.len(), 3);
            counts[usize::from(ordered[0].record.port)] += 1;
        }
        counts
    }

    #[test]
    fn chances_are_in_proportion_to_weights() {
        let near = |count: u32, expected: u32| count.abs_diff(expected) < 200;
        let [light, middle, heavy] = firsts([10, 30, 60]);
        assert!(near(light, 1000) && near(middle, 3000) && near(heavy, 6000), "{light} {middle}");
        let [a, b, c] = firsts([0, 0, 0]);
        assert!(near(a, 3333) && near(b, 3333) && near(c, 3333), "{a} {b} {c}");
    }

    #[test]
    fn weight_0_has_a_small_chance_beside_others() {
        let [none, a, b] = firsts([0, 50, 49]);
        // One draw in a hundred, for the sum is 99 and 0 is a number as well.
        assert!((50..200).contains(&none), "{none}");
        assert!(a > 4500 && b > 4500, "{a} {b}");
    }

    #[test]
    fn a_dot_says_that_there_is_no_such_service() {
        let dot = || Ok(vec![record(0, 0, 0, ".")]);
        let none = || Err(LookupError::NoRecords);
        let some = || Ok(vec![record(0, 0, 5222, "a.example")]);
        let dropped = |about| {
            let (what, why) = (".:0".to_owned(), Unfit::Refusal);
            Note::new(about, Finding::Dropped { what, why })
        };
        let xmpps = || dropped(Question::SrvXmpps);
        let xmpp = || dropped(Question::SrvXmpp);
        assert_eq!(services(dot(), none()), (vec![], false, vec![xmpps()]));
        assert_eq!(services(none(), dot()), (vec![], false, vec![xmpp()]));
        assert_eq!(services(dot(), dot()), (vec![], false, vec![xmpps(), xmpp()]));
        let only = |kind: &str| vec![format!("{kind} a.example:5222")];
        assert_eq!(services(dot(), some()), (only("starttls"), false, vec![xmpps()]));
        assert_eq!(services(some(), dot()), (only("tls"), false, vec![xmpp()]));
    }

    #[test]
    fn the_domain_is_tried_only_when_nothing_was_found() {
        let none = || Err(LookupError::NoRecords);
        let failed = || Err(LookupError::TimedOut);
        let some = || Ok(vec![record(0, 0, 5222, "a.example")]);
        for (direct, start_tls, expected) in [
            (none(), none(), true),
            (none(), failed(), true),
            (failed(), failed(), true),
            (Ok(vec![]), none(), true),
            (some(), none(), false),
            (none(), some(), false),
            (failed(), some(), false),
            // There was an answer, useless as it is.
            (none(), Ok(vec![record(0, 0, 0, "a.example")]), false),
        ] {
            assert_eq!(services(direct, start_tls).1, expected);
        }
    }

    #[test]
    fn records_that_lead_nowhere_are_dropped() {
        let long = format!("{}.example", "a".repeat(64));
        let longer = "a.".repeat(127) + "a";
        for (target, port, why) in [
            ("a.example", 0, Unfit::NoPort),
            ("192.0.2.1", 5222, Unfit::NoHost),
            ("2001:db8::1", 5222, Unfit::NoHost),
            ("a..example", 5222, Unfit::NoHost),
            ("a\\032b.example", 5222, Unfit::NoHost),
            ("a/b.example", 5222, Unfit::NoHost),
            (&long, 5222, Unfit::NoHost),
            (&longer, 5222, Unfit::NoHost),
        ] {
            let (order, _, notes) = services(Ok(vec![record(0, 0, port, target)]), Ok(vec![]));
            assert_eq!(order, [""; 0], "{target}");
            let what = shown(&format!("{target}:{port}"));
            assert_eq!(notes, [Note::new(Question::SrvXmpps, Finding::Dropped { what, why })]);
        }
    }

    #[test]
    fn each_place_is_tried_once_and_not_too_many() {
        let twice = vec![
            record(0, 0, 5222, "a.example"),
            record(1, 0, 5222, "A.EXAMPLE"),
            record(2, 0, 5223, "a.example"),
        ];
        let (order, ..) = services(Ok(vec![]), Ok(twice));
        assert_eq!(order, ["starttls a.example:5222", "starttls a.example:5223"]);

        let many = (0..40).map(|n| record(n, 0, 5222 + n, "a.example")).collect();
        let (order, _, notes) = services(Ok(many), Ok(vec![]));
        assert_eq!(order.len(), MAX_CANDIDATES);
        let cut = Finding::Cut { kept: MAX_CANDIDATES, of: 40 };
        assert_eq!(notes, [Note::new(Question::SrvXmpps, cut)]);
    }
}
