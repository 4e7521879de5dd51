//! The spool as a whole, in a folder of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::config::limits::{SPOOL_BYTES_MIN, SYNC_EVERY_MIN};
use crate::spool::look::{Filter, Look};
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

fn a_frame(count: u64, bytes: usize) -> RawFrame {
    // Bytes that don't compress.
    let mut state = count.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    });
    RawFrame {
        at: Stamp {
            line_ns: 0,
            wall_ns: wall(count),
        },
        clock: ClockState::Synced,
        number: count,
        port: 0,
        bytes: noise.take(bytes).collect(),
        errors: vec![],
    }
}

/// What a gap tells: of which epoch, first, last, how many, why.
fn told(entry: &Entry) -> Option<(u64, u64, u64, u64, String)> {
    let value = value(entry);
    let number = |name: &str| value["fields"][name].as_u64();
    let reason = value["fields"]["reason"].as_str()?.to_owned();
    let first = number("first").unwrap_or(0);
    Some((
        number("of_epoch").unwrap_or(0),
        first,
        number("last").unwrap_or(0),
        number("count").unwrap_or(0),
        reason,
    ))
}

fn disk_bytes(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("readable");
    files
        .map(|file| {
            file.expect("there")
                .metadata()
                .map_or(0, |metadata| metadata.len())
        })
        .sum()
}

/// Every number from 1 on is there or told by a gap, none is both, and counts are right.
fn all_explained(entries: &[Entry]) {
    let mut there: BTreeSet<(u64, u64)> = BTreeSet::new();
    let mut gone: BTreeSet<(u64, u64)> = BTreeSet::new();
    for entry in entries {
        assert!(
            there.insert((entry.epoch, entry.seq)),
            "{entry:?} came twice"
        );
        let Some((epoch, first, last, count, _)) = told(entry).filter(|told| told.1 > 0) else {
            continue;
        };
        assert_eq!(count, last - first + 1);
        for seq in first..=last {
            assert!(gone.insert((epoch, seq)), "{epoch}/{seq} is told twice");
        }
    }
    assert!(there.is_disjoint(&gone));
    let mut last = (0, 0);
    for (epoch, seq) in there.union(&gone).copied() {
        let expect = if epoch == last.0 { last.1 + 1 } else { 1 };
        assert_eq!(seq, expect, "in epoch {epoch}");
        last = (epoch, seq);
    }
}

#[tokio::test]
async fn a_full_spool_drops_the_oldest_and_tells_every_number_and_keeps_to_its_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    let intake = spool.intake("m");
    for count in 1..=16_000 {
        assert!(intake.frame(a_frame(count, 2000)));
        if count % 100 == 0 {
            eventually("taken", || {
                spool.backlog().entries + dropped(&spool, "spool_full") >= count
            });
            let bytes = disk_bytes(folder.path());
            assert!(bytes <= SPOOL_BYTES_MIN + 64 * 1024, "{bytes} with {count}");
        }
    }
    settled(&spool);
    let entries = drain(&mut reader).await;
    all_explained(&entries);
    let gaps: Vec<_> = entries.iter().filter_map(told).collect();
    assert!(!gaps.is_empty() && gaps.iter().all(|told| told.4 == "spool_full"));
    let oldest = entries.iter().map(|entry| entry.seq).min().expect("some");
    assert!(oldest > 1000, "the oldest went: {oldest}");
    assert_eq!(spool.backlog().entries, entries.len() as u64);
}

fn dropped(spool: &Spool, cause: &str) -> u64 {
    spool.counts().dropped.get(cause).copied().unwrap_or(0)
}

#[tokio::test]
async fn what_is_older_than_the_settings_allow_is_dropped_and_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings {
        max_age: Some(Duration::from_secs(3600)),
        ..settings(folder.path())
    };
    let (spool, mut reader) = Spool::open(&settings).expect("opens");
    let intake = spool.intake("m");
    let now_ns = unix_ns(SystemTime::now());
    for count in 1..=10 {
        assert!(intake.record(a_record("a", now_ns - 4_000_000_000_000 + count, "{}")));
    }
    eventually("dropped", || dropped(&spool, "spool_age") == 10);
    assert!(intake.record(a_record("a", now_ns, "{}")));
    settled(&spool);
    let entries = drain(&mut reader).await;
    all_explained(&entries);
    assert!(
        entries
            .iter()
            .filter_map(told)
            .all(|told| told.4 == "spool_age")
    );
    assert!(entries.iter().any(|entry| &*entry.record == "a"));
}

