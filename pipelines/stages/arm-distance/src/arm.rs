//! A robot arm in its cell: from the axis values of one cycle to where the flange is, and how near the
//! arm has come to what.
//!
//! Speeds come from two cycles in a row: the mean rate of each axis between them, at the pose of the
//! later one. The closing speed is the share of the nearest point's velocity that leads towards the
//! obstacle, so it is what the robot contributes and counts the obstacle as standing where it is. It
//! needs no memory of pairs, which obstacles that come, go and change rows would spoil.
//!
//! Capsules of link 0 are for drawing: the base doesn't move, cannot come nearer to anything, and stands
//! for ever at distance zero from the floor that it is bolted to. Where a robot rides on a linear axis,
//! that axis is the chain's first joint, and what rides on it link 1.

use crate::chain::{Chain, Joint, JointError};
use crate::nearest::{Nearest, nearest};
use crate::shape::{Capsule, Obstacle, Placed};
use crate::space::{Frame, Real, Vector, length};

/// The most capsules; two and a half a link.
pub const CAPSULES_MAX: usize = 16;

/// The most obstacles in a cell.
pub const OBSTACLES_MAX: usize = 32;

/// The most axis values of one cycle.
pub const AXES_MAX: usize = 7;

/// What decides how speeds are derived from two cycles.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The line can't bring cycles faster: what seems faster was held up and came in a bundle.
    pub cycle_time_min_s: f64,
    /// After a longer pause, two cycles say nothing about speed.
    pub speed_gap_max_s: f64,
}

/// A robot arm and what stands around it.
#[derive(Clone, Debug)]
pub struct Arm {
    chain: Chain,
    capsules: [Placeable; CAPSULES_MAX],
    capsule_count: usize,
    obstacles: [Obstacle; OBSTACLES_MAX],
    obstacle_count: usize,
    timing: Timing,
    last: Option<Cycle>,
}

/// A capsule that moves, and its row in the table.
#[derive(Clone, Copy, Debug)]
struct Placeable {
    capsule: Capsule,
    row: usize,
}

#[derive(Clone, Copy, Debug)]
struct Cycle {
    t_ns: i64,
    values: [f64; AXES_MAX],
}

/// Why a capsule or an obstacle can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShapeError {
    /// The capsule's link isn't there.
    NoSuchLink,
    /// A radius or an edge is negative.
    NegativeSize,
    /// More than there is room for.
    TooMany,
}

/// What one cycle gives.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Where the flange is, metres in the cell.
    pub flange: Vector,
    /// How fast it moves, m/s; absent without a cycle shortly before.
    pub flange_speed: Option<Real>,
    /// The nearest pair; absent without obstacles.
    pub distance: Option<Distance>,
}

/// The nearest pair of a cycle.
#[derive(Clone, Copy, Debug)]
pub struct Distance {
    /// Distance and closest points; `capsule` is the row in the table.
    pub nearest: Nearest,
    /// How fast the arm's nearest point moves.
    pub speed: Option<PointSpeed>,
}

/// The motion of the arm's nearest point.
#[derive(Clone, Copy, Debug)]
pub struct PointSpeed {
    /// In whatever direction, m/s.
    pub any_direction: Real,
    /// Towards the obstacle, m/s; negative where it goes away.
    pub closing: Real,
}

impl Arm {
    /// No joints, no capsules, nothing around.
    pub const EMPTY: Self = Self {
        chain: Chain::EMPTY,
        capsules: [Placeable {
            capsule: Capsule::POINT,
            row: 0,
        }; CAPSULES_MAX],
        capsule_count: 0,
        obstacles: [Obstacle::POINT; OBSTACLES_MAX],
        obstacle_count: 0,
        timing: Timing {
            cycle_time_min_s: 0.0,
            speed_gap_max_s: 0.0,
        },
        last: None,
    };

    /// Takes joints, capsules and obstacles away. The last cycle stays: an obstacle that comes doesn't
    /// make the arm's speed unknown.
    pub fn clear(&mut self, base: Frame, timing: Timing) {
        self.chain.clear(base);
        self.capsule_count = 0;
        self.obstacle_count = 0;
        self.timing = timing;
    }

