//! The spool against what happens to disks and processes: killed at any moment, and a disk without
//! room. Only what everybody may call is used.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use retrotap::config::limits;
use retrotap::spool::look::{Filter, Look};
use retrotap::spool::{Health, Intake, Lanes, Reader, Settings, Spool};
use retrotap::words::{ClockState, Entry, RawFrame, Record, Stamp, Stream};

fn settings(folder: &Path, max_bytes: u64) -> Settings {
    Settings {
        site: "aachen".into(),
        gateway: "cell-3".into(),
        path: folder.to_owned(),
        max_bytes,
        max_age: None,
        sync_every: limits::SYNC_EVERY_MIN,
    }
}

fn stamp(count: u64) -> Stamp {
    Stamp {
        line_ns: count,
        wall_ns: 1_790_000_000_000_000_000 + i64::try_from(count).expect("small") * 1_000_000,
    }
}

fn give(intake: &Intake, count: u64, bytes: usize) -> bool {
    let record = Record {
        name: "pose".into(),
        module: "arm-distance@1.0.0".into(),
        at: stamp(count),
        clock: ClockState::Synced,
        frame: count,
        fields: format!(r#"{{"count":{count}}}"#),
    };
    let frame = RawFrame {
        at: stamp(count),
        clock: ClockState::Synced,
        number: count,
        port: 0,
        // Hardly to be compressed.
        bytes: (0..bytes as u64)
            .map(|index| {
                (count.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (index * index)).to_le_bytes()[2]
            })
            .collect(),
        errors: vec![],
    };
    intake.record(record) && intake.frame(frame)
}

type Name = (String, String, u64, u64);

fn name(entry: &Entry) -> Name {
    (
        entry.machine.to_string(),
        entry.stream.name().to_owned(),
        entry.epoch,
        entry.seq,
    )
}

/// Everything that the reader gives within a while.
async fn drain(reader: &mut Reader) -> Vec<Entry> {
    let mut entries = Vec::new();
    loop {
        let next = reader.next(64 * 1024, Duration::ZERO, Lanes::BOTH);
        match tokio::time::timeout(Duration::from_millis(500), next).await {
            Ok(batch) => entries.extend(batch.entries),
            Err(_) => return entries,
        }
    }
}

/// Numbers go on without a hole, or a gap tells of it, with the right count.
fn all_explained<'a>(entries: impl IntoIterator<Item = &'a Entry>) {
    let mut names: BTreeMap<(String, String, u64), BTreeSet<u64>> = BTreeMap::new();
    for entry in entries {
        let (machine, stream, epoch, seq) = name(entry);
        names
            .entry((machine.clone(), stream.clone(), epoch))
            .or_default()
            .insert(seq);
        let value: serde_json::Value = serde_json::from_str(&entry.json).expect("JSON");
        let number = |key: &str| value["fields"][key].as_u64();
        if let (Some(of_epoch), Some(first), Some(last)) =
            (number("of_epoch"), number("first"), number("last"))
        {
            assert_eq!(number("count"), Some(last - first + 1));
            let told = names.entry((machine, stream, of_epoch)).or_default();
            assert!(
                (first..=last).all(|seq| told.insert(seq)),
                "told, and there: {value}"
            );
        }
    }
    for (of, seqs) in names {
        assert!(
            seqs.iter().copied().eq(1..=seqs.len() as u64),
            "{of:?} has a hole"
        );
    }
}

/// Random numbers, the same for the same seed.
struct Lot(u64);

