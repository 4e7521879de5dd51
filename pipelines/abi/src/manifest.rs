//! The manifest: the one description of a stage that everybody reads.
//!
//! Its author writes it as YAML beside the source, packing puts it as JSON into the module's custom
//! section. Unknown keys are errors. [`Manifest::check`] reports everything that is wrong with one.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::check::Problem;
pub use crate::generic::{Fields, FieldsError, FieldsFrom, GenericField};
use crate::layout;
pub use crate::layout::Kind;

/// What a stage is, takes and gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The stage's name, in kebab case.
    pub stage: String,
    /// Its semantic version.
    pub version: semver::Version,
    /// The ABI it was built for.
    pub abi: u32,
    /// One line that says what it does.
    pub title: String,
    /// What one call gets.
    pub input: Input,
    /// What it emits; the number of a record is its place in this list.
    #[serde(default)]
    pub records: Vec<Record>,
    /// Numbers and choices to set.
    #[serde(default)]
    pub parameters: Vec<Parameter>,
    /// Tables to fill.
    #[serde(default)]
    pub tables: Vec<Table>,
    /// Why it may reject an input or its configuration; the k-th, from 1, is returned as −k.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// What it needs of memory.
    pub sizes: Sizes,
    /// Microseconds that a call may take.
    pub time_budget_us: u32,
    /// What a hot swap carries over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<StateLayout>,
    /// `adapter` for a generic stage; the fields themselves once the adapter is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Fields>,
    /// What a generic stage's fields may hold; numbers alone unless given.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field_kinds: Vec<Kind>,
    /// What a generic stage has to know of each field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub field_parameters: Vec<Parameter>,
}

/// What one call gets.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The bytes of a frame.
    Frame,
    /// One record of an earlier stage.
    Record(InputRecord),
}

/// The record that a stage takes, with those of its fields that it looks at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputRecord {
    /// The record's name. Empty in a generic stage, where the adapter says it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub record: String,
    /// The fields, in the order of their slots. Empty in a generic stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<Field>,
}

/// A record that a stage emits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its name.
    pub record: String,
    /// What it says.
    #[serde(default)]
    pub description: String,
    /// Its fields, in the order of their slots. Empty in a generic stage: the adapter's.
    #[serde(default)]
    pub fields: Vec<Field>,
}

/// One named value of a record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its name, unit last.
    pub name: String,
    /// What its slot holds.
    #[serde(default)]
    pub kind: Kind,
    /// Its unit as it is written: `deg`, `deg/s`, `m/s`, `mm`, `s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The least and the greatest value that make sense; for scales, not enforced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// The names, where it is a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// The table, where it is a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// What it says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Whether a record may lack it.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub optional: bool,
}

/// A number or a choice that is set from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameter {
    /// Its name, unit last.
    pub name: String,
    /// Its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What it is unless somebody says otherwise. Without one it must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<ParameterDefault>,
    /// The least value allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// The greatest value allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    /// The names, where it is a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// Room for a text in bytes, where it is one. Only a field's parameter can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<usize>,
    /// What it does.
    #[serde(default)]
    pub description: String,
}

/// A parameter's default: a number, the name of a choice, or a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParameterDefault {
    /// A number in the parameter's unit.
    Number(f64),
    /// One of the parameter's choices, or text where it is text.
    Choice(String),
}

/// A table that is filled from outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Whether it changes while the pipeline runs. A live one may begin empty, a fixed one must be
    /// given.
    #[serde(default)]
    pub live: bool,
    /// How many rows there is room for.
    pub rows_max: usize,
    /// Its columns. A row's name is not among them: it stays with the host.
    pub columns: Vec<Column>,
    /// What it says.
    #[serde(default)]
    pub description: String,
}

/// A column of numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name, unit last.
    pub name: String,
    /// Its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What it says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Why a stage may reject an input or its configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Its name, which becomes a counter's label.
    pub name: String,
    /// What happened, and what to do about it.
    #[serde(default)]
    pub description: String,
}

