//! `reprocess`: frames and inputs that Kafka kept, through a pipeline again, into another measurement.
//!
//! ```text
//! retrotap.frames ─┐
//!                  ├─▶ by (epoch, seq), each once ─▶ line ─▶ InfluxDB <record><suffix>, or JSON lines
//! retrotap.inputs ─┘
//! ```
//!
//! What holds:
//! - The line is the gateway's own ([`retrotap::line`]), with the gateway's own modules, or those of a
//!   folder: the same modules give the same bytes of `fields`.
//! - What was sent twice is computed once, and in the order of its numbers, however it stands in Kafka.
//! - A line begins anew where it did on the gateway: at an input `start`, and where frame numbers or
//!   line time go back. Parameters and obstacles are those of that moment.
//!
//! What it doesn't do: commit an offset, or change what is in Kafka. A pipeline that remembers (a
//! cycle of frames, an average) has nothing to remember at the beginning of the range: `lead` is how
//! much before it is computed and thrown away.

mod collect;
mod order;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use retrotap::capture::{Input as Captured, InputKind, Start};
use retrotap::gauge::Gauge;
use retrotap::line::{
    FrameSeen, GATEWAY_MODULE, Input, Line, Output, Parameter, adapter_of, manifest_json, params_of,
};
use retrotap::modules::assemble::{Assembled, Params, assemble};
use retrotap::modules::catalog::Catalog;
use retrotap::spool::Numbering;
use retrotap::words::{ClockState, Identity, Stamp};
use tokio_util::sync::CancellationToken;

use crate::backoff::Backoff;
use crate::influx::{Failure, Influx};
use crate::kafka;
use crate::limits::{BATCH_BYTES, BATCH_POINTS};
use crate::sink::point;
use crate::sink::schemas::Schemas;
use collect::Kept;
use order::{Step, merge};

/// What to compute, and where it goes.
#[derive(Debug)]
pub struct Settings {
    /// Where frames and inputs are.
    pub kafka: kafka::Settings,
    /// Keys `<site>/<gateway>/<machine>`.
    pub machines: Vec<Machine>,
    /// What is known of the machines.
    pub adapter: String,
    /// Adapters of the user's own.
    pub adapters_dir: Option<PathBuf>,
    /// Stages of the user's own.
    pub stage_dir: Option<PathBuf>,
    /// From this Unix nanosecond.
    pub from_ns: i64,
    /// Up to this one, which is not in it.
    pub to_ns: i64,
    /// How much before it is computed and thrown away.
    pub lead: Duration,
    /// How much memory frames and inputs may take.
    pub memory_bytes_max: usize,
}

/// A machine by its three names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// The plant.
    pub site: String,
    /// The gateway.
    pub gateway: String,
    /// The machine.
    pub machine: String,
}

impl Machine {
    /// The key of its entries.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.site, self.gateway, self.machine)
    }
}

/// Where records go.
pub enum Target {
    /// JSON lines.
    Lines(Box<dyn Write + Send>),
    /// Points of a measurement of its own.
    Points {
        /// The database.
        influx: Box<Influx>,
        /// What is put behind the record's name.
        suffix: String,
    },
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Frames that were computed, those of the lead included.
    pub frames: u64,
    /// Records that went out.
    pub records: u64,
    /// Frames whose numbers are missing in between.
    pub missing: u64,
    /// Entries that can't be used, such as frames without line time.
    pub unusable: u64,
}

/// Computes all machines, one after another.
///
/// # Errors
///
/// Kafka, the modules or the database: each says why.
pub async fn run(
    settings: Settings,
    mut target: Target,
    shutdown: CancellationToken,
) -> anyhow::Result<Done> {
    let catalog = Catalog {
        adapters_dir: settings.adapters_dir.clone(),
        stages_dir: settings.stage_dir.clone(),
        cache_dir: None,
    };
    // What can't be put together is known before anything is read.
    let maker = Maker::new(catalog, &settings.adapter)?;
    let silence_ns = maker.assemble(&Params::new(), None)?.silence_ns();

    let settings = Arc::new(settings);
    let collected = {
        let (settings, shutdown) = (Arc::clone(&settings), shutdown.clone());
        tokio::task::spawn_blocking(move || collect::collect(&settings, &shutdown)).await??
    };
    let mut done = Done::default();
    for (machine, kept) in settings.machines.iter().zip(collected) {
        let computed = compute(
            &settings,
            machine,
            kept,
            silence_ns,
            &maker,
            &mut target,
            &shutdown,
        );
        let of = computed.await.with_context(|| machine.key())?;
        tracing::info!(machine = machine.key(), ?of, "computed");
        done.frames += of.frames;
        done.records += of.records;
        done.missing += of.missing;
        done.unusable += of.unusable;
    }
    if let Target::Lines(out) = &mut target {
        out.flush()?;
    }
    Ok(done)
}

