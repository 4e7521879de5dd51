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

/// A robot's URDF. The largest that is known has 200 kB.
pub const URDF_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A mesh of one link: a million triangles in binary STL, a hundred times what collision meshes have.
pub const MESH_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Corners of a mesh, three for each of those triangles.
pub const MESH_CORNERS_MAX: usize = 4_000_000;

/// A packed module. The largest that ships has 40 kB; the tap's flash takes none above this.
pub const MODULE_BYTES_MAX: u64 = 1024 * 1024;

/// Calls of the test cases that a module carries. Each may take the time budget of 10 ms.
pub const CASE_STEPS_MAX: usize = 1000;

/// Versions of a stage that can be gone back to, and their files: of 40 kB on average, 600 kB.
pub const MODULE_VERSIONS_KEPT: usize = 16;

/// What happened to a stage's module, as it is shown; the audit log has all of it.
pub const MODULE_CHANGES_KEPT: usize = 64;

/// Which versions run: 256 machines of 4 stages with all that is kept of them.
pub const STAGES_FILE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// How long a module is on probation: at a KR C2's pace it is called some thirty thousand times.
pub const PROBATION: Duration = Duration::from_secs(300);

/// Requests about modules that nobody has begun with: each may hold a module of a megabyte.
pub const MODULE_REQUESTS_MAX: usize = 4;

/// Questions about its modules that a line hasn't answered yet: one is asked at a time.
pub const LINE_ASKED_MAX: usize = 4;

/// How long a line may take to put in another version. It does so after the frame that it is at.
pub const SWAP_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// How long a client waits for an answer about modules: compiling one of a megabyte takes a Pi seconds.
pub const MODULE_ANSWERS_WITHIN: Duration = Duration::from_secs(60);

/// How often the folder of modules is looked into.
pub const MODULE_FOLDER_LOOK_EVERY: Duration = Duration::from_secs(2);

/// Files of that folder that are looked at, so that a wrong folder costs nothing: four for each machine.
pub const MODULE_FOLDER_FILES_MAX: usize = 1024;

/// Chunks of a module that comes over the broker: of 1 KiB each, for ways that take no more.
pub const MODULE_CHUNKS_MAX: usize = 1024;

/// Modules on their way over the broker, each of a megabyte at most.
pub const MODULES_RECEIVED_MAX: usize = 8;

/// Numbers of missing chunks that an answer names.
pub const CHUNK_MISSING_TOLD_MAX: usize = 64;

/// Chunks that wait to be put together; one that finds no place is missing, and is asked for again.
pub const MODULE_CHUNKS_PENDING_MAX: usize = 64;

/// How long chunks of a module that came whole may come again, doubled on their way.
pub const MODULE_CHUNKS_LATE: Duration = Duration::from_secs(60);

/// The shortest shadow run that says something.
pub const SHADOW_MIN: Duration = Duration::from_secs(1);

/// The longest: a working day.
pub const SHADOW_MAX: Duration = Duration::from_secs(8 * 3600);

/// Frames and inputs on their way to a shadow run: 1.6 s at 115200 baud.
pub const SHADOW_ITEMS_MAX: usize = 2048;

/// Fields that a shadow run compares: 32 of 16 records.
pub const SHADOW_FIELDS_MAX: usize = 512;

/// How often a shadow run says what it has found.
pub const SHADOW_LOOK_EVERY: Duration = Duration::from_millis(200);

/// Keys whose modules are taken: a plant, its integrator, a few makers.
pub const TRUSTED_KEYS_MAX: usize = 16;

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

/// How long a line's thread may sleep before it shows that it still turns. The service manager's
/// watchdog can't be shorter than a few of these; more often would only wake a battery.
pub const LINE_TURN_EVERY: Duration = Duration::from_secs(1);

/// A line that hasn't turned for this long hangs, and the log says so. Nothing in its loop may take
/// even a tenth of it.
pub const LINE_HANGS_AFTER: Duration = Duration::from_secs(5);

