//! The thread `spool`: takes what lines hand over, numbers it, writes it into the tail, and only then
//! lets others see it. The one place that gives numbers, tells gaps and begins generations.
//!
//! A turn takes something of every machine, a bounded amount of each, and makes one write of it. What
//! is dropped and what tells of it happen in one turn, with no generation's end in between: so
//! whatever is stored or in the tail, no number is missing without its gap.

mod jobs;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

use super::gaps::{DropCause, GAP, Losses, Lost};
use super::intake::{Missed, Taking};
use super::json;
use super::keeper::Keeper;
use super::numbering::Numbering;
use super::tail::Tail;
use super::{FRAME, Health, INPUT, Shared, unix_ns};
use crate::config::limits::{
    ENTRY_BYTES_MAX, ENTRY_NAMES_BYTES_MAX, GAP_EVERY, INTAKE_BATCH_ENTRIES_MAX, TURN_BYTES_MAX,
};
use crate::words::{ClockState, Entry, Identity, Stream};
use jobs::Storing;

/// A wall clock that goes back further than this begins a new epoch.
const CLOCK_STEP_NS: i64 = 1_000_000_000;

/// What the spool's handle asks of the thread.
#[derive(Debug)]
pub(super) enum Request {
    /// A machine's line begins.
    Machine {
        machine: Arc<str>,
        receiver: mpsc::Receiver<Taking>,
        missed: Missed,
    },
    /// Everything is to be stored, and the thread to end. Answered with what failed.
    Close { done: Sender<Result<(), String>> },
    /// The thread is to end as it stands, as if the process had been killed.
    Abandon,
}

/// How the thread begins.
#[derive(Debug)]
pub(super) struct Begin {
    pub site: Arc<str>,
    pub gateway: Arc<str>,
    pub sync_every: Duration,
    pub max_age: Option<Duration>,
    pub max_bytes: u64,
    pub epoch: u64,
    /// A damaged database was put aside: what it held is missing in every stream.
    pub damaged: bool,
    pub tail: Tail,
}

/// A machine whose line hands over.
#[derive(Debug)]
struct Source {
    receiver: mpsc::Receiver<Taking>,
    missed: Missed,
    /// Its queues, in the order of [`Stream::ALL`].
    queues: [usize; Stream::ALL.len()],
}

/// What only this thread has to know of a stream.
#[derive(Debug)]
struct Numbered {
    numbering: Numbering,
    stream: Stream,
    losses: Losses,
    told_at: Option<Instant>,
    /// Of the last entry.
    clock: ClockState,
    /// Its line has begun.
    met: bool,
}

/// What one turn takes, with the queue of each entry.
#[derive(Debug, Default)]
struct Turn {
    entries: Vec<(usize, Entry)>,
    /// The entries as records of the tail.
    records: Vec<u8>,
}

/// The thread's state.
#[derive(Debug)]
pub(super) struct Taker {
    shared: Arc<Shared>,
    requests: Receiver<Request>,
    keeper: Keeper,
    begin: Begin,
    epoch: u64,
    sources: Vec<Source>,
    /// Where taking begins, so that no machine waits for a busier one.
    turn: usize,
    streams: Vec<Numbered>,
    /// Entries of this generation.
    pending: Vec<Entry>,
    /// Records that the tail didn't take yet, because writing failed.
    unwritten: Vec<u8>,
    storing: Option<Storing>,
    synced_at: Instant,
    closing: Option<(Instant, Sender<Result<(), String>>)>,
    /// The last job was given.
    closed: bool,
}

impl Taker {
    pub fn new(
        shared: Arc<Shared>,
        requests: Receiver<Request>,
        keeper: Keeper,
        begin: Begin,
    ) -> Self {
        let mut taker = Self {
            shared,
            requests,
            keeper,
            epoch: begin.epoch,
            begin,
            sources: Vec::new(),
            turn: 0,
            streams: Vec::new(),
            pending: Vec::new(),
            unwritten: Vec::new(),
            storing: None,
            synced_at: Instant::now(),
            closing: None,
            closed: false,
        };
        taker.meet_queues();
        taker
    }

    /// Works until it is asked to end.
    pub fn run(mut self) {
        while !self.do_requests() {
            let now = Instant::now();
            self.look_at_store(now);
            let busy = self.take_turn(now);
            self.sync(now);
            if busy {
                continue;
            }
            if self.closing.is_some() && self.close(now) {
                return;
            }
            std::thread::park_timeout(self.sleep(now));
        }
    }

