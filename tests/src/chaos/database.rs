//! What stands behind the sinks: the strict stand-in, or the real InfluxDB where there is one.
//!
//! The stand-in keeps every write, so it sees two of one name that differ; InfluxDB shows the last.
//! Either way two entries of one series and nanosecond are one point, and the judge misses one.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::http::get_json;
use crate::influx::store::Journal;
use crate::influx::{Settings, Store};
use crate::influxd::{self, Influxd};

/// One of the two.
#[derive(Debug, Clone)]
pub enum Database {
    /// The stand-in's program, its file, which outlives it, and its port.
    StandIn(PathBuf, PathBuf, u16),
    /// InfluxDB, set up.
    Real(Influxd),
}

impl Database {
    /// InfluxDB where `RETROTAP_INFLUXD` names it, else the stand-in whose program this is.
    pub fn new(stand_in: &Path, folder: &Path, port: u16) -> Self {
        match influxd::program() {
            Some(program) => Self::Real(Influxd::set_up(&program, folder, port)),
            None => Self::StandIn(stand_in.to_owned(), folder.join("database.journal"), port),
        }
    }

    /// What to call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::StandIn(..) => "a stand-in of InfluxDB",
            Self::Real(_) => "InfluxDB",
        }
    }

    /// The command that runs it.
    pub fn command(&self) -> Command {
        match self {
            Self::StandIn(program, journal, port) => {
                let mut command = Command::new(program);
                command.arg(port.to_string()).arg(journal);
                command
            }
            Self::Real(influxd) => influxd.command(),
        }
    }

    /// How many points it has; `None` while it is down.
    pub fn points(&self) -> Option<u64> {
        let bucket = &Settings::default().buckets[0];
        match self {
            Self::StandIn(_, _, port) => {
                get_json(*port, "/stand-in/counts")?[bucket]["points"].as_u64()
            }
            Self::Real(influxd) => influxd.points(bucket),
        }
    }

    /// All that it holds, for a judge that comes when all is over. `stop` ends it.
    ///
    /// # Errors
    ///
    /// Its files can't be read.
    pub fn content(&self, stop: impl FnOnce()) -> Result<Store, String> {
        let bucket = &Settings::default().buckets[0];
        match self {
            Self::StandIn(_, journal, _) => {
                Journal::store(journal, bucket).map_err(|error| error.to_string())
            }
            Self::Real(influxd) => influxd.export(bucket, stop),
        }
    }
}
