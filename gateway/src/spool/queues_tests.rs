use std::time::Duration;

use proptest::prelude::*;

use super::*;

const EPOCH: u64 = 1000;
const ROOMY: usize = 1 << 20;

fn queues(bytes_max: usize) -> (Queues, usize) {
    let mut queues = Queues::new("s".into(), "g".into(), bytes_max, EPOCH);
    let index = queues.queue("m", Stream::Records);
    (queues, index)
}

fn at(name: &str, wall_ns: i64) -> Taking {
    Taking::Record(Record {
        name: name.into(),
        module: "a@1.0.0".into(),
        at: Stamp {
            line_ns: 0,
            wall_ns,
        },
        clock: ClockState::Synced,
        frame: 1,
        fields: "{}".into(),
    })
}

fn value(entry: &Entry) -> serde_json::Value {
    serde_json::from_str(&entry.json).expect("entries are JSON")
}

fn numbers(batch: &Batch) -> Vec<u64> {
    batch.entries.iter().map(|entry| entry.seq).collect()
}

#[test]
fn numbers_count_from_one_per_machine_and_stream() {
    let (mut queues, one) = queues(ROOMY);
    let two = queues.queue("n", Stream::Records);
    let frames = queues.queue("m", Stream::Frames);
    assert_eq!(queues.queue("m", Stream::Records), one);
    let now = Instant::now();
    for (index, seq) in [
        (one, 1),
        (one, 2),
        (two, 1),
        (frames, 1),
        (one, 3),
        (two, 2),
    ] {
        let entry = queues.take(index, &at("a", seq * 10), now).expect("taken");
        assert_eq!(
            (entry.epoch, entry.seq),
            (EPOCH, u64::try_from(seq).expect("small"))
        );
        assert_eq!(value(&entry)["seq"], entry.seq);
    }
}

#[test]
fn times_strictly_increase_per_record_name() {
    let (mut queues, index) = queues(ROOMY);
    let now = Instant::now();
    let mut times = |name: &str, wall: i64| {
        let entry = queues.take(index, &at(name, wall), now).expect("taken");
        value(&entry)["t"].as_str().expect("a text").to_owned()
    };
    assert_eq!(times("a", 5), time::rfc3339(5));
    assert_eq!(
        times("b", 5),
        time::rfc3339(5),
        "another record of the same frame has its time"
    );
    assert_eq!(times("a", 5), time::rfc3339(6));
    assert_eq!(times("a", 5), time::rfc3339(7));
    assert_eq!(
        times("a", 2),
        time::rfc3339(8),
        "back by less than a second"
    );
    assert_eq!(times("a", 100), time::rfc3339(100));
}

#[test]
fn a_clock_that_goes_back_by_more_than_a_second_begins_a_new_epoch() {
    let (mut queues, index) = queues(ROOMY);
    let now = Instant::now();
    let second = 1_000_000_000;
    queues.take(index, &at("a", 10 * second), now);
    let same = queues
        .take(index, &at("a", 9 * second), now)
        .expect("taken");
    assert_eq!((same.epoch, same.seq), (EPOCH, 2));
    let stepped = queues
        .take(index, &at("a", 8 * second), now)
        .expect("taken");
    assert_eq!((stepped.epoch, stepped.seq), (EPOCH + 1, 1));
    assert_eq!(value(&stepped)["t"], time::rfc3339(8 * second));
}

#[test]
fn what_is_in_flight_is_read_again_after_a_rewind_with_the_same_bytes() {
    let (mut queues, index) = queues(ROOMY);
    let now = Instant::now();
    for wall in 0..5 {
        queues.take(index, &at("a", wall), now);
    }
    let first = queues.read(ROOMY, Lanes::BOTH, now).expect("five wait");
    assert_eq!(numbers(&first), [1, 2, 3, 4, 5]);
    assert!(queues.read(ROOMY, Lanes::BOTH, now).is_none());
    queues.release("m", Stream::Records, EPOCH, 1..=2);
    queues.rewind();
    let again = queues.read(ROOMY, Lanes::BOTH, now).expect("three wait");
    assert_eq!(again.entries, first.entries[2..]);
    queues.release("m", Stream::Records, EPOCH, 1..=5);
    assert_eq!(queues.backlog(), Backlog::default());
    assert_eq!(queues.counts.released, 5);
}

