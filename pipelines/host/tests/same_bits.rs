//! The shipped stages in every engine: the worked cases hold in each, and over ten thousand cycles the
//! output areas of all stages are the same bytes in compiled code, in the interpreter and as ordinary
//! Rust.
//!
//! The modules are those in `target/stages`; `build-stages` makes them.
#![cfg(all(feature = "wasmtime", feature = "spacewasm", feature = "native"))]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use retrotap_host::{
    Engine, GenericField, Module, NativeStages, ParamValue, Pipeline, SettingError, StageSpec,
    Strike, Table, TableRow, Trap, Value, Verdict, WasmtimeOptions,
};

const FRAME_NS: i64 = 9_375_000;
const RUST_STAGES: [&str; 4] = ["krc2-decode", "axis-limits", "arm-distance", "smooth"];

/// Ranges of a KR 150-2 with a linear axis of 3 m, in 1e-5 degree and 1e-5 mm.
const RANGES: [(i32, i32); 7] = [
    (-18_500_000, 18_500_000),
    (-14_600_000, 0),
    (-11_900_000, 15_500_000),
    (-35_000_000, 35_000_000),
    (-12_500_000, 12_500_000),
    (-35_000_000, 35_000_000),
    (0, 300_000_000),
];

/// Kind, origin, roll-pitch-yaw, axis, input; the first slides the robot along y.
#[rustfmt::skip]
const CHAIN: [(&str, [f64; 11]); 7] = [
    ("slide", [1.0, 0.0,  0.0, 0.0,    0.0, 0.0, 0.0,  0.0, 1.0,  0.0, 7.0]),
    ("A1",    [0.0, 0.0,  0.0, 0.75,   0.0, 0.0, 0.0,  0.0, 0.0, -1.0, 1.0]),
    ("A2",    [0.0, 0.35, 0.0, 0.0,    0.0, 0.0, 0.0,  0.0, 1.0,  0.0, 2.0]),
    ("A3",    [0.0, 1.25, 0.0, 0.0,    0.0, 0.0, 0.0,  0.0, 1.0,  0.0, 3.0]),
    ("A4",    [0.0, 0.0,  0.0, -0.055, 0.0, 0.0, 0.0, -1.0, 0.0,  0.0, 4.0]),
    ("A5",    [0.0, 1.1,  0.0, 0.0,    0.0, 0.0, 0.0,  0.0, 1.0,  0.0, 5.0]),
    ("A6",    [0.0, 0.23, 0.0, 0.0,    0.0, 0.0, 0.0, -1.0, 0.0,  0.0, 6.0]),
];

const CHAIN_COLUMNS: [&str; 11] = [
    "kind",
    "origin_x_m",
    "origin_y_m",
    "origin_z_m",
    "roll_rad",
    "pitch_rad",
    "yaw_rad",
    "axis_x",
    "axis_y",
    "axis_z",
    "input",
];
const CAPSULE_COLUMNS: [&str; 8] = [
    "link", "ax_m", "ay_m", "az_m", "bx_m", "by_m", "bz_m", "radius_m",
];
const OBSTACLE_COLUMNS: [&str; 8] = [
    "kind", "ax_m", "ay_m", "az_m", "bx_m", "by_m", "bz_m", "radius_m",
];

fn table<'a>(columns: &[&str], rows: impl IntoIterator<Item = (&'a str, Vec<f64>)>) -> Table {
    Table {
        columns: columns.iter().map(ToString::to_string).collect(),
        rows: rows
            .into_iter()
            .map(|(name, values)| TableRow {
                name: name.into(),
                values,
            })
            .collect(),
    }
}

