//! What holds for every distance, whatever the shapes: against sampling, against each other, and against
//! what a distance is.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use retrotap_stage_arm_distance::closest::{Closest, of_segment_and_box, of_segments};
use retrotap_stage_arm_distance::nearest::{Nearest, nearest};
use retrotap_stage_arm_distance::shape::{Capsule, Obstacle, Placed, Segment};
use retrotap_stage_arm_distance::space::{Frame, Real, Vector, length, vector};

/// What single precision leaves at a few metres.
const ROUNDING: Real = 4e-6;

fn placed(a: [f64; 3], b: [f64; 3], radius: f64) -> Placed {
    Capsule::new(0, a, b, radius).placed(&Frame::CELL)
}

fn pair(robot: &Placed, obstacle: &Obstacle) -> Nearest {
    nearest(core::slice::from_ref(robot), [*obstacle], &mut ()).unwrap()
}

fn segment(a: [f64; 3], b: [f64; 3]) -> Segment {
    Segment::between(vector(a), vector(b))
}

fn plus(a: [f64; 3], b: [f64; 3]) -> [f64; 3] {
    core::array::from_fn(|axis| a[axis] + b[axis])
}

/// The distance of a segment and a box by trying points; negative inside.
fn sampled(segment: &Segment, half: &Vector) -> Real {
    let height = |share: Real| {
        let excess = segment.at(share).abs() - half;
        let outside = excess.map(|x| if x > 0.0 { x } else { 0.0 });
        let inside = excess.max();
        if inside < 0.0 {
            inside
        } else {
            length(&outside)
        }
    };
    (0..=4000)
        .map(|step| height(step as Real / 4000.0))
        .fold(Real::INFINITY, Real::min)
}

fn signed(closest: &Closest) -> Real {
    if closest.inside {
        -length(&closest.way)
    } else {
        length(&closest.way)
    }
}

fn point() -> impl Strategy<Value = [f64; 3]> {
    // A grid of 0.1 m now and then: parallel, touching and degenerate shapes are rare otherwise.
    prop_oneof![
        prop::array::uniform3(-3.0..3.0_f64),
        prop::array::uniform3((-20..20_i32).prop_map(|tenths| f64::from(tenths) / 10.0)),
    ]
}

fn edges() -> impl Strategy<Value = [f64; 3]> {
    prop_oneof![
        prop::array::uniform3(0.0..2.0_f64),
        prop::array::uniform3((0..20_i32).prop_map(|tenths| f64::from(tenths) / 10.0)),
    ]
}

#[derive(Clone, Debug)]
enum Shape {
    Sphere([f64; 3], f64),
    Capsule([f64; 3], [f64; 3], f64),
    Box([f64; 3], [f64; 3]),
}

