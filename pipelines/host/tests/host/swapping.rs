//! Another version of a stage takes its place between two inputs.

use std::sync::Arc;

use retrotap_host::{
    Alone, Engine, Given, Manifest, Module, ParamValue, Pipeline, Successor, Table, TableRow,
    Value, Verdict, pack,
};

use super::support::{engines, load, spec};

/// Counts its inputs in a block that a swap carries over, and emits `limit_m` plus what it counted times
/// `step`.
fn counter(version: &str, step: f64, change: impl Fn(String) -> String) -> Arc<Module> {
    let code = wat::parse_str(format!(
        r#"(module
          (memory (export "memory") 4096 4096 (pagesize 1))
          (func (export "rt_abi") (result i32) i32.const 1)
          (func (export "rt_input") (result i32) i32.const 0)
          (func (export "rt_config") (result i32) i32.const 64)
          (func (export "rt_output") (result i32) i32.const 128)
          (func (export "rt_state") (result i32) i32.const 256)
          (func (export "rt_configure") (result i32) i32.const 0)
          (func (export "rt_process") (param i32 i64) (result i32)
            (f64.store (i32.const 256) (f64.add (f64.load (i32.const 256)) (f64.const 1)))
            (i32.store (i32.const 128) (i32.const 0))
            (i32.store (i32.const 132) (i32.const 1))
            (f64.store (i32.const 136) (f64.add (f64.load (i32.const 64))
              (f64.mul (f64.load (i32.const 256)) (f64.const {step}))))
            (if (i32.eq (i32.load8_u (i32.const 0)) (i32.const 0xFF)) (then unreachable))
            i32.const 1))"#
    ))
    .unwrap();
    let yaml = format!(
        "stage: counter
version: {version}
abi: 1
title: Counts
input: frame
records: [{{record: reading, fields: [{{name: value}}]}}]
parameters: [{{name: limit_m, unit: m, default: 0.0, minimum: 0.0, maximum: 10.0}}]
tables: [{{name: marks, live: true, rows_max: 2, columns: [{{name: at_m, unit: m}}]}}]
sizes: {{frame_bytes_max: 16, output_bytes_max: 64, records_max: 1, memory_bytes: 4096}}
time_budget_us: 1000
state: {{layout: counter_1, bytes: 8}}
"
    );
    let manifest = Manifest::from_yaml(&change(yaml)).unwrap();
    Arc::new(Module::parse(&pack(&code, &manifest).unwrap()).unwrap())
}

fn plain(text: String) -> String {
    text
}

fn metres(value: f64) -> ParamValue {
    ParamValue::Number {
        value,
        unit: Some("m".to_owned()),
    }
}

fn value(pipeline: &mut Pipeline) -> f64 {
    let outcome = pipeline.process(&[1], 0);
    assert_eq!(outcome.verdict(), Verdict::Accepted);
    let record = outcome.records().next().unwrap();
    match record.fields().next() {
        Some((_, Value::F64(value))) => value,
        other => panic!("{other:?}"),
    }
}

fn swap(engine: &Engine, pipeline: &mut Pipeline, module: &Arc<Module>) -> Result<bool, String> {
    let next = Successor::new(engine, &spec(module)).unwrap();
    pipeline.swap(&next).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("; ")
    })
}

#[test]
fn what_was_given_and_what_was_counted_goes_over_to_the_next_version() {
    for engine in engines() {
        let mut pipeline = load(&engine, &counter("1.0.0", 1.0, plain));
        pipeline
            .set_param("counter", "limit_m", &metres(5.0))
            .unwrap();
        assert_eq!([value(&mut pipeline), value(&mut pipeline)], [6.0, 7.0]);
        let next = counter("1.1.0", 100.0, plain);
        assert_eq!(swap(&engine, &mut pipeline, &next), Ok(true));
        assert_eq!(value(&mut pipeline), 305.0);
        let id = pipeline.schema().next().unwrap().module.to_owned();
        assert_eq!(id, "counter@1.1.0");
    }
}

#[test]
fn a_default_belongs_to_its_version() {
    for engine in engines() {
        let mut pipeline = load(&engine, &counter("1.0.0", 1.0, plain));
        let next = counter("1.1.0", 1.0, |text| {
            text.replace("default: 0.0", "default: 3.0")
        });
        swap(&engine, &mut pipeline, &next).unwrap();
        assert_eq!(value(&mut pipeline), 4.0);
    }
}

#[test]
fn another_layout_begins_anew() {
    for engine in engines() {
        let mut pipeline = load(&engine, &counter("1.0.0", 1.0, plain));
        assert_eq!(value(&mut pipeline), 1.0);
        for other in [
            "layout: counter_2, bytes: 8",
            "layout: counter_1, bytes: 16",
        ] {
            let next = counter("1.1.0", 1.0, |text| {
                text.replace("layout: counter_1, bytes: 8", other)
            });
            assert_eq!(swap(&engine, &mut pipeline, &next), Ok(false));
            assert_eq!(value(&mut pipeline), 1.0);
        }
    }
}

