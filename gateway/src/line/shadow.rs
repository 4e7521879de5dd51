//! A candidate beside what runs: the same frames and inputs through two lines, and what differs.
//!
//! The line itself only copies what comes in into a bounded channel ([`Tap`]). A thread of its own, with a
//! lower priority than any line, computes with both: one line with the modules as they run, one with the
//! candidate among them. Both begin at the same moment, so what differs is the modules' and not the
//! time at which they were put in. A candidate that loops or traps does so there.
//!
//! What it doesn't do: keep up at any price. A frame for which there is no room is counted, and both
//! lines miss it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use retrotap_host::Value;
use serde::Serialize;

use super::{FrameSeen, Input, Line, Output};
use crate::config::limits::{SHADOW_FIELDS_MAX, SHADOW_ITEMS_MAX, SHADOW_LOOK_EVERY};
use crate::words::{ClockState, RawFrame, Stamp};

/// The line's end: what it has seen goes to a shadow run.
#[derive(Debug)]
pub struct Tap {
    seen: SyncSender<Seen>,
    shared: Arc<Shared>,
}

/// The other end.
#[derive(Debug)]
pub struct Tapped {
    seen: Receiver<Seen>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    missed: AtomicU64,
    over: AtomicBool,
}

#[derive(Debug)]
enum Seen {
    Frame(RawFrame),
    Input(Input, Stamp),
}

/// A tap and where it leads.
pub fn tap() -> (Tap, Tapped) {
    let (sender, receiver) = sync_channel(SHADOW_ITEMS_MAX);
    let shared = Arc::new(Shared::default());
    let tap = Tap {
        seen: sender,
        shared: Arc::clone(&shared),
    };
    let tapped = Tapped {
        seen: receiver,
        shared,
    };
    (tap, tapped)
}

impl Tap {
    /// Hands a frame over.
    pub fn frame(&self, frame: &FrameSeen<'_>) {
        self.hand_over(Seen::Frame(frame.to_raw(ClockState::Capture)));
    }

    /// Hands an input over.
    pub fn input(&self, input: &Input, at: Stamp) {
        self.hand_over(Seen::Input(input.clone(), at));
    }

    /// Whether nobody looks any more.
    pub fn is_over(&self) -> bool {
        self.shared.over.load(Relaxed)
    }

    fn hand_over(&self, seen: Seen) {
        match self.seen.try_send(seen) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                self.shared.missed.fetch_add(1, Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => self.shared.over.store(true, Relaxed),
        }
    }
}

/// What a shadow run has found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    /// How long it has run.
    pub seconds: f64,
    /// Frames that both computed.
    pub frames: u64,
    /// Frames and inputs that there was no time for; both missed them.
    pub missed: u64,
    /// Inputs that one of the two refused.
    pub inputs_refused: u64,
    /// Frames for which the two differ in anything.
    pub frames_that_differ: u64,
    /// Frames of which one of the two made no record at all and the other did.
    pub verdicts_that_differ: u64,
    /// By record, how many the version that runs has made, and how many the candidate.
    pub records: BTreeMap<String, [u64; 2]>,
    /// What differs, by `record.field`.
    pub fields: BTreeMap<String, Difference>,
    /// Why the candidate's line would have stopped, if it would.
    pub set_aside: Option<String>,
    /// What a frame costs with the modules as they run.
    pub now: Timing,
    /// What it costs with the candidate.
    pub candidate: Timing,
}

/// How a field differs.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Difference {
    /// In how many records it was compared.
    pub compared: u64,
    /// In how many it differs.
    pub differs: u64,
    /// By how much at most, where it is a number.
    pub most: f64,
    /// The newest pair that differs: what runs says, and the candidate.
    pub example: [String; 2],
}

/// What a frame costs, all stages and the judgement together, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Timing {
    /// On average.
    pub mean_us: f64,
    /// At most.
    pub most_us: f64,
}

