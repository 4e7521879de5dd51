//! The test cases of the shipped stages, `pipelines/stages/<name>/testcases/*.yaml`, and those of the stage
//! that `retrotap stage new` writes, in each of its languages: in compiled code and in the interpreter the
//! same, to the last bit of the output area; and the shipped ones in a browser.
//!
//! The modules are those in `target/stages`; `build-stages` makes them.
#![cfg(all(
    feature = "wasmtime",
    feature = "spacewasm",
    feature = "native",
    feature = "build"
))]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use retrotap_host::build::{self, Language, template};
use retrotap_host::testcase::{Run, TestCase, TestCaseError};
use retrotap_host::{Engine, Module, NativeStages, WasmtimeOptions, for_browsers};
use serde_json::{Value, json};

fn pipelines() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn engines() -> [Engine; 2] {
    [
        Engine::wasmtime(WasmtimeOptions::default()).unwrap(),
        Engine::spacewasm(),
    ]
}

/// The test cases in a folder, in the order of their names.
fn cases(folder: &Path) -> Vec<(PathBuf, TestCase)> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .map(|files| files.map(|file| file.unwrap().path()).collect())
        .unwrap_or_default();
    files.sort();
    let read = |path: PathBuf| {
        let case = TestCase::from_yaml(&fs::read_to_string(&path).unwrap());
        let case = case.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, case)
    };
    files.into_iter().map(read).collect()
}

/// The generic stages as ordinary Rust, and the engine that runs them.
fn native() -> (Engine, Vec<Arc<Module>>) {
    let mut stages = NativeStages::new();
    let modules = [
        stages.add::<retrotap_stage_anomaly::Anomaly>(),
        stages.add::<retrotap_stage_equipment_health::EquipmentHealth>(),
        stages.add::<retrotap_stage_line_fields::LineFields>(),
        stages.add::<retrotap_stage_registers_decode::RegistersDecode>(),
        stages.add::<retrotap_stage_smooth::Smooth>(),
    ];
    let modules = modules.map(|module| Arc::new(module.unwrap()));
    (Engine::native(stages), modules.into())
}

/// Runs a case in every engine, and gives back what came of it, which is the same in all.
fn passes(path: &Path, case: &TestCase, module: &Arc<Module>) -> Run {
    let runs = engines().map(|engine| {
        let run = case.run(&engine, module);
        run.unwrap_or_else(|error| panic!("{}, {}: {error}", path.display(), engine.name()))
    });
    let [compiled, interpreted] = runs;
    assert!(compiled == interpreted, "{}: other bits", path.display());
    compiled
}

#[test]
fn every_test_case_of_a_shipped_stage_is_passed_in_every_engine() {
    let mut passed = 0;
    for stage in fs::read_dir(pipelines().join("stages")).unwrap() {
        let folder = stage.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let module = pipelines().join(format!("../target/stages/{name}.wasm"));
        let module = Arc::new(Module::parse(&fs::read(&module).unwrap()).unwrap());
        for (path, case) in cases(&folder.join("testcases")) {
            passes(&path, &case, &module);
            passed += 1;
        }
    }
    assert!(passed >= 8, "{passed}");
}

#[test]
fn the_generic_stages_leave_the_same_bits_as_ordinary_rust() {
    let (engine, modules) = native();
    for module in modules {
        let name = &module.manifest().stage;
        let compiled = pipelines().join(format!("../target/stages/{name}.wasm"));
        let compiled = Arc::new(Module::parse(&fs::read(&compiled).unwrap()).unwrap());
        let cases = cases(&pipelines().join("stages").join(name).join("testcases"));
        assert!(!cases.is_empty(), "{name}");
        for (path, case) in cases {
            let native = case.run(&engine, &module);
            let native = native.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            // A text's slot holds its address, which is the module's own matter.
            let same = native == passes(&path, &case, &compiled);
            assert!(same || name == "line-fields", "{}", path.display());
        }
    }
}

/// Bytes as hexadecimal digits.
fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_test_case_leaves_the_same_bits_in_a_browser() {
    let root = pipelines().join("..");
    assert!(
        root.join("ui/node_modules/playwright-core").is_dir(),
        "run `npm ci` in ui/ first, as `make page` does"
    );
    let mut tried = Vec::new();
    for stage in fs::read_dir(pipelines().join("stages")).unwrap() {
        let folder = stage.unwrap().path();
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let module = fs::read(root.join(format!("target/stages/{name}.wasm"))).unwrap();
        let module = Arc::new(Module::parse(&module).unwrap());
        let code = digits(&for_browsers(&module).unwrap());
        for (path, case) in cases(&folder.join("testcases")) {
            let run = passes(&path, &case, &module);
            let calls = run.calls.iter().map(|call| {
                let mut said =
                    json!({"t_ns": call.t_ns.to_string(), "output": digits(&call.output)});
                if let Some(input) = &call.input {
                    said["input"] = digits(input).into();
                }
                said
            });
            let calls: Vec<Value> = calls.collect();
            let name = format!("{name}, {}", case.name);
            let config = digits(&run.config);
            tried.push(json!({"name": name, "module": code, "config": config, "calls": calls}));
        }
    }
    assert!(tried.len() >= 8);
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), Value::from(tried).to_string()).unwrap();
    let output = Command::new("node")
        .arg(root.join("ui/e2e/modules.mjs"))
        .arg(file.path())
        .output()
        .unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{err}");
}

