//! What is unreleased and what is read next, as plain values: order, lanes and turns. No clock, no
//! thread, no disk; those are around it.
//!
//! A queue per machine and stream. Every entry has its name in `unreleased` until it is released or
//! dropped. Entries themselves are in memory (`recent`) until they are stored and nobody is about to
//! read them live; after that only the store has them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::gaps::{DropCause, GAP, Lost};
use super::ranges::{Name, Ranges, Span};
use super::store::StreamState;
use crate::config::limits::{LIVE_BYTES_MAX, LIVE_LAG_MAX, UNRELEASED_RANGES_MAX};
use crate::words::{Entry, Stream};

/// Behind every name.
const END: Name = (u64::MAX, u64::MAX);

/// Which way out an entry takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// It was taken a moment ago, since the session began.
    Live,
    /// It waited for a session, or for too long.
    Backlog,
}

/// Which lanes to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    /// What was taken a moment ago.
    pub live: bool,
    /// What waited.
    pub backlog: bool,
}

impl Lanes {
    /// Both, live first.
    pub const BOTH: Self = Self {
        live: true,
        backlog: true,
    };

    /// Whether there is one at all.
    pub fn any(self) -> bool {
        self.live || self.backlog
    }
}

/// Counted since the spool was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries that got a number.
    pub taken: u64,
    /// Entries that were released.
    pub released: u64,
    /// Entries and takings that were dropped, by cause.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// What is still to be released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Entries of all streams.
    pub entries: u64,
    /// Of them, records.
    pub records: u64,
    /// Time of the oldest, Unix nanoseconds; of a stored one, that of its block.
    pub oldest_unix_ns: Option<i64>,
}

/// Entries of one machine, stream and epoch whose numbers have no hole; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The machine.
    pub machine: Arc<str>,
    /// Which of its streams.
    pub stream: Stream,
    /// Which way it came.
    pub lane: Lane,
    /// The entries.
    pub entries: Vec<Entry>,
}

impl Batch {
    /// The JSON array that is sent.
    pub fn payload(&self) -> String {
        let bytes: usize = self.entries.iter().map(|entry| entry.json.len() + 1).sum();
        let mut payload = String::with_capacity(bytes + 1);
        for (index, entry) in self.entries.iter().enumerate() {
            payload.push(if index == 0 { '[' } else { ',' });
            payload.push_str(&entry.json);
        }
        payload.push(']');
        payload
    }

    /// The epoch of all entries.
    pub fn epoch(&self) -> u64 {
        self.entries.first().map_or(0, |entry| entry.epoch)
    }

    /// The number of the first entry.
    pub fn first(&self) -> u64 {
        self.entries.first().map_or(0, |entry| entry.seq)
    }

    /// The number of the last entry.
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.seq)
    }
}

/// An entry in memory.
#[derive(Debug)]
struct Held {
    entry: Entry,
    taken_at: Instant,
}

impl Held {
    fn name(&self) -> Name {
        (self.entry.epoch, self.entry.seq)
    }
}

/// What is to be dropped once the spool's thread tells of it.
#[derive(Debug)]
pub(super) struct Dropping {
    pub queue: usize,
    pub span: Span,
    /// None: it is not told, because it is a gap that nobody takes.
    pub cause: Option<DropCause>,
    /// Also what was sent in this session and may arrive yet.
    pub even_sent: bool,
    pub since_ns: i64,
    pub until_ns: i64,
    /// Gaps among it, by number, and what each tells.
    pub gaps: Vec<(u64, Lost)>,
}

/// What a reader has to fetch from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub queue: usize,
    pub machine: Arc<str>,
    pub stream: Stream,
    pub span: Span,
}

/// What comes next of the backlog.
#[derive(Debug)]
pub(super) enum Next {
    /// It was in memory.
    Batch(Batch),
    /// It is in the store.
    Stored(Wanted),
}

