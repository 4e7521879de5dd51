//! What a machine's stages run, as the page shows it.

use std::sync::Arc;

use super::{Machine, Modules, Turn};
use crate::modules::assemble::hex;
use crate::modules::catalog::Origin;
use crate::modules::store::Version;
use crate::web::modules::{ChangeShown, ModuleShown, Refusal, StageModules};
use crate::web::status::RecordText;

impl Modules {
    /// What a machine's stages run.
    ///
    /// # Errors
    ///
    /// There is no such machine.
    pub async fn list(self: &Arc<Self>, name: &str) -> Result<Vec<StageModules>, Refusal> {
        let unknown = || Refusal::UnknownMachine(name.to_owned());
        let machine = self.machines.get(name).ok_or_else(unknown)?;
        let turn = machine.turn.lock().await;
        let stages = machine.adapter.adapter.pipeline.iter();
        let shown = stages.filter_map(|stage| self.shown(machine, &turn, &stage.stage));
        Ok(shown.collect())
    }

    fn shown(&self, machine: &Machine, turn: &Turn, stage: &str) -> Option<StageModules> {
        let known = self.store().stage(&machine.plan.id, stage);
        let running = self.with(&turn.chosen).module(stage).ok()?;
        let base = || {
            let module = self.catalog.module(stage).ok()?;
            Some(ModuleShown {
                module: module.id().to_owned(),
                sha256: hex(module.sha256()),
                signed_by: None,
                origin: match self.catalog.origin(stage) {
                    Origin::Shipped => "shipped",
                    Origin::User(_) => "folder",
                },
                since: None,
                by: None,
                on_probation: false,
            })
        };
        let deployed = |version: &Version| ModuleShown {
            module: version.module.clone(),
            sha256: version.sha256.clone(),
            signed_by: Some(version.signed_by.clone()),
            origin: "deployed",
            since: Some(version.since.clone()),
            by: Some(version.by.clone()),
            on_probation: !version.proven,
        };
        let candidate = turn.candidate.as_ref();
        Some(StageModules {
            stage: stage.to_owned(),
            running: known.running().map(deployed).or_else(base)?,
            before: match known.versions.len() {
                0 => None,
                1 => base(),
                _ => known.before().map(deployed),
            },
            candidate: candidate
                .filter(|candidate| candidate.stage == stage)
                .map(super::Candidate::shown),
            changes: known
                .changes
                .into_iter()
                .map(|change| ChangeShown {
                    t: change.t,
                    what: change.what,
                    module: change.module,
                    by: change.by,
                    why: change.why,
                })
                .collect(),
            manifest: RecordText::new(running.manifest().to_json().into()),
        })
    }
}
