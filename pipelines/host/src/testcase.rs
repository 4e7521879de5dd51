//! Test cases of a stage: what goes in, and what must come out, in YAML.
//!
//! ```yaml
//! about: A line in another unit is no weight.
//! record: weight                 # as in an adapter, with params and fields
//! fields:
//!   - {name: weight_g, unit: g, params: {pattern: "S ? # g"}}
//! calls:
//!   - {at_s: 0.5, line: "S S   100.00 g", gives: [{record: weight, weight_g: 100}]}
//!   - {at_s: 1.0, line: "S S   100.00 kg", rejects: no_match}
//! ```
//!
//! A call is a `frame` in hexadecimal digits, a `line` of ASCII that CR and LF are put behind, an `input`
//! (a record's fields by name), or a `tick`. Without `rejects` it is accepted; `gives` lists all records
//! with all their fields. A number is as expected within a billionth of it.
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

/// How far a number may be from the expected one, as a share of it.
const TOLERANCE: f64 = 1e-9;

/// A test case as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestCase {
    /// What it shows, in a sentence.
    pub about: String,
    /// Parameters, as in an adapter.
    #[serde(default)]
    params: BTreeMap<String, ParameterDefault>,
    /// Fields of a generic stage, as in an adapter.
    #[serde(default)]
    fields: Vec<GenericField>,
    /// Another name for their record.
    record: Option<String>,
    /// What happens, in this order.
    calls: Vec<Call>,
}

/// One call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    at_s: f64,
    frame: Option<String>,
    line: Option<String>,
    input: Option<BTreeMap<String, Given>>,
    #[serde(default)]
    tick: bool,
    #[serde(default)]
    gives: Vec<BTreeMap<String, Given>>,
    rejects: Option<String>,
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Given {
    Bool(bool),
    Number(f64),
    Text(String),
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
    /// A call can't be made.
    #[error("call {call}: {message}")]
    Call {
        /// Which, from 1.
        call: usize,
        /// Why.
        message: String,
    },
    /// Something else came of a call.
    #[error("call {call}: expected {expected}, but it {came}")]
    Differs {
        /// Which, from 1.
        call: usize,
        /// What should have come.
        expected: String,
        /// What came.
        came: String,
    },
}

/// What came of a call.
enum Came {
    Records(Vec<BTreeMap<String, Given>>),
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

    /// Makes its calls, and gives back the output area after each: what two engines are compared by.
    ///
    /// # Errors
    /// The first thing that isn't as expected.
    pub fn run(
        &self,
        engine: &Engine,
        module: &Arc<Module>,
    ) -> Result<Vec<Vec<u8>>, TestCaseError> {
        let mut guests = [self.start(engine, module)?];
        let mut records = Records::default();
        let mut areas = Vec::new();
        for (place, call) in self.calls.iter().enumerate() {
            let number = place + 1;
            records.clear();
            let [guest] = &mut guests;
            let t_ns = (call.at_s * 1e9).round() as i64;
            let input = call.bytes(&guest.manifest);
            let input = input.map_err(|message| TestCaseError::Call {
                call: number,
                message,
            })?;
            let done = match input {
                Some(input) => guest.process(0, &input, t_ns, &mut records),
                None => guest.tick(0, t_ns, &mut records),
            };
            areas.push(guest.output_area().unwrap_or_default().to_vec());
            let came = came(done, &records, &guests);
            if !call.is_met(&came) {
                return Err(TestCaseError::Differs {
                    call: number,
                    expected: call.expected(),
                    came: came.words(),
                });
            }
        }
        Ok(areas)
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

impl Call {
    /// The bytes of the input area; nothing for a tick.
    fn bytes(&self, manifest: &Manifest) -> Result<Option<Vec<u8>>, String> {
        match (&self.frame, &self.line, &self.input, self.tick) {
            (Some(frame), None, None, false) => hex(frame).map(Some),
            (None, Some(line), None, false) => Ok(Some(format!("{line}\r\n").into_bytes())),
            (None, None, Some(fields), false) => record(manifest, fields).map(Some),
            (None, None, None, true) => Ok(None),
            _ => Err("expected one of `frame`, `line`, `input` and `tick: true`".into()),
        }
    }

    fn is_met(&self, came: &Came) -> bool {
        match (came, &self.rejects) {
            (Came::Rejected(reason), Some(expected)) => reason == expected,
            (Came::Records(records), None) => {
                records.len() == self.gives.len()
                    && records.iter().zip(&self.gives).all(|(came, wanted)| {
                        came.len() == wanted.len()
                            && came.iter().all(|(name, value)| {
                                wanted.get(name).is_some_and(|wanted| value.is(wanted))
                            })
                    })
            }
            _ => false,
        }
    }

    fn expected(&self) -> String {
        match &self.rejects {
            Some(reason) => format!("a rejection for `{reason}`"),
            None => Came::Records(self.gives.clone()).words(),
        }
    }
}

impl Given {
    fn is(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Number(came), Self::Number(wanted)) => {
                (came - wanted).abs() <= TOLERANCE * wanted.abs().max(1.0)
            }
            _ => self == wanted,
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
        for record in records {
            words.push_str(" {");
            for (place, (name, value)) in record.iter().enumerate() {
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
                let name = Given::Text(record.name().into());
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
                fields.chain([("record".to_owned(), name)]).collect()
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
