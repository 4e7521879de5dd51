//! One stage by itself, called with frames or records that somebody made up: for its test cases.

use std::collections::BTreeMap;

use retrotap_abi::layout::{self, Kind, SLOT_BYTES};
use retrotap_abi::manifest::{Field, Input};

use crate::bind::{BindError, Source, StageSpec};
use crate::engine::Engine;
use crate::guest::Guest;
use crate::pipeline::{Outcome, Pipeline, effective};
use crate::records::Records;
use crate::settings::Config;

/// A stage without neighbours.
#[derive(Debug)]
pub struct Alone(Pipeline);

/// A value of a record that somebody made up.
#[derive(Clone, Debug, PartialEq)]
pub enum Given {
    /// A number, also for whole numbers and rows.
    Number(f64),
    /// Yes or no.
    Bool(bool),
    /// The name of a choice.
    Text(String),
}

/// Why a stage can't be called so.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It takes frames.
    #[error("the stage takes frames, not records")]
    TakesFrames,
    /// It takes records.
    #[error("the stage takes records, not frames")]
    TakesRecords,
    /// There is no such field in what it takes.
    #[error("the stage takes no field `{0}`")]
    UnknownField(String),
    /// A field is of another kind.
    #[error("field `{field}` takes {expected}")]
    Kind {
        /// The field.
        field: String,
        /// What it takes.
        expected: &'static str,
    },
    /// A field that must not lack does.
    #[error("field `{0}` is missing")]
    Missing(String),
}

impl Alone {
    /// Starts a stage with its parameters and tables. What it takes may come from anywhere.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with its settings, or why it doesn't start.
    pub fn start(engine: &Engine, spec: &StageSpec) -> Result<Self, Vec<BindError>> {
        let stage = &spec.module.manifest().stage;
        let of = |cause| BindError {
            stage: stage.clone(),
            cause,
        };
        let one = |cause| vec![of(cause)];
        let manifest = effective(spec).map_err(one)?;
        let config = Config::new(&manifest, &spec.params, &spec.tables).map_err(
            |errors| -> Vec<BindError> {
                errors.into_iter().map(|error| of(error.into())).collect()
            },
        )?;
        let code = engine
            .prepare(&spec.module)
            .map_err(|error| one(error.into()))?;
        let guest = Guest::start(spec.module.clone(), manifest, code, config)
            .map_err(|error| one(error.into()))?;
        Ok(Self(Pipeline {
            records: Records::with_room_for(std::iter::once(&guest.manifest)),
            sources: vec![Source::Frame],
            guests: vec![guest],
            input: Vec::new(),
            t_ns: 0,
        }))
    }

    /// Calls it with a frame.
    ///
    /// # Errors
    ///
    /// It doesn't take frames.
    pub fn frame(&mut self, bytes: &[u8], t_ns: i64) -> Result<Outcome<'_>, CallError> {
        match self.0.guests[0].manifest.input {
            Input::Frame => Ok(self.0.process(bytes, t_ns)),
            Input::Record(_) => Err(CallError::TakesRecords),
        }
    }

    /// Calls it with a record.
    ///
    /// # Errors
    ///
    /// It doesn't take records, or not this one.
    pub fn record(
        &mut self,
        values: &BTreeMap<String, Given>,
        t_ns: i64,
    ) -> Result<Outcome<'_>, CallError> {
        let pipeline = &mut self.0;
        let Input::Record(input) = &pipeline.guests[0].manifest.input else {
            return Err(CallError::TakesFrames);
        };
        let bytes = written(&input.fields, values)?;
        pipeline.t_ns = pipeline.t_ns.max(t_ns);
        pipeline.records.clear();
        let halted = pipeline.guests[0]
            .process(0, &bytes, pipeline.t_ns, &mut pipeline.records)
            .map_err(|halt| (0, halt));
        Ok(pipeline.outcome(halted))
    }

    /// Lets it know that time has passed.
    pub fn tick(&mut self, t_ns: i64) -> Outcome<'_> {
        self.0.tick(t_ns)
    }
}

/// A record as it stands in the input area.
fn written(fields: &[Field], values: &BTreeMap<String, Given>) -> Result<Vec<u8>, CallError> {
    let is_known = |name: &String| fields.iter().any(|field| field.name == *name);
    if let Some(name) = values.keys().find(|name| !is_known(name)) {
        return Err(CallError::UnknownField(name.clone()));
    }
    let mut bytes = vec![0; layout::record_bytes(fields.len())];
    let mut present = 0_u32;
    for (place, field) in fields.iter().enumerate() {
        let word = match values.get(&field.name) {
            Some(value) => word(field, value)?,
            None if field.optional => continue,
            None => return Err(CallError::Missing(field.name.clone())),
        };
        let at = layout::slot_offset(place);
        bytes[at..at + SLOT_BYTES].copy_from_slice(&word.to_le_bytes());
        present |= 1 << place;
    }
    bytes[..4].copy_from_slice(&present.to_le_bytes());
    Ok(bytes)
}

fn word(field: &Field, value: &Given) -> Result<u64, CallError> {
    let kind = |expected| CallError::Kind {
        field: field.name.clone(),
        expected,
    };
    match (field.kind, value) {
        (Kind::F64, Given::Number(number)) => Ok(number.to_bits()),
        (Kind::I64, Given::Number(number)) => Ok((*number as i64).cast_unsigned()),
        (Kind::Row, Given::Number(number)) => Ok(*number as u64),
        (Kind::Bool, Given::Bool(yes)) => Ok(u64::from(*yes)),
        (Kind::Choice, Given::Text(name)) => {
            let place = field.choices.iter().position(|choice| choice == name);
            place
                .map(|place| place as u64)
                .ok_or_else(|| kind("one of its choices"))
        }
        (Kind::F64 | Kind::I64 | Kind::Row, _) => Err(kind("a number")),
        (Kind::Bool, _) => Err(kind("true or false")),
        (Kind::Choice, _) => Err(kind("the name of a choice")),
        (Kind::Text, _) => Err(kind("nothing: text is output only")),
    }
}
