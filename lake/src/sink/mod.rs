//! `sink`: Kafka to InfluxDB.
//!
//! ```text
//! retrotap.records ─▶ reader ─batch─▶ writer ─▶ InfluxDB
//!        ▲ commit ──────┴──◀─written──┘   └─▶ retrotap.refused
//! ```
//!
//! What holds:
//! - An offset is committed only after every record before it is in the database or, refused for its
//!   content, in `retrotap.refused`. What is killed in between is written again, which changes nothing:
//!   a point is named by measurement, tags and nanosecond.
//! - Nothing is skipped for the server's sake: what fails for it is tried again and holds up what comes
//!   after it, the lag grows, and `/readyz` says why.
//! - Several sinks of one group share the partitions. One that loses a partition commits first what it
//!   has written of it, and nothing of it later.
//!
//! What it doesn't do: order points (the database does), and find what was sent twice (a point again
//! is the same point).

mod batch;
mod events;
mod offsets;
pub mod point;
mod reader;
mod schema_reader;
pub mod schemas;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use batch::Limits;

use crate::backoff::Backoff;
use crate::buckets::{self, Retention};
use crate::health::Health;
use crate::influx::{Failure, Influx};
use crate::kafka::{self, Refuser};
use crate::limits::{SCHEMAS_WAIT, WRITES_MAX};
use crate::metrics::Sink as Metrics;
use crate::topics::{self, Making, TopicsError};

/// From where to where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where records come from.
    pub kafka: kafka::Settings,
    /// As whom: sinks of one group share the work.
    pub group: String,
    /// How topics are made.
    pub making: Making,
    /// How much goes into one write.
    pub limits: Limits,
    /// How long a record waits for others.
    pub wait: Duration,
    /// Whether buckets and tasks are made, and how long they keep points.
    pub buckets: Option<Retention>,
}

/// Why a sink can't go on.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// Topics are missing or unfit.
    #[error(transparent)]
    Topics(#[from] TopicsError),
    /// Kafka's settings are wrong, or it says that nothing more will come.
    #[error("Kafka: {0}")]
    Kafka(#[from] KafkaError),
    /// A task ended by a panic.
    #[error("the reader ended by a fault of its own: {0}")]
    Fault(#[from] tokio::task::JoinError),
}

/// Writes records until `shutdown`, whatever happens on the way.
///
/// # Errors
///
/// [`SinkError`]: what a person has to mend before it can start.
pub async fn run(
    settings: Settings,
    influx: Influx,
    metrics: Arc<Metrics>,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), SinkError> {
    let mut backoff = Backoff::default();
    loop {
        health.beat();
        let ensured = tokio::select! {
            ensured = topics::ensure(&settings.kafka, settings.making) => ensured,
            () = shutdown.cancelled() => return Ok(()),
        };
        match ensured {
            Ok(findings) => {
                events::tell_findings(&findings, &metrics);
                break;
            }
            Err(error) if error.passes() => {
                tracing::warn!("{error}");
                health.waits("kafka", &error.to_string());
                backoff.pause(&shutdown).await;
            }
            Err(error) => return Err(error.into()),
        }
    }

    if let Some(retention) = settings.buckets {
        make_buckets(&influx, retention, &health, &shutdown).await;
    }

    let known = schema_reader::Known::default();
    let (caught_up, is_caught_up) = oneshot::channel();
    {
        let (kafka, known, metrics) = (settings.kafka.clone(), known.clone(), Arc::clone(&metrics));
        let shutdown = shutdown.clone();
        tokio::task::spawn_blocking(move || {
            schema_reader::run(&kafka, &known, &metrics, caught_up, &shutdown);
        });
    }
    tokio::select! {
        read = tokio::time::timeout(SCHEMAS_WAIT, is_caught_up) => if read.is_err() {
            tracing::warn!("schemas can't be read yet: fields are typed by their literals until then");
        },
        () = shutdown.cancelled() => return Ok(()),
    }

    let abandon = CancellationToken::new();
    let writer = writer::Writer {
        influx,
        refuser: Refuser::new(&settings.kafka)?,
        metrics: Arc::clone(&metrics),
        health: health.clone(),
        abandon: abandon.clone(),
    };
    let (batches, to_write) = mpsc::channel(WRITES_MAX);
    let (report, written) = std::sync::mpsc::channel();
    let writing = tokio::spawn(writer.run(to_write, report));

    let context = reader::Context::new(written, metrics, health);
    let consumer = kafka::consumer(&settings.kafka, Some(&settings.group), context)?;
    consumer.subscribe(&[topics::RECORDS])?;
    let reader = reader::Reader {
        consumer,
        batches,
        limits: settings.limits,
        wait: settings.wait,
        known,
    };
    let result = tokio::task::spawn_blocking(move || reader.run(&shutdown)).await?;
    abandon.cancel();
    writing.await?;
    Ok(result?)
}

/// Until it is done, or it is known that it won't be: whoever may only write still can.
async fn make_buckets(
    influx: &Influx,
    retention: Retention,
    health: &Health,
    shutdown: &CancellationToken,
) {
    let mut backoff = Backoff::default();
    while !shutdown.is_cancelled() {
        health.beat();
        match buckets::ensure(influx, retention).await {
            Ok(()) => break,
            Err(error @ Failure::Later { .. }) => {
                tracing::warn!("{error}");
                health.waits("database", &error.to_string());
                backoff.pause(shutdown).await;
            }
            Err(error) => {
                tracing::error!("buckets and tasks can't be made or looked at: {error}");
                break;
            }
        }
    }
    health.ready("database");
}
