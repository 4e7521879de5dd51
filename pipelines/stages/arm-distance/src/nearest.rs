//! The pair of a robot's capsule and an obstacle with the least distance.

use crate::closest::{Closest, of_segment_and_box, of_segment_and_point, of_segments};
use crate::shape::{Form, Obstacle, Placed};
use crate::space::{Real, Vector, length};

/// The least distance, and where it is.
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

/// Every pair's bounding spheres are compared before the pair is. A bound that single precision puts a
/// few units in the last place too high must not hide the true minimum: it is taken this much smaller.
const CAUTION: Real = 1.0 - 1e-5;

/// The nearest pair; of several at the same distance the first, capsules within obstacles. `None` where
/// there is no pair at all.
#[must_use]
pub fn nearest(capsules: &[Placed], obstacles: &[Obstacle]) -> Option<Nearest> {
    let mut best: Option<(Real, usize, usize, Closest)> = None;
    for (o, obstacle) in obstacles.iter().enumerate() {
        for (c, capsule) in capsules.iter().enumerate() {
            let limit = best.as_ref().map_or(Real::INFINITY, |found| found.0);
            if is_farther_than(limit, capsule, obstacle) {
                continue;
            }
            let closest = closest(capsule, obstacle);
            let distance = distance(&closest, capsule.radius + obstacle.radius);
            if distance < limit {
                best = Some((distance, c, o, closest));
            }
        }
    }
    let (distance, c, o, closest) = best?;
    let outward = outward(&closest);
    let on_robot = closest.on_segment + outward * capsules[c].radius;
    Some(Nearest {
        distance,
        capsule: c,
        obstacle: o,
        on_robot,
        on_obstacle: on_robot + outward * distance,
        outward,
    })
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
