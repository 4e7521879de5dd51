//! A whole gateway from its plan: lines, spool, uplink and page put together. `run` makes the plan
//! from a file, `demo` from nothing.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle as Thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use retrotap_host::Engine;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::page;
use super::service::Pulse;
use crate::capture::{Input as Captured, InputKind, ModuleUsed, PortLabel, Start, TableUsed};
use crate::cell::obstacles::Snapshot;
use crate::config;
use crate::config::cell::{Cell, SourceWay};
use crate::config::limits::{
    CELL_REQUESTS_MAX, HEARD_PENDING_MAX, INPUTS_PENDING_MAX, LINE_ASKED_MAX,
    MODULE_CHUNKS_PENDING_MAX, MODULE_REQUESTS_MAX,
};
use crate::gauge::Gauge;
use crate::line::{
    GATEWAY_MODULE, Input, Line, Live, Oracle, Parameter, Recording, manifest_json, supervise,
    table_used,
};
use crate::modules::assemble::{Assembled, Params, assemble};
use crate::modules::catalog::{Catalog, LoadedAdapter};
use crate::port::{LineClock, PortSpec};
use crate::spool::{self, Spool};
use crate::time::rfc3339;
use crate::uplink::{self, Board};
use crate::web::status::{
    LineStatus, MachineStatus, RecordText, Status, UplinkState, UplinkStatus,
};
use crate::web::{self, Journal};
use crate::words::LineState;

use super::actions::Actions;
use super::cells::{Cells, HearError};
use super::modules::{Modules, Parts};
use super::{module_chunks, module_folder, robots, scenes};

/// What is to run.
#[derive(Debug)]
pub struct Plan {
    /// The plant.
    pub site: Arc<str>,
    /// This gateway's name in it.
    pub gateway: Arc<str>,
    /// Whether the machines are simulated, which the page says.
    pub simulated: bool,
    /// At least one.
    pub machines: Vec<MachinePlan>,
    /// The spaces around those that are robots.
    pub cells: Vec<Cell>,
    /// The way out; records are kept until the spool is full where there is none.
    pub uplink: Option<uplink::Settings>,
    /// Where the page listens, if there is one.
    pub listen: Option<web::Listen>,
    /// The settings as the page shows them.
    pub shown_settings: serde_json::Value,
    /// Where what was taken is kept.
    pub spool: config::Spool,
    /// Where adapters and stages come from.
    pub catalog: Catalog,
    /// Modules that change while lines run.
    pub modules: config::Modules,
    /// A folder for a capture of each machine, if they are to be recorded.
    pub record_dir: Option<PathBuf>,
    /// A folder for what tests hold the far end against; none outside tests.
    pub oracle_dir: Option<PathBuf>,
}

/// One machine of a plan.
#[derive(Debug, Clone)]
pub struct MachinePlan {
    /// Its name on this gateway.
    pub id: Arc<str>,
    /// The name of its adapter.
    pub adapter: String,
    /// Its port, or the two of a tapped dialogue.
    pub ports: Vec<PortSpec>,
    /// Parameters that win over the adapter's.
    pub params: Params,
    /// Whether raw frames leave as well.
    pub send_frames: bool,
}

/// A gateway that runs.
pub struct Gateway {
    /// Where the page is, as a browser is told, if there is one.
    pub page: Option<String>,
    /// Its lines, for the watchdog.
    pub pulses: Vec<Pulse>,
    /// What the page shows.
    pub status: watch::Receiver<Arc<Status>>,
    /// Its modules, which change while it runs.
    pub modules: Arc<Modules>,
    cells: Arc<Cells>,
    lines: Vec<Thread<()>>,
    tasks: Vec<JoinHandle<()>>,
    spool: Spool,
    stop_lines: CancellationToken,
    stop_rest: CancellationToken,
}

/// What the page shows of one machine, and where it is read from.
struct Shown {
    id: Arc<str>,
    adapter: String,
    title: String,
    stale_after_s: f64,
    ranges: BTreeMap<String, [f64; 2]>,
    gauge: Gauge,
    clock: LineClock,
    rate: Rate,
}

