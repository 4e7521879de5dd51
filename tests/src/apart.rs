//! A runtime of its own for a server that lives in the test's process, so that the server can be
//! taken away at once with everything it was doing.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

/// Tasks that end together when this is dropped: their sockets are closed wherever they were.
#[derive(Debug)]
pub struct Apart {
    runtime: Option<Runtime>,
}

impl Default for Apart {
    fn default() -> Self {
        Self::new()
    }
}

impl Apart {
    /// A runtime with a thread of its own.
    ///
    /// # Panics
    ///
    /// The system has no thread left.
    pub fn new() -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread");
        Self {
            runtime: Some(runtime),
        }
    }

    /// Runs a task there.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(task);
        }
    }

    /// Runs something there inside the runtime, such as taking over a socket.
    pub fn enter<T>(&self, what: impl FnOnce() -> T) -> T {
        let _guard = self.runtime.as_ref().map(Runtime::enter);
        what()
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A runtime may not be ended from inside another, where tests usually are.
            let ended =
                std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5)));
            let _ = ended.join();
        }
    }
}
