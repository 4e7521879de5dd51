//! Obstacles: the people and things that a robot's distance is computed to.
//!
//! A source sends complete snapshots, empty ones included, as the JSON of the API:
//!
//! ```json
//! [{"id":"p1","kind":"sphere","center":[1.2,0.4,1.0],"radius":0.3},
//!  {"id":"p2","kind":"capsule","a":[2,1,0],"b":[2,1,1.8],"radius":0.35},
//!  {"id":"fence","kind":"box","center":[0,2.5,1],"size":[4,0.1,2]},
//!  {"id":"cart","kind":"box","center":[3,2,0.5],"size":[1,1,1],"velocity":[0.4,0,0],"max_speed":0.8}]
//! ```
//!
//! Metres and m/s, in the cell's frame (the robot's base frame unless a base pose is given), z up. A
//! `velocity` is how it moves just now, a `max_speed` how fast it can come at most; whoever states none
//! may come as fast as a person. A snapshot is taken whole or refused whole: half a room is worse than a
//! clear error.
//!
//! When it was [`Seen`] is not the snapshot's: whoever takes it knows the line's time.

use std::collections::BTreeSet;
use std::time::Duration;

use retrotap_host::{Table, TableRow};
use serde::{Deserialize, Serialize};

/// Obstacles in one snapshot, and rows of the stage's table: `rows_max` of `obstacles` in
/// `pipelines/stages/arm-distance/manifest.yaml`, which the host checks again.
pub const OBSTACLES_MAX: usize = 32;

/// The largest coordinate or size, in metres: far beyond any cell, small enough that single
/// precision still resolves 0.1 mm there.
pub const COORDINATE_MAX_M: f64 = 1_000.0;

/// The greatest speed of an obstacle, in m/s: that of the stage, and far beyond anything in a cell.
pub const SPEED_MAX_M_PER_S: f64 = 100.0;

/// The longest obstacle id, in bytes.
pub const ID_BYTES_MAX: usize = 64;

/// One person or thing: a shape in the cell's frame, lengths in metres.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum Obstacle {
    /// All points within `radius` of `center`.
    Sphere {
        /// Unique in a snapshot; what `nearest_obstacle` prints.
        id: String,
        /// The middle.
        center: [f64; 3],
        /// More than zero.
        radius: f64,
        /// How it moves, m/s; absent: nobody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        velocity: Option<[f64; 3]>,
        /// How fast it can come at most, m/s; absent: as fast as a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_speed: Option<f64>,
    },
    /// All points within `radius` of the segment from `a` to `b`: a person, upright.
    Capsule {
        /// Unique in a snapshot; what `nearest_obstacle` prints.
        id: String,
        /// One end of the segment.
        a: [f64; 3],
        /// The other end; may equal `a`.
        b: [f64; 3],
        /// More than zero.
        radius: f64,
        /// How it moves, m/s; absent: nobody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        velocity: Option<[f64; 3]>,
        /// How fast it can come at most, m/s; absent: as fast as a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_speed: Option<f64>,
    },
    /// A box whose edges are parallel to the axes of the cell.
    Box {
        /// Unique in a snapshot; what `nearest_obstacle` prints.
        id: String,
        /// The middle.
        center: [f64; 3],
        /// Whole edge lengths, each more than zero.
        size: [f64; 3],
        /// How it moves, m/s; absent: nobody said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        velocity: Option<[f64; 3]>,
        /// How fast it can come at most, m/s; absent: as fast as a person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max_speed: Option<f64>,
    },
}

/// All obstacles of a cell at one moment. Empty means: nobody and nothing is there.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Snapshot {
    obstacles: Vec<Obstacle>,
}

/// Since when, and until when, what a snapshot says can be believed. Times are line times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen {
    /// It is built in: always there, and by itself it comes nobody nearer unless it says so.
    Fixture,
    /// It stands there until another snapshot says otherwise, however long that takes.
    Standing,
    /// It was there at that time. It is believed for a while, and until then taken to have moved on with
    /// its velocity.
    At {
        /// Nanoseconds since the line began.
        line_ns: u64,
        /// How long it is believed; at least a nanosecond.
        time_to_live: Duration,
    },
}

