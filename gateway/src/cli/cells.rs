//! Cells while they run: how they stand, what their sources say, and what the page shows of them.
//!
//! The lines of a cell's robots judge and write; here is what needs no line: a source's snapshots on
//! their way to all robots of a cell, actions that are not bytes on a port, and alarms.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::robots;
use crate::cell::obstacles::{Room, Sighting, Snapshot, SnapshotError};
use crate::cell::permit::Permit;
use crate::cell::separation::{Cause, Rules, State};
use crate::cell::source::{Source, SourceError};
use crate::cell::standing::Standing;
use crate::config::cell::{Action, Cell, SourceWay};
use crate::gauge::Gauge;
use crate::line::{Asked, Hands, Input, Writes};
use crate::port::LineClock;
use crate::time::rfc3339;
use crate::uplink::{Hear, Heard};
use crate::web::status::{CellState, CellStatus, ObstaclesSource, PermitState, RecordText};
use crate::words::{Entry, Stamp};

/// All cells of a gateway, on the clock that its lines share.
#[derive(Debug)]
pub struct Cells {
    clock: LineClock,
    running: Vec<Running>,
    simulated: bool,
    /// Where inputs to a machine's line go; filled as lines begin.
    lines: Mutex<BTreeMap<Arc<str>, mpsc::Sender<Input>>>,
    /// The same for what is answered.
    asked: Mutex<BTreeMap<Arc<str>, mpsc::Sender<Asked>>>,
}

/// One cell.
#[derive(Debug)]
pub(super) struct Running {
    pub plan: Cell,
    pub standing: Arc<Standing>,
    /// By which its robots are judged at present; `None`: none of them is.
    pub rules: Mutex<Option<Rules>>,
    source: Mutex<Option<Source>>,
    newest: Mutex<Option<Arc<Sighting>>>,
    told: Mutex<Told>,
    actions_failed: AtomicU64,
    snapshots_refused: AtomicU64,
}

/// What the actions were told last.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub state: State,
    pub cause: Cause,
    pub since_wall_ns: i64,
    /// What went wrong with an action and has not been mended since.
    pub failed: BTreeMap<String, String>,
}

