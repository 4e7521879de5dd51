//! A module in words, for `retrotap module inspect` and for whoever wonders what a file is.

use std::fmt::{self, Display, Formatter};

use retrotap_abi::manifest::{Field, Input, Parameter};

use crate::module::Module;

/// A module in words: `println!("{}", Inspection(&module))`.
#[derive(Debug)]
pub struct Inspection<'a>(pub &'a Module);

impl Display for Inspection<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let manifest = self.0.manifest();
        writeln!(out, "{}: {}", self.0.id(), manifest.title)?;
        write!(out, "  sha256   ")?;
        for byte in self.0.sha256() {
            write!(out, "{byte:02x}")?;
        }
        writeln!(out)?;
        let sizes = &manifest.sizes;
        writeln!(
            out,
            "  size     {} bytes, memory {} bytes",
            self.0.wasm().len(),
            sizes.memory_bytes
        )?;
        writeln!(out, "  budget   {} µs a call", manifest.time_budget_us)?;
        match &manifest.input {
            Input::Frame => writeln!(
                out,
                "  takes    frames of at most {} bytes",
                sizes.frame_bytes_max
            )?,
            Input::Record(_) if manifest.is_generic() => {
                writeln!(out, "  takes    the fields that the adapter names")?;
            }
            Input::Record(input) => {
                writeln!(out, "  takes    {}", input.record)?;
                fields(out, &input.fields)?;
            }
        }
        for record in &manifest.records {
            writeln!(out, "  emits    {}", record.record)?;
            fields(out, &record.fields)?;
        }
        for parameter in &manifest.field_parameters {
            writeln!(out, "  field    {}{}", parameter.name, setting(parameter))?;
        }
        for parameter in &manifest.parameters {
            writeln!(out, "  set      {}{}", parameter.name, setting(parameter))?;
        }
        for table in &manifest.tables {
            let live = if table.live { ", live" } else { "" };
            writeln!(
                out,
                "  table    {} ({} rows at most{live})",
                table.name, table.rows_max
            )?;
        }
        if let Some(state) = &manifest.state {
            writeln!(
                out,
                "  keeps    {} ({} bytes) over a swap",
                state.layout, state.bytes
            )?;
        }
        if self.0.cases().is_some() {
            writeln!(out, "  carries  test cases")?;
        }
        for reason in &manifest.reasons {
            writeln!(out, "  rejects  {}: {}", reason.name, reason.description)?;
        }
        Ok(())
    }
}

fn fields(out: &mut Formatter<'_>, fields: &[Field]) -> fmt::Result {
    for field in fields {
        let unit = field
            .unit
            .as_ref()
            .map(|unit| format!(" [{unit}]"))
            .unwrap_or_default();
        let optional = if field.optional { ", optional" } else { "" };
        writeln!(out, "             {}{unit}{optional}", field.name)?;
    }
    Ok(())
}

fn setting(parameter: &Parameter) -> String {
    let unit = parameter
        .unit
        .as_ref()
        .map(|unit| format!(" [{unit}]"))
        .unwrap_or_default();
    let limits = match (parameter.minimum, parameter.maximum) {
        _ if !parameter.choices.is_empty() => format!(", one of {}", parameter.choices.join(", ")),
        (Some(least), Some(most)) => format!(", {least} to {most}"),
        (Some(least), None) => format!(", {least} or more"),
        (None, Some(most)) => format!(", {most} or less"),
        (None, None) => String::new(),
    };
    match &parameter.default {
        Some(default) => format!("{unit} = {default}{limits}"),
        None => format!("{unit}, must be given{limits}"),
    }
}