fn vectors() -> serde_json::Value {
    let text = include_str!("../../stages/arm-distance/tests/kr150-2-vectors.json");
    serde_json::from_str(text).unwrap()
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

/// The robot's capsules; the base's rides on the slide.
fn capsules() -> Table {
    let vectors = vectors();
    let names = [
        "base_link",
        "link_1",
        "link_2",
        "link_3",
        "link_4",
        "link_5",
        "link_6",
    ];
    let rows = names.iter().enumerate().map(|(at, name)| {
        let capsule = &vectors["capsules"][name];
        // The worked cases leave the base out: link 0 does too.
        let link = if at == 0 { 0.0 } else { at as f64 + 1.0 };
        let cells = [
            &[link][..],
            &numbers(&capsule["a"]),
            &numbers(&capsule["b"]),
            &numbers_of(&capsule["r"]),
        ];
        (*name, cells.concat())
    });
    table(&CAPSULE_COLUMNS, rows)
}

fn numbers_of(value: &serde_json::Value) -> Vec<f64> {
    vec![value.as_f64().unwrap()]
}

fn number(value: f64) -> ParamValue {
    ParamValue::Number { value, unit: None }
}

/// Ranges and top speeds in degrees and millimetres.
fn limits(speed_max: f64) -> BTreeMap<String, ParamValue> {
    let mut params = BTreeMap::from([("cycle_time_min_s".to_owned(), number(0.06))]);
    for (at, (least, most)) in RANGES.into_iter().enumerate() {
        let (axis, unit, speed_unit) = (
            at + 1,
            if at == 6 { "mm" } else { "deg" },
            if at == 6 { "mm_per_s" } else { "deg_per_s" },
        );
        params.insert(
            format!("axis_{axis}_min_{unit}"),
            number(f64::from(least) / 1e5),
        );
        params.insert(
            format!("axis_{axis}_max_{unit}"),
            number(f64::from(most) / 1e5),
        );
        params.insert(
            format!("axis_{axis}_speed_max_{speed_unit}"),
            number(speed_max),
        );
    }
    params
}

/// The line of stages over modules by name.
fn pipeline(
    engine: &Engine,
    modules: &BTreeMap<String, Arc<Module>>,
    names: &[&str],
    speed_max: f64,
) -> Pipeline {
    let specs = names.iter().map(|name| {
        let mut spec = StageSpec {
            module: Arc::clone(&modules[*name]),
            params: BTreeMap::new(),
            tables: BTreeMap::new(),
            fields: None,
        };
        match *name {
            "axis-limits" => spec.params = limits(speed_max),
            "arm-distance" => {
                spec.params.insert("cycle_time_min_s".into(), number(0.06));
                spec.params.insert("base_yaw_rad".into(), number(0.0));
                let chain = CHAIN.iter().map(|(name, cells)| (*name, cells.to_vec()));
                spec.tables
                    .insert("chain".into(), table(&CHAIN_COLUMNS, chain));
                spec.tables.insert("capsules".into(), capsules());
            }
            "smooth" => {
                let field = |name: &str, unit: &str, optional| GenericField {
                    name: name.into(),
                    from: Some(format!("distance.{name}")),
                    kind: Default::default(),
                    unit: Some(unit.into()),
                    optional,
                };
                spec.fields = Some(vec![
                    field("distance_m", "m", false),
                    field("closing_speed_m_per_s", "m/s", true),
                ]);
            }
            "peak-hold" => {
                spec.params.insert("window_s".into(), number(0.5));
            }
            _ => {}
        }
        spec
    });
    Pipeline::load(engine, specs.collect()).unwrap()
}

/// The modules as they ship.
fn shipped() -> BTreeMap<String, Arc<Module>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/stages");
    let names = RUST_STAGES.iter().chain(&["peak-hold"]);
    let read = |name: &&str| {
        let path = folder.join(format!("{name}.wasm"));
        let bytes = std::fs::read(&path).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; run `cargo run -p retrotap-host --features build --bin build-stages`",
                path.display()
            )
        });
        ((*name).to_owned(), Arc::new(Module::parse(&bytes).unwrap()))
    };
    names.map(read).collect()
}

/// The same stages as ordinary Rust, and the engine that runs them.
fn native() -> (Engine, BTreeMap<String, Arc<Module>>) {
    let mut stages = NativeStages::new();
    let modules = [
        stages.add::<retrotap_stage_krc2_decode::Decode>(),
        stages.add::<retrotap_stage_axis_limits::AxisLimits>(),
        stages.add::<retrotap_stage_arm_distance::stage::ArmDistance>(),
        stages.add::<retrotap_stage_smooth::Smooth>(),
    ];
    let modules = modules.into_iter().map(|module| {
        let module = module.unwrap();
        (module.manifest().stage.clone(), Arc::new(module))
    });
    let modules = modules.collect();
    (Engine::native(stages), modules)
}

/// The three engines with the stages that run in all of them.
fn everywhere(speed_max: f64) -> Vec<(&'static str, Pipeline)> {
    let shipped = shipped();
    let (native, ours) = native();
    let wasmtime = Engine::wasmtime(WasmtimeOptions::default()).unwrap();
    [
        (&native, &ours),
        (&wasmtime, &shipped),
        (&Engine::spacewasm(), &shipped),
    ]
    .map(|(engine, modules)| {
        (
            engine.name(),
            pipeline(engine, modules, &RUST_STAGES, speed_max),
        )
    })
    .into()
}

