//! Test cases of a stage: what goes in, and what must come out, in YAML.
//!
//! ```yaml
//! name: a line in another unit is no weight
//! record: weight                 # as in an adapter, with params and fields
//! fields:
//!   - {name: weight_g, unit: g, params: {pattern: "S ? # g"}}
//! steps:
//!   - {t_s: 0.5, line: "S S   100.00 g", records: [{record: weight, fields: {weight_g: 100}}]}
//!   - {t_s: 1.0, line: "S S   100.00 kg", rejected: no_match}
//! ```
//!
//! A step has a `frame` in hexadecimal digits, a `line` of ASCII that CR and LF are put behind, a `record`
//! (fields of the input by name), or nothing but its time, which is a tick. Without `rejected` it is
//! accepted; `records` lists all that come, with all their fields, to the last bit of a number.
//!
//! What it doesn't do: bind stages to each other. One stage alone is tried.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use retrotap_abi::layout::{self, Kind};
use retrotap_abi::manifest::{GenericField, Input, Manifest, ParameterDefault};
use serde::Deserialize;

use crate::engine::Engine;
use crate::guest::{Guest, Halt, Rejection};
use crate::module::Module;
use crate::pipeline::REQUIRED_FIELD_ABSENT;
use crate::records::{Records, Value};
use crate::settings::{Config, ParamValue};

/// A test case as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What it shows, in a sentence.
    pub name: String,
    /// Parameters, as in an adapter.
    #[serde(default)]
    params: BTreeMap<String, ParameterDefault>,
    /// Fields of a generic stage, as in an adapter.
    #[serde(default)]
    fields: Vec<GenericField>,
    /// Another name for their record.
    record: Option<String>,
    /// What happens, in this order.
    steps: Vec<Step>,
}

/// One call, and what must come of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    t_s: f64,
    frame: Option<String>,
    line: Option<String>,
    record: Option<BTreeMap<String, Given>>,
    #[serde(default)]
    records: Vec<Emitted>,
    rejected: Option<String>,
}

/// A record that comes out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Emitted {
    record: String,
    #[serde(default)]
    fields: BTreeMap<String, Given>,
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Given {
    Bool(bool),
    Number(f64),
    Text(String),
}

/// What was done to a stage and what it left behind: what two engines are compared by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its configuration.
    pub config: Vec<u8>,
    /// Its calls.
    pub calls: Vec<Call>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What went in; nothing for a tick.
    pub input: Option<Vec<u8>>,
    /// Line time in nanoseconds.
    pub t_ns: i64,
    /// The output area behind it.
    pub output: Vec<u8>,
}

/// Why a test case isn't passed.
#[derive(Debug, thiserror::Error)]
pub enum TestCaseError {
    /// It is no test case.
    #[error("not a test case: {0}")]
    Shape(String),
    /// The stage can't be set or started like this.
    #[error("the stage doesn't start: {0}")]
    Start(String),
    /// A step can't be made.
    #[error("step {step}: {message}")]
    Step {
        /// Which, from 1.
        step: usize,
        /// Why.
        message: String,
    },
    /// Something else came of a step.
    #[error("step {step}: expected {expected}, but it {came}")]
    Differs {
        /// Which, from 1.
        step: usize,
        /// What should have come.
        expected: String,
        /// What came.
        came: String,
    },
}

/// What came of a step.
enum Came {
    Records(Vec<Emitted>),
    Rejected(String),
    Struck(String),
}

impl TestCase {
    /// Reads one.
    ///
    /// # Errors
    /// It isn't one.
    pub fn from_yaml(text: &str) -> Result<Self, TestCaseError> {
        serde_saphyr::from_str(text).map_err(|error| TestCaseError::Shape(error.to_string()))
    }

    /// Makes its steps, and gives back what came of each.
    ///
    /// # Errors
    /// The first thing that isn't as expected.
    pub fn run(&self, engine: &Engine, module: &Arc<Module>) -> Result<Run, TestCaseError> {
        let mut guests = [self.start(engine, module)?];
        let mut records = Records::default();
        let mut calls = Vec::new();
        for (place, step) in self.steps.iter().enumerate() {
            let number = place + 1;
            records.clear();
            let [guest] = &mut guests;
            let t_ns = (step.t_s * 1e9).round() as i64;
            let input = step.bytes(&guest.manifest);
            let input = input.map_err(|message| TestCaseError::Step {
                step: number,
                message,
            })?;
            let done = match &input {
                Some(input) => guest.process(0, input, t_ns, &mut records),
                None => guest.tick(0, t_ns, &mut records),
            };
            calls.push(Call {
                input,
                t_ns,
                output: guest.output_area().unwrap_or_default().to_vec(),
            });
            let came = came(done, &records, &guests);
            if !step.is_met(&came) {
                return Err(TestCaseError::Differs {
                    step: number,
                    expected: step.expected(),
                    came: came.words(),
                });
            }
        }
        let config = guests[0].config_bytes().to_vec();
        Ok(Run { config, calls })
    }

