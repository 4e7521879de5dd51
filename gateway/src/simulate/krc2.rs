//! A KUKA KR C2 whose KRL program writes the axes to the serial port, one frame per axis, axes 1 to
//! 7, over and over: bytes with the time at which each has come over the wire. No I/O.
//!
//! Frame and value encodings are those of the adapter `kuka-krc2`. The robot stands on its feet, so
//! axis 7, the linear one, is always 0 mm. All seven frames of a cycle tell of one moment: that of
//! the cycle's beginning.
//!
//! Where its controller is told to watch for a permit, the robot goes its way only while there is one: it
//! slows down to a stand within [`RAMP_S`], holds its pose, and goes on as it began.
//!
//! Keeps true: the same seed and faults give the same bytes at the same times; the way of the robot
//! depends on neither faults nor rate of the line, and the permit decides only when it is gone.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use super::faults::Faults;
use super::path::{LIMITS_DEG, Path};
use super::random::Random;

/// How the machine's port is set.
pub const BAUD: u32 = 9600;

/// Axes in a cycle.
pub const AXES: usize = 7;
/// Bytes in a frame.
pub const FRAME_BYTES: usize = 9;

/// Start bit, eight data bits, stop bit.
const BITS_PER_BYTE: u64 = 10;

/// How long a silence lasts, and for how long an adapter is unplugged.
const SILENCE_NS: u64 = 1_000_000_000;
const UNPLUGGED_NS: u64 = 2_000_000_000;

/// From full pace to a stand, and back. At the path's top speeds that is at most 110 degrees per second
/// squared, what such an arm brakes with.
pub const RAMP_S: f64 = 0.5;

/// How the value's sign is written; the publication leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ValueEncoding {
    /// Byte 4 is the sign, bytes 5 to 8 the magnitude.
    #[default]
    SignMagnitude,
    /// Bytes 5 to 8 are two's complement, byte 4 is always a space.
    TwosComplement,
}

/// Something that happens at the machine's end of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Nanoseconds after the beginning; of a byte, when its stop bit is over. Never decreases.
    pub due_ns: u64,
    /// What happens.
    pub what: What,
}

/// What happens at the machine's end of the cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A byte arrives.
    Byte(u8),
    /// The adapter is pulled out.
    Unplug,
    /// The adapter is put in again.
    Plug,
}

/// The machine: an endless iterator, unless [`Krc2::cycles`] says when it ends.
#[derive(Debug, Clone)]
pub struct Krc2 {
    path: Path,
    random: Random,
    faults: Faults,
    encoding: ValueEncoding,
    baud: u32,
    cycles_left: u64,
    /// Byte times that passed, and nanoseconds beside them.
    bytes: u64,
    pauses_ns: u64,
    values: [i32; AXES],
    ready: VecDeque<Sent>,
    /// Whether it may move; without it always.
    permit: Option<Arc<AtomicBool>>,
    /// How far on its way it is in seconds, and how fast it goes there, from 0 to 1.
    way_s: f64,
    pace: f64,
    /// The beginning of the cycle before.
    before_s: f64,
}

impl Krc2 {
    /// A machine that sends 9600 baud and sign and magnitude.
    pub fn new(seed: u64, faults: Faults) -> Krc2 {
        Krc2 {
            path: Path::new(seed),
            // Another stream than the path's, so that faults don't change the way.
            random: Random::new(seed ^ 0x5DEE_CE66_D1CE_CA5E),
            faults,
            encoding: ValueEncoding::default(),
            baud: BAUD,
            cycles_left: u64::MAX,
            bytes: 0,
            pauses_ns: 0,
            values: [0; AXES],
            ready: VecDeque::with_capacity(AXES * FRAME_BYTES + 2),
            permit: None,
            way_s: 0.0,
            pace: 1.0,
            before_s: 0.0,
        }
    }

    /// The same, moving only while somebody says that it may.
    pub fn permit(self, permit: Arc<AtomicBool>) -> Krc2 {
        Krc2 {
            permit: Some(permit),
            pace: 0.0,
            ..self
        }
    }

    /// The same with another encoding of values.
    pub fn encoding(self, encoding: ValueEncoding) -> Krc2 {
        Krc2 { encoding, ..self }
    }

