//! Frames that end where the line falls silent.
//!
//! Listening may begin in the middle of a frame, so nothing counts before the first silence. The
//! gap itself is measured by the framer, which sees the times.

use super::{ChecksumSpec, SkipCause, Step};

#[derive(Debug)]
pub(super) struct IdleGapRule {
    frame_bytes_max: usize,
    checksum: Option<ChecksumSpec>,
    /// Since the last silence, every byte is held.
    whole: bool,
    /// Why bytes are dropped while they are not.
    cause: SkipCause,
}

impl IdleGapRule {
    pub(super) fn new(frame_bytes_max: usize, checksum: Option<ChecksumSpec>) -> Self {
        Self {
            frame_bytes_max,
            checksum,
            whole: false,
            cause: SkipCause::NoMatch,
        }
    }

    pub(super) fn look(&mut self, bytes: &[u8]) -> Step {
        let length = bytes.len();
        if self.whole && length > self.frame_bytes_max {
            self.whole = false;
            self.cause = SkipCause::TooLong;
        }
        if self.whole || length == 0 {
            return Step::More;
        }
        Step::Dead {
            drop: length,
            span: length,
            cause: self.cause,
        }
    }

    pub(super) fn silence(&mut self, bytes: &[u8]) -> Step {
        self.whole = true;
        let length = bytes.len();
        if length == 0 {
            return Step::More;
        }
        match self.checksum {
            Some(checksum) if length <= checksum.skip + checksum.wire_bytes() => Step::Dead {
                drop: length,
                span: length,
                cause: SkipCause::TooShort,
            },
            Some(checksum) if !checksum.fits(bytes) => Step::Dead {
                drop: length,
                span: length,
                cause: SkipCause::Checksum,
            },
            _ => Step::Frame { wire: length },
        }
    }

    pub(super) fn restart(&mut self) {
        self.whole = false;
        self.cause = SkipCause::NoMatch;
    }
}
