//! Engines, and modules made of text.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use retrotap_host::{Engine, Manifest, Module, Pipeline, StageSpec, pack};

pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong")
}

pub fn manifest() -> Manifest {
    Manifest::from_yaml(&std::fs::read_to_string(folder().join("manifest.yaml")).unwrap()).unwrap()
}

pub fn code(name: &str) -> Vec<u8> {
    wat::parse_file(folder().join(name).with_extension("wat")).unwrap()
}

/// Adds a section as it is, without packing.
pub fn with_section(wasm: &[u8], data: &[u8]) -> Vec<u8> {
    let section = wasm_encoder::CustomSection {
        name: Cow::Borrowed("retrotap"),
        data: Cow::Borrowed(data),
    };
    let mut bytes = wasm.to_vec();
    bytes.push(0);
    wasm_encoder::Encode::encode(&section, &mut bytes);
    bytes
}

/// The healthy guest's code with another manifest.
pub fn module_of(yaml: &str) -> Arc<Module> {
    let manifest = Manifest::from_yaml(yaml).unwrap();
    Arc::new(Module::parse(&pack(&code("healthy"), &manifest).unwrap()).unwrap())
}

pub fn guest(name: &str) -> Arc<Module> {
    Arc::new(Module::parse(&pack(&code(name), &manifest()).unwrap()).unwrap())
}

pub fn spec(module: &Arc<Module>) -> StageSpec {
    StageSpec {
        module: Arc::clone(module),
        params: BTreeMap::new(),
        tables: BTreeMap::new(),
        fields: None,
        record: None,
    }
}

pub fn load(engine: &Engine, module: &Arc<Module>) -> Pipeline {
    Pipeline::load(engine, vec![spec(module)]).unwrap()
}

/// Every engine that modules run in.
pub fn engines() -> Vec<Engine> {
    vec![
        #[cfg(feature = "wasmtime")]
        Engine::wasmtime(retrotap_host::WasmtimeOptions::default()).unwrap(),
        #[cfg(feature = "spacewasm")]
        Engine::spacewasm(),
    ]
}
