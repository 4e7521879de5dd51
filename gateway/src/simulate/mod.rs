//! Machines to test against, where there is none.
//!
//! [`krc2`] says which bytes come when, without any I/O; [`drive`] gives them to a port at their
//! pace.

pub mod drive;
pub mod faults;
pub mod krc2;
pub mod path;
pub mod people;
mod random;

pub use drive::{Summary, Wire, drive};
pub use faults::{Faults, FaultsError};
pub use krc2::{Krc2, Sent, ValueEncoding, What};

#[cfg(test)]
mod tests;
