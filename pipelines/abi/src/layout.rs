//! Where each value stands: plain arithmetic on offsets, the same for guest and host.
//!
//! Everything is little-endian, every area begins at a multiple of 8, and every value has a slot of
//! 8 bytes. A record in the output is its number (u32), its presence mask (u32) and its slots; a
//! record as input is the same with the mask first and a zero in the number's place. The
//! configuration is the parameters as f64, then per table the number of rows (u32), a zero (u32) and
//! room for `rows_max` rows. Where a stage is generic and has anything to know of its fields, the first
//! table is theirs, with room for 32 rows: a field's kind, then its parameters. A text there takes as
//! many slots as it has room for, and ends with zeros.
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

impl Kind {
    /// Its name in a manifest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F64 => "f64",
            Self::I64 => "i64",
            Self::Bool => "bool",
            Self::Choice => "choice",
            Self::Row => "row",
            Self::Text => "text",
        }
    }

    /// The number that stands for it in the field table.
    pub const fn number(self) -> u32 {
        match self {
            Self::F64 => 0,
            Self::I64 => 1,
            Self::Bool => 2,
            Self::Choice => 3,
            Self::Row => 4,
            Self::Text => 5,
        }
    }

    /// The kind that a number stands for.
    pub const fn of_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::F64,
            1 => Self::I64,
            2 => Self::Bool,
            3 => Self::Choice,
            4 => Self::Row,
            5 => Self::Text,
            _ => return None,
        })
    }
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
