//! Frames of one length, told by what the byte at each position may be.
//!
//! Such a frame has no start, no length and often no checksum, so a single one that fits proves
//! little: value bytes may look like a header. Out of step, a candidate therefore counts only when
//! the next frame fits directly behind it; then both come out. In step, each frame directly follows
//! one that counted, and comes out with its own last byte. The first byte that doesn't fit loses
//! step.
//!
//! What two frames in a row can't tell apart, this can't: a stream whose bytes fit at another offset
//! too, twice in a row. Whether frames make sense in their order is for the pipeline to judge.
//!
//! All offsets are tried at once by the Shift-And method (Baeza-Yates and Gonnet, "A new approach to
//! text searching", Communications of the ACM 35(10), 1992): bit j of `alive` says that the last
//! j + 1 bytes fit the first j + 1 positions of two frames in a row. A byte therefore costs a shift
//! and an AND over 2·length bits, whatever came before, and the highest bit is the earliest
//! candidate that is still possible.

use super::{BytePredicate, ChecksumSpec, SkipCause, Step};
use alloc::{vec, vec::Vec};

#[derive(Debug)]
pub(super) struct FixedRule {
    length: usize,
    checksum: Option<ChecksumSpec>,
    /// For each byte value, `words` words: the positions of two frames in a row that it fits.
    masks: Vec<u64>,
    words: usize,
    alive: Vec<u64>,
    /// How many of the held bytes `alive` has seen.
    seen: usize,
    in_step: bool,
    /// The second frame of a pair whose first has just come out.
    second_waits: bool,
    /// The first frame of the candidate has passed its checksum.
    first_checked: bool,
}

impl FixedRule {
    pub(super) fn new(positions: &[BytePredicate], checksum: Option<ChecksumSpec>) -> Self {
        let length = positions.len();
        let words = (2 * length).div_ceil(64);
        let mut masks = vec![0; 256 * words];
        for byte in 0..=255u8 {
            let mask = &mut masks[usize::from(byte) * words..][..words];
            for (position, predicate) in positions.iter().chain(positions).enumerate() {
                if predicate.fits(byte) {
                    mask[position / 64] |= 1 << (position % 64);
                }
            }
        }
        Self {
            length,
            checksum,
            masks,
            words,
            alive: vec![0; words],
            seen: 0,
            in_step: false,
            second_waits: false,
            first_checked: false,
        }
    }

    pub(super) fn look(&mut self, bytes: &[u8]) -> Step {
        if self.second_waits {
            self.second_waits = false;
            return Step::Frame { wire: self.length };
        }
        loop {
            let step = self.judge(bytes);
            if step != Step::More {
                return step;
            }
            let Some(byte) = bytes.get(self.seen) else {
                return Step::More;
            };
            self.shift_in(*byte);
        }
    }

    /// Whether the held bytes end in the middle of a frame.
    pub(super) fn inside_frame(&self) -> bool {
        !self.seen.is_multiple_of(self.length)
    }

    pub(super) fn restart(&mut self) {
        self.in_step = false;
        self.second_waits = false;
        self.forget();
    }

    fn judge(&mut self, bytes: &[u8]) -> Step {
        let longest = self.longest_alive();
        if longest < self.seen {
            return self.lose_step(longest, 0, SkipCause::NoMatch);
        }
        if self.in_step && self.seen == self.length {
            if !self.checksum_fits(&bytes[..self.length]) {
                return self.refuse_candidate();
            }
            self.forget();
            return Step::Frame { wire: self.length };
        }
        if !self.in_step && self.seen >= self.length && !self.first_checked {
            if !self.checksum_fits(&bytes[..self.length]) {
                return self.refuse_candidate();
            }
            self.first_checked = true;
        }
        if !self.in_step && self.seen == 2 * self.length {
            if !self.checksum_fits(&bytes[self.length..2 * self.length]) {
                return self.refuse_candidate();
            }
            self.in_step = true;
            self.second_waits = true;
            self.forget();
            return Step::Frame { wire: self.length };
        }
        Step::More
    }

    fn checksum_fits(&self, frame: &[u8]) -> bool {
        self.checksum.is_none_or(|checksum| checksum.fits(frame))
    }

    /// The earliest candidate fits but for its checksum: go on to the next one.
    fn refuse_candidate(&mut self) -> Step {
        let newest = self.seen - 1;
        self.alive[newest / 64] &= !(1 << (newest % 64));
        self.lose_step(self.longest_alive(), self.length, SkipCause::Checksum)
    }

    fn lose_step(&mut self, longest: usize, span: usize, cause: SkipCause) -> Step {
        let drop = self.seen - longest;
        self.seen = longest;
        self.in_step = false;
        self.first_checked = false;
        Step::Dead { drop, span, cause }
    }

    fn shift_in(&mut self, byte: u8) {
        let mask = &self.masks[usize::from(byte) * self.words..][..self.words];
        let mut carry = 1;
        for (alive, fits) in self.alive.iter_mut().zip(mask) {
            let shifted = *alive << 1 | carry;
            carry = *alive >> 63;
            *alive = shifted & fits;
        }
        self.seen += 1;
    }

    /// How many bytes the earliest candidate that is alive has.
    fn longest_alive(&self) -> usize {
        for (index, word) in self.alive.iter().enumerate().rev() {
            if *word != 0 {
                return index * 64 + 64 - word.leading_zeros() as usize;
            }
        }
        0
    }

    fn forget(&mut self) {
        self.alive.fill(0);
        self.seen = 0;
        self.first_checked = false;
    }
}
