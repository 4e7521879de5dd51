//! The spool: what was taken from the lines and isn't released yet.
//!
//! Lines hand over records and frames through an [`Intake`]; the spool gives each a number, writes
//! its JSON once, and keeps it until whoever empties it through the [`Reader`] releases it.
//!
//! What holds:
//! - [`Intake`] never blocks and never waits. When the spool doesn't keep up, what is handed over
//!   is dropped, counted, and a `gap` record tells of it.
//! - Per machine and stream, numbers go up by one within an epoch, epochs only go up, and times
//!   strictly increase per record name.
//! - An entry's JSON is never written a second time: sending again sends the same bytes.
//! - Memory is bounded. When full, the oldest entries that aren't in flight are dropped, counted,
//!   and told by a `gap` record with first, last, count and reason.
//!
//! This spool lives in memory: it is lost with the process. Its epoch is the Unix time in seconds
//! at which it was opened, which grows from start to start as long as the wall clock doesn't go
//! back between two starts by more than the time between them.
//!
//! What it doesn't do: it knows no ports and no broker, and never decides that something arrived.

pub mod json;
mod numbering;
mod queues;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{Notify, mpsc, watch};

pub use json::Fields;
pub use numbering::Numbering;
pub use queues::{Backlog, Batch, Counts, DropCause, Lane, Lanes};
use queues::{Due, Lost, Queues, Taking};

use crate::config::limits::{INTAKE_BATCH_ENTRIES_MAX, INTAKE_ENTRIES_MAX};
use crate::words::{ClockState, Entry, RawFrame, Record, Stream};

/// How to open a spool.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The plant, in every entry.
    pub site: Arc<str>,
    /// This gateway's name, in every entry.
    pub gateway: Arc<str>,
    /// Memory that entries may take, at least `limits::SPOOL_BYTES_MIN`.
    pub bytes_max: usize,
}

/// Why a spool can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The wall clock stands before 1970, so no epoch can be made of it.
    #[error("the system clock stands before 1970; set it (timedatectl) and start again")]
    ClockBeforeEpoch,
}

/// The newest entry of each record, by machine and record name: newest wins, nothing is queued.
pub type Latest = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Entry>>;

/// The spool's handle: gives out intakes and tells what it holds.
#[derive(Debug, Clone)]
pub struct Spool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues>,
    taken: Notify,
    latest: watch::Sender<Latest>,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        // A panic while the lock was held would be a bug of ours; going on with what is there
        // loses less than stopping all lines.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spool {
    /// Opens a spool with a new epoch.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what to do.
    pub fn open(settings: &Settings) -> Result<(Self, Reader), OpenError> {
        let epoch = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_err(|_| OpenError::ClockBeforeEpoch)?
            .as_secs();
        let queues = Queues::new(
            Arc::clone(&settings.site),
            Arc::clone(&settings.gateway),
            settings.bytes_max,
            epoch,
        );
        let shared = Arc::new(Shared {
            queues: Mutex::new(queues),
            taken: Notify::new(),
            latest: watch::Sender::new(Latest::new()),
        });
        Ok((
            Self {
                shared: Arc::clone(&shared),
            },
            Reader { shared },
        ))
    }

    /// What the line of `machine` hands its records and frames to. Each intake has a task of its
    /// own, so that a machine that floods fills its own intake and nobody else's; it has to be made
    /// inside a tokio runtime, and may be used on any thread.
    pub fn intake(&self, machine: &str) -> Intake {
        let (sender, receiver) = mpsc::channel(INTAKE_ENTRIES_MAX);
        let indices = {
            let mut queues = self.shared.queues();
            [
                queues.queue(machine, Stream::Records),
                queues.queue(machine, Stream::Frames),
            ]
        };
        let missed = Arc::new(Mutex::new(Missed::default()));
        tokio::spawn(fill(
            Arc::clone(&self.shared),
            indices,
            receiver,
            Arc::clone(&missed),
        ));
        Intake { sender, missed }
    }

    /// The newest entry of each record, for the live view.
    pub fn latest(&self) -> watch::Receiver<Latest> {
        self.shared.latest.subscribe()
    }

    /// What is still to be released.
    pub fn backlog(&self) -> Backlog {
        self.shared.queues().backlog()
    }

    /// What was taken, released and dropped since the spool was opened.
    pub fn counts(&self) -> Counts {
        self.shared.queues().counts.clone()
    }
}

/// What didn't fit into an intake and isn't told yet, per stream.
#[derive(Debug, Default)]
struct Missed {
    records: Option<Lost>,
    frames: Option<Lost>,
}

/// A line's end of the spool.
#[derive(Debug, Clone)]
pub struct Intake {
    sender: mpsc::Sender<Taking>,
    missed: Arc<Mutex<Missed>>,
}

