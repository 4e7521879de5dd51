//! The rules that a framing has to keep.

use super::limits::{
    FIXED_BYTES_MAX, FRAME_BYTES_MAX, LENGTH_OFFSET_MAX, MARK_BYTES_MAX, SILENCE_NS_MAX,
};
use super::{BytePredicate, ChecksumForm, ChecksumSpec, Delimited, FramingKind, FramingSpec};
use alloc::vec::Vec;

/// Why a framing can't be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    /// A frame that can hold nothing, or longer than the limit.
    #[error(
        "a frame holds at least its marks or header, a byte and its checksum, and at most {frame_bytes_max} bytes"
    )]
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
            self.checksum.is_none() || frame_bytes > skipped_bytes.saturating_add(checksum_bytes)
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
