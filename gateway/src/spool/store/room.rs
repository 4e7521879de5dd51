//! Making room in the database: which blocks go, in which order, and what nobody took yet.
//!
//! What was released goes first, the oldest first. What is unreleased isn't deleted here: it is
//! named as a victim, the spool tells of it by a `gap`, and once that stands in the stream the
//! block is one of released entries and goes at the next commit. So a loss is never on disk without
//! the record that explains it.

use rusqlite::{OptionalExtension as _, Transaction, params};

use super::{Job, Limits, StoreError, from_sql, read, to_sql};
use crate::config::limits::VICTIMS_MAX;
use crate::spool::gaps::{DropCause, Lost};
use crate::spool::ranges::{Name, Span};

/// Of one stream: what is unreleased and has to go.
#[derive(Debug)]
pub(in crate::spool) struct Victim {
    /// Index of the stream in the job.
    pub stream: usize,
    pub cause: DropCause,
    /// Whether to drop what was sent and may still arrive.
    pub even_sent: bool,
    pub block: VictimBlock,
}

/// The block that has to go.
#[derive(Debug)]
pub(in crate::spool) struct VictimBlock {
    pub span: Span,
    pub since_ns: i64,
    pub until_ns: i64,
    /// Gaps in it, by number, and what each tells.
    pub gaps: Vec<(u64, Lost)>,
}

/// A row of the index of blocks.
#[derive(Debug, Clone, Copy)]
struct Row {
    id: i64,
    span: Span,
    until_ns: i64,
}

/// One transaction's view of what there is.
pub(super) struct Room<'a> {
    transaction: &'a Transaction<'a>,
    job: &'a Job,
    ids: &'a [i64],
}

impl<'a> Room<'a> {
    pub fn new(transaction: &'a Transaction<'a>, job: &'a Job, ids: &'a [i64]) -> Self {
        Self {
            transaction,
            job,
            ids,
        }
    }

    /// Deletes what may go, and names what must be dropped so that the next job has room.
    pub fn make(&mut self, limits: Limits) -> Result<Vec<Victim>, StoreError> {
        let limit = limits.bytes_max.saturating_sub(limits.spare_bytes);
        // A little more than needed, so that the same pages serve many deletions.
        let more = limits.bytes_max / 128;
        let mut used = self.used_bytes()?;
        let too_full = used > limit;
        if too_full || self.job.keep_since_ns.is_some() {
            let down_to = if too_full {
                limit.saturating_sub(more)
            } else {
                u64::MAX
            };
            self.delete_released(down_to)?;
            used = self.used_bytes()?;
        }
        let mut victims = Vec::new();
        if let Some(since_ns) = self.job.keep_since_ns {
            victims = self.too_old(since_ns)?;
        }
        if used > limit && victims.is_empty() {
            let skip_sent = used <= limits.bytes_max;
            victims = self.oldest(used - limit + more, skip_sent)?;
        }
        Ok(victims)
    }

