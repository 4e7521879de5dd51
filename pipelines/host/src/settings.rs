//! Parameters and tables: from names and units to the block that a stage reads in place.

use std::collections::BTreeMap;

use retrotap_abi::layout;
use retrotap_abi::manifest::{
    GenericField, Manifest, Parameter, ParameterDefault, Table as TableLayout,
};

use crate::suggest::suggestion;

/// A parameter's value, as a user gives it.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamValue {
    /// A number. Without a unit it is in the parameter's own, which its name carries.
    Number {
        /// The number.
        value: f64,
        /// Its unit, spelled as in the manifest.
        unit: Option<String>,
    },
    /// The name of a choice.
    Choice(String),
}

/// A table's content.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// The columns' names, in the order of the values. Each of the manifest's must be there.
    pub columns: Vec<String>,
    /// The rows.
    pub rows: Vec<TableRow>,
}

/// One row of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRow {
    /// What the row is called where a record points to it.
    pub name: String,
    /// A number per column.
    pub values: Vec<f64>,
}

/// What is wrong with a parameter or a table.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SettingError {
    /// There is no such stage in the pipeline.
    #[error("there is no stage `{name}`{suggestion}")]
    UnknownStage {
        /// The name that was given.
        name: String,
        /// `; did you mean …?`, or nothing.
        suggestion: String,
    },
    /// There is no such parameter.
    #[error("there is no parameter `{name}`{suggestion}")]
    UnknownParameter {
        /// The name that was given.
        name: String,
        /// `; did you mean …?`, or nothing.
        suggestion: String,
    },
    /// A parameter without a default isn't given.
    #[error("parameter `{name}` must be given: it has no default")]
    MissingParameter {
        /// Its name.
        name: String,
    },
    /// The unit is another one.
    #[error("parameter `{name}` is given in {found}, expected {expected}")]
    Unit {
        /// The parameter.
        name: String,
        /// The unit that was given.
        found: String,
        /// The unit of the manifest, in words.
        expected: String,
    },
    /// The value is out of range, or not one of the choices.
    #[error("parameter `{name}`: {message}")]
    Value {
        /// The parameter.
        name: String,
        /// What is wrong, and what was expected.
        message: String,
    },
    /// There is no such table.
    #[error("there is no table `{name}`{suggestion}")]
    UnknownTable {
        /// The name that was given.
        name: String,
        /// `; did you mean …?`, or nothing.
        suggestion: String,
    },
    /// A fixed table isn't given.
    #[error("table `{name}` must be given")]
    MissingTable {
        /// Its name.
        name: String,
    },
    /// A fixed table can't change while the pipeline runs.
    #[error("table `{name}` is fixed: it can only be given when the pipeline is loaded")]
    FixedTable {
        /// Its name.
        name: String,
    },
    /// A column that the table doesn't have, or has twice.
    #[error("table `{table}`: column `{column}` is unknown or stands there twice{suggestion}")]
    UnknownColumn {
        /// The table.
        table: String,
        /// The column that was given.
        column: String,
        /// `; did you mean …?`, or nothing.
        suggestion: String,
    },
    /// A column is not given.
    #[error("table `{table}`: column `{column}` is missing")]
    MissingColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// There are more rows than there is room for.
    #[error("table `{table}` has {rows} rows, at most {rows_max} fit")]
    Rows {
        /// The table.
        table: String,
        /// How many were given.
        rows: usize,
        /// How many fit.
        rows_max: usize,
    },
    /// A row hasn't a finite number for each column.
    #[error("table `{table}`, row {row}: expected {columns} finite numbers")]
    Row {
        /// The table.
        table: String,
        /// Which row, from 1.
        row: usize,
        /// How many columns were named.
        columns: usize,
    },
    /// The stage itself refused it; what was set before holds.
    #[error("the stage refuses it: {reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
    /// The stage failed over it, or has been put aside; what was set before holds.
    #[error("the stage failed: {cause}")]
    Failed {
        /// How.
        cause: String,
    },
}

/// The configuration block of one stage, and the names of its tables' rows.
#[derive(Clone, Debug, Default)]
pub(crate) struct Config {
    pub(crate) bytes: Vec<u8>,
    row_names: Vec<Vec<String>>,
    /// Per parameter and per table, whether somebody gave it: a default belongs to its version alone.
    given: (Vec<bool>, Vec<bool>),
}