impl Intake {
    /// Hands over a record. False: it was dropped, and is counted.
    pub fn record(&self, record: Record) -> bool {
        let (wall_ns, clock) = (record.at.wall_ns, record.clock);
        self.hand_over(Taking::Record(record), Stream::Records, wall_ns, clock)
    }

    /// Hands over a raw frame. False: it was dropped, and is counted.
    pub fn frame(&self, frame: RawFrame) -> bool {
        let (wall_ns, clock) = (frame.at.wall_ns, frame.clock);
        self.hand_over(Taking::Frame(frame), Stream::Frames, wall_ns, clock)
    }

    fn hand_over(&self, taking: Taking, stream: Stream, wall_ns: i64, clock: ClockState) -> bool {
        if self.sender.try_send(taking).is_ok() {
            return true;
        }
        // Only when something is lost already is there a lock, and the other side holds it for
        // as long as it takes to move two words.
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = match stream {
            Stream::Records => &mut missed.records,
            Stream::Frames => &mut missed.frames,
        };
        match slot {
            Some(lost) => {
                lost.count += 1;
                lost.until_ns = wall_ns;
                lost.clock = clock;
            }
            None => {
                *slot = Some(Lost {
                    cause: DropCause::IntakeFull,
                    count: 1,
                    since_ns: wall_ns,
                    until_ns: wall_ns,
                    clock,
                    numbers: None,
                });
            }
        }
        false
    }
}

/// Moves what one line hands over into its queues, until the line lets its intake go.
async fn fill(
    shared: Arc<Shared>,
    [records, frames]: [usize; 2],
    mut receiver: mpsc::Receiver<Taking>,
    missed: Arc<Mutex<Missed>>,
) {
    let mut takings = Vec::with_capacity(INTAKE_BATCH_ENTRIES_MAX);
    loop {
        let received = receiver
            .recv_many(&mut takings, INTAKE_BATCH_ENTRIES_MAX)
            .await;
        let lost = std::mem::take(&mut *missed.lock().unwrap_or_else(PoisonError::into_inner));
        let now = Instant::now();
        let mut newest = Vec::new();
        {
            let mut queues = shared.queues();
            for taking in takings.drain(..) {
                let index = match taking {
                    Taking::Record(_) => records,
                    Taking::Frame(_) => frames,
                };
                if let Some(entry) = queues.take(index, &taking, now)
                    && entry.stream == Stream::Records
                {
                    newest.push(entry);
                }
            }
            for (index, lost) in [(records, lost.records), (frames, lost.frames)] {
                if let Some(lost) = lost {
                    queues.lose(index, lost);
                }
            }
        }
        if !newest.is_empty() {
            shared.latest.send_modify(|latest| {
                for entry in newest {
                    let of_machine = latest.entry(Arc::clone(&entry.machine)).or_default();
                    of_machine.insert(Arc::clone(&entry.record), entry);
                }
            });
        }
        shared.taken.notify_one();
        if received == 0 {
            return;
        }
    }
}

/// Whoever empties the spool. There is one.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

impl Reader {
    /// Waits for the next batch of these lanes, live ones first: entries of one machine, stream and
    /// epoch, in order, with at most `bytes_max` of payload (or a single entry that is larger). It
    /// comes when it is full, or when its first entry has waited for `linger`. Machines take turns.
    /// What is read is in flight.
    ///
    /// Dropping the future loses nothing.
    pub async fn next(&mut self, bytes_max: usize, linger: Duration, lanes: Lanes) -> Batch {
        loop {
            let now = Instant::now();
            let due = {
                let mut queues = self.shared.queues();
                let due = queues.due(bytes_max, linger, lanes, now);
                if due == Due::Now
                    && let Some(batch) = queues.read(bytes_max, lanes, now)
                {
                    return batch;
                }
                due
            };
            let taken = self.shared.taken.notified();
            match due {
                Due::At(at) => {
                    let _ = tokio::time::timeout_at(at.into(), taken).await;
                }
                Due::Now | Due::WhenTaken => taken.await,
            }
        }
    }

    /// Forgets these entries, both numbers included: whoever releases has them. What isn't held, or
    /// was never read, is ignored. How many they were.
    pub fn release(
        &mut self,
        machine: &str,
        stream: Stream,
        epoch: u64,
        first: u64,
        last: u64,
    ) -> u64 {
        self.shared
            .queues()
            .release(machine, stream, epoch, first..=last)
    }

    /// Forgets a batch that will never be taken; counted, and told by a `gap` record.
    pub fn refuse(&mut self, batch: &Batch) {
        self.shared.queues().refuse(batch);
    }

    /// A session ended: what is held will be read again from the first on, as backlog, and what is
    /// taken in from now on is live.
    pub fn rewind(&mut self) {
        self.shared.queues().rewind();
    }

    /// What is still to be released.
    pub fn backlog(&self) -> Backlog {
        self.shared.queues().backlog()
    }
}