    /// For each stream of the job, the time of the block with its oldest unreleased entry.
    pub fn oldest_ns(&self) -> Result<Vec<Option<i64>>, StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT since_ns FROM blocks WHERE stream = ?1 AND epoch = ?2 AND first <= ?3
             ORDER BY first DESC LIMIT 1",
        )?;
        let mut found = Vec::with_capacity(self.ids.len());
        for (state, id) in self.job.streams.iter().zip(self.ids) {
            found.push(match state.unreleased.first() {
                None => None,
                Some((epoch, seq)) => statement
                    .query_row(params![id, to_sql(epoch), to_sql(seq)], |row| row.get(0))
                    .optional()?,
            });
        }
        Ok(found)
    }

    /// Bytes of the pages that hold something, in the log or not.
    fn used_bytes(&self) -> Result<u64, StoreError> {
        let number = |pragma: &str| {
            self.transaction
                .query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
                .map(from_sql)
        };
        let pages = number("page_count")?.saturating_sub(number("freelist_count")?);
        Ok(pages * number("page_size")?)
    }

    /// Deletes blocks without an unreleased entry, the oldest first: those that are too old, and as
    /// many as it takes to use no more than `down_to`.
    fn delete_released(&mut self, down_to: u64) -> Result<(), StoreError> {
        let mut next: Vec<Option<Row>> = Vec::with_capacity(self.ids.len());
        for index in 0..self.ids.len() {
            next.push(self.released_after(index, (0, 0))?);
        }
        let mut deleted = 0_u64;
        let mut enough = false;
        loop {
            let oldest = next
                .iter()
                .enumerate()
                .filter_map(|(index, row)| Some((index, (*row)?)))
                .min_by_key(|(_, row)| row.id);
            let Some((index, row)) = oldest else { break };
            let too_old = self
                .job
                .keep_since_ns
                .is_some_and(|since_ns| row.until_ns < since_ns);
            // Counting pages for each would cost more than the deletion.
            if deleted.is_multiple_of(16) {
                enough = self.used_bytes()? <= down_to;
            }
            if enough && !too_old {
                break;
            }
            self.transaction
                .prepare_cached("DELETE FROM blocks WHERE id = ?1")?
                .execute([row.id])?;
            deleted += 1;
            if let Some(slot) = next.get_mut(index) {
                *slot = self.released_after(index, (row.span.epoch, row.span.first))?;
            }
        }
        Ok(())
    }

    /// The first block of a stream behind `after` without an unreleased entry. The index alone
    /// answers, and what is unreleased is skipped as a range.
    fn released_after(&self, index: usize, mut after: Name) -> Result<Option<Row>, StoreError> {
        let (Some(id), Some(state)) = (self.ids.get(index), self.job.streams.get(index)) else {
            return Ok(None);
        };
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, epoch, first, last, until_ns FROM blocks
             WHERE stream = ?1 AND (epoch, first) > (?2, ?3) ORDER BY epoch, first LIMIT 1",
        )?;
        loop {
            let row = statement
                .query_row(params![id, to_sql(after.0), to_sql(after.1)], row)
                .optional()?;
            let Some(row) = row else { return Ok(None) };
            match state.unreleased.touching(row.span) {
                None => return Ok(Some(row)),
                Some(held) => after = (held.epoch, held.last.max(row.span.first)),
            }
        }
    }

    /// Unreleased blocks that are older than the settings allow.
    fn too_old(&self, since_ns: i64) -> Result<Vec<Victim>, StoreError> {
        let mut victims = Vec::new();
        for index in 0..self.ids.len() {
            for row in self.unreleased(index)? {
                if row.until_ns >= since_ns || victims.len() >= VICTIMS_MAX {
                    break;
                }
                victims.push(self.victim(index, row, DropCause::SpoolAge, true)?);
            }
        }
        Ok(victims)
    }

    /// The oldest unreleased blocks of all streams that make up this much.
    fn oldest(&self, bytes: u64, skip_sent: bool) -> Result<Vec<Victim>, StoreError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, epoch, first, last, until_ns, stream, length(data) FROM blocks ORDER BY id",
        )?;
        let mut rows = statement.query([])?;
        let (mut victims, mut found) = (Vec::new(), 0);
        while let Some(next) = rows.next()? {
            if found >= bytes || victims.len() >= VICTIMS_MAX {
                break;
            }
            let (row, stream, length): (Row, i64, i64) = (row(next)?, next.get(5)?, next.get(6)?);
            let Some(index) = self.ids.iter().position(|id| *id == stream) else {
                continue;
            };
            let on_its_way =
                |sent: &crate::spool::ranges::Ranges| sent.touching(row.span).is_some();
            if skip_sent && self.job.sent.get(index).is_some_and(on_its_way) {
                continue;
            }
            victims.push(self.victim(index, row, DropCause::SpoolFull, !skip_sent)?);
            found += from_sql(length);
        }
        Ok(victims)
    }

    /// The blocks of a stream with unreleased entries, in order, from the first on.
    fn unreleased(&self, index: usize) -> Result<Vec<Row>, StoreError> {
        let (Some(id), Some(state)) = (self.ids.get(index), self.job.streams.get(index)) else {
            return Ok(Vec::new());
        };
        let mut statement = self.transaction.prepare_cached(
            "SELECT id, epoch, first, last, until_ns FROM blocks
             WHERE stream = ?1 AND epoch = ?2 AND last >= ?3 AND first <= ?4
             ORDER BY first LIMIT ?5",
        )?;
        let mut found = Vec::new();
        for span in state.unreleased.spans() {
            let (first, last) = (to_sql(span.first), to_sql(span.last));
            let limit = to_sql((VICTIMS_MAX - found.len()) as u64);
            let rows =
                statement.query_map(params![id, to_sql(span.epoch), first, last, limit], row)?;
            for row in rows {
                found.push(row?);
            }
            if found.len() >= VICTIMS_MAX {
                break;
            }
        }
        found.dedup_by_key(|row| row.id);
        Ok(found)
    }

    fn victim(
        &self,
        stream: usize,
        row: Row,
        cause: DropCause,
        even_sent: bool,
    ) -> Result<Victim, StoreError> {
        let (since_ns, gaps): (i64, i64) = self
            .transaction
            .prepare_cached("SELECT since_ns, gaps FROM blocks WHERE id = ?1")?
            .query_row([row.id], |found| Ok((found.get(0)?, found.get(1)?)))?;
        let mut told = Vec::new();
        if gaps > 0
            && let Some(state) = self.job.streams.get(stream)
            // One that can't be read can't be told again.
            && let Ok(entries) = read::entries(self.transaction, row.id, &state.machine, state.stream, row.span)
        {
            let lost = |entry: &crate::words::Entry| Some((entry.seq, Lost::told_by_entry(entry)?));
            told = entries.iter().filter_map(lost).collect();
        }
        Ok(Victim {
            stream,
            cause,
            even_sent,
            block: VictimBlock {
                span: row.span,
                since_ns,
                until_ns: row.until_ns,
                gaps: told,
            },
        })
    }
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        id: row.get(0)?,
        span: Span {
            epoch: from_sql(row.get(1)?),
            first: from_sql(row.get(2)?),
            last: from_sql(row.get(3)?),
        },
        until_ns: row.get(4)?,
    })
}