/// Why a snapshot was refused.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum SnapshotError {
    /// Not the JSON described above.
    #[error("obstacles are not the expected JSON: {0}")]
    Json(String),
    /// More than [`OBSTACLES_MAX`].
    #[error("{count} obstacles, but at most {OBSTACLES_MAX} fit: merge some into a larger shape")]
    TooMany {
        /// How many there were.
        count: usize,
    },
    /// Two with one name.
    #[error("two obstacles are called `{0}`: ids must be unique in a snapshot")]
    DoubledId(String),
    /// An empty or overlong name.
    #[error("obstacle {index} has an id of {bytes} bytes: 1 to {ID_BYTES_MAX} are allowed")]
    Id {
        /// Position in the list, from 0.
        index: usize,
        /// Its length.
        bytes: usize,
    },
    /// A number that no cell can hold.
    #[error("obstacle `{id}`: {what} is {value}, expected {expected}")]
    Number {
        /// Which obstacle.
        id: String,
        /// Which of its numbers.
        what: &'static str,
        /// What was given.
        value: f64,
        /// What would be right.
        expected: &'static str,
    },
}

impl Snapshot {
    /// Reads the JSON of the API.
    pub fn parse(json: &str) -> Result<Self, SnapshotError> {
        let obstacles: Vec<Obstacle> =
            serde_json::from_str(json).map_err(|error| SnapshotError::Json(error.to_string()))?;
        Self::new(obstacles)
    }

    /// Checks a list of obstacles.
    pub fn new(obstacles: Vec<Obstacle>) -> Result<Self, SnapshotError> {
        if obstacles.len() > OBSTACLES_MAX {
            return Err(SnapshotError::TooMany {
                count: obstacles.len(),
            });
        }
        let mut ids = BTreeSet::new();
        for (index, obstacle) in obstacles.iter().enumerate() {
            let bytes = obstacle.id().len();
            if bytes == 0 || bytes > ID_BYTES_MAX {
                return Err(SnapshotError::Id { index, bytes });
            }
            if !ids.insert(obstacle.id()) {
                return Err(SnapshotError::DoubledId(obstacle.id().to_owned()));
            }
            obstacle.check()?;
        }
        Ok(Self { obstacles })
    }

    /// The obstacles, in the order in which they were given.
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.obstacles
    }

    /// The stage's `obstacles` table of this snapshot alone.
    pub fn table(&self, seen: Seen) -> Table {
        table(self.rows(seen))
    }

    /// Its rows of that table, to be put together with those of others.
    pub fn rows(&self, seen: Seen) -> impl Iterator<Item = TableRow> {
        self.obstacles
            .iter()
            .map(move |obstacle| obstacle.row(seen))
    }
}

/// The stage's `obstacles` table with these rows, at most [`OBSTACLES_MAX`] of them.
pub fn table(rows: impl IntoIterator<Item = TableRow>) -> Table {
    Table {
        columns: COLUMNS.iter().map(ToString::to_string).collect(),
        rows: rows.into_iter().collect(),
    }
}

/// The columns of `arm-distance`'s table, in which a row is written.
const COLUMNS: [&str; 14] = [
    "kind",
    "ax_m",
    "ay_m",
    "az_m",
    "bx_m",
    "by_m",
    "bz_m",
    "radius_m",
    "speed_m_per_s",
    "vx_m_per_s",
    "vy_m_per_s",
    "vz_m_per_s",
    "seen_s",
    "time_to_live_s",
];

/// What stands in the column `speed_m_per_s` for somebody who may come as fast as a person.
const AS_A_PERSON: f64 = -1.0;

impl Obstacle {
    /// Its name.
    pub fn id(&self) -> &str {
        match self {
            Self::Sphere { id, .. } | Self::Capsule { id, .. } | Self::Box { id, .. } => id,
        }
    }

    /// How it moves, m/s, where that is stated.
    pub fn velocity(&self) -> Option<[f64; 3]> {
        match self {
            Self::Sphere { velocity, .. }
            | Self::Capsule { velocity, .. }
            | Self::Box { velocity, .. } => *velocity,
        }
    }

    /// How fast it can come at most, m/s, where that is stated.
    pub fn max_speed(&self) -> Option<f64> {
        match self {
            Self::Sphere { max_speed, .. }
            | Self::Capsule { max_speed, .. }
            | Self::Box { max_speed, .. } => *max_speed,
        }
    }

