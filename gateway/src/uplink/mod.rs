//! The uplink: one MQTT 5 session after another that empties the spool.
//!
//! What holds:
//! - With `release_on: lake` an entry is released when the lake says that it has it (`taken.rs`),
//!   with `release_on: broker` by the PUBACK of the very message that carried it, and by nothing else.
//!   A session that ends, for whatever reason, releases nothing more; the next begins at the first
//!   unreleased entry. So entries arrive at least once, and the same bytes each time.
//! - A broker's PUBACK is not delivery: it may drop what it acknowledged, and does when a queue is full
//!   or it crashes before it wrote. What the lake is silent about for ten seconds is sent again.
//! - Live entries don't wait behind a backlog: both go within one connection, each in order per machine
//!   and stream, and the backlog keeps only as much in flight as doesn't hold up the live ones.
//! - What the broker may take later is kept and sent again; what it doesn't allow is kept, shown as
//!   refused and tried slowly; what it will never take (too large, a payload that it calls
//!   malformed) is dropped, counted, and told by a `gap` record. Only a single entry can be too
//!   large: a batch is split first.
//! - The gateway's `status` is `online` while a session lives; a clean stop makes it `offline`, and
//!   the broker does when the connection is cut.
//! - What is in flight is bounded (`flight.rs`), and nothing is queued between spool and socket.
//!
//! A client is made anew for each session, so that nothing of an old one, no acknowledgement and no
//! packet number, can be taken for the new one's.
//!
//! What it doesn't do: it makes no record and no JSON of one, and knows no line and no page.

mod board;
mod flight;
pub mod refusal;
mod session;
mod taken;
pub mod tls;
mod topics;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use crate::config::broker::{BrokerUrl, ClientFiles, ReleaseOn, TlsFiles};
pub use board::Board;

use crate::config::limits::{
    BATCH_BYTES_MAX, RECONNECT_PAUSE_MAX, RECONNECT_PAUSE_MIN, SESSION_GOOD_AFTER,
};
use crate::spool::Reader;
use refusal::{Class, Refusal};
use session::Ended;

/// How to reach the broker, and as whom.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The plant, second level of all topics.
    pub site: Arc<str>,
    /// This gateway's name, third level of all topics.
    pub gateway: Arc<str>,
    /// The broker.
    pub url: BrokerUrl,
    /// Certificates; there exactly when `url.tls`.
    pub tls: Option<TlsFiles>,
    /// As whom the broker knows this gateway; two of the same name put each other out.
    pub client_id: String,
    /// Whose word releases an entry.
    pub release_on: ReleaseOn,
    /// How long an entry may wait for others to share its message.
    pub linger: Duration,
    /// What is listened to, if anything is.
    pub hear: Option<Hear>,
    /// Where chunks of modules go, if any are taken over the broker.
    pub modules: Option<mpsc::Sender<ModuleChunk>>,
}

/// What is said to cells, on `retrotap/1/<site>/<cell>/obstacles`.
#[derive(Debug, Clone)]
pub struct Hear {
    /// Their names.
    pub cells: Vec<Arc<str>>,
    /// Where it goes. What finds no place there is dropped.
    pub to: mpsc::Sender<Heard>,
}

/// A chunk of a module, on `<machine>/modules/<stage>/put/<sha256>/<number>/<count>`.
#[derive(Debug)]
pub struct ModuleChunk {
    /// For which machine.
    pub machine: String,
    /// In the place of which stage.
    pub stage: String,
    /// The hash of the whole file, in hexadecimal digits.
    pub sha256: String,
    /// Which chunk it is, from 1.
    pub number: usize,
    /// How many there are.
    pub count: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// A message to a cell.
#[derive(Debug)]
pub struct Heard {
    /// Its name.
    pub name: Arc<str>,
    /// What was said.
    pub payload: Vec<u8>,
}

/// What the uplink is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There is none, or it was stopped.
    Off,
    /// It looks for the broker, and will go on doing so.
    Connecting,
    /// A session lives.
    Connected,
    /// The broker, or we, refuse; a person has to change something.
    Refused,
}

/// The uplink's state for page and logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// What it is doing.
    pub state: State,
    /// The broker.
    pub url: String,
    /// Why, in a sentence; empty while all is well.
    pub detail: String,
}

impl Status {
    /// No uplink.
    pub fn off() -> Self {
        Self {
            state: State::Off,
            url: String::new(),
            detail: String::new(),
        }
    }
}

/// Empties `reader` into the broker until `shutdown`, whatever happens on the way.
///
/// Stop the lines before `shutdown`: then what they made still goes out, if the broker is there,
/// for at most [`SHUTDOWN_FLUSH`](crate::config::limits::SHUTDOWN_FLUSH).
pub async fn run(
    settings: Settings,
    mut reader: Reader,
    board: Board,
    status: watch::Sender<Status>,
    shutdown: CancellationToken,
) {
    let url = settings.url.to_string();
    let tell = |state: State, detail: &str| {
        status.send_if_modified(|status| {
            let next = Status {
                state,
                url: url.clone(),
                detail: detail.to_owned(),
            };
            let changed = *status != next;
            *status = next;
            changed
        });
    };
    tell(State::Connecting, "");
    let mut pause = RECONNECT_PAUSE_MIN;
    let mut batch_bytes_max = BATCH_BYTES_MAX;
    while !shutdown.is_cancelled() {
        let began = Instant::now();
        let connected = || tell(State::Connected, "");
        let ended = session::run(
            &settings,
            &mut reader,
            &board,
            batch_bytes_max,
            connected,
            &shutdown,
        )
        .await;
        reader.rewind();
        let Ended::Refused(Refusal { class, message }) = ended else {
            break;
        };
        if began.elapsed() >= SESSION_GOOD_AFTER {
            pause = RECONNECT_PAUSE_MIN;
            batch_bytes_max = BATCH_BYTES_MAX;
        }
        match class {
            Class::Later => {
                tracing::warn!(broker = %settings.url, "{message}");
                tell(State::Connecting, &message);
            }
            Class::Person => {
                tracing::error!(broker = %settings.url, "{message}");
                tell(State::Refused, &message);
                pause = RECONNECT_PAUSE_MAX;
            }
            Class::TooLarge => {
                tracing::warn!(broker = %settings.url, batch_bytes_max, "{message}");
                batch_bytes_max /= 2;
                pause = RECONNECT_PAUSE_MIN;
                continue;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(with_jitter(pause)) => {}
            () = shutdown.cancelled() => {}
        }
        pause = (pause * 2).min(RECONNECT_PAUSE_MAX);
    }
    tell(State::Off, "");
}

/// Between half of `pause` and all of it, by lot, so that those who were stopped by one fault don't
/// come back in one moment.
pub fn with_jitter(pause: Duration) -> Duration {
    use std::hash::{BuildHasher as _, RandomState};
    // RandomState is seeded by the system: randomness enough to keep gateways apart.
    let lot = RandomState::new().hash_one(0_u8) % 1024;
    pause / 2 + pause * u32::try_from(lot).unwrap_or(0) / 2048
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_between_half_and_all() {
        for _ in 0..1000 {
            let pause = with_jitter(Duration::from_secs(10));
            assert!((Duration::from_secs(5)..=Duration::from_secs(10)).contains(&pause));
        }
    }
}
