//! A robot's tables out of its URDF: the joints of a serial arm, and capsules that enclose its links.
//!
//! [`urdf`] walks from the base to the tip, [`stl`] reads meshes, [`fit`] puts capsules around shapes,
//! [`csv`] writes what comes of it as the tables `chain` and `capsules` of the stage `arm-distance`.
//!
//! What holds: every shape of every link on the way, and of what is fixed to one, lies within a capsule
//! of its link. What was left out, and what has no shape at all, is said.
//!
//! What it doesn't do: know the controller. Which axis value drives which joint, and whether it counts
//! in the same sense from the same zero, has to be compared with the real robot.

pub mod csv;
pub mod fit;
pub mod pose;
pub mod stl;
pub mod urdf;

/// Rows of the table `chain`, in `pipelines/stages/arm-distance/manifest.yaml`.
pub const JOINTS_MAX: usize = 10;

/// Rows of the table `capsules` there.
pub const CAPSULES_MAX: usize = 16;

/// Revolute axis values of a cycle there; the prismatic one is the next.
pub const REVOLUTE_INPUTS: usize = 6;
