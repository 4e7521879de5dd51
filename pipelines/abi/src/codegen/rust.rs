//! Typed Rust for a stage: its input, records, parameters, tables and reasons, and the `Contract`
//! that ties them to the areas in its memory.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::names::{field_name, type_name};
use crate::layout::{self, Kind};
use crate::manifest::{Field, Input, Manifest, Parameter, Record, Table};

/// The source of a module that describes `manifest`, or which two of its names would become one.
pub fn rust(manifest: &Manifest) -> Result<String, String> {
    let mut source = Source {
        text: String::new(),
        types: BTreeSet::new(),
    };
    // Ours, and those of the prelude that the code below is written with.
    for taken in [
        "Contract", "Input", "Config", "Reason", "Output", "Option", "Some", "None", "Iterator",
    ] {
        source.types.insert(taken.to_owned());
    }
    source.constants(manifest);
    source.input(manifest)?;
    for (number, record) in manifest.records.iter().enumerate() {
        source.record(number, record, manifest.is_generic())?;
    }
    source.config(manifest)?;
    source.reasons(manifest);
    source.contract(manifest);
    Ok(source.text)
}

struct Source {
    text: String,
    types: BTreeSet<String>,
}

/// Appends a line. Writing into a string can't fail.
macro_rules! line {
    ($source:expr, $($format:tt)*) => { let _ = writeln!($source.text, $($format)*); };
}

impl Source {
    fn claim(&mut self, name: &str) -> Result<(), String> {
        if self.types.insert(name.to_owned()) {
            Ok(())
        } else {
            Err(format!(
                "two things would both be called `{name}` in Rust: rename one of them"
            ))
        }
    }

    fn doc(&mut self, indent: &str, text: &str, otherwise: &str) {
        let text = if text.trim().is_empty() {
            otherwise
        } else {
            text.trim()
        };
        for row in text.lines() {
            line!(self, "{indent}/// {}", row.trim());
        }
    }

    fn constants(&mut self, manifest: &Manifest) {
        line!(
            self,
            "/// The longest frame in bytes, 0 where the input is a record."
        );
        line!(
            self,
            "pub const FRAME_BYTES_MAX: usize = {};",
            manifest.sizes.frame_bytes_max
        );
        if manifest.fields.is_some() {
            line!(self, "/// The most fields that an adapter may list.");
            let fields_max = crate::limits::FIELDS_MAX;
            line!(self, "pub const FIELDS_MAX: usize = {fields_max};");
        }
        for table in &manifest.tables {
            line!(self, "/// The most rows of the table `{}`.", table.name);
            let name = super::names::constant_name(&table.name);
            line!(
                self,
                "pub const {name}_ROWS_MAX: usize = {};",
                table.rows_max
            );
        }
        line!(self, "/// What a call writes its records to.");
        line!(self, "pub type Output<'a> = ::retrotap_sdk::Output<'a>;");
    }

    fn input(&mut self, manifest: &Manifest) -> Result<(), String> {
        let fields = match &manifest.input {
            Input::Frame => {
                line!(self, "/// The bytes of a frame.");
                line!(self, "pub type Input<'a> = &'a [u8];");
                return Ok(());
            }
            Input::Record(_) if manifest.is_generic() => {
                line!(self, "/// The fields that the adapter names, in its order.");
                line!(self, "pub type Input<'a> = ::retrotap_sdk::Slots<'a>;");
                return Ok(());
            }
            Input::Record(input) => &input.fields,
        };
        for field in fields {
            self.field_enum("Input", field)?;
        }
        line!(self, "/// One record of an earlier stage.");
        line!(self, "#[derive(Clone, Copy, Debug, PartialEq)]");
        line!(self, "pub struct Input {{");
        for field in fields {
            self.doc(
                "    ",
                &field.description,
                &unit_words(field.unit.as_deref()),
            );
            line!(
                self,
                "    pub {}: {},",
                field_name(&field.name),
                optional(field, &value_type("Input", field))
            );
        }
        line!(self, "}}");
        line!(self, "impl Input {{");
        line!(
            self,
            "    /// Reads it; nothing where a required field is missing, which the host rules out."
        );
        line!(self, "    #[inline]");
        line!(
            self,
            "    pub fn read(slots: ::retrotap_sdk::Slots<'_>) -> Option<Self> {{"
        );
        line!(self, "        Some(Self {{");
        for (place, field) in fields.iter().enumerate() {
            let read = match field.kind {
                Kind::F64 => format!("slots.f64({place})"),
                Kind::I64 => format!("slots.i64({place})"),
                Kind::Bool => format!("slots.bool({place})"),
                _ => format!(
                    "slots.index({place}).and_then({}::at)",
                    value_type("Input", field)
                ),
            };
            let required = if field.optional { "" } else { "?" };
            line!(
                self,
                "            {}: {read}{required},",
                field_name(&field.name)
            );
        }
        line!(self, "        }})");
        line!(self, "    }}");
        line!(self, "}}");
        Ok(())
    }

