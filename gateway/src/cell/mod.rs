//! The space around one or more robots: what stands and walks in it, and what follows from that.
//!
//! | file | what it does |
//! |---|---|
//! | [`obstacles`] | shapes, and who is where |
//! | [`source`] | snapshots that a sensor's program sends, numbered and not too often |
//! | [`separation`] | `clear`, `warn`, `stop`, `unknown` out of margins: one robot's word |
//! | [`standing`] | the cell's word: the worst of its robots' |
//! | [`permit`] | when the permit's bytes are due |
//!
//! Keeps true: `unknown` is never safe. It is what a cell begins with, and what everything that is
//! missing, late or silent makes of it; out of it, as out of `stop`, leads only a margin that was
//! there for a while.
//!
//! Doesn't do: any I/O. Time is line time and an argument. None of this is a safety function in the
//! sense of ISO 13849 or IEC 62061; distances and states are advisory.

pub mod obstacles;
pub mod permit;
pub mod separation;
pub mod source;
pub mod standing;
