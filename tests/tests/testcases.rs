//! The test cases of the adapter `kuka-krc2`: a capture and the records that must come of it.
//!
//! Each case says what a robot sent, how the line damaged it, and by rule which cycles must come out
//! and what must be counted; none of that is read from our own output. `expected.jsonl` then holds
//! every byte of it. `UPDATE_EXPECT=1` writes captures and expected records anew.

use std::fs;
use std::path::PathBuf;

use retrotap::capture::{PortLabel, Writer};
use retrotap::simulate::krc2::FRAME_BYTES;
use retrotap::words::{Chunk, Stamp};
use retrotap_tests::binary::{self, repository};
use retrotap_tests::robot::{CYCLE_BYTES, Timed, Values, bytes, unbroken, way};
use serde_json::Value;

/// 2026-11-20T10:55:00Z, so that a capture is the same whenever it is written.
const ORIGIN_WALL_NS: i64 = 1_795_172_100_000_000_000;

/// Bytes that one read gives; it divides neither a frame nor a cycle.
const CHUNK_BYTES: usize = 4;

const CYCLES: usize = 10;
/// Which of them is damaged.
const HURT: usize = 4;

/// One case.
struct Case {
    name: &'static str,
    /// What the axes really were.
    sent: Vec<Values>,
    /// What came over the line.
    line: Vec<Timed>,
    /// Cycles that must not come out; all others must, with the values that were sent.
    missing: &'static [usize],
    /// The rest of what `--summary` counts, besides frames and records.
    counted: &'static [&'static str],
}

impl Case {
    fn of(name: &'static str, sent: Vec<Values>) -> Self {
        let line = unbroken(&bytes(&sent));
        Self {
            name,
            sent,
            line,
            missing: &[],
            counted: &[],
        }
    }

    fn moving(name: &'static str) -> Self {
        Self::of(name, moving())
    }

    fn without(self, missing: &'static [usize], counted: &'static [&'static str]) -> Self {
        Self {
            missing,
            counted,
            ..self
        }
    }

    fn damaged(mut self, how: impl FnOnce(&mut Vec<Timed>)) -> Self {
        how(&mut self.line);
        self
    }

    fn folder(&self) -> PathBuf {
        repository()
            .join("adapters/machines/kuka-krc2/testcases")
            .join(self.name)
    }
}

/// The robot between conveyor and pallet, when five of its axes move.
fn moving() -> Vec<Values> {
    way(1, 60, CYCLES)
}

/// Where a byte of an undamaged line stands: its cycle, its axis and its place in the frame.
fn place(cycle: usize, axis: usize, byte: usize) -> usize {
    cycle * CYCLE_BYTES + (axis - 1) * FRAME_BYTES + byte
}

/// Each limit of the data sheet, the smallest angle below zero, and a way from there.
fn negative() -> Vec<Values> {
    let lowest = [
        -18_500_000,
        -14_600_000,
        -11_900_000,
        -35_000_000,
        -12_500_000,
        -35_000_000,
        -1,
    ];
    (0..CYCLES as i32)
        .map(|cycle| lowest.map(|value| value + cycle * 100_003))
        .collect()
}

fn cases() -> Vec<Case> {
    vec![
        Case::moving("clean"),
        Case::of("negative_angles", negative()).damaged(|line| {
            // The other way to write a minus.
            for axis in 1..=3 {
                assert_eq!(line[place(HURT, axis, 4)].byte, b'-');
                line[place(HURT, axis, 4)].byte = 1;
            }
        }),
        // Axis 3's frame lacks its third byte: its other eight fit nowhere, and the cycle is broken.
        Case::moving("a_byte_lost")
            .damaged(|line| {
                line.remove(place(HURT, 3, 2));
            })
            .without(
                &[HURT],
                &[
                    "1 frames rejected by krc2-decode/axis_out_of_order",
                    "8 bytes skipped for no_match",
                ],
            ),
        // The lowest byte of axis 2 stands twice, so that the others each count 256 times as much.
        Case::moving("a_byte_doubled")
            .damaged(|line| {
                let doubled = line[place(HURT, 2, 5)];
                line.insert(place(HURT, 2, 5), doubled);
                let byte_ns = 10_000_000_000 / 9600;
                for late in &mut line[place(HURT, 2, 6)..] {
                    late.over_ns += byte_ns;
                }
            })
            .without(
                &[HURT],
                &[
                    "1 frames rejected by axis-limits/axis_2_out_of_range",
                    "1 bytes skipped for no_match",
                ],
            ),
        // 2^21 hundred-thousandths are 21 degrees, more than axis 1 can turn in a cycle.
        Case::moving("a_flipped_bit")
            .damaged(|line| line[place(HURT, 1, 7)].byte ^= 0x20)
            .without(
                &[HURT],
                &["1 frames rejected by axis-limits/axis_1_too_fast"],
            ),
        Case::moving("axes_out_of_order")
            .damaged(|line| {
                for byte in 0..FRAME_BYTES {
                    let (three, four) = (place(HURT, 3, byte), place(HURT, 4, byte));
                    (line[three].byte, line[four].byte) = (line[four].byte, line[three].byte);
                }
            })
            .without(
                &[HURT],
                &["1 frames rejected by krc2-decode/axis_out_of_order"],
            ),
        // Axis 2 ends at 0 degrees.
        Case::moving("out_of_range")
            .damaged(|line| {
                let claimed = bytes(&[[0, 1_000_000, 0, 0, 0, 0, 0]]);
                for byte in 0..FRAME_BYTES {
                    line[place(HURT, 2, byte)].byte = claimed[FRAME_BYTES + byte];
                }
            })
            .without(
                &[HURT],
                &["1 frames rejected by axis-limits/axis_2_out_of_range"],
            ),
        // 40 bytes before the first frame, 40 instead of the first bytes of a cycle.
        Case::moving("noise")
            .damaged(|line| {
                let noise = noise();
                for (index, byte) in noise.iter().enumerate() {
                    line[place(HURT, 1, index)].byte = *byte;
                }
                let before_ns = 40 * 10_000_000_000 / 9600;
                for late in line.iter_mut() {
                    late.over_ns += before_ns;
                }
                line.splice(0..0, unbroken(&noise));
            })
            // Twice 40 and the five that are left of axis 5. Axis 6 is not the beginning of a cycle.
            .without(
                &[HURT],
                &[
                    "1 frames rejected by krc2-decode/axis_out_of_order",
                    "85 bytes skipped for no_match",
                ],
            ),
        // The end of axis 4, then axes 5 to 7 of a cycle that nobody knows the beginning of.
        Case::moving("start_in_the_middle_of_a_frame")
            .damaged(|line| {
                line.drain(..place(0, 4, 4));
            })
            .without(&[0], &["5 bytes skipped for no_match"]),
    ]
}

/// Bytes without a pattern, none of them the number of an axis.
fn noise() -> Vec<u8> {
    let mut state = 1u32;
    let bytes = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8 | 0x40
    });
    bytes.take(40).collect()
}