/// Of one machine and stream.
#[derive(Debug)]
pub(super) struct Queue {
    pub machine: Arc<str>,
    pub stream: Stream,
    newest: Name,
    newest_ns: i64,
    pub restart_ns: Option<i64>,
    recent: VecDeque<Held>,
    /// Entries up to this one are in the store.
    stored: Name,
    unreleased: Ranges,
    /// Read since the last rewind.
    sent: Ranges,
    /// Read ever, or by an earlier process perhaps: what may be released.
    given: Ranges,
    /// Entries from this one on are live.
    live_from: Name,
    /// Bytes of live entries that nobody read yet.
    live_bytes: usize,
    oldest_stored_ns: Option<i64>,
}

impl Queue {
    fn after_newest(&self) -> Name {
        (self.newest.0, self.newest.1 + 1)
    }

    fn recent_at(&self, name: Name) -> Option<usize> {
        self.recent.binary_search_by_key(&name, Held::name).ok()
    }

    /// The live entry that has waited longest.
    fn live_front(&self) -> Option<(Span, Instant)> {
        if self.live_bytes == 0 {
            return None;
        }
        let span = self
            .unreleased
            .first_outside(&self.sent, self.live_from, END)?;
        let held = self.recent.get(self.recent_at((span.epoch, span.first))?)?;
        Some((span, held.taken_at))
    }

    /// What is live and unread becomes backlog, and the next entry is live.
    fn live_again(&mut self) {
        self.live_from = self.after_newest();
        self.live_bytes = 0;
        self.trim();
    }

    /// Forgets entries that are stored and that nobody is about to read live.
    fn trim(&mut self) {
        while let Some(held) = self.recent.front() {
            let name = held.name();
            let unread = name >= self.live_from
                && self.unreleased.contains(name)
                && !self.sent.contains(name);
            if name > self.stored || unread {
                break;
            }
            self.recent.pop_front();
        }
        if self.recent.capacity() > 1024 && self.recent.len() < self.recent.capacity() / 8 {
            self.recent.shrink_to(self.recent.len() * 2);
        }
    }

    fn mark_sent(&mut self, span: Span) {
        self.sent.insert(span);
        self.given.insert(span);
    }

    /// Entries from memory, as many as fit.
    fn read(&mut self, span: Span, bytes_max: usize, lane: Lane) -> Option<Batch> {
        let from = self.recent_at((span.epoch, span.first))?;
        let held = self.recent.range(from..).map(|held| &held.entry);
        let entries = fitting(held, span, bytes_max);
        let last = entries.last()?.seq;
        if lane == Lane::Live {
            let bytes: usize = entries.iter().map(|entry| entry.json.len()).sum();
            self.live_bytes = self.live_bytes.saturating_sub(bytes);
        }
        self.mark_sent(Span { last, ..span });
        self.trim();
        Some(Batch {
            machine: Arc::clone(&self.machine),
            stream: self.stream,
            lane,
            entries,
        })
    }
}

/// The entries of a range that fit into a payload: at least one.
pub(super) fn fitting<'a>(
    entries: impl Iterator<Item = &'a Entry>,
    span: Span,
    bytes_max: usize,
) -> Vec<Entry> {
    let mut payload_bytes = "[]".len();
    let mut fitting = Vec::new();
    for entry in entries {
        if entry.epoch != span.epoch || entry.seq > span.last {
            break;
        }
        payload_bytes += entry.json.len() + usize::from(!fitting.is_empty());
        if payload_bytes > bytes_max && !fitting.is_empty() {
            break;
        }
        fitting.push(entry.clone());
    }
    fitting
}

/// When the next live batch is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Now(usize),
    At(Instant),
    WhenTaken,
}

/// All queues.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: Vec<Queue>,
    /// Where reading goes on in each lane, so that no machine waits for a busier one.
    live_turn: usize,
    backlog_turn: usize,
    /// What the spool's thread is to drop and to tell.
    drops: VecDeque<Dropping>,
    /// Whether there is something to store besides entries.
    released_since_stored: bool,
    pub counts: Counts,
}

impl Queues {
    /// Index of the machine's queue for `stream`, made when it isn't there.
    pub fn queue(&mut self, machine: &Arc<str>, stream: Stream) -> usize {
        if let Some(index) = self.position(machine, stream) {
            return index;
        }
        self.restore(StreamState {
            machine: Arc::clone(machine),
            stream,
            newest_epoch: 0,
            newest_ns: 0,
            restart_ns: None,
            unreleased: Ranges::default(),
        })
    }

