//! ABI 1: the manifest, and the layout of records, parameters and tables that guest and host share.
//!
//! A stage and its host talk through three areas in the stage's memory: the input (a frame, or one
//! record of an earlier stage), the configuration (parameters and tables), and the output (records).
//! [`layout`] says where each value stands in them, [`manifest`] says which values there are, and
//! [`output`] reads what a guest has put out. Both sides use this crate, so neither can have an
//! opinion of its own.
//!
//! What it keeps true: every function here is total. Bytes of a guest are only ever looked at through
//! checked slices, and a manifest that [`manifest::Manifest::check`] finds nothing wrong with has no
//! size, name or default that the rest of the house must check again.
//!
//! What it doesn't do: run anything. Engines are the host's, and what a stage computes is its own.
//!
//! Features: none for guests (no allocator needed), `manifest` for hosts, `yaml` to read a manifest
//! as its author writes it, `codegen` for the build scripts of stages.
#![cfg_attr(not(feature = "yaml"), no_std)]

#[cfg(feature = "manifest")]
extern crate alloc;

pub mod layout;
pub mod limits;

#[cfg(feature = "manifest")]
mod check;
#[cfg(feature = "manifest")]
mod generic;
#[cfg(feature = "manifest")]
pub mod manifest;
#[cfg(feature = "manifest")]
pub mod output;

#[cfg(feature = "codegen")]
pub mod codegen;

#[cfg(feature = "manifest")]
pub use manifest::Manifest;

/// The number that `rt_abi` returns and that a manifest gives as `abi`.
pub const ABI: u32 = 1;

/// The name of the custom section that holds the manifest as JSON.
pub const SECTION: &str = "retrotap";

/// The name of the custom section that holds the test cases which a module carries, as JSON. It may lack.
pub const CASES_SECTION: &str = "retrotap-cases";
