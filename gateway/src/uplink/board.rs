//! What is retained on the broker besides the gateway's own status: the newest of each document.
//! Lines and modules put documents on the board; each session puts all of them out first, and from
//! then on what changes. A document that changes faster than it can be sent skips versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

/// Documents by topic below the gateway's root.
pub(super) type Documents = BTreeMap<Arc<str>, Arc<str>>;

/// Where the rest of the gateway puts what is to be retained. Cloning shares it.
#[derive(Debug, Clone)]
pub struct Board {
    documents: watch::Sender<Documents>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// An empty board.
    pub fn new() -> Self {
        Self {
            documents: watch::Sender::new(Documents::new()),
        }
    }

    /// The state of a machine's line, as JSON.
    pub fn put_status(&self, machine: &str, json: &str) {
        self.put(format!("{machine}/status"), json);
    }

    /// The alarms that are active: those of a machine, or of the gateway itself.
    pub fn put_alarms(&self, machine: Option<&str>, json: &str) {
        let path = machine.map_or_else(
            || "alarms".to_owned(),
            |machine| format!("{machine}/alarms"),
        );
        self.put(path, json);
    }

    /// The manifest of a module, such as `arm-distance@1.2.0`, that makes records of a machine.
    pub fn put_schema(&self, machine: &str, module: &str, manifest_json: &str) {
        self.put(format!("{machine}/schema/{module}"), manifest_json);
    }

    /// What became of a module that comes in chunks.
    pub fn put_module_answer(&self, machine: &str, stage: &str, json: &str) {
        self.put(format!("{machine}/modules/{stage}/answer"), json);
    }

    fn put(&self, path: String, json: &str) {
        self.documents.send_if_modified(|documents| {
            if documents.get(&*path).is_some_and(|held| &**held == json) {
                return false;
            }
            documents.insert(path.into(), json.into());
            true
        });
    }

    pub(super) fn watch(&self) -> watch::Receiver<Documents> {
        self.documents.subscribe()
    }
}
