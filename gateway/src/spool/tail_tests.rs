use super::*;
use crate::words::Stream;

const FILE_BYTES: u64 = 64 * 1024;

fn an_entry(seq: u64) -> Entry {
    Entry {
        machine: "m".into(),
        stream: Stream::Records,
        record: "pose".into(),
        epoch: 7,
        seq,
        line_ns: 3,
        t_unix_ns: 5,
        json: format!(r#"{{"seq":{seq}}}"#).into(),
    }
}

fn fill(tail: &mut Tail, seqs: std::ops::RangeInclusive<u64>) -> Vec<Entry> {
    let entries: Vec<Entry> = seqs.map(an_entry).collect();
    let mut records = Vec::new();
    for entry in &entries {
        tail.put(&mut records, entry);
    }
    tail.write(&records).expect("written");
    entries
}

#[test]
fn what_was_written_is_found_and_older_generations_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut tail, found) = Tail::open(folder.path(), FILE_BYTES).expect("opens");
    assert!(found.iter().all(|found| found.entries.is_empty()));
    tail.store_epoch(12).expect("stored");
    tail.rotate(1);
    fill(&mut tail, 1..=100);
    tail.rotate(2);
    let second = fill(&mut tail, 101..=103);
    tail.rotate(3);
    let mut third = fill(&mut tail, 104..=105);
    third.extend(fill(&mut tail, 106..=106));
    drop(tail);

    let (_, found) = Tail::open(folder.path(), FILE_BYTES).expect("opens");
    let mut found: Vec<_> = found.into();
    found.sort_by_key(|found| found.generation);
    assert_eq!((found[0].generation, &found[0].entries), (2, &second));
    assert_eq!((found[1].generation, &found[1].entries), (3, &third));
    assert!(found.iter().all(|found| found.epoch == 12));
}

#[test]
fn a_file_that_is_torn_anywhere_gives_all_whole_records_before_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let (mut tail, _) = Tail::open(folder.path(), FILE_BYTES).expect("opens");
    tail.store_epoch(1).expect("stored");
    tail.rotate(1);
    fill(&mut tail, 1..=9);
    tail.rotate(2);
    tail.rotate(3);
    let mut ends = Vec::new();
    let mut entries = Vec::new();
    for seq in 21..=24 {
        entries.extend(fill(&mut tail, seq..=seq));
        ends.push(tail.filled());
    }
    let path = folder.path().join(FILES[1]);
    let whole = std::fs::read(&path).expect("readable");
    let end = usize::try_from(HEADER_BYTES + tail.filled()).expect("small");
    for at in HEADER_BYTES as usize..end {
        let relative = (at - HEADER_BYTES as usize) as u64;
        let before = ends.iter().filter(|end| **end <= relative).count();
        // Cut there, and another byte there: each with what an older generation left behind.
        let mut other = whole.clone();
        other[at] ^= 0x40;
        for bytes in [&whole[..at], &other] {
            let found = found(bytes).expect("ours");
            if before > 0 {
                assert_eq!(found.generation, 3);
                assert_eq!(found.entries, entries[..before], "at {at}");
            } else {
                // The first record is gone: whatever is found is not taken for it.
                assert!(found.entries.iter().all(|entry| !entries.contains(entry)));
            }
        }
    }
}

#[test]
fn foreign_and_newer_files_are_refused_untouched() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(FILES[0]);
    let newer = {
        let mut header = header(5).to_vec();
        header[6] = 9;
        header.resize(HEADER_BYTES as usize, 0);
        header
    };
    let text = b"dear diary, ".repeat(1000);
    for (bytes, what) in [
        (&text[..], "was not made by"),
        (&newer, "newer"),
        (b"short", "was not made by"),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let error = Tail::open(folder.path(), FILE_BYTES)
            .expect_err("refused")
            .to_string();
        assert!(error.contains(what) && error.contains("tail-a"), "{error}");
        assert_eq!(std::fs::read(&path).expect("readable"), bytes);
    }
    std::fs::write(&path, [0; 5000]).expect("written");
    Tail::open(folder.path(), FILE_BYTES).expect("a file that was only allocated is nobody's");
}

#[test]
fn an_epoch_whose_header_is_torn_is_in_the_other_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (tail, _) = Tail::open(folder.path(), FILE_BYTES).expect("opens");
    tail.store_epoch(12).expect("stored");
    let path = folder.path().join(FILES[0]);
    let mut bytes = std::fs::read(&path).expect("readable");
    bytes[12] ^= 1;
    std::fs::write(&path, bytes).expect("written");
    let (_, found) = Tail::open(folder.path(), FILE_BYTES).expect("opens");
    assert_eq!(found.map(|found| found.epoch), [0, 12]);
}

#[test]
fn the_files_have_their_space_from_the_beginning() {
    use std::os::unix::fs::MetadataExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    Tail::open(folder.path(), FILE_BYTES).expect("opens");
    for name in FILES {
        let metadata = std::fs::metadata(folder.path().join(name)).expect("there");
        assert_eq!(metadata.len(), FILE_BYTES);
        assert!(metadata.blocks() * 512 >= FILE_BYTES);
    }
}
