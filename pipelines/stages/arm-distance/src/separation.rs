//! How far a robot has to stay away from somebody: the protective separation distance of one pair of a
//! link and an obstacle, and what it is made of.
//!
//! By ISO/TS 15066:2016, 5.5.4 (now part of ISO 10218-2:2025):
//!
//! ```text
//! S_p = S_h + S_r + S_s + C + Z_d + Z_r
//!
//! S_h = v_h · (T_r + T_s)   how far a person comes until the robot stands
//! S_r = v_r · T_r           how far the robot goes until it begins to stop
//! S_s                       how far it goes while it stops, which takes T_s
//! C                         how far a person intrudes before being detected
//! Z_d, Z_r                  how uncertain the places of person and robot are
//! ```
//!
//! T_r is the time from when the world was as it is known to the robot's first reaction: the latency of
//! the person sensor, the age of the obstacle and of the axis values at the decision, the time for
//! computing, and the way of the stop signal, each counted once. v_r is the stated maximum, or the
//! measured closing speed and `a_max · T_r` on top: a robot at rest may be about to move. One that goes
//! away may turn round, so that a closing speed below zero counts as zero.
//!
//! What it keeps true: a longer reaction and a faster robot or person never make S_p smaller. Nothing
//! is assumed: what isn't known gives no distance, which is not the same as none being needed.
//!
//! What it doesn't do: make it safe. It is no safety function in the sense of ISO 13849 or IEC 62061.

use crate::nearest::PointSpeed;

/// At most this many rows of stopping times and distances. Makers give three (ISO 10218-1, annex B:
/// 33 %, 66 % and 100 % of the speed) to ten.
pub const STOPS_MAX: usize = 10;

/// What the showcase factory kept at least, in metres (1097.2 mm).
const SHOWCASE_LEAST_M: f64 = 1.0972;

/// And for every metre a second of the robot, in seconds (2472 ms).
const SHOWCASE_REACTION_S: f64 = 2.472;

/// By which rule a pair is judged. With a tag of its own, so that no rule is all zeros.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub enum Rule {
    /// By none: there are distances, but nothing is said about them.
    Off,
    /// ISO/TS 15066.
    Iso(Bounds),
    /// The showcase factory's old one, to compare: 1.0972 m + 2.472 s · v, where v is the robot's speed
    /// in whatever direction.
    Showcase(RobotSpeed),
}

/// What ISO/TS 15066 needs to be told; there is no default for any of it.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// v_h, of whoever has no speed of their own.
    pub human_speed_m_per_s: f64,
    /// v_r.
    pub robot_speed: RobotSpeed,
    /// The part of T_r that isn't age: person sensor, computing and stop signal.
    pub latency_s: f64,
    /// T_s and S_s.
    pub stopping: Stopping,
    /// C.
    pub intrusion_m: f64,
    /// Z_d.
    pub person_uncertainty_m: f64,
    /// Z_r.
    pub robot_uncertainty_m: f64,
}

/// How fast the robot is taken to be.
#[derive(Clone, Copy, Debug)]
pub enum RobotSpeed {
    /// Never faster than this, m/s.
    Stated(f64),
    /// As fast as it is seen to be, and at most so much faster a second later, m/s².
    Measured {
        /// The most that it accelerates.
        max_acceleration_m_per_s2: f64,
    },
}

/// How long a robot goes on, and how far, after it began to stop.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// It was no faster than this, m/s.
    pub speed_m_per_s: f64,
    /// T_s.
    pub time_s: f64,
    /// S_s.
    pub distance_m: f64,
}

/// Stops by speed, as a robot's maker gives them.
#[derive(Clone, Copy, Debug)]
pub struct Stopping {
    stops: [Stop; STOPS_MAX],
    count: usize,
}

/// Why a stop can't be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopError {
    /// It isn't faster than the one before, or takes less time or way, or less than none.
    NotRising,
    /// More than [`STOPS_MAX`].
    TooMany,
}

/// How an obstacle may come nearer by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Approach {
    /// As fast as a person.
    Person,
    /// No faster than this, m/s.
    AtMost(f32),
    /// Not at all: it is built in, and nobody is detected there. C and Z_d don't count for it.
    Fixture,
}

/// A pair at the moment of the decision.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// What the obstacle may do.
    pub approach: Approach,
    /// How long ago it was where it is taken to have been.
    pub obstacle_age_s: f64,
    /// How long ago the oldest axis value was measured.
    pub axes_age_s: f64,
    /// How fast the link's closest point moves, where that is known.
    pub speed: Option<PointSpeed>,
}

/// The protective separation distance of a pair, term by term.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Terms {
    /// S_h.
    pub human_m: f64,
    /// S_r.
    pub robot_m: f64,
    /// S_s.
    pub stopping_m: f64,
    /// C.
    pub intrusion_m: f64,
    /// Z_d.
    pub person_uncertainty_m: f64,
    /// Z_r.
    pub robot_uncertainty_m: f64,
    /// v_h.
    pub human_speed_m_per_s: f64,
    /// v_r.
    pub robot_speed_m_per_s: f64,
    /// T_r.
    pub reaction_s: f64,
    /// T_s.
    pub stopping_s: f64,
}