#[test]
fn what_does_not_fit_is_told_and_nothing_has_changed() {
    for engine in engines() {
        let mut pipeline = load(&engine, &counter("1.0.0", 1.0, plain));
        pipeline
            .set_param("counter", "limit_m", &metres(5.0))
            .unwrap();
        let row = |name: &str| TableRow {
            name: name.to_owned(),
            values: vec![1.0],
        };
        let marks = Table {
            columns: vec!["at_m".to_owned()],
            rows: ["a", "b"].map(row).to_vec(),
        };
        pipeline.set_table("counter", "marks", &marks).unwrap();
        for (change, said) in [
            (("name: limit_m", "name: limit"), "no parameter `limit_m`"),
            (("maximum: 10.0", "maximum: 4.0"), "limit_m"),
            (("limit_m, unit: m", "limit_m, unit: mm"), "given in m"),
            (("name: marks", "name: lines"), "no table `marks`"),
            (("rows_max: 2", "rows_max: 1"), "at most 1 fit"),
            (("stage: counter", "stage: other"), "no stage `other`"),
        ] {
            let yaml = |text: String| text.replace(change.0, change.1);
            let next = counter("1.1.0", 1.0, yaml);
            let refused = swap(&engine, &mut pipeline, &next).unwrap_err();
            assert!(refused.contains(said), "{change:?}: {refused}");
        }
        assert_eq!(value(&mut pipeline), 6.0);
    }
}

#[test]
fn a_stage_after_it_is_bound_anew_or_the_swap_refused() {
    let reader = |fields: &str| {
        let yaml = format!(
            "stage: reader
version: 1.0.0
abi: 1
title: Reads
input: {{record: reading, fields: [{fields}]}}
records: [{{record: seen, fields: [{{name: value}}]}}]
sizes: {{output_bytes_max: 64, records_max: 1, memory_bytes: 4096}}
time_budget_us: 1000
"
        );
        // Emits the second slot of what it takes, or the first where there is one alone.
        let code = wat::parse_str(
            r#"(module
              (memory (export "memory") 4096 4096 (pagesize 1))
              (func (export "rt_abi") (result i32) i32.const 1)
              (func (export "rt_input") (result i32) i32.const 0)
              (func (export "rt_config") (result i32) i32.const 64)
              (func (export "rt_output") (result i32) i32.const 128)
              (func (export "rt_configure") (result i32) i32.const 0)
              (func (export "rt_process") (param i32 i64) (result i32)
                (i32.store (i32.const 128) (i32.const 0))
                (i32.store (i32.const 132) (i32.const 1))
                (f64.store (i32.const 136) (f64.load (i32.const 8)))
                i32.const 1))"#,
        )
        .unwrap();
        let manifest = Manifest::from_yaml(&yaml).unwrap();
        Arc::new(Module::parse(&pack(&code, &manifest).unwrap()).unwrap())
    };
    for engine in engines() {
        let both = vec![
            spec(&counter("1.0.0", 1.0, plain)),
            spec(&reader("{name: value}")),
        ];
        let mut pipeline = Pipeline::load(&engine, both).unwrap();
        let renamed = counter("1.1.0", 1.0, |text| {
            text.replace("name: value", "name: count")
        });
        let refused = swap(&engine, &mut pipeline, &renamed).unwrap_err();
        assert!(refused.contains("reading.value"), "{refused}");
        // The value moves to the second slot: what the first holds must not be taken for it.
        let moved = counter("1.1.0", 7.0, |text| {
            text.replace(
                "{name: value}",
                "{name: other, optional: true}, {name: value}",
            )
        });
        swap(&engine, &mut pipeline, &moved).unwrap();
        // It still writes the first slot alone, so what must be there isn't: nothing is misread.
        assert!(matches!(
            pipeline.process(&[1], 0).verdict(),
            Verdict::Rejected {
                stage: "counter",
                ..
            }
        ));
    }
}

#[test]
fn a_stage_that_was_put_aside_is_replaced_without_its_state() {
    for engine in engines() {
        let mut pipeline = load(&engine, &counter("1.0.0", 1.0, plain));
        for _ in 0..5 {
            assert!(matches!(
                pipeline.process(&[0xFF], 0).verdict(),
                Verdict::Struck { .. }
            ));
        }
        assert_eq!(pipeline.set_aside(), Some("counter"));
        let next = counter("1.0.1", 1.0, plain);
        assert_eq!(swap(&engine, &mut pipeline, &next), Ok(false));
        assert_eq!(pipeline.set_aside(), None);
        assert_eq!(value(&mut pipeline), 1.0);
    }
}

#[test]
fn a_successor_serves_more_than_one_pipeline() {
    for engine in engines() {
        let next = Successor::new(&engine, &spec(&counter("1.1.0", 10.0, plain))).unwrap();
        for _ in 0..3 {
            let mut pipeline = load(&engine, &counter("1.0.0", 1.0, plain));
            assert!(pipeline.swap(&next).unwrap());
            assert_eq!(value(&mut pipeline), 10.0);
        }
    }
}

#[test]
fn a_manifest_with_state_needs_the_export() {
    let yaml = std::fs::read_to_string(super::support::folder().join("manifest.yaml")).unwrap();
    let manifest = Manifest::from_yaml(&format!("{yaml}state: {{layout: a, bytes: 8}}\n")).unwrap();
    let refused = pack(&super::support::code("healthy"), &manifest).unwrap_err();
    assert!(refused.to_string().contains("rt_state"), "{refused}");
}

#[test]
fn a_stage_alone_is_called_with_what_somebody_made_up() {
    let engine = engines().remove(0);
    let mut alone = Alone::start(&engine, &spec(&counter("1.0.0", 2.0, plain))).unwrap();
    let outcome = alone.frame(&[1, 2], 5).unwrap();
    assert_eq!(outcome.records().count(), 1);
    let values = [("value".to_owned(), Given::Number(1.0))].into();
    assert!(alone.record(&values, 6).is_err());
}
