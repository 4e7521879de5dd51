//! The way of a palletising robot: what a KR 150-2's axes do while it takes boxes off a conveyor
//! and stacks them, tool always pointing down.
//!
//! A stay at the conveyor, down, grip, up, over to the pallet, down, let go, up, and back. Each move
//! is a step of every axis at once along a polynomial of seventh degree, which begins and ends
//! without speed, acceleration or jerk; moves overlap by a quarter, as a controller blends them.
//!
//! Keeps true, and a test holds it: axes stay within the data sheet's limits and below its speeds;
//! position, speed and acceleration never jump; the same seed gives the same way.
//!
//! Doesn't do: avoid people or anything else that stands in the cell.

use super::random::Random;

/// Axis limits in degrees, KUKA Series 2000 KR 150-2 data sheet.
pub const LIMITS_DEG: [(f64, f64); 6] = [
    (-185.0, 185.0),
    (-146.0, 0.0),
    (-119.0, 155.0),
    (-350.0, 350.0),
    (-125.0, 125.0),
    (-350.0, 350.0),
];

/// Top speeds in degrees per second, the same data sheet.
pub const SPEEDS_DEG_S: [f64; 6] = [110.0, 110.0, 100.0, 170.0, 170.0, 238.0];

/// A move may use this part of an axis's top speed: two overlap, and stay below it together.
const SPEED_PART: f64 = 0.45;

/// A heavy arm with a box: what a move may accelerate an axis by, in degrees per second squared.
const ACCELERATION_DEG_S2: f64 = 140.0;

/// The greatest slope of the seventh-degree step, at its middle, and of its slope.
const STEP_SPEED: f64 = 2.1875;
const STEP_ACCELERATION: f64 = 7.513_2;

/// How much of a move is over when the next one begins, unless the robot stays in between.
const BLEND_AT: f64 = 0.75;

/// The arm in metres, from the kinematic chain of the ROS-Industrial model: shoulder above and in
/// front of the first axis, upper arm, forearm with its elbow's offset, and wrist to flange.
const SHOULDER_R_M: f64 = 0.35;
const SHOULDER_Z_M: f64 = 0.75;
const UPPER_ARM_M: f64 = 1.25;
const FOREARM_M: (f64, f64) = (1.1, -0.055);
const WRIST_TO_FLANGE_M: f64 = 0.23;

/// Where boxes come from and where they go to, metres in the robot's base frame.
const CONVEYOR_M: [f64; 3] = [1.15, 1.15, 0.95];
const PALLET_M: [f64; 3] = [1.35, -0.85, 0.55];
const BOX_M: [f64; 3] = [0.4, 0.3, 0.25];
const ABOVE_M: f64 = 0.45;

/// A pallet: boxes in a row, rows, and layers.
const GRID: [u64; 3] = [3, 2, 3];

/// The way from the beginning on. Time only goes forward.
#[derive(Debug, Clone)]
pub struct Path {
    random: Random,
    /// How many boxes have been moved.
    boxes: u64,
    /// When this box's round began and ends, in seconds.
    began_s: f64,
    ends_s: f64,
    home: [f64; 6],
    moves: Vec<Move>,
}

#[derive(Debug, Clone)]
struct Move {
    began_s: f64,
    lasts_s: f64,
    by_deg: [f64; 6],
}

impl Path {
    /// The way of a seed.
    pub fn new(seed: u64) -> Path {
        let mut path = Path {
            random: Random::new(seed),
            boxes: 0,
            began_s: 0.0,
            ends_s: 0.0,
            home: axes_for(above(CONVEYOR_M), 0.0),
            moves: Vec::new(),
        };
        path.next_box();
        path
    }

    /// The axes in degrees, that many seconds after the beginning; never asked for a time before
    /// an earlier one.
    pub fn at(&mut self, seconds: f64) -> [f64; 6] {
        while seconds >= self.ends_s {
            self.next_box();
        }
        let mut axes = self.home;
        for Move {
            began_s,
            lasts_s,
            by_deg,
        } in &self.moves
        {
            let part = step((seconds - self.began_s - began_s) / lasts_s);
            for (axis, by_deg) in axes.iter_mut().zip(by_deg) {
                *axis += by_deg * part;
            }
        }
        axes
    }

