//! Seven frames become a cycle, or nothing.
//!
//! Axes come as 1, 2, 3, 4, 5, 6, 7. A frame that isn't the next one breaks the cycle, which is reported
//! once; the frames that remain of it are passed over. A frame of axis 1 begins a cycle wherever it
//! comes, so that a lost end doesn't cost the cycle behind it. Where frames come in from the middle of a
//! cycle when a line starts, nothing is broken: they are passed over too.

use crate::frame::{AXES, AxisValue};

/// Times within a cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CycleLimits {
    frame_time_s: f64,
    gap_max_ns: i64,
}

/// A whole cycle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cycle {
    /// Axis 1 to axis 7, in 1e-5 degree or 1e-5 mm.
    pub values_1e5: [i32; AXES],
    /// Age of axis 1's value at the last byte of axis 7's frame, counted from the first bit of its frame.
    pub age_s: f64,
}

/// Why a cycle was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The frame isn't the next axis.
    Order,
    /// It is, but too late: the frames between could be those of a whole cycle.
    Gap,
}

/// Puts frames together.
#[derive(Clone, Debug)]
pub struct Assembler {
    limits: CycleLimits,
    /// Index of the axis that must come, from 0.
    expected: usize,
    /// Whether the rest of a cycle is being passed over.
    passing: bool,
    values_1e5: [i32; AXES],
    first_t_ns: i64,
    last_t_ns: i64,
}

/// A cycle of which frames are still to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begun {
    /// Index of the axis that must come, from 0.
    pub expected: usize,
    /// Whether the rest of a cycle is being passed over.
    pub passing: bool,
    /// The values so far, in hundred-thousandths.
    pub values_1e5: [i32; AXES],
    /// Line time of the first frame's last byte.
    pub first_t_ns: i64,
    /// Line time of the newest frame's last byte.
    pub last_t_ns: i64,
}

impl CycleLimits {
    /// The time of one frame on the wire, and the longest time between two of a cycle. `None` where a
    /// whole cycle could be lost within the gap without being missed.
    #[must_use]
    pub fn new(frame_time_s: f64, gap_max_s: f64) -> Option<Self> {
        // After seven lost frames the next last byte comes eight frame times after the one before.
        let tells_cycles_apart = gap_max_s < (AXES + 1) as f64 * frame_time_s;
        let gap_max_ns = (gap_max_s * 1e9) as i64;
        tells_cycles_apart.then_some(Self {
            frame_time_s,
            gap_max_ns,
        })
    }

    fn age_s(&self, first_t_ns: i64, last_t_ns: i64) -> f64 {
        let seen_s = last_t_ns.saturating_sub(first_t_ns) as f64 / 1e9;
        // Between the last bytes of the first and the last frame, the wire needs six frames' time.
        let least_s = (AXES - 1) as f64 * self.frame_time_s;
        let between_s = if seen_s < least_s { least_s } else { seen_s };
        between_s + self.frame_time_s
    }
}

impl Assembler {
    /// Waits for the first frame of axis 1. Until limits are set, no cycle comes together.
    #[must_use]
    pub fn new() -> Self {
        Self {
            limits: CycleLimits {
                frame_time_s: 0.0,
                gap_max_ns: 0,
            },
            expected: 0,
            passing: true,
            values_1e5: [0; AXES],
            first_t_ns: 0,
            last_t_ns: 0,
        }
    }

    /// The cycle that has begun, for another version to go on with.
    #[must_use]
    pub fn begun(&self) -> Begun {
        Begun {
            expected: self.expected,
            passing: self.passing,
            values_1e5: self.values_1e5,
            first_t_ns: self.first_t_ns,
            last_t_ns: self.last_t_ns,
        }
    }

    /// Goes on with a cycle that another version began. One that can't be is none.
    pub fn go_on(&mut self, begun: Begun) {
        if begun.expected >= AXES {
            self.discard();
            return;
        }
        self.expected = begun.expected;
        self.passing = begun.passing;
        self.values_1e5 = begun.values_1e5;
        self.first_t_ns = begun.first_t_ns;
        self.last_t_ns = begun.last_t_ns;
    }

    /// Changes the limits; a cycle that has begun goes on.
    pub fn set_limits(&mut self, limits: CycleLimits) {
        self.limits = limits;
    }

    /// Drops the cycle that has begun: one of its frames is damaged.
    pub fn discard(&mut self) {
        self.expected = 0;
        self.passing = true;
    }

    /// Takes the frame whose last byte came at `t_ns`; gives the cycle that it completes.
    ///
    /// # Errors
    /// Where the frame breaks the cycle. If it is one of axis 1, it has begun the next all the same.
    pub fn push(&mut self, frame: AxisValue, t_ns: i64) -> Result<Option<Cycle>, Broken> {
        let gap_ns = t_ns.saturating_sub(self.last_t_ns);
        if frame.index == 0 {
            let broken = self.expected != 0;
            self.begin(frame, t_ns);
            return if broken { Err(Broken::Order) } else { Ok(None) };
        }
        if self.passing {
            return Ok(None);
        }
        if frame.index != self.expected {
            self.discard();
            return Err(Broken::Order);
        }
        if gap_ns > self.limits.gap_max_ns {
            self.discard();
            return Err(Broken::Gap);
        }
        self.values_1e5[frame.index] = frame.value_1e5;
        self.last_t_ns = t_ns;
        self.expected += 1;
        if self.expected < AXES {
            return Ok(None);
        }
        self.expected = 0;
        let age_s = self.limits.age_s(self.first_t_ns, t_ns);
        Ok(Some(Cycle {
            values_1e5: self.values_1e5,
            age_s,
        }))
    }

    fn begin(&mut self, frame: AxisValue, t_ns: i64) {
        self.values_1e5[0] = frame.value_1e5;
        self.expected = 1;
        self.passing = false;
        self.first_t_ns = t_ns;
        self.last_t_ns = t_ns;
    }
}

impl Default for Assembler {
    fn default() -> Self {
        Self::new()
    }
}
