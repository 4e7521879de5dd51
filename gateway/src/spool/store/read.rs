//! Reading the database: by name for whoever empties the spool, by record and time for charts, and
//! all of it for whoever looks at a spool from outside.

use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _, params};

use super::{FILE, Meta, StoreError, check_identity, connect, from_sql, identity, meta, to_sql};
use crate::config::limits::{BLOCK_BYTES_MAX, ENTRY_BYTES_MAX};
use crate::spool::OpenError;
use crate::spool::codec::{self, Names};
use crate::spool::past::{Bounds, Newest, Past};
use crate::spool::ranges::{Name, Span};
use crate::words::{Entry, Stream};

/// What one row of `blocks` holds.
#[derive(Debug)]
pub(in crate::spool) struct Block {
    pub machine: Arc<str>,
    pub stream: Stream,
    pub span: Span,
    pub entries: Vec<Entry>,
}

/// Where a block stands, without its entries.
#[derive(Debug, Clone)]
pub(in crate::spool) struct Place {
    pub id: i64,
    pub machine: Arc<str>,
    pub stream: Stream,
    pub span: Span,
    pub since_ns: i64,
    pub until_ns: i64,
    pub packed_bytes: u64,
}

/// The database, open for reading only. Beside a gateway that writes it.
#[derive(Debug)]
pub(in crate::spool) struct View {
    db: Connection,
}

