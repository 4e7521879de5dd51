//! What the spool holds, as plain values: numbering, order, limits and gaps. No clock, no task, no
//! lock; those are in `mod.rs`.
//!
//! A queue per machine and stream. Entries wait, are read (and are then in flight), and leave when
//! they are released. What was in flight when a session ended waits again, as backlog, and is read
//! beside what came since. When there is no room, the oldest that wait are dropped, those of all
//! machines alike by age; what is in flight stays, because whether it arrived isn't known yet.

use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use crate::config::limits::{ENTRY_OVERHEAD_BYTES, GAPS_PENDING_MAX};
use crate::spool::json::{self, Fields, Place};
use crate::spool::numbering::Numbering;
use crate::time;
use crate::words::{ClockState, Entry, Identity, RawFrame, Record, Stamp, Stream};

/// The record that stands for what is missing.
const GAP: &str = "gap";
/// Who makes `gap` records.
const GAP_MODULE: &str = concat!("retrotap@", env!("CARGO_PKG_VERSION"));
/// A wall clock that goes back further than this begins a new epoch.
const CLOCK_STEP_NS: i64 = 1_000_000_000;

/// Why entries are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DropCause {
    /// The spool didn't take them in time; they never had a number.
    IntakeFull,
    /// They were the oldest when the spool was full.
    SpoolFull,
    /// The broker will never take them: larger than it accepts, or a payload that it refuses.
    Refused,
}

impl DropCause {
    /// As it stands in the `gap` record and in counters.
    pub fn name(self) -> &'static str {
        match self {
            Self::IntakeFull => "intake_full",
            Self::SpoolFull => "spool_full",
            Self::Refused => "refused",
        }
    }
}

/// What a line hands over.
#[derive(Debug)]
pub(super) enum Taking {
    Record(Record),
    Frame(RawFrame),
}

/// Missing entries that no `gap` record tells of yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lost {
    pub cause: DropCause,
    pub count: u64,
    /// Unix nanoseconds of the first and the last of them.
    pub since_ns: i64,
    pub until_ns: i64,
    pub clock: ClockState,
    /// Epoch, first and last number, where they had one.
    pub numbers: Option<(u64, u64, u64)>,
}

impl Lost {
    fn joins(&self, other: &Self) -> bool {
        self.cause == other.cause
            && self.numbers.map(|(epoch, ..)| epoch) == other.numbers.map(|(epoch, ..)| epoch)
    }

    /// `other` came after `self`.
    fn join(&mut self, other: &Self) {
        self.count += other.count;
        self.since_ns = self.since_ns.min(other.since_ns);
        self.until_ns = self.until_ns.max(other.until_ns);
        self.clock = other.clock;
        self.numbers = match (self.numbers, other.numbers) {
            (Some((epoch, first, last)), Some((other_epoch, other_first, other_last)))
                if epoch == other_epoch =>
            {
                Some((epoch, first.min(other_first), last.max(other_last)))
            }
            _ => None,
        };
    }
}

/// An entry with what only the spool knows of it.
#[derive(Debug)]
struct Held {
    entry: Entry,
    taken_at: Instant,
    t_unix_ns: i64,
    clock: ClockState,
    /// What a `gap` entry tells of, so that it can be told again if the gap itself is dropped.
    tells: Option<Lost>,
}

impl Held {
    fn bytes(&self) -> usize {
        self.entry.json.len() + ENTRY_OVERHEAD_BYTES
    }

    fn name(&self) -> (u64, u64) {
        (self.entry.epoch, self.entry.seq)
    }
}

#[derive(Debug)]
struct Queue {
    numbering: Numbering,
    stream: Stream,
    /// Never read.
    live: Waiting,
    /// Read in a session that ended.
    backlog: Waiting,
    in_flight: VecDeque<Held>,
    lost: Vec<Lost>,
}

/// Entries that wait to be read, in the order of their numbers.
#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Held>,
    bytes: usize,
}

