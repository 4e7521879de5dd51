//! The store: what was taken in the past seconds to months, in one SQLite database, `spool.db`.
//!
//! ```text
//! meta     one row: generation, epoch, opened_epoch, clean, max_bytes
//! streams  id, machine, stream, newest_epoch, newest_ns, restart_ns, unreleased
//! blocks   id, stream, epoch, first, last, since_ns, until_ns, gaps, data
//! ```
//!
//! A block holds entries of one stream whose numbers have no hole, at most `BLOCK_BYTES_MAX` before
//! zstd and with zstd's checksum, and is never changed. One transaction stores a generation of the
//! tail: its blocks, what of all streams was unreleased when the generation ended, and the number of
//! the next generation; so a generation is either in the tail or here, as a whole.
//!
//! `application_id` says that the database is ours, `user_version` is the version of its format. WAL
//! and `synchronous=FULL`: what is committed survives power.
//!
//! Pages have 1 KiB: most of what a commit at a machine's pace writes are the pages that it only
//! touches, so at 4 KiB it writes as much as the JSON has, at 1 KiB six tenths. A log of 4 MiB is
//! written back into the database, so that those pages are written there once for hundreds of times
//! in the log.
//!
//! What it doesn't do: it has no thread and no clock, and gives no numbers.

mod read;
mod room;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, Transaction, params};

use super::OpenError;
use super::codec;
use super::gaps::GAP;
use super::ranges::Ranges;
use crate::config::limits::{BLOCK_BYTES_MAX, STORE_LOG_BYTES};
use crate::words::{Entry, Stream};

pub(super) use read::{Block, Place, View};
pub(super) use room::Victim;

/// The database's name in the spool's folder.
pub(super) const FILE: &str = "spool.db";

/// `RTSP` in ASCII.
const APPLICATION_ID: i64 = 0x5254_5350;
const VERSION: i64 = 1;
const PAGE_BYTES: u64 = 1024;
/// Half the size of level 1 on these texts, at 200 MB a second and core.
const ZSTD_LEVEL: i32 = 3;

const SCHEMA: &str = "
CREATE TABLE meta (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  generation INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  opened_epoch INTEGER NOT NULL,
  clean INTEGER NOT NULL,
  max_bytes INTEGER NOT NULL
);
CREATE TABLE streams (
  id INTEGER PRIMARY KEY,
  machine TEXT NOT NULL,
  stream TEXT NOT NULL,
  newest_epoch INTEGER NOT NULL,
  newest_ns INTEGER NOT NULL,
  restart_ns INTEGER,
  unreleased BLOB NOT NULL,
  UNIQUE (machine, stream)
);
CREATE TABLE blocks (
  id INTEGER PRIMARY KEY,
  stream INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  since_ns INTEGER NOT NULL,
  until_ns INTEGER NOT NULL,
  gaps INTEGER NOT NULL,
  data BLOB NOT NULL
);
CREATE UNIQUE INDEX blocks_by_name ON blocks (stream, epoch, first, last, since_ns, until_ns);
INSERT INTO meta VALUES (1, 0, 0, 0, 1, 0);
";

/// Why the store can't do what it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk.
    #[error("the disk is full: {0}")]
    Full(rusqlite::Error),
    /// What is there can't be read as a database any more.
    #[error("the database is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("{0}")]
    Other(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            // A write that failed for want of room is reported by some file systems as this.
            Some(ErrorCode::SystemIoFailure) if is_no_space(&error) => Self::Full(error),
            _ => Self::Other(error),
        }
    }
}

fn is_no_space(error: &rusqlite::Error) -> bool {
    let write_failed = [
        rusqlite::ffi::SQLITE_IOERR_WRITE,
        rusqlite::ffi::SQLITE_IOERR_SHMSIZE,
        rusqlite::ffi::SQLITE_IOERR_TRUNCATE,
    ];
    error
        .sqlite_error()
        .is_some_and(|error| write_failed.contains(&error.extended_code))
}

