//! The stage smooth.
