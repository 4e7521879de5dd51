//! What is counted. Which event counts what stands with the events, in each role's `events.rs`.

use std::sync::atomic::AtomicI64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// A label that says of which stream something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OfStream {
    /// `records`, `frames` or `inputs`.
    pub stream: &'static str,
}

/// A label that says why.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Cause {
    /// One of a few words.
    pub cause: &'static str,
}

/// A label that says of which partition something is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Partition {
    /// Its number in `retrotap.records`.
    pub partition: i32,
}

/// What an ingest counts.
#[derive(Debug)]
pub struct Ingest {
    /// MQTT messages that Kafka has, by stream.
    pub messages: Family<OfStream, Counter>,
    /// Entries in them.
    pub entries: Family<OfStream, Counter>,
    /// Bytes of these.
    pub bytes: Family<OfStream, Counter>,
    /// Retained documents (schemas, alarms, states) that Kafka has.
    pub documents: Counter,
    /// Messages that were refused.
    pub refused: Family<Cause, Counter>,
    /// MQTT sessions that ended, by why.
    pub sessions_ended: Family<Cause, Counter>,
    /// Whether a session lives: 0 or 1.
    pub connected: Gauge,
    /// MQTT messages that wait for Kafka.
    pub in_flight: Gauge,
    /// From a message's arrival to Kafka having all of it, in seconds.
    pub kafka_seconds: Histogram,
    /// Things that are wrong with Kafka's topics.
    pub topic_findings: Gauge<i64, AtomicI64>,
}

/// What a sink counts.
#[derive(Debug)]
pub struct Sink {
    /// Records read from Kafka.
    pub records: Counter,
    /// Points that the database has.
    pub points: Counter,
    /// Bytes of line protocol that it has, before compression.
    pub bytes: Counter,
    /// Writes that it took.
    pub writes: Counter,
    /// Entries that went to `retrotap.refused`.
    pub refused: Family<Cause, Counter>,
    /// Writes that were tried again.
    pub retries: Family<Cause, Counter>,
    /// From the first attempt of a write to the database having it, in seconds.
    pub write_seconds: Histogram,
    /// Writes under way.
    pub in_flight: Gauge,
    /// 1 while the database takes nothing.
    pub blocked: Gauge,
    /// Records in Kafka that aren't written yet, by partition.
    pub lag: Family<Partition, Gauge<i64, AtomicI64>>,
    /// Manifests by which fields are typed.
    pub schemas: Gauge<i64, AtomicI64>,
    /// Things that are wrong with Kafka's topics.
    pub topic_findings: Gauge<i64, AtomicI64>,
}

/// All metrics of a process, to be asked for as text.
#[derive(Debug)]
pub struct Page {
    registry: Registry,
}

fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.001, 2.0, 16))
}

