//! What a line's decisions depend on besides bytes, and how that stands in a capture.

use retrotap_host::{ParamValue, Table, TableRow};
use serde::{Deserialize, Serialize};

use crate::capture::{Input as Captured, InputKind, Start, TableUsed};
use crate::cell::obstacles::{Room, SnapshotError};
use crate::cell::separation::Rules;
use crate::modules::assemble::Params;
use crate::modules::catalog::LoadedAdapter;

/// The adapter with the tables that a line began with.
pub fn adapter_of(adapter: &LoadedAdapter, start: &Start) -> LoadedAdapter {
    start.tables.iter().fold(adapter.clone(), |adapter, used| {
        let row = |(name, values): &(String, Vec<f64>)| TableRow {
            name: name.clone(),
            values: values.clone(),
        };
        let table = Table {
            columns: used.columns.clone(),
            rows: used.rows.iter().map(row).collect(),
        };
        adapter.with_table(&used.stage, &used.table, table)
    })
}

/// The parameters that a line began with, as far as this adapter's pipeline has their stages.
pub fn params_of(adapter: &LoadedAdapter, mut params: Params) -> Params {
    params.retain(|stage, _| {
        let has = adapter
            .adapter
            .pipeline
            .iter()
            .any(|has| has.stage == *stage);
        if !has {
            tracing::warn!(
                stage,
                "recorded for a stage that this pipeline doesn't have: left out"
            );
        }
        has
    });
    params
}

/// A table as it stands in a line's beginning.
pub fn table_used(stage: &str, name: &str, table: &Table) -> TableUsed {
    let rows = table.rows.iter();
    TableUsed {
        stage: stage.to_owned(),
        table: name.to_owned(),
        columns: table.columns.clone(),
        rows: rows
            .map(|row| (row.name.clone(), row.values.clone()))
            .collect(),
    }
}

/// A change that takes effect between two frames.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Everybody and everything in the cell, from this moment on.
    Obstacles(Room),
    /// A parameter of a stage.
    Parameter(Parameter),
    /// The rules by which the robot's separation becomes a state.
    Rules(Rules),
    /// The gateway took longer than the rules allow: so many seconds.
    Late(f64),
    /// Nothing but time.
    Tick,
}

/// A parameter of a stage with its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// The stage's name.
    pub stage: String,
    /// The parameter's name in the stage's manifest.
    pub name: String,
    /// Its value: a number, a number with its unit, or the name of a choice.
    #[serde(with = "written")]
    pub value: ParamValue,
}

/// A parameter's value in JSON: `1.5`, `{"value":110,"unit":"deg/s"}` or `"sign_magnitude"`.
mod written {
    use retrotap_host::ParamValue;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Plain(f64),
        Quantity { value: f64, unit: String },
        Choice(String),
    }

    pub fn serialize<S: Serializer>(value: &ParamValue, to: S) -> Result<S::Ok, S::Error> {
        match value.clone() {
            ParamValue::Number { value, unit: None } => Written::Plain(value),
            ParamValue::Number {
                value,
                unit: Some(unit),
            } => Written::Quantity { value, unit },
            ParamValue::Choice(choice) => Written::Choice(choice),
        }
        .serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ParamValue, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Plain(value) => ParamValue::Number { value, unit: None },
            Written::Quantity { value, unit } => ParamValue::Number {
                value,
                unit: Some(unit),
            },
            Written::Choice(choice) => ParamValue::Choice(choice),
        })
    }
}

/// A captured input that this version can't make sense of.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Obstacles that the cell refuses.
    #[error("captured obstacles: {0}")]
    Obstacles(#[from] SnapshotError),
    /// Not the JSON of what it is said to be.
    #[error("captured {}: {error}", kind.name())]
    Json {
        /// What it is said to be.
        kind: InputKind,
        /// What is wrong.
        error: serde_json::Error,
    },
}

impl Input {
    /// Whether it holds on, so that a line that begins again begins with it.
    pub(super) fn lasts(&self) -> bool {
        matches!(
            self,
            Self::Obstacles(_) | Self::Parameter(_) | Self::Rules(_)
        )
    }

    /// Whether it takes the place of another one.
    pub(super) fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Obstacles(_), Self::Obstacles(_)) | (Self::Rules(_), Self::Rules(_)) => true,
            (Self::Parameter(this), Self::Parameter(other)) => {
                (&this.stage, &this.name) == (&other.stage, &other.name)
            }
            _ => false,
        }
    }

    /// The input as it is written into a capture.
    ///
    /// # Errors
    ///
    /// Where it can't be written as JSON.
    pub fn to_captured(&self, line_ns: u64) -> Result<Captured, serde_json::Error> {
        match self {
            Self::Obstacles(snapshot) => Captured::new(line_ns, InputKind::Obstacles, snapshot),
            Self::Parameter(parameter) => Captured::new(line_ns, InputKind::Parameter, parameter),
            Self::Rules(rules) => Captured::new(line_ns, InputKind::Rules, rules),
            Self::Late(seconds) => Captured::new(line_ns, InputKind::Late, seconds),
            Self::Tick => Captured::new(line_ns, InputKind::Tick, &()),
        }
    }

    /// The input that a capture holds; `None` for what only marks the capture, such as its start.
    ///
    /// # Errors
    ///
    /// What it says is no input: the capture was made by another version, or damaged.
    pub fn from_captured(captured: &Captured) -> Result<Option<Self>, InputError> {
        let json = |error| InputError::Json {
            kind: captured.kind,
            error,
        };
        let data = &captured.data;
        Ok(Some(match captured.kind {
            InputKind::Obstacles => Self::Obstacles(Room::parse(data)?),
            InputKind::Parameter => Self::Parameter(serde_json::from_str(data).map_err(json)?),
            InputKind::Rules => Self::Rules(serde_json::from_str(data).map_err(json)?),
            InputKind::Late => Self::Late(serde_json::from_str(data).map_err(json)?),
            InputKind::Tick => Self::Tick,
            InputKind::Start | InputKind::Reset => return Ok(None),
        }))
    }
}