/// The line as `retrotap record` writes it.
fn capture(line: &[Timed]) -> Vec<u8> {
    let label = PortLabel {
        name: "robot-1".into(),
        description: "9600 baud 8N1".into(),
    };
    let mut capture = Writer::new(Vec::new(), ORIGIN_WALL_NS, &[label]).expect("memory");
    for read in line.chunks(CHUNK_BYTES) {
        let line_ns = read.last().map_or(0, |last| last.over_ns);
        let wall_ns = ORIGIN_WALL_NS + i64::try_from(line_ns).expect("seconds");
        let bytes = read.iter().map(|timed| timed.byte).collect();
        let chunk = Chunk {
            port: 0,
            at: Stamp { line_ns, wall_ns },
            bytes,
            marks: Vec::new(),
        };
        capture.chunk(&chunk).expect("memory");
    }
    capture.into_inner()
}

fn replay(case: &Case, more: &[&str]) -> binary::Ended {
    let folder = case.folder();
    let (capture, obstacles) = (folder.join("capture.pcapng"), folder.join("obstacles.json"));
    let mut arguments = vec![
        "replay",
        capture.to_str().expect("UTF-8"),
        "--adapter",
        "kuka-krc2",
    ];
    if obstacles.is_file() {
        arguments.extend(["--obstacles", obstacles.to_str().expect("UTF-8")]);
    }
    arguments.extend(more);
    binary::run(&arguments)
}

fn update() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some()
}

/// Writes the case's files where that is asked for.
fn written(case: &Case) {
    if update() {
        fs::create_dir_all(case.folder()).expect("the working copy can be written");
        fs::write(case.folder().join("capture.pcapng"), capture(&case.line)).expect("written");
        let replayed = replay(case, &[]);
        assert_eq!(replayed.code, Some(0), "{}: {}", case.name, replayed.err);
        fs::write(case.folder().join("expected.jsonl"), replayed.out).expect("written");
    }
}

