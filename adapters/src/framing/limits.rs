//! Every maximum of the framings, with its reason.

/// Longest frame in bytes, marks and checksum included. The longest of the serial protocols that
/// we know is Modbus RTU with 256 (MODBUS over Serial Line V1.02, 2.5.1.1); the rest is room for
/// machines with frames of their own, and small enough for the tap to hold one.
pub const FRAME_BYTES_MAX: usize = 4096;

/// Longest frame of the framing `fixed`, which looks for two in a row at every offset at once: its
/// tables take 64 bytes for each byte of the frame, 32 KiB at this length.
pub const FIXED_BYTES_MAX: usize = 512;

/// Longest start or end mark in bytes. Protocols use one or two (`CR LF`, `DLE STX`).
pub const MARK_BYTES_MAX: usize = 8;

/// Longest silence that can be asked for, as gap or as timeout: one minute. RS-232 protocols count
/// in milliseconds (Modbus 1.75 ms, 3964R 220 ms); whoever writes more has mistaken the unit.
pub const SILENCE_NS_MAX: u64 = 60_000_000_000;

/// Largest distance of a length field from the start of its frame, in bytes.
pub const LENGTH_OFFSET_MAX: usize = 64;

/// Slowest and fastest line in baud: from teleprinter current loops to the fastest that common
/// USB adapters do (FTDI FT232R: 3 Mbaud, FT232H: 12 Mbaud).
pub const BAUD_MIN: u32 = 50;
/// See [`BAUD_MIN`].
pub const BAUD_MAX: u32 = 12_000_000;

const _: () = assert!(FIXED_BYTES_MAX <= FRAME_BYTES_MAX);
const _: () = assert!(2 * MARK_BYTES_MAX < FRAME_BYTES_MAX);
const _: () = assert!(LENGTH_OFFSET_MAX + 4 < FRAME_BYTES_MAX);
