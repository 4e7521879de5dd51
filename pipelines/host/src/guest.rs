//! One stage that runs: starting it, calling it, and what happens when it misbehaves.
//!
//! A call ends in records, in a rejection, or in a strike. After a strike the instance is thrown away and
//! a fresh one gets the same configuration; after too many the stage is put aside for good, and whoever
//! owns the pipeline brings back another version.

use std::collections::BTreeMap;
use std::sync::Arc;

use retrotap_abi::manifest::{Field, Manifest};
use retrotap_abi::output::{OutputError, RawValue, decode_output};

use crate::engine::{Code, EngineError, Instance, Question, Trap};
use crate::limits::{STRIKES_FORGIVEN_AFTER_CALLS, STRIKES_MAX};
use crate::module::Module;
use crate::records::Records;
use crate::settings::{Config, ParamValue, SettingError, Table};

/// How a stage misbehaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Strike {
    /// A call didn't end as it should.
    #[error("{0}")]
    Trap(#[from] Trap),
    /// What it put out isn't what its manifest says.
    #[error("its output is wrong: {0}")]
    Output(#[from] OutputError),
    /// It rejected an input for a reason that its manifest doesn't have.
    #[error("it answered {answer}, which is no reason in its manifest")]
    UnknownReason {
        /// What it answered.
        answer: i32,
    },
    /// A record points to a row that its table doesn't have.
    #[error("a record points to row {row}, which its table does not have")]
    UnknownRow {
        /// The row.
        row: u32,
    },
    /// It had too many strikes before, and isn't called any more.
    #[error("it was put aside after too many strikes")]
    SetAside,
}

/// Why a stage doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The engine can't make an instance of it.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// It says that it keeps another ABI.
    #[error("it keeps ABI {found}, but this is ABI {}", retrotap_abi::ABI)]
    Abi {
        /// Which.
        found: i32,
    },
    /// An area isn't within its memory.
    #[error(
        "`{export}` gives address {address}, but {bytes} bytes from there are not within the memory"
    )]
    AreaOutside {
        /// The export that gave the address.
        export: &'static str,
        /// The address.
        address: u32,
        /// Bytes of the area.
        bytes: usize,
    },
    /// An area isn't aligned.
    #[error("`{export}` gives address {address}, which is no multiple of 8")]
    NotAligned {
        /// The export that gave the address.
        export: &'static str,
        /// The address.
        address: u32,
    },
    /// It trapped.
    #[error("at its start, {0}")]
    Trap(#[from] Trap),
    /// It refused its configuration.
    #[error("it refuses its configuration: {reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
}

/// Why a call brought no records.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Halt {
    Rejected(Rejection),
    Struck(Strike),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Rejection {
    /// The manifest's reason at that place.
    Reason(usize),
    FrameTooLong,
    FieldAbsent,
}

impl From<Strike> for Halt {
    fn from(strike: Strike) -> Self {
        Self::Struck(strike)
    }
}

/// What a stage has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageCounts {
    /// Calls with an input.
    pub calls: u64,
    /// Records that it wasn't called with, since they lack a field that it needs.
    pub skipped: u64,
    /// Inputs that it rejected.
    pub rejected: u64,
    /// Times that it misbehaved.
    pub strikes: u64,
}

/// A stage with its module, its configuration, and an instance while it behaves.
pub(crate) struct Guest {
    pub(crate) module: Arc<Module>,
    /// The module's, or for a generic stage the one with the adapter's fields in it.
    pub(crate) manifest: Manifest,
    pub(crate) counts: StageCounts,
    code: Arc<dyn Code>,
    config: Config,
    /// Per record, the fields that it must not lack.
    required: Vec<u32>,
    /// None once it has been put aside.
    running: Option<Running>,
    strikes: u32,
    last_strike: Option<Strike>,
    calls_since_strike: u32,
}

/// An instance and its three areas.
struct Running {
    instance: Box<dyn Instance>,
    input: usize,
    config: usize,
    output: usize,
    /// Where the block that a swap carries over begins; `None` where the manifest names none.
    state: Option<usize>,
}

impl Guest {
    pub(crate) fn start(
        module: Arc<Module>,
        manifest: Manifest,
        code: Arc<dyn Code>,
        config: Config,
    ) -> Result<Self, StartError> {
        let instance = code.instantiate()?;
        Self::start_on(instance, module, manifest, code, config)
    }

    /// Starts it on an instance that was made before.
    pub(crate) fn start_on(
        instance: Box<dyn Instance>,
        module: Arc<Module>,
        manifest: Manifest,
        code: Arc<dyn Code>,
        config: Config,
    ) -> Result<Self, StartError> {
        let running = Running::start(instance, &manifest, &config)?;
        let mask = |fields: &[Field]| {
            let required = fields
                .iter()
                .enumerate()
                .filter(|(_, field)| !field.optional);
            required.fold(0, |mask, (place, _)| mask | 1 << place)
        };
        let required = manifest
            .records
            .iter()
            .map(|record| mask(&record.fields))
            .collect();
        let counts = StageCounts::default();
        let running = Some(running);
        Ok(Self {
            module,
            manifest,
            counts,
            code,
            config,
            required,
            running,
            strikes: 0,
            last_strike: None,
            calls_since_strike: 0,
        })
    }

