//! What stands in the cell: the robot's capsules and the obstacles.

use crate::space::{Frame, Real, Vector, length, vector};

/// A stretch of straight line; a point where both ends are the same.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// One end.
    pub from: Vector,
    /// From that end to the other.
    pub along: Vector,
}

impl Segment {
    /// A point in the origin.
    pub const POINT: Self = Self {
        from: Vector::new(0.0, 0.0, 0.0),
        along: Vector::new(0.0, 0.0, 0.0),
    };

    /// The segment between two points.
    #[must_use]
    pub fn between(a: Vector, b: Vector) -> Self {
        Self {
            from: a,
            along: b - a,
        }
    }

    /// The point at `share` of the way, 0 to 1.
    #[must_use]
    pub fn at(&self, share: Real) -> Vector {
        self.from + self.along * share
    }
}

/// All points within a radius of a segment, fixed to a link of the robot.
#[derive(Clone, Copy, Debug)]
pub struct Capsule {
    /// The link that it moves with; 0 is the base.
    pub link: usize,
    axis: Segment,
    radius: Real,
    bound: Real,
}

impl Capsule {
    /// A point in the base's origin.
    pub const POINT: Self = Self {
        link: 0,
        axis: Segment::POINT,
        radius: 0.0,
        bound: 0.0,
    };

    /// A capsule from `a_m` to `b_m` in the link's frame.
    #[must_use]
    pub fn new(link: usize, a_m: [f64; 3], b_m: [f64; 3], radius_m: f64) -> Self {
        let axis = Segment::between(vector(a_m), vector(b_m));
        let radius = radius_m as Real;
        Self {
            link,
            axis,
            radius,
            bound: length(&axis.along) * 0.5 + radius,
        }
    }

    /// Whether its radius makes sense.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        self.radius >= 0.0
    }

    /// The capsule where its link is.
    #[must_use]
    pub fn placed(&self, link: &Frame) -> Placed {
        let axis = Segment {
            from: link.place(&self.axis.from),
            along: link.rotation * self.axis.along,
        };
        Placed {
            axis,
            radius: self.radius,
            centre: axis.at(0.5),
            bound: self.bound,
        }
    }
}

/// A capsule of the robot in the cell.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// Its axis, in the cell.
    pub axis: Segment,
    /// Metres.
    pub radius: Real,
    /// The middle of the axis.
    pub centre: Vector,
    /// No point of it is farther from `centre` than this.
    pub bound: Real,
}

impl Placed {
    /// A point in the cell's origin.
    pub const POINT: Self = Self {
        axis: Segment::POINT,
        radius: 0.0,
        centre: Vector::new(0.0, 0.0, 0.0),
        bound: 0.0,
    };
}

/// The form of an obstacle, without its rounding.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// A sphere's centre, which is the obstacle's.
    Point,
    /// A capsule's axis.
    Segment(Segment),
    /// A box with its edges along the cell's axes: half of each edge, about the obstacle's centre.
    Box(Vector),
}

/// Something that the robot may come near to, in the cell's frame.
#[derive(Clone, Copy, Debug)]
pub struct Obstacle {
    /// Its form.
    pub form: Form,
    /// How far its surface stands from that form, metres; 0 for a box.
    pub radius: Real,
    /// Its middle.
    pub centre: Vector,
    /// No point of it is farther from `centre` than this.
    pub bound: Real,
}

impl Obstacle {
    /// A point in the cell's origin.
    pub const POINT: Self = Self {
        form: Form::Point,
        radius: 0.0,
        centre: Vector::new(0.0, 0.0, 0.0),
        bound: 0.0,
    };

    /// A sphere.
    #[must_use]
    pub fn sphere(centre_m: [f64; 3], radius_m: f64) -> Self {
        let radius = radius_m as Real;
        Self {
            form: Form::Point,
            radius,
            centre: vector(centre_m),
            bound: radius,
        }
    }

    /// All points within a radius of the segment from `a_m` to `b_m`.
    #[must_use]
    pub fn capsule(a_m: [f64; 3], b_m: [f64; 3], radius_m: f64) -> Self {
        let axis = Segment::between(vector(a_m), vector(b_m));
        let radius = radius_m as Real;
        let bound = length(&axis.along) * 0.5 + radius;
        Self {
            form: Form::Segment(axis),
            radius,
            centre: axis.at(0.5),
            bound,
        }
    }

    /// A box with its edges along the cell's axes.
    #[must_use]
    pub fn cuboid(centre_m: [f64; 3], edges_m: [f64; 3]) -> Self {
        let half = vector(edges_m) * 0.5;
        Self {
            form: Form::Box(half),
            radius: 0.0,
            centre: vector(centre_m),
            bound: length(&half),
        }
    }

    /// The same farther along.
    #[must_use]
    pub fn moved(&self, by: &Vector) -> Self {
        let mut moved = *self;
        moved.centre += by;
        if let Form::Segment(axis) = &mut moved.form {
            axis.from += by;
        }
        moved
    }

    /// Whether its sizes make sense.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let edges = match &self.form {
            Form::Point | Form::Segment(_) => true,
            Form::Box(half) => half.iter().all(|edge| *edge >= 0.0),
        };
        edges && self.radius >= 0.0
    }
}
