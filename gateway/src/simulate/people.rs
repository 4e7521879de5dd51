//! People for the demo: two walk around and past the robot's front, and a fence stands behind it.
//!
//! A function of time alone, so the demo shows the same walk each time. Speeds stay below the
//! 1.6 m/s that ISO 13855 gives for a walking person. Both come near enough that the robot has to stop,
//! and go far enough away that it may go on.

use std::f64::consts::TAU;

use crate::cell::obstacles::{Obstacle, Snapshot, SnapshotError};

/// Upright, as wide as shoulders and elbows.
const PERSON_RADIUS_M: f64 = 0.35;
const PERSON_HEIGHT_M: f64 = 1.8;

/// Anna's way to and fro around the front of the robot: half axes of an ellipse, how far she turns
/// to each side, and the time until she is back. At most 1.5 m/s.
const ROUND_X_M: f64 = 4.8;
const ROUND_Y_M: f64 = 4.8;
const ROUND_TURN_RAD: f64 = 1.75;
const ROUND_S: f64 = 36.0;

/// Ben's way to the robot and back: how far off he is in the middle, how far he goes to each side of that,
/// and the time until he is back. At most 0.9 m/s.
const FRONT_X_M: f64 = 4.3;
const FRONT_HALF_WAY_M: f64 = 1.1;
const FRONT_Y_M: f64 = 0.6;
const FRONT_S: f64 = 21.0;

/// Who walks where, that many seconds after the beginning.
///
/// # Errors
/// Never: they are few, and nobody leaves the plant.
pub fn at(seconds: f64) -> Result<Snapshot, SnapshotError> {
    let (here, soon) = (places(seconds), places(seconds + SOON_S));
    let people = ["anna", "ben"].iter().zip(here.iter().zip(&soon));
    Snapshot::new(
        people
            .map(|(id, (here, soon))| person(id, *here, *soon))
            .collect(),
    )
}

/// What always stands there.
///
/// # Errors
/// Never: it is a possible box.
pub fn fence() -> Result<Snapshot, SnapshotError> {
    Snapshot::new(vec![Obstacle::Box {
        id: "fence".to_owned(),
        center: [-4.5, 0.0, 1.0],
        size: [0.1, 6.0, 2.0],
        velocity: [0.0; 3],
    }])
}

/// Over which time their velocity is taken.
const SOON_S: f64 = 0.01;

fn places(seconds: f64) -> [[f64; 2]; 2] {
    let round = ROUND_TURN_RAD * (seconds / ROUND_S * TAU).sin();
    let front = seconds / FRONT_S * TAU;
    [
        [ROUND_X_M * round.cos(), ROUND_Y_M * round.sin()],
        [
            FRONT_X_M + FRONT_HALF_WAY_M * front.cos(),
            FRONT_Y_M * (2.0 * front).sin(),
        ],
    ]
}

fn person(id: &str, [x, y]: [f64; 2], soon: [f64; 2]) -> Obstacle {
    Obstacle::Capsule {
        id: id.to_owned(),
        a: [x, y, PERSON_RADIUS_M],
        b: [x, y, PERSON_HEIGHT_M - PERSON_RADIUS_M],
        radius: PERSON_RADIUS_M,
        velocity: [(soon[0] - x) / SOON_S, (soon[1] - y) / SOON_S, 0.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_walks_faster_than_a_person_walks() {
        for tick in 0..40_000 {
            let (now, next) = (
                places(f64::from(tick) * 0.01),
                places(f64::from(tick + 1) * 0.01),
            );
            for (a, b) in now.iter().zip(next) {
                let speed = ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt() / 0.01;
                assert!(speed < 1.6, "{speed} m/s at {} s", f64::from(tick) * 0.01);
            }
        }
    }

    #[test]
    fn the_stated_velocity_is_the_one_that_is_walked() {
        let middle = |snapshot: &Snapshot, index: usize| match &snapshot.obstacles()[index] {
            Obstacle::Capsule { a, velocity, .. } => (*a, *velocity),
            other => panic!("{} is no person", other.id()),
        };
        let (now, next) = (at(7.0).unwrap(), at(7.1).unwrap());
        for index in 0..2 {
            let ((a, velocity), (b, _)) = (middle(&now, index), middle(&next, index));
            for axis in 0..3 {
                assert!((a[axis] + 0.1 * velocity[axis] - b[axis]).abs() < 0.01);
            }
        }
    }
}
