//! Obstacles: the people and things that a robot's distance is computed to.
//!
//! A source sends complete snapshots, empty ones included, as the JSON of the API:
//!
//! ```json
//! [{"id":"p1","kind":"sphere","center":[1.2,0.4,1.0],"radius":0.3},
//!  {"id":"p2","kind":"capsule","a":[2,1,0],"b":[2,1,1.8],"radius":0.35,"velocity":[0.4,0,0]},
//!  {"id":"fence","kind":"box","center":[0,2.5,1],"size":[4,0.1,2]}]
//! ```
//!
//! Metres, in the cell's frame (the robot's base frame unless a base pose is given), z up. A snapshot
//! is taken whole or refused whole: half a room is worse than a clear error.
//!
//! [`Room`] puts them together: fixtures, which stand where they are and never get old, and whom a
//! source saw, which holds for its time to live and not a moment longer.

use std::collections::BTreeSet;

use retrotap_host::{Table, TableRow};
use serde::{Deserialize, Serialize};

/// Obstacles in one snapshot, and rows of the stage's table: `rows_max` of `obstacles` in
/// `pipelines/stages/arm-distance/manifest.yaml`, which the host checks again.
pub const OBSTACLES_MAX: usize = 32;

/// The largest coordinate or size, in metres: far beyond any cell, small enough that single
/// precision still resolves 0.1 mm there.
pub const COORDINATE_MAX_M: f64 = 1_000.0;

/// The greatest part of a velocity, in m/s: no person and no truck in a plant is as fast.
pub const VELOCITY_MAX_M_PER_S: f64 = 50.0;

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
        /// How it moves, in m/s; zero where that isn't known.
        #[serde(default, skip_serializing_if = "is_zero")]
        velocity: [f64; 3],
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
        /// How it moves, in m/s; zero where that isn't known.
        #[serde(default, skip_serializing_if = "is_zero")]
        velocity: [f64; 3],
    },
    /// A box whose edges are parallel to the axes of the cell.
    Box {
        /// Unique in a snapshot; what `nearest_obstacle` prints.
        id: String,
        /// The middle.
        center: [f64; 3],
        /// Whole edge lengths, each more than zero.
        size: [f64; 3],
        /// How it moves, in m/s; zero where that isn't known.
        #[serde(default, skip_serializing_if = "is_zero")]
        velocity: [f64; 3],
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
        check_names(obstacles.iter().map(Obstacle::id))?;
        for (index, obstacle) in obstacles.iter().enumerate() {
            let bytes = obstacle.id().len();
            if bytes == 0 || bytes > ID_BYTES_MAX {
                return Err(SnapshotError::Id { index, bytes });
            }
            obstacle.check()?;
        }
        Ok(Self { obstacles })
    }

    /// The obstacles, in the order in which they were given.
    pub fn obstacles(&self) -> &[Obstacle] {
        &self.obstacles
    }
}

/// Everything in a cell at one moment.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct Room {
    fixtures: Snapshot,
    sighting: Option<Sighting>,
}

/// Whom a source saw, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// All of them; empty means that nobody was there.
    pub obstacles: Snapshot,
    /// Line time at which they were there, in nanoseconds.
    pub seen_ns: u64,
    /// For how long that holds, in nanoseconds.
    pub time_to_live_ns: u64,
}

impl Sighting {
    /// Until when it holds, in line time.
    pub fn holds_until_ns(&self) -> u64 {
        self.seen_ns.saturating_add(self.time_to_live_ns)
    }
}

impl Room {
    /// What stands there, and whom a source saw.
    ///
    /// # Errors
    ///
    /// Together they are too many, or two have one name.
    pub fn new(fixtures: Snapshot, sighting: Option<Sighting>) -> Result<Self, SnapshotError> {
        let seen = sighting.iter().flat_map(|seen| &seen.obstacles.obstacles);
        let all = fixtures.obstacles.iter().chain(seen);
        check_names(all.map(Obstacle::id))?;
        Ok(Self { fixtures, sighting })
    }