    /// Does what the handle asks for. True: end.
    fn do_requests(&mut self) -> bool {
        loop {
            match self.requests.try_recv() {
                Ok(Request::Machine {
                    machine,
                    receiver,
                    missed,
                }) => self.meet(&machine, receiver, missed),
                Ok(Request::Close { done }) => self.begin_to_close(done),
                Ok(Request::Abandon) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    /// A machine's line begins; what is missing from before is told first.
    fn meet(&mut self, machine: &Arc<str>, receiver: mpsc::Receiver<Taking>, missed: Missed) {
        let shared = Arc::clone(&self.shared);
        let mut held = shared.queues();
        let queues = Stream::ALL.map(|stream| held.queue(machine, stream));
        let restarts = queues.map(|index| held.get(index).and_then(|queue| queue.restart_ns));
        std::mem::drop(held);
        self.meet_queues();
        let now_ns = unix_ns(SystemTime::now());
        for (index, restart_ns) in queues.into_iter().zip(restarts) {
            let Some(stream) = self.streams.get_mut(index).filter(|stream| !stream.met) else {
                continue;
            };
            stream.met = true;
            let damaged = self
                .begin
                .damaged
                .then_some((DropCause::Damaged, restart_ns.unwrap_or(now_ns)));
            let restart = restart_ns.map(|since_ns| (DropCause::Restart, since_ns));
            for (cause, since_ns) in damaged.into_iter().chain(restart) {
                stream.losses.add(Lost {
                    cause,
                    count: None,
                    since_ns,
                    until_ns: now_ns,
                    clock: ClockState::Unsynced,
                    numbers: None,
                });
            }
        }
        self.sources.push(Source {
            receiver,
            missed,
            queues,
        });
    }

    /// Numbers for queues that are new.
    fn meet_queues(&mut self) {
        let mut queues = self.shared.queues();
        for index in self.streams.len()..queues.len() {
            let Some(queue) = queues.get(index) else {
                continue;
            };
            let identity = Identity {
                site: Arc::clone(&self.begin.site),
                gateway: Arc::clone(&self.begin.gateway),
                machine: Arc::clone(&queue.machine),
            };
            self.streams.push(Numbered {
                numbering: Numbering::new(identity, self.epoch),
                stream: queue.stream,
                losses: Losses::default(),
                told_at: None,
                clock: ClockState::Unsynced,
                met: false,
            });
        }
    }

    /// Takes what is there, as much as a turn may; says whether there was something.
    fn take_turn(&mut self, now: Instant) -> bool {
        if !self.has_room(now) {
            return false;
        }
        let mut turn = Turn::default();
        self.do_drops();
        self.tell(&mut turn, now);
        self.take(&mut turn);
        self.tell(&mut turn, now);
        if turn.entries.is_empty() && self.unwritten.is_empty() {
            return false;
        }
        self.write(&turn);
        let busy = !turn.entries.is_empty();
        self.publish(turn, now);
        busy
    }

    /// Takes out what is to be dropped. What tells of it is written in the same turn.
    fn do_drops(&mut self) {
        let mut told = 0;
        while told < TURN_BYTES_MAX / GAP_BYTES {
            let mut queues = self.shared.queues();
            let Some(drop) = queues.next_drop() else {
                return;
            };
            let lost = queues.take_out(&drop);
            std::mem::drop(queues);
            if let Some(stream) = self.streams.get_mut(drop.queue) {
                for mut lost in lost {
                    lost.clock = stream.clock;
                    stream.losses.add(lost);
                    told += 1;
                }
            }
        }
    }

    /// Writes `gap` records: at once where they have numbers or are a stream's first, else now and
    /// then.
    fn tell(&mut self, turn: &mut Turn, now: Instant) {
        for index in 0..self.streams.len() {
            let Some(stream) = self.streams.get_mut(index) else {
                continue;
            };
            let lately = stream.told_at.is_some_and(|at| now < at + GAP_EVERY);
            if stream.losses.is_empty()
                || (lately && !stream.losses.has_numbers() && self.closing.is_none())
            {
                continue;
            }
            stream.told_at = Some(now);
            for lost in stream.losses.take() {
                self.append(index, &Taking::Record(lost.record()), turn);
            }
        }
    }

    /// Numbers something of every machine.
    fn take(&mut self, turn: &mut Turn) {
        let count = self.sources.len();
        let (begin, mut ended) = (self.turn, false);
        for index in (0..count).map(|step| (begin + step) % count) {
            let mut taken = 0;
            while taken < INTAKE_BATCH_ENTRIES_MAX && turn.records.len() < TURN_BYTES_MAX {
                let Some(source) = self.sources.get_mut(index) else {
                    break;
                };
                let taking = match source.receiver.try_recv() {
                    Ok(taking) => taking,
                    Err(error) => {
                        ended |= error == mpsc::error::TryRecvError::Disconnected;
                        break;
                    }
                };
                taken += 1;
                if let Some(queue) = source.queues.get(taking.stream() as usize).copied() {
                    self.take_one(queue, &taking, turn);
                }
            }
            self.take_missed(index);
        }
        self.turn = begin.wrapping_add(1) % count.max(1);
        if ended {
            self.sources
                .retain(|source| !(source.receiver.is_closed() && source.receiver.is_empty()));
        }
    }

    fn take_one(&mut self, queue: usize, taking: &Taking, turn: &mut Turn) {
        let (at, clock) = taking.at();
        if taking.bytes() > ENTRY_BYTES_MAX - ENTRY_NAMES_BYTES_MAX {
            // No line makes one; whoever calls with one is told.
            self.lose(
                queue,
                Lost {
                    cause: DropCause::Refused,
                    count: Some(1),
                    since_ns: at.wall_ns,
                    until_ns: at.wall_ns,
                    clock,
                    numbers: None,
                },
            );
            return;
        }
        if let Some(stream) = self.streams.get_mut(queue) {
            stream.clock = clock;
            let last_t = stream.numbering.last_t(name(taking));
            if last_t.is_some_and(|last| last.saturating_sub(at.wall_ns) > CLOCK_STEP_NS) {
                self.begin_epoch();
            }
        }
        self.append(queue, taking, turn);
    }

    /// The wall clock stepped back: numbers begin again in an epoch that is durable before its first
    /// use. Where that fails, times go on from the last one instead.
    fn begin_epoch(&mut self) {
        if let Err(error) = self.begin.tail.store_epoch(self.epoch + 1) {
            tracing::error!(%error, "the clock stepped back, and no new epoch can be stored");
            return;
        }
        self.epoch += 1;
        for stream in &mut self.streams {
            stream.numbering.restart(self.epoch);
        }
    }

    /// Counts what had no room in an intake.
    fn take_missed(&mut self, source: usize) {
        let Some(source) = self.sources.get(source) else {
            return;
        };
        let (missed, queues) = (source.missed.take(), source.queues);
        for (lost, queue) in missed.into_iter().zip(queues) {
            if let Some(lost) = lost {
                self.lose(queue, lost);
            }
        }
    }

    /// Counts what was lost before it had a number.
    fn lose(&mut self, queue: usize, lost: Lost) {
        self.shared
            .queues()
            .count_dropped(lost.cause, lost.count.unwrap_or(0));
        if let Some(stream) = self.streams.get_mut(queue) {
            stream.losses.add(lost);
        }
    }

    /// Gives the next number and writes the JSON, once and for all.
    fn append(&mut self, queue: usize, taking: &Taking, turn: &mut Turn) {
        let Some(stream) = self.streams.get_mut(queue) else {
            return;
        };
        let at = taking.at().0;
        let record = Arc::clone(name(taking));
        let place = stream.numbering.next(&record, at.wall_ns);
        let identity = stream.numbering.identity();
        let json = match taking {
            Taking::Record(record) => json::record(identity, place, record),
            Taking::Frame(frame) => json::frame(identity, place, frame),
            Taking::Input(input) => json::input(identity, place, input),
        };
        let entry = Entry {
            machine: Arc::clone(&identity.machine),
            stream: stream.stream,
            record,
            epoch: place.epoch,
            seq: place.seq,
            line_ns: at.line_ns,
            t_unix_ns: place.t_unix_ns,
            json: json.into(),
        };
        self.begin.tail.put(&mut turn.records, &entry);
        turn.entries.push((queue, entry));
    }

    /// Into the kernel's hands. Where that fails, what the turn took goes on without: sent it may
    /// be, stored it will be, and the tail gets it with the next turn.
    fn write(&mut self, turn: &Turn) {
        let failed = self.unwritten.is_empty();
        let written = if self.unwritten.is_empty() {
            self.begin.tail.write(&turn.records)
        } else {
            self.unwritten.extend_from_slice(&turn.records);
            self.begin.tail.write(&self.unwritten)
        };
        match written {
            Ok(()) => self.unwritten.clear(),
            Err(error) => {
                if failed {
                    self.unwritten.extend_from_slice(&turn.records);
                    tracing::error!(%error, "the spool's tail can't be written");
                }
                self.shared.set_health(Health::failing(format!(
                    "the tail can't be written: {error}"
                )));
            }
        }
    }

    /// Lets readers and pages see it.
    fn publish(&mut self, turn: Turn, now: Instant) {
        let mut newest = Vec::new();
        let mut queues = self.shared.queues();
        for (index, entry) in turn.entries {
            self.pending.push(entry.clone());
            if entry.stream == Stream::Records {
                newest.push(entry.clone());
            }
            if &*entry.record == GAP && self.streams.get(index).is_some_and(|stream| stream.met) {
                queues.restart_told(index);
            }
            queues.push(index, entry, now);
        }
        queues.age_live(now);
        std::mem::drop(queues);
        self.shared.taken.notify_one();
        if !newest.is_empty() {
            self.shared.latest.send_modify(|latest| {
                for entry in newest {
                    let of_machine = latest.entry(Arc::clone(&entry.machine)).or_default();
                    of_machine.insert(Arc::clone(&entry.record), entry);
                }
            });
        }
    }
}

/// About what a `gap` record has as JSON.
const GAP_BYTES: usize = 512;

/// Under which name times of a taking increase.
fn name(taking: &Taking) -> &Arc<str> {
    static OTHERS: std::sync::LazyLock<[Arc<str>; 2]> =
        std::sync::LazyLock::new(|| [FRAME.into(), INPUT.into()]);
    let [frame, input] = &*OTHERS;
    match taking {
        Taking::Record(record) => &record.name,
        Taking::Frame(_) => frame,
        Taking::Input(_) => input,
    }
}
