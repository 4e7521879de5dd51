//! Adapters that are right, and what is read out of them; and texts of any kind, which never panic.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use proptest::prelude::*;
use retrotap_adapters::framing::{
    ChecksumForm, ChecksumKind, ChecksumSpec, Delimited, Endianness, FramingKind, FramingSpec,
    IdleGap, LengthPrefixed, Parity, SerialSettings,
};
use retrotap_adapters::schema::{
    self, Adapter, FieldKind, FieldUse, ParamValue, Port, Role, StageUse,
};
use retrotap_adapters::tables;

const DIALOGUE: &str = r#"
adapter: s5-3964r
title: "A SIMATIC S5 that talks 3964R with its host"
serial: {baud: 9600, data_bits: 8, parity: even, stop_bits: 1}
ports: [{role: machine}, {role: peer, framing: {length_prefixed: {offset: 0, width: 1, correction: -1, frame_bytes_max: 9}, timeout: 220ms}}]
framing:
  delimited: {start: "02", end: "10 03", escape: "10", frame_bytes_max: 300}
  checksum: {kind: xor, skip: 1, after_end: true}
stale_after: 1.5s
pipeline:
  - stage: registers-decode
    params: {span: 5, limit: -1.5mm/s, mode: fast}
    tables: {registers: registers.csv}
  - stage: smooth
    fields:
      - {name: level_m, from: tank.level_m, unit: m}
      - {name: full, from: tank.full, kind: bool, optional: true, params: {span: 5, mode: fast, mark: "5 #,"}}
    record: filling
    tables: {registers: registers.csv}
publish: [tank]
"#;

const SERIAL: SerialSettings = SerialSettings {
    baud: 9600,
    data_bits: 8,
    parity: Parity::Even,
    stop_bits: 1,
};

fn parse(text: &str) -> Adapter {
    schema::parse(text, "adapter.yaml").unwrap_or_else(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{}", lines.join("\n"))
    })
}

fn with_framing(framing: &str) -> FramingSpec {
    let text = format!(
        "adapter: one\ntitle: One\nserial: {{baud: 9600, data_bits: 8, parity: even, stop_bits: 1}}\nframing: {framing}\n\
         stale_after: 5s\npipeline: [{{stage: one}}]\npublish: [one]\n"
    );
    parse(&text).ports.remove(0).framing
}

#[test]
fn everything_that_stands_in_an_adapter_is_read() {
    let host = FramingSpec {
        checksum: Some(ChecksumSpec {
            skip: 1,
            after_end: true,
            ..ChecksumSpec::whole_frame(ChecksumKind::Xor)
        }),
        ..FramingSpec::new(FramingKind::Delimited(Delimited {
            start: vec![0x02],
            end: vec![0x10, 0x03],
            escape: Some(0x10),
            frame_bytes_max: 300,
        }))
    };
    let peer = FramingSpec {
        timeout_ns: Some(220_000_000),
        ..FramingSpec::new(FramingKind::LengthPrefixed(LengthPrefixed {
            header: vec![],
            offset: 0,
            width: 1,
            endianness: Endianness::Big,
            correction: -1,
            frame_bytes_max: 9,
        }))
    };
    let number = |value, unit: Option<&str>| ParamValue::Number {
        value,
        unit: unit.map(str::to_owned),
    };
    let field = |name: &str, from: &str, kind, unit: Option<&str>, optional| FieldUse {
        name: name.to_owned(),
        from: Some(from.to_owned()),
        kind,
        unit: unit.map(str::to_owned),
        optional,
        params: vec![],
    };
    let tables = vec![("registers".to_owned(), "registers.csv".to_owned())];
    let adapter = parse(DIALOGUE);
    let expected = Adapter {
        name: "s5-3964r".to_owned(),
        title: "A SIMATIC S5 that talks 3964R with its host".to_owned(),
        serial: SERIAL,
        ports: vec![
            Port {
                role: Role::Machine,
                framing: host,
            },
            Port {
                role: Role::Peer,
                framing: peer,
            },
        ],
        stale_after_ns: 1_500_000_000,
        pipeline: vec![
            StageUse {
                stage: "registers-decode".to_owned(),
                params: vec![
                    ("span".to_owned(), number(5.0, None)),
                    ("limit".to_owned(), number(-1.5, Some("mm/s"))),
                    ("mode".to_owned(), ParamValue::Choice("fast".to_owned())),
                ],
                tables: tables.clone(),
                fields: vec![],
                record: None,
            },
            StageUse {
                stage: "smooth".to_owned(),
                params: vec![],
                tables,
                fields: vec![
                    field("level_m", "tank.level_m", FieldKind::F64, Some("m"), false),
                    FieldUse {
                        params: vec![
                            ("span".to_owned(), number(5.0, None)),
                            ("mode".to_owned(), ParamValue::Choice("fast".to_owned())),
                            ("mark".to_owned(), ParamValue::Choice("5 #,".to_owned())),
                        ],
                        ..field("full", "tank.full", FieldKind::Bool, None, true)
                    },
                ],
                record: Some("filling".to_owned()),
            },
        ],
        publish: vec!["tank".to_owned()],
    };
    assert_eq!(adapter, expected);
    assert_eq!(adapter.table_files(), ["registers.csv"]);
}

