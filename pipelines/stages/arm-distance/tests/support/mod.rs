//! The KUKA KR 150-2 as the worked cases describe it.
#![allow(dead_code, reason = "every test uses a part of it")]
#![allow(clippy::unwrap_used)]

use retrotap_stage_arm_distance::arm::{Arm, Timing};
use retrotap_stage_arm_distance::chain::{Joint, Motion};
use retrotap_stage_arm_distance::shape::{Capsule, Obstacle};
use retrotap_stage_arm_distance::space::Frame;
use serde_json::Value;

/// Origins in metres and axes (ROS-Industrial kuka_experimental, kr150_2_macro.xacro).
pub const JOINTS: [([f64; 3], [f64; 3]); 6] = [
    ([0.0, 0.0, 0.75], [0.0, 0.0, -1.0]),
    ([0.35, 0.0, 0.0], [0.0, 1.0, 0.0]),
    ([1.25, 0.0, 0.0], [0.0, 1.0, 0.0]),
    ([0.0, 0.0, -0.055], [-1.0, 0.0, 0.0]),
    ([1.1, 0.0, 0.0], [0.0, 1.0, 0.0]),
    ([0.23, 0.0, 0.0], [-1.0, 0.0, 0.0]),
];

pub const TIMING: Timing = Timing {
    cycle_time_min_s: 0.05,
    speed_gap_max_s: 0.5,
};

/// Rows of the capsule table in order.
pub const CAPSULES: [&str; 7] = [
    "base_link",
    "link_1",
    "link_2",
    "link_3",
    "link_4",
    "link_5",
    "link_6",
];

pub fn vectors() -> Value {
    serde_json::from_str(include_str!("../kr150-2-vectors.json")).unwrap()
}

pub fn numbers<const N: usize>(value: &Value) -> [f64; N] {
    let list = value.as_array().unwrap();
    assert_eq!(list.len(), N);
    core::array::from_fn(|at| list[at].as_f64().unwrap())
}

/// The robot's joints on a base, without capsules.
pub fn bare(base: Frame) -> Arm {
    joints(base, TIMING)
}

fn joints(base: Frame, timing: Timing) -> Arm {
    let mut arm = Arm::EMPTY;
    arm.clear(base, timing);
    for (input, (origin_m, axis)) in JOINTS.into_iter().enumerate() {
        let joint = Joint {
            motion: Motion::Revolute,
            origin_m,
            roll_pitch_yaw_rad: [0.0; 3],
            axis,
            input,
        };
        arm.push_joint(&joint).unwrap();
    }
    arm
}

/// The robot with the capsules of the worked cases, and these obstacles.
pub fn robot(obstacles: &[Obstacle]) -> Arm {
    robot_at(TIMING, obstacles)
}

/// The same with another idea of time.
pub fn robot_at(timing: Timing, obstacles: &[Obstacle]) -> Arm {
    let mut arm = joints(Frame::CELL, timing);
    let vectors = vectors();
    for (row, name) in CAPSULES.into_iter().enumerate() {
        let capsule = &vectors["capsules"][name];
        let radius = capsule["r"].as_f64().unwrap();
        arm.push_capsule(
            row,
            Capsule::new(row, numbers(&capsule["a"]), numbers(&capsule["b"]), radius),
        )
        .unwrap();
    }
    for obstacle in obstacles {
        arm.push_obstacle(*obstacle).unwrap();
    }
    arm
}

pub fn obstacle(json: &Value) -> Obstacle {
    let radius = || json["radius"].as_f64().unwrap();
    match json["kind"].as_str().unwrap() {
        "sphere" => Obstacle::sphere(numbers(&json["center"]), radius()),
        "capsule" => Obstacle::capsule(numbers(&json["a"]), numbers(&json["b"]), radius()),
        "box" => Obstacle::cuboid(numbers(&json["center"]), numbers(&json["size"])),
        other => panic!("an obstacle of kind {other}"),
    }
}

/// Six axes and a linear axis at zero.
pub fn axes(deg: [f64; 6]) -> [f64; 7] {
    let [a, b, c, d, e, f] = deg;
    [a, b, c, d, e, f, 0.0]
}