/// A name that becomes a level of an MQTT topic and a tag in the lake.
pub const NAME_BYTES_MAX: usize = 64;

/// Records and frames of one machine between its line and the spool. At 115200 baud a line makes
/// 1,280 nine-byte frames a second, with one record each, so this bridges 800 ms in which the
/// spool doesn't get to run; more would only hide that it never does.
pub const INTAKE_ENTRIES_MAX: usize = 2048;

/// What the spool takes of one machine before it looks at the next.
pub const INTAKE_BATCH_ENTRIES_MAX: usize = 256;

/// Default of the disk that the spool may take: three days of one KR C2 (107 frames and 61 records
/// a second, 8 kB of blocks).
pub const SPOOL_BYTES_DEFAULT: u64 = 2 * 1024 * 1024 * 1024;

/// The least spool that may be set: both files of the tail, the log of the database, and room in
/// which a job still fits when the rest is full.
pub const SPOOL_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// The most spool that may be set: four years of one KR C2. More is a slip of the unit.
pub const SPOOL_BYTES_MAX: u64 = 1024 * 1024 * 1024 * 1024;

/// Default of how often what was taken is made to survive a power cut.
pub const SYNC_EVERY_DEFAULT: Duration = Duration::from_secs(1);

/// More often than this wears out a memory card: each time costs some pages of 4 KiB.
pub const SYNC_EVERY_MIN: Duration = Duration::from_millis(50);

/// More seldom than this and a power cut costs more than anybody expects.
pub const SYNC_EVERY_MAX: Duration = Duration::from_secs(60);

/// The least age that entries may be limited to. Below it an outage of a night loses data.
pub const SPOOL_AGE_MIN: Duration = Duration::from_secs(3600);

/// The greatest age that entries may be limited to: ten years.
pub const SPOOL_AGE_MAX: Duration = Duration::from_secs(10 * 366 * 86_400);

/// One file of the tail. While the store is busy, the tail takes what comes: two of them bridge 0.4 s
/// of 64 machines at 115200 baud, and four minutes of one KR C2 on a full disk.
pub const TAIL_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The smallest file of the tail: one turn of the spool has to fit.
pub const TAIL_BYTES_MIN: u64 = 2 * 1024 * 1024;

/// Share of the spool's bytes that one file of the tail takes, between those limits.
pub const TAIL_SHARE: u64 = 32;

/// With this much in the tail the store doesn't wait for the next sync: blocks are full, and memory
/// is better used.
pub const TAIL_SYNC_BYTES: u64 = 1024 * 1024;

/// What the spool numbers and writes before it lets readers see it. At 10 MB/s of a memory copy
/// that goes badly, a turn of this takes 25 ms.
pub const TURN_BYTES_MAX: usize = 256 * 1024;

/// The largest entry: an input of 1 MiB, the most that a capture takes, with its names.
pub const ENTRY_BYTES_MAX: usize = 1024 * 1024 + 16 * 1024;

/// What an entry has besides what its line gave: names of at most 64 bytes, numbers, times.
pub const ENTRY_NAMES_BYTES_MAX: usize = 8 * 1024;

/// Entries of one block before compression. More compresses a little better and makes reading
/// single batches slower.
pub const BLOCK_BYTES_MAX: usize = 128 * 1024;

/// Blocks that a reader keeps unpacked: two machines in turns with both streams, twice.
pub const BLOCKS_CACHED_MAX: usize = 8;

/// The database's log, from which it is written back.
pub const STORE_LOG_BYTES: u64 = 4 * 1024 * 1024;

/// Blocks that are dropped in one go when nobody takes anything: 16 MiB of the default's 2 GiB.
pub const VICTIMS_MAX: usize = 8192;

/// Ranges of unreleased entries of one stream. Entries are released in order, so a few are usual; a
/// release that would make more is not taken, and those entries are sent again.
pub const UNRELEASED_RANGES_MAX: usize = 4096;