    pub(crate) fn is_set_aside(&self) -> bool {
        self.running.is_none()
    }

    /// How it misbehaved last.
    pub(crate) fn last_strike(&self) -> Option<Strike> {
        self.last_strike
    }

    /// The parameters and tables that somebody gave it.
    /// What a parameter is at present.
    pub(crate) fn param(&self, name: &str) -> Option<ParamValue> {
        self.config.param(&self.manifest, name)
    }

    pub(crate) fn given(&self) -> (BTreeMap<String, ParamValue>, BTreeMap<String, Table>) {
        let manifest = &self.manifest;
        (self.config.params(manifest), self.config.tables(manifest))
    }

    /// Goes on where another version stopped, if both describe the same block. False: it begins anew.
    pub(crate) fn take_state(&mut self, before: &mut Self) -> bool {
        if self.manifest.state != before.manifest.state {
            return false;
        }
        let Some(state) = before.state() else {
            return false;
        };
        match &mut self.running {
            Some(Running {
                instance,
                state: Some(address),
                ..
            }) => instance.write(*address, state),
            _ => false,
        }
    }

    /// The block that a swap carries over. The stage is asked again, so that it may write it only now.
    fn state(&mut self) -> Option<&[u8]> {
        let running = self.running.as_mut()?;
        let (start, layout) = (running.state?, self.manifest.state.as_ref()?);
        running.instance.ask_state().ok()??;
        let memory = running.instance.memory().get(start..)?;
        memory.get(..layout.bytes)
    }

    /// The output area as the last call left it; nothing once the stage has been put aside.
    pub(crate) fn output_area(&self) -> Option<&[u8]> {
        let running = self.running.as_ref()?;
        running
            .instance
            .memory()
            .get(running.output..running.output + self.manifest.sizes.output_bytes_max)
    }

    /// The configuration as it stands in its memory.
    #[cfg(feature = "build")]
    pub(crate) fn config_bytes(&self) -> &[u8] {
        &self.config.bytes
    }

    pub(crate) fn row_name(&self, field: &Field, row: u32) -> Option<&str> {
        self.config
            .row_name(&self.manifest, field.table.as_deref(), row)
    }

    /// Calls it with an input and takes over its records.
    pub(crate) fn process(
        &mut self,
        stage: usize,
        input: &[u8],
        t_ns: i64,
        records: &mut Records,
    ) -> Result<(), Halt> {
        self.counts.calls += 1;
        let bytes = input.len();
        self.call(stage, records, |running| {
            if !running.instance.write(running.input, input) {
                // The area was checked at the start and the input against its size.
                return Err(Trap::MemoryOutOfBounds);
            }
            running.instance.process(bytes as i32, t_ns)
        })
    }

    /// Lets it know that time has passed.
    pub(crate) fn tick(
        &mut self,
        stage: usize,
        t_ns: i64,
        records: &mut Records,
    ) -> Result<(), Halt> {
        if self
            .running
            .as_ref()
            .is_some_and(|running| !running.instance.has_tick())
        {
            return Ok(());
        }
        self.call(stage, records, |running| running.instance.tick(t_ns))
    }

    fn call(
        &mut self,
        stage: usize,
        records: &mut Records,
        call: impl FnOnce(&mut Running) -> Result<i32, Trap>,
    ) -> Result<(), Halt> {
        let Some(running) = &mut self.running else {
            return Err(Strike::SetAside.into());
        };
        let answer = call(running);
        let done = answer
            .map_err(|trap| Strike::from(trap).into())
            .and_then(|answer| self.take(stage, answer, records));
        match done {
            Err(Halt::Struck(strike)) => self.strike(strike),
            Err(Halt::Rejected(_)) => self.counts.rejected += 1,
            Ok(()) => {}
        }
        self.calls_since_strike = self.calls_since_strike.saturating_add(1);
        done
    }

    /// Reads what a call has put out.
    fn take(&self, stage: usize, answer: i32, records: &mut Records) -> Result<(), Halt> {
        let Some(running) = &self.running else {
            return Err(Strike::SetAside.into());
        };
        if answer < 0 {
            let place = answer.unsigned_abs() as usize - 1;
            return Err(match place < self.manifest.reasons.len() {
                true => Halt::Rejected(Rejection::Reason(place)),
                false => Strike::UnknownReason { answer }.into(),
            });
        }
        let count = answer.unsigned_abs();
        for raw in decode_output(
            &self.manifest,
            running.instance.memory(),
            running.output,
            count,
        )
        .map_err(Strike::from)?
        {
            let raw = raw.map_err(Strike::from)?;
            for (place, field) in raw.record.fields.iter().enumerate() {
                if field.table.is_some()
                    && let Some(RawValue::Row(row)) = raw.value(place)
                    && self.row_name(field, row).is_none()
                {
                    return Err(Strike::UnknownRow { row }.into());
                }
            }
            let required = self.required[raw.number as usize];
            if raw.present & required != required {
                return Err(Halt::Rejected(Rejection::FieldAbsent));
            }
            records.push(stage, &raw);
        }
        Ok(())
    }

