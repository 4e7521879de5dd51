use std::process::Command;

use proptest::prelude::*;
use retrotap_adapters::framing::LineErrors;

use crate::words::{Chunk, Mark, Stamp};

use super::blocks::{self, Interface};
use super::*;

/// When the line of these tests began.
const ORIGIN_WALL_NS: i64 = 1_795_000_000_123_456_789;

fn ports() -> Vec<PortLabel> {
    ["robot-1", "robot-1 answers"]
        .map(|name| PortLabel {
            name: name.into(),
            description: "9600 8N1".into(),
        })
        .to_vec()
}

fn chunk(port: u8, line_ns: u64, bytes: &[u8], marks: &[(usize, LineErrors)]) -> Item {
    let marks = marks
        .iter()
        .map(|&(index, errors)| Mark { index, errors })
        .collect();
    let wall_ns = ORIGIN_WALL_NS + line_ns as i64;
    Item::Chunk(Chunk {
        port,
        at: Stamp { line_ns, wall_ns },
        bytes: bytes.to_vec(),
        marks,
    })
}

fn input(line_ns: u64, kind: InputKind, data: &str) -> Item {
    Item::Input(Input {
        line_ns,
        kind,
        data: data.to_owned(),
    })
}

fn write(items: &[Item]) -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), ORIGIN_WALL_NS, &ports()).unwrap();
    for item in items {
        match item {
            Item::Chunk(chunk) => writer.chunk(chunk).unwrap(),
            Item::Input(input) => writer.input(input).unwrap(),
        }
    }
    writer.into_inner()
}

