//! What a line lets others see of itself, without ever waiting for them.
//!
//! The line adds to counters that it alone writes; whoever shows them reads when it likes. No lock
//! stands between the last byte of a frame and the decision. Only a change of state, which is rare
//! and needs words, goes through a lock, and that one is held for the length of a copy.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use crate::cell::separation::{Cause, State};
use crate::words::{LineState, Stamp};

/// Counters with names that are known before the first frame, so that counting is an addition.
#[derive(Debug)]
pub struct Counters {
    names: Vec<String>,
    values: Vec<AtomicU64>,
}

impl Counters {
    /// One counter for each name, all zero.
    pub fn new(names: Vec<String>) -> Self {
        let values = names.iter().map(|_| AtomicU64::new(0)).collect();
        Self { names, values }
    }

    /// Adds to the counter at that position of the list given to [`Counters::new`].
    pub fn add(&self, index: usize, count: u64) {
        if let Some(value) = self.values.get(index) {
            value.fetch_add(count, Relaxed);
        }
    }

    /// Those that are not zero.
    pub fn read(&self) -> BTreeMap<String, u64> {
        self.names
            .iter()
            .zip(&self.values)
            .map(|(name, value)| (name.clone(), value.load(Relaxed)))
            .filter(|(_, value)| *value > 0)
            .collect()
    }
}

/// A line's state, in one word and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The word.
    pub state: LineState,
    /// Since when, Unix time in nanoseconds.
    pub since_wall_ns: i64,
    /// What a person should know or do; empty while all is well.
    pub detail: String,
}

/// A robot's separation, in one word and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Separated {
    /// The word.
    pub state: State,
    /// Why.
    pub cause: Cause,
    /// Since when, Unix time in nanoseconds.
    pub since_wall_ns: i64,
}

/// The shared side of a line. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Gauge {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    turns: AtomicU64,
    frames: AtomicU64,
    last_line_ns: AtomicU64,
    records: AtomicU64,
    dropped: AtomicU64,
    rejected: Counters,
    skipped_bytes: Counters,
    line_errors: Counters,
    condition: Mutex<Condition>,
    separated: Mutex<Option<Separated>>,
    /// What `separated` was told last, so that telling the same again takes no lock.
    judged: AtomicU64,
}

/// One reading of a [`Gauge`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Frames that the framing found, rejected ones included.
    pub frames: u64,
    /// Line time of the last of them; `None` before the first.
    pub last_frame_line_ns: Option<u64>,
    /// Records that left the pipeline.
    pub records: u64,
    /// Records that the spool's intake had no room for.
    pub dropped: u64,
    /// Frames that a stage refused, by `stage/reason`.
    pub rejected: BTreeMap<String, u64>,
    /// Bytes that belong to no frame, by cause.
    pub skipped_bytes: BTreeMap<String, u64>,
    /// Bytes that the driver marked, by kind of error.
    pub line_errors: BTreeMap<String, u64>,
    /// The line's state.
    pub condition: Condition,
    /// How the robot stands; `None` where no cell watches it, or before it was judged.
    pub separated: Option<Separated>,
}

impl Gauge {
    /// A gauge whose counters have these names.
    pub fn new(rejected: Vec<String>, skipped: Vec<String>, errors: Vec<String>) -> Self {
        Self {
            inner: Arc::new(Inner {
                turns: AtomicU64::new(0),
                frames: AtomicU64::new(0),
                last_line_ns: AtomicU64::new(u64::MAX),
                records: AtomicU64::new(0),
                dropped: AtomicU64::new(0),
                rejected: Counters::new(rejected),
                skipped_bytes: Counters::new(skipped),
                line_errors: Counters::new(errors),
                condition: Mutex::new(Condition {
                    state: LineState::Starting,
                    since_wall_ns: 0,
                    detail: String::new(),
                }),
                separated: Mutex::new(None),
                judged: AtomicU64::new(u64::MAX),
            }),
        }
    }

