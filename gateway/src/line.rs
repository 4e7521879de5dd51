//! THE TOUR: one machine's line, from port to spool, top to bottom.
//!
//! ```text
//! port ─chunk─▶ framing ─frame─▶ pipeline ─record─▶ intake of the spool
//!   └─▶ capture                     ▲  │ └─▶ gauge (what others may see)
//!                                inputs └─separation─▶ judge ─state─▶ permit, stop bytes
//! ```
//!
//! [`Line`] is the way of a byte as plain functions: no clock, no socket, no file, no lock. The same
//! code serves a live port, a replay, a benchmark and a test, so a replay can give the same bytes.
//! [`run`] puts it onto a port, and [`supervise`] gives it a thread and starts it again when it fails.
//!
//! What holds:
//! - Between the last byte of a frame and its records nothing waits: no queue, no disk, no lock that
//!   others hold. Intake, capture and gauge take what they are given or count that they could not.
//! - A record leaves only if every stage accepted its frame.
//! - Line time never goes back, and stages see nothing else of time. What is due without a byte (frames
//!   that end with silence, ticks, silence itself) is done at its own instant, before what came later.
//!
//! What it doesn't do: decide what a margin means (that is the cell's), number records (the
//! spool's), or know MQTT and HTTP.

mod hands;
mod inputs;
mod judge;
mod live;
mod oracle;
mod recording;
pub mod shadow;

use std::sync::Arc;

use retrotap_adapters::framing::{Event, Framer, FramingError, LineErrors, Received, SkipCause};
use retrotap_host::{
    BindError, FRAME_TOO_LONG, ParamValue, Pipeline, REQUIRED_FIELD_ABSENT, RecordRef,
    SettingError, Strike, Value, Verdict,
};

use crate::cell::separation::{Cause, Rules};
use crate::gauge::Gauge;
use crate::modules::assemble::{Assembled, OBSTACLES};
use crate::spool::Fields;
use crate::words::{Chunk, ClockState, RawFrame, Record, Stamp};

pub use hands::{Hands, Writes};
pub use inputs::{Input, InputError, Parameter, Swap, adapter_of, params_of, table_used};
use judge::Judge;
pub use judge::{GATEWAY_MODULE, Judged, SEPARATION_STATE, manifest_json};
pub use live::{Asked, Live, Probation, Returned, Swapped, Values, run, supervise};
pub use oracle::Oracle;
pub use recording::Recording;

/// What a line gives away, in the order in which it came about.
#[derive(Debug)]
pub enum Output<'a> {
    /// What the robot's separation was judged to be; before the frame that brought it, because somebody
    /// may have to be stopped.
    Judged(Judged<'a>),
    /// A frame, accepted or not.
    Frame(FrameSeen<'a>),
    /// A record of a frame that all stages accepted.
    Record(RecordSeen<'a>),
}

/// Why an input was refused; nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A stage or its manifest refuses it.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// Rules for a robot whose pipeline says nothing of separation.
    #[error("no stage of this pipeline has a record `separation`: a cell can't watch this machine")]
    NoSeparation,
    /// Another version doesn't fit: all reasons.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Swap(Vec<BindError>),
    /// Another version was put in that isn't here.
    #[error("{module} with SHA-256 {sha256} is not here")]
    NoModule {
        /// The module.
        module: String,
        /// Its hash.
        sha256: String,
    },
}

impl ApplyError {
    fn is_of_another_pipeline(&self) -> bool {
        matches!(
            self,
            Self::NoSeparation | Self::Setting(SettingError::UnknownStage { .. })
        )
    }
}

/// A frame with its place on the line.
#[derive(Debug, Clone, Copy)]
pub struct FrameSeen<'a> {
    /// Its bytes as the framing gives them.
    pub bytes: &'a [u8],
    /// What the driver saw wrong with them.
    pub errors: LineErrors,
    /// Its last byte.
    pub at: Stamp,
    /// Its number on this line, from 1.
    pub number: u64,
    /// Which of the machine's ports it came from.
    pub port: u8,
}

