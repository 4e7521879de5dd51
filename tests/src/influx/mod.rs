//! A strict stand-in of InfluxDB v2: an HTTP server that answers as InfluxDB documents it, and keeps
//! every write of every point, so that a test can tell "once" from "last write wins".
//!
//! What it doesn't do: queries, and tasks that run. It remembers buckets and tasks that were made.

pub mod line_protocol;
mod server;
pub mod store;

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::apart::Apart;
use crate::ports::free_port;
use server::State;
pub use store::{Counts, Kept, Store};

/// What the database is set up with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The organisation.
    pub org: String,
    /// The token that may do everything.
    pub token: String,
    /// Buckets that are there from the beginning.
    pub buckets: Vec<String>,
    /// The largest body that it takes, as it comes and unpacked.
    pub body_bytes_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            org: "plant".into(),
            token: "secret-of-the-tests".into(),
            buckets: vec!["retrotap".into()],
            // What InfluxDB Cloud allows.
            body_bytes_max: 50 * 1024 * 1024,
        }
    }
}

/// How a write goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It is answered with this status and nothing is kept.
    Answer {
        /// Such as 429, 500, 503.
        status: u16,
        /// Seconds for the header `Retry-After`.
        retry_after: Option<u64>,
    },
    /// The connection ends after the request was read; nothing is kept.
    CutBefore,
    /// It is kept, and the connection ends before the answer.
    CutAfter,
    /// It is never answered and nothing is kept.
    Silence,
}

/// One bucket as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How long it keeps points; 0 for ever.
    pub retention_s: u64,
}

/// One task as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: String,
    /// Its name, from the script.
    pub name: String,
    /// The script.
    pub flux: String,
}

/// The database in the test's own process; its connections end when it is dropped.
#[derive(Debug)]
pub struct Influx {
    port: u16,
    state: Arc<Mutex<State>>,
    apart: Option<Apart>,
}

impl Influx {
    /// Starts it on a port of its own.
    pub fn start(settings: Settings) -> Self {
        Self::start_at(free_port(), State::new(settings, None))
    }

    /// Starts it on a port of one's choice, with a journal of its writes in `file` that outlives the
    /// process.
    ///
    /// # Panics
    ///
    /// The file can't be used.
    pub fn start_durable(settings: Settings, port: u16, file: &Path) -> Self {
        Self::start_at(port, State::new(settings, Some(file)))
    }

    fn start_at(port: u16, state: State) -> Self {
        let mut influx = Self {
            port,
            state: Arc::new(Mutex::new(state)),
            apart: None,
        };
        influx.restart();
        influx
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Stops listening and cuts all connections, wherever they are. What it was working on is kept
    /// or not, as it came; what is kept stays for [`Self::restart`].
    pub fn kill(&mut self) {
        self.apart = None;
    }

    /// Listens again on the same port with what was kept.
    ///
    /// # Panics
    ///
    /// It runs already, or the port isn't free.
    pub fn restart(&mut self) {
        assert!(self.apart.is_none(), "it runs already");
        let apart = Apart::new();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, self.port))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(|listener| apart.enter(|| tokio::net::TcpListener::from_std(listener)))
            .expect("a free port");
        apart.spawn(server::serve(listener, Arc::clone(&self.state)));
        self.apart = Some(apart);
    }

    /// The next `count` writes fail so; what was set before comes first.
    pub fn fail_next(&self, count: usize, failure: Failure) {
        let state = &mut self.state();
        state.failures.extend(std::iter::repeat_n(failure, count));
    }

    /// What [`Self::fail_next`] set and no write has met yet.
    pub fn failures_left(&self) -> usize {
        self.state().failures.len()
    }

    /// Every write takes so long from now on; half of it before it is kept and half of it after, so
    /// that [`Self::kill`] meets both.
    pub fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// The body of each write that is kept from now on, with the moment from which on it could be
    /// read. Who watched before sees no more.
    pub fn watch(&self) -> Receiver<(Instant, String)> {
        let (watcher, bodies) = channel();
        self.state().watcher = Some(watcher);
        bodies
    }

    /// What a bucket holds; empty where there is no such bucket.
    pub fn store(&self, bucket: &str) -> Store {
        let state = self.state();
        state.stores.get(bucket).cloned().unwrap_or_default()
    }

    /// The statuses of all writes that were answered, in order.
    pub fn answers(&self) -> Vec<u16> {
        self.state().answers.clone()
    }

    /// The buckets there are.
    pub fn buckets(&self) -> Vec<Bucket> {
        self.state().buckets.clone()
    }

    /// The tasks there are.
    pub fn tasks(&self) -> Vec<Task> {
        self.state().tasks.clone()
    }

    /// Somebody changed the script of the task of that name.
    pub fn change_task(&self, name: &str, flux: &str) {
        let mut state = self.state();
        for task in state.tasks.iter_mut().filter(|task| task.name == name) {
            flux.clone_into(&mut task.flux);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is still to go wrong.
type Failures = VecDeque<Failure>;

#[cfg(test)]
mod tests;
