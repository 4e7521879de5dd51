//! The test cases of the adapters besides `kuka-krc2`: a capture and the records that must come of it.
//!
//! What was sent is written down here as bytes of the protocol, and which values it means beside it, none
//! of that read from our own output. `expected.jsonl` then holds every byte. `UPDATE_EXPECT=1` writes
//! captures and expected records anew.

use std::fs;
use std::path::PathBuf;

use retrotap::capture::{PortLabel, Writer};
use retrotap::words::{Chunk, Stamp};
use retrotap_tests::binary::{self, repository};
use serde_json::{Value, json};

/// 2026-11-20T10:55:00Z, so that a capture is the same whenever it is written.
const ORIGIN_WALL_NS: i64 = 1_795_172_100_000_000_000;

const SECOND_NS: u64 = 1_000_000_000;

/// What one read of a port gave.
struct Read {
    line_ns: u64,
    port: u8,
    bytes: Vec<u8>,
}

struct Case {
    adapter: &'static str,
    name: &'static str,
    ports: u8,
    reads: Vec<Read>,
    /// Some records that must come, in this order: their name and some of their fields.
    must_come: Vec<(&'static str, Value)>,
    /// The rest of what `--summary` counts, besides frames and records.
    counted: &'static [&'static str],
}

impl Case {
    fn folder(&self) -> PathBuf {
        let machines = repository().join("adapters/machines");
        machines
            .join(self.adapter)
            .join("testcases")
            .join(self.name)
    }

    fn capture(&self) -> Vec<u8> {
        let labels: Vec<PortLabel> = (1..=self.ports)
            .map(|port| PortLabel {
                name: format!("port-{port}"),
                description: self.adapter.into(),
            })
            .collect();
        let mut capture = Writer::new(Vec::new(), ORIGIN_WALL_NS, &labels).expect("memory");
        for read in &self.reads {
            let wall_ns = ORIGIN_WALL_NS + i64::try_from(read.line_ns).expect("hours");
            let chunk = Chunk {
                port: read.port,
                at: Stamp {
                    line_ns: read.line_ns,
                    wall_ns,
                },
                bytes: read.bytes.clone(),
                marks: Vec::new(),
            };
            capture.chunk(&chunk).expect("memory");
        }
        capture.into_inner()
    }

    fn replay(&self, more: &[&str]) -> binary::Ended {
        let capture = self.folder().join("capture.pcapng");
        let capture = capture.to_str().expect("UTF-8");
        let arguments = ["replay", capture, "--adapter", self.adapter];
        binary::run(&[&arguments[..], more].concat())
    }
}

/// A text in reads of four bytes, so that no two lines end in one.
fn lines(text: &str) -> Vec<Read> {
    let byte_ns = 10 * SECOND_NS / 9600;
    let mut over_ns = 0;
    text.as_bytes()
        .chunks(4)
        .map(|bytes| {
            over_ns += byte_ns * bytes.len() as u64;
            Read {
                line_ns: over_ns,
                port: 0,
                bytes: bytes.to_vec(),
            }
        })
        .collect()
}

fn with_crc(mut frame: Vec<u8>) -> Vec<u8> {
    let mut crc = 0xFFFF_u16;
    for byte in &frame {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xA001
            } else {
                crc >> 1
            };
        }
    }
    frame.extend(crc.to_le_bytes());
    frame
}

fn request(first: u16, count: u16) -> Vec<u8> {
    let [a, b] = first.to_be_bytes();
    let [c, d] = count.to_be_bytes();
    with_crc(vec![1, 3, a, b, c, d])
}

fn answer(registers: &[u16]) -> Vec<u8> {
    let mut frame = vec![1, 3, 2 * registers.len() as u8];
    frame.extend(registers.iter().flat_map(|register| register.to_be_bytes()));
    with_crc(frame)
}

/// A balance: at rest, while a load is put on, overloaded, asked what it can't do, and in another unit.
fn scale() -> Case {
    let weight = |weight_g: f64, stable| {
        let fields =
            json!({"weight_g": weight_g, "stable": stable, "overload": false, "underload": false});
        ("weight", fields)
    };
    let none = |overload: bool| {
        let fields = json!({"stable": false, "overload": overload, "underload": !overload});
        ("weight", fields)
    };
    Case {
        adapter: "mettler-toledo-mt-sics",
        name: "a_load_is_put_on",
        ports: 1,
        reads: lines(
            "0.00 g\r\nS S       0.00 g\r\nS D      50.13 g\r\nS D     100.27 g\r\nS S     100.00 g\r\n\
             S +\r\nS I\r\nS -\r\nS S    -100.00 g\r\nS S     100.00 kg\r\nZ A\r\nS S       0.10 g\r\n",
        ),
        must_come: vec![
            weight(0.0, true),
            weight(50.13, false),
            weight(100.27, false),
            weight(100.0, true),
            none(true),
            none(false),
            weight(-100.0, true),
            weight(0.1, true),
        ],
        // Whatever stands before the first end of a line may be half a line.
        counted: &[
            "3 frames rejected by line-fields/no_match",
            "8 bytes skipped for no_match",
        ],
    }
}