impl Waiting {
    fn push_back(&mut self, held: Held) {
        self.bytes += held.bytes();
        self.entries.push_back(held);
    }

    fn pop_front(&mut self) -> Option<Held> {
        let held = self.entries.pop_front()?;
        self.bytes -= held.bytes();
        Some(held)
    }

    fn front(&self) -> Option<&Held> {
        self.entries.front()
    }
}

impl Queue {
    fn waiting(&self, lane: Lane) -> &Waiting {
        match lane {
            Lane::Live => &self.live,
            Lane::Backlog => &self.backlog,
        }
    }

    fn waiting_mut(&mut self, lane: Lane) -> &mut Waiting {
        match lane {
            Lane::Live => &mut self.live,
            Lane::Backlog => &mut self.backlog,
        }
    }

    /// The entry that has waited longest. The backlog is always older than what is live.
    fn oldest_waiting(&self) -> Option<(Lane, &Held)> {
        let lane = |lane| Some((lane, self.waiting(lane).front()?));
        lane(Lane::Backlog).or_else(|| lane(Lane::Live))
    }

    fn is_of(&self, machine: &str, stream: Stream) -> bool {
        self.stream == stream && &*self.numbering.identity().machine == machine
    }

    fn lose(&mut self, lost: Lost) {
        if let Some(same) = self.lost.iter_mut().find(|held| held.joins(&lost)) {
            same.join(&lost);
            return;
        }
        self.lost.push(lost);
        if self.lost.len() > GAPS_PENDING_MAX {
            let oldest = self.lost.remove(0);
            if let Some(next) = self.lost.first_mut() {
                next.numbers = None;
                next.join(&Lost {
                    numbers: None,
                    ..oldest
                });
            }
        }
    }

    fn lose_held(&mut self, held: &Held, cause: DropCause) {
        if let Some(told) = &held.tells {
            self.lose(told.clone());
        }
        let Entry { epoch, seq, .. } = held.entry;
        self.lose(Lost {
            cause,
            count: 1,
            since_ns: held.t_unix_ns,
            until_ns: held.t_unix_ns,
            clock: held.clock,
            numbers: Some((epoch, seq, seq)),
        });
    }
}

/// Counted since the spool was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Entries that got a number.
    pub taken: u64,
    /// Entries that left because they were released.
    pub released: u64,
    /// Entries and takings that were dropped, by cause.
    pub dropped: BTreeMap<&'static str, u64>,
}

/// What is still to be released.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Entries of both streams.
    pub entries: usize,
    /// Of them, records.
    pub records: usize,
    /// Bytes of memory.
    pub bytes: usize,
    /// When the oldest was taken.
    pub oldest_taken_at: Option<Instant>,
}

/// Which of two ways out an entry takes, so that what is new doesn't wait behind what is old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// Taken in since the session began.
    Live,
    /// Held from before it.
    Backlog,
}

/// Which lanes may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lanes {
    /// What is new.
    pub live: bool,
    /// What is old.
    pub backlog: bool,
}

impl Lanes {
    /// Both.
    pub const BOTH: Self = Self {
        live: true,
        backlog: true,
    };

    /// Whether there is one at all.
    pub fn any(self) -> bool {
        self.live || self.backlog
    }

    /// Those that are open, in the order in which they are read.
    fn open(self) -> impl Iterator<Item = Lane> {
        let open = [(self.live, Lane::Live), (self.backlog, Lane::Backlog)];
        open.into_iter()
            .filter_map(|(open, lane)| open.then_some(lane))
    }
}

/// Entries of one machine, stream and epoch whose numbers follow each other; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The machine.
    pub machine: Arc<str>,
    /// Which of its streams.
    pub stream: Stream,
    /// Which way it takes.
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

    /// The epoch of all of them.
    pub fn epoch(&self) -> u64 {
        self.entries.first().map_or(0, |entry| entry.epoch)
    }

    /// The first number.
    pub fn first(&self) -> u64 {
        self.entries.first().map_or(0, |entry| entry.seq)
    }

    /// The last number.
    pub fn last(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.seq)
    }
}

