//! Modules while lines run: from a file's bytes to the version that a line computes with, and back.
//!
//! Whichever way a module comes, it goes through [`Modules::deploy`]: the checks, the store, and one swap
//! that its line does between two frames. Everything that takes time (verifying, compiling, test cases,
//! the disk) happens here, on threads that no line waits for.
//!
//! Keeps true: one change at a time of one machine's modules; a refusal has changed nothing; what the
//! store says runs is what the line computes with. Where the disk doesn't take a swap that was made, it is
//! made back.

mod beside;
mod fate;
mod shown;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use retrotap_host::{Engine, Module, Successor};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::gateway::{Loaded, MachinePlan, load};
use crate::config::cell::Cell;
use crate::config::limits::SWAP_ANSWERS_WITHIN;
use crate::line::{Asked, GATEWAY_MODULE, Probation, Returned, Swap, Swapped, manifest_json};
use crate::modules::assemble::{hex, successor_spec};
use crate::modules::catalog::{Catalog, LoadedAdapter};
use crate::modules::checks::{self, Refusal as Failed};
use crate::modules::signature::{Trust, Untrusted};
use crate::modules::store::{Store, StoreError, Version};
use crate::port::LineClock;
use crate::time::{rfc3339, unix_now_ns};
use crate::uplink::Board;
use crate::web::Access;
use crate::web::access::audit::Entry;
use crate::web::modules::{Deployed, Place, Refusal};
use beside::Candidate;
pub use fate::Waits;

/// Modules by stage that run in the place of what ships.
type Chosen = BTreeMap<String, Arc<Module>>;

/// The modules of a gateway.
pub struct Modules {
    engine: Engine,
    catalog: Catalog,
    trust: Trust,
    cells: Vec<Cell>,
    clock: LineClock,
    board: Board,
    access: Option<Arc<Access>>,
    store: Mutex<Store>,
    machines: BTreeMap<Arc<str>, Machine>,
}

/// A machine whose line runs.
struct Machine {
    plan: MachinePlan,
    adapter: LoadedAdapter,
    line: mpsc::Sender<Asked>,
    /// Held by whoever changes something.
    turn: tokio::sync::Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    chosen: Chosen,
    candidate: Option<Candidate>,
}

/// What a machine's line begins with.
pub struct Beginning {
    /// Where its modules come from.
    pub catalog: Catalog,
    /// A module whose probation wasn't over.
    pub probation: Option<Probation>,
    fated: Option<(String, oneshot::Receiver<Returned>)>,
    chosen: Chosen,
}

/// A module that passed all checks, ready to be put in.
struct Ready {
    module: Arc<Module>,
    signed_by: String,
    next: Successor,
    back: Successor,
    was: String,
    loaded: Loaded,
}

/// What modules are put together from.
pub struct Parts {
    /// What runs them.
    pub engine: Engine,
    /// What ships and what is in the user's folders.
    pub catalog: Catalog,
    /// Whose word counts.
    pub trust: Trust,
    /// The cells, whose rules and tables belong to their machines.
    pub cells: Vec<Cell>,
    /// The lines' clock.
    pub clock: LineClock,
    /// Where manifests are put for the lake.
    pub board: Board,
    /// Where changes are written down, if there is a page.
    pub access: Option<Arc<Access>>,
}

impl Modules {
    /// Opens the store in `folder`.
    ///
    /// # Errors
    ///
    /// It can't be read.
    pub fn open(folder: &std::path::Path, parts: Parts) -> Result<Self, StoreError> {
        let Parts {
            engine,
            catalog,
            trust,
            cells,
            clock,
            board,
            access,
        } = parts;
        Ok(Self {
            engine,
            catalog,
            trust,
            cells,
            clock,
            board,
            access,
            store: Mutex::new(Store::open(folder)?),
            machines: BTreeMap::new(),
        })
    }

