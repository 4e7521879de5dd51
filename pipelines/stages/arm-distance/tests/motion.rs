//! Poses and speeds over several cycles.
#![allow(clippy::unwrap_used)]

mod support;

use proptest::prelude::*;
use retrotap_stage_arm_distance::arm::{Arm, ShapeError, Step, Timing};
use retrotap_stage_arm_distance::chain::{Joint, JointError, Motion};
use retrotap_stage_arm_distance::shape::{Capsule, Obstacle};
use retrotap_stage_arm_distance::space::{Frame, Vector, length, sine_cosine, vector};
use support::{TIMING, axes, bare, robot, robot_at};

const CYCLE_NS: i64 = 65_625_000;

fn assert_near(seen: &Vector, expected: [f64; 3]) {
    assert!(
        length(&(seen - vector(expected))) < 1e-5,
        "{seen:?} for {expected:?}"
    );
}

fn speeds(step: &Step) -> (f32, f32, f32) {
    let speed = step.distance.unwrap().speed.unwrap();
    (
        step.flange_speed.unwrap(),
        speed.any_direction,
        speed.closing,
    )
}

#[test]
fn sine_and_cosine_are_right_to_the_last_place() {
    for tenth in -40_000..=40_000 {
        let angle = f64::from(tenth) / 10.0;
        let (sine, cosine) = sine_cosine(angle);
        let (true_sine, true_cosine) =
            (libm::sin(angle.to_radians()), libm::cos(angle.to_radians()));
        assert!(
            (f64::from(sine) - true_sine).abs() < 6.1e-8,
            "sine of {angle}"
        );
        assert!(
            (f64::from(cosine) - true_cosine).abs() < 6.1e-8,
            "cosine of {angle}"
        );
    }
    assert_eq!(
        [0.0, 90.0, 180.0, -90.0].map(sine_cosine),
        [(0.0, 1.0), (1.0, 0.0), (0.0, -1.0), (-1.0, 0.0)]
    );
}

#[test]
fn an_axis_that_turns_moves_flange_and_link_at_its_rate() {
    // Axis 1 at 100 °/s; the flange is 2.93 m from it, and the sphere beside the way of the hand.
    let mut arm = robot(&[Obstacle::sphere([2.93, -1.5, 0.695], 0.1)]);
    let first = arm.step(&axes([0.0; 6]), None, 0);
    assert!(first.flange_speed.is_none() && first.distance.unwrap().speed.is_none());
    let degrees = 100.0 * CYCLE_NS as f64 * 1e-9;
    let (flange, _, closing) =
        speeds(&arm.step(&axes([degrees, 0.0, 0.0, 0.0, 0.0, 0.0]), None, CYCLE_NS));
    let expected = 2.93 * 100.0_f32.to_radians();
    assert!((flange - expected).abs() < 1e-3, "{flange}");
    assert!(
        closing > 4.0,
        "axis 1 turns about −z: the hand goes to −y, towards the sphere, at {closing} m/s"
    );

    let (_, _, closing) = speeds(&arm.step(&axes([0.0; 6]), None, 2 * CYCLE_NS));
    assert!(closing < -4.0, "and back again at {closing} m/s");
}

proptest! {
    #[test]
    fn the_closing_speed_is_how_fast_the_distance_falls(
        from in prop::array::uniform6(-120.0..120.0_f64),
        rates in prop::array::uniform6(-100.0..100.0_f64),
        centre in prop::array::uniform3(-3.0..3.0_f64),
    ) {
        // A millisecond is short enough for a difference to be a derivative.
        let timing = Timing { cycle_time_min_s: 0.0, ..TIMING };
        let mut arm = robot_at(timing, &[Obstacle::sphere(centre, 0.05)]);
        let before = arm.step(&axes(from), None, 0).distance.unwrap().nearest;
        let later = core::array::from_fn(|axis| from[axis] + rates[axis] * 1e-3);
        let step = arm.step(&axes(later), None, 1_000_000);
        let after = step.distance.unwrap();
        prop_assume!(before.capsule == after.nearest.capsule && after.nearest.distance > 0.05);
        let (flange, any, closing) = speeds(&step);
        let fallen = (before.distance - after.nearest.distance) / 1e-3;
        prop_assert!((closing - fallen).abs() < 0.05, "{closing} for {fallen}");
        prop_assert!(closing.abs() <= any * 1.0001);
        prop_assert!(flange >= 0.0);
    }
}

#[test]
fn after_a_pause_there_is_no_speed() {
    let mut arm = robot(&[Obstacle::sphere([3.0, 0.0, 0.0], 0.1)]);
    arm.step(&axes([0.0; 6]), None, 0);
    let late = arm.step(&axes([10.0, 0.0, 0.0, 0.0, 0.0, 0.0]), None, 500_000_001);
    assert!(late.flange_speed.is_none() && late.distance.unwrap().speed.is_none());
    assert!(
        arm.step(&axes([10.0, 0.0, 0.0, 0.0, 0.0, 0.0]), None, 600_000_000)
            .flange_speed
            .is_some()
    );
}

