//! The stage arm-distance.
