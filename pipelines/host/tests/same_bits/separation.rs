//! The separation as a gateway sees it: what a rule needs to be told, the worked example, ticks, and
//! what is not said. In every engine.

use std::collections::BTreeMap;

use retrotap_host::{Outcome, ParamValue, Pipeline, SettingError, Value, Verdict};

use crate::stages::{
    FRAME_NS, OBSTACLE_COLUMNS, STOPPING_COLUMNS, everywhere, frame, iso, number, table,
};

const CYCLE_NS: i64 = 7 * FRAME_NS;

/// A cycle at rest that ends at `t_ns`, and what its last frame gave.
fn cycle(pipeline: &mut Pipeline, t_ns: i64) -> Outcome<'_> {
    for axis in 0..6 {
        pipeline.process(&frame(axis, 0), t_ns - (6 - axis as i64) * FRAME_NS);
    }
    pipeline.process(&frame(6, 0), t_ns)
}

/// The numbers and names of the record `separation`, if there is one.
fn separation(outcome: &Outcome<'_>) -> Option<BTreeMap<String, String>> {
    let mut named = outcome
        .records()
        .filter(|record| record.name() == "separation");
    let record = named.next()?;
    assert!(named.next().is_none(), "one at a time");
    let text = |value: Value<'_>| match value {
        Value::F64(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Text(text) => text.to_owned(),
    };
    let fields = record.fields();
    Some(
        fields
            .map(|(name, value)| (name.to_owned(), text(value)))
            .collect(),
    )
}

fn near(fields: &BTreeMap<String, String>, name: &str, expected: f64) {
    let seen: f64 = fields[name].parse().unwrap();
    assert!(
        (seen - expected).abs() < 1e-6,
        "{name}: {seen} for {expected}"
    );
}

fn set(pipeline: &mut Pipeline, name: &str, value: ParamValue) -> Result<(), SettingError> {
    pipeline.set_param("arm-distance", name, &value)
}

/// One sphere on the hand's height, with its motion and times.
fn somebody(pipeline: &mut Pipeline, x: f64, motion: [f64; 6]) {
    let row = [&[0.0, x, 0.0, 0.695, 0.0, 0.0, 0.0, 0.1][..], &motion].concat();
    let rows = table(&OBSTACLE_COLUMNS, [("anna", row)]);
    pipeline
        .set_table("arm-distance", "obstacles", &rows)
        .unwrap();
}

