//! A machine's stages, one after the other: a frame in, records or a verdict out.

use std::fmt;
use std::sync::Arc;

use retrotap_abi::manifest::{Manifest, Record};

use crate::bind::{BindCause, BindError, Source, StageSpec, bind};
use crate::engine::Engine;
use crate::guest::{Guest, Halt, Rejection, StageCounts, Strike};
use crate::limits::STAGES_MAX;
use crate::records::{RecordRef, Records};
use crate::settings::{Config, ParamValue, SettingError, Table};
use crate::suggest::suggestion;

/// The stages of one machine. It belongs to one thread at a time.
pub struct Pipeline {
    pub(crate) guests: Vec<Guest>,
    pub(crate) sources: Vec<Source>,
    pub(crate) records: Records,
    /// One record on its way from a stage to the next.
    pub(crate) input: Vec<u8>,
    pub(crate) t_ns: i64,
}

/// What became of a frame or a tick.
pub struct Outcome<'a> {
    pipeline: &'a Pipeline,
    verdict: Verdict<'a>,
}

/// Whether a frame's records leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// They do.
    Accepted,
    /// A stage rejected the frame; nothing leaves.
    Rejected {
        /// The stage.
        stage: &'a str,
        /// Its reason, a name in its manifest, or [`FRAME_TOO_LONG`], or [`REQUIRED_FIELD_ABSENT`].
        reason: &'a str,
    },
    /// A stage misbehaved; nothing leaves.
    Struck {
        /// The stage.
        stage: &'a str,
        /// How.
        strike: Strike,
    },
}

/// The reason of a frame that is longer than the stage's `frame_bytes_max`.
pub const FRAME_TOO_LONG: &str = "frame_too_long";

/// The reason of a record that lacks a field which it must have.
pub const REQUIRED_FIELD_ABSENT: &str = "required_field_absent";

/// A record that a pipeline may emit.
#[derive(Clone, Copy, Debug)]
pub struct RecordSchema<'a> {
    /// The module that emits it, as `name@1.0.0`.
    pub module: &'a str,
    /// Its name, and its fields with their kinds and units.
    pub record: &'a Record,
}

impl Pipeline {
    /// Binds stages to each other, fills in their parameters and tables, and starts them. Everything that
    /// is wrong at once; stages are only started where nothing else is.
    pub fn load(engine: &Engine, specs: Vec<StageSpec>) -> Result<Self, Vec<BindError>> {
        let mut problems = Problems(Vec::new());
        if specs.len() > STAGES_MAX {
            problems.push("pipeline", BindCause::TooManyStages);
            return Err(problems.0);
        }
        let mut bound: Vec<(StageSpec, Manifest, Option<Config>)> = Vec::new();
        let mut sources = Vec::new();
        for spec in specs {
            let name = spec.module.manifest().stage.clone();
            if bound.iter().any(|(_, manifest, _)| manifest.stage == name) {
                problems.push(&name, BindCause::Twice);
            }
            let Some(manifest) = problems.unless(&name, effective(&spec)) else {
                continue;
            };
            let earlier: Vec<&Manifest> = bound.iter().map(|(_, manifest, _)| manifest).collect();
            match bind(&manifest, &earlier) {
                Ok(source) => sources.push(source),
                Err(causes) => causes
                    .into_iter()
                    .for_each(|cause| problems.push(&name, cause)),
            }
            let config = match Config::new(&manifest, &spec.params, &spec.tables) {
                Ok(config) => Some(config),
                Err(errors) => {
                    errors
                        .into_iter()
                        .for_each(|error| problems.push(&name, error.into()));
                    None
                }
            };
            bound.push((spec, manifest, config));
        }
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        let mut guests = Vec::new();
        for (spec, manifest, config) in bound {
            let name = manifest.stage.clone();
            let Some(config) = config else { continue };
            let started = engine
                .prepare(&spec.module)
                .map_err(BindCause::from)
                .and_then(|code| {
                    Ok(Guest::start(
                        Arc::clone(&spec.module),
                        manifest,
                        code,
                        config,
                    )?)
                });
            guests.extend(problems.unless(&name, started));
        }
        if !problems.0.is_empty() {
            return Err(problems.0);
        }
        let records = Records::with_room_for(guests.iter().map(|guest| &guest.manifest));
        Ok(Self {
            guests,
            sources,
            records,
            input: Vec::new(),
            t_ns: 0,
        })
    }

