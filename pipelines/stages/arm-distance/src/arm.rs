//! A robot arm in its cell: from the axis values of one cycle to where the flange is, how near the arm
//! has come to what, and how far from it it has to stay.
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
use crate::deciding::{Search, Separation};
use crate::nearest::{Nearest, PointSpeed, nearest};
use crate::separation::Rule;
use crate::shape::{Capsule, Placed};
use crate::sighting::Sighting;
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
    /// The capsules where the last look had them.
    placed: [Placed; CAPSULES_MAX],
    sightings: [Sighting; OBSTACLES_MAX],
    sighting_count: usize,
    timing: Timing,
    rule: Rule,
    last: Cycle,
    /// Whether there was a last cycle.
    begun: bool,
}

/// A capsule that moves, and its row in the table.
#[derive(Clone, Copy, Debug)]
struct Placeable {
    capsule: Capsule,
    row: usize,
}

/// What is kept of a cycle.
#[derive(Clone, Copy, Debug)]
pub struct Cycle {
    /// Line time of its last byte.
    pub t_ns: i64,
    /// Degrees or millimetres.
    pub values: [f64; AXES_MAX],
    /// Age of the oldest value at that time, seconds.
    pub age_s: Option<f64>,
    /// Mean rates since the cycle before, per second.
    pub rates: Option<[f64; AXES_MAX]>,
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
    /// What has to be kept; absent where no rule is set, and where it isn't known.
    pub separation: Option<Separation>,
}

/// The nearest pair of a cycle.
#[derive(Clone, Copy, Debug)]
pub struct Distance {
    /// Distance and closest points; `capsule` is the row in the table.
    pub nearest: Nearest,
    /// How fast the arm's nearest point moves.
    pub speed: Option<PointSpeed>,
}

impl Arm {
    /// No joints, no capsules, nothing around. All zeros, as [`Chain::EMPTY`].
    pub const EMPTY: Self = Self {
        chain: Chain::EMPTY,
        capsules: [Placeable {
            capsule: Capsule::POINT,
            row: 0,
        }; CAPSULES_MAX],
        capsule_count: 0,
        placed: [Placed::POINT; CAPSULES_MAX],
        sightings: [Sighting::POINT; OBSTACLES_MAX],
        sighting_count: 0,
        timing: Timing {
            cycle_time_min_s: 0.0,
            speed_gap_max_s: 0.0,
        },
        rule: Rule::Off,
        last: Cycle {
            t_ns: 0,
            values: [0.0; AXES_MAX],
            age_s: None,
            rates: None,
        },
        begun: false,
    };

    /// Takes joints, capsules, obstacles and the rule away. The last cycle stays: an obstacle that comes
    /// doesn't make the arm's speed unknown.
    pub fn clear(&mut self, base: Frame, timing: Timing) {
        self.chain.clear(base);
        self.capsule_count = 0;
        self.sighting_count = 0;
        self.timing = timing;
        self.rule = Rule::Off;
    }

