//! Every maximum of the gateway, in one place, each with its reason.
//!
//! A limit that the user may move is a default here and stands in the settings; all others are
//! fixed. What depends on what is asserted when the gateway is compiled.

use std::time::Duration;

/// Machines on one gateway. One core carries 64 lines at 115200 baud; a Pi has four.
pub const MACHINES_MAX: usize = 256;

/// A settings file. The longest that is plausible, 256 machines of 20 lines, is a tenth of this.
pub const SETTINGS_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A certificate or key file. A chain of ten RSA-4096 certificates in PEM has 25 kB.
pub const PEM_FILE_BYTES_MAX: u64 = 256 * 1024;

/// An adapter's YAML or one of its tables. The largest that ships has 4 kB.
pub const ADAPTER_FILE_BYTES_MAX: u64 = 256 * 1024;

/// A packed module. The largest that ships has 40 kB; the tap's flash takes none above this.
pub const MODULE_BYTES_MAX: u64 = 1024 * 1024;

/// Changes of obstacles and parameters that a line hasn't taken yet. A source at 50 Hz fills it in
/// 1.2 s, and a line that is that late has other troubles.
pub const INPUTS_PENDING_MAX: usize = 64;

/// Chunks and inputs on their way to a capture's file: 3 s of a KR C2 read byte by byte, some 300 kB.
pub const RECORDING_ITEMS_MAX: usize = 4096;

/// How much of a capture a killed process may lose.
pub const RECORDING_FLUSH_EVERY: Duration = Duration::from_secs(1);

/// How often a line asks the kernel whether its clock is synchronised.
pub const CLOCK_ASKED_EVERY_NS: u64 = 1_000_000_000;

/// First pause before a line that failed begins again; it doubles up to the next figure.
pub const LINE_RESTART_PAUSE_MIN: Duration = Duration::from_millis(100);

/// Longest pause before a line begins again. A line that ran for longer begins with the short one.
pub const LINE_RESTART_PAUSE_MAX: Duration = Duration::from_secs(10);

/// A name that becomes a level of an MQTT topic and a tag in the lake.
pub const NAME_BYTES_MAX: usize = 64;

/// Records and frames of one machine between its line and the spool. At 115200 baud a line makes
/// 1,280 nine-byte frames a second, with one record each, so this bridges 800 ms in which the
/// spool doesn't get to run; more would only hide that it never does.
pub const INTAKE_ENTRIES_MAX: usize = 2048;

/// What the spool writes in one go before it lets the reader in.
pub const INTAKE_BATCH_ENTRIES_MAX: usize = 256;

/// Default of the spool in memory: an hour of one KR C2 (106 frames and 45 records a second).
pub const SPOOL_BYTES_MAX: usize = 128 * 1024 * 1024;

/// The least spool that may be set: what is in flight can't be dropped and must fit twice.
pub const SPOOL_BYTES_MIN: usize = 4 * 1024 * 1024;

/// What an entry costs in memory besides its JSON.
pub const ENTRY_OVERHEAD_BYTES: usize = 128;

/// Gaps of one machine that wait to be told. Beyond it the oldest are told as one, without numbers.
pub const GAPS_PENDING_MAX: usize = 16;

/// How long an entry may wait for others to share its MQTT message.
pub const BATCH_LINGER: Duration = Duration::from_millis(5);

/// Size of an MQTT message's payload from which it is sent without waiting.
pub const BATCH_BYTES_MAX: usize = 64 * 1024;

/// MQTT messages that wait for their PUBACK. Sixteen of 64 KiB fill a way of 1 MB: 100 Mbit/s
/// at 80 ms.
pub const IN_FLIGHT_MESSAGES_MAX: u16 = 16;

/// The longest topic that the gateway makes: five fixed or named levels and `schema/<module>`.
pub const TOPIC_BYTES_MAX: usize = 5 * (NAME_BYTES_MAX + 1) + 160;

/// What a broker must accept at least in one packet; with less it is refused.
pub const BROKER_PACKET_BYTES_MIN: usize = 4 * 1024;