/// A live entry that nobody read for so long is backlog.
pub const LIVE_LAG_MAX: Duration = Duration::from_secs(5);

/// Memory for live entries that are stored and not read yet; above it they are backlog.
pub const LIVE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How often a stream may tell that its intake was full.
pub const GAP_EVERY: Duration = Duration::from_secs(1);

/// How long closing waits for the disk.
pub const SPOOL_CLOSE_MAX: Duration = Duration::from_secs(10);

/// How long reading waits after the disk failed.
pub const SPOOL_READ_PAUSE: Duration = Duration::from_secs(1);

/// Blocks that one question about the past reads: an hour of one machine at a block a second, in
/// some 0.3 s of one core.
pub const HISTORY_BLOCKS_MAX: usize = 4096;

/// JSON that one answer about the past holds: 10,000 records of 800 bytes.
pub const HISTORY_BYTES_MAX: usize = 8 * 1024 * 1024;

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

/// How long after the last evaluation a line evaluates again without anything new: a person walks 3 cm
/// in it.
pub const TICK_EVERY: Duration = Duration::from_millis(20);

/// How long a robot's word in its cell holds without being renewed: five ticks, so that a line that
/// hangs is noticed and one that was scheduled late is not.
pub const ROBOT_WORD_HOLDS: Duration = Duration::from_millis(100);

/// Frames rejected in a row, without a separation in between, that make `unknown`. A frame that is lost
/// costs at most the other six of a KR C2's cycle.
pub const REJECTED_STREAK_MAX: u32 = 7;

/// Snapshots of obstacles that a source may send in a second; those beyond are refused and counted. A
/// lidar turns at 10 to 40 Hz.
pub const SNAPSHOTS_PER_S_MAX: u32 = 100;

/// A snapshot's JSON: 32 obstacles with the longest ids and digits have 12 kB.
pub const SNAPSHOT_BYTES_MAX: usize = 32 * 1024;

/// By how much a source's clock may be ahead of ours. Beyond it the age of what it says can't be told.
pub const SOURCE_CLOCK_AHEAD_MAX: Duration = Duration::from_millis(50);

/// Messages from the broker on their way to a cell. What finds no place is as good as lost on the way:
/// what the cell knows gets older.
pub const HEARD_PENDING_MAX: usize = 64;

/// Bytes that one action may write: a telegram, not a file.
pub const ACTION_BYTES_MAX: usize = 64;

/// Actions on entering one state of one cell.
pub const ACTIONS_MAX: usize = 8;

/// How long a better state has to be allowed before it holds: longer than the gateway's actions take to
/// look, so that none of them misses a state; and not so long that nobody waits for it.
pub const HOLD_MIN: Duration = Duration::from_millis(100);
/// The longest hold.
pub const HOLD_MAX: Duration = Duration::from_secs(60);

/// The greatest latency that can be declared, of a sensor, a stop signal or the gateway. At 1.6 m/s it
/// is 8 m of protective distance: more is a slip of the unit.
pub const LATENCY_MAX: Duration = Duration::from_secs(5);

/// The longest time that a robot takes to stop.
pub const STOPPING_TIME_MAX: Duration = Duration::from_secs(60);

/// Rows of a stopping table: `rows_max` of `stopping` in
/// `pipelines/stages/arm-distance/manifest.yaml`, which the host checks again.
pub const STOPPING_ROWS_MAX: usize = 10;

/// Capsules of a tool. Links and tool together have room for 16.
pub const TOOL_CAPSULES_MAX: usize = 8;

/// How long the word of a source may hold. Less than a tick is never fresh.
pub const TIME_TO_LIVE_MIN: Duration = Duration::from_millis(20);
/// The longest; in it a person walks 16 m.
pub const TIME_TO_LIVE_MAX: Duration = Duration::from_secs(10);

/// The pace of a permit. Faster than this fills a line at 9600 baud by a tenth.
pub const PERMIT_EVERY_MIN: Duration = Duration::from_millis(10);
/// The slowest: whoever receives it can't tell sooner that it is missing.
pub const PERMIT_EVERY_MAX: Duration = Duration::from_secs(5);

