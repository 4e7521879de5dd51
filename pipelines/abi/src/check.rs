//! Everything that can be wrong with a manifest, found in one go.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::layout::{self, Kind};
use crate::limits;
use crate::manifest::{Field, Input, Manifest, Parameter, ParameterDefault, Table};

/// What a row that is a field of the adapter's gives as its table.
pub(crate) const FIELDS: &str = "fields";

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The way to it: `records[0].fields[2].unit`.
    pub path: String,
    /// What is wrong and what was expected.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path, self.message)
    }
}

/// All of them, a line each.
pub(crate) fn joined(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

pub(crate) fn check(manifest: &Manifest) -> Vec<Problem> {
    let mut checks = Checks {
        problems: Vec::new(),
    };
    checks.name("stage", &manifest.stage, '-');
    if manifest.abi != crate::ABI {
        checks.problem(
            "abi",
            format!("is {}, but this is ABI {}", manifest.abi, crate::ABI),
        );
    }
    if manifest.title.trim().is_empty() {
        checks.problem("title", "is empty: say in one line what the stage does");
    }
    checks.input(manifest);
    checks.records(manifest);
    checks.parameters("parameters", &manifest.parameters);
    checks.generic(manifest);
    checks.tables(&manifest.tables);
    checks.count("reasons", manifest.reasons.len(), limits::REASONS_MAX);
    checks.names(
        "reasons",
        manifest.reasons.iter().map(|reason| reason.name.as_str()),
    );
    checks.sizes(manifest);
    checks.within(
        "time_budget_us",
        manifest.time_budget_us as usize,
        1,
        limits::TIME_BUDGET_US_MAX as usize,
    );
    if let Some(state) = &manifest.state {
        checks.name("state.layout", &state.layout, '_');
        checks.within("state.bytes", state.bytes, 1, limits::STATE_BYTES_MAX);
    }
    checks.problems
}

struct Checks {
    problems: Vec<Problem>,
}

impl Checks {
    fn problem(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.problems.push(Problem::new(path, message));
    }

    fn within(&mut self, path: &str, value: usize, least: usize, most: usize) {
        if value < least || value > most {
            self.problem(path, format!("is {value}, expected {least} to {most}"));
        }
    }

    fn count(&mut self, path: &str, count: usize, most: usize) {
        if count > most {
            self.problem(
                path,
                format!("has {count} entries, at most {most} are allowed"),
            );
        }
    }

    fn name(&mut self, path: &str, name: &str, joint: char) {
        let shaped = name.starts_with(|first: char| first.is_ascii_lowercase())
            && !name.ends_with(joint)
            && name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint);
        if !shaped {
            let message = format!(
                "`{name}` is not a name: lower-case letters, digits and `{joint}`, a letter first"
            );
            self.problem(path, message);
        } else if name.len() > limits::NAME_BYTES_MAX {
            self.problem(
                path,
                format!("`{name}` is longer than {} bytes", limits::NAME_BYTES_MAX),
            );
        }
    }

    /// Names of one list: each well formed, none twice.
    fn names<'a>(&mut self, path: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for (index, name) in names.enumerate() {
            let path = format!("{path}[{index}]");
            self.name(&path, name, '_');
            if !seen.insert(name) {
                self.problem(path, format!("`{name}` stands there twice"));
            }
        }
    }

    fn unit(&mut self, path: &str, unit: Option<&str>) {
        if let Some(unit) = unit
            && (unit.is_empty()
                || unit.len() > limits::UNIT_BYTES_MAX
                || unit.chars().any(char::is_whitespace))
        {
            self.problem(
                format!("{path}.unit"),
                format!("`{unit}` is not a unit such as `deg/s`"),
            );
        }
    }

    fn input(&mut self, manifest: &Manifest) {
        let frame_bytes = manifest.sizes.frame_bytes_max;
        let Input::Record(input) = &manifest.input else {
            return self.within(
                "sizes.frame_bytes_max",
                frame_bytes,
                1,
                limits::FRAME_BYTES_MAX,
            );
        };
        if frame_bytes != 0 {
            self.problem(
                "sizes.frame_bytes_max",
                "is given, but the input is a record",
            );
        }
        if manifest.is_generic() {
            if !input.record.is_empty() || !input.fields.is_empty() {
                self.problem("input", "names a record or fields, but `fields: adapter` leaves them to the adapter: write `input: {}`");
            }
            return;
        }
        self.name("input.record", &input.record, '_');
        self.fields("input.fields", &input.fields, &[], false);
        for (index, field) in input.fields.iter().enumerate() {
            if matches!(field.kind, Kind::Row | Kind::Text) {
                let message = "is of a kind that only an output has: f64, i64, bool or choice can be an input";
                self.problem(format!("input.fields[{index}].kind"), message);
            }
        }
    }

    fn records(&mut self, manifest: &Manifest) {
        self.count("records", manifest.records.len(), limits::RECORDS_MAX);
        self.names(
            "records",
            manifest.records.iter().map(|record| record.record.as_str()),
        );
        for (index, record) in manifest.records.iter().enumerate() {
            if record.fields.is_empty() && manifest.is_generic() {
                continue;
            }
            self.fields(
                &format!("records[{index}].fields"),
                &record.fields,
                &manifest.tables,
                manifest.fields.is_some(),
            );
        }
    }

    /// `rows_of_fields`: whether a row may be a field of the adapter's.
    fn fields(&mut self, path: &str, fields: &[Field], tables: &[Table], rows_of_fields: bool) {
        if fields.is_empty() {
            self.problem(path, "is empty: a record needs at least one field");
        }
        self.count(path, fields.len(), limits::FIELDS_MAX);
        self.names(path, fields.iter().map(|field| field.name.as_str()));
        for (index, field) in fields.iter().enumerate() {
            let path = format!("{path}[{index}]");
            self.unit(&path, field.unit.as_deref());
            if let Some([least, most]) = field.range
                && !(least.is_finite() && most.is_finite() && least < most)
            {
                self.problem(
                    format!("{path}.range"),
                    "expected two numbers, the lesser first",
                );
            }
            self.choices(&path, &field.choices, field.kind == Kind::Choice);
            match (&field.table, field.kind) {
                (Some(table), Kind::Row) => {
                    let of_fields = rows_of_fields && table == FIELDS;
                    if !of_fields && !tables.iter().any(|known| &known.name == table) {
                        self.problem(
                            format!("{path}.table"),
                            format!("there is no table `{table}`"),
                        );
                    }
                }
                (None, Kind::Row) => self.problem(
                    format!("{path}.table"),
                    "is missing: a row is a row of a table",
                ),
                (Some(_), _) => self.problem(
                    format!("{path}.table"),
                    "is given, but the kind is not `row`",
                ),
                (None, _) => {}
            }
        }
    }

    fn choices(&mut self, path: &str, choices: &[String], wanted: bool) {
        let path = format!("{path}.choices");
        if wanted && choices.len() < 2 {
            self.problem(path, "needs at least two names");
        } else if !wanted && !choices.is_empty() {
            self.problem(path, "is given, but the kind is not `choice`");
        } else {
            self.count(&path, choices.len(), limits::CHOICES_MAX);
            self.names(&path, choices.iter().map(String::as_str));
        }
    }

    /// What only a generic stage has, and the fields that an adapter gave it.
    fn generic(&mut self, manifest: &Manifest) {
        if manifest.fields.is_none() {
            let given = [
                ("field_kinds", manifest.field_kinds.is_empty()),
                ("field_parameters", manifest.field_parameters.is_empty()),
            ];
            for (path, _) in given.iter().filter(|(_, absent)| !absent) {
                self.problem(*path, "is given, but `fields: adapter` is not");
            }
            return;
        }
        self.parameters("field_parameters", &manifest.field_parameters);
        if let Some(place) = manifest
            .tables
            .iter()
            .position(|table| table.name == FIELDS)
        {
            let message = "`fields` is what the fields of a generic stage are called";
            self.problem(format!("tables[{place}]"), message);
        }
        for (place, kind) in manifest.field_kinds.iter().enumerate() {
            let path = format!("field_kinds[{place}]");
            match kind {
                Kind::Choice | Kind::Row => {
                    self.problem(
                        path,
                        "is not f64, i64, bool or text: an adapter can't say more",
                    );
                }
                Kind::Text if matches!(manifest.input, Input::Record(_)) => {
                    self.problem(path, "is text, which can't be an input");
                }
                _ if manifest.field_kinds[..place].contains(kind) => {
                    self.problem(path, "stands there twice");
                }
                _ => {}
            }
        }
        let fields = manifest.given_fields();
        self.count("fields", fields.len(), limits::FIELDS_MAX);
        self.names("fields", fields.iter().map(|field| field.name.as_str()));
        for (place, field) in fields.iter().enumerate() {
            let path = format!("fields[{place}]");
            self.unit(&path, field.unit.as_deref());
            if !manifest.kinds().contains(&field.kind) {
                let kinds: Vec<&str> = manifest.kinds().iter().map(|kind| kind.name()).collect();
                let (found, known) = (field.kind.name(), kinds.join(", "));
                self.problem(
                    format!("{path}.kind"),
                    format!("is {found}, but the stage takes {known}"),
                );
            }
            if manifest.input == Input::Frame && field.from.is_some() {
                self.problem(
                    format!("{path}.from"),
                    "is given, but the stage takes frames, which have no fields",
                );
            }
            field.check_params(manifest, &path, &mut self.problems);
        }
    }

    fn parameters(&mut self, list: &str, parameters: &[Parameter]) {
        self.count(list, parameters.len(), limits::PARAMETERS_MAX);
        self.names(
            list,
            parameters.iter().map(|parameter| parameter.name.as_str()),
        );
        for (index, parameter) in parameters.iter().enumerate() {
            let path = format!("{list}[{index}]");
            self.unit(&path, parameter.unit.as_deref());
            if let Some(bytes) = parameter.bytes_max {
                self.text_parameter(list, &path, bytes, parameter);
            } else if parameter.is_choice() {
                self.choices(&path, &parameter.choices, true);
                if parameter.minimum.is_some()
                    || parameter.maximum.is_some()
                    || parameter.unit.is_some()
                {
                    self.problem(&path, "is a choice: minimum, maximum and unit mean nothing");
                }
            } else if let (Some(least), Some(most)) = (parameter.minimum, parameter.maximum)
                && !(least.is_finite() && most.is_finite() && least < most)
            {
                self.problem(
                    format!("{path}.minimum"),
                    "expected to be below the maximum",
                );
                // A default can only be held against a range that is one.
                continue;
            }
            if let Some(default) = &parameter.default
                && let Err(message) = parameter.check_value(default)
            {
                self.problem(format!("{path}.default"), message);
            }
        }
    }

    fn text_parameter(&mut self, list: &str, path: &str, bytes: usize, parameter: &Parameter) {
        if list != "field_parameters" {
            self.problem(path, "is text, which only a field's parameter can be");
        }
        self.within(
            &format!("{path}.bytes_max"),
            bytes,
            1,
            limits::FIELD_TEXT_BYTES_MAX,
        );
        let means_nothing = parameter.minimum.is_some()
            || parameter.maximum.is_some()
            || parameter.unit.is_some()
            || parameter.is_choice();
        if means_nothing {
            self.problem(
                path,
                "is text: minimum, maximum, unit and choices mean nothing",
            );
        }
    }

    fn tables(&mut self, tables: &[Table]) {
        self.count("tables", tables.len(), limits::TABLES_MAX);
        self.names("tables", tables.iter().map(|table| table.name.as_str()));
        for (index, table) in tables.iter().enumerate() {
            let path = format!("tables[{index}]");
            self.within(
                &format!("{path}.rows_max"),
                table.rows_max,
                1,
                limits::ROWS_MAX,
            );
            self.within(
                &format!("{path}.columns"),
                table.columns.len(),
                1,
                limits::COLUMNS_MAX,
            );
            self.names(
                &format!("{path}.columns"),
                table.columns.iter().map(|column| column.name.as_str()),
            );
            for (column_index, column) in table.columns.iter().enumerate() {
                self.unit(
                    &format!("{path}.columns[{column_index}]"),
                    column.unit.as_deref(),
                );
            }
        }
    }

    fn sizes(&mut self, manifest: &Manifest) {
        let sizes = &manifest.sizes;
        self.within(
            "sizes.memory_bytes",
            sizes.memory_bytes,
            1,
            limits::MEMORY_BYTES_MAX,
        );
        self.within(
            "sizes.output_bytes_max",
            sizes.output_bytes_max,
            0,
            limits::OUTPUT_BYTES_MAX,
        );
        let record_bytes_max = (manifest.records.iter())
            .map(|record| {
                if record.fields.is_empty() {
                    limits::FIELDS_MAX
                } else {
                    record.fields.len()
                }
            })
            .map(layout::record_bytes)
            .max()
            .unwrap_or(0);
        if sizes.output_bytes_max < record_bytes_max {
            let message = format!(
                "is {}, but one record alone takes {record_bytes_max}",
                sizes.output_bytes_max
            );
            self.problem("sizes.output_bytes_max", message);
        }
        let records_max = limits::OUTPUT_BYTES_MAX / layout::RECORD_HEAD_BYTES;
        self.within(
            "sizes.records_max",
            sizes.records_max,
            usize::from(!manifest.records.is_empty()),
            records_max,
        );
        // The counts were checked above; sums of what is out of range would mean nothing.
        if self.problems.is_empty() {
            let areas = manifest.input_bytes() + manifest.config_bytes() + manifest.output_bytes();
            if areas > sizes.memory_bytes {
                let message = format!(
                    "is {}, but input, configuration and output alone take {areas}",
                    sizes.memory_bytes
                );
                self.problem("sizes.memory_bytes", message);
            }
        }
    }
}