/// Starts everything that the plan says.
///
/// # Errors
///
/// No machine can run, or the page's address or a capture's file can't be used. A machine whose adapter
/// or module can't be used is shown as failed while the others run; ports and brokers that are not
/// there are looked for.
pub async fn start(plan: Plan) -> anyhow::Result<Gateway> {
    let engine = plan.catalog.engine()?;
    let spool_settings = spool::Settings {
        site: Arc::clone(&plan.site),
        gateway: Arc::clone(&plan.gateway),
        path: plan.spool.path,
        max_bytes: plan.spool.max_bytes,
        max_age: plan.spool.max_age,
        sync_every: plan.spool.sync_every,
    };
    let (spool, reader) =
        tokio::task::spawn_blocking(move || Spool::open(&spool_settings)).await??;
    let page = match plan.listen {
        None => None,
        Some(listen) => Some(page::open(listen).await?),
    };
    let (stop_lines, stop_rest) = (CancellationToken::new(), CancellationToken::new());
    let board = Board::new();
    // One clock for all lines, so that they know how old each other's words are.
    let clock = LineClock::start();
    let cells = Arc::new(Cells::new(plan.cells.clone(), clock, plan.simulated));

    let parts = Parts {
        engine: engine.clone(),
        catalog: plan.catalog.clone(),
        trust: plan.modules.trust,
        cells: plan.cells.clone(),
        clock,
        board: board.clone(),
        access: page.as_ref().map(|(_, access)| Arc::clone(access)),
    };
    let mut modules = Modules::open(&plan.modules.path, parts)?;
    let mut on_probation = Vec::new();

    let (mut lines, mut pulses) = (Vec::new(), Vec::new());
    let mut scenes = scenes::of(&plan.cells);
    let mut tasks = Vec::new();
    let mut shown = Vec::new();
    let mut refused = Vec::new();
    for machine in plan.machines {
        let loaded = modules.beginning(&machine).and_then(|beginning| {
            let loaded = load(&engine, &beginning.catalog, &machine, &plan.cells)?;
            Ok((loaded, beginning))
        });
        let (loaded, mut modules_begin) = match loaded {
            Ok(loaded) => loaded,
            // One machine's module must not keep the others from running.
            Err(error) => {
                let why = format!("machine {} can't run: {error:#}", machine.id);
                tracing::error!("{why}");
                shown.push(Shown::failed(&machine, &why));
                refused.push(why);
                continue;
            }
        };
        let beginning = beginning(&machine, &loaded)?;
        scenes::put(&mut scenes, &plan.cells, &machine.id, &loaded.adapter);
        let Loaded {
            params,
            adapter,
            assembled,
            ..
        } = loaded;
        for module in &assembled.modules {
            board.put_schema(&machine.id, &module.id, &module.manifest_json);
        }
        if let Some(json) = manifest_json(&assembled.pipeline) {
            board.put_schema(&machine.id, GATEWAY_MODULE, &json);
        }
        let gauge = Line::gauge_for(&assembled);
        shown.push(Shown {
            id: Arc::clone(&machine.id),
            adapter: machine.adapter.clone(),
            title: adapter.adapter.title.clone(),
            stale_after_s: assembled.stale_after_ns as f64 / 1e9,
            ranges: assembled.ranges.clone(),
            gauge: gauge.clone(),
            clock,
            rate: Rate::default(),
        });
        let (sender, receiver) = mpsc::channel(INPUTS_PENDING_MAX);
        pulses.push(Pulse {
            machine: Arc::clone(&machine.id),
            gauge: gauge.clone(),
        });
        let (to_line, asked) = mpsc::channel(LINE_ASKED_MAX);
        cells.line_begins(&machine.id, sender, to_line.clone());
        let recording = match &plan.record_dir {
            None => None,
            Some(folder) => Some(record(folder, &machine, &beginning, clock)?),
        };
        let oracle = match &plan.oracle_dir {
            None => None,
            Some(folder) => Some(
                Oracle::begin(folder, &machine.id)
                    .with_context(|| format!("the oracle can't write into {}", folder.display()))?,
            ),
        };
        let catalog = modules_begin.catalog.clone();
        let probation = modules_begin.probation.take();
        let waits = modules.line_begins(machine.clone(), adapter.clone(), modules_begin, to_line);
        on_probation.extend(waits);
        let live = Live {
            machine: Arc::clone(&machine.id),
            ports: machine.ports,
            serial: assembled.serial,
            inputs: receiver,
            asked,
            probation,
            tap: None,
            intake: spool.intake(&machine.id),
            send_frames: machine.send_frames,
            beginning,
            first: cells.first(&machine.id),
            hands: cells.hands(&machine.id),
            recording,
            oracle,
            clock,
        };
        let make = maker(assembled, gauge.clone(), &engine, &catalog, adapter, params)?;
        lines.push(supervise(live, make, gauge, stop_lines.clone())?);
    }

    if lines.is_empty() {
        bail!("no machine can run:\n{}", refused.join("\n"));
    }

    let modules = Arc::new(modules);
    for waits in on_probation {
        modules.watch(waits);
    }
    if let Some(folder) = plan.modules.folder {
        let watch = module_folder::watch(Arc::clone(&modules), folder, stop_rest.clone());
        tasks.push(tokio::spawn(watch));
    }

    let gauges: BTreeMap<Arc<str>, Gauge> = shown
        .iter()
        .map(|shown| (Arc::clone(&shown.id), shown.gauge.clone()))
        .collect();
    let actions = Actions::new(Arc::clone(&cells), gauges.clone())?;
    tasks.push(tokio::spawn(actions.run(stop_rest.clone())));

    let uplink_status = watch::Sender::new(uplink::Status::off());
    let uplink_seen = uplink_status.subscribe();
    if let Some(mut settings) = plan.uplink {
        let (to, heard) = mpsc::channel(HEARD_PENDING_MAX);
        settings.hear = cells.hears(to);
        if plan.modules.mqtt {
            let (to, chunks) = mpsc::channel(MODULE_CHUNKS_PENDING_MAX);
            settings.modules = Some(to);
            let receive = module_chunks::receive(
                Arc::clone(&modules),
                chunks,
                board.clone(),
                stop_rest.clone(),
            );
            tasks.push(tokio::spawn(receive));
        }
        tasks.push(tokio::spawn(hear(
            Arc::clone(&cells),
            heard,
            stop_rest.clone(),
        )));
        let uplink = uplink::run(
            settings,
            reader,
            board.clone(),
            uplink_status,
            stop_rest.clone(),
        );
        tasks.push(tokio::spawn(uplink));
    }
    let mut look = Look {
        gateway: plan.gateway,
        simulated: plan.simulated,
        began: Instant::now(),
        shown,
        cells: Arc::clone(&cells),
        gauges,
        spool: spool.clone(),
        uplink: uplink_seen,
        board,
    };
    let (status, seen) = watch::channel(Arc::new(look.take()));
    let stop = stop_rest.clone();
    tasks.push(tokio::spawn(async move {
        let mut every = tokio::time::interval(LOOK_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                () = stop.cancelled() => return,
            }
            status.send_replace(Arc::new(look.take()));
        }
    }));
    let url = page.as_ref().map(|(door, _)| door.url());
    if let Some((door, access)) = page {
        let journal = Journal::default();
        let keep = page::keep(
            journal.clone(),
            seen.clone(),
            spool.clone(),
            stop_rest.clone(),
        );
        tasks.push(tokio::spawn(keep));
        let (asked, requests) = mpsc::channel(CELL_REQUESTS_MAX);
        let answer = page::answer_for(Arc::clone(&cells), requests, stop_rest.clone());
        tasks.push(tokio::spawn(answer));
        let (modules_asked, requests) = mpsc::channel(MODULE_REQUESTS_MAX);
        let answer = page::answer_modules(Arc::clone(&modules), requests, stop_rest.clone());
        tasks.push(tokio::spawn(answer));
        let handed = web::Handed {
            state: seen.clone(),
            history: Arc::new(spool.clone()),
            journal,
            settings: RecordText::new(plan.shown_settings.to_string().into()),
            scenes: Arc::new(scenes),
            cells: asked,
            modules: modules_asked,
            access,
        };
        let served = web::serve(door, handed, stop_rest.clone());
        tasks.push(tokio::spawn(served));
    }
    Ok(Gateway {
        page: url,
        pulses,
        status: seen,
        modules,
        cells,
        lines,
        tasks,
        spool,
        stop_lines,
        stop_rest,
    })
}

