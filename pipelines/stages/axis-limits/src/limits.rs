//! Which cycles of axis values can be true.
//!
//! A cycle is held against the ranges, then against the last accepted cycle: an axis can't have moved
//! farther than its top speed takes it in the time between. A rejected cycle changes nothing about the
//! last accepted one, so a single wrong one is passed over. The way allowed grows with time; and once
//! the last accepted cycle is [`Limits::resync_after_s`] old, two cycles in a row that agree with each
//! other take its place, so that a wrong one that was accepted, or a machine that was moved while the
//! line was silent, can't shut the line out for ever.
//!
//! The very first cycle is held against the ranges alone.

/// Axes of one cycle.
pub const AXES: usize = 7;

/// Bounds of one axis, in degrees or millimetres.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AxisBounds {
    /// Least value.
    pub least: f64,
    /// Greatest value.
    pub greatest: f64,
    /// Top speed, per second.
    pub speed_max: f64,
}

/// Bounds of all axes, and what decides about time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Axis 1 to axis 7.
    pub axes: [AxisBounds; AXES],
    /// Cycles that seem to follow faster count as this far apart.
    pub cycle_time_min_s: f64,
    /// Share of its top speed by which an axis may seem to be faster.
    pub speed_tolerance: f64,
    /// Age from which the last accepted cycle says nothing any more.
    pub resync_after_s: f64,
}

/// Why a cycle is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// This axis (from 0) is out of its range.
    OutOfRange(usize),
    /// This axis (from 0) moved too far.
    TooFast(usize),
    /// There is nothing young enough to hold it against; the next cycle may confirm it.
    Unconfirmed,
}

/// Speed of each axis since the cycle before, per second.
pub type Speeds = [f64; AXES];

/// The values of one cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cycle {
    /// Line time of its last byte.
    pub t_ns: i64,
    /// Axis 1 to axis 7.
    pub values: [f64; AXES],
}

/// Holds cycles against the limits and against each other.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    limits: Limits,
    accepted: Option<Cycle>,
    /// The cycle just before this one, where it was in range but not accepted.
    candidate: Option<Cycle>,
}

impl Checker {
    /// The cycles that the next one is held against: accepted, and only in range.
    #[must_use]
    pub fn kept(&self) -> [Option<Cycle>; 2] {
        [self.accepted, self.candidate]
    }

    /// Goes on with what another version kept.
    pub fn go_on(&mut self, [accepted, candidate]: [Option<Cycle>; 2]) {
        (self.accepted, self.candidate) = (accepted, candidate);
    }

    /// Changes the limits; what was accepted stays.
    ///
    /// # Errors
    /// The axis (from 0) whose range is empty.
    pub fn set_limits(&mut self, limits: Limits) -> Result<(), usize> {
        if let Some(axis) = limits
            .axes
            .iter()
            .position(|axis| axis.least > axis.greatest)
        {
            return Err(axis);
        }
        self.limits = limits;
        Ok(())
    }

    /// Accepts a cycle or not. The speeds are absent for the very first, and where no time has passed.
    ///
    /// # Errors
    /// Why not; for the first axis that is at fault.
    pub fn check(&mut self, values: &[f64; AXES], t_ns: i64) -> Result<Option<Speeds>, Rejection> {
        let cycle = Cycle {
            t_ns,
            values: *values,
        };
        let candidate = self.candidate.take();
        if let Some(axis) = self
            .limits
            .axes
            .iter()
            .zip(values)
            .position(|(axis, value)| !axis.holds(*value))
        {
            return Err(Rejection::OutOfRange(axis));
        }
        let Some(accepted) = self.accepted else {
            self.accepted = Some(cycle);
            return Ok(None);
        };
        let before = if self.is_young(&accepted, t_ns) {
            accepted
        } else if let Some(candidate) = candidate.filter(|candidate| self.is_young(candidate, t_ns))
        {
            candidate
        } else {
            self.candidate = Some(cycle);
            return Err(Rejection::Unconfirmed);
        };
        if let Some(axis) = self.first_too_fast(&before, &cycle) {
            self.candidate = Some(cycle);
            return Err(Rejection::TooFast(axis));
        }
        self.accepted = Some(cycle);
        Ok(self.speeds(&before, &cycle))
    }

    fn is_young(&self, cycle: &Cycle, t_ns: i64) -> bool {
        t_ns.saturating_sub(cycle.t_ns) as f64 * 1e-9 <= self.limits.resync_after_s
    }

    fn between_s(&self, before: &Cycle, cycle: &Cycle) -> f64 {
        let seen_s = cycle.t_ns.saturating_sub(before.t_ns) as f64 * 1e-9;
        if seen_s < self.limits.cycle_time_min_s {
            self.limits.cycle_time_min_s
        } else {
            seen_s
        }
    }

    fn first_too_fast(&self, before: &Cycle, cycle: &Cycle) -> Option<usize> {
        let reach_s = self.between_s(before, cycle) * (1.0 + self.limits.speed_tolerance);
        (0..AXES).find(|&axis| {
            let way = cycle.values[axis] - before.values[axis];
            way.abs() > self.limits.axes[axis].speed_max * reach_s
        })
    }

    fn speeds(&self, before: &Cycle, cycle: &Cycle) -> Option<Speeds> {
        let between_s = self.between_s(before, cycle);
        (between_s > 0.0).then(|| {
            core::array::from_fn(|axis| (cycle.values[axis] - before.values[axis]) / between_s)
        })
    }
}

impl AxisBounds {
    fn holds(&self, value: f64) -> bool {
        value >= self.least && value <= self.greatest
    }
}
