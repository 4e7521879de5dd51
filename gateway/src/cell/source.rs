//! Snapshots as a sensor's program sends them, over MQTT or the API:
//!
//! ```json
//! {"v":1,"source":"lidar-1","number":4711,"t":"2026-11-25T12:00:00.120Z","obstacles":[]}
//! ```
//!
//! Complete: who isn't in it is gone, and an empty list says that nobody is there. Numbers rise, so what
//! a network doubled or turned round is seen. `t` is when they were there, by the source's clock, which
//! has to be held to the gateway's (NTP); a snapshot that says less about its age is refused.
//!
//! One source speaks for a cell. Another one, or the same with numbers that begin anew, is heard once the
//! last word of the one before is older than its time to live; until then the cell would be told two
//! stories.

use serde::Deserialize;

use super::obstacles::{Obstacle, Sighting, Snapshot, SnapshotError};
use crate::config::limits::{SNAPSHOT_BYTES_MAX, SNAPSHOTS_PER_S_MAX, SOURCE_CLOCK_AHEAD_MAX};
use crate::time::parse_instant;
use crate::words::Stamp;

/// Version of the message, its first key.
const MESSAGE_VERSION: u32 = 1;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    v: u32,
    source: String,
    number: u64,
    t: String,
    obstacles: Vec<Obstacle>,
}

/// Why a snapshot was refused. Nothing has changed then, and what was known gets older.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum SourceError {
    /// Longer than any snapshot.
    #[error("a snapshot of {0} bytes: at most {SNAPSHOT_BYTES_MAX} are read")]
    TooLong(usize),
    /// Not the JSON described above.
    #[error("not a snapshot: {0}")]
    Json(String),
    /// Another version of it.
    #[error("a snapshot of version {0}: this gateway reads version {MESSAGE_VERSION}")]
    Version(u32),
    /// Obstacles that can't be.
    #[error(transparent)]
    Obstacles(#[from] SnapshotError),
    /// `t` is no time.
    #[error("`t` is `{0}`, expected a time such as 2026-11-25T12:00:00.120Z")]
    Time(String),
    /// The source's clock is ahead.
    #[error("`t` is {0} s in the future: hold both clocks to one time (NTP)")]
    Ahead(f64),
    /// It was late.
    #[error("it is {age_s} s old, and holds for {time_to_live_s} s: is the source's clock behind?")]
    Old {
        /// Its age when it came.
        age_s: f64,
        /// For how long it would have held.
        time_to_live_s: f64,
    },
    /// A number that is not above the one before.
    #[error("number {number} after {newest}: it was sent twice, or overtaken")]
    Number {
        /// The one that came.
        number: u64,
        /// The greatest so far.
        newest: u64,
    },
    /// Somebody else speaks for the cell.
    #[error("`{source_name}` speaks while `{speaking}` does: one source speaks for a cell")]
    AnotherSource {
        /// Who came.
        source_name: String,
        /// Who was heard before.
        speaking: String,
    },
    /// More often than anybody needs.
    #[error("more than {SNAPSHOTS_PER_S_MAX} snapshots in a second")]
    TooOften,
}

/// The last that was taken.
#[derive(Debug)]
struct Newest {
    source: String,
    number: u64,
    holds_until_ns: u64,
}

/// What a cell hears of its source.
#[derive(Debug)]
pub struct Source {
    time_to_live_ns: u64,
    newest: Option<Newest>,
    /// The second in which snapshots are counted, and how many came.
    second: (u64, u32),
}

impl Source {
    /// Before the first snapshot.
    pub fn new(time_to_live_ns: u64) -> Self {
        Self {
            time_to_live_ns,
            newest: None,
            second: (0, 0),
        }
    }

    /// Takes a snapshot that came `now`.
    ///
    /// # Errors
    ///
    /// It is refused whole, and says why.
    pub fn take(&mut self, payload: &[u8], now: Stamp) -> Result<Sighting, SourceError> {
        let second = now.line_ns / 1_000_000_000;
        if self.second.0 != second {
            self.second = (second, 0);
        }
        self.second.1 += 1;
        if self.second.1 > SNAPSHOTS_PER_S_MAX {
            return Err(SourceError::TooOften);
        }
        if payload.len() > SNAPSHOT_BYTES_MAX {
            return Err(SourceError::TooLong(payload.len()));
        }
        let message: Message = serde_json::from_slice(payload)
            .map_err(|error| SourceError::Json(error.to_string()))?;
        if message.v != MESSAGE_VERSION {
            return Err(SourceError::Version(message.v));
        }
        let t_ns = parse_instant(&message.t).ok_or(SourceError::Time(message.t))?;
        let obstacles = Snapshot::new(message.obstacles)?;
        if let Some(newest) = &self.newest
            && newest.holds_until_ns >= now.line_ns
        {
            if newest.source != message.source {
                return Err(SourceError::AnotherSource {
                    source_name: message.source,
                    speaking: newest.source.clone(),
                });
            }
            if message.number <= newest.number {
                return Err(SourceError::Number {
                    number: message.number,
                    newest: newest.number,
                });
            }
        }
        let seen_ns = self.seen_ns(t_ns, now)?;
        let sighting = Sighting {
            obstacles,
            seen_ns,
            time_to_live_ns: self.time_to_live_ns,
        };
        self.newest = Some(Newest {
            source: message.source,
            number: message.number,
            holds_until_ns: sighting.holds_until_ns(),
        });
        Ok(sighting)
    }

