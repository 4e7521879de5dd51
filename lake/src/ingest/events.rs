//! What happens in an ingest: each event is logged and counted in one place, here.

use std::time::Duration;

use retrotap::words::Stream;

use super::message::Refusal;
use crate::metrics::{Cause, Ingest, OfStream};
use crate::topics::Finding;

/// Kafka has all entries of a message.
#[derive(Debug)]
pub struct Taken {
    /// Of which stream.
    pub stream: Stream,
    /// How many.
    pub entries: u64,
    /// How long.
    pub bytes: u64,
    /// Since the message came.
    pub after: Duration,
}

impl Taken {
    /// Counts it; one line of log for each would be a flood.
    pub fn tell(&self, metrics: &Ingest) {
        let label = OfStream {
            stream: self.stream.name(),
        };
        metrics.messages.get_or_create(&label).inc();
        metrics.entries.get_or_create(&label).inc_by(self.entries);
        metrics.bytes.get_or_create(&label).inc_by(self.bytes);
        metrics.kafka_seconds.observe(self.after.as_secs_f64());
    }
}

/// Kafka has a retained document.
#[derive(Debug)]
pub struct DocumentKept<'a> {
    /// Its key there.
    pub key: &'a str,
}

impl DocumentKept<'_> {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Ingest) {
        metrics.documents.inc();
        tracing::debug!(key = self.key, "kept");
    }
}

/// A message was refused.
#[derive(Debug)]
pub struct Refused<'a> {
    /// Why.
    pub refusal: &'a Refusal,
    /// Where it was published.
    pub topic: &'a str,
    /// How long it is.
    pub bytes: usize,
    /// The very same was refused before.
    pub again: bool,
}

impl Refused<'_> {
    /// Logs and counts it; the same again is only counted.
    pub fn tell(&self, metrics: &Ingest) {
        let cause = self.refusal.cause();
        metrics.refused.get_or_create(&Cause { cause }).inc();
        if !self.again {
            tracing::warn!(
                topic = self.topic,
                bytes = self.bytes,
                cause,
                "refused: {}",
                self.refusal
            );
        }
    }
}

/// A session with the broker begins.
#[derive(Debug)]
pub struct SessionBegan<'a> {
    /// The broker.
    pub broker: &'a str,
    /// How many filters are subscribed.
    pub filters: usize,
}

impl SessionBegan<'_> {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Ingest) {
        metrics.connected.set(1);
        tracing::info!(broker = self.broker, filters = self.filters, "subscribed");
    }
}

/// A session with the broker ended.
#[derive(Debug)]
pub struct SessionEnded<'a> {
    /// One of a few words.
    pub cause: &'static str,
    /// In a sentence.
    pub why: &'a str,
    /// Messages that were not acknowledged: they come again.
    pub unacknowledged: usize,
    /// Whether a person has to act.
    pub person: bool,
}

impl SessionEnded<'_> {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Ingest) {
        metrics.connected.set(0);
        metrics.in_flight.set(0);
        metrics
            .sessions_ended
            .get_or_create(&Cause { cause: self.cause })
            .inc();
        let (why, unacknowledged) = (self.why, self.unacknowledged);
        if self.person {
            tracing::error!(unacknowledged, "{why}");
        } else {
            tracing::warn!(unacknowledged, "{why}");
        }
    }
}

/// A topic isn't as it should be.
pub fn tell_findings(findings: &[Finding], metrics: &Ingest) {
    metrics
        .topic_findings
        .set(i64::try_from(findings.len()).unwrap_or(i64::MAX));
    for finding in findings {
        tracing::error!("{finding}");
    }
}