    /// Takes a frame. `t_ns` is line time in nanoseconds, that of its last byte; time never runs
    /// backwards for a stage, an earlier one counts as the latest there was.
    pub fn process(&mut self, frame: &[u8], t_ns: i64) -> Outcome<'_> {
        let halted = self.run(Some(frame), t_ns);
        self.outcome(halted)
    }

    /// Lets the stages know that time has passed without a frame. What they emit goes on to the stages
    /// after them, as the records of a frame do.
    pub fn tick(&mut self, t_ns: i64) -> Outcome<'_> {
        let halted = self.run(None, t_ns);
        self.outcome(halted)
    }

    fn run(&mut self, frame: Option<&[u8]>, t_ns: i64) -> Result<(), (usize, Halt)> {
        self.t_ns = self.t_ns.max(t_ns);
        self.records.clear();
        // A stage that was put aside may be the one that rejects what is dangerous: without it nothing
        // leaves, also what it would not have been asked about.
        if let Some(stage) = self.guests.iter().position(Guest::is_set_aside) {
            return Err((stage, Strike::SetAside.into()));
        }
        for stage in 0..self.guests.len() {
            self.run_stage(stage, frame).map_err(|halt| (stage, halt))?;
        }
        Ok(())
    }

    fn run_stage(&mut self, stage: usize, frame: Option<&[u8]>) -> Result<(), Halt> {
        let guest = &mut self.guests[stage];
        match (&self.sources[stage], frame) {
            (Source::Frame, Some(frame)) => {
                if frame.len() > guest.manifest.sizes.frame_bytes_max {
                    guest.counts.rejected += 1;
                    return Err(Halt::Rejected(Rejection::FrameTooLong));
                }
                guest.process(stage, frame, self.t_ns, &mut self.records)?;
            }
            (Source::Frame, None) => {}
            (
                Source::Record {
                    stage: from,
                    number,
                    fields,
                },
                _,
            ) => {
                for index in 0..self.records.len() {
                    let entry = self.records.entry(index);
                    if (entry.stage, entry.number) != (*from, *number) {
                        continue;
                    }
                    if self.records.write_input(&entry, fields, &mut self.input) {
                        guest.process(stage, &self.input, self.t_ns, &mut self.records)?;
                    } else {
                        guest.counts.skipped += 1;
                    }
                }
            }
        }
        match frame {
            Some(_) => Ok(()),
            None => guest.tick(stage, self.t_ns, &mut self.records),
        }
    }

    pub(crate) fn outcome(&mut self, halted: Result<(), (usize, Halt)>) -> Outcome<'_> {
        if halted.is_err() {
            self.records.clear();
        }
        let pipeline = &*self;
        let verdict = match halted {
            Ok(()) => Verdict::Accepted,
            Err((stage, halt)) => {
                let manifest = &pipeline.guests[stage].manifest;
                let stage = manifest.stage.as_str();
                match halt {
                    Halt::Struck(strike) => Verdict::Struck { stage, strike },
                    Halt::Rejected(Rejection::Reason(place)) => Verdict::Rejected {
                        stage,
                        reason: &manifest.reasons[place].name,
                    },
                    Halt::Rejected(Rejection::FrameTooLong) => Verdict::Rejected {
                        stage,
                        reason: FRAME_TOO_LONG,
                    },
                    Halt::Rejected(Rejection::FieldAbsent) => Verdict::Rejected {
                        stage,
                        reason: REQUIRED_FIELD_ABSENT,
                    },
                }
            }
        };
        Outcome { pipeline, verdict }
    }

    /// What a parameter is at present; `None`: there is no such one.
    pub fn param(&self, stage: &str, name: &str) -> Option<ParamValue> {
        let of = |guest: &&Guest| guest.manifest.stage == stage;
        self.guests.iter().find(of)?.param(name)
    }

    /// Sets a parameter between two inputs. Whatever goes wrong, the value before holds.
    pub fn set_param(
        &mut self,
        stage: &str,
        name: &str,
        value: &ParamValue,
    ) -> Result<(), SettingError> {
        self.guest(stage)?
            .configure(|config, manifest| config.set_param(manifest, name, value))
    }

    /// Fills a live table between two inputs. Whatever goes wrong, the content before holds.
    pub fn set_table(
        &mut self,
        stage: &str,
        name: &str,
        table: &Table,
    ) -> Result<(), SettingError> {
        self.guest(stage)?.configure(|config, manifest| {
            if manifest
                .tables
                .iter()
                .any(|described| described.name == name && !described.live)
            {
                return Err(SettingError::FixedTable { name: name.into() });
            }
            config.set_table(manifest, name, table)
        })
    }

    fn guest(&mut self, stage: &str) -> Result<&mut Guest, SettingError> {
        match self
            .guests
            .iter()
            .position(|guest| guest.manifest.stage == stage)
        {
            Some(place) => Ok(&mut self.guests[place]),
            None => {
                let known = self
                    .guests
                    .iter()
                    .map(|guest| guest.manifest.stage.as_str());
                Err(SettingError::UnknownStage {
                    name: stage.into(),
                    suggestion: suggestion(stage, known),
                })
            }
        }
    }

    /// The records that it may emit, in the order of its stages.
    pub fn schema(&self) -> impl Iterator<Item = RecordSchema<'_>> {
        self.guests.iter().flat_map(|guest| {
            let records = guest.manifest.records.iter();
            records.map(|record| RecordSchema {
                module: guest.module.id(),
                record,
            })
        })
    }

    /// The manifests of its stages, with the adapter's fields where those are generic.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.guests.iter().map(|guest| &guest.manifest)
    }

    /// What its stages have done so far, by name.
    pub fn counts(&self) -> impl Iterator<Item = (&str, StageCounts)> {
        self.guests
            .iter()
            .map(|guest| (guest.manifest.stage.as_str(), guest.counts))
    }

    /// The stage that has been put aside after too many strikes, if one has. Nothing leaves the pipeline
    /// then; it has to be loaded again.
    pub fn set_aside(&self) -> Option<&str> {
        self.guests
            .iter()
            .find(|guest| guest.is_set_aside())
            .map(|guest| guest.manifest.stage.as_str())
    }

    /// How a stage misbehaved last, if it did since it was put in.
    pub fn last_strike(&self, stage: &str) -> Option<Strike> {
        self.guests
            .iter()
            .find(|guest| guest.manifest.stage == stage)?
            .last_strike()
    }

    /// The whole output area of a stage, as its last call left it: what two engines are compared by.
    pub fn output_area(&self, stage: &str) -> Option<&[u8]> {
        self.guests
            .iter()
            .find(|guest| guest.manifest.stage == stage)?
            .output_area()
    }
}