    /// The line time of the source's wall clock.
    fn seen_ns(&self, t_ns: i64, now: Stamp) -> Result<u64, SourceError> {
        let seconds = |ns: u64| ns as f64 / 1e9;
        if t_ns > now.wall_ns {
            let ahead_ns = now.wall_ns.abs_diff(t_ns);
            if u128::from(ahead_ns) > SOURCE_CLOCK_AHEAD_MAX.as_nanos() {
                return Err(SourceError::Ahead(seconds(ahead_ns)));
            }
            return Ok(now.line_ns);
        }
        let age_ns = now.wall_ns.abs_diff(t_ns);
        // What is older than the line itself has no line time.
        match now.line_ns.checked_sub(age_ns) {
            Some(seen_ns) if age_ns <= self.time_to_live_ns => Ok(seen_ns),
            _ => Err(SourceError::Old {
                age_s: seconds(age_ns),
                time_to_live_s: seconds(self.time_to_live_ns),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::rfc3339;

    const MS: u64 = 1_000_000;
    const BEGAN_NS: i64 = 1_795_000_000_000_000_000;

    fn now(ms: u64) -> Stamp {
        Stamp {
            line_ns: ms * MS,
            wall_ns: BEGAN_NS + (ms * MS).cast_signed(),
        }
    }

    fn message(source: &str, number: u64, seen_ms: u64) -> Vec<u8> {
        let t = rfc3339(now(seen_ms).wall_ns);
        format!(
            r#"{{"v":1,"source":"{source}","number":{number},"t":"{t}","obstacles":[{{"id":"p1","kind":"sphere","center":[1,0,1],"radius":0.3,"velocity":[0.4,0,0]}}]}}"#
        )
        .into_bytes()
    }

    fn source() -> Source {
        Source::new(300 * MS)
    }

    #[test]
    fn a_snapshot_is_as_old_as_its_time_says() {
        let sighting = source()
            .take(&message("lidar-1", 1, 1000), now(1080))
            .unwrap();
        assert_eq!(sighting.seen_ns, 1000 * MS);
        assert_eq!(sighting.holds_until_ns(), 1300 * MS);
        assert_eq!(sighting.obstacles.obstacles().len(), 1);
        let ahead = source()
            .take(&message("lidar-1", 1, 1040), now(1000))
            .unwrap();
        assert_eq!(ahead.seen_ns, 1000 * MS, "a little ahead is now");
    }

    #[test]
    fn a_snapshot_whose_age_cannot_be_believed_is_refused() {
        let taken = |seen_ms, now_ms| source().take(&message("lidar-1", 1, seen_ms), now(now_ms));
        assert!(matches!(taken(1060, 1000), Err(SourceError::Ahead(_))));
        assert!(matches!(taken(1000, 1301), Err(SourceError::Old { .. })));
        let before_the_line = Stamp {
            line_ns: 0,
            ..now(1100)
        };
        assert!(matches!(
            source().take(&message("lidar-1", 1, 1000), before_the_line),
            Err(SourceError::Old { .. })
        ));
    }

    #[test]
    fn numbers_rise_until_the_source_was_silent_for_its_time_to_live() {
        let mut source = source();
        source
            .take(&message("lidar-1", 7, 1000), now(1000))
            .unwrap();
        for number in [7, 6, 0] {
            let refused = source.take(&message("lidar-1", number, 1010), now(1010));
            assert_eq!(refused, Err(SourceError::Number { number, newest: 7 }));
        }
        source
            .take(&message("lidar-1", 8, 1020), now(1020))
            .unwrap();
        source
            .take(&message("lidar-1", 1, 1321), now(1321))
            .unwrap();
    }

    #[test]
    fn one_source_speaks_for_a_cell() {
        let mut source = source();
        source
            .take(&message("lidar-1", 7, 1000), now(1000))
            .unwrap();
        let refused = source.take(&message("camera", 9, 1100), now(1100));
        assert!(matches!(refused, Err(SourceError::AnotherSource { .. })));
        source.take(&message("camera", 9, 1301), now(1301)).unwrap();
    }

    #[test]
    fn what_is_no_snapshot_is_refused_and_says_why() {
        let refused = |payload: &str| {
            let error = source().take(payload.as_bytes(), now(1000)).unwrap_err();
            error.to_string()
        };
        assert!(refused("[]").contains("not a snapshot"));
        assert!(
            refused(r#"{"v":1,"source":"a","number":1,"t":"now","obstacles":[]}"#)
                .contains("`now`")
        );
        let t = rfc3339(now(1000).wall_ns);
        let with = |more: &str| format!(r#"{{"v":1,"source":"a","number":1,"t":"{t}"{more}}}"#);
        assert!(refused(&with("")).contains("obstacles"));
        assert!(refused(&with(r#","obstacles":[],"complete":false"#)).contains("complete"));
        let doubled = r#"{"id":"a","kind":"sphere","center":[0,0,0],"radius":1}"#;
        assert!(refused(&with(&format!(r#","obstacles":[{doubled},{doubled}]"#))).contains("two"));
        assert!(
            refused(&with(r#","obstacles":[]"#).replace("\"v\":1", "\"v\":2"))
                .contains("version 2")
        );
        assert!(refused(&" ".repeat(SNAPSHOT_BYTES_MAX + 1)).contains("bytes"));
    }

    #[test]
    fn a_flood_is_refused_for_the_rest_of_its_second() {
        let mut source = source();
        let taken = (1..=500).filter(|number| {
            let message = message("lidar-1", *number, 1000 + number);
            source.take(&message, now(1000 + number)).is_ok()
        });
        assert_eq!(taken.count(), SNAPSHOTS_PER_S_MAX as usize);
        source
            .take(&message("lidar-1", 501, 2000), now(2000))
            .unwrap();
    }
}
