//! Writing records into the output area.

use retrotap_abi::layout;

/// A record of a stage. Its implementations are made from the manifest.
pub trait Record {
    /// Its place in the manifest.
    const NUMBER: u32;
    /// How many fields it has.
    const FIELDS: usize;

    /// Writes the fields that are there.
    fn write(&self, slots: &mut SlotWriter<'_, '_>);
}

/// The output area of one call: records from its front, their texts from its back.
#[derive(Debug)]
pub struct Output<'a> {
    area: &'a mut [u8],
    /// The area's address, as the host counts.
    address: u32,
    used: usize,
    texts: usize,
    records: i32,
}

/// The slots of the record that is being written.
#[derive(Debug)]
pub struct SlotWriter<'s, 'a> {
    output: &'s mut Output<'a>,
    start: usize,
    present: u32,
}

impl<'a> Output<'a> {
    /// An empty output over an area at that address.
    #[inline]
    pub(crate) fn new(area: &'a mut [u8], address: u32) -> Self {
        let texts = area.len();
        Self {
            area,
            address,
            used: 0,
            texts,
            records: 0,
        }
    }

    /// How many records there are.
    #[inline]
    pub(crate) fn records(&self) -> i32 {
        self.records
    }

    /// Emits a record.
    ///
    /// # Panics
    /// Where the area has no room for it: `output_bytes_max` in the manifest is then too small. In a
    /// module that is a trap, and a strike.
    #[inline]
    pub fn push<R: Record>(&mut self, record: &R) {
        self.write(R::NUMBER, R::FIELDS, |slots| record.write(slots));
    }

    /// Emits a record of a generic stage: its number, the number of its fields, and what fills them.
    ///
    /// # Panics
    /// As [`Output::push`].
    #[inline]
    pub fn write(
        &mut self,
        number: u32,
        fields: usize,
        fill: impl FnOnce(&mut SlotWriter<'_, 'a>),
    ) {
        let start = self.used;
        let end = start + layout::record_bytes(fields);
        assert!(end <= self.texts);
        self.area[start..end].fill(0);
        self.used = end;
        let mut slots = SlotWriter {
            output: self,
            start,
            present: 0,
        };
        fill(&mut slots);
        let present = slots.present;
        self.area[start..start + 4].copy_from_slice(&number.to_le_bytes());
        self.area[start + 4..start + 8].copy_from_slice(&present.to_le_bytes());
        self.records += 1;
    }
}

impl SlotWriter<'_, '_> {
    /// Writes a number; one that isn't finite stays absent.
    #[inline]
    pub fn f64(&mut self, field: usize, value: f64) {
        if value.is_finite() {
            self.word(field, value.to_bits());
        }
    }

    /// Writes a whole number.
    #[inline]
    pub fn i64(&mut self, field: usize, value: i64) {
        self.word(field, value as u64);
    }

    /// Writes yes or no.
    #[inline]
    pub fn bool(&mut self, field: usize, value: bool) {
        self.word(field, u64::from(value));
    }

    /// Writes the place of a choice or of a row.
    #[inline]
    pub fn index(&mut self, field: usize, value: u32) {
        self.word(field, u64::from(value));
    }

    /// Writes a text, which is copied to the end of the output area.
    ///
    /// # Panics
    /// Where the area has no room for it, as [`Output::push`].
    #[inline]
    pub fn text(&mut self, field: usize, value: &str) {
        let start = self.output.texts.saturating_sub(value.len());
        assert!(start >= self.output.used);
        self.output.area[start..start + value.len()].copy_from_slice(value.as_bytes());
        self.output.texts = start;
        let address = u64::from(self.output.address) + start as u64;
        self.word(field, address | (value.len() as u64) << 32);
    }

    #[inline]
    fn word(&mut self, field: usize, word: u64) {
        let at = self.start + layout::slot_offset(field);
        self.output.area[at..at + layout::SLOT_BYTES].copy_from_slice(&word.to_le_bytes());
        self.present |= 1 << field;
    }
}