    /// Takes up a stream where an earlier process left it: all of it is backlog.
    pub fn restore(&mut self, state: StreamState) -> usize {
        self.queues.push(Queue {
            machine: state.machine,
            stream: state.stream,
            // Behind whatever number was the last of that epoch.
            newest: (state.newest_epoch, u64::MAX - 1),
            newest_ns: state.newest_ns,
            restart_ns: state.restart_ns,
            recent: VecDeque::new(),
            stored: (state.newest_epoch, u64::MAX),
            given: state.unreleased.clone(),
            unreleased: state.unreleased,
            sent: Ranges::default(),
            live_from: (state.newest_epoch + 1, 0),
            live_bytes: 0,
            oldest_stored_ns: None,
        });
        self.queues.len() - 1
    }

    fn position(&self, machine: &str, stream: Stream) -> Option<usize> {
        self.queues
            .iter()
            .position(|queue| queue.stream == stream && &*queue.machine == machine)
    }

    pub fn get(&mut self, index: usize) -> Option<&mut Queue> {
        self.queues.get_mut(index)
    }

    pub fn len(&self) -> usize {
        self.queues.len()
    }

    /// Takes what the tail has.
    pub fn push(&mut self, index: usize, entry: Entry, now: Instant) {
        let Some(queue) = self.queues.get_mut(index) else {
            return;
        };
        let (epoch, seq) = (entry.epoch, entry.seq);
        queue.newest = (epoch, seq);
        queue.newest_ns = entry.t_unix_ns;
        queue.unreleased.insert(Span {
            epoch,
            first: seq,
            last: seq,
        });
        queue.live_bytes += entry.json.len();
        queue.recent.push_back(Held {
            entry,
            taken_at: now,
        });
        self.counts.taken += 1;
    }

    /// Live entries that nobody reads become backlog.
    pub fn age_live(&mut self, now: Instant) {
        for queue in &mut self.queues {
            if queue
                .live_front()
                .is_some_and(|(_, at)| at + LIVE_LAG_MAX <= now)
            {
                queue.live_again();
            }
        }
    }

    /// Lets go of what a job stored, up to this entry of a stream.
    pub fn stored(&mut self, index: usize, up_to: Option<Name>, oldest_ns: Option<i64>) {
        if let Some(queue) = self.queues.get_mut(index) {
            queue.oldest_stored_ns = oldest_ns;
            if let Some(up_to) = up_to {
                queue.stored = up_to;
                queue.trim();
            }
        }
    }

    /// Keeps what is only in memory for its readers' sake within bounds.
    pub fn bound_live(&mut self) {
        let stored_bytes = |queue: &Queue| -> usize {
            let stored = queue
                .recent
                .iter()
                .take_while(|held| held.name() <= queue.stored);
            stored.map(|held| held.entry.json.len()).sum()
        };
        let mut bytes: Vec<usize> = self.queues.iter().map(stored_bytes).collect();
        while bytes.iter().sum::<usize>() > LIVE_BYTES_MAX {
            let most = bytes
                .iter_mut()
                .zip(&mut self.queues)
                .max_by_key(|(bytes, _)| **bytes);
            let Some((bytes, queue)) = most else { return };
            *bytes = 0;
            queue.live_again();
        }
    }

    /// When a live batch of `bytes_max` is there, or a live entry has waited for `linger`.
    pub fn live_due(&self, bytes_max: usize, linger: Duration, now: Instant) -> Due {
        let mut due = Due::WhenTaken;
        let count = self.queues.len();
        for index in (0..count).map(|step| (self.live_turn + step) % count) {
            let Some(queue) = self.queues.get(index) else {
                continue;
            };
            let Some((_, taken_at)) = queue.live_front() else {
                continue;
            };
            let at = taken_at + linger;
            if queue.live_bytes >= bytes_max || at <= now {
                return Due::Now(index);
            }
            due = match due {
                Due::At(earlier) if earlier <= at => due,
                _ => Due::At(at),
            };
        }
        due
    }