/// When the next batch is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Now,
    At(Instant),
    WhenTaken,
}

/// All queues under their common limit.
#[derive(Debug)]
pub(super) struct Queues {
    site: Arc<str>,
    gateway: Arc<str>,
    bytes_max: usize,
    epoch: u64,
    bytes: usize,
    queues: Vec<Queue>,
    /// Where reading goes on, so that no machine waits for a busier one.
    turn: usize,
    pub counts: Counts,
}

impl Queues {
    pub fn new(site: Arc<str>, gateway: Arc<str>, bytes_max: usize, epoch: u64) -> Self {
        Self {
            site,
            gateway,
            bytes_max,
            epoch,
            bytes: 0,
            queues: Vec::new(),
            turn: 0,
            counts: Counts::default(),
        }
    }

    /// Index of the machine's queue for `stream`, made when it isn't there.
    pub fn queue(&mut self, machine: &str, stream: Stream) -> usize {
        if let Some(index) = self
            .queues
            .iter()
            .position(|queue| queue.is_of(machine, stream))
        {
            return index;
        }
        self.queues.push(Queue {
            numbering: Numbering::new(
                Identity {
                    site: Arc::clone(&self.site),
                    gateway: Arc::clone(&self.gateway),
                    machine: machine.into(),
                },
                self.epoch,
            ),
            stream,
            live: Waiting::default(),
            backlog: Waiting::default(),
            in_flight: VecDeque::new(),
            lost: Vec::new(),
        });
        self.queues.len() - 1
    }

    /// Gives the next number, writes the JSON and keeps it; drops the oldest if there is no room.
    pub fn take(&mut self, index: usize, taking: &Taking, now: Instant) -> Option<Entry> {
        let entry = self.append(index, taking, None, now)?;
        while self.bytes > self.bytes_max && self.drop_oldest() {}
        Some(entry)
    }

    /// Counts what was lost before it had a number; a `gap` record will tell of it.
    pub fn lose(&mut self, index: usize, lost: Lost) {
        *self.counts.dropped.entry(lost.cause.name()).or_default() += lost.count;
        if let Some(queue) = self.queues.get_mut(index) {
            queue.lose(lost);
        }
    }

    fn append(
        &mut self,
        index: usize,
        taking: &Taking,
        tells: Option<Lost>,
        now: Instant,
    ) -> Option<Entry> {
        let (name, at, clock): (Arc<str>, Stamp, ClockState) = match taking {
            Taking::Record(record) => (Arc::clone(&record.name), record.at, record.clock),
            Taking::Frame(frame) => ("frame".into(), frame.at, frame.clock),
        };
        let last_t = self.queues.get(index)?.numbering.last_t(&name);
        // Gaps tell of the past and don't say anything about the clock.
        let stepped = tells.is_none()
            && last_t.is_some_and(|last| last.saturating_sub(at.wall_ns) > CLOCK_STEP_NS);
        if stepped {
            self.epoch += 1;
            for queue in &mut self.queues {
                queue.numbering.restart(self.epoch);
            }
        }
        let queue = self.queues.get_mut(index)?;
        let place = queue.numbering.next(&name, at.wall_ns);
        let Place {
            epoch,
            seq,
            t_unix_ns,
        } = place;
        let identity = queue.numbering.identity();
        let json = match taking {
            Taking::Record(record) => json::record(identity, place, record),
            Taking::Frame(frame) => json::frame(identity, place, frame),
        };
        let entry = Entry {
            machine: Arc::clone(&identity.machine),
            stream: queue.stream,
            record: name,
            epoch,
            seq,
            line_ns: at.line_ns,
            json: json.into(),
        };
        let held = Held {
            entry: entry.clone(),
            taken_at: now,
            t_unix_ns,
            clock,
            tells,
        };
        self.bytes += held.bytes();
        queue.live.push_back(held);
        self.counts.taken += 1;
        Some(entry)
    }