impl View {
    /// Opens the database of a folder; it must be there.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::of_file(&folder.join(FILE))
    }

    /// Opens a database under whatever name.
    pub fn of_file(path: &Path) -> Result<Self, OpenError> {
        let fails = |error: StoreError| OpenError::store(path, error);
        let db = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(fails)?;
        match identity(&db) {
            Ok((application, version)) => check_identity(application, version, path)?,
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
                return Err(OpenError::Foreign {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(fails(error.into())),
        }
        db.execute_batch("PRAGMA cache_size = -256")
            .map_err(|error| fails(error.into()))?;
        Ok(Self { db })
    }

    /// Sees one moment from the first look on, whatever is written meanwhile.
    pub fn hold(&self) -> Result<(), StoreError> {
        Ok(self.db.execute_batch("BEGIN")?)
    }

    /// What the database says of itself.
    pub fn meta(&self) -> Result<Meta, StoreError> {
        Ok(meta(&self.db)?.0)
    }

    /// The block that holds an entry; else the number of the next one that is there, if any.
    pub fn place(
        &self,
        machine: &Arc<str>,
        stream: Stream,
        (epoch, seq): Name,
    ) -> Result<Result<Place, Option<u64>>, StoreError> {
        let found = self
            .db
            .prepare_cached(
                "SELECT blocks.id, machine, streams.stream, epoch, first, last, since_ns, until_ns, 0
                 FROM blocks JOIN streams ON streams.id = blocks.stream
                 WHERE machine = ?1 AND streams.stream = ?2 AND epoch = ?3 AND first <= ?4
                 ORDER BY first DESC LIMIT 1",
            )?
            .query_row(
                params![&**machine, stream.name(), to_sql(epoch), to_sql(seq)],
                |row| place(row, &mut Names::default()),
            )
            .optional()?
            .transpose()?;
        if let Some(place) = found
            && place.span.last >= seq
        {
            return Ok(Ok(place));
        }
        let next: Option<i64> = self
            .db
            .prepare_cached(
                "SELECT min(first) FROM blocks JOIN streams ON streams.id = blocks.stream
                 WHERE machine = ?1 AND streams.stream = ?2 AND epoch = ?3 AND first > ?4",
            )?
            .query_row(
                params![&**machine, stream.name(), to_sql(epoch), to_sql(seq)],
                |row| row.get(0),
            )?;
        Ok(Err(next.map(from_sql)))
    }

    /// The newest entries of a record between two times, both included, oldest first; and whether
    /// the bounds were reached before the earlier time was.
    pub fn history(
        &self,
        machine: &Arc<str>,
        record: &str,
        (from_ns, to_ns): (i64, i64),
        bounds: Bounds,
    ) -> Result<Past, StoreError> {
        let stream = stream_of(record);
        let mut statement = self.db.prepare_cached(
            "SELECT blocks.id, epoch, first, last, since_ns FROM blocks
             JOIN streams ON streams.id = blocks.stream
             WHERE machine = ?1 AND streams.stream = ?2 AND until_ns >= ?3 AND since_ns <= ?4
             ORDER BY epoch DESC, first DESC",
        )?;
        let mut rows = statement.query(params![&**machine, stream.name(), from_ns, to_ns])?;
        let (mut found, mut blocks, mut reached_ns) = (Newest::new(bounds), 0, None);
        while let Some(row) = rows.next()? {
            if found.full || blocks == bounds.blocks {
                found.full = true;
                break;
            }
            blocks += 1;
            let span = Span {
                epoch: from_sql(row.get(1)?),
                first: from_sql(row.get(2)?),
                last: from_sql(row.get(3)?),
            };
            let asked = |entry: &Entry| {
                &*entry.record == record && (from_ns..=to_ns).contains(&entry.t_unix_ns)
            };
            let entries = entries(&self.db, row.get(0)?, machine, stream, span)?;
            entries
                .into_iter()
                .rev()
                .filter(asked)
                .for_each(|entry| found.take(entry));
            reached_ns = Some(row.get::<_, i64>(4)?.max(from_ns));
        }
        Ok(found.past(reached_ns.unwrap_or(from_ns)))
    }

    /// All blocks, stream by stream and in the order of their names.
    pub fn places(&self) -> Result<Vec<Place>, StoreError> {
        let mut statement = self.db.prepare(
            "SELECT blocks.id, machine, streams.stream, epoch, first, last, since_ns, until_ns,
                    length(data)
             FROM blocks JOIN streams ON streams.id = blocks.stream
             ORDER BY machine, streams.stream, epoch, first",
        )?;
        let mut rows = statement.query([])?;
        let (mut names, mut places) = (Names::default(), Vec::new());
        while let Some(row) = rows.next()? {
            places.push(place(row, &mut names)??);
        }
        Ok(places)
    }

    /// The entries of a block.
    pub fn entries(&self, place: &Place) -> Result<Vec<Entry>, StoreError> {
        entries(&self.db, place.id, &place.machine, place.stream, place.span)
    }

    /// What SQLite itself finds wrong, a sentence each.
    pub fn check(&self) -> Result<Vec<String>, StoreError> {
        let mut statement = self.db.prepare("PRAGMA integrity_check(20)")?;
        let found: Result<Vec<String>, _> = statement.query_map([], |row| row.get(0))?.collect();
        Ok(found?.into_iter().filter(|said| said != "ok").collect())
    }
}

/// A row with the columns of a place.
fn place(
    row: &rusqlite::Row<'_>,
    names: &mut Names,
) -> rusqlite::Result<Result<Place, StoreError>> {
    let (machine, stream): (String, String) = (row.get(1)?, row.get(2)?);
    let Some(stream) = Stream::from_name(&stream) else {
        return Ok(Err(StoreError::Damaged(format!(
            "there is no stream {stream}"
        ))));
    };
    Ok(Ok(Place {
        id: row.get(0)?,
        machine: names.get(&machine),
        stream,
        span: Span {
            epoch: from_sql(row.get(3)?),
            first: from_sql(row.get(4)?),
            last: from_sql(row.get(5)?),
        },
        since_ns: row.get(6)?,
        until_ns: row.get(7)?,
        packed_bytes: from_sql(row.get(8)?),
    }))
}

/// Which stream a record of that name stands in.
pub(in crate::spool) fn stream_of(record: &str) -> Stream {
    match record {
        crate::spool::FRAME => Stream::Frames,
        crate::spool::INPUT => Stream::Inputs,
        _ => Stream::Records,
    }
}

/// The entries of the block in that row.
pub(super) fn entries(
    db: &Connection,
    id: i64,
    machine: &Arc<str>,
    stream: Stream,
    span: Span,
) -> Result<Vec<Entry>, StoreError> {
    let data: Vec<u8> = db
        .prepare_cached("SELECT data FROM blocks WHERE id = ?1")?
        .query_row([id], |row| row.get(0))?;
    let damaged = |what: &str| {
        StoreError::Damaged(format!(
            "{what}: {machine}, {}, epoch {}, {} to {}",
            stream.name(),
            span.epoch,
            span.first,
            span.last
        ))
    };
    let content = zstd::bulk::decompress(&data, BLOCK_BYTES_MAX + 2 * ENTRY_BYTES_MAX)
        .map_err(|error| damaged(&error.to_string()))?;
    codec::block(&content, &mut Names::default(), machine, stream, span)
        .ok_or_else(|| damaged("not the entries that it should have"))
}
