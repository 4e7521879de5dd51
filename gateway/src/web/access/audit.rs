//! The audit log: who changed what, when, from what to what. Lines of JSON that are only added, on
//! the disk before the answer goes out.
//!
//! It is bounded: a full file takes the place of the one before it, so that there are always one
//! file's worth of lines and at most two's.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::accounts::make_private;
use crate::config::limits::AUDIT_FILE_BYTES_MAX;
use crate::time::{rfc3339, unix_now_ns};

/// One change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Entry {
    /// When, by the gateway's wall clock.
    #[schema(format = DateTime)]
    pub t: String,
    /// A user's name, `token:<id>`, or `terminal` for the command line.
    pub who: String,
    /// The address that it came from; empty for the command line.
    pub from: String,
    /// What was done.
    #[schema(example = "user_added")]
    pub action: String,
    /// To what: a user, a token, a cell.
    pub what: String,
    /// What stood there before, if anything.
    #[schema(value_type = Object)]
    pub was: serde_json::Value,
    /// What stands there from now on, if anything.
    #[schema(value_type = Object)]
    pub now: serde_json::Value,
}

/// The log's file.
#[derive(Debug)]
pub struct Audit {
    path: PathBuf,
    bytes_max: u64,
    writing: Mutex<()>,
}

impl Audit {
    /// The log in that file, which is made with the first line.
    pub fn at(path: PathBuf) -> Self {
        Self {
            path,
            bytes_max: AUDIT_FILE_BYTES_MAX,
            writing: Mutex::new(()),
        }
    }

    /// Adds a line. Waits for the disk: not for an async task.
    ///
    /// # Errors
    ///
    /// It doesn't stand there.
    pub fn put(&self, entry: &Entry) -> io::Result<()> {
        let mut line = serde_json::to_string(entry)?;
        line.push('\n');
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        make_private(self.path.parent().unwrap_or(Path::new(".")))?;
        let mut file = self.open()?;
        let bytes = file.seek(SeekFrom::End(0))?;
        if bytes + line.len() as u64 > self.bytes_max && bytes > 0 {
            std::fs::rename(&self.path, self.older())?;
            file = self.open()?;
        } else if bytes > 0 {
            // A line that a power cut left half must not swallow the next one.
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                line.insert(0, '\n');
            }
        }
        file.write_all(line.as_bytes())?;
        file.sync_data()
    }

    /// The newest lines, oldest first. What is no line of ours is left out.
    ///
    /// # Errors
    ///
    /// A file is there and can't be read.
    pub fn newest(&self, limit: usize) -> io::Result<Vec<Entry>> {
        let text = |path: &Path| match std::fs::read(path) {
            Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            Err(error) => Err(error),
        };
        let (older, newer) = (text(&self.older())?, text(&self.path)?);
        let mut entries: Vec<Entry> = newer
            .lines()
            .rev()
            .chain(older.lines().rev())
            .filter_map(|line| serde_json::from_str(line).ok())
            .take(limit)
            .collect();
        entries.reverse();
        Ok(entries)
    }

    fn open(&self) -> io::Result<File> {
        File::options()
            .create(true)
            .read(true)
            .append(true)
            .mode(0o600)
            .open(&self.path)
    }

    fn older(&self) -> PathBuf {
        self.path.with_extension("1.jsonl")
    }
}

/// Now, as it stands in the log.
pub fn now() -> String {
    rfc3339(unix_now_ns())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: usize) -> Entry {
        Entry {
            t: now(),
            who: "ann".to_owned(),
            from: "10.0.0.7".to_owned(),
            action: "parameters_changed".to_owned(),
            what: format!("cell-{number}"),
            was: serde_json::json!({"warn_margin_m": 0.5}),
            now: serde_json::json!({"warn_margin_m": 0.6}),
        }
    }

    #[test]
    fn lines_are_added_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let mut audit = Audit::at(folder.path().join("state/audit.jsonl"));
        audit.bytes_max = 2000;
        assert_eq!(audit.newest(10).unwrap(), []);
        for number in 0..100 {
            audit.put(&entry(number)).unwrap();
        }
        let all = audit.newest(1000).unwrap();
        assert!((11..=24).contains(&all.len()), "{}", all.len());
        assert_eq!(all.last().unwrap().what, "cell-99");
        assert!(all.windows(2).all(|pair| pair[0].t <= pair[1].t));
        assert_eq!(audit.newest(2).unwrap()[0].what, "cell-98");
        let bytes: u64 = std::fs::read_dir(folder.path().join("state"))
            .unwrap()
            .map(|file| file.unwrap().metadata().unwrap().len())
            .sum();
        assert!(bytes <= 4000);
    }

    #[test]
    fn half_a_line_costs_that_line_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let audit = Audit::at(path.clone());
        audit.put(&entry(1)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{text}{}", &text[..20])).unwrap();
        audit.put(&entry(2)).unwrap();
        let found: Vec<String> = audit
            .newest(10)
            .unwrap()
            .into_iter()
            .map(|entry| entry.what)
            .collect();
        assert_eq!(found, ["cell-1", "cell-2"]);
    }
}
