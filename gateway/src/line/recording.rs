//! A line's capture while it runs: a thread of its own writes, the line only hands over.
//!
//! When the disk doesn't keep up, chunks and inputs are left out of the capture and counted, and the
//! line runs on: a recording may never hold up what it records.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::capture::{Input, Item, PortLabel, Writer};
use crate::config::limits::{RECORDING_FLUSH_EVERY, RECORDING_ITEMS_MAX};
use crate::words::Chunk;

/// The line's end of a recording. Dropping it ends the file.
#[derive(Debug)]
pub struct Recording {
    items: Option<SyncSender<Item>>,
    lost: Arc<AtomicU64>,
    writer: Option<JoinHandle<()>>,
}

impl Recording {
    /// Begins a file. Its times count from `origin_wall_ns`, the wall clock when the line began.
    ///
    /// # Errors
    ///
    /// The file can't be made or written; an existing one is not overwritten.
    pub fn begin(path: &Path, origin_wall_ns: i64, ports: &[PortLabel]) -> io::Result<Self> {
        let file = BufWriter::new(File::create_new(path)?);
        let mut capture = Writer::new(file, origin_wall_ns, ports)?;
        capture.flush()?;
        let (items, received) = sync_channel(RECORDING_ITEMS_MAX);
        let shown = path.to_owned();
        let writer = std::thread::Builder::new()
            .name("capture".to_owned())
            .spawn(move || {
                let mut write = || -> io::Result<()> {
                    loop {
                        match received.recv_timeout(RECORDING_FLUSH_EVERY) {
                            Ok(Item::Chunk(chunk)) => capture.chunk(&chunk)?,
                            Ok(Item::Input(input)) => capture.input(&input)?,
                            Err(RecvTimeoutError::Timeout) => capture.flush()?,
                            Err(RecvTimeoutError::Disconnected) => return capture.flush(),
                        }
                    }
                };
                if let Err(error) = write() {
                    tracing::error!(file = %shown.display(), %error, "the capture ends here");
                }
            })?;
        Ok(Self {
            items: Some(items),
            lost: Arc::default(),
            writer: Some(writer),
        })
    }

    /// Hands over a chunk.
    pub fn chunk(&self, chunk: &Chunk) {
        self.hand_over(Item::Chunk(chunk.clone()));
    }

    /// Hands over an input.
    pub fn input(&self, input: Input) {
        self.hand_over(Item::Input(input));
    }

    fn hand_over(&self, item: Item) {
        let full = self
            .items
            .as_ref()
            .is_none_or(|items| items.try_send(item).is_err());
        if full && self.lost.fetch_add(1, Relaxed) == 0 {
            tracing::warn!(
                "the disk is too slow for the capture: parts of the line are missing in it"
            );
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.items = None;
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the capture's writer ended by a panic");
        }
        let lost = self.lost.load(Relaxed);
        if lost > 0 {
            tracing::warn!(lost, "chunks and inputs are missing in the capture");
        }
    }
}