    fn record(&mut self, number: usize, record: &Record, generic: bool) -> Result<(), String> {
        if record.fields.is_empty() && generic {
            let name = super::names::constant_name(&record.record);
            line!(
                self,
                "/// The number of the record `{}`, which has the adapter's fields.",
                record.record
            );
            line!(self, "pub const {name}: u32 = {number};");
            return Ok(());
        }
        let name = type_name(&record.record);
        self.claim(&name)?;
        for field in &record.fields {
            self.field_enum(&name, field)?;
        }
        let borrows = record.fields.iter().any(|field| field.kind == Kind::Text);
        let (lifetime, elided) = if borrows { ("<'a>", "<'_>") } else { ("", "") };
        self.doc(
            "",
            &record.description,
            &format!("The record `{}`.", record.record),
        );
        line!(self, "#[derive(Clone, Copy, Debug, PartialEq)]");
        line!(self, "pub struct {name}{lifetime} {{");
        for field in &record.fields {
            self.doc(
                "    ",
                &field.description,
                &unit_words(field.unit.as_deref()),
            );
            line!(
                self,
                "    pub {}: {},",
                field_name(&field.name),
                optional(field, &value_type(&name, field))
            );
        }
        line!(self, "}}");
        line!(self, "impl ::retrotap_sdk::Record for {name}{elided} {{");
        line!(self, "    const NUMBER: u32 = {number};");
        line!(self, "    const FIELDS: usize = {};", record.fields.len());
        line!(self, "    #[inline]");
        line!(
            self,
            "    fn write(&self, slots: &mut ::retrotap_sdk::SlotWriter<'_, '_>) {{"
        );
        for (place, field) in record.fields.iter().enumerate() {
            let write = match field.kind {
                Kind::F64 => format!("slots.f64({place}, value)"),
                Kind::I64 => format!("slots.i64({place}, value)"),
                Kind::Bool => format!("slots.bool({place}, value)"),
                Kind::Choice => format!("slots.index({place}, value as u32)"),
                Kind::Row => format!("slots.index({place}, value)"),
                Kind::Text => format!("slots.text({place}, value)"),
            };
            let name = field_name(&field.name);
            if field.optional {
                line!(
                    self,
                    "        if let Some(value) = self.{name} {{ {write}; }}"
                );
            } else {
                line!(self, "        {{ let value = self.{name}; {write}; }}");
            }
        }
        line!(self, "    }}");
        line!(self, "}}");
        Ok(())
    }

    fn field_enum(&mut self, record: &str, field: &Field) -> Result<(), String> {
        if field.kind != Kind::Choice {
            return Ok(());
        }
        self.choice(
            &value_type(record, field),
            &field.choices,
            &field.description,
        )
    }

