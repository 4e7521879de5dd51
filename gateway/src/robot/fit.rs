//! The capsule of about the least volume around given balls.
//!
//! A capsule encloses a ball where its axis passes at most `radius - ball's radius` from the ball's
//! centre. For a direction of the axis, the least circle around the balls as seen along it says where
//! the axis runs and how thick the capsule must be at least; how far it has to reach follows from that.
//! What is left is a search among directions and among radii somewhat above the least one, which trades
//! thickness for length.
//!
//! What holds: the capsule that comes out encloses every ball, checked against all of them at the end.
//! It needn't be the smallest there is.

use super::pose::{Point, along, cross, dot, length, minus, unit};

/// A ball that has to be enclosed; a corner of a mesh is one without radius.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ball {
    /// Its middle, metres.
    pub centre: Point,
    /// Metres.
    pub radius: f64,
}

/// All points within a radius of a segment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capsule {
    /// One end of the segment, metres.
    pub a: Point,
    /// The other end.
    pub b: Point,
    /// Metres.
    pub radius: f64,
}

/// What ends and radius are rounded to, in metres. The radius is rounded outwards, after the ends.
const STEP_M: f64 = 1e-4;

/// Directions that are tried at first; neighbours are 15 degrees apart.
const DIRECTIONS: u32 = 200;

/// From a try to the next around the best of them, in radians.
const TURN_FIRST: f64 = 0.15;
const TURN_LAST: f64 = 1e-4;

/// Steps towards the least circle; it is off by 1 part in so many, which the radius makes up for.
const CIRCLE_STEPS: u32 = 200;

/// Radii that are tried, from the least one to twice that.
const RADII: u32 = 24;

impl Capsule {
    /// How far a point is from the axis.
    fn off_axis(&self, point: Point) -> f64 {
        let (axis, to_point) = (minus(self.b, self.a), minus(point, self.a));
        let squared = dot(axis, axis);
        let share = if squared > 0.0 {
            (dot(to_point, axis) / squared).clamp(0.0, 1.0)
        } else {
            0.0
        };
        length(minus(point, along(self.a, axis, share)))
    }

    /// Whether a ball lies within it, up to a thousandth of a millimetre.
    pub fn encloses(&self, ball: &Ball) -> bool {
        self.off_axis(ball.centre) + ball.radius <= self.radius + 1e-6
    }

    /// Cubic metres.
    pub fn volume(&self) -> f64 {
        volume(length(minus(self.b, self.a)), self.radius)
    }

    /// The same with rounded ends, as thick as it then has to be.
    fn rounded(&self, balls: &[Ball]) -> Self {
        let round = |end: Point| end.map(|part| (part / STEP_M).round() * STEP_M);
        let mut rounded = Self {
            a: round(self.a),
            b: round(self.b),
            radius: 0.0,
        };
        let needed = balls
            .iter()
            .map(|ball| rounded.off_axis(ball.centre) + ball.radius)
            .fold(0.0, f64::max);
        // A ten-thousandth of a step is what rounding made of a radius that needs none.
        rounded.radius = (needed / STEP_M - 1e-4).ceil() * STEP_M;
        rounded
    }
}

fn volume(length: f64, radius: f64) -> f64 {
    std::f64::consts::PI * radius * radius * (length + radius * 4.0 / 3.0)
}

/// A capsule that encloses all balls; none where there are none.
pub fn enclose(balls: &[Ball]) -> Option<Capsule> {
    let outer = extremes(balls);
    let mut best: Option<(f64, Point, Capsule)> = None;
    let attempt = |direction: Point, best: &mut Option<(f64, Point, Capsule)>| {
        let Some(found) = unit(direction).and_then(|direction| capsule_along(direction, &outer))
        else {
            return false;
        };
        let better = best
            .as_ref()
            .is_none_or(|(least, ..)| found.volume() < *least);
        if better {
            *best = Some((found.volume(), direction, found));
        }
        better
    };
    for direction in AXES.into_iter().chain(directions()) {
        attempt(direction, &mut best);
    }
    let mut turn = TURN_FIRST;
    while turn > TURN_LAST {
        let (_, direction, _) = best?;
        let (u, v) = across(direction);
        let better = [(u, turn), (u, -turn), (v, turn), (v, -turn)]
            .into_iter()
            .any(|(side, turn)| attempt(along(direction, side, turn), &mut best));
        if !better {
            turn /= 2.0;
        }
    }
    best.map(|(.., capsule)| capsule.rounded(balls))
}

