//! The bytes that are not yet in a frame, with their times and line errors.

use super::{LineErrors, Received};
use alloc::vec::Vec;

/// A buffer that is allocated once. Whoever pushes makes sure that there is room.
#[derive(Debug)]
pub(super) struct Held {
    bytes: Vec<u8>,
    errors: Vec<LineErrors>,
    times_ns: Vec<u64>,
}

impl Held {
    pub(super) fn with_capacity(bytes_max: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes_max),
            errors: Vec::with_capacity(bytes_max),
            times_ns: Vec::with_capacity(bytes_max),
        }
    }

    pub(super) fn push(&mut self, received: Received) {
        self.bytes.push(received.byte);
        self.errors.push(received.errors);
        self.times_ns.push(received.t_ns);
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first `count` bytes, to be unescaped in place before they are dropped.
    pub(super) fn first_mut(&mut self, count: usize) -> &mut [u8] {
        let count = count.min(self.bytes.len());
        &mut self.bytes[..count]
    }

    pub(super) fn errors_of_first(&self, count: usize) -> LineErrors {
        self.errors
            .iter()
            .take(count)
            .fold(LineErrors::NONE, |all, one| all | *one)
    }

    /// When the `count`-th byte was complete.
    pub(super) fn time_of_last_of(&self, count: usize) -> u64 {
        self.times_ns
            .get(count.wrapping_sub(1))
            .copied()
            .unwrap_or_default()
    }

    pub(super) fn drop_first(&mut self, count: usize) {
        let count = count.min(self.bytes.len());
        self.bytes.drain(..count);
        self.errors.drain(..count);
        self.times_ns.drain(..count);
    }
}