#[tokio::test]
async fn what_an_intake_had_no_room_for_is_told_without_numbers() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    let intake = spool.intake("m");
    let mut refused = 0;
    let mut count = 0;
    while refused < 100 {
        count += 1;
        refused += u64::from(!intake.record(a_record("a", wall(count), "{}")));
        assert!(count < 10_000_000, "the spool kept up with everything");
    }
    eventually("counted", || dropped(&spool, "intake_full") == refused);
    eventually("told", || spool.counts().taken > count - refused);
    settled(&spool);
    std::thread::sleep(crate::config::limits::GAP_EVERY);
    assert!(intake.record(a_record("a", wall(count + 1), "{}")));
    settled(&spool);
    let entries = drain(&mut reader).await;
    all_explained(&entries);
    let told: Vec<_> = entries.iter().filter_map(told).collect();
    assert!(
        told.iter()
            .all(|told| told.4 == "intake_full" && told.1 == 0),
        "{told:?}"
    );
    assert_eq!(told.iter().map(|told| told.3).sum::<u64>(), refused);
}

#[tokio::test]
async fn what_is_refused_is_told_once_and_its_gap_is_not_told_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    let intake = spool.intake("m");
    give(&spool, &intake, 1..=3);
    let mut batches = Vec::new();
    for _ in 0..3 {
        batches.push(reader.next(1, Duration::ZERO, Lanes::BOTH).await);
    }
    let epoch = batches[0].epoch();
    reader.refuse(&batches[1]);
    let gap = reader.next(1, Duration::ZERO, Lanes::BOTH).await;
    assert_eq!(
        told(&gap.entries[0]),
        Some((epoch, 2, 2, 1, "refused".to_owned()))
    );
    assert_eq!(reader.release("m", Stream::Records, epoch, 1, 3), 2);
    assert_eq!(spool.counts().released, 2);
    reader.refuse(&gap);
    eventually("gone", || spool.backlog().entries == 0);
    settled(&spool);
    assert_eq!(drain(&mut reader).await, []);
}

#[tokio::test]
async fn a_clock_that_steps_back_begins_an_epoch_that_is_durable_before_its_first_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let second = 1_000_000_000;
    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    let intake = spool.intake("m");
    for at in [10, 9, 8] {
        assert!(intake.record(a_record("a", wall(0) + at * second, "{}")));
        settled(&spool);
    }
    let entries = drain(&mut reader).await;
    let epoch = entries[0].epoch;
    assert_eq!(names(&entries), [(epoch, 1), (epoch, 2), (epoch + 1, 1)]);
    assert_eq!(entries[1].t_unix_ns, wall(0) + 10 * second + 1);
    assert_eq!(entries[2].t_unix_ns, wall(0) + 8 * second);
    let headers =
        tail::FILES.map(|name| tail::look(&folder.path().join(name)).expect("ours").epoch);
    assert_eq!(headers, [epoch + 1; 2]);
    drop((spool, reader));
    let (_spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    assert_eq!(names(&drain(&mut reader).await), names(&entries));
}

#[tokio::test]
async fn epochs_go_up_also_when_the_clock_was_in_the_future() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Spool::open(&settings(folder.path())).expect("opens"));
    let (tail, _) =
        tail::Tail::open(folder.path(), crate::config::limits::TAIL_BYTES_MIN).expect("opens");
    let future = 4_000_000_000;
    tail.store_epoch(future).expect("stored");
    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    give(&spool, &spool.intake("m"), 1..=1);
    assert_eq!(names(&drain(&mut reader).await), [(future + 1, 1)]);
}