/// Connecting, TLS and CONNACK together. A mobile link needs 3 s on a bad day.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence after which the broker is asked whether it is there. A dead link is seen after one and
/// a half times this; much less is traffic for nothing on a metered line.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Of the backlog in flight at most, in bytes; a quick way fills a megabyte.
pub const BACKLOG_IN_FLIGHT_BYTES_MAX: usize = 1024 * 1024;

/// How long a live record may queue behind the backlog on the way to the broker. A PUBACK of the
/// backlog that takes longer halves what may be in flight of it.
pub const BACKLOG_QUEUEING_MAX: Duration = Duration::from_millis(250);

/// The lake is silent about a batch for this long: it is sent again.
pub const TAKEN_TIMEOUT: Duration = Duration::from_secs(10);

/// Of the backlog sent and not known to be taken, in bytes: a lake that needs 300 ms for a batch
/// still takes 10 MB/s.
pub const UNTAKEN_BACKLOG_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Live batches sent and not known to be taken, in bytes: 10 s of one KR C2 with raw frames.
pub const UNTAKEN_LIVE_BYTES_MAX: usize = 1024 * 1024;

/// A message on `taken`. One range has 70 bytes, and a message of ours holds one.
pub const TAKEN_BYTES_MAX: usize = 64 * 1024;

/// Ranges in a message on `taken`.
pub const TAKEN_RANGES_MAX: usize = 256;

/// Messages on `taken` that wait for the publisher. What finds no place is said again by the lake
/// once the batch is sent again.
pub const TAKEN_PENDING_MAX: usize = 256;

/// No PUBACK for this long while some are due: the session is given up and begun again, from the
/// first unreleased entry.
pub const ACKNOWLEDGE_TIMEOUT: Duration = Duration::from_secs(10);

/// First pause before connecting again; it doubles up to the next figure, minus up to half by lot,
/// so that a plant's gateways don't come back all at once.
pub const RECONNECT_PAUSE_MIN: Duration = Duration::from_millis(250);

/// Longest pause before connecting again, and the pause after a refusal that only a person mends.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(30);

/// A session that held this long was a good one: the next pause starts small again.
pub const SESSION_GOOD_AFTER: Duration = Duration::from_secs(30);

/// How long stopping waits for what is still in the spool to go out.
pub const SHUTDOWN_FLUSH: Duration = Duration::from_secs(3);

const _: () = {
    let in_flight_bytes = IN_FLIGHT_MESSAGES_MAX as usize * BATCH_BYTES_MAX;
    assert!(
        SPOOL_BYTES_MIN >= 2 * in_flight_bytes,
        "what is in flight must leave room"
    );
    assert!(SPOOL_BYTES_MAX >= SPOOL_BYTES_MIN);
    assert!(INTAKE_BATCH_ENTRIES_MAX <= INTAKE_ENTRIES_MAX);
    assert!(
        BROKER_PACKET_BYTES_MIN > 2 * TOPIC_BYTES_MAX,
        "a record must fit beside its topic"
    );
    assert!(
        TOPIC_BYTES_MAX < u16::MAX as usize,
        "MQTT counts a topic's bytes in 16 bits"
    );
    assert!(BACKLOG_IN_FLIGHT_BYTES_MAX >= 2 * BATCH_BYTES_MAX);
    assert!(UNTAKEN_BACKLOG_BYTES_MAX >= BACKLOG_IN_FLIGHT_BYTES_MAX);
    assert!(BACKLOG_QUEUEING_MAX.as_millis() < TAKEN_TIMEOUT.as_millis());
    assert!(RECONNECT_PAUSE_MIN.as_millis() < RECONNECT_PAUSE_MAX.as_millis());
    assert!(KEEP_ALIVE.as_secs() > 0 && KEEP_ALIVE.as_secs() <= u16::MAX as u64);
    // A broker that answers nothing is given up before a stop gives up waiting for systemd (90 s).
    assert!(ACKNOWLEDGE_TIMEOUT.as_secs() + SHUTDOWN_FLUSH.as_secs() < 90);
};