    fn check(&self) -> Result<(), SnapshotError> {
        let within = |what, value: f64, low: f64, high: f64, expected| {
            // A NaN is in no range, so it is refused here as well.
            if (low..=high).contains(&value) {
                Ok(())
            } else {
                Err(SnapshotError::Number {
                    id: self.id().to_owned(),
                    what,
                    value,
                    expected,
                })
            }
        };
        let number = |what, value: f64, positive: bool| match positive {
            true => {
                let expected = "more than 0 m and at most 1000 m";
                within(what, value, f64::MIN_POSITIVE, COORDINATE_MAX_M, expected)
            }
            false => {
                let expected = "-1000 m to 1000 m";
                within(what, value, -COORDINATE_MAX_M, COORDINATE_MAX_M, expected)
            }
        };
        let point = |what, point: &[f64; 3]| point.iter().try_for_each(|&v| number(what, v, false));
        for speed in self.velocity().into_iter().flatten() {
            let expected = "-100 m/s to 100 m/s";
            within(
                "velocity",
                speed,
                -SPEED_MAX_M_PER_S,
                SPEED_MAX_M_PER_S,
                expected,
            )?;
        }
        if let Some(speed) = self.max_speed() {
            let expected = "0 m/s to 100 m/s";
            within("max_speed", speed, 0.0, SPEED_MAX_M_PER_S, expected)?;
        }
        match self {
            Self::Sphere { center, radius, .. } => {
                point("center", center)?;
                number("radius", *radius, true)
            }
            Self::Capsule { a, b, radius, .. } => {
                point("a", a)?;
                point("b", b)?;
                number("radius", *radius, true)
            }
            Self::Box { center, size, .. } => {
                point("center", center)?;
                size.iter().try_for_each(|&edge| number("size", edge, true))
            }
        }
    }

