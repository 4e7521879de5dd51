use super::*;
use crate::spool::past::Bounds;
use crate::spool::ranges::Span;

const ROOMY: Limits = Limits {
    bytes_max: 64 << 20,
    spare_bytes: 1 << 20,
};

fn open(folder: &Path, limits: Limits) -> (Store, Meta) {
    Store::open(folder, limits).expect("opens")
}

fn an_entry(stream: Stream, epoch: u64, seq: u64, bytes: usize) -> Entry {
    // Text that doesn't compress: every byte counts.
    let mut state = seq.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let noise: String = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).expect("small"))
    })
    .take(bytes)
    .collect();
    Entry {
        machine: "m".into(),
        stream,
        record: if seq.is_multiple_of(2) {
            "pose"
        } else {
            "distance"
        }
        .into(),
        epoch,
        seq,
        line_ns: seq,
        t_unix_ns: 1000 * seq.cast_signed(),
        json: noise.into(),
    }
}

fn job(entries: Vec<Entry>, unreleased: &[(u64, u64)], next_generation: u64) -> Job {
    let mut ranges = Ranges::default();
    for &(first, last) in unreleased {
        ranges.insert(Span {
            epoch: 5,
            first,
            last,
        });
    }
    Job {
        next_generation,
        epoch: 5,
        opened_epoch: 5,
        clean: false,
        max_bytes: 1 << 30,
        streams: vec![StreamState {
            machine: "m".into(),
            stream: Stream::Records,
            newest_epoch: 5,
            newest_ns: 0,
            restart_ns: None,
            unreleased: ranges,
        }],
        sent: vec![Ranges::default()],
        entries,
        keep_since_ns: None,
    }
}

fn records(seqs: std::ops::RangeInclusive<u64>, bytes: usize) -> Vec<Entry> {
    seqs.map(|seq| an_entry(Stream::Records, 5, seq, bytes))
        .collect()
}

fn held(folder: &Path) -> Vec<Entry> {
    let view = View::open(folder).expect("opens");
    let places = view.places().expect("readable");
    places
        .iter()
        .flat_map(|place| view.entries(place).expect("whole"))
        .collect()
}

#[test]
fn what_is_stored_is_found_by_name_and_by_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, meta) = open(folder.path(), ROOMY);
    assert_eq!(
        (meta.generation, meta.clean, meta.streams.len()),
        (0, true, 0)
    );
    let entries = records(1..=2000, 300);
    store
        .commit(&job(entries[..1000].to_vec(), &[(1, 1000)], 2))
        .expect("stored");
    store
        .commit(&job(entries[1000..].to_vec(), &[(500, 2000)], 3))
        .expect("stored");
    let view = View::open(folder.path()).expect("opens");
    for seq in [1, 999, 1000, 1001, 2000] {
        let place = view
            .place(&"m".into(), Stream::Records, (5, seq))
            .expect("readable")
            .expect("there");
        let found = view.entries(&place).expect("whole");
        assert!(found.contains(&entries[usize::try_from(seq).expect("small") - 1]));
        let bytes: usize = found.iter().map(|entry| entry.json.len()).sum();
        assert!(bytes <= BLOCK_BYTES_MAX + 300);
    }
    for (name, next) in [((5, 2001), None), ((4, 1), None), ((5, 0), Some(1))] {
        let found = view
            .place(&"m".into(), Stream::Records, name)
            .expect("readable");
        assert_eq!(found.expect_err("not there"), next);
    }
    let found = view
        .history(&"m".into(), "pose", (10_000, 20_000), Bounds::NONE)
        .expect("readable");
    let expect: Vec<u64> = (10..=20).step_by(2).collect();
    assert_eq!(
        found
            .entries
            .iter()
            .map(|entry| entry.seq)
            .collect::<Vec<_>>(),
        expect
    );
    let two = Bounds {
        entries: 2,
        ..Bounds::NONE
    };
    let newest = view
        .history(&"m".into(), "pose", (0, i64::MAX), two)
        .expect("readable");
    assert_eq!(
        newest
            .entries
            .iter()
            .map(|entry| entry.seq)
            .collect::<Vec<_>>(),
        [1998, 2000]
    );
    assert!(
        view.history(&"nobody".into(), "pose", (0, i64::MAX), two)
            .expect("readable")
            .entries
            .is_empty()
    );

    drop(store);
    let (_, meta) = open(folder.path(), ROOMY);
    assert_eq!((meta.generation, meta.epoch, meta.clean), (3, 5, false));
    assert_eq!(meta.streams[0].unreleased.count(), 1501);
}