/// A controller that heats up: the poller asks for two blocks in turn. One answer is damaged, one late.
fn controller() -> Case {
    let mut reads = Vec::new();
    let mut t_ns = 0;
    let mut say = |port: u8, bytes: Vec<u8>, after_ms: u64| {
        t_ns += after_ms * 1_000_000;
        reads.push(Read {
            line_ns: t_ns,
            port,
            bytes,
        });
    };
    let mut must_come = Vec::new();
    for round in 0..5_u16 {
        let temperature = 20 + 7 * i32::from(round) - if round == 0 { 25 } else { 0 };
        say(1, request(1, 5), 500);
        let temperature_register = i16::try_from(temperature).expect("small").cast_unsigned();
        let mut bytes = answer(&[temperature_register, 180, 1000 - round, 0, 180]);
        if round == 2 {
            bytes[4] ^= 0x10;
        }
        say(0, bytes, if round == 3 { 1500 } else { 40 });
        if round != 2 && round != 3 {
            must_come.push((
                "heating",
                json!({"temperature_c": f64::from(temperature), "target_c": 180.0,
                    "output_percent": f64::from(1000 - round) / 10.0, "setpoint_c": 180.0}),
            ));
        }
        say(1, request(258, 1), 100);
        say(0, answer(&[u16::from(round == 4)]), 30);
        must_come.push(("heating", json!({"sensor_broken": round == 4})));
    }
    Case {
        adapter: "eurotherm-2400",
        name: "it_heats_up",
        ports: 2,
        reads,
        must_come,
        // Of the damaged answer's 15 bytes the last nine look like the beginning of a long one (B4 03 E6),
        // until it doesn't come.
        counted: &[
            "1 frames rejected by registers-decode/no_request",
            "6 bytes skipped for checksum",
            "9 bytes skipped for timeout",
        ],
    }
}

/// The published exchange, then a bearing that wears for hours, and one knock.
fn sensor() -> Case {
    let mut reads = vec![
        (1, "01 03 00 10 00 06 C4 0D"),
        (2, "01 03 0C 00 2E 00 6C 06 25 02 06 00 47 00 B6 BD F3"),
    ]
    .into_iter()
    .map(|(second, hex)| Read {
        line_ns: second * SECOND_NS,
        port: 0,
        bytes: hex
            .split(' ')
            .map(|digits| u8::from_str_radix(digits, 16).expect("hex"))
            .collect(),
    })
    .collect::<Vec<_>>();
    for minute in (2..=160_u64).step_by(2) {
        // A little noise; the velocity rises by 1.2 mm/s an hour.
        let noise = (minute * 7 % 5) as u16;
        let z = 108 + 20 * minute as u16 + noise + if minute == 120 { 6000 } else { 0 };
        let bytes = answer(&[0, z, 0, 518 + noise, 0, 182 + noise]);
        let line_ns = minute * 60 * SECOND_NS;
        for (after_ns, bytes) in [(0, request(16, 6)), (50_000_000, bytes)] {
            reads.push(Read {
                line_ns: line_ns + after_ns,
                port: 0,
                bytes,
            });
        }
    }
    Case {
        adapter: "banner-qm42vt1",
        name: "a_bearing_wears",
        ports: 1,
        reads,
        must_come: vec![
            (
                "condition",
                json!({"z_velocity_mm_per_s": 0.108, "temperature_c": 25.9, "x_velocity_mm_per_s": 0.182}),
            ),
            (
                "health",
                json!({"health_percent": 100.0, "deciding_field": "x_velocity"}),
            ),
            ("anomaly", json!({"field": "z_velocity", "cause": "high"})),
            (
                "health",
                json!({"deciding_field": "z_velocity", "first_to_fail": "z_velocity"}),
            ),
        ],
        // 81 requests, of which each byte fits nowhere.
        counted: &["648 bytes skipped for no_match"],
    }
}

