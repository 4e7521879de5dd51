//! What becomes of a module once it is in: it is taken back, or its probation is over.

use std::sync::Arc;

use retrotap_host::{Module, Successor};
use serde_json::json;
use tokio::sync::oneshot;

use super::{Machine, Modules, Turn, blocking, unfit};
use crate::config::limits::PROBATION;
use crate::line::{Probation, Returned, Swap};
use crate::modules::store::Stage;
use crate::time::{rfc3339, unix_now_ns};
use crate::web::modules::{Place, Refusal};

/// Somebody waits for what becomes of a module on probation.
pub struct Waits {
    pub(super) machine: Arc<str>,
    pub(super) stage: String,
    pub(super) fated: oneshot::Receiver<Returned>,
    pub(super) until_ns: u64,
}

impl Modules {
    /// Waits for what becomes of a module on probation.
    pub fn watch(self: &Arc<Self>, waits: Waits) {
        let this = Arc::clone(self);
        tokio::spawn(async move {
            let Waits {
                machine: name,
                stage,
                fated,
                until_ns,
            } = waits;
            let fate = fated.await;
            let Some(machine) = this.machines.get(&name) else {
                return;
            };
            let mut turn = machine.turn.lock().await;
            match fate {
                Ok(returned) => this.returned(machine, &mut turn, &stage, &returned).await,
                Err(_) if this.clock.now().line_ns >= until_ns => {
                    this.proven(&name, &stage).await;
                }
                // Another one took its place, or the gateway ends: then it begins with a probation anew.
                Err(_) => {}
            }
        });
    }

    async fn returned(
        self: &Arc<Self>,
        machine: &Machine,
        turn: &mut Turn,
        stage: &str,
        returned: &Returned,
    ) {
        let name = &machine.plan.id;
        let was = self.store().stage(name, stage).running().cloned();
        let by = "retrotap";
        let done = self
            .go_back(machine, turn, stage, "returned", by, &returned.why)
            .await;
        if let Err(error) = done {
            tracing::error!(machine = &**name, stage, %error, "it runs, but a restart would bring back what misbehaved");
        }
        let place = Place {
            machine: name.to_string(),
            stage: stage.to_owned(),
            by: by.to_owned(),
            from: String::new(),
        };
        let was = json!({"module": was.map(|version| version.module), "why": returned.why});
        let now = turn.chosen.get(stage).map(|module| module.id().to_owned());
        self.audit(&place, "module_returned", was, json!(now)).await;
    }

    async fn proven(self: &Arc<Self>, machine: &str, stage: &str) {
        let (this, machine, stage) = (Arc::clone(self), machine.to_owned(), stage.to_owned());
        let done = blocking(move || {
            let mut store = this.store();
            let mut known = store.stage(&machine, &stage);
            if let Some(version) = known.versions.back_mut() {
                version.proven = true;
            }
            store.put(&machine, &stage, known)
        })
        .await;
        if let Ok(Err(error)) = done {
            tracing::warn!(%error, "a module's probation is over, but begins anew with a restart");
        }
    }

    /// Puts down that the version before runs again.
    pub(super) async fn go_back(
        self: &Arc<Self>,
        machine: &Machine,
        turn: &mut Turn,
        stage: &str,
        what: &'static str,
        by: &str,
        why: &str,
    ) -> Result<(), Refusal> {
        match self.before(&machine.plan.id, stage) {
            Ok(before) if self.is_base(&before, stage) => drop(turn.chosen.remove(stage)),
            Ok(before) => drop(turn.chosen.insert(stage.to_owned(), before)),
            Err(error) => return Err(unfit(&format!("{error:#}"))),
        }
        let this = Arc::clone(self);
        let (name, stage) = (machine.plan.id.to_string(), stage.to_owned());
        let (by, why) = (by.to_owned(), why.to_owned());
        blocking(move || {
            let mut store = this.store();
            let mut known: Stage = store.stage(&name, &stage);
            known.go_back(rfc3339(unix_now_ns()), what, &by, &why);
            store.put(&name, &stage, known)
        })
        .await?
        .map_err(|error| {
            Refusal::Unavailable(format!("It runs, but could not be stored: {error}."))
        })
    }

    fn is_base(&self, module: &Module, stage: &str) -> bool {
        let base = self.catalog.module(stage);
        base.is_ok_and(|base| base.sha256() == module.sha256())
    }

    pub(super) fn probation(&self, back: Successor, fate: oneshot::Sender<Returned>) -> Probation {
        Probation {
            until_ns: self.until_ns(),
            back: Swap::to(back),
            fate,
        }
    }

    pub(super) fn until_ns(&self) -> u64 {
        let probation_ns = u64::try_from(PROBATION.as_nanos()).unwrap_or(u64::MAX);
        self.clock.now().line_ns.saturating_add(probation_ns)
    }
}
