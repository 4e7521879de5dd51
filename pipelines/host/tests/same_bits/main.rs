//! The shipped stages in every engine: the worked cases hold in each, and over ten thousand cycles the
//! output areas of all stages are the same bytes in compiled code, in the interpreter and as ordinary
//! Rust.
//!
//! The modules are those in `target/stages`; `build-stages` makes them.
#![cfg(all(feature = "wasmtime", feature = "spacewasm", feature = "native"))]
#![allow(clippy::unwrap_used)]

mod separation;
mod stages;

use std::collections::BTreeMap;

use retrotap_host::{
    Engine, Outcome, Pipeline, SettingError, Strike, Table, Trap, Value, Verdict, WasmtimeOptions,
};
use stages::{
    FRAME_NS, OBSTACLE_COLUMNS, RANGES, RUST_STAGES, STANDING, everywhere, frame, number, numbers,
    pipeline, shipped, table, vectors,
};

/// Numbers that are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    /// Whole decimetres now and then, so that shapes are parallel, touch and lie in each other.
    fn metres(&mut self, least: f64, most: f64) -> f64 {
        let value = least + (most - least) * (self.below(1 << 30) as f64 / f64::from(1 << 30));
        if self.one_in(3) {
            (value * 10.0).round() / 10.0
        } else {
            value
        }
    }

    /// In the axis's range: an end of it, zero, a step from where it is, or anywhere.
    fn axis(&mut self, axis: usize, last: i32) -> i32 {
        let (least, most) = RANGES[axis];
        match self.below(8) {
            0 => least,
            1 => most,
            2 => 0,
            3..=5 => (last + self.below(400_001) as i32 - 200_000).clamp(least, most),
            _ => least + self.below((i64::from(most) - i64::from(least) + 1) as u64) as i32,
        }
    }

    /// Some stand, some were seen a moment ago and move, some of those are too old to be believed.
    fn obstacles(&mut self, t_ns: i64) -> Table {
        let rows: Vec<Vec<f64>> = (0..self.below(9))
            .map(|_| {
                let kind = self.below(3) as f64;
                let mut cells = vec![kind];
                cells.extend((0..3).map(|_| self.metres(-3.0, 3.0)));
                let edges = if kind == 2.0 { (0.0, 2.0) } else { (-3.0, 3.0) };
                cells.extend((0..3).map(|_| self.metres(edges.0, edges.1)));
                cells.push(self.metres(0.0, 0.5));
                cells.push([-1.0, 0.0, 0.5, 1.2][self.below(4) as usize]);
                cells.extend((0..3).map(|_| self.metres(-1.0, 1.0)));
                let age_s = self.metres(0.0, 0.4);
                let seen_s = t_ns as f64 * 1e-9 - age_s;
                cells.push(if seen_s > 0.0 { seen_s } else { 0.0 });
                let stands = self.below(4) != 0;
                cells.push(if stands { 0.0 } else { 3.0 });
                cells
            })
            .collect();
        table(
            &OBSTACLE_COLUMNS,
            rows.into_iter().map(|cells| ("o", cells)),
        )
    }
}

/// How many records came out of a pipeline.
#[derive(Default)]
struct Seen {
    distances: usize,
    separations: usize,
    at_ticks: usize,
}