impl Gateway {
    /// Where a demo's people are, in a cell.
    ///
    /// # Errors
    ///
    /// There is no such cell, or its lines take none at present.
    pub fn simulate(&self, cell: &str, people: Snapshot) -> Result<(), HearError> {
        self.cells.simulate(cell, people)
    }

    /// Stops the lines, lets what they made go out, stores the rest, and stops.
    pub async fn stop(self) {
        self.stop_lines.cancel();
        let lines = tokio::task::spawn_blocking(move || {
            for line in self.lines {
                if line.join().is_err() {
                    tracing::error!("a line's thread ended by a panic");
                }
            }
        });
        if lines.await.is_err() {
            tracing::error!("the lines could not be waited for");
        }
        self.stop_rest.cancel();
        for task in self.tasks {
            // A task that was aborted or panicked has nothing left to stop.
            let _ = task.await;
        }
        let spool = self.spool;
        match tokio::task::spawn_blocking(move || spool.close()).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::error!("the spool: {why}"),
            Err(error) => tracing::error!(%error, "the spool could not be closed"),
        }
    }
}

/// A machine as its line begins: its parameters and its adapter's tables with those of its cell.
#[derive(Debug)]
pub struct Loaded {
    params: Params,
    adapter: LoadedAdapter,
    /// The tables of the cell alone.
    tables: Vec<TableUsed>,
    /// What the line is made of.
    pub assembled: Assembled,
}

