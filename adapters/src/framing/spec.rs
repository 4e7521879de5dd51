//! How a machine's frames are told apart, as values.

use super::{BytePredicate, ChecksumSpec};
use alloc::vec::Vec;

/// A machine's framing.
#[derive(Debug, Clone, PartialEq)]
pub struct FramingSpec {
    /// How frames are told apart.
    pub kind: FramingKind,
    /// What they are checked with.
    pub checksum: Option<ChecksumSpec>,
    /// The longest silence inside a frame, in nanoseconds from byte to byte; after it what has come
    /// of the frame is dropped. Not for `idle_gap`, where silence is the end.
    pub timeout_ns: Option<u64>,
    /// What becomes of a frame with a damaged byte.
    pub on_line_error: OnLineError,
}

/// The ways to tell frames apart.
#[derive(Debug, Clone, PartialEq)]
pub enum FramingKind {
    /// By length and by what each byte may be.
    Fixed(Fixed),
    /// By marks at the end and at the start.
    Delimited(Delimited),
    /// By a length field.
    LengthPrefixed(LengthPrefixed),
    /// By silence.
    IdleGap(IdleGap),
}

/// Frames of one length.
#[derive(Debug, Clone, PartialEq)]
pub struct Fixed {
    /// What the byte at each position may be; as many as a frame has bytes.
    pub positions: Vec<BytePredicate>,
}

/// Frames between marks.
#[derive(Debug, Clone, PartialEq)]
pub struct Delimited {
    /// The start mark; empty where frames only have an end.
    pub start: Vec<u8>,
    /// The end mark.
    pub end: Vec<u8>,
    /// The byte that makes the next one plain content.
    pub escape: Option<u8>,
    /// Longest frame on the wire: marks, escapes and checksum included.
    pub frame_bytes_max: usize,
}

/// Frames that say their own length.
#[derive(Debug, Clone, PartialEq)]
pub struct LengthPrefixed {
    /// What the first bytes of a frame may be; may be empty.
    pub header: Vec<BytePredicate>,
    /// Where the length field begins, counted from the start of the frame.
    pub offset: usize,
    /// How many bytes the length field has: 1, 2 or 4.
    pub width: usize,
    /// Which of them comes first.
    pub endianness: Endianness,
    /// What is added to the field's value to get the length of the whole frame.
    pub correction: i64,
    /// Longest frame.
    pub frame_bytes_max: usize,
}

/// Order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endianness {
    /// Highest first.
    Big,
    /// Lowest first.
    Little,
}

/// Frames that end where the line falls silent.
#[derive(Debug, Clone, PartialEq)]
pub struct IdleGap {
    /// From the time of a byte to that of the next one in nanoseconds, from which on the first ended
    /// a frame: the silence and one character, since a byte's time is that of its end.
    pub gap_ns: u64,
    /// Longest frame.
    pub frame_bytes_max: usize,
}

impl IdleGap {
    /// Ends frames at a silence of so many nanoseconds on a line with these settings.
    #[must_use]
    pub fn silence(silence_ns: u64, serial: SerialSettings, frame_bytes_max: usize) -> Self {
        Self {
            gap_ns: silence_ns.saturating_add(serial.character_ns()),
            frame_bytes_max,
        }
    }

    /// Ends frames at a silence of so many tenths of a character (Modbus RTU: 35) on a line with
    /// these settings.
    #[must_use]
    pub fn character_tenths(tenths: u32, serial: SerialSettings, frame_bytes_max: usize) -> Self {
        Self::silence(
            serial.character_ns().saturating_mul(u64::from(tenths)) / 10,
            serial,
            frame_bytes_max,
        )
    }
}

/// Settings of a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialSettings {
    /// Bits per second on the wire.
    pub baud: u32,
    /// Data bits in a character: 5 to 8.
    pub data_bits: u8,
    /// The parity bit.
    pub parity: Parity,
    /// Stop bits: 1 or 2.
    pub stop_bits: u8,
}

/// The parity bit of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// There is none.
    None,
    /// It makes the number of ones even.
    Even,
    /// It makes the number of ones odd.
    Odd,
}

impl SerialSettings {
    /// How long one character takes in nanoseconds: start bit, data, parity and stop bits.
    #[must_use]
    pub fn character_ns(&self) -> u64 {
        let parity_bits = u64::from(self.parity != Parity::None);
        let bits = 1 + u64::from(self.data_bits) + parity_bits + u64::from(self.stop_bits);
        bits * 1_000_000_000 / u64::from(self.baud.max(1))
    }
}

/// What becomes of a frame with a byte that the line reported as damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnLineError {
    /// It is skipped with the cause `line_error`: a known-bad byte never becomes a record.
    #[default]
    Reject,
    /// It comes out with its errors marked, for whoever keeps raw frames.
    Mark,
}

impl FramingSpec {
    /// A framing with no checksum and no timeout, which rejects frames with line errors.
    #[must_use]
    pub const fn new(kind: FramingKind) -> Self {
        Self {
            kind,
            checksum: None,
            timeout_ns: None,
            on_line_error: OnLineError::Reject,
        }
    }
}
