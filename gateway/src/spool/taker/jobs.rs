//! Generations and jobs: what the spool's thread gives to the store, and what becomes of it.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

use super::super::gaps::{DropCause, Lost};
use super::super::queues::Dropping;
use super::super::ranges::{Name, Span};
use super::super::store::{Job, StoreError, Stored};
use super::super::{Health, unix_ns};
use super::Taker;
use crate::config::limits::{ENTRY_BYTES_MAX, SPOOL_CLOSE_MAX, TAIL_SYNC_BYTES, TURN_BYTES_MAX};
use crate::words::{Entry, Stream};

/// A job that isn't stored yet.
#[derive(Debug)]
pub(super) struct Storing {
    job: Arc<Job>,
    /// The queue of each of the job's streams.
    queues: Vec<usize>,
    /// When to try again; none while the store is at it.
    retry_at: Option<Instant>,
}

impl Taker {
    /// How long there is nothing to do unless somebody calls.
    pub(super) fn sleep(&self, now: Instant) -> Duration {
        let mut at = self.synced_at + self.begin.sync_every;
        if let Some(retry_at) = self.storing.as_ref().and_then(|storing| storing.retry_at) {
            at = at.min(retry_at);
        }
        at.saturating_duration_since(now)
            .max(Duration::from_millis(1))
    }

    /// Gives the store what there is, when it is time and it has nothing to do.
    pub(super) fn sync(&mut self, now: Instant) {
        if self.storing.is_some() || self.closed {
            return;
        }
        let due = now >= self.synced_at + self.begin.sync_every;
        if due || self.begin.tail.filled() >= TAIL_SYNC_BYTES {
            self.give_job(now, false);
        }
    }

