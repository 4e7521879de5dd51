//! The records of one frame, in buffers that are used again for the next.

use retrotap_abi::layout::{self, Kind, SLOT_BYTES};
use retrotap_abi::manifest::{Field, Manifest, Record};
use retrotap_abi::output::{RawRecord, RawValue};

use crate::bind::FieldSource;
use crate::guest::Guest;

/// A value as it leaves: choices and rows have become their names.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A finite number.
    F64(f64),
    /// A whole number.
    I64(i64),
    /// Yes or no.
    Bool(bool),
    /// Text, or the name of a choice or of a row.
    Text(&'a str),
}

/// One record of a frame.
#[derive(Clone, Copy)]
pub struct RecordRef<'a> {
    entry: &'a Entry,
    records: &'a Records,
    guest: &'a Guest,
}

impl<'a> RecordRef<'a> {
    /// Its name.
    pub fn name(&self) -> &'a str {
        &self.described().record
    }

    /// The module that emitted it, as `name@1.0.0`.
    pub fn module(&self) -> &'a str {
        self.guest.module.id()
    }

    /// The fields that are there, in the manifest's order.
    pub fn fields(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let this = *self;
        let fields = this.described().fields.iter().enumerate();
        fields.filter_map(move |(place, field)| {
            Some((field.name.as_str(), this.value(place, field)?))
        })
    }

    fn described(&self) -> &'a Record {
        &self.guest.manifest.records[self.entry.number as usize]
    }

    fn value(&self, place: usize, field: &'a Field) -> Option<Value<'a>> {
        if self.entry.present & (1 << place) == 0 {
            return None;
        }
        let word = u64::from_le_bytes(self.records.slot(self.entry, place));
        Some(match field.kind {
            Kind::F64 => Value::F64(f64::from_bits(word)),
            Kind::I64 => Value::I64(word.cast_signed()),
            Kind::Bool => Value::Bool(word != 0),
            Kind::Choice => Value::Text(field.choices.get(word as usize)?),
            Kind::Row => Value::Text(self.guest.row_name(field, word as u32)?),
            Kind::Text => {
                let (start, bytes) = (word as u32 as usize, (word >> 32) as usize);
                Value::Text(str::from_utf8(self.records.texts.get(start..start + bytes)?).ok()?)
            }
        })
    }
}

impl std::fmt::Debug for RecordRef<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} ", self.name())?;
        formatter.debug_map().entries(self.fields()).finish()
    }
}

/// One record: whose, which, and where its slots begin.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) stage: usize,
    pub(crate) number: u32,
    present: u32,
    slots_start: usize,
}

/// All records of one frame.
#[derive(Debug, Default)]
pub(crate) struct Records {
    entries: Vec<Entry>,
    slots: Vec<u8>,
    /// The texts that text slots point to, by start and length.
    texts: Vec<u8>,
}

impl Records {
    /// Room for what the stages may emit for one input each.
    pub(crate) fn with_room_for<'a>(manifests: impl Iterator<Item = &'a Manifest>) -> Self {
        let mut records = Self::default();
        for manifest in manifests {
            records.entries.reserve(manifest.sizes.records_max);
            records.slots.reserve(manifest.sizes.output_bytes_max);
            let texts = manifest
                .records
                .iter()
                .flat_map(|record| &record.fields)
                .any(|field| field.kind == Kind::Text);
            if texts {
                records.texts.reserve(manifest.sizes.output_bytes_max);
            }
        }
        records
    }

    pub(crate) fn clear(&mut self) {
        self.entries.clear();
        self.slots.clear();
        self.texts.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entry(&self, index: usize) -> Entry {
        self.entries[index]
    }

    pub(crate) fn iter<'a>(
        &'a self,
        guests: &'a [Guest],
    ) -> impl Iterator<Item = RecordRef<'a>> + use<'a> {
        self.entries.iter().map(|entry| RecordRef {
            entry,
            records: self,
            guest: &guests[entry.stage],
        })
    }

    /// Takes over a record from a guest's memory.
    pub(crate) fn push(&mut self, stage: usize, raw: &RawRecord<'_>) {
        let slots_start = self.slots.len();
        self.slots.extend_from_slice(raw.slots);
        for (place, field) in raw.record.fields.iter().enumerate() {
            if field.kind == Kind::Text
                && let Some(RawValue::Text(text)) = raw.value(place)
            {
                let word = self.texts.len() as u64 | (text.len() as u64) << 32;
                self.texts.extend_from_slice(text.as_bytes());
                let at = slots_start + place * SLOT_BYTES;
                self.slots[at..at + SLOT_BYTES].copy_from_slice(&word.to_le_bytes());
            }
        }
        self.entries.push(Entry {
            stage,
            number: raw.number,
            present: raw.present,
            slots_start,
        });
    }

    /// Writes a record as another stage's input. False where a required field is absent.
    pub(crate) fn write_input(
        &self,
        entry: &Entry,
        fields: &[FieldSource],
        input: &mut Vec<u8>,
    ) -> bool {
        input.clear();
        input.resize(layout::record_bytes(fields.len()), 0);
        let mut present = 0_u32;
        for (to, field) in fields.iter().enumerate() {
            match field.place.filter(|from| entry.present & (1 << from) != 0) {
                Some(from) => {
                    let at = layout::slot_offset(to);
                    input[at..at + SLOT_BYTES].copy_from_slice(&self.slot(entry, from));
                    present |= 1 << to;
                }
                None if field.required => return false,
                None => {}
            }
        }
        input[..4].copy_from_slice(&present.to_le_bytes());
        true
    }

    fn slot(&self, entry: &Entry, place: usize) -> [u8; SLOT_BYTES] {
        let start = entry.slots_start + place * SLOT_BYTES;
        let slot = self.slots.get(start..).and_then(<[u8]>::first_chunk);
        slot.copied().unwrap_or_default()
    }
}