    fn choice(&mut self, name: &str, choices: &[String], description: &str) -> Result<(), String> {
        self.claim(name)?;
        self.doc("", description, "One of a few named values.");
        line!(self, "#[derive(Clone, Copy, Debug, PartialEq, Eq)]");
        line!(self, "#[repr(u32)]");
        line!(self, "pub enum {name} {{");
        for (place, choice) in choices.iter().enumerate() {
            line!(self, "    /// `{choice}`");
            line!(self, "    {} = {place},", type_name(choice));
        }
        line!(self, "}}");
        line!(self, "impl {name} {{");
        line!(
            self,
            "    /// The choice at a place of the manifest's list."
        );
        line!(self, "    #[inline]");
        line!(self, "    pub const fn at(place: u32) -> Option<Self> {{");
        line!(self, "        match place {{");
        for (place, choice) in choices.iter().enumerate() {
            line!(
                self,
                "            {place} => Some(Self::{}),",
                type_name(choice)
            );
        }
        line!(self, "            _ => None,");
        line!(self, "        }}");
        line!(self, "    }}");
        line!(self, "}}");
        Ok(())
    }

    fn config(&mut self, manifest: &Manifest) -> Result<(), String> {
        let bytes = manifest.config_bytes();
        line!(self, "/// Parameters and tables, read in place.");
        line!(self, "#[derive(Clone, Copy, Debug)]");
        line!(self, "pub struct Config<'a> {{ area: &'a [u8; {bytes}] }}");
        let mut methods = String::new();
        for (place, parameter) in manifest.parameters.iter().enumerate() {
            self.parameter(place, parameter, &mut methods)?;
        }
        if manifest.field_table_bytes() > 0 {
            self.field_table(manifest, &mut methods)?;
        }
        for (place, table) in manifest.tables.iter().enumerate() {
            self.table(table)?;
            let (start, end) = (
                manifest.table_offset(place),
                manifest.table_offset(place + 1),
            );
            let _ = writeln!(
                methods,
                "    /// {}\n    #[inline]\n    pub fn {}(&self) -> {}Table<'a> {{ {}Table(::retrotap_sdk::Cells::new(&self.area[{start}..{end}], {})) }}",
                one_line(&table.description, &format!("The table `{}`.", table.name)),
                field_name(&table.name),
                type_name(&table.name),
                type_name(&table.name),
                table.columns.len()
            );
        }
        line!(self, "impl<'a> Config<'a> {{");
        line!(self, "    /// Bytes of the area.");
        line!(self, "    pub const BYTES: usize = {bytes};");
        line!(self, "    /// Looks at an area of the right size.");
        line!(
            self,
            "    pub fn new(area: &'a [u8]) -> Option<Self> {{ Some(Self {{ area: area.try_into().ok()? }}) }}"
        );
        self.text.push_str(&methods);
        line!(self, "}}");
        Ok(())
    }

    fn parameter(
        &mut self,
        place: usize,
        parameter: &Parameter,
        methods: &mut String,
    ) -> Result<(), String> {
        let name = field_name(&parameter.name);
        let description = one_line(
            &parameter.description,
            &unit_words(parameter.unit.as_deref()),
        );
        let read = format!("::retrotap_sdk::parameter(self.area, {place})");
        let _ = writeln!(methods, "    /// {description}\n    #[inline]");
        if parameter.is_choice() {
            let choice = type_name(&parameter.name);
            self.choice(&choice, &parameter.choices, &parameter.description)?;
            let _ = writeln!(
                methods,
                "    pub fn {name}(&self) -> {choice} {{ match {choice}::at({read} as u32) {{ Some(choice) => choice, None => unreachable!() }} }}"
            );
        } else {
            let _ = writeln!(methods, "    pub fn {name}(&self) -> f64 {{ {read} }}");
        }
        Ok(())
    }

