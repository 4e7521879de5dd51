//! Test cases of one stage: what it is called with, and what it must answer, to the bit.
//!
//! A module may carry its own, and then no gateway takes it unless they hold there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use retrotap_host::{
    Alone, BindError, CallError, Engine, GenericField, Given, Module, Outcome, ParamValue,
    StageSpec, Table, TableRow, Value, Verdict,
};
use serde::Deserialize;
use std::sync::Arc;

use crate::config::limits::CASE_STEPS_MAX;

/// Test cases, as they stand in a file or in a module.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    cases: Vec<Case>,
}

/// A stage that begins anew, with its settings, and the calls that it gets.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    #[serde(default)]
    params: BTreeMap<String, Scalar>,
    #[serde(default)]
    tables: BTreeMap<String, Rows>,
    /// Of a generic stage: its fields, and another name for the record that has them.
    fields: Option<Vec<GenericField>>,
    record: Option<String>,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Number(f64),
    Text(String),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rows {
    columns: Vec<String>,
    /// A row's name, then a number per column.
    rows: Vec<(String, Vec<f64>)>,
}

/// One call: with a frame, with a record, or with nothing but time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    /// Line time in seconds.
    t_s: f64,
    /// Bytes as hexadecimal digits, spaces between them as one likes.
    frame: Option<String>,
    record: Option<BTreeMap<String, Scalar>>,
    /// All records that come of it, with all of their fields; none where nothing is said.
    #[serde(default)]
    records: Vec<Emitted>,
    /// Or the reason for which it is rejected.
    rejected: Option<String>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Emitted {
    record: String,
    fields: BTreeMap<String, Scalar>,
}

/// Why test cases don't hold.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The text has another shape.
    #[error("the test cases can't be read: {0}")]
    Shape(String),
    /// There are none, or more than anybody waits for.
    #[error("there are {0} steps in the test cases; 1 to {CASE_STEPS_MAX} are possible")]
    Steps(usize),
    /// The stage doesn't start as a case wants it.
    #[error("case `{case}`: {why}")]
    Start {
        /// Which case.
        case: String,
        /// Why not.
        why: String,
    },
    /// A step can't be called so.
    #[error("case `{case}`, step {step}: {why}")]
    Call {
        /// Which case.
        case: String,
        /// Which step, from 1.
        step: usize,
        /// Why not.
        why: String,
    },
    /// The stage answers otherwise.
    #[error("case `{case}`, step {step}: expected {expected}, got {got}")]
    Differs {
        /// Which case.
        case: String,
        /// Which step, from 1.
        step: usize,
        /// What stands in the case.
        expected: String,
        /// What came.
        got: String,
    },
}

impl Cases {
    /// Reads test cases.
    ///
    /// # Errors
    ///
    /// They have another shape, or there are too few or too many.
    pub fn parse(json: &str) -> Result<Self, CaseError> {
        let cases: Self =
            serde_json::from_str(json).map_err(|error| CaseError::Shape(error.to_string()))?;
        let steps = cases.cases.iter().map(|case| case.steps.len()).sum();
        match (1..=CASE_STEPS_MAX).contains(&steps) {
            true => Ok(cases),
            false => Err(CaseError::Steps(steps)),
        }
    }

    /// Runs them all; how many steps held.
    ///
    /// # Errors
    ///
    /// The first that doesn't hold.
    pub fn run(&self, engine: &Engine, module: &Arc<Module>) -> Result<usize, CaseError> {
        let mut held = 0;
        for case in &self.cases {
            let mut stage =
                Alone::start(engine, &case.spec(module)).map_err(|errors| CaseError::Start {
                    case: case.name.clone(),
                    why: joined(&errors),
                })?;
            for (number, step) in (1..).zip(&case.steps) {
                let expected = step.expected();
                let got = step.call(&mut stage).map_err(|why| CaseError::Call {
                    case: case.name.clone(),
                    step: number,
                    why,
                })?;
                if got != expected {
                    return Err(CaseError::Differs {
                        case: case.name.clone(),
                        step: number,
                        expected,
                        got,
                    });
                }
                held += 1;
            }
        }
        Ok(held)
    }
}

fn joined(errors: &[BindError]) -> String {
    let all: Vec<String> = errors.iter().map(|error| error.cause.to_string()).collect();
    all.join("; ")
}