#[test]
fn release_takes_only_what_was_read_and_ignores_what_it_does_not_know() {
    let (mut queues, index) = queues(ROOMY);
    let now = Instant::now();
    queues.take(index, &at("a", 1), now);
    queues.release("m", Stream::Records, EPOCH, 1..=1);
    queues.release("nobody", Stream::Records, EPOCH, 1..=1);
    queues.release("m", Stream::Frames, EPOCH, 1..=1);
    assert_eq!(queues.backlog().entries, 1);
    queues.read(ROOMY, Lanes::BOTH, now);
    queues.release("m", Stream::Records, EPOCH - 1, 1..=99);
    assert_eq!(queues.backlog().entries, 1, "another epoch's number");
}

#[test]
fn batches_keep_to_their_size_and_machines_take_turns() {
    let (mut queues, one) = queues(ROOMY);
    let two = queues.queue("n", Stream::Records);
    let now = Instant::now();
    for wall in 0..4 {
        queues.take(one, &at("a", wall), now);
    }
    let entry = queues.take(two, &at("a", 0), now).expect("taken");
    let room_for_two = 2 * entry.json.len() + "[,]".len();
    let order: Vec<(String, Vec<u64>)> =
        std::iter::from_fn(|| queues.read(room_for_two, Lanes::BOTH, now))
            .inspect(|batch| assert!(batch.payload().len() <= room_for_two))
            .map(|batch| (batch.machine.to_string(), numbers(&batch)))
            .collect();
    let expect = [("m", vec![1, 2]), ("n", vec![1]), ("m", vec![3, 4])];
    assert_eq!(
        order,
        expect.map(|(machine, seq)| (machine.to_owned(), seq))
    );
}

#[test]
fn an_entry_larger_than_the_batch_comes_alone() {
    let (mut queues, index) = queues(ROOMY);
    let now = Instant::now();
    queues.take(index, &at("a", 1), now);
    queues.take(index, &at("a", 2), now);
    assert_eq!(
        queues
            .read(1, Lanes::BOTH, now)
            .map(|batch| numbers(&batch)),
        Some(vec![1])
    );
    assert_eq!(
        queues
            .read(1, Lanes::BOTH, now)
            .map(|batch| numbers(&batch)),
        Some(vec![2])
    );
}

#[test]
fn a_full_spool_drops_the_oldest_and_one_gap_tells_of_all() {
    let (mut queues, index) = queues(2000);
    let now = Instant::now();
    for wall in 0..100 {
        queues.take(index, &at("a", wall), now);
        assert!(queues.backlog().bytes <= 2000);
    }
    let batch = queues.read(ROOMY, Lanes::BOTH, now).expect("some are left");
    let first_kept = batch.entries[0].seq;
    let gap = value(batch.entries.last().expect("not empty"));
    assert_eq!(gap["record"], "gap");
    assert_eq!(gap["seq"], 101);
    assert_eq!(gap["fields"]["reason"], "spool_full");
    assert_eq!(gap["fields"]["first"], 1);
    assert_eq!(gap["fields"]["last"], first_kept - 1);
    assert_eq!(gap["fields"]["count"], first_kept - 1);
    assert_eq!(gap["fields"]["since"], time::rfc3339(0));
    assert_eq!(queues.counts.dropped["spool_full"], first_kept - 1);
}

#[test]
fn a_gap_that_is_dropped_itself_is_told_by_the_next() {
    let (mut queues, index) = queues(2000);
    let now = Instant::now();
    for wall in 0..50 {
        queues.take(index, &at("a", wall), now);
    }
    queues
        .read(ROOMY, Lanes::BOTH, now)
        .expect("read with its gap");
    queues.rewind();
    for wall in 50..100 {
        queues.take(index, &at("a", wall), now);
    }
    let batch = queues.read(ROOMY, Lanes::BOTH, now).expect("some are left");
    let gap = value(batch.entries.last().expect("not empty"));
    assert_eq!(gap["fields"]["first"], 1);
    assert_eq!(gap["fields"]["last"], batch.entries[0].seq - 1);
    assert_eq!(gap["fields"]["count"], batch.entries[0].seq - 1);
}

#[test]
fn what_is_in_flight_is_never_dropped() {
    let (mut queues, index) = queues(2000);
    let now = Instant::now();
    for wall in 0..3 {
        queues.take(index, &at("a", wall), now);
    }
    let in_flight = queues.read(ROOMY, Lanes::BOTH, now).expect("three wait");
    for wall in 3..100 {
        queues.take(index, &at("a", wall), now);
    }
    assert_eq!(numbers(&in_flight), [1, 2, 3]);
    queues.release("m", Stream::Records, EPOCH, 1..=3);
    assert_eq!(queues.counts.released, 3);
}

