//! The spool: what was taken from the lines, on disk, until it is released and long after.
//!
//! Lines hand over records, frames and inputs through an [`Intake`]; the spool gives each a number,
//! writes its JSON once, and keeps it until whoever empties it through the [`Reader`] releases it.
//! What was released stays as history until the room is needed.
//!
//! ```text
//! intake (a bounded channel for each machine)
//!    │  thread `spool`: numbers, JSON, one write for all that came          within 5 ms
//!    ▼
//! tail-a, tail-b   preallocated, in turns; survives kill -9                 tail.rs
//!    │  thread `spool-store`: compresses, one transaction                   every `sync_every`
//!    ▼
//! spool.db         SQLite; survives power                                   store/
//! ```
//!
//! What holds:
//! - [`Intake`] never blocks and never waits for a disk. When the spool doesn't keep up, what is
//!   handed over is dropped, counted, and a `gap` record tells of it.
//! - Nothing is read before it is in the tail, and an entry's JSON is never written a second time:
//!   sending again sends the same bytes.
//! - Per machine, stream and epoch, numbers go up by one from 1; epochs only go up, and each is
//!   durable before its first use; times strictly increase per record name.
//! - Whatever is opened after a crash: no number is missing without a `gap` that tells of it. The tail
//!   is cut at its last whole record; after an unclean stop each stream's new epoch begins with a
//!   gap `restart`, because what was younger than the last write never was anywhere.
//! - What was released may be sent again after a crash (releases are stored with the next sync);
//!   what wasn't is never taken for released.
//! - Disk and memory are bounded. The oldest that was released goes first; only then the oldest
//!   that wasn't, counted and told. A gap that is dropped itself is told again.
//! - A full disk stops nothing: the tail has its space already. It is tried again until it works, and
//!   only when both files of the tail are full is the older one given up, counted and told.
//! - Data is never thrown away to get going: a damaged database is put aside under a name that says
//!   so, because a gateway in a plant has to run tonight and the file can be looked at tomorrow;
//!   what isn't ours, or is of a newer version, is refused untouched.
//!
//! What the folder holds: `tail-a`, `tail-b`, `spool.db` with its `-wal` and `-shm`, `lock`. Formats
//! stand in `tail.rs`, `store/mod.rs` and `codec.rs`, limits in `config/limits.rs`. `max_bytes` counts
//! all of them: twice the tail's file, the log, and what is left for the database.
//!
//! What it doesn't do: it knows no ports and no broker, and never decides that something arrived.

mod codec;
mod gaps;
mod intake;
pub mod json;
mod keeper;
pub mod look;
mod numbering;
mod open;
mod past;
mod queues;
mod ranges;
mod reader;
mod store;
mod tail;
mod taker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc, watch};

pub use gaps::DropCause;
pub use intake::Intake;
pub use json::Fields;
pub use numbering::Numbering;
pub use open::OpenError;
pub use past::{Bounds, Past};
pub use queues::{Backlog, Batch, Counts, Lane, Lanes};
pub use reader::Reader;
pub use store::StoreError;

use crate::config::limits::{INTAKE_ENTRIES_MAX, SPOOL_CLOSE_MAX};
use crate::words::Entry;
use intake::Missed;
use queues::Queues;
use store::View;
use taker::Request;

/// The name that frames have among records.
const FRAME: &str = "frame";
/// The name that inputs have among records.
const INPUT: &str = "input";

/// How to open a spool.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The plant, in every entry.
    pub site: Arc<str>,
    /// This gateway's name, in every entry.
    pub gateway: Arc<str>,
    /// The folder; made where it isn't there.
    pub path: PathBuf,
    /// Bytes of disk that all its files may take, at least `limits::SPOOL_BYTES_MIN`.
    pub max_bytes: u64,
    /// What is older is not kept, taken or not.
    pub max_age: Option<Duration>,
    /// How often what was taken is made to survive a power cut.
    pub sync_every: Duration,
}

/// The newest entry of each record, by machine and record name: newest wins, nothing is queued.
pub type Latest = BTreeMap<Arc<str>, BTreeMap<Arc<str>, Entry>>;

/// How the disk serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// What was taken is stored in time.
    Ok,
    /// There is no room on the disk; the tail holds what comes, as long as it can.
    DiskFull {
        /// Unix nanoseconds.
        since_unix_ns: i64,
        /// What the system says.
        detail: String,
    },
    /// The disk fails in another way.
    Failing {
        /// Unix nanoseconds.
        since_unix_ns: i64,
        /// What the system says.
        detail: String,
    },
}

impl Health {
    fn disk_full(detail: String) -> Self {
        Self::DiskFull {
            since_unix_ns: unix_ns(SystemTime::now()),
            detail,
        }
    }

    fn failing(detail: String) -> Self {
        Self::Failing {
            since_unix_ns: unix_ns(SystemTime::now()),
            detail,
        }
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ok => f.write_str("ok"),
            Self::DiskFull { detail, .. } | Self::Failing { detail, .. } => f.write_str(detail),
        }
    }
}

/// What the spool's threads and handles share.
#[derive(Debug)]
struct Shared {
    queues: Mutex<Queues>,
    taken: Notify,
    latest: watch::Sender<Latest>,
    health: watch::Sender<Health>,
}