/// What the store keeps of a stream besides its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamState {
    pub machine: Arc<str>,
    pub stream: Stream,
    /// Epoch and time of the newest entry.
    pub newest_epoch: u64,
    pub newest_ns: i64,
    /// If the last stop was not clean and isn't told yet: the time of the last entry before it.
    pub restart_ns: Option<i64>,
    pub unreleased: Ranges,
}

/// What is to be stored in one transaction.
#[derive(Debug)]
pub(super) struct Job {
    /// The generation that begins when this is stored.
    pub next_generation: u64,
    pub epoch: u64,
    /// Of this opening; set once.
    pub opened_epoch: u64,
    /// Nothing follows.
    pub clean: bool,
    /// What the settings let the spool take, for whoever looks at it from outside.
    pub max_bytes: u64,
    /// In the order in which they were taken; of each stream without holes within an epoch.
    pub entries: Vec<Entry>,
    /// All streams that have entries.
    pub streams: Vec<StreamState>,
    /// Of each stream, what is on its way and may arrive yet.
    pub sent: Vec<Ranges>,
    /// What is older is not kept.
    pub keep_since_ns: Option<i64>,
}

/// What became of a job.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// What has to be dropped before the next job, unreleased as it is.
    pub victims: Vec<Victim>,
    /// For each stream of the job: the time of the oldest unreleased entry, if that is stored.
    pub oldest_ns: Vec<Option<i64>>,
}

/// What the database says when it is opened.
#[derive(Debug)]
pub(super) struct Meta {
    pub generation: u64,
    pub epoch: u64,
    pub opened_epoch: u64,
    pub clean: bool,
    pub max_bytes: u64,
    pub streams: Vec<StreamState>,
}

/// The database, open for writing.
#[derive(Debug)]
pub(super) struct Store {
    db: Connection,
    /// Streams as they were written last, with their row.
    written: Vec<(i64, StreamState)>,
    /// Generation, epoch and clean stop as they were written last by this process.
    meta_written: Option<(u64, u64, bool)>,
    limits: Limits,
}

/// How much the database may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of all its pages that are in use.
    pub bytes_max: u64,
    /// Of them, what is left free so that the next job fits.
    pub spare_bytes: u64,
}

impl Store {
    /// Opens the database or makes it, and says what it holds. A damaged one is an error of its own.
    pub fn open(folder: &Path, limits: Limits) -> Result<(Self, Meta), OpenError> {
        let path = folder.join(FILE);
        let fails = |error| OpenError::store(&path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
        let db = connect(&path, flags).map_err(fails)?;
        prepare(&db, &path)?;
        let (meta, written) = meta(&db).map_err(fails)?;
        let store = Self {
            db,
            written,
            meta_written: None,
            limits,
        };
        Ok((store, meta))
    }

    /// Stores a job, makes room, and says what has to go before the next one.
    pub fn commit(&mut self, job: &Job) -> Result<Stored, StoreError> {
        let transaction = self.db.transaction()?;
        let mut rewritten = Vec::new();
        let mut ids = Vec::with_capacity(job.streams.len());
        for state in &job.streams {
            let old = self
                .written
                .iter()
                .find(|(_, old)| old.stream == state.stream && old.machine == state.machine);
            ids.push(match old {
                Some((id, old)) if old == state => *id,
                _ => {
                    let id = put_stream(&transaction, old.map(|(id, _)| *id), state)?;
                    rewritten.push((id, state.clone()));
                    id
                }
            });
        }
        for run in runs(&job.entries) {
            put_run(&transaction, job, &ids, &run)?;
        }
        let mut room = room::Room::new(&transaction, job, &ids);
        let victims = room.make(self.limits)?;
        let oldest_ns = room.oldest_ns()?;
        let meta = (job.next_generation, job.epoch, job.clean);
        if self.meta_written != Some(meta) {
            transaction.execute(
                "UPDATE meta SET generation = ?1, epoch = ?2, opened_epoch = ?3, clean = ?4,
                 max_bytes = ?5",
                params![
                    to_sql(meta.0),
                    to_sql(meta.1),
                    to_sql(job.opened_epoch),
                    meta.2,
                    to_sql(job.max_bytes),
                ],
            )?;
        }
        transaction.commit()?;
        self.meta_written = Some(meta);
        for (id, state) in rewritten {
            self.written.retain(|(known, _)| *known != id);
            self.written.push((id, state));
        }
        Ok(Stored { victims, oldest_ns })
    }
}

/// SQLite's integers are signed; epochs and numbers stay far below its maximum.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let db = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    // A reader that holds a moment's view can keep the writer from its log, never for long.
    db.busy_timeout(Duration::from_secs(5))?;
    Ok(db)
}

