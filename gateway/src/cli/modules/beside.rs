//! A candidate beside what runs.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use retrotap_host::Module;
use serde_json::json;

use super::{Modules, Ready, Turn, blocking, line_is_gone, locked, unfit};
use crate::line::shadow::{self, Report};
use crate::line::{Asked, Line};
use crate::modules::assemble::hex;
use crate::web::modules::{CandidateShown, Deployed, Place, Refusal};
use crate::web::status::RecordText;

/// A module beside the one that runs.
pub(super) struct Candidate {
    pub stage: String,
    pub module: Arc<Module>,
    signed_by: String,
    by: String,
    shadow: Duration,
    /// What was found so far, and whether that is all.
    found: Arc<Mutex<(Report, bool)>>,
}

impl Modules {
    /// Begins a shadow run. One that runs already for this machine ends.
    pub(super) async fn run_beside(
        self: &Arc<Self>,
        place: &Place,
        turn: &mut Turn,
        ready: Ready,
        shadow: Duration,
    ) -> Result<Deployed, Refusal> {
        let machine = self.machine(place)?;
        let (this, plan, chosen) = (Arc::clone(self), machine.plan.clone(), turn.chosen.clone());
        let assembled = ready.loaded.assembled;
        let pair = blocking(move || -> anyhow::Result<[Line; 2]> {
            let now = this.loaded(&plan, &chosen)?.assembled;
            let (seen, others) = (Line::gauge_for(&now), Line::gauge_for(&assembled));
            Ok([Line::new(now, seen)?, Line::new(assembled, others)?])
        })
        .await?;
        let [now, candidate] = pair.map_err(|error| unfit(&format!("{error:#}")))?;
        let (tap, tapped) = shadow::tap();
        let found = Arc::new(Mutex::new((Report::default(), false)));
        let telling = Arc::clone(&found);
        std::thread::Builder::new()
            .name(format!("shadow {}", machine.plan.id))
            .spawn(move || {
                let until = Instant::now() + shadow;
                let report = shadow::run(&tapped, now, candidate, until, |report| {
                    locked(&telling).0 = report.clone();
                    // Nobody else has it: another one took its place.
                    Arc::strong_count(&telling) > 1
                });
                *locked(&telling) = (report, true);
            })
            .map_err(|error| Refusal::Unavailable(format!("There is no thread left: {error}.")))?;
        machine
            .line
            .send(Asked::Watch(tap))
            .await
            .map_err(|_| line_is_gone())?;
        let deployed = Deployed {
            module: ready.module.id().to_owned(),
            sha256: hex(ready.module.sha256()),
            state: "shadow",
            was: ready.was.clone(),
            last_frame_before: None,
            swap_ms: None,
        };
        turn.candidate = Some(Candidate {
            stage: place.stage.clone(),
            module: ready.module,
            signed_by: ready.signed_by,
            by: place.by.clone(),
            shadow,
            found,
        });
        let now = json!({"module": deployed.module, "sha256": deployed.sha256, "shadow_s": shadow.as_secs_f64()});
        self.audit(place, "module_shadowed", json!(ready.was), now)
            .await;
        Ok(deployed)
    }
}

impl Candidate {
    pub fn shown(&self) -> CandidateShown {
        let (report, finished) = locked(&self.found).clone();
        CandidateShown {
            module: self.module.id().to_owned(),
            sha256: hex(self.module.sha256()),
            signed_by: self.signed_by.clone(),
            by: self.by.clone(),
            shadow_s: self.shadow.as_secs_f64(),
            finished,
            report: RecordText::new(serde_json::to_string(&report).unwrap_or_default().into()),
        }
    }
}
