//! The framings, held to what they promise: whole streams, damaged streams, and random bytes.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod damage;
mod delimited;
mod fixed;
mod idle_gap;
mod length_prefixed;
mod properties;
mod support;
