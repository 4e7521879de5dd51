//! The live stream: server-sent events, each a whole [`Status`], the newest one always winning.
//!
//! A client that reads slowly misses events and holds nothing up: each client looks at the watched
//! value when its connection has room, and what was written in between it never sees. Keeps true:
//! no more than [`EVENTS_PER_S_MAX`] events a second to each client, and no pause longer than
//! [`HEARTBEAT`], so that silence means a lost connection. A client that never reads keeps its
//! place until TCP gives it up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::access::Pass;
use super::status::Status;

/// Above this no eye sees a difference, and a panel's browser only gets warm.
pub const EVENTS_PER_S_MAX: u32 = 30;

/// The longest pause between two events, also when nothing changes.
pub const HEARTBEAT: Duration = Duration::from_millis(500);

/// How soon a browser tries again after a lost connection.
const RETRY: Duration = Duration::from_secs(1);

/// One client's place in the stream.
struct Client {
    state: watch::Receiver<Arc<Status>>,
    shutdown: CancellationToken,
    pass: Pass,
    /// When the next event may go out; `None` before the first.
    not_before: Option<tokio::time::Instant>,
    /// Frees the client's place when it leaves.
    _place: OwnedSemaphorePermit,
}

/// The stream for one client; it ends when the gateway shuts down or stops writing statuses, and
/// when the client's login does.
pub fn live(
    state: watch::Receiver<Arc<Status>>,
    shutdown: CancellationToken,
    pass: Pass,
    place: OwnedSemaphorePermit,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let client = Client {
        state,
        shutdown,
        pass,
        not_before: None,
        _place: place,
    };
    Sse::new(futures_util::stream::unfold(client, |mut client| async {
        let event = client.next().await?;
        Some((Ok(event), client))
    }))
}

impl Client {
    async fn next(&mut self) -> Option<Event> {
        let shutdown = self.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => None,
            event = self.newest() => event,
        }
    }

    async fn newest(&mut self) -> Option<Event> {
        loop {
            let first = self.not_before.is_none();
            if let Some(instant) = self.not_before {
                sleep_until(instant).await;
                // Either a newer status or the end of the pause; both mean: say how it stands.
                if let Ok(Err(_)) = timeout(HEARTBEAT, self.state.changed()).await {
                    return None;
                }
            }
            if !self.pass.holds() {
                return None;
            }
            self.not_before =
                Some(tokio::time::Instant::now() + Duration::from_secs(1) / EVENTS_PER_S_MAX);
            let status = self.state.borrow_and_update().at(Instant::now());
            match serde_json::to_string(&status) {
                Ok(text) => {
                    let event = Event::default().data(text);
                    return Some(if first { event.retry(RETRY) } else { event });
                }
                Err(error) => tracing::error!(%error, "a status could not be written as JSON"),
            }
        }
    }
}
