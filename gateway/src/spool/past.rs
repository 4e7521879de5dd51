//! A bounded look at what was: how much of the history one question may read, and how far it came.
//!
//! A record that comes once a day stands between millions of others, so what bounds a question is
//! what it reads, not only what it finds.

use crate::config::limits::{HISTORY_BLOCKS_MAX, HISTORY_BYTES_MAX};
use crate::words::Entry;

/// How much one question may read and find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Entries that are found.
    pub entries: usize,
    /// Bytes of their JSON; a single entry may have more.
    pub bytes: usize,
    /// Blocks that are read.
    pub blocks: usize,
}

impl Bounds {
    /// No bounds: all of it, for whoever has the memory and the time.
    pub const NONE: Self = Self {
        entries: usize::MAX,
        bytes: usize::MAX,
        blocks: usize::MAX,
    };

    /// Those of somebody who waits for an answer, with so many entries at most.
    pub fn of_a_question(entries: usize) -> Self {
        Self {
            entries,
            bytes: HISTORY_BYTES_MAX,
            blocks: HISTORY_BLOCKS_MAX,
        }
    }
}

/// What a question found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Oldest first.
    pub entries: Vec<Entry>,
    /// The bounds were reached: there may be older ones in the time that was asked for.
    pub more: bool,
    /// From this time on, in Unix nanoseconds, nothing is missing.
    pub reached_unix_ns: i64,
}

impl Past {
    /// With what memory has besides, some of which may be stored already.
    pub(super) fn with_newer(self, recent: Vec<Entry>, bounds: Bounds) -> Self {
        let newest = self.entries.last().map(|entry| (entry.epoch, entry.seq));
        let is_newer = |entry: &Entry| Some((entry.epoch, entry.seq)) > newest;
        let mut all = Newest::new(bounds);
        recent
            .into_iter()
            .rev()
            .filter(is_newer)
            .chain(self.entries.into_iter().rev())
            .for_each(|entry| all.take(entry));
        all.full |= self.more;
        all.past(self.reached_unix_ns)
    }
}

/// Collects entries from the newest on until a bound is reached.
#[derive(Debug)]
pub(super) struct Newest {
    bounds: Bounds,
    entries: Vec<Entry>,
    bytes: usize,
    /// There was one more than the bounds let through.
    pub full: bool,
    /// The oldest that was let through stands where the bound was reached.
    cut: bool,
}

impl Newest {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            entries: Vec::new(),
            bytes: 0,
            full: false,
            cut: false,
        }
    }

    pub fn take(&mut self, entry: Entry) {
        let bytes = self.bytes.saturating_add(entry.json.len());
        let too_many = self.entries.len() >= self.bounds.entries;
        let too_much = bytes > self.bounds.bytes && !self.entries.is_empty();
        if self.cut || too_many || too_much {
            (self.full, self.cut) = (true, true);
            return;
        }
        self.bytes = bytes;
        self.entries.push(entry);
    }

    /// What was found, given the time down to which everything was looked at.
    pub fn past(mut self, looked_at_ns: i64) -> Past {
        let oldest_ns = self.entries.last().map(|entry| entry.t_unix_ns);
        self.entries.reverse();
        Past {
            reached_unix_ns: match oldest_ns {
                Some(oldest_ns) if self.cut => oldest_ns,
                _ => looked_at_ns,
            },
            entries: self.entries,
            more: self.full,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::words::Stream;

    fn entry(seq: u64) -> Entry {
        Entry {
            machine: "m".into(),
            stream: Stream::Records,
            record: "pose".into(),
            epoch: 1,
            seq,
            line_ns: seq,
            t_unix_ns: seq as i64 * 10,
            json: Arc::from("0123456789"),
        }
    }

    fn seqs(past: &Past) -> Vec<u64> {
        past.entries.iter().map(|entry| entry.seq).collect()
    }

    fn of(bounds: Bounds, count: u64) -> Past {
        let mut newest = Newest::new(bounds);
        (1..=count).rev().for_each(|seq| newest.take(entry(seq)));
        newest.past(0)
    }

    #[test]
    fn the_newest_are_let_through_and_the_rest_is_told() {
        let three = Bounds {
            entries: 3,
            ..Bounds::NONE
        };
        let past = of(three, 5);
        assert_eq!(
            (seqs(&past), past.more, past.reached_unix_ns),
            (vec![3, 4, 5], true, 30)
        );
        let past = of(three, 3);
        assert_eq!(
            (seqs(&past), past.more, past.reached_unix_ns),
            (vec![1, 2, 3], false, 0)
        );
        let past = of(
            Bounds {
                bytes: 25,
                ..Bounds::NONE
            },
            5,
        );
        assert_eq!((seqs(&past), past.more), (vec![4, 5], true));
        // One that is larger than everything comes all the same: else nobody ever sees it.
        let past = of(
            Bounds {
                bytes: 5,
                ..Bounds::NONE
            },
            5,
        );
        assert_eq!((seqs(&past), past.more), (vec![5], true));
    }

    #[test]
    fn what_memory_has_besides_pushes_out_the_oldest() {
        let three = Bounds {
            entries: 3,
            ..Bounds::NONE
        };
        let past = of(three, 3).with_newer(vec![entry(3), entry(4), entry(5)], three);
        assert_eq!(
            (seqs(&past), past.more, past.reached_unix_ns),
            (vec![3, 4, 5], true, 30)
        );
    }
}
