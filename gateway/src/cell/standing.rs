//! How a cell stands: the worst of its robots' words, without a lock between them.
//!
//! Each line puts its robot's state here with every evaluation, and until when the word holds. Who
//! looks takes the worst; a word that was not renewed in time counts as `unknown`, so a line that hangs
//! can't leave a good state behind.

use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use super::separation::State;
use crate::config::limits::ROBOT_WORD_HOLDS;

/// One cell's robots, shared by their lines and by all who look. All times are those of one clock.
#[derive(Debug)]
pub struct Standing {
    cell: Arc<str>,
    /// Until when a robot's word holds in line time, shifted left by two bits, and its state in those.
    words: Box<[AtomicU64]>,
    permit_sent_ns: AtomicU64,
    writes_failed: AtomicU64,
    failing: AtomicBool,
}

const STATE_BITS: u32 = 2;

impl Standing {
    /// A cell of so many robots, of whom nothing is known.
    pub fn new(cell: Arc<str>, robots: usize) -> Self {
        let unknown = || AtomicU64::new(State::Unknown as u64);
        Self {
            cell,
            words: std::iter::repeat_with(unknown).take(robots).collect(),
            permit_sent_ns: AtomicU64::new(u64::MAX),
            writes_failed: AtomicU64::new(0),
            failing: AtomicBool::new(false),
        }
    }

    /// The cell's name.
    pub fn cell(&self) -> &Arc<str> {
        &self.cell
    }

    /// A robot's state at that line time.
    pub fn say(&self, robot: usize, state: State, at_ns: u64) {
        // A u64 of nanoseconds with two bits less holds 146 years.
        let holds_ns = ROBOT_WORD_HOLDS.as_nanos() as u64;
        let until_ns = at_ns.saturating_add(holds_ns).min(u64::MAX >> STATE_BITS);
        if let Some(word) = self.words.get(robot) {
            word.store(until_ns << STATE_BITS | state as u64, Release);
        }
    }

    /// How one robot stands at that line time.
    pub fn of(&self, robot: usize, at_ns: u64) -> State {
        let Some(word) = self.words.get(robot) else {
            return State::Unknown;
        };
        let word = word.load(Acquire);
        if word >> STATE_BITS < at_ns {
            return State::Unknown;
        }
        let number = (word & ((1 << STATE_BITS) - 1)) as usize;
        State::ALL.get(number).copied().unwrap_or(State::Unknown)
    }

    /// How the cell stands at that line time, and the robot that decides; `Unknown` without robots.
    pub fn at(&self, at_ns: u64) -> (State, usize) {
        (0..self.words.len())
            .map(|robot| (self.of(robot, at_ns), robot))
            // The first of the worst.
            .rev()
            .max_by_key(|(state, _)| *state)
            .unwrap_or((State::Unknown, 0))
    }

    /// The permit was sent at that line time.
    pub fn permit_sent(&self, at_ns: u64) {
        self.permit_sent_ns.store(at_ns, Relaxed);
    }

    /// When it was sent last.
    pub fn permit_sent_ns(&self) -> Option<u64> {
        Some(self.permit_sent_ns.load(Relaxed)).filter(|at_ns| *at_ns != u64::MAX)
    }

    /// Bytes were written onto a port for this cell, or could not be.
    pub fn written(&self, whole: bool) {
        if !whole {
            self.writes_failed.fetch_add(1, Relaxed);
        }
        self.failing.store(!whole, Relaxed);
    }

    /// How many writes failed, and whether the last one did.
    pub fn writes_failed(&self) -> (u64, bool) {
        (self.writes_failed.load(Relaxed), self.failing.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOLDS_NS: u64 = ROBOT_WORD_HOLDS.as_nanos() as u64;

    #[test]
    fn a_cell_stands_as_its_worst_robot() {
        let standing = Standing::new("cell-3".into(), 3);
        assert_eq!(standing.at(0).0, State::Unknown, "nobody has said anything");
        for robot in 0..3 {
            standing.say(robot, State::Clear, 1_000);
        }
        assert_eq!(standing.at(1_000), (State::Clear, 0));
        standing.say(1, State::Warn, 1_000);
        assert_eq!(standing.at(1_000), (State::Warn, 1));
        standing.say(2, State::Stop, 1_000);
        assert_eq!(standing.at(1_000), (State::Stop, 2));
        standing.say(0, State::Unknown, 1_000);
        assert_eq!(standing.at(1_000), (State::Unknown, 0));
    }

    #[test]
    fn a_word_that_is_not_renewed_in_time_is_unknown() {
        let standing = Standing::new("cell-3".into(), 2);
        standing.say(0, State::Clear, 0);
        standing.say(1, State::Clear, HOLDS_NS);
        assert_eq!(standing.at(HOLDS_NS).0, State::Clear);
        assert_eq!(standing.at(HOLDS_NS + 1), (State::Unknown, 0));
        standing.say(0, State::Warn, HOLDS_NS + 1);
        assert_eq!(standing.at(HOLDS_NS + 1), (State::Warn, 0));
    }

    #[test]
    fn no_robot_is_no_safe_cell_and_a_foreign_one_changes_nothing() {
        let standing = Standing::new("cell-3".into(), 0);
        standing.say(7, State::Clear, 0);
        assert_eq!(standing.at(0).0, State::Unknown);
        assert_eq!(standing.of(7, 0), State::Unknown);
    }
}
