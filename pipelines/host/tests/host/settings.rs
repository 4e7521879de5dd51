//! Parameters and tables: what is wrong is said, and what was set before holds.

use retrotap_host::{Engine, ParamValue, Pipeline, SettingError, Table, TableRow, Value, Verdict};

use crate::support::{engines, guest, load, module_of, spec};

fn number(value: f64) -> ParamValue {
    ParamValue::Number { value, unit: None }
}

fn in_unit(value: f64, unit: &str) -> ParamValue {
    ParamValue::Number {
        value,
        unit: Some(unit.into()),
    }
}

fn marks(columns: &[&str], rows: &[(&str, &[f64])]) -> Table {
    let row = |(name, values): &(&str, &[f64])| TableRow {
        name: (*name).into(),
        values: values.to_vec(),
    };
    Table {
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        rows: rows.iter().map(row).collect(),
    }
}

fn message(result: Result<(), SettingError>) -> String {
    result.unwrap_err().to_string()
}

/// Emits the first cell of its table and the row it stands in, and rejects where the limit is below it.
fn reader(engine: &Engine) -> Pipeline {
    load(engine, &guest("reads_its_tables"))
}

fn value_and_row(pipeline: &mut Pipeline) -> Vec<(String, String)> {
    let outcome = pipeline.process(b"frame", 0);
    let record = outcome.records().next().unwrap();
    record
        .fields()
        .map(|(name, value)| (name.to_owned(), format!("{value:?}")))
        .collect()
}

#[test]
fn a_live_table_is_seen_by_the_next_input_and_rows_leave_by_their_names() {
    for engine in engines() {
        let mut pipeline = reader(&engine);
        pipeline
            .set_table(
                "guest",
                "marks",
                &marks(&["at_m"], &[("first", &[2.5]), ("second", &[3.5])]),
            )
            .unwrap();
        let expected = [
            ("value".into(), "F64(2.5)".into()),
            ("nearest".into(), "Text(\"first\")".into()),
        ];
        assert_eq!(value_and_row(&mut pipeline), expected);
        pipeline
            .set_table("guest", "marks", &marks(&["at_m"], &[("other", &[1.0])]))
            .unwrap();
        let expected = [
            ("value".into(), "F64(1.0)".into()),
            ("nearest".into(), "Text(\"other\")".into()),
        ];
        assert_eq!(value_and_row(&mut pipeline), expected);
    }
}

#[test]
fn a_configuration_that_the_stage_refuses_leaves_the_one_before() {
    for engine in engines() {
        let mut pipeline = reader(&engine);
        pipeline
            .set_table("guest", "marks", &marks(&["at_m"], &[("kept", &[2.0])]))
            .unwrap();
        let refused = message(pipeline.set_param("guest", "limit_m", &number(9.0)));
        assert_eq!(
            refused,
            "the stage refuses it: too_high (the limit is above the ceiling)"
        );
        assert_eq!(value_and_row(&mut pipeline)[0].1, "F64(2.0)");
        assert_eq!(pipeline.process(b"frame", 1).verdict(), Verdict::Accepted);
    }
}

#[test]
fn every_mistake_in_a_parameter_is_named() {
    let mut pipeline = load(&Engine::spacewasm(), &guest("healthy"));
    let mut set =
        |name: &str, value: ParamValue| message(pipeline.set_param("guest", name, &value));
    assert_eq!(
        set("limit", number(1.0)),
        "there is no parameter `limit`; did you mean `limit_m`?"
    );
    assert_eq!(
        set("limit_m", in_unit(1.0, "mm")),
        "parameter `limit_m` is given in mm, expected m"
    );
    assert_eq!(
        set("limit_m", number(11.0)),
        "parameter `limit_m`: 11 is out of range: 0 to 10 m"
    );
    assert!(set("limit_m", number(f64::NAN)).contains("out of range"));
    assert!(set("limit_m", ParamValue::Choice("high".into())).contains("not a number"));
    assert_eq!(
        message(pipeline.set_param("gest", "limit_m", &number(1.0))),
        "there is no stage `gest`; did you mean `guest`?"
    );
    pipeline
        .set_param("guest", "limit_m", &in_unit(2.0, "m"))
        .unwrap();
}