impl Lot {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

const CHILD: &str = "RETROTAP_TEST_SPOOL_CHILD";

/// Not a test by itself: the process that is killed. It says what it read, which is after it was
/// published, and what it releases, which is before it does.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(CHILD) else {
        return;
    };
    let (spool, mut reader) =
        Spool::open(&settings(Path::new(&folder), limits::SPOOL_BYTES_MIN)).expect("opens");
    for machine in ["robot-1", "robot-2"] {
        let intake = spool.intake(machine);
        std::thread::spawn(move || {
            for count in 1.. {
                give(&intake, count, 20);
                if count.is_multiple_of(8) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut out = std::io::stdout().lock();
    for round in 0_u64.. {
        let live = Lanes {
            live: true,
            backlog: round.is_multiple_of(8),
        };
        let batch = runtime.block_on(reader.next(4096, Duration::ZERO, live));
        let mut said = String::new();
        for entry in &batch.entries {
            let (machine, stream, epoch, seq) = name(entry);
            let sum = crc32fast::hash(entry.json.as_bytes());
            said += &format!("entry {machine} {stream} {epoch} {seq} {sum}\n");
        }
        let (epoch, first, last) = (batch.epoch(), batch.first(), batch.last());
        let release = round.is_multiple_of(3);
        if release {
            said += &format!(
                "release {} {} {epoch} {first} {last}\n",
                batch.machine,
                batch.stream.name()
            );
        }
        out.write_all(said.as_bytes()).expect("the parent reads");
        if release {
            reader.release(&batch.machine, batch.stream, epoch, first, last);
        }
    }
}

/// What the children said: checksums of entries, and what they may have released.
#[derive(Default)]
struct Said {
    entries: BTreeMap<Name, u32>,
    released: BTreeSet<Name>,
}

impl Said {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        // The line on which it was killed may be half of one.
        match (words.first(), number(3), number(4), number(5)) {
            (Some(&"entry"), Some(epoch), Some(seq), Some(sum)) => {
                let name = (words[1].to_owned(), words[2].to_owned(), epoch, seq);
                let sum = u32::try_from(sum).expect("a checksum");
                let before = self.entries.insert(name, sum);
                assert!(
                    before.is_none_or(|before| before == sum),
                    "other bytes: {line}"
                );
            }
            (Some(&"release"), Some(epoch), Some(first), Some(last)) => {
                let name = |seq| (words[1].to_owned(), words[2].to_owned(), epoch, seq);
                self.released.extend((first..=last).map(name));
            }
            _ => {}
        }
    }

    /// Everything that was said is on disk, and what wasn't released comes out again.
    fn check(&self, folder: &Path) {
        let mut held = BTreeMap::new();
        let look = Look::open(folder).expect("opens");
        let each = |entry: &Entry| -> Result<(), ()> {
            held.insert(name(entry), entry.clone());
            Ok(())
        };
        look.entries(&Filter::default(), each, |error| panic!("{error}"))
            .expect("no end");
        for (name, sum) in &self.entries {
            let entry = held.get(name).unwrap_or_else(|| panic!("{name:?} is lost"));
            assert_eq!(crc32fast::hash(entry.json.as_bytes()), *sum, "{name:?}");
        }
        all_explained(held.values());
        assert_eq!(look.verify(|_, _| {}), Vec::<String>::new());
    }
}

#[test]
fn killed_at_any_moment_it_has_everything_that_was_published() {
    const KILLS: u64 = 40;
    let folder = tempfile::tempdir().expect("a folder");
    let mut lot = Lot(2026);
    let mut said = Said::default();
    let mut slowest = Duration::ZERO;
    for kill in 1..=KILLS {
        let began = Instant::now();
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["child", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        while !line.starts_with("entry") {
            line.clear();
            assert!(
                lines.read_line(&mut line).expect("it says something") > 0,
                "it ended by itself"
            );
        }
        slowest = slowest.max(began.elapsed());
        said.line(line.trim_end());
        let pause = Duration::from_micros(lot.below(150_000));
        let reading =
            std::thread::spawn(move || lines.lines().map_while(Result::ok).collect::<Vec<_>>());
        std::thread::sleep(pause);
        child.kill().expect("it runs");
        child.wait().expect("it ends");
        let lines = reading.join().expect("read");
        lines.iter().for_each(|line| said.line(line));
        if kill.is_multiple_of(10) {
            said.check(folder.path());
        }
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let (_spool, mut reader) =
            Spool::open(&settings(folder.path(), limits::SPOOL_BYTES_MIN)).expect("opens");
        let again: BTreeMap<Name, Entry> = drain(&mut reader)
            .await
            .into_iter()
            .map(|entry| (name(&entry), entry))
            .collect();
        for (name, sum) in &said.entries {
            match again.get(name) {
                Some(entry) => assert_eq!(crc32fast::hash(entry.json.as_bytes()), *sum),
                None => assert!(
                    said.released.contains(name),
                    "{name:?} was released by nobody"
                ),
            }
        }
    });
    eprintln!(
        "{KILLS} kills, {} entries said, {} of them released, slowest start to first entry {slowest:?}",
        said.entries.len(),
        said.released.len()
    );
    assert!(said.entries.len() > 5000 && said.released.len() > 500);
}

/// A small disk in memory; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None: this user may not mount.
    fn mount(folder: &Path, size: &str) -> Option<Self> {
        let path = folder.join("disk");
        std::fs::create_dir(&path).expect("made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&path)
            .stderr(Stdio::null())
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Self(path))
    }

    /// Takes all the room there is, until the answer is dropped.
    fn fill(&self) -> Filler {
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).expect("made");
        for bytes in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; bytes]).is_ok() {}
        }
        Filler(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).expect("it was there");
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Waits until all that was handed over is taken.
fn settled(spool: &Spool) {
    let mut before = None;
    eventually("nothing is taken any more", || {
        let now = spool.counts().taken;
        let same = before.replace(now) == Some(now);
        std::thread::sleep(Duration::from_millis(5));
        same
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_the_line_runs_on_and_it_goes_back_by_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path(), "32m") else {
        eprintln!("skipped: mounting a small disk needs root");
        return;
    };
    let path = disk.0.join("spool");
    let (spool, mut reader) = Spool::open(&settings(&path, 64 << 20)).expect("opens");
    let health = || spool.health().borrow().clone();
    let intake = spool.intake("robot-1");
    let mut count = 0;
    let mut more = |entries: u64, bytes: usize| {
        for _ in 0..entries {
            count += 1;
            assert!(give(&intake, count, bytes), "the line was held up");
            if count.is_multiple_of(200) {
                settled(&spool);
            }
        }
        settled(&spool);
        count
    };
    more(1000, 20);
    eventually("stored", || {
        Look::open(&path).expect("opens").held().unreleased == 2000
    });
    assert_eq!(health(), Health::Ok);

    // With an uplink that works nothing is lost, however long the disk is full.
    let filler = disk.fill();
    more(100, 20);
    eventually("it says so", || matches!(health(), Health::DiskFull { .. }));
    let Health::DiskFull {
        detail,
        since_unix_ns,
    } = health()
    else {
        panic!("it said so");
    };
    assert!(detail.contains("full") && since_unix_ns > 0, "{detail}");
    let mut arrived = Vec::new();
    for _ in 0..60 {
        more(100, 1000);
        while let Ok(batch) = tokio::time::timeout(
            Duration::from_millis(20),
            reader.next(65_536, Duration::ZERO, Lanes::BOTH),
        )
        .await
        {
            reader.release(
                &batch.machine,
                batch.stream,
                batch.epoch(),
                batch.first(),
                batch.last(),
            );
            arrived.extend(batch.entries);
        }
    }
    assert!(matches!(health(), Health::DiskFull { .. }));
    assert_eq!(spool.counts().dropped, BTreeMap::new());
    drop(filler);
    eventually("it is well again", || health() == Health::Ok);
    let first_part = arrived.len();
    assert_eq!(first_part as u64, spool.counts().taken);

    // Without one, what the tail can't hold is told.
    let filler = disk.fill();
    more(6000, 1000);
    assert!(matches!(health(), Health::DiskFull { .. }));
    assert!(spool.counts().dropped["disk_full"] > 0);
    drop(filler);
    eventually("it is well again", || health() == Health::Ok);
    more(100, 20);
    arrived.extend(drain(&mut reader).await);
    all_explained(&arrived);
    let told: u64 = arrived[first_part..]
        .iter()
        .filter(|entry| entry.json.contains(r#""reason":"disk_full""#))
        .map(|entry| {
            let value: serde_json::Value = serde_json::from_str(&entry.json).expect("JSON");
            value["fields"]["count"].as_u64().expect("a count")
        })
        .sum();
    assert_eq!(told, spool.counts().dropped["disk_full"]);
    assert!(arrived.iter().all(|entry| entry.stream != Stream::Inputs));

    // Killed with a full disk, what the tail has is there.
    let filler = disk.fill();
    more(100, 1000);
    drop((spool, reader));
    let said = Spool::open(&settings(&path, 64 << 20)).map(|_| ());
    drop(filler);
    if let Err(error) = said {
        let said = error.to_string();
        assert!(
            said.contains("full") && said.contains("free some of the disk"),
            "{said}"
        );
    }
    let (_spool, mut reader) = Spool::open(&settings(&path, 64 << 20)).expect("opens again");
    let again: BTreeSet<Name> = drain(&mut reader).await.iter().map(name).collect();
    assert!(
        arrived[first_part..]
            .iter()
            .all(|entry| again.contains(&name(entry)))
    );
    assert_eq!(again.len(), arrived.len() - first_part + 200);
}

#[test]
fn the_command_line_says_what_a_spool_holds_and_whether_it_is_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("spool");
    let text = path.to_str().expect("UTF-8");
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_retrotap"))
            .arg("spool")
            .args(arguments)
            .output()
            .expect("runs");
        let said = String::from_utf8(output.stdout).expect("UTF-8");
        (
            output.status.code(),
            said,
            String::from_utf8(output.stderr).expect("UTF-8"),
        )
    };
    let (code, _, error) = run(&["status", text]);
    assert_eq!(code, Some(2));
    assert!(error.contains("there is no spool"), "{error}");

    let (spool, reader) = Spool::open(&settings(&path, limits::SPOOL_BYTES_MIN)).expect("opens");
    let intake = spool.intake("robot-1");
    for count in 1..=300 {
        assert!(give(&intake, count, 20));
    }
    eventually("taken", || spool.counts().taken == 600);
    // Beside one that runs.
    let (code, said, _) = run(&["status", text, "--json"]);
    assert_eq!(code, Some(0));
    let value: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(value["unreleased"], 600);
    spool.close().expect("closes");
    drop((spool, reader));

    let (code, said, _) = run(&["status", text]);
    assert_eq!(code, Some(0));
    for word in [
        "robot-1",
        "records",
        "frames",
        "300",
        "cleanly stopped",
        "600 entries that nobody took",
    ] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let (code, said, _) = run(&[
        "export",
        text,
        "--stream",
        "records",
        "--since",
        "2026-09-21T14:13:20.25Z",
    ]);
    assert_eq!(code, Some(0));
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 51, "{:?}", lines.first());
    assert!(lines[0].contains(r#""fields":{"count":250}"#));
    let (code, _, error) = run(&["export", text, "--since", "yesterday"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("expected a date"), "{error}");
    let (code, said, _) = run(&["verify", text]);
    assert_eq!((code, said.trim()), (Some(0), "600 entries, all is well"));

    let file = path.join("spool.db");
    let mut bytes = std::fs::read(&file).expect("readable");
    // Each block, also those that SQLite has moved and left behind.
    let magic = [0x28, 0xB5, 0x2F, 0xFD];
    for at in 0..bytes.len() - 64 {
        if bytes[at..].starts_with(&magic) {
            bytes[at + 40] ^= 1;
        }
    }
    std::fs::write(&file, bytes).expect("written");
    let (code, said, _) = run(&["verify", text, "--json"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("robot-1"), "{said}");
    let (code, _, error) = run(&["export", text]);
    assert_eq!(code, Some(1));
    assert!(error.contains("left out"), "{error}");
}
