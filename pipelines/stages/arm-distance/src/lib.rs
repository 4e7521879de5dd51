//! How near a robot arm is to what stands around it: forward kinematics of any serial chain, capsules
//! on its links against spheres, capsules and boxes.
//!
//! Read in this order: [`space`] (positions and motions), [`chain`] (where the links are), [`shape`]
//! (what stands in the cell), [`sighting`] (what moves there), [`closest`] (two shapes), [`nearest`] (all
//! pairs), [`separation`] (what a pair has to keep), [`deciding`] (the pair that keeps it worst), [`arm`]
//! (one cycle), [`stage`] (all of it tied to the manifest).
//!
//! What it keeps true: the distance is the least over all pairs of a moving link's capsule and an
//! obstacle, and never an estimate; moving a shape by d changes it by at most d; it is negative where
//! shapes overlap; without obstacles there is none. The margin is the least over the same pairs. What
//! isn't known is not said. The same input gives the same bits natively and in every WebAssembly engine.
//!
//! What it doesn't do: decide. States are made of its records elsewhere. None of it is a safety function
//! in the sense of ISO 13849 or IEC 62061.
#![cfg_attr(target_arch = "wasm32", no_std)]

pub mod arm;
pub mod chain;
pub mod closest;
pub mod deciding;
pub mod nearest;
pub mod rule;
pub mod separation;
pub mod shape;
pub mod sighting;
pub mod space;
pub mod stage;
pub mod manifest {
    //! What `manifest.yaml` declares.
    retrotap_sdk::manifest!();
}

retrotap_sdk::export!(stage::ArmDistance);
