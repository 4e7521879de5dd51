//! The stage: tables and parameters become an [`Arm`], and what it computes becomes records.

use crate::arm::{AXES_MAX, Arm, Cycle, ShapeError, Step, Timing};
use crate::chain::{Joint, JointError, Motion};
use crate::deciding;
use crate::manifest::{
    CapsulesRow, ChainRow, Config, Contract, Distance, Input, ObstaclesRow, Pose, Reason,
    Separation,
};
use crate::rule::rule;
use crate::separation::Approach;
use crate::shape::{Capsule, Obstacle};
use crate::sighting::Sighting;
use crate::space::{Frame, Real, Vector};

/// The external linear axis, in millimetres; all before it are in degrees.
const LINEAR_AXIS: usize = AXES_MAX - 1;

/// The greatest coordinate, size or angle of a table. Single precision resolves 0.06 mm there; a cell is
/// a hundred times smaller.
const GREATEST: f64 = 1000.0;

/// The greatest speed of an obstacle, m/s: nothing in a cell is nearly as fast.
const FASTEST: f64 = 100.0;

/// The stage.
#[derive(Debug)]
pub struct ArmDistance(Arm);

impl retrotap_sdk::Stage for ArmDistance {
    type Contract = Contract;

    fn new() -> Self {
        Self(Arm::EMPTY)
    }

    fn configure(&mut self, config: &Config<'_>) -> Result<(), Reason> {
        let timing = Timing {
            cycle_time_min_s: config.cycle_time_min_s(),
            speed_gap_max_s: config.speed_gap_max_s(),
        };
        self.0.clear(base(config), timing);
        for row in config.chain().rows() {
            self.0.push_joint(&joint(&row)?)?;
        }
        for (number, row) in config.capsules().rows().enumerate() {
            self.0.push_capsule(number, capsule(&row)?)?;
        }
        for row in config.obstacles().rows() {
            self.0.push_obstacle(sighting(&row)?)?;
        }
        self.0.set_rule(rule(config)?);
        Ok(())
    }

    fn save(&self, state: &mut retrotap_sdk::StateWords<'_>) {
        let Some(cycle) = self.0.last() else { return };
        state.set(1, 1);
        state.set(2, cycle.t_ns as u64);
        state.set_numbers(3, &cycle.values);
        if let Some(age_s) = cycle.age_s {
            state.set(3 + AXES_MAX, 1);
            state.set_numbers(4 + AXES_MAX, &[age_s]);
        }
        if let Some(rates) = &cycle.rates {
            state.set(5 + AXES_MAX, 1);
            state.set_numbers(6 + AXES_MAX, rates);
        }
    }

    fn restore(&mut self, state: &retrotap_sdk::StateWords<'_>) {
        let has = |place| state.get(place) != 0;
        self.0.go_on(has(1).then(|| Cycle {
            t_ns: state.get(2) as i64,
            values: state.numbers(3),
            age_s: has(3 + AXES_MAX).then(|| {
                let [age_s] = state.numbers(4 + AXES_MAX);
                age_s
            }),
            rates: has(5 + AXES_MAX).then(|| state.numbers(6 + AXES_MAX)),
        }));
    }

    fn process(
        &mut self,
        axes: Input,
        t_ns: i64,
        out: &mut retrotap_sdk::Output<'_>,
    ) -> Result<(), Reason> {
        let values = [
            axes.axis_1_deg,
            axes.axis_2_deg,
            axes.axis_3_deg,
            axes.axis_4_deg,
            axes.axis_5_deg,
            axes.axis_6_deg,
            axes.axis_7_mm,
        ];
        let step = self.0.step(&values, axes.age_s, t_ns);
        out.push(&pose(&step));
        if let Some(distance) = distance(&step) {
            out.push(&distance);
        }
        if let Some(found) = &step.separation {
            out.push(&separation(found));
        }
        Ok(())
    }

    fn tick(&mut self, t_ns: i64, out: &mut retrotap_sdk::Output<'_>) -> Result<(), Reason> {
        if let Some(found) = &self.0.later(t_ns) {
            out.push(&separation(found));
        }
        Ok(())
    }
}

