//! What is done to the chain, and when: all of it follows from a seed.
//!
//! Every minute has each part killed, each connection cut, and the combinations in which a part that
//! answered too early would be found out: whoever said "I have it" is killed while what comes after
//! it can't be reached.

use std::time::Duration;

use crate::proxy::{Cut, Mode, Ways};

/// A process that is killed with `kill -9` and started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The machine of that index; its adapter is pulled out so.
    Simulator(usize),
    /// The gateway.
    Gateway,
    /// The MQTT broker, which forgets everything.
    Broker,
    /// One of those from MQTT to Kafka.
    Ingest(usize),
    /// Kafka.
    Kafka,
    /// One of those from Kafka to the database.
    Sink(usize),
    /// The database.
    Database,
}

/// A connection with a proxy in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Link {
    /// From the gateway to the broker.
    Uplink,
    /// From the ingests to the broker.
    Subscribe,
    /// From the ingests to Kafka.
    Publish,
    /// From the sinks to Kafka.
    Consume,
    /// From the sinks to the database.
    Write,
}

/// All of them.
pub const LINKS: [Link; 5] = [
    Link::Uplink,
    Link::Subscribe,
    Link::Publish,
    Link::Consume,
    Link::Write,
];

/// One thing that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// `kill -9`; nothing where it is down already.
    Kill(Part),
    /// Started again; nothing where it runs.
    Start(Part),
    /// All present connections end.
    Cut(Link, Cut),
    /// The connection is like this from now on.
    Set(Link, Mode),
    /// The spool's disk is full from now on.
    FillDisk,
    /// It has room again.
    FreeDisk,
    /// The gateway's wall clock is set.
    StepClock {
        /// By so much.
        milliseconds: i64,
    },
}

/// Numbers that a seed gives: SplitMix64.
#[derive(Debug, Clone)]
pub struct Lot(u64);

impl Lot {
    /// The same seed gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// From `from` up to `to`, this one not included.
    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.next() % (to - from)
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.between(0, of.len() as u64) as usize]
    }

    fn shuffle<T>(&mut self, what: &mut [T]) {
        for last in (1..what.len()).rev() {
            what.swap(last, self.between(0, last as u64 + 1) as usize);
        }
    }
}

/// Acts that belong together, with milliseconds after their beginning.
type Group = Vec<(u64, Act)>;

/// The whole script of `length`, in order.
pub fn script(seed: u64, length: Duration, machines: usize) -> Vec<(Duration, Act)> {
    let mut lot = Lot::new(seed);
    let rounds = (length.as_secs() / 60).max(1);
    let mut acts = Vec::new();
    for round in 0..rounds {
        let mut groups = minute(&mut lot, machines);
        // The disk is full once, in the first minute.
        if round == 0 {
            let lasts = lot.between(3_000, 6_000);
            groups.push(vec![(0, Act::FillDisk), (lasts, Act::FreeDisk)]);
        }
        lot.shuffle(&mut groups);
        let slot = length.as_millis() as u64 / rounds / groups.len() as u64;
        for (index, group) in groups.into_iter().enumerate() {
            let begins = round * length.as_millis() as u64 / rounds + index as u64 * slot;
            let begins = begins + lot.between(0, slot.max(1));
            acts.extend(group.into_iter().map(|(after, act)| (begins + after, act)));
        }
    }
    acts.sort_by_key(|(at, _)| *at);
    acts.into_iter()
        .map(|(at, act)| (Duration::from_millis(at), act))
        .collect()
}

