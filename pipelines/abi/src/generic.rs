//! Generic stages: the adapter says which fields they have, and an effective manifest comes of it.

use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::check::Problem;
use crate::layout::Kind;
use crate::manifest::{Field, Input, InputRecord, Manifest};

/// One field of a generic stage, as the adapter's YAML gives it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GenericField {
    /// Its name in the records that the stage emits.
    pub name: String,
    /// Where it comes from, as `record.field`, where the input is a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What it holds.
    #[serde(default)]
    pub kind: Kind,
    /// Its unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Whether a record may lack it.
    #[serde(default)]
    pub optional: bool,
}

/// Why fields don't fit a stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldsError {
    /// The stage has its own.
    #[error("the stage has its own fields; `fields` is for generic stages")]
    NotGeneric,
    /// The adapter gives none.
    #[error("the stage is generic: list its `fields`")]
    Missing,
    /// A field doesn't say where it comes from, or not as `record.field`.
    #[error("field `{name}`: say where it comes from, as `from: record.field`")]
    From {
        /// The field.
        name: String,
    },
    /// A frame has no named fields to come from.
    #[error("field `{name}`: the stage takes frames, so `from` means nothing")]
    FromFrame {
        /// The field.
        name: String,
    },
    /// A stage is called once per record, so all of its fields come from one.
    #[error("the fields come from `{first}` and from `{other}`, but one call gets one record")]
    TwoRecords {
        /// The record of the first field.
        first: String,
        /// Another one.
        other: String,
    },
    /// The manifest that comes of it is not in order.
    #[error("{}", crate::check::joined(.0))]
    Problems(Vec<Problem>),
}

impl Manifest {
    /// The manifest with the adapter's fields in their places: in the input, and in every record that
    /// the manifest leaves without fields. It is not generic any more.
    pub fn with_fields(&self, fields: &[GenericField]) -> Result<Self, FieldsError> {
        if !self.is_generic() {
            return Err(FieldsError::NotGeneric);
        }
        if fields.is_empty() {
            return Err(FieldsError::Missing);
        }
        let mut manifest = self.clone();
        manifest.fields = None;
        manifest.input = match &self.input {
            Input::Frame => match fields.iter().find(|field| field.from.is_some()) {
                Some(field) => {
                    return Err(FieldsError::FromFrame {
                        name: field.name.clone(),
                    });
                }
                None => Input::Frame,
            },
            Input::Record(_) => Input::Record(input_record(fields)?),
        };
        for record in manifest
            .records
            .iter_mut()
            .filter(|record| record.fields.is_empty())
        {
            record.fields = fields
                .iter()
                .map(|field| field.named(&field.name))
                .collect();
        }
        let problems = manifest.check();
        if problems.is_empty() {
            Ok(manifest)
        } else {
            Err(FieldsError::Problems(problems))
        }
    }
}

impl GenericField {
    fn named(&self, name: &str) -> Field {
        Field {
            kind: self.kind,
            optional: self.optional,
            ..Field::number(name, self.unit.as_deref())
        }
    }
}

fn input_record(fields: &[GenericField]) -> Result<InputRecord, FieldsError> {
    let mut input = InputRecord {
        record: String::new(),
        fields: Vec::new(),
    };
    for field in fields {
        let Some((record, name)) = field.from.as_deref().and_then(|from| from.split_once('.'))
        else {
            return Err(FieldsError::From {
                name: field.name.clone(),
            });
        };
        if input.record.is_empty() {
            input.record = record.into();
        } else if input.record != record {
            return Err(FieldsError::TwoRecords {
                first: input.record,
                other: record.into(),
            });
        }
        input.fields.push(field.named(name));
    }
    Ok(input)
}