    /// Drops the entry that has waited longest; false if none waits.
    fn drop_oldest(&mut self) -> bool {
        let oldest = self
            .queues
            .iter_mut()
            .filter_map(|queue| {
                let (lane, held) = queue.oldest_waiting()?;
                Some((held.taken_at, lane, queue))
            })
            .min_by_key(|(taken_at, ..)| *taken_at);
        let Some((_, lane, queue)) = oldest else {
            return false;
        };
        let Some(held) = queue.waiting_mut(lane).pop_front() else {
            return false;
        };
        self.bytes -= held.bytes();
        queue.lose_held(&held, DropCause::SpoolFull);
        *self
            .counts
            .dropped
            .entry(DropCause::SpoolFull.name())
            .or_default() += 1;
        true
    }

    /// When there is a batch of `bytes_max`, or an entry has waited for `linger`. What is old has
    /// waited long enough.
    pub fn due(
        &self,
        bytes_max: usize,
        linger: std::time::Duration,
        lanes: Lanes,
        now: Instant,
    ) -> Due {
        let mut due = Due::WhenTaken;
        for queue in &self.queues {
            let full = lanes.live && queue.live.bytes >= bytes_max;
            let old = lanes.backlog && queue.backlog.front().is_some();
            if full || old || (lanes.live && !queue.lost.is_empty()) {
                return Due::Now;
            }
            let Some(front) = queue.live.front().filter(|_| lanes.live) else {
                continue;
            };
            let at = front.taken_at + linger;
            if at <= now {
                return Due::Now;
            }
            due = match due {
                Due::At(earlier) if earlier <= at => due,
                _ => Due::At(at),
            };
        }
        due
    }

    /// The next entries of a machine whose turn it is, live ones first: at least one, and no more
    /// than fit into `bytes_max` of payload. They are in flight from here on.
    pub fn read(&mut self, bytes_max: usize, lanes: Lanes, now: Instant) -> Option<Batch> {
        self.tell_gaps(now);
        let count = self.queues.len();
        let (index, lane) = lanes.open().find_map(|lane| {
            let index = (0..count)
                .map(|step| (self.turn + step) % count)
                .find(|&index| {
                    self.queues
                        .get(index)
                        .is_some_and(|queue| queue.waiting(lane).front().is_some())
                })?;
            Some((index, lane))
        })?;
        self.turn = (index + 1) % count;
        let queue = self.queues.get_mut(index)?;

        let mut entries: Vec<Entry> = Vec::new();
        let mut payload_bytes = "[]".len();
        while let Some(held) = queue.waiting(lane).front() {
            payload_bytes += held.entry.json.len() + usize::from(!entries.is_empty());
            let follows = entries.last().is_none_or(|last| {
                (last.epoch, last.seq + 1) == (held.entry.epoch, held.entry.seq)
            });
            if !follows || (payload_bytes > bytes_max && !entries.is_empty()) {
                break;
            }
            let Some(held) = queue.waiting_mut(lane).pop_front() else {
                break;
            };
            entries.push(held.entry.clone());
            queue.in_flight.push_back(held);
        }
        Some(Batch {
            machine: Arc::clone(&queue.numbering.identity().machine),
            stream: queue.stream,
            lane,
            entries,
        })
    }

    /// Turns what is lost into `gap` records at the end of their queues. Only when it is read: while
    /// nobody reads, one gap grows instead of many being told.
    fn tell_gaps(&mut self, now: Instant) {
        for index in 0..self.queues.len() {
            let Some(queue) = self.queues.get_mut(index) else {
                continue;
            };
            for lost in std::mem::take(&mut queue.lost) {
                let record = gap_record(&lost);
                self.append(index, &Taking::Record(record), Some(lost), now);
            }
        }
    }

