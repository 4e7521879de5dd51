//! Frames that say their length in a field near their beginning.
//!
//! A candidate dies when a byte of its header doesn't fit, when its length is impossible, or when its
//! checksum fails; the next one then begins one byte later, among the bytes that are held already. A
//! wrong length can hold back the frames behind it until that many bytes have come, or until the
//! timeout; they come out then, late but not lost.
//! A checksum is computed once for each candidate, so n bytes cost n² / 2 steps at most, and are gone
//! then.

use super::{BytePredicate, ChecksumSpec, Endianness, LengthPrefixed, SkipCause, Step};
use alloc::vec::Vec;

#[derive(Debug)]
pub(super) struct LengthPrefixedRule {
    header: Vec<BytePredicate>,
    offset: usize,
    width: usize,
    endianness: Endianness,
    correction: i64,
    frame_bytes_min: usize,
    frame_bytes_max: usize,
    checksum: Option<ChecksumSpec>,
    /// How many bytes of the header have been looked at.
    seen: usize,
    /// How long the candidate says that it is.
    length: Option<usize>,
}

impl LengthPrefixedRule {
    pub(super) fn new(spec: &LengthPrefixed, checksum: Option<ChecksumSpec>) -> Self {
        let header_bytes = spec.header.len().max(spec.offset + spec.width);
        let checksum_bytes = checksum.map_or(0, |checksum| checksum.wire_bytes());
        Self {
            header: spec.header.clone(),
            offset: spec.offset,
            width: spec.width,
            endianness: spec.endianness,
            correction: spec.correction,
            frame_bytes_min: header_bytes + checksum_bytes,
            frame_bytes_max: spec.frame_bytes_max,
            checksum,
            seen: 0,
            length: None,
        }
    }

    pub(super) fn look(&mut self, bytes: &[u8]) -> Step {
        let header_bytes = self.header.len().max(self.offset + self.width);
        while self.seen < header_bytes {
            let Some(byte) = bytes.get(self.seen) else {
                return Step::More;
            };
            if self
                .header
                .get(self.seen)
                .is_some_and(|predicate| !predicate.fits(*byte))
            {
                return self.next_candidate(0, SkipCause::NoMatch);
            }
            self.seen += 1;
        }
        let length = match self.length {
            Some(length) => length,
            None => match self.read_length(bytes) {
                Ok(length) => *self.length.insert(length),
                Err(cause) => return self.next_candidate(header_bytes, cause),
            },
        };
        let Some(frame) = bytes.get(..length) else {
            return Step::More;
        };
        if self.checksum.is_some_and(|checksum| !checksum.fits(frame)) {
            return self.next_candidate(length, SkipCause::Checksum);
        }
        self.restart();
        Step::Frame { wire: length }
    }

    pub(super) fn restart(&mut self) {
        self.seen = 0;
        self.length = None;
    }

    fn next_candidate(&mut self, span: usize, cause: SkipCause) -> Step {
        self.restart();
        Step::Dead {
            drop: 1,
            span,
            cause,
        }
    }

    fn read_length(&self, bytes: &[u8]) -> Result<usize, SkipCause> {
        let field = &bytes[self.offset..self.offset + self.width];
        let append = |value: i64, byte: &u8| value << 8 | i64::from(*byte);
        let value = match self.endianness {
            Endianness::Big => field.iter().fold(0, append),
            Endianness::Little => field.iter().rev().fold(0, append),
        };
        match usize::try_from(value + self.correction) {
            Ok(length) if length > self.frame_bytes_max => Err(SkipCause::TooLong),
            Ok(length) if length >= self.frame_bytes_min => Ok(length),
            _ => Err(SkipCause::TooShort),
        }
    }
}
