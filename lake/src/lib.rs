//! The data lake's programs: MQTT to Kafka to InfluxDB, and frames computed again.
//!
//! ```text
//! gateways ─▶ broker ─▶ ingest ─▶ Kafka ─▶ sink ─▶ InfluxDB
//!                ◀─taken──┘         └─▶ reprocess ─▶ InfluxDB, or standard output
//! ```
//!
//! One program, `retrotap-lake`, with a role for each arrow; each may run as often as is wanted. A role
//! holds nothing that the others or a restart would miss: what is underway stands at the hop before
//! until the hop behind has it.

mod backoff;
pub mod buckets;
pub mod cli;
pub mod health;
pub mod influx;
pub mod ingest;
pub mod kafka;
pub mod limits;
pub mod line_protocol;
pub mod metrics;
pub mod reprocess;
pub mod sink;
pub mod topics;