impl Ingest {
    /// Metrics at zero, and the page that shows them.
    pub fn new() -> (Self, Page) {
        let metrics = Self {
            messages: Family::default(),
            entries: Family::default(),
            bytes: Family::default(),
            documents: Counter::default(),
            refused: Family::default(),
            sessions_ended: Family::default(),
            connected: Gauge::default(),
            in_flight: Gauge::default(),
            kafka_seconds: seconds(),
            topic_findings: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("retrotap_lake_ingest");
        let r = &mut registry;
        r.register(
            "messages",
            "MQTT messages that Kafka has",
            metrics.messages.clone(),
        );
        r.register("entries", "Entries that Kafka has", metrics.entries.clone());
        r.register(
            "bytes",
            "Bytes of entries that Kafka has",
            metrics.bytes.clone(),
        );
        r.register(
            "documents",
            "Schemas, alarms and states that Kafka has",
            metrics.documents.clone(),
        );
        r.register(
            "refused",
            "Messages refused, by cause",
            metrics.refused.clone(),
        );
        r.register(
            "sessions_ended",
            "MQTT sessions that ended, by cause",
            metrics.sessions_ended.clone(),
        );
        r.register(
            "connected",
            "1 while an MQTT session lives",
            metrics.connected.clone(),
        );
        r.register(
            "in_flight",
            "MQTT messages that wait for Kafka",
            metrics.in_flight.clone(),
        );
        r.register(
            "kafka_seconds",
            "From a message's arrival to Kafka having it",
            metrics.kafka_seconds.clone(),
        );
        r.register(
            "topic_findings",
            "Things that are wrong with Kafka's topics",
            metrics.topic_findings.clone(),
        );
        (metrics, Page { registry })
    }
}

impl Sink {
    /// Metrics at zero, and the page that shows them.
    pub fn new() -> (Self, Page) {
        let metrics = Self {
            records: Counter::default(),
            points: Counter::default(),
            bytes: Counter::default(),
            writes: Counter::default(),
            refused: Family::default(),
            retries: Family::default(),
            write_seconds: seconds(),
            in_flight: Gauge::default(),
            blocked: Gauge::default(),
            lag: Family::default(),
            schemas: Gauge::default(),
            topic_findings: Gauge::default(),
        };
        let mut registry = Registry::with_prefix("retrotap_lake_sink");
        let r = &mut registry;
        r.register(
            "records",
            "Records read from Kafka",
            metrics.records.clone(),
        );
        r.register(
            "points",
            "Points that the database has",
            metrics.points.clone(),
        );
        r.register(
            "bytes",
            "Bytes of line protocol that the database has",
            metrics.bytes.clone(),
        );
        r.register(
            "writes",
            "Writes that the database took",
            metrics.writes.clone(),
        );
        r.register(
            "refused",
            "Entries put into retrotap.refused, by cause",
            metrics.refused.clone(),
        );
        r.register(
            "retries",
            "Writes tried again, by cause",
            metrics.retries.clone(),
        );
        r.register(
            "write_seconds",
            "From first attempt to written",
            metrics.write_seconds.clone(),
        );
        r.register("in_flight", "Writes under way", metrics.in_flight.clone());
        r.register(
            "blocked",
            "1 while the database takes nothing",
            metrics.blocked.clone(),
        );
        r.register(
            "lag",
            "Records in Kafka that aren't written yet",
            metrics.lag.clone(),
        );
        r.register(
            "schemas",
            "Manifests by which fields are typed",
            metrics.schemas.clone(),
        );
        r.register(
            "topic_findings",
            "Things that are wrong with Kafka's topics",
            metrics.topic_findings.clone(),
        );
        (metrics, Page { registry })
    }
}

impl Page {
    /// In OpenMetrics' text format.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String can't fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handbook_has_every_metric() {
        let handbook = include_str!("../../docs/lake.md");
        for (page, prefix) in [
            (Ingest::new().1, "retrotap_lake_ingest_"),
            (Sink::new().1, "retrotap_lake_sink_"),
        ] {
            let text = page.text();
            let names = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
            for name in names.filter_map(|rest| rest.split(' ').next()) {
                let name = name.strip_prefix(prefix).expect("the prefix");
                assert!(handbook.contains(&format!("`{name}`")), "{name}");
            }
        }
    }

    #[test]
    fn a_page_names_every_metric_from_the_beginning() {
        let (ingest, page) = Ingest::new();
        ingest
            .refused
            .get_or_create(&Cause { cause: "numbers" })
            .inc();
        let text = page.text();
        assert!(
            text.contains("retrotap_lake_ingest_refused_total{cause=\"numbers\"} 1"),
            "{text}"
        );
        let (sink, page) = Sink::new();
        sink.lag.get_or_create(&Partition { partition: 3 }).set(12);
        let text = page.text();
        assert!(
            text.contains("retrotap_lake_sink_lag{partition=\"3\"} 12"),
            "{text}"
        );
        assert!(text.contains("retrotap_lake_sink_points_total 0"), "{text}");
    }
}
