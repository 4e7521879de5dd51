//! What is known of a model of machine, as plain functions over bytes and text. No I/O.
//!
//! - [`framing`] makes frames out of bytes. It needs no `std`, so that it also runs on the tap.
//! - [`schema`] is the YAML of an adapter, [`validate`] every rule that it has to keep, and
//!   [`tables`] reads the CSV files that it names. These need the feature `std`.
//! - [`yaml`] reads YAML with positions and finds all mistakes of a file at once; the gateway's
//!   configuration is read with it too.
//!
//! The crate knows nothing of ports, stages or networks: which stage takes which parameter is
//! written in the stage's manifest and checked by whoever holds that.
#![cfg_attr(not(feature = "std"), no_std)]

extern crate alloc;

pub mod framing;
#[cfg(feature = "std")]
pub mod schema;
#[cfg(feature = "std")]
pub mod tables;
#[cfg(feature = "std")]
pub mod validate;
#[cfg(feature = "std")]
pub mod yaml;