impl Terms {
    /// S_p: the sum of its six terms.
    #[must_use]
    pub fn protective_m(&self) -> f64 {
        self.human_m
            + self.robot_m
            + self.stopping_m
            + self.intrusion_m
            + self.person_uncertainty_m
            + self.robot_uncertainty_m
    }
}

impl Rule {
    /// What a pair has to keep. `None` where the rule is off, where the speed has to be measured and
    /// isn't known, and where the robot may be faster than its stopping is known for.
    #[must_use]
    pub fn terms(&self, pair: &Situation) -> Option<Terms> {
        match self {
            Self::Off => None,
            Self::Iso(bounds) => bounds.terms(pair),
            Self::Showcase(speed) => showcase(speed, pair),
        }
    }
}

impl Bounds {
    fn terms(&self, pair: &Situation) -> Option<Terms> {
        let reaction_s = self.latency_s + pair.obstacle_age_s + pair.axes_age_s;
        let robot_speed_m_per_s = match self.robot_speed {
            RobotSpeed::Stated(most) => most,
            RobotSpeed::Measured {
                max_acceleration_m_per_s2,
            } => {
                let closing = f64::from(pair.speed?.closing);
                let closing = if closing > 0.0 { closing } else { 0.0 };
                closing + max_acceleration_m_per_s2 * reaction_s
            }
        };
        let stop = self.stopping.from(robot_speed_m_per_s)?;
        let human_speed_m_per_s = match pair.approach {
            Approach::Person => self.human_speed_m_per_s,
            Approach::AtMost(most) => f64::from(most),
            Approach::Fixture => 0.0,
        };
        let (intrusion_m, person_uncertainty_m) = match pair.approach {
            Approach::Fixture => (0.0, 0.0),
            Approach::Person | Approach::AtMost(_) => (self.intrusion_m, self.person_uncertainty_m),
        };
        Some(Terms {
            human_m: human_speed_m_per_s * (reaction_s + stop.time_s),
            robot_m: robot_speed_m_per_s * reaction_s,
            stopping_m: stop.distance_m,
            intrusion_m,
            person_uncertainty_m,
            robot_uncertainty_m: self.robot_uncertainty_m,
            human_speed_m_per_s,
            robot_speed_m_per_s,
            reaction_s,
            stopping_s: stop.time_s,
        })
    }
}

/// The old rule in the words of the new: what is kept at least stands where C does.
fn showcase(speed: &RobotSpeed, pair: &Situation) -> Option<Terms> {
    let robot_speed_m_per_s = match speed {
        RobotSpeed::Stated(most) => *most,
        RobotSpeed::Measured { .. } => f64::from(pair.speed?.any_direction),
    };
    Some(Terms {
        human_m: 0.0,
        robot_m: robot_speed_m_per_s * SHOWCASE_REACTION_S,
        stopping_m: 0.0,
        intrusion_m: SHOWCASE_LEAST_M,
        person_uncertainty_m: 0.0,
        robot_uncertainty_m: 0.0,
        human_speed_m_per_s: 0.0,
        robot_speed_m_per_s,
        reaction_s: SHOWCASE_REACTION_S,
        stopping_s: 0.0,
    })
}

impl Stopping {
    /// Not known for any speed.
    pub const UNKNOWN: Self = Self {
        stops: [Stop {
            speed_m_per_s: 0.0,
            time_s: 0.0,
            distance_m: 0.0,
        }; STOPS_MAX],
        count: 0,
    };

    /// The same from every speed.
    #[must_use]
    pub fn always(time_s: f64, distance_m: f64) -> Self {
        let mut stopping = Self::UNKNOWN;
        stopping.stops[0] = Stop {
            speed_m_per_s: f64::INFINITY,
            time_s,
            distance_m,
        };
        stopping.count = 1;
        stopping
    }

    /// Adds a stop from a higher speed.
    ///
    /// # Errors
    /// Where the speed doesn't rise, time or distance fall or are negative, or there are too many.
    pub fn push(&mut self, stop: Stop) -> Result<(), StopError> {
        let rises = match self.stops().last() {
            Some(before) => {
                stop.speed_m_per_s > before.speed_m_per_s
                    && stop.time_s >= before.time_s
                    && stop.distance_m >= before.distance_m
            }
            None => stop.speed_m_per_s >= 0.0 && stop.time_s >= 0.0 && stop.distance_m >= 0.0,
        };
        if !rises {
            return Err(StopError::NotRising);
        }
        let slot = self.stops.get_mut(self.count).ok_or(StopError::TooMany)?;
        *slot = stop;
        self.count += 1;
        Ok(())
    }

    /// Whether it is known for no speed.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.count == 0
    }

    /// The stop from a speed: that of the next speed up, since between two nothing was measured.
    fn from(&self, speed_m_per_s: f64) -> Option<&Stop> {
        self.stops()
            .find(|stop| speed_m_per_s <= stop.speed_m_per_s)
    }

    fn stops(&self) -> impl Iterator<Item = &Stop> {
        self.stops.iter().take(self.count)
    }
}
