//! Reading what a guest has put out: a pure function over bytes that believes nothing.

use core::str;

use crate::layout::{self, Kind};
use crate::limits;
use crate::manifest::{Manifest, Record};

/// How a guest's output can be wrong. Each is a strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// More records than `records_max`.
    #[error("{count} records, more than the manifest's records_max")]
    TooManyRecords {
        /// How many it says there are.
        count: u32,
    },
    /// The output area is not within the memory.
    #[error("the output area is outside of the memory")]
    AreaOutside,
    /// A record that the manifest doesn't have.
    #[error("record number {number}, which the manifest does not have")]
    UnknownRecord {
        /// Its number.
        number: u32,
    },
    /// The records don't fit into the output area.
    #[error("the records run over the end of the output area")]
    Overrun,
    /// A presence bit for a field that the record doesn't have.
    #[error("a presence bit for a field that the record does not have")]
    UnknownField,
    /// A slot that its kind doesn't allow.
    #[error("field {field} of record {number} holds no value of its kind")]
    BadValue {
        /// The record's number.
        number: u32,
        /// The field's place.
        field: u32,
    },
    /// A text that isn't UTF-8.
    #[error("a text is not UTF-8")]
    BadText,
    /// A text outside of the memory.
    #[error("a text is outside of the memory")]
    TextOutside,
    /// A text longer than [`limits::TEXT_BYTES_MAX`].
    #[error("a text is longer than {} bytes", limits::TEXT_BYTES_MAX)]
    TextTooLong,
}

/// A value as a guest gives it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RawValue<'a> {
    /// A finite number.
    F64(f64),
    /// A whole number.
    I64(i64),
    /// Yes or no.
    Bool(bool),
    /// The place of a choice's name, within the field's choices.
    Choice(u32),
    /// A row's place. Only the host knows how many rows there are.
    Row(u32),
    /// Text.
    Text(&'a str),
}

/// One record in a guest's memory, checked as far as the manifest goes.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    /// Its number.
    pub number: u32,
    /// Its description.
    pub record: &'a Record,
    /// Which fields are there. Numbers that aren't finite are not.
    pub present: u32,
    /// Its slots, 8 bytes each.
    pub slots: &'a [u8],
    memory: &'a [u8],
}

impl<'a> RawRecord<'a> {
    /// A field's value, if it is there.
    pub fn value(&self, field: usize) -> Option<RawValue<'a>> {
        if field >= self.record.fields.len() || self.present & (1 << field) == 0 {
            return None;
        }
        // The record was checked when it was read.
        self.read(field).ok().flatten()
    }

    /// Reads a slot: absent where a number isn't finite.
    fn read(&self, field: usize) -> Result<Option<RawValue<'a>>, OutputError> {
        let bad = OutputError::BadValue {
            number: self.number,
            field: field as u32,
        };
        let bytes = slot(self.slots, field).ok_or(OutputError::Overrun)?;
        let word = u64::from_le_bytes(bytes);
        let described = &self.record.fields[field];
        Ok(Some(match described.kind {
            Kind::F64 => {
                let number = f64::from_bits(word);
                return Ok(number.is_finite().then_some(RawValue::F64(number)));
            }
            Kind::I64 => RawValue::I64(word as i64),
            Kind::Bool if word <= 1 => RawValue::Bool(word == 1),
            Kind::Choice if word < described.choices.len() as u64 => RawValue::Choice(word as u32),
            Kind::Row => RawValue::Row(u32::try_from(word).map_err(|_| bad)?),
            Kind::Text => {
                let length = (word >> 32) as usize;
                if length > limits::TEXT_BYTES_MAX {
                    return Err(OutputError::TextTooLong);
                }
                let start = word as u32 as usize;
                let text = self
                    .memory
                    .get(start..start.saturating_add(length))
                    .ok_or(OutputError::TextOutside)?;
                RawValue::Text(str::from_utf8(text).map_err(|_| OutputError::BadText)?)
            }
            Kind::Bool | Kind::Choice => return Err(bad),
        }))
    }
}

/// The records of one call, in the order in which they stand there. The first error ends it.
#[derive(Clone, Debug)]
pub struct RawRecords<'a> {
    records: &'a [Record],
    memory: &'a [u8],
    /// What of the output area has not been read yet.
    rest: &'a [u8],
    left: u32,
}

/// Reads `count` records from the output area at `address` of a guest's memory.
///
/// No bytes make it panic or read outside of `memory`; what the manifest doesn't allow is an
/// [`OutputError`].
pub fn decode_output<'a>(
    manifest: &'a Manifest,
    memory: &'a [u8],
    address: usize,
    count: u32,
) -> Result<RawRecords<'a>, OutputError> {
    if count as usize > manifest.sizes.records_max {
        return Err(OutputError::TooManyRecords { count });
    }
    let end = address.saturating_add(manifest.sizes.output_bytes_max);
    let rest = memory.get(address..end).ok_or(OutputError::AreaOutside)?;
    Ok(RawRecords {
        records: &manifest.records,
        memory,
        rest,
        left: count,
    })
}

impl<'a> RawRecords<'a> {
    fn read(&mut self) -> Result<RawRecord<'a>, OutputError> {
        let (head, rest) = self
            .rest
            .split_at_checked(layout::RECORD_HEAD_BYTES)
            .ok_or(OutputError::Overrun)?;
        let head = u64::from_le_bytes(slot(head, 0).ok_or(OutputError::Overrun)?);
        let (number, present) = (head as u32, (head >> 32) as u32);
        let record = self
            .records
            .get(number as usize)
            .ok_or(OutputError::UnknownRecord { number })?;
        let fields = record.fields.len();
        let (slots, rest) = rest
            .split_at_checked(fields * layout::SLOT_BYTES)
            .ok_or(OutputError::Overrun)?;
        self.rest = rest;
        if u64::from(present) >> fields != 0 {
            return Err(OutputError::UnknownField);
        }
        let mut raw = RawRecord {
            number,
            record,
            present,
            slots,
            memory: self.memory,
        };
        for field in 0..fields {
            if present & (1 << field) != 0 && raw.read(field)?.is_none() {
                raw.present &= !(1 << field);
            }
        }
        Ok(raw)
    }
}

impl<'a> Iterator for RawRecords<'a> {
    type Item = Result<RawRecord<'a>, OutputError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let read = self.read();
        if read.is_err() {
            self.left = 0;
        }
        Some(read)
    }
}

fn slot(slots: &[u8], field: usize) -> Option<[u8; layout::SLOT_BYTES]> {
    slots
        .get(field * layout::SLOT_BYTES..)?
        .first_chunk()
        .copied()
}