/// Makes the tables of a new database, refuses what isn't ours, and sets what isn't kept in the file.
fn prepare(db: &Connection, path: &Path) -> Result<(), OpenError> {
    let fails = |error: rusqlite::Error| OpenError::store(path, error.into());
    let (application, version) = match identity(db) {
        Ok(identity) => identity,
        // Its first page is no database's. That can be somebody else's file.
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(OpenError::Foreign {
                path: path.to_owned(),
            });
        }
        Err(error) => return Err(fails(error)),
    };
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(fails)?;
    if tables == 0 && application == 0 && version == 0 {
        // Before there is a log, so that whoever looks at the file alone sees whose it is.
        db.execute_batch(&format!(
            "PRAGMA page_size = {PAGE_BYTES}; BEGIN; {SCHEMA}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
        ))
        .map_err(fails)?;
    } else {
        check_identity(application, version, path)?;
    }
    db.execute_batch(&format!(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -1024;
         PRAGMA wal_autocheckpoint = {}; PRAGMA journal_size_limit = {};",
        STORE_LOG_BYTES / PAGE_BYTES,
        STORE_LOG_BYTES,
    ))
    .map_err(fails)
}

fn identity(db: &Connection) -> rusqlite::Result<(i64, i64)> {
    let number = |pragma: &str| db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0));
    Ok((number("application_id")?, number("user_version")?))
}

fn check_identity(application: i64, version: i64, path: &Path) -> Result<(), OpenError> {
    if application != APPLICATION_ID {
        return Err(OpenError::Foreign {
            path: path.to_owned(),
        });
    }
    if version > VERSION {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            version,
            known: VERSION,
        });
    }
    Ok(())
}

/// What the database says of itself, and the streams with their rows.
fn meta(db: &Connection) -> Result<(Meta, Vec<(i64, StreamState)>), StoreError> {
    let mut statement = db.prepare(
        "SELECT id, machine, stream, newest_epoch, newest_ns, restart_ns, unreleased FROM streams
         ORDER BY id",
    )?;
    let mut rows = statement.query([])?;
    let mut streams = Vec::new();
    while let Some(row) = rows.next()? {
        let (machine, stream): (String, String) = (row.get(1)?, row.get(2)?);
        let unreleased: Vec<u8> = row.get(6)?;
        let (Some(stream), Some(unreleased)) =
            (Stream::from_name(&stream), Ranges::from_bytes(&unreleased))
        else {
            return Err(StoreError::Damaged(format!(
                "what is unreleased of {machine} makes no sense"
            )));
        };
        let state = StreamState {
            machine: machine.into(),
            stream,
            newest_epoch: from_sql(row.get(3)?),
            newest_ns: row.get(4)?,
            restart_ns: row.get(5)?,
            unreleased,
        };
        streams.push((row.get(0)?, state));
    }
    let meta = db
        .query_row(
            "SELECT generation, epoch, opened_epoch, clean, max_bytes FROM meta",
            [],
            |row| {
                Ok(Meta {
                    generation: from_sql(row.get(0)?),
                    epoch: from_sql(row.get(1)?),
                    opened_epoch: from_sql(row.get(2)?),
                    clean: row.get(3)?,
                    max_bytes: from_sql(row.get(4)?),
                    streams: streams.iter().map(|(_, state)| state.clone()).collect(),
                })
            },
        )
        .optional()?
        .ok_or_else(|| StoreError::Damaged("its row of meta is gone".to_owned()))?;
    Ok((meta, streams))
}

