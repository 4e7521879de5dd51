//! What the page and the API show of the gateway, and nothing that they could act with.
//!
//! One [`Status`] is one look at all machines at one instant. Its ages hold for that instant;
//! [`Status::at`] carries them on to the instant of sending, so that a status which nobody renewed
//! shows its age instead of looking fresh. Units stand at the end of each name.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::words::LineState;

/// The gateway, all of its machines and its uplink, at one instant.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Status {
    /// When the gateway looked, by its wall clock.
    #[schema(format = DateTime)]
    pub t: String,
    /// Seconds since the gateway began, by its monotonic clock, at the instant of sending: a
    /// client tells by it how long an event was under way, whatever the wall clocks say.
    #[schema(minimum = 0)]
    pub uptime_s: f64,
    /// The gateway's name in the plant.
    #[schema(example = "cell-3")]
    pub gateway: String,
    /// Whether what is shown comes from a simulator and not from a machine.
    pub simulated: bool,
    /// In the order of the configuration.
    pub machines: Vec<MachineStatus>,
    /// The cells that are watched, in the order of the configuration.
    pub cells: Vec<CellStatus>,
    /// The way out.
    pub uplink: UplinkStatus,
    /// When the ages below were right.
    #[serde(skip)]
    #[schema(ignore)]
    pub taken_at: Instant,
}

/// One machine's line and the newest of each of its records.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MachineStatus {
    /// The machine's name on this gateway.
    #[schema(example = "robot-1")]
    pub id: String,
    /// The adapter that reads it.
    #[schema(example = "kuka-krc2")]
    pub adapter: String,
    /// The adapter's title, for people.
    pub title: String,
    /// What its line is doing.
    pub line: LineStatus,
    /// Data older than this many seconds must not be shown as current.
    #[schema(exclusive_minimum = 0)]
    pub stale_after_s: f64,
    /// Seconds since the last byte of the newest frame; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub frame_age_s: Option<f64>,
    /// Frames since the line began, rejected ones included.
    pub frames: u64,
    /// Frames per second of late.
    #[schema(minimum = 0)]
    pub frames_per_s: f64,
    /// Frames that a stage refused, by `stage/reason`.
    pub rejected: BTreeMap<String, u64>,
    /// Bytes that belong to no frame, by cause.
    pub skipped_bytes: BTreeMap<String, u64>,
    /// Bytes that the driver marked, by kind of error.
    pub line_errors: BTreeMap<String, u64>,
    /// Records that found no room on their way to the spool.
    pub dropped_records: u64,
    /// The lowest and highest value that a field can have on this machine, by the field's name,
    /// for those fields where its adapter says so.
    pub ranges: BTreeMap<String, [f64; 2]>,
    /// The newest of each record by name, byte for byte as it leaves.
    #[schema(value_type = BTreeMap<String, Object>)]
    pub records: BTreeMap<String, RecordText>,
    /// Seconds since the last byte of the frame that each of [`Self::records`] comes from.
    pub record_ages_s: BTreeMap<String, f64>,
}

/// A line's state in a word and a sentence.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LineStatus {
    /// The word.
    #[schema(schema_with = line_state)]
    pub state: LineState,
    /// Since when, by the gateway's wall clock.
    #[schema(format = DateTime)]
    pub since: String,
    /// What a person should know or do; empty while all is well.
    pub detail: String,
}