    /// The live entries of that queue. They are sent from here on.
    pub fn read_live(&mut self, index: usize, bytes_max: usize) -> Option<Batch> {
        self.live_turn = index + 1;
        let queue = self.queues.get_mut(index)?;
        let (span, _) = queue.live_front()?;
        queue.read(span, bytes_max, Lane::Live)
    }

    /// The next of the backlog: of the machine whose turn it is.
    pub fn next_backlog(&mut self, bytes_max: usize) -> Option<Next> {
        let count = self.queues.len();
        let (index, span) = (0..count).find_map(|step| {
            let index = (self.backlog_turn + step) % count;
            let queue = self.queues.get(index)?;
            let span = queue
                .unreleased
                .first_outside(&queue.sent, (0, 0), queue.live_from)?;
            Some((index, span))
        })?;
        let queue = self.queues.get_mut(index)?;
        if let Some(batch) = queue.read(span, bytes_max, Lane::Backlog) {
            self.backlog_turn = index + 1;
            return Some(Next::Batch(batch));
        }
        Some(Next::Stored(Wanted {
            queue: index,
            machine: Arc::clone(&queue.machine),
            stream: queue.stream,
            span,
        }))
    }

    /// Makes a batch of entries that were in the store.
    pub fn read_stored(&mut self, wanted: &Wanted, entries: Vec<Entry>) -> Option<Batch> {
        self.backlog_turn = wanted.queue + 1;
        let last = entries.last()?.seq;
        self.queues.get_mut(wanted.queue)?.mark_sent(Span {
            last,
            ..wanted.span
        });
        Some(Batch {
            machine: Arc::clone(&wanted.machine),
            stream: wanted.stream,
            lane: Lane::Backlog,
            entries,
        })
    }

    /// Releases these numbers, of those that were given out; says how many that were.
    pub fn release(&mut self, machine: &str, stream: Stream, span: Span) -> u64 {
        let Some(index) = self.position(machine, stream) else {
            return 0;
        };
        let Some(queue) = self.queues.get_mut(index) else {
            return 0;
        };
        let mut released = 0;
        for part in queue.given.common(span) {
            if queue.unreleased.len() >= UNRELEASED_RANGES_MAX && queue.unreleased.splits(part) {
                continue;
            }
            queue.given.remove(part);
            queue.sent.remove(part);
            let gone = queue.unreleased.remove(part);
            released += gone.iter().map(Span::count).sum::<u64>();
        }
        queue.trim();
        self.counts.released += released;
        self.released_since_stored |= released > 0;
        released
    }

    /// Asks for a batch to be dropped that will never be taken.
    pub fn refuse(&mut self, batch: &Batch) {
        let Some(queue) = self.position(&batch.machine, batch.stream) else {
            return;
        };
        for run in batch
            .entries
            .chunk_by(|one, two| is_gap(one) == is_gap(two))
        {
            let (Some(first), Some(last)) = (run.first(), run.last()) else {
                continue;
            };
            self.drops.push_back(Dropping {
                queue,
                span: Span {
                    epoch: first.epoch,
                    first: first.seq,
                    last: last.seq,
                },
                // A gap that is refused is not told again: it would be refused again.
                cause: (!is_gap(first)).then_some(DropCause::Refused),
                even_sent: true,
                since_ns: first.t_unix_ns,
                until_ns: last.t_unix_ns,
                gaps: Vec::new(),
            });
        }
    }