#[test]
fn what_was_released_goes_first_and_the_oldest_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits {
        bytes_max: 3 << 20,
        spare_bytes: 1 << 20,
    };
    let (mut store, _) = open(folder.path(), limits);
    // The first thousand is unreleased, what comes behind it isn't.
    for round in 0..10 {
        let seqs = 1 + 1000 * round..=1000 * (round + 1);
        let stored = store
            .commit(&job(records(seqs, 500), &[(1, 1000)], round + 2))
            .expect("stored");
        assert!(
            stored.victims.is_empty(),
            "there was released history enough"
        );
        let bytes = std::fs::metadata(folder.path().join(FILE))
            .expect("there")
            .len();
        assert!(bytes <= limits.bytes_max, "{bytes}");
    }
    let held: Vec<u64> = held(folder.path()).iter().map(|entry| entry.seq).collect();
    assert!(held.starts_with(&(1..=1000).collect::<Vec<_>>()));
    assert_eq!(held.last(), Some(&10_000));
    let later = &held[1000..];
    assert!(later.len() < 9000 && later.windows(2).all(|pair| pair[0] + 1 == pair[1]));
}

#[test]
fn when_nobody_takes_anything_the_oldest_are_named_and_nothing_is_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits {
        bytes_max: 3 << 20,
        spare_bytes: 1 << 20,
    };
    let (mut store, _) = open(folder.path(), limits);
    let mut victims = Vec::new();
    let mut last = 0;
    while victims.is_empty() {
        let seqs = last + 1..=last + 500;
        last += 500;
        let stored = store
            .commit(&job(records(seqs, 500), &[(1, last)], last))
            .expect("stored");
        victims = stored.victims;
        assert!(last < 100_000);
    }
    assert_eq!(victims[0].block.span.first, 1);
    assert_eq!(victims[0].cause, super::super::DropCause::SpoolFull);
    assert!(!victims[0].even_sent);
    let contiguous = victims
        .windows(2)
        .all(|pair| pair[0].block.span.last + 1 == pair[1].block.span.first);
    assert!(contiguous);
    assert_eq!(held(folder.path()).len() as u64, last);
    let dropped = victims.last().expect("some").block.span.last;
    store
        .commit(&job(Vec::new(), &[(dropped + 1, last)], last))
        .expect("stored");
    let first = held(folder.path())[0].seq;
    assert!(first > 1 && first <= dropped + 1, "{first}");
}

#[test]
fn what_is_too_old_goes_and_is_named_where_it_is_unreleased() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, _) = open(folder.path(), ROOMY);
    for round in 0..5 {
        let seqs = 1 + 100 * round..=100 * (round + 1);
        store
            .commit(&job(records(seqs, 50), &[(101, 1000)], round + 2))
            .expect("stored");
    }
    let old = Job {
        keep_since_ns: Some(250_000),
        ..job(Vec::new(), &[(101, 1000)], 7)
    };
    let stored = store.commit(&old).expect("stored");
    let named: Vec<_> = stored
        .victims
        .iter()
        .map(|victim| (victim.cause.name(), victim.block.span.first))
        .collect();
    assert_eq!(named, [("spool_age", 101)]);
    assert_eq!(
        held(folder.path())[0].seq,
        101,
        "what was released and too old is gone"
    );
}

#[test]
fn foreign_newer_and_damaged_databases_are_told_apart() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(FILE);
    let refused = || {
        Store::open(folder.path(), ROOMY)
            .map(|_| ())
            .expect_err("refused")
    };

    std::fs::write(&path, b"dear diary, ".repeat(1000)).expect("written");
    assert!(matches!(refused(), OpenError::Foreign { .. }));
    std::fs::remove_file(&path).expect("removed");

    let other = Connection::open(&path).expect("made");
    other
        .execute_batch("CREATE TABLE x (y); PRAGMA user_version = 3")
        .expect("made");
    drop(other);
    assert!(matches!(refused(), OpenError::Foreign { .. }));
    std::fs::remove_file(&path).expect("removed");

    drop(open(folder.path(), ROOMY));
    let ours = Connection::open(&path).expect("opens");
    ours.execute_batch("PRAGMA user_version = 7")
        .expect("changed");
    drop(ours);
    let error = refused();
    assert!(
        matches!(
            error,
            OpenError::Newer {
                version: 7,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    std::fs::remove_file(&path).expect("removed");

    let (mut store, _) = open(folder.path(), ROOMY);
    store
        .commit(&job(records(1..=5000, 300), &[], 2))
        .expect("stored");
    drop(store);
    let mut bytes = std::fs::read(&path).expect("readable");
    for byte in &mut bytes[1024..48 * 1024] {
        *byte = 0xA5;
    }
    std::fs::write(&path, bytes).expect("written");
    let error = refused();
    assert!(
        matches!(
            error,
            OpenError::Store {
                source: StoreError::Damaged(_),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn a_block_with_another_byte_is_damaged_and_says_which() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut store, _) = open(folder.path(), ROOMY);
    store
        .commit(&job(records(1..=10, 300), &[], 2))
        .expect("stored");
    let data: Vec<u8> = store
        .db
        .query_row("SELECT data FROM blocks", [], |row| row.get(0))
        .expect("one");
    let view = View::open(folder.path()).expect("opens");
    for at in (0..data.len()).step_by(7) {
        let mut other = data.clone();
        other[at] ^= 0x10;
        store
            .db
            .execute("UPDATE blocks SET data = ?1", [other])
            .expect("changed");
        let place = &view.places().expect("readable")[0];
        let error = view.entries(place).expect_err("damaged").to_string();
        assert!(error.contains("epoch 5, 1 to 10"), "{error}");
    }
}