/// A cell: how it stands, and what that comes from. Advisory: this is not a safety function.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CellStatus {
    /// Its name.
    #[schema(example = "cell-3")]
    pub id: String,
    /// The worst of its robots' states. `unknown` is never safe.
    pub state: CellState,
    /// Since when, by the gateway's wall clock.
    #[schema(format = DateTime)]
    pub since: String,
    /// Why, in a word that stays.
    #[schema(example = "margin")]
    pub cause: String,
    /// What a person should know or do; empty while all is well.
    pub detail: String,
    /// Whether the permit goes out.
    pub permit: PermitState,
    /// How often it goes out; absent where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0)]
    pub permit_every_s: Option<f64>,
    /// The machines that are its robots.
    pub machines: Vec<String>,
    /// The one whose state is the cell's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deciding_machine: Option<String>,
    /// The `fields` of its newest `separation`, byte for byte as they leave; absent before the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub separation: Option<RecordText>,
    /// Seconds since the last byte of the frame that it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub separation_age_s: Option<f64>,
    /// Below this margin, in metres, it is `warn`.
    #[schema(minimum = 0)]
    pub warn_margin_m: f64,
    /// Who and what is there, where it was seen: as in the snapshots, in metres.
    #[schema(value_type = Vec<Object>)]
    pub obstacles: RecordText,
    /// Seconds since the source saw them; absent before its first word, and for fixtures.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub obstacles_age_s: Option<f64>,
    /// Who says where people are.
    pub obstacles_source: ObstaclesSource,
    /// Actions that could not be done, bytes on ports included.
    pub actions_failed: u64,
    /// Snapshots of obstacles that were refused.
    pub snapshots_refused: u64,
}

/// How a cell stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CellState {
    /// Everybody is farther away than the protective distance and the warning margin.
    Clear,
    /// Somebody is within the warning margin.
    Warn,
    /// Somebody is nearer than the protective distance.
    Stop,
    /// Nobody can say. Never safe.
    Unknown,
}

/// What becomes of a cell's permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PermitState {
    /// It goes out at its pace.
    Sent,
    /// It doesn't, because the state doesn't permit it or the port takes no bytes.
    Withheld,
    /// The settings have none.
    None,
}

/// Who says where people are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ObstaclesSource {
    /// A source over the broker.
    Mqtt,
    /// A source over this API.
    Api,
    /// Nobody: there are fixtures alone.
    File,
    /// The demo.
    Simulated,
}

/// The way out, and what waits for it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UplinkStatus {
    /// The word.
    pub state: UplinkState,
    /// Where it leads, without user and password; empty when it is off.
    #[schema(example = "mqtts://broker.plant.example:8883")]
    pub url: String,
    /// What a person should know or do; empty while all is well.
    pub detail: String,
    /// Records that the far end has not taken yet.
    pub unreleased_records: u64,
    /// The age of the oldest of them in seconds; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub oldest_unreleased_age_s: Option<f64>,
}

/// What the uplink is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum UplinkState {
    /// There is a session with the broker.
    Connected,
    /// There is none, and the next attempt is under way or waits for its turn.
    Connecting,
    /// The broker is there and said no: only a change of settings helps.
    Refused,
    /// None is configured.
    Off,
}

/// A record's JSON object, passed on without being read: what the page shows is what leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordText(Arc<str>);

impl RecordText {
    /// Takes the JSON object as the spool keeps it.
    pub fn new(json: Arc<str>) -> Self {
        Self(json)
    }
}

impl Serialize for RecordText {
    /// # Errors
    /// When the text is not JSON.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::from_str::<&RawValue>(&self.0)
            .map_err(S::Error::custom)?
            .serialize(serializer)
    }
}

impl Status {
    /// The same look, seen from `now`: everything that has an age is older by the time since then.
    pub fn at(&self, now: Instant) -> Self {
        let passed_s = now.saturating_duration_since(self.taken_at).as_secs_f64();
        let mut later = self.clone();
        later.taken_at = now.max(self.taken_at);
        later.uptime_s += passed_s;
        for machine in &mut later.machines {
            machine.frame_age_s = machine.frame_age_s.map(|age| age + passed_s);
            for age in machine.record_ages_s.values_mut() {
                *age += passed_s;
            }
        }
        for cell in &mut later.cells {
            for age in [&mut cell.separation_age_s, &mut cell.obstacles_age_s] {
                *age = age.map(|age| age + passed_s);
            }
        }
        let oldest = &mut later.uplink.oldest_unreleased_age_s;
        *oldest = oldest.map(|age| age + passed_s);
        later
    }
}

/// The names that `words::LineState` is serialised by: the words know no OpenAPI.
fn line_state() -> utoipa::openapi::schema::Object {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .enum_values(Some(
            [
                LineState::Starting,
                LineState::Running,
                LineState::Silent,
                LineState::Disconnected,
                LineState::Failed,
            ]
            .map(|state| serde_json::json!(state)),
        ))
        .build()
}