/// Puts a machine together, without starting anything.
///
/// # Errors
///
/// Its adapter, a module or the stages' settings can't be used, or its cell asks for more than they
/// can do.
pub fn load(
    engine: &Engine,
    catalog: &Catalog,
    machine: &MachinePlan,
    cells: &[Cell],
) -> anyhow::Result<Loaded> {
    let mut params = machine.params.clone();
    let mut adapter = catalog.adapter(&machine.adapter)?;
    let mut tables = Vec::new();
    let robot = robots::of(cells, &machine.id);
    if let Some((cell, robot)) = robot {
        robots::params(&mut params, catalog, &adapter, cell, robot)?;
        for (stage, name, table) in
            robots::tables(&adapter, cell, robot).map_err(anyhow::Error::msg)?
        {
            tables.push(table_used(&stage, name, &table));
            adapter = adapter.with_table(&stage, name, table);
        }
    }
    let assembled = assemble(engine, catalog, &adapter, &params)?;
    let is_judged = robot.is_some_and(|(cell, _)| cell.separation.is_some());
    if is_judged && manifest_json(&assembled.pipeline).is_none() {
        bail!(
            "no stage of adapter {} computes a separation",
            machine.adapter
        );
    }
    Ok(Loaded {
        params,
        adapter,
        tables,
        assembled,
    })
}

/// Hands what the broker brings to the cells.
async fn hear(
    cells: Arc<Cells>,
    mut heard: mpsc::Receiver<uplink::Heard>,
    stop: CancellationToken,
) {
    loop {
        let heard = tokio::select! {
            heard = heard.recv() => heard,
            () = stop.cancelled() => return,
        };
        let Some(uplink::Heard { name, payload }) = heard else {
            return;
        };
        if let Err(error) = cells.hear(&name, SourceWay::Mqtt, &payload) {
            tracing::warn!(cell = &*name, %error, "a snapshot of obstacles is refused");
        }
    }
}

/// Builds the line: the first one is there already, later ones are made when it fails.
fn maker(
    assembled: Assembled,
    gauge: Gauge,
    engine: &Engine,
    catalog: &Catalog,
    adapter: LoadedAdapter,
    params: Params,
) -> anyhow::Result<impl FnMut() -> Result<Line, String> + Send + 'static> {
    let mut first = Some(Line::new(assembled, gauge.clone())?);
    let (engine, catalog) = (engine.clone(), catalog.clone());
    Ok(move || match first.take() {
        Some(line) => Ok(line),
        None => {
            let assembled = assemble(&engine, &catalog, &adapter, &params)
                .map_err(|error| error.to_string())?;
            Line::new(assembled, gauge.clone()).map_err(|error| error.to_string())
        }
    })
}

/// What a line begins with: its modules, and the tables and parameters of the settings.
fn beginning(machine: &MachinePlan, loaded: &Loaded) -> anyhow::Result<Vec<Captured>> {
    let start = Start {
        machine: machine.id.to_string(),
        adapter: Some(machine.adapter.clone()),
        modules: loaded
            .assembled
            .modules
            .iter()
            .map(|module| ModuleUsed {
                module: module.id.clone(),
                sha256: module.sha256.clone(),
            })
            .collect(),
        tables: loaded.tables.clone(),
    };
    let mut inputs = vec![Captured::new(0, InputKind::Start, &start)?];
    for (stage, params) in &loaded.params {
        for (name, value) in params {
            let (stage, name, value) = (stage.clone(), name.clone(), value.clone());
            let parameter = Input::Parameter(Parameter { stage, name, value });
            inputs.push(parameter.to_captured(0)?);
        }
    }
    Ok(inputs)
}