#[test]
fn a_gap_in_characters_is_as_long_as_they_are_on_this_line() {
    let modbus = with_framing(
        "{idle_gap: {gap: 3.5characters, frame_bytes_max: 256}, checksum: crc16_modbus}",
    );
    // 11 bits a character at 9600 baud: 1.1458 ms, and 3.5 of them are 4.0104 ms.
    let FramingKind::IdleGap(IdleGap {
        gap_ns,
        frame_bytes_max: 256,
    }) = modbus.kind
    else {
        panic!("{modbus:?}")
    };
    assert_eq!(gap_ns, 4_010_416 + 1_145_833);
    assert_eq!(
        modbus.checksum,
        Some(ChecksumSpec::whole_frame(ChecksumKind::Crc16Modbus))
    );
    let in_time = with_framing("{idle_gap: {gap: 1.75ms, frame_bytes_max: 256}}");
    assert_eq!(
        in_time.kind,
        FramingKind::IdleGap(IdleGap::silence(1_750_000, SERIAL, 256))
    );
}

#[test]
fn a_checksum_in_hex_digits_is_read() {
    let host_link = with_framing(
        "{delimited: {start: '40', end: 2A 0D, frame_bytes_max: 131}, checksum: {kind: xor, form: hex}}",
    );
    assert_eq!(
        host_link.checksum.map(|checksum| checksum.form),
        Some(ChecksumForm::Hex)
    );
}

#[test]
fn one_port_is_what_there_is_where_nothing_is_said() {
    let adapter = parse(DIALOGUE);
    let ports = DIALOGUE
        .lines()
        .find(|line| line.starts_with("ports"))
        .unwrap();
    let alone = parse(&DIALOGUE.replace(ports, ""));
    assert_eq!(alone.ports, adapter.ports[..1]);
    let both_alike = parse(&DIALOGUE.replace(ports, "ports: [{role: machine}, {role: peer}]"));
    assert_eq!(both_alike.ports[0].framing, both_alike.ports[1].framing);
}

#[test]
fn a_table_is_read_with_its_names() {
    let table = tables::parse_csv(
        "# joints\nname, x_m,y_m\n\nA1,1,-2.5e-1\nA 2 ,0,0\r\n",
        "t.csv",
    )
    .unwrap();
    assert_eq!(table.columns, ["x_m", "y_m"]);
    assert_eq!(table.rows[0].name, "A1");
    assert_eq!(table.rows[0].values, [1.0, -0.25]);
    assert_eq!(table.rows[1].name, "A 2");
}

proptest! {
    #[test]
    fn any_text_is_an_adapter_or_has_problems(text in "(\\PC|\n){0,200}") {
        if let Err(problems) = schema::parse(&text, "any") {
            prop_assert!(!problems.is_empty() && problems.len() <= 100);
        }
        if let Err(problems) = tables::parse_csv(&text, "any") {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn an_adapter_with_anything_in_it_is_right_or_has_problems(
        at in 0..DIALOGUE.len(), cut in 0usize..6, piece in "[-:,{}\\[\\]&*!|>'\"#%@ \n0-9a-z\t\u{0}é]{0,4}",
    ) {
        let end = (at + cut).min(DIALOGUE.len());
        let text = [&DIALOGUE[..at], &piece, &DIALOGUE[end..]].concat();
        if let Err(problems) = schema::parse(&text, "any") {
            prop_assert!(!problems.is_empty());
            for problem in problems {
                prop_assert!(text.get(problem.offset..problem.offset + problem.length).is_some(), "{problem}");
            }
        }
    }
}