impl Config {
    /// Defaults, then what is given. All problems at once.
    pub(crate) fn new(
        manifest: &Manifest,
        params: &BTreeMap<String, ParamValue>,
        tables: &BTreeMap<String, Table>,
    ) -> Result<Self, Vec<SettingError>> {
        let mut config = Self {
            bytes: vec![0; manifest.config_bytes()],
            row_names: vec![Vec::new(); manifest.tables.len()],
            given: (
                vec![false; manifest.parameters.len()],
                vec![false; manifest.tables.len()],
            ),
        };
        config.fill_field_table(manifest);
        let mut problems = Vec::new();
        for (place, parameter) in manifest.parameters.iter().enumerate() {
            match parameter
                .default
                .as_ref()
                .map(|default| parameter.number_of(default))
            {
                Some(Ok(number)) => config.set_number(layout::parameter_offset(place), number),
                Some(Err(message)) => problems.push(SettingError::Value {
                    name: parameter.name.clone(),
                    message,
                }),
                None if params.contains_key(&parameter.name) => {}
                None => problems.push(SettingError::MissingParameter {
                    name: parameter.name.clone(),
                }),
            }
        }
        for table in manifest
            .tables
            .iter()
            .filter(|table| !table.live && !tables.contains_key(&table.name))
        {
            problems.push(SettingError::MissingTable {
                name: table.name.clone(),
            });
        }
        problems.extend(
            params
                .iter()
                .filter_map(|(name, value)| config.set_param(manifest, name, value).err()),
        );
        problems.extend(
            tables
                .iter()
                .filter_map(|(name, table)| config.set_table(manifest, name, table).err()),
        );
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(problems)
        }
    }

    /// What the adapter says of its fields. It was checked when the effective manifest was made.
    fn fill_field_table(&mut self, manifest: &Manifest) {
        if manifest.field_table_bytes() == 0 {
            return;
        }
        let start = manifest.field_table_offset();
        let fields = manifest.given_fields();
        self.bytes[start..start + 4].copy_from_slice(&(fields.len() as u32).to_le_bytes());
        for (row, field) in fields.iter().enumerate() {
            let at = |slot| start + layout::cell_offset(row, slot, manifest.field_slots());
            self.set_number(at(0), f64::from(field.kind.number()));
            for (place, parameter) in manifest.field_parameters.iter().enumerate() {
                self.set_field_parameter(at(manifest.field_slot(place)), parameter, field);
            }
        }
    }

    fn set_field_parameter(&mut self, at: usize, parameter: &Parameter, field: &GenericField) {
        let value = field.params.get(&parameter.name);
        match value.or(parameter.default.as_ref()) {
            Some(ParameterDefault::Choice(text)) if parameter.bytes_max.is_some() => {
                self.bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
            }
            Some(value) => self.set_number(at, parameter.number_of(value).unwrap_or_default()),
            None => {}
        }
    }

    pub(crate) fn set_param(
        &mut self,
        manifest: &Manifest,
        name: &str,
        value: &ParamValue,
    ) -> Result<(), SettingError> {
        let Some(place) = manifest
            .parameters
            .iter()
            .position(|parameter| parameter.name == name)
        else {
            let known = manifest
                .parameters
                .iter()
                .map(|parameter| parameter.name.as_str());
            return Err(SettingError::UnknownParameter {
                name: name.into(),
                suggestion: suggestion(name, known),
            });
        };
        let number = number_of(&manifest.parameters[place], value)?;
        self.set_number(layout::parameter_offset(place), number);
        self.given.0[place] = true;
        Ok(())
    }

    pub(crate) fn set_table(
        &mut self,
        manifest: &Manifest,
        name: &str,
        table: &Table,
    ) -> Result<(), SettingError> {
        let Some(place) = manifest
            .tables
            .iter()
            .position(|described| described.name == name)
        else {
            let known = manifest.tables.iter().map(|table| table.name.as_str());
            return Err(SettingError::UnknownTable {
                name: name.into(),
                suggestion: suggestion(name, known),
            });
        };
        let described = &manifest.tables[place];
        let order = column_order(described, table)?;
        check_rows(described, table)?;

        let (start, end) = (
            manifest.table_offset(place),
            manifest.table_offset(place + 1),
        );
        self.bytes[start..end].fill(0);
        self.bytes[start..start + 4].copy_from_slice(&(table.rows.len() as u32).to_le_bytes());
        for (row, values) in table.rows.iter().enumerate() {
            for (column, given) in order.iter().enumerate() {
                let offset = layout::cell_offset(row, column, order.len());
                self.set_number(start + offset, values.values[*given]);
            }
        }
        self.row_names[place] = table.rows.iter().map(|row| row.name.clone()).collect();
        self.given.1[place] = true;
        Ok(())
    }

    /// The parameters that somebody gave, with the units of their manifest.
    pub(crate) fn params(&self, manifest: &Manifest) -> BTreeMap<String, ParamValue> {
        let given = manifest.parameters.iter().zip(&self.given.0).enumerate();
        given
            .filter(|(_, (_, given))| **given)
            .map(|(place, (parameter, _))| (parameter.name.clone(), self.value(place, parameter)))
            .collect()
    }

    /// What a parameter is at present, given or by default; `None`: there is no such one.
    pub(crate) fn param(&self, manifest: &Manifest, name: &str) -> Option<ParamValue> {
        let place = manifest
            .parameters
            .iter()
            .position(|known| known.name == name)?;
        Some(self.value(place, manifest.parameters.get(place)?))
    }

    fn value(&self, place: usize, parameter: &Parameter) -> ParamValue {
        let number = self.number(layout::parameter_offset(place));
        match parameter.choices.get(number as usize) {
            Some(choice) => ParamValue::Choice(choice.clone()),
            None => ParamValue::Number {
                value: number,
                unit: parameter.unit.clone(),
            },
        }
    }

    /// The tables that somebody gave.
    pub(crate) fn tables(&self, manifest: &Manifest) -> BTreeMap<String, Table> {
        let given = manifest.tables.iter().zip(&self.given.1).enumerate();
        given
            .filter(|(_, (_, given))| **given)
            .map(|(place, (described, _))| {
                let (start, columns) = (manifest.table_offset(place), described.columns.len());
                let cell =
                    |row, column| self.number(start + layout::cell_offset(row, column, columns));
                let names = self.row_names[place].iter().enumerate();
                let rows = names.map(|(row, name)| TableRow {
                    name: name.clone(),
                    values: (0..columns).map(|column| cell(row, column)).collect(),
                });
                let table = Table {
                    columns: described
                        .columns
                        .iter()
                        .map(|column| column.name.clone())
                        .collect(),
                    rows: rows.collect(),
                };
                (described.name.clone(), table)
            })
            .collect()
    }

    fn number(&self, offset: usize) -> f64 {
        let slot = self.bytes.get(offset..).and_then(<[u8]>::first_chunk);
        f64::from_le_bytes(slot.copied().unwrap_or_default())
    }

    fn set_number(&mut self, offset: usize, number: f64) {
        self.bytes[offset..offset + layout::SLOT_BYTES].copy_from_slice(&number.to_le_bytes());
    }

    /// The name of a table's row, if there is such a table and row. The fields of a generic stage are
    /// rows of `fields`.
    pub(crate) fn row_name<'a>(
        &'a self,
        manifest: &'a Manifest,
        table: Option<&str>,
        row: u32,
    ) -> Option<&'a str> {
        if manifest.fields.is_some() && table == Some("fields") {
            let field = manifest.given_fields().get(row as usize)?;
            return Some(&field.name);
        }
        let place = manifest
            .tables
            .iter()
            .position(|described| Some(described.name.as_str()) == table)?;
        self.row_names
            .get(place)?
            .get(row as usize)
            .map(String::as_str)
    }
}

