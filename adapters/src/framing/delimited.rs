//! Frames between marks: an optional start, an end, and an optional escape.
//!
//! Where bytes may be escaped, a mark counts only when it isn't. A mark that begins with the escape
//! itself (`DLE STX`, `DLE ETX`) is two bytes long, and in such a protocol an escape must be followed
//! by a mark's second byte or by itself. Otherwise an escape makes any byte after it plain.
//!
//! A start mark inside a frame begins a new one, unless content may hold it: where there is an escape
//! and the start mark doesn't use it (3964R, whose STX is plain data behind the first).
//!
//! Without a start mark frames are what stands between two ends, and what comes before the first end
//! is the rest of a frame whose beginning nobody saw.
//!
//! A frame that is refused is looked through for the beginning of another, which may be refused in
//! turn: n bytes full of start marks cost n² / 2 steps once, and then they are gone.

use super::{ChecksumSpec, Delimited, SkipCause, Step};
use alloc::vec::Vec;

#[derive(Debug)]
pub(super) struct DelimitedRule {
    start: Vec<u8>,
    end: Vec<u8>,
    escape: Option<u8>,
    frame_bytes_max: usize,
    checksum: Option<ChecksumSpec>,
    /// Bytes of checksum behind the end mark.
    trailing: usize,
    seen: usize,
    state: State,
    /// Where the next mark may begin at the earliest: behind the start mark and the last escaped byte.
    mark_from: usize,
    /// The bytes between the marks of the frame that has just been found.
    content: (usize, usize),
    /// Without a start mark: an end has been seen, so that the next frame is whole.
    whole: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Content,
    Escaped,
    Trailing { wire: usize },
}

impl DelimitedRule {
    pub(super) fn new(spec: &Delimited, checksum: Option<ChecksumSpec>) -> Self {
        let trailing = checksum
            .filter(|checksum| checksum.after_end)
            .map_or(0, |checksum| checksum.wire_bytes());
        Self {
            start: spec.start.clone(),
            end: spec.end.clone(),
            escape: spec.escape,
            frame_bytes_max: spec.frame_bytes_max,
            checksum,
            trailing,
            seen: 0,
            state: State::Start,
            mark_from: 0,
            content: (0, 0),
            whole: false,
        }
    }

    pub(super) fn look(&mut self, bytes: &[u8]) -> Step {
        loop {
            if self.state == State::Start && self.seen == self.start.len() {
                self.state = State::Content;
                self.mark_from = self.seen;
            }
            if let State::Trailing { wire } = self.state
                && bytes.len() >= wire
            {
                return self.complete(bytes, wire);
            }
            let Some(byte) = bytes.get(self.seen) else {
                return if self.seen >= self.frame_bytes_max {
                    self.cut_off(SkipCause::TooLong)
                } else {
                    Step::More
                };
            };
            self.seen += 1;
            let step = self.take(*byte, &bytes[..self.seen]);
            if step != Step::More {
                return step;
            }
        }
    }

    /// Leaves what stands between the marks, with escapes undone, at the place where it stands.
    pub(super) fn content<'a>(&self, wire: &'a mut [u8]) -> &'a [u8] {
        let (from, to) = self.content;
        let content = &mut wire[from..to];
        let Some(escape) = self.escape else {
            return content;
        };
        let (mut read, mut write) = (0, 0);
        while read < content.len() {
            if content[read] == escape && read + 1 < content.len() {
                read += 1;
            }
            content[write] = content[read];
            read += 1;
            write += 1;
        }
        &content[..write]
    }

    pub(super) fn restart(&mut self) {
        self.whole = false;
        self.begin();
    }

    fn begin(&mut self) {
        self.seen = 0;
        self.state = State::Start;
    }

    fn take(&mut self, byte: u8, so_far: &[u8]) -> Step {
        match self.state {
            State::Start => {
                if self.start.get(self.seen - 1) == Some(&byte) {
                    Step::More
                } else {
                    self.begin();
                    Step::Dead {
                        drop: 1,
                        span: 0,
                        cause: SkipCause::NoMatch,
                    }
                }
            }
            State::Content if self.escape == Some(byte) => {
                self.state = State::Escaped;
                Step::More
            }
            State::Escaped => self.take_escaped(byte, so_far),
            State::Content => {
                let marks = &so_far[self.mark_from..];
                if marks.ends_with(&self.end) {
                    self.end_found(so_far)
                } else if self.escape.is_none()
                    && !self.start.is_empty()
                    && marks.ends_with(&self.start)
                {
                    self.new_start()
                } else {
                    Step::More
                }
            }
            State::Trailing { .. } => Step::More,
        }
    }

    /// `byte` follows an escape that stands at `seen - 2`.
    fn take_escaped(&mut self, byte: u8, so_far: &[u8]) -> Step {
        self.state = State::Content;
        let marks = &so_far[self.mark_from..];
        let escape = self.escape.unwrap_or_default();
        if self.end.first() == Some(&escape) && marks.ends_with(&self.end) {
            return self.end_found(so_far);
        }
        if self.start.first() == Some(&escape) && marks.ends_with(&self.start) {
            return self.new_start();
        }
        if self.end.first() == Some(&escape) && byte != escape {
            return self.bad_escape();
        }
        self.mark_from = self.seen;
        Step::More
    }

    fn end_found(&mut self, so_far: &[u8]) -> Step {
        self.content = (self.start.len(), self.seen - self.end.len());
        let wire = self.seen + self.trailing;
        if wire > self.frame_bytes_max {
            return self.cut_off(SkipCause::TooLong);
        }
        if self.trailing == 0 {
            return self.complete(so_far, wire);
        }
        self.state = State::Trailing { wire };
        Step::More
    }

    fn complete(&mut self, bytes: &[u8], wire: usize) -> Step {
        let (from, to) = self.content;
        let before_end = if self.trailing == 0 { to } else { wire };
        if self.start.is_empty() && !core::mem::replace(&mut self.whole, true) {
            return self.dead(wire, SkipCause::NoMatch);
        }
        if from == to {
            return self.dead(wire, SkipCause::TooShort);
        }
        if self
            .checksum
            .is_some_and(|checksum| !checksum.fits(&bytes[..before_end]))
        {
            return self.dead(wire, SkipCause::Checksum);
        }
        self.begin();
        Step::Frame { wire }
    }

    /// A new frame begins with the start mark that ends here.
    fn new_start(&mut self) -> Step {
        let drop = self.seen - self.start.len();
        self.begin();
        Step::Dead {
            drop,
            span: drop,
            cause: SkipCause::NoEnd,
        }
    }

    /// The frame is given up before its end. Without a start mark its rest must not pass for a whole one.
    fn cut_off(&mut self, cause: SkipCause) -> Step {
        self.whole = false;
        self.dead(self.seen, cause)
    }

    /// Whatever began before this escape would die of it too; the byte behind it may be a start.
    fn bad_escape(&mut self) -> Step {
        let span = self.seen;
        self.whole = false;
        self.begin();
        let drop = if self.start.is_empty() {
            span
        } else {
            span - 1
        };
        Step::Dead {
            drop,
            span,
            cause: SkipCause::BadEscape,
        }
    }

    /// The candidate is none. With a start mark the next one may begin right behind its first byte;
    /// without, only behind what has been looked at.
    fn dead(&mut self, span: usize, cause: SkipCause) -> Step {
        self.begin();
        let drop = if self.start.is_empty() { span } else { 1 };
        Step::Dead { drop, span, cause }
    }
}
