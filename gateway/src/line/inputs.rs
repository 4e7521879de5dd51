//! What a line's decisions depend on besides bytes, and how that stands in a capture.

use retrotap_host::ParamValue;
use serde::{Deserialize, Serialize};

use crate::capture::{Input as Captured, InputKind};
use crate::cell::obstacles::{Snapshot, SnapshotError};

/// A change that takes effect between two frames.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// Everybody and everything in the cell, from this moment on.
    Obstacles(Snapshot),
    /// A parameter of a stage.
    Parameter(Parameter),
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
    /// Not the JSON of a parameter.
    #[error("captured parameter: {0}")]
    Parameter(#[from] serde_json::Error),
}

impl Input {
    /// The input as it is written into a capture.
    ///
    /// # Errors
    ///
    /// Where it can't be written as JSON.
    pub fn to_captured(&self, line_ns: u64) -> Result<Captured, serde_json::Error> {
        match self {
            Self::Obstacles(snapshot) => Captured::new(line_ns, InputKind::Obstacles, snapshot),
            Self::Parameter(parameter) => Captured::new(line_ns, InputKind::Parameter, parameter),
        }
    }

    /// The input that a capture holds; `None` for what only marks the capture, such as its start.
    ///
    /// # Errors
    ///
    /// What it says is no input: the capture was made by another version, or damaged.
    pub fn from_captured(captured: &Captured) -> Result<Option<Self>, InputError> {
        Ok(match captured.kind {
            InputKind::Obstacles => Some(Self::Obstacles(Snapshot::parse(&captured.data)?)),
            InputKind::Parameter => Some(Self::Parameter(serde_json::from_str(&captured.data)?)),
            InputKind::Start | InputKind::Tick | InputKind::Reset => None,
        })
    }
}