    /// What a machine's line begins with: what ran when the gateway ended.
    ///
    /// # Errors
    ///
    /// What ran isn't there any more, or whoever signed it isn't trusted any more: then the machine must
    /// not run something else instead.
    pub fn beginning(&self, plan: &MachinePlan) -> anyhow::Result<Beginning> {
        let adapter = self.catalog.adapter(&plan.adapter)?;
        let mut chosen = Chosen::new();
        let (mut probation, mut fated) = (None, None);
        let running: Vec<(String, Version)> = self
            .store()
            .running(&plan.id)
            .map(|(stage, version)| (stage.to_owned(), version.clone()))
            .collect();
        for (stage, version) in running {
            // The settings may name another adapter by now.
            if !adapter.adapter.pipeline.iter().any(|s| s.stage == stage) {
                continue;
            }
            let module = self
                .stored(&version)
                .with_context(|| format!("{} was deployed and can't run", version.module))?;
            chosen.insert(stage.clone(), module);
            if !version.proven && probation.is_none() {
                let before = self.before(&plan.id, &stage)?;
                let back = self.successor(&adapter, &before)?;
                let (fate, receiver) = oneshot::channel();
                probation = Some(self.probation(back, fate));
                fated = Some((stage, receiver));
            }
        }
        Ok(Beginning {
            catalog: self.with(&chosen),
            probation,
            fated,
            chosen,
        })
    }

    /// A machine's line begins, and is asked by this way.
    pub fn line_begins(
        &mut self,
        plan: MachinePlan,
        adapter: LoadedAdapter,
        beginning: Beginning,
        line: mpsc::Sender<Asked>,
    ) -> Option<Waits> {
        let waits = beginning.fated.map(|(stage, fated)| Waits {
            machine: Arc::clone(&plan.id),
            stage,
            fated,
            until_ns: self.until_ns(),
        });
        let machine = Machine {
            line,
            adapter,
            turn: tokio::sync::Mutex::new(Turn {
                chosen: beginning.chosen,
                candidate: None,
            }),
            plan,
        };
        self.machines.insert(Arc::clone(&machine.plan.id), machine);
        waits
    }

    /// Runs a module in the place of what runs: at once, or beside it for a while first.
    ///
    /// # Errors
    ///
    /// It isn't taken; nothing has changed.
    pub async fn deploy(
        self: &Arc<Self>,
        place: Place,
        bytes: Vec<u8>,
        sha256: Option<String>,
        shadow: Option<Duration>,
    ) -> Result<Deployed, Refusal> {
        let accepted = Instant::now();
        let machine = self.machine(&place)?;
        let mut turn = machine.turn.lock().await;
        let ready = self.ready(&place, &turn, bytes, sha256).await;
        let ready = self.noted(&place, ready).await?;
        match shadow {
            None => self.put_in(&place, &mut turn, ready, accepted).await,
            Some(shadow) => self.run_beside(&place, &mut turn, ready, shadow).await,
        }
    }

    /// Whether there is such a stage.
    pub fn has(&self, machine: &str, stage: &str) -> bool {
        let place = Place {
            machine: machine.to_owned(),
            stage: stage.to_owned(),
            by: String::new(),
            from: String::new(),
        };
        self.machine(&place).is_ok()
    }

    /// The same with a module that must be signed, whatever the settings allow otherwise.
    ///
    /// # Errors
    ///
    /// It isn't taken; nothing has changed.
    pub async fn deploy_signed(
        self: &Arc<Self>,
        place: Place,
        bytes: Vec<u8>,
        sha256: String,
    ) -> Result<Deployed, Refusal> {
        let strict = Trust {
            allow_unsigned: false,
            ..self.trust.clone()
        };
        match checks::bytes(&bytes, Some(&sha256), &strict, unix_now_ns()) {
            Ok(_) => self.deploy(place, bytes, Some(sha256), None).await,
            Err(failed) => {
                let refusal = failed_by(&failed);
                let why = json!({"why": refusal.to_string()});
                self.audit(&place, "module_refused", json!(null), why).await;
                Err(refusal)
            }
        }
    }

