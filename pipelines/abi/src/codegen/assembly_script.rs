//! Constants for a stage in AssemblyScript: where each value stands, and the areas themselves.

use std::fmt::Write;

use super::names::constant_name;
use crate::layout::{self, Kind};
use crate::manifest::{Field, Input, Manifest};

/// The source of `assembly/manifest.ts`: areas, offsets of fields, parameters and tables, numbers of
/// records, choices and reasons.
pub fn assembly_script(manifest: &Manifest) -> String {
    let mut text =
        String::from("// Made from manifest.yaml by build-stages. Change that instead.\n\n");
    let mut constant = |name: &str, value: i64| {
        let _ = writeln!(text, "export const {}: i32 = {value};", constant_name(name));
    };
    constant("input_bytes", manifest.input_bytes() as i64);
    constant("config_bytes", manifest.config_bytes() as i64);
    constant("output_bytes", manifest.output_bytes() as i64);
    if let Input::Record(input) = &manifest.input {
        fields("input", &input.fields, &mut constant);
    }
    for (number, record) in manifest.records.iter().enumerate() {
        constant(&record.record, number as i64);
        constant(
            &format!("{}_fields", record.record),
            record.fields.len() as i64,
        );
        fields(&record.record, &record.fields, &mut constant);
    }
    for (place, parameter) in manifest.parameters.iter().enumerate() {
        constant(
            &format!("parameter_{}", parameter.name),
            layout::parameter_offset(place) as i64,
        );
        choices(
            &format!("parameter_{}", parameter.name),
            &parameter.choices,
            &mut constant,
        );
    }
    for (place, table) in manifest.tables.iter().enumerate() {
        constant(
            &format!("table_{}", table.name),
            manifest.table_offset(place) as i64,
        );
        constant(
            &format!("table_{}_columns", table.name),
            table.columns.len() as i64,
        );
        for (column, described) in table.columns.iter().enumerate() {
            constant(
                &format!("table_{}_{}", table.name, described.name),
                column as i64,
            );
        }
    }
    for (place, reason) in manifest.reasons.iter().enumerate() {
        constant(&format!("reason_{}", reason.name), -(place as i64 + 1));
    }
    text
}

fn fields(record: &str, fields: &[Field], constant: &mut impl FnMut(&str, i64)) {
    for (place, field) in fields.iter().enumerate() {
        constant(&format!("{record}_{}", field.name), place as i64);
        if field.kind == Kind::Choice {
            choices(
                &format!("{record}_{}", field.name),
                &field.choices,
                constant,
            );
        }
    }
}

fn choices(name: &str, choices: &[String], constant: &mut impl FnMut(&str, i64)) {
    for (place, choice) in choices.iter().enumerate() {
        constant(&format!("{name}_is_{choice}"), place as i64);
    }
}