    fn row(&self, seen: Seen) -> TableRow {
        let (kind, a, b, radius) = match self {
            Self::Sphere { center, radius, .. } => (0.0, center, &[0.0; 3], *radius),
            Self::Capsule { a, b, radius, .. } => (1.0, a, b, *radius),
            Self::Box { center, size, .. } => (2.0, center, size, 0.0),
        };
        let mut values = Vec::with_capacity(COLUMNS.len());
        values.push(kind);
        values.extend_from_slice(a);
        values.extend_from_slice(b);
        values.push(radius);
        let (otherwise, velocity, seen_s, time_to_live_s) = match seen {
            Seen::Fixture => (0.0, [0.0; 3], 0.0, 0.0),
            Seen::Standing => (AS_A_PERSON, [0.0; 3], 0.0, 0.0),
            Seen::At {
                line_ns,
                time_to_live,
            } => (
                AS_A_PERSON,
                self.velocity().unwrap_or_default(),
                line_ns as f64 * 1e-9,
                // Zero would say that it is never old.
                time_to_live.max(Duration::from_nanos(1)).as_secs_f64(),
            ),
        };
        values.push(self.max_speed().unwrap_or(otherwise));
        values.extend_from_slice(&velocity);
        values.extend_from_slice(&[seen_s, time_to_live_s]);
        TableRow {
            name: self.id().to_owned(),
            values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_shapes_of_the_api_become_rows() {
        let snapshot = Snapshot::parse(
            r#"[{"id":"p1","kind":"sphere","center":[1,2,3],"radius":0.3},
                {"id":"p2","kind":"capsule","a":[2,1,0],"b":[2,1,1.8],"radius":0.35},
                {"id":"fence","kind":"box","center":[0,2.5,1],"size":[4,0.1,2]}]"#,
        )
        .unwrap();
        let table = snapshot.table(Seen::Standing);
        let rows: Vec<_> = table.rows.iter().map(|row| &row.values[..8]).collect();
        assert_eq!(rows[0], [0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.3]);
        assert_eq!(rows[1], [1.0, 2.0, 1.0, 0.0, 2.0, 1.0, 1.8, 0.35]);
        assert_eq!(rows[2], [2.0, 0.0, 2.5, 1.0, 4.0, 0.1, 2.0, 0.0]);
        assert_eq!(table.rows[2].name, "fence");
        assert_eq!(table.columns.len(), 14);
    }

    #[test]
    fn when_it_was_seen_decides_what_its_motion_means() {
        let snapshot = Snapshot::parse(
            r#"[{"id":"p","kind":"sphere","center":[1,2,3],"radius":0.3,"velocity":[0.5,0,-1]},
                {"id":"c","kind":"box","center":[0,2,1],"size":[4,1,2],"max_speed":0.8}]"#,
        )
        .unwrap();
        let motion = |seen| {
            let table = snapshot.table(seen);
            let of_row = |row: &TableRow| row.values[8..].to_vec();
            table.rows.iter().map(of_row).collect::<Vec<_>>()
        };
        let at = Seen::At {
            line_ns: 1_500_000_000,
            time_to_live: Duration::from_millis(300),
        };
        assert_eq!(
            motion(at),
            [
                [-1.0, 0.5, 0.0, -1.0, 1.5, 0.3],
                [0.8, 0.0, 0.0, 0.0, 1.5, 0.3]
            ]
        );
        assert_eq!(
            motion(Seen::Standing),
            [
                [-1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
                [0.8, 0.0, 0.0, 0.0, 0.0, 0.0]
            ]
        );
        assert_eq!(
            motion(Seen::Fixture),
            [[0.0; 6], [0.8, 0.0, 0.0, 0.0, 0.0, 0.0]]
        );
        // What is believed for no time at all is old at once, and no fixture.
        let at_once = Seen::At {
            line_ns: 0,
            time_to_live: Duration::ZERO,
        };
        assert!(motion(at_once)[0][5] > 0.0);
    }

    #[test]
    fn a_snapshot_is_written_as_it_was_read() {
        let json = concat!(
            r#"[{"kind":"sphere","id":"p","center":[1.0,2.0,3.0],"radius":0.3},"#,
            r#"{"kind":"box","id":"c","center":[0.0,2.0,1.0],"size":[4.0,1.0,2.0],"#,
            r#""velocity":[0.5,0.0,-1.0],"max_speed":0.8}]"#
        );
        let snapshot = Snapshot::parse(json).unwrap();
        assert_eq!(serde_json::to_string(&snapshot).unwrap(), json);
    }

    #[test]
    fn an_empty_snapshot_is_a_room_with_nobody_in_it() {
        let nobody = Snapshot::parse("[]").unwrap();
        assert!(nobody.table(Seen::Fixture).rows.is_empty());
    }

    #[test]
    fn a_snapshot_is_refused_whole_and_says_why() {
        let refused = |json: &str| Snapshot::parse(json).unwrap_err().to_string();
        let sphere = |id: &str, radius: &str| {
            format!(r#"{{"id":"{id}","kind":"sphere","center":[0,0,0],"radius":{radius}}}"#)
        };
        assert!(refused("{}").contains("expected JSON"));
        assert!(refused(r#"[{"id":"x","kind":"cone"}]"#).contains("cone"));
        let typo = r#"[{"id":"x","kind":"sphere","center":[0,0,0],"radius":1,"raduis":2}]"#;
        assert!(refused(typo).contains("raduis"));
        assert!(refused(&format!("[{}]", sphere("x", "0"))).contains("radius is 0"));
        assert!(refused(&format!("[{}]", sphere("x", "-1"))).contains("more than 0 m"));
        assert!(refused(&format!("[{}]", sphere("", "1"))).contains("0 bytes"));
        let twice = format!("[{},{}]", sphere("x", "1"), sphere("x", "1"));
        assert!(refused(&twice).contains("two obstacles are called `x`"));
        let many: Vec<_> = (0..33).map(|i| sphere(&i.to_string(), "1")).collect();
        assert!(refused(&format!("[{}]", many.join(","))).contains("33 obstacles"));
        assert!(
            refused(r#"[{"id":"b","kind":"box","center":[0,0,2000],"size":[1,1,1]}]"#)
                .contains("center is 2000")
        );
        let moving = |how: &str| {
            format!(r#"[{{"id":"b","kind":"sphere","center":[0,0,0],"radius":1,{how}}}]"#)
        };
        assert!(refused(&moving(r#""velocity":[0,0,101]"#)).contains("velocity is 101"));
        assert!(refused(&moving(r#""velocity":[0,0]"#)).contains("expected JSON"));
        assert!(refused(&moving(r#""max_speed":-1"#)).contains("0 m/s to 100 m/s"));
    }
}