fn number_of(parameter: &Parameter, value: &ParamValue) -> Result<f64, SettingError> {
    let name = || parameter.name.clone();
    let value = match value {
        ParamValue::Number {
            unit: Some(unit), ..
        } if Some(unit) != parameter.unit.as_ref() => {
            let expected = parameter.unit.clone().unwrap_or_else(|| "no unit".into());
            return Err(SettingError::Unit {
                name: name(),
                found: unit.clone(),
                expected,
            });
        }
        ParamValue::Number { value, .. } => ParameterDefault::Number(*value),
        ParamValue::Choice(choice) => ParameterDefault::Choice(choice.clone()),
    };
    parameter
        .number_of(&value)
        .map_err(|message| SettingError::Value {
            name: name(),
            message,
        })
}

/// For each column of the manifest, which of the given ones it is.
fn column_order(described: &TableLayout, table: &Table) -> Result<Vec<usize>, SettingError> {
    let known = || described.columns.iter().map(|column| column.name.as_str());
    for (place, column) in table.columns.iter().enumerate() {
        if !known().any(|known| known == column) || table.columns[..place].contains(column) {
            return Err(SettingError::UnknownColumn {
                table: described.name.clone(),
                column: column.clone(),
                suggestion: suggestion(column, known()),
            });
        }
    }
    let place_of = |column: &str| table.columns.iter().position(|given| given == column);
    known()
        .map(|column| {
            let missing = || SettingError::MissingColumn {
                table: described.name.clone(),
                column: column.into(),
            };
            place_of(column).ok_or_else(missing)
        })
        .collect()
}

fn check_rows(described: &TableLayout, table: &Table) -> Result<(), SettingError> {
    if table.rows.len() > described.rows_max {
        let (rows, rows_max) = (table.rows.len(), described.rows_max);
        return Err(SettingError::Rows {
            table: described.name.clone(),
            rows,
            rows_max,
        });
    }
    let columns = table.columns.len();
    let wrong = |row: &TableRow| {
        row.values.len() != columns || !row.values.iter().all(|value| value.is_finite())
    };
    match table.rows.iter().position(wrong) {
        Some(row) => Err(SettingError::Row {
            table: described.name.clone(),
            row: row + 1,
            columns,
        }),
        None => Ok(()),
    }
}
