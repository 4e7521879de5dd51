//! Another version of a stage: made ready beside a pipeline that runs, and put in between two inputs.
//!
//! A [`Successor`] is compiled and instantiated by whoever makes it. [`Pipeline::swap`] binds it, gives
//! it the parameters and tables that its forerunner was given, and the block of state that both describe
//! alike; the other stages keep their instances. Whatever doesn't fit is said, and nothing has changed.
//!
//! What it doesn't do: carry defaults over (they belong to a version), or guess how one layout of state
//! becomes another.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use retrotap_abi::manifest::Manifest;

use crate::bind::{BindCause, BindError, StageSpec, bind};
use crate::engine::{Code, Engine, Instance};
use crate::guest::{Guest, StartError};
use crate::module::Module;
use crate::pipeline::{Pipeline, effective};
use crate::records::Records;
use crate::settings::{Config, SettingError};

/// A module that waits to take the place of the one with its stage's name. Clones share what is ready.
#[derive(Clone)]
pub struct Successor(Arc<Ready>);

struct Ready {
    module: Arc<Module>,
    manifest: Manifest,
    code: Arc<dyn Code>,
    /// For the first pipeline that takes it; one that comes later makes its own. Nobody waits for this
    /// lock: it is held for the length of a move.
    fresh: Mutex<Option<Box<dyn Instance>>>,
}

impl Successor {
    /// Compiles a stage's module and makes an instance of it. Of a generic stage the spec says what fields
    /// it has; parameters and tables are those that its forerunner was given, whatever stands there.
    ///
    /// # Errors
    ///
    /// The engine refuses it, or the fields aren't for it.
    pub fn new(engine: &Engine, spec: &StageSpec) -> Result<Self, BindCause> {
        let (module, manifest) = (&spec.module, effective(spec)?);
        let code = engine.prepare(module)?;
        let fresh = Mutex::new(Some(code.instantiate()?));
        Ok(Self(Arc::new(Ready {
            module: Arc::clone(module),
            manifest,
            code,
            fresh,
        })))
    }

    /// What would run.
    pub fn module(&self) -> &Arc<Module> {
        &self.0.module
    }

    /// What it says of itself, with the adapter's fields where it is generic.
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The stage whose place it takes.
    pub fn stage(&self) -> &str {
        &self.0.manifest.stage
    }

    fn start(&self, config: Config) -> Result<Guest, StartError> {
        let ready = &self.0;
        let waiting = ready
            .fresh
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let instance = match waiting {
            Some(instance) => instance,
            None => ready.code.instantiate()?,
        };
        Guest::start_on(
            instance,
            Arc::clone(&ready.module),
            ready.manifest.clone(),
            Arc::clone(&ready.code),
            config,
        )
    }
}

impl fmt::Debug for Successor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Successor({})", self.0.module.id())
    }
}

impl Pipeline {
    /// Puts another version of a stage in its place, between two inputs. Parameters and tables that were
    /// given go with it, and its state where both manifests name the same layout and size: then this is
    /// true.
    ///
    /// # Errors
    ///
    /// It doesn't fit its neighbours or what was given; nothing has changed then.
    pub fn swap(&mut self, next: &Successor) -> Result<bool, Vec<BindError>> {
        let name = next.stage();
        let of = |stage: &str, cause| BindError {
            stage: stage.to_owned(),
            cause,
        };
        let place = self
            .guests
            .iter()
            .position(|guest| guest.manifest.stage == name);
        let Some(place) = place else {
            let cause = SettingError::UnknownStage {
                name: name.to_owned(),
                suggestion: String::new(),
            };
            return Err(vec![of(name, cause.into())]);
        };
        let manifests: Vec<&Manifest> = (0..)
            .zip(&self.guests)
            .map(|(stage, guest)| match stage == place {
                true => next.manifest(),
                false => &guest.manifest,
            })
            .collect();
        let mut sources = Vec::with_capacity(manifests.len());
        let mut problems = Vec::new();
        for (stage, manifest) in manifests.iter().enumerate() {
            match bind(manifest, &manifests[..stage]) {
                Ok(source) => sources.push(source),
                Err(causes) => {
                    problems.extend(causes.into_iter().map(|cause| of(&manifest.stage, cause)));
                }
            }
        }
        let before = &self.guests[place];
        let (params, tables) = before.given();
        let config = Config::new(next.manifest(), &params, &tables).unwrap_or_else(|errors| {
            problems.extend(errors.into_iter().map(|error| of(name, error.into())));
            Config::default()
        });
        if !problems.is_empty() {
            return Err(problems);
        }
        let records = Records::with_room_for(manifests.iter().copied());
        let mut guest = next
            .start(config)
            .map_err(|error| vec![of(name, BindCause::Start(error))])?;
        let carried = guest.take_state(&mut self.guests[place]);
        self.guests[place] = guest;
        self.sources = sources;
        self.records = records;
        Ok(carried)
    }
}