/// Everything that comes out of a file, and how it ended.
fn read(file: &[u8]) -> (Vec<Item>, Result<(), ReadError>) {
    let mut reader = match Reader::new(file) {
        Ok(reader) => reader,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut items = Vec::new();
    let end = loop {
        match reader.next_item() {
            Ok(Some(item)) => items.push(item),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    assert!(
        matches!(reader.next_item(), Ok(None)),
        "an end is told once"
    );
    (items, end)
}

/// A capture with everything in it.
fn sample() -> Vec<Item> {
    vec![
        input(0, InputKind::Start, r#"{"machine":"robot-1","modules":[]}"#),
        chunk(0, 1_000_001, &[3, 0, 0, 0, 0x20, 0x80, 0x2C, 0x80, 0], &[]),
        chunk(1, 1_000_001, &[0xFF], &[(0, LineErrors::PARITY)]),
        input(
            1_000_002,
            InputKind::Obstacles,
            r#"[{"id":"p1","radius":0.30000000000000004}]"#,
        ),
        chunk(
            0,
            9_375_000,
            &[1, 2, 3, 4, 0],
            &[
                (1, LineErrors::OVERRUN | LineErrors::PARITY),
                (2, LineErrors::FRAMING),
                (4, LineErrors::BREAK),
            ],
        ),
        chunk(0, 9_375_000, b"next read, the same nanosecond", &[]),
        input(20_000_000, InputKind::Tick, "null"),
    ]
}

#[test]
fn bytes_marks_chunks_inputs_and_nanoseconds_come_back_as_they_went_in() {
    let (items, end) = read(&write(&sample()));
    end.unwrap();
    assert_eq!(items, sample());
}

#[test]
fn a_replay_has_the_line_time_of_the_live_line_whatever_comes_first() {
    let late = [
        input(5_000_000_007, InputKind::Tick, "null"),
        chunk(0, 5_000_000_009, b"x", &[]),
    ];
    assert_eq!(read(&write(&late)).0, late);
}

#[test]
fn a_capture_without_inputs_begins_at_zero_with_its_first_packet() {
    let (items, _) = read(&write(&[
        chunk(0, 7_000_000_007, b"a", &[]),
        chunk(0, 7_000_000_009, b"b", &[]),
    ]));
    let times: Vec<u64> = items
        .iter()
        .map(|item| match item {
            Item::Chunk(chunk) => chunk.at.line_ns,
            Item::Input(input) => input.line_ns,
        })
        .collect();
    assert_eq!(times, [0, 2]);
}

#[test]
fn line_time_never_decreases() {
    let (items, _) = read(&write(&[
        chunk(0, 500, b"a", &[]),
        chunk(0, 900, b"b", &[]),
        chunk(0, 300, b"c", &[]),
    ]));
    let Item::Chunk(last) = &items[2] else {
        panic!("an input came out")
    };
    assert_eq!(last.at.line_ns, 400);
}

#[test]
fn a_file_that_is_cut_gives_what_is_whole_and_says_where_it_was_cut() {
    let file = write(&sample());
    // Where each block ends; a file that ends there is a whole, shorter file.
    let mut ends = vec![0];
    while let Some(&at) = ends.last().filter(|at| **at < file.len()) {
        let total = u32::from_le_bytes(file[at + 4..at + 8].try_into().unwrap());
        ends.push(at + total as usize);
    }
    for cut in 1..file.len() {
        let (items, end) = read(&file[..cut]);
        for (got, sent) in items.iter().zip(sample()) {
            // A chunk of several packets may have lost its last ones, never anything else.
            match (got, &sent) {
                (Item::Chunk(got), Item::Chunk(sent)) => {
                    assert!(sent.bytes.starts_with(&got.bytes), "cut at {cut}");
                    assert_eq!((got.port, got.at), (sent.port, sent.at));
                }
                _ => assert_eq!(got, &sent, "cut at {cut}"),
            }
        }
        if ends.contains(&cut) {
            end.unwrap();
        } else {
            let text = end.unwrap_err().to_string();
            assert!(
                text.starts_with(&format!("cut at byte {cut}: the last packet is incomplete")),
                "{text}"
            );
        }
    }
}

#[test]
fn what_is_not_a_capture_is_named() {
    let says = |file: &[u8], what: &str| {
        let text = read(file).1.unwrap_err().to_string();
        assert!(text.contains(what), "{text}");
    };
    says(b"", "empty");
    says(b"hello, world", "this one with 68 65 6C 6C");
    says(b"hello, world", "--raw --baud");
    says(&[0xD4, 0xC3, 0xB2, 0xA1, 2, 0, 4, 0], "editcap -F pcapng");
    says(&[0x0A, 0x0D], "cut at byte 2");
    let mut ethernet = Vec::new();
    blocks::write_section(&mut ethernet, "another program").unwrap();
    blocks::write_interface(&mut ethernet, &Interface::new(1, "eth0", "")).unwrap();
    blocks::write_packet(&mut ethernet, 0, 0, &[&[0; 60]]).unwrap();
    says(&ethernet, "link type 1 (Ethernet)");
    let mut other = Vec::new();
    blocks::write_section(&mut other, "another program").unwrap();
    blocks::write_interface(&mut other, &Interface::new(147, "theirs", "")).unwrap();
    blocks::write_packet(&mut other, 0, 0, &[b"{}"]).unwrap();
    says(&other, "a user's own format");
}

#[test]
fn a_damaged_block_is_told_with_its_place() {
    let says = |file: &[u8], what: &str| {
        let text = read(file).1.unwrap_err().to_string();
        assert!(text.contains(what), "{text}");
    };
    let file = write(&sample());
    let first = u32::from_le_bytes(file[4..8].try_into().unwrap()) as usize;
    let with = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    says(&with(8, &[0; 4]), "byte-order magic");
    says(&with(12, &[9, 0]), "major version");
    says(
        &with(first + 4, &[0xFC, 0xFF, 0xFF, 0x7F]),
        "2147483644 bytes long",
    );
    says(
        &with(first + 4, &[13, 0, 0, 0]),
        &format!("at byte {first}: a block whose length"),
    );
    says(&with(first - 4, &[0; 4]), "two lengths differ");

    let mut writer = Vec::new();
    blocks::write_section(&mut writer, "").unwrap();
    blocks::write_packet(&mut writer, 3, 0, &[b"x"]).unwrap();
    says(&writer, "wasn't described");
}

#[test]
fn another_programs_capture_in_microseconds_and_the_other_byte_order_is_read() {
    let block = |kind: u32, body: &[u8]| {
        let total = (body.len() as u32 + 12).to_be_bytes();
        [&kind.to_be_bytes()[..], &total, body, &total].concat()
    };
    let section = [&0x1A2B_3C4Du32.to_be_bytes()[..], &[0, 1, 0, 0], &[0xFF; 8]].concat();
    let interface = [0, 250, 0, 0, 0, 0, 0xFF, 0xFF];
    // Unix time 0x100000000 µs; a status event that says nothing about bytes; two reads.
    let packet = |low: u32, event: u8, byte: u8| {
        let mut body = Vec::new();
        for field in [0, 1, low, 13, 13] {
            body.extend(u32::to_be_bytes(field));
        }
        body.extend([0; 8]);
        body.extend([event, 0, 0, 0, byte, 0, 0, 0]);
        block(6, &body)
    };
    let file = [
        block(0x0A0D_0D0A, &section),
        block(1, &interface),
        block(0xBAD, &[1, 2, 3, 4]),
        packet(0, 0, 0),
        packet(0, 2, b'a'),
        packet(5, 2, b'b'),
    ]
    .concat();
    let mut reader = Reader::new(file.as_slice()).unwrap();
    let mut chunks = Vec::new();
    while let Some(Item::Chunk(chunk)) = reader.next_item().unwrap() {
        chunks.push((chunk.at, chunk.bytes));
    }
    let at = |us: i64| Stamp {
        line_ns: us as u64 * 1_000,
        wall_ns: (0x1_0000_0000 + us) * 1_000,
    };
    assert_eq!(chunks, [(at(0), b"a".to_vec()), (at(5), b"b".to_vec())]);
    assert_eq!(reader.ignored_packets(), 1);
}

#[test]
fn timestamps_of_any_resolution_are_read_without_overflow() {
    for resolution in 0..=u8::MAX {
        for offset_s in [i64::MIN, -1, 0, i64::MAX] {
            let mut file = Vec::new();
            blocks::write_section(&mut file, "").unwrap();
            let interface = Interface::new(250, "", "").with_clock(resolution, offset_s);
            blocks::write_interface(&mut file, &interface).unwrap();
            blocks::write_packet(&mut file, 0, u64::MAX, &[&[0; 13]]).unwrap();
            blocks::write_packet(&mut file, 0, 1, &[&[0; 13]]).unwrap();
            read(&file).1.unwrap();
        }
    }
}

#[test]
fn an_input_that_is_not_one_is_refused() {
    for json in [
        "",
        "null",
        r#"{"line_ns":-1,"input":"tick","data":null}"#,
        r#"{"line_ns":1}"#,
    ] {
        let mut file = Vec::new();
        blocks::write_section(&mut file, "").unwrap();
        blocks::write_interface(
            &mut file,
            &Interface::new(INPUTS_LINK_TYPE, INPUTS_NAME, ""),
        )
        .unwrap();
        blocks::write_packet(&mut file, 0, 0, &[json.as_bytes()]).unwrap();
        assert!(
            matches!(read(&file).1, Err(ReadError::BadInput { .. })),
            "{json}"
        );
    }
    let mut writer = Writer::new(Vec::new(), 0, &ports()).unwrap();
    let broken = Input {
        line_ns: 0,
        kind: InputKind::Tick,
        data: "{".into(),
    };
    assert!(writer.input(&broken).is_err());
}

#[test]
fn wireshark_reads_the_file_and_names_its_events() {
    let file = tempfile::NamedTempFile::with_suffix(".pcapng").unwrap();
    std::fs::write(file.path(), write(&sample())).unwrap();
    let output = Command::new("tshark")
        .args(["-r".as_ref(), file.path().as_os_str()])
        .args(["-T", "fields", "-E", "separator=|"])
        .args(["-e", "frame.interface_name", "-e", "frame.time_epoch"])
        .args([
            "-e",
            "rtacser.timestamp",
            "-e",
            "rtacser.eventtype",
            "-e",
            "rtacser.footer",
        ])
        .args(["-e", "data.data"])
        .output()
        .expect("tshark reads captures in this test: apt-get install tshark");
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').collect()).collect();
    let serial: Vec<(&str, &str, &str)> = lines
        .iter()
        .filter(|line| !line[3].is_empty())
        .map(|line| (line[0], line[3], line[5]))
        .collect();
    assert_eq!(
        serial,
        [
            ("robot-1", "0x04", "0300000020802c8000"),
            ("robot-1 answers", "0x08", "ff"),
            ("robot-1 answers", "0x04", ""),
            ("robot-1", "0x02", "01"),
            ("robot-1", "0x0a", ""),
            ("robot-1", "0x08", "02"),
            ("robot-1", "0x07", "03"),
            ("robot-1", "0x02", "04"),
            ("robot-1", "0x09", "00"),
            ("robot-1", "0x04", ""),
            (
                "robot-1",
                "0x04",
                "6e65787420726561642c207468652073616d65206e616e6f7365636f6e64"
            ),
        ],
        "{text}"
    );
    assert_eq!(lines[1][1], "1795000000.124456790");
    assert_eq!(lines[1][2], "1795000000.124456000");
    assert_eq!(lines[1][4], "0x0000");
    assert_eq!(lines[0][0], INPUTS_NAME);
}

/// Chunks as ports give them: marks ascend, and each says something.
fn any_chunk() -> impl Strategy<Value = (u8, u64, Vec<(u8, u8)>)> {
    let byte = (any::<u8>(), prop_oneof![9 => Just(0u8), 1 => 1u8..16]);
    (0u8..2, 1u64..1_000_000, prop::collection::vec(byte, 1..40))
}

proptest! {
    #[test]
    fn any_chunks_come_back_as_they_went_in(chunks in prop::collection::vec(any_chunk(), 1..20)) {
        let mut line_ns = 0;
        let mut items = vec![input(0, InputKind::Start, "{}")];
        for (port, later_ns, bytes) in &chunks {
            line_ns += later_ns;
            let marks: Vec<(usize, LineErrors)> = bytes
                .iter()
                .enumerate()
                .filter(|(_, (_, errors))| *errors != 0)
                .map(|(index, (_, errors))| (index, LineErrors::from_bits(*errors)))
                .collect();
            let bytes: Vec<u8> = bytes.iter().map(|(byte, _)| *byte).collect();
            items.push(chunk(*port, line_ns, &bytes, &marks));
        }
        let (read, end) = read(&write(&items));
        end.unwrap();
        prop_assert_eq!(read, items);
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = read(&bytes);
    }

    #[test]
    fn no_damage_to_a_capture_makes_the_reader_panic(
        at in 0usize..700, length in 1usize..8, value in any::<u8>(),
    ) {
        let mut file = write(&sample());
        let end = file.len().min(at + length);
        if let Some(bytes) = file.get_mut(at..end) {
            bytes.fill(value);
        }
        let _ = read(&file);
    }
}