    /// Reads the JSON of a capture, or that of the API as fixtures.
    ///
    /// # Errors
    ///
    /// It is none, or not a possible room.
    pub fn parse(json: &str) -> Result<Self, SnapshotError> {
        let room: Self =
            serde_json::from_str(json).map_err(|error| SnapshotError::Json(error.to_string()))?;
        let whole = Snapshot::new;
        let fixtures = whole(room.fixtures.obstacles)?;
        let sighting = room
            .sighting
            .map(|seen| {
                let obstacles = whole(seen.obstacles.obstacles)?;
                Ok::<_, SnapshotError>(Sighting { obstacles, ..seen })
            })
            .transpose()?;
        Self::new(fixtures, sighting)
    }

    /// Whom a source saw, if one did.
    pub fn sighting(&self) -> Option<&Sighting> {
        self.sighting.as_ref()
    }

    /// The rows of the stage's `obstacles` table.
    pub fn table(&self) -> Table {
        let fixtures = self.fixtures.obstacles.iter();
        let fixtures = fixtures.map(|fixture| fixture.row(FIXTURE_SPEED, 0, 0));
        let seen = self.sighting.iter().flat_map(|seen| {
            let obstacles = seen.obstacles.obstacles.iter();
            obstacles.map(|one| one.row(PERSON_SPEED, seen.seen_ns, seen.time_to_live_ns))
        });
        Table {
            columns: COLUMNS.iter().map(ToString::to_string).collect(),
            rows: fixtures.chain(seen).collect(),
        }
    }
}

impl From<Snapshot> for Room {
    /// Fixtures alone.
    fn from(fixtures: Snapshot) -> Self {
        Self {
            fixtures,
            sighting: None,
        }
    }
}

/// A room in JSON: the list of the API where there are fixtures alone, else an object.
#[derive(Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Fixtures(Vec<Obstacle>),
    Seen(WrittenSighting),
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenSighting {
    fixtures: Vec<Obstacle>,
    seen: Vec<Obstacle>,
    seen_line_ns: u64,
    time_to_live_ns: u64,
}

impl From<Room> for Written {
    fn from(room: Room) -> Self {
        let fixtures = room.fixtures.obstacles;
        match room.sighting {
            None => Self::Fixtures(fixtures),
            Some(sighting) => Self::Seen(WrittenSighting {
                fixtures,
                seen: sighting.obstacles.obstacles,
                seen_line_ns: sighting.seen_ns,
                time_to_live_ns: sighting.time_to_live_ns,
            }),
        }
    }
}

impl From<Written> for Room {
    /// As it stands: [`Room::parse`] checks it.
    fn from(written: Written) -> Self {
        let unchecked = |obstacles| Snapshot { obstacles };
        match written {
            Written::Fixtures(fixtures) => unchecked(fixtures).into(),
            Written::Seen(written) => Self {
                fixtures: unchecked(written.fixtures),
                sighting: Some(Sighting {
                    obstacles: unchecked(written.seen),
                    seen_ns: written.seen_line_ns,
                    time_to_live_ns: written.time_to_live_ns,
                }),
            },
        }
    }
}

/// How fast a row may approach, in the stage's words: a fixture not at all, whoever is seen as fast as a
/// person.
const FIXTURE_SPEED: f64 = 0.0;
const PERSON_SPEED: f64 = -1.0;

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

fn is_zero(velocity: &[f64; 3]) -> bool {
    *velocity == [0.0; 3]
}

/// Not too many, and no name twice.
fn check_names<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), SnapshotError> {
    let (mut known, mut count) = (BTreeSet::new(), 0);
    for id in ids {
        count += 1;
        if !known.insert(id) {
            return Err(SnapshotError::DoubledId(id.to_owned()));
        }
    }
    if count > OBSTACLES_MAX {
        return Err(SnapshotError::TooMany { count });
    }
    Ok(())
}

impl Obstacle {
    /// Its name.
    pub fn id(&self) -> &str {
        match self {
            Self::Sphere { id, .. } | Self::Capsule { id, .. } | Self::Box { id, .. } => id,
        }
    }

    fn velocity(&self) -> &[f64; 3] {
        match self {
            Self::Sphere { velocity, .. }
            | Self::Capsule { velocity, .. }
            | Self::Box { velocity, .. } => velocity,
        }
    }