    /// Makes room in the tail for a turn. False: the store has to be waited for.
    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        let turn_bytes = TURN_BYTES_MAX + ENTRY_BYTES_MAX + 64 * 1024 + self.unwritten.len();
        if self.begin.tail.has_room(turn_bytes as u64) {
            return true;
        }
        match &self.storing {
            None => self.give_job(now, false),
            Some(Storing { retry_at: None, .. }) => return false,
            Some(_) => self.give_up_oldest(now),
        }
        true
    }

    /// Ends the generation, if there is anything in it, and has it stored with all that is to be
    /// known besides.
    fn give_job(&mut self, now: Instant, clean: bool) {
        self.synced_at = now;
        let mut held = self.shared.queues();
        if self.pending.is_empty() && !clean && !held.take_changed() && self.begin.max_age.is_none()
        {
            return;
        }
        let (queues, streams, sent) = held.states();
        std::mem::drop(held);
        let tail = &mut self.begin.tail;
        let mut next_generation = tail.generation();
        if !self.pending.is_empty() {
            next_generation += 1;
            tail.rotate(next_generation);
            // They are stored from memory now.
            self.unwritten.clear();
        }
        let job = Arc::new(Job {
            next_generation,
            epoch: self.epoch,
            opened_epoch: self.begin.epoch,
            clean,
            max_bytes: self.begin.max_bytes,
            entries: std::mem::take(&mut self.pending),
            streams,
            sent,
            keep_since_ns: self.begin.max_age.map(|age| {
                let age_ns = i64::try_from(age.as_nanos()).unwrap_or(i64::MAX);
                unix_ns(SystemTime::now()).saturating_sub(age_ns)
            }),
        });
        self.keeper.give(&job);
        self.storing = Some(Storing {
            job,
            queues,
            retry_at: None,
        });
    }

    /// Takes the store's report, and has it try again where it failed.
    pub(super) fn look_at_store(&mut self, now: Instant) {
        match self.keeper.report() {
            Some(Ok(stored)) => self.stored(stored),
            Some(Err(error)) => self.failed(&error, now),
            None => {}
        }
        if let Some(storing) = &mut self.storing
            && storing.retry_at.is_some_and(|at| at <= now)
        {
            storing.retry_at = None;
            self.keeper.give(&storing.job);
        }
    }

    fn stored(&mut self, stored: Stored) {
        let Some(Storing { job, queues, .. }) = self.storing.take() else {
            return;
        };
        self.shared.set_health(if self.unwritten.is_empty() {
            Health::Ok
        } else {
            Health::failing("the tail can't be written".to_owned())
        });
        let mut held = self.shared.queues();
        for (at, index) in queues.iter().enumerate() {
            let oldest_ns = stored.oldest_ns.get(at).copied().flatten();
            let last = job
                .streams
                .get(at)
                .and_then(|state| last_of(&job.entries, &state.machine, state.stream));
            held.stored(*index, last, oldest_ns);
        }
        held.bound_live();
        for victim in stored.victims {
            let Some(index) = queues.get(victim.stream) else {
                continue;
            };
            held.ask_drop(Dropping {
                queue: *index,
                span: victim.block.span,
                cause: Some(victim.cause),
                even_sent: victim.even_sent,
                since_ns: victim.block.since_ns,
                until_ns: victim.block.until_ns,
                gaps: victim.block.gaps,
            });
        }
    }

    fn failed(&mut self, error: &StoreError, now: Instant) {
        let health = match error {
            StoreError::Full(_) => Health::disk_full(error.to_string()),
            StoreError::Damaged(_) | StoreError::Other(_) => Health::failing(error.to_string()),
        };
        self.shared.set_health(health);
        if let Some(storing) = &mut self.storing {
            storing.retry_at = Some(now + self.begin.sync_every);
        }
    }

    /// Both files of the tail are full, and the store can't take any: the older generation makes
    /// room. What of it was released needs no storing; the rest is lost, and told.
    fn give_up_oldest(&mut self, now: Instant) {
        let Some(Storing { job, queues, .. }) = self.storing.take() else {
            return;
        };
        // First, so that the younger generation is stored as it stands now: the gaps that tell of
        // what is dropped here are in the generation after it.
        self.give_job(now, false);
        let shared = Arc::clone(&self.shared);
        let mut held = shared.queues();
        for (state, index) in job.streams.iter().zip(queues) {
            let of_stream = |entry: &&Entry| is_of(entry, &state.machine, state.stream);
            let entries: Vec<&Entry> = job.entries.iter().filter(of_stream).collect();
            for run in entries.chunk_by(|one, two| (one.epoch, one.seq + 1) == (two.epoch, two.seq))
            {
                let (Some(first), Some(last)) = (run.first(), run.last()) else {
                    continue;
                };
                let gaps = run
                    .iter()
                    .filter_map(|entry| Some((entry.seq, Lost::told_by_entry(entry)?)));
                let lost = held.take_out(&Dropping {
                    queue: index,
                    span: Span {
                        epoch: first.epoch,
                        first: first.seq,
                        last: last.seq,
                    },
                    cause: Some(DropCause::DiskFull),
                    even_sent: true,
                    since_ns: first.t_unix_ns,
                    until_ns: last.t_unix_ns,
                    gaps: gaps.collect(),
                });
                held.stored(index, Some((last.epoch, last.seq)), None);
                if let Some(stream) = self.streams.get_mut(index) {
                    lost.into_iter().for_each(|lost| stream.losses.add(lost));
                }
            }
        }
    }

    pub(super) fn begin_to_close(&mut self, done: Sender<Result<(), String>>) {
        self.closing = Some((Instant::now() + SPOOL_CLOSE_MAX, done));
    }

    /// Everything was taken: has it stored, and answers once it is. True: it is over.
    pub(super) fn close(&mut self, now: Instant) -> bool {
        let Some((until, done)) = &self.closing else {
            return false;
        };
        let answer = match &self.storing {
            None if self.closed && self.pending.is_empty() => Ok(()),
            Some(Storing { retry_at: None, .. }) if now < *until => return false,
            None => {
                self.closed = true;
                self.give_job(now, true);
                return false;
            }
            Some(_) => {
                let health = self.shared.health.borrow().clone();
                Err(format!(
                    "not everything is stored ({health}); the tail has it"
                ))
            }
        };
        // Whoever asked may have gone.
        let _ = done.send(answer);
        true
    }
}

fn is_of(entry: &Entry, machine: &str, stream: Stream) -> bool {
    entry.stream == stream && &*entry.machine == machine
}

fn last_of(entries: &[Entry], machine: &str, stream: Stream) -> Option<Name> {
    let last = entries
        .iter()
        .rev()
        .find(|entry| is_of(entry, machine, stream))?;
    Some((last.epoch, last.seq))
}