/// Ten thousand cycles, with obstacles that change, frames that are wrong and ticks; says what came out
/// of each pipeline, and gives these back.
///
/// Deadlines are real time: a busy machine can hold a thread up past one. The comparison then begins anew.
fn compare(
    load: impl Fn() -> Vec<(&'static str, Pipeline)>,
    stages: &[&str],
    seed: u64,
) -> (Seen, Vec<(&'static str, Pipeline)>) {
    for _ in 0..10 {
        let mut pipelines = load();
        if let Some(seen) = compare_once(&mut pipelines, stages, seed) {
            return (seen, pipelines);
        }
    }
    panic!("held up past a deadline ten times");
}

/// One comparison; nothing where an engine was held up past a deadline.
fn compare_once(
    pipelines: &mut [(&'static str, Pipeline)],
    stages: &[&str],
    seed: u64,
) -> Option<Seen> {
    let mut random = Random(seed);
    let mut t_ns = 0;
    let mut values = [0; 7];
    let mut seen = Seen::default();
    for cycle in 0..10_000 {
        if cycle % 40 == 0 {
            let obstacles = random.obstacles(t_ns);
            for (engine, pipeline) in pipelines.iter_mut() {
                match pipeline.set_table("arm-distance", "obstacles", &obstacles) {
                    Err(SettingError::Failed { .. }) => return None,
                    done => done.unwrap_or_else(|error| panic!("{engine}: {error}")),
                }
            }
        }
        t_ns += if random.one_in(200) { 3_000_000_000 } else { 0 };
        for (axis, value) in values.iter_mut().enumerate() {
            *value = random.axis(axis, *value);
            let mut frame = frame(axis, *value);
            if *value == 0 && random.one_in(2) {
                // Negative zero.
                frame[4] = 0x2D;
            }
            if random.one_in(500) {
                frame[random.below(9) as usize] ^= 1 << random.below(8);
            }
            t_ns += if random.one_in(50) { 0 } else { FRAME_NS };
            let at = format!("cycle {cycle}, axis {}", axis + 1);
            let came = same(pipelines, stages, &at, |pipeline| {
                pipeline.process(&frame, t_ns)
            })?;
            seen.distances += came.distances;
            seen.separations += came.separations;
            if random.one_in(20) {
                t_ns += random.below(20_000_000) as i64;
                let at = format!("the tick after {at}");
                let came = same(pipelines, stages, &at, |pipeline| pipeline.tick(t_ns))?;
                seen.at_ticks += came.separations;
            }
        }
    }
    Some(seen)
}

/// Lets every pipeline do the same, and compares what came of it; nothing where one was held up.
fn same(
    pipelines: &mut [(&'static str, Pipeline)],
    stages: &[&str],
    at: &str,
    act: impl for<'p> Fn(&'p mut Pipeline) -> Outcome<'p>,
) -> Option<Seen> {
    let mut seen = Seen::default();
    let mut first: Option<(String, Vec<Vec<u8>>)> = None;
    for (engine, pipeline) in pipelines.iter_mut() {
        let outcome = act(pipeline);
        match outcome.verdict() {
            Verdict::Struck {
                strike: Strike::Trap(Trap::Deadline),
                ..
            } => return None,
            Verdict::Struck { .. } => panic!("{engine}, {at}: {outcome:?}"),
            Verdict::Accepted | Verdict::Rejected { .. } => {}
        }
        let said = format!("{outcome:?}");
        let count = |name: &str| {
            let named = outcome.records().filter(|record| record.name() == name);
            named.count()
        };
        (seen.distances, seen.separations) = (count("distance"), count("separation"));
        let areas: Vec<Vec<u8>> = stages
            .iter()
            .map(|stage| pipeline.output_area(stage).unwrap().to_vec())
            .collect();
        match &first {
            None => first = Some((said, areas)),
            Some(first) => {
                assert_eq!(said, first.0, "{engine}, {at}");
                assert_eq!(areas, first.1, "{engine}, {at}");
            }
        }
    }
    Some(seen)
}

#[test]
fn ten_thousand_cycles_leave_the_same_bytes_in_every_engine() {
    // No speed is too high, so that nearly every cycle reaches the geometry.
    let (seen, _) = compare(|| everywhere(1e12), &RUST_STAGES, 0x5EED);
    assert!(seen.distances > 8_000, "only {} distances", seen.distances);
    let (cycles, ticks) = (seen.separations, seen.at_ticks);
    assert!(cycles > 4_000, "only {cycles} separations");
    assert!(ticks > 1_500, "only {ticks} separations at ticks");
}

#[test]
fn rejections_for_speed_and_what_follows_them_are_the_same_in_every_engine() {
    let (seen, _) = compare(|| everywhere(2_000.0), &RUST_STAGES, 0xCAFE);
    assert!(seen.distances > 50, "only {} distances", seen.distances);
}

#[test]
fn the_stage_in_assembly_script_says_the_same_in_both_engines() {
    let stages = ["krc2-decode", "axis-limits", "arm-distance", "peak-hold"];
    let shipped = shipped();
    let engines = [
        Engine::wasmtime(WasmtimeOptions::default()).unwrap(),
        Engine::spacewasm(),
    ];
    let load = || {
        engines
            .iter()
            .map(|engine| (engine.name(), pipeline(engine, &shipped, &stages, 1e12)))
            .collect()
    };
    let (_, pipelines) = compare(load, &stages, 0xA55E);
    for (_, pipeline) in &pipelines {
        let calls = pipeline
            .counts()
            .find(|(stage, _)| *stage == "peak-hold")
            .unwrap()
            .1
            .calls;
        assert!(calls > 8_000, "{calls} calls");
    }
}

#[test]
fn peaks_are_the_highest_speeds_of_a_window_and_a_tick_brings_the_last() {
    let stages = ["krc2-decode", "axis-limits", "peak-hold"];
    for engine in [
        Engine::wasmtime(WasmtimeOptions::default()).unwrap(),
        Engine::spacewasm(),
    ] {
        let mut pipeline = pipeline(&engine, &shipped(), &stages, 1e12);
        let mut t_ns = 0;
        let mut peaks = Vec::new();
        // Axis 1 moves by 1°, 2°, 5°, 3°, forth and back, in cycles of 65.625 ms.
        for position in [0, 100_000, -100_000, 400_000, 100_000] {
            for axis in 0..7 {
                t_ns += FRAME_NS;
                let outcome =
                    pipeline.process(&frame(axis, if axis == 0 { position } else { 0 }), t_ns);
                peaks.extend(
                    outcome
                        .records()
                        .filter(|record| record.name() == "speed_peaks")
                        .map(|_| ()),
                );
            }
        }
        assert!(peaks.is_empty(), "the window of half a second isn't over");
        assert_eq!(pipeline.tick(t_ns + 200_000_000).records().count(), 0);
        let outcome = pipeline.tick(t_ns + 400_000_000);
        let record = outcome.records().next().unwrap();
        let fields: BTreeMap<&str, Value<'_>> = record.fields().collect();
        assert_eq!(record.name(), "speed_peaks");
        assert_eq!(fields["cycles"], Value::I64(4));
        let Value::F64(peak) = fields["axis_1_peak_deg_per_s"] else {
            panic!("{fields:?}")
        };
        assert!((peak - 5.0 / 0.065_625).abs() < 1e-9, "{peak}");
    }
}

#[test]
fn every_worked_case_holds_in_every_engine() {
    let vectors = vectors();
    for (engine, mut pipeline) in everywhere(1e12) {
        let mut t_ns = 0;
        for (number, case) in vectors["cases"].as_array().unwrap().iter().enumerate() {
            let obstacle = &case["obstacle"];
            let list = |name: &str| numbers(&obstacle[name]);
            let radius = obstacle["radius"].as_f64().unwrap_or(0.0);
            let (kind, a, b) = match obstacle["kind"].as_str().unwrap() {
                "sphere" => (0.0, list("center"), vec![0.0; 3]),
                "capsule" => (1.0, list("a"), list("b")),
                _ => (2.0, list("center"), list("size")),
            };
            let row = [&[kind][..], &a, &b, &[radius], &STANDING].concat();
            pipeline
                .set_table(
                    "arm-distance",
                    "obstacles",
                    &table(&OBSTACLE_COLUMNS, [("p1", row)]),
                )
                .unwrap();
            let axes = numbers(&case["axes_deg"]);
            let mut fields = BTreeMap::new();
            for axis in 0..7 {
                t_ns += FRAME_NS;
                let value = axes
                    .get(axis)
                    .map_or(0, |degrees| (degrees * 1e5).round() as i32);
                let outcome = pipeline.process(&frame(axis, value), t_ns);
                assert_eq!(
                    outcome.verdict(),
                    Verdict::Accepted,
                    "{engine}, case {number}"
                );
                for record in outcome
                    .records()
                    .filter(|record| ["pose", "distance"].contains(&record.name()))
                {
                    fields.extend(
                        record
                            .fields()
                            .map(|(name, value)| (name.to_owned(), format!("{value:?}"))),
                    );
                }
            }
            let number_of = |name: &str| -> f64 {
                fields[name]
                    .trim_start_matches("F64(")
                    .trim_end_matches(')')
                    .parse()
                    .unwrap()
            };
            let near = |name: &str, expected: f64| {
                let seen = number_of(name);
                assert!(
                    (seen - expected).abs() <= 1e-4,
                    "{engine}, case {number}: {name} is {seen} for {expected}"
                );
            };
            for (axis, expected) in ["x", "y", "z"].iter().zip(numbers(&case["flange_m"])) {
                near(&format!("flange_{axis}_m"), expected);
            }
            let expected = case["distance_m"].as_f64().unwrap();
            if expected < 0.0 {
                assert!(number_of("distance_m") < 0.0, "{engine}, case {number}");
            } else {
                near("distance_m", expected);
            }
            assert!(
                fields["nearest_link"].contains(case["nearest_link"].as_str().unwrap()),
                "{engine}, case {number}"
            );
            assert!(fields["nearest_obstacle"].contains("p1"));
        }
    }
}
