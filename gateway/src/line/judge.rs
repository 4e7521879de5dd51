//! From what the stages say of distances to the robot's state, between pipeline and sink.
//!
//! Evaluated are the frames that get as far as the module of `separation`, every change of obstacles or
//! parameters, and each 20 ms of line time after the last evaluation as long as the line is fresh. Whoever
//! wants a separation and doesn't get one says `unknown`.
//!
//! Keeps true: what is due is due at an instant of line time that depends on nothing but what came
//! before, so a replay judges at the same instants.

use std::sync::Arc;

use retrotap_host::{Manifest, Outcome, Pipeline, RecordRef, Strike, Value, Verdict};

use crate::cell::separation::{Cause, Rules, Separation, State, Word};
use crate::config::limits::{REJECTED_STREAK_MAX, TICK_EVERY};
use crate::words::{ClockState, Record, Stamp};

use super::write_fields;
use crate::spool::Fields;

/// The record of a stage that a state is made of, and that of the gateway that tells of it.
const SEPARATION: &str = "separation";
/// A transition's record.
pub const SEPARATION_STATE: &str = "separation_state";

/// The module that makes it.
pub const GATEWAY_MODULE: &str = concat!("retrotap@", env!("CARGO_PKG_VERSION"));

const TICK_NS: u64 = TICK_EVERY.as_nanos() as u64;

/// What was judged at one instant.
#[derive(Debug)]
pub struct Judged<'a> {
    /// The robot's state.
    pub state: State,
    /// Why.
    pub cause: Cause,
    /// The state before, if it was another one: then this is a transition.
    pub was: Option<State>,
    /// When.
    pub at: Stamp,
    /// The number of the line's newest frame.
    pub frame: u64,
    /// What it comes from, where it comes from one.
    pub separation: Option<RecordRef<'a>>,
}

impl Judged<'_> {
    /// The transition as it goes to the spool; `None` where there was none.
    pub fn to_record(&self, clock: ClockState) -> Option<Record> {
        let was = self.was?;
        let mut fields = Fields::new();
        fields.text("state", self.state.name());
        fields.text("was", was.name());
        fields.text("cause", self.cause.name());
        if let Some(separation) = &self.separation {
            write_fields(&mut fields, separation);
        }
        Some(Record {
            name: Arc::from(SEPARATION_STATE),
            module: Arc::from(GATEWAY_MODULE),
            at: self.at,
            clock,
            frame: self.frame,
            fields: fields.finish(),
        })
    }
}

/// The judge of one robot.
#[derive(Debug)]
pub(super) struct Judge {
    rules: Rules,
    separation: Separation,
    /// The module whose records bring a separation.
    module: String,
    stale_after_ns: u64,
    /// Until when the newest word of the cell's source holds; `None` before the first.
    source_holds_until_ns: Option<u64>,
    /// The last frame that the module took to its end; `None` where the line isn't fresh.
    fresh_ns: Option<u64>,
    /// The last evaluation.
    evaluated_ns: u64,
    /// Rejected frames since then.
    rejections: u32,
    /// Whether a separation ever came since the line began, or began anew.
    begun: bool,
}

impl Judge {
    /// `None` where no stage says anything of a separation.
    pub fn new(rules: Rules, pipeline: &Pipeline, stale_after_ns: u64) -> Option<Self> {
        let module = pipeline
            .schema()
            .find(|kind| kind.record.record == SEPARATION)?
            .module
            .to_owned();
        Some(Self {
            rules,
            separation: Separation::new(),
            module,
            stale_after_ns,
            source_holds_until_ns: None,
            fresh_ns: None,
            evaluated_ns: 0,
            rejections: 0,
            begun: false,
        })
    }

    /// Whether there would still be a separation with another version of a stage.
    pub fn can_follow(&self, pipeline: &Pipeline, next: &Manifest) -> bool {
        let others = pipeline
            .manifests()
            .filter(|known| known.stage != next.stage);
        let mut records = others.chain([next]).flat_map(|known| &known.records);
        records.any(|record| record.record == SEPARATION)
    }

