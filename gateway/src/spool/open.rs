//! Opening a spool: whose it is, what an earlier process left, and the epoch that begins.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::SystemTime;

use rustix::fs::{FlockOperation, flock};
use tokio::sync::{Notify, watch};

use super::gaps::Lost;
use super::keeper::Keeper;
use super::queues::Queues;
use super::ranges::{Ranges, Span};
use super::store::{self, Job, Limits, Meta, Store, StoreError, StreamState};
use super::tail::{Found, Tail};
use super::taker::{Begin, Taker};
use super::{Health, Latest, Owner, Reader, Settings, Shared, Spool};
use crate::config::limits::{STORE_LOG_BYTES, TAIL_BYTES_MAX, TAIL_BYTES_MIN, TAIL_SHARE};
use crate::words::Entry;

/// Why a spool can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The wall clock stands before 1970, so no epoch can be made of it.
    #[error("the system clock stands before 1970; set it (timedatectl) and start again")]
    ClockBeforeEpoch,
    /// Another process has it.
    #[error(
        "the spool {path} is in use by another Retrotap{by}; stop that one, or give this one a \
         folder of its own (spool.path)"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// ` (process 123)`, where that is known.
        by: String,
    },
    /// A file under one of our names that isn't ours.
    #[error(
        "{path} was not made by Retrotap, or its first page is damaged; nothing was changed. Move it \
         away (mv {path} {path}.old), or choose another folder (spool.path)"
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Made by a later version.
    #[error(
        "{path} was made by a newer Retrotap (format {version}, this one knows {known}); nothing was \
         changed. Install that version again, or choose another folder (spool.path)"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        version: i64,
        /// The newest that is known here.
        known: i64,
    },
    /// A file or folder can't be used.
    #[error("{path}: {source}{advice}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
        /// What may help.
        advice: &'static str,
    },
    /// The database can't be used.
    #[error("{path}: {source}{advice}")]
    Store {
        /// The database.
        path: PathBuf,
        /// What it says.
        source: StoreError,
        /// What may help.
        advice: &'static str,
    },
}

impl OpenError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        let advice = match source.kind() {
            io::ErrorKind::StorageFull => {
                "; free some of the disk, or choose another folder (spool.path)"
            }
            io::ErrorKind::PermissionDenied => "; the folder must be this user's (chown)",
            io::ErrorKind::ReadOnlyFilesystem => {
                "; choose a folder that can be written (spool.path)"
            }
            _ => "",
        };
        Self::Io {
            path: path.to_owned(),
            source,
            advice,
        }
    }

    pub(super) fn store(path: &Path, source: StoreError) -> Self {
        let advice = match source {
            StoreError::Full(_) => "; free some of the disk, or choose another folder (spool.path)",
            StoreError::Damaged(_) | StoreError::Other(_) => "",
        };
        Self::Store {
            path: path.to_owned(),
            source,
            advice,
        }
    }
}

/// How the bytes of a spool are shared out: one file of the tail, and the database.
pub(super) fn shares(max_bytes: u64) -> (u64, Limits) {
    let tail_bytes = (max_bytes / TAIL_SHARE).clamp(TAIL_BYTES_MIN, TAIL_BYTES_MAX);
    // The log holds at most what is written back at once, and one job on top.
    let log_bytes = STORE_LOG_BYTES + tail_bytes;
    let limits = Limits {
        bytes_max: max_bytes.saturating_sub(2 * tail_bytes + log_bytes),
        spare_bytes: tail_bytes,
    };
    (tail_bytes, limits)
}

/// Opens a spool and starts its threads.
pub(super) fn open(settings: &Settings) -> Result<(Spool, Reader), OpenError> {
    let folder = &settings.path;
    let now_s = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(|_| OpenError::ClockBeforeEpoch)?
        .as_secs();
    std::fs::create_dir_all(folder).map_err(|error| OpenError::io(folder, error))?;
    let lock = lock(folder)?;
    let (tail_bytes, _) = shares(settings.max_bytes);
    let (mut tail, found) = Tail::open(folder, tail_bytes)?;
    let mut damaged = false;
    let (store, states, epoch, next_generation) = loop {
        match take_up(settings, &tail, &found, now_s, damaged) {
            Err(OpenError::Store {
                source: StoreError::Damaged(why),
                path,
                ..
            }) if !damaged => {
                damaged = true;
                let aside =
                    store::set_aside(folder, now_s).map_err(|error| OpenError::io(&path, error))?;
                tracing::error!(
                    "{}: {why}. It was put aside as {} and a new one begun; what the tail has goes \
                     out, and `retrotap spool export` may read the rest from there",
                    path.display(),
                    aside.display(),
                );
            }
            taken_up => break taken_up?,
        }
    };
    tail.rotate(next_generation);

    let mut queues = Queues::default();
    for state in states {
        queues.restore(state);
    }
    let shared = Arc::new(Shared {
        queues: Mutex::new(queues),
        taken: Notify::new(),
        latest: watch::Sender::new(Latest::new()),
        health: watch::Sender::new(Health::Ok),
    });
    let begin = Begin {
        site: Arc::clone(&settings.site),
        gateway: Arc::clone(&settings.gateway),
        sync_every: settings.sync_every,
        max_age: settings.max_age,
        max_bytes: settings.max_bytes,
        epoch,
        damaged,
        tail,
    };
    let (requests, asked) = channel();
    let (started, starts) = channel();
    let thread = thread::Builder::new().name("spool".to_owned()).spawn({
        let shared = Arc::clone(&shared);
        move || {
            let keeper = Keeper::start(store, thread::current());
            let taker = keeper.map(|keeper| Taker::new(shared, asked, keeper, begin));
            let _ = started.send(taker.as_ref().err().map(io::Error::kind));
            if let Ok(taker) = taker {
                taker.run();
            }
        }
    });
    let thread = thread.map_err(|error| OpenError::io(folder, error))?;
    if let Ok(Some(kind)) = starts.recv() {
        return Err(OpenError::io(folder, kind.into()));
    }
    let reader = Reader::new(Arc::clone(&shared), folder.clone(), thread.thread().clone());
    let owner = Owner {
        shared,
        folder: folder.clone(),
        requests,
        thread: Mutex::new(Some(thread)),
        view: Mutex::new(None),
        _lock: lock,
    };
    Ok((
        Spool {
            owner: Arc::new(owner),
        },
        reader,
    ))
}