    /// Adds a joint at the end of the chain.
    ///
    /// # Errors
    /// As [`Chain::push`].
    pub fn push_joint(&mut self, joint: &Joint) -> Result<(), JointError> {
        self.chain.push(joint)
    }

    /// Adds the capsule in that row of the table. All joints must be there already.
    ///
    /// # Errors
    /// Where its link doesn't exist, its radius is negative, or there are too many.
    pub fn push_capsule(&mut self, row: usize, capsule: Capsule) -> Result<(), ShapeError> {
        if capsule.link > self.chain.joints() {
            return Err(ShapeError::NoSuchLink);
        }
        if !capsule.is_possible() {
            return Err(ShapeError::NegativeSize);
        }
        if capsule.link == 0 {
            return Ok(());
        }
        let slot = self
            .capsules
            .get_mut(self.capsule_count)
            .ok_or(ShapeError::TooMany)?;
        *slot = Placeable { capsule, row };
        self.capsule_count += 1;
        Ok(())
    }

    /// Adds an obstacle.
    ///
    /// # Errors
    /// Where a size is negative, or there are too many.
    pub fn push_obstacle(&mut self, obstacle: Obstacle) -> Result<(), ShapeError> {
        if !obstacle.is_possible() {
            return Err(ShapeError::NegativeSize);
        }
        let slot = self
            .obstacles
            .get_mut(self.obstacle_count)
            .ok_or(ShapeError::TooMany)?;
        *slot = obstacle;
        self.obstacle_count += 1;
        Ok(())
    }

    /// Takes the axis values (degrees or millimetres) of the cycle that ended at `t_ns`.
    pub fn step(&mut self, values: &[f64; AXES_MAX], t_ns: i64) -> Step {
        let rates = self.rates(values, t_ns);
        self.last = Some(Cycle {
            t_ns,
            values: *values,
        });
        self.chain.move_to(values, &rates.unwrap_or_default());

        let flange = *self.chain.flange();
        let flange_speed = rates.map(|_| length(&self.chain.twist(self.chain.joints()).linear));
        let distance = self
            .nearest()
            .map(|nearest| self.distance(nearest, rates.is_some()));
        Step {
            flange,
            flange_speed,
            distance,
        }
    }

    /// Mean rates of the axes since the last cycle, per second.
    fn rates(&self, values: &[f64; AXES_MAX], t_ns: i64) -> Option<[f64; AXES_MAX]> {
        let last = self.last.as_ref()?;
        let elapsed_s = t_ns.saturating_sub(last.t_ns) as f64 * 1e-9;
        let least_s = self.timing.cycle_time_min_s;
        let between_s = if elapsed_s < least_s {
            least_s
        } else {
            elapsed_s
        };
        let meaningful = elapsed_s <= self.timing.speed_gap_max_s && between_s > 0.0;
        meaningful
            .then(|| core::array::from_fn(|axis| (values[axis] - last.values[axis]) / between_s))
    }

    fn nearest(&self) -> Option<Nearest> {
        let mut placed = [Placed::POINT; CAPSULES_MAX];
        let capsules = &self.capsules[..self.capsule_count];
        for (place, Placeable { capsule, .. }) in placed.iter_mut().zip(capsules) {
            *place = capsule.placed(self.chain.link(capsule.link));
        }
        nearest(
            &placed[..self.capsule_count],
            &self.obstacles[..self.obstacle_count],
        )
    }

    fn distance(&self, nearest: Nearest, moving: bool) -> Distance {
        let Placeable { capsule, row } = self.capsules[nearest.capsule];
        let speed = moving.then(|| {
            let from_origin = nearest.on_robot - self.chain.link(capsule.link).origin;
            let velocity = self.chain.twist(capsule.link).velocity(&from_origin);
            PointSpeed {
                any_direction: length(&velocity),
                closing: velocity.dot(&nearest.outward),
            }
        });
        Distance {
            nearest: Nearest {
                capsule: row,
                ..nearest
            },
            speed,
        }
    }
}