    /// Whether something was released since this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.released_since_stored)
    }

    pub fn count_dropped(&mut self, cause: DropCause, count: u64) {
        *self.counts.dropped.entry(cause.name()).or_default() += count;
    }

    /// The stream has told that the last stop was not a clean one.
    pub fn restart_told(&mut self, index: usize) {
        if let Some(queue) = self.queues.get_mut(index) {
            queue.restart_ns = None;
        }
    }

    /// Asks for something to be dropped.
    pub fn ask_drop(&mut self, drop: Dropping) {
        self.drops.push_back(drop);
    }

    pub fn next_drop(&mut self) -> Option<Dropping> {
        self.drops.pop_front()
    }

    /// Takes out what is to be dropped; says what has to be told of it.
    pub fn take_out(&mut self, drop: &Dropping) -> Vec<Lost> {
        let Some(queue) = self.queues.get_mut(drop.queue) else {
            return Vec::new();
        };
        let mut gone = Ranges::default();
        for part in queue.unreleased.common(drop.span) {
            gone.insert(part);
        }
        if !drop.even_sent {
            for span in queue.sent.spans() {
                gone.remove(span);
            }
        }
        let told = drop
            .gaps
            .iter()
            .filter(|(seq, _)| gone.contains((drop.span.epoch, *seq)));
        let mut lost: Vec<Lost> = told.map(|(_, lost)| lost.clone()).collect();
        for span in gone.spans() {
            let live = queue.recent.iter().filter(|held| {
                let name = held.name();
                span.contains(name) && name >= queue.live_from && !queue.sent.contains(name)
            });
            let live_bytes: usize = live.map(|held| held.entry.json.len()).sum();
            queue.live_bytes = queue.live_bytes.saturating_sub(live_bytes);
            queue.unreleased.remove(span);
            queue.sent.remove(span);
            queue.given.remove(span);
            let cause = drop.cause.unwrap_or(DropCause::Refused);
            *self.counts.dropped.entry(cause.name()).or_default() += span.count();
            if drop.cause.is_some() {
                lost.push(Lost {
                    cause,
                    count: Some(span.count()),
                    since_ns: drop.since_ns,
                    until_ns: drop.until_ns,
                    clock: crate::words::ClockState::Unsynced,
                    numbers: Some(span),
                });
            }
        }
        queue.trim();
        lost
    }

    /// A session ended: all that is unreleased is backlog, and what comes is live.
    pub fn rewind(&mut self) {
        for queue in &mut self.queues {
            queue.sent.clear();
            queue.live_again();
        }
    }

    /// What is stored of each stream besides its entries, with its index and what is on its way.
    pub fn states(&self) -> (Vec<usize>, Vec<StreamState>, Vec<Ranges>) {
        let (mut indices, mut states, mut sent) = (Vec::new(), Vec::new(), Vec::new());
        for (index, queue) in self.queues.iter().enumerate() {
            if queue.newest.0 == 0 {
                continue;
            }
            indices.push(index);
            sent.push(queue.sent.clone());
            states.push(StreamState {
                machine: Arc::clone(&queue.machine),
                stream: queue.stream,
                newest_epoch: queue.newest.0,
                newest_ns: queue.newest_ns,
                restart_ns: queue.restart_ns,
                unreleased: queue.unreleased.clone(),
            });
        }
        (indices, states, sent)
    }

    /// What is in memory of a record between two times, oldest first.
    pub fn recent(&self, machine: &str, record: &str, from_ns: i64, to_ns: i64) -> Vec<Entry> {
        let of_machine = self
            .queues
            .iter()
            .filter(|queue| &*queue.machine == machine);
        of_machine
            .flat_map(|queue| &queue.recent)
            .map(|held| &held.entry)
            .filter(|entry| {
                &*entry.record == record && (from_ns..=to_ns).contains(&entry.t_unix_ns)
            })
            .cloned()
            .collect()
    }

    pub fn backlog(&self) -> Backlog {
        let mut backlog = Backlog::default();
        for queue in &self.queues {
            let Some(first) = queue.unreleased.first() else {
                continue;
            };
            backlog.entries += queue.unreleased.count();
            if queue.stream == Stream::Records {
                backlog.records += queue.unreleased.count();
            }
            let recent = queue.recent_at(first).and_then(|at| queue.recent.get(at));
            let oldest = recent
                .map(|held| held.entry.t_unix_ns)
                .or(queue.oldest_stored_ns);
            backlog.oldest_unix_ns = match (backlog.oldest_unix_ns, oldest) {
                (Some(one), Some(two)) => Some(one.min(two)),
                (one, two) => one.or(two),
            };
        }
        backlog
    }
}

fn is_gap(entry: &Entry) -> bool {
    &*entry.record == GAP
}

#[cfg(test)]
#[path = "queues_tests.rs"]
mod tests;