#[test]
fn the_worked_example_holds_with_its_ages() {
    for (engine, mut pipeline) in everywhere(1e12) {
        // T_r is 0.1 s: 65.625 ms of it are the axes' age.
        for (name, value) in [
            ("robot_speed_m_per_s", 1.0),
            ("stopping_time_s", 0.1),
            ("stopping_distance_m", 0.05),
            ("sensor_latency_s", 0.02),
            ("stop_signal_latency_s", 0.01),
            ("gateway_latency_s", 0.004_375),
            ("person_uncertainty_m", 0.06),
            ("robot_uncertainty_m", 0.04),
        ] {
            set(&mut pipeline, name, number(value)).unwrap();
        }
        somebody(&mut pipeline, 4.93, [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let outcome = cycle(&mut pipeline, CYCLE_NS);
        assert_eq!(outcome.verdict(), Verdict::Accepted, "{engine}");
        let fields = separation(&outcome).unwrap();
        for (name, expected) in [
            ("protective_m", 1.42),
            ("human_m", 0.32),
            ("robot_m", 0.1),
            ("stopping_m", 0.05),
            ("intrusion_m", 0.85),
            ("reaction_s", 0.1),
            ("stopping_s", 0.1),
            ("axes_age_s", 0.065_625),
            ("obstacle_age_s", 0.0),
        ] {
            near(&fields, name, expected);
        }
        assert_eq!(fields["deciding_obstacle"], "anna");
        assert_eq!(fields["deciding_link"], "link_6");
        assert_eq!(fields["obstacles"], "1");
        let distance_m: f64 = fields["distance_m"].parse().unwrap();
        near(&fields, "margin_m", distance_m - 1.42);

        // 20 ms later, by the clock alone.
        let later = separation(&pipeline.tick(CYCLE_NS + 20_000_000)).unwrap();
        near(&later, "axes_age_s", 0.085_625);
        near(&later, "protective_m", 1.42 + 0.02 * 2.6);
    }
}

#[test]
fn a_tick_extrapolates_and_says_nothing_of_what_is_too_old() {
    for (engine, mut pipeline) in everywhere(1e12) {
        cycle(&mut pipeline, CYCLE_NS);
        let seen_s = 2.0 * CYCLE_NS as f64 * 1e-9;
        somebody(&mut pipeline, 4.93, [-1.0, -1.0, 0.0, 0.0, seen_s, 0.3]);
        let now = separation(&cycle(&mut pipeline, 2 * CYCLE_NS)).unwrap();
        let after = |pipeline: &mut Pipeline, ms: i64| {
            separation(&pipeline.tick(2 * CYCLE_NS + ms * 1_000_000))
        };
        let later = after(&mut pipeline, 200).unwrap();
        let metres =
            |fields: &BTreeMap<String, String>| fields["distance_m"].parse::<f64>().unwrap();
        assert!(
            (metres(&now) - metres(&later) - 0.2).abs() < 1e-6,
            "{engine}"
        );
        near(&later, "obstacle_age_s", 0.2);
        assert!(after(&mut pipeline, 299).is_some(), "{engine}");
        assert!(after(&mut pipeline, 301).is_none(), "{engine}");

        // A base that is moved counts at once, not with the next cycle.
        somebody(&mut pipeline, 4.93, [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        let before = after(&mut pipeline, 301).unwrap();
        set(&mut pipeline, "base_x_m", number(0.5)).unwrap();
        let moved = after(&mut pipeline, 301).unwrap();
        assert!(
            (metres(&before) - metres(&moved) - 0.5).abs() < 1e-6,
            "{engine}"
        );

        let nobody = table(&OBSTACLE_COLUMNS, []);
        pipeline
            .set_table("arm-distance", "obstacles", &nobody)
            .unwrap();
        let alone = after(&mut pipeline, 301).unwrap();
        let names: Vec<&str> = alone.keys().map(String::as_str).collect();
        assert_eq!(names, ["axes_age_s", "obstacles"], "{engine}");
        assert_eq!(alone["obstacles"], "0");
    }
}

#[test]
fn a_measured_speed_needs_a_cycle_before() {
    for (engine, mut pipeline) in everywhere(1e12) {
        somebody(&mut pipeline, 4.93, [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert!(separation(&pipeline.tick(0)).is_none(), "{engine}");
        assert!(
            separation(&cycle(&mut pipeline, CYCLE_NS)).is_none(),
            "{engine}"
        );
        assert!(
            separation(&cycle(&mut pipeline, 2 * CYCLE_NS)).is_some(),
            "{engine}"
        );
        set(&mut pipeline, "rule", ParamValue::Choice("off".into())).unwrap();
        assert!(
            separation(&pipeline.tick(2 * CYCLE_NS)).is_none(),
            "{engine}"
        );
    }
}

#[test]
fn what_the_rule_needs_is_refused_by_name_and_what_held_before_holds() {
    for (engine, mut pipeline) in everywhere(1e12) {
        let names: Vec<String> = iso().into_keys().filter(|name| name != "rule").collect();
        assert_eq!(names.len(), 11);
        for name in &names {
            let SettingError::Refused { reason } =
                set(&mut pipeline, name, number(-1.0)).unwrap_err()
            else {
                panic!("{engine}: {name} is not refused by the stage");
            };
            let stem = name
                .trim_end_matches("_m_per_s2")
                .trim_end_matches("_m_per_s")
                .trim_end_matches("_m")
                .trim_end_matches("_s");
            assert!(
                reason.starts_with(&format!("{stem}_not_stated (")),
                "{reason}"
            );
            assert!(reason.contains(name.as_str()), "{reason}");
        }
        somebody(&mut pipeline, 4.93, [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        cycle(&mut pipeline, CYCLE_NS);
        assert!(
            separation(&cycle(&mut pipeline, 2 * CYCLE_NS)).is_some(),
            "{engine}"
        );

        // A stated speed needs no acceleration, a table no stopping time, the showcase nothing else.
        set(&mut pipeline, "robot_speed_m_per_s", number(2.0)).unwrap();
        set(&mut pipeline, "max_acceleration_m_per_s2", number(-1.0)).unwrap();
        let stops =
            |rows: &[[f64; 3]]| table(&STOPPING_COLUMNS, rows.iter().map(|row| ("", row.to_vec())));
        let rising = stops(&[[1.0, 0.2, 0.1], [3.0, 0.4, 0.5]]);
        pipeline
            .set_table("arm-distance", "stopping", &rising)
            .unwrap();
        set(&mut pipeline, "stopping_time_s", number(-1.0)).unwrap();
        set(&mut pipeline, "stopping_distance_m", number(-1.0)).unwrap();
        let fields = separation(&cycle(&mut pipeline, 3 * CYCLE_NS)).unwrap();
        near(&fields, "stopping_m", 0.5);
        set(&mut pipeline, "robot_speed_m_per_s", number(3.5)).unwrap();
        assert!(
            separation(&cycle(&mut pipeline, 4 * CYCLE_NS)).is_none(),
            "{engine}"
        );

        for wrong in [
            stops(&[[1.0, 0.2, 0.1], [1.0, 0.4, 0.5]]),
            stops(&[[1.0, 0.2, 0.1], [2.0, 0.1, 0.5]]),
            stops(&[[1.0, -0.2, 0.1]]),
            stops(&[[1.0, 0.2, 1001.0]]),
        ] {
            let refused = pipeline.set_table("arm-distance", "stopping", &wrong);
            assert!(
                refused
                    .unwrap_err()
                    .to_string()
                    .contains("stopping_not_rising")
            );
        }
        set(&mut pipeline, "rule", ParamValue::Choice("showcase".into())).unwrap();
        for name in names.iter().filter(|name| *name != "robot_speed_m_per_s") {
            set(&mut pipeline, name, number(-1.0)).unwrap();
        }
        set(&mut pipeline, "robot_speed_m_per_s", number(1.0)).unwrap();
        let fields = separation(&pipeline.tick(4 * CYCLE_NS)).unwrap();
        near(&fields, "protective_m", 3.5692);
    }
}

#[test]
fn sightings_that_cannot_be_are_refused() {
    for (engine, mut pipeline) in everywhere(1e12) {
        for wrong in [
            [-0.5, 0.0, 0.0, 0.0, 0.0, 0.0],
            [101.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [1.0, 0.0, 101.0, 0.0, 0.0, 0.3],
            [1.0, 0.0, 0.0, 0.0, -1.0, 0.3],
            [1.0, 0.0, 0.0, 0.0, 0.0, -0.3],
        ] {
            let row = [&[0.0, 4.0, 0.0, 0.7, 0.0, 0.0, 0.0, 0.1][..], &wrong].concat();
            let rows = table(&OBSTACLE_COLUMNS, [("anna", row)]);
            let refused = pipeline.set_table("arm-distance", "obstacles", &rows);
            let message = refused.unwrap_err().to_string();
            assert!(
                message.contains("impossible_sighting"),
                "{engine}: {message}"
            );
        }
    }
}