/// Makes lines, the same each time.
struct Maker {
    catalog: Catalog,
    adapter: retrotap::modules::catalog::LoadedAdapter,
    engine: retrotap_host::Engine,
}

impl Maker {
    fn new(catalog: Catalog, adapter: &str) -> anyhow::Result<Self> {
        Ok(Self {
            adapter: catalog.adapter(adapter)?,
            engine: catalog.engine()?,
            catalog,
        })
    }

    fn assemble(&self, params: &Params, start: Option<&Start>) -> anyhow::Result<Assembled> {
        let adapter = start.map(|start| adapter_of(&self.adapter, start));
        let adapter = adapter.as_ref().unwrap_or(&self.adapter);
        let params = params_of(adapter, params.clone());
        Ok(assemble(&self.engine, &self.catalog, adapter, &params)?)
    }
}

/// One machine's line as it was, begun anew where it was.
struct Again<'a> {
    maker: &'a Maker,
    line: Option<Line>,
    schemas: Schemas,
    /// What the next line begins with.
    start: Option<Start>,
    params: Params,
    early: Vec<(Input, Stamp)>,
    last: Option<(u64, u64)>,
    missing: u64,
}

impl Again<'_> {
    fn input(
        &mut self,
        kind: InputKind,
        at: Stamp,
        data: &str,
        sink: &mut impl FnMut(Output<'_>),
    ) -> anyhow::Result<()> {
        if kind == InputKind::Start {
            self.line = None;
            // One that another version wrote names no tables that could be put in.
            self.start = serde_json::from_str(data).ok();
            self.params.clear();
            self.early.clear();
            self.last = None;
            return Ok(());
        }
        let captured = Captured {
            line_ns: at.line_ns,
            kind,
            data: data.to_owned(),
        };
        let Some(input) = Input::from_captured(&captured)? else {
            // Frames are whole already, but the robot's separation isn't known any more.
            if let (InputKind::Reset, Some(line)) = (kind, &mut self.line) {
                line.disconnected(at, sink);
            }
            return Ok(());
        };
        match (&mut self.line, input) {
            (Some(line), input) => {
                if let Input::Parameter(Parameter { stage, name, value }) = &input {
                    let of = self.params.entry(stage.clone()).or_default();
                    of.insert(name.clone(), value.clone());
                }
                line.apply_recorded(&input, at, sink)?;
            }
            // What stands before the first frame is what the line began with.
            (None, Input::Parameter(Parameter { stage, name, value })) => {
                self.params.entry(stage).or_default().insert(name, value);
            }
            (None, input) => self.early.push((input, at)),
        }
        Ok(())
    }

    fn frame(
        &mut self,
        frame: FrameSeen<'_>,
        sink: &mut impl FnMut(Output<'_>),
    ) -> anyhow::Result<()> {
        let goes_back = self
            .last
            .is_some_and(|(number, line_ns)| frame.number <= number || frame.at.line_ns < line_ns);
        if goes_back {
            self.line = None;
        } else if let Some((number, _)) = self.last {
            self.missing += frame.number - number - 1;
        }
        self.last = Some((frame.number, frame.at.line_ns));
        let line = match &mut self.line {
            Some(line) => line,
            None => {
                let assembled = self.maker.assemble(&self.params, self.start.as_ref())?;
                for module in &assembled.modules {
                    let manifest =
                        retrotap_abi::Manifest::from_json(module.manifest_json.as_bytes())?;
                    self.schemas.put(&module.id, &manifest);
                }
                if let Some(json) = manifest_json(&assembled.pipeline) {
                    let manifest = retrotap_abi::Manifest::from_json(json.as_bytes())?;
                    self.schemas.put(GATEWAY_MODULE, &manifest);
                }
                let gauge: Gauge = Line::gauge_for(&assembled);
                let mut line = Line::new(assembled, gauge)?;
                for (input, at) in self.early.drain(..) {
                    line.apply_recorded(&input, at, sink)?;
                }
                self.line.insert(line)
            }
        };
        line.process(frame, sink);
        if let Some(stage) = line.set_aside() {
            bail!("stage {stage} misbehaved too often and was put aside: mend it and begin again");
        }
        Ok(())
    }
}

async fn compute(
    settings: &Settings,
    machine: &Machine,
    kept: Kept,
    silence_ns: u64,
    maker: &Maker,
    target: &mut Target,
    shutdown: &CancellationToken,
) -> anyhow::Result<Done> {
    let bar = progress_bar(kept.frames.len() as u64, "computing", &machine.key());
    let identity = Identity {
        site: machine.site.as_str().into(),
        gateway: machine.gateway.as_str().into(),
        machine: machine.machine.as_str().into(),
    };
    let mut again = Again {
        maker,
        line: None,
        schemas: Schemas::default(),
        start: None,
        params: Params::new(),
        early: Vec::new(),
        last: None,
        missing: 0,
    };
    let mut done = Done {
        unusable: kept.unusable,
        ..Done::default()
    };
    let mut numbering = Numbering::new(identity.clone(), 0);
    let mut numbered_epoch = None;
    let mut out = Out::default();
    // Inputs say nothing of the clock: it was held as it was at the frame before.
    let mut clock = ClockState::Unsynced;
    for step in merge(&kept.frames, &kept.inputs, silence_ns) {
        let mut records = Vec::new();
        if let Step::Frame(frame) = step {
            clock = frame.raw.clock;
        }
        let sink = &mut |output: Output<'_>| match output {
            Output::Record(record) => records.push(record.to_record(clock)),
            Output::Judged(judged) => records.extend(judged.to_record(clock)),
            Output::Frame(_) => {}
        };
        let (epoch, wall_ns) = match step {
            Step::Input(input) => {
                let at = Stamp {
                    line_ns: input.line_ns,
                    wall_ns: input.wall_ns,
                };
                again
                    .input(input.kind, at, &input.data, sink)
                    .with_context(|| format!("input {}/{}", input.epoch, input.seq))?;
                (input.epoch, input.wall_ns)
            }
            Step::Frame(frame) => {
                again
                    .frame(FrameSeen::from_raw(&frame.raw), sink)
                    .with_context(|| format!("frame {}/{}", frame.epoch, frame.seq))?;
                done.frames += 1;
                bar.inc(1);
                (frame.epoch, frame.raw.at.wall_ns)
            }
        };
        if wall_ns < settings.from_ns {
            continue;
        }
        if numbered_epoch != Some(epoch) {
            numbered_epoch = Some(epoch);
            numbering = Numbering::new(identity.clone(), epoch);
        }
        for record in &records {
            let json = numbering.record(record);
            done.records += 1;
            out.add(&json, &again.schemas, target)?;
        }
        if out.is_full() {
            out.write(target, shutdown).await?;
        }
        if shutdown.is_cancelled() {
            bail!("stopped; what is written so far is right, and may be written again");
        }
    }
    out.write(target, shutdown).await?;
    bar.finish_and_clear();
    done.missing = again.missing;
    Ok(done)
}

