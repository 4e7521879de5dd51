//! Generic stages: the adapter says which fields they have, and an effective manifest comes of it.
//!
//! What a stage has to know of each field stands in a block of its configuration, the field table: a row
//! of slots per field, its kind first, then the manifest's `field_parameters`. See [`crate::layout`].

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::check::Problem;
use crate::layout::{self, Kind};
use crate::limits::FIELDS_MAX;
use crate::manifest::{Field, Input, InputRecord, Manifest, Parameter, ParameterDefault};

/// The fields of a generic stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "`fields` is `adapter`, or a list of fields")]
pub enum Fields {
    /// They stand in the adapter's YAML.
    From(FieldsFrom),
    /// The adapter's, once they are known.
    Given(Vec<GenericField>),
}

/// Where the fields of a generic stage are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldsFrom {
    /// In the adapter's YAML.
    Adapter,
}

/// One field of a generic stage, as the adapter's YAML gives it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
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
    /// What the stage has to know of it: the manifest's `field_parameters`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, ParameterDefault>,
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
    /// All that is wrong with the fields, or with the manifest that comes of them.
    #[error("{}", crate::check::joined(.0))]
    Problems(Vec<Problem>),
}

impl Manifest {
    /// The manifest with the adapter's fields in their places: in the input, and in every record that
    /// the manifest leaves without fields. Where there is one such record, `record` renames it.
    ///
    /// # Errors
    /// All that is wrong at once, each with the way to it: `fields[1].params.register`.
    pub fn with_fields(
        &self,
        fields: &[GenericField],
        record: Option<&str>,
    ) -> Result<Self, FieldsError> {
        if !self.is_generic() {
            return Err(FieldsError::NotGeneric);
        }
        if fields.is_empty() {
            return Err(FieldsError::Missing);
        }
        let mut problems = Vec::new();
        let mut manifest = self.clone();
        if let Input::Record(_) = &self.input {
            manifest.input = Input::Record(input_record(fields, &mut problems));
        }
        let open = |record: &&mut crate::manifest::Record| record.fields.is_empty();
        if let Some(name) = record {
            match manifest.records.iter_mut().filter(open).collect::<Vec<_>>()[..] {
                [ref mut open] => open.record = name.into(),
                _ => problems.push(Problem::new(
                    "record",
                    "the stage has not one record of the adapter's fields to be renamed",
                )),
            }
        }
        for record in manifest.records.iter_mut().filter(open) {
            record.fields = fields
                .iter()
                .map(|field| field.named(&field.name))
                .collect();
        }
        manifest.fields = Some(Fields::Given(fields.to_vec()));
        // What the input's fields lack is said once, and not again of a record without a name.
        if problems.is_empty() {
            problems = manifest.check();
        }
        if problems.is_empty() {
            Ok(manifest)
        } else {
            Err(FieldsError::Problems(problems))
        }
    }

    /// Whether its fields come from the adapter, and aren't known yet.
    pub fn is_generic(&self) -> bool {
        self.fields == Some(Fields::From(FieldsFrom::Adapter))
    }

    /// The adapter's fields; none in a stage that isn't generic, or before they are known.
    pub fn given_fields(&self) -> &[GenericField] {
        match &self.fields {
            Some(Fields::Given(fields)) => fields,
            Some(Fields::From(_)) | None => &[],
        }
    }

    /// Which kinds a field of the adapter's may have.
    pub fn kinds(&self) -> &[Kind] {
        match &self.field_kinds[..] {
            [] => &[Kind::F64],
            kinds => kinds,
        }
    }

    /// Bytes of the field table: none where there is nothing to know of a field besides that it is a
    /// number.
    pub fn field_table_bytes(&self) -> usize {
        if self.field_kinds.is_empty() && self.field_parameters.is_empty() {
            return 0;
        }
        layout::table_bytes(FIELDS_MAX, self.field_slots())
    }

    /// Slots of a row of the field table.
    pub fn field_slots(&self) -> usize {
        self.field_slot(self.field_parameters.len())
    }

    /// The slot within its row at which a field's parameter begins; the kind stands in slot 0.
    pub fn field_slot(&self, parameter: usize) -> usize {
        let before = self.field_parameters.iter().take(parameter);
        1 + before.map(Parameter::slots).sum::<usize>()
    }

    /// Where the field table begins within the configuration: behind the parameters.
    pub fn field_table_offset(&self) -> usize {
        layout::parameter_offset(self.parameters.len())
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

    /// Checks its parameters against the manifest's.
    pub(crate) fn check_params(
        &self,
        manifest: &Manifest,
        path: &str,
        problems: &mut Vec<Problem>,
    ) {
        let known = &manifest.field_parameters;
        for (name, value) in &self.params {
            let path = format!("{path}.params.{name}");
            match known.iter().find(|parameter| &parameter.name == name) {
                Some(parameter) => problems.extend(
                    parameter
                        .check_value(value)
                        .err()
                        .map(|message| Problem::new(path, message)),
                ),
                None => {
                    let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
                    let there = match &names[..] {
                        [] => "a field of this stage has none".to_string(),
                        names => format!("there are {}", names.join(", ")),
                    };
                    problems.push(Problem::new(path, format!("is not known; {there}")));
                }
            }
        }
        for parameter in known {
            if parameter.default.is_none() && !self.params.contains_key(&parameter.name) {
                problems.push(Problem::new(
                    format!("{path}.params.{}", parameter.name),
                    "must be given: it has no default",
                ));
            }
        }
    }
}

/// The record that all the fields come from. Where there is none, why.
fn input_record(fields: &[GenericField], problems: &mut Vec<Problem>) -> InputRecord {
    let mut input = InputRecord {
        record: String::new(),
        fields: Vec::new(),
    };
    for (place, field) in fields.iter().enumerate() {
        let path = || format!("fields[{place}].from");
        let Some((record, name)) = field.from.as_deref().and_then(|from| from.split_once('.'))
        else {
            problems.push(Problem::new(
                path(),
                "say where it comes from, as `record.field`",
            ));
            continue;
        };
        if input.record.is_empty() {
            input.record = record.into();
        } else if input.record != record {
            let first = &input.record;
            problems.push(Problem::new(
                path(),
                format!("is of `{record}`, others of `{first}`, but one call gets one record"),
            ));
        }
        input.fields.push(field.named(name));
    }
    input
}
