//! What can't be bound is said at loading, all of it at once.

use std::sync::Arc;

use retrotap_host::{
    Engine, GenericField, Kind, Module, ParamValue, ParameterDefault, Pipeline, StageSpec,
};

use crate::support::{guest, module_of, spec};

/// A stage that takes `input` and emits nothing.
fn taker(name: &str, input: &str) -> Arc<Module> {
    module_of(&format!(
        "{{stage: {name}, version: 1.0.0, abi: 1, title: takes, input: {input}, \
         sizes: {{output_bytes_max: 0, records_max: 0, memory_bytes: 4096}}, time_budget_us: 1000}}"
    ))
}

fn generic() -> Arc<Module> {
    module_of(
        "{stage: generic, version: 1.0.0, abi: 1, title: any, input: {}, records: [{record: same}], fields: adapter, \
         sizes: {output_bytes_max: 264, records_max: 1, memory_bytes: 4096}, time_budget_us: 1000}",
    )
}

fn from(name: &str, from: &str) -> GenericField {
    GenericField {
        name: name.into(),
        from: Some(from.into()),
        ..GenericField::default()
    }
}

fn errors(specs: Vec<StageSpec>) -> Vec<String> {
    match Pipeline::load(&Engine::spacewasm(), specs) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_record_is_found_by_its_name_in_an_earlier_stage() {
    let stage = taker(
        "after",
        "{record: reading, fields: [{name: value}, {name: elsewhere, optional: true}]}",
    );
    assert_eq!(errors(vec![spec(&guest("healthy")), spec(&stage)]), [""; 0]);
}

#[test]
fn a_record_that_nobody_emits_before_is_an_error_with_a_suggestion() {
    let stage = taker("after", "{record: readings, fields: [{name: value}]}");
    let expected = "after: takes `readings`, which no earlier stage emits; did you mean `reading`?";
    assert_eq!(
        errors(vec![spec(&guest("healthy")), spec(&stage)]),
        [expected]
    );
    let alone = errors(vec![spec(&stage), spec(&guest("healthy"))]);
    assert_eq!(
        alone,
        ["after: takes `readings`, which no earlier stage emits"]
    );
}

#[test]
fn missing_fields_other_units_and_other_kinds_are_all_said_at_once() {
    let stage = taker(
        "after",
        "{record: reading, fields: [{name: valu}, {name: value, unit: m}, {name: open}, \
         {name: mode, kind: choice, choices: [off, automatic]}]}",
    );
    let expected = [
        "after: needs `reading.valu`, which guest does not emit; did you mean `value`?",
        "after: takes `reading.value` in m, but guest emits it in no unit",
        "after: takes `reading.open` as another kind of value than guest emits",
        "after: takes `reading.mode` as another kind of value than guest emits",
    ];
    assert_eq!(
        errors(vec![spec(&guest("healthy")), spec(&stage)]),
        expected
    );
}

#[test]
fn errors_of_all_stages_come_together() {
    let mut first = spec(&guest("healthy"));
    first.params.insert(
        "limit".into(),
        ParamValue::Number {
            value: 1.0,
            unit: None,
        },
    );
    let stage = taker("after", "{record: nothing, fields: [{name: value}]}");
    let found = errors(vec![first, spec(&stage), spec(&stage)]);
    assert_eq!(
        found[0],
        "guest: there is no parameter `limit`; did you mean `limit_m`?"
    );
    assert!(found[1].starts_with("after: takes `nothing`"), "{found:?}");
    assert_eq!(found[2], "after: stands in the pipeline twice");
}

#[test]
fn a_generic_stage_gets_its_fields_from_the_adapter() {
    let mut stage = spec(&generic());
    stage.fields = Some(vec![from("level", "reading.value")]);
    let pipeline =
        Pipeline::load(&Engine::spacewasm(), vec![spec(&guest("healthy")), stage]).unwrap();
    let schema = pipeline.schema().last().unwrap();
    assert_eq!(
        (schema.module, schema.record.record.as_str()),
        ("generic@1.0.0", "same")
    );
    assert_eq!(schema.record.fields[0].name, "level");
}

#[test]
fn wrong_fields_of_a_generic_stage_are_named() {
    let healthy = || spec(&guest("healthy"));
    let with = |fields| StageSpec {
        fields,
        ..spec(&generic())
    };
    assert_eq!(
        errors(vec![healthy(), with(None)]),
        ["generic: the stage is generic: list its `fields`"]
    );
    let two = with(Some(vec![
        from("a", "reading.value"),
        from("b", "other.value"),
    ]));
    let expected =
        "generic: fields[1].from: is of `other`, others of `reading`, but one call gets one record";
    assert_eq!(errors(vec![healthy(), two]), [expected]);
    let nowhere = with(Some(vec![from("a", "value")]));
    assert!(errors(vec![healthy(), nowhere])[0].contains("say where it comes from"));
    let unwanted = StageSpec {
        fields: Some(vec![]),
        ..healthy()
    };
    assert!(errors(vec![unwanted])[0].contains("for generic stages"));
}

/// A stage that has to know a place and a mark of each field, and takes two kinds.
fn told() -> Arc<Module> {
    module_of(
        "{stage: told, version: 1.0.0, abi: 1, title: any, input: frame, records: [{record: same}], fields: adapter, \
         field_kinds: [f64, text], field_parameters: [{name: place, minimum: 0, maximum: 9}, \
         {name: side, choices: [left, right], default: left}, {name: mark, bytes_max: 10, default: '#'}], \
         sizes: {frame_bytes_max: 8, output_bytes_max: 264, records_max: 1, memory_bytes: 4096}, time_budget_us: 1000}",
    )
}

fn with_params(name: &str, params: &[(&str, ParameterDefault)]) -> GenericField {
    GenericField {
        name: name.into(),
        params: params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        ..GenericField::default()
    }
}

fn text(text: &str) -> ParameterDefault {
    ParameterDefault::Choice(text.into())
}

#[test]
fn what_a_stage_is_told_of_its_fields_is_checked_all_at_once() {
    let field = with_params(
        "a",
        &[
            ("place", ParameterDefault::Number(10.0)),
            ("side", text("lef")),
            ("mark", text("longer than ten")),
            ("plac", ParameterDefault::Number(1.0)),
        ],
    );
    let unplaced = GenericField {
        kind: Kind::Bool,
        from: Some("reading.value".into()),
        ..with_params("b", &[("mark", ParameterDefault::Number(5.0))])
    };
    let stage = StageSpec {
        fields: Some(vec![field, unplaced]),
        ..spec(&told())
    };
    let expected = "told: \
        fields[0].params.mark: `longer than ten` is not text of 1 to 10 bytes\n\
        fields[0].params.plac: is not known; there are place, side, mark\n\
        fields[0].params.place: 10 is out of range: 0 to 9\n\
        fields[0].params.side: `lef` is none of left, right\n\
        fields[1].kind: is bool, but the stage takes f64, text\n\
        fields[1].from: is given, but the stage takes frames, which have no fields\n\
        fields[1].params.mark: 5 is a number: write text in quotes\n\
        fields[1].params.place: must be given: it has no default";
    assert_eq!(errors(vec![stage]), [expected]);
}

#[test]
fn the_adapter_may_name_the_record_of_its_fields() {
    let place = ("place", ParameterDefault::Number(1.0));
    let named = |record: &str| StageSpec {
        fields: Some(vec![with_params("a", std::slice::from_ref(&place))]),
        record: Some(record.into()),
        ..spec(&told())
    };
    let pipeline = Pipeline::load(&Engine::spacewasm(), vec![named("level")]).unwrap();
    let manifest = pipeline.manifests().next().unwrap();
    assert_eq!(manifest.records[0].record, "level");
    assert_eq!(
        manifest.given_fields()[0].params["place"],
        ParameterDefault::Number(1.0)
    );
    let message = errors(vec![named("Level")]);
    assert!(
        message[0].contains("records[0]: `Level` is not a name"),
        "{message:?}"
    );
    let unwanted = StageSpec {
        record: Some("level".into()),
        ..spec(&guest("healthy"))
    };
    assert!(errors(vec![unwanted])[0].contains("for generic stages"));
}