fn minute(lot: &mut Lot, machines: usize) -> Vec<Group> {
    let simulator = Part::Simulator(lot.between(0, machines as u64) as usize);
    let mut groups: Vec<Group> = [
        simulator,
        Part::Gateway,
        Part::Gateway,
        Part::Gateway,
        Part::Broker,
        Part::Ingest(0),
        Part::Ingest(1),
        Part::Kafka,
        Part::Sink(0),
        Part::Sink(1),
        Part::Database,
    ]
    .into_iter()
    .map(|part| kill(lot, 0, part))
    .collect();
    for link in LINKS {
        let how = lot.one(&[Cut::Reset, Cut::Close]);
        groups.push(vec![(0, Act::Cut(link, how))]);
    }
    for _ in 0..3 {
        let (link, ways) = (
            lot.one(&LINKS),
            lot.one(&[Ways::Up, Ways::Down, Ways::Both]),
        );
        groups.push(set(lot, link, Mode::BlackHole(ways)));
    }
    let link = lot.one(&LINKS);
    groups.push(set(lot, link, Mode::Refuse));
    let (link, bytes_per_s) = (lot.one(&LINKS), lot.between(10_000, 100_000));
    groups.push(set(lot, link, Mode::Slow { bytes_per_s }));

    // Who answered too early is found out by these.
    let hole = Mode::BlackHole(Ways::Both);
    for (link, parts) in [
        (Link::Subscribe, &[Part::Broker][..]),
        (Link::Publish, &[Part::Ingest(0), Part::Ingest(1)]),
        (Link::Write, &[Part::Sink(0), Part::Sink(1)]),
    ] {
        let lasts = lot.between(2_500, 5_000);
        let mut group = vec![
            (0, Act::Set(link, hole)),
            (lasts, Act::Set(link, Mode::Pass)),
        ];
        for part in parts {
            let after = lot.between(1_500, lasts);
            group.extend(kill(lot, after, *part));
        }
        groups.push(group);
    }

    // Back by minutes, on by an hour, back by less than a new epoch needs, and back by all of it.
    for milliseconds in [
        -(lot.between(20_000, 600_000) as i64),
        lot.between(1_000_000, 4_000_000) as i64,
        -(lot.between(50, 900) as i64),
    ] {
        groups.push(vec![(0, Act::StepClock { milliseconds })]);
    }
    groups
}

fn kill(lot: &mut Lot, after: u64, part: Part) -> Group {
    let down = match lot.between(0, 3) {
        0 => lot.between(10, 200),
        _ => lot.between(200, 3_000),
    };
    vec![(after, Act::Kill(part)), (after + down, Act::Start(part))]
}

fn set(lot: &mut Lot, link: Link, mode: Mode) -> Group {
    let lasts = lot.between(500, 8_000);
    vec![
        (0, Act::Set(link, mode)),
        (lasts, Act::Set(link, Mode::Pass)),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_seed_gives_the_same_script_and_another_another() {
        assert_eq!(script(1, MINUTE, 3), script(1, MINUTE, 3));
        assert_ne!(script(1, MINUTE, 3), script(2, MINUTE, 3));
    }

    #[test]
    fn every_minute_has_every_part_killed_and_every_link_cut() {
        for seed in 0..50 {
            let script = script(seed, 2 * MINUTE, 3);
            for minute in [0, 1] {
                let acts = script.iter().filter(|(at, _)| at.as_secs() / 60 >= minute);
                let (mut killed, mut cut) = (BTreeSet::new(), BTreeSet::new());
                for (_, act) in acts {
                    match act {
                        Act::Kill(Part::Simulator(_)) => drop(killed.insert(Part::Simulator(0))),
                        Act::Kill(part) => drop(killed.insert(*part)),
                        Act::Cut(link, _) => drop(cut.insert(*link)),
                        _ => {}
                    }
                }
                assert_eq!((killed.len(), cut.len()), (9, 5), "seed {seed}");
            }
            let fills = script.iter().filter(|(_, act)| *act == Act::FillDisk);
            assert_eq!(fills.count(), 1);
        }
    }

    #[test]
    fn all_that_is_broken_is_mended_later() {
        for seed in 0..50 {
            let script = script(seed, MINUTE, 3);
            assert!(script.is_sorted_by_key(|(at, _)| *at));
            for (index, (_, act)) in script.iter().enumerate() {
                let mends = |later: &Act| match (act, later) {
                    (Act::Kill(part), Act::Start(started)) => part == started,
                    (Act::Set(link, mode), Act::Set(later, Mode::Pass)) => {
                        *mode == Mode::Pass || link == later
                    }
                    (Act::FillDisk, Act::FreeDisk) => true,
                    _ => false,
                };
                let breaks = match act {
                    Act::Kill(_) | Act::FillDisk => true,
                    Act::Set(_, mode) => *mode != Mode::Pass,
                    _ => false,
                };
                let mended = script[index..].iter().any(|(_, later)| mends(later));
                assert!(!breaks || mended, "seed {seed}: {act:?}");
            }
        }
    }
}