    /// Notes a strike: another instance, or none any more.
    fn strike(&mut self, strike: Strike) {
        self.last_strike = Some(strike);
        self.counts.strikes += 1;
        if self.calls_since_strike >= STRIKES_FORGIVEN_AFTER_CALLS {
            self.strikes = 0;
        }
        self.calls_since_strike = 0;
        self.strikes += 1;
        self.running = match self.strikes {
            STRIKES_MAX.. => None,
            _ => self.again().ok(),
        };
    }

    fn again(&self) -> Result<Running, StartError> {
        Running::start(self.code.instantiate()?, &self.manifest, &self.config)
    }

    /// Changes the configuration between two inputs. Whatever goes wrong, the one before holds.
    pub(crate) fn configure(
        &mut self,
        change: impl FnOnce(&mut Config, &Manifest) -> Result<(), SettingError>,
    ) -> Result<(), SettingError> {
        let mut config = self.config.clone();
        change(&mut config, &self.manifest)?;
        let Some(running) = &mut self.running else {
            return Err(SettingError::Failed {
                cause: Strike::SetAside.to_string(),
            });
        };
        match running.configure(&self.manifest, &config) {
            Ok(()) => {
                self.config = config;
                Ok(())
            }
            Err(error) => {
                let again = running.configure(&self.manifest, &self.config);
                if let StartError::Trap(trap) = error {
                    self.strike(trap.into());
                } else if let Err(StartError::Trap(trap)) = again {
                    self.strike(trap.into());
                } else if again.is_err() {
                    self.strike(Trap::Other.into());
                }
                Err(match error {
                    StartError::Refused { reason } => SettingError::Refused { reason },
                    other => SettingError::Failed {
                        cause: other.to_string(),
                    },
                })
            }
        }
    }
}

impl Running {
    fn start(
        mut instance: Box<dyn Instance>,
        manifest: &Manifest,
        config: &Config,
    ) -> Result<Self, StartError> {
        let found = instance.ask(Question::Abi)?;
        if found != retrotap_abi::ABI as i32 {
            return Err(StartError::Abi { found });
        }
        let input = area(instance.as_mut(), Question::Input, manifest.input_bytes())?;
        let config_area = area(instance.as_mut(), Question::Config, manifest.config_bytes())?;
        let output = area(
            instance.as_mut(),
            Question::Output,
            manifest.sizes.output_bytes_max,
        )?;
        let state = match &manifest.state {
            None => None,
            Some(layout) => match instance.ask_state()? {
                None => None,
                Some(address) => Some(within(
                    instance.as_ref(),
                    "rt_state",
                    address,
                    layout.bytes,
                )?),
            },
        };
        let mut running = Self {
            instance,
            input,
            config: config_area,
            output,
            state,
        };
        running.configure(manifest, config)?;
        Ok(running)
    }

    fn configure(&mut self, manifest: &Manifest, config: &Config) -> Result<(), StartError> {
        if !self.instance.write(self.config, &config.bytes) {
            return Err(Trap::MemoryOutOfBounds.into());
        }
        let answer = self.instance.configure()?;
        if answer >= 0 {
            return Ok(());
        }
        let reason = manifest.reasons.get(answer.unsigned_abs() as usize - 1);
        let reason = reason.map_or_else(
            || format!("it answered {answer}"),
            |reason| match reason.description.trim() {
                "" => reason.name.clone(),
                description => format!("{} ({description})", reason.name),
            },
        );
        Err(StartError::Refused { reason })
    }
}

/// Asks for an area's address and checks it.
fn area(
    instance: &mut dyn Instance,
    question: Question,
    bytes: usize,
) -> Result<usize, StartError> {
    let address = instance.ask(question)?;
    within(instance, question.export(), address, bytes)
}

/// Checks that an area that a guest named is aligned and within its memory.
fn within(
    instance: &dyn Instance,
    export: &'static str,
    address: i32,
    bytes: usize,
) -> Result<usize, StartError> {
    let address = address.cast_unsigned();
    let start = address as usize;
    if !start.is_multiple_of(8) {
        return Err(StartError::NotAligned { export, address });
    }
    match instance
        .memory()
        .get(start..)
        .and_then(|memory| memory.get(..bytes))
    {
        Some(_) => Ok(start),
        None => Err(StartError::AreaOutside {
            export,
            address,
            bytes,
        }),
    }
}
