//! Whoever empties the spool: two lanes out of memory and disk.
//!
//! What comes live is in memory. The backlog is read from the database a block at a time, on a thread
//! that may wait, and a few unpacked blocks are kept, so that memory doesn't grow with the backlog.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::Thread;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::gaps::DropCause;
use super::queues::{Backlog, Batch, Dropping, Due, Lanes, Next, Wanted, fitting};
use super::ranges::Span;
use super::store::{Block, StoreError, View};
use super::{Shared, unix_ns};
use crate::config::limits::{BLOCKS_CACHED_MAX, SPOOL_READ_PAUSE};
use crate::words::Stream;

/// What looking into the store gave.
#[derive(Debug)]
enum Fetched {
    Block(Block),
    /// These numbers stand nowhere.
    Nothing(Span),
    /// These stand there and can't be read.
    Damaged(Span, StoreError),
    /// It may work later.
    Failed(String),
}

type Fetch = JoinHandle<(Option<View>, Wanted, Fetched)>;

/// Whoever empties the spool. There is one.
#[derive(Debug)]
pub struct Reader {
    shared: Arc<Shared>,
    folder: PathBuf,
    /// The spool's thread, which drops and tells.
    taker: Thread,
    view: Option<View>,
    /// A look into the store that goes on, whoever waits for it.
    fetch: Option<Fetch>,
    /// Unpacked blocks, the one used last at the end.
    blocks: Vec<Block>,
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, folder: PathBuf, taker: Thread) -> Self {
        Self {
            shared,
            folder,
            taker,
            view: None,
            fetch: None,
            blocks: Vec::new(),
        }
    }

    /// Waits for the next batch: entries of one machine, stream and epoch, without a hole, with at
    /// most `bytes_max` of payload (or a single entry that is larger). Live entries go before the
    /// backlog: they come when they fill a batch, or when the first has waited for `linger`. In each
    /// lane machines take turns. What is read counts as sent.
    ///
    /// Dropping the future loses nothing. Needs a tokio runtime.
    pub async fn next(&mut self, bytes_max: usize, linger: Duration, lanes: Lanes) -> Batch {
        loop {
            let now = Instant::now();
            let mut due = Due::WhenTaken;
            let mut wanted = None;
            {
                let mut queues = self.shared.queues();
                queues.age_live(now);
                if lanes.live {
                    due = queues.live_due(bytes_max, linger, now);
                    if let Due::Now(index) = due
                        && let Some(batch) = queues.read_live(index, bytes_max)
                    {
                        return batch;
                    }
                }
                if lanes.backlog {
                    match queues.next_backlog(bytes_max) {
                        Some(Next::Batch(batch)) => return batch,
                        Some(Next::Stored(next)) => wanted = Some(next),
                        None => {}
                    }
                }
            }
            if let Some(wanted) = wanted {
                if let Some(batch) = self.cached(&wanted, bytes_max) {
                    return batch;
                }
                if self.fetch.is_none() {
                    self.fetch = Some(self.begin_fetch(wanted));
                }
            }
            let shared = Arc::clone(&self.shared);
            let taken = shared.taken.notified();
            let fetch = &mut self.fetch;
            let fetched = async {
                match fetch {
                    Some(fetch) => fetch.await,
                    None => std::future::pending().await,
                }
            };
            let live = async {
                match due {
                    Due::At(at) => tokio::time::sleep_until(at.into()).await,
                    Due::Now(_) | Due::WhenTaken => std::future::pending().await,
                }
            };
            tokio::select! {
                () = taken => {}
                () = live => {}
                fetched = fetched => {
                    // What isn't awaited to its end stays in `self.fetch`.
                    self.fetch = None;
                    match fetched {
                        Ok((view, wanted, fetched)) => {
                            self.view = view;
                            self.fetched(&wanted, fetched);
                        }
                        Err(error) => tracing::error!(%error, "reading the spool ended by a panic"),
                    }
                }
            }
        }
    }

    /// Releases these numbers, both included; what isn't held any more or was never given out is
    /// ignored. Answers how many entries were released newly.
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
            .release(machine, stream, Span { epoch, first, last })
    }

    /// Forgets a batch that will never be taken; counted, and told by a `gap` record.
    pub fn refuse(&mut self, batch: &Batch) {
        self.shared.queues().refuse(batch);
        self.taker.unpark();
    }

    /// A session ended, or made no progress: whatever is unreleased will be read again, from the
    /// first on, as backlog; what is taken from now on is live.
    pub fn rewind(&mut self) {
        self.shared.queues().rewind();
    }

    /// What is still to be released.
    pub fn backlog(&self) -> Backlog {
        self.shared.queues().backlog()
    }

    /// A batch out of a block that was unpacked before.
    fn cached(&mut self, wanted: &Wanted, bytes_max: usize) -> Option<Batch> {
        let at = self.blocks.iter().position(|block| {
            block.stream == wanted.stream
                && block.machine == wanted.machine
                && block.span.contains((wanted.span.epoch, wanted.span.first))
        })?;
        let block = self.blocks.remove(at);
        let skipped = usize::try_from(wanted.span.first - block.span.first).unwrap_or(usize::MAX);
        let entries = fitting(block.entries.iter().skip(skipped), wanted.span, bytes_max);
        self.blocks.push(block);
        self.shared.queues().read_stored(wanted, entries)
    }

    fn begin_fetch(&mut self, wanted: Wanted) -> Fetch {
        let (view, folder) = (self.view.take(), self.folder.clone());
        tokio::task::spawn_blocking(move || {
            let view = match view {
                Some(view) => view,
                None => match View::open(&folder) {
                    Ok(view) => view,
                    Err(error) => {
                        std::thread::sleep(SPOOL_READ_PAUSE);
                        return (None, wanted, Fetched::Failed(error.to_string()));
                    }
                },
            };
            let fetched = look(&view, &wanted);
            (Some(view), wanted, fetched)
        })
    }

    fn fetched(&mut self, wanted: &Wanted, fetched: Fetched) {
        let (span, why) = match fetched {
            Fetched::Block(block) => {
                if self.blocks.len() >= BLOCKS_CACHED_MAX {
                    self.blocks.remove(0);
                }
                self.blocks.push(block);
                return;
            }
            Fetched::Failed(why) => {
                tracing::error!("the spool can't be read at present: {why}");
                return;
            }
            Fetched::Nothing(span) => (span, "not there".to_owned()),
            Fetched::Damaged(span, error) => (span, error.to_string()),
        };
        tracing::error!(
            machine = %wanted.machine, stream = wanted.stream.name(), epoch = span.epoch,
            first = span.first, last = span.last, "lost from the spool: {why}",
        );
        let now_ns = unix_ns(std::time::SystemTime::now());
        self.shared.queues().ask_drop(Dropping {
            queue: wanted.queue,
            span,
            cause: Some(DropCause::Damaged),
            even_sent: true,
            since_ns: now_ns,
            until_ns: now_ns,
            gaps: Vec::new(),
        });
        self.taker.unpark();
    }
}

/// Looks for the first of what is wanted.
fn look(view: &View, wanted: &Wanted) -> Fetched {
    let Span { epoch, first, last } = wanted.span;
    let place = match view.place(&wanted.machine, wanted.stream, (epoch, first)) {
        Ok(Ok(place)) => place,
        Ok(Err(next)) => {
            let last = next.map_or(last, |next| last.min(next.saturating_sub(1)));
            return Fetched::Nothing(Span { epoch, first, last });
        }
        Err(error) => {
            std::thread::sleep(SPOOL_READ_PAUSE);
            return Fetched::Failed(error.to_string());
        }
    };
    match view.entries(&place) {
        Ok(entries) => Fetched::Block(Block {
            machine: place.machine,
            stream: place.stream,
            span: place.span,
            entries,
        }),
        Err(error @ StoreError::Damaged(_)) => Fetched::Damaged(place.span, error),
        Err(error) => {
            std::thread::sleep(SPOOL_READ_PAUSE);
            Fetched::Failed(error.to_string())
        }
    }
}