    /// Takes the word of whichever module says it from now on.
    pub fn follow(&mut self, pipeline: &Pipeline) {
        let mut schema = pipeline.schema();
        if let Some(kind) = schema.find(|kind| kind.record.record == SEPARATION) {
            kind.module.clone_into(&mut self.module);
        }
    }

    /// Other rules from now on.
    pub fn rule(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Those that hold.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The module whose records bring a separation.
    pub fn module(&self) -> &str {
        &self.module
    }

    /// What the rules allow the gateway to take.
    pub fn gateway_latency_ns(&self) -> u64 {
        self.rules.gateway_latency_ns
    }

    /// The cell's source was heard; what it said holds until then.
    pub fn source_heard(&mut self, holds_until_ns: u64) {
        self.source_holds_until_ns = Some(holds_until_ns);
    }

    /// Whether frames came lately, so that it can be evaluated between them.
    pub fn is_fresh(&self) -> bool {
        self.fresh_ns.is_some()
    }

    /// When it is to be evaluated or told of silence next, if nothing comes before.
    pub fn due_ns(&self) -> Option<u64> {
        let silent_ns = self.silent_ns()?;
        let tick_ns = self.evaluated_ns.saturating_add(TICK_NS);
        let stale_ns = self
            .source_holds_until_ns
            .filter(|holds_ns| self.rules.watched && *holds_ns >= self.evaluated_ns)
            .map_or(u64::MAX, |holds_ns| holds_ns.saturating_add(1));
        Some(silent_ns.min(tick_ns).min(stale_ns))
    }

    /// Whether what is due at that time is silence, and not an evaluation.
    pub fn is_silent_at(&self, due_ns: u64) -> bool {
        self.silent_ns()
            .is_some_and(|silent_ns| silent_ns <= due_ns)
    }

    fn silent_ns(&self) -> Option<u64> {
        // A frame that is exactly as old as it may be isn't too old.
        Some(
            self.fresh_ns?
                .saturating_add(self.stale_after_ns)
                .saturating_add(1),
        )
    }

    /// A frame went through the pipeline. `None` where it says nothing of a separation.
    pub fn frame<'a>(
        &mut self,
        outcome: &Outcome<'a>,
        at: Stamp,
        frame: u64,
    ) -> Option<Judged<'a>> {
        match outcome.verdict() {
            Verdict::Accepted => {
                if !outcome
                    .records()
                    .any(|record| record.module() == self.module)
                {
                    return None;
                }
                self.fresh_ns = Some(at.line_ns);
                self.rejections = 0;
                self.begun |= self.separation_of(outcome).is_some();
            }
            Verdict::Rejected { .. } | Verdict::Struck { .. } => {
                self.rejections = self.rejections.saturating_add(1);
                let set_aside = matches!(
                    outcome.verdict(),
                    Verdict::Struck {
                        strike: Strike::SetAside,
                        ..
                    }
                );
                if self.rejections < REJECTED_STREAK_MAX && !set_aside {
                    return None;
                }
            }
        }
        Some(self.evaluate(outcome, at, frame))
    }

    /// Time passed, or something else changed, and the pipeline was asked again.
    pub fn evaluate<'a>(&mut self, outcome: &Outcome<'a>, at: Stamp, frame: u64) -> Judged<'a> {
        self.evaluated_ns = at.line_ns;
        let separation = self.separation_of(outcome);
        let word = self.word(outcome.verdict(), separation, at.line_ns);
        if word == Word::Nothing(Cause::ModuleSetAside) {
            self.fresh_ns = None;
        }
        let separation = separation.filter(|_| !matches!(word, Word::Nothing(_)));
        self.hear(word, separation, at, frame)
    }

    /// Something makes it unknown that is no evaluation.
    pub fn lose<'a>(&mut self, cause: Cause, at: Stamp, frame: u64) -> Judged<'a> {
        let cause = match cause {
            Cause::Silent if self.rejections > 0 => Cause::Rejected,
            other => other,
        };
        if cause != Cause::Latency {
            self.fresh_ns = None;
            self.begun = false;
        }
        self.hear(Word::Nothing(cause), None, at, frame)
    }

    fn hear<'a>(
        &mut self,
        word: Word,
        separation: Option<RecordRef<'a>>,
        at: Stamp,
        frame: u64,
    ) -> Judged<'a> {
        let was = self.separation.hear(word, &self.rules, at.line_ns);
        Judged {
            state: self.separation.state(),
            cause: self.separation.cause(),
            was,
            at,
            frame,
            separation,
        }
    }

    fn separation_of<'a>(&self, outcome: &Outcome<'a>) -> Option<RecordRef<'a>> {
        let is_it =
            |record: &RecordRef<'_>| record.name() == SEPARATION && record.module() == self.module;
        outcome.records().find(is_it)
    }

    /// What an evaluation says. The first reason against it is the one that is told.
    fn word(&self, verdict: Verdict<'_>, separation: Option<RecordRef<'_>>, at_ns: u64) -> Word {
        let source_is_heard = || {
            !self.rules.watched
                || self
                    .source_holds_until_ns
                    .is_some_and(|holds_until_ns| holds_until_ns >= at_ns)
        };
        let cause = match verdict {
            Verdict::Struck {
                strike: Strike::SetAside,
                ..
            } => Cause::ModuleSetAside,
            _ if self.rejections >= REJECTED_STREAK_MAX => Cause::Rejected,
            Verdict::Rejected { .. } | Verdict::Struck { .. } => Cause::Rejected,
            Verdict::Accepted if !source_is_heard() => Cause::StaleObstacle,
            Verdict::Accepted => match separation.map(said) {
                Some((_, Some(0))) => return Word::NoObstacles,
                Some((Some(margin_m), _)) => return Word::Margin(margin_m),
                Some((None, _)) => Cause::MissingParameter,
                None if !self.begun => Cause::Starting,
                None => Cause::MissingParameter,
            },
        };
        Word::Nothing(cause)
    }
}

