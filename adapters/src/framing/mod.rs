//! Bytes into frames.
//!
//! A [`Framer`] takes one [`Received`] byte at a time and tells its sink what came of it: a
//! [`Frame`], or bytes that were skipped and why.
//!
//! What it keeps true:
//! - Every byte that goes in is in exactly one frame, or in exactly one [`Event::Skipped`], or still
//!   held; and never more than [`Framer::held_bytes_max`] are held.
//! - The same bytes with the same times give the same frames, however they were split into reads and
//!   however often [`Framer::idle`] was called in between.
//! - In step, a frame comes out with its own last byte.
//! - A frame with a byte that the line reported as damaged does not come out, unless
//!   [`OnLineError::Mark`] was asked for.
//! - Memory is taken once, by [`Framer::new`].
//!
//! It deliberately does not know what the bytes mean, whether frames come in the right order, or
//! what time it is: times come with the bytes. Two ports of one machine take two framers, and
//! merging their frames by time is the line's job.

mod check;
mod checksum;
mod delimited;
mod fixed;
mod framer;
mod held;
mod idle_gap;
mod length_prefixed;
pub mod limits;
mod predicate;
mod spec;

pub use check::FramingError;
pub use checksum::{ChecksumForm, ChecksumKind, ChecksumSpec};
pub use framer::Framer;
pub use predicate::{BytePredicate, PredicateError};
pub use spec::{
    Delimited, Endianness, Fixed, FramingKind, FramingSpec, IdleGap, LengthPrefixed, OnLineError,
    Parity, SerialSettings,
};

use core::ops::{BitOr, BitOrAssign};

/// One byte as it came from the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its value.
    pub byte: u8,
    /// What the line reported about it.
    pub errors: ByteErrors,
    /// When it was complete, in monotonic nanoseconds since the line began. Never decreasing.
    pub t_ns: u64,
}

/// What the line reported about the bytes of a frame: a set of flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct LineErrors(u8);

/// What the line reported about one byte.
pub type ByteErrors = LineErrors;

impl LineErrors {
    /// Nothing wrong.
    pub const NONE: Self = Self(0);
    /// The parity bit did not fit.
    pub const PARITY: Self = Self(1);
    /// The stop bit was missing.
    pub const FRAMING: Self = Self(2);
    /// The line was held at break.
    pub const BREAK: Self = Self(4);
    /// The receiver lost bytes before this one.
    pub const OVERRUN: Self = Self(8);

    /// Each flag with the name under which it is counted and shown.
    pub const NAMED: [(Self, &'static str); 4] = [
        (Self::PARITY, "parity"),
        (Self::FRAMING, "framing"),
        (Self::BREAK, "break"),
        (Self::OVERRUN, "overrun"),
    ];

    /// The flags as bits: 1 parity, 2 framing, 4 break, 8 overrun.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these flags; bits without a meaning are left out.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x0F)
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl BitOr for LineErrors {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for LineErrors {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// What came of the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Bytes that are in no frame.
    Skipped {
        /// How many, as counted on the wire.
        bytes: usize,
        /// Why.
        cause: SkipCause,
    },
}

/// One message of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Its bytes: all of them, checksum included; for `delimited`, what stands between the marks,
    /// with escapes undone.
    pub bytes: &'a [u8],
    /// When its last byte was complete.
    pub t_ns: u64,
    /// What the line reported about its bytes. Always none under [`OnLineError::Reject`].
    pub line_errors: LineErrors,
    /// Its number since the framer was made, beginning with 0.
    pub number: u64,
    /// How many bytes it took on the wire, marks and escapes included.
    pub wire_bytes: usize,
}

/// Why bytes are in no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SkipCause {
    /// They fit no frame: the reader was out of step, or noise came.
    NoMatch,
    /// The frame had no end within `frame_bytes_max`.
    TooLong,
    /// The frame was empty, or too short for its own header and checksum.
    TooShort,
    /// A new frame began before this one ended.
    NoEnd,
    /// An escape was followed by what must not follow one.
    BadEscape,
    /// The checksum did not fit.
    Checksum,
    /// The line reported a damaged or lost byte.
    LineError,
    /// The line fell silent in the middle of the frame.
    Timeout,
    /// The port went away in the middle of the frame.
    Disconnected,
}

impl SkipCause {
    /// All causes, for tables and counters.
    pub const ALL: [Self; 9] = [
        Self::NoMatch,
        Self::TooLong,
        Self::TooShort,
        Self::NoEnd,
        Self::BadEscape,
        Self::Checksum,
        Self::LineError,
        Self::Timeout,
        Self::Disconnected,
    ];

    /// The name under which it is counted and shown.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoMatch => "no_match",
            Self::TooLong => "too_long",
            Self::TooShort => "too_short",
            Self::NoEnd => "no_end",
            Self::BadEscape => "bad_escape",
            Self::Checksum => "checksum",
            Self::LineError => "line_error",
            Self::Timeout => "timeout",
            Self::Disconnected => "disconnected",
        }
    }
}

/// What a framing says about the bytes that are held, which begin where its candidate for a frame
/// begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Nothing yet: more bytes are needed.
    More,
    /// The first `wire` bytes are a frame.
    Frame { wire: usize },
    /// The candidate is dead. Its first `drop` bytes can't begin a frame; the rest is looked at
    /// again. As far as the first `span` bytes end up in no frame, `cause` is why.
    Dead {
        drop: usize,
        span: usize,
        cause: SkipCause,
    },
}
