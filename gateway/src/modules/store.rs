//! Modules that were deployed, on disk: every version's file, and which of them each machine's stage runs.
//!
//! ```text
//! files/<sha256>.wasm   a module's bytes, named by their hash
//! stages.json           per machine and stage what runs, what ran before it, and what happened
//! ```
//!
//! Keeps true:
//! - A file stands under its name whole or not at all, and `stages.json` names only files that stand
//!   there: it is written after them, and each is written beside its place, synced, and renamed. A process
//!   that is killed at any step leaves what was before or what is after.
//! - What is read is what was written: a file's bytes are hashed again.
//! - Versions are bounded; files that nothing names any more go.
//!
//! What it doesn't do: look into a module, or decide who may replace it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::assemble::hex;
use super::catalog::read_limited;
use crate::config::limits::{
    MODULE_BYTES_MAX, MODULE_CHANGES_KEPT, MODULE_VERSIONS_KEPT, STAGES_FILE_BYTES_MAX,
};

const FORMAT: u32 = 1;

/// A version of a stage's module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// `name@1.0.0`.
    pub module: String,
    /// SHA-256 of its file, in hexadecimal digits.
    pub sha256: String,
    /// Who signed it, in words.
    pub signed_by: String,
    /// Since when it runs, RFC 3339.
    pub since: String,
    /// Who put it in.
    pub by: String,
    /// Whether its probation is over.
    pub proven: bool,
}

/// Something that happened to a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When, RFC 3339.
    pub t: String,
    /// What: `deployed`, `rolled_back` or `returned`.
    pub what: String,
    /// The module that runs from then on; what ships, or is in the user's folder, where none is named.
    pub module: Option<String>,
    /// Who did it; the gateway itself for `returned`.
    pub by: String,
    /// Why, where there is a reason.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
}

/// What one machine's stage runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// What was deployed and not taken back, oldest first; the last one runs. Under all of them stands
    /// what ships.
    pub versions: VecDeque<Version>,
    /// What happened, oldest first.
    pub changes: VecDeque<Change>,
}

impl Stage {
    /// What runs, unless it is what ships.
    pub fn running(&self) -> Option<&Version> {
        self.versions.back()
    }

    /// What ran before it, unless that is what ships.
    pub fn before(&self) -> Option<&Version> {
        self.versions.iter().rev().nth(1)
    }

    /// Puts a version on top.
    pub fn deploy(&mut self, version: Version) {
        self.note(Change {
            t: version.since.clone(),
            what: "deployed".to_owned(),
            module: Some(version.module.clone()),
            by: version.by.clone(),
            why: String::new(),
        });
        self.versions.push_back(version);
        while self.versions.len() > MODULE_VERSIONS_KEPT {
            self.versions.pop_front();
        }
    }

    /// Takes the top one away: what ran before it runs again.
    pub fn go_back(&mut self, t: String, what: &str, by: &str, why: &str) -> Option<Version> {
        let gone = self.versions.pop_back()?;
        self.note(Change {
            t,
            what: what.to_owned(),
            module: self.running().map(|version| version.module.clone()),
            by: by.to_owned(),
            why: why.to_owned(),
        });
        Some(gone)
    }

    fn note(&mut self, change: Change) {
        self.changes.push_back(change);
        while self.changes.len() > MODULE_CHANGES_KEPT {
            self.changes.pop_front();
        }
    }
}

/// Stages by machine and name.
type Stages = BTreeMap<String, BTreeMap<String, Stage>>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    v: u32,
    machines: Stages,
}

/// Why the store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk doesn't serve.
    #[error("the module store {path}: {source}")]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file says something that this version didn't write.
    #[error("{path} is damaged: {why}; it was not touched")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// The store of one gateway, which alone uses it.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    stages: Stages,
    steps: Steps,
}

/// Where tests end a process: before its n-th step on the disk. Never, outside of them.
#[derive(Debug, Default)]
struct Steps {
    left: Option<u32>,
}

