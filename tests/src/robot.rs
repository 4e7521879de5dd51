//! What a KR C2 sends, byte by byte with its time on the wire, and which axis values it means.
//!
//! The values are the simulator's or a test's own, never what any part of the gateway read from the
//! bytes, so that they can be held against what comes out.

use retrotap::simulate::krc2::{AXES, FRAME_BYTES, frame};
use retrotap::simulate::{Faults, Krc2, Sent, ValueEncoding, What};
use retrotap::words::{Chunk, Stamp};

/// Bytes of a cycle.
pub const CYCLE_BYTES: usize = AXES * FRAME_BYTES;

/// Axis values of one cycle, in hundred-thousandths of a degree, axis 7 of a millimetre.
pub type Values = [i32; AXES];

/// When the `index`-th byte (from 0) of an unbroken line at 9600 baud 8N1 is over.
pub fn byte_over_ns(index: usize) -> u64 {
    (index as u64 + 1) * 10_000_000_000 / 9600
}

/// `count` cycles of the simulated robot's way from the cycle `first` on.
pub fn way(seed: u64, first: usize, count: usize) -> Vec<Values> {
    let mut robot = Krc2::new(seed, Faults::default());
    let mut cycles = Vec::with_capacity(count);
    for cycle in 0..first + count {
        for _ in 0..CYCLE_BYTES {
            assert!(matches!(
                robot.next(),
                Some(Sent {
                    what: What::Byte(_),
                    ..
                })
            ));
        }
        if cycle >= first {
            cycles.push(robot.values());
        }
    }
    cycles
}

/// The bytes of these cycles, sign and magnitude.
pub fn bytes(cycles: &[Values]) -> Vec<u8> {
    cycles
        .iter()
        .flat_map(|values| (1..).zip(values))
        .flat_map(|(axis, value)| frame(axis, *value, ValueEncoding::SignMagnitude))
        .collect()
}

/// A byte with the time at which its stop bit is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed {
    /// Line time in nanoseconds.
    pub over_ns: u64,
    /// The byte.
    pub byte: u8,
}

/// Bytes one directly after the other, as the wire brings them.
pub fn unbroken(bytes: &[u8]) -> Vec<Timed> {
    let timed = |(index, byte): (usize, &u8)| Timed {
        over_ns: byte_over_ns(index),
        byte: *byte,
    };
    bytes.iter().enumerate().map(timed).collect()
}

/// Each of the bytes in a chunk of its own, as a port of low latency gives them.
pub fn one_by_one(bytes: &[Timed]) -> impl Iterator<Item = Chunk> + '_ {
    bytes.iter().map(|Timed { over_ns, byte }| Chunk {
        port: 0,
        at: Stamp {
            line_ns: *over_ns,
            wall_ns: 0,
        },
        bytes: vec![*byte],
        marks: Vec::new(),
    })
}
