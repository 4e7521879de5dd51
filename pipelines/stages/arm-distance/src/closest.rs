//! Closest points of a segment and a point, a segment or a box.
//!
//! Where a segment enters a box, the point that lies deepest in it stands for the closest, together
//! with the face that is nearest to it, so that the signed distance runs through zero without a jump.
//! It is then how deep the segment lies, not how far one would have to move the box to be free of it.

use crate::shape::Segment;
use crate::space::{Real, Vector, bounded};

/// Two points that decide the distance of two shapes.
#[derive(Clone, Copy, Debug)]
pub struct Closest {
    /// The one on the segment.
    pub on_segment: Vector,
    /// From there to the one on the other shape.
    pub way: Vector,
    /// Whether the point on the segment lies inside the other shape: the distance is then negative.
    pub inside: bool,
}

/// Closest points of a segment, which may be a point itself, and a point.
#[must_use]
pub fn of_segment_and_point(segment: &Segment, point: &Vector) -> Closest {
    let to_point = point - segment.from;
    let squared = segment.along.norm_squared();
    let share = if squared > 0.0 {
        bounded(to_point.dot(&segment.along) / squared, 0.0, 1.0)
    } else {
        0.0
    };
    Closest {
        on_segment: segment.at(share),
        way: to_point - segment.along * share,
        inside: false,
    }
}

/// Closest points of two segments, either of which may be a point.
///
/// The least of a convex quadratic over the unit square (Ericson, Real-Time Collision Detection, 5.1.9):
/// the shares along both lines, then each clamped and the other one found again. In double precision,
/// since for nearly parallel segments the determinant is a difference of nearly equal numbers.
#[must_use]
pub fn of_segments(first: &Segment, second: &Segment) -> Closest {
    let apart = first.from - second.from;
    let a = dot(&first.along, &first.along);
    let b = dot(&first.along, &second.along);
    let c = dot(&first.along, &apart);
    let e = dot(&second.along, &second.along);
    let f = dot(&second.along, &apart);

    let determinant = a * e - b * b;
    let crossing = share(b * f - c * e, determinant);
    let on_second = share(b * crossing + f, e);
    let on_first = share(b * on_second - c, a);
    let on_segment = first.at(on_first as Real);
    Closest {
        on_segment,
        way: second.at(on_second as Real) - on_segment,
        inside: false,
    }
}

/// Closer to a box than this, a segment may have entered it: the point found outside is then off by
/// rounding, which is far less even at coordinates of a kilometre.
const CONTACT: Real = 1e-3;

/// Closest points of a segment and a box about the origin of which `half` is half of each edge.
#[must_use]
pub fn of_segment_and_box(segment: &Segment, half: &Vector) -> Closest {
    let on_segment = segment.at(closest_share(segment, half));
    let way = on_segment.zip_map(half, |x, h| bounded(x, -h, h) - x);
    if way.norm_squared() < CONTACT * CONTACT
        && let Some(inside) = deepest(segment, half)
    {
        return inside;
    }
    Closest {
        on_segment,
        way,
        inside: false,
    }
}

/// The share of the segment at which it is closest to the box.
///
/// Half the squared distance is convex along the segment, and its slope piecewise straight, with bends
/// where the segment passes a face's plane. The bends narrow the way down to the piece in which the slope
/// goes through zero, and there one line finds it.
fn closest_share(segment: &Segment, half: &Vector) -> Real {
    let slope = |share: Real| {
        let excess = segment
            .at(share)
            .zip_map(half, |x, h| x - bounded(x, -h, h));
        excess.dot(&segment.along)
    };
    let (mut low, mut slope_low) = (0.0, slope(0.0));
    let (mut high, mut slope_high) = (1.0, slope(1.0));
    if slope_low >= 0.0 {
        return low;
    }
    if slope_high <= 0.0 {
        return high;
    }
    for axis in 0..3 {
        let (from, along) = (segment.from[axis], segment.along[axis]);
        if along == 0.0 {
            continue;
        }
        for face in [-half[axis], half[axis]] {
            let bend = (face - from) / along;
            if bend > low && bend < high {
                let slope_there = slope(bend);
                if slope_there < 0.0 {
                    (low, slope_low) = (bend, slope_there);
                } else {
                    (high, slope_high) = (bend, slope_there);
                }
            }
        }
    }
    low + (high - low) * (slope_low / (slope_low - slope_high))
}

/// The point of a segment that lies deepest in a box, and the nearest point of the box's surface; nothing
/// where the segment doesn't enter it.
///
/// Above every face the height is a straight line along the segment, and the highest of the six is the
/// (negative) depth: convex. Where the two lines that are highest at both ends of the way meet, either
/// that is the lowest point, or a third line is higher there and takes the place of one of them.
fn deepest(segment: &Segment, half: &Vector) -> Option<Closest> {
    let mut low = highest(segment, half, 0.0);
    let mut high = highest(segment, half, 1.0);
    let mut best = if low.height <= high.height { low } else { high };
    // Six faces: a line can take a place at most six times.
    for _ in 0..6 {
        if low.slope >= 0.0 || high.slope <= 0.0 {
            break;
        }
        let meeting = (high.at_start - low.at_start) / (low.slope - high.slope);
        let there = highest(segment, half, bounded(meeting, 0.0, 1.0));
        if there.height < best.height {
            best = there;
        }
        if there.face == low.face || there.face == high.face {
            break;
        }
        if there.slope < 0.0 {
            low = there;
        } else {
            high = there;
        }
    }
    if best.height >= 0.0 {
        return None;
    }
    let (axis, side) = best.face;
    let mut way = Vector::zeros();
    way[axis] = -side * best.height;
    Some(Closest {
        on_segment: segment.at(best.share),
        way,
        inside: true,
    })
}

/// The face of a box above which a point of the segment is highest (least deep).
#[derive(Clone, Copy)]
struct Highest {
    share: Real,
    /// The face's axis and side.
    face: (usize, Real),
    /// Height above the face at this share, at the segment's start, and its change along the segment.
    height: Real,
    at_start: Real,
    slope: Real,
}

fn highest(segment: &Segment, half: &Vector, share: Real) -> Highest {
    let at = segment.at(share);
    let mut found = Highest {
        share,
        face: (0, 1.0),
        height: Real::NEG_INFINITY,
        at_start: 0.0,
        slope: 0.0,
    };
    for axis in 0..3 {
        for side in [-1.0, 1.0] {
            let height = side * at[axis] - half[axis];
            if height > found.height {
                let at_start = side * segment.from[axis] - half[axis];
                let slope = side * segment.along[axis];
                found = Highest {
                    share,
                    face: (axis, side),
                    height,
                    at_start,
                    slope,
                };
            }
        }
    }
    found
}

/// `numerator / denominator` within 0 to 1; 0 where the segment is a point, or two are parallel.
fn share(numerator: f64, denominator: f64) -> f64 {
    if denominator <= 0.0 || numerator <= 0.0 {
        0.0
    } else if numerator >= denominator {
        1.0
    } else {
        numerator / denominator
    }
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    f64::from(a.x) * f64::from(b.x)
        + f64::from(a.y) * f64::from(b.y)
        + f64::from(a.z) * f64::from(b.z)
}