    /// Runs what ran beside what runs.
    ///
    /// # Errors
    ///
    /// There is none, or it isn't taken any more; nothing has changed.
    pub async fn promote(self: &Arc<Self>, place: Place) -> Result<Deployed, Refusal> {
        let accepted = Instant::now();
        let machine = self.machine(&place)?;
        let mut turn = machine.turn.lock().await;
        let candidate = turn.candidate.as_ref();
        let Some(candidate) = candidate.filter(|candidate| candidate.stage == place.stage) else {
            return Err(Refusal::Nothing(
                "Nothing runs beside that stage; deploy it with a shadow run first.".to_owned(),
            ));
        };
        let bytes = candidate.module.wasm().to_vec();
        let ready = self.ready(&place, &turn, bytes, None).await;
        let ready = self.noted(&place, ready).await?;
        self.put_in(&place, &mut turn, ready, accepted).await
    }

    /// Runs what ran before.
    ///
    /// # Errors
    ///
    /// Nothing was deployed, or what ran before doesn't fit any more; nothing has changed.
    pub async fn roll_back(self: &Arc<Self>, place: Place) -> Result<Deployed, Refusal> {
        let accepted = Instant::now();
        let machine = self.machine(&place)?;
        let mut turn = machine.turn.lock().await;
        let known = self.store().stage(&place.machine, &place.stage);
        let Some(running) = known.running().cloned() else {
            return Err(Refusal::Nothing(
                "What ships runs: nothing was deployed that could be taken back.".to_owned(),
            ));
        };
        let before = self
            .before(&place.machine, &place.stage)
            .map_err(|error| unfit(&format!("{error:#}")))?;
        let mut chosen = turn.chosen.clone();
        chosen.insert(place.stage.clone(), Arc::clone(&before));
        let this = Arc::clone(self);
        let (plan, adapter) = (machine.plan.clone(), machine.adapter.clone());
        let back = Arc::clone(&before);
        let next = blocking(move || {
            this.loaded(&plan, &chosen)?;
            this.successor(&adapter, &back)
        })
        .await?
        .map_err(|error| unfit(&format!("{error:#}")))?;
        let swapped = self.swap(machine, Swap::to(next), None).await?;
        self.go_back(
            machine,
            &mut turn,
            &place.stage,
            "rolled_back",
            &place.by,
            "",
        )
        .await?;
        let (was, now) = (json!(running.module), json!(before.id()));
        self.audit(&place, "module_rolled_back", was, now).await;
        Ok(Deployed {
            module: before.id().to_owned(),
            sha256: hex(before.sha256()),
            state: "running",
            was: running.module,
            last_frame_before: Some(swapped.frame),
            swap_ms: Some(accepted.elapsed().as_secs_f64() * 1e3),
        })
    }

    /// The ten checks, and what the swap needs.
    async fn ready(
        self: &Arc<Self>,
        place: &Place,
        turn: &Turn,
        bytes: Vec<u8>,
        sha256: Option<String>,
    ) -> Result<Ready, Refusal> {
        let this = Arc::clone(self);
        let (place, chosen) = (place.clone(), turn.chosen.clone());
        blocking(move || this.checked(&place, &chosen, &bytes, sha256.as_deref())).await?
    }

