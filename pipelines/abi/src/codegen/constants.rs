//! Constants for languages that read areas by offsets: where each value stands.

use std::fmt::Write;

use super::names::constant_name;
use crate::layout::{self, Kind};
use crate::manifest::{Field, Input, Manifest, Parameter};

/// What all constants are made from, said at the top of each file.
const ORIGIN: &str = "Made from manifest.yaml by build-stages. Change that instead.";

/// The source of `assembly/manifest.ts`: areas, offsets of fields, parameters and tables, numbers of
/// records, choices and reasons.
pub fn assembly_script(manifest: &Manifest) -> String {
    let mut text = format!("// {ORIGIN}\n\n");
    constants(manifest, &mut |name, value| {
        let _ = writeln!(text, "export const {}: i32 = {value};", constant_name(name));
    });
    text
}

/// The same as `manifest.h`.
pub fn c(manifest: &Manifest) -> String {
    let mut text = format!("/* {ORIGIN} */\n#pragma once\n\n");
    constants(manifest, &mut |name, value| {
        let _ = writeln!(text, "#define {} ({value})", constant_name(name));
    });
    text
}

fn constants(manifest: &Manifest, constant: &mut impl FnMut(&str, i64)) {
    constant("input_bytes", manifest.input_bytes() as i64);
    constant("config_bytes", manifest.config_bytes() as i64);
    constant("output_bytes", manifest.output_bytes() as i64);
    if let Input::Record(input) = &manifest.input {
        fields("input", &input.fields, constant);
    }
    for (number, record) in manifest.records.iter().enumerate() {
        constant(&record.record, number as i64);
        if record.fields.is_empty() {
            continue; // The adapter's: their number stands in the field table.
        }
        let name = format!("{}_fields", record.record);
        constant(&name, record.fields.len() as i64);
        fields(&record.record, &record.fields, constant);
    }
    for (place, parameter) in manifest.parameters.iter().enumerate() {
        let name = format!("parameter_{}", parameter.name);
        constant(&name, layout::parameter_offset(place) as i64);
        choices(&name, &parameter.choices, constant);
    }
    if manifest.field_table_bytes() > 0 {
        field_table(manifest, constant);
    }
    for (place, table) in manifest.tables.iter().enumerate() {
        let name = format!("table_{}", table.name);
        constant(&name, manifest.table_offset(place) as i64);
        constant(&format!("{name}_columns"), table.columns.len() as i64);
        for (column, described) in table.columns.iter().enumerate() {
            constant(&format!("{name}_{}", described.name), column as i64);
        }
    }
    for (place, reason) in manifest.reasons.iter().enumerate() {
        constant(&format!("reason_{}", reason.name), -(place as i64 + 1));
    }
}

fn fields(record: &str, fields: &[Field], constant: &mut impl FnMut(&str, i64)) {
    for (place, field) in fields.iter().enumerate() {
        let name = format!("{record}_{}", field.name);
        constant(&name, place as i64);
        if field.kind == Kind::Choice {
            choices(&name, &field.choices, constant);
        }
    }
}

/// Where the field table begins, how many slots a row has, and in which its kind and parameters stand.
fn field_table(manifest: &Manifest, constant: &mut impl FnMut(&str, i64)) {
    constant("table_fields", manifest.field_table_offset() as i64);
    constant("table_fields_columns", manifest.field_slots() as i64);
    constant("table_fields_kind", 0);
    for kind in manifest.kinds() {
        constant(
            &format!("kind_is_{}", kind.name()),
            i64::from(kind.number()),
        );
    }
    for (place, parameter) in manifest.field_parameters.iter().enumerate() {
        let name = format!("table_fields_{}", parameter.name);
        constant(&name, manifest.field_slot(place) as i64);
        if let Some(bytes) = text_bytes(parameter) {
            constant(&format!("{name}_bytes"), bytes as i64);
        }
        choices(&name, &parameter.choices, constant);
    }
}

/// The room of a text in bytes.
fn text_bytes(parameter: &Parameter) -> Option<usize> {
    parameter.bytes_max?;
    Some(parameter.slots() * layout::SLOT_BYTES)
}

fn choices(name: &str, choices: &[String], constant: &mut impl FnMut(&str, i64)) {
    for (place, choice) in choices.iter().enumerate() {
        constant(&format!("{name}_is_{choice}"), place as i64);
    }
}