/// Runs both lines over what comes through the tap until `until` or until `is_wanted` says no; `tell` gets
/// the report as it grows. `now` and `candidate` are lines of the same machine that have seen nothing.
pub fn run(
    tapped: &Tapped,
    now: Line,
    candidate: Line,
    until: Instant,
    mut tell: impl FnMut(&Report) -> bool,
) -> Report {
    step_back();
    let began = Instant::now();
    let mut told = began;
    let mut lines = [Beside::new(now), Beside::new(candidate)];
    let mut report = Report::default();
    while Instant::now() < until {
        let wait = SHADOW_LOOK_EVERY.min(until.saturating_duration_since(Instant::now()));
        match tapped.seen.recv_timeout(wait) {
            Ok(Seen::Frame(raw)) => frame(&mut lines, &raw, &mut report),
            Ok(Seen::Input(input, at)) => {
                // A swap that the line makes meanwhile isn't the candidate's.
                let is_swap = matches!(input, Input::Module(_));
                let taken = |line: &mut Beside| !is_swap && line.input(&input, at);
                let [first, second] = &mut lines;
                if !(taken(first) & taken(second)) {
                    report.inputs_refused += 1;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if told.elapsed() >= SHADOW_LOOK_EVERY {
            told = Instant::now();
            finish(&mut report, &lines, tapped, began);
            if !tell(&report) {
                break;
            }
        }
    }
    tapped.shared.over.store(true, Relaxed);
    finish(&mut report, &lines, tapped, began);
    report
}

fn finish(report: &mut Report, lines: &[Beside; 2], tapped: &Tapped, began: Instant) {
    report.seconds = began.elapsed().as_secs_f64();
    report.missed = tapped.shared.missed.load(Relaxed);
    let [now, candidate] = lines;
    report.now = now.timing();
    report.candidate = candidate.timing();
    report.set_aside = candidate.line.set_aside().map(|stage| {
        let strike = candidate.line.last_strike(stage);
        let why = strike.map_or_else(String::new, |strike| format!(": {strike}"));
        format!("{stage} was put aside{why}")
    });
}

fn frame(lines: &mut [Beside; 2], raw: &RawFrame, report: &mut Report) {
    // Which goes first changes, so that neither always finds the caches warm.
    let first = usize::from(report.frames % 2 == 1);
    lines[first].frame(raw);
    lines[1 - first].frame(raw);
    let [now, candidate] = lines;
    report.frames += 1;
    report.verdicts_that_differ += u64::from(now.said.is_empty() != candidate.said.is_empty());
    if compare(&now.said, &candidate.said, report) {
        report.frames_that_differ += 1;
    }
}

/// Compares what two lines made of a frame, record by record. True: something differs.
fn compare(now: &[Said], candidate: &[Said], report: &mut Report) -> bool {
    let mut differs = now.len() != candidate.len();
    for (side, all) in [now, candidate].into_iter().enumerate() {
        for said in all {
            report.records.entry(said.record.clone()).or_default()[side] += 1;
        }
    }
    let mut rest: Vec<&Said> = candidate.iter().collect();
    for said in now {
        let Some(place) = rest.iter().position(|other| other.record == said.record) else {
            differs = true;
            continue;
        };
        differs |= compare_fields(said, rest.remove(place), report);
    }
    differs
}

fn compare_fields(now: &Said, candidate: &Said, report: &mut Report) -> bool {
    let mut differs = false;
    let names = now.fields.keys().chain(candidate.fields.keys());
    let names: std::collections::BTreeSet<&String> = names.collect();
    for name in names {
        let key = format!("{}.{name}", now.record);
        if report.fields.len() >= SHADOW_FIELDS_MAX && !report.fields.contains_key(&key) {
            continue;
        }
        let (one, other) = (now.fields.get(name), candidate.fields.get(name));
        let found = report.fields.entry(key).or_default();
        found.compared += 1;
        if one == other {
            continue;
        }
        differs = true;
        found.differs += 1;
        if let (Some(Owned::Number(one)), Some(Owned::Number(other))) = (one, other) {
            found.most = found.most.max((one - other).abs());
        }
        let shown = |value: Option<&Owned>| value.map_or_else(|| "absent".to_owned(), Owned::shown);
        found.example = [shown(one), shown(other)];
    }
    differs
}

/// One of the two lines, and what it made of the newest frame.
struct Beside {
    line: Line,
    said: Vec<Said>,
    frames: u64,
    total: Duration,
    most: Duration,
}

/// A record, taken out of the pipeline's memory.
#[derive(Debug)]
struct Said {
    record: String,
    fields: BTreeMap<String, Owned>,
}

#[derive(Debug, Clone, PartialEq)]
enum Owned {
    Number(f64),
    Other(String),
}

impl Owned {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::F64(value) => Self::Number(value),
            Value::I64(value) => Self::Number(value as f64),
            Value::Bool(value) => Self::Other(value.to_string()),
            Value::Text(value) => Self::Other(value.to_owned()),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Number(value) => value.to_string(),
            Self::Other(text) => text.clone(),
        }
    }
}

impl Beside {
    fn new(line: Line) -> Self {
        Self {
            line,
            said: Vec::new(),
            frames: 0,
            total: Duration::ZERO,
            most: Duration::ZERO,
        }
    }

    fn frame(&mut self, raw: &RawFrame) {
        self.said.clear();
        let said = &mut self.said;
        let began = Instant::now();
        self.line.process(FrameSeen::from_raw(raw), &mut |output| {
            said.extend(Said::of(output));
        });
        let took = began.elapsed();
        self.frames += 1;
        self.total += took;
        self.most = self.most.max(took);
    }

    fn input(&mut self, input: &Input, at: Stamp) -> bool {
        self.line.apply(input, at, &mut |_| {}).is_ok()
    }

    fn timing(&self) -> Timing {
        let us = |time: Duration| time.as_secs_f64() * 1e6;
        Timing {
            mean_us: us(self.total) / self.frames.max(1) as f64,
            most_us: us(self.most),
        }
    }
}

impl Said {
    fn of(output: Output<'_>) -> Option<Self> {
        match output {
            Output::Record(seen) => Some(Self {
                record: seen.record.name().to_owned(),
                fields: seen
                    .record
                    .fields()
                    .map(|(name, value)| (name.to_owned(), Owned::of(value)))
                    .collect(),
            }),
            Output::Judged(judged) => judged.was.map(|was| Self {
                record: super::SEPARATION_STATE.to_owned(),
                fields: [
                    ("state", judged.state.name()),
                    ("was", was.name()),
                    ("cause", judged.cause.name()),
                ]
                .into_iter()
                .map(|(name, word)| (name.to_owned(), Owned::Other(word.to_owned())))
                .collect(),
            }),
            Output::Frame(_) => None,
        }
    }
}

/// This thread is the last that anybody should wait for. Where the system doesn't let it, it runs on as
/// any other.
fn step_back() {
    let _ = rustix::process::setpriority_process(None, 10);
}