    /// Plans the round of one box, from above the conveyor and back there.
    fn next_box(&mut self) {
        let [row, rows, layers] = GRID;
        let place = self.boxes % (row * rows * layers);
        let (x, y, layer) = (place % row, place / row % rows, place / (row * rows));
        let spot = [
            PALLET_M[0] + (x as f64 - (row - 1) as f64 / 2.0) * BOX_M[1],
            PALLET_M[1] + (y as f64 - (rows - 1) as f64 / 2.0) * BOX_M[0],
            PALLET_M[2] + layer as f64 * BOX_M[2],
        ];
        // Layers lie crosswise, so that the stack holds.
        let turn_deg = if layer % 2 == 0 { 0.0 } else { 90.0 };
        // Boxes never come quite straight.
        let taken = [
            CONVEYOR_M[0] + self.random.between(-0.03, 0.03),
            CONVEYOR_M[1] + self.random.between(-0.03, 0.03),
            CONVEYOR_M[2],
        ];
        let speed = self.random.between(0.75, 1.0);
        let stays = [
            self.random.between(0.4, 1.5), // for the next box
            0.0,
            self.random.between(0.3, 0.5), // until the gripper holds
            0.0,
            0.0,
            self.random.between(0.2, 0.4), // until it lets go
            0.0,
        ];
        let stops = [
            self.home,
            axes_for(above(taken), 0.0),
            axes_for(taken, 0.0),
            axes_for(above(taken), 0.0),
            axes_for(above(spot), turn_deg),
            axes_for(spot, turn_deg),
            axes_for(above(spot), turn_deg),
            self.home,
        ];
        self.moves.clear();
        let mut begins_s = 0.0;
        let mut ends_s = 0.0;
        for (ends, stay_s) in stops.windows(2).zip(stays) {
            if stay_s > 0.0 {
                begins_s = ends_s + stay_s;
            }
            let by_deg = std::array::from_fn(|axis| ends[1][axis] - ends[0][axis]);
            let lasts_s = duration_s(&by_deg, speed);
            self.moves.push(Move {
                began_s: begins_s,
                lasts_s,
                by_deg,
            });
            ends_s = begins_s + lasts_s;
            begins_s += lasts_s * BLEND_AT;
        }
        self.began_s = self.ends_s;
        self.ends_s += ends_s;
        self.boxes += 1;
    }
}

/// How long a move takes: the axis that needs most sets the time for all.
fn duration_s(by_deg: &[f64; 6], speed: f64) -> f64 {
    let slowest = by_deg.iter().zip(SPEEDS_DEG_S).map(|(by_deg, top_deg_s)| {
        let by_speed = by_deg.abs() * STEP_SPEED / (top_deg_s * SPEED_PART * speed);
        let by_acceleration =
            (by_deg.abs() * STEP_ACCELERATION / (ACCELERATION_DEG_S2 * speed)).sqrt();
        by_speed.max(by_acceleration)
    });
    slowest.fold(0.4, f64::max)
}

/// From 0 to 1, with the first three derivatives zero at both ends.
fn step(part: f64) -> f64 {
    let t = part.clamp(0.0, 1.0);
    t.powi(4) * (35.0 + t * (-84.0 + t * (70.0 - 20.0 * t)))
}

fn above([x, y, z]: [f64; 3]) -> [f64; 3] {
    [x, y, z + ABOVE_M]
}

