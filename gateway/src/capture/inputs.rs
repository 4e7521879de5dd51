//! What a line's decisions depended on besides bytes, as it stands in a capture.
//!
//! Each input is one packet on the interface `inputs`: a JSON object with the line time at which
//! the line took it, its kind, and the JSON that the source gave, verbatim, so that a replay hands
//! the very same text to the very same parser:
//!
//! ```json
//! {"line_ns":1250000000,"input":"obstacles","data":[{"id":"p1","kind":"sphere","center":[1,0,1],"radius":0.3}]}
//! ```
//!
//! Doesn't do: understand `data`. Obstacles belong to the cell, parameters to the stages.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The longest input, in bytes of JSON.
pub const INPUT_BYTES_MAX: usize = 1 << 20;

/// What kind of thing a decision depended on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// The line began: `data` is a [`Start`].
    Start,
    /// A complete snapshot of the obstacles, as the API takes it.
    Obstacles,
    /// A parameter of a stage was set: `{"stage":…,"name":…,"value":…}`.
    Parameter,
    /// Another version of a stage took its place: `{"stage":…,"module":…,"sha256":…}`.
    Module,
    /// The rules of the machine's cell: `data` is the gateway's `Rules`.
    Rules,
    /// The gateway took longer than it may: `data` is how long, in seconds.
    Late,
    /// Time alone changed something, or the line ended: `data` is `null`. What is due up to then is
    /// done in a replay as well, also where no byte follows.
    Tick,
    /// The bytes before and after don't belong together: a port went away, or a stage was
    /// replaced. `data` says why.
    Reset,
}

impl InputKind {
    /// As it stands in captures and in the lake.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Obstacles => "obstacles",
            Self::Parameter => "parameter",
            Self::Module => "module",
            Self::Rules => "rules",
            Self::Late => "late",
            Self::Tick => "tick",
            Self::Reset => "reset",
        }
    }
}

/// One input, at the line time at which the line took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Nanoseconds since the line began.
    pub line_ns: u64,
    /// What it is.
    pub kind: InputKind,
    /// What it says, a JSON text.
    pub data: String,
}

/// `data` of the input that a line begins with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The machine's name on its gateway.
    pub machine: String,
    /// The adapter's name, where one is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// The modules of the pipeline, in order.
    #[serde(default)]
    pub modules: Vec<ModuleUsed>,
    /// Tables that the settings put in the place of the adapter's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableUsed>,
}

/// A table of a stage that a recorded line ran with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableUsed {
    /// The stage.
    pub stage: String,
    /// The table's name in its manifest.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Its rows: a name, and a number per column.
    pub rows: Vec<(String, Vec<f64>)>,
}

/// A module that a recorded line ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleUsed {
    /// Its name and version, such as `arm-distance@1.0.0`.
    pub module: String,
    /// The hash of its file, 64 hexadecimal digits.
    pub sha256: String,
}

/// An input as it is written.
#[derive(Serialize)]
struct Written<'a> {
    line_ns: u64,
    input: InputKind,
    data: &'a RawValue,
}

/// An input as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read<'a> {
    line_ns: u64,
    input: InputKind,
    #[serde(borrow)]
    data: &'a RawValue,
}

impl Input {
    /// An input whose `data` is any value that serde can write.
    ///
    /// # Errors
    /// Where serde can't write it as JSON.
    pub fn new(
        line_ns: u64,
        kind: InputKind,
        data: &impl Serialize,
    ) -> Result<Input, serde_json::Error> {
        Ok(Input {
            line_ns,
            kind,
            data: serde_json::to_string(data)?,
        })
    }

    /// The JSON of the packet.
    ///
    /// # Errors
    /// Where `data` isn't JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let data: &RawValue = serde_json::from_str(&self.data)?;
        serde_json::to_string(&Written {
            line_ns: self.line_ns,
            input: self.kind,
            data,
        })
    }

    /// Reads the JSON of a packet.
    ///
    /// # Errors
    /// Where it isn't such an object, with what was expected.
    pub fn from_json(json: &[u8]) -> Result<Input, serde_json::Error> {
        let Read {
            line_ns,
            input,
            data,
        } = serde_json::from_slice(json)?;
        Ok(Input {
            line_ns,
            kind: input,
            data: data.get().to_owned(),
        })
    }
}
