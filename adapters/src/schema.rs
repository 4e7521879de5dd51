//! What is known of a model of machine: the YAML of an adapter, as checked values.
//!
//! Which rules it has to keep stands in [`crate::validate`]; an [`Adapter`] keeps all of them.
//! Parameters and units of stages are carried and not judged: the stage's manifest knows them, and
//! whoever binds stage and adapter holds both.

use crate::framing::{FramingSpec, SerialSettings};
use crate::validate;
use crate::yaml::{Document, Problem};

/// All that is known of a model of machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// Its name, such as `kuka-krc2`.
    pub name: String,
    /// What a person calls it.
    pub title: String,
    /// Settings of its serial lines.
    pub serial: SerialSettings,
    /// One port, or two where a dialogue is listened to.
    pub ports: Vec<Port>,
    /// How old the last frame may become before what it said counts as unknown, in nanoseconds.
    pub stale_after_ns: u64,
    /// The stages, in the order of processing.
    pub pipeline: Vec<StageUse>,
    /// The names of the records that leave the gateway.
    pub publish: Vec<String>,
}

/// One receiver on the machine's line.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Whose transmissions it hears.
    pub role: Role,
    /// How they are told apart.
    pub framing: FramingSpec,
}

/// Whose transmissions a port hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The machine's.
    Machine,
    /// Those of whoever talks with the machine.
    Peer,
}

impl Role {
    /// Its name in the YAML.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Machine => "machine",
            Self::Peer => "peer",
        }
    }
}

/// One stage of the pipeline, with what the adapter sets of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StageUse {
    /// The stage's name.
    pub stage: String,
    /// Its parameters, in the order of the file.
    pub params: Vec<(String, ParamValue)>,
    /// Its tables: each with the CSV file beside the adapter's YAML that it is read from.
    pub tables: Vec<(String, String)>,
    /// The fields of a generic stage; empty for the others.
    pub fields: Vec<FieldUse>,
    /// Another name for the record of a generic stage that has those fields.
    pub record: Option<String>,
}

/// A parameter's value as written.
#[derive(Debug, Clone, PartialEq)]
pub enum ParamValue {
    /// A number, and its unit where one is written.
    Number {
        /// The number, in that unit.
        value: f64,
        /// The unit.
        unit: Option<String>,
    },
    /// The name of one of the parameter's choices; of a field's parameter also any text in quotes.
    Choice(String),
}

/// A field of a generic stage.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldUse {
    /// Its name in the records that the stage emits.
    pub name: String,
    /// The `record.field` that it comes from; `None` where the stage takes frames.
    pub from: Option<String>,
    /// What it holds.
    pub kind: FieldKind,
    /// Its unit.
    pub unit: Option<String>,
    /// Whether a record may lack it.
    pub optional: bool,
    /// What the stage has to know of it, in the order of the file. Numbers without a unit: they are in
    /// the field's.
    pub params: Vec<(String, ParamValue)>,
}

/// What a field of a generic stage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldKind {
    /// A number.
    #[default]
    F64,
    /// A whole number.
    I64,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

impl FieldKind {
    /// Its name in the YAML.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::Bool => "bool",
            Self::Text => "text",
        }
    }
}

impl Adapter {
    /// The CSV files that its stages' tables are read from, each once.
    #[must_use]
    pub fn table_files(&self) -> Vec<&str> {
        let mut files: Vec<&str> = Vec::new();
        for (_, file) in self.pipeline.iter().flat_map(|stage| &stage.tables) {
            if !files.contains(&file.as_str()) {
                files.push(file);
            }
        }
        files
    }
}

/// Reads an adapter; `file` is the name that problems will carry.
///
/// # Errors
/// All problems of the file, in the order of their places.
pub fn parse(text: &str, file: &str) -> Result<Adapter, Vec<Problem>> {
    let document = Document::parse(text, file)?;
    let adapter = validate::adapter(document.root());
    document.finish(adapter)
}