    fn checked(
        &self,
        place: &Place,
        chosen: &Chosen,
        bytes: &[u8],
        sha256: Option<&str>,
    ) -> Result<Ready, Refusal> {
        let machine = self.machine(place)?;
        let (module, signer) = checks::bytes(bytes, sha256, &self.trust, unix_now_ns())
            .map_err(|failed| failed_by(&failed))?;
        let running = self
            .with(chosen)
            .module(&place.stage)
            .map_err(|error| Refusal::Unavailable(error.to_string()))?;
        let mut with = chosen.clone();
        with.insert(place.stage.clone(), Arc::clone(&module));
        let mut loaded = None;
        checks::place(&module, &running, &self.engine, || {
            let found = self.loaded(&machine.plan, &with);
            loaded = Some(found.map_err(|error| format!("{error:#}"))?);
            Ok(())
        })
        .map_err(|failed| failed_by(&failed))?;
        let successor = |module: &Arc<Module>| {
            self.successor(&machine.adapter, module)
                .map_err(|error| unfit(&format!("{error:#}")))
        };
        Ok(Ready {
            next: successor(&module)?,
            back: successor(&running)?,
            was: running.id().to_owned(),
            signed_by: signer.to_string(),
            module,
            loaded: loaded.ok_or_else(|| unfit("it was not put together"))?,
        })
    }

    /// The swap, the store, and who watches over it from then on.
    async fn put_in(
        self: &Arc<Self>,
        place: &Place,
        turn: &mut Turn,
        ready: Ready,
        accepted: Instant,
    ) -> Result<Deployed, Refusal> {
        let machine = self.machine(place)?;
        self.tell_the_lake(&machine.plan.id, &ready.loaded);
        let (fate, fated) = oneshot::channel();
        let probation = self.probation(ready.back.clone(), fate);
        let until_ns = probation.until_ns;
        let swapped = self
            .swap(machine, Swap::to(ready.next), Some(probation))
            .await?;
        let swap_ms = accepted.elapsed().as_secs_f64() * 1e3;
        let version = Version {
            module: ready.module.id().to_owned(),
            sha256: hex(ready.module.sha256()),
            signed_by: ready.signed_by,
            since: rfc3339(unix_now_ns()),
            by: place.by.clone(),
            proven: false,
        };
        let (this, at, module) = (Arc::clone(self), place.clone(), Arc::clone(&ready.module));
        let put = version.clone();
        let stored = blocking(move || -> Result<(), StoreError> {
            let mut store = this.store();
            store.keep(module.wasm())?;
            let mut stage = store.stage(&at.machine, &at.stage);
            stage.deploy(put);
            store.put(&at.machine, &at.stage, stage)
        })
        .await?;
        if let Err(error) = stored {
            // What a restart wouldn't bring back must not run either.
            self.swap(machine, Swap::to(ready.back), None).await?;
            return Err(Refusal::Unavailable(format!(
                "It could not be stored: {error}."
            )));
        }
        turn.chosen.insert(place.stage.clone(), ready.module);
        turn.candidate = None;
        self.watch(Waits {
            machine: Arc::clone(&machine.plan.id),
            stage: place.stage.clone(),
            fated,
            until_ns,
        });
        let now = json!({"module": version.module, "sha256": version.sha256, "signed_by": version.signed_by});
        self.audit(place, "module_deployed", json!(ready.was), now)
            .await;
        Ok(Deployed {
            module: version.module,
            sha256: version.sha256,
            state: "running",
            was: ready.was,
            last_frame_before: Some(swapped.frame),
            swap_ms: Some(swap_ms),
        })
    }

    async fn swap(
        &self,
        machine: &Machine,
        to: Swap,
        probation: Option<Probation>,
    ) -> Result<Swapped, Refusal> {
        let (answer, answered) = oneshot::channel();
        let asked = Asked::Swap {
            to,
            probation,
            answer,
        };
        machine.line.send(asked).await.map_err(|_| line_is_gone())?;
        match tokio::time::timeout(SWAP_ANSWERS_WITHIN, answered).await {
            Ok(Ok(Ok(swapped))) => Ok(swapped),
            Ok(Ok(Err(error))) => Err(unfit(&error.to_string())),
            Ok(Err(_)) | Err(_) => Err(line_is_gone()),
        }
    }

    /// What would run if the newest deployment were taken back.
    fn before(&self, machine: &str, stage: &str) -> anyhow::Result<Arc<Module>> {
        let known = self.store().stage(machine, stage);
        match known.before() {
            Some(version) => self.stored(version),
            None => Ok(self.catalog.module(stage)?),
        }
    }

