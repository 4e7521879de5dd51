//! The pair of a robot's capsule and an obstacle with the least distance, and on the way to it whatever
//! else is looked for among the pairs.

use crate::closest::{Closest, of_segment_and_box, of_segment_and_point, of_segments};
use crate::shape::{Form, Obstacle, Placed};
use crate::space::{Real, Vector, length};

/// A pair: how far apart the two are, and where.
#[derive(Clone, Copy, Debug)]
pub struct Nearest {
    /// Metres; negative where the shapes overlap.
    pub distance: Real,
    /// Number of the capsule in the list.
    pub capsule: usize,
    /// Number of the obstacle in the list.
    pub obstacle: usize,
    /// The closest point on the robot's surface.
    pub on_robot: Vector,
    /// The closest point on the obstacle's surface.
    pub on_obstacle: Vector,
    /// Direction of length 1 in which the distance grows when the obstacle moves along it.
    pub outward: Vector,
}

/// The motion of a pair's closest point on the robot.
#[derive(Clone, Copy, Debug)]
pub struct PointSpeed {
    /// In whatever direction, m/s.
    pub any_direction: Real,
    /// Towards the obstacle, m/s; negative where it goes away.
    pub closing: Real,
}

impl Nearest {
    /// The speed of the closest point on the robot that moves at this velocity.
    #[must_use]
    pub fn speed(&self, velocity: &Vector) -> PointSpeed {
        PointSpeed {
            any_direction: length(velocity),
            closing: velocity.dot(&self.outward),
        }
    }
}

/// What looks for another pair than the nearest. It is shown every pair that it may need; most of the
/// others are never computed.
pub trait Judge {
    /// The pairs of this obstacle come next.
    fn begin(&mut self, obstacle: usize);
    /// Pairs at least so far apart don't matter to it.
    fn limit(&self) -> Real;
    /// A pair that is nearer.
    fn take(&mut self, pair: &Nearest);
}

/// Looks for nothing.
impl Judge for () {
    fn begin(&mut self, _: usize) {}

    fn limit(&self) -> Real {
        Real::NEG_INFINITY
    }

    fn take(&mut self, _: &Nearest) {}
}

/// Every pair's bounding spheres are compared before the pair is. A bound that single precision puts a
/// few units in the last place too high must not hide the true minimum: it is taken this much smaller.
const CAUTION: Real = 1.0 - 1e-5;

/// The nearest pair; of several at the same distance the first, capsules within obstacles. `None` where
/// there is no pair at all.
pub fn nearest(
    capsules: &[Placed],
    obstacles: impl IntoIterator<Item = Obstacle>,
    judge: &mut impl Judge,
) -> Option<Nearest> {
    let mut best: Option<Found> = None;
    for (o, obstacle) in obstacles.into_iter().enumerate() {
        judge.begin(o);
        for (c, capsule) in capsules.iter().enumerate() {
            let least = best.as_ref().map_or(Real::INFINITY, |found| found.distance);
            let judged = judge.limit();
            let limit = if judged > least { judged } else { least };
            if is_farther_than(limit, capsule, &obstacle) {
                continue;
            }
            let closest = closest(capsule, &obstacle);
            let found = Found {
                distance: distance(&closest, capsule.radius + obstacle.radius),
                capsule: c,
                obstacle: o,
                radius: capsule.radius,
                closest,
            };
            if found.distance < judged {
                judge.take(&found.pair());
            }
            if found.distance < least {
                best = Some(found);
            }
        }
    }
    best.map(|found| found.pair())
}

/// A pair whose points nobody has asked for yet.
struct Found {
    distance: Real,
    capsule: usize,
    obstacle: usize,
    /// The capsule's.
    radius: Real,
    closest: Closest,
}

impl Found {
    fn pair(&self) -> Nearest {
        let outward = outward(&self.closest);
        let on_robot = self.closest.on_segment + outward * self.radius;
        Nearest {
            distance: self.distance,
            capsule: self.capsule,
            obstacle: self.obstacle,
            on_robot,
            on_obstacle: on_robot + outward * self.distance,
            outward,
        }
    }
}

/// Whether the bounding spheres alone show that a pair is at least `limit` apart.
fn is_farther_than(limit: Real, capsule: &Placed, obstacle: &Obstacle) -> bool {
    let reach = limit + capsule.bound + obstacle.bound;
    let centres = (obstacle.centre - capsule.centre).norm_squared() * CAUTION;
    reach <= 0.0 || centres > reach * reach
}

fn closest(capsule: &Placed, obstacle: &Obstacle) -> Closest {
    match &obstacle.form {
        Form::Point => of_segment_and_point(&capsule.axis, &obstacle.centre),
        Form::Segment(axis) => of_segments(&capsule.axis, axis),
        Form::Box(half) => {
            let mut about_box = capsule.axis;
            about_box.from -= obstacle.centre;
            let mut closest = of_segment_and_box(&about_box, half);
            closest.on_segment += obstacle.centre;
            closest
        }
    }
}

fn distance(closest: &Closest, radii: Real) -> Real {
    let between = length(&closest.way);
    if closest.inside {
        -between - radii
    } else {
        between - radii
    }
}

/// The direction from the robot to the obstacle; upwards where their axes meet and none is better.
fn outward(closest: &Closest) -> Vector {
    let way = if closest.inside {
        -closest.way
    } else {
        closest.way
    };
    let length = length(&way);
    if length > 0.0 {
        way / length
    } else {
        Vector::z()
    }
}
