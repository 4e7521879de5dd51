//! Adapters and modules: where they come from, and how an adapter becomes a pipeline.
//!
//! [`catalog`] knows what ships inside the binary and what a user's folder adds; [`assemble`] puts
//! an adapter, its modules and a machine's settings together. Both run before a line starts, never
//! while it runs.

pub mod assemble;
pub mod catalog;
