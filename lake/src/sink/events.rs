//! What happens in a sink: each event is logged and counted in one place, here.

use std::time::Duration;

use super::batch::Source;
use crate::metrics::{Cause, Partition, Sink};
use crate::topics::Finding;

/// The database has a batch, or a part of one.
#[derive(Debug)]
pub struct Written {
    /// How many points.
    pub points: usize,
    /// How many bytes, before compression.
    pub bytes: usize,
    /// Since the first attempt.
    pub after: Duration,
}

impl Written {
    /// Counts it.
    pub fn tell(&self, metrics: &Sink) {
        metrics.points.inc_by(self.points as u64);
        metrics.bytes.inc_by(self.bytes as u64);
        metrics.writes.inc();
        metrics.write_seconds.observe(self.after.as_secs_f64());
        metrics.blocked.set(0);
        tracing::debug!(points = self.points, after = ?self.after, "written");
    }
}

/// A write is tried again.
#[derive(Debug)]
pub struct Retried<'a> {
    /// What it is counted as.
    pub cause: &'static str,
    /// In words.
    pub why: &'a str,
    /// When.
    pub pause: Duration,
    /// Whether a person has to act.
    pub person: bool,
}

impl Retried<'_> {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Sink) {
        metrics
            .retries
            .get_or_create(&Cause { cause: self.cause })
            .inc();
        metrics.blocked.set(1);
        let (why, pause) = (self.why, self.pause);
        if self.person {
            tracing::error!(?pause, "{why}");
        } else {
            tracing::warn!(?pause, "{why}");
        }
    }
}

/// The database took a batch only in parts.
#[derive(Debug)]
pub struct Split<'a> {
    /// How many points.
    pub points: usize,
    /// Its reason.
    pub why: &'a str,
}

impl Split<'_> {
    /// Logs it; counted is what comes of it.
    pub fn tell(&self) {
        tracing::debug!(points = self.points, "tried in halves: {}", self.why);
    }
}

/// A record went to `retrotap.refused`.
#[derive(Debug)]
pub struct Refused<'a> {
    /// What it is counted as.
    pub cause: &'static str,
    /// Why.
    pub why: &'a str,
    /// Which.
    pub source: Source<'a>,
}

impl Refused<'_> {
    /// Logs and counts it.
    pub fn tell(&self, metrics: &Sink) {
        metrics
            .refused
            .get_or_create(&Cause { cause: self.cause })
            .inc();
        tracing::error!(
            partition = self.source.partition,
            offset = self.source.offset,
            cause = self.cause,
            key = %String::from_utf8_lossy(self.source.key),
            "refused: {}", self.why
        );
    }
}

/// Partitions were given to this sink or taken from it.
#[derive(Debug)]
pub struct Rebalanced<'a> {
    /// `assigned` or `revoked`.
    pub what: &'static str,
    /// Which.
    pub partitions: &'a [i32],
}

impl Rebalanced<'_> {
    /// Logs it; what isn't ours any more has no lag of ours.
    pub fn tell(&self, metrics: &Sink) {
        tracing::info!(partitions = ?self.partitions, "{}", self.what);
        for &partition in self.partitions {
            let label = Partition { partition };
            if self.what == "revoked" {
                metrics.lag.remove(&label);
            }
        }
    }
}

/// A topic isn't as it should be.
pub fn tell_findings(findings: &[Finding], metrics: &Sink) {
    metrics
        .topic_findings
        .set(i64::try_from(findings.len()).unwrap_or(i64::MAX));
    for finding in findings {
        tracing::error!("{finding}");
    }
}
