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
pub mod watch;

pub use drive::{Summary, Wire, drive, drive_watching};
pub use faults::{Faults, FaultsError};
pub use krc2::{Krc2, Sent, ValueEncoding, What};
pub use watch::PermitWatch;

#[cfg(test)]
mod tests;