    /// The rows of the field table: what the adapter says of each field.
    fn field_table(&mut self, manifest: &Manifest, methods: &mut String) -> Result<(), String> {
        self.claim("Field")?;
        let known = &manifest.field_parameters;
        for parameter in known.iter().filter(|parameter| parameter.is_choice()) {
            let name = type_name(&parameter.name);
            self.choice(&name, &parameter.choices, &parameter.description)?;
        }
        let borrows = known.iter().any(|parameter| parameter.bytes_max.is_some());
        let lifetime = if borrows { "<'a>" } else { "" };
        line!(self, "/// What the adapter says of one of its fields.");
        line!(self, "#[derive(Clone, Copy, Debug, PartialEq)]");
        line!(self, "pub struct Field{lifetime} {{");
        line!(self, "    /// What it holds.");
        line!(self, "    pub kind: ::retrotap_sdk::Kind,");
        for parameter in known {
            self.doc(
                "    ",
                &parameter.description,
                &unit_words(parameter.unit.as_deref()),
            );
            let value = match parameter.bytes_max {
                Some(_) => "&'a [u8]".to_owned(),
                None if parameter.is_choice() => type_name(&parameter.name),
                None => "f64".to_owned(),
            };
            line!(self, "    pub {}: {value},", field_name(&parameter.name));
        }
        line!(self, "}}");
        let start = manifest.field_table_offset();
        let end = start + manifest.field_table_bytes();
        let _ = writeln!(
            methods,
            "    /// The adapter's fields, in its order, which is that of the slots.\n    \
             pub fn fields(&self) -> impl Iterator<Item = Field{lifetime}> + 'a {{\n        \
             let cells = ::retrotap_sdk::Cells::new(&self.area[{start}..{end}], {});\n        \
             (0..cells.rows()).filter_map(move |row| {{\n            \
             let row = cells.row(row)?;\n            \
             Some(Field {{\n                \
             kind: ::retrotap_sdk::Kind::of_number(row.f64(0) as u32)?,",
            manifest.field_slots()
        );
        for (place, parameter) in known.iter().enumerate() {
            let slot = manifest.field_slot(place);
            let read = match parameter.bytes_max {
                Some(_) => format!("row.text({slot}, {})", parameter.slots()),
                None if parameter.is_choice() => {
                    format!(
                        "{}::at(row.f64({slot}) as u32)?",
                        type_name(&parameter.name)
                    )
                }
                None => format!("row.f64({slot})"),
            };
            let name = field_name(&parameter.name);
            let _ = writeln!(methods, "                {name}: {read},");
        }
        methods.push_str("            })\n        })\n    }\n");
        Ok(())
    }

    fn table(&mut self, table: &Table) -> Result<(), String> {
        let name = type_name(&table.name);
        let (view, row) = (format!("{name}Table"), format!("{name}Row"));
        self.claim(&view)?;
        self.claim(&row)?;
        line!(self, "/// One row of the table `{}`.", table.name);
        line!(self, "#[derive(Clone, Copy, Debug, PartialEq)]");
        line!(self, "pub struct {row} {{");
        for column in &table.columns {
            self.doc(
                "    ",
                &column.description,
                &unit_words(column.unit.as_deref()),
            );
            line!(self, "    pub {}: f64,", field_name(&column.name));
        }
        line!(self, "}}");
        self.doc(
            "",
            &table.description,
            &format!("The table `{}`.", table.name),
        );
        line!(self, "#[derive(Clone, Copy, Debug)]");
        line!(self, "pub struct {view}<'a>(::retrotap_sdk::Cells<'a>);");
        line!(self, "impl<'a> {view}<'a> {{");
        line!(self, "    /// How many rows there are.");
        line!(self, "    #[inline]");
        line!(self, "    pub fn len(&self) -> usize {{ self.0.rows() }}");
        line!(self, "    /// Whether there are none.");
        line!(self, "    #[inline]");
        line!(
            self,
            "    pub fn is_empty(&self) -> bool {{ self.0.rows() == 0 }}"
        );
        line!(self, "    /// One row.");
        line!(self, "    #[inline]");
        line!(
            self,
            "    pub fn row(&self, row: usize) -> Option<{row}> {{"
        );
        line!(self, "        let cells = self.0.row(row)?;");
        line!(self, "        Some({row} {{");
        for (place, column) in table.columns.iter().enumerate() {
            line!(
                self,
                "            {}: cells.f64({place}),",
                field_name(&column.name)
            );
        }
        line!(self, "        }})");
        line!(self, "    }}");
        line!(self, "    /// All rows, in order.");
        line!(self, "    #[inline]");
        line!(
            self,
            "    pub fn rows(self) -> impl Iterator<Item = {row}> + 'a {{ (0..self.len()).filter_map(move |row| self.row(row)) }}"
        );
        line!(self, "}}");
        Ok(())
    }

