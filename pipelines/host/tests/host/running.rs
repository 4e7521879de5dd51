//! Pipelines that run: records in their order, ticks, and calls that are skipped.

use retrotap_host::{Pipeline, Value, Verdict};

use crate::support::{engines, guest, load, module_of, spec};

#[test]
fn records_come_in_the_order_of_emission_with_their_texts() {
    for engine in engines() {
        let mut pipeline = load(&engine, &guest("emits_twice"));
        let outcome = pipeline.process(b"frame", 0);
        let read: Vec<Vec<_>> = outcome
            .records()
            .map(|record| record.fields().collect())
            .collect();
        let first = vec![("value", Value::F64(1.5)), ("note", Value::Text("größe"))];
        assert_eq!(read, [first, vec![("value", Value::F64(2.5))]]);
    }
}

#[test]
fn a_stage_is_called_once_per_record_and_not_where_a_field_that_it_needs_is_missing() {
    // The healthy guest's code emits one record for each call.
    let taker = module_of(
        "{stage: taker, version: 1.0.0, abi: 1, title: takes, \
         input: {record: reading, fields: [{name: value}, {name: open, kind: bool}]}, \
         records: [{record: taken, fields: [{name: value}]}], \
         sizes: {output_bytes_max: 128, records_max: 1, memory_bytes: 4096}, time_budget_us: 1000}",
    );
    let second = module_of(
        "{stage: second, version: 1.0.0, abi: 1, title: takes, input: {record: reading, fields: [{name: value}]}, \
         records: [{record: seen, fields: [{name: value}]}], \
         sizes: {output_bytes_max: 128, records_max: 1, memory_bytes: 4096}, time_budget_us: 1000}",
    );
    for engine in engines() {
        let stages = vec![spec(&guest("emits_twice")), spec(&taker), spec(&second)];
        let mut pipeline = Pipeline::load(&engine, stages).unwrap();
        let names: Vec<&str> = pipeline
            .process(b"frame", 0)
            .records()
            .map(|record| record.name())
            .collect();
        assert_eq!(names, ["reading", "reading", "seen", "seen"]);
        let counts: Vec<_> = pipeline
            .counts()
            .map(|(stage, counts)| (stage, counts.calls, counts.skipped))
            .collect();
        assert_eq!(counts, [("guest", 1, 0), ("taker", 0, 2), ("second", 2, 0)]);
    }
}

#[test]
fn a_tick_reaches_the_stages_that_have_one_and_its_records_go_on() {
    let taker = module_of(
        "{stage: taker, version: 1.0.0, abi: 1, title: takes, input: {record: reading, fields: [{name: value}]}, \
         records: [{record: taken, fields: [{name: value}]}], \
         sizes: {output_bytes_max: 128, records_max: 1, memory_bytes: 4096}, time_budget_us: 1000}",
    );
    for engine in engines() {
        let mut pipeline =
            Pipeline::load(&engine, vec![spec(&guest("counts_ticks")), spec(&taker)]).unwrap();
        assert_eq!(pipeline.process(b"frame", 0).records().count(), 0);
        pipeline.tick(1);
        let outcome = pipeline.tick(2);
        let names: Vec<_> = outcome.records().map(|record| record.name()).collect();
        assert_eq!(names, ["reading", "taken"]);
        assert_eq!(
            outcome.records().next().unwrap().fields().next(),
            Some(("value", Value::F64(2.0)))
        );
    }
}

#[test]
fn a_rejection_by_a_later_stage_keeps_back_the_records_of_the_earlier_ones() {
    let rejecting = module_of(
        "{stage: rejecting, version: 1.0.0, abi: 1, title: rejects, input: {record: reading, fields: [{name: value}]}, \
         records: [{record: whole, fields: [{name: value}, {name: needed}]}], \
         sizes: {output_bytes_max: 128, records_max: 1, memory_bytes: 4096}, time_budget_us: 1000}",
    );
    for engine in engines() {
        let mut pipeline =
            Pipeline::load(&engine, vec![spec(&guest("healthy")), spec(&rejecting)]).unwrap();
        let outcome = pipeline.process(b"frame", 0);
        let reason = retrotap_host::REQUIRED_FIELD_ABSENT;
        assert_eq!(
            outcome.verdict(),
            Verdict::Rejected {
                stage: "rejecting",
                reason
            }
        );
        assert_eq!(outcome.records().count(), 0);
    }
}