    fn check(&self) -> Result<(), SnapshotError> {
        let fast = |part: &&f64| !(-VELOCITY_MAX_M_PER_S..=VELOCITY_MAX_M_PER_S).contains(*part);
        if let Some(&value) = self.velocity().iter().find(fast) {
            return Err(SnapshotError::Number {
                id: self.id().to_owned(),
                what: "velocity",
                value,
                expected: "-50 m/s to 50 m/s",
            });
        }
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

    fn row(&self, speed_m_per_s: f64, seen_ns: u64, time_to_live_ns: u64) -> TableRow {
        let (kind, a, b, radius) = match self {
            Self::Sphere { center, radius, .. } => (0.0, center, &[0.0; 3], *radius),
            Self::Capsule { a, b, radius, .. } => (1.0, a, b, *radius),
            Self::Box { center, size, .. } => (2.0, center, size, 0.0),
        };
        let mut values = Vec::with_capacity(COLUMNS.len());
        values.push(kind);
        values.extend_from_slice(a);
        values.extend_from_slice(b);
        values.extend([radius, speed_m_per_s]);
        values.extend_from_slice(self.velocity());
        values.extend([seen_ns, time_to_live_ns].map(|ns| ns as f64 / 1e9));
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
        let sighting = Sighting {
            obstacles: Snapshot::parse(
                r#"[{"id":"anna","kind":"sphere","center":[5,6,7],"radius":0.4,"velocity":[0.1,-0.2,0]}]"#,
            )
            .unwrap(),
            seen_ns: 2_500_000_000,
            time_to_live_ns: 300_000_000,
        };
        let table = Room::new(snapshot, Some(sighting)).unwrap().table();
        let shapes: Vec<_> = table.rows.iter().map(|row| &row.values[..8]).collect();
        assert_eq!(shapes[0], [0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.3]);
        assert_eq!(shapes[1], [1.0, 2.0, 1.0, 0.0, 2.0, 1.0, 1.8, 0.35]);
        assert_eq!(shapes[2], [2.0, 0.0, 2.5, 1.0, 4.0, 0.1, 2.0, 0.0]);
        assert_eq!(shapes[3], [0.0, 5.0, 6.0, 7.0, 0.0, 0.0, 0.0, 0.4]);
        assert_eq!(table.rows[2].name, "fence");
        let motions: Vec<_> = table.rows.iter().map(|row| &row.values[8..]).collect();
        assert_eq!(motions[2], [0.0; 6], "a fixture stands and never gets old");
        assert_eq!(motions[3], [-1.0, 0.1, -0.2, 0.0, 2.5, 0.3]);
        assert_eq!(table.columns.len(), table.rows[3].values.len());
    }

    #[test]
    fn an_empty_snapshot_is_a_room_with_nobody_in_it() {
        assert!(Room::parse("[]").unwrap().table().rows.is_empty());
    }

    #[test]
    fn a_room_stands_in_a_capture_as_it_was() {
        let fixtures =
            r#"[{"kind":"box","id":"fence","center":[0.0,2.5,1.0],"size":[4.0,0.1,2.0]}]"#;
        let seen = r#"{"kind":"sphere","id":"p1","center":[1.0,2.0,3.0],"radius":0.3,"velocity":[0.4,0.0,0.0]}"#;
        let with = |seen: &str| {
            format!(
                r#"{{"fixtures":{fixtures},"seen":[{seen}],"seen_line_ns":7,"time_to_live_ns":9}}"#
            )
        };
        for json in [fixtures.to_owned(), with(seen), with("")] {
            let room = Room::parse(&json).unwrap();
            assert_eq!(serde_json::to_string(&room).unwrap(), json);
        }
        let fence_again = with(&seen.replace("p1", "fence"));
        assert!(matches!(
            Room::parse(&fence_again),
            Err(SnapshotError::DoubledId(_))
        ));
        assert!(Room::parse(&with(&seen.replace("0.3", "-1"))).is_err());
        assert!(Room::parse(&with(&seen.replace("[0.4", "[51"))).is_err());
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
