//! The rules of `pipeline`: what each stage is given.

use super::{is_name, kebab_name, snake_name};
use crate::schema::{FieldKind, FieldUse, ParamValue, StageUse};
use crate::yaml::{Node, Quantity};

/// Most fields of a stage: as many as a record's presence mask has bits.
const FIELDS_MAX: usize = 32;

/// Longest unit in characters (`deg/s2`).
const UNIT_CHARACTERS_MAX: usize = 16;

/// Longest text that a stage is told of a field, such as the pattern of a line.
const FIELD_TEXT_CHARACTERS_MAX: usize = 128;

pub(super) fn stage(node: Node<'_>) -> Option<StageUse> {
    let map = node.map(&["stage", "params", "tables", "fields", "record"])?;
    let stage = map.required("stage", |node| kebab_name(node, "a stage's name"));
    let params = map.optional("params", |node| named(node, param));
    let tables = map.optional("tables", |node| named(node, table_file));
    let fields = map.optional("fields", fields);
    let record = map.optional("record", |node| snake_name(node, "a record's name"));
    if let (Some(node), None) = (map.get("record"), map.get("fields")) {
        node.problem("names a record whose fields nobody lists")
            .expected("`fields` beside it: only a record of the adapter's own fields can be named");
    }
    Some(StageUse {
        stage: stage?,
        params: params?.unwrap_or_default(),
        tables: tables?.unwrap_or_default(),
        fields: fields?.unwrap_or_default(),
        record: record?,
    })
}

/// Values under names of the stage's, which its manifest knows.
fn named<T>(node: Node<'_>, read: impl Fn(Node<'_>) -> Option<T>) -> Option<Vec<(String, T)>> {
    let read_entry = |(name, node): (&str, Node<'_>)| {
        let value = read(node);
        if !is_name(name, '_') {
            node.problem(format!("`{name}` can't be a name here"))
                .expected("lower-case words and digits joined by underscores");
            return None;
        }
        Some((name.to_owned(), value?))
    };
    let values: Vec<Option<(String, T)>> = node.entries()?.map(read_entry).collect();
    values.into_iter().collect()
}

/// A number, a number with a unit, or a word.
fn param(node: Node<'_>) -> Option<ParamValue> {
    let expected = "a number, a number with its unit (110deg/s), or the name of a choice";
    let text = node.text()?;
    match Quantity::parse(text) {
        Some(Quantity { value, unit: "" }) => Some(ParamValue::Number { value, unit: None }),
        Some(Quantity { value, unit }) if is_unit(unit) => Some(ParamValue::Number {
            value,
            unit: Some(unit.to_owned()),
        }),
        None if is_name(text, '_') => Some(ParamValue::Choice(text.to_owned())),
        _ => {
            node.problem(format!("`{text}` can't be used here"))
                .expected(expected);
            None
        }
    }
}

fn is_unit(text: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || "/%°²³".contains(character);
    !text.is_empty() && text.chars().count() <= UNIT_CHARACTERS_MAX && text.chars().all(is_part)
}

/// A CSV file beside the adapter's YAML, and nowhere else.
fn table_file(node: Node<'_>) -> Option<String> {
    const CHARACTERS_MAX: usize = 100;
    let is_plain = |name: &str| {
        let stem = name.strip_suffix(".csv").unwrap_or_default();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !stem.is_empty() && !stem.starts_with('.') && stem.bytes().all(allowed)
    };
    node.name(
        CHARACTERS_MAX,
        "the name of a CSV file in the adapter's own folder, such as chain.csv",
        is_plain,
    )
}

fn fields(node: Node<'_>) -> Option<Vec<FieldUse>> {
    node.distinct(|field| field.peek("name")?.scalar());
    node.list(1..=FIELDS_MAX, field)
}

fn field(node: Node<'_>) -> Option<FieldUse> {
    let map = node.map(&["name", "from", "kind", "unit", "optional", "params"])?;
    let name = map.required("name", |node| snake_name(node, "a field's name"));
    let from = map.optional("from", record_field);
    let kinds = [
        FieldKind::F64,
        FieldKind::I64,
        FieldKind::Bool,
        FieldKind::Text,
    ]
    .map(|kind| (kind.name(), kind));
    let kind = map.optional("kind", |node| node.choice(&kinds));
    let unit = map.optional("unit", |node| {
        node.name(UNIT_CHARACTERS_MAX, "a unit, such as deg/s", is_unit)
    });
    let optional = map.optional("optional", Node::boolean);
    let params = map.optional("params", |node| named(node, field_param));
    Some(FieldUse {
        name: name?,
        from: from?,
        kind: kind?.unwrap_or_default(),
        unit: unit?,
        optional: optional?.unwrap_or(false),
        params: params?.unwrap_or_default(),
    })
}

/// A number in the field's unit, a word, or text in quotes.
fn field_param(node: Node<'_>) -> Option<ParamValue> {
    let text = node.text()?;
    let is_text = |text: &str| {
        text.len() <= FIELD_TEXT_CHARACTERS_MAX
            && text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
    };
    match Quantity::parse(text) {
        _ if node.is_quoted() && is_text(text) => Some(ParamValue::Choice(text.to_owned())),
        Some(Quantity { value, unit: "" }) if !node.is_quoted() => {
            Some(ParamValue::Number { value, unit: None })
        }
        None if is_name(text, '_') => Some(ParamValue::Choice(text.to_owned())),
        _ => {
            node.problem(format!("`{text}` can't be used here")).expected(
                "a number without a unit (it is in the field's), the name of a choice, or printable ASCII in quotes",
            );
            None
        }
    }
}

fn record_field(node: Node<'_>) -> Option<String> {
    const CHARACTERS_MAX: usize = 2 * super::NAME_CHARACTERS_MAX + 1;
    let is_path = |text: &str| {
        text.split_once('.')
            .is_some_and(|(record, field)| is_name(record, '_') && is_name(field, '_'))
    };
    node.name(
        CHARACTERS_MAX,
        "`record.field`, such as axes.axis_1_deg",
        is_path,
    )
}
