//! Every maximum of ABI 1, with its reason.

/// Fields in one record: the presence mask has 32 bits.
pub const FIELDS_MAX: usize = 32;

/// Kinds of record that one stage may emit. More than a handful is two stages.
pub const RECORDS_MAX: usize = 16;

/// Parameters of one stage.
pub const PARAMETERS_MAX: usize = 64;

/// Tables of one stage.
pub const TABLES_MAX: usize = 8;

/// Columns of one table.
pub const COLUMNS_MAX: usize = 32;

/// Rows of one table: a configuration block stays within a few hundred kilobytes.
pub const ROWS_MAX: usize = 1024;

/// Reasons of rejection of one stage: each is a label of a counter.
pub const REASONS_MAX: usize = 64;

/// Named values of one choice.
pub const CHOICES_MAX: usize = 64;

/// Bytes of a text that a stage is told of a field, such as the pattern of a line.
pub const FIELD_TEXT_BYTES_MAX: usize = 128;

/// Bytes of a name. Names become JSON keys, metric labels and InfluxDB fields.
pub const NAME_BYTES_MAX: usize = 48;

/// Bytes of a unit.
pub const UNIT_BYTES_MAX: usize = 16;

/// Bytes of one input frame: the longest telegram of the protocols that adapters know is 4 KiB, and
/// sixteen times that leaves room for files sent to a machine tool.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the output area.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one text value, so that a record stays small enough for one MQTT message.
pub const TEXT_BYTES_MAX: usize = 1024;

/// Bytes of a stage's memory on the gateway. A tap has 16 KiB for one.
pub const MEMORY_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of the block that a hot swap carries over.
pub const STATE_BYTES_MAX: usize = 64 * 1024;

/// Microseconds that one call may take: beyond 10 ms a stop would come too late.
pub const TIME_BUDGET_US_MAX: u32 = 10_000;

/// Bytes of the manifest as JSON.
pub const MANIFEST_BYTES_MAX: usize = 64 * 1024;

/// Bytes of the test cases that a module carries, as JSON: a few dozen calls.
pub const CASES_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a whole module: an update must fit into a tap's flash twice, and on a gateway it must be
/// compiled while lines run.
pub const MODULE_BYTES_MAX: usize = 1024 * 1024;

const _: () = {
    assert!(FIELDS_MAX == u32::BITS as usize);
    assert!(crate::layout::record_bytes(FIELDS_MAX) <= OUTPUT_BYTES_MAX);
    assert!(FRAME_BYTES_MAX + OUTPUT_BYTES_MAX + STATE_BYTES_MAX < MEMORY_BYTES_MAX);
    assert!(crate::layout::table_bytes(ROWS_MAX, COLUMNS_MAX) < MEMORY_BYTES_MAX);
    assert!(MANIFEST_BYTES_MAX + CASES_BYTES_MAX < MODULE_BYTES_MAX);
};