/// How long a webhook may take before it counts as failed.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// Records in one answer about the past.
pub const HISTORY_RECORDS_MAX: usize = 10_000;

/// Records in one answer about the past where nothing is said.
pub const HISTORY_RECORDS_DEFAULT: usize = 1_000;

/// Questions about the past that are answered at once: with their answers 16 MiB of memory.
pub const HISTORY_ANSWERS_MAX: usize = 2;

/// A long answer leaves in pieces of this size.
pub const SENT_CHUNK_BYTES: usize = 64 * 1024;

/// Events that are kept in memory: a cell that changes its state every ten seconds fills it in three
/// hours.
pub const EVENTS_MAX: usize = 1_000;

/// Events in an answer where nothing is said.
pub const EVENTS_DEFAULT: usize = 100;

/// The body of a request. The largest, 32 obstacles with names of 64 bytes, has 12 kB.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// From the first byte of a request's body to its last. A mobile link sends 64 kB in two seconds.
pub const REQUEST_BODY_WITHIN: Duration = Duration::from_secs(5);

/// From the beginning of a connection, or the end of the last answer, to the end of a request's
/// head. A browser that has nothing more to ask opens another connection when it does.
pub const REQUEST_HEAD_WITHIN: Duration = Duration::from_secs(10);

/// A TLS handshake: three ways of a bad mobile link.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// An answer of which a client takes nothing for this long is given up, with its connection.
pub const UNREAD_WITHIN: Duration = Duration::from_secs(30);

/// Headers of a request: their bytes all together, and how many. Browsers send 1 kB in 20.
pub const REQUEST_HEAD_BYTES_MAX: usize = 16 * 1024;
/// See [`REQUEST_HEAD_BYTES_MAX`].
pub const REQUEST_HEADERS_MAX: usize = 64;

/// Connections at once: all live streams, and six more of each of ten browsers.
pub const CONNECTIONS_MAX: usize = 128;

/// Connections from one address: a desk with four browsers, or a proxy for a few. One client must
/// not take the places of all others.
pub const CONNECTIONS_OF_ADDRESS_MAX: usize = 80;

/// How long stopping waits for answers that are under way.
pub const ANSWERS_END_WITHIN: Duration = Duration::from_secs(2);

/// The users' file: 64 users and 64 tokens have 40 kB.
pub const ACCOUNTS_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Users of one gateway. A plant has a few who look after it; more share a panel's login.
pub const USERS_MAX: usize = 64;

/// Tokens of one gateway: a program each.
pub const TOKENS_MAX: usize = 64;

/// Logins at once. One more ends the one that would end first.
pub const SESSIONS_MAX: usize = 256;

/// How long a login of somebody who can change something lasts: a shift and a half.
pub const SESSION_LASTS: Duration = Duration::from_secs(12 * 3600);

/// How long a viewer's login lasts: a panel on the wall is not logged in every morning.
pub const SESSION_VIEWER_LASTS: Duration = Duration::from_secs(30 * 86_400);

/// The shortest password. NIST SP 800-63B asks for 8 at least.
pub const PASSWORD_CHARS_MIN: usize = 10;

/// The longest password: beyond it nobody types, and hashing must not become a way to keep us busy.
pub const PASSWORD_BYTES_MAX: usize = 256;

/// Passwords that are tried at once: each takes a core for 20 to 100 ms, and 19 MiB.
pub const PASSWORDS_AT_ONCE: usize = 2;

/// Attempts at a password or a code from one address before it has to wait.
pub const ATTEMPTS_MAX: u32 = 10;

/// How long it has to wait for each one more: 2,880 a day, against passwords of ten characters.
pub const ATTEMPT_EVERY: Duration = Duration::from_secs(30);

/// Addresses whose attempts are counted. Where there are more, new ones have to wait.
pub const ATTEMPT_ADDRESSES_MAX: usize = 1024;