/// Begins a machine's capture with what its line begins with.
fn record(
    folder: &std::path::Path,
    machine: &MachinePlan,
    beginning: &[Captured],
    clock: LineClock,
) -> anyhow::Result<Recording> {
    std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    let path = folder.join(format!("{}.pcapng", machine.id));
    let labels: Vec<PortLabel> = machine
        .ports
        .iter()
        .map(|port| PortLabel {
            name: machine.id.to_string(),
            description: port.to_string(),
        })
        .collect();
    let recording = Recording::begin(&path, clock.origin_wall_ns(), &labels)
        .with_context(|| format!("can't begin {}", path.display()))?;
    for input in beginning {
        recording.input(input.clone());
    }
    Ok(recording)
}

/// How often the page's state is put together: thirty times a second.
const LOOK_EVERY: Duration = Duration::from_millis(33);

/// Puts together what the page shows, and what is retained of each line's state.
struct Look {
    gateway: Arc<str>,
    simulated: bool,
    began: Instant,
    shown: Vec<Shown>,
    cells: Arc<Cells>,
    gauges: BTreeMap<Arc<str>, Gauge>,
    spool: Spool,
    uplink: watch::Receiver<uplink::Status>,
    board: Board,
}

impl Look {
    fn take(&mut self) -> Status {
        let now = Instant::now();
        let latest = self.spool.latest();
        let latest = latest.borrow();
        let machines: Vec<MachineStatus> = self
            .shown
            .iter_mut()
            .map(|shown| shown.look(now, latest.get(&shown.id)))
            .collect();
        for machine in &machines {
            let LineStatus {
                state,
                since,
                detail,
            } = &machine.line;
            let json =
                serde_json::json!({"v": 1, "state": state, "since": since, "detail": detail});
            self.board.put_status(&machine.id, &json.to_string());
            let alarms = alarms(*state, since, detail);
            self.board
                .put_alarms(Some(&machine.id), &alarms.to_string());
        }
        let mut active = self.cells.alarms();
        active.extend(spool_alarm(&self.spool.health().borrow()));
        let mut alarms = serde_json::json!({"v": 1, "active": active});
        let since = active.iter().filter_map(|alarm| alarm["since"].as_str());
        if let Some(newest) = since.max() {
            alarms["t"] = newest.into();
        }
        self.board.put_alarms(None, &alarms.to_string());
        let backlog = self.spool.backlog();
        let uplink = self.uplink.borrow();
        let wall_ns = self
            .shown
            .first()
            .map_or(0, |shown| shown.clock.now().wall_ns);
        Status {
            t: rfc3339(wall_ns),
            uptime_s: self.began.elapsed().as_secs_f64(),
            gateway: self.gateway.to_string(),
            simulated: self.simulated,
            machines,
            cells: self.cells.look(&self.gauges, &latest),
            uplink: UplinkStatus {
                state: match uplink.state {
                    uplink::State::Off => UplinkState::Off,
                    uplink::State::Connecting => UplinkState::Connecting,
                    uplink::State::Connected => UplinkState::Connected,
                    uplink::State::Refused => UplinkState::Refused,
                },
                url: uplink.url.clone(),
                detail: uplink.detail.clone(),
                unreleased_records: backlog.records,
                oldest_unreleased_age_s: backlog
                    .oldest_unix_ns
                    .map(|at_ns| wall_ns.saturating_sub(at_ns).max(0) as f64 / 1e9),
            },
            taken_at: now,
        }
    }
}

/// The alarms of a machine: what somebody has to look after, since when, and what to do. A retained
/// message, so it changes only when they do.
fn alarms(state: LineState, since: &str, detail: &str) -> serde_json::Value {
    let active: Vec<_> = alarm_of(state)
        .map(|alarm| serde_json::json!({"alarm": alarm, "since": since, "detail": detail}))
        .into_iter()
        .collect();
    serde_json::json!({"v": 1, "t": since, "active": active})
}

/// The alarm that a line's state is, if it is one.
pub(super) fn alarm_of(state: LineState) -> Option<&'static str> {
    match state {
        LineState::Silent => Some("line_silent"),
        LineState::Disconnected => Some("line_disconnected"),
        LineState::Failed => Some("line_failed"),
        LineState::Starting | LineState::Running => None,
    }
}

