//! The spool as a whole, in a folder of its own.

use std::time::Instant;

use super::*;
use crate::config::limits::{SPOOL_BYTES_MIN, SYNC_EVERY_MIN};
use crate::words::{ClockState, RawFrame, RawInput, Record, Stamp, Stream};

fn settings(folder: &Path) -> Settings {
    Settings {
        site: "s".into(),
        gateway: "g".into(),
        path: folder.to_owned(),
        max_bytes: SPOOL_BYTES_MIN,
        max_age: None,
        sync_every: SYNC_EVERY_MIN,
    }
}

fn a_record(name: &str, wall_ns: i64, fields: &str) -> Record {
    Record {
        name: name.into(),
        module: "a@1.0.0".into(),
        at: Stamp {
            line_ns: 0,
            wall_ns,
        },
        clock: ClockState::Synced,
        frame: 1,
        fields: fields.to_owned(),
    }
}

/// A time that goes up with `count`.
fn wall(count: u64) -> i64 {
    1_790_000_000_000_000_000 + count.cast_signed() * 1_000_000
}

/// Hands over so many records, at a pace at which none is dropped, and waits until all are taken.
fn give(spool: &Spool, intake: &Intake, counts: std::ops::RangeInclusive<u64>) {
    for count in counts {
        if count % 500 == 0 {
            settled(spool);
        }
        let fields = format!(r#"{{"count":{count}}}"#);
        assert!(intake.record(a_record("a", wall(count), &fields)));
    }
    settled(spool);
}

/// Waits until nothing more is taken.
fn settled(spool: &Spool) {
    let mut before = None;
    eventually("nothing is taken any more", || {
        let now = spool.counts();
        let same = before.as_ref() == Some(&now);
        before = Some(now);
        std::thread::sleep(Duration::from_millis(10));
        same
    });
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn value(entry: &Entry) -> serde_json::Value {
    serde_json::from_str(&entry.json).expect("entries are JSON")
}

/// All that comes within a moment.
async fn drain(reader: &mut Reader) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let next = reader.next(64 * 1024, Duration::ZERO, Lanes::BOTH);
        // A block that has to be read from disk may take a while.
        let Ok(batch) = tokio::time::timeout(Duration::from_millis(300), next).await else {
            return entries;
        };
        assert!(!batch.entries.is_empty());
        let seqs = batch.entries.iter().map(|entry| entry.seq);
        assert!(seqs.eq(batch.first()..=batch.last()));
        entries.extend(batch.entries);
    }
}

fn names(entries: &[Entry]) -> Vec<(u64, u64)> {
    entries
        .iter()
        .map(|entry| (entry.epoch, entry.seq))
        .collect()
}

#[tokio::test]
async fn what_was_taken_is_there_with_the_same_bytes_after_a_clean_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    let intake = spool.intake("m");
    give(&spool, &intake, 1..=3000);
    assert!(intake.frame(RawFrame {
        at: Stamp {
            line_ns: 5,
            wall_ns: wall(1)
        },
        clock: ClockState::Synced,
        number: 1,
        port: 0,
        bytes: vec![1, 2],
        errors: vec![],
    }));
    assert!(intake.input(RawInput {
        at: Stamp {
            line_ns: 5,
            wall_ns: wall(1)
        },
        clock: ClockState::Synced,
        kind: "tick".into(),
        data: "null".to_owned(),
    }));
    eventually("taken", || spool.counts().taken == 3002);
    let first = drain(&mut reader).await;
    assert_eq!(first.len(), 3002);
    spool.close().expect("closes");
    assert!(!intake.record(a_record("a", wall(9000), "{}")) || spool.counts().taken == 3002);
    drop((spool, reader));

    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    assert_eq!(spool.backlog().entries, 3002);
    assert_eq!(spool.backlog().records, 3000);
    let mut again = drain(&mut reader).await;
    let mut first = first;
    let by_name = |entry: &Entry| (entry.stream, entry.epoch, entry.seq);
    first.sort_by_key(by_name);
    again.sort_by_key(by_name);
    assert_eq!(again, first, "and no gap, because the stop was clean");
    let epoch = first[0].epoch;
    assert_eq!(reader.release("m", Stream::Records, epoch, 1, 3000), 3000);
    let intake = spool.intake("m");
    give(&spool, &intake, 5000..=5000);
    let fresh = drain(&mut reader).await;
    assert_eq!(fresh.len(), 1);
    assert!(fresh[0].epoch > epoch && fresh[0].seq == 1);
    assert_eq!(value(&fresh[0])["record"], "a");
}

#[tokio::test]
async fn after_an_unclean_stop_all_is_there_and_a_gap_begins_each_stream() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut expect: Vec<Entry> = Vec::new();
    for round in 0..3_u64 {
        let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
        let intake = spool.intake("m");
        give(&spool, &intake, 1 + 1000 * round..=1000 * (round + 1));
        let mut entries = drain(&mut reader).await;
        if round > 0 {
            assert_eq!(
                value(&entries[0])["record"],
                "gap",
                "what is live comes first"
            );
        }
        entries.sort_by_key(|entry| (entry.epoch, entry.seq));
        let (old, fresh) = entries.split_at(expect.len());
        assert_eq!(old, expect);
        let gaps = u64::from(round > 0);
        let epoch = fresh[0].epoch;
        assert!(
            names(fresh)
                .into_iter()
                .eq((1..=1000 + gaps).map(|seq| (epoch, seq)))
        );
        if let Some(last) = old.last() {
            let gap = value(&fresh[0]);
            assert!(epoch > last.epoch);
            assert_eq!(gap["fields"]["reason"], "restart");
            assert_eq!(gap["fields"].get("count"), None);
            assert_eq!(gap["fields"]["since"], crate::time::rfc3339(last.t_unix_ns));
        }
        expect = entries;
    }
}
