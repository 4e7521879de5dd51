//! The gateway's settings.

pub mod limits;