#[tokio::test]
async fn charts_see_what_is_in_memory_and_on_disk_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    let intake = spool.intake("m");
    for count in 1..=2000 {
        let name = if count % 2 == 0 { "even" } else { "odd" };
        assert!(intake.record(a_record(name, wall(count), "{}")));
        if count % 100 == 0 {
            settled(&spool);
            let found = spool
                .history("m", "even", (wall(1), wall(count)), Bounds::NONE)
                .expect("readable");
            assert!(!found.more);
            let times: Vec<i64> = found.entries.iter().map(|entry| entry.t_unix_ns).collect();
            assert_eq!(times, (2..=count).step_by(2).map(wall).collect::<Vec<_>>());
        }
    }
    for batch in drain(&mut reader)
        .await
        .chunk_by(|one, two| one.epoch == two.epoch)
    {
        let (first, last) = (&batch[0], &batch[batch.len() - 1]);
        reader.release("m", Stream::Records, first.epoch, first.seq, last.seq);
    }
    assert_eq!(spool.backlog().entries, 0);
    let three = Bounds {
        entries: 3,
        ..Bounds::NONE
    };
    let newest = spool
        .history("m", "odd", (wall(1), wall(2000)), three)
        .expect("readable");
    assert_eq!((newest.more, newest.reached_unix_ns), (true, wall(1995)));
    let times: Vec<i64> = newest.entries.iter().map(|entry| entry.t_unix_ns).collect();
    assert_eq!(
        times,
        [1995, 1997, 1999].map(wall),
        "what was released is history"
    );
    for (machine, times) in [("m", (wall(5), wall(4))), ("n", (0, i64::MAX))] {
        let found = spool
            .history(machine, "even", times, Bounds::NONE)
            .expect("readable");
        assert_eq!((found.entries.len(), found.more), (0, false), "{machine}");
    }
    // A record that isn't there is looked for in so many blocks and no more.
    let one_block = Bounds {
        blocks: 1,
        ..Bounds::NONE
    };
    let found = spool
        .history("m", "never", (wall(1), wall(2000)), one_block)
        .expect("readable");
    assert!(found.more && found.entries.is_empty());
    assert!((wall(2)..wall(2000)).contains(&found.reached_unix_ns));
}

#[tokio::test]
async fn live_entries_do_not_wait_behind_a_backlog() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    let intake = spool.intake("m");
    give(&spool, &intake, 1..=20_000);
    reader.rewind();
    let mut live_seen = 0;
    for count in 20_001..=20_020 {
        give(&spool, &intake, count..=count);
        let batch = reader.next(4096, Duration::ZERO, Lanes::BOTH).await;
        assert_eq!((batch.lane, batch.first()), (Lane::Live, count));
        live_seen += batch.entries.len();
        let batch = reader.next(4096, Duration::ZERO, Lanes::BOTH).await;
        assert_eq!(batch.lane, Lane::Backlog);
    }
    assert_eq!(live_seen, 20);
    let only_live = Lanes {
        live: true,
        backlog: false,
    };
    let next = tokio::time::timeout(
        Duration::from_millis(50),
        reader.next(4096, Duration::ZERO, only_live),
    );
    assert!(next.await.is_err(), "the backlog was left out");
}

#[tokio::test]
async fn a_next_that_is_given_up_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, reader) = Spool::open(&settings(folder.path())).expect("opens");
    give(&spool, &spool.intake("m"), 1..=5000);
    drop((spool, reader));
    let (_spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    let mut entries = Vec::new();
    let mut given_up = 0;
    while entries.len() < 5000 {
        let next = reader.next(2048, Duration::ZERO, Lanes::BOTH);
        tokio::select! {
            biased;
            batch = next => entries.extend(batch.entries),
            () = tokio::task::yield_now() => given_up += 1,
        }
    }
    assert!(given_up > 0);
    let seqs: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(seqs, (1..=5000).collect::<Vec<_>>());
}