impl Steps {
    fn take(&mut self) -> io::Result<()> {
        match &mut self.left {
            None => Ok(()),
            Some(0) => Err(io::Error::other("killed")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }
}

impl Store {
    /// Opens the store in that folder, which is made when something is stored; what a killed process left
    /// half done goes.
    ///
    /// # Errors
    ///
    /// It can't be read, or is damaged: whoever asks must not run something else instead.
    pub fn open(folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("stages.json");
        let stages = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stages::new(),
            _ => {
                let damaged = |why: String| StoreError::Damaged {
                    path: path.clone(),
                    why,
                };
                let bytes = read_limited(&path, STAGES_FILE_BYTES_MAX)
                    .map_err(|error| damaged(error.to_string()))?;
                let written: Written =
                    serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
                if written.v != FORMAT {
                    return Err(damaged(format!("format {}", written.v)));
                }
                written.machines
            }
        };
        let mut store = Self {
            folder: folder.to_owned(),
            stages,
            steps: Steps::default(),
        };
        store.sweep();
        Ok(store)
    }

    /// What is known of a machine's stage.
    pub fn stage(&self, machine: &str, stage: &str) -> Stage {
        let of = self.stages.get(machine).and_then(|of| of.get(stage));
        of.cloned().unwrap_or_default()
    }

    /// The versions that a machine runs instead of what ships, by stage.
    pub fn running(&self, machine: &str) -> impl Iterator<Item = (&str, &Version)> {
        let stages = self.stages.get(machine).into_iter().flatten();
        stages.filter_map(|(name, stage)| Some((name.as_str(), stage.running()?)))
    }

    /// The bytes of a version.
    ///
    /// # Errors
    ///
    /// They aren't there, or aren't those that were stored.
    pub fn read(&self, sha256: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path_of(sha256);
        let damaged = |why: String| StoreError::Damaged {
            path: path.clone(),
            why,
        };
        let bytes =
            read_limited(&path, MODULE_BYTES_MAX).map_err(|error| damaged(error.to_string()))?;
        match hex(&Sha256::digest(&bytes)) == sha256 {
            true => Ok(bytes),
            false => Err(damaged(
                "its bytes are not those that were stored".to_owned(),
            )),
        }
    }

    /// Keeps a module's bytes; nothing runs them yet. Doing it twice changes nothing.
    ///
    /// # Errors
    ///
    /// The disk doesn't take them; nothing has changed then.
    pub fn keep(&mut self, bytes: &[u8]) -> Result<String, StoreError> {
        let sha256 = hex(&Sha256::digest(bytes));
        if self.read(&sha256).is_ok() {
            return Ok(sha256);
        }
        let path = self.path_of(&sha256);
        self.write(&path, bytes)?;
        Ok(sha256)
    }

    /// Puts down what is true of a stage from now on, for good.
    ///
    /// # Errors
    ///
    /// The disk doesn't take it; what stood there stands there.
    pub fn put(&mut self, machine: &str, stage: &str, is: Stage) -> Result<(), StoreError> {
        let mut machines = self.stages.clone();
        let of = machines.entry(machine.to_owned()).or_default();
        of.insert(stage.to_owned(), is);
        let path = self.folder.join("stages.json");
        let disk = |source| StoreError::Disk {
            path: path.clone(),
            source,
        };
        let written = Written {
            v: FORMAT,
            machines,
        };
        let mut json = serde_json::to_vec_pretty(&written).map_err(|error| disk(error.into()))?;
        json.push(b'\n');
        self.write(&path, &json)?;
        self.stages = written.machines;
        self.sweep();
        Ok(())
    }

    fn path_of(&self, sha256: &str) -> PathBuf {
        self.files().join(format!("{sha256}.wasm"))
    }

    fn files(&self) -> PathBuf {
        self.folder.join("files")
    }

    /// Beside its place, synced, renamed, and the folder synced.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let files = self.files();
        let folder = path.parent().unwrap_or(&self.folder).to_owned();
        let steps = &mut self.steps;
        let mut written = || -> io::Result<()> {
            steps.take()?;
            fs::create_dir_all(&files)?;
            steps.take()?;
            let mut file = tempfile::Builder::new()
                .prefix(TEMPORARY)
                .tempfile_in(&folder)?;
            // A killed process removes nothing.
            file.disable_cleanup(steps.left.is_some());
            steps.take()?;
            let (first, second) = bytes.split_at(bytes.len() / 2);
            file.write_all(first)?;
            steps.take()?;
            file.write_all(second)?;
            steps.take()?;
            file.as_file().sync_all()?;
            steps.take()?;
            file.persist(path).map_err(|error| error.error)?;
            steps.take()?;
            File::open(&folder)?.sync_all()
        };
        written().map_err(|source| StoreError::Disk {
            path: path.to_owned(),
            source,
        })
    }