/// The axes that hold the flange at a place, facing down and turned about the vertical, elbow up.
fn axes_for([x, y, z]: [f64; 3], turn_deg: f64) -> [f64; 6] {
    // The first axis turns clockwise seen from above.
    let axis_1 = (-y).atan2(x);
    let (r, z) = (
        x.hypot(y) - SHOULDER_R_M,
        z + WRIST_TO_FLANGE_M - SHOULDER_Z_M,
    );
    // Shoulder, elbow and wrist are a triangle with all three sides known.
    let forearm = FOREARM_M.0.hypot(FOREARM_M.1);
    let reach = r.hypot(z);
    let at_shoulder =
        (UPPER_ARM_M.powi(2) + reach.powi(2) - forearm.powi(2)) / (2.0 * UPPER_ARM_M * reach);
    let upper_arm_up = z.atan2(r) + at_shoulder.clamp(-1.0, 1.0).acos();
    let elbow = (
        UPPER_ARM_M * upper_arm_up.cos(),
        UPPER_ARM_M * upper_arm_up.sin(),
    );
    let forearm_up = (z - elbow.1).atan2(r - elbow.0);
    // The second, third and fifth axis turn downwards.
    let axis_2 = -upper_arm_up;
    let both = FOREARM_M.1.atan2(FOREARM_M.0) - forearm_up;
    let [axis_1, axis_2, both] = [axis_1, axis_2, both].map(f64::to_degrees);
    [
        axis_1,
        axis_2,
        both - axis_2,
        0.0,
        90.0 - both,
        axis_1 + turn_deg,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    // The data sheet once more, so that a slip in the path's own copy shows.
    const LOWEST_DEG: [f64; 6] = [-185.0, -146.0, -119.0, -350.0, -125.0, -350.0];
    const HIGHEST_DEG: [f64; 6] = [185.0, 0.0, 155.0, 350.0, 125.0, 350.0];
    const FASTEST_DEG_S: [f64; 6] = [110.0, 110.0, 100.0, 170.0, 170.0, 238.0];

    /// What a loaded arm of this size does at most, about.
    const SHARPEST_DEG_S2: f64 = 300.0;

    /// Fine enough to find every peak.
    const STEP_S: f64 = 0.005;

    #[test]
    fn axes_stay_within_their_limits_and_below_their_speeds_and_never_jump() {
        for seed in 0..12 {
            let mut path = Path::new(seed);
            let mut before = path.at(0.0);
            let mut speed_before = [0.0; 6];
            let mut fastest = [0.0f64; 6];
            for i in 1..120_000 {
                let axes = path.at(f64::from(i) * STEP_S);
                for axis in 0..6 {
                    let limits = LOWEST_DEG[axis]..=HIGHEST_DEG[axis];
                    assert!(limits.contains(&axes[axis]), "seed {seed}: {axes:?}");
                    let speed = (axes[axis] - before[axis]) / STEP_S;
                    assert!(
                        speed.abs() < FASTEST_DEG_S[axis],
                        "axis {}: {speed}",
                        axis + 1
                    );
                    let sharp = (speed - speed_before[axis]) / STEP_S;
                    assert!(sharp.abs() < SHARPEST_DEG_S2, "axis {}: {sharp}", axis + 1);
                    fastest[axis] = fastest[axis].max(speed.abs());
                    speed_before[axis] = speed;
                }
                before = axes;
            }
            assert!(
                fastest[0] > 30.0 && fastest[1] > 5.0,
                "it works: {fastest:?}"
            );
        }
    }

    #[test]
    fn the_tool_points_down_all_the_way() {
        let mut path = Path::new(5);
        for i in 0..10_000 {
            let axes = path.at(f64::from(i) * 0.02);
            let pitch = axes[1] + axes[2] + axes[4];
            assert!((pitch - 90.0).abs() < 1e-9, "{axes:?}");
        }
    }

    /// The chain of the ROS-Industrial model, one rotation after the other.
    fn flange([axis_1, axis_2, axis_3, _, axis_5, _]: [f64; 6]) -> [f64; 3] {
        let along = |down_deg: f64, x: f64, z: f64| {
            let (sin, cos) = down_deg.to_radians().sin_cos();
            (x * cos + z * sin, -x * sin + z * cos)
        };
        let parts = [
            (0.35, 0.75),
            along(axis_2, 1.25, 0.0),
            along(axis_2 + axis_3, 1.1, -0.055),
            along(axis_2 + axis_3 + axis_5, 0.23, 0.0),
        ];
        let r: f64 = parts.iter().map(|part| part.0).sum();
        let z = parts.iter().map(|part| part.1).sum();
        let (sin, cos) = (-axis_1).to_radians().sin_cos();
        [r * cos, r * sin, z]
    }

    #[test]
    fn the_flange_is_where_it_was_wanted() {
        // The published position for all axes at zero tells that the chain here is the right one.
        assert!((flange([0.0; 6])[0] - 2.93).abs() < 1e-9);
        assert!((flange([0.0; 6])[2] - 0.695).abs() < 1e-9);
        for wanted in [CONVEYOR_M, above(CONVEYOR_M), PALLET_M, [1.8, -0.4, 1.4]] {
            let got = flange(axes_for(wanted, 0.0));
            for (wanted, got) in wanted.iter().zip(got) {
                assert!((wanted - got).abs() < 1e-9, "{wanted} {got}");
            }
        }
    }

    #[test]
    fn the_same_seed_goes_the_same_way_and_another_one_another() {
        let at = |seed: u64| {
            let mut path = Path::new(seed);
            (0..2_000)
                .map(|i| path.at(f64::from(i) * 0.05))
                .collect::<Vec<_>>()
        };
        assert_eq!(at(1), at(1));
        assert_ne!(at(1), at(2));
    }
}