#[test]
fn a_spool_is_one_process_s_and_the_other_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, reader) = Spool::open(&settings(folder.path())).expect("opens");
    let said = Spool::open(&settings(folder.path()))
        .expect_err("in use")
        .to_string();
    assert!(
        said.contains("in use") && said.contains(&std::process::id().to_string()),
        "{said}"
    );
    drop((spool, reader));
    Spool::open(&settings(folder.path())).expect("free again");
}

#[tokio::test]
async fn a_damaged_database_is_put_aside_and_what_the_tail_has_goes_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let slow = Settings {
        sync_every: Duration::from_secs(60),
        ..settings(folder.path())
    };
    let (spool, reader) = Spool::open(&slow).expect("opens");
    give(&spool, &spool.intake("m"), 1..=50);
    drop((spool, reader));
    let path = folder.path().join(store::FILE);
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes[1024..].fill(0xA5);
    std::fs::write(&path, &bytes).expect("written");
    std::fs::remove_file(path.with_extension("db-wal")).ok();

    let (spool, mut reader) = Spool::open(&slow).expect("opens");
    give(&spool, &spool.intake("m"), 51..=51);
    let mut entries = drain(&mut reader).await;
    entries.sort_by_key(|entry| (entry.epoch, entry.seq));
    let counts = |entry: &Entry| value(entry)["fields"]["count"].as_u64();
    assert_eq!(
        entries.iter().filter_map(counts).collect::<Vec<_>>(),
        (1..=51).collect::<Vec<_>>()
    );
    let records = entries
        .iter()
        .filter(|entry| entry.stream == Stream::Records);
    let told: Vec<_> = records.filter_map(told).map(|told| told.4).collect();
    assert_eq!(told, ["damaged", "restart"]);
    let aside = std::fs::read_dir(folder.path())
        .expect("readable")
        .filter_map(|file| {
            let name = file
                .expect("there")
                .file_name()
                .into_string()
                .expect("ASCII");
            name.starts_with("spool.db.damaged-").then_some(name)
        });
    let aside: Vec<String> = aside.collect();
    assert_eq!(aside.len(), 1);
    assert_eq!(
        std::fs::read(folder.path().join(&aside[0])).expect("readable"),
        bytes,
        "as it was"
    );
}

#[tokio::test]
async fn a_block_that_cannot_be_read_costs_itself_and_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (spool, reader) = Spool::open(&settings(folder.path())).expect("opens");
    let intake = spool.intake("m");
    for round in 0..3 {
        give(&spool, &intake, 1 + 10 * round..=10 * (round + 1));
        std::thread::sleep(3 * SYNC_EVERY_MIN);
    }
    spool.close().expect("closes");
    drop((spool, reader));
    let db = rusqlite::Connection::open(folder.path().join(store::FILE)).expect("opens");
    let changed =
        "UPDATE blocks SET data = zeroblob(length(data)) WHERE first <= 15 AND last >= 15";
    assert_eq!(db.execute(changed, []).expect("changed"), 1);
    drop(db);
    let wrong = Look::open(folder.path()).expect("opens").verify(|_, _| {});
    assert_eq!(wrong.len(), 1, "{wrong:?}");

    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    let mut entries = drain(&mut reader).await;
    entries.sort_by_key(|entry| (entry.epoch, entry.seq));
    let told: Vec<_> = entries.iter().filter_map(told).collect();
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].3, &*told[0].4), (10, "damaged"));
    assert_eq!(dropped(&spool, "damaged"), 10);
    assert_eq!(entries.len(), 21);
}