    /// Removes files that nothing names, also what a killed process left half written. One that can't be
    /// removed costs room and nothing else.
    fn sweep(&mut self) {
        if self.steps.take().is_err() {
            return;
        }
        let stages = self.stages.values().flat_map(BTreeMap::values);
        let named: BTreeSet<String> = stages
            .flat_map(|stage| &stage.versions)
            .map(|version| format!("{}.wasm", version.sha256))
            .collect();
        for (folder, in_files) in [(self.files(), true), (self.folder.clone(), false)] {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                let is_left = name.starts_with(TEMPORARY);
                if is_left || (in_files && !named.contains(&name)) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }
}

/// How the name of a file begins that isn't whole yet.
const TEMPORARY: &str = ".half-";

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: usize, sha256: &str) -> Version {
        Version {
            module: format!("smooth@1.0.{number}"),
            sha256: sha256.to_owned(),
            signed_by: "plant".to_owned(),
            since: "2026-11-25T12:00:00.000000000Z".to_owned(),
            by: "ann".to_owned(),
            proven: true,
        }
    }

    fn bytes(number: usize) -> Vec<u8> {
        vec![number as u8; 1000 + number]
    }

    fn deploy(store: &mut Store, number: usize) -> Result<(), StoreError> {
        let sha256 = store.keep(&bytes(number))?;
        let mut stage = store.stage("robot-1", "smooth");
        stage.deploy(version(number, &sha256));
        store.put("robot-1", "smooth", stage)
    }

    fn go_back(store: &mut Store) -> Result<(), StoreError> {
        let mut stage = store.stage("robot-1", "smooth");
        stage.go_back("t".to_owned(), "rolled_back", "ann", "");
        store.put("robot-1", "smooth", stage)
    }

    fn runs(store: &Store) -> Option<Vec<u8>> {
        let stage = store.stage("robot-1", "smooth");
        let version = stage.running()?;
        Some(store.read(&version.sha256).unwrap())
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder.join("files")).unwrap().count()
    }

    #[test]
    fn what_runs_and_what_ran_before_come_back_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        assert_eq!(runs(&store), None);
        deploy(&mut store, 1).unwrap();
        deploy(&mut store, 2).unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        assert_eq!(runs(&store), Some(bytes(2)));
        go_back(&mut store).unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        assert_eq!(runs(&store), Some(bytes(1)));
        assert_eq!(files(folder.path()), 1, "nothing names the other any more");
        go_back(&mut store).unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(runs(&store), None);
        let changes = store.stage("robot-1", "smooth").changes;
        let what: Vec<&str> = changes.iter().map(|change| change.what.as_str()).collect();
        assert_eq!(what, ["deployed", "deployed", "rolled_back", "rolled_back"]);
    }

    #[test]
    fn versions_are_bounded_and_so_is_what_happened() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        for number in 0..MODULE_CHANGES_KEPT + 10 {
            deploy(&mut store, number).unwrap();
        }
        let stage = store.stage("robot-1", "smooth");
        assert_eq!(stage.versions.len(), MODULE_VERSIONS_KEPT);
        assert_eq!(stage.changes.len(), MODULE_CHANGES_KEPT);
        assert_eq!(files(folder.path()), MODULE_VERSIONS_KEPT);
    }

    /// Every step at which a process can end: what is there afterwards is what was before, or what was
    /// to be, and the next one goes on with it.
    #[test]
    fn killed_at_any_step_the_store_holds_what_was_or_what_is_to_be() {
        let (mut before, mut after) = (0, 0);
        for step in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let mut store = Store::open(folder.path()).unwrap();
            deploy(&mut store, 1).unwrap();
            store.steps.left = Some(step);
            let killed = deploy(&mut store, 2).is_err();
            let over = store.steps.left != Some(0);
            drop(store);

            let mut store = Store::open(folder.path()).unwrap();
            let found = runs(&store).unwrap();
            assert!(found == bytes(1) || found == bytes(2), "step {step}");
            before += u32::from(found == bytes(1));
            after += u32::from(found == bytes(2));
            assert!(files(folder.path()) <= 2);
            assert!(
                fs::read_dir(folder.path()).unwrap().count() <= 2,
                "a half file"
            );
            deploy(&mut store, 3).unwrap();
            assert_eq!(runs(&Store::open(folder.path()).unwrap()), Some(bytes(3)));
            if !killed && over {
                break;
            }
        }
        // Two files are written, eight steps each, and one sweep.
        assert!(before >= 12, "{before}");
        assert!(after >= 2, "{after}");
    }

    #[test]
    fn what_was_changed_on_the_disk_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = Store::open(folder.path()).unwrap();
        deploy(&mut store, 1).unwrap();
        let sha256 = hex(&Sha256::digest(bytes(1)));
        let file = folder.path().join(format!("files/{sha256}.wasm"));
        for wrong in [bytes(2), bytes(1)[1..].to_vec(), Vec::new()] {
            fs::write(&file, wrong).unwrap();
            assert!(matches!(
                store.read(&sha256),
                Err(StoreError::Damaged { .. })
            ));
        }
        // Storing it again mends it.
        store.keep(&bytes(1)).unwrap();
        assert_eq!(store.read(&sha256).unwrap(), bytes(1));
        let index = folder.path().join("stages.json");
        for wrong in [r#"{"v":2,"machines":{}}"#, r#"{"v":1}"#, "", "{"] {
            fs::write(&index, wrong).unwrap();
            assert!(Store::open(folder.path()).is_err());
            assert_eq!(fs::read_to_string(&index).unwrap(), wrong);
        }
    }
}