impl Parameter {
    /// Whether it is a choice, and not a number.
    pub fn is_choice(&self) -> bool {
        !self.choices.is_empty()
    }

    /// How many slots it takes: a text as many as it has room for, all others one.
    pub fn slots(&self) -> usize {
        self.bytes_max
            .map_or(1, |bytes| bytes.div_ceil(layout::SLOT_BYTES))
    }

    /// Why a value can't be used, if it can't.
    ///
    /// # Errors
    /// In words, with what was expected.
    pub fn check_value(&self, value: &ParameterDefault) -> Result<(), String> {
        match (self.bytes_max, value) {
            (None, value) => self.number_of(value).map(|_| ()),
            (Some(bytes_max), ParameterDefault::Choice(text)) => {
                if text.is_empty() || text.len() > bytes_max {
                    Err(format!("`{text}` is not text of 1 to {bytes_max} bytes"))
                } else if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
                    Ok(())
                } else {
                    Err(format!("`{text}` is not printable ASCII"))
                }
            }
            (Some(_), ParameterDefault::Number(number)) => {
                Err(format!("{number} is a number: write text in quotes"))
            }
        }
    }

    /// The number that stands for a value in the configuration, or why the value can't be had. A choice
    /// is the place of its name.
    pub fn number_of(&self, value: &ParameterDefault) -> Result<f64, String> {
        match value {
            ParameterDefault::Choice(name) if self.is_choice() => self
                .choices
                .iter()
                .position(|choice| choice == name)
                .map(|place| place as f64)
                .ok_or_else(|| format!("`{name}` is none of {}", self.choices.join(", "))),
            ParameterDefault::Number(number) if !self.is_choice() => {
                let least = self.minimum.unwrap_or(f64::MIN);
                let most = self.maximum.unwrap_or(f64::MAX);
                if (least..=most).contains(number) {
                    Ok(*number)
                } else {
                    Err(format!("{number} is out of range: {}", self.range_text()))
                }
            }
            ParameterDefault::Choice(name) => Err(format!("`{name}` is not a number")),
            ParameterDefault::Number(number) => {
                Err(format!("{number} is none of {}", self.choices.join(", ")))
            }
        }
    }

    /// The range in words: `0 to 10 s`.
    fn range_text(&self) -> String {
        let unit = self
            .unit
            .as_ref()
            .map(|unit| format!(" {unit}"))
            .unwrap_or_default();
        match (self.minimum, self.maximum) {
            (Some(least), Some(most)) => format!("{least} to {most}{unit}"),
            (Some(least), None) => format!("at least {least}{unit}"),
            (None, Some(most)) => format!("at most {most}{unit}"),
            (None, None) => String::from("a finite number"),
        }
    }
}
