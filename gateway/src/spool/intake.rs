//! A line's end of the spool: a bounded channel that never makes it wait.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

use tokio::sync::mpsc;

use super::gaps::{DropCause, Lost};
use crate::words::{ClockState, RawFrame, RawInput, Record, Stamp, Stream};

/// What a line hands over.
#[derive(Debug)]
pub(super) enum Taking {
    Record(Record),
    Frame(RawFrame),
    Input(RawInput),
}

impl Taking {
    pub fn stream(&self) -> Stream {
        match self {
            Self::Record(_) => Stream::Records,
            Self::Frame(_) => Stream::Frames,
            Self::Input(_) => Stream::Inputs,
        }
    }

    pub fn at(&self) -> (Stamp, ClockState) {
        match self {
            Self::Record(record) => (record.at, record.clock),
            Self::Frame(frame) => (frame.at, frame.clock),
            Self::Input(input) => (input.at, input.clock),
        }
    }

    /// About what its JSON will have.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Record(record) => record.fields.len(),
            Self::Frame(frame) => 2 * frame.bytes.len(),
            Self::Input(input) => input.data.len(),
        }
    }
}

/// What didn't fit into an intake and isn't told yet, by stream.
#[derive(Debug, Default, Clone)]
pub(super) struct Missed(Arc<Mutex<[Option<Lost>; Stream::ALL.len()]>>);

impl Missed {
    pub fn take(&self) -> [Option<Lost>; Stream::ALL.len()] {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add(&self, stream: Stream, wall_ns: i64, clock: ClockState) {
        // Only when something is lost already is there a lock, and the other side holds it for
        // as long as it takes to move a few words.
        let mut missed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(slot) = missed.get_mut(stream as usize) else {
            return;
        };
        let lost = slot.get_or_insert(Lost {
            cause: DropCause::IntakeFull,
            count: Some(0),
            since_ns: wall_ns,
            until_ns: wall_ns,
            clock,
            numbers: None,
        });
        lost.count = lost.count.map(|count| count + 1);
        lost.until_ns = wall_ns;
        lost.clock = clock;
    }
}

/// A line's end of the spool. May be used on any thread; cloning shares it.
#[derive(Debug, Clone)]
pub struct Intake {
    sender: mpsc::Sender<Taking>,
    missed: Missed,
    taker: Thread,
}

impl Intake {
    pub(super) fn new(sender: mpsc::Sender<Taking>, missed: Missed, taker: Thread) -> Self {
        Self {
            sender,
            missed,
            taker,
        }
    }

    /// Whether something handed over now would be taken.
    pub fn has_room(&self) -> bool {
        self.sender.capacity() > 0 && !self.sender.is_closed()
    }

    /// Hands over a record. False: it was dropped, and is counted.
    pub fn record(&self, record: Record) -> bool {
        self.hand_over(Taking::Record(record))
    }

    /// Hands over a raw frame. False: it was dropped, and is counted.
    pub fn frame(&self, frame: RawFrame) -> bool {
        self.hand_over(Taking::Frame(frame))
    }

    /// Hands over an input. False: it was dropped, and is counted.
    pub fn input(&self, input: RawInput) -> bool {
        self.hand_over(Taking::Input(input))
    }

    fn hand_over(&self, taking: Taking) -> bool {
        let (stream, (at, clock)) = (taking.stream(), taking.at());
        let taken = self.sender.try_send(taking).is_ok();
        if !taken {
            self.missed.add(stream, at.wall_ns, clock);
        }
        self.taker.unpark();
        taken
    }
}