#[test]
fn what_the_intake_dropped_is_told_without_numbers() {
    let (mut queues, index) = queues(ROOMY);
    let lost = Lost {
        cause: DropCause::IntakeFull,
        count: 7,
        since_ns: 10,
        until_ns: 20,
        clock: ClockState::Synced,
        numbers: None,
    };
    queues.lose(index, lost);
    assert_eq!(
        queues.due(ROOMY, Duration::ZERO, Lanes::BOTH, Instant::now()),
        Due::Now
    );
    let gap = value(
        &queues
            .read(ROOMY, Lanes::BOTH, Instant::now())
            .expect("the gap")
            .entries[0],
    );
    assert_eq!(gap["fields"]["reason"], "intake_full");
    assert_eq!(gap["fields"]["count"], 7);
    assert_eq!(gap["fields"]["until"], time::rfc3339(20));
    assert_eq!(gap["fields"].get("first"), None);
    assert_eq!(queues.counts.dropped["intake_full"], 7);
}

#[test]
fn what_is_refused_is_told_once_and_nothing_else_in_flight_is_touched() {
    let (mut queues, index) = queues(ROOMY);
    let now = Instant::now();
    for wall in 0..3 {
        queues.take(index, &at("a", wall), now);
    }
    let one_each: Vec<Batch> = std::iter::from_fn(|| queues.read(1, Lanes::BOTH, now)).collect();
    queues.refuse(&one_each[1]);
    queues.release("m", Stream::Records, EPOCH, 1..=3);
    assert_eq!(queues.counts.released, 2);
    let gap = queues.read(ROOMY, Lanes::BOTH, now).expect("the gap");
    let told = value(&gap.entries[0]);
    assert_eq!(told["fields"]["reason"], "refused");
    assert_eq!(
        (&told["fields"]["first"], &told["fields"]["last"]),
        (&2.into(), &2.into())
    );
    queues.refuse(&gap);
    assert!(queues.read(ROOMY, Lanes::BOTH, now).is_none());
    assert_eq!(queues.backlog(), Backlog::default());
}

#[test]
fn gaps_of_many_epochs_stay_few() {
    let (mut queues, index) = queues(ROOMY);
    for epoch in 0..1000 {
        queues.lose(
            index,
            Lost {
                cause: DropCause::SpoolFull,
                count: 1,
                since_ns: 0,
                until_ns: 0,
                clock: ClockState::Capture,
                numbers: Some((epoch, 1, 1)),
            },
        );
    }
    let batch = queues
        .read(ROOMY, Lanes::BOTH, Instant::now())
        .expect("gaps");
    assert!(batch.entries.len() <= GAPS_PENDING_MAX);
    let told: u64 = batch
        .entries
        .iter()
        .map(|entry| value(entry)["fields"]["count"].as_u64().expect("a count"))
        .sum();
    assert_eq!(told, 1000);
}

#[test]
fn an_entry_is_due_when_it_has_lingered_or_the_batch_is_full() {
    let (mut queues, index) = queues(ROOMY);
    let start = Instant::now();
    let linger = Duration::from_millis(5);
    assert_eq!(
        queues.due(ROOMY, linger, Lanes::BOTH, start),
        Due::WhenTaken
    );
    queues.take(index, &at("a", 1), start);
    assert_eq!(
        queues.due(ROOMY, linger, Lanes::BOTH, start),
        Due::At(start + linger)
    );
    assert_eq!(
        queues.due(ROOMY, linger, Lanes::BOTH, start + linger),
        Due::Now
    );
    assert_eq!(queues.due(10, linger, Lanes::BOTH, start), Due::Now);
}

#[derive(Debug, Clone)]
enum Step {
    Take(i64),
    Read(usize),
    Release(usize),
    Rewind,
}

