//! The gateway's topics, `retrotap/1/<site>/<gateway>/…`, and their payloads.
//!
//! | topic below the root | retained | payload |
//! |---|---|---|
//! | `status` | yes, and the last will | `{"v":1,"state":"online"\|"offline","t":…,"version":…,"reason":…}` |
//! | `<machine>/records` | no | JSON array of records |
//! | `<machine>/frames` | no | JSON array of raw frames: bytes in hexadecimal, time, line errors |
//! | `<machine>/inputs` | no | JSON array of what decisions depended on besides bytes |
//! | `<machine>/taken` | no | from the lake: which entries it has (`taken.rs`) |
//! | `<machine>/status` | yes | the line's state |
//! | `<machine>/alarms`, `alarms` | yes | the alarms that are active, of a machine and of the gateway |
//! | `<machine>/schema/<module>@<version>` | yes | the module's manifest |
//! | `<machine>/modules/<stage>/put/<sha256>/<number>/<count>` | no | from outside: bytes of a module, chunk by chunk |
//! | `<machine>/modules/<stage>/answer` | yes | what is missing of it, or what became of it |
//!
//! What is said to a cell, which may have robots on several gateways, comes on
//! `retrotap/1/<site>/<cell>/obstacles`.
//!
//! What belongs to the gateway itself has a level less than what belongs to machines, so no machine's
//! name can collide with it. A machine's retained status holds only while its gateway is `online`.

use std::time::{SystemTime, UNIX_EPOCH};

use super::ModuleChunk;
use crate::words::Stream;

/// The root of one gateway's topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Topics {
    root: String,
}

impl Topics {
    pub fn new(site: &str, gateway: &str) -> Self {
        Self {
            root: format!("retrotap/1/{site}/{gateway}"),
        }
    }

    /// Where a source says who is in a cell of the plant.
    pub fn obstacles(site: &str, cell: &str) -> String {
        format!("retrotap/1/{site}/{cell}/obstacles")
    }

    pub fn status(&self) -> String {
        format!("{}/status", self.root)
    }

    pub fn stream(&self, machine: &str, stream: Stream) -> String {
        format!("{}/{machine}/{}", self.root, stream.name())
    }

    /// All that this gateway's topics begin with.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// What the lake says of all machines.
    pub fn taken_filter(&self) -> String {
        format!("{}/+/taken", self.root)
    }

    /// Chunks of modules for all machines.
    pub fn modules_filter(&self) -> String {
        format!("{}/+/modules/+/put/+/+/+", self.root)
    }

    /// The chunk that a topic names, without its bytes.
    pub fn chunk(root: &str, topic: &str) -> Option<ModuleChunk> {
        let rest = topic.strip_prefix(root)?.strip_prefix('/')?;
        let levels: Vec<&str> = rest.split('/').collect();
        let [machine, "modules", stage, "put", sha256, number, count] = levels[..] else {
            return None;
        };
        Some(ModuleChunk {
            machine: machine.to_owned(),
            stage: stage.to_owned(),
            sha256: sha256.to_owned(),
            number: number.parse().ok()?,
            count: count.parse().ok()?,
            bytes: Vec::new(),
        })
    }

    pub fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.root)
    }
}

/// The gateway's own status. The last will has no time: the broker sends it whenever it is due.
pub(super) fn status_payload(online: bool, reason: &str, at: Option<SystemTime>) -> String {
    let state = if online { "online" } else { "offline" };
    let t = at
        .and_then(|at| at.duration_since(UNIX_EPOCH).ok())
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .map(|unix_ns| format!("\"t\":\"{}\",", crate::time::rfc3339(unix_ns)))
        .unwrap_or_default();
    format!(
        r#"{{"v":1,"state":"{state}",{t}"version":"{}","reason":"{reason}"}}"#,
        env!("CARGO_PKG_VERSION")
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn topics_stand_under_site_and_gateway() {
        let topics = Topics::new("aachen", "cell-3");
        assert_eq!(topics.status(), "retrotap/1/aachen/cell-3/status");
        assert_eq!(
            topics.stream("robot-1", Stream::Frames),
            "retrotap/1/aachen/cell-3/robot-1/frames"
        );
    }

    #[test]
    fn status_is_json_with_and_without_a_time() {
        let at = UNIX_EPOCH + Duration::from_nanos(1);
        for (payload, time) in [
            (status_payload(true, "started", Some(at)), true),
            (status_payload(false, "connection lost", None), false),
        ] {
            let value: serde_json::Value = serde_json::from_str(&payload).expect("JSON");
            assert_eq!(value["v"], 1);
            assert_eq!(value.get("t").is_some(), time);
        }
    }
}