/// Why a snapshot did not reach a cell.
#[derive(Debug, thiserror::Error)]
pub enum HearError {
    /// There is none of that name.
    #[error("there is no cell `{0}`")]
    UnknownCell(String),
    /// The settings name another way.
    #[error("the settings don't let a source speak for cell `{0}` by this way")]
    AnotherWay(String),
    /// The snapshot is refused.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It doesn't go with what stands in the cell.
    #[error(transparent)]
    Room(#[from] SnapshotError),
    /// A line is not taking inputs at present.
    #[error("the line of `{0}` takes no obstacles at present")]
    Full(Arc<str>),
}

impl Cells {
    /// Cells of which nothing is known yet.
    pub fn new(plans: Vec<Cell>, clock: LineClock, simulated: bool) -> Self {
        let now = clock.now();
        let running = plans.into_iter().map(|plan| {
            let time_to_live_ns = |source: crate::config::cell::Source| {
                u64::try_from(source.time_to_live.as_nanos()).unwrap_or(u64::MAX)
            };
            let standing = Standing::new(Arc::clone(&plan.id), plan.robots.len());
            Running {
                standing: Arc::new(standing),
                rules: Mutex::new(robots::rules(&plan)),
                source: Mutex::new(plan.source.map(time_to_live_ns).map(Source::new)),
                newest: Mutex::new(None),
                told: Mutex::new(Told {
                    state: State::Unknown,
                    cause: Cause::Starting,
                    since_wall_ns: now.wall_ns,
                    failed: BTreeMap::new(),
                }),
                actions_failed: AtomicU64::new(0),
                snapshots_refused: AtomicU64::new(0),
                plan,
            }
        });
        Self {
            clock,
            running: running.collect(),
            simulated,
            lines: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    pub(super) fn clock(&self) -> LineClock {
        self.clock
    }

    pub(super) fn running(&self) -> &[Running] {
        &self.running
    }

    /// The cells whose sources speak over the broker.
    pub(super) fn hears(&self, to: mpsc::Sender<Heard>) -> Option<Hear> {
        let by_mqtt = self.running.iter().filter(|cell| {
            let source = cell.plan.source;
            source.is_some_and(|source| source.by == SourceWay::Mqtt)
        });
        let cells: Vec<_> = by_mqtt.map(|cell| Arc::clone(&cell.plan.id)).collect();
        (!cells.is_empty()).then_some(Hear { cells, to })
    }

    /// What the line of a machine knows of its cell when it begins.
    pub fn first(&self, machine: &str) -> Vec<Input> {
        let Some((cell, _)) = self.of(machine) else {
            return Vec::new();
        };
        let rules = robots::rules(&cell.plan).map(Input::Rules);
        let fixtures = cell.plan.fixtures.clone();
        let room = fixtures.map(|fixtures| Input::Obstacles(Room::from(fixtures)));
        rules.into_iter().chain(room).collect()
    }

    /// What the line of a machine does about cells: its own, and those that write onto its port.
    pub fn hands(&self, machine: &str) -> Hands {
        let robot = self
            .of(machine)
            .filter(|(cell, _)| cell.plan.separation.is_some())
            .map(|(cell, robot)| (Arc::clone(&cell.standing), robot));
        let writes = self.running.iter().filter_map(|cell| {
            let permit = cell.plan.permit.as_ref();
            let permit = permit.filter(|permit| &*permit.machine == machine);
            let permit = permit.map(|permit| Permit {
                bytes: permit.bytes.clone(),
                every_ns: u64::try_from(permit.every.as_nanos()).unwrap_or(u64::MAX),
            });
            let entering = cell
                .plan
                .actions
                .iter()
                .filter_map(|(state, action)| match action {
                    Action::SerialWrite { machine: to, bytes } if &**to == machine => {
                        Some((*state, bytes.clone()))
                    }
                    _ => None,
                });
            let on_entering: Vec<_> = entering.collect();
            (permit.is_some() || !on_entering.is_empty()).then(|| Writes {
                standing: Arc::clone(&cell.standing),
                permit,
                on_entering,
            })
        });
        Hands::new(robot, writes.collect())
    }

    /// A line takes inputs and is asked here from now on.
    pub fn line_begins(
        &self,
        machine: &Arc<str>,
        inputs: mpsc::Sender<Input>,
        asked: mpsc::Sender<Asked>,
    ) {
        lock(&self.lines).insert(Arc::clone(machine), inputs);
        lock(&self.asked).insert(Arc::clone(machine), asked);
    }

    /// A source said where people are, by a way; the JSON is that of [`crate::cell::source`].
    ///
    /// # Errors
    ///
    /// It is refused, and says why; what was known before gets older.
    pub fn hear(&self, cell: &str, way: SourceWay, payload: &[u8]) -> Result<(), HearError> {
        let running = self
            .running
            .iter()
            .find(|running| &*running.plan.id == cell);
        let running = running.ok_or_else(|| HearError::UnknownCell(cell.to_owned()))?;
        let heard = self.take(running, way, payload);
        if heard.is_err() {
            running.snapshots_refused.fetch_add(1, Relaxed);
        }
        heard
    }

    fn take(&self, running: &Running, way: SourceWay, payload: &[u8]) -> Result<(), HearError> {
        let mut source = lock(&running.source);
        let source = source
            .as_mut()
            .filter(|_| running.plan.source.is_some_and(|source| source.by == way))
            .ok_or_else(|| HearError::AnotherWay(running.plan.id.to_string()))?;
        let sighting = source.take(payload, self.clock.now())?;
        self.sight(running, sighting)
    }

    /// The demo's people: seen now, without a way that they came by.
    ///
    /// # Errors
    ///
    /// A line takes none at present.
    pub fn simulate(&self, cell: &str, people: Snapshot) -> Result<(), HearError> {
        let running = self
            .running
            .iter()
            .find(|running| &*running.plan.id == cell);
        let running = running.ok_or_else(|| HearError::UnknownCell(cell.to_owned()))?;
        let source = running.plan.source;
        let time_to_live = source.map(|source| source.time_to_live).unwrap_or_default();
        let sighting = Sighting {
            obstacles: people,
            seen_ns: self.clock.now().line_ns,
            time_to_live_ns: u64::try_from(time_to_live.as_nanos()).unwrap_or(u64::MAX),
        };
        self.sight(running, sighting)
    }

    fn sight(&self, running: &Running, sighting: Sighting) -> Result<(), HearError> {
        let fixtures = running.plan.fixtures.clone().unwrap_or_default();
        let room = Room::new(fixtures, Some(sighting.clone()))?;
        *lock(&running.newest) = Some(Arc::new(sighting));
        let lines = lock(&self.lines);
        let mut full = None;
        for robot in &running.plan.robots {
            if let Some(line) = lines.get(&robot.machine)
                && line.try_send(Input::Obstacles(room.clone())).is_err()
            {
                full.get_or_insert_with(|| Arc::clone(&robot.machine));
            }
        }
        full.map_or(Ok(()), |machine| Err(HearError::Full(machine)))
    }

    /// The way to ask a machine's line.
    pub(super) fn line(&self, machine: &str) -> Option<mpsc::Sender<Asked>> {
        lock(&self.asked).get(machine).cloned()
    }

    fn of(&self, machine: &str) -> Option<(&Running, usize)> {
        self.running.iter().find_map(|cell| {
            let mut robots = cell.plan.robots.iter();
            Some((cell, robots.position(|robot| &*robot.machine == machine)?))
        })
    }

    /// What the page shows. `gauges` are the lines' by machine, `latest` their newest records.
    pub(super) fn look(
        &self,
        gauges: &BTreeMap<Arc<str>, Gauge>,
        latest: &BTreeMap<Arc<str>, BTreeMap<Arc<str>, Entry>>,
    ) -> Vec<CellStatus> {
        let judged = self
            .running
            .iter()
            .filter(|cell| cell.plan.separation.is_some());
        judged
            .map(|cell| self.look_at(cell, gauges, latest))
            .collect()
    }

    fn look_at(
        &self,
        cell: &Running,
        gauges: &BTreeMap<Arc<str>, Gauge>,
        latest: &BTreeMap<Arc<str>, BTreeMap<Arc<str>, Entry>>,
    ) -> CellStatus {
        let now = self.clock.now();
        let age_s = |then_ns: u64| now.line_ns.saturating_sub(then_ns) as f64 / 1e9;
        let (state, cause, robot) = cell.now(now, gauges);
        let machine = cell.plan.robots.get(robot).map(|robot| &robot.machine);
        let separation = machine.and_then(|machine| latest.get(machine)?.get("separation"));
        let told = lock(&cell.told).clone();
        let newest = lock(&cell.newest).clone();
        let fixtures = cell.plan.fixtures.iter();
        let seen = newest.as_deref().map(|seen| &seen.obstacles);
        let obstacles: Vec<_> = fixtures.chain(seen).flat_map(Snapshot::obstacles).collect();
        let rules = lock(&cell.rules).clone();
        let warn_margin_m = rules.map_or(0.0, |rules| rules.warn_margin_m);
        CellStatus {
            id: cell.plan.id.to_string(),
            state: match state {
                State::Clear => CellState::Clear,
                State::Warn => CellState::Warn,
                State::Stop => CellState::Stop,
                State::Unknown => CellState::Unknown,
            },
            since: rfc3339(if told.state == state {
                told.since_wall_ns
            } else {
                now.wall_ns
            }),
            cause: cause.name().to_owned(),
            detail: sentence(state, cause).to_owned(),
            permit: cell.permit(state, now.line_ns),
            permit_every_s: cell
                .plan
                .permit
                .as_ref()
                .map(|permit| permit.every.as_secs_f64()),
            machines: cell
                .plan
                .robots
                .iter()
                .map(|robot| robot.machine.to_string())
                .collect(),
            deciding_machine: machine.map(ToString::to_string),
            separation: separation.and_then(|entry| fields_of(&entry.json)),
            separation_age_s: separation.map(|entry| age_s(entry.line_ns)),
            warn_margin_m,
            obstacles: RecordText::new(json!(obstacles).to_string().into()),
            obstacles_age_s: newest.as_deref().map(|seen| age_s(seen.seen_ns)),
            obstacles_source: match cell.plan.source {
                None => ObstaclesSource::File,
                Some(_) if self.simulated => ObstaclesSource::Simulated,
                Some(source) => match source.by {
                    SourceWay::Mqtt => ObstaclesSource::Mqtt,
                    SourceWay::Api => ObstaclesSource::Api,
                },
            },
            actions_failed: cell.actions_failed.load(Relaxed) + cell.standing.writes_failed().0,
            snapshots_refused: cell.snapshots_refused.load(Relaxed),
        }
    }

    /// The alarms of all cells: those that the settings ask for, and actions that fail.
    pub(super) fn alarms(&self) -> Vec<Value> {
        self.running.iter().flat_map(Running::alarms).collect()
    }
}

impl Running {
    /// How it stands, why, and the robot that decides.
    pub fn now(&self, now: Stamp, gauges: &BTreeMap<Arc<str>, Gauge>) -> (State, Cause, usize) {
        let (state, robot) = self.standing.at(now.line_ns);
        let machine = self.plan.robots.get(robot).map(|robot| &robot.machine);
        let separated = machine.and_then(|machine| gauges.get(machine)?.read().separated);
        let cause = match separated {
            None => Cause::Starting,
            Some(separated) if separated.state == state => separated.cause,
            // Its word was not renewed in time.
            Some(_) if state == State::Unknown => Cause::Latency,
            Some(separated) => separated.cause,
        };
        (state, cause, robot)
    }

    /// The state that actions know, changed by them alone.
    pub fn told(&self) -> MutexGuard<'_, Told> {
        lock(&self.told)
    }

    /// An action was done, or was not, and why.
    pub fn done(&self, action: &str, result: Result<(), String>) {
        let mut told = lock(&self.told);
        match result {
            Ok(()) => {
                told.failed.remove(action);
            }
            Err(why) => {
                self.actions_failed.fetch_add(1, Relaxed);
                tracing::error!(cell = %self.plan.id, action, why, "an action failed");
                told.failed.insert(action.to_owned(), why);
            }
        }
    }

    fn permit(&self, state: State, now_ns: u64) -> PermitState {
        let Some(permit) = &self.plan.permit else {
            return PermitState::None;
        };
        let lately_ns = 2 * u64::try_from(permit.every.as_nanos()).unwrap_or(u64::MAX / 2);
        let sent = self.standing.permit_sent_ns();
        let is_sent = sent.is_some_and(|at_ns| now_ns.saturating_sub(at_ns) <= lately_ns);
        if state.permits() && is_sent {
            PermitState::Sent
        } else {
            PermitState::Withheld
        }
    }

    fn alarms(&self) -> Vec<Value> {
        let told = lock(&self.told);
        let since = rfc3339(told.since_wall_ns);
        let wanted = self.plan.actions.iter();
        let wanted =
            wanted.filter(|(state, action)| *state == told.state && *action == Action::MqttAlarm);
        let mut alarms: Vec<Value> = wanted
            .take(1)
            .map(|_| {
                json!({
                    "alarm": format!("separation_{}", told.state.name()),
                    "cell": &*self.plan.id,
                    "since": since,
                    "cause": told.cause.name(),
                    "detail": sentence(told.state, told.cause),
                })
            })
            .collect();
        let failed = told
            .failed
            .iter()
            .map(|(action, why)| (action.as_str(), why.as_str()));
        let (_, unwritten) = self.standing.writes_failed();
        let unwritten = unwritten.then_some(("serial_write", "the port takes no bytes"));
        alarms.extend(failed.chain(unwritten).map(|(action, why)| {
            json!({"alarm": "action_failed", "cell": &*self.plan.id, "detail": format!("{action}: {why}")})
        }));
        alarms
    }
}

/// What a person should know: the cause where it says something, else the state.
pub(super) fn sentence(state: State, cause: Cause) -> &'static str {
    match (cause.sentence(), state) {
        ("", State::Clear) => "nobody is near",
        ("", State::Warn) => "somebody is within the warning margin",
        ("", State::Stop) => "somebody is nearer than the protective distance",
        (sentence, _) => sentence,
    }
}

/// The `fields` of a record's JSON, as they stand there.
fn fields_of(json: &str) -> Option<RecordText> {
    #[derive(serde::Deserialize)]
    struct WithFields<'a> {
        #[serde(borrow)]
        fields: &'a serde_json::value::RawValue,
    }
    let record: WithFields<'_> = serde_json::from_str(json).ok()?;
    Some(RecordText::new(record.fields.get().into()))
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
