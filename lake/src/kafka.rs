//! How Kafka is reached: the settings that all clients share, and the clients that are made of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use rdkafka::admin::AdminClient;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryResult, ProducerContext, ThreadedProducer};
use rdkafka::util::IntoOpaque;
use rdkafka::{ClientContext, Message as _};

use crate::limits::{
    ENTRY_BYTES_MAX, GROUP_SILENCE_MAX, KAFKA_ANSWER_MAX, PRODUCER_LINGER, PRODUCER_QUEUE_ENTRIES,
    PRODUCER_QUEUE_KBYTES, PRODUCER_TIMEOUT,
};

/// Where Kafka is, and how to be let in.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `host:port` of some brokers, separated by commas.
    pub brokers: String,
    /// CAs that may have signed the brokers' certificates; TLS is used where there are some.
    pub ca: Option<PathBuf>,
    /// Our certificate and key, where the brokers ask for one.
    pub client: Option<(PathBuf, PathBuf)>,
    /// More of librdkafka's settings, such as those of SASL; they win.
    pub more: Vec<(String, String)>,
}

/// What all clients have in common.
pub fn config(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "retrotap-lake")
        // With the default of ten seconds an outage of one second becomes a timeout.
        .set("reconnect.backoff.max.ms", "500")
        .set("socket.keepalive.enable", "true")
        .set_log_level(RDKafkaLogLevel::Warning);
    if let Some(ca) = &settings.ca {
        config
            .set("security.protocol", "ssl")
            .set("ssl.ca.location", ca.to_string_lossy());
    }
    if let Some((cert, key)) = &settings.client {
        config
            .set("ssl.certificate.location", cert.to_string_lossy())
            .set("ssl.key.location", key.to_string_lossy());
    }
    config
}

fn with_more(mut config: ClientConfig, settings: &Settings) -> ClientConfig {
    for (key, value) in &settings.more {
        config.set(key, value);
    }
    config
}

/// A client for topics.
///
/// # Errors
///
/// The settings are wrong.
pub fn admin(settings: &Settings) -> KafkaResult<AdminClient<Quiet>> {
    with_more(config(settings), settings).create_with_context(Quiet)
}

/// The names of all topics. Also shows that Kafka answers.
///
/// # Errors
///
/// It doesn't.
pub async fn topics_there(settings: &Settings) -> KafkaResult<BTreeSet<String>> {
    let consumer: BaseConsumer<Quiet> =
        with_more(config(settings), settings).create_with_context(Quiet)?;
    // librdkafka waits in a thread of its own.
    let asked = tokio::task::spawn_blocking(move || {
        let metadata = consumer.fetch_metadata(None, KAFKA_ANSWER_MAX)?;
        Ok(metadata
            .topics()
            .iter()
            .filter(|topic| topic.error().is_none())
            .map(|topic| topic.name().to_owned())
            .collect())
    });
    asked.await.unwrap_or(Err(KafkaError::Canceled))
}

/// A consumer. `group` is its name in Kafka; without one it is told what to read.
///
/// # Errors
///
/// The settings are wrong.
pub fn consumer<C>(
    settings: &Settings,
    group: Option<&str>,
    context: C,
) -> KafkaResult<BaseConsumer<C>>
where
    C: rdkafka::consumer::ConsumerContext + 'static,
{
    let mut config = config(settings);
    config
        // rdkafka wants a name also where no group is joined.
        .set("group.id", group.unwrap_or("retrotap-lake-reader"))
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("fetch.message.max.bytes", (2 * ENTRY_BYTES_MAX).to_string())
        .set("queued.max.messages.kbytes", "32768")
        .set(
            "enable.partition.eof",
            if group.is_some() { "false" } else { "true" },
        );
    if group.is_some() {
        let silence = GROUP_SILENCE_MAX.as_millis();
        config
            .set("session.timeout.ms", silence.to_string())
            .set("heartbeat.interval.ms", (silence / 4).to_string())
            .set("statistics.interval.ms", "5000");
    }
    with_more(config, settings).create_with_context(context)
}

/// A producer that loses nothing and changes no order; what became of each entry goes to `reports`.
///
/// # Errors
///
/// The settings are wrong.
pub fn producer<D: Deliveries>(
    settings: &Settings,
    reports: D,
) -> KafkaResult<ThreadedProducer<Reports<D>>> {
    let mut config = config(settings);
    config
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", PRODUCER_LINGER.as_millis().to_string())
        .set("batch.size", "1000000")
        .set("batch.num.messages", "10000")
        .set(
            "queue.buffering.max.messages",
            PRODUCER_QUEUE_ENTRIES.to_string(),
        )
        .set(
            "queue.buffering.max.kbytes",
            PRODUCER_QUEUE_KBYTES.to_string(),
        )
        .set(
            "message.max.bytes",
            (ENTRY_BYTES_MAX + 64 * 1024).to_string(),
        )
        .set(
            "message.timeout.ms",
            PRODUCER_TIMEOUT.as_millis().to_string(),
        )
        // The same partition for a key as Kafka's own clients choose.
        .set("partitioner", "murmur2_random");
    with_more(config, settings).create_with_context(Reports(reports))
}