    /// The line's thread has come round once more, whether or not its machine says anything. It does
    /// so at least every [`LINE_TURN_EVERY`](crate::config::limits::LINE_TURN_EVERY).
    pub fn turn(&self) {
        self.inner.turns.fetch_add(1, Relaxed);
    }

    /// How often it came round so far. A count that stands still is a thread that hangs.
    pub fn turns(&self) -> u64 {
        self.inner.turns.load(Relaxed)
    }

    /// A frame was found at that line time.
    pub fn frame(&self, at: Stamp) {
        self.inner.frames.fetch_add(1, Relaxed);
        self.inner.last_line_ns.store(at.line_ns, Relaxed);
    }

    /// Frames so far.
    pub fn frames(&self) -> u64 {
        self.inner.frames.load(Relaxed)
    }

    /// That many records left the pipeline.
    pub fn records(&self, count: u64) {
        self.inner.records.fetch_add(count, Relaxed);
    }

    /// That many records found no room in the spool's intake.
    pub fn dropped(&self, count: u64) {
        self.inner.dropped.fetch_add(count, Relaxed);
    }

    /// Frames that stages refused.
    pub fn rejected(&self) -> &Counters {
        &self.inner.rejected
    }

    /// Bytes that belong to no frame.
    pub fn skipped_bytes(&self) -> &Counters {
        &self.inner.skipped_bytes
    }

    /// Bytes that the driver marked.
    pub fn line_errors(&self) -> &Counters {
        &self.inner.line_errors
    }

    /// The line is in another state; the same state and sentence again changes nothing.
    pub fn set(&self, state: LineState, detail: &str, wall_ns: i64) {
        let mut condition = self
            .inner
            .condition
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if condition.state != state {
            condition.state = state;
            condition.since_wall_ns = wall_ns;
        }
        if condition.detail != detail {
            condition.detail = detail.to_owned();
        }
    }

    /// The robot was judged at that time.
    pub fn judged(&self, state: State, cause: Cause, at: Stamp) {
        let number = (state as u64) << 8 | cause as u64;
        if self.inner.judged.swap(number, Relaxed) == number {
            return;
        }
        let mut separated = self
            .inner
            .separated
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let same = separated.filter(|before| before.state == state);
        let since_wall_ns = same.map_or(at.wall_ns, |before| before.since_wall_ns);
        *separated = Some(Separated {
            state,
            cause,
            since_wall_ns,
        });
    }

    /// All of it, as it stands.
    pub fn read(&self) -> Reading {
        let last = self.inner.last_line_ns.load(Relaxed);
        Reading {
            frames: self.inner.frames.load(Relaxed),
            last_frame_line_ns: (last != u64::MAX).then_some(last),
            records: self.inner.records.load(Relaxed),
            dropped: self.inner.dropped.load(Relaxed),
            rejected: self.inner.rejected.read(),
            skipped_bytes: self.inner.skipped_bytes.read(),
            line_errors: self.inner.line_errors.read(),
            condition: self
                .inner
                .condition
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            separated: *self
                .inner
                .separated
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_shows_only_what_happened() {
        let gauge = Gauge::new(
            vec!["a/x".into(), "a/y".into()],
            vec!["no_match".into()],
            vec![],
        );
        gauge.rejected().add(1, 3);
        gauge.rejected().add(9, 1);
        gauge.frame(Stamp {
            line_ns: 7,
            wall_ns: 9,
        });
        let reading = gauge.read();
        assert_eq!(reading.rejected, BTreeMap::from([("a/y".to_owned(), 3)]));
        assert!(reading.skipped_bytes.is_empty());
        assert_eq!((reading.frames, reading.last_frame_line_ns), (1, Some(7)));
    }

    #[test]
    fn a_state_keeps_its_beginning_while_its_sentence_changes() {
        let gauge = Gauge::new(vec![], vec![], vec![]);
        gauge.set(LineState::Disconnected, "looking for it", 10);
        gauge.set(LineState::Disconnected, "still looking", 20);
        let condition = gauge.read().condition;
        assert_eq!(condition.since_wall_ns, 10);
        assert_eq!(condition.detail, "still looking");
    }
}