impl Shared {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        // A panic while the lock was held would be a bug of ours; going on with what is there
        // loses less than stopping all lines.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how the disk serves; a trouble keeps its beginning.
    fn set_health(&self, mut health: Health) {
        self.health.send_if_modified(|held| {
            match (&mut health, &*held) {
                (
                    Health::DiskFull { since_unix_ns, .. },
                    Health::DiskFull {
                        since_unix_ns: since,
                        ..
                    },
                )
                | (
                    Health::Failing { since_unix_ns, .. },
                    Health::Failing {
                        since_unix_ns: since,
                        ..
                    },
                ) => {
                    *since_unix_ns = *since;
                }
                (Health::Ok, Health::Ok) => return false,
                (Health::Ok, _) => tracing::info!("the spool's disk serves again"),
                (trouble, _) => tracing::error!("the spool goes on without the disk: {trouble}"),
            }
            let changed = *held != health;
            *held = health;
            changed
        });
    }
}

/// The spool's handle: gives out intakes and tells what it holds. Cloning shares it.
///
/// When the last one goes without [`close`](Self::close), the spool ends as if the process had been
/// killed.
#[derive(Debug, Clone)]
pub struct Spool {
    owner: Arc<Owner>,
}

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
    folder: PathBuf,
    requests: Sender<Request>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// For charts; opened when somebody asks for one.
    view: Mutex<Option<View>>,
    // Last: the folder is somebody else's once it is closed.
    _lock: std::fs::File,
}

impl Spool {
    /// Opens a spool, or makes one, with a new epoch; takes up what an earlier process left.
    ///
    /// # Errors
    ///
    /// [`OpenError`] says what to do.
    pub fn open(settings: &Settings) -> Result<(Self, Reader), OpenError> {
        open::open(settings)
    }

    /// What the line of `machine` hands its records, frames and inputs to. Each has a channel of its
    /// own, so that a machine that floods fills that and nobody else's.
    pub fn intake(&self, machine: &str) -> Intake {
        let (sender, receiver) = mpsc::channel(INTAKE_ENTRIES_MAX);
        let missed = Missed::default();
        let taker = self.owner.thread();
        let request = Request::Machine {
            machine: machine.into(),
            receiver,
            missed: missed.clone(),
        };
        // Once it is closed, the intake counts as dropped what it is given.
        let _ = self.owner.requests.send(request);
        let taker = taker.unwrap_or_else(std::thread::current);
        taker.unpark();
        Intake::new(sender, missed, taker)
    }

    /// The newest entry of each record, for the live view.
    pub fn latest(&self) -> watch::Receiver<Latest> {
        self.owner.shared.latest.subscribe()
    }

    /// How the disk serves, for page and alarms.
    pub fn health(&self) -> watch::Receiver<Health> {
        self.owner.shared.health.subscribe()
    }

    /// What is still to be released.
    pub fn backlog(&self) -> Backlog {
        self.owner.shared.queues().backlog()
    }

    /// What was taken, released and dropped since the spool was opened.
    pub fn counts(&self) -> Counts {
        self.owner.shared.queues().counts.clone()
    }

    /// The newest entries of a machine's record between two times in Unix nanoseconds, both
    /// included, oldest first, as many as the bounds let through. Reads the disk, beside whoever
    /// writes it: not for an async task.
    ///
    /// # Errors
    ///
    /// The database can't be read.
    pub fn history(
        &self,
        machine: &str,
        record: &str,
        (from_unix_ns, to_unix_ns): (i64, i64),
        bounds: Bounds,
    ) -> Result<Past, StoreError> {
        // Memory first: what is stored in between then stands in both, and not in neither.
        let recent = self
            .owner
            .shared
            .queues()
            .recent(machine, record, from_unix_ns, to_unix_ns);
        let mut view = self
            .owner
            .view
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let view = match &mut *view {
            Some(view) => view,
            slot => slot.insert(
                View::open(&self.owner.folder)
                    .map_err(|error| StoreError::Damaged(error.to_string()))?,
            ),
        };
        let stored = view.history(&machine.into(), record, (from_unix_ns, to_unix_ns), bounds)?;
        Ok(stored.with_newer(recent, bounds))
    }

    /// Stores everything and marks the spool as cleanly stopped. Lines must have ended before; what
    /// comes later is dropped. Waits for the disk: not for an async task.
    ///
    /// # Errors
    ///
    /// What couldn't be stored, in a sentence; the tail has it still.
    pub fn close(&self) -> Result<(), String> {
        let Some(thread) = self.owner.take_thread() else {
            return Ok(());
        };
        let (done, answer) = std::sync::mpsc::channel();
        let _ = self.owner.requests.send(Request::Close { done });
        thread.thread().unpark();
        let answer = answer
            .recv_timeout(2 * SPOOL_CLOSE_MAX)
            .unwrap_or_else(|_| Err("the spool's thread doesn't answer".to_owned()));
        if answer.is_ok() && thread.join().is_err() {
            return Err("the spool's thread ended by a panic".to_owned());
        }
        answer
    }

    /// The spool's folder.
    pub fn path(&self) -> &Path {
        &self.owner.folder
    }
}

impl Owner {
    fn thread(&self) -> Option<std::thread::Thread> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().map(|thread| thread.thread().clone())
    }

    fn take_thread(&self) -> Option<JoinHandle<()>> {
        self.thread
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Some(thread) = self.take_thread() else {
            return;
        };
        let _ = self.requests.send(Request::Abandon);
        thread.thread().unpark();
        if thread.join().is_err() {
            tracing::error!("the spool's thread ended by a panic");
        }
    }
}

/// Nanoseconds of Unix time.
fn unix_ns(at: SystemTime) -> i64 {
    match at.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_nanos()).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests;
