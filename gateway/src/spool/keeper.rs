//! The thread `spool-store`: stores one job after another, so that compressing and waiting for the
//! disk hold nobody up.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{JoinHandle, Thread};

use super::store::{Job, Store, StoreError, Stored};

/// The thread's handle. It ends when this is dropped, after the job that it is at.
#[derive(Debug)]
pub(super) struct Keeper {
    jobs: Option<Sender<Arc<Job>>>,
    reports: Receiver<Result<Stored, StoreError>>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts the thread; `waker` is unparked with each report.
    pub fn start(mut store: Store, waker: Thread) -> std::io::Result<Self> {
        let (jobs, to_do) = channel::<Arc<Job>>();
        let (done, reports) = channel();
        let thread = std::thread::Builder::new()
            .name("spool-store".to_owned())
            .spawn(move || {
                for job in to_do {
                    if done.send(store.commit(&job)).is_err() {
                        return;
                    }
                    waker.unpark();
                }
            })?;
        Ok(Self {
            jobs: Some(jobs),
            reports,
            thread: Some(thread),
        })
    }

    /// Gives it a job; there is none that isn't reported yet.
    pub fn give(&self, job: &Arc<Job>) {
        if let Some(jobs) = &self.jobs {
            // Only a panic of ours ends the thread early; then no report comes either.
            let _ = jobs.send(Arc::clone(job));
        }
    }

    /// What became of the job, once it is known.
    pub fn report(&self) -> Option<Result<Stored, StoreError>> {
        self.reports.try_recv().ok()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the spool's store ended by a panic");
        }
    }
}