#[test]
fn cycles_delivered_in_a_bundle_count_as_the_lines_shortest_time_apart() {
    let mut arm = robot(&[]);
    arm.step(&axes([0.0; 6]), None, 1_000);
    let step = arm.step(&axes([5.0, 0.0, 0.0, 0.0, 0.0, 0.0]), None, 1_000);
    let expected = 2.93 * (5.0_f32 / TIMING.cycle_time_min_s as f32).to_radians();
    assert!((step.flange_speed.unwrap() - expected).abs() < 1e-3);
}

#[test]
fn an_obstacle_that_comes_does_not_make_the_speed_unknown() {
    let mut arm = robot(&[]);
    assert!(arm.step(&axes([0.0; 6]), None, 0).distance.is_none());
    let mut with_person = arm.clone();
    with_person
        .push_obstacle(Obstacle::sphere([3.0, 1.0, 0.0], 0.1))
        .unwrap();
    let step = with_person.step(&axes([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]), None, CYCLE_NS);
    assert!(step.distance.unwrap().speed.is_some());
}

#[test]
fn the_base_puts_the_arm_into_the_cell() {
    let base = Frame::at([10.0, 20.0, 0.5], [0.0, 0.0, core::f64::consts::FRAC_PI_2]);
    assert_near(
        &bare(base).step(&axes([0.0; 6]), None, 0).flange,
        [10.0, 22.93, 1.195],
    );
    let tipped = Frame::at(
        [0.0; 3],
        [core::f64::consts::FRAC_PI_2, 0.0, core::f64::consts::PI],
    );
    // Roll takes z to −y, and yaw then turns x to −x and −y to y.
    assert_near(
        &bare(tipped).step(&axes([0.0; 6]), None, 0).flange,
        [-2.93, 0.695, 0.0],
    );
}

#[test]
fn a_linear_axis_carries_what_is_behind_it() {
    let slide = Joint {
        motion: Motion::Prismatic,
        origin_m: [0.0, 0.0, 0.2],
        roll_pitch_yaw_rad: [0.0, 0.0, core::f64::consts::FRAC_PI_2],
        axis: [3.0, 0.0, 0.0],
        input: 6,
    };
    let turn = Joint {
        motion: Motion::Revolute,
        origin_m: [1.0, 0.0, 0.0],
        roll_pitch_yaw_rad: [0.0; 3],
        axis: [0.0, 0.0, 1.0],
        input: 0,
    };
    let hand = Joint {
        origin_m: [0.5, 0.0, 0.0],
        ..turn
    };
    let mut arm = Arm::EMPTY;
    arm.clear(Frame::CELL, TIMING);
    for joint in [slide, turn, hand] {
        arm.push_joint(&joint).unwrap();
    }
    let mut values = axes([90.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    values[6] = 2_000.0;
    assert_near(&arm.step(&values, None, 0).flange, [-0.5, 3.0, 0.2]);
    values[6] = 2_100.0;
    let step = arm.step(&values, None, 100_000_000);
    assert_near(&step.flange, [-0.5, 3.1, 0.2]);
    assert!((step.flange_speed.unwrap() - 1.0).abs() < 1e-5);
}

#[test]
fn the_base_does_not_count_for_the_distance() {
    let mut arm = robot(&[Obstacle::sphere([-0.206, 0.061, 0.063], 0.1)]);
    let nearest = arm.step(&axes([0.0; 6]), None, 0).distance.unwrap().nearest;
    assert_ne!(nearest.capsule, 0);
}

#[test]
fn impossible_joints_and_shapes_are_refused() {
    let mut arm = bare(Frame::CELL);
    let joint = Joint {
        motion: Motion::Revolute,
        origin_m: [0.0; 3],
        roll_pitch_yaw_rad: [0.0; 3],
        axis: [0.0; 3],
        input: 0,
    };
    assert_eq!(
        arm.push_joint(&joint),
        Err(JointError::AxisWithoutDirection)
    );
    let capsule = |link, radius| Capsule::new(link, [0.0; 3], [1.0; 3], radius);
    assert_eq!(
        arm.push_capsule(0, capsule(7, 0.1)),
        Err(ShapeError::NoSuchLink)
    );
    assert_eq!(
        arm.push_capsule(0, capsule(6, -0.1)),
        Err(ShapeError::NegativeSize)
    );
    assert_eq!(
        arm.push_obstacle(Obstacle::sphere([0.0; 3], -0.1)),
        Err(ShapeError::NegativeSize)
    );
    assert_eq!(
        arm.push_obstacle(Obstacle::cuboid([0.0; 3], [1.0, -1.0, 1.0])),
        Err(ShapeError::NegativeSize)
    );
    for _ in 0..16 {
        arm.push_capsule(0, capsule(6, 0.1)).unwrap();
    }
    assert_eq!(
        arm.push_capsule(0, capsule(6, 0.1)),
        Err(ShapeError::TooMany)
    );
}