    /// Says by which rule distances are judged.
    pub fn set_rule(&mut self, rule: Rule) {
        self.rule = rule;
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
    pub fn push_obstacle(&mut self, obstacle: impl Into<Sighting>) -> Result<(), ShapeError> {
        let sighting = obstacle.into();
        if !sighting.obstacle().is_possible() {
            return Err(ShapeError::NegativeSize);
        }
        let slot = self
            .sightings
            .get_mut(self.sighting_count)
            .ok_or(ShapeError::TooMany)?;
        *slot = sighting;
        self.sighting_count += 1;
        Ok(())
    }

    /// The last cycle, for another version to go on with.
    pub fn last(&self) -> Option<Cycle> {
        self.begun.then_some(self.last)
    }

    /// Goes on after a cycle that another version took.
    pub fn go_on(&mut self, last: Option<Cycle>) {
        if let Some(last) = last {
            (self.last, self.begun) = (last, true);
        }
    }

    /// Takes the axis values (degrees or millimetres) of the cycle that ended at `t_ns`, the oldest of
    /// which was `age_s` old then, where that is known.
    pub fn step(&mut self, values: &[f64; AXES_MAX], age_s: Option<f64>, t_ns: i64) -> Step {
        let cycle = Cycle {
            t_ns,
            values: *values,
            age_s,
            rates: self.rates(values, t_ns),
        };
        (self.last, self.begun) = (cycle, true);
        self.place(&cycle);

        let moving = cycle.rates.is_some();
        let mut search = self.search(&cycle, t_ns);
        let nearest = self.look(&mut search, t_ns);
        let separation = search.found();
        let flange_twist = self.chain.twist(self.chain.joints());
        Step {
            flange: *self.chain.flange(),
            flange_speed: moving.then(|| length(&flange_twist.linear)),
            distance: nearest.map(|pair| Distance {
                nearest: self.by_row(&pair),
                speed: moving.then(|| pair.speed(&self.velocity(&pair))),
            }),
            separation,
        }
    }

    /// What has to be kept at `t_ns`, after the last cycle: its values are older now, and so are the
    /// obstacles. Absent before the first cycle, too.
    pub fn later(&mut self, t_ns: i64) -> Option<Separation> {
        if !self.begun || !self.has_rule() {
            return None;
        }
        let cycle = self.last;
        // Base and joints may be others than they were at the cycle.
        self.place(&cycle);
        let mut search = self.search(&cycle, t_ns);
        let _ = self.look(&mut search, t_ns);
        search.found()
    }

    /// Mean rates of the axes since the last cycle, per second.
    fn rates(&self, values: &[f64; AXES_MAX], t_ns: i64) -> Option<[f64; AXES_MAX]> {
        let last = &self.last;
        let elapsed_s = seconds(t_ns.saturating_sub(last.t_ns));
        let least_s = self.timing.cycle_time_min_s;
        let between_s = if elapsed_s < least_s {
            least_s
        } else {
            elapsed_s
        };
        let meaningful = elapsed_s <= self.timing.speed_gap_max_s && between_s > 0.0;
        (self.begun && meaningful)
            .then(|| core::array::from_fn(|axis| (values[axis] - last.values[axis]) / between_s))
    }

    /// Puts links and capsules where a cycle has them.
    fn place(&mut self, cycle: &Cycle) {
        self.chain
            .move_to(&cycle.values, &cycle.rates.unwrap_or_default());
        let capsules = self.capsules.iter().take(self.capsule_count);
        for (place, Placeable { capsule, .. }) in self.placed.iter_mut().zip(capsules) {
            *place = capsule.placed(self.chain.link(capsule.link));
        }
    }

    fn search(&self, cycle: &Cycle, t_ns: i64) -> Search<'_> {
        let since_s = seconds(t_ns.saturating_sub(cycle.t_ns));
        let axes_age_s = cycle.age_s.map(|age_s| age_s + since_s);
        Search::new(self, axes_age_s, seconds(t_ns), cycle.rates.is_some())
    }

    fn look(&self, search: &mut Search<'_>, t_ns: i64) -> Option<Nearest> {
        let t_s = seconds(t_ns);
        let obstacles = self.sightings().map(|sighting| sighting.at(t_s));
        let placed = self.placed.get(..self.capsule_count).unwrap_or_default();
        nearest(placed, obstacles, search)
    }

    /// Whether distances are judged at all.
    pub(crate) fn has_rule(&self) -> bool {
        !matches!(self.rule, Rule::Off)
    }

    pub(crate) fn rule(&self) -> &Rule {
        &self.rule
    }

    pub(crate) fn chain(&self) -> &Chain {
        &self.chain
    }

    pub(crate) fn sightings(&self) -> impl ExactSizeIterator<Item = &Sighting> {
        self.sightings.iter().take(self.sighting_count)
    }

    /// The capsules where they are, each with its link.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (usize, &Placed)> {
        let links = self.capsules.iter().map(|placeable| placeable.capsule.link);
        links.zip(&self.placed).take(self.capsule_count)
    }

    /// The velocity of a pair's closest point on the robot.
    pub(crate) fn velocity(&self, pair: &Nearest) -> Vector {
        let link = self.capsules[pair.capsule].capsule.link;
        let from_origin = pair.on_robot - self.chain.link(link).origin;
        self.chain.twist(link).velocity(&from_origin)
    }

    /// The pair with its capsule's row instead of its number.
    pub(crate) fn by_row(&self, pair: &Nearest) -> Nearest {
        Nearest {
            capsule: self.capsules[pair.capsule].row,
            ..*pair
        }
    }
}

fn seconds(ns: i64) -> f64 {
    ns as f64 * 1e-9
}
