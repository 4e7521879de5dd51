//! Manifests: what is wrong with one is said all at once, and what comes back is what was written.
#![cfg(feature = "yaml")]
#![allow(clippy::unwrap_used)]

use retrotap_abi::manifest::{GenericField, Input, Manifest, ManifestError, ParameterDefault};

const HEALTHY: &str = "
stage: some-stage
version: 1.2.3
abi: 1
title: A stage
input: frame
records:
  - record: reading
    fields: [{name: level_m, unit: m, range: [0, 10]}, {name: at, kind: row, table: marks, optional: true}]
parameters:
  - {name: factor, default: 0.1, minimum: -1, maximum: 1}
  - {name: mode, choices: [slow, fast], default: fast}
tables: [{name: marks, rows_max: 2, columns: [{name: at_m, unit: m}]}]
reasons: [{name: too_high}]
sizes: {frame_bytes_max: 9, output_bytes_max: 64, records_max: 2, memory_bytes: 4096}
time_budget_us: 1000
state: {layout: counters, bytes: 16}
";

/// The healthy manifest with one thing replaced.
fn with(from: &str, to: &str) -> Result<Manifest, ManifestError> {
    assert!(HEALTHY.contains(from), "{from}");
    Manifest::from_yaml(&HEALTHY.replace(from, to))
}

fn problem(from: &str, to: &str) -> String {
    with(from, to).unwrap_err().to_string()
}

#[test]
fn a_manifest_comes_back_from_json_as_it_was() {
    let manifest = Manifest::from_yaml(HEALTHY).unwrap();
    assert_eq!(
        Manifest::from_json(manifest.to_json().as_bytes()).unwrap(),
        manifest
    );
    assert_eq!(manifest.id(), "some-stage@1.2.3");
}

#[test]
fn offsets_follow_from_the_manifest() {
    let manifest = Manifest::from_yaml(HEALTHY).unwrap();
    assert_eq!(
        (
            manifest.input_bytes(),
            manifest.table_offset(0),
            manifest.config_bytes()
        ),
        (16, 16, 40)
    );
    assert_eq!(manifest.table_offset(99), 40);
}

#[test]
fn an_input_is_a_frame_or_a_record_and_nothing_else() {
    let record = with(
        "input: frame",
        "input: {record: axes, fields: [{name: x_m, unit: m}]}",
    );
    assert!(problem("input: frame", "input: frames").contains("frames"));
    assert!(problem("input: frame", "input: {records: axes}").contains("records"));
    let text = record.unwrap_err().to_string();
    assert_eq!(
        text,
        "sizes.frame_bytes_max: is given, but the input is a record"
    );
    let both = HEALTHY
        .replace(
            "input: frame",
            "input: {record: axes, fields: [{name: x_m}]}",
        )
        .replace("frame_bytes_max: 9, ", "");
    assert!(matches!(
        Manifest::from_yaml(&both).unwrap().input,
        Input::Record(_)
    ));
}

#[test]
fn an_unknown_key_is_an_error() {
    for (from, to) in [
        ("abi: 1", "abi: 1\nsigned: yes"),
        ("unit: m, range", "units: m, range"),
        ("rows_max: 2", "rows: 2"),
    ] {
        assert!(
            matches!(with(from, to), Err(ManifestError::Shape(_))),
            "{to}"
        );
    }
}

