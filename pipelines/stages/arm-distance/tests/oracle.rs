//! Distances beside those of `parry3d`, another library by other people, in double precision.
#![allow(clippy::unwrap_used)]

use parry3d_f64::math::{Pose, Vector};
use parry3d_f64::query;
use parry3d_f64::shape::{Ball, Capsule as TheirCapsule, Cuboid, Shape};
use proptest::prelude::*;
use retrotap_stage_arm_distance::nearest::nearest;
use retrotap_stage_arm_distance::shape::{Capsule, Obstacle};
use retrotap_stage_arm_distance::space::Frame;

/// What single precision leaves at a few metres.
const ROUNDING: f64 = 4e-6;

/// Theirs is found by iterating, unless one of two is a sphere, until it is about that good.
const ITERATED: f64 = 1e-4;

fn theirs(robot: &TheirCapsule, obstacle: &dyn Shape, centre: [f64; 3]) -> f64 {
    let place = Pose::from_translation(vector(centre));
    let found = query::distance(&Pose::IDENTITY, robot, &place, obstacle).unwrap();
    found.distance
}

fn vector([x, y, z]: [f64; 3]) -> Vector {
    Vector::new(x, y, z)
}

/// Ours of a capsule and an obstacle, and theirs of the same two.
fn both(
    (a, b, radius): ([f64; 3], [f64; 3], f64),
    ours: Obstacle,
    other: &dyn Shape,
    centre: [f64; 3],
) -> (f64, f64) {
    let robot = Capsule::new(0, a, b, radius).placed(&Frame::CELL);
    let found = nearest(&[robot], [ours], &mut ()).unwrap();
    let theirs = theirs(
        &TheirCapsule::new(vector(a), vector(b), radius),
        other,
        centre,
    );
    (f64::from(found.distance), theirs)
}

/// Shapes that overlap have no distance in theirs, and one below zero in ours.
fn agree(ours: f64, theirs: f64, tolerance: f64) -> Result<(), TestCaseError> {
    let ours = if ours > 0.0 { ours } else { 0.0 };
    prop_assert!((ours - theirs).abs() <= tolerance, "{ours} for {theirs}");
    Ok(())
}

fn point() -> impl Strategy<Value = [f64; 3]> {
    prop_oneof![
        prop::array::uniform3(-3.0..3.0_f64),
        prop::array::uniform3((-20..20_i32).prop_map(|tenths| f64::from(tenths) / 10.0)),
    ]
}

fn capsule() -> impl Strategy<Value = ([f64; 3], [f64; 3], f64)> {
    (point(), point(), 0.05..0.6_f64)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn spheres(robot in capsule(), centre in point(), radius in 0.05..1.0_f64) {
        let (ours, theirs) = both(robot, Obstacle::sphere(centre, radius), &Ball::new(radius), centre);
        agree(ours, theirs, ROUNDING)?;
    }

    #[test]
    fn capsules(robot in capsule(), (a, b, radius) in capsule()) {
        let other = TheirCapsule::new(vector(a), vector(b), radius);
        let (ours, theirs) = both(robot, Obstacle::capsule(a, b, radius), &other, [0.0; 3]);
        agree(ours, theirs, ITERATED)?;
    }

    #[test]
    fn boxes(robot in capsule(), centre in point(), edges in prop::array::uniform3(0.05..2.0_f64)) {
        let other = Cuboid::new(vector(edges.map(|edge| edge / 2.0)));
        let (ours, theirs) = both(robot, Obstacle::cuboid(centre, edges), &other, centre);
        agree(ours, theirs, ITERATED)?;
    }
}