#[tokio::test]
async fn a_look_from_outside_sees_what_is_stored_and_what_the_tail_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let slow = Settings {
        sync_every: Duration::from_secs(60),
        ..settings(folder.path())
    };
    let (spool, mut reader) = Spool::open(&settings(folder.path())).expect("opens");
    give(&spool, &spool.intake("m"), 1..=100);
    let entries = drain(&mut reader).await;
    assert_eq!(
        reader.release("m", Stream::Records, entries[0].epoch, 1, 60),
        60
    );
    spool.close().expect("closes");
    drop((spool, reader));
    let (spool, _reader) = Spool::open(&slow).expect("opens");
    give(&spool, &spool.intake("n"), 1..=5);

    let look = Look::open(folder.path()).expect("opens");
    let held = look.held();
    assert_eq!(
        (held.unreleased, held.clean, held.parts.len()),
        (45, false, 2)
    );
    assert_eq!(
        held.oldest_unreleased_unix_ns,
        Some(entries[0].t_unix_ns),
        "that of its block"
    );
    let m = &held.parts[0];
    assert_eq!(
        (&*m.machine, m.first, m.last, m.entries, m.unreleased),
        ("m", 1, 100, 100, 40)
    );
    assert!(held.disk_bytes <= held.max_bytes);
    let count = |filter: &Filter| {
        let mut seqs = Vec::new();
        let each = |entry: &Entry| -> Result<(), ()> {
            seqs.push((entry.machine.to_string(), entry.seq));
            Ok(())
        };
        look.entries(filter, each, |error| panic!("{error}"))
            .expect("no end");
        seqs
    };
    assert_eq!(count(&Filter::default()).len(), 105);
    let filter = Filter {
        unreleased: true,
        machine: Some("m".to_owned()),
        ..Filter::default()
    };
    let seqs: Vec<u64> = count(&filter).into_iter().map(|(_, seq)| seq).collect();
    assert_eq!(seqs, (61..=100).collect::<Vec<_>>());
    let filter = Filter {
        since_unix_ns: Some(wall(99)),
        ..Filter::default()
    };
    assert_eq!(count(&filter).len(), 2);
    assert_eq!(
        count(&Filter {
            stream: Some(Stream::Frames),
            ..Filter::default()
        }),
        []
    );
    assert_eq!(
        count(&Filter {
            record: Some("b".to_owned()),
            ..Filter::default()
        }),
        []
    );
    assert_eq!(look.verify(|_, _| {}), Vec::<String>::new());
}

#[derive(Debug, Clone)]
enum Step {
    Take(u64),
    Read { bytes: usize, live: bool },
    Release(usize),
    Refuse,
    Rewind,
    Sync,
    Crash,
    Stop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (1..200_u64).prop_map(Step::Take),
        6 => (1..20_000_usize, any::<bool>()).prop_map(|(bytes, live)| Step::Read { bytes, live }),
        4 => any::<usize>().prop_map(Step::Release),
        1 => Just(Step::Refuse),
        1 => Just(Step::Rewind),
        1 => Just(Step::Sync),
        1 => Just(Step::Crash),
        1 => Just(Step::Stop),
    ]
}

/// What the spool should hold, as a plain set.
#[derive(Default)]
struct Model {
    /// Every entry that was ever read, by name.
    seen: BTreeMap<(u64, u64), Entry>,
    released: BTreeSet<(u64, u64)>,
    refused: BTreeSet<(u64, u64)>,
    /// Read since the last rewind or opening.
    sent: BTreeSet<(u64, u64)>,
    /// The last name of each lane in this session.
    last: [(u64, u64); 2],
    /// Releases that a crash would forget, and those that one may have forgotten.
    unsure: BTreeSet<(u64, u64)>,
    forgotten: BTreeSet<(u64, u64)>,
    in_flight: Vec<Batch>,
    taken: u64,
}

impl Model {
    fn new_session(&mut self) {
        self.sent.clear();
        self.in_flight.clear();
        self.last = [(0, 0); 2];
    }