#[test]
fn every_rule_is_named_where_it_is_broken() {
    let broken = [
        (
            "some-stage",
            "Some Stage",
            "stage: `Some Stage` is not a name",
        ),
        ("abi: 1", "abi: 2", "abi: is 2, but this is ABI 1"),
        ("title: A stage", "title: ' '", "title: is empty"),
        (
            "record: reading",
            "record: Reading",
            "records[0]: `Reading` is not a name",
        ),
        (
            "name: at, kind",
            "name: level_m, kind",
            "records[0].fields[1]: `level_m` stands there twice",
        ),
        (
            "[0, 10]",
            "[10, 0]",
            "records[0].fields[0].range: expected two numbers",
        ),
        (
            "unit: m, range",
            "unit: 'm m', range",
            "records[0].fields[0].unit: `m m` is not a unit",
        ),
        (
            "table: marks",
            "table: mark",
            "records[0].fields[1].table: there is no table `mark`",
        ),
        (
            "kind: row, table: marks",
            "kind: row",
            "records[0].fields[1].table: is missing",
        ),
        (
            "kind: row, table: marks",
            "kind: choice",
            "records[0].fields[1].choices: needs at least two names",
        ),
        (
            "default: 0.1",
            "default: 2",
            "parameters[0].default: 2 is out of range: -1 to 1",
        ),
        (
            "default: 0.1",
            "default: fast",
            "parameters[0].default: `fast` is not a number",
        ),
        (
            "minimum: -1",
            "minimum: 1",
            "parameters[0].minimum: expected to be below the maximum",
        ),
        (
            "default: fast",
            "default: swift",
            "parameters[1].default: `swift` is none of slow, fast",
        ),
        (
            "rows_max: 2",
            "rows_max: 0",
            "tables[0].rows_max: is 0, expected 1 to 1024",
        ),
        (
            "name: too_high",
            "name: too-high",
            "reasons[0]: `too-high` is not a name",
        ),
        (
            "frame_bytes_max: 9",
            "frame_bytes_max: 0",
            "sizes.frame_bytes_max: is 0",
        ),
        (
            "output_bytes_max: 64",
            "output_bytes_max: 8",
            "sizes.output_bytes_max: is 8, but one record alone takes 24",
        ),
        (
            "records_max: 2",
            "records_max: 0",
            "sizes.records_max: is 0",
        ),
        (
            "memory_bytes: 4096",
            "memory_bytes: 64",
            "sizes.memory_bytes: is 64, but input, configuration and output alone take 120",
        ),
        (
            "time_budget_us: 1000",
            "time_budget_us: 10001",
            "time_budget_us: is 10001, expected 1 to 10000",
        ),
        ("bytes: 16", "bytes: 0", "state.bytes: is 0"),
    ];
    for (from, to, expected) in broken {
        let found = problem(from, to);
        assert!(found.starts_with(expected), "{to}: {found}");
        assert_eq!(found.lines().count(), 1, "{to}: {found}");
    }
}

const GENERIC: &str = "
stage: some-stage
version: 1.2.3
abi: 1
title: A generic stage
input: frame
records: [{record: reading}, {record: oddity, fields: [{name: field, kind: row, table: fields}]}]
parameters: [{name: factor, default: 0.1}]
field_kinds: [f64, bool]
field_parameters:
  - {name: place, minimum: 0, maximum: 9}
  - {name: mark, bytes_max: 10}
  - {name: side, choices: [left, right], default: right}
tables: [{name: marks, rows_max: 2, columns: [{name: at_m, unit: m}]}]
sizes: {frame_bytes_max: 9, output_bytes_max: 264, records_max: 2, memory_bytes: 4096}
time_budget_us: 1000
fields: adapter
";

#[test]
fn the_field_table_stands_between_parameters_and_tables() {
    let manifest = Manifest::from_yaml(GENERIC).unwrap();
    // Its kind, a place, ten bytes in two slots, a side.
    assert_eq!(manifest.field_slots(), 5);
    assert_eq!(manifest.field_slot(2), 4);
    assert_eq!(manifest.field_table_offset(), 8);
    assert_eq!(manifest.field_table_bytes(), 8 + 32 * 5 * 8);
    assert_eq!(manifest.table_offset(0), 8 + 8 + 32 * 5 * 8);
    // Where a stage has nothing to know of its fields, there is no such table.
    assert_eq!(Manifest::from_yaml(HEALTHY).unwrap().field_table_bytes(), 0);
}

