//! Loads, binds and runs stages: the only place that knows a WebAssembly engine.
//!
//! A [`Module`] is a stage's file, looked through before anything of it runs. An [`Engine`] runs it:
//! compiled (`wasmtime`), interpreted (`spacewasm`), or as ordinary Rust (`native`, for tests and
//! benches). A [`Pipeline`] is a list of them, bound by the names and units in their manifests, with
//! parameters and tables filled in; it turns frames into records.
//!
//! What it keeps true: a stage can be wrong, and nothing else. Whatever it does (loop, trap, lie about
//! its output) costs the frame it did it on, is named in the [`Verdict`], and after a few times puts the
//! stage aside. What can't be bound is an error at loading, never while the pipeline runs. A frame that
//! any stage rejects leaves no record at all. Once warm, a frame allocates nothing.
//!
//! What it doesn't do: read files, look at a clock, or decide what becomes of records. Time is an
//! argument, and modules are bytes. The one thread it has lets compiled code see its deadline.

mod alone;
mod bind;
#[cfg(feature = "build")]
pub mod build;
mod engine;
mod guest;
pub mod inspect;
pub mod limits;
mod module;
mod pack;
mod pipeline;
mod records;
mod settings;
mod suggest;
mod swap;
#[cfg(feature = "build")]
pub mod testcase;

pub use alone::{Alone, CallError, Given};
pub use bind::{BindCause, BindError, StageSpec};
#[cfg(feature = "native")]
pub use engine::NativeStages;
#[cfg(feature = "wasmtime")]
pub use engine::WasmtimeOptions;
pub use engine::{Engine, EngineError, Trap};
pub use guest::{StageCounts, StartError, Strike};
pub use module::{Module, ModuleError, check_sections};
pub use pack::{PackError, for_browsers, pack, pack_with_cases};
pub use pipeline::{
    FRAME_TOO_LONG, Outcome, Pipeline, REQUIRED_FIELD_ABSENT, RecordSchema, Verdict,
};
pub use records::{RecordRef, Value};
pub use retrotap_abi::Manifest;
pub use retrotap_abi::manifest::{
    Field, FieldsError, GenericField, Kind, ParameterDefault, Record,
};
pub use settings::{ParamValue, SettingError, Table, TableRow};
pub use swap::Successor;
