//! Positions, orientations and motions in metres, radians and seconds, in right-handed frames with z up.
//!
//! Everything is computed in [`Real`] by additions, multiplications, divisions and the square root of
//! `libm`, all exactly rounded and none of them fused, so that a processor and a WebAssembly engine give
//! the same bits.

use core::f64::consts::PI;

/// The number that geometry is computed in. Single precision resolves 0.5 µm at 4 m, is a fifth faster
/// in Wasmtime and several times faster on a microcontroller without a floating-point unit.
pub type Real = f32;

/// A position, direction or velocity.
pub type Vector = nalgebra::Vector3<Real>;

/// A rotation, or the sum of parts of one.
pub type Matrix = nalgebra::Matrix3<Real>;

/// Makes a vector from what stands in a table or parameter.
#[must_use]
pub fn vector(values: [f64; 3]) -> Vector {
    Vector::new(values[0] as Real, values[1] as Real, values[2] as Real)
}

/// The length of a vector. Exactly rounded, and therefore the same everywhere.
#[must_use]
pub fn length(of: &Vector) -> Real {
    libm::sqrtf(of.norm_squared())
}

/// `value`, or the bound that it is beyond. The minimum and maximum of the standard library leave open
/// which zero comes out of two, and its `clamp` can panic.
#[must_use]
pub fn bounded(value: Real, least: Real, most: Real) -> Real {
    if value < least {
        least
    } else if value > most {
        most
    } else {
        value
    }
}

/// Sine and cosine of an angle in degrees, each to the last place of [`Real`]; exact at right angles.
///
/// The angle less a whole number of right angles is within 45°, and there the Taylor series are cut where
/// what is missing stays below 2e-9. `libm` would bring a reduction of arguments of any size along, which
/// is longer than this whole stage.
#[must_use]
pub fn sine_cosine(angle_deg: f64) -> (Real, Real) {
    let turns = angle_deg / 90.0;
    let right_angles = (turns + if turns < 0.0 { -0.5 } else { 0.5 }) as i32;
    let x = (angle_deg - f64::from(right_angles) * 90.0) * (PI / 180.0);
    let q = x * x;
    let sine = x
        * (1.0
            - q * (1.0 / 6.0)
                * (1.0 - q * (1.0 / 20.0) * (1.0 - q * (1.0 / 42.0) * (1.0 - q * (1.0 / 72.0)))));
    let cosine = 1.0
        - q * (1.0 / 2.0)
            * (1.0
                - q * (1.0 / 12.0)
                    * (1.0
                        - q * (1.0 / 30.0) * (1.0 - q * (1.0 / 56.0) * (1.0 - q * (1.0 / 90.0)))));
    let (sine, cosine) = match right_angles & 3 {
        0 => (sine, cosine),
        1 => (cosine, -sine),
        2 => (-sine, -cosine),
        _ => (-cosine, sine),
    };
    (sine as Real, cosine as Real)
}

/// The rotation by roll about x, then pitch about y, then yaw about z, all about the fixed axes, as
/// URDF defines it.
#[must_use]
pub fn rotation(roll_pitch_yaw_rad: [f64; 3]) -> Matrix {
    let [(sr, cr), (sp, cp), (sy, cy)] =
        roll_pitch_yaw_rad.map(|angle| sine_cosine(angle * (180.0 / PI)));
    Matrix::new(
        cy * cp,
        cy * sp * sr - sy * cr,
        cy * sp * cr + sy * sr,
        sy * cp,
        sy * sp * sr + cy * cr,
        sy * sp * cr - cy * sr,
        -sp,
        cp * sr,
        cp * cr,
    )
}

/// Where a link stands: the orientation and origin of its frame in the cell.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Turns directions of the link into directions of the cell.
    pub rotation: Matrix,
    /// The link's origin in the cell, metres.
    pub origin: Vector,
}

impl Frame {
    /// The cell's own frame.
    pub const CELL: Self = Self {
        rotation: Matrix::new(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        origin: Vector::new(0.0, 0.0, 0.0),
    };

    /// Not a frame: all zeros, to fill arrays with.
    pub(crate) const ZERO: Self = Self {
        rotation: Matrix::new(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),
        origin: Vector::new(0.0, 0.0, 0.0),
    };

    /// The frame at a position, metres, with an orientation as in [`rotation`].
    #[must_use]
    pub fn at(position_m: [f64; 3], roll_pitch_yaw_rad: [f64; 3]) -> Self {
        Self {
            rotation: rotation(roll_pitch_yaw_rad),
            origin: vector(position_m),
        }
    }

    /// The cell's coordinates of a point of the link.
    #[must_use]
    pub fn place(&self, point: &Vector) -> Vector {
        self.rotation * point + self.origin
    }
}

/// How a link moves: its turning, and the velocity of its frame's origin.
#[derive(Clone, Copy, Debug)]
pub struct Twist {
    /// Angular velocity in the cell, rad/s.
    pub angular: Vector,
    /// Velocity of the origin in the cell, m/s.
    pub linear: Vector,
}

impl Twist {
    /// At rest.
    pub const REST: Self = Self {
        angular: Vector::new(0.0, 0.0, 0.0),
        linear: Vector::new(0.0, 0.0, 0.0),
    };

    /// The velocity of a point that moves with the link and stands `from_origin` away from its origin.
    #[must_use]
    pub fn velocity(&self, from_origin: &Vector) -> Vector {
        self.linear + self.angular.cross(from_origin)
    }
}