fn frame(axis: usize, value: i32) -> [u8; 9] {
    let mut frame = [
        axis as u8 + 1,
        0,
        0,
        0,
        if value < 0 { 0x2D } else { 0x20 },
        0,
        0,
        0,
        0,
    ];
    frame[5..].copy_from_slice(&value.unsigned_abs().to_le_bytes());
    frame
}

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

    fn obstacles(&mut self) -> Table {
        let rows: Vec<Vec<f64>> = (0..self.below(9))
            .map(|_| {
                let kind = self.below(3) as f64;
                let mut cells = vec![kind];
                cells.extend((0..3).map(|_| self.metres(-3.0, 3.0)));
                let edges = if kind == 2.0 { (0.0, 2.0) } else { (-3.0, 3.0) };
                cells.extend((0..3).map(|_| self.metres(edges.0, edges.1)));
                cells.push(self.metres(0.0, 0.5));
                cells
            })
            .collect();
        table(
            &OBSTACLE_COLUMNS,
            rows.into_iter().map(|cells| ("o", cells)),
        )
    }
}

/// Ten thousand cycles, with obstacles that change and frames that are wrong; says how many records of
/// distance came out of each pipeline, and gives these back.
///
/// Deadlines are real time: a busy machine can hold a thread up past one. The comparison then begins anew.
fn compare(
    load: impl Fn() -> Vec<(&'static str, Pipeline)>,
    stages: &[&str],
    seed: u64,
) -> (usize, Vec<(&'static str, Pipeline)>) {
    for _ in 0..10 {
        let mut pipelines = load();
        if let Some(distances) = compare_once(&mut pipelines, stages, seed) {
            return (distances, pipelines);
        }
    }
    panic!("held up past a deadline ten times");
}

/// One comparison; nothing where an engine was held up past a deadline.
fn compare_once(
    pipelines: &mut [(&'static str, Pipeline)],
    stages: &[&str],
    seed: u64,
) -> Option<usize> {
    let mut random = Random(seed);
    let mut t_ns = 0;
    let mut values = [0; 7];
    let mut distances = 0;
    for cycle in 0..10_000 {
        if cycle % 40 == 0 {
            let obstacles = random.obstacles();
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
            let mut first: Option<(String, Vec<Vec<u8>>)> = None;
            for (engine, pipeline) in pipelines.iter_mut() {
                let outcome = pipeline.process(&frame, t_ns);
                match outcome.verdict() {
                    Verdict::Struck {
                        strike: Strike::Trap(Trap::Deadline),
                        ..
                    } => return None,
                    Verdict::Struck { .. } => panic!("{engine}: {outcome:?}"),
                    Verdict::Accepted | Verdict::Rejected { .. } => {}
                }
                let said = format!("{outcome:?}");
                distances += outcome
                    .records()
                    .filter(|record| record.name() == "distance")
                    .count();
                let areas: Vec<Vec<u8>> = stages
                    .iter()
                    .map(|stage| pipeline.output_area(stage).unwrap().to_vec())
                    .collect();
                match &first {
                    None => first = Some((said, areas)),
                    Some((said_first, areas_first)) => {
                        assert_eq!(
                            &said,
                            said_first,
                            "{engine}, cycle {cycle}, axis {}",
                            axis + 1
                        );
                        assert_eq!(
                            &areas,
                            areas_first,
                            "{engine}, cycle {cycle}, axis {}",
                            axis + 1
                        );
                    }
                }
            }
        }
    }
    Some(distances / pipelines.len())
}

#[test]
fn ten_thousand_cycles_leave_the_same_bytes_in_every_engine() {
    // No speed is too high, so that nearly every cycle reaches the geometry.
    let (distances, _) = compare(|| everywhere(1e12), &RUST_STAGES, 0x5EED);
    assert!(distances > 8_000, "only {distances} distances");
}

#[test]
fn rejections_for_speed_and_what_follows_them_are_the_same_in_every_engine() {
    let (distances, _) = compare(|| everywhere(2_000.0), &RUST_STAGES, 0xCAFE);
    assert!(distances > 50, "only {distances} distances");
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
            let row = [&[kind][..], &a, &b, &[radius]].concat();
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
                    .filter(|record| record.name() != "smoothed")
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