/// The alarm of a disk that doesn't serve.
fn spool_alarm(health: &spool::Health) -> Option<serde_json::Value> {
    let (alarm, since_unix_ns, detail) = match health {
        spool::Health::Ok => return None,
        spool::Health::DiskFull {
            since_unix_ns,
            detail,
        } => ("spool_disk_full", since_unix_ns, detail),
        spool::Health::Failing {
            since_unix_ns,
            detail,
        } => ("spool_failing", since_unix_ns, detail),
    };
    let since = rfc3339(*since_unix_ns);
    Some(serde_json::json!({"alarm": alarm, "since": since, "detail": detail}))
}

impl Shown {
    /// A machine whose line never began.
    fn failed(machine: &MachinePlan, why: &str) -> Self {
        let clock = LineClock::start();
        let gauge = Gauge::new(Vec::new(), Vec::new(), Vec::new());
        gauge.set(LineState::Failed, why, clock.now().wall_ns);
        Self {
            id: Arc::clone(&machine.id),
            adapter: machine.adapter.clone(),
            title: machine.adapter.clone(),
            stale_after_s: 1.0,
            ranges: BTreeMap::new(),
            gauge,
            clock,
            rate: Rate::default(),
        }
    }

    fn look(
        &mut self,
        now: Instant,
        latest: Option<&BTreeMap<Arc<str>, crate::words::Entry>>,
    ) -> MachineStatus {
        let reading = self.gauge.read();
        let line_ns = self.clock.now().line_ns;
        let age_s = |then_ns: u64| line_ns.saturating_sub(then_ns) as f64 / 1e9;
        let entries = || latest.into_iter().flatten();
        MachineStatus {
            id: self.id.to_string(),
            adapter: self.adapter.clone(),
            title: self.title.clone(),
            line: LineStatus {
                state: reading.condition.state,
                since: rfc3339(reading.condition.since_wall_ns),
                detail: reading.condition.detail,
            },
            stale_after_s: self.stale_after_s,
            frame_age_s: reading.last_frame_line_ns.map(age_s),
            frames: reading.frames,
            frames_per_s: self.rate.per_s(now, reading.frames),
            rejected: reading.rejected,
            skipped_bytes: reading.skipped_bytes,
            line_errors: reading.line_errors,
            dropped_records: reading.dropped,
            ranges: self.ranges.clone(),
            records: entries()
                .map(|(name, entry)| (name.to_string(), RecordText::new(Arc::clone(&entry.json))))
                .collect(),
            record_ages_s: entries()
                .map(|(name, entry)| (name.to_string(), age_s(entry.line_ns)))
                .collect(),
        }
    }
}

/// Frames per second over the last two seconds.
#[derive(Debug, Default)]
struct Rate {
    looks: VecDeque<(Instant, u64)>,
}

impl Rate {
    fn per_s(&mut self, now: Instant, frames: u64) -> f64 {
        const OVER: Duration = Duration::from_secs(2);
        self.looks.push_back((now, frames));
        while self
            .looks
            .get(1)
            .is_some_and(|(at, _)| now.duration_since(*at) >= OVER)
        {
            self.looks.pop_front();
        }
        match self.looks.front() {
            Some((at, before)) if now > *at => {
                (frames - before) as f64 / now.duration_since(*at).as_secs_f64()
            }
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_needs_somebody_raises_one_alarm_and_a_running_one_none() {
        let of = |state| alarms(state, "2026-11-25T12:00:00.000000000Z", "the cable");
        for (state, name) in [
            (LineState::Silent, "line_silent"),
            (LineState::Disconnected, "line_disconnected"),
            (LineState::Failed, "line_failed"),
        ] {
            assert_eq!(of(state)["active"][0]["alarm"], name);
            assert_eq!(of(state)["active"][0]["detail"], "the cable");
        }
        for state in [LineState::Starting, LineState::Running] {
            assert_eq!(of(state)["active"].as_array().map(Vec::len), Some(0));
        }
    }

    #[test]
    fn the_rate_is_that_of_the_last_two_seconds() {
        let (mut rate, began) = (Rate::default(), Instant::now());
        let mut at_s =
            |second: u64, frames| rate.per_s(began + Duration::from_secs(second), frames);
        assert!(at_s(0, 0).abs() < 1e-9);
        assert!((at_s(1, 100) - 100.0).abs() < 1e-9);
        assert!((at_s(2, 100) - 50.0).abs() < 1e-9);
        assert!((at_s(3, 100) - 0.0).abs() < 1e-9);
    }
}
