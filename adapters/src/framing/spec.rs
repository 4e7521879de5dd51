//! How a machine's frames are told apart, as values, and what makes such a description impossible.

use super::limits::{
    FIXED_BYTES_MAX, FRAME_BYTES_MAX, LENGTH_OFFSET_MAX, MARK_BYTES_MAX, SILENCE_NS_MAX,
};
use super::{BytePredicate, ChecksumForm, ChecksumSpec};
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

/// Why a framing can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A frame of no bytes, or longer than the limit.
    #[error("a frame has 1 to {frame_bytes_max} bytes")]
    FrameLength {
        /// The limit.
        frame_bytes_max: usize,
    },
    /// Nothing that could tell where a frame begins.
    #[error(
        "nothing tells where a frame begins, so one lost byte would put the reader out of step for ever: add bytes to match or a checksum"
    )]
    NothingToMatch,
    /// The end mark is missing, or a mark is too long.
    #[error("an end mark has 1 to {MARK_BYTES_MAX} bytes, a start mark at most {MARK_BYTES_MAX}")]
    MarkLength,
    /// Start and end mark can be mistaken for each other.
    #[error("the start mark must not be the end mark, nor its beginning or end")]
    MarksAlike,
    /// The escape stands in a mark where it can't be told from content.
    #[error("a mark may hold the escape only as the first of its two bytes, and not twice")]
    EscapeInMark,
    /// A binary checksum inside the escaped content.
    #[error("a checksum before the end mark can't be told from content where there is an escape")]
    ChecksumEscaped,
    /// Only `delimited` has an end mark.
    #[error("only the framing `delimited` has an end mark that a checksum could follow")]
    ChecksumAfterEnd,
    /// No byte is left for the checksum to cover.
    #[error("the checksum covers nothing of the shortest frame")]
    ChecksumCoversNothing,
    /// A length field of another width.
    #[error("a length field has 1, 2 or 4 bytes")]
    LengthWidth,
    /// A length field too far behind the start.
    #[error(
        "a length field begins at most {LENGTH_OFFSET_MAX} bytes behind the start of its frame"
    )]
    LengthOffset,
    /// A silence of no time or beyond the limit.
    #[error("a silence is longer than nothing and at most a minute")]
    Silence,
    /// A timeout for `idle_gap`.
    #[error("`idle_gap` ends frames by silence: it takes no timeout beside that")]
    TimeoutWithIdleGap,
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

    /// Every rule that it breaks; empty means that a framer can be made.
    #[must_use]
    pub fn check(&self) -> Vec<FramingError> {
        let mut errors = Vec::new();
        let mut rule = |holds: bool, error| {
            if !holds {
                errors.push(error);
            }
        };
        let checksum_bytes = self.checksum.map_or(0, |checksum| checksum.wire_bytes());
        let skipped_bytes = self.checksum.map_or(0, |checksum| checksum.skip);
        let covers = |frame_bytes: usize| {
            self.checksum.is_none() || frame_bytes > skipped_bytes + checksum_bytes
        };
        let length_fits = |bytes: usize, limit| (1..=limit).contains(&bytes);

        rule(
            self.timeout_ns
                .is_none_or(|ns| (1..=SILENCE_NS_MAX).contains(&ns)),
            FramingError::Silence,
        );
        match &self.kind {
            FramingKind::Fixed(fixed) => {
                let length = fixed.positions.len();
                let told = fixed
                    .positions
                    .iter()
                    .any(|position| *position != BytePredicate::ANY);
                rule(
                    length_fits(length, FIXED_BYTES_MAX),
                    FramingError::FrameLength {
                        frame_bytes_max: FIXED_BYTES_MAX,
                    },
                );
                rule(
                    told || self.checksum.is_some(),
                    FramingError::NothingToMatch,
                );
                rule(covers(length), FramingError::ChecksumCoversNothing);
            }
            FramingKind::Delimited(delimited) => {
                delimited.check(self.checksum, &mut rule);
                rule(
                    covers(delimited.frame_bytes_max),
                    FramingError::ChecksumCoversNothing,
                );
            }
            FramingKind::LengthPrefixed(prefixed) => {
                let told = prefixed
                    .header
                    .iter()
                    .any(|position| *position != BytePredicate::ANY);
                let header_bytes = prefixed
                    .header
                    .len()
                    .max(prefixed.offset.saturating_add(prefixed.width));
                rule(
                    matches!(prefixed.width, 1 | 2 | 4),
                    FramingError::LengthWidth,
                );
                rule(
                    prefixed.offset <= LENGTH_OFFSET_MAX
                        && prefixed.header.len() <= LENGTH_OFFSET_MAX,
                    FramingError::LengthOffset,
                );
                rule(
                    length_fits(prefixed.frame_bytes_max, FRAME_BYTES_MAX)
                        && prefixed.frame_bytes_max >= header_bytes.saturating_add(checksum_bytes),
                    FramingError::FrameLength {
                        frame_bytes_max: FRAME_BYTES_MAX,
                    },
                );
                rule(
                    told || self.checksum.is_some() || self.timeout_ns.is_some(),
                    FramingError::NothingToMatch,
                );
                rule(
                    self.checksum.is_none() || skipped_bytes < header_bytes,
                    FramingError::ChecksumCoversNothing,
                );
            }
            FramingKind::IdleGap(idle_gap) => {
                rule(
                    length_fits(idle_gap.frame_bytes_max, FRAME_BYTES_MAX),
                    FramingError::FrameLength {
                        frame_bytes_max: FRAME_BYTES_MAX,
                    },
                );
                rule(
                    (1..=SILENCE_NS_MAX).contains(&idle_gap.gap_ns),
                    FramingError::Silence,
                );
                rule(self.timeout_ns.is_none(), FramingError::TimeoutWithIdleGap);
                rule(
                    covers(idle_gap.frame_bytes_max),
                    FramingError::ChecksumCoversNothing,
                );
            }
        }
        let has_end = matches!(self.kind, FramingKind::Delimited(_));
        rule(
            has_end || !self.checksum.is_some_and(|checksum| checksum.after_end),
            FramingError::ChecksumAfterEnd,
        );
        errors
    }
}