proptest! {
    /// Whatever happens: memory is bounded, and every number is released or told by a gap.
    #[test]
    fn every_number_arrives_or_is_explained(
        steps in proptest::collection::vec(
            prop_oneof![
                5 => (0..3_000_000_000_i64).prop_map(Step::Take),
                2 => (1..3000_usize).prop_map(Step::Read),
                2 => (0..20_usize).prop_map(Step::Release),
                1 => Just(Step::Rewind),
            ],
            1..300,
        )
    ) {
        const BYTES_MAX: usize = 4000;
        let (mut queues, index) = queues(BYTES_MAX);
        let now = Instant::now();
        let mut given = std::collections::BTreeSet::new();
        let mut in_flight: VecDeque<Entry> = VecDeque::new();
        let mut arrived: Vec<Entry> = Vec::new();
        for step in steps {
            match step {
                Step::Take(wall) => {
                    let entry = queues.take(index, &at("a", wall), now).expect("taken");
                    given.insert((entry.epoch, entry.seq));
                }
                Step::Read(bytes_max) => {
                    // As the uplink does, with a bound on what is in flight.
                    if in_flight.len() < 5 && let Some(batch) = queues.read(bytes_max, Lanes::BOTH, now) {
                        let follows = |pair: &[Entry]| {
                            (pair[0].epoch, pair[0].seq + 1) == (pair[1].epoch, pair[1].seq)
                        };
                        prop_assert!(batch.entries.windows(2).all(follows));
                        in_flight.extend(batch.entries);
                    }
                }
                Step::Release(count) => {
                    for _ in 0..count {
                        let Some(entry) = in_flight.pop_front() else { break };
                        queues.release("m", Stream::Records, entry.epoch, entry.seq..=entry.seq);
                        arrived.push(entry);
                    }
                }
                Step::Rewind => {
                    queues.rewind();
                    in_flight.clear();
                }
            }
        }
        queues.rewind();
        while let Some(batch) = queues.read(ROOMY, Lanes::BOTH, now) {
            queues.release("m", Stream::Records, batch.epoch(), batch.first()..=batch.last());
            arrived.extend(batch.entries);
        }
        prop_assert_eq!(queues.backlog(), Backlog::default());
        // Live entries overtake the backlog, so all of them are in order by name only.
        arrived.sort_by_key(|entry| (entry.epoch, entry.seq));
        prop_assert!(arrived.windows(2).all(|pair|
            (pair[0].epoch, pair[0].seq) < (pair[1].epoch, pair[1].seq)));

        let names: std::collections::BTreeSet<(u64, u64)> =
            arrived.iter().map(|entry| (entry.epoch, entry.seq)).collect();
        let told: Vec<(u64, u64, u64)> = arrived
            .iter()
            .map(value)
            .filter(|entry| entry["record"] == "gap" && entry["fields"]["first"].is_u64())
            .map(|gap| {
                let number = |name: &str| gap["fields"][name].as_u64().expect("a number");
                (number("of_epoch"), number("first"), number("last"))
            })
            .collect();
        let unnumbered = arrived.iter().map(value).any(|entry|
            entry["record"] == "gap" && !entry["fields"]["first"].is_u64());
        for (epoch, seq) in given {
            let explained = told.iter().any(|&(of, first, last)|
                of == epoch && (first..=last).contains(&seq));
            prop_assert!(
                names.contains(&(epoch, seq)) || explained || unnumbered,
                "{}/{} is neither there nor explained", epoch, seq
            );
        }
    }
}

#[test]
fn what_is_new_goes_before_what_a_session_left_and_each_lane_keeps_its_order() {
    let (mut queues, index) = queues(1 << 20);
    let now = Instant::now();
    for wall in 1..=4 {
        queues.take(index, &at("a", wall), now).expect("taken");
    }
    let sent = queues.read(1, Lanes::BOTH, now).expect("four wait");
    assert_eq!((numbers(&sent), sent.lane), (vec![1], Lane::Live));
    queues.rewind();
    for wall in 5..=6 {
        queues.take(index, &at("a", wall), now).expect("taken");
    }
    let live = queues.read(ROOMY, Lanes::BOTH, now).expect("two are new");
    assert_eq!((numbers(&live), live.lane), (vec![5, 6], Lane::Live));
    let only_live = Lanes {
        live: true,
        backlog: false,
    };
    assert_eq!(queues.read(ROOMY, only_live, now), None);
    // The lake says what it has of the session that ended.
    assert_eq!(queues.release("m", Stream::Records, EPOCH, 1..=1), 1);
    let old = queues.read(ROOMY, Lanes::BOTH, now).expect("three are old");
    assert_eq!((numbers(&old), old.lane), (vec![2, 3, 4], Lane::Backlog));
    assert_eq!(queues.release("m", Stream::Records, EPOCH, 3..=5), 3);
    queues.rewind();
    let left: Vec<Vec<u64>> = std::iter::from_fn(|| queues.read(ROOMY, Lanes::BOTH, now))
        .map(|batch| numbers(&batch))
        .collect();
    assert_eq!(left, [vec![2], vec![6]], "a batch has no holes");
}

#[test]
fn what_was_never_read_is_released_by_nobody() {
    let (mut queues, index) = queues(1 << 20);
    let now = Instant::now();
    queues.take(index, &at("a", 1), now).expect("taken");
    assert_eq!(queues.release("m", Stream::Records, EPOCH, 1..=u64::MAX), 0);
    assert_eq!(queues.backlog().entries, 1);
}