/// What a stage needs of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// The longest frame, where the input is one.
    #[serde(default)]
    pub frame_bytes_max: usize,
    /// Bytes of the output area.
    pub output_bytes_max: usize,
    /// The most records of one call.
    pub records_max: usize,
    /// Bytes of the whole memory.
    pub memory_bytes: usize,
}

/// The block that a hot swap carries over where name and size are the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateLayout {
    /// The layout's name.
    pub layout: String,
    /// Its size.
    pub bytes: usize,
}

/// Why a text is not a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The JSON or YAML doesn't have the shape of a manifest.
    #[error("{0}")]
    Shape(String),
    /// It has the shape, but [`Manifest::check`] found problems.
    #[error("{}", crate::check::joined(.0))]
    Problems(Vec<Problem>),
}

impl Manifest {
    /// Reads a manifest as it stands in a module's section, and checks it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| ManifestError::Shape(alloc::format!("{error}")))?;
        manifest.checked()
    }

    /// Reads a manifest as its author writes it, and checks it.
    #[cfg(feature = "yaml")]
    pub fn from_yaml(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = serde_saphyr::from_str(text)
            .map_err(|error| ManifestError::Shape(alloc::format!("{error}")))?;
        manifest.checked()
    }

    fn checked(self) -> Result<Self, ManifestError> {
        let problems = self.check();
        if problems.is_empty() {
            Ok(self)
        } else {
            Err(ManifestError::Problems(problems))
        }
    }

    /// The manifest as it stands in a module's section.
    pub fn to_json(&self) -> String {
        // Only maps with keys that aren't strings and failing writers make this fail: there are none.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Everything that is wrong with it, in the order in which it stands there. See [`crate::limits`].
    pub fn check(&self) -> Vec<Problem> {
        crate::check::check(self)
    }

    /// `name@1.0.0`, as records and topics show it.
    pub fn id(&self) -> String {
        alloc::format!("{}@{}", self.stage, self.version)
    }

    /// Bytes of the input area.
    pub fn input_bytes(&self) -> usize {
        match &self.input {
            Input::Frame => layout::aligned(self.sizes.frame_bytes_max),
            Input::Record(_) if self.is_generic() => {
                layout::record_bytes(crate::limits::FIELDS_MAX)
            }
            Input::Record(input) => layout::record_bytes(input.fields.len()),
        }
    }

    /// Bytes of the configuration.
    pub fn config_bytes(&self) -> usize {
        self.table_offset(self.tables.len())
    }

    /// Where a table begins within the configuration; the number of tables gives its end.
    pub fn table_offset(&self, table: usize) -> usize {
        self.field_table_offset()
            + self.field_table_bytes()
            + self.tables[..table.min(self.tables.len())]
                .iter()
                .map(Table::bytes)
                .sum::<usize>()
    }

    /// Bytes of the output area.
    pub fn output_bytes(&self) -> usize {
        layout::aligned(self.sizes.output_bytes_max)
    }
}

impl Table {
    /// Bytes of the table within the configuration.
    pub fn bytes(&self) -> usize {
        layout::table_bytes(self.rows_max, self.columns.len())
    }
}

impl Serialize for Input {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Frame => serializer.serialize_str("frame"),
            Self::Record(record) => record.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InputVisitor;

        impl<'de> Visitor<'de> for InputVisitor {
            type Value = Input;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("`frame`, or `record` and `fields`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Input, E> {
                match text {
                    "frame" => Ok(Input::Frame),
                    other => Err(E::unknown_variant(other, &["frame"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Input, A::Error> {
                InputRecord::deserialize(MapAccessDeserializer::new(map)).map(Input::Record)
            }
        }

        deserializer.deserialize_any(InputVisitor)
    }
}

impl fmt::Display for ParameterDefault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(formatter, "{number}"),
            Self::Choice(name) => formatter.write_str(name),
        }
    }
}

impl Field {
    /// A number with that name and unit, required.
    pub fn number(name: &str, unit: Option<&str>) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::F64,
            unit: unit.map(ToOwned::to_owned),
            range: None,
            choices: Vec::new(),
            table: None,
            description: String::new(),
            optional: false,
        }
    }
}
