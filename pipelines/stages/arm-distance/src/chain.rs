//! Forward kinematics of a serial chain of revolute and prismatic joints.
//!
//! The chain is a list of joints from the base outwards, each given in the frame of the link before it
//! as in URDF: a fixed origin and orientation, and an axis in the frame so turned. Link 0 is the base,
//! link k is what joint k moves; the last link's origin is the flange.
//!
//! Not in here: closed loops, coupled joints, joint limits (the stage `axis-limits` holds those).

use crate::space::{Frame, Matrix, Real, Twist, Vector, rotation, sine_cosine, vector};

/// At most this many joints: two more than any robot on a linear axis and a turntable has.
pub const JOINTS_MAX: usize = 10;

/// What a joint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Motion {
    /// Turns about its axis; driven in degrees.
    Revolute,
    /// Slides along its axis; driven in millimetres.
    Prismatic,
}

/// A joint as a table gives it.
#[derive(Clone, Copy, Debug)]
pub struct Joint {
    /// What it does.
    pub motion: Motion,
    /// Origin in the frame of the link before, metres.
    pub origin_m: [f64; 3],
    /// Orientation in the frame of the link before: roll, pitch and yaw as in [`rotation`].
    pub roll_pitch_yaw_rad: [f64; 3],
    /// Axis in the frame so turned; any length but zero.
    pub axis: [f64; 3],
    /// Which axis value drives it, counted from 0.
    pub input: usize,
}

/// A joint, prepared: its rotation is `still + cosine·cos(q) + sine·sin(q)`, which is Rodrigues' formula
/// with the fixed orientation multiplied in.
#[derive(Clone, Copy, Debug)]
struct Prepared {
    motion: Motion,
    input: usize,
    origin: Vector,
    axis: Vector,
    still: Matrix,
    cosine: Matrix,
    sine: Matrix,
}

/// Why a joint can't be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JointError {
    /// The axis has no direction.
    AxisWithoutDirection,
    /// More than [`JOINTS_MAX`] joints.
    TooMany,
}

/// A serial chain and where its links are.
#[derive(Clone, Debug)]
pub struct Chain {
    joints: [Prepared; JOINTS_MAX],
    links: [Frame; JOINTS_MAX + 1],
    twists: [Twist; JOINTS_MAX + 1],
    count: usize,
}

impl Chain {
    /// A chain without joints whose base has no place yet: [`Chain::clear`] gives it one. All zeros, which
    /// a module needs no copy of to begin with.
    pub const EMPTY: Self = Self {
        joints: [Prepared::ZERO; JOINTS_MAX],
        links: [Frame::ZERO; JOINTS_MAX + 1],
        twists: [Twist::REST; JOINTS_MAX + 1],
        count: 0,
    };

    /// Takes all joints away and puts the base there.
    pub fn clear(&mut self, base: Frame) {
        self.count = 0;
        self.links[0] = base;
    }

    /// Adds a joint at the end.
    ///
    /// # Errors
    /// Where its axis is zero or the chain is full.
    pub fn push(&mut self, joint: &Joint) -> Result<(), JointError> {
        let slot = self.joints.get_mut(self.count).ok_or(JointError::TooMany)?;
        *slot = Prepared::new(joint)?;
        self.count += 1;
        Ok(())
    }

    /// How many joints there are; link indices go from 0 to this.
    #[must_use]
    pub fn joints(&self) -> usize {
        self.count
    }

    /// Puts the links where these axis values (degrees or millimetres) have them, moving at these rates
    /// (degrees or millimetres a second). A joint whose input isn't there stays at zero.
    pub fn move_to(&mut self, values: &[f64], rates: &[f64]) {
        let mut frame = self.links[0];
        let mut twist = Twist::REST;
        for (k, joint) in self.joints[..self.count].iter().enumerate() {
            let value = values.get(joint.input).copied().unwrap_or(0.0);
            let rate = rates.get(joint.input).copied().unwrap_or(0.0);
            joint.step(value, rate, &mut frame, &mut twist);
            self.links[k + 1] = frame;
            self.twists[k + 1] = twist;
        }
    }

    /// Where link `link` is.
    #[must_use]
    pub fn link(&self, link: usize) -> &Frame {
        &self.links[link.min(self.count)]
    }

    /// How link `link` moves.
    #[must_use]
    pub fn twist(&self, link: usize) -> &Twist {
        &self.twists[link.min(self.count)]
    }

    /// Where the flange is: the last link's origin, metres in the cell.
    #[must_use]
    pub fn flange(&self) -> &Vector {
        &self.link(self.count).origin
    }
}

const RADIANS_PER_DEGREE: f64 = core::f64::consts::PI / 180.0;
const METRES_PER_MILLIMETRE: f64 = 1e-3;

impl Prepared {
    const ZERO: Self = Self {
        motion: Motion::Revolute,
        input: 0,
        origin: Frame::ZERO.origin,
        axis: Frame::ZERO.origin,
        still: Frame::ZERO.rotation,
        cosine: Frame::ZERO.rotation,
        sine: Frame::ZERO.rotation,
    };

    fn new(joint: &Joint) -> Result<Self, JointError> {
        let [x, y, z] = joint.axis;
        let norm = libm::sqrt(x * x + y * y + z * z);
        if !(norm > 0.0 && norm.is_finite()) {
            return Err(JointError::AxisWithoutDirection);
        }
        let axis = vector([x / norm, y / norm, z / norm]);
        let fixed = rotation(joint.roll_pitch_yaw_rad);
        let still = fixed * axis * axis.transpose();
        Ok(Self {
            motion: joint.motion,
            input: joint.input,
            origin: vector(joint.origin_m),
            axis: fixed * axis,
            still,
            cosine: fixed - still,
            sine: fixed * axis.cross_matrix(),
        })
    }

    /// From the frame and motion of the link before this joint to those of the link behind it.
    fn step(&self, value: f64, rate: f64, frame: &mut Frame, twist: &mut Twist) {
        let axis = frame.rotation * self.axis;
        let mut offset = frame.rotation * self.origin;
        match self.motion {
            Motion::Revolute => {
                let (sine, cosine) = sine_cosine(value);
                let turn = self.still + self.cosine * cosine + self.sine * sine;
                frame.rotation *= turn;
                twist.linear = twist.velocity(&offset);
                twist.angular += axis * (rate * RADIANS_PER_DEGREE) as Real;
            }
            Motion::Prismatic => {
                offset += axis * (value * METRES_PER_MILLIMETRE) as Real;
                frame.rotation *= self.still + self.cosine;
                twist.linear =
                    twist.velocity(&offset) + axis * (rate * METRES_PER_MILLIMETRE) as Real;
            }
        }
        frame.origin += offset;
    }
}
