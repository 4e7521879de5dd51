//! From an adapter, its modules and a machine's own settings to what a line is made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use retrotap_adapters::framing::{FramingKind, FramingSpec, SerialSettings};
use retrotap_adapters::schema::{FieldKind, FieldUse, ParamValue as Written, StageUse};
use retrotap_host::{
    BindError, Engine, GenericField, Kind, Manifest, Module, ParamValue, ParameterDefault,
    Pipeline, SettingError, StageSpec,
};

use super::catalog::{Catalog, CatalogError, LoadedAdapter};

/// The live table that a stage with obstacles has.
pub const OBSTACLES: &str = "obstacles";

/// Parameters by stage and name.
pub type Params = BTreeMap<String, BTreeMap<String, ParamValue>>;

/// What a line is made of.
#[derive(Debug)]
pub struct Assembled {
    /// One framing for each port.
    pub framings: Vec<FramingSpec>,
    /// Settings of its ports.
    pub serial: SerialSettings,
    /// The stages, bound and started.
    pub pipeline: Pipeline,
    /// Names of the records that leave.
    pub publish: Vec<String>,
    /// The stage that takes obstacles, if one does.
    pub obstacles_stage: Option<String>,
    /// How old the last frame may be before the line counts as silent, in nanoseconds.
    pub stale_after_ns: u64,
    /// The modules in order: `name@version`, hash of the file, and the manifest as JSON.
    pub modules: Vec<ModuleInfo>,
    /// Lowest and highest value of fields for which parameters say so: `axis_1_min_deg` and
    /// `axis_1_max_deg` are those of `axis_1_deg`.
    pub ranges: BTreeMap<String, [f64; 2]>,
}

impl Assembled {
    /// The silence after its last byte that ends a frame, in nanoseconds: so long after that byte it is
    /// computed. 0 where frames end with a byte.
    pub fn silence_ns(&self) -> u64 {
        let gaps = self
            .framings
            .iter()
            .filter_map(|framing| match &framing.kind {
                FramingKind::IdleGap(idle_gap) => Some(idle_gap.gap_ns),
                _ => None,
            });
        gaps.max().unwrap_or(0)
    }
}

/// A module that a line runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleInfo {
    /// `name@version`.
    pub id: String,
    /// SHA-256 of the file, in hexadecimal digits.
    pub sha256: String,
    /// The manifest, the adapter's fields included where the stage is generic.
    pub manifest_json: String,
}

/// Why an adapter can't become a line.
#[derive(Debug, thiserror::Error)]
pub enum AssembleError {
    /// A module can't be had.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// Settings name a stage that the adapter doesn't have.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The stages don't fit together, or not to their settings: all reasons.
    #[error("the pipeline can't be put together:\n{}", lines(.0))]
    Bind(Vec<BindError>),
    /// A manifest can't be written as JSON.
    #[error("the manifest of {stage} can't be written as JSON: {source}")]
    Manifest {
        /// The stage.
        stage: String,
        /// Why.
        source: serde_json::Error,
    },
}

fn lines(errors: &[BindError]) -> String {
    let lines: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
    lines.join("\n")
}

/// Puts a line together: the adapter's parameters, then those of `params`, which win.
///
/// # Errors
///
/// A module is missing, or the stages don't fit each other or their settings.
pub fn assemble(
    engine: &Engine,
    catalog: &Catalog,
    adapter: &LoadedAdapter,
    params: &Params,
) -> Result<Assembled, AssembleError> {
    let known = &adapter.adapter;
    if let Some(stage) = params
        .keys()
        .find(|name| !known.pipeline.iter().any(|s| s.stage == **name))
    {
        return Err(SettingError::UnknownStage {
            name: stage.clone(),
            suggestion: String::new(),
        }
        .into());
    }
    let mut specs = Vec::new();
    let mut ranges = BTreeMap::new();
    for stage in &known.pipeline {
        let spec = stage_spec(catalog, adapter, stage, params.get(&stage.stage))?;
        ranges.extend(ranges_of(&spec.params));
        specs.push(spec);
    }
    let ids: Vec<_> = specs.iter().map(|spec| Arc::clone(&spec.module)).collect();
    let pipeline = Pipeline::load(engine, specs).map_err(AssembleError::Bind)?;
    let modules = ids
        .iter()
        .zip(pipeline.manifests())
        .map(|(module, manifest)| {
            Ok(ModuleInfo {
                id: module.id().to_owned(),
                sha256: hex(module.sha256()),
                manifest_json: serde_json::to_string(manifest).map_err(|source| {
                    AssembleError::Manifest {
                        stage: manifest.stage.clone(),
                        source,
                    }
                })?,
            })
        })
        .collect::<Result<Vec<_>, AssembleError>>()?;
    let takes_obstacles = |manifest: &&Manifest| {
        manifest
            .tables
            .iter()
            .any(|table| table.live && table.name == OBSTACLES)
    };
    let obstacles_stage = pipeline
        .manifests()
        .find(takes_obstacles)
        .map(|manifest| manifest.stage.clone());
    Ok(Assembled {
        framings: known
            .ports
            .iter()
            .map(|port| port.framing.clone())
            .collect(),
        serial: known.serial,
        pipeline,
        publish: known.publish.clone(),
        obstacles_stage,
        stale_after_ns: known.stale_after_ns,
        modules,
        ranges,
    })
}

