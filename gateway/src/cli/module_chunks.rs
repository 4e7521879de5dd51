//! Modules that come over the broker in numbered chunks: put together, deployed, and answered.
//!
//! The answer is retained, so whoever sends asks for it whenever it likes: what is missing, or what became
//! of the whole. What comes this way must be signed by a trusted key, whatever the settings allow
//! otherwise: anybody who may publish on the broker can send it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::modules::Modules;
use crate::config::limits::MODULE_CHUNKS_LATE;
use crate::modules::chunks::{Chunk, Received, Receiver};
use crate::uplink::{Board, ModuleChunk};
use crate::web::modules::{Place, Refusal};

/// Takes chunks until it is stopped.
pub(super) async fn receive(
    modules: Arc<Modules>,
    mut chunks: mpsc::Receiver<ModuleChunk>,
    board: Board,
    stop: CancellationToken,
) {
    let mut receiver = Receiver::default();
    // What became whole, and when: its chunks may be doubled and late.
    let mut whole: BTreeMap<(String, String), (String, Instant)> = BTreeMap::new();
    loop {
        let chunk = tokio::select! {
            chunk = chunks.recv() => chunk,
            () = stop.cancelled() => return,
        };
        let Some(ModuleChunk {
            machine,
            stage,
            sha256,
            number,
            count,
            bytes,
        }) = chunk
        else {
            return;
        };
        // Names that nobody has would be topics for ever.
        if !modules.has(&machine, &stage) {
            tracing::warn!(
                machine,
                stage,
                "a chunk of a module for a stage that isn't here"
            );
            continue;
        }
        let at = (machine.clone(), stage.clone());
        whole.retain(|_, (_, when)| when.elapsed() < MODULE_CHUNKS_LATE);
        if whole.get(&at).is_some_and(|(known, _)| *known == sha256) {
            continue;
        }
        let chunk = Chunk {
            sha256: sha256.clone(),
            number,
            count,
            bytes,
        };
        let said = match receiver.take(&machine, &stage, chunk) {
            Ok(Received::Missing { numbers, have }) => {
                json!({"state": "receiving", "have": have, "of": count, "missing": numbers})
            }
            Ok(Received::Whole(bytes)) => {
                whole.insert(at, (sha256.clone(), Instant::now()));
                let place = Place {
                    machine: machine.clone(),
                    stage: stage.clone(),
                    by: "mqtt".to_owned(),
                    from: String::new(),
                };
                answer(modules.deploy_signed(place, bytes, sha256.clone()).await)
            }
            Err(error) => json!({"state": "dropped", "chunk": number, "why": error.to_string()}),
        };
        let mut said = said;
        said["v"] = 1.into();
        said["sha256"] = sha256.into();
        board.put_module_answer(&machine, &stage, &said.to_string());
    }
}

fn answer(deployed: Result<crate::web::modules::Deployed, Refusal>) -> Value {
    match deployed {
        Ok(deployed) => {
            json!({"state": "running", "module": deployed.module, "was": deployed.was})
        }
        Err(Refusal::Check { check, why }) => {
            json!({"state": "refused", "check": check, "why": why})
        }
        Err(refusal) => json!({"state": "refused", "why": refusal.to_string()}),
    }
}
