//! People for the demo: two walk around and past the robot's front, and a fence stands behind it.
//!
//! A function of time alone, so the demo shows the same walk each time. Speeds stay below the
//! 1.6 m/s that ISO 13855 gives for a walking person.

use std::f64::consts::TAU;

use crate::cell::obstacles::{Obstacle, Snapshot, SnapshotError};

/// Upright, as wide as shoulders and elbows.
const PERSON_RADIUS_M: f64 = 0.35;
const PERSON_HEIGHT_M: f64 = 1.8;

/// Anna's way to and fro around the front of the robot: half axes of an ellipse, how far she turns
/// to each side, and the time until she is back. At most 1.2 m/s.
const ROUND_X_M: f64 = 3.9;
const ROUND_Y_M: f64 = 3.3;
const ROUND_TURN_RAD: f64 = 1.75;
const ROUND_S: f64 = 36.0;

/// Ben's way to and fro along the front of the cell. At most 0.96 m/s.
const FRONT_X_M: f64 = 4.4;
const FRONT_HALF_WAY_M: f64 = 3.2;
const FRONT_S: f64 = 21.0;

/// Who stands where, that many seconds after the beginning.
pub fn at(seconds: f64) -> Result<Snapshot, SnapshotError> {
    let round = ROUND_TURN_RAD * (seconds / ROUND_S * TAU).sin();
    let front = seconds / FRONT_S * TAU;
    Snapshot::new(vec![
        person("anna", ROUND_X_M * round.cos(), ROUND_Y_M * round.sin()),
        person("ben", FRONT_X_M, FRONT_HALF_WAY_M * front.sin()),
        Obstacle::Box {
            id: "fence".to_owned(),
            center: [-4.5, 0.0, 1.0],
            size: [0.1, 6.0, 2.0],
            velocity: [0.0; 3],
        },
    ])
}

fn person(id: &str, x: f64, y: f64) -> Obstacle {
    Obstacle::Capsule {
        id: id.to_owned(),
        a: [x, y, PERSON_RADIUS_M],
        b: [x, y, PERSON_HEIGHT_M - PERSON_RADIUS_M],
        radius: PERSON_RADIUS_M,
        velocity: [0.0; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_walks_faster_than_a_person_walks() {
        let place = |seconds: f64, index: usize| match &at(seconds).unwrap().obstacles()[index] {
            Obstacle::Capsule { a, .. } => *a,
            other => panic!("{} is no person", other.id()),
        };
        for tick in 0..4_000 {
            let (now, next) = (f64::from(tick) * 0.1, f64::from(tick) * 0.1 + 0.1);
            for index in 0..2 {
                let (a, b) = (place(now, index), place(next, index));
                let speed = ((a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)).sqrt() / 0.1;
                assert!(speed < 1.6, "{speed} m/s at {now} s");
            }
        }
    }
}
