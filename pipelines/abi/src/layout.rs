//! Where each value stands: plain arithmetic on offsets, the same for guest and host.
//!
//! Everything is little-endian, every area begins at a multiple of 8, and every value has a slot of
//! 8 bytes. A record in the output is its number (u32), its presence mask (u32) and its slots; a
//! record as input is the same with the mask first and a zero in the number's place. The
//! configuration is the parameters as f64, then per table the number of rows (u32), a zero (u32) and
//! room for `rows_max` rows.
//!
//! | kind | slot |
//! |---|---|
//! | `f64` | the number |
//! | `i64` | the number |
//! | `bool` | u64: 0 or 1 |
//! | `choice` | u64: index into the names |
//! | `row` | u64: index into the table |
//! | `text` | u32 address in the guest's memory, u32 length in bytes |

/// What a slot holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "manifest", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "manifest", serde(rename_all = "lowercase"))]
pub enum Kind {
    /// A finite number. Not a number and infinity count as absent.
    #[default]
    F64,
    /// A whole number.
    I64,
    /// Yes or no.
    Bool,
    /// One of a few named values.
    Choice,
    /// A row of one of the stage's tables; leaves the host as that row's name.
    Row,
    /// Text in UTF-8; only in the output.
    Text,
}

/// Bytes of one slot.
pub const SLOT_BYTES: usize = 8;

/// Bytes before the first slot of a record, in the input as in the output.
pub const RECORD_HEAD_BYTES: usize = 8;

/// Bytes before the first row of a table.
pub const TABLE_HEAD_BYTES: usize = 8;

/// The next multiple of 8.
pub const fn aligned(bytes: usize) -> usize {
    bytes.div_ceil(8) * 8
}

/// Bytes of a record of that many fields.
pub const fn record_bytes(fields: usize) -> usize {
    RECORD_HEAD_BYTES + fields * SLOT_BYTES
}

/// Where the slot of a field begins within its record.
pub const fn slot_offset(field: usize) -> usize {
    RECORD_HEAD_BYTES + field * SLOT_BYTES
}

/// Bytes of a table with room for that many rows.
pub const fn table_bytes(rows_max: usize, columns: usize) -> usize {
    TABLE_HEAD_BYTES + rows_max * columns * SLOT_BYTES
}

/// Where a cell stands within its table.
pub const fn cell_offset(row: usize, column: usize, columns: usize) -> usize {
    TABLE_HEAD_BYTES + (row * columns + column) * SLOT_BYTES
}

/// Where a parameter stands within the configuration.
pub const fn parameter_offset(parameter: usize) -> usize {
    parameter * SLOT_BYTES
}
