//! Adapters and modules: where they come from, and how an adapter becomes a pipeline.
//!
//! [`catalog`] knows what ships inside the binary and what a user's folder adds; [`assemble`] puts
//! an adapter, its modules and a machine's settings together; [`signature`] says who stands behind a
//! module.

pub mod assemble;
pub mod cases;
pub mod catalog;
pub mod checks;
pub mod chunks;
pub mod signature;
pub mod store;