#[test]
fn every_mistake_in_a_table_is_named() {
    let mut pipeline = load(&Engine::spacewasm(), &guest("healthy"));
    let mut set = |table: Table| message(pipeline.set_table("guest", "marks", &table));
    assert_eq!(
        set(marks(&["at"], &[])),
        "table `marks`: column `at` is unknown or stands there twice; did you mean `at_m`?"
    );
    assert!(set(marks(&["at_m", "at_m"], &[])).contains("stands there twice"));
    assert_eq!(
        set(marks(&[], &[])),
        "table `marks`: column `at_m` is missing"
    );
    assert_eq!(
        set(marks(
            &["at_m"],
            &[("a", &[1.0]), ("b", &[1.0]), ("c", &[1.0])]
        )),
        "table `marks` has 3 rows, at most 2 fit"
    );
    assert_eq!(
        set(marks(&["at_m"], &[("a", &[1.0, 2.0])])),
        "table `marks`, row 1: expected 1 finite numbers"
    );
    assert_eq!(
        set(marks(&["at_m"], &[("a", &[f64::INFINITY])])),
        "table `marks`, row 1: expected 1 finite numbers"
    );
    assert!(
        message(pipeline.set_table("guest", "mark", &marks(&[], &[])))
            .contains("did you mean `marks`?")
    );
}

#[test]
fn what_has_no_default_must_be_given_and_a_fixed_table_only_at_loading() {
    let module = module_of(
        "{stage: strict, version: 1.0.0, abi: 1, title: strict, input: frame, \
         parameters: [{name: reach_m, unit: m}, {name: mode, choices: [slow, fast]}], \
         tables: [{name: chain, rows_max: 1, columns: [{name: x_m, unit: m}, {name: y_m, unit: m}]}], \
         sizes: {frame_bytes_max: 8, output_bytes_max: 0, records_max: 0, memory_bytes: 4096}, time_budget_us: 1000}",
    );
    let engine = Engine::spacewasm();
    let errors = Pipeline::load(&engine, vec![spec(&module)]).unwrap_err();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let expected = [
        "strict: parameter `reach_m` must be given: it has no default",
        "strict: parameter `mode` must be given: it has no default",
        "strict: table `chain` must be given",
    ];
    assert_eq!(errors, expected);

    let mut complete = spec(&module);
    complete.params.insert("reach_m".into(), number(1.0));
    complete
        .params
        .insert("mode".into(), ParamValue::Choice("fast".into()));
    complete.tables.insert(
        "chain".into(),
        marks(&["y_m", "x_m"], &[("base", &[1.0, 2.0])]),
    );
    let mut pipeline = Pipeline::load(&engine, vec![complete]).unwrap();
    let fixed = message(pipeline.set_table("strict", "chain", &marks(&["x_m", "y_m"], &[])));
    assert_eq!(
        fixed,
        "table `chain` is fixed: it can only be given when the pipeline is loaded"
    );
    let other = message(pipeline.set_param("strict", "mode", &ParamValue::Choice("swift".into())));
    assert_eq!(other, "parameter `mode`: `swift` is none of slow, fast");
}

#[test]
fn a_value_is_seen_as_what_it_is() {
    let mut pipeline = load(&Engine::spacewasm(), &guest("healthy"));
    let outcome = pipeline.process(b"frame", 0);
    let record = outcome.records().next().unwrap();
    assert_eq!((record.name(), record.module()), ("reading", "guest@1.0.0"));
    assert_eq!(
        record.fields().collect::<Vec<_>>(),
        [("value", Value::F64(1.5))]
    );
}