/// One file of the audit log, of which there are two: 20,000 changes.
pub const AUDIT_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Lines of the audit log in one answer.
pub const AUDIT_ENTRIES_MAX: usize = 1_000;

/// Lines of the audit log in an answer where nothing is said.
pub const AUDIT_DEFAULT: usize = 100;

/// Requests to cells that wait for whoever runs them: a second of two sources at their fastest.
pub const CELL_REQUESTS_MAX: usize = 64;

/// How long a cell may take to answer. A line takes what it is given between two frames.
pub const CELL_ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// Parameters in one request: more than any stage has.
pub const CELL_PARAMETERS_MAX: usize = 64;

/// How long the certificate that a gateway makes for itself is valid: 825 days, the longest that all
/// browsers take.
pub const OWN_CERTIFICATE_DAYS: i64 = 825;

/// With fewer days left than this it makes a new one when it starts.
pub const OWN_CERTIFICATE_DAYS_LEFT_MIN: i64 = 30;

const _: () = {
    let turn_bytes = TURN_BYTES_MAX + ENTRY_BYTES_MAX + 64 * 1024;
    assert!(
        TAIL_BYTES_MIN >= turn_bytes as u64,
        "one turn must fit into the tail"
    );
    assert!(
        LINE_HANGS_AFTER.as_millis() >= 3 * LINE_TURN_EVERY.as_millis(),
        "a turn may be late on a busy machine"
    );
    assert!(TAIL_SYNC_BYTES < TAIL_BYTES_MIN && TAIL_BYTES_MIN <= TAIL_BYTES_MAX);
    // Two files of the tail, a log that holds a whole job, a job's spare room, and as much again.
    assert!(SPOOL_BYTES_MIN >= 5 * TAIL_BYTES_MIN + STORE_LOG_BYTES);
    assert!(SPOOL_BYTES_DEFAULT >= SPOOL_BYTES_MIN && SPOOL_BYTES_MAX >= SPOOL_BYTES_DEFAULT);
    assert!(SYNC_EVERY_MIN.as_nanos() <= SYNC_EVERY_DEFAULT.as_nanos());
    assert!(SYNC_EVERY_DEFAULT.as_nanos() <= SYNC_EVERY_MAX.as_nanos());
    assert!(BLOCK_BYTES_MAX >= BATCH_BYTES_MAX);
    assert!(INTAKE_BATCH_ENTRIES_MAX <= INTAKE_ENTRIES_MAX);
    assert!(
        BROKER_PACKET_BYTES_MIN > 2 * TOPIC_BYTES_MAX,
        "a record must fit beside its topic"
    );
    assert!(
        TOPIC_BYTES_MAX < u16::MAX as usize,
        "MQTT counts a topic's bytes in 16 bits"
    );
    assert!(CONNECTIONS_OF_ADDRESS_MAX < CONNECTIONS_MAX);
    assert!(ATTEMPTS_MAX > 0 && ATTEMPT_EVERY.as_secs() > 0);
    assert!(BACKLOG_IN_FLIGHT_BYTES_MAX >= 2 * BATCH_BYTES_MAX);
    assert!(UNTAKEN_BACKLOG_BYTES_MAX >= BACKLOG_IN_FLIGHT_BYTES_MAX);
    assert!(BACKLOG_QUEUEING_MAX.as_millis() < TAKEN_TIMEOUT.as_millis());
    assert!(RECONNECT_PAUSE_MIN.as_millis() < RECONNECT_PAUSE_MAX.as_millis());
    assert!(ROBOT_WORD_HOLDS.as_millis() >= 2 * TICK_EVERY.as_millis());
    assert!(KEEP_ALIVE.as_secs() > 0 && KEEP_ALIVE.as_secs() <= u16::MAX as u64);
    // A broker that answers nothing is given up before a stop gives up waiting for systemd (90 s).
    assert!(ACKNOWLEDGE_TIMEOUT.as_secs() + SHUTDOWN_FLUSH.as_secs() < 90);
};