    fn start(&self, engine: &Engine, module: &Arc<Module>) -> Result<Guest, TestCaseError> {
        let wrong = |error: &dyn std::fmt::Display| TestCaseError::Start(error.to_string());
        let manifest = module.manifest();
        let manifest = if manifest.is_generic() || !self.fields.is_empty() {
            let fields = manifest.with_fields(&self.fields, self.record.as_deref());
            fields.map_err(|error| wrong(&error))?
        } else {
            manifest.clone()
        };
        let params = self.params.iter().map(|(name, value)| {
            let value = match value {
                ParameterDefault::Number(value) => ParamValue::Number {
                    value: *value,
                    unit: None,
                },
                ParameterDefault::Choice(name) => ParamValue::Choice(name.clone()),
            };
            (name.clone(), value)
        });
        let config = Config::new(&manifest, &params.collect(), &BTreeMap::new());
        let config = config.map_err(|errors| {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            TestCaseError::Start(lines.join("\n"))
        })?;
        let code = engine.prepare(module).map_err(|error| wrong(&error))?;
        let guest = Guest::start(Arc::clone(module), manifest, code, config);
        guest.map_err(|error| wrong(&error))
    }
}

impl Step {
    /// The bytes of the input area; nothing for a tick.
    fn bytes(&self, manifest: &Manifest) -> Result<Option<Vec<u8>>, String> {
        match (&self.frame, &self.line, &self.record) {
            (Some(frame), None, None) => hex(frame).map(Some),
            (None, Some(line), None) => Ok(Some(format!("{line}\r\n").into_bytes())),
            (None, None, Some(fields)) => record(manifest, fields).map(Some),
            (None, None, None) => Ok(None),
            _ => Err("has more than one of `frame`, `line` and `record`".into()),
        }
    }

    fn is_met(&self, came: &Came) -> bool {
        match (came, &self.rejected) {
            (Came::Rejected(reason), Some(expected)) => reason == expected,
            (Came::Records(records), None) => records == &self.records,
            _ => false,
        }
    }

    fn expected(&self) -> String {
        match &self.rejected {
            Some(reason) => format!("that it rejects it for `{reason}`"),
            None => format!("that it {}", Came::Records(self.records.clone()).words()),
        }
    }
}

impl Came {
    fn words(&self) -> String {
        let records = match self {
            Self::Rejected(reason) => return format!("rejected it for `{reason}`"),
            Self::Struck(strike) => return format!("failed: {strike}"),
            Self::Records(records) if records.is_empty() => return "gave no record".into(),
            Self::Records(records) => records,
        };
        let mut words = String::from("gave");
        for Emitted { record, fields } in records {
            let _ = write!(words, " {record} {{");
            for (place, (name, value)) in fields.iter().enumerate() {
                let comma = if place == 0 { "" } else { ", " };
                let _ = match value {
                    Given::Bool(value) => write!(words, "{comma}{name}: {value}"),
                    Given::Number(value) => write!(words, "{comma}{name}: {value}"),
                    Given::Text(value) => write!(words, "{comma}{name}: {value}"),
                };
            }
            words.push('}');
        }
        words
    }
}

fn came(done: Result<(), Halt>, records: &Records, guests: &[Guest; 1]) -> Came {
    let reasons = &guests[0].manifest.reasons;
    match done {
        Err(Halt::Struck(strike)) => Came::Struck(strike.to_string()),
        Err(Halt::Rejected(Rejection::Reason(place))) => {
            Came::Rejected(reasons[place].name.clone())
        }
        Err(Halt::Rejected(_)) => Came::Rejected(REQUIRED_FIELD_ABSENT.into()),
        Ok(()) => {
            let records = records.iter(guests).map(|record| {
                let fields = record.fields().map(|(name, value)| {
                    let value = match value {
                        Value::F64(number) => Given::Number(number),
                        // Whole numbers of tests are small.
                        Value::I64(number) => Given::Number(number as f64),
                        Value::Bool(value) => Given::Bool(value),
                        Value::Text(text) => Given::Text(text.into()),
                    };
                    (name.to_owned(), value)
                });
                Emitted {
                    record: record.name().to_owned(),
                    fields: fields.collect(),
                }
            });
            Came::Records(records.collect())
        }
    }
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    text.split_whitespace()
        .map(|digits| u8::from_str_radix(digits, 16))
        .collect::<Result<_, _>>()
        .map_err(|_| format!("`{text}` is not bytes of two hexadecimal digits"))
}

/// A record as it stands in the input area.
fn record(manifest: &Manifest, given: &BTreeMap<String, Given>) -> Result<Vec<u8>, String> {
    let Input::Record(input) = &manifest.input else {
        return Err("the stage takes frames".into());
    };
    let mut bytes = vec![0; layout::record_bytes(input.fields.len())];
    let mut present = 0_u32;
    for (name, value) in given {
        let place = input.fields.iter().position(|field| &field.name == name);
        let Some(place) = place else {
            return Err(format!("`{}` has no field `{name}`", input.record));
        };
        let word = match (input.fields[place].kind, value) {
            (Kind::F64, Given::Number(number)) => number.to_bits(),
            (Kind::I64, Given::Number(number)) => (*number as i64).cast_unsigned(),
            (Kind::Bool, Given::Bool(value)) => u64::from(*value),
            _ => return Err(format!("`{name}` is of another kind")),
        };
        let at = layout::slot_offset(place);
        bytes[at..at + layout::SLOT_BYTES].copy_from_slice(&word.to_le_bytes());
        present |= 1 << place;
    }
    bytes[..4].copy_from_slice(&present.to_le_bytes());
    Ok(bytes)
}