fn cases() -> Vec<Case> {
    vec![scale(), controller(), sensor()]
}

fn update() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some()
}

fn records(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// Whether a record is of that name and has those fields.
fn is(record: &Value, name: &str, fields: &Value) -> bool {
    let wanted = fields.as_object().expect("an object");
    record["record"] == name
        && wanted
            .iter()
            .all(|(name, value)| &record["fields"][name] == value)
}

#[test]
fn every_capture_is_the_one_that_is_described() {
    for case in cases() {
        let file = case.folder().join("capture.pcapng");
        if update() {
            fs::create_dir_all(case.folder()).expect("the working copy can be written");
            fs::write(&file, case.capture()).expect("written");
            let replayed = case.replay(&[]);
            assert_eq!(replayed.code, Some(0), "{}: {}", case.name, replayed.err);
            fs::write(case.folder().join("expected.jsonl"), replayed.out).expect("written");
        }
        let found = fs::read(file).expect("UPDATE_EXPECT=1");
        assert!(found == case.capture(), "{}: another capture", case.name);
    }
}

#[test]
fn every_shipped_adapter_has_a_test_case() {
    let machines = fs::read_dir(repository().join("adapters/machines")).expect("there");
    for machine in machines {
        let cases = machine.expect("an entry").path().join("testcases");
        let case = fs::read_dir(&cases).ok().and_then(|mut cases| cases.next());
        assert!(case.is_some(), "{}: no test case", cases.display());
    }
}

#[test]
fn the_expected_records_are_those_of_what_was_sent() {
    for case in cases() {
        let text = fs::read_to_string(case.folder().join("expected.jsonl")).expect("there");
        let came = records(&text);
        let mut rest = came.iter();
        for (name, fields) in &case.must_come {
            assert!(
                rest.any(|record| is(record, name, fields)),
                "{}: no {name} {fields} in its place",
                case.name
            );
        }
        // Where every record is named above, there are no others.
        if case.adapter != "banner-qm42vt1" {
            assert_eq!(came.len(), case.must_come.len(), "{}", case.name);
            for (record, (name, fields)) in came.iter().zip(&case.must_come) {
                let count = |value: &Value| value.as_object().map(serde_json::Map::len);
                assert!(is(record, name, fields), "{}: {record}", case.name);
                assert_eq!(count(&record["fields"]), count(fields), "{record}");
            }
        }
    }
}

#[test]
fn a_bearing_that_wears_is_told_once_for_its_knock_and_by_its_trend() {
    let case = sensor();
    let text = fs::read_to_string(case.folder().join("expected.jsonl")).expect("there");
    let came = records(&text);
    let of = |name: &str| {
        came.iter()
            .filter(|record| record["record"] == name)
            .collect::<Vec<_>>()
    };
    // The published exchange, and one every two minutes for 160.
    assert_eq!(of("condition").len(), 81);
    // One knock: at minute 120, and no other.
    let anomalies = of("anomaly");
    assert_eq!(anomalies.len(), 1, "{anomalies:?}");
    assert!(
        anomalies[0]["t"]
            .as_str()
            .is_some_and(|t| t.starts_with("2026-11-20T12:55:00.05"))
    );
    let healths = of("health");
    let number = |record: &Value, name: &str| record["fields"][name].as_f64();
    // Before an hour has passed no trend is told.
    assert!(
        healths[..30]
            .iter()
            .all(|health| number(health, "trend_percent_per_h").is_none())
    );
    let last = healths.last().expect("some");
    // 1.2 mm/s an hour of the 5.98 mm/s between healthy and failed are 20 % an hour; more than two time
    // constants after the beginning most of it is seen.
    let trend = number(last, "trend_percent_per_h").expect("told");
    assert!((-22.0..-15.0).contains(&trend), "{trend}");
    let left_h = number(last, "left_h").expect("told");
    assert!((2.5..5.0).contains(&left_h), "{left_h}");
}

#[test]
fn a_replay_gives_every_byte_and_counts_what_was_lost() {
    for case in cases() {
        let file = case.folder().join("expected.jsonl");
        let expect = file.to_str().expect("UTF-8");
        let ended = case.replay(&["--summary", "--expect", expect]);
        let (code, out) = (ended.code, ended.out.as_str());
        assert_eq!((code, out), (Some(0), ""), "{}: {}", case.name, ended.err);
        let lines = ended.err.lines().filter(|line| !line.contains(" WARN "));
        let counted: Vec<&str> = lines.skip(1).collect();
        assert_eq!(counted, case.counted, "{}", case.name);
    }
}