/// The margin in metres and the number of obstacles, as far as they are there.
fn said(separation: RecordRef<'_>) -> (Option<f64>, Option<i64>) {
    let (mut margin_m, mut obstacles) = (None, None);
    for (name, value) in separation.fields() {
        match (name, value) {
            ("margin_m", Value::F64(value)) => margin_m = Some(value),
            ("obstacles", Value::I64(value)) => obstacles = Some(value),
            _ => {}
        }
    }
    (margin_m, obstacles)
}

/// The manifest of the gateway's own record, whose fields beyond the first three are those of the stage's
/// separation. `None` where no stage says anything of one.
pub fn manifest_json(pipeline: &Pipeline) -> Option<String> {
    let separation = pipeline
        .schema()
        .find(|kind| kind.record.record == SEPARATION)?
        .record;
    let text = |name: &str, description: &str| serde_json::json!({"name": name, "kind": "text", "description": description});
    let mut fields = vec![
        text("state", "clear, warn, stop or unknown."),
        text("was", "The state before."),
        text("cause", "Why."),
    ];
    for field in &separation.fields {
        let mut field = serde_json::to_value(field).ok()?;
        // Rows and choices leave as their names.
        if let Some(object) = field.as_object_mut() {
            if object.remove("table").is_some() | object.remove("choices").is_some() {
                object.insert("kind".to_owned(), "text".into());
            }
            object.insert("optional".to_owned(), true.into());
        }
        fields.push(field);
    }
    let (name, version) = GATEWAY_MODULE.split_once('@')?;
    let manifest = serde_json::json!({
        "stage": name,
        "version": version,
        "abi": 1,
        "title": "What the gateway makes of separations",
        "input": "frame",
        "records": [{
            "record": SEPARATION_STATE,
            "description": "A change of a robot's state, with the separation that it comes from.",
            "fields": fields,
        }],
        "sizes": {"frame_bytes_max": 1, "output_bytes_max": 512, "records_max": 1, "memory_bytes": 4096},
        "time_budget_us": 10_000,
    });
    let json = manifest.to_string();
    Manifest::from_json(json.as_bytes()).ok()?;
    Some(json)
}
