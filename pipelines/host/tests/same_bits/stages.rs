//! The shipped stages on a KR 150-2 that rides on a linear axis, in every engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use retrotap_host::{
    Engine, GenericField, Module, NativeStages, ParamValue, Pipeline, StageSpec, Table, TableRow,
    WasmtimeOptions,
};

pub const FRAME_NS: i64 = 9_375_000;
pub const RUST_STAGES: [&str; 4] = ["krc2-decode", "axis-limits", "arm-distance", "smooth"];

/// Ranges of a KR 150-2 with a linear axis of 3 m, in 1e-5 degree and 1e-5 mm.
pub const RANGES: [(i32, i32); 7] = [
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
pub const CHAIN: [(&str, [f64; 11]); 7] = [
    ("slide", [1.0, 0.0,  0.0, 0.0,    0.0, 0.0, 0.0,  0.0, 1.0,  0.0, 7.0]),
    ("A1",    [0.0, 0.0,  0.0, 0.75,   0.0, 0.0, 0.0,  0.0, 0.0, -1.0, 1.0]),
    ("A2",    [0.0, 0.35, 0.0, 0.0,    0.0, 0.0, 0.0,  0.0, 1.0,  0.0, 2.0]),
    ("A3",    [0.0, 1.25, 0.0, 0.0,    0.0, 0.0, 0.0,  0.0, 1.0,  0.0, 3.0]),
    ("A4",    [0.0, 0.0,  0.0, -0.055, 0.0, 0.0, 0.0, -1.0, 0.0,  0.0, 4.0]),
    ("A5",    [0.0, 1.1,  0.0, 0.0,    0.0, 0.0, 0.0,  0.0, 1.0,  0.0, 5.0]),
    ("A6",    [0.0, 0.23, 0.0, 0.0,    0.0, 0.0, 0.0, -1.0, 0.0,  0.0, 6.0]),
];

pub const CHAIN_COLUMNS: [&str; 11] = [
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
pub const CAPSULE_COLUMNS: [&str; 8] = [
    "link", "ax_m", "ay_m", "az_m", "bx_m", "by_m", "bz_m", "radius_m",
];
pub const OBSTACLE_COLUMNS: [&str; 14] = [
    "kind",
    "ax_m",
    "ay_m",
    "az_m",
    "bx_m",
    "by_m",
    "bz_m",
    "radius_m",
    "speed_m_per_s",
    "vx_m_per_s",
    "vy_m_per_s",
    "vz_m_per_s",
    "seen_s",
    "time_to_live_s",
];
pub const STOPPING_COLUMNS: [&str; 3] = ["speed_m_per_s", "time_s", "distance_m"];

/// Somebody who stands there and may come as fast as a person.
pub const STANDING: [f64; 6] = [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0];

pub fn table<'a>(columns: &[&str], rows: impl IntoIterator<Item = (&'a str, Vec<f64>)>) -> Table {
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

pub fn vectors() -> serde_json::Value {
    let text = include_str!("../../../stages/arm-distance/tests/kr150-2-vectors.json");
    serde_json::from_str(text).unwrap()
}

pub fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

/// The robot's capsules; the base's rides on the slide.
pub fn capsules() -> Table {
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

pub fn numbers_of(value: &serde_json::Value) -> Vec<f64> {
    vec![value.as_f64().unwrap()]
}

pub fn number(value: f64) -> ParamValue {
    ParamValue::Number { value, unit: None }
}

/// Ranges and top speeds in degrees and millimetres.
pub fn limits(speed_max: f64) -> BTreeMap<String, ParamValue> {
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

/// ISO/TS 15066 with a measured speed.
pub fn iso() -> BTreeMap<String, ParamValue> {
    let mut params =
        BTreeMap::from([("rule".to_owned(), ParamValue::Choice("iso_ts_15066".into()))]);
    for (name, value) in [
        ("human_speed_m_per_s", 1.6),
        ("robot_speed_m_per_s", 0.0),
        ("max_acceleration_m_per_s2", 4.0),
        ("stopping_time_s", 0.6),
        ("stopping_distance_m", 0.45),
        ("sensor_latency_s", 0.08),
        ("stop_signal_latency_s", 0.02),
        ("gateway_latency_s", 0.005),
        ("intrusion_m", 0.85),
        ("person_uncertainty_m", 0.1),
        ("robot_uncertainty_m", 0.05),
    ] {
        params.insert(name.into(), number(value));
    }
    params
}

/// The line of stages over modules by name.
pub fn pipeline(
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
            record: None,
        };
        match *name {
            "axis-limits" => spec.params = limits(speed_max),
            "arm-distance" => {
                spec.params.insert("cycle_time_min_s".into(), number(0.06));
                spec.params.insert("base_yaw_rad".into(), number(0.0));
                spec.params.extend(iso());
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
                    ..GenericField::default()
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
pub fn shipped() -> BTreeMap<String, Arc<Module>> {
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
pub fn native() -> (Engine, BTreeMap<String, Arc<Module>>) {
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
pub fn everywhere(speed_max: f64) -> Vec<(&'static str, Pipeline)> {
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

pub fn frame(axis: usize, value: i32) -> [u8; 9] {
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