/// Points that wait for each other.
#[derive(Default)]
struct Out {
    lines: Vec<u8>,
    points: usize,
}

impl Out {
    fn add(&mut self, json: &str, schemas: &Schemas, target: &mut Target) -> anyhow::Result<()> {
        match target {
            Target::Lines(out) => writeln!(out, "{json}")?,
            Target::Points { suffix, .. } => {
                point::write(&mut self.lines, json.as_bytes(), schemas, suffix)
                    .with_context(|| json.to_owned())?;
                self.points += 1;
            }
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.points >= BATCH_POINTS || self.lines.len() >= BATCH_BYTES
    }

    async fn write(&mut self, target: &Target, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let Target::Points { influx, .. } = target else {
            return Ok(());
        };
        let mut backoff = Backoff::default();
        while self.points > 0 {
            match influx.write(&self.lines).await {
                Ok(()) => {
                    self.lines.clear();
                    self.points = 0;
                }
                Err(Failure::Later { why, after, .. }) => {
                    let pause = backoff.next();
                    tracing::warn!(?pause, "{why}");
                    backoff.pause_of(after.unwrap_or(pause), shutdown).await;
                    if shutdown.is_cancelled() {
                        bail!("stopped while the database was away: {why}");
                    }
                }
                // Somebody waits at the terminal: nothing is skipped or tried for ever.
                Err(failure) => bail!(failure),
            }
        }
        Ok(())
    }
}

/// Shown on a terminal only.
fn progress_bar(length: u64, what: &'static str, of: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let style = "{msg:32} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.set_message(format!("{what} {of}"));
    bar
}