/// Who is told what became of an entry.
pub trait Deliveries: Send + Sync + 'static {
    /// What is remembered of an entry until it is delivered.
    type Ticket: IntoOpaque;

    /// Kafka has it on all replicas, or it won't get it.
    fn delivered(&self, ticket: Self::Ticket, result: Result<(), &KafkaError>);
}

/// A producer's context: hands delivery reports on, and logs.
#[derive(Debug)]
pub struct Reports<D>(D);

impl<D: Deliveries> ClientContext for Reports<D> {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        said(&error, reason);
    }
}

impl<D: Deliveries> ProducerContext for Reports<D> {
    type DeliveryOpaque = D::Ticket;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Self::DeliveryOpaque) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error),
        };
        self.0.delivered(ticket, result);
    }
}

/// A context that does nothing but log.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        said(&error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for Quiet {}

/// What librdkafka calls an error. That a topic was read to its end is one only by name.
pub fn said(error: &KafkaError, reason: &str) {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::PartitionEOF) => tracing::debug!("Kafka: {reason}"),
        _ => tracing::warn!(%error, "Kafka: {reason}"),
    }
}

/// librdkafka's log lines in ours.
pub fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg
        | RDKafkaLogLevel::Alert
        | RDKafkaLogLevel::Critical
        | RDKafkaLogLevel::Error => tracing::error!("Kafka: {facility} {message}"),
        RDKafkaLogLevel::Warning => tracing::warn!("Kafka: {facility} {message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!("Kafka: {facility} {message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!("Kafka: {facility} {message}"),
    }
}

/// The headers of a message in `retrotap.refused`: who refused it, for what, and where it came from.
pub fn refused_headers(by: &str, cause: &str, reason: &str, from: &str) -> OwnedHeaders {
    [
        ("by", by),
        ("cause", cause),
        ("reason", reason),
        ("from", from),
    ]
    .into_iter()
    .fold(
        OwnedHeaders::new_with_capacity(4),
        |headers, (key, value)| {
            headers.insert(Header {
                key,
                value: Some(value),
            })
        },
    )
}

/// Entries for `retrotap.refused`, one at a time and each until Kafka has it.
pub struct Refuser {
    producer: ThreadedProducer<Reports<Waiters>>,
}

struct Waiters;

type Waiter = tokio::sync::oneshot::Sender<Result<(), KafkaError>>;

impl Deliveries for Waiters {
    type Ticket = Box<std::sync::Mutex<Option<Waiter>>>;

    fn delivered(&self, ticket: Self::Ticket, result: Result<(), &KafkaError>) {
        let waiter = ticket.lock().ok().and_then(|mut waiter| waiter.take());
        if let Some(waiter) = waiter {
            let _ = waiter.send(result.map_err(Clone::clone));
        }
    }
}

impl std::fmt::Debug for Refuser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refuser").finish_non_exhaustive()
    }
}

impl Refuser {
    /// A producer for what is refused.
    ///
    /// # Errors
    ///
    /// The settings are wrong.
    pub fn new(settings: &Settings) -> KafkaResult<Arc<Self>> {
        Ok(Arc::new(Self {
            producer: producer(settings, Waiters)?,
        }))
    }

    /// Puts an entry there, and returns once Kafka has it.
    ///
    /// # Errors
    ///
    /// Kafka doesn't take it.
    pub async fn refuse(
        &self,
        key: &[u8],
        payload: &[u8],
        headers: OwnedHeaders,
    ) -> KafkaResult<()> {
        let (waiter, delivered) = tokio::sync::oneshot::channel();
        let ticket = Box::new(std::sync::Mutex::new(Some(waiter)));
        let record = rdkafka::producer::BaseRecord::with_opaque_to(crate::topics::REFUSED, ticket)
            .key(key)
            .payload(payload)
            .headers(headers);
        self.producer.send(record).map_err(|(error, _)| error)?;
        delivered.await.unwrap_or(Err(KafkaError::Canceled))
    }
}

/// Where a message stands, as it is logged and kept with what is refused.
pub fn place(message: &rdkafka::message::BorrowedMessage<'_>) -> String {
    format!(
        "{}/{}@{}",
        message.topic(),
        message.partition(),
        message.offset()
    )
}
