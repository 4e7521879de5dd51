//! The words that every room of the gateway shares.
//!
//! A machine's bytes come in as chunks, become frames, frames become records, and records become
//! entries once the spool has given them epoch and number. This file holds what travels between
//! those rooms; it does no I/O and knows no room.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The two clocks that a chunk, a frame and a record carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// Monotonic nanoseconds since the line or the capture began: what stages compute with.
    pub line_ns: u64,
    /// Unix time in nanoseconds: what people and databases read. May step; never computed with.
    pub wall_ns: i64,
}

impl Stamp {
    /// The instant at an earlier line time, by both clocks.
    pub fn back_to(self, line_ns: u64) -> Self {
        let ago_ns = self.line_ns.saturating_sub(line_ns);
        Self {
            line_ns,
            wall_ns: self.wall_ns.saturating_sub_unsigned(ago_ns),
        }
    }
}

/// Whether the wall clock can be believed, as it stands in every record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ClockState {
    /// The kernel says that time synchronisation holds the clock.
    Synced,
    /// Nothing holds the clock: a Pi without a clock chip starts like this.
    Unsynced,
    /// The time comes from a capture and not from this machine.
    Capture,
}

/// Bytes as one read of a port gave them, with the errors that the driver saw on some of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chunk {
    /// Which of the machine's ports: 0, or 1 where a dialogue is tapped with two receivers.
    pub port: u8,
    /// When the read returned.
    pub at: Stamp,
    /// The bytes, without the marks that the driver puts between them.
    pub bytes: Vec<u8>,
    /// Errors, by index into `bytes`, ascending; almost always empty.
    pub marks: Vec<Mark>,
}

/// An error that the driver reported on one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Index into [`Chunk::bytes`].
    pub index: usize,
    /// What was wrong with that byte.
    pub errors: retrotap_adapters::framing::ByteErrors,
}

/// What all records of one machine have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The plant, the first level of the MQTT topics.
    pub site: Arc<str>,
    /// This gateway's name in the plant.
    pub gateway: Arc<str>,
    /// The machine's name on this gateway.
    pub machine: Arc<str>,
}

/// One record on its way from a line to the spool: everything but epoch and number.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its name in the stage's manifest, such as `distance`.
    pub name: Arc<str>,
    /// The module that made it, such as `arm-distance@1.2.0`.
    pub module: Arc<str>,
    /// The frame's last byte.
    pub at: Stamp,
    /// Whether `at.wall_ns` can be believed.
    pub clock: ClockState,
    /// The frame's number on its line, from 1.
    pub frame: u64,
    /// The fields as a JSON object, `{"distance_m":1.732,…}`.
    pub fields: String,
}

/// One frame on its way from a line to the spool, as it came from the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawFrame {
    /// The frame's last byte.
    pub at: Stamp,
    /// Whether `at.wall_ns` can be believed.
    pub clock: ClockState,
    /// The frame's number on its line, from 1.
    pub number: u64,
    /// Which of the machine's ports it came from.
    pub port: u8,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What the driver saw wrong with any of them, such as `parity`; almost always empty.
    pub errors: Vec<&'static str>,
}

/// What a line's decisions depended on besides bytes, on its way to the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawInput {
    /// When the line took it.
    pub at: Stamp,
    /// Whether `at.wall_ns` can be believed.
    pub clock: ClockState,
    /// What it is: `start`, `obstacles`, `parameter`, `tick` or `reset`.
    pub kind: Arc<str>,
    /// What it says, a JSON text that goes out as it stands.
    pub data: String,
}

/// Which of a machine's streams an entry belongs to. Each is numbered, kept and sent for
/// itself, so that whoever reads one of them can see from its numbers alone that nothing is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// What the pipeline made of the frames.
    Records,
    /// The frames themselves.
    Frames,
    /// What decisions depended on besides frames.
    Inputs,
}

impl Stream {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 3] = [Self::Records, Self::Frames, Self::Inputs];

    /// The last level of its MQTT topic.
    pub fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Frames => "frames",
            Self::Inputs => "inputs",
        }
    }

    /// The stream of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.name() == name)
    }
}

/// One record, frame or input as the spool has taken it: named for ever, and never written differently
/// again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The machine.
    pub machine: Arc<str>,
    /// Which of the machine's streams.
    pub stream: Stream,
    /// The record's name; `frame` for a frame, `input` for an input.
    pub record: Arc<str>,
    /// New for each opening of the spool.
    pub epoch: u64,
    /// From 1, without gaps, per machine, stream and epoch.
    pub seq: u64,
    /// Line time of its frame's last byte, for ages; that of its making where it has no frame.
    pub line_ns: u64,
    /// Its time, Unix nanoseconds: the `t` in its JSON.
    pub t_unix_ns: i64,
    /// The JSON object as it is sent, byte for byte, every time that it is sent.
    pub json: Arc<str>,
}

/// What a line is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LineState {
    /// Opening its port or waiting for the first frame.
    Starting,
    /// Frames come in, none of them older than the adapter's `stale_after`.
    Running,
    /// The port is there, but no frame came for longer than `stale_after`.
    Silent,
    /// The port is gone; the line looks for it and goes on by itself.
    Disconnected,
    /// The line can't go on without a change of its settings or modules.
    Failed,
}