    /// The same on a faster or slower line; 0 counts as 1.
    pub fn baud(self, baud: u32) -> Krc2 {
        Krc2 {
            baud: baud.max(1),
            ..self
        }
    }

    /// The same, ending after so many cycles.
    pub fn cycles(self, cycles: u64) -> Krc2 {
        Krc2 {
            cycles_left: cycles,
            ..self
        }
    }

    /// What the robot's axes really were in the cycle that is being sent, in hundred-thousandths of
    /// a degree (of a millimetre for axis 7), whatever faults did to it.
    pub fn values(&self) -> [i32; AXES] {
        self.values
    }

    fn now_ns(&self) -> u64 {
        let on_the_wire = u128::from(self.bytes) * u128::from(BITS_PER_BYTE) * 1_000_000_000;
        self.pauses_ns + (on_the_wire / u128::from(self.baud)) as u64
    }

    /// Queues everything that happens in one cycle.
    fn cycle(&mut self) {
        if self.random.happens(self.faults.silence) {
            self.pauses_ns += SILENCE_NS;
        }
        if self.random.happens(self.faults.unplug) {
            self.ready.push_back(Sent {
                due_ns: self.now_ns(),
                what: What::Unplug,
            });
            self.pauses_ns += UNPLUGGED_NS;
            self.ready.push_back(Sent {
                due_ns: self.now_ns(),
                what: What::Plug,
            });
        }
        let way_s = self.go();
        let axes = self.path.at(way_s);
        for (value, axis) in self.values.iter_mut().zip(axes) {
            *value = (axis * 1e5).round() as i32;
        }
        let mut told = self.values;
        if self.random.happens(self.faults.out_of_range) {
            let axis = self.random.below(LIMITS_DEG.len() as u64) as usize;
            told[axis] = ((LIMITS_DEG[axis].1 + 10.0) * 1e5) as i32;
        }
        for (axis, value) in (1..).zip(told) {
            for byte in frame(axis, value, self.encoding) {
                self.byte(byte);
            }
        }
    }

    /// How far on its way the robot is when this cycle begins.
    fn go(&mut self) -> f64 {
        let now_s = self.now_ns() as f64 / 1e9;
        let Some(permit) = &self.permit else {
            return now_s;
        };
        let passed_s = now_s - self.before_s;
        self.before_s = now_s;
        let wanted = if permit.load(Relaxed) { 1.0 } else { 0.0 };
        let step = passed_s / RAMP_S;
        let before = self.pace;
        self.pace += (wanted - before).clamp(-step, step);
        self.way_s += passed_s * (before + self.pace) / 2.0;
        self.way_s
    }

    /// Queues one byte, with the faults of bytes.
    fn byte(&mut self, byte: u8) {
        self.bytes += 1;
        if self.random.happens(self.faults.lost) {
            return;
        }
        let mut byte = byte;
        if self.random.happens(self.faults.flipped) {
            byte ^= 1 << self.random.below(8);
        }
        self.ready.push_back(Sent {
            due_ns: self.now_ns(),
            what: What::Byte(byte),
        });
        if self.random.happens(self.faults.doubled) {
            self.bytes += 1;
            self.ready.push_back(Sent {
                due_ns: self.now_ns(),
                what: What::Byte(byte),
            });
        }
    }
}

impl Iterator for Krc2 {
    type Item = Sent;

    fn next(&mut self) -> Option<Sent> {
        // A cycle may lose all of its bytes.
        while self.ready.is_empty() {
            self.cycles_left = self.cycles_left.checked_sub(1)?;
            self.cycle();
        }
        self.ready.pop_front()
    }
}

/// One axis: number (4 bytes, least significant first), sign, value (the same).
pub fn frame(axis: u32, value: i32, encoding: ValueEncoding) -> [u8; FRAME_BYTES] {
    let mut frame = [0; FRAME_BYTES];
    frame[..4].copy_from_slice(&axis.to_le_bytes());
    frame[4] = b' ';
    match encoding {
        ValueEncoding::SignMagnitude => {
            if value < 0 {
                frame[4] = b'-';
            }
            frame[5..].copy_from_slice(&value.unsigned_abs().to_le_bytes());
        }
        ValueEncoding::TwosComplement => frame[5..].copy_from_slice(&value.to_le_bytes()),
    }
    frame
}
