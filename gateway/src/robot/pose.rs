//! Places and orientations in metres and radians, as URDF has them.

/// A point or a direction.
pub type Point = [f64; 3];

/// Where a frame stands in another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pose {
    /// Its axes as columns, row by row.
    rotation: [Point; 3],
    /// Its origin.
    pub origin: Point,
}

impl Pose {
    /// The other frame itself.
    pub const SAME: Self = Self {
        rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        origin: [0.0; 3],
    };

    /// The frame at `origin`, turned by roll about x, then pitch about y, then yaw about z, all fixed.
    pub fn new(origin: Point, [roll, pitch, yaw]: Point) -> Self {
        let ((sr, cr), (sp, cp), (sy, cy)) = (roll.sin_cos(), pitch.sin_cos(), yaw.sin_cos());
        Self {
            rotation: [
                [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
                [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
                [-sp, cp * sr, cp * cr],
            ],
            origin,
        }
    }

    /// The outer frame's coordinates of a point.
    pub fn place(&self, point: Point) -> Point {
        let turned = self.turn(point);
        std::array::from_fn(|axis| turned[axis] + self.origin[axis])
    }

    /// The outer frame's coordinates of a direction.
    pub fn turn(&self, direction: Point) -> Point {
        self.rotation.map(|row| dot(row, direction))
    }

    /// A frame within this one, seen from outside of it.
    pub fn then(&self, inner: &Self) -> Self {
        let column = |axis: usize| inner.rotation.map(|row| row[axis]);
        Self {
            rotation: self
                .rotation
                .map(|row| std::array::from_fn(|axis| dot(row, column(axis)))),
            origin: self.place(inner.origin),
        }
    }

    /// Roll, pitch and yaw of its orientation.
    pub fn roll_pitch_yaw(&self) -> Point {
        let [[xx, xy, xz], [yx, yy, yz], [zx, zy, zz]] = self.rotation;
        let pitch = (-zx).clamp(-1.0, 1.0).asin();
        // Straight up or down, roll and yaw turn about one axis: all of it is yaw then.
        if zy.hypot(zz) > 1e-9 {
            [zy.atan2(zz), pitch, yx.atan2(xx)]
        } else if zx < 0.0 {
            [0.0, pitch, yz.atan2(xz)]
        } else {
            [0.0, pitch, (-xy).atan2(yy)]
        }
    }
}

/// The scalar product.
pub fn dot(a: Point, b: Point) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

/// From `b` to `a`.
pub fn minus(a: Point, b: Point) -> Point {
    std::array::from_fn(|axis| a[axis] - b[axis])
}

/// So many `direction`s away from `from`.
pub fn along(from: Point, direction: Point, far: f64) -> Point {
    std::array::from_fn(|axis| from[axis] + direction[axis] * far)
}

/// How long a direction is.
pub fn length(direction: Point) -> f64 {
    dot(direction, direction).sqrt()
}

/// The direction of length 1, if it is one.
pub fn unit(direction: Point) -> Option<Point> {
    let length = length(direction);
    (length > 0.0 && length.is_finite()).then(|| direction.map(|part| part / length))
}

/// The direction that is upright on two.
pub fn cross(a: Point, b: Point) -> Point {
    [
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::FRAC_PI_2;

    #[test]
    fn angles_come_back_from_the_orientation_that_they_made() {
        for angles in [
            [0.0; 3],
            [0.3, -0.7, 2.0],
            [-3.0, 1.2, -0.1],
            [0.0, FRAC_PI_2, 0.4],
            [0.5, -FRAC_PI_2, 0.4],
        ] {
            let pose = Pose::new([0.0; 3], angles);
            let again = Pose::new([0.0; 3], pose.roll_pitch_yaw());
            for axis in [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]] {
                let apart = minus(pose.turn(axis), again.turn(axis));
                assert!(length(apart) < 1e-9, "{angles:?}");
            }
        }
    }

    #[test]
    fn roll_is_turned_before_yaw() {
        let pose = Pose::new([1.0, 2.0, 3.0], [FRAC_PI_2, 0.0, FRAC_PI_2]);
        // y becomes z by roll and stays there.
        let y = pose.place([0.0, 1.0, 0.0]);
        assert!(length(minus(y, [1.0, 2.0, 4.0])) < 1e-12, "{y:?}");
        let twice = pose.then(&pose).place([0.0; 3]);
        assert!(length(minus(twice, pose.place([1.0, 2.0, 3.0]))) < 1e-12);
    }
}
