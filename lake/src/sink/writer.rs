//! From a batch to the database having it: tried until it does, in halves where it refuses.
//!
//! What fails for the server's sake is tried again for as long as it takes, and holds up what comes
//! after it. What the server refuses for its content is split until the record that is to blame is
//! alone; that one goes to `retrotap.refused`, with the server's reason, and the rest is written.
//! Writing a point again changes nothing, so it doesn't matter which of them the server had taken
//! from a part that it refused.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesOrdered, StreamExt as _};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::batch::{Batch, Source};
use super::events;
use crate::backoff::Backoff;
use crate::health::Health;
use crate::influx::{Failure, Influx};
use crate::kafka::{self, Refuser};
use crate::limits::{PERSON_PAUSE, REASON_CHARS_MAX};
use crate::metrics::Sink as Metrics;
use crate::topics;

/// Writes batches.
#[derive(Debug, Clone)]
pub struct Writer {
    /// Where to.
    pub influx: Influx,
    /// Where refused records go.
    pub refuser: Arc<Refuser>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Who is told that the database is away.
    pub health: Health,
    /// Ends attempts; what isn't written then is not reported, and is read again.
    pub abandon: CancellationToken,
}

impl Writer {
    /// Writes what comes, several batches at a time, and gives each back once it and all before it are
    /// written. Ends when nobody sends any more.
    pub async fn run(
        self,
        mut batches: mpsc::Receiver<Batch>,
        written: std::sync::mpsc::Sender<Batch>,
    ) {
        let mut due = FuturesOrdered::new();
        let mut open = true;
        while open || !due.is_empty() {
            tokio::select! {
                Some(settled) = due.next(), if !due.is_empty() => {
                    let Some(batch) = settled else { return };
                    if written.send(batch).is_err() {
                        return;
                    }
                }
                batch = batches.recv(), if open => match batch {
                    Some(batch) => {
                        let writer = &self;
                        due.push_back(async move {
                            writer.settle(&batch).await.then_some(batch)
                        });
                    }
                    None => open = false,
                },
            }
        }
    }

    /// Whether everything in it is where it belongs.
    async fn settle(&self, batch: &Batch) -> bool {
        let whole = 0..batch.points();
        let mut parts = vec![whole];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.write(batch.lines(&part), part.len()).await {
                Outcome::Written => {}
                Outcome::Abandoned => return false,
                Outcome::Refused { cause, why } => {
                    if let Some((left, right)) = halves(&part) {
                        events::Split {
                            points: part.len(),
                            why: &why,
                        }
                        .tell();
                        parts.push(right);
                        parts.push(left);
                    } else if let Some(source) = batch.source(part.start)
                        && !self.refuse(cause, &why, source).await
                    {
                        return false;
                    }
                }
            }
        }
        for (source, why) in batch.hopeless() {
            if !self.refuse(why.cause(), &why.to_string(), source).await {
                return false;
            }
        }
        true
    }

    async fn write(&self, lines: &[u8], points: usize) -> Outcome {
        let began = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            if self.abandon.is_cancelled() {
                return Outcome::Abandoned;
            }
            let (cause, why, pause, person) = match self.influx.write(lines).await {
                Ok(()) => {
                    self.health.ready("database");
                    events::Written {
                        points,
                        bytes: lines.len(),
                        after: began.elapsed(),
                    }
                    .tell(&self.metrics);
                    return Outcome::Written;
                }
                Err(Failure::Content { cause, why }) => {
                    self.health.ready("database");
                    return Outcome::Refused { cause, why };
                }
                Err(Failure::Later { cause, why, after }) => {
                    let pause = backoff.next();
                    // Never sooner than the server asks for, and not all at that very moment.
                    (
                        cause,
                        why,
                        after.map_or(pause, |after| after + pause / 8),
                        false,
                    )
                }
                Err(Failure::Person { cause, why }) => (cause, why, PERSON_PAUSE, true),
            };
            self.wait(cause, &why, pause, person, &mut backoff).await;
        }
    }

    async fn wait(
        &self,
        cause: &'static str,
        why: &str,
        pause: Duration,
        person: bool,
        backoff: &mut Backoff,
    ) {
        events::Retried {
            cause,
            why,
            pause,
            person,
        }
        .tell(&self.metrics);
        self.health.waits("database", why);
        backoff.pause_of(pause, &self.abandon).await;
    }

    /// Whether Kafka has it.
    async fn refuse(&self, cause: &'static str, why: &str, source: Source<'_>) -> bool {
        let why: String = why.chars().take(REASON_CHARS_MAX).collect();
        let from = format!("{}/{}@{}", topics::RECORDS, source.partition, source.offset);
        let mut backoff = Backoff::default();
        loop {
            if self.abandon.is_cancelled() {
                return false;
            }
            let headers = kafka::refused_headers("sink", cause, &why, &from);
            match self.refuser.refuse(source.key, source.json, headers).await {
                Ok(()) => {
                    events::Refused {
                        cause,
                        why: &why,
                        source,
                    }
                    .tell(&self.metrics);
                    return true;
                }
                Err(error) => {
                    let why = format!("Kafka doesn't take what was refused: {error}");
                    let pause = backoff.next();
                    self.wait("kafka", &why, pause, false, &mut backoff).await;
                }
            }
        }
    }
}

enum Outcome {
    Written,
    Abandoned,
    Refused { cause: &'static str, why: String },
}

/// Both halves of what is more than one.
fn halves(part: &Range<usize>) -> Option<(Range<usize>, Range<usize>)> {
    let middle = part.start + part.len() / 2;
    (part.len() > 1).then_some((part.start..middle, middle..part.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_halves_come_down_to_each_one() {
        let whole = 3..20;
        let mut parts = vec![whole];
        let mut ones = Vec::new();
        while let Some(part) = parts.pop() {
            match halves(&part) {
                Some((left, right)) => {
                    assert!(!left.is_empty() && !right.is_empty());
                    parts.extend([right, left]);
                }
                None => ones.extend(part),
            }
        }
        assert_eq!(ones, (3..20).collect::<Vec<_>>());
    }
}