    fn read(&mut self, batch: Batch) {
        let lane = usize::from(batch.lane == Lane::Backlog);
        for entry in &batch.entries {
            let name = (entry.epoch, entry.seq);
            assert!(
                self.last[lane] < name,
                "{name:?} after {:?}",
                self.last[lane]
            );
            self.last[lane] = name;
            assert!(self.sent.insert(name), "{name:?} was sent already");
            assert!(!self.refused.contains(&name));
            assert!(
                !self.released.contains(&name) || self.forgotten.remove(&name),
                "{name:?} was released"
            );
            self.released.remove(&name);
            let first = self.seen.entry(name).or_insert_with(|| entry.clone());
            assert_eq!(first, entry, "other bytes");
        }
        self.in_flight.push(batch);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens: every number arrives or is told, nothing that was not released is gone, and
    /// nothing that was released comes again unless the process was killed right after.
    #[test]
    fn every_number_arrives_or_is_told(steps in proptest::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let open = || {
            let (spool, reader) = Spool::open(&settings(folder.path())).expect("opens");
            let intake = spool.intake("m");
            (spool, reader, intake)
        };
        let mut model = Model::default();
        let (mut spool, mut reader, mut intake) = open();
        for step in steps {
            match step {
                Step::Take(count) => {
                    give(&spool, &intake, model.taken + 1..=model.taken + count);
                    model.taken += count;
                }
                Step::Read { bytes, live } => {
                    let lanes = Lanes { live, backlog: true };
                    let next = async {
                        let next = reader.next(bytes, Duration::ZERO, lanes);
                        tokio::time::timeout(Duration::from_millis(30), next).await
                    };
                    if let Ok(batch) = runtime.block_on(next) {
                        model.read(batch);
                    }
                }
                Step::Release(index) if !model.in_flight.is_empty() => {
                    let batch = model.in_flight.swap_remove(index % model.in_flight.len());
                    let new = reader.release("m", Stream::Records, batch.epoch(), batch.first(), batch.last());
                    prop_assert_eq!(new, batch.entries.len() as u64);
                    let released = names(&batch.entries);
                    model.released.extend(released.iter().copied());
                    model.unsure.extend(released);
                }
                Step::Refuse => {
                    if let Some(batch) = model.in_flight.pop() {
                        reader.refuse(&batch);
                        settled(&spool);
                        model.refused.extend(names(&batch.entries));
                    }
                }
                Step::Release(_) => {}
                Step::Rewind => {
                    reader.rewind();
                    model.new_session();
                }
                Step::Sync => std::thread::sleep(2 * SYNC_EVERY_MIN),
                Step::Crash => {
                    model.forgotten.append(&mut model.unsure);
                    drop((spool, reader, intake));
                    (spool, reader, intake) = open();
                    model.new_session();
                }
                Step::Stop => {
                    spool.close().expect("closes");
                    model.unsure.clear();
                    drop((spool, reader, intake));
                    (spool, reader, intake) = open();
                    model.new_session();
                }
            }
        }
        settled(&spool);
        reader.rewind();
        model.new_session();
        let left = spool.backlog().entries;
        let rest = runtime.block_on(drain(&mut reader));
        prop_assert_eq!(rest.len() as u64, left);
        let names_left: BTreeSet<(u64, u64)> = names(&rest).into_iter().collect();
        for entry in rest {
            model.seen.entry((entry.epoch, entry.seq)).or_insert(entry);
        }
        // Every count that was given is among what was seen or refused, and once.
        let counts: Vec<u64> = model.seen.values()
            .filter(|entry| &*entry.record == "a")
            .filter_map(|entry| value(entry)["fields"]["count"].as_u64())
            .collect();
        let distinct: BTreeSet<u64> = counts.iter().copied().collect();
        prop_assert_eq!(counts.len(), distinct.len());
        prop_assert_eq!(distinct, (1..=model.taken).collect::<BTreeSet<_>>());
        // What was seen is released, refused, or still there.
        let mut told_gone = BTreeSet::new();
        for entry in model.seen.values() {
            if let Some((epoch, first, last, count, reason)) = told(entry)
                && first > 0
            {
                prop_assert_eq!((count, &*reason), (last - first + 1, "refused"));
                told_gone.extend((first..=last).map(|seq| (epoch, seq)));
            }
        }
        for (name, entry) in &model.seen {
            let at = [
                model.released.contains(name) && !names_left.contains(name),
                model.refused.contains(name),
                names_left.contains(name),
            ];
            prop_assert_eq!(at.iter().filter(|is| **is).count(), 1, "{:?} {:?}", name, at);
            if model.refused.contains(name) && &*entry.record == "a" {
                prop_assert!(told_gone.contains(name), "{:?} was refused and isn't told", name);
            }
        }
        prop_assert!(told_gone.iter().all(|name| model.refused.contains(name)));
    }
}