/// The folder is this process's for as long as the file is open.
fn lock(folder: &Path) -> Result<File, OpenError> {
    let path = folder.join("lock");
    let fails = |error| OpenError::io(&path, error);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(fails)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            let mut by = String::new();
            // Who it is helps, and isn't needed.
            let _ = file.read_to_string(&mut by);
            let by = by.trim();
            return Err(OpenError::InUse {
                path: folder.to_owned(),
                by: match by.parse::<u32>() {
                    Ok(process) => format!(" (process {process})"),
                    Err(_) => String::new(),
                },
            });
        }
        Err(error) => return Err(fails(error.into())),
    }
    // Only a note for whoever finds it locked: a full disk doesn't matter.
    let _ = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// Opens the database, stores what the tail has more than it, and begins an epoch in both.
fn take_up(
    settings: &Settings,
    tail: &Tail,
    found: &[Found; 2],
    now_s: u64,
    damaged: bool,
) -> Result<(Store, Vec<StreamState>, u64, u64), OpenError> {
    let folder = &settings.path;
    let (mut store, meta) = Store::open(folder, shares(settings.max_bytes).1)?;
    let entries = left(found, meta.generation);
    let epochs = found
        .iter()
        .map(|found| found.epoch)
        .chain(entries.iter().map(|entry| entry.epoch));
    let last_epoch = epochs.max().unwrap_or(0).max(meta.epoch);
    let epoch = now_s.max(last_epoch + 1);
    let clean = meta.clean && entries.is_empty() && !damaged;
    let next_generation = found
        .iter()
        .map(|found| found.generation)
        .max()
        .unwrap_or(0)
        .max(meta.generation)
        + 1;
    let states = states_left(meta, &entries, clean);
    tail.store_epoch(epoch)
        .map_err(|error| OpenError::io(folder, error))?;
    let job = Job {
        next_generation,
        epoch,
        opened_epoch: epoch,
        clean: false,
        max_bytes: settings.max_bytes,
        sent: vec![Ranges::default(); states.len()],
        streams: states,
        entries,
        keep_since_ns: None,
    };
    store
        .commit(&job)
        .map_err(|error| OpenError::store(&folder.join(store::FILE), error))?;
    Ok((store, job.streams, epoch, next_generation))
}

/// What the tail has and the database doesn't, in the order in which it was taken.
pub(super) fn left(found: &[Found; 2], stored_generation: u64) -> Vec<Entry> {
    let mut generations: Vec<&Found> = found
        .iter()
        .filter(|found| !found.entries.is_empty() && found.generation >= stored_generation)
        .collect();
    generations.sort_by_key(|found| found.generation);
    generations
        .into_iter()
        .flat_map(|found| found.entries.iter().cloned())
        .collect()
}

/// The streams after what the tail has: entries are unreleased, except those of which a gap tells
/// that they were dropped.
pub(super) fn states_left(meta: Meta, entries: &[Entry], clean: bool) -> Vec<StreamState> {
    let Meta {
        mut streams,
        opened_epoch,
        ..
    } = meta;
    for entry in entries {
        let known = streams
            .iter()
            .position(|state| state.stream == entry.stream && state.machine == entry.machine);
        let index = known.unwrap_or_else(|| {
            streams.push(StreamState {
                machine: Arc::clone(&entry.machine),
                stream: entry.stream,
                newest_epoch: 0,
                newest_ns: 0,
                restart_ns: None,
                unreleased: Ranges::default(),
            });
            streams.len() - 1
        });
        let Some(state) = streams.get_mut(index) else {
            continue;
        };
        state.newest_epoch = entry.epoch;
        state.newest_ns = entry.t_unix_ns;
        state.unreleased.insert(Span {
            epoch: entry.epoch,
            first: entry.seq,
            last: entry.seq,
        });
        if let Some(numbers) = Lost::told_by_entry(entry).and_then(|lost| lost.numbers) {
            state.unreleased.remove(numbers);
        }
    }
    if !clean {
        // Those that were in use in the last run; the others' end was told then, or is still to be.
        for state in streams
            .iter_mut()
            .filter(|state| state.newest_epoch >= opened_epoch)
        {
            state.restart_ns = Some(state.newest_ns);
        }
    }
    streams
}
