//! Every maximum of the lake, in one place, each with its reason.
//!
//! A limit that the user may move is a default here and an option of the command line; all others
//! are fixed. What depends on what is asserted when the lake is compiled.

use std::time::Duration;

/// One entry. The longest that a gateway makes is an input, whose JSON has at most 1 MiB; Kafka takes
/// 1 MB unless told otherwise, which [`crate::topics`] does.
pub const ENTRY_BYTES_MAX: usize = 2 << 20;

/// One MQTT message. A gateway gathers 64 KiB, or sends one entry that is longer by itself.
pub const PAYLOAD_BYTES_MAX: usize = ENTRY_BYTES_MAX + 2;

/// One MQTT packet, told to the broker: payload, topic (at most 64 KiB) and properties.
pub const PACKET_BYTES_MAX: u32 = 2 << 21;

/// MQTT messages that the broker may send before they are acknowledged: with [`PACKET_BYTES_MAX`] this
/// bounds what an ingest holds. 64 machines with a message each 5 ms have 64 underway in 5 ms.
pub const RECEIVE_MAX: u16 = 256;

/// Requests of ours that wait for the MQTT client: an acknowledgement and a `taken` for each message.
pub const REQUESTS_MAX: usize = 4 * RECEIVE_MAX as usize;

/// Ranges in one `taken`: 80 bytes each, so the message has 20 kB at most.
pub const TAKEN_RANGES_MAX: usize = 256;

/// A manifest. The largest that ships has 7 kB.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;

/// Manifests that a sink keeps at a time. A plant has dozens.
pub const SCHEMAS_MAX: usize = 10_000;

/// Digests of refused messages that an ingest remembers, so that a message which is sent again and
/// again is kept once.
pub const REFUSED_REMEMBERED_MAX: usize = 1024;

/// Bytes in the producer's queue: all that may be in flight from MQTT, as typical messages have 64 KiB.
pub const PRODUCER_QUEUE_KBYTES: usize = 128 * 1024;

/// Entries in the producer's queue. A short record has 250 bytes.
pub const PRODUCER_QUEUE_ENTRIES: usize = 500_000;

/// How long the producer gathers entries. Kafka's cost is by request, and a lake doesn't need less.
pub const PRODUCER_LINGER: Duration = Duration::from_millis(5);

/// How long Kafka may take for the oldest message before an ingest leaves its group, so that others
/// get its share. Longer than the election of a partition's leader takes.
pub const KAFKA_STUCK: Duration = Duration::from_secs(20);

/// How long the producer tries an entry. Longer than [`KAFKA_STUCK`], which is the one that decides.
pub const PRODUCER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long one question to Kafka may take.
pub const KAFKA_ANSWER_MAX: Duration = Duration::from_secs(10);

/// How long a connection to the broker or the database may take to come about.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// MQTT keep alive: a dead connection is noticed in one and a half of it.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// First pause before something is tried again; each further one is twice as long.
pub const RETRY_PAUSE_MIN: Duration = Duration::from_millis(200);

/// Longest pause before something is tried again that mends itself. Half a minute after the end of
/// an outage all runs again.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(15);

/// Pause where a person has to act: often enough that nobody waits for it, rare enough for a log.
pub const PERSON_PAUSE: Duration = Duration::from_secs(15);

/// The longest `Retry-After` that is believed. A server that asks for more gets a question each five
/// minutes.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// A session that lived so long was a good one: the next begins without a pause to speak of.
pub const SESSION_GOOD_AFTER: Duration = Duration::from_secs(30);

/// How long a stop waits for what is in flight. Kubernetes kills after 30 s, systemd after 90 s.
pub const DRAIN_MAX: Duration = Duration::from_secs(15);

/// Points in one write, by default. InfluxDB's handbook advises 5,000 lines.
pub const BATCH_POINTS: usize = 5000;

/// Points in one write at most: 100 bytes each are 10 MB, which is what a server may refuse as large.
pub const BATCH_POINTS_MAX: usize = 100_000;

/// Bytes of one write, by default, before compression.
pub const BATCH_BYTES: usize = 2 << 20;

/// Bytes of one write at most. Offsets in a batch have 32 bits.
pub const BATCH_BYTES_MAX: usize = 256 << 20;

/// How long a point waits for others, by default.
pub const BATCH_WAIT: Duration = Duration::from_millis(100);

/// Writes under way at a time: one is sent while the database works on another, and while a third is
/// being filled.
pub const WRITES_MAX: usize = 4;

/// How long one write may take. InfluxDB on a slow disk takes seconds for 5,000 points.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// How much of a database's answer is read. Its reasons have some hundred bytes.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// How much of a reason is logged and kept.
pub const REASON_CHARS_MAX: usize = 500;

/// A sink that Kafka hasn't heard of for so long is gone, and the others take its partitions. The
/// default of 45 s leaves a killed sink's machines unwritten for that long; Kafka takes no less than
/// 6 s, and a busy machine may be silent for some.
pub const GROUP_SILENCE_MAX: Duration = Duration::from_secs(10);

/// Committing costs Kafka a write; what isn't committed is written again, which changes nothing.
pub const COMMIT_EVERY: Duration = Duration::from_millis(500);

/// How long a sink that can't go on waits before it tells Kafka to send nothing more. Pausing throws
/// away what has been fetched ahead.
pub const PAUSE_AFTER: Duration = Duration::from_secs(1);

/// How long a rebalance waits for writes under way, so that others needn't write them again.
pub const REVOKE_WAIT: Duration = Duration::from_secs(3);

/// How long the sink waits at its start to have read the schemas.
pub const SCHEMAS_WAIT: Duration = Duration::from_secs(30);

/// How long a loop may give no sign of life before `/healthz` says so.
pub const HEARTBEAT_MAX: Duration = Duration::from_secs(60);

/// Kafka keeps records a week: how long the database may be down or filled wrongly.
pub const RECORDS_RETENTION: Duration = Duration::from_secs(7 * 86_400);

/// Kafka keeps frames and inputs for 35 days, so that last month can be computed again.
pub const FRAMES_RETENTION: Duration = Duration::from_secs(35 * 86_400);

/// Kafka keeps what was refused for 35 days: somebody has to look at it.
pub const REFUSED_RETENTION: Duration = Duration::from_secs(35 * 86_400);

/// Memory that a computation from frames may use by default; a frame of 9 bytes takes 150.
pub const REPROCESS_BYTES_MAX: usize = 2 << 30;

/// How far a gateway's clock may be ahead of Kafka's for its frames to be found by time.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(3600);

const _: () = {
    assert!(PAYLOAD_BYTES_MAX + 65_536 + 1024 < PACKET_BYTES_MAX as usize);
    assert!(PRODUCER_TIMEOUT.as_secs() > KAFKA_STUCK.as_secs());
    // A batch that is full by bytes still takes the entry that came.
    assert!(BATCH_BYTES_MAX + 2 * ENTRY_BYTES_MAX < u32::MAX as usize);
    assert!(FRAMES_RETENTION.as_secs() >= 31 * 86_400);
    assert!(RETRY_PAUSE_MIN.as_millis() < RETRY_PAUSE_MAX.as_millis());
    // A stop ends before Kubernetes' patience does.
    assert!(DRAIN_MAX.as_secs() + 10 <= 30);
    // Kafka takes no shorter silence (group.min.session.timeout.ms).
    assert!(GROUP_SILENCE_MAX.as_secs() >= 6);
    // A stop or a rebalance is over before somebody takes the loop for dead.
    assert!(DRAIN_MAX.as_secs() < HEARTBEAT_MAX.as_secs());
};