fn expected(case: &Case) -> Vec<Value> {
    let text = fs::read_to_string(case.folder().join("expected.jsonl")).expect("UPDATE_EXPECT=1");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

const AXES: [&str; 7] = [
    "axis_1_deg",
    "axis_2_deg",
    "axis_3_deg",
    "axis_4_deg",
    "axis_5_deg",
    "axis_6_deg",
    "axis_7_mm",
];

fn axes(records: &[Value]) -> Vec<[f64; 7]> {
    let of_name = records.iter().filter(|record| record["record"] == "axes");
    of_name
        .map(|record| AXES.map(|axis| record["fields"][axis].as_f64().expect(axis)))
        .collect()
}

/// What has to come of a case by what was sent, in the unit of the record.
fn must_come(case: &Case) -> Vec<[f64; 7]> {
    let whole = case
        .sent
        .iter()
        .enumerate()
        .filter(|(cycle, _)| !case.missing.contains(cycle));
    whole
        .map(|(_, values)| values.map(|value| f64::from(value) / 1e5))
        .collect()
}

#[test]
fn every_folder_is_one_of_the_cases_and_holds_the_very_capture_that_is_described() {
    let mut folders: Vec<String> = Vec::new();
    for case in cases() {
        written(&case);
        let found = fs::read(case.folder().join("capture.pcapng")).expect("UPDATE_EXPECT=1");
        assert!(
            found == capture(&case.line),
            "{}: another capture than described",
            case.name
        );
        folders.push(case.name.to_owned());
    }
    folders.sort();
    let there = fs::read_dir(repository().join("adapters/machines/kuka-krc2/testcases"));
    let mut there: Vec<String> = there
        .expect("UPDATE_EXPECT=1")
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    there.sort();
    assert_eq!(there, folders);
}

#[test]
fn the_expected_records_are_those_of_the_cycles_that_came_whole() {
    for case in cases() {
        let records = expected(&case);
        assert_eq!(axes(&records), must_come(&case), "{}", case.name);
        let count = |name: &str| {
            records
                .iter()
                .filter(|record| record["record"] == name)
                .count()
        };
        let whole = case.sent.len() - case.missing.len();
        // The first cycle has no speed yet; without obstacles there is no distance.
        let distances = if case.name == "clean" { whole } else { 0 };
        assert_eq!(
            (count("pose"), count("axis_speeds")),
            (whole, whole - 1),
            "{}",
            case.name
        );
        assert_eq!(count("distance"), distances, "{}", case.name);
    }
}

#[test]
fn the_times_are_those_of_the_last_bytes_and_only_grow() {
    for case in cases() {
        let records = expected(&case);
        let times: Vec<&str> = records
            .iter()
            .filter(|record| record["record"] == "axes")
            .map(|record| record["t"].as_str().expect("a time"))
            .collect();
        assert!(times.is_sorted_by(|a, b| a < b), "{}: {times:?}", case.name);
        for record in &records {
            assert_eq!(
                (&record["clock"], &record["v"]),
                (&"capture".into(), &1.into())
            );
        }
    }
    // 63 bytes of 10 bits at 9600 baud and the one with which the read of four is full.
    let first = &expected(&cases()[0])[0];
    assert_eq!(first["t"], "2026-11-20T10:55:00.066666666Z");
}

#[test]
fn a_replay_gives_every_byte_of_the_expected_records_and_counts_what_was_lost() {
    for case in cases() {
        let file = case.folder().join("expected.jsonl");
        let ended = replay(
            &case,
            &["--summary", "--expect", file.to_str().expect("UTF-8")],
        );
        assert_eq!(
            (ended.code, ended.out.as_str()),
            (Some(0), ""),
            "{}: {}",
            case.name,
            ended.err
        );
        let mut counted: Vec<&str> = ended
            .err
            .lines()
            .filter(|line| !line.contains(" WARN "))
            .collect();
        let summary = counted.remove(0);
        let records = expected(&case).len();
        assert!(
            summary.ends_with(&format!(" frames, {records} records")),
            "{summary}"
        );
        assert_eq!(counted, case.counted, "{}", case.name);
    }
}

#[test]
fn a_replay_at_the_recorded_speed_gives_the_same_bytes() {
    let case = &cases()[0];
    let began = std::time::Instant::now();
    let ended = replay(case, &["--speed", "1"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(
        ended.out,
        fs::read_to_string(case.folder().join("expected.jsonl")).expect("there")
    );
    // It really waited: ten cycles take 656 ms on the wire.
    assert!(began.elapsed().as_millis() > 600);
}

#[test]
fn another_record_than_expected_is_shown_and_ends_with_exit_code_1() {
    let case = &cases()[0];
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("expected.jsonl");
    let text = fs::read_to_string(case.folder().join("expected.jsonl")).expect("there");
    fs::write(&file, text.replacen("axis_1_deg\":", "axis_1_deg\":1", 1)).expect("written");
    let ended = replay(case, &["--expect", file.to_str().expect("UTF-8")]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("line 1 differs"), "{}", ended.err);
    // A line less, and a line more.
    for (text, said) in [
        (
            text.lines().skip(1).collect::<Vec<_>>().join("\n"),
            "line 1 differs",
        ),
        (format!("{text}{{}}\n"), "is missing in the replay"),
    ] {
        fs::write(&file, text).expect("written");
        let ended = replay(case, &["--expect", file.to_str().expect("UTF-8")]);
        assert_eq!(ended.code, Some(1));
        assert!(ended.err.contains(said), "{}", ended.err);
    }
}
