//! The pair that decides: the one with the least margin between its distance and what it has to keep,
//! which need not be the nearest. A farther link may be faster, a farther obstacle older.

use crate::arm::Arm;
use crate::nearest::{Judge, Nearest, PointSpeed};
use crate::separation::{Situation, Terms};
use crate::space::{Real, Vector, length};

/// What an evaluation says about the distances that have to be kept.
#[derive(Clone, Copy, Debug)]
pub struct Separation {
    /// How old the oldest axis value is.
    pub axes_age_s: f64,
    /// How many obstacles there are.
    pub obstacles: usize,
    /// The pair that decides; none where there are no obstacles.
    pub deciding: Option<Deciding>,
}

/// The pair with the least margin; of several the first, capsules within obstacles.
#[derive(Clone, Copy, Debug)]
pub struct Deciding {
    /// Distance and closest points; `capsule` is the row in the table.
    pub pair: Nearest,
    /// What it has to keep.
    pub terms: Terms,
    /// How much more it keeps than it has to, metres.
    pub margin_m: f64,
    /// How old the obstacle is.
    pub obstacle_age_s: f64,
}

/// Where rounding could hide a pair, pairs are looked at that are this much farther than they matter,
/// and links are taken for this much faster.
const CAUTION_M: f64 = 1e-4;
const CAUTION: Real = 1.0 + 1e-4;

/// The search for that pair over an arm that stands where its axes have it.
pub(crate) struct Search<'a> {
    arm: &'a Arm,
    axes_age_s: f64,
    t_s: f64,
    moving: bool,
    /// No point of the arm moves faster.
    fastest: PointSpeed,
    /// Of the obstacle whose pairs come.
    situation: Situation,
    /// What no pair of that obstacle has to keep more than.
    most_m: f64,
    /// Whether there is an answer at all.
    possible: bool,
    deciding: Option<Deciding>,
}

impl<'a> Search<'a> {
    /// A search at line time `t_s`. Without an age of the axes (`None`) there is no answer, and so there
    /// is none where any obstacle is too old to be believed.
    pub(crate) fn new(arm: &'a Arm, axes_age_s: Option<f64>, t_s: f64, moving: bool) -> Self {
        let possible = axes_age_s.is_some()
            && arm.has_rule()
            && !arm.sightings().any(|sighting| sighting.is_stale(t_s));
        let axes_age_s = axes_age_s.unwrap_or_default();
        let fastest = if possible { fastest(arm) } else { 0.0 };
        let fastest = PointSpeed {
            any_direction: fastest,
            closing: fastest,
        };
        let situation = Situation {
            approach: crate::separation::Approach::Person,
            obstacle_age_s: 0.0,
            axes_age_s,
            speed: None,
        };
        Self {
            arm,
            axes_age_s,
            t_s,
            moving,
            fastest,
            situation,
            most_m: 0.0,
            possible,
            deciding: None,
        }
    }

    /// What has been found, after all pairs were shown. None where there is no answer: obstacles, but no
    /// link to compare them with, or a pair of which it isn't known what it has to keep.
    pub(crate) fn found(self) -> Option<Separation> {
        let obstacles = self.arm.sightings().len();
        let answered = self.deciding.is_some() || obstacles == 0;
        (self.possible && answered).then_some(Separation {
            axes_age_s: self.axes_age_s,
            obstacles,
            deciding: self.deciding,
        })
    }

    fn in_situation(&self, speed: PointSpeed) -> Option<Terms> {
        let speed = self.moving.then_some(speed);
        self.arm.rule().terms(&Situation {
            speed,
            ..self.situation
        })
    }
}

impl Judge for Search<'_> {
    fn begin(&mut self, obstacle: usize) {
        if !self.possible {
            return;
        }
        let Some(sighting) = self.arm.sightings().nth(obstacle) else {
            return;
        };
        self.situation.approach = sighting.approach;
        self.situation.obstacle_age_s = sighting.age_s(self.t_s);
        // Where not even the fastest point has an answer, every pair is asked for its own.
        let most = self.in_situation(self.fastest);
        self.most_m = most.map_or(f64::INFINITY, |terms| terms.protective_m());
    }

    fn limit(&self) -> Real {
        match &self.deciding {
            _ if !self.possible => Real::NEG_INFINITY,
            None => Real::INFINITY,
            Some(deciding) => (deciding.margin_m + self.most_m + CAUTION_M) as Real,
        }
    }

    fn take(&mut self, pair: &Nearest) {
        let Some(terms) = self.in_situation(pair.speed(&self.arm.velocity(pair))) else {
            self.possible = false;
            return;
        };
        let margin_m = f64::from(pair.distance) - terms.protective_m();
        if self
            .deciding
            .as_ref()
            .is_none_or(|deciding| margin_m < deciding.margin_m)
        {
            self.deciding = Some(Deciding {
                pair: self.arm.by_row(pair),
                terms,
                margin_m,
                obstacle_age_s: self.situation.obstacle_age_s,
            });
        }
    }
}

/// No point within the capsules moves faster than this, m/s.
fn fastest(arm: &Arm) -> Real {
    let mut fastest = 0.0;
    for (link, placed) in arm.placed() {
        let twist = arm.chain().twist(link);
        let from_origin: Vector = placed.centre - arm.chain().link(link).origin;
        let speed = length(&twist.velocity(&from_origin)) + length(&twist.angular) * placed.bound;
        if speed > fastest {
            fastest = speed;
        }
    }
    fastest * CAUTION
}