fn put_stream(
    transaction: &Transaction<'_>,
    id: Option<i64>,
    state: &StreamState,
) -> Result<i64, StoreError> {
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO streams
             (id, machine, stream, newest_epoch, newest_ns, restart_ns, unreleased)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            id,
            &*state.machine,
            state.stream.name(),
            to_sql(state.newest_epoch),
            state.newest_ns,
            state.restart_ns,
            state.unreleased.to_bytes(),
        ])?;
    Ok(transaction.last_insert_rowid())
}

/// Entries by stream, cut where a block ends: at its size, and where the numbers don't go on.
fn runs(entries: &[Entry]) -> Vec<Vec<&Entry>> {
    let mut runs: Vec<(usize, Vec<&Entry>)> = Vec::new();
    for entry in entries {
        let goes_on = |(bytes, run): &&mut (usize, Vec<&Entry>)| {
            run.last().is_some_and(|last| {
                last.stream == entry.stream
                    && last.machine == entry.machine
                    && (last.epoch, last.seq + 1) == (entry.epoch, entry.seq)
                    && *bytes < BLOCK_BYTES_MAX
            })
        };
        match runs.iter_mut().rev().find(goes_on) {
            Some((bytes, run)) => {
                *bytes += entry.json.len();
                run.push(entry);
            }
            None => runs.push((entry.json.len(), vec![entry])),
        }
    }
    runs.into_iter().map(|(_, run)| run).collect()
}

fn put_run(
    transaction: &Transaction<'_>,
    job: &Job,
    ids: &[i64],
    run: &[&Entry],
) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (run.first(), run.last()) else {
        return Ok(());
    };
    let of_run = |(state, _): &(&StreamState, &i64)| {
        state.stream == first.stream && state.machine == first.machine
    };
    let Some((_, id)) = job.streams.iter().zip(ids).find(of_run) else {
        return Ok(());
    };
    let mut content = Vec::new();
    for entry in run {
        codec::put_body(&mut content, entry);
    }
    let times = || run.iter().map(|entry| entry.t_unix_ns);
    let gaps = run.iter().filter(|entry| &*entry.record == GAP).count();
    transaction
        .prepare_cached(
            "INSERT INTO blocks
             (stream, epoch, first, last, since_ns, until_ns, gaps, data)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            id,
            to_sql(first.epoch),
            to_sql(first.seq),
            to_sql(last.seq),
            times().min(),
            times().max(),
            to_sql(gaps as u64),
            pack(&content)?,
        ])?;
    Ok(())
}

fn pack(content: &[u8]) -> Result<Vec<u8>, StoreError> {
    let packed = || {
        let mut packer = zstd::bulk::Compressor::new(ZSTD_LEVEL)?;
        packer.include_checksum(true)?;
        packer.compress(content)
    };
    packed().map_err(|error: std::io::Error| {
        StoreError::Other(rusqlite::Error::ToSqlConversionFailure(error.into()))
    })
}

/// Puts a damaged database and its log out of the way, under a name that says so.
pub(super) fn set_aside(folder: &Path, unix_s: u64) -> std::io::Result<PathBuf> {
    let aside = |name: &str| folder.join(format!("{name}.damaged-{unix_s}"));
    for more in ["-wal", "-shm"] {
        match std::fs::rename(
            folder.join(format!("{FILE}{more}")),
            folder.join(format!("{FILE}.damaged-{unix_s}{more}")),
        ) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    std::fs::rename(folder.join(FILE), aside(FILE))?;
    Ok(aside(FILE))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