fn base(config: &Config<'_>) -> Frame {
    Frame::at(
        [config.base_x_m(), config.base_y_m(), config.base_z_m()],
        [
            config.base_roll_rad(),
            config.base_pitch_rad(),
            config.base_yaw_rad(),
        ],
    )
}

fn joint(row: &ChainRow) -> Result<Joint, Reason> {
    let motion = match index(row.kind, 1) {
        Some(0) => Motion::Revolute,
        Some(1) => Motion::Prismatic,
        _ => return Err(Reason::UnknownJointKind),
    };
    let input = index(row.input - 1.0, LINEAR_AXIS).ok_or(Reason::NoSuchInput)?;
    if (motion == Motion::Prismatic) != (input == LINEAR_AXIS) {
        return Err(Reason::NoSuchInput);
    }
    Ok(Joint {
        motion,
        origin_m: sane([row.origin_x_m, row.origin_y_m, row.origin_z_m])?,
        roll_pitch_yaw_rad: sane([row.roll_rad, row.pitch_rad, row.yaw_rad])?,
        axis: sane([row.axis_x, row.axis_y, row.axis_z])?,
        input,
    })
}

fn capsule(row: &CapsulesRow) -> Result<Capsule, Reason> {
    let link = index(row.link, usize::MAX).ok_or(Reason::NoSuchLink)?;
    let a_m = sane([row.ax_m, row.ay_m, row.az_m])?;
    let b_m = sane([row.bx_m, row.by_m, row.bz_m])?;
    let [radius_m] = sane([row.radius_m])?;
    Ok(Capsule::new(link, a_m, b_m, radius_m))
}

fn sighting(row: &ObstaclesRow) -> Result<Sighting, Reason> {
    let obstacle = obstacle(row)?;
    let stands = row.time_to_live_s == 0.0;
    let approach = match row.speed_m_per_s {
        -1.0 => Approach::Person,
        0.0 if stands => Approach::Fixture,
        most if (0.0..=FASTEST).contains(&most) => Approach::AtMost(most as f32),
        _ => return Err(Reason::ImpossibleSighting),
    };
    if stands {
        return Ok(Sighting::standing(obstacle, approach));
    }
    let velocity = [row.vx_m_per_s, row.vy_m_per_s, row.vz_m_per_s];
    let possible = velocity.iter().all(|speed| speed.abs() <= FASTEST)
        && row.seen_s >= 0.0
        && row.time_to_live_s > 0.0;
    if !possible {
        return Err(Reason::ImpossibleSighting);
    }
    let (seen_s, time_to_live_s) = (row.seen_s, row.time_to_live_s);
    Ok(Sighting::moving(
        obstacle,
        approach,
        velocity,
        seen_s,
        time_to_live_s,
    ))
}

fn obstacle(row: &ObstaclesRow) -> Result<Obstacle, Reason> {
    let a_m = sane([row.ax_m, row.ay_m, row.az_m])?;
    let b_m = || sane([row.bx_m, row.by_m, row.bz_m]);
    let radius_m = || sane([row.radius_m]).map(|[radius_m]| radius_m);
    match index(row.kind, 2) {
        Some(0) => Ok(Obstacle::sphere(a_m, radius_m()?)),
        Some(1) => Ok(Obstacle::capsule(a_m, b_m()?, radius_m()?)),
        Some(2) => Ok(Obstacle::cuboid(a_m, b_m()?)),
        _ => Err(Reason::UnknownObstacleKind),
    }
}

/// The cells, if none of them is beyond [`GREATEST`] or not a number.
fn sane<const N: usize>(cells: [f64; N]) -> Result<[f64; N], Reason> {
    if cells.iter().all(|cell| cell.abs() <= GREATEST) {
        Ok(cells)
    } else {
        Err(Reason::ValueTooGreat)
    }
}

/// A whole number from 0 to `most` that a table holds.
fn index(cell: f64, most: usize) -> Option<usize> {
    let index = cell as usize;
    (index as f64 == cell && index <= most).then_some(index)
}

fn pose(step: &Step) -> Pose {
    let [flange_x_m, flange_y_m, flange_z_m] = coordinates(&step.flange);
    let flange_speed_m_per_s = step.flange_speed.map(f64::from);
    Pose {
        flange_x_m,
        flange_y_m,
        flange_z_m,
        flange_speed_m_per_s,
    }
}

