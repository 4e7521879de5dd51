//! The arms in `adapters/robots` reach the places that their makers' own figures give: forward
//! kinematics by standard Denavit-Hartenberg parameters, in double precision and written for this test,
//! beside the stage's with the shipped tables.
#![allow(clippy::unwrap_used)]

mod support;

use proptest::prelude::*;
use retrotap_stage_arm_distance::arm::{Arm, CAPSULES_MAX};
use retrotap_stage_arm_distance::chain::{Joint, Motion};
use retrotap_stage_arm_distance::shape::Capsule;
use retrotap_stage_arm_distance::space::Frame;
use support::{TIMING, axes};

/// An arm's tables, and its maker's parameters: offset of θ in rad, d and a in metres, α in right angles.
struct Robot {
    chain: &'static str,
    capsules: &'static str,
    maker: [[f64; 4]; 6],
    /// Whether the tables' base is turned by 180° about z against the maker's.
    turned: bool,
    worked: [([f64; 6], [f64; 3]); 4],
}

/// Universal Robots, "DH parameters for calculations of kinematics and dynamics".
const UR10: Robot = Robot {
    chain: include_str!("../../../../adapters/robots/universal-robots-ur10/ur10.chain.csv"),
    capsules: include_str!("../../../../adapters/robots/universal-robots-ur10/ur10.capsules.csv"),
    maker: [
        [0.0, 0.1273, 0.0, 1.0],
        [0.0, 0.0, -0.612, 0.0],
        [0.0, 0.0, -0.5723, 0.0],
        [0.0, 0.163_941, 0.0, 1.0],
        [0.0, 0.1157, 0.0, -1.0],
        [0.0, 0.0922, 0.0, 0.0],
    ],
    turned: true,
    worked: [
        ([0.0; 6], [1.1843, 0.25614, 0.0116]),
        ([0.0, -90.0, 0.0, -90.0, 0.0, 0.0], [0.0, 0.25614, 1.4273]),
        (
            [30.0, -60.0, -80.0, 40.0, -50.0, 20.0],
            [-0.11697, 0.1902, 0.97571],
        ),
        (
            [-120.0, 40.0, -30.0, -150.0, 60.0, 170.0],
            [-0.34091, -1.01056, -0.22551],
        ),
    ],
};

/// UFACTORY, "Kinematic and Dynamic Parameters of xArm 6", standard parameters.
const XARM_6: Robot = Robot {
    chain: include_str!("../../../../adapters/robots/ufactory-xarm-6/xarm-6.chain.csv"),
    capsules: include_str!("../../../../adapters/robots/ufactory-xarm-6/xarm-6.capsules.csv"),
    maker: [
        [0.0, 0.267, 0.0, -1.0],
        [-1.384_917_9, 0.0, 0.289_488_66, 0.0],
        [1.384_917_9, 0.0, 0.0775, -1.0],
        [0.0, 0.3425, 0.0, 1.0],
        [0.0, 0.0, 0.076, -1.0],
        [0.0, 0.097, 0.0, 0.0],
    ],
    turned: false,
    worked: [
        ([0.0; 6], [0.207, 0.0, 0.112]),
        ([0.0, -90.0, 0.0, -90.0, 0.0, 0.0], [0.155, 0.076, 0.398]),
        (
            [30.0, -60.0, -80.0, 40.0, -50.0, 20.0],
            [-0.07167, -0.13279, 0.83158],
        ),
        (
            [-120.0, 40.0, -30.0, -150.0, 60.0, 170.0],
            [-0.14997, -0.21374, -0.0197],
        ),
    ],
};

/// The rows of a table, without their names.
fn rows(csv: &str) -> Vec<Vec<f64>> {
    let lines = csv.lines().filter(|line| !line.starts_with('#')).skip(1);
    lines
        .map(|line| {
            let cells = line.split(',').skip(1);
            cells.map(|cell| cell.parse().unwrap()).collect()
        })
        .collect()
}

fn three(cells: &[f64]) -> [f64; 3] {
    cells.try_into().unwrap()
}

impl Robot {
    fn arm(&self) -> Arm {
        let mut arm = Arm::EMPTY;
        arm.clear(Frame::CELL, TIMING);
        for row in rows(self.chain) {
            let joint = Joint {
                motion: Motion::Revolute,
                origin_m: three(&row[1..4]),
                roll_pitch_yaw_rad: three(&row[4..7]),
                axis: three(&row[7..10]),
                input: row[10] as usize - 1,
            };
            assert_eq!(row[0], 0.0, "all of them turn");
            arm.push_joint(&joint).unwrap();
        }
        let capsules = rows(self.capsules);
        assert!(capsules.len() <= CAPSULES_MAX);
        for (number, row) in capsules.iter().enumerate() {
            let capsule = Capsule::new(
                row[0] as usize,
                three(&row[1..4]),
                three(&row[4..7]),
                row[7],
            );
            arm.push_capsule(number, capsule).unwrap();
        }
        for link in 0..=6 {
            let enclosed = capsules.iter().any(|row| row[0] == f64::from(link));
            assert!(enclosed, "link {link} has no capsule");
        }
        arm
    }

    fn flange(&self, deg: [f64; 6]) -> [f64; 3] {
        let flange = self.arm().step(&axes(deg), None, 0).flange;
        [flange.x, flange.y, flange.z].map(f64::from)
    }

    /// The same by the maker's parameters, from the flange inwards.
    fn by_maker(&self, deg: [f64; 6]) -> [f64; 3] {
        let mut at = [0.0; 3];
        for ([offset, d, a, alpha], deg) in self.maker.into_iter().zip(deg).rev() {
            let (sine, cosine) = (alpha * std::f64::consts::FRAC_PI_2).sin_cos();
            let [x, y, z] = at;
            let (x, y, z) = (x + a, cosine * y - sine * z, sine * y + cosine * z + d);
            let (sine, cosine) = (deg.to_radians() + offset).sin_cos();
            at = [cosine * x - sine * y, sine * x + cosine * y, z];
        }
        let [x, y, z] = at;
        if self.turned { [-x, -y, z] } else { at }
    }
}

fn apart(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3)
        .map(|axis| (a[axis] - b[axis]).powi(2))
        .sum::<f64>()
        .sqrt()
}

#[test]
fn worked_places_are_reached_to_a_hundredth_of_a_millimetre() {
    for robot in [UR10, XARM_6] {
        for (deg, expected) in robot.worked {
            let (seen, maker) = (robot.flange(deg), robot.by_maker(deg));
            assert!(apart(seen, expected) < 1.5e-5, "{deg:?}: {seen:?}");
            assert!(apart(maker, expected) < 1.5e-5, "{deg:?}: {maker:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_place_is_the_makers(deg in prop::array::uniform6(-180.0..180.0_f64)) {
        for robot in [UR10, XARM_6] {
            let off = apart(robot.flange(deg), robot.by_maker(deg));
            prop_assert!(off < 5e-6, "{off} m at {deg:?}");
        }
    }
}
