//! A controller's watch over its permit: bytes that have to come again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use tokio::time::Instant;

/// What the controller waits for on its wire.
#[derive(Debug)]
pub struct PermitWatch {
    bytes: Vec<u8>,
    within: Duration,
    /// The newest bytes of the wire, as many as the permit has.
    tail: Vec<u8>,
    came: Option<Instant>,
    is_there: Arc<AtomicBool>,
}

impl PermitWatch {
    /// Waits for these bytes, at least once `within` that time.
    pub fn new(bytes: Vec<u8>, within: Duration) -> Self {
        Self {
            bytes,
            within,
            tail: Vec::new(),
            came: None,
            is_there: Arc::default(),
        }
    }

    /// Whether the permit is there, for a machine that moves by it.
    pub fn is_there(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.is_there)
    }

    /// Takes what came on the wire.
    pub(super) fn heard(&mut self, bytes: &[u8], now: Instant) {
        for byte in bytes {
            self.tail.push(*byte);
            if self.tail.len() > self.bytes.len() {
                self.tail.remove(0);
            }
            if self.tail == self.bytes {
                self.came = Some(now);
            }
        }
        self.look(now);
    }

    /// Looks whether it is still there.
    pub(super) fn look(&self, now: Instant) {
        let there = |came: Instant| now.duration_since(came) <= self.within;
        self.is_there.store(self.came.is_some_and(there), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_is_there_as_long_as_it_comes_again_in_time() {
        let mut watch = PermitWatch::new(vec![1, 2], Duration::from_millis(100));
        let (is_there, began) = (watch.is_there(), Instant::now());
        let at = |ms| began + Duration::from_millis(ms);
        watch.heard(&[2, 1, 1], at(0));
        assert!(!is_there.load(Relaxed), "not all of it");
        watch.heard(&[2], at(10));
        assert!(is_there.load(Relaxed), "in two pieces");
        watch.look(at(110));
        assert!(is_there.load(Relaxed));
        watch.look(at(111));
        assert!(!is_there.load(Relaxed));
        watch.heard(&[9, 9], at(112));
        assert!(!is_there.load(Relaxed), "something else came");
        watch.heard(&[1, 2, 9], at(113));
        assert!(is_there.load(Relaxed));
    }
}
