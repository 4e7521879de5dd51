//! The space around one or more robots: what stands and walks in it.
//!
//! So far the room holds [`obstacles`]. Separation states, permit and actions belong here too.

pub mod obstacles;