    /// Forgets these entries, of those that were read, in this session or in one before. How many
    /// they were.
    pub fn release(
        &mut self,
        machine: &str,
        stream: Stream,
        epoch: u64,
        numbers: RangeInclusive<u64>,
    ) -> u64 {
        let Some(queue) = self
            .queues
            .iter_mut()
            .find(|queue| queue.is_of(machine, stream))
        else {
            return 0;
        };
        let is_meant = |held: &Held| held.entry.epoch == epoch && numbers.contains(&held.entry.seq);
        let (mut released, mut bytes) = (0, 0);
        for held in [&mut queue.in_flight, &mut queue.backlog.entries] {
            held.retain(|held| {
                let meant = is_meant(held);
                if meant {
                    released += 1;
                    bytes += held.bytes();
                }
                !meant
            });
        }
        queue.backlog.bytes = queue.backlog.entries.iter().map(Held::bytes).sum();
        self.bytes -= bytes;
        self.counts.released += released;
        released
    }

    /// Forgets the entries of a batch that will never be taken: they are counted, and told by a
    /// `gap` record. What else is in flight stays so.
    pub fn refuse(&mut self, batch: &Batch) {
        let (Some(first), Some(last)) = (batch.entries.first(), batch.entries.last()) else {
            return;
        };
        let names = (first.epoch, first.seq)..=(last.epoch, last.seq);
        let queue = self
            .queues
            .iter_mut()
            .find(|queue| queue.is_of(&batch.machine, batch.stream));
        let Some(queue) = queue else { return };
        let (refused, kept) = std::mem::take(&mut queue.in_flight)
            .into_iter()
            .partition(|held| names.contains(&held.name()));
        queue.in_flight = kept;
        let refused: VecDeque<Held> = refused;
        for held in refused {
            self.bytes -= held.bytes();
            // A gap that is refused is not told again: it would be refused again.
            if held.tells.is_none() {
                queue.lose_held(&held, DropCause::Refused);
            }
            *self
                .counts
                .dropped
                .entry(DropCause::Refused.name())
                .or_default() += 1;
        }
    }

    /// Puts what is in flight back, so that it is read again: a session ended.
    pub fn rewind(&mut self) {
        for queue in &mut self.queues {
            // What is in flight of both lanes, what was backlog already, and what was never read.
            let mut held: Vec<Held> = std::mem::take(&mut queue.in_flight).into();
            held.extend(std::mem::take(&mut queue.backlog).entries);
            held.extend(std::mem::take(&mut queue.live).entries);
            held.sort_by_key(Held::name);
            for held in held {
                queue.backlog.push_back(held);
            }
        }
        while self.bytes > self.bytes_max && self.drop_oldest() {}
    }

    pub fn backlog(&self) -> Backlog {
        let mut backlog = Backlog {
            bytes: self.bytes,
            ..Backlog::default()
        };
        for queue in &self.queues {
            let entries =
                queue.live.entries.len() + queue.backlog.entries.len() + queue.in_flight.len();
            backlog.entries += entries;
            if queue.stream == Stream::Records {
                backlog.records += entries;
            }
            let waits = queue.oldest_waiting().map(|(_, held)| held);
            for held in queue.in_flight.front().into_iter().chain(waits) {
                backlog.oldest_taken_at = Some(
                    backlog
                        .oldest_taken_at
                        .map_or(held.taken_at, |at| at.min(held.taken_at)),
                );
            }
        }
        backlog
    }
}

fn gap_record(lost: &Lost) -> Record {
    let mut fields = Fields::new();
    fields.text("reason", lost.cause.name());
    fields.integer("count", i64::try_from(lost.count).unwrap_or(i64::MAX));
    if let Some((epoch, first, last)) = lost.numbers {
        for (name, value) in [("of_epoch", epoch), ("first", first), ("last", last)] {
            fields.integer(name, i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
    fields.text("since", &time::rfc3339(lost.since_ns));
    fields.text("until", &time::rfc3339(lost.until_ns));
    Record {
        name: GAP.into(),
        module: GAP_MODULE.into(),
        at: Stamp {
            line_ns: 0,
            wall_ns: lost.until_ns,
        },
        clock: lost.clock,
        frame: 0,
        fields: fields.finish(),
    }
}

#[cfg(test)]
#[path = "queues_tests.rs"]
mod tests;