impl Delimited {
    fn check(&self, checksum: Option<ChecksumSpec>, rule: &mut impl FnMut(bool, FramingError)) {
        let marks_fit =
            (1..=MARK_BYTES_MAX).contains(&self.end.len()) && self.start.len() <= MARK_BYTES_MAX;
        let checksum_bytes = checksum.map_or(0, |checksum| checksum.wire_bytes());
        let least_bytes = self.start.len() + 1 + self.end.len() + checksum_bytes;
        rule(marks_fit, FramingError::MarkLength);
        rule(
            (least_bytes..=FRAME_BYTES_MAX).contains(&self.frame_bytes_max),
            FramingError::FrameLength {
                frame_bytes_max: FRAME_BYTES_MAX,
            },
        );
        let (start, end) = (&self.start, &self.end);
        let alike = start.starts_with(end)
            || start.ends_with(end)
            || end.starts_with(start)
            || end.ends_with(start);
        rule(
            start.is_empty() || end.is_empty() || !alike,
            FramingError::MarksAlike,
        );
        if let Some(escape) = self.escape {
            let told_apart = |mark: &[u8]| {
                !mark.contains(&escape)
                    || matches!(mark, [first, second] if *first == escape && *second != escape)
            };
            rule(
                told_apart(start) && told_apart(end),
                FramingError::EscapeInMark,
            );
            rule(
                checksum.is_none_or(|checksum| {
                    checksum.after_end || checksum.form == ChecksumForm::Hex
                }),
                FramingError::ChecksumEscaped,
            );
        }
    }
}
