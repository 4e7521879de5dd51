//! `ingest`: MQTT to Kafka.
//!
//! ```text
//! broker ─message─▶ names checked ─entries─▶ Kafka ─reports─▶ window ─in order─▶ taken, then PUBACK
//!                        └─▶ retrotap.refused
//! ```
//!
//! What holds:
//! - A message is acknowledged, and its entries are told to the gateway as `taken`, only after Kafka
//!   has all of them on as many replicas as it was told to have (`acks=all`), and after all messages
//!   before it.
//! - An entry goes to Kafka as the bytes that came. A machine's entries have one key, so one partition,
//!   and one order as long as one ingest reads them.
//! - A session that ends acknowledges nothing more. What it had not acknowledged comes again, from the
//!   broker or from the gateway, and may then stand twice in Kafka under the same name.
//! - An ingest that can't reach Kafka leaves the group of those who share the work, and comes back when
//!   it can. Otherwise the broker would go on giving it a share that it can't carry.
//! - What can't be named is acknowledged, kept in `retrotap.refused`, and never told as taken: there is
//!   no number to tell. A gateway that sends such a thing (its version is newer than the lake's) keeps
//!   it and sends it again, which is right; all else of it is told by ranges and isn't held up.
//!
//! What it doesn't do: read what is in an entry besides its name, and know of the database.

mod address;
mod events;
mod message;
mod session;
mod taken;
mod window;

use std::sync::Arc;
use std::time::Instant;

use retrotap::uplink::refusal::{Class, Refusal};
use retrotap::uplink::{BrokerUrl, TlsFiles};
use tokio_util::sync::CancellationToken;

pub use address::Filters;

use crate::backoff::Backoff;
use crate::health::Health;
use crate::kafka;
use crate::limits::{PERSON_PAUSE, SESSION_GOOD_AFTER};
use crate::metrics::Ingest as Metrics;
use crate::topics::{self, Making, TopicsError};
use session::Ended;

/// From where to where.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The broker.
    pub url: BrokerUrl,
    /// Certificates; there exactly when `url.tls`.
    pub tls: Option<TlsFiles>,
    /// As whom the broker knows this ingest.
    pub client_id: String,
    /// What is subscribed to.
    pub filters: Filters,
    /// Where it goes.
    pub kafka: kafka::Settings,
    /// How topics are made.
    pub making: Making,
}

/// Carries messages until `shutdown`, whatever happens on the way.
///
/// # Errors
///
/// Kafka's settings are wrong, or its topics would lose what they are given.
pub async fn run(
    settings: Settings,
    metrics: Arc<Metrics>,
    health: Health,
    shutdown: CancellationToken,
) -> Result<(), TopicsError> {
    let mut backoff = Backoff::default();
    let mut remembered = session::Remembered::default();
    while !shutdown.is_cancelled() {
        health.beat();
        // The topics are looked at before each session: also to know that Kafka is there.
        let ensured = tokio::select! {
            ensured = topics::ensure(&settings.kafka, settings.making) => ensured,
            () = shutdown.cancelled() => break,
        };
        match ensured {
            Ok(findings) => events::tell_findings(&findings, &metrics),
            Err(error) if error.passes() => {
                tracing::warn!("{error}");
                health.waits("ingest", &error.to_string());
                backoff.pause(&shutdown).await;
                continue;
            }
            Err(error) => return Err(error),
        }
        let began = Instant::now();
        let ended = session::run(&settings, &metrics, &health, &mut remembered, &shutdown).await;
        let Ended {
            cause,
            unacknowledged,
            refusal: Some(Refusal { class, message }),
        } = ended
        else {
            break;
        };
        let person = class == Class::Person;
        events::SessionEnded {
            cause,
            why: &message,
            unacknowledged,
            person,
        }
        .tell(&metrics);
        health.waits("ingest", &message);
        if began.elapsed() >= SESSION_GOOD_AFTER {
            backoff = Backoff::default();
        }
        if person {
            backoff.pause_of(PERSON_PAUSE, &shutdown).await;
        } else {
            backoff.pause(&shutdown).await;
        }
    }
    metrics.connected.set(0);
    Ok(())
}