#[test]
fn a_manifest_with_its_fields_in_it_comes_back_from_json_as_it_was() {
    let field = GenericField {
        name: "level_m".into(),
        unit: Some("m".into()),
        params: [
            ("place".into(), ParameterDefault::Number(3.0)),
            ("mark".into(), ParameterDefault::Choice("#".into())),
        ]
        .into(),
        ..GenericField::default()
    };
    let generic = Manifest::from_yaml(GENERIC).unwrap();
    let manifest = generic.with_fields(&[field], Some("level")).unwrap();
    assert!(generic.is_generic() && !manifest.is_generic());
    assert_eq!(
        Manifest::from_json(manifest.to_json().as_bytes()).unwrap(),
        manifest
    );
    assert_eq!(manifest.records[0].record, "level");
    assert_eq!(manifest.records[0].fields[0].unit.as_deref(), Some("m"));
    // Where its areas stand doesn't depend on how many fields there are: the stage was built before.
    assert_eq!(manifest.config_bytes(), generic.config_bytes());
}

#[test]
fn every_rule_of_a_generic_stage_is_named_where_it_is_broken() {
    let broken = [
        (
            "fields: adapter",
            "fields: adaptor",
            "`fields` is `adapter`, or a list",
        ),
        ("[f64, bool]", "[f64, row]", "field_kinds[1]: is not f64"),
        (
            "[f64, bool]",
            "[f64, f64]",
            "field_kinds[1]: stands there twice",
        ),
        (
            "name: mark, b",
            "name: place, b",
            "field_parameters[1]: `place` stands there twice",
        ),
        (
            "bytes_max: 10",
            "bytes_max: 129",
            "field_parameters[1].bytes_max: is 129",
        ),
        (
            "bytes_max: 10",
            "bytes_max: 10, unit: m",
            "field_parameters[1]: is text: minimum",
        ),
        (
            "default: right",
            "default: up",
            "field_parameters[2].default: `up` is none of left, right",
        ),
        (
            "name: factor, default: 0.1",
            "name: factor, bytes_max: 8",
            "parameters[0]: is text, which only",
        ),
        (
            "name: marks",
            "name: fields",
            "tables[0]: `fields` is what the fields",
        ),
        (
            "table: fields",
            "table: field",
            "records[1].fields[0].table: there is no table `field`",
        ),
    ];
    for (from, to, expected) in broken {
        assert!(GENERIC.contains(from), "{from}");
        let found = Manifest::from_yaml(&GENERIC.replace(from, to)).unwrap_err();
        let found = found.to_string();
        assert!(found.contains(expected), "{to}: {found}");
    }
    let own = GENERIC.replace("fields: adapter", "");
    let found = Manifest::from_yaml(&own).unwrap_err().to_string();
    for path in ["field_kinds: is given", "field_parameters: is given"] {
        assert!(found.contains(path), "{found}");
    }
}

#[test]
fn all_problems_come_at_once() {
    let yaml = HEALTHY
        .replace("abi: 1", "abi: 7")
        .replace("title: A stage", "title: ''")
        .replace("default: 0.1", "default: 9");
    assert_eq!(
        Manifest::from_yaml(&yaml)
            .unwrap_err()
            .to_string()
            .lines()
            .count(),
        3
    );
}

#[test]
fn too_much_of_anything_is_an_error() {
    let fields: String = (0..33)
        .map(|field| format!("{{name: f{field}}}, "))
        .collect();
    let yaml = HEALTHY
        .replace("{name: level_m, unit: m, range: [0, 10]},", &fields)
        .replace("output_bytes_max: 64", "output_bytes_max: 1024");
    assert_eq!(
        Manifest::from_yaml(&yaml).unwrap_err().to_string(),
        "records[0].fields: has 34 entries, at most 32 are allowed"
    );
    let long = "a".repeat(49);
    assert!(
        problem("record: reading", &format!("record: {long}")).contains("longer than 48 bytes")
    );
}