const AXES: [Point; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

/// Directions all around, evenly spread over a sphere by the golden angle.
fn directions() -> impl Iterator<Item = Point> {
    let golden = std::f64::consts::PI * (3.0 - 5.0_f64.sqrt());
    (0..DIRECTIONS).map(move |number| {
        let z = 1.0 - (f64::from(number) + 0.5) * 2.0 / f64::from(DIRECTIONS);
        let (sine, cosine) = (f64::from(number) * golden).sin_cos();
        let wide = (1.0 - z * z).sqrt();
        [wide * cosine, wide * sine, z]
    })
}

/// The balls that reach farthest in some direction: all that matters while a direction is looked for.
fn extremes(balls: &[Ball]) -> Vec<Ball> {
    let mut chosen: Vec<usize> = AXES
        .into_iter()
        .chain(AXES.map(|axis| axis.map(|part| -part)))
        .chain(directions())
        .filter_map(|direction| {
            let reach = |ball: &Ball| dot(ball.centre, direction) + ball.radius;
            let farthest = balls
                .iter()
                .enumerate()
                .max_by(|(_, one), (_, other)| reach(one).total_cmp(&reach(other)));
            farthest.map(|(index, _)| index)
        })
        .collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen.into_iter().map(|index| balls[index]).collect()
}

/// Two directions that are upright on one and on each other.
fn across(direction: Point) -> (Point, Point) {
    let other = if direction[0].abs() < 0.6 {
        AXES[0]
    } else {
        AXES[1]
    };
    let u = unit(cross(direction, other)).unwrap_or(AXES[2]);
    let v = unit(cross(direction, u)).unwrap_or(AXES[2]);
    (u, v)
}

/// The best capsule with its axis in that direction.
fn capsule_along(direction: Point, balls: &[Ball]) -> Option<Capsule> {
    let (u, v) = across(direction);
    let seen: Vec<[f64; 3]> = balls
        .iter()
        .map(|ball| [dot(ball.centre, u), dot(ball.centre, v), ball.radius])
        .collect();
    let middle = least_circle(&seen)?;
    let aside = |[x, y, _]: [f64; 3]| (x - middle[0]).hypot(y - middle[1]);
    let least = seen
        .iter()
        .map(|disc| aside(*disc) + disc[2])
        .fold(0.0, f64::max);
    let mut best: Option<(f64, f64, f64, f64)> = None;
    for step in 0..RADII {
        let radius = least * (1.0 + f64::from(step) / f64::from(RADII));
        // The axis must begin before the first of these ends and end behind the last that begins.
        let (mut begin, mut end) = (f64::INFINITY, f64::NEG_INFINITY);
        for (ball, disc) in balls.iter().zip(&seen) {
            let (room, aside) = (radius - ball.radius, aside(*disc));
            let reach = (room * room - aside * aside).max(0.0).sqrt();
            let at = dot(ball.centre, direction);
            begin = begin.min(at + reach);
            end = end.max(at - reach);
        }
        if begin > end {
            (begin, end) = ((begin + end) / 2.0, (begin + end) / 2.0);
        }
        let volume = volume(end - begin, radius);
        if best.is_none_or(|(least, ..)| volume < least) {
            best = Some((volume, radius, begin, end));
        }
    }
    let (_, radius, begin, end) = best?;
    let foot = along(along([0.0; 3], u, middle[0]), v, middle[1]);
    Some(Capsule {
        a: along(foot, direction, begin),
        b: along(foot, direction, end),
        radius,
    })
}

/// About the middle of the least circle around discs (Bădoiu and Clarkson 2003: ever shorter steps
/// towards whatever is farthest).
fn least_circle(discs: &[[f64; 3]]) -> Option<[f64; 2]> {
    let [x, y, _] = *discs.first()?;
    let mut middle = [x, y];
    for step in 1..=CIRCLE_STEPS {
        let far = |[x, y, radius]: [f64; 3]| (x - middle[0]).hypot(y - middle[1]) + radius;
        let [x, y, radius] = *discs
            .iter()
            .max_by(|one, other| far(**one).total_cmp(&far(**other)))?;
        let apart = (x - middle[0]).hypot(y - middle[1]);
        if apart > 0.0 {
            // The disc's farthest point, beyond its own middle.
            let reach = (1.0 + radius / apart) / f64::from(step + 1);
            middle = [
                middle[0] + (x - middle[0]) * reach,
                middle[1] + (y - middle[1]) * reach,
            ];
        }
    }
    Some(middle)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn corner(centre: Point) -> Ball {
        Ball {
            centre,
            radius: 0.0,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn everything_is_enclosed(
            balls in prop::collection::vec((prop::array::uniform3(-1.0..1.0_f64), 0.0..0.3_f64), 1..60),
        ) {
            let balls: Vec<Ball> = balls.into_iter().map(|(centre, radius)| Ball { centre, radius }).collect();
            let capsule = enclose(&balls).unwrap();
            prop_assert!(balls.iter().all(|ball| capsule.encloses(ball)), "{capsule:?}");
            // A sphere around everything is never much better.
            prop_assert!(capsule.volume() < 4.2 * 2.1_f64.powi(3));
        }

        #[test]
        fn a_capsule_is_found_again(
            a in prop::array::uniform3(-1.0..1.0_f64), b in prop::array::uniform3(-1.0..1.0_f64), radius in 0.05..0.3_f64,
        ) {
            let balls = [a, b].map(|centre| Ball { centre, radius });
            let capsule = enclose(&balls).unwrap();
            let truth = Capsule { a, b, radius }.volume();
            prop_assert!(capsule.volume() < truth * 1.03, "{} for {truth}", capsule.volume());
        }
    }

    #[test]
    fn a_long_box_gets_a_capsule_along_it() {
        let mut corners = Vec::new();
        for x in [0.0, 1.0] {
            for y in [-0.05, 0.05] {
                for z in [-0.05, 0.05] {
                    corners.push(corner([x, y, z]));
                }
            }
        }
        let capsule = enclose(&corners).unwrap();
        assert!(corners.iter().all(|corner| capsule.encloses(corner)));
        assert!(capsule.radius < 0.08, "{capsule:?}");
        assert!((capsule.b[0] - capsule.a[0]).abs() > 0.85, "{capsule:?}");
    }

    #[test]
    fn one_point_is_a_capsule_without_size_and_nothing_is_none() {
        let point = enclose(&[corner([0.1, -0.2, 0.3])]).unwrap();
        assert!(point.encloses(&corner([0.1, -0.2, 0.3])));
        assert!(point.radius <= 1e-4);
        assert!(enclose(&[]).is_none());
    }
}
