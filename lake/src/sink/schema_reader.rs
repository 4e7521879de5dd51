//! Reads `retrotap.schemas` from its beginning, and goes on reading it.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use retrotap_abi::Manifest;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::schemas::Schemas;
use crate::kafka::{self, Quiet};
use crate::limits::KAFKA_ANSWER_MAX;
use crate::metrics::Sink as Metrics;
use crate::topics;

/// The newest schemas. Cloning shares them.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<RwLock<Arc<Schemas>>>);

impl Known {
    /// As they are now.
    pub fn get(&self) -> Arc<Schemas> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, schemas: Schemas) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(schemas);
    }
}

/// Reads in a thread of its own until `shutdown`; `caught_up` is told when all that was there is read.
pub fn run(
    settings: &kafka::Settings,
    known: &Known,
    metrics: &Metrics,
    caught_up: oneshot::Sender<()>,
    shutdown: &CancellationToken,
) {
    let mut caught_up = Some(caught_up);
    while !shutdown.is_cancelled() {
        if let Err(error) = read(settings, known, metrics, &mut caught_up, shutdown) {
            tracing::warn!(%error, "schemas can't be read at present");
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

fn read(
    settings: &kafka::Settings,
    known: &Known,
    metrics: &Metrics,
    caught_up: &mut Option<oneshot::Sender<()>>,
    shutdown: &CancellationToken,
) -> KafkaResult<()> {
    let consumer: BaseConsumer<Quiet> = kafka::consumer(settings, None, Quiet)?;
    let metadata = consumer.fetch_metadata(Some(topics::SCHEMAS), KAFKA_ANSWER_MAX)?;
    let partitions: Vec<i32> = metadata
        .topics()
        .iter()
        .flat_map(|topic| topic.partitions())
        .map(rdkafka::metadata::MetadataPartition::id)
        .collect();
    let mut list = TopicPartitionList::new();
    for &partition in &partitions {
        list.add_partition_offset(topics::SCHEMAS, partition, Offset::Beginning)?;
    }
    consumer.assign(&list)?;
    let mut unread: BTreeSet<i32> = partitions.into_iter().collect();
    let mut schemas = Schemas::clone(&known.get());
    while !shutdown.is_cancelled() {
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Ok(message)) => {
                if let Some((module, manifest)) = manifest(message.key(), message.payload()) {
                    if !schemas.put(&module, &manifest) {
                        tracing::error!(
                            module,
                            "more schemas than a sink keeps: typed by literals"
                        );
                    }
                    metrics
                        .schemas
                        .set(i64::try_from(schemas.len()).unwrap_or(i64::MAX));
                    if unread.is_empty() {
                        tracing::info!(module, "schema");
                        known.set(schemas.clone());
                    }
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                unread.remove(&partition);
                if unread.is_empty() {
                    known.set(schemas.clone());
                    if let Some(caught_up) = caught_up.take() {
                        tracing::info!(schemas = schemas.len(), "schemas read");
                        let _ = caught_up.send(());
                    }
                }
            }
            Some(Err(error)) => return Err(error),
        }
    }
    Ok(())
}

fn manifest(key: Option<&[u8]>, payload: Option<&[u8]>) -> Option<(String, Manifest)> {
    let module = String::from_utf8_lossy(key?).into_owned();
    // What was made with a module stays when it is gone, and so does its schema.
    let payload = payload?;
    match Manifest::from_json(payload) {
        Ok(manifest) => Some((module, manifest)),
        Err(error) => {
            tracing::error!(module, %error, "no manifest: its fields are typed by their literals");
            None
        }
    }
}