#[test]
fn every_shipped_stage_fits_on_the_tap() {
    const TAP_BYTES: usize = 16 * 1024;
    for stage in fs::read_dir(pipelines().join("stages")).unwrap() {
        let manifest = build::manifest(&stage.unwrap().path()).unwrap();
        let bytes = manifest.sizes.memory_bytes;
        assert!(bytes <= TAP_BYTES, "{}: {bytes} bytes", manifest.stage);
    }
}

/// A new stage in that language, built as its author would, and its folder.
fn new_stage(language: Language) -> (tempfile::TempDir, Arc<Module>) {
    let folder = tempfile::tempdir().unwrap();
    template::write(folder.path(), "level-peaks", language).unwrap();
    let (manifest, wasm) = build::stage(folder.path(), &folder.path().join("target")).unwrap();
    assert_eq!(manifest.stage, "level-peaks");
    (folder, Arc::new(Module::parse(&wasm).unwrap()))
}

#[test]
fn a_new_stage_passes_the_same_test_case_in_every_language() {
    let mut first = None;
    for (name, language) in Language::ALL {
        let (folder, module) = new_stage(language);
        let cases = cases(&folder.path().join("testcases"));
        assert_eq!(cases.len(), 1);
        for (path, case) in &cases {
            // What was left over in the area by records before is the stage's own matter; the records
            // were compared.
            let run = passes(path, case, &module);
            let emitted = run.calls[3].output.clone();
            assert_eq!(*first.get_or_insert(emitted.clone()), emitted, "{name}");
        }
    }
}

#[test]
fn a_new_stage_in_rust_brings_its_sdk_along() {
    let folder = tempfile::tempdir().unwrap();
    template::write(folder.path(), "level-peaks", Language::Rust).unwrap();
    let file = |name: &str| folder.path().join(name).is_file();
    assert!(file("src/lib.rs") && file("Cargo.toml") && file(".retrotap/sdk/src/lib.rs"));
    // Its own sources name it, and nothing else's.
    let manifest = fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"level-peaks\"") && !manifest.contains("NAME"));
}

#[test]
fn what_is_not_as_expected_is_said_with_its_call() {
    let module = pipelines().join("../target/stages/smooth.wasm");
    let module = Arc::new(Module::parse(&fs::read(module).unwrap()).unwrap());
    let run = |text: &str| -> String {
        let case = TestCase::from_yaml(text);
        let done = case.and_then(|case| case.run(&Engine::spacewasm(), &module));
        done.map(|_| ()).unwrap_err().to_string()
    };
    let fields = "name: a\nfields: [{name: a, from: b.a, unit: m}]\n";
    let steps = |steps: &str| format!("{fields}steps: [{steps}]");
    for (text, said) in [
        (
            steps("{t_s: 0, record: {a: 1}, records: [{record: smoothed, fields: {a: 2}}]}"),
            "step 1: expected that it gave smoothed {a: 2}, but it gave smoothed {a: 1}",
        ),
        (
            steps("{t_s: 0, record: {a: 1}, rejected: no}"),
            "step 1: expected that it rejects it for `no`, but it gave smoothed {a: 1}",
        ),
        (
            steps("{t_s: 0, record: {a: 1}}"),
            "step 1: expected that it gave no record, but it gave smoothed {a: 1}",
        ),
        (
            steps("{t_s: 0}, {t_s: 1, record: {c: 1}}"),
            "step 2: `b` has no field `c`",
        ),
        (
            steps("{t_s: 0, record: {a: yes please}}"),
            "step 1: `a` is of another kind",
        ),
        (
            steps("{t_s: 0, frame: '00', line: a}"),
            "step 1: has more than one of `frame`",
        ),
        (steps("{t_s: 0, frame: 1x}"), "step 1: `1x` is not bytes"),
        (
            "name: a\nsteps: []".to_owned(),
            "the stage doesn't start: the stage is generic",
        ),
        ("nam: a\nsteps: []".to_owned(), "not a test case"),
    ] {
        let found = run(&text);
        assert!(found.contains(said), "{text}: {found}");
    }
}

#[test]
fn a_test_case_in_yaml_can_be_wrong_and_never_panics() {
    for text in ["", "[]", "name: a", "name: a\nsteps: {}"] {
        let error = TestCase::from_yaml(text).map(|_| ()).unwrap_err();
        assert!(matches!(error, TestCaseError::Shape(_)), "{text}");
    }
}