fn stage_spec(
    catalog: &Catalog,
    adapter: &LoadedAdapter,
    stage: &StageUse,
    own: Option<&BTreeMap<String, ParamValue>>,
) -> Result<StageSpec, CatalogError> {
    let mut params: BTreeMap<String, ParamValue> = stage
        .params
        .iter()
        .map(|(name, value)| (name.clone(), host_value(value)))
        .collect();
    params.extend(
        own.into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.clone())),
    );
    let tables = stage
        .tables
        .iter()
        .filter_map(|(name, file)| {
            let (_, table) = adapter.tables.iter().find(|(known, _)| known == file)?;
            Some((name.clone(), table.clone()))
        })
        .collect();
    let fields =
        (!stage.fields.is_empty()).then(|| stage.fields.iter().map(generic_field).collect());
    Ok(StageSpec {
        module: catalog.module(&stage.stage)?,
        params,
        tables,
        fields,
        record: stage.record.clone(),
    })
}

/// The value as the host knows it.
pub fn host_value(value: &Written) -> ParamValue {
    match value {
        Written::Number { value, unit } => ParamValue::Number {
            value: *value,
            unit: unit.clone(),
        },
        Written::Choice(choice) => ParamValue::Choice(choice.clone()),
    }
}

/// A stage of an adapter with another module, as far as a successor has to know it.
pub fn successor_spec(adapter: &LoadedAdapter, module: &Arc<Module>) -> StageSpec {
    let stages = &adapter.adapter.pipeline;
    let name = &module.manifest().stage;
    let known = stages.iter().find(|known| known.stage == *name);
    let fields = known
        .filter(|known| !known.fields.is_empty())
        .map(|known| known.fields.iter().map(generic_field).collect());
    StageSpec {
        module: Arc::clone(module),
        params: BTreeMap::new(),
        tables: BTreeMap::new(),
        fields,
        record: known.and_then(|known| known.record.clone()),
    }
}

fn generic_field(field: &FieldUse) -> GenericField {
    GenericField {
        name: field.name.clone(),
        from: field.from.clone(),
        kind: match field.kind {
            FieldKind::F64 => Kind::F64,
            FieldKind::I64 => Kind::I64,
            FieldKind::Bool => Kind::Bool,
            FieldKind::Text => Kind::Text,
        },
        unit: field.unit.clone(),
        optional: field.optional,
        params: field
            .params
            .iter()
            .map(|(name, value)| (name.clone(), field_param(value)))
            .collect(),
    }
}

fn field_param(value: &Written) -> ParameterDefault {
    match value {
        Written::Number { value, .. } => ParameterDefault::Number(*value),
        Written::Choice(text) => ParameterDefault::Choice(text.clone()),
    }
}

fn ranges_of(
    params: &BTreeMap<String, ParamValue>,
) -> impl Iterator<Item = (String, [f64; 2])> + '_ {
    let number = |value: &ParamValue| match value {
        ParamValue::Number { value, .. } => Some(*value),
        ParamValue::Choice(_) => None,
    };
    params.iter().filter_map(move |(name, low)| {
        let (stem, unit) = name.split_once("_min_")?;
        let high = params.get(&format!("{stem}_max_{unit}"))?;
        Some((format!("{stem}_{unit}"), [number(low)?, number(high)?]))
    })
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