impl<'a> Outcome<'a> {
    /// The records that leave, in the order of emission; none unless the frame was accepted.
    pub fn records(&self) -> impl Iterator<Item = RecordRef<'a>> + use<'a> {
        self.pipeline.records.iter(&self.pipeline.guests)
    }

    /// Whether they leave, and if not, why.
    pub fn verdict(&self) -> Verdict<'a> {
        self.verdict
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.guests.iter().map(|guest| guest.module.id()))
            .finish()
    }
}

impl fmt::Debug for Outcome<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} ", self.verdict)?;
        formatter.debug_list().entries(self.records()).finish()
    }
}

/// A generic stage's manifest with the adapter's fields, any other's as it is.
pub(crate) fn effective(spec: &StageSpec) -> Result<Manifest, BindCause> {
    let manifest = spec.module.manifest();
    if spec.fields.is_none() && spec.record.is_none() && !manifest.is_generic() {
        return Ok(manifest.clone());
    }
    let fields = spec.fields.as_deref().unwrap_or_default();
    Ok(manifest.with_fields(fields, spec.record.as_deref())?)
}

/// What is wrong, gathered.
struct Problems(Vec<BindError>);

impl Problems {
    fn push(&mut self, stage: &str, cause: BindCause) {
        self.0.push(BindError {
            stage: stage.into(),
            cause,
        });
    }

    fn unless<T>(&mut self, stage: &str, result: Result<T, BindCause>) -> Option<T> {
        result.map_err(|cause| self.push(stage, cause)).ok()
    }
}
