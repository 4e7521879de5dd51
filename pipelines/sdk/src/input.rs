//! Reading what the host has written: slots of a record, parameters, rows of a table.

use retrotap_abi::layout;

/// A record of an earlier stage: which fields are there, and their slots.
#[derive(Clone, Copy, Debug)]
pub struct Slots<'a> {
    present: u32,
    slots: &'a [[u8; layout::SLOT_BYTES]],
}

impl<'a> Slots<'a> {
    /// Looks at an input area; nothing where it is too short to be a record.
    #[inline]
    pub fn new(area: &'a [u8]) -> Option<Self> {
        let (head, slots) = area.as_chunks().0.split_first()?;
        Some(Self {
            present: u64::from_le_bytes(*head) as u32,
            slots,
        })
    }

    /// How many fields the record has.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether it has none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// A number, if it is there.
    #[inline]
    pub fn f64(&self, field: usize) -> Option<f64> {
        self.word(field).map(f64::from_bits)
    }

    /// A whole number, if it is there.
    #[inline]
    pub fn i64(&self, field: usize) -> Option<i64> {
        self.word(field).map(|word| word as i64)
    }

    /// Yes or no, if it is there.
    #[inline]
    pub fn bool(&self, field: usize) -> Option<bool> {
        self.word(field).map(|word| word != 0)
    }

    /// The place of a choice, if it is there.
    #[inline]
    pub fn index(&self, field: usize) -> Option<u32> {
        self.word(field).map(|word| word as u32)
    }

    #[inline]
    fn word(&self, field: usize) -> Option<u64> {
        let slot = self.slots.get(field)?;
        (self.present >> field & 1 == 1).then(|| u64::from_le_bytes(*slot))
    }
}

/// A parameter of a configuration. Zero for one that isn't there, which generated code rules out.
#[inline]
pub fn parameter(area: &[u8], place: usize) -> f64 {
    number(area, layout::parameter_offset(place))
}

/// A table of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    rows: usize,
    columns: usize,
    area: &'a [u8],
}

/// One row of a table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a>(&'a [u8]);

impl<'a> Cells<'a> {
    /// Looks at a table with that many columns, at least one. What the area has no room for is not a
    /// row.
    #[inline]
    pub fn new(area: &'a [u8], columns: usize) -> Self {
        let room = area.len().saturating_sub(layout::TABLE_HEAD_BYTES)
            / (columns.max(1) * layout::SLOT_BYTES);
        let rows = area
            .first_chunk()
            .map_or(0, |head| u32::from_le_bytes(*head) as usize);
        Self {
            rows: rows.min(room),
            columns,
            area,
        }
    }

    /// How many rows there are.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// One row.
    #[inline]
    pub fn row(&self, row: usize) -> Option<Row<'a>> {
        if row >= self.rows {
            return None;
        }
        let start = layout::cell_offset(row, 0, self.columns);
        self.area
            .get(start..start + self.columns * layout::SLOT_BYTES)
            .map(Row)
    }
}

impl<'a> Row<'a> {
    /// A cell. Zero for a column that isn't there, which generated code rules out.
    #[inline]
    pub fn f64(&self, column: usize) -> f64 {
        number(self.0, column * layout::SLOT_BYTES)
    }

    /// A text in that many slots, which ends where they do or with a zero. Empty for one that isn't
    /// there.
    #[inline]
    pub fn text(&self, column: usize, slots: usize) -> &'a [u8] {
        let start = column * layout::SLOT_BYTES;
        let room = self.0.get(start..start + slots * layout::SLOT_BYTES);
        let room = room.unwrap_or_default();
        let end = room.iter().position(|byte| *byte == 0);
        &room[..end.unwrap_or(room.len())]
    }
}

#[inline]
fn number(area: &[u8], offset: usize) -> f64 {
    area.get(offset..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0.0, |bytes| f64::from_le_bytes(*bytes))
}