impl Shape {
    fn moved(&self, by: [f64; 3]) -> Obstacle {
        match *self {
            Self::Sphere(centre, radius) => Obstacle::sphere(plus(centre, by), radius),
            Self::Capsule(a, b, radius) => Obstacle::capsule(plus(a, by), plus(b, by), radius),
            Self::Box(centre, edges) => Obstacle::cuboid(plus(centre, by), edges),
        }
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    let radius = || 0.0..1.0_f64;
    prop_oneof![
        (point(), radius()).prop_map(|(centre, radius)| Shape::Sphere(centre, radius)),
        (point(), point(), radius()).prop_map(|(a, b, radius)| Shape::Capsule(a, b, radius)),
        (point(), edges()).prop_map(|(centre, edges)| Shape::Box(centre, edges)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn moving_an_obstacle_by_d_changes_the_distance_by_at_most_d(
        a in point(), b in point(), radius in 0.0..0.6_f64, shape in shape(),
        by in prop::array::uniform3(-0.5..0.5_f64),
    ) {
        let robot = placed(a, b, radius);
        let (before, after) = (pair(&robot, &shape.moved([0.0; 3])), pair(&robot, &shape.moved(by)));
        let change = (after.distance - before.distance).abs();
        prop_assert!(change <= length(&vector(by)) + ROUNDING, "{change}");
    }

    #[test]
    fn swapping_the_ends_of_a_capsule_changes_nothing(
        a in point(), b in point(), radius in 0.0..0.6_f64, shape in shape(),
    ) {
        let obstacle = shape.moved([0.0; 3]);
        let (one, other) = (pair(&placed(a, b, radius), &obstacle), pair(&placed(b, a, radius), &obstacle));
        prop_assert!((one.distance - other.distance).abs() <= ROUNDING);
    }

    #[test]
    fn two_capsules_are_as_far_apart_from_either_side(
        a in point(), b in point(), c in point(), d in point(), radii in (0.0..0.6_f64, 0.0..0.6_f64),
    ) {
        let one = pair(&placed(a, b, radii.0), &Obstacle::capsule(c, d, radii.1));
        let other = pair(&placed(c, d, radii.1), &Obstacle::capsule(a, b, radii.0));
        prop_assert!((one.distance - other.distance).abs() <= ROUNDING);
    }

    #[test]
    fn the_closest_points_are_as_far_apart_as_the_distance_says(
        a in point(), b in point(), radius in 0.0..0.6_f64, shape in shape(),
    ) {
        let found = pair(&placed(a, b, radius), &shape.moved([0.0; 3]));
        let apart = length(&(found.on_obstacle - found.on_robot));
        prop_assert!((apart - found.distance.abs()).abs() <= ROUNDING);
        prop_assert!((length(&found.outward) - 1.0).abs() <= 1e-6);
    }

    #[test]
    fn an_obstacle_that_goes_outward_gets_farther_by_as_much(
        a in point(), b in point(), radius in 0.0..0.6_f64, shape in shape(),
    ) {
        let robot = placed(a, b, radius);
        let found = pair(&robot, &shape.moved([0.0; 3]));
        // Where the axes touch, every way out is as good as another.
        let axes_apart = found.distance + robot.radius;
        prop_assume!(found.distance > 1e-3 || (matches!(shape, Shape::Box(..)) && axes_apart > 1e-3));
        let way = (found.outward * 0.25).map(f64::from);
        let gone = pair(&robot, &shape.moved([way.x, way.y, way.z]));
        prop_assert!((gone.distance - found.distance - 0.25).abs() <= 1e-4, "{} {}", gone.distance, found.distance);
    }

    #[test]
    fn no_point_tried_on_two_segments_is_closer(a in point(), b in point(), c in point(), d in point()) {
        let (one, other) = (segment(a, b), segment(c, d));
        let found = length(&of_segments(&one, &other).way);
        for i in 0..=40 {
            for j in 0..=40 {
                let tried = other.at(j as Real / 40.0) - one.at(i as Real / 40.0);
                prop_assert!(found <= length(&tried) + ROUNDING);
            }
        }
    }

    #[test]
    fn a_segment_and_a_box_are_as_far_apart_as_trying_finds(a in point(), b in point(), edges in edges()) {
        let half = vector(edges) * 0.5;
        let segment = segment(a, b);
        let found = signed(&of_segment_and_box(&segment, &half));
        let tried = sampled(&segment, &half);
        let step = length(&segment.along) / 4000.0;
        prop_assert!(found <= tried + ROUNDING, "{found} is farther than {tried}");
        prop_assert!(found >= tried - step - ROUNDING, "{found} is nearer than {tried}");
    }

    #[test]
    fn leaving_pairs_out_never_changes_the_nearest(
        robot in prop::collection::vec((point(), point(), 0.0..0.4_f64), 1..8),
        shapes in prop::collection::vec(shape(), 1..8),
    ) {
        let capsules: Vec<Placed> = robot.iter().map(|(a, b, radius)| placed(*a, *b, *radius)).collect();
        let obstacles: Vec<Obstacle> = shapes.iter().map(|shape| shape.moved([0.0; 3])).collect();
        let found = nearest(&capsules, obstacles.iter().copied(), &mut ()).unwrap();
        let mut least = Real::INFINITY;
        let mut at = (0, 0);
        for (o, obstacle) in obstacles.iter().enumerate() {
            for (c, capsule) in capsules.iter().enumerate() {
                let distance = pair(capsule, obstacle).distance;
                if distance < least {
                    (least, at) = (distance, (c, o));
                }
            }
        }
        prop_assert_eq!(found.distance.to_bits(), least.to_bits());
        prop_assert_eq!((found.capsule, found.obstacle), at);
    }
}

#[test]
fn touching_shapes_are_at_zero() {
    let robot = placed([0.0; 3], [0.0, 0.0, 1.0], 0.25);
    for obstacle in [
        Obstacle::sphere([0.75, 0.0, 0.5], 0.5),
        Obstacle::capsule([0.75, -1.0, 0.5], [0.75, 1.0, 0.5], 0.5),
        Obstacle::cuboid([0.75, 0.0, 0.5], [1.0, 1.0, 1.0]),
    ] {
        assert_eq!(pair(&robot, &obstacle).distance, 0.0);
    }
}

#[test]
fn overlapping_shapes_are_below_zero_however_they_overlap() {
    let robot = placed([0.0; 3], [0.0, 0.0, 1.0], 0.25);
    for (obstacle, expected) in [
        (Obstacle::sphere([0.5, 0.0, 0.5], 0.5), -0.25),
        (Obstacle::sphere([0.0, 0.0, 0.5], 0.5), -0.75),
        (
            Obstacle::capsule([-1.0, 0.0, 0.5], [1.0, 0.0, 0.5], 0.5),
            -0.75,
        ),
        (
            Obstacle::capsule([0.0, 0.0, -1.0], [0.0, 0.0, 2.0], 0.5),
            -0.75,
        ),
        // The surface alone is inside, the axis touches a face, the axis is inside, the box is in the capsule.
        (Obstacle::cuboid([0.625, 0.0, 0.5], [1.0, 1.0, 1.0]), -0.125),
        (Obstacle::cuboid([0.5, 0.0, 0.5], [1.0, 4.0, 4.0]), -0.25),
        (Obstacle::cuboid([0.0, 0.0, 0.5], [4.0, 4.0, 4.0]), -2.25),
        (Obstacle::cuboid([0.0, 0.0, 0.5], [0.0, 0.0, 0.0]), -0.25),
    ] {
        assert_eq!(pair(&robot, &obstacle).distance, expected, "{obstacle:?}");
    }
}

#[test]
fn degenerate_segments_have_a_distance_too() {
    let unit = segment([0.0; 3], [1.0, 0.0, 0.0]);
    let dot = |at| segment(at, at);
    for (other, expected) in [
        (dot([0.5, 2.0, 0.0]), 2.0),
        (dot([-3.0, 4.0, 0.0]), 5.0),
        (dot([0.5, 0.0, 0.0]), 0.0),
        // Parallel beside, parallel ahead, in line, the same, turned round.
        (segment([0.25, 1.0, 0.0], [0.75, 1.0, 0.0]), 1.0),
        (segment([4.0, 4.0, 0.0], [5.0, 4.0, 0.0]), 5.0),
        (segment([3.0, 0.0, 0.0], [4.0, 0.0, 0.0]), 2.0),
        (segment([0.0; 3], [1.0, 0.0, 0.0]), 0.0),
        (segment([1.0, 0.0, 0.0], [0.0; 3]), 0.0),
        // Crossing, crossing above, end to side.
        (segment([0.5, -1.0, 0.0], [0.5, 1.0, 0.0]), 0.0),
        (segment([0.5, -1.0, 3.0], [0.5, 1.0, 3.0]), 3.0),
        (segment([0.5, 2.0, 0.0], [0.5, 5.0, 0.0]), 2.0),
    ] {
        for (one, two) in [(&unit, &other), (&other, &unit)] {
            assert_eq!(length(&of_segments(one, two).way), expected, "{other:?}");
        }
    }
    assert_eq!(
        length(&of_segments(&dot([1.0, 2.0, 3.0]), &dot([1.0, 2.0, 3.0])).way),
        0.0
    );
}

#[test]
fn a_segment_that_just_enters_a_box_is_inside_it() {
    // In single precision the point of entry comes out a ten-millionth outside.
    let segment = segment([-1.195_443_4, -1.281_143_2, 0.0], [0.0, 0.1, -0.9]);
    let half = vector([0.203_024_68, 1.686_398, 1.659_835_8]) * 0.5;
    let found = of_segment_and_box(&segment, &half);
    assert!(found.inside && (signed(&found) - sampled(&segment, &half)).abs() < 1e-3);
}

#[test]
fn nearly_parallel_segments_cross_where_they_cross() {
    for tilt in [1e-2, 1e-3, 1e-4, 1e-5] {
        let one = segment([-1.0, 0.0, 0.0], [1.0, 0.0, 0.0]);
        let other = segment([-1.0, -tilt, 0.0], [1.0, tilt, 0.0]);
        let found = length(&of_segments(&one, &other).way);
        assert!(found <= 1e-6, "{found} at a tilt of {tilt}");
    }
}

#[test]
fn nothing_to_compare_gives_nothing() {
    assert!(nearest(&[], [Obstacle::POINT], &mut ()).is_none());
    assert!(nearest(&[Placed::POINT], [], &mut ()).is_none());
}
