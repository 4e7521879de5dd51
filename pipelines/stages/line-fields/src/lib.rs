//! Fields out of lines of ASCII by pattern, as scales, gauges and meters send them.
//!
//! [`pattern`] finds the value in a line, [`number`] reads it; this page ties them to the manifest. The
//! stage is generic: each field of the adapter's YAML has a pattern of its own.
//!
//! What it keeps true: the whole line fits a pattern, the unit that the machine prints included, or
//! nothing is taken from it. A number is the nearest `f64`, or it is rejected.
//!
//! What it doesn't do: put several lines together, or read anything but bytes of ASCII.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod manifest {
    //! What `manifest.yaml` declares.
    retrotap_sdk::manifest!();
}
pub mod number;
pub mod pattern;

use manifest::{Config, Contract, DecimalMark, FIELDS_MAX, LINE, Reason};
use number::Decimal;
use pattern::{Pattern, Value, Wrong};
use retrotap_sdk::{Kind, Output, SlotWriter};

/// Bytes of a pattern, the manifest's `bytes_max`.
const PATTERN_BYTES_MAX: usize = 64;

/// Bytes of a text. 32 of them and a record fit into the output.
const TEXT_BYTES_MAX: usize = 64;

/// The stage.
#[derive(Debug)]
pub struct LineFields {
    fields: [Field; FIELDS_MAX],
    count: usize,
    decimal_mark: u8,
}

/// A field with its pattern, which was looked through when it was set.
#[derive(Clone, Copy, Debug)]
struct Field {
    kind: Kind,
    pattern: [u8; PATTERN_BYTES_MAX],
    length: usize,
}

/// What a field is in one line.
#[derive(Clone, Copy, Debug)]
enum Found<'a> {
    Number(f64),
    Whole(i64),
    Bool(bool),
    Text(&'a str),
}

impl retrotap_sdk::Stage for LineFields {
    type Contract = Contract;

    fn new() -> Self {
        Self {
            fields: [Field::NONE; FIELDS_MAX],
            count: 0,
            decimal_mark: 0,
        }
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        for field in config.fields() {
            Pattern::new(field.pattern, value_of(field.kind)).map_err(wrong_pattern)?;
        }
        self.count = 0;
        for (own, field) in self.fields.iter_mut().zip(config.fields()) {
            *own = Field::new(field.kind, field.pattern);
            self.count += 1;
        }
        self.decimal_mark = match config.decimal_mark() {
            DecimalMark::Point => b'.',
            DecimalMark::Comma => b',',
        };
        Ok(())
    }

    fn process(&mut self, frame: &[u8], _t_ns: i64, out: &mut Output<'_>) -> Result<(), Reason> {
        let line = trimmed(frame);
        let fields = self.fields.get(..self.count).unwrap_or_default();
        let mut fits = false;
        for field in fields {
            let found = field.find(line, self.decimal_mark)?;
            fits |= !matches!(found, None | Some(Found::Bool(false)));
        }
        if !fits {
            return Err(Reason::NoMatch);
        }
        out.write(LINE, fields.len(), |slots| {
            for (place, field) in fields.iter().enumerate() {
                // What can't be read has been rejected above.
                if let Ok(Some(found)) = field.find(line, self.decimal_mark) {
                    write(slots, place, found);
                }
            }
        });
        Ok(())
    }
}

impl Field {
    /// All zeros: it is made in place, and not on a stack that has no room for 32 of them.
    const NONE: Self = Self {
        kind: Kind::F64,
        pattern: [0; PATTERN_BYTES_MAX],
        length: 0,
    };

    fn new(kind: Kind, text: &[u8]) -> Self {
        let mut field = Self { kind, ..Self::NONE };
        for (own, byte) in field.pattern.iter_mut().zip(text) {
            *own = *byte;
            field.length += 1;
        }
        field
    }

    /// Its value in a line; nothing where the line doesn't fit.
    fn find<'l>(&self, line: &'l [u8], decimal_mark: u8) -> Result<Option<Found<'l>>, Reason> {
        let text = self.pattern.get(..self.length).unwrap_or_default();
        let pattern = Pattern::new(text, value_of(self.kind)).map_err(wrong_pattern)?;
        let fit = pattern.fit(line);
        if self.kind == Kind::Bool {
            return Ok(Some(Found::Bool(fit.is_some())));
        }
        let Some(value) = fit else { return Ok(None) };
        match self.kind {
            Kind::Text if value.is_empty() => Ok(None),
            Kind::Text => printable(value).map(|text| Some(Found::Text(text))),
            kind => match Decimal::read(value, decimal_mark) {
                // With the other mark it is not this field's number.
                Err(number::Wrong::NoNumber) => Ok(None),
                Err(wrong) => Err(wrong_number(wrong)),
                Ok(decimal) if kind == Kind::I64 => {
                    let whole = decimal.whole().map_err(wrong_number)?;
                    Ok(Some(Found::Whole(whole)))
                }
                Ok(decimal) => {
                    let number = decimal.number().map_err(wrong_number)?;
                    Ok(Some(Found::Number(number)))
                }
            },
        }
    }
}

fn write(slots: &mut SlotWriter<'_, '_>, place: usize, found: Found<'_>) {
    match found {
        Found::Number(number) => slots.f64(place, number),
        Found::Whole(whole) => slots.i64(place, whole),
        Found::Bool(fits) => slots.bool(place, fits),
        Found::Text(text) => slots.text(place, text),
    }
}

fn value_of(kind: Kind) -> Value {
    match kind {
        Kind::Bool => Value::None,
        Kind::Text => Value::Text,
        _ => Value::Number,
    }
}

/// The line without blanks, line ends and other control characters around it.
fn trimmed(frame: &[u8]) -> &[u8] {
    let is_shown = |byte: &u8| byte.is_ascii_graphic() || !byte.is_ascii();
    let start = frame.iter().position(is_shown).unwrap_or(0);
    let end = frame
        .iter()
        .rposition(is_shown)
        .map_or(start, |last| last + 1);
    frame.get(start..end).unwrap_or_default()
}

fn printable(text: &[u8]) -> Result<&str, Reason> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Reason::TextTooLong);
    }
    if !text.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return Err(Reason::NotText);
    }
    core::str::from_utf8(text).map_err(|_| Reason::NotText)
}

fn wrong_pattern(wrong: Wrong) -> Reason {
    match wrong {
        Wrong::Values => Reason::OneValue,
        Wrong::BlankAtAnEnd => Reason::BlankAtAnEnd,
        Wrong::NothingEscaped => Reason::NothingEscaped,
    }
}

fn wrong_number(wrong: number::Wrong) -> Reason {
    match wrong {
        number::Wrong::NotWhole => Reason::NotWhole,
        number::Wrong::TooLong | number::Wrong::NoNumber => Reason::NumberTooLong,
    }
}

retrotap_sdk::export!(LineFields);
