//! For tests of the whole chain: every record as the line made it, in a file of its own, before the
//! spool sees it. What arrives at the far end can then be held against what was made, by a judge who
//! asks neither spool nor lake.
//!
//! One JSON line a record, one write(2) each, so that a killed process leaves what it had handed over.
//! This is on the way of a byte and waits for the page cache: it is for tests and nothing else.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::words::Record;

/// A machine's file.
#[derive(Debug)]
pub struct Oracle {
    machine: String,
    file: File,
}

#[derive(Serialize)]
struct Line<'a> {
    machine: &'a str,
    record: &'a str,
    frame: u64,
    wall_ns: i64,
    line_ns: u64,
    module: &'a str,
    fields: &'a RawValue,
}

impl Oracle {
    /// Begins `<folder>/<machine>.<process>.jsonl`.
    ///
    /// # Errors
    ///
    /// The folder or file can't be made.
    pub fn begin(folder: &Path, machine: &str) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let name = format!("{machine}.{}.jsonl", std::process::id());
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join(name))?;
        let machine = machine.to_owned();
        Ok(Self { machine, file })
    }

    /// Writes the record down.
    pub fn record(&self, record: &Record) {
        let written = serde_json::from_str(&record.fields)
            .map_err(io::Error::from)
            .and_then(|fields: &RawValue| {
                let line = Line {
                    machine: &self.machine,
                    record: &record.name,
                    frame: record.frame,
                    wall_ns: record.at.wall_ns,
                    line_ns: record.at.line_ns,
                    module: &record.module,
                    fields,
                };
                let mut json = serde_json::to_vec(&line)?;
                json.push(b'\n');
                (&self.file).write_all(&json)
            });
        if let Err(error) = written {
            tracing::error!(machine = self.machine, %error, "the oracle misses a record");
        }
    }
}