    /// A version out of the store. A key that has expired since was good when it was taken.
    fn stored(&self, version: &Version) -> anyhow::Result<Arc<Module>> {
        let bytes = self.store().read(&version.sha256)?;
        match self.trust.check(&bytes, unix_now_ns()) {
            Ok(_) | Err(Untrusted::Expired(_)) => {}
            Err(untrusted) => return Err(untrusted.into()),
        }
        Ok(Arc::new(Module::parse(&bytes)?))
    }

    fn successor(
        &self,
        adapter: &LoadedAdapter,
        module: &Arc<Module>,
    ) -> anyhow::Result<Successor> {
        let spec = successor_spec(adapter, module);
        Ok(Successor::new(&self.engine, &spec)?)
    }

    /// A machine put together as its line is, but for changes since it began.
    fn loaded(&self, plan: &MachinePlan, chosen: &Chosen) -> anyhow::Result<Loaded> {
        load(&self.engine, &self.with(chosen), plan, &self.cells)
    }

    fn with(&self, chosen: &Chosen) -> Catalog {
        Catalog {
            chosen: chosen.clone(),
            ..self.catalog.clone()
        }
    }

    /// Fields must have their types before the first record of a new version comes.
    fn tell_the_lake(&self, machine: &str, loaded: &Loaded) {
        for module in &loaded.assembled.modules {
            self.board
                .put_schema(machine, &module.id, &module.manifest_json);
        }
        if let Some(json) = manifest_json(&loaded.assembled.pipeline) {
            self.board.put_schema(machine, GATEWAY_MODULE, &json);
        }
    }

    fn machine(&self, place: &Place) -> Result<&Machine, Refusal> {
        let machine = self
            .machines
            .get(place.machine.as_str())
            .ok_or_else(|| Refusal::UnknownMachine(place.machine.clone()))?;
        let mut stages = machine.adapter.adapter.pipeline.iter();
        match stages.any(|stage| stage.stage == place.stage) {
            true => Ok(machine),
            false => Err(Refusal::UnknownStage(place.stage.clone())),
        }
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        locked(&self.store)
    }

    /// Writes a refusal down, too: somebody tried.
    async fn noted(
        self: &Arc<Self>,
        place: &Place,
        ready: Result<Ready, Refusal>,
    ) -> Result<Ready, Refusal> {
        if let Err(refusal) = &ready {
            let why = json!({"why": refusal.to_string()});
            self.audit(place, "module_refused", json!(null), why).await;
        }
        ready
    }

    async fn audit(
        self: &Arc<Self>,
        place: &Place,
        action: &str,
        was: serde_json::Value,
        now: serde_json::Value,
    ) {
        let entry = Entry {
            t: rfc3339(unix_now_ns()),
            who: place.by.clone(),
            from: place.from.clone(),
            action: action.to_owned(),
            what: format!("{}/{}", place.machine, place.stage),
            was,
            now,
        };
        tracing::info!(who = entry.who, action, what = entry.what, now = %entry.now, "modules");
        let Some(access) = self.access.clone() else {
            return;
        };
        let written = blocking(move || access.write_down(&entry)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(%error, "it can't be written to the audit log");
        }
    }
}

/// Nothing that panics holds one of these locks half way through a change.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        tracing::error!(%error, "work on a module ended");
        Refusal::Unavailable("The gateway could not finish it; its log says why.".to_owned())
    })
}

fn failed_by(failed: &Failed) -> Refusal {
    Refusal::Check {
        check: failed.check.name(),
        why: format!("{failed}."),
    }
}

fn unfit(why: &str) -> Refusal {
    failed_by(&checks::unfit(why.to_owned()))
}

fn line_is_gone() -> Refusal {
    Refusal::Unavailable("The machine's line doesn't answer at the moment.".to_owned())
}
