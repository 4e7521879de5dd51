//! Binding by name: which record of which earlier stage a stage takes, and that kinds and units agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use retrotap_abi::manifest::{Field, FieldsError, GenericField, Input, InputRecord, Manifest};

use crate::engine::EngineError;
use crate::guest::StartError;
use crate::module::Module;
use crate::settings::{ParamValue, SettingError, Table};
use crate::suggest::suggestion;

/// One stage of a pipeline to be.
#[derive(Clone, Debug)]
pub struct StageSpec {
    /// Its module.
    pub module: Arc<Module>,
    /// Parameters by name; the rest keep their defaults.
    pub params: BTreeMap<String, ParamValue>,
    /// Tables by name. Live ones may be left out, and begin empty.
    pub tables: BTreeMap<String, Table>,
    /// The fields of a generic stage, and of no other.
    pub fields: Option<Vec<GenericField>>,
    /// Another name for the record of a generic stage that has those fields.
    pub record: Option<String>,
}

/// Why a pipeline can't be loaded.
#[derive(Debug, thiserror::Error)]
#[error("{stage}: {cause}")]
pub struct BindError {
    /// The stage it is about.
    pub stage: String,
    /// What is wrong.
    pub cause: BindCause,
}

/// What is wrong with a stage in its pipeline.
#[derive(Debug, thiserror::Error)]
pub enum BindCause {
    /// A stage may stand in a pipeline once: parameters are set by its name.
    #[error("stands in the pipeline twice")]
    Twice,
    /// There are more stages than a pipeline may have.
    #[error("the pipeline has more than {} stages", crate::limits::STAGES_MAX)]
    TooManyStages,
    /// The fields of a generic stage, or the name of its record, are missing, wrong, or given to one
    /// that isn't.
    #[error(transparent)]
    Fields(#[from] FieldsError),
    /// No earlier stage emits the record that it takes.
    #[error("takes `{record}`, which no earlier stage emits{suggestion}")]
    NoRecord {
        /// The record.
        record: String,
        /// `; did you mean …?`, or nothing.
        suggestion: String,
    },
    /// The record lacks a field that it needs.
    #[error("needs `{record}.{field}`, which {emitter} does not emit{suggestion}")]
    NoField {
        /// The record.
        record: String,
        /// The field.
        field: String,
        /// The stage that emits the record.
        emitter: String,
        /// `; did you mean …?`, or nothing.
        suggestion: String,
    },
    /// A field has another unit.
    #[error("takes `{record}.{field}` in {expected}, but {emitter} emits it in {found}")]
    Unit {
        /// The record.
        record: String,
        /// The field.
        field: String,
        /// The stage that emits it.
        emitter: String,
        /// The unit that it emits, in words.
        found: String,
        /// The unit that is expected, in words.
        expected: String,
    },
    /// A field is of another kind, or a choice among other names.
    #[error("takes `{record}.{field}` as another kind of value than {emitter} emits")]
    Kind {
        /// The record.
        record: String,
        /// The field.
        field: String,
        /// The stage that emits it.
        emitter: String,
    },
    /// A parameter or a table is wrong.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// The engine can't take the module.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It doesn't start.
    #[error(transparent)]
    Start(#[from] StartError),
}

/// What a stage is called with.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Frame,
    Record {
        /// The stage that emits it.
        stage: usize,
        /// The record's number there.
        number: u32,
        /// For each input field, where it stands in that record.
        fields: Vec<FieldSource>,
    },
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FieldSource {
    /// Nowhere, if the record hasn't got an optional field.
    pub(crate) place: Option<usize>,
    pub(crate) required: bool,
}

/// Finds the source of a stage's input among the stages before it.
pub(crate) fn bind(manifest: &Manifest, earlier: &[&Manifest]) -> Result<Source, Vec<BindCause>> {
    let Input::Record(input) = &manifest.input else {
        return Ok(Source::Frame);
    };
    let emitted = earlier
        .iter()
        .enumerate()
        .rev()
        .find_map(|(stage, manifest)| {
            let number = manifest
                .records
                .iter()
                .position(|record| record.record == input.record)?;
            Some((stage, number))
        });
    let Some((stage, number)) = emitted else {
        let known = earlier
            .iter()
            .flat_map(|manifest| &manifest.records)
            .map(|record| record.record.as_str());
        let suggestion = suggestion(&input.record, known);
        return Err(vec![BindCause::NoRecord {
            record: input.record.clone(),
            suggestion,
        }]);
    };
    let record_fields = &earlier[stage].records[number].fields;
    let mut fields = Vec::with_capacity(input.fields.len());
    let mut problems = Vec::new();
    for wanted in &input.fields {
        match bind_field(input, wanted, &earlier[stage].stage, record_fields) {
            Ok(source) => fields.push(source),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() {
        Ok(Source::Record {
            stage,
            number: number as u32,
            fields,
        })
    } else {
        Err(problems)
    }
}

fn bind_field(
    input: &InputRecord,
    wanted: &Field,
    emitter: &str,
    fields: &[Field],
) -> Result<FieldSource, BindCause> {
    let (record, field, emitter) = (
        input.record.clone(),
        wanted.name.clone(),
        emitter.to_owned(),
    );
    let required = !wanted.optional;
    let Some(place) = fields
        .iter()
        .position(|emitted| emitted.name == wanted.name)
    else {
        if wanted.optional {
            return Ok(FieldSource {
                place: None,
                required,
            });
        }
        let suggestion = suggestion(&field, fields.iter().map(|field| field.name.as_str()));
        return Err(BindCause::NoField {
            record,
            field,
            emitter,
            suggestion,
        });
    };
    let emitted = &fields[place];
    if emitted.kind != wanted.kind || emitted.choices != wanted.choices {
        return Err(BindCause::Kind {
            record,
            field,
            emitter,
        });
    }
    if emitted.unit != wanted.unit {
        let words = |unit: &Option<String>| unit.clone().unwrap_or_else(|| "no unit".into());
        let (found, expected) = (words(&emitted.unit), words(&wanted.unit));
        return Err(BindCause::Unit {
            record,
            field,
            emitter,
            found,
            expected,
        });
    }
    Ok(FieldSource {
        place: Some(place),
        required,
    })
}
