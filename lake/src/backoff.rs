//! Pauses between attempts: each twice as long as the one before, and by lot, so that programs which
//! were stopped by the same fault don't all come back in the same moment.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::limits::{RETRY_PAUSE_MAX, RETRY_PAUSE_MIN};

/// How long the next pause is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            next: RETRY_PAUSE_MIN,
        }
    }
}

impl Backoff {
    /// Waits; a shutdown ends it early.
    pub async fn pause(&mut self, shutdown: &CancellationToken) {
        let pause = self.next();
        self.pause_of(pause, shutdown).await;
    }

    /// Waits for as long as somebody asked for.
    pub async fn pause_of(&mut self, pause: Duration, shutdown: &CancellationToken) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// The next pause, between half of its length and all of it.
    pub fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(RETRY_PAUSE_MAX);
        // RandomState is seeded by the system.
        let lot = RandomState::new().hash_one(0_u8) % 1024;
        pause / 2 + pause * u32::try_from(lot).unwrap_or(0) / 2048
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_are_drawn_by_lot() {
        let mut backoff = Backoff::default();
        let mut whole = RETRY_PAUSE_MIN;
        for _ in 0..20 {
            let pause = backoff.next();
            assert!(
                (whole / 2..=whole).contains(&pause),
                "{pause:?} of {whole:?}"
            );
            whole = (whole * 2).min(RETRY_PAUSE_MAX);
        }
        assert_eq!(whole, RETRY_PAUSE_MAX);
    }
}