fn distance(step: &Step) -> Option<Distance> {
    let found = step.distance.as_ref()?;
    let [on_robot_x_m, on_robot_y_m, on_robot_z_m] = coordinates(&found.nearest.on_robot);
    let [on_obstacle_x_m, on_obstacle_y_m, on_obstacle_z_m] =
        coordinates(&found.nearest.on_obstacle);
    Some(Distance {
        distance_m: f64::from(found.nearest.distance),
        nearest_link: found.nearest.capsule as u32,
        nearest_obstacle: found.nearest.obstacle as u32,
        on_robot_x_m,
        on_robot_y_m,
        on_robot_z_m,
        on_obstacle_x_m,
        on_obstacle_y_m,
        on_obstacle_z_m,
        closing_speed_m_per_s: found.speed.map(|speed| f64::from(speed.closing)),
        link_speed_m_per_s: found.speed.map(|speed| f64::from(speed.any_direction)),
        flange_speed_m_per_s: step.flange_speed.map(f64::from),
    })
}

fn separation(found: &deciding::Separation) -> Separation {
    let mut record = Separation {
        axes_age_s: found.axes_age_s,
        obstacles: found.obstacles as i64,
        ..NOBODY
    };
    let Some(deciding) = &found.deciding else {
        return record;
    };
    let (pair, terms) = (&deciding.pair, &deciding.terms);
    record.distance_m = Some(f64::from(pair.distance));
    record.protective_m = Some(terms.protective_m());
    record.margin_m = Some(deciding.margin_m);
    record.deciding_link = Some(pair.capsule as u32);
    record.deciding_obstacle = Some(pair.obstacle as u32);
    record.human_m = Some(terms.human_m);
    record.robot_m = Some(terms.robot_m);
    record.stopping_m = Some(terms.stopping_m);
    record.intrusion_m = Some(terms.intrusion_m);
    record.person_uncertainty_m = Some(terms.person_uncertainty_m);
    record.robot_uncertainty_m = Some(terms.robot_uncertainty_m);
    record.human_speed_m_per_s = Some(terms.human_speed_m_per_s);
    record.robot_speed_m_per_s = Some(terms.robot_speed_m_per_s);
    record.reaction_s = Some(terms.reaction_s);
    record.stopping_s = Some(terms.stopping_s);
    record.obstacle_age_s = Some(deciding.obstacle_age_s);
    let on_robot = coordinates(&pair.on_robot).map(Some);
    [
        record.on_robot_x_m,
        record.on_robot_y_m,
        record.on_robot_z_m,
    ] = on_robot;
    let on_obstacle = coordinates(&pair.on_obstacle).map(Some);
    [
        record.on_obstacle_x_m,
        record.on_obstacle_y_m,
        record.on_obstacle_z_m,
    ] = on_obstacle;
    record
}

/// What is said of a pair where there is none.
const NOBODY: Separation = Separation {
    distance_m: None,
    protective_m: None,
    margin_m: None,
    deciding_link: None,
    deciding_obstacle: None,
    human_m: None,
    robot_m: None,
    stopping_m: None,
    intrusion_m: None,
    person_uncertainty_m: None,
    robot_uncertainty_m: None,
    human_speed_m_per_s: None,
    robot_speed_m_per_s: None,
    reaction_s: None,
    stopping_s: None,
    axes_age_s: 0.0,
    obstacle_age_s: None,
    on_robot_x_m: None,
    on_robot_y_m: None,
    on_robot_z_m: None,
    on_obstacle_x_m: None,
    on_obstacle_y_m: None,
    on_obstacle_z_m: None,
    obstacles: 0,
};

fn coordinates(of: &Vector) -> [f64; 3] {
    [of.x, of.y, of.z].map(|coordinate: Real| f64::from(coordinate))
}

impl From<JointError> for Reason {
    fn from(error: JointError) -> Self {
        match error {
            JointError::AxisWithoutDirection => Self::AxisWithoutDirection,
            JointError::TooMany => Self::TooManyRows,
        }
    }
}

impl From<ShapeError> for Reason {
    fn from(error: ShapeError) -> Self {
        match error {
            ShapeError::NoSuchLink => Self::NoSuchLink,
            ShapeError::NegativeSize => Self::NegativeSize,
            ShapeError::TooMany => Self::TooManyRows,
        }
    }
}