    fn reasons(&mut self, manifest: &Manifest) {
        line!(self, "/// Why an input or a configuration is rejected.");
        line!(self, "#[derive(Clone, Copy, Debug, PartialEq, Eq)]");
        if !manifest.reasons.is_empty() {
            line!(self, "#[repr(i32)]");
        }
        line!(self, "pub enum Reason {{");
        for (place, reason) in manifest.reasons.iter().enumerate() {
            self.doc("    ", &reason.description, &format!("`{}`", reason.name));
            line!(self, "    {} = {},", type_name(&reason.name), place + 1);
        }
        line!(self, "}}");
        line!(self, "impl ::retrotap_sdk::Reason for Reason {{");
        line!(self, "    #[inline]");
        let number = if manifest.reasons.is_empty() {
            "match self {}"
        } else {
            "self as i32"
        };
        line!(self, "    fn number(self) -> i32 {{ {number} }}");
        line!(self, "}}");
    }

    fn contract(&mut self, manifest: &Manifest) {
        let (input, config, output) = (
            manifest.input_bytes(),
            manifest.config_bytes(),
            manifest.output_bytes(),
        );
        let state = match &manifest.state {
            Some(state) => layout::aligned(state.bytes),
            None => 0,
        };
        let memory = input + config + output + state;
        let (view, read) = match &manifest.input {
            Input::Frame => ("Input<'a>", "Some(area)"),
            Input::Record(_) if manifest.is_generic() => {
                ("Input<'a>", "::retrotap_sdk::Slots::new(area)")
            }
            Input::Record(_) => ("Input", "Input::read(::retrotap_sdk::Slots::new(area)?)"),
        };
        line!(self, "/// What ties the stage to its manifest.");
        line!(self, "#[derive(Clone, Copy, Debug)]");
        line!(self, "pub enum Contract {{}}");
        line!(self, "impl ::retrotap_sdk::Contract for Contract {{");
        line!(
            self,
            "    const MANIFEST_JSON: &'static str = {:?};",
            manifest.to_json()
        );
        line!(self, "    const INPUT_BYTES: usize = {input};");
        line!(self, "    const CONFIG_BYTES: usize = {config};");
        line!(self, "    const OUTPUT_BYTES: usize = {output};");
        line!(self, "    const STATE_BYTES: usize = {state};");
        line!(self, "    type Memory = ::retrotap_sdk::Area<{memory}>;");
        line!(self, "    type Input<'a> = {view};");
        line!(self, "    type Config<'a> = Config<'a>;");
        line!(self, "    type Reason = Reason;");
        line!(self, "    #[inline]");
        line!(
            self,
            "    fn input(area: &[u8]) -> Option<Self::Input<'_>> {{ {read} }}"
        );
        line!(self, "    #[inline]");
        line!(
            self,
            "    fn config(area: &[u8]) -> Option<Config<'_>> {{ Config::new(area) }}"
        );
        line!(self, "}}");
        debug_assert_eq!(input % layout::SLOT_BYTES, 0);
    }
}

fn value_type(record: &str, field: &Field) -> String {
    match field.kind {
        Kind::F64 => "f64".into(),
        Kind::I64 => "i64".into(),
        Kind::Bool => "bool".into(),
        Kind::Row => "u32".into(),
        Kind::Text => "&'a str".into(),
        Kind::Choice => format!("{record}{}", type_name(&field.name)),
    }
}

fn optional(field: &Field, value: &str) -> String {
    if field.optional {
        format!("Option<{value}>")
    } else {
        value.to_owned()
    }
}

fn unit_words(unit: Option<&str>) -> String {
    unit.map_or_else(
        || "Without a unit.".to_owned(),
        |unit| format!("In {unit}."),
    )
}

fn one_line(text: &str, otherwise: &str) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        otherwise.to_owned()
    } else {
        text
    }
}