impl Case {
    fn spec(&self, module: &Arc<Module>) -> StageSpec {
        let params = self.params.iter().map(|(name, value)| {
            let value = match value {
                Scalar::Number(value) => ParamValue::Number {
                    value: *value,
                    unit: None,
                },
                Scalar::Text(choice) => ParamValue::Choice(choice.clone()),
                Scalar::Bool(yes) => ParamValue::Choice(yes.to_string()),
            };
            (name.clone(), value)
        });
        let tables = self.tables.iter().map(|(name, rows)| {
            let row = |(name, values): &(String, Vec<f64>)| TableRow {
                name: name.clone(),
                values: values.clone(),
            };
            let table = Table {
                columns: rows.columns.clone(),
                rows: rows.rows.iter().map(row).collect(),
            };
            (name.clone(), table)
        });
        StageSpec {
            module: Arc::clone(module),
            params: params.collect(),
            tables: tables.collect(),
            fields: self.fields.clone(),
            record: self.record.clone(),
        }
    }
}

impl Step {
    fn call(&self, stage: &mut Alone) -> Result<String, String> {
        let t_ns = (self.t_s * 1e9).round() as i64;
        let refused = |error: CallError| error.to_string();
        let outcome = match (&self.frame, &self.record) {
            (Some(_), Some(_)) => return Err("a call has a frame or a record".to_owned()),
            (Some(digits), None) => stage.frame(&bytes(digits)?, t_ns).map_err(refused)?,
            (None, Some(values)) => {
                let values = values.iter();
                let given = values.map(|(name, value)| (name.clone(), value.given()));
                stage.record(&given.collect(), t_ns).map_err(refused)?
            }
            (None, None) => stage.tick(t_ns),
        };
        Ok(said(&outcome))
    }

    /// What must come, as [`said`] says what came.
    fn expected(&self) -> String {
        if let Some(reason) = &self.rejected {
            return format!("rejected for {reason}");
        }
        let mut text = String::new();
        for emitted in &self.records {
            let _ = write!(text, "{}(", emitted.record);
            for (name, value) in &emitted.fields {
                let _ = write!(text, " {name}: {value}");
            }
            text.push_str(" ) ");
        }
        text.push_str("and no more");
        text
    }
}

/// What came of a call, in words that are equal where the values are.
fn said(outcome: &Outcome<'_>) -> String {
    match outcome.verdict() {
        Verdict::Rejected { reason, .. } => return format!("rejected for {reason}"),
        Verdict::Struck { strike, .. } => return format!("a strike: {strike}"),
        Verdict::Accepted => {}
    }
    let mut text = String::new();
    for record in outcome.records() {
        let _ = write!(text, "{}(", record.name());
        let fields: BTreeMap<&str, Scalar> = record
            .fields()
            .map(|(name, value)| {
                let value = match value {
                    Value::F64(value) => Scalar::Number(value),
                    Value::I64(value) => Scalar::Number(value as f64),
                    Value::Bool(yes) => Scalar::Bool(yes),
                    Value::Text(text) => Scalar::Text(text.to_owned()),
                };
                (name, value)
            })
            .collect();
        for (name, value) in fields {
            let _ = write!(text, " {name}: {value}");
        }
        text.push_str(" ) ");
    }
    text.push_str("and no more");
    text
}

impl Scalar {
    fn given(&self) -> Given {
        match self {
            Self::Bool(yes) => Given::Bool(*yes),
            Self::Number(number) => Given::Number(*number),
            Self::Text(text) => Given::Text(text.clone()),
        }
    }
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool(yes) => write!(formatter, "{yes}"),
            // The shortest digits that give this number back, so equal digits are equal bits.
            Self::Number(number) => write!(formatter, "{number:?}"),
            Self::Text(text) => write!(formatter, "{text:?}"),
        }
    }
}

fn bytes(digits: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b' ').collect();
    let pairs = digits.chunks_exact(2);
    let no_bytes = || "a frame is written as hexadecimal digits, two a byte".to_owned();
    if !pairs.remainder().is_empty() {
        return Err(no_bytes());
    }
    let byte = |pair: &[u8]| {
        let pair = str::from_utf8(pair).ok()?;
        // A sign is no digit, whatever the parser says.
        (!pair.starts_with('+')).then_some(())?;
        u8::from_str_radix(pair, 16).ok()
    };
    pairs.map(byte).collect::<Option<_>>().ok_or_else(no_bytes)
}
