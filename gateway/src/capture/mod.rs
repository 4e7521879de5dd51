//! Captures: what came over a machine's line, and what decisions depended on besides, in a pcapng
//! file that Wireshark opens.
//!
//! | interface | link type | holds |
//! |---|---|---|
//! | one for each port, from 0 | 250, RTAC Serial | the line's bytes as they were read, with line errors ([`rtac`]) |
//! | `inputs`, the last | 147, User 0 | obstacles, parameters, ticks, modules as JSON ([`inputs`]) |
//!
//! All times are nanoseconds. A timestamp is the wall clock when the line began plus line time, so
//! a capture has no steps, and [`Reader`] gives stages the same `t_ns` that the live line gave them.
//! Such a timestamp is the wall clock's until somebody sets that; what a replay computes with is
//! line time alone.
//!
//! Keeps true: chunks (their bytes, port, line time and marks) and inputs come back from a file as
//! they went in, in the same order; a file that was cut gives all that is whole.
//!
//! Doesn't do: pace anything (that is `port::replay`), or decide what is worth recording.

pub mod blocks;
pub mod inputs;
pub mod reader;
pub mod rtac;
pub mod writer;

pub use inputs::{Input, InputKind, ModuleUsed, Start, TableUsed};
pub use reader::{Item, ReadError, Reader};
pub use writer::{PortLabel, Writer};

/// LINKTYPE_USER0, for whatever two parties agree on.
pub const INPUTS_LINK_TYPE: u16 = 147;

/// The name that tells the interface of the inputs from another party's User 0.
pub const INPUTS_NAME: &str = "inputs";

#[cfg(test)]
mod tests;
