//! The spool by itself: how much it takes, what it writes for it, and how soon it is open again.
//!
//! Entries are made up, with numbers that move as an axis does, because what a disk has to take
//! depends on how well they compress.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow};

use super::Effort;
use super::report::{Bound, Figure};
use crate::config;
use crate::spool::{Bounds, Reader, Settings, Spool};
use crate::words::{ClockState, RawFrame, Record, Stamp};

/// Machines that hand over as fast as they can.
const MACHINES: usize = 4;
/// What one KR C2 makes in a second: at 9600 baud, seven frames a cycle and three records.
const FRAMES_PER_S: u64 = 106;
const RECORDS_PER_S: u64 = 45;

/// Measures all of it, in a folder that is gone afterwards.
pub(super) fn measure(effort: &Effort) -> anyhow::Result<Vec<Figure>> {
    let folder = tempfile::tempdir().context("no folder for temporary files")?;
    let mut figures = sustained(&folder.path().join("fast"), effort)?;
    figures.push(written(&folder.path().join("slow"), effort)?);
    Ok(figures)
}

fn open(path: &Path) -> anyhow::Result<(Spool, Reader)> {
    let spool = config::Spool::at(path.to_owned());
    Ok(Spool::open(&Settings {
        site: Arc::from("bench"),
        gateway: Arc::from("bench"),
        path: spool.path,
        max_bytes: spool.max_bytes,
        max_age: None,
        sync_every: spool.sync_every,
    })?)
}

/// As fast as it takes them, until all are on disk; then it is left as a killed process leaves it.
fn sustained(path: &Path, effort: &Effort) -> anyhow::Result<Vec<Figure>> {
    let (spool, reader) = open(path)?;
    let began = Instant::now();
    let until = began + Duration::from_secs_f64(effort.load_s);
    let lines: Vec<_> = (0..MACHINES)
        .map(|machine| {
            let intake = spool.intake(&format!("robot-{machine}"));
            std::thread::spawn(move || {
                let mut made = Made::default();
                while Instant::now() < until {
                    // What doesn't fit is counted as dropped: a line has no time to wait, a bench has.
                    if intake.has_room() {
                        intake.record(made.record());
                    } else {
                        std::thread::sleep(Duration::from_micros(200));
                    }
                }
            })
        })
        .collect();
    for line in lines {
        line.join()
            .map_err(|_| anyhow!("a thread of the bench panicked"))?;
    }
    spool.close().map_err(|why| anyhow!(why))?;
    let over_s = began.elapsed().as_secs_f64();
    let counts = spool.counts();
    drop((spool, reader));

    let (spool, reader) = open(path)?;
    let intake = spool.intake("robot-0");
    let mut made = Made::default();
    let entries = spool.backlog().entries + 1000;
    while spool.backlog().entries < entries {
        if intake.has_room() {
            intake.record(made.record());
        }
    }
    drop((spool, reader));
    let began = Instant::now();
    let opened = open(path)?;
    let open_ms = began.elapsed().as_secs_f64() * 1e3;
    drop(opened);
    let samples = counts.taken as usize;
    Ok(vec![
        Figure::new(
            "records through the spool alone",
            counts.taken as f64 / over_s,
            "1/s",
            samples,
        )
        .budget(Bound::AtLeast(50_000.0))
        .note(format!(
            "{MACHINES} machines, numbered, written and synchronised every second, until all is on \
                 disk; {} dropped",
            counts.dropped.values().sum::<u64>()
        )),
        Figure::new("opening the spool after kill -9", open_ms, "ms", 1).note(format!(
            "{entries} entries unreleased, the last thousand or more in the tail alone"
        )),
    ])
}

/// What is written to disk at the pace of one machine, for each byte of JSON.
fn written(path: &Path, effort: &Effort) -> anyhow::Result<Figure> {
    let (spool, reader) = open(path)?;
    let intake = spool.intake("robot-1");
    let mut made = Made::default();
    let hundredths = (effort.spool_s * 100.0) as u64;
    let before = written_bytes()?;
    let (began, mut json_bytes) = (Instant::now(), 0);
    for hundredth in 0..hundredths {
        let share = |per_s: u64| (hundredth + 1) * per_s / 100 - hundredth * per_s / 100;
        for _ in 0..share(FRAMES_PER_S) {
            intake.frame(made.frame());
        }
        for _ in 0..share(RECORDS_PER_S) {
            intake.record(made.record());
        }
        let next = began + Duration::from_millis(10 * (hundredth + 1));
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    let after = written_bytes()?;
    for record in ["pose", "frame"] {
        let all = spool.history("robot-1", record, (i64::MIN, i64::MAX), Bounds::NONE)?;
        json_bytes += all
            .entries
            .iter()
            .map(|entry| entry.json.len())
            .sum::<usize>();
    }
    let count = spool.counts().taken as usize;
    drop((spool, reader));
    let share = after.saturating_sub(before) as f64 / json_bytes as f64;
    Ok(Figure::new(
        "written to disk for each byte of JSON",
        share,
        "times",
        count,
    )
    .budget(Bound::AtMost(1.0))
    .note(format!(
        "one KR C2 with raw frames for {} s, synchronised every second; by the kernel's count of \
             this process",
        effort.spool_s
    )))
}

/// Bytes that this process had to be written to disks, as the kernel counts them.
fn written_bytes() -> anyhow::Result<u64> {
    let counts = std::fs::read_to_string("/proc/self/io").context("the kernel counts no bytes")?;
    let line = counts
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.context("no write_bytes in /proc/self/io")?.parse()?)
}

/// What a line would make.
#[derive(Debug, Default)]
struct Made {
    count: u64,
}

impl Made {
    fn stamp(&mut self) -> Stamp {
        self.count += 1;
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Stamp {
            line_ns: self.count * 9_375_000,
            wall_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        }
    }

    fn record(&mut self) -> Record {
        let at = self.stamp();
        let angle = self.count as f64 / 500.0;
        Record {
            name: Arc::from("pose"),
            module: Arc::from("arm-distance@1.0.0"),
            at,
            clock: ClockState::Synced,
            frame: self.count,
            fields: format!(
                "{{\"flange_x_m\":{:.3},\"flange_y_m\":{:.3},\"flange_z_m\":{:.3},\"flange_speed_m_per_s\":{:.3}}}",
                angle.sin(),
                angle.cos(),
                (2.0 * angle).sin() + 1.0,
                (3.0 * angle).cos().abs()
            ),
        }
    }

    fn frame(&mut self) -> RawFrame {
        let at = self.stamp();
        let angle = (self.count as f64 / 500.0).sin() * 1e6;
        let axis = (self.count % 7) as u8 + 1;
        let [a, b, c, d] = (angle as i32).to_be_bytes();
        RawFrame {
            at,
            clock: ClockState::Synced,
            number: self.count,
            port: 0,
            bytes: vec![axis, 0, 0, 0, 0x20, a, b, c, d],
            errors: Vec::new(),
        }
    }
}
