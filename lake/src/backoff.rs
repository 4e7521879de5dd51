//! Pauses between attempts: each twice as long as the one before, and by lot, so that programs which
//! were stopped by the same fault don't all come back in the same moment.

use std::time::Duration;

use retrotap::uplink::with_jitter;
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
        with_jitter(pause)
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