/// A record that leaves: its name and module, made once for all of its kind.
#[derive(Debug, Clone)]
struct Published {
    name: Arc<str>,
    module: Arc<str>,
}

/// A record with the frame that it came from.
#[derive(Debug)]
pub struct RecordSeen<'a> {
    /// Names and values, still in the pipeline's memory.
    pub record: RecordRef<'a>,
    published: &'a Published,
    /// The frame's last byte.
    pub at: Stamp,
    /// The frame's number on this line.
    pub frame: u64,
}

/// One machine's way from bytes to records.
pub struct Line {
    framers: Vec<Framer>,
    pipeline: Pipeline,
    publish: Vec<Published>,
    /// Names of the records that leave, whichever version of a stage makes them.
    publish_names: Vec<String>,
    obstacles_stage: Option<String>,
    judge: Option<Judge>,
    stale_after_ns: u64,
    rejections: Vec<String>,
    gauge: Gauge,
    frames: u64,
    /// When the newest frame ended.
    newest: Stamp,
}

impl Line {
    /// The gauge of a line that is made of this; it may outlive the line.
    pub fn gauge_for(assembled: &Assembled) -> Gauge {
        Gauge::new(
            rejection_names(&assembled.pipeline),
            SkipCause::ALL
                .iter()
                .map(|cause| cause.name().to_owned())
                .collect(),
            LineErrors::NAMED
                .iter()
                .map(|(_, name)| (*name).to_owned())
                .collect(),
        )
    }

