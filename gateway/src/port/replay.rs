//! A recorded file as a source of chunks and inputs: a capture, or plain bytes with a rate.
//!
//! Time is the recording's own. Speed decides only when an item is given, never what it says, so
//! the same file gives the same line at any speed.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::PortError;
use crate::capture::{Input, Item, ReadError, Reader};
use crate::words::{Chunk, Stamp};

/// How fast a recording is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Speed {
    /// As fast as it was recorded.
    Recorded,
    /// As fast as it is asked for.
    #[default]
    Max,
}

/// A recording that is being replayed.
#[derive(Debug)]
pub struct Replay {
    path: PathBuf,
    recording: Recording,
    speed: Speed,
    /// When the first item was given, less its line time.
    began: Option<Instant>,
    /// What was read and is not due yet.
    next: Option<Item>,
}

#[derive(Debug)]
enum Recording {
    Capture(Box<Reader<BufReader<File>>>),
    Raw(Raw),
}

/// Plain bytes: each is as long on the line as its start bit, eight data bits and a stop bit.
#[derive(Debug)]
struct Raw {
    bytes: BufReader<File>,
    baud: u32,
    read: u64,
}

impl Raw {
    fn next_item(&mut self) -> Result<Option<Item>, ReadError> {
        let mut byte = [0];
        if self.bytes.read(&mut byte)? == 0 {
            return Ok(None);
        }
        self.read += 1;
        let line_ns = u128::from(self.read) * 10_000_000_000 / u128::from(self.baud.max(1));
        let line_ns = u64::try_from(line_ns).unwrap_or(u64::MAX);
        // Such a file doesn't say when it was made: it begins in 1970.
        let at = Stamp {
            line_ns,
            wall_ns: i64::try_from(line_ns).unwrap_or(i64::MAX),
        };
        Ok(Some(Item::Chunk(Chunk {
            at,
            bytes: byte.to_vec(),
            ..Chunk::default()
        })))
    }
}

impl Replay {
    /// Opens a capture.
    ///
    /// # Errors
    /// [`PortError::Capture`], which says what the file is where it isn't a capture.
    pub fn open(path: &Path, speed: Speed) -> Result<Replay, PortError> {
        let reader = Reader::open(path).map_err(|error| capture(path, error))?;
        Ok(Replay::new(
            path,
            Recording::Capture(Box::new(reader)),
            speed,
        ))
    }

    /// Opens a file of plain bytes that came at `baud` bits per second, ten bits a byte.
    ///
    /// # Errors
    /// [`PortError::Capture`] where the file can't be opened.
    pub fn open_raw(path: &Path, baud: u32, speed: Speed) -> Result<Replay, PortError> {
        let file = File::open(path).map_err(|error| capture(path, error.into()))?;
        let raw = Raw {
            bytes: BufReader::new(file),
            baud,
            read: 0,
        };
        Ok(Replay::new(path, Recording::Raw(raw), speed))
    }

    fn new(path: &Path, recording: Recording, speed: Speed) -> Replay {
        Replay {
            path: path.to_owned(),
            recording,
            speed,
            began: None,
            next: None,
        }
    }

    /// The next chunk or input when it is due, `None` after the last. May be dropped at any time
    /// without losing anything.
    ///
    /// # Errors
    /// [`PortError::Capture`], once, after the last item that is whole.
    pub async fn next_item(&mut self) -> Result<Option<Item>, PortError> {
        if self.next.is_none() {
            let next = match &mut self.recording {
                Recording::Capture(reader) => reader.next_item(),
                Recording::Raw(raw) => raw.next_item(),
            };
            self.next = next.map_err(|error| capture(&self.path, error))?;
        }
        if let (Speed::Recorded, Some(item)) = (self.speed, &self.next) {
            let line_ns = match item {
                Item::Chunk(chunk) => chunk.at.line_ns,
                Item::Input(Input { line_ns, .. }) => *line_ns,
            };
            let since_first = Duration::from_nanos(line_ns);
            let began = *self.began.get_or_insert_with(|| {
                let now = Instant::now();
                now.checked_sub(since_first).unwrap_or(now)
            });
            // A time too far away to be reached is waited for without end.
            match began.checked_add(since_first) {
                Some(due) => sleep_until(due).await,
                None => std::future::pending().await,
            }
        }
        Ok(self.next.take())
    }

    /// When an input was taken, on both clocks; once it was given.
    pub fn stamp(&self, input: &Input) -> Stamp {
        let origin_wall_ns = match &self.recording {
            Recording::Capture(reader) => reader.origin_wall_ns().unwrap_or(0),
            Recording::Raw(_) => 0,
        };
        let wall_ns = origin_wall_ns.saturating_add_unsigned(input.line_ns);
        Stamp {
            line_ns: input.line_ns,
            wall_ns,
        }
    }
}

fn capture(path: &Path, error: ReadError) -> PortError {
    PortError::Capture {
        path: path.to_owned(),
        error,
    }
}
