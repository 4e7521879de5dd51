//! Obstacles: the people and things that a robot's distance is computed to.
//!
//! A source sends complete snapshots, empty ones included, as the JSON of the API:
//!
//! ```json
//! [{"id":"p1","kind":"sphere","center":[1.2,0.4,1.0],"radius":0.3},
//!  {"id":"p2","kind":"capsule","a":[2,1,0],"b":[2,1,1.8],"radius":0.35},
//!  {"id":"fence","kind":"box","center":[0,2.5,1],"size":[4,0.1,2]}]
//! ```
//!
//! Metres, in the cell's frame (the robot's base frame unless a base pose is given), z up. A snapshot
//! is taken whole or refused whole: half a room is worse than a clear error.

use std::collections::BTreeSet;

use retrotap_host::{Table, TableRow};
use serde::{Deserialize, Serialize};

/// Obstacles in one snapshot, and rows of the stage's table: `rows_max` of `obstacles` in
/// `pipelines/stages/arm-distance/manifest.yaml`, which the host checks again.
pub const OBSTACLES_MAX: usize = 32;

/// The largest coordinate or size, in metres: far beyond any cell, small enough that single
/// precision still resolves 0.1 mm there.
pub const COORDINATE_MAX_M: f64 = 1_000.0;

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
    },
    /// A box whose edges are parallel to the axes of the cell.
    Box {
        /// Unique in a snapshot; what `nearest_obstacle` prints.
        id: String,
        /// The middle.
        center: [f64; 3],
        /// Whole edge lengths, each more than zero.
        size: [f64; 3],
    },
}

/// All obstacles of a cell at one moment. Empty means: nobody and nothing is there.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
#[serde(transparent)]
pub struct Snapshot {
    obstacles: Vec<Obstacle>,
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

    /// The rows of the stage's `obstacles` table.
    pub fn table(&self) -> Table {
        Table {
            columns: COLUMNS.iter().map(ToString::to_string).collect(),
            rows: self.obstacles.iter().map(Obstacle::row).collect(),
        }
    }
}

/// The columns of `arm-distance`'s table, in which a row is written.
const COLUMNS: [&str; 8] = [
    "kind", "ax_m", "ay_m", "az_m", "bx_m", "by_m", "bz_m", "radius_m",
];

impl Obstacle {
    /// Its name.
    pub fn id(&self) -> &str {
        match self {
            Self::Sphere { id, .. } | Self::Capsule { id, .. } | Self::Box { id, .. } => id,
        }
    }

    fn check(&self) -> Result<(), SnapshotError> {
        let number = |what, value: f64, positive: bool| {
            let expected = if positive {
                "more than 0 m and at most 1000 m"
            } else {
                "-1000 m to 1000 m"
            };
            let low = if positive {
                f64::MIN_POSITIVE
            } else {
                -COORDINATE_MAX_M
            };
            // A NaN is in no range, so it is refused here as well.
            if (low..=COORDINATE_MAX_M).contains(&value) {
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
        let point = |what, point: &[f64; 3]| point.iter().try_for_each(|&v| number(what, v, false));
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

    fn row(&self) -> TableRow {
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
        let table = snapshot.table();
        let rows: Vec<_> = table.rows.iter().map(|row| row.values.as_slice()).collect();
        assert_eq!(rows[0], [0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.3]);
        assert_eq!(rows[1], [1.0, 2.0, 1.0, 0.0, 2.0, 1.0, 1.8, 0.35]);
        assert_eq!(rows[2], [2.0, 0.0, 2.5, 1.0, 4.0, 0.1, 2.0, 0.0]);
        assert_eq!(table.rows[2].name, "fence");
    }

    #[test]
    fn an_empty_snapshot_is_a_room_with_nobody_in_it() {
        assert!(Snapshot::parse("[]").unwrap().table().rows.is_empty());
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
    }
}