    /// A line before its first byte; frames are numbered on from those that the gauge has seen.
    ///
    /// # Errors
    ///
    /// The framing can't be built, which a checked adapter rules out.
    pub fn new(assembled: Assembled, gauge: Gauge) -> Result<Self, FramingError> {
        let framers = assembled
            .framings
            .iter()
            .map(Framer::new)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            framers,
            rejections: rejection_names(&assembled.pipeline),
            publish: published(&assembled.pipeline, &assembled.publish),
            publish_names: assembled.publish,
            pipeline: assembled.pipeline,
            obstacles_stage: assembled.obstacles_stage,
            judge: None,
            stale_after_ns: assembled.stale_after_ns,
            frames: gauge.frames(),
            newest: Stamp::default(),
            gauge,
        })
    }

    /// What others may see of this line.
    pub fn gauge(&self) -> Gauge {
        self.gauge.clone()
    }

    /// The stage that was put aside for misbehaving, if one was: nothing leaves the line then.
    pub fn set_aside(&self) -> Option<&str> {
        self.pipeline.set_aside()
    }

    /// How a stage misbehaved last, if it did since it was put in.
    pub fn last_strike(&self, stage: &str) -> Option<Strike> {
        self.pipeline.last_strike(stage)
    }

    /// How old the last frame may be before the line counts as silent, in nanoseconds.
    pub fn stale_after_ns(&self) -> u64 {
        self.stale_after_ns
    }

    /// Takes what one read of a port returned.
    pub fn receive(&mut self, chunk: &Chunk, sink: &mut impl FnMut(Output<'_>)) {
        self.idle(chunk.at, sink);
        let (framers, mut way) = self.way();
        let Some(framer) = framers.get_mut(usize::from(chunk.port)) else {
            return;
        };
        let mut marks = chunk.marks.iter().peekable();
        way.port = chunk.port;
        for (index, &byte) in chunk.bytes.iter().enumerate() {
            let errors = marks
                .next_if(|mark| mark.index == index)
                .map_or(LineErrors::NONE, |mark| mark.errors);
            if !errors.is_none() {
                way.count_errors(errors);
            }
            let received = Received {
                byte,
                errors,
                t_ns: chunk.at.line_ns,
            };
            framer.push(received, &mut |event| way.event(&event, chunk.at, sink));
        }
    }

    /// The framings, and the way of their frames.
    fn way(&mut self) -> (&mut [Framer], Way<'_>) {
        let way = Way {
            pipeline: &mut self.pipeline,
            judge: &mut self.judge,
            publish: &self.publish,
            rejections: &self.rejections,
            gauge: &self.gauge,
            frames: &mut self.frames,
            newest: &mut self.newest,
            port: 0,
        };
        (&mut self.framers, way)
    }

    /// Nothing came on any port until `at`: frames that end with silence end, and ticks and silence are
    /// told of, each at the instant at which it is due.
    pub fn idle(&mut self, at: Stamp, sink: &mut impl FnMut(Output<'_>)) {
        let mut ended_ns = None;
        loop {
            let frame_ns = self
                .framing_idle_at_ns()
                .filter(|due_ns| *due_ns <= at.line_ns);
            let judge_ns = self.judge_due_ns().filter(|due_ns| *due_ns <= at.line_ns);
            match (frame_ns, judge_ns) {
                // Nearly always there is nothing due, and this is asked for every chunk.
                (None, None) => return,
                (Some(due_ns), judge_ns)
                    if judge_ns.is_none_or(|judge_ns| due_ns <= judge_ns)
                        && ended_ns != Some(due_ns) =>
                {
                    ended_ns = Some(due_ns);
                    self.end_frames(at.back_to(due_ns), sink);
                }
                (_, Some(due_ns)) => {
                    let (_, mut way) = self.way();
                    way.due(at.back_to(due_ns), sink);
                }
                (Some(_), None) => return,
            }
        }
    }

    fn end_frames(&mut self, at: Stamp, sink: &mut impl FnMut(Output<'_>)) {
        let (framers, mut way) = self.way();
        for (port, framer) in (0..).zip(framers) {
            way.port = port;
            framer.idle(at.line_ns, &mut |event| way.event(&event, at, sink));
        }
    }

    /// Takes a frame that a line found before, as a lake keeps it: the way of a frame without the
    /// framing. Inputs are applied between frames as they were then.
    pub fn process(&mut self, frame: FrameSeen<'_>, sink: &mut impl FnMut(Output<'_>)) {
        self.idle(frame.at, sink);
        let (_, mut way) = self.way();
        *way.frames = frame.number;
        way.port = frame.port;
        way.frame(frame, sink);
    }

    /// The port went away: what was half a frame is none.
    pub fn disconnected(&mut self, at: Stamp, sink: &mut impl FnMut(Output<'_>)) {
        self.idle(at, sink);
        let (framers, mut way) = self.way();
        for (port, framer) in (0..).zip(framers) {
            way.port = port;
            framer.reset(SkipCause::Disconnected, &mut |event| {
                way.event(&event, at, sink);
            });
        }
        way.lose(Cause::Disconnected, at, sink);
    }

    /// When [`Line::idle`] should be called next, in line time; `None`: not before the next byte.
    pub fn idle_at_ns(&self) -> Option<u64> {
        let judge_ns = self.judge_due_ns();
        self.framing_idle_at_ns().into_iter().chain(judge_ns).min()
    }

    /// When the robot is to be judged next if nothing comes before.
    pub fn judge_due_ns(&self) -> Option<u64> {
        self.judge.as_ref().and_then(Judge::due_ns)
    }

    /// Whether a cell watches this robot.
    pub fn is_judged(&self) -> bool {
        self.judge.is_some()
    }

    /// The rules by which the robot is judged, if it is.
    pub fn rules(&self) -> Option<&Rules> {
        self.judge.as_ref().map(Judge::rules)
    }

    /// The stage that the robot's separation comes from, if it is judged.
    pub fn separation_stage(&self) -> Option<&str> {
        let module = self.judge.as_ref()?.module();
        Some(module.split_once('@').map_or(module, |(stage, _)| stage))
    }

    /// What a parameter of a stage is at present.
    pub fn parameter(&self, stage: &str, name: &str) -> Option<ParamValue> {
        self.pipeline.param(stage, name)
    }

    /// What the rules allow the gateway to take from a byte to what follows from it.
    pub fn gateway_latency_ns(&self) -> Option<u64> {
        self.judge.as_ref().map(Judge::gateway_latency_ns)
    }

    /// A recording is over: frames that silence would have ended end. The judge is not asked any more.
    pub fn finish(&mut self, last: Stamp, sink: &mut impl FnMut(Output<'_>)) {
        if let Some(due_ns) = self.framing_idle_at_ns() {
            let after_ns = due_ns.saturating_sub(last.line_ns);
            let at = Stamp {
                line_ns: due_ns,
                wall_ns: last.wall_ns.saturating_add_unsigned(after_ns),
            };
            self.end_frames(at, sink);
        }
    }

    fn framing_idle_at_ns(&self) -> Option<u64> {
        self.framers.iter().filter_map(Framer::idle_at_ns).min()
    }

    /// The same for what was recorded, maybe with another pipeline: what is for a stage that this one
    /// doesn't have is left out, and said.
    ///
    /// # Errors
    ///
    /// As [`Line::apply`].
    pub fn apply_recorded(
        &mut self,
        input: &Input,
        at: Stamp,
        sink: &mut impl FnMut(Output<'_>),
    ) -> Result<(), ApplyError> {
        match self.apply(input, at, sink) {
            Err(error) if error.is_of_another_pipeline() => {
                tracing::warn!(%error, "recorded with another pipeline: left out");
                Ok(())
            }
            other => other,
        }
    }

    /// Changes what the frames after `at` are computed with, and judges anew with it.
    ///
    /// # Errors
    ///
    /// The stage or its manifest refuses it; nothing has changed then.
    pub fn apply(
        &mut self,
        input: &Input,
        at: Stamp,
        sink: &mut impl FnMut(Output<'_>),
    ) -> Result<(), ApplyError> {
        // What ended before the change is computed with what held before it, in a replay as well.
        self.idle(at, sink);
        match input {
            Input::Obstacles(room) => {
                if let Some(stage) = &self.obstacles_stage {
                    self.pipeline.set_table(stage, OBSTACLES, &room.table())?;
                }
                if let (Some(judge), Some(seen)) = (&mut self.judge, room.sighting()) {
                    judge.source_heard(seen.holds_until_ns());
                }
            }
            Input::Parameter(Parameter { stage, name, value }) => {
                self.pipeline.set_param(stage, name, value)?;
            }
            Input::Module(swap) => self.swap(swap)?,
            Input::Rules(rules) => match &mut self.judge {
                Some(judge) => judge.rule(rules.clone()),
                None => {
                    let judge = Judge::new(rules.clone(), &self.pipeline, self.stale_after_ns);
                    self.judge = Some(judge.ok_or(ApplyError::NoSeparation)?);
                }
            },
            Input::Late(_) => {
                let (_, mut way) = self.way();
                way.lose(Cause::Latency, at, sink);
                return Ok(());
            }
            Input::Tick => return Ok(()),
        }
        let (_, mut way) = self.way();
        way.evaluate(at, sink);
        Ok(())
    }

    fn swap(&mut self, swap: &Swap) -> Result<(), ApplyError> {
        let next = swap.ready().ok_or_else(|| ApplyError::NoModule {
            module: swap.module.clone(),
            sha256: swap.sha256.clone(),
        })?;
        if let Some(judge) = &self.judge
            && !judge.can_follow(&self.pipeline, next.manifest())
        {
            return Err(ApplyError::NoSeparation);
        }
        self.pipeline.swap(next).map_err(ApplyError::Swap)?;
        self.publish = published(&self.pipeline, &self.publish_names);
        if let Some(judge) = &mut self.judge {
            judge.follow(&self.pipeline);
        }
        Ok(())
    }
}

/// From an event of the framing to the sink; borrowed from the line for one call.
struct Way<'a> {
    pipeline: &'a mut Pipeline,
    judge: &'a mut Option<Judge>,
    publish: &'a [Published],
    rejections: &'a [String],
    gauge: &'a Gauge,
    frames: &'a mut u64,
    newest: &'a mut Stamp,
    port: u8,
}

impl Way<'_> {
    fn event(&mut self, event: &Event<'_>, at: Stamp, sink: &mut impl FnMut(Output<'_>)) {
        match event {
            Event::Skipped { bytes, cause } => self.skipped(*bytes, *cause),
            Event::Frame(frame) => {
                // A frame that ends with silence is older than the call that tells of it.
                let age_ns = at.line_ns.saturating_sub(frame.t_ns);
                let mut at = Stamp {
                    line_ns: frame.t_ns,
                    wall_ns: at.wall_ns.saturating_sub_unsigned(age_ns),
                };
                // Where the driver gave several at once, each has its own time all the same: that of its
                // records, here and when they are computed again from the frames.
                if at.line_ns == self.newest.line_ns {
                    at.wall_ns = at.wall_ns.max(self.newest.wall_ns.saturating_add(1));
                }
                *self.newest = at;
                *self.frames += 1;
                self.frame(
                    FrameSeen {
                        bytes: frame.bytes,
                        errors: frame.line_errors,
                        at,
                        number: *self.frames,
                        port: self.port,
                    },
                    sink,
                );
            }
        }
    }

    /// The heart of it: a frame through all stages, and its records out.
    fn frame(&mut self, frame: FrameSeen<'_>, sink: &mut impl FnMut(Output<'_>)) {
        self.gauge.frame(frame.at);
        let line_ns = i64::try_from(frame.at.line_ns).unwrap_or(i64::MAX);
        let outcome = self.pipeline.process(frame.bytes, line_ns);
        let judged = self
            .judge
            .as_mut()
            .and_then(|judge| judge.frame(&outcome, frame.at, frame.number));
        if let Some(judged) = judged {
            tell(self.gauge, judged, sink);
        }
        sink(Output::Frame(frame));
        let mut sent = 0;
        match outcome.verdict() {
            Verdict::Accepted => {
                for record in outcome.records() {
                    let kind = self.publish.iter().find(|kind| {
                        *kind.name == *record.name() && *kind.module == *record.module()
                    });
                    if let Some(published) = kind {
                        sent += 1;
                        let (at, frame) = (frame.at, frame.number);
                        sink(Output::Record(RecordSeen {
                            record,
                            published,
                            at,
                            frame,
                        }));
                    }
                }
            }
            Verdict::Rejected { stage, reason } => {
                count_rejection(self.gauge, self.rejections, stage, reason);
            }
            Verdict::Struck { stage, strike } => {
                count_rejection(self.gauge, self.rejections, stage, strike_name(strike));
            }
        }
        self.gauge.records(sent);
    }

    /// Something is due without a byte: an evaluation, or the word that nothing came for too long.
    fn due(&mut self, at: Stamp, sink: &mut impl FnMut(Output<'_>)) {
        let silent = |judge: &Judge| judge.is_silent_at(at.line_ns);
        if self.judge.as_ref().is_some_and(silent) {
            self.lose(Cause::Silent, at, sink);
        } else {
            self.evaluate(at, sink);
        }
    }

    /// Has the stages say anew how it stands, where frames came lately. What they emit is for the
    /// judge alone: it is no record of a frame.
    fn evaluate(&mut self, at: Stamp, sink: &mut impl FnMut(Output<'_>)) {
        if let Some(judge) = self.judge.as_mut().filter(|judge| judge.is_fresh()) {
            let line_ns = i64::try_from(at.line_ns).unwrap_or(i64::MAX);
            let outcome = self.pipeline.tick(line_ns);
            let judged = judge.evaluate(&outcome, at, *self.frames);
            tell(self.gauge, judged, sink);
        }
    }

    fn lose(&mut self, cause: Cause, at: Stamp, sink: &mut impl FnMut(Output<'_>)) {
        if let Some(judge) = self.judge.as_mut() {
            let judged = judge.lose(cause, at, *self.frames);
            tell(self.gauge, judged, sink);
        }
    }

    fn skipped(&self, bytes: usize, cause: SkipCause) {
        if let Some(index) = SkipCause::ALL.iter().position(|&known| known == cause) {
            self.gauge.skipped_bytes().add(index, bytes as u64);
        }
    }

    fn count_errors(&self, errors: LineErrors) {
        for (index, (kind, _)) in LineErrors::NAMED.iter().enumerate() {
            if errors.contains(*kind) {
                self.gauge.line_errors().add(index, 1);
            }
        }
    }
}

/// A judgement to the sink, where somebody acts on it, and then to the gauge.
fn tell(gauge: &Gauge, judged: Judged<'_>, sink: &mut impl FnMut(Output<'_>)) {
    let (state, cause, at) = (judged.state, judged.cause, judged.at);
    sink(Output::Judged(judged));
    gauge.judged(state, cause, at);
}

/// The records of the pipeline that the adapter lets leave.
fn published(pipeline: &Pipeline, names: &[String]) -> Vec<Published> {
    pipeline
        .schema()
        .filter(|kind| names.contains(&kind.record.record))
        .map(|kind| Published {
            name: Arc::from(kind.record.record.as_str()),
            module: Arc::from(kind.module),
        })
        .collect()
}

/// How stages misbehave, as it is counted.
const STRIKES: [&str; 5] = [
    "trap",
    "wrong_output",
    "unknown_reason",
    "unknown_row",
    "set_aside",
];

fn strike_name(strike: Strike) -> &'static str {
    match strike {
        Strike::Trap(_) => STRIKES[0],
        Strike::Output(_) => STRIKES[1],
        Strike::UnknownReason { .. } => STRIKES[2],
        Strike::UnknownRow { .. } => STRIKES[3],
        Strike::SetAside => STRIKES[4],
    }
}

/// Every way in which a frame can be refused, as `stage/reason`, known before the first one is.
fn rejection_names(pipeline: &Pipeline) -> Vec<String> {
    let of_host = [FRAME_TOO_LONG, REQUIRED_FIELD_ABSENT, OTHER_REASON];
    let mut names = Vec::new();
    for manifest in pipeline.manifests() {
        let own = manifest.reasons.iter().map(|reason| reason.name.as_str());
        names.extend(
            own.chain(of_host)
                .chain(STRIKES)
                .map(|why| format!("{}/{why}", manifest.stage)),
        );
    }
    names
}

/// A reason that only a later version of a stage has: counters are named when a line begins.
const OTHER_REASON: &str = "other_reason";

fn count_rejection(gauge: &Gauge, names: &[String], stage: &str, reason: &str) {
    let index = |reason: &str| {
        names.iter().position(|name| {
            name.strip_prefix(stage)
                .and_then(|rest| rest.strip_prefix('/'))
                == Some(reason)
        })
    };
    if let Some(index) = index(reason).or_else(|| index(OTHER_REASON)) {
        gauge.rejected().add(index, 1);
    }
}

impl<'a> FrameSeen<'a> {
    /// The frame that [`FrameSeen::to_raw`] was made of.
    pub fn from_raw(raw: &'a RawFrame) -> Self {
        let bits = LineErrors::NAMED
            .iter()
            .filter(|(_, name)| raw.errors.contains(name))
            .fold(0, |bits, (kind, _)| bits | kind.bits());
        Self {
            bytes: &raw.bytes,
            errors: LineErrors::from_bits(bits),
            at: raw.at,
            number: raw.number,
            port: raw.port,
        }
    }

    /// The frame as it goes to the spool.
    pub fn to_raw(self, clock: ClockState) -> RawFrame {
        RawFrame {
            at: self.at,
            clock,
            number: self.number,
            port: self.port,
            bytes: self.bytes.to_vec(),
            errors: LineErrors::NAMED
                .iter()
                .filter(|(kind, _)| self.errors.contains(*kind))
                .map(|(_, name)| *name)
                .collect(),
        }
    }
}

impl RecordSeen<'_> {
    /// The record as it goes to the spool, with its values written out.
    pub fn to_record(&self, clock: ClockState) -> Record {
        let mut fields = Fields::new();
        write_fields(&mut fields, &self.record);
        Record {
            name: Arc::clone(&self.published.name),
            module: Arc::clone(&self.published.module),
            at: self.at,
            clock,
            frame: self.frame,
            fields: fields.finish(),
        }
    }
}

fn write_fields(fields: &mut Fields, record: &RecordRef<'_>) {
    for (name, value) in record.fields() {
        match value {
            Value::F64(value) => fields.number(name, value),
            Value::I64(value) => fields.integer(name, value),
            Value::Bool(value) => fields.boolean(name, value),
            Value::Text(value) => fields.text(name, value),
        }
    }
}
